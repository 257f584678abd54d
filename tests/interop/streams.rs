//! Streams: readers that wait, and groups on either side of a replication link.

use crate::common::{LONG, Make, RespClient, Server, ServerOptions, contents, wait_for};

/// Sends a command that is to wait, and lets it.
fn wait_with(server: &Server, command: &[&str]) -> RespClient {
    let mut client = server.client();
    client.send(command);
    client.flush();
    wait_for("the client is blocked", LONG, || {
        server.info("blocked_clients") == "1"
    });
    client
}

/// What a reader of a group hears of the end of what it waits for.
#[test]
fn a_waiting_reader_hears_of_entries_and_of_the_end() {
    let server = Server::understudy();
    let mut reader = wait_with(
        &server,
        &["XREAD", "BLOCK", "0", "STREAMS", "s", "t", "$", "$"],
    );
    server.call(&["XADD", "t", "1-1", "field", "value"]);
    let got = format!("{:?}", reader.read());
    assert!(
        got.contains("\"t\"") && got.contains("1-1") && !got.contains("\"s\""),
        "{got}"
    );

    let in_group = [
        "XREADGROUP",
        "GROUP",
        "g",
        "c",
        "BLOCK",
        "0",
        "STREAMS",
        "t",
        ">",
    ];
    let ends: [(&[&str], &str); 4] = [
        (&["XGROUP", "DESTROY", "t", "g"], "NOGROUP"),
        (&["DEL", "t"], "NOGROUP"),
        (&["SET", "t", "text"], "WRONGTYPE"),
        (&["XADD", "t", "5-1", "field", "value"], "5-1"),
    ];
    for (end, heard) in ends {
        server.call(&["DEL", "t"]);
        server.call(&["XGROUP", "CREATE", "t", "g", "$", "MKSTREAM"]);
        let mut reader = wait_with(&server, &in_group);
        assert!(!server.call(end).is_error());
        let got = format!("{:?}", reader.read());
        assert!(got.contains(heard), "{end:?}: {got}");
    }
    // The consumer was made before it waited, and nothing that it waits for in vain makes it another.
    let pending = format!("{:?}", server.call(&["XPENDING", "t", "g"]));
    assert!(pending.contains("\"c\""), "{pending}");
}

/// Reads, claims and deletions in the master's groups, and what its replica makes of them.
fn follow(from: Make, to: Make) {
    let master = ServerOptions::new(from).start();
    let replica = ServerOptions::new(to).replica_of(master.port).start();
    replica.wait_synced(LONG);
    let mut client = master.client();
    let mut call = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let reply = client.call(&words);
        assert!(!reply.is_error(), "{line}: {reply:?}");
    };
    for n in 1..=250 {
        call(&format!("XADD s MAXLEN ~ 150 * field {n} other value{n}"));
    }
    call("XGROUP CREATE s g 0");
    call("XREADGROUP GROUP g a COUNT 20 STREAMS s >");
    call("XREADGROUP GROUP g b COUNT 20 STREAMS s >");
    call("XREADGROUP GROUP g c NOACK COUNT 5 STREAMS s >");
    call("XAUTOCLAIM s g d 0 0 COUNT 7");
    call("XGROUP CREATECONSUMER s g e");
    call("XGROUP DELCONSUMER s g b");
    call("XTRIM s MINID ~ 1");
    call("XTRIM s MAXLEN 120");
    call("XAUTOCLAIM s g d 0 0 COUNT 50 JUSTID");
    wait_for("the replica has caught up", LONG, || {
        replica.info("master_repl_offset") == master.info("master_repl_offset")
    });
    contents::assert_same(&contents::of(&master), &contents::of(&replica), 0);
    let consumers = |server: &Server| {
        let all = server.call(&["XINFO", "CONSUMERS", "s", "g"]);
        all.elements().map(<[_]>::len)
    };
    assert_eq!(consumers(&master), consumers(&replica));
    let digest = |server: &Server| server.call(&["DEBUG", "DIGEST"]).text();
    assert_eq!(digest(&master), digest(&replica));
}

#[test]
fn groups_of_another_make_are_followed() {
    follow(Make::Redis, Make::Understudy);
}

#[test]
fn another_make_follows_our_groups() {
    follow(Make::Understudy, Make::Redis);
}
