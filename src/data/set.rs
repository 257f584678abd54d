//! Sets: an intset, a listpack, or a segmented table of members, by Redis 7.2's rules.
//!
//! A set begins as an intset while its members are integers, becomes a listpack with the first other one,
//! and a table when it passes a threshold of [`Encodings`]; it never goes back. Cloning a table shares its
//! segments. The listpack is a [`Pack`] in truth, which is smaller.
//!
//! Invariants: members are distinct; an intset or listpack is within the thresholds that held when its
//! last member came.

use super::Encodings;
use super::blob::Blob;
use super::hashing::hash;
use super::intset::{self, Intset};
use super::list::Item;
use super::listpack::{self, View};
use super::pack::{self, Pack};
use super::prefetch::Probe;
use super::segtable::{self, SegTable};
use super::tagged_pointer::{Boxed, tagged_union};
use crate::text::parse_int;

/// Redis bounds intsets whatever the directive says.
const INTSET_MAX: usize = 1 << 30;

/// The large form.
#[derive(Clone, Debug)]
struct Table {
    seed: u64,
    members: SegTable<Blob>,
}

impl Table {
    fn with_capacity(members: usize, enc: &Encodings) -> Table {
        Table {
            seed: enc.hash_seed,
            members: SegTable::with_capacity(members),
        }
    }

    fn contains(&self, member: &[u8]) -> bool {
        self.members
            .find(hash(self.seed, member), |m| m.as_bytes() == member)
            .is_some()
    }

    fn insert(&mut self, member: &[u8]) -> bool {
        let seed = self.seed;
        self.members.insert_if_absent(
            hash(seed, member),
            |m| m.as_bytes() == member,
            || Blob::new(member),
            |m| hash(seed, m.as_bytes()),
        )
    }

    fn remove(&mut self, member: &[u8]) -> bool {
        self.members
            .remove(hash(self.seed, member), |m| m.as_bytes() == member)
            .is_some()
    }
}

tagged_union! { Intset(Intset), Listpack(Pack), Table(Boxed<Table>) }

/// A set; one word.
#[derive(Clone, Debug)]
#[repr(transparent)]
pub struct Set {
    repr: Repr,
}

impl Default for Set {
    fn default() -> Self {
        Set::new()
    }
}

impl Set {
    /// An empty intset.
    pub fn new() -> Set {
        Set {
            repr: Repr::from(Intset::new()),
        }
    }

    /// An empty listpack, which stays one for integers too.
    pub(crate) fn new_listpack() -> Set {
        Set {
            repr: Repr::from(Pack::new()),
        }
    }

    /// An empty set in the encoding that SADD of `count` members gives a new key, the first being `first`.
    pub(crate) fn for_members(first: &[u8], count: usize, enc: &Encodings) -> Set {
        if count <= enc.set_max_intset_entries && parse_int(first).is_some() {
            Set::new()
        } else if count <= enc.set_max_listpack_entries {
            Set::new_listpack()
        } else {
            Set {
                repr: Repr::from(Boxed::new(Table::with_capacity(count, enc))),
            }
        }
    }

    /// An empty set that an RDB's plain list of `count` members is to be inserted into. A false count
    /// costs bounded memory.
    pub(crate) fn for_load(count: usize, enc: &Encodings) -> Set {
        if count > enc.set_max_intset_entries.min(INTSET_MAX) {
            Set {
                repr: Repr::from(Boxed::new(Table::with_capacity(count, enc))),
            }
        } else {
            Set::new()
        }
    }

    /// Takes over an intset that has passed `intset::validate` (RDB load), as a table if it is past the
    /// threshold.
    pub(crate) fn from_intset(bytes: &[u8], enc: &Encodings) -> Set {
        let mut set = Set {
            repr: Repr::from(Intset::from_validated_bytes(bytes)),
        };
        set.limit_intset(enc);
        set
    }

    /// Takes over a listpack that has passed `listpack::validate` and has no member twice (RDB load). Goes
    /// to the large form if it has more members than the threshold; their sizes are not looked at, as in
    /// Redis.
    pub(crate) fn from_listpack(bytes: &[u8], enc: &Encodings) -> Set {
        let mut set = Set {
            repr: Repr::from(Pack::from_listpack(View::from_validated_bytes(bytes))),
        };
        if set.len() > enc.set_max_listpack_entries {
            set.make_table(0, enc);
        }
        set
    }

    pub fn len(&self) -> usize {
        match self.repr.form() {
            Form::Intset(s) => s.len(),
            Form::Listpack(s) => s.len(),
            Form::Table(t) => t.members.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        match self.repr.form() {
            Form::Intset(s) => s.is_empty(),
            Form::Listpack(s) => s.is_empty(),
            Form::Table(t) => t.members.is_empty(),
        }
    }

    pub fn contains(&self, member: &[u8]) -> bool {
        match self.repr.form() {
            Form::Intset(s) => parse_int(member).is_some_and(|n| s.contains(n)),
            Form::Listpack(s) => s.find(member, 1).is_some(),
            Form::Table(t) => t.contains(member),
        }
    }

    /// For [`Prefetcher`](super::prefetch::Prefetcher): where a large set would have this member. A small one is
    /// prefetched as a whole.
    #[inline]
    pub(super) fn probe(&self, member: &[u8]) -> Option<Probe<'_, Blob>> {
        match self.repr.form() {
            Form::Table(t) => Some(t.members.probe(hash(t.seed, member))),
            Form::Listpack(pack) => {
                pack.prefetch();
                None
            }
            Form::Intset(_) => None,
        }
    }

    /// As `contains`, for a member of another set.
    pub(crate) fn contains_item(&self, member: Item<'_>) -> bool {
        match (self.repr.form(), member) {
            (Form::Intset(s), Item::Int(n)) => s.contains(n),
            _ => member.with(|member| self.contains(member)),
        }
    }

    /// True if it was not there.
    pub fn insert(&mut self, member: &[u8], enc: &Encodings) -> bool {
        match self.repr.form_mut() {
            FormMut::Table(t) => t.insert(member),
            FormMut::Listpack(s) => {
                if s.find(member, 1).is_some() {
                    return false;
                }
                if s.len() < enc.set_max_listpack_entries
                    && member.len() <= enc.set_max_listpack_value
                    && s.fits(Pack::cost(member))
                {
                    s.append(member);
                    true
                } else {
                    self.make_table(1, enc).insert(member)
                }
            }
            FormMut::Intset(s) => {
                if let Some(n) = parse_int(member) {
                    let new = s.insert(n);
                    if new {
                        self.limit_intset(enc);
                    }
                    return new;
                }
                // The intset's widest members are at its ends.
                let longest = s.bounds().map_or(0, |(low, high)| {
                    let digits = |n: i64| itoa::Buffer::new().format(n).len();
                    digits(low).max(digits(high))
                });
                if s.len() < enc.set_max_listpack_entries
                    && member.len().max(longest) <= enc.set_max_listpack_value
                    && s.len() * 11 + Pack::cost(member) < listpack::MAX_BYTES
                {
                    let mut members = Pack::new();
                    s.iter().for_each(|n| members.append_int(n));
                    members.append(member);
                    self.repr = Repr::from(members);
                    true
                } else {
                    self.make_table(1, enc).insert(member)
                }
            }
        }
    }

    /// As `insert`, for a member of another set.
    pub(crate) fn insert_item(&mut self, member: Item<'_>, enc: &Encodings) -> bool {
        match (self.repr.form_mut(), member) {
            (FormMut::Intset(s), Item::Int(n)) => {
                let new = s.insert(n);
                if new {
                    self.limit_intset(enc);
                }
                new
            }
            _ => member.with(|member| self.insert(member, enc)),
        }
    }

    /// About to get `count` more members at once: leaves a compact encoding that can't take them, as SADD
    /// does before it looks at them.
    pub(crate) fn expect(&mut self, count: usize, enc: &Encodings) {
        let past = match self.repr.form() {
            Form::Intset(_) => count > enc.set_max_intset_entries,
            Form::Listpack(_) => count > enc.set_max_listpack_entries,
            Form::Table(_) => false,
        };
        if past {
            self.make_table(count, enc);
        }
    }

    fn limit_intset(&mut self, enc: &Encodings) {
        if matches!(self.repr.form(), Form::Intset(s) if s.len() > enc.set_max_intset_entries.min(INTSET_MAX))
        {
            self.make_table(0, enc);
        }
    }

    /// Makes it a table, with room for `more` members.
    fn make_table(&mut self, more: usize, enc: &Encodings) -> &mut Table {
        if !matches!(self.repr.form(), Form::Table(_)) {
            let mut table = Table::with_capacity(self.len() + more, enc);
            for member in self.iter() {
                member.with(|member| table.insert(member));
            }
            self.repr = Repr::from(Boxed::new(table));
        }
        match self.repr.form_mut() {
            FormMut::Table(table) => table,
            // It was made one just now.
            _ => unreachable!("the set is a table"),
        }
    }

    /// Makes it an intset, if all members are integers and few enough (results of SINTERSTORE).
    pub(crate) fn prefer_intset(&mut self, enc: &Encodings) {
        if matches!(self.repr.form(), Form::Intset(_))
            || self.len() > enc.set_max_intset_entries.min(INTSET_MAX)
        {
            return;
        }
        let mut ints = Vec::with_capacity(self.len());
        for member in self.iter() {
            match member {
                Item::Int(n) => ints.push(n),
                Item::Bytes(b) => match parse_int(b) {
                    Some(n) => ints.push(n),
                    None => return,
                },
            }
        }
        // In rising order every insertion is at the end.
        ints.sort_unstable();
        let mut intset = Intset::new();
        ints.into_iter().for_each(|n| {
            intset.insert(n);
        });
        self.repr = Repr::from(intset);
    }

    /// True if it was there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match self.repr.form_mut() {
            FormMut::Intset(s) => parse_int(member).is_some_and(|n| s.remove(n)),
            FormMut::Listpack(s) => match s.find(member, 1) {
                Some(at) => {
                    s.delete_many(at, 1);
                    true
                }
                None => false,
            },
            FormMut::Table(t) => t.remove(member),
        }
    }

    /// As `remove`, for a member of another set.
    pub(crate) fn remove_item(&mut self, member: Item<'_>) -> bool {
        match (self.repr.form_mut(), member) {
            (FormMut::Intset(s), Item::Int(n)) => s.remove(n),
            _ => member.with(|member| self.remove(member)),
        }
    }

    pub fn iter(&self) -> Iter<'_> {
        match self.repr.form() {
            Form::Intset(s) => Iter::Intset(s.iter()),
            Form::Listpack(s) => Iter::Listpack(s.iter()),
            Form::Table(t) => Iter::Table(t.members.iter()),
        }
    }

    /// The member with this index in the order of `iter`; quick for compact encodings only.
    pub(crate) fn nth(&self, index: usize) -> Option<Item<'_>> {
        match self.repr.form() {
            Form::Intset(s) => s.get(index).map(Item::Int),
            Form::Listpack(s) => s.seek(index).map(|at| s.get(at)),
            Form::Table(t) => t
                .members
                .iter()
                .nth(index)
                .map(|m| Item::Bytes(m.as_bytes())),
        }
    }

    /// A uniformly random member; None if empty.
    pub fn random(&self, rng: &mut fastrand::Rng) -> Option<Item<'_>> {
        match self.repr.form() {
            Form::Table(t) => t.members.random(rng).map(|m| Item::Bytes(m.as_bytes())),
            _ if self.is_empty() => None,
            _ => self.nth(rng.usize(..self.len())),
        }
    }

    /// Takes out a uniformly random member.
    pub(crate) fn pop_random(&mut self, rng: &mut fastrand::Rng) -> Option<Vec<u8>> {
        let member = self.random(rng)?.to_vec();
        self.remove(&member);
        Some(member)
    }

    /// SCAN step: calls `f` for members from `cursor` on, about `count` of them, and gives the next cursor
    /// (0 at the end). Compact encodings give everything at once. Redis's SCAN guarantee holds across growth.
    pub(crate) fn scan(&self, cursor: u64, count: usize, f: &mut dyn FnMut(Item<'_>)) -> u64 {
        match self.repr.form() {
            Form::Table(t) => t
                .members
                .scan(cursor, count, |m| f(Item::Bytes(m.as_bytes()))),
            _ => {
                self.iter().for_each(f);
                0
            }
        }
    }

    /// "intset", "listpack" or "hashtable".
    pub(crate) fn encoding(&self) -> &'static str {
        match self.repr.form() {
            Form::Intset(_) => "intset",
            Form::Listpack(_) => "listpack",
            Form::Table(_) => "hashtable",
        }
    }

    /// The intset's bytes while in that encoding, for RDB.
    pub(crate) fn as_intset(&self) -> Option<&[u8]> {
        match self.repr.form() {
            Form::Intset(s) => Some(s.as_bytes()),
            _ => None,
        }
    }

    /// Bytes of memory held behind the word; estimated from some members of large sets.
    pub(crate) fn memory(&self) -> usize {
        match self.repr.form() {
            Form::Intset(s) => s.memory(),
            Form::Listpack(s) => s.memory(),
            Form::Table(t) => {
                let sample = t.members.iter().take(64);
                let (count, bytes) = sample.fold((0, 0), |(n, b), m| (n + 1, b + m.memory()));
                size_of::<Table>() + t.members.memory() + t.members.len() * bytes / count.max(1)
            }
        }
    }

    /// The bytes as a listpack while in that encoding.
    #[cfg(test)]
    pub(crate) fn to_listpack(&self) -> Option<Vec<u8>> {
        match self.repr.form() {
            Form::Listpack(s) => Some(s.to_listpack()),
            _ => None,
        }
    }
}

/// The members of a set.
pub enum Iter<'a> {
    Intset(intset::Iter<'a>),
    Listpack(pack::Iter<'a>),
    Table(segtable::Iter<'a, Blob>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        match self {
            Iter::Intset(i) => i.next().map(Item::Int),
            Iter::Listpack(i) => i.next(),
            Iter::Table(i) => i.next().map(|m| Item::Bytes(m.as_bytes())),
        }
    }
}

#[cfg(test)]
#[path = "set_tests.rs"]
mod tests;
