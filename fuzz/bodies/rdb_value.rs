//! Any bytes as one value of any kind, then commands on what came of it: a value that was let in must hold
//! up under use.

use understudy::Encodings;
use understudy::internals::data::list::End;
use understudy::internals::data::{StreamId, Value};
use understudy::internals::rdb::decode;
use understudy::internals::rdb::payload;
use understudy::internals::rdb::pieces::Pieces;
use understudy::internals::rdb::source::Source;
use understudy::internals::rdb::writer::{Encoder, KeyHeader, Usage};

pub fn run(input: &[u8]) {
    let [kind, buffer_bytes, body @ ..] = input else {
        return;
    };
    let enc = Encodings::default();
    let mut source = Source::with_buffer(body, false, 16 + usize::from(*buffer_bytes));
    let Ok(value) = decode::value(&mut source, kind % 26, &enc) else {
        return;
    };
    let mut value = value.into_value();
    let _ = value.as_ref().encoding();

    // Payloads and pieces say the same as the value.
    let mut encoder = Encoder::new(true);
    let sealed = payload::write(&mut encoder, value.as_ref());
    payload::read(&sealed, &enc).expect("our own payload");
    let header = KeyHeader {
        key: b"k",
        expire_at: None,
        usage: Usage::Unknown,
    };
    let mut pieces = Pieces::new(header, value.clone());
    let mut out = Vec::new();
    while !pieces.step(&mut encoder, &mut out, 64) {}

    match &mut value {
        Value::String(_) => {}
        Value::List(list) => {
            let before = list.len();
            assert_eq!(list.iter().count(), before);
            let _ = list.get(-1).map(|item| item.to_vec());
            list.push(End::Head, b"new", &enc);
            list.push(End::Tail, b"17", &enc);
            assert_eq!(list.len(), before + 2);
            assert!(list.insert(b"17", false, b"x", &enc));
            while list.pop(End::Tail, &enc).is_some() {}
            assert!(list.is_empty());
        }
        Value::Set(set) => {
            let members: Vec<Vec<u8>> = set.iter().map(|item| item.to_vec()).collect();
            assert_eq!(members.len(), set.len());
            for member in &members {
                assert!(set.contains(member));
            }
            for member in &members {
                assert!(set.remove(member));
            }
            assert!(set.is_empty());
        }
        Value::Hash(hash) => {
            let fields: Vec<Vec<u8>> = hash.iter().map(|(field, _)| field.to_vec()).collect();
            assert_eq!(fields.len(), hash.len());
            for field in &fields {
                assert!(!hash.insert(field, b"changed", &enc));
            }
            for field in &fields {
                assert!(hash.remove(field));
            }
            assert!(hash.is_empty());
        }
        Value::Zset(zset) => {
            let pairs: Vec<(Vec<u8>, f64)> = zset
                .iter()
                .map(|(member, score)| (member.to_vec(), score))
                .collect();
            assert_eq!(pairs.len(), zset.len());
            for (rank, (member, score)) in pairs.iter().enumerate() {
                assert_eq!(zset.rank(member), Some(rank));
                assert_eq!(zset.score(member), Some(*score));
            }
            for (member, score) in &pairs {
                assert_eq!(zset.insert(member, 1.5, &enc), Some(*score));
            }
            for (member, _) in &pairs {
                assert!(zset.remove(member).is_some());
            }
            assert!(zset.is_empty());
        }
        Value::Stream(stream) => {
            let ids: Vec<StreamId> = stream.ids().collect();
            assert_eq!(ids.len() as u64, stream.len());
            assert!(ids.is_sorted());
            let new = stream.push(&[b"field", b"value", b"17", b"x"], &enc);
            assert_eq!(stream.ids().last(), new.or(ids.last().copied()));
            for id in ids.into_iter().chain(new) {
                assert!(stream.delete(id));
                assert!(!stream.delete(id));
            }
            assert!(stream.is_empty());
        }
    }
}
