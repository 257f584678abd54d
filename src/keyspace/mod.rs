//! The keyspace: databases cut into shards, each shard behind one lock that a thread enters to run
//! requests in place.
//!
//! A key's shard follows from its hash. Commands over several shards enter them all in index order (the
//! only place that takes shard locks is [`Keyspace`], so the order is kept here); nothing can enter a
//! shard while it is inside one, since [`Entered`] borrows nothing that enters.

pub(crate) mod blocked;
pub(crate) mod cut;
pub(crate) mod dataset;
pub(crate) mod db;
pub(crate) mod entering;
#[cfg(test)]
mod entering_tests;
pub(crate) mod expire_budget;
mod fields_due;
pub(crate) mod hasher;
pub(crate) mod key_id;
pub(crate) mod lazyfree;
pub(crate) mod own_expiries;
pub(crate) mod patch;
mod queue;
pub(crate) mod record;
mod segment;
pub(crate) mod shard;
pub(crate) mod shard_tasks;
#[cfg(test)]
mod shard_tests;
mod table;
#[cfg(test)]
mod table_tests;
pub(crate) mod waiter;
pub(crate) mod wakers;
pub(crate) mod watch;

pub(crate) use blocked::{Blocked, ReadyKey};
pub(crate) use dataset::{Dataset, DatasetBuilder, StringBatch};
pub(crate) use db::{Candidate, Db, Entry, Expiry, Put};
pub(crate) use entering::Entrance;
pub(crate) use entering::{Contention, Entered, Keyspace, ShardSet};
pub(crate) use expire_budget::ExpireBudget;
pub(crate) use hasher::KeyHasher;
pub(crate) use key_id::{KeyId, KeyIdRef};
pub(crate) use record::{Record, is_large};
pub(crate) use shard::{Dropped, Shard};
pub(crate) use table::Place;
pub(crate) use waiter::{WaitEnd, Waiter, WaiterState};
pub(crate) use watch::Watches;
