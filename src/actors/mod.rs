//! The actors: thin shells around the pure rooms, with the sockets, files and timers.
//!
//! - [`node`]: a node's start and end, what commands may ask, periodic duties.
//! - [`clients`]: receptions, connections.
//! - [`shard`]: the timed work of one shard.
//! - [`replication`]: master, replicas, the link, failover.
//! - [`snapshots`]: snapshots and where they are written.
//! - [`supervisor`]: what follows when one of them panics; the watchdog.
//! - [`migration`]: the keys that MIGRATE carries to other nodes.

pub(crate) mod clients;
pub(crate) mod messages;
pub(crate) mod migration;
pub(crate) mod node;
pub(crate) mod replication;
pub(crate) mod shard;
pub(crate) mod snapshots;
pub(crate) mod supervisor;
