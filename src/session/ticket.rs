//! Tickets: replies that come later, from an actor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clients::client::Client;
use crate::locks;
use crate::resp::Resp;

/// The promise of a reply that comes later, from an actor (SAVE, WAIT, FAILOVER ...).
///
/// Exactly one of those who hold it completes it; the session waits until then.
#[derive(Debug)]
pub struct Ticket {
    pub client: Arc<Client>,
    pub resp: Resp,
    /// The client wants no reply (CLIENT REPLY).
    is_silent: bool,
    state: locks::AtomicU8,
    /// Log offset behind what was written in the session's name, 0 for nothing.
    write_offset: AtomicU64,
}

/// A ticket's states. It is `CLAIMED` while its reply is pushed, and over only then: the session's owner may
/// close the connection as soon as it is.
const OPEN: u8 = 0;
const CLAIMED: u8 = 1;
const ANSWERED: u8 = 2;
const ANSWERED_LAST: u8 = 3;

impl Ticket {
    /// `is_silent`: the reply is not sent, only waited for.
    pub fn new(client: Arc<Client>, resp: Resp, is_silent: bool) -> Arc<Ticket> {
        Arc::new(Ticket {
            client,
            resp,
            is_silent,
            state: locks::AtomicU8::new(OPEN),
            write_offset: AtomicU64::new(0),
        })
    }

    /// Sends the reply (RESP bytes), unless somebody did before. False if so.
    pub fn complete(&self, reply: &[u8]) -> bool {
        self.answer(reply, ANSWERED)
    }

    /// As `complete`; the session ends with this reply.
    pub fn complete_and_close(&self, reply: &[u8]) -> bool {
        self.answer(reply, ANSWERED_LAST)
    }

    fn answer(&self, reply: &[u8], end: u8) -> bool {
        let claimed =
            self.state
                .compare_exchange(OPEN, CLAIMED, Ordering::AcqRel, Ordering::Acquire);
        if claimed.is_err() {
            return false;
        }
        if !self.is_silent {
            self.client.push(reply);
        }
        self.state.store(end, Ordering::Release);
        self.client.wake();
        true
    }

    /// What is answered includes a write of the session, which the log has up to `offset`: to be said before it is answered.
    pub fn wrote_until(&self, offset: u64) {
        self.write_offset.store(offset, Ordering::Release);
    }

    /// See [`Ticket::wrote_until`].
    pub fn write_offset(&self) -> u64 {
        self.write_offset.load(Ordering::Acquire)
    }

    pub fn is_done(&self) -> bool {
        self.state.load(Ordering::Acquire) >= ANSWERED
    }

    /// It is done, and the session is to be closed.
    pub fn is_last(&self) -> bool {
        self.state.load(Ordering::Acquire) == ANSWERED_LAST
    }
}
