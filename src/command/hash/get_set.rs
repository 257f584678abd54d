//! HGETEX, HSETEX and HGETDEL: fields read or set together with when they expire, or read and deleted.

use super::expiry::{
    NOT_POSITIVE, Unit, clear_moments, deleted_past, fields_arg, moment_arg, moments_changed,
    replace_effect,
};
use super::{as_hash, reply_field};
use crate::command::context::{EventClass, int_arg};
use crate::command::keys::expire::is_past;
use crate::command::{Context, Handlers};
use crate::data::ValueMut;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

pub(crate) const HANDLERS: Handlers =
    &[("hgetex", hgetex), ("hsetex", hsetex), ("hgetdel", hgetdel)];

/// The unit of an option that names a moment.
fn unit_of(word: &[u8]) -> Option<Unit> {
    match word {
        w if is_word(w, "ex") => Some(Unit::SECONDS),
        w if is_word(w, "px") => Some(Unit::MILLISECONDS),
        w if is_word(w, "exat") => Some(Unit::UNIX_SECONDS),
        w if is_word(w, "pxat") => Some(Unit::UNIX_MILLISECONDS),
        _ => None,
    }
}

/// Writes the fields' values, null for those that are not there.
fn reply_fields(ctx: &mut Context<'_>, key: &[u8], fields: &[&[u8]]) -> CommandResult {
    let (value, reply) = ctx.find_for_reply(key);
    let hash = as_hash(value)?;
    reply.array(fields.len());
    for field in fields {
        reply_field(reply, hash, field);
    }
    Ok(())
}

fn hgetex(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let key = args[1];
    ctx.find_hash_mut(key)?;
    let mut rest = &args[2..];
    let mut moment = None;
    let mut persist = false;
    match *rest {
        [word, amount, ..] if unit_of(word).is_some() => {
            let unit = unit_of(word).unwrap_or(Unit::SECONDS);
            moment = Some(moment_arg(ctx, args, unit, amount)?);
            rest = &rest[2..];
        }
        [word, ..] if is_word(word, "persist") => {
            persist = true;
            rest = &rest[1..];
        }
        _ => {}
    }
    let fields = fields_arg(rest, NOT_POSITIVE)?;
    reply_fields(ctx, key, fields)?;
    let enc = ctx.encodings();
    let past = moment.is_some_and(|moment| is_past(ctx, moment));
    let Some(hash) = ctx.find_hash_mut(key)? else {
        return Ok(());
    };
    let there: Vec<&[u8]> = fields
        .iter()
        .copied()
        .filter(|f| hash.contains(f))
        .collect();
    match moment {
        _ if there.is_empty() => {}
        None => {
            let cleared = if persist {
                clear_moments(hash, &there, &enc)
            } else {
                0
            };
            if cleared > 0 {
                moments_changed(ctx, key, "hpersist", cleared);
                replace_effect(ctx, &[b"HPERSIST", key], fields);
            }
        }
        Some(_) if past => {
            there.iter().for_each(|field| {
                hash.remove(field);
            });
            deleted_past(ctx, key, &there);
        }
        Some(moment) => {
            there.iter().for_each(|field| {
                hash.set_moment(field, Some(moment), &enc);
            });
            moments_changed(ctx, key, "hexpire", there.len());
            let mut digits = itoa::Buffer::new();
            let before = [b"HPEXPIREAT", key, digits.format(moment).as_bytes()];
            replace_effect(ctx, &before, fields);
        }
    }
    Ok(())
}

/// HSETEX's options, and where the pairs begin.
#[derive(Debug, Default)]
struct Options {
    if_none_there: bool,
    if_all_there: bool,
    keep: bool,
    moment: Option<i64>,
    /// Where the option is that names the moment.
    moment_at: usize,
    pairs_at: usize,
}

impl Options {
    fn parse(ctx: &Context<'_>, args: &Args<'_>) -> CommandResult<Options> {
        let mut options = Options::default();
        let mut at = 2;
        while let Some(word) = args.get(at) {
            let is_expiry = unit_of(word).is_some() || is_word(word, "keepttl");
            if is_expiry && (options.keep || options.moment.is_some()) {
                return Err(CommandError::fixed(
                    "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
                ));
            }
            let is_condition = is_word(word, "fnx") || is_word(word, "fxx");
            if is_condition && (options.if_none_there || options.if_all_there) {
                return Err(CommandError::fixed(
                    "ERR Only one of FXX or FNX arguments can be specified",
                ));
            }
            match *word {
                w if is_word(w, "fnx") => options.if_none_there = true,
                w if is_word(w, "fxx") => options.if_all_there = true,
                w if is_word(w, "keepttl") => options.keep = true,
                w if is_word(w, "fields") => return options.find_pairs(args, at),
                w => {
                    let Some((unit, amount)) = unit_of(w).zip(args.get(at + 1)) else {
                        let word = crate::resp::reply::error_text(w);
                        return Err(CommandError::err(format_args!("unknown argument: {word}")));
                    };
                    options.moment = Some(moment_arg(ctx, args, unit, amount)?);
                    options.moment_at = at;
                    at += 1;
                }
            }
            at += 1;
        }
        Err(CommandError::fixed("ERR missing FIELDS argument"))
    }

    /// FIELDS stands at `at`: its number must be that of the pairs behind.
    fn find_pairs(mut self, args: &Args<'_>, at: usize) -> CommandResult<Options> {
        let count = args.get(at + 1).and_then(|arg| int_arg(arg).ok());
        let Some(count) = count.filter(|count| (1..=i64::from(i32::MAX)).contains(count)) else {
            return Err(CommandError::fixed("ERR invalid number of fields"));
        };
        self.pairs_at = at + 2;
        if (args.len() - self.pairs_at) as i64 != 2 * count {
            return Err(CommandError::arity("hsetex"));
        }
        Ok(self)
    }
}

fn hsetex(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let key = args[1];
    let options = Options::parse(ctx, args)?;
    let pairs = &args[options.pairs_at..];
    let fields: Vec<&[u8]> = pairs.iter().copied().step_by(2).collect();
    let hash = ctx.find_hash_mut(key)?;
    let is_there = |field: &&[u8]| hash.as_ref().is_some_and(|hash| hash.contains(field));
    if (options.if_none_there && fields.iter().any(is_there))
        || (options.if_all_there && !fields.iter().all(is_there))
    {
        ctx.reply.int(0);
        return Ok(());
    }
    let enc = ctx.encodings();
    let hash = ctx.hash_or_create(key)?;
    hash.expect(pairs, &enc);
    for pair in pairs.chunks_exact(2) {
        match options.keep {
            true => hash.replace(pair[0], pair[1], &enc),
            false => hash.insert(pair[0], pair[1], &enc),
        };
    }
    let past = options.moment.is_some_and(|moment| is_past(ctx, moment));
    set_moments(ctx, key, &fields, options.moment, past)?;
    ctx.changed(key, EventClass::Hash, "hset");
    ctx.dirty += fields.len() as u64 - 1;
    match options.moment {
        Some(_) if past => deleted_past(ctx, key, &fields),
        Some(moment) => {
            ctx.note_fields(key);
            ctx.notify(EventClass::Hash, "hexpire", key);
            let mut digits = itoa::Buffer::new();
            let mut effect = args.to_vec();
            effect[options.moment_at] = b"PXAT";
            effect[options.moment_at + 1] = digits.format(moment).as_bytes();
            ctx.effects.replace(&effect);
        }
        None => {}
    }
    ctx.reply.int(1);
    Ok(())
}

/// Gives the fields their moment, or deletes them if that is past.
fn set_moments(
    ctx: &mut Context<'_>,
    key: &[u8],
    fields: &[&[u8]],
    moment: Option<i64>,
    past: bool,
) -> CommandResult {
    let enc = ctx.encodings();
    if moment.is_some()
        && let Some(hash) = ctx.find_hash_mut(key)?
    {
        for field in fields {
            match past {
                true => hash.remove(field),
                false => hash.set_moment(field, moment, &enc),
            };
        }
    }
    Ok(())
}

fn hgetdel(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let key = args[1];
    ctx.find_hash_mut(key)?;
    let fields = fields_arg(&args[2..], NOT_POSITIVE)?;
    let (value, reply) = ctx.find_mut_for_reply(key);
    reply.array(fields.len());
    let Some(ValueMut::Hash(hash)) = value else {
        fields.iter().for_each(|_| reply.null());
        return Ok(());
    };
    let mut removed = 0;
    for field in fields {
        reply_field(reply, Some(hash), field);
        removed += u64::from(hash.remove(field));
    }
    if removed > 0 {
        ctx.changed(key, EventClass::Hash, "hdel");
        ctx.dirty += removed - 1;
        ctx.remove_if_empty(key);
        let mut effect: Vec<&[u8]> = vec![b"HDEL", key];
        effect.extend(fields);
        ctx.effects.replace(&effect);
    }
    Ok(())
}
