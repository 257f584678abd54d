//! Every actor and thread is killed at each of its steps (DEBUG FAULT, which release builds don't have): what should
//! live on does, what should start anew does, and a node that ends says by its exit code whether the data is saved.

#![cfg(debug_assertions)]

mod common;

use std::time::Duration;

use common::{
    Load, Make, Proxy, RawReply, RespClient, Server, ServerOptions, free_port, seed, wait_for,
};
use understudy::internals::supervision::Owner;
use understudy::{Closed, Node, RespValue, Settings};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);
/// A new start finds all that was to be saved.
const EXIT_SAVED: i32 = 70;
/// It does not.
const EXIT_UNSAVED: i32 = 71;

fn understudy() -> ServerOptions {
    ServerOptions::new(Make::Understudy)
}

/// One that saves, if it is told to or ends in order.
fn saving() -> ServerOptions {
    understudy().with("save", "3600 1")
}

fn arm(server: &Server, owner: &str, step: &str) {
    let reply = server.call(&["DEBUG", "FAULT", owner, step]);
    assert_eq!(reply.text(), "OK", "{owner} {step}");
}

fn wait_log(server: &Server, text: &str) {
    wait_for(&format!("the log says: {text}"), PATIENCE, || {
        server.log().contains(text)
    });
}

fn fill(server: &Server) {
    let reply = server.call(&["DEBUG", "POPULATE", "1000"]);
    assert_eq!(reply.text(), "OK");
    assert_eq!(server.call(&["SET", "kept", "value"]).text(), "OK");
}

/// The server has the data of `fill`.
fn is_filled(server: &Server) {
    assert_eq!(server.call(&["GET", "kept"]).text(), "value");
    assert_eq!(server.call(&["DBSIZE"]).int(), Some(1001));
}

/// Files of this directory that a node's end over a half changed shard has left.
fn rescued(server: &Server) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(server.dir()).expect("a directory");
    let files = files.map(|file| file.expect("a file").path());
    files
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("rescued-") && name.ends_with(".rdb")
        })
        .collect()
}

/// A node that saves ends when `owner` takes `step`, which `provoke` brings about, with its data in the dump.
fn ends_the_node(owner: &str, step: &str, provoke: impl Fn(&Server)) {
    let mut server = saving().start();
    fill(&server);
    arm(&server, owner, step);
    provoke(&server);
    assert_eq!(server.wait_exit(), Some(EXIT_SAVED), "{owner} {step}");
    // The process has ended: all of its log is written.
    let log = server.log();
    assert!(log.contains("=== PANIC in thread"), "{log}");
    assert!(log.contains(&format!("in {owner}")), "{log}");
    assert!(log.contains("The node ends"), "{log}");
    assert!(log.contains("supervision"), "no backtrace: {log}");
    server.restart(None);
    is_filled(&server);
    assert_eq!(rescued(&server), Vec::<std::path::PathBuf>::new());
}

/// The node serves on when `owner` dies at `step`, which `provoke` brings about; the actor starts anew if `anew`.
fn goes_on(server: &Server, owner: &str, step: &str, provoke: impl Fn(&Server)) {
    arm(server, owner, step);
    provoke(server);
    let line = format!("a fault of {owner} at {step}, as asked for");
    wait_log(server, &line);
}

fn connect(server: &Server) {
    // Refused or closed: both are an end.
    let _ = RespClient::connect(server.port).map(|mut client| client.try_call(&["PING"]));
}

// ---- clients ----

#[test]
fn a_connection_that_dies_outside_of_shards_costs_its_client() {
    let server = saving().start();
    fill(&server);
    let mut other = server.client();
    let mut victim = server.client();
    assert_eq!(victim.call(&["SUBSCRIBE", "news"]).strings().len(), 2);
    arm(&server, "connection", "parse");
    // Whoever comes first dies: that is the one who asks now.
    victim.send(&["PING"]);
    victim.flush();
    assert!(victim.is_closed());
    assert_eq!(other.call(&["GET", "kept"]).text(), "value");
    wait_for("its traces are gone", PATIENCE, || {
        let subscribers = other.call(&["PUBSUB", "NUMSUB", "news"]);
        subscribers.elements().and_then(|e| e[1].int()) == Some(0)
    });
    // Pipelines of others have all of the shared buffers again.
    let pings = vec![vec!["PING"]; 1000];
    let replies = other.pipeline(&pings);
    assert!(replies.iter().all(|reply| reply.text() == "PONG"));
    assert!(
        server
            .log()
            .contains("after a panic: a fault of connection")
    );
    is_filled(&server);
}

#[test]
fn a_half_changed_shard_ends_the_node_and_leaves_the_dump_alone() {
    let mut server = saving().start();
    fill(&server);
    assert_eq!(server.call(&["SAVE"]).text(), "OK");
    let dump = std::fs::read(server.dir().join("dump.rdb")).expect("a dump");
    assert_eq!(server.call(&["SET", "later", "value"]).text(), "OK");
    let mut other = server.client();
    assert_eq!(other.call(&["PING"]).text(), "PONG");
    let mut victim = server.client();
    arm(&server, "connection", "changed");
    victim.send(&["SET", "half", "changed"]);
    victim.flush();
    assert!(victim.is_closed());
    // Nobody is served what may be half changed.
    if let Ok(reply) = other.try_call(&["GET", "half"]) {
        panic!("a poisoned shard was served: {reply:?}");
    }
    assert_eq!(server.wait_exit(), Some(EXIT_UNSAVED));
    let after = std::fs::read(server.dir().join("dump.rdb")).expect("a dump");
    assert_eq!(dump, after, "the dump stays as it was");
    let files = rescued(&server);
    assert_eq!(files.len(), 1, "{files:?}");
    // What was saved beside it is all of the data.
    std::fs::rename(&files[0], server.dir().join("dump.rdb")).expect("renamed");
    server.restart(None);
    assert_eq!(server.call(&["GET", "later"]).text(), "value");
    assert_eq!(server.call(&["GET", "kept"]).text(), "value");
}

#[test]
fn a_node_that_saves_nothing_ends_over_a_half_changed_shard_too() {
    let mut server = understudy().start();
    fill(&server);
    arm(&server, "connection", "changed");
    let _ = server.client().try_call(&["APPEND", "kept", "more"]);
    assert_eq!(server.wait_exit(), Some(EXIT_SAVED));
    assert_eq!(rescued(&server).len(), 0);
}

#[test]
fn a_replica_that_dies_inside_a_shard_acknowledges_nothing_more() {
    let master = understudy().start();
    let mut replica = understudy().replica_of(master.port).start();
    replica.wait_synced(PATIENCE);
    assert_eq!(master.call(&["SET", "a", "1"]).text(), "OK");
    let acked = || -> i64 {
        let line = master.info("slave0");
        let offset = line.split(',').find_map(|f| f.strip_prefix("offset="));
        offset.and_then(|n| n.parse().ok()).unwrap_or(-1)
    };
    let offset = || {
        master
            .info("master_repl_offset")
            .parse::<i64>()
            .unwrap_or(0)
    };
    wait_for("the replica acks", PATIENCE, || acked() == offset());
    arm(&replica, "link", "changed");
    let mut client = master.client();
    assert_eq!(client.call(&["SET", "b", "2"]).text(), "OK");
    assert_eq!(client.call(&["WAIT", "1", "1"]).int(), Some(0));
    replica.wait_exit();
    assert_eq!(client.call(&["WAIT", "1", "1"]).int(), Some(0));
}

/// A node in this process, with its dump in that directory.
fn embedded(directory: &std::path::Path) -> Node {
    let settings = Settings {
        dir: Some(directory.to_string_lossy().into_owned()),
        dbfilename: "dump.rdb".into(),
        save: Settings::default().save,
        ..Settings::embedded()
    };
    Node::start(settings).expect("a node")
}

#[test]
fn an_in_process_client_that_dies_is_closed_and_the_others_go_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = embedded(directory.path());
    let (mut victim, mut other) = (node.client(), node.client());
    let faults = &node.observe().supervision.faults;
    faults.arm(Owner::LocalClient, "call".into());
    assert!(matches!(victim.call(&["PING"]), RespValue::Error(_)));
    assert_eq!(victim.closed(), Some(Closed::Client));
    assert_eq!(
        other.call(&["SET", "a", "1"]),
        RespValue::Simple("OK".into())
    );
    assert_eq!(node.shutdown(), 0);
}

#[test]
fn an_in_process_client_that_dies_inside_a_shard_ends_the_node() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = embedded(directory.path());
    let (mut victim, mut other) = (node.client(), node.client());
    let faults = &node.observe().supervision.faults;
    faults.arm(Owner::Connection, "changed".into());
    assert!(matches!(
        victim.call(&["SET", "a", "1"]),
        RespValue::Error(_)
    ));
    assert_eq!(node.wait(), EXIT_UNSAVED);
    assert!(matches!(other.call(&["GET", "a"]), RespValue::Error(_)));
    assert_eq!(other.closed(), Some(Closed::Node));
    let files = std::fs::read_dir(directory.path()).expect("a directory");
    let names: Vec<_> = files
        .map(|file| file.expect("a file").file_name())
        .collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(
        names[0].to_string_lossy().starts_with("rescued-"),
        "{names:?}"
    );
    assert_eq!(node.shutdown(), EXIT_UNSAVED);
}

// ---- actors that end the node ----

#[test]
fn the_death_of_a_reception_ends_the_node() {
    ends_the_node("reception", "arrival", connect);
}

#[test]
fn the_death_of_a_reception_at_others_turns_ends_the_node() {
    ends_the_node("reception", "shard tasks", |server| {
        let _ = server.client().try_call(&["BGSAVE"]);
    });
}

#[test]
fn the_death_of_a_listener_ends_the_node() {
    ends_the_node("listener", "accept", connect);
}

#[test]
fn the_death_of_a_shards_actor_ends_the_node() {
    ends_the_node("shard", "expire", |_| {});
}

#[test]
fn the_death_of_the_root_ends_the_node() {
    ends_the_node("root", "shutdown", |server| {
        let _ = server.client().try_call(&["SHUTDOWN", "NOSAVE"]);
    });
}

#[test]
fn the_death_of_the_master_ends_the_node() {
    for step in ["tick", "burst", "attach", "ack", "progress"] {
        let replica = understudy().start();
        ends_the_node("master", step, |server| {
            let port = server.port.to_string();
            replica.call(&["REPLICAOF", "127.0.0.1", &port]);
            if step == "burst" {
                replica.wait_synced(PATIENCE);
            }
            // Answered or not: the node may have ended before.
            let client = RespClient::connect(server.port);
            let _ = client.map(|mut client| client.try_call(&["SET", "kept", "value"]));
        });
        // The old data of the replica that was to be filled is still there, or the master's.
        let keys = replica.call(&["DBSIZE"]).int();
        assert!(keys == Some(0) || keys == Some(1001), "{keys:?}");
    }
}

// ---- replicas' connections ----

#[test]
fn a_replica_whose_buffer_dies_attaches_again() {
    for (form, step) in [
        ("yes", "idle"),
        ("yes", "sending a feed"),
        ("no", "sending a file"),
        ("yes", "following the log"),
    ] {
        let master = understudy().with("repl-diskless-sync", form).start();
        fill(&master);
        arm(&master, "slave-buffer", step);
        let replica = understudy().replica_of(master.port).start();
        wait_log(&master, &format!("a fault of slave-buffer at {step}"));
        replica.wait_synced(PATIENCE);
        assert_eq!(master.call(&["SET", "kept", "value"]).text(), "OK");
        wait_for("the replica follows", PATIENCE, || {
            master.info("connected_slaves") == "1" && replica.digest() == master.digest()
        });
    }
}

// ---- actors that start anew ----

#[test]
fn a_failover_goes_on_when_its_actor_dies() {
    let master = understudy().start();
    fill(&master);
    let replica = understudy().replica_of(master.port).start();
    replica.wait_synced(PATIENCE);
    let (mut from, mut to) = (&master, &replica);
    for step in ["look", "answer"] {
        wait_for("the replica is online", PATIENCE, || {
            from.info("slave0").contains("state=online")
        });
        goes_on(from, "failover", step, |server| {
            assert_eq!(server.call(&["FAILOVER"]).text(), "OK");
        });
        wait_for("the roles have changed", PATIENCE, || {
            to.info("role") == "master" && from.info("role") == "slave"
        });
        wait_for("the failover is over", PATIENCE, || {
            from.info("master_failover_state") == "no-failover"
        });
        from.wait_synced(PATIENCE);
        is_filled(to);
        std::mem::swap(&mut from, &mut to);
    }
}

#[test]
fn the_freeing_thread_starts_anew() {
    let server = understudy().start();
    goes_on(&server, "freeing", "free", |server| {
        server.call(&["DEBUG", "POPULATE", "1000"]);
        assert_eq!(server.call(&["FLUSHALL", "ASYNC"]).text(), "OK");
    });
    wait_log(&server, "The freeing thread ends by a panic");
    server.call(&["DEBUG", "POPULATE", "1000"]);
    server.call(&["FLUSHALL", "ASYNC"]);
    wait_for("the rest is freed", PATIENCE, || {
        server.info("lazyfree_pending_objects") == "0"
    });
}

#[test]
fn the_cron_starts_anew() {
    let server = understudy().with("timeout", 1).start();
    goes_on(&server, "cron", "round", |_| {});
    wait_log(&server, "The cron actor has started anew");
    // Its duties go on: an idle client is closed.
    let mut idle = server.client();
    assert!(idle.is_closed());
}

#[test]
fn migrations_start_anew() {
    let server = understudy().start();
    let target = understudy().start();
    fill(&server);
    let port = target.port.to_string();
    let migrate = ["MIGRATE", "127.0.0.1", &port, "kept", "0", "5000"];
    goes_on(&server, "migration", "tick", |_| {});
    wait_log(&server, "The migration actor has started anew");
    arm(&server, "migration", "migrate");
    let reply = server.call(&migrate);
    assert!(
        reply.is_error() && reply.text().contains("internal error"),
        "{reply:?}"
    );
    assert_eq!(server.call(&["GET", "kept"]).text(), "value");
    assert_eq!(server.call(&migrate).text(), "OK");
    assert_eq!(target.call(&["GET", "kept"]).text(), "value");
}

#[test]
fn the_link_starts_anew_at_each_of_its_steps() {
    let master = understudy().start();
    fill(&master);
    let replica = understudy().replica_of(master.port).start();
    replica.wait_synced(PATIENCE);
    let follow = |port: u16| {
        let reply = replica.call(&["REPLICAOF", "127.0.0.1", &port.to_string()]);
        assert_eq!(reply.text(), "OK");
    };
    goes_on(&replica, "link", "before connecting", |_| {
        follow(free_port())
    });
    follow(master.port);
    replica.wait_synced(PATIENCE);
    for step in ["connecting", "handshake", "streaming", "retarget"] {
        goes_on(&replica, "link", step, |server| {
            server.call(&["REPLICAOF", "NO", "ONE"]);
            follow(master.port);
        });
        replica.wait_synced(PATIENCE);
    }
    goes_on(&replica, "link", "no master", |server| {
        server.call(&["REPLICAOF", "NO", "ONE"]);
    });
    follow(master.port);
    replica.wait_synced(PATIENCE);
    assert_eq!(master.call(&["SET", "last", "1"]).text(), "OK");
    wait_for("the replica follows", PATIENCE, || {
        replica.call(&["GET", "last"]).text() == "1" && replica.digest() == master.digest()
    });
}

#[test]
fn a_link_that_dies_while_streaming_goes_on_with_psync() {
    let master = understudy().start();
    fill(&master);
    let replica = understudy().replica_of(master.port).start();
    replica.wait_synced(PATIENCE);
    goes_on(&replica, "link", "streaming", |_| {});
    wait_log(&replica, "The link actor has started anew");
    replica.wait_synced(PATIENCE);
    assert_eq!(master.info("sync_full"), "1");
    assert_eq!(master.info("sync_partial_ok"), "1");
}

#[test]
fn a_loader_or_link_that_dies_in_a_full_sync_leaves_the_old_data_and_tries_again() {
    let master = understudy().start();
    fill(&master);
    let replica = understudy().start();
    for (owner, step) in [("loader", "full sync"), ("link", "loading")] {
        replica.call(&["REPLICAOF", "NO", "ONE"]);
        replica.call(&["FLUSHALL"]);
        arm(&replica, owner, step);
        let port = master.port.to_string();
        replica.call(&["REPLICAOF", "127.0.0.1", &port]);
        wait_log(&replica, &format!("a fault of {owner} at {step}"));
        replica.wait_synced(PATIENCE);
        is_filled(&replica);
    }
}

// ---- snapshots ----

#[test]
fn a_save_that_dies_fails_and_the_next_one_works() {
    let server = saving().start();
    fill(&server);
    let dump = server.dir().join("dump.rdb");
    let steps = [
        ("snapshot", "start"),
        ("snapshot", "end"),
        ("snapshot-thread", "cut"),
        ("snapshot-thread", "walk"),
        ("snapshot-thread", "finish"),
        ("snapshot-writer", "begin"),
        ("snapshot-writer", "chunk"),
        ("snapshot-writer", "finish"),
    ];
    for (owner, step) in steps {
        let _ = std::fs::remove_file(&dump);
        arm(&server, owner, step);
        let reply = server.call(&["SAVE"]);
        assert!(reply.is_error(), "{owner} {step}: {reply:?}");
        // Written before its end was told, it may be there.
        assert!(step == "end" || !dump.exists(), "{owner} {step}");
        wait_for("it saves again", PATIENCE, || {
            server.call(&["SAVE"]).text() == "OK"
        });
        assert!(dump.exists());
    }
    let files = std::fs::read_dir(server.dir()).expect("a directory");
    let temporary = files.filter(|f| {
        let name = f.as_ref().expect("a file").file_name();
        name.to_string_lossy().starts_with("temp-")
    });
    assert_eq!(temporary.count(), 0);
    is_filled(&server);
}

#[test]
fn replicas_whose_snapshot_dies_come_again() {
    for form in ["yes", "no"] {
        let master = understudy().with("repl-diskless-sync", form).start();
        fill(&master);
        let steps = [
            ("snapshot", "start"),
            ("snapshot", "end"),
            ("snapshot-thread", "cut"),
            ("snapshot-thread", "walk"),
            ("snapshot-thread", "finish"),
            ("snapshot-writer", "chunk"),
        ];
        for (owner, step) in steps {
            if owner == "snapshot-writer" && form == "yes" {
                continue;
            }
            arm(&master, owner, step);
            let replica = understudy().replica_of(master.port).start();
            wait_log(&master, &format!("a fault of {owner} at {step}"));
            replica.wait_synced(PATIENCE);
            is_filled(&replica);
        }
        is_filled(&master);
    }
}

#[test]
fn a_dump_whose_loader_dies_is_not_overwritten() {
    let mut server = saving().start();
    fill(&server);
    assert_eq!(server.call(&["SAVE"]).text(), "OK");
    arm(&server, "loader", "file");
    let reply = server.call(&["DEBUG", "RELOAD"]);
    assert!(reply.is_error(), "{reply:?}");
    is_filled(&server);
    assert!(server.is_running());
}

#[test]
fn a_spool_that_dies_costs_a_replica_its_sync_at_most() {
    for step in ["write", "read"] {
        let master = understudy()
            .with("repl-backlog-size", "1mb")
            .with("repl-spool-memory", "1mb")
            .with("client-output-buffer-limit", "replica 0 0 0")
            .start();
        seed::fill(&mut master.client(), 7, "k", 2000);
        let proxy = Proxy::new(master.port);
        proxy.throttle(100_000);
        let load = Load::start(master.port, 2, 1000);
        if step == "write" {
            arm(&master, "spool", step);
        }
        let replica = understudy().replica_of(proxy.port).start();
        if step == "read" {
            // More than is asked for ahead.
            wait_for("much of the spool is on disk", PATIENCE, || {
                master.info("repl_spool_disk").parse().unwrap_or(0) > 4 << 20
            });
            arm(&master, "spool", step);
        }
        drop(load);
        proxy.throttle(0);
        wait_log(&master, &format!("a fault of spool at {step}"));
        replica.wait_synced(PATIENCE);
        wait_for("the replica follows", PATIENCE, || {
            replica.digest() == master.digest()
        });
    }
}

// ---- the watchdog ----

#[test]
fn the_watchdog_says_where_an_arbiter_stands() {
    let server = understudy().with("arbiter-watchdog-ms", 0).start();
    // It may be turned on at any time.
    let set = ["CONFIG", "SET", "arbiter-watchdog-ms", "50"];
    assert_eq!(server.call(&set).text(), "OK");
    let mut sleeper = server.client();
    let reply: RawReply = sleeper.call(&["DEBUG", "SLEEP", "1"]);
    assert_eq!(reply.text(), "OK");
    wait_log(&server, "arbiter turns again");
    let log = server.log();
    let line = log.lines().find(|line| line.contains("WATCHDOG"));
    let line = line.expect("it was told");
    assert!(
        line.contains("the serving 0 arbiter has not turned for"),
        "{line}"
    );
    assert!(line.contains("in connection id="), "{line}");
    assert!(line.contains("cmd=debug"), "{line}");
    assert_eq!(
        server
            .call(&["CONFIG", "SET", "arbiter-watchdog-ms", "0"])
            .text(),
        "OK"
    );
}
