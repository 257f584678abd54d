//! Replies as they come over the wire: what differs on the wire differs here too.

use std::fmt;

/// One reply of either protocol version. Doubles keep their text, and the nulls of RESP2 are told apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RawReply {
    Simple(Vec<u8>),
    Error(Vec<u8>),
    Int(i64),
    Bulk(Vec<u8>),
    /// `$-1`
    NullBulk,
    /// `*-1`
    NullArray,
    /// `_`
    Null,
    Array(Vec<RawReply>),
    Map(Vec<(RawReply, RawReply)>),
    Set(Vec<RawReply>),
    Push(Vec<RawReply>),
    Double(String),
    Boolean(bool),
    Verbatim(Vec<u8>),
    BigNumber(String),
}

impl RawReply {
    /// Reads one reply from the front of `bytes`: the reply and its length, None if it isn't all there.
    pub fn read(bytes: &[u8]) -> Option<(RawReply, usize)> {
        let mut reader = Reader { bytes, at: 0 };
        let reply = reader.reply()?;
        Some((reply, reader.at))
    }

    pub fn int(&self) -> Option<i64> {
        match self {
            RawReply::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// A string's bytes, whatever kind of string it is.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            RawReply::Simple(bytes) | RawReply::Bulk(bytes) => Some(bytes),
            RawReply::Verbatim(bytes) => bytes.get(4..),
            _ => None,
        }
    }

    /// A string, an error or an integer as text; empty for anything else.
    pub fn text(&self) -> String {
        match self {
            RawReply::Error(text) => String::from_utf8_lossy(text).into_owned(),
            RawReply::Int(number) => number.to_string(),
            other => String::from_utf8_lossy(other.bytes().unwrap_or_default()).into_owned(),
        }
    }

    pub fn is_error(&self) -> bool {
        matches!(self, RawReply::Error(_))
    }

    pub fn is_null(&self) -> bool {
        matches!(
            self,
            RawReply::Null | RawReply::NullBulk | RawReply::NullArray
        )
    }

    /// The elements of an array, set or push.
    pub fn elements(&self) -> Option<&[RawReply]> {
        match self {
            RawReply::Array(items) | RawReply::Set(items) | RawReply::Push(items) => Some(items),
            _ => None,
        }
    }

    /// The elements as bytes, those that are strings.
    pub fn strings(&self) -> Vec<Vec<u8>> {
        let items = self.elements().unwrap_or_default();
        items
            .iter()
            .filter_map(|item| item.bytes().map(<[u8]>::to_vec))
            .collect()
    }
}

impl fmt::Debug for RawReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RawReply::Simple(text) => write!(f, "+{}", text.escape_ascii()),
            RawReply::Error(text) => write!(f, "-{}", text.escape_ascii()),
            RawReply::Int(n) => write!(f, ":{n}"),
            RawReply::Bulk(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            RawReply::NullBulk => write!(f, "$-1"),
            RawReply::NullArray => write!(f, "*-1"),
            RawReply::Null => write!(f, "_"),
            RawReply::Array(items) => f.debug_list().entries(items).finish(),
            RawReply::Set(items) => f.debug_set().entries(items).finish(),
            RawReply::Push(items) => {
                write!(f, ">")?;
                f.debug_list().entries(items).finish()
            }
            RawReply::Map(pairs) => f
                .debug_map()
                .entries(pairs.iter().map(|(key, value)| (key, value)))
                .finish(),
            RawReply::Double(text) => write!(f, ",{text}"),
            RawReply::Boolean(value) => write!(f, "#{value}"),
            RawReply::Verbatim(text) => write!(f, "={}", text.escape_ascii()),
            RawReply::BigNumber(text) => write!(f, "({text}"),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn line(&mut self) -> Option<(u8, &[u8])> {
        let rest = &self.bytes[self.at..];
        let end = memchr::memchr(b'\n', rest)?;
        self.at += end + 1;
        let line = rest[..end]
            .strip_suffix(b"\r")
            .expect("a line ends in CR LF");
        let (tag, text) = line.split_first().expect("a line has a tag");
        Some((*tag, text))
    }

    fn blob(&mut self, length: i64) -> Option<Vec<u8>> {
        let length = usize::try_from(length).expect("a length");
        let end = self.at + length;
        let blob = self.bytes.get(self.at..end)?.to_vec();
        let tail = self.bytes.get(end..end + 2)?;
        assert_eq!(tail, b"\r\n", "a blob ends in CR LF");
        self.at = end + 2;
        Some(blob)
    }

    fn items(&mut self, count: i64) -> Option<Vec<RawReply>> {
        (0..count).map(|_| self.reply()).collect()
    }

    fn reply(&mut self) -> Option<RawReply> {
        let (tag, text) = self.line()?;
        let string = || String::from_utf8_lossy(text).into_owned();
        let number = || -> i64 { string().parse().expect("a number") };
        Some(match tag {
            b'+' => RawReply::Simple(text.to_vec()),
            b'-' => RawReply::Error(text.to_vec()),
            b':' => RawReply::Int(number()),
            b'_' => RawReply::Null,
            b'#' => RawReply::Boolean(text == b"t"),
            b',' => RawReply::Double(string()),
            b'(' => RawReply::BigNumber(string()),
            b'$' | b'=' | b'!' => {
                let length = number();
                if length < 0 {
                    return Some(RawReply::NullBulk);
                }
                let blob = self.blob(length)?;
                match tag {
                    b'$' => RawReply::Bulk(blob),
                    b'=' => RawReply::Verbatim(blob),
                    _ => RawReply::Error(blob),
                }
            }
            b'*' | b'~' | b'>' => {
                let count = number();
                if count < 0 {
                    return Some(RawReply::NullArray);
                }
                let items = self.items(count)?;
                match tag {
                    b'*' => RawReply::Array(items),
                    b'~' => RawReply::Set(items),
                    _ => RawReply::Push(items),
                }
            }
            b'%' => {
                let count = number();
                let pairs = (0..count).map(|_| Some((self.reply()?, self.reply()?)));
                RawReply::Map(pairs.collect::<Option<_>>()?)
            }
            other => panic!("no reply begins with {:?}", char::from(other)),
        })
    }
}
