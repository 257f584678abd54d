//! Lists: one small node, or a quicklist of nodes once they outgrow it.
//!
//! A list is in "listpack" encoding while all of it fits the limits of one node
//! (`list-max-listpack-size`), and "quicklist" after that; it goes back when it has shrunk to one node
//! of at most half the limits, so that a list at the edge does not go to and fro. Both by Redis 7.2's
//! arithmetic, as OBJECT ENCODING shows it.

use std::ops::Range;
use std::sync::Arc;

use super::Encodings;
use super::list_node::ListNode;
use super::listpack;
use super::quicklist::{Position, Quicklist};
use crate::text::parse_int;

/// Which end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Head,
    Tail,
}

/// An element as a node holds it: listpacks keep integers as integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    Int(i64),
    Bytes(&'a [u8]),
}

impl<'a> Item<'a> {
    /// Calls `f` with the element's bytes, formatting an integer on the stack.
    pub fn with<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Item::Int(n) => f(itoa::Buffer::new().format(*n).as_bytes()),
            Item::Bytes(b) => f(b),
        }
    }

    pub fn to_vec(self) -> Vec<u8> {
        self.with(<[u8]>::to_vec)
    }
}

/// A value to look for: compared with integers and with strings without formatting either.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needle<'a> {
    text: &'a [u8],
    as_int: Option<i64>,
}

impl<'a> Needle<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Needle<'a> {
        Needle {
            text,
            as_int: parse_int(text),
        }
    }

    pub(crate) fn is(&self, item: Item<'_>) -> bool {
        match item {
            Item::Int(n) => self.as_int == Some(n),
            Item::Bytes(b) => b == self.text,
        }
    }
}

/// How much one node may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeLimits {
    pub(crate) bytes: usize,
    pub(crate) count: usize,
    /// The size limit is the one that was configured, not a safety net under a count.
    by_size: bool,
}

impl NodeLimits {
    /// Nodes limited by count are never larger than this unless one element is.
    const SAFE_BYTES: usize = 8192;

    pub(crate) fn of(enc: &Encodings) -> NodeLimits {
        match enc.list_max_listpack_size {
            fill @ 0.. => NodeLimits {
                bytes: Self::SAFE_BYTES,
                count: (fill as usize).max(1),
                by_size: false,
            },
            fill => NodeLimits {
                bytes: 4096 << fill.saturating_neg().clamp(1, 5).saturating_sub(1),
                count: usize::MAX,
                by_size: true,
            },
        }
    }

    /// Whether a node of so many bytes and elements is too much.
    pub(crate) fn exceeded(&self, bytes: usize, count: usize) -> bool {
        bytes > self.bytes || count > self.count
    }

    /// Whether an element of `len` bytes may join a node. Its encoding is taken to cost 8 bytes.
    pub(crate) fn admits(&self, node: &ListNode, len: usize) -> bool {
        !self.exceeded(node.byte_len() + len + 8, node.count() + 1)
    }

    /// Whether a quicklist of this one node should become a listpack.
    fn fits_half(&self, node: &ListNode) -> bool {
        let bytes = if self.by_size {
            self.bytes / 2
        } else {
            usize::MAX
        };
        node.byte_len() <= bytes && node.count() <= self.count / 2
    }
}

#[derive(Clone)]
pub struct List {
    repr: Repr,
}

#[derive(Clone)]
enum Repr {
    Small(ListNode),
    Large(Box<Quicklist>),
}

impl Default for List {
    fn default() -> Self {
        List::new()
    }
}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl List {
    pub fn new() -> List {
        List {
            repr: Repr::Small(ListNode::new()),
        }
    }

    #[inline]
    pub fn len(&self) -> usize {
        match &self.repr {
            Repr::Small(node) => node.count(),
            Repr::Large(quick) => quick.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an element at an end.
    pub fn push(&mut self, end: End, value: &[u8], enc: &Encodings) {
        self.push_all(end, &[value], enc);
    }

    /// Adds elements at an end one after another, so that the last one ends up outermost.
    pub(crate) fn push_all(&mut self, end: End, values: &[&[u8]], enc: &Encodings) {
        let limits = NodeLimits::of(enc);
        let bytes = values.iter().map(|v| v.len()).sum();
        self.make_room(bytes, values.len(), &limits);
        match &mut self.repr {
            Repr::Small(node) => {
                for value in values {
                    node.push(end, value, limits.bytes);
                }
            }
            Repr::Large(quick) => {
                for value in values {
                    quick.push(end, value, &limits);
                }
            }
        }
    }

    /// Becomes a quicklist if `count` more elements of `bytes` together would be too much for one node.
    /// Redis decides this before the change, by the plain length of the values.
    fn make_room(&mut self, bytes: usize, count: usize, limits: &NodeLimits) {
        if let Repr::Small(node) = &mut self.repr
            && limits.exceeded(node.byte_len() + bytes, node.count() + count)
        {
            let node = std::mem::take(node);
            self.repr = Repr::Large(Box::new(Quicklist::of_node(node)));
        }
    }

    /// Becomes a listpack again if it has become small enough.
    fn settle(&mut self, limits: &NodeLimits) {
        if let Repr::Large(quick) = &mut self.repr
            && quick.single_node().is_some_and(|n| limits.fits_half(n))
            && let Some(node) = quick.take_single_node()
        {
            self.repr = Repr::Small(node);
        }
    }

    /// Takes the element at an end.
    pub fn pop(&mut self, end: End, enc: &Encodings) -> Option<Vec<u8>> {
        self.pop_with(end, enc, |item| item.to_vec())
    }

    /// Takes the element at an end after showing it to `f`.
    pub fn pop_with<R>(
        &mut self,
        end: End,
        enc: &Encodings,
        f: impl FnOnce(Item<'_>) -> R,
    ) -> Option<R> {
        match &mut self.repr {
            Repr::Small(node) => {
                let view = node.view();
                let at = match end {
                    End::Head => view.first(),
                    End::Tail => view.last(),
                }?;
                let result = f(view.get(at));
                node.drop_end(end);
                Some(result)
            }
            Repr::Large(quick) => {
                let result = quick.pop_with(end, f)?;
                self.settle(&NodeLimits::of(enc));
                Some(result)
            }
        }
    }

    /// The place in 0..len of an index that may count from the tail.
    pub(crate) fn place(&self, index: i64) -> Option<usize> {
        let len = self.len();
        let index = if index < 0 {
            len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?
        } else {
            usize::try_from(index).ok()?
        };
        (index < len).then_some(index)
    }

    /// Negative indexes count from the tail.
    pub fn get(&self, index: i64) -> Option<Item<'_>> {
        let index = self.place(index)?;
        match &self.repr {
            Repr::Small(node) => node.view().at(index as i64),
            Repr::Large(quick) => quick.get(index),
        }
    }

    /// False if the index is out of range.
    pub(crate) fn set(&mut self, index: i64, value: &[u8], enc: &Encodings) -> bool {
        let limits = NodeLimits::of(enc);
        self.make_room(value.len(), 1, &limits);
        let Some(index) = self.place(index) else {
            return false;
        };
        match &mut self.repr {
            Repr::Small(node) => {
                if let Some(at) = node.view().seek(index as i64) {
                    node.replace(at, value, limits.bytes);
                }
            }
            Repr::Large(quick) => quick.set(index, value, &limits),
        }
        self.settle(&limits);
        true
    }

    /// Inserts before or after the first element equal to `pivot`; false if there is none.
    pub fn insert(&mut self, pivot: &[u8], after: bool, value: &[u8], enc: &Encodings) -> bool {
        let limits = NodeLimits::of(enc);
        self.make_room(value.len(), 1, &limits);
        match &mut self.repr {
            Repr::Small(node) => {
                let view = node.view();
                let Some(at) = view.find(listpack::HEADER, pivot, 1) else {
                    return false;
                };
                let at = if after { view.after(at) } else { at };
                node.insert(at, value, limits.bytes);
                true
            }
            Repr::Large(quick) => quick.insert_beside(pivot, after, value, &limits),
        }
    }

    /// Elements `start..=stop` (already clamped to 0..len), front to back.
    pub fn range(&self, start: usize, stop: usize) -> Iter<'_> {
        let mut iter = self.iter_from(End::Head, start);
        iter.left = iter.left.min((stop + 1).saturating_sub(start));
        iter
    }

    /// All elements from `end` inwards, from the `skip`th on.
    pub(crate) fn iter_from(&self, end: End, skip: usize) -> Iter<'_> {
        let left = self.len().saturating_sub(skip);
        let rev = end == End::Tail;
        if left == 0 {
            return Iter {
                nodes: None,
                items: ListpackIter::empty(),
                left,
                rev,
            };
        }
        let (nodes, node, index) = match &self.repr {
            Repr::Small(node) => {
                let index = if rev { left - 1 } else { skip };
                (None, node, index)
            }
            Repr::Large(quick) => {
                let index = if rev { left - 1 } else { skip };
                // `left > 0`, so the index is within the list.
                match quick.locate(index) {
                    Some((position, index)) => {
                        (Some((&**quick, position)), quick.node(position), index)
                    }
                    None => unreachable!("index {index} of {}", quick.len()),
                }
            }
        };
        Iter {
            nodes,
            items: ListpackIter::within(node, index, rev),
            left,
            rev,
        }
    }

    pub fn iter(&self) -> Iter<'_> {
        self.iter_from(End::Head, 0)
    }

    /// Removes elements equal to `value`: `count` > 0 from the head, < 0 from the tail, 0 all.
    pub(crate) fn remove(&mut self, value: &[u8], count: i64, enc: &Encodings) -> usize {
        let from = if count < 0 { End::Tail } else { End::Head };
        let limit = match usize::try_from(count.unsigned_abs()) {
            Ok(0) | Err(_) => usize::MAX,
            Ok(n) => n,
        };
        let gone = match &mut self.repr {
            Repr::Small(node) => remove_from_node(node, value, from, limit),
            Repr::Large(quick) => quick.remove(value, from, limit),
        };
        if gone > 0 {
            self.settle(&NodeLimits::of(enc));
        }
        gone
    }

    /// Removes `count` elements from an index on (both within the list).
    pub(crate) fn remove_span(&mut self, start: usize, count: usize, enc: &Encodings) {
        let count = count.min(self.len().saturating_sub(start));
        if count == 0 {
            return;
        }
        match &mut self.repr {
            Repr::Small(node) => node.delete_span(start, count),
            Repr::Large(quick) => quick.remove_span(start, count),
        }
        self.settle(&NodeLimits::of(enc));
    }

    /// Keeps only `start..=stop` (clamped); an empty range empties the list.
    pub(crate) fn trim(&mut self, start: usize, stop: usize, enc: &Encodings) {
        let len = self.len();
        if start > stop || start >= len {
            *self = List::new();
            return;
        }
        if stop + 1 < len {
            match &mut self.repr {
                Repr::Small(node) => node.delete_span(stop + 1, len - stop - 1),
                Repr::Large(quick) => quick.remove_span(stop + 1, len - stop - 1),
            }
        }
        self.remove_span(0, start, enc);
        self.settle(&NodeLimits::of(enc));
    }

    /// "listpack" while it is one small node, else "quicklist" (Redis 7.2).
    pub(crate) fn encoding(&self) -> &'static str {
        match &self.repr {
            Repr::Small(_) => "listpack",
            Repr::Large(_) => "quicklist",
        }
    }

    /// The listpack bytes of every node in order, for RDB's quicklist2.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &[u8]> + '_ {
        let (small, large) = match &self.repr {
            Repr::Small(node) => (Some(node), None),
            Repr::Large(quick) => (None, Some(quick.nodes())),
        };
        small
            .into_iter()
            .chain(large.into_iter().flatten())
            .map(ListNode::bytes)
    }

    /// As `nodes`, from a node's number on; whole chunks before it are passed over.
    pub(crate) fn nodes_from(&self, first: usize) -> impl Iterator<Item = &[u8]> + '_ {
        let (small, large) = match &self.repr {
            Repr::Small(node) => ((first == 0).then_some(node), None),
            Repr::Large(quick) => (None, Some(quick.nodes_from(first))),
        };
        small
            .into_iter()
            .chain(large.into_iter().flatten())
            .map(ListNode::bytes)
    }

    /// How many nodes there are; the length of `nodes()`.
    pub(crate) fn node_count(&self) -> usize {
        match &self.repr {
            Repr::Small(_) => 1,
            Repr::Large(quick) => quick.node_count(),
        }
    }

    /// Appends a validated listpack as a node (RDB load). The bytes must have passed `listpack::validate`.
    pub(crate) fn push_node(&mut self, listpack: Vec<u8>, enc: &Encodings) {
        let node = ListNode::from_listpack(listpack);
        if node.count() == 0 {
            return;
        }
        let limits = NodeLimits::of(enc);
        if let Repr::Small(own) = &mut self.repr {
            let own = std::mem::take(own);
            if own.count() == 0 && !limits.exceeded(node.byte_len(), node.count()) {
                self.repr = Repr::Small(node);
                return;
            }
            self.repr = Repr::Large(Box::new(Quicklist::of_node(own)));
        }
        if let Repr::Large(quick) = &mut self.repr {
            quick.push_node(node);
        }
    }

    /// Bytes of memory held, estimated (MEMORY USAGE).
    pub(crate) fn memory(&self) -> usize {
        size_of::<List>()
            + match &self.repr {
                Repr::Small(node) => node.heap_bytes(),
                Repr::Large(quick) => quick.heap_bytes(),
            }
    }
}

/// Removes up to `limit` elements equal to `value` from a node, beginning at an end; how many went.
pub(crate) fn remove_from_node(
    node: &mut ListNode,
    value: &[u8],
    from: End,
    limit: usize,
) -> usize {
    let view = node.view();
    let mut found = Vec::new();
    let mut at = listpack::HEADER;
    while let Some(hit) = view.find(at, value, 1) {
        found.push(hit);
        if from == End::Head && found.len() == limit {
            break;
        }
        at = view.after(hit);
    }
    let skip = found.len().saturating_sub(limit);
    let going = &found[if from == End::Tail { skip } else { 0 }..];
    // From the last one back, so that the positions still to come stay right.
    for at in going.iter().rev() {
        node.delete(*at, 1);
    }
    going.len()
}

/// A listpack's iterator that may begin anywhere.
#[derive(Clone, Debug)]
struct ListpackIter<'a>(listpack::Iter<'a>);

impl<'a> ListpackIter<'a> {
    fn empty() -> ListpackIter<'static> {
        const EMPTY: &[u8] = &[7, 0, 0, 0, 0, 0, 0xFF];
        ListpackIter(listpack::View::from_validated_bytes(EMPTY).iter())
    }

    /// From element `index` on, towards the end or (`rev`) towards the beginning.
    fn within(node: &'a ListNode, index: usize, rev: bool) -> ListpackIter<'a> {
        let view = node.view();
        ListpackIter(if rev {
            if index + 1 >= node.count() {
                view.iter()
            } else {
                match view.seek(index as i64 + 1) {
                    Some(at) => view.iter_until(at),
                    None => view.iter(),
                }
            }
        } else {
            match view.seek(index as i64) {
                Some(at) => view.iter_at(at),
                None => view.iter_at(view.as_bytes().len() - 1),
            }
        })
    }

    fn whole(node: &'a ListNode) -> ListpackIter<'a> {
        ListpackIter(node.view().iter())
    }
}

/// Elements of a list in either direction.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    /// The current node of a quicklist; None for a small list.
    nodes: Option<(&'a Quicklist, Position)>,
    items: ListpackIter<'a>,
    left: usize,
    rev: bool,
}

impl<'a> Iter<'a> {
    #[cold]
    fn next_node(&mut self) -> Option<()> {
        let (quick, position) = self.nodes?;
        let position = if self.rev {
            quick.before(position)?
        } else {
            quick.after(position)?
        };
        self.nodes = Some((quick, position));
        self.items = ListpackIter::whole(quick.node(position));
        Some(())
    }
}

impl Iter<'_> {
    /// The bytes of the element given last, to be held on to; None where its node isn't one that can be shared.
    pub(crate) fn share(&self, element: &[u8]) -> Option<SharedElement> {
        let (quick, position) = self.nodes?;
        let node = quick.share_node(position);
        let within = node.bytes().as_ptr_range();
        let start = element.as_ptr().addr().checked_sub(within.start.addr())?;
        let shared = SharedElement {
            range: start..start + element.len(),
            node,
        };
        (shared.range.end <= shared.node.byte_len()).then_some(shared)
    }
}

/// An element's bytes, shared with the list.
#[derive(Clone, Debug)]
pub(crate) struct SharedElement {
    node: Arc<ListNode>,
    range: Range<usize>,
}

impl AsRef<[u8]> for SharedElement {
    fn as_ref(&self) -> &[u8] {
        &self.node.bytes()[self.range.clone()]
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        if self.left == 0 {
            return None;
        }
        loop {
            let item = if self.rev {
                self.items.0.next_back()
            } else {
                self.items.0.next()
            };
            if item.is_some() {
                self.left -= 1;
                return item;
            }
            self.next_node()?;
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
