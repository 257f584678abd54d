//! MIGRATE: between nodes of both makes, with redis-server's words, and without losing what is written meanwhile.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use common::{LONG, Make, RespClient, Server, ServerOptions, contents, free_port, seed, wait_for};
use understudy::RespValue;

/// MIGRATE to a port of this machine: `rest` follows host and port.
fn migrate(client: &mut RespClient, port: u16, rest: &[&str]) -> String {
    let port = port.to_string();
    let mut args = vec!["MIGRATE", "127.0.0.1", &port];
    args.extend(rest);
    client.call(&args).text()
}

/// Every pair of makes, the source first, with at least one of ours.
fn pairs() -> [(Make, Make); 3] {
    [
        (Make::Understudy, Make::Redis),
        (Make::Understudy, Make::Understudy),
        (Make::Redis, Make::Understudy),
    ]
}

#[test]
fn keys_of_all_types_arrive_as_they_were() {
    for (from, to) in pairs() {
        let (source, target) = (
            ServerOptions::new(from).start(),
            ServerOptions::new(to).start(),
        );
        let mut client = source.client();
        seed::fill(&mut client, 3, "k", 500);
        client.call(&["SET", "expires", "x", "PX", "100000000"]);
        let before = contents::of(&source);
        let keys = client.call(&["KEYS", "*"]).strings();
        let port = target.port.to_string();
        for some in keys.chunks(100) {
            let first = ["MIGRATE", "127.0.0.1", &port, "", "0", "30000", "KEYS"];
            let first = first.iter().map(|word| word.as_bytes());
            let args: Vec<&[u8]> = first.chain(some.iter().map(|key| &key[..])).collect();
            assert_eq!(client.call(&args).text(), "OK");
        }
        assert_eq!(client.call(&["DBSIZE"]).int(), Some(0), "{from:?} {to:?}");
        // Expiries travel as what is left of them.
        let drift_ms = 60_000;
        contents::assert_same(&before, &contents::of(&target), drift_ms);
    }
}

/// What MIGRATE answers in many situations, and what is left where.
fn answers(from: Make, to: Make) -> Vec<String> {
    let source = ServerOptions::new(from).start();
    let target = ServerOptions::new(to).with("requirepass", "secret").start();
    let nobody = free_port();
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf_port = deaf.local_addr().unwrap().port();
    let mut there = target.client();
    there.call(&["AUTH", "secret"]);
    let mut here = source.client();
    here.call(&["MSET", "a", "1", "b", "2", "c", "3"]);
    there.call(&["SET", "b", "theirs"]);
    let mut said = Vec::new();
    let mut ask = |port: u16, rest: &str| {
        let rest: Vec<&str> = rest
            .split(' ')
            .map(|w| if w == "''" { "" } else { w })
            .collect();
        let answer = migrate(&mut here, port, &rest);
        let left = here.call(&["EXISTS", "a", "b", "c"]).text();
        let arrived = there.call(&["EXISTS", "a", "b", "c"]).text();
        said.push(format!("{rest:?}: {answer}; {left} here, {arrived} there"));
    };
    let port = target.port;
    ask(port, "nokey 0 60000 AUTH secret");
    ask(nobody, "nokey 0 60000");
    ask(nobody, "a 0 60000");
    ask(deaf_port, "a 0 50");
    ask(port, "a 0 60000");
    ask(port, "a 0 60000 AUTH");
    ask(port, "a 0 60000 AUTH2 default");
    ask(port, "a 0 60000 MOVE");
    ask(port, "a x 1000");
    ask(port, "a 0 x");
    ask(port, "a 0 60000 KEYS b");
    ask(port, "'' 0 60000 AUTH secret KEYS");
    ask(port, "a 0 60000 AUTH secret COPY");
    ask(port, "a 0 60000 AUTH2 default secret COPY");
    ask(port, "a 0 60000 AUTH2 default secret COPY REPLACE");
    ask(port, "'' 0 60000 AUTH secret KEYS b c c nokey");
    ask(port, "b 0 60000 REPLACE AUTH secret");
    ask(port, "nokey 0 0");
    ask(port, "nokey 0 -1");
    ask(port, "a 0 60000 AUTH secret REPLACE");
    ask(port, "a 0 60000 AUTH secret");
    said.push(
        there
            .call(&["MGET", "a", "b", "c"])
            .elements()
            .unwrap()
            .len()
            .to_string(),
    );
    for name in ["a", "b", "c"] {
        said.push(there.call(&["GET", name]).text());
    }
    said
}

#[test]
fn every_answer_is_worded_as_by_redis_server() {
    let theirs = answers(Make::Redis, Make::Redis);
    assert_eq!(answers(Make::Understudy, Make::Redis), theirs);
    assert_eq!(answers(Make::Understudy, Make::Understudy), theirs);
}

#[test]
fn a_refused_database_or_password_leaves_the_target_as_it_was() {
    let source = Server::understudy();
    let target = ServerOptions::new(Make::Redis)
        .with("requirepass", "secret")
        .start();
    let mut client = source.client();
    client.call(&["SET", "a", "1"]);
    let answer = migrate(
        &mut client,
        target.port,
        &["a", "99", "1000", "AUTH", "secret"],
    );
    assert_eq!(
        answer,
        "ERR Target instance replied with error: ERR DB index is out of range"
    );
    let answer = migrate(
        &mut client,
        target.port,
        &["a", "0", "60000", "AUTH", "wrong"],
    );
    assert!(answer.contains("WRONGPASS"), "{answer}");
    let mut there = target.client();
    there.call(&["AUTH", "secret"]);
    assert_eq!(there.call(&["DBSIZE"]).int(), Some(0));
    assert_eq!(client.call(&["GET", "a"]).text(), "1");
    // The connection goes on, with the database selected that is asked for.
    let answer = migrate(
        &mut client,
        target.port,
        &["a", "2", "1000", "AUTH", "secret"],
    );
    assert_eq!(answer, "OK");
    assert!(
        there
            .call(&["INFO", "keyspace"])
            .text()
            .contains("db2:keys=1")
    );
}

#[test]
fn replicas_see_what_moved_deleted_and_wait_waits_for_it() {
    let (source, target) = (Server::understudy(), Server::redis());
    let replica = ServerOptions::new(Make::Redis)
        .replica_of(source.port)
        .start();
    let mut client = source.client();
    client.call(&["SELECT", "3"]);
    client.call(&["MSET", "a", "1", "b", "2", "c", "3"]);
    replica.wait_synced(LONG);
    let mut subscriber = source.client();
    source.call(&["CONFIG", "SET", "notify-keyspace-events", "KEA"]);
    subscriber.call(&["SUBSCRIBE", "__keyevent@3__:del"]);
    let answer = migrate(
        &mut client,
        target.port,
        &["", "0", "60000", "KEYS", "a", "b"],
    );
    assert_eq!(answer, "OK");
    assert_eq!(client.call(&["WAIT", "1", "60000"]).int(), Some(1));
    let mut there = replica.client();
    there.call(&["SELECT", "3"]);
    assert_eq!(
        there.call(&["KEYS", "*"]).elements().unwrap()[0].text(),
        "c"
    );
    for key in ["a", "b"] {
        assert_eq!(subscriber.read().elements().unwrap()[2].text(), key);
    }
    let info = source.call(&["INFO", "commandstats"]).text();
    assert!(info.contains("cmdstat_migrate:calls=1"), "{info}");
}

#[test]
fn connections_are_kept_and_replaced() {
    let source = Server::understudy();
    let mut target = Server::redis();
    let mut client = source.client();
    for round in 0..3 {
        client.call(&["SET", "a", "1"]);
        let answer = migrate(&mut client, target.port, &["a", "0", "60000", "REPLACE"]);
        assert_eq!(answer, "OK");
        assert_eq!(source.info("migrate_cached_sockets"), "1");
        let connections = target.call(&["INFO", "clients"]).text();
        assert!(connections.contains("connected_clients:2"), "{connections}");
        if round == 1 {
            // The one that is kept leads nowhere now.
            target.shut_down(false);
            target.restart(None);
        }
    }
    wait_for("the connection is closed", LONG, || {
        source.info("migrate_cached_sockets") == "0"
    });
}

/// A target that answers when it is told to.
struct Target {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Target {
    fn accept(listener: &TcpListener) -> Target {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut target = Target {
            stream,
            input: Vec::new(),
        };
        assert_eq!(target.command()[0], b"SELECT");
        target.answer("+OK");
        target
    }

    /// The next command that comes.
    fn command(&mut self) -> Vec<Vec<u8>> {
        loop {
            if let Some((value, used)) = RespValue::read(&self.input).unwrap() {
                self.input.drain(..used);
                let RespValue::Array(args) = value else {
                    panic!("no command: {value:?}")
                };
                return args
                    .iter()
                    .map(|a| a.as_bytes().unwrap().to_vec())
                    .collect();
            }
            let mut chunk = [0; 4096];
            let length = self.stream.read(&mut chunk).unwrap();
            assert!(length > 0, "the source hangs up");
            self.input.extend_from_slice(&chunk[..length]);
        }
    }

    /// The next command: a RESTORE of this key, with REPLACE or not. The value it has.
    fn restore(&mut self, key: &str, replace: bool) -> Vec<u8> {
        let command = self.command();
        assert_eq!(command[..2], [b"RESTORE".to_vec(), key.as_bytes().to_vec()]);
        assert_eq!(command.len(), if replace { 5 } else { 4 });
        command[3].clone()
    }

    fn answer(&mut self, line: &str) {
        write!(self.stream, "{line}\r\n").unwrap();
    }
}

/// A source, and MIGRATE of a key under way to a target of which only the first RESTORE has come.
fn under_way(listener: &TcpListener, keys: &[&str]) -> (Server, Target, mpsc::Receiver<String>) {
    let source = Server::understudy();
    let mut client = source.client();
    for key in keys {
        client.call(&["SET", key, "old"]);
    }
    let port = listener.local_addr().unwrap().port();
    let mut rest = vec!["".to_owned(), "0".into(), "60000".into(), "KEYS".into()];
    rest.extend(keys.iter().map(|k| (*k).to_owned()));
    let (told, answer) = mpsc::channel();
    std::thread::spawn(move || {
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        let _ = told.send(migrate(&mut client, port, &rest));
    });
    let target = Target::accept(listener);
    (source, target, answer)
}

fn dump(server: &Server, key: &str) -> Vec<u8> {
    match server.call(&["DUMP", key]) {
        common::RawReply::Bulk(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_write_meanwhile_is_served_and_follows() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (source, mut target, answer) = under_way(&listener, &["a", "b", "c"]);
    for key in ["a", "b", "c"] {
        target.restore(key, false);
    }
    // No client waits for the target but the one that asked.
    let mut other = source.client();
    assert_eq!(other.call(&["GET", "a"]).text(), "old");
    assert_eq!(other.call(&["SET", "a", "new"]).text(), "OK");
    assert_eq!(other.call(&["DEL", "b"]).int(), Some(1));
    let new = dump(&source, "a");
    for _ in 0..3 {
        target.answer("+OK");
    }
    // What is as it was sent goes; the others follow.
    assert_eq!(target.restore("a", true), new);
    assert_eq!(target.command(), [b"DEL", b"b" as &[u8]]);
    assert_eq!(other.call(&["EXISTS", "c"]).int(), Some(0));
    assert_eq!(other.call(&["GET", "a"]).text(), "new");
    target.answer("+OK");
    target.answer(":1");
    assert_eq!(answer.recv_timeout(LONG).unwrap(), "OK");
    assert_eq!(other.call(&["DBSIZE"]).int(), Some(0));
}

#[test]
fn a_key_that_is_written_all_the_time_moves_while_writes_wait() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (source, mut target, answer) = under_way(&listener, &["a"]);
    let mut other = source.client();
    for round in 0..2 {
        target.restore("a", round > 0);
        assert_eq!(other.call(&["APPEND", "a", "+"]).int(), Some(4 + round));
        target.answer("+OK");
    }
    let last = target.restore("a", true);
    assert_eq!(last, dump(&source, "a"));
    other.send(&["APPEND", "a", "later"]);
    other.flush();
    wait_for("the write waits", LONG, || {
        source
            .call(&["CLIENT", "LIST"])
            .text()
            .contains(" flags=b ")
    });
    assert_eq!(source.call(&["GET", "a"]).text(), "old++");
    target.answer("+OK");
    assert_eq!(answer.recv_timeout(LONG).unwrap(), "OK");
    // It found no key, and made one.
    assert_eq!(other.read().int(), Some(5));
    assert_eq!(source.call(&["GET", "a"]).text(), "later");
}

#[test]
fn what_a_broken_link_leaves_in_doubt_stays() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (source, mut target, answer) = under_way(&listener, &["a", "b"]);
    target.restore("a", false);
    target.restore("b", false);
    target.answer("+OK");
    drop(target);
    assert_eq!(
        answer.recv_timeout(LONG).unwrap(),
        "IOERR error or timeout reading to target instance"
    );
    assert_eq!(source.call(&["EXISTS", "a"]).int(), Some(0));
    assert_eq!(source.call(&["GET", "b"]).text(), "old");
}

#[test]
fn nothing_is_deleted_once_the_node_is_a_replica() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (source, mut target, answer) = under_way(&listener, &["a"]);
    target.restore("a", false);
    let nobody = free_port().to_string();
    source.call(&["REPLICAOF", "127.0.0.1", &nobody]);
    target.answer("+OK");
    let said = answer.recv_timeout(LONG).unwrap();
    assert!(said.contains("became a replica"), "{said}");
    assert_eq!(source.call(&["GET", "a"]).text(), "old");
}

#[test]
fn a_pause_of_writes_holds_the_deletion_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (source, mut target, answer) = under_way(&listener, &["a"]);
    target.restore("a", false);
    let mut other = source.client();
    other.call(&["CLIENT", "PAUSE", "600000", "WRITE"]);
    target.answer("+OK");
    let none = answer.recv_timeout(Duration::from_millis(200));
    assert!(none.is_err(), "{none:?}");
    assert_eq!(other.call(&["GET", "a"]).text(), "old");
    other.call(&["CLIENT", "UNPAUSE"]);
    assert_eq!(answer.recv_timeout(LONG).unwrap(), "OK");
    assert_eq!(other.call(&["EXISTS", "a"]).int(), Some(0));
}

#[test]
fn a_transaction_refuses_it() {
    let source = Server::understudy();
    let mut client = source.client();
    client.call(&["SET", "a", "1"]);
    client.call(&["MULTI"]);
    assert_eq!(migrate(&mut client, 1, &["a", "0", "10"]), "QUEUED");
    let replies = client.call(&["EXEC"]);
    assert_eq!(
        replies.elements().unwrap()[0].text(),
        "ERR MIGRATE isn't allowed inside a transaction"
    );
}
