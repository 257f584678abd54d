//! Hashes: a run of field, value, ..., or a segmented table of pairs, by Redis 7.2's rules.
//!
//! The small form counts as a listpack to commands and dumps, but is a [`Pack`], which is smaller.
//! A hash leaves the listpack when it passes a threshold of [`Encodings`] and never goes back. Cloning a
//! table shares its segments.
//!
//! Invariant: fields are distinct.

use super::Encodings;
use super::blob::Pair;
use super::hashing::hash;
use super::list::Item;
use super::listpack::View;
use super::pack::{self, Pack};
use super::prefetch::Probe;
use super::segtable::{self, SegTable};
use super::tagged_pointer::{Boxed, tagged_union};

/// The large form.
#[derive(Clone, Debug)]
struct Table {
    seed: u64,
    pairs: SegTable<Pair>,
}

impl Table {
    fn with_capacity(pairs: usize, enc: &Encodings) -> Table {
        Table {
            seed: enc.hash_seed,
            pairs: SegTable::with_capacity(pairs),
        }
    }

    fn get(&self, field: &[u8]) -> Option<&Pair> {
        self.pairs
            .find(hash(self.seed, field), |p| p.field() == field)
    }

    fn insert(&mut self, field: &[u8], value: &[u8]) -> bool {
        let seed = self.seed;
        let (pair, new) = self.pairs.find_or_insert(
            hash(seed, field),
            |p| p.field() == field,
            || Pair::new(field, value),
            |p| hash(seed, p.field()),
        );
        if !new {
            pair.set_value(value);
        }
        new
    }
}

tagged_union! { Listpack(Pack), Table(Boxed<Table>) }

/// A hash; one word.
#[derive(Clone, Debug)]
#[repr(transparent)]
pub struct Hash {
    repr: Repr,
}

impl Default for Hash {
    fn default() -> Self {
        Hash::new()
    }
}

/// A value shared with its hash.
#[derive(Clone, Debug)]
pub(crate) struct SharedValue(Pair);

impl AsRef<[u8]> for SharedValue {
    fn as_ref(&self) -> &[u8] {
        self.0.value()
    }
}

impl Hash {
    pub fn new() -> Hash {
        Hash {
            repr: Repr::from(Pack::new()),
        }
    }

    /// An empty hash that `count` pairs of an RDB are to be inserted into. A false count costs bounded memory.
    pub(crate) fn for_load(count: usize, enc: &Encodings) -> Hash {
        let mut hash = Hash::new();
        if count > enc.hash_max_listpack_entries {
            hash.make_table(count, enc);
        }
        hash
    }

    /// Takes over a listpack that has passed `listpack::validate`, has pairs and no field twice (RDB load).
    /// Goes to the large form if it has more entries than the threshold; sizes of values are not looked
    /// at, as in Redis.
    pub(crate) fn from_listpack(bytes: &[u8], enc: &Encodings) -> Hash {
        let mut hash = Hash {
            repr: Repr::from(Pack::from_listpack(View::from_validated_bytes(bytes))),
        };
        if hash.len() > enc.hash_max_listpack_entries {
            hash.make_table(0, enc);
        }
        hash
    }

    pub fn len(&self) -> usize {
        match self.repr.form() {
            Form::Listpack(l) => l.len() / 2,
            Form::Table(t) => t.pairs.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        match self.repr.form() {
            Form::Listpack(l) => l.is_empty(),
            Form::Table(t) => t.pairs.is_empty(),
        }
    }

    pub fn get(&self, field: &[u8]) -> Option<Item<'_>> {
        match self.repr.form() {
            Form::Listpack(l) => {
                let at = l.find(field, 2)?;
                l.next(at).map(|value| l.get(value))
            }
            Form::Table(t) => t.get(field).map(|p| Item::Bytes(p.value())),
        }
    }

    /// A field's value, to be held on to: long ones are not copied for it. None where it can't be shared.
    pub(crate) fn share(&self, field: &[u8]) -> Option<SharedValue> {
        match self.repr.form() {
            Form::Listpack(_) => None,
            Form::Table(t) => t.get(field).cloned().map(SharedValue),
        }
    }

    /// For [`Prefetcher`](super::prefetch::Prefetcher): where a large hash would have this field. A small one is
    /// prefetched as a whole.
    #[inline]
    pub(super) fn probe(&self, field: &[u8]) -> Option<Probe<'_, Pair>> {
        match self.repr.form() {
            Form::Table(t) => Some(t.pairs.probe(hash(t.seed, field))),
            Form::Listpack(pack) => {
                pack.prefetch();
                None
            }
        }
    }

    pub(crate) fn contains(&self, field: &[u8]) -> bool {
        match self.repr.form() {
            Form::Listpack(l) => l.find(field, 2).is_some(),
            Form::Table(t) => t.get(field).is_some(),
        }
    }

    /// Sets a field's value. True if the field is new.
    pub fn insert(&mut self, field: &[u8], value: &[u8], enc: &Encodings) -> bool {
        let pairs = match self.repr.form_mut() {
            FormMut::Table(t) => return t.insert(field, value),
            FormMut::Listpack(l) => l,
        };
        if field.len().max(value.len()) > enc.hash_max_listpack_value
            || !pairs.fits(Pack::cost(field) + Pack::cost(value))
        {
            return self.make_table(1, enc).insert(field, value);
        }
        if let Some(at) = pairs.find(field, 2)
            && let Some(at) = pairs.next(at)
        {
            pairs.replace(at, value);
            return false;
        }
        pairs.append_pair(field, value);
        if pairs.len() / 2 > enc.hash_max_listpack_entries {
            self.make_table(0, enc);
        }
        true
    }

    /// About to get these fields and values (alternating): leaves the listpack if there are too many or
    /// one is too long, as HSET does before it looks at them one by one.
    pub(crate) fn expect(&mut self, pairs: &[&[u8]], enc: &Encodings) {
        let Form::Listpack(listpack) = self.repr.form() else {
            return;
        };
        if pairs.len() / 2 > enc.hash_max_listpack_entries {
            self.make_table(pairs.len() / 2, enc);
            return;
        }
        let mut cost = 0;
        let mut long = false;
        for text in pairs {
            cost += Pack::cost(text);
            long |= text.len() > enc.hash_max_listpack_value;
        }
        if long || !listpack.fits(cost) {
            self.make_table(0, enc);
        }
    }

    /// Makes it a table, with room for `more` pairs.
    fn make_table(&mut self, more: usize, enc: &Encodings) -> &mut Table {
        if let Form::Listpack(pairs) = self.repr.form() {
            let mut table = Table::with_capacity(self.len() + more, enc);
            for (field, value) in pairs.pairs() {
                field.with(|field| value.with(|value| table.insert(field, value)));
            }
            self.repr = Repr::from(Boxed::new(table));
        }
        match self.repr.form_mut() {
            FormMut::Table(table) => table,
            // It was made one just now.
            FormMut::Listpack(_) => unreachable!("the hash is a table"),
        }
    }

    /// True if it was there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match self.repr.form_mut() {
            FormMut::Listpack(l) => match l.find(field, 2) {
                Some(at) => {
                    l.delete_many(at, 2);
                    true
                }
                None => false,
            },
            FormMut::Table(t) => {
                let hash = hash(t.seed, field);
                t.pairs.remove(hash, |p| p.field() == field).is_some()
            }
        }
    }

    pub fn iter(&self) -> Iter<'_> {
        match self.repr.form() {
            Form::Listpack(l) => Iter::Listpack(l.pairs()),
            Form::Table(t) => Iter::Table(t.pairs.iter()),
        }
    }

    /// A uniformly random pair; None if empty.
    pub(crate) fn random(&self, rng: &mut fastrand::Rng) -> Option<(Item<'_>, Item<'_>)> {
        match self.repr.form() {
            Form::Listpack(l) => {
                if l.is_empty() {
                    return None;
                }
                let at = l.seek(2 * rng.usize(..self.len()))?;
                Some((l.get(at), l.get(l.next(at)?)))
            }
            Form::Table(t) => t.pairs.random(rng).map(as_items),
        }
    }

    /// As `Set::scan`.
    pub(crate) fn scan(
        &self,
        cursor: u64,
        count: usize,
        f: &mut dyn FnMut(Item<'_>, Item<'_>),
    ) -> u64 {
        match self.repr.form() {
            Form::Listpack(l) => {
                l.pairs().for_each(|(field, value)| f(field, value));
                0
            }
            Form::Table(t) => t.pairs.scan(cursor, count, |p| {
                f(Item::Bytes(p.field()), Item::Bytes(p.value()))
            }),
        }
    }

    /// "listpack" or "hashtable".
    pub(crate) fn encoding(&self) -> &'static str {
        match self.repr.form() {
            Form::Listpack(_) => "listpack",
            Form::Table(_) => "hashtable",
        }
    }

    /// The bytes as a listpack while in that encoding, for RDB.
    pub(crate) fn to_listpack(&self) -> Option<Vec<u8>> {
        match self.repr.form() {
            Form::Listpack(l) => Some(l.to_listpack()),
            Form::Table(_) => None,
        }
    }

    pub(crate) fn is_listpack(&self) -> bool {
        matches!(self.repr.form(), Form::Listpack(_))
    }

    /// Bytes of memory held behind the word; estimated from some pairs of large hashes.
    pub(crate) fn memory(&self) -> usize {
        match self.repr.form() {
            Form::Listpack(l) => l.memory(),
            Form::Table(t) => {
                let sample = t.pairs.iter().take(64);
                let (count, bytes) = sample.fold((0, 0), |(n, b), p| (n + 1, b + p.memory()));
                size_of::<Table>() + t.pairs.memory() + t.pairs.len() * bytes / count.max(1)
            }
        }
    }
}

fn as_items(pair: &Pair) -> (Item<'_>, Item<'_>) {
    (Item::Bytes(pair.field()), Item::Bytes(pair.value()))
}

/// The pairs of a hash.
pub enum Iter<'a> {
    Listpack(pack::Pairs<'a>),
    Table(segtable::Iter<'a, Pair>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Item<'a>, Item<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Iter::Listpack(i) => i.next(),
            Iter::Table(i) => i.next().map(as_items),
        }
    }
}

#[cfg(test)]
#[path = "hash_tests.rs"]
mod tests;
