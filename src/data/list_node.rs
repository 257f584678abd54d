//! One node of a list: a listpack with room at both ends.
//!
//! The listpack always lies complete in the buffer, header and end mark included, so it can be read and
//! saved as it is. It need not begin where the buffer begins: a push or pop at the head moves the six
//! bytes of the header instead of everything behind them, and an insertion or removal in the middle moves
//! whichever side is shorter.
//!
//! Invariants:
//! - `buf[start..end]` is a valid listpack of `count` elements.
//! - `buf.len()` is the whole allocation; what lies outside `start..end` is of no meaning.

use super::list::End;
use super::listpack::{Encoded, HEADER, View, back_size};
use super::shared_vec::size_class;

const EMPTY: [u8; 7] = [7, 0, 0, 0, 0, 0, 0xFF];
/// Below this a buffer is not worth shrinking, bytes.
const SHRINK_FROM: usize = 512;

#[derive(Clone)]
pub(crate) struct ListNode {
    buf: Vec<u8>,
    start: u32,
    end: u32,
    count: u32,
}

impl Default for ListNode {
    fn default() -> Self {
        ListNode::new()
    }
}

impl ListNode {
    pub(crate) fn new() -> ListNode {
        ListNode::with_room(EMPTY.len(), End::Tail)
    }

    /// An empty node with a buffer of so many bytes, the free part on the side where pushes will come.
    pub(crate) fn with_room(bytes: usize, end: End) -> ListNode {
        let bytes = size_class(bytes.max(EMPTY.len()));
        let mut buf = vec![0; bytes];
        let start = match end {
            End::Head => bytes - EMPTY.len(),
            End::Tail => 0,
        };
        buf[start..start + EMPTY.len()].copy_from_slice(&EMPTY);
        ListNode {
            buf,
            start: start as u32,
            end: (start + EMPTY.len()) as u32,
            count: 0,
        }
    }

    /// Takes a listpack that has passed `listpack::validate`.
    pub(crate) fn from_listpack(bytes: Vec<u8>) -> ListNode {
        let count = View::from_validated_bytes(&bytes).len() as u32;
        ListNode {
            start: 0,
            end: bytes.len() as u32,
            buf: bytes,
            count,
        }
    }

    /// The listpack.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buf[self.start as usize..self.end as usize]
    }

    #[inline]
    pub(crate) fn view(&self) -> View<'_> {
        View::from_validated_bytes(self.bytes())
    }

    /// How many elements.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.count as usize
    }

    /// Length of the listpack, bytes.
    #[inline]
    pub(crate) fn byte_len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Bytes of memory that the buffer holds.
    pub(crate) fn heap_bytes(&self) -> usize {
        size_class(self.buf.len())
    }

    /// Adds an element at an end. `limit` is the size that a node is expected to reach, bytes: the buffer
    /// grows up to it by doubling, and past it only as far as it must.
    pub(crate) fn push(&mut self, end: End, value: &[u8], limit: usize) {
        let at = match end {
            End::Head => HEADER,
            End::Tail => self.byte_len() - 1,
        };
        self.insert(at, value, limit);
    }

    /// Inserts before the element at a position, or at the end if it is that of the end mark.
    pub(crate) fn insert(&mut self, at: usize, value: &[u8], limit: usize) {
        let value = Encoded::of(value);
        let size = value.size();
        let gap = self.splice(at, 0, size + back_size(size), limit);
        value.write(gap);
        self.set_count(self.count + 1);
    }

    /// Puts another value in the place of the element at a position.
    pub(crate) fn replace(&mut self, at: usize, value: &[u8], limit: usize) {
        let remove = self.view().after(at) - at;
        let value = Encoded::of(value);
        let size = value.size();
        let gap = self.splice(at, remove, size + back_size(size), limit);
        value.write(gap);
    }

    /// Removes the first or last element. Nothing happens to an empty node.
    pub(crate) fn drop_end(&mut self, end: End) {
        let view = self.view();
        let at = match end {
            End::Head => view.first(),
            End::Tail => view.last(),
        };
        if let Some(at) = at {
            self.delete(at, 1);
        }
    }

    /// Removes up to `count` elements from a position on.
    pub(crate) fn delete(&mut self, at: usize, count: usize) {
        let view = self.view();
        let end = self.byte_len() - 1;
        let mut to = at;
        let mut gone = 0;
        while gone < count && to < end {
            to = view.after(to);
            gone += 1;
        }
        self.splice(at, to - at, 0, 0);
        self.set_count(self.count - gone as u32);
        self.shrink();
    }

    /// Removes `count` elements from an index on.
    pub(crate) fn delete_span(&mut self, index: usize, count: usize) {
        if count == 0 {
            return;
        }
        if index + count >= self.count() {
            // To the end: no need to look at what goes.
            if let Some(at) = self.view().seek(index as i64) {
                let rest = self.byte_len() - 1 - at;
                self.splice(at, rest, 0, 0);
                self.set_count(index as u32);
                self.shrink();
            }
        } else if let Some(at) = self.view().seek(index as i64) {
            self.delete(at, count);
        }
    }

    /// Moves the elements from an index on into a node of their own.
    pub(crate) fn split_off(&mut self, index: usize) -> ListNode {
        let end = self.byte_len() - 1;
        let at = self.view().seek(index as i64).unwrap_or(end);
        let mut right = ListNode::with_room(EMPTY.len() + end - at, End::Tail);
        let gap = right.splice(HEADER, 0, end - at, 0);
        gap.copy_from_slice(&self.bytes()[at..end]);
        right.set_count(self.count - index as u32);
        self.splice(at, end - at, 0, 0);
        self.set_count(index as u32);
        self.shrink();
        right
    }

    /// Adds all of another node's elements at the end.
    pub(crate) fn append(&mut self, other: &ListNode, limit: usize) {
        let more = &other.bytes()[HEADER..other.byte_len() - 1];
        let at = self.byte_len() - 1;
        let gap = self.splice(at, 0, more.len(), limit);
        gap.copy_from_slice(more);
        self.set_count(self.count + other.count);
    }

    fn set_count(&mut self, count: u32) {
        self.count = count;
        let stated = u16::try_from(count).unwrap_or(u16::MAX);
        let at = self.start as usize + 4;
        self.buf[at..at + 2].copy_from_slice(&stated.to_le_bytes());
    }

    /// Replaces `remove` bytes at an offset of the listpack by a gap of `insert` bytes, for the caller to
    /// fill, and writes the new length. Moves the shorter side.
    fn splice(&mut self, at: usize, remove: usize, insert: usize, limit: usize) -> &mut [u8] {
        if insert > remove {
            self.make_room(at, remove, insert - remove, limit);
        }
        let (start, end) = (self.start as usize, self.end as usize);
        let (gap, gap_end) = (start + at, start + at + remove);
        let front_is_shorter = at < end - gap_end;
        let gap = if insert > remove {
            let more = insert - remove;
            let front_fits = start >= more;
            let back_fits = self.buf.len() - end >= more;
            if front_fits && (front_is_shorter || !back_fits) {
                self.buf.copy_within(start..gap, start - more);
                self.start -= more as u32;
                gap - more
            } else {
                self.buf.copy_within(gap_end..end, gap_end + more);
                self.end += more as u32;
                gap
            }
        } else {
            let less = remove - insert;
            if front_is_shorter {
                self.buf.copy_within(start..gap, start + less);
                self.start += less as u32;
                gap + less
            } else {
                self.buf.copy_within(gap_end..end, gap_end - less);
                self.end -= less as u32;
                gap
            }
        };
        let start = self.start as usize;
        let total = self.end - self.start;
        self.buf[start..start + 4].copy_from_slice(&total.to_le_bytes());
        &mut self.buf[gap..gap + insert]
    }

    /// Sees to it that `more` bytes fit on one side.
    fn make_room(&mut self, at: usize, remove: usize, more: usize, limit: usize) {
        let (start, end) = (self.start as usize, self.end as usize);
        let (used, cap) = (end - start, self.buf.len());
        let at_head = at < used - at - remove;
        let free = cap - used;
        let near = if at_head { start } else { cap - end };
        if near >= more {
            return;
        }
        let needed = used + more;
        let wanted = if needed < 1024 {
            needed + needed / 4
        } else {
            needed * 2
        };
        let bytes = size_class(wanted.min(limit).max(needed));
        // Sliding pays when it makes room for many pushes to come, or when a new buffer would be no bigger.
        if free >= more && (free - more >= cap / 4 || bytes <= cap) {
            let far = (free - more) / 4;
            let to = if at_head { free - far } else { far };
            self.buf.copy_within(start..end, to);
            self.start = to as u32;
            self.end = (to + used) as u32;
            return;
        }
        // Offsets are 32 bits, as the layout's own length is; commands refuse such values long before.
        assert!(bytes <= u32::MAX as usize, "a list node of {bytes} bytes");
        self.relocate(bytes, if at_head { bytes - used } else { 0 });
    }

    /// Moves the listpack to a new buffer of so many bytes, beginning at `start`.
    fn relocate(&mut self, bytes: usize, start: usize) {
        let used = self.byte_len();
        let mut buf = vec![0; bytes];
        buf[start..start + used].copy_from_slice(self.bytes());
        self.buf = buf;
        self.start = start as u32;
        self.end = (start + used) as u32;
    }

    /// Gives memory back when most of the buffer is free.
    fn shrink(&mut self) {
        let used = self.byte_len();
        if self.buf.len() > SHRINK_FROM && used < self.buf.len() / 4 {
            self.relocate(size_class(used * 2), used / 2);
        }
    }
}

impl std::fmt::Debug for ListNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.view().iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::listpack::validate;
    use super::*;

    #[derive(Clone, Debug)]
    enum Op {
        Push(bool, usize),
        Pop(bool),
        Insert(usize, usize),
        Replace(usize, usize),
        Delete(usize, usize),
        SplitAndAppend(usize),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            6 => (any::<bool>(), 0usize..300).prop_map(|(h, n)| Op::Push(h, n)),
            3 => any::<bool>().prop_map(Op::Pop),
            2 => (any::<usize>(), 0usize..300).prop_map(|(i, n)| Op::Insert(i, n)),
            2 => (any::<usize>(), 0usize..300).prop_map(|(i, n)| Op::Replace(i, n)),
            1 => (any::<usize>(), 0usize..20).prop_map(|(i, n)| Op::Delete(i, n)),
            1 => any::<usize>().prop_map(Op::SplitAndAppend),
        ]
    }

    /// Integers and strings of many lengths.
    fn value(n: usize) -> Vec<u8> {
        match n % 3 {
            0 => n.to_string().into_bytes(),
            _ => vec![b'a' + (n % 26) as u8; n],
        }
    }

    fn end(head: bool) -> End {
        if head { End::Head } else { End::Tail }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn behaves_as_vec(ops in prop::collection::vec(op(), 0..300), limit in 0usize..9000) {
            let mut node = ListNode::new();
            let mut model: Vec<Vec<u8>> = Vec::new();
            for op in ops {
                let len = model.len();
                let place = |node: &ListNode, i: usize| {
                    node.view().seek(i as i64).unwrap_or(node.byte_len() - 1)
                };
                match op {
                    Op::Push(head, n) => {
                        node.push(end(head), &value(n), limit);
                        model.insert(if head { 0 } else { len }, value(n));
                    }
                    Op::Pop(head) if len > 0 => {
                        node.drop_end(end(head));
                        model.remove(if head { 0 } else { len - 1 });
                    }
                    Op::Insert(i, n) => {
                        let i = i % (len + 1);
                        node.insert(place(&node, i), &value(n), limit);
                        model.insert(i, value(n));
                    }
                    Op::Replace(i, n) if len > 0 => {
                        node.replace(place(&node, i % len), &value(n), limit);
                        model[i % len] = value(n);
                    }
                    Op::Delete(i, n) => {
                        let i = i % (len + 1);
                        let n = n.min(len - i);
                        node.delete_span(i, n);
                        model.drain(i..i + n);
                    }
                    Op::SplitAndAppend(i) => {
                        let right = node.split_off(i % (len + 1));
                        prop_assert_eq!(right.count(), len - i % (len + 1));
                        node.append(&right, limit);
                    }
                    _ => {}
                }
                prop_assert_eq!(validate(node.bytes()), Ok(model.len()));
                prop_assert_eq!(node.count(), model.len());
                prop_assert!(node.view().iter().map(|i| i.to_vec()).eq(model.iter().cloned()));
            }
        }
    }

    #[test]
    fn a_full_node_wastes_nothing() {
        for head in [false, true] {
            let mut node = ListNode::new();
            while node.byte_len() + 14 <= 8192 {
                node.push(end(head), b"value:123456", 8192);
            }
            assert_eq!((node.count(), node.heap_bytes()), (584, 8192));
        }
    }
}
