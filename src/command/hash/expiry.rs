//! When fields of hashes expire: setting, reading and clearing it, as Redis 8 does.
//!
//! All that is stored and logged is absolute, in unix ms. A moment that is already past deletes the field at once where
//! this node decides about expiry, and replicas are told HDEL; elsewhere it is stored, and the HDEL comes from the master.

use smallvec::SmallVec;

use crate::command::context::{EventClass, command_name, int_arg};
use crate::command::keys::expire::is_past;
use crate::command::{Context, Handlers};
use crate::data::Hash;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

pub(crate) const HANDLERS: Handlers = &[
    ("hexpire", |ctx, args| set(ctx, args, Unit::SECONDS)),
    ("hpexpire", |ctx, args| set(ctx, args, Unit::MILLISECONDS)),
    ("hexpireat", |ctx, args| set(ctx, args, Unit::UNIX_SECONDS)),
    ("hpexpireat", |ctx, args| {
        set(ctx, args, Unit::UNIX_MILLISECONDS)
    }),
    ("httl", |ctx, args| read(ctx, args, Unit::SECONDS)),
    ("hpttl", |ctx, args| read(ctx, args, Unit::MILLISECONDS)),
    ("hexpiretime", |ctx, args| {
        read(ctx, args, Unit::UNIX_SECONDS)
    }),
    ("hpexpiretime", |ctx, args| {
        read(ctx, args, Unit::UNIX_MILLISECONDS)
    }),
    ("hpersist", hpersist),
];

/// In what moments are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    milliseconds: i64,
    /// From now, not from 1970.
    relative: bool,
}

impl Unit {
    pub(super) const SECONDS: Unit = Unit::new(1000, true);
    pub(super) const MILLISECONDS: Unit = Unit::new(1, true);
    pub(super) const UNIX_SECONDS: Unit = Unit::new(1000, false);
    pub(super) const UNIX_MILLISECONDS: Unit = Unit::new(1, false);

    const fn new(milliseconds: i64, relative: bool) -> Unit {
        Unit {
            milliseconds,
            relative,
        }
    }
}

/// The latest moment that a field can have, as in Redis.
const MOMENT_MAX: i64 = (1 << 46) - 1;

/// The moment that an argument names, unix ms.
pub(super) fn moment_arg(
    ctx: &Context<'_>,
    args: &Args<'_>,
    unit: Unit,
    arg: &[u8],
) -> CommandResult<i64> {
    let amount = int_arg(arg)?;
    if amount < 0 {
        return Err(CommandError::fixed("ERR invalid expire time, must be >= 0"));
    }
    let base = if unit.relative { ctx.now_ms } else { 0 };
    let moment = amount
        .checked_mul(unit.milliseconds)
        .filter(|ms| *ms <= MOMENT_MAX - base);
    moment.map(|ms| ms + base).ok_or_else(|| {
        let name = command_name(args);
        CommandError::err(format_args!("invalid expire time in '{name}' command"))
    })
}

/// The fields after FIELDS and their number, which must be all that is left.
pub(super) fn fields_arg<'b, 'a>(
    args: &'b [&'a [u8]],
    no_number: &'static str,
) -> CommandResult<&'b [&'a [u8]]> {
    let [word, count, fields @ ..] = args else {
        return Err(NO_FIELDS);
    };
    if !is_word(word, "fields") {
        return Err(NO_FIELDS);
    }
    let count = int_arg(count).ok().filter(|count| *count > 0);
    match count {
        None => Err(CommandError::fixed(no_number)),
        Some(count) if count == fields.len() as i64 => Ok(fields),
        Some(_) => Err(CommandError::fixed(
            "ERR The `numfields` parameter must match the number of arguments",
        )),
    }
}

const NO_FIELDS: CommandError =
    CommandError::fixed("ERR Mandatory argument FIELDS is missing or not at the right position");
pub(super) const NOT_POSITIVE: &str = "ERR Number of fields must be a positive integer";

/// What replicas are told: a command, its key and what comes before FIELDS, and the fields.
pub(super) fn replace_effect(ctx: &mut Context<'_>, before: &[&[u8]], fields: &[&[u8]]) {
    let mut count = itoa::Buffer::new();
    let mut effect: Vec<&[u8]> = before.to_vec();
    effect.extend([&b"FIELDS"[..], count.format(fields.len()).as_bytes()]);
    effect.extend(fields);
    ctx.effects.replace(&effect);
}

/// Fields were deleted because their new moment is past.
pub(super) fn deleted_past(ctx: &mut Context<'_>, key: &[u8], fields: &[&[u8]]) {
    ctx.changed(key, EventClass::Hash, "hdel");
    ctx.dirty += fields.len() as u64 - 1;
    let mut effect: Vec<&[u8]> = vec![b"HDEL", key];
    effect.extend(fields);
    ctx.effects.replace(&effect);
    ctx.remove_if_empty(key);
}

/// Fields have other moments than before.
pub(super) fn moments_changed(
    ctx: &mut Context<'_>,
    key: &[u8],
    event: &'static str,
    fields: usize,
) {
    ctx.note_fields(key);
    ctx.changed(key, EventClass::Hash, event);
    ctx.dirty += fields as u64 - 1;
}

/// NX, XX, GT and LT: at most one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Always,
    IfNone,
    IfAny,
    IfLater,
    IfEarlier,
}

impl Condition {
    fn of(word: &[u8]) -> Condition {
        match word {
            w if is_word(w, "nx") => Condition::IfNone,
            w if is_word(w, "xx") => Condition::IfAny,
            w if is_word(w, "gt") => Condition::IfLater,
            w if is_word(w, "lt") => Condition::IfEarlier,
            _ => Condition::Always,
        }
    }

    /// Whether the new moment is wanted. None at all counts as never.
    fn allows(self, current: Option<i64>, new: i64) -> bool {
        match self {
            Condition::Always => true,
            Condition::IfNone => current.is_none(),
            Condition::IfAny => current.is_some(),
            Condition::IfLater => current.is_some_and(|at| new > at),
            Condition::IfEarlier => current.is_none_or(|at| new < at),
        }
    }
}

type Replies = SmallVec<[i64; 8]>;

fn reply_all(ctx: &mut Context<'_>, replies: &[i64]) {
    ctx.reply.array(replies.len());
    replies.iter().for_each(|reply| ctx.reply.int(*reply));
}

const NO_SUCH_FIELD: i64 = -2;
const NO_MOMENT: i64 = -1;
const REFUSED: i64 = 0;
const DONE: i64 = 1;
const DELETED: i64 = 2;

fn set(ctx: &mut Context<'_>, args: &Args<'_>, unit: Unit) -> CommandResult {
    let key = args[1];
    ctx.find_hash_mut(key)?;
    let moment = moment_arg(ctx, args, unit, args[2])?;
    let condition = Condition::of(args[3]);
    let options = if condition == Condition::Always { 3 } else { 4 };
    let fields = fields_arg(
        &args[options..],
        "ERR Parameter `numFields` should be greater than 0",
    )?;
    let (enc, past) = (ctx.encodings(), is_past(ctx, moment));
    let mut changed: Vec<&[u8]> = Vec::new();
    let replies: Replies = match ctx.find_hash_mut(key)? {
        None => fields.iter().map(|_| NO_SUCH_FIELD).collect(),
        Some(hash) => {
            let set_one = |field: &&[u8]| match hash.moment(field) {
                None => NO_SUCH_FIELD,
                Some(current) if !condition.allows(current, moment) => REFUSED,
                Some(_) if past => {
                    hash.remove(field);
                    DELETED
                }
                Some(_) => {
                    hash.set_moment(field, Some(moment), &enc);
                    DONE
                }
            };
            let replies: Replies = fields.iter().map(set_one).collect();
            let with_reply = fields.iter().zip(&replies);
            changed.extend(with_reply.filter(|(_, reply)| **reply > 0).map(|(f, _)| *f));
            replies
        }
    };
    if !changed.is_empty() && past {
        deleted_past(ctx, key, &changed);
    } else if !changed.is_empty() {
        moments_changed(ctx, key, "hexpire", changed.len());
        let mut digits = itoa::Buffer::new();
        let mut before: Vec<&[u8]> = vec![b"HPEXPIREAT", key, digits.format(moment).as_bytes()];
        before.extend(&args[3..options]);
        replace_effect(ctx, &before, &changed);
    }
    reply_all(ctx, &replies);
    Ok(())
}

fn read(ctx: &mut Context<'_>, args: &Args<'_>, unit: Unit) -> CommandResult {
    let now_ms = ctx.now_ms;
    let hash = ctx.find_hash(args[1])?;
    let fields = fields_arg(&args[2..], NOT_POSITIVE)?;
    let of_field = |field: &&[u8]| match hash.and_then(|hash| hash.moment(field)) {
        None => NO_SUCH_FIELD,
        Some(None) => NO_MOMENT,
        Some(Some(moment)) => {
            let base = if unit.relative { now_ms } else { 0 };
            // Parts of a second count as a whole one.
            let ms = (moment - base).max(0);
            (ms + unit.milliseconds - 1) / unit.milliseconds
        }
    };
    let replies: Replies = fields.iter().map(of_field).collect();
    reply_all(ctx, &replies);
    Ok(())
}

fn hpersist(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let key = args[1];
    ctx.find_hash_mut(key)?;
    let fields = fields_arg(&args[2..], NOT_POSITIVE)?;
    let enc = ctx.encodings();
    let mut hash = ctx.find_hash_mut(key)?;
    let persist_one = |field: &&[u8]| {
        let Some(hash) = &mut hash else {
            return NO_SUCH_FIELD;
        };
        match hash.moment(field) {
            None => NO_SUCH_FIELD,
            Some(None) => NO_MOMENT,
            Some(Some(_)) => {
                hash.set_moment(field, None, &enc);
                DONE
            }
        }
    };
    let replies: Replies = fields.iter().map(persist_one).collect();
    let cleared = replies.iter().filter(|reply| **reply == DONE).count();
    if cleared > 0 {
        moments_changed(ctx, key, "hpersist", cleared);
    }
    reply_all(ctx, &replies);
    Ok(())
}

/// Clears the moments of fields that have one; how many had.
pub(super) fn clear_moments(
    hash: &mut Hash,
    fields: &[&[u8]],
    enc: &crate::data::Encodings,
) -> usize {
    let mut cleared = 0;
    for field in fields {
        if let Some(Some(_)) = hash.moment(field) {
            hash.set_moment(field, None, enc);
            cleared += 1;
        }
    }
    cleared
}
