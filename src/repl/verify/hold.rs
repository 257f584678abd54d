//! Holds the stream of our master at an offset for a moment.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

/// See the module. Part of the hub; the link asks it before it runs commands.
#[derive(Debug, Default)]
pub(crate) struct StreamHold {
    on: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The offset that must not be passed.
    until: u64,
    deadline_ms: i64,
    /// Of whoever runs the stream.
    waker: Option<Waker>,
}

impl StreamHold {
    /// From now on no command is run that would bring the stream past `until` (0: none at all), until it is released or
    /// the deadline (Unix ms) has come.
    pub(crate) fn hold(&self, until: u64, deadline_ms: i64) {
        let mut state = self.state.lock();
        state.until = until;
        state.deadline_ms = deadline_ms;
        self.on.store(true, Ordering::Release);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The stream goes on.
    pub(crate) fn release(&self) {
        let waker = {
            let mut state = self.state.lock();
            self.on.store(false, Ordering::Release);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// How many bytes of the stream may be run from this position on. Lock-free while nothing is held.
    pub(crate) fn allowance(&self, position: u64, now_ms: i64) -> u64 {
        if !self.on.load(Ordering::Acquire) {
            return u64::MAX;
        }
        let state = self.state.lock();
        if now_ms >= state.deadline_ms {
            self.on.store(false, Ordering::Release);
            return u64::MAX;
        }
        state.until.saturating_sub(position)
    }

    /// Has the waker woken when the stream may go on. False: it may already.
    pub(crate) fn wake_when_released(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        let on = self.on.load(Ordering::Acquire);
        if on {
            state.waker = Some(waker.clone());
        }
        on
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_stream_stops_where_it_is_told_and_not_for_ever() {
        let (hold, woken) = (StreamHold::default(), Arc::<Woken>::default());
        assert_eq!(hold.allowance(10, 0), u64::MAX);
        hold.hold(0, 100);
        assert_eq!(hold.allowance(10, 0), 0);
        assert!(hold.wake_when_released(&woken.clone().into()));
        hold.hold(25, 100);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "it may go on a little");
        assert_eq!(hold.allowance(10, 99), 15);
        assert_eq!(hold.allowance(25, 99), 0);
        assert!(hold.wake_when_released(&woken.clone().into()));
        hold.release();
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
        assert_eq!(hold.allowance(25, 99), u64::MAX);
        assert!(!hold.wake_when_released(&woken.into()));
        hold.hold(0, 100);
        assert_eq!(hold.allowance(10, 100), u64::MAX, "the deadline has come");
        assert_eq!(hold.allowance(10, 0), u64::MAX, "and with it the end");
    }
}
