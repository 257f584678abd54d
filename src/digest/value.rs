//! The digest of a value, by its type: at once, or of a large collection in steps.

use super::hash::{Ordered, Secret, Unordered, Use};
use crate::data::list::Item;
use crate::data::listpack::View;
use crate::data::stream::{Entries, StreamId};
use crate::data::{Hash, List, Set, StrRef, Stream, Value, ValueRef, Zset};

/// The digest of a value, whatever its encoding.
pub(crate) fn value_digest(secret: &Secret, value: ValueRef<'_>) -> u128 {
    match value {
        ValueRef::String(text) => string(secret, text),
        ValueRef::List(list) => {
            let mut elements = Ordered::new(secret, Use::List);
            list.iter().for_each(|item| in_order(&mut elements, item));
            elements.finish()
        }
        ValueRef::Set(set) => {
            let mut members = Unordered::new(secret, Use::Set);
            set.iter().for_each(|item| member(&mut members, item));
            members.finish()
        }
        ValueRef::Hash(hash) => {
            let mut pairs = Unordered::new(secret, Use::Hash);
            hash.held()
                .for_each(|(field, value, moment)| pair(&mut pairs, field, value, moment));
            pairs.finish()
        }
        ValueRef::Zset(zset) => {
            let mut members = Unordered::new(secret, Use::Zset);
            zset.iter()
                .for_each(|(item, score)| scored(&mut members, item, score));
            members.finish()
        }
        ValueRef::Stream(stream) => {
            let mut parts = Ordered::new(secret, Use::Stream);
            stream_entries(&mut parts, &stream.entries, StreamId::MIN, usize::MAX);
            stream_state(&mut parts, stream);
            parts.finish()
        }
    }
}

/// Takes so many of a stream's entries in, from an id on; where it is to go on, if there may be more.
fn stream_entries(
    parts: &mut Ordered,
    entries: &Entries,
    from: StreamId,
    most: usize,
) -> Option<StreamId> {
    let mut next = None;
    for entry in entries.range(from, StreamId::MAX).take(most) {
        parts.add(&entry.id.to_bytes());
        parts.add(&entry.len().to_le_bytes());
        for (field, value) in entry.pairs() {
            in_order(parts, field);
            in_order(parts, value);
        }
        next = entry.id.next();
    }
    next
}

/// Takes in what a stream keeps beside entries. Not what a replica is not told exactly, of this make or another: times,
/// how often something was delivered, how many entries a group has read.
fn stream_state(parts: &mut Ordered, stream: &Stream) {
    parts.add(&stream.entries.last_id.to_bytes());
    parts.add(&stream.entries.added.to_le_bytes());
    for (name, group) in stream.groups() {
        parts.add(name);
        parts.add(&group.last_id.to_bytes());
        for (id, consumer) in group.consumers() {
            parts.add(&consumer.name);
            parts.add(&consumer.pending_len().to_le_bytes());
            for entry in group.pending_with(id, StreamId::MIN) {
                parts.add(&entry.to_bytes());
            }
        }
    }
}

fn string(secret: &Secret, text: StrRef<'_>) -> u128 {
    text.with(|bytes| {
        let mut sip = secret.hasher(Use::String);
        sip.fixed(bytes);
        sip.finish()
    })
}

#[inline]
fn in_order(elements: &mut Ordered, item: Item<'_>) {
    item.with(|bytes| elements.add(bytes));
}

#[inline]
fn member(members: &mut Unordered, item: Item<'_>) {
    item.with(|bytes| members.add(bytes, b""));
}

#[inline]
fn pair(pairs: &mut Unordered, field: Item<'_>, value: Item<'_>, moment: Option<i64>) {
    let Some(moment) = moment else {
        return field.with(|field| value.with(|value| pairs.add(field, value)));
    };
    let expiring = [&moment.to_le_bytes()[..], &value.to_vec()].concat();
    field.with(|field| pairs.add_as(Use::ExpiringField, field, &expiring));
}

/// Scores count by their bits; the two zeros are one score.
#[inline]
fn scored(members: &mut Unordered, item: Item<'_>, score: f64) {
    let score = if score == 0.0 { 0.0 } else { score };
    let bits = score.to_bits().to_le_bytes();
    item.with(|bytes| members.add(bytes, &bits));
}

/// A large collection on its way to its digest. The value is a frozen clone; its nodes are shared with the live
/// collection, copy on write.
#[derive(Debug)]
pub(crate) struct Steps(State);

#[derive(Debug)]
enum State {
    List {
        list: Box<List>,
        next_node: usize,
        elements: Ordered,
    },
    Set {
        set: Set,
        cursor: u64,
        members: Unordered,
    },
    Hash {
        hash: Hash,
        cursor: u64,
        pairs: Unordered,
    },
    Zset {
        zset: Zset,
        cursor: u64,
        members: Unordered,
    },
    Stream {
        stream: Box<Stream>,
        from: StreamId,
        parts: Ordered,
    },
    Done(u128),
}

/// How many elements a scan looks at in one go.
const STRIDE: usize = 64;

impl Steps {
    pub(crate) fn new(secret: &Secret, value: Value) -> Steps {
        let (cursor, next_node) = (0, 0);
        Steps(match value {
            Value::List(list) => State::List {
                list,
                next_node,
                elements: Ordered::new(secret, Use::List),
            },
            Value::Set(set) => State::Set {
                set,
                cursor,
                members: Unordered::new(secret, Use::Set),
            },
            Value::Hash(hash) => State::Hash {
                hash,
                cursor,
                pairs: Unordered::new(secret, Use::Hash),
            },
            Value::Zset(zset) => State::Zset {
                zset,
                cursor,
                members: Unordered::new(secret, Use::Zset),
            },
            Value::Stream(stream) => State::Stream {
                stream,
                from: StreamId::MIN,
                parts: Ordered::new(secret, Use::Stream),
            },
            whole => State::Done(value_digest(secret, whole.as_ref())),
        })
    }

    /// Some dozens of elements, one node of a list, or what a stream's groups know. The digest once it is complete.
    pub(crate) fn step(&mut self) -> Option<u128> {
        let done = match &mut self.0 {
            State::List {
                list,
                next_node,
                elements,
            } => {
                if let Some(bytes) = list.nodes_from(*next_node).next() {
                    let node = View::from_validated_bytes(bytes);
                    node.iter().for_each(|item| in_order(elements, item));
                }
                *next_node += 1;
                (*next_node >= list.node_count()).then(|| elements.clone().finish())
            }
            State::Set {
                set,
                cursor,
                members,
            } => {
                *cursor = set.scan(*cursor, STRIDE, &mut |item| member(members, item));
                (*cursor == 0).then(|| members.clone().finish())
            }
            State::Hash {
                hash,
                cursor,
                pairs,
            } => {
                *cursor = hash.scan_held(*cursor, STRIDE, &mut |field, value, moment| {
                    pair(pairs, field, value, moment)
                });
                (*cursor == 0).then(|| pairs.clone().finish())
            }
            State::Zset {
                zset,
                cursor,
                members,
            } => {
                *cursor = zset.scan(*cursor, STRIDE, &mut |item, score| {
                    scored(members, item, score)
                });
                (*cursor == 0).then(|| members.clone().finish())
            }
            State::Stream {
                stream,
                from,
                parts,
            } => match stream_entries(parts, &stream.entries, *from, STRIDE) {
                Some(next) => {
                    *from = next;
                    None
                }
                None => {
                    stream_state(parts, stream);
                    Some(parts.clone().finish())
                }
            },
            State::Done(digest) => return Some(*digest),
        }?;
        // The clone is let go.
        self.0 = State::Done(done);
        Some(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Encodings;

    #[test]
    fn a_field_that_expires_is_no_field_whose_value_begins_with_its_moment() {
        let secret = Secret::from_bytes(&[7; Secret::BYTES]).expect("so many bytes");
        let encodings = Encodings::default();
        let moment = 1_900_000_000_000_i64;
        let mut expiring = Hash::new();
        expiring.insert(b"field", b"value", &encodings);
        assert!(expiring.set_moment(b"field", Some(moment), &encodings));
        let mut plain = Hash::new();
        let value = [&moment.to_le_bytes()[..], b"value"].concat();
        plain.insert(b"field", &value, &encodings);
        let digest = |hash: &Hash| value_digest(&secret, ValueRef::Hash(hash));
        assert_ne!(digest(&expiring), digest(&plain));
        expiring.set_moment(b"field", None, &encodings);
        let mut without = Hash::new();
        without.insert(b"field", b"value", &encodings);
        assert_eq!(digest(&expiring), digest(&without));
    }
}
