//! Replication without sockets: the log, replids and offsets, PSYNC decisions, replicas, the link.

pub mod backlog;
pub mod bandwidth;
pub mod explain;
pub mod failover;
pub mod full_sync;
pub mod guard;
pub mod hub;
pub mod lag;
pub mod link;
pub mod log;
pub mod master;
pub mod psync;
pub mod replicas;
pub mod replid;
pub mod shared_bandwidth;
pub mod spool;
pub mod stream;
pub mod transfer;
pub mod view;
pub mod wire;

pub use backlog::BacklogSize;
pub use bandwidth::Bandwidth;
pub use explain::Explain;
pub use failover::{FailoverCell, FailoverState};
pub use hub::{Hub, StreamGuard};
pub use link::{Action, Env, Link, LinkConfig, LinkState};
pub use log::{Cursor, Log, OutOfLog};
pub use master::{Master, MasterEnv, MasterSettings, Order, SyncCounts, Target};
pub use psync::{Decision, Request};
pub use replicas::{LimitWatch, OutputLimit, Replica, ReplicaState, Replicas, SyncProgress};
pub use replid::{History, ReplId};
pub use shared_bandwidth::SharedBandwidth;
pub use spool::{Place, Spill, Spool};
pub use stream::Stream;
pub use view::{Board, LinkView, ReplicationView};
