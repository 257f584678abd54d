//! A point-in-time snapshot without a fork: the cut, the walk, the dump's chunks.
//!
//! - **Cut** ([`Snapshot::begin`]): with every shard entered, each table is told that it is being walked.
//!   That is all; it takes microseconds at any size.
//! - **Walk** ([`Snapshot::collect`]): with one shard entered, a bounded stretch of its tables is copied
//!   out as it was at the cut: small records as bytes, collections as clones that share their nodes. What
//!   changed ahead of the walk was kept by the tables (see `keyspace::cut`) and comes along. Shards take
//!   turns, so that what is kept never waits long.
//! - **Encoding** ([`Snapshot::encode`]): outside the shards, in steps of bounded output, into a
//!   [`ChunkSink`]. Or digests are taken of the records instead ([`digesting`]).
//!
//! [`Snapshot::next`] says which of these is due; whoever owns the snapshot has the threads, the waiting
//! and the sink. Every record that was there at the cut comes exactly once, whatever is written, deleted,
//! flushed or swapped meanwhile; nothing that came later does. Records of a database may come in several
//! stretches, each behind a SELECTDB.
//!
//! A snapshot that is dropped before its end is given up: tables notice and stop keeping anything.

pub(crate) mod digesting;
mod encode;
pub(crate) mod patching;
pub(crate) mod persistence;
#[cfg(test)]
mod tests;
mod walk;

use crate::config::{MaxmemoryPolicy, Settings};
use crate::keyspace::{Dropped, Entered, ShardSet};
use crate::rdb::writer::{ChunkSink, ChunkWriter, Preamble};
use walk::Walk;

/// How a dump is made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The directive `rdbcompression`.
    pub compression: bool,
    /// The directive `rdbchecksum`.
    pub checksum: bool,
    /// The size from which chunks are handed on, bytes.
    pub chunk_bytes: usize,
    /// How many bytes of records one turn in a shard looks at. Some 30 ns of the shard's time per record, where
    /// memory is quick; see [`Snapshot::collect`] for where it is not.
    pub turn_bytes: usize,
    /// What the dump says about the use of keys follows from `maxmemory-policy`.
    pub policy: MaxmemoryPolicy,
    /// The directive `lfu-decay-time`.
    pub lfu_decay_time_min: u32,
}

impl Options {
    /// As the directives say.
    pub(crate) fn from_settings(settings: &Settings) -> Options {
        Options {
            compression: settings.rdbcompression,
            checksum: settings.rdbchecksum,
            policy: settings.maxmemory_policy,
            lfu_decay_time_min: settings.lfu_decay_time,
            ..Options::default()
        }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            compression: true,
            checksum: true,
            chunk_bytes: 64 << 10,
            turn_bytes: 64 << 10,
            policy: MaxmemoryPolicy::NoEviction,
            lfu_decay_time_min: 1,
        }
    }
}

/// What a snapshot needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// [`Snapshot::encode`], outside the shards.
    Encode,
    /// [`Snapshot::collect`], with these shards entered.
    Enter(ShardSet),
    /// [`Snapshot::finish`].
    Finish,
}

/// How far a snapshot has come, for INFO and logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Keys at the cut.
    pub(crate) keys: u64,
    /// Keys encoded.
    pub(crate) keys_done: u64,
    /// Bytes handed to the sink.
    pub(crate) bytes: u64,
    /// Bytes of records that the tables keep for the snapshot at this moment.
    pub(crate) kept_bytes: usize,
}

/// A snapshot in progress.
#[derive(Debug)]
pub struct Snapshot {
    walk: Walk,
    encoding: encode::Encoding,
    writer: ChunkWriter,
    keys_done: u64,
}

impl Snapshot {
    /// The cut: the dataset as it is now. None if another snapshot is in progress. Every shard must be
    /// entered. `preamble` is the caller's: what it says of the replication stream must have been read
    /// while inside. `now_ms` (unix) is what idle times are counted from.
    pub fn begin(
        entered: &mut Entered<'_>,
        preamble: &Preamble,
        options: Options,
        now_ms: i64,
    ) -> Option<Snapshot> {
        let walk = Walk::begin(entered, options.turn_bytes)?;
        let mut writer =
            ChunkWriter::new(options.compression, options.checksum, options.chunk_bytes);
        writer.begin(preamble);
        Some(Snapshot {
            encoding: encode::Encoding::new(walk.sizes.clone(), &options, now_ms),
            walk,
            keys_done: 0,
            writer,
        })
    }

    /// What is to be done next.
    pub fn next(&self) -> Want {
        if self.encoding.has_more(&self.walk.images) {
            return Want::Encode;
        }
        self.walk.next_shard().map_or(Want::Finish, Want::Enter)
    }

    /// A turn in the shard that [`Snapshot::next`] asked for. What comes back is to be dropped outside:
    /// tables that were flushed away and are through.
    ///
    /// `enough` is asked every few records and ends the turn early: how long it takes to look at a record
    /// that nobody has looked at for long isn't known. On a virtual machine the first touch of a page after a
    /// while took 4 us, and with it a turn of 1500 records 6 ms.
    pub fn collect(
        &mut self,
        entered: &mut Entered<'_>,
        enough: &mut dyn FnMut() -> bool,
    ) -> Dropped {
        self.walk.collect(entered, enough)
    }

    /// Encodes what was collected, until about `budget` bytes more are written or all is.
    pub fn encode(&mut self, sink: &mut impl ChunkSink, budget: usize) {
        self.keys_done += self
            .encoding
            .run(&mut self.walk.images, &mut self.writer, sink, budget);
    }

    /// Writes the end. [`Snapshot::next`] must have asked for it.
    pub fn finish(mut self, sink: &mut impl ChunkSink) -> Progress {
        debug_assert_eq!(self.next(), Want::Finish);
        self.writer.finish(sink);
        self.progress()
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress {
            keys: self.walk.keys(),
            keys_done: self.keys_done,
            bytes: self.writer.written(),
            kept_bytes: self.walk.kept_bytes(),
        }
    }

    /// Gives the snapshot up. What the shards kept for it they give with `Shard::take_abandoned`, which
    /// active expiry asks for now and then.
    pub fn abort(self) {
        drop(self);
    }

    /// Runs all of what is left. For tests and for callers that have a thread to themselves.
    pub fn run(
        mut self,
        keyspace: &crate::keyspace::Keyspace,
        sink: &mut impl ChunkSink,
    ) -> Progress {
        loop {
            match self.next() {
                Want::Encode => self.encode(sink, usize::MAX),
                Want::Enter(set) => {
                    let mut entered = keyspace.enter(set);
                    let dropped = self.collect(&mut entered, &mut || false);
                    drop(entered);
                    drop(dropped);
                }
                Want::Finish => return self.finish(sink),
            }
        }
    }
}
