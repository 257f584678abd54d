//! Snapshots as they are made and written: to replicas, to the dump, to the spool.

pub(crate) mod digest_walk;
pub(crate) mod feed;
pub(crate) mod maker;
pub(crate) mod reload;
pub(crate) mod snapshot;
pub(crate) mod snapshot_writer;
pub(crate) mod spool_file;
mod sync_file;
