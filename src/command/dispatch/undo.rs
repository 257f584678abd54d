//! What a transaction of the master's stream is about to change, kept until it is through, to be put back if a command
//! of it fails.
//!
//! Kept are the values of the keys that its commands name: collections share their nodes with what is kept, strings are
//! copied. Only what precedes the last command that can fail at all is kept, so a transaction of SET and DEL costs
//! nothing.
//!
//! Not kept, so that the transaction can't be taken back: what reaches keys that it doesn't name (FLUSHALL, FLUSHDB,
//! SWAPDB, scripts as they are), function libraries, and strings over [`STRING_MAX`]. Keyspace events and messages that
//! went out stay so.

use bytes::Bytes;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::Context;
use crate::data::{Value, ValueRef};
use crate::keyspace::{Expiry, KeyId, KeyIdRef};
use crate::repl::stream_databases;
use crate::table::spec::{Reach, bits};
use crate::table::{Args, Command};

/// Bytes of a string that is kept; a longer one would hold its shard for too long.
const STRING_MAX: usize = 1 << 20;

/// Commands of which the forms that masters send can't fail, with how many arguments those have at most.
const INFALLIBLE: &[(&str, usize)] = &[
    ("del", usize::MAX),
    ("unlink", usize::MAX),
    ("mset", usize::MAX),
    ("pexpireat", 3),
    ("persist", 2),
    ("publish", 3),
    ("select", 2),
    ("set", 3),
    ("spublish", 3),
];

/// The place in a queue of the last command that can fail; 0 also if there is none.
pub(super) fn last_fallible(queue: &[Vec<Bytes>]) -> usize {
    let can_fail = |args: &Vec<Bytes>| {
        let is = |name: &str| args[0].eq_ignore_ascii_case(name.as_bytes());
        let listed = INFALLIBLE.iter().find(|(name, _)| is(name));
        listed.is_none_or(|(_, most)| args.len() > *most)
    };
    queue.iter().rposition(can_fail).unwrap_or(0)
}

/// A key's record.
#[derive(Debug)]
struct Old {
    value: Value,
    expire_at: Option<i64>,
    lru: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Undo {
    /// As they were before the transaction; None: not there.
    kept: HashMap<KeyId, Option<Old>>,
    /// Something was changed that isn't kept.
    is_incomplete: bool,
}

impl Undo {
    /// Keeps what a command is about to change, as far as it isn't kept yet.
    pub(super) fn keep(&mut self, ctx: &Context<'_>, args: &Args<'_>) {
        let Some(command) = ctx.node.table.find(args) else {
            return;
        };
        if !command.flags.has(bits::WRITE) && command.spec.reach != Reach::Script {
            return;
        }
        if changes_more_than_keys(command, args) {
            self.is_incomplete = true;
        }
        if self.is_incomplete {
            return;
        }
        let mut databases: SmallVec<[usize; 2]> = SmallVec::new();
        databases.push(ctx.session.db);
        let others = stream_databases::targets(args).iter();
        let others = others.filter_map(|index| std::str::from_utf8(index).ok()?.parse().ok());
        databases.extend(others.filter(|db| *db < ctx.node.keyspace.databases()));
        command.for_each_key(args, &mut |key| {
            for db in &databases {
                self.keep_key(ctx, *db, key);
            }
        });
    }

    fn keep_key(&mut self, ctx: &Context<'_>, db: usize, key: &[u8]) {
        let id = KeyIdRef { db, key };
        if self.kept.contains_key(&id) {
            return;
        }
        let hash = ctx.node.keyspace.hash(key);
        let entry = ctx.keys.shard(hash).dbs[db].get(key, hash);
        if let Some(ValueRef::String(text)) = entry.map(|entry| entry.value)
            && text.len() > STRING_MAX
        {
            self.is_incomplete = true;
            return;
        }
        let old = entry.map(|entry| Old {
            value: entry.value.to_value(),
            expire_at: entry.expire_at,
            lru: entry.lru,
        });
        self.kept.insert((&id).into(), old);
    }

    /// Puts all of it back. False: it can't be, and nothing was.
    pub(super) fn take_back(self, ctx: &mut Context<'_>) -> bool {
        if self.is_incomplete {
            return false;
        }
        for (id, old) in self.kept {
            let key = &id.key[..];
            ctx.with_db(id.db, |ctx| {
                match old {
                    None => {
                        ctx.delete(key);
                    }
                    Some(old) => put(ctx, key, old),
                }
                ctx.touch(key);
            });
        }
        true
    }
}

fn put(ctx: &mut Context<'_>, key: &[u8], old: Old) {
    ctx.set_value(
        key,
        old.value,
        old.expire_at.map_or(Expiry::Clear, Expiry::At),
    );
    let hash = ctx.keys.keyspace().hash(key);
    let db = ctx.session.db;
    ctx.keys.shard_mut(hash).dbs[db].stamp(key, hash, old.lru);
}

/// Whether a command changes more than the keys that it names.
fn changes_more_than_keys(command: &Command, args: &Args<'_>) -> bool {
    command.spec.reach == Reach::Script
        || command.whole_keyspace(args)
        || command.flags.has(bits::TOUCHES_ARBITRARY_KEYS)
        || !command.may_have_keys()
}
