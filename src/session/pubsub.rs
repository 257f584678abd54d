//! Channels, patterns and shard channels: who listens, and publishing to them.
//!
//! A message is encoded once for each place it is listened at, and once more if both protocol versions are
//! spoken there (they differ in the first byte); long ones are shared by all who get them. Messages go to the
//! listeners' outboxes ([`Client::push_shared`]), whose bound is the client's output limit, so publishing never
//! waits for a listener. With no listener at all publishing is two loads.
//!
//! Invariant: the registry holds a client at a channel exactly while its session's own set names the
//! channel; both change in [`PubSub::subscribe`] and [`PubSub::unsubscribe`] only.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use hashbrown::HashMap;
use parking_lot::RwLock;

use crate::clients::client::Client;
use crate::resp::{Reply, Resp};
use crate::session::{Session, Subscriptions};
use crate::text::glob;

/// What can be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    Channel,
    Pattern,
    ShardChannel,
}

/// Listeners of one channel or pattern, by client id.
type Listeners = HashMap<u64, Arc<Client>>;

/// Channels or patterns with their listeners.
#[derive(Debug, Default)]
struct Registry {
    map: RwLock<HashMap<Bytes, Listeners>>,
    /// How many entries the map has.
    count: AtomicUsize,
}

impl Registry {
    fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    fn add(&self, name: Bytes, client: &Arc<Client>) {
        let mut map = self.map.write();
        map.entry(name)
            .or_default()
            .insert(client.id, client.clone());
        self.count.store(map.len(), Ordering::Release);
    }

    fn remove(&self, name: &[u8], id: u64) {
        let mut map = self.map.write();
        if let Some(listeners) = map.get_mut(name) {
            listeners.remove(&id);
            if listeners.is_empty() {
                map.remove(name);
            } else {
                shrink(listeners);
            }
        }
        shrink(&mut map);
        self.count.store(map.len(), Ordering::Release);
    }

    fn listeners(&self, name: &[u8]) -> usize {
        self.map.read().get(name).map_or(0, Listeners::len)
    }

    /// Pushes to the listeners of exactly that name.
    fn push(&self, name: &[u8], kind: &str, message: &[u8]) -> usize {
        if self.is_empty() {
            return 0;
        }
        let map = self.map.read();
        let Some(listeners) = map.get(name) else {
            return 0;
        };
        Encoded::new(&[kind.as_bytes(), name, message]).push_to(listeners)
    }
}

/// Gives room back of which most is empty: going over a map costs as much as it has room.
fn shrink<K: std::hash::Hash + Eq, V>(map: &mut HashMap<K, V>) {
    const ROOM_KEPT: usize = 64;
    if map.capacity() > ROOM_KEPT && map.len() * 8 < map.capacity() {
        map.shrink_to(map.len() * 2);
    }
}

/// A push message, encoded when the first client of a protocol version gets it.
struct Encoded<'a> {
    parts: &'a [&'a [u8]],
    versions: [Option<Bytes>; 2],
}

impl<'a> Encoded<'a> {
    fn new(parts: &'a [&'a [u8]]) -> Encoded<'a> {
        Encoded {
            parts,
            versions: [None, None],
        }
    }

    fn version(&mut self, resp: Resp) -> &Bytes {
        let parts = self.parts;
        self.versions[usize::from(resp == Resp::V3)].get_or_insert_with(|| {
            let mut reply = Reply::new(resp);
            reply.push(parts.len());
            for part in parts {
                reply.bulk(part);
            }
            reply.take().into_bytes().freeze()
        })
    }

    /// How many got it.
    fn push_to(mut self, listeners: &Listeners) -> usize {
        for client in listeners.values() {
            client.push_shared(self.version(client.resp()));
        }
        listeners.len()
    }
}

/// Who listens to what in a node.
#[derive(Debug, Default)]
pub struct PubSub {
    channels: Registry,
    patterns: Registry,
    shard_channels: Registry,
}

impl PubSub {
    fn registry(&self, topic: Topic) -> &Registry {
        match topic {
            Topic::Channel => &self.channels,
            Topic::Pattern => &self.patterns,
            Topic::ShardChannel => &self.shard_channels,
        }
    }

    /// Sends to channel and pattern subscribers; how many got it (a client once for each of its
    /// subscriptions that match).
    pub(crate) fn publish(&self, channel: &[u8], message: &[u8]) -> usize {
        let mut receivers = self.channels.push(channel, "message", message);
        if !self.patterns.is_empty() {
            for (pattern, listeners) in self.patterns.map.read().iter() {
                if glob::matches(pattern, channel, false) {
                    receivers +=
                        Encoded::new(&[b"pmessage", pattern, channel, message]).push_to(listeners);
                }
            }
        }
        receivers
    }

    /// Sends to a shard channel's subscribers; how many got it.
    pub(crate) fn publish_shard(&self, channel: &[u8], message: &[u8]) -> usize {
        self.shard_channels.push(channel, "smessage", message)
    }

    /// Subscribes. False: it was subscribed already.
    pub(crate) fn subscribe(&self, session: &mut Session, topic: Topic, name: &[u8]) -> bool {
        let names = names_mut(session.subscribed.get_or_insert_default(), topic);
        if names.contains(name) {
            return false;
        }
        let name = Bytes::copy_from_slice(name);
        names.insert(name.clone());
        self.registry(topic).add(name, &session.client);
        true
    }

    /// Ends a subscription. False: there was none.
    pub(crate) fn unsubscribe(&self, session: &mut Session, topic: Topic, name: &[u8]) -> bool {
        let Some(subscribed) = &mut session.subscribed else {
            return false;
        };
        if !names_mut(subscribed, topic).remove(name) {
            return false;
        }
        self.registry(topic).remove(name, session.client.id);
        true
    }

    /// Ends all of a session's subscriptions (RESET, or the connection is gone).
    pub(crate) fn forget(&self, session: &mut Session) {
        let Some(mut subscribed) = session.subscribed.take() else {
            return;
        };
        for topic in [Topic::Channel, Topic::Pattern, Topic::ShardChannel] {
            for name in names_mut(&mut subscribed, topic).drain() {
                self.registry(topic).remove(&name, session.client.id);
            }
        }
    }

    /// The names with listeners, those that match `pattern` if one is given.
    pub(crate) fn active(&self, topic: Topic, pattern: Option<&[u8]>) -> Vec<Bytes> {
        let map = self.registry(topic).map.read();
        map.keys()
            .filter(|name| pattern.is_none_or(|p| glob::matches(p, name, false)))
            .cloned()
            .collect()
    }

    /// How many names have listeners.
    pub(crate) fn count(&self, topic: Topic) -> usize {
        self.registry(topic).count.load(Ordering::Acquire)
    }

    /// How many listen at exactly that name.
    pub(crate) fn listeners(&self, topic: Topic, name: &[u8]) -> usize {
        self.registry(topic).listeners(name)
    }
}

fn names_mut(subscribed: &mut Subscriptions, topic: Topic) -> &mut HashSet<Bytes> {
    match topic {
        Topic::Channel => &mut subscribed.channels,
        Topic::Pattern => &mut subscribed.patterns,
        Topic::ShardChannel => &mut subscribed.shard_channels,
    }
}

/// The names that a session listens to.
pub(crate) fn subscribed(session: &Session, topic: Topic) -> Option<&HashSet<Bytes>> {
    let subscribed = session.subscribed.as_ref()?;
    Some(match topic {
        Topic::Channel => &subscribed.channels,
        Topic::Pattern => &subscribed.patterns,
        Topic::ShardChannel => &subscribed.shard_channels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Origin;

    fn session(id: u64) -> Session {
        let client = Client::new(id, String::new(), String::new(), 0);
        Session::new(client, Origin::Client)
    }

    fn pushed(session: &Session) -> String {
        let mut bytes = crate::resp::Output::default();
        session.client.take_pushed(&mut bytes);
        String::from_utf8_lossy(&bytes.into_bytes()).into_owned()
    }

    #[test]
    fn messages_reach_those_who_listen() {
        let pubsub = PubSub::default();
        let (mut a, mut b) = (session(1), session(2));
        b.client.speak(Resp::V3);
        assert_eq!(pubsub.publish(b"news", b"x"), 0);
        assert!(pubsub.subscribe(&mut a, Topic::Channel, b"news"));
        assert!(!pubsub.subscribe(&mut a, Topic::Channel, b"news"));
        assert!(pubsub.subscribe(&mut b, Topic::Channel, b"news"));
        assert!(pubsub.subscribe(&mut b, Topic::Pattern, b"n*"));
        assert_eq!(pubsub.publish(b"news", b"hi"), 3);
        assert_eq!(
            pushed(&a),
            "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n"
        );
        assert_eq!(
            pushed(&b),
            ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n\
             >4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$2\r\nhi\r\n"
        );
        assert_eq!(pubsub.publish_shard(b"news", b"hi"), 0);
        assert!(pubsub.unsubscribe(&mut a, Topic::Channel, b"news"));
        assert!(!pubsub.unsubscribe(&mut a, Topic::Channel, b"news"));
        assert_eq!(pubsub.listeners(Topic::Channel, b"news"), 1);
        pubsub.forget(&mut b);
        assert_eq!(b.subscriptions(), 0);
        assert!(pubsub.active(Topic::Channel, None).is_empty());
    }

    #[test]
    fn shard_channels_are_apart() {
        let pubsub = PubSub::default();
        let mut a = session(1);
        pubsub.subscribe(&mut a, Topic::ShardChannel, b"s");
        assert_eq!(pubsub.publish(b"s", b"x"), 0);
        assert_eq!(pubsub.publish_shard(b"s", b"x"), 1);
        assert_eq!(pubsub.active(Topic::ShardChannel, Some(b"s*")).len(), 1);
        assert_eq!(pubsub.count(Topic::ShardChannel), 1);
        assert_eq!(pushed(&a), "*3\r\n$8\r\nsmessage\r\n$1\r\ns\r\n$1\r\nx\r\n");
    }
}
