//! From one list to another: LMOVE, RPOPLPUSH.

use super::pop::popped;
use super::{end_arg, pushed};
use crate::command::Context;
use crate::data::list::End;
use crate::table::{Args, CommandResult};

/// Moves an element from an end of one list to an end of another, which may be the same. False, with
/// nothing said, if the source is absent.
pub(super) fn move_element(
    ctx: &mut Context<'_>,
    source: &[u8],
    destination: &[u8],
    from: End,
    to: End,
) -> CommandResult<bool> {
    if ctx.find_list_mut(source)?.is_none() {
        return Ok(false);
    }
    let enc = ctx.encodings();
    let new_key = ctx.find_list_mut(destination)?.is_none();
    let Some(list) = ctx.find_list_mut(source)? else {
        return Ok(false);
    };
    let Some(value) = list.pop(from, &enc) else {
        return Ok(false);
    };
    ctx.list_or_create(destination)?.push(to, &value, &enc);
    pushed(ctx, destination, to, 0, new_key);
    ctx.reply.bulk(&value);
    let emptied = ctx
        .find_list_mut(source)?
        .is_some_and(|list| list.is_empty());
    popped(ctx, source, from, 1, emptied);
    Ok(true)
}

pub(super) fn lmove(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (from, to) = (end_arg(args[3])?, end_arg(args[4])?);
    if !move_element(ctx, args[1], args[2], from, to)? {
        ctx.reply.null();
    }
    Ok(())
}

pub(super) fn rpoplpush(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    if !move_element(ctx, args[1], args[2], End::Tail, End::Head)? {
        ctx.reply.null();
    }
    Ok(())
}
