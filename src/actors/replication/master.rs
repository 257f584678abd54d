//! The actor that is a master to our replicas: it tells the [`MasterDriver`] what happens, and lends it
//! `MasterSockets` to act with.
//!
//! What is done is decided in `repl::master`; the log, the replids and the table of replicas are in the hub,
//! where the request path and INFO see them. It is woken once per burst of writes ([`Hub::wake`]), wakes each
//! SlaveBufferActor that has sent all there was, and answers WAIT when acks come in. It runs on the background arbiter with the
//! slave buffers, so a message between them is no thread switch.
//!
//! Its other parts are in `attachment` (a client becomes a replica), `delivery` (how snapshots go) and
//! `waiters` (WAIT).
//!
//! Death: the node's, as `supervisor::rescue` says: without it replicas would silently stop.
//!
//! [`Hub::wake`]: crate::repl::Hub::wake

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::prelude::*;

use crate::actors::replication::master_io::MasterSockets;
use crate::actors::replication::waiters::Waiters;
use crate::actors::snapshots::snapshot::SnapshotActor;
use crate::node_core::NodeCore;
use crate::repl::MasterDriver;
use crate::supervision::Owner;

/// Between two looks at timers.
const TICK: Duration = Duration::from_millis(100);
/// Bytes of stream between two checks of what is to be spooled, and of which replicas are over the output limit.
const LOOK_BYTES: u64 = 1 << 20;

/// See the module.
pub(crate) struct MasterActor {
    pub(crate) node: Arc<NodeCore>,
    pub(crate) driver: MasterDriver,
    pub(crate) io: MasterSockets,
    pub(crate) waiters: Waiters,
    /// How far the log was when it was last looked at for spooling.
    looked_at: u64,
}

impl MasterActor {
    pub(crate) fn new(node: Arc<NodeCore>, snapshots: Addr<SnapshotActor>) -> MasterActor {
        MasterActor {
            driver: MasterDriver::new(node.clock.unix_ms()),
            io: MasterSockets::new(node.clone(), snapshots),
            node,
            waiters: Waiters::default(),
            looked_at: 0,
        }
    }
}

/// Forwards what was appended, once per burst.
struct Bursts;

impl ActorFuture<MasterActor> for Bursts {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut MasterActor,
        _: &mut Context<MasterActor>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        while actor.node.hub.poll_burst(task).is_ready() {
            actor.node.supervision.step(Owner::Master, "burst");
            actor.driver.wrote(&mut actor.io);
            // A timer alone would let a fast writer fill the memory between two ticks: 60 MB, seen with 600 MB/s.
            let offset = actor.node.hub.offset();
            if offset.abs_diff(actor.looked_at) > LOOK_BYTES {
                actor.looked_at = offset;
                actor.io.spool_log();
                actor.driver.check_limits(&mut actor.io);
            }
        }
        Poll::Pending
    }
}

impl Supervised for MasterActor {}

impl Actor for MasterActor {
    type Context = Context<MasterActor>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.io.report = Some(ctx.address().recipient());
        ctx.spawn(Bursts);
        ctx.run_interval(TICK, |actor, _| {
            if actor.node.cron_paused.load(Ordering::Relaxed) {
                return;
            }
            actor.node.supervision.step(Owner::Master, "tick");
            actor.driver.tick(&mut actor.io);
            actor.answer_waiters();
            actor.io.maintain_spool();
        });
    }
}

/// Input of a replica; with an offset if it was an ack.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Acked {
    pub(crate) id: u64,
    pub(crate) offset: Option<u64>,
    pub(crate) aof_offset: Option<u64>,
}

impl Handler<Acked> for MasterActor {
    type Result = ();

    fn handle(&mut self, acked: Acked, _: &mut Self::Context) {
        self.node.supervision.step(Owner::Master, "ack");
        let (id, offset, aof_offset) = (acked.id, acked.offset, acked.aof_offset);
        if self.driver.heard(id, offset, aof_offset, &mut self.io) {
            self.answer_waiters();
        }
    }
}

/// A replica's connection is over.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Detached {
    pub(crate) id: u64,
}

impl Handler<Detached> for MasterActor {
    type Result = ();

    fn handle(&mut self, Detached { id }: Detached, _: &mut Self::Context) {
        self.io.buffers.remove(&id);
        self.node.clients.remove(id);
        self.driver.detached(id, &mut self.io);
    }
}

/// Our history changed: every replica must ask again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct CloseReplicas {
    /// `Hub::epoch` after the promotion that this is about, if it is.
    pub(crate) promoted: Option<u64>,
}

impl Handler<CloseReplicas> for MasterActor {
    type Result = ();

    fn handle(&mut self, close: CloseReplicas, _: &mut Self::Context) {
        self.driver.close_replicas(close.promoted, &mut self.io);
    }
}
