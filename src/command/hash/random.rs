//! Hashes at random: HRANDFIELD.

use hashbrown::HashSet;

use crate::command::collections::sample::{Selection, Wanted};
use crate::command::context::int_arg_in;
use crate::command::context::values::reply_item;
use crate::command::hash::as_hash;
use crate::command::{Context, Handlers};
use crate::data::Hash;
use crate::data::list::Item;
use crate::resp::Reply;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

pub(crate) const HANDLERS: Handlers = &[("hrandfield", hrandfield)];

/// When a sample is more than a third of a hash, one pass over the hash beats picking one by one.
const PASS_RATIO: usize = 3;

fn hrandfield(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let mut rng = ctx.rng();
    let [_, key, options @ ..] = args else {
        return Err(CommandError::SYNTAX);
    };
    let [count, options @ ..] = options else {
        let (value, reply) = ctx.find_for_reply(key);
        match as_hash(value)?.and_then(|hash| hash.random(&mut rng)) {
            Some((field, _)) => reply_item(reply, field),
            None => reply.null(),
        }
        return Ok(());
    };
    let count = int_arg_in(count, -i64::MAX..=i64::MAX)?;
    let with_values = match options {
        [] => false,
        [word] if is_word(word, "withvalues") => true,
        _ => return Err(CommandError::SYNTAX),
    };
    if with_values && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(CommandError::fixed("ERR value is out of range"));
    }
    let Some(wanted) = Wanted::for_client(ctx, count)? else {
        return Ok(());
    };
    let (value, reply) = ctx.find_for_reply(key);
    match as_hash(value)? {
        Some(hash) => {
            Sample { reply, with_values }.write(hash, wanted, &mut rng);
        }
        None => reply.array(0),
    }
    Ok(())
}

/// The reply being written.
struct Sample<'a> {
    reply: &'a mut Reply,
    with_values: bool,
}

impl Sample<'_> {
    /// RESP3 nests each pair in an array of its own, RESP2 shows them flat.
    fn header(&mut self, pairs: usize) {
        if self.with_values && !self.reply.is_resp3() {
            self.reply.array(2 * pairs);
        } else {
            self.reply.array(pairs);
        }
    }

    fn pair(&mut self, (field, value): (Item<'_>, Item<'_>)) {
        if self.with_values && self.reply.is_resp3() {
            self.reply.array(2);
        }
        reply_item(self.reply, field);
        if self.with_values {
            reply_item(self.reply, value);
        }
    }

    fn write(&mut self, hash: &Hash, wanted: Wanted, rng: &mut fastrand::Rng) {
        let len = hash.seen();
        match wanted {
            Wanted::Repeated(count) => {
                self.header(count);
                // A listpack is walked once, not once for every pick.
                let pairs: Vec<_> = match hash.encoding() {
                    "listpack" if count > 1 => hash.iter().collect(),
                    _ => Vec::new(),
                };
                for _ in 0..count {
                    let pair = if pairs.is_empty() {
                        hash.random(rng)
                    } else {
                        Some(pairs[rng.usize(..pairs.len())])
                    };
                    // Hashes in the keyspace aren't empty.
                    self.pair(pair.unwrap_or((Item::Bytes(b""), Item::Bytes(b""))));
                }
            }
            Wanted::Distinct(count) if count >= len => {
                self.header(len);
                hash.iter().for_each(|pair| self.pair(pair));
            }
            Wanted::Distinct(count)
                if hash.encoding() == "listpack" || count.saturating_mul(PASS_RATIO) > len =>
            {
                self.header(count);
                let mut selection = Selection::new(count, len);
                hash.iter()
                    .filter(|_| selection.take(rng))
                    .for_each(|pair| self.pair(pair));
            }
            Wanted::Distinct(count) => {
                self.header(count);
                let mut picked: HashSet<Vec<u8>> = HashSet::with_capacity(count);
                while picked.len() < count {
                    let Some(pair) = hash.random(rng) else {
                        break;
                    };
                    if picked.insert(pair.0.to_vec()) {
                        self.pair(pair);
                    }
                }
            }
        }
    }
}
