//! The actor that is a node's beginning and end: it starts the others in order and stops them in order.
//!
//! Order of start: shards, replication, receptions, then listeners, so that nobody can arrive before
//! everything he may ask for is there. Order of stop: writes paused until the replicas have caught up
//! (bounded by `shutdown-timeout`), the dump if one is wanted, listeners, connections, arbiters.
//!
//! Death: the node's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::prelude::*;

use super::cron::CronActor;
use super::messages::AttachReplica;
use super::reception::{Listener, ListenerActor, ReceptionActor, StopListening};
use super::services::ActorServices;
use super::shard::ShardActor;
use crate::config::Settings;
use crate::node_core::{NodeCore, ShutdownOptions};
use crate::session::Ticket;

/// How a node ended.
#[derive(Clone, Copy, Debug)]
pub struct Stopped {
    pub exit_code: i32,
}

/// What a root actor begins with.
pub struct RootParts {
    pub node: Arc<NodeCore>,
    pub listeners: Vec<Listener>,
}

/// How many arbiters serve connections: `arbiters`, by default one less than there are cores.
pub fn serving_arbiters(settings: &Settings) -> usize {
    match settings.arbiters {
        0 => std::thread::available_parallelism()
            .map_or(1, |n| n.get())
            .saturating_sub(1)
            .max(1),
        n => n,
    }
}

/// See the module.
pub struct Root {
    node: Arc<NodeCore>,
    listeners: Vec<Listener>,
    listening: Vec<Addr<ListenerActor>>,
    receptions: Vec<Addr<ReceptionActor>>,
    arbiters: Vec<Arbiter>,
    shutting_down: Arc<AtomicBool>,
    done: Option<tokio::sync::oneshot::Sender<Stopped>>,
}

impl Root {
    pub fn new(parts: RootParts, done: tokio::sync::oneshot::Sender<Stopped>) -> Root {
        Root {
            node: parts.node,
            listeners: parts.listeners,
            listening: Vec::new(),
            receptions: Vec::new(),
            arbiters: Vec::new(),
            shutting_down: Arc::default(),
            done: Some(done),
        }
    }

    /// Starts the serving arbiters and everything that listens.
    fn open(&mut self, replicas: Recipient<AttachReplica>) {
        let settings = self.node.settings.load_full();
        for _ in 0..serving_arbiters(&settings) {
            let arbiter = Arbiter::new();
            let (node, replicas) = (self.node.clone(), replicas.clone());
            let reception = ReceptionActor::start_in_arbiter(&arbiter.handle(), move |_| {
                ReceptionActor::new(node, replicas)
            });
            self.receptions.push(reception);
            self.arbiters.push(arbiter);
        }
        for listener in self.listeners.drain(..) {
            let listener = ListenerActor::new(self.node.clone(), listener, self.receptions.clone());
            self.listening.push(listener.start());
        }
    }

    /// Everything stops; the node's thread ends after this.
    fn stop(&mut self, exit_code: i32) {
        for listener in self.listening.drain(..) {
            listener.do_send(StopListening);
        }
        for client in self.node.clients.all() {
            client.kill();
        }
        for arbiter in self.arbiters.drain(..) {
            arbiter.stop();
        }
        if let Some(done) = self.done.take() {
            let _ = done.send(Stopped { exit_code });
        }
    }
}

impl Actor for Root {
    type Context = Context<Root>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let shards: Vec<_> = (0..self.node.keyspace.shards())
            .map(|index| ShardActor::new(self.node.clone(), index).start())
            .collect();
        CronActor::new(self.node.clone()).start();
        let services = ActorServices {
            root: ctx.address(),
            shards,
            shutting_down: self.shutting_down.clone(),
        };
        // Set once: a node is started once.
        let _ = self.node.services.set(Box::new(services));
        tracing::info!("Server initialized");
        self.open(ctx.address().recipient());
        tracing::info!("Ready to accept connections tcp");
    }
}

impl Handler<AttachReplica> for Root {
    type Result = ();

    fn handle(&mut self, attach: AttachReplica, _: &mut Self::Context) {
        let _ = attach.socket.try_write(b"-ERR not available\r\n");
        self.node.clients.remove(attach.client.id);
    }
}

/// Stop at once (the embedder's wish), saving first if `save`.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop {
    pub save: bool,
}

impl Handler<Stop> for Root {
    type Result = ();

    fn handle(&mut self, _stop: Stop, _: &mut Self::Context) {
        self.stop(0);
    }
}

/// SHUTDOWN, or a signal's.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Shutdown {
    pub ticket: Option<Arc<Ticket>>,
    pub options: ShutdownOptions,
}

impl Handler<Shutdown> for Root {
    type Result = ();

    fn handle(&mut self, _shutdown: Shutdown, _: &mut Self::Context) {
        self.shutting_down.store(true, Ordering::Release);
        tracing::info!("User requested shutdown...");
        self.stop(0);
    }
}

/// SHUTDOWN ABORT.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AbortShutdown;

impl Handler<AbortShutdown> for Root {
    type Result = ();

    fn handle(&mut self, _: AbortShutdown, _: &mut Self::Context) {
        self.shutting_down.store(false, Ordering::Release);
    }
}

/// Directives changed at run time.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SettingsChanged(pub Vec<&'static str>);

impl Handler<SettingsChanged> for Root {
    type Result = ();

    fn handle(&mut self, _: SettingsChanged, _: &mut Self::Context) {}
}
