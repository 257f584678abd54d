//! The sessions that wait for replicas' acks (WAIT, WAITAOF): the MasterActor's part of it.
//!
//! A wait is a session's ticket, a number and an offset. It is answered when enough replicas have acked
//! the offset, when its time is up, or when it is ended from outside: by CLIENT UNBLOCK, or because the client
//! is gone. Replicas are asked for acks at most once for what many wait for. Bounds: one wait per blocked
//! client, one timer for all.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use crate::actors::replication::master::MasterActor;
use crate::command::dispatch::waits::error_of;
use crate::repl::ack_waits::{AckWait, AckWaits, Acked, WaitId};
use crate::repl::wire;
use crate::session::Ticket;

/// Replicas that were asked for acks are not asked again so soon for what they have got by then, ms.
const ASKED_ENOUGH_MS: i64 = 100;

/// The waits, and what is under way for them.
#[derive(Default)]
pub(crate) struct Waiters {
    waits: AckWaits<Arc<Ticket>>,
    /// The timer for the next deadline, and that, Unix ms.
    timer: Option<(SpawnHandle, i64)>,
    /// Up to which offset replicas were last asked for acks, in which epoch, and when, Unix ms.
    asked: (u64, u64, i64),
}

impl Waiters {}

fn id_of(ticket: &Arc<Ticket>) -> WaitId {
    Arc::as_ptr(ticket).addr()
}

impl MasterActor {
    /// Answers those whose number is reached or whose time is up.
    pub(crate) fn answer_waiters(&mut self) {
        if self.waiters.waits.is_empty() {
            return;
        }
        let acked = Acked::by(&self.node.hub.published().replicas);
        let waits = &mut self.waiters.waits;
        let mut over = waits.take_late(self.node.clock.unix_ms());
        // What replicas of a replica ack is another's stream; a waiting client is told so by its own session.
        if !self.node.hub.is_replica() {
            over.extend(waits.take_reached(&acked));
        }
        for wait in over {
            wait.waiting
                .complete(&wait_reply(wait.aof, acked.count(&wait)));
        }
    }

    /// Asks the replicas for acks, unless they have just been asked for that offset.
    fn ask_for_acks(&mut self, offset: u64) {
        let hub = &self.node.hub;
        let (epoch, now_ms) = (hub.epoch(), self.node.clock.unix_ms());
        let (asked_offset, asked_epoch, asked_ms) = self.waiters.asked;
        let recently = (0..ASKED_ENOUGH_MS).contains(&(now_ms - asked_ms));
        if recently && asked_epoch == epoch && offset <= asked_offset {
            return;
        }
        self.waiters.asked = (hub.offset(), epoch, now_ms);
        hub.append_raw(wire::GETACK);
        hub.wake();
    }

    /// Sees to it that somebody looks when the next wait's time is up.
    fn time_waiters(&mut self, ctx: &mut Context<MasterActor>) {
        let next = self.waiters.waits.next_deadline_ms();
        let timed = self.waiters.timer.as_ref().map(|(_, at_ms)| *at_ms);
        let Some(next_ms) = next else {
            return;
        };
        if timed.is_some_and(|at_ms| at_ms <= next_ms) {
            return;
        }
        if let Some((timer, _)) = self.waiters.timer.take() {
            ctx.cancel_future(timer);
        }
        let left_ms = (next_ms - self.node.clock.unix_ms()).max(0) as u64;
        let timer = ctx.run_later(Duration::from_millis(left_ms), |actor, ctx| {
            actor.waiters.timer = None;
            actor.answer_waiters();
            actor.time_waiters(ctx);
        });
        self.waiters.timer = Some((timer, next_ms));
    }
}

/// `:n`, or for WAITAOF `[0, n]`: without an append-only file nothing is fsynced here.
fn wait_reply(aof: bool, acked: usize) -> Vec<u8> {
    if aof {
        format!("*2\r\n:0\r\n:{acked}\r\n").into_bytes()
    } else {
        format!(":{acked}\r\n").into_bytes()
    }
}

/// WAIT and WAITAOF.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Wait {
    pub(crate) ticket: Arc<Ticket>,
    pub(crate) replicas: usize,
    pub(crate) offset: u64,
    /// Unix ms.
    pub(crate) deadline_ms: Option<i64>,
    pub(crate) aof: bool,
}

impl Handler<Wait> for MasterActor {
    type Result = ();

    fn handle(&mut self, wait: Wait, ctx: &mut Self::Context) {
        let id = id_of(&wait.ticket);
        let offset = wait.offset;
        let wait = AckWait {
            waiting: wait.ticket,
            replicas: wait.replicas,
            offset,
            deadline_ms: wait.deadline_ms,
            aof: wait.aof,
        };
        let acked = Acked::by(&self.node.hub.published().replicas);
        if !self.node.hub.is_replica() && acked.count(&wait) >= wait.replicas {
            wait.waiting
                .complete(&wait_reply(wait.aof, acked.count(&wait)));
            return;
        }
        self.waiters.waits.add(id, wait);
        // Those who have it already need only be asked.
        self.ask_for_acks(offset);
        self.time_waiters(ctx);
    }
}

/// A waiting session is to be let go: `how` 2 with an error, else with the count so far.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Unblock {
    pub(crate) ticket: Arc<Ticket>,
    pub(crate) how: u32,
}

impl Handler<Unblock> for MasterActor {
    type Result = ();

    fn handle(&mut self, unblock: Unblock, _: &mut Self::Context) {
        let Some(wait) = self.waiters.waits.remove(id_of(&unblock.ticket)) else {
            return;
        };
        let reply = if let Some(error) = error_of(unblock.how) {
            self.node.stats.count_error(error);
            format!("-{error}\r\n").into_bytes()
        } else {
            let acked = Acked::by(&self.node.hub.published().replicas);
            wait_reply(wait.aof, acked.count(&wait))
        };
        wait.waiting.complete(&reply);
    }
}
