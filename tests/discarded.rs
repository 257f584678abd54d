//! What a full sync throws away of a node's own writes is in a file before it goes, and any RDB tool reads that.

mod common;

use std::fs;

use common::{LONG, Make, Server, ServerOptions, wait_for};

/// Files with what was thrown away.
fn files(server: &Server) -> Vec<String> {
    let entries = fs::read_dir(server.dir()).expect("its directory");
    let names = entries.map(|entry| {
        entry
            .expect("an entry")
            .file_name()
            .into_string()
            .expect("text")
    });
    let mut names: Vec<String> = names
        .filter(|name| name.starts_with("discarded-"))
        .collect();
    names.sort();
    names
}

fn master(make: Make) -> Server {
    ServerOptions::new(make)
        .with("repl-diskless-sync-delay", 0)
        .start()
}

fn follow(server: &Server, master: &Server) {
    server.call(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
    server.wait_synced(LONG);
}

/// A redis-server that has loaded the file.
fn loaded(server: &Server, file: &str) -> Server {
    let mut reader = Server::redis();
    reader.shut_down(false);
    fs::copy(server.dir().join(file), reader.dir().join("dump.rdb")).expect("a copy");
    reader.restart(None);
    reader
}

#[test]
fn what_an_old_master_has_alone_is_kept_in_a_dump() {
    let (old, new) = (master(Make::Understudy), master(Make::Redis));
    for server in [&old, &new] {
        server.call(&["SET", "same", "1"]);
        server.call(&["SADD", "same:set", "a", "b", "1"]);
        server.call(&["SET", "changed", &server.port.to_string()]);
        let mut client = server.client();
        for n in 0..3000 {
            client.send(&["RPUSH", "large:same", &n.to_string()]);
            client.send(&["HSET", "large:changed", &n.to_string(), "v"]);
        }
        client.flush();
        for _ in 0..6000 {
            client.read();
        }
    }
    old.call(&["HSET", "large:changed", "2999", "mine"]);
    old.call(&["SET", "expires", "1", "EX", "5000"]);
    new.call(&["SET", "expires", "1"]);
    new.call(&["SET", "only:new", "1"]);
    let mut client = old.client();
    client.call(&["SELECT", "3"]);
    client.call(&["ZADD", "only:old", "1.5", "a"]);
    let name = format!(
        "discarded-{}-{}.rdb",
        old.info("master_replid"),
        old.info("master_repl_offset")
    );
    follow(&old, &new);
    assert_eq!(files(&old).concat(), name);
    assert_eq!(old.call(&["GET", "only:new"]).text(), "1");
    old.log_with(&format!("are kept in {name}"));
    assert_eq!(old.info("repl_discarded_last_file"), name);
    assert_eq!(old.info("repl_discarded_last_keys"), "4");

    let reader = loaded(&old, &name);
    assert_eq!(reader.call(&["DBSIZE"]).int(), Some(3));
    assert_eq!(
        reader.call(&["GET", "changed"]).text(),
        old.port.to_string()
    );
    assert_eq!(reader.call(&["HLEN", "large:changed"]).int(), Some(3000));
    assert_eq!(
        reader.call(&["HGET", "large:changed", "2999"]).text(),
        "mine"
    );
    assert!(reader.call(&["TTL", "expires"]).int() > Some(4000));
    let mut client = reader.client();
    client.call(&["SELECT", "3"]);
    assert_eq!(client.call(&["ZSCORE", "only:old", "a"]).text(), "1.5");
}

#[test]
fn plain_replicas_and_those_told_not_to_keep_nothing() {
    let (first, second) = (master(Make::Redis), master(Make::Redis));
    first.call(&["SET", "a", "1"]);
    second.call(&["SET", "b", "1"]);
    let mut replica = ServerOptions::new(Make::Understudy)
        .replica_of(first.port)
        .start();
    replica.wait_synced(LONG);
    follow(&replica, &second);
    // It comes back with its dump, and its master knows nothing of that.
    replica.shut_down(true);
    second.call(&["DEBUG", "CHANGE-REPL-ID"]);
    second.call(&["SET", "b", "2"]);
    replica.restart(None);
    replica.wait_synced(LONG);
    assert!(files(&replica).is_empty());
    // What it accepts as a master is kept, unless nothing is to be.
    for (keep, kept) in [("yes", 1), ("no", 1)] {
        replica.call(&["REPLICAOF", "NO", "ONE"]);
        replica.call(&["CONFIG", "SET", "repl-keep-discarded", keep]);
        replica.call(&["SET", "mine", keep]);
        follow(&replica, &first);
        assert_eq!(files(&replica).len(), kept, "{keep}");
        assert_eq!(replica.call(&["EXISTS", "mine"]).int(), Some(0));
    }
}

#[test]
fn the_sync_waits_while_the_file_can_not_be_written_and_files_are_bounded() {
    let new = master(Make::Redis);
    let old = ServerOptions::new(Make::Understudy)
        .with("enable-protected-configs", "yes")
        .start();
    new.call(&["SET", "new", "1"]);
    old.call(&["SET", "mine", "1"]);
    let gone = tempfile::tempdir().expect("a directory");
    let dir = gone.path().to_str().expect("text").to_owned();
    assert_eq!(old.call(&["CONFIG", "SET", "dir", &dir]).text(), "OK");
    gone.close().expect("it can be removed");
    old.call(&["REPLICAOF", "127.0.0.1", &new.port.to_string()]);
    wait_for("it says why it waits", LONG, || {
        old.info("master_sync_last_error")
            .contains("can't be kept in")
    });
    assert_eq!(old.call(&["GET", "mine"]).text(), "1");
    assert_eq!(old.info("master_link_status"), "down");
    let own = old.dir().to_str().expect("text").to_owned();
    assert_eq!(old.call(&["CONFIG", "SET", "dir", &own]).text(), "OK");
    old.wait_synced(LONG);
    assert_eq!(files(&old).len(), 1);
    // Past the limit of a file keys are only counted; past that of files the oldest goes.
    for (directive, value) in [("repl-discarded-limit", "1"), ("repl-discarded-files", "2")] {
        old.call(&["CONFIG", "SET", directive, value]);
    }
    for n in 2..5 {
        old.call(&["REPLICAOF", "NO", "ONE"]);
        old.call(&["MSET", "mine", &n.to_string(), "mine:too", "1"]);
        follow(&old, &new);
        assert_eq!(old.info("repl_discarded_files_written"), n.to_string());
        assert_eq!(old.info("repl_discarded_last_keys"), "1");
        assert_eq!(old.info("repl_discarded_last_keys_left_out"), "1");
    }
    wait_for("two are left", LONG, || files(&old).len() == 2);
}
