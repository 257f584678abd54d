//! What a [`LinkDriver`] needs of its owner: bytes, loads, the data.

use bytes::Bytes;

use super::LinkConfig;
#[cfg(doc)]
use super::driver::LinkDriver;
use crate::clock::Clock;
use crate::config::OnStreamError;
use crate::repl::failover::Answered;
use crate::repl::guard::Offer;
use crate::repl::hub::Hub;
use crate::repl::replid::ReplId;
use crate::repl::stream_input::StreamRunner;
use crate::resp::request::Batch;

/// The directives that matter to a full sync.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LinkSettings {
    /// replica-empty-master-guard.
    pub(crate) empty_master_guard: bool,
    /// replica-load-fallback flush: what doesn't fit beside the old data takes its place, after a flush.
    pub(crate) flush_if_too_large: bool,
    /// repl-keep-discarded.
    pub(crate) keep_discarded: bool,
    /// replica-on-stream-error.
    pub(crate) on_stream_error: OnStreamError,
}

/// Why a dump was not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoadError {
    pub(crate) text: String,
    /// It passed replica-load-memory-limit.
    pub(crate) too_large: bool,
}

/// What was fetched in a delta resync makes our data a state of that history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeltaReady {
    pub(crate) history: ReplId,
    pub(crate) offset: u64,
    /// The database that the stream has selected then, if it says.
    pub(crate) database: Option<usize>,
    /// For the log and INFO.
    pub(crate) told: String,
}

/// How an attempt to replace the data went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Swap {
    /// Some shard is busy: again later.
    Busy,
    /// It was not agreed to; what was loaded is gone.
    Refused,
    Done,
}

/// What a link needs of its owner: bytes, loads, the data. Nothing here decides.
pub(crate) trait LinkIo {
    fn hub(&self) -> &Hub;
    fn clock(&self) -> &dyn Clock;
    fn settings(&self) -> LinkSettings;
    /// The link's configuration for that master, as the directives are now.
    fn config(&self, host: String, port: u16) -> LinkConfig;

    /// Opens a connection; then [`LinkDriver::connected`] or [`LinkDriver::closed`].
    fn connect(&mut self, config: &LinkConfig);
    /// Drops the connection (or the attempt), what was to be sent, and a transaction that is half received.
    fn disconnect(&mut self);
    fn send(&mut self, bytes: Vec<u8>);
    /// The link came up, or went down: CLIENT LIST knows a master while it is one.
    fn link_is_up(&mut self, up: bool);

    /// A dump comes: load it beside the data. `unlimited`: replica-load-memory-limit does not apply.
    fn begin_load(&mut self, unlimited: bool);
    fn load(&mut self, bytes: Bytes);
    /// All of it has been handed over.
    fn finish_load(&mut self);
    /// Gives the load up, or what was loaded.
    fn abort_load(&mut self);
    /// How the load went; None: it is not through yet.
    fn loaded(&mut self) -> Option<Result<(), LoadError>>;
    /// Replaces the data by what was loaded, if `agree` agrees once every shard is entered. Until they are
    /// left nobody sees the data, nor the hub with it.
    fn swap_in(&mut self, agree: &mut dyn FnMut(&Offer) -> bool) -> Swap;
    /// Empties the dataset, as `swap_in`.
    fn flush(&mut self, agree: &mut dyn FnMut(&Hub, &dyn Clock) -> bool) -> Swap;

    /// Fetches from that master what makes our data the same as its own (`repl::delta`), and builds it beside the data.
    fn begin_delta(&mut self, host: String, port: u16);
    /// How that went; None: it is not through yet.
    fn delta(&mut self) -> Option<Result<DeltaReady, String>>;
    /// Gives it up, or what was fetched.
    fn abort_delta(&mut self);
    /// Applies what was fetched, if the data was not written to meanwhile and `agree` agrees once every shard is
    /// entered, which adopts history and offset. As `swap_in`.
    fn patch_in(&mut self, agree: &mut dyn FnMut(&Hub) -> bool) -> Swap;

    /// The stream goes on in that database, outside a transaction.
    fn select(&mut self, database: usize);
    /// Gives `work` a runner for a batch of the master's commands; leaves the shards and logs after it. A
    /// command that finds another epoch in the hub than `epoch`, inside its shards, can't run.
    fn run_batch(
        &mut self,
        epoch: u64,
        batch: &Batch,
        bytes: &[u8],
        work: &mut dyn FnMut(&mut dyn StreamRunner),
    );

    /// The next command must not run yet (`Hub::stream_hold`): the owner is to be woken when it may.
    fn stream_is_held(&mut self);

    /// Why writes of the master must not be run at present, if so. They come again once it says None.
    fn refuses_writes(&self) -> Option<&'static str>;

    /// Our history changed: all replicas must ask again. `promoted`: [`Hub::epoch`] after a promotion.
    fn close_replicas(&mut self, promoted: Option<u64>);
    /// What the target of our failover said.
    fn failover_answered(&mut self, answer: Answered);
    /// There is something to do for whoever polls.
    fn wake(&mut self);
}
