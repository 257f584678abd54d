//! The process as Linux shows it under /proc: a memory probe for nodes that are given none.

use std::fs;

use crate::observe::memory::{MemoryProbe, MemoryReport};

/// Reads /proc. Without an allocator to ask, the resident set stands for what was given out.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemProbe;

/// Microseconds of a tick in which /proc counts processor time.
const TICK_US: u64 = 10_000;
const PAGE_BYTES: u64 = 4096;

impl MemoryProbe for SystemProbe {
    fn read(&self) -> MemoryReport {
        let rss = resident_bytes();
        let (cpu_user_us, cpu_system_us) = cpu_us();
        MemoryReport {
            allocated: rss,
            active: rss,
            resident: rss,
            retained: 0,
            rss,
            system: system_bytes(),
            cpu_user_us,
            cpu_system_us,
        }
    }

    fn system(&self) -> String {
        let read = |name| {
            let text = fs::read_to_string(format!("/proc/sys/kernel/{name}"));
            text.map(|t| t.trim().to_owned()).unwrap_or_default()
        };
        format!(
            "{} {} {}",
            read("ostype"),
            read("osrelease"),
            std::env::consts::ARCH
        )
    }
}

/// The resident set, bytes.
pub fn resident_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok());
    pages.unwrap_or(0) * PAGE_BYTES
}

/// The machine's memory, bytes.
pub fn system_bytes() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kb = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kb.unwrap_or(0) * 1024
}

/// Processor time of the process in user and in system mode, microseconds.
pub fn cpu_us() -> (u64, u64) {
    cpu_us_of("/proc/self/stat")
}

/// As [`cpu_us`], of one thread of the process by the number that [`thread_id`] gives it.
pub(crate) fn thread_cpu_us(thread: i32) -> (u64, u64) {
    cpu_us_of(&format!("/proc/self/task/{thread}/stat"))
}

/// The number of the calling thread.
pub(crate) fn thread_id() -> i32 {
    // SAFETY: takes nothing and can't fail.
    unsafe { libc::gettid() }
}

fn cpu_us_of(stat: &str) -> (u64, u64) {
    let text = fs::read_to_string(stat).unwrap_or_default();
    // The name in parentheses may hold spaces; fields 14 and 15 are the 12th and 13th behind it.
    let behind_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = behind_name.split_whitespace().skip(11);
    let mut ticks = || {
        fields
            .next()
            .and_then(|n| n.parse::<u64>().ok())
            .unwrap_or(0)
    };
    (ticks() * TICK_US, ticks() * TICK_US)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_its_part_of_the_time() {
        let before = thread_cpu_us(thread_id());
        let mut after = before;
        while after.0 + after.1 < before.0 + before.1 + 3 * TICK_US {
            after = thread_cpu_us(thread_id());
        }
        let whole = cpu_us();
        assert!(
            whole.0 + whole.1 >= after.0 + after.1,
            "{whole:?} {after:?}"
        );
        assert_eq!(thread_cpu_us(i32::MAX), (0, 0));
    }

    #[test]
    fn the_process_has_memory_and_a_machine() {
        let report = SystemProbe.read();
        assert!(
            report.rss > 1 << 20 && report.system > report.rss,
            "{report:?}"
        );
        assert!(SystemProbe.system().starts_with("Linux "));
    }
}
