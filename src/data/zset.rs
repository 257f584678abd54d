//! Sorted sets: a listpack of member, score, ... in order, or a member table beside an ordered tree.
//!
//! The large form keeps every member once, in an allocation that the table (by member) and the tree (by
//! score and rank) both refer to. A clone shares the table's segments and the tree's nodes; a write copies
//! what it touches.
//!
//! Invariants: members are distinct and no score is NaN; a listpack is in rising order of (score, member);
//! table and tree hold the same members.

use std::cmp::Ordering;
use std::ops::Range;

use super::Encodings;
use super::hashing::hash;
use super::list::{End, Item};
use super::listpack::{self, Listpack};
use super::member::Member;
use super::ordered::{Ordered, OrderedRange};
use super::prefetch::Probe;
use super::segtable::SegTable;
use super::tagged_pointer::{Boxed, tagged_union};
use super::zset_range::{LexRange, ScoreRange};
use crate::text::DoubleText;

/// The large form.
#[derive(Clone, Debug)]
struct Large {
    seed: u64,
    table: SegTable<Member>,
    tree: Ordered,
}

impl Large {
    fn with_capacity(members: usize, enc: &Encodings) -> Large {
        Large {
            seed: enc.hash_seed,
            table: SegTable::with_capacity(members),
            tree: Ordered::new(),
        }
    }

    #[inline]
    fn find(&self, member: &[u8]) -> Option<&Member> {
        let hash = hash(self.seed, member);
        self.table.find(hash, |m| m.bytes() == member)
    }

    /// Adds a member that is not there.
    fn add(&mut self, member: Member) {
        let seed = self.seed;
        let hash_of = |m: &Member| hash(seed, m.bytes());
        self.table
            .insert_new(hash_of(&member), member.clone(), hash_of);
        self.tree.insert(member);
    }

    /// Adds a member unless one of these bytes is there; true if it did.
    fn add_if_absent(&mut self, member: Member) -> bool {
        let seed = self.seed;
        let hash_of = |m: &Member| hash(seed, m.bytes());
        let added = self.table.insert_if_absent(
            hash_of(&member),
            |m| m.bytes() == member.bytes(),
            || member.clone(),
            hash_of,
        );
        if added {
            self.tree.insert(member);
        }
        added
    }

    /// Moves a member that is there from its old score to another.
    fn rescore(&mut self, member: &[u8], old: f64, score: f64) {
        let hash = hash(self.seed, member);
        let Some(entry) = self.table.find_mut(hash, |m| m.bytes() == member) else {
            return;
        };
        let Some(taken) = self.tree.remove(old, member) else {
            return;
        };
        // `find_mut` and `remove` have copied the table's segment and the tree's nodes if a clone shares
        // them, and a copy refers to the members anew. So two references, the table's and the one just
        // taken from the tree, mean that no clone sees this member.
        let moved = if taken.references() == 2 {
            taken.set_score(score);
            taken
        } else {
            let moved = Member::new(member, score);
            *entry = moved.clone();
            moved
        };
        self.tree.insert(moved);
    }

    fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let hash = hash(self.seed, member);
        let taken = self.table.remove(hash, |m| m.bytes() == member)?;
        let score = taken.score();
        self.tree.remove(score, member);
        Some(score)
    }

    fn remove_span(&mut self, span: Range<usize>) {
        let (seed, table) = (self.seed, &mut self.table);
        self.tree.remove_span(span, |entry| {
            let bytes = entry.member.bytes();
            table.remove(hash(seed, bytes), |m| m.bytes() == bytes);
        });
    }
}

tagged_union! { Listpack(Listpack), Large(Boxed<Large>) }

/// A sorted set; one word.
#[derive(Clone, Debug)]
#[repr(transparent)]
pub struct Zset {
    repr: Repr,
}

impl Default for Zset {
    fn default() -> Self {
        Zset::new()
    }
}

/// A listpack's score.
#[inline]
fn score_of(item: Item<'_>) -> f64 {
    match item {
        Item::Int(n) => n as f64,
        // Only scores are ever put there, and loaded ones are checked.
        Item::Bytes(text) => (std::str::from_utf8(text).ok())
            .and_then(|text| text.parse().ok())
            .unwrap_or(0.0),
    }
}

/// How a listpack spells a score. Redis keeps integers as such, which turns -0 into 0.
fn score_text(score: f64) -> DoubleText {
    DoubleText::new(if score == 0.0 { 0.0 } else { score })
}

/// Where (score, member) belongs in a listpack of pairs.
fn place_for(pack: &Listpack, score: f64, member: &[u8]) -> usize {
    let view = pack.view();
    let mut at = listpack::HEADER;
    for (other, other_score) in view.pairs() {
        let order = match score_of(other_score).partial_cmp(&score) {
            Some(Ordering::Equal) | None => other.with(|other| other.cmp(member)),
            Some(order) => order,
        };
        if order == Ordering::Greater {
            return at;
        }
        at = view.after(view.after(at));
    }
    at
}

fn insert_pair(pack: &mut Listpack, member: &[u8], score: f64) {
    let at = place_for(pack, score, member);
    pack.insert(at, member);
    pack.insert_after(at, score_text(score).as_bytes());
}

/// Ranks are 0-based from the lowest score; equal scores order by member bytes, as Redis.
impl Zset {
    pub fn new() -> Zset {
        Zset {
            repr: Repr::from(Listpack::new()),
        }
    }

    /// An empty set for about so many members, of which one has this many bytes: Redis begins with the
    /// large form if they pass the thresholds.
    pub(crate) fn for_members(members: usize, bytes: usize, enc: &Encodings) -> Zset {
        let repr =
            if members <= enc.zset_max_listpack_entries && bytes <= enc.zset_max_listpack_value {
                Repr::from(Listpack::new())
            } else {
                Repr::from(Boxed::new(Large::with_capacity(members, enc)))
            };
        Zset { repr }
    }

    /// A set of these members, which must be distinct; in listpack form if the thresholds allow.
    pub(crate) fn of_members(mut members: Vec<Member>, enc: &Encodings) -> Zset {
        members.sort_unstable_by(|a, b| match a.score().partial_cmp(&b.score()) {
            Some(Ordering::Equal) | None => a.bytes().cmp(b.bytes()),
            Some(order) => order,
        });
        let longest = members.iter().map(|m| m.bytes().len()).max().unwrap_or(0);
        let mut zset = Zset::for_members(members.len(), longest, enc);
        match zset.repr.form_mut() {
            FormMut::Listpack(pack) => {
                for member in members {
                    pack.append(member.bytes());
                    pack.append(score_text(member.score()).as_bytes());
                }
            }
            FormMut::Large(large) => members.into_iter().for_each(|m| large.add(m)),
        }
        zset
    }

    /// As `of_members`, for members that are not known to be distinct (RDB load): None if they are not.
    pub(crate) fn of_loaded(mut members: Vec<Member>, enc: &Encodings) -> Option<Zset> {
        let longest = members.iter().map(|m| m.bytes().len()).max().unwrap_or(0);
        let mut zset = Zset::for_members(members.len(), longest, enc);
        match zset.repr.form_mut() {
            FormMut::Listpack(_) => {
                members.sort_unstable_by(|a, b| a.bytes().cmp(b.bytes()));
                let distinct = members.windows(2).all(|m| m[0].bytes() != m[1].bytes());
                return distinct.then(|| Zset::of_members(members, enc));
            }
            FormMut::Large(large) => {
                // In order, so that the tree gets full nodes; dumps have them in falling order.
                members.sort_by(|a, b| match a.score().partial_cmp(&b.score()) {
                    Some(Ordering::Equal) | None => a.bytes().cmp(b.bytes()),
                    Some(order) => order,
                });
                for member in members {
                    if !large.add_if_absent(member) {
                        return None;
                    }
                }
            }
        }
        Some(zset)
    }

    pub fn len(&self) -> usize {
        match self.repr.form() {
            Form::Listpack(pack) => pack.len() / 2,
            Form::Large(large) => large.tree.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// For [`Prefetcher`](super::prefetch::Prefetcher): where a large set would have this member. A small one is
    /// prefetched as a whole.
    #[inline]
    pub(super) fn probe(&self, member: &[u8]) -> Option<Probe<'_, Member>> {
        match self.repr.form() {
            Form::Large(large) => Some(large.table.probe(hash(large.seed, member))),
            Form::Listpack(pack) => {
                pack.prefetch();
                None
            }
        }
    }

    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match self.repr.form() {
            Form::Listpack(pack) => {
                let view = pack.view();
                let at = view.find(listpack::HEADER, member, 2)?;
                Some(score_of(view.get(view.after(at))))
            }
            Form::Large(large) => large.find(member).map(Member::score),
        }
    }

    /// Goes to the large form if `members` more would be too many for a listpack. Redis does this before
    /// it adds any, even if they then turn out to be there already.
    pub(crate) fn expect(&mut self, members: usize, enc: &Encodings) {
        if members > enc.zset_max_listpack_entries {
            self.enlarge(members, enc);
        }
    }

    fn enlarge(&mut self, members: usize, enc: &Encodings) {
        if let Form::Listpack(pack) = self.repr.form() {
            let mut large = Large::with_capacity(members.max(pack.len() / 2), enc);
            for (member, score) in pack.pairs() {
                member.with(|bytes| large.add(Member::new(bytes, score_of(score))));
            }
            self.repr = Repr::from(Boxed::new(large));
        }
    }

    /// Sets the score; the old score if the member was there. NaN must not get here.
    pub fn insert(&mut self, member: &[u8], score: f64, enc: &Encodings) -> Option<f64> {
        let mut before = None;
        self.update(member, enc, |old| {
            before = old;
            Some(score)
        });
        before
    }

    /// Looks a member up and sets the score that `decide` makes of its present one (None: absent); None
    /// leaves things as they are. The score must not be NaN.
    pub fn update(
        &mut self,
        member: &[u8],
        enc: &Encodings,
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) {
        match self.repr.form_mut() {
            FormMut::Listpack(pack) => {
                let found = pack.find(listpack::HEADER, member, 2);
                let old = found.map(|at| score_of(pack.get(pack.view().after(at))));
                let Some(score) = decide(old) else {
                    return;
                };
                match found {
                    Some(_) if old == Some(score) => {}
                    Some(at) => {
                        pack.delete_many(at, 2);
                        insert_pair(pack, member, score);
                    }
                    None => {
                        let fits = pack.len() / 2 < enc.zset_max_listpack_entries
                            && member.len() <= enc.zset_max_listpack_value
                            && pack.fits(Listpack::cost(member) + 40);
                        if fits {
                            insert_pair(pack, member, score);
                        } else {
                            self.enlarge(0, enc);
                            if let FormMut::Large(large) = self.repr.form_mut() {
                                large.add(Member::new(member, score));
                            }
                        }
                    }
                }
            }
            FormMut::Large(large) => {
                let old = large.find(member).map(Member::score);
                match (old, decide(old)) {
                    (_, None) => {}
                    (None, Some(score)) => large.add(Member::new(member, score)),
                    (Some(old), Some(score)) if old != score => large.rescore(member, old, score),
                    _ => {}
                }
            }
        }
    }

    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match self.repr.form_mut() {
            FormMut::Listpack(pack) => {
                let at = pack.find(listpack::HEADER, member, 2)?;
                let score = score_of(pack.get(pack.view().after(at)));
                pack.delete_many(at, 2);
                Some(score)
            }
            FormMut::Large(large) => large.remove(member),
        }
    }

    /// Takes the lowest or highest member after showing it to `f`.
    pub fn pop_with<R>(&mut self, end: End, f: impl FnOnce(Item<'_>, f64) -> R) -> Option<R> {
        let rank = match end {
            End::Head => 0,
            End::Tail => self.len().checked_sub(1)?,
        };
        if let FormMut::Large(large) = self.repr.form_mut() {
            let member = large.tree.get(rank)?.member.clone();
            let result = f(Item::Bytes(member.bytes()), member.score());
            large.remove(member.bytes());
            return Some(result);
        }
        let (member, score) = self.range(rank..rank + 1, false).next()?;
        let result = f(member, score);
        self.remove_span(rank..rank + 1);
        Some(result)
    }

    pub fn rank(&self, member: &[u8]) -> Option<usize> {
        self.rank_and_score(member).map(|(rank, _)| rank)
    }

    pub(crate) fn rank_and_score(&self, member: &[u8]) -> Option<(usize, f64)> {
        match self.repr.form() {
            Form::Listpack(pack) => {
                let view = pack.view();
                let at = view.find(listpack::HEADER, member, 2)?;
                let rank = view.iter_until(at).count() / 2;
                Some((rank, score_of(view.get(view.after(at)))))
            }
            Form::Large(large) => {
                let score = large.find(member)?.score();
                Some((large.tree.rank(score, member), score))
            }
        }
    }

    /// The half-open span of ranks whose scores lie in the range.
    pub(crate) fn rank_span_by_score(&self, range: &ScoreRange) -> Range<usize> {
        match self.repr.form() {
            Form::Listpack(pack) => {
                let mut span = 0..0;
                for (_, score) in pack.pairs() {
                    let score = score_of(score);
                    if !range.is_below_max(score) {
                        break;
                    }
                    span.start += usize::from(!range.is_above_min(score));
                    span.end += 1;
                }
                span.start..span.end.max(span.start)
            }
            Form::Large(large) => {
                let start = large.tree.count_before(|s, _| !range.is_above_min(s));
                let end = large.tree.count_before(|s, _| range.is_below_max(s));
                start..end.max(start)
            }
        }
    }

    /// The half-open span of ranks whose members lie in the range, if all scores are equal. If they are
    /// not, it is what Redis makes of a listpack when it walks it from the front, or (`rev`) the back.
    pub(crate) fn rank_span_by_lex(&self, range: &LexRange, rev: bool) -> Range<usize> {
        let len = self.len();
        match self.repr.form() {
            Form::Listpack(pack) => {
                let above_min = |item: Item<'_>| item.with(|m| range.is_above_min(m));
                let below_max = |item: Item<'_>| item.with(|m| range.is_below_max(m));
                let members = || pack.pairs().map(|(member, _)| member);
                let reached = range.is_possible()
                    && members().next_back().is_some_and(above_min)
                    && members().next().is_some_and(below_max);
                if !reached {
                    return 0..0;
                }
                if rev {
                    let end = len - members().rev().take_while(|m| !below_max(*m)).count();
                    let within = (members().rev().skip(len - end)).take_while(|m| above_min(*m));
                    end - within.count()..end
                } else {
                    let start = members().take_while(|m| !above_min(*m)).count();
                    let within = members().skip(start).take_while(|m| below_max(*m));
                    start..start + within.count()
                }
            }
            Form::Large(large) => {
                let start = (large.tree).count_before(|_, m| !range.is_above_min(m.bytes()));
                let end = (large.tree).count_before(|_, m| range.is_below_max(m.bytes()));
                start..end.max(start)
            }
        }
    }

    /// Members of the span of ranks in rising order, or falling (`rev`: from span.end-1 down).
    pub fn range(&self, span: Range<usize>, rev: bool) -> Iter<'_> {
        let span = span.start.min(self.len())..span.end.min(self.len());
        match self.repr.form() {
            Form::Large(large) => Iter::Large(large.tree.range(span, rev)),
            Form::Listpack(pack) => {
                let view = pack.view();
                let position = |rank: usize| {
                    let end = view.as_bytes().len() - 1;
                    view.seek(2 * rank as i64).unwrap_or(end)
                };
                let left = span.len();
                let items = match (left, rev) {
                    (0, _) => view.iter_until(listpack::HEADER),
                    (_, false) => view.iter_at(position(span.start)),
                    (_, true) => view.iter_until(position(span.end)),
                };
                Iter::Listpack { items, left, rev }
            }
        }
    }

    pub fn iter(&self) -> Iter<'_> {
        self.range(0..self.len(), false)
    }

    /// Removes the span of ranks; how many went.
    pub(crate) fn remove_span(&mut self, span: Range<usize>) -> usize {
        let span = span.start.min(self.len())..span.end.min(self.len());
        if span.is_empty() {
            return 0;
        }
        match self.repr.form_mut() {
            FormMut::Listpack(pack) => {
                if let Some(at) = pack.seek(2 * span.start as i64) {
                    pack.delete_many(at, 2 * span.len());
                }
            }
            FormMut::Large(large) => large.remove_span(span.clone()),
        }
        span.len()
    }

    /// A uniformly random member with its score; None if empty.
    pub(crate) fn random(&self, rng: &mut fastrand::Rng) -> Option<(Item<'_>, f64)> {
        if self.is_empty() {
            return None;
        }
        let rank = rng.usize(..self.len());
        self.range(rank..rank + 1, false).next()
    }

    /// As `Set::scan`.
    pub(crate) fn scan(&self, cursor: u64, count: usize, f: &mut dyn FnMut(Item<'_>, f64)) -> u64 {
        match self.repr.form() {
            Form::Listpack(pack) => {
                for (member, score) in pack.pairs() {
                    f(member, score_of(score));
                }
                0
            }
            Form::Large(large) => {
                let table = &large.table;
                table.scan(cursor, count, |m| f(Item::Bytes(m.bytes()), m.score()))
            }
        }
    }

    /// "listpack" or "skiplist".
    pub(crate) fn encoding(&self) -> &'static str {
        match self.repr.form() {
            Form::Listpack(_) => "listpack",
            Form::Large(_) => "skiplist",
        }
    }

    /// The listpack's bytes while in that encoding, for RDB.
    pub(crate) fn as_listpack(&self) -> Option<&[u8]> {
        match self.repr.form() {
            Form::Listpack(pack) => Some(pack.as_bytes()),
            Form::Large(_) => None,
        }
    }

    /// Takes over a listpack that has passed `listpack::validate`, has pairs in order and no member twice,
    /// and is not empty (RDB load). Goes to the large form if it has more entries than the threshold; sizes
    /// of values are not looked at, as in Redis.
    pub(crate) fn from_listpack(bytes: &[u8], enc: &Encodings) -> Zset {
        let mut zset = Zset {
            repr: Repr::from(Listpack::from_validated_bytes(bytes)),
        };
        zset.expect(zset.len(), enc);
        zset
    }

    /// Bytes of memory held behind the word; estimated from some members of large sets.
    pub(crate) fn memory(&self) -> usize {
        match self.repr.form() {
            Form::Listpack(pack) => pack.memory(),
            Form::Large(large) => {
                let count = large.tree.len();
                let sample = large.tree.range(0..count.min(64), false);
                let bytes: usize = sample.map(|e| e.member.heap_bytes()).sum();
                size_of::<Large>()
                    + large.table.memory()
                    + large.tree.heap_bytes()
                    + count * bytes / count.clamp(1, 64)
            }
        }
    }
}

/// Members with scores in rank order, either way.
#[derive(Clone, Debug)]
pub enum Iter<'a> {
    Listpack {
        items: listpack::Iter<'a>,
        left: usize,
        rev: bool,
    },
    Large(OrderedRange<'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Item<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Iter::Large(range) => {
                let entry = range.next()?;
                Some((Item::Bytes(entry.member.bytes()), entry.score))
            }
            Iter::Listpack { items, left, rev } => {
                *left = left.checked_sub(1)?;
                if *rev {
                    let score = items.next_back()?;
                    Some((items.next_back()?, score_of(score)))
                } else {
                    let member = items.next()?;
                    Some((member, score_of(items.next()?)))
                }
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match self {
            Iter::Large(range) => range.len(),
            Iter::Listpack { left, .. } => *left,
        };
        (left, Some(left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(test)]
#[path = "zset_tests.rs"]
mod tests;
