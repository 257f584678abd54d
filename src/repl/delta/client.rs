//! The replica's part in a delta resync: what it does, step by step, until it has all that it needs.
//!
//! Its owner asks for the next [`Step`], does it, and tells what came of it, as with `verify::verifier`.

use std::collections::HashMap;

use super::exchange::{Answer, Drops, Question, ShortKey};
use super::server::BUSY;
use super::{DIFFERING_MAX, HAVE_MAX, PATCH_MAX};
use crate::digest::comparison::{Comparison, Differing, RangeQuestion};
use crate::digest::{Ranges, Secret, bits_for};
use crate::repl::replid::ReplId;
use crate::repl::verify::{SNAPSHOT_FIRST, WalkOrder, Walked, Wanted};
use crate::snapshot::digesting::HeldKey;

/// Between two questions whether a walk is through, ms.
const PATIENCE_MS: i64 = 20;
/// Between two tries while the master serves another, ms, and how often.
const BUSY_PAUSE_MS: i64 = 300;
const BUSY_TRIES: u32 = 200;
/// How often all is begun anew since a walk had to make room for a snapshot, and the pause before, ms.
const RESTARTS: u32 = 20;
const RESTART_PAUSE_MS: i64 = 1000;
/// Keys of one HAVE: 256 KB.
const HAVE_KEYS: usize = 16 << 10;

/// What the owner is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask, and give the answer to [`Client::answered`].
    Ask(Question),
    /// Cut and walk our data; then [`Client::walked`].
    Walk(WalkOrder),
    /// Come again after so long, ms.
    Pause(i64),
    /// All has come.
    Done(Fetched),
    /// A full sync has to do it, and why.
    Failed(String),
}

/// What makes our data that of the master at its second cut.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) history: ReplId,
    pub(crate) offset: u64,
    /// Keys that are to go, with their databases.
    pub(crate) drops: Vec<(usize, Box<[u8]>)>,
    /// What is to come, as a dump.
    pub(crate) dump: Vec<u8>,
    /// For the log: ranges that differed, of so many; bytes of the patch.
    pub(crate) told: String,
}

#[derive(Debug)]
enum Stage {
    Open {
        tries: u32,
    },
    /// Our first walk, for the ranges.
    Ranges,
    Compare {
        ours: Ranges,
        asked: Option<RangeQuestion>,
    },
    /// Our second walk, for the keys of ranges that differ.
    Keys,
    /// Ours are told, from that one on.
    Have {
        from: usize,
    },
    Cut,
    Fetch,
    Over,
    Failed(String),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Client {
    secret: Secret,
    bits: u32,
    session: u64,
    stage: Stage,
    pause_ms: Option<i64>,
    restarts: u32,
    comparison: Comparison,
    /// Ranges that differ.
    ranges: Vec<u32>,
    /// Our keys there, in the order of their places.
    ours: Vec<HeldKey>,
    /// History and offset of the second cut.
    target: Option<(ReplId, u64)>,
    patch: Vec<u8>,
}

impl Client {
    /// `keys`: how many we have, about.
    pub(crate) fn new(secret: Secret, keys: u64) -> Client {
        Client {
            secret,
            bits: bits_for(keys),
            session: 0,
            stage: Stage::Open { tries: 0 },
            pause_ms: None,
            restarts: 0,
            comparison: Comparison::default(),
            ranges: Vec::new(),
            ours: Vec::new(),
            target: None,
            patch: Vec::new(),
        }
    }

    /// What is to be done now.
    pub(crate) fn next(&mut self) -> Step {
        if let Some(pause_ms) = self.pause_ms.take() {
            return Step::Pause(pause_ms);
        }
        let (session, secret, bits) = (self.session, self.secret, self.bits);
        loop {
            match &mut self.stage {
                Stage::Open { .. } => return Step::Ask(Question::Open { secret, bits }),
                Stage::Ranges => {
                    let wanted = Wanted::Ranges { bits };
                    return Step::Walk(WalkOrder { secret, wanted });
                }
                Stage::Compare { ours, asked } => match self.comparison.question(ours) {
                    Some(question) => {
                        *asked = Some(question.clone());
                        return Step::Ask(Question::Ranges { session, question });
                    }
                    None => self.compared(),
                },
                Stage::Keys => {
                    let ranges = self.ranges.clone();
                    let wanted = Wanted::Keys { bits, ranges };
                    return Step::Walk(WalkOrder { secret, wanted });
                }
                Stage::Have { from } if *from < self.ours.len() => {
                    let to = self.ours.len().min(*from + HAVE_KEYS);
                    let keys = self.ours[*from..to].iter();
                    let keys = keys.map(|key| ShortKey::of(key.place, key.digest));
                    let keys = keys.collect();
                    return Step::Ask(Question::Have { session, keys });
                }
                Stage::Have { .. } => self.stage = Stage::Cut,
                Stage::Cut => {
                    let ranges = self.ranges.clone();
                    return Step::Ask(Question::Cut { session, ranges });
                }
                Stage::Fetch => {
                    let from = self.patch.len() as u64;
                    return Step::Ask(Question::Patch { session, from });
                }
                Stage::Over => return self.finish(),
                Stage::Failed(why) => return Step::Failed(why.clone()),
            }
        }
    }

    /// The answer to what was asked, or its error.
    pub(crate) fn answered(&mut self, answer: Result<Answer, String>) {
        let answer = match answer {
            Ok(Answer::Walking) => {
                self.pause_ms = Some(PATIENCE_MS);
                return;
            }
            Ok(answer) => answer,
            Err(why) => return self.refused(why),
        };
        let is_sound = match (&mut self.stage, answer) {
            (Stage::Open { .. }, Answer::Cut { session, .. }) => {
                self.session = session;
                self.stage = Stage::Ranges;
                true
            }
            (Stage::Compare { ours, asked }, Answer::Ranges(theirs)) => {
                let question = asked.take();
                question.is_some_and(|question| self.comparison.answered(&question, ours, &theirs))
            }
            (Stage::Have { from }, Answer::Taken) => {
                *from = self.ours.len().min(*from + HAVE_KEYS);
                true
            }
            (
                Stage::Cut,
                Answer::Cut {
                    history, offset, ..
                },
            ) => {
                self.target = Some((history, offset));
                self.stage = Stage::Fetch;
                true
            }
            (Stage::Fetch, Answer::Patch(bytes)) => {
                if bytes.is_empty() {
                    self.stage = Stage::Over;
                }
                self.patch.extend_from_slice(&bytes);
                self.patch.len() <= PATCH_MAX + (1 << 20)
            }
            _ => false,
        };
        if !is_sound {
            self.fail("the master's answer makes no sense");
        }
    }

    /// Our walk has come to its end.
    pub(crate) fn walked(&mut self, result: Result<Walked, String>) {
        match (&self.stage, result) {
            (Stage::Ranges, Ok(Walked::Ranges(ours))) => {
                self.stage = Stage::Compare { ours, asked: None };
            }
            (Stage::Keys, Ok(Walked::Keys(Some(ours)))) if ours.len() <= HAVE_MAX => {
                self.ours = ours;
                self.stage = Stage::Have { from: 0 };
            }
            (Stage::Keys, Ok(Walked::Keys(_))) => self.fail("too many keys may differ"),
            (_, Err(why)) => self.fail(why),
            _ => self.fail("the walk brought what was not wanted"),
        }
    }

    /// It can't go on; or not now, since a snapshot comes first.
    pub(crate) fn fail(&mut self, why: impl Into<String>) {
        let why = why.into();
        if !why.contains(SNAPSHOT_FIRST) || self.restarts >= RESTARTS {
            self.stage = Stage::Failed(why);
            return;
        }
        *self = Client {
            restarts: self.restarts + 1,
            pause_ms: Some(RESTART_PAUSE_MS),
            secret: self.secret,
            bits: self.bits,
            session: 0,
            stage: Stage::Open { tries: 0 },
            comparison: Comparison::default(),
            ranges: Vec::new(),
            ours: Vec::new(),
            target: None,
            patch: Vec::new(),
        };
    }

    fn refused(&mut self, why: String) {
        match &mut self.stage {
            Stage::Open { tries } if why.contains(BUSY) && *tries < BUSY_TRIES => {
                *tries += 1;
                self.pause_ms = Some(BUSY_PAUSE_MS);
            }
            _ => self.fail(why),
        }
    }

    /// All ranges are compared: whether a delta is worth it is decided here, before any key is sent.
    fn compared(&mut self) {
        let comparison = std::mem::take(&mut self.comparison);
        let theirs = comparison.their_root().unwrap_or_default().keys;
        let ours = match &self.stage {
            Stage::Compare { ours, .. } => ours.root().keys,
            _ => 0,
        };
        let differing = comparison.into_differing();
        if let Some(why) = too_much(&differing, self.bits, ours, theirs) {
            return self.fail(why);
        }
        self.ranges = differing.iter().map(|range| range.range).collect();
        self.stage = Stage::Keys;
    }

    fn finish(&mut self) -> Step {
        let patch = std::mem::take(&mut self.patch);
        let (Some((history, offset)), Some((drops, dump))) = (self.target, Drops::parse(&patch))
        else {
            return Step::Failed("the patch is cut off".into());
        };
        let places: HashMap<u64, &HeldKey> = self
            .ours
            .iter()
            .map(|key| (ShortKey::place_of(key.place), key))
            .collect();
        let mut names = drops.names;
        for place in &drops.places {
            let Some(key) = places.get(place) else {
                return Step::Failed("a key is to go that was never told".into());
            };
            names.push((key.db, key.key.clone()));
        }
        Step::Done(Fetched {
            history,
            offset,
            drops: names,
            dump: dump.to_vec(),
            told: format!(
                "{} of {} ranges of keys differed, {} bytes of patch",
                self.ranges.len(),
                1u64 << self.bits,
                patch.len()
            ),
        })
    }
}

/// Why a full sync is better, if it is. About how many keys differ follows from how many ranges do: with n keys at
/// random in R ranges, R (1 - e^(-n/R)) are hit.
fn too_much(differing: &[Differing], bits: u32, ours: u64, theirs: u64) -> Option<String> {
    if theirs == 0 {
        return Some("the master holds no keys".into());
    }
    let held: u64 = differing.iter().map(|range| range.keys).sum();
    if held as usize > HAVE_MAX {
        return Some(format!("{held} keys may differ"));
    }
    let ranges = (1u64 << bits) as f64;
    let share = differing.len() as f64 / ranges;
    let about = match share {
        share if share >= 1.0 => held as f64,
        share => (-ranges * (1.0 - share).ln()).min(held as f64),
    };
    let (about, most) = (about as u64, ours.max(theirs));
    // Of few keys each is a range of its own, and little is gained or lost.
    let is_small = most < 1000;
    let is_too_much = about > DIFFERING_MAX || (about > most / 3 && !is_small);
    is_too_much.then(|| format!("about {about} of {most} keys differ"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(count: usize, keys: u64) -> Vec<Differing> {
        let all = 0..count as u32;
        all.map(|range| Differing { range, keys }).collect()
    }

    #[test]
    fn what_is_too_much_becomes_a_full_sync_by_cost() {
        let two_million = 2_000_000;
        let judged = |count, keys| too_much(&ranges(count, keys), 17, two_million, two_million);
        assert_eq!(judged(0, 16), None);
        // 20,000 keys at random hit about 18,500 of 131,072 ranges.
        assert_eq!(judged(18_500, 16), None);
        assert!(judged(40_000, 16).is_some_and(|why| why.contains("of 2000000 keys differ")));
        assert!(judged(1 << 17, 16).is_some());
        let empty = too_much(&ranges(1, 1), 4, 1, 0);
        assert!(empty.is_some_and(|why| why.contains("no keys")));
        assert_eq!(
            too_much(&ranges(16, 3), 4, 40, 40),
            None,
            "little is little"
        );
        assert!(too_much(&ranges(900, 4), 10, 4000, 4000).is_some());
    }

    #[test]
    fn another_replica_is_waited_for_and_an_error_is_the_end() {
        let mut client = Client::new(Secret::from_bytes(&[7; 16]).expect("16 bytes"), 100);
        assert!(matches!(client.next(), Step::Ask(Question::Open { .. })));
        client.answered(Err(format!("ERR {BUSY}")));
        assert_eq!(client.next(), Step::Pause(BUSY_PAUSE_MS));
        assert!(matches!(client.next(), Step::Ask(Question::Open { .. })));
        client.answered(Err("the connection was closed".into()));
        assert_eq!(
            client.next(),
            Step::Failed("the connection was closed".into())
        );
    }

    #[test]
    fn a_snapshot_comes_first_and_then_all_is_begun_anew() {
        let mut client = Client::new(Secret::from_bytes(&[7; 16]).expect("16 bytes"), 100);
        for _ in 0..RESTARTS {
            assert!(matches!(client.next(), Step::Ask(Question::Open { .. })));
            client.answered(Err(format!("ERR {SNAPSHOT_FIRST} being made")));
            assert_eq!(client.next(), Step::Pause(RESTART_PAUSE_MS));
        }
        client.next();
        client.answered(Err(format!("ERR {SNAPSHOT_FIRST} being made")));
        assert!(matches!(client.next(), Step::Failed(_)));
    }

    #[test]
    fn an_answer_to_another_question_is_the_end() {
        let mut client = Client::new(Secret::from_bytes(&[7; 16]).expect("16 bytes"), 100);
        client.next();
        client.answered(Ok(Answer::Patch(vec![1])));
        assert!(matches!(client.next(), Step::Failed(_)));
    }
}
