use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn texts(hash: &Hash) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let all: Vec<_> = hash.iter().map(|(f, v)| (f.to_vec(), v.to_vec())).collect();
    assert_eq!(all.len(), hash.len());
    all.into_iter().collect()
}

#[test]
fn the_encoding_changes_where_redis_changes_it() {
    let enc = Encodings {
        hash_max_listpack_entries: 128,
        ..Encodings::default()
    };
    let mut hash = Hash::new();
    for n in 0..128 {
        assert!(hash.insert(format!("f{n}").as_bytes(), b"v", &enc));
    }
    assert!(!hash.insert(b"f3", &[b'x'; 64], &enc));
    assert_eq!(hash.encoding(), "listpack");
    let mut longer = hash.clone();
    assert!(!longer.insert(b"f3", &[b'x'; 65], &enc));
    assert_eq!(longer.encoding(), "hashtable");
    assert_eq!(longer.get(b"f3").unwrap().to_vec(), [b'x'; 65]);
    assert!(hash.insert(b"more", b"1", &enc));
    assert_eq!((hash.encoding(), hash.len()), ("hashtable", 129));

    let mut hash = Hash::new();
    hash.expect(&[b"f", &[b'x'; 65]], &enc);
    assert_eq!(hash.encoding(), "hashtable");
    let many = vec![&b"f"[..]; 256];
    let mut hash = Hash::new();
    hash.expect(&many, &enc);
    assert_eq!(hash.encoding(), "listpack");
    let many = vec![&b"f"[..]; 258];
    hash.expect(&many, &enc);
    assert_eq!(hash.encoding(), "hashtable");
    assert_eq!(Hash::for_load(128, &enc).encoding(), "listpack");
    assert_eq!(Hash::for_load(129, &enc).encoding(), "hashtable");
}

#[test]
fn listpacks_come_in_and_out() {
    let enc = Encodings::default();
    let mut hash = Hash::new();
    hash.insert(b"f", b"1", &enc);
    hash.insert(b"g", b"f", &enc);
    let bytes = &hash.to_listpack().unwrap();
    assert_eq!(texts(&Hash::from_listpack(bytes, &enc)), texts(&hash));
    let tight = Encodings {
        hash_max_listpack_entries: 1,
        ..enc
    };
    let copy = Hash::from_listpack(bytes, &tight);
    assert_eq!((copy.encoding(), texts(&copy)), ("hashtable", texts(&hash)));
    assert!(copy.to_listpack().is_none());
}

#[test]
fn random_pairs_are_pairs() {
    let enc = Encodings::default();
    let mut rng = fastrand::Rng::with_seed(3);
    assert!(Hash::new().random(&mut rng).is_none());
    for n in [1, 50, 500] {
        let mut hash = Hash::new();
        for i in 0..n {
            hash.insert(format!("f{i}").as_bytes(), format!("{i}").as_bytes(), &enc);
        }
        for _ in 0..100 {
            let (field, value) = hash.random(&mut rng).unwrap();
            assert_eq!(field.to_vec()[1..], value.to_vec());
        }
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => (-30i64..30).prop_map(|n| n.to_string().into_bytes()),
        3 => (0u32..60).prop_map(|n| format!("field:{n}").into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
        1 => (0usize..400).prop_map(|n| vec![b'l'; n]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn behaves_as_a_map(
        steps in prop::collection::vec((prop::bool::weighted(0.7), text(), text()), 1..120),
        listpack_max in 0usize..60,
        value_max in 0usize..80,
    ) {
        let enc = Encodings {
            hash_max_listpack_entries: listpack_max,
            hash_max_listpack_value: value_max,
            ..Encodings::default()
        };
        let mut hash = Hash::new();
        let mut model = BTreeMap::new();
        let middle = steps.len() / 2;
        let mut kept = None;
        for (i, (add, f, v)) in steps.into_iter().enumerate() {
            if add {
                prop_assert_eq!(hash.insert(&f, &v, &enc), model.insert(f, v).is_none());
            } else {
                prop_assert_eq!(hash.remove(&f), model.remove(&f).is_some());
            }
            if i == middle {
                kept = Some((hash.clone(), model.clone()));
            }
        }
        for (hash, model) in [Some((hash, model)), kept].into_iter().flatten() {
            for (f, v) in &model {
                prop_assert!(hash.contains(f));
                prop_assert_eq!(&hash.get(f).unwrap().to_vec(), v);
            }
            prop_assert_eq!(&texts(&hash), &model);
            let mut seen = BTreeMap::new();
            let mut cursor = 0;
            loop {
                cursor = hash.scan(cursor, 7, &mut |f, v| {
                    seen.insert(f.to_vec(), v.to_vec());
                });
                if cursor == 0 {
                    break;
                }
            }
            prop_assert_eq!(seen, model);
        }
    }
}

#[test]
fn fields_expire_as_in_a_model() {
    let enc = Encodings::default();
    let mut rng = fastrand::Rng::with_seed(3);
    for fields in [10, 300, 5000] {
        let mut hash = Hash::new();
        let mut model: BTreeMap<Vec<u8>, (u32, Option<i64>)> = BTreeMap::new();
        let mut now_ms = 1000;
        for step in 0..10 * fields {
            let field = format!("field:{}", rng.u32(..fields)).into_bytes();
            let value = step.to_string();
            let there = model.contains_key(&field);
            match rng.u8(..8) {
                0 | 1 => {
                    assert_eq!(hash.insert(&field, value.as_bytes(), &enc), !there);
                    model.insert(field, (step, None));
                }
                2 => {
                    assert_eq!(hash.replace(&field, value.as_bytes(), &enc), !there);
                    let moment = model.get(&field).and_then(|(_, moment)| *moment);
                    model.insert(field, (step, moment));
                }
                3..6 => {
                    let moment = rng.bool().then(|| now_ms + rng.i64(0..500));
                    assert_eq!(hash.set_moment(&field, moment, &enc), there);
                    model.entry(field).and_modify(|(_, at)| *at = moment);
                }
                6 => assert_eq!(hash.remove(&field), model.remove(&field).is_some()),
                _ => {
                    now_ms += rng.i64(0..20);
                    let shared = hash.clone();
                    hash.take_due(now_ms, usize::MAX, &mut |field| {
                        let (_, moment) = model.remove(field).expect("it was there");
                        assert!(moment.is_some_and(|moment| moment < now_ms));
                    });
                    assert!(shared.len() >= hash.len());
                }
            }
            let earliest = model.values().filter_map(|(_, moment)| *moment).min();
            assert!(hash.earliest_moment() <= earliest.unwrap_or(i64::MAX));
            assert_eq!(hash.len(), model.len());
        }
        let held: BTreeMap<_, _> = hash
            .held()
            .map(|(field, value, moment)| (field.to_vec(), (value.to_vec(), moment)))
            .collect();
        let want = model.iter().map(|(field, (value, moment))| {
            (field.clone(), (value.to_string().into_bytes(), *moment))
        });
        assert_eq!(held, want.collect());
        let expiring = model.values().filter(|(_, moment)| moment.is_some());
        assert_eq!(hash.expiring_fields(), expiring.count());
    }
}

#[test]
fn fields_past_their_moment_are_not_seen() {
    let enc = Encodings::default();
    let mut hash = Hash::new();
    for n in 0..100 {
        hash.insert(format!("f{n}").as_bytes(), &[b'v'; 300], &enc);
        if n % 2 == 0 {
            hash.set_moment(format!("f{n}").as_bytes(), Some(n), &enc);
        }
    }
    hash.look_at(50);
    assert_eq!(
        (hash.len(), hash.seen(), hash.iter().count()),
        (100, 75, 75)
    );
    assert!(hash.get(b"f48").is_none() && !hash.contains(b"f0"));
    assert!(hash.get(b"f50").is_some() && hash.moment(b"f51") == Some(None));
    assert_eq!(hash.moment(b"f10"), None);
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..200 {
        let (field, _) = hash.random(&mut rng).expect("one");
        assert!(field.with(|field| hash.contains(field)));
    }
    // A hidden field that is set is a new one, and does not expire any more.
    assert!(hash.insert(b"f0", b"", &enc));
    hash.look_at(i64::MAX);
    assert_eq!(hash.seen(), 51);
    hash.look_at(i64::MIN);
    assert_eq!(hash.seen(), 100);
}

#[test]
fn a_field_that_expires_costs_its_moment() {
    let enc = Encodings::default();
    let mut hash = Hash::new();
    let fields = 200_000;
    for n in 0..fields {
        // Of several lengths, since memory comes in steps of sixteen bytes.
        let value = "v".repeat(n as usize % 32);
        hash.insert(format!("field:{n:08}").as_bytes(), value.as_bytes(), &enc);
    }
    let before = hash.memory();
    for n in 0..fields {
        hash.set_moment(format!("field:{n:08}").as_bytes(), Some(n), &enc);
    }
    let each = (hash.memory() - before) as f64 / fields as f64;
    assert!(each < 14.0, "{each}");
}
