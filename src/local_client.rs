//! A client inside the process: the same session, table and shards as a socket's client, on the caller's
//! own thread.
//!
//! The caller's thread may wait (it is no arbiter): for a busy shard, for a pause, for a blocking command.
//! It parks and is woken by the same wakers that wake a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use bytes::{Buf, BytesMut};

use crate::command::dispatch::{self, Outcome};
use crate::command::waits;
use crate::command::{Context, Effects};
use crate::node_core::NodeCore;
use crate::resp::value::RespValue;
use crate::resp::{Reply, Resp};
use crate::session::{Client, Origin, Session, Waiting};

/// Longest sleep before a waiting call looks again on its own.
const PARK_MAX: Duration = Duration::from_millis(50);

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
            "in-process:0".into(),
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

    /// Runs one command and gives its reply. Blocks as the command does.
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> RespValue {
        let args: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        if args.is_empty() {
            return RespValue::Error("ERR empty command".into());
        }
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
            let outcome = dispatch::run(&mut ctx, &args);
            ctx.finish();
            match outcome {
                Outcome::Busy(set) => drop(self.node.keyspace.enter(set)),
                Outcome::Paused => self.pause(),
                Outcome::Suspended => {
                    self.wait();
                    break;
                }
                Outcome::Handover => {
                    self.session.handover = None;
                    return RespValue::Error(
                        "ERR an in-process client can't become a replica".into(),
                    );
                }
                Outcome::Abort => {
                    return RespValue::Error("ERR this is no command but a line of HTTP".into());
                }
                Outcome::Done | Outcome::Renew => break,
            }
        }
        self.session.publish_view();
        self.effects.clear();
        let bytes = self.reply.take().into_bytes();
        match RespValue::read(&bytes) {
            Ok(Some((value, _))) => value,
            Ok(None) => RespValue::Null,
            Err(error) => RespValue::Error(format!("ERR {error}")),
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

    /// Waits up to `timeout` for a pushed message.
    pub fn wait_push(&mut self, timeout: Duration) -> Option<RespValue> {
        let until_us = self.node.clock.monotonic_us() + timeout.as_micros() as u64;
        loop {
            if let Some(message) = self.take_push() {
                return Some(message);
            }
            let now_us = self.node.clock.monotonic_us();
            if now_us >= until_us {
                return None;
            }
            let parker = Self::parker();
            let waker = Waker::from(parker.clone());
            let fresh = self.session.client.take_output(&waker);
            let waits = fresh.is_empty();
            self.pushed.extend_from_slice(&fresh.into_bytes());
            if waits {
                std::thread::park_timeout(PARK_MAX.min(Duration::from_micros(until_us - now_us)));
            }
        }
    }

    fn parker() -> Arc<Parker> {
        Arc::new(Parker {
            thread: std::thread::current(),
            woken: AtomicBool::new(false),
        })
    }

    /// Waits for the end of a pause, or for a look at it: whoever ends one early wakes all clients.
    fn pause(&mut self) {
        let waker = Waker::from(Self::parker());
        let pushed = self.session.client.take_output(&waker);
        self.pushed.extend_from_slice(&pushed.into_bytes());
        std::thread::park_timeout(PARK_MAX);
    }

    /// Waits for a blocked command's reply, or its deadline.
    fn wait(&mut self) {
        let parker = Self::parker();
        let waker = Waker::from(parker.clone());
        loop {
            let output = self.session.client.take_output(&waker);
            self.reply.append(output);
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
            if waits::is_over(&mut self.session) {
                // There is no connection to close: the client may go on.
                self.session.closing = false;
                let output = self.session.client.take_output(&waker);
                self.reply.append(output);
                self.session.client.blocked.store(false, Ordering::Release);
                return;
            }
            if !parker.woken.swap(false, Ordering::AcqRel) {
                std::thread::park_timeout(PARK_MAX);
            }
        }
    }
}

impl Drop for LocalClient {
    fn drop(&mut self) {
        self.node.forget_session(&mut self.session);
        self.node.clients.remove(self.session.client.id);
    }
}
