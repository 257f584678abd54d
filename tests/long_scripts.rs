//! A script that never ends, with one serving arbiter and with three: who is answered what, how it is ended, and what
//! goes on meanwhile.

mod common;

use common::{LONG, Make, RawReply, RespClient, Server, ServerOptions, wait_for};
use understudy::{Node, RespValue, Settings};

/// Loops without end if it is told so, inside the shard of its one key.
const LOOPS: &str = "if ARGV[1] == 'loop' then while true do redis.call('GET', KEYS[1]) end end return redis.call('GET', KEYS[1])";
/// The same, once it has written.
const LOOPS_AFTER_WRITING: &str = "redis.call('SET', KEYS[1], ARGV[1]) if ARGV[1] == 'loop' then while true do redis.call('GET', KEYS[1]) end end return 1";
const BUSY: &str =
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
const KILLED: &str = "ERR Script killed by user with SCRIPT KILL... script: ";
const ARBITERS: [u32; 2] = [1, 3];

fn options(arbiters: u32) -> ServerOptions {
    ServerOptions::new(Make::Understudy)
        .with("arbiters", arbiters)
        .with("shards", 8)
        .with("busy-reply-threshold", 20)
}

fn sends(client: &mut RespClient, args: &[&str]) {
    client.send(args);
    client.flush();
}

/// Has a script loop inside the shard of `key` alone; gives the client that waits for it.
fn loop_in(server: &Server, script: &str, key: &str) -> RespClient {
    let mut client = server.client();
    // A run that ends shows that it needs no other shards.
    let first = client.call(&["EVAL", script, "1", key, "no"]);
    assert!(!first.is_error(), "{first:?}");
    sends(&mut client, &["EVAL", script, "1", key, "loop"]);
    wait_busy(server, key);
    client
}

fn wait_busy(server: &Server, key: &str) {
    let mut client = server.client();
    wait_for("the script is slow", LONG, || {
        client.call(&["EXISTS", key]).text() == BUSY
    });
}

/// A key outside of the shards of slow scripts.
fn free_key(client: &mut RespClient) -> String {
    let mut keys = (0..200).map(|n| format!("free{n}"));
    let is_free = |key: &String| !client.call(&["EXISTS", key]).is_error();
    keys.find(is_free)
        .expect("a script in one shard leaves seven")
}

fn kill(client: &mut RespClient) {
    wait_for("it is killed", LONG, || {
        client.call(&["SCRIPT", "KILL"]).text() == "OK"
    });
}

fn assert_killed(reply: &RawReply) {
    assert!(reply.text().starts_with(KILLED), "{reply:?}");
}

#[test]
fn only_who_needs_its_shards_hears_busy() {
    for arbiters in ARBITERS {
        let server = options(arbiters).start();
        // More than there are arbiters, so that some share the one that got the script.
        let mut clients: Vec<RespClient> = (0..8).map(|_| server.client()).collect();
        let mut looping = loop_in(&server, LOOPS, "k");
        let free = free_key(&mut clients[0]);
        for client in &mut clients {
            for command in [
                &["GET", "k"][..],
                &["MGET", &free, "k"],
                &["DBSIZE"],
                &["KEYS", "*"],
                &["FLUSHALL"],
                &["EVAL", "return 1", "1", "k"],
                &["EVAL", "return 1", "0"],
                &["FCALL", "none", "0"],
                &["FUNCTION", "KILL"],
                &["SHUTDOWN"],
                &["SHUTDOWN", "SAVE"],
                &["SAVE"],
                &["BGSAVE"],
                &["WATCH", "k"],
            ] {
                let said = client.call(command).text();
                let fine = said == BUSY || command[0] == "FCALL" && said.contains("not found");
                assert!(fine, "{command:?}: {said}");
            }
            for command in [
                &["PING"][..],
                &["ECHO", "x"],
                &["SET", &free, "1"],
                &["INCR", &free],
                &["GET", &free],
                &["INFO", "everything"],
                &["CONFIG", "GET", "port"],
                &["CONFIG", "SET", "hz", "20"],
                &["CLIENT", "LIST"],
                &["CLIENT", "SETNAME", "x"],
                &["COMMAND", "COUNT"],
                &["SCRIPT", "EXISTS", "x"],
                &["SCRIPT", "LOAD", "return 1"],
                &["TIME"],
                &["PUBLISH", "channel", "x"],
                &["SLOWLOG", "LEN"],
                &["ROLE"],
                &["WATCH", &free],
                &["UNWATCH"],
                &["MULTI"],
                &["SET", &free, "2"],
                &["EXEC"],
                &["BLPOP", "none", &free, "0.01"],
            ] {
                let reply = client.call(command);
                if command[0] == "BLPOP" {
                    continue;
                }
                assert!(!reply.is_error(), "{command:?}: {reply:?}");
            }
        }
        // A transaction that needs its shard is refused as a whole.
        clients[0].call(&["MULTI"]);
        assert_eq!(clients[0].call(&["SET", "k", "v"]).text(), BUSY);
        assert_eq!(
            clients[0].call(&["EXEC"]).text(),
            format!("EXECABORT Transaction discarded because of: {BUSY}")
        );
        kill(&mut clients[0]);
        assert_killed(&looping.read());
        for client in &mut clients {
            assert_eq!(client.call(&["SET", "k", "v"]).text(), "OK");
        }
        let none = "NOTBUSY No scripts in execution right now.";
        assert_eq!(clients[0].call(&["SCRIPT", "KILL"]).text(), none);
    }
}

/// Several scripts loop at once, each in shards of its own; one KILL ends them all.
#[test]
fn several_loop_beside_each_other() {
    for arbiters in ARBITERS {
        let server = options(arbiters).start();
        let mut client = server.client();
        let mut looping = vec![loop_in(&server, LOOPS, "k")];
        let all = |client: &mut RespClient| {
            let mut free = (0..200).map(|n| format!("free{n}"));
            free.find(|key| !client.call(&["EXISTS", key]).is_error())
        };
        while let Some(key) = all(&mut client) {
            let mut next = server.client();
            sends(&mut next, &["EVAL", LOOPS, "1", &key, "loop"]);
            wait_busy(&server, &key);
            looping.push(next);
        }
        assert_eq!(looping.len(), 8, "one in each shard");
        assert_eq!(client.call(&["PING"]).text(), "PONG");
        kill(&mut client);
        for mut looping in looping {
            assert_killed(&looping.read());
        }
        assert_eq!(client.call(&["DBSIZE"]).int(), Some(0));
    }
}

/// One that has written can't be ended, but with the node; nothing of it is replicated then.
#[test]
fn one_that_has_written_ends_with_the_node() {
    for arbiters in ARBITERS {
        let mut server = options(arbiters).start();
        let _looping = loop_in(&server, LOOPS_AFTER_WRITING, "k");
        let mut client = server.client();
        let refused = client.call(&["SCRIPT", "KILL"]).text();
        assert!(refused.starts_with("UNKILLABLE Sorry"), "{refused}");
        let refused = client.call(&["FUNCTION", "KILL"]).text();
        assert!(refused.starts_with("UNKILLABLE Sorry"), "{refused}");
        assert_eq!(client.call(&["SHUTDOWN", "SAVE"]).text(), BUSY);
        sends(&mut client, &["SHUTDOWN", "NOSAVE"]);
        assert_eq!(server.wait_exit(), Some(0));
    }
}

/// The link to a replica, its acks, WAIT and what runs on timers go on.
#[test]
fn replicas_and_timers_go_on() {
    for arbiters in ARBITERS {
        let server = options(arbiters)
            .with("repl-ping-replica-period", 1)
            .start();
        let replica = |make| {
            let replica = ServerOptions::new(make).replica_of(server.port).start();
            replica.wait_synced(LONG);
            replica
        };
        let replicas = [replica(Make::Redis), replica(Make::Understudy)];
        let mut blocked = server.client();
        sends(&mut blocked, &["BLPOP", "k", "0.2"]);
        wait_for("it waits", LONG, || server.info("blocked_clients") == "1");
        let mut looping = loop_in(&server, LOOPS, "k");
        // It waits inside the script's shard, and is over nevertheless.
        assert_eq!(blocked.read(), RawReply::NullArray);

        let mut client = server.client();
        let free = free_key(&mut client);
        let expired = || server.info("expired_keys").parse::<u64>().expect("number");
        let before = expired();
        assert_eq!(client.call(&["SET", &free, "v", "PX", "5"]).text(), "OK");
        wait_for("the cycle has met it", LONG, || expired() > before);
        assert_eq!(client.call(&["WAIT", "2", "60000"]).int(), Some(2));
        // PING goes into the stream each second, and both ack.
        let acked = |n: usize| {
            let slave = server.info(&format!("slave{n}"));
            let offset = slave.split_once("offset=").map(|(_, rest)| rest);
            let digits = offset.and_then(|rest| rest.split(',').next());
            digits.and_then(|digits| digits.parse::<u64>().ok())
        };
        let start = acked(0).max(acked(1)).expect("two replicas");
        wait_for("both have acked some pings", LONG, || {
            acked(0) > Some(start + 28) && acked(1) > Some(start + 28)
        });
        // A third one can come: its full sync waits for the script, and no longer.
        let late = ServerOptions::new(Make::Redis)
            .replica_of(server.port)
            .start();
        kill(&mut client);
        assert_killed(&looping.read());
        late.wait_synced(LONG);
        for replica in &replicas {
            assert_eq!(replica.info("master_link_status"), "up");
            assert_eq!(replica.info("master_sync_in_progress"), "0");
        }
        assert_eq!(server.info("sync_full"), "3");
        assert_eq!(server.info("sync_partial_ok"), "0");
    }
}

/// The same inside EXEC: it is taken off the arbiter with the whole transaction.
#[test]
fn in_a_transaction() {
    for arbiters in ARBITERS {
        let server = options(arbiters).start();
        let mut looping = server.client();
        for command in [
            &["MULTI"][..],
            &["SET", "a", "1"],
            &["EVAL", LOOPS, "1", "k", "loop"],
            &["INCR", "a"],
            &["EVAL", "return redis.call('INCR', KEYS[1])", "1", "a"],
            &["EXEC"],
        ] {
            sends(&mut looping, command);
        }
        let mut client = server.client();
        wait_busy(&server, "k");
        assert_eq!(client.call(&["PING"]).text(), "PONG");
        assert_eq!(client.call(&["GET", "other"]).text(), BUSY);
        // Only the script reads: it is ended, and the transaction goes on.
        kill(&mut client);
        let replies: Vec<RawReply> = (0..6).map(|_| looping.read()).collect();
        let results = replies[5].elements().expect("EXEC's replies");
        assert_eq!(results[0].text(), "OK");
        assert_killed(&results[1]);
        assert_eq!(results[2..], [RawReply::Int(2), RawReply::Int(3)]);
        // The session is whole: it goes on, and can watch and wait again.
        assert_eq!(looping.call(&["GET", "a"]).text(), "3");
    }
}

/// A transaction whose script leaves the arbiter and comes to its end is a unit: for readers here, and in the stream.
#[test]
fn a_transaction_that_moves_is_one_unit() {
    for arbiters in ARBITERS {
        let server = options(arbiters).start();
        let replica = ServerOptions::new(Make::Redis)
            .replica_of(server.port)
            .start();
        replica.wait_synced(LONG);
        let mut monitor = replica.client();
        assert_eq!(monitor.call(&["MONITOR"]).text(), "OK");
        let mut client = server.client();
        let counts = "for i = 1, 20000 do redis.call('INCR', KEYS[1]) end return 1";
        let watched = [
            &["WATCH", "untouched"][..],
            &["MULTI"],
            &["SET", "before", "1"],
            &["EVAL", counts, "1", "n"],
            &["EVAL", counts, "1", "m"],
            &["SET", "after", "1"],
            &["EXEC"],
            &["WAIT", "1", "60000"],
        ];
        for command in watched {
            sends(&mut client, command);
        }
        let mut reader = server.client();
        let mut seen = std::collections::BTreeSet::new();
        wait_for("it is through", LONG, || {
            let reply = reader.call(&["MGET", "before", "n", "m", "after"]);
            if reply.is_error() {
                return false;
            }
            let strings = reply.strings().len();
            seen.insert(strings);
            strings == 4
        });
        assert!(seen.iter().all(|&n| n == 0 || n == 4), "{seen:?}");
        let replies: Vec<RawReply> = watched.iter().map(|_| client.read()).collect();
        assert_eq!(
            replies[6].elements().map(<[_]>::len),
            Some(4),
            "{replies:?}"
        );
        assert_eq!(replies[7].int(), Some(1));
        assert_eq!(replica.digest(), server.digest());
        let mut names = Vec::new();
        while names.last().is_none_or(|name| name != "EXEC") {
            let line = monitor.read().text().to_uppercase();
            let name = line.split('"').nth(1).unwrap_or_default().to_owned();
            if ["MULTI", "SET", "INCR", "EXEC"].contains(&&*name) {
                names.push(name);
            }
        }
        assert_eq!(names.len(), 2 + 2 + 40_000);
        assert_eq!(names[0], "MULTI");
        let units = names.iter().filter(|name| *name == "MULTI").count();
        assert_eq!(units, 1);
    }
}

/// A script that had to wait before it ran is no other than one that didn't.
#[test]
fn after_a_wait() {
    for arbiters in ARBITERS {
        let server = options(arbiters).start();
        let mut client = server.client();
        assert_eq!(
            client.call(&["CLIENT", "PAUSE", "1000000", "WRITE"]).text(),
            "OK"
        );
        let mut looping = server.client();
        sends(&mut looping, &["EVAL", LOOPS, "1", "k", "loop"]);
        wait_for("it waits", LONG, || server.info("blocked_clients") == "1");
        assert_eq!(client.call(&["CLIENT", "UNPAUSE"]).text(), "OK");
        wait_busy(&server, "k");
        assert_eq!(client.call(&["PING"]).text(), "PONG");
        kill(&mut client);
        assert_killed(&looping.read());
    }
}

/// A client that goes while its script loops leaves a script that can be ended all the same.
#[test]
fn its_client_may_go() {
    for arbiters in ARBITERS {
        let server = options(arbiters).start();
        let looping = loop_in(&server, LOOPS, "k");
        drop(looping);
        let mut client = server.client();
        wait_for("it has gone", LONG, || {
            server.info("connected_clients") == "2"
        });
        assert_eq!(client.call(&["GET", "k"]).text(), BUSY);
        kill(&mut client);
        wait_for("its shard is free", LONG, || {
            client.call(&["SET", "k", "v"]).text() == "OK"
        });
    }
}

/// A function that loops is ended by FUNCTION KILL, and STATS shows it.
#[test]
fn functions_loop_too() {
    for arbiters in ARBITERS {
        let server = options(arbiters).start();
        let mut client = server.client();
        let library = "#!lua name=lib\nredis.register_function{function_name='f', callback=function() while true do end end, flags={'no-writes'}}";
        client.call(&["FUNCTION", "LOAD", library]);
        let mut looping = server.client();
        sends(&mut looping, &["FCALL", "f", "1", "k"]);
        let busy = BUSY.replace("SCRIPT", "FUNCTION");
        wait_for("it is slow", LONG, || {
            client.call(&["GET", "k"]).text() == busy
        });
        assert_eq!(client.call(&["SCRIPT", "KILL"]).text(), busy);
        let stats = client.call(&["FUNCTION", "STATS"]);
        let running = &stats.elements().expect("pairs")[1];
        assert_eq!(
            running.elements().map(|fields| fields[1].text()),
            Some("f".to_owned()),
            "{stats:?}"
        );
        assert_eq!(client.call(&["FUNCTION", "KILL"]).text(), "OK");
        let ended = looping.read().text();
        assert!(
            ended.starts_with(
                "ERR Script killed by user with SCRIPT KILL... script: f, on @user_function:"
            ),
            "{ended}"
        );
    }
}

/// From clients inside the process: with a server's threads around it, and in an embedded node.
#[test]
fn from_a_client_in_the_process() {
    let embedded = Settings::embedded();
    let serving = Settings {
        bind: vec!["127.0.0.1".into()],
        port: 0,
        save: Vec::new(),
        dbfilename: "no-such-file.rdb".into(),
        ..Settings::default()
    };
    for settings in [embedded, serving] {
        let settings = Settings {
            busy_reply_threshold_ms: 20,
            shards: 8,
            ..settings
        };
        let node = Node::start(settings).expect("a node");
        node.wait_ready(LONG).expect("no dump");
        let mut client = node.client();
        let mut looping = node.client();
        let thread = std::thread::spawn(move || looping.call(&["EVAL", LOOPS, "1", "k", "loop"]));
        let says = |reply: &RespValue, text: &str| matches!(reply, RespValue::Error(error) if error.starts_with(text));
        wait_for("the script is slow", LONG, || {
            says(&client.call(&["GET", "k"]), BUSY)
        });
        assert_eq!(client.call(&["PING"]), RespValue::Simple("PONG".into()));
        wait_for("it is killed", LONG, || {
            !client.call(&["SCRIPT", "KILL"]).is_error()
        });
        let ended = thread.join().expect("no panic");
        assert!(says(&ended, KILLED), "{ended:?}");

        // And a node that ends takes its script along.
        let mut looping = node.client();
        let thread = std::thread::spawn(move || looping.call(&["EVAL", LOOPS, "1", "k", "loop"]));
        wait_for("the script is slow", LONG, || {
            says(&client.call(&["GET", "k"]), BUSY)
        });
        node.shutdown();
        let ended = thread.join().expect("no panic");
        assert!(ended.is_error(), "{ended:?}");
    }
}
