//! The key space cut into ranges, with a digest of each: the sum of its keys' digests, and their number.

use super::key::{KeyDigest, KeyPlace};

/// Keys that a range holds, about, where there may be as many ranges as wanted.
const KEYS_PER_RANGE: u64 = 16;
/// Fewest and most ranges, as powers of two. The most take 32 MB.
const BITS_MIN: u32 = 4;
const BITS_MAX: u32 = 20;

/// Into how many ranges (as a power of two) the key space of so many keys is to be cut.
pub(crate) fn bits_for(keys: u64) -> u32 {
    (keys / KEYS_PER_RANGE)
        .max(1)
        .next_power_of_two()
        .trailing_zeros()
        .clamp(BITS_MIN, BITS_MAX)
}

/// That many, within the bounds.
pub(crate) fn bits_within(bits: u32) -> u32 {
    bits.clamp(BITS_MIN, BITS_MAX)
}

/// What a range holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RangeDigest {
    /// Of the keys' digests, modulo 2^128.
    pub(crate) sum: u128,
    pub(crate) keys: u64,
}

impl RangeDigest {
    /// Its length as bytes.
    pub(crate) const BYTES: usize = 24;

    pub(crate) fn to_bytes(self) -> [u8; RangeDigest::BYTES] {
        let mut bytes = [0; RangeDigest::BYTES];
        bytes[..16].copy_from_slice(&self.sum.to_le_bytes());
        bytes[16..].copy_from_slice(&self.keys.to_le_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; RangeDigest::BYTES]) -> RangeDigest {
        let (mut sum, mut keys) = ([0; 16], [0; 8]);
        sum.copy_from_slice(&bytes[..16]);
        keys.copy_from_slice(&bytes[16..]);
        RangeDigest {
            sum: u128::from_le_bytes(sum),
            keys: u64::from_le_bytes(keys),
        }
    }

    fn add(&mut self, other: RangeDigest) {
        self.sum = self.sum.wrapping_add(other.sum);
        self.keys += other.keys;
    }
}

/// The digests of all ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ranges {
    bits: u32,
    leaves: Vec<RangeDigest>,
}

impl Ranges {
    /// 2^`bits` empty ranges; more than allowed are not made.
    pub(crate) fn new(bits: u32) -> Ranges {
        let bits = bits_within(bits);
        Ranges {
            bits,
            leaves: vec![RangeDigest::default(); 1 << bits],
        }
    }

    pub(crate) fn bits(&self) -> u32 {
        self.bits
    }

    /// A key that is there.
    #[inline]
    pub(crate) fn add(&mut self, place: KeyPlace, digest: KeyDigest) {
        self.leaves[place.range(self.bits)].add(RangeDigest {
            sum: digest.0,
            keys: 1,
        });
    }

    /// The digest of the range `index` of 2^`bits`, of which there may be fewer than leaves. None: there is no such.
    pub(crate) fn at(&self, bits: u32, index: usize) -> Option<RangeDigest> {
        if bits > self.bits || index >= 1 << bits {
            return None;
        }
        let width = 1 << (self.bits - bits);
        let mut sum = RangeDigest::default();
        for leaf in &self.leaves[index * width..(index + 1) * width] {
            sum.add(*leaf);
        }
        Some(sum)
    }

    /// The digest of everything.
    pub(crate) fn root(&self) -> RangeDigest {
        self.at(0, 0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_the_number_of_keys_within_bounds() {
        assert_eq!(bits_for(0), BITS_MIN);
        assert_eq!(bits_for(2_000_000), 17);
        assert_eq!(bits_for(u64::MAX), BITS_MAX);
    }

    #[test]
    fn an_inner_range_is_the_sum_of_what_is_below() {
        let mut ranges = Ranges::new(6);
        for n in 0..1000u128 {
            let place = KeyPlace(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
            ranges.add(place, KeyDigest(u128::MAX - n));
        }
        for bits in 0..6 {
            for index in 0..1 << bits {
                let mut below = ranges.at(bits + 1, 2 * index).unwrap();
                below.add(ranges.at(bits + 1, 2 * index + 1).unwrap());
                assert_eq!(ranges.at(bits, index), Some(below));
            }
        }
        assert_eq!(ranges.root().keys, 1000);
        assert_eq!((ranges.at(7, 0), ranges.at(2, 4)), (None, None));
        let bytes = ranges.root().to_bytes();
        assert_eq!(RangeDigest::from_bytes(&bytes), ranges.root());
    }
}
