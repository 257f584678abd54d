//! Keyspace events: `__keyspace@db__:key` and `__keyevent@db__:event` messages.

use crate::command::context::EventClass;
use crate::config::EventFlags;
use crate::node_core::NodeCore;

impl EventClass {
    /// The class's bit in `notify-keyspace-events`.
    pub(crate) fn flag(self) -> u32 {
        match self {
            EventClass::Generic => EventFlags::GENERIC,
            EventClass::String => EventFlags::STRING,
            EventClass::List => EventFlags::LIST,
            EventClass::Set => EventFlags::SET,
            EventClass::Hash => EventFlags::HASH,
            EventClass::Zset => EventFlags::ZSET,
            EventClass::Stream => EventFlags::STREAM,
            EventClass::Expired => EventFlags::EXPIRED,
            EventClass::KeyMiss => EventFlags::KEY_MISS,
            EventClass::New => EventFlags::NEW,
        }
    }
}

/// Publishes an event if its class is wanted, on the channels that are wanted.
pub(crate) fn publish(
    node: &NodeCore,
    wanted: EventFlags,
    class: EventClass,
    event: &str,
    db: usize,
    key: &[u8],
) {
    if !wanted.has(class.flag()) {
        return;
    }
    let mut digits = itoa::Buffer::new();
    let db = digits.format(db).as_bytes();
    if wanted.has(EventFlags::KEYSPACE) {
        let channel = [b"__keyspace@", db, b"__:", key].concat();
        node.pubsub.publish(&channel, event.as_bytes());
    }
    if wanted.has(EventFlags::KEYEVENT) {
        let channel = [b"__keyevent@", db, b"__:", event.as_bytes()].concat();
        node.pubsub.publish(&channel, key);
    }
}
