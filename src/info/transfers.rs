//! The part of INFO replication that is about full syncs under way: the spool, and each replica's phase.
//!
//! Its lines don't begin with "slave": Sentinel takes every such line for a replica.

use std::sync::atomic::Ordering;

use super::Text;
use crate::repl::{ReplicaState, ReplicationView};

pub(super) fn write(text: &mut Text, view: &ReplicationView) {
    let spool = &view.spool;
    let memory = view.log_held + spool.feed_memory.load(Ordering::Relaxed);
    text.field("repl_spool_memory", memory);
    text.field("repl_spool_disk", spool.disk());
    text.field("repl_spool_total", spool.spilled_total());
    if let Some(reason) = spool.refusal() {
        text.field("repl_spool_refusal", reason);
    }
    let waiting = view
        .replicas
        .iter()
        .filter(|r| r.state == ReplicaState::WaitSnapshot);
    text.field("repl_queue_length", waiting.count());
    for (index, replica) in view.replicas.iter().enumerate() {
        let sync = &replica.sync;
        let behind = match replica.state {
            ReplicaState::WaitSnapshot => 0,
            _ => replica.behind(view.offset),
        };
        text.field(
            format_args!("transfer{index}"),
            format_args!(
                "replica={},phase={},place={},sent_bytes={},total_bytes={},behind_bytes={behind}",
                replica.name(),
                replica.phase(),
                sync.place,
                sync.sent.load(Ordering::Relaxed),
                sync.total.load(Ordering::Relaxed),
            ),
        );
    }
}
