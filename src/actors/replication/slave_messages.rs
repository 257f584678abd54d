//! What the MasterActor has the actor of a replica do.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;

use crate::actors::replication::slave_buffer::{SlaveBufferActor, Source};
use crate::actors::snapshots::feed::SharedFeed;
use crate::repl::{Cursor, SyncProgress};

/// How long a connection that is over may take for what it is still to be told.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Protocol bytes to write before what comes next.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Send(pub(crate) Bytes);

impl Handler<Send> for SlaveBufferActor {
    type Result = ();

    fn handle(&mut self, Send(bytes): Send, _: &mut Self::Context) {
        self.queue.push_back(bytes);
        self.wake();
    }
}

/// Take a snapshot's chunks, from the first one on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct TakeFeed {
    pub(crate) feed: SharedFeed,
    pub(crate) progress: SyncProgress,
}

impl Handler<TakeFeed> for SlaveBufferActor {
    type Result = ();

    fn handle(&mut self, take: TakeFeed, _: &mut Self::Context) {
        self.source = Source::Feed(take.feed, 0);
        self.progress = take.progress;
        self.wake();
    }
}

/// Send a finished dump; its header has been sent.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct TakeFile {
    pub(crate) file: File,
    pub(crate) progress: SyncProgress,
}

impl Handler<TakeFile> for SlaveBufferActor {
    type Result = ();

    fn handle(&mut self, take: TakeFile, _: &mut Self::Context) {
        self.source = Source::File(Arc::new(take.file), 0);
        self.progress = take.progress;
        self.wake();
    }
}

/// Follow the log from a cursor on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Follow {
    pub(crate) cursor: Cursor,
    pub(crate) position: u64,
}

impl Handler<Follow> for SlaveBufferActor {
    type Result = ();

    fn handle(&mut self, follow: Follow, _: &mut Self::Context) {
        self.sent = follow.position;
        self.source = Source::Log(follow.cursor, follow.position);
        self.wake();
    }
}

/// The connection is over: write nothing more, and go. `last`: bytes that are written before, if the socket takes them
/// within [`LAST_WORDS`]. One that has just been taken over takes nothing until it was polled.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Close {
    pub(crate) last: Option<Bytes>,
}

impl Handler<Close> for SlaveBufferActor {
    type Result = ();

    fn handle(&mut self, close: Close, ctx: &mut Self::Context) {
        if let Some(last) = close.last {
            self.queue.push_back(last);
            self.source = Source::Idle;
            self.closing = true;
            self.wake();
            ctx.run_later(LAST_WORDS, |_, ctx| ctx.stop());
        } else {
            ctx.stop();
        }
    }
}
