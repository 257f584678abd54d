//! XACK and XPENDING.

use super::delete::parse_ids;
use super::{end_arg, no_group, reply_id, start_arg};
use crate::command::Context;
use crate::command::context::int_arg;
use crate::data::ValueRef;
use crate::data::stream::{Group, StreamId};
use crate::resp::Reply;
use crate::resp::reply::Aggregate;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

pub(super) fn xack(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (key, name) = (args[1], args[2]);
    let stream = ctx.find_stream(key)?;
    if stream.is_none_or(|stream| stream.group(name).is_none()) {
        ctx.reply.int(0);
        return Ok(());
    }
    let ids = parse_ids(&args[3..])?;
    let stream = ctx.find_stream_mut(key)?;
    let group = stream.and_then(|stream| stream.group_mut(name));
    let done = group.map_or(0, |group| {
        ids.iter().filter(|id| group.acknowledge(**id)).count()
    });
    ctx.reply.int(done as i64);
    ctx.dirty += done as u64;
    Ok(())
}

/// Which pending entries are to be listed.
#[derive(Clone, Copy, Debug)]
struct Listing<'a> {
    min_idle_ms: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Listing<'a> {
    /// None: they are only to be summed up.
    fn parse(args: &'a Args<'a>) -> CommandResult<Option<Listing<'a>>> {
        if args.len() == 3 {
            return Ok(None);
        }
        if !(6..=9).contains(&args.len()) {
            return Err(CommandError::SYNTAX);
        }
        let (mut at, mut min_idle_ms) = (3, 0);
        if is_word(args[3], "idle") {
            min_idle_ms = int_arg(args[4])?;
            if args.len() < 8 {
                return Err(CommandError::SYNTAX);
            }
            at = 5;
        }
        let count = int_arg(args[at + 2])?.max(0) as usize;
        Ok(Some(Listing {
            min_idle_ms,
            start: start_arg(args[at])?,
            end: end_arg(args[at + 1])?,
            count,
            consumer: args.get(at + 3).copied(),
        }))
    }
}

pub(super) fn xpending(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let listing = Listing::parse(args)?;
    let (key, name, now_ms) = (args[1], args[2], ctx.now_ms);
    let (value, reply) = ctx.find_for_reply(key);
    let group = match value {
        None => None,
        Some(ValueRef::Stream(stream)) => stream.group(name),
        Some(_) => return Err(CommandError::WRONG_TYPE),
    };
    let group = group.ok_or_else(|| no_group(key, name, ""))?;
    match listing {
        Some(listing) => list(reply, group, &listing, now_ms),
        None => sum_up(reply, group),
    }
    Ok(())
}

/// How many are pending, from where to where, and with whom.
fn sum_up(reply: &mut Reply, group: &Group) {
    reply.array(4);
    reply.int(group.pending_len() as i64);
    let (Some(first), Some(last)) = (group.first_pending(), group.last_pending()) else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    reply_id(reply, first);
    reply_id(reply, last);
    let mark = reply.begin();
    let mut count = 0;
    for (_, consumer) in group.consumers().filter(|(_, c)| c.pending_len() > 0) {
        reply.array(2);
        reply.bulk(&consumer.name);
        reply.bulk_int(consumer.pending_len() as i64);
        count += 1;
    }
    reply.end(mark, Aggregate::Array, count);
}

fn list(reply: &mut Reply, group: &Group, listing: &Listing<'_>, now_ms: i64) {
    let owner = listing.consumer.map(|name| group.consumer_named(name));
    if owner == Some(None) {
        reply.array(0);
        return;
    }
    let mark = reply.begin();
    let mut count = 0;
    let mut put = |id: StreamId| {
        if id > listing.end || count == listing.count {
            return false;
        }
        let Some(pending) = group.pending(id) else {
            return true;
        };
        let idle_ms = now_ms.saturating_sub(pending.delivered_at_ms);
        if listing.min_idle_ms != 0 && idle_ms < listing.min_idle_ms {
            return true;
        }
        count += 1;
        reply.array(4);
        reply_id(reply, id);
        let consumer = group.consumer(pending.consumer);
        reply.bulk(consumer.map_or(&[], |consumer| &consumer.name));
        reply.int(idle_ms.max(0));
        reply.int(pending.deliveries as i64);
        true
    };
    match owner.flatten() {
        Some(consumer) => group.pending_with(consumer, listing.start).all(&mut put),
        None => group.pending_from(listing.start).all(|(id, _)| put(id)),
    };
    reply.end(mark, Aggregate::Array, count);
}
