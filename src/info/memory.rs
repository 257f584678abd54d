//! INFO memory, and the same figures for MEMORY STATS and DOCTOR.

use super::{Observed, Text, human_bytes};
use crate::node_core::NodeCore;

/// Where the memory is, bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Overhead {
    pub(crate) startup: u64,
    pub(crate) backlog: u64,
    pub(crate) clients_normal: u64,
    pub(crate) clients_replicas: u64,
    /// All that isn't data.
    pub(crate) total: u64,
    pub(crate) dataset: u64,
    /// Share of the data in what was allocated since the start, percent.
    pub(crate) dataset_percent: f64,
    pub(crate) peak_percent: f64,
    pub(crate) keys: u64,
}

impl Overhead {
    /// Measures; the memory report should be fresh.
    pub(crate) fn measure(observed: &Observed<'_>) -> Overhead {
        let node = observed.node;
        let used = node.memory.used();
        let mut overhead = Overhead {
            startup: node.memory.startup(),
            backlog: node.hub.stream().log.memory() as u64,
            ..Overhead::default()
        };
        for client in node.clients.all() {
            let buffers = client.buffers() as u64;
            if client.view.lock().replica {
                overhead.clients_replicas += buffers;
            } else {
                overhead.clients_normal += buffers;
            }
        }
        overhead.keys = observed.keys.keys();
        overhead.total = overhead.startup
            + overhead.backlog
            + overhead.clients_normal
            + overhead.clients_replicas;
        overhead.dataset = used.saturating_sub(overhead.total);
        let grown = used.saturating_sub(overhead.startup);
        overhead.dataset_percent = (percent(overhead.dataset, grown)).min(100.0);
        overhead.peak_percent = percent(used, node.memory.peak());
        overhead
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    ratio(part, whole) * 100.0
}

/// 0 if there is nothing to compare with.
pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        whole => part as f64 / whole as f64,
    }
}

/// EVAL's scripts and functions run in the same states, which are counted as EVAL's.
fn write_scripts(text: &mut Text, node: &NodeCore) {
    let lua = node.scripts.memory.used() as u64;
    let cache = &node.scripts.cache;
    let scripts = cache.memory() as u64;
    let libraries = node.functions.load();
    let functions = libraries.memory() as u64;
    text.field("used_memory_lua", lua);
    text.field("used_memory_vm_eval", lua);
    text.field("used_memory_lua_human", human_bytes(lua));
    text.field("used_memory_scripts_eval", scripts);
    text.field("number_of_cached_scripts", cache.len());
    text.field("number_of_functions", libraries.functions());
    text.field("number_of_libraries", libraries.len());
    text.field("used_memory_vm_functions", 0);
    text.bytes("used_memory_vm_total", lua);
    text.field("used_memory_functions", functions);
    text.bytes("used_memory_scripts", scripts + functions);
}

pub(super) fn write(text: &mut Text, observed: &Observed<'_>) {
    let Observed { node, settings, .. } = observed;
    let report = node.memory.refresh();
    let overhead = Overhead::measure(observed);
    let apart = |a: u64, b: u64| a as i64 - b as i64;
    text.bytes("used_memory", report.allocated);
    text.bytes("used_memory_rss", report.rss);
    text.bytes("used_memory_peak", node.memory.peak());
    text.field(
        "used_memory_peak_perc",
        format_args!("{:.2}%", overhead.peak_percent),
    );
    text.field("used_memory_overhead", overhead.total);
    text.field("used_memory_startup", overhead.startup);
    text.field("used_memory_dataset", overhead.dataset);
    text.field(
        "used_memory_dataset_perc",
        format_args!("{:.2}%", overhead.dataset_percent),
    );
    text.field("allocator_allocated", report.allocated);
    text.field("allocator_active", report.active);
    text.field("allocator_resident", report.resident);
    text.bytes("total_system_memory", report.system);
    write_scripts(text, node);
    text.bytes("maxmemory", settings.maxmemory);
    text.field("maxmemory_policy", settings.maxmemory_policy.word());
    text.ratio(
        "allocator_frag_ratio",
        ratio(report.active, report.allocated),
    );
    text.field(
        "allocator_frag_bytes",
        apart(report.active, report.allocated),
    );
    text.ratio("allocator_rss_ratio", ratio(report.resident, report.active));
    text.field("allocator_rss_bytes", apart(report.resident, report.active));
    text.ratio("rss_overhead_ratio", ratio(report.rss, report.resident));
    text.field("rss_overhead_bytes", apart(report.rss, report.resident));
    text.ratio(
        "mem_fragmentation_ratio",
        ratio(report.rss, report.allocated),
    );
    text.field(
        "mem_fragmentation_bytes",
        apart(report.rss, report.allocated),
    );
    text.field("mem_not_counted_for_evict", 0);
    text.field("mem_replication_backlog", overhead.backlog);
    text.field(
        "mem_total_replication_buffers",
        overhead.backlog + overhead.clients_replicas,
    );
    text.field("mem_clients_slaves", overhead.clients_replicas);
    text.field("mem_clients_normal", overhead.clients_normal);
    text.field("mem_cluster_links", 0);
    text.field("mem_aof_buffer", 0);
    text.field("mem_allocator", node.memory.allocator());
    text.field("active_defrag_running", 0);
    text.field("lazyfree_pending_objects", node.lazyfree.pending());
    text.field("lazyfreed_objects", node.lazyfree.freed());
}
