//! A run of strings and integers that is only ever read forwards: small hashes and sets.
//!
//! Elements are written as in a [`super::listpack`], but without the length behind each, by which those
//! are read backwards, and without an end mark. That is a byte less for each element: a hash of 10 small
//! fields is 196 bytes instead of 217, and takes 262 bytes of memory with its key instead of 278. To the
//! outside (RDB, DUMP) it is a listpack.
//!
//! Layout: the header of `super::counted`, elements.
//!
//! Elements are addressed by *position*, the offset of their first byte, as in listpacks. Bytes never come
//! from outside as they are: [`Pack::from_listpack`] takes them from a listpack that was checked.
//!
//! Invariant: between header and end stand whole elements of known encodings, as many as the header says.

use super::counted::{self, HEADER, UNKNOWN};
use super::flat::{Flat, Image, SelfSized};
use super::list::Item;
use super::listpack::{self, Encoded, View, decode};
use super::tagged_pointer::Tagged;
use crate::text::parse_int;

static EMPTY: Image<HEADER> = Image([6, 0, 0, 0, 0, 0]);

/// The byte layout, for [`Flat`].
pub(crate) struct Layout;

// SAFETY: total and set_total read and write the same four bytes of the six-byte header.
unsafe impl SelfSized for Layout {
    const HEADER: usize = HEADER;
    const TAG: usize = 0;

    fn empty() -> &'static [u8] {
        &EMPTY.0
    }

    #[inline]
    fn total(header: &[u8]) -> usize {
        counted::total(header)
    }

    #[inline]
    fn set_total(header: &mut [u8], total: usize) {
        counted::set_total(header, total);
    }
}

/// Such a run: one word, one allocation (none while empty).
#[derive(Clone, Default)]
#[repr(transparent)]
pub(crate) struct Pack {
    flat: Flat<Layout>,
}

// SAFETY: it is a `Flat`.
unsafe impl Tagged for Pack {
    const TAG: usize = Layout::TAG;
}

impl std::fmt::Debug for Pack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Pack {
    pub(crate) fn new() -> Pack {
        Pack::default()
    }

    /// The elements of a listpack.
    pub(crate) fn from_listpack(listpack: View<'_>) -> Pack {
        let mut pack = Pack::new();
        let size = listpack.iter().map(|item| Encoded::from(item).size()).sum();
        let mut gap = pack.flat.splice(HEADER, 0, size);
        let mut count = 0;
        for item in listpack.iter() {
            let element = Encoded::from(item);
            let (place, rest) = gap.split_at_mut(element.size());
            element.write(place);
            gap = rest;
            count += 1;
        }
        pack.add_count(count);
        pack
    }

    /// The elements as a listpack's bytes.
    pub(crate) fn to_listpack(&self) -> Vec<u8> {
        let elements = self.iter().map(Encoded::from);
        listpack::bytes_of(elements, self.byte_len() + self.len() + 1)
    }

    fn bytes(&self) -> &[u8] {
        self.flat.as_slice()
    }

    /// Length of the whole layout, bytes.
    pub(crate) fn byte_len(&self) -> usize {
        self.flat.total()
    }

    /// Begins to bring the first elements into the cache.
    #[inline]
    pub(crate) fn prefetch(&self) {
        self.flat.prefetch();
    }

    /// Bytes of memory held.
    pub(crate) fn memory(&self) -> usize {
        self.flat.memory()
    }

    /// What an element of this value adds to the layout, and to a listpack of it, at most, bytes.
    pub(crate) fn cost(value: &[u8]) -> usize {
        listpack::Listpack::cost(value)
    }

    /// Whether `more` bytes (see [`Pack::cost`]) can be added.
    pub(crate) fn fits(&self, more: usize) -> bool {
        // As a listpack it must fit, too.
        self.byte_len() + 5 * self.len() + more <= listpack::MAX_BYTES
    }

    /// How many elements; walks the whole if there are 65535 or more.
    pub(crate) fn len(&self) -> usize {
        match counted::stated(self.bytes()) {
            UNKNOWN => self.iter().count(),
            n => usize::from(n),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.byte_len() == HEADER
    }

    /// The element at a position.
    #[inline]
    pub(crate) fn get(&self, at: usize) -> Item<'_> {
        decode(self.bytes(), at).0
    }

    /// The offset just after the element at a position: the next one's, or the end.
    #[inline]
    pub(crate) fn after(&self, at: usize) -> usize {
        at + decode(self.bytes(), at).1
    }

    #[inline]
    pub(crate) fn next(&self, at: usize) -> Option<usize> {
        let after = self.after(at);
        (after < self.byte_len()).then_some(after)
    }

    /// The position of the element with this index.
    pub(crate) fn seek(&self, index: usize) -> Option<usize> {
        let end = self.byte_len();
        let mut at = HEADER;
        for _ in 0..index {
            if at >= end {
                return None;
            }
            at = self.after(at);
        }
        (at < end).then_some(at)
    }

    /// The first element equal to `value`, looking at every `step`th (1: all; 2: only fields).
    pub(crate) fn find(&self, value: &[u8], step: usize) -> Option<usize> {
        let bytes = self.bytes();
        let as_int = parse_int(value);
        let mut at = HEADER;
        let mut skip = 0;
        while at < bytes.len() {
            let first = bytes[at];
            // Short strings are nearly everything; the general case is in `decode`.
            let size = if first & 0xC0 == 0x80 {
                let len = usize::from(first & 0x3F);
                if skip == 0 && len == value.len() && bytes[at + 1..at + 1 + len] == *value {
                    return Some(at);
                }
                1 + len
            } else {
                let (item, size) = decode(bytes, at);
                if skip == 0 && listpack::equals(item, value, as_int) {
                    return Some(at);
                }
                size
            };
            skip = if skip == 0 { step - 1 } else { skip - 1 };
            at += size;
        }
        None
    }

    pub(crate) fn iter(&self) -> Iter<'_> {
        Iter {
            bytes: self.bytes(),
            at: HEADER,
        }
    }

    /// Elements two by two (field and value). An odd last one is left out.
    pub(crate) fn pairs(&self) -> Pairs<'_> {
        Pairs { iter: self.iter() }
    }

    fn add_count(&mut self, by: i64) {
        counted::add_count(self.flat.as_mut_slice(), by);
    }

    fn splice(&mut self, at: usize, remove: usize, value: &Encoded<'_>) {
        let gap = self.flat.splice(at, remove, value.size());
        value.write(gap);
    }

    pub(crate) fn append(&mut self, value: &[u8]) {
        self.splice(self.byte_len(), 0, &Encoded::of(value));
        self.add_count(1);
    }

    pub(crate) fn append_int(&mut self, value: i64) {
        self.splice(self.byte_len(), 0, &Encoded::Int(value));
        self.add_count(1);
    }

    /// Appends field and value in one go.
    pub(crate) fn append_pair(&mut self, first: &[u8], second: &[u8]) {
        let (first, second) = (Encoded::of(first), Encoded::of(second));
        let end = self.byte_len();
        let gap = self.flat.splice(end, 0, first.size() + second.size());
        let (a, b) = gap.split_at_mut(first.size());
        first.write(a);
        second.write(b);
        self.add_count(2);
    }

    /// Puts another value in the place of the element at a position (which stays valid).
    pub(crate) fn replace(&mut self, at: usize, value: &[u8]) {
        let remove = self.after(at) - at;
        self.splice(at, remove, &Encoded::of(value));
    }

    /// Removes up to `count` elements from a position on; how many there were.
    pub(crate) fn delete_many(&mut self, at: usize, count: usize) -> usize {
        let end = self.byte_len();
        let mut to = at;
        let mut gone = 0;
        while gone < count && to < end {
            to = self.after(to);
            gone += 1;
        }
        if gone > 0 {
            self.flat.splice(at, to - at, 0);
            self.add_count(-(gone as i64));
        }
        gone
    }
}

/// Elements in order.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let (item, size) = decode(self.bytes, self.at);
        self.at += size;
        Some(item)
    }
}

/// Elements two by two.
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    iter: Iter<'a>,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Item<'a>, Item<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        Some((self.iter.next()?, self.iter.next()?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data::listpack::{Listpack, validate};

    #[derive(Clone, Debug)]
    enum Step {
        Append(Vec<u8>),
        Pair(Vec<u8>, Vec<u8>),
        Replace(usize, Vec<u8>),
        Delete(usize, usize),
    }

    fn texts(pack: &Pack) -> Vec<Vec<u8>> {
        pack.iter().map(|item| item.to_vec()).collect()
    }

    fn check(pack: &Pack, model: &[Vec<u8>]) {
        assert_eq!(texts(pack), model);
        assert_eq!(pack.len(), model.len());
        assert_eq!(pack.is_empty(), model.is_empty());
        for (i, value) in model.iter().enumerate() {
            let at = pack.seek(i).unwrap();
            assert_eq!(pack.get(at).to_vec(), *value);
            let found = pack.find(value, 1).unwrap();
            assert_eq!(pack.get(found).to_vec(), *value);
            assert!(found <= at);
        }
        assert_eq!(pack.seek(model.len()), None);
        assert_eq!(pack.find(b"not there", 1), None);
        // There and back again, as RDB has it.
        let bytes = pack.to_listpack();
        assert_eq!(validate(&bytes), Ok(model.len()));
        let listpack = Listpack::from_bytes(&bytes).unwrap();
        assert!(
            listpack
                .iter()
                .map(|item| item.to_vec())
                .eq(model.iter().cloned())
        );
        let again = Pack::from_listpack(listpack.view());
        assert_eq!(again.bytes(), pack.bytes());
    }

    fn value() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            any::<i64>().prop_map(|n| n.to_string().into_bytes()),
            (-5000i64..5000).prop_map(|n| n.to_string().into_bytes()),
            proptest::collection::vec(any::<u8>(), 0..80),
            (4000usize..5000).prop_map(|n| vec![b'x'; n]),
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            value().prop_map(Step::Append),
            (value(), value()).prop_map(|(a, b)| Step::Pair(a, b)),
            (any::<usize>(), value()).prop_map(|(i, v)| Step::Replace(i, v)),
            (any::<usize>(), 0usize..4).prop_map(|(i, n)| Step::Delete(i, n)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn behaves_as_a_sequence(steps in proptest::collection::vec(step(), 1..40)) {
            let mut pack = Pack::new();
            let mut model: Vec<Vec<u8>> = Vec::new();
            for step in steps {
                match step {
                    Step::Append(value) => {
                        pack.append(&value);
                        model.push(value);
                    }
                    Step::Pair(a, b) => {
                        pack.append_pair(&a, &b);
                        model.extend([a, b]);
                    }
                    Step::Replace(i, value) if !model.is_empty() => {
                        let i = i % model.len();
                        pack.replace(pack.seek(i).unwrap(), &value);
                        model[i] = value;
                    }
                    Step::Delete(i, count) if !model.is_empty() => {
                        let i = i % model.len();
                        let gone = pack.delete_many(pack.seek(i).unwrap(), count);
                        model.drain(i..i + gone);
                        prop_assert_eq!(gone, count.min(gone));
                    }
                    _ => {}
                }
                check(&pack, &model);
            }
        }
    }

    #[test]
    fn more_elements_than_the_header_counts() {
        let mut pack = Pack::new();
        let mut listpack = Listpack::new();
        for n in 0..70_000 {
            pack.append_int(n % 100);
            listpack.append_int(n % 100);
        }
        assert_eq!(pack.len(), 70_000);
        assert_eq!(pack.to_listpack(), listpack.as_bytes());
        assert_eq!(Pack::from_listpack(listpack.view()).bytes(), pack.bytes());
    }
}
