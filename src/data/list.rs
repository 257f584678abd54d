//! Lists: a deque of listpack nodes. (being written)

use super::Encodings;

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

    pub fn to_vec(&self) -> Vec<u8> {
        self.with(<[u8]>::to_vec)
    }
}

#[derive(Clone, Debug, Default)]
pub struct List {}

impl List {
    pub fn new() -> List {
        todo!()
    }
    pub fn len(&self) -> usize {
        todo!()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    pub fn push(&mut self, _end: End, _value: &[u8], _enc: &Encodings) {
        todo!()
    }
    pub fn pop(&mut self, _end: End) -> Option<Vec<u8>> {
        todo!()
    }
    /// Negative indexes count from the tail.
    pub fn get(&self, _index: i64) -> Option<Item<'_>> {
        todo!()
    }
    /// False if the index is out of range.
    pub fn set(&mut self, _index: i64, _value: &[u8], _enc: &Encodings) -> bool {
        todo!()
    }
    /// Inserts before or after the first element equal to `pivot`; false if there is none.
    pub fn insert(&mut self, _pivot: &[u8], _after: bool, _value: &[u8], _enc: &Encodings) -> bool {
        todo!()
    }
    /// Elements `start..=stop` (already clamped to 0..len), front to back.
    pub fn range(&self, _start: usize, _stop: usize) -> impl Iterator<Item = Item<'_>> {
        std::iter::empty()
    }
    /// All elements from `end` inwards, from the `skip`th on.
    pub fn iter_from(&self, _end: End, _skip: usize) -> Box<dyn Iterator<Item = Item<'_>> + '_> {
        todo!()
    }
    pub fn iter(&self) -> Box<dyn Iterator<Item = Item<'_>> + '_> {
        self.iter_from(End::Head, 0)
    }
    /// Removes elements equal to `value`: `count` > 0 from the head, < 0 from the tail, 0 all.
    pub fn remove(&mut self, _value: &[u8], _count: i64) -> usize {
        todo!()
    }
    /// Keeps only `start..=stop` (clamped); an empty range empties the list.
    pub fn trim(&mut self, _start: usize, _stop: usize) {
        todo!()
    }
    /// "listpack" while it is one small node, else "quicklist" (Redis 7.2).
    pub fn encoding(&self) -> &'static str {
        todo!()
    }
    /// The node sizes and listpack bytes in order, for RDB's quicklist2.
    pub fn nodes(&self) -> Box<dyn Iterator<Item = &[u8]> + '_> {
        todo!()
    }
    /// Appends a validated listpack as a node (RDB load). The bytes must have passed `listpack::validate`.
    pub fn push_node(&mut self, _listpack: Vec<u8>, _enc: &Encodings) {
        todo!()
    }
    /// Bytes of memory held, estimated (MEMORY USAGE).
    pub fn memory(&self) -> usize {
        todo!()
    }
}
