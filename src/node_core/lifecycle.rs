//! Where a node stands between its start and its end, for everybody who waits for that: [`Node`](crate::Node),
//! in-process clients, threads of the node that are in the middle of something.
//!
//! A life goes one way: loading, ready, closed, ended. *Closed* is the moment from which nothing is served: a call
//! that begins is refused, one that waits is woken and ends with an error, and threads give their work up. *Ended* is
//! when none of the node's threads is left (or one of them did not end in time, which is logged). The first exit code
//! and the first reason stay.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// It reads its dump; most commands are answered LOADING.
    Loading,
    /// It has its data and serves.
    Ready,
    /// It serves nothing any more, and stops its threads.
    Closed,
    /// Its threads are gone.
    Ended,
}

/// How a node came to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct End {
    /// For the process: 0 if the node was asked to end and could do what it was asked.
    pub(crate) exit_code: i32,
    /// Why it ended though nobody asked for it, in words.
    pub(crate) failure: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub struct Lifecycle {
    /// The stage, for those that only read it.
    stage: AtomicU8,
    end: Mutex<End>,
    changed: Condvar,
}

const STAGES: [Stage; 4] = [Stage::Loading, Stage::Ready, Stage::Closed, Stage::Ended];

impl Default for Lifecycle {
    fn default() -> Self {
        Lifecycle {
            stage: AtomicU8::new(Stage::Loading as u8),
            end: Mutex::default(),
            changed: Condvar::new(),
        }
    }
}

impl Lifecycle {
    /// Where the node stands now. Lock-free.
    pub(crate) fn stage(&self) -> Stage {
        STAGES[usize::from(self.stage.load(Ordering::Acquire)).min(STAGES.len() - 1)]
    }

    /// Whether the node serves no more. Lock-free.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.stage.load(Ordering::Acquire) >= Stage::Closed as u8
    }

    /// The dataset is in place.
    pub(crate) fn ready(&self) {
        self.advance(Stage::Ready, End::default);
    }

    /// The node serves no more. Whoever calls this wakes the clients then.
    pub(crate) fn close(&self, exit_code: i32, failure: Option<String>) {
        self.advance(Stage::Closed, || End { exit_code, failure });
    }

    /// The exit code of a node that is closed turns out to be another; to be known before it is ended.
    pub(crate) fn amend_exit_code(&self, exit_code: i32) {
        self.end.lock().exit_code = exit_code;
    }

    /// The node's threads are gone. A node that was not closed before has failed.
    pub(crate) fn ended(&self) {
        self.close(1, Some("its threads ended by themselves".into()));
        self.advance(Stage::Ended, End::default);
    }

    /// A later stage, never an earlier one. `end`: what is kept if the stage is [`Stage::Closed`].
    fn advance(&self, to: Stage, end: impl FnOnce() -> End) {
        let mut kept = self.end.lock();
        if self.stage() >= to {
            return;
        }
        if to == Stage::Closed {
            *kept = end();
        }
        self.stage.store(to as u8, Ordering::Release);
        self.changed.notify_all();
    }

    /// Waits until the node has come to `stage` or past it, at most `timeout` (None: without a bound). Where
    /// it stands then. Blocks the thread.
    pub(crate) fn wait_for(&self, stage: Stage, timeout: Option<Duration>) -> Stage {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut end = self.end.lock();
        while self.stage() < stage {
            match until {
                None => self.changed.wait(&mut end),
                Some(until) => {
                    if self.changed.wait_until(&mut end, until).timed_out() {
                        break;
                    }
                }
            }
        }
        self.stage()
    }

    /// How it ended, once it is closed.
    pub(crate) fn end(&self) -> End {
        self.end.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_life_goes_one_way_and_keeps_its_first_end() {
        let life = Lifecycle::default();
        assert_eq!((life.stage(), life.is_closed()), (Stage::Loading, false));
        life.ready();
        assert_eq!(life.stage(), Stage::Ready);
        life.close(1, Some("no disk".into()));
        life.close(0, None);
        life.ready();
        assert_eq!((life.stage(), life.is_closed()), (Stage::Closed, true));
        life.ended();
        assert_eq!(life.stage(), Stage::Ended);
        assert_eq!(life.end().exit_code, 1);
        assert_eq!(life.end().failure.as_deref(), Some("no disk"));
    }

    #[test]
    fn who_waits_is_woken_by_a_later_stage_as_well() {
        let life = Arc::new(Lifecycle::default());
        let waiter = {
            let life = life.clone();
            std::thread::spawn(move || life.wait_for(Stage::Ready, None))
        };
        life.close(0, None);
        assert_eq!(waiter.join().unwrap(), Stage::Closed);
        let no_time = Some(Duration::ZERO);
        assert_eq!(life.wait_for(Stage::Ended, no_time), Stage::Closed);
        life.ended();
        assert_eq!(life.wait_for(Stage::Ended, None), Stage::Ended);
        assert_eq!(life.end(), End::default());
    }
}
