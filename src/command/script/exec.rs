//! EXEC of a transaction in which scripts run: on a stack of its own, so that it can be taken off its arbiter in the
//! middle of a script, with all that it is inside of.
//!
//! The session goes with it, since the commands work in it. Meanwhile a stand-in waits in its place, and gets it back by
//! the ticket that it waits for.

use std::ptr::NonNull;
use std::sync::Arc;

use bytes::Bytes;

use crate::command::dispatch::Outcome;
use crate::command::dispatch::transaction;
use crate::command::{Context, Effects};
use crate::config::Settings;
use crate::node_core::{LongScript, NodeCore};
use crate::resp::Reply;
use crate::script::stack::{FreeStack, OwnStack, Pause, Turned};
use crate::session::{ReplyMode, Session, Ticket};
use crate::table::CommandId;

use super::host::{Left, Outer, Resume};
use super::moved::Turns;
use super::run::{Lent, SLICE_US};

/// What the commands work with, while they do.
struct Parts {
    session: Session,
    reply: Reply,
    effects: Effects,
}

/// What the stack gets. The pointers are valid until the work has returned: the node since whoever resumes it holds it,
/// the parts since they are boxed and kept beside the stack.
struct Start {
    node: *const NodeCore,
    settings: Arc<Settings>,
    parts: *mut Parts,
    queue: Vec<Vec<Bytes>>,
    command: CommandId,
    /// As it was called.
    name: Vec<u8>,
    lent: Lent,
}

struct Ended {
    /// None: it ended off its arbiter, and has left its shards.
    lent: Option<Lent>,
    wrote_until: u64,
    wake_log: bool,
}

type Stacked = OwnStack<Resume, Left, Ended>;

/// Runs a transaction's commands and ends its unit.
pub(in crate::command) fn run(
    ctx: &mut Context<'_>,
    command: CommandId,
    name: &[u8],
    queue: Vec<Vec<Bytes>>,
) -> Outcome {
    let Ok(stack) = FreeStack::new() else {
        transaction::run_queue(ctx, &queue);
        transaction::end(ctx, command, name, ctx.now_us);
        return Outcome::Renew;
    };
    let mut parts = Box::new(Parts {
        session: stand_in(ctx.session),
        reply: Reply::new(ctx.reply.resp),
        effects: Effects::default(),
    });
    std::mem::swap(ctx.session, &mut parts.session);
    let start = Start {
        node: std::ptr::from_ref(ctx.node),
        settings: ctx.node.settings.load_full(),
        parts: std::ptr::from_mut(&mut *parts),
        queue,
        command,
        name: name.to_vec(),
        lent: Lent::take(ctx),
    };
    let resume = Resume {
        ends_us: ctx.now_us + SLICE_US,
        off_arbiter: false,
    };
    // SAFETY: see `Start` for what is borrowed; what is kept across a pause may move, as in `super::run`.
    let stacked: Stacked =
        unsafe { OwnStack::new(stack, move |pause, first| work(pause, start, first)) };
    match stacked.resume(resume) {
        Turned::Done(ended, _) => {
            std::mem::swap(ctx.session, &mut parts.session);
            ctx.reply.append(parts.reply.take());
            if let Some(lent) = ended.lent {
                lent.put(ctx);
            }
            Outcome::Renew
        }
        Turned::Paused(stacked, left) => {
            let moved = MovedExec {
                parts,
                stacked: Some(stacked),
                turns: Turns::new(left),
                ticket: ctx.ticket(),
            };
            if let Some(services) = ctx.node.services.get() {
                services.run_script(Box::new(moved));
            }
            Outcome::Suspended
        }
    }
}

/// What waits in a session's place.
fn stand_in(session: &Session) -> Session {
    let mut other = Session::new(session.client.clone(), session.origin);
    other.db = session.db;
    other.authenticated = session.authenticated;
    other.user.clone_from(&session.user);
    other.reply_mode = session.reply_mode;
    other
}

/// All that happens on the stack.
fn work(pause: &Pause<'_, Resume, Left>, start: Start, _: Resume) -> Ended {
    // SAFETY: see `Start`; while the work is on its stack nobody else uses the parts.
    let (node, parts) = unsafe { (&*start.node, &mut *start.parts) };
    let Parts {
        session,
        reply,
        effects,
    } = parts;
    let mut ctx = Context::new(node, &start.settings, session, reply, effects);
    start.lent.put(&mut ctx);
    let began_us = ctx.now_us;
    let outer = Outer::new(pause);
    ctx.own_stack = Some(NonNull::from(&outer).cast());
    transaction::run_queue(&mut ctx, &start.queue);
    ctx.own_stack = None;
    ctx.session.last_write_offset = 0;
    transaction::end(&mut ctx, start.command, &start.name, began_us);
    if !outer.is_off_arbiter() {
        return Ended {
            lent: Some(Lent::take(&mut ctx)),
            wrote_until: 0,
            wake_log: false,
        };
    }
    let wrote_until = ctx.session.last_write_offset;
    Ended {
        lent: None,
        wrote_until,
        wake_log: ctx.finish_quietly(),
    }
}

/// A transaction that goes on off its arbiter.
struct MovedExec {
    parts: Box<Parts>,
    /// None only while it has its turn.
    stacked: Option<Stacked>,
    turns: Turns,
    ticket: Arc<Ticket>,
}

impl LongScript for MovedExec {
    fn ticket(&self) -> Arc<Ticket> {
        self.ticket.clone()
    }

    fn waits(&self) -> bool {
        self.turns.left.waits
    }

    fn go_on(mut self: Box<Self>, node: &NodeCore) -> Option<Box<dyn LongScript>> {
        let stacked = self.stacked.take()?;
        let resume = self.turns.next(node);
        match stacked.resume(resume) {
            Turned::Paused(stacked, left) => {
                self.stacked = Some(stacked);
                self.turns.note(node, left);
                Some(self)
            }
            Turned::Done(ended, _) => {
                let MovedExec { parts, ticket, .. } = *self;
                let Parts {
                    mut session,
                    mut reply,
                    ..
                } = *parts;
                if ended.wake_log {
                    node.hub.wake();
                }
                if session.reply_mode == ReplyMode::Skipping {
                    session.reply_mode = ReplyMode::On;
                }
                ticket.wrote_until(ended.wrote_until);
                if let Some(mut session) = ticket.give_back(session) {
                    node.forget_session(&mut session);
                }
                ticket.complete(&reply.take().into_bytes());
                None
            }
        }
    }
}
