//! The master's part in delta resyncs: makes the walks that it is asked for, and answers.
//!
//! One session at a time; one whose replica says nothing for `IDLE_MS` makes room for the next. What holds the log
//! is given back through [`Server::take_released`], since the log is under another lock; the pin of a patch that was
//! fetched is held for `LINGER_MS` more, for the PSYNC that follows.

use super::exchange::{ANSWER_BYTES, Answer, Question, ShortKey};
use super::{HAVE_MAX, PatchOrder};
use crate::digest::{Ranges, Secret, bits_within};
use crate::repl::hub::StreamCut;
use crate::repl::log::Cursor;
use crate::repl::replid::ReplId;

/// Silence after which a session is over, ms.
const IDLE_MS: i64 = 10_000;
/// How long the log is held for a replica that has its patch, ms.
const LINGER_MS: i64 = 30_000;

/// What is answered while another replica is served; it comes again.
pub(crate) const BUSY: &str = "another replica is being resynced by a delta";

/// See the module. Under a lock of the hub.
#[derive(Debug, Default)]
pub(crate) struct Server {
    session: Option<Session>,
    sessions: u64,
    /// Pins of patches that were fetched, and until when they are held.
    lingering: Vec<(Cursor, i64)>,
    released: Vec<Cursor>,
}

#[derive(Debug)]
struct Session {
    number: u64,
    walk: u64,
    /// Of whoever asks: its address.
    peer: String,
    secret: Secret,
    bits: u32,
    have: Vec<ShortKey>,
    /// The first cut: history, offset, and the database that the stream had selected.
    first: Option<(ReplId, u64, usize)>,
    /// What holds the log at the cuts.
    pins: Vec<Cursor>,
    heard_ms: i64,
    state: State,
}

#[derive(Debug)]
enum State {
    Walking,
    Ranges(Ranges),
    Patch(Vec<u8>),
    Failed(String),
}

/// What a question leads to.
#[derive(Debug)]
pub(crate) enum Order {
    Answer(Answer),
    /// Cut, pin the log there and take digests; [`Server::cut`] gives the answer, then [`Server::walked`].
    Ranges(WalkId, Secret, u32),
    /// The same, and make a patch.
    Patch(WalkId, PatchOrder),
}

/// What a walk brought.
#[derive(Debug)]
pub(crate) enum Walked {
    Ranges(Ranges),
    Patch(Vec<u8>),
}

/// Names a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkId {
    session: u64,
    walk: u64,
}

impl Server {
    /// A question has come. An error is what is answered.
    pub(crate) fn asked(
        &mut self,
        question: Question,
        peer: &str,
        now_ms: i64,
    ) -> Result<Order, String> {
        match question {
            Question::Open { secret, bits } => self.open(peer, secret, bits_within(bits), now_ms),
            Question::Ranges { session, question } => match &self.session(session, now_ms)?.state {
                State::Walking => Ok(Order::Answer(Answer::Walking)),
                State::Ranges(ranges) => {
                    let answer = question.answer(ranges).map(Answer::Ranges);
                    answer.map(Order::Answer).ok_or("no such ranges".into())
                }
                State::Failed(why) => Err(why.clone()),
                State::Patch(_) => Err("the ranges are gone".into()),
            },
            Question::Have { session, keys } => {
                let session = self.session(session, now_ms)?;
                if session.have.len() + keys.len() > HAVE_MAX {
                    return Err("the replica has too many keys that may differ".into());
                }
                session.have.extend(keys);
                Ok(Order::Answer(Answer::Taken))
            }
            Question::Cut { session, ranges } => self.cut_again(session, ranges, now_ms),
            Question::Patch { session, from } => self.patch(session, from, now_ms),
        }
    }

    fn open(
        &mut self,
        peer: &str,
        secret: Secret,
        bits: u32,
        now_ms: i64,
    ) -> Result<Order, String> {
        self.tick(now_ms);
        if self
            .session
            .as_ref()
            .is_some_and(|other| other.peer != peer)
        {
            return Err(BUSY.into());
        }
        self.end_session();
        self.sessions += 1;
        self.session = Some(Session {
            number: self.sessions,
            walk: 1,
            peer: peer.to_owned(),
            secret,
            bits,
            have: Vec::new(),
            first: None,
            pins: Vec::new(),
            heard_ms: now_ms,
            state: State::Walking,
        });
        let id = WalkId {
            session: self.sessions,
            walk: 1,
        };
        Ok(Order::Ranges(id, secret, bits))
    }

    fn cut_again(&mut self, number: u64, ranges: Vec<u32>, now_ms: i64) -> Result<Order, String> {
        let session = self.session(number, now_ms)?;
        let (State::Ranges(_), Some(since)) = (&session.state, session.first) else {
            return Err("there are no ranges yet".into());
        };
        session.walk += 1;
        session.state = State::Walking;
        let mut have = std::mem::take(&mut session.have);
        have.sort_unstable();
        let order = PatchOrder {
            secret: session.secret,
            bits: session.bits,
            ranges: ranges.into(),
            have: have.into(),
            since,
        };
        let walk = session.walk;
        let id = WalkId {
            session: number,
            walk,
        };
        Ok(Order::Patch(id, order))
    }

    fn patch(&mut self, number: u64, from: u64, now_ms: i64) -> Result<Order, String> {
        let session = self.session(number, now_ms)?;
        let bytes = match &session.state {
            State::Walking => return Ok(Order::Answer(Answer::Walking)),
            State::Patch(bytes) => bytes,
            State::Failed(why) => return Err(why.clone()),
            State::Ranges(_) => return Err("there is no patch yet".into()),
        };
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
        let to = bytes.len().min(from + ANSWER_BYTES);
        let part = bytes[from..to].to_vec();
        if part.is_empty() {
            // The last of the pins is that of the second cut.
            let pin = session.pins.pop();
            self.lingering
                .extend(pin.map(|pin| (pin, now_ms + LINGER_MS)));
            self.end_session();
        }
        Ok(Order::Answer(Answer::Patch(part)))
    }

    fn session(&mut self, number: u64, now_ms: i64) -> Result<&mut Session, String> {
        let session = self.session.as_mut().filter(|s| s.number == number);
        let session = session.ok_or("there is no such delta resync any more")?;
        session.heard_ms = now_ms;
        Ok(session)
    }

    /// That walk is cut there: the answer, and the pin is kept. An error: the cut is of no use.
    pub(crate) fn cut(&mut self, id: WalkId, cut: StreamCut) -> Result<Answer, String> {
        let is_it = |s: &&mut Session| s.number == id.session && s.walk == id.walk;
        let session = self.session.as_mut().filter(is_it);
        let first = session.as_ref().and_then(|session| session.first);
        let refusal = match (cut.database, session) {
            (_, None) => Some("there is no such delta resync any more"),
            // What is written is logged nowhere, so an offset names no state.
            (None, _) => Some("there is no backlog"),
            _ if cut.diverged.is_some() => Some("the master's own data has diverged"),
            _ if first.is_some_and(|(history, ..)| history != cut.id) => {
                Some("the history has changed")
            }
            (Some(database), Some(session)) => {
                let first = (cut.id, cut.offset, database);
                session.first.get_or_insert(first);
                session.pins.extend(cut.pin);
                None
            }
        };
        if let Some(why) = refusal {
            self.released.extend(cut.pin);
            return Err(why.into());
        }
        Ok(Answer::Cut {
            session: id.session,
            history: cut.id,
            offset: cut.offset,
        })
    }

    /// That walk has come to its end.
    pub(crate) fn walked(&mut self, id: WalkId, result: Result<Walked, String>) {
        let is_it = |s: &&mut Session| s.number == id.session && s.walk == id.walk;
        if let Some(session) = self.session.as_mut().filter(is_it) {
            session.state = match result {
                Ok(Walked::Ranges(ranges)) => State::Ranges(ranges),
                Ok(Walked::Patch(patch)) => State::Patch(patch),
                Err(why) => State::Failed(why),
            };
        }
    }

    fn end_session(&mut self) {
        if let Some(session) = self.session.take() {
            self.released.extend(session.pins);
        }
    }

    /// Lets go of what silent replicas left. To be called now and then.
    pub(crate) fn tick(&mut self, now_ms: i64) {
        let session = self.session.as_ref();
        if session.is_some_and(|s| now_ms - s.heard_ms >= IDLE_MS) {
            self.end_session();
        }
        let over = self
            .lingering
            .extract_if(.., |(_, until_ms)| now_ms >= *until_ms);
        self.released.extend(over.map(|(pin, _)| pin));
    }

    /// Pins on the log that nobody needs any more: the caller detaches them.
    pub(crate) fn take_released(&mut self) -> Vec<Cursor> {
        std::mem::take(&mut self.released)
    }
}
