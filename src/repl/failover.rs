//! A coordinated failover (FAILOVER): a master hands its role to one of its replicas without losing a write.
//!
//! ```text
//! no-failover --FAILOVER--> waiting-for-sync --target has every byte--> failover-in-progress --PSYNC accepted--> no-failover
//!      ^                          |  \--timeout, FORCE------------------------^       |
//!      +---- abort, timeout ------+                        (we are a replica)         +-- refused, abort: master again
//! ```
//!
//! Writes are paused from the first step to the last. While a failover waits, nothing of the master's own
//! (PING, GETACK) may be appended to the stream either, or the target would never have all of it.
//!
//! Pure: `Failover::look` says what is to be done, its owner does it with every shard entered and asks
//! again there, since only then is it sure that no write came in between.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use tracing::info;

use super::replicas::{Replica, ReplicaState, Replicas};

pub(crate) mod driver;

/// Where a failover stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FailoverState {
    #[default]
    None,
    /// Writes are paused until the target has everything.
    WaitingForSync,
    /// We follow the target and ask it to take over.
    InProgress,
}

impl FailoverState {
    /// INFO's master_failover_state.
    pub(crate) fn name(self) -> &'static str {
        match self {
            FailoverState::None => "no-failover",
            FailoverState::WaitingForSync => "waiting-for-sync",
            FailoverState::InProgress => "failover-in-progress",
        }
    }
}

/// A FAILOVER's arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FailoverRequest {
    /// Address and listening port of the replica; None: the first that has everything.
    pub(crate) target: Option<(String, u16)>,
    /// At the timeout hand over all the same.
    pub(crate) force: bool,
    pub(crate) timeout_ms: Option<i64>,
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Wait,
    /// Follow this replica, with PSYNC FAILOVER. `forced`: the time is up, it may lack something.
    HandOver {
        host: String,
        port: u16,
        forced: bool,
    },
    /// Stay the master.
    Abort(&'static str),
}

/// What the target said to PSYNC FAILOVER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// It is the master now.
    Accepted,
    /// It stays a replica, so we must be a master again; the reason.
    Refused(&'static str),
}

/// The abort reasons, in Redis's words.
pub(crate) const TIMED_OUT: &str = "Replica never caught up before timeout";
pub(crate) const BY_HAND: &str = "Failover manually aborted";
pub(crate) const REFUSED: &str = "Failover target rejected psync request";

/// The failover of one node.
#[derive(Debug, Default)]
pub(crate) struct Failover {
    state: FailoverState,
    target: Option<(String, u16)>,
    force: bool,
    end_ms: Option<i64>,
}

impl Failover {
    fn begin(&mut self, request: FailoverRequest, now_ms: i64) {
        match &request.target {
            Some((host, port)) => info!("FAILOVER requested to {host}:{port}."),
            None => info!("FAILOVER requested to any replica."),
        }
        *self = Failover {
            state: FailoverState::WaitingForSync,
            target: request.target,
            force: request.force,
            end_ms: request.timeout_ms.map(|ms| now_ms.saturating_add(ms)),
        };
    }

    /// What is to be done, given how far the replicas are. `end`: the stream's end offset.
    fn look(&self, replicas: &Replicas, end: u64, now_ms: i64) -> Step {
        if self.state != FailoverState::WaitingForSync {
            return Step::Wait;
        }
        if self.end_ms.is_some_and(|at| at <= now_ms) {
            return match &self.target {
                Some((host, port)) if self.force => Step::HandOver {
                    host: host.clone(),
                    port: *port,
                    forced: true,
                },
                _ => Step::Abort(TIMED_OUT),
            };
        }
        let wanted = |r: &&Replica| match &self.target {
            Some((host, port)) => is_at(r, host, *port),
            None => true,
        };
        let ready =
            |r: &&Replica| r.state == ReplicaState::Online && !r.legacy && r.ack_offset == end;
        match replicas.iter().filter(wanted).find(ready) {
            Some(replica) => Step::HandOver {
                host: replica.ip().to_owned(),
                port: replica.listening_port,
                forced: false,
            },
            None => Step::Wait,
        }
    }

    fn hand_over(&mut self, host: &str, port: u16, forced: bool) {
        if forced {
            info!("FAILOVER to {host}:{port} time out exceeded, failing over.");
        } else {
            info!("Failover target {host}:{port} is synced, failing over.");
        }
        self.target = Some((host.to_owned(), port));
        self.state = FailoverState::InProgress;
    }

    fn abort(&mut self, why: &str) -> FailoverState {
        if self.state != FailoverState::None {
            match &self.target {
                Some((host, port)) => info!("FAILOVER to {host}:{port} aborted: {why}"),
                None => info!("FAILOVER to any replica aborted: {why}"),
            }
        }
        std::mem::take(self).state
    }
}

/// Whether a replica is the one that a host and a port name.
pub(crate) fn is_at(replica: &Replica, host: &str, port: u16) -> bool {
    replica.ip().eq_ignore_ascii_case(host) && replica.listening_port == port
}

/// The failover as the node's threads share it: its state is read without a lock.
#[derive(Debug, Default)]
pub(crate) struct FailoverCell {
    state: AtomicU8,
    inner: Mutex<Failover>,
}

impl FailoverCell {
    #[inline]
    pub(crate) fn state(&self) -> FailoverState {
        match self.state.load(Ordering::Acquire) {
            0 => FailoverState::None,
            1 => FailoverState::WaitingForSync,
            _ => FailoverState::InProgress,
        }
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.state.load(Ordering::Acquire) != 0
    }

    fn change<R>(&self, f: impl FnOnce(&mut Failover) -> R) -> R {
        let mut inner = self.inner.lock();
        let result = f(&mut inner);
        self.state.store(inner.state as u8, Ordering::Release);
        result
    }

    /// Begins to wait for the target. The caller has paused writes and holds every shard.
    pub(crate) fn begin(&self, request: FailoverRequest, now_ms: i64) {
        self.change(|f| f.begin(request, now_ms));
    }

    /// What is to be done now; see [`Step`].
    pub(crate) fn look(&self, replicas: &Replicas, end: u64, now_ms: i64) -> Step {
        self.inner.lock().look(replicas, end, now_ms)
    }

    /// The node is about to follow that replica.
    pub(crate) fn hand_over(&self, host: &str, port: u16, forced: bool) {
        self.change(|f| f.hand_over(host, port, forced));
    }

    /// It failed; the state it was in. From [`FailoverState::InProgress`] the node must become a master
    /// again, from any the pause ends.
    pub(crate) fn abort(&self, why: &str) -> FailoverState {
        self.change(|f| f.abort(why))
    }

    /// The target took over.
    pub(crate) fn done(&self) {
        self.change(|f| *f = Failover::default());
    }
}

#[cfg(test)]
mod tests {
    use super::super::replicas::tests::replica;
    use super::*;

    fn table() -> Replicas {
        let mut table = Replicas::default();
        for (id, port, ack) in [(1, 6380, 90), (2, 6381, 100), (3, 6382, 100)] {
            let mut r = replica(id, ReplicaState::Online);
            r.listening_port = port;
            r.ack_offset = ack;
            table.add(r);
        }
        table.get_mut(2).unwrap().state = ReplicaState::SendingBulk;
        table
    }

    fn to(port: u16) -> Option<(String, u16)> {
        Some(("10.0.0.1".into(), port))
    }

    fn begun(request: FailoverRequest) -> FailoverCell {
        let cell = FailoverCell::default();
        cell.begin(request, 1000);
        cell
    }

    #[test]
    fn the_first_online_replica_with_everything_is_chosen() {
        let cell = begun(FailoverRequest::default());
        assert_eq!(cell.state().name(), "waiting-for-sync");
        assert_eq!(cell.look(&table(), 101, i64::MAX), Step::Wait);
        let step = cell.look(&table(), 100, 1000);
        assert_eq!(
            step,
            Step::HandOver {
                host: "10.0.0.1".into(),
                port: 6382,
                forced: false
            }
        );
        cell.hand_over("10.0.0.1", 6382, false);
        assert_eq!(cell.state(), FailoverState::InProgress);
        assert_eq!(cell.look(&table(), 100, 1000), Step::Wait);
        cell.done();
        assert!(!cell.is_on());
    }

    #[test]
    fn a_named_target_is_waited_for() {
        let cell = begun(FailoverRequest {
            target: to(6380),
            timeout_ms: Some(500),
            force: false,
        });
        assert_eq!(cell.look(&table(), 100, 1499), Step::Wait);
        assert_eq!(cell.look(&table(), 100, 1500), Step::Abort(TIMED_OUT));
        assert_eq!(cell.abort(TIMED_OUT), FailoverState::WaitingForSync);
        assert_eq!(cell.abort(TIMED_OUT), FailoverState::None);
        assert_eq!(cell.state(), FailoverState::None);
    }

    #[test]
    fn force_hands_over_when_the_time_is_up() {
        let cell = begun(FailoverRequest {
            target: to(6380),
            timeout_ms: Some(500),
            force: true,
        });
        assert_eq!(cell.look(&table(), 100, 1499), Step::Wait);
        assert_eq!(
            cell.look(&table(), 100, 1500),
            Step::HandOver {
                host: "10.0.0.1".into(),
                port: 6380,
                forced: true
            }
        );
    }
}
