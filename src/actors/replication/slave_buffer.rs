//! The actor behind one attached replica: its socket, its place in the log, its part in a snapshot.
//!
//! It has no buffer of its own for the stream: it reads slices of the shared log from its cursor on and
//! writes them with vectored writes, so a slow replica costs a cursor. What it does hold are the protocol
//! lines that go before the stream (bounded: the master sends a handful) and one portion of a dump file, or of
//! what the spool keeps on disk, which it asks of the SpoolFileActor.
//!
//! It is woken when the log has grown ([`Hub::wake_when_grown`]), and tells the MasterActor about acks and about its end.
//! Bounds: the log held back for it by `client-output-buffer-limit replica` (the MasterActor checks); a
//! snapshot's chunks by the feed's window. Death: this replica is disconnected, and attaches again.
//!
//! [`Hub::wake_when_grown`]: crate::repl::Hub::wake_when_grown

use std::collections::VecDeque;
use std::fs::File;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use actix::prelude::*;
use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Sleep;

use crate::actors::replication::delivery::{DumpSent, DumpStreamed};
use crate::actors::replication::master::{Acked, Detached, MasterActor};
use crate::actors::replication::slave_input::SlaveInput;
use crate::actors::snapshots::feed::SharedFeed;
use crate::actors::snapshots::spool_file::{ReadDump, ReadSegment, SpoolFileActor, WasRead};
use crate::clients::client::Client;
use crate::node_core::NodeCore;
use crate::os::priority;
use crate::os::socket::Socket;
use crate::repl::{Bandwidth, Cursor, Next, Place, SharedBandwidth, SyncProgress};
use crate::supervision::Owner;

/// Bytes of log taken out at a time, and slices written with one call.
const READ_BYTES: usize = 256 * 1024;
const SLICES_MAX: usize = 64;
/// Bytes of a dump file read at a time.
const FILE_BYTES: usize = 128 * 1024;
/// Writes in one poll before others get their turn.
const ROUNDS_MAX: usize = 32;

/// Where the next bytes come from, once `queue` is empty.
pub(super) enum Source {
    /// Nothing to send until told otherwise.
    Idle,
    /// A snapshot in the making, from this position on.
    Feed(SharedFeed, u64),
    /// A finished dump, so far sent.
    File(Arc<File>, u64),
    /// The log, from this cursor and position on.
    Log(Cursor, u64),
}

/// What the buffers of a node share.
#[derive(Clone)]
pub(crate) struct SharedSending {
    pub(crate) files: Addr<SpoolFileActor>,
    pub(crate) bandwidth: Arc<Mutex<SharedBandwidth>>,
}

/// See the module.
pub(crate) struct SlaveBufferActor {
    node: Arc<NodeCore>,
    master: Addr<MasterActor>,
    client: Arc<Client>,
    socket: Socket,
    files: Addr<SpoolFileActor>,
    pub(super) source: Source,
    /// What is being read from disk for `source`.
    reading: Option<oneshot::Receiver<io::Result<Bytes>>>,
    pub(super) progress: SyncProgress,
    /// How fast dumps may go: to this replica, and to all.
    bandwidth: Bandwidth,
    bandwidth_of_all: Arc<Mutex<SharedBandwidth>>,
    /// The bandwidth asks to wait so long. Polled with the rest of the work: a timer spawned from there would
    /// have the actor polled again at once, and so on until it is due.
    pause: Option<Pin<Box<Sleep>>>,
    /// To be written before anything else comes from `source`.
    pub(super) queue: VecDeque<Bytes>,
    /// Position up to which the log has been written to the socket.
    pub(super) sent: u64,
    input: SlaveInput,
    waker: Option<Waker>,
    reported: bool,
    /// The connection ends when `queue` is written.
    pub(super) closing: bool,
    /// When the socket last took something, unix ms.
    written_ms: i64,
}

impl SlaveBufferActor {
    /// `output`: replies still owed to the connection; `input`: bytes that came behind the PSYNC.
    pub(crate) fn new(
        node: Arc<NodeCore>,
        master: Addr<MasterActor>,
        client: Arc<Client>,
        socket: Socket,
        output: Bytes,
        input: BytesMut,
        shared: SharedSending,
    ) -> SlaveBufferActor {
        let mut queue = VecDeque::new();
        if !output.is_empty() {
            queue.push_back(output);
        }
        let written_ms = node.clock.unix_ms();
        SlaveBufferActor {
            written_ms,
            node,
            master,
            client,
            socket,
            files: shared.files,
            source: Source::Idle,
            reading: None,
            progress: SyncProgress::default(),
            bandwidth: Bandwidth::default(),
            bandwidth_of_all: shared.bandwidth,
            pause: None,
            queue,
            sent: 0,
            input: SlaveInput::new(input),
            waker: None,
            reported: false,
            closing: false,
        }
    }

    fn id(&self) -> u64 {
        self.client.id
    }

    pub(super) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Ready when the connection is over.
    fn poll_work(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        self.waker = Some(cx.waker().clone());
        let step = match self.source {
            Source::Idle => "idle",
            Source::Feed(..) => "sending a feed",
            Source::File(..) => "sending a file",
            Source::Log(..) => "following the log",
        };
        self.node.supervision.step(Owner::SlaveBuffer, step);
        // Nothing is pushed to a replica, but this is how a kill reaches us.
        let _ = self.client.take_output(cx.waker());
        if self.client.killed.load(Ordering::Acquire) || self.read(cx).is_err() {
            return Poll::Ready(());
        }
        for _ in 0..ROUNDS_MAX {
            match self.fill(cx) {
                Ok(true) => {}
                Ok(false) if self.closing => return Poll::Ready(()),
                Ok(false) => return Poll::Pending,
                Err(()) => return Poll::Ready(()),
            }
            match self.write() {
                Ok(true) => {}
                Ok(false) => match self.socket.poll_write_ready(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                },
                Err(_) => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// How much of a dump may be sent now; None: it must wait.
    fn portion(&mut self, cx: &mut TaskContext<'_>) -> Option<usize> {
        let settings = self.node.settings.load();
        let now_us = self.node.clock.monotonic_us();
        let mut all = self.bandwidth_of_all.lock();
        all.set_rate(settings.repl_max_bandwidth, now_us);
        all.set_loaders_max(settings.repl_max_local_loads as usize);
        self.bandwidth
            .set_rate(settings.repl_max_bandwidth_per_replica, now_us);
        let wait_us = match self.bandwidth.wait_us(now_us) {
            0 => all.ask(self.client.id, now_us),
            wait_us => wait_us,
        };
        if wait_us > 0 {
            let wait = Duration::from_micros(wait_us);
            let pause = self
                .pause
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
            if pause.as_mut().poll(cx).is_ready() {
                // Another has taken the tokens: the next turn asks again.
                self.pause = None;
                cx.waker().wake_by_ref();
            }
            return None;
        }
        self.pause = None;
        Some(self.bandwidth.portion(all.portion(FILE_BYTES)))
    }

    /// All of a dump is in the socket.
    fn leave_bandwidth(&self) {
        let mut all = self.bandwidth_of_all.lock();
        if self.socket.peer_is_here() {
            all.loads_here(self.client.id, self.node.clock.monotonic_us());
        } else {
            all.leave(self.client.id);
        }
    }

    /// What gives the bytes that are to be read from disk, and what is to be told of them.
    fn expect_read(&mut self) -> WasRead {
        let (sender, receiver) = oneshot::channel();
        self.reading = Some(receiver);
        Box::new(move |read| {
            let _ = sender.send(read);
        })
    }

    /// Asks for bytes that are on disk.
    fn begin_reading(&mut self, place: Place) {
        let done = self.expect_read();
        self.files.do_send(ReadSegment { place, done });
    }

    /// Takes what was read from disk; false if it isn't there yet.
    fn poll_reading(&mut self, cx: &mut TaskContext<'_>) -> Result<bool, ()> {
        let Some(reading) = &mut self.reading else {
            return Ok(false);
        };
        let read = match Pin::new(reading).poll(cx) {
            Poll::Pending => return Ok(false),
            Poll::Ready(read) => read.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into())),
        };
        self.reading = None;
        match read {
            Ok(bytes) => {
                let n = bytes.len() as u64;
                match &mut self.source {
                    Source::Idle => {}
                    Source::Feed(_, position) | Source::Log(_, position) => {
                        *position += n;
                        self.queue.push_back(bytes);
                    }
                    Source::File(..) if n == 0 => self.dump_sent(),
                    Source::File(_, sent) => {
                        *sent += n;
                        self.progress.sent.store(*sent, Ordering::Relaxed);
                        self.queue.push_back(bytes);
                    }
                }
                Ok(!self.queue.is_empty())
            }
            Err(error) if matches!(self.source, Source::File(..)) => {
                tracing::warn!("Read error sending DB to replica: {error}");
                Err(())
            }
            Err(error) => {
                tracing::warn!("Read error on the spool for {}: {error}", self.client.addr);
                Err(())
            }
        }
    }

    /// Makes sure that there is something to write; false if there is nothing now.
    fn fill(&mut self, cx: &mut TaskContext<'_>) -> Result<bool, ()> {
        if !self.queue.is_empty() {
            return Ok(true);
        }
        if self.reading.is_some() {
            return self.poll_reading(cx);
        }
        match &self.source {
            Source::Idle => Ok(false),
            Source::Feed(..) => self.fill_from_feed(cx),
            Source::File(..) => self.fill_from_file(cx),
            Source::Log(..) => self.fill_from_log(cx),
        }
    }

    fn fill_from_feed(&mut self, cx: &mut TaskContext<'_>) -> Result<bool, ()> {
        let Some(most) = self.portion(cx) else {
            return Ok(false);
        };
        let Source::Feed(feed, position) = &mut self.source else {
            return Ok(false);
        };
        self.progress.sent.store(*position, Ordering::Relaxed);
        if self.progress.total.load(Ordering::Relaxed) == 0
            && let (length, true) = feed.length()
        {
            self.progress.total.store(length, Ordering::Relaxed);
        }
        let next = feed.next(self.client.id, *position, most, cx.waker());
        if matches!(next, Next::End) {
            feed.leave(self.client.id);
            self.leave_bandwidth();
            self.source = Source::Idle;
            self.master.do_send(DumpStreamed { id: self.id() });
        }
        self.take(next, cx)
    }

    /// Takes what the feed or the log gave; false if that is nothing now.
    fn take(&mut self, next: Next, cx: &mut TaskContext<'_>) -> Result<bool, ()> {
        match next {
            Next::Bytes(bytes, next) => {
                if let Source::Feed(_, position) | Source::Log(_, position) = &mut self.source {
                    *position = next;
                }
                self.queue.extend(bytes);
                Ok(true)
            }
            Next::Disk(place) => {
                self.begin_reading(place);
                self.poll_reading(cx)
            }
            Next::End | Next::Wait => Ok(false),
            // Given up, or the stream was replaced under us (a full sync of our own).
            Next::Lost => Err(()),
        }
    }

    fn fill_from_file(&mut self, cx: &mut TaskContext<'_>) -> Result<bool, ()> {
        let Some(most) = self.portion(cx) else {
            return Ok(false);
        };
        if let Source::File(file, sent) = &self.source {
            let (file, offset) = (file.clone(), *sent);
            let done = self.expect_read();
            self.files.do_send(ReadDump {
                file,
                offset,
                most,
                done,
            });
        }
        self.poll_reading(cx)
    }

    /// All of the dump file is in the socket.
    fn dump_sent(&mut self) {
        self.leave_bandwidth();
        self.source = Source::Idle;
        self.master.do_send(DumpSent { id: self.id() });
    }

    fn fill_from_log(&mut self, cx: &mut TaskContext<'_>) -> Result<bool, ()> {
        let Source::Log(cursor, position) = &mut self.source else {
            return Ok(false);
        };
        // What was taken before has been written whole by now.
        self.sent = *position;
        let (hub, cursor, position) = (&self.node.hub, *cursor, self.sent);
        let look = || hub.stream().log.next(cursor, position, READ_BYTES);
        let mut next = look();
        if next == Next::End {
            // Registered first, looked at after: what is appended in between is not missed.
            hub.wake_when_grown(cx.waker());
            next = look();
        }
        self.take(next, cx)
    }

    /// Writes what is queued; false if the socket took no more.
    fn write(&mut self) -> io::Result<bool> {
        while !self.queue.is_empty() {
            let slices: Vec<IoSlice<'_>> = self
                .queue
                .iter()
                .take(SLICES_MAX)
                .map(|b| IoSlice::new(b))
                .collect();
            let mut n = match self.socket.try_write_vectored(&slices) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(e),
            };
            self.written_ms = self.node.clock.unix_ms();
            self.node.stats.writes.inc();
            self.node.stats.net_repl_output_bytes.add(n as u64);
            if matches!(self.source, Source::Feed(..) | Source::File(..)) {
                self.bandwidth.spend(n as u64);
                let now_us = self.node.clock.monotonic_us();
                let mut all = self.bandwidth_of_all.lock();
                all.spend(self.client.id, n as u64, now_us);
                drop(all);
                priority::yield_core();
            }
            while let Some(front) = self.queue.front_mut() {
                let part = n.min(front.len());
                front.advance(part);
                n -= part;
                if !front.is_empty() {
                    break;
                }
                self.queue.pop_front();
            }
        }
        Ok(true)
    }

    fn read(&mut self, cx: &mut TaskContext<'_>) -> Result<(), ()> {
        let mut buffer = [0; 4096];
        loop {
            match self.socket.poll_read_ready(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(_)) => return Err(()),
                Poll::Ready(Ok(())) => {}
            }
            match self.socket.try_read(&mut buffer) {
                Ok(0) => return Err(()),
                Ok(n) => {
                    self.node.stats.reads.inc();
                    self.input.push(&buffer[..n]);
                    self.read_commands()?;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(()),
            }
        }
    }

    /// Reads the replica's commands.
    fn read_commands(&mut self) -> Result<(), ()> {
        let now_ms = self.node.clock.unix_ms();
        self.client.last_seen_ms.store(now_ms, Ordering::Relaxed);
        let ack = self.input.take(&self.node, &self.client)?;
        let now_us = self.node.clock.monotonic_us();
        let mut all = self.bandwidth_of_all.lock();
        all.heard(self.client.id, ack.is_some(), now_us);
        drop(all);
        self.master.do_send(Acked {
            id: self.id(),
            offset: ack.map(|ack| ack.offset),
            aof_offset: ack.and_then(|ack| ack.aof_offset),
        });
        Ok(())
    }
}

struct Work;

impl ActorFuture<SlaveBufferActor> for Work {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut SlaveBufferActor,
        ctx: &mut Context<SlaveBufferActor>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        let over = actor.poll_work(task);
        if over.is_ready() {
            ctx.stop();
        }
        over
    }
}

impl Supervised for SlaveBufferActor {}

impl Actor for SlaveBufferActor {
    type Context = Context<SlaveBufferActor>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(64);
        // What came behind the PSYNC may hold an ack already.
        if !self.input.is_empty() && self.read_commands().is_err() {
            ctx.stop();
            return;
        }
        ctx.spawn(Work);
        ctx.run_interval(Duration::from_secs(1), |actor, ctx| {
            // One that follows the log is known by its acks; one that takes nothing of a dump by this.
            let timeout_ms = actor.node.settings.load().repl_timeout as i64 * 1000;
            let stuck = actor.node.clock.unix_ms() - actor.written_ms > timeout_ms;
            let follows = matches!(actor.source, Source::Log(..));
            if !follows && !actor.queue.is_empty() && stuck {
                tracing::warn!(
                    "Disconnecting timedout replica (full sync): {}",
                    actor.client.addr
                );
                ctx.stop();
            }
        });
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        if let Source::Feed(feed, _) = &self.source {
            feed.leave(self.id());
        }
        self.bandwidth_of_all.lock().leave(self.id());
        if !std::mem::replace(&mut self.reported, true) {
            self.master.do_send(Detached { id: self.id() });
        }
    }
}
