//! The 80-bit floats of x86's `long double`, in software: what INCRBYFLOAT and HINCRBYFLOAT compute with.
//!
//! Redis adds floats in this format and prints them with 17 decimals, so that "3.0e3" plus "0.1" comes
//! out as "3000.1". Doing it in `f64` would show other digits, and a replica or a client would see the
//! difference. Parsing rounds once (to nearest, ties to even) from the exact decimal value, addition
//! rounds once, and formatting is exact, so results equal those of Redis on x86-64 for every input.
//!
//! Invariants: a finite non-zero value is `significand * 2^exponent` with the significand's top bit set,
//! or with `exponent == EXPONENT_MIN` (a denormal); zero has `exponent == EXPONENT_MIN`.

/// Exponent of the significand's lowest bit in denormals: 2^-16382 is the least normal number.
const EXPONENT_MIN: i32 = -16382 - 63;
/// The same for the largest finite numbers.
const EXPONENT_MAX: i32 = 16383 - 63;
/// Longer texts are refused, as Redis does (its buffer has 5 KB).
const TEXT_BYTES_MAX: usize = 5 * 1024 - 1;
/// Powers of ten that fit in 64 bits: 10^0 to 10^19.
const SMALL_POWER_MAX: i64 = 19;
const DECIMALS: u32 = 17;

/// A number in the x87 extended format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LongDouble {
    negative: bool,
    magnitude: Magnitude,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Magnitude {
    Finite { significand: u64, exponent: i32 },
    Infinite,
    NotANumber,
}

impl From<i64> for LongDouble {
    fn from(n: i64) -> LongDouble {
        LongDouble::rounded(n < 0, u128::from(n.unsigned_abs()), 0, false)
    }
}

impl LongDouble {
    const fn zero(negative: bool) -> LongDouble {
        LongDouble {
            negative,
            magnitude: Magnitude::Finite {
                significand: 0,
                exponent: EXPONENT_MIN,
            },
        }
    }

    const fn infinite(negative: bool) -> LongDouble {
        LongDouble {
            negative,
            magnitude: Magnitude::Infinite,
        }
    }

    pub(crate) fn is_finite(&self) -> bool {
        matches!(self.magnitude, Magnitude::Finite { .. })
    }

    /// Rounds `bits * 2^exponent` (plus something smaller than one bit if `sticky`) to the format.
    fn rounded(negative: bool, bits: u128, exponent: i32, sticky: bool) -> LongDouble {
        if bits == 0 {
            return LongDouble::zero(negative);
        }
        // How many low bits go: down to 64 significant ones, and none below the denormals' last place.
        let width = 128 - bits.leading_zeros() as i32;
        let drop = (width - 64).max(EXPONENT_MIN - exponent);
        if drop <= 0 {
            debug_assert!(!sticky, "callers keep guard bits when something is lost");
            let up = (-drop).min(exponent - EXPONENT_MIN) as u32;
            return LongDouble::packed(negative, (bits << up) as u64, exponent - up as i32);
        }
        let (mut kept, rest, half) = if drop > 128 {
            (0, 1, 2)
        } else if drop == 128 {
            (0, bits >> 1, 1 << 126)
        } else {
            (bits >> drop, bits & ((1 << drop) - 1), 1 << (drop - 1))
        };
        if rest > half || (rest == half && (sticky || kept & 1 == 1)) {
            kept += 1;
        }
        let mut exponent = exponent + drop;
        if kept >> 64 != 0 {
            kept >>= 1;
            exponent += 1;
        }
        LongDouble::packed(negative, kept as u64, exponent)
    }

    fn packed(negative: bool, significand: u64, exponent: i32) -> LongDouble {
        if significand == 0 {
            LongDouble::zero(negative)
        } else if exponent > EXPONENT_MAX {
            LongDouble::infinite(negative)
        } else {
            LongDouble {
                negative,
                magnitude: Magnitude::Finite {
                    significand,
                    exponent,
                },
            }
        }
    }

    /// Parses as C's strtold does with the whole text: decimal or hexadecimal, "inf" and "infinity". None
    /// for anything else: leading spaces, NaN, a finite text that is too large, or too small to differ from 0.
    pub(crate) fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.is_empty() || text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        if text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity") {
            return Some(LongDouble::infinite(negative));
        }
        let (value, zero) = match text {
            [b'0', b'x' | b'X', rest @ ..] => parse_hexadecimal(negative, rest)?,
            _ => parse_decimal(negative, text)?,
        };
        // Out of range either way is an error, but a text that says zero is zero.
        let underflow = !zero && value == LongDouble::zero(negative);
        (value.is_finite() && !underflow).then_some(value)
    }

    /// The sum, rounded to nearest. Opposite infinities give a NaN.
    pub(crate) fn plus(self, other: LongDouble) -> LongDouble {
        use Magnitude::{Finite, Infinite, NotANumber};
        let (a, b) = (self.magnitude, other.magnitude);
        let ((a, a_exponent), (b, b_exponent)) = match (a, b) {
            (NotANumber, _) | (_, NotANumber) => return LongDouble::not_a_number(),
            (Infinite, Infinite) if self.negative != other.negative => {
                return LongDouble::not_a_number();
            }
            (Infinite, _) => return self,
            (_, Infinite) => return other,
            (
                Finite {
                    significand: a,
                    exponent: ae,
                },
                Finite {
                    significand: b,
                    exponent: be,
                },
            ) => ((a, ae), (b, be)),
        };
        if (b_exponent, b) > (a_exponent, a) {
            return other.plus(self);
        }
        // The larger keeps 62 guard bits and one bit of room for the carry; what the smaller loses
        // beyond them is remembered in the lowest bit, which is enough for one correct rounding.
        const GUARD: u32 = 62;
        let distance = (a_exponent - b_exponent) as u32;
        let wide_a = u128::from(a) << GUARD;
        let wide_b = u128::from(b) << GUARD;
        let (shifted, lost) = if distance < 128 {
            (wide_b >> distance, wide_b & ((1 << distance) - 1) != 0)
        } else {
            (0, b != 0)
        };
        let shifted = shifted | u128::from(lost);
        let exponent = a_exponent - GUARD as i32;
        if self.negative == other.negative {
            LongDouble::rounded(self.negative, wide_a + shifted, exponent, false)
        } else if wide_a == shifted {
            LongDouble::zero(false)
        } else {
            LongDouble::rounded(self.negative, wide_a - shifted, exponent, false)
        }
    }

    const fn not_a_number() -> LongDouble {
        LongDouble {
            negative: false,
            magnitude: Magnitude::NotANumber,
        }
    }

    /// Seventeen decimals with trailing zeros cut, never an exponent, never "-0".
    pub(crate) fn to_text(self) -> String {
        let (significand, exponent) = match self.magnitude {
            Magnitude::NotANumber => return "nan".into(),
            Magnitude::Infinite if self.negative => return "-inf".into(),
            Magnitude::Infinite => return "inf".into(),
            Magnitude::Finite {
                significand,
                exponent,
            } => (significand, exponent),
        };
        let mut text = String::new();
        if self.negative {
            text.push('-');
        }
        if exponent >= 0 {
            let mut number = Big::from(u128::from(significand));
            number.shift_left(exponent as u32);
            text.push_str(&number.to_decimal());
            return text;
        }
        // significand * 10^17 is below 2^121, so a shift by more leaves nothing to round up.
        let shift = exponent.unsigned_abs();
        let scale = 10u128.pow(DECIMALS);
        let scaled = u128::from(significand) * scale;
        let mut units = 0;
        if shift < 127 {
            units = scaled >> shift;
            let rest = scaled & ((1 << shift) - 1);
            let half = 1 << (shift - 1);
            if rest > half || (rest == half && units & 1 == 1) {
                units += 1;
            }
        }
        if units == 0 {
            return "0".into();
        }
        let (whole, fraction) = (units / scale, units % scale);
        text.push_str(&whole.to_string());
        if fraction != 0 {
            let digits = format!("{fraction:017}");
            text.push('.');
            text.push_str(digits.trim_end_matches('0'));
        }
        text
    }
}

/// The value and whether the digits are all zeros; None if the text is no number.
fn parse_decimal(negative: bool, text: &[u8]) -> Option<(LongDouble, bool)> {
    let (mantissa, exponent) = split_exponent(text, |b| b == b'e' || b == b'E')?;
    let (digits, point) = mantissa_digits(mantissa, |b| b.is_ascii_digit())?;
    let mut exponent = exponent.saturating_sub(point);
    let first = digits.iter().position(|&d| d != b'0');
    let Some(first) = first else {
        return Some((LongDouble::zero(negative), true));
    };
    let last = digits.iter().rposition(|&d| d != b'0').unwrap_or(first);
    exponent = exponent.saturating_add((digits.len() - 1 - last) as i64);
    let digits = &digits[first..=last];
    // The value lies in [10^(magnitude-1), 10^magnitude).
    let magnitude = exponent.saturating_add(digits.len() as i64);
    if magnitude > 4934 {
        return Some((LongDouble::infinite(negative), false));
    }
    if magnitude < -4952 {
        return Some((LongDouble::zero(negative), false));
    }
    let small = digits.len() < 20 && (-SMALL_POWER_MAX..=0).contains(&exponent);
    if small {
        let number = digits
            .iter()
            .fold(0u64, |n, d| n * 10 + u64::from(d - b'0'));
        let power = 10u64.pow(exponent.unsigned_abs() as u32);
        return Some((small_ratio(negative, number, power), false));
    }
    let mut numerator = Big::from(0);
    for chunk in digits.chunks(9) {
        let part = chunk.iter().fold(0u32, |n, d| n * 10 + u32::from(d - b'0'));
        numerator.multiply_add(10u32.pow(chunk.len() as u32), part);
    }
    let mut denominator = Big::from(1);
    let scaled = if exponent < 0 {
        &mut denominator
    } else {
        &mut numerator
    };
    let mut left = exponent.unsigned_abs();
    while left > 0 {
        let step = left.min(9) as u32;
        scaled.multiply_add(10u32.pow(step), 0);
        left -= u64::from(step);
    }
    Some((big_ratio(negative, numerator, denominator), false))
}

fn parse_hexadecimal(negative: bool, text: &[u8]) -> Option<(LongDouble, bool)> {
    let (mantissa, exponent) = split_exponent(text, |b| b == b'p' || b == b'P')?;
    let (digits, point) = mantissa_digits(mantissa, |b| b.is_ascii_hexdigit())?;
    let mut exponent = exponent.saturating_sub(point.saturating_mul(4));
    let mut bits = 0u128;
    let mut sticky = false;
    for &digit in &digits {
        let digit = (digit as char).to_digit(16).unwrap_or(0);
        if bits >> 120 == 0 {
            bits = bits << 4 | u128::from(digit);
        } else {
            sticky |= digit != 0;
            exponent = exponent.saturating_add(4);
        }
    }
    if bits == 0 {
        return Some((LongDouble::zero(negative), true));
    }
    let exponent = exponent.clamp(-40_000, 40_000) as i32;
    // The top of 124 bits is far above the last place, so the lost part may ride in the lowest bit.
    let bits = bits | u128::from(sticky);
    Some((LongDouble::rounded(negative, bits, exponent, false), false))
}

/// Cuts "digits", "e" and a signed number apart; no "e": exponent 0.
fn split_exponent(text: &[u8], mark: impl Fn(u8) -> bool) -> Option<(&[u8], i64)> {
    let Some(at) = text.iter().position(|&b| mark(b)) else {
        return Some((text, 0));
    };
    let (negative, digits) = match &text[at + 1..] {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0i64, |n, d| {
        n.saturating_mul(10).saturating_add(i64::from(d - b'0'))
    });
    Some((&text[..at], if negative { -value } else { value }))
}

/// All digits without the point, and how many of them stand after it.
fn mantissa_digits(text: &[u8], valid: impl Fn(u8) -> bool) -> Option<(Vec<u8>, i64)> {
    let (whole, fraction) = match text.iter().position(|&b| b == b'.') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &text[text.len()..]),
    };
    let digits = [whole, fraction].concat();
    if digits.is_empty() || !digits.iter().all(|&b| valid(b)) {
        return None;
    }
    Some((digits, fraction.len() as i64))
}

/// `number / power`, both non-zero, rounded once.
fn small_ratio(negative: bool, number: u64, power: u64) -> LongDouble {
    // Shifted so that the quotient has 64 or 65 bits; the remainder tells on which side of a half it is.
    let (number, power) = (u128::from(number), u128::from(power));
    let mut shift = 63 + power.ilog2() - number.ilog2();
    if ((number << shift) / power) >> 63 == 0 {
        shift += 1;
    }
    let shifted = number << shift;
    let (quotient, rest) = (shifted / power, shifted % power);
    // Two more bits: the half, and whether anything is left beyond it.
    let half = u128::from(rest * 2 >= power);
    let beyond = u128::from(rest * 2 != power && rest != 0);
    let bits = quotient << 2 | half << 1 | beyond;
    LongDouble::rounded(negative, bits, -(shift as i32) - 2, false)
}

/// The same for numbers of any size, by long division bit by bit.
fn big_ratio(negative: bool, mut numerator: Big, mut denominator: Big) -> LongDouble {
    const QUOTIENT_BITS: i64 = 66;
    let shift = QUOTIENT_BITS - (numerator.bits() - denominator.bits());
    if shift >= 0 {
        numerator.shift_left(shift as u32);
    } else {
        denominator.shift_left(-shift as u32);
    }
    // numerator < denominator * 2^67 now; the denominator walks down from its largest multiple.
    denominator.shift_left(QUOTIENT_BITS as u32 + 1);
    let mut quotient = 0u128;
    for step in (0..=QUOTIENT_BITS + 1).rev() {
        if numerator.subtract_if_not_less(&denominator) {
            quotient |= 1 << step;
        }
        denominator.halve();
    }
    let bits = quotient << 1 | u128::from(!numerator.is_zero());
    LongDouble::rounded(negative, bits, -(shift as i32) - 1, false)
}

/// A natural number: 32-bit limbs, least first, no zero limbs at the top.
#[derive(Debug)]
struct Big(Vec<u32>);

impl From<u128> for Big {
    fn from(n: u128) -> Big {
        let mut big = Big((0..4).map(|i| (n >> (32 * i)) as u32).collect());
        big.trim();
        big
    }
}

impl Big {
    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn bits(&self) -> i64 {
        match self.0.last() {
            None => 0,
            Some(top) => self.0.len() as i64 * 32 - i64::from(top.leading_zeros()),
        }
    }

    fn multiply_add(&mut self, factor: u32, addend: u32) {
        let mut carry = u64::from(addend);
        for limb in &mut self.0 {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    fn shift_left(&mut self, bits: u32) {
        if self.is_zero() {
            return;
        }
        self.multiply_add(1 << (bits % 32), 0);
        let limbs = (bits / 32) as usize;
        self.0.splice(0..0, std::iter::repeat_n(0, limbs));
    }

    fn halve(&mut self) {
        let mut carry = 0;
        for limb in self.0.iter_mut().rev() {
            let low = *limb & 1;
            *limb = *limb >> 1 | carry << 31;
            carry = low;
        }
        self.trim();
    }

    fn less_than(&self, other: &Big) -> bool {
        self.0.len() < other.0.len()
            || (self.0.len() == other.0.len() && self.0.iter().rev().lt(other.0.iter().rev()))
    }

    /// Subtracts and says true, if the result is not negative.
    fn subtract_if_not_less(&mut self, other: &Big) -> bool {
        if self.less_than(other) {
            return false;
        }
        let mut borrow = 0;
        for (i, limb) in self.0.iter_mut().enumerate() {
            let take = i64::from(other.0.get(i).copied().unwrap_or(0)) + borrow;
            let rest = i64::from(*limb) - take;
            *limb = rest as u32;
            borrow = i64::from(rest < 0);
        }
        self.trim();
        true
    }

    fn to_decimal(&self) -> String {
        let mut limbs = self.0.clone();
        let mut parts = Vec::new();
        while !limbs.is_empty() {
            let mut rest = 0u64;
            for limb in limbs.iter_mut().rev() {
                let value = rest << 32 | u64::from(*limb);
                *limb = (value / 1_000_000_000) as u32;
                rest = value % 1_000_000_000;
            }
            while limbs.last() == Some(&0) {
                limbs.pop();
            }
            parts.push(rest);
        }
        let mut text = parts.pop().unwrap_or(0).to_string();
        for part in parts.iter().rev() {
            text.push_str(&format!("{part:09}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::LongDouble;
    use proptest::prelude::*;

    fn sum(a: &str, b: &str) -> Option<String> {
        let a = LongDouble::parse(a.as_bytes())?;
        let b = LongDouble::parse(b.as_bytes())?;
        Some(a.plus(b).to_text())
    }

    #[test]
    fn sums_print_as_redis_prints_them() {
        for (a, b, want) in [
            ("0", "0", "0"),
            ("1", "0.1", "1.1"),
            ("3.0e3", "200", "3200"),
            ("10.50", "0.1", "10.6"),
            ("10.6", "-5", "5.6"),
            ("0.1", "0.2", "0.3"),
            ("1.1", "-1.1", "0"),
            ("-1", "1", "0"),
            ("17179869184", "1.5", "17179869185.5"),
            ("1e19", "1", "10000000000000000001"),
            ("1e20", "1", "100000000000000000000"),
            ("1e30", "0", "1000000000000000000024696061952"),
            ("9223372036854775807", "1", "9223372036854775808"),
            ("18446744073709551615", "1", "18446744073709551616"),
            ("1e-17", "0", "0.00000000000000001"),
            ("1e-18", "0", "0"),
            ("-1e-18", "0", "0"),
            ("5e-18", "0", "0"),
            ("5.1e-18", "0", "0.00000000000000001"),
            ("3", "1.23456789012345678", "4.23456789012345678"),
            ("0x10", "0x.8p1", "17"),
            ("+.5", "5.", "5.5"),
        ] {
            assert_eq!(sum(a, b).as_deref(), Some(want), "{a} + {b}");
        }
    }

    #[test]
    fn texts_that_are_no_finite_float() {
        for text in [
            "",
            " 1",
            "1 ",
            "abc",
            "1e",
            "1e+",
            "0x",
            "0xg",
            ".",
            "-",
            "+-1",
            "nan",
            "1e5000",
            "1e-5000",
            "1\0",
            "--1",
            "1.2.3",
            "1e9999999999999999999999",
            "1_000",
        ] {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text:?}");
        }
        let zero = LongDouble::from(0);
        for text in ["0", "0e99999", "0.000", "0x0"] {
            assert_eq!(LongDouble::parse(text.as_bytes()), Some(zero), "{text:?}");
        }
        assert!(LongDouble::parse(&[b'1'; 4900]).is_some());
        assert!(LongDouble::parse(&[b'0'; 6000]).is_none());
    }

    #[test]
    fn infinities_are_numbers_but_their_sums_are_not_finite() {
        let infinity = LongDouble::parse(b"inf").unwrap();
        let minus = LongDouble::parse(b"-Infinity").unwrap();
        assert!(!infinity.plus(LongDouble::from(1)).is_finite());
        assert!(!infinity.plus(minus).is_finite());
        let huge = LongDouble::parse(b"1e4932").unwrap();
        assert!(huge.is_finite());
        assert!(!huge.plus(huge).is_finite());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn integers_add_exactly(a in -(1i64 << 62)..(1i64 << 62), b in -(1i64 << 62)..(1i64 << 62)) {
            let total = LongDouble::from(a).plus(LongDouble::from(b)).to_text();
            prop_assert_eq!(total, (a + b).to_string());
        }

        #[test]
        fn seventeen_decimals_come_back(whole in 0u32..8, fraction in 0u64..10_000_000_000_000_000) {
            let text = format!("{whole}.{fraction:016}");
            let text = text.trim_end_matches('0').trim_end_matches('.').to_owned();
            let value = LongDouble::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(value.to_text(), text);
        }

        #[test]
        fn long_and_short_ways_of_parsing_agree(number in 1u64..u64::MAX / 10, places in 0u32..19) {
            let power = 10u64.pow(places);
            let short = super::small_ratio(false, number, power);
            let big = |n: u64| super::Big::from(u128::from(n));
            prop_assert_eq!(short, super::big_ratio(false, big(number), big(power)));
        }
    }
}
