//! Entering shards from several threads: nobody is inside together, nobody is forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::{Entered, Expiry, Keyspace, ShardSet};
use crate::data::{StrRef, ValueRef};

/// Wakes by unparking a thread; counts.
struct Bell {
    thread: std::thread::Thread,
    rung: AtomicUsize,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.fetch_add(1, Ordering::Release);
        self.thread.unpark();
    }
}

fn bell() -> (Arc<Bell>, Waker) {
    let bell = Arc::new(Bell {
        thread: std::thread::current(),
        rung: AtomicUsize::new(0),
    });
    let waker = Waker::from(bell.clone());
    (bell, waker)
}

/// Enters as a task does. Panics if nobody wakes it.
fn enter_by_waking<'k>(
    keyspace: &'k Keyspace,
    set: ShardSet,
    bell: &Bell,
    waker: &Waker,
) -> Entered<'k> {
    loop {
        let rung = bell.rung.load(Ordering::Acquire);
        if let Poll::Ready(entered) = keyspace.poll_enter(set, &Context::from_waker(waker)) {
            return entered;
        }
        let mut patience = 0;
        while bell.rung.load(Ordering::Acquire) == rung {
            std::thread::park_timeout(Duration::from_secs(5));
            patience += 1;
            assert!(patience < 4, "a wake was lost");
        }
    }
}

fn number(entered: &Entered<'_>, shard: usize) -> i64 {
    let hash = 0;
    match entered.at(shard).dbs[0].get(b"n", hash).map(|e| e.value) {
        Some(ValueRef::String(StrRef::Int(n))) => n,
        _ => 0,
    }
}

#[test]
fn threads_never_meet_inside_and_all_get_in() {
    const SHARDS: usize = 3;
    const THREADS: usize = 4;
    const ROUNDS: usize = 3000;
    let keyspace = Keyspace::new(SHARDS, 1, 1);
    let inside: [AtomicBool; SHARDS] = Default::default();
    let expected: [AtomicUsize; SHARDS] = Default::default();
    std::thread::scope(|scope| {
        for seed in 0..THREADS as u64 {
            let (keyspace, inside, expected) = (&keyspace, &inside, &expected);
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(seed);
                let (bell, waker) = bell();
                for _ in 0..ROUNDS {
                    let set = ShardSet(rng.u64(1..1 << SHARDS));
                    let mut entered = if rng.u8(..) < 16 {
                        keyspace.enter(set)
                    } else {
                        enter_by_waking(keyspace, set, &bell, &waker)
                    };
                    for shard in set.iter() {
                        assert!(!inside[shard].swap(true, Ordering::SeqCst));
                        let n = number(&entered, shard) + 1;
                        let text = n.to_string();
                        let db = &mut entered.at_mut(shard).dbs[0];
                        db.set_string(b"n", 0, text.as_bytes(), Expiry::Clear);
                        expected[shard].fetch_add(1, Ordering::SeqCst);
                    }
                    if rng.u8(..) < 8 {
                        // Long enough for the others to give up spinning.
                        for _ in 0..20_000 {
                            std::hint::spin_loop();
                        }
                    }
                    for shard in set.iter() {
                        inside[shard].store(false, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let entered = keyspace.enter(keyspace.all());
    for (shard, expected) in expected.iter().enumerate() {
        assert_eq!(
            number(&entered, shard),
            expected.load(Ordering::SeqCst) as i64
        );
    }
}

#[test]
fn a_busy_shard_refuses_and_then_wakes() {
    let keyspace = Keyspace::new(2, 1, 1);
    let held = keyspace.enter(ShardSet::one(0));
    let (bell, waker) = bell();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let task = Context::from_waker(&waker);
            assert!(keyspace.poll_enter(keyspace.all(), &task).is_pending());
            // What was taken on the way was given back.
            assert!(keyspace.try_enter(ShardSet::one(1)).is_some());
        });
    });
    // Each of the shards wakes, the one that was free as well.
    assert_eq!(bell.rung.load(Ordering::SeqCst), 1);
    drop(held);
    assert_eq!(bell.rung.load(Ordering::SeqCst), 2);
    assert_eq!(keyspace.contention(0).found_busy, 2);
    assert!(keyspace.try_enter(keyspace.all()).is_some());
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "from inside it")]
fn entering_from_inside_is_noticed() {
    let keyspace = Keyspace::new(2, 1, 1);
    let _held = keyspace.enter(ShardSet::one(0));
    let _ = keyspace.try_enter(ShardSet::one(1));
}

#[test]
fn keys_spread_over_any_number_of_shards() {
    for shards in [1, 3, 8, 64] {
        let keyspace = Keyspace::new(shards, 1, 5);
        let mut counts = vec![0usize; shards];
        for n in 0..64_000 {
            counts[keyspace.shard_of(keyspace.hash(format!("key:{n}").as_bytes()))] += 1;
        }
        let mean = 64_000 / shards;
        assert!(
            counts
                .iter()
                .all(|&n| n > mean * 8 / 10 && n < mean * 12 / 10),
            "{counts:?}"
        );
    }
}

#[test]
fn sets_of_shards() {
    let mut set = ShardSet::NONE;
    assert!(set.is_empty());
    set.add(3);
    set.add(63);
    assert_eq!(set.iter().collect::<Vec<_>>(), [3, 63]);
    assert!(ShardSet::all(64).contains(set));
    assert!(!ShardSet::all(8).contains(set));
}
