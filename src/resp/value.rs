//! Replies as values: for our own clients (the in-process handle, the master link, tests).
//!
//! The reader takes whole values out of a buffer of bytes that is still growing: it says how many bytes
//! one value took, or that more are needed. Depth and declared lengths are bounded, since the bytes come
//! from a peer.

#![warn(missing_docs)]

use std::fmt;

/// Deepest nesting that is followed.
const DEPTH_MAX: usize = 32;

/// One RESP value, either protocol version.
#[derive(Clone, PartialEq)]
pub enum RespValue {
    /// A status, such as "OK".
    Simple(String),
    /// The error's whole text, code first.
    Error(String),
    /// A whole number.
    Int(i64),
    /// Bytes: most values of keys.
    Bulk(Vec<u8>),
    /// No value.
    Null,
    /// Values in order.
    Array(Vec<RespValue>),
    /// Pairs in the order in which they came.
    Map(Vec<(RespValue, RespValue)>),
    /// Values of which each comes once.
    Set(Vec<RespValue>),
    /// What comes without being asked for: its kind ("message", "pmessage"), then its parts.
    Push(Vec<RespValue>),
    /// A number with a fraction.
    Double(f64),
    /// Yes or no.
    Boolean(bool),
    /// Format ("txt", "mkd") and text.
    Verbatim(String, Vec<u8>),
    /// A whole number of any size, in digits.
    BigNumber(String),
}

/// Why bytes are no RESP value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadReply(pub String);

impl fmt::Display for BadReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad reply: {}", self.0)
    }
}

impl std::error::Error for BadReply {}

impl RespValue {
    /// Reads one value from the front of `bytes`: the value and how many bytes it took, or None if it has
    /// not fully come.
    pub fn read(bytes: &[u8]) -> Result<Option<(RespValue, usize)>, BadReply> {
        let mut reader = Reader { bytes, at: 0 };
        Ok(reader.value(0)?.map(|value| (value, reader.at)))
    }

    /// The text of a simple or bulk string.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            RespValue::Simple(text) => Some(text.as_bytes()),
            RespValue::Bulk(bytes) | RespValue::Verbatim(_, bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The number of an integer, or of a string that spells one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            RespValue::Int(n) => Some(*n),
            other => crate::text::parse_int(other.as_bytes()?),
        }
    }

    /// Whether it is an error reply.
    pub fn is_error(&self) -> bool {
        matches!(self, RespValue::Error(_))
    }
}

/// Bytes shown as a text in quotes, what is not printable escaped.
struct Text<'b>(&'b [u8]);

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// As derived, but with texts for lists of bytes, and pairs as `key: value`.
impl fmt::Debug for RespValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Pairs<'v>(&'v [(RespValue, RespValue)]);
        impl fmt::Debug for Pairs<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_map()
                    .entries(self.0.iter().map(|(k, v)| (k, v)))
                    .finish()
            }
        }
        let mut tuple =
            |name: &str, field: &dyn fmt::Debug| f.debug_tuple(name).field(field).finish();
        match self {
            RespValue::Simple(text) => tuple("Simple", text),
            RespValue::Error(text) => tuple("Error", text),
            RespValue::Int(number) => tuple("Int", number),
            RespValue::Bulk(bytes) => tuple("Bulk", &Text(bytes)),
            RespValue::Null => f.write_str("Null"),
            RespValue::Array(values) => tuple("Array", values),
            RespValue::Map(pairs) => tuple("Map", &Pairs(pairs)),
            RespValue::Set(values) => tuple("Set", values),
            RespValue::Push(values) => tuple("Push", values),
            RespValue::Double(number) => tuple("Double", number),
            RespValue::Boolean(value) => tuple("Boolean", value),
            RespValue::Verbatim(format, bytes) => f
                .debug_tuple("Verbatim")
                .field(format)
                .field(&Text(bytes))
                .finish(),
            RespValue::BigNumber(digits) => tuple("BigNumber", digits),
        }
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    /// The text up to CR LF, which is skipped.
    fn line(&mut self) -> Option<&'b [u8]> {
        let rest = &self.bytes[self.at..];
        let end = memchr::memmem::find(rest, b"\r\n")?;
        self.at += end + 2;
        Some(&rest[..end])
    }

    /// `len` bytes and the CR LF after them.
    fn body(&mut self, len: usize) -> Option<&'b [u8]> {
        let end = self.at.checked_add(len)?;
        let body = self.bytes.get(self.at..end)?;
        self.bytes.get(end..end + 2)?;
        self.at = end + 2;
        Some(body)
    }

    /// A value of `len` bytes, none if that is negative.
    fn bulk(&mut self, tag: u8, len: i64) -> Result<Option<RespValue>, BadReply> {
        let Ok(len) = usize::try_from(len) else {
            return Ok(Some(RespValue::Null));
        };
        let Some(body) = self.body(len) else {
            return Ok(None);
        };
        Ok(Some(match tag {
            b'$' => RespValue::Bulk(body.to_vec()),
            b'!' => RespValue::Error(String::from_utf8_lossy(body).into_owned()),
            _ if body.len() < 4 => {
                return Err(BadReply("verbatim string without a format".into()));
            }
            _ => RespValue::Verbatim(
                String::from_utf8_lossy(&body[..3]).into_owned(),
                body[4..].to_vec(),
            ),
        }))
    }

    /// A value of `count` values (or pairs of them), none if that is negative.
    fn aggregate(
        &mut self,
        tag: u8,
        count: i64,
        depth: usize,
    ) -> Result<Option<RespValue>, BadReply> {
        if count < 0 {
            return Ok(Some(RespValue::Null));
        }
        let count = match tag {
            b'%' => count.saturating_mul(2),
            _ => count,
        };
        // Grown as values come: the count is not to be trusted.
        let mut values = Vec::new();
        for _ in 0..count {
            match self.value(depth + 1)? {
                Some(value) => values.push(value),
                None => return Ok(None),
            }
        }
        Ok(Some(match tag {
            b'*' => RespValue::Array(values),
            b'~' => RespValue::Set(values),
            b'>' => RespValue::Push(values),
            _ => {
                let mut values = values.into_iter();
                let mut pairs = Vec::new();
                while let (Some(key), Some(value)) = (values.next(), values.next()) {
                    pairs.push((key, value));
                }
                RespValue::Map(pairs)
            }
        }))
    }

    fn value(&mut self, depth: usize) -> Result<Option<RespValue>, BadReply> {
        if depth > DEPTH_MAX {
            return Err(BadReply("nested too deeply".into()));
        }
        let Some(line) = self.line() else {
            return Ok(None);
        };
        let Some((&tag, line)) = line.split_first() else {
            return Err(BadReply("empty line".into()));
        };
        let text = || String::from_utf8_lossy(line).into_owned();
        let number = || {
            crate::text::parse_int(line)
                .ok_or_else(|| BadReply(format!("not a number: {:?}", text())))
        };
        Ok(Some(match tag {
            b'+' => RespValue::Simple(text()),
            b'-' => RespValue::Error(text()),
            b':' => RespValue::Int(number()?),
            b'_' => RespValue::Null,
            b'#' => RespValue::Boolean(line == b"t"),
            b',' => RespValue::Double(match line {
                b"inf" => f64::INFINITY,
                b"-inf" => f64::NEG_INFINITY,
                b"nan" => f64::NAN,
                _ => text()
                    .parse()
                    .map_err(|_| BadReply(format!("not a double: {:?}", text())))?,
            }),
            b'(' => RespValue::BigNumber(text()),
            b'$' | b'=' | b'!' => return self.bulk(tag, number()?),
            b'*' | b'~' | b'>' | b'%' => return self.aggregate(tag, number()?, depth),
            other => return Err(BadReply(format!("unknown type byte {:?}", other as char))),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_reads_back() {
        let bytes = b"*8\r\n+OK\r\n-ERR x\r\n:-3\r\n$2\r\nab\r\n_\r\n#t\r\n,1.5\r\n%1\r\n+k\r\n=7\r\ntxt:abc\r\n";
        let (value, used) = RespValue::read(bytes).unwrap().unwrap();
        assert_eq!(used, bytes.len());
        assert_eq!(
            value,
            RespValue::Array(vec![
                RespValue::Simple("OK".into()),
                RespValue::Error("ERR x".into()),
                RespValue::Int(-3),
                RespValue::Bulk(b"ab".to_vec()),
                RespValue::Null,
                RespValue::Boolean(true),
                RespValue::Double(1.5),
                RespValue::Map(vec![(
                    RespValue::Simple("k".into()),
                    RespValue::Verbatim("txt".into(), b"abc".to_vec())
                )]),
            ])
        );
        for cut in 0..bytes.len() {
            assert_eq!(RespValue::read(&bytes[..cut]), Ok(None), "cut at {cut}");
        }
    }

    #[test]
    fn texts_are_shown_as_texts() {
        let value = RespValue::Map(vec![(
            RespValue::Bulk(b"na\"me".to_vec()),
            RespValue::Array(vec![
                RespValue::Bulk(b"caf\xe9\r\n".to_vec()),
                RespValue::Null,
                RespValue::Verbatim("txt".into(), b"hi".to_vec()),
            ]),
        )]);
        assert_eq!(
            format!("{value:?}"),
            r#"Map({Bulk("na\"me"): Array([Bulk("caf\xe9\r\n"), Null, Verbatim("txt", "hi")])})"#
        );
    }

    #[test]
    fn hostile_replies_are_refused() {
        assert!(RespValue::read(b"?1\r\n").is_err());
        assert!(RespValue::read(b"$x\r\n").is_err());
        assert!(RespValue::read(&b"*1\r\n".repeat(100)).is_err());
        assert_eq!(RespValue::read(b"$9223372036854775807\r\n"), Ok(None));
    }
}
