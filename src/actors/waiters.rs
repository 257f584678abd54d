//! The sessions that wait for replicas' acks (WAIT, WAITAOF): the MasterActor's part of it.
//!
//! A waiter is a session's ticket, a number and an offset. It is answered when enough replicas have acked
//! the offset, when its time is up, or when CLIENT UNBLOCK lets it go; who is done for another reason is
//! forgotten at the next look. Bounds: one waiter per blocked client.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::master::MasterActor;
use crate::command::waits::error_of;
use crate::repl::wire;
use crate::session::Ticket;

/// A session that waits for acks.
pub(super) struct Waiter {
    pub(super) ticket: Arc<Ticket>,
    pub(super) replicas: usize,
    pub(super) offset: u64,
    pub(super) deadline_ms: Option<i64>,
    /// WAITAOF: the answer is a pair and counts fsynced offsets.
    pub(super) aof: bool,
}

impl MasterActor {
    /// Answers the waiters whose number is reached or whose time is up.
    pub(super) fn answer_waiters(&mut self) {
        if self.waiters.is_empty() {
            return;
        }
        let now_ms = self.node.clock.unix_ms();
        // What replicas ack then is another's stream; who waits is told so by its own session.
        let role_is_lost = self.node.hub.is_replica();
        let board = self.node.hub.board();
        self.waiters.retain(|waiter| {
            if waiter.ticket.is_done() {
                return false;
            }
            let acked = if waiter.aof {
                board.replicas.acked_aof(waiter.offset)
            } else {
                board.replicas.acked(waiter.offset)
            };
            let late = waiter.deadline_ms.is_some_and(|at| at <= now_ms);
            if (acked < waiter.replicas || role_is_lost) && !late {
                return true;
            }
            waiter.ticket.complete(&wait_reply(waiter.aof, acked));
            false
        });
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
pub struct Wait {
    pub ticket: Arc<Ticket>,
    pub replicas: usize,
    pub offset: u64,
    /// Unix ms.
    pub deadline_ms: Option<i64>,
    pub aof: bool,
}

impl Handler<Wait> for MasterActor {
    type Result = ();

    fn handle(&mut self, wait: Wait, ctx: &mut Self::Context) {
        let node = self.node.clone();
        self.waiters.push(Waiter {
            ticket: wait.ticket,
            replicas: wait.replicas,
            offset: wait.offset,
            deadline_ms: wait.deadline_ms,
            aof: wait.aof,
        });
        self.answer_waiters();
        if self.waiters.is_empty() {
            return;
        }
        // Those who have it already need only be asked.
        node.hub.append_raw(wire::GETACK);
        self.forward();
        if let Some(deadline_ms) = wait.deadline_ms {
            let left_ms = (deadline_ms - node.clock.unix_ms()).max(0) as u64;
            ctx.run_later(Duration::from_millis(left_ms), |actor, _| {
                actor.answer_waiters();
            });
        }
    }
}

/// A waiting session is to be let go: `how` 2 with an error, else with the count so far.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Unblock {
    pub ticket: Arc<Ticket>,
    pub how: u32,
}

impl Handler<Unblock> for MasterActor {
    type Result = ();

    fn handle(&mut self, unblock: Unblock, _: &mut Self::Context) {
        let Some(at) = self
            .waiters
            .iter()
            .position(|w| Arc::ptr_eq(&w.ticket, &unblock.ticket))
        else {
            return;
        };
        let waiter = self.waiters.swap_remove(at);
        let reply = if let Some(error) = error_of(unblock.how) {
            self.node.stats.count_error(error);
            format!("-{error}\r\n").into_bytes()
        } else {
            let board = self.node.hub.board();
            let acked = if waiter.aof {
                board.replicas.acked_aof(waiter.offset)
            } else {
                board.replicas.acked(waiter.offset)
            };
            wait_reply(waiter.aof, acked)
        };
        waiter.ticket.complete(&reply);
    }
}
