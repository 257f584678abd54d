//! Sets one at a time: adding, removing, asking, scanning.

pub(crate) mod algebra;
pub(crate) mod random;

use crate::command::collections::scan_options::{ScanOptions, parse_cursor, reply_scan};
use crate::command::context::EventClass;
use crate::command::context::values::reply_item;
use crate::command::{Context, Handlers};
use crate::data::prefetch::{PREFETCH_MAX, prefetch_members};
use crate::data::{Set, ValueRef};
use crate::resp::Reply;
use crate::table::{Args, CommandError, CommandResult};

pub(crate) const HANDLERS: Handlers = &[
    ("sadd", sadd),
    ("srem", srem),
    ("smove", smove),
    ("sismember", sismember),
    ("smismember", smismember),
    ("scard", scard),
    ("smembers", smembers),
    ("sscan", sscan),
];

/// A value that must be a set or nothing.
pub(super) fn as_set(value: Option<ValueRef<'_>>) -> CommandResult<Option<&Set>> {
    match value {
        None => Ok(None),
        Some(ValueRef::Set(set)) => Ok(Some(set)),
        Some(_) => Err(CommandError::WRONG_TYPE),
    }
}

fn sadd(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (key, members) = (args[1], &args[2..]);
    let enc = ctx.encodings();
    let set = ctx.set_or_create(key)?;
    if set.is_empty() {
        *set = Set::for_members(members[0], members.len(), &enc);
    } else {
        set.expect(members.len(), &enc);
    }
    let mut added = 0;
    for members in members.chunks(PREFETCH_MAX) {
        prefetch_members(ValueRef::Set(set), members, 1);
        added += members.iter().filter(|m| set.insert(m, &enc)).count();
    }
    if added > 0 {
        ctx.changed(key, EventClass::Set, "sadd");
        ctx.dirty += added as u64 - 1;
    }
    ctx.reply.int(added as i64);
    Ok(())
}

fn srem(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (key, members) = (args[1], &args[2..]);
    let Some(set) = ctx.find_set_mut(key)? else {
        ctx.reply.int(0);
        return Ok(());
    };
    let mut removed = 0;
    for members in members.chunks(PREFETCH_MAX) {
        prefetch_members(ValueRef::Set(set), members, 1);
        removed += members.iter().filter(|m| set.remove(m)).count();
    }
    if removed > 0 {
        ctx.changed(key, EventClass::Set, "srem");
        ctx.dirty += removed as u64 - 1;
        ctx.remove_if_empty(key);
    }
    ctx.reply.int(removed as i64);
    Ok(())
}

fn smove(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (from, to, member) = (args[1], args[2], args[3]);
    let enc = ctx.encodings();
    let moved = match ctx.find_mut(from).is_some() {
        false => false,
        true => {
            ctx.find_set_mut(from)?;
            ctx.find_set_mut(to)?;
            match ctx.find_set_mut(from)? {
                Some(set) if from == to => {
                    let there = set.contains(member);
                    ctx.reply.int(i64::from(there));
                    return Ok(());
                }
                Some(set) => set.remove(member),
                None => false,
            }
        }
    };
    if moved {
        ctx.changed(from, EventClass::Set, "srem");
        ctx.remove_if_empty(from);
        let set = ctx.set_or_create(to)?;
        if set.is_empty() {
            *set = Set::for_members(member, 1, &enc);
        }
        if set.insert(member, &enc) {
            ctx.changed(to, EventClass::Set, "sadd");
        }
    }
    ctx.reply.int(i64::from(moved));
    Ok(())
}

fn sismember(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let there = ctx.find_set(args[1])?.is_some_and(|s| s.contains(args[2]));
    ctx.reply.int(i64::from(there));
    Ok(())
}

fn smismember(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (value, reply) = ctx.find_for_reply(args[1]);
    let set = as_set(value)?;
    reply.array(args.len() - 2);
    for members in args[2..].chunks(PREFETCH_MAX) {
        if let Some(set) = set {
            prefetch_members(ValueRef::Set(set), members, 1);
        }
        for member in members {
            reply.int(i64::from(set.is_some_and(|s| s.contains(member))));
        }
    }
    Ok(())
}

fn scard(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let len = ctx.find_set(args[1])?.map_or(0, Set::len);
    ctx.reply.int(len as i64);
    Ok(())
}

fn smembers(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (value, reply) = ctx.find_for_reply(args[1]);
    let set = as_set(value)?;
    reply.set(set.map_or(0, Set::len));
    for member in set.into_iter().flat_map(Set::iter) {
        reply_item(reply, member);
    }
    Ok(())
}

fn sscan(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let cursor = parse_cursor(args[2])?;
    let (value, reply) = ctx.find_for_reply(args[1]);
    let mut members = Reply::new(reply.resp);
    let (mut next, mut count) = (0, 0);
    if let Some(set) = as_set(value)? {
        let options = ScanOptions::parse(&args[3..], false)?;
        next = set.scan(cursor, options.count, &mut |member| {
            if member.with(|text| options.wants(text)) {
                reply_item(&mut members, member);
                count += 1;
            }
        });
    }
    reply_scan(reply, next, count, members);
    Ok(())
}
