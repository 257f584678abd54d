//! The thread that makes one snapshot: the cut, the walk, which enters one shard at a time for a short turn, and the
//! encoding, whose chunks it hands on to a feed or to the writer of the file.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;

use crate::actors::snapshots::feed::SharedFeed;
use crate::actors::snapshots::snapshot::{Ended, Progress, SnapshotActor, Stage};
use crate::actors::snapshots::snapshot_writer::{self, Gate, SnapshotWriterActor, Written};
use crate::keyspace::Entered;
use crate::may_block::may_block_here;
use crate::node_core::NodeCore;
use crate::os::priority;
use crate::rdb::writer::{Preamble, ReplicationMark};
use crate::repl::hub::StreamCut;
use crate::repl::transfer::MARK;
use crate::snapshot::{Options, Snapshot, Want};
use crate::supervision::{Owner, catch};

/// Output of one turn of encoding, bytes.
const ENCODE_BYTES: usize = 64 * 1024;
/// The longest a turn of the walk takes inside a shard, about, microseconds; usually it needs half of that.
/// Without a bound the first turns of a snapshot of 12 million keys took 6, 2 and 2 ms, and requests waited for
/// them; with it none waited 2 ms for the snapshot.
pub(super) const TURN_US: u64 = 150;
/// Longest sleep while waiting for takers: an abort is noticed after this at the latest.
const PARK_MAX: Duration = Duration::from_millis(50);

/// Where a snapshot's chunks go.
pub(super) enum Sink {
    /// To replicas; the mark ends it.
    Feed(SharedFeed, [u8; MARK]),
    /// To the file at this place.
    File(PathBuf, Addr<SnapshotWriterActor>),
}

struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What the thread works with.
pub(super) struct Maker {
    pub(super) node: Arc<NodeCore>,
    pub(super) run: u64,
    pub(super) number: u64,
    pub(super) aborted: Arc<AtomicBool>,
    pub(super) report: Option<Recipient<Progress>>,
}

impl Maker {
    pub(super) fn run(self, sink: Sink, me: Addr<SnapshotActor>) {
        let changes = std::cell::Cell::new(0);
        match sink {
            Sink::Feed(feed, mark) => {
                let waker = Waker::from(Arc::new(Parked(thread::current())));
                let result = self.make(&changes, &mut |chunk| {
                    while !feed.has_room(&waker) {
                        if self.is_over() {
                            return;
                        }
                        thread::park_timeout(PARK_MAX);
                    }
                    feed.push(chunk);
                });
                if result.is_ok() {
                    feed.push(Bytes::copy_from_slice(&mark));
                }
                me.do_send(Ended {
                    run: self.run,
                    result: result.map(|()| None),
                    changes: changes.get(),
                });
            }
            Sink::File(path, writer) => {
                let incremental_sync = self.node.settings.load().rdb_save_incremental_fsync;
                writer.do_send(snapshot_writer::Begin {
                    path,
                    number: self.number,
                    incremental_sync,
                });
                let gate = Arc::new(Gate::default());
                let made = catch(|| {
                    self.make(&changes, &mut |bytes| {
                        writer.do_send(snapshot_writer::Chunk::enter(bytes, &gate));
                    })
                });
                // Whatever went wrong, the writer is to remove what it has.
                let result = made.unwrap_or_else(Err);
                let (run, changes) = (self.run, changes.get());
                let done = move |written: Written| {
                    me.do_send(Ended {
                        run,
                        result: written.map(Some),
                        changes,
                    });
                };
                writer.do_send(snapshot_writer::Finish {
                    result,
                    done: Box::new(done),
                });
            }
        }
    }

    /// Whether nobody wants the rest: it was aborted, or the node is closed.
    fn is_over(&self) -> bool {
        self.aborted.load(Ordering::Acquire) || self.node.lifecycle.is_closed()
    }

    /// Cuts and walks to the end, handing on each chunk.
    fn make(
        &self,
        changes: &std::cell::Cell<u64>,
        hand_on: &mut dyn FnMut(Bytes),
    ) -> Result<(), String> {
        let node = &self.node;
        node.supervision.step(Owner::SnapshotThread, "cut");
        let mut snapshot = self.cut(changes)?;
        node.supervision.step(Owner::SnapshotThread, "walk");
        let delay_us = node.settings.load().rdb_key_save_delay;
        let persistence = &node.persistence;
        persistence
            .saving_keys_total
            .store(snapshot.progress().keys, Ordering::Relaxed);
        let mut chunks: Vec<Bytes> = Vec::new();
        loop {
            if self.is_over() {
                if self.node.lifecycle.is_closed() {
                    // The node's end waits for this thread's.
                    priority::restore();
                }
                snapshot.abort();
                return Err("aborted".into());
            }
            match snapshot.next() {
                Want::Encode if delay_us > 0 => {
                    let before = snapshot.progress().keys_done;
                    snapshot.encode(&mut chunks, 1);
                    let keys = snapshot.progress().keys_done - before;
                    self.throttle(keys * delay_us as u64);
                }
                Want::Encode => snapshot.encode(&mut chunks, ENCODE_BYTES),
                Want::Enter(set) => {
                    let (mut there, clock) = (snapshot, node.clock.clone());
                    let turn = node.shard_tasks.run(&node.keyspace, set, move |entered| {
                        let end_us = clock.monotonic_us() + TURN_US;
                        let dropped =
                            there.collect(entered, &mut || clock.monotonic_us() >= end_us);
                        (there, dropped)
                    });
                    let Some((back, dropped)) = turn else {
                        return Err("the node is stopping".into());
                    };
                    snapshot = back;
                    drop(dropped);
                }
                Want::Finish => {
                    node.supervision.step(Owner::SnapshotThread, "finish");
                    snapshot.finish(&mut chunks);
                    for chunk in chunks.drain(..) {
                        hand_on(chunk);
                    }
                    return Ok(());
                }
            }
            priority::after_piece();
            persistence
                .saving_keys_done
                .store(snapshot.progress().keys_done, Ordering::Relaxed);
            for chunk in chunks.drain(..) {
                hand_on(chunk);
            }
        }
    }

    /// `rdb-key-save-delay`: sleeps, but not past an abort.
    fn throttle(&self, mut left_us: u64) {
        may_block_here();
        while left_us > 0 && !self.is_over() {
            let part = left_us.min(PARK_MAX.as_micros() as u64);
            thread::sleep(Duration::from_micros(part));
            left_us -= part;
        }
    }

    /// The cut, with all shards entered, and the log's position at it.
    fn cut(&self, changes: &std::cell::Cell<u64>) -> Result<Snapshot, String> {
        let (node, number, report) = (self.node.clone(), self.number, self.report.clone());
        let all = node.keyspace.all();
        let turn = self
            .node
            .shard_tasks
            .run(&self.node.keyspace, all, move |entered| {
                cut(&node, number, report.as_ref(), entered)
            });
        let (snapshot, changes_before) = turn.ok_or("the node is stopping")?;
        changes.set(changes_before);
        snapshot.ok_or_else(|| "another snapshot is in progress".into())
    }
}

/// What a dump of this node's says of itself.
pub(crate) fn preamble(node: &NodeCore, replication: Option<ReplicationMark>) -> Preamble {
    Preamble {
        server_version: crate::observe::process::REDIS_VERSION.into(),
        created_at: node.clock.unix_ms() / 1000,
        used_memory_bytes: node.memory_used(),
        replication,
        aof_base: false,
        opaque: node.opaque.load_full(),
    }
}

/// The place in the stream that a dump cut there says it is a state of, if that has one.
pub(crate) fn replication_mark(stream: &StreamCut) -> Option<ReplicationMark> {
    stream.database.map(|database| ReplicationMark {
        replid: stream.id.to_string(),
        offset: stream.offset as i64,
        stream_db: database as i64,
        diverged: stream.diverged.map(|offset| offset as i64),
    })
}

/// The cut. How many changes there were before it comes along.
fn cut(
    node: &NodeCore,
    number: u64,
    report: Option<&Recipient<Progress>>,
    entered: &mut Entered<'_>,
) -> (Option<Snapshot>, u64) {
    let begin_us = node.clock.monotonic_us();
    let settings = node.settings.load();
    let options = Options::from_settings(&settings);
    let now_ms = node.clock.unix_ms();
    let stream = node.hub.cut(report.is_some());
    let preamble = preamble(node, replication_mark(&stream));
    let changes = node.persistence.changes(node.keyspace.changes());
    let snapshot = Snapshot::begin(entered, &preamble, options, now_ms);
    node.stats.snapshots.inc();
    node.stats
        .last_cut_us
        .set(node.clock.monotonic_us() - begin_us);
    if let Some(report) = report {
        report.do_send(Progress {
            number,
            stage: Stage::Cut(stream),
        });
    }
    (snapshot, changes)
}
