use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// splitmix64's finisher: all bits good.
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

type Entry = (u64, Box<u64>);

fn hash_of(entry: &Entry) -> u64 {
    mix(entry.0)
}

fn put(table: &mut SegTable<Entry>, key: u64, value: u64) -> bool {
    let (entry, new) =
        table.find_or_insert(mix(key), |e| e.0 == key, || (key, Box::new(value)), hash_of);
    *entry.1 = value;
    new
}

fn take(table: &mut SegTable<Entry>, key: u64) -> Option<u64> {
    table.remove(mix(key), |e| e.0 == key).map(|e| *e.1)
}

fn get(table: &SegTable<Entry>, key: u64) -> Option<u64> {
    table.find(mix(key), |e| e.0 == key).map(|e| *e.1)
}

/// Checks the directories against what they lead to, and that every entry is where its hash says.
fn check(table: &SegTable<Entry>) {
    assert_eq!(table.directory.len(), 1 << table.bits);
    let mut chunks_seen = BTreeSet::new();
    for (place, &index) in table.directory.iter().enumerate() {
        let chunk = &table.chunks[index as usize];
        chunks_seen.insert(index);
        assert!(chunk.depth <= table.bits);
        let run = 1usize << (table.bits - chunk.depth);
        assert_eq!(table.directory[place & !(run - 1)], index);
        let mut segments_seen = BTreeSet::new();
        for place in 0..1usize << chunk.bits {
            let index = chunk.directory[place];
            segments_seen.insert(index);
            let segment = &chunk.segments[usize::from(index)];
            let run = 1usize << (chunk.depth + chunk.bits - segment.depth());
            assert_eq!(chunk.directory[place & !(run - 1)], index);
        }
        assert_eq!(segments_seen.len(), chunk.segments.len());
        for (number, segment) in chunk.segments.iter().enumerate() {
            for entry in segment.entries() {
                assert_eq!(table.chunk_index(hash_of(entry)), index as usize);
                assert_eq!(chunk.segment_index(hash_of(entry)), number);
            }
        }
    }
    assert_eq!(chunks_seen.len(), table.chunks.len());
    assert_eq!(table.iter().count(), table.len());
}

#[test]
fn grows_and_shrinks() {
    let mut table = SegTable::new();
    const N: u64 = 60_000;
    for key in 0..N {
        assert!(put(&mut table, key, key));
    }
    assert!(!put(&mut table, 7, 8));
    assert!(table.chunks.len() > 2);
    check(&table);
    let full = table.memory();
    assert_eq!(get(&table, 7), Some(8));
    assert_eq!(get(&table, N), None);
    for key in 0..N {
        assert!(take(&mut table, key).is_some());
        if key % 10_000 == 0 {
            check(&table);
        }
    }
    assert_eq!((table.len(), table.chunks.len(), table.bits), (0, 1, 0));
    assert!(table.memory() < full / 500);
}

#[test]
fn presized_tables_do_not_split() {
    for n in [0, 1, 100, 10_000, 100_000] {
        let mut table = SegTable::with_capacity(n as usize);
        check(&table);
        for key in 0..n {
            put(&mut table, key, key);
        }
        check(&table);
        assert_eq!(table.len(), n as usize);
    }
}

#[test]
fn equal_hashes_only_cost_time() {
    let mut table: SegTable<u64> = SegTable::new();
    for key in 0..500u64 {
        table.insert_new(42, key, |_| 42);
    }
    assert_eq!(table.len(), 500);
    assert!((0..500).all(|key| table.find(42, |&e| e == key).is_some()));
    assert!(table.random(&mut fastrand::Rng::with_seed(1)).is_some());
    assert!(table.directory.len() <= 1 << ROOT_BITS);
}

#[test]
fn clones_keep_their_contents() {
    let mut table = SegTable::new();
    for key in 0..5_000 {
        put(&mut table, key, key);
    }
    let before = table.clone();
    for key in 0..5_000 {
        if key % 3 == 0 {
            take(&mut table, key);
        } else {
            put(&mut table, key, key + 1);
        }
    }
    for key in 5_000..9_000 {
        put(&mut table, key, key);
    }
    check(&before);
    check(&table);
    assert!((0..5_000).all(|key| get(&before, key) == Some(key)));
    assert_eq!(before.len(), 5_000);
    let seen = std::thread::spawn(move || before.iter().count());
    for key in 0..9_000 {
        take(&mut table, key);
    }
    assert_eq!(seen.join().unwrap(), 5_000);
}

#[test]
fn random_is_uniform() {
    let mut rng = fastrand::Rng::with_seed(5);
    let mut table = SegTable::new();
    for key in 0..1_000 {
        put(&mut table, key, 0);
    }
    // Leave holes, so that segments are unequally full.
    for key in 0..700 {
        take(&mut table, key * 13 % 1_000);
    }
    let mut hits: BTreeMap<u64, u32> = BTreeMap::new();
    let n = table.len() as u32;
    for _ in 0..n * 200 {
        *hits.entry(table.random(&mut rng).unwrap().0).or_default() += 1;
    }
    // Chi-squared over n-1 degrees of freedom: mean n-1, deviation sqrt(2n).
    let chi: f64 = hits
        .values()
        .map(|&h| (f64::from(h) - 200.0).powi(2) / 200.0)
        .sum();
    assert_eq!(hits.len(), n as usize);
    assert!(chi < f64::from(n) + 6.0 * f64::from(2 * n).sqrt(), "{chi}");
}

#[derive(Clone, Debug)]
enum Step {
    Put(u64),
    Take(u64),
    PutMany(u64, u64),
    TakeMany(u64, u64),
    Clone,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u64..6_000).prop_map(Step::Put),
        4 => (0u64..6_000).prop_map(Step::Take),
        2 => (0u64..6_000, 1u64..3_000).prop_map(|(a, n)| Step::PutMany(a, n)),
        2 => (0u64..6_000, 1u64..3_000).prop_map(|(a, n)| Step::TakeMany(a, n)),
        1 => Just(Step::Clone),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn behaves_as_a_map(steps in prop::collection::vec(step(), 1..40)) {
        let mut table = SegTable::new();
        let mut model = BTreeMap::new();
        let mut kept = Vec::new();
        for (i, step) in steps.into_iter().enumerate() {
            let i = i as u64;
            match step {
                Step::Put(k) => prop_assert_eq!(put(&mut table, k, i), model.insert(k, i).is_none()),
                Step::Take(k) => prop_assert_eq!(take(&mut table, k), model.remove(&k)),
                Step::PutMany(a, n) => for k in a..a + n {
                    put(&mut table, k, i);
                    model.insert(k, i);
                },
                Step::TakeMany(a, n) => for k in a..a + n {
                    prop_assert_eq!(take(&mut table, k), model.remove(&k));
                },
                Step::Clone => kept.push((table.clone(), model.clone())),
            }
        }
        kept.push((table, model));
        for (table, model) in &kept {
            check(table);
            let all: BTreeMap<u64, u64> = table.iter().map(|e| (e.0, *e.1)).collect();
            prop_assert_eq!(&all, model);
        }
    }

    /// Whatever stays from the first step to the last is seen, while the table grows and shrinks.
    #[test]
    fn a_scan_misses_nothing(
        changes in prop::collection::vec((any::<bool>(), 0u64..20_000, 1u64..4_000), 1..30),
        count in 1usize..200,
        start in 1u64..8_000,
    ) {
        let mut table = SegTable::new();
        // Keys below 1000 stay all the time.
        for key in 0..start.max(1_000) {
            put(&mut table, key, 0);
        }
        let mut seen = BTreeSet::new();
        let mut cursor = 0;
        let mut changes = changes.into_iter();
        loop {
            cursor = table.scan(cursor, count, |e| {
                seen.insert(e.0);
            });
            if cursor == 0 {
                break;
            }
            if let Some((add, from, n)) = changes.next() {
                for key in 1_000 + from..1_000 + from + n {
                    if add {
                        put(&mut table, key, 0);
                    } else {
                        take(&mut table, key);
                    }
                }
            }
        }
        prop_assert!((0..1_000).all(|key| seen.contains(&key)));
    }

    #[test]
    fn any_cursor_will_do(cursor in any::<u64>()) {
        let mut table = SegTable::new();
        for key in 0..3_000 {
            put(&mut table, key, 0);
        }
        let mut n = 0;
        let next = table.scan(cursor, 10, |_| n += 1);
        prop_assert!(n > 0 && n < 300);
        table.scan(next, usize::MAX, |_| n += 1);
    }
}
