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

/// Our link to a master, as its actor last described it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkView {
    pub host: String,
    pub port: u16,
    pub state: LinkState,
    /// When the master was last heard of, Unix ms; None: never in this attempt.
    pub last_io_ms: Option<i64>,
    /// Since when the link is down, Unix ms; None: it is up, or never was up or down.
    pub down_since_ms: Option<i64>,
    /// A full sync's dump is coming in: bytes read, and all, if known.
    pub transfer: Option<(u64, Option<u64>)>,
    /// How long it will take yet, ms, if that can be told.
    pub transfer_eta_ms: Option<u64>,
    /// Our place in the master's queue for a transfer; 0: in none, or the master does not tell.
    pub queue_place: usize,
    /// Bytes of stream received, applied or not (slave_read_repl_offset).
    pub read_offset: u64,
    /// What the last sync failed of; None once the link is up.
    pub last_error: Option<String>,
    /// Whether PSYNC may name our history (it may not after SYNC, or on a fresh node).
    pub resumable: bool,
}

/// What the replication actors publish; part of the hub.
#[derive(Debug, Default)]
pub struct PublishedState {
    pub replicas: Replicas,
    /// Set while we are a replica.
    pub link: Option<LinkView>,
    pub counts: SyncCounts,
    /// The last full resyncs, of our replicas and our own.
    pub explain: Explain,
    /// What the guard against empty masters has done.
    pub guard: Guard,
    /// Bytes of stream a second, lately.
    pub write_rate: f64,
}

/// Everything INFO replication and ROLE need.
#[derive(Clone, Debug)]
pub struct ReplicationView {
    pub link: Option<LinkView>,
    pub replicas: Vec<Replica>,
    pub history: History,
    /// master_repl_offset.
    pub offset: u64,
    pub backlog_active: bool,
    pub backlog_size: u64,
    /// repl_backlog_first_byte_offset; 0 without a backlog.
    pub backlog_first_byte: u64,
    pub backlog_bytes: u64,
    /// Memory the log holds, shared slices counted once.
    pub log_memory: usize,
    /// The part of the log in memory that is beyond the backlog's size, bytes.
    pub log_held: u64,
    /// What is spooled for full syncs.
    pub spool: Arc<Spool>,
    /// Database that the stream has selected; None: the next command will say.
    pub database: Option<usize>,
    pub good_replicas: usize,
    pub counts: SyncCounts,
    pub failover: FailoverState,
    pub guard: Guard,
    pub write_rate: f64,
}

impl ReplicationView {
    pub fn is_replica(&self) -> bool {
        self.link.is_some()
    }

    /// Whether the link to our master streams ("up" in INFO).
    pub fn link_up(&self) -> bool {
        let state = self.link.as_ref().map(|l| l.state);
        state == Some(LinkState::Connected)
    }
}
