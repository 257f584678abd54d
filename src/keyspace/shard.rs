//! Shards and entering them. (being written)

use super::Db;

/// Which shards a request needs: a bit per shard (at most 64 shards).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardSet(pub u64);

impl ShardSet {
    pub const NONE: ShardSet = ShardSet(0);

    pub fn all(shards: usize) -> ShardSet {
        ShardSet(if shards >= 64 {
            u64::MAX
        } else {
            (1 << shards) - 1
        })
    }

    pub fn add(&mut self, shard: usize) {
        self.0 |= 1 << shard;
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn contains(self, other: ShardSet) -> bool {
        self.0 & other.0 == other.0
    }
}

/// One shard: its part of every database, who waits for its keys and who watches them.
#[derive(Debug)]
pub struct Shard {
    pub index: usize,
    pub dbs: Vec<Db>,
}

/// All shards of a node.
#[derive(Debug)]
pub struct Keyspace {}

/// Shards entered: while this lives, nobody else is inside them.
#[derive(Debug)]
pub struct Entered<'k> {
    keyspace: &'k Keyspace,
}

#[allow(unused_variables)]
impl Keyspace {
    /// `shards` 1..=64; `seed` makes the key hash unpredictable.
    pub fn new(shards: usize, databases: usize, seed: u64) -> Keyspace {
        todo!()
    }
    pub fn shards(&self) -> usize {
        todo!()
    }
    pub fn databases(&self) -> usize {
        todo!()
    }
    pub fn hash(&self, key: &[u8]) -> u64 {
        todo!()
    }
    pub fn shard_of(&self, hash: u64) -> usize {
        todo!()
    }
    /// Enters the shards if none is busy (after a short spin); never blocks.
    pub fn try_enter(&self, set: ShardSet) -> Option<Entered<'_>> {
        todo!()
    }
    /// Enters, blocking the thread. Not for arbiters that serve connections.
    pub fn enter(&self, set: ShardSet) -> Entered<'_> {
        todo!()
    }
    /// Has `waker` woken when one of the shards is next left. Register, then `try_enter` once more.
    pub fn wake_when_free(&self, set: ShardSet, waker: &std::task::Waker) {
        todo!()
    }
}

#[allow(unused_variables)]
impl<'k> Entered<'k> {
    pub fn keyspace(&self) -> &'k Keyspace {
        self.keyspace
    }
    /// Which shards are entered.
    pub fn set(&self) -> ShardSet {
        todo!()
    }
    /// The entered shard that holds a key hash. Panics (an invariant of dispatch) if it isn't entered.
    pub fn shard(&self, hash: u64) -> &Shard {
        todo!()
    }
    pub fn shard_mut(&mut self, hash: u64) -> &mut Shard {
        todo!()
    }
    /// Every entered shard in index order.
    pub fn iter(&self) -> Box<dyn Iterator<Item = &Shard> + '_> {
        todo!()
    }
    pub fn iter_mut(&mut self) -> Box<dyn Iterator<Item = &mut Shard> + '_> {
        todo!()
    }
    /// Shard by index; panics if it isn't entered.
    pub fn at(&self, index: usize) -> &Shard {
        todo!()
    }
    pub fn at_mut(&mut self, index: usize) -> &mut Shard {
        todo!()
    }
}
