//! The shared test machinery, tried on redis-server alone.

mod common;

use std::time::Duration;

use common::{Proxy, RawReply, Server, ServerOptions, seed};

#[test]
fn a_seed_makes_the_same_data_twice() {
    let servers = [Server::redis(), Server::redis()];
    let digests = servers.each_ref().map(|server| {
        let mut client = server.client();
        seed::fill(&mut client, 7, "k:", 3000);
        let mut rng = fastrand::Rng::with_seed(8);
        let writes: Vec<_> = (0..3000)
            .map(|_| seed::write(&mut rng, 100))
            // What pops at random or takes its id from the clock differs by nature.
            .filter(|command| command[0] != b"SPOP" && command[0] != b"XADD")
            .filter(|command| !command.contains(&b"9000".to_vec()))
            .collect();
        seed::send_all(&mut client, &writes);
        server.digest()
    });
    assert_eq!(digests[0], digests[1]);
    assert_ne!(digests[0], "0".repeat(40));
}

#[test]
fn replies_show_what_came_over_the_wire() {
    let server = Server::redis();
    let (mut two, mut three) = (server.client(), server.client3());
    two.call(&["HSET", "h", "f", "1"]);
    assert_eq!(two.call(&["GET", "none"]), RawReply::NullBulk);
    assert_eq!(three.call(&["GET", "none"]), RawReply::Null);
    assert_eq!(two.call(&["BLPOP", "none", "0.01"]), RawReply::NullArray);
    assert_eq!(two.call(&["HGETALL", "h"]).strings(), [b"f", b"1"]);
    let map = vec![(RawReply::Bulk(b"f".into()), RawReply::Bulk(b"1".into()))];
    assert_eq!(three.call(&["HGETALL", "h"]), RawReply::Map(map));
    assert!(two.call(&["LPUSH", "h", "x"]).is_error());
}

#[test]
fn a_cut_link_is_made_again() {
    let master = Server::redis();
    let proxy = Proxy::new(master.port);
    let replica = ServerOptions::new(common::Make::Redis)
        .replica_of(proxy.port)
        .start();
    let timeout = Duration::from_secs(60);
    replica.wait_synced(timeout);
    proxy.cut();
    common::wait_for("the replica has come back", timeout, || {
        proxy.accepted() >= 2
    });
    replica.wait_synced(timeout);
    assert_eq!(master.info("sync_partial_ok"), "1");
}
