//! The actors: thin shells around the pure rooms, with the sockets, files and timers.

pub mod config_file;
pub mod connection;
pub mod cron;
pub mod freeing;
pub mod loading;
pub mod messages;
pub mod reception;
pub mod root;
pub mod services;
pub mod shard;
pub mod socket;
pub mod system_probe;
pub mod workbench;
