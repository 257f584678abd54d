//! Text from outside (peers, clients, files) made fit for a line: of the log, of INFO, of an error.
//!
//! A line end in it would begin a line that we never wrote; a control sequence would be carried out by the
//! terminal that shows the log; a character that turns the reading direction would make it lie. Whoever puts
//! such text into a line has it pass through here first.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Bytes of a text from outside that are shown; what is longer is cut.
pub(crate) const SHOWN_MAX: usize = 512;

/// Bytes that somebody sent, as text of one line and of bounded length: valid UTF-8 as it is, everything else
/// as `\r`, `\n`, `\t`, `\\`, `\xHH` or `\u{...}`.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let (shown, cut) = match bytes.len() > SHOWN_MAX {
        true => (&bytes[..SHOWN_MAX], true),
        false => (bytes, false),
    };
    let mut out = String::with_capacity(shown.len());
    for chunk in shown.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                c => push(&mut out, c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    if cut {
        out.push_str("...");
    }
    out
}

/// A path, as [`printable`]: clients may have set parts of it.
pub(crate) fn printable_path(path: &std::path::Path) -> String {
    printable(path.as_os_str().as_encoded_bytes())
}

/// The text with everything that isn't to be seen, line ends above all, escaped: the last guard of what is
/// written line by line. What `printable` gives passes unchanged.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.chars().any(breaks_lines) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    text.chars().for_each(|c| push(&mut out, c));
    Cow::Owned(out)
}

/// A sink of text whose every piece goes through [`one_line`].
pub(crate) struct OneLine<'a>(pub(crate) &'a mut String);

impl Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.push_str(&one_line(text));
        Ok(())
    }
}

fn push(out: &mut String, c: char) {
    let _ = match c {
        '\n' => write!(out, "\\n"),
        '\r' => write!(out, "\\r"),
        '\t' => write!(out, "\\t"),
        c if breaks_lines(c) && c.is_ascii() => write!(out, "\\x{:02x}", u32::from(c)),
        c if breaks_lines(c) => write!(out, "\\u{{{:x}}}", u32::from(c)),
        c => {
            out.push(c);
            Ok(())
        }
    };
}

/// Control characters, Unicode's own line ends, and those that change the reading direction.
fn breaks_lines(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}')
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_line_or_turns_it() {
        let text = "1.2.3.4\r\nrole:slave\t\x1b[2J\x7f\0\u{85}\u{2028}\u{202e}\\ é";
        let shown = r"1.2.3.4\r\nrole:slave\t\x1b[2J\x7f\x00\u{85}\u{2028}\u{202e}\\ é";
        assert_eq!(printable(text.as_bytes()), shown);
        assert_eq!(printable(b"a\xff\xc3"), r"a\xff\xc3");
        assert_eq!(one_line(shown), shown);
        let escaped = shown.replace(r"\\", r"\");
        assert_eq!(one_line(text), escaped);
        assert!(matches!(one_line("plain é"), Cow::Borrowed(_)));
        let mut line = String::new();
        let given = "a\nb";
        write!(OneLine(&mut line), "{given}:{}", 7).unwrap();
        assert_eq!(line, r"a\nb:7");
    }

    #[test]
    fn what_is_long_is_cut() {
        let shown = printable(&[b'x'; 1 << 20]);
        assert_eq!(shown.len(), SHOWN_MAX + 3);
        assert!(shown.ends_with("x..."));
        // A cut inside a character shows its bytes.
        let long = "é".repeat(SHOWN_MAX);
        assert!(printable(format!("a{long}").as_bytes()).ends_with(r"é\xc3..."));
    }
}
