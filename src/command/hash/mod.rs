//! Hashes: setting, getting, removing, scanning.

pub(crate) mod expiry;
pub(crate) mod get_set;
pub(crate) mod number;
pub(crate) mod random;
#[cfg(test)]
mod tests;

use crate::command::collections::scan_options::{ScanOptions, parse_cursor, reply_scan};
use crate::command::context::EventClass;
use crate::command::context::values::{reply_field_value, reply_item};
use crate::command::{Context, Handlers};
use crate::data::list::Item;
use crate::data::prefetch::{PREFETCH_MAX, prefetch_members};
use crate::data::{Hash, ValueRef};
use crate::resp::Reply;
use crate::table::{Args, CommandError, CommandResult};

pub(crate) const HANDLERS: Handlers = &[
    ("hset", hset),
    ("hmset", hmset),
    ("hsetnx", hsetnx),
    ("hget", hget),
    ("hmget", hmget),
    ("hgetall", hgetall),
    ("hkeys", hkeys),
    ("hvals", hvals),
    ("hdel", hdel),
    ("hlen", hlen),
    ("hstrlen", hstrlen),
    ("hexists", hexists),
    ("hscan", hscan),
];

/// A value that must be a hash or nothing.
pub(super) fn as_hash(value: Option<ValueRef<'_>>) -> CommandResult<Option<&Hash>> {
    match value {
        None => Ok(None),
        Some(ValueRef::Hash(hash)) => Ok(Some(hash)),
        Some(_) => Err(CommandError::WRONG_TYPE),
    }
}

/// Sets fields to values; how many fields are new.
fn set_all(ctx: &mut Context<'_>, args: &Args<'_>, name: &str) -> CommandResult<usize> {
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::arity(name));
    }
    let (key, pairs) = (args[1], &args[2..]);
    let enc = ctx.encodings();
    let hash = ctx.hash_or_create(key)?;
    hash.expect(pairs, &enc);
    let mut created = 0;
    for pairs in pairs.chunks(2 * PREFETCH_MAX) {
        prefetch_members(ValueRef::Hash(hash), pairs, 2);
        for pair in pairs.chunks_exact(2) {
            created += usize::from(hash.insert(pair[0], pair[1], &enc));
        }
    }
    ctx.changed(key, EventClass::Hash, "hset");
    ctx.dirty += pairs.len() as u64 / 2 - 1;
    Ok(created)
}

fn hset(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let created = set_all(ctx, args, "hset")?;
    ctx.reply.int(created as i64);
    Ok(())
}

fn hmset(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    set_all(ctx, args, "hmset")?;
    ctx.reply.ok();
    Ok(())
}

fn hsetnx(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (key, field, value) = (args[1], args[2], args[3]);
    let enc = ctx.encodings();
    let hash = ctx.hash_or_create(key)?;
    let new = !hash.contains(field);
    if new {
        hash.insert(field, value, &enc);
        ctx.changed(key, EventClass::Hash, "hset");
    }
    ctx.reply.int(i64::from(new));
    Ok(())
}

fn reply_field(reply: &mut Reply, hash: Option<&Hash>, field: &[u8]) {
    match hash.and_then(|hash| Some((hash, hash.get(field)?))) {
        Some((hash, value)) => reply_field_value(reply, hash, Item::Bytes(field), value),
        None => reply.null(),
    }
}

fn hget(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (value, reply) = ctx.find_for_reply(args[1]);
    reply_field(reply, as_hash(value)?, args[2]);
    Ok(())
}

fn hmget(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (value, reply) = ctx.find_for_reply(args[1]);
    let hash = as_hash(value)?;
    reply.array(args.len() - 2);
    for fields in args[2..].chunks(PREFETCH_MAX) {
        if let Some(hash) = hash {
            prefetch_members(ValueRef::Hash(hash), fields, 1);
        }
        for field in fields {
            reply_field(reply, hash, field);
        }
    }
    Ok(())
}

fn hgetall(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (value, reply) = ctx.find_for_reply(args[1]);
    let hash = as_hash(value)?;
    reply.map(hash.map_or(0, Hash::seen));
    let Some(hash) = hash else { return Ok(()) };
    for (field, value) in hash.iter() {
        reply_item(reply, field);
        reply_field_value(reply, hash, field, value);
    }
    Ok(())
}

fn hkeys(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (value, reply) = ctx.find_for_reply(args[1]);
    let hash = as_hash(value)?;
    reply.array(hash.map_or(0, Hash::seen));
    for (field, _) in hash.into_iter().flat_map(Hash::iter) {
        reply_item(reply, field);
    }
    Ok(())
}

fn hvals(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (value, reply) = ctx.find_for_reply(args[1]);
    let hash = as_hash(value)?;
    reply.array(hash.map_or(0, Hash::seen));
    let Some(hash) = hash else { return Ok(()) };
    for (field, value) in hash.iter() {
        reply_field_value(reply, hash, field, value);
    }
    Ok(())
}

fn hdel(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (key, fields) = (args[1], &args[2..]);
    let Some(hash) = ctx.find_hash_mut(key)? else {
        ctx.reply.int(0);
        return Ok(());
    };
    let mut removed = 0;
    for fields in fields.chunks(PREFETCH_MAX) {
        prefetch_members(ValueRef::Hash(hash), fields, 1);
        removed += fields.iter().filter(|field| hash.remove(field)).count();
    }
    if removed > 0 {
        ctx.changed(key, EventClass::Hash, "hdel");
        ctx.dirty += removed as u64 - 1;
        ctx.remove_if_empty(key);
    }
    ctx.reply.int(removed as i64);
    Ok(())
}

fn hlen(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let len = ctx.find_hash(args[1])?.map_or(0, Hash::len);
    ctx.reply.int(len as i64);
    Ok(())
}

fn hstrlen(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let len = ctx
        .find_hash(args[1])?
        .and_then(|hash| hash.get(args[2]))
        .map_or(0, |value| value.with(<[u8]>::len));
    ctx.reply.int(len as i64);
    Ok(())
}

fn hexists(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let there = ctx.find_hash(args[1])?.is_some_and(|h| h.contains(args[2]));
    ctx.reply.int(i64::from(there));
    Ok(())
}

fn hscan(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let cursor = parse_cursor(args[2])?;
    let (value, reply) = ctx.find_for_reply(args[1]);
    let mut pairs = Reply::new(reply.resp);
    let (mut next, mut count) = (0, 0);
    if let Some(hash) = as_hash(value)? {
        let options = ScanOptions::parse(&args[3..], false)?;
        next = hash.scan(cursor, options.count, &mut |field, value| {
            if field.with(|text| options.wants(text)) {
                reply_item(&mut pairs, field);
                reply_item(&mut pairs, value);
                count += 2;
            }
        });
    }
    reply_scan(reply, next, count, pairs);
    Ok(())
}
