//! Nodes in a host's process: what a node holds goes with it, in whatever state it ends, and its clients hear
//! of the end.
//!
//! The tests count the process's threads and descriptors, so they run one at a time.

mod common;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use common::wait_for;
use understudy::internals::node_core::NodeCore;
use understudy::{Closed, LocalClient, Node, RespValue, Settings, StartError};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(300);

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    // A test that failed has left nothing that matters to the next.
    let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // The async runtime opens two sockets for signals, once in a process, whether anybody listens to one or not.
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| drop(start(in_memory())));
    alone
}

/// Any free port, and nothing on disk.
fn in_memory() -> Settings {
    Settings {
        bind: vec!["127.0.0.1".into()],
        port: 0,
        save: Vec::new(),
        dbfilename: "no-such-file.rdb".into(),
        repl_diskless_sync_delay: 0,
        ..Settings::default()
    }
}

/// As `in_memory`, with a dump in `directory`.
fn with_dump(directory: &Path) -> Settings {
    Settings {
        dir: Some(directory.to_string_lossy().into_owned()),
        dbfilename: "dump.rdb".into(),
        ..in_memory()
    }
}

fn start(settings: Settings) -> Node {
    Node::start(settings).expect("a node")
}

/// Threads of nodes in this process.
fn threads() -> usize {
    let names = ["understudy", "actix-rt", "loader", "snapshot"];
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok())
        .filter(|comm| names.iter().any(|name| comm.starts_with(name)))
        .count()
}

/// Open files and sockets of this process.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("Linux").count()
}

/// The resident set, bytes.
fn resident_bytes() -> u64 {
    understudy::internals::os::system_probe::resident_bytes()
}

/// What a process without a node has; to be compared with when nodes have gone.
struct Before {
    descriptors: usize,
    nodes: Vec<Weak<NodeCore>>,
}

impl Before {
    fn here() -> Before {
        wait_for_no_threads("before the test");
        Before {
            descriptors: descriptors(),
            nodes: Vec::new(),
        }
    }

    /// Its data must be gone at the end.
    fn watch(&mut self, node: &Node) {
        self.nodes.push(std::sync::Arc::downgrade(node.observe()));
    }

    /// Nothing is left.
    fn is_again(&self, what: &str) {
        wait_for_no_threads(what);
        let held: Vec<usize> = self.nodes.iter().map(Weak::strong_count).collect();
        assert!(
            held.iter().all(|&holders| holders == 0),
            "{what}: who still holds the nodes: {held:?}"
        );
        assert_eq!(descriptors(), self.descriptors, "{what}: descriptors");
    }
}

/// A thread that has said that it ends is there for some instants yet.
fn wait_for_no_threads(what: &str) {
    let goal = format!("{what}: no node has a thread");
    wait_for(&goal, PATIENCE, || threads() == 0);
}

/// Runs what must not hang.
fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(work);
    wait_for(what, PATIENCE, || thread.is_finished());
    thread.join().expect("no panic")
}

fn ok(client: &mut LocalClient, command: &[&str]) {
    let reply = client.call(command);
    assert!(!reply.is_error(), "{command:?}: {reply:?}");
}

fn is_closed(reply: &RespValue) -> bool {
    matches!(reply, RespValue::Error(text) if text.starts_with("CLOSED "))
}

fn info(client: &mut LocalClient, field: &str) -> String {
    let reply = client.call(&["INFO", "everything"]);
    let text = String::from_utf8_lossy(reply.as_bytes().unwrap_or_default()).into_owned();
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| *name == field)
        .map_or(String::new(), |(_, value)| value.to_owned())
}

fn follow(replica: &Node, master: &Node) {
    let port = master.port().expect("a port").to_string();
    ok(&mut replica.client(), &["REPLICAOF", "127.0.0.1", &port]);
}

fn wait_for_link(replica: &Node) {
    let mut client = replica.client();
    wait_for("the link is up", PATIENCE, || {
        info(&mut client, "master_link_status") == "up"
    });
}

/// Runs a command that waits in a thread of its own, and comes back when it does.
fn waiting(node: &Node, command: &[&str], field: &str) -> JoinHandle<RespValue> {
    let command: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
    let mut client = node.client();
    let mut observer = node.client();
    let before: usize = info(&mut observer, field).parse().expect("a number");
    let thread = std::thread::spawn(move || client.call(&command));
    wait_for("the client waits", PATIENCE, || {
        info(&mut observer, field) == (before + 1).to_string()
    });
    thread
}

/// Fills a node with keys.
fn fill(node: &Node, keys: usize) {
    let mut client = node.client();
    let value = "v".repeat(1000);
    for n in 0..keys {
        ok(&mut client, &["SET", &format!("key:{n}"), &value]);
    }
}

#[test]
fn what_nodes_hold_goes_with_them() {
    let _alone = alone();
    let mut before = Before::here();
    // Time for the allocator to have what it keeps.
    let (warm, rounds) = (10, 50);
    let mut warm_bytes = 0;
    for round in 0..rounds {
        let (master, replica) = (start(in_memory()), start(in_memory()));
        before.watch(&master);
        before.watch(&replica);
        fill(&master, 2000);
        follow(&replica, &master);
        wait_for_link(&replica);
        assert_eq!(replica.client().call(&["DBSIZE"]), RespValue::Int(2000));
        in_time("two nodes are dropped", move || {
            if round % 2 == 0 {
                drop(master);
                drop(replica);
            } else {
                assert_eq!(replica.shutdown(), 0);
                assert_eq!(master.shutdown(), 0);
            }
        });
        before.is_again(&format!("round {round}"));
        if round + 1 == warm {
            warm_bytes = resident_bytes();
        }
    }
    // A round has 4 MB of data; what one leaves behind is 40 times in this.
    let grown = resident_bytes().saturating_sub(warm_bytes);
    assert!(grown < 16 << 20, "grown by {grown} bytes");
}

#[test]
fn clients_hear_of_the_end() {
    let _alone = alone();
    let mut before = Before::here();
    let node = start(in_memory());
    before.watch(&node);
    let mut client = node.client();
    let popping = waiting(&node, &["BLPOP", "list", "0"], "blocked_clients");
    ok(&mut client, &["SET", "key", "value"]);
    let acked = waiting(&node, &["WAIT", "1", "0"], "blocked_clients");
    let mut subscriber = node.client();
    ok(&mut subscriber, &["SUBSCRIBE", "news"]);
    ok(&mut client, &["PUBLISH", "news", "one"]);
    ok(&mut client, &["CLIENT", "PAUSE", "10000000", "WRITE"]);
    let paused = waiting(&node, &["SET", "key", "other"], "blocked_clients");
    let mut idle = node.client();
    assert_eq!(idle.closed(), None);

    in_time("the node is shut down", move || node.shutdown());
    for thread in [popping, acked, paused] {
        wait_for("a call comes back", PATIENCE, || thread.is_finished());
        let reply = thread.join().expect("no panic");
        assert!(is_closed(&reply), "{reply:?}");
    }
    assert_eq!(idle.closed(), Some(Closed::Node));
    for command in [&["GET", "key"][..], &["RPUSH", "list", "x"], &["SHUTDOWN"]] {
        let reply = idle.call(command);
        assert!(is_closed(&reply), "{command:?}: {reply:?}");
    }
    // What came before the end is given first.
    let message = subscriber.wait_push(PATIENCE).expect("the message");
    assert!(format!("{message:?}").contains("\"one\""), "{message:?}");
    assert_eq!(subscriber.wait_push(PATIENCE), Err(Closed::Node));
    // The clients are still there, and hold none of the data, nor anything of the system's.
    wait_for_no_threads("before the clients");
    assert_eq!(descriptors(), before.descriptors);
    let core = before.nodes[0].upgrade().expect("held by clients");
    let entered = core.keyspace.enter(core.keyspace.all());
    assert!((0..16).all(|db| entered.is_empty(db)));
    drop(entered);
    drop((core, client, subscriber, idle));
    before.is_again("after the clients");
}

#[test]
fn shutdown_by_a_client_comes_back() {
    let _alone = alone();
    let mut before = Before::here();
    let node = start(in_memory());
    before.watch(&node);
    let mut client = node.client();
    let reply = in_time("SHUTDOWN comes back", move || client.call(&["SHUTDOWN"]));
    assert_eq!(reply, RespValue::Simple("OK".into()));
    assert_eq!(node.wait(), 0);
    drop(node);
    before.is_again("after SHUTDOWN");
}

#[test]
fn a_killed_client_hears_of_it_and_others_go_on() {
    let _alone = alone();
    let node = start(in_memory());
    let mut client = node.client();
    let popping = waiting(&node, &["BLPOP", "list", "0"], "blocked_clients");
    let mut subscriber = node.client();
    ok(&mut subscriber, &["SUBSCRIBE", "news"]);
    ok(
        &mut client,
        &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"],
    );
    ok(&mut client, &["CLIENT", "KILL", "TYPE", "pubsub"]);
    let reply = in_time("BLPOP comes back", move || {
        popping.join().expect("no panic")
    });
    assert!(is_closed(&reply), "{reply:?}");
    assert_eq!(subscriber.wait_push(PATIENCE), Err(Closed::Client));
    assert!(is_closed(&subscriber.call(&["PING"])));
    ok(&mut client, &["PING"]);
    ok(&mut client, &["QUIT"]);
    assert_eq!(client.closed(), Some(Closed::Client));
    ok(&mut node.client(), &["PING"]);
}

#[test]
fn a_wait_for_acks_is_ended_by_client_unblock() {
    let _alone = alone();
    let node = start(in_memory());
    let mut client = node.client();
    let waits = waiting(&node, &["WAIT", "1", "0"], "blocked_clients");
    let list = client.call(&["CLIENT", "LIST"]);
    let list = String::from_utf8_lossy(list.as_bytes().unwrap_or_default()).into_owned();
    let line = list
        .lines()
        .find(|line| line.contains("cmd=wait"))
        .expect(&list);
    let id = line.split([' ', '=']).nth(1).expect("id=N").to_owned();
    assert_eq!(client.call(&["CLIENT", "UNBLOCK", &id]), RespValue::Int(1));
    let reply = in_time("WAIT comes back", move || waits.join().expect("no panic"));
    assert_eq!(reply, RespValue::Int(0));
}

#[test]
fn a_save_that_fails_is_told_and_the_node_goes_on() {
    let _alone = alone();
    let mut before = Before::here();
    let directory = tempfile::tempdir().expect("a directory");
    let inside = directory.path().join("inside");
    std::fs::create_dir(&inside).expect("a directory");
    let node = start(with_dump(&inside));
    before.watch(&node);
    let mut client = node.client();
    ok(&mut client, &["SET", "key", "value"]);
    std::fs::remove_dir(&inside).expect("it is empty");
    let failed = in_time("the save fails", move || node.save_and_shutdown());
    let failed = failed.expect_err("there is no such directory");
    assert!(!failed.reason.is_empty());
    ok(&mut client, &["SET", "key", "later"]);
    std::fs::create_dir(&inside).expect("a directory");
    in_time("the save succeeds", move || failed.node.save_and_shutdown()).expect("saved");
    assert!(is_closed(&client.call(&["GET", "key"])));
    drop(client);
    let node = start(with_dump(&inside));
    before.watch(&node);
    node.wait_ready(PATIENCE).expect("loaded");
    assert!(node.is_ready());
    assert_eq!(
        node.client().call(&["GET", "key"]),
        RespValue::Bulk(b"later".to_vec())
    );
    drop(node);
    before.is_again("after the save");
}

#[test]
fn a_dump_that_is_broken_is_told() {
    let _alone = alone();
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("dump.rdb"), b"REDIS0010 nonsense").expect("written");
    let node = start(with_dump(directory.path()));
    let error = node.wait_ready(PATIENCE).expect_err("no dump");
    assert!(matches!(error, StartError::Died(_)), "{error:?}");
    assert!(error.to_string().contains("loading the DB"), "{error}");
    assert_eq!(node.wait(), 1);
    assert_eq!(node.shutdown(), 1);
}

#[test]
fn an_embedded_node_touches_nothing_of_its_host() {
    let _alone = alone();
    let mut before = Before::here();
    let directory = tempfile::tempdir().expect("a directory");
    let dump = directory.path().join("dump.rdb");
    std::fs::write(&dump, b"of somebody else").expect("written");
    let home = std::env::current_dir().expect("it is there");
    // The other tests name their directories in full.
    std::env::set_current_dir(directory.path()).expect("it is there");
    let node = start(Settings::embedded());
    before.watch(&node);
    node.wait_ready(PATIENCE).expect("there is nothing to load");
    assert_eq!((node.port(), threads()), (None, 1));
    let mut client = node.client();
    ok(&mut client, &["SET", "key", "value"]);
    for command in [&["SAVE"][..], &["BGSAVE"], &["SHUTDOWN", "SAVE"]] {
        let reply = client.call(command);
        assert!(
            reply.is_error() && !is_closed(&reply),
            "{command:?}: {reply:?}"
        );
    }
    let failed = node.save_and_shutdown().expect_err("no dump file");
    assert!(failed.reason.contains("dbfilename"), "{failed}");
    drop((failed, client));
    std::env::set_current_dir(home).expect("it is there");
    before.is_again("embedded");
    let files = std::fs::read_dir(directory.path()).expect("it is there");
    assert_eq!(files.count(), 1);
    assert_eq!(
        std::fs::read(&dump).expect("it is there"),
        b"of somebody else"
    );
}

#[test]
fn an_embedded_node_follows_and_can_be_opened_later() {
    let _alone = alone();
    let master = start(in_memory());
    fill(&master, 100);
    let replica = start(Settings::embedded());
    follow(&replica, &master);
    wait_for_link(&replica);
    let mut client = replica.client();
    assert_eq!(client.call(&["DBSIZE"]), RespValue::Int(100));
    let line = info(&mut master.client(), "slave0");
    assert!(line.contains("port=0,"), "{line}");

    ok(&mut client, &["CONFIG", "SET", "bind", "127.0.0.1"]);
    wait_for("a port is free", PATIENCE, || {
        let port = common::free_port().to_string();
        !client.call(&["CONFIG", "SET", "port", &port]).is_error()
    });
    let port = client.call(&["CONFIG", "GET", "port"]);
    let RespValue::Map(port) = port else {
        panic!("{port:?}");
    };
    let port = port[0].1.as_int().expect("a port");
    let port = u16::try_from(port).expect("a port");
    let mut stranger = common::RespClient::connect(port).expect("it listens");
    assert_eq!(stranger.call(&["GET", "key:7"]).text(), "v".repeat(1000));
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let _alone = alone();
    let before = Before::here();
    let mistakes = [
        Settings {
            databases: 0,
            ..Settings::embedded()
        },
        Settings {
            hz: 0,
            ..Settings::embedded()
        },
        Settings {
            shards: 1000,
            ..Settings::embedded()
        },
        Settings {
            dir: Some("/no/such/directory".into()),
            ..Settings::embedded()
        },
    ];
    let begins = [
        "databases 0: ",
        "hz 0: ",
        "shards 1000: ",
        "dir /no/such/directory: ",
    ];
    for (settings, begins) in mistakes.into_iter().zip(begins) {
        let error = Node::start(settings).expect_err("it makes no sense");
        assert!(matches!(error, StartError::Settings(_)), "{error:?}");
        assert!(error.to_string().starts_with(begins), "{error}");
    }
    before.is_again("after the refusals");
}

#[test]
fn nodes_that_share_a_directory_save_beside_each_other() {
    let _alone = alone();
    let directory = tempfile::tempdir().expect("a directory");
    let settings = |name: &str| Settings {
        dbfilename: name.into(),
        rdb_key_save_delay: 1000,
        ..with_dump(directory.path())
    };
    let names = ["one.rdb", "two.rdb"];
    let nodes = names.map(|name| start(settings(name)));
    for (index, node) in nodes.iter().enumerate() {
        fill(node, 100 * (index + 1));
    }
    // Both write before either has finished: a key takes a millisecond.
    for node in &nodes {
        ok(&mut node.client(), &["BGSAVE"]);
    }
    for node in nodes {
        let mut client = node.client();
        wait_for("it is saved", PATIENCE, || {
            info(&mut client, "rdb_bgsave_in_progress") == "0"
        });
        assert_eq!(info(&mut client, "rdb_last_bgsave_status"), "ok");
    }
    for (index, name) in names.into_iter().enumerate() {
        let node = start(settings(name));
        node.wait_ready(PATIENCE).expect("a whole dump");
        let keys = 100 * (index as i64 + 1);
        assert_eq!(node.client().call(&["DBSIZE"]), RespValue::Int(keys));
    }
}

/// Nodes in a state, the calls that wait in it, and what must live as long.
type State = (Vec<Node>, Vec<JoinHandle<RespValue>>);
/// Brings nodes into a state; their files are in the directory.
type Enter<'a> = &'a dyn Fn(&Path) -> State;

fn loading(directory: &Path) -> State {
    let node = start(with_dump(directory));
    fill(&node, 100);
    node.save_and_shutdown().expect("saved");
    let node = start(Settings {
        key_load_delay: 1_000_000_000,
        ..with_dump(directory)
    });
    assert!(!node.is_ready());
    assert!(matches!(
        node.wait_ready(Duration::ZERO),
        Err(StartError::Loading)
    ));
    (vec![node], Vec::new())
}

fn saving(directory: &Path) -> State {
    let node = start(Settings {
        rdb_key_save_delay: 1_000_000_000,
        ..with_dump(directory)
    });
    fill(&node, 100);
    ok(&mut node.client(), &["BGSAVE"]);
    let mut client = node.client();
    wait_for("it saves", PATIENCE, || {
        info(&mut client, "rdb_bgsave_in_progress") == "1"
    });
    (vec![node], Vec::new())
}

/// The master waits at each key; the replica has begun to load.
fn full_sync() -> Vec<Node> {
    let master = start(Settings {
        rdb_key_save_delay: 1_000_000_000,
        ..in_memory()
    });
    fill(&master, 5000);
    let replica = start(in_memory());
    follow(&replica, &master);
    let mut client = replica.client();
    wait_for("it loads", PATIENCE, || {
        info(&mut client, "master_sync_in_progress") == "1"
    });
    vec![master, replica]
}

fn blocked() -> State {
    let node = start(in_memory());
    let calls = vec![
        waiting(&node, &["BLPOP", "list", "0"], "blocked_clients"),
        waiting(&node, &["WAIT", "1", "0"], "blocked_clients"),
    ];
    (vec![node], calls)
}

fn paused() -> State {
    let node = start(in_memory());
    ok(
        &mut node.client(),
        &["CLIENT", "PAUSE", "10000000", "WRITE"],
    );
    let call = waiting(&node, &["SET", "key", "value"], "blocked_clients");
    (vec![node], vec![call])
}

/// A pause holds up the replica, so the master's failover waits for it.
fn failing_over() -> State {
    let (master, replica) = (start(in_memory()), start(in_memory()));
    follow(&replica, &master);
    wait_for_link(&replica);
    ok(
        &mut replica.client(),
        &["CLIENT", "PAUSE", "10000000", "WRITE"],
    );
    ok(&mut master.client(), &["SET", "key", "value"]);
    ok(&mut master.client(), &["FAILOVER"]);
    let mut client = master.client();
    assert_eq!(
        info(&mut client, "master_failover_state"),
        "waiting-for-sync"
    );
    let call = waiting(&master, &["SET", "key", "other"], "blocked_clients");
    (vec![master, replica], vec![call])
}

/// The master takes the connection and says nothing.
fn connecting(silent: &std::net::TcpListener) -> State {
    let port = silent.local_addr().expect("bound").port().to_string();
    let node = start(in_memory());
    ok(&mut node.client(), &["REPLICAOF", "127.0.0.1", &port]);
    (vec![node], Vec::new())
}

fn reloading(directory: &Path) -> State {
    let node = start(Settings {
        rdb_key_save_delay: 1_000_000_000,
        enable_debug_command: understudy::Protected::Yes,
        ..with_dump(directory)
    });
    fill(&node, 100);
    let mut client = node.client();
    let call = std::thread::spawn(move || client.call(&["DEBUG", "RELOAD"]));
    let mut client = node.client();
    wait_for("it reloads", PATIENCE, || {
        info(&mut client, "loading") == "1"
    });
    (vec![node], vec![call])
}

#[test]
fn a_node_ends_in_every_state() {
    let _alone = alone();
    let mut before = Before::here();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    before.descriptors += 1;
    let states: [(&str, Enter); 9] = [
        ("loading", &loading),
        ("saving", &saving),
        ("mid full sync", &|_| (full_sync(), Vec::new())),
        ("mid full sync, the replica first", &|_| {
            (full_sync().into_iter().rev().collect(), Vec::new())
        }),
        ("blocked", &|_| blocked()),
        ("paused", &|_| paused()),
        ("failing over", &|_| failing_over()),
        ("connecting", &|_| connecting(&silent)),
        ("reloading", &reloading),
    ];
    for (what, state) in states {
        for shut_down in [false, true] {
            let directory = tempfile::tempdir().expect("a directory");
            let (nodes, calls) = state(directory.path());
            for node in &nodes {
                before.watch(node);
            }
            in_time(what, move || {
                for node in nodes {
                    if shut_down {
                        node.shutdown();
                    } else {
                        drop(node);
                    }
                }
            });
            for call in calls {
                wait_for("the call comes back", PATIENCE, || call.is_finished());
                let reply = call.join().expect("no panic");
                assert!(is_closed(&reply), "{what}: {reply:?}");
            }
            before.is_again(what);
            let left: Vec<_> = std::fs::read_dir(directory.path())
                .expect("it is there")
                .flatten()
                .map(|entry| entry.file_name())
                .filter(|name| name != "dump.rdb")
                .collect();
            assert!(left.is_empty(), "{what}: {left:?}");
        }
    }
}
