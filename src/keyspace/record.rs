//! A key's record: one allocation behind one word, holding key, expiry, access stamp and value.
//!
//! Layout, in bytes (integers in the machine's order, unaligned):
//!
//! | part | size |
//! |---|---|
//! | access stamp (24 bits) and flags (8 bits: kind, expiry, long key, raw) | 4 |
//! | key length | 2 |
//! | length of an embedded string | 2 |
//! | expiry, if there is one | 8 |
//! | key length, if the key is long (over 65535) | 8 |
//! | an integer, a set, hash or sorted set (one word each), or the pointer to a big string, a list or a stream; absent for an embedded string | 8 |
//! | key | |
//! | embedded string | |
//!
//! So a key and a string of 16 bytes each take 40 bytes, 48 with an expiry: one size class of 48 either
//! way. Strings up to `EMBED_MAX` are embedded; longer ones, and those that are being appended to, are a
//! vector behind an `Arc`, which a snapshot shares. Strings that spell an integer are kept as one.
//!
//! Sets, hashes and sorted sets stand in the record itself, being one word (`data::tagged_pointer`): with a box for
//! each between, a hash of 10 small fields took 294 bytes instead of 278.
//!
//! Invariants: the allocation has `capacity_for(total)` bytes, where `total` follows from the header; the
//! word of a pointing kind owns what it points to (a box, one count of an `Arc`, a collection's bytes). A
//! record that points stands at its own allocation, so that its words are aligned; only plain ones are copied.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;

use super::db::{Entry, Expiry};
use crate::data::flat::{allocate, capacity_for, release};
use crate::data::string::LongRef;
use crate::data::{Hash, List, Set, StrRef, Stream, Value, ValueMut, ValueRef, Zset};
use crate::text::parse_int;

/// Strings longer than this are not embedded, bytes.
pub(super) const EMBED_MAX: usize = 2048;
/// Strings that are edited are embedded again only up to this length, bytes.
const EMBED_EDITED_MAX: usize = 64;
/// Collections of more than this many elements take long to drop or to encode.
const LARGE_ELEMENTS: usize = 64;
/// So do strings of more than this many bytes.
const LARGE_BYTES: usize = 256 << 10;

const HEADER: usize = 8;
const ALIGN: usize = 8;

const KIND: u8 = 0x0f;
const HAS_EXPIRY: u8 = 0x10;
const LONG_KEY: u8 = 0x20;
/// The string was edited: OBJECT ENCODING says "raw" however short it is.
const RAW: u8 = 0x40;

const EMBEDDED: u8 = 0;
const INTEGER: u8 = 1;
const BIG: u8 = 2;
const LIST: u8 = 3;
const SET: u8 = 4;
const HASH: u8 = 5;
const ZSET: u8 = 6;
const STREAM: u8 = 7;

/// Whether dropping or encoding a value may take long.
pub(crate) fn is_large(value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::String(StrRef::Int(_)) => false,
        ValueRef::String(text) => text.len() > LARGE_BYTES,
        ValueRef::List(v) => v.len() > LARGE_ELEMENTS,
        ValueRef::Set(v) => v.len() > LARGE_ELEMENTS,
        ValueRef::Hash(v) => v.len() > LARGE_ELEMENTS,
        ValueRef::Zset(v) => v.len() > LARGE_ELEMENTS,
        ValueRef::Stream(v) => v.parts() > LARGE_ELEMENTS,
    }
}

/// What a new record is to hold.
pub(super) enum Content<'a> {
    Embedded(&'a [u8]),
    Integer(i64),
    Big(Arc<Vec<u8>>),
    Value(Value),
    /// A pointing kind's word, moved from another record.
    Moved(u8, u64),
}

impl<'a> Content<'a> {
    /// The best form of a string.
    #[inline]
    pub(super) fn string(bytes: &'a [u8]) -> Content<'a> {
        match parse_short_int(bytes) {
            Some(n) => Content::Integer(n),
            None if bytes.len() <= EMBED_MAX => Content::Embedded(bytes),
            None => Content::Big(Arc::new(bytes.to_vec())),
        }
    }

    /// The best form of a value.
    pub(super) fn value(value: &'a mut Value) -> Content<'a> {
        match value {
            Value::String(bytes) if bytes.len() > EMBED_MAX => {
                Content::Big(Arc::new(std::mem::take(bytes)))
            }
            Value::String(bytes) => Content::string(bytes),
            other => Content::Value(std::mem::replace(other, Value::String(Vec::new()))),
        }
    }
}

/// Redis looks for integers in strings of up to 20 bytes.
#[inline]
fn parse_short_int(bytes: &[u8]) -> Option<i64> {
    match bytes {
        [b'0'..=b'9' | b'-', ..] if bytes.len() <= 20 => parse_int(bytes),
        _ => None,
    }
}

/// Where a record's bytes are: in its own allocation, or copied somewhere. Not an owner.
#[derive(Clone, Copy)]
pub(super) struct Body(NonNull<u8>);

/// A record of its own: out of the table, or on its way in.
pub struct Record(Body);

// SAFETY: a record owns its bytes and what they point to, all of which is `Send`.
unsafe impl Send for Record {}
// SAFETY: shared access only reads.
unsafe impl Sync for Record {}

/// Every method reads through the pointer.
///
/// # Safety
/// Of all methods: the bytes are those of a live record whose layout the header describes, for as long as
/// what is returned is used; for those that write, nobody else looks meanwhile.
#[allow(clippy::missing_safety_doc)]
impl Body {
    #[inline]
    pub(super) fn new(ptr: NonNull<u8>) -> Body {
        Body(ptr)
    }

    #[inline]
    pub(super) fn ptr(self) -> NonNull<u8> {
        self.0
    }

    #[inline]
    unsafe fn read<T: Copy>(self, at: usize) -> T {
        // SAFETY: as promised by the caller; reads may be unaligned.
        unsafe { self.0.as_ptr().add(at).cast::<T>().read_unaligned() }
    }

    #[inline]
    unsafe fn write<T: Copy>(self, at: usize, value: T) {
        // SAFETY: as promised by the caller; writes may be unaligned.
        unsafe { self.0.as_ptr().add(at).cast::<T>().write_unaligned(value) }
    }

    #[inline]
    unsafe fn meta(self) -> u32 {
        // SAFETY: the caller promises a live record, and every record begins with this word.
        unsafe { self.read::<u32>(0) }
    }

    #[inline]
    unsafe fn flags(self) -> u8 {
        // SAFETY: the caller promises a live record.
        (unsafe { self.meta() } >> 24) as u8
    }

    #[inline]
    pub(super) unsafe fn lru(self) -> u32 {
        // SAFETY: the caller promises a live record.
        unsafe { self.meta() & 0x00ff_ffff }
    }

    #[inline]
    pub(super) unsafe fn set_lru(self, lru: u32) {
        // SAFETY: the caller promises a live record that nobody else looks at; it begins with this word.
        unsafe { self.write(0, (self.meta() & 0xff00_0000) | (lru & 0x00ff_ffff)) }
    }

    #[inline]
    unsafe fn key_len(self, flags: u8) -> usize {
        // SAFETY: the length is in the header, or, if the flags of this record say so, in eight bytes behind
        // the expiry.
        unsafe {
            if flags & LONG_KEY == 0 {
                usize::from(self.read::<u16>(4))
            } else {
                self.read::<u64>(HEADER + expiry_size(flags)) as usize
            }
        }
    }

    #[inline]
    unsafe fn embedded_len(self, flags: u8) -> usize {
        if flags & KIND == EMBEDDED {
            // SAFETY: every header has two bytes at 6.
            usize::from(unsafe { self.read::<u16>(6) })
        } else {
            0
        }
    }

    #[inline]
    pub(super) unsafe fn key<'a>(self) -> &'a [u8] {
        // SAFETY: the key begins there and is so long, by the header; the bytes live as long as the caller
        // promises the record to.
        unsafe {
            let flags = self.flags();
            let at = key_at(flags);
            std::slice::from_raw_parts(self.0.as_ptr().add(at), self.key_len(flags))
        }
    }

    #[inline]
    pub(super) unsafe fn expire_at(self) -> Option<i64> {
        // SAFETY: the eight bytes behind the header are the expiry if the flag is set.
        unsafe {
            if self.flags() & HAS_EXPIRY == 0 {
                None
            } else {
                Some(self.read(HEADER))
            }
        }
    }

    #[inline]
    unsafe fn payload(self, flags: u8) -> u64 {
        // SAFETY: the flags are this record's, and of a kind that has a payload: its eight bytes are there.
        unsafe { self.read(payload_at(flags)) }
    }

    /// All of the record's bytes.
    #[inline]
    unsafe fn total(self) -> usize {
        // SAFETY: the caller promises a live record, and the flags are its own.
        unsafe {
            let flags = self.flags();
            key_at(flags) + self.key_len(flags) + self.embedded_len(flags)
        }
    }

    /// The bytes of a record that points nowhere, to be copied as they are.
    #[inline]
    pub(super) unsafe fn plain_bytes<'a>(self) -> Option<&'a [u8]> {
        // SAFETY: the record is `total` bytes long and lives as long as the caller promises.
        unsafe {
            if self.flags() & KIND > INTEGER {
                return None;
            }
            Some(std::slice::from_raw_parts(self.0.as_ptr(), self.total()))
        }
    }

    #[inline]
    unsafe fn pointer<T>(self, flags: u8) -> *mut T {
        // SAFETY: the flags are this record's, and of a kind whose payload is a pointer.
        std::ptr::with_exposed_provenance_mut(unsafe { self.payload(flags) } as usize)
    }

    /// The word that is a collection.
    #[inline]
    unsafe fn word<T>(self, flags: u8) -> *mut T {
        const { assert!(size_of::<T>() == 8 && align_of::<T>() <= ALIGN) };
        // SAFETY: the payload of such a kind is within the record's allocation.
        unsafe { self.0.as_ptr().add(payload_at(flags)).cast::<T>() }
    }

    #[inline]
    pub(super) unsafe fn value<'a>(self) -> ValueRef<'a> {
        // SAFETY: each kind is read as what `build` stored under it: so many embedded bytes, an integer, the
        // pointer to a live vector, list or stream, or a collection's word, which is aligned because a record with
        // one is never copied. All of it lives as long as the record.
        unsafe {
            let flags = self.flags();
            match flags & KIND {
                EMBEDDED => {
                    let at = key_at(flags) + self.key_len(flags);
                    ValueRef::String(StrRef::Bytes(std::slice::from_raw_parts(
                        self.0.as_ptr().add(at),
                        self.embedded_len(flags),
                    )))
                }
                INTEGER => ValueRef::String(StrRef::Int(self.payload(flags) as i64)),
                BIG => ValueRef::String(StrRef::Long(LongRef::new(self.pointer(flags)))),
                LIST => ValueRef::List(&*self.pointer(flags)),
                STREAM => ValueRef::Stream(&*self.pointer(flags)),
                SET => ValueRef::Set(&*self.word(flags)),
                HASH => ValueRef::Hash(&*self.word(flags)),
                _ => ValueRef::Zset(&*self.word(flags)),
            }
        }
    }

    #[inline]
    pub(super) unsafe fn value_mut<'a>(self) -> ValueMut<'a> {
        // SAFETY: as in `value`, and the caller promises that nobody else looks meanwhile.
        unsafe {
            let flags = self.flags();
            match flags & KIND {
                LIST => ValueMut::List(&mut *self.pointer(flags)),
                STREAM => ValueMut::Stream(&mut *self.pointer(flags)),
                SET => ValueMut::Set(&mut *self.word(flags)),
                HASH => ValueMut::Hash(&mut *self.word(flags)),
                ZSET => ValueMut::Zset(&mut *self.word(flags)),
                _ => match self.value() {
                    ValueRef::String(text) => ValueMut::String(text),
                    // The kinds that are not strings were dealt with above.
                    _ => unreachable!("a string's kind shows a string"),
                },
            }
        }
    }

    #[inline]
    pub(super) unsafe fn entry<'a>(self) -> Entry<'a> {
        // SAFETY: the caller promises a record that lives as long as the entry.
        unsafe {
            Entry {
                key: self.key(),
                value: self.value(),
                expire_at: self.expire_at(),
                lru: self.lru(),
                raw: self.flags() & RAW != 0,
            }
        }
    }

    /// Whether dropping or encoding what it holds may take long.
    pub(super) unsafe fn is_large(self) -> bool {
        // SAFETY: the caller promises a live record.
        unsafe { is_large(self.value()) }
    }

    /// Overwrites the string with another of the same form and room, if it can be done in place.
    #[inline]
    pub(super) unsafe fn overwrite(self, content: &Content<'_>, expiry: Expiry) -> bool {
        // SAFETY: the caller promises that nobody else looks meanwhile, and what is written has room: a
        // string where the capacity stays the same, an integer over an integer, an expiry over an expiry.
        unsafe {
            let flags = self.flags();
            let fits = match expiry {
                Expiry::Keep => true,
                Expiry::Clear => flags & HAS_EXPIRY == 0,
                Expiry::At(_) => flags & HAS_EXPIRY != 0,
            };
            if !fits {
                return false;
            }
            match *content {
                Content::Embedded(bytes) if flags & KIND == EMBEDDED => {
                    let value_at = key_at(flags) + self.key_len(flags);
                    if capacity_for(value_at + bytes.len()) != capacity_for(self.total()) {
                        return false;
                    }
                    self.write(6, bytes.len() as u16);
                    std::ptr::copy_nonoverlapping(
                        bytes.as_ptr(),
                        self.0.as_ptr().add(value_at),
                        bytes.len(),
                    );
                }
                Content::Integer(n) if flags & KIND == INTEGER => {
                    self.write(payload_at(flags), n);
                }
                _ => return false,
            }
            if flags & RAW != 0 {
                self.write(0, self.meta() & !(u32::from(RAW) << 24));
            }
            if let Expiry::At(at) = expiry {
                self.write(HEADER, at);
            }
            true
        }
    }

    /// Changes the expiry if that can be done in place.
    #[inline]
    pub(super) unsafe fn replace_expiry(self, at: Option<i64>) -> bool {
        // SAFETY: the caller promises that nobody else looks meanwhile; an expiry is written only over an
        // expiry.
        unsafe {
            match (self.flags() & HAS_EXPIRY != 0, at) {
                (true, Some(at)) => {
                    self.write(HEADER, at);
                    true
                }
                (false, None) => true,
                _ => false,
            }
        }
    }

    /// What it holds, taken out as new content for another record: for pointing kinds the pointer itself,
    /// after which this one must be released with [`Body::release_shell`].
    unsafe fn content<'a>(self) -> Content<'a> {
        // SAFETY: the caller promises a live record, and for a pointing kind uses it only as a shell from
        // here on, so that what it pointed to has one owner.
        unsafe {
            let flags = self.flags();
            match flags & KIND {
                EMBEDDED => match self.value() {
                    ValueRef::String(StrRef::Bytes(bytes)) => Content::Embedded(bytes),
                    _ => unreachable!("an embedded string is bytes"),
                },
                INTEGER => Content::Integer(self.payload(flags) as i64),
                kind => Content::Moved(kind, self.payload(flags)),
            }
        }
    }

    /// A record like this one with another expiry; this one's allocation is given back.
    pub(super) unsafe fn with_expiry(self, at: Option<i64>) -> Record {
        // SAFETY: what the record holds has moved into the new one, or was copied, before its allocation is
        // given back; the caller uses it no more.
        unsafe {
            let raw = self.flags() & RAW != 0;
            let record = Record::build(self.key(), self.lru(), at, raw, self.content());
            self.release_shell();
            record
        }
    }

    /// A big string's vector, to be edited: a copy of its own if others hold it.
    unsafe fn big_mut<'a>(self, flags: u8) -> &'a mut Vec<u8> {
        // SAFETY: the caller promises that nobody else looks meanwhile. The `Arc` is made of the pointer that this
        // record owns a count by, and is not dropped: the count is lent to it, and its new pointer is stored before
        // anybody may panic.
        unsafe {
            let pointer = self.pointer::<Vec<u8>>(flags).cast_const();
            let mut shared = ManuallyDrop::new(Arc::from_raw(pointer));
            let bytes: *mut Vec<u8> = Arc::make_mut(&mut shared);
            let pointer = Arc::as_ptr(&shared).expose_provenance() as u64;
            self.write(payload_at(flags), pointer);
            self.mark_raw();
            &mut *bytes
        }
    }

    unsafe fn mark_raw(self) {
        // SAFETY: the caller promises a live record that nobody else looks at; it begins with this word.
        unsafe { self.write(0, self.meta() | (u32::from(RAW) << 24)) }
    }

    /// The string's bytes, to be edited without changing their number; None: an integer has none.
    pub(super) unsafe fn bytes_mut<'a>(self) -> Option<&'a mut [u8]> {
        // SAFETY: the caller promises that nobody else looks meanwhile; an embedded string's bytes stand where the
        // header says.
        unsafe {
            let flags = self.flags();
            match flags & KIND {
                EMBEDDED => {
                    self.mark_raw();
                    let at = key_at(flags) + self.key_len(flags);
                    let start = self.0.as_ptr().add(at);
                    Some(std::slice::from_raw_parts_mut(
                        start,
                        self.embedded_len(flags),
                    ))
                }
                BIG => Some(self.big_mut(flags)),
                _ => None,
            }
        }
    }

    /// Edits the string's bytes. Returns a new record if this one was given back.
    pub(super) unsafe fn edit(self, f: &mut dyn FnMut(&mut Vec<u8>)) -> Option<Record> {
        // SAFETY: the caller promises that nobody else looks meanwhile. A record whose string is not big is dropped
        // once its copy is made, and the caller uses it no more.
        unsafe {
            let flags = self.flags();
            if flags & KIND == BIG {
                f(self.big_mut(flags));
                return None;
            }
            let mut bytes = match self.value() {
                ValueRef::String(text) => text.to_vec(),
                _ => Vec::new(),
            };
            f(&mut bytes);
            let record = Record::edited(self.key(), self.lru(), self.expire_at(), bytes);
            drop(Record(self));
            Some(record)
        }
    }

    /// A copy that shares what can be shared.
    pub(super) unsafe fn duplicate(self) -> Record {
        // SAFETY: the record stays as it is: what stands in it is copied, a big string's count is raised
        // before a second `Arc` takes it, a collection is cloned.
        unsafe {
            let flags = self.flags();
            let content = match flags & KIND {
                EMBEDDED | INTEGER => self.content(),
                BIG => {
                    let pointer = self.pointer::<Vec<u8>>(flags).cast_const();
                    Arc::increment_strong_count(pointer);
                    Content::Big(Arc::from_raw(pointer))
                }
                _ => Content::Value(self.value().to_value()),
            };
            let raw = flags & RAW != 0;
            Record::build(self.key(), self.lru(), self.expire_at(), raw, content)
        }
    }

    /// Gives the allocation back, but not what it points to.
    unsafe fn release_shell(self) {
        // SAFETY: the allocation was made with this capacity, which follows from the header, and this
        // alignment; the caller uses it no more.
        unsafe { release(self.0, capacity_for(self.total()), ALIGN) }
    }

    /// Bytes of memory held by the record and what it holds.
    pub(super) unsafe fn memory(self) -> usize {
        // SAFETY: the caller promises a live record; the pointer of a big string is to a live vector.
        unsafe {
            let value = match self.value() {
                ValueRef::String(StrRef::Long(_)) => {
                    let big = &*self.pointer::<Vec<u8>>(self.flags());
                    48 + capacity_for(big.capacity())
                }
                ValueRef::String(_) => 0,
                ValueRef::List(v) => v.memory(),
                ValueRef::Set(v) => v.memory(),
                ValueRef::Hash(v) => v.memory(),
                ValueRef::Zset(v) => v.memory(),
                ValueRef::Stream(v) => v.memory(),
            };
            capacity_for(self.total()) + value
        }
    }
}

#[inline]
fn expiry_size(flags: u8) -> usize {
    usize::from(flags & HAS_EXPIRY != 0) * 8
}

#[inline]
fn payload_at(flags: u8) -> usize {
    HEADER + expiry_size(flags) + usize::from(flags & LONG_KEY != 0) * 8
}

#[inline]
fn key_at(flags: u8) -> usize {
    payload_at(flags) + usize::from(flags & KIND != EMBEDDED) * 8
}

/// A collection's word, which owns it from here on.
#[inline]
fn word_of<T>(value: T) -> u64 {
    const { assert!(size_of::<T>() == 8) };
    let value = ManuallyDrop::new(value);
    // SAFETY: a collection of one word is a pointer, whose provenance is exposed before it is a number.
    unsafe { (&raw const value).cast::<*mut u8>().read() }.expose_provenance() as u64
}

impl Record {
    /// A record of any content.
    pub(super) fn new(
        key: &[u8],
        lru: u32,
        expire_at: Option<i64>,
        content: Content<'_>,
    ) -> Record {
        Record::build(key, lru, expire_at, false, content)
    }

    /// A record of a string that is being edited.
    pub(super) fn edited(key: &[u8], lru: u32, expire_at: Option<i64>, bytes: Vec<u8>) -> Record {
        let content = if bytes.len() <= EMBED_EDITED_MAX {
            Content::Embedded(&bytes)
        } else {
            return Record::build(key, lru, expire_at, true, Content::Big(Arc::new(bytes)));
        };
        Record::build(key, lru, expire_at, true, content)
    }

    fn build(
        key: &[u8],
        lru: u32,
        expire_at: Option<i64>,
        raw: bool,
        content: Content<'_>,
    ) -> Record {
        let (kind, payload, embedded): (u8, u64, &[u8]) = match content {
            Content::Embedded(bytes) => (EMBEDDED, 0, bytes),
            Content::Integer(n) => (INTEGER, n as u64, &[]),
            Content::Big(text) => (BIG, Arc::into_raw(text).expose_provenance() as u64, &[]),
            Content::Value(Value::List(v)) => {
                (LIST, Box::into_raw(v).expose_provenance() as u64, &[])
            }
            Content::Value(Value::Stream(v)) => {
                (STREAM, Box::into_raw(v).expose_provenance() as u64, &[])
            }
            Content::Value(Value::Set(v)) => (SET, word_of(v), &[]),
            Content::Value(Value::Hash(v)) => (HASH, word_of(v), &[]),
            Content::Value(Value::Zset(v)) => (ZSET, word_of(v), &[]),
            Content::Value(Value::String(text)) => {
                return Record::build(key, lru, expire_at, raw, Content::string(&text));
            }
            Content::Moved(kind, pointer) => (kind, pointer, &[]),
        };
        let mut flags = kind;
        if expire_at.is_some() {
            flags |= HAS_EXPIRY;
        }
        if raw {
            flags |= RAW;
        }
        if key.len() > usize::from(u16::MAX) {
            flags |= LONG_KEY;
        }
        let key_at = key_at(flags);
        let total = key_at + key.len() + embedded.len();
        let body = Body(allocate(capacity_for(total), ALIGN));
        // SAFETY: the allocation is new and has room for all parts, whose places the header tells.
        unsafe {
            body.write(0, (lru & 0x00ff_ffff) | (u32::from(flags) << 24));
            body.write(4, key.len() as u16);
            body.write(6, embedded.len() as u16);
            if let Some(at) = expire_at {
                body.write(HEADER, at);
            }
            if flags & LONG_KEY != 0 {
                body.write(HEADER + expiry_size(flags), key.len() as u64);
            }
            if kind == INTEGER {
                body.write(payload_at(flags), payload);
            } else if kind != EMBEDDED {
                // As a pointer: a word's owner reads it as one, in place.
                let pointer = std::ptr::with_exposed_provenance_mut::<u8>(payload as usize);
                body.write(payload_at(flags), pointer);
            }
            let start = body.0.as_ptr().add(key_at);
            start.copy_from_nonoverlapping(key.as_ptr(), key.len());
            start
                .add(key.len())
                .copy_from_nonoverlapping(embedded.as_ptr(), embedded.len());
        }
        Record(body)
    }

    #[inline]
    pub(super) fn body(&self) -> Body {
        self.0
    }

    /// Gives up ownership.
    #[inline]
    pub(super) fn into_body(self) -> Body {
        let body = self.0;
        std::mem::forget(self);
        body
    }

    /// Takes ownership.
    ///
    /// # Safety
    /// Nobody else owns it.
    #[inline]
    pub(super) unsafe fn from_body(body: Body) -> Record {
        Record(body)
    }

    pub(crate) fn key(&self) -> &[u8] {
        // SAFETY: the record is live for as long as it is borrowed.
        unsafe { self.0.key() }
    }

    pub(crate) fn entry(&self) -> Entry<'_> {
        // SAFETY: as above.
        unsafe { self.0.entry() }
    }

    pub(crate) fn expire_at(&self) -> Option<i64> {
        // SAFETY: as above.
        unsafe { self.0.expire_at() }
    }

    /// Whether dropping it may take long.
    pub(crate) fn is_large(&self) -> bool {
        // SAFETY: as above.
        unsafe { self.0.is_large() }
    }

    /// Bytes of memory held.
    pub(crate) fn memory(&self) -> usize {
        // SAFETY: as above.
        unsafe { self.0.memory() }
    }

    /// What it holds.
    pub(crate) fn into_value(self) -> Value {
        let body = self.into_body();
        // SAFETY: this was the owner; each pointer is taken once, and the shell is given back.
        unsafe {
            let flags = body.flags();
            let value = match flags & KIND {
                BIG => {
                    let text = Arc::from_raw(body.pointer::<Vec<u8>>(flags).cast_const());
                    Value::String(Arc::unwrap_or_clone(text))
                }
                LIST => Value::List(Box::from_raw(body.pointer::<List>(flags))),
                STREAM => Value::Stream(Box::from_raw(body.pointer::<Stream>(flags))),
                SET => Value::Set(body.word::<Set>(flags).read()),
                HASH => Value::Hash(body.word::<Hash>(flags).read()),
                ZSET => Value::Zset(body.word::<Zset>(flags).read()),
                _ => body.value().to_value(),
            };
            body.release_shell();
            value
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let body = self.0;
        // SAFETY: the record is owned; each pointer is taken once, and the shell is given back last.
        unsafe {
            let flags = body.flags();
            match flags & KIND {
                BIG => drop(Arc::from_raw(body.pointer::<Vec<u8>>(flags).cast_const())),
                LIST => drop(Box::from_raw(body.pointer::<List>(flags))),
                STREAM => drop(Box::from_raw(body.pointer::<Stream>(flags))),
                SET => body.word::<Set>(flags).drop_in_place(),
                HASH => body.word::<Hash>(flags).drop_in_place(),
                ZSET => body.word::<Zset>(flags).drop_in_place(),
                _ => {}
            }
            body.release_shell();
        }
    }
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Record").field(&self.entry()).finish()
    }
}
