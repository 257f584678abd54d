//! Whatever happens during a snapshot, its dump is the dataset at the cut.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::{Options, Snapshot, Want};
use crate::data::stream::tests::portrait;
use crate::data::{Encodings, Value, ValueMut, ValueRef};
use crate::keyspace::{Expiry, Keyspace};
use crate::rdb::reader::{self, LoadResult, Loaded, Loader};
use crate::rdb::writer::Preamble;

const DATABASES: usize = 3;

/// A dataset in a form that can be compared: database and key to kind, sorted elements, expiry.
type Picture = BTreeMap<(usize, Vec<u8>), (&'static str, Vec<Vec<u8>>, Option<i64>)>;

fn elements(value: ValueRef<'_>) -> (&'static str, Vec<Vec<u8>>) {
    let mut all = match value {
        ValueRef::String(s) => vec![s.to_vec()],
        ValueRef::List(l) => return ("list", l.iter().map(|i| i.to_vec()).collect()),
        ValueRef::Stream(s) => return ("stream", portrait(s)),
        ValueRef::Set(s) => s.iter().map(|i| i.to_vec()).collect(),
        ValueRef::Hash(h) => h
            .iter()
            .map(|(f, v)| [f.to_vec(), v.to_vec()].join(&b'='))
            .collect(),
        ValueRef::Zset(z) => z
            .iter()
            .map(|(m, s)| [m.to_vec(), s.to_string().into_bytes()].join(&b'@'))
            .collect(),
    };
    all.sort();
    (value.kind().name(), all)
}

fn picture(keyspace: &Keyspace) -> Picture {
    let entered = keyspace.enter(keyspace.all());
    let mut picture = Picture::new();
    for shard in entered.iter() {
        for (db, part) in shard.dbs.iter().enumerate() {
            for entry in part.iter() {
                let (kind, all) = elements(entry.value);
                let before = picture.insert((db, entry.key.to_vec()), (kind, all, entry.expire_at));
                assert!(before.is_none(), "a key is in the keyspace twice");
            }
        }
    }
    picture
}

/// Reads a dump into a picture; a key that comes twice is an error.
#[derive(Default)]
struct Painter {
    db: usize,
    picture: Picture,
    sizes: BTreeMap<usize, (u64, u64)>,
}

impl Loader for Painter {
    fn select(&mut self, db: u64) -> LoadResult {
        self.db = db as usize;
        Ok(())
    }

    fn resize(&mut self, keys: u64, expires: u64) -> LoadResult {
        match self.sizes.insert(self.db, (keys, expires)) {
            None => Ok(()),
            Some(_) => Err("a database's size is said twice".into()),
        }
    }

    fn entry(&mut self, entry: Loaded<'_>) -> LoadResult {
        let key = entry.key.to_vec();
        let expire_at = entry.expire_at;
        let value = entry.value.into_value();
        let (kind, all) = elements(value.as_ref());
        let id = (self.db, key);
        match self.picture.insert(id.clone(), (kind, all, expire_at)) {
            None => Ok(()),
            Some(_) => Err(format!("{id:?} comes twice")),
        }
    }
}

fn paint(chunks: &[Bytes]) -> Painter {
    let dump = chunks.concat();
    let mut painter = Painter::default();
    let summary = reader::load(&dump[..], reader::Options::default(), &mut painter);
    let summary = summary.unwrap_or_else(|e| panic!("the dump is refused: {e:?}"));
    assert!(summary.checksum_verified);
    painter
}

#[derive(Clone, Debug)]
enum Op {
    Set(usize, u16, usize, Expiry),
    Append(usize, u16),
    Delete(usize, u16),
    Expire(usize, u16, Option<i64>),
    AddMembers(usize, u16, u16, u16),
    RemoveMember(usize, u16, u16),
    Push(usize, u16),
    Churn(usize, u16),
    Flush(Option<usize>),
    Swap(usize, usize),
    Replace(u16),
    ExpireDue(i64),
}

fn op() -> impl Strategy<Value = Op> {
    let db = || 0..DATABASES;
    let key = || 0..600u16;
    let collection = || 600..610u16;
    let expiry = prop_oneof![
        Just(Expiry::Keep),
        Just(Expiry::Clear),
        (0..1000i64).prop_map(Expiry::At),
    ];
    prop_oneof![
        20 => (db(), key(), 0..3000usize, expiry).prop_map(|(d, k, n, e)| Op::Set(d, k, n, e)),
        4 => (db(), key()).prop_map(|(d, k)| Op::Append(d, k)),
        10 => (db(), key()).prop_map(|(d, k)| Op::Delete(d, k)),
        4 => (db(), key(), prop::option::of(0..1000i64)).prop_map(|(d, k, e)| Op::Expire(d, k, e)),
        4 => (db(), collection(), 0..500u16, 0..500u16)
            .prop_map(|(d, k, a, n)| Op::AddMembers(d, k, a, n)),
        4 => (db(), collection(), 0..500u16).prop_map(|(d, k, m)| Op::RemoveMember(d, k, m)),
        3 => (db(), 610..615u16).prop_map(|(d, k)| Op::Push(d, k)),
        2 => (db(), 0..400u16).prop_map(|(d, n)| Op::Churn(d, n)),
        1 => prop::option::of(db()).prop_map(Op::Flush),
        1 => (db(), db()).prop_map(|(a, b)| Op::Swap(a, b)),
        1 => (0..300u16).prop_map(Op::Replace),
        1 => (0..1000i64).prop_map(Op::ExpireDue),
    ]
}

fn apply(keyspace: &Keyspace, op: &Op) {
    let enc = Encodings::default();
    let mut entered = keyspace.enter(keyspace.all());
    let name = |k: u16| format!("key:{k}").into_bytes();
    match *op {
        Op::Set(db, k, n, expiry) => {
            let (key, value) = (name(k), vec![b'a' + (n % 26) as u8; n]);
            let hash = keyspace.hash(&key);
            let shard = entered.shard_mut(hash);
            shard.dbs[db].set_string(&key, hash, &value, expiry);
        }
        Op::Append(db, k) => {
            let key = name(k);
            let hash = keyspace.hash(&key);
            let shard = entered.shard_mut(hash);
            shard.dbs[db].edit_string(&key, hash, 0, &mut |b| b.extend_from_slice(&[b'+'; 40]));
        }
        Op::Delete(db, k) => {
            let key = name(k);
            let hash = keyspace.hash(&key);
            entered.shard_mut(hash).dbs[db].delete(&key, hash);
        }
        Op::Expire(db, k, at) => {
            let key = name(k);
            let hash = keyspace.hash(&key);
            entered.shard_mut(hash).dbs[db].set_expire(&key, hash, at);
        }
        Op::AddMembers(db, k, first, n) => {
            let key = name(k);
            let hash = keyspace.hash(&key);
            let part = &mut entered.shard_mut(hash).dbs[db];
            if part.get(&key, hash).is_none() {
                part.set(&key, hash, Value::Set(Default::default()), Expiry::Clear);
            }
            if let Some(ValueMut::Set(set)) = part.get_mut(&key, hash) {
                for m in first..=first + n {
                    set.insert(format!("member:{m}").as_bytes(), &enc);
                }
            }
        }
        Op::RemoveMember(db, k, m) => {
            let key = name(k);
            let hash = keyspace.hash(&key);
            let part = &mut entered.shard_mut(hash).dbs[db];
            let mut empty = false;
            if let Some(ValueMut::Set(set)) = part.get_mut(&key, hash) {
                set.remove(format!("member:{m}").as_bytes());
                empty = set.is_empty();
            }
            if empty {
                part.delete(&key, hash);
            }
        }
        Op::Push(db, k) => {
            let key = name(k);
            let hash = keyspace.hash(&key);
            let part = &mut entered.shard_mut(hash).dbs[db];
            if part.get(&key, hash).is_none() {
                part.set(&key, hash, Value::List(Box::default()), Expiry::Clear);
            }
            if let Some(ValueMut::List(list)) = part.get_mut(&key, hash) {
                for n in 0..100 {
                    list.push(
                        crate::data::list::End::Tail,
                        format!("{n}").as_bytes(),
                        &enc,
                    );
                }
            }
        }
        Op::Churn(db, n) => {
            // New keys that come and partly go again: splits and merges ahead of the walk.
            for i in 0..n {
                let key = format!("churn:{i}").into_bytes();
                let hash = keyspace.hash(&key);
                let part = &mut entered.shard_mut(hash).dbs[db];
                if i % 3 == 0 || !part.delete(&key, hash) {
                    part.set_string(&key, hash, b"churn", Expiry::Clear);
                }
            }
        }
        Op::Flush(db) => drop(entered.flush(db)),
        Op::Swap(a, b) => entered.swap_dbs(a, b, 0),
        Op::Replace(n) => {
            let mut builder = keyspace.builder();
            for i in 0..n {
                let key = name(i);
                builder.insert_string(usize::from(i) % DATABASES, &key, b"loaded", None, 0);
            }
            drop(entered.replace(builder.finish(), 0));
        }
        Op::ExpireDue(now) => {
            let budget = crate::keyspace::ExpireBudget::new(10, 1);
            for shard in entered.iter_mut() {
                drop(shard.expire_step(now, &budget));
            }
        }
    }
}

fn begin(keyspace: &Keyspace, turn_bytes: usize) -> Snapshot {
    let options = Options {
        chunk_bytes: 1000,
        turn_bytes,
        ..Options::default()
    };
    let mut entered = keyspace.enter(keyspace.all());
    let snapshot = Snapshot::begin(&mut entered, &Preamble::default(), options, 0);
    snapshot.unwrap_or_else(|| panic!("no other snapshot is in progress"))
}

/// One step; None when only the end is left to be written.
fn step(snapshot: &mut Snapshot, keyspace: &Keyspace, chunks: &mut Vec<Bytes>) -> Option<()> {
    hasty_step(snapshot, keyspace, chunks, false)
}

/// As `step`; a hasty one has had enough whenever it is asked.
fn hasty_step(
    snapshot: &mut Snapshot,
    keyspace: &Keyspace,
    chunks: &mut Vec<Bytes>,
    hasty: bool,
) -> Option<()> {
    match snapshot.next() {
        Want::Encode => snapshot.encode(chunks, 3000),
        Want::Enter(set) => {
            let mut entered = keyspace.enter(set);
            let dropped = snapshot.collect(&mut entered, &mut || hasty);
            drop(entered);
            drop(dropped);
        }
        Want::Finish => return None,
    }
    Some(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_dump_is_the_dataset_at_the_cut(
        shards in 1..4usize,
        before in prop::collection::vec(op(), 0..400),
        during in prop::collection::vec(op(), 0..400),
        turn_bytes in prop_oneof![Just(1usize), 100..20_000usize],
        pauses in prop::collection::vec(0..12usize, 1..20),
        hasty in any::<bool>(),
    ) {
        let keyspace = Keyspace::new(shards, DATABASES, 7);
        for op in &before {
            apply(&keyspace, op);
        }
        let want = picture(&keyspace);
        let mut snapshot = begin(&keyspace, turn_bytes);
        let mut chunks = Vec::new();
        let mut during = during.iter();
        let mut pauses = pauses.iter().cycle();
        while hasty_step(&mut snapshot, &keyspace, &mut chunks, hasty).is_some() {
            let writes = pauses.next().copied().unwrap_or(0);
            for op in during.by_ref().take(writes) {
                apply(&keyspace, op);
            }
        }
        let progress = snapshot.finish(&mut chunks);
        let painter = paint(&chunks);
        prop_assert_eq!(&painter.picture, &want);
        prop_assert_eq!(progress.keys_done, want.len() as u64);
        prop_assert_eq!(progress.keys, want.len() as u64);
        prop_assert_eq!(progress.kept_bytes, 0);
        for (db, (keys, expires)) in painter.sizes {
            let of_db = || want.iter().filter(|((d, _), _)| *d == db);
            prop_assert_eq!(keys as usize, of_db().count());
            prop_assert_eq!(expires as usize, of_db().filter(|(_, v)| v.2.is_some()).count());
        }
        // A second snapshot sees the writes that the first did not, and no marks of it.
        let want = picture(&keyspace);
        let mut chunks = Vec::new();
        begin(&keyspace, turn_bytes).run(&keyspace, &mut chunks);
        prop_assert_eq!(paint(&chunks).picture, want);
    }

    #[test]
    fn a_snapshot_given_up_leaves_no_trace(
        before in prop::collection::vec(op(), 50..300),
        during in prop::collection::vec(op(), 0..100),
        after in prop::collection::vec(op(), 0..100),
        steps in 0..10usize,
    ) {
        let keyspace = Keyspace::new(2, DATABASES, 7);
        before.iter().for_each(|op| apply(&keyspace, op));
        let mut snapshot = begin(&keyspace, 500);
        let mut during = during.chunks(10);
        for _ in 0..steps {
            step(&mut snapshot, &keyspace, &mut Vec::new());
            during.next().into_iter().flatten().for_each(|op| apply(&keyspace, op));
        }
        snapshot.abort();
        for shard in keyspace.enter(keyspace.all()).iter_mut() {
            drop(shard.take_abandoned());
            prop_assert!(shard.take_abandoned().is_empty());
        }
        after.iter().for_each(|op| apply(&keyspace, op));
        let want = picture(&keyspace);
        let mut chunks = Vec::new();
        begin(&keyspace, 500).run(&keyspace, &mut chunks);
        prop_assert_eq!(paint(&chunks).picture, want);
    }
}

#[test]
fn only_one_snapshot_at_a_time() {
    let keyspace = Keyspace::new(2, 1, 1);
    let key = b"k";
    let hash = keyspace.hash(key);
    let mut entered = keyspace.enter(keyspace.all());
    entered.shard_mut(hash).dbs[0].set_string(key, hash, b"v", Expiry::Clear);
    drop(entered);
    let first = begin(&keyspace, 100);
    let mut entered = keyspace.enter(keyspace.all());
    let second = Snapshot::begin(&mut entered, &Preamble::default(), Options::default(), 0);
    assert!(second.is_none());
    drop(entered);
    first.abort();
    begin(&keyspace, 100).run(&keyspace, &mut Vec::new());
}

#[test]
fn a_huge_set_is_cut_and_written_to_without_being_copied() {
    let keyspace = Keyspace::new(1, 1, 1);
    let enc = Encodings::default();
    let hash = keyspace.hash(b"huge");
    let mut entered = keyspace.enter(keyspace.all());
    let part = &mut entered.at_mut(0).dbs[0];
    part.set(b"huge", hash, Value::Set(Default::default()), Expiry::Clear);
    if let Some(ValueMut::Set(set)) = part.get_mut(b"huge", hash) {
        for n in 0..100_000 {
            set.insert(format!("member:{n}").as_bytes(), &enc);
        }
    }
    drop(entered);
    let want = picture(&keyspace);
    let mut snapshot = begin(&keyspace, 100);
    let mut chunks = Vec::new();
    let mut entered = keyspace.enter(keyspace.all());
    if let Some(ValueMut::Set(set)) = entered.at_mut(0).dbs[0].get_mut(b"huge", hash) {
        assert!(set.remove(b"member:5"));
    }
    drop(entered);
    let mut longest = 0;
    while step(&mut snapshot, &keyspace, &mut chunks).is_some() {
        longest = longest.max(chunks.last().map_or(0, Bytes::len));
    }
    snapshot.finish(&mut chunks);
    assert!(longest < 40_000, "a chunk of {longest} bytes");
    assert_eq!(paint(&chunks).picture, want);
}

#[test]
fn a_turn_that_has_had_its_time_ends() {
    let keyspace = Keyspace::new(1, 1, 7);
    let hash = |key: &[u8]| keyspace.hash(key);
    {
        let mut entered = keyspace.enter(keyspace.all());
        for n in 0..10_000 {
            let key = format!("key:{n}");
            let db = &mut entered.at_mut(0).dbs[0];
            db.put_string(key.as_bytes(), hash(key.as_bytes()), b"v", Expiry::Clear, 0);
        }
    }
    let mut snapshot = begin(&keyspace, usize::MAX);
    let mut chunks = Vec::new();
    let mut asked = 0;
    let mut entered = keyspace.enter(keyspace.all());
    let _ = snapshot.collect(&mut entered, &mut || {
        asked += 1;
        asked == 3
    });
    drop(entered);
    assert_eq!(asked, 3);
    while step(&mut snapshot, &keyspace, &mut chunks).is_some() && snapshot.next() == Want::Encode {
    }
    let done = snapshot.progress().keys_done;
    assert!((64..=128).contains(&done), "{done}");
    while step(&mut snapshot, &keyspace, &mut chunks).is_some() {}
    assert_eq!(snapshot.finish(&mut chunks).keys_done, 10_000);
}
