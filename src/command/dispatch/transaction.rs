//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.
//!
//! A transaction is: enter every shard that its commands and its watched keys need, in index order, run
//! the queue, append all effects as one unit, leave. Nothing else is needed for isolation. The queue keeps
//! the union of the shards and of the flags as commands come in, so EXEC knows both at once.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::command::dispatch::nested::{self, Called, Caller};
use crate::command::dispatch::{self, Outcome};
use crate::command::dispatch::{admission, from_master};
use crate::command::{Context, Handlers, replication, script};
use crate::keyspace::{KeyId, KeyIdRef};
use crate::session::{MultiState, Origin};
use crate::table::spec::Reach;
use crate::table::{Args, Command, CommandError, CommandId, CommandResult};

pub(crate) const HANDLERS: Handlers = &[
    ("multi", multi),
    ("exec", exec_outside_multi),
    ("discard", discard_command),
    ("watch", watch),
    ("unwatch", unwatch),
];

/// Queues a command that was admitted.
pub(in crate::command) fn queue(
    ctx: &mut Context<'_>,
    command: &Command,
    args: &Args<'_>,
) -> Outcome {
    let shards = dispatch::reach(ctx, command, args);
    if let Some(error) = dispatch::busy_error(ctx, shards) {
        return dispatch::refuse(ctx, Some(command), args, error);
    }
    let flags = admission::flags_of(ctx, command);
    if let Some(multi) = &mut ctx.session.multi
        // A transaction that is already lost need not be remembered.
        && !multi.broken
        && !ctx.session.watch_dirty.load(Ordering::Acquire)
    {
        multi.flags |= flags;
        multi.runs_scripts |= command.spec.reach == Reach::Script;
        multi.lacking |= !flags;
        multi.shards.0 |= shards.0;
        multi.push(dispatch::own(args));
    }
    ctx.reply.simple("QUEUED");
    Outcome::Done
}

fn multi(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    if ctx.session.multi.is_some() {
        return Err(CommandError::fixed("ERR MULTI calls can not be nested"));
    }
    ctx.session.multi = Some(MultiState::default());
    ctx.reply.ok();
    Ok(())
}

/// EXEC without MULTI; with one, dispatch calls [`exec`].
fn exec_outside_multi(_ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    Err(CommandError::fixed("ERR EXEC without MULTI"))
}

fn discard_command(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    if ctx.session.multi.is_none() {
        return Err(CommandError::fixed("ERR DISCARD without MULTI"));
    }
    discard(ctx);
    ctx.reply.ok();
    Ok(())
}

/// Forgets the open MULTI and all watches.
pub(crate) fn discard(ctx: &mut Context<'_>) {
    ctx.session.multi = None;
    forget_watches(ctx);
}

/// Ends all watches. The shards drop their part now where they are entered, and otherwise when they next
/// touch the key, since the flag they hold is no longer anybody's.
fn forget_watches(ctx: &mut Context<'_>) {
    let watched = ctx.session.watched.take();
    for (id, number) in watched.iter().flat_map(|watched| watched.iter()) {
        let hash = ctx.node.keyspace.hash(&id.key);
        if let Some(shard) = ctx.keys.shard_if_entered(hash) {
            shard.unwatch(id.db, &id.key, number);
        }
    }
    ctx.session.watch_dirty = Default::default();
}

fn watch(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    if ctx.session.multi.is_some() {
        return Err(CommandError::fixed("ERR WATCH inside MULTI is not allowed"));
    }
    ctx.reply.ok();
    if ctx.session.watch_dirty.load(Ordering::Acquire) {
        return Ok(());
    }
    let db = ctx.session.db;
    for &key in &args[1..] {
        let id = KeyIdRef { db, key };
        let watched = ctx.session.watched.as_ref();
        if watched.is_some_and(|watched| watched.contains(&id)) {
            continue;
        }
        let expired_at_watch = is_expired(ctx, db, key);
        let hash = ctx.node.keyspace.hash(key);
        let dirty = &ctx.session.watch_dirty;
        let shard = ctx.keys.shard_mut(hash);
        let number = shard.watch(db, key, dirty, expired_at_watch);
        let watched = ctx.session.watched.get_or_insert_default();
        watched.add(&id, number);
    }
    Ok(())
}

fn unwatch(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    forget_watches(ctx);
    ctx.reply.ok();
    Ok(())
}

/// Whether a key is there and past its expiry.
fn is_expired(ctx: &Context<'_>, db: usize, key: &[u8]) -> bool {
    let hash = ctx.node.keyspace.hash(key);
    ctx.keys.shard(hash).dbs[db]
        .get(key, hash)
        .and_then(|entry| entry.expire_at)
        .is_some_and(|at| at < ctx.now_ms)
}

/// Whether a watched key counts as expired from the beginning, as its shard sees it.
fn is_stale(ctx: &Context<'_>, id: &KeyId, number: u64) -> bool {
    let hash = ctx.node.keyspace.hash(&id.key);
    let shard = ctx.keys.shard(hash);
    shard.watches.is_stale(id.db, &id.key, number)
}

/// Whether a watched key has changed: somebody wrote to it, or it has expired since.
fn is_lost(ctx: &Context<'_>) -> bool {
    if ctx.session.watch_dirty.load(Ordering::Acquire) {
        return true;
    }
    let mut watched = ctx
        .session
        .watched
        .iter()
        .flat_map(|watched| watched.iter());
    watched.any(|(id, number)| is_expired(ctx, id.db, &id.key) && !is_stale(ctx, id, number))
}

/// EXEC inside MULTI: the whole transaction.
pub(in crate::command) fn exec(
    ctx: &mut Context<'_>,
    command: &Command,
    args: &Args<'_>,
) -> Outcome {
    let Some(multi) = &ctx.session.multi else {
        dispatch::call(ctx, command, args);
        return Outcome::Done;
    };
    if multi.broken {
        // It needs no shards, but its client may want to know that the reason still stands.
        if let Some(error) = dispatch::busy_error(ctx, ctx.node.keyspace.all()) {
            return dispatch::refuse(ctx, Some(command), args, error);
        }
        discard(ctx);
        let error =
            CommandError::fixed("EXECABORT Transaction discarded because of previous errors.");
        dispatch::write_error(ctx, &error);
        dispatch::after_exec(ctx, command, args, ctx.now_us, true);
        return Outcome::Done;
    }
    let keyspace = &ctx.node.keyspace;
    let mut set = multi.shards;
    for (id, _) in ctx
        .session
        .watched
        .iter()
        .flat_map(|watched| watched.iter())
    {
        set.add(keyspace.shard_of(keyspace.hash(&id.key)));
    }
    if let Err(busy) = dispatch::enter(ctx, set) {
        return dispatch::wait_or_refuse(ctx, command, args, busy);
    }
    let lost = is_lost(ctx);
    let runs_scripts = ctx
        .session
        .multi
        .as_ref()
        .is_some_and(|multi| multi.runs_scripts);
    let queue = ctx
        .session
        .multi
        .take()
        .map(|multi| multi.queue)
        .unwrap_or_default();
    forget_watches(ctx);
    if lost {
        ctx.reply.null_array();
        dispatch::after_exec(ctx, command, args, ctx.now_us, false);
        return Outcome::Done;
    }
    let start_us = ctx.now_us;
    if runs_scripts && script::may_go_on_elsewhere(ctx) && ctx.session.subscriptions() == 0 {
        return script::exec::run(ctx, command.id, args[0], queue);
    }
    run_queue(ctx, &queue);
    end(ctx, command.id, args[0], start_us);
    Outcome::Renew
}

/// The end of a transaction whose commands have run.
pub(in crate::command) fn end(
    ctx: &mut Context<'_>,
    command: CommandId,
    name: &[u8],
    start_us: u64,
) {
    let command = ctx.node.table.get(command);
    dispatch::after_exec(ctx, command, &[name], start_us, false);
    if let Some(order) = ctx.follow_after.take() {
        // All of it is in the log before we are a master no more.
        dispatch::flush_effects(ctx);
        replication::follow(ctx, *order);
    }
    dispatch::finish_unit(ctx);
}

pub(in crate::command) fn run_queue(ctx: &mut Context<'_>, queue: &[Vec<Bytes>]) {
    if ctx.session.origin == Origin::Master {
        return from_master::run_queue(ctx, queue);
    }
    ctx.reply.array(queue.len());
    ctx.unit_began_us = Some(ctx.now_us);
    let mut args: Vec<&[u8]> = Vec::new();
    for queued in queue {
        args.clear();
        args.extend(queued.iter().map(|arg| &arg[..]));
        if let Called::Refused(refused) = nested::call(ctx, &args, Caller::Exec) {
            refused.tell(ctx.node, ctx.reply);
        }
    }
    ctx.unit_began_us = None;
}
