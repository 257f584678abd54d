//! How a full sync's dump gets to the replicas: the MasterActor's part of it.
//!
//! The pure [`Master`] says when a snapshot begins and whom it is for; here its chunks are led from the
//! SnapshotActor to the SlaveBufferActors, by way of a feed or of the dump file, and its end is told.

use std::fs::File;

use actix::prelude::*;
use bytes::Bytes;

use super::feed::Feed;
use super::master::MasterActor;
use super::slave_buffer;
use super::snapshot::{ForReplicas, Progress, Stage};
use crate::repl::transfer::{Form, MARK};
use crate::repl::{Cursor, Master, ReplId, Target};

/// The snapshot for replicas that was ordered last.
pub(super) struct Running {
    pub(super) number: u64,
    /// For sockets: what the replicas take, and how its end is marked.
    pub(super) feed: Option<(Feed, [u8; MARK])>,
    /// Everything is in the feed; it has ended when the replicas have taken it.
    pub(super) produced: bool,
}

impl MasterActor {
    pub(super) fn start_snapshot(&mut self, target: Target, ctx: &mut Context<MasterActor>) {
        self.number += 1;
        let feed = match target {
            Target::Disk => None,
            Target::Sockets => {
                let id = ReplId::random(&*self.node.clock);
                let mut mark = [0; MARK];
                mark.copy_from_slice(id.as_bytes());
                Some((Feed::default(), mark))
            }
        };
        self.snapshots.do_send(ForReplicas {
            number: self.number,
            feed: feed.clone(),
            report: ctx.address().recipient(),
        });
        self.running = Some(Running {
            number: self.number,
            feed,
            produced: false,
        });
    }

    /// The cut is made: replicas that wait get their line, and those of a diskless sync its feed.
    fn snapshot_cut(&mut self, offset: u64, pin: Cursor, ctx: &mut Context<MasterActor>) {
        self.with(ctx, |m, e, o| m.snapshot_started(e, offset, pin, o));
        let Some((feed, mark)) = self.running.as_ref().and_then(|r| r.feed.clone()) else {
            return;
        };
        let takers = Master::takers(&self.node.hub.board().replicas);
        for id in &takers {
            feed.join(*id);
        }
        let header = Bytes::from(Form::Mark(mark).header());
        for id in takers {
            if let Some(buffer) = self.buffers.get(&id) {
                buffer.do_send(slave_buffer::Send(header.clone()));
                buffer.do_send(slave_buffer::TakeFeed(feed.clone()));
            } else {
                feed.leave(id);
            }
        }
        feed.open();
    }

    pub(super) fn send_dump(&mut self, id: u64) {
        let opened = self
            .dump
            .as_ref()
            .ok_or_else(|| std::io::Error::other("no dump"))
            .and_then(File::open)
            .and_then(|file| Ok((file.metadata()?.len(), file)));
        let Some(buffer) = self.buffers.get(&id) else {
            return;
        };
        match opened {
            Ok((length, file)) => {
                let header = Form::Length(length).header();
                buffer.do_send(slave_buffer::Send(header.into()));
                buffer.do_send(slave_buffer::TakeFile(file));
            }
            Err(error) => {
                tracing::warn!("SYNC failed. Can't open/stat DB after BGSAVE: {error}");
                buffer.do_send(slave_buffer::Close { last: None });
            }
        }
    }

    /// A diskless snapshot ends when everything is made and everybody has it.
    pub(super) fn end_if_taken(&mut self, ctx: &mut Context<MasterActor>) {
        let produced = self.running.as_ref().is_some_and(|r| r.produced);
        if produced && Master::takers(&self.node.hub.board().replicas).is_empty() {
            self.running = None;
            self.with(ctx, |m, e, o| m.snapshot_ended(e, Ok(()), o));
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
        // A feed also ends when its snapshot fails; then the report of that closes the replica.
        if self.running.as_ref().is_some_and(|r| r.produced) {
            self.with(ctx, |m, e, o| m.dump_streamed(e, id, o));
            self.end_if_taken(ctx);
        }
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
            } => self.snapshot_cut(offset, pin, ctx),
            Stage::Cut { .. } => {}
            Stage::Ended(Ok(path)) => {
                if let Some(running) = &mut self.running
                    && let Some((feed, _)) = &running.feed
                {
                    running.produced = true;
                    feed.end();
                    self.end_if_taken(ctx);
                } else {
                    self.running = None;
                    self.dump = path;
                    self.with(ctx, |m, e, o| m.snapshot_ended(e, Ok(()), o));
                }
            }
            Stage::Ended(Err(error)) => {
                self.running = None;
                self.with(ctx, |m, e, o| m.snapshot_ended(e, Err(&error), o));
            }
        }
    }
}
