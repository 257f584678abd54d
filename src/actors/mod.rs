//! The actors: thin shells around the pure rooms, with the sockets, files and timers.

pub mod attachment;
pub mod config_file;
pub mod connection;
pub mod cron;
pub mod delivery;
pub mod failover;
pub mod feed;
pub mod file_limit;
mod filtered;
pub mod freeing;
pub(crate) mod leftovers;
mod link_io;
pub mod load_limit;
pub mod loading;
pub mod master;
mod master_io;
pub mod messages;
pub mod migration;
mod outgoing;
pub mod pipe;
pub mod priority;
pub mod reception;
pub mod reload;
pub mod replication;
pub mod root;
pub mod services;
pub mod settings_change;
pub mod shard;
pub mod shutdown;
pub mod slave_buffer;
mod slave_input;
pub mod slave_link;
mod slave_stream;
pub mod snapshot;
pub mod snapshot_writer;
pub mod socket;
pub mod spool_file;
mod sync_file;
pub mod system_probe;
mod unsent;
pub mod waiters;
pub mod workbench;

#[cfg(test)]
mod bad_transfer_tests;
