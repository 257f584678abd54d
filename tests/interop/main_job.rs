//! The main job: a million keys of all five types flow through a chain of three nodes of both makes, while
//! writes go on and links are cut; all that follows is partial, and all three end with equal data.
//!
//! `INTEROP_KEYS` sets another number of keys than the million.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;

use crate::common::{Make, Proxy, RespClient, Server, ServerOptions, seed, wait_for};

const KEYS: usize = 1_000_000;
const CUTS: usize = 20;
/// Elements of each large collection.
const LARGE: usize = 100_000;
/// Writes that must have come through between two cuts.
const WRITES_BETWEEN_CUTS: u64 = 300;
const LONG: Duration = Duration::from_secs(240);

fn keys() -> usize {
    std::env::var("INTEROP_KEYS").ok().and_then(|n| n.parse().ok()).unwrap_or(KEYS)
}

/// Writes at random until told to stop; counts.
fn writer(port: u16, stop: Arc<AtomicBool>, written: Arc<AtomicU64>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut client = RespClient::connect(port).expect("the master takes a connection");
        let mut rng = Rng::with_seed(7);
        while !stop.load(Ordering::Acquire) {
            let commands: Vec<_> = (0..20).map(|_| seed::write(&mut rng, 5000)).collect();
            written.fetch_add(client.pipeline(&commands).len() as u64, Ordering::AcqRel);
        }
    })
}

fn offset(server: &Server) -> u64 {
    server.info("master_repl_offset").parse().unwrap_or(0)
}

fn wait_equal(chain: &[&Server]) {
    wait_for("every node has the master's offset", LONG, || {
        let want = offset(chain[0]);
        chain.iter().all(|server| offset(server) == want)
    });
    let digests: Vec<_> = chain.iter().map(|server| server.digest()).collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

/// One collection of each type that is far past the compact encodings.
fn add_large_collections(client: &mut RespClient) {
    let items = |from: usize, f: &dyn Fn(usize) -> Vec<String>| (from..from + 1000).flat_map(f).collect::<Vec<_>>();
    for from in (0..LARGE).step_by(1000) {
        let commands: Vec<Vec<String>> = [
            ("RPUSH", "large:list", items(from, &|n| vec![format!("value:{n}")])),
            ("SADD", "large:set", items(from, &|n| vec![format!("member:{n}")])),
            ("HSET", "large:hash", items(from, &|n| vec![format!("field:{n}"), format!("value:{n}")])),
            ("ZADD", "large:zset", items(from, &|n| vec![n.to_string(), format!("member:{n}")])),
        ]
        .into_iter()
        .map(|(name, key, items)| [vec![name.to_owned(), key.to_owned()], items].concat())
        .collect();
        for reply in client.pipeline(&commands) {
            assert!(!reply.is_error(), "{reply:?}");
        }
    }
}

fn main_job(makes: [Make; 3]) {
    let backlog = |make| ServerOptions::new(make).with("repl-backlog-size", "512mb");
    let first = backlog(makes[0]).start();
    seed::fill(&mut first.client(), 1, "big", keys());
    add_large_collections(&mut first.client());
    let to_first = Proxy::new(first.port);
    let second = backlog(makes[1]).replica_of(to_first.port).start();
    let to_second = Proxy::new(second.port);
    let third = backlog(makes[2]).replica_of(to_second.port).start();
    second.wait_synced(LONG);
    third.wait_synced(LONG);

    let stop = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicU64::new(0));
    let writing = writer(first.port, stop.clone(), written.clone());
    let mut rng = Rng::with_seed(3);
    for cut in 0..CUTS {
        let until = written.load(Ordering::Acquire) + WRITES_BETWEEN_CUTS;
        wait_for("writes flow", LONG, || written.load(Ordering::Acquire) >= until);
        let (proxy, replica) = if cut % 2 == 0 { (&to_first, &second) } else { (&to_second, &third) };
        let before = proxy.accepted();
        if rng.bool() {
            // Away for a moment, so that there is something to catch up with.
            proxy.refuse(true);
            let until = written.load(Ordering::Acquire) + WRITES_BETWEEN_CUTS;
            wait_for("writes flow", LONG, || written.load(Ordering::Acquire) >= until);
            proxy.refuse(false);
        } else {
            proxy.cut();
        }
        wait_for("the replica came back", LONG, || proxy.accepted() > before);
        replica.wait_synced(LONG);
    }
    stop.store(true, Ordering::Release);
    writing.join().expect("the writer's thread");
    wait_equal(&[&first, &second, &third]);

    for (server, full) in [(&first, "1"), (&second, "1"), (&third, "0")] {
        assert_eq!(server.info("sync_full"), full, "full syncs given by {:?}", server.options.make);
    }
    for server in [&first, &second] {
        let partial: u64 = server.info("sync_partial_ok").parse().unwrap_or(0);
        assert!(partial >= CUTS as u64 / 2, "{partial} partial syncs given by {:?}", server.options.make);
    }
}

#[test]
fn redis_understudy_redis() {
    main_job([Make::Redis, Make::Understudy, Make::Redis]);
}

#[test]
fn understudy_redis_understudy() {
    main_job([Make::Understudy, Make::Redis, Make::Understudy]);
}
