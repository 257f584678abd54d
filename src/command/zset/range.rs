//! Ranges by rank, score and member: ZRANGE and its older forms, ZRANGESTORE.

use std::ops::Range;

use super::bounds::{lex_range, score_range};
use super::{put_members, store, zset_and_reply};
use crate::command::Context;
use crate::command::context::arguments::index_range;
use crate::command::context::int_arg;
use crate::data::Zset;
use crate::data::zset_range::{LexRange, ScoreRange};
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

/// What a range goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Rank,
    Score,
    Lex,
}

/// A range as asked for.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    Rank(i64, i64),
    Score(ScoreRange),
    Lex(LexRange),
}

impl Wanted {
    pub(super) fn parse(by: By, min: &[u8], max: &[u8]) -> CommandResult<Wanted> {
        Ok(match by {
            By::Rank => Wanted::Rank(int_arg(min)?, int_arg(max)?),
            By::Score => Wanted::Score(score_range(min, max)?),
            By::Lex => Wanted::Lex(lex_range(min, max)?),
        })
    }

    /// The ranks it covers. `rev`: ranks were counted from the highest.
    pub(super) fn span(&self, zset: &Zset, rev: bool) -> Range<usize> {
        match self {
            Wanted::Rank(start, stop) => match index_range(*start, *stop, zset.len()) {
                None => 0..0,
                Some((start, stop)) if rev => zset.len() - 1 - stop..zset.len() - start,
                Some((start, stop)) => start..stop + 1,
            },
            Wanted::Score(range) => zset.rank_span_by_score(range),
            Wanted::Lex(range) => zset.rank_span_by_lex(range, rev),
        }
    }
}

/// What follows a command's key: the range and its options.
#[derive(Clone, Debug)]
struct Request {
    wanted: Wanted,
    rev: bool,
    with_scores: bool,
    offset: i64,
    /// Negative: all.
    limit: i64,
}

impl Request {
    /// Parses `min max [options]`. `by` and `rev` are fixed by the older commands' names.
    fn parse(
        args: &[&[u8]],
        by: Option<By>,
        rev: Option<bool>,
        storing: bool,
    ) -> CommandResult<Request> {
        let (mut chosen_by, mut chosen_rev) = (by, rev);
        let mut with_scores = false;
        let (mut offset, mut limit) = (0, -1);
        let mut options = &args[2..];
        while let [word, rest @ ..] = options {
            options = rest;
            if !storing && is_word(word, "withscores") {
                with_scores = true;
            } else if is_word(word, "limit")
                && let [first, count, rest @ ..] = options
            {
                offset = int_arg(first)?;
                limit = int_arg(count)?;
                options = rest;
            } else if rev.is_none() && chosen_rev.is_none() && is_word(word, "rev") {
                chosen_rev = Some(true);
            } else if chosen_by.is_none() && is_word(word, "bylex") {
                chosen_by = Some(By::Lex);
            } else if chosen_by.is_none() && is_word(word, "byscore") {
                chosen_by = Some(By::Score);
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        let by = chosen_by.unwrap_or(By::Rank);
        let rev = chosen_rev.unwrap_or(false);
        // A LIMIT without an end is let pass by rank, and means nothing there.
        if by == By::Rank {
            offset = 0;
        }
        if limit != -1 && by == By::Rank {
            return Err(CommandError::fixed(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if with_scores && by == By::Lex {
            return Err(CommandError::fixed(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        // Reversed ranges of scores and members name the higher end first.
        let (min, max) = match rev && by != By::Rank {
            true => (args[1], args[0]),
            false => (args[0], args[1]),
        };
        Ok(Request {
            wanted: Wanted::parse(by, min, max)?,
            rev,
            with_scores,
            offset,
            limit,
        })
    }

    /// The ranks to give, LIMIT taken into account.
    fn span(&self, zset: &Zset) -> Range<usize> {
        let span = self.wanted.span(zset, self.rev);
        if matches!(self.wanted, Wanted::Rank(..)) {
            // LIMIT is refused here, but for one that asks for all; its offset is then not looked at.
            return span;
        }
        let (Ok(offset), left) = (usize::try_from(self.offset), span.len()) else {
            // A negative offset skips everything.
            return 0..0;
        };
        let skip = offset.min(left);
        let take = usize::try_from(self.limit).map_or(left - skip, |n| n.min(left - skip));
        if self.rev {
            span.end - skip - take..span.end - skip
        } else {
            span.start + skip..span.start + skip + take
        }
    }
}

fn reply_range(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    by: Option<By>,
    rev: Option<bool>,
) -> CommandResult {
    let request = Request::parse(&args[2..], by, rev, false)?;
    let (zset, reply) = zset_and_reply(ctx, args[1])?;
    match zset {
        None => reply.array(0),
        Some(zset) => {
            let members = zset.range(request.span(zset), request.rev);
            put_members(reply, members, request.with_scores);
        }
    }
    Ok(())
}

pub(super) fn zrange(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    reply_range(ctx, args, None, None)
}

pub(super) fn zrevrange(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    reply_range(ctx, args, Some(By::Rank), Some(true))
}

pub(super) fn zrangebyscore(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    reply_range(ctx, args, Some(By::Score), Some(false))
}

pub(super) fn zrevrangebyscore(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    reply_range(ctx, args, Some(By::Score), Some(true))
}

pub(super) fn zrangebylex(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    reply_range(ctx, args, Some(By::Lex), Some(false))
}

pub(super) fn zrevrangebylex(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    reply_range(ctx, args, Some(By::Lex), Some(true))
}

pub(super) fn zrangestore(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let request = Request::parse(&args[3..], None, None, true)?;
    let enc = ctx.encodings();
    let result = match ctx.find_zset(args[2])? {
        None => Zset::new(),
        Some(zset) => {
            let members = zset.range(request.span(zset), false);
            // Redis knows beforehand how many there will be only for ranks; else it takes the large form.
            let longest = match request.wanted {
                Wanted::Rank(..) => 0,
                Wanted::Score(_) | Wanted::Lex(_) => usize::MAX,
            };
            let mut result = Zset::for_members(members.len(), longest, &enc);
            for (member, score) in members {
                member.with(|bytes| result.insert(bytes, score, &enc));
            }
            result
        }
    };
    store(ctx, args[1], result, "zrangestore");
    Ok(())
}
