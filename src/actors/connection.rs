//! The actor behind one client: it owns the socket and the session, and runs what the client sends.
//!
//! All of its work happens in one future, polled on the arbiter's thread: take what others have for the
//! client (its outbox), write, run the commands that have come, read. A whole read is parsed, run in place
//! inside the shards, answered into the arbiter's shared reply buffer and written with one call; no message
//! is sent and nothing is allocated per command.
//!
//! Pushed output (pub/sub, replies to blocked commands, kill, unblock) doesn't come through the mailbox but
//! through [`Client`]'s outbox and waker: many pushes cost one wake, and the outbox has a bound where an
//! actix mailbox that is written with `do_send` has none. The mailbox carries [`Observe`] only.
//!
//! Bounds: input by `client-query-buffer-limit` (with the spans of a large request and the commands that a MULTI
//! has queued), to 1 MB before AUTH; output by `client-output-buffer-limit`, work per poll by
//! `ROUNDS_MAX`. Death means only the client's: its session, watches and subscriptions go.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::prelude::*;
use bytes::{Buf, BytesMut};

use super::messages::AttachReplica;
use super::socket::Socket;
use super::workbench::{SharedWorkbench, Workbench};
use crate::command::Context as CommandContext;
use crate::command::dispatch::{self, Outcome};
use crate::command::waits;
use crate::config::{OutputLimit, Settings};
use crate::keyspace::ShardSet;
use crate::node_core::NodeCore;
use crate::resp::Output;
use crate::resp::request::{Limits, Parser, ProtocolError, TOO_LARGE};
use crate::session::{Client, MultiState, ReplyMode, Session, Waiting};

/// Reads handled in one poll before the other connections get their turn.
const ROUNDS_MAX: usize = 16;
/// What a client that hasn't authenticated may have waiting, as in Redis 8: it may send little, but much may come
/// behind its AUTH in one go.
const UNAUTHENTICATED_INPUT_BYTES_MAX: usize = 1024 * 1024;
/// Pieces of output given to the socket in one call.
const SLICES_MAX: usize = 64;
/// Read buffer kept between reads when it is empty, bytes.
const INPUT_KEPT_BYTES: usize = 0;

/// One client's actor.
pub struct ConnectionActor {
    node: Arc<NodeCore>,
    bench: SharedWorkbench,
    replicas: Rc<Recipient<AttachReplica>>,
    /// None once it has been handed over.
    socket: Option<Socket>,
    session: Session,
    parser: Parser,
    /// Bytes that have come and not been run: a command's beginning, or commands behind a wait.
    input: BytesMut,
    /// Replies that the socket has not taken yet.
    output: Output,
    /// When `output` passed the soft limit, unix ms.
    over_soft_since_ms: Option<i64>,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
}

/// Why input is not being run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    No,
    /// Until a shard is left.
    Busy(ShardSet),
    /// Until a pause ends.
    Paused,
    /// Until what the session waits for has come.
    Suspended,
    /// The socket goes to the replication actors.
    Handover,
    /// A breach of protocol was answered: nothing more is run.
    Closing,
}

/// The connection is over, and why (for the log).
struct Over(&'static str);

impl ConnectionActor {
    pub fn new(
        node: Arc<NodeCore>,
        bench: SharedWorkbench,
        socket: Socket,
        session: Session,
        replicas: Rc<Recipient<AttachReplica>>,
    ) -> ConnectionActor {
        ConnectionActor {
            node,
            bench,
            replicas,
            socket: Some(socket),
            session,
            parser: Parser::default(),
            input: BytesMut::new(),
            output: Output::default(),
            over_soft_since_ms: None,
            timer: None,
        }
    }

    fn client(&self) -> &Arc<Client> {
        &self.session.client
    }

    /// The connection's whole work. Ready when it is over.
    fn poll_work(&mut self, cx: &mut TaskContext<'_>) -> Poll<Over> {
        let bench = self.bench.clone();
        let mut bench = bench.borrow_mut();
        for _ in 0..ROUNDS_MAX {
            let mut held = self.poll_wait(cx);
            // Looked at after the wait: who ends a wait pushes the reply first.
            let pushed = self.client().take_output(cx.waker());
            self.output.append(pushed);
            if self.client().killed.load(Ordering::Acquire) {
                if self.client().overflowed.load(Ordering::Relaxed) {
                    self.note_output_limit();
                }
                let _ = self.flush();
                return Poll::Ready(Over("killed"));
            }
            if held == Held::No && !self.input.is_empty() {
                let input = std::mem::take(&mut self.input);
                let (used, after) = self.run(&mut bench, &input, cx);
                held = after;
                self.input = input;
                self.input.advance(used);
                if self.input.is_empty() && self.input.capacity() > INPUT_KEPT_BYTES {
                    self.input = BytesMut::new();
                }
            }
            if held == Held::Handover {
                return Poll::Ready(Over("handed over"));
            }
            if self.flush().is_err() {
                return Poll::Ready(Over("write failed"));
            }
            if self.output.is_empty() {
                self.over_soft_since_ms = None;
                if self.session.closing || held == Held::Closing {
                    return Poll::Ready(Over("closed by us"));
                }
            } else {
                if self.over_output_limit() {
                    return Poll::Ready(Over("output buffer limit"));
                }
                let Some(socket) = &self.socket else {
                    return Poll::Ready(Over("handed over"));
                };
                if socket.poll_write_ready(cx).is_ready() {
                    // It became writable in between: try again at once.
                    continue;
                }
                if self.session.closing || held == Held::Closing {
                    return Poll::Pending;
                }
            }
            match self.read(&mut bench, held, cx) {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(over) => return Poll::Ready(over),
            }
        }
        // More may be there: the others first.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once and runs what came, if nothing holds it. False if there is nothing to read.
    fn read(
        &mut self,
        bench: &mut Workbench,
        held: Held,
        cx: &mut TaskContext<'_>,
    ) -> Result<bool, Over> {
        let Some(socket) = &mut self.socket else {
            return Err(Over("handed over"));
        };
        let mut read = std::mem::take(&mut bench.read);
        let result = match socket.poll_read(cx, &mut read) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(0)) => Err(Over("closed by the client")),
            Poll::Ready(Ok(n)) => {
                self.client()
                    .last_seen_ms
                    .store(self.node.clock.unix_ms(), Ordering::Relaxed);
                self.node.stats.net_input_bytes.add(n as u64);
                self.received(bench, &read[..n], held, cx)
            }
            Poll::Ready(Err(_)) => Err(Over("read failed")),
        };
        bench.read = read;
        result
    }

    fn received(
        &mut self,
        bench: &mut Workbench,
        data: &[u8],
        held: Held,
        cx: &mut TaskContext<'_>,
    ) -> Result<bool, Over> {
        if held == Held::No && self.input.is_empty() {
            let (used, held) = self.run(bench, data, cx);
            self.input.extend_from_slice(&data[used..]);
            if held == Held::Handover {
                return Err(Over("handed over"));
            }
        } else {
            self.input.extend_from_slice(data);
        }
        let queued = self.session.multi.as_ref().map_or(0, MultiState::memory);
        if self.input.len() + queued > self.input_limit(&self.node.settings.load()) {
            self.note_input_limit();
            return Err(Over("query buffer limit"));
        }
        Ok(true)
    }

    /// Most bytes that may be held of what the client has sent and has not been run: half-received commands,
    /// those behind a wait, those that a MULTI has queued.
    fn input_limit(&self, settings: &Settings) -> usize {
        let limit = match settings.client_query_buffer_limit {
            0 => usize::MAX,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        if self.session.authenticated || settings.requirepass.is_none() {
            limit
        } else {
            limit.min(UNAUTHENTICATED_INPUT_BYTES_MAX)
        }
    }

    fn note_input_limit(&self) {
        tracing::warn!(
            "Closing client that reached max query buffer length: {}",
            self.client().addr
        );
    }

    fn note_breach(&self, error: &ProtocolError) {
        if error.0 == TOO_LARGE {
            self.note_input_limit();
        }
        tracing::debug!(
            "Protocol error ({error}) from client: {}",
            self.client().addr
        );
    }

    /// Whether the session still waits for something, and registers for its end.
    fn poll_wait(&mut self, cx: &mut TaskContext<'_>) -> Held {
        if self.session.closing {
            return Held::Closing;
        }
        if self.session.waiting.is_none() {
            return Held::No;
        }
        // Before the look at the wait, so that an end that comes after it wakes us.
        let pushed = self.client().take_output(cx.waker());
        self.output.append(pushed);
        let unblock = self.client().unblock.swap(0, Ordering::AcqRel);
        if unblock != 0 {
            waits::end(&self.node, &self.session, unblock);
        }
        if let Some(Waiting::Keys(waiter)) = &self.session.waiting
            && let Some(deadline_ms) = waiter.deadline_ms
        {
            let left_ms = deadline_ms - self.node.clock.unix_ms();
            let sleep = Duration::from_millis(left_ms.max(0) as u64);
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(sleep)));
            if left_ms <= 0 || timer.as_mut().poll(cx).is_ready() {
                self.timer = None;
                if left_ms <= 0 {
                    waits::end(&self.node, &self.session, 1);
                } else {
                    cx.waker().wake_by_ref();
                }
            }
        }
        if !waits::is_over(&mut self.session) {
            return Held::Suspended;
        }
        self.timer = None;
        self.client().blocked.store(false, Ordering::Release);
        let pushed = self.client().take_output(cx.waker());
        self.output.append(pushed);
        Held::No
    }

    /// Parses and runs `data`; how much of it has been used up, and what holds the rest.
    fn run(
        &mut self,
        bench: &mut Workbench,
        data: &[u8],
        cx: &mut TaskContext<'_>,
    ) -> (usize, Held) {
        let mut used = 0;
        let mut held = Held::No;
        let node = self.node.clone();
        if self.client().paused.load(Ordering::Relaxed) {
            self.client().paused.store(false, Ordering::Relaxed);
        }
        self.session.input_bytes = data.len();
        while used < data.len() && held == Held::No && !self.session.closing {
            let settings = node.settings.load();
            bench.reply.limit(self.output_room(&settings));
            let limits = Limits {
                bulk_bytes_max: settings.proto_max_bulk_len as usize,
                authenticated: self.session.authenticated || settings.requirepass.is_none(),
                request_bytes_max: self.input_limit(&settings),
                ..Limits::default()
            };
            let rest = &data[used..];
            let parsed = self.parser.parse(rest, &limits, &mut bench.batch);
            let count = bench.batch.len();
            let mut ran = 0;
            bench.reply.resp = self.session.resp();
            let mut args = Vec::new();
            let mut index = 0;
            let mut ctx = CommandContext::new(
                &node,
                &settings,
                &mut self.session,
                &mut bench.reply,
                &mut bench.effects,
            );
            let mut renew = false;
            while index < count {
                ctx.look_ahead(&bench.batch, index, rest);
                bench.batch.args(index, rest, &mut args);
                match dispatch::run(&mut ctx, &args) {
                    Outcome::Done => {}
                    Outcome::Renew => renew = true,
                    Outcome::Busy(set) => {
                        held = Held::Busy(set);
                        break;
                    }
                    Outcome::Paused => {
                        held = Held::Paused;
                        break;
                    }
                    Outcome::Suspended => held = Held::Suspended,
                    Outcome::Handover => held = Held::Handover,
                    Outcome::Abort => held = Held::Closing,
                }
                index += 1;
                ran += 1;
                if held != Held::No || renew || ctx.session.closing {
                    break;
                }
            }
            let log_grown = ctx.finish_quietly();
            drop(args);
            if held == Held::Closing {
                self.abort(bench);
            }
            if log_grown {
                bench.forward_log();
            }
            self.client().commands.fetch_add(ran, Ordering::Relaxed);
            node.stats.commands.add(ran);
            if index < count {
                // What was parsed and not run comes again.
                used += if index == 0 {
                    0
                } else {
                    bench.batch.end_of(index - 1)
                };
            } else {
                used += bench.batch.consumed();
                if let Err(error) = parsed {
                    // It is found again, or isn't one under the limits of who has just authenticated.
                    if held == Held::No && !self.session.closing && !renew {
                        self.note_breach(&error);
                        bench.reply.error(&format!("ERR {error}"));
                        held = Held::Closing;
                        self.session.closing = true;
                        used = data.len();
                    }
                } else if bench.batch.wants_bytes() {
                    break;
                }
            }
        }
        if self.session.reply_mode != ReplyMode::On && self.session.closing {
            bench.reply.clear();
        }
        self.send(bench);
        match held {
            Held::Busy(set) => {
                // Registered first, tried after: a shard that is left in between is not missed.
                node.keyspace.wake_when_free(set, cx.waker());
                if node.keyspace.try_enter(set).is_some() {
                    cx.waker().wake_by_ref();
                }
            }
            Held::Paused => {
                let now_ms = node.clock.unix_ms();
                let left_ms = if node.pause.wake_when_over(cx.waker(), now_ms) {
                    0
                } else {
                    node.pause
                        .until_ms()
                        .map_or(0, |until_ms| (until_ms - now_ms).max(0))
                };
                let mut timer = Box::pin(tokio::time::sleep(Duration::from_millis(left_ms as u64)));
                if left_ms == 0 || timer.as_mut().poll(cx).is_ready() {
                    cx.waker().wake_by_ref();
                } else {
                    self.timer = Some(timer);
                }
            }
            // The wait's own end wakes us; look at it once to register.
            Held::Suspended => cx.waker().wake_by_ref(),
            _ => {}
        }
        if held == Held::Paused {
            self.client().paused.store(true, Ordering::Relaxed);
        }
        self.session.publish_view();
        (used, held)
    }

    /// Closes on a peer that is no client: it gets nothing of what the batch has answered.
    fn abort(&mut self, bench: &mut Workbench) {
        let client = self.client();
        let is_unix = client.view.lock().unix_socket;
        let addr = Some(client.addr.as_str()).filter(|_| !is_unix);
        let now_ms = self.node.clock.unix_ms();
        self.node.cross_protocol.note(addr, now_ms);
        bench.reply.clear();
        client.kill();
    }

    /// Writes a batch's replies: straight to the socket if nothing is queued before them.
    fn send(&mut self, bench: &mut Workbench) {
        let is_over = bench.reply.is_over_limit();
        let replies = bench.reply.output_mut();
        if is_over {
            // It gets nothing of this batch, as if it had been closed while its replies were written.
            self.client().overflowed.store(true, Ordering::Relaxed);
            self.client().kill();
        } else if !replies.is_empty() {
            if self.output.is_empty()
                && let Some(socket) = &self.socket
                && let Ok(sent) = write(socket, replies)
            {
                self.node.stats.net_output_bytes.add(sent as u64);
            }
            self.output.take_from(replies);
        }
        bench.tidy();
    }

    /// Writes queued output as far as the socket takes it.
    fn flush(&mut self) -> io::Result<()> {
        let Some(socket) = &self.socket else {
            return Ok(());
        };
        if self.output.is_empty() {
            return Ok(());
        }
        let sent = write(socket, &mut self.output)?;
        self.node.stats.net_output_bytes.add(sent as u64);
        if self.output.is_empty() {
            self.output = Output::default();
        }
        self.publish_output();
        Ok(())
    }

    /// How many bytes of replies the hard limit of its class leaves it.
    fn output_room(&self, settings: &Settings) -> usize {
        let limits = &settings.client_output_buffer_limit;
        match usize::try_from(self.session.output_limit(limits).hard) {
            Ok(0) | Err(_) => usize::MAX,
            Ok(hard) => hard.saturating_sub(self.output.len()),
        }
    }

    /// Whether the output that waits has passed its class's limit.
    fn over_output_limit(&mut self) -> bool {
        let settings = self.node.settings.load();
        let OutputLimit {
            hard,
            soft,
            soft_seconds,
        } = self
            .session
            .output_limit(&settings.client_output_buffer_limit);
        let len = self.output.len() as u64;
        let now_ms = self.node.clock.unix_ms();
        let over_soft = soft > 0 && len > soft;
        if !over_soft {
            self.over_soft_since_ms = None;
        }
        let since_ms = if over_soft {
            *self.over_soft_since_ms.get_or_insert(now_ms)
        } else {
            now_ms
        };
        let over = (hard > 0 && len > hard)
            || (over_soft && now_ms - since_ms >= soft_seconds as i64 * 1000);
        if over {
            self.note_output_limit();
        }
        over
    }

    fn note_output_limit(&self) {
        tracing::warn!(
            "Client id={} addr={} scheduled to be closed ASAP for overcoming of output buffer limits.",
            self.client().id,
            self.client().addr
        );
        self.node.stats.output_limit_disconnections.inc();
    }

    /// Shows others how much the buffers hold.
    fn publish_buffers(&self) {
        let client = self.client();
        show(&client.input_bytes, self.input.len());
        show(
            &client.input_free_bytes,
            self.input.capacity() - self.input.len(),
        );
        self.publish_output();
    }

    fn publish_output(&self) {
        let client = self.client();
        let (bytes, pieces) = (self.output.len(), self.output.pieces());
        let in_tail = bytes - self.output.in_pieces();
        show(&client.output_bytes, bytes);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        client.output_pieces.store(count(pieces), Ordering::Relaxed);
        (client.output_tail_bytes).store(count(in_tail), Ordering::Relaxed);
    }

    /// Gives the socket to the replication actors; what was sent behind PSYNC goes along.
    fn hand_over(&mut self) {
        let (Some(request), Some(socket)) = (self.session.handover.take(), self.socket.take())
        else {
            return;
        };
        // The MasterActor lives as long as the node; if it is gone the socket closes, as it should.
        self.replicas.do_send(AttachReplica {
            socket,
            client: self.session.client.clone(),
            replconf: self.session.replconf.take().unwrap_or_default(),
            request,
            input: std::mem::take(&mut self.input),
            output: std::mem::take(&mut self.output).into_bytes(),
            waits_since_ms: None,
        });
    }
}

/// Writes as much as the socket takes; how much that was.
fn write(socket: &Socket, output: &mut Output) -> io::Result<usize> {
    let mut sent = 0;
    while !output.is_empty() {
        let written = match output.as_one() {
            Some(bytes) => socket.try_write(bytes),
            None => {
                let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                let count = output.slices(&mut slices);
                socket.try_write_vectored(&slices[..count])
            }
        };
        match written {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                output.advance(n);
                sent += n;
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
            Err(e) => return Err(e),
        }
    }
    Ok(sent)
}

/// Writes a figure that others see, if it has changed.
fn show(shown: &AtomicUsize, value: usize) {
    if shown.load(Ordering::Relaxed) != value {
        shown.store(value, Ordering::Relaxed);
    }
}

/// The future that drives the actor.
struct Work;

impl ActorFuture<ConnectionActor> for Work {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut ConnectionActor,
        ctx: &mut Context<ConnectionActor>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        let work = actor.poll_work(task);
        actor.publish_buffers();
        match work {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Over(reason)) => {
                tracing::trace!(client = actor.session.client.id, reason, "connection over");
                ctx.stop();
                Poll::Ready(())
            }
        }
    }
}

impl Actor for ConnectionActor {
    type Context = Context<ConnectionActor>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(2);
        ctx.spawn(Work);
    }

    fn stopped(&mut self, _ctx: &mut Self::Context) {
        self.node.forget_session(&mut self.session);
        if self.session.handover.is_some() {
            self.hand_over();
        } else {
            self.node.clients.remove(self.session.client.id);
        }
    }
}

/// Asks a connection for its observable state.
#[derive(Message)]
#[rtype(result = "ConnectionState")]
pub struct Observe;

/// What a connection looks like from outside.
#[derive(Debug, MessageResponse)]
pub struct ConnectionState {
    pub id: u64,
    pub input_bytes: usize,
    pub output_bytes: usize,
    pub waiting: bool,
}

impl Handler<Observe> for ConnectionActor {
    type Result = ConnectionState;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> ConnectionState {
        ConnectionState {
            id: self.session.client.id,
            input_bytes: self.input.len(),
            output_bytes: self.output.len(),
            waiting: self.session.waiting.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten thousand idle connections cost 1.84 KB each (redis-server 7.0: 1.4 KB until the first command,
    /// 6.4 KB after it). Past these sizes the actor's task and the client fall into the allocator's next
    /// class, which costs 256 and 64 bytes more.
    #[test]
    fn an_idle_connection_is_small() {
        assert!(size_of::<ConnectionActor>() <= 456);
        assert!(size_of::<Client>() <= 368);
    }
}
