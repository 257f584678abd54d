//! The reply writer: what a command says, as RESP2 or RESP3 bytes at the end of an [`Output`].
//!
//! All replies of a pipelined batch go into the same output and leave in one write. Aggregates write
//! their header first; where the count is known only afterwards, [`Reply::begin`] and [`Reply::end`]
//! insert it.
//!
//! A reply has a bound ([`Reply::limit`]), looked at whenever a new chunk is begun: what one command says
//! cannot pass it by more than that. Once it is passed nothing is kept, and whoever owns the reply closes
//! the client that it is for.

use bytes::{BufMut, Bytes, BytesMut};

use super::Output;
use crate::text::DoubleText;

/// Protocol version of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resp {
    #[default]
    V2,
    V3,
}

/// Where an aggregate of unknown length began.
#[derive(Debug)]
#[must_use]
pub(crate) struct Mark(usize);

/// The kinds of aggregate; RESP2 shows all of them as arrays (a map of n as an array of 2n).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregate {
    Array,
    Map,
    Set,
    Push,
}

#[derive(Debug)]
pub struct Reply {
    output: Output,
    pub(crate) resp: Resp,
    /// Most bytes that it may hold.
    limit: usize,
    /// The limit has been passed.
    over: bool,
}

impl Default for Reply {
    fn default() -> Reply {
        Reply::new(Resp::V2)
    }
}

impl Reply {
    /// Values from this length on are shared with the keyspace where it can share them, bytes. Below it the
    /// bookkeeping costs as much as copying.
    pub(crate) const SHARED_BYTES_MIN: usize = 16 * 1024;

    pub fn new(resp: Resp) -> Reply {
        Reply {
            output: Output::default(),
            resp,
            limit: usize::MAX,
            over: false,
        }
    }

    pub(crate) fn is_resp3(&self) -> bool {
        self.resp == Resp::V3
    }

    /// Bytes written so far.
    #[inline]
    pub fn len(&self) -> usize {
        self.output.len()
    }

    pub fn is_empty(&self) -> bool {
        self.output.is_empty()
    }

    /// From now on it may hold so many bytes.
    pub(crate) fn limit(&mut self, bytes: usize) {
        self.limit = bytes;
        self.over = false;
    }

    /// Whether it holds, or held, more than it may.
    #[inline]
    pub(crate) fn is_over_limit(&self) -> bool {
        self.over || self.output.len() > self.limit
    }

    /// Whether an error begins at a position.
    #[inline]
    pub(crate) fn is_error_at(&self, position: usize) -> bool {
        self.output.byte_at(position) == Some(b'-')
    }

    /// Forgets what was written behind the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.output.truncate(len);
    }

    pub fn clear(&mut self) {
        self.output.clear();
    }

    /// What has been written.
    pub(crate) fn output(&self) -> &Output {
        &self.output
    }

    /// What has been written, to be taken or added to.
    pub(crate) fn output_mut(&mut self) -> &mut Output {
        &mut self.output
    }

    /// Takes what has been written.
    pub(crate) fn take(&mut self) -> Output {
        std::mem::take(&mut self.output)
    }

    /// The tail, with room for so many more bytes.
    #[inline]
    fn room(&mut self, more: usize) -> &mut BytesMut {
        if self.output.spare() < more {
            self.make_room(more);
        }
        &mut self.output.tail
    }

    #[cold]
    fn make_room(&mut self, more: usize) {
        if self.over || more > self.limit - self.output.len().min(self.limit) {
            self.over = true;
            self.output.clear();
        }
        self.output.room(more);
    }

    fn header(&mut self, tag: u8, n: i64) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(n).as_bytes();
        let buf = self.room(digits.len() + 3);
        buf.put_u8(tag);
        buf.put_slice(digits);
        buf.put_slice(b"\r\n");
    }

    /// Bytes already in RESP form.
    #[inline]
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).extend_from_slice(bytes);
    }

    /// What was written elsewhere.
    pub(crate) fn append(&mut self, other: Output) {
        if self.over || self.output.len() + other.len() > self.limit {
            self.over = true;
            self.output.clear();
        } else {
            self.output.append(other);
        }
    }

    pub(crate) fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    /// A simple string; must hold no CR or LF.
    pub(crate) fn simple(&mut self, text: &str) {
        let buf = self.room(text.len() + 3);
        buf.put_u8(b'+');
        buf.put_slice(text.as_bytes());
        buf.put_slice(b"\r\n");
    }

    /// An error whose text begins with its code ("ERR ...", "WRONGTYPE ..."), without the '-'.
    /// CR and LF in it become spaces, as Redis does.
    pub(crate) fn error(&mut self, text: &str) {
        let buf = self.room(text.len() + 3);
        buf.put_u8(b'-');
        let mut utf8 = [0; 4];
        for c in text.chars() {
            match (c, carried_byte(c)) {
                ('\r' | '\n', _) => buf.put_u8(b' '),
                (_, Some(byte)) => buf.put_u8(byte),
                _ => buf.put_slice(c.encode_utf8(&mut utf8).as_bytes()),
            }
        }
        buf.put_slice(b"\r\n");
    }

    pub fn int(&mut self, n: i64) {
        match n {
            0 => self.raw(b":0\r\n"),
            1 => self.raw(b":1\r\n"),
            _ => self.header(b':', n),
        }
    }

    /// A range of a hundred elements is a hundred of these: with one look at the buffer's room instead of
    /// five each, it is written in about half the time.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        const AROUND_MAX: usize = 1 + 20 + 2 + 2;
        let len = bytes.len();
        let buf = self.room(len + AROUND_MAX);
        let digits = &mut itoa::Buffer::new();
        let written = buf.len();
        // SAFETY: what is written from the buffer's length on is at most the room just reserved: the mark,
        // at most 20 digits, the bytes and two line ends. All of it is initialised before the length says so,
        // and a slice of somebody else's can't overlap the buffer's spare room.
        unsafe {
            let start = buf.as_mut_ptr().add(written);
            let mut to = start.add(1);
            start.write(b'$');
            if len < 10 {
                to.write(b'0' + len as u8);
                to = to.add(1);
            } else if len < 100 {
                to.write(b'0' + (len / 10) as u8);
                to.add(1).write(b'0' + (len % 10) as u8);
                to = to.add(2);
            } else {
                let digits = digits.format(len).as_bytes();
                to.copy_from_nonoverlapping(digits.as_ptr(), digits.len());
                to = to.add(digits.len());
            }
            to.cast::<[u8; 2]>().write(*b"\r\n");
            to = to.add(2);
            to.copy_from_nonoverlapping(bytes.as_ptr(), len);
            to = to.add(len);
            to.cast::<[u8; 2]>().write(*b"\r\n");
            to = to.add(2);
            buf.set_len(written + to.offset_from_unsigned(start));
        }
    }

    /// A bulk string without a copy of its bytes; for those of [`Reply::SHARED_BYTES_MIN`] and more.
    pub(crate) fn bulk_shared(&mut self, bytes: Bytes) {
        self.header(b'$', bytes.len() as i64);
        self.append_shared(bytes);
        self.raw(b"\r\n");
    }

    fn append_shared(&mut self, bytes: Bytes) {
        if self.over || self.output.len() + bytes.len() > self.limit {
            self.over = true;
            self.output.clear();
        } else {
            self.output.share(bytes);
        }
    }

    /// An integer as a bulk string.
    pub(crate) fn bulk_int(&mut self, n: i64) {
        let mut digits = itoa::Buffer::new();
        self.bulk(digits.format(n).as_bytes());
    }

    /// The null of "no such value": `$-1` or `_`.
    pub(crate) fn null(&mut self) {
        match self.resp {
            Resp::V2 => self.raw(b"$-1\r\n"),
            Resp::V3 => self.raw(b"_\r\n"),
        }
    }

    /// The null of "no such array": `*-1` or `_`.
    pub(crate) fn null_array(&mut self) {
        match self.resp {
            Resp::V2 => self.raw(b"*-1\r\n"),
            Resp::V3 => self.raw(b"_\r\n"),
        }
    }

    pub(crate) fn aggregate(&mut self, kind: Aggregate, n: usize) {
        match (self.resp, kind) {
            (_, Aggregate::Array) | (Resp::V2, Aggregate::Set | Aggregate::Push) => {
                self.header(b'*', n as i64)
            }
            (Resp::V2, Aggregate::Map) => self.header(b'*', 2 * n as i64),
            (Resp::V3, Aggregate::Map) => self.header(b'%', n as i64),
            (Resp::V3, Aggregate::Set) => self.header(b'~', n as i64),
            (Resp::V3, Aggregate::Push) => self.header(b'>', n as i64),
        }
    }

    pub fn array(&mut self, n: usize) {
        self.aggregate(Aggregate::Array, n);
    }

    /// A map of `n` pairs.
    pub(crate) fn map(&mut self, n: usize) {
        self.aggregate(Aggregate::Map, n);
    }

    pub(crate) fn set(&mut self, n: usize) {
        self.aggregate(Aggregate::Set, n);
    }

    pub(crate) fn push(&mut self, n: usize) {
        self.aggregate(Aggregate::Push, n);
    }

    /// A double: `,3.14` or a bulk string, with Redis's shortest round-trip form ("inf", "-inf", "nan").
    pub(crate) fn double(&mut self, value: f64) {
        let text = DoubleText::new(value);
        match self.resp {
            Resp::V2 => self.bulk(text.as_bytes()),
            Resp::V3 => {
                self.raw(b",");
                self.raw(text.as_bytes());
                self.raw(b"\r\n");
            }
        }
    }

    /// `#t`/`#f`, or 1/0.
    pub(crate) fn boolean(&mut self, value: bool) {
        match (self.resp, value) {
            (Resp::V2, _) => self.int(i64::from(value)),
            (Resp::V3, true) => self.raw(b"#t\r\n"),
            (Resp::V3, false) => self.raw(b"#f\r\n"),
        }
    }

    /// Text with a three-letter format ("txt", "mkd"); a bulk string in RESP2.
    pub(crate) fn verbatim(&mut self, format: &str, text: &[u8]) {
        debug_assert_eq!(format.len(), 3);
        match self.resp {
            Resp::V2 => self.bulk(text),
            Resp::V3 => {
                self.header(b'=', text.len() as i64 + 4);
                self.raw(format.as_bytes());
                self.raw(b":");
                self.raw(text);
                self.raw(b"\r\n");
            }
        }
    }

    /// A number past 64 bits, given as its decimal digits.
    pub(crate) fn big_number(&mut self, digits: &str) {
        match self.resp {
            Resp::V2 => self.bulk(digits.as_bytes()),
            Resp::V3 => {
                self.raw(b"(");
                self.raw(digits.as_bytes());
                self.raw(b"\r\n");
            }
        }
    }

    /// Begins an aggregate whose length isn't known yet.
    pub(crate) fn begin(&mut self) -> Mark {
        Mark(self.output.len())
    }

    /// Ends it: inserts the header in front of what was written since.
    pub(crate) fn end(&mut self, mark: Mark, kind: Aggregate, n: usize) {
        if self.over {
            return;
        }
        let mut header = Reply::new(self.resp);
        header.aggregate(kind, n);
        self.output.insert(mark.0, &header.output.tail);
    }
}

/// The first of 256 characters of a private plane that carry bytes through an error's text.
const CARRIER: u32 = 0x10_ff00;

/// Bytes as a part of an error's text: those that are no UTF-8 are carried as private characters, which
/// [`Reply::error`] turns into the bytes again.
pub(crate) fn error_text(mut bytes: &[u8]) -> String {
    let mut text = String::new();
    while !bytes.is_empty() {
        let valid = match std::str::from_utf8(bytes) {
            Ok(valid) => valid,
            Err(error) => {
                let (valid, _) = bytes.split_at(error.valid_up_to());
                std::str::from_utf8(valid).unwrap_or_default()
            }
        };
        text.push_str(valid);
        bytes = &bytes[valid.len()..];
        if let [bad, rest @ ..] = bytes {
            text.extend(char::from_u32(CARRIER + u32::from(*bad)));
            bytes = rest;
        }
    }
    text
}

fn carried_byte(c: char) -> Option<u8> {
    u8::try_from(u32::from(c).checked_sub(CARRIER)?).ok()
}

/// Formats a double as Redis 7.2 does in replies; [`DoubleText`] is the form without an allocation.
pub(crate) fn format_double(value: f64) -> String {
    DoubleText::new(value).as_str().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Reply, Resp, error_text};

    #[test]
    fn bulks_of_every_length() {
        let mut reply = Reply::new(Resp::V2);
        let mut want = Vec::new();
        for len in (0..300).chain([999, 1000, 99_999, 1 << 20]) {
            let bytes: Vec<u8> = (0..len).map(|n| n as u8).collect();
            reply.bulk(&bytes);
            want.extend_from_slice(format!("${len}\r\n").as_bytes());
            want.extend_from_slice(&bytes);
            want.extend_from_slice(b"\r\n");
        }
        assert_eq!(reply.take().into_bytes(), want);
    }

    #[test]
    fn a_reply_past_its_limit_keeps_nothing() {
        let mut reply = Reply::new(Resp::V2);
        reply.limit(200_000);
        for _ in 0..10 {
            reply.bulk(&[b'x'; 10_000]);
        }
        assert!(!reply.is_over_limit());
        let mark = reply.begin();
        let mut most = 0;
        for n in 0..10_000 {
            reply.bulk(&[b'x'; 10_000]);
            reply.int(n);
            most = most.max(reply.len());
        }
        reply.end(mark, super::Aggregate::Array, 10_000);
        assert!(reply.is_over_limit());
        assert!(
            most <= 200_000 + super::super::output::CHUNK_BYTES && reply.len() < 100_000,
            "{most}"
        );
        reply.bulk_shared(vec![0; 1 << 20].into());
        assert!(reply.len() < 100_000);
        // The next one begins anew.
        reply.clear();
        reply.limit(usize::MAX);
        reply.ok();
        assert!(!reply.is_over_limit());
        assert_eq!(reply.take().into_bytes(), &b"+OK\r\n"[..]);
    }

    #[test]
    fn a_header_goes_before_what_it_heads() {
        for elements in [0, 3, 2000, 20_000] {
            let mut reply = Reply::new(Resp::V3);
            reply.ok();
            let mark = reply.begin();
            for _ in 0..elements {
                reply.bulk(b"twenty bytes of text");
            }
            reply.end(mark, super::Aggregate::Map, elements / 2);
            let mut want = format!("+OK\r\n%{}\r\n", elements / 2).into_bytes();
            want.extend(b"$20\r\ntwenty bytes of text\r\n".repeat(elements));
            assert_eq!(reply.take().into_bytes(), want);
        }
    }

    #[test]
    fn errors_carry_any_bytes() {
        let bytes: Vec<u8> = (0..=255).chain("täxt\u{10fffd}".bytes()).collect();
        let mut reply = Reply::new(Resp::V2);
        reply.error(&error_text(&bytes));
        let mut want = [b"-".as_slice(), &bytes, b"\r\n"].concat();
        want[1 + usize::from(b'\r')] = b' ';
        want[1 + usize::from(b'\n')] = b' ';
        // The private characters themselves are the one thing that is not.
        want.splice(want.len() - 6..want.len() - 2, [0xfd]);
        assert_eq!(reply.take().into_bytes(), want);
    }
}
