//! No request waits for the node's size: tables that grow and shrink, a million keys that expire at once, the
//! cut and walk of a snapshot, a flush and the freeing of huge collections, and writes into huge collections
//! while a snapshot of them is taken, which must still be exact.
//!
//! A probe asks one small thing over and over; each phase prints how long it waited. `STALL_KEYS=20000000
//! STALL_ITEMS=5000000` is the full size; the default is small, so that the suite stays quick. The figures
//! are printed; what is asserted is only that the node's own work stalls nothing for long, since machines differ.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use common::{
    LONG, Make, RespClient, Server, ServerOptions, SetAtEnd, StallProbe, setting, wait_for,
};

/// So long the node may work while a request waits.
const STALL: Duration = Duration::from_secs(1);
/// Commands sent at a time while filling.
const PIPELINE: usize = 200;
/// Elements given to a collection by one command while filling.
const PER_COMMAND: usize = 500;

/// Asks and writes small things until it is stopped; keeps how long each took.
struct Probe<'scope> {
    stop: Arc<AtomicBool>,
    thread: ScopedJoinHandle<'scope, (Vec<Duration>, Duration)>,
}

impl<'scope> Probe<'scope> {
    fn start<'s: 'scope>(scope: &'scope Scope<'scope, '_>, server: &'s Server) -> Probe<'scope> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = scope.spawn(move || {
            let mut probe = StallProbe::new(server);
            while !stopped.load(Ordering::Relaxed) {
                let reply = if probe.taken.len().is_multiple_of(2) {
                    probe.call(&["SET", "probe", "value"])
                } else {
                    probe.call(&["GET", "probe"])
                };
                assert!(!reply.is_error(), "{reply:?}");
            }
            (probe.taken, probe.worst)
        });
        Probe { stop, thread }
    }

    fn end(self, phase: &str) {
        self.stop.store(true, Ordering::Relaxed);
        let (mut taken, worst) = self.thread.join().expect("the probe saw no error");
        taken.sort_unstable();
        let at = |share: f64| taken[((taken.len() - 1) as f64 * share) as usize];
        println!(
            "{phase}: {} requests, p50 {:?}, p99.9 {:?}, worst five {:?}",
            taken.len(),
            at(0.5),
            at(0.999),
            &taken[taken.len().saturating_sub(5)..]
        );
        assert!(worst < STALL, "{phase}: stalled for {worst:?}");
    }
}

/// Runs the phase with a probe beside it.
fn probed(server: &Server, phase: &str, work: impl FnOnce()) {
    std::thread::scope(|scope| {
        let probe = Probe::start(scope, server);
        work();
        probe.end(phase);
    });
}

fn fill_strings(client: &mut RespClient, keys: usize, expire_at_ms: Option<i64>) {
    let at = expire_at_ms.map(|at| at.to_string());
    for from in (0..keys).step_by(PIPELINE) {
        let batch: Vec<Vec<String>> = (from..keys.min(from + PIPELINE))
            .map(|n| {
                let mut command = vec!["SET".into(), format!("key:{n:012}"), "value".into()];
                if let Some(at) = &at {
                    command[1] = format!("expiring:{n:012}");
                    command.extend(["PXAT".into(), at.clone()]);
                }
                command
            })
            .collect();
        for reply in client.pipeline(&batch) {
            assert!(!reply.is_error(), "{reply:?}");
        }
    }
}

/// One command of the given elements for each type of collection.
fn additions(numbers: std::ops::Range<usize>) -> Vec<Vec<String>> {
    let mut commands = vec![
        vec!["SADD".into(), "huge:set".into()],
        vec!["ZADD".into(), "huge:zset".into()],
        vec!["HSET".into(), "huge:hash".into()],
        vec!["RPUSH".into(), "huge:list".into()],
    ];
    for n in numbers {
        commands[0].push(format!("member:{n}"));
        commands[1].extend([n.to_string(), format!("member:{n}")]);
        commands[2].extend([format!("field:{n}"), format!("value:{n}")]);
        commands[3].push(format!("value:{n}"));
    }
    commands
}

fn fill_collections(client: &mut RespClient, items: usize) {
    for from in (0..items).step_by(PER_COMMAND) {
        for reply in client.pipeline(&additions(from..items.min(from + PER_COMMAND))) {
            assert!(!reply.is_error(), "{reply:?}");
        }
    }
}

fn save(server: &Server) {
    let reply = server.call(&["BGSAVE"]);
    assert!(!reply.is_error(), "{reply:?}");
    wait_for("the snapshot is done", LONG, || {
        server.info("rdb_bgsave_in_progress") == "0"
    });
    assert_eq!(server.info("rdb_last_bgsave_status"), "ok");
}

#[test]
fn many_small_keys_stall_nobody() {
    let keys = setting("STALL_KEYS", 200_000);
    let expiring = keys.min(1_000_000);
    let server = ServerOptions::new(Make::Understudy).start();
    let mut client = server.client();
    client.set_read_timeout(LONG);
    probed(&server, "tables grow", || {
        fill_strings(&mut client, keys, None);
    });
    let now = server.call(&["TIME"]);
    assert!(!now.is_error(), "{now:?}");
    let at_ms = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |t| t.as_millis() as i64)
        + 1000 * (3 + expiring as i64 / 100_000);
    fill_strings(&mut client, expiring, Some(at_ms));
    probed(&server, "keys expire at once", || {
        wait_for("all of them have expired", LONG, || {
            server.info("expired_keys") == expiring.to_string()
        });
    });
    probed(&server, "a snapshot is cut and walked", || save(&server));
    probed(
        &server,
        "all keys are scanned while tables grow and shrink",
        || {
            let done = AtomicBool::new(false);
            let mut seen = vec![false; keys];
            std::thread::scope(|scope| {
                let _stop = SetAtEnd(&done);
                scope.spawn(|| {
                    let mut client = server.client();
                    while !done.load(Ordering::Relaxed) {
                        grow_and_shrink(&mut client, keys / 2, &done);
                    }
                });
                scan(&mut client, &mut seen);
                done.store(true, Ordering::Relaxed);
            });
            let missed = seen.iter().filter(|seen| !**seen).count();
            assert_eq!(missed, 0, "SCAN gives all keys that are there all the time");
        },
    );
    probed(&server, "FLUSHALL ASYNC", || {
        let reply = client.call(&["FLUSHALL", "ASYNC"]);
        assert!(!reply.is_error(), "{reply:?}");
        wait_for("all is freed", LONG, || {
            server.info("lazyfree_pending_objects") == "0"
        });
    });
}

/// Scans all keys and marks those of `fill_strings` by their number.
fn scan(client: &mut RespClient, seen: &mut [bool]) {
    let mut cursor = b"0".to_vec();
    loop {
        client.send(&[b"SCAN".as_slice(), &cursor, b"COUNT", b"1000"]);
        client.flush();
        let reply = client.read();
        let parts = reply.elements().expect("a cursor and keys");
        for key in parts[1].strings() {
            let number = key
                .strip_prefix(b"key:")
                .and_then(|n| str::from_utf8(n).ok());
            if let Some(number) = number.and_then(|n| n.parse::<usize>().ok()) {
                seen[number] = true;
            }
        }
        cursor = parts[0].bytes().expect("a cursor").to_vec();
        if cursor == b"0" {
            return;
        }
    }
}

/// Adds so many other keys and takes them away again.
fn grow_and_shrink(client: &mut RespClient, keys: usize, done: &AtomicBool) {
    for name in ["SET", "DEL"] {
        for from in (0..keys).step_by(PIPELINE) {
            if done.load(Ordering::Relaxed) {
                return;
            }
            let batch: Vec<Vec<String>> = (from..from + PIPELINE)
                .map(|n| {
                    let mut command = vec![name.into(), format!("other:{n}")];
                    command.extend((name == "SET").then(|| "value".to_owned()));
                    command
                })
                .collect();
            for reply in client.pipeline(&batch) {
                assert!(!reply.is_error(), "{reply:?}");
            }
        }
    }
}

#[test]
fn huge_collections_stall_nobody_and_are_saved_exactly() {
    let items = setting("STALL_ITEMS", 50_000);
    let mut server = ServerOptions::new(Make::Understudy).start();
    let mut client = server.client();
    client.set_read_timeout(LONG);
    fill_collections(&mut client, items);

    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = SetAtEnd(&stop);
        let probe = Probe::start(scope, &server);
        scope.spawn(|| {
            let mut client = server.client();
            let mut worst = Duration::ZERO;
            let mut n = items;
            while !stop.load(Ordering::Relaxed) {
                let mut commands = vec![vec!["MULTI".to_owned()]];
                commands.extend(additions(n..n + 1));
                commands.push(vec!["INCR".into(), "added".into()]);
                // Somewhere in the middle, where nothing has been touched for long.
                let old = n * 7919 % items;
                commands.push(vec![
                    "HSET".into(),
                    "huge:hash".into(),
                    format!("field:{old}"),
                    n.to_string(),
                ]);
                commands.push(vec!["EXEC".into()]);
                let start = Instant::now();
                for reply in client.pipeline(&commands) {
                    assert!(!reply.is_error(), "{reply:?}");
                }
                worst = worst.max(start.elapsed());
                n += 1;
            }
            println!(
                "writes into huge collections: {}, worst {worst:?}",
                n - items
            );
        });
        wait_for("writes go on", LONG, || {
            server.call(&["EXISTS", "added"]).int() == Some(1)
        });
        save(&server);
        stop.store(true, Ordering::Relaxed);
        probe.end("a snapshot while huge collections are written to");
    });

    // What was saved is one moment: each collection has exactly what had been added by then.
    server.kill();
    server.restart(None);
    let added: usize = server.call(&["GET", "added"]).text().parse().unwrap_or(0);
    for (command, key) in [
        ("SCARD", "huge:set"),
        ("ZCARD", "huge:zset"),
        ("HLEN", "huge:hash"),
        ("LLEN", "huge:list"),
    ] {
        let length = server.call(&[command, key]).int();
        assert_eq!(length, Some((items + added) as i64), "{key}");
    }
    let last = server.call(&["LINDEX", "huge:list", "-1"]).text();
    assert_eq!(last, format!("value:{}", items + added - 1));
    for back in 1..=added.min(1000) {
        let n = items + added - back;
        let old = n * 7919 % items;
        let member = format!("member:{n}");
        let is_there = server.call(&["SISMEMBER", "huge:set", &member]);
        assert_eq!(is_there.int(), Some(1));
        assert_eq!(
            server.call(&["ZSCORE", "huge:zset", &member]).text(),
            n.to_string()
        );
        let value = server
            .call(&["HGET", "huge:hash", &format!("field:{old}")])
            .text();
        // A later write may have come to the same field.
        assert!(
            value.parse::<usize>().is_ok_and(|v| v >= n),
            "{old}: {value}"
        );
    }
}

#[test]
fn freeing_huge_collections_stalls_nobody() {
    let items = setting("STALL_ITEMS", 50_000) * 2;
    let server = ServerOptions::new(Make::Understudy).start();
    let mut client = server.client();
    client.set_read_timeout(LONG);
    fill_collections(&mut client, items);
    for (key, command) in [
        ("huge:set", "UNLINK"),
        ("huge:zset", "UNLINK"),
        ("huge:hash", "DEL"),
        ("huge:list", "DEL"),
    ] {
        probed(&server, &format!("{command} of {key}"), || {
            let reply = client.call(&[command, key]);
            assert_eq!(reply.int(), Some(1));
            wait_for("it is freed", LONG, || {
                server.info("lazyfree_pending_objects") == "0"
            });
        });
    }
}
