//! Replication without sockets: the log, replids and offsets, PSYNC decisions, replicas, the link.

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
pub use link::driver::{LinkDriver, LinkIo};
pub use link::{Action, Env, Link, LinkConfig, LinkState};
pub use log::{Cursor, Log, Next, OutOfLog};
pub use master::driver::{MasterDriver, MasterIo};
pub use master::{Master, MasterEnv, MasterSettings, Order, SyncCounts, Target};
pub use psync::{Decision, Request};
pub use replicas::{
    DumpFilter, LimitWatch, OutputLimit, Replica, ReplicaState, Replicas, SyncProgress,
};
pub use replid::{History, ReplId};
pub use shared_bandwidth::SharedBandwidth;
pub use spool::{Place, Spill, Spool};
pub use stream::Stream;
pub use view::{Board, LinkView, ReplicationView};
