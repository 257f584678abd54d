//! The server's commands, run by line.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::command::context::bench::{Bench, START_MS};
use crate::config::{Protected, Settings};
use crate::node_core::migration::{Migration, Target, TargetCommand};
use crate::node_core::{AsideWork, ReloadOptions, Services, ShutdownOptions};
use crate::repl::ReplicaState;
use crate::session::{Ticket, Waiting};

/// Notes what it is asked for, and may refuse new settings.
#[derive(Default)]
struct Notes(Arc<Mutex<Vec<String>>>, Asides);

/// What is to be done aside.
type Asides = Arc<Mutex<Vec<(Arc<Ticket>, AsideWork)>>>;

impl Notes {
    fn note(&self, text: String) {
        self.0.lock().push(text);
    }
}

impl Services for Notes {
    fn role_changed(&self) {
        self.note("role changed".into());
    }
    fn aside(&self, ticket: Arc<Ticket>, work: AsideWork) {
        self.1.lock().push((ticket, work));
    }
    fn run_script(&self, _: Box<dyn crate::node_core::LongScript>) {
        unreachable!("no script runs here")
    }
    fn wait(&self, _: Arc<Ticket>, replicas: usize, offset: u64, deadline_ms: Option<i64>) {
        self.note(format!("wait {replicas} {offset} {deadline_ms:?}"));
    }
    fn unblock(&self, _: Arc<Ticket>, how: u32) {
        self.note(format!("unblock {how}"));
    }
    fn save(&self, _: Arc<Ticket>) {
        self.note("save".into());
    }
    fn bgsave(&self, ticket: Option<Arc<Ticket>>) {
        self.note(format!("bgsave now: {}", ticket.is_some()));
    }
    fn reload(&self, _: Arc<Ticket>, options: ReloadOptions) {
        let ReloadOptions { save, flush, merge } = options;
        self.note(format!("reload {save} {flush} {merge}"));
    }
    fn flushed_all(&self, ticket: Option<Arc<Ticket>>) {
        self.note(format!("flushed all, to be told: {}", ticket.is_some()));
    }
    fn shutdown(&self, _: Option<Arc<Ticket>>, options: ShutdownOptions) {
        self.note(format!("shutdown {options:?}"));
    }
    fn serving_cpu_us(&self) -> (u64, u64) {
        (1_500_000, 250_000)
    }
    fn is_shutting_down(&self) -> bool {
        false
    }
    fn abort_shutdown(&self) -> bool {
        false
    }
    fn prepare_settings(
        &self,
        _: &Settings,
        new: &mut Settings,
        _: &[&'static str],
    ) -> Result<(), (&'static str, String)> {
        match new.port {
            1 => Err(("port", "no".into())),
            _ => Ok(()),
        }
    }
    fn migrate(&self, _: Arc<Ticket>, migration: Migration, commands: Vec<TargetCommand>) {
        let Target { host, port, .. } = &migration.target;
        let (db, timeout, copy) = (migration.target_db, migration.timeout, migration.copy);
        let mut text = format!("migrate to {host}:{port} db {db} in {timeout:?}, copy {copy}:");
        for command in commands {
            let TargetCommand::Restore { packed, replace } = command else {
                panic!("nothing is there to be deleted yet")
            };
            let (key, at) = (packed.key.escape_ascii(), packed.expire_at);
            text += &format!(" {key} until {at:?}, replace {replace};");
        }
        self.note(text);
    }
    fn serve_blocked(&self) {}
}

fn bench() -> (Bench, Arc<Mutex<Vec<String>>>) {
    let bench = Bench::new();
    let notes = Notes::default();
    let noted = notes.0.clone();
    bench.node.services.set(Arc::new(notes));
    (bench, noted)
}

/// As `bench`, and what its commands want done aside.
fn bench_with_asides() -> (Bench, Asides) {
    let bench = Bench::new();
    let notes = Notes::default();
    let asides = notes.1.clone();
    bench.node.services.set(Arc::new(notes));
    (bench, asides)
}

/// The reply to a line, also if its work is done aside, and whether it is.
fn reply(bench: &mut Bench, asides: &Asides, line: &[&[u8]]) -> (String, bool) {
    let at_once = bench.run(line).0;
    let Some((ticket, work)) = asides.lock().pop() else {
        assert!(bench.session.waiting.is_none());
        return (at_once, false);
    };
    assert!(at_once.is_empty() && !ticket.is_done());
    assert!(matches!(
        bench.session.waiting.take(),
        Some(Waiting::Reply(_))
    ));
    // As the thread beside does it: inside no shard.
    ticket.complete(&work(&bench.node));
    assert!(ticket.is_done());
    let output = bench.session.client.take_output(std::task::Waker::noop());
    let text = output.into_bytes().escape_ascii().to_string();
    let text = text.replace("\\'", "'").replace("\\r\\n", " ");
    (text.trim_end().to_owned(), true)
}

/// What needs files, sockets or name servers is not done by a thread that serves.
#[test]
fn slow_directives_are_set_aside() {
    let (mut bench, asides) = bench_with_asides();
    let set = |bench: &mut Bench, line: &str| {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        reply(bench, &asides, &words)
    };
    let ok = |aside: bool| ("+OK".to_owned(), aside);
    assert_eq!(set(&mut bench, "CONFIG SET timeout 8"), ok(false));
    assert_eq!(set(&mut bench, "CONFIG SET timeout 9 port 7"), ok(true));
    assert_eq!(
        bench.reply("CONFIG GET timeout port"),
        "*4 $7 timeout $1 9 $4 port $1 7"
    );
    let refused = bench.node.stats.error_replies.get();
    let failed = set(&mut bench, "CONFIG SET timeout 10 port 1");
    let no = "-ERR CONFIG SET failed (possibly related to argument 'port') - no";
    assert_eq!(failed, (no.to_owned(), true));
    assert_eq!(bench.node.stats.error_replies.get(), refused + 1);
    // A change of role, inside every shard, does not wait for the lock.
    let held = bench.node.settings_lock.lock();
    bench.node.set_role(None);
    drop(held);
    assert_eq!(set(&mut bench, "MEMORY PURGE"), ok(true));
    let (rewritten, aside) = set(&mut bench, "DEBUG CONFIG-REWRITE-FORCE-ALL");
    let failed = "-ERR CONFIG-REWRITE-FORCE-ALL failed: ";
    assert!(rewritten.starts_with(failed) && aside, "{rewritten}");
    // A client that wants no replies gets none, and waits all the same.
    bench.session.reply_mode = crate::session::ReplyMode::Off;
    let silent = set(&mut bench, "CONFIG SET port 8");
    assert_eq!(silent, (String::new(), true));
    assert_eq!(bench.node.settings.load().port, 8);
}

/// A WAIT may be for ever: whoever goes must not leave it behind.
#[test]
fn the_wait_of_a_client_that_goes_is_ended() {
    let (mut bench, noted) = bench();
    bench.line("WAIT 1 0");
    assert!(bench.session.waiting.is_some());
    bench.node.forget_session(&mut bench.session);
    assert_eq!(*noted.lock(), ["wait 1 0 None", "unblock 1"]);
}

#[test]
fn databases_are_counted_emptied_and_swapped() {
    let (mut bench, noted) = bench();
    bench.expect(&[
        // With save points it is answered when the empty dump is written.
        ("FLUSHALL", "", "FLUSHALL"),
        ("FLUSHDB ASYNC", "+OK", "FLUSHDB ASYNC"),
        ("SET a 1", "+OK", "SET a 1"),
        ("SET b 1", "+OK", "SET b 1"),
        ("DBSIZE", ":2", ""),
        ("SWAPDB 0 1", "+OK", "SWAPDB 0 1"),
        ("DBSIZE", ":0", ""),
        ("SWAPDB 0 99", "-ERR DB index is out of range", ""),
        ("SWAPDB 0 -1", "-ERR DB index is out of range", ""),
        ("SWAPDB x 1", "-ERR invalid first DB index", ""),
        ("SWAPDB 0 9999999999", "-ERR invalid second DB index", ""),
        ("SWAPDB 1 0", "+OK", "SWAPDB 1 0"),
        ("FLUSHDB NOW", "-ERR syntax error", ""),
        ("FLUSHDB SYNC ASYNC", "-ERR syntax error", ""),
        ("FLUSHDB SYNC", "+OK", "FLUSHDB SYNC"),
        ("DBSIZE", ":0", ""),
        ("TIME", "*2 $10 1700000000 $1 0", ""),
        ("LASTSAVE", ":1700000000", ""),
        ("ROLE", "*3 $6 master :0 *0", ""),
        ("LOLWUT VERSION 5", "$17 Redis ver. 7.2.4\\n", ""),
    ]);
    assert_eq!(*noted.lock(), ["flushed all, to be told: true"]);
    bench.resp3();
    assert!(
        bench
            .reply("INFO cluster")
            .ends_with(" txt:# Cluster cluster_enabled:0")
    );
    assert_eq!(bench.reply("INFO nothing"), "=4 txt:");
}

#[test]
fn config_set_is_all_or_nothing() {
    let (mut bench, asides) = bench_with_asides();
    let noted = Arc::new(Mutex::new(Vec::new()));
    let watched = noted.clone();
    let watcher = move |_: &Settings, names: &[&'static str]| watched.lock().push(names.to_vec());
    bench.node.watch_settings(Box::new(watcher));
    let failed = "-ERR CONFIG SET failed (possibly related to argument";
    for (line, reply) in [
        ("CONFIG SET timeout 7 hz 1000", "+OK".to_owned()),
        (
            "CONFIG GET timeout hz",
            "*4 $7 timeout $1 7 $2 hz $3 500".into(),
        ),
        (
            "CONFIG SET timeout 8 port 1",
            format!("{failed} 'port') - no"),
        ),
        (
            "CONFIG SET timeout 8 hz x",
            format!("{failed} 'hz') - argument couldn't be parsed into an integer"),
        ),
        (
            "CONFIG SET timeout 8 nonsense 1",
            "-ERR Unknown option or number of arguments for CONFIG SET - 'nonsense'".into(),
        ),
        (
            "CONFIG SET timeout 8 timeout 9",
            format!("{failed} 'timeout') - duplicate parameter"),
        ),
        (
            "CONFIG SET slave-read-only no replica-read-only yes",
            format!("{failed} 'replica-read-only') - duplicate parameter"),
        ),
        (
            "CONFIG SET databases 3",
            format!("{failed} 'databases') - can't set immutable config"),
        ),
        (
            "CONFIG SET dir /tmp",
            format!("{failed} 'dir') - can't set protected config"),
        ),
        ("CONFIG SET timeout 8 hz", "-ERR syntax error".into()),
        (
            "CONFIG SET maxmemory 1gb maxmemory-policy allkeys-lru",
            format!(
                "{failed} 'maxmemory-policy') - with maxmemory set, maxmemory-policy must be noeviction, not allkeys-lru: eviction comes with a later version"
            ),
        ),
        (
            "CONFIG SET appendonly yes",
            format!(
                "{failed} 'appendonly') - only 'no' is possible in this version: append-only files come with a later version"
            ),
        ),
        (
            "CONFIG SET maxclients 0",
            format!("{failed} 'maxclients') - argument must be between 1 and 4294967295 inclusive"),
        ),
        (
            "CONFIG SET maxmemory -1",
            format!("{failed} 'maxmemory') - argument must be a memory value"),
        ),
        (
            "CONFIG SET loglevel loud",
            format!(
                "{failed} 'loglevel') - argument(s) must be one of the following: debug, verbose, notice, warning, nothing"
            ),
        ),
        ("CONFIG GET timeout", "*2 $7 timeout $1 7".into()),
        (
            "CONFIG GET TIMEOUT timeou? hz*",
            "*4 $7 TIMEOUT $1 7 $2 hz $3 500".into(),
        ),
        (
            "CONFIG GET slave-prior* nothing",
            "*2 $14 slave-priority $3 100".into(),
        ),
        ("CONFIG GET key-load-dela*", "*0".into()),
        (
            "CONFIG GET key-load-delay rename-command",
            "*2 $14 key-load-delay $1 0".into(),
        ),
        (
            "CONFIG REWRITE",
            "-ERR The server is running without a config file".into(),
        ),
        ("CONFIG SET repl-backlog-size 1", "+OK".into()),
        (
            "CONFIG GET repl-backlog-size",
            "*2 $17 repl-backlog-size $5 16384".into(),
        ),
        ("CONFIG SET repl-backlog-size 2mb", "+OK".into()),
    ] {
        let words: Vec<&[u8]> = line.split_whitespace().map(str::as_bytes).collect();
        assert_eq!(self::reply(&mut bench, &asides, &words).0, reply, "{line}");
    }
    let told: [&[&str]; 3] = [
        &["timeout", "hz"],
        &["repl-backlog-size"],
        &["repl-backlog-size"],
    ];
    assert_eq!(*noted.lock(), told);
    assert_eq!(bench.node.hub.observe().backlog_size, 2 << 20);
    // An empty value and one with several words.
    assert_eq!(bench.run(&[b"CONFIG", b"SET", b"save", b""]).0, "+OK");
    let bind: &[&[u8]] = &[b"CONFIG", b"SET", b"bind", b"127.0.0.1 ::1"];
    assert_eq!(reply(&mut bench, &asides, bind), ("+OK".to_owned(), true));
    assert_eq!(
        bench.reply("CONFIG GET save bind"),
        "*4 $4 save $0  $4 bind $13 127.0.0.1 ::1"
    );
}

#[test]
fn protected_directives_may_be_opened_to_this_machine() {
    let settings = Settings {
        enable_protected_configs: Protected::Local,
        ..Settings::default()
    };
    // The bench's client has no address: it is in the process.
    assert_eq!(
        Bench::with(settings).reply("CONFIG SET dbfilename x.rdb"),
        "+OK"
    );
}

#[test]
fn what_actors_do_is_posted_and_waited_for() {
    let (mut bench, noted) = bench();
    let tickets = [
        ("SAVE", "save"),
        ("BGSAVE SCHEDULE", "bgsave now: true"),
        (
            "DEBUG RELOAD NOSAVE NOFLUSH MERGE",
            "reload false false true",
        ),
        ("DEBUG RELOAD", "reload true true false"),
        ("WAIT 1 0", "wait 1 0 None"),
        ("WAIT 2 50", "wait 2 0 Some(1700000000050)"),
        (
            "SHUTDOWN NOSAVE FORCE",
            "shutdown ShutdownOptions { save: false, nosave: true, now: false, force: true }",
        ),
    ];
    for (line, note) in tickets {
        assert_eq!(bench.line(line), (String::new(), String::new()), "{line}");
        assert_eq!(noted.lock().pop().as_deref(), Some(note));
        assert!(
            matches!(bench.session.waiting.take(), Some(Waiting::Reply(_))),
            "{line}"
        );
    }
    bench.expect(&[
        ("WAIT 0 0", ":0", ""),
        ("WAITAOF 0 0 0", "*2 :0 :0", ""),
        (
            "WAIT x 0",
            "-ERR value is not an integer or out of range",
            "",
        ),
        ("WAIT 1 -1", "-ERR timeout is negative", ""),
        (
            "WAIT 1 x",
            "-ERR timeout is not an integer or out of range",
            "",
        ),
        (
            "WAITAOF 1 0 0",
            "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
            "",
        ),
        (
            "WAITAOF 2 0 0",
            "-ERR value is out of range, value must between 0 and 1",
            "",
        ),
        ("BGSAVE NOW", "-ERR syntax error", ""),
        ("SHUTDOWN SAVE NOSAVE", "-ERR syntax error", ""),
        ("SHUTDOWN ABORT NOW", "-ERR syntax error", ""),
        ("SHUTDOWN ABORT", "-ERR No shutdown in progress.", ""),
        (
            "DEBUG RELOAD FAST",
            "-ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
            "",
        ),
    ]);
    bench.node.persistence.begin(1, START_MS, true);
    bench.expect(&[
        ("SAVE", "-ERR Background save already in progress", ""),
        ("BGSAVE", "-ERR Background save already in progress", ""),
        (
            "BGSAVE SCHEDULE",
            "-ERR Background save already in progress",
            "",
        ),
    ]);
    assert!(bench.session.waiting.is_none() && noted.lock().is_empty());
}

#[test]
fn failover_checks_its_request_and_then_pauses_writes() {
    let (mut bench, noted) = bench();
    bench.expect(&[
        ("FAILOVER ABORT", "-ERR No failover in progress.", ""),
        ("FAILOVER", "-ERR FAILOVER requires connected replicas.", ""),
        ("FAILOVER TO h", "-ERR syntax error", ""),
        ("FAILOVER ABORT TIMEOUT 1", "-ERR syntax error", ""),
        ("FAILOVER FORCE FORCE", "-ERR syntax error", ""),
        (
            "FAILOVER TIMEOUT 0",
            "-ERR FAILOVER timeout must be greater than 0",
            "",
        ),
        (
            "FAILOVER TO h x",
            "-ERR value is not an integer or out of range",
            "",
        ),
    ]);
    let mut replica = crate::repl::replicas::tests::replica(9, ReplicaState::SendingBulk);
    replica.announced_ip = Some("h".into());
    bench.node.hub.published().replicas.add(replica);
    let unforced =
        "-ERR FAILOVER with force option requires both a timeout and target HOST and IP.";
    bench.expect(&[
        ("FAILOVER FORCE TIMEOUT 100", unforced, ""),
        ("FAILOVER TO h 6380 FORCE", unforced, ""),
        (
            "FAILOVER TO h 1",
            "-ERR FAILOVER target HOST and PORT is not a replica.",
            "",
        ),
        (
            "FAILOVER TO H 6380",
            "-ERR FAILOVER target replica is not online.",
            "",
        ),
        ("FAILOVER", "+OK", ""),
        ("FAILOVER", "-ERR FAILOVER already in progress.", ""),
        (
            "REPLICAOF NO ONE",
            "-ERR REPLICAOF not allowed while failing over.",
            "",
        ),
        (
            "PSYNC ? -1",
            "-NOMASTERLINK Can't SYNC while failing over",
            "",
        ),
        ("GET x", "$-1", ""),
    ]);
    let paused = bench.node.pause.kind(START_MS);
    assert_eq!(paused, Some(crate::clients::pause::Pause::Write));
    bench.expect(&[("FAILOVER ABORT", "+OK", ""), ("SET x y", "+OK", "SET x y")]);
    assert_eq!(bench.node.pause.kind(START_MS), None);
    assert!(noted.lock().is_empty());
    bench.node.hub.follow("h".into(), 1000);
    let replica = "-ERR FAILOVER is not valid when server is a replica.";
    bench.expect(&[("FAILOVER", replica, "")]);
}

#[test]
fn replicaof_with_force_renews_the_link_and_lifts_the_guard() {
    let (mut bench, noted) = bench();
    bench.expect(&[
        ("REPLICAOF h 1000 NOW", "-ERR syntax error", ""),
        (
            "REPLICAOF h 1000 FORCE x",
            "-ERR wrong number of arguments for 'replicaof' command",
            "",
        ),
        ("REPLICAOF NO ONE FORCE", "-ERR syntax error", ""),
        ("REPLICAOF h 1000", "+OK", ""),
    ]);
    assert!(!bench.node.hub.guard_is_lifted());
    bench.expect(&[("REPLICAOF h 1000 FORCE", "+OK", "")]);
    assert!(bench.node.hub.guard_is_lifted());
    assert_eq!(noted.lock().len(), 2);
    bench.expect(&[("REPLICAOF h 1001", "+OK", "")]);
    assert!(!bench.node.hub.guard_is_lifted());
}

#[test]
fn replicaof_changes_the_setting_and_asks_for_the_link() {
    let (mut bench, noted) = bench();
    bench.expect(&[
        ("REPLICAOF NO ONE", "+OK", ""),
        ("REPLICAOF h 65536", "-ERR Invalid master port", ""),
        ("REPLICAOF h 1000", "+OK", ""),
    ]);
    assert_eq!(*noted.lock(), ["role changed"]);
    assert_eq!(bench.reply("CONFIG GET slaveof"), "*2 $7 slaveof $6 h 1000");
    bench.expect(&[
        ("SLAVEOF H 1000", "+OK Already connected to specified master", ""),
        ("ROLE", "*5 $5 slave $1 h :1000 $7 connect :-1", ""),
        ("WAIT 0 0", "-ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.", ""),
        ("REPLICAOF no one", "+OK", ""),
    ]);
    assert_eq!(
        noted.lock().last().map(String::as_str),
        Some("role changed")
    );
    assert_eq!(bench.reply("CONFIG GET replicaof"), "*2 $9 replicaof $0");
}

#[test]
fn debug_shows_and_switches() {
    let (mut bench, _) = bench();
    bench.expect(&[
        ("DEBUG POPULATE 3", "+OK", ""),
        ("DEBUG POPULATE 2 p 10", "+OK", ""),
        ("GET key:2", "$7 value:2", ""),
        ("GET p:1", "$10 value:1\\x00\\x00\\x00", ""),
        (
            "DEBUG POPULATE -1",
            "-ERR value is out of range, must be positive",
            "",
        ),
        (
            "DEBUG DIGEST-VALUE none",
            "*1 +0000000000000000000000000000000000000000",
            "",
        ),
        ("DEBUG HTSTATS 99", "-ERR Out of range database", ""),
        (
            "DEBUG HTSTATS-KEY key:1",
            "-ERR The value stored at the specified key is not represented using an hash table",
            "",
        ),
        ("DEBUG OBJECT none", "-ERR no such key", ""),
        (
            "DEBUG LISTPACK key:1",
            "-ERR Not a listpack encoded object.",
            "",
        ),
        ("DEBUG ERROR MYCODE", "-MYCODE", ""),
        (
            "DEBUG PROTOCOL push",
            "-ERR RESP2 is not supported by this command",
            "",
        ),
        ("DEBUG PROTOCOL map", "*6 :0 :0 :1 :1 :2 :0", ""),
        ("DEBUG STRINGMATCH-LEN abc a*", ":1", ""),
        ("DEBUG QUICKLIST-PACKED-THRESHOLD 1b", "+OK", ""),
        (
            "DEBUG QUICKLIST-PACKED-THRESHOLD 4gb",
            "-ERR argument must be a memory value bigger than 1 and smaller than 4gb",
            "",
        ),
        (
            "DEBUG NONSENSE",
            "-ERR unknown subcommand or wrong number of arguments for 'NONSENSE'. Try DEBUG HELP.",
            "",
        ),
        ("DEBUG SET-ACTIVE-EXPIRE 0", "+OK", ""),
        ("DEBUG SLEEP 0.5", "+OK", ""),
    ]);
    assert!(bench.node.active_expire_off.load(Ordering::Relaxed));
    assert_eq!(bench.reply("TIME"), "*2 $10 1700000000 $6 500000");
    bench.line("RPUSH l a b");
    let object = bench.reply("DEBUG OBJECT l");
    assert!(
        object.contains("refcount:1 encoding:listpack serializedlength:"),
        "{object}"
    );
    let before = bench.node.hub.history().id;
    bench.expect(&[("DEBUG CHANGE-REPL-ID", "+OK", "")]);
    assert_ne!(bench.node.hub.history().id, before);
    bench.resp3();
    bench.expect(&[
        ("DEBUG PROTOCOL double", ",3.141", ""),
        (
            "DEBUG PROTOCOL attrib",
            "|1 $14 key-popularity *2 $7 key:123 :90 $39 Some real reply following the attribute",
            "",
        ),
        ("DEBUG PROTOCOL true", "#t", ""),
    ]);
}

#[test]
fn memory_tells_of_keys_and_the_process() {
    let mut bench = Bench::new();
    bench.line("SET a 1");
    assert!(bench.reply("MEMORY USAGE a SAMPLES 5").starts_with(':'));
    bench.expect(&[
        ("MEMORY USAGE none", "$-1", ""),
        ("MEMORY USAGE a SAMPLES", "-ERR syntax error", ""),
        ("MEMORY USAGE a SAMPLES -1", "-ERR syntax error", ""),
        (
            "MEMORY USAGE a SAMPLES x",
            "-ERR value is not an integer or out of range",
            "",
        ),
        ("MEMORY PURGE", "+OK", ""),
    ]);
    bench.resp3();
    let stats = bench.reply("MEMORY STATS");
    assert!(stats.starts_with("%28 $14 peak.allocated "), "{stats}");
    assert!(
        stats.contains("$4 db.0 %3 $23 overhead.hashtable.main"),
        "{stats}"
    );
}

#[test]
fn migrate_packs_what_is_there() {
    let (mut bench, noted) = bench();
    bench.line("MSET a 1 b 2");
    bench.line("SET c 3 PX 500");
    bench.expect(&[
        ("MIGRATE host 1 none 0 9", "+NOKEY", ""),
        ("MIGRATE host 1 a 0 9 AUTH", "-ERR syntax error", ""),
        ("MIGRATE host 1 a 3 0", "", ""),
        ("MIGRATE host 1 c 3 -1 COPY", "", ""),
        ("MIGRATE host x a 3 9 REPLACE AUTH p AUTH2 u q", "", ""),
    ]);
    assert_eq!(
        noted.lock()[..],
        [
            "migrate to host:1 db 3 in 1s, copy false: a until None, replace false;",
            "migrate to host:1 db 3 in 1s, copy true: c until Some(1700000000500), replace false;",
            "migrate to host:0 db 3 in 9ms, copy false: a until None, replace true;",
        ]
    );
}
