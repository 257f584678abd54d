//! A key's place in the key space, and its digest.

use super::hash::{Secret, Use};
use crate::data::Kind;

/// Where a key is in the key space: a hash of database and key. Ordered by its upper bits first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct KeyPlace(pub(crate) u128);

impl KeyPlace {
    #[inline]
    pub(crate) fn of(secret: &Secret, db: usize, key: &[u8]) -> KeyPlace {
        let mut sip = secret.hasher(Use::Place);
        sip.number(db as u64);
        sip.fixed(key);
        KeyPlace(sip.finish())
    }

    /// The range that it is in, of 2^`bits`.
    #[inline]
    pub(crate) fn range(self, bits: u32) -> usize {
        // A shift by all bits is none that the processor has.
        (self.0 >> 64 >> (64 - bits)) as usize
    }
}

/// The digest of a key with all that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyDigest(pub(crate) u128);

impl KeyDigest {
    /// `value` is the digest of the value ([`value_digest`](super::value_digest)); `expire_at`: Unix time, ms.
    #[inline]
    pub(crate) fn of(
        secret: &Secret,
        place: KeyPlace,
        kind: Kind,
        expire_at: Option<i64>,
        value: u128,
    ) -> KeyDigest {
        let mut sip = secret.hasher(Use::Key);
        sip.fixed(&place.0.to_le_bytes());
        sip.fixed(&value.to_le_bytes());
        sip.fixed(kind.name().as_bytes());
        // The name's end is known by this byte, which is no letter.
        sip.fixed(&[u8::from(expire_at.is_some())]);
        sip.fixed(&expire_at.unwrap_or(0).to_le_bytes());
        KeyDigest(sip.finish())
    }
}
