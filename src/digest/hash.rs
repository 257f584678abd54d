//! The keyed hash, and the two ways in which the hashes of many elements become one.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::clock::Clock;

/// What a hash is of; the first byte that is hashed, so that one use is never mistaken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Use {
    Place = 1,
    Key = 2,
    String = 3,
    List = 4,
    Set = 5,
    Hash = 6,
    Zset = 7,
    Stream = 8,
    /// A hash's field that expires.
    ExpiringField = 9,
    /// The sum and number of unordered elements; behind it the use of the elements.
    Sum = 255,
}

/// The key of a session's hashes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Secret([u64; 2]);

impl Secret {
    /// Its length as bytes.
    pub(crate) const BYTES: usize = 16;

    /// A fresh one.
    pub(crate) fn random(clock: &dyn Clock) -> Secret {
        Secret([clock.random(), clock.random()])
    }

    /// As a peer sent it.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Secret> {
        let bytes: [u8; Secret::BYTES] = bytes.try_into().ok()?;
        let both = u128::from_le_bytes(bytes);
        Some(Secret([both as u64, (both >> 64) as u64]))
    }

    /// As a peer is sent it.
    pub(crate) fn to_bytes(self) -> [u8; Secret::BYTES] {
        (u128::from(self.0[0]) | u128::from(self.0[1]) << 64).to_le_bytes()
    }

    pub(super) fn hasher(&self, of: Use) -> Sip {
        let mut hasher = SipHasher13::new_with_keys(self.0[0], self.0[1]);
        hasher.write(&[of as u8]);
        Sip(hasher)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// One hash in the making.
#[derive(Clone, Debug)]
pub(super) struct Sip(SipHasher13);

impl Sip {
    /// Bytes whose number is known from what surrounds them.
    #[inline]
    pub(super) fn fixed(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    #[inline]
    pub(super) fn number(&mut self, n: u64) {
        self.0.write(&n.to_le_bytes());
    }

    /// Bytes of any number, behind their number.
    #[inline]
    pub(super) fn part(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.write(bytes);
    }

    #[inline]
    pub(super) fn finish(self) -> u128 {
        let hash = self.0.finish128();
        u128::from(hash.h1) | u128::from(hash.h2) << 64
    }
}

/// Elements whose order matters.
#[derive(Clone, Debug)]
pub(crate) struct Ordered {
    sip: Sip,
    count: u64,
}

impl Ordered {
    pub(crate) fn new(secret: &Secret, of: Use) -> Ordered {
        Ordered {
            sip: secret.hasher(of),
            count: 0,
        }
    }

    /// The next element.
    #[inline]
    pub(crate) fn add(&mut self, element: &[u8]) {
        self.sip.part(element);
        self.count += 1;
    }

    pub(crate) fn finish(mut self) -> u128 {
        self.sip.number(self.count);
        self.sip.finish()
    }
}

/// Elements whose order doesn't matter.
#[derive(Clone, Debug)]
pub(crate) struct Unordered {
    secret: Secret,
    of: Use,
    sum: u128,
    count: u64,
}

impl Unordered {
    pub(crate) fn new(secret: &Secret, of: Use) -> Unordered {
        Unordered {
            secret: *secret,
            of,
            sum: 0,
            count: 0,
        }
    }

    /// An element of one or two parts.
    #[inline]
    pub(crate) fn add(&mut self, first: &[u8], second: &[u8]) {
        self.add_as(self.of, first, second);
    }

    /// As [`add`](Unordered::add), an element that is told apart from all of another use.
    #[inline]
    pub(super) fn add_as(&mut self, of: Use, first: &[u8], second: &[u8]) {
        let mut sip = self.secret.hasher(of);
        sip.part(first);
        sip.fixed(second);
        self.sum = self.sum.wrapping_add(sip.finish());
        self.count += 1;
    }

    pub(crate) fn finish(self) -> u128 {
        let mut sip = self.secret.hasher(Use::Sum);
        sip.fixed(&[self.of as u8]);
        sip.number(self.count);
        sip.fixed(&self.sum.to_le_bytes());
        sip.finish()
    }
}
