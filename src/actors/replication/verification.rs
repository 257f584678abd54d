//! The actor that verifies: as a replica against its master, as a master by asking its replicas to do so; when it is
//! told to, and by itself every `repl-verify-period` seconds.
//!
//! What is done is decided in `repl::verify`; here are the connection, the walk and the waiting. Bounds: one verification
//! at a time; each answer by `ANSWER_TIMEOUT`; the stream is held no longer than `HOLD_MS`. Death: it starts anew; who
//! waited is told, and what was held goes on at its deadline.

use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::prelude::*;
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::actors::shard;
use crate::actors::snapshots::digest_walk::{AnyWalk, WalkDigests};
use crate::actors::snapshots::snapshot::SnapshotActor;
use crate::digest::Secret;
use crate::node_core::NodeCore;
use crate::node_core::digest_walk::{DigestWalk, Told, VerifyWith};
use crate::os::outgoing;
use crate::repl::verify::server::WalkId;
use crate::repl::verify::verifier::{Start, Step};
use crate::repl::verify::{Answer, Outcome, Question, Report, Verifier, WalkOrder, Walked};
use crate::repl::{ReplId, ReplicaState, wire};
use crate::resp::Reply;
use crate::resp::value::RespValue;
use crate::session::Ticket;
use crate::supervision::Owner;
use crate::text::printable::printable;

/// Between two looks whether a verification is due.
const LOOK: Duration = Duration::from_secs(1);
/// Longest that the stream is held, ms: a round trip and two cuts.
const HOLD_MS: i64 = 2000;
/// Between two looks whether the stream has come to where both cut.
const STREAM_LOOK: Duration = Duration::from_millis(1);
/// Longest wait for a connection or an answer.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for a replica that was asked to verify itself.
const REPLICA_TIMEOUT: Duration = Duration::from_secs(3600);
/// Longest answer that is taken, bytes.
const ANSWER_MAX: usize = 8 << 20;

/// See the module.
pub(crate) struct VerificationActor {
    pub(super) node: Arc<NodeCore>,
    pub(super) snapshots: Addr<SnapshotActor>,
    running: bool,
    /// When the last one began, Unix ms.
    last_ms: i64,
}

impl VerificationActor {
    pub(crate) fn new(node: Arc<NodeCore>, snapshots: Addr<SnapshotActor>) -> VerificationActor {
        let last_ms = node.clock.unix_ms();
        VerificationActor {
            node,
            snapshots,
            running: false,
            last_ms,
        }
    }

    /// The verification that `repl-verify-period` wants, if one is due.
    fn look(&mut self, ctx: &mut Context<VerificationActor>) {
        let node = &self.node;
        node.supervision.step(Owner::Verification, "look");
        let now_ms = node.clock.unix_ms();
        node.hub.verify_server().tick(now_ms);
        node.hub.with_delta_server(|server| server.tick(now_ms));
        let period_ms = node.settings.load().repl_verify_period as i64 * 1000;
        let is_due = period_ms > 0 && now_ms - self.last_ms >= period_ms;
        let is_replica = node.hub.is_replica();
        let is_alone = !is_replica && node.hub.published().replicas.is_empty();
        if self.running || !is_due || is_alone || (is_replica && !node.hub.link_up()) {
            return;
        }
        let with = if is_replica {
            VerifyWith::Master
        } else {
            VerifyWith::Replicas
        };
        ctx.notify(Verify { ticket: None, with });
    }
}

impl Supervised for VerificationActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.running = false;
        self.node.hub.stream_hold().release();
    }
}

impl Actor for VerificationActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(LOOK, |actor, ctx| actor.look(ctx));
    }
}

/// Verify, and answer with what was found.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Verify {
    pub(crate) ticket: Option<Arc<Ticket>>,
    pub(crate) with: VerifyWith,
}

/// The answer to a verification: an error, if it comes to no end.
struct Promise(Option<Arc<Ticket>>);

impl Promise {
    fn keep(self, lines: &[String]) {
        let Some(ticket) = &self.0 else { return };
        let mut reply = Reply::new(ticket.resp);
        reply.array(lines.len());
        lines.iter().for_each(|line| reply.bulk(line.as_bytes()));
        ticket.complete(&reply.take().into_bytes());
    }

    fn fail(self, why: &str) {
        let Some(ticket) = &self.0 else { return };
        let mut reply = Reply::new(ticket.resp);
        reply.error(&format!("ERR not verified: {why}"));
        ticket.complete(&reply.take().into_bytes());
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some(ticket) = &self.0 {
            ticket.complete(b"-ERR the verification failed inside the server, see its log\r\n");
        }
    }
}

impl Handler<Verify> for VerificationActor {
    type Result = ();

    fn handle(&mut self, verify: Verify, ctx: &mut Self::Context) {
        let promise = Promise(verify.ticket);
        if self.running {
            return promise.fail("another verification is under way");
        }
        self.running = true;
        let (node, snapshots) = (self.node.clone(), self.snapshots.clone());
        self.last_ms = node.clock.unix_ms();
        let work = async move {
            match verify.with {
                VerifyWith::Master => {
                    let report = verify_with_master(&node, &snapshots).await;
                    match &report.outcome {
                        Outcome::Failed(why) => promise.fail(why),
                        _ => promise.keep(&report.lines()),
                    }
                }
                VerifyWith::Replicas => promise.keep(&verify_replicas(&node).await),
            }
        };
        let done = work
            .into_actor(self)
            .map(|(), actor, _| actor.running = false);
        ctx.spawn(done);
    }
}

// ---- as a replica ----

/// Lets the stream go on, however a verification ends.
struct Release<'n>(&'n NodeCore);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.0.hub.stream_hold().release();
    }
}

async fn verify_with_master(node: &Arc<NodeCore>, snapshots: &Addr<SnapshotActor>) -> Report {
    let link = node.hub.published().link.clone();
    let (host, port) = link.map_or_else(Default::default, |link| (link.host, link.port));
    let settings = node.settings.load_full();
    let own_port = match settings.replica_announce_port {
        0 => settings.port,
        port => port,
    };
    let all = node.keyspace.all();
    let keys = shard::enter(node, all, |entered| entered.keys()).await;
    let mut verifier = Verifier::new(Start {
        peer: format!("{host}:{port}"),
        history: node.hub.history().id,
        secret: Secret::random(&*node.clock),
        keys,
        ip: settings.replica_announce_ip.clone().unwrap_or_default(),
        port: own_port,
        now_ms: node.clock.unix_ms(),
    });
    let mut peer = Err("there is no link to a master".to_owned());
    if node.hub.link_up() {
        peer = Peer::connect(node, host, port).await;
    }
    if let Err(why) = &peer {
        verifier.fail(why.clone());
    }
    let report = drive(node, snapshots, &mut verifier, peer.ok().as_mut()).await;
    report.log();
    node.hub.published().reports.add(report.clone());
    report
}

/// Does what the verifier says, to its report.
async fn drive(
    node: &Arc<NodeCore>,
    snapshots: &Addr<SnapshotActor>,
    verifier: &mut Verifier,
    mut peer: Option<&mut Peer>,
) -> Report {
    let hold = node.hub.stream_hold();
    let _release = Release(node);
    let (mut walk, mut deadline_ms) = (None, 0);
    loop {
        let now_ms = node.clock.unix_ms();
        match verifier.next(now_ms) {
            Step::HoldAndAsk(question) => {
                deadline_ms = now_ms + HOLD_MS;
                hold.hold(0, deadline_ms);
                let answer = ask(&mut peer, &question).await;
                verifier.answered(answer);
            }
            Step::Ask(question) => {
                let answer = ask(&mut peer, &question).await;
                verifier.answered(answer);
            }
            Step::CutAt(offset, order) => {
                hold.hold(offset, deadline_ms);
                while node.hub.offset() < offset && node.clock.unix_ms() < deadline_ms {
                    sleep(STREAM_LOOK).await;
                }
                let (cut, cut_at) = oneshot::channel();
                let (done, walked) = oneshot::channel::<Result<Walked, String>>();
                snapshots.do_send(WalkDigests(AnyWalk::Digests(DigestWalk {
                    order,
                    cut: Told::new(move |at| drop(cut.send(at))),
                    done: Told::new(move |result| drop(done.send(result))),
                })));
                let at = cut_at.await.unwrap_or_else(|_| Err(GONE.into()));
                verifier.cut(at);
                walk = Some(walked);
            }
            Step::AwaitWalk => {
                let result = match walk.take() {
                    Some(walk) => walk.await.unwrap_or_else(|_| Err(GONE.into())),
                    None => Err(GONE.into()),
                };
                verifier.walked(result);
            }
            Step::Pause(ms) => sleep(Duration::from_millis(ms as u64)).await,
            Step::Close(question, report) => {
                // The report is ours whether the master takes it or not.
                let _ = ask(&mut peer, &question).await;
                return report;
            }
            Step::Done(report) => return report,
        }
        if !verifier.holds() {
            hold.release();
        }
    }
}

const GONE: &str = "the walk was given up";

async fn ask(peer: &mut Option<&mut Peer>, question: &Question) -> Result<Answer, String> {
    let peer = peer.as_mut().ok_or("there is no connection")?;
    match peer.ask(&question.words(), ANSWER_TIMEOUT).await? {
        RespValue::Error(error) if error.contains("unknown command") => Err(NOT_OURS.into()),
        value => answer_of(value, Answer::parse),
    }
}

/// Reads a master's answer.
pub(super) fn answer_of<A>(
    value: RespValue,
    parse: impl FnOnce(&[u8]) -> Option<A>,
) -> Result<A, String> {
    match value {
        RespValue::Error(error) => Err(format!("the master says: {}", printable(error.as_bytes()))),
        value => value
            .as_bytes()
            .and_then(parse)
            .ok_or("the master's answer makes no sense".into()),
    }
}

const NOT_OURS: &str = "the master is no node of ours: it does not know REPLICATION DIGEST";

// ---- as a master ----

/// Has each replica verify itself with us; what was found, in lines.
async fn verify_replicas(node: &Arc<NodeCore>) -> Vec<String> {
    let replicas: Vec<_> = node.hub.published().replicas.iter().cloned().collect();
    let mut lines = Vec::new();
    for replica in replicas {
        let (name, begun_ms) = (replica.name(), node.clock.unix_ms());
        let asked = if !replica.capa_digest {
            Err("it is no node of ours".to_owned())
        } else if replica.state != ReplicaState::Online {
            Err("it is in a full sync".to_owned())
        } else {
            ask_replica(node, replica.ip().to_owned(), replica.listening_port).await
        };
        // It has told us before it answered.
        let published = node.hub.published();
        let report = published.reports.of(&name);
        match (asked, report.filter(|report| report.at_ms >= begun_ms)) {
            (_, Some(report)) => lines.extend(report.lines()),
            (Err(why), None) => lines.push(format!("{name}: not known: {why}")),
            (Ok(()), None) => lines.push(format!("{name}: not known: it told nothing")),
        }
    }
    if lines.is_empty() {
        lines.push("no replicas".into());
    }
    lines
}

async fn ask_replica(node: &Arc<NodeCore>, ip: String, port: u16) -> Result<(), String> {
    let mut peer = Peer::connect(node, ip, port).await?;
    let words = ["REPLICATION", "VERIFY", "MASTER"].map(|word| word.as_bytes().to_vec());
    match peer.ask(&words, REPLICA_TIMEOUT).await? {
        RespValue::Error(error) => Err(printable(error.as_bytes())),
        _ => Ok(()),
    }
}

/// A walk for a replica that verifies itself with us; the ticket is completed when it is cut.
pub(super) fn walk_for_replica(
    node: Weak<NodeCore>,
    ticket: Arc<Ticket>,
    id: WalkId,
    order: WalkOrder,
) -> DigestWalk {
    let there = node.clone();
    let cut = move |at: Result<(ReplId, u64), String>| {
        let mut reply = Reply::new(ticket.resp);
        match (at, there.upgrade()) {
            (Ok((_, offset)), Some(node)) => {
                let answer = node.hub.verify_server().cut(id, offset);
                reply.bulk(&answer.to_bytes());
            }
            (Err(why), _) => reply.error(&format!("ERR {why}")),
            (Ok(_), None) => reply.error("ERR the node is stopping"),
        }
        ticket.complete(&reply.take().into_bytes());
    };
    let done = move |result| {
        if let Some(node) = node.upgrade() {
            node.hub.verify_server().walked(id, result);
        }
    };
    DigestWalk {
        order,
        cut: Told::new(cut),
        done: Told::new(done),
    }
}

// ---- connections ----

/// A connection to another node.
pub(super) struct Peer {
    stream: TcpStream,
    input: BytesMut,
}

impl Peer {
    /// Connects, and logs in as the link to a master does.
    pub(super) async fn connect(node: &NodeCore, host: String, port: u16) -> Result<Peer, String> {
        let connecting = outgoing::connect(node, host, port);
        let stream = timeout(ANSWER_TIMEOUT, connecting).await;
        let stream = stream.map_err(|_| "could not connect: timed out".to_owned())?;
        let stream = stream.map_err(|error| format!("could not connect: {error}"))?;
        let _ = stream.set_nodelay(true);
        let input = BytesMut::new();
        let mut peer = Peer { stream, input };
        let settings = node.settings.load_full();
        let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(password) = set(&settings.masterauth) {
            let mut words = vec![b"AUTH".to_vec()];
            words.extend(set(&settings.masteruser).map(String::into_bytes));
            words.push(password.into_bytes());
            if let RespValue::Error(error) = peer.ask(&words, ANSWER_TIMEOUT).await? {
                return Err(format!("could not log in: {}", printable(error.as_bytes())));
            }
        }
        Ok(peer)
    }

    /// Sends a command and waits for its reply.
    pub(super) async fn ask(
        &mut self,
        words: &[Vec<u8>],
        wait: Duration,
    ) -> Result<RespValue, String> {
        let mut bytes = Vec::new();
        wire::command(&mut bytes, words);
        let exchange = async {
            self.stream
                .write_all(&bytes)
                .await
                .map_err(|e| e.to_string())?;
            self.reply().await
        };
        timeout(wait, exchange)
            .await
            .unwrap_or_else(|_| Err("no answer came in time".into()))
    }

    async fn reply(&mut self) -> Result<RespValue, String> {
        loop {
            if let Some((value, used)) =
                RespValue::read(&self.input).map_err(|error| error.to_string())?
            {
                self.input.advance(used);
                return Ok(value);
            }
            if self.input.len() > ANSWER_MAX {
                return Err("the answer is too long".into());
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) => return Err("the connection was closed".into()),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}
