//! Registers as runs of equal ones (the sparse encoding).
//!
//! | bytes | run |
//! |---|---|
//! | `00llllll` | l + 1 zeros |
//! | `01llllll llllllll` | l + 1 zeros |
//! | `1vvvvvll` | l + 1 times the value v + 1 |
//!
//! Raising a register splits the run that it is in. Then equal neighbours are joined, in the five runs from the one before
//! on; what could be joined elsewhere stays as it is, since Redis leaves it.

use smallvec::SmallVec;

use super::registers::{REGISTERS, Registers};
use super::{Corrupt, Element, HEADER};

const SHORT_ZEROS_MAX: usize = 64;
const VALUE_MAX: u8 = 32;
const VALUES_MAX: usize = 4;
const IS_VALUES: u8 = 0x80;
const IS_LONG_ZEROS: u8 = 0x40;
/// Runs that are looked at for joining.
const JOINED_RUNS: usize = 5;

/// Equal registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) value: u8,
    /// How many registers.
    pub(crate) len: usize,
    /// Bytes that it takes.
    size: usize,
}

impl Run {
    /// Whether it is zeros of the long form, which is for more than 64 but may be of any length.
    pub(crate) fn is_long_form(self) -> bool {
        self.size == 2
    }

    /// The run that begins at a byte. A missing second byte counts as 0.
    #[inline]
    fn at(bytes: &[u8], at: usize) -> Option<Run> {
        let byte = *bytes.get(at)?;
        Some(if byte & IS_VALUES != 0 {
            Run {
                value: (byte >> 2 & 0x1f) + 1,
                len: usize::from(byte & 0x3) + 1,
                size: 1,
            }
        } else if byte & IS_LONG_ZEROS == 0 {
            Run {
                value: 0,
                len: usize::from(byte) + 1,
                size: 1,
            }
        } else {
            let low = bytes.get(at + 1).copied().unwrap_or(0);
            Run {
                value: 0,
                len: usize::from(u16::from_be_bytes([byte & 0x3f, low])) + 1,
                size: 2,
            }
        })
    }
}

/// The runs of a sketch behind its header.
pub(crate) fn runs(bytes: &[u8]) -> impl Iterator<Item = Run> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let run = Run::at(bytes, at)?;
        at += run.size;
        Some(run)
    })
}

/// Raises registers to the runs of a sketch behind its header.
pub(super) fn merge(into: &mut Registers, bytes: &[u8]) -> Result<(), Corrupt> {
    let mut at = 0;
    for run in runs(bytes) {
        let end = at + run.len;
        if run.value > 0 {
            let registers = into.get_mut(at..end).ok_or(Corrupt)?;
            for register in registers {
                *register = (*register).max(run.value);
            }
        }
        at = end;
    }
    if at == REGISTERS {
        Ok(())
    } else {
        Err(Corrupt)
    }
}

/// Writes zeros behind what is there.
pub(super) fn put_zeros(out: &mut impl Extend<u8>, len: usize) {
    let spelled = (len - 1) as u16;
    if len > SHORT_ZEROS_MAX {
        let [high, low] = spelled.to_be_bytes();
        out.extend([high | IS_LONG_ZEROS, low]);
    } else {
        out.extend([spelled as u8]);
    }
}

fn values(value: u8, len: usize) -> u8 {
    IS_VALUES | (value - 1) << 2 | (len - 1) as u8
}

/// What raising a register did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raised {
    Yes,
    /// It was as high.
    No,
    /// Nothing was done: the value or the string would be too large.
    NoRoom,
}

/// Where to look for a register that comes after the last one raised: a run from which on runs may have changed since.
/// The default is the beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    /// In the sketch.
    at: usize,
    /// The run's first register.
    first: usize,
}

impl Default for Cursor {
    fn default() -> Cursor {
        Cursor {
            at: HEADER,
            first: 0,
        }
    }
}

/// A run among others.
struct Place {
    /// Where it begins.
    here: Cursor,
    run: Run,
    /// Where the run before begins; None: it is the first.
    before: Option<Cursor>,
    /// Where the one before that begins, if the search came by it.
    before_that: Option<Cursor>,
}

/// The run that a register is in.
fn find(sketch: &[u8], from: Cursor, register: usize) -> Option<Place> {
    let mut here = from;
    let (mut before, mut before_that) = (None, None);
    loop {
        let run = Run::at(sketch, here.at)?;
        if register < here.first + run.len {
            return Some(Place {
                here,
                run,
                before,
                before_that,
            });
        }
        before_that = before;
        before = Some(here);
        here = Cursor {
            at: here.at + run.size,
            first: here.first + run.len,
        };
    }
}

/// Raises a register of a sparse sketch that may become `bytes_max` long. Registers that share a cursor must come in
/// rising order.
pub(super) fn raise(
    sketch: &mut Vec<u8>,
    cursor: &mut Cursor,
    element: Element,
    bytes_max: usize,
) -> Result<Raised, Corrupt> {
    let (register, rank) = (element.register(), element.rank());
    if rank > VALUE_MAX {
        return Ok(Raised::NoRoom);
    }
    let Place {
        here,
        run,
        before,
        before_that,
    } = find(sketch, *cursor, register).ok_or(Corrupt)?;
    if run.value >= rank {
        return Ok(Raised::No);
    }
    let mut parts = SmallVec::<[u8; 5]>::new();
    let put_rest = |parts: &mut SmallVec<[u8; 5]>, len: usize| match (len, run.value) {
        (0, _) => {}
        (_, 0) => put_zeros(parts, len),
        (_, value) => parts.push(values(value, len)),
    };
    put_rest(&mut parts, register - here.first);
    parts.push(values(rank, 1));
    put_rest(&mut parts, here.first + run.len - 1 - register);

    let end = (here.at + run.size).min(sketch.len());
    let grown = sketch.len() - (end - here.at) + parts.len();
    if grown > sketch.len() && grown > bytes_max {
        return Ok(Raised::NoRoom);
    }
    if parts.len() == end - here.at {
        sketch[here.at..end].copy_from_slice(&parts);
    } else {
        sketch.splice(here.at..end, parts);
    }
    join(sketch, before.map_or(HEADER, |before| before.at));
    // The run before may have been joined with this one: the next search must begin before it.
    *cursor = before_that.unwrap_or_default();
    Ok(Raised::Yes)
}

/// Joins equal neighbours in the next runs.
fn join(sketch: &mut Vec<u8>, mut at: usize) {
    for _ in 0..JOINED_RUNS {
        let Some(run) = Run::at(sketch, at) else {
            return;
        };
        let next = Run::at(sketch, at + 1);
        match next {
            Some(next)
                if run.value > 0 && next.value == run.value && run.len + next.len <= VALUES_MAX =>
            {
                sketch[at] = values(run.value, run.len + next.len);
                sketch.remove(at + 1);
            }
            _ => at += run.size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{empty, registers};
    use super::*;

    /// "z3 v2x4 Z65".
    fn shown(sketch: &[u8]) -> String {
        let run = |run: Run| match run {
            Run {
                value: 0,
                len,
                size: 1,
            } => format!("z{len}"),
            Run { value: 0, len, .. } => format!("Z{len}"),
            Run { value, len, .. } => format!("v{value}x{len}"),
        };
        runs(&sketch[HEADER..])
            .map(run)
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn raised(sketch: &mut Vec<u8>, register: usize, rank: u8) -> Result<Raised, Corrupt> {
        raise(
            sketch,
            &mut Cursor::default(),
            Element::new(register, rank),
            3000,
        )
    }

    #[test]
    fn runs_are_split_and_joined() {
        let mut sketch = empty();
        assert_eq!(shown(&sketch), "Z16384");
        for (register, rank, want) in [
            (100, 2, "Z100 v2x1 Z16283"),
            (101, 2, "Z100 v2x2 Z16282"),
            (103, 2, "Z100 v2x2 z1 v2x1 Z16280"),
            (102, 2, "Z100 v2x4 Z16280"),
            (104, 2, "Z100 v2x4 v2x1 Z16279"),
            (101, 3, "Z100 v2x1 v3x1 v2x3 Z16279"),
            (16383, 32, "Z100 v2x1 v3x1 v2x3 Z16278 v32x1"),
            (0, 1, "v1x1 Z99 v2x1 v3x1 v2x3 Z16278 v32x1"),
            (50, 1, "v1x1 z49 v1x1 z49 v2x1 v3x1 v2x3 Z16278 v32x1"),
        ] {
            assert_eq!(raised(&mut sketch, register, rank), Ok(Raised::Yes));
            assert_eq!(shown(&sketch), want);
        }
        assert_eq!(raised(&mut sketch, 101, 3), Ok(Raised::No));
        assert_eq!(raised(&mut sketch, 5, VALUE_MAX + 1), Ok(Raised::NoRoom));
    }

    #[test]
    fn a_cursor_changes_nothing_but_the_time() {
        let mut rng = fastrand::Rng::with_seed(4);
        for _ in 0..300 {
            // Many equal neighbours, so that there is much to join.
            let (some, most) = (rng.usize(1..600), rng.u8(1..4));
            let mut sketch = empty();
            let dense = rng.usize(some..=REGISTERS);
            for _ in 0..some {
                let _ = raised(&mut sketch, rng.usize(..dense), rng.u8(1..=most));
            }
            let mut one_by_one = sketch.clone();
            let mut cursor = Cursor::default();
            for register in 0..dense {
                if rng.usize(..dense) < 2 * some {
                    let element = Element::new(register, rng.u8(1..=most));
                    let got = raise(&mut sketch, &mut cursor, element, 3000);
                    let want = raise(&mut one_by_one, &mut Cursor::default(), element, 3000);
                    assert_eq!(got, want);
                    assert!(
                        sketch == one_by_one,
                        "{}\n{}",
                        shown(&sketch),
                        shown(&one_by_one)
                    );
                }
            }
        }
    }

    #[test]
    fn runs_say_what_was_raised() {
        let mut rng = fastrand::Rng::with_seed(6);
        let mut sketch = empty();
        let mut want = [0; registers::REGISTERS];
        for _ in 0..1000 {
            let (register, rank) = (rng.usize(..REGISTERS), rng.u8(1..=VALUE_MAX));
            if raised(&mut sketch, register, rank) == Ok(Raised::Yes) {
                want[register] = rank;
            }
        }
        let mut got = [0; registers::REGISTERS];
        assert_eq!(merge(&mut got, &sketch[HEADER..]), Ok(()));
        assert!(got == want);
    }
}
