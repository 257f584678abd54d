//! Verifications of simulated nodes: the production machines of both sides, with answers that are late or lost and
//! walks that fail.

use super::dataset::Dataset;
use super::node::SimNode;
use crate::clock::Clock;
use crate::data::{Kind, StrRef, ValueRef};
use crate::digest::{KeyDigest, KeyPlace, Ranges, Secret, value_digest};
use crate::repl::verify::server::{Order, WalkId};
use crate::repl::verify::verifier::{Start, Step};
use crate::repl::verify::{
    Answer, KEYS_BYTES_MAX, Question, Report, Verifier, WalkOrder, Walked, Wanted,
};
use crate::snapshot::digesting::{Collector, DigestedKey, Narrowed};

/// Longest that the stream is held, ms.
const HOLD_MS: i64 = 2000;
/// Of 256 questions, so many are lost; of 256 walks, so many fail.
const LOST: u8 = 4;
const WALK_FAILURES: u8 = 4;

/// What is under way.
#[derive(Debug)]
enum Wait {
    /// Nothing: the verifier says what is next.
    No,
    /// A question on its way to the master.
    Question(Question),
    Answer(Result<Answer, String>),
    /// The stream is to come so far before the cut.
    Offset(u64, WalkOrder),
    /// Our walk.
    Walk,
}

/// A verification under way.
#[derive(Debug)]
pub(super) struct SimVerification {
    pub(crate) replica: usize,
    pub(crate) master: usize,
    verifier: Verifier,
    wait: Wait,
    due_ms: i64,
    hold_until_ms: i64,
    own_walk: Option<Result<Walked, String>>,
    /// A walk of the master's, and when it ends.
    their_walk: Option<(i64, WalkId, Result<Walked, String>)>,
    /// How often the replica had been started when this began.
    starts: u64,
}

impl SimVerification {
    /// Of a replica that is connected to its master.
    pub(super) fn begin(nodes: &[SimNode], replica: usize, now_ms: i64) -> Option<SimVerification> {
        let node = &nodes[replica];
        let master = node
            .host
            .target()
            .filter(|_| node.host.up && node.connected())?;
        let clock = &*node.host.clock;
        Some(SimVerification {
            replica,
            master,
            verifier: Verifier::new(Start {
                peer: format!("node{master}"),
                history: node.host.hub.history().id,
                secret: Secret::random(clock as &dyn Clock),
                keys: node.host.data.keys() as u64,
                ip: format!("node{replica}"),
                port: 1,
                now_ms,
            }),
            wait: Wait::No,
            due_ms: now_ms,
            hold_until_ms: 0,
            own_walk: None,
            their_walk: None,
            starts: node.host.starts,
        })
    }

    /// Time passed. The report at the end.
    pub(super) fn step(
        &mut self,
        nodes: &mut [SimNode],
        now_ms: i64,
        rng: &mut fastrand::Rng,
    ) -> Option<Report> {
        self.end_their_walk(nodes, now_ms);
        let own = &nodes[self.replica].host;
        if !own.up || own.starts != self.starts {
            self.verifier.fail("restarted".into());
            self.wait = Wait::No;
        }
        while now_ms >= self.due_ms {
            match std::mem::replace(&mut self.wait, Wait::No) {
                Wait::No => {
                    let step = self.verifier.next(now_ms);
                    if let Some(report) = self.take_step(step, nodes, now_ms, rng) {
                        nodes[self.replica].host.hub.stream_hold().release();
                        return Some(report);
                    }
                }
                Wait::Question(question) => {
                    let answer = self.put(question, &mut nodes[self.master], now_ms, rng);
                    self.wait = Wait::Answer(answer);
                    self.due_ms = now_ms + rng.i64(0..150);
                }
                Wait::Answer(answer) => self.verifier.answered(answer),
                Wait::Offset(offset, order) => {
                    let host = &nodes[self.replica].host;
                    if host.hub.offset() < offset && now_ms < self.hold_until_ms {
                        self.wait = Wait::Offset(offset, order);
                        return None;
                    }
                    let cut = host.hub.cut(false);
                    self.own_walk = Some(walk(&host.data, &order, rng));
                    self.verifier.cut(Ok((cut.id, cut.offset)));
                }
                Wait::Walk => {
                    if let Some(walked) = self.own_walk.take() {
                        self.verifier.walked(walked);
                    }
                }
            }
            if !self.verifier.holds() {
                nodes[self.replica].host.hub.stream_hold().release();
            }
        }
        None
    }

    fn take_step(
        &mut self,
        step: Step,
        nodes: &mut [SimNode],
        now_ms: i64,
        rng: &mut fastrand::Rng,
    ) -> Option<Report> {
        let hub = &nodes[self.replica].host.hub;
        match step {
            Step::HoldAndAsk(question) => {
                self.hold_until_ms = now_ms + HOLD_MS;
                hub.stream_hold().hold(0, self.hold_until_ms);
                self.wait = Wait::Question(question);
                self.due_ms = now_ms + rng.i64(0..150);
            }
            Step::Ask(question) => {
                self.wait = Wait::Question(question);
                self.due_ms = now_ms + rng.i64(0..150);
            }
            Step::CutAt(offset, order) => {
                hub.stream_hold().hold(offset, self.hold_until_ms);
                self.wait = Wait::Offset(offset, order);
            }
            Step::AwaitWalk => {
                self.wait = Wait::Walk;
                self.due_ms = now_ms + rng.i64(0..500);
            }
            Step::Pause(ms) => self.due_ms = now_ms + ms,
            Step::Close(question, report) => {
                let _ = self.put(question, &mut nodes[self.master], now_ms, rng);
                return Some(report);
            }
            Step::Done(report) => return Some(report),
        }
        None
    }

    /// The question has come to the master.
    fn put(
        &mut self,
        question: Question,
        master: &mut SimNode,
        now_ms: i64,
        rng: &mut fastrand::Rng,
    ) -> Result<Answer, String> {
        let host = &master.host;
        if !host.up || rng.u8(..) < LOST {
            return Err("the connection was lost".into());
        }
        // As it comes over a connection.
        let words = question.words();
        let words: Vec<&[u8]> = words.iter().map(|word| &word[..]).collect();
        let question = Question::parse(&words[2..]).ok_or("no question")?;
        let history = host.hub.history().id;
        let asked = host
            .hub
            .verify_server()
            .asked(question, "node", history, now_ms);
        let answer = match asked? {
            Order::Answer(answer) => answer,
            Order::Report(report) => {
                host.hub.published().reports.add(report);
                Answer::Closed
            }
            Order::Walk(id, order) => {
                let walked = walk(&host.data, &order, rng);
                self.their_walk = Some((now_ms + rng.i64(0..1000), id, walked));
                let offset = host.hub.cut(false).offset;
                host.hub.verify_server().cut(id, offset)
            }
        };
        Answer::parse(&answer.to_bytes()).ok_or("no answer".into())
    }

    fn end_their_walk(&mut self, nodes: &[SimNode], now_ms: i64) {
        if let Some((at, id, walked)) = self.their_walk.take() {
            if now_ms < at {
                self.their_walk = Some((at, id, walked));
                return;
            }
            let hub = &nodes[self.master].host.hub;
            hub.verify_server().walked(id, walked);
        }
    }
}

/// What a walk over the model brings.
pub(super) fn walk(
    data: &Dataset,
    order: &WalkOrder,
    rng: &mut fastrand::Rng,
) -> Result<Walked, String> {
    if rng.u8(..) < WALK_FAILURES {
        return Err("a snapshot is wanted".into());
    }
    Ok(match &order.wanted {
        Wanted::Ranges { bits } => Walked::Ranges(collect(data, &order.secret, Ranges::new(*bits))),
        Wanted::Keys { bits, ranges } => {
            let keys = Narrowed::new(*bits, ranges, KEYS_BYTES_MAX);
            Walked::Keys(collect(data, &order.secret, keys).into_keys())
        }
    })
}

pub(super) fn collect<C: Collector>(data: &Dataset, secret: &Secret, mut collector: C) -> C {
    for (db, database) in data.databases.iter().enumerate() {
        for (key, value) in database {
            let (key, value) = (key.to_string(), value.to_string());
            let place = KeyPlace::of(secret, db, key.as_bytes());
            if collector.wants(place) {
                let text = ValueRef::String(StrRef::Bytes(value.as_bytes()));
                let of_value = value_digest(secret, text);
                let digest = KeyDigest::of(secret, place, Kind::String, None, of_value);
                let key = key.as_bytes();
                collector.add(DigestedKey {
                    db,
                    key,
                    place,
                    digest,
                    value: text,
                    expire_at: None,
                });
            }
        }
    }
    collector
}
