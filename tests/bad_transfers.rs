//! Full syncs that are cut, corrupted, stalled and dripped on their way, through real sockets: the old data
//! serves on, and the replica ends in sync.
//!
//! `BAD_TRANSFERS=1000` spoils so many of each kind; by default a few.

mod common;

use common::{Fault, LONG, Make, Proxy, Server, ServerOptions, seed, setting, wait_for};
use fastrand::Rng;

fn rounds() -> usize {
    setting("BAD_TRANSFERS", 12)
}

fn follow(replica: &Server, proxy: &Proxy) {
    replica.call(&["REPLICAOF", "127.0.0.1", &proxy.port.to_string()]);
}

fn spoilt_by(make: Make, diskless: &str) {
    let master = ServerOptions::new(make)
        .with("repl-diskless-sync", diskless)
        .with("repl-diskless-sync-delay", 0)
        .start();
    seed::fill(&mut master.client(), 4, "k", 2000);
    let proxy = Proxy::new(master.port);
    let replica = ServerOptions::new(Make::Understudy).start();
    // How long the payload is.
    follow(&replica, &proxy);
    replica.wait_synced(LONG);
    let payload = proxy.payload();
    assert!(payload > 10_000, "{payload}");
    let before = replica.digest();
    replica.call(&["REPLICAOF", "NO", "ONE"]);
    replica.call(&["SET", "mine", "alone"]);
    let own = replica.digest();
    assert_ne!(before, own);

    let mut rng = Rng::with_seed(5);
    // Behind the header, and before an end mark: what is changed there is no dump, and waits for ever.
    let (from, to) = (64, payload - 200);
    let mut whole = 0;
    for round in 0..rounds() * 2 {
        let fault = if round % 2 == 0 {
            Fault::Cut
        } else {
            Fault::Corrupt
        };
        let faults = proxy.faults();
        // A fresh replid, so that nothing can be continued.
        replica.call(&["DEBUG", "CHANGE-REPL-ID"]);
        proxy.spoil(fault, rng.usize(from..to));
        follow(&replica, &proxy);
        let spoilt = || proxy.faults() > faults;
        wait_for("the sync is spoilt", LONG, || {
            spoilt() || replica.info("master_link_status") == "up"
        });
        if !spoilt() {
            // The same data is compressed to one size or another, by up to a hundredth: this dump was shorter.
            whole += 1;
            assert_eq!(replica.digest(), before);
            replica.call(&["REPLICAOF", "NO", "ONE"]);
            replica.call(&["SET", "mine", "alone"]);
            continue;
        }
        assert_eq!(replica.call(&["GET", "mine"]).text(), "alone");
        wait_for("the replica has noticed", LONG, || {
            replica.info("master_sync_in_progress") == "0"
        });
        assert_eq!(replica.info("master_link_status"), "down");
        assert_eq!(replica.digest(), own, "after {fault:?} of round {round}");
        replica.call(&["REPLICAOF", "NO", "ONE"]);
    }
    assert!(whole <= rounds() / 10 + 1, "{whole} dumps were shorter");
    for fault in [Fault::Drip, Fault::Stall] {
        replica.call(&["DEBUG", "CHANGE-REPL-ID"]);
        proxy.spoil(fault, rng.usize(from..to));
        follow(&replica, &proxy);
        replica.wait_synced(LONG);
        assert_eq!(replica.digest(), before);
        replica.call(&["REPLICAOF", "NO", "ONE"]);
        replica.call(&["SET", "mine", "alone"]);
    }
}

#[test]
fn what_a_redis_server_streams_is_spoilt() {
    spoilt_by(Make::Redis, "yes");
}

#[test]
fn what_a_redis_server_saved_is_spoilt() {
    spoilt_by(Make::Redis, "no");
}

#[test]
fn what_we_stream_is_spoilt() {
    spoilt_by(Make::Understudy, "yes");
}

/// A replica whose data and the master's don't fit into its limit together.
#[test]
fn what_does_not_fit_beside_the_old_data_is_given_up_or_takes_its_place() {
    let master = ServerOptions::new(Make::Redis).start();
    seed::incompressible(&mut master.client(), "big:", 2000, 5000);
    let replica = ServerOptions::new(Make::Understudy)
        .with("replica-load-memory-limit", "5mb")
        // Writes of its own that are to be kept would not be flushed.
        .with("repl-keep-discarded", "no")
        .start();
    seed::fill(&mut replica.client(), 5, "own", 500);
    let own = replica.digest();
    replica.call(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
    wait_for("it is given up", LONG, || {
        replica
            .log()
            .contains("keeping the old data, as replica-load-fallback says")
    });
    assert_eq!(replica.digest(), own);
    assert_eq!(replica.info("master_link_status"), "down");
    // Told to, it lets the old data go first.
    replica.call(&["CONFIG", "SET", "replica-load-fallback", "flush"]);
    replica.call(&["REPLICAOF", "NO", "ONE"]);
    replica.call(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
    wait_for("it is flushed", LONG, || {
        replica
            .log()
            .contains("flushing the old data before the next sync")
    });
    replica.wait_synced(LONG);
    assert_eq!(replica.digest(), master.digest());
}

/// Whose data made room for a sync that then did not come has nothing that a replica could resume.
#[test]
fn what_was_flushed_to_make_room_is_no_history_to_resume() {
    let mut master = ServerOptions::new(Make::Understudy)
        .with("repl-diskless-sync-delay", 0)
        .with("repl-backlog-size", "16kb")
        .start();
    let big = |key: &str| seed::incompressible(&mut master.client(), key, 2000, 2000);
    big("first:");
    let middle = ServerOptions::new(Make::Understudy)
        .with("repl-diskless-sync-delay", 0)
        .with("replica-load-fallback", "flush")
        .replica_of(master.port)
        .start();
    middle.wait_synced(LONG);
    let last = ServerOptions::new(Make::Understudy)
        .replica_of(middle.port)
        .start();
    last.wait_synced(LONG);
    assert_eq!(last.digest(), master.digest());
    let held = last.digest();

    // The next sync is a full one, and does not fit; then the master is gone.
    middle.call(&["REPLICAOF", "127.0.0.1", "1"]);
    middle.call(&["CONFIG", "SET", "replica-load-memory-limit", "1mb"]);
    big("second:");
    let proxy = Proxy::new(master.port);
    // So that the next try is not done before it is cut.
    proxy.throttle(2 << 20);
    follow(&middle, &proxy);
    wait_for("it is flushed", LONG, || {
        middle
            .log()
            .contains("flushing the old data before the next sync")
    });
    proxy.refuse(true);
    master.kill();
    wait_for("it is empty", LONG, || {
        middle.call(&["DBSIZE"]).int() == Some(0)
    });
    middle.call(&["REPLICAOF", "NO", "ONE"]);
    let offered = "The old data serves on and the sync is tried again";
    wait_for("the other sees that it is empty", LONG, || {
        last.log().contains(offered)
    });
    assert_eq!(last.digest(), held);
    assert_eq!(last.info("master_link_status"), "down");
    assert!(!middle.log().contains("Partial resynchronization request"));
}
