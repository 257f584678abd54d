//! What a full sync throws away of a node's own writes is kept in a file.
//!
//! A node that was a master and follows another (REPLICAOF, a sentinel's demotion) may have accepted writes that its
//! new master has never seen: the full sync replaces them. Before it does, the keys of the old data that the new
//! data lacks, or has otherwise, go to `discarded-<replid>-<offset>.rdb` in `dir`, named by the history that ends
//! here: a dump like any other. Off for replicas that have accepted nothing themselves (`Hub::own_history`), and by
//! `repl-keep-discarded no`.
//!
//! It is the loader's thread that does it, once the new data is whole and before it is handed on to be swapped in: the
//! old data serves meanwhile, and nothing is written to it. It is looked at inside one shard at a time, for
//! [`TURN_US`] at most; large collections are compared and encoded outside, from clones that share their nodes.
//!
//! If the file can't be written the sync fails and is tried again, with the old data in its place: nothing is lost
//! because a disk is full. Past `repl-discarded-limit` the file ends, and how many keys are not in it is said.
//!
//! Invariant: a file is in place, whole and on disk, before the swap; if there is no swap it is removed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashSet;

use crate::background::loading::LoadedDump;
use crate::config::Settings;
use crate::data::{Kind, Value, ValueRef};
use crate::digest::{Secret, value_digest};
use crate::keyspace::{Dataset, Entry, ShardSet, is_large};
use crate::may_block::may_block_here;
use crate::node_core::NodeCore;
use crate::os::priority;
use crate::rdb::pieces::Pieces;
use crate::rdb::usage::usage_of;
use crate::rdb::writer::{ChunkWriter, KeyHeader, Preamble};
use crate::text::printable::printable_path;

/// How long a turn inside a shard takes, about, microseconds.
const TURN_US: u64 = 150;
/// Keys that are looked at between two looks at the clock.
const STRIDE: usize = 16;
/// Bytes of a chunk, and of a large collection encoded in one go.
const CHUNK_BYTES: usize = 64 << 10;
/// How many names are tried for a file.
const NAMES_MAX: u32 = 64;
/// Numbers of temporary files, beside those of snapshots.
const NUMBERS_FIRST: u64 = 1 << 40;

/// A file that is in its place. If it is dropped before the swap was made, it is removed.
#[derive(Debug)]
pub(crate) struct Discarded {
    path: PathBuf,
    pub(crate) keys: u64,
    pub(crate) bytes: u64,
    /// Keys that are not in it, for its size.
    pub(crate) left_out: u64,
    is_wanted: bool,
}

impl Drop for Discarded {
    fn drop(&mut self) {
        if !self.is_wanted {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Discarded {
    /// The swap was made: tells of the file, and has older ones removed.
    pub(crate) fn confirm(mut self, node: &Arc<NodeCore>) {
        self.is_wanted = true;
        let file = self.path.file_name().unwrap_or_default();
        let file = printable_path(Path::new(file));
        let left_out = match self.left_out {
            0 => String::new(),
            n => format!("; {n} more are lost (repl-discarded-limit)"),
        };
        tracing::warn!(
            "MASTER <-> REPLICA sync: {} keys ({} bytes) of our own data that the new data lacks or has otherwise are \
             kept in {file}{left_out}",
            self.keys,
            self.bytes
        );
        node.hub
            .published()
            .discarded
            .add(file, self.keys, self.left_out);
        let (dir, most) = {
            let settings = node.settings.load();
            (dir_of(&settings), settings.repl_discarded_files as usize)
        };
        let _ = node
            .threads
            .spawn("discarded", move || remove_oldest(&dir, most));
    }
}

/// Keeps what the dump would replace of our own writes. None: there is nothing to keep. The error says why it can't be.
pub(crate) fn keep(node: &NodeCore, dump: &mut LoadedDump) -> Result<Option<Discarded>, String> {
    let Some((id, offset)) = node.hub.own_history() else {
        return Ok(None);
    };
    let settings = node.settings.load_full();
    if !settings.repl_keep_discarded {
        return Ok(None);
    }
    let path = dir_of(&settings).join(format!("discarded-{id}-{offset}.rdb"));
    let mut keeper = Keeper {
        node,
        secret: Secret::random(&*node.clock),
        path,
        limit: settings.repl_discarded_limit,
        output: None,
        seen: HashSet::new(),
        keys: 0,
        left_out: 0,
    };
    let kept = keeper.run(&mut dump.dataset).and_then(|()| keeper.finish());
    kept.map_err(|error| {
        let path = printable_path(&keeper.path);
        keeper.give_up();
        format!(
            "what the sync would replace can't be kept in {path}: {error}. The old data serves on and the sync is \
             tried again; repl-keep-discarded no lets it go"
        )
    })
}

/// Where the files are.
fn dir_of(settings: &Settings) -> PathBuf {
    PathBuf::from(settings.dir.as_deref().unwrap_or("."))
}

/// A key of the old data that differs, or may differ.
struct Row {
    db: usize,
    hash: u64,
    key: Box<[u8]>,
    value: Value,
    expire_at: Option<i64>,
    lru: u32,
    /// It is large, and is yet to be compared.
    is_large: bool,
}

/// Where a walk through one database of a shard stands.
struct Turn {
    dataset: Dataset,
    rows: Vec<Row>,
    cursor: u64,
}

struct Output {
    file: File,
    temporary: PathBuf,
    writer: ChunkWriter,
    chunks: Vec<Bytes>,
}

struct Keeper<'n> {
    node: &'n NodeCore,
    secret: Secret,
    path: PathBuf,
    /// Bytes; 0: no limit.
    limit: u64,
    output: Option<Output>,
    /// Keys that were written: a walk may meet one twice.
    seen: HashSet<(usize, u64)>,
    keys: u64,
    left_out: u64,
}

impl Keeper<'_> {
    fn run(&mut self, dataset: &mut Dataset) -> io::Result<()> {
        let keyspace = &self.node.keyspace;
        for shard in 0..keyspace.shards() {
            for db in 0..keyspace.databases() {
                let mut cursor = 0;
                loop {
                    let turn = Turn {
                        dataset: std::mem::take(dataset),
                        rows: Vec::new(),
                        cursor,
                    };
                    let turn = self.turn(shard, db, turn)?;
                    *dataset = turn.dataset;
                    cursor = turn.cursor;
                    for row in turn.rows {
                        self.look_at(shard, row, dataset)?;
                    }
                    if self.node.lifecycle.is_closed() {
                        return Err(io::Error::other("the node is closed"));
                    }
                    priority::after_piece();
                    if cursor == 0 {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Looks at some keys inside their shard.
    fn turn(&self, shard: usize, db: usize, mut turn: Turn) -> io::Result<Turn> {
        let node = self.node;
        let (secret, clock) = (self.secret, node.clock.clone());
        let mut set = ShardSet::NONE;
        set.add(shard);
        let done = node.shard_tasks.run(&node.keyspace, set, move |entered| {
            let end_us = clock.monotonic_us() + TURN_US;
            let keyspace = entered.keyspace();
            let old = &entered.at(shard).dbs[db];
            loop {
                let (dataset, rows) = (&turn.dataset, &mut turn.rows);
                turn.cursor = old.scan(turn.cursor, STRIDE, &mut |entry| {
                    let hash = keyspace.hash(entry.key);
                    let new = dataset.get(shard, db, entry.key, hash);
                    rows.extend(row(&secret, db, hash, &entry, new.as_ref()));
                });
                if turn.cursor == 0 || clock.monotonic_us() >= end_us {
                    return turn;
                }
            }
        });
        done.ok_or_else(|| io::Error::other("the node is stopping"))
    }

    fn look_at(&mut self, shard: usize, row: Row, dataset: &Dataset) -> io::Result<()> {
        if row.is_large
            && let Some(new) = dataset.get(shard, row.db, &row.key, row.hash)
            && is_same(&self.secret, row.value.as_ref(), new.value)
        {
            return Ok(());
        }
        if !self.seen.insert((row.db, row.hash)) {
            return Ok(());
        }
        if self.limit > 0 && self.written() >= self.limit {
            self.left_out += 1;
            return Ok(());
        }
        self.write(row)
    }

    fn written(&self) -> u64 {
        let writer = self.output.as_ref().map(|output| &output.writer);
        writer.map_or(0, |writer| writer.written() + writer.pending() as u64)
    }

    fn write(&mut self, row: Row) -> io::Result<()> {
        let settings = self.node.settings.load();
        let now_ms = self.node.clock.unix_ms();
        let (policy, decay) = (settings.maxmemory_policy, settings.lfu_decay_time);
        let output = match &mut self.output {
            Some(output) => output,
            None => {
                let opened = Output::open(self.node, &self.path)?;
                self.output.insert(opened)
            }
        };
        let header = KeyHeader {
            key: &row.key,
            expire_at: row.expire_at,
            usage: usage_of(row.lru, policy, decay, now_ms),
        };
        if row.is_large {
            let mut pieces = Pieces::new(header, row.value);
            let writer = &mut output.writer;
            while !writer.raw(row.db, |encoder, out| {
                pieces.step(encoder, out, CHUNK_BYTES)
            }) {
                writer.drain(&mut output.chunks);
                write_all(&mut output.file, &mut output.chunks)?;
                priority::after_piece();
            }
        } else {
            output.writer.entry(row.db, header, row.value.as_ref());
        }
        output.writer.drain(&mut output.chunks);
        self.keys += 1;
        write_all(&mut output.file, &mut output.chunks)
    }

    /// Puts the file in its place. None: nothing differs.
    fn finish(&mut self) -> io::Result<Option<Discarded>> {
        let Some(output) = &mut self.output else {
            return Ok(None);
        };
        output.writer.finish(&mut output.chunks);
        write_all(&mut output.file, &mut output.chunks)?;
        output.file.sync_all()?;
        let path = link_to_free_name(&output.temporary, &self.path)?;
        fs::remove_file(&output.temporary)?;
        if let Some(dir) = self.path.parent() {
            File::open(dir)?.sync_all()?;
        }
        Ok(Some(Discarded {
            path,
            keys: self.keys,
            bytes: output.writer.written(),
            left_out: self.left_out,
            is_wanted: false,
        }))
    }

    fn give_up(&mut self) {
        if let Some(output) = &self.output {
            let _ = fs::remove_file(&output.temporary);
        }
    }
}

impl Output {
    fn open(node: &NodeCore, path: &Path) -> io::Result<Output> {
        may_block_here();
        let settings = node.settings.load();
        let number = NUMBERS_FIRST | (node.clock.random() >> 24);
        let name = format!("temp-{}-{number}.rdb", std::process::id());
        let temporary = path.with_file_name(name);
        let file = File::create_new(&temporary)?;
        let (compression, checksum) = (settings.rdbcompression, settings.rdbchecksum);
        let mut writer = ChunkWriter::new(compression, checksum, CHUNK_BYTES);
        writer.begin(&Preamble {
            server_version: crate::observe::process::REDIS_VERSION.into(),
            created_at: node.clock.unix_ms() / 1000,
            used_memory_bytes: node.memory_used(),
            ..Preamble::default()
        });
        Ok(Output {
            file,
            temporary,
            writer,
            chunks: Vec::new(),
        })
    }
}

fn write_all(file: &mut File, chunks: &mut Vec<Bytes>) -> io::Result<()> {
    chunks
        .drain(..)
        .try_for_each(|chunk| file.write_all(&chunk))
}

/// Gives the file that name, or the name with a number if another of this process or an earlier one has it.
fn link_to_free_name(temporary: &Path, path: &Path) -> io::Result<PathBuf> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let numbered = (1..=NAMES_MAX).map(|n| path.with_file_name(format!("{stem}-{n}.rdb")));
    for name in std::iter::once(path.to_owned()).chain(numbered) {
        match fs::hard_link(temporary, &name) {
            Ok(()) => return Ok(name),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The old entry, unless the new one is the same. A large one is looked at again outside of its shard.
fn row(
    secret: &Secret,
    db: usize,
    hash: u64,
    old: &Entry<'_>,
    new: Option<&Entry<'_>>,
) -> Option<Row> {
    let is_large = old.value.kind() != Kind::String && is_large(old.value);
    let may_be_same = new
        .is_some_and(|new| new.expire_at == old.expire_at && new.value.kind() == old.value.kind());
    if may_be_same && !is_large && new.is_some_and(|new| is_same(secret, old.value, new.value)) {
        return None;
    }
    Some(Row {
        db,
        hash,
        key: old.key.into(),
        value: old.value.to_value(),
        expire_at: old.expire_at,
        lru: old.lru,
        is_large: is_large && may_be_same,
    })
}

fn is_same(secret: &Secret, old: ValueRef<'_>, new: ValueRef<'_>) -> bool {
    if let (ValueRef::String(old), ValueRef::String(new)) = (old, new) {
        return old.with(|old| new.with(|new| old == new));
    }
    value_digest(secret, old) == value_digest(secret, new)
}

/// Removes the oldest files past so many.
fn remove_oldest(dir: &Path, most: usize) {
    may_block_here();
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    let mut files: Vec<(std::time::SystemTime, PathBuf)> = entries
        .flatten()
        .filter(|entry| is_discarded(&entry.file_name().to_string_lossy()))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    files.sort();
    let over = files.len().saturating_sub(most);
    for (_, path) in &files[..over] {
        match fs::remove_file(path) {
            Ok(()) => tracing::info!("Removed {} (repl-discarded-files)", printable_path(path)),
            Err(error) => tracing::warn!("Can't remove {}: {error}", printable_path(path)),
        }
    }
}

fn is_discarded(name: &str) -> bool {
    let middle = name
        .strip_prefix("discarded-")
        .and_then(|rest| rest.strip_suffix(".rdb"));
    let parts = middle.and_then(|middle| middle.split_once('-'));
    parts.is_some_and(|(id, offset)| {
        let is_number = |byte: u8| byte.is_ascii_digit() || byte == b'-';
        id.len() == 40 && offset.bytes().all(is_number)
    })
}
