//! The TOML form: `name = value` with redis.conf's names, '-' and '_' alike. Several words are one string or
//! an array (`save = ["3600 1", "300 100"]`); yes and no may be true and false; numbers may be bare.

use toml_edit::{Document, Item, Value};

use super::hints;
use super::lines::{InvalidConfig, Line, Origin, line};
use super::redis_conf::{self, Includes};

/// A file's bytes as text: UTF-8 everywhere, as TOML has it.
pub(crate) fn decode(source: &str, bytes: &[u8]) -> Result<String, InvalidConfig> {
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|error| {
            let (before, rest) = bytes.split_at(error.valid_up_to());
            let start = before
                .iter()
                .rposition(|&b| b == b'\n')
                .map_or(0, |at| at + 1);
            let end = rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
            let origin = Origin {
                source: source.to_owned(),
                line: before.iter().filter(|&&b| b == b'\n').count() + 1,
                text: String::from_utf8_lossy(&bytes[start..before.len() + end])
                    .trim()
                    .to_owned(),
            };
            let fix =
                "save the file in UTF-8: TOML takes no other encoding, not in comments either";
            InvalidConfig::new(&origin.guarded(), "the line is not UTF-8 text", fix)
        })
}

/// Parses a text. `source` is its name in mistakes. `include = "file"` takes a redis.conf or TOML file in.
pub(crate) fn parse(
    source: &str,
    text: &str,
    includes: &Includes<'_>,
) -> Result<Vec<Line>, InvalidConfig> {
    parse_at(source, text, includes, 0)
}

fn parse_at(
    source: &str,
    text: &str,
    includes: &Includes<'_>,
    depth: usize,
) -> Result<Vec<Line>, InvalidConfig> {
    let origin_at = |offset: usize| {
        let before = text.get(..offset).unwrap_or(text);
        let number = before.matches('\n').count();
        Origin {
            source: source.to_owned(),
            line: number + 1,
            text: text
                .lines()
                .nth(number)
                .unwrap_or_default()
                .trim()
                .to_owned(),
        }
    };
    let document = Document::parse(text.to_owned()).map_err(|e| {
        let origin = origin_at(e.span().map_or(0, |span| span.start));
        let what = e.message().replace('\n', ", ");
        let fix = match what.starts_with("duplicate key") {
            true => "a name stands once; several values are an array".to_owned(),
            false => hints::for_toml_line(&origin.text),
        };
        InvalidConfig::new(&origin.guarded(), what, fix)
    })?;
    let mut lines = Vec::new();
    for (name, item) in document.as_table() {
        let key_span = document.as_table().key(name).and_then(|key| key.span());
        let origin = origin_at(key_span.map_or(0, |span| span.start));
        let words = match item {
            Item::Value(value) => words_of(value),
            _ => None,
        };
        let Some(words) = words else {
            return Err(InvalidConfig::new(
                &origin,
                format!("'{name}' must be a string, a number, true or false, or an array of them"),
                "write the directives without tables; several words are a string or an array",
            ));
        };
        let origin = origin.of_directive(name);
        if name == "include" {
            for pattern in &words {
                lines.extend(included(pattern, &origin, includes, depth)?);
            }
        } else if let Some(line) = line(name, words, origin)? {
            lines.push(line);
        }
    }
    Ok(lines)
}

fn included(
    pattern: &str,
    origin: &Origin,
    includes: &Includes<'_>,
    depth: usize,
) -> Result<Vec<Line>, InvalidConfig> {
    let mut lines = Vec::new();
    for (name, text) in redis_conf::open_includes(pattern, origin, includes, depth)? {
        if name.ends_with(".toml") {
            lines.extend(parse_at(&name, &text, includes, depth + 1)?);
        } else {
            redis_conf::parse_into(&mut lines, &name, &text, includes, depth + 1)?;
        }
    }
    Ok(lines)
}

/// The words of a value; an array's elements one after the other. `None`: no plain value.
pub(crate) fn words_of(value: &Value) -> Option<Vec<String>> {
    Some(match value {
        Value::String(text) => vec![text.value().clone()],
        Value::Integer(number) => vec![number.value().to_string()],
        Value::Float(number) => vec![number.value().to_string()],
        Value::Boolean(yes) => vec![if *yes.value() { "yes" } else { "no" }.to_owned()],
        Value::Array(array) if array.is_empty() => vec![String::new()],
        Value::Array(array) => {
            let mut words = Vec::new();
            for element in array {
                for word in words_of(element)? {
                    // An element may hold a whole line ("3600 1").
                    match super::words::split(&word) {
                        Some(split) if array.len() > 1 && split.len() > 1 => words.extend(split),
                        _ => words.push(word),
                    }
                }
            }
            words
        }
        Value::Datetime(_) | Value::InlineTable(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse("c.toml", text, &|_| Err("no files here".into())) {
            Ok(lines) => lines
                .iter()
                .map(|l| format!("{}={}", l.directive.name, l.words.join(",")))
                .collect::<Vec<_>>()
                .join(" "),
            Err(mistake) => mistake.to_string(),
        }
    }

    #[test]
    fn values_of_every_shape() {
        let text = r#"
            # comment
            port = 7000
            repl_timeout = "60"
            protected-mode = false
            rdbcompression = "yes"
            save = ["3600 1", "300 100"]
            bind = ["127.0.0.1", "-::1"]
            client-output-buffer-limit = [["normal", 0, 0, 0], "pubsub 1mb 1mb 3"]
            replicaof = "127.0.0.1 6379"
            latency-tracking-info-percentiles = [50, 99.9]
            requirepass = "a b"
        "#;
        assert_eq!(
            shown(text),
            "port=7000 repl-timeout=60 protected-mode=no rdbcompression=yes save=3600,1,300,100 \
             bind=127.0.0.1,-::1 client-output-buffer-limit=normal,0,0,0,pubsub,1mb,1mb,3 \
             replicaof=127.0.0.1,6379 latency-tracking-info-percentiles=50,99.9 requirepass=a b"
        );
        assert_eq!(shown("save = []"), "save=");
        assert_eq!(shown("save = \"\""), "save=");
    }

    #[test]
    fn mistakes_name_the_line() {
        assert!(
            shown("port = 1\nprt = 2\n").starts_with("c.toml, line 2: 'prt = 2': Bad directive")
        );
        assert!(shown("port = 1\n\nport = x\n").starts_with("c.toml, line 3: "));
        assert!(shown("[server]\nport = 1\n").starts_with("c.toml, line 1: '[server]': "));
        let several = shown("port = [1, 2]");
        assert!(several.contains("wrong number of arguments"), "{several}");
    }
}
