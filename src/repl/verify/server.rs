//! The master's part: makes the walks that it is asked for, and answers.
//!
//! ```text
//! none --OPEN--> Cutting(ranges) --> Walking --> Ranges --NARROW--> Cutting(keys) --> Walking --> Keys --CLOSE--> none
//! ```
//!
//! One session at a time, since a node makes one walk at a time; one whose replica says nothing for `IDLE_MS` makes room
//! for the next. What a walk brings that belongs to no session any more is dropped.

use super::exchange::{Answer, Question};
use super::report::Report;
use super::{WalkOrder, Walked, Wanted};
use crate::digest::{Ranges, Secret, bits_within};
use crate::repl::replicas::name_of;
use crate::repl::replid::ReplId;
use crate::snapshot::digesting::HeldKey;
use crate::text::printable::printable;

/// Silence after which a session is over, ms.
const IDLE_MS: i64 = 10_000;
/// Longest announced address that is looked at, bytes.
const IP_MAX: usize = 256;

/// See the module. Under a lock of the hub.
#[derive(Debug, Default)]
pub(crate) struct Server {
    session: Option<Session>,
    sessions: u64,
}

#[derive(Debug)]
struct Session {
    number: u64,
    /// Counts its walks.
    walk: u64,
    secret: Secret,
    bits: u32,
    /// The replica.
    peer: String,
    heard_ms: i64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Until the walk ends.
    Walking,
    Ranges(Ranges),
    Keys(Option<Vec<HeldKey>>),
    Failed(String),
}

/// What a question leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Answer(Answer),
    /// Cut and walk; when it is cut, [`Server::cut`] is the answer, at the end [`Server::walked`].
    Walk(WalkId, WalkOrder),
    /// It is over.
    Report(Report),
}

/// Names a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkId {
    session: u64,
    walk: u64,
}

impl Server {
    /// A question has come from the address `from_ip`. `history`: that of our stream. An error is what is answered.
    pub(crate) fn asked(
        &mut self,
        question: Question,
        from_ip: &str,
        history: ReplId,
        now_ms: i64,
    ) -> Result<Order, String> {
        match question {
            Question::Open {
                history: theirs,
                secret,
                bits,
                ip,
                port,
            } => {
                if theirs != history {
                    return Err("the replica follows another history".into());
                }
                let is_told = !ip.is_empty() && ip.len() <= IP_MAX;
                let ip = if is_told {
                    printable(ip.as_bytes())
                } else {
                    from_ip.to_owned()
                };
                self.open(secret, bits, name_of(&ip, port), now_ms)
            }
            Question::Ranges { session, question } => {
                let session = self.session(session, now_ms)?;
                match &session.state {
                    State::Walking => Ok(Order::Answer(Answer::Walking)),
                    State::Ranges(ranges) => {
                        let answer = question.answer(ranges).map(Answer::Ranges);
                        answer.map(Order::Answer).ok_or("no such ranges".into())
                    }
                    State::Failed(why) => Err(why.clone()),
                    State::Keys(_) => Err("the ranges are gone".into()),
                }
            }
            Question::Narrow { session, ranges } => {
                let session = self.session(session, now_ms)?;
                if !matches!(session.state, State::Ranges(_)) {
                    return Err("there are no ranges to narrow".into());
                }
                let bits = session.bits;
                Ok(session.walk(Wanted::Keys { bits, ranges }))
            }
            Question::Keys { session, from } => match &self.session(session, now_ms)?.state {
                State::Walking => Ok(Order::Answer(Answer::Walking)),
                State::Keys(Some(keys)) => Ok(Order::Answer(Answer::keys(keys, from))),
                State::Keys(None) => Ok(Order::Answer(Answer::TooMany)),
                State::Failed(why) => Err(why.clone()),
                State::Ranges(_) => Err("there are no keys yet".into()),
            },
            Question::Close { session, report } => {
                let peer = self.session(session, now_ms)?.peer.clone();
                let report = Report::parse(&report, peer, now_ms).ok_or("that is no report")?;
                self.session = None;
                Ok(Order::Report(report))
            }
        }
    }

    fn open(
        &mut self,
        secret: Secret,
        bits: u32,
        peer: String,
        now_ms: i64,
    ) -> Result<Order, String> {
        if let Some(other) = self.session.as_ref()
            && now_ms - other.heard_ms < IDLE_MS
            && other.peer != peer
        {
            return Err(format!(
                "another replica, {}, is being verified",
                other.peer
            ));
        }
        self.sessions += 1;
        let bits = bits_within(bits);
        let session = self.session.insert(Session {
            number: self.sessions,
            walk: 0,
            secret,
            bits,
            peer,
            heard_ms: now_ms,
            state: State::Walking,
        });
        Ok(session.walk(Wanted::Ranges { bits }))
    }

    fn session(&mut self, number: u64, now_ms: i64) -> Result<&mut Session, String> {
        let session = self.session.as_mut().filter(|s| s.number == number);
        let session = session.ok_or("there is no such verification any more")?;
        session.heard_ms = now_ms;
        Ok(session)
    }

    /// That walk is cut there: the answer.
    pub(crate) fn cut(&self, id: WalkId, offset: u64) -> Answer {
        Answer::Cut {
            session: id.session,
            offset,
        }
    }

    /// That walk has come to its end.
    pub(crate) fn walked(&mut self, id: WalkId, result: Result<Walked, String>) {
        let is_it = |s: &&mut Session| s.number == id.session && s.walk == id.walk;
        if let Some(session) = self.session.as_mut().filter(is_it) {
            session.state = match result {
                Ok(Walked::Ranges(ranges)) => State::Ranges(ranges),
                Ok(Walked::Keys(keys)) => State::Keys(keys),
                Err(why) => State::Failed(why),
            };
        }
    }

    /// Lets go of what a silent replica left. To be called now and then.
    pub(crate) fn tick(&mut self, now_ms: i64) {
        if self
            .session
            .as_ref()
            .is_some_and(|s| now_ms - s.heard_ms >= IDLE_MS)
        {
            self.session = None;
        }
    }
}

impl Session {
    fn walk(&mut self, wanted: Wanted) -> Order {
        self.walk += 1;
        self.state = State::Walking;
        let id = WalkId {
            session: self.number,
            walk: self.walk,
        };
        let secret = self.secret;
        Order::Walk(id, WalkOrder { secret, wanted })
    }
}
