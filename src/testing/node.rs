//! A simulated node: production's [`LinkDriver`] and [`MasterDriver`] over the production [`Hub`], with a model of
//! the data.
//!
//! What the actors have in sockets, threads, files and mailboxes is the [`Host`]'s here: the simulated network,
//! delays, a disk that fails, queues that are late. It decides nothing; [`Io`] lends it to the drivers.

use std::sync::Arc;

use super::host::{Host, Io, Mail, ToMaster};
use super::network::{Arrival, Network};
use super::oracle::Oracle;
use crate::clock::{Clock, ManualClock};
use crate::repl::failover::driver::{NameMaster, RoleIo, answered, look};
use crate::repl::failover::{BY_HAND, FailoverRequest, FailoverState};
use crate::repl::{Hub, LinkDriver, LinkState, MasterDriver, MasterSettings, wire};

/// Of 256 writes, so many are commands that not every node knows.
const FOREIGN: u8 = 30;

/// What a node's surroundings are during an event.
pub(super) struct SimContext<'a> {
    pub(crate) now_ms: i64,
    pub(crate) network: &'a mut Network,
    pub(crate) rng: &'a mut fastrand::Rng,
    pub(crate) oracle: &'a mut Oracle,
    /// First broken invariant.
    pub(crate) violation: &'a mut Option<String>,
}

impl SimContext<'_> {
    pub(super) fn violate(&mut self, node: usize, what: &str) {
        self.violation
            .get_or_insert_with(|| format!("node {node}: {what}"));
    }

    /// Of 256 times, so many.
    pub(super) fn happens(&mut self, times: u8) -> bool {
        self.rng.u8(..) < times
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct SimNode {
    pub(crate) link: LinkDriver,
    pub(crate) master: MasterDriver,
    pub(crate) host: Host,
}

impl SimNode {
    pub(super) fn new(
        index: usize,
        clock: Arc<ManualClock>,
        settings: MasterSettings,
        backlog: u64,
        spool: (u64, u64),
    ) -> SimNode {
        SimNode {
            link: LinkDriver::default(),
            master: MasterDriver::default(),
            host: Host::new(index, clock, settings, backlog, spool),
        }
    }

    pub(super) fn connected(&self) -> bool {
        self.link.state() == Some(LinkState::Connected)
    }

    // ---- what operators and clients do ----

    /// A client's write, if we are a master.
    pub(super) fn write(&mut self, sim: &mut SimContext<'_>) {
        let host = &mut self.host;
        if host.hub.is_replica() || !host.up || host.writes_paused {
            return;
        }
        let transaction = sim.happens(40);
        let count = if transaction { sim.rng.usize(1..4) } else { 1 };
        let mut parts: Vec<(usize, Vec<u8>)> = Vec::new();
        for _ in 0..count {
            let (db, key, value) = (
                sim.rng.usize(0..host.databases),
                sim.rng.u8(..),
                sim.rng.u64(..),
            );
            host.data.set(db, key, value);
            host.own.insert((db, key), value);
            let mut bytes = Vec::new();
            let name = match host.knows_all && sim.happens(FOREIGN) {
                true => "VADD",
                false => "SET",
            };
            wire::command(&mut bytes, &[name, &key.to_string(), &value.to_string()]);
            parts.push((db, bytes));
        }
        if host.hub.log_active() {
            let parts: Vec<(usize, &[u8])> = parts.iter().map(|(db, b)| (*db, &b[..])).collect();
            host.hub.append_unit(&parts, transaction);
        }
        host.claim(sim);
    }

    /// REPLICAOF; at times with FORCE.
    pub(super) fn follow(&mut self, target: usize, sim: &mut SimContext<'_>) {
        let host = &mut self.host;
        if !host.up || target == host.index || host.hub.failover().is_on() {
            return;
        }
        let force = sim.happens(8);
        if !force && host.hub.is_replica() && host.target() == Some(target) {
            return;
        }
        host.hub.lift_guard(force);
        host.change_role(Some(format!("node{target}")), sim);
    }

    /// REPLICAOF NO ONE.
    pub(super) fn promote(&mut self, sim: &mut SimContext<'_>) {
        let host = &mut self.host;
        if host.up && !host.hub.failover().is_on() && host.hub.is_replica() {
            host.change_role(None, sim);
        }
    }

    /// FAILOVER to any replica, with a timeout or none.
    pub(super) fn fail_over(&mut self, timeout_ms: Option<i64>, sim: &mut SimContext<'_>) {
        let host = &mut self.host;
        let hub = &host.hub;
        let nobody = hub.published().replicas.is_empty();
        if hub.is_replica() || !host.up || hub.failover().is_on() || nobody {
            return;
        }
        let request = FailoverRequest {
            timeout_ms,
            ..FailoverRequest::default()
        };
        host.writes_paused = true;
        hub.begin_failover(request, sim.now_ms);
    }

    /// FAILOVER ABORT: a node that follows its target already becomes a master again.
    pub(super) fn abort_failover(&mut self, sim: &mut SimContext<'_>) {
        let host = &mut self.host;
        if !host.up || !host.hub.failover().is_on() {
            return;
        }
        if host.hub.failover().abort(BY_HAND) == FailoverState::InProgress {
            host.change_role(None, sim);
        }
        host.hub.end_quiet();
        host.writes_paused = false;
    }

    pub(super) fn crash(&mut self, sim: &mut SimContext<'_>) {
        self.host.up = false;
        let index = self.host.index;
        sim.network.drop_node(index, sim.now_ms, sim.rng);
    }

    /// Comes back, with what was saved (if `keep` and there is any), in the role it had.
    pub(super) fn restart(&mut self, keep: bool, sim: &mut SimContext<'_>) {
        let resumable = self.host.restart(keep, sim);
        self.master = MasterDriver::new(sim.now_ms);
        self.link = LinkDriver::default();
        let io = &mut self.host.io(sim);
        self.link.begin(resumable, io);
    }

    // ---- running ----

    pub(super) fn step(&mut self, sim: &mut SimContext<'_>) {
        if !self.host.up {
            return;
        }
        self.host.busy = false;
        self.deliver(sim);
        self.step_link(sim);
        self.step_peers(sim);
        self.step_snapshot(sim);
        self.host.step_spool(sim);
        let io = &mut self.host.io(sim);
        self.master.wrote(io);
        self.master.tick(io);
        look(io);
        self.deliver(sim);
        self.host.claim(sim);
    }

    /// Hands the drivers their mail, unless it is late.
    fn deliver(&mut self, sim: &mut SimContext<'_>) {
        if !sim.happens(25) {
            while let Some(mail) = self.host.mail.link.pop_front() {
                let io = &mut self.host.io(sim);
                match mail {
                    Mail::Retarget => self.link.retarget(io),
                }
            }
        }
        if !sim.happens(25) {
            while let Some(mail) = self.host.mail.master.pop_front() {
                self.tell_master(mail, sim);
            }
        }
        if let Some(answer) = self.host.mail.failover.take() {
            let io = &mut self.host.io(sim);
            if answered(answer, io) {
                self.host.mail.failover = Some(answer);
            }
        }
    }

    fn tell_master(&mut self, mail: ToMaster, sim: &mut SimContext<'_>) {
        let io = &mut self.host.io(sim);
        match mail {
            ToMaster::CloseReplicas { promoted } => self.master.close_replicas(promoted, io),
            ToMaster::Detached { id } => self.master.detached(id, io),
            ToMaster::DumpStreamed { id } => self.master.dump_streamed(id, io),
            ToMaster::DumpSent { id } => self.master.dump_sent(id, io),
            ToMaster::Cut { number, cut } => self.master.snapshot_cut(number, cut, io),
            ToMaster::Ended { number, result } => {
                if self.master.is_making(number) {
                    io.host.snapshot_made(number, &result);
                }
                let result = result.map(|_| ()).map_err(|()| "no space left");
                let io = &mut self.host.io(sim);
                self.master.snapshot_ended(number, result, io);
            }
        }
    }

    /// Somebody's dialling was answered.
    pub(super) fn dialled(&mut self, connection: u64, sim: &mut SimContext<'_>) {
        if self.host.link_connection == Some(connection) {
            let io = &mut self.host.io(sim);
            self.link.connected(io);
        }
    }

    /// As the SlaveLinkActor polls: what was loaded, what came, what comes.
    fn step_link(&mut self, sim: &mut SimContext<'_>) {
        let io = &mut self.host.io(sim);
        self.link.tick(io);
        loop {
            self.link.look_at_load(io);
            self.link.look_at_delta(io);
            if !io.host.busy {
                self.link.run_stream(io);
            }
            let Some(id) = io.host.link_connection else {
                return;
            };
            if io.host.busy {
                self.link.touch(io);
                return;
            }
            if !self.link.wants_read() {
                return;
            }
            match io.sim.network.receive(id, 0, io.sim.now_ms) {
                Some(Arrival::Bytes(bytes)) => self.link.received(bytes, io),
                Some(Arrival::Broken) => return self.link.lost(io),
                None => return,
            }
        }
    }
}

impl Io<'_, '_> {
    /// Whether some shard is busy at this moment.
    pub(super) fn is_busy(&mut self) -> bool {
        self.sim.happens(12)
    }
}

impl RoleIo for Io<'_, '_> {
    fn hub(&self) -> &Hub {
        &self.host.hub
    }

    fn clock(&self) -> &dyn Clock {
        &*self.host.clock
    }

    fn follow(&mut self, to: &mut NameMaster<'_>) -> bool {
        if self.is_busy() {
            return false;
        }
        let Some((host, _)) = to(&self.host.hub, &*self.host.clock) else {
            return false;
        };
        self.host.change_role(Some(host), self.sim);
        true
    }

    fn promote(&mut self) -> Option<u64> {
        if self.is_busy() {
            return None;
        }
        self.host.change_role(None, self.sim);
        Some(self.host.hub.epoch())
    }

    fn give_up(&mut self, then: &mut dyn FnMut(&Hub)) -> bool {
        let is_busy = self.is_busy();
        if !is_busy {
            then(&self.host.hub);
        }
        !is_busy
    }

    fn resume_writes(&mut self) {
        self.host.writes_paused = false;
    }
}
