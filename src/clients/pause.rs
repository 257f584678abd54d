//! Paused clients: who asked for it, until when, and what is held up.
//!
//! Pure: the time is given. Dispatch asks [`PauseState::kind`] before each command of a client; while a
//! pause is on, expiry and eviction rest too ([`PauseState::holds_expiry`]). Several purposes may pause at
//! once, each with its own end; the strictest one in force counts. Reading is lock-free.

use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::task::Waker;

use hashbrown::HashMap;
use parking_lot::Mutex;

/// What is held up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pause {
    /// Commands that may change data or have effects to replicate.
    Write,
    /// All commands of clients.
    All,
}

/// Who asked for a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PausePurpose {
    /// CLIENT PAUSE.
    Client,
    /// SHUTDOWN that waits for replicas.
    Shutdown,
    /// A failover that waits for its replica.
    Failover,
    /// SHUTDOWN that saves the dump: what is written behind its cut would be lost.
    FinalSave,
    /// MIGRATE, for keys that are written faster than they travel.
    Migration,
}

/// The id under which the link to our master waits; clients have ids from 1 on.
pub(crate) const OUR_MASTER: u64 = 0;

const PURPOSES: usize = 5;

#[derive(Debug, Default)]
struct Event {
    /// Unix ms; in the past: none.
    until_ms: AtomicI64,
    /// 0: none, 1: writes, 2: all.
    kind: AtomicU8,
}

/// The pauses of a node.
#[derive(Debug, Default)]
pub struct PauseState {
    /// The latest end of all: while it is past, nothing else is looked at.
    latest_ms: AtomicI64,
    events: [Event; PURPOSES],
    /// Those who wait for an end that comes early, by client id.
    waiting: Mutex<HashMap<u64, Waker>>,
}

impl PauseState {
    /// What is held up now.
    #[inline]
    pub(crate) fn kind(&self, now_ms: i64) -> Option<Pause> {
        if self.latest_ms.load(Ordering::Acquire) <= now_ms {
            return None;
        }
        self.events
            .iter()
            .filter(|e| e.until_ms.load(Ordering::Acquire) > now_ms)
            .filter_map(|e| kind_of(e.kind.load(Ordering::Acquire)))
            .max()
    }

    /// Whether anything is held up for another purpose than this one.
    pub(crate) fn is_on_besides(&self, purpose: PausePurpose, now_ms: i64) -> bool {
        let mut others = (0..PURPOSES).filter(|index| *index != purpose as usize);
        others.any(|index| self.events[index].until_ms.load(Ordering::Acquire) > now_ms)
    }

    /// Whether keys must not be expired or evicted: a pause promises that data stays as it is.
    #[inline]
    pub(crate) fn holds_expiry(&self, now_ms: i64) -> bool {
        self.kind(now_ms).is_some()
    }

    /// When the pauses end at the latest (unix ms); in the past or None: there are none.
    pub(crate) fn until_ms(&self) -> Option<i64> {
        let latest = self.latest_ms.load(Ordering::Acquire);
        (latest > 0).then_some(latest)
    }

    /// When a purpose's pause ends (unix ms), if it is on.
    pub(crate) fn until_of(&self, purpose: PausePurpose, now_ms: i64) -> Option<i64> {
        let until_ms = self.events[purpose as usize]
            .until_ms
            .load(Ordering::Acquire);
        (until_ms > now_ms).then_some(until_ms)
    }

    /// Has a client's `waker` woken if a pause is ended early; its own end is the caller's to wait for, and to
    /// forget the client when it goes. True: no pause is in force, and nothing was registered.
    pub(crate) fn wake_when_over(&self, client: u64, waker: &Waker, now_ms: i64) -> bool {
        let mut waiting = self.waiting.lock();
        if self.kind(now_ms).is_none() {
            return true;
        }
        waiting.insert(client, waker.clone());
        false
    }

    /// The client waits no longer.
    pub(crate) fn forget(&self, client: u64) {
        self.waiting.lock().remove(&client);
    }

    /// Begins or extends a pause. It never gets shorter. A CLIENT PAUSE that holds up everything stays so,
    /// even if one for writes follows.
    pub(crate) fn pause(&self, purpose: PausePurpose, kind: Pause, until_ms: i64, now_ms: i64) {
        let event = &self.events[purpose as usize];
        let code = match kind {
            Pause::Write => 1,
            Pause::All => 2,
        };
        let over = event.until_ms.load(Ordering::Acquire) <= now_ms;
        if over || purpose != PausePurpose::Client {
            event.kind.store(code, Ordering::Release);
        } else {
            event.kind.fetch_max(code, Ordering::AcqRel);
        }
        event.until_ms.fetch_max(until_ms, Ordering::AcqRel);
        self.latest_ms.fetch_max(until_ms, Ordering::AcqRel);
    }

    /// Ends a purpose's pause and wakes those who wait for an end.
    pub(crate) fn unpause(&self, purpose: PausePurpose) {
        let event = &self.events[purpose as usize];
        event.until_ms.store(0, Ordering::Release);
        event.kind.store(0, Ordering::Release);
        let latest = self
            .events
            .iter()
            .map(|e| e.until_ms.load(Ordering::Acquire))
            .max()
            .unwrap_or(0);
        self.latest_ms.store(latest, Ordering::Release);
        self.wake();
    }

    /// Wakes all that wait for an end.
    pub(crate) fn wake(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        for waker in waiting.into_values() {
            waker.wake();
        }
    }
}

fn kind_of(code: u8) -> Option<Pause> {
    match code {
        1 => Some(Pause::Write),
        2 => Some(Pause::All),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_by_itself_and_never_shrinks() {
        let state = PauseState::default();
        assert_eq!(state.kind(0), None);
        state.pause(PausePurpose::Client, Pause::Write, 100, 0);
        assert_eq!(state.kind(99), Some(Pause::Write));
        assert_eq!(state.kind(100), None);
        state.pause(PausePurpose::Client, Pause::Write, 50, 0);
        assert_eq!(state.until_ms(), Some(100));
    }

    #[test]
    fn an_early_end_wakes() {
        struct Flag(std::sync::atomic::AtomicBool);
        impl std::task::Wake for Flag {
            fn wake(self: std::sync::Arc<Self>) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let flag = std::sync::Arc::new(Flag(false.into()));
        let waker = Waker::from(flag.clone());
        let state = PauseState::default();
        assert!(state.wake_when_over(1, &waker, 0));
        state.pause(PausePurpose::Client, Pause::All, 100, 0);
        assert!(!state.wake_when_over(1, &waker, 0));
        assert!(!state.wake_when_over(1, &waker, 0));
        assert_eq!(state.waiting.lock().len(), 1);
        assert!(!state.wake_when_over(2, &waker, 0));
        state.forget(2);
        assert_eq!(state.waiting.lock().len(), 1);
        state.unpause(PausePurpose::Client);
        assert!(flag.0.load(Ordering::Relaxed));
    }

    #[test]
    fn the_strictest_counts() {
        let state = PauseState::default();
        state.pause(PausePurpose::Client, Pause::All, 100, 0);
        state.pause(PausePurpose::Client, Pause::Write, 200, 0);
        assert_eq!(state.kind(150), Some(Pause::All));
        state.pause(PausePurpose::Shutdown, Pause::Write, 300, 0);
        state.unpause(PausePurpose::Client);
        assert_eq!(state.kind(150), Some(Pause::Write));
        assert!(state.is_on_besides(PausePurpose::Migration, 150));
        assert!(!state.is_on_besides(PausePurpose::Shutdown, 150));
        state.unpause(PausePurpose::Shutdown);
        assert_eq!(state.kind(150), None);
        // A later one starts afresh.
        state.pause(PausePurpose::Client, Pause::All, 400, 300);
        state.pause(PausePurpose::Client, Pause::Write, 600, 500);
        assert_eq!(state.kind(550), Some(Pause::Write));
    }
}
