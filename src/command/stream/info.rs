//! XINFO.

use super::range::reply_entries;
use super::{no_group_in, reply_entry, reply_id};
use crate::command::Context;
use crate::command::context::int_arg;
use crate::command::server;
use crate::data::stream::{ConsumerId, Group, StreamId};
use crate::data::{Stream, ValueRef};
use crate::resp::Reply;
use crate::resp::reply::{Aggregate, error_text};
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

/// How many entries of each list FULL shows where it isn't said.
const SHOWN: usize = 10;

fn named(reply: &mut Reply, name: &str) {
    reply.bulk(name.as_bytes());
}

fn named_int(reply: &mut Reply, name: &str, value: u64) {
    named(reply, name);
    reply.int(value as i64);
}

fn named_id(reply: &mut Reply, name: &str, id: StreamId) {
    named(reply, name);
    reply_id(reply, id);
}

fn named_or_null(reply: &mut Reply, name: &str, value: Option<i64>) {
    named(reply, name);
    match value {
        Some(value) => reply.int(value),
        None => reply.null(),
    }
}

/// The stream at a key and the reply beside it, or Redis's errors.
fn stream_and_reply<'a>(
    ctx: &'a mut Context<'_>,
    key: &[u8],
) -> CommandResult<(&'a Stream, &'a mut Reply)> {
    match ctx.find_for_reply(key) {
        (Some(ValueRef::Stream(stream)), reply) => Ok((stream, reply)),
        (Some(_), _) => Err(CommandError::WRONG_TYPE),
        (None, _) => Err(CommandError::NO_SUCH_KEY),
    }
}

/// XINFO STREAM's options: None without FULL, else how much of each list is shown.
fn full_arg(args: &Args<'_>) -> CommandResult<Option<usize>> {
    let unknown = || {
        let word = error_text(args[1]);
        CommandError::err(format_args!(
            "unknown subcommand or wrong number of arguments for '{word}'. Try XINFO HELP."
        ))
    };
    let count = match &args[3..] {
        [] => return Ok(None),
        [full] if is_word(full, "full") => SHOWN,
        [full, word, count] if is_word(full, "full") && is_word(word, "count") => {
            match int_arg(count)? {
                ..0 => SHOWN,
                0 => usize::MAX,
                count => count as usize,
            }
        }
        _ => return Err(unknown()),
    };
    Ok(Some(count))
}

pub(super) fn stream(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (stream, _) = stream_and_reply(ctx, args[2])?;
    let _ = stream.len();
    let full = full_arg(args)?;
    let (stream, reply) = stream_and_reply(ctx, args[2])?;
    let entries = &stream.entries;
    reply.map(if full.is_some() { 9 } else { 10 });
    named_int(reply, "length", entries.len());
    named_int(reply, "radix-tree-keys", entries.node_count() as u64);
    named_int(reply, "radix-tree-nodes", entries.index_nodes() as u64);
    named_id(reply, "last-generated-id", entries.last_id);
    named_id(reply, "max-deleted-entry-id", entries.max_deleted_id);
    named_int(reply, "entries-added", entries.added);
    named_id(reply, "recorded-first-entry-id", entries.first_id());
    match full {
        None => reply_edges(reply, stream),
        Some(count) => reply_full(reply, stream, count),
    }
    Ok(())
}

/// The groups' number, the first and the last entry.
fn reply_edges(reply: &mut Reply, stream: &Stream) {
    named_int(reply, "groups", stream.group_count() as u64);
    let (all, entries) = ((StreamId::MIN, StreamId::MAX), &stream.entries);
    let first = entries.range(all.0, all.1).next();
    let last = entries.range_back(all.0, all.1).next();
    for (name, entry) in [("first-entry", first), ("last-entry", last)] {
        named(reply, name);
        match entry {
            Some(entry) => reply_entry(reply, &entry),
            None => reply.null(),
        }
    }
}

fn reply_full(reply: &mut Reply, stream: &Stream, count: usize) {
    named(reply, "entries");
    let entries = stream.entries.range(StreamId::MIN, StreamId::MAX);
    reply_entries(reply, entries.take(count));
    named(reply, "groups");
    reply.array(stream.group_count());
    for (name, group) in stream.groups() {
        reply.map(7);
        named(reply, "name");
        reply.bulk(name);
        named_id(reply, "last-delivered-id", group.last_id);
        named_or_null(
            reply,
            "entries-read",
            group.entries_read.map(|read| read as i64),
        );
        named_or_null(reply, "lag", group.lag(&stream.entries.horizon()));
        named_int(reply, "pel-count", group.pending_len() as u64);
        reply_pending(reply, group, count);
        named(reply, "consumers");
        reply.array(group.consumer_count());
        for (id, consumer) in group.consumers() {
            reply.map(5);
            named(reply, "name");
            reply.bulk(&consumer.name);
            named_int(reply, "seen-time", consumer.seen_at_ms as u64);
            named_int(reply, "active-time", consumer.active_at_ms as u64);
            named_int(reply, "pel-count", consumer.pending_len() as u64);
            reply_pending_with(reply, group, id, count);
        }
    }
}

/// What is pending in a group.
fn reply_pending(reply: &mut Reply, group: &Group, count: usize) {
    named(reply, "pending");
    let mark = reply.begin();
    let mut shown = 0;
    for (id, pending) in group.pending_from(StreamId::MIN).take(count) {
        reply.array(4);
        reply_id(reply, id);
        let consumer = group.consumer(pending.consumer);
        reply.bulk(consumer.map_or(&[], |consumer| &consumer.name));
        reply.int(pending.delivered_at_ms);
        reply.int(pending.deliveries as i64);
        shown += 1;
    }
    reply.end(mark, Aggregate::Array, shown);
}

/// What is pending with a consumer.
fn reply_pending_with(reply: &mut Reply, group: &Group, consumer: ConsumerId, count: usize) {
    named(reply, "pending");
    let mark = reply.begin();
    let mut shown = 0;
    for id in group.pending_with(consumer, StreamId::MIN).take(count) {
        let Some(pending) = group.pending(id) else {
            continue;
        };
        reply.array(3);
        reply_id(reply, id);
        reply.int(pending.delivered_at_ms);
        reply.int(pending.deliveries as i64);
        shown += 1;
    }
    reply.end(mark, Aggregate::Array, shown);
}

pub(super) fn groups(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (stream, reply) = stream_and_reply(ctx, args[2])?;
    let horizon = stream.entries.horizon();
    reply.array(stream.group_count());
    for (name, group) in stream.groups() {
        reply.map(6);
        named(reply, "name");
        reply.bulk(name);
        named_int(reply, "consumers", group.consumer_count() as u64);
        named_int(reply, "pending", group.pending_len() as u64);
        named_id(reply, "last-delivered-id", group.last_id);
        named_or_null(
            reply,
            "entries-read",
            group.entries_read.map(|read| read as i64),
        );
        named_or_null(reply, "lag", group.lag(&horizon));
    }
    Ok(())
}

pub(super) fn consumers(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (key, name, now_ms) = (args[2], args[3], ctx.now_ms);
    let (stream, reply) = stream_and_reply(ctx, key)?;
    let group = stream.group(name).ok_or_else(|| no_group_in(key, name))?;
    reply.array(group.consumer_count());
    for (_, consumer) in group.consumers() {
        let inactive = match consumer.active_at_ms {
            -1 => -1,
            at => now_ms.saturating_sub(at),
        };
        let idle = now_ms.saturating_sub(consumer.seen_at_ms).max(0);
        reply.map(4);
        named(reply, "name");
        reply.bulk(&consumer.name);
        named_int(reply, "pending", consumer.pending_len() as u64);
        named_int(reply, "idle", idle as u64);
        named_int(reply, "inactive", inactive as u64);
    }
    Ok(())
}

pub(super) fn help(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    server::help::help(
        ctx,
        args,
        &[
            "CONSUMERS <key> <groupname>",
            "    Show consumers of <groupname>.",
            "GROUPS <key>",
            "    Show the stream consumer groups.",
            "STREAM <key> [FULL [COUNT <count>]",
            "    Show information about the stream.",
        ],
    )
}
