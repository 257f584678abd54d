//! The byte source under the reader: buffered, counted, checksummed.
//!
//! Short things (nearly all: keys, small strings, listpacks) are lent straight from the buffer, so that a
//! load copies each of them once, into its final place. Long things go into a vector that grows as bytes
//! arrive: a declared length alone never allocates more than one growth step.
//!
//! The checksum is taken over whole runs of the buffer, when it is refilled and when somebody asks.

use std::io::Read;

use super::crc64::Crc64;
use super::error::Fault;
use super::lzf;

/// Also the largest span that can be lent.
pub(crate) const BUFFER_BYTES: usize = 256 * 1024;
/// How much a vector for a long string grows at a time at first; afterwards it doubles with what has come.
const GROWTH_BYTES: usize = 1 << 20;

/// A length prefix: a length, or a special encoding of the string that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Plain(u64),
    Encoded(u8),
}

/// A string as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text<'a> {
    Int(i64),
    Bytes(&'a [u8]),
}

impl Text<'_> {
    /// Calls `f` with the bytes, formatting an integer on the stack.
    pub(crate) fn with<T>(&self, f: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Text::Int(n) => f(itoa::Buffer::new().format(*n).as_bytes()),
            Text::Bytes(bytes) => f(bytes),
        }
    }
}

/// Reads the format's primitives from any `Read`.
#[derive(Debug)]
pub struct Source<R> {
    input: R,
    buffer: Box<[u8]>,
    /// The unread part of the buffer.
    start: usize,
    end: usize,
    /// Where in the input the buffer begins.
    base: u64,
    crc: Option<Crc64>,
    /// How much of the buffer the checksum has seen.
    summed: usize,
    /// Holds what cannot be lent from the buffer: decompressed and very long strings.
    scratch: Vec<u8>,
    packed: Vec<u8>,
    encoded: u64,
}

impl<R: Read> Source<R> {
    /// `checksum`: whether to compute one at all.
    pub(crate) fn new(input: R, checksum: bool) -> Source<R> {
        Source::with_buffer(input, checksum, BUFFER_BYTES)
    }

    /// With a buffer of another size (at least 16 bytes); small ones are for tests and short payloads.
    pub fn with_buffer(input: R, checksum: bool, bytes: usize) -> Source<R> {
        Source {
            input,
            buffer: vec![0; bytes.max(16)].into_boxed_slice(),
            start: 0,
            end: 0,
            base: 0,
            crc: checksum.then(Crc64::new),
            summed: 0,
            scratch: Vec::new(),
            packed: Vec::new(),
            encoded: 0,
        }
    }

    /// Bytes taken so far.
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    /// The checksum of all bytes taken so far; zero if none is computed.
    pub(crate) fn checksum(&mut self) -> u64 {
        let taken = self.start;
        match &mut self.crc {
            Some(crc) => {
                crc.update(&self.buffer[self.summed..taken]);
                self.summed = taken;
                crc.value()
            }
            None => 0,
        }
    }

    /// Bytes read ahead of what was taken, and the input: whatever follows the dump is in them, in order.
    pub(crate) fn into_rest(self) -> (Vec<u8>, R) {
        (self.buffer[self.start..self.end].to_vec(), self.input)
    }

    /// Makes `count` unread bytes stand in the buffer; `count` must not exceed its size.
    #[inline]
    fn need(&mut self, count: usize) -> Result<(), Fault> {
        if self.end - self.start >= count {
            return Ok(());
        }
        self.refill(count)
    }

    #[cold]
    fn refill(&mut self, count: usize) -> Result<(), Fault> {
        debug_assert!(count <= self.buffer.len());
        if let Some(crc) = &mut self.crc {
            crc.update(&self.buffer[self.summed..self.start]);
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.base += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        self.summed = 0;
        while self.end < count {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Err(Fault::Truncated),
                Ok(n) => self.end += n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, Fault> {
        self.need(1)?;
        let byte = self.buffer[self.start];
        self.start += 1;
        Ok(byte)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.need(N)?;
        let mut array = [0; N];
        array.copy_from_slice(&self.buffer[self.start..self.start + N]);
        self.start += N;
        Ok(array)
    }

    /// Whether that many bytes can be lent at once.
    fn lendable(&self, count: u64) -> bool {
        count <= self.buffer.len() as u64
    }

    /// Lends `count` bytes; the caller has checked `lendable`.
    #[inline]
    fn lend(&mut self, count: usize) -> Result<&[u8], Fault> {
        self.need(count)?;
        self.start += count;
        Ok(&self.buffer[self.start - count..self.start])
    }

    /// Appends `count` bytes to a vector, growing it as they arrive.
    fn copy_to(&mut self, mut count: u64, out: &mut Vec<u8>) -> Result<(), Fault> {
        while count > 0 {
            if self.start == self.end {
                self.need(1)?;
            }
            if out.len() == out.capacity() {
                let step = count.min((out.len().max(GROWTH_BYTES)) as u64);
                if out.try_reserve_exact(step as usize).is_err() {
                    return Err(Fault::Refused("no memory for a string".into()));
                }
            }
            let room = (out.capacity() - out.len()).min(self.end - self.start);
            let part = count.min(room as u64) as usize;
            out.extend_from_slice(&self.buffer[self.start..self.start + part]);
            self.start += part;
            count -= part as u64;
        }
        Ok(())
    }

    /// A length, or the number of a string encoding.
    #[inline]
    pub(crate) fn length_or_encoding(&mut self) -> Result<Length, Fault> {
        let first = self.byte()?;
        let low = first & 0x3f;
        Ok(match first >> 6 {
            0 => Length::Plain(u64::from(low)),
            1 => Length::Plain(u64::from(low) << 8 | u64::from(self.byte()?)),
            2 if first == 0x80 => Length::Plain(u64::from(u32::from_be_bytes(self.array()?))),
            2 if first == 0x81 => Length::Plain(u64::from_be_bytes(self.array()?)),
            3 => Length::Encoded(low),
            _ => return Err(Fault::Corrupt("length prefix")),
        })
    }

    /// A length where an encoding makes no sense.
    #[inline]
    pub(crate) fn length(&mut self) -> Result<u64, Fault> {
        match self.length_or_encoding()? {
            Length::Plain(length) => Ok(length),
            Length::Encoded(_) => Err(Fault::Corrupt("length prefix")),
        }
    }

    /// A string in any of its encodings, lent until the next call.
    #[inline]
    pub(crate) fn text(&mut self) -> Result<Text<'_>, Fault> {
        match self.length_or_encoding()? {
            Length::Plain(length) if self.lendable(length) => {
                Ok(Text::Bytes(self.lend(length as usize)?))
            }
            Length::Plain(length) => {
                self.take_long(length)?;
                Ok(Text::Bytes(&self.scratch))
            }
            Length::Encoded(0) => Ok(Text::Int(i64::from(self.byte()? as i8))),
            Length::Encoded(1) => Ok(Text::Int(i64::from(i16::from_le_bytes(self.array()?)))),
            Length::Encoded(2) => Ok(Text::Int(i64::from(i32::from_le_bytes(self.array()?)))),
            Length::Encoded(3) => {
                self.take_compressed()?;
                Ok(Text::Bytes(&self.scratch))
            }
            Length::Encoded(_) => Err(Fault::Corrupt("string encoding")),
        }
    }

    /// Appends a string's bytes to `out`.
    pub(crate) fn text_to(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self.text()? {
            Text::Bytes(bytes) => out.extend_from_slice(bytes),
            Text::Int(n) => out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes()),
        }
        Ok(())
    }

    /// An encoded collection or a node of one, to be checked by whoever asked; lent until the next call.
    pub(crate) fn encoded(&mut self) -> Result<&[u8], Fault> {
        self.encoded += 1;
        self.blob()
    }

    /// How many encoded collections and nodes have been taken.
    pub(crate) fn encoded_taken(&self) -> u64 {
        self.encoded
    }

    /// A string that has to be bytes, lent until the next call.
    pub(crate) fn blob(&mut self) -> Result<&[u8], Fault> {
        match self.text()? {
            Text::Bytes(bytes) => Ok(bytes),
            Text::Int(_) => Err(Fault::Corrupt("encoded collection")),
        }
    }

    /// A double as eight bytes, little endian.
    #[inline]
    pub(crate) fn double(&mut self) -> Result<f64, Fault> {
        Ok(f64::from_le_bytes(self.array()?))
    }

    /// A double as text behind a length byte; 253, 254 and 255 stand for not-a-number and the infinities.
    pub(crate) fn double_text(&mut self) -> Result<f64, Fault> {
        let length = match self.byte()? {
            255 => return Ok(f64::NEG_INFINITY),
            254 => return Ok(f64::INFINITY),
            253 => return Ok(f64::NAN),
            length => usize::from(length),
        };
        // A test's buffer may be smaller than the longest text.
        let mut text = [0u8; 255];
        for place in &mut text[..length] {
            *place = self.byte()?;
        }
        std::str::from_utf8(&text[..length])
            .ok()
            .and_then(|text| text.trim_start().parse().ok())
            .ok_or(Fault::Corrupt("score"))
    }

    #[cold]
    fn take_long(&mut self, length: u64) -> Result<(), Fault> {
        let mut long = std::mem::take(&mut self.scratch);
        long.clear();
        // Giant strings are rare: their memory is not kept for the next.
        if long.capacity() > BUFFER_BYTES {
            long = Vec::new();
        }
        self.copy_to(length, &mut long)?;
        self.scratch = long;
        Ok(())
    }

    fn take_compressed(&mut self) -> Result<(), Fault> {
        let packed = self.length()?;
        let length = self.length()?;
        let length = usize::try_from(length).map_err(|_| Fault::Corrupt("compressed string"))?;
        let mut out = std::mem::take(&mut self.scratch);
        out.clear();
        if out.capacity() > BUFFER_BYTES {
            out = Vec::new();
        }
        let good = if self.lendable(packed) {
            lzf::decompress(self.lend(packed as usize)?, length, &mut out)
        } else {
            let mut long = std::mem::take(&mut self.packed);
            long.clear();
            self.copy_to(packed, &mut long)?;
            lzf::decompress(&long, length, &mut out)
        };
        self.scratch = out;
        if good {
            Ok(())
        } else {
            Err(Fault::Corrupt("compressed string"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::crc64::crc64;
    use super::super::lzf::Compressor;
    use super::*;

    fn source(bytes: &[u8]) -> Source<&[u8]> {
        Source::with_buffer(bytes, true, 16)
    }

    #[test]
    fn lengths() {
        for (bytes, want) in [
            (&[0x00][..], Length::Plain(0)),
            (&[0x3f], Length::Plain(63)),
            (&[0x40, 0x40], Length::Plain(64)),
            (&[0x7f, 0xff], Length::Plain(16383)),
            (&[0x80, 0, 0, 0x40, 0], Length::Plain(16384)),
            (&[0x81, 0, 0, 0, 1, 0, 0, 0, 0], Length::Plain(1 << 32)),
            (&[0xc3], Length::Encoded(3)),
        ] {
            assert_eq!(source(bytes).length_or_encoding().unwrap(), want);
        }
        for bytes in [&[0x82][..], &[0xbf]] {
            assert!(matches!(
                source(bytes).length_or_encoding(),
                Err(Fault::Corrupt(_))
            ));
        }
        assert!(matches!(source(&[0x80, 0]).length(), Err(Fault::Truncated)));
    }

    #[test]
    fn strings_of_every_encoding_and_size() {
        let text = |bytes: &[u8]| {
            let mut out = Vec::new();
            source(bytes).text_to(&mut out).unwrap();
            out
        };
        assert_eq!(text(b"\x03abc"), b"abc");
        assert_eq!(text(b"\xc0\x80"), b"-128");
        assert_eq!(text(b"\xc1\x00\x80"), b"-32768");
        assert_eq!(text(b"\xc2\x00\x00\x00\x80"), b"-2147483648");
        // Longer than the buffer.
        let long = vec![b'z'; 1000];
        let mut bytes = vec![0x40 | 3, 0xe8];
        bytes.extend_from_slice(&long);
        assert_eq!(text(&bytes), long);
        // Compressed, longer than the buffer before and after.
        let mut packed = Vec::new();
        let input: Vec<u8> = (0..400u32).flat_map(|i| (i * i).to_le_bytes()).collect();
        assert!(Compressor::new().compress(&input, &mut packed, 1600));
        let mut bytes = vec![0xc3];
        for n in [packed.len(), input.len()] {
            bytes.extend_from_slice(&[0x40 | (n >> 8) as u8, n as u8]);
        }
        bytes.extend_from_slice(&packed);
        assert_eq!(text(&bytes), input);
        assert!(matches!(source(b"\xc4").text(), Err(Fault::Corrupt(_))));
    }

    #[test]
    fn a_false_length_allocates_little() {
        let mut bytes = vec![0x81];
        bytes.extend_from_slice(&(1u64 << 60).to_be_bytes());
        bytes.extend_from_slice(b"only this");
        let mut from = source(&bytes);
        assert!(matches!(from.text(), Err(Fault::Truncated)));
        assert!(from.scratch.capacity() <= GROWTH_BYTES);
        let compressed = [&[0xc3, 0x02][..], &bytes[..9], &[0, 1]].concat();
        assert!(matches!(source(&compressed).text(), Err(Fault::Corrupt(_))));
    }

    #[test]
    fn counts_and_sums_across_refills() {
        let bytes: Vec<u8> = (0..100).collect();
        let mut from = source(&bytes);
        for i in 0..57u8 {
            assert_eq!(from.byte().unwrap(), i);
        }
        assert_eq!(from.offset(), 57);
        assert_eq!(from.checksum(), crc64(&bytes[..57]));
        for _ in 0..5 {
            from.array::<8>().unwrap();
        }
        assert_eq!(from.checksum(), crc64(&bytes[..97]));
        let (rest, mut input) = from.into_rest();
        let mut all = rest;
        input.read_to_end(&mut all).unwrap();
        assert_eq!(all, [97, 98, 99]);
    }

    #[test]
    fn scores() {
        let score = |bytes: &[u8]| source(bytes).double_text();
        assert_eq!(score(b"\x031.5").unwrap(), 1.5);
        assert_eq!(score(b"\x02-3").unwrap(), -3.0);
        assert_eq!(score(b"\x041e10").unwrap(), 1e10);
        assert_eq!(score(b"\xfe").unwrap(), f64::INFINITY);
        assert_eq!(score(b"\xff").unwrap(), f64::NEG_INFINITY);
        assert!(score(b"\xfd").unwrap().is_nan());
        assert!(score(b"\x03abc").is_err());
        assert!(score(b"\x00").is_err());
        assert_eq!(
            Source::with_buffer(&1.25f64.to_le_bytes()[..], false, 16)
                .double()
                .unwrap(),
            1.25
        );
    }
}
