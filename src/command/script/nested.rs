//! A command that a script calls: the checks that it passes, in redis-server's order, and its run.
//!
//! Which shards a script is inside of is decided before it runs ([`super::run`]). A command that needs others is a
//! *surprise*. Before the script has had any effect, its run ends and begins anew with all shards. After that it gets
//! them while it holds its own ([`Entered::try_extend`](crate::keyspace::Entered::try_extend)), which is why a script
//! with a part of the shards has no effect before it holds the node's one [`Token`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use crate::command::dispatch;
use crate::command::dispatch::admission;
use crate::keyspace::ShardSet;
use crate::table::spec::bits;
use crate::table::{Args, Command, CommandError, KeyPlan};

use super::host::{End, Run};
use super::runner::Runners;
use super::token::Token;

pub(super) const UNKNOWN: &str = "ERR Unknown Redis command called from script";
const ARITY: &str = "ERR Wrong number of args calling Redis command from script";
const NO_SCRIPT: &str = "ERR This Redis command is not allowed from script";
const STALE: &str = "ERR Can not execute the command on a stale replica";
const READ_ONLY_SCRIPT: &str = "ERR Write commands are not allowed from read-only scripts.";

/// Why a command did not run.
pub(super) enum Refused {
    /// The script gets this error.
    Error(CommandError),
    /// The whole script ends.
    Ended,
}

impl From<CommandError> for Refused {
    fn from(error: CommandError) -> Refused {
        Refused::Error(error)
    }
}

impl From<&'static str> for Refused {
    fn from(text: &'static str) -> Refused {
        Refused::Error(CommandError::fixed(text))
    }
}

impl Run<'_, '_> {
    /// Runs a command; its reply is in the context's.
    pub(super) fn run_nested(&mut self, args: &Args<'_>) -> Result<(), Refused> {
        let node = self.ctx.node;
        let Some(command) = node.table.find(args) else {
            return Err(UNKNOWN.into());
        };
        if let Err(refused) = self.admit(command, args) {
            if matches!(refused, Refused::Error(_)) {
                node.command_stats.reject(command.id);
            }
            return Err(refused);
        }
        self.ctx.effects.hidden = !self.replicates;
        let ran = catch_unwind(AssertUnwindSafe(|| dispatch::call(self.ctx, command, args)));
        self.ctx.effects.hidden = false;
        if let Err(panic) = ran {
            // It goes on when Lua has been left: the shards are lost then.
            self.panic = Some(panic);
            self.end = Some(End::Panicked);
            return Err(Refused::Ended);
        }
        // Only where scripts may call everything: nobody waits for what such a command has asked for.
        self.ctx.session.waiting = None;
        self.ctx.session.handover = None;
        debug_assert!(self.ctx.block.is_none());
        Ok(())
    }

    fn admit(&mut self, command: &Command, args: &Args<'_>) -> Result<(), Refused> {
        if !command.accepts(args.len()) {
            return Err(ARITY.into());
        }
        let flags = command.flags;
        let allow_all = &self.ctx.node.scripts.allow_all;
        if flags.has(bits::NO_SCRIPT) && !allow_all.load(Ordering::Relaxed) {
            return Err(NO_SCRIPT.into());
        }
        let (node, settings) = (self.ctx.node, self.ctx.settings);
        let is_replica = node.hub.is_replica();
        if is_replica
            && !settings.replica_serve_stale_data
            && !node.hub.link_up()
            && !self.call.from_master
            && !flags.has(bits::STALE)
        {
            return Err(STALE.into());
        }
        let is_write = flags.has(bits::WRITE);
        if self.call.read_only && flags.has(bits::WRITE | bits::MAY_REPLICATE) {
            return Err(READ_ONLY_SCRIPT.into());
        }
        if is_write && !self.has_written && !self.call.from_master {
            admission::check_disk(self.ctx, true)?;
            admission::check_role(self.ctx)?;
        }
        if flags.has(bits::DENY_OOM) && self.is_out_of_memory() {
            return Err(Refused::Error(admission::OUT_OF_MEMORY));
        }
        self.enter(command, args)?;
        self.has_written |= is_write;
        Ok(())
    }

    /// As in Redis, what counts is how it stood when the script began, and nothing counts once it has written.
    fn is_out_of_memory(&self) -> bool {
        self.call.began_out_of_memory && !self.has_written && !self.call.allow_oom
    }

    /// Makes sure that the script is inside the command's shards, and that it may have effects if the command has.
    fn enter(&mut self, command: &Command, args: &Args<'_>) -> Result<(), Refused> {
        let needed = self.shards_of(command, args);
        self.touched.0 |= needed.0;
        let has_effects = !flags_read_only(command);
        while !self.ctx.keys.set().contains(needed) {
            if !self.had_effects {
                self.end = Some(End::Surprised);
                return Err(Refused::Ended);
            }
            debug_assert!(self.token.is_some());
            if self.ctx.keys.try_extend(needed) {
                break;
            }
            // Others are inside: they need this thread, or another one's time.
            self.wait_a_while();
            if self.end.is_some() {
                return Err(Refused::Ended);
            }
        }
        if has_effects && !self.had_effects {
            if !self.ctx.keys.is_all() {
                self.token = Token::take(&Runners::of(self.ctx.node).token);
                if self.token.is_none() {
                    self.end = Some(End::Surprised);
                    return Err(Refused::Ended);
                }
            }
            self.had_effects = true;
        }
        if command.flags.has(bits::WRITE)
            && let Some(running) = &self.running
            && !running.begin_write()
        {
            self.end = Some(End::Killed);
            return Err(Refused::Ended);
        }
        Ok(())
    }

    fn shards_of(&self, command: &Command, args: &Args<'_>) -> ShardSet {
        let keyspace = &self.ctx.node.keyspace;
        if command.whole_keyspace(args) {
            return keyspace.all();
        }
        if command.key_plan == KeyPlan::None {
            return ShardSet::NONE;
        }
        if keyspace.shards() == 1 {
            return keyspace.all();
        }
        let mut set = ShardSet::NONE;
        command.for_each_key(args, &mut |key| {
            set.add(keyspace.shard_of(keyspace.hash(key)));
        });
        set
    }
}

/// Whether a command can be called again without a trace: what only reads.
fn flags_read_only(command: &Command) -> bool {
    command.flags.has(bits::READONLY) || !command.flags.has(bits::WRITE | bits::MAY_REPLICATE)
}
