//! Sets: intset, listpack, or a segmented table of members. (being written)

use super::{Encodings, list::Item};

#[derive(Clone, Debug, Default)]
pub struct Set {}

impl Set {
    pub fn new() -> Set {
        todo!()
    }
    pub fn len(&self) -> usize {
        todo!()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    pub fn contains(&self, _member: &[u8]) -> bool {
        todo!()
    }
    /// True if it was not there.
    pub fn insert(&mut self, _member: &[u8], _enc: &Encodings) -> bool {
        todo!()
    }
    /// True if it was there. May go back to no smaller encoding (as Redis).
    pub fn remove(&mut self, _member: &[u8]) -> bool {
        todo!()
    }
    pub fn iter(&self) -> Box<dyn Iterator<Item = Item<'_>> + '_> {
        todo!()
    }
    /// A uniformly random member; None if empty.
    pub fn random(&self, _rng: &mut fastrand::Rng) -> Option<Item<'_>> {
        todo!()
    }
    /// SCAN step: calls `f` for members from `cursor` on, about `count` of them, and gives the next cursor
    /// (0 at the end). Compact encodings give everything at once. Redis's SCAN guarantee holds across growth.
    pub fn scan(&self, _cursor: u64, _count: usize, _f: &mut dyn FnMut(Item<'_>)) -> u64 {
        todo!()
    }
    /// "intset", "listpack" or "hashtable".
    pub fn encoding(&self) -> &'static str {
        todo!()
    }
    pub fn memory(&self) -> usize {
        todo!()
    }
    /// The listpack's bytes while in that encoding, for RDB.
    pub fn as_listpack(&self) -> Option<&[u8]> {
        todo!()
    }
    /// Takes over a listpack that has passed `listpack::validate`, has no member twice,
    /// and is not empty (RDB load). Goes to the large form if it has more entries than the threshold; sizes
    /// of values are not looked at, as in Redis.
    pub fn from_listpack(_bytes: &[u8], _enc: &Encodings) -> Set {
        todo!()
    }
    /// The intset's bytes while in that encoding, for RDB.
    pub fn as_intset(&self) -> Option<&[u8]> {
        todo!()
    }
    /// As `from_listpack`, for bytes that have passed `intset::validate`.
    pub fn from_intset(_bytes: &[u8], _enc: &Encodings) -> Set {
        todo!()
    }
}
