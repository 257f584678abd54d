//! The digest of values and datasets that DEBUG DIGEST and DEBUG DIGEST-VALUE show.
//!
//! It is Redis's own, so that two nodes hold the same data exactly if their digests agree, whatever either
//! of them is. Two operations build it from SHA-1: *adding* xors the hash of some bytes into a digest,
//! which forgets order; *mixing* also hashes the result, which keeps order. Elements of sets, hashes and
//! sorted sets are added, elements of lists mixed, whole entries added to the dataset.
//!
//! Scores enter as text, and Redis 7.0 writes that text otherwise than 7.2: see [`ScoreForm`].

use std::collections::BTreeMap;

use sha1::{Digest as _, Sha1};

use crate::data::stream::StreamId;
use crate::data::{Kind, ValueRef};
use crate::keyspace::Entered;
use crate::resp::reply::format_double;

/// A digest, as 20 bytes.
pub(crate) type Digest = [u8; 20];

/// How a score is written before it is hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScoreForm {
    /// 17 significant digits, as printf's `%.17g`: Redis up to 7.0. Equal to the other for integers.
    #[default]
    Digits17,
    /// The fewest digits that read back the same: Redis 7.2 and Valkey.
    Shortest,
}

impl ScoreForm {
    fn with<T>(self, score: f64, f: impl FnOnce(&[u8]) -> T) -> T {
        // Integers, which nearly all scores are, look the same in both forms.
        if score.fract() == 0.0 && score.abs() < 1e15 && !(score == 0.0 && score.is_sign_negative())
        {
            return f(itoa::Buffer::new().format(score as i64).as_bytes());
        }
        match self {
            ScoreForm::Digits17 => f(digits17(score).as_bytes()),
            ScoreForm::Shortest => f(format_double(score).as_bytes()),
        }
    }
}

/// A double as C's `%.17g` prints it.
pub(crate) fn digits17(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.into();
    }
    let scientific = format!("{value:.16e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| -> String {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if (-4..17).contains(&exponent) {
        trim(&format!("{value:.*}", (16 - exponent) as usize))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", trim(digits), exponent.abs())
    }
}

fn sha1(bytes: &[u8]) -> Digest {
    Sha1::digest(bytes).into()
}

fn xor(digest: &mut Digest, other: &Digest) {
    for (a, b) in digest.iter_mut().zip(other) {
        *a ^= b;
    }
}

/// Takes bytes in without regard to order.
fn add(digest: &mut Digest, bytes: &[u8]) {
    xor(digest, &sha1(bytes));
}

/// Takes bytes in so that order counts.
fn mix(digest: &mut Digest, bytes: &[u8]) {
    add(digest, bytes);
    *digest = sha1(digest);
}

/// The number by which a type enters the digest.
fn type_number(kind: Kind) -> u32 {
    match kind {
        Kind::String => 0,
        Kind::List => 1,
        Kind::Set => 2,
        Kind::Zset => 3,
        Kind::Hash => 4,
        Kind::Stream => 6,
    }
}

/// Takes a value in: its type, its elements, and whether it has an expiry (not which).
pub(crate) fn mix_value(digest: &mut Digest, value: ValueRef<'_>, expires: bool, form: ScoreForm) {
    mix(digest, &type_number(value.kind()).to_be_bytes());
    match value {
        ValueRef::String(text) => text.with(|bytes| mix(digest, bytes)),
        ValueRef::List(list) => {
            for item in list.iter() {
                item.with(|bytes| mix(digest, bytes));
            }
        }
        ValueRef::Set(set) => {
            for item in set.iter() {
                item.with(|bytes| add(digest, bytes));
            }
        }
        ValueRef::Hash(hash) => {
            for (field, value, _) in hash.held() {
                let mut pair = [0; 20];
                field.with(|bytes| mix(&mut pair, bytes));
                value.with(|bytes| mix(&mut pair, bytes));
                add(digest, &pair);
            }
        }
        ValueRef::Zset(zset) => {
            for (member, score) in zset.iter() {
                let mut pair = [0; 20];
                member.with(|bytes| mix(&mut pair, bytes));
                form.with(score, |text| mix(&mut pair, text));
                add(digest, &pair);
            }
        }
        ValueRef::Stream(stream) => {
            for entry in stream.entries.range(StreamId::MIN, StreamId::MAX) {
                mix(
                    digest,
                    format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes(),
                );
                for (field, value) in entry.pairs() {
                    field.with(|bytes| mix(digest, bytes));
                    value.with(|bytes| mix(digest, bytes));
                }
            }
        }
    }
    if expires {
        add(digest, b"!!expire!!");
    }
}

/// The digest of one value, as DEBUG DIGEST-VALUE shows it.
pub fn value_digest(value: ValueRef<'_>, expires: bool, form: ScoreForm) -> Digest {
    let mut digest = [0; 20];
    mix_value(&mut digest, value, expires, form);
    digest
}

/// The digest of a dataset, taken in entry by entry, in any order.
#[derive(Clone, Debug, Default)]
pub struct DatasetDigest {
    /// The sum of each database's entries.
    databases: BTreeMap<u32, Digest>,
    form: ScoreForm,
}

impl DatasetDigest {
    pub fn new(form: ScoreForm) -> DatasetDigest {
        DatasetDigest {
            databases: BTreeMap::new(),
            form,
        }
    }

    pub fn add(&mut self, db: u32, key: &[u8], value: ValueRef<'_>, expires: bool) {
        let mut entry = [0; 20];
        mix(&mut entry, key);
        mix_value(&mut entry, value, expires, self.form);
        add(self.databases.entry(db).or_default(), &entry);
    }

    pub fn finish(&self) -> Digest {
        let mut digest = [0; 20];
        for (db, entries) in &self.databases {
            mix(&mut digest, &db.to_be_bytes());
            xor(&mut digest, entries);
        }
        digest
    }
}

/// The digest of everything in the entered shards; all of them must be entered for the node's digest.
/// Keys that have expired but are still there count, as in Redis.
pub(crate) fn dataset_digest(keys: &Entered<'_>, form: ScoreForm) -> Digest {
    let mut digest = DatasetDigest::new(form);
    for shard in keys.iter() {
        for (db, part) in (0..).zip(&shard.dbs) {
            for entry in part.iter() {
                digest.add(db, entry.key, entry.value, entry.expire_at.is_some());
            }
        }
    }
    digest.finish()
}

/// A digest as 40 hexadecimal digits.
pub fn hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::StrRef;

    #[test]
    fn printf_form() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-3.5, "-3.5"),
            (0.1, "0.10000000000000001"),
            (0.0001, "0.0001"),
            (0.00001, "1.0000000000000001e-05"),
            (1e16, "10000000000000000"),
            (123456789012345678.0, "1.2345678901234568e+17"),
            (1e17, "1e+17"),
            (1e100, "1e+100"),
            (6.02214, "6.0221400000000003"),
            (5e-324, "4.9406564584124654e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (9.5e-5, "9.5000000000000005e-05"),
            (99999999999999999.0, "1e+17"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(digits17(value), text);
        }
    }

    #[test]
    fn strings_digest_as_redis_computes() {
        // Taken from redis-server: SET k v; SELECT 9; SET n 12345; EXPIRE n 1000.
        let text = |bytes| ValueRef::String(StrRef::Bytes(bytes));
        let digest = value_digest(text(b"v"), false, ScoreForm::default());
        assert_eq!(hex(&digest), "d79ee9fe5d5ad902d7f6620efc3b07b75ddd742f");
        let mut all = DatasetDigest::new(ScoreForm::default());
        all.add(0, b"k", text(b"v"), false);
        assert_eq!(
            hex(&all.finish()),
            "264ccf65edec66bccfa7cc659414ccca432057d2"
        );
        all.add(9, b"n", ValueRef::String(StrRef::Int(12345)), true);
        assert_eq!(
            hex(&all.finish()),
            "b99cf8735de4f338b399c02981e4b96209a65b37"
        );
    }
}
