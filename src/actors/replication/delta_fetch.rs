//! Delta resyncs, as a running node makes them: the replica's connection, its walks and the patch that it builds; and
//! the master's walks for it. What is done is decided in `repl::delta`.

use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use actix::prelude::*;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::actors::replication::verification::{
    ANSWER_TIMEOUT, Peer, VerificationActor, answer_of,
};
use crate::actors::shard;
use crate::actors::snapshots::digest_walk::{AnyWalk, WalkDigests};
use crate::actors::snapshots::snapshot::SnapshotActor;
use crate::actors::supervisor;
use crate::background::loading;
use crate::digest::Secret;
use crate::keyspace::patch::Patch;
use crate::node_core::NodeCore;
use crate::node_core::digest_walk::{DeltaWalk, DeltaWanted, DigestWalk, Told};
use crate::os::priority;
use crate::rdb::opaque::Opaque;
use crate::repl::delta::client::Step;
use crate::repl::delta::server::WalkId;
use crate::repl::delta::{Answer, Client, Fetched, Question};
use crate::repl::hub::StreamCut;
use crate::repl::link::io::DeltaReady;
use crate::repl::stream_databases;
use crate::repl::verify::{WalkOrder, Walked};
use crate::resp::Reply;
use crate::session::Ticket;
use crate::supervision::{Owner, turn};

/// What was fetched, built beside the data.
pub(super) struct Built {
    pub(super) patch: Patch,
    pub(super) opaque: Opaque,
    pub(super) ready: DeltaReady,
    /// `Keyspace::changes` before the first cut: the data must not have been written to since.
    pub(super) changes: u64,
}

/// Where the fetch leaves its result for the link.
#[derive(Default)]
pub(super) struct DeltaOutcome {
    state: Mutex<OutcomeState>,
}

#[derive(Default)]
struct OutcomeState {
    result: Option<Result<Built, String>>,
    waker: Option<Waker>,
    /// Nobody wants it any more.
    given_up: bool,
}

impl DeltaOutcome {
    /// How it went; if it is not through, the waker is woken when it is.
    pub(super) fn look(&self, waker: &Waker) -> Option<Result<DeltaReady, String>> {
        let mut state = self.state.lock();
        state.waker = Some(waker.clone());
        let result = state.result.as_ref()?;
        Some(
            result
                .as_ref()
                .map(|built| built.ready.clone())
                .map_err(String::clone),
        )
    }

    /// Takes what there is; nothing more is wanted.
    pub(super) fn give_up(&self) -> Option<Built> {
        let mut state = self.state.lock();
        state.given_up = true;
        state.result.take().and_then(Result::ok)
    }

    fn is_given_up(&self) -> bool {
        self.state.lock().given_up
    }
}

/// Leaves a result, whatever becomes of the fetch.
pub(super) struct DeltaPromise(pub(super) Arc<DeltaOutcome>);

impl DeltaPromise {
    fn leave(&self, result: Result<Built, String>) {
        let mut state = self.0.state.lock();
        if state.result.is_none() && !state.given_up {
            state.result = Some(result);
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for DeltaPromise {
    fn drop(&mut self) {
        self.leave(Err("it was given up".into()));
    }
}

/// Fetch from that master what makes our data the same as its own.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct FetchDelta {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) outcome: DeltaPromise,
}

impl Handler<FetchDelta> for VerificationActor {
    type Result = ();

    fn handle(&mut self, fetch: FetchDelta, ctx: &mut Self::Context) {
        let (node, snapshots) = (self.node.clone(), self.snapshots.clone());
        let work = async move {
            let FetchDelta {
                host,
                port,
                outcome,
            } = fetch;
            let result = fetch_and_build(&node, &snapshots, host, port, &outcome).await;
            outcome.leave(result);
        };
        ctx.spawn(
            supervisor::caught(Owner::Verification, work)
                .into_actor(self)
                .map(|_, _, _| ()),
        );
    }
}

async fn fetch_and_build(
    node: &Arc<NodeCore>,
    snapshots: &Addr<SnapshotActor>,
    host: String,
    port: u16,
    outcome: &DeltaPromise,
) -> Result<Built, String> {
    let all = node.keyspace.all();
    let (keys, changes) = shard::enter(node, all, |entered| {
        (entered.keys(), entered.keyspace().changes())
    })
    .await;
    if keys == 0 {
        return Err("we hold no keys".into());
    }
    let mut peer = Peer::connect(node, host, port).await?;
    let mut client = Client::new(Secret::random(&*node.clock), keys);
    loop {
        if outcome.0.is_given_up() {
            return Err("nobody wants it any more".into());
        }
        node.supervision.step(Owner::Verification, "delta");
        match client.next() {
            Step::Ask(question) => {
                let answer = ask(&mut peer, &question).await;
                client.answered(answer);
            }
            Step::Walk(order) => client.walked(walk(snapshots, order).await),
            Step::Pause(ms) => sleep(Duration::from_millis(ms as u64)).await,
            Step::Done(fetched) => return build(node, fetched, changes).await,
            Step::Failed(why) => return Err(why),
        }
    }
}

async fn ask(peer: &mut Peer, question: &Question) -> Result<Answer, String> {
    let value = peer.ask(&question.words(), ANSWER_TIMEOUT).await?;
    answer_of(value, Answer::parse)
}

async fn walk(snapshots: &Addr<SnapshotActor>, order: WalkOrder) -> Result<Walked, String> {
    let (done, walked) = oneshot::channel();
    snapshots.do_send(WalkDigests(AnyWalk::Digests(DigestWalk {
        order,
        cut: Told::new(|_| {}),
        done: Told::new(move |result| drop(done.send(result))),
    })));
    let gone = |_| Err("the walk was given up".into());
    walked.await.unwrap_or_else(gone)
}

/// Builds the patch on a thread.
async fn build(node: &Arc<NodeCore>, fetched: Fetched, changes: u64) -> Result<Built, String> {
    let (done, built) = oneshot::channel();
    let there = node.clone();
    let building = move || {
        priority::lower_after_first_piece();
        let result = turn(Owner::Loader, 0, || build_here(&there, fetched, changes));
        let died = |panic| Err(format!("the loading thread died: {panic}"));
        let _ = done.send(result.unwrap_or_else(died));
    };
    let spawned = node.threads.spawn("loader", building);
    spawned.map_err(|error| error.to_string())?;
    let gone = |_| Err("the loading thread died".into());
    built.await.unwrap_or_else(gone)
}

fn build_here(node: &NodeCore, fetched: Fetched, changes: u64) -> Result<Built, String> {
    node.supervision.step(Owner::Loader, "delta");
    let mut patch = Patch::new(&node.keyspace);
    let databases = node.keyspace.databases();
    for (db, key) in fetched.drops {
        if db < databases {
            patch.add(&node.keyspace, db, key, None);
        }
    }
    let (patch, opaque, database) = loading::read_patch(node, &fetched.dump, patch)?;
    if let Some(why) = stream_databases::refusal_to_resume(database.unwrap_or(0), databases) {
        return Err(why);
    }
    let told = format!("{} keys, {}", patch.len(), fetched.told);
    Ok(Built {
        patch,
        opaque,
        ready: DeltaReady {
            history: fetched.history,
            offset: fetched.offset,
            database,
            told,
        },
        changes,
    })
}

/// The master's walk; the ticket is completed when it is cut.
pub(super) fn walk_for_replica(
    node: Weak<NodeCore>,
    ticket: Arc<Ticket>,
    id: WalkId,
    wanted: DeltaWanted,
) -> DeltaWalk {
    let there = node.clone();
    let cut = move |cut: Result<StreamCut, String>| {
        let mut reply = Reply::new(ticket.resp);
        match (cut, there.upgrade()) {
            (Ok(cut), Some(node)) => {
                match node.hub.with_delta_server(|server| server.cut(id, cut)) {
                    Ok(answer) => reply.bulk(&answer.to_bytes()),
                    Err(why) => reply.error(&format!("ERR {why}")),
                }
            }
            (Err(why), _) => reply.error(&format!("ERR {why}")),
            (Ok(_), None) => reply.error("ERR the node is stopping"),
        }
        ticket.complete(&reply.take().into_bytes());
    };
    let done = move |result| {
        if let Some(node) = node.upgrade() {
            node.hub
                .with_delta_server(|server| server.walked(id, result));
        }
    };
    DeltaWalk {
        wanted,
        cut: Told::new(cut),
        done: Told::new(done),
    }
}
