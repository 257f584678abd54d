//! What all threads of one node share: settings, keyspace, clients, pub/sub, replication, statistics.
//! No globals: a process may hold several nodes.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;

use crate::clock::Clock;
use crate::config::Settings;
use crate::keyspace::Keyspace;
use crate::pubsub::PubSub;
use crate::repl::Hub;
use crate::session::Clients;

/// The shared heart of a node.
pub struct NodeCore {
    pub clock: Arc<dyn Clock>,
    pub settings: ArcSwap<Settings>,
    pub keyspace: Keyspace,
    pub clients: Clients,
    pub pubsub: PubSub,
    pub hub: Hub,
    /// Loading a dump at start: most commands answer LOADING.
    pub loading: AtomicBool,
    /// What only actors can do; set once at start, absent in pure tests.
    pub services: OnceLock<Box<dyn Services>>,
}

/// Work that commands ask of the actors. Every call only posts a message and returns at once.
pub trait Services: Send + Sync {
    /// REPLICAOF host port, or NO ONE.
    fn replicaof(&self, target: Option<(String, u16)>);
}
