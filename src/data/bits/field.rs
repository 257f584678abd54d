//! Integers of 1 to 64 bits at any bit of a string, highest bit first (BITFIELD).

/// How wide an integer is, and whether it has a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FieldType {
    signed: bool,
    bits: u32,
}

/// What becomes of a value that a field is too narrow for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// Its lowest bits stay.
    #[default]
    Wrap,
    /// The nearest value that fits is taken.
    Saturate,
    /// The field stays as it is.
    Fail,
}

impl FieldType {
    /// None if there is no such field: at most 64 bits with a sign and 63 without.
    pub(crate) fn new(signed: bool, bits: i64) -> Option<FieldType> {
        let most = if signed { 64 } else { 63 };
        (1..=most).contains(&bits).then_some(FieldType {
            signed,
            bits: bits as u32,
        })
    }

    pub(crate) fn bits(self) -> u32 {
        self.bits
    }

    /// The field at bit `offset`.
    pub(crate) fn read(self, bytes: &[u8], offset: u64) -> i64 {
        let up = window(bytes, offset) << (offset % 8);
        let down = 128 - self.bits;
        if self.signed {
            (up as i128 >> down) as i64
        } else {
            (up >> down) as i64
        }
    }

    /// Writes the lowest bits of a value into the field at bit `offset`, which must lie within the string.
    pub(crate) fn write(self, bytes: &mut [u8], offset: u64, value: i64) {
        let shift = 128 - self.bits - (offset % 8) as u32;
        let mask = (u128::MAX >> (128 - self.bits)) << shift;
        let field = ((value as u128) << shift) & mask;
        let window = (window(bytes, offset) & !mask | field).to_be_bytes();
        let bytes = &mut bytes[(offset / 8) as usize..];
        let len = bytes.len().min(WINDOW);
        bytes[..len].copy_from_slice(&window[..len]);
    }

    /// A value plus an increment, as the field can hold it; None: it can't, and is to stay as it is. Without a sign
    /// the value is taken as 64 bits without one.
    pub(crate) fn add(self, value: i64, by: i64, overflow: Overflow) -> Option<i64> {
        let exact = match self.signed {
            true => i128::from(value),
            false => i128::from(value as u64),
        };
        let sum = exact + i128::from(by);
        let (min, max) = self.limits();
        // Redis takes a value as too high, too, that is so low that the distance to the highest does not fit in 64
        // bits.
        let too_far = self.signed && self.bits < 64 && max - exact > i128::from(i64::MAX);
        if (min..=max).contains(&sum) && !too_far {
            return Some(sum as i64);
        }
        match overflow {
            Overflow::Wrap => Some(self.truncate(sum)),
            Overflow::Saturate if sum > max || too_far => Some(max as i64),
            Overflow::Saturate => Some(min as i64),
            Overflow::Fail => None,
        }
    }

    fn limits(self) -> (i128, i128) {
        if self.signed {
            let half = 1i128 << (self.bits - 1);
            (-half, half - 1)
        } else {
            (0, (1i128 << self.bits) - 1)
        }
    }

    fn truncate(self, value: i128) -> i64 {
        let up = (value as u128) << (128 - self.bits);
        if self.signed {
            (up as i128 >> (128 - self.bits)) as i64
        } else {
            (up >> (128 - self.bits)) as i64
        }
    }
}

/// Bytes that a field of 64 bits may touch.
const WINDOW: usize = 9;

/// The bytes from that of bit `offset` on as far as a field may reach, in the number's highest bits.
fn window(bytes: &[u8], offset: u64) -> u128 {
    let mut window = [0; 16];
    let at = usize::try_from(offset / 8).unwrap_or(usize::MAX);
    let there = bytes.get(at..).unwrap_or_default();
    let len = there.len().min(WINDOW);
    window[..len].copy_from_slice(&there[..len]);
    u128::from_be_bytes(window)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(bits: i64) -> FieldType {
        FieldType::new(true, bits).expect("a field")
    }

    fn unsigned(bits: i64) -> FieldType {
        FieldType::new(false, bits).expect("a field")
    }

    #[test]
    fn widths() {
        for (is_signed, bits, is_one) in [
            (true, 64, true),
            (true, 65, false),
            (false, 63, true),
            (false, 64, false),
            (true, 0, false),
            (false, -1, false),
        ] {
            assert_eq!(FieldType::new(is_signed, bits).is_some(), is_one, "{bits}");
        }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else_changes() {
        let mut rng = fastrand::Rng::with_seed(5);
        for _ in 0..5000 {
            let is_signed = rng.bool();
            let bits = rng.i64(1..=if is_signed { 64 } else { 63 });
            let field = FieldType::new(is_signed, bits).expect("a field");
            let offset = rng.u64(..100);
            let len = (offset + bits as u64).div_ceil(8) as usize + rng.usize(..3);
            let mut bytes: Vec<u8> = (0..len).map(|_| rng.u8(..)).collect();
            let before = bytes.clone();
            let value = rng.i64(..);
            field.write(&mut bytes, offset, value);
            assert_eq!(field.read(&bytes, offset), field.truncate(value.into()));
            for at in 0..8 * len as u64 {
                let inside = (offset..offset + bits as u64).contains(&at);
                let same = super::super::get(&bytes, at) == super::super::get(&before, at);
                assert!(inside || same, "{field:?} at {offset} changes {at}");
            }
        }
        assert_eq!(signed(64).read(&[0xff; 3], 20), -1 << 60);
        assert_eq!(unsigned(63).read(b"", u64::MAX), 0);
    }

    #[test]
    fn overflows() {
        use Overflow::{Fail, Saturate, Wrap};
        for (field, value, by, overflow, want) in [
            (unsigned(2), 3, 1, Wrap, Some(0)),
            (unsigned(2), 3, 1, Saturate, Some(3)),
            (unsigned(2), 3, 1, Fail, None),
            (unsigned(2), 1, -2, Wrap, Some(3)),
            (unsigned(2), 1, -2, Saturate, Some(0)),
            (unsigned(8), -1, 0, Saturate, Some(255)),
            (unsigned(63), i64::MAX, i64::MAX, Wrap, Some(i64::MAX - 1)),
            (signed(8), 127, 1, Wrap, Some(-128)),
            (signed(8), -128, -1, Saturate, Some(-128)),
            (signed(8), -128, -1, Fail, None),
            (signed(64), i64::MAX, 1, Wrap, Some(i64::MIN)),
            (signed(64), i64::MIN, -1, Saturate, Some(i64::MIN)),
            (signed(64), -5, i64::MIN, Saturate, Some(i64::MIN)),
            (signed(64), i64::MIN, 0, Fail, Some(i64::MIN)),
            (signed(8), i64::MIN + 1000, 0, Saturate, Some(-128)),
            (signed(8), i64::MIN, 0, Saturate, Some(127)),
        ] {
            let got = field.add(value, by, overflow);
            assert_eq!(got, want, "{field:?} {value} + {by} {overflow:?}");
        }
    }
}
