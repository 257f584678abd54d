//! A sketch tested where it runs (PFSELFTEST): what unit tests say of another machine, said of this one.

use super::registers::{self, REGISTERS};
use super::{Encoding, HEADER, add, add_dense, empty, encoding, estimate, to_dense};
use crate::data::hyperloglog::Element;

const ROUNDS: usize = 100;
const ELEMENTS: u64 = 1_000_000;

/// What is wrong, as an error's text.
pub(crate) fn self_test(seed: u64, sparse_max: usize) -> Result<(), String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..ROUNDS {
        registers_keep_their_values(&mut rng)?;
    }
    estimates_are_close(&mut rng, sparse_max)
}

fn registers_keep_their_values(rng: &mut fastrand::Rng) -> Result<(), String> {
    let values: [u8; REGISTERS] = std::array::from_fn(|_| rng.u8(..64));
    let mut dense = dense_sketch()?;
    for (register, value) in values.iter().enumerate() {
        registers::raise(&mut dense[HEADER..], register, *value);
    }
    for (register, value) in values.iter().enumerate() {
        let got = registers::get(&dense[HEADER..], register);
        if got != *value {
            return Err(format!(
                "TESTFAILED Register {register} should be {value} but is {got}"
            ));
        }
    }
    Ok(())
}

fn dense_sketch() -> Result<Vec<u8>, String> {
    let mut sketch = empty();
    match to_dense(&mut sketch) {
        Ok(true) => Ok(sketch),
        _ => Err("TESTFAILED an empty sketch can't be made dense".into()),
    }
}

/// Adds different elements to a dense sketch and to one that begins sparse. At each power of ten both must say the same,
/// within six standard errors.
fn estimates_are_close(rng: &mut fastrand::Rng, sparse_max: usize) -> Result<(), String> {
    let standard_error = 1.04 / (REGISTERS as f64).sqrt();
    let seed = rng.u64(..);
    let mut dense = dense_sketch()?;
    let mut usual = empty();
    let mut checkpoint = 1;
    for count in 1..=ELEMENTS {
        let element = Element::of(&(count ^ seed).to_le_bytes());
        add_dense(&mut dense, &[element]);
        let _ = add(&mut usual, &[element], sparse_max);
        if count != checkpoint {
            continue;
        }
        checkpoint *= 10;
        if count < sparse_max as u64 / 2 && encoding(&usual) != Some(Encoding::Sparse) {
            return Err("TESTFAILED sparse encoding not used".into());
        }
        let estimates = [&dense, &usual].map(|sketch| estimate(sketch).ok());
        let [Some(got), Some(other)] = estimates else {
            return Err("TESTFAILED a sketch is corrupt".into());
        };
        if got != other {
            return Err("TESTFAILED dense/sparse disagree".into());
        }
        let allowed = match count {
            // Among so few, two in one register make a large part.
            10 => 1,
            _ => (standard_error * 6.0 * count as f64).ceil() as u64,
        };
        if got.abs_diff(count) > allowed {
            let error = got.abs_diff(count);
            return Err(format!(
                "TESTFAILED Too big error. card:{count} abserr:{error}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_passes() {
        assert_eq!(self_test(1, 3000), Ok(()));
    }
}
