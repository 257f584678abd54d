//! The words of an inline command.

/// Splits a line into words as redis-cli and redis.conf do: double quotes with escapes (`\xHH`, `\n`, `\r`,
/// `\t`, `\b`, `\a`), single quotes with `\'` only. None if quotes don't balance or a closing quote is
/// followed by anything but space.
pub(super) fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut at = 0;
    let is_space = |b: u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c);
    loop {
        while at < line.len() && is_space(line[at]) {
            at += 1;
        }
        if at >= line.len() {
            return Some(words);
        }
        let mut word = Vec::new();
        let mut quote = None;
        loop {
            let byte = line.get(at).copied();
            match (quote, byte) {
                (Some(_), None) => return None,
                (Some(b'"'), Some(b'\\')) => {
                    let hex = |i: usize| line.get(i).and_then(|b| (*b as char).to_digit(16));
                    match (line.get(at + 1), hex(at + 2), hex(at + 3)) {
                        (Some(b'x'), Some(high), Some(low)) => {
                            word.push((high * 16 + low) as u8);
                            at += 4;
                        }
                        (Some(&escaped), _, _) => {
                            word.push(match escaped {
                                b'n' => b'\n',
                                b'r' => b'\r',
                                b't' => b'\t',
                                b'b' => 0x08,
                                b'a' => 0x07,
                                other => other,
                            });
                            at += 2;
                        }
                        (None, ..) => {
                            word.push(b'\\');
                            at += 1;
                        }
                    }
                }
                (Some(b'\''), Some(b'\\')) if line.get(at + 1) == Some(&b'\'') => {
                    word.push(b'\'');
                    at += 2;
                }
                (Some(q), Some(byte)) if byte == q => {
                    at += 1;
                    if line.get(at).is_some_and(|&b| !is_space(b)) {
                        return None;
                    }
                    break;
                }
                (Some(_), Some(byte)) => {
                    word.push(byte);
                    at += 1;
                }
                (None, None) => break,
                (None, Some(byte)) if is_space(byte) => break,
                (None, Some(q @ (b'"' | b'\''))) => {
                    quote = Some(q);
                    at += 1;
                }
                (None, Some(byte)) => {
                    word.push(byte);
                    at += 1;
                }
            }
        }
        words.push(word);
    }
}
