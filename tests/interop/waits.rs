//! What ends a wait, and what doesn't: changes of role for WAIT and WAITAOF, refused failovers, and the effect
//! of a blocked command that was served.

use understudy::{Node, RespValue, Settings};

use crate::common::{LONG, Make, Proxy, RespClient, Server, ServerOptions, wait_for};

const TOLD: &str =
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";

/// A client that has sent a command and is blocked in it.
fn blocked(server: &Server, command: &[&str]) -> RespClient {
    let before = server.info("blocked_clients");
    let mut client = server.client();
    client.send(command);
    client.flush();
    wait_for("the client is blocked", LONG, || {
        server.info("blocked_clients") != before
    });
    client
}

/// Clients in every kind of wait that a change of role ends.
fn blocked_in_all_ways(server: &Server) -> Vec<RespClient> {
    vec![
        blocked(server, &["BLPOP", "list", "0"]),
        blocked(server, &["WAIT", "7", "0"]),
        blocked(server, &["WAIT", "7", "600000"]),
        blocked(server, &["WAITAOF", "0", "7", "0"]),
    ]
}

fn assert_told_and_closed(clients: &mut [RespClient]) {
    for client in clients {
        assert_eq!(client.read().text(), TOLD);
        assert!(client.is_closed());
    }
}

fn replica_of(port: u16) -> Server {
    let replica = ServerOptions::new(Make::Understudy)
        .replica_of(port)
        .start();
    replica.wait_synced(LONG);
    replica
}

#[test]
fn they_end_when_the_master_is_told_to_follow() {
    let master = Server::redis();
    let server = Server::understudy();
    let _replica = replica_of(server.port);
    let mut waiting = blocked_in_all_ways(&server);
    let port = master.port.to_string();
    server.call(&["REPLICAOF", "127.0.0.1", &port]);
    assert_told_and_closed(&mut waiting);
    assert!(server.info("errorstat_UNBLOCKED").contains("count=4"));
    assert_eq!(server.info("blocked_clients"), "0");
}

#[test]
fn they_end_when_a_failover_has_succeeded() {
    let server = Server::understudy();
    let replica = replica_of(server.port);
    let mut waiting = blocked_in_all_ways(&server);
    assert_eq!(server.call(&["FAILOVER"]).text(), "OK");
    assert_told_and_closed(&mut waiting);
    assert_eq!(replica.info("role"), "master");
}

/// The target refuses, so the master stays one: a client that was blocked still is, and is served.
#[test]
fn a_refused_failover_leaves_them_alone() {
    let server = Server::understudy();
    let proxy = Proxy::new(server.port);
    let theirs = ServerOptions::new(Make::Redis)
        .replica_of(proxy.port)
        .start();
    theirs.wait_synced(LONG);
    let mut popping = blocked(&server, &["BLPOP", "list", "0"]);
    let mut waiting = blocked(&server, &["WAIT", "2", "0"]);
    theirs.call(&["ACL", "SETUSER", "default", "-psync"]);
    assert_eq!(server.call(&["FAILOVER"]).text(), "OK");
    wait_for("the failover is called off", LONG, || {
        server.info("master_failover_state") == "no-failover" && server.info("role") == "master"
    });
    server.log_with("Failover target rejected psync");
    assert_eq!(server.info("blocked_clients"), "2");
    server.call(&["RPUSH", "list", "element"]);
    assert_eq!(
        popping.read().strings(),
        [b"list".to_vec(), b"element".to_vec()]
    );
    theirs.call(&["ACL", "SETUSER", "default", "+psync"]);
    let _second = replica_of(server.port);
    assert_eq!(waiting.read().int(), Some(2));
}

#[test]
fn an_aborted_failover_leaves_them_alone() {
    let server = Server::understudy();
    let proxy = Proxy::new(server.port);
    let replica = replica_of(proxy.port);
    let mut popping = blocked(&server, &["BLPOP", "list", "0"]);
    // The target, asked to take over, doesn't answer.
    proxy.freeze(true);
    let target = replica.port.to_string();
    let failover = [
        "FAILOVER",
        "TO",
        "127.0.0.1",
        &target,
        "FORCE",
        "TIMEOUT",
        "1",
    ];
    replica.call(&["CLIENT", "PAUSE", "600000", "ALL"]);
    server.call(&["SET", "behind", "1"]);
    assert_eq!(server.call(&failover).text(), "OK");
    wait_for("the target is asked", LONG, || {
        server.info("master_failover_state") == "failover-in-progress"
    });
    assert_eq!(server.call(&["FAILOVER", "ABORT"]).text(), "OK");
    assert_eq!(server.info("role"), "master");
    server.call(&["RPUSH", "list", "element"]);
    assert_eq!(
        popping.read().strings(),
        [b"list".to_vec(), b"element".to_vec()]
    );
}

/// The replica has not heard of the pop, so a WAIT after it must not count that replica.
#[test]
fn wait_after_a_served_pop_waits_for_the_pop() {
    let pops: [(&[&str], &[&str]); 8] = [
        (&["BLPOP", "k", "0"], &["RPUSH", "k", "a"]),
        (&["BRPOP", "k", "0"], &["RPUSH", "k", "a"]),
        (
            &["BLMOVE", "k", "to", "LEFT", "LEFT", "0"],
            &["RPUSH", "k", "a"],
        ),
        (&["BRPOPLPUSH", "k", "to", "0"], &["RPUSH", "k", "a"]),
        (&["BLMPOP", "0", "1", "k", "LEFT"], &["RPUSH", "k", "a"]),
        (&["BZPOPMIN", "k", "0"], &["ZADD", "k", "1", "a"]),
        (&["BZPOPMAX", "k", "0"], &["ZADD", "k", "1", "a"]),
        (&["BZMPOP", "0", "1", "k", "MIN"], &["ZADD", "k", "1", "a"]),
    ];
    let server = Server::understudy();
    let proxy = Proxy::new(server.port);
    let _replica = replica_of(proxy.port);
    for (pop, push) in pops {
        for pipelined in [true, false] {
            let mut client = server.client();
            client.send(pop);
            if pipelined {
                client.send(&["WAIT", "1", "0"]);
            }
            client.flush();
            wait_for("the client is blocked", LONG, || {
                server.info("blocked_clients") == "1"
            });
            proxy.freeze(true);
            assert_eq!(server.call(push).int(), Some(1));
            let popped = client.read();
            assert!(
                !popped.is_error() && !popped.is_null(),
                "{pop:?}: {popped:?}"
            );
            if !pipelined {
                client.send(&["WAIT", "1", "0"]);
                client.flush();
            }
            wait_for("WAIT waits", LONG, || server.info("blocked_clients") == "1");
            proxy.freeze(false);
            assert_eq!(client.read().int(), Some(1), "{pop:?}");
        }
    }
}

/// However a wait ends, its command ran for as long as it looked for something to take.
#[test]
fn a_command_that_waited_in_vain_stands_in_the_slow_log() {
    let server = Server::understudy();
    server.call(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]);
    let mut client = server.client();
    let id = client.call(&["CLIENT", "ID"]).text();
    assert!(client.call(&["BLPOP", "list", "0.001"]).is_null());
    let pop = ["BLMOVE", "list", "to", "LEFT", "LEFT", "0"];
    client.send(&pop);
    client.flush();
    wait_for("the client is blocked", LONG, || {
        server.call(&["CLIENT", "UNBLOCK", &id, "ERROR"]).int() == Some(1)
    });
    assert!(client.read().is_error());
    let log = server.call(&["SLOWLOG", "GET", "-1"]);
    let commands: Vec<Vec<Vec<u8>>> = log
        .elements()
        .unwrap_or_default()
        .iter()
        .map(|entry| {
            entry
                .elements()
                .map_or(Vec::new(), |parts| parts[3].strings())
        })
        .collect();
    for command in [&["BLPOP", "list", "0.001"][..], &pop] {
        let words: Vec<Vec<u8>> = command
            .iter()
            .map(|word| word.as_bytes().to_vec())
            .collect();
        let times = commands.iter().filter(|logged| **logged == words).count();
        assert_eq!(times, 1, "{command:?}: {log:?}");
    }
    assert!(server.info("cmdstat_blmove").contains("failed_calls=1"));
}

// ---- in the same process ----

fn node() -> Node {
    let settings = Settings {
        port: 0,
        bind: Vec::new(),
        save: Vec::new(),
        ..Settings::default()
    };
    Node::start(settings).expect("a node without a port")
}

fn wait_until_blocked(node: &Node) {
    let mut client = node.client();
    wait_for("the client is blocked", LONG, || {
        match client.call(&["INFO", "clients"]) {
            RespValue::Verbatim(_, text) => {
                String::from_utf8_lossy(&text).contains("blocked_clients:1\r\n")
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn clients_in_the_same_process_are_told_as_well() {
    for command in [&["BLPOP", "list", "0"][..], &["WAIT", "7", "0"]] {
        let node = node();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let mut client = node.client();
                let told = client.call(command);
                // It has no connection to lose.
                (told, client.call(&["PING"]))
            });
            wait_until_blocked(&node);
            node.client().call(&["REPLICAOF", "127.0.0.1", "1"]);
            let (told, pong) = waiting.join().expect("the client's thread");
            assert_eq!(told, RespValue::Error(TOLD.into()), "{command:?}");
            assert_eq!(pong, RespValue::Simple("PONG".into()));
        });
        node.shutdown();
    }
}

#[test]
fn clients_in_the_same_process_can_be_unblocked() {
    for command in [&["BLPOP", "list", "0"][..], &["WAIT", "7", "0"]] {
        let node = node();
        std::thread::scope(|scope| {
            let mut client = node.client();
            let id = match client.call(&["CLIENT", "ID"]) {
                RespValue::Int(id) => id.to_string(),
                other => panic!("{other:?}"),
            };
            let waiting = scope.spawn(move || client.call(command));
            wait_until_blocked(&node);
            node.client().call(&["CLIENT", "UNBLOCK", &id, "ERROR"]);
            let told = waiting.join().expect("the client's thread");
            let wanted = "UNBLOCKED client unblocked via CLIENT UNBLOCK";
            assert_eq!(told, RespValue::Error(wanted.into()), "{command:?}");
        });
        node.shutdown();
    }
}
