//! Simulated clock, network and peers: replication's production state machines run against faults that a
//! seed decides, thousands of runs a second, with no sockets and no sleeping.
//!
//! - `dataset`: a small model of the data, with a fingerprint of every write that made it.
//! - `network`: connections that delay, stall and break, losing what was under way.
//! - `node`: a node made of the production drivers and hub, over the model; `host` is what it has instead of
//!   sockets, threads and mailboxes, lent to the drivers in `stream` (the link) and `feeds` (the master).
//! - `peers`: the connections that a node took.
//! - `scripts`: Lua without a node.
//! - `spooling`: a slow disk that fails, under the production log, feed and spool.
//! - `oracle`: what two nodes call by the same name must be the same.
//! - `verification`: VERIFY and REPAIR; `delta`: delta resyncs.
//! - `world`: nodes, faults and the invariants.

mod dataset;
mod delta;
mod feeds;
mod host;
mod network;
mod node;
mod oracle;
mod peers;
pub(crate) mod scripts;
mod spooling;
mod stream;
mod verification;
pub(crate) mod world;
