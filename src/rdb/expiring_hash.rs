//! Hashes some of whose fields expire, as Redis 8 and Valkey 9 dump them.
//!
//! | layout | what stands there |
//! |---|---|
//! | hash with expiring fields | the earliest moment, a count, then for each field: its moment less the earliest and plus one, or 0 for none; the field; the value |
//! | the same, packed | the earliest moment, a listpack of fields, values and moments, 0 for none |
//! | both before Redis 7.4 was out | no earliest moment; moments as they are |
//! | Valkey's | a count, then for each field: the field, the value, its moment, -1 for none |
//!
//! The first is what is written: fields in a dump have no other order than their hash's. Moments are unix ms, in eight
//! bytes, as a length, or as an element.

use std::io::Read;

use super::decode::count;
use super::error::Fault;
use super::format::kind;
use super::source::Source;
use crate::data::list::Item;
use crate::data::listpack::{self, View};
use crate::data::{Encodings, Hash};

fn eight_bytes<R: Read>(source: &mut Source<R>) -> Result<i64, Fault> {
    Ok(i64::from_le_bytes(source.array()?))
}

/// Adds a field; each may come once.
fn add(
    hash: &mut Hash,
    field: &[u8],
    value: &[u8],
    moment: Option<i64>,
    encodings: &Encodings,
) -> Result<(), Fault> {
    if !hash.insert(field, value, encodings) {
        return Err(Fault::Corrupt("hash: a field comes twice"));
    }
    if moment.is_some() {
        hash.set_moment(field, moment, encodings);
    }
    Ok(())
}

/// A value of one of Redis's kinds.
pub(super) fn read<R: Read>(
    source: &mut Source<R>,
    kind: u8,
    encodings: &Encodings,
) -> Result<Hash, Fault> {
    let has_earliest = matches!(kind, kind::HASH_EXPIRING | kind::HASH_LISTPACK_EXPIRING);
    let earliest = match has_earliest {
        true => Some(eight_bytes(source)?),
        false => None,
    };
    match kind {
        kind::HASH_EXPIRING | kind::HASH_EXPIRING_PRE_GA => plain(source, earliest, encodings),
        _ => packed(source.encoded()?, encodings),
    }
}

fn plain<R: Read>(
    source: &mut Source<R>,
    earliest: Option<i64>,
    encodings: &Encodings,
) -> Result<Hash, Fault> {
    const BAD_MOMENT: Fault = Fault::Corrupt("hash: a field's expiry is out of range");
    let mut hash = Hash::new();
    let (mut field, mut value) = (Vec::new(), Vec::new());
    for _ in 0..count(source)? {
        let moment = match source.length()? {
            0 => None,
            moment => {
                let moment = i64::try_from(moment).map_err(|_| BAD_MOMENT)?;
                let moment = match earliest {
                    Some(earliest) => earliest.checked_add(moment - 1).ok_or(BAD_MOMENT)?,
                    None => moment,
                };
                Some(moment)
            }
        };
        field.clear();
        value.clear();
        source.text_to(&mut field)?;
        source.text_to(&mut value)?;
        add(&mut hash, &field, &value, moment, encodings)?;
    }
    Ok(hash)
}

fn packed(bytes: &[u8], encodings: &Encodings) -> Result<Hash, Fault> {
    listpack::validate(bytes).map_err(|_| Fault::Corrupt("listpack"))?;
    let view = View::from_validated_bytes(bytes);
    let mut items = view.iter();
    let mut hash = Hash::new();
    while let Some(field) = items.next() {
        let (Some(value), Some(moment)) = (items.next(), items.next()) else {
            return Err(Fault::Corrupt("hash: not fields, values and expiries"));
        };
        let moment = match moment {
            Item::Int(0) => None,
            Item::Int(moment) => Some(moment),
            Item::Bytes(_) => return Err(Fault::Corrupt("hash: a field's expiry is no number")),
        };
        field.with(|field| value.with(|value| add(&mut hash, field, value, moment, encodings)))?;
    }
    match hash.is_empty() {
        true => Err(Fault::Empty),
        false => Ok(hash),
    }
}

/// A value of Valkey's kind 22.
pub(super) fn read_valkey<R: Read>(
    source: &mut Source<R>,
    encodings: &Encodings,
) -> Result<Hash, Fault> {
    let mut hash = Hash::new();
    let (mut field, mut value) = (Vec::new(), Vec::new());
    for _ in 0..count(source)? {
        field.clear();
        value.clear();
        source.text_to(&mut field)?;
        source.text_to(&mut value)?;
        let moment = Some(eight_bytes(source)?).filter(|moment| *moment != -1);
        add(&mut hash, &field, &value, moment, encodings)?;
    }
    Ok(hash)
}

/// The earliest moment of a hash's fields, if any expires.
pub(super) fn earliest(hash: &Hash) -> Option<i64> {
    if hash.expiring_fields() == 0 {
        return None;
    }
    hash.held().filter_map(|(.., moment)| moment).min()
}

/// A field's moment as a dump has it after the earliest one.
pub(super) fn relative(moment: Option<i64>, earliest: i64) -> u64 {
    moment.map_or(0, |moment| moment.abs_diff(earliest) + 1)
}

#[cfg(test)]
mod tests {
    use super::super::payload;
    use super::super::writer::Encoder;
    use super::*;
    use crate::data::Value;

    fn unhex(hex: &str) -> Vec<u8> {
        let digits = hex.as_bytes().as_chunks::<2>().0;
        let byte = |pair: &[u8; 2]| {
            let text = std::str::from_utf8(pair).expect("ASCII");
            u8::from_str_radix(text, 16).expect("hexadecimal")
        };
        digits.iter().map(byte).collect()
    }

    /// The fields in order: name, value, moment.
    fn fields(value: &Value) -> Vec<(String, String, Option<i64>)> {
        let Value::Hash(hash) = value else {
            panic!("a hash");
        };
        let text = |item: Item<'_>| item.with(|bytes| bytes.escape_ascii().to_string());
        let mut fields: Vec<_> = hash
            .held()
            .map(|(field, value, moment)| (text(field), text(value), moment))
            .collect();
        fields.sort();
        fields
    }

    fn field(name: &str, value: &str, moment: Option<i64>) -> (String, String, Option<i64>) {
        (name.into(), value.into(), moment)
    }

    #[test]
    fn what_other_makes_wrote() {
        const AT: i64 = 2_000_000_000_000;
        let three = vec![
            field("a", "1", Some(AT)),
            field("b", "2", Some(AT + 500)),
            field("c", "3", None),
        ];
        let two = vec![field("a", "1", Some(AT)), field("b", "2", None)];
        // HSET t a 1 b 2 c 3, HPEXPIREAT, DUMP at Redis 8.2.3 and Valkey 9.1.2, with both encodings.
        for (hex, want) in [
            (
                "1800204aa9d101000003000163c00341f50162c002010161c0010c005211059a995fa39d",
                &three,
            ),
            (
                "1900204aa9d10100001d1d00000006008161020101f400204aa9d10100000981620202010001ff0c0099f4358baf6ce13d",
                &two,
            ),
            (
                "16030161c00100204aa9d10100000162c002f4214aa9d10100000163c003ffffffffffffffff500095e90064ad642517",
                &three,
            ),
            (
                "16020161c00100204aa9d10100000162c002ffffffffffffffff500079f71a044e8cf9ec",
                &two,
            ),
        ] {
            let encodings = Encodings::default();
            let value = payload::read(&unhex(hex), &encodings).expect("a payload");
            assert_eq!(&fields(&value), want);
            let again = payload::write(&mut Encoder::new(true), value.as_ref());
            let again = payload::read(&again, &encodings).expect("what we wrote");
            assert_eq!(&fields(&again), want);
        }
    }
}
