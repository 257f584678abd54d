//! Clients that mean harm, or send a lot: what they send costs the server no more than its size, is bounded, and
//! runs nothing that it should not.
//!
//! What has to be linear is measured in the server's processor time at two sizes, one eight times the other, with
//! room for noise: quadratic work would cost 64 times as much.

mod common;

use std::time::Duration;

use common::{LONG, Make, RespClient, Server, ServerOptions, wait_for};

/// Processor time that `run` takes; what is too short to be measured well counts as 20 ms.
fn cost(server: &Server, run: impl FnOnce()) -> Duration {
    let before = server.processor_time();
    run();
    (server.processor_time() - before).max(Duration::from_millis(20))
}

/// `small` and `large` are the costs of work of which the second is eight times the first.
fn assert_linear(small: Duration, large: Duration) {
    assert!(
        large < small * 24,
        "{small:?}, of eight times as much {large:?}"
    );
}

/// A client's field in CLIENT LIST.
fn field(observer: &mut RespClient, id: &str, name: &str) -> u64 {
    let line = observer.call(&["CLIENT", "LIST", "ID", id]).text();
    let field = line.split([' ', '\n']).find_map(|f| f.strip_prefix(name));
    field.and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[test]
fn a_browser_s_request_runs_nothing() {
    for make in [Make::Redis, Make::Understudy] {
        for password in [None, Some("secret")] {
            let mut options = ServerOptions::new(make);
            if let Some(password) = password {
                options = options.with("requirepass", password);
            }
            let server = options.start();
            for request in [
                &b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET pwned 1\r\n"[..],
                b"SET before 1\r\npost\r\nSET pwned 1\r\n",
                b"GET / HTTP/1.1\r\nhOsT: x\r\n\r\nSET pwned 1\r\n",
                b"*2\r\n$4\r\nPoSt\r\n$1\r\n/\r\nSET pwned 1\r\n",
                b"*1\r\n$5\r\nHOST:\r\n*3\r\n$3\r\nSET\r\n$5\r\npwned\r\n$1\r\n1\r\n",
                b"MULTI\r\nSET pwned 1\r\nHost: x\r\nEXEC\r\n",
            ] {
                let mut client = server.client();
                client.send_raw(request);
                client.flush();
                assert!(client.is_closed(), "{make:?}: {}", request.escape_ascii());
            }
            let mut client = server.client();
            if let Some(password) = password {
                client.call(&["AUTH", password]);
            }
            assert!(client.call(&["GET", "pwned"]).is_null());
            // What stood before it has run, where it may.
            let ran = password.is_none().then_some(b"1".to_vec());
            let before = client.call(&["GET", "before"]);
            assert_eq!(before.bytes().map(<[u8]>::to_vec), ran, "{make:?}");
            let words = "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands \
                         to Redis. This is likely due to an attacker attempting to use Cross Protocol Scripting to \
                         compromise your Redis instance. Connection ";
            let log = server.log_with(words);
            assert_eq!(
                log.matches(words).count(),
                1,
                "{make:?}: one a minute\n{log}"
            );
        }
    }
}

#[test]
fn what_follows_a_password_is_under_the_limits_of_who_knows_it() {
    for make in [Make::Redis, Make::Understudy] {
        let server = ServerOptions::new(make)
            .with("requirepass", "secret")
            .start();
        let mut many = vec!["RPUSH".to_owned(), "list".to_owned()];
        many.extend((0..100).map(|n| n.to_string()));
        let auth = ["AUTH", "secret"].map(String::from).to_vec();
        let large = vec!["SET".into(), "large".into(), "x".repeat(20_000)];
        let replies = server.client().pipeline(&[auth, many, large]);
        let texts: Vec<String> = replies.iter().map(|r| r.text()).collect();
        assert_eq!(texts, ["OK", "100", "OK"], "{make:?}");
    }
}

/// The beginning of a command of two thousand million arguments, so many of which come.
fn send_beginning(client: &mut RespClient, observer: &mut RespClient, id: &str, args: usize) {
    let mut bytes = b"*2000000000\r\n$3\r\nDEL\r\n".to_vec();
    bytes.extend_from_slice(&b"$0\r\n\r\n".repeat(args));
    client.send_raw(&bytes);
    client.flush();
    wait_for("it has come", LONG, || {
        field(observer, id, "qbuf=") == bytes.len() as u64
    });
}

#[test]
fn a_request_of_many_arguments_is_looked_at_once() {
    let server = Server::understudy();
    let mut observer = server.client();
    let mut costs = [100_000, 800_000].map(|args| {
        let mut client = server.client();
        let id = client.call(&["CLIENT", "ID"]).text();
        let all = cost(&server, || {
            send_beginning(&mut client, &mut observer, &id, args);
        });
        // And what follows byte by byte does not have it looked at again.
        let before = field(&mut observer, &id, "qbuf=");
        let bytes = cost(&server, || {
            for byte in b"$1000\r\n".iter().chain(&[b'x'; 193]) {
                let sent = field(&mut observer, &id, "qbuf=");
                client.send_raw(&[*byte]);
                client.flush();
                wait_for("it has come", LONG, || {
                    field(&mut observer, &id, "qbuf=") > sent
                });
            }
        });
        assert_eq!(field(&mut observer, &id, "qbuf="), before + 200);
        (all, bytes)
    });
    let [(small, _), (large, bytes)] = &mut costs;
    assert_linear(*small, *large);
    assert!(*bytes < *large * 10, "{bytes:?} beside {large:?}");
    // The same, complete.
    let mut client = server.client();
    let members: Vec<String> = (0..200_000).map(|n| n.to_string()).collect();
    let words = ["SADD", "set"].map(String::from);
    let honest = [&words[..], &members].concat();
    assert_eq!(client.call(&honest).int(), Some(200_000));
}

#[test]
fn what_a_client_has_waiting_is_bounded() {
    let server = ServerOptions::new(Make::Understudy)
        .with("client-query-buffer-limit", "1mb")
        .start();
    // Half a request whose arguments take more than their bytes.
    let mut client = server.client();
    client.send_raw(b"*2000000000\r\n");
    client.send_raw(&b"$0\r\n\r\n".repeat(100_000));
    client.flush();
    let refused = client.read().text();
    assert!(refused.contains("client-query-buffer-limit"), "{refused}");
    assert!(client.is_closed());
    // Commands that a MULTI has queued.
    let mut client = server.client();
    client.call(&["MULTI"]);
    let value = "x".repeat(100_000);
    let queued = (0..100).take_while(|_| client.try_call(&["SET", "a", &value]).is_ok());
    assert!(queued.count() < 20);
    // What comes behind a wait.
    let mut client = server.client();
    client.send(&["BLPOP", "none", "0"]);
    client.flush();
    let sent = (0..1000).take_while(|_| {
        client.send(&["SET", "a", &value]);
        client.try_flush().is_ok()
    });
    assert!(sent.count() < 1000);
    assert_eq!(server.call(&["EXISTS", "a"]).int(), Some(0));
    let words = "Closing client that reached max query buffer length";
    wait_for("the log names all three", LONG, || {
        server.log().matches(words).count() == 3
    });
}

#[test]
fn who_has_not_authenticated_has_little_waiting() {
    let server = ServerOptions::new(Make::Understudy)
        .with("requirepass", "secret")
        .start();
    let mut admin = server.client();
    admin.call(&["AUTH", "secret"]);
    admin.call(&["CLIENT", "PAUSE", "100000", "ALL"]);
    let mut stranger = server.client();
    stranger.send_raw(&b"AUTH secret\r\n".repeat(1_000_000));
    let taken = stranger.try_flush();
    assert!(taken.is_err() || stranger.is_closed());
}

/// So many clients that wait for all of so many keys; the observer sees them blocked.
fn block(
    server: &Server,
    observer: &mut RespClient,
    clients: usize,
    keys: usize,
) -> Vec<RespClient> {
    let mut words = vec!["BLPOP".to_owned()];
    words.extend((0..keys).map(|n| format!("k{n}")));
    words.push("0".into());
    let mut blocked: Vec<RespClient> = (0..clients).map(|_| server.client()).collect();
    for client in &mut blocked {
        client.send(&words);
        client.flush();
    }
    wait_for("they are blocked", LONG, || {
        observed(observer, "blocked_clients") == clients as u64
    });
    blocked
}

/// A number of INFO.
fn observed(observer: &mut RespClient, field: &str) -> u64 {
    let text = observer.call(&["INFO", "clients"]).text();
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(name, _)| *name == field);
    found.map_or(0, |(_, value)| value.trim_end().parse().expect("a number"))
}

fn wait_gone(observer: &mut RespClient) {
    wait_for("they are gone", LONG, || {
        observed(observer, "connected_clients") == 1
    });
}

#[test]
fn clients_blocked_on_the_same_keys_cost_what_one_does() {
    const KEYS: usize = 200;
    let server = Server::understudy();
    let mut observer = server.client();
    let [small, large] = [60, 480].map(|clients| {
        let mut costs = Vec::new();
        let mut blocked = Vec::new();
        costs.push(cost(&server, || {
            blocked = block(&server, &mut observer, clients, KEYS);
        }));
        costs.push(cost(&server, || {
            for n in 0..clients {
                observer.call(&["LPUSH", &format!("k{}", n % KEYS), "v"]);
            }
            // Each is served once. Which is first is not asked: they all blocked at the same time.
            let mut served: Vec<_> = blocked.iter_mut().map(|c| c.read().strings()).collect();
            let mut pushed: Vec<_> = (0..clients)
                .map(|n| vec![format!("k{}", n % KEYS).into_bytes(), b"v".to_vec()])
                .collect();
            served.sort();
            pushed.sort();
            assert_eq!(served, pushed);
        }));
        drop(blocked);
        wait_gone(&mut observer);
        for kill in [false, true] {
            let blocked = block(&server, &mut observer, clients, KEYS);
            costs.push(cost(&server, || {
                if kill {
                    observer.call(&["CLIENT", "KILL", "TYPE", "normal"]);
                }
                drop(blocked);
                wait_gone(&mut observer);
            }));
        }
        assert_eq!(server.info("total_blocking_keys"), "0");
        costs
    });
    for (small, large) in small.into_iter().zip(large) {
        assert_linear(small, large);
    }
}

#[test]
fn many_watchers_of_a_key_cost_what_one_does() {
    let server = Server::understudy();
    let mut observer = server.client();
    let [small, large] = [100, 800].map(|clients| {
        let mut watchers: Vec<RespClient> = (0..clients).map(|_| server.client()).collect();
        let begin = cost(&server, || {
            for watcher in &mut watchers {
                watcher.pipeline(&[vec!["WATCH", "k"], vec!["UNWATCH"], vec!["WATCH", "k"]]);
            }
        });
        let write = cost(&server, || {
            let sets = vec![vec!["SET", "k", "v"]; clients];
            observer.pipeline(&sets);
        });
        for watcher in &mut watchers {
            watcher.send(&["MULTI"]);
            watcher.send(&["GET", "k"]);
            watcher.send(&["EXEC"]);
            watcher.flush();
            let replies = [watcher.read(), watcher.read(), watcher.read()];
            assert!(replies[2].is_null(), "{replies:?}");
        }
        drop(watchers);
        wait_gone(&mut observer);
        (begin, write)
    });
    assert_linear(small.0, large.0);
    assert_linear(small.1, large.1);
    // One that watches many keys, or queues many commands, and what it does then.
    let [small, large] = [10_000, 80_000].map(|count| {
        let mut watch = vec!["WATCH".to_owned()];
        watch.extend((0..count).map(|n| n.to_string()));
        cost(&server, || {
            let mut client = server.client();
            assert_eq!(client.call(&watch).text(), "OK");
            client.call(&["MULTI"]);
            for _ in 0..count / 1000 {
                let replies = client.pipeline(&vec![vec!["GET", "k"]; 1000]);
                assert_eq!(replies[999].text(), "QUEUED");
            }
            assert!(
                client
                    .call(&["EXEC"])
                    .elements()
                    .is_some_and(|e| e.len() == count)
            );
        })
    });
    assert_linear(small, large);
}
