//! Reading a dump into a dataset built beside the one that serves: at start from the file, in a full sync
//! from the link, for DEBUG RELOAD.
//!
//! [`read`] runs on a thread that may block and touches no shard; [`swap_in`] exchanges the datasets in one
//! step, with every shard entered. A dump that is broken or cut off leaves the old dataset as it was.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::background::discarded::Discarded;
use crate::command::dispatch::blocking;
use crate::command::script::functions;
use crate::config::MaxmemoryPolicy;
use crate::keyspace::patch::{NewState, Patch, Replaced};
use crate::keyspace::{Dataset, DatasetBuilder, Entered, StringBatch};
use crate::may_block::may_block_here;
use crate::node_core::NodeCore;
use crate::node_core::lifecycle::Lifecycle;
use crate::rdb::decode::Decoded;
use crate::rdb::opaque::{ModuleAux, Opaque};
use crate::rdb::reader::{LoadResult, Loaded, Loader, Options, Reader, Summary};
use crate::rdb::usage;
use crate::repl::ReplId;
use crate::supervision::{Owner, turn};
use crate::text::printable::{printable, printable_path};

/// How many bytes pass before the progress shown in INFO moves on.
const PROGRESS_BYTES: u64 = 64 * 1024;
/// How many bytes are read between two yields of the core: a tenth of a millisecond's work, about.
const UNBROKEN_BYTES: usize = 16 * 1024;

/// Longest sleep of the hidden `key-load-delay` before it is looked whether the node is closed, microseconds.
const DELAY_PART_US: u64 = 50_000;

/// What is kept of a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expired {
    /// Keys past their expiry are passed over: we are the master of this data.
    Drop,
    /// They are kept: our master says when they go.
    Keep,
}

/// A dump that was read whole.
#[derive(Debug)]
pub(crate) struct LoadedDump {
    pub(crate) dataset: Dataset,
    pub(crate) summary: Summary,
    /// Keys that were past their expiry and passed over, with their databases: replicas that hold them yet
    /// are to be told.
    pub(crate) expired: Vec<(usize, Box<[u8]>)>,
    /// Replid and offset of the stream that the dump is a state of, if it says.
    pub(crate) replication: Option<(ReplId, u64)>,
    /// The database that the stream had selected, if the dump says.
    pub(crate) stream_db: Option<usize>,
    /// It says that it is not what that stream says, from that offset on.
    pub(crate) diverged: Option<u64>,
    /// What is in it beside keys and can't be used.
    pub(crate) opaque: Opaque,
    /// Our own writes that it replaces, in a file.
    pub(crate) discarded: Option<Discarded>,
}

impl LoadedDump {
    /// Logs what was loaded, as Redis words it. Returns the keys loaded and those passed over as expired.
    pub(crate) fn tell(&self) -> (u64, u64) {
        let expired = self.expired.len() as u64;
        let keys = self.summary.keys.saturating_sub(expired);
        match self.summary.empty_keys {
            0 => tracing::info!("Done loading RDB, keys loaded: {keys}, keys expired: {expired}."),
            empty => tracing::info!(
                "Done loading RDB, keys loaded: {keys}, keys expired: {expired}, empty keys skipped: {empty}."
            ),
        }
        if !self.opaque.module_aux.is_empty() {
            tracing::warn!(
                "The dump holds {}: kept for our dumps and our replicas, but not usable here",
                self.opaque
            );
        }
        (keys, expired)
    }
}

/// Strings up to this length are inserted in batches, bytes.
const BATCHED_BYTES: usize = 1024;

struct Builder<'n> {
    lifecycle: &'n Lifecycle,
    dataset: DatasetBuilder,
    /// Strings read but not yet in the dataset.
    batch: StringBatch,
    db: usize,
    keep: Expired,
    now_ms: i64,
    policy: MaxmemoryPolicy,
    lru: u32,
    expired: Vec<(usize, Box<[u8]>)>,
    repl_id: Option<ReplId>,
    repl_offset: Option<u64>,
    stream_db: Option<usize>,
    diverged: Option<u64>,
    opaque: Opaque,
    /// The hidden directive `key-load-delay`, for tests: microseconds to sleep after each key; negative: so
    /// many keys a microsecond.
    delay_us: i32,
    delayed: i32,
    /// Keys passed over because they hold nothing.
    empty: u32,
}

impl Builder<'_> {
    /// Inserts the strings that wait.
    fn flush(&mut self) -> LoadResult {
        self.dataset
            .insert_batch(&mut self.batch)
            .map_err(|key| format!("the key \"{}\" is in the dump twice", printable(&key)))
    }

    fn delay(&mut self) {
        may_block_here();
        if self.delay_us > 0 {
            let mut left_us = self.delay_us as u64;
            while left_us > 0 && !self.lifecycle.is_closed() {
                let part_us = left_us.min(DELAY_PART_US);
                std::thread::sleep(Duration::from_micros(part_us));
                left_us -= part_us;
            }
        } else if self.delay_us < 0 {
            self.delayed += 1;
            if self.delayed >= -self.delay_us {
                self.delayed = 0;
                std::thread::sleep(Duration::from_micros(1));
            }
        }
    }
}

impl Loader for Builder<'_> {
    fn aux(&mut self, name: &[u8], value: &[u8]) -> LoadResult {
        let number = || {
            std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse::<u64>().ok())
        };
        match name {
            b"repl-id" => self.repl_id = ReplId::parse(value),
            b"repl-offset" => self.repl_offset = number(),
            b"repl-stream-db" => self.stream_db = number().map(|n| n as usize),
            b"repl-diverged" => self.diverged = number(),
            _ => {}
        }
        Ok(())
    }

    fn select(&mut self, db: u64) -> LoadResult {
        if db >= self.dataset.databases() as u64 {
            return Err(format!(
                "the dump has a database {db}, and this node has {}: raise the directive databases",
                self.dataset.databases()
            ));
        }
        self.db = db as usize;
        Ok(())
    }

    fn resize(&mut self, keys: u64, _expires: u64) -> LoadResult {
        self.dataset.reserve(self.db, keys as usize);
        Ok(())
    }

    fn entry(&mut self, entry: Loaded<'_>) -> LoadResult {
        if self.delay_us != 0 {
            self.delay();
        }
        if self.keep == Expired::Drop && entry.expire_at.is_some_and(|at| at <= self.now_ms) {
            self.expired.push((self.db, entry.key.into()));
            return Ok(());
        }
        let lru = usage::field_of(
            entry.idle_seconds,
            entry.frequency,
            self.policy,
            self.now_ms,
        )
        .unwrap_or(self.lru);
        let (db, key, expire_at) = (self.db, entry.key, entry.expire_at);
        let fresh = match entry.value {
            Decoded::Text(text) => {
                let (batch, dataset) = (&mut self.batch, &mut self.dataset);
                text.with(|bytes| {
                    if bytes.len() <= BATCHED_BYTES {
                        batch.push(db, key, bytes, expire_at, lru);
                        true
                    } else {
                        dataset.insert_string(db, key, bytes, expire_at, lru)
                    }
                })
            }
            Decoded::Value(value) => self.dataset.insert(db, key, value, expire_at, lru),
        };
        if !fresh {
            return Err("the key is in the dump twice".into());
        }
        if self.batch.is_full() {
            self.flush()?;
        }
        Ok(())
    }

    fn empty(&mut self, key: &[u8]) -> LoadResult {
        // The first are named, as a hostile file may hold any number.
        const NAMED_MAX: u32 = 10;
        if self.empty < NAMED_MAX {
            tracing::info!("rdbLoadObject skipping empty key: {}", printable(key));
        }
        self.empty += 1;
        Ok(())
    }

    fn function(&mut self, library: &[u8]) -> LoadResult {
        self.opaque.add_library(library)
    }

    fn module_aux(&mut self, aux: ModuleAux) -> LoadResult {
        self.opaque.add_aux(aux)
    }
}

/// Counts what is read, for INFO, and yields the core between two pieces.
struct Counted<'n, R> {
    input: R,
    node: &'n NodeCore,
    unsaid: u64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        crate::os::priority::yield_core();
        let piece = buffer.len().min(UNBROKEN_BYTES);
        let read = self.input.read(&mut buffer[..piece]);
        // Looked at after the read, which may have waited long for a master that sends nothing.
        if self.node.lifecycle.is_closed() {
            // What was read so far is freed now, and the node's end waits for that.
            crate::os::priority::restore();
            return Err(io::Error::other("the node is closed"));
        }
        let n = read?;
        self.unsaid += n as u64;
        if self.unsaid >= PROGRESS_BYTES {
            self.node
                .persistence
                .loading_loaded_bytes
                .fetch_add(self.unsaid, Ordering::Relaxed);
            self.unsaid = 0;
            crate::os::priority::after_piece();
        }
        Ok(n)
    }
}

/// Opens the node's dump file, and shows its size as what is to be loaded. None: there is none.
pub(crate) fn open(node: &NodeCore) -> Result<Option<File>, String> {
    may_block_here();
    if !node.settings.load().has_dump() {
        return Ok(None);
    }
    let path = node.settings.load().dump_path();
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("can't open {}: {error}", printable_path(&path))),
    };
    let meta = file.metadata().map_err(|error| error.to_string())?;
    if meta.is_dir() {
        return Err(format!("{} is a directory", printable_path(&path)));
    }
    let total = meta.len();
    node.persistence
        .loading_total_bytes
        .store(total, Ordering::Relaxed);
    Ok(Some(file))
}

/// Reads the dump file on a thread of its own.
pub(crate) async fn read_aside(
    node: Arc<NodeCore>,
    file: File,
    keep: Expired,
) -> Result<LoadedDump, String> {
    let (done, loaded) = oneshot::channel();
    let threads = node.threads.clone();
    let reading = move || {
        // Nobody waits any more if the node is stopping.
        let loaded = turn(Owner::Loader, 0, || {
            node.supervision.step(Owner::Loader, "file");
            read(&node, file, keep)
        });
        let died = |panic| Err(format!("the loading thread died: {panic}"));
        let _ = done.send(loaded.unwrap_or_else(died));
    };
    threads
        .spawn("loader", reading)
        .map_err(|error| format!("no thread: {error}"))?;
    loaded
        .await
        .unwrap_or_else(|_| Err("the loading thread died".into()))
}

/// Reads a whole dump from `input` into a dataset of the node's shape. The error says what is wrong with
/// it, at which offset and key.
pub(crate) fn read(node: &NodeCore, input: impl Read, keep: Expired) -> Result<LoadedDump, String> {
    read_some(node, input, keep).map(|(dump, _)| dump)
}

/// As [`read`], of a full sync's dump: it must be all that there is, since what the master says of its
/// length, were it wrong, would have the stream's first bytes taken for the dump's last.
pub(crate) fn read_transfer(node: &NodeCore, input: impl Read) -> Result<LoadedDump, String> {
    let (dump, mut rest) = read_some(node, input, Expired::Keep)?;
    match rest.read(&mut [0; 1]) {
        Ok(0) => Ok(dump),
        Ok(_) => Err("there are bytes behind the end of the dump".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// The dump, and what comes behind it.
fn read_some<'n>(
    node: &'n NodeCore,
    input: impl Read + 'n,
    keep: Expired,
) -> Result<(LoadedDump, impl Read + 'n), String> {
    let settings = node.settings.load_full();
    let now_ms = node.clock.unix_ms();
    let mut builder = Builder {
        lifecycle: &node.lifecycle,
        dataset: node.keyspace.builder(),
        batch: StringBatch::default(),
        db: 0,
        keep,
        now_ms,
        policy: settings.maxmemory_policy,
        lru: usage::first(settings.maxmemory_policy, now_ms),
        expired: Vec::new(),
        repl_id: None,
        repl_offset: None,
        stream_db: None,
        diverged: None,
        opaque: Opaque::default(),
        delay_us: settings.key_load_delay,
        delayed: 0,
        empty: 0,
    };
    node.persistence
        .loading_start_s
        .store(now_ms / 1000, Ordering::Relaxed);
    node.persistence
        .loading_loaded_bytes
        .store(0, Ordering::Relaxed);
    let options = Options {
        encodings: settings.encodings,
        checksum: settings.rdbchecksum && !node.persistence.unchecked.load(Ordering::Relaxed),
    };
    let input = Counted {
        input,
        node,
        unsaid: 0,
    };
    let mut reader = Reader::new(input, options);
    let summary = reader
        .load(&mut builder)
        .map_err(|error| error.to_string())?;
    builder.flush()?;
    let checked = &node.stats.dump_payload_sanitizations;
    checked.add(summary.encoded);
    let (ahead, input) = reader.into_rest();
    let dump = LoadedDump {
        dataset: builder.dataset.finish(),
        summary,
        expired: builder.expired,
        replication: builder.repl_id.zip(builder.repl_offset),
        stream_db: builder.stream_db,
        diverged: builder.diverged,
        opaque: builder.opaque,
        discarded: None,
    };
    Ok((dump, io::Cursor::new(ahead).chain(input)))
}

/// Exchanges the datasets, and what came beside them; the old one is freed in the background. Every shard is
/// entered.
pub(crate) fn swap_in(
    node: &Arc<NodeCore>,
    entered: &mut Entered<'_>,
    dataset: Dataset,
    opaque: Opaque,
) {
    let old = entered.replace(dataset, node.clock.unix_ms());
    blocking::defer_ready(node, entered);
    node.opaque.store(Arc::new(opaque));
    functions::load_all(node, entered);
    node.lazyfree.push(Box::new(old));
}

/// Applies what a delta resync brought, with what comes beside the keys. What was there before comes back, to be dropped
/// outside. Every shard is entered.
pub(crate) fn patch_in(
    node: &NodeCore,
    entered: &mut Entered<'_>,
    patch: Patch,
    opaque: Opaque,
) -> Vec<Replaced> {
    let replaced = entered.patch(patch);
    blocking::defer_ready(node, entered);
    if *node.opaque.load_full() != opaque {
        node.opaque.store(Arc::new(opaque));
        functions::load_all(node, entered);
    }
    replaced
}

/// Reads a delta resync's dump into a patch, and what comes beside the keys; the database that the stream has selected
/// after it, if the dump says.
pub(crate) fn read_patch(
    node: &NodeCore,
    dump: &[u8],
    patch: Patch,
) -> Result<(Patch, Opaque, Option<usize>), String> {
    let settings = node.settings.load_full();
    let now_ms = node.clock.unix_ms();
    let mut builder = PatchBuilder {
        node,
        patch,
        db: 0,
        lru: usage::first(settings.maxmemory_policy, now_ms),
        stream_db: None,
        opaque: Opaque::default(),
    };
    let options = Options {
        encodings: settings.encodings,
        checksum: true,
    };
    let mut reader = Reader::new(dump, options);
    reader
        .load(&mut builder)
        .map_err(|error| error.to_string())?;
    Ok((builder.patch, builder.opaque, builder.stream_db))
}

struct PatchBuilder<'n> {
    node: &'n NodeCore,
    patch: Patch,
    db: usize,
    lru: u32,
    stream_db: Option<usize>,
    opaque: Opaque,
}

impl Loader for PatchBuilder<'_> {
    fn aux(&mut self, name: &[u8], value: &[u8]) -> LoadResult {
        if name == b"repl-stream-db" {
            let text = std::str::from_utf8(value).ok();
            self.stream_db = text.and_then(|text| text.parse().ok());
        }
        Ok(())
    }

    fn select(&mut self, db: u64) -> LoadResult {
        if db >= self.node.keyspace.databases() as u64 {
            return Err(format!(
                "it has a database {db}: raise the directive databases"
            ));
        }
        self.db = db as usize;
        Ok(())
    }

    fn entry(&mut self, entry: Loaded<'_>) -> LoadResult {
        let key = entry.key.into();
        let state = NewState {
            expire_at: entry.expire_at,
            lru: self.lru,
            value: entry.value.into_value(),
        };
        let keyspace = &self.node.keyspace;
        self.patch.add(keyspace, self.db, key, Some(state));
        crate::os::priority::after_piece();
        Ok(())
    }

    fn function(&mut self, library: &[u8]) -> LoadResult {
        self.opaque.add_library(library)
    }

    fn module_aux(&mut self, aux: ModuleAux) -> LoadResult {
        self.opaque.add_aux(aux)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::context::bench::Bench;

    /// What a request may wait for while a full sync's data comes in: nothing depends on the sizes.
    #[test]
    fn the_swap_takes_no_millisecond() {
        let node = Arc::new(Bench::new().node);
        let build = || {
            let mut builder = node.keyspace.builder();
            for n in 0..200_000 {
                let key = format!("key:{n}");
                builder.insert_string(0, key.as_bytes(), b"value", None, 0);
            }
            builder.finish()
        };
        let fastest = (0..4).map(|_| {
            let dataset = build();
            let mut entered = node.keyspace.enter(node.keyspace.all());
            let begin = std::time::Instant::now();
            swap_in(&node, &mut entered, dataset, Opaque::default());
            begin.elapsed()
        });
        // The best of some: another process may have had the core.
        let fastest = fastest.min();
        assert!(fastest < Some(Duration::from_millis(1)), "{fastest:?}");
    }
}
