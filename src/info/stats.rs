//! INFO stats.

use std::sync::atomic::Ordering;

use super::{Observed, Text};
use crate::keyspace::Contention;
use crate::session::pubsub::Topic;

pub(super) fn write(text: &mut Text, observed: &Observed<'_>) {
    write_traffic(text, observed);
    write_syncs(text, observed);
    write_keys(text, observed);
    write_background(text, observed);
    write_errors(text, observed);
    write_sockets(text, observed);
    write_shards(text, observed);
}

fn write_traffic(text: &mut Text, observed: &Observed<'_>) {
    let stats = &observed.node.stats;
    let rates = stats.rates();
    let repl_input = stats.net_repl_input_bytes.get();
    let repl_output = stats.net_repl_output_bytes.get();
    let input = stats.net_input_bytes.get() + repl_input;
    let output = stats.net_output_bytes.get() + repl_output;
    text.field("total_connections_received", stats.connections.get());
    text.field(
        "total_commands_processed",
        observed.node.command_stats.calls(),
    );
    text.field("instantaneous_ops_per_sec", rates.commands as u64);
    text.field("total_net_input_bytes", input);
    text.field("total_net_output_bytes", output);
    text.field("total_net_repl_input_bytes", repl_input);
    text.field("total_net_repl_output_bytes", repl_output);
    let kbps = [
        ("instantaneous_input_kbps", rates.input_bytes),
        ("instantaneous_output_kbps", rates.output_bytes),
        ("instantaneous_input_repl_kbps", rates.repl_input_bytes),
        ("instantaneous_output_repl_kbps", rates.repl_output_bytes),
    ];
    for (name, bytes) in kbps {
        text.ratio(name, bytes / 1024.0);
    }
    text.field("rejected_connections", stats.rejected_connections.get());
}

fn write_syncs(text: &mut Text, observed: &Observed<'_>) {
    let stats = &observed.node.stats;
    text.field("sync_full", stats.sync_full.get());
    text.field("sync_partial_ok", stats.sync_partial_ok.get());
    text.field("sync_partial_err", stats.sync_partial_err.get());
}

fn write_keys(text: &mut Text, observed: &Observed<'_>) {
    let stats = &observed.node.stats;
    text.field("expired_keys", stats.expired_keys.get());
    text.ratio(
        "expired_stale_perc",
        stats.expired_stale_ppm.get() as f64 / 10_000.0,
    );
    text.field(
        "expired_time_cap_reached_count",
        stats.expired_time_cap_reached_count.get(),
    );
    text.field(
        "expire_cycle_cpu_milliseconds",
        stats.expire_cycle_cpu_us.get() / 1000,
    );
    let scripts = &observed.node.scripts;
    text.field("evicted_scripts", scripts.cache.evicted());
    text.field("evicted_keys", stats.evicted_keys.get());
    text.field("evicted_clients", 0);
    text.field("total_eviction_exceeded_time", 0);
    text.field("current_eviction_exceeded_time", 0);
    text.field("keyspace_hits", stats.keyspace_hits.get());
    text.field("keyspace_misses", stats.keyspace_misses.get());
    let pubsub = &observed.node.pubsub;
    text.field("pubsub_channels", pubsub.count(Topic::Channel));
    text.field("pubsub_patterns", pubsub.count(Topic::Pattern));
    text.field("pubsubshard_channels", pubsub.count(Topic::ShardChannel));
}

fn write_background(text: &mut Text, observed: &Observed<'_>) {
    let (node, stats) = (observed.node, &observed.node.stats);
    // Nothing forks here: the time is that of the last snapshot's cut.
    text.field("latest_fork_usec", stats.last_cut_us.get());
    text.field("total_forks", 0);
    text.field("total_snapshots", stats.snapshots.get());
    text.field(
        "migrate_cached_sockets",
        node.migrate_sockets.load(Ordering::Relaxed),
    );
    text.field("slave_expires_tracked_keys", node.own_expiries.len());
    // There is no defragmentation and no client-side caching.
    for name in [
        "active_defrag_hits",
        "active_defrag_misses",
        "active_defrag_key_hits",
        "active_defrag_key_misses",
        "total_active_defrag_time",
        "current_active_defrag_time",
        "tracking_total_keys",
        "tracking_total_items",
        "tracking_total_prefixes",
    ] {
        text.field(name, 0);
    }
}

fn write_errors(text: &mut Text, observed: &Observed<'_>) {
    let stats = &observed.node.stats;
    text.field(
        "unexpected_error_replies",
        stats.unexpected_error_replies.get(),
    );
    text.field("total_error_replies", stats.error_replies.get());
    text.field(
        "dump_payload_sanitizations",
        stats.dump_payload_sanitizations.get(),
    );
}

fn write_sockets(text: &mut Text, observed: &Observed<'_>) {
    let stats = &observed.node.stats;
    text.field("total_reads_processed", stats.reads.get());
    text.field("total_writes_processed", stats.writes.get());
    text.field("io_threaded_reads_processed", 0);
    text.field("io_threaded_writes_processed", 0);
    text.field(
        "client_query_buffer_limit_disconnections",
        stats.query_limit_disconnections.get(),
    );
    text.field(
        "client_output_buffer_limit_disconnections",
        stats.output_limit_disconnections.get(),
    );
    text.field("reply_buffer_shrinks", 0);
    text.field("reply_buffer_expands", 0);
    text.field("acl_access_denied_auth", stats.acl_access_denied_auth.get());
    text.field("acl_access_denied_cmd", 0);
    text.field("acl_access_denied_key", 0);
    text.field("acl_access_denied_channel", 0);
}

/// Ours: how often a command met somebody in the shard it wanted, and got in while it looked, or had to come
/// back.
fn write_shards(text: &mut Text, observed: &Observed<'_>) {
    let keyspace = &observed.node.keyspace;
    let mut met = Contention::default();
    for shard in 0..keyspace.shards() {
        let here = keyspace.contention(shard);
        met.found_contended += here.found_contended;
        met.found_busy += here.found_busy;
    }
    text.field("shard_count", keyspace.shards());
    text.field("shard_entrances_contended", met.found_contended);
    text.field("shard_entrances_put_off", met.found_busy);
}
