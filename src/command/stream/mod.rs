//! Streams: ids and entries in arguments and replies; each group of commands is in its own file.

mod add;
mod claim;
mod delete;
mod group;
mod info;
mod pending;
mod range;
mod read;
#[cfg(test)]
mod tests;
mod trim;

use crate::command::context::values::reply_item;
use crate::command::{Context, Handlers};
use crate::data::stream::{Entry, NodeLimits, StreamId, Written};
use crate::resp::Reply;
use crate::resp::reply::error_text;
use crate::table::{CommandError, CommandResult};

pub(crate) const HANDLERS: Handlers = &[
    ("xadd", add::xadd),
    ("xlen", range::xlen),
    ("xrange", |ctx, args| range::range(ctx, args, false)),
    ("xrevrange", |ctx, args| range::range(ctx, args, true)),
    ("xdel", delete::xdel),
    ("xdelex", delete::xdelex),
    ("xackdel", delete::xackdel),
    ("xtrim", trim::xtrim),
    ("xread", |ctx, args| read::read(ctx, args, false)),
    ("xreadgroup", |ctx, args| read::read(ctx, args, true)),
    ("xsetid", group::xsetid),
    ("xgroup|create", group::create),
    ("xgroup|setid", group::set_id),
    ("xgroup|destroy", group::destroy),
    ("xgroup|createconsumer", group::create_consumer),
    ("xgroup|delconsumer", group::delete_consumer),
    ("xgroup|help", group::help),
    ("xack", pending::xack),
    ("xpending", pending::xpending),
    ("xclaim", claim::xclaim),
    ("xautoclaim", claim::xautoclaim),
    ("xinfo|stream", info::stream),
    ("xinfo|groups", info::groups),
    ("xinfo|consumers", info::consumers),
    ("xinfo|help", info::help),
];

const INVALID_ID: CommandError =
    CommandError::fixed("ERR Invalid stream ID specified as stream command argument");

/// An id with its number, or `missing_seq` for that.
fn id_arg(arg: &[u8], missing_seq: u64) -> CommandResult<StreamId> {
    match StreamId::parse(arg) {
        Some(Written::Whole(id)) => Ok(id),
        Some(Written::Millis(ms)) => Ok(StreamId::new(ms, missing_seq)),
        Some(Written::AnySeq(_)) | None => Err(INVALID_ID),
    }
}

/// As [`id_arg`]; `-` and `+` are the lowest and the highest.
fn edge_arg(arg: &[u8], missing_seq: u64) -> CommandResult<StreamId> {
    match arg {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        _ => id_arg(arg, missing_seq),
    }
}

/// Where a range of ids begins. `(` leaves the id itself out.
fn start_arg(arg: &[u8]) -> CommandResult<StreamId> {
    match arg {
        [b'(', id @ ..] if !id.is_empty() => id_arg(id, 0)?
            .next()
            .ok_or(CommandError::fixed("ERR invalid start ID for the interval")),
        _ => edge_arg(arg, 0),
    }
}

/// Where it ends.
fn end_arg(arg: &[u8]) -> CommandResult<StreamId> {
    match arg {
        [b'(', id @ ..] if !id.is_empty() => id_arg(id, u64::MAX)?
            .before()
            .ok_or(CommandError::fixed("ERR invalid end ID for the interval")),
        _ => edge_arg(arg, u64::MAX),
    }
}

fn node_limits(ctx: &Context<'_>) -> NodeLimits {
    NodeLimits::of(&ctx.settings.encodings)
}

fn reply_id(reply: &mut Reply, id: StreamId) {
    reply.bulk(id.text().as_ref());
}

/// Writes an entry: its id, and its fields with their values.
#[inline]
fn reply_entry(reply: &mut Reply, entry: &Entry<'_>) {
    reply.array(2);
    reply_id(reply, entry.id);
    reply.array(2 * entry.len());
    for (field, value) in entry.pairs() {
        reply_item(reply, field);
        reply_item(reply, value);
    }
}

/// A name in an error: Redis shows it up to a zero byte.
fn shown(name: &[u8]) -> String {
    error_text(name.split(|byte| *byte == 0).next().unwrap_or_default())
}

/// There is no such key, or no such group in it; `where_to` says for what.
fn no_group(key: &[u8], group: &[u8], where_to: &str) -> CommandError {
    let (key, group) = (shown(key), shown(group));
    CommandError::text(format!(
        "NOGROUP No such key '{key}' or consumer group '{group}'{where_to}"
    ))
}

/// There is no such group, but there is the key.
fn no_group_in(key: &[u8], group: &[u8]) -> CommandError {
    let (key, group) = (shown(key), shown(group));
    CommandError::text(format!(
        "NOGROUP No such consumer group '{group}' for key name '{key}'"
    ))
}
