//! Commands whose work is the actors': SAVE, BGSAVE, SHUTDOWN, WAIT, WAITAOF. They check their
//! arguments, post the request, and leave the session waiting for the reply.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::command::context::arguments::int_at_least;
use crate::command::context::int_arg;
use crate::command::{Context, Handlers};
use crate::node_core::{NodeCore, Services, ShutdownOptions};
use crate::resp::Reply;
use crate::session::Ticket;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

pub(crate) const HANDLERS: Handlers = &[
    ("bgsave", bgsave),
    ("save", save),
    ("shutdown", shutdown),
    ("wait", wait),
    ("waitaof", waitaof),
];

/// Without actors (a node that only tests made) there is nobody to ask.
pub(in crate::command) fn services(ctx: &Context<'_>) -> CommandResult<Arc<dyn Services>> {
    ctx.node.services.get().ok_or(CommandError::fixed(
        "ERR not possible in this node: it has no actors",
    ))
}

/// Asks the actors for something; the session waits for the reply.
pub(in crate::command) fn with_ticket(
    ctx: &mut Context<'_>,
    ask: impl FnOnce(&dyn Services, Arc<Ticket>),
) -> CommandResult {
    let services = services(ctx)?;
    if ctx.deny_blocking {
        return Err(CommandError::fixed("ERR not possible inside a transaction"));
    }
    let ticket = ctx.ticket();
    ask(&*services, ticket);
    Ok(())
}

/// Has work that may block done by a thread beside those that serve; the session waits for what it writes. Where there
/// are no actors it is done here.
pub(in crate::command) fn aside(
    ctx: &mut Context<'_>,
    work: impl FnOnce(&NodeCore, &mut Reply) -> CommandResult + Send + 'static,
) -> CommandResult {
    let Some(services) = ctx.node.services.get() else {
        return work(ctx.node, ctx.reply);
    };
    if ctx.deny_blocking {
        return Err(CommandError::fixed("ERR not possible inside a transaction"));
    }
    let ticket = ctx.ticket();
    let mut reply = Reply::new(ticket.resp);
    let work = move |node: &NodeCore| {
        if let Err(error) = work(node, &mut reply) {
            node.stats.count_error(&error.0);
            reply.error(&error.0);
        }
        reply.take().into_bytes().freeze()
    };
    services.aside(ticket, Box::new(work));
    Ok(())
}

const IN_PROGRESS: CommandError = CommandError::fixed("ERR Background save already in progress");

fn save(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    if ctx.node.persistence.is_saving() {
        return Err(IN_PROGRESS);
    }
    check_no_slow_script(ctx)?;
    with_ticket(ctx, |services, ticket| services.save(ticket))
}

/// A snapshot begins inside all shards.
fn check_no_slow_script(ctx: &Context<'_>) -> CommandResult {
    let all = ctx.node.keyspace.all();
    match ctx.node.scripts.running.slow_in(all) {
        Some(kind) => Err(CommandError::fixed(kind.busy_error())),
        None => Ok(()),
    }
}

fn bgsave(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    match &args[1..] {
        [] => {}
        // Only an append-only file being rewritten would be something to wait for.
        [word] if is_word(word, "schedule") => {}
        _ => return Err(CommandError::SYNTAX),
    }
    let persistence = &ctx.node.persistence;
    if persistence.is_saving() || persistence.sending.load(Ordering::Relaxed) {
        return Err(IN_PROGRESS);
    }
    check_no_slow_script(ctx)?;
    if ctx.deny_blocking {
        services(ctx)?.bgsave(None);
        ctx.reply.simple("Background saving scheduled");
        return Ok(());
    }
    with_ticket(ctx, |services, ticket| services.bgsave(Some(ticket)))
}

fn shutdown(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let mut options = ShutdownOptions::default();
    let mut abort = false;
    for &word in &args[1..] {
        let option = match String::from_utf8_lossy(word).to_ascii_lowercase().as_str() {
            "nosave" => &mut options.nosave,
            "save" => &mut options.save,
            "now" => &mut options.now,
            "force" => &mut options.force,
            "abort" => &mut abort,
            _ => return Err(CommandError::SYNTAX),
        };
        *option = true;
    }
    let any = options != ShutdownOptions::default();
    if (abort && any) || (options.save && options.nosave) {
        return Err(CommandError::SYNTAX);
    }
    if abort {
        if !services(ctx)?.abort_shutdown() {
            return Err(CommandError::fixed("ERR No shutdown in progress."));
        }
        ctx.reply.ok();
        return Ok(());
    }
    if !options.nosave {
        check_no_slow_script(ctx)?;
    }
    if !options.now && ctx.deny_blocking {
        return Err(CommandError::fixed(
            "ERR SHUTDOWN without NOW or ABORT isn't allowed for DENY BLOCKING client",
        ));
    }
    with_ticket(ctx, |services, ticket| {
        services.shutdown(Some(ticket), options)
    })
}

/// The moment at which a timeout in milliseconds ends; None: never.
fn deadline(ctx: &Context<'_>, arg: &[u8]) -> CommandResult<Option<i64>> {
    let timeout_ms = match int_arg(arg) {
        Ok(n) if n < 0 => return Err(CommandError::fixed("ERR timeout is negative")),
        Ok(n) => n,
        Err(_) => {
            return Err(CommandError::fixed(
                "ERR timeout is not an integer or out of range",
            ));
        }
    };
    match timeout_ms {
        0 => Ok(None),
        n => n
            .checked_add(ctx.now_ms)
            .map(Some)
            .ok_or(CommandError::fixed("ERR timeout is out of range")),
    }
}

fn wait(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    if ctx.node.hub.is_replica() {
        return Err(CommandError::fixed(
            "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.",
        ));
    }
    let replicas = int_arg(args[1])?;
    let deadline_ms = deadline(ctx, args[2])?;
    let offset = ctx.session.last_write_offset;
    let acked = ctx.node.hub.published().replicas.acked(offset) as i64;
    if acked >= replicas || ctx.deny_blocking {
        ctx.reply.int(acked);
        return Ok(());
    }
    let replicas = replicas as usize;
    with_ticket(ctx, |services, ticket| {
        services.wait(ticket, replicas, offset, deadline_ms)
    })
}

/// There is no append-only file here, so only replicas with one can be waited for.
fn waitaof(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let local = match int_arg(args[1])? {
        n @ (0 | 1) => n,
        _ => {
            return Err(CommandError::fixed(
                "ERR value is out of range, value must between 0 and 1",
            ));
        }
    };
    let replicas = int_at_least(args[2], 0, "ERR value is out of range, must be positive")?;
    let deadline_ms = deadline(ctx, args[3])?;
    if ctx.node.hub.is_replica() {
        return Err(CommandError::fixed(
            "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local and are not propagated.",
        ));
    }
    if local == 1 {
        return Err(CommandError::fixed(
            "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
        ));
    }
    let offset = ctx.session.last_write_offset;
    let acked = ctx.node.hub.published().replicas.acked_aof(offset) as i64;
    if acked >= replicas || ctx.deny_blocking {
        ctx.reply.array(2);
        // Nothing is ever fsynced here.
        ctx.reply.int(0);
        ctx.reply.int(acked);
        return Ok(());
    }
    let replicas = replicas as usize;
    with_ticket(ctx, |services, ticket| {
        services.wait_aof(ticket, replicas, offset, deadline_ms)
    })
}
