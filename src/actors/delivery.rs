//! How a full sync's dump gets to the replicas: the MasterActor's part of it.
//!
//! The pure [`Master`](crate::repl::Master) says when a snapshot begins and whom it is for; here its chunks are led from the
//! SnapshotActor to the SlaveBufferActors, by way of a feed or of the dump file, and its end is told.

use std::fs::File;
use std::sync::atomic::Ordering;

use actix::prelude::*;
use bytes::Bytes;

use super::feed::Feed;
use super::master::MasterActor;
use super::slave_buffer;
use super::snapshot::{ForReplicas, Progress, Stage};
use crate::repl::full_sync::give_up_line;
use crate::repl::transfer::{Form, MARK};
use crate::repl::{ReplId, SyncProgress, Target};

/// The snapshot for replicas that is being made.
pub(super) struct Running {
    pub(super) number: u64,
}

/// What replicas take of a snapshot to sockets, and how its end is marked.
pub(super) struct Sending {
    pub(super) feed: Feed,
    pub(super) mark: [u8; MARK],
}

impl MasterActor {
    pub(super) fn start_snapshot(&mut self, target: Target, ctx: &mut Context<MasterActor>) {
        self.number += 1;
        self.feed = match target {
            Target::Disk => None,
            Target::Sockets => {
                let id = ReplId::random(&*self.node.clock);
                let mut mark = [0; MARK];
                mark.copy_from_slice(id.as_bytes());
                let feed = Feed::new(self.node.hub.spool(), Some(self.sending.files.clone()));
                self.feeds.push(feed.downgrade());
                Some(Sending { feed, mark })
            }
        };
        self.snapshots.do_send(ForReplicas {
            number: self.number,
            feed: self.feed.as_ref().map(|s| (s.feed.clone(), s.mark)),
            report: ctx.address().recipient(),
        });
        self.running = Some(Running {
            number: self.number,
        });
    }

    /// The replica gets the present snapshot's chunks, from the first one on.
    pub(super) fn send_feed(&mut self, id: u64) {
        let progress = self.progress_of(id);
        let Some(buffer) = self.buffers.get(&id) else {
            return;
        };
        match &self.feed {
            Some(Sending { feed, mark }) if feed.join(id) => {
                let header = Bytes::from(Form::Mark(*mark).header());
                buffer.do_send(slave_buffer::Send(header));
                buffer.do_send(slave_buffer::TakeFeed {
                    feed: feed.clone(),
                    progress,
                });
            }
            // Its first chunks have gone in this very moment.
            _ => buffer.do_send(slave_buffer::Close { last: None }),
        }
    }

    fn progress_of(&self, id: u64) -> SyncProgress {
        let board = self.node.hub.board();
        let replica = board.replicas.get(id);
        replica.map(|r| r.sync.clone()).unwrap_or_default()
    }

    pub(super) fn send_dump(&mut self, id: u64) {
        let opened = self
            .dump
            .as_ref()
            .ok_or_else(|| std::io::Error::other("no dump"))
            .and_then(File::open)
            .and_then(|file| Ok((file.metadata()?.len(), file)));
        let progress = self.progress_of(id);
        let Some(buffer) = self.buffers.get(&id) else {
            return;
        };
        match opened {
            Ok((length, file)) => {
                let header = Form::Length(length).header();
                buffer.do_send(slave_buffer::Send(header.into()));
                progress.total.store(length, Ordering::Relaxed);
                buffer.do_send(slave_buffer::TakeFile { file, progress });
            }
            Err(error) => {
                tracing::warn!("SYNC failed. Can't open/stat DB after BGSAVE: {error}");
                let last = Some(give_up_line(&error.to_string()).into());
                buffer.do_send(slave_buffer::Close { last });
            }
        }
    }
}

/// A replica has all of a marked dump in its socket.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct DumpStreamed {
    pub id: u64,
}

impl Handler<DumpStreamed> for MasterActor {
    type Result = ();

    fn handle(&mut self, DumpStreamed { id }: DumpStreamed, ctx: &mut Self::Context) {
        self.with(ctx, |m, e, o| m.dump_streamed(e, id, o));
    }
}

/// A replica has all of a dump file in its socket.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct DumpSent {
    pub id: u64,
}

impl Handler<DumpSent> for MasterActor {
    type Result = ();

    fn handle(&mut self, DumpSent { id }: DumpSent, ctx: &mut Self::Context) {
        self.with(ctx, |m, e, o| m.dump_sent(e, id, o));
    }
}

impl Handler<Progress> for MasterActor {
    type Result = ();

    fn handle(&mut self, progress: Progress, ctx: &mut Self::Context) {
        if self.running.as_ref().map(|r| r.number) != Some(progress.number) {
            // One that was given up; its hold on the log goes with it.
            if let Stage::Cut { pin: Some(pin), .. } = progress.stage {
                self.node.hub.stream().log.detach(pin);
            }
            return;
        }
        match progress.stage {
            Stage::Cut {
                offset,
                pin: Some(pin),
            } => {
                self.with(ctx, |m, e, o| m.snapshot_started(e, offset, pin, o));
            }
            Stage::Cut { .. } => {}
            Stage::Ended(Ok(path)) => {
                self.running = None;
                match (path, &self.feed) {
                    (None, Some(sending)) => sending.feed.end(),
                    (path, _) => self.dump = path,
                }
                self.with(ctx, |m, e, o| m.snapshot_ended(e, Ok(()), o));
            }
            Stage::Ended(Err(error)) => {
                self.running = None;
                self.with(ctx, |m, e, o| m.snapshot_ended(e, Err(&error), o));
            }
        }
    }
}
