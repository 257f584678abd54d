//! Replication without sockets: the log, replids and offsets, PSYNC decisions, replicas, the link.
//!
//! # Who owns what
//!
//! Every fact has one owner, which alone changes it. What others see is asked of it, or is a copy that the owner publishes.
//!
//! | fact | owner | who reads it, and how |
//! |---|---|---|
//! | role, and whom we follow | [`Hub`]; changed by `NodeCore::set_role` with every shard entered | dispatch: [`Hub::is_replica`], lock-free; INFO and ROLE: [`PublishedState`]; CONFIG GET and REWRITE: `Settings::replicaof`, a copy that `set_role` writes; the link: its [`LinkConfig`], taken anew when it is told of a change |
//! | that role or master have changed | [`Hub::epoch`], with the role | commands, inside their shards; the link's driver, before it believes what came |
//! | history, offset, log, backlog | [`Stream`], under the hub's lock | holders of [`StreamGuard`]; [`Hub::offset`] and [`Hub::log_active`] are copies, brought up to date when the lock is left |
//! | the log's bytes | the log's blocks, held by cursors | each replica's buffer by its [`Cursor`], without a copy |
//! | that the log has grown | [`Hub::wake`] | the MasterActor ([`Hub::poll_burst`]), and by it those who follow the log ([`Hub::wake_when_grown`]) |
//! | attached replicas, their state and acks | [`Replicas`] on the hub's [`PublishedState`]; changed by [`Master`] | INFO, WAIT, FAILOVER: the published; dispatch: [`Hub::good_replicas`], a count that the [`MasterDriver`] publishes after each event |
//! | which replicas wait for a snapshot, since when | [`Master`] | INFO: [`SyncProgress`], a replica's place |
//! | the snapshot for full syncs | [`Master`], as one `SyncSnapshot` from the order to its end | what makes it, carries it and takes it knows its number: `SnapshotActor`, `MasterSockets`, [`Replica`] |
//! | a snapshot's bytes, and whether they can be joined | its [`Feed`] | the master asks at each event; a join that comes too late is undone ([`Master::join_failed`]) |
//! | what is being saved or sent | `SnapshotActor` | INFO: `Persistence`, a copy |
//! | the dump file, also one made for replicas only | `SnapshotWriterActor`, which writes, renames and removes it | replicas that are sent it open it by its path |
//! | a failover | [`FailoverCell`] in the hub | FAILOVER, INFO, both drivers |
//! | how the link stands | [`Link`], in its [`LinkDriver`] | INFO: [`LinkView`] on the published; dispatch: [`Hub::link_up`]; both are published by the driver, for its epoch only |
//! | the master's stream that has come and not run | [`LinkDriver`] | INFO: `slave_read_repl_offset` |
//! | a dump that is being loaded | [`LinkDriver`] (what it is a state of), `LinkSocket` (its bytes) | INFO: `async_loading` |
//! | what is spooled, and how much may be | [`Spool`] | the log, feeds, INFO |
//! | why full syncs came about | [`Explain`] on the published | REPLICATION EXPLAIN, INFO |
//!
//! PSYNC is refused in one place ([`psync::refusal`]), shards are counted in one (`node::shard_count`), dumps that only fed
//! replicas are removed in one (`actors::snapshots::sync_file`).

pub mod ack_waits;
pub mod backlog;
pub mod bandwidth;
pub(crate) mod burst;
mod cursors;
pub mod explain;
pub mod failover;
pub mod feed;
pub mod full_sync;
pub mod guard;
pub mod hub;
pub mod lag;
pub mod link;
pub mod log;
pub mod master;
pub mod psync;
pub mod replica_input;
pub mod replicas;
pub mod replid;
pub mod shared_bandwidth;
pub mod spool;
pub mod stream;
pub mod stream_databases;
pub mod stream_input;
mod sync_snapshot;
pub mod transfer;
pub mod view;
pub mod wire;

pub use backlog::BacklogSize;
pub use bandwidth::Bandwidth;
pub use explain::Explain;
pub use failover::{FailoverCell, FailoverState};
pub use feed::Feed;
pub use hub::{Hub, StreamGuard};
pub use link::driver::LinkDriver;
pub use link::io::LinkIo;
pub use link::{Env, Link, LinkAction, LinkConfig, LinkState};
pub use log::{Cursor, Log, Next, OutOfLog};
pub use master::driver::{MasterDriver, MasterIo};
pub use master::{Master, MasterAction, MasterEnv, MasterSettings, SyncCounts, Target};
pub use psync::{Decision, Request};
pub use replicas::{
    DumpFilter, LimitWatch, OutputLimit, Replica, ReplicaState, Replicas, SyncProgress,
};
pub use replid::{History, ReplId};
pub use shared_bandwidth::SharedBandwidth;
pub use spool::{Place, Spill, Spool};
pub use stream::Stream;
pub use view::{LinkView, PublishedState, ReplicationView};
