//! Replication without sockets: the log, replids and offsets, PSYNC decisions, the link. (being written)
pub mod hub;
pub use hub::Hub;
