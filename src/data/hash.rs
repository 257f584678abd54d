//! Hashes: listpack of field, value, ... or a segmented table of pairs. (being written)

use super::{Encodings, list::Item};

#[derive(Clone, Debug, Default)]
pub struct Hash {}

impl Hash {
    pub fn new() -> Hash {
        todo!()
    }
    pub fn len(&self) -> usize {
        todo!()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    pub fn get(&self, _field: &[u8]) -> Option<Item<'_>> {
        todo!()
    }
    /// True if the field is new.
    pub fn insert(&mut self, _field: &[u8], _value: &[u8], _enc: &Encodings) -> bool {
        todo!()
    }
    pub fn remove(&mut self, _field: &[u8]) -> bool {
        todo!()
    }
    pub fn contains(&self, field: &[u8]) -> bool {
        self.get(field).is_some()
    }
    pub fn iter(&self) -> Box<dyn Iterator<Item = (Item<'_>, Item<'_>)> + '_> {
        todo!()
    }
    pub fn random(&self, _rng: &mut fastrand::Rng) -> Option<(Item<'_>, Item<'_>)> {
        todo!()
    }
    /// As `Set::scan`.
    pub fn scan(&self, _cursor: u64, _count: usize, _f: &mut dyn FnMut(Item<'_>, Item<'_>)) -> u64 {
        todo!()
    }
    /// "listpack" or "hashtable".
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
    /// Takes over a listpack that has passed `listpack::validate`, has pairs and no field twice,
    /// and is not empty (RDB load). Goes to the large form if it has more entries than the threshold; sizes
    /// of values are not looked at, as in Redis.
    pub fn from_listpack(_bytes: &[u8], _enc: &Encodings) -> Hash {
        todo!()
    }
}
