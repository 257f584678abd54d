//! HyperLogLogs: strings that estimate how many different elements were added, byte for byte as Redis keeps them.
//!
//! 2^14 registers hold the longest run of zero bits seen in the hashes that chose them. In front of them stand 16 bytes:
//! "HYLL", the encoding, three unused, and the last estimate (little-endian), whose top bit says that it holds no more.
//! *Dense* are 6 bits for each register ([`registers`]), *sparse* runs of equal registers ([`sparse`]). A sketch begins
//! sparse and becomes dense when a register or the string grows too large for that.
//!
//! The functions work on the strings where they are. Which bytes come out is part of the contract: replicas of either
//! make hold the same string after the same commands.

mod element;
mod estimate;
pub(crate) mod registers;
pub(crate) mod self_test;
pub(crate) mod sparse;

pub use element::Element;
use estimate::Histogram;
use registers::{DENSE_BYTES, REGISTERS, Registers};
use sparse::{Cursor, Raised};

const MAGIC: &[u8] = b"HYLL";
pub(crate) const HEADER: usize = 16;
const ENCODING_AT: usize = 4;
const CACHE_AT: usize = 8;
/// In the cached estimate's last byte: it holds no more.
const STALE: u8 = 0x80;

/// How the registers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Dense,
    Sparse,
}

/// A sparse sketch whose runs are not exactly all registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// An empty sketch.
pub fn empty() -> Vec<u8> {
    let mut sketch = vec![0; HEADER];
    sketch[..MAGIC.len()].copy_from_slice(MAGIC);
    sketch[ENCODING_AT] = 1;
    sparse::put_zeros(&mut sketch, REGISTERS);
    sketch
}

/// How a string keeps its registers; None: it is no sketch.
pub fn encoding(string: &[u8]) -> Option<Encoding> {
    if string.len() < HEADER || !string.starts_with(MAGIC) {
        return None;
    }
    match string[ENCODING_AT] {
        0 if string.len() == HEADER + DENSE_BYTES => Some(Encoding::Dense),
        1 => Some(Encoding::Sparse),
        _ => None,
    }
}

/// The last estimate, if nothing has changed since.
pub(crate) fn cached(sketch: &[u8]) -> Option<u64> {
    let bytes = sketch.get(CACHE_AT..HEADER)?.try_into().ok()?;
    let is_stale = sketch[HEADER - 1] & STALE != 0;
    (!is_stale).then(|| u64::from_le_bytes(bytes))
}

/// Keeps an estimate.
pub(crate) fn set_cached(sketch: &mut [u8], estimate: u64) {
    sketch[CACHE_AT..HEADER].copy_from_slice(&estimate.to_le_bytes());
}

/// The estimate holds no more.
pub(crate) fn forget_cached(sketch: &mut [u8]) {
    sketch[HEADER - 1] |= STALE;
}

/// How many different elements were added, about.
pub fn estimate(sketch: &[u8]) -> Result<u64, Corrupt> {
    let mut histogram = Histogram::default();
    match encoding(sketch) {
        Some(Encoding::Dense) => {
            let mut all = [0; REGISTERS];
            registers::merge(&mut all, &sketch[HEADER..]);
            histogram.add_all(&all);
        }
        _ => {
            let mut count = 0;
            for run in sparse::runs(&sketch[HEADER..]) {
                histogram.add(run.value, run.len);
                count += run.len;
            }
            if count != REGISTERS {
                return Err(Corrupt);
            }
        }
    }
    Ok(histogram.estimate())
}

/// How many different elements registers have seen, about.
pub(crate) fn estimate_of(registers: &Registers) -> u64 {
    let mut histogram = Histogram::default();
    histogram.add_all(registers);
    histogram.estimate()
}

/// What adding elements came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Elements that changed something.
    pub changed: usize,
    /// Elements that were taken in: all, or those before the one at which the sketch was found to be corrupt.
    pub taken: usize,
}

/// Takes the elements in, the sketch staying sparse up to `sparse_max` bytes.
pub fn add(sketch: &mut Vec<u8>, elements: &[Element], sparse_max: usize) -> Added {
    let mut added = Added::default();
    for element in elements {
        let mut cursor = Cursor::default();
        match raise(sketch, &mut cursor, *element, sparse_max) {
            Ok(raised) => added.changed += usize::from(raised),
            Err(Corrupt) => break,
        }
        added.taken += 1;
    }
    added
}

/// Takes the elements into a dense sketch. How many changed something.
pub(crate) fn add_dense(dense: &mut [u8], elements: &[Element]) -> usize {
    let packed = &mut dense[HEADER..];
    let raised = |element: &&Element| registers::raise(packed, element.register(), element.rank());
    let changed = elements.iter().filter(raised).count();
    if changed > 0 {
        forget_cached(dense);
    }
    changed
}

/// Whether an element would change a dense sketch.
pub(crate) fn would_change(dense: &[u8], element: Element) -> bool {
    registers::get(&dense[HEADER..], element.register()) < element.rank()
}

/// Raises one register. True if it was lower.
fn raise(
    sketch: &mut Vec<u8>,
    cursor: &mut Cursor,
    element: Element,
    sparse_max: usize,
) -> Result<bool, Corrupt> {
    if encoding(sketch) == Some(Encoding::Sparse) {
        match sparse::raise(sketch, cursor, element, sparse_max)? {
            Raised::Yes => return Ok(true),
            Raised::No => return Ok(false),
            Raised::NoRoom => to_dense(sketch)?,
        };
    }
    let dense = &mut sketch[HEADER..];
    Ok(registers::raise(dense, element.register(), element.rank()))
}

/// Makes a sparse sketch dense. False if it is.
pub fn to_dense(sketch: &mut Vec<u8>) -> Result<bool, Corrupt> {
    if encoding(sketch) == Some(Encoding::Dense) {
        return Ok(false);
    }
    let mut all = [0; REGISTERS];
    sparse::merge(&mut all, &sketch[HEADER..])?;
    write_dense(sketch, &all);
    Ok(true)
}

/// Puts registers in place of what the sketch had.
fn write_dense(sketch: &mut Vec<u8>, all: &Registers) {
    sketch[ENCODING_AT] = 0;
    sketch.resize(HEADER + DENSE_BYTES, 0);
    registers::pack(all, &mut sketch[HEADER..]);
}

/// Raises registers to those of a sketch.
pub fn merge(into: &mut Registers, sketch: &[u8]) -> Result<(), Corrupt> {
    match encoding(sketch) {
        Some(Encoding::Dense) => {
            registers::merge(into, &sketch[HEADER..]);
            Ok(())
        }
        _ => sparse::merge(into, &sketch[HEADER..]),
    }
}

/// Raises a sketch's registers to those given, which are none of them lower than its own. `dense`: it becomes dense
/// whether it must or not.
pub fn merge_back(
    sketch: &mut Vec<u8>,
    all: &Registers,
    dense: bool,
    sparse_max: usize,
) -> Result<(), Corrupt> {
    if dense || encoding(sketch) == Some(Encoding::Dense) {
        write_dense(sketch, all);
    } else {
        let mut cursor = Cursor::default();
        for (register, rank) in all.iter().enumerate().filter(|(_, rank)| **rank > 0) {
            let element = Element::new(register, *rank);
            raise(sketch, &mut cursor, element, sparse_max)?;
        }
    }
    forget_cached(sketch);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(range: std::ops::Range<u32>) -> Vec<Element> {
        range.map(|n| Element::of(&n.to_le_bytes())).collect()
    }

    /// A sketch of these, and how many of them changed it.
    fn sketch(range: std::ops::Range<u32>, sparse_max: usize) -> Vec<u8> {
        let mut sketch = empty();
        let elements = elements(range);
        let added = add(&mut sketch, &elements, sparse_max);
        assert_eq!(added.taken, elements.len());
        sketch
    }

    #[test]
    fn sparse_and_dense_say_the_same() {
        for count in [0, 1, 5, 100, 1000, 5000, 100_000] {
            let sparse = sketch(0..count, usize::MAX);
            let dense = sketch(0..count, 0);
            let usual = sketch(0..count, 3000);
            let estimates = [&sparse, &dense, &usual].map(|sketch| estimate(sketch));
            assert_eq!(estimates, [estimates[0]; 3], "{count}");
            let error = estimates[0].map(|n| n.abs_diff(count.into()));
            assert!(
                error.is_ok_and(|error| error <= u64::from(count) / 20),
                "{count}: {error:?}"
            );
            let mut converted = sparse.clone();
            to_dense(&mut converted).expect("a whole sketch");
            if count > 0 {
                assert!(converted == dense, "{count}");
            }
        }
    }

    #[test]
    fn merging_is_adding_all() {
        for (sparse_max, count) in [(3000, 300), (3000, 40_000), (0, 300)] {
            let parts = [
                sketch(0..2 * count, sparse_max),
                sketch(count..3 * count, sparse_max),
            ];
            let mut all = [0; REGISTERS];
            parts
                .iter()
                .for_each(|part| merge(&mut all, part).expect("a whole sketch"));
            let want = sketch(0..3 * count, sparse_max);
            assert_eq!(Ok(estimate_of(&all)), estimate(&want));
            let dense = parts
                .iter()
                .any(|part| encoding(part) == Some(Encoding::Dense));
            let mut into = parts[0].clone();
            merge_back(&mut into, &all, dense, sparse_max).expect("a whole sketch");
            assert_eq!(estimate(&into), estimate(&want));
            assert_eq!(cached(&into), None);
        }
    }

    #[test]
    fn what_is_no_sketch_is_seen() {
        let whole = sketch(0..100, 3000);
        assert_eq!(encoding(&whole), Some(Encoding::Sparse));
        assert_eq!(encoding(&whole[..HEADER - 1]), None);
        let spoiled = |at: usize, byte: u8| {
            let mut sketch = whole.clone();
            sketch[at] = byte;
            encoding(&sketch)
        };
        assert_eq!(spoiled(0, b'h'), None);
        assert_eq!(spoiled(ENCODING_AT, 2), None);
        // Dense, but of another length.
        assert_eq!(spoiled(ENCODING_AT, 0), None);
    }

    #[test]
    fn corrupt_runs_are_errors_and_never_worse() {
        let mut rng = fastrand::Rng::with_seed(11);
        let whole = sketch(0..400, 3000);
        for _ in 0..20_000 {
            let mut bad = whole.clone();
            for _ in 0..rng.usize(1..4) {
                let at = rng.usize(HEADER..bad.len());
                bad[at] = rng.u8(..);
            }
            bad.truncate(rng.usize(HEADER..=bad.len()));
            let is_whole = sparse::runs(&bad[HEADER..])
                .map(|run| run.len)
                .sum::<usize>()
                == REGISTERS;
            assert_eq!(estimate(&bad).is_ok(), is_whole);
            let mut all = [0; REGISTERS];
            assert_eq!(merge(&mut all, &bad).is_ok(), is_whole);
            assert_eq!(to_dense(&mut bad.clone()).is_ok(), is_whole);
            let added = add(&mut bad, &elements(0..50), [100, 3000][rng.usize(..2)]);
            assert!(added.taken == 50 || !is_whole);
        }
    }

    #[test]
    fn an_estimate_is_kept_until_something_changes() {
        let mut sketch = empty();
        assert_eq!(cached(&sketch), Some(0));
        forget_cached(&mut sketch);
        assert_eq!(cached(&sketch), None);
        set_cached(&mut sketch, 1 << 40);
        assert_eq!(cached(&sketch), Some(1 << 40));
    }
}
