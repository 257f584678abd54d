//! The index of command names: case is folded and nothing is allocated on a lookup.
//!
//! A name of up to 24 bytes becomes three words, lowered eight bytes at a time; they are hashed and compared
//! as such. The table is open-addressed and at most half full, so a lookup ends at an empty slot soon.

use crate::table::CommandId;

/// A name of up to 24 bytes in lower case, padded with zeros.
type Folded = [u64; 3];

const FOLDED_BYTES: usize = 24;

#[inline]
fn fold(name: &[u8]) -> Option<Folded> {
    if name.len() > FOLDED_BYTES {
        return None;
    }
    let mut folded = [0u64; 3];
    for (word, chunk) in folded.iter_mut().zip(name.chunks(8)) {
        *word = lower(load(chunk));
    }
    Some(folded)
}

/// Up to eight bytes as a number, the missing ones as zeros. Reads overlap, so that there is no loop.
#[inline]
fn load(bytes: &[u8]) -> u64 {
    let length = bytes.len();
    if let Some(eight) = bytes.first_chunk::<8>() {
        u64::from_le_bytes(*eight)
    } else if let (Some(head), Some(tail)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let tail = u64::from(u32::from_le_bytes(*tail)) << (8 * (length - 4));
        u64::from(u32::from_le_bytes(*head)) | tail
    } else if let [first, .., last] = *bytes {
        let middle = u64::from(bytes[length / 2]) << (8 * (length / 2));
        u64::from(first) | middle | u64::from(last) << (8 * (length - 1))
    } else {
        bytes.first().map_or(0, |byte| u64::from(*byte))
    }
}

/// Lowers the ASCII capitals among eight bytes at once: a sum carries into a byte's top bit from 'A' on, and
/// another one from past 'Z' on; where only the first did, the byte is a capital.
#[inline]
fn lower(bytes: u64) -> u64 {
    const ALL: u64 = 0x0101_0101_0101_0101;
    let low = bytes & (ALL * 0x7f);
    let from_a = low + ALL * (0x80 - b'A' as u64);
    let past_z = low + ALL * (0x7f - b'Z' as u64);
    let capitals = (from_a ^ past_z) & !bytes & (ALL * 0x80);
    bytes | capitals >> 2
}

#[inline]
fn hash(folded: &Folded) -> u64 {
    const K: u64 = 0x9E37_79B9_7F4A_7C15;
    let mixed = folded[0] ^ folded[1].rotate_left(23) ^ folded[2].rotate_left(47);
    let product = u128::from(mixed) * u128::from(K);
    (product >> 64) as u64 ^ product as u64
}

/// One slot of the index.
#[derive(Clone, Copy, Debug)]
struct Slot {
    name: Folded,
    id: CommandId,
}

const EMPTY: CommandId = CommandId::MAX;

/// Names with the ids of what they stand for.
#[derive(Debug)]
pub(super) struct NameIndex {
    /// A power of two of them, at most half used, probed linearly.
    slots: Vec<Slot>,
    /// Names that are too long for a slot, in lower case.
    long: Vec<(Vec<u8>, CommandId)>,
}

impl Default for NameIndex {
    fn default() -> Self {
        NameIndex::new(Vec::new())
    }
}

impl NameIndex {
    /// An index of these names, which differ in more than case.
    pub(super) fn new(names: Vec<(Vec<u8>, CommandId)>) -> NameIndex {
        let size = (names.len() * 2).next_power_of_two().max(8);
        let empty = Slot {
            name: [0; 3],
            id: EMPTY,
        };
        let mut index = NameIndex {
            slots: vec![empty; size],
            long: Vec::new(),
        };
        for (name, id) in names {
            let Some(folded) = fold(&name) else {
                index.long.push((name.to_ascii_lowercase(), id));
                continue;
            };
            let mut at = hash(&folded) as usize & (size - 1);
            while index.slots[at].id != EMPTY {
                at = (at + 1) & (size - 1);
            }
            index.slots[at] = Slot { name: folded, id };
        }
        index
    }

    /// What the name stands for, in any case.
    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> Option<CommandId> {
        let Some(folded) = fold(name) else {
            let mut long = self.long.iter();
            let found = long.find(|(long, _)| long.eq_ignore_ascii_case(name));
            return found.map(|(_, id)| *id);
        };
        let mask = self.slots.len() - 1;
        let mut at = hash(&folded) as usize & mask;
        loop {
            let slot = &self.slots[at];
            if slot.id == EMPTY {
                return None;
            }
            if slot.name == folded {
                return Some(slot.id);
            }
            at = (at + 1) & mask;
        }
    }

    /// Every name, in lower case, with what it stands for.
    pub(super) fn entries(&self) -> Vec<(Vec<u8>, CommandId)> {
        let short = self.slots.iter().filter(|s| s.id != EMPTY).map(|slot| {
            let bytes: Vec<u8> = slot.name.iter().flat_map(|w| w.to_le_bytes()).collect();
            let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
            (bytes[..end].to_vec(), slot.id)
        });
        short.chain(self.long.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn folding_is_lowering(name in proptest::collection::vec(proptest::num::u8::ANY, 0..30)) {
            let mut expected = [0u8; FOLDED_BYTES];
            let folded = fold(&name);
            if name.len() > FOLDED_BYTES {
                proptest::prop_assert!(folded.is_none());
            } else {
                expected[..name.len()].copy_from_slice(&name.to_ascii_lowercase());
                let bytes: Vec<u8> = folded.iter().flatten().flat_map(|w| w.to_le_bytes()).collect();
                proptest::prop_assert_eq!(&bytes, &expected);
            }
        }
    }

    #[test]
    fn entries_are_found_again() {
        let names: Vec<(Vec<u8>, CommandId)> = (0..100u32)
            .map(|n| (format!("name{}", "x".repeat(n as usize)).into_bytes(), n))
            .collect();
        let index = NameIndex::new(names.clone());
        for (name, id) in &names {
            assert_eq!(index.find(&name.to_ascii_uppercase()), Some(*id));
        }
        let mut entries = index.entries();
        entries.sort_by_key(|(_, id)| *id);
        assert_eq!(entries, names);
        assert_eq!(index.find(b"nam"), None);
        assert_eq!(NameIndex::default().find(b""), None);
    }
}
