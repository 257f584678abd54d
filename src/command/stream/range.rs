//! XLEN, XRANGE and XREVRANGE.

use super::{end_arg, reply_entry, start_arg};
use crate::command::Context;
use crate::command::context::int_arg;
use crate::data::ValueRef;
use crate::data::stream::Entry;
use crate::resp::Reply;
use crate::resp::reply::Aggregate;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

pub(super) fn xlen(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let len = ctx.find_stream(args[1])?.map_or(0, |stream| stream.len());
    ctx.reply.int(len as i64);
    Ok(())
}

/// Writes entries as an array; how many there were.
pub(super) fn reply_entries<'a>(
    reply: &mut Reply,
    entries: impl Iterator<Item = Entry<'a>>,
) -> usize {
    let mark = reply.begin();
    let mut count = 0;
    for entry in entries {
        reply_entry(reply, &entry);
        count += 1;
    }
    reply.end(mark, Aggregate::Array, count);
    count
}

/// XRANGE, and XREVRANGE, whose range comes end first.
pub(super) fn range(ctx: &mut Context<'_>, args: &Args<'_>, reverse: bool) -> CommandResult {
    let (start, end) = if reverse {
        (args[3], args[2])
    } else {
        (args[2], args[3])
    };
    let (start, end) = (start_arg(start)?, end_arg(end)?);
    let mut count = None;
    let mut options = &args[4..];
    while let [word, rest @ ..] = options {
        match rest {
            [number, rest @ ..] if is_word(word, "count") => {
                count = Some(int_arg(number)?.max(0));
                options = rest;
            }
            _ => return Err(CommandError::SYNTAX),
        }
    }
    let count = count.map_or(usize::MAX, |count| count as usize);
    let (value, reply) = ctx.find_for_reply(args[1]);
    let entries = match value {
        None => {
            reply.array(0);
            return Ok(());
        }
        Some(ValueRef::Stream(stream)) => &stream.entries,
        Some(_) => return Err(CommandError::WRONG_TYPE),
    };
    match (count, reverse) {
        (0, _) => reply.null_array(),
        (_, false) => {
            reply_entries(reply, entries.range(start, end).take(count));
        }
        (_, true) => {
            reply_entries(reply, entries.range_back(start, end).take(count));
        }
    }
    Ok(())
}
