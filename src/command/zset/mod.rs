//! Sorted sets: single members, counting and removing; adding, ranges, set algebra, popping (with its
//! blocking forms) and random members are in their own files.

pub(super) mod add;
mod algebra;
mod bounds;
mod pop;
mod random;
mod range;

use crate::command::collections::scan_options::{ScanOptions, parse_cursor, reply_scan};
use crate::command::context::EventClass;
use crate::command::server::digest::digits17;
use crate::command::{Context, Handlers};
use crate::data::list::{End, Item};
use crate::data::prefetch::{PREFETCH_MAX, prefetch_members};
use crate::data::{Value, ValueMut, ValueRef, Zset};
use crate::keyspace::Expiry;
use crate::resp::Reply;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::DoubleText;
use crate::text::is_word;

pub(crate) const HANDLERS: Handlers = &[
    ("zadd", |ctx, args| add::add(ctx, args, false)),
    ("zincrby", |ctx, args| add::add(ctx, args, true)),
    ("zrem", zrem),
    ("zcard", zcard),
    ("zscore", zscore),
    ("zmscore", zmscore),
    ("zrank", |ctx, args| rank(ctx, args, false)),
    ("zrevrank", |ctx, args| rank(ctx, args, true)),
    ("zcount", zcount),
    ("zlexcount", zlexcount),
    ("zremrangebyrank", |ctx, args| {
        remove_range(ctx, args, range::By::Rank)
    }),
    ("zremrangebyscore", |ctx, args| {
        remove_range(ctx, args, range::By::Score)
    }),
    ("zremrangebylex", |ctx, args| {
        remove_range(ctx, args, range::By::Lex)
    }),
    ("zscan", zscan),
    ("zrange", range::zrange),
    ("zrangestore", range::zrangestore),
    ("zrangebyscore", range::zrangebyscore),
    ("zrevrangebyscore", range::zrevrangebyscore),
    ("zrangebylex", range::zrangebylex),
    ("zrevrangebylex", range::zrevrangebylex),
    ("zrevrange", range::zrevrange),
    ("zunion", algebra::zunion),
    ("zinter", algebra::zinter),
    ("zdiff", algebra::zdiff),
    ("zunionstore", algebra::zunionstore),
    ("zinterstore", algebra::zinterstore),
    ("zdiffstore", algebra::zdiffstore),
    ("zintercard", algebra::zintercard),
    ("zpopmin", |ctx, args| pop::pop(ctx, args, End::Head)),
    ("zpopmax", |ctx, args| pop::pop(ctx, args, End::Tail)),
    ("zmpop", pop::zmpop),
    ("bzpopmin", |ctx, args| {
        pop::blocking_pop(ctx, args, End::Head)
    }),
    ("bzpopmax", |ctx, args| {
        pop::blocking_pop(ctx, args, End::Tail)
    }),
    ("bzmpop", pop::bzmpop),
    ("zrandmember", random::zrandmember),
];

/// A sorted set for reading and the reply beside it.
pub(super) fn zset_and_reply<'c>(
    ctx: &'c mut Context<'_>,
    key: &[u8],
) -> CommandResult<(Option<&'c Zset>, &'c mut Reply)> {
    match ctx.find_for_reply(key) {
        (None, reply) => Ok((None, reply)),
        (Some(ValueRef::Zset(zset)), reply) => Ok((Some(zset), reply)),
        _ => Err(CommandError::WRONG_TYPE),
    }
}

/// A sorted set for changing and the reply beside it.
fn zset_mut_and_reply<'c>(
    ctx: &'c mut Context<'_>,
    key: &[u8],
) -> CommandResult<(Option<&'c mut Zset>, &'c mut Reply)> {
    match ctx.find_mut_for_reply(key) {
        (None, reply) => Ok((None, reply)),
        (Some(ValueMut::Zset(zset)), reply) => Ok((Some(zset), reply)),
        _ => Err(CommandError::WRONG_TYPE),
    }
}

#[inline]
fn put_member(reply: &mut Reply, member: Item<'_>) {
    match member {
        Item::Int(n) => reply.bulk_int(n),
        Item::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// The header of a reply of `count` members: with scores RESP3 has an array of pairs, RESP2 a flat one.
fn begin_members(reply: &mut Reply, count: usize, with_scores: bool) {
    reply.array(if with_scores && !reply.is_resp3() {
        2 * count
    } else {
        count
    });
}

/// A member, and its score if wanted, after `begin_members`.
#[inline]
fn put_scored(reply: &mut Reply, member: Item<'_>, score: f64, with_scores: bool) {
    if !with_scores {
        put_member(reply, member);
        return;
    }
    if reply.is_resp3() {
        reply.array(2);
    }
    put_member(reply, member);
    reply.double(score);
}

fn put_members<'z>(
    reply: &mut Reply,
    members: impl ExactSizeIterator<Item = (Item<'z>, f64)>,
    with_scores: bool,
) {
    begin_members(reply, members.len(), with_scores);
    for (member, score) in members {
        put_scored(reply, member, score, with_scores);
    }
}

/// Puts a computed set at the destination of a STORE command, or deletes the key if there is nothing to
/// put, and replies with its size.
fn store(ctx: &mut Context<'_>, key: &[u8], zset: Zset, event: &'static str) {
    let len = zset.len();
    if len > 0 {
        ctx.set_value(key, Value::Zset(zset), Expiry::Clear);
        ctx.changed(key, EventClass::Zset, event);
    } else if ctx.delete(key) {
        ctx.changed(key, EventClass::Generic, "del");
    }
    ctx.reply.int(len as i64);
}

/// Says that members went, and removes the key if they were the last.
fn removed(ctx: &mut Context<'_>, key: &[u8], event: &'static str, count: usize, emptied: bool) {
    ctx.touch(key);
    ctx.notify(EventClass::Zset, event, key);
    if emptied {
        ctx.remove_if_empty(key);
    }
    ctx.dirty += count as u64;
}

fn zrem(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let key = args[1];
    let (zset, reply) = zset_mut_and_reply(ctx, key)?;
    let Some(zset) = zset else {
        reply.int(0);
        return Ok(());
    };
    let mut gone = 0;
    for members in args[2..].chunks(PREFETCH_MAX) {
        prefetch_members(ValueRef::Zset(zset), members, 1);
        gone += members
            .iter()
            .filter(|member| zset.remove(member).is_some())
            .count();
    }
    let emptied = zset.is_empty();
    reply.int(gone as i64);
    if gone > 0 {
        removed(ctx, key, "zrem", gone, emptied);
    }
    Ok(())
}

fn remove_range(ctx: &mut Context<'_>, args: &Args<'_>, by: range::By) -> CommandResult {
    let key = args[1];
    let wanted = range::Wanted::parse(by, args[2], args[3])?;
    let (zset, reply) = zset_mut_and_reply(ctx, key)?;
    let Some(zset) = zset else {
        reply.int(0);
        return Ok(());
    };
    let gone = zset.remove_span(wanted.span(zset, false));
    let emptied = zset.is_empty();
    reply.int(gone as i64);
    if gone > 0 {
        let event = match by {
            range::By::Rank => "zremrangebyrank",
            range::By::Score => "zremrangebyscore",
            range::By::Lex => "zremrangebylex",
        };
        removed(ctx, key, event, gone, emptied);
    }
    Ok(())
}

fn zcard(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (zset, reply) = zset_and_reply(ctx, args[1])?;
    reply.int(zset.map_or(0, Zset::len) as i64);
    Ok(())
}

fn zscore(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (zset, reply) = zset_and_reply(ctx, args[1])?;
    match zset.and_then(|zset| zset.score(args[2])) {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
    Ok(())
}

fn zmscore(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (zset, reply) = zset_and_reply(ctx, args[1])?;
    reply.array(args.len() - 2);
    for members in args[2..].chunks(PREFETCH_MAX) {
        if let Some(zset) = zset {
            prefetch_members(ValueRef::Zset(zset), members, 1);
        }
        for member in members {
            match zset.and_then(|zset| zset.score(member)) {
                Some(score) => reply.double(score),
                None => reply.null(),
            }
        }
    }
    Ok(())
}

/// ZRANK and ZREVRANK.
fn rank(ctx: &mut Context<'_>, args: &Args<'_>, rev: bool) -> CommandResult {
    let with_score = match args {
        [_, _, _] => false,
        [_, _, _, word] if is_word(word, "withscore") => true,
        [_, _, _, _] => return Err(CommandError::SYNTAX),
        _ => {
            return Err(CommandError::arity(if rev { "zrevrank" } else { "zrank" }));
        }
    };
    let (zset, reply) = zset_and_reply(ctx, args[1])?;
    let found = zset.and_then(|zset| {
        let (rank, score) = zset.rank_and_score(args[2])?;
        Some((if rev { zset.len() - 1 - rank } else { rank }, score))
    });
    match found {
        Some((rank, score)) if with_score => {
            reply.array(2);
            reply.int(rank as i64);
            reply.double(score);
        }
        Some((rank, _)) => reply.int(rank as i64),
        None if with_score => reply.null_array(),
        None => reply.null(),
    }
    Ok(())
}

fn zcount(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    count(ctx, args, range::By::Score)
}

fn zlexcount(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    count(ctx, args, range::By::Lex)
}

fn count(ctx: &mut Context<'_>, args: &Args<'_>, by: range::By) -> CommandResult {
    let wanted = range::Wanted::parse(by, args[2], args[3])?;
    let (zset, reply) = zset_and_reply(ctx, args[1])?;
    let count = zset.map_or(0, |zset| wanted.span(zset, false).len());
    reply.int(count as i64);
    Ok(())
}

fn zscan(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let cursor = parse_cursor(args[2])?;
    let (zset, reply) = zset_and_reply(ctx, args[1])?;
    let mut pairs = Reply::new(reply.resp);
    let (mut next, mut count) = (0, 0);
    if let Some(zset) = zset {
        let options = ScanOptions::parse(&args[3..], false)?;
        // Redis hands out a listpack's own text, and 17 digits from the large form.
        let compact = zset.as_listpack().is_some();
        next = zset.scan(cursor, options.count, &mut |member, score| {
            if member.with(|text| options.wants(text)) {
                put_member(&mut pairs, member);
                if compact {
                    pairs.bulk(DoubleText::new(score).as_bytes());
                } else {
                    pairs.bulk(digits17(score).as_bytes());
                }
                count += 2;
            }
        });
    }
    reply_scan(reply, next, count, pairs);
    Ok(())
}

#[cfg(test)]
mod tests;
