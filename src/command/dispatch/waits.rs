//! How a session's wait ends: served, answered, timed out, by CLIENT UNBLOCK, or because the node became a
//! replica.
//!
//! The session's owner (its connection, or the thread of an in-process client) looks whether its wait is over,
//! and ends it when its time is up or somebody asks for that (`Client::unblock`). Others may end it as well.
//! Whoever does claims it first, pushes the reply, and only then is it over: an owner that is to close the
//! connection does so as soon as it sees the end.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use crate::command::{Context, dispatch};
use crate::keyspace::{WaitEnd, Waiter, WaiterState};
use crate::node_core::NodeCore;
use crate::repl::FailoverState;
use crate::resp::Reply;
use crate::session::{Session, Ticket, Waiting};

/// `Client::unblock`: the node became a replica, so what the client waits for cannot come. The client is
/// closed after it was told.
pub(crate) const ROLE_CHANGED: u32 = 3;

/// The error with which a wait ends that is broken off from outside (`Client::unblock`); None: as if it had
/// timed out.
pub(crate) fn error_of(how: u32) -> Option<&'static str> {
    match how {
        2 => Some("UNBLOCKED client unblocked via CLIENT UNBLOCK"),
        ROLE_CHANGED => Some(
            "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
        ),
        _ => None,
    }
}

/// The session begins to wait for an actor's reply. Such commands enter no shard, so the role may have changed
/// since this one was let in.
pub(in crate::command) fn begin(ctx: &Context<'_>) {
    let client = &ctx.session.client;
    client.begin_wait();
    // Either whoever changes the role sees that the client is blocked, or the new role is seen here.
    fence(Ordering::SeqCst);
    let hub = &ctx.node.hub;
    let gave_up = hub.is_replica() && hub.failover().state() != FailoverState::InProgress;
    if gave_up && hub.epoch() != ctx.role_epoch {
        client.unblock.store(ROLE_CHANGED, Ordering::Release);
    }
}

/// The node has become a replica: asks everybody who waits, for whatever it is, to be told and closed.
pub(crate) fn end_all(node: &NodeCore) {
    fence(Ordering::SeqCst);
    for client in node.clients.all() {
        if client.blocked.load(Ordering::Acquire) {
            client.unblock.store(ROLE_CHANGED, Ordering::Release);
            client.wake();
        }
    }
}

/// Whether the session's wait is over; then it is cleared, and what follows from its end is done.
pub(crate) fn is_over(session: &mut Session) -> bool {
    let last = match &session.waiting {
        None => return true,
        Some(Waiting::Keys(waiter)) => match waiter.state() {
            WaiterState::Done(end) => {
                // What served it is this session's own write: WAIT waits for it.
                session.last_write_offset = session.last_write_offset.max(waiter.write_offset());
                end == WaitEnd::RoleChanged
            }
            _ => return false,
        },
        Some(Waiting::Reply(ticket)) if ticket.is_done() => {
            let ticket = ticket.clone();
            let (before, closing) = (session.last_write_offset, session.closing);
            if let Some(own) = ticket.take_session() {
                *session = own;
                session.closing |= closing;
            }
            let written = before.max(ticket.write_offset());
            session.last_write_offset = session.last_write_offset.max(written);
            ticket.is_last()
        }
        Some(Waiting::Reply(_)) => return false,
    };
    session.closing |= last;
    session.waiting = None;
    true
}

/// Ends the session's wait as asked (`Client::unblock`), or because its time is up (1). The reply goes to the
/// client's outbox; that of a wait for an actor comes from there, if the role hasn't changed.
pub(crate) fn end(node: &NodeCore, session: &Session, how: u32) {
    match &session.waiting {
        Some(Waiting::Keys(waiter)) if settle(node, waiter, how) => node.forget_waiter(waiter),
        Some(Waiting::Keys(_)) => {
            // It is over, or being served: if there is nothing for it after all, its owner is woken and tries
            // again.
            let asked = &session.client.unblock;
            let _ = asked.compare_exchange(0, how, Ordering::AcqRel, Ordering::Acquire);
        }
        Some(Waiting::Reply(ticket)) if how == ROLE_CHANGED => close(node, ticket),
        Some(Waiting::Reply(ticket)) => {
            if let Some(services) = node.services.get() {
                services.unblock(ticket.clone(), how);
            }
        }
        None => {}
    }
}

/// Ends a wait for an actor's reply because the role has changed.
fn close(node: &NodeCore, ticket: &Ticket) {
    let mut reply = Reply::new(ticket.resp);
    let error = error_of(ROLE_CHANGED).unwrap_or_default();
    reply.error(error);
    if ticket.complete_and_close(&reply.take().into_bytes()) {
        node.stats.count_error(error);
    }
}

/// Ends a wait for keys with an error or as if timed out. Whoever calls it takes the waiter out of its queues.
/// False: it is over already, or is being served.
pub(in crate::command) fn settle(node: &NodeCore, waiter: &Arc<Waiter>, how: u32) -> bool {
    if !waiter.claim() {
        return false;
    }
    let error = error_of(how);
    let mut reply = Reply::new(waiter.resp);
    if let Some(error) = error {
        node.stats.count_error(error);
        reply.error(error);
    } else if waiter.null_array {
        reply.null_array();
    } else {
        reply.null();
    }
    record_end(node, waiter, error.is_some());
    if !waiter.is_silent {
        waiter.client.push_output(reply.take());
    }
    waiter.finish(match how {
        ROLE_CHANGED => WaitEnd::RoleChanged,
        _ if error.is_some() => WaitEnd::Unblocked,
        _ => WaitEnd::TimedOut,
    });
    true
}

/// Counts a command whose wait ends without its being served: it took what it ran before it began to wait.
fn record_end(node: &NodeCore, waiter: &Waiter, failed: bool) {
    let args: Vec<&[u8]> = waiter.args.iter().map(|a| &a[..]).collect();
    let Ok(command) = node.table.resolve(&args) else {
        return;
    };
    let settings = node.settings.load();
    let time = (node.clock.unix_us(), waiter.ran_us);
    dispatch::record_end(
        node,
        &settings,
        &waiter.client,
        command,
        &args,
        time,
        failed,
    );
}
