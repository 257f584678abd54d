//! The locks and atomics that hand-made synchronisation is built of: entering shards, wakers, bursts, feeds, pipes.
//!
//! They are parking_lot's and the standard library's. With the feature `model` they are those of `loom`, which
//! runs the tests in `models` through every order of steps that threads and memory allow (see the README, Tests).
//! What need not be modelled, such as counters, uses the originals.

#[cfg(all(test, feature = "model"))]
mod models;

#[cfg(not(feature = "model"))]
pub(crate) use here::{AtomicBool, AtomicU8, Condvar, Mutex, RawLock, fence};
#[cfg(feature = "model")]
pub(crate) use modelled::{AtomicBool, AtomicU8, Condvar, Mutex, RawLock, fence};

#[cfg(not(feature = "model"))]
mod here {
    pub(crate) use parking_lot::{Condvar, Mutex};
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, fence};

    use std::time::Duration;

    use parking_lot::RawMutex;
    use parking_lot::lock_api::{RawMutex as _, RawMutexTimed as _};

    /// A lock that guards what stands beside it.
    pub(crate) struct RawLock(RawMutex);

    impl RawLock {
        pub(crate) fn new() -> RawLock {
            RawLock(RawMutex::INIT)
        }

        #[inline]
        pub(crate) fn try_lock(&self) -> bool {
            self.0.try_lock()
        }

        /// Blocks, at most so long.
        #[inline]
        pub(crate) fn try_lock_for(&self, timeout: Duration) -> bool {
            self.0.try_lock_for(timeout)
        }

        /// # Safety
        /// This thread holds it.
        #[inline]
        pub(crate) unsafe fn unlock(&self) {
            // SAFETY: the caller holds it.
            unsafe { self.0.unlock() };
        }
    }
}

/// The same, of loom, with parking_lot's signatures.
#[cfg(feature = "model")]
mod modelled {
    use std::fmt;
    use std::ops::{Deref, DerefMut};
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, fence};

    /// See `parking_lot::Mutex`.
    #[derive(Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    /// See `parking_lot::MutexGuard`.
    pub(crate) struct Guard<'a, T>(Option<loom::sync::MutexGuard<'a, T>>);

    const HELD: &str = "a guard is empty only while its condition is waited for";

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Mutex<T> {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> Guard<'_, T> {
            Guard(self.0.lock().ok())
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().expect("no thread panics in a model")
        }
    }

    impl<T> fmt::Debug for Mutex<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Mutex")
        }
    }

    impl<T> Deref for Guard<'_, T> {
        type Target = T;
        fn deref(&self) -> &T {
            self.0.as_ref().expect(HELD)
        }
    }

    impl<T> DerefMut for Guard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().expect(HELD)
        }
    }

    /// See `parking_lot::Condvar`.
    #[derive(Debug, Default)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn wait<T>(&self, guard: &mut Guard<'_, T>) {
            let held = guard.0.take().expect(HELD);
            guard.0 = self.0.wait(held).ok();
        }
    }

    /// A lock that guards what stands beside it: as parking_lot's, an atomic that is taken with acquire and given
    /// back with release.
    pub(crate) struct RawLock(AtomicBool);

    impl RawLock {
        pub(crate) fn new() -> RawLock {
            RawLock(AtomicBool::new(false))
        }

        pub(crate) fn try_lock(&self) -> bool {
            let (success, failure) = (Ordering::Acquire, Ordering::Relaxed);
            self.0
                .compare_exchange(false, true, success, failure)
                .is_ok()
        }

        pub(crate) fn try_lock_for(&self, _: Duration) -> bool {
            while !self.try_lock() {
                loom::thread::yield_now();
            }
            true
        }

        /// # Safety
        /// This thread holds it.
        pub(crate) unsafe fn unlock(&self) {
            self.0.store(false, Ordering::Release);
        }
    }
}
