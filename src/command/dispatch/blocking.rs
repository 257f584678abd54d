//! Clients that wait for keys: suspending them, and serving them when a key becomes ready.
//!
//! A handler that finds nothing asks to wait ([`Context::block_on`]). Its arguments are kept in a
//! [`Waiter`], queued at each of its keys, in arrival order. Whoever fills such a key (or deletes or overwrites it, for
//! those who asked to be told) serves the queue right after its own unit: it runs the waiter's command as that client would, sends the reply to the client's
//! outbox, and goes on with the next waiter while the key still has something.
//!
//! A waiter is served at most once: `claim` wins against timeout, CLIENT UNBLOCK and disconnection,
//! or loses and leaves it alone. A waiter whose command needs shards that are busy is left to the shard's
//! actor (`Services::serve_blocked`), since nobody blocks on a shard here.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::command::Context;
use crate::command::context::BlockRequest;
use crate::command::dispatch;
use crate::command::dispatch::nested::{self, Called, Caller};
use crate::command::dispatch::waits;
use crate::keyspace::{Entered, ReadyKey, ShardSet, WaitEnd, Waiter};
use crate::node_core::NodeCore;
use crate::resp::Reply;
use crate::session::{Origin, Session, Waiting};
use crate::table::Args;

/// Has the session wait for its keys. `ran_us`: how long its command has run so far.
pub(in crate::command) fn suspend(
    ctx: &mut Context<'_>,
    request: BlockRequest,
    args: &Args<'_>,
    ran_us: u64,
) {
    let mut own = dispatch::own(args);
    for (at, text) in request.rewritten {
        own[at] = text;
    }
    let waiter = Waiter::new(
        ctx.node.keyspace.wait_number(),
        ctx.session.client.clone(),
        own,
        ctx.session.db,
        ctx.session.resp(),
        request.key_args,
        request.deadline_ms,
        request.kind,
        request.on_deletion,
        request.null_array,
        ctx.session.wants_no_reply(),
        ran_us,
    );
    for key in waiter.keys() {
        let hash = ctx.node.keyspace.hash(key);
        ctx.keys.shard_mut(hash).block(waiter.db, key, &waiter);
    }
    ctx.session.client.begin_wait();
    ctx.session.waiting = Some(Waiting::Keys(waiter));
}

/// Serves the clients blocked on keys that became ready in the entered shards.
pub(in crate::command) fn serve_ready(ctx: &mut Context<'_>) {
    while ctx.keys.iter().any(|shard| shard.blocked.has_ready()) {
        for ready in take_ready(ctx) {
            serve_key(ctx, &ready);
        }
    }
}

/// Serves the queue of one key, first come first served, as long as the key gives something.
fn serve_key(ctx: &mut Context<'_>, ready: &ReadyKey) {
    let ReadyKey { db, key, .. } = ready;
    let hash = ctx.node.keyspace.hash(key);
    let mut own_shard = ShardSet::NONE;
    own_shard.add(ctx.node.keyspace.shard_of(hash));
    if !enter_quietly(ctx, own_shard) {
        defer(ctx.node, ready.clone());
        return;
    }
    let mut served = None;
    loop {
        let kind = match ctx.keys.shard(hash).dbs[*db].get(key, hash) {
            None => None,
            Some(entry) if ctx.is_from_master() || !entry.is_expired(ctx.now_ms) => {
                Some(entry.value.kind())
            }
            // What is expired is left to whoever looks at it next.
            Some(_) => break,
        };
        let blocked = &mut ctx.keys.shard_mut(hash).blocked;
        let Some(waiter) = blocked.next(ready, kind, served) else {
            break;
        };
        served = Some(waiter.number);
        let mut needed = own_shard;
        let args: Vec<&[u8]> = waiter.args.iter().map(|arg| &arg[..]).collect();
        if let Some(command) = ctx.node.table.find(&args) {
            needed.0 |= dispatch::reach(ctx, command, &args).0;
        }
        if !enter_quietly(ctx, needed) {
            defer(ctx.node, ready.clone());
            return;
        }
        serve(ctx, &waiter);
    }
}

fn take_ready(ctx: &mut Context<'_>) -> Vec<ReadyKey> {
    ctx.keys
        .iter_mut()
        .flat_map(|shard| shard.take_ready())
        .collect()
}

fn enter_quietly(ctx: &mut Context<'_>, set: ShardSet) -> bool {
    if ctx.keys.set().contains(set) {
        return true;
    }
    // What is entered now may hold more ready keys: they are carried over.
    let left_over = take_ready(ctx);
    dispatch::release(ctx);
    let entered = ctx.node.keyspace.try_enter(set);
    let ok = entered.is_some();
    if let Some(keys) = entered {
        ctx.set_keys(keys);
    }
    for ready in left_over {
        defer(ctx.node, ready);
    }
    ok
}

/// Leaves a ready key to the shard's actor.
fn defer(node: &NodeCore, ready: ReadyKey) {
    node.deferred_ready.lock().push(ready);
    if let Some(services) = node.services.get() {
        services.serve_blocked();
    }
}

/// Leaves the keys that became ready in the entered shards to the shard's actor: for code that changes data without
/// running a command, such as a load that is swapped in.
pub(crate) fn defer_ready(node: &NodeCore, keys: &mut Entered<'_>) {
    let shards = keys.iter_mut();
    let ready: Vec<_> = shards.flat_map(|shard| shard.take_ready()).collect();
    for key in ready {
        defer(node, key);
    }
}

/// Serves what had to be left: called by the shard's actor, with every shard entered, in nobody's name.
pub(crate) fn serve_deferred(ctx: &mut Context<'_>) {
    let keys = std::mem::take(&mut *ctx.node.deferred_ready.lock());
    for ready in keys {
        serve_key(ctx, &ready);
        serve_ready(ctx);
    }
}

/// Ends every wait, since we gave the master's role up: clients that waited are told, and then closed. Called with
/// every shard entered, after the role has changed.
pub(crate) fn end_all(node: &NodeCore, keys: &mut Entered<'_>) {
    let shards = keys.iter_mut();
    let waiters: Vec<_> = shards.flat_map(|shard| shard.blocked.take_all()).collect();
    for waiter in waiters {
        if waits::settle(node, &waiter, waits::ROLE_CHANGED) {
            waiter.client.wake();
        }
    }
    waits::end_all(node);
}

/// Runs a waiter's command in its name.
fn serve(ctx: &mut Context<'_>, waiter: &Arc<Waiter>) {
    if !waiter.claim() {
        return;
    }
    // It runs now, however long ago the unit that filled the key began.
    ctx.now_us = ctx.node.clock.unix_us();
    ctx.now_ms = (ctx.now_us / 1000) as i64;
    let args: Vec<&[u8]> = waiter.args.iter().map(|arg| &arg[..]).collect();
    let mut session = Session::new(waiter.client.clone(), Origin::Client);
    session.db = waiter.db;
    session.authenticated = true;
    let mut reply = Reply::new(waiter.resp);
    match nested::call_as(ctx, &mut session, &mut reply, &args, Caller::Waiter) {
        Called::Ran => {}
        Called::Waits => return resume(waiter),
        // It waits on if the failover fails, and otherwise hears of it in a moment.
        Called::Refused(_) if ctx.node.hub.failover().is_on() => return resume(waiter),
        Called::Refused(refused) => refused.tell(ctx.node, &mut reply),
    }
    waiter.wrote_until(session.last_write_offset);
    answer(ctx, waiter, reply);
}

/// There was nothing for it. Its owner may have wanted to end the wait in the meantime.
fn resume(waiter: &Waiter) {
    waiter.resume();
    waiter.client.wake();
}

/// Gives a waiter its reply, and takes it out of the queues that are entered.
fn answer(ctx: &mut Context<'_>, waiter: &Arc<Waiter>, mut reply: Reply) {
    for key in waiter.keys() {
        let hash = ctx.node.keyspace.hash(key);
        if let Some(shard) = ctx.keys.shard_if_entered(hash) {
            shard.unblock(waiter.db, key, waiter);
        }
    }
    if !waiter.is_silent {
        waiter.client.push_output(reply.take());
    }
    // It no longer waits from here on, whenever its own thread takes notice.
    waiter.client.blocked.store(false, Ordering::Release);
    waiter.finish(WaitEnd::Served);
    waiter.client.wake();
}
