//! Sorted sets: listpack of member, score, ... or a table of members beside an ordered tree. (being written)

use super::{Encodings, list::Item};

/// One end of a score range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreBound {
    pub score: f64,
    pub exclusive: bool,
}

/// `min..max` by score; infinite scores stand for open ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreRange {
    pub min: ScoreBound,
    pub max: ScoreBound,
}

/// One end of a lexicographic range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LexBound {
    /// "-"
    Min,
    /// "+"
    Max,
    /// "[x"
    Inclusive(Vec<u8>),
    /// "(x"
    Exclusive(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LexRange {
    pub min: LexBound,
    pub max: LexBound,
}

#[derive(Clone, Debug, Default)]
pub struct Zset {}

/// Ranks are 0-based from the lowest score; equal scores order by member bytes, as Redis.
impl Zset {
    pub fn new() -> Zset {
        todo!()
    }
    pub fn len(&self) -> usize {
        todo!()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    pub fn score(&self, _member: &[u8]) -> Option<f64> {
        todo!()
    }
    /// Sets the score; the old score if the member was there. NaN must not get here.
    pub fn insert(&mut self, _member: &[u8], _score: f64, _enc: &Encodings) -> Option<f64> {
        todo!()
    }
    pub fn remove(&mut self, _member: &[u8]) -> Option<f64> {
        todo!()
    }
    pub fn rank(&self, _member: &[u8]) -> Option<usize> {
        todo!()
    }
    /// The half-open span of ranks whose scores lie in the range.
    pub fn rank_span_by_score(&self, _range: &ScoreRange) -> std::ops::Range<usize> {
        todo!()
    }
    /// The half-open span of ranks whose members lie in the range (all scores equal, else unspecified).
    pub fn rank_span_by_lex(&self, _range: &LexRange) -> std::ops::Range<usize> {
        todo!()
    }
    /// Members of the span of ranks in rising order, or falling (`rev`: from span.end-1 down).
    pub fn range(
        &self,
        _span: std::ops::Range<usize>,
        _rev: bool,
    ) -> Box<dyn Iterator<Item = (Item<'_>, f64)> + '_> {
        todo!()
    }
    pub fn iter(&self) -> Box<dyn Iterator<Item = (Item<'_>, f64)> + '_> {
        self.range(0..self.len(), false)
    }
    /// Removes the span of ranks; how many went.
    pub fn remove_span(&mut self, _span: std::ops::Range<usize>) -> usize {
        todo!()
    }
    pub fn random(&self, _rng: &mut fastrand::Rng) -> Option<(Item<'_>, f64)> {
        todo!()
    }
    /// As `Set::scan`.
    pub fn scan(&self, _cursor: u64, _count: usize, _f: &mut dyn FnMut(Item<'_>, f64)) -> u64 {
        todo!()
    }
    /// "listpack" or "skiplist".
    pub fn encoding(&self) -> &'static str {
        todo!()
    }
    pub fn memory(&self) -> usize {
        todo!()
    }
    /// The listpack's bytes while in that encoding, for RDB.
    pub fn as_listpack(&self) -> Option<&[u8]> {
        todo!()
    }
    /// Takes over a listpack that has passed `listpack::validate`, has pairs in order and no member twice,
    /// and is not empty (RDB load). Goes to the large form if it has more entries than the threshold; sizes
    /// of values are not looked at, as in Redis.
    pub fn from_listpack(_bytes: &[u8], _enc: &Encodings) -> Zset {
        todo!()
    }
}
