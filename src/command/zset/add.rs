//! ZADD and ZINCRBY.

use smallvec::SmallVec;

use crate::command::Context;
use crate::command::context::EventClass;
use crate::command::context::arguments::double_arg;
use crate::data::ValueRef;
use crate::data::prefetch::{PREFETCH_MAX, prefetch_members};
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

#[derive(Clone, Copy, Debug, Default)]
struct Options {
    only_new: bool,
    only_existing: bool,
    only_greater: bool,
    only_less: bool,
    count_changed: bool,
    increment: bool,
}

impl Options {
    /// Takes options off the front; gives what follows them.
    fn parse<'a>(&mut self, args: &'a [&'a [u8]]) -> CommandResult<&'a [&'a [u8]]> {
        let mut rest = args;
        while let [word, tail @ ..] = rest {
            match *word {
                w if is_word(w, "nx") => self.only_new = true,
                w if is_word(w, "xx") => self.only_existing = true,
                w if is_word(w, "gt") => self.only_greater = true,
                w if is_word(w, "lt") => self.only_less = true,
                w if is_word(w, "ch") => self.count_changed = true,
                w if is_word(w, "incr") => self.increment = true,
                _ => break,
            }
            rest = tail;
        }
        if rest.is_empty() || !rest.len().is_multiple_of(2) {
            return Err(CommandError::SYNTAX);
        }
        if self.only_new && self.only_existing {
            return Err(CommandError::fixed(
                "ERR XX and NX options at the same time are not compatible",
            ));
        }
        let bounds = [self.only_new, self.only_greater, self.only_less];
        if bounds.iter().filter(|&&given| given).count() > 1 {
            return Err(CommandError::fixed(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        if self.increment && rest.len() > 2 {
            return Err(CommandError::fixed(
                "ERR INCR option supports a single increment-element pair",
            ));
        }
        Ok(rest)
    }
}

/// What one pair comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// An option forbids it.
    Refused,
    Added(f64),
    Updated(f64),
    /// The score is what it was.
    Same(f64),
    /// The sum is no number.
    NotANumber,
}

fn decide(options: Options, old: Option<f64>, score: f64) -> Outcome {
    let Some(old) = old else {
        return match options.only_existing {
            true => Outcome::Refused,
            false => Outcome::Added(score),
        };
    };
    if options.only_new {
        return Outcome::Refused;
    }
    let new = if options.increment {
        old + score
    } else {
        score
    };
    if new.is_nan() {
        Outcome::NotANumber
    } else if (options.only_less && new >= old) || (options.only_greater && new <= old) {
        Outcome::Refused
    } else if new == old {
        Outcome::Same(new)
    } else {
        Outcome::Updated(new)
    }
}

/// ZADD, and ZINCRBY as ZADD with INCR.
pub(in crate::command) fn add(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    increment: bool,
) -> CommandResult {
    let mut options = Options {
        increment,
        ..Options::default()
    };
    let key = args[1];
    let pairs = options.parse(&args[2..])?;
    let mut scores = SmallVec::<[f64; 16]>::new();
    for pair in pairs.chunks_exact(2) {
        scores.push(double_arg(pair[0])?);
    }

    let enc = ctx.encodings();
    let found = if options.only_existing {
        ctx.find_zset_mut(key)?
    } else {
        Some(ctx.zset_or_create(key)?)
    };
    let Some(zset) = found else {
        match options.increment {
            true => ctx.reply.null(),
            false => ctx.reply.int(0),
        }
        return Ok(());
    };
    let created = zset.is_empty();
    zset.expect(scores.len(), &enc);
    let (mut added, mut updated) = (0, 0);
    let mut last = Outcome::Refused;
    for (index, (pair, score)) in pairs.chunks_exact(2).zip(scores).enumerate() {
        if index.is_multiple_of(PREFETCH_MAX) {
            prefetch_members(ValueRef::Zset(zset), &pairs[2 * index + 1..], 2);
        }
        zset.update(pair[1], &enc, |old| {
            last = decide(options, old, score);
            match last {
                Outcome::Added(score) | Outcome::Updated(score) => Some(score),
                _ => None,
            }
        });
        match last {
            Outcome::Added(_) => added += 1,
            Outcome::Updated(_) => updated += 1,
            // Only a sum can be; then this is the only pair and nothing has changed.
            Outcome::NotANumber => {
                return Err(CommandError::fixed(
                    "ERR resulting score is not a number (NaN)",
                ));
            }
            Outcome::Refused | Outcome::Same(_) => {}
        }
    }

    if options.increment {
        match last {
            Outcome::Added(score) | Outcome::Updated(score) | Outcome::Same(score) => {
                ctx.reply.double(score)
            }
            _ => ctx.reply.null(),
        }
    } else {
        let counted = if options.count_changed {
            added + updated
        } else {
            added
        };
        ctx.reply.int(counted);
    }
    if added + updated > 0 {
        ctx.dirty += (added + updated) as u64;
        ctx.touch(key);
        let event = if options.increment { "zincr" } else { "zadd" };
        ctx.notify(EventClass::Zset, event, key);
        if created {
            ctx.signal_ready(key);
        }
    }
    Ok(())
}
