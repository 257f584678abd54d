//! Taking the lowest or highest members: ZPOPMIN, ZPOPMAX, ZMPOP and the forms that wait.

use super::{begin_members, put_member, put_scored, zset_mut_and_reply};
use crate::command::Context;
use crate::command::collections::pop_args::{PopArgs, log_pop, wait_for_keys};
use crate::command::context::EventClass;
use crate::command::context::arguments::{count_arg, deadline_arg};
use crate::data::list::{End, Item};
use crate::data::{Kind, Zset};
use crate::resp::Reply;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

/// Says that members went, and removes the key if they were the last.
fn popped(ctx: &mut Context<'_>, key: &[u8], end: End, count: usize, emptied: bool) {
    let event = match end {
        End::Head => "zpopmin",
        End::Tail => "zpopmax",
    };
    ctx.dirty += count as u64;
    ctx.notify(EventClass::Zset, event, key);
    ctx.touch(key);
    if emptied {
        ctx.remove_if_empty(key);
    }
}

/// Shows up to `count` members, outermost first, to `f`, and removes them.
fn take(zset: &mut Zset, end: End, count: usize, mut put: impl FnMut(Item<'_>, f64)) {
    if count == 1 {
        zset.pop_with(end, put);
        return;
    }
    let len = zset.len();
    let span = match end {
        End::Head => 0..count,
        End::Tail => len - count..len,
    };
    for (member, score) in zset.range(span.clone(), end == End::Tail) {
        put(member, score);
    }
    zset.remove_span(span);
}

/// ZPOPMIN and ZPOPMAX.
pub(super) fn pop(ctx: &mut Context<'_>, args: &Args<'_>, end: End) -> CommandResult {
    let key = args[1];
    let count = match args {
        [_, _] => None,
        [_, _, count] => Some(count_arg(count)?),
        _ => return Err(CommandError::SYNTAX),
    };
    let (zset, reply) = zset_mut_and_reply(ctx, key)?;
    let wanted = usize::try_from(count.unwrap_or(1)).unwrap_or(usize::MAX);
    let (Some(zset), 1..) = (zset, wanted) else {
        reply.array(0);
        return Ok(());
    };
    let gone = wanted.min(zset.len());
    if count.is_some() {
        begin_members(reply, gone, true);
        take(zset, end, gone, |member, score| {
            put_scored(reply, member, score, true)
        });
    } else {
        // Without a count the pair is flat in RESP3 as well.
        reply.array(2);
        take(zset, end, gone, |member, score| {
            put_flat(reply, member, score)
        });
    }
    let emptied = zset.is_empty();
    popped(ctx, key, end, gone, emptied);
    Ok(())
}

fn put_flat(reply: &mut Reply, member: Item<'_>, score: f64) {
    put_member(reply, member);
    reply.double(score);
}

fn end_arg(word: &[u8]) -> CommandResult<End> {
    match word {
        word if is_word(word, "min") => Ok(End::Head),
        word if is_word(word, "max") => Ok(End::Tail),
        _ => Err(CommandError::SYNTAX),
    }
}

/// The command that replays a pop.
fn pop_name(end: End) -> &'static [u8] {
    match end {
        End::Head => b"ZPOPMIN",
        End::Tail => b"ZPOPMAX",
    }
}

/// Pops from the first of the keys that has a sorted set. False, with nothing said, if there is none.
fn pop_many(ctx: &mut Context<'_>, wanted: &PopArgs<'_>) -> CommandResult<bool> {
    let limit = usize::try_from(wanted.count).unwrap_or(usize::MAX);
    for key in wanted.keys {
        let (zset, reply) = zset_mut_and_reply(ctx, key)?;
        let Some(zset) = zset else {
            continue;
        };
        let gone = limit.min(zset.len());
        reply.array(2);
        reply.bulk(key);
        reply.array(gone);
        take(zset, wanted.end, gone, |member, score| {
            reply.array(2);
            put_flat(reply, member, score);
        });
        let emptied = zset.is_empty();
        popped(ctx, key, wanted.end, gone, emptied);
        log_pop(ctx, pop_name(wanted.end), key, gone);
        return Ok(true);
    }
    Ok(false)
}

pub(super) fn zmpop(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    if !pop_many(ctx, &PopArgs::parse(&args[1..], end_arg)?)? {
        ctx.reply.null_array();
    }
    Ok(())
}

/// BZPOPMIN and BZPOPMAX.
pub(super) fn blocking_pop(ctx: &mut Context<'_>, args: &Args<'_>, end: End) -> CommandResult {
    let (keys, timeout) = (&args[1..args.len() - 1], args[args.len() - 1]);
    let deadline_ms = deadline_arg(timeout, ctx.now_ms)?;
    for key in keys {
        let (zset, reply) = zset_mut_and_reply(ctx, key)?;
        let Some(zset) = zset else {
            continue;
        };
        reply.array(3);
        reply.bulk(key);
        take(zset, end, 1, |member, score| put_flat(reply, member, score));
        let emptied = zset.is_empty();
        popped(ctx, key, end, 1, emptied);
        ctx.effects.replace(&[pop_name(end), key]);
        return Ok(());
    }
    wait_for_keys(ctx, 1..args.len() - 1, deadline_ms, Kind::Zset, true);
    Ok(())
}

pub(super) fn bzmpop(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let wanted = PopArgs::parse(&args[2..], end_arg)?;
    let deadline_ms = deadline_arg(args[1], ctx.now_ms)?;
    if !pop_many(ctx, &wanted)? {
        wait_for_keys(ctx, 3..3 + wanted.keys.len(), deadline_ms, Kind::Zset, true);
    }
    Ok(())
}
