//! Taking elements from an end: LPOP, RPOP, LMPOP.

use super::{end_arg, list_mut_and_reply};
use crate::command::Context;
use crate::command::collections::pop_args::{PopArgs, log_pop};
use crate::command::context::EventClass;
use crate::command::context::arguments::count_arg;
use crate::command::context::values::reply_item;
use crate::data::list::End;
use crate::data::{Encodings, List};
use crate::resp::Reply;
use crate::table::{Args, CommandError, CommandResult};

/// Says that elements went, and removes the key if they were the last.
pub(super) fn popped(ctx: &mut Context<'_>, key: &[u8], end: End, count: usize, emptied: bool) {
    let event = match end {
        End::Head => "lpop",
        End::Tail => "rpop",
    };
    ctx.notify(EventClass::List, event, key);
    if emptied {
        ctx.remove_if_empty(key);
    }
    ctx.touch(key);
    ctx.dirty += count as u64;
}

/// Writes up to `count` elements, outermost first, as an array, and removes them; how many.
fn take_many(list: &mut List, end: End, count: i64, enc: &Encodings, reply: &mut Reply) -> usize {
    let count = usize::try_from(count).unwrap_or(0).min(list.len());
    reply.array(count);
    for item in list.iter_from(end, 0).take(count) {
        reply_item(reply, item);
    }
    let start = match end {
        End::Head => 0,
        End::Tail => list.len() - count,
    };
    list.remove_span(start, count, enc);
    count
}

/// LPOP and RPOP.
pub(super) fn pop(ctx: &mut Context<'_>, args: &Args<'_>, end: End) -> CommandResult {
    let key = args[1];
    let count = match args {
        [_, _] => None,
        [_, _, count] => Some(count_arg(count)?),
        _ => {
            return Err(CommandError::arity(match end {
                End::Head => "lpop",
                End::Tail => "rpop",
            }));
        }
    };
    let enc = ctx.encodings();
    let (list, reply) = list_mut_and_reply(ctx, key)?;
    let Some(list) = list else {
        match count {
            Some(_) => reply.null_array(),
            None => reply.null(),
        }
        return Ok(());
    };
    let gone = match count {
        Some(0) => {
            reply.array(0);
            return Ok(());
        }
        Some(count) => take_many(list, end, count, &enc, reply),
        None => {
            list.pop_with(end, &enc, |item| reply_item(reply, item));
            1
        }
    };
    let emptied = list.is_empty();
    popped(ctx, key, end, gone, emptied);
    Ok(())
}

/// Pops from the first of the keys that has a list. False, with nothing said, if there is none.
pub(super) fn pop_many(ctx: &mut Context<'_>, wanted: &PopArgs<'_>) -> CommandResult<bool> {
    let enc = ctx.encodings();
    for key in wanted.keys {
        let (list, reply) = list_mut_and_reply(ctx, key)?;
        let Some(list) = list else {
            continue;
        };
        reply.array(2);
        reply.bulk(key);
        let gone = take_many(list, wanted.end, wanted.count, &enc, reply);
        let emptied = list.is_empty();
        popped(ctx, key, wanted.end, gone, emptied);
        log_pop(ctx, pop_name(wanted.end), key, gone);
        return Ok(true);
    }
    Ok(false)
}

/// The command that replays a pop.
pub(super) fn pop_name(end: End) -> &'static [u8] {
    match end {
        End::Head => b"LPOP",
        End::Tail => b"RPOP",
    }
}

pub(super) fn lmpop(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    if !pop_many(ctx, &PopArgs::parse(&args[1..], end_arg)?)? {
        ctx.reply.null_array();
    }
    Ok(())
}
