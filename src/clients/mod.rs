//! Clients: what one is ([`session`]), the channels it subscribes to ([`pubsub`]), how clients are paused ([`pause`]),
//! and which peers are no clients at all ([`cross_protocol`]).

pub mod cross_protocol;
pub mod pause;
pub mod pubsub;
pub mod session;
