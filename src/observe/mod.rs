//! What a node counts and measures, for INFO, LATENCY, SLOWLOG, MONITOR and MEMORY. Pure: whoever records is elsewhere,
//! and so is whoever shows it (`info`, `command`).

pub(crate) mod command_stats;
pub(crate) mod histogram;
pub(crate) mod latency;
pub(crate) mod memory;
pub(crate) mod monitors;
pub(crate) mod process;
pub(crate) mod redaction;
pub(crate) mod slowlog;
pub(crate) mod stats;
