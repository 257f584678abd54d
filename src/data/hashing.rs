//! The hash of members and fields in large collections: quick, good in all 64 bits, and seeded.

use std::hash::Hasher;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

static SHARED: SharedSeed = SharedSeed::from_u64(0x0BAD_5EED_CAFE);

/// Hashes bytes under a seed (see [`Encodings::hash_seed`](super::Encodings::hash_seed)).
#[inline]
pub(crate) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut hasher = FoldHasher::with_seed(seed, &SHARED);
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::hash;

    #[test]
    fn both_ends_of_the_hash_are_good() {
        let mut top = [0u32; 64];
        let mut low = [0u32; 256];
        for n in 0..64_000u32 {
            let h = hash(7, format!("member:{n}").as_bytes());
            top[(h >> 58) as usize] += 1;
            low[(h & 255) as usize] += 1;
        }
        assert!(top.iter().all(|&n| (800..1200).contains(&n)));
        assert!(low.iter().all(|&n| (150..350).contains(&n)));
        assert_ne!(hash(1, b"x"), hash(2, b"x"));
    }
}
