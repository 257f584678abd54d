//! A client waiting in a blocking command (BLPOP and its kin), as the shards that hold its keys see it.
//!
//! Several threads may want to end the wait at once: a write serves it, its deadline passes, CLIENT
//! UNBLOCK or CLIENT KILL comes. One atomic state decides: `Waiting` goes to `Serving` (a thread inside
//! the shards tries to run the command) and from there back to `Waiting` (nothing to take after all) or
//! to `Done`; everyone else goes from `Waiting` straight to `Done`. Only who moved it to `Done` replies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;

use crate::data::Kind;
use crate::resp::Resp;
use crate::session::{Client, OwnedArgs};

/// Where a wait stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaiterState {
    Waiting,
    /// Some thread is running the command for it.
    Serving,
    Done(WaitEnd),
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitEnd {
    /// The command ran; its reply is in the client's outbox.
    Served,
    TimedOut,
    /// CLIENT UNBLOCK with ERROR, or a role change: the reply is an error.
    Unblocked,
    /// The client went away.
    Gone,
}

const WAITING: u8 = 0;
const SERVING: u8 = 1;
const SERVED: u8 = 2;
const TIMED_OUT: u8 = 3;
const UNBLOCKED: u8 = 4;
const GONE: u8 = 5;

/// One wait.
#[derive(Debug)]
pub struct Waiter {
    pub client: Arc<Client>,
    /// The command to run again when a key is ready.
    pub args: OwnedArgs,
    pub db: usize,
    pub resp: Resp,
    /// In the order in which they are to be tried.
    pub keys: Vec<Bytes>,
    /// Unix ms; None: for ever.
    pub deadline_ms: Option<i64>,
    /// Which kind of key ends the wait.
    pub kind: Kind,
    /// The reply at timeout: a null array or a null.
    pub null_array: bool,
    pub user: String,
    state: AtomicU8,
}

impl Waiter {
    #[expect(
        clippy::too_many_arguments,
        reason = "a plain record, built in one place"
    )]
    pub fn new(
        client: Arc<Client>,
        args: OwnedArgs,
        db: usize,
        resp: Resp,
        keys: Vec<Bytes>,
        deadline_ms: Option<i64>,
        kind: Kind,
        null_array: bool,
        user: String,
    ) -> Arc<Waiter> {
        Arc::new(Waiter {
            client,
            args,
            db,
            resp,
            keys,
            deadline_ms,
            kind,
            null_array,
            user,
            state: AtomicU8::new(WAITING),
        })
    }

    pub fn state(&self) -> WaiterState {
        match self.state.load(Ordering::Acquire) {
            WAITING => WaiterState::Waiting,
            SERVING => WaiterState::Serving,
            SERVED => WaiterState::Done(WaitEnd::Served),
            TIMED_OUT => WaiterState::Done(WaitEnd::TimedOut),
            UNBLOCKED => WaiterState::Done(WaitEnd::Unblocked),
            _ => WaiterState::Done(WaitEnd::Gone),
        }
    }

    fn turn(&self, from: u8, to: u8) -> bool {
        self.state
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Claims the wait for serving. False: it is over, or another thread is at it.
    pub fn begin_serving(&self) -> bool {
        self.turn(WAITING, SERVING)
    }

    /// There was nothing to take: the wait goes on.
    pub fn resume(&self) {
        self.turn(SERVING, WAITING);
    }

    /// The command ran and replied.
    pub fn finish_serving(&self) {
        self.turn(SERVING, SERVED);
    }

    /// Ends the wait from outside. True: it is the caller's to reply. False: it is over already, or is
    /// being served right now (then try again when that is settled: the outcome wakes the client).
    pub fn end(&self, how: WaitEnd) -> bool {
        let to = match how {
            WaitEnd::Served => SERVED,
            WaitEnd::TimedOut => TIMED_OUT,
            WaitEnd::Unblocked => UNBLOCKED,
            WaitEnd::Gone => GONE,
        };
        self.turn(WAITING, to)
    }
}
