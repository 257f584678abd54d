//! The forms that wait for a list: BLPOP, BRPOP, BLMPOP, BLMOVE, BRPOPLPUSH.
//!
//! Each does what its plain form does if there is something to take, and is logged as that form. Else the
//! client waits; when one of its keys becomes a list the same handler runs again.

use super::movement::move_element;
use super::pop::{pop_many, pop_name, popped};
use super::{end_arg, list_mut_and_reply};
use crate::command::Context;
use crate::command::collections::pop_args::{PopArgs, wait_for_keys};
use crate::command::context::arguments::deadline_arg;
use crate::command::context::values::reply_item;
use crate::data::Kind;
use crate::data::list::End;
use crate::table::{Args, CommandResult};

/// BLPOP and BRPOP.
pub(super) fn pop(ctx: &mut Context<'_>, args: &Args<'_>, end: End) -> CommandResult {
    let (keys, timeout) = (&args[1..args.len() - 1], args[args.len() - 1]);
    let deadline_ms = deadline_arg(timeout, ctx.now_ms)?;
    let enc = ctx.encodings();
    for key in keys {
        let (list, reply) = list_mut_and_reply(ctx, key)?;
        let Some(list) = list else {
            continue;
        };
        reply.array(2);
        reply.bulk(key);
        list.pop_with(end, &enc, |item| reply_item(reply, item));
        let emptied = list.is_empty();
        popped(ctx, key, end, 1, emptied);
        ctx.effects.replace(&[pop_name(end), key]);
        return Ok(());
    }
    wait_for_keys(ctx, 1..args.len() - 1, deadline_ms, Kind::List, true);
    Ok(())
}

pub(super) fn blmpop(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let wanted = PopArgs::parse(&args[2..], end_arg)?;
    let deadline_ms = deadline_arg(args[1], ctx.now_ms)?;
    if !pop_many(ctx, &wanted)? {
        wait_for_keys(ctx, 3..3 + wanted.keys.len(), deadline_ms, Kind::List, true);
    }
    Ok(())
}

pub(super) fn blmove(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (from, to) = (end_arg(args[3])?, end_arg(args[4])?);
    let deadline_ms = deadline_arg(args[5], ctx.now_ms)?;
    if move_element(ctx, args[1], args[2], from, to)? {
        let lmove: &[u8] = b"LMOVE";
        ctx.effects
            .replace(&[lmove, args[1], args[2], args[3], args[4]]);
    } else {
        wait_for_keys(ctx, 1..2, deadline_ms, Kind::List, false);
    }
    Ok(())
}

pub(super) fn brpoplpush(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let deadline_ms = deadline_arg(args[3], ctx.now_ms)?;
    if move_element(ctx, args[1], args[2], End::Tail, End::Head)? {
        let rpoplpush: &[u8] = b"RPOPLPUSH";
        ctx.effects.replace(&[rpoplpush, args[1], args[2]]);
    } else {
        wait_for_keys(ctx, 1..2, deadline_ms, Kind::List, false);
    }
    Ok(())
}
