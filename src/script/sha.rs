//! A script's name: the SHA-1 digest of its text, as 40 lower-case hexadecimal digits.

use std::fmt;
use std::hash::{Hash, Hasher};

use sha1::{Digest, Sha1};

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sha([u8; 40]);

impl Sha {
    /// The digest of a text.
    pub(crate) fn of(text: &[u8]) -> Sha {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; 40];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(Sha1::digest(text)) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Sha(hex)
    }

    /// One that somebody names, in any case. None: it can't be one.
    pub(crate) fn named(text: &[u8]) -> Option<Sha> {
        let mut hex: [u8; 40] = text.try_into().ok()?;
        hex.make_ascii_lowercase();
        Some(Sha(hex))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Hash for Sha {
    /// It is a digest already: a part of it will do.
    fn hash<H: Hasher>(&self, state: &mut H) {
        if let Some(part) = self.0.first_chunk() {
            state.write_u64(u64::from_ne_bytes(*part));
        }
    }
}

impl fmt::Display for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Named ones may hold anything.
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_redis() {
        let sha = Sha::of(b"return 1");
        assert_eq!(sha.to_string(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
        assert_eq!(
            Sha::named(b"E0E1F9FABFC9D4800C877A703B823AC0578FF8DB"),
            Some(sha)
        );
        assert_eq!(Sha::named(b"e0e1"), None);
    }
}
