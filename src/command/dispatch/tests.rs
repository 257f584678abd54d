//! Commands through all of dispatch: its checks, and what observers see.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Wake, Waker};

use crate::clients::client::Client;
use crate::command::context::bench::Bench;
use crate::command::dispatch::waits;
use crate::command::dispatch::{self, Outcome};
use crate::command::keys::active_expire;
use crate::command::{Context, Effects};
use crate::config::Settings;
use crate::data::Kind;
use crate::keyspace::{ExpireBudget, Waiter};
use crate::resp::{Reply, Resp};
use crate::session::{Origin, Session};

fn done(reply: &str) -> (Outcome, String) {
    (Outcome::Done, reply.to_owned())
}

/// Passwords are hidden by what a command is, not by what it is called.
#[test]
fn secrets_of_renamed_commands_are_hidden() {
    let mut settings = Settings::default();
    let rename = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    settings.rename_command = vec![rename("auth", "open"), rename("set", "auth")];
    settings.slowlog_log_slower_than = 0;
    let mut bench = Bench::with(settings);
    bench.dispatch("open sesame");
    bench.dispatch("auth key value");
    let shown: Vec<_> = bench.node.slowlog.newest(9).into_iter().collect();
    let words = |n: usize| {
        let args: &[_] = &shown[n].args;
        let words: Vec<_> = args.iter().map(|a| String::from_utf8_lossy(a)).collect();
        words.join(" ")
    };
    assert_eq!(words(0), "auth key value");
    assert_eq!(words(1), "open (redacted)");
}

/// The slow log has a CONFIG SET, or doesn't, by what it has set.
#[test]
fn config_set_is_observed_by_its_own_settings() {
    let mut bench = Bench::new();
    let shown = |bench: &Bench| {
        let newest = bench.node.slowlog.newest(9);
        let last_words = newest.iter().filter_map(|entry| entry.args.last());
        let words: Vec<_> = last_words.map(|a| a.escape_ascii().to_string()).collect();
        words.join(" ")
    };
    bench.dispatch("CONFIG SET slowlog-log-slower-than -1");
    bench.dispatch("CONFIG SET slowlog-log-slower-than 0");
    assert_eq!(shown(&bench), "0");
    bench.dispatch("GET k");
    bench.dispatch("CONFIG SET slowlog-log-slower-than -1");
    assert_eq!(shown(&bench), "k 0");
    bench.dispatch("MULTI");
    bench.dispatch("CONFIG SET slowlog-log-slower-than 0");
    bench.dispatch("EXEC");
    // EXEC is never in it.
    assert_eq!(shown(&bench), "0 k 0");
}

/// What a MULTI does not queue, and what a subscriber may run, the table says.
#[test]
fn the_table_says_what_runs_at_once() {
    let mut bench = Bench::new();
    assert_eq!(bench.dispatch("MULTI"), done("+OK"));
    assert_eq!(
        bench.dispatch("MULTI"),
        done("-ERR MULTI calls can not be nested")
    );
    assert_eq!(bench.dispatch("UNWATCH"), done("+QUEUED"));
    assert_eq!(bench.dispatch("RESET").1, "+RESET");
    bench.dispatch("SUBSCRIBE c");
    assert_eq!(bench.dispatch("PING"), done("*2 $4 pong $0"));
    let (_, refused) = bench.dispatch("GET k");
    assert!(refused.starts_with("-ERR Can't execute 'get'"), "{refused}");
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A command that finds its shard busy changes nothing, wakes its task when the shard is left, and runs then.
#[test]
fn a_busy_shard_is_waited_for() {
    let mut bench = Bench::new();
    let (node, settings) = (&bench.node, bench.node.settings.load_full());
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let (mut reply, mut effects) = (Reply::default(), Effects::default());
    let mut run = |task: &TaskContext<'_>| {
        let session = &mut bench.session;
        let mut ctx = Context::new(node, &settings, session, &mut reply, &mut effects);
        let outcome = dispatch::poll_run(&mut ctx, &[b"SET", b"k", b"v"], task);
        ctx.finish();
        outcome
    };
    let task = TaskContext::from_waker(&waker);
    std::thread::scope(|scope| {
        let (entered, is_entered) = std::sync::mpsc::channel();
        let (leave, may_leave) = std::sync::mpsc::channel::<()>();
        let holder = scope.spawn(move || {
            let keys = node.keyspace.enter(node.keyspace.all());
            entered.send(()).expect("the test listens");
            may_leave.recv().expect("the test tells");
            drop(keys);
        });
        is_entered.recv().expect("the holder tells");
        assert!(matches!(run(&task), Outcome::Busy(_)));
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
        leave.send(()).expect("the holder listens");
        holder.join().expect("it does not panic");
    });
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    assert_eq!(run(&task), Outcome::Done);
    assert_eq!(node.keyspace.changes(), 1);
}

/// A client that waits is judged anew when there is something for it, as any client is then.
#[test]
fn a_waiting_clients_command_is_checked_when_it_runs() {
    let mut bench = Bench::new();
    assert_eq!(bench.dispatch("BLPOP list 0").0, Outcome::Suspended);
    let waiter = bench.session.client.clone();
    let mut filler = Session::new(
        Client::new(2, String::new(), String::new(), 0),
        Origin::Replay,
    );
    std::mem::swap(&mut bench.session, &mut filler);
    let mut settings = Settings::clone(&bench.node.settings.load());
    settings.min_replicas_to_write = 1;
    settings.min_replicas_max_lag = 10;
    bench.node.settings.store(Arc::new(settings));
    assert_eq!(bench.dispatch("RPUSH list a"), done(":1"));
    let told = waiter.take_output(Waker::noop()).into_bytes();
    assert_eq!(
        &told[..],
        b"-NOREPLICAS Not enough good replicas to write.\r\n"
    );
    let blpop = bench.node.table.lookup(b"blpop").expect("a command").id;
    assert_eq!(bench.node.command_stats.figures(blpop).rejected, 1);
    assert_eq!(bench.dispatch("LLEN list"), done(":1"));
}

/// Of a client that wants no replies (CLIENT REPLY), a wait for keys ends without one, however it ends.
#[test]
fn a_wait_of_a_client_that_wants_no_replies_ends_without_one() {
    for mode in ["CLIENT REPLY OFF", "CLIENT REPLY SKIP"] {
        for how in [0, 1, 2, waits::ROLE_CHANGED] {
            let mut bench = Bench::new();
            bench.dispatch(mode);
            assert_eq!(bench.dispatch("BLPOP list 0").0, Outcome::Suspended);
            let client = Client::new(2, String::new(), String::new(), 0);
            let mut other = Session::new(client, Origin::Client);
            std::mem::swap(&mut bench.session, &mut other);
            match how {
                0 => assert_eq!(bench.dispatch("RPUSH list a"), done(":1")),
                how => waits::end(&bench.node, &other, how),
            }
            assert!(waits::is_over(&mut other), "{mode}, {how}");
            let told = other.client.take_output(Waker::noop());
            assert!(told.is_empty(), "{mode}, {how}");
        }
    }
}

/// A transaction's commands are counted, timed and shown as a client's are, and none is let wait.
#[test]
fn a_transactions_commands_are_calls() {
    let mut bench = Bench::new();
    for line in ["MULTI", "BLPOP list 0", "RPUSH list a", "BLPOP list 0"] {
        bench.dispatch(line);
    }
    assert_eq!(
        bench.dispatch("EXEC"),
        (Outcome::Renew, "*3 *-1 :1 *2 $4 list $1 a".to_owned())
    );
    let calls = |name: &str| {
        let command = bench.node.table.lookup(name.as_bytes()).expect("a command");
        bench.node.command_stats.figures(command.id).calls
    };
    assert_eq!((calls("blpop"), calls("rpush"), calls("exec")), (2, 1, 1));
}

/// A client that waits for a key's end is served when it is deleted, overwritten, found expired or expired by the
/// way.
#[test]
fn a_keys_end_is_told_to_who_waits_for_it() {
    type End = fn(&mut Bench);
    let ends: [(&str, End); 6] = [
        ("LLEN k", |bench| {
            bench.dispatch("DEL k");
        }),
        ("EXISTS k", |bench| {
            bench.dispatch("RENAME k other");
        }),
        ("STRLEN k", |bench| {
            bench.dispatch("SET k text");
        }),
        ("LLEN k", |bench| {
            bench.dispatch("PEXPIRE k 10");
            bench.clock.advance_ms(20);
            bench.dispatch("GET k");
        }),
        ("LLEN k", |bench| {
            bench.dispatch("PEXPIRE k 10");
            bench.clock.advance_ms(20);
            expire_all(bench);
        }),
        ("LLEN k", |bench| {
            bench.dispatch("FLUSHDB");
        }),
    ];
    for (index, (command, end)) in ends.into_iter().enumerate() {
        let mut bench = Bench::new();
        bench.dispatch("RPUSH k a b");
        let client = wait_for_end_of_k(&bench, command);
        // Changes alone are none of its business.
        bench.dispatch("RPOP k");
        assert!(client.take_output(Waker::noop()).is_empty(), "{index}");
        end(&mut bench);
        let told = client.take_output(Waker::noop()).into_bytes();
        let want: &[u8] = if index == 2 { b":4\r\n" } else { b":0\r\n" };
        assert_eq!(&told[..], want, "{index}");
    }
}

/// Has a client wait until the key k is no list any more, to run `command` then.
fn wait_for_end_of_k(bench: &Bench, command: &'static str) -> Arc<Client> {
    let client = Client::new(2, String::new(), String::new(), 0);
    let args = command.split(' ').map(|arg| arg.as_bytes().into());
    let waiter = Waiter::new(
        bench.node.keyspace.wait_number(),
        client.clone(),
        args.collect(),
        0,
        Resp::V2,
        1..2,
        None,
        Kind::List,
        true,
        true,
        false,
        0,
    );
    let keyspace = &bench.node.keyspace;
    let mut keys = keyspace.enter(keyspace.all());
    keys.shard_mut(keyspace.hash(b"k")).block(0, b"k", &waiter);
    client
}

fn expire_all(bench: &mut Bench) {
    let (node, settings) = (&bench.node, bench.node.settings.load_full());
    let (mut reply, mut effects) = (Reply::default(), Effects::default());
    let session = &mut bench.session;
    let mut ctx = Context::new(node, &settings, session, &mut reply, &mut effects);
    ctx.set_keys(node.keyspace.enter(node.keyspace.all()));
    for shard in 0..node.keyspace.shards() {
        active_expire::step(&mut ctx, shard, &ExpireBudget::new(10, 1));
    }
    ctx.finish();
}
