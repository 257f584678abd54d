//! Simulated clock, network and peers: replication's production state machines run against faults that a
//! seed decides, thousands of runs a second, with no sockets and no sleeping.
//!
//! - [`dataset`]: a small model of the data, with a fingerprint of every write that made it.
//! - `network`: connections that delay, stall and break, losing what was under way.
//! - [`node`]: a node made of the real stream, link and master, over the model.
//! - [`spooling`]: a slow disk that fails, and a snapshot's bytes, over the real log and spool.
//! - [`world`]: nodes, faults and the invariants.

pub mod dataset;
pub mod failover;
mod network;
pub mod node;
mod peers;
pub mod spooling;
pub mod world;

pub use world::{Report, run_seed};
