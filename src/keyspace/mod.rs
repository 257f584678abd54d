//! The keyspace: databases cut into shards, each shard behind one lock that a thread enters to run
//! requests in place.
//!
//! A key's shard follows from its hash. Commands over several shards enter them all in index order (the
//! only place that takes shard locks is [`Keyspace`], so the order is kept here); nothing can enter a
//! shard while it is inside one, since [`Entered`] borrows nothing that enters.

pub mod blocked;
pub mod db;
pub mod entering;
pub mod hasher;
pub mod shard;
pub mod waiter;
pub mod watch;

pub use blocked::{Blocked, ReadyKey};
pub use db::{Db, Entry, Expiry, Put};
pub use entering::{Entered, Keyspace, ShardSet};
pub use hasher::KeyHasher;
pub use shard::{Dropped, Shard};
pub use waiter::{WaitEnd, Waiter, WaiterState};
pub use watch::Watches;
