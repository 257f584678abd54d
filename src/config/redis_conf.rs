//! The redis.conf form: a directive and its words to a line, `#` comments, `include`.

use super::lines::{InvalidConfig, Line, Origin, line};
use super::words;

/// Reads the files that an `include` names (it may be a pattern): their names and texts, in order.
pub(crate) type Includes<'a> = dyn Fn(&str) -> Result<Vec<(String, String)>, String> + 'a;

const NOT_UTF8: &str = "the value is not UTF-8 text";
const ENCODE: &str = "save the file in UTF-8; only comments may have bytes of another encoding";
/// How deep files may include each other.
const DEPTH_MAX: usize = 16;

/// What some editors put before UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How many bytes of a line come before its first word.
pub(super) fn indent(line: &[u8]) -> usize {
    let rest = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    let space = rest.iter().take_while(|b| b" \t\r\n".contains(b)).count();
    line.len() - rest.len() + space
}

/// Whether a line is blank or a comment: bytes that mean nothing, in whichever encoding.
pub(super) fn is_passed_over(line: &[u8]) -> bool {
    let rest = &line[indent(line)..];
    rest.first() == Some(&b'#') || rest.iter().all(|&b| words::is_space(b))
}

/// A file's bytes as text. In comments bytes that are not UTF-8 are replaced; elsewhere they are a mistake.
pub(crate) fn decode(source: &str, bytes: &[u8]) -> Result<String, InvalidConfig> {
    let mut text = String::with_capacity(bytes.len());
    for (index, line) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
        let decoded = String::from_utf8_lossy(line);
        if !is_passed_over(line) && std::str::from_utf8(line).is_err() {
            let origin = Origin {
                source: source.to_owned(),
                line: index + 1,
                text: decoded.trim().to_owned(),
            };
            return Err(InvalidConfig::new(&origin.guarded(), NOT_UTF8, ENCODE));
        }
        text.push_str(&decoded);
    }
    Ok(text)
}

/// Parses a text. `source` is its name in mistakes.
pub(crate) fn parse(
    source: &str,
    text: &str,
    includes: &Includes<'_>,
) -> Result<Vec<Line>, InvalidConfig> {
    let mut lines = Vec::new();
    parse_into(&mut lines, source, text, includes, 0)?;
    Ok(lines)
}

/// As `parse`, for a file that others, `depth` of them, include.
pub(super) fn parse_into(
    lines: &mut Vec<Line>,
    source: &str,
    text: &str,
    includes: &Includes<'_>,
    depth: usize,
) -> Result<(), InvalidConfig> {
    for (index, raw) in text.split('\n').enumerate() {
        if is_passed_over(raw.as_bytes()) {
            continue;
        }
        let raw = raw
            .trim_start_matches('\u{feff}')
            .trim_matches([' ', '\t', '\r']);
        let origin = Origin {
            source: source.to_owned(),
            line: index + 1,
            text: raw.to_owned(),
        };
        let Some(mut all) = words::split(raw) else {
            let (what, fix) = match words::split_bytes(raw) {
                Some(_) => (NOT_UTF8, ENCODE),
                None => (
                    "Unbalanced quotes in configuration line",
                    "close every quote, with a space behind it",
                ),
            };
            return Err(InvalidConfig::new(&origin.guarded(), what, fix));
        };
        if all.is_empty() {
            continue;
        }
        let given = all.split_off(1);
        let name = all.pop().unwrap_or_default();
        let origin = origin.of_directive(&name);
        if name.eq_ignore_ascii_case("include") {
            include(lines, &given, &origin, includes, depth)?;
        } else if let Some(line) = line(&name, given, origin)? {
            lines.push(line);
        }
    }
    Ok(())
}

/// Takes in the files that an `include` names.
fn include(
    lines: &mut Vec<Line>,
    given: &[String],
    origin: &Origin,
    includes: &Includes<'_>,
    depth: usize,
) -> Result<(), InvalidConfig> {
    let [pattern] = given else {
        let fix = "include takes one file or pattern";
        let what = "Bad directive or wrong number of arguments";
        return Err(InvalidConfig::new(origin, what, fix));
    };
    for (name, text) in open_includes(pattern, origin, includes, depth)? {
        parse_into(lines, &name, &text, includes, depth + 1)?;
    }
    Ok(())
}

/// The files that an `include` at this depth names, and their texts.
pub(super) fn open_includes(
    pattern: &str,
    origin: &Origin,
    includes: &Includes<'_>,
    depth: usize,
) -> Result<Vec<(String, String)>, InvalidConfig> {
    if depth >= DEPTH_MAX {
        let what = format!("files include each other more than {DEPTH_MAX} deep");
        return Err(InvalidConfig::new(origin, what, "does one include itself?"));
    }
    includes(pattern).map_err(|what| InvalidConfig::new(origin, what, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Result<Vec<(String, String)>, String> {
        Err("no files here".into())
    }

    fn shown(text: &str, includes: &Includes<'_>) -> String {
        match parse("r.conf", text, includes) {
            Ok(lines) => lines
                .iter()
                .map(|l| format!("{}={}", l.directive.name, l.words.join(",")))
                .collect::<Vec<_>>()
                .join(" "),
            Err(mistake) => mistake.to_string(),
        }
    }

    #[test]
    fn lines_comments_and_quotes() {
        let text = "# a comment\n\n  PORT 7000\r\nsave 900 1\nsave \"\"\nslaveof \"h 1\"\nrequirepass 'a b'\n";
        assert_eq!(
            shown(text, &none),
            "port=7000 save=900,1 save= replicaof=h,1 requirepass=a b"
        );
        assert_eq!(
            shown("port 1\nport \"2", &none),
            "r.conf, line 2: 'port \"2': Unbalanced quotes in configuration line \
             (close every quote, with a space behind it)"
        );
        let secret = shown("requirepass top secret", &none);
        assert!(
            secret.contains("wrong number") && !secret.contains("top"),
            "{secret}"
        );
    }

    #[test]
    fn includes_stand_in_their_place_and_cannot_loop() {
        let files = |name: &str| match name {
            "a" => Ok(vec![("a".to_owned(), "port 2\nbad 1".to_owned())]),
            "b" => Ok(vec![("b".to_owned(), "port 2".to_owned())]),
            "none*" => Ok(Vec::new()),
            _ => Ok(vec![("loop".to_owned(), "include loop".to_owned())]),
        };
        assert_eq!(
            shown("port 1\ninclude b\ninclude none*\nport 3", &files),
            "port=1 port=2 port=3"
        );
        assert!(shown("include a", &files).starts_with("a, line 2: 'bad 1': "));
        assert!(shown("include loop", &files).contains("more than 16 deep"));
        assert!(shown("include x", &none).contains("no files here"));
    }
}
