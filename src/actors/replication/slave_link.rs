//! The actor that is a replica to our master: it tells the [`LinkDriver`] what happens, and lends it a
//! `LinkSocket` to act with.
//!
//! What is done is decided in `repl::link`; here is when. A busy shard, a full pipe or a busy socket is waited
//! for asynchronously: reading from the master stops meanwhile, so memory is bounded by one read, one pipe and
//! one command.
//!
//! Death: it starts anew, and the next PSYNC resumes at the hub's replid and offset, which only ever name what was
//! applied. If it was inside a shard the node ends, and acknowledges nothing more.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::prelude::*;
use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, ReadBuf};

use crate::actors::replication::failover::FailoverActor;
use crate::actors::replication::link_io::LinkSocket;
use crate::actors::replication::master::MasterActor;
use crate::actors::replication::verification::VerificationActor;
use crate::clients::pause::OUR_MASTER;
use crate::node_core::NodeCore;
use crate::os::priority;
use crate::repl::{LinkDriver, LinkIo, LinkState};
use crate::supervision::Owner;

const TICK: Duration = Duration::from_millis(100);
/// Bytes read from the master at a time.
const READ_BYTES: usize = 128 * 1024;
/// Reads, or batches applied, in one poll before others get their turn.
const ROUNDS_MAX: usize = 8;

/// See the module.
pub(crate) struct SlaveLinkActor {
    driver: LinkDriver,
    io: LinkSocket,
    buffer: Box<[u8]>,
    /// The node has its data.
    begun: bool,
}

impl SlaveLinkActor {
    /// A link that does nothing until it is told to [`Begin`].
    pub(crate) fn new(
        node: Arc<NodeCore>,
        master: Addr<MasterActor>,
        failover: Addr<FailoverActor>,
        verification: Addr<VerificationActor>,
    ) -> SlaveLinkActor {
        SlaveLinkActor {
            driver: LinkDriver::default(),
            io: LinkSocket::new(node, master, failover, verification),
            buffer: vec![0; READ_BYTES].into(),
            begun: false,
        }
    }

    fn poll_work(&mut self, cx: &mut TaskContext<'_>) {
        if self.io.node.supervision.is_ending() {
            // Neither applied nor acknowledged.
            return;
        }
        self.step();
        self.io.waker = Some(cx.waker().clone());
        self.poll_connecting(cx);
        if self.io.registered {
            // Nothing is pushed to a master, but this is how a kill reaches us.
            let client = &self.io.session.client;
            let _ = client.take_output(cx.waker());
            if client.killed.load(Ordering::Acquire) {
                self.driver.closed("killed", &mut self.io);
            }
        }
        for _ in 0..ROUNDS_MAX {
            if self.is_paused(cx) {
                self.flush(cx);
                self.driver.touch(&self.io);
                return;
            }
            self.io.busy = false;
            self.driver.look_at_load(&mut self.io);
            self.driver.look_at_delta(&mut self.io);
            if !self.io.busy {
                self.driver.run_stream(&mut self.io);
            }
            self.flush(cx);
            if self.io.busy {
                self.driver.touch(&self.io);
                return;
            }
            if self.io.paused {
                continue;
            }
            if !self.read(cx) {
                return;
            }
        }
        cx.waker().wake_by_ref();
    }

    fn tick(&mut self) {
        if !self.io.node.supervision.is_ending() {
            self.driver.tick(&mut self.io);
        }
    }

    /// Says what it is doing.
    fn step(&self) {
        let step = match self.driver.state() {
            _ if self.driver.is_loading() => "loading",
            None => "no master",
            Some(LinkState::Connect) => "before connecting",
            Some(LinkState::Connecting) => "connecting",
            Some(LinkState::Connected) => "streaming",
            Some(_) => "handshake",
        };
        self.io.node.supervision.step(Owner::Link, step);
    }

    /// Whether a pause of clients holds the stream up. Its end by itself is noticed at the next tick.
    fn is_paused(&mut self, cx: &mut TaskContext<'_>) -> bool {
        if std::mem::take(&mut self.io.paused) {
            let now_ms = self.io.node.clock.unix_ms();
            self.io.paused = !self
                .io
                .node
                .pause
                .wake_when_over(OUR_MASTER, cx.waker(), now_ms);
        }
        self.io.paused
    }

    fn poll_connecting(&mut self, cx: &mut TaskContext<'_>) {
        let Some(connecting) = &mut self.io.connecting else {
            return;
        };
        let Poll::Ready(result) = connecting.as_mut().poll(cx) else {
            return;
        };
        self.io.connecting = None;
        match result {
            Ok(stream) => {
                self.io.take_socket(stream);
                self.driver.connected(&mut self.io);
            }
            Err(error) => self.driver.closed(&error.to_string(), &mut self.io),
        }
    }

    fn flush(&mut self, cx: &mut TaskContext<'_>) {
        while !self.io.output.is_empty() {
            let Some(socket) = &self.io.socket else {
                return;
            };
            match socket.try_write(&self.io.output) {
                Ok(n) => {
                    self.io.node.stats.writes.inc();
                    self.io.output.advance(n);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    if socket.poll_write_ready(cx).is_pending() {
                        return;
                    }
                }
                Err(error) => return self.driver.closed(&error.to_string(), &mut self.io),
            }
        }
    }

    /// Reads once. False if there is nothing to read now, or no place for it.
    fn read(&mut self, cx: &mut TaskContext<'_>) -> bool {
        if !self.driver.wants_read() {
            return false;
        }
        if let Some(loading) = &self.io.loading
            && !loading.pipe.has_room(cx.waker())
        {
            self.driver.touch(&self.io);
            return false;
        }
        let Some(socket) = &mut self.io.socket else {
            return false;
        };
        let mut read = ReadBuf::new(&mut self.buffer);
        let polled = Pin::new(socket).poll_read(cx, &mut read);
        let filled = read.filled().len();
        if polled.is_ready() {
            self.io.node.stats.reads.inc();
        }
        match polled.map_ok(|()| filled) {
            Poll::Pending => false,
            Poll::Ready(Ok(0)) => {
                self.driver.lost(&mut self.io);
                false
            }
            Poll::Ready(Ok(n)) => {
                self.io.node.stats.net_repl_input_bytes.add(n as u64);
                let bytes = Bytes::copy_from_slice(&self.buffer[..n]);
                self.driver.received(bytes, &mut self.io);
                if self.io.loading.is_some() {
                    priority::yield_core();
                }
                true
            }
            Poll::Ready(Err(error)) => {
                self.driver.closed(&error.to_string(), &mut self.io);
                false
            }
        }
    }
}

struct Work;

impl ActorFuture<SlaveLinkActor> for Work {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut SlaveLinkActor,
        _: &mut Context<SlaveLinkActor>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        actor.poll_work(task);
        Poll::Pending
    }
}

impl Supervised for SlaveLinkActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        let was_registered = self.io.registered;
        self.io.abort_load();
        self.io.abort_delta();
        self.io.disconnect();
        if was_registered {
            self.io.link_is_up(false);
        }
        self.io = self.io.renewed();
        self.driver = LinkDriver::default();
        if self.begun {
            // What a retarget was about to tell our replicas, it may not have come to.
            if !self.io.node.hub.is_replica() {
                self.io.close_replicas(Some(self.io.node.hub.epoch()));
            }
            self.driver.begin(true, &mut self.io);
        }
    }
}

impl Actor for SlaveLinkActor {
    type Context = Context<SlaveLinkActor>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(Work);
        ctx.run_interval(TICK, |actor, _| actor.tick());
    }
}

/// The node has its data: if it is a replica, connect. `resumable`: the replid and offset in the hub were
/// taken up from a dump.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Begin {
    pub(crate) resumable: bool,
}

impl Handler<Begin> for SlaveLinkActor {
    type Result = ();

    fn handle(&mut self, begin: Begin, _: &mut Self::Context) {
        self.begun = true;
        self.driver.begin(begin.resumable, &mut self.io);
    }
}

/// The hub's role or master has changed: follow it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Retarget;

impl Handler<Retarget> for SlaveLinkActor {
    type Result = ();

    fn handle(&mut self, _: Retarget, _: &mut Self::Context) {
        self.io.node.supervision.step(Owner::Link, "retarget");
        self.driver.retarget(&mut self.io);
    }
}
