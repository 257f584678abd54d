//! Replication without sockets: the log, replids and offsets, PSYNC decisions, replicas, the link.

pub mod hub;
pub mod log;
pub mod replid;
pub mod stream;
pub mod wire;

pub use hub::{Hub, StreamGuard};
pub use log::{Cursor, Log, OutOfLog};
pub use replid::{History, ReplId};
pub use stream::Stream;
