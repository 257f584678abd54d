//! How a node ends over a panic: in order, with its data saved if that can be.
//!
//! 1. Nothing more is acknowledged to a master (`Supervision::is_ending`), and the node is closed: clients are
//!    disconnected.
//! 2. Every shard is entered for good, so that what is saved is what was answered.
//! 3. Where the directives want a dump (`save`, `dbfilename`) it is written: as the dump, if no shard was half
//!    changed. If one was, the data goes to a file beside it, with no replication offset in it, and the dump stays
//!    as it was: the half-changed key may be wrong, and only an operator can choose between the two.
//! 4. The arbiters stop. The exit code is [`EXIT_SAVED`] if a new start finds all that was to be saved, else
//!    [`EXIT_UNSAVED`].
//!
//! All of this is the work of a thread of its own: whichever actor or arbiter has died, it needs none of them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::actors::snapshots::maker::{preamble, replication_mark};
use crate::actors::snapshots::snapshot_writer::Writing;
use crate::keyspace::Entered;
use crate::node_core::NodeCore;
use crate::os::priority;
use crate::rdb::writer::ChunkSink;
use crate::snapshot::{Options, Snapshot, Want};
use crate::supervision::{EXIT_SAVED, EXIT_UNSAVED, catch};
use crate::text::printable::printable_path;

/// How long threads inside a shard are waited for: a command may take long.
const SEAL_MAX: Duration = Duration::from_secs(60);
/// How long is waited for a snapshot under way to be given up.
const ABORT_MAX: Duration = Duration::from_secs(30);
/// Between two looks whether it has been.
const LOOK: Duration = Duration::from_millis(20);
/// Bytes encoded at a time.
const ENCODE_BYTES: usize = 1 << 20;

/// Ends the node over a panic, unless it ends over one already. Returns at once. `why`: for the log.
pub(crate) fn end_node(node: &Arc<NodeCore>, why: &str) {
    if node.lifecycle.is_closed() {
        tracing::error!("While the node ended, {why}");
        return;
    }
    if !node.supervision.begin_end() {
        tracing::error!("The node ends already, and {why}");
        return;
    }
    tracing::error!("The node ends: {why}");
    let (there, reason) = (node.clone(), why.to_owned());
    let spawned = node.threads.spawn("rescue", move || rescue(&there, reason));
    if let Err(error) = spawned {
        tracing::error!("The data is not saved, there is no thread for it: {error}");
        node.close(EXIT_UNSAVED, Some(why.into()));
        finish(node);
    }
}

/// What has become of the data.
enum Saved {
    /// There was nothing to be saved.
    Nothing,
    /// It is the dump.
    Dump,
    /// It is in this file, beside the dump.
    Beside(PathBuf),
}

fn rescue(node: &Arc<NodeCore>, why: String) {
    node.close(EXIT_UNSAVED, Some(why));
    // A snapshot is to be given up before this one is made.
    node.threads.each(priority::raise_other);
    let saved = catch(|| save(node)).unwrap_or_else(|panic| Err(format!("a panic: {panic}")));
    match saved {
        Ok(Saved::Nothing) => node.lifecycle.amend_exit_code(EXIT_SAVED),
        Ok(Saved::Dump) => {
            tracing::warn!("DB saved on disk");
            node.lifecycle.amend_exit_code(EXIT_SAVED);
        }
        Ok(Saved::Beside(path)) => tracing::error!(
            "The data was saved to {}, since a part of it may be half changed; the dump stays as it was",
            printable_path(&path)
        ),
        Err(error) => tracing::error!("The data could not be saved: {error}"),
    }
    finish(node);
}

fn finish(node: &NodeCore) {
    node.supervision.rescued();
    if let Some(services) = node.services.get() {
        services.stop();
    }
}

/// Where data goes that may be half changed; `now_s`: unix.
fn path_beside(dump: &Path, now_s: i64) -> PathBuf {
    dump.with_file_name(format!("rescued-{now_s}-{}.rdb", std::process::id()))
}

fn save(node: &NodeCore) -> Result<Saved, String> {
    let settings = node.settings.load_full();
    // While a dump is loaded it is the data.
    if settings.save.is_empty() || !settings.has_dump() || node.is_loading() {
        return Ok(Saved::Nothing);
    }
    let mut entered = node
        .keyspace
        .seal(SEAL_MAX)
        .ok_or("a shard was not left in time")?;
    let is_whole = node.keyspace.poisoned().is_empty();
    let path = match is_whole {
        true => settings.dump_path(),
        false => path_beside(&settings.dump_path(), node.clock.unix_ms() / 1000),
    };
    let incremental_sync = settings.rdb_save_incremental_fsync;
    let writing = Writing::create(&path, 0, incremental_sync).map_err(|e| e.to_string())?;
    let mut sink = Sink {
        writing,
        error: None,
    };
    let written = write(node, &mut entered, is_whole, &mut sink);
    let put = match (written, sink.error) {
        (Ok(()), None) => sink.writing.put().map_err(|error| error.to_string()),
        (written, error) => {
            sink.writing.give_up();
            Err(written
                .err()
                .or(error.map(|e| e.to_string()))
                .unwrap_or_default())
        }
    };
    put.map(|path| match is_whole {
        true => Saved::Dump,
        false => Saved::Beside(path),
    })
}

struct Sink {
    writing: Writing,
    error: Option<io::Error>,
}

impl ChunkSink for Sink {
    fn chunk(&mut self, chunk: Bytes) {
        if self.error.is_none() {
            self.error = self.writing.write(&chunk).err();
        }
    }
}

/// Writes the dataset, with every shard entered throughout.
fn write(
    node: &NodeCore,
    entered: &mut Entered<'_>,
    is_whole: bool,
    sink: &mut Sink,
) -> Result<(), String> {
    let settings = node.settings.load_full();
    // What may be wrong must not be taken for a state of the stream.
    let mark = is_whole
        .then(|| replication_mark(&node.hub.cut(false)))
        .flatten();
    let preamble = preamble(node, mark);
    let options = Options::from_settings(&settings);
    let until = Instant::now() + ABORT_MAX;
    let mut snapshot = loop {
        let now_ms = node.clock.unix_ms();
        match Snapshot::begin(entered, &preamble, options, now_ms) {
            Some(snapshot) => break snapshot,
            None if Instant::now() > until => return Err("a snapshot does not end".into()),
            None => std::thread::sleep(LOOK),
        }
    };
    loop {
        match snapshot.next() {
            Want::Encode => snapshot.encode(sink, ENCODE_BYTES),
            Want::Enter(_) => drop(snapshot.collect(entered, &mut || false)),
            Want::Finish => {
                snapshot.finish(sink);
                return Ok(());
            }
        }
        if sink.error.is_some() {
            return Ok(());
        }
    }
}
