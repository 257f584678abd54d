//! ZRANDMEMBER.

use hashbrown::HashSet;

use super::{begin_members, put_member, put_scored, zset_and_reply};
use crate::command::Context;
use crate::command::collections::sample::{Selection, Wanted};
use crate::command::context::arguments::negatable_arg;
use crate::data::Zset;
use crate::data::list::Item;
use crate::resp::Reply;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

/// When a sample is more than a third of a set, one pass over the set beats picking one by one.
const PASS_RATIO: usize = 3;

pub(super) fn zrandmember(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let mut rng = ctx.rng();
    let [_, key, options @ ..] = args else {
        return Err(CommandError::SYNTAX);
    };
    let Some((count, options)) = options.split_first() else {
        let (zset, reply) = zset_and_reply(ctx, key)?;
        match zset.and_then(|zset| zset.random(&mut rng)) {
            Some((member, _)) => put_member(reply, member),
            None => reply.null(),
        }
        return Ok(());
    };
    let count = negatable_arg(count)?;
    let with_scores = match options {
        [] => false,
        [word] if is_word(word, "withscores") => true,
        _ => return Err(CommandError::SYNTAX),
    };
    // Twice as many elements must still be a number.
    if with_scores && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(CommandError::fixed("ERR value is out of range"));
    }
    let Some(wanted) = Wanted::for_client(ctx, count)? else {
        return Ok(());
    };
    let (zset, reply) = zset_and_reply(ctx, key)?;
    match zset {
        None => reply.array(0),
        Some(zset) => {
            reply_sample(reply, zset, wanted, with_scores, &mut rng);
        }
    }
    Ok(())
}

fn reply_sample(
    reply: &mut Reply,
    zset: &Zset,
    wanted: Wanted,
    with_scores: bool,
    rng: &mut fastrand::Rng,
) {
    let len = zset.len();
    match wanted {
        Wanted::Repeated(count) => {
            begin_members(reply, count, with_scores);
            // A listpack is walked once, not once for every pick.
            let all: Vec<(Item<'_>, f64)> = match zset.as_listpack() {
                Some(_) if count > 1 => zset.iter().collect(),
                _ => Vec::new(),
            };
            for _ in 0..count {
                let pick = match all.len() {
                    0 => zset.random(rng),
                    n => Some(all[rng.usize(..n)]),
                };
                // Sets in the keyspace aren't empty.
                if let Some((member, score)) = pick {
                    put_scored(reply, member, score, with_scores);
                }
            }
        }
        Wanted::Distinct(count) if count >= len => {
            begin_members(reply, len, with_scores);
            for (member, score) in zset.range(0..len, true) {
                put_scored(reply, member, score, with_scores);
            }
        }
        Wanted::Distinct(count) if zset.as_listpack().is_some() || count > len / PASS_RATIO => {
            begin_members(reply, count, with_scores);
            let mut selection = Selection::new(count, len);
            for (member, score) in zset.iter().filter(|_| selection.take(rng)) {
                put_scored(reply, member, score, with_scores);
            }
        }
        Wanted::Distinct(count) => {
            begin_members(reply, count, with_scores);
            let mut picked = HashSet::with_capacity(count);
            while picked.len() < count {
                let rank = rng.usize(..len);
                if picked.insert(rank)
                    && let Some((member, score)) = zset.range(rank..rank + 1, false).next()
                {
                    put_scored(reply, member, score, with_scores);
                }
            }
        }
    }
}
