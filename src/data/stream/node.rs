//! A stream's node: some hundred entries in one run of bytes.
//!
//! It holds what a node of Redis holds, entry for entry, with those deleted, but is only read forwards and needs no
//! lengths behind elements: an entry of one short field takes 2 bytes more than its value, where Redis's listpack takes
//! 9 or 10. Its listpack form is made when a dump is written (`super::packed`), and how long that would be is known
//! at any time, since Redis decides by it when a node is full.
//!
//! Layout of the bytes: the *master fields*, which are the first entry's; then the entries. Elements are those of a
//! [`super::super::listpack`] without the length behind each. An entry is
//!
//! | part | when |
//! |---|---|
//! | a byte of flags: deleted, own fields, form of the id | |
//! | how much the milliseconds rise from the entry before | the form says so |
//! | how much the number rises, or the number itself if the milliseconds rose | the form says so |
//! | how many fields, then each field with its value | it has fields of its own |
//! | the values of the master fields | else |
//!
//! with numbers of seven bits a byte, the lowest first.
//!
//! Invariants: the bytes are whole entries, `live + deleted` of them; their ids rise from `first` to `last`.

use smallvec::SmallVec;

use super::StreamId;
use crate::data::Encodings;
use crate::data::list::Item;
use crate::data::listpack::{self, Encoded, decode};

const DELETED: u8 = 1;
const OWN_FIELDS: u8 = 1 << 1;
/// The milliseconds rise; else they are those of the entry before.
const RISING_MS: u8 = 1 << 2;
/// A number follows; else it is 0 behind rising milliseconds, and one more than before in the same.
const WRITTEN_SEQ: u8 = 1 << 3;

/// When a node is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeLimits {
    /// Bytes of its listpack form; 0: no limit.
    pub(crate) bytes: usize,
    /// Entries, those deleted as well; 0: no limit.
    pub(crate) entries: usize,
}

impl NodeLimits {
    pub(crate) fn of(enc: &Encodings) -> NodeLimits {
        NodeLimits {
            bytes: enc.stream_node_max_bytes,
            entries: enc.stream_node_max_entries,
        }
    }
}

/// No node grows beyond this by more than an entry, whatever the limits: a snapshot may have it copied by a write.
const BYTES_MAX: usize = 64 << 10;

/// See the module.
#[derive(Clone)]
pub(crate) struct Node {
    pub(super) first: StreamId,
    pub(super) last: StreamId,
    pub(super) live: u32,
    pub(super) deleted: u32,
    /// How many master fields there are, and where the entries begin.
    fields: u32,
    entries_at: u32,
    /// What master fields and entries take as elements of a listpack.
    packed_bytes: usize,
    bytes: Vec<u8>,
}

/// An entry in a node.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) id: StreamId,
    node: &'a Node,
    /// Where its flags are.
    pub(super) at: usize,
    /// Where its fields, or values, begin.
    body: usize,
    fields: usize,
}

/// What an entry takes besides its fields, in a listpack: flags, id, count of elements.
fn packed_head(first: StreamId, id: StreamId, own_fields: Option<usize>, fields: usize) -> usize {
    let int = |n: i64| Encoded::Int(n).full();
    let own = own_fields.map_or(0, |count| int(count as i64));
    int(0)
        + int(id.ms.wrapping_sub(first.ms) as i64)
        + int(id.seq.wrapping_sub(first.seq) as i64)
        + own
        + int(packed_count(own_fields.is_some(), fields))
}

/// How many elements an entry is said to have in a listpack.
pub(super) fn packed_count(own_fields: bool, fields: usize) -> i64 {
    let fields = fields as i64;
    if own_fields {
        2 * fields + 4
    } else {
        fields + 3
    }
}

fn push_number(bytes: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
}

#[inline]
fn read_number(bytes: &[u8], at: &mut usize) -> u64 {
    let mut n = 0;
    let mut shift = 0;
    loop {
        let byte = bytes[*at];
        *at += 1;
        n |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 || shift > 63 {
            return n;
        }
    }
}

fn push_element(bytes: &mut Vec<u8>, element: &Encoded<'_>) -> usize {
    let (at, size) = (bytes.len(), element.size());
    bytes.resize(at + size, 0);
    element.write(&mut bytes[at..]);
    size + listpack::back_size(size)
}

/// Whether an element is this text.
#[inline]
fn is_text(item: Item<'_>, text: &[u8]) -> bool {
    match item {
        Item::Bytes(bytes) => bytes == text,
        Item::Int(n) => itoa::Buffer::new().format(n).as_bytes() == text,
    }
}

impl Node {
    /// An empty node whose first entry is to have this id and these fields.
    pub(super) fn new<'a>(
        first: StreamId,
        fields: impl Iterator<Item = Encoded<'a>>,
        room: usize,
    ) -> Node {
        let mut node = Node {
            first,
            last: first,
            live: 0,
            deleted: 0,
            fields: 0,
            entries_at: 0,
            packed_bytes: 0,
            bytes: Vec::with_capacity(room),
        };
        for field in fields {
            node.packed_bytes += push_element(&mut node.bytes, &field);
            node.fields += 1;
        }
        node.entries_at = node.bytes.len() as u32;
        node
    }

    /// How many entries, with those deleted.
    pub(super) fn entries(&self) -> usize {
        (self.live + self.deleted) as usize
    }

    /// How long its listpack is.
    pub(super) fn packed_len(&self) -> usize {
        let head = [
            i64::from(self.live),
            i64::from(self.deleted),
            i64::from(self.fields),
            0,
        ];
        let head: usize = head.into_iter().map(|n| Encoded::Int(n).full()).sum();
        listpack::EMPTY_BYTES + head + self.packed_bytes
    }

    /// Whether an entry of so many bytes of fields and values begins a node of its own.
    pub(super) fn is_full_for(&self, more: usize, limits: NodeLimits) -> bool {
        let bytes = match limits.bytes {
            0 => BYTES_MAX,
            bytes => bytes.min(BYTES_MAX),
        };
        self.packed_len() + more >= bytes
            || (limits.entries > 0 && self.entries() >= limits.entries)
            || self.bytes.len() + more > u32::MAX as usize
    }

    /// Whether these are the master fields, in this order; `pairs` are fields and values by turns.
    #[inline]
    pub(super) fn has_fields(&self, pairs: &[&[u8]]) -> bool {
        if pairs.len() != 2 * self.fields as usize {
            return false;
        }
        let mut at = 0;
        pairs.chunks_exact(2).all(|pair| {
            let (field, size) = decode(&self.bytes, at);
            at += size;
            is_text(field, pair[0])
        })
    }

    /// Adds an entry behind the last. `elements`: fields and values by turns, or the values of the master fields.
    pub(super) fn push<'a>(
        &mut self,
        id: StreamId,
        is_deleted: bool,
        own_fields: Option<usize>,
        elements: impl Iterator<Item = Encoded<'a>>,
    ) {
        debug_assert!(id > self.last || self.entries() == 0 && id >= self.last);
        let bytes = &mut self.bytes;
        let mut flags = if is_deleted { DELETED } else { 0 };
        if own_fields.is_some() {
            flags |= OWN_FIELDS;
        }
        // The first entry is seen from its own id, with the number written.
        let rise = id.ms - self.last.ms;
        let seq = match rise {
            0 => (id.seq - self.last.seq, 1),
            _ => (id.seq, 0),
        };
        flags |= if rise > 0 { RISING_MS } else { 0 };
        flags |= if seq.0 != seq.1 { WRITTEN_SEQ } else { 0 };
        bytes.push(flags);
        if rise > 0 {
            push_number(bytes, rise);
        }
        if seq.0 != seq.1 {
            push_number(bytes, seq.0);
        }
        if let Some(count) = own_fields {
            push_number(bytes, count as u64);
        }
        for element in elements {
            self.packed_bytes += push_element(bytes, &element);
        }
        let fields = own_fields.unwrap_or(self.fields as usize);
        self.packed_bytes += packed_head(self.first, id, own_fields, fields);
        self.last = id;
        match is_deleted {
            true => self.deleted += 1,
            false => self.live += 1,
        }
    }

    /// Whether it has grown to where it should go on in another node, whatever the limits.
    pub(super) fn is_too_long(&self) -> bool {
        self.bytes.len() >= BYTES_MAX
    }

    pub(super) fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Gives back room that no more entries will take.
    pub(super) fn close(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Marks an entry, which must not be yet, as deleted.
    pub(super) fn delete(&mut self, at: usize) {
        debug_assert!(self.bytes[at] & DELETED == 0);
        self.bytes[at] |= DELETED;
        self.live -= 1;
        self.deleted += 1;
    }

    /// The same up to the last entry that is not deleted. There must be one.
    pub(super) fn without_deleted_tail(&self) -> Node {
        let fields = self.master_fields().map(Encoded::from);
        let mut node = Node::new(self.first, fields, self.bytes.len());
        let last = self.iter_back().next().map(|entry| entry.id);
        for entry in self.iter().take_while(|entry| Some(entry.id) <= last) {
            let own = entry.has_own_fields();
            let elements = entry.pairs().flat_map(|(field, value)| {
                let field = own.then_some(Encoded::from(field));
                field.into_iter().chain([Encoded::from(value)])
            });
            node.push(
                entry.id,
                entry.is_deleted(),
                own.then_some(entry.len()),
                elements,
            );
        }
        node
    }

    /// The master fields.
    pub(super) fn master_fields(&self) -> impl Iterator<Item = Item<'_>> {
        let mut at = 0;
        (0..self.fields).map(move |_| {
            let (field, size) = decode(&self.bytes, at);
            at += size;
            field
        })
    }

    pub(super) fn master_field_count(&self) -> usize {
        self.fields as usize
    }

    /// All entries, also those deleted.
    pub(super) fn iter(&self) -> NodeIter<'_> {
        NodeIter {
            node: self,
            at: self.entries_at as usize,
            before: self.first,
        }
    }

    /// All entries that are not deleted, backwards.
    pub(super) fn iter_back(&self) -> NodeIterBack<'_> {
        NodeIterBack {
            entries: self.iter().filter(|entry| !entry.is_deleted()).collect(),
        }
    }

    /// The first entry that is not deleted.
    pub(super) fn first_live(&self) -> Option<Entry<'_>> {
        self.iter().find(|entry| !entry.is_deleted())
    }

    /// Bytes of memory held.
    pub(super) fn memory(&self) -> usize {
        size_of::<Node>() + 16 + self.bytes.capacity()
    }
}

/// A walk over a node.
#[derive(Clone)]
pub(crate) struct NodeIter<'a> {
    node: &'a Node,
    at: usize,
    before: StreamId,
}

impl<'a> NodeIter<'a> {
    /// The id of the entry that came last; the node's first before that.
    pub(super) fn position(&self) -> StreamId {
        self.before
    }

    pub(super) fn node(&self) -> &'a Node {
        self.node
    }
}

impl<'a> Iterator for NodeIter<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        let bytes = &self.node.bytes[..];
        let at = self.at;
        let flags = *bytes.get(at)?;
        let mut next = at + 1;
        let mut id = self.before;
        if flags & RISING_MS != 0 {
            id.ms += read_number(bytes, &mut next);
            id.seq = 0;
        }
        id.seq += match flags & (WRITTEN_SEQ | RISING_MS) {
            0 => 1,
            RISING_MS => 0,
            _ => read_number(bytes, &mut next),
        };
        let (fields, elements) = if flags & OWN_FIELDS != 0 {
            let own = read_number(bytes, &mut next) as usize;
            (own, 2 * own)
        } else {
            (self.node.fields as usize, self.node.fields as usize)
        };
        let entry = Entry {
            id,
            node: self.node,
            at,
            body: next,
            fields,
        };
        for _ in 0..elements {
            next += decode(bytes, next).1;
        }
        self.at = next;
        self.before = id;
        Some(entry)
    }
}

/// A walk over a node's entries backwards. Entries can only be found forwards, so it notes where they are.
pub(crate) struct NodeIterBack<'a> {
    entries: SmallVec<[Entry<'a>; 16]>,
}

impl<'a> Iterator for NodeIterBack<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        self.entries.pop()
    }
}

impl<'a> Entry<'a> {
    /// The id that its node stands under.
    pub(super) fn node_first(&self) -> StreamId {
        self.node.first
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.node.bytes[self.at] & DELETED != 0
    }

    pub(super) fn has_own_fields(&self) -> bool {
        self.node.bytes[self.at] & OWN_FIELDS != 0
    }

    /// How many fields it has.
    pub(crate) fn len(&self) -> usize {
        self.fields
    }

    /// Its fields with their values.
    #[inline]
    pub(crate) fn pairs(&self) -> Pairs<'a> {
        Pairs {
            bytes: &self.node.bytes,
            field_at: if self.has_own_fields() { None } else { Some(0) },
            value_at: self.body,
            left: self.fields,
        }
    }
}

/// A walk over an entry's fields and values.
#[derive(Clone)]
pub(crate) struct Pairs<'a> {
    bytes: &'a [u8],
    /// The next master field; None where fields and values come by turns.
    field_at: Option<usize>,
    value_at: usize,
    left: usize,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Item<'a>, Item<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let field_at = self.field_at.as_mut().unwrap_or(&mut self.value_at);
        let (field, size) = decode(self.bytes, *field_at);
        *field_at += size;
        let (value, size) = decode(self.bytes, self.value_at);
        self.value_at += size;
        Some((field, value))
    }
}
