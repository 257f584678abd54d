//! Clients' sockets: where they arrive, and the actor behind each.

pub mod connection;
pub mod reception;
pub mod scratch;
mod unsent;
