//! Replication with a real redis-server on either side: full and partial syncs, chains, promotions, restarts
//! and masters that lie.
//!
//! `KEYS=1000000` runs the main job at its full size; by default it is smaller, so that the suite stays quick.

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{
    LONG, Make, Proxy, RespClient, Server, ServerOptions, SetAtEnd, seed, setting, wait_for,
};
use fastrand::Rng;

fn keys() -> usize {
    setting("KEYS", 30_000)
}

/// Ours serve with two threads here, so that shards are met from both; most other tests have the default.
fn node(make: Make) -> ServerOptions {
    let options = ServerOptions::new(make)
        .with("repl-diskless-sync-delay", 0)
        .with("repl-backlog-size", "64mb")
        // A server computes the digest of a million keys for minutes, and answers nobody meanwhile.
        .with("repl-timeout", 900);
    match make {
        Make::Understudy => options.with("arbiters", 2),
        Make::Redis => options,
    }
}

/// Waits until every node is at the top's offset, then compares replids and the counts of keys.
fn assert_same_place(nodes: &[&Server]) {
    let top = nodes[0];
    wait_for("all nodes are at the same offset", LONG, || {
        let offset = top.info("master_repl_offset");
        nodes.iter().all(|n| n.info("master_repl_offset") == offset)
    });
    let replid = top.info("master_replid");
    let size = top.call(&["DBSIZE"]);
    for node in nodes {
        assert_eq!(node.info("master_replid"), replid);
        assert_eq!(node.call(&["DBSIZE"]), size, "{:?}", node.options);
    }
}

/// The same, and equal data, which each node digests at the same time as the others.
fn assert_equal(nodes: &[&Server]) {
    assert_same_place(nodes);
    let digests: Vec<String> = std::thread::scope(|scope| {
        let digesting: Vec<_> = nodes
            .iter()
            .map(|node| scope.spawn(|| node.digest()))
            .collect();
        digesting
            .into_iter()
            .map(|one| one.join().expect("a digest"))
            .collect()
    });
    for (node, digest) in nodes.iter().zip(&digests) {
        assert_eq!(digest, &digests[0], "{:?}", node.options);
    }
}

fn count(server: &Server, field: &str) -> u64 {
    server.info(field).parse().unwrap_or(0)
}

/// Elements of each large collection.
const LARGE: usize = 100_000;

/// One collection of each type that is far past the compact encodings.
fn add_large_collections(client: &mut RespClient) {
    for from in (0..LARGE).step_by(1000) {
        let numbers = from..from + 1000;
        let one = |word: &str| {
            numbers
                .clone()
                .map(|n| format!("{word}:{n}"))
                .collect::<Vec<_>>()
        };
        let two = |first: &dyn Fn(usize) -> String| {
            numbers
                .clone()
                .flat_map(|n| [first(n), format!("member:{n}")])
                .collect::<Vec<_>>()
        };
        let parts = [
            ("RPUSH", "large:list", one("value")),
            ("SADD", "large:set", one("member")),
            ("HSET", "large:hash", two(&|n| format!("field:{n}"))),
            ("ZADD", "large:zset", two(&|n| n.to_string())),
        ];
        let commands: Vec<Vec<String>> = parts
            .into_iter()
            .map(|(name, key, items)| [vec![name.to_owned(), key.to_owned()], items].concat())
            .collect();
        for reply in client.pipeline(&commands) {
            assert!(!reply.is_error(), "{reply:?}");
        }
    }
}

/// A chain of three with a proxy in each link; writes go on while links are cut.
fn main_job(makes: [Make; 3]) {
    let top = node(makes[0]).start();
    let keys = keys();
    seed::fill(&mut top.client(), 7, "k", keys);
    add_large_collections(&mut top.client());
    top.call(&["CONFIG", "SET", "repl-ping-replica-period", "1"]);
    let upper = Proxy::new(top.port);
    let middle = node(makes[1]).replica_of(upper.port).start();
    middle.wait_synced(LONG);
    let lower = Proxy::new(middle.port);
    let bottom = node(makes[2]).replica_of(lower.port).start();
    bottom.wait_synced(LONG);
    assert_same_place(&[&top, &middle, &bottom]);

    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = SetAtEnd(&stop);
        scope.spawn(|| {
            let mut client = top.client();
            let mut rng = Rng::with_seed(8);
            while !stop.load(Ordering::Relaxed) {
                let batch: Vec<_> = (0..50).map(|_| seed::write(&mut rng, 2000)).collect();
                for reply in client.pipeline(&batch) {
                    assert!(!reply.is_error(), "{reply:?}");
                }
            }
        });
        for round in 0..20 {
            let (proxy, replica) = if round % 2 == 0 {
                (&upper, &middle)
            } else {
                (&lower, &bottom)
            };
            let before = proxy.accepted();
            proxy.cut();
            wait_for("the replica is back", LONG, || proxy.accepted() > before);
            replica.wait_synced(LONG);
            std::thread::sleep(Duration::from_millis(100));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_equal(&[&top, &middle, &bottom]);
    for server in [&top, &middle] {
        assert_eq!(count(server, "sync_full"), 1, "{:?}", server.options);
        assert!(count(server, "sync_partial_ok") >= 10);
    }
}

#[test]
fn between_two_redis_servers() {
    main_job([Make::Redis, Make::Understudy, Make::Redis]);
}

#[test]
fn around_a_redis_server() {
    main_job([Make::Understudy, Make::Redis, Make::Understudy]);
}

#[test]
fn a_promotion_in_a_chain_is_all_partial_and_loses_no_acked_write() {
    let a = node(Make::Understudy).start();
    let b = node(Make::Understudy).replica_of(a.port).start();
    b.wait_synced(LONG);
    let c = node(Make::Understudy).replica_of(b.port).start();
    c.wait_synced(LONG);
    seed::fill(&mut a.client(), 1, "k", 1000);
    let mut client = a.client();
    client.call(&["SET", "acked", "yes"]);
    assert_eq!(client.call(&["WAIT", "1", "5000"]).int(), Some(1));
    // The master goes away and comes back as the promoted node's replica.
    b.call(&["REPLICAOF", "NO", "ONE"]);
    b.call(&["SET", "after", "promotion"]);
    a.call(&["REPLICAOF", "127.0.0.1", &b.port.to_string()]);
    a.wait_synced(LONG);
    c.wait_synced(LONG);
    assert_equal(&[&b, &a, &c]);
    assert_eq!(c.call(&["GET", "acked"]).text(), "yes");
    assert_eq!(a.call(&["GET", "after"]).text(), "promotion");
    // One full sync each, from the time when they first attached.
    assert_eq!((count(&a, "sync_full"), count(&b, "sync_full")), (1, 1));
    assert_eq!(count(&b, "sync_partial_ok"), 2);
}

#[test]
fn a_restart_with_a_saved_dump_goes_on_partially() {
    for make in [Make::Redis, Make::Understudy] {
        let top = node(make).start();
        seed::fill(&mut top.client(), 1, "k", 1000);
        let mut replica = node(Make::Understudy).replica_of(top.port).start();
        replica.wait_synced(LONG);
        top.call(&["SET", "x", "1"]);
        assert_equal(&[&top, &replica]);
        replica.shut_down(true);
        top.call(&["SET", "while", "away"]);
        replica.restart(None);
        replica.wait_synced(LONG);
        assert_equal(&[&top, &replica]);
        assert_eq!(count(&top, "sync_full"), 1);
        assert_eq!(count(&top, "sync_partial_ok"), 1);
    }
}

#[test]
fn a_restarted_master_lets_its_replicas_go_on() {
    let mut top = node(Make::Understudy).start();
    seed::fill(&mut top.client(), 1, "k", 1000);
    let ours = node(Make::Understudy).replica_of(top.port).start();
    let theirs = node(Make::Redis).replica_of(top.port).start();
    ours.wait_synced(LONG);
    theirs.wait_synced(LONG);
    assert_equal(&[&top, &ours, &theirs]);
    top.shut_down(true);
    top.restart(None);
    ours.wait_synced(LONG);
    theirs.wait_synced(LONG);
    top.call(&["SET", "y", "2"]);
    assert_equal(&[&top, &ours, &theirs]);
    assert_eq!(count(&top, "sync_full"), 0);
    assert_eq!(count(&top, "sync_partial_ok"), 2);
}

#[test]
fn both_transfer_forms_work_with_either_make() {
    for diskless in ["yes", "no"] {
        let top = node(Make::Understudy)
            .with("repl-diskless-sync", diskless)
            .start();
        seed::fill(&mut top.client(), 2, "k", 5000);
        let replicas: Vec<Server> = [Make::Redis, Make::Understudy, Make::Redis]
            .into_iter()
            .map(|make| {
                node(make)
                    .with("repl-diskless-sync", diskless)
                    .replica_of(top.port)
                    .start()
            })
            .collect();
        for replica in &replicas {
            replica.wait_synced(LONG);
        }
        seed::fill(&mut top.client(), 3, "more", 500);
        assert_equal(&[&top, &replicas[0], &replicas[1], &replicas[2]]);
    }
}

#[test]
fn replicas_that_come_during_the_delay_share_a_snapshot() {
    let top = node(Make::Understudy)
        .with("repl-diskless-sync-delay", 2)
        .start();
    seed::fill(&mut top.client(), 2, "k", 1000);
    let replicas: Vec<Server> = (0..3)
        .map(|_| node(Make::Redis).replica_of(top.port).start())
        .collect();
    for replica in &replicas {
        replica.wait_synced(LONG);
    }
    assert_eq!(count(&top, "sync_full"), 3);
    assert_eq!(top.log().matches("Starting BGSAVE for SYNC").count(), 1);
}

/// A master that speaks the handshake and then says what it likes, once per connection.
fn liar(payload: impl Fn() -> Vec<u8> + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut seen = Vec::new();
            let mut buffer = [0; 4096];
            let mut replied = 0;
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                seen.extend_from_slice(&buffer[..n]);
                let text = String::from_utf8_lossy(&seen).to_uppercase();
                let commands = text.matches("PING").count() + text.matches("REPLCONF").count();
                while replied < commands {
                    replied += 1;
                    let _ = stream.write_all(b"+OK\r\n");
                }
                if text.contains("PSYNC") {
                    let _ = stream
                        .write_all(b"+FULLRESYNC 0123456789012345678901234567890123456789 1\r\n");
                    let _ = stream.write_all(&payload());
                    break;
                }
            }
        }
    });
    port
}

#[test]
fn what_a_bad_master_sends_leaves_the_data_as_it_was() {
    let good = ServerOptions::new(Make::Redis).start();
    seed::fill(&mut good.client(), 4, "k", 2000);
    good.call(&["SAVE"]);
    let dump = std::fs::read(good.dir().join("dump.rdb")).unwrap();
    let cut = {
        let mut bytes = format!("${}\r\n", dump.len()).into_bytes();
        bytes.extend_from_slice(&dump[..dump.len() / 2]);
        bytes
    };
    let corrupt = {
        let mut bytes = format!("${}\r\n", dump.len()).into_bytes();
        let mut dump = dump.clone();
        let middle = dump.len() / 2;
        dump[middle] ^= 0xff;
        bytes.extend_from_slice(&dump);
        bytes
    };
    let huge = b"$99999999999999\r\nREDIS0010".to_vec();
    let garbage = b"$20\r\nthis is no dump at all".to_vec();
    let endless = vec![b'x'; 1 << 20];
    let negative = b"$-5\r\nREDIS0010".to_vec();
    // It says fewer bytes than the dump has: what the length covers is no whole dump.
    let short = {
        let mut bytes = format!("${}\r\n", dump.len() / 2).into_bytes();
        bytes.extend_from_slice(&dump);
        bytes
    };
    let mark = "f".repeat(40);
    // The mark comes in the middle of the dump, or never.
    let early_mark = {
        let mut bytes = format!("$EOF:{mark}\r\n").into_bytes();
        bytes.extend_from_slice(&dump[..dump.len() / 2]);
        bytes.extend_from_slice(mark.as_bytes());
        bytes
    };
    let no_mark = {
        let mut bytes = format!("$EOF:{mark}\r\n").into_bytes();
        bytes.extend_from_slice(&dump);
        bytes
    };
    let payloads = [
        cut, corrupt, huge, garbage, endless, negative, short, early_mark, no_mark,
    ];
    for payload in payloads {
        let replica = node(Make::Understudy).start();
        seed::fill(&mut replica.client(), 5, "own", 500);
        let before = replica.digest();
        let port = liar(move || payload.clone());
        replica.call(&["REPLICAOF", "127.0.0.1", &port.to_string()]);
        wait_for("the replica has tried twice", LONG, || {
            replica
                .log()
                .matches("MASTER <-> REPLICA sync started")
                .count()
                >= 2
        });
        assert_eq!(replica.digest(), before);
        assert_eq!(replica.info("master_link_status"), "down");
        let used: u64 = replica.info("used_memory").parse().unwrap();
        assert!(used < 100 << 20, "a length is not believed: {used}");
    }
}

#[test]
fn a_cut_transfer_leaves_the_old_data_and_the_next_one_replaces_it() {
    let top = node(Make::Redis).start();
    seed::fill(&mut top.client(), 6, "k", 20_000);
    let proxy = Proxy::new(top.port);
    proxy.throttle(100_000);
    let replica = node(Make::Understudy).start();
    seed::fill(&mut replica.client(), 5, "own", 500);
    let before = replica.digest();
    replica.call(&["REPLICAOF", "127.0.0.1", &proxy.port.to_string()]);
    wait_for("the transfer runs", LONG, || {
        replica.info("master_sync_in_progress") == "1"
    });
    assert_eq!(replica.digest(), before);
    proxy.cut();
    wait_for("the replica has noticed", LONG, || {
        replica.info("master_sync_in_progress") == "0"
    });
    assert_eq!(replica.digest(), before);
    proxy.throttle(0);
    replica.wait_synced(LONG);
    assert_equal(&[&top, &replica]);
}

/// Clients of a replica are paused, and with them the stream, for longer than a master may be silent.
#[test]
fn a_pause_of_clients_is_not_taken_for_a_silent_master() {
    for make in [Make::Understudy, Make::Redis] {
        let master = node(make).with("repl-ping-replica-period", 1).start();
        let replica = node(Make::Understudy)
            .with("repl-timeout", 2)
            .replica_of(master.port)
            .start();
        replica.wait_synced(LONG);
        replica.call(&["CLIENT", "PAUSE", "5000", "WRITE"]);
        master.call(&["SET", "during", "the pause"]);
        wait_for("the pause is over", LONG, || {
            replica.call(&["EXISTS", "during"]).int() == Some(1)
        });
        let log = replica.log();
        assert!(!log.contains("MASTER timeout"), "{log}");
        assert_eq!(count(&master, "sync_partial_ok"), 0);
    }
}

// ---- changes of role inside a transaction ----

/// Runs a transaction and gives its replies.
fn transaction(server: &Server, commands: &[&[&str]]) -> Vec<common::RawReply> {
    let mut client = server.client();
    assert_eq!(client.call(&["MULTI"]).text(), "OK");
    for command in commands {
        assert_eq!(client.call(command).text(), "QUEUED", "{command:?}");
    }
    let replies = client.call(&["EXEC"]);
    replies.elements().expect("an array").to_vec()
}

#[test]
fn what_a_transaction_wrote_as_a_master_reaches_the_replicas() {
    let server = node(Make::Understudy).start();
    let theirs = node(Make::Redis).replica_of(server.port).start();
    let ours = node(Make::Understudy).replica_of(server.port).start();
    theirs.wait_synced(LONG);
    ours.wait_synced(LONG);
    let replies = transaction(
        &server,
        &[
            &["SET", "before", "1"],
            &["RPUSH", "list", "a", "b"],
            &["REPLICAOF", "127.0.0.1", "1"],
            &["SET", "after", "1"],
            &["GET", "before"],
        ],
    );
    let texts: Vec<String> = replies.iter().map(|reply| reply.text()).collect();
    assert_eq!(texts, ["OK", "2", "OK", "OK", "1"]);
    assert_eq!(server.info("role"), "slave");
    assert!(server.call(&["SET", "later", "1"]).is_error());
    assert_equal(&[&server, &theirs, &ours]);
    assert_eq!(
        ours.call(&["EXISTS", "before", "list", "after"]).int(),
        Some(3)
    );
}

/// The last order in a transaction counts.
#[test]
fn a_transaction_that_takes_its_replicaof_back_changes_no_role() {
    let server = node(Make::Understudy).start();
    let before = server.info("master_replid");
    let replies = transaction(
        &server,
        &[
            &["REPLICAOF", "127.0.0.1", "1"],
            &["FAILOVER"],
            &["SET", "k", "1"],
            &["REPLICAOF", "NO", "ONE"],
            &["SET", "k", "2"],
        ],
    );
    let texts: Vec<String> = replies.iter().map(|reply| reply.text()).collect();
    let refused = "ERR FAILOVER is not valid when server is a replica.";
    assert_eq!(texts, ["OK", refused, "OK", "OK", "OK"]);
    assert_eq!(server.info("role"), "master");
    assert_eq!(server.info("master_replid"), before);
    assert_eq!(server.call(&["SET", "k", "3"]).text(), "OK");
}

#[test]
fn what_a_transaction_wrote_after_its_promotion_reaches_the_replicas() {
    let top = node(Make::Redis).start();
    let server = node(Make::Understudy)
        .with("replica-read-only", "no")
        .replica_of(top.port)
        .start();
    server.wait_synced(LONG);
    let replica = node(Make::Understudy).replica_of(server.port).start();
    replica.wait_synced(LONG);
    let replies = transaction(
        &server,
        &[&["REPLICAOF", "NO", "ONE"], &["SET", "after", "1"]],
    );
    assert!(replies.iter().all(|reply| reply.text() == "OK"));
    replica.wait_synced(LONG);
    assert_equal(&[&server, &replica]);
    assert_eq!(replica.call(&["GET", "after"]).text(), "1");
    assert_eq!(count(&server, "sync_full"), 1);
}

/// The writes of the transaction that asks for a failover are part of what the target must have.
#[test]
fn what_a_transaction_wrote_around_a_failover_is_handed_over() {
    let server = node(Make::Understudy).start();
    let replica = node(Make::Understudy).replica_of(server.port).start();
    replica.wait_synced(LONG);
    let replies = transaction(
        &server,
        &[
            &["SET", "before", "1"],
            &["FAILOVER", "TO", "127.0.0.1", &replica.port.to_string()],
            &["SET", "after", "1"],
        ],
    );
    assert!(
        replies.iter().all(|reply| reply.text() == "OK"),
        "{replies:?}"
    );
    wait_for("the failover succeeds", LONG, || {
        server.info("master_failover_state") == "no-failover"
    });
    assert_eq!(replica.info("role"), "master");
    server.wait_synced(LONG);
    assert_equal(&[&replica, &server]);
    assert_eq!(replica.call(&["EXISTS", "before", "after"]).int(), Some(2));
    assert_eq!(count(&replica, "sync_full"), 0);
}

/// A change of the history, and bytes put into the stream by hand, come after what was written before them.
#[test]
fn debug_in_a_transaction_comes_after_what_was_written() {
    let server = node(Make::Understudy).start();
    let replica = node(Make::Understudy).replica_of(server.port).start();
    replica.wait_synced(LONG);
    transaction(
        &server,
        &[
            &["SET", "k", "1"],
            &["DEBUG", "REPLICATE", "SET", "k", "2"],
            &["DEBUG", "CHANGE-REPL-ID"],
            &["SET", "other", "1"],
        ],
    );
    wait_for("the replica has it all", LONG, || {
        replica.info("master_repl_offset") == server.info("master_repl_offset")
    });
    assert_eq!(replica.call(&["GET", "k"]).text(), "2");
    assert_eq!(replica.call(&["EXISTS", "other"]).int(), Some(1));
}

// ---- fewer databases than the master ----

/// What the master does with a database that the replica doesn't have.
const FOREIGN: [(&str, &[&[&str]]); 6] = [
    (
        "SELECT",
        &[&["SELECT", "20"], &["SET", "marker", "changed"]],
    ),
    ("SELECT", &[&["SELECT", "20"], &["FLUSHDB"]]),
    ("COPY", &[&["COPY", "marker", "marker", "DB", "20"]]),
    ("MOVE", &[&["MOVE", "marker", "20"]]),
    ("SWAPDB", &[&["SWAPDB", "0", "20"]]),
    (
        "SELECT",
        &[
            &["MULTI"],
            &["SET", "marker", "changed"],
            &["SELECT", "20"],
            &["SET", "marker", "changed"],
            &["EXEC"],
        ],
    ),
];

#[test]
fn what_is_meant_for_a_database_that_we_lack_ends_the_link() {
    // What the effects of either make's commands look like is the same.
    for (make, foreign) in [
        (Make::Redis, &FOREIGN[..]),
        (Make::Understudy, &FOREIGN[2..5]),
    ] {
        for (name, commands) in foreign {
            let top = node(make).with("databases", 32).start();
            top.call(&["SET", "marker", "1"]);
            let mut replica = node(Make::Understudy).replica_of(top.port).start();
            replica.wait_synced(LONG);
            assert_same_place(&[&top, &replica]);
            let mut client = top.client();
            for command in *commands {
                assert!(!client.call(command).is_error(), "{command:?}");
            }
            top.call(&["SET", "later", "1"]);
            let wanted = format!("({name}), and this node has 16: raise the directive databases");
            wait_for("the link has ended twice", LONG, || {
                replica.info("master_sync_last_error").contains(&wanted)
                    && replica.log().matches("Connecting to MASTER").count() >= 3
            });
            // Neither applied nor acked, nor what follows it.
            assert_eq!(replica.call(&["GET", "marker"]).text(), "1");
            assert_eq!(replica.call(&["DBSIZE"]).int(), Some(1));
            assert!(count(&replica, "master_repl_offset") < count(&top, "master_repl_offset"));
            assert_eq!(client.call(&["WAIT", "1", "1"]).int(), Some(0));
            let said = "stream can't be applied";
            assert_eq!(replica.log_with(said).matches(said).count(), 1);
            // With enough databases it goes on where it was.
            replica.shut_down(true);
            let mut options = replica.options.args.clone();
            options.extend(["--databases".into(), "32".into()]);
            replica.restart(Some(options));
            replica.wait_synced(LONG);
            assert_equal(&[&top, &replica]);
            assert_eq!(replica.info("master_sync_last_error"), "");
            assert_eq!(count(&top, "sync_full"), 1);
        }
    }
}

/// The dump holds nothing of the database that we lack, but its stream is in it.
#[test]
fn a_dump_whose_stream_goes_on_in_a_database_that_we_lack_is_not_taken() {
    let top = node(Make::Redis).with("databases", 32).start();
    let middle = node(Make::Understudy)
        .with("databases", 32)
        .replica_of(top.port)
        .start();
    middle.wait_synced(LONG);
    let mut client = top.client();
    for command in [&["SELECT", "20"][..], &["SET", "k", "1"], &["DEL", "k"]] {
        client.call(command);
    }
    assert_same_place(&[&top, &middle]);
    let bottom = node(Make::Understudy).replica_of(middle.port).start();
    bottom.call(&["CONFIG", "SET", "replica-read-only", "no"]);
    bottom.call(&["SET", "own", "1"]);
    wait_for("the dump is refused", LONG, || {
        bottom
            .info("master_sync_last_error")
            .contains("(repl-stream-db), and this node has 16: raise the directive databases")
    });
    assert_eq!(bottom.call(&["EXISTS", "own"]).int(), Some(1));

    // Nor is it resumed from after a restart with fewer.
    let mut middle = middle;
    middle.shut_down(true);
    let mut options = middle.options.args.clone();
    options.extend(["--databases".into(), "16".into()]);
    middle.restart(Some(options));
    middle.wait_synced(LONG);
    let log = middle.log();
    assert!(log.contains("Can't resume from the dump"), "{log}");
    assert_equal(&[&top, &middle]);
}
