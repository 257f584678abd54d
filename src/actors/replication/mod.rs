//! The replication and snapshot actors of a node, started together, and what the node asks of them.

pub(crate) mod attachment;
#[cfg(test)]
mod bad_transfer_tests;
pub(crate) mod delivery;
mod delta_fetch;
pub(crate) mod failover;
mod filtered;
mod link_io;
pub(crate) mod master;
mod master_io;
pub(crate) mod slave_buffer;
mod slave_input;
pub(crate) mod slave_link;
mod slave_messages;
mod slave_stream;
pub(crate) mod verification;
pub(crate) mod waiters;

use std::sync::{Arc, Weak};

use actix::prelude::*;

use crate::actors::replication::failover::FailoverActor;
use crate::actors::replication::master::MasterActor;
use crate::actors::replication::slave_link::{Begin, Retarget, SlaveLinkActor};
use crate::actors::replication::verification::{VerificationActor, Verify};
use crate::actors::replication::waiters::{Unblock, Wait};
use crate::actors::snapshots::digest_walk::{AnyWalk, WalkDigests};
use crate::actors::snapshots::snapshot::{Save, SnapshotActor};
use crate::actors::supervisor;
use crate::node_core::NodeCore;
use crate::node_core::digest_walk::{DeltaWanted, VerifyWith};
use crate::repl::delta;
use crate::repl::verify::WalkOrder;
use crate::repl::verify::server::WalkId;
use crate::session::Ticket;
use crate::supervision::Owner;

/// Addresses of the actors, all on the arbiter that started them.
#[derive(Clone)]
pub(crate) struct Replication {
    /// The node holds this.
    node: Weak<NodeCore>,
    pub(crate) master: Addr<MasterActor>,
    pub(crate) link: Addr<SlaveLinkActor>,
    pub(crate) snapshots: Addr<SnapshotActor>,
    failover: Addr<FailoverActor>,
    verification: Addr<VerificationActor>,
}

impl Replication {
    /// Starts the actors. The role is what the settings say; the link waits for [`Replication::begin`].
    pub(crate) fn start(node: &Arc<NodeCore>) -> Replication {
        if let Some(master) = &node.settings.load().replicaof {
            node.hub.follow(master.host.clone(), master.port);
            node.hub.begins_as_replica();
        }
        let snapshots = SnapshotActor::new(node.clone());
        let snapshots = supervisor::start(node, Owner::Snapshot, snapshots);
        let master = MasterActor::new(node.clone(), snapshots.clone());
        let master = supervisor::start(node, Owner::Master, master);
        let failover = FailoverActor::new(node.clone());
        let failover = supervisor::start(node, Owner::Failover, failover);
        let verification = VerificationActor::new(node.clone(), snapshots.clone());
        let verification = supervisor::start(node, Owner::Verification, verification);
        let (to_master, to_failover) = (master.clone(), failover.clone());
        let link = SlaveLinkActor::new(node.clone(), to_master, to_failover, verification.clone());
        let link = supervisor::start(node, Owner::Link, link);
        Replication {
            node: Arc::downgrade(node),
            master,
            link,
            snapshots,
            failover,
            verification,
        }
    }

    /// The dataset is in place: a replica connects. `resumable`: the hub's replid and offset were taken up
    /// from a dump.
    pub(crate) fn begin(&self, resumable: bool) {
        self.link.do_send(Begin { resumable });
    }

    /// The node, as long as it is there.
    pub(crate) fn node(&self) -> Option<Arc<NodeCore>> {
        self.node.upgrade()
    }

    /// The hub's role or master has changed.
    pub(crate) fn role_changed(&self) {
        self.link.do_send(Retarget);
    }

    /// A failover has begun.
    pub(crate) fn failover(&self) {
        self.failover.do_send(failover::Look);
    }

    /// Makes a walk for a replica that verifies itself.
    pub(crate) fn walk_digests(&self, ticket: Arc<Ticket>, id: WalkId, order: WalkOrder) {
        let walk = verification::walk_for_replica(self.node.clone(), ticket, id, order);
        self.snapshots.do_send(WalkDigests(AnyWalk::Digests(walk)));
    }

    /// Makes a walk for a replica in a delta resync.
    pub(crate) fn walk_for_delta(
        &self,
        ticket: Arc<Ticket>,
        id: delta::server::WalkId,
        wanted: DeltaWanted,
    ) {
        let walk = delta_fetch::walk_for_replica(self.node.clone(), ticket, id, wanted);
        self.snapshots.do_send(WalkDigests(AnyWalk::Delta(walk)));
    }

    /// REPLICATION VERIFY.
    pub(crate) fn verify(&self, ticket: Arc<Ticket>, with: VerifyWith) {
        let ticket = Some(ticket);
        self.verification.do_send(Verify { ticket, with });
    }

    pub(crate) fn wait(
        &self,
        ticket: Arc<Ticket>,
        replicas: usize,
        offset: u64,
        deadline_ms: Option<i64>,
        aof: bool,
    ) {
        self.master.do_send(Wait {
            ticket,
            replicas,
            offset,
            deadline_ms,
            aof,
        });
    }

    pub(crate) fn unblock(&self, ticket: Arc<Ticket>, how: u32) {
        self.master.do_send(Unblock { ticket, how });
    }

    pub(crate) fn save(&self, ticket: Option<Arc<Ticket>>, background: bool) {
        self.snapshots.do_send(Save { ticket, background });
    }
}
