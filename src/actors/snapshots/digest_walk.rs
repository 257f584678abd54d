//! Walks for digests: a thread of its own that cuts, walks and hashes, as the snapshot's maker does.
//!
//! A walk for digests is the least of what walks the keyspace: none is begun while a snapshot is made or waits, and one
//! under way is given up when a snapshot is wanted, which begins when its thread is through.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::prelude::*;

use crate::actors::snapshots::maker::TURN_US;
use crate::actors::snapshots::snapshot::SnapshotActor;
use crate::digest::{Ranges, Secret};
use crate::node_core::NodeCore;
use crate::node_core::digest_walk::{CutAt, DigestWalk};
use crate::os::priority;
use crate::repl::verify::{KEYS_BYTES_MAX, Walked, Wanted};
use crate::snapshot::Want;
use crate::snapshot::digesting::{Collector, Digesting, Narrowed};
use crate::supervision::{Owner, turn};

/// Elements hashed between two yields of the core: a tenth of a millisecond's work, about.
const PIECE: usize = 1000;

/// Why a walk is not made, or not to its end.
const BUSY: &str = "a snapshot is being made";
const GIVEN_UP: &str = "given up: a snapshot is wanted, or the node stops";

/// The walk under way.
pub(super) struct UnderWay {
    aborted: Arc<AtomicBool>,
}

/// Make a walk for digests.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WalkDigests(pub(crate) DigestWalk);

impl Handler<WalkDigests> for SnapshotActor {
    type Result = ();

    fn handle(&mut self, WalkDigests(walk): WalkDigests, ctx: &mut Self::Context) {
        if self.is_busy() || self.digesting.is_some() {
            walk.cut.tell(Err(BUSY.into()));
            walk.done.tell(Err(BUSY.into()));
            return;
        }
        let aborted = Arc::new(AtomicBool::new(false));
        let (node, there, me) = (self.node.clone(), aborted.clone(), ctx.address());
        let spawned = self.node.threads.spawn("digests", move || {
            priority::lower_after_first_piece();
            // The actor hears of the end whatever becomes of this; so do those who wait, as what they are told by
            // is dropped.
            let _ended = Ended(me);
            let _ = turn(Owner::SnapshotThread, 0, || walk_all(&node, walk, &there));
        });
        match spawned {
            Ok(()) => self.digesting = Some(UnderWay { aborted }),
            Err(error) => tracing::warn!("Can't take digests: {error}"),
        }
    }
}

impl SnapshotActor {
    /// Whether a snapshot may begin; a walk for digests that is under way makes room for it.
    pub(super) fn displace_digests(&self) -> bool {
        if let Some(digesting) = &self.digesting {
            digesting.aborted.store(true, Ordering::Release);
        }
        self.digesting.is_none()
    }
}

struct Ended(Addr<SnapshotActor>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.do_send(DigestsEnded);
    }
}

/// A walk's thread is through.
#[derive(Message)]
#[rtype(result = "()")]
struct DigestsEnded;

impl Handler<DigestsEnded> for SnapshotActor {
    type Result = ();

    fn handle(&mut self, _: DigestsEnded, ctx: &mut Self::Context) {
        self.digesting = None;
        self.start_next(ctx);
    }
}

fn walk_all(node: &Arc<NodeCore>, walk: DigestWalk, aborted: &AtomicBool) {
    node.supervision.step(Owner::SnapshotThread, "digests");
    let DigestWalk { order, cut, done } = walk;
    let secret = order.secret;
    let walked = match order.wanted {
        Wanted::Ranges { bits } => {
            let ranges = Ranges::new(bits);
            walk_with(node, secret, ranges, cut, aborted).map(Walked::Ranges)
        }
        Wanted::Keys { bits, ranges } => {
            let keys = Narrowed::new(bits, &ranges, KEYS_BYTES_MAX);
            let walked = walk_with(node, secret, keys, cut, aborted);
            walked.map(|keys| Walked::Keys(keys.into_keys()))
        }
    };
    done.tell(walked);
}

fn walk_with<C: Collector + Send + 'static>(
    node: &Arc<NodeCore>,
    secret: Secret,
    collector: C,
    cut: CutAt,
    aborted: &AtomicBool,
) -> Result<C, String> {
    let (there, all) = (node.clone(), node.keyspace.all());
    let begun = node.shard_tasks.run(&node.keyspace, all, move |entered| {
        let stream = there.hub.cut(false);
        let walk = Digesting::begin(entered, secret, collector);
        walk.map(|walk| (walk, (stream.id, stream.offset)))
    });
    let (mut walk, at) = begun.flatten().ok_or(BUSY)?;
    cut.tell(Ok(at));
    loop {
        if aborted.load(Ordering::Acquire) || node.lifecycle.is_closed() {
            if node.lifecycle.is_closed() {
                // The node's end waits for this thread's.
                priority::restore();
            }
            return Err(GIVEN_UP.into());
        }
        match walk.next() {
            Want::Encode => walk.work(PIECE),
            Want::Enter(set) => {
                let clock = node.clock.clone();
                let turn = node.shard_tasks.run(&node.keyspace, set, move |entered| {
                    let end_us = clock.monotonic_us() + TURN_US;
                    let dropped = walk.collect(entered, &mut || clock.monotonic_us() >= end_us);
                    (walk, dropped)
                });
                let (back, dropped) = turn.ok_or(GIVEN_UP)?;
                walk = back;
                drop(dropped);
            }
            Want::Finish => return Ok(walk.finish()),
        }
        priority::after_piece();
    }
}
