//! Redis's glob patterns: `*`, `?`, `[a-z]`, `[^x]`, `\` to escape; bytes, no locale.
//!
//! Only the last `*` seen is ever retried (a longer stretch for an earlier one can't help where the rest
//! already failed everywhere), so the work is bounded by pattern length times text length.
//!
//! Kept as Redis has it, oddities included: a pattern of stars doesn't match an empty text (commands treat
//! `*` alone as "no pattern"), a class may lack its `]`, and bounds of a range may stand in either order.

/// Whether the text matches the pattern; `nocase` ignores the case of ASCII letters.
pub(crate) fn matches(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
    let mut p = 0;
    let mut t = 0;
    // After the last star: where the pattern goes on, and where its next try in the text begins.
    let mut retry: Option<(usize, usize)> = None;
    if text.is_empty() {
        return pattern.is_empty();
    }
    loop {
        if t == text.len() {
            // Only stars may be left over.
            if pattern[p..].iter().all(|&c| c == b'*') {
                return true;
            }
        } else if p < pattern.len() {
            if pattern[p] == b'*' {
                while p < pattern.len() && pattern[p] == b'*' {
                    p += 1;
                }
                if p == pattern.len() {
                    return true;
                }
                retry = Some((p, t + 1));
                continue;
            }
            let (hit, used) = matches_one(&pattern[p..], text[t], nocase);
            if hit {
                p += used;
                t += 1;
                continue;
            }
        }
        match retry {
            Some((after_star, next)) if next < text.len() => {
                p = after_star;
                t = next;
                retry = Some((after_star, next + 1));
            }
            _ => return false,
        }
    }
}

/// Whether one byte matches the pattern's first element (not a star), and that element's length.
fn matches_one(pattern: &[u8], byte: u8, nocase: bool) -> (bool, usize) {
    match pattern[0] {
        b'?' => (true, 1),
        b'[' => matches_class(pattern, byte, nocase),
        b'\\' if pattern.len() >= 2 => (same(pattern[1], byte, nocase), 2),
        c => (same(c, byte, nocase), 1),
    }
}

fn matches_class(pattern: &[u8], byte: u8, nocase: bool) -> (bool, usize) {
    let mut at = 1;
    let negated = pattern.get(1) == Some(&b'^');
    if negated {
        at += 1;
    }
    let mut hit = false;
    let used = loop {
        let rest = &pattern[at.min(pattern.len())..];
        match *rest {
            [] => break pattern.len(),
            [b'\\', c, ..] => {
                hit |= c == byte;
                at += 2;
            }
            [b']', ..] => break at + 1,
            [low, b'-', high, ..] => {
                hit |= in_range(low, high, byte, nocase);
                at += 3;
            }
            [c, ..] => {
                hit |= same(c, byte, nocase);
                at += 1;
            }
        }
    };
    (hit != negated, used)
}

fn in_range(low: u8, high: u8, byte: u8, nocase: bool) -> bool {
    // Redis compares plain chars, which are signed where it runs.
    let (mut low, mut high, mut byte) = (low as i8, high as i8, byte as i8);
    if low > high {
        std::mem::swap(&mut low, &mut high);
    }
    if nocase {
        let lower = |c: i8| (c as u8).to_ascii_lowercase() as i8;
        (low, high, byte) = (lower(low), lower(high), lower(byte));
    }
    low <= byte && byte <= high
}

fn same(a: u8, b: u8, nocase: bool) -> bool {
    a == b || nocase && a.eq_ignore_ascii_case(&b)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn as_redis_matches() {
        for (pattern, text, want) in [
            ("", "", true),
            ("", "a", false),
            ("*", "a", true),
            ("*", "", false),
            ("a*", "a", true),
            ("a***", "a", true),
            ("a*b", "a", false),
            ("*b", "aab", true),
            ("*ab", "aab", true),
            ("a*b*c", "aXbXbc", true),
            ("a*b*c", "aXbXbd", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("h[a-c]llo", "hdllo", false),
            (r"h\*llo", "h*llo", true),
            (r"h\*llo", "hello", false),
            (r"\", r"\", true),
            (r"[\]]", "]", true),
            (r"[a\-z]", "-", true),
            (r"[a\-z]", "b", false),
            ("[", "[", false),
            ("[^", "x", true),
            ("[a", "a", true),
            ("[a-", "-", true),
            ("[]", "x", false),
            ("[^]a", "xa", true),
            ("foo[", "foo", false),
            ("a?", "a", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes(), false),
                want,
                "{pattern} {text}"
            );
        }
        assert!(matches(b"H[A-C]LLO*", b"hbllo!", true));
        assert!(!matches(b"H[A-C]LLO*", b"hbllo!", false));
    }

    #[test]
    fn many_stars_do_not_explode() {
        let pattern = "a*".repeat(200) + "b";
        let text = "a".repeat(20_000);
        assert!(!matches(pattern.as_bytes(), text.as_bytes(), false));
    }
}
