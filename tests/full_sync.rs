//! Full syncs under load: they end, however slow the replica; many replicas share a snapshot; a frozen one
//! harms nobody.
//!
//! `FULL_SYNC=full` runs each at its full size (some minutes); by default they are scaled down.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::{LONG, Load, Make, Proxy, Server, ServerOptions, SetAtEnd, seed, setting, wait_for};
use fastrand::Rng;

/// These tests load the machine: each has it to itself.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn full() -> bool {
    std::env::var("FULL_SYNC").is_ok_and(|v| v == "full")
}

fn pick<T>(scaled: T, full_size: T) -> T {
    if full() { full_size } else { scaled }
}

fn number(server: &Server, field: &str) -> u64 {
    server.info(field).parse().unwrap_or(0)
}

fn assert_equal(master: &Server, replica: &Server) {
    wait_for("the replica has caught up", LONG, || {
        replica.info("master_link_status") == "up"
            && replica.info("master_repl_offset") == master.info("master_repl_offset")
    });
    assert_eq!(replica.digest(), master.digest());
}

/// A number, looked at until it is told to stop.
fn samples(stop: &AtomicBool, mut read: impl FnMut() -> u64) -> Vec<u64> {
    let mut seen = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        seen.push(read());
        std::thread::sleep(Duration::from_millis(50));
    }
    seen
}

fn maximum(stop: &AtomicBool, read: impl FnMut() -> u64) -> u64 {
    samples(stop, read).into_iter().max().unwrap_or(0)
}

/// A replica attaches over a slow link while writes go on, five times faster than the link.
fn slow_link(master: ServerOptions, replica: ServerOptions) -> (u64, usize) {
    let keys = 20_000;
    let spool = pick(4 << 20, 64 << 20);
    let ours = master.make == Make::Understudy;
    let mut options = master.with("repl-backlog-size", "1mb");
    if ours {
        // Such a master writes faster than a redis-server can follow, as long as the load lasts.
        options = options
            .with("repl-spool-memory", spool)
            .with("repl-spool-limit", 0);
    }
    if !full() {
        // No disk keeps up for sure with as much as is written here: memory does.
        if ours && std::path::Path::new("/dev/shm").is_dir() {
            options = options.with("repl-spool-dir", "/dev/shm");
        }
        // What goes to disk in two seconds is some times of this.
        let limit = "replica 128mb 0 0";
        options = options.with("client-output-buffer-limit", limit);
    }
    let master = options.start();
    let mut client = master.client();
    let value = "x".repeat(500);
    for from in (0..keys).step_by(1000) {
        let fill: Vec<[String; 3]> = (from..from + 1000)
            .map(|n| ["SET".into(), format!("load:{n}"), value.clone()])
            .collect();
        client.pipeline(&fill.iter().map(|c| c.to_vec()).collect::<Vec<_>>());
    }
    let load = Load::start(master.port, pick(2, 400), keys);
    let wait = |seconds: f64| std::thread::sleep(Duration::from_secs_f64(seconds));
    wait(1.0);
    let before = number(&master, "used_memory");
    let (input, at) = (number(&master, "total_net_input_bytes"), Instant::now());
    wait(pick(0.5, 3.0));
    let written = number(&master, "total_net_input_bytes") - input;
    let rate = (written as f64 / at.elapsed().as_secs_f64()) as u64;

    let proxy = Proxy::new(master.port);
    proxy.throttle(rate / 5);
    let stop = AtomicBool::new(false);
    let (replica, spool_memory, memory, disk) = std::thread::scope(|scope| {
        let _stop = SetAtEnd(&stop);
        let watch = |field: &'static str| {
            let (stop, master) = (&stop, &master);
            scope.spawn(move || maximum(stop, || number(master, field)))
        };
        let spool_memory = watch("repl_spool_memory");
        let memory = watch("used_memory");
        let disk = watch("repl_spool_disk");
        let replica = replica.replica_of(proxy.port).start();
        if ours {
            wait_for("the spool is on disk", LONG, || {
                number(&master, "repl_spool_disk") > 0
            });
        }
        wait(pick(2.5, 30.0));
        master.call(&[
            "CONFIG",
            "SET",
            "client-output-buffer-limit",
            "replica 256mb 64mb 60",
        ]);
        proxy.throttle(0);
        wait(pick(1.0, 55.0));
        drop(load);
        if ours {
            assert_equal(&master, &replica);
        } else {
            wait(5.0);
        }
        stop.store(true, Ordering::Relaxed);
        let [spool_memory, memory, disk] =
            [spool_memory, memory, disk].map(|thread| thread.join().unwrap());
        (replica, spool_memory, memory, disk)
    });
    let syncs = number(&master, "sync_full");
    println!(
        "{:?} -> {:?}: {} MB/s of writes, {syncs} full syncs, {} connections, spool {} MB in memory and \
         {} MB on disk, memory {} MB, {} MB before",
        master.options.make,
        replica.options.make,
        rate >> 20,
        proxy.accepted(),
        spool_memory >> 20,
        disk >> 20,
        memory >> 20,
        before >> 20,
    );
    if ours {
        // Beside the bound: what is appended while the disk is slower than the writes, which the output limit
        // bounds, the one set last.
        let more = 264 << 20;
        assert!(spool_memory < spool + more, "{spool_memory}");
        let memory_max = before + spool + more + (64 << 20);
        assert!(memory < memory_max, "{memory} {before}");
        assert!(disk > 0);
        assert!(!master.log().contains("output buffer limits"));
        assert_eq!(number(&master, "repl_spool_disk"), 0);
    }
    (syncs, proxy.accepted())
}

#[test]
fn a_slow_link_costs_our_replica_one_full_sync() {
    let _alone = alone();
    let make = || ServerOptions::new(Make::Understudy);
    assert_eq!(slow_link(make(), make()), (1, 1));
}

#[test]
fn a_slow_link_costs_a_redis_server_one_full_sync() {
    let _alone = alone();
    let (ours, theirs) = (
        ServerOptions::new(Make::Understudy),
        ServerOptions::new(Make::Redis),
    );
    assert_eq!(slow_link(ours, theirs), (1, 1));
}

/// For the record: what redis-server does in the same place.
#[test]
fn a_slow_link_makes_a_redis_server_master_loop() {
    let _alone = alone();
    if full() {
        let make = || ServerOptions::new(Make::Redis);
        slow_link(make(), make());
    }
}

#[test]
fn a_spool_that_cannot_be_written_falls_back_to_the_output_limit() {
    let _alone = alone();
    let limit = "client-output-buffer-limit";
    let spool = tempfile::tempdir().expect("a temporary directory");
    let master = ServerOptions::new(Make::Understudy)
        .with("repl-backlog-size", "1mb")
        .with("repl-spool-memory", "1mb")
        .with("repl-spool-dir", spool.path().display())
        .with(limit, "replica 0 0 0")
        .start();
    drop(spool);
    seed::fill(&mut master.client(), 7, "k", 2000);
    let proxy = Proxy::new(master.port);
    proxy.throttle(100_000);
    let load = Load::start(master.port, 2, 1000);
    let _replica = ServerOptions::new(Make::Understudy)
        .replica_of(proxy.port)
        .start();
    let refused = "The spool for full syncs fails (can't write";
    wait_for("the spool has failed", LONG, || {
        master.log().contains(refused)
    });
    // Until then nobody knows, and the replica would go for another reason.
    master.call(&["CONFIG", "SET", limit, "replica 4mb 0 0"]);
    wait_for("the replica is dropped", LONG, || {
        master.log().contains("overcoming of output buffer limits")
    });
    drop(load);
    wait_for("the reason is told", LONG, || {
        master.log().contains("could not be spooled: ")
    });
    let log = master.log();
    assert!(log.contains("could not be spooled: can't write"), "{log}");
}

/// What all but so large a part of sorted values are at most.
fn at_share<T: Copy>(sorted: &[T], share: f64) -> T {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

/// Milliseconds that one command in a hundred, and one in a thousand, takes at least, of those sent until `stop`.
fn probe(master: &Server, stop: &AtomicBool) -> (f64, f64) {
    let mut client = master.client();
    let mut times = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let at = Instant::now();
        client.call(&["SET", "probe", "x"]);
        times.push(at.elapsed().as_secs_f64() * 1000.0);
        std::thread::sleep(Duration::from_micros(500));
    }
    times.sort_by(f64::total_cmp);
    (at_share(&times, 0.99), at_share(&times, 0.999))
}

#[test]
fn replicas_that_all_come_back_at_once_share_snapshots() {
    let _alone = alone();
    let (count, keys) = (pick(6, 10), pick(20_000, 1_000_000));
    let cap = pick(4 << 20, 60 << 20);
    let master = ServerOptions::new(Make::Understudy)
        .with("repl-max-bandwidth", cap)
        .with("repl-diskless-sync-delay", pick(0, 5))
        .start();
    master.call(&["DEBUG", "POPULATE", &keys.to_string(), "key", "50"]);
    let mut replicas: Vec<Server> = (0..count)
        .map(|n| {
            let make = if n % 3 == 0 {
                Make::Redis
            } else {
                Make::Understudy
            };
            ServerOptions::new(make).replica_of(master.port).start()
        })
        .collect();
    for replica in &replicas {
        replica.wait_synced(LONG);
    }
    let keep_snapshots = |seconds: u32| {
        let seconds = seconds.to_string();
        master.call(&["CONFIG", "SET", "repl-snapshot-keep", &seconds]);
    };
    let snapshots = || master.log().matches("Starting BGSAVE for SYNC").count();
    // One that has no part in it: what its probe feels is the machine's doing, on which ten processes load.
    let bystander = ServerOptions::new(Make::Redis).start();
    let stop = AtomicBool::new(false);
    let calm = std::thread::scope(|scope| {
        let _stop = SetAtEnd(&stop);
        let thread = scope.spawn(|| probe(&master, &stop));
        std::thread::sleep(Duration::from_secs(pick(1, 5)));
        stop.store(true, Ordering::Relaxed);
        thread.join().unwrap()
    });
    for round in 0..setting("STORM_ROUNDS", pick(1, 3)) {
        // Otherwise those who come first join what the last round left.
        keep_snapshots(0);
        wait_for("nothing is kept", LONG, || {
            master.info("repl_spool_memory") == "0"
        });
        // Scaled down, all of them come while the first one's snapshot is kept, however slowly they start.
        keep_snapshots(pick(600, 0));
        let (before, begin) = (snapshots(), Instant::now());
        let sent = AtomicU64::new(0);
        let stop = AtomicBool::new(false);
        let mut rng = Rng::with_seed(round);
        let (storm, control) = std::thread::scope(|scope| {
            let _stop = SetAtEnd(&stop);
            let probing = scope.spawn(|| probe(&master, &stop));
            let control = scope.spawn(|| probe(&bystander, &stop));
            let rates = scope.spawn(|| {
                // The dump bytes of any second, beside the streams, which are small here.
                let mut at = Instant::now();
                let mut last = number(&master, "total_net_repl_output_bytes");
                while !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_secs(1));
                    let asked_at = Instant::now();
                    let now = number(&master, "total_net_repl_output_bytes");
                    let rate = (now - last) as f64 / at.elapsed().as_secs_f64();
                    sent.fetch_max(rate as u64, Ordering::Relaxed);
                    (at, last) = (asked_at, now);
                }
            });
            let window_ms = pick(1500, 5000);
            std::thread::scope(|restarts| {
                for replica in &mut replicas {
                    let (kill_ms, up_ms) = (rng.u64(0..window_ms / 2), rng.u64(0..window_ms / 2));
                    restarts.spawn(move || {
                        std::thread::sleep(Duration::from_millis(kill_ms));
                        replica.kill();
                        let _ = std::fs::remove_file(replica.dir().join("dump.rdb"));
                        std::thread::sleep(Duration::from_millis(up_ms));
                        replica.restart(None);
                    });
                }
            });
            for replica in &replicas {
                replica.wait_synced(LONG);
            }
            stop.store(true, Ordering::Relaxed);
            rates.join().unwrap();
            (probing.join().unwrap(), control.join().unwrap())
        });
        let took = begin.elapsed().as_secs_f64();
        let made = snapshots() - before;
        let fastest = sent.load(Ordering::Relaxed);
        println!(
            "storm {round}: {made} snapshots for {count} replicas in {took:.1} s; probe p99 {:.2} ms and p99.9 {:.2} ms, \
             {:.2} and {:.2} before, {:.2} and {:.2} at a redis-server that has no part in it; at most {} MB/s \
             of {}",
            storm.0,
            storm.1,
            calm.0,
            calm.1,
            control.0,
            control.1,
            fastest >> 20,
            cap >> 20,
        );
        assert!(made <= 2, "{made} snapshots");
        assert!(fastest < cap as u64 * 3 / 2 + (1 << 20), "{fastest}");
        if full() {
            assert!(storm.1 < 2.0_f64.max(calm.1 * 2.0), "p99.9 {} ms", storm.1);
        }
    }
    for replica in &replicas {
        assert_equal(&master, replica);
    }
}

#[test]
fn transfers_wait_in_a_queue_and_the_bandwidth_is_kept() {
    let _alone = alone();
    let master = ServerOptions::new(Make::Understudy)
        .with("repl-max-transfers", 1)
        // Slow until all three have come, however long that takes them.
        .with("repl-max-bandwidth-per-replica", "16kb")
        .start();
    seed::incompressible(&mut master.client(), "k", 200, 7_500);
    let replicas =
        [Make::Redis, Make::Understudy, Make::Redis].map(|make| ServerOptions::new(make).start());
    for replica in &replicas {
        replica.call(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
    }
    // What paces the sending mustn't hold up other requests.
    wait_for("one is served and two wait", LONG, || {
        let info = master.call(&["INFO", "replication"]).text();
        ["phase=transfer", "place=1", "place=2", "phase=queued"]
            .iter()
            .all(|part| info.contains(part))
            && info.contains("repl_queue_length:2")
    });
    let begin = Instant::now();
    master.call(&["CONFIG", "SET", "repl-max-bandwidth-per-replica", "1mb"]);
    for replica in &replicas {
        assert_equal(&master, replica);
    }
    // Two dumps of 1.5 MB and the rest of a third, one after the other, at 1 MB a second.
    let took = begin.elapsed().as_secs_f64();
    assert!(took > 2.0, "{took}");
    assert_eq!(master.log().matches("Starting BGSAVE for SYNC").count(), 1);
    assert_eq!(master.info("sync_full"), "3");
}

/// Reads up to the mark that a streamed dump ends with.
fn take_dump(stream: &mut TcpStream) {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = stream.read(&mut buffer).expect("the dump comes");
        assert!(n > 0, "the link is closed");
        bytes.extend_from_slice(&buffer[..n]);
        if let Some(at) = bytes.windows(5).position(|five| five == b"$EOF:")
            && let Some(mark) = bytes.get(at + 5..at + 45)
            && bytes.len() > at + 87
            && bytes.ends_with(mark)
        {
            return;
        }
    }
}

#[test]
fn under_a_cap_the_next_transfer_waits_while_a_replica_of_this_machine_loads() {
    let _alone = alone();
    let master = ServerOptions::new(Make::Understudy)
        .with("repl-max-bandwidth", "20mb")
        .start();
    seed::incompressible(&mut master.client(), "k", 200, 7_500);
    // Takes its dump, and says that it loads from then on, until it is told that it has.
    let mut loader = TcpStream::connect(("127.0.0.1", master.port)).unwrap();
    write!(loader, "REPLCONF capa eof capa psync2\r\nPSYNC ? -1\r\n").unwrap();
    take_dump(&mut loader);
    let (loaded, is_loaded) = mpsc::channel();
    let begin = Instant::now();
    let loading = std::thread::spawn(move || {
        while is_loaded.recv_timeout(Duration::from_millis(200)) == Err(RecvTimeoutError::Timeout) {
            writeln!(loader).unwrap();
        }
        write!(loader, "REPLCONF ACK 0\r\n").unwrap();
        loader
    });
    let replica = ServerOptions::new(Make::Understudy)
        .replica_of(master.port)
        .start();
    let states = || master.call(&["INFO", "replication"]).text();
    wait_for("the other's transfer begins", LONG, || {
        states().contains("phase=transfer")
    });
    // Longer than a loader may be silent.
    while begin.elapsed() < Duration::from_secs(4) {
        assert_eq!(replica.info("master_link_status"), "down");
        std::thread::sleep(Duration::from_millis(200));
    }
    loaded.send(()).unwrap();
    let _loader = loading.join().unwrap();
    // Sooner than a loader is no longer waited for.
    replica.wait_synced(Duration::from_secs(50).saturating_sub(begin.elapsed()));
    assert_equal(&master, &replica);
}

fn signal(server: &Server, signal: &str) {
    let pid = server.pid().to_string();
    let sent = Command::new("kill").args([signal, &pid]).status();
    assert!(sent.is_ok_and(|s| s.success()));
}

#[test]
fn a_frozen_replica_harms_nobody() {
    let _alone = alone();
    let master = ServerOptions::new(Make::Understudy)
        .with(
            "client-output-buffer-limit",
            pick("replica 32mb 0 0", "replica 256mb 64mb 60"),
        )
        .start();
    let options = || ServerOptions::new(Make::Understudy).replica_of(master.port);
    let (frozen, sibling) = (options().start(), options().start());
    frozen.wait_synced(LONG);
    sibling.wait_synced(LONG);
    let load = Load::start(master.port, pick(2, 16), 10_000);
    let seconds = Duration::from_secs(pick(3, 60));
    // For equally long, since of a longer time the worst is worse.
    let watch = |time: Duration| {
        let synced = number(&master, "sync_full");
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _stop = SetAtEnd(&stop);
            let probing = scope.spawn(|| probe(&master, &stop));
            let lag = scope.spawn(|| {
                samples(&stop, || {
                    number(&master, "master_repl_offset")
                        .saturating_sub(number(&sibling, "master_repl_offset"))
                })
            });
            let memory = scope.spawn(|| maximum(&stop, || number(&master, "used_memory")));
            std::thread::sleep(time);
            stop.store(true, Ordering::Relaxed);
            let mut lag = lag.join().unwrap();
            lag.sort_unstable();
            (
                probing.join().unwrap(),
                [0.5, 0.99, 1.0].map(|share| at_share(&lag, share) >> 10),
                memory.join().unwrap(),
                number(&master, "sync_full") - synced,
            )
        })
    };
    let before = watch(seconds);
    signal(&frozen, "-STOP");
    let during = watch(seconds);
    signal(&frozen, "-CONT");
    let writes = load.writes();
    drop(load);
    println!(
        "frozen: {writes} writes; probe p99 {:.2} ms, {:.2} before; sibling {:?} KB behind (median, 99th of a \
         hundred, most), {:?} before; memory {} MB, {} before; {} full syncs, {} before",
        during.0.0,
        before.0.0,
        during.1,
        before.1,
        during.2 >> 20,
        before.2 >> 20,
        during.3,
        before.3,
    );
    assert!(
        during.2 < before.2 + (pick(64, 256 + 32) << 20),
        "{during:?} {before:?}"
    );
    if full() {
        assert!(during.0.0 < before.0.0 * 2.0 + 2.0, "{during:?} {before:?}");
        assert!(
            during.1[1] < before.1[1] * 2 + (64 << 10),
            "{during:?} {before:?}"
        );
        assert_eq!(during.3, 0, "the sibling is not dropped");
    }
    assert_equal(&master, &sibling);
    assert_equal(&master, &frozen);
}
