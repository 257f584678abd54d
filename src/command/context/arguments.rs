//! Arguments that several families take: bounded integers, floats, timeouts; and index ranges.

use crate::command::context::int_arg;
use crate::table::{CommandError, CommandResult};
use crate::text::{LongDouble, parse_double};

/// An integer of at least `least`; anything else is `message` ("ERR ...").
pub(crate) fn int_at_least(arg: &[u8], least: i64, message: &'static str) -> CommandResult<i64> {
    match int_arg(arg) {
        Ok(n) if n >= least => Ok(n),
        _ => Err(CommandError::fixed(message)),
    }
}

/// How many: an integer from 0 on, with Redis's usual error.
pub(crate) fn count_arg(arg: &[u8]) -> CommandResult<i64> {
    int_at_least(arg, 0, "ERR value is out of range, must be positive")
}

/// An integer whose negation is one as well.
pub(crate) fn negatable_arg(arg: &[u8]) -> CommandResult<i64> {
    match int_arg(arg)? {
        i64::MIN => Err(CommandError::fixed(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        )),
        n => Ok(n),
    }
}

pub(crate) fn double_arg(arg: &[u8]) -> CommandResult<f64> {
    parse_double(arg).ok_or(CommandError::NOT_FLOAT)
}

/// A timeout in seconds as the moment it ends, unix ms; None for 0, which is for ever. Parts of a
/// millisecond count as a whole one.
pub(crate) fn deadline_arg(arg: &[u8], now_ms: i64) -> CommandResult<Option<i64>> {
    const NEGATIVE: CommandError = CommandError::fixed("ERR timeout is negative");
    const OUT_OF_RANGE: CommandError = CommandError::fixed("ERR timeout is out of range");
    let seconds = match parse_double(arg) {
        Some(seconds) => seconds,
        // Redis reads more range than a double has.
        None if LongDouble::parse(arg).is_some() => match arg {
            [b'-', ..] => f64::NEG_INFINITY,
            _ if arg.contains(&b'-') => f64::MIN_POSITIVE,
            _ => f64::INFINITY,
        },
        None => {
            return Err(CommandError::fixed(
                "ERR timeout is not a float or out of range",
            ));
        }
    };
    let timeout_ms = (seconds * 1000.0).ceil();
    if timeout_ms < 0.0 {
        return Err(NEGATIVE);
    }
    // 2^63: the first that does not fit.
    if timeout_ms >= 9_223_372_036_854_775_808.0 {
        return Err(OUT_OF_RANGE);
    }
    match timeout_ms as i64 {
        0 => Ok(None),
        timeout_ms => match now_ms.checked_add(timeout_ms) {
            Some(deadline_ms) => Ok(Some(deadline_ms)),
            None => Err(OUT_OF_RANGE),
        },
    }
}

/// `start..=stop` with negative places counted from the end, within 0..len; None if nothing is left.
pub(crate) fn index_range(start: i64, stop: i64, len: usize) -> Option<(usize, usize)> {
    let len = len as i64;
    let start = if start < 0 { start + len } else { start }.max(0);
    let stop = if stop < 0 { stop + len } else { stop }.min(len - 1);
    (start <= stop && start < len).then_some((start as usize, stop as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts() {
        for (text, want) in [
            ("0", Ok(None)),
            ("-0", Ok(None)),
            ("1", Ok(Some(2000))),
            ("0.0001", Ok(Some(1001))),
            ("0x1p1", Ok(Some(3000))),
            ("1e-400", Ok(Some(1001))),
            ("-1", Err("ERR timeout is negative")),
            ("-inf", Err("ERR timeout is negative")),
            ("inf", Err("ERR timeout is out of range")),
            ("9223372036854775", Err("ERR timeout is out of range")),
            ("1e400", Err("ERR timeout is out of range")),
            ("abc", Err("ERR timeout is not a float or out of range")),
            ("", Err("ERR timeout is not a float or out of range")),
        ] {
            let got = deadline_arg(text.as_bytes(), 1000);
            assert_eq!(got, want.map_err(CommandError::fixed), "{text:?}");
        }
    }

    #[test]
    fn ranges() {
        for (start, stop, len, want) in [
            (0, -1, 3, Some((0, 2))),
            (-100, 100, 3, Some((0, 2))),
            (-2, -2, 3, Some((1, 1))),
            (1, 0, 3, None),
            (3, 5, 3, None),
            (0, -4, 3, None),
            (0, 0, 0, None),
            (i64::MIN, i64::MAX, 1, Some((0, 0))),
            (i64::MAX, i64::MIN, 1, None),
        ] {
            assert_eq!(index_range(start, stop, len), want, "{start} {stop} {len}");
        }
    }
}
