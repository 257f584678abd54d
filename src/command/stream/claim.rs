//! XCLAIM and XAUTOCLAIM.
//!
//! What they do is logged entry by entry as XCLAIM with all that is known then: so it may be applied twice, and a
//! replica needs not look at the entries.

use super::delete::parse_ids;
use super::read::{claiming_consumer, log_claim, log_consumer, log_group_id};
use super::{id_arg, no_group, reply_entry, reply_id, shown, start_arg};
use crate::command::context::{EventClass, int_arg};
use crate::command::{Context, Effects};
use crate::data::Stream;
use crate::data::stream::entries::Finder;
use crate::data::stream::{ConsumerId, Entries, Group, Pending, StreamId};
use crate::resp::Reply;
use crate::resp::reply::Aggregate;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

/// Claims for one consumer.
struct Claim<'a> {
    /// Key, group, consumer.
    names: [&'a [u8]; 3],
    consumer: ConsumerId,
    min_idle_ms: i64,
    now_ms: i64,
    /// When what is claimed counts as delivered.
    delivered_at_ms: i64,
    /// How often; None: once more than before, or as often with `just_id`.
    deliveries: Option<u64>,
    /// Only ids are returned.
    just_id: bool,
}

/// What claiming an entry has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Claimed,
    /// It was pending and is no more, since it has been deleted.
    Gone,
    /// It is not pending, or not for long enough.
    Left,
}

impl Claim<'_> {
    /// Tries to claim an entry. `force`: also if it is not pending.
    fn claim(
        &self,
        id: StreamId,
        force: bool,
        finder: &mut Finder<'_>,
        group: &mut Group,
        reply: &mut Reply,
        effects: &mut Effects,
    ) -> Outcome {
        let known = group.pending(id);
        let Some(entry) = finder.find(id) else {
            let Some(pending) = known else {
                return Outcome::Left;
            };
            self.log(id, &pending, group, effects);
            group.acknowledge(id);
            return Outcome::Gone;
        };
        let before = match known {
            Some(before) => {
                let idle_ms = self.now_ms.saturating_sub(before.delivered_at_ms);
                if self.min_idle_ms > 0 && idle_ms < self.min_idle_ms {
                    return Outcome::Left;
                }
                before.deliveries
            }
            // A new entry counts as delivered once.
            None if force => 1,
            None => return Outcome::Left,
        };
        let more = u64::from(!self.just_id);
        let pending = Pending {
            consumer: self.consumer,
            delivered_at_ms: self.delivered_at_ms,
            deliveries: self.deliveries.unwrap_or(before.wrapping_add(more)),
        };
        group.assign(id, pending);
        match self.just_id {
            true => reply_id(reply, id),
            false => reply_entry(reply, &entry),
        }
        self.log(id, &pending, group, effects);
        Outcome::Claimed
    }

    /// Logs an entry as pending with whom it is pending.
    fn log(&self, id: StreamId, pending: &Pending, group: &Group, effects: &mut Effects) {
        if !effects.enabled {
            return;
        }
        let [key, name, own] = self.names;
        let owner = group.consumer(pending.consumer);
        let owner = owner.map_or(own, |owner| &owner.name);
        log_claim(effects, [key, name, owner], id, pending, group.last_id);
    }
}

/// XCLAIM's options.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    delivered_at_ms: Option<i64>,
    deliveries: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: StreamId,
}

fn number_arg(arg: &[u8], what: &str) -> CommandResult<i64> {
    int_arg(arg).map_err(|_| CommandError::err(format_args!("Invalid {what} argument for XCLAIM")))
}

impl Options {
    fn parse(args: &[&[u8]], now_ms: i64) -> CommandResult<Options> {
        let mut options = Options::default();
        let mut rest = args;
        while let [word, tail @ ..] = rest {
            rest = tail;
            if is_word(word, "force") {
                options.force = true;
                continue;
            }
            if is_word(word, "justid") {
                options.just_id = true;
                continue;
            }
            let Some((value, tail)) = tail.split_first() else {
                return Err(unknown_option(word));
            };
            match *word {
                w if is_word(w, "idle") => {
                    let idle_ms = number_arg(value, "IDLE option")?;
                    options.delivered_at_ms = Some(now_ms.wrapping_sub(idle_ms));
                }
                w if is_word(w, "time") => {
                    options.delivered_at_ms = Some(number_arg(value, "TIME option")?);
                }
                w if is_word(w, "retrycount") => {
                    options.deliveries =
                        u64::try_from(number_arg(value, "RETRYCOUNT option")?).ok();
                }
                w if is_word(w, "lastid") => options.last_id = id_arg(value, 0)?,
                _ => return Err(unknown_option(word)),
            }
            rest = tail;
        }
        Ok(options)
    }
}

fn unknown_option(word: &[u8]) -> CommandError {
    let word = shown(word);
    CommandError::err(format_args!("Unrecognized XCLAIM option '{word}'"))
}

/// Fails if there is no such group.
fn check_group(stream: Option<&mut Stream>, key: &[u8], group: &[u8]) -> CommandResult {
    match stream.is_some_and(|stream| stream.group(group).is_some()) {
        true => Ok(()),
        false => Err(no_group(key, group, "")),
    }
}

/// After a claim: says that a consumer was made, and logs it if no claim has.
fn settle(ctx: &mut Context<'_>, names: [&[u8]; 3], is_new: bool, logged: bool) {
    ctx.effects.overridden = true;
    let [key, group, consumer] = names;
    if is_new {
        ctx.dirty += 1;
        if !logged {
            log_consumer(ctx.effects, key, group, consumer);
        }
        ctx.notify(EventClass::Stream, "xgroup-createconsumer", key);
    }
}

pub(super) fn xclaim(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (key, name, now_ms) = (args[1], args[2], ctx.now_ms);
    check_group(ctx.find_stream_mut(key)?, key, name)?;
    let min_idle_ms = number_arg(args[4], "min-idle-time")?;
    let id_count = args[5..]
        .iter()
        .take_while(|arg| id_arg(arg, 0).is_ok())
        .count();
    let ids = parse_ids(&args[5..5 + id_count])?;
    let options = Options::parse(&args[5 + id_count..], now_ms)?;
    let delivered_at_ms = options
        .delivered_at_ms
        .filter(|at| (0..=now_ms).contains(at));

    let names = [key, name, args[3]];
    let (stream, reply, effects) = ctx.find_stream_apart(key)?;
    let (consumer, is_new, entries, group) = claiming(stream, &names, now_ms)?;
    let mut moved_on = options.last_id > group.last_id;
    group.last_id = group.last_id.max(options.last_id);
    let claim = Claim {
        names,
        consumer,
        min_idle_ms,
        now_ms,
        delivered_at_ms: delivered_at_ms.unwrap_or(now_ms),
        deliveries: options.deliveries,
        just_id: options.just_id,
    };
    let mut finder = entries.finder();
    let mark = reply.begin();
    let (mut claimed, mut gone) = (0, 0);
    for id in ids {
        match claim.claim(id, options.force, &mut finder, group, reply, effects) {
            Outcome::Claimed => claimed += 1,
            Outcome::Gone => gone += 1,
            Outcome::Left => {}
        }
    }
    reply.end(mark, Aggregate::Array, claimed);
    if claimed > 0
        && let Some(consumer) = group.consumer_mut(consumer)
    {
        consumer.active_at_ms = now_ms;
    }
    moved_on &= claimed + gone == 0;
    if moved_on {
        log_group_id(effects, key, name, group);
    }
    ctx.dirty += (claimed + gone) as u64 + u64::from(moved_on);
    settle(ctx, names, is_new, claimed > 0);
    Ok(())
}

/// The group, with the consumer that claims, which is made if it is not there (true), and what the group is of.
/// `names`: the key's, the group's, the consumer's.
fn claiming<'s>(
    stream: Option<&'s mut Stream>,
    names: &[&[u8]; 3],
    now_ms: i64,
) -> CommandResult<(ConsumerId, bool, &'s Entries, &'s mut Group)> {
    let [key, name, consumer] = *names;
    let absent = || no_group(key, name, "");
    let stream = stream.ok_or_else(absent)?;
    let claiming = claiming_consumer(stream, name, consumer, now_ms);
    let (consumer, is_new) = claiming.ok_or_else(absent)?;
    let (entries, group) = stream.entries_and_group(name);
    Ok((consumer, is_new, entries, group.ok_or_else(absent)?))
}

/// So many pending entries are looked at for each that may be claimed.
const LOOKED_AT: usize = 10;
/// Most that COUNT may be.
const COUNT_MAX: i64 = i64::MAX / 16;

/// XAUTOCLAIM's options: how many, and whether only ids are returned.
fn auto_options(args: &[&[u8]]) -> CommandResult<(usize, bool)> {
    let (mut count, mut just_id) = (100, false);
    let mut rest = args;
    while let [word, tail @ ..] = rest {
        rest = tail;
        match tail {
            [number, tail @ ..] if is_word(word, "count") => {
                let number = int_arg(number).ok().filter(|n| (1..=COUNT_MAX).contains(n));
                count = number.ok_or(CommandError::fixed("ERR COUNT must be > 0"))? as usize;
                rest = tail;
            }
            _ if is_word(word, "justid") => just_id = true,
            _ => return Err(CommandError::SYNTAX),
        }
    }
    Ok((count, just_id))
}

pub(super) fn xautoclaim(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (key, name, now_ms) = (args[1], args[2], ctx.now_ms);
    let min_idle_ms = int_arg(args[4])
        .map_err(|_| CommandError::fixed("ERR Invalid min-idle-time argument for XAUTOCLAIM"))?;
    let start = start_arg(args[5])?;
    let (count, just_id) = auto_options(&args[6..])?;
    check_group(ctx.find_stream_mut(key)?, key, name)?;

    let names = [key, name, args[3]];
    let (stream, reply, effects) = ctx.find_stream_apart(key)?;
    let (consumer, is_new, entries, group) = claiming(stream, &names, now_ms)?;
    let claim = Claim {
        names,
        consumer,
        min_idle_ms,
        now_ms,
        delivered_at_ms: now_ms,
        deliveries: None,
        just_id,
    };
    let mut claims = Reply::new(reply.resp);
    let mut finder = entries.finder();
    let (mut claimed, mut gone) = (0, Vec::new());
    let mut attempts = count.saturating_mul(LOOKED_AT);
    let mut next = Some(start);
    let mut cursor = StreamId::MIN;
    // A portion at a time, since claiming changes what is walked over.
    while let Some(from) = next.take() {
        let portion: Vec<StreamId> = group
            .pending_from(from)
            .take(PORTION)
            .map(|(id, _)| id)
            .collect();
        for id in &portion {
            if attempts == 0 || claimed + gone.len() == count {
                cursor = *id;
                break;
            }
            attempts -= 1;
            match claim.claim(*id, false, &mut finder, group, &mut claims, effects) {
                Outcome::Claimed => claimed += 1,
                Outcome::Gone => gone.push(*id),
                Outcome::Left => {}
            }
        }
        if cursor.is_zero() && portion.len() == PORTION {
            next = portion.last().and_then(|last| last.next());
        }
    }
    reply.array(3);
    reply_id(reply, cursor);
    reply.array(claimed);
    reply.append(claims.take());
    reply.array(gone.len());
    gone.iter().for_each(|id| reply_id(reply, *id));
    if claimed > 0
        && let Some(consumer) = group.consumer_mut(consumer)
    {
        consumer.active_at_ms = now_ms;
    }
    ctx.dirty += (claimed + gone.len()) as u64;
    settle(ctx, names, is_new, claimed > 0);
    Ok(())
}

/// Pending entries that XAUTOCLAIM looks at between two looks at where it is.
const PORTION: usize = 64;
