//! Doubles as texts: what commands accept as a float.

/// Parses a whole text as C's strtod does: decimal or hexadecimal, "inf" and "infinity" with a sign. None
/// for anything else: spaces, NaN, a finite text that is too large, or too small to differ from 0.
pub(crate) fn parse_double(text: &[u8]) -> Option<f64> {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let unsigned = unsigned.strip_prefix(b"+").unwrap_or(unsigned);
    if let [b'0', b'x' | b'X', digits @ ..] = unsigned {
        // "-+0x1" was cut twice.
        if text.len() - digits.len() > 3 {
            return None;
        }
        let value = parse_hexadecimal(digits)?;
        return Some(if text[0] == b'-' { -value } else { value });
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let mut mantissa = text.iter().take_while(|b| !matches!(b, b'e' | b'E'));
    let out_of_range = match value {
        v if v.is_nan() => true,
        v if v.is_infinite() => text.iter().any(u8::is_ascii_digit),
        v => v == 0.0 && mantissa.any(|b| matches!(b, b'1'..=b'9')),
    };
    (!out_of_range).then_some(value)
}

/// Hexadecimal digits with a point and a binary exponent, without the "0x".
fn parse_hexadecimal(text: &[u8]) -> Option<f64> {
    let at = text.iter().position(|b| matches!(b, b'p' | b'P'));
    let (mantissa, mut exponent) = match at {
        None => (text, 0i64),
        Some(at) => {
            let digits = std::str::from_utf8(&text[at + 1..]).ok()?;
            // Nothing beyond this many is in range.
            let exponent: i64 = digits.parse().ok()?;
            (&text[..at], exponent.clamp(-1_000_000, 1_000_000))
        }
    };
    let mut bits = 0u128;
    let mut digits = 0;
    let mut after_point = false;
    for &b in mantissa {
        if b == b'.' && !after_point {
            after_point = true;
            continue;
        }
        let digit = (b as char).to_digit(16)?;
        digits += 1;
        exponent -= if after_point { 4 } else { 0 };
        if bits >> 120 == 0 {
            bits = bits << 4 | u128::from(digit);
        } else {
            // Far below the last place that counts: only whether it is zero matters.
            bits |= u128::from(digit != 0);
            exponent += 4;
        }
    }
    if digits == 0 {
        return None;
    }
    let mut value = bits as f64;
    // In steps, since a single power could leave the range where the product does not.
    while exponent != 0 && value != 0.0 && value.is_finite() {
        let step = exponent.clamp(-1000, 1000);
        value *= 2f64.powi(step as i32);
        exponent -= step;
    }
    (value.is_finite() && (value != 0.0 || bits == 0)).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::parse_double;

    #[test]
    fn texts_that_are_floats() {
        for (text, want) in [
            ("0", 0.0),
            ("-0", 0.0),
            ("1.5", 1.5),
            ("+.5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("-1E-3", -0.001),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("+INF", f64::INFINITY),
            ("0e999", 0.0),
            ("0x10", 16.0),
            ("-0x.8p1", -1.0),
            ("0x1p-1074", f64::from_bits(1)),
            ("1.7976931348623157e308", f64::MAX),
        ] {
            assert_eq!(parse_double(text.as_bytes()), Some(want), "{text}");
        }
    }

    #[test]
    fn texts_that_are_not() {
        for text in [
            "",
            " 1",
            "1 ",
            "abc",
            "1e",
            "nan",
            "-nan",
            "1e309",
            "1e-400",
            "0x",
            "0x1p",
            "0xp1",
            "-+1",
            "-+0x1",
            "--1",
            "1.2.3",
            "0x1.2.3",
            "1\0",
            "1_0",
            "0x1p99999",
            "infinit",
            "\u{661}",
        ] {
            assert_eq!(parse_double(text.as_bytes()), None, "{text:?}");
        }
    }
}
