//! Active expiry: deleting keys whose time has come without anybody asking for them.
//!
//! A step works on one entered shard, whose tables know where due keys are; a step that finds nothing costs
//! next to nothing. Each key goes as a unit of its own, so that replicas, watchers and subscribers learn of
//! it as of any deletion.

use crate::command::context::lookup::Found;
use crate::command::dispatch::blocking;
use crate::command::{Context, dispatch};
use crate::keyspace::{ExpireBudget, KeyId, ShardSet};

/// What a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expired {
    pub(crate) keys: usize,
    /// More is due.
    pub(crate) more: bool,
}

/// How many keys with an expiry the shard holds, which is entered.
pub(crate) fn keys_with_expiry(ctx: &Context<'_>, index: usize) -> u64 {
    let dbs = ctx.keys.at(index).dbs.iter();
    dbs.map(|db| db.expires() as u64).sum()
}

/// Expires due keys of shard `index`, which is entered, as many as `budget` allows in one step. On a replica
/// only those that its own clients wrote (its master says what else expires); nothing while clients are
/// paused.
pub(crate) fn step(ctx: &mut Context<'_>, index: usize, budget: &ExpireBudget) -> Expired {
    debug_assert!(ctx.keys.set().contains(ShardSet::one(index)));
    let leftovers = ctx.keys.at_mut(index).take_abandoned();
    if !leftovers.is_empty() {
        ctx.node.lazyfree.push(Box::new(leftovers));
    }
    if ctx.node.pause.holds_expiry(ctx.now_ms) {
        return Expired::default();
    }
    if ctx.node.hub.is_replica() {
        return expire_own(ctx, index);
    }
    if ctx.node.own_expiries.any() {
        ctx.node.own_expiries.clear();
    }
    let (gone, more) = ctx.keys.at_mut(index).expire_step(ctx.now_ms, budget);
    let keys = gone.len();
    for (db, record) in gone {
        ctx.session.db = db;
        ctx.effects.db = db;
        ctx.propagate_expired(record.key());
        ctx.discard_record(record);
        dispatch::flush_effects(ctx);
    }
    let more_fields = expire_fields(ctx, index);
    ctx.session.db = 0;
    blocking::serve_ready(ctx);
    Expired {
        keys,
        more: more || more_fields,
    }
}

/// Expires due fields of hashes, some hundreds in one step. True: more are due.
fn expire_fields(ctx: &mut Context<'_>, index: usize) -> bool {
    const HASHES: usize = 4;
    let mut left = HASHES;
    for db in 0..ctx.keys.at(index).dbs.len() {
        while let Some(key) = ctx.keys.at(index).dbs[db].due_hash(ctx.now_ms) {
            if left == 0 {
                return true;
            }
            left -= 1;
            ctx.session.db = db;
            ctx.effects.db = db;
            let hash = ctx.keys.keyspace().hash(&key);
            match ctx.keys.at(index).dbs[db].locate(&key, hash) {
                Some(place) => {
                    let found = Found {
                        shard: index,
                        hash,
                        place,
                    };
                    ctx.expire_fields(&key, found);
                    dispatch::flush_effects(ctx);
                }
                // Deleted since it was noted.
                None => ctx.note_fields(&key),
            }
        }
    }
    false
}

/// On a writable replica: deletes what our own clients let expire, telling our own watchers and subscribers
/// only.
fn expire_own(ctx: &mut Context<'_>, index: usize) -> Expired {
    let mut expired = Expired::default();
    if !ctx.node.own_expiries.any() {
        return expired;
    }
    let keyspace = &ctx.node.keyspace;
    let mine = |key: &[u8]| keyspace.shard_of(keyspace.hash(key)) == index;
    for KeyId { db, key } in ctx.node.own_expiries.take_due(ctx.now_ms, mine) {
        ctx.session.db = db;
        ctx.effects.db = db;
        let hash = keyspace.hash(&key);
        let entry = ctx.keys.at(index).dbs[db].get(&key, hash);
        // The master may have written it since.
        if !entry.is_some_and(|entry| entry.is_expired(ctx.now_ms)) {
            continue;
        }
        if let Some(Some(record)) = ctx.keys.at_mut(index).dbs[db].unlink(&key, hash) {
            ctx.discard_record(record);
        }
        ctx.propagate_expired(&key);
        ctx.effects.clear();
        expired.keys += 1;
    }
    ctx.session.db = 0;
    blocking::serve_ready(ctx);
    expired
}
