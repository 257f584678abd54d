//! Delta resyncs: a replica that can't resume gets only what differs.

mod common;

use std::time::{Duration, Instant};

use common::{LONG, Make, Proxy, Server, ServerOptions, seed, setting, wait_for};

fn ours() -> ServerOptions {
    ServerOptions::new(Make::Understudy)
        .with("repl-delta-resync", "yes")
        .with("save", "")
}

/// A replica that has followed the stream for a while.
fn synced(master: &Server) -> Server {
    let replica = ours().replica_of(master.port).start();
    replica.wait_synced(LONG);
    master.call(&["SET", "first", "1"]);
    caught_up(master, &replica);
    replica
}

fn number(server: &Server, field: &str) -> u64 {
    server.info(field).parse().unwrap_or(0)
}

fn caught_up(master: &Server, replica: &Server) {
    wait_for("the replica has caught up", LONG, || {
        replica.info("master_link_status") == "up"
            && replica.info("master_repl_offset") == master.info("master_repl_offset")
            && replica.info("master_replid") == master.info("master_replid")
    });
    assert_eq!(replica.digest(), master.digest());
}

/// A replica that is cut off until the backlog has moved on, while `meanwhile` is done.
fn away(replica: &Server, master: &Server, meanwhile: impl FnOnce()) {
    replica.call(&["REPLICAOF", "127.0.0.1", "1"]);
    // What is held for a replica that is there would serve it later.
    wait_for("the master knows it", LONG, || {
        master.info("connected_slaves") == "0"
    });
    meanwhile();
    let port = master.port.to_string();
    replica.call(&["REPLICAOF", "127.0.0.1", &port]);
}

#[test]
fn a_replica_that_was_away_for_long_gets_what_differs() {
    let keys = setting("KEYS", 30_000);
    let master = ours()
        .with("repl-backlog-size", "16kb")
        .with("shards", 3)
        .start();
    let mut client = master.client();
    client.call(&["DEBUG", "POPULATE", &keys.to_string(), "key", "100"]);
    seed::fill(&mut client, 1, "data", 500);
    client.call(&["SELECT", "3"]);
    seed::fill(&mut client, 2, "other", 300);
    client.call(&["SELECT", "0"]);
    client.call(&[
        "FUNCTION",
        "LOAD",
        "#!lua name=old\nredis.register_function('f', function() return 1 end)",
    ]);
    let replica = ours().with("shards", 5).replica_of(master.port).start();
    replica.wait_synced(LONG);
    let chained = ours().replica_of(replica.port).start();
    chained.wait_synced(LONG);
    client.call(&["SET", "first", "1"]);
    caught_up(&master, &chained);
    let before = master.info("total_net_repl_output_bytes");
    away(&replica, &master, || {
        let value = "x".repeat(100);
        let changes: Vec<Vec<String>> = (0..keys / 100)
            .map(|n| {
                vec![
                    "SET".into(),
                    format!("key:{}", n * 97 % keys),
                    value.clone(),
                ]
            })
            .collect();
        client.pipeline(&changes);
        let word = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut more: Vec<Vec<String>> = (0..50)
            .map(|n| word(&format!("DEL key:{}", n * 13)))
            .collect();
        more.push(word("RPUSH list a b c"));
        more.push(word("PEXPIRE key:20001 100000000"));
        more.push(word("SELECT 3"));
        more.push(word("ZADD scores 1 one 2 two"));
        more.push(word("SELECT 0"));
        more.push(word("FUNCTION DELETE old"));
        client.pipeline(&more);
    });
    caught_up(&master, &replica);
    caught_up(&master, &chained);
    assert_eq!(
        number(&replica, "delta_resyncs"),
        1,
        "{}",
        replica.info("delta_resync_last")
    );
    assert_eq!(number(&chained, "delta_resyncs"), 1);
    assert_eq!(number(&master, "sync_full"), 1);
    assert_eq!(number(&replica, "sync_full"), 1);
    assert_eq!(
        replica
            .call(&["FUNCTION", "LIST"])
            .elements()
            .map(<[_]>::len),
        Some(0)
    );
    println!(
        "{before} {}: {}",
        master.info("total_net_repl_output_bytes"),
        replica.info("delta_resync_last")
    );
    let lines = client.call(&["REPLICATION", "VERIFY", "REPLICA"]).strings();
    let lines = String::from_utf8_lossy(&lines.concat()).into_owned();
    assert!(lines.contains(": equal at offset"), "{lines}");
}

#[test]
fn writes_meanwhile_are_part_of_it() {
    let master = ours().with("repl-backlog-size", "16kb").start();
    let mut client = master.client();
    client.call(&["DEBUG", "POPULATE", "20000", "key", "50"]);
    let replica = synced(&master);
    away(&replica, &master, || {
        let changes: Vec<Vec<String>> = (0..300)
            .map(|n| vec!["SET".into(), format!("key:{n}"), "z".repeat(100)])
            .collect();
        client.pipeline(&changes);
    });
    // All kinds of writes go on, as fast as one client can that waits for each answer, until the replica is back.
    let mut rng = fastrand::Rng::with_seed(5);
    while replica.info("master_link_status") != "up" {
        for _ in 0..20 {
            client.call(&seed::write(&mut rng, 500));
            client.call(&["DEL", &format!("key:{}", rng.u32(..20_000))]);
        }
    }
    caught_up(&master, &replica);
    assert!(
        number(&replica, "delta_resyncs") > 0,
        "{}",
        replica.info("delta_resync_last")
    );
}

#[test]
fn an_old_master_that_comes_back_costs_no_full_sync() {
    let first = ours().start();
    let mut client = first.client();
    client.call(&["DEBUG", "POPULATE", "20000", "key", "100"]);
    let second = ours().replica_of(first.port).start();
    second.wait_synced(LONG);
    client.call(&["SET", "common", "1"]);
    caught_up(&first, &second);
    // The first goes on for a moment on its own, as one that was cut off.
    second.call(&["REPLICAOF", "NO", "ONE"]);
    for n in 0..200 {
        client.call(&["SET", &format!("lost:{n}"), "1"]);
        client.call(&["SET", &format!("key:{n}"), "changed"]);
        second.call(&["SET", &format!("won:{n}"), "1"]);
    }
    first.call(&["REPLICAOF", "127.0.0.1", &second.port.to_string()]);
    caught_up(&second, &first);
    assert_eq!(
        number(&first, "delta_resyncs"),
        1,
        "{}",
        first.info("delta_resync_last")
    );
    assert_eq!(number(&second, "sync_full"), 0);
    assert!(first.call(&["GET", "lost:7"]).is_null());
    assert_eq!(first.call(&["GET", "won:7"]).text(), "1");
}

#[test]
fn what_is_too_much_or_can_not_be_told_is_a_full_sync() {
    let master = ours().with("repl-backlog-size", "16kb").start();
    let mut client = master.client();
    client.call(&["DEBUG", "POPULATE", "5000", "key", "100"]);
    let replica = synced(&master);
    away(&replica, &master, || {
        client.call(&["FLUSHALL"]);
        client.call(&["DEBUG", "POPULATE", "5000", "other", "100"]);
        let filler: Vec<Vec<String>> = (0..300)
            .map(|n| vec!["SET".into(), format!("other:{n}"), "y".repeat(100)])
            .collect();
        client.pipeline(&filler);
    });
    caught_up(&master, &replica);
    assert_eq!(number(&replica, "delta_resyncs_failed"), 1);
    let why = replica.info("delta_resync_last");
    assert!(why.contains("keys differ"), "{why}");
    assert_eq!(number(&master, "sync_full"), 2);
}

#[test]
fn a_master_that_does_not_want_them_gives_a_full_sync_at_once() {
    let master = ours()
        .with("repl-delta-resync", "no")
        .with("repl-backlog-size", "16kb")
        .start();
    let mut client = master.client();
    client.call(&["DEBUG", "POPULATE", "2000", "key", "100"]);
    let replica = synced(&master);
    away(&replica, &master, || {
        let changes: Vec<Vec<String>> = (0..300)
            .map(|n| vec!["SET".into(), format!("key:{n}"), "z".repeat(100)])
            .collect();
        client.pipeline(&changes);
    });
    caught_up(&master, &replica);
    assert_eq!(number(&replica, "delta_resyncs_failed"), 0);
    assert_eq!(number(&master, "sync_full"), 2);
    let refused = master.call(&["REPLICATION", "DELTA", "OPEN", "0123456789abcdef", "8"]);
    assert!(
        refused.text().contains("repl-delta-resync is off"),
        "{refused:?}"
    );
}

/// Whatever the byte after which the connections are cut, the data is the old or the new.
#[test]
fn cut_links_leave_the_old_data_whole() {
    let master = ours().with("repl-backlog-size", "16kb").start();
    let mut client = master.client();
    client.call(&["DEBUG", "POPULATE", "20000", "key", "100"]);
    let proxy = Proxy::new(master.port);
    let replica = ours().replica_of(proxy.port).start();
    replica.wait_synced(LONG);
    for round in 0..setting("CUTS", 3) {
        let before = replica.digest();
        let offset = replica.info("master_repl_offset");
        proxy.refuse(true);
        proxy.cut();
        let changes: Vec<Vec<String>> = (0..300)
            .map(|n| {
                vec![
                    "SET".into(),
                    format!("key:{}", n * 7),
                    format!("{round}").repeat(90),
                ]
            })
            .collect();
        client.pipeline(&changes);
        assert_eq!(replica.digest(), before);
        proxy.refuse(false);
        let end = Instant::now() + Duration::from_millis(60 * (round as u64 % 10));
        while Instant::now() < end {
            std::thread::yield_now();
        }
        proxy.cut();
        let now = replica.digest();
        let moved = replica.info("master_repl_offset") != offset;
        assert!(now == before || moved);
        caught_up(&master, &replica);
    }
    assert!(number(&replica, "delta_resyncs") > 0);
}
