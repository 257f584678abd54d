//! Values in replies. Long ones are not copied: the reply shares them with the keyspace, which copies them when
//! they are written to before they have been sent.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::data::list::{Item, Iter};
use crate::data::{Hash, List, StrRef};
use crate::resp::Reply;

/// Whether a value of so many bytes is shared.
#[inline]
fn is_long(bytes: usize) -> bool {
    bytes >= Reply::SHARED_BYTES_MIN
}

/// A string's bytes, for [`Bytes`] to own.
struct LongString(Arc<Vec<u8>>);

impl AsRef<[u8]> for LongString {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Writes a string.
#[inline]
pub(in crate::command) fn reply_string(reply: &mut Reply, text: StrRef<'_>) {
    match text {
        StrRef::Int(n) => reply.bulk_int(n),
        StrRef::Bytes(bytes) => reply.bulk(bytes),
        StrRef::Long(_) => reply_part(reply, text, 0..text.len()),
    }
}

/// Writes a part of a string.
pub(in crate::command) fn reply_part(reply: &mut Reply, text: StrRef<'_>, part: Range<usize>) {
    match text {
        StrRef::Long(long) if is_long(part.len()) => {
            let bytes = Bytes::from_owner(LongString(long.share()));
            reply.bulk_shared(bytes.slice(part));
        }
        _ => text.with(|bytes| reply.bulk(&bytes[part])),
    }
}

/// Writes an element of a list, set or hash.
#[inline]
pub(in crate::command) fn reply_item(reply: &mut Reply, item: Item<'_>) {
    put_item(reply, item);
}

/// Writes an element of a list by its index, which counts from the tail if it is negative; null if there is none.
pub(in crate::command) fn reply_element(reply: &mut Reply, list: &List, index: i64) {
    match (list.get(index), list.place(index)) {
        (Some(Item::Bytes(bytes)), Some(place)) if is_long(bytes.len()) => {
            reply_elements(reply, list.range(place, place));
        }
        (Some(item), _) => reply_item(reply, item),
        (None, _) => reply.null(),
    }
}

/// Writes the elements that are left of a walk over a list.
pub(in crate::command) fn reply_elements(reply: &mut Reply, mut elements: Iter<'_>) {
    while let Some(item) = elements.next() {
        if let Item::Bytes(bytes) = item
            && is_long(bytes.len())
            && let Some(shared) = elements.share(bytes)
        {
            reply.bulk_shared(Bytes::from_owner(shared));
        } else {
            put_item(reply, item);
        }
    }
}

// As a call it takes a sixth of a range's time.
#[inline(always)]
fn put_item(reply: &mut Reply, item: Item<'_>) {
    match item {
        Item::Int(n) => reply.bulk_int(n),
        Item::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// Writes the value of a hash's field.
#[inline]
pub(in crate::command) fn reply_field_value(
    reply: &mut Reply,
    hash: &Hash,
    field: Item<'_>,
    value: Item<'_>,
) {
    if let Item::Bytes(bytes) = value
        && is_long(bytes.len())
        && let Some(shared) = field.with(|field| hash.share(field))
    {
        reply.bulk_shared(Bytes::from_owner(shared));
    } else {
        reply_item(reply, value);
    }
}

#[cfg(test)]
mod tests {
    use crate::command::context::bench::Bench;

    /// A value that is shared, its first letter told by `letter`.
    fn long(letter: char) -> String {
        letter.to_string().repeat(40_000)
    }

    /// What `write` does to a value must not show in a reply that has been written before.
    fn stays_as_it_was(make: &str, read: &str, write: &str) {
        let mut bench = Bench::new();
        let fill = |line: &str| line.replace("{a}", &long('a')).replace("{b}", &long('b'));
        bench.line(&fill(make));
        let args = |line: &str| -> Vec<Vec<u8>> {
            fill(line)
                .split(' ')
                .map(|w| w.as_bytes().to_vec())
                .collect()
        };
        let before = bench.unsent(&args(read));
        assert!(before.pieces() > 0, "{read} copies");
        let reply = String::from_utf8_lossy(&before.clone().into_bytes()).into_owned();
        assert!(reply.contains(&long('a')) && !reply.contains('b'), "{read}");
        let written = bench.unsent(&args(write));
        assert!(written.byte_at(0) != Some(b'-'), "{write}");
        assert!(
            reply.as_bytes() == &before.into_bytes()[..],
            "{write} shows in {read}"
        );
    }

    #[test]
    fn a_shared_value_in_a_reply_stays_as_it_was() {
        for read in ["GET s", "MGET s", "GETRANGE s 0 -1", "GETEX s"] {
            for write in [
                "APPEND s b",
                "SETRANGE s 5 b",
                "SET s {b}",
                "DEL s",
                "SET s 1",
            ] {
                stays_as_it_was("SET s {a}", read, write);
            }
        }
        for read in ["LRANGE l 0 -1", "LINDEX l 1", "LINDEX l -2"] {
            for write in [
                "LSET l 1 {b}",
                "LPOP l",
                "RPUSH l 2",
                "LREM l 0 {a}",
                "DEL l",
            ] {
                stays_as_it_was("RPUSH l 0 {a} 1", read, write);
            }
        }
        for read in ["HGET h f", "HMGET h f x", "HGETALL h", "HVALS h"] {
            for write in ["HSET h f {b}", "HSET h f 1", "HDEL h f", "DEL h"] {
                stays_as_it_was("HSET h f {a} g 2", read, write);
            }
        }
    }

    #[test]
    fn parts_of_long_strings_are_those_of_short_ones() {
        let mut bench = Bench::new();
        let text: String = (0..20_000).map(|n| format!("{:05}", n)).collect();
        bench.line(&format!("SET s {text}"));
        for (start, end) in [(0, 9), (5, 60_004), (-50_000, -1), (99_995, 200_000)] {
            let clamp = |n: i64| if n < 0 { 100_000 + n } else { n.min(99_999) } as usize;
            let want = &text[clamp(start)..=clamp(end)];
            let got = bench.reply(&format!("GETRANGE s {start} {end}"));
            assert!(got == format!("${} {want}", want.len()), "{start} {end}");
        }
    }
}
