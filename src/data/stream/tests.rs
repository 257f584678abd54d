//! Streams against a model.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::data::list::Item;
use crate::data::listpack;

const LIMITS: NodeLimits = NodeLimits {
    bytes: 200,
    entries: 7,
};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

#[derive(Clone, Default)]
struct Model {
    entries: BTreeMap<StreamId, Fields>,
    last_id: StreamId,
}

#[derive(Clone, Debug)]
enum Op {
    Append {
        ms: u8,
        seq: u8,
        fields: Fields,
    },
    /// The n-th of those there are, and one that is not.
    Delete(usize),
    MaxLen(usize, bool),
    MinId(usize, bool),
    Range(usize, usize),
    Snapshot,
    /// Out as listpacks, and in again.
    Reload,
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => "[a-c]{1,2}".prop_map(String::into_bytes),
        1 => any::<i32>().prop_map(|n| n.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..70),
    ]
}

fn fields() -> impl Strategy<Value = Fields> {
    prop_oneof![
        3 => text().prop_map(|value| vec![(b"f".to_vec(), value)]),
        1 => prop::collection::vec((text(), text()), 1..4),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0u8..3, 0u8..4, fields()).prop_map(|(ms, seq, fields)| Op::Append { ms, seq, fields }),
        4 => any::<usize>().prop_map(Op::Delete),
        1 => (0usize..60, any::<bool>()).prop_map(|(n, about)| Op::MaxLen(n, about)),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(n, about)| Op::MinId(n, about)),
        3 => (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Op::Range(a, b)),
        1 => Just(Op::Snapshot),
        1 => Just(Op::Reload),
    ]
}

fn owned(entry: Entry<'_>) -> (StreamId, Fields) {
    let pairs: Fields = entry
        .pairs()
        .map(|(field, value): (Item<'_>, Item<'_>)| (field.to_vec(), value.to_vec()))
        .collect();
    assert_eq!(pairs.len(), entry.len());
    (entry.id, pairs)
}

/// All that is known of a stream, line by line, for comparing.
pub(crate) fn portrait(stream: &Stream) -> Vec<Vec<u8>> {
    let entries = &stream.entries;
    let mut lines = vec![format!(
        "len {} last {} deleted {} added {}",
        entries.len(),
        entries.last_id,
        entries.max_deleted_id,
        entries.added
    )];
    let all = entries.range(StreamId::MIN, StreamId::MAX).map(owned);
    lines.extend(all.map(|entry| format!("{entry:?}")));
    for (name, group) in stream.groups() {
        let (last, read) = (group.last_id, group.entries_read);
        lines.push(format!("group {name:?} last {last} read {read:?}"));
        for (id, pending) in group.pending_from(StreamId::MIN) {
            let owner = group.consumer(pending.consumer).unwrap();
            let (at, count) = (pending.delivered_at_ms, pending.deliveries);
            lines.push(format!("{id} with {:?} at {at} times {count}", owner.name));
        }
        for (id, consumer) in group.consumers() {
            let own: Vec<_> = group.pending_with(id, StreamId::MIN).collect();
            let (seen, active) = (consumer.seen_at_ms, consumer.active_at_ms);
            lines.push(format!(
                "{:?} seen {seen} active {active} {own:?}",
                consumer.name
            ));
        }
    }
    lines.into_iter().map(String::into_bytes).collect()
}

/// A stream with all there can be: tombstones, odd fields, groups and what is pending in them.
pub(crate) fn rich(entries: u64) -> Stream {
    let mut stream = Stream::default();
    for n in 1..=entries {
        let id = StreamId::new(n / 3 + 1, n);
        let value = format!("value {n}");
        match n % 10 {
            3 => stream
                .entries
                .append(id, &[b"other", b"1", b"more", value.as_bytes()], LIMITS),
            _ => stream
                .entries
                .append(id, &[b"field", value.as_bytes()], LIMITS),
        }
    }
    for n in (5..entries).step_by(4) {
        stream.entries.delete(StreamId::new(n / 3 + 1, n));
    }
    for (at, name) in ["a", "b", ""].into_iter().enumerate() {
        let read = (at > 0).then_some(entries / 2);
        let mut group = Group::new(StreamId::new(7, 9), read);
        for who in ["alice", "bob", "nobody"] {
            group.create_consumer(who.as_bytes(), 1000 + at as i64);
        }
        for n in 1..=entries {
            let who: &[u8] = if n % 3 == 0 { b"alice" } else { b"bob" };
            let consumer = group.consumer_named(who).unwrap();
            let pending = Pending {
                consumer,
                delivered_at_ms: n as i64,
                deliveries: n % 5,
            };
            group.assign(StreamId::new(n / 3 + 1, n), pending);
        }
        for consumer in ["alice", "bob", "nobody"] {
            let id = group.consumer_named(consumer.as_bytes()).unwrap();
            let consumer = group.consumer_mut(id).unwrap();
            consumer.active_at_ms = consumer.seen_at_ms;
        }
        stream.create_group(name.as_bytes(), group);
    }
    stream
}

fn same(entries: &Entries, model: &Model) {
    let all: Vec<_> = model.entries.clone().into_iter().collect();
    let forwards: Vec<_> = entries
        .range(StreamId::MIN, StreamId::MAX)
        .map(owned)
        .collect();
    assert_eq!(forwards, all);
    let mut backwards: Vec<_> = entries
        .range_back(StreamId::MIN, StreamId::MAX)
        .map(owned)
        .collect();
    backwards.reverse();
    assert_eq!(backwards, all);
    assert_eq!(entries.len() as usize, all.len());
    let first = all.first().map_or(StreamId::MIN, |(id, _)| *id);
    assert_eq!(entries.first_id(), first);
    assert_eq!(entries.last_live_id(), all.last().map(|(id, _)| *id));
    assert_eq!(entries.last_id, model.last_id);
}

/// Out as listpacks and in again; the node boundaries and tombstones stay.
fn reloaded(entries: &Entries) -> Entries {
    let mut fresh = Entries::default();
    let mut loader = Loader::new(&mut fresh);
    for (id, bytes) in entries.packed_from(StreamId::MIN) {
        listpack::validate(&bytes).unwrap();
        loader.node(id, &bytes).unwrap();
    }
    loader.finish();
    fresh.last_id = entries.last_id;
    fresh.max_deleted_id = entries.max_deleted_id;
    fresh.added = entries.added;
    let again: Vec<_> = fresh.packed_from(StreamId::MIN).collect();
    assert!(entries.packed_from(StreamId::MIN).eq(again));
    fresh
}

/// An id at or near one of those there are.
fn near(model: &Model, n: usize) -> StreamId {
    let ids: Vec<_> = model.entries.keys().copied().collect();
    let id = match ids.len() {
        0 => model.last_id,
        len => ids[n / 3 % len],
    };
    match n % 3 {
        0 => id,
        1 => id.next().unwrap(),
        _ => id.before().unwrap_or_default(),
    }
}

fn contains(entries: &Entries, id: StreamId) -> bool {
    entries.finder().find(id).is_some()
}

fn apply(entries: &mut Entries, model: &mut Model, op: Op) {
    let mut trimmed = Trimmed::default();
    match op {
        Op::Append { ms, seq, fields } => {
            let last = model.last_id;
            let id = match (ms, seq) {
                (0, 0) => StreamId::new(last.ms + 1000, 7),
                (0, seq) => StreamId::new(last.ms, last.seq + u64::from(seq)),
                (ms, seq) => StreamId::new(last.ms + u64::from(ms), u64::from(seq)),
            };
            let pairs: Vec<&[u8]> = fields.iter().flat_map(|(f, v)| [&f[..], &v[..]]).collect();
            entries.append(id, &pairs, LIMITS);
            model.entries.insert(id, fields);
            model.last_id = id;
        }
        Op::Delete(n) => {
            let id = near(model, n);
            assert_eq!(contains(entries, id), model.entries.contains_key(&id));
            assert_eq!(entries.delete(id), model.entries.remove(&id).is_some());
            assert!(!contains(entries, id));
        }
        Op::MaxLen(most, about) => {
            let gone = entries.trim(Trim::MaxLen(most as u64), about, 0, &mut trimmed);
            let over = model.entries.len().saturating_sub(most);
            assert!(if about {
                gone as usize <= over
            } else {
                gone as usize == over
            });
            (0..gone).for_each(|_| drop(model.entries.pop_first()));
        }
        Op::MinId(n, about) => {
            let least = near(model, n);
            let over = model.entries.range(..least).count();
            let gone = entries.trim(Trim::MinId(least), about, 0, &mut trimmed);
            assert!(if about {
                gone as usize <= over
            } else {
                gone as usize == over
            });
            (0..gone).for_each(|_| drop(model.entries.pop_first()));
        }
        Op::Range(a, b) => {
            let (start, end) = (near(model, a), near(model, b));
            let want = |model: &Model| -> Vec<StreamId> {
                let all = model.entries.keys().copied();
                all.filter(|id| (start..=end).contains(id)).collect()
            };
            let got: Vec<_> = entries.range(start, end).map(|entry| entry.id).collect();
            assert_eq!(got, want(model));
            let mut got: Vec<_> = entries.range_back(start, end).map(|e| e.id).collect();
            got.reverse();
            assert_eq!(got, want(model));
            // Rising, falling, there or not.
            let mut finder = entries.finder();
            for id in [start, end, start].into_iter().chain(got) {
                assert_eq!(finder.find(id).is_some(), model.entries.contains_key(&id));
            }
        }
        Op::Reload => *entries = reloaded(entries),
        Op::Snapshot => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn entries_behave_as_a_map(ops in prop::collection::vec(op(), 0..250)) {
        let (mut entries, mut model) = (Entries::default(), Model::default());
        let mut kept = Vec::new();
        for op in ops {
            if matches!(op, Op::Snapshot) {
                kept.push((entries.clone(), model.clone()));
            }
            apply(&mut entries, &mut model, op);
            same(&entries, &model);
        }
        for (entries, model) in &kept {
            same(entries, model);
        }
    }

    #[test]
    fn any_bytes_are_a_node_or_an_error(
        cut in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        ops in prop::collection::vec(op(), 1..40),
    ) {
        let (mut entries, mut model) = (Entries::default(), Model::default());
        ops.into_iter().for_each(|op| apply(&mut entries, &mut model, op));
        let Some((id, mut bytes)) = entries.packed_from(StreamId::MIN).next() else {
            return Ok(());
        };
        let at = cut.index(bytes.len());
        bytes[at] = byte;
        if listpack::validate(&bytes).is_ok() {
            let mut fresh = Entries::default();
            let mut loader = Loader::new(&mut fresh);
            if loader.node(id, &bytes).is_ok() {
                loader.finish();
                let len = fresh.range(StreamId::MIN, StreamId::MAX).count();
                prop_assert_eq!(len as u64, fresh.len());
            }
        }
    }
}

#[test]
fn a_node_is_full_where_redis_says() {
    // As redis-server 7.0 has it with `stream-node-max-bytes 200`.
    let mut entries = Entries::default();
    let limits = NodeLimits {
        bytes: 200,
        entries: 100,
    };
    for seq in 1..=20 {
        entries.append(StreamId::new(1, seq), &[b"field", &[b'x'; 20]], limits);
    }
    assert_eq!(entries.node_count(), 4);
    let limits = NodeLimits {
        bytes: 0,
        entries: 3,
    };
    let mut entries = Entries::default();
    for seq in 1..=10 {
        entries.append(StreamId::new(1, seq), &[b"f", b"1"], limits);
    }
    assert_eq!(entries.node_count(), 4);
}

#[test]
fn a_million_entries_are_small() {
    let mut entries = Entries::default();
    let limits = NodeLimits {
        bytes: 4096,
        entries: 100,
    };
    for n in 0..100_000u64 {
        let value = format!("value:{n:06}");
        let id = StreamId::new(1_700_000_000_000 + n / 10, n % 10);
        entries.append(id, &[b"field", value.as_bytes()], limits);
    }
    let each = entries.memory() as f64 / 100_000.0;
    assert!(each < 18.0, "{each} bytes an entry");
}

fn pending(consumer: ConsumerId) -> Pending {
    Pending {
        consumer,
        delivered_at_ms: 5,
        deliveries: 1,
    }
}

#[test]
fn pending_entries_belong_to_one_consumer() {
    let mut stream = Stream::default();
    assert!(stream.create_group(b"g", Group::new(StreamId::MIN, None)));
    assert!(!stream.create_group(b"g", Group::new(StreamId::MAX, None)));
    let group = stream.group_mut(b"g").unwrap();
    let a = group.create_consumer(b"a", 1).unwrap();
    let b = group.create_consumer(b"b", 1).unwrap();
    assert_eq!(group.create_consumer(b"a", 2), None);
    let id = |n| StreamId::new(n, 0);
    (0..200).for_each(|n| group.assign(id(n), pending(a)));
    let snapshot = stream.clone();
    let group = stream.group_mut(b"g").unwrap();
    (0..100).for_each(|n| group.assign(id(n), pending(b)));
    assert!(group.acknowledge(id(0)) && !group.acknowledge(id(0)));
    let lens = |group: &Group| {
        let lens: Vec<usize> = group.consumers().map(|(_, c)| c.pending_len()).collect();
        (group.pending_len(), lens)
    };
    assert_eq!(lens(group), (199, vec![100, 99]));
    assert!(group.pending_with(b, id(50)).eq((50..100).map(id)));
    assert_eq!(group.remove_consumer(b"b"), Some(99));
    assert_eq!(group.remove_consumer(b"b"), None);
    assert_eq!(lens(group), (100, vec![100]));
    assert_eq!(group.first_pending(), Some(id(100)));
    assert_eq!(lens(snapshot.group(b"g").unwrap()), (200, vec![200, 0]));
}

#[test]
fn the_lag_is_known_while_nothing_is_missing() {
    let mut entries = Entries::default();
    let id = |n| StreamId::new(n, 0);
    let mut group = Group::new(StreamId::MIN, None);
    assert_eq!(group.lag(&entries.horizon()), Some(0));
    for n in 1..=5 {
        entries.append(id(n), &[b"f", b"v"], LIMITS);
    }
    assert_eq!(group.lag(&entries.horizon()), Some(5));
    for n in 1..=2 {
        group.advance(id(n), &entries.horizon());
    }
    assert_eq!(
        (group.entries_read, group.lag(&entries.horizon())),
        (Some(2), Some(3))
    );
    entries.delete(id(4));
    assert_eq!(group.lag(&entries.horizon()), None);
    group.advance(id(3), &entries.horizon());
    assert_eq!(
        (group.entries_read, group.lag(&entries.horizon())),
        (None, None)
    );
    group.advance(id(5), &entries.horizon());
    assert_eq!(
        (group.entries_read, group.lag(&entries.horizon())),
        (Some(5), Some(0))
    );
}
