//! Requests go on while a replica gets a full sync: on the master, and on a replica from its old data. The
//! pauses are printed; only that nothing fails, and that the nodes' own work stalls nothing for long, is asserted, since
//! machines differ.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::{LONG, Make, Server, ServerOptions, SetAtEnd, StallProbe, setting};

/// So long a node may work while a request waits.
const STALL: Duration = Duration::from_secs(1);

/// Asks one thing over and over; gives the worst pause, of which the node was at work, and the number of answers.
fn probe(server: &Server, stop: &AtomicBool) -> (Duration, usize) {
    let mut probe = StallProbe::new(server);
    while !stop.load(Ordering::Acquire) {
        let reply = probe.call(&["GET", "key:1"]);
        assert!(!reply.is_error(), "{reply:?}");
        assert!(
            !reply.is_null(),
            "the data that was there before is still served"
        );
    }
    (probe.worst, probe.taken.len())
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
    let stop = AtomicBool::new(false);
    let target = master.port.to_string();
    let probes = std::thread::scope(|scope| {
        let _stop = SetAtEnd(&stop);
        let probes = [&master, &replica].map(|server| scope.spawn(|| probe(server, &stop)));
        let reply = replica.call(&["REPLICAOF", "127.0.0.1", &target]);
        assert_eq!(reply.text(), "OK");
        replica.wait_synced(LONG);
        stop.store(true, Ordering::Release);
        probes.map(|probe| probe.join().expect("the probe saw no error"))
    });
    for ((worst, count), who) in probes.into_iter().zip(["master", "replica"]) {
        println!("{who}: {count} requests during the sync of {keys} keys, worst {worst:?}");
        assert!(worst < STALL, "{who} stalled for {worst:?}");
    }
    assert_eq!(replica.digest(), master.digest());
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", master.pid()));
    assert_eq!(children.unwrap_or_default(), "", "the master never forks");
}
