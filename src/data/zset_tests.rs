//! Sorted sets against a plain model, in both encodings and across clones.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::zset_range::{LexBound, ScoreBound};
use super::*;

#[derive(Clone, Debug, Default)]
struct Model(BTreeMap<Vec<u8>, f64>);

impl Model {
    fn in_order(&self) -> Vec<(Vec<u8>, f64)> {
        let mut all: Vec<_> = self.0.iter().map(|(m, s)| (m.clone(), *s)).collect();
        all.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        all
    }
}

fn small(entries: usize) -> Encodings {
    Encodings {
        zset_max_listpack_entries: entries,
        ..Encodings::default()
    }
}

fn owned(pair: (Item<'_>, f64)) -> (Vec<u8>, f64) {
    (pair.0.to_vec(), pair.1)
}

fn bound(score: f64, exclusive: bool) -> ScoreBound {
    ScoreBound { score, exclusive }
}

fn check(zset: &Zset, model: &Model) {
    let want = model.in_order();
    let len = want.len();
    assert_eq!(zset.len(), len);
    assert!(zset.iter().map(owned).eq(want.iter().cloned()));
    assert!((zset.range(0..len, true).map(owned)).eq(want.iter().rev().cloned()));
    let (a, b) = (len / 4, len - len / 3);
    assert!((zset.range(a..b, false).map(owned)).eq(want[a..b].iter().cloned()));
    assert!((zset.range(a..b, true).map(owned)).eq(want[a..b].iter().rev().cloned()));
    assert_eq!(zset.range(a..b, true).len(), b - a);
    for (rank, (member, score)) in want.iter().enumerate() {
        assert_eq!(zset.rank_and_score(member), Some((rank, *score)));
    }
    for min in [f64::NEG_INFINITY, -3.0, 0.0, 0.5, 7.0] {
        for max in [f64::INFINITY, 3.0, 0.0, 0.5] {
            for (min_ex, max_ex) in [(false, false), (true, false), (false, true), (true, true)] {
                let range = ScoreRange {
                    min: bound(min, min_ex),
                    max: bound(max, max_ex),
                };
                let inside: Vec<_> = (0..len)
                    .filter(|&i| range.is_above_min(want[i].1) && range.is_below_max(want[i].1))
                    .collect();
                let span = zset.rank_span_by_score(&range);
                assert!(span.clone().eq(inside), "{range:?} {span:?}");
            }
        }
    }
    let mut seen = BTreeMap::new();
    let mut cursor = 0;
    loop {
        cursor = zset.scan(cursor, 10, &mut |m, s| {
            seen.insert(m.to_vec(), s);
        });
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen, model.0);
}

#[derive(Clone, Debug)]
enum Op {
    Insert(i8, u16),
    Many(i8, u16, u8),
    Add(i8, u16),
    Remove(u16),
    RemoveSpan(usize, usize),
    Pop(bool),
    Snapshot,
}

fn op() -> impl Strategy<Value = Op> {
    let member = || 0u16..400;
    prop_oneof![
        8 => (any::<i8>(), member()).prop_map(|(s, m)| Op::Insert(s, m)),
        2 => (any::<i8>(), member(), 1u8..100).prop_map(|(s, m, n)| Op::Many(s, m, n)),
        4 => (-2i8..3, member()).prop_map(|(s, m)| Op::Add(s, m)),
        4 => member().prop_map(Op::Remove),
        1 => (any::<usize>(), 0usize..60).prop_map(|(i, n)| Op::RemoveSpan(i, n)),
        2 => any::<bool>().prop_map(Op::Pop),
        1 => Just(Op::Snapshot),
    ]
}

/// Integers and texts.
fn name(n: u16) -> Vec<u8> {
    if n.is_multiple_of(3) {
        n.to_string().into_bytes()
    } else {
        format!("member:{n}").into_bytes()
    }
}

/// Integers, halves, infinities.
fn score(n: i8) -> f64 {
    match n {
        i8::MIN => f64::NEG_INFINITY,
        i8::MAX => f64::INFINITY,
        n if n % 2 == 0 => f64::from(n / 2),
        n => f64::from(n) / 4.0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn behaves_as_the_model(ops in prop::collection::vec(op(), 0..120), entries in prop_oneof![Just(8usize), Just(128), Just(0)]) {
        let enc = small(entries);
        let mut zset = Zset::new();
        let mut model = Model::default();
        let mut kept = Vec::new();
        for op in ops {
            match op {
                Op::Insert(s, m) => {
                    prop_assert_eq!(zset.insert(&name(m), score(s), &enc), model.0.insert(name(m), score(s)));
                }
                Op::Many(s, m, n) => {
                    for m in (0..u16::from(n)).map(|i| (m + i * 7) % 400) {
                        prop_assert_eq!(zset.insert(&name(m), score(s), &enc), model.0.insert(name(m), score(s)));
                    }
                }
                Op::Add(by, m) => {
                    let mut result = None;
                    zset.update(&name(m), &enc, |old| {
                        result = old.map(|old| old + f64::from(by));
                        result
                    });
                    if let Some(result) = result {
                        model.0.insert(name(m), result);
                    }
                }
                Op::Remove(m) => prop_assert_eq!(zset.remove(&name(m)), model.0.remove(&name(m))),
                Op::RemoveSpan(i, n) => {
                    let start = i % (zset.len() + 1);
                    let gone: Vec<_> = model.in_order().into_iter().skip(start).take(n).collect();
                    prop_assert_eq!(zset.remove_span(start..start + n), gone.len());
                    for (m, _) in gone {
                        model.0.remove(&m);
                    }
                }
                Op::Pop(high) => {
                    let end = if high { End::Tail } else { End::Head };
                    let mut all = model.in_order();
                    let want = if high { all.pop() } else { all.first().cloned() };
                    if let Some((m, _)) = &want {
                        model.0.remove(m);
                    }
                    prop_assert_eq!(zset.pop_with(end, |m, s| (m.to_vec(), s)), want);
                }
                Op::Snapshot => kept.push((zset.clone(), model.clone())),
            }
            prop_assert_eq!(zset.len(), model.0.len());
        }
        kept.push((zset, model));
        for (zset, model) in &kept {
            check(zset, model);
        }
    }

    #[test]
    fn lex_ranges(names in prop::collection::btree_set("[a-d]{0,3}", 0..60), a in "[a-d]{0,3}", b in "[a-d]{0,3}", kinds in (0u8..4, 0u8..4), entries in prop_oneof![Just(0usize), Just(128)]) {
        let make = |kind, text: String| match kind {
            0 => LexBound::Min,
            1 => LexBound::Max,
            2 => LexBound::Inclusive(text.into_bytes()),
            _ => LexBound::Exclusive(text.into_bytes()),
        };
        let range = LexRange { min: make(kinds.0, a), max: make(kinds.1, b) };
        let mut zset = Zset::new();
        for name in &names {
            zset.insert(name.as_bytes(), 1.0, &small(entries));
        }
        let inside: Vec<usize> = names.iter().enumerate()
            .filter(|(_, n)| range.is_above_min(n.as_bytes()) && range.is_below_max(n.as_bytes()))
            .map(|(i, _)| i).collect();
        for rev in [false, true] {
            let span = zset.rank_span_by_lex(&range, rev);
            prop_assert!(span.clone().eq(inside.iter().copied()), "{:?} {:?}", span, inside);
        }
    }
}

#[test]
fn encodings_follow_redis() {
    let enc = small(2);
    let mut zset = Zset::new();
    zset.insert(b"a", 1.0, &enc);
    zset.insert(b"b", -0.0, &enc);
    assert_eq!(zset.encoding(), "listpack");
    assert!(zset.score(b"b").is_some_and(f64::is_sign_positive));
    zset.insert(b"b", 2.5, &enc);
    assert_eq!(zset.encoding(), "listpack");
    zset.insert(b"c", -0.0, &enc);
    assert_eq!(zset.encoding(), "skiplist");
    assert!(zset.score(b"c").is_some_and(f64::is_sign_negative));
    let mut zset = Zset::new();
    zset.insert(&[b'x'; 65], 1.0, &Encodings::default());
    assert_eq!(zset.encoding(), "skiplist");
    assert_eq!(Zset::for_members(3, 0, &enc).encoding(), "skiplist");
    let members = (0..3).map(|i| Member::new(&[b'a' + 2 - i], f64::from(i / 2)));
    let zset = Zset::of_members(members.collect(), &Encodings::default());
    assert_eq!(zset.encoding(), "listpack");
    assert!(zset.iter().map(owned).eq([
        (b"b".to_vec(), 0.0),
        (b"c".to_vec(), 0.0),
        (b"a".to_vec(), 1.0)
    ]));
    let bytes = zset.as_listpack().unwrap().to_vec();
    assert_eq!(
        Zset::from_listpack(&bytes, &Encodings::default()).encoding(),
        "listpack"
    );
    let large = Zset::from_listpack(&bytes, &enc);
    assert_eq!(large.encoding(), "skiplist");
    assert!(large.iter().eq(zset.iter()));
}

#[test]
fn memory_of_many_members() {
    let enc = Encodings::default();
    for shuffled in [false, true] {
        let mut zset = Zset::new();
        for i in 0..100_000u64 {
            let score = if shuffled {
                i * 0x9E37_79B9 % 100_003
            } else {
                i
            };
            zset.insert(format!("member:{i}").as_bytes(), score as f64, &enc);
        }
        let per_member = zset.memory() as f64 / zset.len() as f64;
        assert!(per_member < 76.0, "{per_member}");
    }
}
