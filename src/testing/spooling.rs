//! A simulated node's disk for the spool: slow, and failing at times, under the production log, feed and spool.

use bytes::Bytes;
use hashbrown::HashMap;

use super::node::SimContext;
use crate::repl::{Feed, Log, Place, Spill};

/// Spilled segments.
#[derive(Debug, Default)]
pub(super) struct Disk {
    segments: HashMap<u64, Vec<u8>>,
    /// Of 256 writes, so many fail.
    pub(crate) failures: u8,
}

/// A sequence's write under way.
#[derive(Debug, Default)]
pub(super) struct Writing(Option<(Spill, i64)>);

impl Disk {
    /// Lets the log spill what is due, and its last write end when it is time.
    pub(super) fn maintain_log(
        &mut self,
        log: &mut Log,
        writing: &mut Writing,
        memory: u64,
        sim: &mut SimContext<'_>,
    ) {
        if let Some((segment, written)) = self.written(writing, sim) {
            if !written {
                log.spool().refuse("the disk is full".into());
            }
            log.spilled(segment, written);
        }
        if sim.happens(20) {
            log.spool().retry();
        }
        if writing.0.is_none()
            && let Some(spill) = log.spill(memory)
        {
            writing.0 = Some((spill, sim.now_ms + sim.rng.i64(0..300)));
        }
        self.delete(log.take_released());
    }

    /// As [`Disk::maintain_log`], for a feed.
    pub(super) fn maintain_feed(
        &mut self,
        feed: &mut Feed,
        writing: &mut Writing,
        memory: u64,
        sim: &mut SimContext<'_>,
    ) {
        if let Some((segment, written)) = self.written(writing, sim) {
            if !written {
                feed.refuse("the disk is full");
            }
            feed.spilled(segment, written);
        }
        if writing.0.is_none()
            && let Some(spill) = feed.spill(memory)
        {
            writing.0 = Some((spill, sim.now_ms + sim.rng.i64(0..300)));
        }
        self.delete(feed.take_released());
    }

    /// The write that is through, if one is, and how it went.
    fn written(&mut self, writing: &mut Writing, sim: &mut SimContext<'_>) -> Option<(u64, bool)> {
        let (spill, _) = writing.0.take_if(|(_, due_ms)| *due_ms <= sim.now_ms)?;
        let written = !sim.happens(self.failures);
        if written {
            let file = self.segments.entry(spill.segment).or_default();
            file.truncate(spill.offset as usize);
            for bytes in &spill.bytes {
                file.extend_from_slice(bytes);
            }
        }
        Some((spill.segment, written))
    }

    pub(super) fn delete(&mut self, segments: Vec<u64>) {
        for segment in segments {
            self.segments.remove(&segment);
        }
    }

    /// None: the segment is gone.
    pub(super) fn read(&self, place: Place) -> Option<Bytes> {
        let file = self.segments.get(&place.segment)?;
        let from = place.offset as usize;
        file.get(from..from + place.len).map(Bytes::copy_from_slice)
    }
}
