//! Words of a line, with Redis's quoting: splitting them and writing them back.

/// Splits a line into words. Double quotes know `\n \r \t \b \a \xHH` and a backslash before anything else;
/// single quotes know only `\'`. A closing quote must end its word. `None`: the quotes don't balance, or the
/// words aren't UTF-8.
pub(crate) fn split(line: &str) -> Option<Vec<String>> {
    let words = split_bytes(line)?.into_iter();
    words.map(|word| String::from_utf8(word).ok()).collect()
}

/// As [`split`], where `\xHH` may make a word that is not UTF-8.
pub(crate) fn split_bytes(line: &str) -> Option<Vec<Vec<u8>>> {
    let bytes = line.as_bytes();
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        while bytes.get(at).is_some_and(|&b| is_space(b)) {
            at += 1;
        }
        if at >= bytes.len() {
            return Some(words);
        }
        let mut word = Vec::new();
        while let Some(&b) = bytes.get(at) {
            at += 1;
            match b {
                b'"' => {
                    at = double_quoted(bytes, at, &mut word)?;
                    break;
                }
                b'\'' => {
                    at = single_quoted(bytes, at, &mut word)?;
                    break;
                }
                b' ' | b'\n' | b'\r' | b'\t' => break,
                _ => word.push(b),
            }
        }
        words.push(word);
    }
}

/// From behind the opening quote to behind the closing one.
fn double_quoted(bytes: &[u8], mut at: usize, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        match (*bytes.get(at)?, bytes.get(at + 1)) {
            (b'\\', Some(b'x')) if hex_byte(bytes, at + 2).is_some() => {
                word.push(hex_byte(bytes, at + 2)?);
                at += 4;
            }
            (b'\\', Some(&escaped)) => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => other,
                });
                at += 2;
            }
            (b'"', next) => return next.is_none_or(|&b| is_space(b)).then_some(at + 1),
            (b, _) => {
                word.push(b);
                at += 1;
            }
        }
    }
}

fn single_quoted(bytes: &[u8], mut at: usize, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        match (*bytes.get(at)?, bytes.get(at + 1)) {
            (b'\\', Some(b'\'')) => {
                word.push(b'\'');
                at += 2;
            }
            (b'\'', next) => return next.is_none_or(|&b| is_space(b)).then_some(at + 1),
            (b, _) => {
                word.push(b);
                at += 1;
            }
        }
    }
}

fn hex_byte(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| bytes.get(at).and_then(|&b| char::from(b).to_digit(16));
    Some((digit(at)? * 16 + digit(at + 1)?) as u8)
}

pub(super) fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// A word in double quotes, so that [`split`] gives it back.
pub(crate) fn quote(word: &str) -> String {
    let mut text = String::with_capacity(word.len() + 2);
    text.push('"');
    for byte in word.bytes() {
        match byte {
            b'\\' | b'"' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            7 => text.push_str("\\a"),
            8 => text.push_str("\\b"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text.push('"');
    text
}

/// A word as it is if it needs no quotes.
pub(crate) fn quote_if_needed(word: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\' | b'#');
    match !word.is_empty() && word.bytes().all(is_plain) {
        true => word.to_owned(),
        false => quote(word),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn splits_as_redis_does() {
        let split = |line| split(line).map(|w| w.join("|"));
        for (line, words) in [
            ("save 900 1", Some("save|900|1")),
            ("  a\t b  ", Some("a|b")),
            (r#"a "b c" 'd e'"#, Some("a|b c|d e")),
            (r#"a "\x41\n\q""#, Some("a|A\nq")),
            (r"a 'it\'s'", Some("a|it's")),
            (r#"a """#, Some("a|")),
            (r#"a "b"#, None),
            (r#"a "b"c"#, None),
            ("", Some("")),
            (r#"pre"fix""#, Some("prefix")),
        ] {
            assert_eq!(split(line).as_deref(), words, "{line}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn quoted_words_come_back(words in prop::collection::vec(any::<String>(), 0..4)) {
            let line: Vec<String> = words.iter().map(|w| quote(w)).collect();
            prop_assert_eq!(split(&line.join(" ")), Some(words.clone()));
            let line: Vec<String> = words.iter().map(|w| quote_if_needed(w)).collect();
            prop_assert_eq!(split(&line.join(" ")), Some(words));
        }
    }
}
