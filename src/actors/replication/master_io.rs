//! What a [`MasterDriver`](crate::repl::MasterDriver) has in a node that runs: a SlaveBufferActor for each
//! replica's socket, the SnapshotActor, the feed or the dump file that a snapshot goes into.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::prelude::*;
use bytes::Bytes;

use crate::actors::replication::failover::NodeRole;
use crate::actors::replication::filtered;
use crate::actors::replication::slave_buffer::{SharedSending, SlaveBufferActor};
use crate::actors::replication::slave_messages;
use crate::actors::snapshots::feed::{SharedFeed, WeakFeed};
use crate::actors::snapshots::snapshot::{AbortSnapshot, ForReplicas, Progress, SnapshotActor};
use crate::actors::snapshots::spool_file::{SpoolFileActor, spool_log};
use crate::clock::Clock;
use crate::node_core::NodeCore;
use crate::repl::failover::driver::{NameMaster, RoleIo};
use crate::repl::full_sync::FilteredDump;
use crate::repl::transfer::{Form, MARK};
use crate::repl::{
    BacklogSize, Cursor, Hub, MasterIo, MasterSettings, OutputLimit, ReplId, SyncCounts,
    SyncProgress, Target,
};

/// Between two tries to spool when it fails, ms.
const SPOOL_RETRY_MS: i64 = 1000;

/// What replicas take of a snapshot to sockets, and how its end is marked.
pub(crate) struct Sending {
    pub(crate) feed: SharedFeed,
    mark: [u8; MARK],
}

/// See the module.
pub(crate) struct MasterSockets {
    pub(crate) node: Arc<NodeCore>,
    snapshots: Addr<SnapshotActor>,
    /// The recipient of a snapshot's progress; set when the MasterActor starts.
    pub(crate) report: Option<Recipient<Progress>>,
    pub(crate) buffers: HashMap<u64, Addr<SlaveBufferActor>>,
    /// The last snapshot to sockets, while others can join it.
    pub(crate) sending: Option<Sending>,
    /// All feeds, as long as some replica takes them.
    feeds: Vec<WeakFeed>,
    /// The last finished dump file for replicas.
    pub(crate) dump: Option<PathBuf>,
    /// None until the first replica comes.
    shared: Option<SharedSending>,
    last_retry_ms: i64,
}

impl MasterSockets {
    pub(crate) fn new(node: Arc<NodeCore>, snapshots: Addr<SnapshotActor>) -> MasterSockets {
        let settings = node.settings.load();
        node.hub
            .spool()
            .configure(settings.repl_spool_memory, settings.repl_spool_limit);
        drop(settings);
        MasterSockets {
            node,
            snapshots,
            report: None,
            buffers: HashMap::new(),
            sending: None,
            feeds: Vec::new(),
            dump: None,
            shared: None,
            last_retry_ms: 0,
        }
    }

    /// Spools what is due, for the log and for every feed, and tries again now and then what failed.
    pub(crate) fn maintain_spool(&mut self) {
        let settings = self.node.settings.load();
        let spool = self.node.hub.spool();
        spool.configure(settings.repl_spool_memory, settings.repl_spool_limit);
        let now_ms = self.node.clock.unix_ms();
        if now_ms - self.last_retry_ms >= SPOOL_RETRY_MS {
            self.last_retry_ms = now_ms;
            spool.retry();
        }
        self.spool_log();
        self.feeds.retain(WeakFeed::maintain);
    }

    /// What the buffers share; the thread that spools is started with the first of them.
    pub(crate) fn shared(&mut self) -> &SharedSending {
        let node = &self.node;
        self.shared.get_or_insert_with(|| SharedSending {
            files: SpoolFileActor::spawn(node),
            bandwidth: Arc::default(),
        })
    }

    pub(crate) fn spool_log(&self) {
        match &self.shared {
            Some(shared) => spool_log(&self.node, &shared.files),
            // Nobody has had a place in the log that would have to be kept.
            None => {
                let freed = self.node.hub.stream().log.take_freed();
                drop(freed);
            }
        }
    }

    fn new_feed(&mut self) -> Sending {
        let id = ReplId::random(&*self.node.clock);
        let mut mark = [0; MARK];
        mark.copy_from_slice(id.as_bytes());
        let files = self.shared().files.clone();
        let feed = SharedFeed::new(self.node.hub.spool(), Some(files));
        self.feeds.push(feed.downgrade());
        Sending { feed, mark }
    }

    /// Has the replica take that feed from its first byte on, behind `line`; false if that is gone.
    fn give_feed(
        &self,
        id: u64,
        line: Bytes,
        sending: Option<&Sending>,
        progress: SyncProgress,
    ) -> bool {
        let Some(buffer) = self.buffers.get(&id) else {
            return true;
        };
        let Some(Sending { feed, mark }) = sending.filter(|s| s.feed.join(id)) else {
            return false;
        };
        if !line.is_empty() {
            buffer.do_send(slave_messages::Send(line));
        }
        let header = Bytes::from(Form::Mark(*mark).header());
        buffer.do_send(slave_messages::Send(header));
        buffer.do_send(slave_messages::TakeFeed {
            feed: feed.clone(),
            progress,
        });
        true
    }

    /// A snapshot is complete: in its feed, or in this file.
    pub(crate) fn snapshot_made(&mut self, path: Option<PathBuf>) {
        match (path, &self.sending) {
            (None, Some(sending)) => sending.feed.end(),
            (path, _) => self.dump = path,
        }
    }
}

impl RoleIo for MasterSockets {
    fn hub(&self) -> &Hub {
        &self.node.hub
    }

    fn clock(&self) -> &dyn Clock {
        &*self.node.clock
    }

    fn follow(&mut self, to: &mut NameMaster<'_>) -> bool {
        NodeRole(self.node.clone()).follow(to)
    }

    fn promote(&mut self) -> Option<u64> {
        NodeRole(self.node.clone()).promote()
    }

    fn give_up(&mut self, then: &mut dyn FnMut(&Hub)) -> bool {
        NodeRole(self.node.clone()).give_up(then)
    }

    fn resume_writes(&mut self) {
        NodeRole(self.node.clone()).resume_writes();
    }
}

impl MasterIo for MasterSockets {
    fn settings(&self) -> MasterSettings {
        let settings = self.node.settings.load();
        let backlog = if settings.repl_backlog_auto {
            let memory = match settings.maxmemory {
                0 => self.node.memory.last().system,
                limit => limit,
            };
            BacklogSize::Auto {
                seconds: settings.repl_backlog_seconds,
                max_bytes: memory / 100 * settings.repl_backlog_memory_percent,
            }
        } else {
            BacklogSize::Fixed
        };
        let limit = &settings.client_output_buffer_limit.replica;
        MasterSettings {
            diskless: settings.repl_diskless_sync || !settings.has_dump(),
            diskless_delay_ms: settings.repl_diskless_sync_delay as i64 * 1000,
            diskless_max_replicas: settings.repl_diskless_sync_max_replicas as usize,
            ping_period_ms: settings.repl_ping_replica_period as i64 * 1000,
            timeout_ms: settings.repl_timeout as i64 * 1000,
            backlog_ttl_ms: settings.repl_backlog_ttl as i64 * 1000,
            limit: OutputLimit {
                hard: limit.hard,
                soft: limit.soft,
                soft_s: limit.soft_seconds,
            },
            transfers_max: settings.repl_max_transfers as usize,
            keep_ms: settings.repl_snapshot_keep as i64 * 1000,
            saves: !settings.save.is_empty(),
            min_replicas_max_lag_s: settings.min_replicas_max_lag as i64,
            backlog,
            delta: settings.repl_delta_resync,
        }
    }

    fn send(&mut self, id: u64, bytes: Bytes) {
        if let Some(buffer) = self.buffers.get(&id) {
            buffer.do_send(slave_messages::Send(bytes));
        }
    }

    fn follow_log(&mut self, id: u64, cursor: Cursor, position: u64) {
        if let Some(buffer) = self.buffers.get(&id) {
            buffer.do_send(slave_messages::Follow { cursor, position });
        }
    }

    fn close(&mut self, id: u64, last: Option<Bytes>) {
        if let Some(buffer) = self.buffers.get(&id) {
            buffer.do_send(slave_messages::Close { last });
        }
    }

    fn start_snapshot(&mut self, number: u64, target: Target) {
        self.sending = match target {
            Target::Disk => None,
            Target::Sockets => Some(self.new_feed()),
        };
        let Some(report) = self.report.clone() else {
            return;
        };
        self.snapshots.do_send(ForReplicas {
            number,
            feed: self.sending.as_ref().map(|s| (s.feed.clone(), s.mark)),
            report,
        });
    }

    fn abort_snapshot(&mut self, number: u64) {
        self.sending = None;
        self.snapshots.do_send(AbortSnapshot { number });
    }

    fn is_feed_joinable(&self) -> bool {
        self.sending.as_ref().is_some_and(|s| s.feed.is_joinable())
    }

    fn send_feed(&mut self, id: u64, line: Bytes, progress: SyncProgress) -> bool {
        self.give_feed(id, line, self.sending.as_ref(), progress)
    }

    fn send_filtered(&mut self, id: u64, dump: &FilteredDump, progress: SyncProgress) {
        let sending = self.new_feed();
        self.give_feed(id, Bytes::new(), Some(&sending), progress);
        for chunk in filtered::write(&self.node, dump) {
            sending.feed.push(chunk);
        }
        sending.feed.push(Bytes::copy_from_slice(&sending.mark));
        sending.feed.end();
        sending.feed.close_joins();
    }

    fn close_feed(&mut self) {
        if let Some(sending) = self.sending.take() {
            sending.feed.close_joins();
        }
    }

    fn send_dump(&mut self, id: u64, progress: SyncProgress) -> Result<(), String> {
        let opened = self
            .dump
            .as_ref()
            .ok_or_else(|| std::io::Error::other("no dump"))
            .and_then(File::open)
            .and_then(|file| Ok((file.metadata()?.len(), file)));
        let (length, file) = opened.map_err(|error| error.to_string())?;
        if let Some(buffer) = self.buffers.get(&id) {
            let header = Form::Length(length).header();
            buffer.do_send(slave_messages::Send(header.into()));
            progress.total.store(length, Ordering::Relaxed);
            buffer.do_send(slave_messages::TakeFile { file, progress });
        }
        Ok(())
    }

    fn publish(&mut self, counts: SyncCounts, is_streaming: bool) {
        // Added and not set: CONFIG RESETSTAT may have zeroed them.
        let stats = &self.node.stats;
        stats.sync_full.add(counts.full);
        stats.sync_partial_ok.add(counts.partial_ok);
        stats.sync_partial_err.add(counts.partial_err);
        // To INFO a snapshot is being saved until the last replica has it.
        self.node
            .persistence
            .streaming
            .store(is_streaming, Ordering::Relaxed);
    }
}
