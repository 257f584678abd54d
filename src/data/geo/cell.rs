//! Cells of the map: latitude and longitude halved so many times, as bits that take turns, the longitude's first.

use std::ops::Range;

use super::{LATITUDE_MAX, LONGITUDE_MAX, Point};

/// How often each side can be halved: a score holds 52 bits exactly.
pub(super) const STEPS_MAX: u32 = 26;

/// The bits of latitudes.
const NORTH: u64 = 0x5555_5555_5555_5555;
/// The bits of longitudes.
const EAST: u64 = !NORTH;

/// A cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    bits: u64,
    /// How often each side of the map was halved, at least once.
    steps: u32,
}

/// Where a cell is: the least and the greatest of each, degrees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) longitude: (f64, f64),
    pub(super) latitude: (f64, f64),
}

impl Cell {
    /// The cell that a place is in.
    pub(super) fn of(point: Point, steps: u32) -> Cell {
        let north = fraction(point.latitude, LATITUDE_MAX, steps);
        let east = fraction(point.longitude, LONGITUDE_MAX, steps);
        Cell {
            bits: interleave(north, east),
            steps,
        }
    }

    /// The smallest cell that a score names. What no integer of 64 bits holds becomes what C makes of it on x86.
    #[inline]
    pub(super) fn of_score(score: f64) -> Cell {
        let bits = if score < 0.0 {
            score as i64 as u64
        } else if score < 18_446_744_073_709_551_616.0 {
            score as u64
        } else {
            0
        };
        Cell {
            bits,
            steps: STEPS_MAX,
        }
    }

    pub(super) fn bits(self) -> u64 {
        self.bits
    }

    #[inline]
    pub(super) fn bounds(self) -> Bounds {
        let cells = (1u64 << self.steps) as f64;
        let side = |index: u32, most: f64| {
            let scale = most + most;
            let edge = |index: u32| -most + f64::from(index) / cells * scale;
            (edge(index), edge(index.wrapping_add(1)))
        };
        Bounds {
            longitude: side(gather(self.bits >> 1), LONGITUDE_MAX),
            latitude: side(gather(self.bits), LATITUDE_MAX),
        }
    }

    /// The cell so many to the east and to the north (-1, 0 or 1); behind the edge the map begins anew.
    pub(super) fn neighbour(self, east: i8, north: i8) -> Cell {
        let used = u64::MAX >> (64 - 2 * self.steps);
        let (east_bits, north_bits) = (EAST & used, NORTH & used);
        Cell {
            bits: moved(self.bits & EAST, east_bits, north_bits, east)
                | moved(self.bits & NORTH, north_bits, east_bits, north),
            steps: self.steps,
        }
    }

    /// The scores of all places in it.
    pub(crate) fn scores(self) -> Range<f64> {
        let unused = 2 * (STEPS_MAX - self.steps);
        (self.bits << unused) as f64..((self.bits + 1) << unused) as f64
    }
}

/// One coordinate's bits, `own` of all that are used, counted up or down by one: with the `others` set, a carry runs
/// through them.
fn moved(bits: u64, own: u64, others: u64, by: i8) -> u64 {
    match by {
        1 => bits.wrapping_add(others + 1) & own,
        -1 => (bits | others).wrapping_sub(others + 1) & own,
        _ => bits,
    }
}

/// How far a coordinate is from `-most` to `most`, in parts of 2^steps.
pub(super) fn fraction(coordinate: f64, most: f64, steps: u32) -> u32 {
    let part = (coordinate + most) / (most + most);
    (part * (1u64 << steps) as f64) as u32
}

/// The bits of both in turns, the latitude's lowest first.
pub(super) fn interleave(north: u32, east: u32) -> u64 {
    spread(north) | spread(east) << 1
}

const TURNS: [(u32, u64); 5] = [
    (16, 0x0000_ffff_0000_ffff),
    (8, 0x00ff_00ff_00ff_00ff),
    (4, 0x0f0f_0f0f_0f0f_0f0f),
    (2, 0x3333_3333_3333_3333),
    (1, NORTH),
];

/// Each bit moves to twice its place.
fn spread(number: u32) -> u64 {
    let apart = |bits: u64, (by, mask): (u32, u64)| (bits | bits << by) & mask;
    TURNS.into_iter().fold(u64::from(number), apart)
}

/// The reverse of `spread`, of each second bit.
#[inline]
fn gather(bits: u64) -> u32 {
    let mut bits = bits & NORTH;
    for turn in (0..TURNS.len()).rev() {
        let mask = if turn > 0 {
            TURNS[turn - 1].1
        } else {
            u64::MAX
        };
        bits = (bits | bits >> TURNS[turn].0) & mask;
    }
    bits as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_take_turns() {
        let mut rng = fastrand::Rng::with_seed(9);
        for _ in 0..1000 {
            let (north, east) = (rng.u32(..), rng.u32(..));
            let both = interleave(north, east);
            for bit in 0..32 {
                assert_eq!(both >> (2 * bit) & 1, u64::from(north >> bit & 1));
                assert_eq!(both >> (2 * bit + 1) & 1, u64::from(east >> bit & 1));
            }
            assert_eq!((gather(both), gather(both >> 1)), (north, east));
        }
    }

    #[test]
    fn neighbours_are_one_step_away_and_wrap() {
        let mut rng = fastrand::Rng::with_seed(10);
        for _ in 0..2000 {
            let steps = rng.u32(1..=STEPS_MAX);
            let cells = 1i64 << steps;
            let (north, east) = (rng.i64(0..cells), rng.i64(0..cells));
            let cell = Cell {
                bits: interleave(north as u32, east as u32),
                steps,
            };
            for (by_east, by_north) in [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1)]
            {
                let place = |at: i64, by: i8| (at + i64::from(by)).rem_euclid(cells) as u32;
                let want = interleave(place(north, by_north), place(east, by_east));
                assert_eq!(cell.neighbour(by_east, by_north).bits, want, "{cell:?}");
            }
        }
    }
}
