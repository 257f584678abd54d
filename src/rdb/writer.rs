//! Writes dumps of version 10, entry by entry.
//!
//! [`Encoder`] appends encoded parts to any byte vector: the walk over the keyspace decides when and how
//! much. [`ChunkWriter`] puts a whole dump together above it: header, databases, entries, end mark and
//! checksum, handed on in chunks of about equal size, each of which passes the checksum once and as a whole.
//!
//! Encodings are those that Redis 7.0 loads. What lies in memory as a listpack or intset is written as it
//! is; only sets in listpack form are spelled out, since version 10 has no word for them.

use std::sync::Arc;

use bytes::Bytes;

use super::crc64::Crc64;
use super::expiring_hash;
use super::format::{WRITTEN_VERSION, kind, node, opcode};
use super::lzf::Compressor;
use super::opaque::Opaque;
use super::stream;
use crate::data::list::Item;
use crate::data::{Hash, List, Set, StrRef, ValueRef, Zset};
use crate::text::parse_int;

/// What a dump says about a key's use, for eviction (`maxmemory-policy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Usage {
    #[default]
    Unknown,
    /// Seconds since last use (the LRU policies).
    Idle(u64),
    /// Logarithmic counter (the LFU policies).
    Frequency(u8),
}

/// What stands before a value: key, expiry, use.
#[derive(Clone, Copy, Debug)]
pub struct KeyHeader<'a> {
    pub key: &'a [u8],
    /// Unix time, milliseconds.
    pub expire_at: Option<i64>,
    pub usage: Usage,
}

/// Strings up to this length cannot be made shorter, bytes.
const COMPRESS_OVER: usize = 20;
/// What compression must save to be worth it, bytes.
const COMPRESS_GAIN: usize = 4;

/// Appends encoded parts of a dump to byte vectors. Reusable; keeps a compressor's table.
#[derive(Debug)]
pub struct Encoder {
    compression: bool,
    /// Made when first needed.
    compressor: Option<Compressor>,
    /// By size class, strings first: how often in a row compression did not pay, and how many strings are
    /// to be passed over before it is tried again.
    failures: [(u8, u8); 2 * SIZE_CLASSES],
}

/// Lengths by powers of two.
const SIZE_CLASSES: usize = usize::BITS as usize + 1;
/// After so many failures in a row compression is no longer tried on every string.
const PATIENCE: u8 = 8;
/// The most strings passed over between two tries.
const PASSED_OVER_MAX: u8 = 15;

/// What is being written: collections may compress where strings do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    String = 0,
    Collection = 1,
}

impl Encoder {
    /// `compression`: the directive `rdbcompression`.
    pub fn new(compression: bool) -> Encoder {
        Encoder {
            compression,
            compressor: None,
            failures: [(0, 0); 2 * SIZE_CLASSES],
        }
    }

    /// Signature and version.
    pub(crate) fn header(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("REDIS{WRITTEN_VERSION:04}").as_bytes());
    }

    pub(crate) fn aux(&mut self, out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        out.push(opcode::AUX);
        self.string(out, name);
        self.string(out, value);
    }

    pub(crate) fn select(&self, out: &mut Vec<u8>, db: usize) {
        out.push(opcode::SELECT_DB);
        length(out, db as u64);
    }

    /// How many keys, and keys with an expiry, the selected database has: a hint for the reader.
    pub(crate) fn resize(&self, out: &mut Vec<u8>, keys: usize, expires: usize) {
        out.push(opcode::RESIZE_DB);
        length(out, keys as u64);
        length(out, expires as u64);
    }

    /// A whole entry.
    pub(crate) fn entry(&mut self, out: &mut Vec<u8>, header: KeyHeader<'_>, value: ValueRef<'_>) {
        self.key_header(out, header, kind_of(value));
        self.value(out, value);
    }

    /// What stands before a value of a kind.
    pub(crate) fn key_header(&mut self, out: &mut Vec<u8>, header: KeyHeader<'_>, kind: u8) {
        if let Some(at) = header.expire_at {
            out.push(opcode::EXPIRE_MS);
            out.extend_from_slice(&at.to_le_bytes());
        }
        match header.usage {
            Usage::Unknown => {}
            Usage::Idle(seconds) => {
                out.push(opcode::IDLE);
                length(out, seconds);
            }
            Usage::Frequency(counter) => out.extend_from_slice(&[opcode::FREQUENCY, counter]),
        }
        out.push(kind);
        self.string(out, header.key);
    }

    /// A value, without its kind.
    pub fn value(&mut self, out: &mut Vec<u8>, value: ValueRef<'_>) {
        match value {
            ValueRef::String(StrRef::Int(n)) => integer(out, n),
            ValueRef::String(StrRef::Bytes(bytes)) => self.string(out, bytes),
            ValueRef::String(StrRef::Long(bytes)) => self.string(out, &bytes),
            ValueRef::List(list) => self.list(out, list),
            ValueRef::Set(set) => self.set(out, set),
            ValueRef::Hash(hash) => self.hash(out, hash),
            ValueRef::Zset(zset) => self.zset(out, zset),
            ValueRef::Stream(own) => stream::write(self, out, own),
        }
    }

    fn list(&mut self, out: &mut Vec<u8>, list: &List) {
        length(out, list.node_count() as u64);
        for listpack in list.nodes() {
            self.list_node(out, listpack);
        }
    }

    pub(super) fn list_node(&mut self, out: &mut Vec<u8>, listpack: &[u8]) {
        length(out, node::PACKED);
        self.blob(out, listpack);
    }

    fn set(&mut self, out: &mut Vec<u8>, set: &Set) {
        if let Some(intset) = set.as_intset() {
            return self.blob(out, intset);
        }
        length(out, set.len() as u64);
        for member in set.iter() {
            self.item(out, member);
        }
    }

    fn hash(&mut self, out: &mut Vec<u8>, hash: &Hash) {
        if let Some(listpack) = hash.to_listpack() {
            return self.blob(out, &listpack);
        }
        let earliest = self.hash_header(out, hash);
        for (field, value, moment) in hash.held() {
            self.field(out, (field, value, moment), earliest);
        }
    }

    /// What stands before a large hash's fields. The earliest moment of a field, if any expires.
    pub(super) fn hash_header(&mut self, out: &mut Vec<u8>, hash: &Hash) -> Option<i64> {
        let earliest = expiring_hash::earliest(hash);
        if let Some(earliest) = earliest {
            out.extend_from_slice(&earliest.to_le_bytes());
        }
        length(out, hash.len() as u64);
        earliest
    }

    /// A field, its value, and its moment if `earliest` says that some expire.
    pub(super) fn field(
        &mut self,
        out: &mut Vec<u8>,
        (field, value, moment): (Item<'_>, Item<'_>, Option<i64>),
        earliest: Option<i64>,
    ) {
        if let Some(earliest) = earliest {
            length(out, expiring_hash::relative(moment, earliest));
        }
        self.item(out, field);
        self.item(out, value);
    }

    fn zset(&mut self, out: &mut Vec<u8>, zset: &Zset) {
        if let Some(listpack) = zset.as_listpack() {
            return self.blob(out, listpack);
        }
        length(out, zset.len() as u64);
        // From the highest down: readers that keep a linked order then add each at its head.
        for (member, score) in zset.range(0..zset.len(), true) {
            self.scored(out, member, score);
        }
    }

    pub(super) fn scored(&mut self, out: &mut Vec<u8>, member: Item<'_>, score: f64) {
        self.item(out, member);
        out.extend_from_slice(&score.to_le_bytes());
    }

    #[inline]
    pub(super) fn item(&mut self, out: &mut Vec<u8>, item: Item<'_>) {
        match item {
            Item::Int(n) => integer(out, n),
            Item::Bytes(bytes) => self.string(out, bytes),
        }
    }

    /// A string in the shortest of its encodings.
    #[inline]
    pub(crate) fn string(&mut self, out: &mut Vec<u8>, bytes: &[u8]) {
        // The longest integer that has an encoding has eleven characters.
        if bytes.len() <= 11
            && let Some(n) = parse_int(bytes)
            && small_integer(out, n)
        {
            return;
        }
        self.text(out, bytes, Content::String);
    }

    /// An encoded collection.
    pub(super) fn blob(&mut self, out: &mut Vec<u8>, bytes: &[u8]) {
        self.text(out, bytes, Content::Collection);
    }

    /// A string that is known not to spell an integer.
    fn text(&mut self, out: &mut Vec<u8>, bytes: &[u8], content: Content) {
        if bytes.len() > COMPRESS_OVER && self.compression && self.compressed(out, bytes, content) {
            return;
        }
        length(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }

    /// Writes a string compressed, if it is tried and pays. Data that does not compress (numbers of cards,
    /// images, what is compressed already) comes in masses, and trying costs several times what writing
    /// does: after a row of failures only a sample is tried, until one succeeds.
    fn compressed(&mut self, out: &mut Vec<u8>, bytes: &[u8], content: Content) -> bool {
        let class = (usize::BITS - bytes.len().leading_zeros()) as usize;
        let (failures, skip) = &mut self.failures[content as usize * SIZE_CLASSES + class];
        if *skip > 0 {
            *skip -= 1;
            return false;
        }
        let compressor = self.compressor.get_or_insert_default();
        let good = compress(compressor, out, bytes);
        *failures = match good {
            true => 0,
            false => failures.saturating_add(1),
        };
        *skip = failures.saturating_sub(PATIENCE).min(PASSED_OVER_MAX);
        good
    }
}

/// Writes a compressed string, unless compression does not pay.
fn compress(compressor: &mut Compressor, out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let start = out.len();
    // The compressed length stands before the compressed bytes and is known only after: its prefix gets
    // the width of the longest that it can be, which every reader takes.
    let limit = bytes.len() - COMPRESS_GAIN;
    out.push(0xc3);
    let width = match limit {
        0..=63 => 1,
        64..=16383 => 2,
        _ => 5,
    };
    out.extend_from_slice(&[0; 5][..width]);
    length(out, bytes.len() as u64);
    let body = out.len();
    if !compressor.compress(bytes, out, limit) {
        out.truncate(start);
        return false;
    }
    let packed = out.len() - body;
    let prefix = &mut out[start + 1..start + 1 + width];
    match prefix {
        [one] => *one = packed as u8,
        [high, low] => {
            *high = 0x40 | (packed >> 8) as u8;
            *low = packed as u8;
        }
        _ => {
            prefix[0] = 0x80;
            prefix[1..].copy_from_slice(&(packed as u32).to_be_bytes());
        }
    }
    true
}

/// A length prefix.
#[inline]
pub(super) fn length(out: &mut Vec<u8>, length: u64) {
    if length < 1 << 6 {
        out.push(length as u8);
    } else if length < 1 << 14 {
        out.extend_from_slice(&[0x40 | (length >> 8) as u8, length as u8]);
    } else if let Ok(length) = u32::try_from(length) {
        out.push(0x80);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(0x81);
        out.extend_from_slice(&length.to_be_bytes());
    }
}

/// An integer as a string: encoded if it fits in 32 bits, else as text.
fn integer(out: &mut Vec<u8>, n: i64) {
    if !small_integer(out, n) {
        let mut digits = itoa::Buffer::new();
        let text = digits.format(n).as_bytes();
        out.push(text.len() as u8);
        out.extend_from_slice(text);
    }
}

fn small_integer(out: &mut Vec<u8>, n: i64) -> bool {
    if let Ok(n) = i8::try_from(n) {
        out.extend_from_slice(&[0xc0, n as u8]);
    } else if let Ok(n) = i16::try_from(n) {
        let [a, b] = n.to_le_bytes();
        out.extend_from_slice(&[0xc1, a, b]);
    } else if let Ok(n) = i32::try_from(n) {
        let [a, b, c, d] = n.to_le_bytes();
        out.extend_from_slice(&[0xc2, a, b, c, d]);
    } else {
        return false;
    }
    true
}

/// The kind that a value is written as.
pub(crate) fn kind_of(value: ValueRef<'_>) -> u8 {
    match value {
        ValueRef::String(_) => kind::STRING,
        ValueRef::List(_) => kind::LIST_QUICKLIST_2,
        ValueRef::Set(set) if set.as_intset().is_some() => kind::SET_INTSET,
        ValueRef::Set(_) => kind::SET,
        ValueRef::Hash(hash) if hash.is_listpack() => kind::HASH_LISTPACK,
        ValueRef::Hash(hash) if hash.expiring_fields() > 0 => kind::HASH_EXPIRING,
        ValueRef::Hash(_) => kind::HASH,
        ValueRef::Zset(zset) if zset.as_listpack().is_some() => kind::ZSET_LISTPACK,
        ValueRef::Zset(_) => kind::ZSET_2,
        ValueRef::Stream(_) => kind::STREAM_LISTPACKS_2,
    }
}

/// Takes a dump's chunks, in order.
pub trait ChunkSink {
    fn chunk(&mut self, chunk: Bytes);
}

impl ChunkSink for Vec<Bytes> {
    fn chunk(&mut self, chunk: Bytes) {
        self.push(chunk);
    }
}

/// What the aux fields say. Absent replication fields are not written.
#[derive(Clone, Debug, Default)]
pub struct Preamble {
    /// As in "7.2.4".
    pub server_version: String,
    /// Unix time, seconds.
    pub created_at: i64,
    pub used_memory_bytes: u64,
    /// Where the stream stood at the cut; for dumps from which a node may resume.
    pub replication: Option<ReplicationMark>,
    /// The dump is the base of an append-only file.
    pub aof_base: bool,
    /// What the node keeps and can't use.
    pub opaque: Arc<Opaque>,
}

/// The point of the replication stream that a dump's data corresponds to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationMark {
    pub(crate) replid: String,
    pub(crate) offset: i64,
    /// The database that the stream has selected; -1: none.
    pub(crate) stream_db: i64,
    /// The data is not what that point says: from this offset on commands of the stream were not applied.
    pub(crate) diverged: Option<i64>,
}

/// Puts a dump together and hands it on in chunks.
///
/// Entries of one database should come together: a change of database costs a few bytes each time.
#[derive(Debug)]
pub struct ChunkWriter {
    pub(crate) encoder: Encoder,
    buffer: Vec<u8>,
    chunk_bytes: usize,
    crc: Option<Crc64>,
    db: Option<usize>,
    opaque: Arc<Opaque>,
    /// Bytes handed on so far.
    written: u64,
}

impl ChunkWriter {
    /// `chunk_bytes`: the size from which a chunk is handed on (chunks overshoot it by at most an entry);
    /// `checksum`: the directive `rdbchecksum`.
    pub fn new(compression: bool, checksum: bool, chunk_bytes: usize) -> ChunkWriter {
        ChunkWriter {
            encoder: Encoder::new(compression),
            buffer: Vec::with_capacity(chunk_bytes + chunk_bytes / 8),
            chunk_bytes,
            crc: checksum.then(Crc64::new),
            db: None,
            opaque: Arc::default(),
            written: 0,
        }
    }

    /// Signature, aux fields, and what stands before the keys beside them.
    pub fn begin(&mut self, preamble: &Preamble) {
        let (encoder, out) = (&mut self.encoder, &mut self.buffer);
        encoder.header(out);
        encoder.aux(out, b"redis-ver", preamble.server_version.as_bytes());
        let mut field = |name: &[u8], value: i64| {
            encoder.aux(out, name, itoa::Buffer::new().format(value).as_bytes());
        };
        field(b"redis-bits", i64::from(usize::BITS));
        field(b"ctime", preamble.created_at);
        field(b"used-mem", preamble.used_memory_bytes as i64);
        if let Some(mark) = &preamble.replication {
            field(b"repl-stream-db", mark.stream_db);
            if let Some(offset) = mark.diverged {
                // Ours; redis-server passes over fields that it does not know.
                field(b"repl-diverged", offset);
            }
            encoder.aux(out, b"repl-id", mark.replid.as_bytes());
            encoder.aux(
                out,
                b"repl-offset",
                itoa::Buffer::new().format(mark.offset).as_bytes(),
            );
        }
        let aof_base: &[u8] = if preamble.aof_base { b"1" } else { b"0" };
        encoder.aux(out, b"aof-base", aof_base);
        preamble.opaque.write_before(encoder, out);
        self.opaque = preamble.opaque.clone();
    }

    /// Selects a database and says how large it is. Once for each database, before its first entry.
    pub(crate) fn begin_db(&mut self, db: usize, keys: usize, expires: usize) {
        self.select(db);
        self.encoder.resize(&mut self.buffer, keys, expires);
    }

    fn select(&mut self, db: usize) {
        if self.db != Some(db) {
            self.encoder.select(&mut self.buffer, db);
            self.db = Some(db);
        }
    }

    /// Adds an entry. Call [`ChunkWriter::drain`] between entries.
    pub fn entry(&mut self, db: usize, header: KeyHeader<'_>, value: ValueRef<'_>) {
        self.select(db);
        self.encoder.entry(&mut self.buffer, header, value);
    }

    /// For entries that come already encoded (pre-images), or in pieces: `f` appends to the chunk.
    pub(crate) fn raw<T>(
        &mut self,
        db: usize,
        f: impl FnOnce(&mut Encoder, &mut Vec<u8>) -> T,
    ) -> T {
        self.select(db);
        f(&mut self.encoder, &mut self.buffer)
    }

    /// Hands a chunk on if enough has come together.
    #[inline]
    pub fn drain(&mut self, sink: &mut impl ChunkSink) {
        if self.buffer.len() >= self.chunk_bytes {
            self.flush(sink);
        }
    }

    /// Hands on what there is.
    pub(crate) fn flush(&mut self, sink: &mut impl ChunkSink) {
        if self.buffer.is_empty() {
            return;
        }
        if let Some(crc) = &mut self.crc {
            crc.update(&self.buffer);
        }
        self.written += self.buffer.len() as u64;
        let next = Vec::with_capacity(self.chunk_bytes + self.chunk_bytes / 8);
        sink.chunk(Bytes::from(std::mem::replace(&mut self.buffer, next)));
    }

    /// End mark and checksum; hands on everything.
    pub fn finish(&mut self, sink: &mut impl ChunkSink) {
        self.opaque.write_behind(&mut self.buffer);
        self.buffer.push(opcode::END);
        self.flush(sink);
        let crc = self.crc.map_or(0, |crc| crc.value());
        self.written += 8;
        sink.chunk(Bytes::copy_from_slice(&crc.to_le_bytes()));
    }

    /// Bytes handed on so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Bytes not yet handed on.
    pub(crate) fn pending(&self) -> usize {
        self.buffer.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_compress_is_only_sampled() {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut encoder = Encoder::new(true);
        let mut out = Vec::new();
        for _ in 0..200 {
            let noise: Vec<u8> = (0..100).map(|_| rng.u8(..)).collect();
            encoder.string(&mut out, &noise);
        }
        let class = 7;
        assert!(
            encoder.failures[class].0 < 40,
            "tried {}",
            encoder.failures[class].0
        );
        // Strings of another size, and collections, are tried regardless; so are these after a while.
        let text = "the same words, the same words again, and the same words once more, always the same words";
        let shrinks = |encoder: &mut Encoder, text: &[u8]| {
            let mut out = Vec::new();
            encoder.string(&mut out, text);
            out.len() < text.len()
        };
        assert!(shrinks(&mut encoder, text.repeat(2).as_bytes()));
        let tries = (0..40).find(|_| shrinks(&mut encoder, text.as_bytes()));
        assert!(tries.is_some_and(|tries| tries <= usize::from(PASSED_OVER_MAX)));
        assert!(
            shrinks(&mut encoder, text.as_bytes()),
            "a success ends the sampling"
        );
    }
}
