//! A stream in a dump: nodes as listpacks under their first ids, what is known of the stream as a whole, then each
//! group with all that is pending in it, and each of its consumers with what of that is theirs.
//!
//! Three layouts are read: that of Redis 5 ([`kind::STREAM_LISTPACKS`]), with counters since 7.0, with the time of
//! consumers' last success since 7.2. Written is that of 7.0, which is the newest that version 10 knows.
//!
//! Reading checks everything that the stream's own code relies on: ids that rise, counts that agree, pending
//! entries with just one consumer each.

use std::io::Read;

use super::error::Fault;
use super::format::kind;
use super::source::Source;
use super::writer::{Encoder, length};
use crate::data::Stream;
use crate::data::listpack;
use crate::data::stream::{ConsumerId, Group, Loader, StreamId};

/// How "not known" is written where a number of entries stands.
const UNKNOWN: u64 = u64::MAX;

// ---- in ----

/// Reads a stream of one of the three layouts.
pub(super) fn read<R: Read>(source: &mut Source<R>, kind: u8) -> Result<Stream, Fault> {
    let mut stream = Stream::default();
    let mut loader = Loader::new(&mut stream.entries);
    for _ in 0..source.length()? {
        let first = <[u8; 16]>::try_from(source.blob()?);
        let first = first.map_err(|_| Fault::Corrupt("stream: a node's id"))?;
        let bytes = source.encoded()?;
        listpack::validate(bytes).map_err(|invalid| Fault::Corrupt(invalid.what))?;
        let loaded = loader.node(StreamId::from_bytes(first), bytes);
        loaded.map_err(Fault::Corrupt)?;
    }
    loader.finish();
    let entries = &mut stream.entries;
    if source.length()? != entries.len() {
        return Err(Fault::Corrupt("stream: its length"));
    }
    let last_id = id(source)?;
    if entries.last_live_id().is_some_and(|last| last > last_id) {
        return Err(Fault::Corrupt("stream: its last id"));
    }
    entries.set_last_id(last_id);
    entries.added = entries.len();
    if kind != kind::STREAM_LISTPACKS {
        // The first entry's, which the entries tell.
        id(source)?;
        entries.max_deleted_id = id(source)?;
        entries.added = source.length()?;
    }
    for _ in 0..source.length()? {
        read_group(source, kind, &mut stream)?;
    }
    Ok(stream)
}

/// An id as two numbers.
fn id<R: Read>(source: &mut Source<R>) -> Result<StreamId, Fault> {
    Ok(StreamId::new(source.length()?, source.length()?))
}

fn raw_id<R: Read>(source: &mut Source<R>) -> Result<StreamId, Fault> {
    Ok(StreamId::from_bytes(source.array()?))
}

fn time_ms<R: Read>(source: &mut Source<R>) -> Result<i64, Fault> {
    Ok(i64::from_le_bytes(source.array()?))
}

fn read_group<R: Read>(source: &mut Source<R>, kind: u8, stream: &mut Stream) -> Result<(), Fault> {
    let mut name = Vec::new();
    source.text_to(&mut name)?;
    let last_id = id(source)?;
    let entries_read = match kind {
        kind::STREAM_LISTPACKS => stream.entries.horizon().added_until(last_id),
        _ => Some(source.length()?).filter(|read| *read != UNKNOWN),
    };
    let mut group = Group::new(last_id, entries_read);
    for _ in 0..source.length()? {
        let id = raw_id(source)?;
        let (delivered_at_ms, deliveries) = (time_ms(source)?, source.length()?);
        if !group.load_pending(id, delivered_at_ms, deliveries) {
            return Err(Fault::Corrupt("stream: a pending entry comes twice"));
        }
    }
    for _ in 0..source.length()? {
        read_consumer(source, kind, &mut group)?;
    }
    if !group.is_loaded() {
        return Err(Fault::Corrupt("stream: a pending entry without consumer"));
    }
    match stream.create_group(&name, group) {
        true => Ok(()),
        false => Err(Fault::Corrupt("stream: a group comes twice")),
    }
}

fn read_consumer<R: Read>(
    source: &mut Source<R>,
    kind: u8,
    group: &mut Group,
) -> Result<(), Fault> {
    let mut name = Vec::new();
    source.text_to(&mut name)?;
    let seen_at_ms = time_ms(source)?;
    let active_at_ms = match kind {
        kind::STREAM_LISTPACKS_3 => time_ms(source)?,
        // The best guess there is, and Redis's.
        _ => seen_at_ms,
    };
    let consumer = group.create_consumer(&name, seen_at_ms);
    let consumer = consumer.ok_or(Fault::Corrupt("stream: a consumer comes twice"))?;
    if let Some(consumer) = group.consumer_mut(consumer) {
        consumer.active_at_ms = active_at_ms;
    }
    for _ in 0..source.length()? {
        if !group.load_owner(raw_id(source)?, consumer) {
            return Err(Fault::Corrupt("stream: a consumer's pending entry"));
        }
    }
    Ok(())
}

// ---- out ----

/// Where writing a stream stands.
#[derive(Debug, Default)]
pub(super) enum Steps {
    #[default]
    Start,
    /// The next node is the first from here on.
    Nodes(StreamId),
    /// What comes between nodes and groups.
    Middle,
    /// The group of this name is next.
    Group(Vec<u8>),
    Pending {
        group: Vec<u8>,
        from: StreamId,
    },
    /// This group's consumers are next, from this name on.
    Consumer {
        group: Vec<u8>,
        name: Vec<u8>,
    },
    ConsumerPending {
        group: Vec<u8>,
        name: Vec<u8>,
        consumer: ConsumerId,
        from: StreamId,
    },
    Done,
}

/// A stream as a whole.
pub(super) fn write(encoder: &mut Encoder, out: &mut Vec<u8>, stream: &Stream) {
    Steps::default().run(encoder, out, stream, usize::MAX);
}

fn push_id(out: &mut Vec<u8>, id: StreamId) {
    length(out, id.ms);
    length(out, id.seq);
}

impl Steps {
    /// Appends until `out` is `end` bytes long or the stream is written; says whether it is. Overshoots by a node, an
    /// entry or a name.
    pub(super) fn run(
        &mut self,
        encoder: &mut Encoder,
        out: &mut Vec<u8>,
        stream: &Stream,
        end: usize,
    ) -> bool {
        loop {
            *self = std::mem::take(self).step(encoder, out, stream, end);
            if matches!(self, Steps::Done) {
                return true;
            }
            if out.len() >= end {
                return false;
            }
        }
    }

    fn step(self, encoder: &mut Encoder, out: &mut Vec<u8>, stream: &Stream, end: usize) -> Steps {
        match self {
            Steps::Start => {
                length(out, stream.entries.node_count() as u64);
                Steps::Nodes(StreamId::MIN)
            }
            Steps::Nodes(from) => {
                for (first, listpack) in stream.entries.packed_from(from) {
                    encoder.string(out, &first.to_bytes());
                    encoder.blob(out, &listpack);
                    if out.len() >= end {
                        return first.next().map_or(Steps::Middle, Steps::Nodes);
                    }
                }
                Steps::Middle
            }
            Steps::Middle => {
                let entries = &stream.entries;
                length(out, entries.len());
                push_id(out, entries.last_id);
                push_id(out, entries.first_id());
                push_id(out, entries.max_deleted_id);
                length(out, entries.added);
                length(out, stream.group_count() as u64);
                group_step(stream.groups().next().map(|(name, _)| name))
            }
            Steps::Group(group) => {
                let Some(own) = stream.group(&group) else {
                    return Steps::Done;
                };
                encoder.string(out, &group);
                push_id(out, own.last_id);
                length(out, own.entries_read.unwrap_or(UNKNOWN));
                length(out, own.pending_len() as u64);
                let from = StreamId::MIN;
                Steps::Pending { group, from }
            }
            Steps::Pending { group, from } => pending(out, stream, end, group, from),
            Steps::Consumer { group, name } => consumer(encoder, out, stream, group, &name),
            Steps::ConsumerPending {
                group,
                name,
                consumer,
                from,
            } => {
                let own = stream.group(&group);
                for id in own
                    .into_iter()
                    .flat_map(|own| own.pending_with(consumer, from))
                {
                    out.extend_from_slice(&id.to_bytes());
                    if out.len() >= end
                        && let Some(from) = id.next()
                    {
                        return Steps::ConsumerPending {
                            group,
                            name,
                            consumer,
                            from,
                        };
                    }
                }
                // No name lies between a name and the same with a zero byte behind it.
                let name = [&name[..], b"\0"].concat();
                Steps::Consumer { group, name }
            }
            Steps::Done => Steps::Done,
        }
    }
}

fn group_step(next: Option<&[u8]>) -> Steps {
    next.map_or(Steps::Done, |name| Steps::Group(name.to_vec()))
}

/// What is pending in a group, from an id on.
fn pending(
    out: &mut Vec<u8>,
    stream: &Stream,
    end: usize,
    group: Vec<u8>,
    from: StreamId,
) -> Steps {
    let Some(own) = stream.group(&group) else {
        return Steps::Done;
    };
    for (id, pending) in own.pending_from(from) {
        out.extend_from_slice(&id.to_bytes());
        out.extend_from_slice(&pending.delivered_at_ms.to_le_bytes());
        length(out, pending.deliveries);
        if out.len() >= end
            && let Some(from) = id.next()
        {
            return Steps::Pending { group, from };
        }
    }
    length(out, own.consumer_count() as u64);
    let name = Vec::new();
    Steps::Consumer { group, name }
}

/// The next consumer of a group, from a name on; behind the last the next group.
fn consumer(
    encoder: &mut Encoder,
    out: &mut Vec<u8>,
    stream: &Stream,
    group: Vec<u8>,
    name: &[u8],
) -> Steps {
    let own = stream.group(&group);
    let Some((id, consumer)) = own.and_then(|own| own.consumers_from(name).next()) else {
        return group_step(stream.groups_from(&group).nth(1).map(|(name, _)| name));
    };
    encoder.string(out, &consumer.name);
    out.extend_from_slice(&consumer.seen_at_ms.to_le_bytes());
    length(out, consumer.pending_len() as u64);
    Steps::ConsumerPending {
        group,
        name: consumer.name.to_vec(),
        consumer: id,
        from: StreamId::MIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::stream::tests::{portrait, rich};
    use crate::rdb::source::BUFFER_BYTES;

    fn read_back(bytes: &[u8]) -> Result<Stream, Fault> {
        let mut source = Source::with_buffer(bytes, false, bytes.len().min(BUFFER_BYTES));
        let stream = read(&mut source, kind::STREAM_LISTPACKS_2)?;
        match source.offset() == bytes.len() as u64 {
            true => Ok(stream),
            false => Err(Fault::Corrupt("bytes are left")),
        }
    }

    fn written(stream: &Stream) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut Encoder::new(true), &mut out, stream);
        out
    }

    #[test]
    fn streams_come_back_as_they_were_written() {
        for entries in [0, 1, 3, 30, 1000] {
            let stream = rich(entries);
            let bytes = written(&stream);
            let back = read_back(&bytes).unwrap();
            assert_eq!(portrait(&back), portrait(&stream));
            assert!(written(&back) == bytes, "{entries}: not the same dump");
        }
        let empty = Stream::default();
        let back = read_back(&written(&empty)).unwrap();
        assert_eq!(portrait(&back), portrait(&empty));
    }

    #[test]
    fn pieces_make_the_whole() {
        let stream = rich(300);
        let whole = written(&stream);
        for budget in [1, 50, 5000] {
            let (mut out, mut steps) = (Vec::new(), Steps::default());
            let mut encoder = Encoder::new(true);
            let mut calls = 1;
            loop {
                let end = out.len() + budget;
                if steps.run(&mut encoder, &mut out, &stream, end) {
                    break;
                }
                calls += 1;
            }
            assert!(out == whole, "by {budget}");
            assert!(
                calls > whole.len() / (budget + 500),
                "{calls} calls by {budget}"
            );
        }
    }

    #[test]
    fn corrupt_streams_are_errors() {
        let mut out = Vec::new();
        write(&mut Encoder::new(false), &mut out, &rich(40));
        let mut rng = fastrand::Rng::with_seed(5);
        let mut refused = 0;
        for _ in 0..4000 {
            let mut bad = out.clone();
            let at = rng.usize(..bad.len());
            bad[at] = rng.u8(..);
            if rng.u8(..) < 20 {
                bad.truncate(at);
            }
            match read_back(&bad) {
                // What still is a stream is a sound one.
                Ok(stream) => assert_eq!(
                    portrait(&read_back(&written(&stream)).unwrap()),
                    portrait(&stream)
                ),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 1000, "{refused}");
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        let message = |stream: &Stream| read_back(&written(stream)).unwrap_err().to_string();
        let mut stream = rich(3);
        stream.entries.last_id = StreamId::new(1, 1);
        assert!(message(&stream).contains("stream: its last id"));
        let mut group = Group::new(StreamId::MIN, None);
        group.load_pending(StreamId::new(1, 1), 0, 1);
        let mut stream = Stream::default();
        stream.create_group(b"g", group);
        assert!(message(&stream).contains("pending entry without consumer"));
    }
}
