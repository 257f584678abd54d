//! What commands may ask of the actors, as messages to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::prelude::*;

use super::root::{AbortShutdown, Root, SettingsChanged, Shutdown};
use super::shard::{ServeBlocked, ShardActor};
use crate::node_core::{Services, ShutdownOptions};
use crate::session::Ticket;

/// The addresses of a node's actors.
pub struct ActorServices {
    pub root: Addr<Root>,
    pub shards: Vec<Addr<ShardActor>>,
    /// A shutdown waits for replicas.
    pub shutting_down: Arc<AtomicBool>,
}

fn not_yet(ticket: &Ticket) {
    ticket.complete(b"-ERR not available\r\n");
}

impl Services for ActorServices {
    fn replicaof(&self, _target: Option<(String, u16)>) {}

    fn wait(&self, ticket: Arc<Ticket>, _replicas: usize, _offset: u64, _deadline_ms: Option<i64>) {
        ticket.complete(b":0\r\n");
    }

    fn unblock(&self, ticket: Arc<Ticket>, how: u32) {
        if how == 2 {
            ticket.complete(b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
        } else {
            ticket.complete(b":0\r\n");
        }
    }

    fn save(&self, ticket: Arc<Ticket>) {
        not_yet(&ticket);
    }

    fn bgsave(&self, ticket: Arc<Ticket>, _schedule: bool) {
        not_yet(&ticket);
    }

    fn reload(&self, ticket: Arc<Ticket>, _save: bool, _flush: bool) {
        not_yet(&ticket);
    }

    fn shutdown(&self, ticket: Option<Arc<Ticket>>, options: ShutdownOptions) {
        self.root.do_send(Shutdown { ticket, options });
    }

    fn abort_shutdown(&self) -> bool {
        let was = self.shutting_down.load(Ordering::Acquire);
        if was {
            self.root.do_send(AbortShutdown);
        }
        was
    }

    fn settings_changed(&self, names: &[&'static str]) {
        self.root.do_send(SettingsChanged(names.to_vec()));
    }

    fn serve_blocked(&self) {
        // Any shard's actor will do: it enters all of them. At most one such message need be under way.
        if let Some(shard) = self.shards.first() {
            let _ = shard.try_send(ServeBlocked);
        }
    }
}
