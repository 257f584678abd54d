//! Prefetching for a pipeline: what the next commands will look up is brought into the cache together, so
//! that the misses overlap instead of coming one after another. In a million keys, or in a collection of a
//! million members, a miss costs more than all the rest of a GET.
//!
//! For a window of commands: the records of their keys; for commands that look members of a collection up
//! (SADD, HGET, ZSCORE ...), then the collections, and then the members, see [`crate::data::prefetch`]. For
//! one command of many keys or members: those.
//!
//! Where there is one shard, the first command of a window prefetches for all, once it has entered. Where
//! there are several, the window's shards are entered beforehand, for the time of prefetching: a few hundred
//! nanoseconds. A shard that is busy at that moment is passed over.
//!
//! It is a hint and changes nothing: the first argument is taken for a key, whatever the command is; behind a script's
//! name and number of keys the next one.

use smallvec::SmallVec;

use crate::command::{Context, dispatch};
use crate::data::prefetch::Prefetcher;
use crate::keyspace::{Candidate, Db, Entered, ShardSet};
use crate::resp::request::Batch;
use crate::table::spec::Reach;
use crate::table::{Args, Command};

/// How many commands. More than this would push out what was brought in first.
const WINDOW: usize = 16;

/// A command with this many arguments may have several keys (MGET, MSET, DEL).
const MANY: usize = 4;
/// Where a command's key is, and a script's first one.
const KEY: usize = 1;
const KEY_OF_SCRIPT: usize = 3;
/// Keys of one command that are prefetched together.
const KEYS_MAX: usize = 64;

/// What a command to come will want.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lookup<'a> {
    /// Of its key.
    hash: u64,
    /// What it will look up in the collection there.
    member: Option<&'a [u8]>,
}

/// What the commands to come will want.
pub(crate) type Upcoming<'a> = SmallVec<[Lookup<'a>; WINDOW]>;

impl<'a> Context<'a> {
    /// To be called before each command of a batch, with its index: looks ahead where a window begins. With one
    /// shard nothing is prefetched yet: it is entered by the first of the window's commands.
    #[inline]
    pub fn prefetch_window(&mut self, batch: &'a Batch, index: usize, buffer: &'a [u8]) {
        if index.is_multiple_of(WINDOW) {
            self.look_at_window(batch, index, buffer);
        }
    }

    fn look_at_window(&mut self, batch: &'a Batch, index: usize, buffer: &'a [u8]) {
        self.upcoming.clear();
        let keyspace = &self.node.keyspace;
        let last = batch.len().min(index + WINDOW);
        if last < index + 2 {
            return;
        }
        let mut shards = ShardSet::NONE;
        let (mut name, mut place): (&[u8], _) = (b"", None);
        let mut key_place = KEY;
        let table = &self.node.table;
        for next in index..last {
            let its_name = batch.arg(next, 0, buffer).unwrap_or_default();
            if name != its_name {
                name = its_name;
                let command = table.lookup(name);
                place = command.and_then(|command| command.spec.member_arg);
                let is_script = command.is_some_and(|command| command.spec.reach == Reach::Script);
                key_place = if is_script { KEY_OF_SCRIPT } else { KEY };
                self.known = command.map(|command| (name, command));
            }
            let Some(key) = batch.arg(next, key_place, buffer) else {
                continue;
            };
            let hash = keyspace.hash(key);
            let member = place.and_then(|place| batch.arg(next, place, buffer));
            shards.add(keyspace.shard_of(hash));
            self.upcoming.push(Lookup { hash, member });
        }
        if keyspace.shards() > 1 {
            // Left before entering others: a shard is never entered from inside another.
            dispatch::release(self);
            let entered = keyspace.try_enter_free(shards);
            prefetch(&entered, self.session.db, &self.upcoming);
            self.upcoming.clear();
        }
    }

    /// Prefetches what [`Context::prefetch_window`] has left to be prefetched.
    #[inline]
    pub(in crate::command) fn prefetch_rest(&mut self) {
        if !self.upcoming.is_empty() && !self.keys.set().is_empty() {
            prefetch(&self.keys, self.session.db, &self.upcoming);
            self.upcoming.clear();
        }
    }

    /// Prefetches the records of all the keys of a command of many.
    #[inline]
    pub(in crate::command) fn prefetch_keys(&mut self, command: &Command, args: &Args<'_>) {
        if args.len() >= MANY {
            self.prefetch_many(command, args);
        }
    }

    fn prefetch_many(&mut self, command: &Command, args: &Args<'_>) {
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
        // A command that will be refused, or makes do with a part of its shards, is not inside all.
        let entered = self.keys.set();
        for hash in hashes {
            let shard = keyspace.shard_of(hash);
            if entered.contains(ShardSet::one(shard))
                && let Some(candidate) = self.keys.at(shard).dbs[db].candidate(hash)
            {
                candidate.prefetch();
            }
        }
    }
}

/// Prefetches what lies in the shards that are entered.
fn prefetch(keys: &Entered<'_>, db: usize, upcoming: &[Lookup<'_>]) {
    let keyspace = keys.keyspace();
    if keyspace.shards() == 1 {
        let only = &keys.at(0).dbs[db];
        prefetch_from(upcoming, |_| Some(only));
    } else {
        prefetch_from(upcoming, |hash| {
            let shard = keyspace.shard_of(hash);
            let here = keys.set().contains(ShardSet::one(shard));
            here.then(|| &keys.at(shard).dbs[db])
        });
    }
}

/// The loop is kept short: the fewer instructions to a key, the more keys' misses overlap.
#[inline]
fn prefetch_from<'k>(upcoming: &[Lookup<'_>], db_of: impl Fn(u64) -> Option<&'k Db>) {
    let mut collections = SmallVec::<[(Candidate<'_>, &[u8]); WINDOW]>::new();
    for lookup in upcoming {
        let Some(candidate) = db_of(lookup.hash).and_then(|db| db.candidate(lookup.hash)) else {
            continue;
        };
        candidate.prefetch();
        if let Some(member) = lookup.member {
            collections.push((candidate, member));
        }
    }
    if collections.is_empty() {
        return;
    }
    // Reads the records, which are on their way.
    let mut prefetcher = Prefetcher::default();
    for (candidate, member) in &collections {
        prefetcher.add(candidate.value(), member);
    }
    prefetcher.prefetch();
}
