//! XDEL, XDELEX and XACKDEL.

use super::id_arg;
use crate::command::Context;
use crate::command::context::{EventClass, int_arg};
use crate::data::Stream;
use crate::data::stream::{References, Removed, StreamId};
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

/// The word that says what becomes of entries that groups refer to.
pub(super) fn references_arg(word: &[u8]) -> Option<References> {
    match word {
        w if is_word(w, "keepref") => Some(References::Keep),
        w if is_word(w, "delref") => Some(References::Delete),
        w if is_word(w, "acked") => Some(References::Acked),
        _ => None,
    }
}

pub(super) fn xdel(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let key = args[1];
    if ctx.find_stream_mut(key)?.is_none() {
        ctx.reply.int(0);
        return Ok(());
    }
    let ids: Vec<StreamId> = parse_ids(&args[2..])?;
    let mut gone = 0;
    if let Some(stream) = ctx.find_stream_mut(key)? {
        gone = ids.iter().filter(|id| stream.entries.delete(**id)).count() as u64;
    }
    if gone > 0 {
        ctx.touch(key);
        ctx.notify(EventClass::Stream, "xdel", key);
        ctx.dirty += gone;
    }
    ctx.reply.int(gone as i64);
    Ok(())
}

/// All or none: no command does half of what it says.
pub(super) fn parse_ids(args: &[&[u8]]) -> CommandResult<Vec<StreamId>> {
    args.iter().map(|arg| id_arg(arg, 0)).collect()
}

/// What XDELEX and XACKDEL take behind key and group: what becomes of references, and `IDS numids id ...`, in any
/// order.
fn parse_referenced<'a>(args: &'a [&'a [u8]]) -> CommandResult<(References, &'a [&'a [u8]])> {
    let mut references = None;
    let mut ids = None;
    let mut rest = args;
    while let [word, tail @ ..] = rest {
        rest = tail;
        if let Some(given) = references_arg(word) {
            if references.replace(given).is_some() {
                return Err(CommandError::SYNTAX);
            }
        } else if is_word(word, "ids") && !tail.is_empty() {
            let count = int_arg(tail[0]).ok().and_then(|n| usize::try_from(n).ok());
            let count = count.filter(|n| *n > 0).ok_or(CommandError::fixed(
                "ERR Number of IDs must be a positive integer",
            ))?;
            let (named, behind) = tail[1..]
                .split_at_checked(count)
                .ok_or(CommandError::fixed(
                    "ERR The `numids` parameter must match the number of arguments",
                ))?;
            ids = Some(named);
            rest = behind;
        } else {
            return Err(CommandError::SYNTAX);
        }
    }
    Ok((
        references.unwrap_or_default(),
        ids.ok_or(CommandError::SYNTAX)?,
    ))
}

/// What became of an id, in a reply.
const NOT_THERE: i64 = -1;
const DELETED: i64 = 1;
const STILL_REFERENCED: i64 = 2;

pub(super) fn xdelex(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let key = args[1];
    ctx.find_stream_mut(key)?;
    let (references, ids) = parse_referenced(&args[2..])?;
    delete_referenced(ctx, key, None, references, ids)
}

pub(super) fn xackdel(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let key = args[1];
    ctx.find_stream_mut(key)?;
    let (references, ids) = parse_referenced(&args[3..])?;
    delete_referenced(ctx, key, Some(args[2]), references, ids)
}

/// Deletes entries; with a group only those that are pending there, which they are no more then.
fn delete_referenced(
    ctx: &mut Context<'_>,
    key: &[u8],
    group: Option<&[u8]>,
    references: References,
    ids: &[&[u8]],
) -> CommandResult {
    let (stream, reply, _) = ctx.find_stream_apart(key)?;
    let has_group = |stream: &&mut Stream| group.is_none_or(|name| stream.group(name).is_some());
    let Some(stream) = stream.filter(has_group) else {
        // Nothing is looked at then, not even the ids.
        reply.array(ids.len());
        ids.iter().for_each(|_| reply.int(NOT_THERE));
        return Ok(());
    };
    let ids = parse_ids(ids)?;
    reply.array(ids.len());
    let mut removed = Removed::default();
    for id in ids {
        if let Some(name) = group {
            let acknowledged = stream
                .group_mut(name)
                .is_some_and(|group| group.acknowledge(id));
            if !acknowledged {
                reply.int(NOT_THERE);
                continue;
            }
            removed.references.entry(name.into()).or_default().push(id);
        }
        if references == References::Acked && stream.is_referenced(id) {
            reply.int(STILL_REFERENCED);
            continue;
        }
        if references == References::Delete {
            stream.drop_references(id, &mut removed);
        }
        let deleted = stream.entries.delete(id);
        if deleted {
            removed.entries.push(id);
        }
        // What was pending is done with, whether its entry was still there or not.
        reply.int(if deleted || group.is_some() {
            DELETED
        } else {
            NOT_THERE
        });
    }
    let references = removed.references.values().map(Vec::len).sum::<usize>();
    ctx.dirty += (removed.entries.len() + references) as u64;
    if !removed.entries.is_empty() {
        ctx.touch(key);
        ctx.notify(EventClass::Stream, "xdel", key);
    }
    log_removed(ctx, key, &removed);
    Ok(())
}

/// Ids in one command of the log at most.
const LOGGED_AT_ONCE: usize = 1000;

/// Logs what was removed in words that older replicas know.
pub(super) fn log_removed(ctx: &mut Context<'_>, key: &[u8], removed: &Removed) {
    if !ctx.effects.enabled {
        return;
    }
    let mut log = |head: &[&[u8]], ids: &[StreamId]| {
        for ids in ids.chunks(LOGGED_AT_ONCE) {
            let ids: Vec<_> = ids.iter().map(|id| id.text()).collect();
            let ids = ids.iter().map(AsRef::as_ref);
            let command: Vec<&[u8]> = head.iter().copied().chain(ids).collect();
            ctx.effects.replace(&command);
        }
    };
    log(&[b"XDEL", key], &removed.entries);
    for (group, ids) in &removed.references {
        log(&[b"XACK", key, group], ids);
    }
}
