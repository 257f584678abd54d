//! LZF, the compression of strings in dumps.
//!
//! A stream of literals (control byte 0..=31, then that many bytes and one more) and copies (three bits of
//! length, thirteen of distance, an extra length byte for the value 7). Both directions are our own: the
//! crate at hand clears a quarter of a megabyte for every string it compresses and reads byte by byte,
//! while a dump of millions of short strings tries each of them.
//!
//! [`Compressor`] keeps its table of recent positions from one call to the next: positions are counted on
//! from call to call, so whatever an earlier input left behind is older than the current input and thereby
//! void. It gives up as soon as the output cannot be small enough, and takes longer strides the longer it
//! finds nothing, so that incompressible strings cost little.

/// Slots of the largest table; copies reach back 8 KB at most, so more would not find more.
const TABLE_BITS_MAX: u32 = 13;
const TABLE_BITS_MIN: u32 = 8;
const MAX_DISTANCE: usize = 1 << 13;
const MAX_COPY: usize = 264;
const MAX_LITERALS: usize = 32;
/// After this many misses (as a power of two) strides grow by one.
const STRIDE_SHIFT: u32 = 5;

/// Compresses; reusable, 32 KB.
pub struct Compressor {
    /// Absolute positions, `base` and up for the current input.
    table: Box<[u32]>,
    base: u32,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

impl Default for Compressor {
    fn default() -> Self {
        Compressor::new()
    }
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at + 4)
        .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

impl Compressor {
    pub fn new() -> Compressor {
        Compressor {
            table: vec![0; 1 << TABLE_BITS_MAX].into_boxed_slice(),
            base: 1,
        }
    }

    /// Appends the compressed form of `input` to `out` if it takes at most `limit` bytes. Otherwise leaves
    /// `out` as it was and says false.
    pub fn compress(&mut self, input: &[u8], out: &mut Vec<u8>, limit: usize) -> bool {
        let start = out.len();
        if self.run(input, out, start + limit) {
            true
        } else {
            out.truncate(start);
            false
        }
    }

    fn run(&mut self, input: &[u8], out: &mut Vec<u8>, end: usize) -> bool {
        // An input so large that positions would wrap is cut by no caller: strings are at most 512 MB by
        // default, and the table restarts before the counter can overflow.
        let Ok(length) = u32::try_from(input.len()) else {
            return false;
        };
        if length >= 1 << 31 {
            return false;
        }
        if u32::MAX - self.base <= length {
            self.table.fill(0);
            self.base = 1;
        }
        let base = self.base;
        self.base += length;

        // A short input uses a small part of the table: what it touches stays in the first-level cache.
        let bits =
            (usize::BITS - input.len().leading_zeros() + 1).clamp(TABLE_BITS_MIN, TABLE_BITS_MAX);
        let table = &mut self.table[..1 << bits];
        let shift = 32 - bits;

        let mut literals = 0;
        let mut at = 0;
        let mut misses = 0u32;
        while let Some(word) = read_u32(input, at) {
            // Three bytes make a match.
            let three = word << 8;
            let slot = (three.wrapping_mul(0x9e37_79b1) >> shift) as usize;
            let candidate = table[slot];
            table[slot] = base + at as u32;
            if candidate >= base {
                let from = (candidate - base) as usize;
                let distance = at - from;
                if distance <= MAX_DISTANCE
                    && read_u32(input, from).is_some_and(|w| w << 8 == three)
                {
                    let length = match_length(input, from, at);
                    if !put_literals(out, &input[literals..at], end)
                        || !put_copy(out, distance - 1, length, end)
                    {
                        return false;
                    }
                    at += length;
                    literals = at;
                    misses = 0;
                    // One position inside the copy keeps runs findable at a fraction of the cost of all.
                    if let Some(word) = read_u32(input, at - 2) {
                        let slot = ((word << 8).wrapping_mul(0x9e37_79b1) >> shift) as usize;
                        table[slot] = base + (at - 2) as u32;
                    }
                    continue;
                }
            }
            at += 1 + (misses >> STRIDE_SHIFT) as usize;
            misses += 1;
            // What stays literal costs at least its own length.
            if out.len() + (at - literals) > end {
                return false;
            }
        }
        put_literals(out, &input[literals..], end)
    }
}

/// How far the bytes at `from` and `at` agree, at least 3 and at most a copy's length.
fn match_length(input: &[u8], from: usize, at: usize) -> usize {
    let most = (input.len() - at).min(MAX_COPY);
    let mut length = 3;
    while length + 8 <= most {
        let a = &input[from + length..from + length + 8];
        let b = &input[at + length..at + length + 8];
        let differ = u64::from_le_bytes(a.try_into().unwrap_or_default())
            ^ u64::from_le_bytes(b.try_into().unwrap_or_default());
        if differ != 0 {
            return length + (differ.trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    while length < most && input[from + length] == input[at + length] {
        length += 1;
    }
    length
}

fn put_literals(out: &mut Vec<u8>, literals: &[u8], end: usize) -> bool {
    if out.len() + literals.len() + literals.len().div_ceil(MAX_LITERALS) > end {
        return false;
    }
    for run in literals.chunks(MAX_LITERALS) {
        out.push((run.len() - 1) as u8);
        out.extend_from_slice(run);
    }
    true
}

fn put_copy(out: &mut Vec<u8>, offset: usize, length: usize, end: usize) -> bool {
    let length = length - 2;
    let high = (offset >> 8) as u8;
    if length < 7 {
        if out.len() + 2 > end {
            return false;
        }
        out.push((length as u8) << 5 | high);
    } else {
        if out.len() + 3 > end {
            return false;
        }
        out.push(7 << 5 | high);
        out.push((length - 7) as u8);
    }
    out.push(offset as u8);
    true
}

/// Appends exactly `length` decompressed bytes to `out`. If the input is malformed or makes another length,
/// says false and leaves `out` as it was.
pub fn decompress(input: &[u8], length: usize, out: &mut Vec<u8>) -> bool {
    // A byte of input makes at most 88 bytes of output, so a false length cannot ask for much memory.
    if length / 88 > input.len() {
        return false;
    }
    let start = out.len();
    out.resize(start + length, 0);
    let good = expand(input, &mut out[start..]).is_some();
    if !good {
        out.truncate(start);
    }
    good
}

/// Runs and copies up to this length are moved as one block where there is room for a whole one: what is
/// written too far is written again by what follows.
const BLOCK: usize = 16;

/// Fills `out` exactly; None if the input doesn't.
fn expand(input: &[u8], out: &mut [u8]) -> Option<()> {
    let mut read = 0;
    let mut made = 0;
    while let Some(&control) = input.get(read) {
        read += 1;
        let control = usize::from(control);
        if control < MAX_LITERALS {
            let run = control + 1;
            if run <= BLOCK && read + BLOCK <= input.len() && made + BLOCK <= out.len() {
                out[made..made + BLOCK].copy_from_slice(&input[read..read + BLOCK]);
            } else {
                out.get_mut(made..made + run)?
                    .copy_from_slice(input.get(read..read + run)?);
            }
            read += run;
            made += run;
        } else {
            let mut count = (control >> 5) + 2;
            if count == 9 {
                count += usize::from(*input.get(read)?);
                read += 1;
            }
            let low = usize::from(*input.get(read)?);
            read += 1;
            let distance = ((control & 31) << 8 | low) + 1;
            let from = made.checked_sub(distance)?;
            if made + count > out.len() {
                return None;
            }
            if count <= BLOCK && distance >= BLOCK && made + BLOCK <= out.len() {
                out.copy_within(from..from + BLOCK, made);
            } else if distance >= count {
                out.copy_within(from..from + count, made);
            } else {
                // The copy overlaps itself: it repeats the last `distance` bytes, which double with every
                // round.
                let mut done = 0;
                while done < count {
                    let part = (distance + done).min(count - done);
                    out.copy_within(from..from + part, made + done);
                    done += part;
                }
            }
            made += count;
        }
    }
    (made == out.len()).then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round(input: &[u8]) -> Option<usize> {
        let mut packed = vec![7];
        if !Compressor::new().compress(input, &mut packed, input.len() + input.len() / 16 + 2) {
            return None;
        }
        let mut out = b"before".to_vec();
        assert!(decompress(&packed[1..], input.len(), &mut out));
        assert_eq!(&out[6..], input);
        // The crate that follows the reference implementation reads ours.
        assert_eq!(
            lzf_rust::decompress_into_vec(&packed[1..], input.len()).unwrap(),
            input
        );
        Some(packed.len() - 1)
    }

    #[test]
    fn shapes() {
        for input in [
            &b""[..],
            b"a",
            b"abcabcabcabc",
            &[0; 10_000],
            &b"0123456789abcdef".repeat(999),
        ] {
            assert!(round(input).is_some());
        }
        assert!(round(&[b'x'; 100_000]).unwrap() < 1500);
        let words = b"field1 value1 field2 value2 field3 value3 field4 value4";
        assert!(round(words).unwrap() < 40);
    }

    #[test]
    fn far_apart_repeats_are_not_copied_from_beyond_reach() {
        let mut input = b"needle in a haystack".to_vec();
        input.extend((0..9000u32).flat_map(|i| (i.wrapping_mul(2_654_435_761)).to_le_bytes()));
        input.extend_from_slice(b"needle in a haystack");
        round(&input);
    }

    #[test]
    fn gives_up_within_the_limit() {
        let random: Vec<u8> = (0..100u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let mut out = vec![1, 2, 3];
        assert!(!Compressor::new().compress(&random, &mut out, 96));
        assert_eq!(out, [1, 2, 3]);
        for limit in 0..40 {
            let mut out = Vec::new();
            if Compressor::new().compress(&b"abc".repeat(100), &mut out, limit) {
                assert!(out.len() <= limit);
            } else {
                assert!(out.is_empty());
            }
        }
    }

    #[test]
    fn reads_the_reference_form() {
        for input in [&b"abcabcabcabcabcabc"[..], &[5; 5000], b"no repeats here"] {
            let mut packed = vec![0; lzf_rust::max_compressed_size(input.len())];
            let n = lzf_rust::compress(input, &mut packed).unwrap();
            let mut out = Vec::new();
            assert!(decompress(&packed[..n], input.len(), &mut out));
            assert_eq!(out, input);
        }
    }

    #[test]
    fn malformed_input_is_refused() {
        let mut out = Vec::new();
        for (packed, length) in [
            (&[5, 1, 2][..], 6),    // literals cut short
            (&[0, 1, 0x20], 4),     // no distance byte
            (&[0, 1, 0xe0, 1], 10), // no distance byte after the long length
            (&[0x20, 0], 3),        // reaches before the start
            (&[0, 1, 0x20, 1], 4),  // one too far back
            (&[0, 1], 2),           // too short
            (&[1, 1, 2], 1),        // too long
            (&[0, 1], usize::MAX),  // absurd
            (&[], 1 << 40),
        ] {
            out.clear();
            assert!(!decompress(packed, length, &mut out), "{packed:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn round_trip(parts in proptest::collection::vec((any::<u8>(), 1..40usize, 0..4u8), 0..200)) {
            let mut input = Vec::new();
            for (byte, count, kind) in parts {
                match kind {
                    0 => input.extend(std::iter::repeat_n(byte, count)),
                    1 => input.extend((0..count).map(|i| byte.wrapping_mul(i as u8))),
                    _ => {
                        let from = usize::from(byte).min(input.len());
                        let to = (from + count).min(input.len());
                        input.extend_from_within(from..to);
                    }
                }
            }
            round(&input);
            // One compressor for several inputs gives no stale matches.
            let mut compressor = Compressor::new();
            for part in input.chunks(97) {
                let mut packed = Vec::new();
                if compressor.compress(part, &mut packed, 200) {
                    let mut out = Vec::new();
                    prop_assert!(decompress(&packed, part.len(), &mut out));
                    prop_assert_eq!(&out[..], part);
                }
            }
        }

        #[test]
        fn hostile_input_never_panics(packed in proptest::collection::vec(any::<u8>(), 0..300), length in 0..5000usize) {
            let mut out = Vec::new();
            let ours = decompress(&packed, length, &mut out);
            prop_assert!(out.len() <= length);
            if ours {
                prop_assert_eq!(lzf_rust::decompress_into_vec(&packed, length).unwrap(), out);
            }
        }
    }
}
