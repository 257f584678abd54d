//! The table against a plain map, SCAN's guarantee, expiry, and what a key costs.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::db::Put;
use super::{Db, ExpireBudget, Expiry, KeyHasher, Shard};
use crate::data::{Encodings, Value, ValueMut, ValueRef};

fn hasher() -> Arc<KeyHasher> {
    Arc::new(KeyHasher::new(42))
}

/// A database with its hash, by key alone.
struct Bench {
    db: Db,
    hasher: Arc<KeyHasher>,
}

impl Bench {
    fn new() -> Bench {
        let hasher = hasher();
        Bench {
            db: Db::new(&hasher),
            hasher,
        }
    }

    fn set(&mut self, key: &[u8], value: &[u8], expiry: Expiry) {
        let hash = self.hasher.hash(key);
        self.db.set_string(key, hash, value, expiry);
    }

    fn get(&self, key: &[u8]) -> Option<(Vec<u8>, Option<i64>)> {
        let entry = self.db.get(key, self.hasher.hash(key))?;
        let ValueRef::String(text) = entry.value else {
            panic!("a string was set")
        };
        Some((text.to_vec(), entry.expire_at))
    }

    fn delete(&mut self, key: &[u8]) -> bool {
        let hash = self.hasher.hash(key);
        self.db.delete(key, hash)
    }

    fn expire(&mut self, key: &[u8], at: Option<i64>) -> bool {
        let hash = self.hasher.hash(key);
        self.db.set_expire(key, hash, at)
    }

    fn edit(&mut self, key: &[u8], f: &mut dyn FnMut(&mut Vec<u8>)) {
        let hash = self.hasher.hash(key);
        self.db.edit_string(key, hash, 0, f);
    }
}

#[derive(Clone, Debug)]
enum Op {
    Set(u16, Vec<u8>, Expiry),
    Append(u16, Vec<u8>),
    Delete(u16),
    Expire(u16, Option<i64>),
    Take(u16),
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..400u16;
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        (0..3000usize).prop_map(|n| vec![b'x'; n]),
    ];
    let expiry = prop_oneof![
        Just(Expiry::Keep),
        Just(Expiry::Clear),
        (0..1000i64).prop_map(Expiry::At),
    ];
    prop_oneof![
        5 => (key.clone(), value.clone(), expiry).prop_map(|(k, v, e)| Op::Set(k, v, e)),
        1 => (key.clone(), value).prop_map(|(k, v)| Op::Append(k, v)),
        3 => key.clone().prop_map(Op::Delete),
        1 => (key.clone(), prop::option::of(0..1000i64)).prop_map(|(k, e)| Op::Expire(k, e)),
        1 => key.prop_map(Op::Take),
    ]
}

fn key(n: u16) -> Vec<u8> {
    // Some keys are long enough for the wide layout.
    if n == 7 {
        vec![b'k'; 70_000]
    } else {
        format!("key:{n}").into_bytes()
    }
}

type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

fn apply(bench: &mut Bench, model: &mut Model, op: Op) {
    match op {
        Op::Set(k, value, expiry) => {
            let k = key(k);
            bench.set(&k, &value, expiry);
            let before = model.get(&k).and_then(|(_, at)| *at);
            let at = match expiry {
                Expiry::Keep => before,
                Expiry::Clear => None,
                Expiry::At(at) => Some(at),
            };
            model.insert(k, (value, at));
        }
        Op::Append(k, tail) => {
            let k = key(k);
            bench.edit(&k, &mut |bytes| bytes.extend_from_slice(&tail));
            model.entry(k).or_default().0.extend_from_slice(&tail);
        }
        Op::Delete(k) => {
            let k = key(k);
            assert_eq!(bench.delete(&k), model.remove(&k).is_some());
        }
        Op::Expire(k, at) => {
            let k = key(k);
            let found = model.get_mut(&k).map(|entry| entry.1 = at);
            assert_eq!(bench.expire(&k, at), found.is_some());
        }
        Op::Take(k) => {
            let k = key(k);
            let hash = bench.hasher.hash(&k);
            let taken = bench.db.remove(&k, hash);
            match (taken, model.remove(&k)) {
                (None, None) => {}
                (Some(Value::String(got)), Some((want, _))) => assert_eq!(got, want),
                other => panic!("{other:?}"),
            }
        }
    }
}

fn check(bench: &Bench, model: &Model) {
    assert_eq!(bench.db.len(), model.len());
    let volatile = model.values().filter(|(_, at)| at.is_some()).count();
    assert_eq!(bench.db.expires(), volatile);
    for (k, want) in model {
        assert_eq!(bench.get(k).as_ref(), Some(want));
    }
    let seen: HashSet<Vec<u8>> = bench.db.iter().map(|e| e.key.to_vec()).collect();
    assert_eq!(seen.len(), model.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn behaves_as_a_map(ops in prop::collection::vec(op(), 1..1500)) {
        let mut bench = Bench::new();
        let mut model = Model::new();
        for op in ops {
            apply(&mut bench, &mut model, op);
        }
        check(&bench, &model);
    }

    /// Keys that stay from the first step to the last are seen, whatever comes and goes meanwhile.
    #[test]
    fn scan_misses_nothing_that_stays(
        stay in 1..3000usize,
        count in 1..60usize,
        swings in prop::collection::vec((0..4000usize, any::<bool>()), 1..30),
    ) {
        let mut bench = Bench::new();
        for n in 0..stay {
            bench.set(format!("stay:{n}").as_bytes(), b"x", Expiry::Clear);
        }
        let mut seen = HashSet::new();
        let mut cursor = 0;
        let mut swings = swings.into_iter();
        let mut come = 0;
        loop {
            cursor = bench.db.scan(cursor, count, &mut |e| {
                seen.insert(e.key.to_vec());
            });
            prop_assert!(cursor < 1 << 46);
            if cursor == 0 {
                break;
            }
            if let Some((n, grow)) = swings.next() {
                if grow {
                    for n in come..come + n {
                        bench.set(format!("come:{n}").as_bytes(), b"x", Expiry::Clear);
                    }
                    come += n;
                } else {
                    for n in come.saturating_sub(n)..come {
                        bench.delete(format!("come:{n}").as_bytes());
                    }
                    come = come.saturating_sub(n);
                }
            }
        }
        for n in 0..stay {
            let found = seen.contains(format!("stay:{n}").as_bytes());
            prop_assert!(found, "key {} was missed", n);
        }
    }
}

#[test]
fn scan_of_a_resting_table_sees_each_key_once_and_keeps_to_its_count() {
    let mut bench = Bench::new();
    for n in 0..10_000 {
        bench.set(format!("key:{n}").as_bytes(), b"x", Expiry::Clear);
    }
    let (mut cursor, mut seen) = (0, Vec::new());
    loop {
        let before = seen.len();
        cursor = bench
            .db
            .scan(cursor, 10, &mut |e| seen.push(e.key.to_vec()));
        assert!(seen.len() - before <= 12);
        if cursor == 0 {
            break;
        }
        assert!(seen.len() - before >= 10);
    }
    assert_eq!(seen.len(), 10_000);
    assert_eq!(seen.into_iter().collect::<HashSet<_>>().len(), 10_000);
}

#[test]
fn the_structure_follows_the_size_down_again() {
    let mut bench = Bench::new();
    for n in 0..50_000 {
        bench.set(format!("key:{n}").as_bytes(), b"x", Expiry::Clear);
    }
    let full = bench.db.overhead();
    for n in 0..49_990 {
        assert!(bench.delete(format!("key:{n}").as_bytes()));
    }
    assert!(bench.db.overhead() * 10 < full);
    for n in 49_990..50_000 {
        assert!(bench.get(format!("key:{n}").as_bytes()).is_some());
        bench.delete(format!("key:{n}").as_bytes());
    }
    assert_eq!(bench.db.overhead(), 0);
}

#[test]
fn random_keys_come_evenly() {
    let mut bench = Bench::new();
    for n in 0..1000 {
        bench.set(format!("key:{n}").as_bytes(), b"x", Expiry::Clear);
    }
    let mut rng = fastrand::Rng::with_seed(1);
    let mut hits = BTreeMap::<Vec<u8>, u32>::new();
    for _ in 0..100_000 {
        let key = bench.db.random(&mut rng).map(|e| e.key.to_vec());
        *hits.entry(key.unwrap_or_default()).or_default() += 1;
    }
    assert_eq!(hits.len(), 1000);
    assert!(hits.values().all(|&n| (50..160).contains(&n)));
    // A table that was nearly emptied still finds its last key.
    for n in 0..999 {
        bench.delete(format!("key:{n}").as_bytes());
    }
    let last = bench.db.random(&mut rng).map(|e| e.key.to_vec());
    assert_eq!(last.as_deref(), Some(&b"key:999"[..]));
}

#[test]
fn strings_take_the_form_redis_gives_them() {
    let mut bench = Bench::new();
    let encoding = |bench: &Bench, key: &[u8]| {
        bench
            .db
            .get(key, bench.hasher.hash(key))
            .map(|e| e.encoding())
    };
    for (value, want) in [
        (&b"12345"[..], "int"),
        (b"-9223372036854775808", "int"),
        (b"9223372036854775808", "embstr"),
        (b"012", "embstr"),
        (b"", "embstr"),
        (&[b'x'; 44], "embstr"),
        (&[b'x'; 45], "raw"),
        (&[b'x'; 5000], "raw"),
    ] {
        bench.set(b"k", value, Expiry::Clear);
        assert_eq!(encoding(&bench, b"k"), Some(want), "{value:?}");
        assert_eq!(bench.get(b"k").map(|g| g.0).as_deref(), Some(value));
    }
    bench.set(b"k", b"1", Expiry::Clear);
    bench.edit(b"k", &mut |bytes| bytes.push(b'2'));
    assert_eq!(bench.get(b"k").map(|g| g.0).as_deref(), Some(&b"12"[..]));
    assert_eq!(encoding(&bench, b"k"), Some("raw"));
    bench.set(b"k", b"12", Expiry::Clear);
    assert_eq!(encoding(&bench, b"k"), Some("int"));
}

#[test]
fn appending_grows_in_place() {
    let mut bench = Bench::new();
    let mut moves = 0;
    let mut last = 0;
    for n in 0..20_000 {
        bench.edit(b"log", &mut |bytes| {
            bytes.extend_from_slice(b"line ");
            if bytes.capacity() != last {
                last = bytes.capacity();
                moves += 1;
            }
        });
        assert!(n > 20 || bench.get(b"log").is_some());
    }
    assert_eq!(bench.get(b"log").map(|g| g.0.len()), Some(100_000));
    assert!(moves < 60, "{moves} reallocations");
}

#[test]
fn active_expiry_finds_what_is_due_and_only_that() {
    let hasher = hasher();
    let mut shard = Shard::new(3, &hasher);
    for n in 0..5000i64 {
        let key = format!("key:{n}").into_bytes();
        let expiry = if n % 3 == 0 {
            Expiry::Clear
        } else {
            Expiry::At(1000 + n)
        };
        shard.dbs[(n % 2) as usize].set_string(&key, hasher.hash(&key), b"x", expiry);
    }
    let budget = ExpireBudget::new(10, 1);
    assert!(shard.expire_step(1000, &budget).0.is_empty());
    let mut gone = HashSet::new();
    for now in [1500, 3000, 3001, 9000, 10_000] {
        loop {
            let (expired, more) = shard.expire_step(now, &budget);
            assert!(expired.len() <= budget.records);
            for (db, record) in expired {
                assert!(record.expire_at().is_some_and(|at| at < now));
                assert!(gone.insert((db, record.key().to_vec())));
            }
            if !more {
                break;
            }
        }
    }
    assert_eq!(gone.len(), 5000 - 5000usize.div_ceil(3));
    assert_eq!(shard.dbs[0].expires() + shard.dbs[1].expires(), 0);
    assert_eq!(shard.dbs[0].next_due_ms(), None);
    let left = shard.dbs[0].len() + shard.dbs[1].len();
    assert_eq!(left, 5000usize.div_ceil(3));
}

#[test]
fn a_lone_volatile_key_goes_on_time() {
    let hasher = hasher();
    let mut shard = Shard::new(1, &hasher);
    let budget = ExpireBudget::new(10, 1);
    for at in [100, 200, 300] {
        let key = at.to_string().into_bytes();
        shard.dbs[0].set_string(&key, hasher.hash(&key), b"x", Expiry::At(at));
    }
    for (now, left) in [(100, 3), (101, 2), (201, 1), (301, 0)] {
        shard.expire_step(now, &budget);
        assert_eq!(shard.dbs[0].len(), left, "at {now}");
    }
}

#[test]
fn collections_change_in_place_and_come_out_whole() {
    let mut bench = Bench::new();
    let hash = bench.hasher.hash(b"s");
    let put = bench
        .db
        .put(b"s", hash, Value::Set(Default::default()), Expiry::At(5), 9);
    assert!(matches!(put, Put::New));
    let enc = Encodings::default();
    for n in 0..300 {
        let Some(ValueMut::Set(set)) = bench.db.get_mut(b"s", hash) else {
            panic!("a set was put")
        };
        assert!(set.insert(format!("m{n}").as_bytes(), &enc));
    }
    assert!(bench.db.set_expire(b"s", hash, None));
    assert!(
        bench
            .db
            .get(b"s", hash)
            .is_some_and(|e| e.lru == 9 && e.expire_at.is_none())
    );
    let put = bench.db.put_string(b"s", hash, b"x", Expiry::Clear, 1);
    let Put::Replaced(old) = put else {
        panic!("a large set is the caller's to drop")
    };
    let Value::Set(set) = old.into_value() else {
        panic!("it was a set")
    };
    assert_eq!(set.len(), 300);
}
