//! Both sides of replication.

use super::super::directive::{Directive, at, choice_at, number_at};
use super::special;

const I32: i128 = i32::MAX as i128;
const I64: i128 = i64::MAX as i128;
type D = Directive;

#[rustfmt::skip]
pub const DIRECTIVES: &[Directive] = &[
    D::special("replicaof", special::REPLICAOF,
        "Our master: host and port; empty: this node is a master.").alias("slaveof").immutable().many_words(),
    D::optional("masteruser", at!(masteruser),
        "User to log in with at our master; empty: its default user.").sensitive(),
    D::optional("masterauth", at!(masterauth),
        "Password to log in with at our master.").sensitive(),
    D::yes_no("replica-serve-stale-data", at!(replica_serve_stale_data),
        "As a replica, answer from the data at hand while the link is down.").alias("slave-serve-stale-data"),
    D::yes_no("replica-read-only", at!(replica_read_only),
        "As a replica, refuse writes of clients.").alias("slave-read-only"),
    D::yes_no("repl-diskless-sync", at!(repl_diskless_sync),
        "Send full syncs to sockets as they are made, instead of by way of a file."),
    D::number("repl-diskless-sync-delay", number_at!(repl_diskless_sync_delay), 0, I32,
        "Seconds to wait for more replicas before a diskless sync begins."),
    D::number("repl-diskless-sync-max-replicas", number_at!(repl_diskless_sync_max_replicas), 0, I32,
        "Begin before that delay is over when so many replicas wait; 0: no."),
    choice_at!("repl-diskless-load", DisklessLoad, repl_diskless_load,
        "How a replica takes a full sync; here it is always loaded beside the old data, then swapped in.").deny_loading(),
    D::number("repl-ping-replica-period", number_at!(repl_ping_replica_period), 1, I32,
        "Seconds between the pings that a master puts into its stream.").alias("repl-ping-slave-period"),
    D::number("repl-timeout", number_at!(repl_timeout), 1, I32,
        "Seconds of silence after which a replication link is given up."),
    D::yes_no("repl-disable-tcp-nodelay", at!(repl_disable_tcp_nodelay),
        "Let the kernel gather small packets to replicas: less traffic, more delay."),
    D::memory("repl-backlog-size", number_at!(repl_backlog_size), 1, I64,
        "Bytes of the stream that are kept for replicas that come back."),
    D::number("repl-backlog-ttl", number_at!(repl_backlog_ttl), 0, I64,
        "Seconds without replicas after which the backlog is freed; 0: never."),
    D::number("replica-priority", number_at!(replica_priority), 0, I32,
        "Whom Sentinel promotes first: the lowest; 0: never this one.").alias("slave-priority"),
    D::yes_no("replica-announced", at!(replica_announced),
        "Whether Sentinel reports this replica to its clients."),
    D::optional("replica-announce-ip", at!(replica_announce_ip),
        "Address to give to our master; empty: the one that it sees.").alias("slave-announce-ip"),
    D::number("replica-announce-port", number_at!(replica_announce_port), 0, 65535,
        "Port to give to our master; 0: the one that we listen at.").alias("slave-announce-port"),
    D::yes_no("replica-ignore-maxmemory", at!(replica_ignore_maxmemory),
        "As a replica, leave eviction to the master.").alias("slave-ignore-maxmemory"),
    D::yes_no("replica-lazy-flush", at!(replica_lazy_flush),
        "Free the old data of a full sync in the background.").alias("slave-lazy-flush"),
    D::yes_no("replica-ignore-disk-write-errors", at!(replica_ignore_disk_write_errors),
        "As a replica, go on applying the stream when the disk refuses to save."),
    D::number("min-replicas-to-write", number_at!(min_replicas_to_write), 0, I32,
        "Refuse writes with fewer replicas than this; 0: never.").alias("min-slaves-to-write"),
    D::number("min-replicas-max-lag", number_at!(min_replicas_max_lag), 0, I32,
        "A replica counts if it reported within so many seconds.").alias("min-slaves-max-lag"),
];
