//! What each arbiter is doing: one record per arbiter, written by its thread at the beginning and the end of each
//! actor's turn, and read by the watchdog and by the log of a panic.
//!
//! A turn costs two stores and no look at the clock: whether one lasts too long is seen by whoever looks twice and
//! finds the same turn under way.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::{Owner, panics};

/// One arbiter's record.
#[derive(Debug)]
pub(crate) struct Turning {
    name: String,
    /// Turns begun and ended: odd while one is under way.
    turns: AtomicU64,
    /// Whose turn it is, or was, as [`Owner`].
    owner: AtomicU8,
    /// The number of the client whose turn it is; 0: none's.
    client: AtomicU64,
}

/// A turn that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnderWay {
    /// Its number on its arbiter.
    pub(crate) turn: u64,
    pub(crate) arbiter: String,
    pub(crate) owner: Owner,
    /// The number of the client; 0: none.
    pub(crate) client: u64,
}

impl Turning {
    fn begin(&self, owner: Owner, client: u64) {
        self.owner.store(owner as u8, Ordering::Relaxed);
        self.client.store(client, Ordering::Relaxed);
        let turn = self.turns.load(Ordering::Relaxed);
        self.turns.store(turn + 1, Ordering::Release);
    }

    fn end(&self) {
        let turn = self.turns.load(Ordering::Relaxed);
        self.turns.store(turn + 1, Ordering::Release);
    }

    fn under_way(&self) -> Option<UnderWay> {
        let turn = self.turns.load(Ordering::Acquire);
        if turn.is_multiple_of(2) {
            return None;
        }
        let owner = Owner::ALL.get(usize::from(self.owner.load(Ordering::Relaxed)))?;
        Some(UnderWay {
            turn,
            arbiter: self.name.clone(),
            owner: *owner,
            client: self.client.load(Ordering::Relaxed),
        })
    }
}

/// A node's arbiters.
#[derive(Debug, Default)]
pub struct Arbiters {
    all: Mutex<Vec<Arc<Turning>>>,
}

impl Arbiters {
    /// The calling thread is an arbiter of the node.
    pub(crate) fn enter(&self, name: String) {
        let turning = Arc::new(Turning {
            name,
            turns: AtomicU64::new(0),
            owner: AtomicU8::new(0),
            client: AtomicU64::new(0),
        });
        HERE.with(|here| {
            if here.turning.set(turning.clone()).is_ok() {
                self.all.lock().push(turning);
            }
        });
    }

    /// The turns that are under way.
    pub(crate) fn under_way(&self) -> Vec<UnderWay> {
        self.all
            .lock()
            .iter()
            .filter_map(|t| t.under_way())
            .collect()
    }
}

struct Here {
    owner: Cell<Option<Owner>>,
    client: Cell<u64>,
    step: Cell<&'static str>,
    turning: OnceCell<Arc<Turning>>,
}

thread_local! {
    static HERE: Here = const {
        Here {
            owner: Cell::new(None),
            client: Cell::new(0),
            step: Cell::new(""),
            turning: OnceCell::new(),
        }
    };
}

/// A turn of an actor on this thread, or a thread's own work; `client`: the client's number, or 0. A panic comes back
/// as its message.
#[inline]
pub(crate) fn turn<T>(owner: Owner, client: u64, f: impl FnOnce() -> T) -> Result<T, String> {
    HERE.with(|here| {
        here.owner.set(Some(owner));
        here.client.set(client);
        here.step.set("");
        let turning = here.turning.get();
        if let Some(turning) = turning {
            turning.begin(owner, client);
        }
        let result = panics::catch(f);
        if let Some(turning) = turning {
            turning.end();
        }
        here.owner.set(None);
        result
    })
}

/// What this thread does now within its turn.
#[inline]
pub(super) fn note_step(step: &'static str) {
    HERE.with(|here| here.step.set(step));
}

/// What this thread is doing, in words.
pub(super) fn doing() -> String {
    // A thread that is being torn down has no records any more.
    let doing = HERE.try_with(|here| {
        let mut text = match here.owner.get() {
            Some(owner) => format!("in {owner}"),
            None => return "outside of any actor".into(),
        };
        if here.client.get() != 0 {
            text += &format!(", client {}", here.client.get());
        }
        if !here.step.get().is_empty() {
            text += &format!(", step {}", here.step.get());
        }
        text
    });
    doing.unwrap_or_else(|_| "at the thread's end".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_seen_while_it_is_under_way() {
        let arbiters = Arc::new(Arbiters::default());
        let there = arbiters.clone();
        let thread = std::thread::spawn(move || {
            there.enter("serving 1".into());
            assert_eq!(there.under_way(), []);
            let seen = turn(Owner::Connection, 7, || there.under_way());
            assert_eq!(
                turn(Owner::Cron, 0, || panic!("late")),
                Err::<(), _>("late".into())
            );
            assert_eq!(there.under_way(), []);
            seen
        });
        let seen = thread.join().expect("no panic").expect("none here either");
        let connection = UnderWay {
            turn: 1,
            arbiter: "serving 1".into(),
            owner: Owner::Connection,
            client: 7,
        };
        assert_eq!(seen, [connection]);
    }

    #[test]
    fn what_is_done_is_told() {
        let told = turn(Owner::Link, 3, || {
            note_step("handshake");
            doing()
        });
        assert_eq!(told.as_deref(), Ok("in link, client 3, step handshake"));
        assert_eq!(doing(), "outside of any actor");
    }
}
