//! A run: some nodes, a time of faults, a time without them, and what must be true.
//!
//! During the faults writes, saves, cuts, partitions, crashes, restarts (with and without what was saved),
//! promotions and changes of master come at random. Then all is repaired, the nodes are put in a tree below
//! one master, and must converge.
//!
//! Invariants:
//! - whatever two nodes call by the same replid and offset is the same sequence of writes, at every moment
//!   (so no CONTINUE was ever given that should not have been, and no failed command of the stream was passed over
//!   unless the node says that its data has diverged);
//! - a verification of a replica at any moment says that it is equal, or that it could not be made;
//! - keys that are spoiled at a replica by hand are found by the next one, exactly, and repaired by REPAIR;
//! - no full sync replaces what a node has accepted as a master, unless it knows that it has a history of its own, so
//!   that it is kept;
//! - after the repair all nodes get the same data, replid and offset within a bounded time.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::dataset::DATABASES;
use super::network::Network;
use super::node::{SimContext, SimNode};
use super::oracle::Oracle;
use super::verification::SimVerification;
use crate::clock::ManualClock;
use crate::config::OnStreamError;
use crate::repl::link::io::LinkSettings;
use crate::repl::verify::{Outcome, repair};
use crate::repl::{BacklogSize, MasterSettings, OutputLimit};

/// When a run begins, Unix ms.
const BEGIN_MS: i64 = 1_000_000;
const STEP_MS: i64 = 50;
const FAULTS_MS: i64 = 12_000;
/// More than the pause after a dump that was too large.
const QUIET_MS: i64 = 100_000;
/// How long a verification of nodes that nothing disturbs may take, tried again when an answer was lost.
const VERIFY_MS: i64 = 60_000;
/// How long requests may be under way.
const SETTLE_MS: i64 = 3000;

/// What a run was like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub writes: u64,
    pub full_syncs: u64,
    pub partial_syncs: u64,
    pub refused_partial_syncs: u64,
    /// Snapshots made for full syncs.
    pub snapshots: u64,
    /// Bytes that went to disk for replicas in a full sync.
    pub spilled: u64,
    /// Failovers accepted, and empty datasets refused.
    pub failovers: u64,
    pub guarded: u64,
    /// Commands and dumps for databases that a node did not have.
    pub out_of_place: u64,
    /// Delta resyncs that were applied.
    pub deltas: u64,
    /// Verifications that found nodes equal, and those that could not be made.
    pub verified: u64,
    pub not_verified: u64,
    /// Keys that were spoiled, found and repaired.
    pub repaired: u64,
    /// Full syncs that replaced writes of the node's own, which were kept.
    pub discards: u64,
    /// Commands of the stream that failed, and those of them that left a node's data diverged.
    pub failed: u64,
    pub diverged: u64,
    /// How long convergence took after the repair, simulated ms.
    pub converged_ms: i64,
}

struct World {
    nodes: Vec<SimNode>,
    network: Network,
    clock: Arc<ManualClock>,
    rng: fastrand::Rng,
    oracle: Oracle,
    violation: Option<String>,
    now_ms: i64,
    verifications: Vec<SimVerification>,
    /// Counters of nodes that were restarted meanwhile.
    report: Report,
}

/// Runs one seed. The error says which invariant broke.
pub fn run_seed(seed: u64) -> Result<Report, String> {
    let mut world = World::new(seed);
    world.run().map_err(|e| format!("seed {seed}: {e}"))
}

impl World {
    fn new(seed: u64) -> World {
        let mut rng = fastrand::Rng::with_seed(seed);
        let clock = ManualClock::new(BEGIN_MS as u64, seed ^ 0x5eed);
        let count = rng.usize(2..=5);
        let nodes = (0..count)
            .map(|index| {
                let backlog = [300, 5_000, 100_000][rng.usize(0..3)];
                let settings = MasterSettings {
                    diskless: rng.bool(),
                    diskless_delay_ms: [0, 200][rng.usize(0..2)],
                    diskless_max_replicas: 0,
                    ping_period_ms: 500,
                    timeout_ms: 2500,
                    backlog_ttl_ms: [0, 1500][rng.usize(0..2)],
                    limit: OutputLimit {
                        hard: [0, 3_000][rng.usize(0..2)],
                        soft: 0,
                        soft_s: 0,
                    },
                    transfers_max: rng.usize(0..3),
                    keep_ms: [0, 1000, 4000][rng.usize(0..3)],
                    saves: rng.bool(),
                    min_replicas_max_lag_s: 10,
                    backlog: [
                        BacklogSize::Fixed,
                        BacklogSize::Auto {
                            seconds: 2,
                            max_bytes: 2 << 20,
                        },
                    ][rng.usize(0..2)],
                    delta: rng.bool(),
                };
                let spool = (
                    [200, 3_000, 1 << 20][rng.usize(0..3)],
                    [0, 2_000][rng.usize(0..2)],
                );
                let mut node = SimNode::new(index, clock.clone(), settings, backlog, spool);
                node.host.disk.failures = [0, 30, 255][rng.usize(0..3)];
                node.host.bandwidth = [200, 1000, 1 << 20][rng.usize(0..3)];
                node.host.offers_delta = rng.bool();
                node.host.too_large = [0, 0, 20][rng.usize(0..3)];
                if rng.u8(..8) == 0 {
                    node.host.databases = DATABASES - 1;
                }
                node.host.knows_all = rng.u8(..3) > 0;
                node.host.link_settings = LinkSettings {
                    empty_master_guard: true,
                    flush_if_too_large: rng.bool(),
                    keep_discarded: true,
                    on_stream_error: [
                        OnStreamError::Stop,
                        OnStreamError::Resync,
                        OnStreamError::Ignore,
                    ][rng.usize(0..3)],
                };
                node
            })
            .collect();
        World {
            nodes,
            network: Network::new(rng.i64(1..200)),
            clock,
            rng,
            oracle: Oracle::default(),
            violation: None,
            now_ms: BEGIN_MS,
            verifications: Vec::new(),
            report: Report::default(),
        }
    }

    fn on<R>(&mut self, node: usize, f: impl FnOnce(&mut SimNode, &mut SimContext<'_>) -> R) -> R {
        let at_ms = self.now_ms - BEGIN_MS;
        let _span = tracing::info_span!("node", node, at_ms).entered();
        let mut sim = SimContext {
            now_ms: self.now_ms,
            network: &mut self.network,
            rng: &mut self.rng,
            oracle: &mut self.oracle,
            violation: &mut self.violation,
        };
        f(&mut self.nodes[node], &mut sim)
    }

    fn step(&mut self) {
        self.now_ms += STEP_MS;
        self.clock.advance_ms(STEP_MS as u64);
        self.establish();
        for node in 0..self.nodes.len() {
            self.on(node, |n, a| n.step(a));
        }
        self.step_deltas();
        self.step_verifications();
    }

    fn step_deltas(&mut self) {
        for replica in 0..self.nodes.len() {
            let host = &mut self.nodes[replica].host;
            if let Some(mut delta) = host.delta.take_if(|_| host.up) {
                delta.step(replica, &mut self.nodes, self.now_ms, &mut self.rng);
                self.nodes[replica].host.delta = Some(delta);
            }
            let now_ms = self.now_ms;
            let hub = &self.nodes[replica].host.hub;
            hub.with_delta_server(|server| server.tick(now_ms));
        }
    }

    /// Nothing was spoiled: whatever a verification finds to differ is its own fault, unless a node says that it has
    /// diverged, or said so meanwhile.
    fn step_verifications(&mut self) {
        let mut under_way = std::mem::take(&mut self.verifications);
        under_way.retain_mut(|verification| {
            let report = verification.step(&mut self.nodes, self.now_ms, &mut self.rng);
            match report.as_ref().map(|report| &report.outcome) {
                None => return true,
                Some(Outcome::Equal) => self.report.verified += 1,
                Some(Outcome::Failed(_)) => self.report.not_verified += 1,
                Some(Outcome::Differs(_)) => {
                    let replica = verification.replica;
                    let ends = [replica, verification.master];
                    if ends.iter().any(|node| self.nodes[*node].host.diverged > 0) {
                        return false;
                    }
                    self.violation
                        .get_or_insert_with(|| format!("node {replica} is not equal: {report:?}"));
                }
            }
            false
        });
        self.verifications = under_way;
    }

    /// Begins to verify the node, if it is a replica and none of it is under way.
    fn verify(&mut self, replica: usize) {
        if self.verifications.iter().all(|v| v.replica != replica) {
            let begun = SimVerification::begin(&self.nodes, replica, self.now_ms);
            self.verifications.extend(begun);
        }
    }

    /// Verifies a replica while nothing disturbs it, again until that can be made.
    fn verified(&mut self, replica: usize) -> Result<Outcome, String> {
        let end_ms = self.now_ms + VERIFY_MS;
        while self.now_ms < end_ms {
            let begun = SimVerification::begin(&self.nodes, replica, self.now_ms);
            let mut verification = begun.ok_or("a replica that is not connected")?;
            let report = loop {
                self.step();
                self.check()?;
                if let Some(report) = verification.step(&mut self.nodes, self.now_ms, &mut self.rng)
                {
                    break report;
                }
            };
            if !matches!(report.outcome, Outcome::Failed(_)) {
                // Its way to the master may have been where the connection was lost.
                let master = verification.master;
                let hub = &self.nodes[master].host.hub;
                hub.published().reports.add(report.clone());
                return Ok(report.outcome);
            }
        }
        Err(format!("node {replica} can't be verified"))
    }

    /// Spoils some keys of a replica of the root, has them found, and repairs them through the stream.
    fn spoil_and_repair(&mut self, root: usize) -> Result<(), String> {
        let below = |n: &SimNode| n.host.target() == Some(root) && n.host.index != root;
        let Some(replica) = self.nodes.iter().position(below) else {
            return Ok(());
        };
        if self.verified(replica)? != Outcome::Equal {
            return Err("nodes that converged are said to differ".into());
        }
        let mut spoiled = BTreeSet::new();
        for _ in 0..self.rng.usize(1..8) {
            let (db, key) = (self.rng.usize(0..DATABASES), self.rng.u8(..));
            let there = &self.nodes[root].host.data.databases[db];
            // Changed or taken away, if it is there, or added.
            let state = match there.get(&key) {
                Some(value) => self.rng.bool().then_some(value ^ 1),
                None => Some(7),
            };
            spoiled.insert((db, key));
            self.nodes[replica].host.data.repair(db, key, state);
        }
        let found: BTreeSet<_> = match self.verified(replica)? {
            Outcome::Differs(found) => {
                let key = |key: &[u8]| std::str::from_utf8(key).ok()?.parse::<u8>().ok();
                let named = found.keys.iter().filter_map(|k| Some((k.db, key(&k.key)?)));
                named.collect()
            }
            _ => return Err(format!("{spoiled:?} are not found")),
        };
        if found != spoiled {
            return Err(format!("{spoiled:?} are found as {found:?}"));
        }
        self.send_repair(root);
        self.report.repaired += spoiled.len() as u64;
        let end_ms = self.now_ms + VERIFY_MS;
        while !self.converged(root) {
            self.step();
            self.check()?;
            if self.now_ms > end_ms {
                return Err("the repair did not arrive".into());
            }
        }
        match self.verified(replica)? {
            Outcome::Equal => Ok(()),
            outcome => Err(format!("after the repair: {outcome:?}")),
        }
    }

    /// REPAIR.
    fn send_repair(&mut self, root: usize) {
        let host = &self.nodes[root].host;
        let (keys, _) = repair::keys(&host.hub.published().reports);
        for (db, key) in keys {
            let number = std::str::from_utf8(&key)
                .ok()
                .and_then(|k| k.parse::<u8>().ok());
            let value = number.and_then(|key| host.data.databases[db].get(&key));
            let payload = value.map(u64::to_string);
            let mut effect = Vec::new();
            let state = payload.as_ref().map(|payload| (None, payload.as_bytes()));
            repair::effect(&mut effect, &key, state);
            host.hub.append(db, &effect, false);
        }
    }

    /// Lets dialled connections through to nodes that are up and reachable; others get a refusal or silence.
    fn establish(&mut self) {
        let now_ms = self.now_ms;
        let due: Vec<(u64, [usize; 2])> = self
            .network
            .connections
            .iter()
            .filter(|c| c.established_at_ms.is_some_and(|t| t <= now_ms))
            .map(|c| (c.id, c.ends))
            .collect();
        for (id, [from, to]) in due {
            if self.network.parted(from, to, now_ms) {
                continue;
            }
            let up = self.nodes[to].host.up;
            if let Some(c) = self.network.connections.iter_mut().find(|c| c.id == id) {
                c.established_at_ms = None;
            }
            if up {
                self.nodes[to].host.took(id);
                self.on(from, |n, a| n.dialled(id, a));
            } else {
                self.network.close(id, 1, now_ms);
            }
        }
    }

    fn any(&mut self) -> usize {
        self.rng.usize(0..self.nodes.len())
    }

    /// One random event of the bad times.
    fn fault(&mut self, downs: &mut [i64]) {
        let node = self.any();
        let other = self.any();
        let now_ms = self.now_ms;
        match self.rng.u16(0..1000) {
            0..50 if !self.network.connections.is_empty() => {
                let at = self.rng.usize(0..self.network.connections.len());
                let id = self.network.connections[at].id;
                self.network.cut(id, now_ms, &mut self.rng);
            }
            50..58 if node != other => {
                let until = now_ms + self.rng.i64(100..5000);
                self.network.partition(node, other, until);
            }
            58..64 if self.nodes[node].host.up => {
                self.collect(node);
                self.on(node, |n, a| n.crash(a));
                downs[node] = now_ms + self.rng.i64(50..2000);
            }
            64..74 if self.nodes[node].host.up => self.nodes[node].host.save(),
            74..80 if self.nodes[node].host.up => self.on(node, |n, a| {
                n.abort_failover(a);
                n.promote(a);
            }),
            80..92 => self.on(node, |n, a| n.follow(other, a)),
            92..110 => {
                let timeout_ms = self.rng.i64(100..2000);
                self.on(node, |n, a| n.fail_over(Some(timeout_ms), a));
            }
            _ => {}
        }
    }

    /// Keeps a node's counters before it loses them.
    fn collect(&mut self, node: usize) {
        let host = &mut self.nodes[node].host;
        let counts = std::mem::take(&mut host.counts);
        self.report.full_syncs += counts.full;
        self.report.partial_syncs += counts.partial_ok;
        self.report.refused_partial_syncs += counts.partial_err;
        self.report.deltas += std::mem::take(&mut host.deltas);
        self.report.snapshots += std::mem::take(&mut host.snapshots);
        self.report.spilled += host.hub.spool().spilled_total();
    }

    fn check(&self) -> Result<(), String> {
        match &self.violation {
            Some(what) => Err(format!("at {} ms: {what}", self.now_ms - BEGIN_MS)),
            None => Ok(()),
        }
    }

    fn run(&mut self) -> Result<Report, String> {
        let mut downs = vec![0i64; self.nodes.len()];
        for node in 1..self.nodes.len() {
            // Mostly a star or a chain to begin with.
            let target = if self.rng.bool() { 0 } else { node - 1 };
            self.on(node, |n, a| n.follow(target, a));
        }
        let end_ms = self.now_ms + FAULTS_MS;
        while self.now_ms < end_ms {
            self.step();
            for (node, until) in downs.iter_mut().enumerate() {
                if *until > 0 && *until <= self.now_ms {
                    *until = 0;
                    let keep = self.rng.u8(..) < 160;
                    self.on(node, |n, a| n.restart(keep, a));
                }
            }
            for _ in 0..self.rng.usize(0..4) {
                let node = self.any();
                self.report.writes += 1;
                self.on(node, |n, a| n.write(a));
            }
            if self.rng.u8(..8) == 0 {
                let node = self.any();
                self.verify(node);
            }
            self.fault(&mut downs);
            self.check()?;
        }
        self.repair(&downs)
    }

    fn repair(&mut self, downs: &[i64]) -> Result<Report, String> {
        self.network.heal();
        for (node, until) in downs.iter().enumerate() {
            if *until > 0 {
                self.on(node, |n, a| n.restart(true, a));
            }
        }
        for node in &mut self.nodes {
            // A limit that a dump's duration alone exceeds would sync for ever; so would it in production.
            node.host.bandwidth = 1 << 20;
            // Each costs a minute, or the data.
            node.host.too_large = 0;
            node.host.databases = DATABASES;
            // As an operator would who has updated all nodes.
            node.host.knows_all = true;
            node.host.link_settings.on_stream_error = OnStreamError::Resync;
        }
        for node in 0..self.nodes.len() {
            self.on(node, |n, a| n.abort_failover(a));
        }
        // A node that was asked to take over by what is still under way does so before the tree is made, as an
        // operator would see to it.
        let settled_ms = self.now_ms + SETTLE_MS;
        while self.now_ms < settled_ms {
            self.step();
            self.check()?;
        }
        let root = self.any();
        self.on(root, |n, a| n.promote(a));
        let mut placed = vec![root];
        for node in 0..self.nodes.len() {
            if node != root {
                let above = placed[self.rng.usize(0..placed.len())];
                placed.push(node);
                self.on(node, |n, a| n.follow(above, a));
            }
        }
        let begin_ms = self.now_ms;
        while self.now_ms < begin_ms + QUIET_MS {
            self.step();
            if self.now_ms < begin_ms + 1000 {
                self.on(root, |n, a| n.write(a));
            }
            self.check()?;
            if self.now_ms >= begin_ms + 1000 && self.converged(root) {
                let converged_ms = self.now_ms - begin_ms;
                self.verifications.clear();
                self.spoil_and_repair(root)?;
                for node in 0..self.nodes.len() {
                    self.collect(node);
                }
                self.report.converged_ms = converged_ms;
                self.report.failovers = self.nodes.iter().map(|n| n.host.failovers).sum();
                self.report.guarded = self.nodes.iter().map(|n| n.host.guarded).sum();
                self.report.out_of_place = self.nodes.iter().map(|n| n.host.out_of_place).sum();
                self.report.discards = self.nodes.iter().map(|n| n.host.discards).sum();
                self.report.failed = self.nodes.iter().map(|n| n.host.failed).sum();
                self.report.diverged = self.nodes.iter().map(|n| n.host.diverged).sum();
                return Ok(self.report);
            }
        }
        let states: Vec<String> = self
            .nodes
            .iter()
            .map(|n| {
                let view = n.host.hub.observe();
                format!(
                    "node {}: {:?} of {:?} at {}:{} {:x}",
                    n.host.index,
                    n.link.state(),
                    n.host.target(),
                    view.history.id,
                    view.offset,
                    n.host.data.fingerprint
                )
            })
            .collect();
        Err(format!("no convergence; {}", states.join("; ")))
    }

    fn converged(&self, root: usize) -> bool {
        let top = &self.nodes[root].host;
        let (history, end) = (top.hub.history(), top.hub.offset());
        self.nodes.iter().all(|n| {
            let host = &n.host;
            host.data == top.data
                && host.hub.diverged().is_none()
                && (host.index == root
                    || (n.connected()
                        && host.hub.history().id == history.id
                        && host.hub.offset() == end))
        })
    }
}
