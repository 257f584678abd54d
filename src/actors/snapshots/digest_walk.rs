//! Walks for digests: a thread of its own that cuts, walks and hashes, as the snapshot's maker does.
//!
//! A walk for digests is the least of what walks the keyspace: none is begun while a snapshot is made or waits, and one
//! under way is given up when a snapshot is wanted, which begins when its thread is through.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::prelude::*;

use crate::actors::snapshots::maker::{TURN_US, preamble, replication_mark};
use crate::actors::snapshots::snapshot::SnapshotActor;
use crate::digest::{Ranges, Secret};
use crate::node_core::NodeCore;
use crate::node_core::digest_walk::{CutAt, DeltaWalk, DeltaWanted, DigestWalk, RangesOrder, Told};
use crate::os::priority;
use crate::repl::delta::exchange::Drops;
use crate::repl::delta::touched::{self, Touch, Touched};
use crate::repl::delta::{PATCH_MAX, PatchOrder, Walked as DeltaWalked};
use crate::repl::hub::StreamCut;
use crate::repl::verify::{KEYS_BYTES_MAX, Walked, Wanted};
use crate::snapshot::Want;
use crate::snapshot::digesting::{Collector, Digesting, Narrowed};
use crate::snapshot::patching::Patching;
use crate::supervision::{Owner, turn};
use crate::table::spec::bits;

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
pub(crate) struct WalkDigests(pub(crate) AnyWalk);

/// Whom a walk is for.
pub(crate) enum AnyWalk {
    /// A verification, or a replica that compares itself in a delta resync.
    Digests(DigestWalk),
    /// The master's part in a delta resync.
    Delta(DeltaWalk),
}

impl AnyWalk {
    fn refuse(self, why: &str) {
        match self {
            AnyWalk::Digests(walk) => {
                walk.cut.tell(Err(why.into()));
                walk.done.tell(Err(why.into()));
            }
            AnyWalk::Delta(walk) => {
                walk.cut.tell(Err(why.into()));
                walk.done.tell(Err(why.into()));
            }
        }
    }
}

impl Handler<WalkDigests> for SnapshotActor {
    type Result = ();

    fn handle(&mut self, WalkDigests(walk): WalkDigests, ctx: &mut Self::Context) {
        if self.is_busy() || self.digesting.is_some() {
            return walk.refuse(BUSY);
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

fn walk_all(node: &Arc<NodeCore>, walk: AnyWalk, aborted: &AtomicBool) {
    node.supervision.step(Owner::SnapshotThread, "digests");
    let DigestWalk { order, cut, done } = match walk {
        AnyWalk::Digests(walk) => walk,
        AnyWalk::Delta(walk) => return walk_for_delta(node, walk, aborted),
    };
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
    let (walk, at) = begun.flatten().ok_or(BUSY)?;
    cut.tell(Ok(at));
    walk_on(node, walk, aborted)
}

/// Walks to the end.
fn walk_on<C: Collector + Send + 'static>(
    node: &Arc<NodeCore>,
    mut walk: Digesting<C>,
    aborted: &AtomicBool,
) -> Result<C, String> {
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

// ---- the master's part in a delta resync ----

fn walk_for_delta(node: &Arc<NodeCore>, walk: DeltaWalk, aborted: &AtomicBool) {
    let DeltaWalk { wanted, cut, done } = walk;
    let walked = match wanted {
        DeltaWanted::Ranges(RangesOrder { secret, bits }) => {
            let begun = begin_pinned(node, secret, move |_, _| Ranges::new(bits));
            begun.and_then(|(walk, at)| {
                cut.tell(Ok(at));
                walk_on(node, walk, aborted).map(DeltaWalked::Ranges)
            })
        }
        DeltaWanted::Patch(order) => make_patch(node, order, cut, aborted),
    };
    done.tell(walked);
}

/// A cut at which the log is held.
fn begin_pinned<C: Collector + Send + 'static>(
    node: &Arc<NodeCore>,
    secret: Secret,
    collector: impl FnOnce(&NodeCore, &StreamCut) -> C + Send + 'static,
) -> Result<(Digesting<C>, StreamCut), String> {
    let (there, all) = (node.clone(), node.keyspace.all());
    let begun = node.shard_tasks.run(&node.keyspace, all, move |entered| {
        let cut = there.hub.cut(true);
        let collector = collector(&there, &cut);
        match Digesting::begin(entered, secret, collector) {
            Some(walk) => Some((walk, cut)),
            None => {
                let mut stream = there.hub.stream();
                cut.pin.into_iter().for_each(|pin| stream.log.detach(pin));
                None
            }
        }
    });
    begun.flatten().ok_or_else(|| BUSY.into())
}

fn make_patch(
    node: &Arc<NodeCore>,
    order: PatchOrder,
    told: Told<StreamCut>,
    aborted: &AtomicBool,
) -> Result<DeltaWalked, String> {
    let (secret, bits) = (order.secret, order.bits);
    let (ranges, have) = (order.ranges.clone(), order.have.clone());
    let (mut walk, cut) = begin_pinned(node, secret, move |node, cut| {
        let have = have.iter().map(|key| (key.place, key.digest)).collect();
        let preamble = preamble(node, replication_mark(cut));
        Patching::new(bits, &ranges, have, &preamble, PATCH_MAX)
    })?;
    let (history, until, diverged) = (cut.id, cut.offset, cut.diverged);
    told.tell(Ok(cut));
    let (since, from, database) = order.since;
    if diverged.is_some() {
        return Err("the master's own data has diverged".into());
    }
    if since != history {
        return Err("the history has changed".into());
    }
    let mut gathered = Touched::new(database);
    let mut at = from;
    while at < until {
        if aborted.load(Ordering::Acquire) {
            return Err(GIVEN_UP.into());
        }
        let part = touched::part(&mut node.hub.stream().log, at, until);
        let part = part.ok_or("too much was written meanwhile")?;
        at += part.len() as u64;
        gathered.read(&secret, &part, &mut |args| touch(node, args))?;
        priority::after_piece();
    }
    walk.collector_mut().touched(gathered.into_keys());
    let patching = walk_on(node, walk, aborted)?;
    let patch = patching.finish().ok_or("what differs is too large")?;
    let drops = Drops {
        places: patch.places,
        names: patch.names,
    };
    let mut bytes = drops.to_bytes();
    patch
        .dump
        .iter()
        .for_each(|chunk| bytes.extend_from_slice(chunk));
    Ok(DeltaWalked::Patch(bytes))
}

/// What a command of the stream may have changed.
fn touch<'a>(node: &NodeCore, args: &[&'a [u8]]) -> Touch<'a> {
    let Some(command) = node.table.find(args) else {
        return Touch::Everything;
    };
    if command.name == "select" {
        let db = args.get(1).and_then(|db| crate::text::parse_int(db));
        let db = db.and_then(|db| usize::try_from(db).ok());
        return db.map_or(Touch::Everything, Touch::Select);
    }
    let runs_code = ["eval", "evalsha", "fcall"].contains(&command.name);
    // Of another database as well, by more than their keys.
    let reaches_out = ["move", "copy"].contains(&command.name);
    if runs_code || reaches_out {
        return Touch::Everything;
    }
    if !command.flags.has(bits::WRITE) || command.name.starts_with("function") {
        return Touch::Nothing;
    }
    let keys: Vec<&[u8]> = match command.keys_of(args) {
        Ok(keys) => keys
            .iter()
            .filter_map(|key| args.get(key.index).copied())
            .collect(),
        Err(_) => return Touch::Everything,
    };
    if keys.is_empty() {
        Touch::Everything
    } else {
        Touch::Keys(keys)
    }
}
