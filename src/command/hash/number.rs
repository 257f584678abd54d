//! Hash fields as numbers: HINCRBY and HINCRBYFLOAT.

use crate::command::context::{EventClass, int_arg};
use crate::command::{Context, Handlers};
use crate::data::list::Item;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::LongDouble;
use crate::text::parse_int;

pub(crate) const HANDLERS: Handlers = &[("hincrby", hincrby), ("hincrbyfloat", hincrbyfloat)];

fn hincrby(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (key, field) = (args[1], args[2]);
    let by = int_arg(args[3])?;
    let enc = ctx.encodings();
    // On a new hash nothing below can fail, so no empty one is left behind.
    let hash = ctx.hash_or_create(key)?;
    let old = match hash.get(field) {
        None => 0,
        Some(Item::Int(n)) => n,
        Some(Item::Bytes(text)) => {
            parse_int(text).ok_or(CommandError::fixed("ERR hash value is not an integer"))?
        }
    };
    let sum = old.checked_add(by).ok_or(CommandError::fixed(
        "ERR increment or decrement would overflow",
    ))?;
    let mut digits = itoa::Buffer::new();
    hash.replace(field, digits.format(sum).as_bytes(), &enc);
    ctx.changed(key, EventClass::Hash, "hincrby");
    ctx.reply.int(sum);
    Ok(())
}

fn hincrbyfloat(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (key, field) = (args[1], args[2]);
    let by = LongDouble::parse(args[3]).ok_or(CommandError::NOT_FLOAT)?;
    if !by.is_finite() {
        return Err(CommandError::fixed("ERR value is NaN or Infinity"));
    }
    let enc = ctx.encodings();
    // On a new hash nothing below can fail, so no empty one is left behind.
    let hash = ctx.hash_or_create(key)?;
    let old = match hash.get(field) {
        None => LongDouble::from(0),
        Some(Item::Int(n)) => LongDouble::from(n),
        Some(Item::Bytes(text)) => {
            LongDouble::parse(text).ok_or(CommandError::fixed("ERR hash value is not a float"))?
        }
    };
    let sum = old.plus(by);
    if !sum.is_finite() {
        return Err(CommandError::fixed(
            "ERR increment would produce NaN or Infinity",
        ));
    }
    let text = sum.to_text();
    let expires = hash.moment(field).flatten().is_some();
    hash.replace(field, text.as_bytes(), &enc);
    ctx.changed(key, EventClass::Hash, "hincrbyfloat");
    if expires {
        let one = [b"HSETEX", key, b"KEEPTTL", b"FIELDS", b"1", field];
        ctx.effects
            .replace(&[&one[..], &[text.as_bytes()]].concat());
    } else {
        ctx.effects.replace(&[b"HSET", key, field, text.as_bytes()]);
    }
    ctx.reply.bulk(text.as_bytes());
    Ok(())
}
