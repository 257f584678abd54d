//! understudy: a Redis-compatible in-memory node whose heart is master-slave replication.
//!
//! # Layout
//!
//! Pure rooms below, thin actors above; a room imports only rooms listed before it.
//!
//! - `clock`: the sole source of time and randomness.
//! - `text`: numbers and patterns as text; text from outside, made fit for a line.
//! - `lua`: the Lua interpreter.
//! - `locks`: the locks and atomics of hand-made synchronisation, which a model checker can take the place of.
//! - `may_block`: where a thread may wait for a disk or a name server.
//! - `resp`: bytes to commands, replies to bytes.
//! - `data`: value containers.
//! - `digest`: whether datasets are equal, and where they differ.
//! - `config`: directives, files, settings.
//! - `rdb`: values to dump bytes and back.
//! - `clients`: what others see of a client and push to it; pauses.
//! - `keyspace`: databases, shards, expiry, entering shards; `snapshot` hooks into its walk.
//! - `snapshot`: the point-in-time cut and walk; how saving stands.
//! - `script`: EVAL's cache, scripts' flags, who runs for long.
//! - `repl`: the log, replids and offsets, PSYNC decisions, the link's state machine.
//! - `session`: the state of a client that its own thread owns; channels.
//! - `observe`: counters, histograms, the slow log, MONITOR, memory.
//! - `table`: the command table as data, with the rules that find keys among arguments.
//! - `supervision`: what becomes of a node when a part of it panics.
//! - `node_core`: what all of a node's threads share, its stages, the threads that its end waits for.
//! - `info`: INFO's sections.
//! - `command`: dispatch, and the families of handlers.
//! - `os`: the operating system's parts: files, sockets, limits, scheduling.
//! - `background`: work on threads of its own: loading, freeing.
//! - `actors`: connections, shards, master, link, snapshots: sockets, files, timers.
//! - `node`: the library's API, and clients inside the process.
//! - `testing`: the simulation.
//! - `internals`: no part of the library: what the binary, benchmarks, fuzz targets and tests use of the inside.

#![warn(unreachable_pub)]

mod actors;
mod background;
mod clients;
mod clock;
mod command;
mod config;
mod data;
mod digest;
mod info;
#[doc(hidden)]
pub mod internals;
mod keyspace;
pub(crate) mod locks;
pub(crate) mod lua;
mod may_block;
mod node;
mod node_core;
mod observe;
mod os;
mod rdb;
mod repl;
mod resp;
pub(crate) mod script;
mod session;
mod snapshot;
mod supervision;
mod table;
mod testing;
mod text;

pub use clock::Clock;
pub use config::{
    EventFlags, LoadFallback, LogLevel, MasterAddress, MaxmemoryPolicy, OnStreamError, OutputLimit,
    OutputLimits, Protected, SavePoint, Settings, ShutdownFlags, Supervised,
};
pub use data::Encodings;
pub use node::local_client::{Closed, LocalClient};
pub use node::{Node, NodeBuilder, SaveFailed, StartError};
pub use observe::memory::{MemoryProbe, MemoryReport};
pub use resp::value::RespValue;
