//! Active expiry: deleting keys whose time has come without anybody asking for them.
//!
//! A step works on one entered shard, whose tables know where due keys are; a step that finds nothing costs
//! next to nothing. Each key goes as a unit of its own, so that replicas, watchers and subscribers learn of
//! it as of any deletion.

use super::{Context, dispatch};
use crate::keyspace::{Pace, ShardSet};

/// What a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    pub keys: usize,
    /// More is due.
    pub more: bool,
}

/// Expires due keys of shard `index`, which is entered, as many as `pace` allows in one step. Nothing on a
/// replica (its master says what expires) or while clients are paused.
pub fn step(ctx: &mut Context<'_>, index: usize, pace: &Pace) -> Expired {
    debug_assert!(ctx.keys.set().contains(ShardSet::one(index)));
    let leftovers = ctx.keys.at_mut(index).take_abandoned();
    if !leftovers.is_empty() {
        ctx.node.lazyfree.push(Box::new(leftovers));
    }
    if ctx.node.hub.is_replica() || ctx.node.pause.holds_expiry(ctx.now_ms) {
        return Expired::default();
    }
    let (gone, more) = ctx.keys.at_mut(index).expire_step(ctx.now_ms, pace);
    let keys = gone.len();
    for (db, record) in gone {
        ctx.session.db = db;
        ctx.effects.db = db;
        ctx.tell_expired(record.key());
        ctx.discard_record(record);
        dispatch::flush_effects(ctx);
    }
    ctx.session.db = 0;
    Expired { keys, more }
}
