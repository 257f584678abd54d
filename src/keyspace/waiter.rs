//! A client waiting in a blocking command (BLPOP and its kin), as the shards that hold its keys see it.
//!
//! Several threads may want to end the wait at once: a write serves it, its deadline passes, CLIENT UNBLOCK or CLIENT
//! KILL comes. One atomic state decides: `Waiting` goes to `Serving` (a thread inside the shards tries to run the
//! command, or gives the reply) and from there back to `Waiting` (nothing to take after all) or to `Done`. Only the
//! thread that moved it to `Serving` replies, and it is `Done` after the reply was pushed: the owner may close the
//! connection then. A client that goes away moves it straight to `Done`.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use bytes::Bytes;

use crate::clients::client::{Client, OwnedArgs};
use crate::data::Kind;
use crate::resp::Resp;

/// Where a wait stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaiterState {
    Waiting,
    /// Some thread is running the command for it, or telling it that the wait is over.
    Serving,
    Done(WaitEnd),
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitEnd {
    /// The command ran; its reply is in the client's outbox.
    Served,
    TimedOut,
    /// CLIENT UNBLOCK with ERROR: the reply is an error.
    Unblocked,
    /// The node became a replica: the reply is an error, and the client is closed.
    RoleChanged,
    /// The client went away.
    Gone,
}

const WAITING: u8 = 0;
const SERVING: u8 = 1;
const SERVED: u8 = 2;
const TIMED_OUT: u8 = 3;
const UNBLOCKED: u8 = 4;
const ROLE_CHANGED: u8 = 5;
const GONE: u8 = 6;

/// One wait.
#[derive(Debug)]
pub struct Waiter {
    /// Later waits have higher ones: `Keyspace::wait_number`.
    pub(crate) number: u64,
    pub(crate) client: Arc<Client>,
    /// The command to run again when a key is ready.
    pub(crate) args: OwnedArgs,
    pub(crate) db: usize,
    pub(crate) resp: Resp,
    /// Which of the arguments are the keys, in the order in which they are to be tried.
    key_args: Range<usize>,
    /// Unix ms; None: for ever.
    pub(crate) deadline_ms: Option<i64>,
    /// Which kind of key ends the wait.
    pub(crate) kind: Kind,
    /// It ends, too, when a key is gone or holds another kind.
    pub(crate) on_deletion: bool,
    /// The reply at timeout: a null array or a null.
    pub(crate) null_array: bool,
    /// The client wants no reply (CLIENT REPLY).
    pub(crate) is_silent: bool,
    /// How long the command ran before it began to wait, us.
    pub(crate) ran_us: u64,
    /// Log offset after what it wrote when it was served; 0: nothing.
    write_offset: AtomicU64,
    state: AtomicU8,
}

impl Waiter {
    #[expect(
        clippy::too_many_arguments,
        reason = "a plain record, built in one place"
    )]
    pub(crate) fn new(
        number: u64,
        client: Arc<Client>,
        args: OwnedArgs,
        db: usize,
        resp: Resp,
        key_args: Range<usize>,
        deadline_ms: Option<i64>,
        kind: Kind,
        on_deletion: bool,
        null_array: bool,
        is_silent: bool,
        ran_us: u64,
    ) -> Arc<Waiter> {
        Arc::new(Waiter {
            number,
            client,
            args,
            db,
            resp,
            key_args,
            deadline_ms,
            kind,
            on_deletion,
            null_array,
            is_silent,
            ran_us,
            write_offset: AtomicU64::new(0),
            state: AtomicU8::new(WAITING),
        })
    }

    /// In the order in which they are to be tried.
    pub(crate) fn keys(&self) -> &[Bytes] {
        self.args.get(self.key_args.clone()).unwrap_or_default()
    }

    pub(crate) fn state(&self) -> WaiterState {
        match self.state.load(Ordering::Acquire) {
            WAITING => WaiterState::Waiting,
            SERVING => WaiterState::Serving,
            SERVED => WaiterState::Done(WaitEnd::Served),
            TIMED_OUT => WaiterState::Done(WaitEnd::TimedOut),
            UNBLOCKED => WaiterState::Done(WaitEnd::Unblocked),
            ROLE_CHANGED => WaiterState::Done(WaitEnd::RoleChanged),
            _ => WaiterState::Done(WaitEnd::Gone),
        }
    }

    fn turn(&self, from: u8, to: u8) -> bool {
        self.state
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Claims the wait for serving, or for ending it with a reply. False: it is over, or another thread is at
    /// it (the outcome wakes the client).
    pub(crate) fn claim(&self) -> bool {
        self.turn(WAITING, SERVING)
    }

    /// There was nothing to take: the wait goes on.
    pub(crate) fn resume(&self) {
        self.turn(SERVING, WAITING);
    }

    /// The reply has been pushed: the wait is over. Only the thread that claimed it may call this.
    pub(crate) fn finish(&self, how: WaitEnd) {
        self.turn(SERVING, code(how));
    }

    /// The client went away: nobody is to reply. False if the wait is over, or is being served right now.
    pub(crate) fn abandon(&self) -> bool {
        self.turn(WAITING, GONE)
    }

    /// What it was served with is in the log, up to `offset`. Called before `finish`.
    pub(crate) fn wrote_until(&self, offset: u64) {
        self.write_offset.store(offset, Ordering::Release);
    }

    /// The log offset that a WAIT after this command is to wait for; 0: it wrote nothing.
    pub(crate) fn write_offset(&self) -> u64 {
        self.write_offset.load(Ordering::Acquire)
    }
}

fn code(how: WaitEnd) -> u8 {
    match how {
        WaitEnd::Served => SERVED,
        WaitEnd::TimedOut => TIMED_OUT,
        WaitEnd::Unblocked => UNBLOCKED,
        WaitEnd::RoleChanged => ROLE_CHANGED,
        WaitEnd::Gone => GONE,
    }
}
