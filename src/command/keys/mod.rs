//! Keys whatever they hold: deleting, counting, naming, renaming, copying and moving them.

pub(crate) mod active_expire;
pub(crate) mod dump;
#[cfg(test)]
mod everyday_tests;
pub(crate) mod expire;
pub(crate) mod migrate;
pub(crate) mod object;
pub(crate) mod scan;
pub(crate) mod sort;

use crate::command::context::{EventClass, int_arg};
use crate::command::{Context, Handlers};
use crate::data::Value;
use crate::keyspace::Expiry;
use crate::resp::reply::Aggregate;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::glob;
use crate::text::is_word;

pub(crate) const HANDLERS: Handlers = &[
    ("del", del),
    ("unlink", del),
    ("exists", exists),
    ("type", type_of),
    ("touch", touch),
    ("keys", keys),
    ("randomkey", randomkey),
    ("rename", rename),
    ("renamenx", renamenx),
    ("copy", copy),
    ("move", move_key),
];

const SAME_OBJECT: CommandError =
    CommandError::fixed("ERR source and destination objects are the same");
const BAD_DB: CommandError = CommandError::fixed("ERR DB index is out of range");

/// DEL and UNLINK: large values are freed in the background either way.
fn del(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let mut deleted = 0;
    for key in &args[1..] {
        // An expired key is not there to be deleted.
        if ctx.present(key) && ctx.delete(key) {
            ctx.changed(key, EventClass::Generic, "del");
            deleted += 1;
        }
    }
    ctx.reply.int(deleted);
    Ok(())
}

fn exists(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let count = args[1..].iter().filter(|key| ctx.exists(key)).count();
    ctx.reply.int(count as i64);
    Ok(())
}

fn type_of(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let name = ctx
        .glance_entry(args[1])
        .map_or("none", |entry| entry.value.kind().name());
    ctx.reply.simple(name);
    Ok(())
}

fn touch(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    // This command stamps access times for clients in NO-TOUCH mode as well.
    let no_touch = std::mem::take(&mut ctx.session.no_touch);
    let count = args[1..]
        .iter()
        .filter(|key| ctx.find(key).is_some())
        .count();
    ctx.session.no_touch = no_touch;
    ctx.reply.int(count as i64);
    Ok(())
}

fn keys(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let pattern = args[1];
    let all = pattern == b"*";
    let mark = ctx.reply.begin();
    let mut count = 0;
    for shard in ctx.keys.iter() {
        for entry in shard.dbs[ctx.session.db].iter() {
            if !entry.is_expired(ctx.now_ms) && (all || glob::matches(pattern, entry.key, false)) {
                ctx.reply.bulk(entry.key);
                count += 1;
            }
        }
    }
    ctx.reply.end(mark, Aggregate::Array, count);
    Ok(())
}

fn randomkey(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    // Where nothing may be deleted, a database full of expired keys would keep us looking for ever.
    const TRIES_MAX: usize = 100;
    let mut rng = ctx.rng();
    for left in (0..TRIES_MAX).rev() {
        let db = ctx.session.db;
        let total: usize = ctx.keys.iter().map(|shard| shard.dbs[db].len()).sum();
        if total == 0 {
            break;
        }
        let mut rank = rng.usize(..total);
        let part = ctx.keys.iter().map(|shard| &shard.dbs[db]).find(|part| {
            let found = rank < part.len();
            rank = rank.saturating_sub(part.len());
            found
        });
        let Some(entry) = part.and_then(|part| part.random(&mut rng)) else {
            break;
        };
        if left == 0 || !entry.is_expired(ctx.now_ms) {
            ctx.reply.bulk(entry.key);
            return Ok(());
        }
        // Looking at an expired key deletes it, if deleting is ours to do.
        let key = entry.key.to_vec();
        ctx.present(&key);
    }
    ctx.reply.null();
    Ok(())
}

fn rename(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    rename_to(ctx, args[1], args[2], true)?;
    ctx.reply.ok();
    Ok(())
}

fn renamenx(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let renamed = rename_to(ctx, args[1], args[2], false)?;
    ctx.reply.int(i64::from(renamed));
    Ok(())
}

/// False if nothing was done: both names are the same, or the new one is taken and not to be replaced.
fn rename_to(ctx: &mut Context<'_>, from: &[u8], to: &[u8], replace: bool) -> CommandResult<bool> {
    if !ctx.present(from) {
        return Err(CommandError::NO_SUCH_KEY);
    }
    if from == to || (ctx.present(to) && !replace) {
        return Ok(false);
    }
    ctx.delete(to);
    let Some((value, expire_at)) = ctx.take(from) else {
        return Err(CommandError::NO_SUCH_KEY);
    };
    put(ctx, to, value, expire_at);
    ctx.touch(from);
    ctx.touch(to);
    ctx.notify(EventClass::Generic, "rename_from", from);
    ctx.notify(EventClass::Generic, "rename_to", to);
    ctx.dirty += 1;
    Ok(true)
}

/// Adds a value under a free name. Whoever waits for the key may get it.
fn put(ctx: &mut Context<'_>, key: &[u8], value: Value, expire_at: Option<i64>) {
    ctx.set_value(key, value, expire_at.map_or(Expiry::Clear, Expiry::At));
    ctx.signal_ready(key);
}

/// A database's number, checked.
fn db_arg(ctx: &Context<'_>, arg: &[u8]) -> CommandResult<usize> {
    let db = int_arg(arg)?;
    if i32::try_from(db).is_err() {
        return Err(CommandError::err(format_args!(
            "value is out of range, value must between {} and {}",
            i32::MIN,
            i32::MAX
        )));
    }
    match usize::try_from(db) {
        Ok(db) if db < ctx.node.keyspace.databases() => Ok(db),
        _ => Err(BAD_DB),
    }
}

fn move_key(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let key = args[1];
    let target = db_arg(ctx, args[2])?;
    if target == ctx.session.db {
        return Err(SAME_OBJECT);
    }
    if !ctx.present(key) || ctx.with_db(target, |ctx| ctx.present(key)) {
        ctx.reply.int(0);
        return Ok(());
    }
    if let Some((value, expire_at)) = ctx.take(key) {
        ctx.with_db(target, |ctx| put(ctx, key, value, expire_at));
    }
    ctx.touch(key);
    ctx.notify(EventClass::Generic, "move_from", key);
    ctx.with_db(target, |ctx| {
        ctx.touch(key);
        ctx.notify(EventClass::Generic, "move_to", key);
    });
    ctx.dirty += 1;
    ctx.reply.int(1);
    Ok(())
}

fn copy(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (from, to) = (args[1], args[2]);
    let mut target = ctx.session.db;
    let mut replace = false;
    let mut rest = args[3..].iter();
    while let Some(&word) = rest.next() {
        if is_word(word, "replace") {
            replace = true;
        } else if is_word(word, "db") {
            target = db_arg(ctx, rest.next().ok_or(CommandError::SYNTAX)?)?;
        } else {
            return Err(CommandError::SYNTAX);
        }
    }
    if target == ctx.session.db && from == to {
        return Err(SAME_OBJECT);
    }
    let found = ctx
        .find_entry(from)
        .map(|entry| (entry.value.to_value(), entry.expire_at));
    let Some((value, expire_at)) = found else {
        ctx.reply.int(0);
        return Ok(());
    };
    let copied = ctx.with_db(target, |ctx| {
        if ctx.present(to) {
            if !replace {
                return false;
            }
            ctx.delete(to);
        }
        put(ctx, to, value, expire_at);
        ctx.changed(to, EventClass::Generic, "copy_to");
        true
    });
    ctx.reply.int(i64::from(copied));
    Ok(())
}
