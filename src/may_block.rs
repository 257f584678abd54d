//! Where a thread may block, and a check of it.
//!
//! The rule: a thread that serves clients never waits for a disk, a name server, a clock or a peer, and nobody does
//! while he is inside a shard or holds the replication stream: everybody who needs it would wait with him. What may
//! block is done by a thread beside (`background::aside`, the snapshot's, the spool's, the log's), and what wants its
//! result waits asynchronously.
//!
//! Each helper that may block calls [`may_block_here`] at its entrance, which panics in debug builds where the rule
//! is broken; the tests run with that check. The log is no exception: the server's own writes nothing on such a thread, and
//! a `tracing` subscriber of an embedding application can ask [`may_block`] too. What /proc shows is made in memory, and is not meant. DEBUG SLEEP is:
//! it is there to hold up a thread.

use std::cell::Cell;
use std::marker::PhantomData;

thread_local! {
    static SERVES: Cell<bool> = const { Cell::new(false) };
    static LOCKS: Cell<u32> = const { Cell::new(0) };
}

/// The calling thread serves clients from now on: it may never block.
pub(crate) fn this_thread_serves() {
    SERVES.set(true);
}

/// Whether the calling thread may block here: it serves nobody, is inside no shard, and does not hold the
/// replication stream.
pub fn may_block() -> bool {
    !SERVES.get() && LOCKS.get() == 0
}

/// To be called at the entrance of what may block. Panics in debug builds where that is not allowed.
#[track_caller]
pub fn may_block_here() {
    debug_assert!(
        may_block(),
        "this may block, and {}",
        match LOCKS.get() {
            0 => "the thread serves clients",
            _ => "the thread is inside a shard or holds the replication stream",
        }
    );
}

/// The calling thread holds one more lock under which it may not block.
#[inline]
pub(crate) fn lock_taken() {
    LOCKS.set(LOCKS.get() + 1);
}

/// It has given one back.
#[inline]
pub(crate) fn lock_left() {
    LOCKS.set(LOCKS.get() - 1);
}

/// A lock under which its thread may not block, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Held(PhantomData<*mut ()>);

impl Held {
    pub(crate) fn new() -> Held {
        lock_taken();
        Held(PhantomData)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        lock_left();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::Keyspace;
    use crate::repl::Hub;

    fn is_refused() -> bool {
        std::panic::catch_unwind(may_block_here).is_err()
    }

    #[test]
    fn nobody_blocks_inside_a_shard_or_under_the_stream() {
        assert!(may_block() && !is_refused());
        let keyspace = Keyspace::new(2, 1, 7);
        let entered = keyspace.enter(keyspace.all());
        assert!(!may_block() && is_refused());
        let hub = Hub::default();
        let stream = hub.stream();
        drop(entered);
        assert!(!may_block() && is_refused());
        drop(stream);
        assert!(may_block() && !is_refused());
        // No shard at all is no lock, and one that could not be had is not held.
        let none = keyspace.enter_none();
        assert!(may_block());
        drop(none);
        let one = keyspace.enter(crate::keyspace::ShardSet::one(1));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert!(keyspace.try_enter(keyspace.all()).is_none());
                assert!(may_block());
            });
        });
        drop(one);
    }

    #[test]
    fn a_thread_that_serves_does_not_block() {
        std::thread::spawn(|| {
            this_thread_serves();
            assert!(!may_block() && is_refused());
            let keyspace = Keyspace::new(1, 1, 7);
            drop(keyspace.try_enter(keyspace.all()));
            assert!(!may_block());
        })
        .join()
        .expect("no panic");
        assert!(may_block());
    }
}
