//! The tree against a BTreeMap, across clones, and its invariants.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

impl Ordered {
    /// Checks the invariants of the whole tree.
    fn check(&self) {
        fn visit(node: &Node, root: bool, depth: usize, leaf_depth: &mut Option<usize>) -> usize {
            assert!(node.len() <= MAX);
            assert!(root || node.len() > 0);
            match node {
                Node::Leaf(entries) => {
                    assert_eq!(*leaf_depth.get_or_insert(depth), depth);
                    entries.len()
                }
                Node::Inner(children) => children
                    .iter()
                    .map(|c| {
                        assert_eq!(visit(&c.node, false, depth + 1, leaf_depth), c.count);
                        c.count
                    })
                    .sum(),
            }
        }
        assert_eq!(visit(&self.root, true, 0, &mut None), self.len);
        let all: Vec<_> = self.range(0..self.len, false).collect();
        assert_eq!(all.len(), self.len);
        for pair in all.windows(2) {
            let order = compare(
                pair[0].score,
                pair[0].member.bytes(),
                pair[1].score,
                &pair[1].member,
            );
            assert_eq!(order, Ordering::Less);
        }
        // Separators lead to every entry.
        for (rank, e) in all.iter().enumerate() {
            assert_eq!(self.rank(e.score, e.member.bytes()), rank);
        }
    }

    fn contents(&self) -> Vec<(i64, Vec<u8>)> {
        self.range(0..self.len, false)
            .map(|e| (e.score as i64, e.member.bytes().to_vec()))
            .collect()
    }
}

fn name(n: u32) -> Vec<u8> {
    format!("m{n}").into_bytes()
}

#[test]
fn built_in_order_it_is_full() {
    for reverse in [false, true] {
        let mut tree = Ordered::new();
        for i in 0..20_000u32 {
            let i = if reverse { 20_000 - i } else { i };
            tree.insert(Member::new(&name(i), f64::from(i)));
        }
        tree.check();
        assert!(tree.heap_bytes() < 20_000 * 18, "{}", tree.heap_bytes());
        assert_eq!(
            tree.get(19_999).map(|e| e.score),
            Some(if reverse { 20_000.0 } else { 19_999.0 })
        );
    }
}

#[derive(Clone, Debug)]
enum Op {
    Insert(i8, u32),
    InsertRun(i8, u32, u16),
    Remove(usize),
    RemoveSpan(usize, usize),
    Snapshot,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (any::<i8>(), any::<u32>()).prop_map(|(s, m)| Op::Insert(s, m)),
        3 => (any::<i8>(), any::<u32>(), 1u16..400).prop_map(|(s, m, n)| Op::InsertRun(s, m, n)),
        4 => any::<usize>().prop_map(Op::Remove),
        1 => (any::<usize>(), 0usize..3000).prop_map(|(i, n)| Op::RemoveSpan(i, n)),
        1 => Just(Op::Snapshot),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn behaves_as_btreemap(ops in prop::collection::vec(op(), 0..120)) {
        let mut tree = Ordered::new();
        let mut model: BTreeMap<(i64, Vec<u8>), ()> = BTreeMap::new();
        let mut kept = Vec::new();
        for op in ops {
            match op {
                Op::Insert(s, m) => {
                    if model.insert((i64::from(s), name(m)), ()).is_none() {
                        tree.insert(Member::new(&name(m), f64::from(s)));
                    }
                }
                Op::InsertRun(s, m, n) => {
                    for m in (0..u32::from(n)).map(|i| m.wrapping_add(i * 7919)) {
                        if model.insert((i64::from(s), name(m)), ()).is_none() {
                            tree.insert(Member::new(&name(m), f64::from(s)));
                        }
                    }
                }
                Op::Remove(i) if !model.is_empty() => {
                    let key = model.keys().nth(i % model.len()).cloned().unwrap();
                    model.remove(&key);
                    prop_assert!(tree.remove(key.0 as f64, &key.1).is_some());
                    prop_assert!(tree.remove(key.0 as f64, &key.1).is_none());
                }
                Op::RemoveSpan(i, n) => {
                    let start = i % (model.len() + 1);
                    let end = (start + n).min(model.len());
                    let gone: Vec<_> = model.keys().skip(start).take(end - start).cloned().collect();
                    let mut told = Vec::new();
                    tree.remove_span(start..end, |e| {
                        told.push((e.score as i64, e.member.bytes().to_vec()));
                    });
                    prop_assert_eq!(&told, &gone);
                    for key in gone {
                        model.remove(&key);
                    }
                }
                Op::Snapshot => kept.push((tree.clone(), model.clone())),
                Op::Remove(_) => {}
            }
            prop_assert_eq!(tree.len(), model.len());
        }
        kept.push((tree, model));
        for (tree, model) in &kept {
            tree.check();
            prop_assert!(tree.contents().iter().eq(model.keys()));
            let (a, b) = (model.len() / 3, model.len() * 2 / 3);
            prop_assert!(tree.range(a..b, true).map(|e| e.member.bytes().to_vec())
                .eq(model.keys().skip(a).take(b - a).rev().map(|k| k.1.clone())));
            prop_assert_eq!(tree.count_before(|s, _| s < 3.0), model.keys().filter(|k| k.0 < 3).count());
        }
    }
}
