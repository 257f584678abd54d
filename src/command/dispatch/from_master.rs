//! Commands of our master's stream: run as a client's are, and judged afterwards, since one that fails here and did
//! not there would part us from the master.
//!
//! A command of the stream that failed is neither logged nor followed by anything (`replica-on-stream-error`, see
//! [`stream_errors`]), unless the master's has done nothing that ours has not ([`HARMLESS`]).
//!
//! A transaction of the stream is one unit. A command that is unknown or malformed is refused when it is queued, so that
//! nothing of the transaction runs. When one fails in EXEC, those behind it are not run, and what those before it did is
//! taken back ([`Undo`]).

use std::task::Context as TaskContext;

use bytes::Bytes;

use super::nested::{self, Called, Caller};
use super::undo::{self, Undo};
use super::{Context, Outcome, poll_run};
use crate::command::script;
use crate::config::OnStreamError;
use crate::repl::stream_input::Ran;
use crate::repl::{StreamFailure, stream_errors, wire};
use crate::session::{Origin, ReplyMode};
use crate::table::spec::{Reach, bits};
use crate::table::{Args, Command};
use crate::text::printable::printable;

/// When a command's error is no difference between us and the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Always,
    /// If it has changed something here before it failed.
    HasWritten,
}

/// Commands that a master has in its stream although they may answer errors.
#[derive(Debug)]
struct Harmless {
    commands: &'static [&'static str],
    when: When,
    #[cfg_attr(not(test), expect(dead_code, reason = "said to whoever reads"))]
    why: &'static str,
}

/// From the sources of Redis 7.2.4 (`call`, `forceCommandPropagation`, `afterErrorReply`), where a command gets into the
/// stream if it changed something, or if it is one that is always sent. Any other command was sent because it changed
/// the master's data.
const HARMLESS: &[Harmless] = &[
    Harmless {
        commands: &["ping", "replconf"],
        when: When::Always,
        why: "they are for the link: a newer master may have options that are unknown here",
    },
    Harmless {
        commands: &["publish", "spublish"],
        when: When::Always,
        why: "a message is no data",
    },
    Harmless {
        commands: &["eval", "evalsha"],
        when: When::HasWritten,
        why: "masters before Redis 7 send scripts as they are: one that fails after it has written did so there as well",
    },
];

/// What became of a command of the stream.
#[derive(Debug)]
pub(crate) enum FromMaster {
    /// It did not run. The task is polled again when one of its shards is left.
    Busy,
    /// It did not run: clients are paused.
    Paused,
    Over(Ran),
}

/// Runs one command of our master's stream, `raw` being its bytes in the stream. They go into our own log
/// when the command (or the transaction it ends) has run, before the shards are left.
pub(crate) fn run(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    raw: &[u8],
    cx: &TaskContext<'_>,
) -> FromMaster {
    debug_assert_eq!(ctx.session.origin, Origin::Master);
    // Nothing hides an error.
    ctx.session.reply_mode = ReplyMode::On;
    ctx.dirty = 0;
    let before = Before::of(ctx, args);
    match poll_run(ctx, args, cx) {
        Outcome::Busy(_) => return FromMaster::Busy,
        Outcome::Paused => return FromMaster::Paused,
        _ => {}
    }
    let failure = match ctx.failed_in_unit.take() {
        Some(failure) => Some(*failure),
        None if ctx.reply.is_error_at(0) => failure_of_command(ctx, args, &before),
        None => None,
    };
    ctx.reply.clear();
    let ran = match failure {
        None => Ran::Done,
        Some(failure) => {
            ctx.node.stats.unexpected_error_replies.inc();
            let policy = ctx.settings.replica_on_stream_error;
            stream_errors::judge(policy, failure, &ctx.node.hub)
        }
    };
    if !matches!(ran, Ran::Failed(_)) {
        let in_multi = ctx.session.multi.is_some();
        ctx.session.unlogged.push(raw, in_multi);
    }
    FromMaster::Over(ran)
}

/// How things stood before a command.
struct Before {
    /// Changes of the dataset; only for scripts, which may call others.
    changes: Option<u64>,
}

impl Before {
    fn of(ctx: &Context<'_>, args: &Args<'_>) -> Before {
        let command = ctx.node.table.lookup(args[0]);
        let is_script = command.is_some_and(|command| command.spec.reach == Reach::Script);
        Before {
            changes: is_script.then(|| ctx.node.keyspace.changes()),
        }
    }

    /// Whether the command has changed something.
    fn has_written(&self, ctx: &Context<'_>) -> bool {
        match self.changes {
            Some(changes) => ctx.node.keyspace.changes() > changes,
            None => ctx.dirty > 0,
        }
    }
}

/// Bytes of the stream before the unit under way, and before the command under way.
fn places(ctx: &Context<'_>) -> (u64, u64) {
    let (whole, all) = ctx.session.unlogged.lengths();
    let logged = ctx.node.hub.offset();
    (logged + whole as u64, logged + all as u64)
}

/// The failure of a command that has just replied an error, alone or on its way into a transaction; None: it is
/// harmless.
#[cold]
fn failure_of_command(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    before: &Before,
) -> Option<StreamFailure> {
    let (unit, offset) = places(ctx);
    let failure = failure(ctx, args, offset, before)?;
    Some(match ctx.session.multi {
        Some(_) => failure.inside(unit),
        None => failure,
    })
}

/// As [`failure_of_command`], for any command.
#[cold]
fn failure(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    offset: u64,
    before: &Before,
) -> Option<StreamFailure> {
    let has_written = before.has_written(ctx);
    let reply = ctx.reply.take().into_bytes();
    let line = reply[..].split(|b| *b == b'\r').next().unwrap_or_default();
    let error = line.get(1..).unwrap_or_default();
    let command = ctx.node.table.find(args);
    if command.is_some_and(|command| is_harmless(command, has_written, error)) {
        tell_harmless(ctx, args, error);
        return None;
    }
    let mut key = None;
    if let Some(command) = command {
        command.for_each_key(args, &mut |k| {
            key.get_or_insert(k);
        });
    }
    let mut failure = StreamFailure::new(offset, args, key, error);
    failure.half_applied =
        has_written && ctx.settings.replica_on_stream_error != OnStreamError::Ignore;
    Some(failure)
}

fn is_harmless(command: &Command, has_written: bool, error: &[u8]) -> bool {
    // What only reads has changed nothing at the master.
    if command.flags.has(bits::READONLY) {
        return true;
    }
    let listed = HARMLESS
        .iter()
        .find(|harmless| harmless.commands.contains(&command.name));
    match listed.map(|harmless| harmless.when) {
        Some(When::Always) => true,
        Some(When::HasWritten) => has_written && !script::is_ours_alone(error),
        None => false,
    }
}

fn tell_harmless(ctx: &Context<'_>, args: &Args<'_>, error: &[u8]) {
    ctx.node.stats.unexpected_error_replies.inc();
    let text = format!(
        "'{}' after processing the command '{}'",
        printable(error),
        printable(args[0])
    );
    let now_ms = ctx.node.clock.unix_ms();
    let line = ctx.node.hub.published().stream_errors.line(&text, now_ms);
    if let Some(line) = line {
        tracing::warn!("This replica is sending an error to its master, which is harmless: {line}");
    }
}

/// Runs a transaction's commands as one unit.
pub(super) fn run_queue(ctx: &mut Context<'_>, queue: &[Vec<Bytes>]) {
    let passes_over = ctx.settings.replica_on_stream_error == OnStreamError::Ignore;
    let (unit, _) = places(ctx);
    let mut offset = unit + wire::length(&["MULTI"]);
    let last_kept = match passes_over {
        true => 0,
        false => undo::last_fallible(queue),
    };
    let mut undo = Undo::default();
    let mut args: Vec<&[u8]> = Vec::new();
    for (index, queued) in queue.iter().enumerate() {
        args.clear();
        args.extend(queued.iter().map(|arg| &arg[..]));
        if index < last_kept {
            undo.keep(ctx, &args);
        }
        if let Some(mut failure) = run_queued(ctx, &args, offset) {
            if !passes_over {
                // What is behind the last that may fail was not kept.
                let is_kept = index <= last_kept && !(failure.half_applied && index == last_kept);
                failure.half_applied = !(is_kept && undo.take_back(ctx));
                ctx.failed_in_unit = Some(Box::new(failure.inside(unit)));
                return;
            }
            let first = || Box::new(failure.inside(unit));
            ctx.failed_in_unit.get_or_insert_with(first);
        }
        offset += wire::length(queued);
    }
    ctx.reply.clear();
}

/// Runs a command of a transaction; its failure, unless that is harmless.
fn run_queued(ctx: &mut Context<'_>, args: &Args<'_>, offset: u64) -> Option<StreamFailure> {
    ctx.reply.clear();
    ctx.dirty = 0;
    let before = Before::of(ctx, args);
    if let Called::Refused(refused) = nested::call(ctx, args, Caller::Exec) {
        refused.tell(ctx.node, ctx.reply);
    }
    match ctx.reply.is_error_at(0) {
        true => failure(ctx, args, offset, &before),
        false => None,
    }
}

#[cfg(test)]
#[path = "from_master_tests.rs"]
mod tests;
