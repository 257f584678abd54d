//! INFO replication.

use super::memory::ratio;
use super::{Observed, Text, transfers};
use crate::config::Settings;
use crate::node_core::NodeCore;
use crate::repl::backlog::survives_s;
use crate::repl::{LinkState, LinkView, ReplicaState, ReplicationView};
use crate::text::printable::printable;

pub(super) fn write(text: &mut Text, observed: &Observed<'_>) {
    let settings = observed.settings;
    let view = observed.node.hub.observe();
    text.field("role", if view.is_replica() { "slave" } else { "master" });
    if let Some(link) = &view.link {
        write_link(text, observed, &view, link);
    }
    text.field("connected_slaves", view.replicas.len());
    if settings.min_replicas_to_write > 0 && settings.min_replicas_max_lag > 0 {
        text.field("min_slaves_good_slaves", view.good_replicas);
    }
    write_replicas(text, &view, observed.now_ms);
    transfers::write(text, &view);
    text.field("master_failover_state", view.failover.name());
    text.field("master_replid", view.history.id);
    text.field("master_replid2", view.history.id2);
    text.field("master_repl_offset", view.offset);
    text.field("second_repl_offset", view.history.second_offset);
    write_backlog(text, settings, &view);
    write_discarded(text, &view);
    write_resyncs(text, observed.node);
    write_verifications(text, observed);
}

/// The link to our master.
fn write_link(text: &mut Text, observed: &Observed<'_>, view: &ReplicationView, link: &LinkView) {
    let settings = observed.settings;
    let since_s = |ms: i64| (observed.now_ms - ms).max(0) / 1000;
    let up = view.link_up();
    text.field("master_host", &link.host);
    text.field("master_port", link.port);
    text.field("master_link_status", if up { "up" } else { "down" });
    text.field(
        "master_last_io_seconds_ago",
        link.last_io_ms.filter(|_| up).map_or(-1, since_s),
    );
    text.flag("master_sync_in_progress", link.state == LinkState::Sync);
    if link.queue_place > 0 {
        text.field("master_sync_queue_place", link.queue_place);
    }
    text.field("slave_read_repl_offset", link.read_offset);
    text.field("slave_repl_offset", view.offset);
    write_transfer(text, link, since_s);
    if !up {
        text.field(
            "master_link_down_since_seconds",
            link.down_since_ms.map_or(-1, since_s),
        );
    }
    // Ours: what is wrong with the link, and whether the data served is kept from an empty master.
    if let Some(last_error) = link.last_error.as_ref().filter(|_| !up) {
        text.field("master_sync_last_error", last_error);
    }
    write_stream_errors(text, view, since_s);
    text.flag("replica_empty_master_guarded", view.guard.is_refusing());
    if let Some(since_ms) = view.guard.since_ms {
        text.field("replica_empty_master_refusals", view.guard.refusals);
        text.field("replica_stale_since_seconds", since_s(since_ms));
    }
    text.field("slave_priority", settings.replica_priority);
    text.flag("slave_read_only", settings.replica_read_only);
    text.flag("replica_announced", settings.replica_announced);
}

/// Ours: commands of the master's stream that failed here, and whether the data differs from the master's for it.
fn write_stream_errors(text: &mut Text, view: &ReplicationView, since_s: impl Fn(i64) -> i64) {
    let errors = &view.stream_errors;
    text.field("master_stream_errors", errors.total);
    if let Some((last, at_ms)) = &errors.last {
        text.field("master_stream_last_error", last);
        text.field("master_stream_last_error_seconds_ago", since_s(*at_ms));
    }
    text.flag("replica_diverged", view.diverged.is_some());
    if let Some(offset) = view.diverged {
        text.field("replica_diverged_at_offset", offset);
    }
}

/// The full sync under way, if there is one.
fn write_transfer(text: &mut Text, link: &LinkView, since_s: impl Fn(i64) -> i64) {
    if let (LinkState::Sync, Some((read, total))) = (link.state, link.transfer) {
        let total = total.unwrap_or(0);
        text.field("master_sync_total_bytes", total);
        text.field("master_sync_read_bytes", read);
        text.field("master_sync_left_bytes", total as i64 - read as i64);
        text.ratio("master_sync_perc", ratio(read, total) * 100.0);
        // Ours; -1: the master did not tell the size.
        text.field(
            "master_sync_eta_seconds",
            link.transfer_eta_ms.map_or(-1, |ms| (ms / 1000) as i64),
        );
        text.field(
            "master_sync_last_io_seconds_ago",
            link.last_io_ms.map_or(-1, since_s),
        );
    }
}

fn write_replicas(text: &mut Text, view: &ReplicationView, now_ms: i64) {
    for (index, replica) in view.replicas.iter().enumerate() {
        let lag_s = match replica.state {
            ReplicaState::Online => replica.lag_s(now_ms),
            _ => 0,
        };
        text.field(
            format_args!("slave{index}"),
            format_args!(
                "ip={},port={},state={},offset={},lag={lag_s},lag_bytes={},lag_ms={}",
                replica.ip(),
                replica.listening_port,
                replica.state.name(),
                replica.ack_offset,
                replica.behind(view.offset),
                replica.lag_ms
            ),
        );
    }
}

fn write_backlog(text: &mut Text, settings: &Settings, view: &ReplicationView) {
    text.flag("repl_backlog_active", view.backlog_active);
    text.field("repl_backlog_size", view.backlog_size);
    text.field("repl_backlog_first_byte_offset", view.backlog_first_byte);
    text.field("repl_backlog_histlen", view.backlog_bytes);
    // Ours: how long an outage the backlog survives at the present rate of writes (-1: any).
    text.flag("repl_backlog_auto", settings.repl_backlog_auto);
    text.field("repl_write_rate_bytes_per_second", view.write_rate as u64);
    text.field(
        "repl_backlog_survives_seconds",
        survives_s(view.backlog_size, view.write_rate).map_or(-1, |s| s as i64),
    );
}

/// Ours: files with what full syncs threw away of our own writes.
fn write_discarded(text: &mut Text, view: &ReplicationView) {
    let discarded = &view.discarded;
    text.field("repl_discarded_files_written", discarded.files);
    if let Some((file, keys, left_out)) = &discarded.last {
        text.field("repl_discarded_last_file", file);
        text.field("repl_discarded_last_keys", keys);
        text.field("repl_discarded_last_keys_left_out", left_out);
    }
}

/// Ours: why full resyncs came about.
fn write_resyncs(text: &mut Text, node: &NodeCore) {
    let (resyncs, total) = node.hub.resyncs();
    text.field("full_resyncs_seen", total);
    for (index, resync) in resyncs.iter().enumerate() {
        text.field(
            format_args!("full_resync{index}"),
            format_args!(
                "time={},side={},peer={},reason={}",
                resync.at_ms / 1000,
                resync.side.name(),
                resync.peer,
                resync.reason
            ),
        );
    }
}

/// Ours: delta resyncs, and what the last verification with each peer found.
fn write_verifications(text: &mut Text, observed: &Observed<'_>) {
    let published = observed.node.hub.published();
    let deltas = &published.deltas;
    text.field("delta_resyncs", deltas.done);
    text.field("delta_resyncs_failed", deltas.failed);
    if !deltas.last.is_empty() {
        text.field("delta_resync_last", printable(deltas.last.as_bytes()));
    }
    let reports = &published.reports;
    text.field("verifications", reports.total);
    text.field("verifications_different", reports.different);
    for (index, report) in reports.all().iter().enumerate() {
        text.field(
            format_args!("verification{index}"),
            format_args!(
                "peer={},time={},result={},offset={},keys={},ms={},differing={}",
                report.peer,
                report.at_ms / 1000,
                report.result(),
                report.offset,
                report.keys,
                report.took_ms,
                report.differing()
            ),
        );
    }
}
