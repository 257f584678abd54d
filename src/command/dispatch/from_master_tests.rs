//! Streams of masters in which commands fail.

use std::collections::BTreeMap;
use std::task::Waker;

use super::*;
use crate::command::Effects;
use crate::command::context::bench::Bench;
use crate::config::Settings;
use crate::resp::Reply;

/// By database and key: the value as DUMP gives it, and the expiry.
type Contents = BTreeMap<(usize, Vec<u8>), (Vec<u8>, Option<i64>)>;

/// A replica, and what its master says.
struct Replica {
    bench: Bench,
}

impl Replica {
    fn new(policy: OnStreamError) -> Replica {
        let mut bench = Bench::with(Settings {
            replica_on_stream_error: policy,
            ..Settings::default()
        });
        bench.session.origin = Origin::Master;
        let hub = &bench.node.hub;
        hub.follow("master".into(), 6379);
        let clock = &*bench.node.clock;
        hub.take_up(
            crate::repl::ReplId::random(clock),
            1000,
            Some(0),
            None,
            clock,
        );
        Replica { bench }
    }

    fn say<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Ran {
        let args: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        let mut raw = Vec::new();
        wire::command(&mut raw, &args);
        let (mut reply, mut effects) = (Reply::default(), Effects::default());
        let node = &self.bench.node;
        let settings = node.settings.load_full();
        let session = &mut self.bench.session;
        let mut ctx = Context::new(node, &settings, session, &mut reply, &mut effects);
        let task = TaskContext::from_waker(Waker::noop());
        let FromMaster::Over(ran) = run(&mut ctx, &args, &raw, &task) else {
            panic!("nobody else is inside");
        };
        ctx.finish();
        if let Ran::Failed(_) = ran {
            // As the link does when it ends.
            self.bench.session.multi = None;
            self.bench.session.unlogged.clear();
            self.bench.session.db = 0;
        }
        ran
    }

    fn line(&mut self, line: &str) -> Ran {
        self.say(&line.split(' ').collect::<Vec<_>>())
    }

    /// Says lines that don't fail.
    fn lines(&mut self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.line(line), Ran::Done, "{line}");
        }
    }

    fn failure(&mut self, line: &str) -> StreamFailure {
        match self.line(line) {
            Ran::Failed(failure) => *failure,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn offset(&self) -> u64 {
        self.bench.node.hub.offset()
    }

    fn diverged(&self) -> Option<u64> {
        self.bench.node.hub.diverged()
    }

    /// Every key of every database, with its value and its expiry.
    fn contents(&mut self) -> Contents {
        let keyspace = &self.bench.node.keyspace;
        let entered = keyspace.enter(keyspace.all());
        let mut contents = BTreeMap::new();
        for shard in entered.iter() {
            for (db, table) in shard.dbs.iter().enumerate() {
                for entry in table.iter() {
                    let mut encoder = crate::rdb::writer::Encoder::new(false);
                    let value = crate::rdb::payload::write(&mut encoder, entry.value);
                    contents.insert((db, entry.key.to_vec()), (value, entry.expire_at));
                }
            }
        }
        contents
    }
}

const STOP: OnStreamError = OnStreamError::Stop;

#[test]
fn an_unknown_command_is_not_passed() {
    let mut replica = Replica::new(STOP);
    replica.lines(&["SET a 1"]);
    let end = replica.offset();
    let failure = replica.failure("VADD k VALUES 2 1 0 e");
    assert_eq!((failure.offset, failure.transaction), (end, None));
    let text = failure.to_string();
    assert!(
        text.contains(r#"VADD "k" "VALUES" "2" "1" (6 arguments): ERR unknown command"#),
        "{text}"
    );
    assert_eq!((replica.offset(), replica.diverged()), (end, None));
    // In a transaction: nothing of it runs.
    replica.lines(&["MULTI", "SELECT 3", "SET a 2"]);
    let failure = replica.failure("JSON.SET k $ 1");
    let before = ["MULTI", "SELECT 3", "SET a 2"]
        .map(|line| wire::length(&line.split(' ').collect::<Vec<_>>()));
    let at = end + before.iter().sum::<u64>();
    assert_eq!((failure.offset, failure.transaction), (at, Some(end)));
    assert_eq!(replica.bench.reply("GET a"), "$1 1");
    assert_eq!((replica.offset(), replica.diverged()), (end, None));
    // It goes on where it was.
    replica.lines(&["SET a 3"]);
    assert!(replica.offset() > end);
}

#[test]
fn what_names_a_key_is_told_by_it() {
    let mut replica = Replica::new(STOP);
    replica.lines(&["SET a 1", "MULTI", "SET b 1", "LPUSH a x", "SET c 1"]);
    let end = replica.offset();
    let failure = replica.failure("EXEC");
    let text = failure.to_string();
    assert!(text.contains(r#"LPUSH of key "a": WRONGTYPE"#), "{text}");
    let at = end + wire::length(&["MULTI"]) + wire::length(&["SET", "b", "1"]);
    assert_eq!((failure.offset, failure.transaction), (at, Some(end)));
    assert!(!failure.half_applied);
    assert_eq!(replica.bench.reply("EXISTS a b c"), ":1");
    let failure = replica.failure("EXEC");
    assert!(failure.to_string().contains("EXEC: ERR EXEC without MULTI"));
    let failure = replica.failure("SET a");
    assert!(failure.to_string().contains("wrong number of arguments"));
}

/// What is in the table, and what is not.
#[test]
fn errors_that_are_harmless() {
    let examples: &[(&str, &[&str])] = &[
        ("ping", &["PING", "a", "b"]),
        ("replconf", &["REPLCONF", "an-option-of-a-later-version"]),
        ("publish", &["PUBLISH", "channel"]),
        ("spublish", &["SPUBLISH", "channel"]),
        (
            "eval",
            &[
                "EVAL",
                "redis.call('incr', KEYS[1]); redis.call('lpush', KEYS[1], 1)",
                "1",
                "n",
            ],
        ),
        ("evalsha", &["EVALSHA", "SHA", "1", "n"]),
        ("get", &["GET", "list"]),
    ];
    for harmless in HARMLESS {
        assert!(!harmless.why.is_empty());
        for command in harmless.commands {
            assert!(
                examples.iter().any(|(name, _)| name == command),
                "{command}"
            );
        }
    }
    let mut replica = Replica::new(STOP);
    replica.lines(&["RPUSH list 1"]);
    let script = examples[4].1[1];
    let sha = replica
        .bench
        .run(&[b"SCRIPT", b"LOAD", script.as_bytes()])
        .0;
    let sha = sha.split(' ').nth(1).unwrap().to_owned();
    for (name, args) in examples {
        let args: Vec<&str> = args
            .iter()
            .map(|arg| if *arg == "SHA" { &sha } else { *arg })
            .collect();
        let (end, errors) = (
            replica.offset(),
            replica.bench.node.stats.unexpected_error_replies.get(),
        );
        let ran = replica.say(&args);
        // Some are refused by their number of arguments, before anything is known of the command.
        assert_eq!(ran, Ran::Done, "{name}");
        assert_eq!(replica.offset(), end + wire::length(&args));
        assert_eq!(
            replica.bench.node.stats.unexpected_error_replies.get(),
            errors + 1,
            "{name}"
        );
    }
    assert_eq!(replica.bench.reply("GET n"), "$1 2");
    // A script that did nothing here did something there.
    for script in [
        "redis.call('lpush', 'n', 1)",
        "return redis.call('vadd', 'n', 'VALUES', 1, 1, 'e')",
        "x(",
    ] {
        let failure = match replica.say(&["EVAL", script, "0"]) {
            Ran::Failed(failure) => failure,
            other => panic!("{script}: {other:?}"),
        };
        assert!(!failure.half_applied, "{script}");
    }
    let failure = replica.failure("EVALSHA ffffffffffffffffffffffffffffffffffffffff 0");
    assert!(failure.to_string().contains("NOSCRIPT"));
    assert_eq!(replica.diverged(), None);
    // One that goes on elsewhere after it has written is neither whole nor undone.
    let script = "redis.call('incr', 'n'); redis.call('vadd', 'n', 'VALUES', 1, 1, 'e')";
    let end = replica.offset();
    assert!(matches!(replica.say(&["EVAL", script, "1", "n"]), Ran::Failed(f) if f.half_applied));
    assert_eq!(replica.diverged(), Some(end));
}

#[test]
fn what_is_ignored_is_passed_over_and_makes_the_data_diverge() {
    let mut replica = Replica::new(OnStreamError::Ignore);
    replica.lines(&["SET a 1"]);
    let end = replica.offset();
    let unknown = wire::length(&["VADD", "k", "e"]);
    assert!(matches!(replica.line("VADD k e"), Ran::PassedOver(_)));
    assert_eq!(
        (replica.offset(), replica.diverged()),
        (end + unknown, Some(end))
    );
    // As in redis-server the others of a transaction run.
    replica.lines(&["MULTI", "SET b 1", "LPUSH a x", "SET c 1"]);
    assert!(
        matches!(replica.line("EXEC"), Ran::PassedOver(f) if f.transaction == Some(end + unknown))
    );
    assert_eq!(replica.bench.reply("EXISTS a b c"), ":3");
    assert_eq!(replica.diverged(), Some(end));
    // A transaction with an unknown command is nothing, as there.
    replica.lines(&["MULTI"]);
    assert!(matches!(replica.line("VADD k e"), Ran::PassedOver(_)));
    replica.lines(&["SET d 1"]);
    assert!(matches!(replica.line("EXEC"), Ran::PassedOver(_)));
    assert_eq!(replica.bench.reply("EXISTS d"), ":0");
    // Promoted, it shares no history with those that have all of it.
    let history = replica.bench.node.hub.history();
    replica.bench.node.hub.promote(&*replica.bench.clock);
    let now = replica.bench.node.hub.history();
    assert_eq!(
        (now.id2, replica.diverged()),
        (crate::repl::ReplId::ZERO, None)
    );
    assert_ne!(now.id, history.id);
}

#[test]
fn what_can_not_be_taken_back_is_said() {
    let long = "x".repeat(2 << 20);
    for first in [
        "FLUSHALL",
        "FLUSHDB",
        "SWAPDB 0 1",
        "EVAL return+redis.call('set','q',1) 0",
        "APPEND long y",
    ] {
        let mut replica = Replica::new(STOP);
        replica.lines(&["SET a 1", &format!("SET long {long}")]);
        let end = replica.offset();
        let first: Vec<String> = first
            .split(' ')
            .map(|word| word.replace('+', " "))
            .collect();
        replica.lines(&["MULTI"]);
        assert_eq!(replica.say(&first), Ran::Done);
        replica.lines(&["RPUSH a2 x", "INCR a2"]);
        let failure = replica.failure("EXEC");
        assert!(failure.half_applied, "{first:?}");
        assert!(failure.to_string().contains("could not be taken back"));
        assert_eq!(replica.diverged(), Some(end));
        assert_eq!(replica.offset(), end);
    }
}

/// Commands of a transaction that don't fail, whatever is there.
fn good(rng: &mut fastrand::Rng) -> String {
    let n = rng.u8(0..4);
    let m = rng.u8(0..4);
    match rng.u8(0..19) {
        0 => format!("SET s{n} {}", rng.u32(..)),
        1 => format!("APPEND t{n} {}", "x".repeat(rng.usize(1..200))),
        2 => format!("RPUSH l{n} a b {}", rng.u32(..)),
        3 => format!("LPOP l{n}"),
        4 => format!("SADD m{n} {} {}", rng.u8(..), rng.u8(..)),
        5 => format!("SREM m{n} {}", rng.u8(..)),
        6 => format!("HSET h{n} {} v", rng.u8(..)),
        7 => format!("ZADD z{n} {} {}", rng.u8(..), rng.u8(..)),
        8 => format!("DEL s{n} l{m} z{n}"),
        9 => format!("UNLINK h{n}"),
        10 => format!("PEXPIREAT m{n} {}", 1_900_000_000_000u64 + rng.u64(..1000)),
        11 => format!("PERSIST m{n}"),
        12 => format!("SELECT {}", rng.u8(0..3)),
        13 => format!("MOVE l{n} {}", rng.u8(3..6)),
        14 => format!("COPY h{n} h{m}x DB {} REPLACE", rng.u8(0..3)),
        15 => format!("SUNIONSTORE u{n} m{n} m{m}"),
        16 => format!("INCRBY i{n} {}", rng.u8(..)),
        17 => format!("LMOVE l{n} l{m} LEFT RIGHT"),
        _ => format!("SINTERSTORE u{n} m{n} m{m}"),
    }
}

#[test]
fn a_transaction_that_fails_leaves_everything_as_it_was() {
    let mut rng = fastrand::Rng::with_seed(3);
    let mut replica = Replica::new(STOP);
    replica.lines(&["HSET wrong f v"]);
    for n in 0..2000 {
        // Large ones share nodes with what is kept.
        if n == 500 {
            for n in 0..3000 {
                replica.lines(&[
                    &format!("RPUSH l1 element:{n}"),
                    &format!("ZADD z1 {n} member:{n}"),
                ]);
                replica.lines(&[
                    &format!("SADD m1 member:{n}"),
                    &format!("HSET h1 f{n} value"),
                ]);
            }
        }
        let (before, end) = (replica.contents(), replica.offset());
        let commands: Vec<String> = (0..rng.usize(0..8)).map(|_| good(&mut rng)).collect();
        let fails = rng.bool().then(|| rng.usize(0..=commands.len()));
        replica.lines(&["MULTI"]);
        for (at, command) in commands.iter().enumerate() {
            if fails == Some(at) {
                replica.lines(&["SELECT 0", "LPUSH wrong x"]);
            }
            replica.lines(&[command]);
        }
        if fails == Some(commands.len()) {
            replica.lines(&["SELECT 0", "LPUSH wrong x"]);
        }
        match (replica.line("EXEC"), fails) {
            (Ran::Done, None) => replica.lines(&["SELECT 0"]),
            (Ran::Failed(failure), Some(_)) => {
                assert!(!failure.half_applied, "{commands:?}");
                assert!(replica.contents() == before, "{commands:?}");
                assert_eq!(replica.offset(), end);
            }
            (ran, _) => panic!("{ran:?} {fails:?} {commands:?}"),
        }
    }
    assert_eq!(replica.diverged(), None);
}
