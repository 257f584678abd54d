//! Digests are equal exactly when the datasets are.

use std::collections::{BTreeMap, BTreeSet};

use super::{Collector, DigestedKey, Digesting, Narrowed};
use crate::data::list::End;
use crate::data::{Encodings, Hash, List, Set, Value, ValueRef, Zset};
use crate::digest::{KeyDigest, KeyPlace, Ranges, Secret, value_digest};
use crate::keyspace::Keyspace;
use crate::rdb::payload;
use crate::rdb::reader::{self, LoadResult, Loaded, Loader};
use crate::rdb::writer::{Encoder, Preamble};
use crate::snapshot::{Options, Snapshot};

const DATABASES: usize = 3;

/// A value as it is thought of, whatever holds it.
#[derive(Clone, Debug, PartialEq)]
enum Logical {
    String(Vec<u8>),
    List(Vec<Vec<u8>>),
    Set(BTreeSet<Vec<u8>>),
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
    Zset(BTreeMap<Vec<u8>, f64>),
}

/// A dataset: database and key to value and expiry.
type Dataset = BTreeMap<(usize, Vec<u8>), (Logical, Option<i64>)>;

fn word(rng: &mut fastrand::Rng) -> Vec<u8> {
    match rng.u8(..4) {
        0 => rng.i64(-300..300).to_string().into_bytes(),
        1 => rng.i64(..).to_string().into_bytes(),
        2 => (0..rng.usize(..90)).map(|_| rng.u8(..)).collect(),
        // Few letters, so that words share beginnings and ends.
        _ => (0..rng.usize(..4)).map(|_| rng.u8(b'a'..b'd')).collect(),
    }
}

fn score(rng: &mut fastrand::Rng) -> f64 {
    match rng.u8(..4) {
        0 => f64::from(rng.i16(..)),
        1 => f64::INFINITY * if rng.bool() { 1.0 } else { -1.0 },
        2 => 0.0,
        _ => rng.f64() - 0.5,
    }
}

fn logical(rng: &mut fastrand::Rng) -> Logical {
    let many = 1 + if rng.u8(..8) == 0 {
        rng.usize(..400)
    } else {
        rng.usize(..6)
    };
    match rng.u8(..5) {
        0 => Logical::String(word(rng)),
        1 => Logical::List((0..many).map(|_| word(rng)).collect()),
        2 => Logical::Set((0..many).map(|_| word(rng)).collect()),
        3 => Logical::Hash((0..many).map(|_| (word(rng), word(rng))).collect()),
        _ => Logical::Zset((0..many).map(|_| (word(rng), score(rng))).collect()),
    }
}

fn dataset(rng: &mut fastrand::Rng) -> Dataset {
    (0..rng.usize(1..12))
        .map(|_| {
            let expire_at = rng.bool().then(|| rng.i64(1..1 << 40));
            (
                (rng.usize(..DATABASES), word(rng)),
                (logical(rng), expire_at),
            )
        })
        .collect()
}

/// Thresholds that have small collections in either form.
fn encodings(rng: &mut fastrand::Rng) -> Encodings {
    let mut most = || if rng.bool() { 2 } else { 512 };
    Encodings {
        hash_max_listpack_entries: most(),
        hash_max_listpack_value: most(),
        list_max_listpack_size: most() as i32,
        set_max_intset_entries: most(),
        set_max_listpack_entries: most(),
        set_max_listpack_value: most(),
        zset_max_listpack_entries: most(),
        zset_max_listpack_value: most(),
        hash_seed: rng.u64(..),
        ..Encodings::default()
    }
}

/// The value in some encoding, its elements added in some order.
fn physical(value: &Logical, rng: &mut fastrand::Rng) -> Value {
    let enc = encodings(rng);
    fn shuffled<T>(all: impl Iterator<Item = T>, rng: &mut fastrand::Rng) -> Vec<T> {
        let mut all: Vec<T> = all.collect();
        rng.shuffle(&mut all);
        all
    }
    match value {
        Logical::String(text) => Value::String(text.clone()),
        Logical::List(elements) => {
            let mut list = List::new();
            elements.iter().for_each(|e| list.push(End::Tail, e, &enc));
            Value::List(Box::new(list))
        }
        Logical::Set(members) => {
            let mut set = Set::new();
            for member in shuffled(members.iter(), rng) {
                set.insert(member, &enc);
            }
            Value::Set(set)
        }
        Logical::Hash(pairs) => {
            let mut hash = Hash::new();
            for (field, value) in shuffled(pairs.iter(), rng) {
                hash.insert(field, value, &enc);
            }
            Value::Hash(hash)
        }
        Logical::Zset(members) => {
            let mut zset = Zset::new();
            for (member, score) in shuffled(members.iter(), rng) {
                // A negative zero is no other score.
                let score = if *score == 0.0 && rng.bool() {
                    -0.0
                } else {
                    *score
                };
                zset.insert(member, score, &enc);
            }
            Value::Zset(zset)
        }
    }
}

/// The dataset in a keyspace of some number of shards.
fn keyspace(dataset: &Dataset, rng: &mut fastrand::Rng) -> Keyspace {
    let keyspace = Keyspace::new(rng.usize(1..5), DATABASES, rng.u64(..));
    let mut builder = keyspace.builder();
    let mut rows: Vec<_> = dataset.iter().collect();
    rng.shuffle(&mut rows);
    for ((db, key), (value, expire_at)) in rows {
        builder.insert(
            *db,
            key,
            physical(value, rng),
            *expire_at,
            rng.u32(..1 << 24),
        );
    }
    let mut entered = keyspace.enter(keyspace.all());
    drop(entered.replace(builder.finish(), 0));
    drop(entered);
    keyspace
}

fn ranges(keyspace: &Keyspace, secret: Secret) -> Ranges {
    digest(keyspace, secret, Ranges::new(6))
}

fn digest<C: Collector>(keyspace: &Keyspace, secret: Secret, collector: C) -> C {
    let mut entered = keyspace.enter(keyspace.all());
    let digesting = Digesting::begin(&mut entered, secret, collector).expect("no other walk");
    drop(entered);
    digesting.run(keyspace)
}

fn secret(rng: &mut fastrand::Rng) -> Secret {
    Secret::from_bytes(&rng.u128(..).to_le_bytes()).expect("of the right length")
}

/// Changes as little as can be; which key, or None if nothing came of it.
fn change(dataset: &mut Dataset, rng: &mut fastrand::Rng) -> Option<(usize, Vec<u8>)> {
    let before = dataset.clone();
    let at = rng.usize(..dataset.len());
    let id = dataset.keys().nth(at).cloned()?;
    let (mut value, mut expire_at) = dataset.remove(&id)?;
    let flip = |bytes: &mut Vec<u8>, rng: &mut fastrand::Rng| match bytes.len() {
        0 => bytes.push(0),
        n => bytes[rng.usize(..n)] ^= 1 << rng.u8(..8),
    };
    match rng.u8(..6) {
        0 => expire_at = expire_at.map_or(Some(1), |at| rng.bool().then_some(at + 1)),
        1 => return Some(id), // It stays away.
        _ => match &mut value {
            Logical::String(text) => flip(text, rng),
            Logical::List(elements) => {
                let i = rng.usize(..elements.len());
                match rng.u8(..3) {
                    0 => flip(&mut elements[i], rng),
                    1 => elements.insert(i, word(rng)),
                    _ => elements.swap(i, 0),
                }
            }
            Logical::Set(members) => {
                if members.len() == 1 || rng.bool() {
                    members.insert(word(rng));
                } else {
                    members.pop_first();
                }
            }
            Logical::Hash(pairs) => {
                let i = rng.usize(..pairs.len());
                flip(pairs.values_mut().nth(i)?, rng);
            }
            Logical::Zset(members) => {
                let i = rng.usize(..members.len());
                let score = members.values_mut().nth(i)?;
                *score = if score.is_finite() {
                    score.next_up()
                } else {
                    1.0
                };
            }
        },
    }
    dataset.insert(id.clone(), (value, expire_at));
    (*dataset != before).then_some(id)
}

#[test]
fn digests_are_equal_exactly_when_the_data_is() {
    let mut rng = fastrand::Rng::with_seed(7);
    let (mut changes, runs) = (0, 10_000);
    for run in 0..runs {
        let mut data = dataset(&mut rng);
        let secret = secret(&mut rng);
        let ours = ranges(&keyspace(&data, &mut rng), secret);
        let theirs = ranges(&keyspace(&data, &mut rng), secret);
        assert_eq!(ours, theirs, "run {run}: {data:?}");
        assert_eq!(ours.root().keys, data.len() as u64);
        let before = data.clone();
        if let Some((db, key)) = change(&mut data, &mut rng) {
            changes += 1;
            let changed = ranges(&keyspace(&data, &mut rng), secret);
            let place = KeyPlace::of(&secret, db, &key).range(6);
            for range in 0..64 {
                let is_equal = ours.at(6, range) == changed.at(6, range);
                assert_eq!(is_equal, range != place, "run {run}: {before:?}, {data:?}");
            }
        }
    }
    assert!(changes > runs / 2, "{changes}");
}

/// What is made of a dataset by a dump.
struct Filler(crate::keyspace::DatasetBuilder, usize);

impl Loader for Filler {
    fn select(&mut self, db: u64) -> LoadResult {
        self.1 = db as usize;
        Ok(())
    }

    fn resize(&mut self, _: u64, _: u64) -> LoadResult {
        Ok(())
    }

    fn entry(&mut self, entry: Loaded<'_>) -> LoadResult {
        let (key, expire_at) = (entry.key.to_vec(), entry.expire_at);
        self.0
            .insert(self.1, &key, entry.value.into_value(), expire_at, 0);
        Ok(())
    }
}

#[test]
fn dumps_keep_the_digests() {
    let mut rng = fastrand::Rng::with_seed(8);
    for run in 0..1000 {
        let data = dataset(&mut rng);
        let secret = secret(&mut rng);
        let first = keyspace(&data, &mut rng);
        let mut entered = first.enter(first.all());
        let options = Options::default();
        let snapshot = Snapshot::begin(&mut entered, &Preamble::default(), options, 0);
        drop(entered);
        let mut chunks = Vec::new();
        snapshot.expect("no other walk").run(&first, &mut chunks);
        let second = Keyspace::new(rng.usize(1..5), DATABASES, rng.u64(..));
        let mut filler = Filler(second.builder(), 0);
        reader::load(
            &chunks.concat()[..],
            reader::Options::default(),
            &mut filler,
        )
        .unwrap_or_else(|error| panic!("run {run}: {error:?}"));
        let mut entered = second.enter(second.all());
        drop(entered.replace(filler.0.finish(), 0));
        drop(entered);
        assert_eq!(
            ranges(&first, secret),
            ranges(&second, secret),
            "run {run}: {data:?}"
        );
    }
}

#[test]
fn dumped_and_restored_values_keep_their_digests() {
    let mut rng = fastrand::Rng::with_seed(9);
    for _ in 0..3000 {
        let (value, secret) = (logical(&mut rng), secret(&mut rng));
        let value = physical(&value, &mut rng);
        let dumped = payload::write(&mut Encoder::new(true), value.as_ref());
        let restored = payload::read(&dumped, &encodings(&mut rng)).expect("our own dump");
        let digest = |value: ValueRef<'_>| value_digest(&secret, value);
        assert_eq!(digest(value.as_ref()), digest(restored.as_ref()));
    }
}

#[test]
fn content_that_reads_alike_is_told_apart() {
    let mut rng = fastrand::Rng::with_seed(10);
    let secret = secret(&mut rng);
    let texts = |all: &[&str]| {
        all.iter()
            .map(|t| t.as_bytes().to_vec())
            .collect::<Vec<_>>()
    };
    let list = |all: &[&str]| Logical::List(texts(all));
    let hash = |all: &[[&str; 2]]| {
        let pair = |[f, v]: &[&str; 2]| (f.as_bytes().to_vec(), v.as_bytes().to_vec());
        Logical::Hash(all.iter().map(pair).collect())
    };
    let all = [
        Logical::String(b"a".to_vec()),
        Logical::String(b"ab".to_vec()),
        list(&["a"]),
        list(&["a", "b"]),
        list(&["b", "a"]),
        list(&["ab"]),
        list(&["ab", ""]),
        list(&["a", "a", "b"]),
        list(&["a", "b", "b"]),
        Logical::Set(texts(&["a"]).into_iter().collect()),
        Logical::Set(texts(&["a", "b"]).into_iter().collect()),
        Logical::Set(texts(&["ab"]).into_iter().collect()),
        hash(&[["a", "b"]]),
        hash(&[["ab", ""]]),
        hash(&[["", "ab"]]),
        hash(&[["a", "b"], ["b", "a"]]),
        hash(&[["a", "a"], ["b", "b"]]),
        Logical::Zset([(b"a".to_vec(), 0.0)].into_iter().collect()),
        Logical::Zset([(b"a".to_vec(), 1.0)].into_iter().collect()),
    ];
    let place = KeyPlace::of(&secret, 0, b"key");
    let mut seen: Vec<(KeyDigest, String)> = Vec::new();
    for value in &all {
        let physical = physical(value, &mut rng);
        let of_value = value_digest(&secret, physical.as_ref());
        for expire_at in [None, Some(0), Some(1)] {
            let kind = physical.as_ref().kind();
            let digest = KeyDigest::of(&secret, place, kind, expire_at, of_value);
            let name = format!("{value:?} {expire_at:?}");
            if let Some((_, other)) = seen.iter().find(|(other, _)| *other == digest) {
                panic!("{name} is {other}");
            }
            seen.push((digest, name));
        }
    }
    let places = [(0, "ab"), (0, "a"), (1, "a"), (1, "")];
    let of: BTreeSet<_> = places
        .map(|(db, key)| KeyPlace::of(&secret, db, key.as_bytes()))
        .into();
    assert_eq!(of.len(), places.len());
}

#[test]
fn the_narrowed_keys_are_those_of_the_ranges() {
    let mut rng = fastrand::Rng::with_seed(11);
    let data: Dataset = (0..500)
        .map(|n| {
            (
                (n % DATABASES, n.to_string().into_bytes()),
                (logical(&mut rng), None),
            )
        })
        .collect();
    let (secret, space) = (secret(&mut rng), keyspace(&data, &mut rng));
    let wanted = [3, 17, 63];
    let narrowed = digest(&space, secret, Narrowed::new(6, &wanted, 1 << 20));
    let keys = narrowed.into_keys().expect("they fit");
    assert!(keys.is_sorted_by_key(|key| key.place));
    let names: BTreeSet<_> = keys.iter().map(|key| (key.db, key.key.to_vec())).collect();
    let expected = data.keys().filter(|(db, key)| {
        let range = KeyPlace::of(&secret, *db, key).range(6) as u32;
        wanted.contains(&range)
    });
    assert_eq!(names, expected.cloned().collect());
    let mut sums = Ranges::new(6);
    for held in &keys {
        Ranges::add(&mut sums, held.place, held.digest);
    }
    let all = ranges(&space, secret);
    for range in wanted {
        assert_eq!(sums.at(6, range as usize), all.at(6, range as usize));
    }
    let few = digest(&space, secret, Narrowed::new(6, &wanted, 200));
    assert!(few.into_keys().is_none(), "more than may be held");
}

/// A walk that is written into meanwhile gives the digests of the cut.
#[test]
fn digests_are_those_of_the_cut() {
    let mut rng = fastrand::Rng::with_seed(12);
    let mut data = dataset(&mut rng);
    data.insert((0, b"large".to_vec()), {
        let members = (0..5000).map(|n| n.to_string().into_bytes()).collect();
        (Logical::Set(members), None)
    });
    let (secret, space) = (secret(&mut rng), keyspace(&data, &mut rng));
    let expected = ranges(&space, secret);
    let mut entered = space.enter(space.all());
    let digesting = Digesting::begin(&mut entered, secret, Ranges::new(6)).expect("no other walk");
    let second = Digesting::begin(&mut entered, secret, Ranges::new(6));
    assert!(second.is_none(), "one at a time");
    for (db, key) in data.keys() {
        let hash = space.hash(key);
        entered.shard_mut(hash).dbs[*db].delete(key, hash);
    }
    drop(entered);
    assert_eq!(digesting.run(&space), expected);
    assert_eq!(ranges(&space, secret).root().keys, 0);
}

/// Counts what it is given.
struct Nothing;

impl Collector for Nothing {
    fn wants(&self, _: KeyPlace) -> bool {
        false
    }

    fn add(&mut self, key: DigestedKey<'_>) {
        panic!("{key:?} is not wanted");
    }
}

#[test]
fn what_nobody_wants_is_not_given() {
    let mut rng = fastrand::Rng::with_seed(13);
    let (secret, space) = (secret(&mut rng), keyspace(&dataset(&mut rng), &mut rng));
    digest(&space, secret, Nothing);
}
