//! Looking ahead in a pipeline: the records of the next commands' keys are brought into the cache together,
//! so that their misses overlap instead of coming one after another. In a million keys a miss costs more
//! than all the rest of a GET.
//!
//! It is a guess and changes nothing: the first argument is taken for a key, whatever the command is.

use smallvec::SmallVec;

use super::table::Command;
use super::{Args, Context};
use crate::keyspace::ShardSet;

/// How many commands ahead. More than this would push out what was brought in first.
pub const WINDOW: usize = 16;

/// A command with this many arguments may have several keys (MGET, MSET, DEL).
const MANY: usize = 4;
/// Keys of one command that are fetched together.
const KEYS_MAX: usize = 64;

/// The hashes of keys that commands to come will want.
pub type Ahead = SmallVec<[u64; WINDOW]>;

impl Context<'_> {
    /// Says which keys the next commands are likely to want. Nothing is fetched yet: the shards are entered
    /// by the first of those commands.
    pub fn look_ahead<'k>(&mut self, keys: impl Iterator<Item = &'k [u8]>) {
        let keyspace = &self.node.keyspace;
        self.ahead.clear();
        self.ahead
            .extend(keys.take(WINDOW).map(|key| keyspace.hash(key)));
    }

    /// Fetches those of them that lie in the shards just entered.
    #[inline]
    pub(super) fn fetch_ahead(&mut self) {
        if !self.ahead.is_empty() {
            self.fetch();
        }
    }

    /// Fetches the records of all the keys of a command of many.
    #[inline]
    pub(super) fn fetch_keys(&mut self, command: &Command, args: &Args<'_>) {
        if args.len() >= MANY {
            self.fetch_many(command, args);
        }
    }

    fn fetch_many(&mut self, command: &Command, args: &Args<'_>) {
        let keyspace = &self.node.keyspace;
        let mut hashes = SmallVec::<[u64; KEYS_MAX]>::new();
        command.for_each_key(args, &mut |key| {
            if hashes.len() < KEYS_MAX {
                hashes.push(keyspace.hash(key));
            }
        });
        if hashes.len() < 2 {
            return;
        }
        let db = self.session.db;
        for hash in hashes {
            self.keys.shard(hash).dbs[db].prefetch(std::iter::once(hash));
        }
    }

    fn fetch(&mut self) {
        let db = self.session.db;
        let keyspace = &self.node.keyspace;
        if keyspace.shards() == 1 {
            if !self.keys.set().is_empty() {
                let hashes = self.ahead.drain(..);
                self.keys.at(0).dbs[db].prefetch(hashes);
            }
            return;
        }
        let keys = &self.keys;
        self.ahead.retain(|hash| {
            let shard = keyspace.shard_of(*hash);
            let here = keys.set().contains(ShardSet::one(shard));
            if here {
                keys.at(shard).dbs[db].prefetch(std::iter::once(*hash));
            }
            !here
        });
    }
}
