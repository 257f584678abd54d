//! What jemalloc says about its memory.

use tikv_jemalloc_ctl::{epoch, raw, stats, version};
use understudy::internals::os::system_probe::{SystemProbe, cpu_us, resident_bytes, system_bytes};
use understudy::{MemoryProbe, MemoryReport};

/// jemalloc's options.
///
/// `slab_sizes`: classes whose slabs would hold one to sixteen regions get larger slabs. Each slab costs 128
/// bytes of jemalloc's own, which was 3 % of every block of 256, 512, ... 4096 bytes.
///
/// The number of arenas stays at four for each core, though each costs some 100 KB before it holds anything. With
/// fewer, threads of low priority (`os::priority`) would share the serving arbiter's, and it would wait for them when
/// they are preempted while they hold one of its locks.
///
/// Unused pages are given back by whoever frees: jemalloc's own thread for it (`background_thread`) took a core
/// from requests for 4 ms at a time.
///
/// The environment (`_RJEM_MALLOC_CONF`) goes over these.
pub const OPTIONS: &std::ffi::c_char = {
    let text = c"slab_sizes:256-256:4|512-512:4|1024-1024:8|2048-2048:8|4096-4096:16|6144-8192:16";
    // SAFETY: a C string has at least its end mark.
    unsafe { &*text.as_ptr() }
};

/// The probe of a process whose global allocator is jemalloc.
pub struct Jemalloc;

impl MemoryProbe for Jemalloc {
    fn read(&self) -> MemoryReport {
        // Statistics are as of the last advance.
        let _ = epoch::advance();
        let (cpu_user_us, cpu_system_us) = cpu_us();
        MemoryReport {
            allocated: stats::allocated::read().unwrap_or(0) as u64,
            active: stats::active::read().unwrap_or(0) as u64,
            resident: stats::resident::read().unwrap_or(0) as u64,
            retained: stats::retained::read().unwrap_or(0) as u64,
            rss: resident_bytes(),
            system: system_bytes(),
            cpu_user_us,
            cpu_system_us,
        }
    }

    /// Unused pages go back at once when they may not stay for any time; then the old time is set again.
    fn purge(&self) {
        // SAFETY: the names are those of jemalloc's manual, with the types that it gives them.
        unsafe {
            let arenas = raw::read::<u32>(b"arenas.narenas\0").unwrap_or(0);
            for arena in 0..arenas {
                for kind in ["dirty", "muzzy"] {
                    let name = format!("arena.{arena}.{kind}_decay_ms\0");
                    if let Ok(old) = raw::read::<isize>(name.as_bytes()) {
                        let _ = raw::write(name.as_bytes(), 0isize);
                        let _ = raw::write(name.as_bytes(), old);
                    }
                }
            }
        }
    }

    fn statistics(&self) -> Option<String> {
        let mut text = Vec::new();
        let options = tikv_jemalloc_ctl::stats_print::Options::default();
        tikv_jemalloc_ctl::stats_print::stats_print(&mut text, options).ok()?;
        String::from_utf8(text).ok()
    }

    fn allocator(&self) -> String {
        let full = version::read().unwrap_or_default();
        let number = full.split('-').next().unwrap_or_default();
        format!("jemalloc-{number}")
    }

    fn system(&self) -> String {
        SystemProbe.system()
    }
}
