//! Admission: whether a command may run now, in redis-server's order of checks.
//!
//! A client's command is judged by [`admit`], an EXEC by the flags of all that it is about to run. A command that
//! another command runs takes the part of the checks that its caller's admission has not answered: [`admit_nested`].
//! Nothing has been changed or replied when a command is refused.

use crate::clients::pause::Pause;
use crate::command::Context;
use crate::command::dispatch::nested::Caller;
use crate::config::Protected;
use crate::resp::Resp;
use crate::session::Origin;
use crate::table::Command;
use crate::table::spec::{Reach, bits};
use crate::table::{Args, CommandError, CommandResult};

pub(in crate::command) const READ_ONLY: CommandError =
    CommandError::fixed("READONLY You can't write against a read only replica.");

pub(in crate::command) const OUT_OF_MEMORY: CommandError =
    CommandError::fixed("OOM command not allowed when used memory > 'maxmemory'.");

pub(in crate::command) const MASTER_DOWN: CommandError = CommandError::fixed(
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
);

pub(in crate::command) const MISCONF: CommandError = CommandError::fixed(
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.",
);

/// Why a command may not run now.
pub(in crate::command) enum Refusal {
    Error(CommandError),
    /// Clients are paused: later.
    Wait,
}

impl From<CommandError> for Refusal {
    fn from(error: CommandError) -> Refusal {
        Refusal::Error(error)
    }
}

/// What is judged: a command's flags, or those of all that an EXEC is about to run.
#[derive(Clone, Copy)]
struct Judged {
    /// Those that some of the commands have.
    flags: u32,
    /// Those that some lack.
    lacking: u32,
}

impl Judged {
    fn one(command: &Command) -> Judged {
        Judged {
            flags: command.flags.0,
            lacking: !command.flags.0,
        }
    }

    #[inline]
    fn of(ctx: &Context<'_>, command: &Command) -> Judged {
        match &ctx.session.multi {
            Some(multi) if command.flags.has(bits::RUNS_QUEUE) => Judged {
                flags: command.flags.0 | multi.flags,
                lacking: multi.lacking,
            },
            _ if command.spec.reach == Reach::Script => Judged::script(ctx, command),
            _ => Judged::one(command),
        }
    }

    fn script(ctx: &Context<'_>, command: &Command) -> Judged {
        let flags = flags_of(ctx, command);
        Judged {
            flags,
            lacking: !flags,
        }
    }

    fn is_write(self) -> bool {
        self.flags & bits::WRITE != 0
    }
}

/// A command's flags; a script has those that it gives itself.
#[inline]
pub(in crate::command) fn flags_of(ctx: &Context<'_>, command: &Command) -> u32 {
    let flags = command.flags.0;
    match &ctx.script {
        Some(chosen) if command.spec.reach == Reach::Script => chosen.command_flags(flags),
        _ => flags,
    }
}

/// The checks between a command that a session has sent, and its run or its place in a MULTI.
pub(in crate::command) fn admit(
    ctx: &mut Context<'_>,
    command: &Command,
    args: &Args<'_>,
) -> Result<(), Refusal> {
    command.check_arity(args)?;
    if ctx.session.origin != Origin::Master {
        ctx.role_epoch = ctx.node.hub.epoch();
    }
    check_user(ctx, command)?;
    let in_multi = ctx.session.multi.is_some();
    if in_multi && command.flags.has(bits::NO_MULTI) {
        return Err(CommandError::fixed("ERR Command not allowed inside a transaction").into());
    }
    match ctx.session.origin {
        Origin::Client => {}
        // Of a master's stream a pause holds up everything but what has been begun.
        Origin::Master if !in_multi && ctx.node.pause.kind(ctx.now_ms).is_some() => {
            return Err(Refusal::Wait);
        }
        _ => return Ok(()),
    }
    let judged = Judged::of(ctx, command);
    let takes_memory =
        judged.flags & bits::DENY_OOM != 0 || in_multi && !command.flags.has(bits::ENDS_MULTI);
    check_memory(ctx, takes_memory)?;
    check_disk(
        ctx,
        judged.is_write() || command.flags.has(bits::SHOWS_DISK_ERRORS),
    )?;
    if judged.is_write() {
        check_role(ctx)?;
    }
    check_subscriptions(ctx, command)?;
    check_dataset(ctx, judged)?;
    check_pause(ctx, judged)
}

/// The checks between a command that a command has called, and its run. A pause is none of them: what is running is
/// finished.
pub(in crate::command) fn admit_nested(
    ctx: &Context<'_>,
    command: &Command,
    args: &Args<'_>,
    caller: Caller,
) -> CommandResult {
    command.check_arity(args)?;
    check_user(ctx, command)?;
    match caller {
        // It was judged with all that it runs.
        Caller::Exec => return Ok(()),
        Caller::Waiter => {}
    }
    let judged = Judged::one(command);
    check_memory(ctx, judged.flags & bits::DENY_OOM != 0)?;
    check_disk(ctx, judged.is_write())?;
    if judged.is_write() {
        check_role(ctx)?;
    }
    check_dataset(ctx, judged)
}

/// What the session may do at all.
// A call of its own is a fiftieth of a pipelined GET.
#[inline(always)]
fn check_user(ctx: &Context<'_>, command: &Command) -> CommandResult {
    if ctx.session.origin != Origin::Client {
        return Ok(());
    }
    if !ctx.session.authenticated
        && ctx.settings.requirepass.is_some()
        && !command.flags.has(bits::NO_AUTH)
    {
        return Err(CommandError::fixed("NOAUTH Authentication required."));
    }
    if command
        .flags
        .has(bits::DEBUG_PROTECTED | bits::MODULE_PROTECTED)
    {
        check_protected(ctx, command)?;
    }
    Ok(())
}

/// What needs memory runs only while there is some.
#[inline]
fn check_memory(ctx: &Context<'_>, takes_memory: bool) -> CommandResult {
    match takes_memory && is_out_of_memory(ctx) {
        true => Err(OUT_OF_MEMORY),
        false => Ok(()),
    }
}

/// Whether memory is used up, for what needs some.
#[inline]
pub(in crate::command) fn is_out_of_memory(ctx: &Context<'_>) -> bool {
    let (node, settings) = (ctx.node, ctx.settings);
    if settings.maxmemory == 0 || node.memory_used() <= settings.maxmemory {
        return false;
    }
    // A replica that leaves eviction to its master counts as one with room.
    !(settings.replica_ignore_maxmemory && node.hub.is_replica())
}

/// Writes are refused while they can't be saved.
#[inline]
pub(in crate::command) fn check_disk(ctx: &Context<'_>, is_meant: bool) -> CommandResult {
    if is_meant && ctx.node.disk_denies_writes(ctx.settings) {
        return Err(MISCONF);
    }
    Ok(())
}

/// Writes need a master with the replicas that it is to have, or a replica that takes them.
#[inline]
pub(in crate::command) fn check_role(ctx: &Context<'_>) -> CommandResult {
    let (node, settings) = (ctx.node, ctx.settings);
    if node.hub.is_replica() {
        return match settings.replica_read_only {
            true => Err(READ_ONLY),
            false => Ok(()),
        };
    }
    if settings.min_replicas_to_write > 0
        && settings.min_replicas_max_lag > 0
        && node.hub.good_replicas() < settings.min_replicas_to_write as usize
    {
        return Err(CommandError::fixed(
            "NOREPLICAS Not enough good replicas to write.",
        ));
    }
    Ok(())
}

/// In RESP2 replies of other commands could not be told from messages.
#[inline]
fn check_subscriptions(ctx: &Context<'_>, command: &Command) -> CommandResult {
    let session = &*ctx.session;
    if session.resp() != Resp::V2
        || session.subscriptions() == 0
        || command.flags.has(bits::WHILE_SUBSCRIBED)
    {
        return Ok(());
    }
    Err(CommandError::err(format_args!(
        "Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
        command.name
    )))
}

/// Whether the dataset is there and, as far as it is to be, the master's.
#[inline]
fn check_dataset(ctx: &Context<'_>, judged: Judged) -> CommandResult {
    let node = ctx.node;
    if judged.lacking & bits::STALE != 0
        && node.hub.is_replica()
        && !ctx.settings.replica_serve_stale_data
        && !node.hub.link_up()
    {
        return Err(MASTER_DOWN);
    }
    if node.is_loading() && judged.lacking & bits::LOADING != 0 {
        return Err(CommandError::fixed(
            "LOADING Redis is loading the dataset in memory",
        ));
    }
    Ok(())
}

#[inline]
fn check_pause(ctx: &Context<'_>, judged: Judged) -> Result<(), Refusal> {
    match ctx.node.pause.kind(ctx.now_ms) {
        None => Ok(()),
        // CLIENT UNPAUSE too: a pause of everything ends by its time.
        Some(Pause::All) => Err(Refusal::Wait),
        Some(Pause::Write) if judged.flags & (bits::WRITE | bits::MAY_REPLICATE) != 0 => {
            Err(Refusal::Wait)
        }
        Some(Pause::Write) => Ok(()),
    }
}

/// DEBUG and MODULE run only where `enable-debug-command` and `enable-module-command` let them.
fn check_protected(ctx: &Context<'_>, command: &Command) -> CommandResult {
    let setting = match command.flags.has(bits::MODULE_PROTECTED) {
        true => ctx.settings.enable_module_command,
        false => ctx.settings.enable_debug_command,
    };
    let allowed = match setting {
        Protected::Yes => true,
        Protected::Local => ctx.session.client.is_local(),
        Protected::No => false,
    };
    if allowed {
        return Ok(());
    }
    let name = command
        .name
        .split('|')
        .next()
        .unwrap_or(command.name)
        .to_ascii_uppercase();
    Err(CommandError::err(format_args!(
        "{name} command not allowed. If the enable-{0}-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.",
        name.to_ascii_lowercase()
    )))
}
