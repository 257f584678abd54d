//! A simulated node: the production stream, link and master over the model dataset.
//!
//! It does what the replication actors do, with the simulated network in place of sockets and a delay in
//! place of loader and snapshot threads.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hashbrown::HashMap;

use super::dataset::{DATABASES, Dataset, parse_command};
use super::network::{Arrival, Network};
use super::peers::Peer;
use super::spooling::{Disk, Feed, Writing};
use crate::clock::ManualClock;
use crate::repl::transfer::Form;
use crate::repl::{
    Action, Env, Explain, FailoverCell, History, Link, LinkConfig, LinkState, Log, Master,
    MasterEnv, MasterSettings, Order, ReplId, Replicas, Stream, Target, wire,
};

/// What every state of every history is: a second claim for the same place must agree with the first.
///
/// A history that began as the continuation of another shares its states up to where it began, so a claim
/// is kept under the oldest name of the place.
#[derive(Debug, Default)]
pub struct Truth {
    states: HashMap<(ReplId, u64), u64>,
    /// For a history: the one it continues, and after how many bytes.
    parents: HashMap<ReplId, (ReplId, u64)>,
}

impl Truth {
    pub fn born(&mut self, id: ReplId, parent: ReplId, at: u64) {
        self.parents.insert(id, (parent, at));
    }

    /// What is known of a place, which is what was claimed first.
    pub fn claim(&mut self, mut id: ReplId, offset: u64, fingerprint: u64) -> u64 {
        while let Some((parent, at)) = self.parents.get(&id)
            && offset <= *at
        {
            id = *parent;
        }
        *self.states.entry((id, offset)).or_insert(fingerprint)
    }
}

/// What a node's surroundings are during an event.
pub struct Around<'a> {
    pub now_ms: i64,
    pub network: &'a mut Network,
    pub rng: &'a mut fastrand::Rng,
    pub truth: &'a mut Truth,
    /// First broken invariant.
    pub violation: &'a mut Option<String>,
}

impl Around<'_> {
    pub fn violate(&mut self, node: usize, what: &str) {
        self.violation
            .get_or_insert_with(|| format!("node {node}: {what}"));
    }
}

#[derive(Debug)]
struct Dump {
    id: ReplId,
    offset: u64,
    bytes: Vec<u8>,
    ready_at_ms: Option<i64>,
}

#[derive(Debug)]
struct Snapshot {
    target: Target,
    image: Vec<u8>,
    mark: [u8; 40],
    cut: bool,
    /// Bytes of the image that are in the feed.
    fed: usize,
    next_at_ms: i64,
}

/// What survives a restart.
#[derive(Clone, Debug)]
struct Saved {
    image: Vec<u8>,
    id: ReplId,
    offset: u64,
}

#[derive(Debug)]
pub struct SimNode {
    pub index: usize,
    pub up: bool,
    pub(super) clock: Arc<ManualClock>,
    pub stream: Stream,
    pub data: Dataset,
    pub(super) replicas: Replicas,
    pub master: Master,
    settings: MasterSettings,
    pub link: Option<Link>,
    pub target: usize,
    link_connection: Option<u64>,
    dump: Option<Dump>,
    /// Bytes of our master's stream that are not a whole unit yet.
    unapplied: BytesMut,
    selected: usize,
    pub(super) peers: Vec<Peer>,
    snapshot: Option<Snapshot>,
    pub snapshots: u64,
    /// Feeds that somebody takes or may join; the last one is the present one, if it is joinable.
    feeds: Vec<Feed>,
    pub(super) disk: Disk,
    writing: Writing,
    spool: (u64, u64),
    finished_dump: Vec<u8>,
    saved: Option<Saved>,
    /// Bytes a tick that it sends to each replica.
    pub bandwidth: usize,
    pub(super) failover: FailoverCell,
    explain: Explain,
    /// Empty datasets of strange masters that were refused, and failovers that were accepted.
    pub guarded: u64,
    pub failovers: u64,
}

impl SimNode {
    pub fn new(
        index: usize,
        clock: Arc<ManualClock>,
        settings: MasterSettings,
        backlog: u64,
        spool: (u64, u64),
    ) -> SimNode {
        let stream = Stream::new(ReplId::random(&*clock), backlog);
        stream.log.spool().configure(spool.0, spool.1);
        SimNode {
            index,
            up: true,
            stream,
            clock,
            data: Dataset::default(),
            replicas: Replicas::default(),
            master: Master::default(),
            settings,
            link: None,
            target: 0,
            link_connection: None,
            dump: None,
            unapplied: BytesMut::new(),
            selected: 0,
            peers: Vec::new(),
            snapshot: None,
            snapshots: 0,
            feeds: Vec::new(),
            disk: Disk::default(),
            writing: Writing::default(),
            spool,
            finished_dump: Vec::new(),
            saved: None,
            bandwidth: 1 << 20,
            failover: FailoverCell::default(),
            explain: Explain::default(),
            guarded: 0,
            failovers: 0,
        }
    }

    /// Of 256 writes to the disk, so many fail.
    pub fn disk_failures(&mut self, failures: u8) {
        self.disk.failures = failures;
    }

    pub(super) fn config(target: usize) -> LinkConfig {
        LinkConfig {
            host: format!("node{target}"),
            port: 6379,
            announce_port: 7000,
            timeout_ms: 2500,
            ..LinkConfig::default()
        }
    }

    pub fn is_replica(&self) -> bool {
        self.link.is_some()
    }

    pub fn connected(&self) -> bool {
        self.link
            .as_ref()
            .is_some_and(|l| l.state() == LinkState::Connected)
    }

    /// Records that our data is what (replid, offset) stands for.
    fn claim(&mut self, around: &mut Around<'_>) {
        let (end, print) = (self.stream.log.end(), self.data.fingerprint);
        if !self.stream.active {
            return;
        }
        let id = self.stream.history.id;
        if around.truth.claim(id, end, print) != print {
            around.violation.get_or_insert_with(|| {
                format!("node {}: two states are called {id}:{end}", self.index)
            });
        }
    }

    // ---- what operators and clients do ----

    /// A client's write, if we are a master.
    pub fn write(&mut self, around: &mut Around<'_>) {
        if self.is_replica() || !self.up || self.failover.is_on() {
            return;
        }
        let transaction = around.rng.u8(..) < 40;
        let mut parts: Vec<(usize, Vec<u8>)> = Vec::new();
        for _ in 0..if transaction {
            around.rng.usize(1..4)
        } else {
            1
        } {
            let (db, key, value) = (
                around.rng.usize(0..DATABASES),
                around.rng.u8(..),
                around.rng.u64(..),
            );
            self.data.set(db, key, value);
            let mut bytes = Vec::new();
            wire::command(&mut bytes, &["SET", &key.to_string(), &value.to_string()]);
            parts.push((db, bytes));
        }
        if self.stream.active {
            let parts: Vec<(usize, &[u8])> = parts.iter().map(|(db, b)| (*db, &b[..])).collect();
            self.stream.append_unit(&parts, transaction);
        }
        self.claim(around);
    }

    /// REPLICAOF.
    pub fn follow(&mut self, target: usize, around: &mut Around<'_>) {
        if !self.up || target == self.index || self.failover.is_on() {
            return;
        }
        let mut resumable = true;
        if let Some(mut link) = self.link.take() {
            resumable = link.resumable();
            let mut actions = Vec::new();
            link.stop(&mut actions);
            self.act(actions, around);
        }
        self.unapplied.clear();
        self.target = target;
        self.link = Some(Link::new(Self::config(target), resumable));
    }

    /// REPLICAOF NO ONE.
    pub fn promote(&mut self, around: &mut Around<'_>) {
        let Some(mut link) = self.link.take() else {
            return;
        };
        let mut actions = Vec::new();
        link.stop(&mut actions);
        self.act(actions, around);
        self.unapplied.clear();
        let end = self.stream.log.end();
        let id = ReplId::random(&*self.clock);
        around.truth.born(id, self.stream.history.id, end);
        self.stream.history.shift(id, end);
        self.stream.database = None;
        self.claim(around);
        self.with_master(around, |m, e, o| m.close_all(e, o));
    }

    /// SAVE.
    pub fn save(&mut self) {
        self.saved = Some(Saved {
            image: self.data.dump(self.stream.database.or(Some(self.selected))),
            id: self.stream.history.id,
            offset: self.stream.log.end(),
        });
    }

    pub fn crash(&mut self, around: &mut Around<'_>) {
        self.up = false;
        around
            .network
            .drop_node(self.index, around.now_ms, around.rng);
    }

    /// Comes back, with what was saved (if `keep` and there is any), in the role it had.
    pub fn restart(&mut self, keep: bool, around: &mut Around<'_>) {
        let was_replica = self.is_replica();
        let saved = self.saved.take().filter(|_| keep);
        let target = self.target;
        let fresh = SimNode::new(
            self.index,
            self.clock.clone(),
            self.settings,
            self.stream.log.limit(),
            self.spool,
        );
        let (bandwidth, failures) = (self.bandwidth, self.disk.failures);
        let (guarded, failovers) = (self.guarded, self.failovers);
        *self = fresh;
        self.bandwidth = bandwidth;
        self.disk.failures = failures;
        (self.guarded, self.failovers) = (guarded, failovers);
        self.target = target;
        let restored = saved.is_some();
        if let Some(saved) = saved
            && let Some((data, selected)) = Dataset::load(&saved.image)
        {
            self.data = data;
            self.selected = selected.unwrap_or(0);
            let mut history = History::new(saved.id);
            if !was_replica {
                // What a master wrote after the save is gone, but may live on at its replicas.
                let id = ReplId::random(&*self.clock);
                around.truth.born(id, saved.id, saved.offset);
                history.shift(id, saved.offset);
            }
            self.stream
                .adopt(history, saved.offset, selected.filter(|_| was_replica));
            self.saved = Some(saved);
        }
        self.claim(around);
        if was_replica {
            self.link = Some(Link::new(Self::config(target), restored));
        }
    }

    // ---- running ----

    pub fn step(&mut self, around: &mut Around<'_>) {
        if !self.up {
            return;
        }
        self.step_link(around);
        self.step_peers(around);
        self.step_snapshot(around);
        self.step_spool(around);
        self.with_master(around, |m, e, o| m.tick(e, o));
        self.step_failover(around);
        self.claim(around);
    }

    fn env(&self, around: &mut Around<'_>) -> Env {
        Env {
            now_ms: around.now_ms,
            id: self.stream.history.id,
            offset: self.stream.log.end(),
            random: around.rng.u64(..),
        }
    }

    fn with_link(
        &mut self,
        around: &mut Around<'_>,
        f: impl FnOnce(&mut Link, &Env, &mut Vec<Action>),
    ) {
        let env = self.env(around);
        let mut actions = Vec::new();
        if let Some(link) = &mut self.link {
            f(link, &env, &mut actions);
        }
        self.act(actions, around);
    }

    fn step_link(&mut self, around: &mut Around<'_>) {
        if self.link.is_none() {
            return;
        }
        self.with_link(around, |l, e, o| l.tick(e, o));
        while let Some(id) = self.link_connection
            && self.link.as_ref().is_some_and(Link::wants_read)
        {
            match around.network.receive(id, 0, around.now_ms) {
                Some(Arrival::Bytes(bytes)) => {
                    self.with_link(around, |l, e, o| l.received(e, bytes, o));
                }
                Some(Arrival::Broken) => {
                    self.with_link(around, |l, e, o| l.closed(e, "connection lost", o));
                    break;
                }
                None => break,
            }
        }
        if let Some(dump) = &self.dump
            && dump.ready_at_ms.is_some_and(|t| t <= around.now_ms)
            && let Some(dump) = self.dump.take()
        {
            self.finish_load(dump, around);
        }
    }

    fn finish_load(&mut self, dump: Dump, around: &mut Around<'_>) {
        match Dataset::load(&dump.bytes) {
            Some((data, _)) if self.guards(&data, dump.id) => {
                self.guarded += 1;
                self.with_link(around, |l, e, o| l.refused(e, "it is empty", o));
            }
            Some((data, selected)) if around.rng.u8(..) > 8 => {
                self.data = data;
                self.selected = selected.unwrap_or(0);
                self.stream
                    .adopt(History::new(dump.id), dump.offset, selected);
                self.unapplied.clear();
                self.claim(around);
                self.with_master(around, |m, e, o| m.close_all(e, o));
                self.with_link(around, |l, e, o| l.loaded(e, o));
            }
            _ => self.with_link(around, |l, e, o| l.load_failed(e, "broken dump", o)),
        }
    }

    /// Somebody's dialling was answered.
    pub fn dialled(&mut self, connection: u64, around: &mut Around<'_>) {
        if self.link_connection == Some(connection) {
            self.with_link(around, |l, e, o| l.connected(e, o));
        }
    }

    pub fn took(&mut self, connection: u64) {
        self.peers.push(Peer {
            connection,
            input: BytesMut::new(),
            capa_eof: false,
            capa_psync2: false,
            capa_queue_place: false,
            attached: false,
            following: false,
        });
    }

    fn act(&mut self, actions: Vec<Action>, around: &mut Around<'_>) {
        for action in actions {
            match action {
                Action::Connect => {
                    let id =
                        around
                            .network
                            .dial(self.index, self.target, around.now_ms, around.rng);
                    self.link_connection = Some(id);
                }
                Action::Close => {
                    self.unapplied.clear();
                    if let Some(id) = self.link_connection.take() {
                        around.network.close(id, 0, around.now_ms);
                    }
                }
                Action::Send(bytes) => {
                    if let Some(id) = self.link_connection {
                        around
                            .network
                            .send(id, 0, bytes.into(), around.now_ms, around.rng);
                    }
                }
                Action::BeginLoad { id, offset, .. } => {
                    self.dump = Some(Dump {
                        id,
                        offset,
                        bytes: Vec::new(),
                        ready_at_ms: None,
                    });
                }
                Action::Load(bytes) => {
                    if let Some(dump) = &mut self.dump {
                        dump.bytes.extend_from_slice(&bytes);
                    }
                }
                Action::FinishLoad => {
                    if let Some(dump) = &mut self.dump {
                        dump.ready_at_ms = Some(around.now_ms + around.rng.i64(0..300));
                    }
                }
                Action::AbortLoad => self.dump = None,
                Action::Continue { new_id } => {
                    self.stream.active = true;
                    // The master's stream goes on from the database it had selected.
                    self.selected = self.stream.database.unwrap_or(0);
                    if let Some(id) = new_id {
                        let end = self.stream.log.end();
                        self.stream.history.shift(id, end);
                        self.claim(around);
                        self.with_master(around, |m, e, o| m.close_all(e, o));
                    }
                }
                Action::Apply(bytes) => self.apply(&bytes, around),
                Action::Resync { .. } => {}
                Action::FailoverAccepted => self.failover_accepted(),
                Action::FailoverRefused(why) => self.abort_failover(why, around),
            }
        }
    }

    /// Applies and logs every whole unit; the rest waits.
    fn apply(&mut self, bytes: &[u8], around: &mut Around<'_>) {
        self.unapplied.extend_from_slice(bytes);
        let input = std::mem::take(&mut self.unapplied);
        let (mut at, mut unit) = (0, 0);
        let mut multi: Option<Vec<(usize, u8, u64)>> = None;
        let mut selected = self.selected;
        let number = |b: &[u8]| {
            std::str::from_utf8(b)
                .ok()
                .and_then(|t| t.parse::<u64>().ok())
        };
        let mut ack = false;
        while let Some((args, n)) = parse_command(&input[at..]) {
            at += n;
            match args[..] {
                [b"MULTI"] => multi = Some(Vec::new()),
                [b"EXEC"] => {
                    for (db, key, value) in multi.take().unwrap_or_default() {
                        self.data.set(db, key, value);
                    }
                }
                [b"SELECT", db] => selected = number(db).unwrap_or(0) as usize,
                [b"SET", key, value] => {
                    let set = (
                        selected,
                        number(key).unwrap_or(0) as u8,
                        number(value).unwrap_or(0),
                    );
                    match &mut multi {
                        Some(queue) => queue.push(set),
                        None => self.data.set(set.0, set.1, set.2),
                    }
                }
                [b"REPLCONF", b"GETACK", _] => ack = true,
                _ => {}
            }
            if multi.is_none() {
                // A bare line end is only a sign of life: it has no place in the stream.
                if !args.is_empty() {
                    self.stream.append_raw(&input[unit..at]);
                }
                self.selected = selected;
                self.stream.database = Some(selected);
                unit = at;
                self.claim(around);
            }
        }
        self.unapplied = input;
        let _ = self.unapplied.split_to(unit);
        if ack {
            self.with_link(around, |l, e, o| l.answer_getack(e, o));
        }
    }

    pub(super) fn with_master(
        &mut self,
        around: &mut Around<'_>,
        f: impl FnOnce(&mut Master, &mut MasterEnv<'_>, &mut Vec<Order>),
    ) {
        let mut orders = Vec::new();
        let is_replica = self.is_replica();
        let link_up = self.connected();
        self.master.joins_closed = !self.feeds.last().is_some_and(|f| f.joinable);
        let mut env = MasterEnv {
            now_ms: around.now_ms,
            stream: &mut self.stream,
            replicas: &mut self.replicas,
            settings: &self.settings,
            clock: &*self.clock,
            is_replica,
            link_up,
            explain: &mut self.explain,
        };
        f(&mut self.master, &mut env, &mut orders);
        for order in orders {
            self.obey(order, around);
        }
    }

    pub(super) fn obey(&mut self, order: Order, around: &mut Around<'_>) {
        match order {
            Order::Send { id, bytes } => {
                around
                    .network
                    .send(id, 1, bytes.into(), around.now_ms, around.rng);
            }
            Order::Follow { id } => {
                if let Some(peer) = self.peers.iter_mut().find(|p| p.connection == id) {
                    peer.following = true;
                }
            }
            Order::StartSnapshot { target } => {
                self.snapshots += 1;
                if target == Target::Sockets {
                    let log = Log::keeping_all(self.stream.log.spool().clone());
                    self.feeds.push(Feed::new(self.snapshots, log));
                }
                self.snapshot = Some(Snapshot {
                    target,
                    image: Vec::new(),
                    mark: [b'0' + around.rng.u8(0..10); 40],
                    cut: false,
                    fed: 0,
                    next_at_ms: around.now_ms + around.rng.i64(0..100),
                });
            }
            Order::SendFeed { id } => {
                let mark = self.snapshot.as_ref().map(|s| s.mark);
                let mut joined = self.feeds.last_mut().filter(|f| f.joinable);
                if let Some(feed) = &mut joined
                    && feed.join(id)
                {
                    let mark = *feed.mark.get_or_insert(mark.unwrap_or([b'-'; 40]));
                    let header = Form::Mark(mark).header();
                    around
                        .network
                        .send(id, 1, header.into(), around.now_ms, around.rng);
                } else {
                    self.obey(Order::Close { id }, around);
                }
            }
            Order::CloseFeed => {
                if let Some(feed) = self.feeds.last_mut() {
                    feed.close_joins();
                }
            }
            Order::SendDump { id } => {
                let header = Form::Length(self.finished_dump.len() as u64).header();
                let bytes = [header, self.finished_dump.clone()].concat();
                around
                    .network
                    .send(id, 1, bytes.into(), around.now_ms, around.rng);
                self.with_master(around, |m, e, o| m.dump_sent(e, id, o));
            }
            Order::AbortSnapshot => {
                self.snapshot = None;
                if let Some(feed) = self.feeds.last_mut() {
                    feed.close_joins();
                }
            }
            Order::GiveUp { id, error } => {
                let bytes = error.into_bytes().into();
                around.network.send(id, 1, bytes, around.now_ms, around.rng);
                self.obey(Order::Close { id }, around);
            }
            Order::Close { id } => {
                around.network.close(id, 1, around.now_ms);
                self.peer_gone(id);
                self.with_master(around, |m, e, o| m.detached(e, id, o));
            }
        }
    }

    fn step_snapshot(&mut self, around: &mut Around<'_>) {
        let Some(snapshot) = &mut self.snapshot else {
            return;
        };
        if around.now_ms < snapshot.next_at_ms {
            return;
        }
        if !snapshot.cut {
            snapshot.cut = true;
            snapshot.next_at_ms = around.now_ms + around.rng.i64(0..400);
            let is_replica = self.link.is_some();
            snapshot.image = self.data.dump(if is_replica {
                Some(self.selected)
            } else {
                self.stream.database
            });
            if !is_replica {
                self.stream.database = None;
            }
            let offset = self.stream.log.end();
            if let Ok(pin) = self.stream.log.attach_patient(offset) {
                self.with_master(around, |m, e, o| m.snapshot_started(e, offset, pin, o));
            }
            return;
        }
        if snapshot.target == Target::Sockets && snapshot.fed < snapshot.image.len() {
            let most = around.rng.usize(1..200);
            let to = (snapshot.fed + most).min(snapshot.image.len());
            if let Some(feed) = self.feeds.last_mut() {
                let part = Bytes::copy_from_slice(&snapshot.image[snapshot.fed..to]);
                feed.log.append_shared(part);
            }
            snapshot.fed = to;
            return;
        }
        let Some(snapshot) = self.snapshot.take() else {
            return;
        };
        let failed = around.rng.u8(..) < 8;
        match snapshot.target {
            Target::Sockets => {
                if let Some(feed) = self.feeds.last_mut().filter(|_| !failed) {
                    let mark = Bytes::copy_from_slice(&feed.mark.unwrap_or(snapshot.mark));
                    feed.log.append_shared(mark);
                    feed.ended = true;
                }
            }
            Target::Disk if !failed => self.finished_dump = snapshot.image,
            Target::Disk => {}
        }
        let result = if failed { Err("no space left") } else { Ok(()) };
        self.with_master(around, |m, e, o| m.snapshot_ended(e, result, o));
    }

    fn step_spool(&mut self, around: &mut Around<'_>) {
        let memory = self.stream.log.spool().memory_max() / 2;
        let beside = self.stream.log.limit() + memory;
        let log = &mut self.stream.log;
        self.disk.tend(log, &mut self.writing, beside, around);
        for feed in &mut self.feeds {
            self.disk
                .tend(&mut feed.log, &mut feed.writing, memory, around);
            if feed.joinable && around.rng.u8(..) < 2 {
                feed.close_joins();
            }
        }
        for at in 0..self.feeds.len() {
            for id in self.feeds[at].takers() {
                match self.feeds[at].take(id, self.bandwidth, &self.disk) {
                    Some((bytes, last)) => {
                        for part in bytes {
                            around.network.send(id, 1, part, around.now_ms, around.rng);
                        }
                        if last {
                            self.feeds[at].leave(id);
                            self.with_master(around, |m, e, o| m.dump_streamed(e, id, o));
                        }
                    }
                    None => around.violate(self.index, "a taker's part of a dump is lost"),
                }
            }
        }
        for feed in self.feeds.extract_if(.., |f| !f.in_use()) {
            let mut log = feed.log;
            log.reset(0);
            self.disk.delete(log.take_released());
        }
    }

    pub(super) fn peer_gone(&mut self, id: u64) {
        self.peers.retain(|p| p.connection != id);
        for feed in &mut self.feeds {
            feed.leave(id);
        }
    }
}
