//! INFO persistence.

use std::sync::atomic::Ordering;

use super::memory::ratio;
use super::{Observed, Text};

pub(super) fn write(text: &mut Text, observed: &Observed<'_>) {
    let node = observed.node;
    let state = &node.persistence;
    let now_us = node.clock.monotonic_us();
    let async_loading = state.async_loading.load(Ordering::Relaxed);
    let loading = node.is_loading();
    let done = state.saving_keys_done.load(Ordering::Relaxed);
    let total = state.saving_keys_total.load(Ordering::Relaxed);
    let status = |good: bool| if good { "ok" } else { "err" };
    text.flag("loading", loading && !async_loading);
    text.flag("async_loading", async_loading);
    text.field("current_cow_peak", 0);
    text.field("current_cow_size", 0);
    text.field("current_cow_size_age", 0);
    text.ratio("current_fork_perc", ratio(done, total) * 100.0);
    text.field("current_save_keys_processed", done);
    text.field("current_save_keys_total", total);
    let unsaved = state.unsaved(node.keyspace.changes());
    text.field("rdb_changes_since_last_save", unsaved);
    text.flag(
        "rdb_bgsave_in_progress",
        state.is_saving()
            || state.sending.load(Ordering::Relaxed)
            || state.streaming.load(Ordering::Relaxed),
    );
    text.field("rdb_last_save_time", state.last_save_s());
    text.field("rdb_last_bgsave_status", status(!state.last_save_failed()));
    text.field("rdb_last_bgsave_time_sec", state.last_took_s());
    text.field("rdb_current_bgsave_time_sec", state.saving_for_s(now_us));
    text.field("rdb_saves", state.saves.load(Ordering::Relaxed));
    text.field("rdb_last_cow_size", 0);
    text.field(
        "rdb_last_load_keys_expired",
        state.loaded_expired.load(Ordering::Relaxed),
    );
    text.field(
        "rdb_last_load_keys_loaded",
        state.loaded_keys.load(Ordering::Relaxed),
    );
    // Ours: what came in dumps beside keys and can't be used here.
    let opaque = node.opaque.load();
    text.field("kept_module_aux", opaque.module_aux.len());
    text.field("aof_enabled", 0);
    text.field("aof_rewrite_in_progress", 0);
    text.field("aof_rewrite_scheduled", 0);
    text.field("aof_last_rewrite_time_sec", -1);
    text.field("aof_current_rewrite_time_sec", -1);
    text.field("aof_last_bgrewrite_status", "ok");
    text.field("aof_rewrites", 0);
    text.field("aof_rewrites_consecutive_failures", 0);
    text.field("aof_last_write_status", "ok");
    text.field("aof_last_cow_size", 0);
    text.field("module_fork_in_progress", 0);
    text.field("module_fork_last_cow_size", 0);
    if loading || async_loading {
        let total = state.loading_total_bytes.load(Ordering::Relaxed);
        let loaded = state.loading_loaded_bytes.load(Ordering::Relaxed);
        let start_s = state.loading_start_s.load(Ordering::Relaxed);
        let elapsed_s = (observed.now_ms / 1000 - start_s).max(0) as u64;
        let left = total.saturating_sub(loaded);
        let eta_s = match elapsed_s {
            0 => 1,
            elapsed_s => elapsed_s.saturating_mul(left) / (loaded + 1),
        };
        text.field("loading_start_time", start_s);
        text.field("loading_total_bytes", total);
        text.field("loading_rdb_used_mem", 0);
        text.field("loading_loaded_bytes", loaded);
        text.ratio("loading_loaded_perc", ratio(loaded, total) * 100.0);
        text.field("loading_eta_seconds", eta_s);
    }
}
