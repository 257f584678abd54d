//! The redis.conf form: a directive and its words to a line, `#` comments, `include`.

use super::lines::{Line, Mistake, Origin, line};
use super::words;

/// Reads the files that an `include` names (it may be a pattern): their names and texts, in order.
pub type Includes<'a> = dyn Fn(&str) -> Result<Vec<(String, String)>, String> + 'a;

/// How deep files may include each other.
const DEPTH_MAX: usize = 16;

/// Parses a text. `source` is its name in mistakes.
pub fn parse(source: &str, text: &str, includes: &Includes<'_>) -> Result<Vec<Line>, Mistake> {
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
) -> Result<(), Mistake> {
    for (index, raw) in text.split('\n').enumerate() {
        let raw = raw.trim_matches([' ', '\t', '\r']);
        if raw.is_empty() || raw.starts_with('#') {
            continue;
        }
        let origin = Origin {
            source: source.to_owned(),
            line: index + 1,
            text: raw.to_owned(),
        };
        let Some(mut all) = words::split(raw) else {
            return Err(Mistake::new(
                &origin,
                "Unbalanced quotes in configuration line",
                "close every quote, with a space behind it",
            ));
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
) -> Result<(), Mistake> {
    let [pattern] = given else {
        let fix = "include takes one file or pattern";
        let what = "Bad directive or wrong number of arguments";
        return Err(Mistake::new(origin, what, fix));
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
) -> Result<Vec<(String, String)>, Mistake> {
    if depth >= DEPTH_MAX {
        let what = format!("files include each other more than {DEPTH_MAX} deep");
        return Err(Mistake::new(origin, what, "does one include itself?"));
    }
    includes(pattern).map_err(|what| Mistake::new(origin, what, ""))
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
