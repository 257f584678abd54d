//! Ranges of a sorted set: by score and by member bytes.

/// One end of a score range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ScoreBound {
    pub(crate) score: f64,
    pub(crate) exclusive: bool,
}

/// `min..max` by score; infinite scores stand for open ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ScoreRange {
    pub(crate) min: ScoreBound,
    pub(crate) max: ScoreBound,
}

impl ScoreRange {
    #[inline]
    pub(crate) fn is_above_min(&self, score: f64) -> bool {
        score > self.min.score || (!self.min.exclusive && score == self.min.score)
    }

    #[inline]
    pub(crate) fn is_below_max(&self, score: f64) -> bool {
        score < self.max.score || (!self.max.exclusive && score == self.max.score)
    }
}

/// One end of a lexicographic range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LexBound {
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
pub(crate) struct LexRange {
    pub(crate) min: LexBound,
    pub(crate) max: LexBound,
}

impl LexRange {
    #[inline]
    pub(crate) fn is_above_min(&self, member: &[u8]) -> bool {
        match &self.min {
            LexBound::Min => true,
            LexBound::Max => false,
            LexBound::Inclusive(x) => member >= &x[..],
            LexBound::Exclusive(x) => member > &x[..],
        }
    }

    #[inline]
    pub(crate) fn is_below_max(&self, member: &[u8]) -> bool {
        match &self.max {
            LexBound::Min => false,
            LexBound::Max => true,
            LexBound::Inclusive(x) => member <= &x[..],
            LexBound::Exclusive(x) => member < &x[..],
        }
    }

    /// Whether any member could be in the range.
    pub(crate) fn is_possible(&self) -> bool {
        use LexBound::{Exclusive, Inclusive, Max, Min};
        match (&self.min, &self.max) {
            (Max, _) | (_, Min) => false,
            (Min, _) | (_, Max) => true,
            (Inclusive(a), Inclusive(b)) => a <= b,
            (Inclusive(a) | Exclusive(a), Inclusive(b) | Exclusive(b)) => a < b,
        }
    }
}
