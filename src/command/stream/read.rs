//! XREAD and XREADGROUP.
//!
//! A first pass over the streams checks everything and says from where each is to be read; a second one reads. If that
//! gives nothing, the client waits where it has asked for it: a reader of a group also for the end of its key or
//! group, since the command answers then.
//!
//! What a group's reader is given is logged as the change that it makes: XCLAIM for what is pending now, XGROUP SETID
//! where nothing becomes pending, XGROUP CREATECONSUMER for a consumer that nothing else tells of.

use bytes::Bytes;

use super::range::reply_entries;
use super::{id_arg, no_group, reply_entry, reply_id};
use crate::command::context::{BlockRequest, EventClass, int_arg};
use crate::command::{Context, Effects};
use crate::data::stream::{ConsumerId, Entries, Group, Pending, StreamId};
use crate::data::{Kind, Stream, ValueRef};
use crate::resp::Reply;
use crate::resp::reply::Aggregate;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

/// What is read, and how.
#[derive(Debug)]
struct Request<'a> {
    group: Option<Reader<'a>>,
    /// Most entries of each stream.
    count: usize,
    /// Wait until this moment (unix ms; None: for ever) if there is nothing.
    block: Option<Option<i64>>,
    keys: &'a [&'a [u8]],
    ids: &'a [&'a [u8]],
    /// Which argument is the first key.
    keys_at: usize,
}

/// Who reads as a member of a group.
#[derive(Clone, Copy, Debug)]
struct Reader<'a> {
    group: &'a [u8],
    consumer: &'a [u8],
    /// What is read does not become pending.
    no_ack: bool,
}

/// From where a stream is read.
#[derive(Clone, Copy, Debug)]
enum From {
    /// What comes behind this entry.
    Behind(StreamId),
    /// What no consumer of the group has been given.
    New,
    /// What is pending with the consumer, behind this entry.
    History(StreamId),
}

/// A timeout in milliseconds as the moment it ends.
fn block_arg(arg: &[u8], now_ms: i64) -> CommandResult<Option<i64>> {
    let timeout_ms = int_arg(arg)
        .map_err(|_| CommandError::fixed("ERR timeout is not an integer or out of range"))?;
    match timeout_ms {
        ..0 => Err(CommandError::fixed("ERR timeout is negative")),
        0 => Ok(None),
        _ => match now_ms.checked_add(timeout_ms) {
            Some(deadline_ms) => Ok(Some(deadline_ms)),
            None => Err(CommandError::fixed("ERR timeout is out of range")),
        },
    }
}

impl<'a> Request<'a> {
    fn parse(ctx: &Context<'_>, args: &'a Args<'a>, grouped: bool) -> CommandResult<Request<'a>> {
        let name = if grouped { "xreadgroup" } else { "xread" };
        let (mut group, mut no_ack, mut count, mut block) = (None, false, 0, None);
        let mut at = 1;
        while at < args.len() {
            let rest = &args[at + 1..];
            match (args[at], rest) {
                (word, [timeout, ..]) if is_word(word, "block") => {
                    if ctx.in_script {
                        let name = String::from_utf8_lossy(args[0]);
                        return Err(CommandError::err(format_args!(
                            "{name} command is not allowed with BLOCK option from scripts"
                        )));
                    }
                    block = Some(block_arg(timeout, ctx.now_ms)?);
                    at += 2;
                }
                (word, [number, ..]) if is_word(word, "count") => {
                    count = int_arg(number)?.max(0) as usize;
                    at += 2;
                }
                (word, [_, ..]) if is_word(word, "streams") => {
                    let (keys, ids) = rest.split_at(rest.len() / 2);
                    if keys.len() != ids.len() {
                        let symbol = if grouped { '>' } else { '$' };
                        return Err(CommandError::err(format_args!(
                            "Unbalanced '{name}' list of streams: for each stream key an ID or '{symbol}' must \
                             be specified."
                        )));
                    }
                    if grouped && group.is_none() {
                        return Err(CommandError::fixed(
                            "ERR Missing GROUP option for XREADGROUP",
                        ));
                    }
                    return Ok(Request {
                        group: group.map(|(group, consumer)| Reader {
                            group,
                            consumer,
                            no_ack,
                        }),
                        count: if count == 0 { usize::MAX } else { count },
                        block,
                        keys,
                        ids,
                        keys_at: at + 1,
                    });
                }
                (word, [name, consumer, ..]) if is_word(word, "group") => {
                    only_grouped(grouped, "GROUP")?;
                    group = Some((*name, *consumer));
                    at += 3;
                }
                (word, _) if is_word(word, "noack") => {
                    only_grouped(grouped, "NOACK")?;
                    no_ack = true;
                    at += 1;
                }
                _ => break,
            }
        }
        Err(CommandError::SYNTAX)
    }
}

fn only_grouped(grouped: bool, option: &str) -> CommandResult {
    match grouped {
        true => Ok(()),
        false => Err(CommandError::err(format_args!(
            "The {option} option is only supported by XREADGROUP. You called XREAD instead."
        ))),
    }
}

/// From where the stream of a key is to be read.
fn from_arg(
    ctx: &mut Context<'_>,
    key: &[u8],
    id: &[u8],
    reader: Option<Reader<'_>>,
) -> CommandResult<From> {
    let stream = ctx.find_stream(key)?;
    if let Some(Reader { group, .. }) = reader
        && stream.is_none_or(|stream| stream.group(group).is_none())
    {
        return Err(no_group(key, group, " in XREADGROUP with GROUP option"));
    }
    match (id, reader) {
        (b"$", None) => Ok(From::Behind(
            stream.map_or(StreamId::MIN, |stream| stream.entries.last_id),
        )),
        (b"$", Some(_)) => Err(CommandError::fixed(
            "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer \
             by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty \
             result set.",
        )),
        (b">", Some(_)) => Ok(From::New),
        (b">", None) => Err(CommandError::fixed(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
        )),
        (id, None) => Ok(From::Behind(id_arg(id, 0)?)),
        // The highest id is what Redis keeps `>` as.
        (id, Some(_)) => match id_arg(id, 0)? {
            StreamId::MAX => Ok(From::New),
            id => Ok(From::History(id)),
        },
    }
}

pub(super) fn read(ctx: &mut Context<'_>, args: &Args<'_>, grouped: bool) -> CommandResult {
    let request = Request::parse(ctx, args, grouped)?;
    let streams = request.keys.iter().zip(request.ids);
    let mut from = Vec::with_capacity(request.keys.len());
    for (key, id) in streams {
        from.push(from_arg(ctx, key, id, request.group)?);
    }
    // What changes is logged as such, never as a read.
    ctx.effects.overridden = grouped;
    let mark = ctx.reply.begin();
    let mut given = 0;
    for (key, from) in request.keys.iter().zip(&from) {
        let gave = match request.group {
            Some(reader) => read_as(ctx, key, reader, *from, request.count)?,
            None => read_plainly(ctx, key, *from, request.count)?,
        };
        given += usize::from(gave);
    }
    if given > 0 {
        // Without maps it is an array of pairs.
        let kind = match ctx.reply.is_resp3() {
            true => Aggregate::Map,
            false => Aggregate::Array,
        };
        ctx.reply.end(mark, kind, given);
        return Ok(());
    }
    match request.block {
        Some(deadline_ms) if !ctx.deny_blocking => wait(ctx, &request, &from, deadline_ms),
        _ => ctx.reply.null_array(),
    }
    Ok(())
}

/// Waits for any of the streams. `$` is what it stood for now when the command runs again.
fn wait(ctx: &mut Context<'_>, request: &Request<'_>, from: &[From], deadline_ms: Option<i64>) {
    let ids_at = request.keys_at + request.keys.len();
    let rewritten = request.ids.iter().zip(from).enumerate();
    let rewritten = rewritten.filter_map(|(at, (id, from))| match (*id, from) {
        (b"$", From::Behind(id)) => {
            let text = Bytes::copy_from_slice(id.text().as_ref());
            Some((ids_at + at, text))
        }
        _ => None,
    });
    let rewritten = rewritten.collect();
    ctx.block_on(BlockRequest {
        key_args: request.keys_at..ids_at,
        deadline_ms,
        kind: Kind::Stream,
        on_deletion: request.group.is_some(),
        null_array: true,
        rewritten,
    });
}

/// Writes what a key's pair begins with.
fn begin_stream(reply: &mut Reply, key: &[u8]) {
    if !reply.is_resp3() {
        reply.array(2);
    }
    reply.bulk(key);
}

/// Reads without a group; whether there was anything.
fn read_plainly(
    ctx: &mut Context<'_>,
    key: &[u8],
    from: From,
    count: usize,
) -> CommandResult<bool> {
    let (From::Behind(id), Some(entry)) = (from, ctx.peek_entry(key)) else {
        return Ok(false);
    };
    let ValueRef::Stream(stream) = entry.value else {
        return Err(CommandError::WRONG_TYPE);
    };
    let is_behind = stream.entries.last_live_id().is_some_and(|last| last > id);
    let (Some(start), true) = (id.next(), is_behind) else {
        return Ok(false);
    };
    let (value, reply) = ctx.find_for_reply(key);
    if let Some(ValueRef::Stream(stream)) = value {
        begin_stream(reply, key);
        let entries = stream.entries.range(start, StreamId::MAX);
        reply_entries(reply, entries.take(count));
    }
    Ok(true)
}

/// Reads as a consumer, who is made if need be; whether there was anything to say.
fn read_as(
    ctx: &mut Context<'_>,
    key: &[u8],
    reader: Reader<'_>,
    from: From,
    count: usize,
) -> CommandResult<bool> {
    let now_ms = ctx.now_ms;
    let (stream, reply, effects) = ctx.find_stream_apart(key)?;
    let Some(stream) = stream else {
        return Ok(false);
    };
    let (entries, group) = stream.entries_and_group(reader.group);
    let Some(group) = group else {
        return Ok(false);
    };
    let is_behind = entries
        .last_live_id()
        .is_some_and(|last| last > group.last_id);
    let known = group.consumer_named(reader.consumer);
    let consumer = match known {
        Some(consumer) => consumer,
        None => group.make_consumer(reader.consumer, now_ms),
    };
    if let Some(consumer) = group.consumer_mut(consumer) {
        consumer.seen_at_ms = now_ms;
    }
    let log = Delivery {
        key,
        reader,
        consumer,
        now_ms,
    };
    let (gave, told) = match from {
        From::New if is_behind => {
            begin_stream(reply, key);
            log.deliver(entries, group, count, reply, effects);
            (true, !reader.no_ack)
        }
        From::History(id) => {
            begin_stream(reply, key);
            log.repeat(entries, group, id, count, reply);
            (true, false)
        }
        _ => (false, false),
    };
    if known.is_none() {
        if !told {
            log_consumer(effects, key, reader.group, reader.consumer);
        }
        ctx.dirty += 1;
        ctx.notify(EventClass::Stream, "xgroup-createconsumer", key);
    }
    ctx.dirty += u64::from(gave);
    Ok(gave)
}

/// Logs that a consumer was made.
pub(super) fn log_consumer(effects: &mut Effects, key: &[u8], group: &[u8], consumer: &[u8]) {
    let command: [&[u8]; 5] = [b"XGROUP", b"CREATECONSUMER", key, group, consumer];
    effects.replace(&command);
}

/// Entries on their way to a consumer.
struct Delivery<'a> {
    key: &'a [u8],
    reader: Reader<'a>,
    consumer: ConsumerId,
    now_ms: i64,
}

impl Delivery<'_> {
    /// Gives the consumer what the group has not read yet.
    fn deliver(
        &self,
        entries: &Entries,
        group: &mut Group,
        count: usize,
        reply: &mut Reply,
        effects: &mut Effects,
    ) {
        let horizon = entries.horizon();
        let start = group.last_id.next().unwrap_or(StreamId::MAX);
        let mark = reply.begin();
        let mut given = 0;
        for entry in entries.range(start, StreamId::MAX).take(count) {
            group.advance(entry.id, &horizon);
            reply_entry(reply, &entry);
            given += 1;
            if self.reader.no_ack {
                continue;
            }
            let pending = Pending {
                consumer: self.consumer,
                delivered_at_ms: self.now_ms,
                deliveries: 1,
            };
            group.assign(entry.id, pending);
            if effects.enabled {
                let names = [self.key, self.reader.group, self.reader.consumer];
                log_claim(effects, names, entry.id, &pending, group.last_id);
            }
        }
        reply.end(mark, Aggregate::Array, given);
        if self.reader.no_ack {
            log_group_id(effects, self.key, self.reader.group, group);
        } else if let Some(consumer) = group.consumer_mut(self.consumer) {
            consumer.active_at_ms = self.now_ms;
        }
    }

    /// Gives the consumer again what is pending with it. That is not logged, as in Redis.
    fn repeat(
        &self,
        entries: &Entries,
        group: &mut Group,
        behind: StreamId,
        count: usize,
        reply: &mut Reply,
    ) {
        let start = behind.next().unwrap_or(StreamId::MAX);
        let pending = group.pending_with(self.consumer, start).take(count);
        let pending: Vec<StreamId> = pending.collect();
        reply.array(pending.len());
        let mut finder = entries.finder();
        for id in pending {
            match finder.find(id) {
                Some(entry) => {
                    reply_entry(reply, &entry);
                    if let Some(pending) = group.pending_mut(id) {
                        pending.delivered_at_ms = self.now_ms;
                        pending.deliveries = pending.deliveries.wrapping_add(1);
                    }
                }
                None => {
                    reply.array(2);
                    reply_id(reply, id);
                    reply.null_array();
                }
            }
        }
    }
}

/// Logs a pending entry as it is now, so that it may be applied twice. `names`: key, group, consumer.
pub(super) fn log_claim(
    effects: &mut Effects,
    names: [&[u8]; 3],
    id: StreamId,
    pending: &Pending,
    last_id: StreamId,
) {
    let [key, group, consumer] = names;
    let (id, last_id) = (id.text(), last_id.text());
    let (mut time, mut count) = (itoa::Buffer::new(), itoa::Buffer::new());
    let command: [&[u8]; 14] = [
        b"XCLAIM",
        key,
        group,
        consumer,
        b"0",
        id.as_ref(),
        b"TIME",
        time.format(pending.delivered_at_ms).as_bytes(),
        b"RETRYCOUNT",
        count.format(pending.deliveries as i64).as_bytes(),
        b"FORCE",
        b"JUSTID",
        b"LASTID",
        last_id.as_ref(),
    ];
    effects.replace(&command);
}

/// Logs how far a group has read.
pub(super) fn log_group_id(effects: &mut Effects, key: &[u8], name: &[u8], group: &Group) {
    let last_id = group.last_id.text();
    let read = group.entries_read.map_or(-1, |read| read as i64);
    let mut digits = itoa::Buffer::new();
    let command: [&[u8]; 7] = [
        b"XGROUP",
        b"SETID",
        key,
        name,
        last_id.as_ref(),
        b"ENTRIESREAD",
        digits.format(read).as_bytes(),
    ];
    effects.replace(&command);
}

/// The consumer of a group that claims entries, made if need be. Whether it is new.
pub(super) fn claiming_consumer(
    stream: &mut Stream,
    group: &[u8],
    name: &[u8],
    now_ms: i64,
) -> Option<(ConsumerId, bool)> {
    let group = stream.group_mut(group)?;
    let known = group.consumer_named(name);
    let consumer = known.unwrap_or_else(|| group.make_consumer(name, now_ms));
    if let Some(consumer) = group.consumer_mut(consumer) {
        consumer.seen_at_ms = now_ms;
    }
    Some((consumer, known.is_none()))
}
