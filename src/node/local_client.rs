//! A client inside the process: the same session, table and shards as a socket's client, on the caller's
//! own thread.
//!
//! The caller's thread may wait (it is no arbiter): for a busy shard, for a pause, for a blocking command.
//! It parks and is woken by the same wakers that wake a connection.
//!
//! A client ends before its owner drops it when its node is closed, when it is killed (CLIENT KILL, or pushed
//! messages that nobody took past the output limit), or after QUIT. A call that waits then is woken; it and every
//! later one is answered with an error of the code CLOSED, but for a SHUTDOWN that closed the node: that is OK.

#![warn(missing_docs)]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use bytes::{Buf, BytesMut};

use crate::clients::client::Client;
use crate::command::dispatch::waits;
use crate::command::dispatch::{self, Outcome};
use crate::command::{Context, Effects};
use crate::keyspace::Entrance;
use crate::node_core::NodeCore;
use crate::resp::value::RespValue;
use crate::resp::{Reply, Resp};
use crate::session::{Origin, Session, Waiting};
use crate::supervision::{self, Owner};
use crate::table::spec::bits;

/// Longest sleep before a waiting call looks again on its own.
const PARK_MAX: Duration = Duration::from_millis(50);

/// Why a client runs nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closed {
    /// The node has been shut down.
    Node,
    /// This client was ended: by CLIENT KILL, by QUIT, or since it did not take what was pushed to it.
    Client,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Closed::Node => "the node has been shut down",
            Closed::Client => "the client has been ended",
        })
    }
}

impl std::error::Error for Closed {}

/// Wakes a parked thread.
struct Parker {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// An in-process client. One per thread that uses it; it is cheap.
///
/// It may outlive its node, and then answers every call with an error.
pub struct LocalClient {
    node: Arc<NodeCore>,
    session: Session,
    reply: Reply,
    effects: Effects,
    /// Pushed output (pub/sub messages) that nobody has taken.
    pushed: BytesMut,
}

impl LocalClient {
    pub(crate) fn new(node: Arc<NodeCore>) -> LocalClient {
        let client = Client::new(
            node.clients.next_id(),
            Client::IN_PROCESS.into(),
            String::new(),
            node.clock.unix_ms(),
        );
        node.clients.add(client.clone());
        let mut session = Session::new(client, Origin::Client);
        // Whoever holds the node is trusted with it.
        session.authenticated = true;
        session.client.speak(Resp::V3);
        LocalClient {
            node,
            session,
            reply: Reply::new(Resp::V3),
            effects: Effects::default(),
            pushed: BytesMut::new(),
        }
    }

    /// Runs one command and gives its reply. Blocks as the command does. Errors are values, too: of the server,
    /// and of the code CLOSED once the client has ended (see [`LocalClient::closed`]).
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> RespValue {
        let args: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        if args.is_empty() {
            return RespValue::Error("ERR empty command".into());
        }
        if let Some(closed) = self.closed() {
            return closed_reply(closed);
        }
        let id = self.session.client.id;
        let ran = supervision::turn(Owner::LocalClient, id, || {
            self.node.supervision.step(Owner::LocalClient, "call");
            self.run(&args)
        });
        let ran = match ran {
            Ok(ran) => ran,
            Err(panic) => {
                self.panicked(&panic);
                Err(Ended::Closed(Closed::Client))
            }
        };
        self.session.publish_view();
        self.effects.clear();
        let bytes = self.reply.take().into_bytes();
        match ran {
            Ok(()) => self.first_of(&bytes),
            Err(Ended::Closed(Closed::Node)) if self.ends_node(&args) => {
                RespValue::Simple("OK".into())
            }
            Err(Ended::Closed(closed)) => closed_reply(closed),
            Err(Ended::Refused(why)) => RespValue::Error(format!("ERR {why}")),
        }
    }

    fn ends_node(&self, args: &[&[u8]]) -> bool {
        let command = self.node.table.find(args);
        command.is_some_and(|command| command.flags.has(bits::ENDS_NODE))
    }

    /// A panic costs this client only; if it was inside a shard the node ends as well.
    fn panicked(&mut self, panic: &str) {
        tracing::error!("An in-process client is closed after a panic: {panic}");
        self.session.closing = true;
        self.reply = Reply::new(Resp::V3);
        self.effects = Effects::default();
    }

    /// Why every call is answered with an error from now on; None: it is not.
    pub fn closed(&self) -> Option<Closed> {
        if self.node.lifecycle.is_closed() {
            Some(Closed::Node)
        } else if self.session.closing || self.session.client.killed.load(Ordering::Acquire) {
            Some(Closed::Client)
        } else {
            None
        }
    }

    /// Takes one pushed message (pub/sub, invalidation) if there is one.
    pub fn take_push(&mut self) -> Option<RespValue> {
        let fresh = self.session.client.take_output(Waker::noop());
        self.pushed.extend_from_slice(&fresh.into_bytes());
        match RespValue::read(&self.pushed) {
            Ok(Some((value, used))) => {
                self.pushed.advance(used);
                Some(value)
            }
            _ => None,
        }
    }

    /// Waits up to `timeout` for a pushed message; None: none came. Blocks the thread.
    ///
    /// # Errors
    ///
    /// [`Closed`] when no more will come; messages that came before are given first.
    pub fn wait_push(&mut self, timeout: Duration) -> Result<Option<RespValue>, Closed> {
        let until_us = self.node.clock.monotonic_us() + timeout.as_micros() as u64;
        let parker = Self::parker();
        let waker = Waker::from(parker.clone());
        loop {
            // Looked at before the messages: what came before the end is given.
            let closed = self.closed();
            if let Some(message) = self.take_push() {
                return Ok(Some(message));
            }
            if let Some(closed) = closed {
                return Err(closed);
            }
            let now_us = self.node.clock.monotonic_us();
            if now_us >= until_us {
                return Ok(None);
            }
            let fresh = self.session.client.take_output(&waker);
            let waits = fresh.is_empty();
            self.pushed.extend_from_slice(&fresh.into_bytes());
            // Registered now: an end that came before is seen here, one that comes later wakes.
            if waits && self.closed().is_none() {
                std::thread::park_timeout(PARK_MAX.min(Duration::from_micros(until_us - now_us)));
            }
        }
    }

    /// Runs a command to its end; the reply is in `self.reply`.
    fn run(&mut self, args: &[&[u8]]) -> Result<(), Ended> {
        let ran = self.run_when_possible(args);
        let paused = &self.session.client.paused;
        if paused.load(Ordering::Relaxed) {
            paused.store(false, Ordering::Relaxed);
        }
        ran
    }

    fn run_when_possible(&mut self, args: &[&[u8]]) -> Result<(), Ended> {
        loop {
            let Some(outcome) = self.run_when_free(args) else {
                return Err(Ended::Closed(Closed::Node));
            };
            match outcome {
                Outcome::Paused => self.pause()?,
                Outcome::Suspended => return self.wait(),
                Outcome::Handover => {
                    self.session.handover = None;
                    return Err(Ended::Refused(
                        "an in-process client can't become a replica",
                    ));
                }
                Outcome::Abort => {
                    return Err(Ended::Refused("this is no command but a line of HTTP"));
                }
                Outcome::Done | Outcome::Renew | Outcome::Busy(_) => return Ok(()),
            }
        }
    }

    /// Runs a command as soon as its shards are free: never `Busy`. None: one is poisoned.
    fn run_when_free(&mut self, args: &[&[u8]]) -> Option<Outcome> {
        let mut keys = None;
        loop {
            let settings = self.node.settings.load();
            self.reply.resp = self.session.resp();
            let mut ctx = Context::new(
                &self.node,
                &settings,
                &mut self.session,
                &mut self.reply,
                &mut self.effects,
            );
            if let Some(keys) = keys.take() {
                ctx.set_keys(keys);
            }
            let outcome = dispatch::run(&mut ctx, args);
            ctx.finish();
            let Outcome::Busy(set) = outcome else {
                return Some(outcome);
            };
            // A slow script is told of, not waited for.
            let running = &self.node.scripts.running;
            let is_slow = || running.slow_in(set).is_some();
            keys = match self.node.keyspace.enter_or_stop(set, is_slow) {
                Entrance::Entered(keys) => Some(keys),
                Entrance::Stopped => None,
                Entrance::Lost => return None,
            };
        }
    }

    /// The first value of a command's output. What is behind it was pushed meanwhile.
    fn first_of(&mut self, bytes: &[u8]) -> RespValue {
        match RespValue::read(bytes) {
            Ok(Some((value, used))) => {
                self.pushed.extend_from_slice(&bytes[used..]);
                value
            }
            Ok(None) => RespValue::Null,
            Err(error) => RespValue::Error(format!("ERR {error}")),
        }
    }

    fn parker() -> Arc<Parker> {
        Arc::new(Parker {
            thread: std::thread::current(),
            woken: AtomicBool::new(false),
        })
    }

    /// Waits for the end of a pause, or for a look at it: whoever ends one early wakes all clients.
    fn pause(&mut self) -> Result<(), Ended> {
        self.session.client.paused.store(true, Ordering::Relaxed);
        let waker = Waker::from(Self::parker());
        let pushed = self.session.client.take_output(&waker);
        self.pushed.extend_from_slice(&pushed.into_bytes());
        if let Some(closed) = self.closed() {
            return Err(Ended::Closed(closed));
        }
        std::thread::park_timeout(PARK_MAX);
        Ok(())
    }

    /// Waits for a blocked command's reply, or its deadline.
    fn wait(&mut self) -> Result<(), Ended> {
        let parker = Self::parker();
        let waker = Waker::from(parker.clone());
        loop {
            let output = self.session.client.take_output(&waker);
            self.reply.append(output);
            self.end_wait_early();
            if waits::is_over(&mut self.session) {
                // There is no connection to close: the client may go on.
                self.session.closing = false;
                let output = self.session.client.take_output(&waker);
                self.reply.append(output);
                self.session.client.blocked.store(false, Ordering::Release);
                return match self.closed() {
                    // What is said to a client that was closed is lost.
                    Some(closed) if self.reply.is_empty() => Err(Ended::Closed(closed)),
                    _ => Ok(()),
                };
            }
            // Looked at after the wait: a reply that came before the end is given.
            if let Some(closed) = self.closed() {
                self.node.forget_session(&mut self.session);
                self.session.client.blocked.store(false, Ordering::Release);
                return Err(Ended::Closed(closed));
            }
            if !parker.woken.swap(false, Ordering::AcqRel) {
                std::thread::park_timeout(PARK_MAX);
            }
        }
    }

    /// Ends the wait if somebody asked for that, or if it is due.
    fn end_wait_early(&mut self) {
        let how = self.session.client.unblock.swap(0, Ordering::AcqRel);
        let deadline_ms = match &self.session.waiting {
            Some(Waiting::Keys(waiter)) => waiter.deadline_ms,
            _ => None,
        };
        if how != 0 {
            waits::end(&self.node, &self.session, how);
        } else if deadline_ms.is_some_and(|at| at <= self.node.clock.unix_ms()) {
            waits::end(&self.node, &self.session, 1);
        }
    }
}

/// Why a command gave no reply.
enum Ended {
    Closed(Closed),
    /// It is nothing for a client without a socket.
    Refused(&'static str),
}

fn closed_reply(closed: Closed) -> RespValue {
    RespValue::Error(format!("CLOSED {closed}"))
}

impl fmt::Debug for LocalClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalClient")
            .field("id", &self.session.client.id)
            .field("closed", &self.closed())
            .finish_non_exhaustive()
    }
}

impl Drop for LocalClient {
    fn drop(&mut self) {
        self.node.forget_session(&mut self.session);
        self.node.clients.remove(self.session.client.id);
    }
}
