//! Union, intersection and difference of sorted sets and sets, to the client or to a key.
//!
//! Plain sets count as sorted sets whose scores are all 1. Sources are taken in rising size for unions and
//! intersections, as Redis takes them, since sums of doubles depend on their order.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use hashbrown::HashMap;

use super::{begin_members, put_scored, store};
use crate::command::Context;
use crate::command::context::arguments::{double_arg, int_at_least};
use crate::command::context::{command_name, int_arg};
use crate::data::list::Item;
use crate::data::member::Member;
use crate::data::{Set, ValueRef, Zset};
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

#[derive(Clone, Copy, Debug)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            // Opposite infinities.
            Aggregate::Sum if (a + b).is_nan() => 0.0,
            Aggregate::Sum => a + b,
            Aggregate::Min => {
                if b < a {
                    b
                } else {
                    a
                }
            }
            Aggregate::Max => {
                if b > a {
                    b
                } else {
                    a
                }
            }
        }
    }
}

/// Infinity times 0 is 0 here.
fn weighted(score: f64, weight: f64) -> f64 {
    let product = score * weight;
    if product.is_nan() { 0.0 } else { product }
}

/// What comes with a source.
#[derive(Clone, Copy)]
enum Source<'a> {
    Absent,
    Set(&'a Set),
    Zset(&'a Zset),
}

impl<'a> Source<'a> {
    fn of(value: Option<ValueRef<'a>>) -> CommandResult<Source<'a>> {
        match value {
            None => Ok(Source::Absent),
            Some(ValueRef::Set(set)) => Ok(Source::Set(set)),
            Some(ValueRef::Zset(zset)) => Ok(Source::Zset(zset)),
            Some(_) => Err(CommandError::WRONG_TYPE),
        }
    }

    fn len(self) -> usize {
        match self {
            Source::Absent => 0,
            Source::Set(set) => set.len(),
            Source::Zset(zset) => zset.len(),
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Source::Absent => None,
            Source::Set(set) => set.contains(member).then_some(1.0),
            Source::Zset(zset) => zset.score(member),
        }
    }

    /// Calls `f` with each member until it says false.
    fn each(self, mut f: impl FnMut(Text<'a>, f64) -> bool) {
        match self {
            Source::Absent => {}
            Source::Set(set) => {
                for member in set.iter() {
                    if !f(Text::of(member), 1.0) {
                        return;
                    }
                }
            }
            Source::Zset(zset) => {
                for (member, score) in zset.iter() {
                    if !f(Text::of(member), score) {
                        return;
                    }
                }
            }
        }
    }
}

/// A member's bytes: borrowed, or an integer's digits.
#[derive(Clone, Copy)]
enum Text<'a> {
    Borrowed(&'a [u8]),
    Digits([u8; 20], u8),
}

impl<'a> Text<'a> {
    fn of(item: Item<'a>) -> Text<'a> {
        match item {
            Item::Bytes(bytes) => Text::Borrowed(bytes),
            Item::Int(n) => {
                let mut buffer = itoa::Buffer::new();
                let text = buffer.format(n).as_bytes();
                let mut digits = [0; 20];
                digits[..text.len()].copy_from_slice(text);
                Text::Digits(digits, text.len() as u8)
            }
        }
    }
}

impl Deref for Text<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Text::Borrowed(bytes) => bytes,
            Text::Digits(digits, len) => &digits[..usize::from(*len)],
        }
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text<'_> {}

impl Hash for Text<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self);
    }
}

type Scored<'a> = Vec<(Text<'a>, f64)>;

/// A command's arguments from the number of keys on.
struct Request<'a> {
    keys: &'a [&'a [u8]],
    options: &'a [&'a [u8]],
}

impl<'a> Request<'a> {
    fn parse(args: &'a [&'a [u8]], name: &[&[u8]]) -> CommandResult<Request<'a>> {
        let keys = int_arg(args[0])?;
        if keys < 1 {
            let name = command_name(name);
            return Err(CommandError::err(format_args!(
                "at least 1 input key is needed for '{name}' command"
            )));
        }
        let (keys, options) = usize::try_from(keys)
            .ok()
            .and_then(|keys| args[1..].split_at_checked(keys))
            .ok_or(CommandError::SYNTAX)?;
        Ok(Request { keys, options })
    }
}

/// WEIGHTS, AGGREGATE, WITHSCORES.
struct Options {
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
}

impl Options {
    fn parse(request: &Request<'_>, operation: Operation, storing: bool) -> CommandResult<Options> {
        let count = request.keys.len();
        let mut options = Options {
            weights: vec![1.0; count],
            aggregate: Aggregate::Sum,
            with_scores: false,
        };
        let combining = operation != Operation::Difference;
        let mut rest = request.options;
        while let [word, tail @ ..] = rest {
            rest = tail;
            if combining && is_word(word, "weights") && rest.len() >= count {
                let (weights, tail) = rest.split_at(count);
                for (weight, arg) in options.weights.iter_mut().zip(weights) {
                    *weight = double_arg(arg)
                        .map_err(|_| CommandError::fixed("ERR weight value is not a float"))?;
                }
                rest = tail;
            } else if combining
                && is_word(word, "aggregate")
                && let [how, tail @ ..] = rest
            {
                options.aggregate = match *how {
                    how if is_word(how, "sum") => Aggregate::Sum,
                    how if is_word(how, "min") => Aggregate::Min,
                    how if is_word(how, "max") => Aggregate::Max,
                    _ => return Err(CommandError::SYNTAX),
                };
                rest = tail;
            } else if !storing && is_word(word, "withscores") {
                options.with_scores = true;
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok(options)
    }
}

fn sources<'c>(ctx: &'c mut Context<'_>, keys: &[&[u8]]) -> CommandResult<Vec<Source<'c>>> {
    ctx.find_many(keys).into_iter().map(Source::of).collect()
}

/// The result, in no order.
fn compute<'a>(operation: Operation, sources: &[Source<'a>], options: &Options) -> Scored<'a> {
    let mut inputs: Vec<(Source<'a>, f64)> = sources
        .iter()
        .copied()
        .zip(options.weights.iter().copied())
        .collect();
    if operation != Operation::Difference {
        inputs.sort_by_key(|(source, _)| source.len());
    }
    let Some(((first, weight), others)) = inputs.split_first() else {
        return Vec::new();
    };
    match operation {
        Operation::Union => union(&inputs, options.aggregate),
        Operation::Intersection => {
            let mut result = Vec::new();
            first.each(|member, score| {
                let mut total = weighted(score, *weight);
                for (other, weight) in others {
                    match other.score(&member) {
                        Some(score) => total = options.aggregate.apply(total, score * weight),
                        None => return true,
                    }
                }
                result.push((member, total));
                true
            });
            result
        }
        Operation::Difference => {
            let mut result = Vec::new();
            first.each(|member, score| {
                if others
                    .iter()
                    .all(|(other, _)| other.score(&member).is_none())
                {
                    result.push((member, score));
                }
                true
            });
            result
        }
    }
}

fn union<'a>(inputs: &[(Source<'a>, f64)], aggregate: Aggregate) -> Scored<'a> {
    let largest = inputs.iter().map(|(source, _)| source.len()).max();
    let mut scores: HashMap<Text<'a>, f64, foldhash::fast::RandomState> =
        HashMap::with_capacity_and_hasher(largest.unwrap_or(0), Default::default());
    for (source, weight) in inputs {
        source.each(|member, score| {
            let score = weighted(score, *weight);
            scores
                .entry(member)
                .and_modify(|total| *total = aggregate.apply(*total, score))
                .or_insert(score);
            true
        });
    }
    scores.into_iter().collect()
}

fn reply_with(ctx: &mut Context<'_>, args: &Args<'_>, operation: Operation) -> CommandResult {
    // The values are borrowed from the context while the reply is written.
    let mut reply = std::mem::take(ctx.reply);
    let done = (|| {
        let request = Request::parse(&args[1..], args)?;
        let sources = sources(ctx, request.keys)?;
        let options = Options::parse(&request, operation, false)?;
        let mut result = compute(operation, &sources, &options);
        result.sort_unstable_by(|a, b| match a.1.partial_cmp(&b.1) {
            Some(Ordering::Equal) | None => a.0.cmp(&b.0),
            Some(order) => order,
        });
        begin_members(&mut reply, result.len(), options.with_scores);
        for (member, score) in &result {
            put_scored(&mut reply, Item::Bytes(member), *score, options.with_scores);
        }
        Ok(())
    })();
    *ctx.reply = reply;
    done
}

fn store_to(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    operation: Operation,
    event: &'static str,
) -> CommandResult {
    let request = Request::parse(&args[2..], args)?;
    let enc = ctx.encodings();
    let sources = sources(ctx, request.keys)?;
    let options = Options::parse(&request, operation, true)?;
    let members = compute(operation, &sources, &options)
        .into_iter()
        .map(|(member, score)| Member::new(&member, score))
        .collect();
    store(ctx, args[1], Zset::of_members(members, &enc), event);
    Ok(())
}

pub(super) fn zunion(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    reply_with(ctx, args, Operation::Union)
}

pub(super) fn zinter(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    reply_with(ctx, args, Operation::Intersection)
}

pub(super) fn zdiff(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    reply_with(ctx, args, Operation::Difference)
}

pub(super) fn zunionstore(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    store_to(ctx, args, Operation::Union, "zunionstore")
}

pub(super) fn zinterstore(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    store_to(ctx, args, Operation::Intersection, "zinterstore")
}

pub(super) fn zdiffstore(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    store_to(ctx, args, Operation::Difference, "zdiffstore")
}

pub(super) fn zintercard(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let request = Request::parse(&args[1..], args)?;
    let mut sources = sources(ctx, request.keys)?;
    let mut limit = 0;
    let mut options = request.options;
    while let [word, value, rest @ ..] = options {
        if !is_word(word, "limit") {
            return Err(CommandError::SYNTAX);
        }
        limit = int_at_least(value, 0, "ERR LIMIT can't be negative")?;
        options = rest;
    }
    if !options.is_empty() {
        return Err(CommandError::SYNTAX);
    }
    let limit = match usize::try_from(limit) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(limit) => limit,
    };
    sources.sort_by_key(|source| source.len());
    let mut count = 0;
    if let Some((first, others)) = sources.split_first() {
        first.each(|member, _| {
            if others.iter().all(|other| other.score(&member).is_some()) {
                count += 1;
            }
            count < limit
        });
    }
    ctx.reply.int(count as i64);
    Ok(())
}
