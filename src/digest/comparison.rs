//! Finds the ranges that differ, from the root down: what to ask the other node next, and what its answers mean.

use super::ranges::{RangeDigest, Ranges};

/// Levels of the tree from one question to the next: each range that differs is answered by 2^5 digests.
const STEP_BITS: u32 = 5;
/// Most ranges that one question is about; its answer then has 48 KB.
pub(crate) const QUESTION_MAX: usize = 64;

/// Asks for the digests of the parts, of 2^`to_bits`, of these ranges of 2^`bits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RangeQuestion {
    pub(crate) bits: u32,
    pub(crate) to_bits: u32,
    /// In rising order.
    pub(crate) ranges: Vec<u32>,
}

impl RangeQuestion {
    /// How many digests the answer has.
    fn digests(&self) -> usize {
        self.ranges.len() << (self.to_bits - self.bits)
    }

    /// The answer; None: the question makes no sense for these ranges.
    pub(crate) fn answer(&self, ranges: &Ranges) -> Option<Vec<RangeDigest>> {
        let is_sound = self.bits <= self.to_bits
            && self.to_bits <= ranges.bits()
            && self.to_bits - self.bits <= STEP_BITS
            && self.ranges.len() <= QUESTION_MAX;
        if !is_sound {
            return None;
        }
        let mut answer = Vec::with_capacity(self.digests());
        for index in self.parts() {
            answer.push(ranges.at(self.to_bits, index)?);
        }
        Some(answer)
    }

    fn parts(&self) -> impl Iterator<Item = usize> + '_ {
        let width = 1usize << (self.to_bits - self.bits);
        let parts = move |&range: &u32| range as usize * width..(range as usize + 1) * width;
        self.ranges.iter().flat_map(parts)
    }
}

/// A range that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Differing {
    pub(crate) range: u32,
    /// The most keys that either side has there.
    pub(crate) keys: u64,
}

/// A comparison under way. Breadth first, so that answers come in few rounds; what is held is bounded by the number of
/// ranges.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Ranges of 2^`bits` that differ and have not been asked about.
    bits: u32,
    waiting: Vec<u32>,
    /// Of those asked about: the parts that differ.
    next_bits: u32,
    next: Vec<u32>,
    root: Option<RangeDigest>,
    differing: Vec<Differing>,
}

impl Comparison {
    /// The next question; None: all is known.
    pub(crate) fn question(&mut self, own: &Ranges) -> Option<RangeQuestion> {
        if self.root.is_none() {
            return Some(RangeQuestion {
                bits: 0,
                to_bits: 0,
                ranges: vec![0],
            });
        }
        if self.waiting.is_empty() {
            self.waiting = std::mem::take(&mut self.next);
            self.bits = self.next_bits;
        }
        if self.waiting.is_empty() || self.bits == own.bits() {
            return None;
        }
        let many = self.waiting.len().min(QUESTION_MAX);
        self.next_bits = (self.bits + STEP_BITS).min(own.bits());
        Some(RangeQuestion {
            bits: self.bits,
            to_bits: self.next_bits,
            ranges: self.waiting[..many].to_vec(),
        })
    }

    /// The other node's answer to the question. False: it is none.
    pub(crate) fn answered(
        &mut self,
        question: &RangeQuestion,
        own: &Ranges,
        theirs: &[RangeDigest],
    ) -> bool {
        let Some(ours) = question
            .answer(own)
            .filter(|ours| ours.len() == theirs.len())
        else {
            return false;
        };
        if question.to_bits == 0 {
            self.root = theirs.first().copied();
        } else {
            let asked = question.ranges.len().min(self.waiting.len());
            self.waiting.drain(..asked);
        }
        for ((index, ours), theirs) in question.parts().zip(&ours).zip(theirs) {
            if ours == theirs {
                continue;
            }
            let range = index as u32;
            if question.to_bits == own.bits() {
                let keys = ours.keys.max(theirs.keys);
                self.differing.push(Differing { range, keys });
            } else {
                self.next.push(range);
            }
        }
        true
    }

    /// What the other node has in all, once it is known.
    pub(crate) fn their_root(&self) -> Option<RangeDigest> {
        self.root
    }

    /// The smallest ranges that differ, in rising order.
    pub(crate) fn into_differing(self) -> Vec<Differing> {
        self.differing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{KeyDigest, KeyPlace};

    fn random(rng: &mut fastrand::Rng) -> u128 {
        rng.u128(..)
    }

    /// Runs a comparison; the ranges that differ, and how many questions that took.
    fn compare(ours: &Ranges, theirs: &Ranges) -> (Vec<u32>, usize) {
        let (mut comparison, mut questions) = (Comparison::default(), 0);
        while let Some(question) = comparison.question(ours) {
            questions += 1;
            assert!(question.ranges.len() <= QUESTION_MAX);
            let answer = question.answer(theirs).expect("a sound question");
            assert!(comparison.answered(&question, ours, &answer));
        }
        let differing = comparison.into_differing();
        (differing.iter().map(|d| d.range).collect(), questions)
    }

    #[test]
    fn exactly_the_ranges_that_differ_are_found() {
        let mut rng = fastrand::Rng::with_seed(1);
        for bits in [4, 5, 7, 10, 13] {
            let mut ours = Ranges::new(bits);
            for _ in 0..5000 {
                ours.add(KeyPlace(random(&mut rng)), KeyDigest(random(&mut rng)));
            }
            let mut theirs = ours.clone();
            assert_eq!(
                compare(&ours, &theirs),
                (vec![], 1),
                "one question if equal"
            );
            let mut changed: Vec<u32> = (0..rng.usize(1..40))
                .map(|_| {
                    let place = KeyPlace(random(&mut rng));
                    theirs.add(place, KeyDigest(random(&mut rng)));
                    place.range(bits) as u32
                })
                .collect();
            changed.sort_unstable();
            changed.dedup();
            let (found, _) = compare(&ours, &theirs);
            assert_eq!(found, changed);
        }
    }

    #[test]
    fn everything_may_differ() {
        let mut ours = Ranges::new(13);
        for range in 0..1u128 << 13 {
            ours.add(KeyPlace(range << (128 - 13)), KeyDigest(7));
        }
        let (found, questions) = compare(&ours, &Ranges::new(13));
        assert_eq!(found, (0..1 << 13).collect::<Vec<_>>());
        assert_eq!(questions, 1 + 1 + 1 + 1024 / QUESTION_MAX);
    }

    #[test]
    fn answers_and_questions_of_nonsense_are_refused() {
        let ours = Ranges::new(8);
        let mut comparison = Comparison::default();
        let question = comparison.question(&ours).expect("the root");
        assert!(!comparison.answered(&question, &ours, &[]));
        assert!(!comparison.answered(&question, &ours, &[RangeDigest::default(); 2]));
        let nonsense = |bits, to_bits, ranges: &[u32]| RangeQuestion {
            bits,
            to_bits,
            ranges: ranges.to_vec(),
        };
        for question in [
            nonsense(3, 2, &[0]),
            nonsense(7, 9, &[0]),
            nonsense(0, 8, &[0]),
            nonsense(5, 8, &[32]),
            nonsense(3, 3, &[0; QUESTION_MAX + 1]),
            nonsense(u32::MAX, u32::MAX, &[1]),
        ] {
            assert_eq!(question.answer(&ours), None, "{question:?}");
        }
    }
}
