//! Tickets: replies that come later, from an actor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::clients::client::Client;
use crate::locks;
use crate::resp::Resp;
use crate::session::Session;

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
    away: Mutex<Away>,
}

/// The session itself, where what is waited for works in it.
#[derive(Debug, Default)]
enum Away {
    /// It is there, or not back yet.
    #[default]
    Not,
    Back(Box<Session>),
    /// Its client has gone.
    Abandoned,
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
            away: Mutex::default(),
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

    /// Gives back the session that has been worked in, before it is answered. Some: its client has gone, and its traces
    /// are to be taken out.
    pub(crate) fn give_back(&self, session: Session) -> Option<Session> {
        let mut away = self.away.lock();
        match *away {
            Away::Abandoned => Some(session),
            _ => {
                *away = Away::Back(Box::new(session));
                None
            }
        }
    }

    /// The session that has been given back.
    pub(crate) fn take_session(&self) -> Option<Session> {
        match std::mem::take(&mut *self.away.lock()) {
            Away::Back(session) => Some(*session),
            Away::Not | Away::Abandoned => None,
        }
    }

    /// Its client goes: a session that is not back yet is the giver's to forget, one that is back the caller's.
    pub(crate) fn abandon(&self) -> Option<Session> {
        match std::mem::replace(&mut *self.away.lock(), Away::Abandoned) {
            Away::Back(session) => Some(*session),
            Away::Not | Away::Abandoned => None,
        }
    }

    pub fn is_done(&self) -> bool {
        self.state.load(Ordering::Acquire) >= ANSWERED
    }

    /// It is done, and the session is to be closed.
    pub fn is_last(&self) -> bool {
        self.state.load(Ordering::Acquire) == ANSWERED_LAST
    }
}
