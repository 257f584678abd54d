//! Range arguments of sorted sets: scores such as "(1.5", members such as "[abc".

use crate::data::zset_range::{LexBound, LexRange, ScoreBound, ScoreRange};
use crate::table::{CommandError, CommandResult};

/// A number as C's strtod reads the longest it can, if that is all there is: spaces in front, nothing at
/// all (0), overflow to infinity and underflow to 0 are accepted. NaN is not.
fn score(text: &[u8]) -> Option<f64> {
    // C sees a string that ends at the first NUL.
    let text = text.split(|&b| b == 0).next().unwrap_or_default();
    let start = text
        .iter()
        .position(|b| !matches!(b, b' ' | b'\t'..=b'\r'))
        .unwrap_or(text.len());
    let number = &text[start..];
    if text.is_empty() {
        return Some(0.0);
    }
    let value = match crate::text::parse_double(number) {
        Some(value) => value,
        // Out of range, which is no error here.
        None => std::str::from_utf8(number).ok()?.parse().ok()?,
    };
    (!f64::is_nan(value)).then_some(value)
}

fn score_bound(arg: &[u8]) -> Option<ScoreBound> {
    let (exclusive, text) = match arg {
        [b'(', text @ ..] => (true, text),
        text => (false, text),
    };
    Some(ScoreBound {
        score: score(text)?,
        exclusive,
    })
}

pub(super) fn score_range(min: &[u8], max: &[u8]) -> CommandResult<ScoreRange> {
    match (score_bound(min), score_bound(max)) {
        (Some(min), Some(max)) => Ok(ScoreRange { min, max }),
        _ => Err(CommandError::fixed("ERR min or max is not a float")),
    }
}

fn lex_bound(arg: &[u8]) -> Option<LexBound> {
    match arg {
        // A NUL ends the text for Redis.
        [b'-'] | [b'-', 0, ..] => Some(LexBound::Min),
        [b'+'] | [b'+', 0, ..] => Some(LexBound::Max),
        [b'[', member @ ..] => Some(LexBound::Inclusive(member.to_vec())),
        [b'(', member @ ..] => Some(LexBound::Exclusive(member.to_vec())),
        _ => None,
    }
}

pub(super) fn lex_range(min: &[u8], max: &[u8]) -> CommandResult<LexRange> {
    match (lex_bound(min), lex_bound(max)) {
        (Some(min), Some(max)) => Ok(LexRange { min, max }),
        _ => Err(CommandError::fixed(
            "ERR min or max not valid string range item",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores() {
        for (text, want) in [
            ("1.5", Some((1.5, false))),
            ("(1.5", Some((1.5, true))),
            ("(", Some((0.0, true))),
            ("", Some((0.0, false))),
            (" 2", Some((2.0, false))),
            ("( 2", Some((2.0, true))),
            ("-inf", Some((f64::NEG_INFINITY, false))),
            ("(+inf", Some((f64::INFINITY, true))),
            ("1e400", Some((f64::INFINITY, false))),
            ("1e-400", Some((0.0, false))),
            ("0x10", Some((16.0, false))),
            ("2 ", None),
            (" ", None),
            ("nan", None),
            ("((1", None),
            ("str", None),
        ] {
            let got = score_bound(text.as_bytes()).map(|b| (b.score, b.exclusive));
            assert_eq!(got, want, "{text:?}");
        }
    }

    #[test]
    fn members() {
        assert_eq!(lex_bound(b"[ab"), Some(LexBound::Inclusive(b"ab".to_vec())));
        assert_eq!(lex_bound(b"("), Some(LexBound::Exclusive(Vec::new())));
        assert_eq!(lex_bound(b"-"), Some(LexBound::Min));
        assert_eq!(lex_bound(b"+"), Some(LexBound::Max));
        for bad in ["", "a", "+x", "-x"] {
            assert_eq!(lex_bound(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
