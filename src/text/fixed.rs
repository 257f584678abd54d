//! Numbers with a fixed count of decimals, as geo commands spell them.

/// Four decimals, of which halves go to the even digit. What is too large for that comes out as the least number of 64
/// bits, as it does in Redis.
pub(crate) fn four_decimals(value: f64) -> String {
    let scaled = (value * 10_000.0).round_ties_even();
    // 2^63.
    const OUT_OF_RANGE: f64 = 9_223_372_036_854_775_808.0;
    let units = match scaled {
        n if n.abs() < OUT_OF_RANGE => n as i64,
        _ => i64::MIN,
    };
    let sign = if units < 0 { "-" } else { "" };
    let units = units.unsigned_abs();
    format!("{sign}{}.{:04}", units / 10_000, units % 10_000)
}

/// As many of seventeen decimals as are no trailing zeros.
pub(crate) fn up_to_17_decimals(value: f64) -> String {
    let text = format!("{value:.17}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let text = if text == "-0" { "0" } else { text };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four() {
        for (value, want) in [
            (0.0, "0.0000"),
            (0.00006, "0.0001"),
            (-0.01, "-0.0100"),
            (166_274.151_56, "166274.1516"),
            (0.00005, "0.0000"),
            (0.000_35, "0.0004"),
            (0.000_25, "0.0002"),
            (f64::INFINITY, "-922337203685477.5808"),
        ] {
            assert_eq!(four_decimals(value), want, "{value}");
        }
    }

    #[test]
    fn seventeen() {
        for (value, want) in [
            (0.0, "0"),
            (-1e-20, "0"),
            (10.0, "10"),
            (13.361_389_338_970_184, "13.36138933897018433"),
            (-122.5, "-122.5"),
        ] {
            assert_eq!(up_to_17_decimals(value), want, "{value}");
        }
    }
}
