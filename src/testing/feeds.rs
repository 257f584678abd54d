//! A simulated node's snapshots and replicas: the [`MasterIo`] of the simulated network. A snapshot is cut late,
//! even after it was given up, and at times fails; its bytes go through the production feed to whoever takes it.

use bytes::Bytes;

use super::host::{Host, Io, ToMaster};
use super::node::{SimContext, SimNode};
use super::peers::Source;
use super::spooling::Writing;
use crate::repl::full_sync::FilteredDump;
use crate::repl::transfer::Form;
use crate::repl::{Cursor, Feed, MasterIo, MasterSettings, SyncCounts, SyncProgress, Target};

/// Of 256 snapshots, so many fail; of 256 dump files, so many can't be read.
const SNAPSHOT_FAILURES: u8 = 8;
const FILE_FAILURES: u8 = 8;
/// Of 256 joins, so many find that the feed is open no more.
const LOST_RACES: u8 = 16;

/// A feed, with its write to disk that is under way.
#[derive(Debug)]
pub(super) struct SimFeed {
    pub(crate) number: u64,
    pub(crate) feed: Feed,
    pub(crate) writing: Writing,
    mark: [u8; 40],
}

/// A snapshot that is being made.
#[derive(Debug)]
pub(super) struct SimSnapshot {
    number: u64,
    target: Target,
    /// Once it is cut.
    image: Option<Vec<u8>>,
    /// Bytes of the image that are in the feed.
    fed: usize,
    next_at_ms: i64,
    given_up: bool,
}

impl Host {
    pub(super) fn feed(&mut self, number: u64) -> Option<&mut SimFeed> {
        self.feeds.iter_mut().find(|f| f.number == number)
    }

    fn close_present_feed(&mut self) {
        if let Some(number) = self.present.take()
            && let Some(sending) = self.feed(number)
        {
            sending.feed.close_joins();
        }
    }

    /// A snapshot is complete: in its feed, or this is its file.
    pub(super) fn snapshot_made(&mut self, number: u64, result: &Result<Option<Bytes>, ()>) {
        match result {
            Ok(None) => {
                if let Some(sending) = self.feed(number) {
                    sending.feed.end();
                }
            }
            Ok(Some(file)) => self.finished_dump = Some(file.clone()),
            Err(()) => {}
        }
    }

    /// Lets the log and the feeds spill, and feeds go that nobody has any more.
    pub(super) fn step_spool(&mut self, sim: &mut SimContext<'_>) {
        let mut stream = self.hub.stream();
        let memory = stream.log.spool().memory_max() / 2;
        self.disk
            .maintain_log(&mut stream.log, &mut self.writing, memory, sim);
        drop(stream);
        for sending in &mut self.feeds {
            self.disk
                .maintain_feed(&mut sending.feed, &mut sending.writing, memory, sim);
            if sending.feed.is_joinable() && sim.happens(2) {
                sending.feed.close_joins();
            }
        }
        let present = self.present;
        let is_over = |f: &mut SimFeed| !f.feed.is_in_use() && Some(f.number) != present;
        for mut over in self.feeds.extract_if(.., is_over) {
            over.feed.clear();
            self.disk.delete(over.feed.take_released());
        }
    }
}

impl SimNode {
    /// What the snapshot's thread does.
    pub(super) fn step_snapshot(&mut self, sim: &mut SimContext<'_>) {
        let host = &mut self.host;
        let Some(mut snapshot) = host.snapshot.take() else {
            return;
        };
        if sim.now_ms < snapshot.next_at_ms {
            host.snapshot = Some(snapshot);
            return;
        }
        let Some(image) = &snapshot.image else {
            let cut = host.hub.cut(true);
            snapshot.image = Some(host.data.dump(cut.database, cut.diverged));
            snapshot.next_at_ms = sim.now_ms + sim.rng.i64(0..400);
            let number = snapshot.number;
            host.mail.master.push_back(ToMaster::Cut { number, cut });
            host.snapshot = Some(snapshot);
            return;
        };
        if snapshot.given_up {
            let (number, result) = (snapshot.number, Err(()));
            host.mail
                .master
                .push_back(ToMaster::Ended { number, result });
            return;
        }
        let sending = host.feeds.iter_mut().find(|f| f.number == snapshot.number);
        if let Some(sending) = sending {
            if snapshot.fed < image.len() {
                let most = sim.rng.usize(1..200);
                let to = (snapshot.fed + most).min(image.len());
                let part = Bytes::copy_from_slice(&image[snapshot.fed..to]);
                sending.feed.push(part);
                snapshot.fed = to;
                host.snapshot = Some(snapshot);
                return;
            }
            sending.feed.push(Bytes::copy_from_slice(&sending.mark));
        }
        let file = snapshot.image.filter(|_| snapshot.target == Target::Disk);
        let failed = sim.happens(SNAPSHOT_FAILURES);
        host.mail.master.push_back(ToMaster::Ended {
            number: snapshot.number,
            result: if failed {
                Err(())
            } else {
                Ok(file.map(Bytes::from))
            },
        });
    }
}

impl MasterIo for Io<'_, '_> {
    fn settings(&self) -> MasterSettings {
        self.host.settings
    }

    fn send(&mut self, id: u64, bytes: Bytes) {
        self.send_to_peer(id, bytes);
    }

    fn follow_log(&mut self, id: u64, cursor: Cursor, position: u64) {
        if let Some(peer) = self.host.peer(id) {
            peer.source = Source::Log(cursor, position);
        }
    }

    fn close(&mut self, id: u64, last: Option<Bytes>) {
        if let Some(last) = last {
            self.send_to_peer(id, last);
        }
        self.close_peer(id);
    }

    fn start_snapshot(&mut self, number: u64, target: Target) {
        self.host.snapshots += 1;
        self.host.close_present_feed();
        if target == Target::Sockets {
            self.host.present = Some(number);
            self.host.feeds.push(SimFeed {
                number,
                feed: Feed::new(self.host.hub.spool()),
                writing: Writing::default(),
                mark: [b'0' + self.sim.rng.u8(0..10); 40],
            });
        }
        self.host.snapshot = Some(SimSnapshot {
            number,
            target,
            image: None,
            fed: 0,
            next_at_ms: self.sim.now_ms + self.sim.rng.i64(0..100),
            given_up: false,
        });
    }

    fn abort_snapshot(&mut self, number: u64) {
        self.host.close_present_feed();
        if let Some(snapshot) = &mut self.host.snapshot
            && snapshot.number == number
        {
            snapshot.given_up = true;
        }
    }

    fn is_feed_joinable(&self) -> bool {
        let present = |f: &&SimFeed| Some(f.number) == self.host.present;
        let sending = self.host.feeds.iter().find(present);
        sending.is_some_and(|s| s.feed.is_joinable())
    }

    fn send_feed(&mut self, id: u64, line: Bytes, _: SyncProgress) -> bool {
        // Its first bytes go in the very moment in which it is to be joined.
        if self.sim.happens(LOST_RACES) {
            self.host.close_present_feed();
        }
        let Some(number) = self.host.present else {
            return false;
        };
        let Some(sending) = self.host.feed(number).filter(|s| s.feed.is_joinable()) else {
            return false;
        };
        let header = Form::Mark(sending.mark).header();
        if !sending.feed.join(id) {
            return false;
        }
        match self.host.peer(id) {
            Some(peer) => peer.source = Source::Feed(number, 0),
            None => {
                if let Some(sending) = self.host.feed(number) {
                    sending.feed.leave(id);
                }
            }
        }
        self.send_to_peer(id, line);
        self.send_to_peer(id, header.into());
        true
    }

    // No simulated replica asks for one.
    fn send_filtered(&mut self, id: u64, _: &FilteredDump, _: SyncProgress) {
        self.close_peer(id);
    }

    fn close_feed(&mut self) {
        self.host.close_present_feed();
    }

    fn send_dump(&mut self, id: u64, _: SyncProgress) -> Result<(), String> {
        let file = self.host.finished_dump.clone();
        let file = file.filter(|_| !self.sim.happens(FILE_FAILURES));
        let file = file.ok_or("no such file")?;
        let header = Form::Length(file.len() as u64).header();
        self.send_to_peer(id, header.into());
        if let Some(peer) = self.host.peer(id) {
            peer.source = Source::File(file);
        }
        Ok(())
    }

    fn publish(&mut self, counts: SyncCounts, _: bool) {
        let all = &mut self.host.counts;
        all.full += counts.full;
        all.partial_ok += counts.partial_ok;
        all.partial_err += counts.partial_err;
    }
}
