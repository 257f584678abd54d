//! The form in which DUMP gives one value away and RESTORE takes it: kind and value as in a dump, then the
//! format's version (two bytes) and the checksum of everything before it (eight bytes), little endian.
//!
//! The version is that of the dumps that the writer makes, not of this value: every version holds the older
//! types unchanged. Written with version 10, so that Redis from 5 on restores it; read up to the newest version,
//! and Valkey's, whose numbers of types newer than those of Redis 7.2 mean something else.

use super::crc64::crc64;
use super::decode;
use super::error::Fault;
use super::expiring_hash;
use super::format::{NEWEST_VERSION, VALKEY_VERSIONS, WRITTEN_VERSION, kind};
use super::source::{BUFFER_BYTES, Source};
use super::writer::{Encoder, kind_of};
use crate::data::{Encodings, Value, ValueRef};

const FOOTER_BYTES: usize = 10;
const CHECKSUM_BYTES: usize = 8;
/// To Redis this number is another layout.
const VALKEY_HASH_EXPIRING: u8 = 22;

/// Why a payload was refused.
#[derive(Debug)]
pub enum PayloadError {
    /// Too short, too new, or not what was written.
    VersionOrChecksum,
    /// The value does not decode.
    BadFormat(Fault),
}

/// A value as a payload.
pub fn write(encoder: &mut Encoder, value: ValueRef<'_>) -> Vec<u8> {
    let mut out = vec![kind_of(value)];
    encoder.value(&mut out, value);
    finish(&mut out);
    out
}

/// Adds what every payload ends with: version and checksum.
pub(super) fn finish(out: &mut Vec<u8>) {
    out.extend_from_slice(&(WRITTEN_VERSION as u16).to_le_bytes());
    let crc = crc64(out);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// What stands before version and checksum. None: they are wrong.
pub(super) fn body(payload: &[u8]) -> Option<&[u8]> {
    let body = payload.len().checked_sub(FOOTER_BYTES)?;
    let (summed, crc) = payload.split_at(payload.len() - CHECKSUM_BYTES);
    let version = u32::from(u16::from_le_bytes([summed[body], summed[body + 1]]));
    let is_known = version <= NEWEST_VERSION || VALKEY_VERSIONS.contains(&version);
    (is_known && crc64(summed).to_le_bytes() == crc).then(|| &summed[..body])
}

/// The value of a payload.
pub fn read(payload: &[u8], encodings: &Encodings) -> Result<Value, PayloadError> {
    read_checked(payload, encodings, true).map(|(value, _)| value)
}

/// The value of a payload, whose checksum need not be right if it isn't `checked`; and how many encoded collections
/// and nodes of such it held.
pub(crate) fn read_checked(
    payload: &[u8],
    encodings: &Encodings,
    checked: bool,
) -> Result<(Value, u64), PayloadError> {
    let body = payload
        .len()
        .checked_sub(FOOTER_BYTES)
        .ok_or(PayloadError::VersionOrChecksum)?;
    let (summed, crc) = payload.split_at(payload.len() - CHECKSUM_BYTES);
    let version = u32::from(u16::from_le_bytes([summed[body], summed[body + 1]]));
    let fails = || checked && crc64(summed).to_le_bytes() != crc;
    let is_valkey = VALKEY_VERSIONS.contains(&version);
    if (version > NEWEST_VERSION && !is_valkey) || fails() {
        return Err(PayloadError::VersionOrChecksum);
    }
    let body = &summed[..body];
    let mut source = Source::with_buffer(body, false, body.len().min(BUFFER_BYTES));
    let kind = source.byte().map_err(PayloadError::BadFormat)?;
    if is_valkey && kind == VALKEY_HASH_EXPIRING {
        let hash = expiring_hash::read_valkey(&mut source, encodings);
        let hash = hash.map_err(PayloadError::BadFormat)?;
        return Ok((Value::Hash(hash), source.encoded_taken()));
    }
    if is_valkey && kind > kind::STREAM_LISTPACKS_3 {
        let fault = Fault::Unsupported(format!("Valkey's value type {kind}"));
        return Err(PayloadError::BadFormat(fault));
    }
    match decode::value(&mut source, kind, encodings) {
        Ok(value) => {
            let value = value.into_value();
            Ok((value, source.encoded_taken()))
        }
        Err(fault) => Err(PayloadError::BadFormat(fault)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::StrRef;

    #[test]
    fn what_redis_wrote() {
        // redis-server 7.0: SET k hello; DUMP k.
        let payload = b"\x00\x05hello\x0a\x00cr\xdfve4 \x0a";
        let value = read(payload, &Encodings::default()).unwrap();
        assert!(matches!(&value, Value::String(s) if s == b"hello"));
        assert_eq!(write(&mut Encoder::new(true), value.as_ref()), payload);
        for at in 0..payload.len() {
            let mut bad = payload.to_vec();
            bad[at] ^= 1;
            assert!(matches!(
                read(&bad, &Encodings::default()),
                Err(PayloadError::VersionOrChecksum)
            ));
            assert!(read(&payload[..at], &Encodings::default()).is_err());
        }
        let mut unsummed = payload.to_vec();
        unsummed[payload.len() - 1] ^= 1;
        assert!(read_checked(&unsummed, &Encodings::default(), false).is_ok());
        for at in 0..payload.len() - CHECKSUM_BYTES {
            assert!(read_checked(&payload[..at], &Encodings::default(), false).is_err());
        }
    }

    fn seal(body: &[u8], version: u16) -> Vec<u8> {
        let mut out = body.to_vec();
        out.extend_from_slice(&version.to_le_bytes());
        let crc = crc64(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    #[test]
    fn what_valkey_wrote() {
        // valkey-server 9.1: SADD s a b; DUMP s.
        let payload = b"\x14\x0d\x0d\x00\x00\x00\x02\x00\x81a\x02\x81b\x02\xffP\x00\xac\x19~V*nX)";
        let value = read(payload, &Encodings::default()).unwrap();
        assert!(matches!(&value, Value::Set(set) if set.len() == 2));
        // HSETEX h2 EX 1000 FIELDS 1 a b; DUMP h2.
        let payload = b"\x16\x01\x01a\x01b3\x9d:!\xa2\x01\x00\x00P\x00\xc72\xc5\xadV.\x18\x08";
        let value = read(payload, &Encodings::default()).unwrap();
        assert!(matches!(&value, Value::Hash(hash) if hash.expiring_fields() == 1));
        let refused = read(&seal(b"\x17\x01a", 80), &Encodings::default()).unwrap_err();
        let PayloadError::BadFormat(fault) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(fault.to_string(), "Valkey's value type 23 is not supported");
        for (version, good) in [(79, false), (80, true), (81, true), (82, false)] {
            let value = read(&seal(b"\x00\x01a", version), &Encodings::default());
            assert_eq!(value.is_ok(), good, "{version}");
        }
    }

    #[test]
    fn newer_versions_and_bad_values_are_refused() {
        let read = |payload: Vec<u8>| read(&payload, &Encodings::default());
        assert!(read(seal(b"\x00\x01a", 12)).is_ok());
        assert!(matches!(
            read(seal(b"\x00\x01a", 13)),
            Err(PayloadError::VersionOrChecksum)
        ));
        for body in [
            &b""[..],
            b"\x00",
            b"\x00\x05a",
            b"\x02\x00",
            b"\x0f\x01a",
            b"\xff\x01a",
        ] {
            assert!(matches!(
                read(seal(body, 10)),
                Err(PayloadError::BadFormat(_))
            ));
        }
    }

    #[test]
    fn integers_and_long_strings() {
        let mut encoder = Encoder::new(true);
        for n in [0, -1, 127, 128, 70_000, i64::MAX, i64::MIN] {
            let payload = write(&mut encoder, ValueRef::String(StrRef::Int(n)));
            let value = read(&payload, &Encodings::default()).unwrap();
            assert!(matches!(value, Value::String(s) if s == n.to_string().as_bytes()));
        }
        let long = b"a long string, long ".repeat(50_000);
        for compression in [false, true] {
            let payload = write(
                &mut Encoder::new(compression),
                ValueRef::String(StrRef::Bytes(&long)),
            );
            assert_eq!(payload.len() < 100_000, compression);
            let value = read(&payload, &Encodings::default()).unwrap();
            assert!(matches!(value, Value::String(s) if s == long));
        }
    }
}
