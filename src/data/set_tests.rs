use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn texts(set: &Set) -> BTreeSet<Vec<u8>> {
    let all: Vec<_> = set.iter().map(|m| m.to_vec()).collect();
    assert_eq!(all.len(), set.len());
    all.into_iter().collect()
}

fn with(members: &[&str], enc: &Encodings) -> Set {
    let mut set = Set::new();
    for member in members {
        set.insert(member.as_bytes(), enc);
    }
    set
}

#[test]
fn encodings_change_where_redis_changes_them() {
    let enc = Encodings::default();
    assert_eq!(with(&["1", "2"], &enc).encoding(), "intset");
    assert_eq!(with(&["1", "02"], &enc).encoding(), "listpack");
    assert_eq!(with(&["a", "2"], &enc).encoding(), "listpack");
    assert_eq!(with(&["a", &"x".repeat(64)], &enc).encoding(), "listpack");
    assert_eq!(with(&["a", &"x".repeat(65)], &enc).encoding(), "hashtable");
    assert_eq!(with(&["1", &"x".repeat(65)], &enc).encoding(), "hashtable");

    let mut set = Set::new();
    for n in 0..512 {
        set.insert(n.to_string().as_bytes(), &enc);
    }
    assert_eq!(set.encoding(), "intset");
    let mut more = set.clone();
    assert!(more.insert(b"512", &enc));
    assert_eq!((more.encoding(), more.len()), ("hashtable", 513));
    assert!(set.insert(b"word", &enc));
    assert_eq!((set.encoding(), set.len()), ("hashtable", 513));

    let mut set = Set::new();
    for n in 0..128 {
        set.insert(format!("m{n}").as_bytes(), &enc);
    }
    assert_eq!(set.encoding(), "listpack");
    assert!(!set.insert(b"m5", &enc));
    assert_eq!(set.encoding(), "listpack");
    assert!(set.insert(b"m128", &enc));
    assert_eq!((set.encoding(), set.len()), ("hashtable", 129));
    for n in 1..129 {
        set.remove(format!("m{n}").as_bytes());
    }
    assert_eq!((set.encoding(), set.len()), ("hashtable", 1));
}

#[test]
fn many_members_at_once() {
    let enc = Encodings::default();
    assert_eq!(Set::for_members(b"1", 512, &enc).encoding(), "intset");
    assert_eq!(Set::for_members(b"1", 513, &enc).encoding(), "hashtable");
    assert_eq!(Set::for_members(b"a", 128, &enc).encoding(), "listpack");
    assert_eq!(Set::for_members(b"a", 129, &enc).encoding(), "hashtable");
    let mut set = with(&["1"], &enc);
    set.expect(512, &enc);
    assert_eq!(set.encoding(), "intset");
    set.expect(513, &enc);
    assert_eq!(set.encoding(), "hashtable");
    let few = Encodings {
        set_max_intset_entries: 0,
        ..enc
    };
    let mut set = Set::for_members(b"1", 1, &few);
    set.insert(b"1", &few);
    assert_eq!(set.encoding(), "listpack");
}

#[test]
fn compact_bytes_come_in_and_out() {
    let enc = Encodings::default();
    let ints = with(&["3", "1", "2"], &enc);
    assert_eq!(
        texts(&Set::from_intset(ints.as_intset().unwrap(), &enc)),
        texts(&ints)
    );
    let words = with(&["a", "1"], &enc);
    assert_eq!(
        texts(&Set::from_listpack(&words.to_listpack().unwrap(), &enc)),
        texts(&words)
    );

    let tight = Encodings {
        set_max_intset_entries: 2,
        set_max_listpack_entries: 1,
        ..enc
    };
    let set = Set::from_intset(ints.as_intset().unwrap(), &tight);
    assert_eq!((set.encoding(), texts(&set)), ("hashtable", texts(&ints)));
    let set = Set::from_listpack(&words.to_listpack().unwrap(), &tight);
    assert_eq!((set.encoding(), texts(&set)), ("hashtable", texts(&words)));
    assert!(set.to_listpack().is_none() && set.as_intset().is_none());
}

#[test]
fn integers_in_a_table_become_an_intset_on_wish() {
    let enc = Encodings::default();
    let mut set = with(&["1", "2", "x"], &enc);
    set.prefer_intset(&enc);
    assert_eq!(set.encoding(), "listpack");
    set.remove(b"x");
    set.prefer_intset(&enc);
    assert_eq!((set.encoding(), set.len()), ("intset", 2));
}

#[test]
fn random_members_are_members() {
    let enc = Encodings::default();
    let mut rng = fastrand::Rng::with_seed(1);
    assert!(Set::new().random(&mut rng).is_none());
    for n in [1, 100, 1000] {
        for word in ["", "w"] {
            let mut set = Set::new();
            for i in 0..n {
                set.insert(format!("{word}{i}").as_bytes(), &enc);
            }
            for left in (0..n).rev() {
                let member = set.pop_random(&mut rng).unwrap();
                assert!(!set.contains(&member));
                assert_eq!(set.len(), left);
            }
            assert!(set.is_empty());
        }
    }
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => (-60i64..60).prop_map(|n| n.to_string().into_bytes()),
        1 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        3 => (0u32..80).prop_map(|n| format!("word:{n}").into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
        1 => Just(vec![b'l'; 300]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn behaves_as_a_set(
        steps in prop::collection::vec((prop::bool::weighted(0.7), member()), 1..150),
        intset_max in 0usize..40,
        listpack_max in 0usize..40,
    ) {
        let enc = Encodings {
            set_max_intset_entries: intset_max,
            set_max_listpack_entries: listpack_max,
            ..Encodings::default()
        };
        let mut set = Set::new();
        let mut model = BTreeSet::new();
        let middle = steps.len() / 2;
        let mut kept = None;
        for (i, (add, m)) in steps.into_iter().enumerate() {
            if add {
                prop_assert_eq!(set.insert(&m, &enc), model.insert(m));
            } else {
                prop_assert_eq!(set.remove(&m), model.remove(&m));
            }
            if i == middle {
                kept = Some((set.clone(), model.clone()));
            }
        }
        for (set, model) in [Some((set, model)), kept].into_iter().flatten() {
            prop_assert!(model.iter().all(|m| set.contains(m)));
            prop_assert_eq!(set.len(), model.len());
            prop_assert_eq!(&texts(&set), &model);
            let mut seen = BTreeSet::new();
            let mut cursor = 0;
            loop {
                cursor = set.scan(cursor, 7, &mut |m| {
                    seen.insert(m.to_vec());
                });
                if cursor == 0 {
                    break;
                }
            }
            prop_assert_eq!(seen, model);
        }
    }
}
