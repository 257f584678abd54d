//! The replica's part: what it does, step by step, from the first question to the report.
//!
//! Its owner asks for the next [`Step`], does it, and tells what came of it. Whatever fails ends the verification with a
//! report that says why ([`Outcome::Failed`]); the owner releases the hold and drops its walk then, as at any end.

use super::exchange::{Answer, Question};
use super::report::{Differences, How, Outcome, Report};
use super::{KEYS_BYTES_MAX, WalkOrder, Walked, Wanted};
use crate::digest::comparison::{Comparison, Differing, RangeQuestion};
use crate::digest::{Ranges, Secret, bits_for};
use crate::repl::replid::ReplId;
use crate::snapshot::digesting::HeldKey;

/// Between two questions whether a walk is through, ms.
const PATIENCE_MS: i64 = 20;
/// Memory of a key that is held, about, without its name's bytes beyond the usual.
const KEY_BYTES: u64 = 128;

/// What the owner is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Hold the stream where it is, ask, and give the answer to [`Verifier::answered`].
    HoldAndAsk(Question),
    /// Ask, and give the answer to [`Verifier::answered`].
    Ask(Question),
    /// Let the stream run up to there; when it is there cut, release it, and tell [`Verifier::cut`]; when the walk is
    /// through, [`Verifier::walked`].
    CutAt(u64, WalkOrder),
    /// Wait for the walk.
    AwaitWalk,
    /// Come again after so long, ms.
    Pause(i64),
    /// Tell the master, whatever it answers; and it is over.
    Close(Question, Report),
    /// It is over.
    Done(Report),
}

#[derive(Debug)]
enum Stage {
    /// To be asked to cut; by which question follows from `narrowed`.
    Open,
    /// Both are to cut there.
    Cut {
        offset: u64,
    },
    /// Our walk is under way.
    Walking,
    /// Ours has brought the ranges; theirs are asked for.
    Compare {
        ours: Ranges,
        asked: Option<RangeQuestion>,
    },
    /// Ours has brought the keys; theirs are asked for.
    Merge {
        merge: Box<Merge>,
    },
    Over(Outcome),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Verifier {
    /// Whom with.
    peer: String,
    history: ReplId,
    secret: Secret,
    bits: u32,
    /// As our master knows us.
    ip: String,
    port: u16,
    session: u64,
    offset: u64,
    keys: u64,
    begun_ms: i64,
    stage: Stage,
    /// The last answer was that their walk is not through.
    pause: bool,
    comparison: Comparison,
    narrowed: Option<Narrowing>,
}

/// The second round.
#[derive(Clone, Debug)]
pub(crate) struct Narrowing {
    pub(crate) ranges: Vec<u32>,
    /// Ranges that differ and can't be looked at: there are too many.
    pub(crate) left: u64,
}

/// What is known beforehand.
#[derive(Debug)]
pub(crate) struct Start {
    /// Our master, as `host:port`.
    pub(crate) peer: String,
    /// The history that we follow.
    pub(crate) history: ReplId,
    pub(crate) secret: Secret,
    /// Keys that we have, about.
    pub(crate) keys: u64,
    /// What we announce.
    pub(crate) ip: String,
    pub(crate) port: u16,
    pub(crate) now_ms: i64,
}

impl Verifier {
    pub(crate) fn new(start: Start) -> Verifier {
        Verifier {
            peer: start.peer,
            history: start.history,
            secret: start.secret,
            bits: bits_for(start.keys),
            ip: start.ip,
            port: start.port,
            session: 0,
            offset: 0,
            keys: start.keys,
            begun_ms: start.now_ms,
            stage: Stage::Open,
            pause: false,
            comparison: Comparison::default(),
            narrowed: None,
        }
    }

    /// What is to be done now.
    pub(crate) fn next(&mut self, now_ms: i64) -> Step {
        if std::mem::take(&mut self.pause) {
            return Step::Pause(PATIENCE_MS);
        }
        loop {
            match &mut self.stage {
                Stage::Open => return Step::HoldAndAsk(self.opening()),
                Stage::Cut { offset } => {
                    let offset = *offset;
                    return Step::CutAt(offset, self.order());
                }
                Stage::Walking => return Step::AwaitWalk,
                Stage::Compare { ours, asked } => match self.comparison.question(ours) {
                    Some(question) => {
                        *asked = Some(question.clone());
                        let session = self.session;
                        return Step::Ask(Question::Ranges { session, question });
                    }
                    None => self.compared(),
                },
                Stage::Merge { merge } => match merge.asks_from() {
                    Some(from) => {
                        let session = self.session;
                        return Step::Ask(Question::Keys { session, from });
                    }
                    None => {
                        let found = merge.finish();
                        self.merged(found);
                    }
                },
                Stage::Over(_) => return self.close(now_ms),
            }
        }
    }

    /// The answer to what was asked, or its error.
    pub(crate) fn answered(&mut self, answer: Result<Answer, String>) {
        let answer = match answer {
            Ok(Answer::Walking) => {
                self.pause = true;
                return;
            }
            Ok(answer) => answer,
            Err(why) => return self.fail(why),
        };
        let is_sound = match (&mut self.stage, answer) {
            (Stage::Open, Answer::Cut { session, offset }) => {
                self.session = session;
                self.offset = offset;
                self.stage = Stage::Cut { offset };
                true
            }
            (Stage::Compare { ours, asked }, Answer::Ranges(theirs)) => {
                let question = asked.take();
                question.is_some_and(|question| self.comparison.answered(&question, ours, &theirs))
            }
            (Stage::Merge { merge }, Answer::Keys(theirs)) => merge.take(theirs),
            (Stage::Merge { .. }, Answer::TooMany) => {
                self.too_many();
                true
            }
            _ => false,
        };
        if !is_sound {
            self.fail("the master's answer makes no sense".into());
        }
    }

    /// We have cut, at that offset of that history.
    pub(crate) fn cut(&mut self, at: Result<(ReplId, u64), String>) {
        let Stage::Cut { offset } = self.stage else {
            return;
        };
        match at {
            Ok((history, ours)) if history == self.history && ours == offset => {
                self.stage = Stage::Walking;
            }
            Ok((_, ours)) => self.fail(format!(
                "our cut was at offset {ours}, the master's at {offset}"
            )),
            Err(why) => self.fail(why),
        }
    }

    /// Our walk has come to its end.
    pub(crate) fn walked(&mut self, result: Result<Walked, String>) {
        match (&self.narrowed, result) {
            (_, Err(why)) => self.fail(why),
            (None, Ok(Walked::Ranges(ours))) => {
                self.stage = Stage::Compare { ours, asked: None };
            }
            (Some(_), Ok(Walked::Keys(Some(ours)))) => {
                let merge = Box::new(Merge::new(ours));
                self.stage = Stage::Merge { merge };
            }
            (Some(_), Ok(Walked::Keys(None))) => self.too_many(),
            _ => self.fail("the walk brought what was not wanted".into()),
        }
    }

    /// It can't go on.
    pub(crate) fn fail(&mut self, why: String) {
        if !matches!(self.stage, Stage::Over(_)) {
            self.stage = Stage::Over(Outcome::Failed(why));
        }
    }

    /// Whether the stream may have to be held yet: until both have cut.
    pub(crate) fn holds(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Cut { .. })
    }

    fn opening(&self) -> Question {
        match &self.narrowed {
            None => Question::Open {
                history: self.history,
                secret: self.secret,
                bits: self.bits,
                ip: self.ip.clone(),
                port: self.port,
            },
            Some(narrowed) => Question::Narrow {
                session: self.session,
                ranges: narrowed.ranges.clone(),
            },
        }
    }

    fn order(&self) -> WalkOrder {
        let bits = self.bits;
        let wanted = match &self.narrowed {
            None => Wanted::Ranges { bits },
            Some(narrowed) => Wanted::Keys {
                bits,
                ranges: narrowed.ranges.clone(),
            },
        };
        let secret = self.secret;
        WalkOrder { secret, wanted }
    }

    /// All ranges are compared: over, or the second round.
    fn compared(&mut self) {
        let comparison = std::mem::take(&mut self.comparison);
        if let Stage::Compare { ours, .. } = &self.stage {
            let theirs = comparison.their_root().unwrap_or_default();
            self.keys = ours.root().keys.max(theirs.keys);
        }
        let differing = comparison.into_differing();
        if differing.is_empty() {
            self.stage = Stage::Over(Outcome::Equal);
            return;
        }
        self.narrowed = Some(narrow(&differing));
        self.stage = Stage::Open;
    }

    fn merged(&mut self, mut found: Differences) {
        let left = self.narrowed.as_ref().map_or(0, |narrowed| narrowed.left);
        // A key each, at the least.
        found.count += left;
        found.at_least = left > 0;
        self.stage = Stage::Over(match found.count {
            0 => Outcome::Equal,
            _ => Outcome::Differs(found),
        });
    }

    /// The keys of the ranges that differ are too many for one of us.
    fn too_many(&mut self) {
        let narrowed = self.narrowed.as_ref();
        let count = narrowed.map_or(0, |n| n.ranges.len() as u64 + n.left);
        self.stage = Stage::Over(Outcome::Differs(Differences {
            count,
            at_least: true,
            keys: Vec::new(),
        }));
    }

    fn close(&mut self, now_ms: i64) -> Step {
        let Stage::Over(outcome) = &mut self.stage else {
            return Step::AwaitWalk;
        };
        let report = Report {
            peer: self.peer.clone(),
            at_ms: now_ms,
            took_ms: u64::try_from(now_ms - self.begun_ms).unwrap_or(0),
            offset: self.offset,
            keys: self.keys,
            outcome: outcome.clone(),
        };
        if self.session == 0 {
            return Step::Done(report);
        }
        let session = std::mem::take(&mut self.session);
        let bytes = report.to_bytes();
        Step::Close(
            Question::Close {
                session,
                report: bytes,
            },
            report,
        )
    }
}

/// As many of the ranges as both can hold the keys of.
pub(crate) fn narrow(differing: &[Differing]) -> Narrowing {
    let mut room = KEYS_BYTES_MAX as u64 / KEY_BYTES;
    let some = differing.iter().take_while(|range| {
        let fits = range.keys <= room;
        room = room.saturating_sub(range.keys);
        fits
    });
    let ranges: Vec<u32> = some.map(|range| range.range).collect();
    Narrowing {
        left: (differing.len() - ranges.len()) as u64,
        ranges,
    }
}

/// Both sides' keys, in the order of their places, side by side.
#[derive(Debug)]
struct Merge {
    ours: Vec<HeldKey>,
    /// Of ours: the next that has not been met.
    next: usize,
    /// Theirs so far.
    taken: u64,
    last: Option<HeldKey>,
    complete: bool,
    found: Differences,
}

impl Merge {
    fn new(ours: Vec<HeldKey>) -> Merge {
        Merge {
            ours,
            next: 0,
            taken: 0,
            last: None,
            complete: false,
            found: Differences::default(),
        }
    }

    /// From which of their keys on there are more to be asked for.
    fn asks_from(&self) -> Option<u64> {
        (!self.complete).then_some(self.taken)
    }

    /// Some of theirs, or none any more. False: they are not in order.
    fn take(&mut self, theirs: Vec<HeldKey>) -> bool {
        self.complete = theirs.is_empty();
        self.taken += theirs.len() as u64;
        for key in theirs {
            if self
                .last
                .as_ref()
                .is_some_and(|last| last.place >= key.place)
            {
                return false;
            }
            self.meet(&key);
            self.last = Some(key);
        }
        true
    }

    fn meet(&mut self, theirs: &HeldKey) {
        while let Some(ours) = self.ours.get(self.next)
            && ours.place < theirs.place
        {
            self.found.add(How::OnlyReplica, ours.db, &ours.key);
            self.next += 1;
        }
        match self.ours.get(self.next) {
            Some(ours) if ours.place == theirs.place => {
                self.next += 1;
                if ours.digest != theirs.digest {
                    self.found.add(How::Content, theirs.db, &theirs.key);
                }
            }
            _ => self.found.add(How::OnlyMaster, theirs.db, &theirs.key),
        }
    }

    /// What differs.
    fn finish(&mut self) -> Differences {
        for ours in &self.ours[self.next..] {
            self.found.add(How::OnlyReplica, ours.db, &ours.key);
        }
        self.next = self.ours.len();
        std::mem::take(&mut self.found)
    }
}
