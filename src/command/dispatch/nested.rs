//! Nested calls: a command run by a command, inside the shards that are entered already.
//!
//! EXEC runs its queue so, and whoever fills a key runs the commands of the clients that wait for it. A nested call is
//! a client's command in all but where it comes from: it is admitted ([`crate::command::dispatch::admission`]), counted, timed and shown to
//! monitors, and its effects join those of the unit that runs. It never enters a shard: what it needs must be entered,
//! and it never waits: what would wait says so.
//!
//! Its reply goes to a [`Reply`]: the caller's, or one of its own ([`call_as`]).

use crate::command::dispatch::admission::admit_nested;
use crate::command::{Context, dispatch};
use crate::node_core::NodeCore;
use crate::resp::Reply;
use crate::session::Session;
use crate::table::CommandId;
use crate::table::{Args, CommandError};

/// What runs the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::command) enum Caller {
    Exec,
    /// What filled a key, in the name of a client that waits for it.
    Waiter,
}

/// What became of a nested call.
#[derive(Debug)]
pub(in crate::command) enum Called {
    /// It ran, and has replied.
    Ran,
    /// It may not run.
    Refused(Refused),
    /// There is nothing for it yet. Only for a waiter: others are not let wait.
    Waits,
}

/// Why a nested call may not run. Nothing has been changed, replied or counted.
#[derive(Debug)]
pub(in crate::command) struct Refused {
    /// None: there is no such command.
    command: Option<CommandId>,
    pub(crate) error: CommandError,
}

impl Refused {
    /// Replies the error, and counts it.
    pub(in crate::command) fn tell(&self, node: &NodeCore, reply: &mut Reply) {
        if let Some(command) = self.command {
            node.command_stats.reject(command);
        }
        node.stats.count_error(&self.error.0);
        reply.error(&self.error.0);
    }
}

/// Runs a command in the session of the context; the reply follows what its caller has replied.
pub(in crate::command) fn call(ctx: &mut Context<'_>, args: &Args<'_>, caller: Caller) -> Called {
    let command = match ctx.node.table.resolve(args) {
        Ok(command) => command,
        Err(error) => {
            return Called::Refused(Refused {
                command: None,
                error,
            });
        }
    };
    if let Err(error) = admit_nested(ctx, command, args, caller) {
        let command = Some(command.id);
        return Called::Refused(Refused { command, error });
    }
    debug_assert!(
        ctx.keys.set().contains(dispatch::reach(ctx, command, args)),
        "the caller has entered what {} needs",
        command.name
    );
    let may_wait = caller == Caller::Waiter;
    let denied = std::mem::replace(&mut ctx.deny_blocking, !may_wait);
    let in_script = std::mem::replace(&mut ctx.in_script, false);
    let unblocking = std::mem::replace(&mut ctx.unblocking, may_wait);
    dispatch::call(ctx, command, args);
    ctx.deny_blocking = denied;
    ctx.in_script = in_script;
    ctx.unblocking = unblocking;
    match ctx.block.take() {
        Some(_) => Called::Waits,
        None => Called::Ran,
    }
}

/// As [`call`], in the name of another session, whose reply goes to `reply`. Its effects are in the log when it
/// returns, and the session knows up to where.
pub(in crate::command) fn call_as(
    ctx: &mut Context<'_>,
    session: &mut Session,
    reply: &mut Reply,
    args: &Args<'_>,
    caller: Caller,
) -> Called {
    std::mem::swap(ctx.session, session);
    std::mem::swap(ctx.reply, reply);
    let called = call(ctx, args, caller);
    dispatch::flush_effects(ctx);
    std::mem::swap(ctx.session, session);
    std::mem::swap(ctx.reply, reply);
    called
}
