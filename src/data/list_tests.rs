//! Lists against a plain deque, across clones; encodings and memory.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

fn limit(list_max_listpack_size: i32) -> Encodings {
    Encodings {
        list_max_listpack_size,
        ..Encodings::default()
    }
}

#[test]
fn encoding_follows_redis() {
    let enc = limit(3);
    let mut list = List::new();
    for value in ["a", "b", "c"] {
        list.push(End::Tail, value.as_bytes(), &enc);
        assert_eq!(list.encoding(), "listpack");
    }
    list.push(End::Tail, b"d", &enc);
    assert_eq!(list.encoding(), "quicklist");
    list.pop(End::Tail, &enc);
    list.pop(End::Tail, &enc);
    assert_eq!(list.encoding(), "quicklist");
    list.pop(End::Tail, &enc);
    assert_eq!((list.encoding(), list.len()), ("listpack", 1));

    // By size the sum of the values counts, before anything is pushed.
    let enc = Encodings::default();
    let mut list = List::new();
    let big = vec![b'x'; 8192 - 7];
    list.push(End::Head, &big, &enc);
    assert_eq!(list.encoding(), "listpack");
    list.push(End::Head, b"y", &enc);
    assert_eq!(list.encoding(), "quicklist");
    list.pop(End::Tail, &enc);
    assert_eq!(list.encoding(), "listpack");
}

#[test]
fn memory_of_a_million_small_values() {
    let enc = Encodings::default();
    let mut list = List::new();
    for i in 0..1_000_000 {
        list.push(End::Tail, format!("value:{i}").as_bytes(), &enc);
    }
    let per_item = list.memory() as f64 / list.len() as f64;
    assert!(per_item < 14.2, "{per_item}");
    assert_eq!(
        list.get(765_432).map(|i| i.to_vec()),
        Some(b"value:765432".to_vec())
    );
    assert_eq!(
        list.get(-1).map(|i| i.to_vec()),
        Some(b"value:999999".to_vec())
    );
}

#[derive(Clone, Debug)]
enum Op {
    Push(bool, Vec<usize>),
    Pop(bool),
    Set(i64, usize),
    Insert(usize, bool, usize),
    InsertMany(usize, bool, usize),
    Remove(usize, i64),
    RemoveSpan(usize, usize),
    Trim(usize, usize),
    Limit(i32),
    Snapshot,
}

fn op() -> impl Strategy<Value = Op> {
    let value = || 0usize..2000;
    prop_oneof![
        8 => (any::<bool>(), prop::collection::vec(value(), 1..80)).prop_map(|(h, v)| Op::Push(h, v)),
        4 => any::<bool>().prop_map(Op::Pop),
        2 => (any::<i64>(), value()).prop_map(|(i, n)| Op::Set(i, n)),
        2 => (any::<usize>(), any::<bool>(), value()).prop_map(|(i, a, n)| Op::Insert(i, a, n)),
        2 => (any::<usize>(), any::<bool>(), value()).prop_map(|(i, a, n)| Op::InsertMany(i, a, n)),
        2 => (any::<usize>(), -4i64..4).prop_map(|(i, n)| Op::Remove(i, n)),
        1 => (any::<usize>(), 0usize..300).prop_map(|(i, n)| Op::RemoveSpan(i, n)),
        1 => (0usize..50, 0usize..50).prop_map(|(a, b)| Op::Trim(a, b)),
        1 => prop_oneof![Just(-2), Just(-1), Just(1), Just(2), Just(5), Just(128)].prop_map(Op::Limit),
        1 => Just(Op::Snapshot),
    ]
}

/// Integers, short strings and now and then a long one; many alike.
fn value(n: usize) -> Vec<u8> {
    match n % 8 {
        0 | 1 => (n as i64 * 12_345 - 7).to_string().into_bytes(),
        2 if n > 1900 => vec![b'L'; n * 5],
        3 => vec![b'm'; n / 4],
        _ => format!("value:{}", n % 40).into_bytes(),
    }
}

fn end(head: bool) -> End {
    if head { End::Head } else { End::Tail }
}

fn check(list: &List, model: &VecDeque<Vec<u8>>) {
    assert_eq!(list.len(), model.len());
    assert!(list.iter().map(|i| i.to_vec()).eq(model.iter().cloned()));
    assert!(
        list.iter_from(End::Tail, 0)
            .map(|i| i.to_vec())
            .eq(model.iter().rev().cloned())
    );
    let mut total = 0;
    for bytes in list.nodes() {
        total += listpack::validate(bytes).unwrap();
    }
    assert_eq!(total, model.len());
    let len = model.len();
    if len > 0 {
        for i in [0, len / 3, len / 2, len - 1] {
            assert_eq!(
                list.get(i as i64).map(|x| x.to_vec()).as_ref(),
                model.get(i)
            );
            assert_eq!(
                list.get(i as i64 - len as i64).map(|x| x.to_vec()).as_ref(),
                model.get(i)
            );
            assert!(
                list.iter_from(End::Tail, i).map(|x| x.to_vec()).eq(model
                    .iter()
                    .rev()
                    .skip(i)
                    .cloned())
            );
            assert!(
                list.range(i, len - 1)
                    .map(|x| x.to_vec())
                    .eq(model.iter().skip(i).cloned())
            );
        }
        assert!(
            list.range(len / 3, len / 2).map(|x| x.to_vec()).eq(model
                .iter()
                .skip(len / 3)
                .take(len / 2 - len / 3 + 1)
                .cloned())
        );
    }
    assert!(list.get(len as i64).is_none() && list.get(-(len as i64) - 1).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn behaves_as_deque(ops in prop::collection::vec(op(), 0..100)) {
        let mut enc = limit(-2);
        let mut list = List::new();
        let mut model: VecDeque<Vec<u8>> = VecDeque::new();
        let mut kept = Vec::new();
        for op in ops {
            let len = model.len();
            match op {
                Op::Push(head, values) => {
                    let values: Vec<_> = values.into_iter().map(value).collect();
                    let slices: Vec<&[u8]> = values.iter().map(|v| &v[..]).collect();
                    list.push_all(end(head), &slices, &enc);
                    for v in values {
                        if head { model.push_front(v) } else { model.push_back(v) }
                    }
                }
                Op::Pop(head) => {
                    let want = if head { model.pop_front() } else { model.pop_back() };
                    prop_assert_eq!(list.pop(end(head), &enc), want);
                }
                Op::Set(i, n) if len > 0 => {
                    let i = i % (len as i64);
                    prop_assert!(list.set(i, &value(n), &enc));
                    let at = if i < 0 { (i + len as i64) as usize } else { i as usize };
                    model[at] = value(n);
                }
                Op::Insert(i, after, n) | Op::InsertMany(i, after, n) if len > 0 => {
                    let times = if matches!(op, Op::InsertMany(..)) { 60 } else { 1 };
                    let pivot = model[i % len].clone();
                    for k in 0..times {
                        let at = model.iter().position(|v| *v == pivot).unwrap();
                        prop_assert!(list.insert(&pivot, after, &value(n + k), &enc));
                        model.insert(at + usize::from(after), value(n + k));
                    }
                }
                Op::Remove(i, count) if len > 0 => {
                    let target = model[i % len].clone();
                    let limit = if count == 0 { usize::MAX } else { count.unsigned_abs() as usize };
                    let mut hits: Vec<_> = (0..len).filter(|&i| model[i] == target).collect();
                    if count < 0 { hits.reverse(); }
                    hits.truncate(limit);
                    hits.sort_by(|a, b| b.cmp(a));
                    for &i in &hits { model.remove(i); }
                    prop_assert_eq!(list.remove(&target, count, &enc), hits.len());
                }
                Op::RemoveSpan(i, n) => {
                    let i = i % (len + 1);
                    let n = n.min(len - i);
                    list.remove_span(i, n, &enc);
                    model.drain(i..i + n);
                }
                Op::Trim(front, back) if front + back < len => {
                    list.trim(front, len - 1 - back, &enc);
                    model.drain(len - back..);
                    model.drain(..front);
                }
                Op::Limit(fill) => enc = limit(fill),
                Op::Snapshot => kept.push((list.clone(), model.clone())),
                _ => {}
            }
            prop_assert_eq!(list.len(), model.len());
        }
        kept.push((list, model));
        for (list, model) in &kept {
            check(list, model);
        }
    }
}

#[test]
fn nodes_rebuild_the_list() {
    let enc = Encodings::default();
    let mut list = List::new();
    for i in 0..5000 {
        list.push(End::Head, format!("value:{i}").as_bytes(), &enc);
    }
    let mut copy = List::new();
    for node in list.nodes() {
        copy.push_node(node.to_vec(), &enc);
    }
    assert!(copy.iter().eq(list.iter()));
    assert_eq!(
        (copy.encoding(), copy.node_count()),
        ("quicklist", list.node_count())
    );
    let mut small = List::new();
    small.push_node(list.nodes().next().unwrap().to_vec(), &enc);
    assert_eq!(small.encoding(), "listpack");
}
