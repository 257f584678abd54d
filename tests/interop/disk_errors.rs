//! A disk that takes no dump: who refuses what, and when not. The same lines are asked of redis-server.

use std::fs;

use crate::common::{LONG, Make, RespClient, Server, ServerOptions, wait_for};

/// A directory that isn't empty stands where the dump should.
fn spoil(server: &Server) {
    let path = server.dir().join("dump.rdb");
    let _ = fs::remove_file(&path);
    fs::create_dir_all(path.join("in the way")).expect("a directory");
}

fn mend(server: &Server) {
    fs::remove_dir_all(server.dir().join("dump.rdb")).expect("the directory");
}

fn with_save(make: Make, save: &str) -> Server {
    ServerOptions::new(make).with("save", save).start()
}

const SAVE_POINT: &str = "3600 1000000";

fn failed_bgsave(server: &Server) {
    spoil(server);
    let reply = server.call(&["BGSAVE"]).text();
    assert_eq!(reply, "Background saving started");
    wait_for("the save fails", LONG, || {
        server.info("rdb_last_bgsave_status") == "err"
    });
}

/// The first word of the answer.
fn answer(client: &mut RespClient, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let text = client.call(&words).text();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn expect(client: &mut RespClient, lines: &[(&str, &str)], make: Make) {
    for (line, expected) in lines {
        assert_eq!(answer(client, line), *expected, "{line} to {make:?}");
    }
}

#[test]
fn a_failed_save_refuses_writes_only_where_there_are_save_points() {
    for make in [Make::Redis, Make::Understudy] {
        let server = with_save(make, "");
        let mut client = server.client();
        failed_bgsave(&server);
        expect(&mut client, &[("SET a 1", "OK"), ("PING", "PONG")], make);
        client.call(&["CONFIG", "SET", "save", SAVE_POINT]);
        expect(
            &mut client,
            &[
                ("SET a 2", "MISCONF"),
                ("PING", "MISCONF"),
                ("PING hello", "MISCONF"),
                ("GET a", "1"),
                ("MULTI", "OK"),
                ("PING", "MISCONF"),
                ("EXEC", "EXECABORT"),
                ("REPLICAOF 127.0.0.1 1", "OK"),
                ("SET a 2", "MISCONF"),
                ("PING", "MISCONF"),
                ("REPLICAOF NO ONE", "OK"),
                ("CONFIG SET stop-writes-on-bgsave-error no", "OK"),
                ("SET a 2", "OK"),
                ("PING", "PONG"),
                ("CONFIG SET stop-writes-on-bgsave-error yes", "OK"),
            ],
            make,
        );
        mend(&server);
        let good_again = [("SAVE", "OK"), ("PING", "PONG"), ("SET a 3", "OK")];
        expect(&mut client, &good_again, make);
    }
}

#[test]
fn a_foreground_save_that_fails_is_its_callers_business() {
    for make in [Make::Redis, Make::Understudy] {
        let server = with_save(make, SAVE_POINT);
        let mut client = server.client();
        spoil(&server);
        let lines = [("SAVE", "ERR"), ("FLUSHALL", "OK"), ("SET a 1", "OK")];
        for (line, expected) in lines {
            let text = answer(&mut client, line);
            // redis-server's error has no text.
            assert!(text == expected || text.is_empty(), "{line}: {text}");
        }
        assert_eq!(server.info("rdb_last_bgsave_status"), "ok", "{make:?}");
        assert_eq!(server.info("rdb_last_bgsave_time_sec"), "-1", "{make:?}");
    }
}

#[test]
fn a_dump_for_a_replica_that_fails_refuses_nothing_without_save_points() {
    for (save, expected) in [("", ["OK", "PONG"]), (SAVE_POINT, ["MISCONF"; 2])] {
        let master = ServerOptions::new(Make::Understudy)
            .with("repl-diskless-sync", "no")
            .with("save", save)
            .start();
        spoil(&master);
        let _replica = ServerOptions::new(Make::Redis)
            .replica_of(master.port)
            .start();
        wait_for("the dump fails", LONG, || {
            master.info("rdb_last_bgsave_status") == "err"
        });
        let mut client = master.client();
        let [set, ping] = expected;
        let lines = [("SET a 1", set), ("PING", ping)];
        expect(&mut client, &lines, Make::Understudy);
    }
}

/// Our replica, told of a master of either make that can't make it a dump.
#[test]
fn a_master_that_gives_a_full_sync_up_is_quoted() {
    for (make, said) in [
        (
            Make::Understudy,
            "the master gave the full sync up: ERR BGSAVE failed, replication can't continue: ",
        ),
        (
            Make::Redis,
            "the master ended the full sync before its dump: connection lost",
        ),
    ] {
        let master = ServerOptions::new(make)
            .with("repl-diskless-sync", "no")
            .start();
        spoil(&master);
        let replica = ServerOptions::new(Make::Understudy)
            .replica_of(master.port)
            .start();
        wait_for("the replica says why", LONG, || {
            replica.info("master_sync_last_error").starts_with(said)
        });
        mend(&master);
        replica.wait_synced(LONG);
        assert_eq!(replica.info("master_sync_last_error"), "");
    }
}

fn replica_that_saves(master: &Server, ignore: &str) -> Server {
    let replica = ServerOptions::new(Make::Understudy)
        .with("save", SAVE_POINT)
        .with("replica-ignore-disk-write-errors", ignore)
        .replica_of(master.port)
        .start();
    replica.wait_synced(LONG);
    replica
}

#[test]
fn a_replica_that_can_not_save_takes_no_write_until_it_can() {
    let master = Server::redis();
    master.call(&["SET", "before", "1"]);
    let replica = replica_that_saves(&master, "no");
    failed_bgsave(&replica);
    // Half a transaction is not applied either.
    let mut client = master.client();
    for line in [
        &["MULTI"][..],
        &["SET", "a", "1"],
        &["SET", "b", "1"],
        &["EXEC"],
    ] {
        client.call(line);
    }
    wait_for("the link ends", LONG, || {
        replica.info("master_link_status") == "down"
    });
    let why = replica.info("master_sync_last_error");
    assert!(why.contains("replica-ignore-disk-write-errors"), "{why}");
    assert_eq!(replica.call(&["MGET", "a", "b"]).strings().len(), 0);
    assert_eq!(replica.call(&["GET", "before"]).text(), "1");
    let log = replica.log();
    assert!(
        log.contains("Replica was unable to write command to disk"),
        "{log}"
    );

    mend(&replica);
    let full_syncs = master.info("sync_full");
    assert_eq!(replica.call(&["SAVE"]).text(), "OK");
    replica.wait_synced(LONG);
    wait_for("the writes come", LONG, || {
        replica.call(&["MGET", "a", "b"]).strings().len() == 2
    });
    assert_eq!(master.info("sync_full"), full_syncs, "by a partial resync");
}

#[test]
fn a_replica_that_ignores_its_disk_says_so() {
    let master = Server::redis();
    let replica = replica_that_saves(&master, "yes");
    failed_bgsave(&replica);
    for n in 0..20 {
        master.call(&["SET", &format!("key{n}"), "1"]);
    }
    wait_for("the writes come", LONG, || {
        replica.call(&["GET", "key19"]).text() == "1"
    });
    assert_eq!(replica.info("master_link_status"), "up");
    let said = "Replica is applying a command even though it is unable to write to disk.";
    assert_eq!(replica.log_with(said).matches(said).count(), 1);
}
