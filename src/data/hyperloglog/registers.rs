//! Registers as bytes, and packed into 6 bits each, lowest bits first (the dense encoding).
//!
//! Four registers are three bytes. The vector paths take 32 at a time: twelve bytes in each half of a vector are spread
//! to four words, whose registers are shifted to their bytes, and the reverse.

/// Bits of the hash that choose the register.
pub(super) const REGISTER_BITS: u32 = 14;
pub(crate) const REGISTERS: usize = 1 << REGISTER_BITS;
const BITS: usize = 6;
const VALUE_MASK: u8 = (1 << BITS) - 1;
/// Bytes of the packed registers.
pub(super) const DENSE_BYTES: usize = REGISTERS * BITS / 8;

/// A byte for each register.
pub(crate) type Registers = [u8; REGISTERS];

/// One of the packed registers.
#[inline]
pub(crate) fn get(packed: &[u8], register: usize) -> u8 {
    let (at, shift) = (register * BITS / 8, register * BITS % 8);
    let above = packed.get(at + 1).copied().unwrap_or(0);
    let both = u16::from_le_bytes([packed[at], above]);
    (both >> shift) as u8 & VALUE_MASK
}

/// Raises one of the packed registers. True if it was lower.
#[inline]
pub(super) fn raise(packed: &mut [u8], register: usize, value: u8) -> bool {
    if get(packed, register) >= value {
        return false;
    }
    let (at, shift) = (register * BITS / 8, register * BITS % 8);
    let mask = u16::from(VALUE_MASK) << shift;
    let value = u16::from(value & VALUE_MASK) << shift;
    let [mask_low, mask_above] = mask.to_le_bytes();
    let [low, above] = value.to_le_bytes();
    packed[at] = packed[at] & !mask_low | low;
    if mask_above != 0 {
        packed[at + 1] = packed[at + 1] & !mask_above | above;
    }
    true
}

/// Raises registers to the packed ones, of which there are as many.
pub(super) fn merge(into: &mut Registers, packed: &[u8]) {
    let packed: &[u8; DENSE_BYTES] = packed.try_into().expect("a dense sketch has its length");
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { avx2::merge(into, packed) };
    }
    merge_plain(into, packed);
}

fn merge_plain(into: &mut Registers, packed: &[u8; DENSE_BYTES]) {
    let (fours, _) = into.as_chunks_mut::<4>();
    for (registers, three) in fours.iter_mut().zip(packed.as_chunks::<3>().0) {
        let all = u32::from_le_bytes([three[0], three[1], three[2], 0]);
        for (index, register) in registers.iter_mut().enumerate() {
            *register = (*register).max((all >> (BITS * index)) as u8 & VALUE_MASK);
        }
    }
}

/// Packs registers.
pub(super) fn pack(registers: &Registers, packed: &mut [u8]) {
    let packed: &mut [u8; DENSE_BYTES] = packed.try_into().expect("a dense sketch has its length");
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { avx2::pack(registers, packed) };
    }
    pack_plain(registers, packed);
}

fn pack_plain(registers: &Registers, packed: &mut [u8; DENSE_BYTES]) {
    let (threes, _) = packed.as_chunks_mut::<3>();
    for (three, four) in threes.iter_mut().zip(registers.as_chunks::<4>().0) {
        let mut all = 0;
        for (index, register) in four.iter().enumerate() {
            all |= u32::from(register & VALUE_MASK) << (BITS * index);
        }
        three.copy_from_slice(&all.to_le_bytes()[..3]);
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{DENSE_BYTES, Registers};

    /// The place of each of a word's four registers, as a byte's and packed.
    const BYTES: [i32; 4] = [0x3f, 0x3f00, 0x3f_0000, 0x3f00_0000];
    const PACKED: [i32; 4] = [0x3f, 0xfc0, 0x3_f000, 0xfc_0000];

    #[target_feature(enable = "avx2")]
    pub(super) fn merge(into: &mut Registers, packed: &[u8; DENSE_BYTES]) {
        // Three bytes of each group of four registers into a word. The upper half is loaded from four bytes before its
        // own, so that nothing is read past the end.
        let spread = _mm256_setr_epi8(
            0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1, //
            4, 5, 6, -1, 7, 8, 9, -1, 10, 11, 12, -1, 13, 14, 15, -1,
        );
        let bytes = BYTES.map(|mask| _mm256_set1_epi32(mask));
        let (pieces, _) = into.as_chunks_mut::<32>();
        for (registers, packed) in pieces.iter_mut().zip(packed.as_chunks::<24>().0) {
            // SAFETY: 16 bytes from the first and from the ninth of 24 are there; no alignment is needed.
            let (low, high) = unsafe {
                (
                    _mm_loadu_si128(packed.as_ptr().cast()),
                    _mm_loadu_si128(packed.as_ptr().add(8).cast()),
                )
            };
            let words = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), spread);
            let first = _mm256_and_si256(words, bytes[0]);
            let second = _mm256_and_si256(_mm256_slli_epi32::<2>(words), bytes[1]);
            let third = _mm256_and_si256(_mm256_slli_epi32::<4>(words), bytes[2]);
            let fourth = _mm256_and_si256(_mm256_slli_epi32::<6>(words), bytes[3]);
            let values = _mm256_or_si256(
                _mm256_or_si256(first, second),
                _mm256_or_si256(third, fourth),
            );
            let at = registers.as_mut_ptr().cast::<__m256i>();
            // SAFETY: 32 registers are there; no alignment is needed.
            unsafe { _mm256_storeu_si256(at, _mm256_max_epu8(_mm256_loadu_si256(at), values)) };
        }
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn pack(registers: &Registers, packed: &mut [u8; DENSE_BYTES]) {
        let gather = _mm256_setr_epi8(
            0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1, //
            0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1,
        );
        let places = PACKED.map(|mask| _mm256_set1_epi32(mask));
        let (pieces, _) = packed.as_chunks_mut::<24>();
        for (packed, registers) in pieces.iter_mut().zip(registers.as_chunks::<32>().0) {
            // SAFETY: 32 registers are there; no alignment is needed.
            let words = unsafe { _mm256_loadu_si256(registers.as_ptr().cast()) };
            let first = _mm256_and_si256(words, places[0]);
            let second = _mm256_and_si256(_mm256_srli_epi32::<2>(words), places[1]);
            let third = _mm256_and_si256(_mm256_srli_epi32::<4>(words), places[2]);
            let fourth = _mm256_and_si256(_mm256_srli_epi32::<6>(words), places[3]);
            let values = _mm256_or_si256(
                _mm256_or_si256(first, second),
                _mm256_or_si256(third, fourth),
            );
            let mut both = [0u8; 32];
            // SAFETY: there is room for 32 bytes; no alignment is needed.
            unsafe {
                _mm256_storeu_si256(
                    both.as_mut_ptr().cast(),
                    _mm256_shuffle_epi8(values, gather),
                );
            }
            packed[..12].copy_from_slice(&both[..12]);
            packed[12..].copy_from_slice(&both[16..28]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(rng: &mut fastrand::Rng) -> Registers {
        std::array::from_fn(|_| rng.u8(..=VALUE_MASK))
    }

    #[test]
    fn packed_registers_are_the_same_by_every_way() {
        let mut rng = fastrand::Rng::with_seed(2);
        for _ in 0..20 {
            let (a, b) = (random(&mut rng), random(&mut rng));
            let mut packed = [0; DENSE_BYTES];
            pack(&a, &mut packed);
            let mut plain = [0; DENSE_BYTES];
            pack_plain(&a, &mut plain);
            assert!(packed == plain);
            let mut one_by_one = [0; DENSE_BYTES];
            for (register, value) in a.iter().enumerate() {
                assert_eq!(raise(&mut one_by_one, register, *value), *value > 0);
                assert_eq!(get(&packed, register), *value);
            }
            assert!(packed == one_by_one);
            let (mut merged, mut merged_plain) = (b, b);
            merge(&mut merged, &packed);
            merge_plain(&mut merged_plain, &packed);
            assert!(merged == merged_plain);
            assert!((0..REGISTERS).all(|at| merged[at] == a[at].max(b[at])));
        }
    }
}
