//! BITCOUNT and BITPOS.

use std::ops::Range;

use crate::command::Context;
use crate::command::context::int_arg;
use crate::data::bits;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

/// Whether BIT is said, and not BYTE.
fn unit_is_bit(arg: Option<&&[u8]>) -> CommandResult<bool> {
    match arg {
        None => Ok(false),
        Some(word) if is_word(word, "bit") => Ok(true),
        Some(word) if is_word(word, "byte") => Ok(false),
        Some(_) => Err(CommandError::SYNTAX),
    }
}

/// The bits from `start` to `end` inclusive, both in the unit said, of a string of `len` bytes. Negative ones count
/// from its end; what lies beyond it is cut off.
fn bits_between(start: i64, end: i64, by_bit: bool, len: usize) -> Range<u64> {
    let unit = if by_bit { 1 } else { 8 };
    let total = len as i64 * 8 / unit;
    let from_front = |at: i64| (if at < 0 { total + at } else { at }).max(0);
    let (start, end) = (from_front(start), from_front(end).min(total - 1));
    if start > end {
        return 0..0;
    }
    (start * unit) as u64..((end + 1) * unit) as u64
}

fn all(len: usize) -> Range<u64> {
    0..8 * len as u64
}

pub(super) fn bitcount(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let Some(text) = ctx.find_string(args[1])? else {
        ctx.reply.int(0);
        return Ok(());
    };
    let range = match args.len() {
        2 => all(text.len()),
        4 | 5 => {
            let (start, end) = (int_arg(args[2])?, int_arg(args[3])?);
            if start < 0 && end < 0 && start > end {
                // The unit is not looked at any more.
                0..0
            } else {
                bits_between(start, end, unit_is_bit(args.get(4))?, text.len())
            }
        }
        _ => return Err(CommandError::SYNTAX),
    };
    let count = text.with(|bytes| bits::count(bytes, range));
    ctx.reply.int(count as i64);
    Ok(())
}

pub(super) fn bitpos(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let on = match int_arg(args[2])? {
        0 => false,
        1 => true,
        _ => {
            return Err(CommandError::fixed("ERR The bit argument must be 1 or 0."));
        }
    };
    let Some(text) = ctx.find_string(args[1])? else {
        ctx.reply.int(if on { -1 } else { 0 });
        return Ok(());
    };
    let len = text.len();
    let range = match args.len() {
        3 => all(len),
        4..=6 => {
            let start = int_arg(args[3])?;
            let by_bit = unit_is_bit(args.get(5))?;
            let end = args.get(4).map_or(Ok(-1), |end| int_arg(end))?;
            bits_between(start, end, by_bit, len)
        }
        _ => return Err(CommandError::SYNTAX),
    };
    let found = text.with(|bytes| bits::first(bytes, range.clone(), on));
    let open_end = args.len() < 5;
    ctx.reply.int(match found {
        Some(at) => at as i64,
        // Without an end the string goes on with zeros.
        None if !on && open_end && !range.is_empty() => range.end as i64,
        None => -1,
    });
    Ok(())
}
