//! Wakes one waiting task at most once until it has looked again, however often it is told to.
//!
//! No wake is lost: the waking thread sets `pending` and then takes the waker; the waiting one leaves the waker and
//! then looks at `pending` once more. What was done before a wake is seen by the task that it makes ready.

use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use crate::locks::{AtomicBool, Mutex};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Burst {
    pending: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Burst {
    #[inline]
    pub(crate) fn wake(&self) {
        if !self.pending.swap(true, Ordering::AcqRel) {
            let waker = self.waker.lock().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Ready once after each burst of wakes; only one task may wait.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.pending.swap(false, Ordering::AcqRel) {
            return Poll::Ready(());
        }
        *self.waker.lock() = Some(cx.waker().clone());
        // A wake between the look and the registration would otherwise be lost.
        if self.pending.swap(false, Ordering::AcqRel) {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Nobody waits any more.
    pub(crate) fn forget(&self) {
        *self.waker.lock() = None;
    }
}

#[cfg(all(test, not(feature = "model")))]
mod tests {
    use super::*;

    #[test]
    fn a_burst_wakes_once() {
        let burst = Burst::default();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(burst.poll(&mut cx).is_pending());
        burst.wake();
        burst.wake();
        assert!(burst.poll(&mut cx).is_ready());
        assert!(burst.poll(&mut cx).is_pending());
    }
}
