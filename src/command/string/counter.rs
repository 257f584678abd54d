//! Strings as numbers: INCR and its kin.
//!
//! Integers add in 64 bits and refuse to overflow. Floats add as [`LongDouble`], in the format and with
//! the digits of Redis, and go to the log as the SET of their result.

use crate::command::context::lookup::Look;
use crate::command::context::{EventClass, int_arg};
use crate::command::{Context, Handlers};
use crate::data::{StrRef, ValueMut, ValueRef};
use crate::keyspace::Expiry;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::LongDouble;
use crate::text::parse_int;

pub(crate) const HANDLERS: Handlers = &[
    ("incr", incr),
    ("decr", decr),
    ("incrby", incrby),
    ("decrby", decrby),
    ("incrbyfloat", incrbyfloat),
];

fn incr(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    add(ctx, args[1], 1)
}

fn decr(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    add(ctx, args[1], -1)
}

fn incrby(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    add(ctx, args[1], int_arg(args[2])?)
}

fn decrby(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let by = int_arg(args[2])?
        .checked_neg()
        .ok_or(CommandError::fixed("ERR decrement would overflow"))?;
    add(ctx, args[1], by)
}

fn add(ctx: &mut Context<'_>, key: &[u8], by: i64) -> CommandResult {
    let found = ctx.look(key, Look::WRITE);
    let db = ctx.session.db;
    let old = match found.map(|found| ctx.keys.at(found.shard).dbs[db].at(found.place).value) {
        None => 0,
        Some(ValueRef::String(StrRef::Int(n))) => n,
        Some(ValueRef::String(text)) => text.with(parse_int).ok_or(CommandError::NOT_INTEGER)?,
        Some(_) => return Err(CommandError::WRONG_TYPE),
    };
    let sum = old.checked_add(by).ok_or(CommandError::fixed(
        "ERR increment or decrement would overflow",
    ))?;
    ctx.set_integer(key, found, sum);
    ctx.changed(key, EventClass::String, "incrby");
    ctx.reply.int(sum);
    Ok(())
}

fn incrbyfloat(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let key = args[1];
    let old = match ctx.find_mut(key) {
        None => LongDouble::from(0),
        Some(ValueMut::String(StrRef::Int(n))) => LongDouble::from(n),
        Some(ValueMut::String(text)) => text
            .with(LongDouble::parse)
            .ok_or(CommandError::NOT_FLOAT)?,
        Some(_) => return Err(CommandError::WRONG_TYPE),
    };
    let by = LongDouble::parse(args[2]).ok_or(CommandError::NOT_FLOAT)?;
    let sum = old.plus(by);
    if !sum.is_finite() {
        return Err(CommandError::fixed(
            "ERR increment would produce NaN or Infinity",
        ));
    }
    let text = sum.to_text();
    ctx.set_string(key, text.as_bytes(), Expiry::Keep);
    ctx.changed(key, EventClass::String, "incrbyfloat");
    ctx.effects
        .replace(&[b"SET", key, text.as_bytes(), b"KEEPTTL"]);
    ctx.reply.bulk(text.as_bytes());
    Ok(())
}
