//! `notify-keyspace-events`: which keyspace events are published, as letters and as a set of bits.

/// The classes wanted and the two channel families. Bits are ours; only letters leave this file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventFlags(u32);

/// Letter and bit, in the order in which Redis writes the letters.
const LETTERS: &[(u8, u32)] = &[
    (b'g', EventFlags::GENERIC),
    (b'$', EventFlags::STRING),
    (b'l', EventFlags::LIST),
    (b's', EventFlags::SET),
    (b'h', EventFlags::HASH),
    (b'z', EventFlags::ZSET),
    (b'x', EventFlags::EXPIRED),
    (b'e', EventFlags::EVICTED),
    (b't', EventFlags::STREAM),
    (b'd', EventFlags::MODULE),
    (b'n', EventFlags::NEW),
];

impl EventFlags {
    pub const KEYSPACE: u32 = 1;
    pub const KEYEVENT: u32 = 1 << 1;
    pub const GENERIC: u32 = 1 << 2;
    pub const STRING: u32 = 1 << 3;
    pub const LIST: u32 = 1 << 4;
    pub const SET: u32 = 1 << 5;
    pub const HASH: u32 = 1 << 6;
    pub const ZSET: u32 = 1 << 7;
    pub const EXPIRED: u32 = 1 << 8;
    pub const EVICTED: u32 = 1 << 9;
    pub const STREAM: u32 = 1 << 10;
    pub const KEY_MISS: u32 = 1 << 11;
    pub const MODULE: u32 = 1 << 13;
    pub const NEW: u32 = 1 << 14;
    /// What 'A' stands for: every class but key misses and new keys.
    pub const ALL: u32 = Self::GENERIC
        | Self::STRING
        | Self::LIST
        | Self::SET
        | Self::HASH
        | Self::ZSET
        | Self::EXPIRED
        | Self::EVICTED
        | Self::STREAM
        | Self::MODULE;

    /// From letters; `None` if one is unknown.
    pub fn parse(letters: &str) -> Option<EventFlags> {
        let mut bits = 0;
        for letter in letters.bytes() {
            bits |= match letter {
                b'A' => Self::ALL,
                b'K' => Self::KEYSPACE,
                b'E' => Self::KEYEVENT,
                b'm' => Self::KEY_MISS,
                _ => LETTERS.iter().find(|(l, _)| *l == letter)?.1,
            };
        }
        Some(EventFlags(bits))
    }

    /// The letters, shortest form, in Redis's order. As there, 'n' is not shown beside 'A'.
    pub fn letters(self) -> String {
        let mut text = String::new();
        if self.has(Self::ALL) {
            text.push('A');
        } else {
            for &(letter, bit) in LETTERS {
                if self.has(bit) {
                    text.push(char::from(letter));
                }
            }
        }
        for (letter, bit) in [
            ('K', Self::KEYSPACE),
            ('E', Self::KEYEVENT),
            ('m', Self::KEY_MISS),
        ] {
            if self.has(bit) {
                text.push(letter);
            }
        }
        text
    }

    /// Whether all of these bits are on.
    pub fn has(self, bits: u32) -> bool {
        self.0 & bits == bits
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::EventFlags;

    #[test]
    fn letters_are_written_as_redis_writes_them() {
        for (given, shown) in [
            ("KEA", "AKE"),
            ("AKE", "AKE"),
            ("Kg$lszxe", "g$lszxeK"),
            ("", ""),
            ("KEAm", "AKEm"),
            ("gmn", "gnm"),
            ("KEAn", "AKE"),
        ] {
            let shown_by_us = EventFlags::parse(given).map(EventFlags::letters);
            assert_eq!(shown_by_us.as_deref(), Some(shown), "{given}");
        }
        assert_eq!(EventFlags::parse("Q"), None);
    }
}
