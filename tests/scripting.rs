//! Scripts and functions over sockets, beside redis-server: what they answer, what becomes of it on replicas of either
//! make, and that a script which takes long stops nobody who doesn't need its shards.

mod common;

use std::time::Instant;

use common::{LONG, Make, RawReply, RespClient, Server, ServerOptions, wait_for};

fn eval(client: &mut RespClient, script: &str, args: &[&str]) -> RawReply {
    let mut all = vec!["EVAL", script];
    all.extend(args);
    client.call(&all)
}

/// Scripts whose replies must be those of redis-server 7.0.
const SCRIPTS: &[(&str, &[&str])] = &[
    ("return 1", &["0"]),
    ("return {1, 2.9, 'x', {true, false, nil, 1}}", &["0"]),
    (
        "return {KEYS[1], KEYS[2], ARGV[1], #ARGV}",
        &["2", "a", "b", "c"],
    ),
    (
        "return redis.call('SET', KEYS[1], ARGV[1])",
        &["1", "k", "v"],
    ),
    ("return redis.call('GET', KEYS[1])", &["1", "k"]),
    ("return redis.call('GET', 'none')", &["0"]),
    ("return redis.pcall('INCR', KEYS[1])", &["1", "k"]),
    ("return redis.call('RPUSH', 'l', 'a', 'b', 'c')", &["0"]),
    ("return redis.call('LRANGE', 'l', 0, -1)", &["0"]),
    ("return redis.call('HSET', 'h', 'f', 1, 'g', '2')", &["0"]),
    ("return redis.call('HGETALL', 'h')", &["0"]),
    ("return redis.call('TYPE', 'l')", &["0"]),
    ("return redis.call('TYPE', 'l').ok", &["0"]),
    ("return redis.status_reply('fine')", &["0"]),
    ("return redis.error_reply('MY error')", &["0"]),
    ("return {err = 'MY error'}", &["0"]),
    ("return cjson.encode({1, 2, {a = 'b'}})", &["0"]),
    (
        "return cjson.decode('[1, {\"a\": [true, null]}]')[1]",
        &["0"],
    ),
    ("return cmsgpack.unpack(cmsgpack.pack({1, 'x'}))", &["0"]),
    (
        "return {struct.unpack('>I2', struct.pack('>I2', 513))}",
        &["0"],
    ),
    ("return bit.band(0xff, 0x0f)", &["0"]),
    ("return redis.sha1hex('x')", &["0"]),
    ("return tostring(redis.call('EXISTS', 'k'))", &["0"]),
    ("return type(redis.pcall('nosuch'))", &["0"]),
    (
        "return pcall(function() return redis.call('nosuch') end)",
        &["0"],
    ),
    ("return {pcall(function() error('x') end)}", &["0"]),
    (
        "local t = {} for i = 1, 100 do t[i] = i * 2 end return t",
        &["0"],
    ),
    (
        "return string.format('%05.2f %s %d', 3.14159, 'x', 42)",
        &["0"],
    ),
    ("return redis.call('ZADD', 'z', 1, 'a', 2.5, 'b')", &["0"]),
    (
        "return redis.call('ZRANGE', 'z', 0, -1, 'WITHSCORES')",
        &["0"],
    ),
    ("return tonumber('0x10')", &["0"]),
    ("return math.floor(3.7)", &["0"]),
    ("return #redis.call('KEYS', '*')", &["0"]),
    (
        "redis.call('SELECT', 2) return redis.call('SET', 'other', 1)",
        &["0"],
    ),
    ("return redis.call('DBSIZE')", &["0"]),
    (
        "redis.setresp(3) local l = {} for n = 1, 9 do l[n] = #redis.call('MGET', unpack({'none', 'none', 'n', 'none', 'none', 'n', 'none', 'k', 'none'}, 1, n)) end return l",
        &["0"],
    ),
    (
        "return redis.call('SADD', 'letters', 'c', 'aa', 'b', 'a')",
        &["0"],
    ),
    ("return redis.call('SORT', 'letters', 'BY', '_')", &["0"]),
    (
        "return redis.call('SORT', 'letters', 'BY', '_', 'DESC', 'LIMIT', 0, 2)",
        &["0"],
    ),
    ("return redis.REPL_ALL", &["0"]),
    ("return 1", &["-1"]),
    ("return 1", &["x"]),
    ("return 1", &["2", "a"]),
];

#[test]
fn scripts_answer_as_redis_does() {
    let (redis, ours) = (Server::redis(), Server::understudy());
    let (mut theirs, mut mine) = (redis.client(), ours.client());
    for (script, args) in SCRIPTS {
        let want = eval(&mut theirs, script, args);
        let got = eval(&mut mine, script, args);
        assert_eq!(got, want, "{script} {args:?}");
    }
    // Attributes are skipped.
    let attribute = "redis.setresp(3) return redis.call('DEBUG', 'PROTOCOL', 'attrib')";
    let [want, got] = [&mut theirs, &mut mine].map(|client| {
        client.call(&["DEBUG", "SET-DISABLE-DENY-SCRIPTS", "1"]);
        eval(client, attribute, &["0"])
    });
    assert_eq!(got, want);
    assert!(!got.is_error(), "{got:?}");
    assert_eq!(ours.digest(), redis.digest());
}

/// The same scripts leave the same dataset on replicas of both makes: what they did is replicated, not they.
#[test]
fn effects_reach_replicas_of_either_make() {
    let ours = Server::understudy();
    let replica = |make| {
        let replica = ServerOptions::new(make).replica_of(ours.port).start();
        replica.wait_synced(LONG);
        replica
    };
    let (redis, second) = (replica(Make::Redis), replica(Make::Understudy));
    let mut client = ours.client();
    for (script, args) in SCRIPTS {
        eval(&mut client, script, args);
    }
    let chance = "redis.call('SET', KEYS[1], redis.call('TIME')[2]) redis.call('SADD', 's', 'a', 'b', 'c') redis.call('SPOP', 's') return redis.call('EXPIRE', KEYS[1], 100)";
    for n in 0..50 {
        eval(&mut client, chance, &["1", &format!("t{n}")]);
    }
    let quiet = "redis.set_repl(redis.REPL_NONE) redis.call('SET', 'quiet', 1) redis.set_repl(redis.REPL_ALL) redis.call('SET', 'loud', 1)";
    eval(&mut client, quiet, &["0"]);
    client.call(&["DEL", "quiet"]);
    // A key that is found expired meanwhile is deleted there too: only that tells replicas of its end.
    client.call(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
    client.call(&["SET", "short", "v", "PX", "1"]);
    wait_for("its time has come", LONG, || {
        let look = "redis.set_repl(redis.REPL_NONE) return redis.call('EXISTS', 'short')";
        eval(&mut client, look, &["0"]).int() == Some(0)
    });
    assert_eq!(client.call(&["WAIT", "2", "60000"]).int(), Some(2));
    for other in [&redis, &second] {
        assert_eq!(other.digest(), ours.digest());
        let size = &["DBSIZE"];
        assert_eq!(other.call(size), ours.call(size));
        assert!(other.call(&["GET", "quiet"]).is_null());
        assert_eq!(other.call(&["GET", "loud"]).text(), "1");
    }
    // A script that wrote nothing leaves no trace.
    let before = ours.info("master_repl_offset");
    eval(&mut client, "return redis.call('GET', 'k')", &["0"]);
    assert_eq!(ours.info("master_repl_offset"), before);
}

fn sends(client: &mut RespClient, args: &[&str]) {
    client.send(args);
    client.flush();
}

/// An endless script with one serving arbiter: those who need its shards hear BUSY, everybody else goes on.
#[test]
fn an_endless_script_stops_nobody_else() {
    let server = ServerOptions::new(Make::Understudy)
        .with("busy-reply-threshold", 50)
        .with("shards", 8)
        .start();
    let mut looping = server.client();
    sends(&mut looping, &["EVAL", "while true do end", "0"]);
    let mut client = server.client();
    wait_for("the script is slow", LONG, || {
        client.call(&["GET", "k"]).text().starts_with("BUSY")
    });
    let busy =
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
    assert_eq!(client.call(&["SET", "k", "v"]).text(), busy);
    assert_eq!(client.call(&["FUNCTION", "KILL"]).text(), busy);
    assert_eq!(client.call(&["SHUTDOWN"]).text(), busy);
    assert_eq!(client.call(&["PING"]).text(), "PONG");
    assert!(client.call(&["INFO"]).text().contains("redis_version"));
    assert_eq!(
        client
            .call(&["CONFIG", "GET", "port"])
            .elements()
            .map(<[_]>::len),
        Some(2)
    );
    client.call(&["MULTI"]);
    assert_eq!(client.call(&["SET", "k", "v"]).text(), busy);
    assert_eq!(
        client.call(&["EXEC"]).text(),
        format!("EXECABORT Transaction discarded because of: {busy}")
    );
    assert_eq!(client.call(&["SCRIPT", "KILL"]).text(), "OK");
    let ended = looping.read().text();
    assert!(
        ended.starts_with("ERR Script killed by user with SCRIPT KILL... script: "),
        "{ended}"
    );
    assert_eq!(client.call(&["SET", "k", "v"]).text(), "OK");
    assert_eq!(
        client.call(&["SCRIPT", "KILL"]).text(),
        "NOTBUSY No scripts in execution right now."
    );
}

/// One that catches every error can be ended all the same, and one that has written can't.
#[test]
fn what_can_be_killed() {
    let server = ServerOptions::new(Make::Understudy)
        .with("busy-reply-threshold", 1)
        .start();
    let (mut looping, mut client) = (server.client(), server.client());
    let catches = "local f = function() while true do end end while true do pcall(f) end";
    sends(&mut looping, &["EVAL", catches, "0"]);
    wait_for("it is killed", LONG, || {
        client.call(&["SCRIPT", "KILL"]).text() == "OK"
    });
    let ended = looping.read().text();
    assert!(ended.starts_with("ERR Script killed"), "{ended}");
    let writes = "redis.call('SET', 'k', '1') local n = 0 while redis.call('GET', 'k') == '1' and n < 3e6 do n = n + 1 end return redis.call('INCR', 'k')";
    sends(&mut looping, &["EVAL", writes, "0"]);
    wait_for("it can't be killed", LONG, || {
        client
            .call(&["SCRIPT", "KILL"])
            .text()
            .starts_with("UNKILLABLE")
    });
    assert_eq!(looping.read().int(), Some(2));
    assert_eq!(client.call(&["GET", "k"]).text(), "2");
}

/// A long script is a unit on replicas, wakes who waits for what it filled, and its writes are waited for by WAIT.
#[test]
fn a_long_script_ends_as_a_short_one_does() {
    let server = Server::understudy();
    let replica = ServerOptions::new(Make::Redis)
        .replica_of(server.port)
        .start();
    replica.wait_synced(LONG);
    let (mut waiting, mut client) = (server.client(), server.client());
    sends(&mut waiting, &["BLPOP", "list", "0"]);
    wait_for("it waits", LONG, || server.info("blocked_clients") == "1");
    let script = "for i = 1, 20000 do redis.call('INCR', KEYS[1]) end redis.call('RPUSH', 'list', 'x', 'y') return redis.call('LLEN', 'list')";
    assert_eq!(eval(&mut client, script, &["1", "n"]).int(), Some(2));
    assert_eq!(client.call(&["WAIT", "1", "60000"]).int(), Some(1));
    let popped = waiting.read();
    assert_eq!(popped.strings(), [b"list".to_vec(), b"x".to_vec()]);
    wait_for("the replica has it all", LONG, || {
        replica.call(&["LLEN", "list"]).int() == Some(1)
    });
    assert_eq!(replica.call(&["GET", "n"]).text(), "20000");
    assert_eq!(replica.digest(), server.digest());
}

/// EXEC is judged by the flags that the queued scripts have given themselves.
#[test]
fn a_transaction_has_the_flags_of_its_scripts() {
    for make in [Make::Redis, Make::Understudy] {
        let server = ServerOptions::new(make).start();
        let queue = |script: &str| {
            let mut client = server.client();
            client.call(&["MULTI"]);
            assert_eq!(eval(&mut client, script, &["0"]).text(), "QUEUED");
            client
        };
        let mut writes = queue("#!lua\nreturn 1");
        let mut reads = queue("#!lua flags=no-writes\nreturn 1");
        let mut old = queue("return redis.call('SET', 'k', 'v')");
        server.call(&["REPLICAOF", "127.0.0.1", "1"]);
        let refused = writes.call(&["EXEC"]).text();
        let reason = "EXECABORT Transaction discarded because of: READONLY ";
        assert!(refused.starts_with(reason), "{make:?}: {refused}");
        assert_eq!(
            reads.call(&["EXEC"]),
            RawReply::Array(vec![RawReply::Int(1)])
        );
        let replies = old.call(&["EXEC"]);
        let refused = replies.elements().expect("one reply")[0].text();
        assert!(refused.starts_with("READONLY You can't write"), "{refused}");
    }
}

/// In a script and in a transaction time stands still, as from Redis 7.2 on.
#[test]
fn time_stands_still_in_a_unit() {
    let server = Server::understudy();
    let mut client = server.client();
    let script = "local a = redis.call('TIME') local n = 0 while n < 1000000 do n = n + 1 end local b = redis.call('TIME') return {a[1] .. a[2], b[1] .. b[2]}";
    let reply = eval(&mut client, script, &["0"]);
    let times = reply.strings();
    assert_eq!(times[0], times[1]);
    let later = eval(&mut client, script, &["0"]);
    assert_ne!(later.strings()[0], times[0]);
    client.call(&["MULTI"]);
    client.call(&["TIME"]);
    client.call(&["EVAL", script, "0"]);
    client.call(&["TIME"]);
    let reply = client.call(&["EXEC"]);
    let replies = reply.elements().expect("three replies");
    assert_eq!(replies[0], replies[2]);
    assert_eq!(replies[0].strings().concat(), replies[1].strings()[0]);
}

/// One that takes long answers in what its client speaks.
#[test]
fn a_long_script_answers_in_resp3() {
    let (redis, ours) = (Server::redis(), Server::understudy());
    let script = "redis.setresp(3) for i = 1, 30000 do redis.call('INCR', 'n') end return {false, true, {double=1.5}, redis.call('GET', 'none'), redis.call('HGETALL', 'none')}";
    for in_multi in [false, true] {
        let mut replies = Vec::new();
        for server in [&redis, &ours] {
            let mut client = server.client3();
            if in_multi {
                client.call(&["MULTI"]);
            }
            let mut reply = eval(&mut client, script, &["0"]);
            if in_multi {
                reply = client.call(&["EXEC"]);
            }
            replies.push(reply);
        }
        assert_eq!(replies[0], replies[1]);
    }
}

#[test]
fn the_node_ends_though_a_script_runs() {
    let mut server = Server::understudy();
    let mut looping = server.client();
    sends(
        &mut looping,
        &["EVAL", "while true do pcall(error) end", "0"],
    );
    let mut client = server.client();
    wait_for("it runs", LONG, || {
        client
            .call(&["FUNCTION", "STATS"])
            .text()
            .starts_with("BUSY")
    });
    sends(&mut client, &["SHUTDOWN", "NOSAVE"]);
    assert_eq!(server.wait_exit(), Some(0));
}

const LIBRARY: &str = "#!lua name=lib\n\
    local function get(keys, args) return redis.call('GET', keys[1]) end\n\
    redis.register_function('put', function(keys, args) return redis.call('SET', keys[1], args[1]) end)\n\
    redis.register_function{function_name='get', callback=get, flags={'no-writes'}, description='reads'}\n";

#[test]
fn functions_answer_as_redis_does() {
    let (redis, ours) = (Server::redis(), Server::understudy());
    let (mut theirs, mut mine) = (redis.client(), ours.client());
    let bodies = [
        "redis.register_function('f', function() return x end)",
        "redis.register_function('f')",
        "redis.register_function('f', 1)",
        "redis.register_function('f-g', function() end)",
        "redis.call('PING')",
        "return math.random()",
        "x = 1",
        "error('no')",
        "nonsense(",
        "",
        "redis.register_function{function_name='f', callback=function() end, flags={'no-such'}}",
        "redis.register_function{name='f'}",
    ];
    let mut commands: Vec<Vec<String>> = Vec::new();
    let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    commands.push(words(&["FUNCTION", "LOAD", LIBRARY]));
    commands.push(words(&["FUNCTION", "LOAD", LIBRARY]));
    commands.push(words(&["FUNCTION", "LOAD", "REPLACE", LIBRARY]));
    commands.push(words(&["FCALL", "put", "1", "k", "v"]));
    commands.push(words(&["FCALL", "get", "1", "k"]));
    commands.push(words(&["FCALL", "GET", "1", "k"]));
    commands.push(words(&["FCALL_RO", "get", "1", "k"]));
    commands.push(words(&["FCALL_RO", "put", "1", "k", "v"]));
    commands.push(words(&["FCALL", "none", "0"]));
    commands.push(words(&["FCALL", "get", "x"]));
    commands.push(words(&["FCALL", "get", "2", "k"]));
    commands.push(words(&["FCALL", "get", "-1"]));
    for (n, body) in bodies.iter().enumerate() {
        let text = format!("#!lua name=bad{n}\n{body}");
        commands.push(words(&["FUNCTION", "LOAD", &text]));
    }
    for text in [
        "x",
        "#!lua name=a",
        "#!js name=a\nx",
        "#!lua\nx",
        "#!lua name=lib2\nredis.register_function('get', function() end)",
    ] {
        commands.push(words(&["FUNCTION", "LOAD", text]));
    }
    commands.push(words(&["FCALL", "f", "0"]));
    commands.push(words(&["FUNCTION", "STATS"]));
    commands.push(words(&["FUNCTION", "DELETE", "bad0"]));
    commands.push(words(&["FUNCTION", "DELETE", "none"]));
    commands.push(words(&["FUNCTION", "LIST", "LIBRARYNAME"]));
    commands.push(words(&["FUNCTION", "LIST", "x"]));
    commands.push(words(&["FUNCTION", "KILL"]));
    commands.push(words(&["FUNCTION", "FLUSH", "x"]));
    commands.push(words(&["FUNCTION", "RESTORE", "x"]));
    for command in &commands {
        let (want, got) = (theirs.call(command), mine.call(command));
        assert_eq!(got, want, "{command:?}");
    }
    // Payloads go both ways.
    let payload = theirs.call(&["FUNCTION", "DUMP"]);
    let payload = payload.bytes().expect("a payload").to_vec();
    let restore: &[&[u8]] = &[b"FUNCTION", b"RESTORE", &payload, b"FLUSH"];
    assert_eq!(mine.call(restore).text(), "OK");
    assert_eq!(mine.call(&["FCALL", "get", "1", "k"]).text(), "v");
    let payload = mine.call(&["FUNCTION", "DUMP"]);
    let payload = payload.bytes().expect("a payload").to_vec();
    let restore: &[&[u8]] = &[b"FUNCTION", b"RESTORE", &payload, b"REPLACE"];
    assert_eq!(theirs.call(restore).text(), "OK");
    assert_eq!(theirs.call(&["FCALL", "get", "1", "k"]).text(), "v");
}

/// Functions live through a restart, a full sync and the stream.
#[test]
fn functions_are_part_of_the_dataset() {
    let mut server = Server::understudy();
    server.call(&["FUNCTION", "LOAD", LIBRARY]);
    server.call(&["SET", "k", "v"]);
    server.shut_down(true);
    server.restart(None);
    assert_eq!(server.call(&["FCALL", "get", "1", "k"]).text(), "v");
    for make in [Make::Understudy, Make::Redis] {
        let replica = ServerOptions::new(make).replica_of(server.port).start();
        replica.wait_synced(LONG);
        assert_eq!(replica.call(&["FCALL_RO", "get", "1", "k"]).text(), "v");
        server.call(&["FUNCTION", "DELETE", "lib"]);
        wait_for("it is deleted there", LONG, || {
            replica.call(&["FCALL_RO", "get", "1", "k"]).text() == "ERR Function not found"
        });
        server.call(&["FUNCTION", "LOAD", LIBRARY]);
        wait_for("it is there again", LONG, || {
            replica.call(&["FCALL_RO", "get", "1", "k"]).text() == "v"
        });
    }
}

/// A client that makes a new script for each call fills no memory.
#[test]
fn many_scripts_take_little_memory() {
    let server = Server::understudy();
    let mut client = server.client();
    let run = |client: &mut RespClient, from: u32| {
        for n in from..from + 3000 {
            let script = format!("return {n}");
            assert_eq!(eval(client, &script, &["0"]).int(), Some(i64::from(n)));
        }
    };
    run(&mut client, 0);
    assert_eq!(server.info("number_of_cached_scripts"), "500");
    let lua = || {
        server
            .info("used_memory_vm_eval")
            .parse::<u64>()
            .expect("a number")
    };
    let before = lua();
    run(&mut client, 3000);
    assert!(lua() < before + (1 << 20), "{before} {}", lua());
    let began = Instant::now();
    let grows = "local t = {} while true do t[#t + 1] = string.rep('x', 1000) .. #t end";
    server.call(&["CONFIG", "SET", "script-memory-limit", "16mb"]);
    let ended = eval(&mut client, grows, &["0"]).text();
    assert!(
        ended.contains("not enough memory"),
        "{ended} {:?}",
        began.elapsed()
    );
    assert_eq!(eval(&mut client, "return 1", &["0"]).int(), Some(1));
}

#[test]
fn info_shows_what_scripts_hold_without_garbage() {
    let server = Server::understudy();
    let mut client = server.client();
    for _ in 0..2000 {
        let text = "local t = {} for i = 1, 20 do t[i] = {KEYS[1], i} end return redis.call('INCR', KEYS[1])";
        eval(&mut client, text, &["1", "x"]);
    }
    let used = server.info("used_memory_lua");
    assert!(used.parse::<u64>().expect("a number") < 100 << 10, "{used}");
}
