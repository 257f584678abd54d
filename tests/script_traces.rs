//! What scripts and functions leave behind for who looks after a server: MONITOR, SLOWLOG, LATENCY, the counters of INFO,
//! and what COMMAND says of the calls. All as in redis-server.

mod common;

use common::{LONG, RawReply, RespClient, Server, wait_for};

const LIBRARY: &str = "#!lua name=lib\n\
    redis.register_function('f', function(keys, args) redis.call('SET', keys[1], args[1]) return redis.call('GET', keys[1]) end)";
const SCRIPT: &str = "for i = 1, 3 do redis.call('SET', KEYS[1], i) end redis.pcall('INCR', 'l', 'x') redis.pcall('LPUSH', KEYS[1], 'v') redis.pcall('NOSUCH') redis.call('SELECT', 3) return redis.call('GET', KEYS[1])";

/// Scripts and functions of each kind, right and wrong, in a transaction and by digest.
fn calls(client: &mut RespClient) -> Vec<RawReply> {
    let sha = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
    let none = "0000000000000000000000000000000000000000";
    let commands: &[&[&str]] = &[
        &["EVAL", SCRIPT, "1", "k"],
        &["EVAL", "return redis.call('LPUSH', KEYS[1], 'v')", "1", "k"],
        &["EVAL", "return redis.call('EVAL', 'return 1', '0')", "0"],
        &["EVAL", "error('boom')", "0"],
        &["EVAL", "error({err='MINE x'})", "0"],
        &["EVAL", "return redis.error_reply('MINE y')", "0"],
        &["EVAL", "return redis.pcall('GET')", "0"],
        &["EVAL", "nonsense(", "0"],
        &["EVAL", "return 1", "x"],
        &["EVAL_RO", "return redis.call('SET', 'k', 'v')", "0"],
        &["SCRIPT", "LOAD", "return 1"],
        &["EVALSHA", sha, "0"],
        &["EVALSHA", none, "0"],
        &["FUNCTION", "LOAD", LIBRARY],
        &["FCALL", "f", "1", "k", "v"],
        &["FCALL_RO", "f", "1", "k", "v"],
        &["FCALL", "none", "0"],
        &["MULTI"],
        &["EVAL", SCRIPT, "1", "k"],
        &["FCALL", "f", "1", "k", "v"],
        &["EXEC"],
        &["SCRIPT", "EXISTS", sha],
    ];
    commands
        .iter()
        .map(|command| client.call(command))
        .collect()
}

fn pair() -> [Server; 2] {
    [Server::redis(), Server::understudy()]
}

/// The lines of an INFO section, without times and those named.
fn counters(server: &Server, section: &str) -> Vec<String> {
    let text = server.call(&["INFO", section]).text();
    let own = |line: &&str| !line.starts_with("cmdstat_info") && !line.starts_with('#');
    let without_times = |line: &str| {
        let parts = line.split(',').filter(|part| !part.contains("usec"));
        let line = parts.collect::<Vec<_>>().join(",");
        line.replace(":calls", " calls")
    };
    let mut lines: Vec<String> = text.lines().filter(own).map(without_times).collect();
    lines.sort();
    lines
}

#[test]
fn monitors_see_what_scripts_call() {
    let [theirs, ours] = pair().map(|server| {
        let mut monitor = server.client();
        assert_eq!(monitor.call(&["MONITOR"]).text(), "OK");
        let mut client = server.client();
        calls(&mut client);
        client.call(&["ECHO", "the end"]);
        let mut lines: Vec<String> = Vec::new();
        while lines.last().is_none_or(|line| !line.contains("the end")) {
            let line = monitor.read().text();
            let (_, line) = line.split_once('[').expect("a database and an address");
            let (who, what) = line.split_once(']').expect("a database and an address");
            let (db, address) = who.split_once(' ').expect("a database and an address");
            let who = if address == "lua" { "lua" } else { "client" };
            lines.push(format!("{db} {who} {what}"));
        }
        lines
    });
    assert_eq!(ours, theirs);
    assert!(
        ours.iter().any(|line| line.starts_with("3 lua")),
        "{ours:?}"
    );
}

#[test]
fn the_slow_log_has_a_line_for_the_script_and_each_call() {
    let [theirs, ours] = pair().map(|server| {
        let mut client = server.client();
        client.call(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]);
        client.call(&["SLOWLOG", "RESET"]);
        calls(&mut client);
        let log = client.call(&["SLOWLOG", "GET", "-1"]);
        let commands = log.elements().expect("entries").iter().map(|entry| {
            let entry = entry.elements().expect("an entry");
            let args = entry[3].strings();
            args.iter()
                .map(|arg| String::from_utf8_lossy(arg).into_owned())
                .collect::<Vec<_>>()
        });
        commands.collect::<Vec<_>>()
    });
    assert_eq!(ours, theirs);
}

#[test]
fn calls_and_errors_are_counted_as_in_redis() {
    let [theirs, ours] = pair().map(|server| {
        let mut client = server.client();
        let replies = calls(&mut client);
        let fields = [
            "number_of_cached_scripts",
            "number_of_functions",
            "number_of_libraries",
            "total_error_replies",
            "total_commands_processed",
            "keyspace_hits",
            "keyspace_misses",
        ];
        let fields = fields.map(|field| server.info(field));
        let sections = ["commandstats", "errorstats"];
        (
            replies,
            fields,
            sections.map(|section| counters(&server, section)),
        )
    });
    assert_eq!(ours.0, theirs.0);
    assert_eq!(ours.1, theirs.1);
    assert_eq!(ours.2, theirs.2);
}

/// Memory of scripts is told, and grows with them.
#[test]
fn memory_is_told() {
    for server in pair() {
        let mut client = server.client();
        let number = |field: &str| server.info(field).parse::<u64>().expect("a number");
        let before = number("used_memory_scripts");
        calls(&mut client);
        let keeps = format!("return #'{}'", "x".repeat(100_000));
        client.call(&["SCRIPT", "LOAD", &keeps]);
        assert!(number("used_memory_scripts_eval") >= 100_000);
        assert!(number("used_memory_scripts") >= before + 100_000);
        assert!(number("used_memory_functions") > 0);
        assert!(number("used_memory_vm_total") > 10_000);
        assert!(number("used_memory_lua") > 10_000);
        let library = LIBRARY
            .replace("name=lib", "name=other")
            .replace("'f'", "'g'");
        let functions = number("used_memory_functions");
        client.call(&["FUNCTION", "LOAD", &library]);
        assert!(number("used_memory_functions") > functions);
    }
}

/// A slow script is an event of the class `command`, and in the slow log by its own line.
#[test]
fn latency_knows_slow_scripts() {
    let [theirs, ours] = pair().map(|server| {
        let mut client = server.client();
        client.call(&["CONFIG", "SET", "latency-monitor-threshold", "1"]);
        client.call(&["CONFIG", "SET", "slowlog-log-slower-than", "5000"]);
        let waits = "local n = 0 while n < 20000000 do n = n + 1 end return 1";
        assert_eq!(client.call(&["EVAL", waits, "0"]).int(), Some(1));
        let mut events = Vec::new();
        wait_for("the event is there", LONG, || {
            let latest = client.call(&["LATENCY", "LATEST"]);
            let names = latest.elements().expect("events").iter();
            events = names
                .map(|event| event.elements().expect("an event")[0].text())
                .collect();
            events.iter().any(|name| name == "command")
        });
        let log = client.call(&["SLOWLOG", "GET", "-1"]);
        let first = &log.elements().expect("entries")[0];
        let named = first.elements().expect("an entry")[3].strings();
        let histogram = client.call(&["LATENCY", "HISTOGRAM", "eval", "time"]);
        let names: Vec<String> = histogram
            .elements()
            .expect("pairs")
            .iter()
            .step_by(2)
            .map(RawReply::text)
            .collect();
        (named, names)
    });
    assert_eq!(ours, theirs);
}

#[test]
fn keys_and_flags_of_calls_are_those_of_redis() {
    let [mut theirs, mut ours] = pair().map(|server| {
        let client = server.client();
        (server, client)
    });
    for name in [
        "EVAL",
        "EVALSHA",
        "EVAL_RO",
        "EVALSHA_RO",
        "FCALL",
        "FCALL_RO",
    ] {
        for count in ["0", "2", "3", "x", "-1", "5"] {
            for way in ["GETKEYS", "GETKEYSANDFLAGS"] {
                let command = ["COMMAND", way, name, "x", count, "a", "b", "c"];
                let (want, got) = (theirs.1.call(&command), ours.1.call(&command));
                assert_eq!(got, want, "{command:?}");
            }
        }
        let command = ["COMMAND", "GETKEYS", name, "x"];
        assert_eq!(ours.1.call(&command), theirs.1.call(&command));
    }
    for name in [
        "script|load",
        "script|kill",
        "function|load",
        "function|stats",
    ] {
        let command = ["COMMAND", "INFO", name];
        let flags = |reply: RawReply| {
            let info = reply.elements().expect("infos")[0].clone();
            let info = info.elements().expect("an info").to_vec();
            (info[1].int(), info[2].strings())
        };
        let (want, got) = (theirs.1.call(&command), ours.1.call(&command));
        assert_eq!(flags(got), flags(want), "{name}");
    }
}
