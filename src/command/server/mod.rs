//! The server as a whole: INFO, its time and role, its databases emptied, swapped and counted.

pub(crate) mod cluster;
pub(crate) mod config;
pub(crate) mod debug;
pub(crate) mod debug_show;
pub(crate) mod describe;
pub(crate) mod digest;
pub(crate) mod help;
pub(crate) mod introspect;
pub(crate) mod latency_report;
pub(crate) mod memory;
pub(crate) mod module;
pub(crate) mod saving;
#[cfg(test)]
mod tests;

use crate::command::context::int_arg;
use crate::command::script::runner::Runners;
use crate::command::{Context, Handlers};
use crate::info::{Observed, Section, render, wanted};
use crate::observe::process::REDIS_VERSION;
use crate::repl::ReplicaState;
use crate::session::Origin;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

pub(crate) const HANDLERS: Handlers = &[
    ("dbsize", dbsize),
    ("flushall", flushall),
    ("flushdb", flushdb),
    ("info", info),
    ("lastsave", lastsave),
    ("lolwut", lolwut),
    ("role", role),
    ("swapdb", swapdb),
    ("time", time),
];

fn info(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let settings = ctx.node.settings.load();
    let wanted = wanted(&args[1..]);
    if wanted.contains(&Section::Memory) {
        Runners::of(ctx.node).collect_garbage();
    }
    let text = render(
        &Observed {
            node: ctx.node,
            settings: &settings,
            keys: &ctx.keys,
            now_ms: ctx.now_ms,
        },
        &wanted,
    );
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn time(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    let now_us = ctx.unit_began_us;
    let now_us = now_us.unwrap_or_else(|| ctx.node.clock.unix_us());
    ctx.reply.array(2);
    ctx.reply.bulk_int((now_us / 1_000_000) as i64);
    ctx.reply.bulk_int((now_us % 1_000_000) as i64);
    Ok(())
}

fn lastsave(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    ctx.reply.int(ctx.node.persistence.last_save_s());
    Ok(())
}

fn dbsize(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    ctx.reply.int(ctx.keys.len(ctx.session.db) as i64);
    Ok(())
}

fn flushdb(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    flush(ctx, args, Some(ctx.session.db))
}

fn flushall(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let reply_start = ctx.reply.len();
    flush(ctx, args, None)?;
    let Some(services) = ctx.node.services.get() else {
        return Ok(());
    };
    if ctx.settings.save.is_empty() || ctx.deny_blocking || ctx.session.origin != Origin::Client {
        services.flushed_all(None);
        return Ok(());
    }
    // Answered when the dump on disk is the empty one.
    ctx.reply.truncate(reply_start);
    let ticket = ctx.ticket();
    services.flushed_all(Some(ticket));
    Ok(())
}

/// Up to so many keys are freed on the spot; more go to the background whatever the command says, since
/// nobody can tell the difference but by the pause.
const FREED_IN_PLACE_MAX: usize = 10_000;

fn flush(ctx: &mut Context<'_>, args: &Args<'_>, db: Option<usize>) -> CommandResult {
    let lazy = match &args[1..] {
        [] => ctx.settings.lazyfree_lazy_user_flush,
        [word] if is_word(word, "async") => true,
        [word] if is_word(word, "sync") => false,
        _ => return Err(CommandError::SYNTAX),
    };
    let dropped = ctx.keys.flush(db);
    let keys = dropped.keys();
    ctx.dirty += keys as u64;
    if keys == 0 {
        // Logged all the same: a replica may hold keys that we don't.
        ctx.effects.also(args);
    }
    if lazy || keys > FREED_IN_PLACE_MAX {
        ctx.node.lazyfree.push(Box::new(dropped));
    } else {
        drop(dropped);
    }
    ctx.reply.ok();
    Ok(())
}

fn swapdb(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let index = |arg: &[u8], message: &'static str| {
        let index = int_arg(arg).ok().and_then(|n| i32::try_from(n).ok());
        index.ok_or(CommandError::fixed(message))
    };
    let first = index(args[1], "ERR invalid first DB index")?;
    let second = index(args[2], "ERR invalid second DB index")?;
    let databases = ctx.node.keyspace.databases();
    let inside = |n: i32| usize::try_from(n).ok().filter(|&n| n < databases);
    let (Some(first), Some(second)) = (inside(first), inside(second)) else {
        return Err(CommandError::fixed("ERR DB index is out of range"));
    };
    ctx.keys.swap_dbs(first, second, ctx.now_ms);
    ctx.dirty += 1;
    ctx.reply.ok();
    Ok(())
}

fn role(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    let view = ctx.node.hub.observe();
    let reply = &mut *ctx.reply;
    if let Some(link) = &view.link {
        reply.array(5);
        reply.bulk(b"slave");
        reply.bulk(link.host.as_bytes());
        reply.int(i64::from(link.port));
        reply.bulk(link.state.name().as_bytes());
        reply.int(if view.link_up() {
            view.offset as i64
        } else {
            -1
        });
        return Ok(());
    }
    let online = |replica: &&crate::repl::Replica| replica.state == ReplicaState::Online;
    let online: Vec<_> = view.replicas.iter().filter(online).collect();
    reply.array(3);
    reply.bulk(b"master");
    reply.int(view.offset as i64);
    reply.array(online.len());
    for replica in online {
        reply.array(3);
        reply.bulk(replica.ip().as_bytes());
        reply.bulk_int(i64::from(replica.listening_port));
        reply.bulk_int(replica.ack_offset as i64);
    }
    Ok(())
}

/// The art differs between versions; all of ours is the signature below it.
fn lolwut(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    if args.len() >= 3 && is_word(args[1], "version") {
        int_arg(args[2])?;
    }
    let text = format!("Redis ver. {REDIS_VERSION}\n");
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}
