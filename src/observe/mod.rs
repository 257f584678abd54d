//! What a node counts and measures, for INFO, LATENCY, SLOWLOG, MONITOR and MEMORY. Pure: whoever records is elsewhere,
//! and so is whoever shows it (`info`, `command`).

pub mod command_stats;
pub mod histogram;
pub mod latency;
pub mod memory;
pub mod monitors;
pub mod process;
pub mod redaction;
pub mod slowlog;
pub mod stats;
