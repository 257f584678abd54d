//! Replication identities: which history of bytes a node's data comes from.
//!
//! A replid names one stream of writes; with an offset into it, it names one exact state of the data. A node
//! that stops being a replica starts a new stream, but the bytes up to that moment are still those of the old
//! one: [`History`] remembers the old replid as the second one, valid up to a bound, so that siblings and the
//! old master may resume partially. The invariant the rest of replication leans on: two nodes that agree on a
//! replid and both hold offset N of it have the same bytes up to N.

use std::fmt;

use crate::clock::Clock;

/// Forty hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplId([u8; 40]);

impl ReplId {
    /// The "none" of INFO and of an unset second replid.
    pub(crate) const ZERO: ReplId = ReplId([b'0'; 40]);

    /// A fresh one.
    pub(crate) fn random(clock: &dyn Clock) -> ReplId {
        let mut digits = [0u8; 40];
        for part in digits.chunks_mut(8) {
            let mut bits = clock.random();
            for digit in part {
                *digit = b"0123456789abcdef"[(bits & 15) as usize];
                bits >>= 4;
            }
        }
        ReplId(digits)
    }

    /// Reads forty characters that a peer or a file gave; None if there are more, fewer, or others than hex.
    pub(crate) fn parse(text: &[u8]) -> Option<ReplId> {
        let digits: [u8; 40] = text.try_into().ok()?;
        digits
            .iter()
            .all(u8::is_ascii_hexdigit)
            .then_some(ReplId(digits.map(|d| d.to_ascii_lowercase())))
    }

    pub(crate) fn as_str(&self) -> &str {
        // Only hex digits get in, so the fallback is never taken.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Default for ReplId {
    fn default() -> Self {
        ReplId::ZERO
    }
}

impl fmt::Display for ReplId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ReplId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The histories a node can speak for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) id: ReplId,
    /// The history before the last promotion; [`ReplId::ZERO`] if none.
    pub(crate) id2: ReplId,
    /// First offset *not* shared with `id2` (INFO's second_repl_offset); -1 if there is no `id2`.
    pub(crate) second_offset: i64,
}

impl Default for History {
    fn default() -> Self {
        History::new(ReplId::ZERO)
    }
}

impl History {
    pub(crate) fn new(id: ReplId) -> History {
        History {
            id,
            id2: ReplId::ZERO,
            second_offset: -1,
        }
    }

    /// A new stream that shares nothing with any other.
    pub(crate) fn restart(&mut self, id: ReplId) {
        *self = History::new(id);
    }

    /// A new stream that continues the present one after `end` bytes (promotion).
    pub(crate) fn shift(&mut self, new_id: ReplId, end: u64) {
        self.id2 = self.id;
        self.second_offset = end as i64 + 1;
        self.id = new_id;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn random_ids_are_hex_and_differ() {
        let clock = ManualClock::new(0, 7);
        let a = ReplId::random(&*clock);
        let b = ReplId::random(&*clock);
        assert_ne!(a, b);
        assert_eq!(ReplId::parse(a.as_bytes()), Some(a));
    }

    #[test]
    fn only_forty_hex_digits_parse() {
        assert_eq!(ReplId::parse(b"?"), None);
        assert_eq!(ReplId::parse(&[b'a'; 41]), None);
        assert_eq!(ReplId::parse(&[b'g'; 40]), None);
        assert_eq!(ReplId::parse(&[b'A'; 40]), ReplId::parse(&[b'a'; 40]));
    }

    #[test]
    fn shift_keeps_the_old_history_up_to_the_byte_after_the_end() {
        let clock = ManualClock::new(0, 7);
        let old = ReplId::random(&*clock);
        let mut history = History::new(old);
        history.shift(ReplId::random(&*clock), 50);
        assert_eq!((history.id2, history.second_offset), (old, 51));
    }
}
