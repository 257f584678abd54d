//! What a simulated node has instead of sockets, threads, files and mailboxes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::dataset::{DATABASES, Dataset, Image};
use super::delta::SimDelta;
use super::feeds::{SimFeed, SimSnapshot};
use super::node::SimContext;
use super::peers::Peer;
use super::spooling::{Disk, Writing};
use super::stream::Session;
use crate::clock::ManualClock;
use crate::config::OnStreamError;
use crate::repl::failover::Answered;
use crate::repl::hub::StreamCut;
use crate::repl::link::io::LinkSettings;
use crate::repl::{Hub, MasterSettings, ReplId, SyncCounts};

/// For the link's driver.
#[derive(Debug)]
pub(super) enum Mail {
    Retarget,
}

/// For the master's driver.
#[derive(Debug)]
pub(super) enum ToMaster {
    CloseReplicas {
        promoted: Option<u64>,
    },
    Detached {
        id: u64,
    },
    DumpStreamed {
        id: u64,
    },
    DumpSent {
        id: u64,
    },
    Cut {
        number: u64,
        cut: StreamCut,
    },
    /// With the dump file, if it went there.
    Ended {
        number: u64,
        result: Result<Option<Bytes>, ()>,
    },
}

/// Messages on their way between a node's own parts: each box in order, and at times late.
#[derive(Debug, Default)]
pub(super) struct Mailboxes {
    pub(crate) link: VecDeque<Mail>,
    pub(crate) master: VecDeque<ToMaster>,
    pub(crate) failover: Option<Answered>,
}

/// What survives a restart.
#[derive(Clone, Debug)]
struct Saved {
    image: Vec<u8>,
    replication: Option<(ReplId, u64)>,
}

/// A dump on its way in.
#[derive(Debug, Default)]
pub(super) struct Load {
    pub(crate) bytes: Vec<u8>,
    /// When the loader will be through; None: more bytes are to come.
    pub(crate) ready_at_ms: Option<i64>,
    pub(crate) unlimited: bool,
    pub(crate) loaded: Option<Image>,
}

/// What the drivers act with: a node's parts and its surroundings.
pub(super) struct Io<'a, 'w> {
    pub(crate) host: &'a mut Host,
    pub(crate) sim: &'a mut SimContext<'w>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Host {
    pub(crate) index: usize,
    pub(crate) up: bool,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) hub: Hub,
    pub(crate) settings: MasterSettings,
    pub(crate) link_settings: LinkSettings,
    /// Of 256 dumps, so many don't fit beside the old data.
    pub(crate) too_large: u8,
    /// How many databases it has: at times fewer than others.
    pub(crate) databases: usize,
    /// Whether it knows the command VADD: at times others do and it doesn't.
    pub(crate) knows_all: bool,
    pub(crate) data: Dataset,
    pub(crate) mail: Mailboxes,
    pub(crate) writes_paused: bool,
    /// A shard was busy in this step.
    pub(crate) busy: bool,
    pub(crate) link_connection: Option<u64>,
    pub(crate) load: Option<Load>,
    /// A delta resync of ours under way.
    pub(crate) delta: Option<SimDelta>,
    /// repl-delta-resync, as a replica.
    pub(crate) offers_delta: bool,
    /// Those that were applied.
    pub(crate) deltas: u64,
    /// Speaks for our master.
    pub(crate) session: Session,
    pub(crate) peers: Vec<Peer>,
    pub(crate) snapshot: Option<SimSnapshot>,
    /// Feeds that somebody takes or may join.
    pub(crate) feeds: Vec<SimFeed>,
    /// The number of the snapshot whose feed can be joined.
    pub(crate) present: Option<u64>,
    pub(crate) finished_dump: Option<Bytes>,
    pub(crate) disk: Disk,
    pub(crate) writing: Writing,
    spool: (u64, u64),
    saved: Option<Saved>,
    /// Bytes a step that it sends to each replica.
    pub(crate) bandwidth: usize,
    pub(crate) counts: SyncCounts,
    pub(crate) snapshots: u64,
    /// Empty datasets of strange masters that were refused, and failovers that were accepted.
    pub(crate) guarded: u64,
    pub(crate) failovers: u64,
    /// Commands and dumps for databases that it doesn't have.
    pub(crate) out_of_place: u64,
    /// How often it has been started again.
    pub(crate) starts: u64,
    /// What was written here as a master, and is not known to be elsewhere: database, key and value.
    pub(crate) own: BTreeMap<(usize, u8), u64>,
    /// Full syncs that replaced some of it.
    pub(crate) discards: u64,
    /// Commands of the stream that failed, and those of them that made the data differ.
    pub(crate) failed: u64,
    pub(crate) diverged: u64,
}

impl Host {
    pub(super) fn new(
        index: usize,
        clock: Arc<ManualClock>,
        settings: MasterSettings,
        backlog: u64,
        spool: (u64, u64),
    ) -> Host {
        let hub = Hub::new(&*clock, backlog);
        hub.spool().configure(spool.0, spool.1);
        Host {
            index,
            up: true,
            hub,
            clock,
            settings,
            link_settings: LinkSettings {
                empty_master_guard: true,
                flush_if_too_large: false,
                on_stream_error: OnStreamError::Stop,
                keep_discarded: true,
            },
            too_large: 0,
            databases: DATABASES,
            knows_all: true,
            data: Dataset::default(),
            mail: Mailboxes::default(),
            writes_paused: false,
            busy: false,
            link_connection: None,
            load: None,
            delta: None,
            offers_delta: false,
            deltas: 0,
            session: Session::default(),
            peers: Vec::new(),
            snapshot: None,
            feeds: Vec::new(),
            present: None,
            finished_dump: None,
            disk: Disk::default(),
            writing: Writing::default(),
            spool,
            saved: None,
            bandwidth: 1 << 20,
            counts: SyncCounts::default(),
            snapshots: 0,
            guarded: 0,
            failovers: 0,
            out_of_place: 0,
            starts: 0,
            own: BTreeMap::new(),
            discards: 0,
            failed: 0,
            diverged: 0,
        }
    }

    /// Lends it to a driver.
    pub(super) fn io<'a, 'w>(&'a mut self, sim: &'a mut SimContext<'w>) -> Io<'a, 'w> {
        Io { host: self, sim }
    }

    /// The node that we follow.
    pub(super) fn target(&self) -> Option<usize> {
        let published = self.hub.published();
        let host = &published.link.as_ref()?.host;
        host.trim_start_matches("node").parse().ok()
    }

    /// Records that our data is what (replid, offset) stands for, unless it says that it isn't.
    pub(super) fn claim(&self, sim: &mut SimContext<'_>) {
        let stream = self.hub.stream();
        if !stream.active || stream.diverged.is_some() {
            return;
        }
        let (id, end) = (stream.history.id, stream.log.end());
        let print = self.data.fingerprint;
        if sim.oracle.claim(id, end, print) != print {
            sim.violate(self.index, &format!("two states are called {id}:{end}"));
        }
    }

    /// Becomes a replica of that host, or a master; every shard is entered.
    pub(super) fn change_role(&mut self, host: Option<String>, sim: &mut SimContext<'_>) {
        match host {
            Some(host) => self.hub.follow(host, 6379),
            None => {
                if self.hub.promote(&*self.clock) {
                    sim.oracle.born(self.hub.history());
                }
            }
        }
        self.claim(sim);
        self.mail.link.push_back(Mail::Retarget);
    }

    /// SAVE.
    pub(super) fn save(&mut self) {
        let cut = self.hub.cut(false);
        self.saved = Some(Saved {
            image: self.data.dump(cut.database, cut.diverged),
            replication: cut.database.map(|_| (cut.id, cut.offset)),
        });
    }

    /// Comes back with nothing but what was saved; whether a stream was taken up with it.
    pub(super) fn restart(&mut self, keep: bool, sim: &mut SimContext<'_>) -> bool {
        let target = self.target();
        let fresh = Host::new(
            self.index,
            self.clock.clone(),
            self.settings,
            self.hub.stream().log.limit(),
            self.spool,
        );
        let before = std::mem::replace(self, fresh);
        self.bandwidth = before.bandwidth;
        self.disk.failures = before.disk.failures;
        self.link_settings = before.link_settings;
        self.too_large = before.too_large;
        self.databases = before.databases;
        self.counts = before.counts;
        self.snapshots = before.snapshots;
        (self.guarded, self.failovers) = (before.guarded, before.failovers);
        self.out_of_place = before.out_of_place;
        self.starts = before.starts + 1;
        self.knows_all = before.knows_all;
        self.discards = before.discards;
        (self.failed, self.diverged) = (before.failed, before.diverged);
        (self.offers_delta, self.deltas) = (before.offers_delta, before.deltas);
        if let Some(target) = target {
            self.hub.follow(format!("node{target}"), 6379);
            self.hub.begins_as_replica();
        }
        let saved = before.saved.filter(|_| keep);
        let loaded = saved.as_ref().and_then(|s| Dataset::load(&s.image));
        let mut taken_up = false;
        if let Some((data, database, diverged)) = loaded
            && let Some(saved) = saved
        {
            self.data = data;
            if let Some((id, offset)) = saved.replication {
                let clock = &*self.clock;
                taken_up = self.hub.take_up(id, offset, database, diverged, clock);
                sim.oracle.born(self.hub.history());
            }
            self.saved = Some(saved);
        }
        self.claim(sim);
        taken_up
    }
}
