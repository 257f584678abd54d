//! From a dump to a dataset that stands ready to be swapped in.
//!
//! The dataset is built beside the keyspace, which goes on answering; nothing of it is seen before the
//! whole dump has come and was found good. What the dump says about the replication stream comes back
//! beside it. Whoever loads has a thread to itself: the input may block.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tracing::{debug, info, warn};

use crate::config::MaxmemoryPolicy;
use crate::data::Encodings;
use crate::keyspace::{Dataset, DatasetBuilder};
use crate::rdb::decode::Decoded;
use crate::rdb::error::RdbError;
use crate::rdb::reader::{self, LoadResult, Loaded, Loader, Reader, Summary};
use crate::rdb::source::Text;
use crate::rdb::usage;
use crate::rdb::writer::ReplicationMark;

/// What a key's use counter begins with under the LFU policies.
const LFU_FRESH: u32 = 5;
const REPLID_CHARS: usize = 40;

/// How a dump is to be loaded.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    pub encodings: Encodings,
    /// The directive `rdbchecksum`.
    pub checksum: bool,
    pub policy: MaxmemoryPolicy,
    /// Unix ms: against which expiry and idle times are taken.
    pub now_ms: i64,
    /// Leave keys out that have expired: a master's right alone. A replica keeps them until its master
    /// says DEL.
    pub skip_expired: bool,
    /// A key that comes twice replaces the first, rather than being an error (DEBUG RELOAD's special modes).
    pub allow_duplicates: bool,
}

/// How far a load has come; shared with whoever shows it, or wants it to end.
#[derive(Debug, Default)]
pub struct LoadProgress {
    pub bytes: AtomicU64,
    pub keys: AtomicU64,
    /// Set from outside: the load ends with an error at its next read.
    pub abort: AtomicBool,
}

/// A dump that was loaded.
#[derive(Debug)]
#[must_use]
pub struct LoadedDump<R> {
    pub dataset: Dataset,
    pub summary: Summary,
    /// Where the stream stood, if the dump says so.
    pub mark: Option<ReplicationMark>,
    /// Keys left out because they had expired.
    pub expired_keys: u64,
    /// What was read ahead of the dump's end.
    pub read_ahead: Vec<u8>,
    /// The input, which stands behind `read_ahead`.
    pub input: R,
}

/// Loads a dump into `builder`.
pub fn load<R: Read>(
    input: R,
    builder: DatasetBuilder,
    options: LoadOptions,
    progress: &Arc<LoadProgress>,
) -> Result<LoadedDump<R>, RdbError> {
    let counted = Counted {
        input,
        progress: progress.clone(),
    };
    let mut reader = Reader::new(
        counted,
        reader::Options {
            encodings: options.encodings,
            checksum: options.checksum,
        },
    );
    let mut loader = DatasetLoader {
        builder,
        options,
        fresh_use: fresh_use(&options),
        db: 0,
        keys: 0,
        progress,
        replid: None,
        offset: None,
        stream_db: -1,
        expired_keys: 0,
    };
    let summary = reader.load(&mut loader)?;
    progress.keys.store(summary.keys, Ordering::Relaxed);
    let (loaded, expired) = (summary.keys - loader.expired_keys, loader.expired_keys);
    match summary.empty_keys {
        0 => info!("Done loading RDB, keys loaded: {loaded}, keys expired: {expired}."),
        empty => info!(
            "Done loading RDB, keys loaded: {loaded}, keys expired: {expired}, empty keys skipped: {empty}."
        ),
    }
    let (read_ahead, counted) = reader.into_rest();
    Ok(LoadedDump {
        mark: loader.mark(),
        expired_keys: expired,
        dataset: loader.builder.finish(),
        summary,
        read_ahead,
        input: counted.input,
    })
}

/// The use field of a key of which the dump says nothing.
fn fresh_use(options: &LoadOptions) -> u32 {
    if options.policy.is_lfu() {
        let minutes = (options.now_ms / 60_000) as u32 & 0xffff;
        minutes << 8 | LFU_FRESH
    } else {
        usage::lru_now(options.now_ms)
    }
}

/// Counts what passes, and can be told to stop.
#[derive(Debug)]
struct Counted<R> {
    input: R,
    progress: Arc<LoadProgress>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.progress.abort.load(Ordering::Relaxed) {
            return Err(std::io::Error::other("the load was called off"));
        }
        let count = self.input.read(buffer)?;
        self.progress
            .bytes
            .fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

struct DatasetLoader<'p> {
    builder: DatasetBuilder,
    options: LoadOptions,
    fresh_use: u32,
    db: usize,
    keys: u64,
    progress: &'p LoadProgress,
    replid: Option<String>,
    offset: Option<i64>,
    stream_db: i64,
    expired_keys: u64,
}

impl DatasetLoader<'_> {
    fn mark(&self) -> Option<ReplicationMark> {
        Some(ReplicationMark {
            replid: self.replid.clone()?,
            offset: self.offset?,
            stream_db: self.stream_db,
        })
    }
}

impl Loader for DatasetLoader<'_> {
    fn aux(&mut self, name: &[u8], value: &[u8]) -> LoadResult {
        let text = String::from_utf8_lossy(value);
        let number = || text.trim().parse::<i64>().unwrap_or(0);
        match name {
            [b'%', ..] => info!("RDB '{}': {text}", name.escape_ascii()),
            b"repl-stream-db" => self.stream_db = number(),
            b"repl-id" if value.len() == REPLID_CHARS => self.replid = Some(text.into_owned()),
            b"repl-offset" => self.offset = Some(number()),
            b"redis-ver" => info!("Loading RDB produced by version {text}"),
            b"ctime" => {
                let age_s = (self.options.now_ms / 1000 - number()).max(0);
                info!("RDB age {age_s} seconds");
            }
            b"used-mem" => info!(
                "RDB memory usage when created {:.2} Mb",
                number() as f64 / (1024.0 * 1024.0)
            ),
            b"aof-base" if number() != 0 => info!("RDB is base AOF"),
            b"aof-preamble" if number() != 0 => info!("RDB has an AOF tail"),
            _ => debug!("RDB AUX field '{}': {text}", name.escape_ascii()),
        }
        Ok(())
    }

    fn select(&mut self, db: u64) -> LoadResult {
        match usize::try_from(db) {
            Ok(db) if db < self.builder.databases() => {
                self.db = db;
                Ok(())
            }
            _ => Err(format!(
                "the dump has a database {db}, this node is configured for {}",
                self.builder.databases()
            )),
        }
    }

    fn resize(&mut self, keys: u64, _expires: u64) -> LoadResult {
        let keys = usize::try_from(keys).unwrap_or(usize::MAX);
        self.builder.reserve(self.db, keys);
        Ok(())
    }

    #[inline]
    fn entry(&mut self, entry: Loaded<'_>) -> LoadResult {
        self.keys += 1;
        if self.keys & 0x3ff == 0 {
            self.progress.keys.store(self.keys, Ordering::Relaxed);
        }
        if self.options.skip_expired && entry.expire_at.is_some_and(|at| at < self.options.now_ms) {
            self.expired_keys += 1;
            return Ok(());
        }
        let lru = match (entry.idle_seconds, entry.frequency) {
            (None, None) => self.fresh_use,
            (idle, frequency) => {
                let (policy, now_ms) = (self.options.policy, self.options.now_ms);
                usage::field_of(idle, frequency, policy, now_ms).unwrap_or(self.fresh_use)
            }
        };
        let (db, key, expire_at) = (self.db, entry.key, entry.expire_at);
        let new = match entry.value {
            Decoded::Text(Text::Bytes(bytes)) => {
                self.builder.insert_string(db, key, bytes, expire_at, lru)
            }
            Decoded::Text(text @ Text::Int(_)) => {
                text.with(|bytes| self.builder.insert_string(db, key, bytes, expire_at, lru))
            }
            Decoded::Value(value) => self.builder.insert(db, key, value, expire_at, lru),
        };
        if new || self.options.allow_duplicates {
            Ok(())
        } else {
            Err("the key comes twice".into())
        }
    }

    fn empty(&mut self, key: &[u8]) -> LoadResult {
        info!("RDB load: skipping empty key {}", key.escape_ascii());
        Ok(())
    }

    fn function(&mut self, _library: &[u8]) -> LoadResult {
        warn!(
            "The dump holds a function library, which this node leaves out: it has no functions yet."
        );
        Ok(())
    }

    fn module_aux(&mut self, module: &str) -> LoadResult {
        warn!("The dump holds data of the module '{module}', which this node leaves out.");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use bytes::Bytes;

    use super::*;
    use crate::keyspace::{Expiry, Keyspace};
    use crate::rdb::error::Fault;
    use crate::rdb::writer::{ChunkWriter, KeyHeader, Preamble, Usage};
    use crate::snapshot::{Options, Snapshot};

    const NOW_MS: i64 = 1_700_000_000_000;

    fn options() -> LoadOptions {
        LoadOptions {
            encodings: Encodings::default(),
            checksum: true,
            policy: MaxmemoryPolicy::NoEviction,
            now_ms: NOW_MS,
            skip_expired: true,
            allow_duplicates: false,
        }
    }

    fn keyspace() -> Keyspace {
        Keyspace::new(4, 4, 7)
    }

    fn set(keyspace: &Keyspace, db: usize, key: &str, expiry: Expiry) {
        let hash = keyspace.hash(key.as_bytes());
        let mut entered = keyspace.enter(keyspace.all());
        entered.shard_mut(hash).dbs[db].set_string(key.as_bytes(), hash, b"value", expiry);
    }

    fn dump(keyspace: &Keyspace, preamble: &Preamble) -> Vec<u8> {
        let mut chunks: Vec<Bytes> = Vec::new();
        let mut entered = keyspace.enter(keyspace.all());
        let snapshot = Snapshot::begin(&mut entered, preamble, Options::default(), NOW_MS);
        drop(entered);
        snapshot
            .expect("no other snapshot runs")
            .run(keyspace, &mut chunks);
        chunks.concat()
    }

    fn load_all<R: Read>(input: R, options: LoadOptions) -> Result<LoadedDump<R>, RdbError> {
        load(input, keyspace().builder(), options, &Arc::default())
    }

    #[test]
    fn a_snapshot_loads() {
        let source = keyspace();
        for i in 0..3000 {
            set(&source, i % 3, &format!("key:{i}"), Expiry::Clear);
        }
        set(&source, 1, "due", Expiry::At(NOW_MS - 1));
        set(&source, 1, "later", Expiry::At(NOW_MS + 1));
        let mark = ReplicationMark {
            replid: "0123456789".repeat(4),
            offset: 77,
            stream_db: 2,
        };
        let preamble = Preamble {
            replication: Some(mark.clone()),
            ..Preamble::default()
        };
        let mut bytes = dump(&source, &preamble);
        let length = bytes.len();
        bytes.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");

        let progress = Arc::default();
        let loaded = load(&bytes[..], keyspace().builder(), options(), &progress).expect("loads");
        assert_eq!(loaded.mark, Some(mark));
        assert_eq!((loaded.dataset.keys(), loaded.expired_keys), (3001, 1));
        assert_eq!(loaded.summary.bytes, length as u64);
        assert_eq!(progress.bytes.load(Ordering::Relaxed), bytes.len() as u64);
        assert_eq!(progress.keys.load(Ordering::Relaxed), 3002);
        let mut rest = loaded.read_ahead;
        let mut input = loaded.input;
        input.read_to_end(&mut rest).expect("a slice");
        assert_eq!(rest, b"*1\r\n$4\r\nPING\r\n");

        // A replica keeps what its master has not deleted yet.
        let keep = LoadOptions {
            skip_expired: false,
            ..options()
        };
        let loaded = load_all(&bytes[..], keep).expect("loads");
        assert_eq!((loaded.dataset.keys(), loaded.expired_keys), (3002, 0));
    }

    #[test]
    fn a_key_that_comes_twice_and_a_database_too_many() {
        let write = |db: usize| {
            let mut writer = ChunkWriter::new(true, true, 1000);
            let mut chunks: Vec<Bytes> = Vec::new();
            writer.begin(&Preamble::default());
            for _ in 0..2 {
                let header = KeyHeader {
                    key: b"twin",
                    expire_at: None,
                    usage: Usage::Unsaid,
                };
                let value = crate::data::Value::String(b"v".to_vec());
                writer.entry(db, header, value.as_ref());
            }
            writer.finish(&mut chunks);
            chunks.concat()
        };
        let error = load_all(&write(0)[..], options()).expect_err("refused");
        assert!(matches!(error.fault, Fault::Refused(_)));
        assert_eq!(error.key.as_deref(), Some(&b"twin"[..]));
        let lenient = LoadOptions {
            allow_duplicates: true,
            ..options()
        };
        let twice = write(0);
        let loaded = load_all(&twice[..], lenient).expect("loads");
        assert_eq!(loaded.dataset.keys(), 1);
        let error = load_all(&write(4)[..], options()).expect_err("refused");
        assert!(error.to_string().contains("configured for 4"), "{error}");
    }

    #[test]
    fn a_load_can_be_called_off() {
        let progress = Arc::new(LoadProgress::default());
        progress.abort.store(true, Ordering::Relaxed);
        let bytes = dump(&keyspace(), &Preamble::default());
        let error = load(&bytes[..], keyspace().builder(), options(), &progress);
        let error = error.expect_err("called off");
        assert!(matches!(error.fault, Fault::Io(_)), "{error}");
    }
}
