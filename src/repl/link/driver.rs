//! Carries out what the pure [`Link`] decides, and decides what needs more than the link knows: which history a
//! loaded dump is adopted under and whether it may be, what a change of role or master makes void, what INFO
//! shows. Sockets, threads and the data are its owner's ([`LinkIo`]): the SlaveLinkActor, or a simulated node.
//!
//! ```text
//! socket, timer, loader --event--> LinkDriver --> Link --LinkAction--> LinkDriver --> LinkIo (bytes, loads)
//!                                                                       \-------> Hub (history, offset, view)
//! ```
//!
//! Invariants:
//! - What came before a change of role or master ([`Hub::epoch`](crate::repl::Hub::epoch)) is void: it is not looked at until the change
//!   has come here ([`LinkDriver::retarget`]), and what changes data, history or offset asks for the epoch again
//!   under the lock, or inside the shards, under which it changes.
//! - History and offset in the hub change together with the data that they name, with every shard entered.
//! - A dump that was refused, broken or given up leaves data, history and offset as they were.

use bytes::Bytes;
use tracing::{info, warn};

use super::io::{LinkIo, Swap};
use super::{Env, Link, LinkAction, LinkState, Retry};
use crate::config::OnStreamError;
use crate::repl::StreamFailure;
use crate::repl::explain::{Resync, Side};
use crate::repl::failover::Answered;
use crate::repl::guard;
use crate::repl::replid::{History, ReplId};
use crate::repl::stream_input::StreamInput;
use crate::repl::view::LinkView;

/// Until the next try after a dump that was too large, ms: each costs the master a full sync.
const TOO_LARGE_PAUSE_MS: i64 = 60_000;

/// A dump on its way.
#[derive(Clone, Copy, Debug)]
struct Load {
    /// The history and offset that it is a state of.
    id: ReplId,
    offset: u64,
    /// All of it has come.
    complete: bool,
}

/// Making room for a dump that did not fit (replica-load-fallback flush).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Flush {
    #[default]
    Not,
    /// The old data is to go before the next load.
    Due,
    /// It has gone.
    Done,
}

/// The replica's side of a node.
#[derive(Debug, Default)]
pub(crate) struct LinkDriver {
    link: Option<Link>,
    /// `Hub::epoch` when the present link began.
    epoch: u64,
    load: Option<Load>,
    input: StreamInput,
    /// What differs is being fetched.
    delta: bool,
    /// Where in the stream the first byte of the input is.
    position: u64,
    flush: Flush,
    up: bool,
    down_since_ms: Option<i64>,
    /// As it was when it was last looked at.
    on_stream_error: OnStreamError,
}

impl LinkDriver {
    // ---- events ----

    /// The node has its data: if it is a replica, the link begins. `resumable`: the hub's replid and offset
    /// were taken up from a dump.
    pub(crate) fn begin(&mut self, resumable: bool, io: &mut impl LinkIo) {
        if self.link.is_none() && io.hub().is_replica() {
            self.start(resumable, io);
            self.with(io, |l, e, o| l.tick(e, o));
        }
        self.epoch = io.hub().epoch();
    }

    /// The hub's role or master has changed.
    pub(crate) fn retarget(&mut self, io: &mut impl LinkIo) {
        if self.epoch == io.hub().epoch() {
            return;
        }
        let mut resumable = true;
        if let Some(mut link) = self.link.take() {
            resumable = link.resumable();
            let mut actions = Vec::new();
            link.stop(&mut actions);
            for action in actions {
                self.carry_out(action, io);
            }
        } else if io.hub().is_replica() {
            info!(
                "Before turning into a replica, using my own master parameters to synthesize a cached master: I \
                 may be able to synchronize with the new master with just a partial transfer."
            );
        }
        if std::mem::take(&mut self.delta) {
            io.abort_delta();
        }
        self.disconnect(io);
        if std::mem::take(&mut self.up) {
            io.link_is_up(false);
            self.down_since_ms = Some(io.clock().unix_ms());
        }
        self.flush = Flush::Not;
        self.epoch = io.hub().epoch();
        if io.hub().is_replica() {
            self.start(resumable, io);
        } else {
            self.down_since_ms = None;
            io.close_replicas(Some(self.epoch));
        }
        self.with(io, |l, e, o| l.tick(e, o));
        io.wake();
    }

    /// Time passed; to be called about ten times a second.
    pub(crate) fn tick(&mut self, io: &mut impl LinkIo) {
        let Some(link) = &mut self.link else { return };
        let (host, port) = (link.config().host.clone(), link.config().port);
        link.set_config(io.config(host, port));
        if link.is_held() && io.refuses_writes().is_none() {
            link.release();
        }
        let on_error = io.settings().on_stream_error;
        if std::mem::replace(&mut self.on_stream_error, on_error) != on_error {
            self.policy_changed(on_error, io);
        }
        self.with(io, |l, e, o| l.tick(e, o));
        io.wake();
    }

    /// The connection stands.
    pub(crate) fn connected(&mut self, io: &mut impl LinkIo) {
        self.with(io, |l, e, o| l.connected(e, o));
    }

    /// The connection was lost, or could not be made.
    pub(crate) fn closed(&mut self, error: &str, io: &mut impl LinkIo) {
        self.with(io, |l, e, o| l.closed(e, error, o));
    }

    /// As [`LinkDriver::closed`], by the master: a link that worked is tried again at once.
    pub(crate) fn lost(&mut self, io: &mut impl LinkIo) {
        self.closed("connection lost", io);
        self.with(io, |l, e, o| l.tick(e, o));
    }

    /// Bytes came.
    pub(crate) fn received(&mut self, bytes: Bytes, io: &mut impl LinkIo) {
        self.with(io, |l, e, o| l.received(e, bytes, o));
    }

    /// What came is still to be dealt with, and nothing is read meanwhile: the silence is ours.
    pub(crate) fn touch(&mut self, io: &impl LinkIo) {
        let env = env(io);
        if let Some(link) = &mut self.link {
            link.touch(&env);
        }
    }

    /// Runs every whole command of the stream that has come, in order, until one can't run now.
    pub(crate) fn run_stream(&mut self, io: &mut impl LinkIo) {
        if self.input.is_empty() || self.is_void(io) {
            return;
        }
        let (epoch, now_ms) = (self.epoch, io.clock().unix_ms());
        let allowance = io.hub().stream_hold().allowance(self.position, now_ms);
        let round = self.input.run(allowance, |batch, bytes, work| {
            io.run_batch(epoch, batch, bytes, work);
        });
        self.position += round.logged;
        if round.held {
            io.stream_is_held();
        }
        if round.used > 0 {
            io.hub().wake();
        }
        if round.ack_wanted {
            // The asking itself is acknowledged too: a failover waits for an ack of every last byte.
            self.with(io, |l, e, o| l.answer_getack(e, o));
        }
        if let Some(error) = round.broken {
            self.with(io, |l, e, o| l.broken(e, &error, o));
        }
        if let Some(why) = round.impossible {
            let _ = record(&why, 1, io);
            self.with(io, |l, e, o| l.cannot_apply(e, &why, Retry::Same, o));
        }
        if let Some(failure) = round.last_passed_over {
            self.passed_over(&failure, round.passed_over, io);
        }
        if let Some(failure) = round.failed {
            self.failed(&failure, io);
        }
        if round.refused {
            match io.refuses_writes() {
                Some(why) => self.with(io, |l, e, o| l.hold(e, why, o)),
                // It is over already.
                None => io.wake(),
            }
        }
    }

    /// Commands of the stream failed and were passed over; the last of them.
    fn passed_over(&mut self, failure: &StreamFailure, count: u64, io: &mut impl LinkIo) {
        if let Some(line) = record(&failure.to_string(), count, io) {
            warn!(
                "== CRITICAL == This replica is sending an error to its master, and differs from it from here on \
                 (replica-on-stream-error is ignore): {line}"
            );
        }
    }

    /// A command of the stream failed: the link ends before it.
    fn failed(&mut self, failure: &StreamFailure, io: &mut impl LinkIo) {
        let why = format!("a command of the master's stream failed {failure}");
        let _ = record(&failure.to_string(), 1, io);
        let retry = match io.settings().on_stream_error {
            _ if failure.half_applied => Retry::InFull,
            OnStreamError::Resync => Retry::InFull,
            OnStreamError::Stop | OnStreamError::Ignore => Retry::Same,
        };
        self.with(io, |l, e, o| l.cannot_apply(e, &why, retry, o));
    }

    /// Looks after a load: how it went, and then the swap. To be called when it may be through, and when a
    /// shard was left that it had to wait for.
    pub(crate) fn look_at_load(&mut self, io: &mut impl LinkIo) {
        if self.flush == Flush::Due {
            self.flush_old(io);
        }
        let Some(load) = self.load else { return };
        if self.is_void(io) {
            return;
        }
        match io.loaded() {
            None => return,
            Some(Err(error)) => {
                self.with(io, |l, e, o| l.load_failed(e, &error.text, o));
                if error.too_large {
                    self.fall_back(io);
                }
                return;
            }
            Some(Ok(())) => {}
        }
        // The dump's own end may come before the transfer's: then the rest is still on its way.
        if load.complete {
            self.swap(load, io);
        }
    }

    /// Looks after a delta resync: whether all has come, and then the step in which it is applied. To be called as
    /// [`LinkDriver::look_at_load`].
    pub(crate) fn look_at_delta(&mut self, io: &mut impl LinkIo) {
        if !self.delta || self.is_void(io) {
            return;
        }
        let ready = match io.delta() {
            None => return,
            Some(Ok(ready)) => ready,
            Some(Err(why)) => return self.end_delta(Err(why), io),
        };
        let epoch = self.epoch;
        let swapped = io.patch_in(&mut |hub| {
            if hub.epoch() != epoch {
                return false;
            }
            hub.lift_guard(false);
            hub.published().guard.clear();
            let history = History::new(ready.history);
            hub.stream().adopt(history, ready.offset, ready.database);
            true
        });
        match swapped {
            Swap::Busy => {}
            Swap::Refused => {
                self.end_delta(Err("the data was written to meanwhile".into()), io);
            }
            Swap::Done => {
                io.close_replicas(None);
                self.end_delta(Ok(ready.told), io);
            }
        }
    }

    fn end_delta(&mut self, result: Result<String, String>, io: &mut impl LinkIo) {
        self.delta = false;
        let mut published = io.hub().published();
        let deltas = &mut published.deltas;
        match &result {
            Ok(told) => {
                info!("MASTER <-> REPLICA sync: Delta resync done: {told}");
                deltas.done += 1;
                deltas.last = told.clone();
            }
            Err(why) => {
                info!("MASTER <-> REPLICA sync: No delta resync, everything is asked for: {why}");
                deltas.failed += 1;
                deltas.last = format!("none: {why}");
            }
        }
        drop(published);
        self.with(io, |l, e, o| {
            l.delta_ended(e, result.as_ref().map(|_| ()).map_err(String::as_str));
            l.tick(e, o);
        });
        io.wake();
    }

    // ---- what is asked of it ----

    /// Whether bytes should be read from the connection.
    pub(crate) fn wants_read(&self) -> bool {
        self.link.as_ref().is_some_and(Link::wants_read)
    }

    /// Whether a dump is on its way.
    pub(crate) fn is_loading(&self) -> bool {
        self.load.is_some()
    }

    pub(crate) fn state(&self) -> Option<LinkState> {
        self.link.as_ref().map(Link::state)
    }

    // ---- carrying out ----

    /// replica-on-stream-error was changed: what the link has stopped at may pass now, and data that has diverged is
    /// replaced if the word is resync.
    fn policy_changed(&mut self, on_error: OnStreamError, io: &mut impl LinkIo) {
        let is_diverged = io.hub().diverged().is_some();
        if on_error == OnStreamError::Resync && is_diverged {
            self.with(io, |l, e, o| l.resync(e, "the data has diverged", o));
        } else {
            self.with(io, |l, e, _| l.try_now(e));
        }
    }

    /// Starts a link to the master that the hub names.
    fn start(&mut self, resumable: bool, io: &impl LinkIo) {
        self.epoch = io.hub().epoch();
        self.on_stream_error = io.settings().on_stream_error;
        let published = io.hub().published();
        let address = published.link.as_ref().map(|l| (l.host.clone(), l.port));
        drop(published);
        if let Some((host, port)) = address {
            self.link = Some(Link::new(io.config(host, port), resumable));
        }
    }

    /// The role has changed, or the master, and [`LinkDriver::retarget`] is on its way: until then nothing that
    /// comes by the link means anything.
    fn is_void(&self, io: &impl LinkIo) -> bool {
        self.epoch != io.hub().epoch()
    }

    /// One event of the link, and what it says is to be done.
    fn with<I: LinkIo>(
        &mut self,
        io: &mut I,
        f: impl FnOnce(&mut Link, &Env, &mut Vec<LinkAction>),
    ) {
        if self.is_void(io) {
            return;
        }
        let env = env(io);
        let mut actions = Vec::new();
        if let Some(link) = &mut self.link {
            f(link, &env, &mut actions);
        }
        for action in actions {
            self.carry_out(action, io);
        }
        self.publish(io);
    }

    fn carry_out(&mut self, action: LinkAction, io: &mut impl LinkIo) {
        match action {
            LinkAction::Connect => {
                let resyncs = self.on_stream_error == OnStreamError::Resync;
                if let Some(link) = &mut self.link {
                    if resyncs && io.hub().diverged().is_some() {
                        // What has diverged is not to be resumed.
                        link.discard("the data has diverged");
                    }
                    io.connect(link.config());
                }
            }
            LinkAction::Close => self.disconnect(io),
            LinkAction::Send(bytes) => io.send(bytes),
            LinkAction::BeginLoad { id, offset, .. } => {
                // A replica that came by the old SYNC has no id; ours must be one that no master knows.
                let id = if id == ReplId::ZERO {
                    ReplId::random(io.clock())
                } else {
                    id
                };
                self.load = Some(Load {
                    id,
                    offset,
                    complete: false,
                });
                io.begin_load(self.flush == Flush::Done);
            }
            LinkAction::Load(bytes) => io.load(bytes),
            LinkAction::FinishLoad => {
                if let Some(load) = &mut self.load {
                    load.complete = true;
                }
                io.finish_load();
            }
            LinkAction::AbortLoad => {
                if self.load.take().is_some() {
                    io.abort_load();
                    info!("MASTER <-> REPLICA sync: Discarding temporary DB in background");
                }
            }
            LinkAction::Continue { new_id } => self.resume(new_id, io),
            LinkAction::Apply(bytes) => self.input.push(&bytes),
            LinkAction::Resync { reason } => self.explain(reason, io),
            LinkAction::Delta => {
                if let Some(link) = &self.link {
                    self.delta = true;
                    io.begin_delta(link.config().host.clone(), link.config().port);
                }
            }
            LinkAction::FailoverAccepted => io.failover_answered(Answered::Accepted),
            LinkAction::FailoverRefused(why) => io.failover_answered(Answered::Refused(why)),
        }
    }

    /// The master continues from our offset, perhaps under a new id.
    fn resume(&mut self, new_id: Option<ReplId>, io: &mut impl LinkIo) {
        let Some(database) = io.hub().resume(self.epoch, new_id) else {
            return;
        };
        self.position = io.hub().offset();
        io.select(database);
        if new_id.is_some() {
            io.close_replicas(None);
        }
    }

    /// Drops the connection and what it brought that didn't run.
    fn disconnect(&mut self, io: &mut impl LinkIo) {
        self.input.clear();
        io.disconnect();
    }

    /// The loaded dump takes the place of the data, unless the guard against empty masters refuses it.
    fn swap(&mut self, load: Load, io: &mut impl LinkIo) {
        let guarded = io.settings().empty_master_guard;
        let (epoch, mut is_refused) = (self.epoch, false);
        let swapped = io.swap_in(&mut |offer| {
            let hub = offer.hub;
            is_refused = guarded && guard::refuses(load.id, offer);
            if is_refused || hub.epoch() != epoch {
                return false;
            }
            hub.lift_guard(false);
            hub.published().guard.clear();
            let history = History::new(load.id);
            let mut stream = hub.stream();
            stream.adopt(history, load.offset, offer.database);
            stream.diverged = offer.diverged;
            true
        });
        match swapped {
            Swap::Busy => {}
            // Promoted, or pointed elsewhere, a moment ago.
            Swap::Refused if !is_refused => self.load = None,
            Swap::Refused => {
                self.load = None;
                io.hub().published().guard.refuse(io.clock().unix_ms());
                self.with(io, |l, e, o| l.refused(e, guard::REFUSED, o));
            }
            Swap::Done => {
                self.load = None;
                self.flush = Flush::Not;
                let database = io.hub().stream().database;
                self.position = io.hub().offset();
                io.select(database.unwrap_or(0));
                io.close_replicas(None);
                self.with(io, |l, e, o| l.loaded(e, o));
            }
        }
    }

    /// The new data doesn't fit beside the old.
    fn fall_back(&mut self, io: &mut impl LinkIo) {
        let keeps = io.settings().keep_discarded && io.hub().own_history().is_some();
        if keeps && io.settings().flush_if_too_large {
            warn!(
                "The old data holds writes of our own that the master may lack, so it is not flushed to make room \
                 (repl-keep-discarded)"
            );
        }
        if io.settings().flush_if_too_large && !keeps {
            warn!(
                "replica-load-memory-limit is passed: flushing the old data before the next sync, as \
                 replica-load-fallback says"
            );
            self.flush = Flush::Due;
            io.wake();
        } else {
            warn!(
                "replica-load-memory-limit is passed: keeping the old data, as replica-load-fallback says; \
                 trying again in {} seconds",
                TOO_LARGE_PAUSE_MS / 1000
            );
            self.with(io, |l, e, _| l.put_off(e, TOO_LARGE_PAUSE_MS));
        }
    }

    /// Flushes the old data, once every shard can be entered. What is left is nothing that could be resumed,
    /// neither by us nor by replicas of ours, not even after a promotion or out of a dump: the history ends.
    fn flush_old(&mut self, io: &mut impl LinkIo) {
        let epoch = self.epoch;
        match io.flush(&mut |hub, clock| {
            // Promoted, or pointed elsewhere, in the meantime: the data is wanted.
            let is_wanted = epoch != hub.epoch();
            if !is_wanted {
                hub.stream().close_backlog(ReplId::random(clock));
            }
            !is_wanted
        }) {
            Swap::Busy | Swap::Refused => {}
            Swap::Done => {
                self.flush = Flush::Done;
                if let Some(link) = &mut self.link {
                    link.discard("the old data was flushed to make room (replica-load-fallback)");
                }
                io.close_replicas(None);
            }
        }
    }

    /// Keeps the reason of a full resync of ours.
    fn explain(&self, reason: String, io: &impl LinkIo) {
        let peer = self.link.as_ref().map_or_else(String::new, |link| {
            format!("{}:{}", link.config().host, link.config().port)
        });
        info!("Full resync with master {peer}: {reason}");
        io.hub().published().explain.record(Resync {
            at_ms: io.clock().unix_ms(),
            side: Side::Replica,
            peer,
            reason,
        });
    }

    /// Shows INFO, ROLE and dispatch where the link stands.
    fn publish(&mut self, io: &mut impl LinkIo) {
        let Some(link) = &self.link else { return };
        let mut state = link.state();
        let mut up = state == LinkState::Connected;
        if up && link.is_stuck(io.hub().offset()) {
            // The master only repeats what can't be applied here.
            (state, up) = (LinkState::Handshake, false);
        }
        if up != self.up {
            self.up = up;
            io.link_is_up(up);
        }
        let (hub, now_ms) = (io.hub(), io.clock().unix_ms());
        if up {
            self.down_since_ms = None;
        } else if hub.link_up() {
            self.down_since_ms = Some(now_ms);
        }
        let read_offset = hub.offset() + self.input.len() as u64;
        hub.publish_link(self.epoch, up, |view| {
            *view = LinkView {
                host: std::mem::take(&mut view.host),
                port: view.port,
                state,
                last_io_ms: Some(link.last_io_ms()).filter(|ms| *ms > 0),
                down_since_ms: self.down_since_ms,
                transfer: link.progress(),
                transfer_eta_ms: link.eta_ms(now_ms),
                queue_place: link.queue_place(),
                last_error: link.last_error().map(str::to_owned),
                resumable: link.resumable(),
                read_offset,
            };
        });
    }
}

/// Counts commands of the stream that failed; what the log is to say, if it isn't to be flooded.
fn record(text: &str, count: u64, io: &impl LinkIo) -> Option<String> {
    let now_ms = io.clock().unix_ms();
    let errors = &mut io.hub().published().stream_errors;
    errors.total += count.saturating_sub(1);
    errors.record(text, now_ms)
}

/// What the node is now.
fn env(io: &impl LinkIo) -> Env {
    let stream = io.hub().stream();
    Env {
        now_ms: io.clock().unix_ms(),
        id: stream.history.id,
        offset: stream.log.end(),
        random: io.clock().random(),
    }
}
