//! Understudy beside real redis-servers: as master, as replica, in the middle and at the ends.

#[path = "../common/mod.rs"]
mod common;

mod bad_peers;
mod chain;
mod full_sync;
mod main_job;
mod promotion;
