//! Function libraries of a master of the other make: they run here, and none is lost on their way through this node.

use crate::common::{LONG, Make, Server, ServerOptions, wait_for};

/// What a redis-server's functions of these names give; empty for one that isn't there.
fn results(server: &Server, names: &[&str]) -> Vec<Option<i64>> {
    let call = |name: &&str| server.call(&["FCALL_RO", name, "0"]).int();
    names.iter().map(call).collect()
}

fn read_only_library(name: &str, result: u32) -> String {
    format!(
        "#!lua name={name}\nredis.register_function{{function_name='{name}', callback=function() return {result} \
         end, flags={{'no-writes'}}}}"
    )
}

fn load_read_only(server: &Server, name: &str, result: u32) {
    let text = read_only_library(name, result);
    let reply = server.call(&["FUNCTION", "LOAD", "REPLACE", &text]);
    assert_eq!(reply.text(), name);
}

fn wait_equal(a: &Server, b: &Server) {
    wait_for("both are at the same offset", LONG, || {
        a.info("master_repl_offset") == b.info("master_repl_offset")
    });
}

#[test]
fn libraries_pass_through_full_syncs_the_stream_and_our_dump() {
    let names = ["a", "b", "c", "d"];
    let redis = Server::redis();
    load_read_only(&redis, "a", 1);
    load_read_only(&redis, "b", 2);
    let payload = redis.call(&["FUNCTION", "DUMP"]);
    let payload = payload.bytes().expect("a payload").to_vec();
    redis.call(&["SET", "key", "1"]);

    let mut middle = ServerOptions::new(Make::Understudy)
        .replica_of(redis.port)
        .start();
    middle.wait_synced(LONG);
    assert_eq!(results(&middle, &names), [Some(1), Some(2), None, None]);
    let last = ServerOptions::new(Make::Redis)
        .replica_of(middle.port)
        .start();
    last.wait_synced(LONG);
    assert_eq!(results(&last, &names), [Some(1), Some(2), None, None]);

    // What follows in the stream changes what is kept, in transactions too, and a replica that comes later gets it.
    redis.call(&["FUNCTION", "FLUSH"]);
    let restored = redis.call(&[b"FUNCTION".as_slice(), b"RESTORE", &payload]);
    assert_eq!(restored.text(), "OK");
    load_read_only(&redis, "b", 20);
    redis.call(&["FUNCTION", "DELETE", "a"]);
    load_read_only(&redis, "c", 3);
    let mut client = redis.client();
    client.call(&["MULTI"]);
    client.call(&["FUNCTION", "LOAD", &read_only_library("d", 4)]);
    client.call(&["SET", "key", "2"]);
    client.call(&["EXEC"]);
    wait_equal(&redis, &middle);
    assert_eq!(middle.call(&["GET", "key"]).text(), "2", "{}", middle.log());
    assert!(!middle.log().contains("CRITICAL"), "{}", middle.log());
    let late = ServerOptions::new(Make::Redis)
        .replica_of(middle.port)
        .start();
    late.wait_synced(LONG);
    let now = [None, Some(20), Some(3), Some(4)];
    assert_eq!(results(&late, &names), now);
    wait_equal(&middle, &last);
    assert_eq!(results(&last, &names), now);

    // Our own dump, after a promotion.
    middle.call(&["REPLICAOF", "NO", "ONE"]);
    middle.call(&["FLUSHALL"]);
    middle.shut_down(true);
    middle.restart(Some(Vec::new()));
    let heir = ServerOptions::new(Make::Redis)
        .replica_of(middle.port)
        .start();
    heir.wait_synced(LONG);
    assert_eq!(results(&heir, &names), now);
    assert_eq!(middle.info("number_of_libraries"), "3");
    assert_eq!(results(&middle, &names), now);
}

#[test]
fn a_dump_of_functions_alone_holds_them() {
    let redis = Server::redis();
    load_read_only(&redis, "a", 1);
    redis.call(&["SET", "key", "1"]);
    let middle = ServerOptions::new(Make::Understudy)
        .replica_of(redis.port)
        .start();
    middle.wait_synced(LONG);
    let ask = |server: &Server| {
        let file = server.dir().join("functions.rdb");
        let port = server.port.to_string();
        let status = std::process::Command::new("redis-cli")
            .args(["-p", &port, "--functions-rdb"])
            .arg(&file)
            .output()
            .expect("redis-cli runs");
        assert!(status.status.success(), "{status:?}");
        std::fs::read(&file).expect("the dump")
    };
    for server in [&redis, &middle] {
        let dump = ask(server);
        let holds = |text: &[u8]| memchr::memmem::find(&dump, text).is_some();
        assert!(holds(b"name=a"), "{:?}", server.options.make);
        assert!(!holds(b"key"), "{:?}", server.options.make);
    }
}
