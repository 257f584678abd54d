//! Strings as rows of bits: bit 0 is the highest of the first byte, and past a string's end every bit is 0.
//!
//! Single bits and searches are here, counting in [`ones`], combining strings in [`combine`], integers of any width
//! in [`field`]. What runs over megabytes works on words or vectors; where an instruction set is chosen at run time,
//! the plain path stands beside it and tests hold both against each other.

pub(crate) mod combine;
pub(crate) mod field;
pub(crate) mod ones;

use std::ops::Range;

/// The bit at `offset`.
#[inline]
pub(crate) fn get(bytes: &[u8], offset: u64) -> bool {
    let byte = usize::try_from(offset / 8)
        .ok()
        .and_then(|at| bytes.get(at));
    byte.is_some_and(|byte| byte & mask(offset) != 0)
}

/// Sets the bit at `offset`, which must lie within the string.
#[inline]
pub(crate) fn set(bytes: &mut [u8], offset: u64, on: bool) {
    let byte = &mut bytes[(offset / 8) as usize];
    if on {
        *byte |= mask(offset);
    } else {
        *byte &= !mask(offset);
    }
}

#[inline]
fn mask(offset: u64) -> u8 {
    0x80 >> (offset % 8)
}

/// How many bits of the range are 1. The range must lie within the string.
pub fn count(bytes: &[u8], bits: Range<u64>) -> u64 {
    if bits.is_empty() {
        return 0;
    }
    let (first, last) = ((bits.start / 8) as usize, ((bits.end - 1) / 8) as usize);
    let all = ones::count(&bytes[first..=last]);
    let before = bytes[first] & !head_mask(bits.start);
    let behind = bytes[last] & !tail_mask(bits.end);
    all - u64::from(before.count_ones()) - u64::from(behind.count_ones())
}

/// The first bit of the range that is `on`. The range must lie within the string.
pub(crate) fn first(bytes: &[u8], bits: Range<u64>, on: bool) -> Option<u64> {
    if bits.is_empty() {
        return None;
    }
    // Looking for a 0 is looking for a 1 in the complement.
    let flip = if on { 0 } else { 0xff };
    let (first, last) = ((bits.start / 8) as usize, ((bits.end - 1) / 8) as usize);
    let found =
        |at: usize, byte: u8| (byte != 0).then(|| 8 * at as u64 + u64::from(byte.leading_zeros()));
    let mut head = (bytes[first] ^ flip) & head_mask(bits.start);
    if first == last {
        head &= tail_mask(bits.end);
    }
    if head != 0 || first == last {
        return found(first, head);
    }
    let between = &bytes[first + 1..last];
    if let Some(at) = first_unlike(between, flip) {
        return found(first + 1 + at, between[at] ^ flip);
    }
    found(last, (bytes[last] ^ flip) & tail_mask(bits.end))
}

/// The bits of a byte from the range's start on.
fn head_mask(start: u64) -> u8 {
    0xff >> (start % 8)
}

/// The bits of a byte before the range's end.
fn tail_mask(end: u64) -> u8 {
    !(0x7f >> ((end - 1) % 8))
}

/// Where the first byte is that differs from `byte`.
fn first_unlike(bytes: &[u8], byte: u8) -> Option<usize> {
    const STRIDE: usize = 64;
    let same = u64::from_ne_bytes([byte; 8]);
    let strides = bytes.chunks_exact(STRIDE);
    let skipped = strides.take_while(|stride| {
        let (words, _) = stride.as_chunks::<8>();
        let differences = words.iter().map(|word| u64::from_ne_bytes(*word) ^ same);
        differences.fold(0, |all, one| all | one) == 0
    });
    let from = STRIDE * skipped.count();
    let at = bytes[from..].iter().position(|other| *other != byte)?;
    Some(from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(rng: &mut fastrand::Rng, len: usize) -> Vec<u8> {
        // Long runs of equal bytes, so that searches have something to skip.
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let byte = [0, 0xff, rng.u8(..)][rng.usize(..3)];
            let run = rng.usize(1..100).min(len - bytes.len());
            bytes.resize(bytes.len() + run, byte);
        }
        bytes
    }

    #[test]
    fn single_bits() {
        let mut bytes = [0b1000_0001, 0];
        let ones = |bytes: &[u8]| (0..20).filter(|at| get(bytes, *at)).collect::<Vec<_>>();
        assert_eq!(ones(&bytes), [0, 7]);
        set(&mut bytes, 9, true);
        set(&mut bytes, 0, false);
        assert_eq!(ones(&bytes), [7, 9]);
        assert!(!get(&bytes, u64::MAX));
    }

    #[test]
    fn ranges_are_counted_and_searched_as_bit_by_bit() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..2000 {
            let len = rng.usize(1..400);
            let bytes = random(&mut rng, len);
            let end = rng.u64(0..=8 * len as u64);
            let bits = rng.u64(0..=end)..end;
            let want = bits.clone().filter(|at| get(&bytes, *at)).count() as u64;
            assert_eq!(count(&bytes, bits.clone()), want, "{bits:?} of {bytes:?}");
            for on in [false, true] {
                let want = bits.clone().find(|at| get(&bytes, *at) == on);
                let got = first(&bytes, bits.clone(), on);
                assert_eq!(got, want, "{on} in {bits:?} of {bytes:?}");
            }
        }
    }
}
