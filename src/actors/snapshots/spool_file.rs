//! The actor that keeps what full syncs spool: segments on disk, written, read and deleted on a thread of
//! its own, so that no arbiter waits for the disk. Finished dumps that are sent are read here as well.
//!
//! A segment is a file that loses its name as soon as it is open: its space is given back when it is closed,
//! however the process ends. What a crash between the two left behind is for `actors::node::stale_files`.
//! The ledger (which bytes are in which segment) is in [`repl::spool`](crate::repl::spool).
//!
//! Bounds: one write at a time from each sequence, one read from each replica. Death: what was
//! being written or read fails, and so the replica that needs it is disconnected; the actor goes on with the segments it
//! has.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;

use crate::config::Settings;
use crate::may_block::may_block_here;
use crate::node_core::NodeCore;
use crate::node_core::threads::Running;
use crate::os::process_number::process_number;
use crate::repl::{Place, Spill, Spool};
use crate::supervision::{Owner, turn};

const PREFIX: &str = "temp-repl-spool-";
const SLICES_MAX: usize = 64;

/// Where segments are made: `repl-spool-dir`, else the data's directory.
pub(crate) fn directory(settings: &Settings) -> PathBuf {
    settings
        .repl_spool_dir
        .as_deref()
        .filter(|dir| !dir.is_empty())
        .or(settings.dir.as_deref())
        .unwrap_or(".")
        .into()
}

/// A segment's name, for as long as it has one. `node`: tells the nodes of one process apart.
pub(crate) fn segment_name(node: usize, segment: u64) -> String {
    format!("{PREFIX}{}-{node:x}-{segment}.tmp", std::process::id())
}

/// The process that made the segment of this name, if it is one that [`segment_name`] gives.
pub(crate) fn process_of(name: &str) -> Option<u32> {
    let middle = name.strip_prefix(PREFIX)?.strip_suffix(".tmp")?;
    let mut parts = middle.split('-');
    let (process, node, segment) = (parts.next()?, parts.next()?, parts.next()?);
    let is_number = |text: &str, radix| u64::from_str_radix(text, radix).is_ok();
    let complete = is_number(node, 16) && is_number(segment, 10) && parts.next().is_none();
    process_number(process).filter(|_| complete)
}

/// See the module.
pub(crate) struct SpoolFileActor {
    node: Arc<NodeCore>,
    segments: HashMap<u64, File>,
    _running: Running,
}

impl SpoolFileActor {
    /// Starts the actor's thread.
    pub(crate) fn spawn(node: &Arc<NodeCore>) -> Addr<SpoolFileActor> {
        let node = node.clone();
        SyncArbiter::start(1, move || SpoolFileActor {
            node: node.clone(),
            segments: HashMap::new(),
            _running: node.threads.enter(),
        })
    }

    /// A read or write; a panic fails it.
    fn step<T>(
        &mut self,
        step: &'static str,
        f: impl FnOnce(&mut SpoolFileActor) -> io::Result<T>,
    ) -> io::Result<T> {
        let result = turn(Owner::Spool, 0, || {
            self.node.supervision.step(Owner::Spool, step);
            f(self)
        });
        result.unwrap_or_else(|panic| {
            tracing::error!("A {step} of the spool ends by a panic: {panic}");
            Err(io::Error::other("a panic"))
        })
    }

    fn open(&self, segment: u64) -> io::Result<File> {
        let directory = directory(&self.node.settings.load());
        let path = directory.join(segment_name(Arc::as_ptr(&self.node) as usize, segment));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        fs::remove_file(&path)?;
        Ok(file)
    }

    fn write(&mut self, spill: &Spill) -> io::Result<()> {
        may_block_here();
        if !self.segments.contains_key(&spill.segment) {
            let file = self.open(spill.segment)?;
            self.segments.insert(spill.segment, file);
        }
        let Some(file) = self.segments.get_mut(&spill.segment) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        file.seek(SeekFrom::Start(spill.offset))?;
        for bytes in spill.bytes.chunks(SLICES_MAX) {
            let mut slices: Vec<IoSlice<'_>> = bytes.iter().map(|b| IoSlice::new(b)).collect();
            let mut left = &mut slices[..];
            while !left.is_empty() {
                match file.write_vectored(left) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(n) => IoSlice::advance_slices(&mut left, n),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, place: Place) -> io::Result<Bytes> {
        may_block_here();
        let file = self
            .segments
            .get_mut(&place.segment)
            .ok_or(io::ErrorKind::NotFound)?;
        file.seek(SeekFrom::Start(place.offset))?;
        let mut bytes = vec![0; place.len];
        file.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

impl Actor for SpoolFileActor {
    type Context = SyncContext<SpoolFileActor>;

    fn started(&mut self, _: &mut Self::Context) {
        // Writers on busy cores would outrun it, and cost a replica its place.
        crate::os::priority::raise();
    }
}

/// Called when a write has ended.
pub(crate) type Written = Box<dyn FnOnce(bool) + Send>;

/// Write this; `done` is told whether it could be.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WriteSegment {
    pub(crate) spill: Spill,
    pub(crate) done: Written,
}

impl Handler<WriteSegment> for SpoolFileActor {
    type Result = ();

    fn handle(&mut self, write: WriteSegment, _: &mut Self::Context) {
        let written = self.step("write", |files| files.write(&write.spill));
        if let Err(error) = &written {
            refuse(&self.node.hub.spool(), format!("can't write: {error}"));
        }
        (write.done)(written.is_ok());
    }
}

/// Called with what was read.
pub(crate) type WasRead = Box<dyn FnOnce(io::Result<Bytes>) + Send>;

/// Read this.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ReadSegment {
    pub(crate) place: Place,
    pub(crate) done: WasRead,
}

impl Handler<ReadSegment> for SpoolFileActor {
    type Result = ();

    fn handle(&mut self, read: ReadSegment, _: &mut Self::Context) {
        let bytes = self.step("read", |files| files.read(read.place));
        (read.done)(bytes);
    }
}

/// Read so much of a dump, or what there is until its end.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ReadDump {
    pub(crate) file: Arc<File>,
    pub(crate) offset: u64,
    pub(crate) most: usize,
    pub(crate) done: WasRead,
}

impl Handler<ReadDump> for SpoolFileActor {
    type Result = ();

    fn handle(&mut self, read: ReadDump, _: &mut Self::Context) {
        let bytes = self.step("read", |_| {
            may_block_here();
            let mut bytes = vec![0; read.most];
            let n = read.file.read_at(&mut bytes, read.offset)?;
            bytes.truncate(n);
            Ok(bytes.into())
        });
        (read.done)(bytes);
    }
}

/// These segments are no longer needed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ReleaseSegments(pub(crate) Vec<u64>);

impl Handler<ReleaseSegments> for SpoolFileActor {
    type Result = ();

    fn handle(&mut self, release: ReleaseSegments, _: &mut Self::Context) {
        for segment in release.0 {
            self.segments.remove(&segment);
        }
    }
}

/// Notes that the spool takes nothing for now.
fn refuse(spool: &Spool, reason: String) {
    if spool.refuse(reason.clone()) {
        tracing::warn!(
            "The spool for full syncs fails ({reason}): replicas that load are bounded by \
             client-output-buffer-limit until it works again"
        );
    }
}

/// Hands on what of the log must go to disk, and goes on with it when that is written.
pub(crate) fn spool_log(node: &Arc<NodeCore>, files: &Addr<SpoolFileActor>) {
    let mut stream = node.hub.stream();
    let memory = stream.log.spool().memory_max() / 2;
    let spill = stream.log.spill(memory);
    let released = stream.log.take_released();
    let freed = stream.log.take_freed();
    drop(stream);
    drop(freed);
    if !released.is_empty() {
        files.do_send(ReleaseSegments(released));
    }
    if let Some(spill) = spill {
        let segment = spill.segment;
        let (node, again) = (node.clone(), files.clone());
        let done = Box::new(move |written| {
            node.hub.stream().log.spilled(segment, written);
            if written {
                spool_log(&node, &again);
            }
        });
        files.do_send(WriteSegment { spill, done });
    }
}
