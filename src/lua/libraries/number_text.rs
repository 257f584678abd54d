//! Numbers as C's `printf` and `strtod` have them, with shortcuts for the common ones.

use std::ffi::c_char;

/// Numbers below it are whole up to here: what 15 digits hold.
const EXACT_MAX: f64 = 1e15;

/// Powers of ten that a double holds exactly.
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Most digits whose whole number a double always holds.
const EXACT_DIGITS: usize = 15;

/// Appends a number as `%.<precision>g` writes it; the precision is from 1 to 15.
pub(super) fn append(text: &mut Vec<u8>, number: f64, precision: usize) {
    debug_assert!((1..=EXACT_DIGITS).contains(&precision));
    let whole = number as i64;
    if whole as f64 == number
        && number.abs() < POWERS_OF_TEN[precision].min(EXACT_MAX)
        && (whole != 0 || number.is_sign_positive())
    {
        text.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
        return;
    }
    let mut buffer = [0u8; 32];
    // SAFETY: it writes at most so many bytes; the format takes an int and a double.
    let length = unsafe {
        libc::snprintf(
            buffer.as_mut_ptr().cast::<c_char>(),
            buffer.len(),
            c"%.*g".as_ptr(),
            precision as libc::c_int,
            number,
        )
    };
    text.extend_from_slice(&buffer[..length as usize]);
}

/// The number that a text begins with, as `strtod` reads it, and its length; a length of 0 if there is none. The text
/// ends with a zero, which is not looked for: a text of many numbers would be gone through for each.
pub(super) fn parse(text: &[u8]) -> (f64, usize) {
    assert_eq!(text.last(), Some(&0), "it ends the last number");
    if let Some(found) = parse_simple(text) {
        return found;
    }
    let start = text.as_ptr().cast::<c_char>();
    let mut end = std::ptr::null_mut();
    // SAFETY: the text ends with a zero; the end is within it.
    unsafe {
        let number = libc::strtod(start, &mut end);
        (number, end.cast_const().offset_from(start) as usize)
    }
}

/// Digits with a point at most, few enough that one division of exact numbers gives the nearest double.
fn parse_simple(text: &[u8]) -> Option<(f64, usize)> {
    let negative = text[0] == b'-';
    let start = usize::from(negative);
    let mut at = start;
    let mut mantissa = 0u64;
    let mut point = None;
    loop {
        match text[at] {
            digit @ b'0'..=b'9' => {
                if at - start > EXACT_DIGITS {
                    return None;
                }
                mantissa = mantissa * 10 + u64::from(digit - b'0');
            }
            b'.' if point.is_none() => point = Some(at),
            _ => break,
        }
        at += 1;
    }
    let digits = at - start - usize::from(point.is_some());
    // An exponent, a hexadecimal number, no number at all, or something strange.
    if digits == 0 || digits > EXACT_DIGITS || text[at].is_ascii_alphabetic() {
        return None;
    }
    let fraction = point.map_or(0, |point| at - point - 1);
    let number = mantissa as f64 / POWERS_OF_TEN[fraction];
    Some((if negative { -number } else { number }, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn c_text(number: f64, precision: usize) -> Vec<u8> {
        let mut buffer = [0u8; 64];
        // SAFETY: it fits.
        let length = unsafe {
            libc::snprintf(
                buffer.as_mut_ptr().cast(),
                64,
                c"%.*g".as_ptr(),
                precision as libc::c_int,
                number,
            )
        };
        buffer[..length as usize].to_vec()
    }

    fn numbers() -> impl Iterator<Item = f64> {
        let mut rng = fastrand::Rng::with_seed(3);
        let edges = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.1,
            1e14,
            1e15,
            1e16,
            99999999999999.0,
            1e300,
            5e-324,
            123456789.125,
        ];
        let random = (0..20_000).map(move |n| match n % 4 {
            0 => f64::from_bits(rng.u64(..)),
            1 => rng.i64(-1 << 54..1 << 54) as f64,
            2 => rng.i32(-100_000..100_000) as f64 / 100.0,
            _ => f64::from(rng.i32(-1000..1000)),
        });
        edges.into_iter().chain(random).filter(|n| n.is_finite())
    }

    #[test]
    fn texts_are_those_of_printf() {
        for number in numbers() {
            for precision in [1, 3, 14] {
                let mut text = Vec::new();
                append(&mut text, number, precision);
                assert_eq!(text, c_text(number, precision), "{number} {precision}");
            }
        }
    }

    #[test]
    fn numbers_are_those_of_strtod() {
        let odd = [
            "",
            "-",
            ".",
            "-.",
            "1.",
            ".5",
            "-.5",
            "1e5",
            "1e",
            "0x1p4",
            "0x",
            "inf",
            "-nan",
            "1.5.5",
            "00012",
            "123456789012345",
            "1234567890123456",
            "0.1234567890123456",
            "1-2",
            "+1",
            "--1",
            "9007199254740993",
            "1.7976931348623157e309",
            "12]",
            "3,4",
            "0000000000000000000001",
        ];
        let texts = odd
            .map(str::to_string)
            .into_iter()
            .chain(numbers().flat_map(|n| [format!("{n}"), format!("{n:e}"), format!("{n:.3}")]));
        for text in texts {
            let text = std::ffi::CString::new(text).expect("no zero");
            let mut end = std::ptr::null_mut();
            // SAFETY: the text ends with a zero.
            let (number, length) = unsafe {
                let number = libc::strtod(text.as_ptr(), &mut end);
                (number, end.cast_const().offset_from(text.as_ptr()) as usize)
            };
            let (ours, our_length) = parse(text.as_bytes_with_nul());
            assert_eq!(our_length, length, "{text:?}");
            assert_eq!(ours.to_bits(), number.to_bits(), "{text:?}");
        }
    }
}
