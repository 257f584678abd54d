//! What the request path and INFO see of replication: role, log, replicas, link.
//!
//! The request path asks three things of it, all lock-free: must writes be logged, are we a replica, are
//! there enough good replicas. A write that must be logged takes one short lock to append. Everything else
//! (decisions, the table of replicas, the view for INFO) is for the replication actors, which share the same
//! state so that nothing has to be asked by message.
//!
//! That the log has grown is told in one way: an appending thread says so when its batch ends, or its arbiter's turn
//! ([`Hub::wake`]); that wakes the MasterActor, once per burst ([`Hub::poll_burst`]), and it those who have sent all
//! that there was ([`Hub::wake_followers`]), which write to their sockets.
//!
//! Lock order: shards, then the stream, then the published state. Nothing here calls out while it holds a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::{Mutex, MutexGuard};

use super::burst::Burst;
use super::delta;
use super::explain::Resync;
use super::failover::{FailoverCell, FailoverRequest, Step};
use super::log::Cursor;
use super::replid::{History, ReplId};
use super::spool::Spool;
use super::stream::Stream;
use super::verify::{Server, StreamHold};
use super::view::{LinkView, PublishedState, ReplicationView};
use super::wire;
use crate::clock::Clock;
use crate::keyspace::wakers::Wakers;
use crate::may_block::Held;

/// Redis's default for repl-backlog-size, bytes.
pub(crate) const DEFAULT_BACKLOG: u64 = 1024 * 1024;

/// Shared by dispatch, connections and the replication actors of one node.
#[derive(Debug)]
pub struct Hub {
    active: AtomicBool,
    replica: AtomicBool,
    link_up: AtomicBool,
    good_replicas: AtomicUsize,
    offset: AtomicU64,
    stream: Mutex<Stream>,
    published: Mutex<PublishedState>,
    /// Changes with every change of role.
    epoch: AtomicU64,
    /// Wakes the MasterActor.
    burst: Burst,
    /// Tasks that have sent all of the log to some replica.
    followers: Mutex<Wakers>,
    failover: FailoverCell,
    /// REPLICAOF ... FORCE: the next full sync may empty us.
    guard_lifted: AtomicBool,
    /// A verification holds our master's stream at an offset.
    stream_hold: StreamHold,
    /// Answers replicas in a delta resync. Nothing else is locked inside it.
    delta_server: Mutex<delta::Server>,
    /// Answers the verification of a replica. Nothing else is locked inside it.
    verify_server: Mutex<Server>,
}

impl Default for Hub {
    /// A master without a backlog whose replid is all zeros; a node takes [`Hub::new`].
    fn default() -> Self {
        Hub::with_id(ReplId::ZERO, DEFAULT_BACKLOG)
    }
}

impl Hub {
    /// A master with a fresh replid and no backlog yet. `backlog`: repl-backlog-size, bytes.
    pub(crate) fn new(clock: &dyn Clock, backlog: u64) -> Hub {
        Hub::with_id(ReplId::random(clock), backlog)
    }

    fn with_id(id: ReplId, backlog: u64) -> Hub {
        Hub {
            active: AtomicBool::new(false),
            replica: AtomicBool::new(false),
            link_up: AtomicBool::new(false),
            good_replicas: AtomicUsize::new(0),
            offset: AtomicU64::new(0),
            stream: Mutex::new(Stream::new(id, backlog)),
            published: Mutex::default(),
            epoch: AtomicU64::new(0),
            burst: Burst::default(),
            followers: Mutex::default(),
            failover: FailoverCell::default(),
            guard_lifted: AtomicBool::new(false),
            stream_hold: StreamHold::default(),
            delta_server: Mutex::default(),
            verify_server: Mutex::default(),
        }
    }

    // ---- the request path ----

    /// Whether our own writes must be logged (a backlog exists and we are no replica). Lock-free.
    #[inline]
    pub(crate) fn log_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// Appends one execution unit's effects: RESP commands in `bytes`, run in database `db`; adds SELECT when
    /// the log's database differs and MULTI/EXEC when `transaction`. Called inside the shards. The log's end
    /// offset after it.
    pub(crate) fn append(&self, db: usize, bytes: &[u8], transaction: bool) -> u64 {
        self.append_unit(&[(db, bytes)], transaction)
    }

    /// As [`Hub::append`], for a unit whose effects are in several databases, in order.
    pub(crate) fn append_unit(&self, parts: &[(usize, &[u8])], transaction: bool) -> u64 {
        let mut stream = self.stream.lock();
        // The backlog may have gone between the caller's look at `log_active` and now.
        if !stream.active || self.is_replica() {
            return stream.log.end();
        }
        let end = stream.append_unit(parts, transaction);
        self.offset.store(end, Ordering::Release);
        end
    }

    /// Appends our master's bytes as they came (chained replicas get the same offsets). `database`: what the
    /// stream has selected after them; `epoch`: [`Hub::epoch`] when that master was ours.
    pub(crate) fn append_from_master(&self, epoch: u64, bytes: &[u8], database: usize) -> u64 {
        let mut stream = self.stream.lock();
        if self.epoch() != epoch {
            // Promoted since, or pointed elsewhere: the stream is no longer that master's.
            return stream.log.end();
        }
        stream.database = Some(database);
        let end = stream.append_raw(bytes);
        self.offset.store(end, Ordering::Release);
        end
    }

    /// Appends bytes of ours that belong to no database (PING, REPLCONF GETACK). As a replica, nothing.
    pub(crate) fn append_raw(&self, bytes: &[u8]) -> u64 {
        let mut stream = self.stream.lock();
        if !stream.active || stream.quiet || self.is_replica() {
            return stream.log.end();
        }
        let end = stream.append_raw(bytes);
        self.offset.store(end, Ordering::Release);
        end
    }

    /// Whether this node is a replica of another. Lock-free.
    #[inline]
    pub fn is_replica(&self) -> bool {
        self.replica.load(Ordering::Acquire)
    }

    /// As a replica: whether the link to the master is up. Lock-free.
    #[inline]
    pub(crate) fn link_up(&self) -> bool {
        self.link_up.load(Ordering::Acquire)
    }

    /// Replicas that acked within `min-replicas-max-lag`. Lock-free.
    #[inline]
    pub(crate) fn good_replicas(&self) -> usize {
        self.good_replicas.load(Ordering::Relaxed)
    }

    /// Wakes the MasterActor to forward what was appended; at most once until it has run.
    #[inline]
    pub(crate) fn wake(&self) {
        self.burst.wake();
    }

    /// The log's end offset (master_repl_offset). Lock-free.
    #[inline]
    pub(crate) fn offset(&self) -> u64 {
        self.offset.load(Ordering::Acquire)
    }

    // ---- failover ----

    /// The failover, if one is on.
    pub(crate) fn failover(&self) -> &FailoverCell {
        &self.failover
    }

    /// Begins a failover: asks the replicas how far they are, and adds nothing to the stream after that.
    /// Called with every shard entered and writes paused.
    pub(crate) fn begin_failover(&self, request: FailoverRequest, now_ms: i64) {
        let mut stream = self.stream();
        stream.quiet = true;
        self.failover.begin(request, now_ms);
        let replicas = &self.published.lock().replicas;
        // Asking costs a byte count that must be acked in turn, so it is only done if nobody is there yet.
        if self.failover.look(replicas, stream.log.end(), now_ms) == Step::Wait && stream.active {
            stream.append_raw(wire::GETACK);
        }
    }

    /// What the failover needs now.
    pub(crate) fn look_at_failover(&self, now_ms: i64) -> Step {
        let end = self.stream.lock().log.end();
        self.failover
            .look(&self.published.lock().replicas, end, now_ms)
    }

    // ---- verification ----

    /// What holds our master's stream at an offset for a moment.
    pub(crate) fn stream_hold(&self) -> &StreamHold {
        &self.stream_hold
    }

    /// The master's part in the verification of a replica.
    pub(crate) fn verify_server(&self) -> MutexGuard<'_, Server> {
        self.verify_server.lock()
    }

    /// The master's part in delta resyncs; what it doesn't need of the log any more is let go.
    pub(crate) fn with_delta_server<R>(&self, f: impl FnOnce(&mut delta::Server) -> R) -> R {
        let mut server = self.delta_server.lock();
        let result = f(&mut server);
        let released = server.take_released();
        drop(server);
        if !released.is_empty() {
            let mut stream = self.stream();
            released.into_iter().for_each(|pin| stream.log.detach(pin));
        }
        result
    }

    // ---- the end of a failover, the guard ----

    /// The failover is over, well or not: the stream is ours again, if we are a master.
    pub(crate) fn end_quiet(&self) {
        self.stream.lock().quiet = false;
    }

    /// REPLICAOF ... FORCE (true) or without (false): whether the next full sync may replace data by nothing.
    pub(crate) fn lift_guard(&self, lifted: bool) {
        self.guard_lifted.store(lifted, Ordering::Release);
    }

    /// Whether the guard against empty masters is lifted.
    pub(crate) fn guard_is_lifted(&self) -> bool {
        self.guard_lifted.load(Ordering::Acquire)
    }

    // ---- the replication actors ----

    /// Whoever waits for the log to grow is gone.
    pub(crate) fn forget_waiting(&self) {
        self.burst.forget();
        let followers = std::mem::take(&mut *self.followers.lock());
        drop(followers);
    }

    /// Ready once after each burst of [`Hub::wake`]; only one task may wait.
    pub(crate) fn poll_burst(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.burst.poll(cx)
    }

    /// Has `waker` woken when the log has next grown. Register, then look at the log once more.
    pub(crate) fn wake_when_grown(&self, waker: &Waker) {
        self.followers.lock().add(waker);
    }

    /// The log has grown: those who follow it go on. Called once per burst, by whom [`Hub::poll_burst`] wakes: on his
    /// arbiter a wake is no thread switch.
    pub(crate) fn wake_followers(&self) {
        let mut followers = std::mem::take(&mut *self.followers.lock());
        followers.wake();
    }

    /// The bounds and accounts of what is spooled for full syncs.
    pub(crate) fn spool(&self) -> Arc<Spool> {
        self.stream.lock().log.spool().clone()
    }

    /// The stream, for decisions that need several of its parts at once. Never held across anything slow.
    pub(crate) fn stream(&self) -> StreamGuard<'_> {
        StreamGuard {
            hub: self,
            stream: self.stream.lock(),
            _held: Held::new(),
        }
    }

    pub(crate) fn set_backlog_size(&self, bytes: u64) {
        self.stream.lock().log.set_limit(bytes);
    }

    /// Becomes (or stays) a replica of that master: from here on our own writes are not logged. Called with
    /// every shard entered, so that no write is under way that would then be missing from the log.
    pub(crate) fn follow(&self, host: String, port: u16) {
        let mut stream = self.stream.lock();
        self.epoch.fetch_add(1, Ordering::AcqRel);
        if !self.replica.swap(true, Ordering::AcqRel) {
            stream.own = Some((stream.history.id, stream.log.end()));
        }
        self.link_up.store(false, Ordering::Release);
        self.active.store(false, Ordering::Release);
        drop(stream);
        let mut published = self.published.lock();
        published.guard.clear();
        published.link = Some(LinkView {
            host,
            port,
            ..LinkView::default()
        });
    }

    /// Becomes a master, if we are a replica: a new replid, the old one becomes the second. Called with every
    /// shard entered. Whether it was a replica; if so, all replicas are to be disconnected.
    pub(crate) fn promote(&self, clock: &dyn Clock) -> bool {
        let mut stream = self.stream();
        if !self.replica.swap(false, Ordering::AcqRel) {
            return false;
        }
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.link_up.store(false, Ordering::Release);
        let id = ReplId::random(clock);
        match stream.diverged {
            Some(_) => stream.part(id),
            None => stream.shift(id),
        }
        stream.database = None;
        stream.own = None;
        let history = stream.history;
        drop(stream);
        self.guard_lifted.store(false, Ordering::Release);
        let mut published = self.published.lock();
        published.link = None;
        published.guard.clear();
        drop(published);
        if history.id2 == ReplId::ZERO {
            tracing::warn!(
                "The data had diverged from the master's: its history ends here, and replicas of it need a full \
                 sync. New replication ID is {}",
                history.id
            );
            return true;
        }
        tracing::info!(
            "Setting secondary replication ID to {}, valid up to offset: {}. New replication ID is {}",
            history.id2,
            history.second_offset,
            history.id
        );
        true
    }

    /// As a replica, as long as the epoch is `epoch`: our master continues from our offset, under a new id if it
    /// names one. The database that the stream is in; None: the role has changed.
    pub(crate) fn resume(&self, epoch: u64, new_id: Option<ReplId>) -> Option<usize> {
        let mut stream = self.stream();
        // The epoch changes under this lock, so it holds for what is done here.
        if self.epoch() != epoch {
            return None;
        }
        stream.active = true;
        // It has all of ours.
        stream.own = None;
        if let Some(id) = new_id {
            stream.shift(id);
        }
        let database = stream.database.unwrap_or(0);
        drop(stream);
        // The override was for this sync, and it is not needed.
        self.lift_guard(false);
        self.published.lock().guard.clear();
        Some(database)
    }

    /// As a replica: the data is no longer what history and offset say, from `offset` on. Called inside the shards
    /// whose data it is, before they are left.
    pub(crate) fn diverge(&self, offset: u64) {
        self.stream.lock().diverged.get_or_insert(offset);
    }

    /// Whether the data is not what history and offset say, and from which offset on.
    pub(crate) fn diverged(&self) -> Option<u64> {
        self.stream.lock().diverged
    }

    /// As a replica that was a master before: which history of its own it holds, and up to which offset, that its
    /// master may lack.
    pub(crate) fn own_history(&self) -> Option<(ReplId, u64)> {
        self.stream.lock().own
    }

    /// The node begins as a replica: it has accepted nothing.
    pub(crate) fn begins_as_replica(&self) {
        self.stream.lock().own = None;
    }

    /// Shows how the link stands, as long as the epoch is `epoch`. `view` is given what is shown now.
    pub(crate) fn publish_link(&self, epoch: u64, up: bool, view: impl FnOnce(&mut LinkView)) {
        let _stream = self.stream.lock();
        if self.epoch() != epoch {
            return;
        }
        self.link_up.store(up, Ordering::Release);
        self.published.lock().link.as_mut().map(view);
    }

    /// A number that changes with every change of role or master; inside every shard and the stream's lock.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// What the replication actors publish. Locked after the stream, if both are.
    pub(crate) fn published(&self) -> MutexGuard<'_, PublishedState> {
        self.published.lock()
    }

    /// Counts the good replicas anew: `min-replicas-max-lag` has changed.
    pub(crate) fn count_good_replicas(&self, max_lag_s: i64, now_ms: i64) {
        let good = self.published.lock().replicas.good(max_lag_s, now_ms);
        self.set_good_replicas(good);
    }

    /// Everything INFO replication and ROLE need.
    pub(crate) fn observe(&self) -> ReplicationView {
        let stream = self.stream.lock();
        let published = self.published.lock();
        ReplicationView {
            link: published.link.clone(),
            replicas: published.replicas.iter().cloned().collect(),
            history: stream.history,
            offset: stream.log.end(),
            backlog_active: stream.active,
            backlog_size: stream.log.limit(),
            backlog_first_byte: if stream.active {
                stream.log.first() + 1
            } else {
                0
            },
            backlog_bytes: if stream.active { stream.log.len() } else { 0 },
            log_held: stream.log.held_for_cursors(),
            spool: stream.log.spool().clone(),
            good_replicas: self.good_replicas(),
            failover: self.failover.state(),
            guard: published.guard,
            write_rate: published.write_rate,
            diverged: stream.diverged,
            stream_errors: published.stream_errors.clone(),
            discarded: published.discarded.clone(),
        }
    }

    /// The last full resyncs, the newest first, and how many there were in all.
    pub(crate) fn resyncs(&self) -> (Vec<Resync>, u64) {
        let published = self.published.lock();
        (
            published.explain.resyncs().cloned().collect(),
            published.explain.total(),
        )
    }

    pub(crate) fn set_good_replicas(&self, n: usize) {
        self.good_replicas.store(n, Ordering::Relaxed);
    }

    /// The replids and their bounds.
    pub(crate) fn history(&self) -> History {
        self.stream.lock().history
    }

    /// Where the stream stands at a snapshot's cut; called with every shard entered. `for_replicas`: the log is held
    /// from there on, and the next write of a master says SELECT again, since a replica that loads that snapshot
    /// knows of none before it. As a replica the stream isn't ours to change.
    pub(crate) fn cut(&self, for_replicas: bool) -> StreamCut {
        let mut stream = self.stream();
        let offset = stream.log.end();
        let mut cut = StreamCut {
            id: stream.history.id,
            offset,
            database: stream.active.then(|| stream.database.unwrap_or(0)),
            diverged: stream.diverged,
            pin: None,
        };
        if for_replicas {
            cut.pin = stream.log.attach_spillable(offset).ok();
            if !self.is_replica() {
                stream.database = None;
            }
        }
        cut
    }

    /// Resumes the stream that a dump is a state of, at a start. A replica asks its master for the rest of it. A
    /// master begins a stream of its own, under a new id, that continues the old one: replicas that have come as far
    /// as the dump get what follows. `diverged`: from which offset on the dump is no state of that stream; then a
    /// master has nothing to continue, and false is returned.
    pub(crate) fn take_up(
        &self,
        id: ReplId,
        offset: u64,
        database: Option<usize>,
        diverged: Option<u64>,
        clock: &dyn Clock,
    ) -> bool {
        let mut history = History::new(id);
        let is_replica = self.is_replica();
        if !is_replica {
            if diverged.is_some() {
                return false;
            }
            history.shift(ReplId::random(clock), offset);
        }
        let mut stream = self.stream();
        stream.adopt(history, offset, database.filter(|_| is_replica));
        stream.diverged = diverged;
        true
    }
}

/// A stream at a snapshot's cut.
#[derive(Debug)]
pub(crate) struct StreamCut {
    /// The history, and the bytes of it before the cut.
    pub(crate) id: ReplId,
    pub(crate) offset: u64,
    /// The database that is selected there; None: there is no stream.
    pub(crate) database: Option<usize>,
    /// The data is not what the history says, from that offset on.
    pub(crate) diverged: Option<u64>,
    /// Holds the log from there on, for replicas.
    pub(crate) pin: Option<Cursor>,
}

/// The locked stream; when released, the lock-free copies of its offset and activity are brought up to date.
#[derive(Debug)]
pub(crate) struct StreamGuard<'a> {
    hub: &'a Hub,
    stream: MutexGuard<'a, Stream>,
    _held: Held,
}

impl std::ops::Deref for StreamGuard<'_> {
    type Target = Stream;
    fn deref(&self) -> &Stream {
        &self.stream
    }
}

impl std::ops::DerefMut for StreamGuard<'_> {
    fn deref_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }
}

impl Drop for StreamGuard<'_> {
    fn drop(&mut self) {
        self.hub
            .offset
            .store(self.stream.log.end(), Ordering::Release);
        let active = self.stream.active && !self.hub.is_replica();
        self.hub.active.store(active, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn nothing_is_logged_without_a_backlog() {
        let clock = ManualClock::new(0, 1);
        let hub = Hub::new(&*clock, 1000);
        assert!(!hub.log_active());
        assert_eq!(hub.append(0, b"x", false), 0);
        hub.stream().open_backlog(ReplId::random(&*clock));
        assert!(hub.log_active());
        assert_eq!(hub.append(0, b"x", false), 24);
        assert_eq!(hub.offset(), 24);
    }

    #[test]
    fn a_replica_repeats_its_master_only() {
        let clock = ManualClock::new(0, 1);
        let hub = Hub::new(&*clock, 1000);
        hub.stream()
            .adopt(History::new(ReplId::random(&*clock)), 500, Some(0));
        hub.follow("master".into(), 6379);
        assert!(!hub.log_active());
        assert_eq!(hub.append(0, b"x", false), 500);
        assert_eq!(hub.append_from_master(hub.epoch(), b"abc", 3), 503);
        assert_eq!(hub.observe().link.map(|l| l.port), Some(6379));
        let epoch = hub.epoch();
        assert!(hub.promote(&*clock));
        // What that master says is void from here on.
        assert_eq!(hub.append_from_master(epoch, b"abc", 3), 503);
        let history = hub.history();
        assert_eq!(hub.resume(epoch, Some(ReplId::random(&*clock))), None);
        assert_eq!(hub.history(), history);
        assert!(!hub.promote(&*clock));
        assert!(hub.log_active());
        // A promoted node says SELECT: those who loaded a dump of it know of no other.
        assert_eq!(hub.append(3, b"x", false), 504 + 23);
        assert_eq!(hub.observe().history.second_offset, 504);
    }
}
