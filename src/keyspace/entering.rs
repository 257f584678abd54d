//! Entering shards: the one place that takes shard locks.
//!
//! Each shard has a lock: a parking_lot one, and the wakers of those that found it busy.
//! A thread enters a set of shards in index order and is inside all of them until its [`Entered`] is
//! dropped. Commands use [`Keyspace::try_enter`], which spins for a moment and never blocks. Where it fails, the
//! task that runs them uses [`Keyspace::poll_enter`]: it is polled again when somebody leaves.
//!
//! Invariants:
//! - Locks are taken in rising index order and nowhere else, so there is no deadlock.
//! - Nothing can enter while inside: an `Entered` gives out no way to, and debug builds check it.
//! - A shard that somebody was inside when a panic passed through may be half changed: its lock is never given back
//!   (*poisoned*), so nobody enters it again but `Keyspace::seal`, and the node is told (`Keyspace::on_poison`).
//! - No wake is lost: a waiter sets `awaited` and then tries the lock; a leaver unlocks and then looks at
//!   `awaited`; both put a full fence in between, so one of them sees the other.

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::keyspace::wakers::Wakers;
use crate::locks::{AtomicBool, Mutex, RawLock, fence};
use crate::may_block::{self, may_block_here};

use super::{DatasetBuilder, KeyHasher, Shard};

/// How often a busy lock is looked at before `try_enter` gives up. A look takes 13 ns (three times that on some
/// processors); a command stays a few hundred nanoseconds, and a prefetch up to two microseconds. With 60
/// looks two arbiters under pipelined GETs put off one command in 70, which then comes again with its whole
/// batch; with 200, one in 300, for the same processor time.
const SPINS: u32 = if cfg!(feature = "model") { 1 } else { 200 };
/// How often a thread that waits for a shard looks whether it has been poisoned.
const POISON_LOOK: Duration = Duration::from_millis(50);

/// Which shards a request needs: a bit per shard (at most 64 shards).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardSet(pub u64);

impl ShardSet {
    pub const NONE: ShardSet = ShardSet(0);

    pub fn all(shards: usize) -> ShardSet {
        ShardSet(if shards >= 64 {
            u64::MAX
        } else {
            (1 << shards) - 1
        })
    }

    pub fn one(shard: usize) -> ShardSet {
        ShardSet(1 << shard)
    }

    pub fn add(&mut self, shard: usize) {
        self.0 |= 1 << shard;
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn contains(self, other: ShardSet) -> bool {
        self.0 & other.0 == other.0
    }

    /// The shards' indexes, rising.
    pub fn iter(self) -> Indexes {
        Indexes(self.0)
    }
}

/// The indexes of a [`ShardSet`], rising.
#[derive(Clone, Copy, Debug)]
pub struct Indexes(u64);

impl Iterator for Indexes {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let index = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(index)
    }
}

/// A shard and its lock, on cache lines of their own.
#[repr(align(128))]
struct ShardLock {
    raw: RawLock,
    /// Whether `waiters` may hold somebody.
    awaited: AtomicBool,
    waiters: Mutex<Wakers>,
    /// Changes of the dataset made by those inside; written only under the lock.
    changes: AtomicU64,
    /// How often somebody found the shard busy and gave up.
    found_busy: AtomicU64,
    /// How often a look at the lock failed but a later one of the same spin did not.
    found_contended: AtomicU64,
    shard: UnsafeCell<Shard>,
}

// SAFETY: `shard` is reached only through an `Entered`, which holds `lock` for as long as it lives.
unsafe impl Sync for ShardLock {}

/// All shards of a node.
pub struct Keyspace {
    hasher: Arc<KeyHasher>,
    /// How many snapshots were begun.
    snapshots: AtomicU32,
    /// How many waits for keys were begun.
    waits: AtomicU64,
    databases: usize,
    locks: Box<[ShardLock]>,
    /// The poisoned shards, a bit each.
    poisoned: AtomicU64,
    /// Every shard is entered for good.
    sealed: AtomicBool,
    on_poison: OnceLock<Poisoned>,
}

/// Told that shards have been poisoned; called while the panic unwinds, so it must not panic.
pub(crate) type Poisoned = Box<dyn Fn(ShardSet) + Send + Sync>;

/// How contended the locks have been, for INFO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contention {
    /// Entrances that had to wait asynchronously.
    pub found_busy: u64,
    /// Entrances that had to spin.
    pub found_contended: u64,
}

/// What became of a wait for shards.
pub(crate) enum Entrance<'k> {
    Entered(Entered<'k>),
    /// It was given up.
    Stopped,
    /// One of the shards is poisoned or sealed.
    Lost,
}

/// Shards entered: while this lives, nobody else is inside them.
pub struct Entered<'k> {
    keyspace: &'k Keyspace,
    set: ShardSet,
    /// The thread was unwinding already when it entered: its panic is no news of these shards.
    unwinding: bool,
    /// A lock is given back by the thread that took it.
    not_send: PhantomData<*mut ()>,
}

impl Keyspace {
    /// `shards` 1..=64; `seed` makes the key hash unpredictable.
    pub fn new(shards: usize, databases: usize, seed: u64) -> Keyspace {
        assert!((1..=64).contains(&shards), "shards are a bit each");
        let hasher = Arc::new(KeyHasher::new(seed));
        let locks = (0..shards)
            .map(|_| ShardLock {
                raw: RawLock::new(),
                awaited: AtomicBool::new(false),
                waiters: Mutex::default(),
                changes: AtomicU64::new(0),
                found_busy: AtomicU64::new(0),
                found_contended: AtomicU64::new(0),
                shard: UnsafeCell::new(Shard::new(databases, &hasher)),
            })
            .collect();
        Keyspace {
            hasher,
            snapshots: AtomicU32::new(0),
            waits: AtomicU64::new(0),
            databases,
            locks,
            poisoned: AtomicU64::new(0),
            sealed: AtomicBool::new(false),
            on_poison: OnceLock::new(),
        }
    }

    /// Has `told` called whenever shards are poisoned. The first call counts.
    pub(crate) fn on_poison(&self, told: Poisoned) {
        let _ = self.on_poison.set(told);
    }

    /// The shards that may be half changed, since a panic passed through a thread that was inside.
    pub fn poisoned(&self) -> ShardSet {
        ShardSet(self.poisoned.load(Ordering::Acquire))
    }

    pub fn shards(&self) -> usize {
        self.locks.len()
    }

    pub fn databases(&self) -> usize {
        self.databases
    }

    pub fn hasher(&self) -> &Arc<KeyHasher> {
        &self.hasher
    }

    /// A number for a new snapshot; never 0.
    pub(crate) fn next_snapshot_id(&self) -> u32 {
        loop {
            let id = self
                .snapshots
                .fetch_add(1, Ordering::Relaxed)
                .wrapping_add(1);
            if id != 0 {
                return id;
            }
        }
    }

    /// An empty dataset in this keyspace's shape, to be filled aside and swapped in by `Entered::replace`.
    pub fn builder(&self) -> DatasetBuilder {
        DatasetBuilder::new(self.locks.len(), self.databases, &self.hasher)
    }

    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash(key)
    }

    #[inline]
    pub fn shard_of(&self, hash: u64) -> usize {
        shard_of(hash, self.locks.len())
    }

    /// The set of every shard.
    pub fn all(&self) -> ShardSet {
        ShardSet::all(self.locks.len())
    }

    /// Enters the shards if none is busy (after a short spin); never blocks.
    pub fn try_enter(&self, set: ShardSet) -> Option<Entered<'_>> {
        inside::check(self);
        for index in set.iter() {
            let lock = &self.locks[index];
            if !lock.raw.try_lock() && !lock.spin() {
                lock.found_busy.fetch_add(1, Ordering::Relaxed);
                let taken = set.0 & ((1 << index) - 1);
                // SAFETY: exactly these were locked by the turns of this loop before.
                unsafe { self.leave(ShardSet(taken)) };
                return None;
            }
        }
        Some(self.entered(set))
    }

    /// Enters those of the shards that nobody is in, without waiting for the others: for prefetching.
    pub fn try_enter_free(&self, set: ShardSet) -> Entered<'_> {
        inside::check(self);
        for index in set.iter() {
            self.locks[index].prefetch();
        }
        let mut taken = ShardSet::NONE;
        for index in set.iter() {
            if self.locks[index].raw.try_lock() {
                taken.add(index);
            }
        }
        self.entered(taken)
    }

    /// Enters all of the shards, or those of them that are free: for taking traces out that are looked for again.
    pub fn try_enter_some(&self, set: ShardSet) -> Entered<'_> {
        self.try_enter(set)
            .unwrap_or_else(|| self.try_enter_free(set))
    }

    /// No shard at all: what a batch begins and ends with. May be had while inside others.
    pub fn enter_none(&self) -> Entered<'_> {
        Entered {
            keyspace: self,
            set: ShardSet::NONE,
            unwinding: false,
            not_send: PhantomData,
        }
    }

    /// Enters, blocking the thread, where no shard can have been poisoned: in tests and benchmarks.
    ///
    /// # Panics
    ///
    /// If one of the shards is poisoned or sealed.
    pub fn enter(&self, set: ShardSet) -> Entered<'_> {
        self.enter_unless_poisoned(set)
            .expect("none of the shards is poisoned")
    }

    /// Enters, blocking the thread; None if one of the shards is poisoned or sealed. Not for arbiters that serve
    /// connections. While one is waited for, none is held: a script may wait for others from inside some
    /// (`Entered::try_extend`).
    pub fn enter_unless_poisoned(&self, set: ShardSet) -> Option<Entered<'_>> {
        match self.enter_or_stop(set, || false) {
            Entrance::Entered(entered) => Some(entered),
            Entrance::Stopped | Entrance::Lost => None,
        }
    }

    /// As [`Keyspace::enter_unless_poisoned`], but gives up when `stops`, which is asked now and then.
    pub(crate) fn enter_or_stop(&self, set: ShardSet, stops: impl Fn() -> bool) -> Entrance<'_> {
        inside::check(self);
        may_block_here();
        let mut waited_for = None;
        loop {
            let mut taken = ShardSet::NONE;
            let index: Option<usize> = waited_for;
            if let Some(index) = index {
                while !self.locks[index].raw.try_lock_for(POISON_LOOK) {
                    if self.is_lost(index) {
                        return Entrance::Lost;
                    }
                    if stops() {
                        return Entrance::Stopped;
                    }
                }
                taken.add(index);
            }
            let others = ShardSet(set.0 & !taken.0);
            let busy = others.iter().find(|&index| {
                let lock = &self.locks[index];
                let is_busy = !lock.raw.try_lock() && !lock.spin();
                if !is_busy {
                    taken.add(index);
                }
                is_busy
            });
            let Some(busy) = busy else {
                return Entrance::Entered(self.entered(set));
            };
            // SAFETY: exactly these were locked here.
            unsafe { self.leave(taken) };
            waited_for = Some(busy);
        }
    }

    fn is_lost(&self, shard: usize) -> bool {
        self.sealed.load(Ordering::Acquire) || self.poisoned().contains(ShardSet::one(shard))
    }

    /// Enters every shard for good, the poisoned ones too, for a last look at the data: they are never left. None if
    /// it was done before, or if a thread inside has not left by `timeout`. Blocks the thread.
    pub(crate) fn seal(&self, timeout: Duration) -> Option<ManuallyDrop<Entered<'_>>> {
        inside::check(self);
        if self.sealed.swap(true, Ordering::AcqRel) {
            return None;
        }
        let until = Instant::now() + timeout;
        for index in self.all().iter() {
            let lock = &self.locks[index];
            // A poisoned one's lock is held by nobody that lives, and never given back.
            while !self.poisoned().contains(ShardSet::one(index))
                && !lock.raw.try_lock_for(POISON_LOOK)
            {
                if Instant::now() > until {
                    return None;
                }
            }
        }
        let entered = self.entered(self.all());
        // Nobody is to enter these any more, so nobody waits while the data is written.
        may_block::lock_left();
        Some(ManuallyDrop::new(entered))
    }

    fn entered(&self, set: ShardSet) -> Entered<'_> {
        if !set.is_empty() {
            inside::enter(self);
            may_block::lock_taken();
        }
        Entered {
            keyspace: self,
            set,
            unwinding: std::thread::panicking(),
            not_send: PhantomData,
        }
    }

    /// The shards stay entered for good: a panic passes through the thread inside.
    #[cold]
    fn poison(&self, set: ShardSet) {
        self.poisoned.fetch_or(set.0, Ordering::AcqRel);
        if let Some(told) = self.on_poison.get() {
            told(set);
        }
    }

    /// Enters the shards, or has the task woken when one that was busy is left; never blocks.
    pub fn poll_enter(&self, set: ShardSet, cx: &Context<'_>) -> Poll<Entered<'_>> {
        if let Some(entered) = self.try_enter(set) {
            return Poll::Ready(entered);
        }
        // Registered first, tried after: a shard that is left in between is not missed.
        self.wake_when_free(set, cx.waker());
        match self.try_enter(set) {
            Some(entered) => Poll::Ready(entered),
            None => Poll::Pending,
        }
    }

    /// Has `waker` woken when one of the shards is next left.
    fn wake_when_free(&self, set: ShardSet, waker: &Waker) {
        for index in set.iter() {
            let lock = &self.locks[index];
            lock.waiters.lock().add(waker);
            lock.awaited.store(true, Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
    }

    /// The number of a wait for keys that begins now. Asked with the shards of its keys entered, so that a client
    /// that comes later to a key has the higher one.
    pub fn wait_number(&self) -> u64 {
        self.waits.fetch_add(1, Ordering::Relaxed)
    }

    /// Wakes those who wait for one of the shards, though it has not been left.
    pub(crate) fn wake_waiting(&self, set: ShardSet) {
        for index in set.iter() {
            self.locks[index].wake_waiters();
        }
    }

    /// Whether somebody found the shard busy and waits for it to be left.
    pub fn is_awaited(&self, shard: usize) -> bool {
        self.locks[shard].awaited.load(Ordering::Relaxed)
    }

    /// How often the dataset has changed, see `Entered::add_changes`.
    pub fn changes(&self) -> u64 {
        let locks = self.locks.iter();
        locks.map(|lock| lock.changes.load(Ordering::Relaxed)).sum()
    }

    /// How contended each shard has been.
    pub fn contention(&self, shard: usize) -> Contention {
        let lock = &self.locks[shard];
        Contention {
            found_busy: lock.found_busy.load(Ordering::Relaxed),
            found_contended: lock.found_contended.load(Ordering::Relaxed),
        }
    }

    /// # Safety
    /// This thread holds the locks of `set`, and nothing borrows their shards.
    unsafe fn leave(&self, set: ShardSet) {
        for index in set.iter() {
            // SAFETY: the caller holds it.
            unsafe { self.locks[index].raw.unlock() };
        }
        fence(Ordering::SeqCst);
        for index in set.iter() {
            let lock = &self.locks[index];
            if lock.awaited.load(Ordering::Relaxed) {
                lock.wake_waiters();
            }
        }
    }
}

#[inline]
pub(super) fn shard_of(hash: u64, shards: usize) -> usize {
    // A fixed-point multiplication spreads bits 16..32 evenly over any number of shards.
    ((((hash >> 16) & 0xffff) as usize) * shards) >> 16
}

impl ShardLock {
    /// Has the lock brought here, to be changed: in the other thread's cache it would be waited for, lock
    /// after lock.
    #[inline]
    fn prefetch(&self) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch is a hint and changes nothing.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_ET0>(std::ptr::from_ref(&self.raw).cast());
        }
    }

    #[cold]
    fn spin(&self) -> bool {
        for _ in 0..SPINS {
            std::hint::spin_loop();
            if self.raw.try_lock() {
                self.found_contended.fetch_add(1, Ordering::Relaxed);
                return true;
            }
        }
        false
    }

    #[cold]
    fn wake_waiters(&self) {
        let mut waiters = {
            let mut waiters = self.waiters.lock();
            self.awaited.store(false, Ordering::Relaxed);
            std::mem::take(&mut *waiters)
        };
        waiters.wake();
    }
}

impl Drop for Keyspace {
    fn drop(&mut self) {
        // What is half changed can't be relied on to be freed: it stays in memory.
        for index in self.poisoned().iter() {
            let empty = Shard::new(self.databases, &self.hasher);
            let half_changed = std::mem::replace(self.locks[index].shard.get_mut(), empty);
            std::mem::forget(half_changed);
        }
    }
}

impl fmt::Debug for Keyspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyspace")
            .field("shards", &self.locks.len())
            .field("databases", &self.databases)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Entered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entered").field(&self.set).finish()
    }
}

impl<'k> Entered<'k> {
    pub fn keyspace(&self) -> &'k Keyspace {
        self.keyspace
    }

    /// Which shards are entered.
    pub fn set(&self) -> ShardSet {
        self.set
    }

    /// This thread is about to stop working inside, and another one will go on ([`Entered::arrive`]): the shards stay
    /// entered. Never inlined, as what it notes belongs to the thread.
    #[inline(never)]
    pub(crate) fn depart(&self) {
        if !self.set.is_empty() {
            inside::leave();
            may_block::lock_left();
        }
    }

    /// This thread goes on inside, after [`Entered::depart`].
    #[inline(never)]
    pub(crate) fn arrive(&self) {
        if !self.set.is_empty() {
            inside::enter(self.keyspace);
            may_block::lock_taken();
        }
    }

    /// Enters more shards from inside these, if none of them is busy. Only where nobody else does so while he holds
    /// shards, or two would wait for each other: see `command::script`.
    pub(crate) fn try_extend(&mut self, more: ShardSet) -> bool {
        let missing = ShardSet(more.0 & !self.set.0);
        let mut taken = ShardSet::NONE;
        for index in missing.iter() {
            let lock = &self.keyspace.locks[index];
            if !lock.raw.try_lock() && !lock.spin() {
                lock.found_busy.fetch_add(1, Ordering::Relaxed);
                // SAFETY: exactly these were locked by the turns of this loop before.
                unsafe { self.keyspace.leave(taken) };
                return false;
            }
            taken.add(index);
        }
        if self.set.is_empty() && !taken.is_empty() {
            inside::enter(self.keyspace);
            may_block::lock_taken();
        }
        self.set.0 |= taken.0;
        true
    }

    /// Counts changes of the dataset. False if no shard is entered. A counter beside the lock costs nothing:
    /// its line is here already, and nobody else writes to it.
    #[inline]
    pub fn add_changes(&self, n: u64) -> bool {
        let Some(index) = self.set.iter().next() else {
            return false;
        };
        let changes = &self.keyspace.locks[index].changes;
        changes.store(changes.load(Ordering::Relaxed) + n, Ordering::Relaxed);
        true
    }

    /// Whether every shard is entered.
    pub fn is_all(&self) -> bool {
        self.set == self.keyspace.all()
    }

    /// The entered shard that holds a key hash. Panics (an invariant of dispatch) if it isn't entered.
    #[inline]
    pub fn shard(&self, hash: u64) -> &Shard {
        self.at(self.keyspace.shard_of(hash))
    }

    #[inline]
    pub fn shard_mut(&mut self, hash: u64) -> &mut Shard {
        self.at_mut(self.keyspace.shard_of(hash))
    }

    /// The shard of the hash, if it is one of those that are entered.
    pub fn shard_if_entered(&mut self, hash: u64) -> Option<&mut Shard> {
        let index = self.keyspace.shard_of(hash);
        let entered = self.set.contains(ShardSet::one(index));
        entered.then(|| self.at_mut(index))
    }

    /// Every entered shard in index order.
    pub fn iter(&self) -> impl Iterator<Item = &Shard> {
        self.set.iter().map(|index| self.at(index))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Shard> {
        self.set.iter().map(|index| {
            // SAFETY: the lock of `index` is held; `self` is borrowed mutably for as long as the items
            // live, and every index comes once.
            unsafe { &mut *self.keyspace.locks[index].shard.get() }
        })
    }

    /// Shard by index; panics if it isn't entered.
    #[inline]
    pub fn at(&self, index: usize) -> &Shard {
        self.check(index);
        // SAFETY: the lock of `index` is held, and `self` is borrowed for as long as the shard is.
        unsafe { &*self.keyspace.locks[index].shard.get() }
    }

    #[inline]
    pub fn at_mut(&mut self, index: usize) -> &mut Shard {
        self.check(index);
        // SAFETY: the lock of `index` is held, and `self` is borrowed mutably for as long as the shard is.
        unsafe { &mut *self.keyspace.locks[index].shard.get() }
    }

    #[inline]
    fn check(&self, index: usize) {
        assert!(
            index < 64 && self.set.0 & (1 << index) != 0,
            "shard {index} is not entered"
        );
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if self.set.is_empty() {
            return;
        }
        inside::leave();
        may_block::lock_left();
        if std::thread::panicking() && !self.unwinding {
            self.keyspace.poison(self.set);
            return;
        }
        // SAFETY: the locks were taken when this was made; borrows of the shards ended before the drop.
        unsafe { self.keyspace.leave(self.set) };
    }
}

/// Debug builds notice a thread that enters a keyspace while it is inside that keyspace. (A model's threads share
/// one of the system's, so not there.)
mod inside {
    use super::Keyspace;

    #[cfg(all(debug_assertions, not(feature = "model")))]
    thread_local! {
        static INSIDE: std::cell::Cell<*const Keyspace> = const { std::cell::Cell::new(std::ptr::null()) };
    }

    #[cfg(all(debug_assertions, not(feature = "model")))]
    pub(super) fn check(keyspace: &Keyspace) {
        let inside = INSIDE.with(std::cell::Cell::get);
        assert!(
            !std::ptr::eq(inside, keyspace),
            "entering a keyspace from inside it"
        );
    }

    #[cfg(all(debug_assertions, not(feature = "model")))]
    pub(super) fn enter(keyspace: &Keyspace) {
        INSIDE.with(|c| c.set(keyspace));
    }

    #[cfg(all(debug_assertions, not(feature = "model")))]
    pub(super) fn leave() {
        INSIDE.with(|c| c.set(std::ptr::null()));
    }

    #[cfg(not(all(debug_assertions, not(feature = "model"))))]
    pub(super) fn check(_: &Keyspace) {}
    #[cfg(not(all(debug_assertions, not(feature = "model"))))]
    pub(super) fn enter(_: &Keyspace) {}
    #[cfg(not(all(debug_assertions, not(feature = "model"))))]
    pub(super) fn leave() {}
}
