//! Replication without sockets: the log, replids and offsets, PSYNC decisions, replicas, the link.
//!
//! # Who owns what
//!
//! Every fact has one owner, which alone changes it. What others see is asked of it, or is a copy that the owner publishes.
//!
//! | fact | owner | who reads it, and how |
//! |---|---|---|
//! | role, and whom we follow | [`Hub`]; changed by `NodeCore::set_role` with every shard entered | dispatch: [`Hub::is_replica`], lock-free; INFO and ROLE: `PublishedState`; CONFIG GET and REWRITE: `Settings::replicaof`, a copy that `set_role` writes; the link: its [`LinkConfig`], taken anew when it is told of a change |
//! | that role or master have changed | [`Hub::epoch`], with the role | commands, inside their shards; the link's driver, before it believes what came |
//! | history, offset, log, backlog | `Stream`, under the hub's lock | holders of `StreamGuard`; [`Hub::offset`] and [`Hub::log_active`] are copies, brought up to date when the lock is left |
//! | the log's bytes | the log's blocks, held by cursors | each replica's buffer by its [`Cursor`], without a copy |
//! | that the log has grown | [`Hub::wake`] | the MasterActor ([`Hub::poll_burst`]), and by it those who follow the log ([`Hub::wake_when_grown`]) |
//! | attached replicas, their state and acks | `Replicas` on the hub's `PublishedState`; changed by `Master` | INFO, WAIT, FAILOVER: the published; dispatch: [`Hub::good_replicas`], a count that the [`MasterDriver`] publishes after each event |
//! | which replicas wait for a snapshot, since when | `Master` | INFO: [`SyncProgress`], a replica's place |
//! | the snapshot for full syncs | `Master`, as one `SyncSnapshot` from the order to its end | what makes it, carries it and takes it knows its number: `SnapshotActor`, `MasterSockets`, [`Replica`] |
//! | a snapshot's bytes, and whether they can be joined | its [`Feed`] | the master asks at each event; a join that comes too late is undone (`Master::join_failed`) |
//! | what is being saved or sent | `SnapshotActor` | INFO: `Persistence`, a copy |
//! | the dump file, also one made for replicas only | `SnapshotWriterActor`, which writes, renames and removes it | replicas that are sent it open it by its path |
//! | a failover | `FailoverCell` in the hub | FAILOVER, INFO, both drivers |
//! | how the link stands | `Link`, in its [`LinkDriver`] | INFO: [`LinkView`] on the published; dispatch: [`Hub::link_up`]; both are published by the driver, for its epoch only |
//! | commands of the master's stream that failed | `StreamErrors` on the published; counted by the [`LinkDriver`] | INFO, REPLICATION EXPLAIN |
//! | that the data is not what its history and offset say | `Stream`; noted inside the shards in which it comes about, ended by a full sync | INFO, snapshots' cuts, promotion |
//! | the master's stream that has come and not run | [`LinkDriver`] | INFO: `slave_read_repl_offset` |
//! | a dump that is being loaded | [`LinkDriver`] (what it is a state of), `LinkSocket` (its bytes) | INFO: `async_loading` |
//! | what is spooled, and how much may be | [`Spool`] | the log, feeds, INFO |
//! | verifications: the session of a replica that asks | `verify::Server` in the hub | `REPLICATION DIGEST`; its reports on the published: INFO, EXPLAIN, REPAIR |
//! | a delta resync: the session of a replica that asks, and its pins on the log | `delta::Server` in the hub | `REPLICATION DELTA` |
//! | that our master's stream is held at an offset | `verify::StreamHold` in the hub, set by the VerificationActor | [`LinkDriver`], before it runs commands |
//! | why full syncs came about | `Explain` on the published | REPLICATION EXPLAIN, INFO |
//!
//! PSYNC is refused in one place ([`psync::refusal`]), shards are counted in one (`node::shard_count`), dumps that only fed
//! replicas are removed in one (`actors::snapshots::sync_file`).

pub(crate) mod ack_waits;
pub(crate) mod backlog;
pub(crate) mod bandwidth;
pub(crate) mod burst;
mod cursors;
pub(crate) mod delta;
pub(crate) mod explain;
pub(crate) mod failover;
pub(crate) mod feed;
pub(crate) mod full_sync;
pub(crate) mod guard;
pub(crate) mod hub;
pub(crate) mod lag;
pub(crate) mod link;
pub(crate) mod log;
pub(crate) mod master;
pub(crate) mod psync;
pub(crate) mod replica_input;
pub(crate) mod replicas;
pub(crate) mod replid;
pub(crate) mod shared_bandwidth;
pub(crate) mod spool;
pub(crate) mod stream;
pub(crate) mod stream_databases;
pub(crate) mod stream_errors;
pub(crate) mod stream_input;
mod sync_snapshot;
pub(crate) mod transfer;
pub(crate) mod verify;
pub(crate) mod view;
pub(crate) mod wire;

pub(crate) use backlog::BacklogSize;
pub(crate) use bandwidth::Bandwidth;
pub(crate) use failover::FailoverState;
pub(crate) use feed::Feed;
pub(crate) use hub::Hub;
pub(crate) use link::driver::LinkDriver;
pub(crate) use link::io::LinkIo;
pub(crate) use link::{LinkConfig, LinkState};
pub(crate) use log::{Cursor, Log, Next};
pub(crate) use master::driver::{MasterDriver, MasterIo};
pub(crate) use master::{MasterSettings, SyncCounts, Target};
pub(crate) use psync::Request;
pub(crate) use replicas::{DumpFilter, OutputLimit, Replica, ReplicaState, SyncProgress};
pub(crate) use replid::{History, ReplId};
pub(crate) use shared_bandwidth::SharedBandwidth;
pub(crate) use spool::{Place, Spill, Spool};
pub(crate) use stream_errors::StreamFailure;
pub(crate) use view::{LinkView, ReplicationView};
