//! What an element means to a sketch: a register, and a rank for it.

use super::registers::{REGISTER_BITS, REGISTERS};

/// Redis's seed.
const SEED: u64 = 0xadc8_3b19;
/// Bits of the hash that don't choose the register.
const RANK_BITS: u32 = 64 - REGISTER_BITS;

/// An element's register and rank: the zeros that the rest of its hash begins with, and one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    register: u16,
    rank: u8,
}

impl Element {
    pub(super) fn new(register: usize, rank: u8) -> Element {
        debug_assert!(register < REGISTERS);
        Element {
            register: register as u16,
            rank,
        }
    }

    #[inline]
    pub fn of(bytes: &[u8]) -> Element {
        let hash = hash(bytes);
        let rest = hash >> REGISTER_BITS | 1 << RANK_BITS;
        Element {
            register: (hash % REGISTERS as u64) as u16,
            rank: rest.trailing_zeros() as u8 + 1,
        }
    }

    #[inline]
    pub(crate) fn register(self) -> usize {
        usize::from(self.register)
    }

    #[inline]
    pub(crate) fn rank(self) -> u8 {
        self.rank
    }
}

/// MurmurHash64A (Austin Appleby, 2008), words read as little-endian.
fn hash(bytes: &[u8]) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const R: u32 = 47;
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(M);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let mut word = u64::from_le_bytes(*word).wrapping_mul(M);
        word ^= word >> R;
        hash = (hash ^ word.wrapping_mul(M)).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(M);
    }
    hash ^= hash >> R;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> R
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_hash() {
        for n in 0..100_000u32 {
            let text = n.to_string();
            let element = Element::of(text.as_bytes());
            let hash = hash(text.as_bytes());
            assert_eq!(element.register() as u64, hash & 0x3fff);
            let zeros = (0..RANK_BITS).find(|bit| hash >> (14 + bit) & 1 == 1);
            assert_eq!(u32::from(element.rank()), zeros.unwrap_or(RANK_BITS) + 1);
        }
    }
}
