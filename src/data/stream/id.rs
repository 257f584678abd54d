//! The ids of a stream's entries: a time in milliseconds and a number within it.

use std::fmt;

/// An entry's id. Ids of one stream rise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    pub ms: u64,
    pub seq: u64,
}

/// An id as somebody wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// With both parts.
    Whole(StreamId),
    /// Only milliseconds.
    Millis(u64),
    /// Milliseconds, and any number within them: `ms-*`.
    AnySeq(u64),
}

/// Longer texts are no ids, bytes.
const TEXT_MAX: usize = 127;

impl StreamId {
    pub(crate) const MIN: StreamId = StreamId::new(0, 0);
    pub(crate) const MAX: StreamId = StreamId::new(u64::MAX, u64::MAX);

    pub(crate) const fn new(ms: u64, seq: u64) -> StreamId {
        StreamId { ms, seq }
    }

    pub(crate) fn is_zero(self) -> bool {
        self == StreamId::MIN
    }

    /// The next higher id; None behind the highest.
    pub(crate) fn next(self) -> Option<StreamId> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(StreamId::new(self.ms, seq)),
            None => Some(StreamId::new(self.ms.checked_add(1)?, 0)),
        }
    }

    /// The next lower id; None before the lowest.
    pub(crate) fn before(self) -> Option<StreamId> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(StreamId::new(self.ms, seq)),
            None => Some(StreamId::new(self.ms.checked_sub(1)?, u64::MAX)),
        }
    }

    /// As dumps hold it: both parts, most significant byte first.
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.ms) << 64 | u128::from(self.seq)).to_be_bytes()
    }

    pub(crate) fn from_bytes(bytes: [u8; 16]) -> StreamId {
        let both = u128::from_be_bytes(bytes);
        StreamId::new((both >> 64) as u64, both as u64)
    }

    /// Its text, `ms-seq`.
    pub(crate) fn text(self) -> IdText {
        let mut text = IdText {
            bytes: [0; 41],
            len: 0,
        };
        let mut digits = itoa::Buffer::new();
        text.push(digits.format(self.ms).as_bytes());
        text.push(b"-");
        text.push(digits.format(self.seq).as_bytes());
        text
    }

    /// Reads `ms`, `ms-seq` or `ms-*`, as Redis reads them: numbers in strtoull's form, up to a zero byte.
    pub(crate) fn parse(text: &[u8]) -> Option<Written> {
        if text.len() > TEXT_MAX {
            return None;
        }
        let text = text.split(|byte| *byte == 0).next()?;
        let Some(dash) = memchr::memchr(b'-', text) else {
            return Some(Written::Millis(parse_part(text)?));
        };
        let ms = parse_part(&text[..dash])?;
        match &text[dash + 1..] {
            b"*" => Some(Written::AnySeq(ms)),
            seq => Some(Written::Whole(StreamId::new(ms, parse_part(seq)?))),
        }
    }
}

/// One number of an id. What is no canonical integer may have spaces before it, a sign, and leading zeros.
fn parse_part(text: &[u8]) -> Option<u64> {
    if let Some(n) = crate::text::parse_int(text) {
        return u64::try_from(n).ok();
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | 0x09..=0x0d);
    let text = &text[text.iter().take_while(|byte| is_space(byte)).count()..];
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut n: u64 = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        n = n.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(if negative { n.wrapping_neg() } else { n })
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// An id's text, without an allocation.
#[derive(Clone, Copy)]
pub(crate) struct IdText {
    bytes: [u8; 41],
    len: usize,
}

impl IdText {
    fn push(&mut self, part: &[u8]) {
        self.bytes[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
    }
}

impl AsRef<[u8]> for IdText {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_redis_reads_them() {
        let whole = |ms, seq| Some(Written::Whole(StreamId::new(ms, seq)));
        for (text, want) in [
            ("5-7", whole(5, 7)),
            ("0-0", whole(0, 0)),
            ("5", Some(Written::Millis(5))),
            ("5-*", Some(Written::AnySeq(5))),
            (
                "18446744073709551615-18446744073709551615",
                whole(u64::MAX, u64::MAX),
            ),
            ("18446744073709551616-0", None),
            ("007-01", whole(7, 1)),
            (" 5-+6", whole(5, 6)),
            ("1-\0junk", None),
            ("1-2\0junk", whole(1, 2)),
            ("1--2", None),
            ("1--02", whole(1, u64::MAX - 1)),
            ("-", None),
            ("-1", None),
            ("", None),
            ("a", None),
            ("5-", None),
            ("5-*x", None),
            ("*", None),
        ] {
            assert_eq!(StreamId::parse(text.as_bytes()), want, "{text:?}");
        }
        let long = format!("{}1", "0".repeat(127));
        assert_eq!(StreamId::parse(long.as_bytes()), None);
    }

    #[test]
    fn neighbours_and_text() {
        let id = StreamId::new(3, u64::MAX);
        assert_eq!(id.next(), Some(StreamId::new(4, 0)));
        assert_eq!(StreamId::new(4, 0).before(), Some(id));
        assert_eq!(StreamId::MAX.next(), None);
        assert_eq!(StreamId::MIN.before(), None);
        assert_eq!(StreamId::MAX.text().as_ref().len(), 41);
        assert_eq!(StreamId::new(1, 2).text().as_ref(), b"1-2");
        assert_eq!(StreamId::from_bytes(id.to_bytes()), id);
    }
}
