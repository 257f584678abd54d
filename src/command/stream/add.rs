//! XADD.

use super::trim::{TrimOptions, discard, log_rewritten};
use super::{INVALID_ID, node_limits, reply_id};
use crate::command::Context;
use crate::command::context::EventClass;
use crate::data::listpack;
use crate::data::stream::{StreamId, Written};
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

/// The id that the new entry is to have.
#[derive(Clone, Copy, Debug)]
enum IdArg {
    /// The time, or whatever comes next.
    Auto,
    /// These milliseconds, and the next number.
    AnySeq(u64),
    Given(StreamId),
}

const TOO_SMALL: CommandError = CommandError::fixed(
    "ERR The ID specified in XADD is equal or smaller than the target stream top item",
);

impl IdArg {
    fn parse(arg: &[u8]) -> CommandResult<IdArg> {
        match StreamId::parse(arg) {
            _ if arg == b"*" => Ok(IdArg::Auto),
            Some(Written::Whole(id)) => Ok(IdArg::Given(id)),
            Some(Written::Millis(ms)) => Ok(IdArg::Given(StreamId::new(ms, 0))),
            Some(Written::AnySeq(ms)) => Ok(IdArg::AnySeq(ms)),
            None => Err(INVALID_ID),
        }
    }

    /// The id behind `last`.
    fn resolve(self, last: StreamId, now_ms: i64) -> CommandResult<StreamId> {
        if last == StreamId::MAX {
            return Err(CommandError::fixed(
                "ERR The stream has exhausted the last possible ID, unable to add more items",
            ));
        }
        let id = match self {
            IdArg::Auto => match u64::try_from(now_ms) {
                Ok(now_ms) if now_ms > last.ms => Some(StreamId::new(now_ms, 0)),
                _ => last.next(),
            },
            IdArg::AnySeq(ms) if ms == last.ms => last.next().filter(|id| id.ms == ms),
            IdArg::AnySeq(ms) => Some(StreamId::new(ms, 0)),
            IdArg::Given(id) => Some(id),
        };
        id.filter(|id| *id > last).ok_or(TOO_SMALL)
    }
}

pub(super) fn xadd(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let mut options = TrimOptions::default();
    let mut may_create = true;
    let mut at = 2;
    let id = loop {
        let Some(word) = args.get(at) else {
            return Err(CommandError::arity("xadd"));
        };
        if *word == b"*" {
            break IdArg::Auto;
        }
        if let Some(taken) = options.take(args, at)? {
            at += taken;
        } else if is_word(word, "nomkstream") {
            may_create = false;
            at += 1;
        } else {
            break IdArg::parse(word)?;
        }
    };
    options.check(ctx, false)?;
    let pairs = &args[at + 1..];
    if pairs.is_empty() || pairs.len() % 2 == 1 {
        return Err(CommandError::arity("xadd"));
    }
    if matches!(id, IdArg::Given(id) if id.is_zero()) {
        return Err(CommandError::fixed(
            "ERR The ID specified in XADD must be greater than 0-0",
        ));
    }
    if pairs.iter().map(|part| part.len()).sum::<usize>() > listpack::MAX_BYTES {
        return Err(CommandError::fixed(
            "ERR Elements are too large to be stored",
        ));
    }
    add(ctx, args, at, id, may_create, &options)
}

/// Adds an entry of the fields behind `args[id_at]`.
fn add(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    id_at: usize,
    id: IdArg,
    may_create: bool,
    options: &TrimOptions,
) -> CommandResult {
    let key = args[1];
    let (limits, now_ms, logs) = (node_limits(ctx), ctx.now_ms, ctx.effects.enabled);
    let stream = match may_create {
        true => ctx.stream_or_create(key)?,
        false => match ctx.find_stream_mut(key)? {
            Some(stream) => stream,
            None => {
                ctx.reply.null();
                return Ok(());
            }
        },
    };
    // A new stream takes every id but 0-0, so that no error leaves it empty.
    let new_id = id.resolve(stream.entries.last_id, now_ms)?;
    stream.entries.append(new_id, &args[id_at + 1..], limits);
    let trimming = options.apply(stream);
    let gone = trimming.gone;
    let exact = if logs {
        options.rewritten(stream)
    } else {
        None
    };
    let text = new_id.text();
    if options.references_given {
        let head: [&[u8]; 3] = [b"XADD", key, text.as_ref()];
        ctx.effects.replace(&[&head, &args[id_at + 1..]].concat());
        options.log_referenced(ctx, key, &trimming);
    } else if logs {
        let told = !matches!(id, IdArg::Given(_));
        let told = told.then(|| (id_at, text.as_ref().to_vec()));
        if exact.is_some() || told.is_some() {
            log_rewritten(ctx, args, exact.into_iter().flatten().chain(told));
        }
    }
    discard(ctx, trimming);
    reply_id(ctx.reply, new_id);
    ctx.changed(key, EventClass::Stream, "xadd");
    if gone > 0 {
        ctx.notify(EventClass::Stream, "xtrim", key);
    }
    ctx.signal_ready(key);
    Ok(())
}
