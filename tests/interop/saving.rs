//! What becomes of the dump file: FLUSHALL, DEBUG RELOAD, BGSAVE in a transaction, dumps made for replicas.

use crate::common::{LONG, Make, RespClient, Server, ServerOptions, wait_for};

fn with_save_points() -> Server {
    ServerOptions::new(Make::Understudy)
        .with("save", "3600 1000000")
        .start()
}

fn dump_bytes(server: &Server) -> u64 {
    std::fs::metadata(server.dir().join("dump.rdb")).map_or(0, |meta| meta.len())
}

#[test]
fn flushall_replaces_the_dump_where_there_are_save_points() {
    let server = with_save_points();
    let mut client = server.client();
    client.call(&["DEBUG", "POPULATE", "1000", "key", "100"]);
    assert_eq!(client.call(&["SAVE"]).text(), "OK");
    let full = dump_bytes(&server);
    assert_eq!(client.call(&["SET", "a", "1"]).text(), "OK");
    assert_eq!(client.call(&["FLUSHALL"]).text(), "OK");
    assert!(full > 10_000 && dump_bytes(&server) < 500);
    assert_eq!(server.info("rdb_changes_since_last_save"), "0");

    // In a transaction nobody waits for the file.
    client.call(&["SET", "a", "1"]);
    for line in [&["MULTI"][..], &["FLUSHALL"]] {
        client.call(line);
    }
    assert_eq!(client.call(&["EXEC"]).elements().map(<[_]>::len), Some(1));
    wait_for("the dump is written", LONG, || {
        server.info("rdb_changes_since_last_save") == "0"
    });
}

#[test]
fn flushall_ends_a_background_save_and_that_is_no_failure() {
    let server = with_save_points();
    let mut client = server.client();
    client.call(&["DEBUG", "POPULATE", "1000"]);
    client.call(&["CONFIG", "SET", "rdb-key-save-delay", "10000"]);
    assert_eq!(client.call(&["BGSAVE"]).text(), "Background saving started");
    assert_eq!(server.info("rdb_bgsave_in_progress"), "1");
    for line in [&["BGSAVE"][..], &["BGSAVE", "SCHEDULE"], &["SAVE"]] {
        let reply = client.call(line).text();
        assert_eq!(reply, "ERR Background save already in progress", "{line:?}");
    }
    assert_eq!(client.call(&["FLUSHALL"]).text(), "OK");
    assert_eq!(server.info("rdb_bgsave_in_progress"), "0");
    assert_eq!(server.info("rdb_last_bgsave_status"), "ok");
    assert_eq!(client.call(&["SET", "a", "1"]).text(), "OK");
}

#[test]
fn bgsave_in_a_transaction_comes_after_it() {
    let server = with_save_points();
    let mut client = server.client();
    let saves = server.info("rdb_saves");
    for line in [&["MULTI"][..], &["SET", "a", "1"], &["BGSAVE"]] {
        client.call(line);
    }
    let replies = client.call(&["EXEC"]);
    let replies = replies.elements().expect("an array");
    assert_eq!(replies[1].text(), "Background saving scheduled");
    wait_for("it is saved", LONG, || server.info("rdb_saves") != saves);
}

#[test]
fn who_waits_for_a_save_is_not_blocked() {
    let server = with_save_points();
    let mut client = server.client();
    client.call(&["DEBUG", "POPULATE", "300"]);
    client.call(&["CONFIG", "SET", "rdb-key-save-delay", "5000"]);
    let id = client.call(&["CLIENT", "ID"]).text();
    client.send(&["SAVE"]);
    client.flush();
    wait_for("the save began", LONG, || {
        server.info("rdb_bgsave_in_progress") == "1"
    });
    assert_eq!(server.info("blocked_clients"), "0");
    assert_eq!(server.call(&["CLIENT", "UNBLOCK", &id]).int(), Some(0));
    // A change of role ends waits for what can't come any more; this comes.
    server.call(&["REPLICAOF", "127.0.0.1", "1"]);
    assert_eq!(client.read().text(), "OK");
    assert_eq!(client.call(&["PING"]).text(), "PONG");
}

#[test]
fn reload_replaces_the_dataset_or_adds_to_it() {
    let server = Server::understudy();
    let mut client = server.client();
    let mut call = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        client.call(&words).text()
    };
    call("SET a old");
    call("SADD set 1 2 3");
    call("PEXPIREAT set 99999999999999");
    let digest = server.digest();
    assert_eq!(call("DEBUG RELOAD"), "OK");
    assert_eq!(server.digest(), digest);
    call("SET a new");
    call("SET b 1");
    // Both have "a": an error, unless the dump's is to be taken. Nothing is changed by the error.
    let refused = "ERR Error trying to load the RDB dump, check server logs.";
    assert_eq!(call("DEBUG RELOAD NOSAVE NOFLUSH"), refused);
    assert_eq!((call("GET a"), call("DBSIZE")), ("new".into(), "3".into()));
    assert_eq!(call("DEBUG RELOAD NOSAVE NOFLUSH MERGE"), "OK");
    assert_eq!((call("GET a"), call("GET b")), ("old".into(), "1".into()));
    assert_eq!(call("SCARD set"), "3");
    assert!(call("PTTL set").parse::<i64>().is_ok_and(|ttl| ttl > 0));
    // Without MERGE, keys of only one side.
    call("DEL a set");
    assert_eq!(call("DEBUG RELOAD NOSAVE NOFLUSH"), "OK");
    assert_eq!((call("GET a"), call("DBSIZE")), ("old".into(), "3".into()));
    assert_eq!(call("DEBUG RELOAD NOSAVE"), "OK");
    assert_eq!(server.digest(), digest);
}

#[test]
fn a_dump_made_only_for_replicas_is_removed() {
    for (keep, save) in [(false, ""), (true, "3600 1000000")] {
        let master = ServerOptions::new(Make::Understudy)
            .with("repl-diskless-sync", "no")
            .with("rdb-del-sync-files", "yes")
            .with("save", save)
            .start();
        master.call(&["SET", "a", "1"]);
        let replica = ServerOptions::new(Make::Redis)
            .replica_of(master.port)
            .start();
        replica.wait_synced(LONG);
        let path = master.dir().join("dump.rdb");
        if keep {
            assert!(path.exists(), "with save points the dump is for us as well");
        } else {
            wait_for("the dump is removed", LONG, || !path.exists());
            master.log_with("Removing the RDB file used to feed");
        }
        assert_eq!(replica.digest(), master.digest());
    }
}

#[test]
fn keys_loaded_under_an_lfu_policy_are_not_the_first_to_go() {
    let server = Server::understudy();
    let mut client = server.client();
    client.call(&["SET", "a", "1"]);
    client.call(&["DEBUG", "RELOAD"]);
    client.call(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lfu"]);
    // Written without a word on use, then loaded under LFU.
    client.call(&["DEBUG", "RELOAD", "NOSAVE"]);
    let frequency = client.call(&["OBJECT", "FREQ", "a"]).int();
    assert_eq!(frequency, Some(5));
}

#[test]
fn a_stopped_save_leaves_no_temporary_file() {
    let mut server = with_save_points();
    let mut client = server.client();
    client.call(&["DEBUG", "POPULATE", "1000"]);
    client.call(&["CONFIG", "SET", "rdb-key-save-delay", "10000"]);
    let temporary = server.dir().join(format!("temp-{}.rdb", server.pid()));
    let interrupt = |pid: u32| {
        let status = std::process::Command::new("kill")
            .args(["-INT", &pid.to_string()])
            .status();
        assert!(status.is_ok_and(|status| status.success()));
    };
    interrupt(server.pid());
    wait_for("the final save began", LONG, || temporary.exists());
    interrupt(server.pid());
    wait_for("the process ends", LONG, || !server.is_running());
    assert!(!temporary.exists());
    assert!(RespClient::connect(server.port).is_err());
}
