//! What INFO replication, ROLE and tests see: a copy of the replication state at one moment.

use std::sync::Arc;

use super::explain::Explain;
use super::failover::FailoverState;
use super::guard::Guard;
use super::link::LinkState;
use super::master::SyncCounts;
use super::replicas::{Replica, Replicas};
use super::replid::History;
use super::spool::Spool;
use super::stream_errors::StreamErrors;
use super::verify::report::Reports;

/// Our link to a master, as its actor last described it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkView {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) state: LinkState,
    /// When the master was last heard of, Unix ms; None: never in this attempt.
    pub(crate) last_io_ms: Option<i64>,
    /// Since when the link is down, Unix ms; None: it is up, or never was up or down.
    pub(crate) down_since_ms: Option<i64>,
    /// A full sync's dump is coming in: bytes read, and all, if known.
    pub(crate) transfer: Option<(u64, Option<u64>)>,
    /// How long it will take yet, ms, if that can be told.
    pub(crate) transfer_eta_ms: Option<u64>,
    /// Our place in the master's queue for a transfer; 0: in none, or the master does not tell.
    pub(crate) queue_place: usize,
    /// Bytes of stream received, applied or not (slave_read_repl_offset).
    pub(crate) read_offset: u64,
    /// What the last sync failed of; None once the link is up.
    pub(crate) last_error: Option<String>,
    /// Whether PSYNC may name our history (it may not after SYNC, or on a fresh node).
    pub(crate) resumable: bool,
}

/// Files with what full syncs threw away of our own writes, since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DiscardedFiles {
    pub(crate) files: u64,
    /// The last one's name, keys, and keys that are not in it for its size.
    pub(crate) last: Option<(String, u64, u64)>,
}

impl DiscardedFiles {
    pub(crate) fn add(&mut self, file: String, keys: u64, left_out: u64) {
        self.files += 1;
        self.last = Some((file, keys, left_out));
    }
}

/// What the replication actors publish; part of the hub.
#[derive(Debug, Default)]
pub(crate) struct PublishedState {
    pub(crate) replicas: Replicas,
    /// Set while we are a replica.
    pub(crate) link: Option<LinkView>,
    pub(crate) counts: SyncCounts,
    /// The last full resyncs, of our replicas and our own.
    pub(crate) explain: Explain,
    /// What the guard against empty masters has done.
    pub(crate) guard: Guard,
    /// Bytes of stream a second, lately.
    pub(crate) write_rate: f64,
    /// The last verification with each peer.
    pub(crate) reports: Reports,
    /// Commands of our master's stream that failed here.
    pub(crate) stream_errors: StreamErrors,
    /// What full syncs threw away of our own writes.
    pub(crate) discarded: DiscardedFiles,
    /// Our own delta resyncs, and how the last one went.
    pub(crate) deltas: Deltas,
}

/// Our own delta resyncs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deltas {
    /// Those that did, and those that a full sync had to take the place of.
    pub(crate) done: u64,
    pub(crate) failed: u64,
    /// How the last one went.
    pub(crate) last: String,
}

/// Everything INFO replication and ROLE need.
#[derive(Clone, Debug)]
pub(crate) struct ReplicationView {
    pub(crate) link: Option<LinkView>,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) history: History,
    /// master_repl_offset.
    pub(crate) offset: u64,
    pub(crate) backlog_active: bool,
    pub(crate) backlog_size: u64,
    /// repl_backlog_first_byte_offset; 0 without a backlog.
    pub(crate) backlog_first_byte: u64,
    pub(crate) backlog_bytes: u64,
    /// The part of the log in memory that is beyond the backlog's size, bytes.
    pub(crate) log_held: u64,
    /// What is spooled for full syncs.
    pub(crate) spool: Arc<Spool>,
    pub(crate) good_replicas: usize,
    pub(crate) failover: FailoverState,
    pub(crate) guard: Guard,
    pub(crate) write_rate: f64,
    /// The data is not what history and offset say, from that offset on.
    pub(crate) diverged: Option<u64>,
    pub(crate) stream_errors: StreamErrors,
    /// What full syncs threw away of our own writes.
    pub(crate) discarded: DiscardedFiles,
}

impl ReplicationView {
    pub(crate) fn is_replica(&self) -> bool {
        self.link.is_some()
    }

    /// Whether the link to our master streams ("up" in INFO).
    pub(crate) fn link_up(&self) -> bool {
        let state = self.link.as_ref().map(|l| l.state);
        state == Some(LinkState::Connected)
    }
}
