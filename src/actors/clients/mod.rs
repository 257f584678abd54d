//! Clients' sockets: where they arrive, and the actor behind each.

pub(crate) mod connection;
pub(crate) mod reception;
pub(crate) mod scratch;
mod unsent;
