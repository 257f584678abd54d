//! How much memory and processor time the process has used: a probe asked from outside, its last answer, and
//! the peak.
//!
//! The library doesn't know its allocator. The process that holds the node gives a [`MemoryProbe`]; a timer
//! asks it ([`Memory::refresh`]), and everyone else reads the last answer without a lock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// What a probe found, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryReport {
    /// Given out by the allocator.
    pub allocated: u64,
    /// In pages that hold something given out.
    pub active: u64,
    /// Held by the allocator in physical memory.
    pub resident: u64,
    /// Pages kept, unused, for later.
    pub retained: u64,
    /// The process's resident set, whatever holds it.
    pub rss: u64,
    /// The machine's memory.
    pub system: u64,
    /// Processor time of the process, microseconds.
    pub cpu_user_us: u64,
    pub cpu_system_us: u64,
}

/// What knows the allocator and the process.
pub trait MemoryProbe: Send + Sync {
    fn read(&self) -> MemoryReport;
    /// Gives unused pages back to the system (MEMORY PURGE).
    fn purge(&self) {}
    /// The allocator's own account of itself (MEMORY MALLOC-STATS).
    fn statistics(&self) -> Option<String> {
        None
    }
    /// The allocator's name for INFO, e.g. "jemalloc-5.3.0".
    fn allocator(&self) -> String {
        "libc".into()
    }
    /// Kernel, release and machine, e.g. "Linux 6.1.0 x86_64".
    fn system(&self) -> String {
        format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)
    }
}

/// A node's view of its memory.
#[derive(Default)]
pub struct Memory {
    probe: Option<Box<dyn MemoryProbe>>,
    used: AtomicU64,
    peak: AtomicU64,
    startup: AtomicU64,
    last: Mutex<MemoryReport>,
    system: OnceLock<String>,
}

impl Memory {
    /// The first answer is what the empty node uses.
    pub(crate) fn new(probe: Option<Box<dyn MemoryProbe>>) -> Memory {
        let memory = Memory {
            probe,
            ..Memory::default()
        };
        memory
            .startup
            .store(memory.refresh().allocated, Ordering::Relaxed);
        memory
    }

    /// Asks the probe. A report of zeros without one.
    pub(crate) fn refresh(&self) -> MemoryReport {
        let Some(probe) = &self.probe else {
            return MemoryReport::default();
        };
        let report = probe.read();
        self.used.store(report.allocated, Ordering::Relaxed);
        self.peak.fetch_max(report.allocated, Ordering::Relaxed);
        *self.last.lock() = report;
        report
    }

    /// Bytes given out when last asked. Lock-free.
    #[inline]
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Bytes in use when the node was made.
    pub(crate) fn startup(&self) -> u64 {
        self.startup.load(Ordering::Relaxed)
    }

    /// The last report.
    pub(crate) fn last(&self) -> MemoryReport {
        *self.last.lock()
    }

    pub(crate) fn purge(&self) {
        if let Some(probe) = &self.probe {
            probe.purge();
        }
    }

    pub(crate) fn statistics(&self) -> Option<String> {
        self.probe.as_ref()?.statistics()
    }

    pub(crate) fn allocator(&self) -> String {
        self.probe
            .as_ref()
            .map_or_else(|| "libc".into(), |probe| probe.allocator())
    }

    /// Kernel, release and machine; the probe is asked once.
    pub(crate) fn system(&self) -> &str {
        self.system.get_or_init(|| {
            let probe = self.probe.as_ref();
            probe.map_or_else(String::new, |probe| probe.system())
        })
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory")
            .field("last", &self.last())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Rising(AtomicU64);

    impl MemoryProbe for Rising {
        fn read(&self) -> MemoryReport {
            MemoryReport {
                allocated: 100 - self.0.fetch_add(10, Ordering::Relaxed),
                ..MemoryReport::default()
            }
        }
    }

    #[test]
    fn the_peak_outlives_a_fall() {
        let memory = Memory::new(Some(Box::new(Rising(AtomicU64::new(0)))));
        memory.refresh();
        assert_eq!(
            (memory.startup(), memory.used(), memory.peak()),
            (100, 90, 100)
        );
        assert_eq!(Memory::default().refresh(), MemoryReport::default());
    }
}
