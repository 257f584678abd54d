//! Snapshots as they are made and written: to replicas, to the dump, to the spool.

pub mod feed;
pub(crate) mod maker;
pub mod reload;
pub mod snapshot;
pub mod snapshot_writer;
pub mod spool_file;
mod sync_file;
