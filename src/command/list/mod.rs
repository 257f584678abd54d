//! Lists: pushing, reading and changing; popping, moving, searching and waiting are in their own files.

mod blocking;
mod movement;
mod pop;
mod search;

use crate::command::context::arguments::index_range;
use crate::command::context::values::{reply_element, reply_elements};
use crate::command::context::{EventClass, int_arg};
use crate::command::{Context, Handlers};
use crate::data::list::End;
use crate::data::{List, ValueMut, ValueRef};
use crate::resp::Reply;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

pub(crate) const HANDLERS: Handlers = &[
    ("lpush", |ctx, args| push(ctx, args, End::Head, false)),
    ("rpush", |ctx, args| push(ctx, args, End::Tail, false)),
    ("lpushx", |ctx, args| push(ctx, args, End::Head, true)),
    ("rpushx", |ctx, args| push(ctx, args, End::Tail, true)),
    ("llen", llen),
    ("lindex", lindex),
    ("lset", lset),
    ("linsert", linsert),
    ("lrange", lrange),
    ("ltrim", ltrim),
    ("lrem", lrem),
    ("lpos", search::lpos),
    ("lpop", |ctx, args| pop::pop(ctx, args, End::Head)),
    ("rpop", |ctx, args| pop::pop(ctx, args, End::Tail)),
    ("lmpop", pop::lmpop),
    ("lmove", movement::lmove),
    ("rpoplpush", movement::rpoplpush),
    ("blpop", |ctx, args| blocking::pop(ctx, args, End::Head)),
    ("brpop", |ctx, args| blocking::pop(ctx, args, End::Tail)),
    ("blmpop", blocking::blmpop),
    ("blmove", blocking::blmove),
    ("brpoplpush", blocking::brpoplpush),
];

/// A list for reading and the reply beside it.
fn list_and_reply<'c>(
    ctx: &'c mut Context<'_>,
    key: &[u8],
) -> CommandResult<(Option<&'c List>, &'c mut Reply)> {
    match ctx.find_for_reply(key) {
        (None, reply) => Ok((None, reply)),
        (Some(ValueRef::List(list)), reply) => Ok((Some(list), reply)),
        _ => Err(CommandError::WRONG_TYPE),
    }
}

/// A list for changing and the reply beside it.
fn list_mut_and_reply<'c>(
    ctx: &'c mut Context<'_>,
    key: &[u8],
) -> CommandResult<(Option<&'c mut List>, &'c mut Reply)> {
    match ctx.find_mut_for_reply(key) {
        (None, reply) => Ok((None, reply)),
        (Some(ValueMut::List(list)), reply) => Ok((Some(list), reply)),
        _ => Err(CommandError::WRONG_TYPE),
    }
}

/// LEFT or RIGHT.
fn end_arg(arg: &[u8]) -> CommandResult<End> {
    if is_word(arg, "left") {
        Ok(End::Head)
    } else if is_word(arg, "right") {
        Ok(End::Tail)
    } else {
        Err(CommandError::SYNTAX)
    }
}

/// Says that elements came: `new_key` wakes those who wait for it.
fn pushed(ctx: &mut Context<'_>, key: &[u8], end: End, count: usize, new_key: bool) {
    let event = match end {
        End::Head => "lpush",
        End::Tail => "rpush",
    };
    ctx.dirty += count as u64;
    ctx.touch(key);
    ctx.notify(EventClass::List, event, key);
    if new_key {
        ctx.signal_ready(key);
    }
}

fn push(ctx: &mut Context<'_>, args: &Args<'_>, end: End, only_existing: bool) -> CommandResult {
    let (key, values) = (args[1], &args[2..]);
    let enc = ctx.encodings();
    let list = if only_existing {
        match ctx.find_list_mut(key)? {
            Some(list) => list,
            None => {
                ctx.reply.int(0);
                return Ok(());
            }
        }
    } else {
        ctx.list_or_create(key)?
    };
    list.push_all(end, values, &enc);
    let len = list.len();
    ctx.reply.int(len as i64);
    pushed(ctx, key, end, values.len(), len == values.len());
    Ok(())
}

fn llen(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (list, reply) = list_and_reply(ctx, args[1])?;
    reply.int(list.map_or(0, List::len) as i64);
    Ok(())
}

fn lindex(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (list, reply) = list_and_reply(ctx, args[1])?;
    let Some(list) = list else {
        reply.null();
        return Ok(());
    };
    reply_element(reply, list, int_arg(args[2])?);
    Ok(())
}

fn lset(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let key = args[1];
    let enc = ctx.encodings();
    let list = ctx.find_list_mut(key)?.ok_or(CommandError::NO_SUCH_KEY)?;
    // Redis keeps the low 32 bits of this index, here only.
    let index = i64::from(int_arg(args[2])? as i32);
    if !list.set(index, args[3], &enc) {
        return Err(CommandError::OUT_OF_RANGE);
    }
    ctx.reply.ok();
    ctx.changed(key, EventClass::List, "lset");
    Ok(())
}

fn linsert(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (key, side, pivot, value) = (args[1], args[2], args[3], args[4]);
    let after = is_word(side, "after");
    if !after && !is_word(side, "before") {
        return Err(CommandError::SYNTAX);
    }
    let enc = ctx.encodings();
    let Some(list) = ctx.find_list_mut(key)? else {
        ctx.reply.int(0);
        return Ok(());
    };
    if !list.insert(pivot, after, value, &enc) {
        ctx.reply.int(-1);
        return Ok(());
    }
    let len = list.len();
    ctx.reply.int(len as i64);
    ctx.changed(key, EventClass::List, "linsert");
    Ok(())
}

fn lrange(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (start, stop) = (int_arg(args[2])?, int_arg(args[3])?);
    let (list, reply) = list_and_reply(ctx, args[1])?;
    let range = list.and_then(|list| Some((list, index_range(start, stop, list.len())?)));
    let Some((list, (start, stop))) = range else {
        reply.array(0);
        return Ok(());
    };
    reply.array(stop - start + 1);
    reply_elements(reply, list.range(start, stop));
    Ok(())
}

fn ltrim(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let key = args[1];
    let (start, stop) = (int_arg(args[2])?, int_arg(args[3])?);
    let enc = ctx.encodings();
    let Some(list) = ctx.find_list_mut(key)? else {
        ctx.reply.ok();
        return Ok(());
    };
    let before = list.len();
    // A range outside of the list leaves nothing: 1 > 0.
    let (start, stop) = index_range(start, stop, before).unwrap_or((1, 0));
    list.trim(start, stop, &enc);
    let gone = before - list.len();
    ctx.notify(EventClass::List, "ltrim", key);
    if gone == before {
        ctx.remove_if_empty(key);
    }
    ctx.touch(key);
    ctx.dirty += gone as u64;
    ctx.reply.ok();
    Ok(())
}

fn lrem(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let key = args[1];
    let count = int_arg(args[2])?;
    let enc = ctx.encodings();
    let Some(list) = ctx.find_list_mut(key)? else {
        ctx.reply.int(0);
        return Ok(());
    };
    let gone = list.remove(args[3], count, &enc);
    let empty = list.is_empty();
    if gone > 0 {
        ctx.dirty += gone as u64;
        ctx.touch(key);
        ctx.notify(EventClass::List, "lrem", key);
    }
    if empty {
        ctx.remove_if_empty(key);
    }
    ctx.reply.int(gone as i64);
    Ok(())
}

#[cfg(test)]
mod tests;
