//! The actor that makes snapshots, one at a time: for replicas (to their sockets or to the dump file), for
//! SAVE, BGSAVE and the save points.
//!
//! The cut, the walk and the encoding run on a thread of the snapshot's own (`maker`); no arbiter does any of it. The
//! actor keeps the queue of what is wanted, says what is going on, and reports: to whoever asked, and to INFO by
//! [`Persistence`](crate::snapshot::persistence::Persistence).
//!
//! Bounds: one snapshot at a time, one more waiting save, one more for replicas; chunks on their way by the
//! feed's window or the writer's gate. Death, the actor's or its thread's: the snapshot is given up (its temporary file
//! goes), and who asked for it or waits behind it is told so (`Asker`): replicas are disconnected and come again. The
//! actor starts anew. No data is touched.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::actors::snapshots::digest_walk;
use crate::actors::snapshots::feed::SharedFeed;
use crate::actors::snapshots::maker::{Maker, Sink};
use crate::actors::snapshots::snapshot_writer::SnapshotWriterActor;
use crate::node_core::NodeCore;
use crate::os::priority;
use crate::repl::hub::StreamCut;
use crate::repl::transfer::MARK;
use crate::session::Ticket;
use crate::supervision::{Owner, turn};

/// Between two looks at save points.
const LOOK: Duration = Duration::from_millis(100);
/// After a failed save by save point, the next try comes this much later, ms.
const RETRY_MS: i64 = 5000;

struct Job {
    /// The asker's number.
    number: u64,
    sink: Sink,
    asker: Asker,
    background: bool,
}

/// Who is told how a snapshot has ended, also if whoever makes it dies.
struct Asker {
    node: Arc<NodeCore>,
    number: u64,
    /// The recipient of its stages; a snapshot for replicas also pins the log.
    report: Option<Recipient<Progress>>,
    /// SAVE: answered at the end.
    tickets: Vec<Arc<Ticket>>,
    /// Told at the end.
    done: Option<oneshot::Sender<Result<(), String>>>,
}

impl Asker {
    fn nobody(node: &Arc<NodeCore>) -> Asker {
        Asker {
            node: node.clone(),
            number: 0,
            report: None,
            tickets: Vec::new(),
            done: None,
        }
    }

    fn tell(&mut self, result: Result<Option<PathBuf>, String>) {
        if let Some(done) = self.done.take() {
            let _ = done.send(result.as_ref().map(|_| ()).map_err(String::clone));
        }
        for ticket in self.tickets.drain(..) {
            ticket.complete(match result {
                Ok(_) => b"+OK\r\n",
                Err(_) => b"-ERR\r\n",
            });
        }
        if let Some(report) = self.report.take() {
            report.do_send(Progress {
                number: self.number,
                stage: Stage::Ended(result),
            });
        }
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        // Clients of a node that is closed hear that.
        if !self.node.lifecycle.is_closed() {
            self.tell(Err("its actor died".into()));
        }
    }
}

struct Running {
    /// Which one: what ends late ends no other.
    run: u64,
    number: u64,
    aborted: Arc<AtomicBool>,
    to_file: bool,
    /// For replicas' sockets: nothing of it stays on disk.
    for_replicas: bool,
    asker: Asker,
    background: bool,
    /// Its end will be told.
    at_work: bool,
    /// By [`AbortSave`] or [`AbortSnapshot`]: its failing is none.
    given_up: bool,
}

/// See the module.
pub(crate) struct SnapshotActor {
    pub(super) node: Arc<NodeCore>,
    /// None until the first dump is written.
    pub(super) writer: Option<Addr<SnapshotWriterActor>>,
    running: Option<Running>,
    /// A walk for digests, instead of a snapshot.
    pub(super) digesting: Option<digest_walk::UnderWay>,
    queue: Vec<Job>,
    runs: u64,
}

impl SnapshotActor {
    pub(crate) fn new(node: Arc<NodeCore>) -> SnapshotActor {
        SnapshotActor {
            node,
            writer: None,
            running: None,
            digesting: None,
            queue: Vec::new(),
            runs: 0,
        }
    }

    /// The dump file.
    fn file(&mut self) -> Sink {
        let node = &self.node;
        let writer = self
            .writer
            .get_or_insert_with(|| SnapshotWriterActor::spawn(node));
        Sink::File(self.node.settings.load().dump_path(), writer.clone())
    }

    /// Starts the next job if none runs.
    pub(super) fn start_next(&mut self, ctx: &mut Context<SnapshotActor>) {
        if self.running.is_some() || self.queue.is_empty() || !self.displace_digests() {
            return;
        }
        self.node.supervision.step(Owner::Snapshot, "start");
        let job = self.queue.remove(0);
        self.runs += 1;
        let run = self.runs;
        let to_file = matches!(job.sink, Sink::File(..));
        let now_ms = self.node.clock.unix_ms();
        if to_file {
            let now_us = self.node.clock.monotonic_us();
            self.node.persistence.begin(now_us, now_ms, job.background);
        }
        self.node
            .persistence
            .sending
            .store(!to_file, Ordering::Relaxed);
        let aborted = Arc::new(AtomicBool::new(false));
        let (number, report, sink) = (job.number, job.asker.report.clone(), job.sink);
        let running = self.running.insert(Running {
            run,
            number,
            aborted: aborted.clone(),
            to_file,
            for_replicas: report.is_some(),
            asker: job.asker,
            background: job.background,
            at_work: false,
            given_up: false,
        });
        let (node, me) = (self.node.clone(), ctx.address());
        let spawned = self.node.threads.spawn("snapshot", move || {
            priority::lower_after_first_piece();
            let maker = Maker {
                node,
                run,
                number,
                aborted,
                report,
            };
            let there = me.clone();
            if let Err(panic) = turn(Owner::SnapshotThread, 0, || maker.run(sink, there)) {
                me.do_send(Ended {
                    run,
                    result: Err(panic),
                    changes: 0,
                });
            }
        });
        running.at_work = spawned.is_ok();
        if let Err(error) = spawned {
            tracing::warn!("Can't save in background: {error}");
            ctx.notify(Ended {
                run,
                result: Err(error.to_string()),
                changes: 0,
            });
        } else if job.background || self.running.as_ref().is_some_and(|r| r.for_replicas) {
            let pid = std::process::id();
            tracing::info!("Background {} started by pid {pid}", named(to_file));
        }
    }
}

/// How Redis names a snapshot in the log.
fn named(to_file: bool) -> &'static str {
    if to_file { "saving" } else { "RDB transfer" }
}

/// Why nothing is saved by a node without a dump file.
const NO_DUMP: &str = "there is no dump file: dbfilename is empty";

impl Supervised for SnapshotActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.queue.clear();
        let Some(running) = &mut self.running else {
            return;
        };
        running.aborted.store(true, Ordering::Release);
        if running.at_work {
            // The next one begins when its thread is through.
            running.asker = Asker::nobody(&self.node);
            return;
        }
        if running.to_file {
            self.node.persistence.failed(self.node.clock.monotonic_us());
        }
        self.running = None;
    }
}

impl Actor for SnapshotActor {
    type Context = Context<SnapshotActor>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(LOOK, |actor, ctx| {
            actor.check_save_points(ctx);
            actor.remove_sync_file();
        });
    }
}

impl SnapshotActor {
    /// Whether a snapshot is being made, or waits.
    pub(super) fn is_busy(&self) -> bool {
        self.running.is_some() || !self.queue.is_empty()
    }

    /// Saves if a save point is reached.
    fn check_save_points(&mut self, ctx: &mut Context<SnapshotActor>) {
        self.node.supervision.step(Owner::Snapshot, "save points");
        if self.is_busy() || self.node.is_loading() {
            return;
        }
        let settings = self.node.settings.load();
        if !settings.has_dump() {
            return;
        }
        let persistence = &self.node.persistence;
        let unsaved = persistence.unsaved(self.node.keyspace.changes());
        let now_ms = self.node.clock.unix_ms();
        let idle_s = now_ms / 1000 - persistence.last_save_s();
        let rested = !persistence.last_save_failed()
            || now_ms - persistence.last_attempt_ms.load(Ordering::Relaxed) > RETRY_MS;
        let due = settings
            .save
            .iter()
            .find(|p| unsaved >= p.changes && idle_s > p.seconds as i64);
        if let Some(point) = due
            && rested
        {
            tracing::info!(
                "{} changes in {} seconds. Saving...",
                point.changes,
                point.seconds
            );
            self.save(Vec::new(), true, ctx);
        }
    }

    fn save(
        &mut self,
        tickets: Vec<Arc<Ticket>>,
        background: bool,
        ctx: &mut Context<SnapshotActor>,
    ) {
        let sink = self.file();
        let mut asker = Asker::nobody(&self.node);
        asker.tickets = tickets;
        self.queue.push(Job {
            number: 0,
            sink,
            asker,
            background,
        });
        self.start_next(ctx);
    }
}

/// A stage of a snapshot for replicas.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Progress {
    pub(crate) number: u64,
    pub(crate) stage: Stage,
}

#[derive(Debug)]
pub(crate) enum Stage {
    /// It is cut there.
    Cut(StreamCut),
    /// All of it is in the feed, or in this file; or it failed.
    Ended(Result<Option<PathBuf>, String>),
}

/// Make a snapshot for replicas: into a feed, or (None) into the dump file.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ForReplicas {
    pub(crate) number: u64,
    pub(crate) feed: Option<(SharedFeed, [u8; MARK])>,
    pub(crate) report: Recipient<Progress>,
}

impl Handler<ForReplicas> for SnapshotActor {
    type Result = ();

    fn handle(&mut self, wanted: ForReplicas, ctx: &mut Self::Context) {
        let sink = match wanted.feed {
            Some((feed, mark)) => Sink::Feed(feed, mark),
            None => self.file(),
        };
        let mut asker = Asker::nobody(&self.node);
        asker.number = wanted.number;
        asker.report = Some(wanted.report);
        self.queue.push(Job {
            number: wanted.number,
            sink,
            asker,
            background: true,
        });
        self.start_next(ctx);
    }
}

/// Give a snapshot for replicas up.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct AbortSnapshot {
    pub(crate) number: u64,
}

impl Handler<AbortSnapshot> for SnapshotActor {
    type Result = ();

    fn handle(&mut self, abort: AbortSnapshot, _: &mut Self::Context) {
        self.queue
            .retain(|job| job.asker.report.is_none() || job.number != abort.number);
        if let Some(running) = &mut self.running
            && running.for_replicas
            && running.number == abort.number
        {
            running.given_up = true;
            running.aborted.store(true, Ordering::Release);
        }
    }
}

/// SAVE (answered when the dump is on disk) and BGSAVE (answered at once). With nobody to answer: a
/// background save when what is being made is through.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Save {
    pub(crate) ticket: Option<Arc<Ticket>>,
    pub(crate) background: bool,
}

impl Handler<Save> for SnapshotActor {
    type Result = ();

    fn handle(&mut self, save: Save, ctx: &mut Self::Context) {
        let answer = |text: &[u8]| {
            if let Some(ticket) = &save.ticket {
                ticket.complete(text);
            }
        };
        if !self.node.settings.load().has_dump() {
            answer(format!("-ERR {NO_DUMP}\r\n").as_bytes());
            return;
        }
        if self.running.is_some() && save.ticket.is_some() {
            answer(b"-ERR Background save already in progress\r\n");
            return;
        }
        if save.background {
            // One that waits already will do.
            if self.queue.iter().all(|job| job.number > 0) {
                self.save(Vec::new(), true, ctx);
            }
            answer(b"+Background saving started\r\n");
        } else {
            self.save(save.ticket.into_iter().collect(), false, ctx);
        }
    }
}

/// The dataset was emptied: a background save of what it held is given up, and that is no failure.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct AbortSave;

impl Handler<AbortSave> for SnapshotActor {
    type Result = ();

    fn handle(&mut self, _: AbortSave, _: &mut Self::Context) {
        if let Some(running) = &mut self.running
            && running.to_file
            && running.background
            && !running.for_replicas
        {
            running.given_up = true;
            running.aborted.store(true, Ordering::Release);
        }
    }
}

/// Save to the dump file, behind whatever is being made; answered at the end.
#[derive(Message)]
#[rtype(result = "Result<(), String>")]
pub(crate) struct SaveNow;

impl Handler<SaveNow> for SnapshotActor {
    type Result = ResponseFuture<Result<(), String>>;

    fn handle(&mut self, _: SaveNow, ctx: &mut Self::Context) -> Self::Result {
        if !self.node.settings.load().has_dump() {
            return Box::pin(std::future::ready(Err(NO_DUMP.into())));
        }
        let (done, end) = oneshot::channel();
        let sink = self.file();
        let mut asker = Asker::nobody(&self.node);
        asker.done = Some(done);
        self.queue.push(Job {
            number: 0,
            sink,
            asker,
            background: false,
        });
        self.start_next(ctx);
        Box::pin(async move {
            end.await
                .unwrap_or_else(|_| Err("the save was given up".into()))
        })
    }
}

/// A snapshot's thread and file are through.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Ended {
    pub(super) run: u64,
    pub(super) result: Result<Option<PathBuf>, String>,
    /// Changes to the dataset before the cut.
    pub(super) changes: u64,
}

impl Handler<Ended> for SnapshotActor {
    type Result = ();

    fn handle(&mut self, ended: Ended, ctx: &mut Self::Context) {
        if let Some(running) = &mut self.running
            && running.run == ended.run
        {
            running.at_work = false;
        } else {
            return;
        }
        self.node.supervision.step(Owner::Snapshot, "end");
        let Some(mut running) = self.running.take() else {
            return;
        };
        self.node
            .persistence
            .sending
            .store(false, Ordering::Relaxed);
        let (now_us, now_ms) = (self.node.clock.monotonic_us(), self.node.clock.unix_ms());
        if running.to_file {
            match &ended.result {
                Ok(_) => {
                    tracing::info!("DB saved on disk");
                    let persistence = &self.node.persistence;
                    persistence.saved(ended.changes, now_ms / 1000, now_us);
                    let made_for_sync = &persistence.made_for_sync;
                    made_for_sync.store(running.for_replicas, Ordering::Relaxed);
                }
                Err(_) if running.given_up => self.node.persistence.given_up(now_us),
                Err(_) => self.node.persistence.failed(now_us),
            }
        }
        if running.background {
            match &ended.result {
                Ok(_) => {
                    let what = named(running.to_file);
                    tracing::info!("Background {what} terminated with success");
                }
                Err(_) if running.given_up => tracing::info!("Background saving given up"),
                Err(error) => tracing::warn!("Background saving error: {error}"),
            }
        }
        running.asker.tell(ended.result);
        self.start_next(ctx);
    }
}
