//! Loading a dump beside the data there is: from a full sync's pipe, or from the dump file.
//!
//! The result is a dataset in the shape of the keyspace and what the dump says of the replication stream;
//! whoever asked swaps it in with every shard entered. Nothing here touches the data in place, so a broken
//! dump leaves it as it was. Runs on a thread of its own.

use std::io::Read;
use std::sync::atomic::Ordering;

use crate::keyspace::{Dataset, DatasetBuilder};
use crate::node_core::NodeCore;
use crate::rdb::decode::Decoded;
use crate::rdb::reader::{self, LoadResult, Loaded, Options};
use crate::rdb::usage;
use crate::repl::ReplId;

/// Keys between two looks at whether to go on, and two reports of progress.
const STRIDE: u64 = 1024;

/// A loaded dump.
#[derive(Debug)]
pub struct LoadedDump {
    pub dataset: Dataset,
    pub keys: u64,
    /// Keys left out because their time was over.
    pub expired: u64,
    /// Where the stream stood, if the dump says: replid and offset.
    pub replication: Option<(ReplId, u64)>,
    /// The database that the stream had selected.
    pub stream_db: Option<usize>,
}

/// Whether keys whose time is over are loaded: a replica leaves it to its master to say DEL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    Keep,
    Drop,
}

/// Reads a whole dump. The error is a sentence for the log.
pub fn load(node: &NodeCore, input: impl Read, expired: Expired) -> Result<LoadedDump, String> {
    let settings = node.settings.load_full();
    let mut loader = Loader {
        node,
        builder: node.keyspace.builder(),
        db: 0,
        now_ms: node.clock.unix_ms(),
        drop_expired: expired == Expired::Drop,
        policy: settings.maxmemory_policy,
        seen: 0,
        expired: 0,
        replid: None,
        offset: None,
        stream_db: None,
    };
    let options = Options {
        encodings: settings.encodings,
        checksum: settings.rdbchecksum,
    };
    let summary = reader::load(input, options, &mut loader).map_err(|e| e.to_string())?;
    Ok(LoadedDump {
        dataset: loader.builder.finish(),
        keys: summary.keys - loader.expired,
        expired: loader.expired,
        replication: loader.replid.zip(loader.offset),
        stream_db: loader.stream_db,
    })
}

struct Loader<'a> {
    node: &'a NodeCore,
    builder: DatasetBuilder,
    db: usize,
    now_ms: i64,
    drop_expired: bool,
    policy: crate::config::MaxmemoryPolicy,
    seen: u64,
    expired: u64,
    replid: Option<ReplId>,
    offset: Option<u64>,
    stream_db: Option<usize>,
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

impl reader::Loader for Loader<'_> {
    fn aux(&mut self, name: &[u8], value: &[u8]) -> LoadResult {
        match name {
            b"repl-id" => self.replid = ReplId::parse(value),
            b"repl-offset" => self.offset = number(value),
            b"repl-stream-db" => {
                self.stream_db =
                    number(value).filter(|db: &usize| *db < self.builder.databases());
            }
            _ => {}
        }
        Ok(())
    }

    fn select(&mut self, db: u64) -> LoadResult {
        let databases = self.builder.databases();
        match usize::try_from(db) {
            Ok(db) if db < databases => {
                self.db = db;
                Ok(())
            }
            _ => Err(format!(
                "Data file was created with a Redis server configured to handle more than {databases} databases."
            )),
        }
    }

    fn resize(&mut self, keys: u64, _expires: u64) -> LoadResult {
        self.builder.reserve(self.db, usize::try_from(keys).unwrap_or(0));
        Ok(())
    }

    fn entry(&mut self, entry: Loaded<'_>) -> LoadResult {
        self.seen += 1;
        if self.seen.is_multiple_of(STRIDE) {
            self.now_ms = self.node.clock.unix_ms();
            self.node
                .persistence
                .loaded_keys
                .store(self.seen - self.expired, Ordering::Relaxed);
        }
        if self.drop_expired && entry.expire_at.is_some_and(|at| at < self.now_ms) {
            self.expired += 1;
            return Ok(());
        }
        let lru = usage::field_of(
            entry.idle_seconds,
            entry.frequency,
            self.policy,
            self.now_ms,
        )
        .unwrap_or_else(|| usage::lru_now(self.now_ms));
        let (db, key, expire_at) = (self.db, entry.key, entry.expire_at);
        let new = match entry.value {
            Decoded::Text(text) => {
                let builder = &mut self.builder;
                text.with(|bytes| builder.insert_string(db, key, bytes, expire_at, lru))
            }
            Decoded::Value(value) => self.builder.insert(db, key, value, expire_at, lru),
        };
        if new {
            Ok(())
        } else {
            Err(format!(
                "RDB has duplicated key '{}' in DB {db}",
                String::from_utf8_lossy(key)
            ))
        }
    }

    fn empty(&mut self, key: &[u8]) -> LoadResult {
        tracing::info!(
            "rdbLoadObject loading empty key detected: {}",
            String::from_utf8_lossy(key)
        );
        Ok(())
    }
}

/// `<&File>` and the like count what passes, for INFO's loading fields.
pub struct Counted<'a, R> {
    pub input: R,
    pub node: &'a NodeCore,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.input.read(buffer)?;
        self.node
            .persistence
            .loading_loaded_bytes
            .fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
