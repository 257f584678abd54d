//! Redis's listpack: small sequences of strings and integers in one run of bytes.
//!
//! Layout, little-endian: total bytes (u32), number of elements (u16, 65535: count them), elements, 0xFF.
//! An element is a one-byte encoding with its data, then the length of that, written so that it can be
//! read backwards. Strings that spell a canonical 64-bit integer are kept as integers.
//!
//! Elements are addressed by *position*: the offset of their first byte. Positions are valid until the next
//! change at or before them. All of this is safe code over bounds-checked slices; whatever comes from
//! outside goes through [`validate`] first, after which no operation can leave the bytes.
//!
//! Invariant: the bytes of a [`Listpack`] pass [`validate`].

use super::counted::{self, UNKNOWN};
use super::flat::{Flat, Image, SelfSized};
use super::list::Item;
use super::tagged_pointer::Tagged;
use crate::text::parse_int;

/// Bytes before the first element.
pub(crate) const HEADER: usize = counted::HEADER;
/// Bytes of a listpack without elements.
pub(crate) const EMPTY_BYTES: usize = HEADER + 1;
/// Redis never lets a listpack grow past this; collections leave the encoding first.
pub(crate) const MAX_BYTES: usize = 1 << 30;
const END: u8 = 0xFF;
static EMPTY: Image<7> = Image([7, 0, 0, 0, 0, 0, END]);

/// Why bytes are no listpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid {
    pub(crate) what: &'static str,
    /// Offset into the bytes.
    pub(crate) at: usize,
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for Invalid {}

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

/// Checks that bytes are a listpack in every respect that reading it relies on; gives the element count.
pub fn validate(bytes: &[u8]) -> Result<usize, Invalid> {
    let fail = |what, at| Err(Invalid { what, at });
    if bytes.len() < EMPTY.0.len() || Layout::total(bytes) != bytes.len() {
        return fail("listpack length mismatch", 0);
    }
    let end = bytes.len() - 1;
    if bytes[end] != END {
        return fail("listpack without end mark", end);
    }
    let mut at = HEADER;
    let mut count = 0usize;
    while at < end {
        let Some(size) = checked_size(&bytes[at..end]) else {
            return fail("listpack element out of bounds", at);
        };
        let back = back_size(size);
        if size + back > end - at {
            return fail("listpack element out of bounds", at);
        }
        let mut want = [0; 5];
        write_back(&mut want[..back], size);
        if bytes[at + size..at + size + back] != want[..back] {
            return fail("listpack back length mismatch", at + size);
        }
        at += size + back;
        count += 1;
    }
    let stated = counted::stated(bytes);
    if stated != UNKNOWN && usize::from(stated) != count {
        return fail("listpack element count mismatch", 4);
    }
    Ok(count)
}

/// Encoding plus data of the element at the start of the bytes, if its encoding is known and it fits.
fn checked_size(bytes: &[u8]) -> Option<usize> {
    let first = *bytes.first()?;
    let size = match first {
        0..=0x7F => 1,
        0x80..=0xBF => 1 + usize::from(first & 0x3F),
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 2 + (usize::from(first & 0x0F) << 8 | usize::from(*bytes.get(1)?)),
        0xF0 => {
            let len = bytes.get(1..5)?;
            5 + u32::from_le_bytes([len[0], len[1], len[2], len[3]]) as usize
        }
        0xF1 => 3,
        0xF2 => 4,
        0xF3 => 5,
        0xF4 => 9,
        _ => return None,
    };
    (size <= bytes.len()).then_some(size)
}

/// How many bytes the back length of an element of `size` bytes takes.
#[inline]
pub(crate) fn back_size(size: usize) -> usize {
    match size {
        0..=127 => 1,
        128..=16382 => 2,
        16383..=2097150 => 3,
        2097151..=268435454 => 4,
        _ => 5,
    }
}

/// Writes a back length: seven bits a byte, most significant first, all but the first marked.
#[inline]
fn write_back(out: &mut [u8], size: usize) {
    let mut rest = size;
    for (i, byte) in out.iter_mut().enumerate().rev() {
        *byte = (rest & 0x7F) as u8 | if i > 0 { 0x80 } else { 0 };
        rest >>= 7;
    }
}

/// Sign-extends the low `bits` of a number.
#[inline]
fn signed(value: u64, bits: u32) -> i64 {
    ((value << (64 - bits)) as i64) >> (64 - bits)
}

/// The element at a position, and the size of its encoding and data.
#[inline]
pub(super) fn decode(bytes: &[u8], at: usize) -> (Item<'_>, usize) {
    let first = bytes[at];
    let string = |head: usize, len: usize| {
        let start = at + head;
        (Item::Bytes(&bytes[start..start + len]), head + len)
    };
    let int = |width: usize| {
        let mut raw = [0; 8];
        raw[..width].copy_from_slice(&bytes[at + 1..at + 1 + width]);
        let value = signed(u64::from_le_bytes(raw), 8 * width as u32);
        (Item::Int(value), 1 + width)
    };
    match first {
        0..=0x7F => (Item::Int(i64::from(first)), 1),
        0x80..=0xBF => string(1, usize::from(first & 0x3F)),
        0xC0..=0xDF => {
            let raw = u64::from(first & 0x1F) << 8 | u64::from(bytes[at + 1]);
            (Item::Int(signed(raw, 13)), 2)
        }
        0xE0..=0xEF => string(
            2,
            usize::from(first & 0x0F) << 8 | usize::from(bytes[at + 1]),
        ),
        0xF0 => {
            let len = [bytes[at + 1], bytes[at + 2], bytes[at + 3], bytes[at + 4]];
            string(5, u32::from_le_bytes(len) as usize)
        }
        0xF1 => int(2),
        0xF2 => int(3),
        0xF3 => int(4),
        0xF4 => int(8),
        // Unreachable for validated bytes and positions of elements; an empty item ends any loop's harm.
        _ => (Item::Bytes(&[]), 1),
    }
}

/// How an element is to be written.
pub(crate) enum Encoded<'a> {
    Int(i64),
    Bytes(&'a [u8]),
}

impl<'a> Encoded<'a> {
    #[inline]
    pub(crate) fn of(value: &'a [u8]) -> Encoded<'a> {
        match parse_int(value) {
            Some(n) => Encoded::Int(n),
            None => Encoded::Bytes(value),
        }
    }

    /// Encoding and data, bytes.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        match self {
            Encoded::Int(n) => match *n {
                0..=127 => 1,
                -4096..=4095 => 2,
                -0x8000..=0x7FFF => 3,
                -0x80_0000..=0x7F_FFFF => 4,
                -0x8000_0000..=0x7FFF_FFFF => 5,
                _ => 9,
            },
            Encoded::Bytes(b) => match b.len() {
                0..=63 => 1 + b.len(),
                64..=4095 => 2 + b.len(),
                _ => 5 + b.len(),
            },
        }
    }

    /// As `size`, with the back length.
    #[inline]
    pub(super) fn full(&self) -> usize {
        let size = self.size();
        size + back_size(size)
    }

    /// Writes encoding, data and back length; `out` has exactly that size. Without room for a back length, none.
    pub(crate) fn write(&self, out: &mut [u8]) {
        let size = self.size();
        let (body, back) = out.split_at_mut(size);
        match self {
            Encoded::Int(n) => match size {
                1 => body[0] = *n as u8,
                2 => {
                    body[0] = 0xC0 | ((*n >> 8) as u8 & 0x1F);
                    body[1] = *n as u8;
                }
                _ => {
                    body[0] = match size {
                        3 => 0xF1,
                        4 => 0xF2,
                        5 => 0xF3,
                        _ => 0xF4,
                    };
                    body[1..].copy_from_slice(&n.to_le_bytes()[..size - 1]);
                }
            },
            Encoded::Bytes(b) => {
                let head = size - b.len();
                match head {
                    1 => body[0] = 0x80 | b.len() as u8,
                    2 => {
                        body[0] = 0xE0 | (b.len() >> 8) as u8;
                        body[1] = b.len() as u8;
                    }
                    _ => {
                        body[0] = 0xF0;
                        body[1..5].copy_from_slice(&(b.len() as u32).to_le_bytes());
                    }
                }
                body[head..].copy_from_slice(b);
            }
        }
        write_back(back, size);
    }
}

impl<'a> From<Item<'a>> for Encoded<'a> {
    #[inline]
    fn from(item: Item<'a>) -> Encoded<'a> {
        match item {
            Item::Int(n) => Encoded::Int(n),
            Item::Bytes(b) => Encoded::Bytes(b),
        }
    }
}

/// A listpack's bytes of these elements; `expected` is about how many bytes they will be.
pub(super) fn bytes_of<'a>(
    elements: impl Iterator<Item = Encoded<'a>>,
    expected: usize,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(expected);
    bytes.extend_from_slice(&EMPTY.0[..HEADER]);
    let mut count = 0usize;
    for element in elements {
        let at = bytes.len();
        bytes.resize(at + element.full(), 0);
        element.write(&mut bytes[at..]);
        count += 1;
    }
    bytes.push(END);
    let total = bytes.len();
    counted::set_total(&mut bytes, total);
    counted::set_count(&mut bytes, count);
    bytes
}

/// Whether an item is this string; `as_int` is the string parsed, done once by the caller.
#[inline]
pub(super) fn equals(item: Item<'_>, text: &[u8], as_int: Option<i64>) -> bool {
    match item {
        Item::Int(n) => as_int == Some(n),
        Item::Bytes(b) => b == text,
    }
}

/// A borrowed look at a listpack's bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    bytes: &'a [u8],
}

impl<'a> View<'a> {
    /// Takes bytes that have passed [`validate`]. Others may panic later.
    pub(crate) fn from_validated_bytes(bytes: &'a [u8]) -> View<'a> {
        View { bytes }
    }

    pub(crate) fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    fn end(self) -> usize {
        self.bytes.len() - 1
    }

    /// How many elements; walks the whole if there are 65535 or more.
    pub(crate) fn len(self) -> usize {
        match counted::stated(self.bytes) {
            UNKNOWN => self.iter().count(),
            n => usize::from(n),
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.bytes.len() == EMPTY.0.len()
    }

    pub(crate) fn first(self) -> Option<usize> {
        (!self.is_empty()).then_some(HEADER)
    }

    pub(crate) fn last(self) -> Option<usize> {
        self.prev(self.end())
    }

    /// The element at a position.
    #[inline]
    pub(crate) fn get(self, at: usize) -> Item<'a> {
        decode(self.bytes, at).0
    }

    /// The offset just after the element at a position, which is the next element's or the end mark's.
    #[inline]
    pub(crate) fn after(self, at: usize) -> usize {
        let (_, size) = decode(self.bytes, at);
        at + size + back_size(size)
    }

    #[inline]
    pub(crate) fn next(self, at: usize) -> Option<usize> {
        let after = self.after(at);
        (after < self.end()).then_some(after)
    }

    /// The element before a position (or before the end mark).
    #[inline]
    pub(crate) fn prev(self, at: usize) -> Option<usize> {
        if at <= HEADER {
            return None;
        }
        let mut back = at - 1;
        let mut size = 0usize;
        let mut shift = 0;
        loop {
            let byte = self.bytes[back];
            size |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
            back -= 1;
        }
        Some(back - size)
    }

    /// The position of the element with this index; negative ones count from the tail.
    pub(crate) fn seek(self, index: i64) -> Option<usize> {
        let count = counted::stated(self.bytes);
        let mut index = index;
        if count != UNKNOWN {
            let count = i64::from(count);
            if index >= count || index < -count {
                return None;
            }
            // Walk from the nearer end.
            if index >= 0 && index > count / 2 {
                index -= count;
            } else if index < 0 && -index > count / 2 {
                index += count;
            }
        }
        if index >= 0 {
            let mut at = self.first()?;
            for _ in 0..index {
                at = self.next(at)?;
            }
            Some(at)
        } else {
            let mut at = self.last()?;
            for _ in index + 1..0 {
                at = self.prev(at)?;
            }
            Some(at)
        }
    }

    /// The element with this index, see [`View::seek`].
    pub(crate) fn at(self, index: i64) -> Option<Item<'a>> {
        self.seek(index).map(|at| self.get(at))
    }

    /// The first element equal to `value` from position `from` on, looking at every `step`th (1: all;
    /// 2: only fields, if `from` is a field).
    pub(crate) fn find(self, from: usize, value: &[u8], step: usize) -> Option<usize> {
        let as_int = parse_int(value);
        let end = self.end();
        let mut at = from;
        let mut skip = 0;
        while at < end {
            let first = self.bytes[at];
            // Short strings are nearly everything; the general case is in `decode`.
            let size = if first & 0xC0 == 0x80 {
                let len = usize::from(first & 0x3F);
                if skip == 0 && len == value.len() && self.bytes[at + 1..at + 1 + len] == *value {
                    return Some(at);
                }
                1 + len
            } else {
                let (item, size) = decode(self.bytes, at);
                if skip == 0 && equals(item, value, as_int) {
                    return Some(at);
                }
                size
            };
            skip = if skip == 0 { step - 1 } else { skip - 1 };
            at += size + back_size(size);
        }
        None
    }

    pub(crate) fn iter(self) -> Iter<'a> {
        Iter {
            bytes: self.bytes,
            front: HEADER,
            back: self.end(),
        }
    }

    /// Elements from a position on.
    pub(crate) fn iter_at(self, at: usize) -> Iter<'a> {
        Iter {
            bytes: self.bytes,
            front: at,
            back: self.end(),
        }
    }

    /// Elements up to and without the one at a position (or the end), for walking back from there.
    pub(crate) fn iter_until(self, at: usize) -> Iter<'a> {
        Iter {
            bytes: self.bytes,
            front: HEADER,
            back: at,
        }
    }

    /// Elements two by two (field and value, member and score). An odd last one is left out.
    pub(crate) fn pairs(self) -> Pairs<'a> {
        Pairs { iter: self.iter() }
    }
}

/// Elements in order, from both ends.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    front: usize,
    back: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        if self.front >= self.back {
            return None;
        }
        // Most elements are strings below 64 bytes: their lengths before and behind take a byte each.
        let first = self.bytes[self.front];
        if first & 0xC0 == 0x80 {
            let start = self.front + 1;
            let end = start + usize::from(first & 0x3F);
            self.front = end + 1;
            return Some(Item::Bytes(&self.bytes[start..end]));
        }
        self.next_of_any_kind()
    }
}

impl<'a> Iter<'a> {
    #[inline(never)]
    fn next_of_any_kind(&mut self) -> Option<Item<'a>> {
        let (item, size) = decode(self.bytes, self.front);
        self.front += size + back_size(size);
        Some(item)
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.front >= self.back {
            return None;
        }
        let view = View { bytes: self.bytes };
        self.back = view.prev(self.back)?;
        Some(view.get(self.back))
    }
}

/// Elements two by two.
#[derive(Clone, Debug)]
pub(crate) struct Pairs<'a> {
    iter: Iter<'a>,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Item<'a>, Item<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        Some((self.iter.next()?, self.iter.next()?))
    }
}

impl DoubleEndedIterator for Pairs<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let second = self.iter.next_back()?;
        Some((self.iter.next_back()?, second))
    }
}

/// An owned listpack: one word, one allocation (none while empty).
#[derive(Clone, Default)]
#[repr(transparent)]
pub struct Listpack {
    flat: Flat<Layout>,
}

// SAFETY: it is a `Flat`.
unsafe impl Tagged for Listpack {
    const TAG: usize = Layout::TAG;
}

impl std::fmt::Debug for Listpack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Listpack {
    pub(crate) fn new() -> Listpack {
        Listpack::default()
    }

    /// Copies bytes after validating them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Listpack, Invalid> {
        validate(bytes)?;
        Ok(Listpack::from_validated_bytes(bytes))
    }

    /// Copies bytes that have passed [`validate`]. Others panic, here or later.
    pub(crate) fn from_validated_bytes(bytes: &[u8]) -> Listpack {
        Listpack {
            flat: Flat::from_slice(bytes),
        }
    }

    #[inline]
    pub(crate) fn view(&self) -> View<'_> {
        View {
            bytes: self.flat.as_slice(),
        }
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.flat.as_slice()
    }

    /// Begins to bring the first elements into the cache.
    #[inline]
    pub(crate) fn prefetch(&self) {
        self.flat.prefetch();
    }

    /// Length of the whole layout, bytes.
    pub(crate) fn byte_len(&self) -> usize {
        self.flat.total()
    }

    /// Bytes of memory held.
    pub(crate) fn memory(&self) -> usize {
        self.flat.memory()
    }

    /// What an element of this value adds to the layout at most, bytes.
    pub(crate) fn cost(value: &[u8]) -> usize {
        value.len() + 10
    }

    /// Whether `more` bytes (see [`Listpack::cost`]) can be added.
    pub(crate) fn fits(&self, more: usize) -> bool {
        self.byte_len() + more <= MAX_BYTES
    }

    pub fn len(&self) -> usize {
        self.view().len()
    }

    pub fn is_empty(&self) -> bool {
        self.view().is_empty()
    }

    pub fn iter(&self) -> Iter<'_> {
        self.view().iter()
    }

    pub(crate) fn pairs(&self) -> Pairs<'_> {
        self.view().pairs()
    }

    pub fn seek(&self, index: i64) -> Option<usize> {
        self.view().seek(index)
    }

    pub(crate) fn get(&self, at: usize) -> Item<'_> {
        self.view().get(at)
    }

    /// As [`View::find`].
    pub(crate) fn find(&self, from: usize, value: &[u8], step: usize) -> Option<usize> {
        self.view().find(from, value, step)
    }

    fn add_count(&mut self, by: i64) {
        counted::add_count(self.flat.as_mut_slice(), by);
    }

    fn splice(&mut self, at: usize, remove: usize, value: &Encoded<'_>) {
        let gap = self.flat.splice(at, remove, value.full());
        value.write(gap);
    }

    /// Inserts before the element at a position, or at the end if it is that of the end mark.
    pub(crate) fn insert(&mut self, at: usize, value: &[u8]) {
        self.splice(at, 0, &Encoded::of(value));
        self.add_count(1);
    }

    /// As `Listpack::insert`, after the element at a position.
    pub fn insert_after(&mut self, at: usize, value: &[u8]) {
        let after = self.view().after(at);
        self.insert(after, value);
    }

    pub fn append(&mut self, value: &[u8]) {
        let end = self.view().end();
        self.insert(end, value);
    }

    /// Appends two elements (field and value, member and score) in one go.
    #[cfg(test)]
    pub(crate) fn append_pair(&mut self, first: &[u8], second: &[u8]) {
        let (first, second) = (Encoded::of(first), Encoded::of(second));
        let end = self.view().end();
        let gap = self.flat.splice(end, 0, first.full() + second.full());
        let (a, b) = gap.split_at_mut(first.full());
        first.write(a);
        second.write(b);
        self.add_count(2);
    }

    pub(crate) fn append_int(&mut self, value: i64) {
        let end = self.view().end();
        self.splice(end, 0, &Encoded::Int(value));
        self.add_count(1);
    }

    #[cfg(test)]
    pub(crate) fn prepend(&mut self, value: &[u8]) {
        self.insert(HEADER, value);
    }

    /// Puts another value in the place of the element at a position (which stays valid).
    pub fn replace(&mut self, at: usize, value: &[u8]) {
        let remove = self.view().after(at) - at;
        self.splice(at, remove, &Encoded::of(value));
    }

    /// Removes the element at a position, where the next one then stands.
    pub fn delete(&mut self, at: usize) {
        self.delete_many(at, 1);
    }

    /// Removes up to `count` elements from a position on; how many there were.
    pub(crate) fn delete_many(&mut self, at: usize, count: usize) -> usize {
        let view = self.view();
        let mut to = at;
        let mut gone = 0;
        while gone < count && to < view.end() {
            to = view.after(to);
            gone += 1;
        }
        if gone > 0 {
            self.flat.splice(at, to - at, 0);
            self.add_count(-(gone as i64));
        }
        gone
    }

    /// Appends all elements of another listpack.
    #[cfg(test)]
    pub(crate) fn append_all(&mut self, other: &Listpack) {
        let view = other.view();
        if view.is_empty() {
            return;
        }
        let count = view.len();
        let elements = &view.bytes[HEADER..view.end()];
        let end = self.view().end();
        self.flat
            .splice(end, 0, elements.len())
            .copy_from_slice(elements);
        self.add_count(count.min(usize::from(UNKNOWN)) as i64);
    }

    /// Takes the elements from a position (or the end) on into a listpack of their own.
    #[cfg(test)]
    pub(crate) fn split_off(&mut self, at: usize) -> Listpack {
        let view = self.view();
        let count = view.iter_at(at).count();
        let mut tail = Listpack::new();
        if count > 0 {
            let elements = &view.bytes[at..view.end()];
            let len = elements.len();
            tail.flat.splice(HEADER, 0, len).copy_from_slice(elements);
            tail.add_count(count.min(usize::from(UNKNOWN)) as i64);
            self.flat.splice(at, len, 0);
            self.add_count(-(count as i64));
        }
        tail
    }
}

impl<'a> FromIterator<&'a [u8]> for Listpack {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(values: I) -> Listpack {
        let mut listpack = Listpack::new();
        for value in values {
            listpack.append(value);
        }
        listpack
    }
}

#[cfg(test)]
#[path = "listpack_tests.rs"]
mod tests;
