//! A node in Redis's form, a listpack, as dumps hold it: out, and in with every check.
//!
//! Its elements are: how many entries are there, how many are marked as deleted, how many master fields, those
//! fields, 0; then for each entry flags, milliseconds and number above the node's id, the number of fields and the
//! fields with their values (or the values of the master fields alone), and how many elements that were.

use std::iter;

use super::StreamId;
use super::entries::Loader;
use super::node::{Node, packed_count};
use crate::data::list::Item;
use crate::data::listpack::{self, Encoded, View};

/// Marked as deleted.
const DELETED: i64 = 1;
/// Its fields are the master fields.
const SAME_FIELDS: i64 = 2;

/// A node's listpack.
pub(super) fn to_listpack(node: &Node) -> Vec<u8> {
    let counts = [
        i64::from(node.live),
        i64::from(node.deleted),
        node.master_field_count() as i64,
    ];
    let head = counts.into_iter().map(Encoded::Int);
    let fields = node.master_fields().map(Encoded::from);
    let entries = node.iter().flat_map(move |entry| {
        let own = entry.has_own_fields();
        let flags = if own { 0 } else { SAME_FIELDS };
        let flags = flags | if entry.is_deleted() { DELETED } else { 0 };
        let above = [
            flags,
            entry.id.ms.wrapping_sub(node.first.ms) as i64,
            entry.id.seq.wrapping_sub(node.first.seq) as i64,
        ];
        let count = own.then_some(Encoded::Int(entry.len() as i64));
        let pairs = entry.pairs().flat_map(move |(field, value)| {
            let field = own.then_some(Encoded::from(field));
            field.into_iter().chain([Encoded::from(value)])
        });
        let end = Encoded::Int(packed_count(own, entry.len()));
        let above = above.into_iter().map(Encoded::Int);
        above.chain(count).chain(pairs).chain([end])
    });
    let elements = head.chain(fields).chain([Encoded::Int(0)]).chain(entries);
    listpack::bytes_of(elements, node.packed_len())
}

/// The elements of a listpack that is being read as a node.
struct Elements<'a> {
    view: View<'a>,
    next: Option<usize>,
}

const CUT: &str = "stream: a node ends in the middle of an entry";
const BAD: &str = "stream: a node's numbers";

impl<'a> Elements<'a> {
    fn next(&mut self) -> Result<Item<'a>, &'static str> {
        let at = self.next.ok_or(CUT)?;
        self.next = self.view.next(at);
        Ok(self.view.get(at))
    }

    fn int(&mut self) -> Result<i64, &'static str> {
        match self.next()? {
            Item::Int(n) => Ok(n),
            Item::Bytes(_) => Err(BAD),
        }
    }

    fn count(&mut self) -> Result<usize, &'static str> {
        usize::try_from(self.int()?).map_err(|_| BAD)
    }

    /// So many elements, checked to be there; they are walked again where they are used.
    fn skip(
        &mut self,
        count: usize,
    ) -> Result<impl Iterator<Item = Encoded<'a>> + Clone + use<'a>, &'static str> {
        let (view, mut at) = (self.view, self.next);
        for _ in 0..count {
            self.next()?;
        }
        let mut left = count;
        Ok(iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let element = view.get(at?);
            at = view.next(at?);
            Some(Encoded::from(element))
        }))
    }
}

/// Adds a node's entries to a stream that is being loaded. `bytes` have passed [`listpack::validate`]; what
/// is wrong with them as a node is the error.
pub(super) fn load(
    loader: &mut Loader<'_>,
    master: StreamId,
    bytes: &[u8],
) -> Result<(), &'static str> {
    let view = View::from_validated_bytes(bytes);
    let mut elements = Elements {
        view,
        next: view.first(),
    };
    let (live, deleted) = (elements.count()?, elements.count()?);
    let fields = elements.count()?;
    let master_fields = elements.skip(fields)?;
    if elements.int()? != 0 {
        return Err(BAD);
    }
    loader.begin_node(master, master_fields.clone())?;
    let mut seen_deleted = 0;
    let total = live.checked_add(deleted).ok_or(BAD)?;
    for _ in 0..total {
        let flags = elements.int()?;
        let (ms, seq) = (elements.int()?, elements.int()?);
        let id = StreamId::new(
            master.ms.wrapping_add(ms as u64),
            master.seq.wrapping_add(seq as u64),
        );
        let is_deleted = flags & DELETED != 0;
        let own = match flags & SAME_FIELDS {
            0 => Some(elements.count()?),
            _ => None,
        };
        let count = own.unwrap_or(fields);
        let all = match own {
            Some(own) => own.checked_mul(2).ok_or(BAD)?,
            None => fields,
        };
        let body = elements.skip(all)?;
        if elements.int()? != packed_count(own.is_some(), count) {
            return Err(BAD);
        }
        seen_deleted += usize::from(is_deleted);
        loader.entry(id, is_deleted, own, body, &master_fields)?;
    }
    if seen_deleted != deleted || elements.next.is_some() {
        return Err(BAD);
    }
    Ok(())
}
