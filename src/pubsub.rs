//! Channels, patterns and shard channels: who listens, and publishing to them. (being written)

use std::sync::Arc;

use crate::session::Client;

/// A subscriber: whom to push to, and in which protocol.
#[derive(Clone, Debug)]
pub struct Subscriber {
    pub client: Arc<Client>,
    pub resp3: bool,
}

#[derive(Debug, Default)]
pub struct PubSub {}

#[allow(unused_variables)]
impl PubSub {
    /// Sends to channel and pattern subscribers; how many got it.
    pub fn publish(&self, channel: &[u8], message: &[u8]) -> usize {
        todo!()
    }
}
