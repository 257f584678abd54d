//! What SCAN, SSCAN, HSCAN and ZSCAN take: a cursor, MATCH, COUNT and (SCAN only) TYPE.

use crate::command::context::int_arg;
use crate::resp::Reply;
use crate::table::{CommandError, CommandResult};
use crate::text::glob;
use crate::text::is_word;

/// Options after the cursor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScanOptions<'a> {
    /// None for no MATCH, or for `*`, which matches everything.
    pub(crate) pattern: Option<&'a [u8]>,
    /// About how many elements to look at; at least 1.
    pub(crate) count: usize,
    /// The type's name as given, known or not.
    pub(crate) type_name: Option<&'a [u8]>,
}

impl<'a> ScanOptions<'a> {
    /// Parses the options in `args`, which begin after key and cursor. `with_type`: TYPE is allowed.
    pub(crate) fn parse(args: &[&'a [u8]], with_type: bool) -> CommandResult<ScanOptions<'a>> {
        let mut options = ScanOptions {
            pattern: None,
            count: 10,
            type_name: None,
        };
        let mut rest = args;
        while let [word, value, tail @ ..] = rest {
            if is_word(word, "count") {
                let count = int_arg(value)?;
                if count < 1 {
                    return Err(CommandError::SYNTAX);
                }
                options.count = usize::try_from(count).unwrap_or(usize::MAX);
            } else if is_word(word, "match") {
                options.pattern = (*value != b"*").then_some(*value);
            } else if with_type && is_word(word, "type") {
                options.type_name = Some(value);
            } else {
                return Err(CommandError::SYNTAX);
            }
            rest = tail;
        }
        if rest.is_empty() {
            Ok(options)
        } else {
            Err(CommandError::SYNTAX)
        }
    }

    /// Whether an element passes MATCH.
    pub(crate) fn wants(&self, element: &[u8]) -> bool {
        self.pattern
            .is_none_or(|pattern| glob::matches(pattern, element, false))
    }
}

/// A cursor argument, taken as C's strtoul takes it: a sign is allowed, text after a NUL is ignored,
/// nothing at all is 0.
pub(crate) fn parse_cursor(arg: &[u8]) -> CommandResult<u64> {
    let invalid = CommandError::fixed("ERR invalid cursor");
    let text = arg.split(|&b| b == 0).next().unwrap_or_default();
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        [] => return Ok(0),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return Err(invalid);
    }
    let mut cursor = 0u64;
    for &d in digits {
        if !d.is_ascii_digit() {
            return Err(invalid);
        }
        cursor = cursor
            .checked_mul(10)
            .and_then(|c| c.checked_add(u64::from(d - b'0')))
            .ok_or_else(|| invalid.clone())?;
    }
    Ok(if negative {
        cursor.wrapping_neg()
    } else {
        cursor
    })
}

/// Writes the reply of a scan of a collection: the next cursor and `count` elements, already written in
/// RESP form.
pub(crate) fn reply_scan(reply: &mut Reply, cursor: u64, count: usize, mut elements: Reply) {
    reply.array(2);
    let mut digits = itoa::Buffer::new();
    reply.bulk(digits.format(cursor).as_bytes());
    reply.array(count);
    reply.append(elements.take());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors() {
        for (text, want) in [
            ("0", Some(0)),
            ("", Some(0)),
            ("+7", Some(7)),
            ("-1", Some(u64::MAX)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            (" 1", None),
            ("1 ", None),
            ("x", None),
            ("-", None),
        ] {
            assert_eq!(parse_cursor(text.as_bytes()).ok(), want, "{text:?}");
        }
    }

    #[test]
    fn options() {
        let parse = |args: &[&'static [u8]], with_type| ScanOptions::parse(args, with_type);
        let all = parse(&[b"MATCH", b"a*", b"count", b"5", b"Type", b"set"], true).unwrap();
        assert_eq!((all.count, all.type_name), (5, Some(&b"set"[..])));
        assert!(all.wants(b"abc") && !all.wants(b"b"));
        assert!(parse(&[b"match", b"*"], false).unwrap().wants(b""));
        assert_eq!(
            parse(&[b"type", b"set"], false).unwrap_err(),
            CommandError::SYNTAX
        );
        assert_eq!(parse(&[b"count"], false).unwrap_err(), CommandError::SYNTAX);
        assert_eq!(
            parse(&[b"count", b"0"], false).unwrap_err(),
            CommandError::SYNTAX
        );
        assert_eq!(
            parse(&[b"count", b"x"], false).unwrap_err(),
            CommandError::NOT_INTEGER
        );
    }
}
