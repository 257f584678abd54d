//! The operating system's parts: files, sockets, limits, scheduling, /proc.

pub(crate) mod config_file;
pub(crate) mod file_limit;
pub(crate) mod listener;
pub(crate) mod outgoing;
pub(crate) mod priority;
pub(crate) mod process_number;
pub(crate) mod socket;
pub(crate) mod system_probe;
