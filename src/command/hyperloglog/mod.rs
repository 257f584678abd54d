//! HyperLogLogs: PFADD, PFCOUNT, PFMERGE, and PFDEBUG and PFSELFTEST for tests. What the strings hold is in
//! [`crate::data::hyperloglog`].
//!
//! PFCOUNT of one key keeps its result in the string, which is a change that replicas must be told of, though the command
//! is no write. A replica does not do that for its own clients: its data is its master's.

#[cfg(test)]
mod tests;

use smallvec::SmallVec;

use crate::command::context::EventClass;
use crate::command::context::lookup::{Found, Look};
use crate::command::server::saving;
use crate::command::{Context, Handlers};
use crate::data::hyperloglog::registers::{REGISTERS, Registers};
use crate::data::hyperloglog::self_test::self_test;
use crate::data::hyperloglog::{self, Added, Corrupt, Element, Encoding, HEADER, sparse};
use crate::data::{StrRef, ValueRef};
use crate::resp::reply::error_text;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

pub(crate) const HANDLERS: Handlers = &[
    ("pfadd", pfadd),
    ("pfcount", pfcount),
    ("pfmerge", pfmerge),
    ("pfdebug", pfdebug),
    ("pfselftest", pfselftest),
];

impl From<Corrupt> for CommandError {
    fn from(_: Corrupt) -> CommandError {
        CommandError::fixed("INVALIDOBJ Corrupted HLL object detected")
    }
}

/// How a string keeps its registers, if it is a sketch.
fn encoding_of(text: StrRef<'_>) -> CommandResult<Encoding> {
    let encoding = text.with(hyperloglog::encoding);
    encoding.ok_or(CommandError::fixed(
        "WRONGTYPE Key is not a valid HyperLogLog string value.",
    ))
}

/// Bytes up to which a sketch stays sparse.
fn sparse_max(ctx: &Context<'_>) -> usize {
    ctx.settings.hll_sparse_max_bytes as usize
}

fn pfadd(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let key = args[1];
    let elements: SmallVec<[Element; 16]> = args[2..].iter().map(|arg| Element::of(arg)).collect();
    let mut taken = elements.len();
    let changes = match ctx.string_to_change(key)? {
        None => 1 + add_to_runs(ctx, key, &elements).changed,
        Some(found) => match encoding_of(ctx.string_at(found))? {
            Encoding::Dense => add_to_registers(ctx, found, &elements),
            Encoding::Sparse => {
                let added = add_to_runs(ctx, key, &elements);
                taken = added.taken;
                added.changed
            }
        },
    };
    if changes > 0 {
        ctx.touch(key);
        ctx.notify(EventClass::String, "pfadd", key);
        ctx.dirty += changes as u64;
    }
    if taken < elements.len() {
        // What went before the error stays, and replicas do only that.
        if changes > 0 {
            ctx.effects.replace(&args[..2 + taken]);
        }
        return Err(Corrupt.into());
    }
    ctx.reply.int(i64::from(changes > 0));
    Ok(())
}

/// Adds to a sketch that is sparse now, or, if the key is absent, to a new one.
fn add_to_runs(ctx: &mut Context<'_>, key: &[u8], elements: &[Element]) -> Added {
    let sparse_max = sparse_max(ctx);
    let mut added = Added::default();
    ctx.edit_string(key, &mut |sketch| {
        let is_new = sketch.is_empty();
        if is_new {
            *sketch = hyperloglog::empty();
        }
        added = hyperloglog::add(sketch, elements, sparse_max);
        if is_new || added.changed > 0 {
            hyperloglog::forget_cached(sketch);
        }
    });
    added
}

/// Adds to a dense sketch. One that stays as it is is not copied from those who hold it.
fn add_to_registers(ctx: &mut Context<'_>, found: Found, elements: &[Element]) -> usize {
    let sketch = ctx.string_at(found);
    let is_news =
        |element: &Element| sketch.with(|sketch| hyperloglog::would_change(sketch, *element));
    if !elements.iter().any(is_news) {
        return 0;
    }
    ctx.bytes_at(found)
        .map_or(0, |sketch| hyperloglog::add_dense(sketch, elements))
}

fn pfcount(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    if args.len() > 2 {
        let (all, _) = merged(ctx, &args[1..])?;
        ctx.reply.int(hyperloglog::estimate_of(&all) as i64);
        return Ok(());
    }
    let key = args[1];
    let Some(found) = ctx.string_for(key, Look::READ)? else {
        ctx.reply.int(0);
        return Ok(());
    };
    let sketch = ctx.string_at(found);
    encoding_of(sketch)?;
    let count = match sketch.with(hyperloglog::cached) {
        Some(count) => count,
        None => {
            let count = sketch.with(hyperloglog::estimate)?;
            keep_estimate(ctx, key, found, count);
            count
        }
    };
    ctx.reply.int(count as i64);
    Ok(())
}

fn keep_estimate(ctx: &mut Context<'_>, key: &[u8], found: Found, count: u64) {
    if ctx.node.hub.is_replica() && !ctx.is_from_master() {
        return;
    }
    if let Some(sketch) = ctx.bytes_at(found) {
        hyperloglog::set_cached(sketch, count);
        ctx.touch(key);
        ctx.dirty += 1;
    }
}

/// The highest of each register, and whether any sketch is dense.
fn merged(ctx: &mut Context<'_>, keys: &[&[u8]]) -> CommandResult<(Registers, bool)> {
    let mut all = [0; REGISTERS];
    let mut any_dense = false;
    for value in ctx.find_many(keys).into_iter().flatten() {
        let ValueRef::String(sketch) = value else {
            return Err(CommandError::WRONG_TYPE);
        };
        any_dense |= encoding_of(sketch)? == Encoding::Dense;
        sketch.with(|sketch| hyperloglog::merge(&mut all, sketch))?;
    }
    Ok((all, any_dense))
}

fn pfmerge(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let destination = args[1];
    let (all, any_dense) = merged(ctx, &args[1..])?;
    let sparse_max = sparse_max(ctx);
    // The destination's own registers are among those merged, so it is a whole sketch.
    ctx.string_to_change(destination)?;
    let mut result = Ok(());
    ctx.edit_string(destination, &mut |sketch| {
        if sketch.is_empty() {
            *sketch = hyperloglog::empty();
        }
        result = hyperloglog::merge_back(sketch, &all, any_dense, sparse_max);
    });
    result?;
    ctx.changed(destination, EventClass::String, "pfadd");
    ctx.reply.ok();
    Ok(())
}

fn pfdebug(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (word, key) = (args[1], args[2]);
    let Some(found) = ctx.string_to_change(key)? else {
        return Err(CommandError::fixed("ERR The specified key does not exist"));
    };
    let sketch = ctx.string_at(found);
    let encoding = encoding_of(sketch)?;
    match word {
        w if is_word(w, "encoding") => ctx.reply.simple(match encoding {
            Encoding::Dense => "dense",
            Encoding::Sparse => "sparse",
        }),
        w if is_word(w, "decode") => {
            if encoding == Encoding::Dense {
                return Err(CommandError::fixed("ERR HLL encoding is not sparse"));
            }
            let text = sketch.with(decoded);
            ctx.reply.bulk(text.as_bytes());
        }
        w if is_word(w, "todense") => {
            let converted = to_dense(ctx, key)?;
            ctx.reply.int(i64::from(converted));
        }
        w if is_word(w, "getreg") => {
            to_dense(ctx, key)?;
            let mut all = [0; REGISTERS];
            if let Some(found) = ctx.string_to_change(key)? {
                let sketch = ctx.string_at(found);
                sketch.with(|sketch| hyperloglog::merge(&mut all, sketch))?;
            }
            ctx.reply.array(REGISTERS);
            all.iter()
                .for_each(|value| ctx.reply.int(i64::from(*value)));
        }
        _ => {
            let word = error_text(word);
            return Err(CommandError::err(format_args!(
                "Unknown PFDEBUG subcommand '{word}'"
            )));
        }
    }
    Ok(())
}

/// Makes the sketch dense; true if it was sparse.
fn to_dense(ctx: &mut Context<'_>, key: &[u8]) -> CommandResult<bool> {
    let mut result = Ok(false);
    ctx.edit_string(key, &mut |sketch| {
        result = hyperloglog::to_dense(sketch);
    });
    let converted = result?;
    ctx.dirty += u64::from(converted);
    Ok(converted)
}

/// The runs of a sparse sketch: "z:3" and "Z:300" for zeros by the form they have, "v:2,3" for a 2 three times.
fn decoded(sketch: &[u8]) -> String {
    let run = |run: sparse::Run| match run.value {
        0 if run.is_long_form() => format!("Z:{}", run.len),
        0 => format!("z:{}", run.len),
        value => format!("v:{value},{}", run.len),
    };
    let runs: Vec<String> = sparse::runs(&sketch[HEADER..]).map(run).collect();
    runs.join(" ")
}

fn pfselftest(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    let seed = ctx.node.clock.random();
    let sparse_max = sparse_max(ctx);
    let test = move || self_test(seed, sparse_max).map_err(CommandError::text);
    if ctx.deny_blocking {
        test()?;
        ctx.reply.ok();
        return Ok(());
    }
    // It takes longer than others should wait.
    saving::aside(ctx, move |_, reply| {
        test()?;
        reply.ok();
        Ok(())
    })
}
