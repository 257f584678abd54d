//! Sets at random: SPOP and SRANDMEMBER.
//!
//! What SPOP took goes to the log as SREM (or DEL, if it took all): replicas can't roll the same dice.

use hashbrown::HashSet;

use crate::command::collections::sample::{Selection, Wanted};
use crate::command::context::values::reply_item;
use crate::command::context::{EventClass, count_arg, int_arg_in};
use crate::command::set::as_set;
use crate::command::{Context, Handlers};
use crate::data::list::Item;
use crate::data::{Encodings, Set, Value};
use crate::resp::Reply;
use crate::table::{Args, CommandError, CommandResult};

pub(crate) const HANDLERS: Handlers = &[("spop", spop), ("srandmember", srandmember)];

/// How many members one SREM in the log names at most.
const EFFECT_MEMBERS: usize = 1024;
/// When what is popped is this many times what remains, the remaining ones are moved to a new set.
const MOVE_RATIO: usize = 5;
/// When a sample is more than a third of a set, one pass over the set beats picking one by one.
const PASS_RATIO: usize = 3;

fn spop(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    match args {
        [_, key] => pop_one(ctx, key),
        [_, key, count] => pop_many(ctx, key, count_arg(count)?),
        _ => Err(CommandError::SYNTAX),
    }
}

fn pop_one(ctx: &mut Context<'_>, key: &[u8]) -> CommandResult {
    let mut rng = ctx.rng();
    let Some(member) = ctx
        .find_set_mut(key)?
        .and_then(|set| set.pop_random(&mut rng))
    else {
        ctx.reply.null();
        return Ok(());
    };
    ctx.changed(key, EventClass::Set, "spop");
    ctx.remove_if_empty(key);
    ctx.effects.replace(&[b"SREM", key, &member]);
    ctx.reply.bulk(&member);
    Ok(())
}

fn pop_many(ctx: &mut Context<'_>, key: &[u8], count: usize) -> CommandResult {
    let mut rng = ctx.rng();
    let enc = ctx.encodings();
    let len = match ctx.find_set_mut(key)? {
        Some(set) if count > 0 => set.len(),
        _ => {
            ctx.reply.set(0);
            return Ok(());
        }
    };
    if count >= len {
        return pop_all(ctx, key);
    }
    let popped = match ctx.find_set_mut(key)? {
        Some(set) => take_random(set, count, &mut rng, &enc),
        None => Vec::new(),
    };
    for members in popped.chunks(EFFECT_MEMBERS) {
        let mut effect: Vec<&[u8]> = vec![b"SREM", key];
        effect.extend(members.iter().map(Vec::as_slice));
        ctx.effects.replace(&effect);
    }
    ctx.changed(key, EventClass::Set, "spop");
    ctx.dirty += popped.len() as u64 - 1;
    ctx.reply.set(popped.len());
    for member in &popped {
        ctx.reply.bulk(member);
    }
    Ok(())
}

fn pop_all(ctx: &mut Context<'_>, key: &[u8]) -> CommandResult {
    let Some((Value::Set(set), _)) = ctx.take(key) else {
        ctx.reply.set(0);
        return Ok(());
    };
    ctx.changed(key, EventClass::Set, "spop");
    ctx.dirty += set.len() as u64 - 1;
    ctx.notify(EventClass::Generic, "del", key);
    let name: &[u8] = if ctx.settings.lazyfree_lazy_server_del {
        b"UNLINK"
    } else {
        b"DEL"
    };
    ctx.effects.replace(&[name, key]);
    ctx.reply.set(set.len());
    for member in set.iter() {
        reply_item(ctx.reply, member);
    }
    ctx.discard(Value::Set(set));
    Ok(())
}

/// Takes `count` random members, fewer than there are, out of a set.
fn take_random(
    set: &mut Set,
    count: usize,
    rng: &mut fastrand::Rng,
    enc: &Encodings,
) -> Vec<Vec<u8>> {
    let len = set.len();
    let remaining = len - count;
    if remaining * MOVE_RATIO <= count {
        // The few that stay begin a new set, which may be in a smaller encoding.
        let mut rest = if set.encoding() == "intset" {
            Set::new()
        } else {
            Set::new_listpack()
        };
        let mut staying = Selection::new(remaining, len);
        let mut popped = Vec::with_capacity(count);
        for member in set.iter() {
            if staying.take(rng) {
                rest.insert_item(member, enc);
            } else {
                popped.push(member.to_vec());
            }
        }
        *set = rest;
        return popped;
    }
    if set.encoding() == "listpack" {
        let mut going = Selection::new(count, len);
        let popped: Vec<_> = set
            .iter()
            .filter(|_| going.take(rng))
            .map(|member| member.to_vec())
            .collect();
        for member in &popped {
            set.remove(member);
        }
        return popped;
    }
    (0..count).filter_map(|_| set.pop_random(rng)).collect()
}

fn srandmember(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    match args {
        [_, key] => {
            let mut rng = ctx.rng();
            let (value, reply) = ctx.find_for_reply(key);
            match as_set(value)?.and_then(|set| set.random(&mut rng)) {
                Some(member) => reply_item(reply, member),
                None => reply.null(),
            }
            Ok(())
        }
        [_, key, count] => {
            let count = int_arg_in(count, -i64::MAX..=i64::MAX)?;
            let Some(wanted) = Wanted::for_client(ctx, count)? else {
                return Ok(());
            };
            let mut rng = ctx.rng();
            let (value, reply) = ctx.find_for_reply(key);
            match as_set(value)? {
                Some(set) => reply_sample(reply, set, wanted, &mut rng),
                None => reply.array(0),
            }
            Ok(())
        }
        _ => Err(CommandError::SYNTAX),
    }
}

fn reply_sample(reply: &mut Reply, set: &Set, wanted: Wanted, rng: &mut fastrand::Rng) {
    let len = set.len();
    match wanted {
        Wanted::Repeated(count) => {
            reply.array(count);
            // Compact encodings are walked once, not once for every pick.
            let members: Vec<Item<'_>> = match set.encoding() {
                "listpack" if count > 1 => set.iter().collect(),
                _ => Vec::new(),
            };
            for _ in 0..count {
                let member = if members.is_empty() {
                    set.random(rng)
                } else {
                    Some(members[rng.usize(..members.len())])
                };
                match member {
                    Some(member) => reply_item(reply, member),
                    // Sets in the keyspace aren't empty.
                    None => reply.null(),
                }
            }
        }
        Wanted::Distinct(count) if count >= len => {
            reply.array(len);
            set.iter().for_each(|member| reply_item(reply, member));
        }
        Wanted::Distinct(count) if count == 1 && set.encoding() != "listpack" => {
            reply.array(1);
            set.random(rng)
                .into_iter()
                .for_each(|member| reply_item(reply, member));
        }
        Wanted::Distinct(count) if set.encoding() != "hashtable" || count * PASS_RATIO > len => {
            reply.array(count);
            let mut selection = Selection::new(count, len);
            set.iter()
                .filter(|_| selection.take(rng))
                .for_each(|member| reply_item(reply, member));
        }
        Wanted::Distinct(count) => {
            reply.array(count);
            let mut picked: HashSet<Vec<u8>> = HashSet::with_capacity(count);
            while picked.len() < count {
                let Some(member) = set.random(rng) else {
                    break;
                };
                if picked.insert(member.to_vec()) {
                    reply_item(reply, member);
                }
            }
        }
    }
}
