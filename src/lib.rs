//! understudy: a Redis-compatible in-memory node whose heart is master-slave replication.
//!
//! # Layout
//!
//! Pure rooms below, thin actors above; a room imports only rooms listed before it.
//!
//! - [`clock`]: the sole source of time and randomness; [`printable`]: text from outside, made fit for a line.
//! - [`resp`]: bytes to commands, replies to bytes.
//! - [`config`]: directives, files, settings.
//! - [`data`]: value containers.
//! - [`rdb`]: values to dump bytes and back.
//! - [`keyspace`]: databases, shards, expiry, entering shards; `snapshot` hooks into its walk. [`wakers`]: tasks that
//!   wait for the same thing, such as a shard.
//! - [`snapshot`]: the point-in-time cut and walk.
//! - [`repl`]: the log, replids and offsets, PSYNC decisions, the link's state machine.
//! - [`session`]: a client's state and the registry of clients; [`pubsub`]: channels.
//! - [`monitors`], [`slowlog`], [`latency`], [`command_stats`] with its [`histogram`]: watching commands run;
//!   [`redaction`]: what they must not show; [`pause`]: clients held up; [`cross_protocol`]: peers that are no clients.
//! - [`stats`]: counters; [`memory`], [`persistence`], [`process`]: how these stand; [`lazyfree`]: large values on their way out;
//!   [`life`], [`threads`]: a node's stages, and what its end waits for.
//! - [`node_core`]: what all of a node's threads share.
//! - [`command`]: the command table, its families, dispatch.
//! - [`actors`]: connections, shards, master, link, snapshots: sockets, files, timers.
//! - [`node`]: the library's door.

pub mod actors;
pub mod clock;
pub mod command;
pub mod command_stats;
pub mod config;
pub mod cross_protocol;
pub mod data;
pub mod histogram;
pub mod info;
pub mod keyspace;
pub mod latency;
pub mod lazyfree;
pub mod life;
pub mod local_client;
pub mod memory;
pub mod monitors;
pub mod node;
pub mod node_core;
pub mod own_expiries;
pub mod pause;
pub mod persistence;
pub mod printable;
pub mod process;
pub mod pubsub;
pub mod rdb;
pub mod redaction;
pub mod repl;
pub mod resp;
pub mod session;
pub mod slowlog;
pub mod snapshot;
pub mod stats;
pub mod testing;
pub mod threads;
pub mod turns;
pub mod wakers;

pub use config::Settings;
pub use local_client::{Closed, LocalClient};
pub use node::{Node, NodeBuilder, SaveFailed, StartError};
pub use resp::value::RespValue;
