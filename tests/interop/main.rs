//! Long chains of both makes, requests during a full sync, clients that break the protocol or don't read, and
//! what saving does to the file, or the disk to saving. The main job is in `tests/replication.rs`.

#[path = "../common/mod.rs"]
mod common;

mod bad_peers;
mod chain;
mod clients;
mod disk_errors;
mod filtered;
mod full_sync;
mod functions;
mod makes;
mod peer_text;
mod refusals;
mod saving;
mod streams;
mod waits;
