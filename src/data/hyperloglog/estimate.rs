//! From registers to a number: the estimator of Otmar Ertl ("New cardinality estimation algorithms for HyperLogLog
//! sketches", arXiv:1702.01284), in the order of steps that Redis takes, so that the floats agree to the last bit.

use super::registers::{REGISTER_BITS, REGISTERS, Registers};

/// The highest rank that an element can have.
const RANK_MAX: usize = 64 - REGISTER_BITS as usize + 1;
/// 1 / (2 ln 2).
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// How many registers have each value.
pub(super) struct Histogram([u32; 64]);

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram([0; 64])
    }
}

impl Histogram {
    /// `count` registers of a value.
    pub(super) fn add(&mut self, value: u8, count: usize) {
        self.0[usize::from(value) % 64] += count as u32;
    }

    /// Registers one by one, in four tables by turns: counting equal values in one would wait for each store.
    pub(super) fn add_all(&mut self, registers: &Registers) {
        let mut tables = [[0u32; 64]; 4];
        for four in registers.as_chunks::<4>().0 {
            for (table, value) in tables.iter_mut().zip(four) {
                table[usize::from(*value) % 64] += 1;
            }
        }
        for table in tables {
            for (sum, count) in self.0.iter_mut().zip(table) {
                *sum += count;
            }
        }
    }

    pub(super) fn estimate(&self) -> u64 {
        let m = REGISTERS as f64;
        let share = |value: usize| f64::from(self.0[value]);
        let mut z = m * tau((m - share(RANK_MAX)) / m);
        for value in (1..RANK_MAX).rev() {
            z += share(value);
            z *= 0.5;
        }
        z += m * sigma(share(0) / m);
        let estimate = (ALPHA * m * m / z).round();
        // What no register of an honest sketch comes to is what the processor makes of it in Redis.
        if estimate < 9_223_372_036_854_775_808.0 {
            estimate as u64
        } else {
            1 << 63
        }
    }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        let before = z;
        x *= x;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        let before = z;
        x = x.sqrt();
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes() {
        let of = |value: u8| {
            let mut histogram = Histogram::default();
            histogram.add_all(&[value; REGISTERS]);
            histogram.estimate()
        };
        assert_eq!(of(0), 0);
        assert_eq!(of(1), 23_637);
        assert!(of(51) > 1 << 60);
        assert_eq!(of(63), 1 << 63);
    }
}
