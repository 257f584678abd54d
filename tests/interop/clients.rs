//! Clients that wait, that don't read, that are too many, and what CLIENT LIST says of them.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use crate::common::{LONG, Make, RespClient, Server, ServerOptions, wait_for};

/// A field of a client's line in CLIENT LIST, found by the client's name.
fn field(server: &Server, name: &str, field: &str) -> Option<String> {
    let list = server.call(&["CLIENT", "LIST"]).text();
    let line = list
        .lines()
        .find(|l| l.contains(&format!("name={name} ")))?;
    let start = format!("{field}=");
    let word = line.split(' ').find(|word| word.starts_with(&start))?;
    Some(word[start.len()..].to_owned())
}

fn number(server: &Server, name: &str, wanted: &str) -> usize {
    field(server, name, wanted).map_or(0, |text| text.parse().expect("a number"))
}

fn named(server: &Server, name: &str) -> RespClient {
    let mut client = server.client();
    assert_eq!(client.call(&["CLIENT", "SETNAME", name]).text(), "OK");
    client
}

#[test]
fn blocked_clients_are_told_when_we_become_a_replica() {
    let master = Server::redis();
    let server = Server::understudy();
    let mut waiters: Vec<RespClient> = [
        &["BLPOP", "list", "other", "0"][..],
        &["BZPOPMIN", "zset", "0"],
        &["BLMOVE", "list", "to", "LEFT", "LEFT", "0"],
    ]
    .iter()
    .map(|line| {
        let mut client = server.client();
        client.send(line);
        client.flush();
        client
    })
    .collect();
    wait_for("all are blocked", LONG, || {
        server.info("blocked_clients") == "3"
    });
    let port = master.port.to_string();
    let mut client = server.client();
    client.send(&["REPLICAOF", "127.0.0.1", &port]);
    client.send(&["INFO", "clients"]);
    client.flush();
    assert_eq!(client.read().text(), "OK");
    for waiter in &mut waiters {
        assert_eq!(
            waiter.read().text(),
            "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"
        );
        assert!(waiter.is_closed());
    }
    master.call(&["RPUSH", "list", "a", "b"]);
    server.wait_synced(LONG);
    wait_for("the data is there", LONG, || {
        server.call(&["LLEN", "list"]).int() == Some(2)
    });
    assert!(server.info("errorstat_UNBLOCKED").contains("count=3"));
}

#[test]
fn a_wait_that_became_forbidden_ends_when_it_would_be_served() {
    let master = Server::redis();
    let server = ServerOptions::new(Make::Understudy)
        .replica_of(master.port)
        .with("replica-read-only", "no")
        .start();
    server.wait_synced(LONG);
    let mut waiter = server.client();
    waiter.send(&["BLPOP", "list", "0"]);
    waiter.flush();
    wait_for("it is blocked", LONG, || {
        server.info("blocked_clients") == "1"
    });
    server.call(&["CONFIG", "SET", "replica-read-only", "yes"]);
    master.call(&["RPUSH", "list", "a"]);
    assert_eq!(
        waiter.read().text(),
        "READONLY You can't write against a read only replica."
    );
    assert_eq!(server.call(&["LLEN", "list"]).int(), Some(1));
}

#[test]
fn a_key_that_is_expired_by_then_serves_nobody() {
    let server = Server::understudy();
    let mut client = server.client();
    client.call(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
    let mut waiter = named(&server, "waiter");
    waiter.send(&["BRPOP", "k", "0"]);
    waiter.flush();
    wait_for("it is blocked", LONG, || {
        server.info("blocked_clients") == "1"
    });
    // Filled and expired within one unit: the wait goes on, and the key goes.
    for line in [
        &["MULTI"][..],
        &["RPUSH", "k", "a"],
        &["PEXPIRE", "k", "50"],
        &["DEBUG", "SLEEP", "0.1"],
        &["EXEC"],
    ] {
        client.call(line);
    }
    assert_eq!(server.call(&["DBSIZE"]).int(), Some(0));
    // Expired before a SWAPDB brings it: it is left to whoever looks at it.
    client.call(&["SELECT", "1"]);
    client.call(&["RPUSH", "k", "b"]);
    client.call(&["PEXPIRE", "k", "1"]);
    std::thread::sleep(Duration::from_millis(5));
    client.call(&["SWAPDB", "0", "1"]);
    assert_eq!(server.call(&["DBSIZE"]).int(), Some(1));
    assert_eq!(server.info("blocked_clients"), "1");
    server.call(&["DEL", "k"]);
    server.call(&["RPUSH", "k", "c"]);
    assert_eq!(waiter.read().strings(), [b"k", b"c"]);
}

#[test]
fn who_has_said_nothing_is_in_no_transaction() {
    for make in [Make::Understudy, Make::Redis] {
        let server = ServerOptions::new(make).start();
        let _silent = TcpStream::connect(("127.0.0.1", server.port)).expect("connected");
        wait_for("it is in CLIENT LIST", LONG, || {
            let list = server.call(&["CLIENT", "LIST"]).text();
            let silent = list.lines().find(|line| line.contains(" cmd=NULL "));
            silent.is_some_and(|line| {
                assert!(
                    line.contains(" flags=N ") && line.contains(" multi=-1 "),
                    "{line}"
                );
                true
            })
        });
    }
}

#[test]
fn client_list_shows_what_a_client_holds() {
    let server = Server::understudy();
    let mut client = named(&server, "one");
    let line = client.call(&["CLIENT", "INFO"]).text();
    // "CLIENT" and "INFO", and the 26 bytes that carry them.
    assert!(line.contains(" qbuf=26 "), "{line}");
    assert!(line.contains(" argv-mem=10 "), "{line}");

    let mut queueing = named(&server, "queueing");
    queueing.call(&["MULTI"]);
    queueing.call(&["SET", "key", &"x".repeat(5000)]);
    assert!(number(&server, "queueing", "multi-mem") > 5000);
    assert_eq!(number(&server, "queueing", "multi"), 1);

    let mut waiting = named(&server, "waiting");
    waiting.send(&["BLPOP", "nokey", "0"]);
    waiting.send(&["SET", "k", &"y".repeat(3000)]);
    waiting.flush();
    wait_for("what is held back shows", LONG, || {
        number(&server, "waiting", "qbuf") > 3000
    });
    assert_eq!(number(&server, "waiting", "argv-mem"), "BLPOPnokey0".len());

    let mut slow = named(&server, "slow");
    server.call(&["SET", "big", &"z".repeat(1 << 20)]);
    for _ in 0..30 {
        slow.send(&["GET", "big"]);
    }
    slow.flush();
    wait_for("its output waits", LONG, || {
        number(&server, "slow", "omem") > 1 << 20 && number(&server, "slow", "oll") >= 1
    });
    assert!(number(&server, "slow", "tot-mem") > 1 << 20);
    for _ in 0..30 {
        slow.read();
    }
    wait_for("it holds nothing", LONG, || {
        number(&server, "slow", "omem") == 0
    });
}

#[test]
fn paused_clients_count_as_blocked() {
    let server = Server::understudy();
    server.call(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    let mut client = named(&server, "held");
    client.send(&["SET", "a", "1"]);
    client.flush();
    wait_for("it is held up", LONG, || {
        server.info("blocked_clients") == "1"
    });
    assert_eq!(field(&server, "held", "flags").as_deref(), Some("b"));
    server.call(&["CLIENT", "UNPAUSE"]);
    assert_eq!(client.read().text(), "OK");
    assert_eq!(server.info("blocked_clients"), "0");
}

#[test]
fn a_pause_holds_up_a_replicas_stream() {
    let master = Server::redis();
    let server = ServerOptions::new(Make::Understudy)
        .replica_of(master.port)
        .start();
    server.wait_synced(LONG);
    server.call(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    master.call(&["SET", "a", "1"]);
    wait_for("the bytes have come", LONG, || {
        server.info("slave_read_repl_offset") == master.info("master_repl_offset")
    });
    assert!(server.call(&["GET", "a"]).is_null());
    server.call(&["CLIENT", "UNPAUSE"]);
    wait_for("they are applied", LONG, || {
        server.call(&["GET", "a"]).text() == "1"
    });
}

#[test]
fn who_passes_the_output_limit_gets_nothing() {
    let server = ServerOptions::new(Make::Understudy)
        .with("client-output-buffer-limit", "normal 100000 0 0")
        .start();
    let mut filler = server.client();
    for _ in 0..150 {
        filler.call(&["LPUSH", "list", &"x".repeat(1000)]);
    }
    let mut client = named(&server, "greedy");
    client.send(&["LRANGE", "list", "0", "-1"]);
    client.flush();
    assert!(client.is_closed());
    assert_eq!(field(&server, "greedy", "id"), None);
    // A transaction runs to its end all the same.
    let mut client = server.client();
    for line in [
        &["MULTI"][..],
        &["LRANGE", "list", "0", "-1"],
        &["SET", "ran", "1"],
    ] {
        client.call(line);
    }
    assert!(client.try_call(&["EXEC"]).is_err());
    assert_eq!(server.call(&["GET", "ran"]).text(), "1");
    // So many repetitions that they can't fit are not even made.
    server.call(&["HSET", "hash", "a", "b"]);
    server.call(&["SADD", "set", "a"]);
    for line in [
        ["HRANDFIELD", "hash", "-9000000000"],
        ["SRANDMEMBER", "set", "-9000000000"],
    ] {
        assert!(server.client().try_call(&line).is_err(), "{line:?}");
    }
    assert_eq!(server.call(&["PING"]).text(), "PONG");
}

#[test]
fn one_too_many_is_told_so() {
    let server = ServerOptions::new(Make::Understudy)
        .with("maxclients", 3)
        .start();
    let _connected: Vec<RespClient> = (0..3)
        .map(|_| {
            let mut client = server.client();
            wait_for("it is let in", LONG, || {
                let answer = client.try_call(&["PING"]);
                if answer.is_err() {
                    client = server.client();
                }
                answer.is_ok_and(|reply| !reply.is_error())
            });
            client
        })
        .collect();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("a connection");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it is told");
    assert_eq!(text, "-ERR max number of clients reached\r\n");
}

#[test]
fn renamed_commands_answer_to_their_new_names_only() {
    let server = ServerOptions::new(Make::Understudy)
        .with("rename-command", "GET FETCH")
        .with("rename-command", "FLUSHALL ''")
        .start();
    let mut client = server.client();
    client.call(&["SET", "a", "1"]);
    assert_eq!(client.call(&["fetch", "a"]).text(), "1");
    for name in ["GET", "FLUSHALL"] {
        let reply = client.call(&[name, "a"]).text();
        assert!(
            reply.starts_with(&format!("ERR unknown command '{name}'")),
            "{reply}"
        );
    }
    // What is queued answers to the same names.
    client.call(&["MULTI"]);
    assert_eq!(client.call(&["FETCH", "a"]).text(), "QUEUED");
    assert!(client.call(&["FLUSHALL"]).is_error());
    assert!(client.call(&["EXEC"]).text().starts_with("EXECABORT"));
    assert_eq!(client.call(&["DBSIZE"]).int(), Some(1));
}

#[test]
fn exec_is_judged_by_what_its_commands_may_not_do() {
    let server = Server::understudy();
    let mut client = server.client();
    client.call(&["SET", "a", "1"]);
    client.call(&["CONFIG", "SET", "replica-serve-stale-data", "no"]);
    client.call(&["MULTI"]);
    client.call(&["GET", "a"]);
    server.call(&["REPLICAOF", "127.0.0.1", "1"]);
    let reply = client.call(&["EXEC"]).text();
    assert!(
        reply.starts_with("EXECABORT Transaction discarded because of: MASTERDOWN"),
        "{reply}"
    );
}

#[test]
fn what_scan_finds_expired_is_no_transaction() {
    let master = Server::understudy();
    let mut client = master.client();
    client.call(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
    for key in ["a", "b", "c"] {
        client.call(&["SET", key, "1", "PX", "1"]);
    }
    std::thread::sleep(Duration::from_millis(5));
    let replica = ServerOptions::new(Make::Redis)
        .replica_of(master.port)
        .start();
    replica.wait_synced(LONG);
    let mut monitor = replica.client();
    assert_eq!(monitor.call(&["MONITOR"]).text(), "OK");
    client.call(&["SCAN", "0", "COUNT", "100"]);
    client.call(&["SET", "last", "1"]);
    let mut seen = Vec::new();
    loop {
        let line = monitor.read().text();
        seen.push(line.clone());
        if line.contains("last") {
            break;
        }
    }
    let text = seen.join("\n").to_lowercase();
    assert!(!text.contains("\"multi\""), "{text}");
    assert_eq!(text.matches("\"del\"").count(), 3, "{text}");
}
