//! Dispatch: what happens to one command between its parsed arguments and its reply.
//!
//! [`run`] looks the command up, asks `admission` whether it may run now, queues it if a MULTI is open, enters the
//! shards its keys need, runs its handler in place, appends its effects to the log before the shards are left, and
//! serves clients that were blocked on keys it filled. A batch of commands shares one [`Context`]: shards stay entered
//! from one command to the next as long as they suffice, so a pipeline enters its shard once.
//!
//! Nothing here blocks: a busy shard, a pause or a reply that comes later is an [`Outcome`], and the
//! caller waits in its own way (tasks by [`poll_run`]) and then runs the same command again (`Busy`, `Paused`) or
//! goes on after it (`Suspended`).
//!
//! Invariants: the effects of a unit are appended while every shard it touched is still entered; a command
//! that is refused has changed nothing; `Context::keys` is left entered after `run`, and the batch's owner
//! releases it with [`release`].

pub(crate) mod admission;
pub(crate) mod blocking;
pub(crate) mod from_master;
pub(crate) mod handlers;
pub(crate) mod nested;
pub(crate) mod prefetch;
#[cfg(test)]
mod tests;
pub(crate) mod transaction;
mod undo;
pub(crate) mod waits;

use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;

use crate::clients::client::Client;
use crate::clients::cross_protocol::is_http;
use crate::command::dispatch::admission::{Refusal, admit};
use crate::command::keys::scan;
use crate::command::{Context, script};
use crate::config::Settings;
use crate::keyspace::ShardSet;
use crate::node_core::NodeCore;
use crate::observe::redaction::redact;
use crate::session::{Origin, ReplyMode};
use crate::supervision::Owner;
use crate::table::spec::{Reach, bits};
use crate::table::{Args, CommandError, CommandResult};
use crate::table::{Command, KeyPlan};

/// Most commands run before the shards are left for others to get in.
const COMMANDS_INSIDE_MAX: u32 = 64;

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ran, was queued or was refused; its reply is written.
    Done,
    /// It did not run: one of these shards is busy. Run it again when one is left.
    Busy(ShardSet),
    /// It did not run: clients are paused. Run it again when they no longer are.
    Paused,
    /// The session waits for what `Session::waiting` says; the reply comes through the client's outbox.
    Suspended,
    /// It may have changed settings or the session's nature: end the batch and begin a new one.
    Renew,
    /// The socket is to be handed to the replication actors (`Session::handover`).
    Handover,
    /// The peer is no client but a browser that was made to talk to us: close at once, without the replies that have
    /// not been sent.
    Abort,
}

/// Leaves the shards.
pub(crate) fn release(ctx: &mut Context<'_>) {
    ctx.log_stream();
    ctx.keys = ctx.node.keyspace.enter_none();
    ctx.inside = 0;
}

/// Makes sure that `set` is entered.
pub(super) fn enter(ctx: &mut Context<'_>, set: ShardSet) -> Result<(), Outcome> {
    ctx.inside += 1;
    if ctx.keys.set().contains(set) && ctx.inside < COMMANDS_INSIDE_MAX {
        return Ok(());
    }
    // Left before entering anew: a shard is never entered from inside another.
    release(ctx);
    if set.is_empty() {
        return Ok(());
    }
    match ctx.node.keyspace.try_enter(set) {
        Some(keys) => {
            ctx.set_keys(keys);
            if ctx.node.hub.epoch() == ctx.role_epoch {
                return Ok(());
            }
            // We became a master or a replica while the command waited for its shards: whether it may run
            // is to be asked again.
            release(ctx);
            Err(Outcome::Busy(set))
        }
        None => Err(Outcome::Busy(set)),
    }
}

/// The shards a command needs.
pub(super) fn reach(ctx: &Context<'_>, command: &Command, args: &Args<'_>) -> ShardSet {
    let keyspace = &ctx.node.keyspace;
    if command.spec.reach == Reach::Script {
        return script::reach(ctx);
    }
    if command.whole_keyspace(args) {
        // A transaction enters everything beforehand; by itself SCAN goes from shard to shard.
        return match ctx.session.multi {
            None if command.spec.reach == Reach::Stepwise => scan::first_shard(keyspace, args),
            _ => keyspace.all(),
        };
    }
    if keyspace.shards() == 1 {
        return if command.key_plan == KeyPlan::None {
            ShardSet::NONE
        } else {
            keyspace.all()
        };
    }
    let mut set = ShardSet::NONE;
    command.for_each_key(args, &mut |key| {
        set.add(keyspace.shard_of(keyspace.hash(key)))
    });
    set
}

/// As [`run`], for a task: where shards are busy, they are entered as soon as they can be. `Busy` then means that
/// the task is polled again when one of them is left.
#[inline]
pub(crate) fn poll_run(ctx: &mut Context<'_>, args: &Args<'_>, cx: &TaskContext<'_>) -> Outcome {
    let mut outcome = run(ctx, args);
    while let Outcome::Busy(set) = outcome {
        if poll_enter(ctx, set, cx).is_pending() {
            if ctx.node.scripts.running.slow_in(set).is_some() {
                // It became slow meanwhile, and has woken those who waited then.
                outcome = run(ctx, args);
            }
            break;
        }
        outcome = run(ctx, args);
    }
    outcome
}

/// Enters shards that were busy, for the command to be run again. Of our master's stream nothing runs once it is our
/// master no more.
#[cold]
fn poll_enter(ctx: &mut Context<'_>, set: ShardSet, cx: &TaskContext<'_>) -> Poll<()> {
    release(ctx);
    let node = ctx.node;
    let Poll::Ready(keys) = node.keyspace.poll_enter(set, cx) else {
        return Poll::Pending;
    };
    if ctx.session.origin == Origin::Master && node.hub.epoch() != ctx.role_epoch {
        cx.waker().wake_by_ref();
        return Poll::Pending;
    }
    ctx.set_keys(keys);
    Poll::Ready(())
}

/// Runs one command. `args` is not empty.
pub fn run(ctx: &mut Context<'_>, args: &Args<'_>) -> Outcome {
    let skip = std::mem::take(&mut ctx.session.reply_mode);
    ctx.session.reply_mode = match skip {
        ReplyMode::SkipNext => ReplyMode::Skipping,
        ReplyMode::Skipping => ReplyMode::On,
        other => other,
    };
    let start = ctx.reply.len();
    let outcome = run_with_reply(ctx, args);
    match outcome {
        // It will come again, and must find the mode as it was.
        Outcome::Busy(_) | Outcome::Paused => ctx.session.reply_mode = skip,
        _ if ctx.session.reply_mode == ReplyMode::Skipping => {
            ctx.reply.truncate(start);
            ctx.session.reply_mode = ReplyMode::On;
        }
        _ if ctx.session.reply_mode == ReplyMode::Off => ctx.reply.truncate(start),
        _ => {}
    }
    // What the command published to its own client follows the reply, hidden or not.
    if !matches!(outcome, Outcome::Busy(_) | Outcome::Paused) {
        ctx.session.append_pushes(ctx.reply.output_mut());
    }
    outcome
}

fn run_with_reply(ctx: &mut Context<'_>, args: &Args<'_>) -> Outcome {
    let node = ctx.node;
    let command = match ctx.known {
        // Pipelines are mostly of one command.
        Some((name, command)) if name == args[0] && command.subcommands.is_empty() => command,
        _ => match node.table.resolve(args) {
            Ok(command) => command,
            Err(_) if is_http(args[0]) && ctx.session.origin == Origin::Client => {
                return Outcome::Abort;
            }
            Err(error) => return refuse(ctx, None, args, error),
        },
    };
    let last_command = &ctx.session.client.last_command;
    last_command.store(command.id, std::sync::atomic::Ordering::Relaxed);
    if command.spec.reach == Reach::Script {
        ctx.script = script::Chosen::of(ctx, command, args);
    }
    if let Err(refusal) = admit(ctx, command, args) {
        ctx.script = None;
        return match refusal {
            Refusal::Error(error) => refuse(ctx, Some(command), args, error),
            Refusal::Wait => {
                release(ctx);
                Outcome::Paused
            }
        };
    }
    if ctx.session.multi.is_some() && !command.flags.has(bits::RUNS_IN_MULTI) {
        let outcome = transaction::queue(ctx, command, args);
        // Another script may run before it does.
        ctx.script = None;
        return outcome;
    }
    if command.flags.has(bits::RUNS_QUEUE) {
        return transaction::exec(ctx, command, args);
    }
    let set = reach(ctx, command, args);
    if let Err(busy) = enter(ctx, set)
        && !enter_beside_script(ctx, command, set)
    {
        return wait_or_refuse(ctx, command, args, busy);
    }
    ctx.prefetch_rest();
    ctx.prefetch_keys(command, args);
    let began_us = ctx.now_us;
    call(ctx, command, args);
    if let Some(set) = ctx.again.take() {
        finish_unit(ctx);
        return Outcome::Busy(set);
    }
    ctx.goes_on = false;
    if let Some(request) = ctx.block.take() {
        let ran_us = ctx.now_us.saturating_sub(began_us);
        blocking::suspend(ctx, request, args, ran_us);
        finish_unit(ctx);
        return Outcome::Suspended;
    }
    finish_unit(ctx);
    if ctx.session.waiting.is_some() {
        if !command.flags.has(bits::WAIT_ENDS_ITSELF) {
            waits::begin(ctx);
        }
        return Outcome::Suspended;
    }
    if ctx.session.handover.is_some() {
        return Outcome::Handover;
    }
    if command.flags.has(bits::ADMIN | bits::NO_AUTH) {
        Outcome::Renew
    } else {
        Outcome::Done
    }
}

/// Enters those of the shards that are free, if the command makes do with them while a slow script is inside others.
#[cold]
fn enter_beside_script(ctx: &mut Context<'_>, command: &Command, set: ShardSet) -> bool {
    let makes_do =
        command.flags.has(bits::BESIDE_SCRIPTS) && ctx.node.scripts.running.slow_in(set).is_some();
    if makes_do {
        release(ctx);
        ctx.set_keys(ctx.node.keyspace.try_enter_free(set));
    }
    makes_do
}

/// A command whose shards are busy waits for them, unless a slow script is inside.
#[cold]
pub(super) fn wait_or_refuse(
    ctx: &mut Context<'_>,
    command: &Command,
    args: &Args<'_>,
    busy: Outcome,
) -> Outcome {
    let Outcome::Busy(set) = busy else {
        return busy;
    };
    match busy_error(ctx, set) {
        Some(error) => refuse(ctx, Some(command), args, error),
        None => busy,
    }
}

/// What a client's command is answered that needs shards which a slow script is inside of.
#[inline]
pub(super) fn busy_error(ctx: &Context<'_>, set: ShardSet) -> Option<CommandError> {
    let kind = ctx.node.scripts.running.slow_in(set)?;
    let is_refused = ctx.session.origin == Origin::Client;
    is_refused.then(|| CommandError::fixed(kind.busy_error()))
}

/// Answers a command that may not run, and breaks the MULTI it may stand in. A refused EXEC is the end of its
/// transaction, and says so whether there was one or not.
pub(super) fn refuse(
    ctx: &mut Context<'_>,
    command: Option<&Command>,
    args: &Args<'_>,
    error: CommandError,
) -> Outcome {
    if let Some(command) = command {
        ctx.node.command_stats.reject(command.id);
        if command.flags.has(bits::RUNS_QUEUE) {
            transaction::discard(ctx);
            let reason = error.0.strip_prefix("ERR ").unwrap_or(&error.0);
            let text = format!("EXECABORT Transaction discarded because of: {reason}");
            write_error(ctx, &CommandError::text(text));
            // Monitors saw the MULTI: they see its end.
            show_to_monitors(ctx, command, args);
            return Outcome::Done;
        }
    }
    if let Some(multi) = &mut ctx.session.multi {
        multi.broken = true;
    }
    write_error(ctx, &error);
    Outcome::Done
}

/// Writes an error reply and counts it by its code.
pub(super) fn write_error(ctx: &mut Context<'_>, error: &CommandError) {
    ctx.node.stats.count_error(&error.0);
    ctx.reply.error(&error.0);
}

/// Runs a handler whose shards are entered, and gathers its effect. Times it for SLOWLOG, LATENCY and
/// commandstats, and shows it to monitors.
pub(super) fn call(ctx: &mut Context<'_>, command: &Command, args: &Args<'_>) {
    let node = ctx.node;
    let start_us = ctx.now_us;
    let reply_start = ctx.reply.len();
    if command.key_plan == KeyPlan::None {
        ctx.flush_counters();
    }
    ctx.dirty = 0;
    ctx.effects.overridden = false;
    ctx.effects.db = ctx.session.db;
    ctx.effects.apart = command.flags.has(bits::TOUCHES_ARBITRARY_KEYS) && !ctx.deny_blocking;
    let result: CommandResult = handlers::of(command)(ctx, args);
    if ctx.goes_on || ctx.again.is_some() {
        ctx.now_us = node.clock.unix_us();
        return;
    }
    if ctx.dirty > 0 {
        // Changed, and not logged yet. Empty in builds without debug assertions.
        let owner = match ctx.session.origin {
            Origin::Master => Owner::Link,
            _ => Owner::Connection,
        };
        node.supervision.faults.pass(owner, "changed");
    }
    let mut failed = false;
    if let Err(error) = result {
        failed = true;
        ctx.reply.truncate(reply_start);
        write_error(ctx, &error);
    } else if ctx.reply.is_error_at(reply_start) {
        failed = true;
    }
    if ctx.dirty > 0 {
        ctx.note_changes();
        if !ctx.effects.overridden {
            ctx.effects.also(args);
        }
    }
    let blocked = ctx.block.is_some();
    ctx.now_us = node.clock.unix_us();
    // A command that waits is shown when it begins to, and not once more when it has been served.
    if !ctx.unblocking {
        show_to_monitors(ctx, command, args);
    }
    if blocked {
        return;
    }
    let took_us = ctx.now_us.saturating_sub(start_us);
    // A CONFIG SET is observed as it asks for.
    let now_in_force;
    let mut settings = ctx.settings;
    if command.flags.has(bits::ADMIN) {
        now_in_force = node.settings.load();
        settings = &now_in_force;
    }
    let track = settings.latency_tracking;
    if failed {
        node.command_stats.fail(command.id, took_us, track);
    } else {
        ctx.counters
            .record(&node.command_stats, command.id, took_us, track);
    }
    notify_observers(
        node,
        settings,
        &ctx.session.client,
        command,
        args,
        (ctx.now_us, took_us),
    );
}

/// Counts and shows an EXEC: its commands have run, or it has been answered without (`failed`: by an error).
pub(super) fn after_exec(
    ctx: &mut Context<'_>,
    command: &Command,
    args: &Args<'_>,
    start_us: u64,
    failed: bool,
) {
    let took_us = ctx.now_us.saturating_sub(start_us);
    // One of its commands may have been a CONFIG SET.
    let settings = ctx.node.settings.load();
    show_to_monitors(ctx, command, args);
    let client = &ctx.session.client;
    let time = (ctx.now_us, took_us);
    record_end(ctx.node, &settings, client, command, args, time, failed);
}

/// Counts a command whose end does not come within its batch, and tells its observers. `time` is that of
/// [`notify_observers`].
pub(super) fn record_end(
    node: &NodeCore,
    settings: &Settings,
    client: &Client,
    command: &Command,
    args: &Args<'_>,
    time: (u64, u64),
    failed: bool,
) {
    let (stats, took_us, track) = (&node.command_stats, time.1, settings.latency_tracking);
    if failed {
        stats.fail(command.id, took_us, track);
    } else {
        stats.record(command.id, took_us, track);
    }
    notify_observers(node, settings, client, command, args, time);
}

/// The observers of a finished command; each costs a comparison when nobody observes. `time`: when it ended,
/// unix us, and how long it ran, us.
#[inline(always)]
fn notify_observers(
    node: &NodeCore,
    settings: &Settings,
    client: &Client,
    command: &Command,
    args: &Args<'_>,
    time: (u64, u64),
) {
    let took_us = time.1;
    let slower_than = settings.slowlog_log_slower_than;
    let threshold_ms = settings.latency_monitor_threshold;
    if (slower_than >= 0 && took_us as i64 >= slower_than)
        || (threshold_ms > 0 && took_us / 1000 >= threshold_ms)
    {
        tell_of_slow(node, settings, client, command, args, time);
    }
}

#[cold]
fn tell_of_slow(
    node: &NodeCore,
    settings: &Settings,
    client: &Client,
    command: &Command,
    args: &Args<'_>,
    time: (u64, u64),
) {
    let (now_us, took_us) = time;
    let slower_than = settings.slowlog_log_slower_than;
    if slower_than >= 0 && took_us as i64 >= slower_than && !command.flags.has(bits::SKIP_SLOWLOG) {
        node.slowlog.push(
            settings.slowlog_max_len,
            now_us,
            took_us,
            &redact(command.spec.secrets, args),
            client,
        );
    }
    let threshold = settings.latency_monitor_threshold;
    if threshold > 0 && took_us / 1000 >= threshold {
        let event = if command.flags.has(bits::FAST) {
            "fast-command"
        } else {
            "command"
        };
        node.latency.record(event, now_us, took_us / 1000);
    }
}

/// As Redis shows scripts: before what they call.
pub(super) fn show_script_to_monitors(ctx: &Context<'_>, args: &Args<'_>) {
    if ctx.node.monitors.any() && ctx.session.origin != Origin::Replay {
        let (db, client) = (ctx.session.db, &ctx.session.client);
        ctx.node.monitors.feed(ctx.now_us, db, client, args);
    }
}

#[inline]
fn show_to_monitors(ctx: &Context<'_>, command: &Command, args: &Args<'_>) {
    if ctx.node.monitors.any()
        && ctx.session.origin != Origin::Replay
        && !command.flags.has(bits::SKIP_MONITOR | bits::ADMIN)
    {
        let (db, client) = (ctx.session.db, &ctx.session.client);
        let shown = redact(command.spec.secrets, args);
        ctx.node.monitors.feed(ctx.now_us, db, client, &shown);
    }
}

/// Ends an execution unit: its effects go to the log while the shards are still entered, then clients
/// blocked on keys that it filled are served.
pub(super) fn finish_unit(ctx: &mut Context<'_>) {
    flush_effects(ctx);
    blocking::serve_ready(ctx);
}

/// Appends what the unit has done so far: at its end, and in the middle of a transaction before the role or the
/// log itself changes. What was written as a master is in the log before we are none any more.
pub(super) fn flush_effects(ctx: &mut Context<'_>) {
    if ctx.effects.is_empty() {
        ctx.effects.overridden = false;
        return;
    }
    let parts = ctx.effects.parts();
    let as_transaction = ctx.effects.commands > 1 && !ctx.effects.apart;
    let offset = ctx.node.hub.append_unit(&parts, as_transaction);
    drop(parts);
    ctx.session.last_write_offset = offset;
    ctx.wake_log = true;
    ctx.effects.clear();
}

/// Owned copies of a command's arguments, for queues: one piece of memory, of which each has a part.
pub(super) fn own(args: &Args<'_>) -> Vec<Bytes> {
    let all = Bytes::from(args.concat());
    let mut end = 0;
    let part = |arg: &&[u8]| {
        let start = end;
        end += arg.len();
        all.slice(start..end)
    };
    args.iter().map(part).collect()
}
