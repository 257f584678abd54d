//! Scripts through all of dispatch, without a server.

use crate::command::context::bench::Bench;
use crate::command::dispatch::{self, Outcome};
use crate::command::{Context, Effects};
use crate::config::Settings;
use crate::keyspace::Entered;
use crate::resp::Reply;
use crate::script::cache::Learned;
use crate::script::running::Kind;
use crate::script::sha::Sha;
use crate::session::Origin;

/// Runs a command to its end: its reply with lines joined by spaces, and how often it began.
fn run(bench: &mut Bench, args: &[&[u8]]) -> (String, u32) {
    let mut reply = Reply::new(bench.session.resp());
    let mut effects = Effects::default();
    let settings = bench.node.settings.load_full();
    let (node, session) = (&bench.node, &mut bench.session);
    let mut begun = 0;
    let mut keys: Option<Entered<'_>> = None;
    loop {
        let mut ctx = Context::new(node, &settings, session, &mut reply, &mut effects);
        if let Some(keys) = keys.take() {
            ctx.set_keys(keys);
        }
        begun += 1;
        let outcome = dispatch::run(&mut ctx, args);
        ctx.finish();
        match outcome {
            Outcome::Busy(set) => keys = node.keyspace.try_enter(set),
            _ => break,
        }
    }
    let text = reply.take().into_bytes().escape_ascii().to_string();
    let text = text.replace("\\'", "'").replace("\\r\\n", " ");
    (text.trim_end().to_owned(), begun)
}

fn eval(bench: &mut Bench, script: &str, args: &[&str]) -> String {
    let mut all: Vec<&[u8]> = vec![b"EVAL", script.as_bytes()];
    all.extend(args.iter().map(|arg| arg.as_bytes()));
    run(bench, &all).0
}

#[test]
fn values_become_replies() {
    let mut bench = Bench::new();
    for (script, reply) in [
        ("return 1", ":1"),
        ("return 3.99", ":3"),
        ("return 'hello'", "$5 hello"),
        ("return true", ":1"),
        ("return false", "$-1"),
        ("return nil", "$-1"),
        ("return {1,2,{3,'x',nil,4}}", "*3 :1 :2 *2 :3 $1 x"),
        ("return {ok='fine\\r\\n'}", "+fine"),
        ("return {err='MY error\\r\\nx'}", "-MY error  x"),
        ("return redis.status_reply('x')", "+x"),
        ("return redis.error_reply('MY x')", "-MY x"),
        ("return redis.error_reply('-x')", "-ERR x"),
        ("return {double=3.5}", "$3 3.5"),
        ("return {map={a=1}}", "*2 $1 a :1"),
        (
            "return redis.sha1hex('')",
            "$40 da39a3ee5e6b4b0d3255bfef95601890afd80709",
        ),
        ("return redis.call", "$-1"),
        ("return 1e300", ":-9223372036854775808"),
    ] {
        let got = eval(&mut bench, script, &["0"]);
        assert_eq!(got.trim_end(), reply, "{script}");
    }
}

#[test]
fn what_is_nested_without_end_is_bounded() {
    let mut bench = Bench::new();
    let reply = eval(&mut bench, "local a = {} a[1] = a return a", &["0"]);
    assert!(reply.starts_with("*1 *1 *1 "), "{reply}");
    assert!(reply.ends_with("-ERR reached lua stack limit"), "{reply}");
    // A buffer in C for each level.
    let nested = "local function f(s) return string.gsub(s, '.', f) end return pcall(f, 'x')";
    assert_eq!(eval(&mut bench, nested, &["0"]), "$-1");
}

/// As many arguments as Lua's stack holds, numbers among them.
#[test]
fn a_full_stack_of_arguments_is_taken() {
    let mut bench = Bench::new();
    for count in [7000, 7990, 7999] {
        let script = format!(
            "local a = {{}} for i = 1, {count} do a[i] = i end local ok = pcall(redis.call, 'DEL', unpack(a)) return ok or 1"
        );
        assert_eq!(eval(&mut bench, &script, &["0"]), ":1", "{count}");
    }
}

#[test]
fn commands_are_called() {
    let mut bench = Bench::new();
    let set = "return redis.call('SET', KEYS[1], ARGV[1])";
    assert_eq!(eval(&mut bench, set, &["1", "k", "v"]), "+OK");
    let get = "return redis.call('GET', KEYS[1])";
    assert_eq!(eval(&mut bench, get, &["1", "k"]), "$1 v");
    assert_eq!(eval(&mut bench, get, &["1", "none"]), "$-1");
    let incr = "redis.call('INCR', KEYS[1]) return redis.call('INCRBY', KEYS[1], 10)";
    assert_eq!(eval(&mut bench, incr, &["1", "n"]), ":11");
    let sha = Sha::of(get.as_bytes()).to_string();
    let (reply, _) = run(
        &mut bench,
        &[b"EVALSHA", sha.to_uppercase().as_bytes(), b"1", b"k"],
    );
    assert_eq!(reply, "$1 v");
    let none = [b'a'; 40];
    let (reply, _) = run(&mut bench, &[b"EVALSHA", &none, b"0"]);
    assert_eq!(reply, "-NOSCRIPT No matching script. Please use EVAL.");
}

/// A script of the master's stream goes on where it is, and can't be ended; others are told that it is slow.
#[test]
fn a_slow_script_of_the_master_is_known_as_one() {
    let settings = Settings {
        busy_reply_threshold_ms: 20,
        ..Settings::default()
    };
    let Bench {
        node,
        mut session,
        clock,
    } = Bench::with(settings);
    session.origin = Origin::Master;
    std::thread::scope(|scope| {
        let looping = scope.spawn(|| {
            let mut bench = (Reply::new(session.resp()), Effects::default());
            let settings = node.settings.load_full();
            let mut ctx = Context::new(&node, &settings, &mut session, &mut bench.0, &mut bench.1);
            let script: &[u8] = b"while true do redis.call('GET', 'k') end";
            dispatch::run(&mut ctx, &[b"EVAL", script, b"0"]);
            ctx.finish();
        });
        let all = node.keyspace.all();
        while node.scripts.running.slow_in(all).is_none() {
            clock.advance_ms(1);
            std::thread::yield_now();
        }
        assert_eq!(node.scripts.running.slow_in(all), Some(Kind::Eval));
        let refused = node.scripts.running.kill(Kind::Eval).unwrap_err();
        assert!(refused.starts_with("UNKILLABLE The busy script was sent by a master"));
        node.lifecycle.close(0, None);
        looping.join().expect("no panic");
    });
    assert_eq!(node.scripts.running.slow_in(node.keyspace.all()), None);
}

/// A call that names no script enters nothing, whatever keys it has.
#[test]
fn a_call_of_no_script_may_have_many_keys() {
    let settings = Settings {
        shards: 64,
        ..Settings::default()
    };
    let mut bench = Bench::with(settings);
    let none = [b'a'; 40];
    let mut args: Vec<&[u8]> = vec![b"EVALSHA", &none, b"20"];
    args.resize(3 + 20, b"k");
    let (reply, _) = run(&mut bench, &args);
    assert_eq!(reply, "-NOSCRIPT No matching script. Please use EVAL.");
    let mut args: Vec<&[u8]> = vec![b"FCALL", b"none", b"20"];
    args.resize(3 + 20, b"k");
    let (reply, _) = run(&mut bench, &args);
    assert_eq!(reply, "-ERR Function not found");
}

#[test]
fn errors_are_worded_as_redis_words_them() {
    let mut bench = Bench::new();
    eval(&mut bench, "return redis.call('SET', 's', 'x')", &["0"]);
    let sha = |script: &str| Sha::of(script.as_bytes()).to_string();
    for (script, error) in [
        (
            "return redis.call('LPUSH', 's', 'x')",
            "-WRONGTYPE Operation against a key holding the wrong kind of value script: {}, on @user_script:1.",
        ),
        (
            "return redis.pcall('LPUSH', 's', 'x')",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
        (
            "return redis.call('nosuch')",
            "-ERR Unknown Redis command called from script script: {}, on @user_script:1.",
        ),
        (
            "return redis.call('get')",
            "-ERR Wrong number of args calling Redis command from script script: {}, on @user_script:1.",
        ),
        (
            "return redis.call('multi')",
            "-ERR This Redis command is not allowed from script script: {}, on @user_script:1.",
        ),
        (
            "return redis.call()",
            "-ERR Please specify at least one argument for this redis lib call script: {}, on @user_script:1.",
        ),
        (
            "return redis.call({})",
            "-ERR Lua redis lib command arguments must be strings or integers script: {}, on @user_script:1.",
        ),
        (
            "\n\nerror('boom')",
            "-ERR user_script:3: boom script: {}, on @user_script:3.",
        ),
        (
            "error({err='MINE x'})",
            "-MINE x script: {}, on @user_script:1.",
        ),
        (
            "return select(2, pcall(redis.call, 'nosuch'))",
            "$44 ERR Unknown Redis command called from script",
        ),
        (
            "return {",
            "-ERR Error compiling script (new function): user_script:1: unexpected symbol near '<eof>'",
        ),
        (
            "#!lua flags=x\nreturn 1",
            "-ERR Unexpected flag in script shebang: x",
        ),
    ] {
        let got = eval(&mut bench, script, &["0"]);
        assert_eq!(got, error.replace("{}", &sha(script)), "{script}");
    }
    for (args, error) in [
        (&["x"][..], "-ERR value is not an integer or out of range"),
        (
            &["1"],
            "-ERR Number of keys can't be greater than number of args",
        ),
        (&["-1"], "-ERR Number of keys can't be negative"),
    ] {
        assert_eq!(eval(&mut bench, "return 1", args), error);
    }
}

#[test]
fn read_only_scripts_do_not_write() {
    let mut bench = Bench::new();
    let script = b"return redis.call('SET', 'k', 'v')";
    let (reply, _) = run(&mut bench, &[b"EVAL_RO", script, b"0"]);
    assert!(
        reply.starts_with("-ERR Write commands are not allowed from read-only scripts."),
        "{reply}"
    );
    let flagged = "#!lua flags=no-writes\nreturn redis.call('SET', 'k', 'v')";
    let reply = eval(&mut bench, flagged, &["0"]);
    assert!(
        reply.starts_with("-ERR Write commands are not allowed from read-only scripts."),
        "{reply}"
    );
    let (reply, _) = run(&mut bench, &[b"EVAL_RO", b"#!lua\nreturn 1", b"0"]);
    assert_eq!(
        reply,
        "-ERR Can not execute a script with write flag using *_ro command."
    );
}

/// Which shards a script needs is learned by its runs; one that surprises before it had an effect begins anew, and one
/// that does after it gets them while it stays inside its own.
#[test]
fn shards_are_learned_and_surprises_begin_anew() {
    let settings = Settings {
        shards: 64,
        ..Settings::default()
    };
    let mut bench = Bench::with(settings);
    let script: &[u8] = b"local a = redis.call('GET', KEYS[1]) if ARGV[1] then return redis.call('SET', ARGV[1], 'x') end return a";
    let sha = Sha::of(script);
    let learned = |bench: &Bench| {
        let script = bench.node.scripts.cache.get(&sha);
        script.expect("it was run").reach.learned()
    };
    assert_eq!(run(&mut bench, &[b"EVAL", script, b"1", b"k"]).1, 1);
    assert_eq!(learned(&bench), Learned::DeclaredOnly);
    let (reply, begun) = run(&mut bench, &[b"EVAL", script, b"1", b"k", b"other"]);
    assert_eq!((reply.as_str(), begun), ("+OK", 2));
    assert_eq!(learned(&bench), Learned::Others);
    let (reply, begun) = run(&mut bench, &[b"EVAL", script, b"1", b"k", b"third"]);
    assert_eq!((reply.as_str(), begun), ("+OK", 1));
}

#[test]
fn a_surprise_after_an_effect_extends_what_is_entered() {
    let settings = Settings {
        shards: 64,
        ..Settings::default()
    };
    let mut bench = Bench::with(settings);
    let script: &[u8] = b"redis.call('SET', KEYS[1], 'x') if ARGV[1] then for i = 1, 100 do redis.call('INCR', ARGV[1] .. i) end end return redis.call('GET', KEYS[1])";
    run(&mut bench, &[b"EVAL", script, b"1", b"k"]);
    let (reply, begun) = run(&mut bench, &[b"EVAL", script, b"1", b"k", b"n"]);
    assert_eq!((reply.as_str(), begun), ("$1 x", 1));
    let all = bench.node.keyspace.all();
    assert!(bench.node.keyspace.try_enter(all).is_some(), "all are left");
    // Who finds the token taken has had no effect, and begins anew.
    let taken = super::token::Token::take(&super::runner::Runners::of(&bench.node).token);
    assert!(taken.is_some());
    let other: &[u8] = b"return redis.call('SET', KEYS[1], 'y')";
    run(&mut bench, &[b"EVAL", other, b"1", b"k"]);
    let (reply, begun) = run(&mut bench, &[b"EVAL", other, b"1", b"k"]);
    assert_eq!((reply.as_str(), begun), ("+OK", 2));
}

#[test]
fn a_script_has_a_session_of_its_own() {
    let mut bench = Bench::new();
    eval(
        &mut bench,
        "redis.call('SELECT', 3) redis.call('SET', 'k', 'v')",
        &["0"],
    );
    assert_eq!(bench.session.db, 0);
    assert_eq!(
        eval(&mut bench, "return redis.call('GET', 'k')", &["0"]),
        "$-1"
    );
    let script = "redis.setresp(3) return redis.call('HGETALL', 'h')";
    eval(&mut bench, "redis.call('HSET', 'h', 'f', 'v')", &["0"]);
    assert_eq!(eval(&mut bench, script, &["0"]), "*2 $1 f $1 v");
    let script = "return redis.call('HGETALL', 'h')";
    assert_eq!(eval(&mut bench, script, &["0"]), "*2 $1 f $1 v");
    let script = "redis.setresp(3) return redis.call('GET', 'none') == nil";
    assert_eq!(
        eval(&mut bench, script, &["0"]),
        "*0".replace("*0", "$-1").replace("$-1", ":1")
    );
}

#[test]
fn scripts_are_cached_and_forgotten() {
    let mut bench = Bench::new();
    let (sha, _) = run(&mut bench, &[b"SCRIPT", b"LOAD", b"return 1"]);
    assert_eq!(sha, "$40 e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    let sha = &sha.as_bytes()[4..];
    let other = [b'0'; 40];
    let exists: &[&[u8]] = &[b"SCRIPT", b"EXISTS", sha, &other, b"x"];
    assert_eq!(run(&mut bench, exists).0, "*3 :1 :0 :0");
    assert_eq!(run(&mut bench, &[b"EVALSHA", sha, b"0"]).0, ":1");
    let upper = sha.to_ascii_uppercase();
    for shown in [sha, &upper] {
        let (text, _) = run(&mut bench, &[b"SCRIPT", b"SHOW", shown]);
        assert_eq!(text, "$8 return 1");
    }
    let (none, _) = run(&mut bench, &[b"SCRIPT", b"SHOW", &other]);
    assert_eq!(none, "-NOSCRIPT No matching script.");
    assert_eq!(run(&mut bench, &[b"SCRIPT", b"FLUSH"]).0, "+OK");
    assert_eq!(run(&mut bench, exists).0, "*3 :0 :0 :0");
    let (reply, _) = run(&mut bench, &[b"EVALSHA", sha, b"0"]);
    assert!(reply.starts_with("-NOSCRIPT"), "{reply}");
    let (reply, _) = run(&mut bench, &[b"SCRIPT", b"FLUSH", b"x"]);
    assert_eq!(reply, "-ERR SCRIPT FLUSH only support SYNC|ASYNC option");
    let (reply, _) = run(&mut bench, &[b"SCRIPT", b"KILL"]);
    assert_eq!(reply, "-NOTBUSY No scripts in execution right now.");
}

#[test]
fn scripts_inside_transactions() {
    let mut bench = Bench::new();
    let mut say = |args: &[&[u8]]| run(&mut bench, args).0;
    say(&[b"MULTI"]);
    assert_eq!(
        say(&[b"SCRIPT", b"LOAD", b"return redis.call('INCR', 'n')"]),
        "+QUEUED"
    );
    assert_eq!(
        say(&[b"EVAL", b"return redis.call('INCR', 'n')", b"0"]),
        "+QUEUED"
    );
    assert_eq!(say(&[b"EVAL", b"redis.call('NO')", b"0"]), "+QUEUED");
    let reply = say(&[b"EXEC"]);
    assert!(reply.starts_with("*3 $40 "), "{reply}");
    assert!(reply.contains(" :1 -ERR Unknown Redis command"), "{reply}");
}

/// Runs commands as a pipeline's, with one context: their replies, with lines joined by spaces.
fn pipeline(bench: &mut Bench, commands: &[&[&[u8]]]) -> String {
    let mut reply = Reply::new(bench.session.resp());
    let mut effects = Effects::default();
    let settings = bench.node.settings.load_full();
    let (node, session) = (&bench.node, &mut bench.session);
    let mut ctx = Context::new(node, &settings, session, &mut reply, &mut effects);
    for args in commands {
        while let Outcome::Busy(set) = dispatch::run(&mut ctx, args) {
            dispatch::release(&mut ctx);
            ctx.set_keys(node.keyspace.try_enter(set).expect("nobody is inside"));
        }
    }
    ctx.finish();
    let text = reply.take().into_bytes().escape_ascii().to_string();
    let text = text.replace("\\'", "'").replace("\\r\\n", " ");
    text.trim_end().to_owned()
}

#[test]
fn a_transaction_runs_the_scripts_that_it_has_queued() {
    let mut bench = Bench::new();
    let replies = pipeline(
        &mut bench,
        &[
            &[b"MULTI"],
            &[b"EVAL", b"return 1", b"0"],
            &[b"EVAL", b"return 2", b"0"],
            &[b"EVAL", b"return 3", b"x"],
            &[b"EXEC"],
        ],
    );
    let queued = "+QUEUED +QUEUED +QUEUED";
    let error = "-ERR value is not an integer or out of range";
    assert_eq!(replies, format!("+OK {queued} *3 :1 :2 {error}"));
}

#[test]
fn a_refused_script_is_not_run_by_the_next_transaction() {
    let mut bench = Bench::new();
    let replies = pipeline(
        &mut bench,
        &[
            &[b"FUNCTION", b"LOAD", b"#!lua name=l\nredis.register_function('f', function() return 1 end)\nredis.register_function('g', function() return 2 end)"],
            &[b"FCALL", b"f"],
            &[b"MULTI"],
            &[b"FCALL", b"f", b"0"],
            &[b"FCALL", b"G", b"0"],
            &[b"EXEC"],
        ],
    );
    let error = "-ERR wrong number of arguments for 'fcall' command";
    assert_eq!(
        replies,
        format!("$1 l {error} +OK +QUEUED +QUEUED *2 :1 :2")
    );
}
