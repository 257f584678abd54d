//! From records as they were at the cut to a dump's bytes, outside the shards.

use super::Options;
use crate::config::MaxmemoryPolicy;
use crate::keyspace::cut::Images;
use crate::keyspace::{Entry, Record, is_large};
use crate::rdb::pieces::Pieces;
use crate::rdb::usage::usage_of;
use crate::rdb::writer::{ChunkSink, ChunkWriter, KeyHeader, Usage};

/// How many bytes of a large collection are encoded between two looks at the sink.
const PIECE_BYTES: usize = 16 << 10;

/// Where encoding stands in what was collected.
#[derive(Debug)]
pub(super) struct Encoding {
    /// Keys and volatile keys of each database at the cut; None once said.
    sizes: Vec<Option<(usize, usize)>>,
    policy: MaxmemoryPolicy,
    lfu_decay_time_min: u32,
    now_ms: i64,
    /// The next plain image.
    plain: usize,
    /// A large entry under way, and its database.
    pieces: Option<(usize, Pieces)>,
}

impl Encoding {
    pub(super) fn new(sizes: Vec<(usize, usize)>, options: &Options, now_ms: i64) -> Encoding {
        Encoding {
            sizes: sizes.into_iter().map(Some).collect(),
            policy: options.policy,
            lfu_decay_time_min: options.lfu_decay_time_min,
            now_ms,
            plain: 0,
            pieces: None,
        }
    }

    pub(super) fn has_more(&self, images: &Images) -> bool {
        self.pieces.is_some() || !images.is_empty()
    }

    /// Encodes until about `budget` bytes are written; how many entries were completed.
    pub(super) fn run(
        &mut self,
        images: &mut Images,
        writer: &mut ChunkWriter,
        sink: &mut impl ChunkSink,
        budget: usize,
    ) -> u64 {
        let written = |writer: &ChunkWriter| writer.written() + writer.pending() as u64;
        let end = written(writer).saturating_add(budget as u64);
        let mut done = 0;
        while written(writer) < end {
            if let Some((db, pieces)) = &mut self.pieces {
                let finished =
                    writer.raw(*db, |encoder, out| pieces.step(encoder, out, PIECE_BYTES));
                if finished {
                    self.pieces = None;
                    done += 1;
                }
            } else if let Some((db, entry)) = images.plain(self.plain) {
                self.plain += 1;
                self.entry(writer, db, &entry);
                done += 1;
            } else if let Some((db, record)) = images.owned.pop() {
                done += u64::from(self.owned(writer, db, record));
            } else {
                break;
            }
            writer.drain(sink);
        }
        if self.plain > 0 && self.plain == images.plain_len() {
            images.clear_plain();
            self.plain = 0;
        }
        done
    }

    /// A record with a value of its own. True if it is completed.
    fn owned(&mut self, writer: &mut ChunkWriter, db: usize, record: Record) -> bool {
        let entry = record.entry();
        let collection = !matches!(entry.value, crate::data::ValueRef::String(_));
        if !(collection && is_large(entry.value)) {
            self.entry(writer, db, &entry);
            return true;
        }
        self.announce(writer, db);
        let key = entry.key.to_vec();
        let header = KeyHeader {
            key: &key,
            expire_at: entry.expire_at,
            usage: self.usage(entry.lru),
        };
        self.pieces = Some((db, Pieces::new(header, record.into_value())));
        false
    }

    fn entry(&mut self, writer: &mut ChunkWriter, db: usize, entry: &Entry<'_>) {
        self.announce(writer, db);
        let header = KeyHeader {
            key: entry.key,
            expire_at: entry.expire_at,
            usage: self.usage(entry.lru),
        };
        writer.entry(db, header, entry.value);
    }

    /// Says how large a database is, once, before its first entry.
    fn announce(&mut self, writer: &mut ChunkWriter, db: usize) {
        if let Some((keys, expires)) = self.sizes.get_mut(db).and_then(Option::take) {
            writer.begin_db(db, keys, expires);
        }
    }

    fn usage(&self, lru: u32) -> Usage {
        usage_of(lru, self.policy, self.lfu_decay_time_min, self.now_ms)
    }
}
