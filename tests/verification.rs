//! REPLICATION VERIFY and REPAIR between nodes, and what they say to peers that are none of ours.

mod common;

use std::time::Duration;

use common::{LONG, Load, Make, RespClient, Server, ServerOptions, seed, wait_for};

fn attached(options: ServerOptions) -> Server {
    let replica = options.start();
    replica.wait_synced(LONG);
    replica
}

fn ours(master: &Server) -> ServerOptions {
    ServerOptions::new(Make::Understudy).replica_of(master.port)
}

/// The lines of a verification; one that could not be made, since a snapshot was on its way, is made again.
fn verify(client: &mut RespClient, with: &str) -> Vec<String> {
    let mut lines = Vec::new();
    wait_for("a verification comes to its end", LONG, || {
        let reply = client.call(&["REPLICATION", "VERIFY", with]);
        lines = match reply.is_error() {
            true => vec![reply.text()],
            false => texts(&reply.strings()),
        };
        !lines[0].contains("a snapshot is")
    });
    lines
}

fn texts(all: &[Vec<u8>]) -> Vec<String> {
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    all.iter().map(text).collect()
}

fn info_says(server: &Server, what: &str) -> bool {
    server.info("verification0").contains(what)
}

#[test]
fn a_replica_that_is_equal_is_said_to_be() {
    let master = ServerOptions::new(Make::Understudy)
        .with("shards", 3)
        .start();
    let mut client = master.client();
    seed::fill(&mut client, 1, "first", 3000);
    client.call(&["SELECT", "5"]);
    seed::fill(&mut client, 2, "second", 300);
    let replica = attached(ours(&master).with("shards", 7));
    let load = Load::start(master.port, 2, 1000);
    let mut asked = replica.client();
    for _ in 0..5 {
        let lines = verify(&mut asked, "MASTER");
        assert!(
            lines.len() == 1 && lines[0].contains("equal at offset"),
            "{lines:?}"
        );
    }
    let lines = verify(&mut client, "REPLICA");
    let name = format!("127.0.0.1:{}: equal at offset", replica.port);
    assert!(lines.len() == 1 && lines[0].starts_with(&name), "{lines:?}");
    drop(load);
    for server in [&master, &replica] {
        assert!(info_says(server, "result=equal") && info_says(server, "differing=0"));
        let explained = texts(&server.call(&["REPLICATION", "EXPLAIN"]).strings());
        let told = |line: &String| line.starts_with("verified") && line.contains(": equal at");
        assert!(explained.iter().any(told), "{explained:?}");
    }
    // The digest's stops left the stream as it was.
    wait_for("the replica has caught up", LONG, || {
        replica.info("master_repl_offset") == master.info("master_repl_offset")
    });
    assert_eq!(replica.digest(), master.digest());
    assert_eq!(replica.info("sync_full"), "0");
    assert_eq!(master.info("sync_full"), "1");
}

#[test]
fn what_differs_is_named_and_repaired() {
    let master = Server::understudy();
    let mut client = master.client();
    seed::fill(&mut client, 3, "data", 2000);
    for n in 0..100 {
        client.call(&["SET", &format!("plain:{n}"), "value"]);
    }
    client.call(&["RPUSH", "list", "a", "b", "c"]);
    client.call(&["ZADD", "scores", "1", "one"]);
    let replica = attached(ours(&master).with("replica-read-only", "no"));
    let chained = attached(ours(&replica));
    let mut there = replica.client();
    let mut expected = Vec::new();
    let mut differs = |command: &[&str], key: &str, how: &str| {
        assert!(!there.call(command).is_error(), "{command:?}");
        expected.push(format!("  db0 {key} {how}"));
    };
    differs(&["SETRANGE", "plain:1", "0", "V"], "plain:1", "differs");
    differs(&["PEXPIRE", "plain:2", "10000000"], "plain:2", "differs");
    differs(&["DEL", "plain:3"], "plain:3", "missing at the replica");
    differs(&["SET", "strange", "1"], "strange", "only at the replica");
    differs(&["LSET", "list", "1", "B"], "list", "differs");
    differs(&["ZADD", "scores", "1.5", "one"], "scores", "differs");
    expected.sort();

    let lines = verify(&mut client, "REPLICA");
    assert!(
        lines[0].contains("different: 6 keys at offset"),
        "{lines:?}"
    );
    let mut found = lines[1..].to_vec();
    found.sort();
    assert_eq!(found, expected);
    for server in [&master, &replica] {
        assert!(info_says(server, "result=different") && info_says(server, "differing=6"));
        let explained = texts(&server.call(&["REPLICATION", "EXPLAIN"]).strings());
        assert!(explained.contains(&expected[0]), "{explained:?}");
    }
    // Its own replica has what it was sent, not what was done there by hand.
    let lines = verify(&mut there, "REPLICA");
    assert!(lines[0].contains("different: 6 keys"), "{lines:?}");

    let before = master.digest();
    let repaired = texts(&client.call(&["REPLICATION", "REPAIR", "REPLICA"]).strings());
    assert_eq!(repaired, ["6 keys sent through the stream"]);
    assert_eq!(master.digest(), before);
    for (client, lower) in [(&mut client, &replica), (&mut there, &chained)] {
        wait_for("what was sent is there", LONG, || {
            lower.info("master_repl_offset") == master.info("master_repl_offset")
        });
        let lines = verify(client, "REPLICA");
        assert!(lines[0].contains(": equal at offset"), "{lines:?}");
        assert_eq!(lower.digest(), before);
        assert_eq!(
            lower.info("sync_full"),
            if lower.port == chained.port { "0" } else { "1" }
        );
    }
}

#[test]
fn thousands_of_keys_that_differ_are_counted_and_the_first_hundred_named() {
    let master = Server::understudy();
    let mut client = master.client();
    client.call(&["DEBUG", "POPULATE", "20000", "key", "10"]);
    let replica = attached(ours(&master).with("replica-read-only", "no"));
    let mut there = replica.client();
    let commands: Vec<Vec<String>> = (0..12_000)
        .map(|n| vec!["SET".to_owned(), format!("key:{n}"), "other".to_owned()])
        .collect();
    there.pipeline(&commands);
    let lines = verify(&mut there, "MASTER");
    assert!(lines[0].contains("different: 12000 keys"), "{}", lines[0]);
    assert_eq!(lines.len(), 1 + 100 + 1);
    assert_eq!(lines[101], "  and 11900 more");
    let repaired = texts(&client.call(&["REPLICATION", "REPAIR", "REPLICA"]).strings());
    assert_eq!(
        repaired[0], "10000 keys sent through the stream",
        "{repaired:?}"
    );
    assert!(
        repaired[1].starts_with("at least 2000 keys"),
        "{repaired:?}"
    );
    let lines = verify(&mut there, "MASTER");
    assert!(lines[0].contains("different: 2000 keys"), "{}", lines[0]);
}

#[test]
fn peers_that_are_none_of_ours_are_told_apart() {
    let redis = Server::redis();
    let replica = attached(ours(&redis));
    let said = verify(&mut replica.client(), "MASTER");
    assert!(said[0].contains("no node of ours"), "{said:?}");
    assert!(info_says(&replica, "result=failed"));
    assert_eq!(replica.info("master_link_status"), "up");

    let master = Server::understudy();
    let redis = attached(ServerOptions::new(Make::Redis).replica_of(master.port));
    let said = verify(&mut master.client(), "REPLICA");
    assert_eq!(said.len(), 1);
    assert!(said[0].contains(&redis.port.to_string()) && said[0].contains("no node of ours"));
    let error = |command: &[&str]| {
        let reply = master.call(command);
        assert!(reply.is_error(), "{command:?}");
        reply.text()
    };
    assert!(error(&["REPLICATION", "VERIFY", "MASTER"]).contains("no master"));
    assert!(error(&["REPLICATION", "REPAIR", "REPLICA"]).contains("nothing is known"));
    assert!(error(&["REPLICATION", "DIGEST", "NONSENSE", "1"]).contains("syntax"));
    assert!(error(&["REPLICATION", "DIGEST", "KEYS", "1", "0"]).contains("no such verification"));
}

#[test]
fn a_period_verifies_again_and_again() {
    let master = Server::understudy();
    let replica = attached(ours(&master).with("repl-verify-period", 1));
    let verifications = || master.info("verifications").parse().unwrap_or(0);
    wait_for("several verifications", LONG, || verifications() >= 2);
    assert!(info_says(&master, "result=equal"));
    let mut client = replica.client();
    client.set_read_timeout(Duration::from_secs(60));
    wait_for("the order is carried out between two others", LONG, || {
        !client
            .call(&["REPLICATION", "VERIFY", "PERIOD", "0"])
            .is_error()
    });
    let set = client.call(&["CONFIG", "GET", "repl-verify-period"]);
    assert_eq!(texts(&set.strings())[1], "0");
}
