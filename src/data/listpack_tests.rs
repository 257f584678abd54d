use proptest::prelude::*;

use super::*;

fn texts(listpack: &Listpack) -> Vec<Vec<u8>> {
    let forward: Vec<_> = listpack.iter().map(|i| i.to_vec()).collect();
    let mut backward: Vec<_> = listpack.iter().rev().map(|i| i.to_vec()).collect();
    backward.reverse();
    assert_eq!(forward, backward);
    forward
}

#[test]
fn the_bytes_are_those_of_redis() {
    let mut lp = Listpack::new();
    assert_eq!(lp.as_bytes(), EMPTY.0);
    lp.append_pair(b"hello", b"1");
    lp.append(b"-1");
    lp.append(b"300000");
    assert_eq!(
        lp.as_bytes(),
        [
            &[24, 0, 0, 0, 4, 0][..],
            b"\x85hello\x06",
            b"\x01\x01",
            b"\xdf\xff\x02",
            b"\xf2\xe0\x93\x04\x04",
            b"\xff"
        ]
        .concat()
    );
}

#[test]
fn every_encoding_comes_back() {
    let mut values: Vec<Vec<u8>> = vec![b"".to_vec(), b"007".to_vec(), b"-0".to_vec()];
    for shift in 0..64 {
        for near in [-1i64, 0, 1] {
            let n = (1i64 << shift).wrapping_add(near);
            values.push(n.to_string().into_bytes());
            values.push(n.wrapping_neg().to_string().into_bytes());
        }
    }
    for len in [
        1, 62, 63, 64, 65, 125, 126, 127, 4095, 4096, 16380, 16383, 70000, 2097160,
    ] {
        values.push(vec![b'x'; len]);
    }
    let lp: Listpack = values.iter().map(Vec::as_slice).collect();
    assert_eq!(validate(lp.as_bytes()), Ok(values.len()));
    assert_eq!(texts(&lp), values);
    for (i, value) in values.iter().enumerate() {
        let at = lp.seek(i as i64).unwrap();
        assert_eq!(lp.get(at).to_vec(), *value);
        assert_eq!(lp.seek(i as i64 - values.len() as i64), Some(at));
        let found = lp.find(HEADER, value, 1).unwrap();
        assert_eq!(lp.get(found).to_vec(), *value);
    }
    assert_eq!(lp.seek(values.len() as i64), None);
    assert_eq!(lp.seek(-1 - values.len() as i64), None);
}

#[test]
fn more_elements_than_the_header_counts() {
    let mut lp = Listpack::new();
    for i in 0..70_000 {
        lp.append_int(i % 100);
    }
    assert_eq!(lp.len(), 70_000);
    assert_eq!(validate(lp.as_bytes()), Ok(70_000));
    assert_eq!(lp.delete_many(HEADER, 69_999), 69_999);
    assert_eq!(lp.len(), 1);
    let tail = lp.split_off(HEADER);
    assert_eq!((lp.len(), tail.len()), (0, 1));
}

#[test]
fn a_find_with_steps_sees_fields_only() {
    let lp: Listpack = [&b"a"[..], b"b", b"b", b"c", b"7", b"8"]
        .into_iter()
        .collect();
    assert_eq!(lp.find(HEADER, b"c", 2), None);
    assert_eq!(lp.find(HEADER, b"b", 2), lp.seek(2));
    assert_eq!(lp.find(HEADER, b"7", 2), lp.seek(4));
    assert_eq!(lp.pairs().count(), 3);
    assert_eq!(lp.pairs().next_back(), Some((Item::Int(7), Item::Int(8))));
}

#[test]
fn integers_stored_as_text_by_others_are_found() {
    let foreign = b"\x0b\0\0\0\x01\0\x82\x31\x32\x03\xff";
    assert_eq!(validate(foreign), Ok(1));
    assert_eq!(
        View::from_validated_bytes(foreign).find(HEADER, b"12", 1),
        Some(HEADER)
    );
}

#[derive(Clone, Debug)]
enum Step {
    Insert(usize, Vec<u8>),
    Replace(usize, Vec<u8>),
    Delete(usize, usize),
    Split(usize),
    Append(Vec<u8>),
    Prepend(Vec<u8>),
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        (-5000i64..5000).prop_map(|n| n.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..80),
        (0usize..6000).prop_map(|n| vec![b'y'; n]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (any::<usize>(), value()).prop_map(|(i, v)| Step::Insert(i, v)),
        (any::<usize>(), value()).prop_map(|(i, v)| Step::Replace(i, v)),
        (any::<usize>(), 0usize..4).prop_map(|(i, n)| Step::Delete(i, n)),
        any::<usize>().prop_map(Step::Split),
        value().prop_map(Step::Append),
        value().prop_map(Step::Prepend),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn behaves_as_a_vector(steps in prop::collection::vec(step(), 1..60)) {
        let mut lp = Listpack::new();
        let mut model: Vec<Vec<u8>> = Vec::new();
        for step in steps {
            match step {
                Step::Insert(i, v) if !model.is_empty() => {
                    let i = i % model.len();
                    let at = lp.seek(i as i64).unwrap();
                    lp.insert(at, &v);
                    model.insert(i, v);
                }
                Step::Replace(i, v) if !model.is_empty() => {
                    let i = i % model.len();
                    let at = lp.seek(i as i64).unwrap();
                    lp.replace(at, &v);
                    model[i] = v;
                }
                Step::Delete(i, n) if !model.is_empty() => {
                    let i = i % model.len();
                    let at = lp.seek(i as i64).unwrap();
                    let gone = lp.delete_many(at, n);
                    let n = n.min(model.len() - i);
                    prop_assert_eq!(gone, n);
                    model.drain(i..i + n);
                }
                Step::Split(i) if !model.is_empty() => {
                    let i = i % model.len();
                    let at = lp.seek(i as i64).unwrap();
                    let tail = lp.split_off(at);
                    prop_assert_eq!(validate(tail.as_bytes()), Ok(model.len() - i));
                    lp.append_all(&tail);
                }
                Step::Append(v) | Step::Insert(_, v) | Step::Replace(_, v) => {
                    lp.append(&v);
                    model.push(v);
                }
                Step::Prepend(v) => {
                    lp.prepend(&v);
                    model.insert(0, v);
                }
                Step::Delete(..) | Step::Split(_) => {}
            }
            prop_assert_eq!(validate(lp.as_bytes()), Ok(model.len()));
            prop_assert_eq!(lp.len(), model.len());
        }
        prop_assert_eq!(texts(&lp), model);
        let copy = Listpack::from_bytes(lp.as_bytes()).unwrap();
        prop_assert_eq!(copy.as_bytes(), lp.as_bytes());
    }

    /// Whatever passes validation can be read in every way without a panic.
    #[test]
    fn damaged_bytes_are_refused_or_harmless(
        values in prop::collection::vec(value(), 1..12),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let lp: Listpack = values.iter().map(Vec::as_slice).collect();
        let mut bytes = lp.as_bytes().to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            if let Ok(count) = validate(bytes) {
                let view = View::from_validated_bytes(bytes);
                prop_assert_eq!(view.iter().count(), count);
                prop_assert_eq!(view.iter().rev().count(), count);
                let _ = (view.find(HEADER, b"nothing", 1), view.seek(-1), view.last());
            }
        }
    }
}
