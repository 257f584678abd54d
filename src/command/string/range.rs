//! Parts of strings: APPEND, STRLEN, SETRANGE, GETRANGE and its old name SUBSTR.

use std::ops::Range;

use crate::command::context::values::reply_part;
use crate::command::context::{EventClass, int_arg};
use crate::command::{Context, Handlers};
use crate::data::{ValueMut, ValueRef};
use crate::keyspace::Expiry;
use crate::table::{Args, CommandError, CommandResult};

pub(crate) const HANDLERS: Handlers = &[
    ("append", append),
    ("strlen", strlen),
    ("setrange", setrange),
    ("getrange", getrange),
    ("substr", getrange),
];

/// The length of the string to be changed; None if there is none.
fn length_for_write(ctx: &mut Context<'_>, key: &[u8]) -> CommandResult<Option<usize>> {
    match ctx.find_mut(key) {
        None => Ok(None),
        Some(ValueMut::String(value)) => Ok(Some(value.len())),
        Some(_) => Err(CommandError::WRONG_TYPE),
    }
}

/// Refuses strings beyond `proto-max-bulk-len`, except from our master, whose stream must be applied.
fn check_length(ctx: &Context<'_>, start: usize, added: usize) -> CommandResult {
    let total = (start as u64).saturating_add(added as u64);
    if total > ctx.settings.proto_max_bulk_len && !ctx.is_from_master() {
        return Err(CommandError::fixed(
            "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
        ));
    }
    Ok(())
}

fn append(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (key, tail) = (args[1], args[2]);
    let length = match length_for_write(ctx, key)? {
        None => {
            ctx.set_string(key, tail, Expiry::Keep);
            tail.len()
        }
        Some(length) => {
            check_length(ctx, length, tail.len())?;
            ctx.edit_string(key, &mut |text| text.extend_from_slice(tail));
            length + tail.len()
        }
    };
    ctx.changed(key, EventClass::String, "append");
    ctx.reply.int(length as i64);
    Ok(())
}

fn strlen(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let length = ctx.find_string(args[1])?.map_or(0, |value| value.len());
    ctx.reply.int(length as i64);
    Ok(())
}

fn setrange(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (key, part) = (args[1], args[3]);
    let start = usize::try_from(int_arg(args[2])?)
        .map_err(|_| CommandError::fixed("ERR offset is out of range"))?;
    let length = length_for_write(ctx, key)?.unwrap_or(0);
    if part.is_empty() {
        ctx.reply.int(length as i64);
        return Ok(());
    }
    check_length(ctx, start, part.len())?;
    let end = start + part.len();
    ctx.edit_string(key, &mut |text| {
        if text.len() < end {
            text.resize(end, 0);
        }
        text[start..end].copy_from_slice(part);
    });
    ctx.changed(key, EventClass::String, "setrange");
    ctx.reply.int(length.max(end) as i64);
    Ok(())
}

fn getrange(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (start, end) = (int_arg(args[2])?, int_arg(args[3])?);
    match ctx.find_for_reply(args[1]) {
        (None, reply) => reply.bulk(b""),
        (Some(ValueRef::String(value)), reply) => {
            reply_part(reply, value, part_of(value.len(), start, end));
        }
        (Some(_), _) => return Err(CommandError::WRONG_TYPE),
    }
    Ok(())
}

/// The part from `start` to `end` inclusive; negative ones count from the end, as far as there is text.
fn part_of(length: usize, start: i64, end: i64) -> Range<usize> {
    if start < 0 && end < 0 && start > end {
        return 0..0;
    }
    let length = length as i64;
    let from_front = |i: i64| if i < 0 { (length + i).max(0) } else { i };
    let (start, end) = (from_front(start), from_front(end).min(length - 1));
    if start > end {
        return 0..0;
    }
    start as usize..end as usize + 1
}

#[cfg(test)]
mod tests {
    use super::part_of;

    #[test]
    fn ranges_clamp_as_in_redis() {
        let text = b"This is a string";
        for (start, end, want) in [
            (0, 3, "This"),
            (-3, -1, "ing"),
            (0, -1, "This is a string"),
            (10, 100, "string"),
            (5, 3, ""),
            (-1, -3, ""),
            (-100, -90, "T"),
            (16, 20, ""),
            (i64::MIN, i64::MAX, "This is a string"),
            (0, i64::MIN, "T"),
        ] {
            let got = &text[part_of(text.len(), start, end)];
            assert_eq!(got, want.as_bytes(), "{start}..={end}");
        }
        assert!(part_of(0, 0, -1).is_empty());
        assert!(part_of(0, -1, 0).is_empty());
    }
}
