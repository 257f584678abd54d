//! The replication and snapshot actors of a node, started together, and what the node asks of them.

use std::sync::{Arc, Weak};

use actix::prelude::*;

use super::failover::{self, FailoverActor};
use super::master::MasterActor;
use super::slave_link::{Begin, Retarget, SlaveLinkActor};
use super::snapshot::{Save, SnapshotActor};
use super::waiters::{Unblock, Wait};
use crate::node_core::NodeCore;
use crate::session::Ticket;

/// Addresses of the actors, all on the arbiter that started them.
#[derive(Clone)]
pub struct Replication {
    /// The node holds this.
    node: Weak<NodeCore>,
    pub master: Addr<MasterActor>,
    pub link: Addr<SlaveLinkActor>,
    pub snapshots: Addr<SnapshotActor>,
    failover: Addr<FailoverActor>,
}

impl Replication {
    /// Starts the actors. The role is what the settings say; the link waits for [`Replication::begin`].
    pub fn start(node: &Arc<NodeCore>) -> Replication {
        if let Some(master) = &node.settings.load().replicaof {
            node.hub.follow(master.host.clone(), master.port);
        }
        let snapshots = SnapshotActor::new(node.clone()).start();
        let master = MasterActor::new(node.clone(), snapshots.clone()).start();
        let failover = FailoverActor::new(node.clone()).start();
        let link = SlaveLinkActor::new(node.clone(), master.clone(), failover.clone()).start();
        Replication {
            node: Arc::downgrade(node),
            master,
            link,
            snapshots,
            failover,
        }
    }

    /// The dataset is in place: a replica connects. `resumable`: the hub's replid and offset were taken up
    /// from a dump.
    pub fn begin(&self, resumable: bool) {
        self.link.do_send(Begin { resumable });
    }

    /// Changes the role; called with every shard entered.
    pub fn replicaof(&self, target: Option<(String, u16)>) {
        let Some(node) = self.node.upgrade() else {
            return;
        };
        match target {
            Some((host, port)) => node.hub.follow(host, port),
            None => {
                node.hub.promote(&*node.clock);
            }
        }
        self.link.do_send(Retarget);
    }

    /// A failover has begun.
    pub fn failover(&self) {
        self.failover.do_send(failover::Look);
    }

    pub fn wait(
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

    pub fn unblock(&self, ticket: Arc<Ticket>, how: u32) {
        self.master.do_send(Unblock { ticket, how });
    }

    pub fn save(&self, ticket: Option<Arc<Ticket>>, background: bool) {
        self.snapshots.do_send(Save { ticket, background });
    }
}
