//! Redis's intset: a sorted set of integers, each in 2, 4 or 8 bytes, the width that the widest needs.
//!
//! Layout, little-endian: width (u32), count (u32), the integers in rising order.
//!
//! Invariant: the bytes of an [`Intset`] pass [`validate`], or are the empty image.

use super::flat::{Flat, Image, SelfSized};
use super::listpack::Invalid;
use super::tagged_pointer::Tagged;

const HEADER: usize = 8;
static EMPTY: Image<HEADER> = Image([2, 0, 0, 0, 0, 0, 0, 0]);

/// The byte layout, for [`Flat`].
pub(crate) struct Layout;

#[inline]
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

// SAFETY: the length is the width times the count; set_total stores the count that gives it back.
unsafe impl SelfSized for Layout {
    const HEADER: usize = HEADER;
    const TAG: usize = 1;

    fn empty() -> &'static [u8] {
        &EMPTY.0
    }

    #[inline]
    fn total(header: &[u8]) -> usize {
        HEADER + word(header, 0) as usize * word(header, 4) as usize
    }

    #[inline]
    fn set_total(header: &mut [u8], total: usize) {
        let count = (total - HEADER) / word(header, 0) as usize;
        // A set of 2^32 integers has left this encoding long before.
        let count = u32::try_from(count).expect("an intset's count fits in 32 bits");
        header[4..8].copy_from_slice(&count.to_le_bytes());
    }
}

/// Checks that bytes are a non-empty intset: known width, exact length, strictly rising.
pub fn validate(bytes: &[u8]) -> Result<usize, Invalid> {
    let fail = |what, at| Err(Invalid { what, at });
    if bytes.len() < HEADER {
        return fail("intset too short", 0);
    }
    if !matches!(word(bytes, 0), 2 | 4 | 8) {
        return fail("intset of unknown width", 0);
    }
    let count = word(bytes, 4) as usize;
    if count == 0 || Layout::total(bytes) != bytes.len() {
        return fail("intset length mismatch", 4);
    }
    let width = word(bytes, 0) as usize;
    for i in 1..count {
        if read(bytes, width, i - 1) >= read(bytes, width, i) {
            return fail("intset out of order", HEADER + i * width);
        }
    }
    Ok(count)
}

/// The bytes that an integer needs.
#[inline]
fn width_of(value: i64) -> usize {
    if i16::try_from(value).is_ok() {
        2
    } else if i32::try_from(value).is_ok() {
        4
    } else {
        8
    }
}

#[inline]
fn read(bytes: &[u8], width: usize, index: usize) -> i64 {
    let at = HEADER + index * width;
    let raw = &bytes[at..at + width];
    match *raw {
        [a, b] => i64::from(i16::from_le_bytes([a, b])),
        [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => i64::from_le_bytes([a, b, c, d, e, f, g, h]),
        // Widths are 2, 4 or 8 by the invariant.
        _ => 0,
    }
}

/// A set of integers: one word, one allocation (none while empty).
#[derive(Clone, Default)]
#[repr(transparent)]
pub struct Intset {
    flat: Flat<Layout>,
}

// SAFETY: it is a `Flat`.
unsafe impl Tagged for Intset {
    const TAG: usize = Layout::TAG;
}

impl std::fmt::Debug for Intset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Intset {
    pub(crate) fn new() -> Intset {
        Intset::default()
    }

    /// Copies bytes after validating them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Intset, Invalid> {
        validate(bytes)?;
        Ok(Intset::from_validated_bytes(bytes))
    }

    /// Copies bytes that have passed [`validate`]. Others panic, here or later.
    pub(crate) fn from_validated_bytes(bytes: &[u8]) -> Intset {
        Intset {
            flat: Flat::from_slice(bytes),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.flat.as_slice()
    }

    /// Bytes of memory held.
    pub(crate) fn memory(&self) -> usize {
        self.flat.memory()
    }

    fn width(&self) -> usize {
        word(self.as_bytes(), 0) as usize
    }

    pub(crate) fn len(&self) -> usize {
        word(self.as_bytes(), 4) as usize
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `index`th lowest; None out of range.
    pub(crate) fn get(&self, index: usize) -> Option<i64> {
        let bytes = self.as_bytes();
        (index < self.len()).then(|| read(bytes, self.width(), index))
    }

    /// Where a value is, or where it would stand.
    fn search(&self, value: i64) -> Result<usize, usize> {
        let bytes = self.as_bytes();
        let width = self.width();
        let (mut low, mut high) = (0, self.len());
        // Appending in rising order is common (sequences of ids).
        if high > 0 && read(bytes, width, high - 1) < value {
            return Err(high);
        }
        while low < high {
            let middle = (low + high) / 2;
            match read(bytes, width, middle).cmp(&value) {
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    pub fn contains(&self, value: i64) -> bool {
        self.search(value).is_ok()
    }

    /// True if it was not there.
    pub fn insert(&mut self, value: i64) -> bool {
        let Err(index) = self.search(value) else {
            return false;
        };
        if width_of(value) > self.width() {
            self.widen(width_of(value));
        }
        let width = self.width();
        self.flat
            .splice(HEADER + index * width, 0, width)
            .copy_from_slice(&value.to_le_bytes()[..width]);
        true
    }

    /// Rewrites all in a greater width. It never goes back (nor does Redis's).
    fn widen(&mut self, width: usize) {
        let mut bytes = Vec::with_capacity(HEADER + width * self.len());
        bytes.extend_from_slice(&(width as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.len() as u32).to_le_bytes());
        for value in self.iter() {
            bytes.extend_from_slice(&value.to_le_bytes()[..width]);
        }
        if bytes.len() == HEADER {
            // An empty image can't carry a width: start from one element's room and take it out.
            bytes.extend_from_slice(&0i64.to_le_bytes()[..width]);
            bytes[4] = 1;
            self.flat = Flat::from_slice(&bytes);
            self.flat.splice(HEADER, width, 0);
        } else {
            self.flat = Flat::from_slice(&bytes);
        }
    }

    /// True if it was there.
    pub fn remove(&mut self, value: i64) -> bool {
        let Ok(index) = self.search(value) else {
            return false;
        };
        let width = self.width();
        self.flat.splice(HEADER + index * width, width, 0);
        true
    }

    /// In rising order.
    pub fn iter(&self) -> Iter<'_> {
        let bytes = self.as_bytes();
        Iter {
            bytes,
            width: self.width(),
            range: 0..self.len(),
        }
    }

    /// The lowest and the highest.
    pub(crate) fn bounds(&self) -> Option<(i64, i64)> {
        let last = self.len().checked_sub(1)?;
        Some((self.get(0)?, self.get(last)?))
    }
}

/// The integers of a set.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    width: usize,
    range: std::ops::Range<usize>,
}

impl Iterator for Iter<'_> {
    type Item = i64;

    #[inline]
    fn next(&mut self) -> Option<i64> {
        let index = self.range.next()?;
        Some(read(self.bytes, self.width, index))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<i64> {
        let index = self.range.next_back()?;
        Some(read(self.bytes, self.width, index))
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bytes_are_those_of_redis() {
        let mut set = Intset::new();
        for n in [3, -1, 2, 3] {
            set.insert(n);
        }
        assert_eq!(
            set.as_bytes(),
            [2, 0, 0, 0, 3, 0, 0, 0, 255, 255, 2, 0, 3, 0]
        );
        set.insert(1 << 20);
        assert_eq!(set.as_bytes()[0], 4);
        assert_eq!(set.iter().collect::<Vec<_>>(), [-1, 2, 3, 1 << 20]);
        assert!(set.remove(1 << 20));
        assert_eq!(set.as_bytes()[0], 4);
    }

    #[test]
    fn a_wide_first_value() {
        let mut set = Intset::new();
        assert!(set.insert(i64::MIN));
        assert!(set.insert(i64::MAX));
        assert_eq!(set.iter().collect::<Vec<_>>(), [i64::MIN, i64::MAX]);
        assert!(set.remove(i64::MIN) && set.remove(i64::MAX) && set.is_empty());
        assert!(set.insert(1 << 40) && set.clone().contains(1 << 40));
    }

    #[test]
    fn bad_bytes_are_refused() {
        for bytes in [
            &b""[..],
            &[2, 0, 0, 0, 0, 0, 0, 0],
            &[3, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3],
            &[2, 0, 0, 0, 2, 0, 0, 0, 1, 0],
            &[2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 0],
            &[2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 1, 0],
            &[8, 0, 0, 0, 255, 255, 255, 255, 1, 0],
        ] {
            assert!(Intset::from_bytes(bytes).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn behaves_as_an_ordered_set(
            steps in prop::collection::vec(
                (any::<bool>(), prop_oneof![-40i64..40, -40_000i64..40_000, any::<i64>()]), 1..120)
        ) {
            let mut set = Intset::new();
            let mut model = BTreeSet::new();
            for (add, n) in steps {
                if add {
                    prop_assert_eq!(set.insert(n), model.insert(n));
                } else {
                    prop_assert_eq!(set.remove(n), model.remove(&n));
                }
                prop_assert!(set.is_empty() || validate(set.as_bytes()) == Ok(model.len()));
            }
            prop_assert!(set.iter().eq(model.iter().copied()));
            prop_assert!(model.iter().all(|n| set.contains(*n)));
        }
    }
}
