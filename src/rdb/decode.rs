//! One encoded value, from the source into a container.
//!
//! Compact encodings are checked to the last byte (structure, pairs, duplicates, order of scores) before a
//! container takes them over as they are: the check is a walk over bytes that are in the cache anyway, and
//! afterwards nothing in the node has to doubt them. What is beyond a threshold of [`Encodings`] is loaded
//! into the large form, as Redis does.

use std::io::Read;

use super::error::Fault;
use super::expiring_hash;
use super::format::{kind, kind_name, module_name, node};
use super::legacy;
use super::source::{Source, Text};
use super::stream;
use crate::data::list::{End, Item};
use crate::data::listpack::{self, Listpack, View};
use crate::data::member::Member;
use crate::data::{Encodings, Hash, List, Set, Value, Zset, intset};

/// A decoded value; strings are lent, so that a loader can copy them straight to their place.
#[derive(Debug)]
pub enum Decoded<'a> {
    Text(Text<'a>),
    Value(Value),
}

impl Decoded<'_> {
    /// The value, owned.
    pub fn into_value(self) -> Value {
        match self {
            Decoded::Text(text) => Value::String(text.with(<[u8]>::to_vec)),
            Decoded::Value(value) => value,
        }
    }
}

/// Reads the value whose type has been read. `Fault::Empty` if it is a collection without elements;
/// the source then stands behind it.
pub fn value<'a, R: Read>(
    source: &'a mut Source<R>,
    kind: u8,
    encodings: &Encodings,
) -> Result<Decoded<'a>, Fault> {
    let value = match kind {
        kind::STRING => return Ok(Decoded::Text(source.text()?)),
        kind::LIST => Value::List(Box::new(plain_list(source, encodings)?)),
        kind::SET => Value::Set(plain_set(source, encodings)?),
        kind::ZSET => Value::Zset(plain_zset(source, encodings, Source::double_text)?),
        kind::ZSET_2 => Value::Zset(plain_zset(source, encodings, Source::double)?),
        kind::HASH => Value::Hash(plain_hash(source, encodings)?),
        kind::HASH_ZIPMAP => Value::Hash(zipmap_hash(source.encoded()?, encodings)?),
        kind::LIST_ZIPLIST => Value::List(Box::new(ziplist_list(source.encoded()?, encodings)?)),
        kind::SET_INTSET => Value::Set(intset_set(source.encoded()?, encodings)?),
        kind::SET_LISTPACK => Value::Set(listpack_set(source.encoded()?, encodings)?),
        kind::ZSET_ZIPLIST => {
            let packed = ziplist_to_listpack(source.encoded()?)?;
            Value::Zset(listpack_zset(packed.as_bytes(), encodings)?)
        }
        kind::ZSET_LISTPACK => Value::Zset(listpack_zset(source.encoded()?, encodings)?),
        kind::HASH_ZIPLIST => {
            let packed = ziplist_to_listpack(source.encoded()?)?;
            Value::Hash(listpack_hash(packed.as_bytes(), encodings)?)
        }
        kind::HASH_LISTPACK => Value::Hash(listpack_hash(source.encoded()?, encodings)?),
        kind::HASH_EXPIRING_PRE_GA..=kind::HASH_LISTPACK_EXPIRING => {
            Value::Hash(expiring_hash::read(source, kind, encodings)?)
        }
        kind::LIST_QUICKLIST | kind::LIST_QUICKLIST_2 => {
            Value::List(Box::new(quicklist(source, kind, encodings)?))
        }
        kind::STREAM_LISTPACKS | kind::STREAM_LISTPACKS_2 | kind::STREAM_LISTPACKS_3 => {
            Value::Stream(Box::new(stream::read(source, kind)?))
        }
        kind::MODULE_2 => {
            let id = source.length()?;
            let name = module_name(id);
            return Err(Fault::Unsupported(format!("module type \"{name}\"")));
        }
        _ => {
            return Err(Fault::Unsupported(match kind_name(kind) {
                Some(name) => format!("type {kind}, {name},"),
                None => format!("value type {kind}"),
            }));
        }
    };
    Ok(Decoded::Value(value))
}

/// A count of elements, of which there must be some.
pub(super) fn count<R: Read>(source: &mut Source<R>) -> Result<u64, Fault> {
    match source.length()? {
        0 => Err(Fault::Empty),
        count => Ok(count),
    }
}

fn plain_list<R: Read>(source: &mut Source<R>, encodings: &Encodings) -> Result<List, Fault> {
    let mut list = List::new();
    for _ in 0..count(source)? {
        source
            .text()?
            .with(|bytes| list.push(End::Tail, bytes, encodings));
    }
    Ok(list)
}

/// How large a table is made for a declared count, before any element has been seen. Beyond, it grows.
const PRESIZED_ELEMENTS: u64 = 1 << 16;

fn plain_set<R: Read>(source: &mut Source<R>, encodings: &Encodings) -> Result<Set, Fault> {
    let count = count(source)?;
    let mut set = Set::for_load(count.min(PRESIZED_ELEMENTS) as usize, encodings);
    for _ in 0..count {
        if !source.text()?.with(|member| set.insert(member, encodings)) {
            return Err(Fault::Corrupt("set: a member comes twice"));
        }
    }
    Ok(set)
}

fn plain_hash<R: Read>(source: &mut Source<R>, encodings: &Encodings) -> Result<Hash, Fault> {
    let count = count(source)?;
    let mut hash = Hash::for_load(count.min(PRESIZED_ELEMENTS) as usize, encodings);
    let mut field = Vec::new();
    for _ in 0..count {
        field.clear();
        source.text_to(&mut field)?;
        if !source
            .text()?
            .with(|value| hash.insert(&field, value, encodings))
        {
            return Err(Fault::Corrupt("hash: a field comes twice"));
        }
    }
    Ok(hash)
}

fn plain_zset<R: Read>(
    source: &mut Source<R>,
    encodings: &Encodings,
    read_score: fn(&mut Source<R>) -> Result<f64, Fault>,
) -> Result<Zset, Fault> {
    let count = count(source)?;
    let mut members = Vec::with_capacity(count.min(PRESIZED_ELEMENTS) as usize);
    for _ in 0..count {
        let bytes = source.text()?;
        // Made before its score is read, since its bytes are lent until then.
        let member = bytes.with(|bytes| {
            u32::try_from(bytes.len())
                .map(|_| Member::new(bytes, 0.0))
                .map_err(|_| Fault::Corrupt("sorted set: a member of 4 GB"))
        })?;
        let score = read_score(source)?;
        if score.is_nan() {
            return Err(Fault::Corrupt("sorted set: a score is not a number"));
        }
        member.set_score(score);
        members.push(member);
    }
    Zset::of_loaded(members, encodings).ok_or(Fault::Corrupt("sorted set: a member comes twice"))
}

fn quicklist<R: Read>(
    source: &mut Source<R>,
    kind: u8,
    encodings: &Encodings,
) -> Result<List, Fault> {
    let mut list = List::new();
    for _ in 0..count(source)? {
        let container = match kind {
            kind::LIST_QUICKLIST => node::PACKED,
            _ => source.length()?,
        };
        match container {
            node::PLAIN => {
                let element = source.blob()?;
                if element.is_empty() {
                    return Err(Fault::Corrupt("list node"));
                }
                list.push(End::Tail, element, encodings);
            }
            node::PACKED if kind == kind::LIST_QUICKLIST => {
                let packed = ziplist_to_listpack(source.encoded()?)?;
                if !packed.is_empty() {
                    list.push_node(packed.as_bytes().to_vec(), encodings);
                }
            }
            node::PACKED => {
                let packed = source.encoded()?;
                // Redis passes over empty nodes, which it once wrote.
                if check_listpack(packed)? > 0 {
                    list.push_node(packed.to_vec(), encodings);
                }
            }
            _ => return Err(Fault::Corrupt("list node")),
        }
    }
    if list.is_empty() {
        return Err(Fault::Empty);
    }
    Ok(list)
}

fn check_listpack(bytes: &[u8]) -> Result<usize, Fault> {
    listpack::validate(bytes).map_err(|invalid| Fault::Corrupt(invalid.what))
}

/// Rewrites a ziplist as the listpack of the same elements.
fn ziplist_to_listpack(bytes: &[u8]) -> Result<Listpack, Fault> {
    let mut packed = Listpack::new();
    legacy::ziplist(bytes, |text| {
        match text {
            Text::Int(n) => packed.append_int(n),
            Text::Bytes(text) if packed.fits(Listpack::cost(text)) => packed.append(text),
            Text::Bytes(_) => return Err(Fault::Corrupt("ziplist: too large")),
        }
        Ok(())
    })?;
    Ok(packed)
}

fn ziplist_list(bytes: &[u8], encodings: &Encodings) -> Result<List, Fault> {
    let mut list = List::new();
    legacy::ziplist(bytes, |text| {
        text.with(|bytes| list.push(End::Tail, bytes, encodings));
        Ok(())
    })?;
    if list.is_empty() {
        return Err(Fault::Empty);
    }
    Ok(list)
}

fn zipmap_hash(bytes: &[u8], encodings: &Encodings) -> Result<Hash, Fault> {
    let mut hash = Hash::new();
    legacy::zipmap(bytes, |field, value| {
        if hash.insert(field, value, encodings) {
            Ok(())
        } else {
            Err(Fault::Corrupt("hash: a field comes twice"))
        }
    })?;
    Ok(hash)
}

fn intset_set(bytes: &[u8], encodings: &Encodings) -> Result<Set, Fault> {
    intset::validate(bytes).map_err(|invalid| Fault::Corrupt(invalid.what))?;
    Ok(Set::from_intset(bytes, encodings))
}

fn listpack_set(bytes: &[u8], encodings: &Encodings) -> Result<Set, Fault> {
    let view = elements(bytes)?;
    if has_duplicates(view.iter()) {
        return Err(Fault::Corrupt("set: a member comes twice"));
    }
    Ok(Set::from_listpack(bytes, encodings))
}

fn listpack_hash(bytes: &[u8], encodings: &Encodings) -> Result<Hash, Fault> {
    let view = pairs(bytes)?;
    if has_duplicates(view.pairs().map(|(field, _)| field)) {
        return Err(Fault::Corrupt("hash: a field comes twice"));
    }
    Ok(Hash::from_listpack(bytes, encodings))
}

fn listpack_zset(bytes: &[u8], encodings: &Encodings) -> Result<Zset, Fault> {
    let view = pairs(bytes)?;
    if has_duplicates(view.pairs().map(|(member, _)| member)) {
        return Err(Fault::Corrupt("sorted set: a member comes twice"));
    }
    let mut ordered = true;
    let mut before: Option<(Item<'_>, f64)> = None;
    for (member, score) in view.pairs() {
        let score = score_of(score).ok_or(Fault::Corrupt("sorted set: a score is not a number"))?;
        if let Some((earlier, least)) = before {
            ordered &=
                least < score || (least == score && earlier.with(|a| member.with(|b| a < b)));
        }
        before = Some((member, score));
    }
    if ordered {
        return Ok(Zset::from_listpack(bytes, encodings));
    }
    // Nobody writes these, but a rank must not lie because somebody did.
    let mut zset = Zset::new();
    for (member, score) in view.pairs() {
        let score = score_of(score).unwrap_or(0.0);
        member.with(|member| zset.insert(member, score, encodings));
    }
    Ok(zset)
}

/// A score as a listpack holds it: an integer, or text.
fn score_of(item: Item<'_>) -> Option<f64> {
    match item {
        Item::Int(n) => Some(n as f64),
        Item::Bytes(text) => std::str::from_utf8(text)
            .ok()?
            .parse::<f64>()
            .ok()
            .filter(|score| !score.is_nan()),
    }
}

fn elements(bytes: &[u8]) -> Result<View<'_>, Fault> {
    match check_listpack(bytes)? {
        0 => Err(Fault::Empty),
        _ => Ok(View::from_validated_bytes(bytes)),
    }
}

fn pairs(bytes: &[u8]) -> Result<View<'_>, Fault> {
    match check_listpack(bytes)? {
        0 => Err(Fault::Empty),
        n if n % 2 == 1 => Err(Fault::Corrupt("listpack: an element without its pair")),
        _ => Ok(View::from_validated_bytes(bytes)),
    }
}

/// Whether two elements are the same text. An integer may be there as such and as text.
fn has_duplicates<'a>(items: impl Iterator<Item = Item<'a>> + Clone) -> bool {
    /// Up to so many, comparing all with all is the quickest.
    const FEW: usize = 16;
    let same = |a: Item<'_>, b: Item<'_>| match (a, b) {
        (Item::Int(a), Item::Int(b)) => a == b,
        (Item::Bytes(a), Item::Bytes(b)) => a == b,
        (Item::Int(n), Item::Bytes(text)) | (Item::Bytes(text), Item::Int(n)) => {
            crate::text::parse_int(text) == Some(n)
        }
    };
    let mut seen = [Item::Int(0); FEW];
    for (count, item) in items.clone().enumerate() {
        if count == FEW {
            return has_duplicates_hashed(items);
        }
        if seen[..count].iter().any(|&earlier| same(earlier, item)) {
            return true;
        }
        seen[count] = item;
    }
    false
}

fn has_duplicates_hashed<'a>(items: impl Iterator<Item = Item<'a>>) -> bool {
    use std::hash::BuildHasher;
    // Seeded per process, so that nobody can prepare collisions.
    let state = foldhash::fast::RandomState::default();
    let mut seen: hashbrown::HashTable<Item<'a>> = hashbrown::HashTable::new();
    let canonical = |item: Item<'a>| match item {
        Item::Bytes(text) => match crate::text::parse_int(text) {
            Some(n) => Item::Int(n),
            None => item,
        },
        Item::Int(_) => item,
    };
    let hash = |item: &Item<'_>| match item {
        Item::Int(n) => state.hash_one(n),
        Item::Bytes(text) => state.hash_one(text),
    };
    for item in items {
        let item = canonical(item);
        match seen.entry(hash(&item), |other| *other == item, hash) {
            hashbrown::hash_table::Entry::Occupied(_) => return true,
            hashbrown::hash_table::Entry::Vacant(place) => {
                place.insert(item);
            }
        }
    }
    false
}
