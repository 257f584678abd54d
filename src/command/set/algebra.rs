//! Sets together: intersection, union, difference, their cardinalities and stored forms.
//!
//! The way a result is built decides its encoding, so results are built in Redis's order: intersections
//! start from the smallest set's encoding, unions and differences from an intset, and a difference chooses
//! between its two ways by the same estimate of work.

use crate::command::context::values::reply_item;
use crate::command::context::{EventClass, int_arg};
use crate::command::set::as_set;
use crate::command::{Context, Handlers};
use crate::data::{Encodings, Set, Value, ValueRef};
use crate::keyspace::Expiry;
use crate::resp::Reply;
use crate::resp::reply::Aggregate;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

pub(crate) const HANDLERS: Handlers = &[
    ("sinter", sinter),
    ("sintercard", sintercard),
    ("sinterstore", sinterstore),
    ("sunion", sunion),
    ("sunionstore", sunionstore),
    ("sdiff", sdiff),
    ("sdiffstore", sdiffstore),
];

fn as_sets(values: Vec<Option<ValueRef<'_>>>) -> CommandResult<Vec<Option<&Set>>> {
    values.into_iter().map(as_set).collect()
}

/// Calls `f` with each member of the intersection until it says false. `sets` are from the smallest up.
fn intersect<'a>(sets: &[&'a Set], mut f: impl FnMut(crate::data::list::Item<'a>) -> bool) {
    let Some((smallest, others)) = sets.split_first() else {
        return;
    };
    for member in smallest.iter() {
        let everywhere = others
            .iter()
            .all(|set| std::ptr::eq(*set, *smallest) || set.contains_item(member));
        if everywhere && !f(member) {
            return;
        }
    }
}

/// The sets from the smallest up, or None if one is missing.
fn all_present<'a>(sets: &[Option<&'a Set>]) -> Option<Vec<&'a Set>> {
    let mut sets: Vec<&Set> = sets.iter().copied().collect::<Option<_>>()?;
    sets.sort_by_cached_key(|set| set.len());
    Some(sets)
}

fn sinter(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let mut reply = std::mem::take(ctx.reply);
    let result = reply_intersection(ctx, &args[1..], &mut reply);
    *ctx.reply = reply;
    result
}

fn reply_intersection(ctx: &mut Context<'_>, keys: &[&[u8]], reply: &mut Reply) -> CommandResult {
    let sets = as_sets(ctx.find_many(keys))?;
    let mark = reply.begin();
    let mut count = 0;
    intersect(&all_present(&sets).unwrap_or_default(), |member| {
        reply_item(reply, member);
        count += 1;
        true
    });
    reply.end(mark, Aggregate::Set, count);
    Ok(())
}

fn sintercard(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let at_least = |arg: &[u8], least: i64, text| match int_arg(arg) {
        Ok(n) if n >= least => Ok(usize::try_from(n).unwrap_or(usize::MAX)),
        _ => Err(CommandError::fixed(text)),
    };
    let count = at_least(args[1], 1, "ERR numkeys should be greater than 0")?;
    if count > args.len() - 2 {
        return Err(CommandError::fixed(
            "ERR Number of keys can't be greater than number of args",
        ));
    }
    let (keys, mut options) = args[2..].split_at(count);
    let mut limit = 0;
    while let [word, rest @ ..] = options {
        let [value, rest @ ..] = rest else {
            return Err(CommandError::SYNTAX);
        };
        if !is_word(word, "limit") {
            return Err(CommandError::SYNTAX);
        }
        limit = at_least(value, 0, "ERR LIMIT can't be negative")?;
        options = rest;
    }
    let sets = as_sets(ctx.find_many(keys))?;
    let mut cardinality = 0;
    intersect(&all_present(&sets).unwrap_or_default(), |_| {
        cardinality += 1;
        cardinality != limit
    });
    ctx.reply.int(cardinality as i64);
    Ok(())
}

/// Puts a result at a key, or removes the key if there is none, and replies with its size.
fn store(ctx: &mut Context<'_>, key: &[u8], set: Set, event: &'static str) {
    let len = set.len();
    if len > 0 {
        ctx.set_value(key, Value::Set(set), Expiry::Clear);
        ctx.changed(key, EventClass::Set, event);
    } else if ctx.delete(key) {
        ctx.changed(key, EventClass::Generic, "del");
    }
    ctx.reply.int(len as i64);
}

fn sinterstore(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let enc = ctx.encodings();
    let sets = as_sets(ctx.find_many(&args[2..]))?;
    let sets = all_present(&sets).unwrap_or_default();
    let mut result = match sets.first() {
        Some(smallest) if smallest.encoding() == "intset" => Set::new(),
        _ => Set::new_listpack(),
    };
    intersect(&sets, |member| {
        result.insert_item(member, &enc);
        true
    });
    result.prefer_intset(&enc);
    store(ctx, args[1], result, "sinterstore");
    Ok(())
}

fn union(sets: &[Option<&Set>], enc: &Encodings) -> Set {
    let mut result = Set::new();
    for member in sets.iter().flatten().flat_map(|set| set.iter()) {
        result.insert_item(member, enc);
    }
    result
}

fn difference(sets: &[Option<&Set>], enc: &Encodings) -> Set {
    let mut result = Set::new();
    let Some((Some(first), others)) = sets.split_first() else {
        return result;
    };
    let others: Vec<&Set> = others.iter().copied().flatten().collect();
    if others.iter().any(|set| std::ptr::eq(*set, *first)) {
        return result;
    }
    // Looking each member up in all other sets, or taking all others' members out of a copy.
    let lookups = first.len() * (others.len() + 1) / 2;
    let removals = first.len() + others.iter().map(|set| set.len()).sum::<usize>();
    if lookups <= removals {
        for member in first.iter() {
            if !others.iter().any(|set| set.contains_item(member)) {
                result.insert_item(member, enc);
            }
        }
        return result;
    }
    for member in first.iter() {
        result.insert_item(member, enc);
    }
    for set in others {
        for member in set.iter() {
            result.remove_item(member);
        }
        if result.is_empty() {
            break;
        }
    }
    result
}

/// A function over sets that gives a new one.
type Combine = fn(&[Option<&Set>], &Encodings) -> Set;

fn reply_combined(ctx: &mut Context<'_>, keys: &[&[u8]], combine: Combine) -> CommandResult {
    let enc = ctx.encodings();
    let result = combine(&as_sets(ctx.find_many(keys))?, &enc);
    ctx.reply.set(result.len());
    for member in result.iter() {
        reply_item(ctx.reply, member);
    }
    Ok(())
}

fn sunion(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    reply_combined(ctx, &args[1..], union)
}

fn sdiff(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    reply_combined(ctx, &args[1..], difference)
}

fn sunionstore(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let enc = ctx.encodings();
    let result = union(&as_sets(ctx.find_many(&args[2..]))?, &enc);
    store(ctx, args[1], result, "sunionstore");
    Ok(())
}

fn sdiffstore(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let enc = ctx.encodings();
    let result = difference(&as_sets(ctx.find_many(&args[2..]))?, &enc);
    store(ctx, args[1], result, "sdiffstore");
    Ok(())
}
