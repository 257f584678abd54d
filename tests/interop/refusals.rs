//! Refusals beside redis-server. A refused EXEC answers EXECABORT with the reason, the transaction is over, and
//! so are its watches.

use std::fs;

use crate::common::{LONG, Make, RawReply, RespClient, Server, ServerOptions, wait_for};

/// What becomes of a transaction: EXEC's own reply, and what shows that nothing is left of it.
type Outcome = Vec<RawReply>;

/// Watches a key, queues `commands`, has `change` happen and says EXEC.
fn exec_after(server: &Server, commands: &[&[&str]], change: impl Fn(&Server)) -> Outcome {
    let mut client = server.client();
    client.call(&["WATCH", "watched"]);
    client.call(&["MULTI"]);
    for command in commands {
        assert_eq!(client.call(command).text(), "QUEUED", "{command:?}");
    }
    change(server);
    vec![client.call(&["EXEC"]), client.call(&["DISCARD"])]
}

/// Both makes, started alike, must have the same outcome, and EXEC be refused for `reason`.
fn refused_alike(reason: &str, options: &[(&str, &str)], refuse: impl Fn(&Server) -> Outcome) {
    let outcomes = [Make::Redis, Make::Understudy].map(|make| {
        let with = |o: ServerOptions, (name, value): &(&str, &str)| o.with(name, value);
        refuse(&options.iter().fold(ServerOptions::new(make), with).start())
    });
    assert_eq!(outcomes[1], outcomes[0]);
    let text = outcomes[1][0].text();
    let told = text.strip_prefix("EXECABORT Transaction discarded because of");
    let told = told.map(|told| told.trim_start_matches([':', ' ']));
    assert!(told.is_some_and(|told| told.starts_with(reason)), "{text}");
}

fn config(server: &Server, name: &str, value: &str) {
    let reply = server.call(&["CONFIG", "SET", name, value]);
    assert_eq!(reply.text(), "OK", "{name} {value}");
}

#[test]
fn for_its_arity() {
    refused_alike(
        "wrong number of arguments for 'exec' command",
        &[],
        |server| {
            let mut client = server.client();
            client.call(&["WATCH", "watched"]);
            let mut replies = vec![client.call(&["EXEC", "x"])];
            // The watch went with it.
            server.call(&["SET", "watched", "changed"]);
            client.call(&["MULTI"]);
            client.call(&["GET", "watched"]);
            replies.push(client.call(&["EXEC"]));
            client.call(&["MULTI"]);
            client.call(&["GET", "watched"]);
            replies.push(client.call(&["EXEC", "x", "y"]));
            replies.extend([client.call(&["EXEC"]), client.call(&["DISCARD"])]);
            replies.push(RawReply::Bulk(server.info("errorstat_EXECABORT").into()));
            replies
        },
    );
}

#[test]
fn before_auth() {
    refused_alike(
        "NOAUTH Authentication required.",
        &[("requirepass", "secret")],
        |server| {
            let mut client = server.client();
            vec![
                client.call(&["EXEC"]),
                client.call(&["EXEC", "x"]),
                client.call(&["MULTI"]),
                client.call(&["AUTH", "secret"]),
                client.call(&["EXEC"]),
            ]
        },
    );
}

#[test]
fn on_a_subscribed_connection() {
    refused_alike("Can't execute 'exec'", &[], |server| {
        let mut client = server.client();
        client.call(&["SUBSCRIBE", "channel"]);
        let mut replies = vec![client.call(&["EXEC"]), client.call(&["EXEC", "x"])];
        // Subscribed by the transaction itself.
        let mut client = server.client();
        let queued: [&[&str]; 3] = [&["MULTI"], &["SUBSCRIBE", "channel"], &["EXEC"]];
        replies.extend(queued.iter().map(|line| client.call(line)));
        replies.push(client.call(&["EXEC"]));
        // With RESP3 there is no such rule.
        let mut client = server.client3();
        client.call(&["SUBSCRIBE", "channel"]);
        replies.push(client.call(&["EXEC"]));
        replies
    });
}

#[test]
fn for_want_of_memory() {
    refused_alike("OOM ", &[], |server| {
        let mut replies = exec_after(server, &[&["SET", "a", "1"]], |server| {
            config(server, "maxmemory", "1");
        });
        // What only reads may be run, but nothing more may be queued.
        config(server, "maxmemory", "0");
        replies.extend(exec_after(server, &[&["GET", "a"]], |server| {
            config(server, "maxmemory", "1");
        }));
        let mut client = server.client();
        for line in [&["MULTI"][..], &["GET", "a"], &["MULTI"], &["EXEC"]] {
            replies.push(client.call(line));
        }
        replies
    });
}

#[test]
fn while_nothing_can_be_saved() {
    refused_alike("MISCONF ", &[("save", "3600 1")], |server| {
        // The dump can't take the place of a folder.
        fs::create_dir(server.dir().join("dump.rdb")).expect("a folder");
        exec_after(server, &[&["SET", "a", "1"]], |server| {
            server.call(&["BGSAVE"]);
            wait_for("the save has failed", LONG, || {
                server.info("rdb_last_bgsave_status") == "err"
            });
        })
    });
}

#[test]
fn for_want_of_replicas() {
    refused_alike(
        "NOREPLICAS Not enough good replicas to write.",
        &[],
        |server| {
            exec_after(server, &[&["SET", "a", "1"]], |server| {
                config(server, "min-replicas-to-write", "1");
            })
        },
    );
}

#[test]
fn on_a_replica() {
    refused_alike(
        "READONLY You can't write against a read only replica.",
        &[],
        |server| {
            exec_after(server, &[&["GET", "a"], &["SET", "a", "1"]], |server| {
                server.call(&["REPLICAOF", "127.0.0.1", "1"]);
            })
        },
    );
}

#[test]
fn without_the_master() {
    let stale = [("replica-serve-stale-data", "no")];
    refused_alike("MASTERDOWN ", &stale, |server| {
        exec_after(server, &[&["GET", "a"]], |server| {
            server.call(&["REPLICAOF", "127.0.0.1", "1"]);
        })
    });
}

#[test]
fn while_the_dataset_loads() {
    let slow = [
        ("key-load-delay", "100000"),
        ("loading-process-events-interval-bytes", "1024"),
    ];
    refused_alike("LOADING ", &slow, |server| {
        let value = "v".repeat(1000);
        let keys: Vec<Vec<String>> = (0..200)
            .map(|n| vec!["SET".into(), format!("k{n}"), value.clone()])
            .collect();
        server.client().pipeline(&keys);
        let mut client: RespClient = server.client();
        client.call(&["MULTI"]);
        client.call(&["GET", "k1"]);
        let mut reloading = server.client();
        reloading.send(&["DEBUG", "RELOAD"]);
        reloading.flush();
        let mut other = server.client();
        wait_for("the dataset loads", LONG, || {
            other.call(&["GET", "k1"]).text().starts_with("LOADING")
        });
        let replies = vec![client.call(&["EXEC"]), client.call(&["EXEC"])];
        config(server, "key-load-delay", "0");
        assert_eq!(reloading.read().text(), "OK");
        replies
    });
}

#[test]
fn for_what_was_refused_before() {
    refused_alike("previous errors.", &[], |server| {
        let mut client = server.client();
        let lines: [&[&str]; 3] = [&["MULTI"], &["GET"], &["EXEC"]];
        let mut replies: Outcome = lines.iter().map(|line| client.call(line)).collect();
        replies.rotate_right(1);
        replies
    });
}

/// Clients ask by these what sort of server this is.
#[test]
fn cluster_commands_say_that_there_is_no_cluster() {
    let lines: [&[&str]; 14] = [
        &["CLUSTER"],
        &["CLUSTER", "INFO"],
        &["CLUSTER", "SLOTS"],
        &["CLUSTER", "KEYSLOT", "key"],
        &["CLUSTER", "KEYSLOT"],
        &["CLUSTER", "RESET", "HARD"],
        &["CLUSTER", "HELP"],
        &["CLUSTER", "NOTHING"],
        &["READONLY"],
        &["READONLY", "x"],
        &["READWRITE"],
        &["ASKING"],
        &[
            "COMMAND",
            "INFO",
            "readonly",
            "readwrite",
            "asking",
            "cluster|info",
        ],
        &["COMMAND", "LIST", "FILTERBY", "PATTERN", "readonl*"],
    ];
    let replies = [Make::Redis, Make::Understudy].map(|make| {
        let server = ServerOptions::new(make).start();
        let mut client = server.client();
        let mut replies: Vec<RawReply> = lines.iter().map(|line| client.call(line)).collect();
        // Its own row beside those of the subcommands, whose order is nobody's business.
        let cluster = client.call(&["COMMAND", "INFO", "cluster"]);
        let row = cluster.elements().and_then(|rows| rows[0].elements());
        replies.extend_from_slice(&row.expect("a row")[..7]);
        for line in [
            &["MULTI"][..],
            &["READONLY"],
            &["CLUSTER", "MYID"],
            &["EXEC"],
        ] {
            replies.push(client.call(line));
        }
        replies
    });
    assert_eq!(replies[1], replies[0]);
    assert_eq!(
        replies[1][1].text(),
        "ERR This instance has cluster support disabled"
    );
}

/// Monitors, which saw the queued commands' MULTI, see how it ended.
#[test]
fn and_monitors_see_it() {
    let seen = [Make::Redis, Make::Understudy].map(|make| {
        let server = ServerOptions::new(make).start();
        let mut monitor = server.client();
        assert_eq!(monitor.call(&["MONITOR"]).text(), "OK");
        let mut client = server.client();
        for line in [&["MULTI"][..], &["GET", "a"], &["EXEC", "x"], &["PING"]] {
            client.call(line);
        }
        let words = |line: String| {
            line.split_once("] ")
                .map_or(String::new(), |(_, w)| w.into())
        };
        let mut lines = Vec::new();
        while lines.last().map(String::as_str) != Some("\"PING\"") {
            lines.push(words(monitor.read().text()));
        }
        lines
    });
    assert_eq!(seen[1], seen[0]);
}
