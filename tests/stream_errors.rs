//! Commands of a master's stream that fail on the replica: none is passed silently, and nothing past one is acked.

mod common;

use common::fake_master::FakeMaster;
use common::{LONG, Make, Server, ServerOptions, contents, wait_for};

/// What a Redis 8.2.3 sends its replicas after writes of clients, and writes of modules: those of it that this node
/// doesn't know must end the link.
const RECORDED: &[&str] = &[
    "HSETEX h KEEPTTL FIELDS 1 f 1.5",
    "HSETEX h PXAT 1795877985419 FIELDS 1 f v",
    "HPEXPIREAT h 1795877985727 FIELDS 1 g",
    "HPERSIST h FIELDS 1 g",
    "XADD s 1-1 a b",
    "XGROUP CREATE s grp 0",
    "XCLAIM s grp c 0 1-1 TIME 1795876988160 RETRYCOUNT 1 FORCE JUSTID LASTID 1-1",
    "XACK s grp 1-1",
    "XDEL s 1-1",
    "XTRIM s MAXLEN 0",
    "XSETID s 9-9",
    "SETBIT b 7 1",
    "BITFIELD b SET u8 0 255",
    "BITOP NOT b2 b",
    "PFADD p a b",
    "PFMERGE p2 p",
    "PFCOUNT p",
    "GEOSEARCHSTORE g2 g FROMLONLAT 13 38 BYRADIUS 100 km",
    "VADD v VALUES 2 1 0 e",
    "VSETATTR v e {\"a\":1}",
    "vrem v e",
    "JSON.SET doc $ {\"a\":1}",
    "TS.ADD series 1 1",
    "BF.ADD filter x",
    "FT.CREATE index ON HASH SCHEMA t TEXT",
    "OF.LATER.DAYS k v",
];

fn count(server: &Server, field: &str) -> u64 {
    let text = server.info(field);
    text.parse()
        .unwrap_or_else(|_| panic!("{field} is '{text}'"))
}

fn replica_of(master: &FakeMaster, on_error: &str) -> Server {
    let replica = ServerOptions::new(Make::Understudy)
        .with("replica-on-stream-error", on_error)
        .with("replica-empty-master-guard", "no")
        .replica_of(master.port)
        .start();
    replica.wait_synced(LONG);
    replica
}

fn set(server: &Server, directive: &str, value: &str) {
    assert_eq!(
        server.call(&["CONFIG", "SET", directive, value]).text(),
        "OK"
    );
}

/// Whether the node has a command.
fn knows(server: &Server, name: &str) -> bool {
    let reply = server.call(&["COMMAND", "INFO", name]);
    !reply.elements().expect("an array")[0].is_null()
}

#[test]
fn every_command_that_we_lack_ends_the_link_before_it() {
    let first = FakeMaster::start();
    let replica = replica_of(&first, "stop");
    let unknown: Vec<&&str> = RECORDED
        .iter()
        .filter(|line| !knows(&replica, line.split(' ').next().expect("a name")))
        .collect();
    assert!(unknown.len() >= 8, "{unknown:?}");
    for (index, line) in unknown.into_iter().enumerate() {
        // Each retry takes its time: of some the second is waited for.
        let times = 1 + u64::from(index % 8 == 0);
        let words: Vec<&str> = line.split(' ').collect();
        for in_multi in [false, true] {
            let master = FakeMaster::start();
            replica.call(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
            replica.wait_synced(LONG);
            let errors = count(&replica, "master_stream_errors");
            master.lines(&["SET before 1"]);
            let (end, at) = match in_multi {
                false => {
                    let at = master.lines(&[line, "SET after 1"])[0];
                    (at, at)
                }
                true => {
                    let ats = master.lines(&["MULTI", "SET inside 1", line, "EXEC", "SET after 1"]);
                    (ats[0], ats[2])
                }
            };
            wait_for("it has failed", LONG, || {
                assert!(master.acked() <= end, "{line}");
                count(&replica, "master_stream_errors") >= errors + times
            });
            assert_eq!(replica.info("master_link_status"), "down");
            assert_eq!(count(&replica, "master_repl_offset"), end, "{line}");
            let error = replica.info("master_sync_last_error");
            let name = words[0].to_uppercase();
            assert!(error.contains(&format!("at offset {at} ")), "{error}");
            assert!(
                error.contains(&format!("{name} \"{}\"", words[1].replace('\\', "\\\\"))),
                "{error}"
            );
            assert_eq!(
                error.contains(&format!("(in the transaction at {end})")),
                in_multi
            );
            assert_eq!(replica.call(&["EXISTS", "before"]).int(), Some(1));
            assert_eq!(replica.call(&["EXISTS", "inside", "after"]).int(), Some(0));
            // It was asked for again from where it stands, and nothing else.
            assert!(master.continued().iter().all(|from| *from == end), "{line}");
            assert_eq!(
                (master.full_syncs(), replica.info("replica_diverged")),
                (1, "0".into())
            );
        }
    }
}

#[test]
fn a_stopped_link_is_named_everywhere_and_goes_on_when_told_to() {
    let master = FakeMaster::start();
    let mut replica = replica_of(&master, "stop");
    let below = ServerOptions::new(Make::Understudy)
        .replica_of(replica.port)
        .start();
    below.wait_synced(LONG);
    let at = master.lines(&["SET before 1", "VADD v VALUES 1 1 e", "SET after 1"])[1];
    wait_for("it has failed twice", LONG, || {
        assert!(master.acked() <= at);
        let errors = count(&replica, "master_stream_errors");
        // In between it is not up for a moment.
        assert!(errors == 0 || replica.info("master_link_status") == "down");
        errors >= 2
    });
    let what = format!(
        "at offset {at} VADD \"v\" \"VALUES\" \"1\" \"1\" (5 arguments): ERR unknown command"
    );
    for said in [
        replica.info("master_sync_last_error"),
        replica.info("master_stream_last_error"),
        replica
            .call(&["REPLICATION", "EXPLAIN"])
            .strings()
            .concat()
            .escape_ascii()
            .to_string()
            .replace("\\\"", "\"")
            .replace("\\'", "'"),
        replica.log_with(&what),
    ] {
        assert!(said.contains(&what), "{said}");
    }
    // Said once, however often it is tried.
    assert_eq!(replica.log().matches("stream can't be applied").count(), 1);
    // The old data serves on, unless it must not.
    assert_eq!(replica.call(&["GET", "before"]).text(), "1");
    set(&replica, "replica-serve-stale-data", "no");
    assert!(
        replica
            .call(&["GET", "before"])
            .text()
            .contains("MASTERDOWN")
    );
    set(&replica, "replica-serve-stale-data", "yes");
    // Replicas of the replica are where it is.
    assert_eq!(count(&below, "master_repl_offset"), at);
    assert_eq!(below.call(&["EXISTS", "after"]).int(), Some(0));

    set(&replica, "replica-on-stream-error", "ignore");
    replica.wait_synced(LONG);
    wait_for("it goes on", LONG, || {
        count(&replica, "master_repl_offset") == master.offset()
    });
    assert_eq!(replica.info("replica_diverged"), "1");
    assert_eq!(count(&replica, "replica_diverged_at_offset"), at);
    assert_eq!(replica.call(&["GET", "after"]).text(), "1");
    let explained = replica.call(&["REPLICATION", "EXPLAIN"]).strings().concat();
    assert!(String::from_utf8_lossy(&explained).contains("diverged: from offset"));
    // The replica of the replica got the same bytes, and stops by itself.
    wait_for("the one below stops", LONG, || {
        count(&below, "master_stream_errors") >= 1
    });
    assert_eq!(count(&below, "master_repl_offset"), at);
    assert_eq!(below.info("replica_diverged"), "0");

    // A restart by partial resync changes nothing of it.
    replica.shut_down(true);
    replica.restart(None);
    replica.wait_synced(LONG);
    assert_eq!(
        (master.full_syncs(), replica.info("replica_diverged")),
        (1, "1".into())
    );

    // Nor does a full sync of what has diverged make another one equal.
    let late = ServerOptions::new(Make::Understudy)
        .replica_of(replica.port)
        .start();
    late.wait_synced(LONG);
    assert_eq!(late.info("replica_diverged"), "1");

    master.set_keys(&[("before", "1"), ("after", "1"), ("cured", "1")]);
    set(&replica, "replica-on-stream-error", "resync");
    wait_for("it is equal", LONG, || {
        replica.info("replica_diverged") == "0"
    });
    assert_eq!(replica.call(&["GET", "cured"]).text(), "1");
    assert_eq!(master.full_syncs(), 2);
}

#[test]
fn a_resync_is_asked_for_at_once_and_then_ever_more_rarely() {
    let master = FakeMaster::start();
    let replica = replica_of(&master, "resync");
    master.set_keys(&[("cured", "1")]);
    let at = master.lines(&["SET before 1", "VADD v VALUES 1 1 e", "SET after 1"])[1];
    wait_for("a full sync", LONG, || master.full_syncs() == 2);
    replica.wait_synced(LONG);
    assert_eq!(replica.call(&["GET", "cured"]).text(), "1");
    assert_eq!(master.continued(), [0u64; 0]);
    let reason = replica.info("full_resync0");
    assert!(reason.contains(&format!("at offset {at} VADD")), "{reason}");
    assert_eq!(replica.info("replica_diverged"), "0");
    // It comes again at once: the next full syncs are put off.
    for n in 3..5 {
        master.lines(&["VADD v VALUES 1 1 e"]);
        wait_for("another full sync", LONG, || master.full_syncs() == n);
        replica.wait_synced(LONG);
    }
    assert_eq!(count(&replica, "master_stream_errors"), 3);
}

/// A transaction that fails in the middle is no half transaction.
#[test]
fn a_transaction_that_fails_is_taken_back() {
    let master = FakeMaster::start();
    let replica = replica_of(&master, "stop");
    master.lines(&["SET text 1", "RPUSH list a b", "HSET hash f 1"]);
    let begin = master.lines(&[
        "MULTI",
        "INCR text",
        "RPUSH list c",
        "HDEL hash f",
        "SADD new x",
        "LPUSH text x",
        "SET after 1",
        "EXEC",
    ])[0];
    wait_for("it has failed twice", LONG, || {
        assert!(master.acked() <= begin);
        count(&replica, "master_stream_errors") >= 2
    });
    assert!(
        replica
            .info("master_sync_last_error")
            .contains("LPUSH of key \"text\": WRONGTYPE")
    );
    assert_eq!(replica.call(&["GET", "text"]).text(), "1");
    assert_eq!(
        replica
            .call(&["LRANGE", "list", "0", "-1"])
            .strings()
            .concat(),
        b"ab"
    );
    assert_eq!(replica.call(&["HGET", "hash", "f"]).text(), "1");
    assert_eq!(replica.call(&["DBSIZE"]).int(), Some(3));
    assert_eq!(
        (master.full_syncs(), replica.info("replica_diverged")),
        (1, "0".into())
    );
    // Where it can't be, only a full sync helps, and until then the data is said to differ.
    let master = FakeMaster::start();
    replica.call(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
    replica.wait_synced(LONG);
    master.set_keys(&[("cured", "1")]);
    master.lines(&[
        "SET text 1",
        "MULTI",
        "FLUSHALL",
        "SET text 1",
        "LPUSH text x",
        "EXEC",
    ]);
    wait_for("a full sync", LONG, || master.full_syncs() == 2);
    replica.wait_synced(LONG);
    assert_eq!(replica.call(&["GET", "cured"]).text(), "1");
    assert!(
        replica
            .info("full_resync0")
            .contains("could not be taken back")
    );
}

/// Writes of a client as a real master has them, `TEST_REDIS_SERVER` for another version: what this node does not know of
/// their effects ends the link, all else makes the two equal.
#[test]
fn what_a_real_master_writes_is_applied_or_ends_the_link() {
    let writes = [
        "HINCRBYFLOAT h f 1.5",
        "HSETEX h EX 1000 FIELDS 1 f v",
        "HEXPIRE h 1000 FIELDS 1 f",
        "HGETEX h PERSIST FIELDS 1 f",
        "HGETDEL h FIELDS 1 f",
        "XADD s * a b",
        "SETBIT b 7 1",
        "BITFIELD b SET u8 0 255",
        "BITOP NOT b2 b",
        "PFADD p a b",
        "PFMERGE p2 p",
        "PFCOUNT p",
        "GEOADD g 13.361389 38.115556 Palermo",
        "VADD v VALUES 2 1 0 e",
        "VREM v e",
        "SET k v",
        "LPUSH l a b",
        "ZADD z 1 a",
        "COPY k k2",
        "SPUBLISH c m",
    ];
    let master = ServerOptions::new(Make::Redis)
        .with("repl-diskless-sync-delay", 0)
        .start();
    let replica = ServerOptions::new(Make::Understudy)
        .replica_of(master.port)
        .start();
    replica.wait_synced(LONG);
    let mut stopped = Vec::new();
    for line in writes {
        let words: Vec<&str> = line.split(' ').collect();
        master.call(&["FLUSHALL"]);
        master.call(&["SET", "marker", line]);
        if replica.info("master_link_status") != "up" {
            // Past what it stopped at.
            replica.call(&["REPLICAOF", "NO", "ONE"]);
            replica.call(&["DEBUG", "CHANGE-REPL-ID"]);
            replica.call(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
        }
        wait_for("the marker is there", LONG, || {
            replica.call(&["GET", "marker"]).text() == line
        });
        if master.call(&words).is_error() {
            // A version that doesn't know it.
            continue;
        }
        master.call(&["SET", "later", "1"]);
        let mut same = false;
        wait_for("it is applied, or has ended the link", LONG, || {
            same = replica.call(&["EXISTS", "later"]).int() == Some(1);
            same || replica
                .info("master_sync_last_error")
                .contains("failed at offset")
        });
        if same {
            contents::assert_same(&contents::of(&master), &contents::of(&replica), 0);
        } else {
            assert_eq!(replica.info("master_link_status"), "down");
            assert!(count(&replica, "master_repl_offset") < count(&master, "master_repl_offset"));
            stopped.push(line);
        }
    }
    println!("stopped at: {stopped:?}");
    assert!(!stopped.contains(&"COPY k k2"), "{stopped:?}");
    assert_eq!(replica.info("replica_diverged"), "0");
}
