//! Hashes: a run of field, value, ..., or a segmented table of pairs, by Redis 7.2's rules.
//!
//! The small form counts as a listpack to commands and dumps, but is a [`Pack`], which is smaller.
//! A hash leaves the listpack when it passes a threshold of [`Encodings`] and never goes back. Cloning a
//! table shares its segments.
//!
//! A hash some of whose fields expire is a table, however small ([`FieldMoments`]). Fields whose moment has passed stay in
//! it until they are taken out, but whoever looks at the key says by [`Hash::look_at`] what time it is, and then they are
//! not seen. `len` counts them, as HLEN of Redis does.
//!
//! Invariant: fields are distinct.

use super::Encodings;
use super::blob::Pair;
use super::field_moments::{FieldMoments, NEVER};
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
    /// Once a field expires, or did.
    moments: Option<Box<FieldMoments>>,
}

impl Table {
    fn with_capacity(pairs: usize, enc: &Encodings) -> Table {
        Table {
            seed: enc.hash_seed,
            pairs: SegTable::with_capacity(pairs),
            moments: None,
        }
    }

    #[inline]
    fn get(&self, field: &[u8]) -> Option<&Pair> {
        let hash = hash(self.seed, field);
        let pair = self.pairs.find(hash, |p| p.field() == field)?;
        (!self.hides(pair)).then_some(pair)
    }

    #[inline]
    fn hides(&self, pair: &Pair) -> bool {
        match &self.moments {
            None => false,
            Some(moments) => moments.hides(pair.moment()),
        }
    }

    /// The time that fields are seen at, where some expire.
    fn now_ms(&self) -> i64 {
        self.moments
            .as_ref()
            .map_or(i64::MIN, |moments| moments.now_ms)
    }

    fn insert(&mut self, field: &[u8], value: &[u8]) -> bool {
        let seed = self.seed;
        let hash_of_field = hash(seed, field);
        let (pair, new) = self.pairs.find_or_insert(
            hash_of_field,
            |p| p.field() == field,
            || Pair::new(field, value),
            |p| hash(seed, p.field()),
        );
        if new {
            return true;
        }
        let moment = pair.moment();
        pair.set_value(value);
        match &mut self.moments {
            Some(moments) if moment.is_some() => {
                moments.set(hash_of_field, moment, None, self.pairs.len());
                moments.hides(moment)
            }
            _ => false,
        }
    }

    /// As `insert`, but a field that is there and expires goes on to.
    fn replace(&mut self, field: &[u8], value: &[u8]) -> bool {
        let seed = self.seed;
        let found = self.get(field).and_then(Pair::moment);
        if let Some(moment) = found
            && let Some(pair) = (self.pairs).find_mut(hash(seed, field), |p| p.field() == field)
        {
            *pair = Pair::expiring(field, value, Some(moment));
            return false;
        }
        self.insert(field, value)
    }

    fn remove(&mut self, field: &[u8]) -> bool {
        let hash = hash(self.seed, field);
        let Some(pair) = self.pairs.remove(hash, |p| p.field() == field) else {
            return false;
        };
        match (&mut self.moments, pair.moment()) {
            (Some(moments), Some(moment)) => {
                moments.set(hash, Some(moment), None, self.pairs.len());
                !moments.hides(Some(moment))
            }
            _ => true,
        }
    }

    /// Sets or clears when a field expires. False if there is no such field to be seen.
    fn set_moment(&mut self, field: &[u8], moment: Option<i64>, compact: bool) -> bool {
        let hash = hash(self.seed, field);
        if self.get(field).is_none() {
            return false;
        }
        let fields = self.pairs.len();
        if let Some(pair) = self.pairs.find_mut(hash, |p| p.field() == field) {
            let old = pair.moment();
            *pair = Pair::expiring(field, pair.value(), moment);
            let moments = self
                .moments
                .get_or_insert_with(|| Box::new(FieldMoments::new(compact)));
            moments.set(hash, old, moment, fields);
        }
        true
    }

    /// Takes out the due fields of one part. None: no field is due.
    fn take_due_part(&mut self, now_ms: i64, f: &mut dyn FnMut(&[u8])) -> Option<usize> {
        let moments = self.moments.as_mut()?;
        let (part, hashes) = moments.due_part(now_ms)?;
        let (mut due, mut earliest) = (Vec::new(), NEVER);
        let seed = self.seed;
        let mut at = *hashes.start();
        loop {
            let next = self.pairs.scan(at.reverse_bits(), 1, |pair| {
                let Some(moment) = pair.moment() else { return };
                // A segment may be more than the part.
                if !hashes.contains(&hash(seed, pair.field())) {
                    return;
                }
                if moment < now_ms {
                    due.push(pair.field().to_vec());
                } else {
                    earliest = earliest.min(moment);
                }
            });
            at = next.reverse_bits();
            if next == 0 || at > *hashes.end() {
                break;
            }
        }
        moments.looked_at(part, earliest);
        for field in &due {
            self.remove(field);
            f(field);
        }
        Some(due.len())
    }

    /// Leaves the listpack that OBJECT ENCODING still shows, if it has too many fields or one is too long.
    fn outgrow(&mut self, texts: &[&[u8]], more: usize, enc: &Encodings) {
        if let Some(moments) = &mut self.moments
            && moments.compact
        {
            let is_long = |text: &&[u8]| text.len() > enc.hash_max_listpack_value;
            moments.compact = self.pairs.len() + more <= enc.hash_max_listpack_entries
                && !texts.iter().any(is_long);
        }
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
            FormMut::Table(t) => {
                let new = t.insert(field, value);
                t.outgrow(&[field, value], 0, enc);
                return new;
            }
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
        let listpack = match self.repr.form_mut() {
            FormMut::Listpack(listpack) => listpack,
            FormMut::Table(table) => return table.outgrow(pairs, 0, enc),
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
            FormMut::Table(t) => t.remove(field),
        }
    }

    /// The fields that are seen.
    pub fn iter(&self) -> Iter<'_> {
        match self.repr.form() {
            Form::Listpack(l) => Iter::Listpack(l.pairs()),
            Form::Table(t) => Iter::Table(t.pairs.iter(), t.now_ms()),
        }
    }

    /// All fields that are held, with their moments.
    pub(crate) fn held(&self) -> impl Iterator<Item = (Item<'_>, Item<'_>, Option<i64>)> {
        let (pack, table) = match self.repr.form() {
            Form::Listpack(l) => (Some(l.pairs()), None),
            Form::Table(t) => (None, Some(t.pairs.iter())),
        };
        let small = pack.into_iter().flatten();
        let large = table.into_iter().flatten();
        small
            .map(|(field, value)| (field, value, None))
            .chain(large.map(|pair| {
                let (field, value) = as_items(pair);
                (field, value, pair.moment())
            }))
    }

    /// As `scan`, of all fields that are held, with their moments.
    pub(crate) fn scan_held(
        &self,
        cursor: u64,
        count: usize,
        f: &mut dyn FnMut(Item<'_>, Item<'_>, Option<i64>),
    ) -> u64 {
        match self.repr.form() {
            Form::Listpack(_) => {
                self.held()
                    .for_each(|(field, value, moment)| f(field, value, moment));
                0
            }
            Form::Table(t) => t.pairs.scan(cursor, count, |pair| {
                let (field, value) = as_items(pair);
                f(field, value, pair.moment());
            }),
        }
    }

    // ---- fields that expire ----

    /// Says what time it is: fields whose moment is before are not seen from here on.
    pub(crate) fn look_at(&mut self, now_ms: i64) {
        if let FormMut::Table(table) = self.repr.form_mut()
            && let Some(moments) = &mut table.moments
        {
            moments.now_ms = now_ms;
        }
    }

    fn moments(&self) -> Option<&FieldMoments> {
        match self.repr.form() {
            Form::Listpack(_) => None,
            Form::Table(t) => t.moments.as_deref(),
        }
    }

    /// At or before the earliest moment of a field, unix ms; far in the future if none expires.
    #[inline]
    pub(crate) fn earliest_moment(&self) -> i64 {
        self.moments().map_or(NEVER, FieldMoments::earliest)
    }

    /// How many fields expire.
    pub(crate) fn expiring_fields(&self) -> usize {
        self.moments().map_or(0, FieldMoments::count)
    }

    /// How many fields are seen.
    pub(crate) fn seen(&self) -> usize {
        match self.moments() {
            Some(moments) if moments.earliest() < moments.now_ms => self.iter().count(),
            _ => self.len(),
        }
    }

    /// When a field expires; None: it is not there.
    pub(crate) fn moment(&self, field: &[u8]) -> Option<Option<i64>> {
        match self.repr.form() {
            Form::Listpack(l) => l.find(field, 2).map(|_| None),
            Form::Table(t) => t.get(field).map(Pair::moment),
        }
    }

    /// Sets or clears when a field expires, unix ms. False if it is not there.
    pub(crate) fn set_moment(
        &mut self,
        field: &[u8],
        moment: Option<i64>,
        enc: &Encodings,
    ) -> bool {
        if !self.contains(field) {
            return false;
        }
        let compact = self.is_listpack();
        if compact && moment.is_none() {
            return true;
        }
        self.make_table(0, enc).set_moment(field, moment, compact)
    }

    /// As `insert`, but a field that expires goes on to.
    pub(crate) fn replace(&mut self, field: &[u8], value: &[u8], enc: &Encodings) -> bool {
        if let FormMut::Table(t) = self.repr.form_mut() {
            let new = t.replace(field, value);
            t.outgrow(&[field, value], 0, enc);
            return new;
        }
        self.insert(field, value, enc)
    }

    /// Takes out fields whose moment is before `now_ms`, until there is none or `limit` are out (and some dozens more),
    /// showing each to `f`.
    pub(crate) fn take_due(&mut self, now_ms: i64, limit: usize, f: &mut dyn FnMut(&[u8])) {
        let FormMut::Table(table) = self.repr.form_mut() else {
            return;
        };
        let mut taken = 0;
        while taken < limit {
            match table.take_due_part(now_ms, f) {
                Some(more) => taken += more,
                None => return,
            }
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
            Form::Table(t) => {
                // Most are seen: those that are not are soon taken out.
                const TRIES: usize = 64;
                let mut picked = (0..TRIES).map_while(|_| t.pairs.random(rng));
                let seen = picked.find(|pair| !t.hides(pair));
                seen.map(as_items).or_else(|| self.iter().next())
            }
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
                if !t.hides(p) {
                    f(Item::Bytes(p.field()), Item::Bytes(p.value()))
                }
            }),
        }
    }

    /// "listpack", "hashtable", or "listpackex" for a small one some of whose fields expire.
    pub(crate) fn encoding(&self) -> &'static str {
        match self.repr.form() {
            Form::Listpack(_) => "listpack",
            Form::Table(t) if t.moments.as_ref().is_some_and(|m| m.compact) => "listpackex",
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
                let moments = t.moments.as_ref().map_or(0, |moments| moments.memory());
                size_of::<Table>()
                    + moments
                    + t.pairs.memory()
                    + t.pairs.len() * bytes / count.max(1)
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
    /// Those whose moment is not before.
    Table(segtable::Iter<'a, Pair>, i64),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Item<'a>, Item<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Iter::Listpack(i) => i.next(),
            Iter::Table(i, i64::MIN) => i.next().map(as_items),
            Iter::Table(i, now_ms) => {
                let is_past = |pair: &&Pair| pair.moment().is_some_and(|at| at < *now_ms);
                i.find(|pair| !is_past(pair)).map(as_items)
            }
        }
    }
}

#[cfg(test)]
#[path = "hash_tests.rs"]
mod tests;
