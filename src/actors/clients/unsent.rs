//! What a connection has to send: the output that its socket has not taken, and the bounds on it.
//!
//! Two bounds, one for each sort of client. Where a hard limit is set (`client-output-buffer-limit`), all that a
//! pass over a client's pipeline yields counts against it before the socket has taken any of it, and past it the
//! client is closed, as in Redis. Without one nothing is ever closed; instead replies are sent while the pipeline
//! runs, and a pipeline whose replies are larger than its requests is not run on while more than
//! [`UNREAD_BYTES_MAX`] wait: what is kept of it then is the requests, not the replies.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::clients::client::Client;
use crate::config::{OutputLimit, Settings};
use crate::os::socket::Socket;
use crate::resp::Output;
use crate::session::Session;

/// Pieces given to the socket in one call.
const SLICES_MAX: usize = 64;
/// Bytes written in one go, and replies gathered before they are, where there is no hard limit. A reader as fast as
/// we are would keep us from the others else.
pub(crate) const SENT_AT_ONCE_BYTES: usize = 256 * 1024;
/// Output that waits, past which a client without a hard limit is held up, bytes.
const UNREAD_BYTES_MAX: usize = 1024 * 1024;
/// The hard limit of clients that have not authenticated, bytes: what Redis 8 and Valkey 9 let them leave unread.
const UNAUTHENTICATED_BYTES_MAX: u64 = 16 * 1024;

/// A client's bounds as they are now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    limit: OutputLimit,
}

impl Bounds {
    pub(crate) fn of(session: &Session, settings: &Settings) -> Bounds {
        let mut limit = session.output_limit(&settings.client_output_buffer_limit);
        if !session.authenticated && settings.requirepass.is_some() {
            limit.hard = match limit.hard {
                0 => UNAUTHENTICATED_BYTES_MAX,
                hard => hard.min(UNAUTHENTICATED_BYTES_MAX),
            };
        }
        Bounds { limit }
    }

    /// Whether replies wait for the end of a pass, to be held against the hard limit together.
    pub(crate) fn by_pass(self) -> bool {
        self.limit.hard > 0
    }

    /// Past how many unread bytes a pipeline is not run on.
    fn unread_max(self) -> usize {
        if self.by_pass() {
            return usize::MAX;
        }
        // What passes the soft limit for too long shall be able to.
        let soft = usize::try_from(self.limit.soft).unwrap_or(usize::MAX);
        soft.saturating_add(UNREAD_BYTES_MAX)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    output: Output,
    /// Since when it has been over the soft limit, unix ms; 0: it is not.
    over_soft_since_ms: i64,
    /// The pipeline yields more than it takes: it is held while too much is unread.
    amplified: bool,
    /// Nothing that is sent arrives any more: nothing is kept.
    is_lost: bool,
}

impl Unsent {
    pub(super) fn is_empty(&self) -> bool {
        self.output.is_empty()
    }

    /// Has `fill` add to what waits.
    #[inline]
    pub(super) fn fill(&mut self, fill: impl FnOnce(&mut Output)) {
        fill(&mut self.output);
        if self.is_lost {
            self.output.clear();
        }
    }

    /// From now on nothing arrives; what waits is dropped.
    pub(super) fn lose(&mut self) {
        self.output = Output::default();
        self.is_lost = true;
    }

    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }

    pub(super) fn take(&mut self) -> Output {
        std::mem::take(&mut self.output)
    }

    /// How many bytes of replies the hard limit leaves.
    pub(super) fn room(&self, bounds: Bounds) -> usize {
        match usize::try_from(bounds.limit.hard) {
            Ok(0) | Err(_) => usize::MAX,
            Ok(hard) => hard.saturating_sub(self.output.len()),
        }
    }

    /// A part of the pipeline has run: so many bytes of requests, and of replies.
    pub(super) fn note_ran(&mut self, requests: usize, replies: usize) {
        self.amplified = replies > requests;
    }

    /// Whether too much is unread for the pipeline to be run on.
    pub(super) fn holds_pipeline(&self, bounds: Bounds) -> bool {
        self.amplified && self.output.len() > bounds.unread_max()
    }

    /// Takes replies and sends them, if nothing waits before them; how many bytes have been sent.
    pub(super) fn send(&mut self, replies: &mut Output, socket: Option<&Socket>) -> usize {
        if self.is_lost {
            replies.clear();
            return 0;
        }
        let sent = match socket {
            // An error is met again when the rest is flushed.
            Some(socket) if self.output.is_empty() => write(socket, replies).unwrap_or(0),
            _ => 0,
        };
        if !replies.is_empty() {
            self.output.take_from(replies);
            replies.keep_chunk();
        }
        sent
    }

    /// Sends what waits, as far as the socket takes it and no more than one round's share; how many bytes.
    pub(super) fn flush(&mut self, socket: &Socket) -> io::Result<usize> {
        let sent = write(socket, &mut self.output)?;
        if self.output.is_empty() {
            self.output = Output::default();
            self.over_soft_since_ms = 0;
        }
        Ok(sent)
    }

    /// Whether what waits has passed the limits.
    pub(super) fn is_over_limit(&mut self, bounds: Bounds, now_ms: i64) -> bool {
        let OutputLimit {
            hard,
            soft,
            soft_seconds,
        } = bounds.limit;
        let len = self.output.len() as u64;
        if soft == 0 || len <= soft {
            self.over_soft_since_ms = 0;
        } else if self.over_soft_since_ms == 0 {
            self.over_soft_since_ms = now_ms;
        }
        let over_soft = self.over_soft_since_ms != 0
            && now_ms - self.over_soft_since_ms >= soft_seconds as i64 * 1000;
        (hard > 0 && len > hard) || over_soft
    }

    /// Shows others how much waits.
    pub(super) fn publish(&self, client: &Client) {
        let (bytes, in_pieces) = (self.output.len(), self.output.in_pieces());
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        show(&client.output_bytes, bytes);
        show_count(&client.output_pieces, count(self.output.pieces()));
        show_count(&client.output_tail_bytes, count(bytes - in_pieces));
    }
}

/// Writes as much as the socket takes, up to one round's share; how much that was.
#[inline]
fn write(socket: &Socket, output: &mut Output) -> io::Result<usize> {
    // Most replies are in one buffer, and the socket takes all of it.
    if let Some(bytes) = output.as_one()
        && let Ok(sent) = socket.try_write(bytes)
        && sent > 0
    {
        output.advance(sent);
        return Ok(sent);
    }
    write_pieces(socket, output)
}

fn write_pieces(socket: &Socket, output: &mut Output) -> io::Result<usize> {
    let mut sent = 0;
    while !output.is_empty() && sent < SENT_AT_ONCE_BYTES {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = output.slices(&mut slices);
        match socket.try_write_vectored(&slices[..count]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                output.advance(n);
                sent += n;
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
            Err(e) => return Err(e),
        }
    }
    Ok(sent)
}

/// Writes a figure that others see, if it has changed.
pub(crate) fn show(shown: &AtomicUsize, value: usize) {
    if shown.load(Ordering::Relaxed) != value {
        shown.store(value, Ordering::Relaxed);
    }
}

fn show_count(shown: &AtomicU32, value: u32) {
    if shown.load(Ordering::Relaxed) != value {
        shown.store(value, Ordering::Relaxed);
    }
}
