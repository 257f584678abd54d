//! The actor behind one client: it owns the socket and the session, and runs what the client sends.
//!
//! All of its work happens in one future, polled on the arbiter's thread: take what others have for the
//! client (its outbox), write, run the commands that have come, read. A whole read is parsed, run in place
//! inside the shards, answered into the arbiter's shared reply buffer and written with one call; no message
//! is sent and nothing is allocated per command.
//!
//! Pushed output (pub/sub, replies to blocked commands, kill, unblock) doesn't come through the mailbox but
//! through [`Client`]'s outbox and waker: many pushes cost one wake, and the outbox has a bound where an
//! actix mailbox that is written with `do_send` has none. The mailbox carries nothing.
//!
//! Bounds: input by `client-query-buffer-limit` (with the spans of a large request and the commands that a MULTI
//! has queued), to 1 MB before AUTH; output as `crate::actors::clients::unsent` says; work per poll by `ROUNDS_MAX` and by the
//! millisecond of a [`TimeSlice`], after which the others come first. Death: the client is disconnected; its session,
//! watches and subscriptions go. If it was inside a shard the node ends, as `supervisor::rescue` says.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::prelude::*;
use bytes::{Buf, BytesMut};

use crate::actors::clients::scratch::{Scratch, SharedScratch, TimeSlice};
use crate::actors::clients::unsent::{Bounds, SENT_AT_ONCE_BYTES, Unsent, show};
use crate::actors::messages::AttachReplica;
use crate::clients::client::Client;
use crate::command::Context as CommandContext;
use crate::command::dispatch::waits;
use crate::command::dispatch::{self, Outcome};
use crate::config::Settings;
use crate::node_core::NodeCore;
use crate::os::socket::Socket;
use crate::resp::request::{Limits, Parser, ProtocolError, TOO_LARGE};
use crate::session::{MultiState, ReplyMode, Session, Waiting};
use crate::supervision::{self, Owner};

/// Reads handled in one poll before the other connections get their turn.
const ROUNDS_MAX: usize = 16;
/// What a client that hasn't authenticated may have waiting, as in Redis 8: it may send little, but much may come
/// behind its AUTH in one go.
const UNAUTHENTICATED_INPUT_BYTES_MAX: usize = 1024 * 1024;
/// Read buffer kept between reads when it is empty, bytes.
const INPUT_KEPT_BYTES: usize = 0;

/// One client's actor.
pub(crate) struct ConnectionActor {
    node: Arc<NodeCore>,
    scratch: SharedScratch,
    replicas: Rc<Recipient<AttachReplica>>,
    /// None once it has been handed over.
    socket: Option<Socket>,
    session: Session,
    parser: Parser,
    /// Bytes that have come and not been run: a command's beginning, or commands behind a wait.
    input: BytesMut,
    unsent: Unsent,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
}

/// Why input is not being run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    No,
    /// Until a shard is left, whose leaving wakes us.
    Busy,
    /// Until a pause ends.
    Paused,
    /// Until what the session waits for has come.
    Suspended,
    /// Until the client has taken some of its replies.
    Output,
    /// Until the other connections have had their turn; `sends`: the replies so far may go.
    TimeSlice {
        sends: bool,
    },
    /// The socket goes to the replication actors.
    Handover,
    /// A breach of protocol was answered, or a limit passed: nothing more is run.
    Closing,
    /// The peer is no client.
    Abort,
}

/// The connection is over, and why (for the log).
struct Over(&'static str);

/// A batch of commands being run.
struct Pass<'a> {
    /// What it was parsed from.
    data: &'a [u8],
    /// Of the next command.
    index: usize,
    /// Why that does not run now.
    held: Held,
}

/// What became of a part of the input.
struct Ran {
    /// Bytes used up.
    used: usize,
    held: Held,
    /// The rest is the beginning of a command.
    wants_bytes: bool,
}

impl ConnectionActor {
    pub(crate) fn new(
        node: Arc<NodeCore>,
        scratch: SharedScratch,
        socket: Socket,
        session: Session,
        replicas: Rc<Recipient<AttachReplica>>,
    ) -> ConnectionActor {
        ConnectionActor {
            node,
            scratch,
            replicas,
            socket: Some(socket),
            session,
            parser: Parser::default(),
            input: BytesMut::new(),
            unsent: Unsent::default(),
            timer: None,
        }
    }

    fn client(&self) -> &Arc<Client> {
        &self.session.client
    }

    /// The connection's whole work. Ready when it is over.
    fn poll_work(&mut self, cx: &mut TaskContext<'_>) -> Poll<Over> {
        let scratch = self.scratch.clone();
        let mut scratch = scratch.borrow_mut();
        scratch.slice = TimeSlice::begin(self.node.clock.unix_us());
        for _ in 0..ROUNDS_MAX {
            let mut held = self.poll_wait(cx);
            // Checked after the wait: whatever ends a wait pushes the reply first.
            self.take_pushed(cx);
            if self.client().killed.load(Ordering::Acquire) {
                if self.client().overflowed.load(Ordering::Relaxed) {
                    self.note_output_limit();
                }
                let _ = self.flush();
                return Poll::Ready(Over("killed"));
            }
            if held == Held::No && !self.input.is_empty() {
                held = self.run_input(&mut scratch, cx);
            }
            if held == Held::Handover {
                return Poll::Ready(Over("handed over"));
            }
            if self.unsent.is_lost() {
                match held {
                    Held::Busy => return Poll::Pending,
                    Held::TimeSlice { .. } => break,
                    _ => return Poll::Ready(Over("its peer is gone")),
                }
            }
            if held != (Held::TimeSlice { sends: false }) && self.flush().is_err() {
                if self.input.is_empty() {
                    return Poll::Ready(Over("write failed"));
                }
                self.unsent.lose();
                continue;
            }
            let closing = self.session.closing || held == Held::Closing;
            if self.unsent.is_empty() && closing {
                return Poll::Ready(Over("closed by us"));
            }
            if self.is_over_output_limit() {
                return Poll::Ready(Over("output buffer limit"));
            }
            if scratch.slice.is_over {
                break;
            }
            if held == Held::Output && !self.unsent.holds_pipeline(scratch.bounds) {
                continue;
            }
            if !self.unsent.is_empty() {
                let Some(socket) = &self.socket else {
                    return Poll::Ready(Over("handed over"));
                };
                if socket.poll_write_ready(cx).is_ready() {
                    // There was too much for one go, or it became writable in between.
                    continue;
                }
                if closing {
                    return Poll::Pending;
                }
            }
            match self.read(&mut scratch, held, cx) {
                Ok(true) if scratch.slice.is_over => break,
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(over) => return Poll::Ready(over),
            }
        }
        others_first(cx);
        Poll::Pending
    }

    /// Reads once and runs what came, if nothing holds it. False if there is nothing to read.
    fn read(
        &mut self,
        scratch: &mut Scratch,
        held: Held,
        cx: &mut TaskContext<'_>,
    ) -> Result<bool, Over> {
        let Some(socket) = &mut self.socket else {
            return Err(Over("handed over"));
        };
        let mut read = std::mem::take(&mut scratch.read);
        let polled = socket.poll_read(cx, &mut read);
        if polled.is_ready() {
            self.node.stats.reads.inc();
        }
        let result = match polled {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(0)) => self.lose_peer(held, "closed by the client"),
            Poll::Ready(Ok(n)) => {
                self.client()
                    .last_seen_ms
                    .store(self.node.clock.unix_ms(), Ordering::Relaxed);
                self.node.stats.net_input_bytes.add(n as u64);
                self.received(scratch, &read[..n], held, cx)
            }
            Poll::Ready(Err(_)) => self.lose_peer(held, "read failed"),
        };
        scratch.read = read;
        result
    }

    /// The peer is gone. What it sent and only the others or its own unread replies have kept from running is
    /// still run, as it would have been when it came.
    fn lose_peer(&mut self, held: Held, how: &'static str) -> Result<bool, Over> {
        if self.input.is_empty() || !matches!(held, Held::Busy | Held::Output) {
            return Err(Over(how));
        }
        self.unsent.lose();
        Ok(true)
    }

    fn received(
        &mut self,
        scratch: &mut Scratch,
        data: &[u8],
        held: Held,
        cx: &mut TaskContext<'_>,
    ) -> Result<bool, Over> {
        if held == Held::No && self.input.is_empty() {
            let (used, held) = self.run(scratch, data, cx);
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
        self.node.stats.query_limit_disconnections.inc();
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

    /// Takes what others have for the client, and has the next push wake the connection.
    #[inline]
    fn take_pushed(&mut self, cx: &TaskContext<'_>) {
        let client = &self.session.client;
        self.unsent
            .fill(|output| client.move_output(cx.waker(), output));
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
        self.take_pushed(cx);
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
        self.take_pushed(cx);
        Held::No
    }

    /// Runs what has come and waits, if nothing holds it.
    fn run_input(&mut self, scratch: &mut Scratch, cx: &mut TaskContext<'_>) -> Held {
        scratch.bounds = Bounds::of(&self.session, &self.node.settings.load());
        if self.unsent.holds_pipeline(scratch.bounds) {
            return Held::Output;
        }
        let input = std::mem::take(&mut self.input);
        let (used, held) = self.run(scratch, &input, cx);
        self.input = input;
        self.input.advance(used);
        if self.input.is_empty() && self.input.capacity() > INPUT_KEPT_BYTES {
            self.input = BytesMut::new();
        }
        held
    }

    /// Runs `data`, sending the replies; how much of it has been used up, and what holds the rest.
    fn run(
        &mut self,
        scratch: &mut Scratch,
        data: &[u8],
        cx: &mut TaskContext<'_>,
    ) -> (usize, Held) {
        if self.client().paused.load(Ordering::Relaxed) {
            self.client().paused.store(false, Ordering::Relaxed);
            self.node.pause.forget(self.client().id);
        }
        self.session.input_bytes = data.len();
        let mut used = 0;
        let mut held = Held::No;
        let mut sends = true;
        while used < data.len() && held == Held::No && !self.session.closing {
            let settled = scratch.reply.len();
            let ran = self.run_batch(scratch, &data[used..], cx);
            used += ran.used;
            held = ran.held;
            let bounds = scratch.bounds;
            let replied = scratch.reply.len().saturating_sub(settled);
            self.unsent.note_ran(ran.used, replied);
            sends = !(bounds.by_pass() && matches!(held, Held::TimeSlice { .. }));
            if scratch.reply.is_over_limit() {
                self.close_over_limit(scratch);
                held = Held::Closing;
            } else if scratch.reply.len() > SENT_AT_ONCE_BYTES && !bounds.by_pass() {
                self.send(scratch, sends);
            }
            if held == Held::No && self.unsent.holds_pipeline(bounds) {
                held = Held::Output;
            }
            if ran.wants_bytes {
                break;
            }
        }
        if self.session.reply_mode != ReplyMode::On && self.session.closing {
            scratch.reply.clear();
        }
        self.send(scratch, sends);
        scratch.tidy();
        if let Held::TimeSlice { sends: goes } = &mut held {
            *goes = sends;
        }
        self.register(held, cx);
        self.session.publish_view();
        (used, held)
    }

    /// Has the end of what holds the input wake the connection.
    fn register(&mut self, held: Held, cx: &mut TaskContext<'_>) {
        match held {
            Held::Paused => {
                let node = &self.node;
                let now_ms = node.clock.unix_ms();
                let left_ms = if node
                    .pause
                    .wake_when_over(self.client().id, cx.waker(), now_ms)
                {
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
                self.client().paused.store(true, Ordering::Relaxed);
            }
            // The wait's own end wakes us; look at it once to register.
            Held::Suspended => cx.waker().wake_by_ref(),
            _ => {}
        }
    }

    /// What may be parsed now.
    fn limits(&self, settings: &Settings) -> Limits {
        Limits {
            bulk_bytes_max: settings.proto_max_bulk_len as usize,
            authenticated: self.session.authenticated || settings.requirepass.is_none(),
            request_bytes_max: self.input_limit(settings),
            ..Limits::default()
        }
    }

    /// Parses `data`, up to a batch of commands, and runs them until something holds the rest or there are
    /// replies enough to be sent.
    fn run_batch(&mut self, scratch: &mut Scratch, data: &[u8], cx: &TaskContext<'_>) -> Ran {
        let node = self.node.clone();
        let mut settings = node.settings.load();
        let limits = self.limits(&settings);
        node.supervision.step(Owner::Connection, "parse");
        let parsed = self.parser.parse(data, &limits, &mut scratch.batch);
        let count = scratch.batch.len();
        let mut pass = Pass {
            data,
            index: 0,
            held: Held::No,
        };
        // What follows is to be parsed under other limits: of a client that has just authenticated, for one.
        let mut is_stale = false;
        loop {
            let renew = self.run_commands(scratch, &node, &settings, &mut pass, cx);
            if pass.held == Held::Abort {
                self.abort(scratch);
                pass.held = Held::Closing;
            }
            if !renew || pass.held != Held::No || self.session.closing {
                break;
            }
            settings = node.settings.load();
            is_stale = self.limits(&settings) != limits;
            if is_stale || pass.index == count {
                break;
            }
        }
        let Pass { index, held, .. } = pass;
        let mut ran = Ran {
            used: scratch.batch.consumed(),
            held,
            wants_bytes: false,
        };
        if index < count {
            // What was parsed and not run comes again.
            ran.used = match index {
                0 => 0,
                _ => scratch.batch.end_of(index - 1),
            };
        } else if let Err(error) = parsed {
            if held == Held::No && !self.session.closing && !is_stale {
                self.note_breach(&error);
                scratch.reply.error(&format!("ERR {error}"));
                self.session.closing = true;
                ran.held = Held::Closing;
                ran.used = data.len();
            }
        } else {
            ran.wants_bytes = scratch.batch.wants_bytes();
        }
        ran
    }

    /// Runs the batch's commands from `index` on. True: settings or the session's nature may have changed.
    fn run_commands(
        &mut self,
        scratch: &mut Scratch,
        node: &NodeCore,
        settings: &Settings,
        pass: &mut Pass<'_>,
        cx: &TaskContext<'_>,
    ) -> bool {
        let bounds = Bounds::of(&self.session, settings);
        let room = self.unsent.room(bounds);
        scratch.bounds = bounds;
        scratch.reply.limit(room);
        scratch.reply.resp = self.session.resp();
        let enough_bytes = if bounds.by_pass() {
            room
        } else {
            SENT_AT_ONCE_BYTES
        };
        let Pass { data, index, held } = pass;
        let first = *index;
        let ends_us = scratch.slice.ends_us;
        let mut args = Vec::new();
        let mut renew = false;
        let mut ctx = CommandContext::new(
            node,
            settings,
            &mut self.session,
            &mut scratch.reply,
            &mut scratch.effects,
        );
        while *index < scratch.batch.len() {
            ctx.prefetch_window(&scratch.batch, *index, data);
            scratch.batch.args(*index, data, &mut args);
            match dispatch::poll_run(&mut ctx, &args, cx) {
                Outcome::Done => {}
                Outcome::Renew => renew = true,
                Outcome::Busy(_) => {
                    *held = Held::Busy;
                    break;
                }
                Outcome::Paused => {
                    *held = Held::Paused;
                    break;
                }
                Outcome::Suspended => *held = Held::Suspended,
                Outcome::Handover => *held = Held::Handover,
                Outcome::Abort => *held = Held::Abort,
            }
            *index += 1;
            if *held != Held::No || renew || ctx.session.closing {
                break;
            }
            if ctx.now_us > ends_us {
                scratch.slice.is_over = true;
                *held = Held::TimeSlice { sends: true };
                break;
            }
            if ctx.reply.len() > enough_bytes {
                break;
            }
        }
        let log_grown = ctx.finish_quietly();
        drop(args);
        if log_grown {
            scratch.forward_log();
        }
        let ran = (*index - first) as u64;
        self.client().commands.fetch_add(ran, Ordering::Relaxed);
        renew
    }

    /// Closes on a peer that is no client: it gets nothing of what the batch has answered.
    fn abort(&mut self, scratch: &mut Scratch) {
        let client = self.client();
        let is_unix = client.view.lock().unix_socket;
        let addr = Some(client.addr.as_str()).filter(|_| !is_unix);
        let now_ms = self.node.clock.unix_ms();
        self.node.cross_protocol.note(addr, now_ms);
        scratch.reply.clear();
        client.kill();
    }

    /// Closes on a client whose replies pass its limit: it gets nothing of them, as if it had been closed while
    /// they were written.
    fn close_over_limit(&mut self, scratch: &mut Scratch) {
        self.note_output_limit();
        self.unsent.lose();
        scratch.reply.clear();
        self.session.closing = true;
    }

    /// Takes what has been replied, and writes it straight to the socket if nothing waits before it.
    fn send(&mut self, scratch: &mut Scratch, now: bool) {
        let replies = scratch.reply.output_mut();
        if replies.is_empty() {
            return;
        }
        let socket = self.socket.as_ref().filter(|_| now);
        let sent = self.unsent.send(replies, socket);
        note_sent(&self.node, sent);
    }

    /// Writes what waits, as far as the socket takes it.
    fn flush(&mut self) -> io::Result<()> {
        let Some(socket) = &self.socket else {
            return Ok(());
        };
        if !self.unsent.is_empty() {
            let sent = self.unsent.flush(socket)?;
            note_sent(&self.node, sent);
            self.unsent.publish(self.client());
        }
        Ok(())
    }

    /// Whether the output that waits has passed its class's limit.
    fn is_over_output_limit(&mut self) -> bool {
        if self.unsent.is_empty() {
            return false;
        }
        let bounds = Bounds::of(&self.session, &self.node.settings.load());
        let now_ms = self.node.clock.unix_ms();
        let is_over = self.unsent.is_over_limit(bounds, now_ms);
        if is_over {
            self.note_output_limit();
        }
        is_over
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
        self.unsent.publish(client);
    }

    /// A panic costs this client only; if it was inside a shard the node ends as well.
    fn panicked(&mut self, panic: &str) -> Over {
        let client = self.client();
        let command = client.last_command.load(Ordering::Relaxed);
        let command = self.node.table.name_of(command).unwrap_or("NULL");
        tracing::error!(
            "Closing client id={} addr={} cmd={command} after a panic: {panic}",
            client.id,
            client.addr
        );
        self.scratch.borrow_mut().renew();
        self.session.handover = None;
        self.unsent.lose();
        Over("panicked")
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
            output: self.unsent.take().into_bytes(),
            waits_since_ms: None,
        });
    }
}

/// A write to a client's socket took so many bytes.
fn note_sent(node: &NodeCore, bytes: usize) {
    if bytes > 0 {
        node.stats.writes.inc();
        node.stats.net_output_bytes.add(bytes as u64);
    }
}

/// Gives the turn away and takes the next one when the runtime has looked at its sockets. With `wake_by_ref` the
/// tasks that are ready would go round some sixty times before those that only now have something to do.
fn others_first(cx: &mut TaskContext<'_>) {
    let _ = pin!(tokio::task::yield_now()).poll(cx);
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
        let id = actor.session.client.id;
        let work = supervision::turn(Owner::Connection, id, || actor.poll_work(task));
        let work = work.unwrap_or_else(|panic| Poll::Ready(actor.panicked(&panic)));
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
