//! The actor that is a snapshot's sink on disk, on a thread of its own: disks stall, and nobody else must.
//!
//! A dump is written to a temporary file beside its place, synced, and renamed over it, so that a crash at
//! any moment leaves the old dump or the new one. Chunks come from the snapshot's thread, which waits while
//! more than [`IN_FLIGHT_MAX`] bytes are on their way: that bounds the mailbox.
//!
//! Death: the dump under way is given up, and its save fails and says so; the actor begins the next one anew. The data in
//! memory is not touched.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use crate::may_block::may_block_here;
use crate::node_core::NodeCore;
use crate::node_core::threads::Running;
use crate::os::process_number::process_number;
use crate::supervision::{Owner, turn};
use crate::text::printable::printable_path;

/// Bytes of chunks that may wait for the disk.
pub(crate) const IN_FLIGHT_MAX: usize = 4 << 20;
/// With `rdb-save-incremental-fsync`, bytes between two syncs.
const SYNC_BYTES: u64 = 4 << 20;

/// Holds the producer back while the disk is behind.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    in_flight: Mutex<usize>,
    moved: Condvar,
}

impl Gate {
    /// Blocks until there is room, then takes it. Ends: a chunk that is not written is dropped, and gives its room
    /// back.
    fn enter(&self, bytes: usize) {
        may_block_here();
        let mut in_flight = self.in_flight.lock();
        while *in_flight > IN_FLIGHT_MAX {
            self.moved.wait(&mut in_flight);
        }
        *in_flight += bytes;
    }

    fn leave(&self, bytes: usize) {
        *self.in_flight.lock() -= bytes;
        self.moved.notify_one();
    }
}

/// A dump on its way to disk.
#[derive(Debug)]
pub(crate) struct Writing {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    unsynced: u64,
    incremental_sync: bool,
    error: Option<io::Error>,
}

impl Writing {
    /// Begins a dump that is to be at `path`; `number`: that of a snapshot for replicas, else 0.
    pub(crate) fn create(path: &Path, number: u64, incremental_sync: bool) -> io::Result<Writing> {
        let (file, temporary) = create(path, number)?;
        Ok(Writing {
            file,
            temporary,
            path: path.to_owned(),
            unsynced: 0,
            incremental_sync,
            error: None,
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.unsynced += bytes.len() as u64;
        if self.incremental_sync && self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            self.file.sync_data()?;
        }
        Ok(())
    }

    /// The dump is complete: puts it in its place.
    pub(crate) fn put(self) -> io::Result<PathBuf> {
        put(self)
    }

    /// Nothing of it is kept.
    pub(crate) fn give_up(self) {
        let _ = fs::remove_file(&self.temporary);
    }
}

/// See the module.
pub(crate) struct SnapshotWriterActor {
    node: Arc<NodeCore>,
    writing: Option<Writing>,
    _running: Running,
}

impl SnapshotWriterActor {
    /// Starts the actor's thread.
    pub(crate) fn spawn(node: &Arc<NodeCore>) -> Addr<SnapshotWriterActor> {
        let node = node.clone();
        SyncArbiter::start(1, move || SnapshotWriterActor {
            writing: None,
            _running: node.threads.enter(),
            node: node.clone(),
        })
    }

    /// A step of the dump; a panic gives it up.
    fn step<T>(
        &mut self,
        step: &'static str,
        f: impl FnOnce(&mut SnapshotWriterActor) -> T,
    ) -> Result<T, String> {
        let result = turn(Owner::SnapshotWriter, 0, || {
            self.node.supervision.step(Owner::SnapshotWriter, step);
            f(self)
        });
        result.inspect_err(|panic| {
            tracing::error!("The snapshot-writer gives its dump up after a panic: {panic}");
            self.give_up();
        })
    }

    fn give_up(&mut self) {
        if let Some(writing) = self.writing.take() {
            writing.give_up();
        }
    }
}

impl Actor for SnapshotWriterActor {
    type Context = SyncContext<SnapshotWriterActor>;

    fn stopped(&mut self, _: &mut Self::Context) {
        self.give_up();
    }
}

/// Where a dump on its way to `path` usually is; `number`: that of a snapshot for replicas, else 0.
pub fn temporary_path(path: &Path, number: u64) -> PathBuf {
    path.with_file_name(temporary_name(std::process::id(), number))
}

fn temporary_name(process: u32, number: u64) -> String {
    match number {
        0 => format!("temp-{process}.rdb"),
        number => format!("temp-{process}-{number}.rdb"),
    }
}

/// The process that writes the dump of this name, if it is one that [`temporary_path`] gives.
pub(crate) fn process_of(name: &str) -> Option<u32> {
    let middle = name.strip_prefix("temp-")?.strip_suffix(".rdb")?;
    let (process, number) = match middle.split_once('-') {
        Some((process, number)) => (process, number.parse().ok()?),
        None => (middle, 0u64),
    };
    let process = process_number(process)?;
    (name == temporary_name(process, number)).then_some(process)
}

/// The number from which on others are tried where a name is taken: past those of snapshots for replicas.
const OTHERS_FIRST: u64 = 1 << 32;
/// How many.
const OTHERS_MAX: u64 = 64;

/// A new file for a dump on its way to `path`. The usual name is taken if another node of this process writes
/// a dump into the same directory.
fn create(path: &Path, number: u64) -> io::Result<(File, PathBuf)> {
    let mut numbers = std::iter::once(number).chain(OTHERS_FIRST..OTHERS_FIRST + OTHERS_MAX);
    loop {
        let Some(number) = numbers.next() else {
            return Err(io::ErrorKind::AlreadyExists.into());
        };
        let temporary = temporary_path(path, number);
        match File::create_new(&temporary) {
            Ok(file) => return Ok((file, temporary)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// Begin a dump at `path`.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Begin {
    pub(crate) path: PathBuf,
    pub(crate) number: u64,
    pub(crate) incremental_sync: bool,
}

impl Handler<Begin> for SnapshotWriterActor {
    type Result = ();

    fn handle(&mut self, begin: Begin, _: &mut Self::Context) {
        // A panic leaves no dump, which its end tells.
        let _ = self.step("begin", |writer| writer.begin(&begin));
    }
}

impl SnapshotWriterActor {
    fn begin(&mut self, begin: &Begin) {
        self.give_up();
        let temporary = temporary_path(&begin.path, begin.number);
        match Writing::create(&begin.path, begin.number, begin.incremental_sync) {
            Ok(writing) => self.writing = Some(writing),
            Err(error) => tracing::warn!(
                "Failed opening the temp RDB file {} (in server root dir {}) for saving: {error}",
                printable_path(&temporary),
                printable_path(begin.path.parent().unwrap_or(Path::new(".")))
            ),
        }
    }
}

/// The dump's next bytes, which hold their place in the gate until they are dropped.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Chunk {
    bytes: Bytes,
    gate: Arc<Gate>,
}

impl Chunk {
    /// Blocks until the gate has room for it.
    pub(crate) fn enter(bytes: Bytes, gate: &Arc<Gate>) -> Chunk {
        gate.enter(bytes.len());
        Chunk {
            bytes,
            gate: gate.clone(),
        }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.gate.leave(self.bytes.len());
    }
}

impl Handler<Chunk> for SnapshotWriterActor {
    type Result = ();

    fn handle(&mut self, chunk: Chunk, _: &mut Self::Context) {
        // As in `begin`.
        let _ = self.step("chunk", |writer| {
            if let Some(writing) = &mut writer.writing
                && writing.error.is_none()
            {
                writing.error = writing.write(&chunk.bytes).err();
            }
        });
    }
}

/// How writing a dump ended: its path, or what went wrong.
pub(crate) type Written = Result<PathBuf, String>;

/// The dump is complete: put it in its place and say so. With `Err` it is dropped.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Finish {
    pub(crate) result: Result<(), String>,
    pub(crate) done: Box<dyn FnOnce(Written) + Send>,
}

impl Handler<Finish> for SnapshotWriterActor {
    type Result = ();

    fn handle(&mut self, finish: Finish, _: &mut Self::Context) {
        let result = self.step("finish", |writer| writer.finish(finish.result));
        (finish.done)(result.unwrap_or_else(Err));
    }
}

impl SnapshotWriterActor {
    fn finish(&mut self, result: Result<(), String>) -> Written {
        if let Err(error) = result {
            self.give_up();
            return Err(error);
        }
        let Some(writing) = self.writing.take() else {
            return Err("the file could not be created, or its writer died".into());
        };
        put(writing).map_err(|error| {
            tracing::warn!("Write error saving DB on disk: {error}");
            error.to_string()
        })
    }
}

fn put(writing: Writing) -> io::Result<PathBuf> {
    may_block_here();
    let result = match writing.error {
        Some(error) => Err(error),
        None => writing
            .file
            .sync_all()
            .and_then(|()| fs::rename(&writing.temporary, &writing.path)),
    };
    if let Err(error) = result {
        let _ = fs::remove_file(&writing.temporary);
        return Err(error);
    }
    // The rename itself must be on disk, too.
    if let Some(directory) = writing.path.parent()
        && let Ok(directory) = File::open(if directory.as_os_str().is_empty() {
            Path::new(".")
        } else {
            directory
        })
    {
        directory.sync_all()?;
    }
    Ok(writing.path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::context::bench::Bench;

    fn write(path: &Path, parts: &[&'static str], result: Result<(), String>) -> Written {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        System::new().block_on(async move {
            let writer = SnapshotWriterActor::spawn(&Arc::new(Bench::new().node));
            writer.do_send(Begin {
                path: path.to_owned(),
                number: 1,
                incremental_sync: true,
            });
            let gate = Arc::new(Gate::default());
            for part in parts {
                let bytes = Bytes::from_static(part.as_bytes());
                writer.do_send(Chunk::enter(bytes, &gate));
            }
            writer.do_send(Finish {
                result,
                done: Box::new(move |written| sender.send(written).unwrap()),
            });
            // The actor must not be dropped before it has worked off its messages.
            let written = receiver.await.unwrap();
            drop(writer);
            written
        })
    }

    #[test]
    fn two_nodes_write_into_one_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dump.rdb");
        let (first, at) = create(&path, 0).unwrap();
        let (second, beside) = create(&path, 0).unwrap();
        assert_eq!(at, temporary_path(&path, 0));
        assert_ne!(at, beside);
        let name = beside.file_name().unwrap().to_str().unwrap();
        assert_eq!(process_of(name), Some(std::process::id()));
        drop((first, second));
    }

    #[test]
    fn a_dump_replaces_the_old_one_or_leaves_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dump.rdb");
        assert_eq!(write(&path, &["a", "b"], Ok(())), Ok(path.clone()));
        assert_eq!(fs::read(&path).unwrap(), b"ab");
        assert!(write(&path, &["c"], Err("aborted".into())).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"ab");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        let nowhere = directory.path().join("no/dump.rdb");
        assert!(write(&nowhere, &["c"], Ok(())).is_err());
    }
}
