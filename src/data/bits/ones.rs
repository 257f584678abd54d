//! How many bits of a string are 1.
//!
//! With AVX2 (Muła, Kurz, Lemire: "Faster population counts using AVX2 instructions", 2016) each byte's two halves
//! are looked up in a table of 16 counts; the counts are summed bytewise for as long as a byte holds the sum. The
//! plain path leaves it to the compiler, by words.

/// Strings shorter than this are counted by words, bytes.
#[cfg(target_arch = "x86_64")]
const VECTORS_FROM: usize = 256;

/// How many bits are 1.
#[inline]
pub(crate) fn count(bytes: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= VECTORS_FROM && is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { count_avx2(bytes) };
    }
    count_plain(bytes)
}

fn count_plain(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let ones = |word: &[u8; 8]| u64::from(u64::from_ne_bytes(*word).count_ones());
    let in_words: u64 = words.iter().map(ones).sum();
    let in_rest: u32 = rest.iter().map(|byte| byte.count_ones()).sum();
    in_words + u64::from(in_rest)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn count_avx2(bytes: &[u8]) -> u64 {
    use std::arch::x86_64::*;

    /// Vectors whose bytewise counts, at most 8 each, a byte holds.
    const BLOCK: usize = 16;

    let halves = _mm256_setr_epi8(
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, //
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
    );
    let low = _mm256_set1_epi8(0x0f);
    let mut sums = _mm256_setzero_si256();
    let (blocks, rest) = bytes.as_chunks::<{ 32 * BLOCK }>();
    for block in blocks {
        let mut counts = _mm256_setzero_si256();
        for vector in block.as_chunks::<32>().0 {
            // SAFETY: 32 bytes are read where 32 are; the load needs no alignment.
            let vector = unsafe { _mm256_loadu_si256(vector.as_ptr().cast()) };
            let lower = _mm256_and_si256(vector, low);
            let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(vector), low);
            counts = _mm256_add_epi8(counts, _mm256_shuffle_epi8(halves, lower));
            counts = _mm256_add_epi8(counts, _mm256_shuffle_epi8(halves, upper));
        }
        let eights = _mm256_sad_epu8(counts, _mm256_setzero_si256());
        sums = _mm256_add_epi64(sums, eights);
    }
    let lanes = [
        _mm256_extract_epi64::<0>(sums),
        _mm256_extract_epi64::<1>(sums),
        _mm256_extract_epi64::<2>(sums),
        _mm256_extract_epi64::<3>(sums),
    ];
    lanes.iter().map(|lane| *lane as u64).sum::<u64>() + count_plain(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_count_alike() {
        let mut rng = fastrand::Rng::with_seed(1);
        for len in (0..1200).chain([4096, 100_000]) {
            let mut bytes = vec![0xff; len];
            if len % 3 > 0 {
                bytes.fill_with(|| rng.u8(..));
            }
            let want: u64 = bytes.iter().map(|b| u64::from(b.count_ones())).sum();
            assert_eq!(count(&bytes), want, "{len}");
            assert_eq!(count_plain(&bytes), want, "{len}");
        }
    }
}
