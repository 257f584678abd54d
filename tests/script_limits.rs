//! What scripts meet at their limits: size, recursion, memory, and how many there are.
//!
//! `DISTINCT_SCRIPTS` (100,000) sets how many different ones a client makes.

mod common;

use common::{LONG, Make, RawReply, RespClient, Server, ServerOptions, setting, wait_for};

const TEN_MB: usize = 10 << 20;

fn eval(client: &mut RespClient, script: &str) -> RawReply {
    client.call(&["EVAL", script, "0"])
}

/// Scripts and libraries of 10 MB, of one text and of many statements, are taken and answered as in Redis.
#[test]
fn scripts_of_ten_megabytes() {
    let (redis, ours) = (Server::redis(), Server::understudy());
    let (mut theirs, mut mine) = (redis.client(), ours.client());
    let text = format!("return #'{}'", "x".repeat(TEN_MB));
    let statement = "local x = redis.call('INCR', KEYS[1]) if x > 1 then return x end ";
    let statements = format!("do {}", statement).repeat(150_000);
    let many = "x = KEYS[1] .. '1' ".repeat(TEN_MB / 19);
    let comment = format!("--{}\nreturn 1", "-".repeat(TEN_MB));
    let deep = format!("return {}1{}", "(".repeat(TEN_MB), ")".repeat(TEN_MB));
    let library = format!(
        "#!lua name=large\nredis.register_function('f', function() return #'{}' end)",
        "x".repeat(TEN_MB)
    );
    for script in [&text, &statements, &many, &comment, &deep] {
        let command = ["EVAL", script, "1", "k"];
        let (want, got) = (theirs.call(&command), mine.call(&command));
        assert_eq!(got, want, "{}", &script[..60]);
        let command = ["SCRIPT", "LOAD", script];
        let (want, got) = (theirs.call(&command), mine.call(&command));
        assert_eq!(got, want, "{}", &script[..60]);
    }
    for command in [
        &["FUNCTION", "LOAD", &library][..],
        &["FCALL", "f", "0"],
        &["FUNCTION", "DELETE", "large"],
        &["SCRIPT", "FLUSH"],
    ] {
        let (want, got) = (theirs.call(command), mine.call(command));
        assert_eq!(got, want, "{}", command[0]);
    }
    assert_eq!(ours.digest(), redis.digest());
}

/// Everything that can call itself, 250 deep and as deep as it goes.
#[test]
fn recursion_ends_where_it_ends_in_redis() {
    let (redis, ours) = (Server::redis(), Server::understudy());
    let (mut theirs, mut mine) = (redis.client(), ours.client());
    for script in [
        "local function f(n) if n == 0 then return 0 end return 1 + f(n - 1) end return f(250)",
        "local function f(n) if n == 0 then return 'deep' end return select(2, pcall(f, n - 1)) end return f(250)",
        "local d = 0 local function f(n) d = math.max(d, n) pcall(f, n + 1) end f(1) return d",
        "local d = 0 local function f(n) d = math.max(d, n) xpcall(function() return f(n + 1) end, function(e) return e end) end f(1) return d",
        "local d = 0 local function f(n) d = math.max(d, n) pcall(string.gsub, 'x', 'x', function() f(n + 1) end) end f(1) return d",
        "local function f(n) if n == 0 then return 'z' end return (string.gsub('x', 'x', function() return f(n - 1) end)) end return f(250)",
        "local d = 0 local function f(n) d = math.max(d, n) coroutine.wrap(f)(n + 1) end return {pcall(f, 1), d}",
        "local d = 0 local function f(n) d = math.max(d, n) pcall(table.sort, {2, 1}, function(a, b) f(n + 1) return a < b end) end f(1) return d",
        "local d = 0 local function f() d = d + 1 return 1 + f() end pcall(f) return d",
        "local function f() return 1 + f() end return {pcall(f)}",
        "local function f() return 1 + f() end return f()",
        "return {loadstring('return ' .. ('('):rep(250) .. '1' .. (')'):rep(250))}",
        "local m = 0 for n = 1, 260 do if loadstring('return ' .. ('('):rep(n) .. '1' .. (')'):rep(n)) then m = n end end return m",
        "local m = 0 for n = 1, 260 do if loadstring(('do '):rep(n) .. (' end'):rep(n)) then m = n end end return m",
        "local m = 0 for n = 1, 260 do if loadstring(('return function() '):rep(n) .. (' end'):rep(n)) then m = n end end return m",
        "local m = 0 for n = 1, 260 do if loadstring('return ' .. ('1 ..'):rep(n) .. '1') then m = n end end return m",
        "local t = {} for i = 1, 250 do t = {t} end return t",
        "local t = {} for i = 1, 250 do t = {t} end return cjson.encode(t)",
        "return {pcall(cjson.decode, ('['):rep(1001) .. (']'):rep(1001))}",
        "local t = {} for i = 1, 250 do t = {t} end return cmsgpack.pack(t)",
        "local t = {} for i = 1, 250 do t = setmetatable({}, {__index = t}) end return t.x",
        "local t = {} for i = 1, 250 do local u = t t = setmetatable({}, {__index = function(_, k) return u[k] end}) end return t.x",
        "local t = {} for i = 1, 250 do local u = t t = setmetatable({}, {__tostring = function() return tostring(u) end}) end return #tostring(t)",
        "local m = 0 for n = 7980, 8010 do if pcall(function() return select('#', unpack({}, 1, n)) end) then m = n end end return m",
    ] {
        let (want, got) = (eval(&mut theirs, script), eval(&mut mine, script));
        assert_eq!(got, want, "{script}");
    }
    // These end a redis-server 7.
    let none = eval(&mut mine, "error({})").text();
    assert!(none.starts_with("ERR unknown error script: "), "{none}");
    let none = eval(&mut mine, "error(setmetatable({}, {__tostring = error}))").text();
    assert!(none.starts_with("ERR unknown error script: "), "{none}");
}

/// A client that makes a new script for each call fills no memory, and throws none out that SCRIPT LOAD has brought.
#[test]
fn many_different_scripts_take_little_memory() {
    let server = Server::understudy();
    let mut client = server.client();
    let loaded: Vec<String> = (0..100)
        .map(|n| {
            let script = format!("return 'loaded {n}'");
            client.call(&["SCRIPT", "LOAD", &script]).text()
        })
        .collect();
    let count: usize = setting("DISTINCT_SCRIPTS", 100_000);
    let number = |field: &str| server.info(field).parse::<u64>().expect("a number");
    let memory = || number("used_memory_scripts_eval") + number("used_memory_vm_eval");
    let mut early = 0;
    for from in (0..count).step_by(1000) {
        let commands: Vec<_> = (from..from + 1000)
            .map(|n| vec!["EVAL".into(), format!("return {n}"), "0".into()])
            .collect();
        for (n, reply) in (from..).zip(client.pipeline(&commands)) {
            assert_eq!(reply.int(), Some(n as i64));
        }
        if from == 5000 {
            early = memory();
        }
    }
    assert_eq!(server.info("number_of_cached_scripts"), "600");
    assert_eq!(number("evicted_scripts"), (count - 500) as u64);
    let late = memory();
    assert!(late < early + (256 << 10), "{early} then, {late} now");
    for sha in &loaded {
        assert!(!client.call(&["EVALSHA", sha, "0"]).is_error());
    }
}

/// Where Lua's memory ends in the middle of a script that writes, what it has written stays, and reaches replicas as one
/// unit, as any error's does.
#[test]
fn memory_may_end_between_writes() {
    let server = ServerOptions::new(Make::Understudy)
        .with("script-memory-limit", "16mb")
        .start();
    let replica = |make| {
        let replica = ServerOptions::new(make).replica_of(server.port).start();
        replica.wait_synced(LONG);
        replica
    };
    let replicas = [replica(Make::Redis), replica(Make::Understudy)];
    let mut client = server.client();
    let grows = "local t = {} for i = 1, 1e9 do redis.call('INCR', KEYS[1]) t[i] = ('x'):rep(1000) .. i redis.call('RPUSH', KEYS[2], i) end";
    let caught = "local t = {} for i = 1, 1e9 do redis.call('INCR', KEYS[1]) local ok, e = pcall(function() t[i] = ('y'):rep(100000) .. i end) if not ok then t = nil redis.call('SET', KEYS[2], tostring(e)) return 1 end end";
    let reads = "redis.call('SET', KEYS[1], ('z'):rep(3000000)) local t = {} for i = 1, 100 do t[i] = redis.call('GET', KEYS[1]) .. i end";
    let said = client.call(&["EVAL", grows, "2", "n", "l"]).text();
    assert!(said.starts_with("ERR not enough memory script: "), "{said}");
    assert_eq!(client.call(&["EVAL", caught, "2", "m", "e"]).int(), Some(1));
    let said = client.call(&["GET", "e"]).text();
    assert!(said.contains("not enough memory"), "{said}");
    let said = client.call(&["EVAL", reads, "1", "z"]).text();
    assert!(said.contains("not enough memory"), "{said}");
    // Inside a transaction as well, which goes on.
    client.call(&["MULTI"]);
    client.call(&["EVAL", grows, "2", "n2", "l2"]);
    client.call(&["SET", "after", "1"]);
    let results = client.call(&["EXEC"]);
    let results = results.elements().expect("EXEC's replies");
    assert!(
        results[0].text().contains("not enough memory"),
        "{results:?}"
    );
    assert_eq!(results[1].text(), "OK");

    assert_eq!(client.call(&["WAIT", "2", "60000"]).int(), Some(2));
    let counted = client.call(&["GET", "n"]).text();
    assert!(counted.parse::<u64>().is_ok_and(|n| n > 1000), "{counted}");
    for replica in &replicas {
        wait_for("the replica has it all", LONG, || {
            replica.call(&["GET", "after"]).text() == "1"
        });
        assert_eq!(replica.call(&["GET", "n"]).text(), counted);
        assert_eq!(replica.digest(), server.digest());
    }
    assert_eq!(eval(&mut client, "return 1").int(), Some(1));
}

/// CVE-2021-32672: there is no debugger whose protocol could be spoken wrongly.
#[test]
fn there_is_no_debugger() {
    let server = Server::understudy();
    let mut client = server.client();
    for mode in ["YES", "SYNC", "NO", "yes"] {
        let said = client.call(&["SCRIPT", "DEBUG", mode]).text();
        assert!(
            said.starts_with("ERR SCRIPT DEBUG is not supported"),
            "{said}"
        );
    }
    client.send_raw(b"*2\r\n$100\r\nstep\r\n");
    client.send_raw(&[b'x'; 94]);
    client.send_raw(b"\r\n$4\r\nnext\r\n");
    client.flush();
    assert!(client.read().is_error());
    let script = "redis.debug('x', {}, 1) return {redis.breakpoint(), 1}";
    assert_eq!(
        eval(&mut client, script).elements().map(<[_]>::len),
        Some(2)
    );
}
