//! INFO replication, and what ROLE shares with it.

use super::{Observed, Text};
use crate::node_core::NodeCore;
use crate::repl::{LinkState, ReplicaState};

/// A transfer of a dump from our master.
#[derive(Clone, Copy, Debug, Default)]
pub struct TransferView {
    /// 0: not known beforehand.
    pub total_bytes: u64,
    pub read_bytes: u64,
    pub last_io_ms: i64,
}

/// The link to our master.
#[derive(Clone, Debug)]
pub struct LinkView {
    pub host: String,
    pub port: u16,
    pub state: LinkState,
    /// When the master was last heard, Unix ms; None: not since the link went down.
    pub last_io_ms: Option<i64>,
    pub transfer: Option<TransferView>,
    /// Unix ms; None: up, or never up.
    pub down_since_ms: Option<i64>,
    /// Bytes of the stream that were received, and applied.
    pub read_offset: Option<u64>,
    pub offset: Option<u64>,
}

/// A replica of ours.
#[derive(Clone, Debug)]
pub struct ReplicaView {
    pub ip: String,
    pub port: u16,
    pub state: ReplicaState,
    pub ack_offset: u64,
    pub lag_s: i64,
}

/// Replication as it stands.
#[derive(Clone, Debug, Default)]
pub struct ReplicationView {
    /// None: we are a master.
    pub link: Option<LinkView>,
    pub replicas: Vec<ReplicaView>,
    pub failover_state: &'static str,
}

impl ReplicationView {
    /// Asks the node.
    pub fn of(node: &NodeCore, now_ms: i64) -> ReplicationView {
        let _ = now_ms;
        let settings = node.settings.load();
        let link = settings.replicaof.as_ref().map(|master| LinkView {
            host: master.host.clone(),
            port: master.port,
            state: if node.hub.link_up() {
                LinkState::Connected
            } else {
                LinkState::Connect
            },
            last_io_ms: None,
            transfer: None,
            down_since_ms: None,
            read_offset: None,
            offset: Some(node.hub.offset()),
        });
        ReplicationView {
            link,
            replicas: Vec::new(),
            failover_state: "no-failover",
        }
    }
}

pub(super) fn write(text: &mut Text, observed: &Observed<'_>) {
    let Observed {
        node,
        settings,
        now_ms,
        ..
    } = *observed;
    let view = ReplicationView::of(node, now_ms);
    let since_s = |ms: i64| (now_ms - ms).max(0) / 1000;
    text.field(
        "role",
        if view.link.is_some() {
            "slave"
        } else {
            "master"
        },
    );
    if let Some(link) = &view.link {
        let up = link.state == LinkState::Connected;
        text.field("master_host", &link.host);
        text.field("master_port", link.port);
        text.field("master_link_status", if up { "up" } else { "down" });
        text.field(
            "master_last_io_seconds_ago",
            link.last_io_ms.map_or(-1, since_s),
        );
        text.flag("master_sync_in_progress", link.state == LinkState::Sync);
        // An offset that isn't known is shown as 1, as redis-server does.
        text.field(
            "slave_read_repl_offset",
            link.read_offset.or(link.offset).unwrap_or(1),
        );
        text.field("slave_repl_offset", link.offset.unwrap_or(1));
        if let (LinkState::Sync, Some(transfer)) = (link.state, &link.transfer) {
            let left = transfer.total_bytes as i64 - transfer.read_bytes as i64;
            let part = super::memory::ratio(transfer.read_bytes, transfer.total_bytes);
            text.field("master_sync_total_bytes", transfer.total_bytes);
            text.field("master_sync_read_bytes", transfer.read_bytes);
            text.field("master_sync_left_bytes", left);
            text.ratio("master_sync_perc", part * 100.0);
            text.field(
                "master_sync_last_io_seconds_ago",
                since_s(transfer.last_io_ms),
            );
        }
        if !up {
            text.field(
                "master_link_down_since_seconds",
                link.down_since_ms.map_or(-1, since_s),
            );
        }
        text.field("slave_priority", settings.replica_priority);
        text.flag("slave_read_only", settings.replica_read_only);
        text.flag("replica_announced", settings.replica_announced);
    }
    text.field("connected_slaves", view.replicas.len());
    if settings.min_replicas_to_write > 0 && settings.min_replicas_max_lag > 0 {
        text.field("min_slaves_good_slaves", node.hub.good_replicas());
    }
    for (index, replica) in view.replicas.iter().enumerate() {
        let lag_s = match replica.state {
            ReplicaState::Online => replica.lag_s,
            _ => 0,
        };
        text.field(
            format_args!("slave{index}"),
            format_args!(
                "ip={},port={},state={},offset={},lag={lag_s}",
                replica.ip,
                replica.port,
                replica.state.name(),
                replica.ack_offset
            ),
        );
    }
    let stream = node.hub.stream();
    let history = &stream.history;
    text.field("master_failover_state", view.failover_state);
    text.field("master_replid", history.id);
    text.field("master_replid2", history.id2);
    text.field("master_repl_offset", stream.log.end());
    text.field("second_repl_offset", history.second_offset);
    text.flag("repl_backlog_active", stream.active);
    text.field("repl_backlog_size", stream.log.limit());
    let first = if stream.active {
        stream.log.first() + 1
    } else {
        0
    };
    text.field("repl_backlog_first_byte_offset", first);
    text.field(
        "repl_backlog_histlen",
        if stream.active { stream.log.len() } else { 0 },
    );
}
