//! Strings as rows of bits: SETBIT and GETBIT; counting and searching, BITOP and bit fields are in their own files.
//!
//! A string is changed where it is. It is copied when it has to grow, and when a snapshot or a reply still holds it: once,
//! as a whole, whatever its size.

mod combine;
mod count;
mod field;
#[cfg(test)]
mod tests;

use crate::command::context::{EventClass, int_arg};
use crate::command::{Context, Handlers};
use crate::data::{StrRef, bits};
use crate::table::{Args, CommandError, CommandResult};

pub(crate) const HANDLERS: Handlers = &[
    ("setbit", setbit),
    ("getbit", getbit),
    ("bitcount", count::bitcount),
    ("bitpos", count::bitpos),
    ("bitop", combine::bitop),
    ("bitfield", |ctx, args| field::bitfield(ctx, args, false)),
    ("bitfield_ro", |ctx, args| field::bitfield(ctx, args, true)),
];

const BAD_OFFSET: CommandError =
    CommandError::fixed("ERR bit offset is not an integer or out of range");

/// Where a bit is. Nothing past `proto-max-bulk-len` is one, except to our master, whose stream must be applied.
fn offset_arg(ctx: &Context<'_>, arg: &[u8]) -> CommandResult<u64> {
    check_offset(ctx, int_arg(arg).map_err(|_| BAD_OFFSET)?)
}

fn check_offset(ctx: &Context<'_>, offset: i64) -> CommandResult<u64> {
    let offset = u64::try_from(offset).map_err(|_| BAD_OFFSET)?;
    if offset / 8 >= ctx.settings.proto_max_bulk_len && !ctx.is_from_master() {
        return Err(BAD_OFFSET);
    }
    Ok(offset)
}

/// Bytes of a string that has this bit.
fn length_with(offset: u64) -> usize {
    (offset / 8) as usize + 1
}

/// What changing a string's bits comes to.
struct Edited<R> {
    result: R,
    /// It had to grow first.
    grew: bool,
}

/// Calls `f` with the bytes of the string at `key`, which has at least `least` of them then.
fn edit<R>(
    ctx: &mut Context<'_>,
    key: &[u8],
    least: usize,
    f: impl FnOnce(&mut [u8]) -> R,
) -> CommandResult<Edited<R>> {
    let found = ctx.string_to_change(key)?;
    let grew = found.is_none_or(|found| ctx.string_at(found).len() < least);
    if let Some(found) = found.filter(|_| !grew)
        && let Some(bytes) = ctx.bytes_at(found)
    {
        let result = f(bytes);
        return Ok(Edited { result, grew });
    }
    let mut f = Some(f);
    let mut result = None;
    ctx.edit_string(key, &mut |text| {
        grow(text, least);
        result = f.take().map(|f| f(text));
    });
    // `edit_string` calls what it is given once.
    let result = result.ok_or(CommandError::fixed("ERR the string was not edited"))?;
    Ok(Edited { result, grew })
}

/// Makes a string at least so long, filling it up with zeros.
fn grow(text: &mut Vec<u8>, least: usize) {
    if least > text.capacity() && least / 2 > text.len() {
        // New memory comes as zeros; filling it would touch all of it.
        let mut longer = vec![0; least];
        longer[..text.len()].copy_from_slice(text);
        *text = longer;
    } else if least > text.len() {
        text.resize(least, 0);
    }
}

fn setbit(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    const BAD_BIT: CommandError = CommandError::fixed("ERR bit is not an integer or out of range");
    let key = args[1];
    let offset = offset_arg(ctx, args[2])?;
    let on = match int_arg(args[3]) {
        Ok(0) => false,
        Ok(1) => true,
        _ => return Err(BAD_BIT),
    };
    let least = length_with(offset);
    // A long string that stays as it is need not be copied from those who hold it.
    if let Some(found) = ctx.string_to_change(key)?
        && let StrRef::Long(text) = ctx.string_at(found)
        && text.len() >= least
        && bits::get(&text, offset) == on
    {
        ctx.reply.int(i64::from(on));
        return Ok(());
    }
    let edited = edit(ctx, key, least, |bytes| {
        let before = bits::get(bytes, offset);
        bits::set(bytes, offset, on);
        before
    })?;
    let before = edited.result;
    if edited.grew || before != on {
        ctx.changed(key, EventClass::String, "setbit");
    }
    ctx.reply.int(i64::from(before));
    Ok(())
}

fn getbit(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let offset = offset_arg(ctx, args[2])?;
    let text = ctx.find_string(args[1])?;
    let on = text.is_some_and(|text| text.with(|bytes| bits::get(bytes, offset)));
    ctx.reply.int(i64::from(on));
    Ok(())
}
