//! The operating system's parts: files, sockets, limits, scheduling, /proc.

pub mod config_file;
pub mod file_limit;
pub mod listener;
pub(crate) mod outgoing;
pub mod priority;
pub(crate) mod process_number;
pub mod socket;
pub mod system_probe;
