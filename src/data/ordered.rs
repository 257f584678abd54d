//! The ordered side of a large sorted set: a B+tree of members by score, then bytes, that counts.
//!
//! Each inner entry knows how many members lie below it, so ranks cost O(log n) both ways, and a span of
//! scores or names is two ranks. Nodes are [`SharedVec`]s: a clone of the tree is one reference, and a
//! write copies the nodes on its path that are shared (path copying), so a clone of any size is O(1).
//!
//! Leaves keep each member's score beside the reference, so a search reads member bytes only where scores
//! tie. There are no sibling links (they could not be shared); an iterator that leaves a leaf goes down
//! again by rank, once in some fifty members.
//!
//! Invariants:
//! - Entries are strictly rising by (score, bytes); a leaf entry's score is its member's.
//! - An inner entry's separator is a lower bound of what lies below it and above all that lies before it.
//!   The first separator of a node is never looked at. Separators may outlive the member they came from.
//! - An inner entry's count is the number of members below it.
//! - No node but the root is empty, and none holds more than `MAX`.

use std::cmp::Ordering;
use std::ops::Range;

use super::member::Member;
use super::prefetch::Prefetch;
use super::shared_vec::SharedVec;

/// A leaf of 63 entries and its header make 1 KB.
const MAX: usize = 63;
/// A node that has fewer is merged with its neighbour or filled up from it.
const MIN: usize = MAX / 4;
/// Two nodes that have no more together become one; less than `MAX`, so that the next insertion does not
/// split them again.
const MERGED_MAX: usize = MAX * 3 / 4;

#[derive(Clone, Debug)]
pub struct Entry {
    pub(crate) score: f64,
    pub(crate) member: Member,
}

#[derive(Clone, Debug)]
struct Child {
    score: f64,
    member: Member,
    count: usize,
    node: Node,
}

#[derive(Clone, Debug)]
enum Node {
    Leaf(SharedVec<Entry>),
    Inner(SharedVec<Child>),
}

/// Scores are never NaN; -0 and 0 are equal, as for Redis.
fn compare(score: f64, bytes: &[u8], other_score: f64, other: &Member) -> Ordering {
    match score.partial_cmp(&other_score) {
        Some(Ordering::Equal) | None => bytes.cmp(other.bytes()),
        Some(order) => order,
    }
}

fn leaf_position(entries: &[Entry], score: f64, bytes: &[u8]) -> Result<usize, usize> {
    entries.binary_search_by(|e| compare(score, bytes, e.score, &e.member).reverse())
}

/// Which child a key belongs to.
fn child_position(children: &[Child], score: f64, bytes: &[u8]) -> usize {
    let seps = children.get(1..).unwrap_or_default();
    seps.partition_point(|c| compare(score, bytes, c.score, &c.member) != Ordering::Less)
}

/// What an insertion into a node asks of its parent.
struct Split {
    right: Child,
}

impl Node {
    fn len(&self) -> usize {
        match self {
            Node::Leaf(entries) => entries.len(),
            Node::Inner(children) => children.len(),
        }
    }

    fn count(&self) -> usize {
        match self {
            Node::Leaf(entries) => entries.len(),
            Node::Inner(children) => children.iter().map(|c| c.count).sum(),
        }
    }

    /// Inserts an entry that is not there. `first` and `last` say whether this node is at that edge of the
    /// whole tree: a node that overflows there is not halved, so that a set built in order has full nodes.
    fn insert(&mut self, entry: Entry, first: bool, last: bool) -> Option<Split> {
        match self {
            Node::Leaf(entries) => {
                let at = match leaf_position(entries, entry.score, entry.member.bytes()) {
                    Ok(at) | Err(at) => at,
                };
                let split_at = split_position(entries.len(), at, first, last);
                let Some(split_at) = split_at else {
                    entries.insert(at, entry);
                    return None;
                };
                let mut right = entries.split_off(split_at);
                entries.shrink();
                if at < split_at || (at == split_at && split_at == 0) {
                    entries.insert(at, entry);
                } else {
                    right.insert(at - split_at, entry);
                }
                let head = right.first()?;
                let (score, member) = (head.score, head.member.clone());
                Some(Split {
                    right: Child {
                        score,
                        member,
                        count: right.len(),
                        node: Node::Leaf(right),
                    },
                })
            }
            Node::Inner(children) => {
                let at = child_position(children, entry.score, entry.member.bytes());
                let count = children.len();
                let child = &mut children.items_mut()[at];
                child.count += 1;
                let split = child
                    .node
                    .insert(entry, first && at == 0, last && at + 1 == count)?;
                child.count -= split.right.count;
                let at = at + 1;
                let Some(split_at) = split_position(count, at, first && at == 1, last) else {
                    children.insert(at, split.right);
                    return None;
                };
                // The new child must not become the first of the left part, nor the left part be empty.
                let split_at = split_at.max(1);
                let mut right = children.split_off(split_at);
                children.shrink();
                if at < split_at || (at == split_at && !right.is_empty()) {
                    children.insert(at, split.right);
                } else {
                    right.insert(at - split_at, split.right);
                }
                let head = right.first()?;
                let (score, member) = (head.score, head.member.clone());
                let node = Node::Inner(right);
                Some(Split {
                    right: Child {
                        score,
                        member,
                        count: node.count(),
                        node,
                    },
                })
            }
        }
    }

    fn remove(&mut self, score: f64, bytes: &[u8]) -> Option<Entry> {
        match self {
            Node::Leaf(entries) => {
                let at = leaf_position(entries, score, bytes).ok()?;
                let entry = entries.remove(at);
                entries.shrink();
                Some(entry)
            }
            Node::Inner(children) => {
                let at = child_position(children, score, bytes);
                let child = &mut children.items_mut()[at];
                let entry = child.node.remove(score, bytes)?;
                child.count -= 1;
                if child.node.len() < MIN {
                    mend(children, at);
                }
                Some(entry)
            }
        }
    }

    /// Removes the members of ranks `range`, which must be within the node and not all of it.
    fn remove_range(&mut self, range: Range<usize>, sink: &mut impl FnMut(&Entry)) {
        match self {
            Node::Leaf(entries) => {
                for entry in &entries[range.clone()] {
                    sink(entry);
                }
                entries.remove_range(range);
                entries.shrink();
            }
            Node::Inner(children) => {
                let mut gone: Option<Range<usize>> = None;
                let mut before = 0;
                for (at, child) in children.items_mut().iter_mut().enumerate() {
                    let start = range.start.saturating_sub(before).min(child.count);
                    let end = range.end.saturating_sub(before).min(child.count);
                    before += child.count;
                    if start >= end {
                        continue;
                    }
                    if end - start == child.count {
                        child.node.for_each(sink);
                        gone = Some(gone.map_or(at, |g| g.start)..at + 1);
                    } else {
                        child.node.remove_range(start..end, sink);
                        child.count -= end - start;
                    }
                }
                let edge = match gone {
                    Some(gone) => {
                        let edge = gone.start;
                        children.remove_range(gone);
                        edge
                    }
                    // At most two neighbours were cut.
                    None => (child_of_rank(children, range.start)).map_or(0, |(at, _)| at + 1),
                };
                for at in [edge + 1, edge, edge.wrapping_sub(1)] {
                    if children.get(at).is_some_and(|c| c.node.len() < MIN) {
                        mend(children, at);
                    }
                }
                children.shrink();
            }
        }
    }

    fn for_each(&self, f: &mut impl FnMut(&Entry)) {
        match self {
            Node::Leaf(entries) => entries.iter().for_each(f),
            Node::Inner(children) => {
                for child in children.iter() {
                    child.node.for_each(f);
                }
            }
        }
    }

    /// Moves everything of `right`, whose separator is (score, member), to the end of this node.
    fn append(&mut self, right: Child) {
        match (self, right.node) {
            (Node::Leaf(left), Node::Leaf(right)) => left.append(right),
            (Node::Inner(left), Node::Inner(mut inner)) => {
                if let Some(head) = inner.items_mut().first_mut() {
                    // It was a first separator, which is not kept up to date; its parent's is right.
                    head.score = right.score;
                    head.member = right.member;
                }
                left.append(inner);
            }
            // All leaves are at one depth.
            _ => unreachable!("siblings of different kinds"),
        }
    }

    /// Splits at `at`, which must leave something on both sides.
    fn split_off(&mut self, at: usize) -> Option<Child> {
        match self {
            Node::Leaf(entries) => {
                let right = entries.split_off(at);
                entries.shrink();
                let head = right.first()?;
                Some(Child {
                    score: head.score,
                    member: head.member.clone(),
                    count: right.len(),
                    node: Node::Leaf(right),
                })
            }
            Node::Inner(children) => {
                let right = children.split_off(at);
                children.shrink();
                let head = right.first()?;
                let (score, member) = (head.score, head.member.clone());
                let node = Node::Inner(right);
                Some(Child {
                    score,
                    member,
                    count: node.count(),
                    node,
                })
            }
        }
    }
}

/// Where to split a node of `len` before something goes in at `at`; None if there is room.
fn split_position(len: usize, at: usize, first: bool, last: bool) -> Option<usize> {
    if len < MAX {
        None
    } else if last && at == len {
        Some(len)
    } else if first && at == 0 {
        Some(0)
    } else {
        Some(len / 2)
    }
}

/// Which child holds a rank, and the rank within it.
fn child_of_rank(children: &[Child], mut rank: usize) -> Option<(usize, usize)> {
    for (at, child) in children.iter().enumerate() {
        if rank < child.count {
            return Some((at, rank));
        }
        rank -= child.count;
    }
    None
}

/// Repairs the too small child `at`: drops it if empty, merges it with a neighbour or evens the two out.
fn mend(children: &mut SharedVec<Child>, at: usize) {
    if children[at].node.len() == 0 {
        children.remove(at);
        children.shrink();
        return;
    }
    if children.len() < 2 {
        return;
    }
    let left = at.saturating_sub(1);
    let right = children.remove(left + 1);
    let child = &mut children.items_mut()[left];
    child.count += right.count;
    let total = child.node.len() + right.node.len();
    child.node.append(right);
    if total > MERGED_MAX {
        if let Some(right) = child.node.split_off(total / 2) {
            child.count -= right.count;
            children.insert(left + 1, right);
        }
    } else {
        children.shrink();
    }
}

/// The tree.
#[derive(Clone, Debug)]
pub(crate) struct Ordered {
    root: Node,
    len: usize,
}

impl Default for Ordered {
    fn default() -> Self {
        Ordered::new()
    }
}

impl Ordered {
    pub(crate) fn new() -> Ordered {
        Ordered {
            root: Node::Leaf(SharedVec::with_capacity(0)),
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a member under its own score. It must not be there.
    pub(crate) fn insert(&mut self, member: Member) {
        let entry = Entry {
            score: member.score(),
            member,
        };
        self.len += 1;
        let Some(split) = self.root.insert(entry, true, true) else {
            return;
        };
        let placeholder = Node::Leaf(SharedVec::with_capacity(0));
        let left = std::mem::replace(&mut self.root, placeholder);
        let mut children = SharedVec::with_capacity(2);
        children.push(Child {
            // Never looked at; any member will do.
            score: split.right.score,
            member: split.right.member.clone(),
            count: self.len - split.right.count,
            node: left,
        });
        children.push(split.right);
        self.root = Node::Inner(children);
    }

    /// Removes the entry with exactly this score and these bytes.
    pub(crate) fn remove(&mut self, score: f64, bytes: &[u8]) -> Option<Member> {
        let entry = self.root.remove(score, bytes)?;
        self.len -= 1;
        self.lower_root();
        Some(entry.member)
    }

    /// Removes a span of ranks, calling `sink` for each entry in it, in rising order.
    pub(crate) fn remove_span(&mut self, span: Range<usize>, mut sink: impl FnMut(&Entry)) {
        let span = span.start.min(self.len)..span.end.min(self.len);
        if span.start >= span.end {
            return;
        }
        if span.len() == self.len {
            self.root.for_each(&mut sink);
            *self = Ordered::new();
            return;
        }
        self.len -= span.len();
        self.root.remove_range(span, &mut sink);
        self.lower_root();
    }

    fn lower_root(&mut self) {
        while let Node::Inner(children) = &mut self.root {
            if children.len() != 1 {
                return;
            }
            self.root = children.remove(0).node;
        }
    }

    /// How many entries come before (score, bytes).
    pub(crate) fn rank(&self, score: f64, bytes: &[u8]) -> usize {
        self.count_before(|s, m| {
            let order = compare(score, bytes, s, m);
            order == Ordering::Greater
        })
    }

    /// How many entries from the lowest on satisfy `before`, which must hold for a prefix of the order.
    pub(crate) fn count_before(&self, before: impl Fn(f64, &Member) -> bool) -> usize {
        let mut rank = 0;
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(entries) => {
                    return rank + entries.partition_point(|e| before(e.score, &e.member));
                }
                Node::Inner(children) => {
                    let seps = children.get(1..).unwrap_or_default();
                    let at = seps.partition_point(|c| before(c.score, &c.member));
                    rank += children[..at].iter().map(|c| c.count).sum::<usize>();
                    node = &children[at].node;
                }
            }
        }
    }

    /// The leaf that holds a rank, and the place in it.
    fn leaf_of_rank(&self, rank: usize) -> Option<(&[Entry], usize)> {
        let mut node = &self.root;
        let mut rank = rank;
        loop {
            match node {
                Node::Leaf(entries) => return (rank < entries.len()).then_some((entries, rank)),
                Node::Inner(children) => {
                    let (at, within) = child_of_rank(children, rank)?;
                    node = &children[at].node;
                    rank = within;
                }
            }
        }
    }

    pub(crate) fn get(&self, rank: usize) -> Option<&Entry> {
        let (leaf, at) = self.leaf_of_rank(rank)?;
        leaf.get(at)
    }

    /// Entries of a span of ranks, rising, or falling from its end.
    pub(crate) fn range(&self, span: Range<usize>, rev: bool) -> OrderedRange<'_> {
        OrderedRange {
            tree: self,
            span: span.start.min(self.len)..span.end.min(self.len),
            rev,
            leaf: &[],
        }
    }

    /// Bytes of memory that the nodes hold, members not included; estimated from one path.
    pub(crate) fn heap_bytes(&self) -> usize {
        let mut node = &self.root;
        let mut nodes = 1;
        let mut total = 0;
        loop {
            match node {
                Node::Leaf(entries) => {
                    // Every leaf but this one is unknown; by count they cannot be off by much.
                    let per_entry = entries.heap_bytes() / entries.len().max(1);
                    return total + (per_entry.min(24) * self.len).max(entries.heap_bytes());
                }
                Node::Inner(children) => {
                    total += nodes * children.heap_bytes();
                    nodes *= children.len();
                    node = &children[children.len() / 2].node;
                }
            }
        }
    }
}

/// See [`Ordered::range`].
#[derive(Clone, Debug)]
pub struct OrderedRange<'a> {
    tree: &'a Ordered,
    /// Ranks not yet in `leaf`.
    span: Range<usize>,
    rev: bool,
    /// What is left of the current leaf's part.
    leaf: &'a [Entry],
}

impl<'a> OrderedRange<'a> {
    /// Takes up the next leaf.
    #[cold]
    fn refill(&mut self) -> Option<()> {
        if self.span.is_empty() {
            return None;
        }
        if self.rev {
            let (leaf, at) = self.tree.leaf_of_rank(self.span.end - 1)?;
            let from = (at + 1).saturating_sub(self.span.len());
            self.leaf = &leaf[from..=at];
            self.span.end -= self.leaf.len();
        } else {
            let (leaf, at) = self.tree.leaf_of_rank(self.span.start)?;
            let to = leaf.len().min(at + self.span.len());
            self.leaf = &leaf[at..to];
            self.span.start += self.leaf.len();
        }
        // The members lie all over memory: let their cache misses overlap.
        for entry in self.leaf {
            entry.member.prefetch();
        }
        Some(())
    }
}

impl<'a> Iterator for OrderedRange<'a> {
    type Item = &'a Entry;

    fn next(&mut self) -> Option<&'a Entry> {
        if self.leaf.is_empty() {
            self.refill()?;
        }
        let (entry, rest) = if self.rev {
            self.leaf.split_last()?
        } else {
            self.leaf.split_first()?
        };
        self.leaf = rest;
        Some(entry)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.leaf.len() + self.span.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for OrderedRange<'_> {}

#[cfg(test)]
#[path = "ordered_tests.rs"]
mod tests;
