//! The actor behind one attached replica: its socket, its place in the log, its part in a snapshot.
//!
//! It has no buffer of its own for the stream: it reads slices of the shared log from its cursor on and
//! writes them with vectored writes, so a slow replica costs a cursor. What it does hold are the protocol
//! lines that go before the stream (bounded: the master sends a handful) and at most one chunk of a dump.
//!
//! It is told how far to go by the MasterActor (once per burst), and tells it about acks and about its end.
//! Bounds: the log held back for it by `client-output-buffer-limit replica` (the MasterActor checks); a
//! snapshot's chunks by the feed's window. Death means only that this replica must attach again.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use actix::prelude::*;
use bytes::{Buf, Bytes, BytesMut};

use super::delivery::{DumpSent, DumpStreamed};
use super::feed::{Feed, Next};
use super::master::{Acked, Detached, MasterActor};
use super::socket::Socket;
use crate::node_core::NodeCore;
use crate::repl::Cursor;
use crate::resp::request::{Batch, Limits, Parser};
use crate::session::Client;

/// Bytes of log taken out at a time, and slices written with one call.
const READ_BYTES: usize = 256 * 1024;
const SLICES_MAX: usize = 64;
/// Bytes of a dump file read at a time.
const FILE_BYTES: usize = 128 * 1024;
/// Writes in one poll before others get their turn.
const ROUNDS_MAX: usize = 32;
/// A replica says little: more input than this that isn't a command is a breach.
const INPUT_MAX: usize = 64 * 1024;

/// Where the next bytes come from, once `queue` is empty.
enum Source {
    /// Nothing to send until told otherwise.
    Idle,
    /// A snapshot in the making.
    Feed(Feed),
    /// A finished dump.
    File(File),
    /// The log, from this cursor and position on.
    Log(Cursor, u64),
}

/// See the module.
pub struct SlaveBufferActor {
    node: Arc<NodeCore>,
    master: Addr<MasterActor>,
    client: Arc<Client>,
    socket: Socket,
    source: Source,
    /// To be written before anything else comes from `source`.
    queue: VecDeque<Bytes>,
    /// Position up to which the log has been written to the socket.
    sent: u64,
    parser: Parser,
    batch: Batch,
    input: BytesMut,
    waker: Option<Waker>,
    reported: bool,
    /// When the socket last took something, unix ms.
    written_ms: i64,
}

impl SlaveBufferActor {
    /// `output`: replies still owed to the connection; `input`: bytes that came behind the PSYNC.
    pub fn new(
        node: Arc<NodeCore>,
        master: Addr<MasterActor>,
        client: Arc<Client>,
        socket: Socket,
        output: Bytes,
        input: BytesMut,
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
            source: Source::Idle,
            queue,
            sent: 0,
            parser: Parser::default(),
            batch: Batch::default(),
            input,
            waker: None,
            reported: false,
        }
    }

    fn id(&self) -> u64 {
        self.client.id
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Ready when the connection is over.
    fn poll_work(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        self.waker = Some(cx.waker().clone());
        // Nothing is pushed to a replica, but this is how a kill reaches us.
        let _ = self.client.take_output(cx.waker());
        if self.client.killed.load(Ordering::Acquire) || self.read(cx).is_err() {
            return Poll::Ready(());
        }
        for _ in 0..ROUNDS_MAX {
            match self.fill(cx) {
                Ok(true) => {}
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

    /// Makes sure that there is something to write; false if there is nothing now.
    fn fill(&mut self, cx: &mut TaskContext<'_>) -> Result<bool, ()> {
        if !self.queue.is_empty() {
            return Ok(true);
        }
        match &mut self.source {
            Source::Idle => Ok(false),
            Source::Feed(feed) => match feed.next(self.client.id, cx.waker()) {
                Next::Chunk(chunk) => {
                    self.queue.push_back(chunk);
                    Ok(true)
                }
                Next::Wait => Ok(false),
                Next::End => {
                    self.source = Source::Idle;
                    self.master.do_send(DumpStreamed { id: self.id() });
                    Ok(false)
                }
            },
            Source::File(file) => {
                let mut chunk = vec![0; FILE_BYTES];
                match file.read(&mut chunk) {
                    Ok(0) => {
                        self.source = Source::Idle;
                        self.master.do_send(DumpSent { id: self.id() });
                        Ok(false)
                    }
                    Ok(n) => {
                        chunk.truncate(n);
                        self.queue.push_back(chunk.into());
                        Ok(true)
                    }
                    Err(error) => {
                        tracing::warn!("Read error sending DB to replica: {error}");
                        Err(())
                    }
                }
            }
            Source::Log(cursor, position) => {
                let (cursor, from) = (*cursor, *position);
                let mut slices = Vec::new();
                let mut stream = self.node.hub.stream();
                // What was taken before has been written whole by now.
                stream.log.advance(cursor, from);
                let next = stream.log.read(from, READ_BYTES, &mut slices);
                drop(stream);
                self.sent = from;
                match next {
                    Ok(next) => {
                        *position = next;
                        self.queue.extend(slices);
                        Ok(!self.queue.is_empty())
                    }
                    // The stream was replaced under us (a full sync of our own).
                    Err(_) => Err(()),
                }
            }
        }
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
            self.node.stats.net_repl_output_bytes.add(n as u64);
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
                    self.input.extend_from_slice(&buffer[..n]);
                    self.said()?;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(()),
            }
        }
    }

    /// Takes in what the replica said: acks, and bare newlines as signs of life.
    fn said(&mut self) -> Result<(), ()> {
        let now_ms = self.node.clock.unix_ms();
        self.client.last_seen_ms.store(now_ms, Ordering::Relaxed);
        let input = std::mem::take(&mut self.input);
        let parsed = self
            .parser
            .parse(&input, &Limits::default(), &mut self.batch);
        let number = |arg: &[u8]| {
            std::str::from_utf8(arg)
                .ok()
                .and_then(|t| t.parse::<u64>().ok())
        };
        let mut ack = None;
        let mut args = Vec::new();
        for index in 0..self.batch.len() {
            self.batch.args(index, &input, &mut args);
            if let [name, word, offset, rest @ ..] = &args[..]
                && name.eq_ignore_ascii_case(b"replconf")
                && word.eq_ignore_ascii_case(b"ack")
            {
                let aof_offset = match rest {
                    [word, offset, ..] if word.eq_ignore_ascii_case(b"fack") => number(offset),
                    _ => None,
                };
                ack = number(offset).map(|offset| (offset, aof_offset)).or(ack);
            }
        }
        let used = self.batch.consumed();
        drop(args);
        self.input = input;
        self.input.advance(used);
        if parsed.is_err() || self.input.len() > INPUT_MAX {
            return Err(());
        }
        self.master.do_send(Acked {
            id: self.id(),
            offset: ack.map(|(offset, _)| offset),
            aof_offset: ack.and_then(|(_, aof)| aof),
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

impl Actor for SlaveBufferActor {
    type Context = Context<SlaveBufferActor>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(64);
        // What came behind the PSYNC may hold an ack already.
        if !self.input.is_empty() && self.said().is_err() {
            ctx.stop();
            return;
        }
        ctx.spawn(Work);
        ctx.run_interval(Duration::from_secs(1), |actor, ctx| {
            // A replica that takes nothing of a dump holds its snapshot back for all others.
            let timeout_ms = actor.node.settings.load().repl_timeout as i64 * 1000;
            let stuck = actor.node.clock.unix_ms() - actor.written_ms > timeout_ms;
            if matches!(actor.source, Source::Feed(_)) && !actor.queue.is_empty() && stuck {
                tracing::warn!(
                    "Disconnecting timedout replica (full sync): {}",
                    actor.client.addr
                );
                ctx.stop();
            }
        });
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        if let Source::Feed(feed) = &self.source {
            feed.leave(self.id());
        }
        if !std::mem::replace(&mut self.reported, true) {
            self.master.do_send(Detached { id: self.id() });
        }
    }
}

/// Protocol bytes to write before what comes next.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Send(pub Bytes);

impl Handler<Send> for SlaveBufferActor {
    type Result = ();

    fn handle(&mut self, Send(bytes): Send, _: &mut Self::Context) {
        self.queue.push_back(bytes);
        self.wake();
    }
}

/// Take a snapshot's chunks as they are made.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct TakeFeed(pub Feed);

impl Handler<TakeFeed> for SlaveBufferActor {
    type Result = ();

    fn handle(&mut self, TakeFeed(feed): TakeFeed, _: &mut Self::Context) {
        self.source = Source::Feed(feed);
        self.wake();
    }
}

/// Send a finished dump; its header has been sent.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct TakeFile(pub File);

impl Handler<TakeFile> for SlaveBufferActor {
    type Result = ();

    fn handle(&mut self, TakeFile(file): TakeFile, _: &mut Self::Context) {
        self.source = Source::File(file);
        self.wake();
    }
}

/// Follow the log from a cursor on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Follow {
    pub cursor: Cursor,
    pub position: u64,
}

impl Handler<Follow> for SlaveBufferActor {
    type Result = ();

    fn handle(&mut self, follow: Follow, _: &mut Self::Context) {
        self.sent = follow.position;
        self.source = Source::Log(follow.cursor, follow.position);
        self.wake();
    }
}

/// The log has grown: forward up to its end.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Forward;

impl Handler<Forward> for SlaveBufferActor {
    type Result = ();

    fn handle(&mut self, _: Forward, _: &mut Self::Context) {
        self.wake();
    }
}

/// The connection is over: write nothing more, and go. `last`: bytes that are tried once before.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Close {
    pub last: Option<Bytes>,
}

impl Handler<Close> for SlaveBufferActor {
    type Result = ();

    fn handle(&mut self, close: Close, ctx: &mut Self::Context) {
        if let Some(last) = close.last {
            self.queue.push_back(last);
            let _ = self.write();
        }
        ctx.stop();
    }
}

/// Asks for the observable state.
#[derive(Debug, Message)]
#[rtype(result = "Observed")]
pub struct Observe;

/// What a slave buffer is doing.
#[derive(Clone, Copy, Debug, MessageResponse)]
pub struct Observed {
    /// Position of the log up to which everything is in the socket.
    pub sent: u64,
    /// Bytes taken out of the log, the dump or the protocol and not yet written.
    pub queued: usize,
}

impl Handler<Observe> for SlaveBufferActor {
    type Result = Observed;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> Observed {
        Observed {
            sent: self.sent,
            queued: self.queue.iter().map(Bytes::len).sum(),
        }
    }
}
