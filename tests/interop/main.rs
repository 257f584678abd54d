//! Long chains of both makes, requests during a full sync, and clients that break the protocol. The main job is
//! in `tests/replication.rs`.

#[path = "../common/mod.rs"]
mod common;

mod bad_peers;
mod chain;
mod full_sync;
