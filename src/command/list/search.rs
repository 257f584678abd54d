//! LPOS.

use super::list_and_reply;
use crate::command::Context;
use crate::command::context::arguments::{int_at_least, negatable_arg};
use crate::data::list::{End, Needle};
use crate::resp::reply::Aggregate;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

pub(super) fn lpos(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let mut rank = 1;
    let mut count = None;
    let mut longest = 0;
    let mut options = &args[3..];
    while let [word, value, rest @ ..] = options {
        if is_word(word, "rank") {
            rank = negatable_arg(value)?;
            if rank == 0 {
                return Err(CommandError::fixed(
                    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... \
                     or use negative to start from the end of the list",
                ));
            }
        } else if is_word(word, "count") {
            count = Some(int_at_least(value, 0, "ERR COUNT can't be negative")?);
        } else if is_word(word, "maxlen") {
            longest = int_at_least(value, 0, "ERR MAXLEN can't be negative")?;
        } else {
            return Err(CommandError::SYNTAX);
        }
        options = rest;
    }
    if !options.is_empty() {
        return Err(CommandError::SYNTAX);
    }

    let (list, reply) = list_and_reply(ctx, args[1])?;
    let Some(list) = list else {
        match count {
            Some(_) => reply.array(0),
            None => reply.null(),
        }
        return Ok(());
    };
    let needle = Needle::new(args[2]);
    let end = if rank < 0 { End::Tail } else { End::Head };
    let looked_at = match longest {
        0 => usize::MAX,
        n => usize::try_from(n).unwrap_or(usize::MAX),
    };
    let skipped = usize::try_from(rank.unsigned_abs() - 1).unwrap_or(usize::MAX);
    let mut hits = list
        .iter_from(end, 0)
        .take(looked_at)
        .enumerate()
        .filter(|(_, item)| needle.is(*item))
        .skip(skipped)
        .map(|(at, _)| match end {
            End::Head => at,
            End::Tail => list.len() - 1 - at,
        });
    match count {
        None => match hits.next() {
            Some(at) => reply.int(at as i64),
            None => reply.null(),
        },
        Some(count) => {
            let limit = match usize::try_from(count) {
                Ok(0) | Err(_) => usize::MAX,
                Ok(n) => n,
            };
            let mark = reply.begin();
            let mut found = 0;
            for at in hits.take(limit) {
                reply.int(at as i64);
                found += 1;
            }
            reply.end(mark, Aggregate::Array, found);
        }
    }
    Ok(())
}
