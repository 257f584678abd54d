//! BITFIELD and BITFIELD_RO.

use smallvec::SmallVec;

use super::{BAD_OFFSET, check_offset, edit, length_with};
use crate::command::Context;
use crate::command::context::lookup::Look;
use crate::command::context::{EventClass, int_arg};
use crate::data::bits::field::{FieldType, Overflow};
use crate::table::{Args, CommandError, CommandResult};
use crate::text::{is_word, parse_int};

/// What is done with a field.
#[derive(Clone, Copy, Debug)]
enum Action {
    Get,
    Set(i64, Overflow),
    Add(i64, Overflow),
}

#[derive(Clone, Copy, Debug)]
struct Step {
    field: FieldType,
    offset: u64,
    action: Action,
}

type Steps = SmallVec<[Step; 4]>;
/// What each step replies; None: the value did not fit, and OVERFLOW FAIL was said.
type Replies = SmallVec<[Option<i64>; 4]>;

/// "i16", "u63".
fn type_arg(arg: &[u8]) -> CommandResult<FieldType> {
    const BAD_TYPE: CommandError = CommandError::fixed(
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
    );
    let (signed, bits) = match arg {
        [b'i', bits @ ..] => (true, bits),
        [b'u', bits @ ..] => (false, bits),
        _ => return Err(BAD_TYPE),
    };
    // A text of C ends at a zero byte.
    let end = memchr::memchr(0, bits).unwrap_or(bits.len());
    let bits = parse_int(&bits[..end]).ok_or(BAD_TYPE)?;
    FieldType::new(signed, bits).ok_or(BAD_TYPE)
}

/// "100", or "#3": the fourth of fields like this one.
fn offset_arg(ctx: &Context<'_>, arg: &[u8], field: FieldType) -> CommandResult<u64> {
    let offset = match arg {
        [b'#', index @ ..] => {
            parse_int(index).and_then(|index| index.checked_mul(field.bits().into()))
        }
        _ => parse_int(arg),
    };
    check_offset(ctx, offset.ok_or(BAD_OFFSET)?)
}

fn parse(ctx: &Context<'_>, args: &Args<'_>) -> CommandResult<Steps> {
    let mut steps = Steps::new();
    let mut overflow = Overflow::default();
    let mut rest = &args[2..];
    while let [word, tail @ ..] = rest {
        if is_word(word, "overflow")
            && let [kind, tail @ ..] = tail
        {
            overflow = match *kind {
                kind if is_word(kind, "wrap") => Overflow::Wrap,
                kind if is_word(kind, "sat") => Overflow::Saturate,
                kind if is_word(kind, "fail") => Overflow::Fail,
                _ => {
                    return Err(CommandError::fixed("ERR Invalid OVERFLOW type specified"));
                }
            };
            rest = tail;
            continue;
        }
        let takes = match *word {
            word if is_word(word, "get") => 2,
            word if is_word(word, "set") || is_word(word, "incrby") => 3,
            _ => return Err(CommandError::SYNTAX),
        };
        let (of_step, tail) = tail.split_at_checked(takes).ok_or(CommandError::SYNTAX)?;
        let field = type_arg(of_step[0])?;
        let offset = offset_arg(ctx, of_step[1], field)?;
        let action = match of_step.get(2) {
            None => Action::Get,
            Some(value) if is_word(word, "set") => Action::Set(int_arg(value)?, overflow),
            Some(by) => Action::Add(int_arg(by)?, overflow),
        };
        steps.push(Step {
            field,
            offset,
            action,
        });
        rest = tail;
    }
    Ok(steps)
}

pub(super) fn bitfield(ctx: &mut Context<'_>, args: &Args<'_>, only_get: bool) -> CommandResult {
    let key = args[1];
    let steps = parse(ctx, args)?;
    let written = steps
        .iter()
        .filter(|step| !matches!(step.action, Action::Get));
    let last_bit = written
        .map(|step| step.offset + u64::from(step.field.bits()) - 1)
        .max();
    let replies = match last_bit {
        None => read(ctx, key, &steps)?,
        Some(_) if only_get => {
            return Err(CommandError::fixed(
                "ERR BITFIELD_RO only supports the GET subcommand",
            ));
        }
        Some(last_bit) => write(ctx, key, &steps, length_with(last_bit))?,
    };
    ctx.reply.array(replies.len());
    for reply in replies {
        match reply {
            Some(value) => ctx.reply.int(value),
            None => ctx.reply.null(),
        }
    }
    Ok(())
}

fn read(ctx: &mut Context<'_>, key: &[u8], steps: &Steps) -> CommandResult<Replies> {
    let found = ctx.string_for(key, Look::READ)?;
    let get_all = |bytes: &[u8]| {
        let get = |step: &Step| Some(step.field.read(bytes, step.offset));
        steps.iter().map(get).collect()
    };
    Ok(match found {
        Some(found) => ctx.string_at(found).with(get_all),
        None => get_all(b""),
    })
}

fn write(ctx: &mut Context<'_>, key: &[u8], steps: &Steps, least: usize) -> CommandResult<Replies> {
    let edited = edit(ctx, key, least, |bytes| {
        let mut changes = 0;
        let mut written = 0;
        let replies: Replies = steps
            .iter()
            .map(|step| {
                let (reply, new) = run(bytes, step);
                written += u64::from(new.is_some());
                changes += u64::from(new == Some(true));
                reply
            })
            .collect();
        (replies, changes, written)
    })?;
    let (replies, changes, written) = edited.result;
    let changes = if edited.grew { written.max(1) } else { changes };
    if changes > 0 {
        ctx.touch(key);
        ctx.notify(EventClass::String, "setbit", key);
        ctx.dirty += changes;
    }
    Ok(replies)
}

/// Does a step: what it replies, and, if it wrote, whether the field has another value than before.
fn run(bytes: &mut [u8], step: &Step) -> (Option<i64>, Option<bool>) {
    let Step { field, offset, .. } = *step;
    let old = field.read(bytes, offset);
    let (new, returns_old) = match step.action {
        Action::Get => return (Some(old), None),
        Action::Set(value, overflow) => (field.add(value, 0, overflow), true),
        Action::Add(by, overflow) => (field.add(old, by, overflow), false),
    };
    let Some(new) = new else {
        return (None, None);
    };
    field.write(bytes, offset, new);
    (Some(if returns_old { old } else { new }), Some(new != old))
}
