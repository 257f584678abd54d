//! Strings combined bit by bit (BITOP). Shorter ones count as filled up with zeros.
//!
//! The work goes in pieces that stay in the cache while one source after the other is taken in; within a piece each
//! source is one loop over two slices, which the compiler makes vector instructions of.

/// Bytes of a piece.
const PIECE: usize = 4096;

/// What becomes of the sources' bits at a place. X is the first source's, Y any other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// All are 1.
    And,
    /// One at least is 1.
    Or,
    /// An odd number is 1.
    Xor,
    /// X is 0.
    Not,
    /// X is 1 and no Y is.
    Diff,
    /// X is 0 and some Y is 1.
    Diff1,
    /// X is 1 and so is some Y.
    AndOr,
    /// Exactly one is 1.
    One,
}

/// The combination of the sources, as long as the longest of them.
pub fn combine(operation: Operation, sources: &[&[u8]]) -> Vec<u8> {
    let len = sources.iter().map(|source| source.len()).max().unwrap_or(0);
    let mut result = Vec::with_capacity(len);
    let Some((first, others)) = sources.split_first() else {
        return result;
    };
    while result.len() < len {
        let at = result.len();
        let end = (at + PIECE).min(len);
        let others = others.iter().map(|source| part(source, at, end));
        match operation {
            // The others come first, and X is taken in last.
            Operation::Diff | Operation::Diff1 | Operation::AndOr => {
                result.resize(end, 0);
                let piece = &mut result[at..];
                others.for_each(|other| each(piece, other, |y, byte| y | byte));
                take_in_first(operation, piece, part(first, at, end));
            }
            _ => {
                result.extend_from_slice(part(first, at, end));
                result.resize(end, 0);
                combine_piece(operation, &mut result[at..], others);
            }
        }
    }
    result
}

/// What a source has of a piece.
fn part(source: &[u8], at: usize, end: usize) -> &[u8] {
    source.get(at..source.len().min(end)).unwrap_or_default()
}

/// Changes each byte of the piece that `other` has one for.
#[inline(always)]
fn each(piece: &mut [u8], other: &[u8], f: impl Fn(u8, u8) -> u8) {
    for (byte, other) in piece.iter_mut().zip(other) {
        *byte = f(*byte, *other);
    }
}

/// The operations that begin with X, which the piece holds.
fn combine_piece<'a>(
    operation: Operation,
    piece: &mut [u8],
    others: impl Iterator<Item = &'a [u8]>,
) {
    match operation {
        Operation::And => others.for_each(|other| {
            each(piece, other, |x, y| x & y);
            piece[other.len()..].fill(0);
        }),
        Operation::Or => others.for_each(|other| each(piece, other, |x, y| x | y)),
        Operation::Xor => others.for_each(|other| each(piece, other, |x, y| x ^ y)),
        Operation::Not => piece.iter_mut().for_each(|byte| *byte = !*byte),
        Operation::One => {
            // Bits that two have are in no later result.
            let mut twice = [0; PIECE];
            others.for_each(|other| {
                for ((byte, twice), other) in piece.iter_mut().zip(&mut twice).zip(other) {
                    *twice |= *byte & other;
                    *byte |= other;
                }
            });
            each(piece, &twice, |any, twice| any & !twice);
        }
        Operation::Diff | Operation::Diff1 | Operation::AndOr => {}
    }
}

/// The operations that end with X: the piece holds what any Y has.
fn take_in_first(operation: Operation, piece: &mut [u8], first: &[u8]) {
    match operation {
        Operation::Diff1 => each(piece, first, |y, x| y & !x),
        Operation::Diff => {
            each(piece, first, |y, x| x & !y);
            piece[first.len()..].fill(0);
        }
        _ => {
            each(piece, first, |y, x| x & y);
            piece[first.len()..].fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Operation; 8] = [
        Operation::And,
        Operation::Or,
        Operation::Xor,
        Operation::Not,
        Operation::Diff,
        Operation::Diff1,
        Operation::AndOr,
        Operation::One,
    ];

    /// One bit, from its definition.
    fn bit(operation: Operation, bits: &[bool]) -> bool {
        let (x, ys) = (bits[0], &bits[1..]);
        let any = ys.contains(&true);
        match operation {
            Operation::And => !bits.contains(&false),
            Operation::Or => x || any,
            Operation::Xor => bits.iter().filter(|on| **on).count() % 2 == 1,
            Operation::Not => !x,
            Operation::Diff => x && !any,
            Operation::Diff1 => !x && any,
            Operation::AndOr => x && any,
            Operation::One => bits.iter().filter(|on| **on).count() == 1,
        }
    }

    #[test]
    fn every_bit_is_as_defined() {
        let mut rng = fastrand::Rng::with_seed(3);
        for round in 0..400 {
            let operation = ALL[round % ALL.len()];
            let count = if operation == Operation::Not {
                1
            } else {
                1 + round % 5
            };
            let sources: Vec<Vec<u8>> = (0..count)
                .map(|_| {
                    let len =
                        [0, 1, rng.usize(..100), PIECE, rng.usize(..3 * PIECE)][rng.usize(..5)];
                    (0..len).map(|_| rng.u8(..)).collect()
                })
                .collect();
            let parts: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
            let result = combine(operation, &parts);
            let longest = sources.iter().map(Vec::len).max().unwrap_or(0);
            assert_eq!(result.len(), longest);
            for at in 0..8 * longest as u64 {
                let bits: Vec<bool> = parts.iter().map(|s| super::super::get(s, at)).collect();
                let got = super::super::get(&result, at);
                assert_eq!(
                    got,
                    bit(operation, &bits),
                    "{operation:?} of {bits:?} at {at}"
                );
            }
        }
    }
}
