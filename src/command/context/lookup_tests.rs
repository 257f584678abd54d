//! Logical expiry, statistics and events as the keys are looked up.

use crate::command::context::bench::{Bench, START_MS};
use crate::config::{EventFlags, MaxmemoryPolicy, Settings};
use crate::session::Origin;

/// A bench with `k` set and past its time by a millisecond.
fn expired(settings: Settings) -> Bench {
    let mut bench = Bench::with(settings);
    bench.line("SET k v PX 100");
    bench.clock.advance_ms(101);
    bench
}

fn keys(bench: &Bench) -> usize {
    bench.node.keyspace.enter(bench.node.keyspace.all()).len(0)
}

#[test]
fn a_key_lives_through_the_millisecond_it_names() {
    let mut bench = Bench::new();
    bench.line("SET k v PX 100");
    bench.clock.advance_ms(100);
    assert_eq!(bench.reply("GET k"), "$1 v");
    bench.clock.advance_ms(1);
    assert_eq!(bench.reply("GET k"), "$-1");
}

#[test]
fn a_master_deletes_what_it_finds_expired_and_says_so() {
    for (lazy, name) in [(false, "DEL"), (true, "UNLINK")] {
        let mut bench = expired(Settings {
            lazyfree_lazy_expire: lazy,
            ..Settings::default()
        });
        assert_eq!(keys(&bench), 1);
        let want = ("$-1".to_owned(), format!("{name} k"));
        assert_eq!(bench.line("GET k"), want);
        assert_eq!(keys(&bench), 0);
        assert_eq!(bench.node.stats.expired_keys.get(), 1);
        assert_eq!(bench.line("GET k"), ("$-1".to_owned(), String::new()));
        assert_eq!(bench.node.stats.keyspace_misses.get(), 2);
    }
}

#[test]
fn the_deletion_comes_before_what_the_command_itself_does() {
    let mut bench = expired(Settings::default());
    let (reply, effects) = bench.line("INCR k");
    assert_eq!((reply.as_str(), effects.as_str()), (":1", "DEL k; INCR k"));
}

#[test]
fn a_replica_hides_what_is_expired_and_leaves_it_there() {
    let mut bench = expired(Settings::default());
    bench.node.hub.follow("master".into(), 6379);
    assert_eq!(bench.line("GET k"), ("$-1".to_owned(), String::new()));
    assert_eq!(bench.reply("EXISTS k"), ":0");
    assert_eq!(keys(&bench), 1);
    assert_eq!(bench.node.stats.expired_keys.get(), 0);
}

#[test]
fn the_masters_commands_see_the_key_as_it_is() {
    let mut bench = expired(Settings::default());
    bench.node.hub.follow("master".into(), 6379);
    bench.session.origin = Origin::Master;
    assert_eq!(bench.reply("APPEND k w"), ":2");
    assert_eq!(keys(&bench), 1);
}

#[test]
fn lookups_count_hits_and_misses_but_writes_do_not() {
    let mut bench = Bench::new();
    let stats = |bench: &Bench| {
        let stats = &bench.node.stats;
        (stats.keyspace_hits.get(), stats.keyspace_misses.get())
    };
    bench.line("SADD s a");
    bench.line("SADD s b");
    assert_eq!(stats(&bench), (0, 0));
    bench.line("SCARD s");
    bench.line("GET nothing");
    bench.line("SINTER s nothing");
    assert_eq!(stats(&bench), (2, 2));
    bench.line("OBJECT ENCODING s");
    bench.line("OBJECT REFCOUNT nothing");
    bench.line("OBJECT IDLETIME s");
    bench.line("OBJECT FREQ nothing");
    assert_eq!(stats(&bench), (4, 4));
}

#[test]
fn access_is_stamped_by_the_policy() {
    let lru = |bench: &Bench| {
        let entered = bench.node.keyspace.enter(bench.node.keyspace.all());
        let hash = bench.node.keyspace.hash(b"k");
        entered.shard(hash).dbs[0].get(b"k", hash).map(|e| e.lru)
    };
    let mut bench = Bench::new();
    bench.line("SET k v");
    let start = (START_MS / 1000) as u32 & 0xff_ffff;
    assert_eq!(lru(&bench), Some(start));
    bench.clock.advance_ms(10_000);
    bench.line("TYPE k");
    assert_eq!(lru(&bench), Some(start));
    bench.line("GET k");
    assert_eq!(lru(&bench), Some(start + 10));
    bench.session.no_touch = true;
    bench.clock.advance_ms(10_000);
    bench.line("GET k");
    assert_eq!(lru(&bench), Some(start + 10));

    let mut bench = Bench::with(Settings {
        maxmemory_policy: MaxmemoryPolicy::AllkeysLfu,
        ..Settings::default()
    });
    bench.line("SET k v");
    assert_eq!(lru(&bench).map(|lru| lru & 0xff), Some(5));
    bench.line("GET k");
    assert_eq!(lru(&bench).map(|lru| lru & 0xff), Some(6));
    bench.clock.advance_ms(60_000 * 3);
    bench.line("GET k");
    assert!(lru(&bench).is_some_and(|lru| (3..=4).contains(&(lru & 0xff))));
}

#[test]
fn large_values_go_to_the_background() {
    let mut bench = Bench::new();
    for n in 0..100 {
        bench.line(&format!("RPUSH list {n}"));
    }
    bench.line("SET small x");
    bench.line("DEL small");
    assert_eq!(bench.node.lazyfree.pending(), 0);
    bench.line("DEL list");
    assert_eq!(bench.node.lazyfree.pending(), 1);
    drop(bench.node.lazyfree.take());
    assert_eq!(bench.node.lazyfree.freed(), 1);
}

#[test]
fn events_are_published_on_the_channels_that_are_wanted() {
    let heard = |letters: &str| {
        let mut bench = Bench::with(Settings {
            notify_keyspace_events: EventFlags::parse(letters).unwrap_or_default(),
            ..Settings::default()
        });
        bench.reply("PSUBSCRIBE __key*");
        let waker = futures_waker();
        bench.session.client.take_output(&waker);
        bench.line("SET k v PX 10");
        bench.clock.advance_ms(11);
        bench.line("GET k");
        let pushed = bench.session.client.take_output(&waker);
        let text = String::from_utf8_lossy(&pushed.into_bytes()).into_owned();
        let words: Vec<&str> = text
            .split("\r\n")
            .filter(|w| w.starts_with("__key") && !w.ends_with('*'))
            .collect();
        words.join(" ")
    };
    assert_eq!(heard(""), "");
    assert_eq!(heard("Kx"), "__keyspace@0__:k");
    assert_eq!(heard("Ex"), "__keyevent@0__:expired");
    assert_eq!(
        heard("E$gnxm"),
        "__keyevent@0__:new __keyevent@0__:set __keyevent@0__:expire \
         __keyevent@0__:expired __keyevent@0__:keymiss"
    );
}

fn futures_waker() -> std::task::Waker {
    std::task::Waker::noop().clone()
}
