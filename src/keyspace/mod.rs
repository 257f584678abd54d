//! The keyspace: databases cut into shards, each shard behind one lock that a thread enters to run
//! requests in place.
//!
//! A key's shard follows from its hash. Commands over several shards enter them all in index order (the
//! only place that takes shard locks is [`Keyspace`], so the order is kept here); nothing can enter a
//! shard while it is inside one, since [`Entered`] borrows nothing that enters.

pub mod blocked;
pub(crate) mod cut;
pub mod dataset;
pub mod db;
pub mod entering;
#[cfg(test)]
mod entering_tests;
pub mod expire_budget;
pub mod hasher;
pub mod key_id;
pub mod lazyfree;
pub mod own_expiries;
mod queue;
pub mod record;
mod segment;
pub mod shard;
pub mod shard_tasks;
#[cfg(test)]
mod shard_tests;
mod table;
#[cfg(test)]
mod table_tests;
pub mod waiter;
pub mod wakers;
pub mod watch;

pub use blocked::{Blocked, ReadyKey};
pub use dataset::{Dataset, DatasetBuilder, StringBatch};
pub use db::{Candidate, Db, Entry, Expiry, Put};
pub(crate) use entering::Entrance;
pub use entering::{Contention, Entered, Keyspace, ShardSet};
pub use expire_budget::ExpireBudget;
pub use hasher::KeyHasher;
pub use key_id::{KeyId, KeyIdRef};
pub use record::{Record, is_large};
pub use shard::{Dropped, Shard};
pub use table::Place;
pub use waiter::{WaitEnd, Waiter, WaiterState};
pub use watch::Watches;
