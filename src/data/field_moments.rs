//! When the fields of a large hash expire: where to look for those that are due.
//!
//! Each pair knows its own moment ([`Pair::moment`](super::blob::Pair::moment)). Here stands, for each of a power of two of
//! parts of the hashes' range, a moment at or before the earliest of its fields; a part has some dozens of fields. So
//! those that are due are found without a walk over the whole hash, and a field that expires costs the eight bytes of its
//! moment.
//!
//! Invariants: no bound is after a moment of its part; `earliest` is the least bound.

/// Fields that a part has at most, on average, before parts are halved; and at least, before two are joined.
const FIELDS_MAX: usize = 64;
const FIELDS_MIN: usize = 8;

/// No moment.
pub(super) const NEVER: i64 = i64::MAX;

#[derive(Clone, Debug)]
pub(super) struct FieldMoments {
    /// How many fields have a moment.
    count: usize,
    /// For each part, by the highest bits of the field's hash.
    bounds: Vec<i64>,
    earliest: i64,
    /// The part that is looked at next.
    next_part: usize,
    /// Fields whose moment is before are not seen, unix ms. Set by who looks.
    pub(super) now_ms: i64,
    /// The hash was small when its first field got a moment, and is not large yet: a listpack to OBJECT ENCODING.
    pub(super) compact: bool,
}

impl FieldMoments {
    pub(super) fn new(compact: bool) -> FieldMoments {
        FieldMoments {
            count: 0,
            bounds: vec![NEVER],
            earliest: NEVER,
            next_part: 0,
            now_ms: i64::MIN,
            compact,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// At or before the earliest moment.
    pub(super) fn earliest(&self) -> i64 {
        if self.count == 0 {
            NEVER
        } else {
            self.earliest
        }
    }

    /// Whether a field of this moment is not seen any more.
    #[inline]
    pub(super) fn hides(&self, moment: Option<i64>) -> bool {
        moment.is_some_and(|moment| moment < self.now_ms)
    }

    fn bits(&self) -> u32 {
        self.bounds.len().trailing_zeros()
    }

    fn part_of(&self, hash: u64) -> usize {
        match self.bits() {
            0 => 0,
            bits => (hash >> (64 - bits)) as usize,
        }
    }

    /// The field with this hash has the moment `new` instead of `old`; the hash has so many `fields`.
    pub(super) fn set(&mut self, hash: u64, old: Option<i64>, new: Option<i64>, fields: usize) {
        self.count -= usize::from(old.is_some());
        let Some(new) = new else {
            return;
        };
        self.count += 1;
        while fields > FIELDS_MAX * self.bounds.len() {
            // Both halves have at most what the whole had.
            self.bounds = self.bounds.iter().flat_map(|bound| [*bound; 2]).collect();
        }
        while self.bounds.len() > 1 && fields < FIELDS_MIN * self.bounds.len() {
            let (pairs, _) = self.bounds.as_chunks::<2>();
            self.bounds = pairs.iter().map(|[a, b]| *a.min(b)).collect();
        }
        let part = self.part_of(hash);
        self.bounds[part] = self.bounds[part].min(new);
        self.earliest = self.earliest.min(new);
    }

    /// A part that may have a field whose moment is before `now_ms`: its number and the hashes in it.
    pub(super) fn due_part(
        &mut self,
        now_ms: i64,
    ) -> Option<(usize, std::ops::RangeInclusive<u64>)> {
        if self.count == 0 || self.earliest >= now_ms {
            return None;
        }
        let parts = self.bounds.len();
        let is_due = |part: &usize| self.bounds[*part] < now_ms;
        let from = self.next_part % parts;
        let Some(part) = (from..parts).chain(0..from).find(is_due) else {
            self.earliest = self.bounds.iter().copied().min().unwrap_or(NEVER);
            return None;
        };
        self.next_part = part + 1;
        let width = u64::MAX >> self.bits();
        let start = part as u64 * width.wrapping_add(1);
        Some((part, start..=start + width))
    }

    /// A part was looked at: no field of it has an earlier moment.
    pub(super) fn looked_at(&mut self, part: usize, earliest: i64) {
        self.bounds[part] = earliest;
    }

    /// Bytes of memory held.
    pub(super) fn memory(&self) -> usize {
        size_of::<FieldMoments>() + size_of_val(&self.bounds[..])
    }
}
