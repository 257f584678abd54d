//! What a node says about the process it lives in, and since when.

use std::path::PathBuf;

use crate::clock::Clock;

/// The version of Redis whose behaviour this is, for clients that look at `redis_version`.
pub const REDIS_VERSION: &str = "7.2.4";

/// Our own version.
pub const UNDERSTUDY_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Fixed at start.
#[derive(Clone, Debug)]
pub struct Process {
    pub(crate) pid: u32,
    /// Forty hex digits, new at every start.
    pub(crate) run_id: String,
    /// Absolute; empty if unknown.
    pub(crate) executable: String,
    /// Absolute; what CONFIG REWRITE writes.
    pub(crate) config_file: Option<PathBuf>,
    pub(crate) started_monotonic_us: u64,
}

impl Process {
    pub(crate) fn new(clock: &dyn Clock, config_file: Option<PathBuf>) -> Process {
        let random = [clock.random(), clock.random(), clock.random()];
        let mut run_id: String = random.iter().map(|n| format!("{n:016x}")).collect();
        run_id.truncate(40);
        Process {
            pid: std::process::id(),
            run_id,
            executable: std::env::current_exe()
                .map_or_else(|_| String::new(), |path| path.display().to_string()),
            config_file,
            started_monotonic_us: clock.monotonic_us(),
        }
    }

    pub(crate) fn uptime_s(&self, clock: &dyn Clock) -> u64 {
        clock
            .monotonic_us()
            .saturating_sub(self.started_monotonic_us)
            / 1_000_000
    }
}
