//! An ordered map whose nodes are shared between clones: what a stream's nodes, groups, consumers and pending
//! entries stand in.
//!
//! A B+tree of [`SharedVec`]s: a clone of any size is one reference, and a write copies the nodes on its path that
//! are shared, some sixty entries each. A node that overflows at the map's end is not halved, so that a map that
//! grows there has full nodes; that is how nearly all of these grow.
//!
//! Invariants:
//! - Keys rise strictly. All leaves are at one depth, and no node is empty.
//! - A child's key is a lower bound of what lies below it and above all that lies before it. The first child's is
//!   never looked at. Keys of children may outlive the entry that they came from.

use std::borrow::Borrow;

use smallvec::SmallVec;

use super::super::shared_vec::SharedVec;

/// Most entries of a node.
const MAX: usize = 63;
/// A node that has fewer is merged with its neighbour if both fit well into one.
const MIN: usize = MAX / 4;
/// Two neighbours that have no more together become one; less than `MAX`, so that the next insertion does not
/// split them again.
const MERGED_MAX: usize = MAX * 3 / 4;

/// See the module.
#[derive(Debug)]
pub(crate) struct Tree<K, V> {
    /// None: it is empty.
    root: Option<Node<K, V>>,
    len: usize,
}

#[derive(Debug)]
enum Node<K, V> {
    Leaf(SharedVec<(K, V)>),
    Inner(SharedVec<Child<K, V>>),
}

#[derive(Clone, Debug)]
struct Child<K, V> {
    key: K,
    node: Node<K, V>,
}

impl<K, V> Clone for Tree<K, V> {
    fn clone(&self) -> Self {
        Tree {
            root: self.root.clone(),
            len: self.len,
        }
    }
}

impl<K, V> Default for Tree<K, V> {
    fn default() -> Self {
        Tree { root: None, len: 0 }
    }
}

impl<K, V> Clone for Node<K, V> {
    fn clone(&self) -> Self {
        match self {
            Node::Leaf(entries) => Node::Leaf(entries.clone()),
            Node::Inner(children) => Node::Inner(children.clone()),
        }
    }
}

/// Which child a key belongs to.
fn child_of<K, V, Q>(children: &[Child<K, V>], key: &Q) -> usize
where
    K: Borrow<Q>,
    Q: Ord + ?Sized,
{
    let rest = children.get(1..).unwrap_or_default();
    rest.partition_point(|child| child.key.borrow() <= key)
}

/// Where a key is in a leaf, or would be.
fn place_of<K, V, Q>(entries: &[(K, V)], key: &Q) -> Result<usize, usize>
where
    K: Borrow<Q>,
    Q: Ord + ?Sized,
{
    entries.binary_search_by(|(own, _)| own.borrow().cmp(key))
}

impl<K: Ord + Clone, V: Clone> Node<K, V> {
    fn len(&self) -> usize {
        match self {
            Node::Leaf(entries) => entries.len(),
            Node::Inner(children) => children.len(),
        }
    }

    /// Inserts or replaces; gives what was there, and what the parent is to put behind this node. `last`: this node
    /// is at the map's end.
    fn insert(&mut self, key: K, value: V, last: bool) -> (Option<V>, Option<Child<K, V>>) {
        match self {
            Node::Leaf(entries) => match place_of(entries, &key) {
                Ok(at) => {
                    let old = std::mem::replace(&mut entries.items_mut()[at].1, value);
                    (Some(old), None)
                }
                Err(at) => (None, insert_split(entries, at, (key, value), last, leaf)),
            },
            Node::Inner(children) => {
                let at = child_of(children, &key);
                let last = last && at + 1 == children.len();
                let (old, right) = children.items_mut()[at].node.insert(key, value, last);
                let Some(right) = right else {
                    return (old, None);
                };
                (old, insert_split(children, at + 1, right, last, inner))
            }
        }
    }

    fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        match self {
            Node::Leaf(entries) => {
                let at = place_of(entries, key).ok()?;
                let (_, value) = entries.remove(at);
                entries.shrink();
                Some(value)
            }
            Node::Inner(children) => {
                let at = child_of(children, key);
                let child = &mut children.items_mut()[at];
                let value = child.node.remove(key)?;
                if child.node.len() < MIN {
                    mend(children, at);
                }
                Some(value)
            }
        }
    }

    /// Takes what is before a key out, and leaves the rest, which may be nothing; how many entries went.
    fn take_before<Q>(&mut self, key: &Q, front: &mut Vec<Node<K, V>>) -> usize
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        match self {
            Node::Leaf(entries) => {
                let (Ok(at) | Err(at)) = place_of(entries, key);
                if at > 0 {
                    let rest = entries.split_off(at);
                    front.push(Node::Leaf(std::mem::replace(entries, rest)));
                }
                at
            }
            Node::Inner(children) => {
                let at = child_of(children, key);
                let mut gone = 0;
                if at > 0 {
                    let rest = children.split_off(at);
                    let before = Node::Inner(std::mem::replace(children, rest));
                    gone += before.count();
                    front.push(before);
                }
                gone += children.items_mut()[0].node.take_before(key, front);
                if children[0].node.len() < MIN {
                    mend(children, 0);
                }
                gone
            }
        }
    }

    /// How many entries are below it.
    fn count(&self) -> usize {
        match self {
            Node::Leaf(entries) => entries.len(),
            Node::Inner(children) => children.iter().map(|child| child.node.count()).sum(),
        }
    }

    /// Moves everything of its right neighbour to its end.
    fn append(&mut self, right: Child<K, V>) {
        match (self, right.node) {
            (Node::Leaf(left), Node::Leaf(right)) => left.append(right),
            (Node::Inner(left), Node::Inner(mut inner)) => {
                if let Some(head) = inner.items_mut().first_mut() {
                    // It was a first child, whose key is not kept up to date; its parent's is right.
                    head.key = right.key;
                }
                left.append(inner);
            }
            // All leaves are at one depth.
            _ => unreachable!("neighbours of different kinds"),
        }
    }
}

fn leaf<K: Clone, V>(entries: SharedVec<(K, V)>) -> Child<K, V> {
    Child {
        key: entries[0].0.clone(),
        node: Node::Leaf(entries),
    }
}

fn inner<K: Clone, V>(children: SharedVec<Child<K, V>>) -> Child<K, V> {
    Child {
        key: children[0].key.clone(),
        node: Node::Inner(children),
    }
}

/// Inserts an item; of a full node a part becomes a child of its own, never an empty one.
fn insert_split<T: Clone, C>(
    items: &mut SharedVec<T>,
    at: usize,
    item: T,
    last: bool,
    child: impl FnOnce(SharedVec<T>) -> C,
) -> Option<C> {
    let len = items.len();
    if len < MAX {
        items.insert(at, item);
        return None;
    }
    let cut = if last && at == len { len } else { len / 2 };
    let mut right = items.split_off(cut);
    items.shrink();
    if at < cut {
        items.insert(at, item);
    } else {
        right.insert(at - cut, item);
    }
    Some(child(right))
}

/// Repairs the small child `at`: drops it if it is empty, joins it with a neighbour if both fit into one.
fn mend<K: Ord + Clone, V: Clone>(children: &mut SharedVec<Child<K, V>>, at: usize) {
    if children[at].node.len() == 0 {
        children.remove(at);
        children.shrink();
        return;
    }
    let left = at.saturating_sub(1);
    let Some(right) = children.get(left + 1) else {
        return;
    };
    if children[left].node.len() + right.node.len() <= MERGED_MAX {
        let right = children.remove(left + 1);
        children.items_mut()[left].node.append(right);
        children.shrink();
    }
}

impl<K: Ord + Clone, V: Clone> Tree<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mut node = self.root.as_ref()?;
        loop {
            match node {
                Node::Inner(children) => node = &children[child_of(children, key)].node,
                Node::Leaf(entries) => {
                    let at = place_of(entries, key).ok()?;
                    return Some(&entries[at].1);
                }
            }
        }
    }

    /// A value for writing: what is shared on the way to it is copied.
    pub(crate) fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mut node = self.root.as_mut()?;
        loop {
            match node {
                Node::Inner(children) => {
                    let at = child_of(children, key);
                    node = &mut children.items_mut()[at].node;
                }
                Node::Leaf(entries) => {
                    let at = place_of(entries, key).ok()?;
                    return Some(&mut entries.items_mut()[at].1);
                }
            }
        }
    }

    /// The last value, for writing.
    pub(crate) fn last_mut(&mut self) -> Option<&mut V> {
        let mut node = self.root.as_mut()?;
        loop {
            match node {
                Node::Inner(children) => node = &mut children.items_mut().last_mut()?.node,
                Node::Leaf(entries) => return Some(&mut entries.items_mut().last_mut()?.1),
            }
        }
    }

    pub(crate) fn first(&self) -> Option<(&K, &V)> {
        self.iter().next()
    }

    pub(crate) fn last(&self) -> Option<(&K, &V)> {
        let mut node = self.root.as_ref()?;
        loop {
            match node {
                Node::Inner(children) => node = &children.last()?.node,
                Node::Leaf(entries) => return entries.last().map(|(key, value)| (key, value)),
            }
        }
    }

    /// Inserts or replaces; gives what was there.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let Some(root) = &mut self.root else {
            let mut entries = SharedVec::with_capacity(1);
            entries.push((key, value));
            self.root = Some(Node::Leaf(entries));
            self.len = 1;
            return None;
        };
        let (old, right) = root.insert(key, value, true);
        self.len += usize::from(old.is_none());
        if let Some(right) = right
            && let Some(left) = self.root.take()
        {
            let mut children = SharedVec::with_capacity(2);
            // The first child's key is never looked at.
            children.push(Child {
                key: right.key.clone(),
                node: left,
            });
            children.push(right);
            self.root = Some(Node::Inner(children));
        }
        old
    }

    /// Takes an entry out. Nothing is copied if there is none.
    pub(crate) fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.get(key)?;
        let value = self.root.as_mut()?.remove(key)?;
        self.len -= 1;
        self.settle_root();
        Some(value)
    }

    /// Takes all entries before a key out, by whole nodes where it can.
    pub(crate) fn take_before<Q>(&mut self, key: &Q) -> Front<K, V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mut front = Vec::new();
        let Some(root) = &mut self.root else {
            return Front(front);
        };
        self.len -= root.take_before(key, &mut front);
        self.settle_root();
        Front(front)
    }

    /// An empty root goes, and one with a single child is replaced by that.
    fn settle_root(&mut self) {
        if self.len == 0 {
            self.root = None;
        }
        while let Some(Node::Inner(children)) = &mut self.root
            && children.len() == 1
        {
            let child = children.remove(0);
            self.root = Some(child.node);
        }
    }

    /// All entries in order.
    pub(crate) fn iter(&self) -> Iter<'_, K, V> {
        let mut cursor = Cursor::new();
        if let Some(root) = &self.root {
            cursor.descend(root, |_| 0, |_| 0);
        }
        Iter { cursor }
    }

    /// Entries from a key on, in order.
    pub(crate) fn iter_from<Q>(&self, key: &Q) -> Iter<'_, K, V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mut cursor = Cursor::new();
        if let Some(root) = &self.root {
            cursor.descend(
                root,
                |children| child_of(children, key),
                |entries| match place_of(entries, key) {
                    Ok(at) | Err(at) => at,
                },
            );
        }
        Iter { cursor }
    }

    /// Entries up to a key, which is the first, backwards.
    pub(crate) fn iter_back_from<Q>(&self, key: &Q) -> IterBack<'_, K, V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mut cursor = Cursor::new();
        if let Some(root) = &self.root {
            cursor.descend(
                root,
                |children| child_of(children, key),
                |entries| match place_of(entries, key) {
                    Ok(at) => at + 1,
                    Err(at) => at,
                },
            );
        }
        IterBack { cursor }
    }

    /// How many nodes it has.
    pub(crate) fn node_count(&self) -> usize {
        fn of<K, V>(node: &Node<K, V>) -> usize {
            match node {
                Node::Leaf(_) => 1,
                Node::Inner(children) => {
                    1 + children.iter().map(|child| of(&child.node)).sum::<usize>()
                }
            }
        }
        self.root.as_ref().map_or(0, of)
    }

    /// Bytes of memory that its nodes hold, without what their entries point to.
    pub(crate) fn heap_bytes(&self) -> usize {
        fn of<K, V>(node: &Node<K, V>) -> usize {
            match node {
                Node::Leaf(entries) => entries.heap_bytes(),
                Node::Inner(children) => {
                    let below: usize = children.iter().map(|child| of(&child.node)).sum();
                    children.heap_bytes() + below
                }
            }
        }
        self.root.as_ref().map_or(0, of)
    }
}

/// What was taken off a map's front: to be dropped.
#[derive(Debug)]
pub(crate) struct Front<K, V>(#[expect(dead_code, reason = "kept to be dropped")] Vec<Node<K, V>>);

/// An inner node's children, and which of them was taken.
type Taken<'a, K, V> = (&'a [Child<K, V>], usize);

/// A place between two entries, with the way to it.
struct Cursor<'a, K, V> {
    /// The inner nodes passed, and which child of each was taken.
    path: SmallVec<[Taken<'a, K, V>; 4]>,
    leaf: &'a [(K, V)],
    at: usize,
}

impl<'a, K, V> Cursor<'a, K, V> {
    fn new() -> Cursor<'a, K, V> {
        Cursor {
            path: SmallVec::new(),
            leaf: &[],
            at: 0,
        }
    }

    fn descend(
        &mut self,
        mut node: &'a Node<K, V>,
        child: impl Fn(&[Child<K, V>]) -> usize,
        place: impl FnOnce(&[(K, V)]) -> usize,
    ) {
        loop {
            match node {
                Node::Inner(children) => {
                    let at = child(children);
                    self.path.push((children, at));
                    node = &children[at].node;
                }
                Node::Leaf(entries) => {
                    self.leaf = entries;
                    self.at = place(entries);
                    return;
                }
            }
        }
    }

    /// Goes to the leaf behind this one, to its beginning; false if there is none.
    fn next_leaf(&mut self) -> bool {
        while let Some((children, at)) = self.path.pop() {
            if let Some(child) = children.get(at + 1) {
                self.path.push((children, at + 1));
                self.descend(&child.node, |_| 0, |_| 0);
                return true;
            }
        }
        false
    }

    /// Goes to the leaf before this one, to its end; false if there is none.
    fn leaf_before(&mut self) -> bool {
        while let Some((children, at)) = self.path.pop() {
            if let Some(before) = at.checked_sub(1) {
                self.path.push((children, before));
                let node = &children[before].node;
                self.descend(node, |children| children.len() - 1, |entries| entries.len());
                return true;
            }
        }
        false
    }
}

/// A walk forwards.
pub(crate) struct Iter<'a, K, V> {
    cursor: Cursor<'a, K, V>,
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        let cursor = &mut self.cursor;
        while cursor.at >= cursor.leaf.len() {
            if !cursor.next_leaf() {
                return None;
            }
        }
        let (key, value) = &cursor.leaf[cursor.at];
        cursor.at += 1;
        Some((key, value))
    }
}

/// A walk backwards.
pub(crate) struct IterBack<'a, K, V> {
    cursor: Cursor<'a, K, V>,
}

impl<'a, K, V> Iterator for IterBack<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        let cursor = &mut self.cursor;
        while cursor.at == 0 {
            if !cursor.leaf_before() {
                return None;
            }
        }
        cursor.at -= 1;
        let (key, value) = &cursor.leaf[cursor.at];
        Some((key, value))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Op {
        Insert(u16, u32),
        /// A run at the end, as ids come.
        Append(u8),
        Remove(u16),
        /// A run of the lowest.
        RemoveFront(u8),
        TakeBefore(u16),
        Change(u16),
        Look(u16),
        Snapshot,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            3 => (0u16..600, any::<u32>()).prop_map(|(k, v)| Op::Insert(k, v)),
            3 => any::<u8>().prop_map(Op::Append),
            4 => (0u16..600).prop_map(Op::Remove),
            1 => any::<u8>().prop_map(Op::RemoveFront),
            1 => (0u16..2000).prop_map(Op::TakeBefore),
            1 => (0u16..600).prop_map(Op::Change),
            2 => (0u16..1000).prop_map(Op::Look),
            1 => Just(Op::Snapshot),
        ]
    }

    /// All invariants, and the depth.
    fn check<K: Ord, V>(node: &Node<K, V>, least: Option<&K>, most: Option<&K>) -> usize {
        let within = |key: &K| least.is_none_or(|l| key >= l) && most.is_none_or(|m| key < m);
        match node {
            Node::Leaf(entries) => {
                assert!(!entries.is_empty() && entries.len() <= MAX);
                assert!(entries.iter().all(|(key, _)| within(key)));
                assert!(entries.is_sorted_by(|a, b| a.0 < b.0));
                1
            }
            Node::Inner(children) => {
                assert!(!children.is_empty() && children.len() <= MAX);
                let depths: Vec<usize> = (0..children.len())
                    .map(|at| {
                        let least = if at == 0 {
                            least
                        } else {
                            Some(&children[at].key)
                        };
                        let most = children.get(at + 1).map(|c| &c.key).or(most);
                        check(&children[at].node, least, most)
                    })
                    .collect();
                assert!(depths.iter().all(|depth| *depth == depths[0]));
                depths[0] + 1
            }
        }
    }

    fn same(tree: &Tree<u32, u32>, model: &BTreeMap<u32, u32>) {
        assert_eq!(tree.len(), model.len());
        assert!(tree.iter().eq(model.iter()));
        assert!(tree.iter_back_from(&u32::MAX).eq(model.iter().rev()));
        assert_eq!(tree.first(), model.first_key_value());
        assert_eq!(tree.last(), model.last_key_value());
        if let Some(root) = &tree.root {
            check(root, None, None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn behaves_as_a_map(ops in prop::collection::vec(op(), 0..120)) {
            let mut tree: Tree<u32, u32> = Tree::default();
            let mut model = BTreeMap::new();
            let mut kept = Vec::new();
            for op in ops {
                match op {
                    Op::Insert(key, value) => {
                        let key = u32::from(key);
                        prop_assert_eq!(tree.insert(key, value), model.insert(key, value));
                    }
                    Op::Append(count) => {
                        let from = model.last_key_value().map_or(0, |(key, _)| key + 1);
                        for key in from..from + u32::from(count) {
                            tree.insert(key, key);
                            model.insert(key, key);
                        }
                    }
                    Op::Remove(key) => {
                        let key = u32::from(key);
                        prop_assert_eq!(tree.remove(&key), model.remove(&key));
                    }
                    Op::RemoveFront(count) => {
                        for _ in 0..count {
                            let Some((key, value)) = model.pop_first() else { break };
                            prop_assert_eq!(tree.remove(&key), Some(value));
                        }
                    }
                    Op::TakeBefore(key) => {
                        let key = u32::from(key);
                        tree.take_before(&key);
                        model = model.split_off(&key);
                    }
                    Op::Change(key) => {
                        let key = u32::from(key);
                        let (ours, theirs) = (tree.get_mut(&key), model.get_mut(&key));
                        prop_assert_eq!(ours.is_some(), theirs.is_some());
                        if let (Some(ours), Some(theirs)) = (ours, theirs) {
                            *ours ^= 1;
                            *theirs ^= 1;
                        }
                        if let Some(mut last) = model.last_entry() {
                            *last.get_mut() ^= 2;
                            *tree.last_mut().unwrap() ^= 2;
                        }
                    }
                    Op::Look(key) => {
                        let key = u32::from(key);
                        prop_assert_eq!(tree.get(&key), model.get(&key));
                        prop_assert!(tree.iter_from(&key).eq(model.range(key..)));
                        prop_assert!(tree.iter_back_from(&key).eq(model.range(..=key).rev()));
                    }
                    Op::Snapshot => kept.push((tree.clone(), model.clone())),
                }
                same(&tree, &model);
            }
            for (tree, model) in &kept {
                same(tree, model);
            }
        }
    }
}
