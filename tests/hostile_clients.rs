//! Clients that don't read what they asked for, ask for more than they may, or have much to do: what that costs the
//! server is bounded, and the others are served meanwhile.
//!
//! Memory is the largest resident set that the server has had, compared with what the unread replies would have
//! taken. Nothing here depends on how fast the machine is.

mod common;

use common::{LONG, Make, RespClient, Server, ServerOptions, wait_for};

const MB: usize = 1 << 20;

/// The largest resident set so far, bytes.
fn peak(server: &Server) -> usize {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it runs");
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kilobytes.expect("a number") * 1024
}

/// A list of so many elements of 1 KB.
fn fill_list(server: &Server, key: &str, elements: usize) {
    let value = "v".repeat(1024);
    let mut client = server.client();
    for _ in 0..elements / 100 {
        let values = vec![value.as_str(); 100];
        client.call(&[&["RPUSH", key], &values[..]].concat());
    }
}

/// A client's field in CLIENT LIST.
fn field(observer: &mut RespClient, id: &str, name: &str) -> usize {
    let line = observer.call(&["CLIENT", "LIST", "ID", id]).text();
    let field = line.split([' ', '\n']).find_map(|f| f.strip_prefix(name));
    field.and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn id_of(client: &mut RespClient) -> String {
    client.call(&["CLIENT", "ID"]).text()
}

fn repeat(client: &mut RespClient, args: &[&str], times: usize) {
    for _ in 0..times {
        client.send(args);
    }
    client.flush();
}

#[test]
fn the_output_limit_holds_inside_a_pipeline() {
    for (pipelined, elements) in [(100, 1000), (1, 30_000)] {
        let server = ServerOptions::new(Make::Understudy)
            .with("client-output-buffer-limit", "normal 2mb 2mb 10")
            .start();
        fill_list(&server, "list", elements);
        let before = peak(&server);
        let mut client = server.client();
        repeat(&mut client, &["LRANGE", "list", "0", "-1"], pipelined);
        assert!(client.is_closed());
        let grown = peak(&server).saturating_sub(before);
        assert!(grown < 16 * MB, "{pipelined} at a time: {grown} more bytes");
        assert_eq!(
            server.info("client_output_buffer_limit_disconnections"),
            "1"
        );
        wait_for("the log says why", LONG, || {
            server.log().contains("overcoming of output buffer limits")
        });
        // A client that stays under the limit gets all of it.
        let some = server.client().call(&["LRANGE", "list", "0", "999"]);
        assert_eq!(some.strings().len(), 1000);
    }
}

#[test]
fn of_an_unread_pipeline_the_requests_are_kept() {
    const GETS: usize = 60_000;
    let server = Server::understudy();
    server.call(&["SET", "value", &"v".repeat(2048)]);
    let before = peak(&server);
    let mut client = server.client();
    let id = id_of(&mut client);
    repeat(&mut client, &["GET", "value"], GETS);
    client.send(&["SET", "last", "1"]);
    client.flush();
    let mut observer = server.client();
    wait_for("all of it has come", LONG, || {
        let waits = field(&mut observer, &id, "qbuf=");
        waits > GETS * 20 || observer.call(&["EXISTS", "last"]).int() == Some(1)
    });
    let unread = field(&mut observer, &id, "omem=") + field(&mut observer, &id, "obl=");
    assert!(unread < 3 * MB, "{unread} bytes of replies wait");
    let grown = peak(&server).saturating_sub(before);
    assert!(grown < GETS * 2048 / 4, "{grown} more bytes");
    // It is run on when the client reads, and nothing is lost.
    for _ in 0..GETS {
        assert_eq!(client.read().bytes().map(<[u8]>::len), Some(2048));
    }
    assert_eq!(client.read().text(), "OK");
    assert_eq!(observer.call(&["GET", "last"]).text(), "1");
}

#[test]
fn what_came_before_the_end_is_run() {
    let server = Server::understudy();
    server.call(&["SET", "value", &"v".repeat(2048)]);
    let mut client = server.client();
    let id = id_of(&mut client);
    repeat(&mut client, &["GET", "value"], 20_000);
    client.send(&["INCR", "ran"]);
    client.flush();
    let mut observer = server.client();
    wait_for("its pipeline is held", LONG, || {
        field(&mut observer, &id, "qbuf=") > 100_000
    });
    drop(client);
    wait_for("the rest has run", LONG, || {
        observer.call(&["GET", "ran"]).text() == "1"
    });
    wait_for("it is gone", LONG, || {
        observer
            .call(&["CLIENT", "LIST", "ID", &id])
            .text()
            .is_empty()
    });
}

#[test]
fn requests_larger_than_their_replies_are_run_though_nothing_is_read() {
    const SETS: usize = 400_000;
    let server = Server::understudy();
    let mut client = server.client();
    let value = "v".repeat(50);
    repeat(&mut client, &["SET", "key", &value], SETS - 1);
    client.send(&["SET", "last", "1"]);
    client.flush();
    let mut observer = server.client();
    wait_for("all have run", LONG, || {
        observer.call(&["EXISTS", "last"]).int() == Some(1)
    });
    for _ in 0..SETS {
        assert_eq!(client.read().text(), "OK");
    }
}

#[test]
fn others_are_served_between_the_commands_of_a_pipeline() {
    const STEPS: usize = 60;
    let server = ServerOptions::new(Make::Understudy)
        .with("arbiters", 1)
        .start();
    fill_list(&server, "list", 20_000);
    let mut client = server.client();
    for _ in 0..STEPS {
        client.send(&["INCR", "steps"]);
        // Some milliseconds, and a short reply.
        client.send(&["LPOS", "list", "no such element"]);
    }
    client.flush();
    let mut observer = server.client();
    let mut seen = std::collections::BTreeSet::new();
    wait_for("the pipeline has run", LONG, || {
        let steps = observer.call(&["GET", "steps"]).text();
        seen.extend(steps.parse::<usize>());
        seen.contains(&STEPS)
    });
    // Not only before it and after it.
    assert!(seen.len() > 3, "{seen:?}");
}

#[test]
fn published_messages_are_kept_once() {
    const MESSAGES: usize = 8_000;
    const READERS: usize = 60;
    let server = Server::understudy();
    let message = "m".repeat(1024);
    let before = peak(&server);
    let mut readers: Vec<RespClient> = (0..READERS)
        .map(|n| {
            let mut reader = match n % 2 {
                0 => server.client(),
                _ => server.client3(),
            };
            reader.call(&["SUBSCRIBE", "news"]);
            reader
        })
        .collect();
    let mut publisher = server.client();
    for _ in 0..MESSAGES / 100 {
        let batch = vec![vec!["PUBLISH", "news", &message]; 100];
        for reply in publisher.pipeline(&batch) {
            assert_eq!(reply.int(), Some(READERS as i64));
        }
    }
    let grown = peak(&server).saturating_sub(before);
    let copied = MESSAGES * message.len() * READERS;
    assert!(grown < copied / 4, "{grown} more bytes of {copied}");
    for reader in &mut readers[..2] {
        for _ in 0..MESSAGES {
            let parts = reader.read();
            assert_eq!(parts.strings()[2], message.as_bytes());
        }
    }
}

#[test]
fn large_values_are_sent_without_a_copy_for_each_who_asks() {
    const READERS: usize = 40;
    let server = Server::understudy();
    let value = "v".repeat(8 * MB);
    server.call(&["SET", "string", &value]);
    server.call(&["RPUSH", "list", "short", &value]);
    server.call(&["HSET", "hash", "field", &value]);
    let before = peak(&server);
    let mut readers: Vec<RespClient> = (0..READERS).map(|_| server.client()).collect();
    let mut observer = server.client();
    for reader in &mut readers {
        let id = id_of(reader);
        reader.send(&["GET", "string"]);
        reader.send(&["LRANGE", "list", "0", "-1"]);
        reader.send(&["HGETALL", "hash"]);
        reader.flush();
        wait_for("a reply waits", LONG, || {
            field(&mut observer, &id, "omem=") > MB
        });
    }
    // What the system holds for a socket is not the server's memory.
    let grown = peak(&server).saturating_sub(before);
    assert!(grown < 2 * READERS * MB, "{grown} more bytes");
    // Whatever becomes of the values, the replies are those of their time.
    observer.call(&["APPEND", "string", "more"]);
    observer.call(&["DEL", "string"]);
    for reader in &mut readers {
        assert!(reader.read().bytes() == Some(value.as_bytes()));
        assert!(reader.read().strings()[1] == value.as_bytes());
        assert!(reader.read().strings()[1] == value.as_bytes());
    }
}

#[test]
fn a_subscriber_that_does_not_read_is_closed_by_its_limit() {
    let server = ServerOptions::new(Make::Understudy)
        .with("client-output-buffer-limit", "pubsub 1mb 0 0")
        .start();
    let mut reader = server.client();
    reader.call(&["SUBSCRIBE", "news"]);
    let mut publisher = server.client();
    let message = "m".repeat(2000);
    let batch = vec![vec!["PUBLISH", "news", &message]; 500];
    wait_for("it is closed", LONG, || {
        let receivers = publisher.pipeline(&batch);
        receivers.last().and_then(|n| n.int()) == Some(0)
    });
    assert_eq!(
        server.info("client_output_buffer_limit_disconnections"),
        "1"
    );
    wait_for("the log says why", LONG, || {
        server.log().contains("overcoming of output buffer limits")
    });
}

#[test]
fn who_has_not_authenticated_may_leave_little_unread() {
    let server = ServerOptions::new(Make::Understudy)
        .with("requirepass", "secret")
        .start();
    let before = peak(&server);
    for command in ["GET x\r\n", "no such command\r\n", "AUTH wrong\r\n"] {
        let mut client = server.client();
        for _ in 0..1000 {
            client.send_raw(command.repeat(1000).as_bytes());
            if client.try_flush().is_err() {
                break;
            }
        }
        assert!(client.is_closed(), "{command:?}");
    }
    assert!(peak(&server).saturating_sub(before) < 16 * MB);
    // A client that reads may ask as often as it likes, and one that knows the password may leave more unread.
    let mut client = server.client();
    for _ in 0..100 {
        let refused = client.pipeline(&vec![vec!["GET", "x"]; 200]);
        assert!(refused.iter().all(|r| r.text().starts_with("NOAUTH")));
    }
    client.call(&["AUTH", "secret"]);
    repeat(&mut client, &["GET", "x"], 20_000);
    assert!((0..20_000).all(|_| client.read().is_null()));
}

#[test]
fn the_output_that_waits_is_shown() {
    let server = Server::understudy();
    fill_list(&server, "list", 10_000);
    let mut client = server.client();
    let id = id_of(&mut client);
    client.send(&["LRANGE", "list", "0", "-1"]);
    client.flush();
    let mut observer = server.client();
    let mut names = |names: [&str; 4]| names.map(|name| field(&mut observer, &id, name));
    let [mut obl, mut oll, mut omem, mut total] = [0; 4];
    wait_for("the replies wait", LONG, || {
        [obl, oll, omem, total] = names(["obl=", "oll=", "omem=", "tot-mem="]);
        omem > 4 * MB
    });
    // Chunks, of which the last is being filled.
    assert!(
        oll >= omem / (80 * 1024) && oll <= omem / (40 * 1024),
        "{oll}"
    );
    assert!(obl <= 64 * 1024 && total >= omem + obl, "{obl} {total}");
    client.read();
    wait_for("nothing waits", LONG, || {
        names(["obl=", "oll=", "omem=", "events=rw"]) == [0; 4]
    });
}
