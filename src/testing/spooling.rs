//! What a simulated node has for full syncs: a disk that is slow and sometimes fails, and a feed of a
//! snapshot's bytes, both over the production log and spool.

use bytes::Bytes;
use hashbrown::HashMap;

use super::node::Around;
use crate::repl::{Cursor, Log, Place, Spill};

/// Spilled segments.
#[derive(Debug, Default)]
pub struct Disk {
    segments: HashMap<u64, Vec<u8>>,
    /// Of 256 writes, so many fail.
    pub failures: u8,
}

/// A sequence's write under way.
#[derive(Debug, Default)]
pub struct Writing(Option<(Spill, i64)>);

impl Disk {
    /// Lets a log spill what is due, and its last write end when it is time.
    pub fn tend(
        &mut self,
        log: &mut Log,
        writing: &mut Writing,
        memory: u64,
        around: &mut Around<'_>,
    ) {
        if let Some((spill, due_ms)) = writing.0.take() {
            if around.now_ms < due_ms {
                writing.0 = Some((spill, due_ms));
            } else {
                let written = around.rng.u8(..) >= self.failures;
                if written {
                    let file = self.segments.entry(spill.segment).or_default();
                    file.truncate(spill.offset as usize);
                    for bytes in &spill.bytes {
                        file.extend_from_slice(bytes);
                    }
                } else {
                    log.spool().refuse("the disk is full".into());
                }
                log.spilled(spill.segment, written);
            }
        }
        if around.rng.u8(..) < 20 {
            log.spool().retry();
        }
        if writing.0.is_none()
            && let Some(spill) = log.spill_beyond(memory)
        {
            writing.0 = Some((spill, around.now_ms + around.rng.i64(0..300)));
        }
        for segment in log.take_released() {
            self.segments.remove(&segment);
        }
    }

    pub fn delete(&mut self, segments: Vec<u64>) {
        for segment in segments {
            self.segments.remove(&segment);
        }
    }

    /// Up to `most` bytes after `position`, from memory or disk; the position after them. None: they are
    /// in neither.
    pub fn read(&self, log: &mut Log, position: u64, most: usize) -> Option<(Vec<Bytes>, u64)> {
        if let Some(Place {
            segment,
            offset,
            len,
        }) = log.on_disk(position, most)
        {
            let file = self.segments.get(&segment)?;
            let bytes = file.get(offset as usize..offset as usize + len)?;
            let next = position + len as u64;
            return Some((vec![Bytes::copy_from_slice(bytes)], next));
        }
        let mut slices = Vec::new();
        let next = log.read(position, most, &mut slices).ok()?;
        Some((slices, next))
    }
}

/// A snapshot's bytes on their way to those who take it.
#[derive(Debug)]
pub struct Feed {
    pub number: u64,
    pub log: Log,
    pub writing: Writing,
    pub joinable: bool,
    pub ended: bool,
    pub mark: Option<[u8; 40]>,
    takers: Vec<(u64, Cursor)>,
}

impl Feed {
    pub fn new(number: u64, log: Log) -> Feed {
        Feed {
            number,
            log,
            writing: Writing::default(),
            joinable: true,
            ended: false,
            mark: None,
            takers: Vec::new(),
        }
    }

    pub fn join(&mut self, id: u64) -> bool {
        if !self.joinable {
            return false;
        }
        match self.log.attach_patient(0) {
            Ok(cursor) => {
                self.takers.push((id, cursor));
                true
            }
            Err(_) => false,
        }
    }

    pub fn close_joins(&mut self) {
        self.joinable = false;
        self.log.set_limit(0);
    }

    pub fn leave(&mut self, id: u64) {
        if let Some(at) = self.takers.iter().position(|(t, _)| *t == id) {
            let (_, cursor) = self.takers.swap_remove(at);
            self.log.detach(cursor);
        }
    }

    pub fn takers(&self) -> Vec<u64> {
        self.takers.iter().map(|(id, _)| *id).collect()
    }

    /// Whether anybody has it or may yet.
    pub fn in_use(&self) -> bool {
        self.joinable || !self.takers.is_empty()
    }

    /// The next bytes for a taker, and whether these were the last; None if they are lost.
    pub fn take(&mut self, id: u64, most: usize, disk: &Disk) -> Option<(Vec<Bytes>, bool)> {
        let (_, cursor) = *self.takers.iter().find(|(t, _)| *t == id)?;
        let position = self.log.position(cursor)?;
        let (bytes, next) = disk.read(&mut self.log, position, most)?;
        self.log.advance(cursor, next);
        Some((bytes, self.ended && next == self.log.end()))
    }
}
