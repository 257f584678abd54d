//! What operators rely on: failovers that lose nothing, a replica that an empty master does not empty, and
//! words for what happened.
//!
//! `FAILOVERS=50` runs the ring of three at its full length; by default it is shorter.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::{
    LONG, Make, Proxy, RawReply, RespClient, Server, ServerOptions, SetAtEnd, seed, setting,
    wait_for,
};

fn node(make: Make) -> ServerOptions {
    ServerOptions::new(make).with("repl-ping-replica-period", 1)
}

fn keys(server: &Server) -> i64 {
    server.call(&["DBSIZE"]).int().expect("a number")
}

fn count(server: &Server, field: &str) -> u64 {
    server.info(field).parse().unwrap_or(0)
}

fn wait_equal(nodes: &[&Server]) {
    wait_for("all nodes are at the same offset", LONG, || {
        let offset = nodes[0].info("master_repl_offset");
        nodes.iter().all(|n| n.info("master_repl_offset") == offset)
    });
    let digest = nodes[0].digest();
    for node in nodes {
        assert_eq!(node.digest(), digest, "{:?}", node.options);
    }
}

/// What waits for disks or name servers is answered in its place, and does not keep others.
#[test]
fn commands_behind_one_that_waits_for_the_disk_keep_their_order() {
    let server = node(Make::Understudy)
        .with("enable-protected-configs", "yes")
        .start();
    let dir = server.dir().display().to_string();
    let mut client = server.client();
    let mut batch: Vec<Vec<&str>> = Vec::new();
    for _ in 0..20 {
        batch.push(vec!["INCR", "n"]);
        batch.push(vec!["CONFIG", "SET", "dir", &dir, "timeout", "7"]);
        batch.push(vec!["CONFIG", "GET", "timeout"]);
        batch.push(vec!["CONFIG", "SET", "timeout", "8"]);
        batch.push(vec!["CONFIG", "GET", "timeout"]);
        batch.push(vec!["MEMORY", "PURGE"]);
    }
    let timeout = |reply: &RawReply| {
        let value = reply.elements().expect("a name and a value")[1].text();
        value.parse::<i64>().expect("a number")
    };
    let replies = client.pipeline(&batch);
    for (turn, replies) in replies.chunks(6).enumerate() {
        assert_eq!(replies[0].int(), Some(turn as i64 + 1));
        assert_eq!((timeout(&replies[2]), timeout(&replies[4])), (7, 8));
        for ok in [1, 3, 5] {
            assert_eq!(replies[ok].text(), "OK");
        }
    }
    // Inside a transaction nobody can wait, and nothing of it happens.
    client.call(&["MULTI"]);
    client.call(&["INCR", "n"]);
    client.call(&["CONFIG", "SET", "dir", &dir, "timeout", "9"]);
    client.call(&["CONFIG", "SET", "hz", "20"]);
    let replies = client.call(&["EXEC"]);
    let replies = replies.elements().expect("an array");
    assert_eq!(replies[0].int(), Some(21));
    assert_eq!(replies[1].text(), "ERR not possible inside a transaction");
    assert_eq!(replies[2].text(), "OK");
    assert_eq!(timeout(&client.call(&["CONFIG", "GET", "timeout"])), 8);
    // A client that wants no replies gets none, late ones neither.
    client.send(&["CLIENT", "REPLY", "OFF"]);
    client.send(&["CONFIG", "SET", "dir", &dir, "timeout", "10"]);
    client.send(&["CLIENT", "REPLY", "ON"]);
    client.flush();
    assert_eq!(client.read().text(), "OK");
    assert_eq!(timeout(&client.call(&["CONFIG", "GET", "timeout"])), 10);
}

/// No module is loaded and none can be; in redis-server's words.
#[test]
fn there_are_no_modules() {
    for allowed in ["no", "yes", "local"] {
        let [redis, ours] = [Make::Redis, Make::Understudy]
            .map(|make| node(make).with("enable-module-command", allowed).start());
        for command in [
            &["MODULE", "LIST"][..],
            &["MODULE", "LIST", "x"],
            &["MODULE", "LOAD"],
            &["MODULE", "LOAD", "/no/such.so", "arg"],
            &["MODULE", "LOADEX", "/no/such.so", "CONFIG", "a", "b"],
            &["MODULE", "UNLOAD", "none"],
            &["MODULE", "FROBNICATE"],
            &["MODULE"],
        ] {
            assert_eq!(ours.call(command), redis.call(command), "{command:?}");
        }
        let help = ours.call(&["MODULE", "HELP"]).strings();
        assert!(help[0].starts_with(b"MODULE <subcommand>"));
        assert_eq!(help.len(), redis.call(&["MODULE", "HELP"]).strings().len());
    }
}

/// The time of what runs commands is told, and is part of the process's.
#[test]
fn info_tells_the_time_of_the_serving_threads() {
    let server = node(Make::Understudy).start();
    let mut client = server.client();
    client.call(&["DEBUG", "POPULATE", "10000"]);
    let seconds = |fields: [&str; 2]| -> f64 {
        let told = fields.map(|field| server.info(field).parse::<f64>());
        told.into_iter()
            .map(|seconds| seconds.expect("a number"))
            .sum()
    };
    let main = ["used_cpu_sys_main_thread", "used_cpu_user_main_thread"];
    wait_for("serving shows", LONG, || {
        client.call(&["KEYS", "*"]);
        seconds(main) > 0.05
    });
    let spent = seconds(main);
    assert!(seconds(["used_cpu_sys", "used_cpu_user"]) >= spent);
}

fn fail_over(from: &Server, to: &Server) {
    let reply = from.call(&["FAILOVER", "TO", "127.0.0.1", &to.port.to_string()]);
    assert_eq!(reply.text(), "OK", "{reply:?}");
    wait_for("the failover ends", LONG, || {
        from.info("master_failover_state") == "no-failover"
    });
    assert_eq!(to.info("role"), "master", "{}", from.log());
    assert_eq!(from.info("role"), "slave", "{}", from.log());
}

/// Writes keys of its own to whoever is the master and keeps those that WAIT 1 acked.
fn load(ring: &[Server], master: &AtomicUsize, stop: &AtomicBool, name: usize) -> Vec<String> {
    let mut acked = Vec::new();
    let mut next = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut client = ring[master.load(Ordering::Relaxed)].client();
        while !stop.load(Ordering::Relaxed) {
            let batch: Vec<String> = (next..next + 5).map(|n| format!("w:{name}:{n}")).collect();
            next += 5;
            for key in &batch {
                client.send(&["SET", key, key]);
            }
            client.send(&["WAIT", "1", "200"]);
            client.flush();
            // The whole pipeline must have gone well, or the master is another now.
            let replies: Option<Vec<_>> =
                (0..=batch.len()).map(|_| client.try_read().ok()).collect();
            let Some(replies) = replies else { break };
            let (wait, sets) = replies.split_last().expect("a reply for each");
            if sets.iter().any(|r| r.is_error()) || wait.is_error() {
                break;
            }
            if wait.int() >= Some(1) {
                acked.extend(batch);
            }
        }
    }
    acked
}

#[test]
fn failovers_round_a_ring_lose_no_acked_write() {
    let rounds = setting("FAILOVERS", 6);
    let first = node(Make::Understudy).start();
    seed::fill(&mut first.client(), 3, "k", 2000);
    let mut ring = vec![first];
    for _ in 0..2 {
        let replica = node(Make::Understudy).replica_of(ring[0].port).start();
        ring.push(replica);
    }
    for replica in &ring[1..] {
        replica.wait_synced(LONG);
    }
    let (master, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let acked = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let _stop = SetAtEnd(&stop);
        for name in 0..4 {
            let (ring, master, stop, acked) = (&ring, &master, &stop, &acked);
            scope.spawn(move || {
                let ours = load(ring, master, stop, name);
                acked.lock().expect("unpoisoned").extend(ours);
            });
        }
        for round in 0..rounds {
            let (from, to, third) = (round % 3, (round + 1) % 3, (round + 2) % 3);
            let before = acked_writes(&ring[from]);
            wait_for("writes are under way", LONG, || {
                acked_writes(&ring[from]) > before + 50
            });
            fail_over(&ring[from], &ring[to]);
            master.store(to, Ordering::Relaxed);
            ring[third].call(&["REPLICAOF", "127.0.0.1", &ring[to].port.to_string()]);
            ring[third].wait_synced(LONG);
            ring[from].wait_synced(LONG);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let nodes: Vec<&Server> = ring.iter().collect();
    let last = &ring[rounds % 3];
    wait_equal(&nodes);
    let acked = acked.into_inner().expect("unpoisoned");
    assert!(acked.len() > rounds * 50, "only {} acked", acked.len());
    let mut client = last.client();
    for some in acked.chunks(500) {
        let gets: Vec<Vec<&str>> = some.iter().map(|key| vec!["GET", key]).collect();
        for (reply, key) in client.pipeline(&gets).iter().zip(some) {
            assert_eq!(reply.text(), *key, "an acked write is gone");
        }
    }
    let full: u64 = ring.iter().map(|n| count(n, "sync_full")).sum();
    assert_eq!(full, 2, "every failover resumes partially");
}

fn acked_writes(server: &Server) -> u64 {
    count(server, "total_commands_processed")
}

#[test]
fn failover_to_a_redis_server_and_back() {
    let ours = node(Make::Understudy).start();
    seed::fill(&mut ours.client(), 3, "k", 1000);
    let theirs = node(Make::Redis).replica_of(ours.port).start();
    theirs.wait_synced(LONG);
    fail_over(&ours, &theirs);
    ours.wait_synced(LONG);
    theirs.call(&["SET", "by", "redis"]);
    wait_equal(&[&theirs, &ours]);
    fail_over(&theirs, &ours);
    theirs.wait_synced(LONG);
    ours.call(&["SET", "by", "us"]);
    wait_equal(&[&ours, &theirs]);
    assert_eq!(count(&ours, "sync_full") + count(&theirs, "sync_full"), 1);
    assert_eq!(
        words(&ours.call(&["CONFIG", "GET", "replicaof"])),
        "replicaof\n"
    );
}

#[test]
fn a_target_that_refuses_leaves_the_master_as_it_was() {
    let ours = node(Make::Understudy).start();
    let theirs = ServerOptions::new(Make::Redis)
        .replica_of(ours.port)
        .start();
    theirs.wait_synced(LONG);
    theirs.call(&["ACL", "SETUSER", "default", "-psync"]);
    let reply = ours.call(&["FAILOVER"]);
    assert_eq!(reply.text(), "OK");
    wait_for("the failover is called off", LONG, || {
        ours.info("master_failover_state") == "no-failover" && ours.info("role") == "master"
    });
    assert!(
        ours.log()
            .contains("Failover target rejected psync request")
    );
    assert_eq!(ours.call(&["SET", "still", "ours"]).text(), "OK");
    theirs.call(&["ACL", "SETUSER", "default", "+psync"]);
    theirs.wait_synced(LONG);
    wait_equal(&[&ours, &theirs]);
}

// ---- the guard against empty masters ----

/// Kills a master that saves nothing, and starts it again: the seed case.
fn restart_empty(master: &mut Server) {
    master.kill();
    // A disk-based sync leaves one.
    let _ = std::fs::remove_file(master.dir().join("dump.rdb"));
    master.restart(None);
    assert_eq!(keys(master), 0);
}

fn wait_guarded(replica: &Server) {
    wait_for("the guard has refused", LONG, || {
        replica.info("replica_empty_master_guarded") == "1"
    });
    assert_eq!(replica.info("master_link_status"), "down");
}

#[test]
fn a_master_that_restarts_empty_wipes_nobody() {
    for make in [Make::Understudy, Make::Redis] {
        for diskless in ["yes", "no"] {
            let mut master = node(make).with("repl-diskless-sync", diskless).start();
            seed::fill(&mut master.client(), 3, "k", 500);
            let mut replica = node(Make::Understudy).replica_of(master.port).start();
            replica.wait_synced(LONG);
            let digest = replica.digest();
            restart_empty(&mut master);
            wait_guarded(&replica);
            wait_for("it tries again", LONG, || {
                count(&replica, "replica_empty_master_refusals") >= 2
            });
            assert_eq!(replica.digest(), digest);
            let said = "Refusing the MASTER's dataset";
            assert_eq!(
                replica.log_with(said).matches(said).count(),
                1,
                "it is said once"
            );
            // Its own dump and saved replid do not change that.
            replica.shut_down(true);
            replica.restart(None);
            wait_guarded(&replica);
            assert_eq!(replica.digest(), digest);
            let why = replica.info("master_sync_last_error");
            assert!(why.contains("dataset is empty"), "{why}");
            // Leave given, the order is carried out, once.
            let port = master.port.to_string();
            replica.call(&["REPLICAOF", "127.0.0.1", &port, "FORCE"]);
            replica.wait_synced(LONG);
            assert_eq!(keys(&replica), 0);
            master.call(&["SET", "new", "data"]);
            wait_equal(&[&master, &replica]);
            restart_empty(&mut master);
            wait_guarded(&replica);
            assert_eq!(keys(&replica), 1);
            // As soon as the master has data again it is followed.
            seed::fill(&mut master.client(), 4, "k", 500);
            replica.wait_synced(LONG);
            wait_equal(&[&master, &replica]);
            assert_eq!(replica.info("replica_empty_master_guarded"), "0");
        }
    }
}

#[test]
fn what_is_legitimate_is_not_hindered() {
    // A first sync with an empty master; then a FLUSHALL that comes by the stream.
    let master = node(Make::Understudy)
        .with("repl-backlog-size", "16kb")
        .start();
    let proxy = Proxy::new(master.port);
    let replica = node(Make::Understudy).replica_of(proxy.port).start();
    replica.wait_synced(LONG);
    seed::fill(&mut master.client(), 3, "k", 500);
    master.call(&["FLUSHALL"]);
    wait_equal(&[&master, &replica]);
    assert_eq!(keys(&replica), 0);
    // One that the replica misses, and cannot resume from: the history is still one that it knows.
    seed::fill(&mut master.client(), 3, "k", 500);
    wait_equal(&[&master, &replica]);
    proxy.refuse(true);
    seed::fill(&mut master.client(), 4, "other", 1000);
    master.call(&["FLUSHALL"]);
    proxy.refuse(false);
    replica.wait_synced(LONG);
    wait_equal(&[&master, &replica]);
    assert_eq!((keys(&replica), count(&master, "sync_full")), (0, 2));
    let why = master.info("full_resync0");
    assert!(why.contains("before the backlog by"), "{why}");
    // With the guard off, Redis's behaviour.
    let other = node(Make::Understudy).start();
    replica.call(&["SET", "x", "y"]);
    seed::fill(&mut master.client(), 3, "k", 10);
    wait_equal(&[&master, &replica]);
    replica.call(&["CONFIG", "SET", "replica-empty-master-guard", "no"]);
    replica.call(&["REPLICAOF", "127.0.0.1", &other.port.to_string()]);
    replica.wait_synced(LONG);
    assert_eq!(keys(&replica), 0);
}

// ---- newer peers ----

/// A master that speaks the handshake and then sends this dump, to each replica that connects.
fn master_with(dump: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut seen = String::new();
                let mut replied = 0;
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut buffer) {
                    seen += &String::from_utf8_lossy(&buffer[..n]).to_uppercase();
                    if seen.contains("PSYNC") {
                        let head =
                            format!("+FULLRESYNC {} 1\r\n${}\r\n", "7".repeat(40), dump.len());
                        let _ = stream.write_all(&[head.as_bytes(), dump].concat());
                        seen.clear();
                        replied = 0;
                        continue;
                    }
                    let asked = seen.matches("PING").count() + seen.matches("REPLCONF\r").count();
                    while replied < asked {
                        replied += 1;
                        let _ = stream.write_all(b"+OK\r\n");
                    }
                }
            });
        }
    });
    port
}

#[test]
fn a_newer_dump_is_refused_by_its_version_once() {
    for (dump, named) in [
        (
            &b"REDIS0099\xfa\x09redis-ver\x0599.0.0"[..],
            "RDB version 99",
        ),
        (
            b"VALKEY099\xfa\x09redis-ver\x0599.0.0",
            "Valkey's RDB version 099",
        ),
    ] {
        let replica = node(Make::Understudy).start();
        seed::fill(&mut replica.client(), 3, "k", 100);
        let digest = replica.digest();
        let port = master_with(dump);
        replica.call(&["REPLICAOF", "127.0.0.1", &port.to_string()]);
        wait_for("it tried three times", LONG, || {
            replica
                .log()
                .matches("MASTER <-> REPLICA sync started")
                .count()
                >= 3
        });
        let log = replica.log();
        assert_eq!(log.matches(named).count(), 1, "{log}");
        let why = replica.info("master_sync_last_error");
        assert!(why.contains(named), "{why}");
        assert_eq!(replica.digest(), digest);
    }
}

#[test]
fn replicas_that_offer_more_than_we_know_get_a_plain_full_sync() {
    let master = node(Make::Understudy).start();
    seed::fill(&mut master.client(), 3, "k", 10);
    for offer in [
        &["capa eof capa psync2 capa rdb-channel-repl"][..],
        &["capa eof capa psync2 capa dual-channel", "version 9.0.0"],
        &["capa eof capa psync2 capa lz4 capa skip-rdb-checksum"],
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", master.port)).expect("a connection");
        stream.set_read_timeout(Some(LONG)).expect("it can be set");
        let mut ask = |line: &str| {
            stream
                .write_all(format!("{line}\r\n").as_bytes())
                .expect("it is taken");
            let mut reply = Vec::new();
            let mut byte = [0];
            while reply.last() != Some(&b'\n') || reply.len() < 3 {
                stream.read_exact(&mut byte).expect("a reply");
                reply.push(byte[0]);
            }
            String::from_utf8_lossy(&reply).trim().to_owned()
        };
        assert_eq!(ask("PING"), "+PONG");
        assert_eq!(ask("REPLCONF listening-port 7777"), "+OK");
        for line in offer {
            assert_eq!(ask(&format!("REPLCONF {line}")), "+OK");
        }
        let answer = ask("PSYNC ? -1");
        assert!(answer.starts_with("+FULLRESYNC "), "{answer}");
    }
}

// ---- words ----

#[test]
fn explain_says_why_and_what_would_be() {
    let master = node(Make::Understudy).start();
    seed::fill(&mut master.client(), 3, "k", 100);
    let replica = node(Make::Understudy)
        .with("replica-announce-ip", "replica.example")
        .with("replica-announce-port", 4444)
        .replica_of(master.port)
        .start();
    replica.wait_synced(LONG);
    let lines = |server: &Server| words(&server.call(&["REPLICATION", "EXPLAIN"]));
    wait_for("the replica has acked", LONG, || {
        lines(&master).contains("replica replica.example:4444: online, 0 bytes and 0 ms behind")
    });
    let text = lines(&master);
    assert!(
        text.contains("first sync: the replica has no history"),
        "{text}"
    );
    assert!(
        text.contains("cut now: partial resync: the backlog has"),
        "{text}"
    );
    let text = lines(&replica);
    assert!(
        text.contains("first sync: nothing to resume from"),
        "{text}"
    );
    assert!(text.contains("cut now: PSYNC "), "{text}");
    let slave = master.info("slave0");
    assert!(
        slave.starts_with("ip=replica.example,port=4444,state=online")
            && slave.contains(",lag_bytes=0,lag_ms=0"),
        "{slave}"
    );
    let history = words(&replica.call(&["REPLICATION", "HISTORY", "5"]));
    assert!(history.contains("first sync"), "{history}");
    // A PSYNC by hand is told apart, and so is a history that we don't know.
    let mut stream = TcpStream::connect(("127.0.0.1", master.port)).expect("a connection");
    let id = "5".repeat(40);
    write!(stream, "REPLCONF listening-port 5\r\nPSYNC {id} 100\r\n").expect("it is taken");
    wait_for("the stranger is known", LONG, || {
        words(&master.call(&["REPLICATION", "HISTORY"])).contains(&format!("asked for {id}"))
    });
}

#[test]
fn a_replica_that_wants_an_answer_is_cut_off() {
    for make in [Make::Understudy, Make::Redis] {
        let master = node(make).start();
        let log_of = |said: &str| {
            let mut stream = TcpStream::connect(("127.0.0.1", master.port)).expect("a connection");
            stream.set_read_timeout(Some(LONG)).expect("it can be set");
            write!(stream, "PSYNC ? -1\r\n").expect("it is taken");
            let mut begin = [0; 12];
            stream.read_exact(&mut begin).expect("an answer");
            assert_eq!(&begin, b"+FULLRESYNC ");
            let before = master.log().len();
            write!(stream, "\nREPLCONF ACK 0\r\n{said}\r\n").expect("it is taken");
            let mut rest = Vec::new();
            // Reset, if it hadn't read all.
            let _ = stream.read_to_end(&mut rest);
            wait_for("the log says why", LONG, || {
                master.log()[before..].contains("disconnecting it: ")
            });
            master.log()[before..].to_owned()
        };
        let log = log_of("PING");
        assert!(
            log.contains("Replica generated a reply to command 'ping', disconnecting it: id="),
            "{log}"
        );
        assert!(!log.contains("CRITICAL"), "{log}");
        let log = log_of("CONFIG GET save");
        assert!(log.contains("to command 'config|get', disco"), "{log}");
        for said in ["GET k", "SET k v", "PUBLISH c m"] {
            let log = log_of(said);
            assert!(
                log.contains(
                    "== CRITICAL == This master is sending an error to its replica: 'Replica can't interact \
                     with the keyspace' after processing the command '"
                ),
                "{log}"
            );
        }
        assert_eq!(master.call(&["EXISTS", "k"]).int(), Some(0));

        let mut client = master.client();
        assert_eq!(
            client
                .call(&["PSYNC", "replicationid", "offset_str"])
                .text(),
            "ERR value is not an integer or out of range"
        );
        // Told by a thread that serves, which another writes for.
        wait_for("the log says so", LONG, || {
            master.log().contains(
                "Replica 127.0.0.1:<unknown-replica-port> asks for synchronization but with a wrong offset",
            )
        });
    }
}

/// All texts of a reply, however deep.
fn words(reply: &RawReply) -> String {
    match reply.elements() {
        Some(items) => items.iter().map(words).collect::<Vec<_>>().join("\n"),
        None => reply.text(),
    }
}

#[test]
fn a_dump_that_only_fed_replicas_is_removed() {
    let master = node(Make::Understudy)
        .with("repl-diskless-sync", "no")
        .with("rdb-del-sync-files", "yes")
        .start();
    let replica = node(Make::Redis).replica_of(master.port).start();
    replica.wait_synced(LONG);
    wait_for("the file goes", LONG, || {
        !master.dir().join("dump.rdb").exists()
    });
    assert!(
        master
            .log()
            .contains("Removing the RDB file used to feed replicas")
    );
}

#[test]
fn directives_reach_the_other_side() {
    let master = node(Make::Redis).start();
    let user = [
        "ACL", "SETUSER", "ada", "on", ">secret", "~*", "&*", "+@all",
    ];
    assert_eq!(master.call(&user).text(), "OK");
    let replica = node(Make::Understudy)
        .with("masteruser", "ada")
        .with("masterauth", "secret")
        .with("replica-announce-port", 4321)
        .with("replica-priority", 7)
        .with("replica-announced", "no")
        .with("maxmemory", 1)
        .with("replica-read-only", "no")
        .replica_of(master.port)
        .start();
    replica.wait_synced(LONG);
    assert!(master.info("slave0").contains("port=4321"));
    assert_eq!(replica.info("slave_priority"), "7");
    assert_eq!(replica.info("replica_announced"), "0");
    let list = master.call(&["CLIENT", "LIST", "TYPE", "REPLICA"]).text();
    assert!(list.contains("user=ada"), "{list}");
    // replica-ignore-maxmemory: eviction is the master's business.
    assert_eq!(replica.call(&["SET", "own", "key"]).text(), "OK");
    replica.call(&["CONFIG", "SET", "replica-ignore-maxmemory", "no"]);
    let refused = replica.call(&["SET", "own", "key"]);
    assert!(refused.is_error(), "{refused:?}");
}

/// As in Redis, and Sentinel reads it: the time since the link was lost, and nothing if it never was there.
#[test]
fn a_link_that_never_was_is_not_down_since_some_time() {
    for make in [Make::Understudy, Make::Redis] {
        let since = |server: &Server| -> i64 {
            let seconds = server.info("master_link_down_since_seconds");
            seconds.parse().expect("a number")
        };
        let mut master = node(Make::Understudy).start();
        let replica = node(make).start();
        replica.call(&["REPLICAOF", "127.0.0.1", "1"]);
        assert_eq!(since(&replica), -1, "{make:?}");
        replica.call(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
        replica.wait_synced(LONG);
        master.kill();
        wait_for("it is down", LONG, || {
            replica.info("master_link_status") == "down"
        });
        wait_for("since then", LONG, || since(&replica) >= 0);
        // Another master takes the place of one whose link is down already, or of none.
        replica.call(&["REPLICAOF", "127.0.0.1", "2"]);
        wait_for("since then still", LONG, || since(&replica) >= 0);
        replica.call(&["REPLICAOF", "NO", "ONE"]);
        replica.call(&["REPLICAOF", "127.0.0.1", "2"]);
        assert_eq!(since(&replica), -1, "{make:?}");
    }
}

#[test]
fn the_log_tells_the_end_of_a_transfer_and_of_a_link() {
    for make in [Make::Understudy, Make::Redis] {
        let master = node(Make::Understudy).start();
        let replica = node(make).replica_of(master.port).start();
        replica.wait_synced(LONG);
        replica.log_with("Done loading RDB, keys loaded: 0");
        wait_for("the transfer's end is told", LONG, || {
            master
                .log()
                .contains("Background RDB transfer terminated with success")
        });
        assert!(!replica.log().contains("Connection with master lost."));
        replica.call(&["REPLICAOF", "NO", "ONE"]);
        wait_for("the log tells it", LONG, || {
            replica.log().contains("Connection with master lost.")
        });
    }
}

#[test]
fn an_automatic_backlog_follows_the_writes() {
    let master = node(Make::Understudy)
        .with("repl-backlog-size", "auto")
        .with("repl-backlog-seconds", 100)
        .start();
    let replica = node(Make::Understudy).replica_of(master.port).start();
    replica.wait_synced(LONG);
    assert_eq!(master.info("repl_backlog_auto"), "1");
    assert_eq!(count(&master, "repl_backlog_size"), 1 << 20);
    let value = "x".repeat(10_000);
    let mut client = master.client();
    wait_for("it grows", LONG, || {
        let sets: Vec<Vec<&str>> = (0..20).map(|_| vec!["SET", "k", &value]).collect();
        client.pipeline(&sets);
        count(&master, "repl_backlog_size") > 8 << 20
    });
    let survives: i64 = master
        .info("repl_backlog_survives_seconds")
        .parse()
        .expect("a number");
    assert!(survives > 10, "{survives}");
    master.call(&["CONFIG", "SET", "repl-backlog-size", "2mb"]);
    assert_eq!(count(&master, "repl_backlog_size"), 2 << 20);
}

/// Fields of INFO stats that can't move: this node has nothing that they count.
const STATS_FIXED: &[&str] = &[
    // Memory that runs out is refused, not taken back from keys or clients.
    "evicted_keys",
    "evicted_clients",
    "total_eviction_exceeded_time",
    "current_eviction_exceeded_time",
    // Snapshots are made without a fork.
    "total_forks",
    "active_defrag_hits",
    "active_defrag_misses",
    "active_defrag_key_hits",
    "active_defrag_key_misses",
    "total_active_defrag_time",
    "current_active_defrag_time",
    "tracking_total_keys",
    "tracking_total_items",
    "tracking_total_prefixes",
    "io_threaded_reads_processed",
    "io_threaded_writes_processed",
    "reply_buffer_shrinks",
    "reply_buffer_expands",
    // No user is denied a command while there is but one.
    "acl_access_denied_cmd",
    "acl_access_denied_key",
    "acl_access_denied_channel",
    "shard_count",
];

fn info_fields(server: &Server, section: &str) -> BTreeMap<String, String> {
    let text = server.call(&["INFO", section]).text();
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields
        .map(|(name, value)| (name.to_owned(), value.trim_end().to_owned()))
        .collect()
}

/// Which fields of INFO stats have had more than one value, on any of the nodes.
struct Moves<'s> {
    nodes: [&'s Server; 2],
    first: [BTreeMap<String, String>; 2],
    moved: BTreeSet<String>,
}

impl Moves<'_> {
    fn of<'s>(nodes: [&'s Server; 2]) -> Moves<'s> {
        let first = nodes.map(|node| info_fields(node, "stats"));
        Moves {
            nodes,
            first,
            moved: BTreeSet::new(),
        }
    }

    fn look(&mut self) {
        for (node, first) in self.nodes.iter().zip(&self.first) {
            let now = info_fields(node, "stats");
            let moved = now
                .into_iter()
                .filter(|(name, value)| first[name] != *value);
            self.moved.extend(moved.map(|(name, _)| name));
        }
    }

    /// Does it until all of these have moved.
    fn until(&mut self, names: &[&str], mut step: impl FnMut()) {
        wait_for(&format!("{names:?} to move"), LONG, || {
            step();
            self.look();
            names.iter().all(|name| self.moved.contains(*name))
        });
    }
}

/// Whatever INFO counts is counted: each field of its statistics moves, or is known to stand still.
#[test]
fn every_counter_of_info_moves() {
    let busy = ServerOptions::new(Make::Understudy)
        .with("hz", 500)
        .with("arbiters", 2)
        .with("shards", 4)
        .with("enable-debug-command", "yes")
        .with("maxclients", 40);
    let master = busy.start();
    let replica = node(Make::Understudy)
        .with("replica-read-only", "no")
        .start();
    let mut moves = Moves::of([&master, &replica]);
    let mut client = master.client();

    replica.call(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
    moves.until(
        &["sync_full", "total_snapshots", "latest_fork_usec"],
        || {
            replica.wait_synced(LONG);
        },
    );
    move_traffic(&mut moves, &mut client);
    move_keys(&mut moves, &mut client);
    move_replication(&mut moves, &mut client);
    move_limits(&mut moves);
    moves.until(&["evicted_scripts"], || {
        for n in 0..600 {
            client.call(&["EVAL", &format!("return {n}"), "0"]);
        }
    });
    move_contention(&mut moves);

    let names: BTreeSet<String> = info_fields(&master, "stats").into_keys().collect();
    let fixed: BTreeSet<String> = STATS_FIXED.iter().map(|name| (*name).to_owned()).collect();
    let still: BTreeSet<String> = names.difference(&moves.moved).cloned().collect();
    assert_eq!(still, fixed);
    commands_and_errors_are_counted(&master);
}

fn move_traffic(moves: &mut Moves<'_>, client: &mut RespClient) {
    let rates = [
        "instantaneous_ops_per_sec",
        "instantaneous_input_kbps",
        "instantaneous_output_kbps",
        "instantaneous_input_repl_kbps",
        "instantaneous_output_repl_kbps",
    ];
    let value = "v".repeat(10_000);
    moves.until(&rates, || {
        client.call(&["SET", "key", &value]);
        client.call(&["GET", "key"]);
    });
    for subscribe in ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"] {
        let mut subscriber = moves.nodes[0].client();
        subscriber.call(&[subscribe, "channel"]);
        moves.look();
    }
    client.call(&["GET", "nothing"]);
    client.call(&["AUTH", "nobody", "wrong"]);
    moves.look();
}

fn move_keys(moves: &mut Moves<'_>, client: &mut RespClient) {
    client.call(&["RPUSH", "list", "a", "b"]);
    let payload = client.call(&["DUMP", "list"]);
    let payload = payload.bytes().expect("a payload");
    client.call(&[b"RESTORE", b"copy".as_slice(), b"0", payload]);
    let target = moves.nodes[1].port.to_string();
    client.call(&["MIGRATE", "127.0.0.1", &target, "copy", "1", "5000"]);
    moves.look();
    let expiry = [
        "expired_keys",
        "expired_stale_perc",
        "expired_time_cap_reached_count",
        "expire_cycle_cpu_milliseconds",
    ];
    // So many at once that a cycle of a 500th of a second does not get through.
    moves.until(&expiry, || {
        let at_ms = client.call(&["TIME"]).strings();
        let now_s: u64 = String::from_utf8_lossy(&at_ms[0]).parse().expect("seconds");
        let at_ms = (now_s * 1000 + 1500).to_string();
        let sets: Vec<Vec<String>> = (0..20_000)
            .map(|n| {
                let words = ["SET", &format!("short:{n}"), "v", "PXAT", &at_ms];
                words.map(str::to_owned).to_vec()
            })
            .collect();
        client.pipeline(&sets);
        wait_for("the keys to expire", LONG, || {
            client.call(&["DBSIZE"]).int() < Some(20_000)
        });
    });
}

fn move_replication(moves: &mut Moves<'_>, client: &mut RespClient) {
    let [master, replica] = moves.nodes;
    replica.call(&["SET", "own", "v", "EX", "1000"]);
    moves.look();
    // A write that can't be done on what the replica has made of the key, and is passed over.
    replica.call(&["CONFIG", "SET", "replica-on-stream-error", "ignore"]);
    client.call(&["SET", "text", "v"]);
    wait_equal_offsets(master, replica);
    replica.call(&["DEL", "text"]);
    replica.call(&["RPUSH", "text", "v"]);
    moves.until(&["unexpected_error_replies"], || {
        client.call(&["APPEND", "text", "v"]);
        wait_equal_offsets(master, replica);
    });
    moves.until(&["sync_partial_ok"], || {
        master.call(&["CLIENT", "KILL", "TYPE", "replica"]);
        replica.wait_synced(LONG);
    });
    let mut stranger = master.client();
    stranger.send(&["PSYNC", &"1".repeat(40), "12345"]);
    stranger.flush();
    moves.until(&["sync_partial_err"], || {});
}

fn wait_equal_offsets(one: &Server, other: &Server) {
    wait_for("the replica to have all", LONG, || {
        one.info("master_repl_offset") == other.info("master_repl_offset")
    });
}

fn move_limits(moves: &mut Moves<'_>) {
    let master = moves.nodes[0];
    let mut client = master.client();
    moves.until(&["client_query_buffer_limit_disconnections"], || {
        client.call(&["CONFIG", "SET", "client-query-buffer-limit", "1mb"]);
        let mut talker = master.client();
        talker.send_raw(b"*2\r\n$3\r\nGET\r\n$5000000\r\n");
        talker.send_raw(&[b'x'; 2_000_000]);
        let _ = talker.try_flush();
    });
    let limits = "normal 100000 0 0";
    client.call(&["CONFIG", "SET", "client-output-buffer-limit", limits]);
    client.call(&["SETRANGE", "large", "1000000", "v"]);
    moves.until(&["client_output_buffer_limit_disconnections"], || {
        let _ = master.client().try_call(&["GET", "large"]);
    });
    let mut many = Vec::new();
    wait_for("a connection to be refused", LONG, || {
        let mut one = master.client();
        let answer = one.try_call(&["PING"]);
        let refused = answer.is_err() || answer.is_ok_and(|reply| reply.is_error());
        many.push(one);
        refused
    });
    drop(many);
    wait_for("connections to be taken again", LONG, || {
        let answer = master.client().try_call(&["PING"]);
        answer.is_ok_and(|reply| !reply.is_error())
    });
    moves.look();
}

/// Clients of two arbiters want the same shards.
fn move_contention(moves: &mut Moves<'_>) {
    let master = moves.nodes[0];
    let mut clients: Vec<RespClient> = (0..8).map(|_| master.client()).collect();
    let command =
        |n: usize| ["MSET", "a", "1", "b", "2", "c", "3", &format!("{n}"), "4"].map(str::to_owned);
    moves.until(
        &["shard_entrances_contended", "shard_entrances_put_off"],
        || {
            clients[0].send(&["DEBUG", "SLEEP", "0.01"]);
            clients[0].flush();
            for client in &mut clients[1..] {
                (0..500).for_each(|n| client.send(&command(n)));
                client.flush();
            }
            for client in &mut clients[1..] {
                (0..500).for_each(|_| drop(client.read()));
            }
            clients[0].read();
        },
    );
}

fn commands_and_errors_are_counted(server: &Server) {
    let mut client = server.client();
    client.call(&["RPUSH", "list", "a"]);
    client.call(&["GET", "list"]);
    client.call(&["GET"]);
    let commands = info_fields(server, "commandstats");
    for part in commands["cmdstat_get"].split(',') {
        let (name, value) = part.split_once('=').expect("name=value");
        assert!(value.parse::<f64>().expect("a number") > 0.0, "{name}");
    }
    let total: u64 = commands
        .values()
        .map(|line| {
            let calls = line
                .split(',')
                .next()
                .and_then(|c| c.strip_prefix("calls="));
            calls
                .expect("calls first")
                .parse::<u64>()
                .expect("a number")
        })
        .sum();
    assert!(count(server, "total_commands_processed") >= total);
    for code in ["ERR", "WRONGTYPE", "WRONGPASS"] {
        let errors = info_fields(server, "errorstats");
        assert!(errors.contains_key(&format!("errorstat_{code}")), "{code}");
    }
    let latencies = info_fields(server, "latencystats");
    assert!(latencies["latency_percentiles_usec_get"].contains("p50="));
}
