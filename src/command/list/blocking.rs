//! The forms that wait for a list: BLPOP, BRPOP, BLMPOP, BLMOVE, BRPOPLPUSH.
//!
//! Each does what its plain form does if there is something to take, and is logged as that form. Else the
//! client waits; when one of its keys becomes a list the same handler runs again.

use super::movement::move_element;
use super::pop::{ManyArgs, pop_many, pop_name, popped};
use super::{end_arg, list_mut_and_reply, put_item};
use crate::command::arguments::deadline_arg;
use crate::command::context::BlockRequest;
use crate::command::{Args, CommandResult, Context};
use crate::data::Kind;
use crate::data::list::End;

/// Waits for the keys, or answers as at a timeout where waiting is not possible.
fn wait(ctx: &mut Context<'_>, keys: &[&[u8]], deadline_ms: Option<i64>, null_array: bool) {
    if ctx.deny_blocking {
        match null_array {
            true => ctx.reply.null_array(),
            false => ctx.reply.null(),
        }
        return;
    }
    ctx.block_on(BlockRequest {
        keys: keys.iter().map(|key| key.to_vec().into()).collect(),
        deadline_ms,
        kind: Kind::List,
        // After a wait it is a null array, whatever the command gives without one.
        null_array: true,
    });
}

/// BLPOP and BRPOP.
pub fn pop(ctx: &mut Context<'_>, args: &Args<'_>, end: End) -> CommandResult {
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
        list.pop_with(end, &enc, |item| put_item(reply, item));
        let emptied = list.is_empty();
        popped(ctx, key, end, 1, emptied);
        ctx.effects.replace(&[pop_name(end), key]);
        return Ok(());
    }
    wait(ctx, keys, deadline_ms, true);
    Ok(())
}

pub fn blmpop(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let wanted = ManyArgs::parse(&args[2..])?;
    let deadline_ms = deadline_arg(args[1], ctx.now_ms)?;
    if !pop_many(ctx, &wanted)? {
        wait(ctx, wanted.keys, deadline_ms, true);
    }
    Ok(())
}

pub fn blmove(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (from, to) = (end_arg(args[3])?, end_arg(args[4])?);
    let deadline_ms = deadline_arg(args[5], ctx.now_ms)?;
    if move_element(ctx, args[1], args[2], from, to)? {
        let lmove: &[u8] = b"LMOVE";
        ctx.effects
            .replace(&[lmove, args[1], args[2], args[3], args[4]]);
    } else {
        wait(ctx, &args[1..2], deadline_ms, false);
    }
    Ok(())
}

pub fn brpoplpush(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let deadline_ms = deadline_arg(args[3], ctx.now_ms)?;
    if move_element(ctx, args[1], args[2], End::Tail, End::Head)? {
        let rpoplpush: &[u8] = b"RPOPLPUSH";
        ctx.effects.replace(&[rpoplpush, args[1], args[2]]);
    } else {
        wait(ctx, &args[1..2], deadline_ms, false);
    }
    Ok(())
}
