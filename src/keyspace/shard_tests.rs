//! Watches, waiters and whole-keyspace work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::{Entered, Expiry, Keyspace, ReadyKey, Shard, WaitEnd, Waiter, WaiterState};
use crate::clients::client::Client;
use crate::data::Kind;
use crate::resp::Resp;

const NOW: i64 = 1000;

struct Bench {
    keyspace: Keyspace,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            keyspace: Keyspace::new(4, 3, 9),
        }
    }

    fn all(&self) -> Entered<'_> {
        self.keyspace.enter(self.keyspace.all())
    }

    fn len(&self, db: usize) -> usize {
        self.all().len(db)
    }

    fn set(&self, db: usize, key: &[u8], expiry: Expiry) {
        let hash = self.keyspace.hash(key);
        let mut entered = self.all();
        let shard = entered.shard_mut(hash);
        shard.dbs[db].set_string(key, hash, b"v", expiry);
        shard.touch(db, key, hash);
    }

    fn delete(&self, db: usize, key: &[u8]) {
        let hash = self.keyspace.hash(key);
        let mut entered = self.all();
        let shard = entered.shard_mut(hash);
        shard.dbs[db].delete(key, hash);
        shard.touch(db, key, hash);
    }

    /// Watches as WATCH does at `NOW`.
    fn watch(&self, db: usize, key: &[u8]) -> Arc<AtomicBool> {
        let dirty = Arc::<AtomicBool>::default();
        let hash = self.keyspace.hash(key);
        let mut entered = self.all();
        let shard = entered.shard_mut(hash);
        let entry = shard.dbs[db].get(key, hash);
        let expired = entry.is_some_and(|e| e.is_expired(NOW));
        shard.watch(db, key, &dirty, expired);
        dirty
    }
}

fn is_dirty(flag: &AtomicBool) -> bool {
    flag.load(Ordering::Acquire)
}

#[test]
fn a_change_of_a_watched_key_is_seen_by_its_watchers_only() {
    let bench = Bench::new();
    let here = bench.watch(0, b"a");
    let other_key = bench.watch(0, b"b");
    let other_db = bench.watch(1, b"a");
    bench.set(0, b"a", Expiry::Clear);
    assert!(is_dirty(&here) && !is_dirty(&other_key) && !is_dirty(&other_db));
    let mut entered = bench.all();
    let hash = bench.keyspace.hash(b"b");
    let shard = entered.shard_mut(hash);
    let ended = Arc::<AtomicBool>::default();
    let number = shard.watch(0, b"b", &ended, false);
    shard.unwatch(0, b"b", number);
    shard.touch(0, b"b", hash);
    assert!(is_dirty(&other_key) && !is_dirty(&ended));
}

#[test]
fn deleting_what_was_expired_at_watch_is_no_change_but_setting_it_is() {
    let bench = Bench::new();
    bench.set(0, b"old", Expiry::At(NOW - 1));
    let dirty = bench.watch(0, b"old");
    bench.delete(0, b"old");
    assert!(!is_dirty(&dirty));
    bench.set(0, b"old", Expiry::Clear);
    assert!(is_dirty(&dirty));
}

#[test]
fn a_flush_touches_only_watched_keys_that_exist() {
    let bench = Bench::new();
    bench.set(0, b"there", Expiry::Clear);
    bench.set(0, b"expired", Expiry::At(NOW - 1));
    bench.set(1, b"other", Expiry::Clear);
    let there = bench.watch(0, b"there");
    let absent = bench.watch(0, b"absent");
    let expired = bench.watch(0, b"expired");
    let other = bench.watch(1, b"other");
    let dropped = bench.all().flush(Some(0));
    assert_eq!(dropped.keys(), 2);
    drop(dropped);
    assert!(is_dirty(&there) && !is_dirty(&absent) && !is_dirty(&expired) && !is_dirty(&other));
    assert_eq!((bench.len(0), bench.len(1)), (0, 1));
    drop(bench.all().flush(None));
    assert!(is_dirty(&other));
    assert!(bench.all().is_empty(1));
}

#[test]
fn swapping_touches_what_exists_on_either_side() {
    let bench = Bench::new();
    bench.set(0, b"both", Expiry::Clear);
    bench.set(1, b"both", Expiry::Clear);
    bench.set(1, b"theirs", Expiry::Clear);
    bench.set(1, b"their-expired", Expiry::At(NOW - 1));
    let both = bench.watch(0, b"both");
    let theirs = bench.watch(0, b"theirs");
    let neither = bench.watch(0, b"neither");
    let their_expired = bench.watch(0, b"their-expired");
    bench.all().swap_dbs(0, 1, NOW);
    assert!(is_dirty(&both) && is_dirty(&theirs));
    assert!(!is_dirty(&neither) && !is_dirty(&their_expired));
    assert_eq!((bench.len(0), bench.len(1)), (3, 1));
}

#[test]
fn a_dataset_built_aside_replaces_everything_at_once() {
    let bench = Bench::new();
    for n in 0..500 {
        bench.set(0, format!("old:{n}").as_bytes(), Expiry::Clear);
    }
    let watched = bench.watch(0, b"old:3");
    let mut builder = bench.keyspace.builder();
    builder.reserve(2, 300);
    for n in 0..300 {
        let key = format!("new:{n}");
        assert!(builder.insert_string(2, key.as_bytes(), b"v", Some(5000), 7));
    }
    assert!(!builder.insert_string(2, b"new:0", b"w", None, 7));
    assert_eq!(builder.keys(), 300);
    let dropped = bench.all().replace(builder.finish(), NOW);
    assert_eq!(dropped.keys(), 500);
    drop(dropped);
    assert!(is_dirty(&watched));
    let entered = bench.all();
    assert_eq!(
        (entered.len(0), entered.len(2), entered.expires(2)),
        (0, 300, 299)
    );
    for n in 0..300 {
        let key = format!("new:{n}").into_bytes();
        let hash = bench.keyspace.hash(&key);
        assert!(
            entered.shard(hash).dbs[2]
                .get(&key, hash)
                .is_some_and(|e| e.lru == 7)
        );
    }
}

fn waiter(number: u64, kind: Kind) -> Arc<Waiter> {
    waiter_for(number, kind, false)
}

fn waiter_for(number: u64, kind: Kind, on_deletion: bool) -> Arc<Waiter> {
    let client = Client::new(1, "a:1".into(), "b:2".into(), 0);
    Waiter::new(
        number,
        client,
        vec![Bytes::from_static(b"list")],
        0,
        Resp::V2,
        0..1,
        None,
        kind,
        on_deletion,
        true,
        false,
        0,
    )
}

#[test]
fn ready_keys_are_listed_once_and_waiters_stand_in_order() {
    let bench = Bench::new();
    let key = Bytes::from_static(b"list");
    let hash = bench.keyspace.hash(&key);
    let (first, second) = (waiter(1, Kind::List), waiter(3, Kind::List));
    let other = waiter(2, Kind::Zset);
    let mut entered = bench.all();
    let shard = entered.shard_mut(hash);
    shard.signal_ready(0, b"list");
    assert!(shard.take_ready().is_empty());
    for one in [&first, &other, &second, &second] {
        shard.block(0, &key, one);
    }
    shard.signal_ready(0, b"list");
    shard.signal_ready(0, b"list");
    shard.signal_ready(1, b"list");
    let ready = shard.take_ready();
    assert_eq!(ready.len(), 1);
    assert_eq!(
        (ready[0].db, &ready[0].key, ready[0].filled),
        (0, &key, true)
    );
    let next = |shard: &mut Shard, kind, after| {
        let next = shard.blocked.next(&ready[0], Some(kind), after);
        next.map(|waiter| waiter.number)
    };
    assert_eq!(next(shard, Kind::List, None), Some(1));
    assert_eq!(next(shard, Kind::List, Some(1)), Some(3));
    assert_eq!(next(shard, Kind::List, Some(3)), None);
    assert_eq!(next(shard, Kind::Zset, None), Some(2));
    assert!(first.claim());
    first.finish(WaitEnd::TimedOut);
    assert_eq!(next(shard, Kind::List, None), Some(3));
    shard.unblock(0, &key, &second);
    shard.unblock(0, &key, &other);
    assert!(shard.blocked.is_empty());
}

#[test]
fn swapping_in_a_key_somebody_waits_for_makes_it_ready() {
    let bench = Bench::new();
    bench.set(1, b"list", Expiry::Clear);
    let key = Bytes::from_static(b"list");
    let hash = bench.keyspace.hash(&key);
    let mut entered = bench.all();
    entered
        .shard_mut(hash)
        .block(0, &key, &waiter(1, Kind::List));
    entered.swap_dbs(0, 1, NOW);
    assert_eq!(entered.shard_mut(hash).take_ready().len(), 1);
}

#[test]
fn waits_that_ended_elsewhere_are_dropped() {
    let bench = Bench::new();
    let hash = bench.keyspace.hash(b"list");
    let mut entered = bench.all();
    let shard = entered.shard_mut(hash);
    let here = waiter(0, Kind::List);
    shard.block(0, b"list", &here);
    for number in 1..10_000 {
        let gone = waiter(number, Kind::List);
        shard.block(0, b"list", &gone);
        shard.block(0, format!("list{number}").as_bytes(), &gone);
        assert!(gone.abandon());
    }
    assert!(shard.blocked.keys() < 200 && Arc::strong_count(&here) == 2);
    shard.unblock(0, b"list", &here);
    assert_eq!(Arc::strong_count(&here), 1);
}

#[test]
fn only_one_ends_a_wait() {
    let wait = waiter(1, Kind::List);
    assert!(wait.claim());
    assert!(!wait.claim());
    assert!(!wait.abandon());
    wait.resume();
    assert!(wait.claim());
    assert_eq!(wait.state(), WaiterState::Serving);
    wait.finish(WaitEnd::Unblocked);
    assert!(!wait.claim() && !wait.abandon());
    assert_eq!(wait.state(), WaiterState::Done(WaitEnd::Unblocked));
}

/// The keys on the ready list of the shard with key `k`, and whether they got elements.
fn take_ready(entered: &mut Entered<'_>, hash: u64) -> Vec<(usize, bool)> {
    let ready = entered.shard_mut(hash).take_ready().into_iter();
    ready.map(|ready| (ready.db, ready.filled)).collect()
}

#[test]
fn who_waits_for_a_keys_end_hears_of_it() {
    for on_deletion in [false, true] {
        let bench = Bench::new();
        let hash = bench.keyspace.hash(b"k");
        for db in 0..2 {
            bench.set(db, b"k", Expiry::Clear);
        }
        let mut entered = bench.all();
        let shard = entered.shard_mut(hash);
        shard.block(0, b"k", &waiter_for(1, Kind::List, on_deletion));
        shard.block(1, b"k", &waiter_for(2, Kind::List, on_deletion));
        assert_eq!(shard.is_observed(), on_deletion);
        let gone = |db: usize| {
            if on_deletion {
                vec![(db, false)]
            } else {
                vec![]
            }
        };
        // Changed or deleted; once, however often before somebody looks.
        entered.shard_mut(hash).touch(0, b"k", hash);
        entered.shard_mut(hash).touch(0, b"k", hash);
        assert_eq!(take_ready(&mut entered, hash), gone(0));
        entered.shard_mut(hash).touch(0, b"other", hash);
        assert_eq!(take_ready(&mut entered, hash), []);
        // Filled after it was deleted.
        entered.shard_mut(hash).touch(0, b"k", hash);
        entered.shard_mut(hash).signal_ready(0, b"k");
        assert_eq!(take_ready(&mut entered, hash), [(0, true)]);
        // Flushed, and exchanged for one that is there no more.
        drop(entered.flush(Some(1)));
        assert_eq!(take_ready(&mut entered, hash), gone(1));
        entered.swap_dbs(0, 1, NOW);
        let both = take_ready(&mut entered, hash);
        assert!(both.contains(&(1, true)), "{both:?}");
        assert_eq!(both.contains(&(0, false)), on_deletion, "{both:?}");
        let empty = bench.keyspace.builder().finish();
        drop(entered.replace(empty, NOW));
        assert_eq!(
            take_ready(&mut entered, hash).len(),
            if on_deletion { 2 } else { 0 }
        );
        entered.shard_mut(hash).blocked.take_all();
        entered.shard_mut(hash).touch(0, b"k", hash);
        assert!(!entered.shard_mut(hash).is_observed());
    }
}

#[test]
fn a_ready_key_lets_those_go_on_whose_wish_is_met() {
    let bench = Bench::new();
    let hash = bench.keyspace.hash(b"k");
    let mut entered = bench.all();
    let shard = entered.shard_mut(hash);
    shard.block(0, b"k", &waiter_for(1, Kind::List, false));
    shard.block(0, b"k", &waiter_for(2, Kind::Zset, true));
    shard.block(0, b"k", &waiter_for(3, Kind::List, true));
    let mut served = |kind: Option<Kind>, filled: bool| {
        let ready = ReadyKey {
            db: 0,
            key: Bytes::from_static(b"k"),
            filled,
        };
        let mut numbers = Vec::new();
        while let Some(waiter) = shard.blocked.next(&ready, kind, numbers.last().copied()) {
            numbers.push(waiter.number);
        }
        numbers
    };
    assert_eq!(served(Some(Kind::List), true), [1, 2, 3]);
    assert_eq!(served(Some(Kind::List), false), [2]);
    assert_eq!(served(Some(Kind::Zset), true), [2, 3]);
    assert_eq!(served(Some(Kind::String), true), [2, 3]);
    assert_eq!(served(None, false), [2, 3]);
}
