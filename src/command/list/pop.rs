//! Taking elements from an end: LPOP, RPOP, LMPOP.

use super::{end_arg, list_mut_and_reply, put_item};
use crate::command::arguments::{count_arg, int_at_least};
use crate::command::context::{EventClass, is_word};
use crate::command::{Args, CommandError, CommandResult, Context};
use crate::data::list::End;
use crate::data::{Encodings, List};
use crate::resp::Reply;

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
        put_item(reply, item);
    }
    let start = match end {
        End::Head => 0,
        End::Tail => list.len() - count,
    };
    list.remove_span(start, count, enc);
    count
}

/// LPOP and RPOP.
pub fn pop(ctx: &mut Context<'_>, args: &Args<'_>, end: End) -> CommandResult {
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
            list.pop_with(end, &enc, |item| put_item(reply, item));
            1
        }
    };
    let emptied = list.is_empty();
    popped(ctx, key, end, gone, emptied);
    Ok(())
}

/// What LMPOP and BLMPOP take after the number of keys.
pub(super) struct ManyArgs<'a> {
    pub keys: &'a [&'a [u8]],
    pub end: End,
    pub count: i64,
}

impl<'a> ManyArgs<'a> {
    /// Parses from the number of keys on.
    pub fn parse(args: &'a [&'a [u8]]) -> CommandResult<ManyArgs<'a>> {
        let count = int_at_least(args[0], 1, "ERR numkeys should be greater than 0")?;
        let keys = usize::try_from(count).ok();
        let (keys, rest) = keys
            .and_then(|keys| args[1..].split_at_checked(keys))
            .ok_or(CommandError::SYNTAX)?;
        let (end, options) = rest.split_first().ok_or(CommandError::SYNTAX)?;
        let end = end_arg(end)?;
        let count = match options {
            [] => 1,
            [word, count] if is_word(word, "count") => {
                int_at_least(count, 1, "ERR count should be greater than 0")?
            }
            // A bad number is named before what comes behind it.
            [word, count, ..] if is_word(word, "count") => {
                int_at_least(count, 1, "ERR count should be greater than 0")?;
                return Err(CommandError::SYNTAX);
            }
            _ => return Err(CommandError::SYNTAX),
        };
        Ok(ManyArgs { keys, end, count })
    }
}

/// Pops from the first of the keys that has a list. False, with nothing said, if there is none.
pub(super) fn pop_many(ctx: &mut Context<'_>, wanted: &ManyArgs<'_>) -> CommandResult<bool> {
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
        let mut digits = itoa::Buffer::new();
        let gone = digits.format(gone).as_bytes();
        ctx.effects.replace(&[pop_name(wanted.end), key, gone]);
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

pub fn lmpop(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    if !pop_many(ctx, &ManyArgs::parse(&args[1..])?)? {
        ctx.reply.null_array();
    }
    Ok(())
}
