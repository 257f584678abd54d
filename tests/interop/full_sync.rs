//! Requests go on while a replica gets a full sync: on the master, and on a replica from its old data. The
//! pauses are printed; only that nothing fails or stalls for long is asserted, since machines differ.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::common::{Make, RespClient, Server, ServerOptions, setting};

const LONG: Duration = Duration::from_secs(120);
/// A stall that is no scheduling accident, even on a busy machine.
const STALL: Duration = Duration::from_secs(1);

/// Asks one thing over and over; gives the worst pause and the number of answers.
fn probe(port: u16, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<(Duration, usize)> {
    std::thread::spawn(move || {
        let mut client = RespClient::connect(port).expect("a connection");
        let (mut worst, mut count) = (Duration::ZERO, 0);
        while !stop.load(Ordering::Acquire) {
            let start = Instant::now();
            let reply = client.call(&["GET", "key:1"]);
            assert!(!reply.is_error(), "{reply:?}");
            assert!(
                !reply.is_null(),
                "the data that was there before is still served"
            );
            worst = worst.max(start.elapsed());
            count += 1;
        }
        (worst, count)
    })
}

fn populated(make: Make, keys: usize) -> Server {
    let server = ServerOptions::new(make).start();
    assert_eq!(
        server
            .call(&["DEBUG", "POPULATE", &keys.to_string(), "key", "100"])
            .text(),
        "OK"
    );
    server
}

#[test]
fn requests_go_on_during_a_full_sync() {
    let keys = setting("INTEROP_KEYS", 1_000_000);
    let master = populated(Make::Understudy, keys);
    let replica = populated(Make::Understudy, 1000);
    let stop = Arc::new(AtomicBool::new(false));
    let probes = [
        probe(master.port, stop.clone()),
        probe(replica.port, stop.clone()),
    ];
    let target = master.port.to_string();
    assert_eq!(
        replica.call(&["REPLICAOF", "127.0.0.1", &target]).text(),
        "OK"
    );
    replica.wait_synced(LONG);
    stop.store(true, Ordering::Release);
    for (probe, who) in probes.into_iter().zip(["master", "replica"]) {
        let (worst, count) = probe.join().expect("the probe saw no error");
        println!("{who}: {count} requests during the sync of {keys} keys, worst {worst:?}");
        assert!(worst < STALL, "{who} stalled for {worst:?}");
    }
    assert_eq!(replica.digest(), master.digest());
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", master.pid()));
    assert_eq!(children.unwrap_or_default(), "", "the master never forks");
}
