//! What others see of a client and how they reach it ([`Client`]), and the registry of all clients. The state of its own
//! thread is [`Session`](crate::session::Session).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use crate::locks;
use crate::resp::{Output, Resp};

/// A command as owned arguments (MULTI's queue, blocked commands).
pub(crate) type OwnedArgs = Vec<Bytes>;

/// Output that others have for a client: pub/sub messages, monitor lines, replies to blocked commands.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) output: Output,
    waker: Option<Waker>,
}

/// The part of a client that other threads see (CLIENT LIST) and reach (push, kill, unblock).
///
/// Whoever has something for the client appends to the outbox and wakes the owner, once per wake;
/// the bound is the client's output buffer limit, checked by `push`.
#[derive(Debug)]
pub struct Client {
    pub(crate) id: u64,
    pub(crate) addr: String,
    pub(crate) laddr: String,
    pub(crate) created_ms: i64,
    pub(crate) outbox: locks::Mutex<Outbox>,
    /// Hard limit for the outbox, bytes; 0: none. Follows the client's class.
    pub(crate) outbox_limit: AtomicUsize,
    /// Someone wants it closed (CLIENT KILL, limit passed).
    pub(crate) killed: locks::AtomicBool,
    /// Asked to leave a blocking command: 0 no, 1 timeout-like, 2 with an error, 3 because the node became a
    /// replica (`command::waits`).
    pub(crate) unblock: AtomicU32,
    pub(crate) view: Mutex<ClientView>,
    /// Unix ms of the last command.
    pub(crate) last_seen_ms: AtomicI64,
    pub(crate) blocked: AtomicBool,
    /// A pause holds its next command up.
    pub(crate) paused: AtomicBool,
    /// Of its buffers, bytes: input that has not run, room for more, output that the socket has not taken.
    pub(crate) input_bytes: AtomicUsize,
    pub(crate) input_free_bytes: AtomicUsize,
    pub(crate) output_bytes: AtomicUsize,
    /// Of the output that the socket has not taken: how many pieces it is in, and the bytes behind them.
    pub(crate) output_pieces: AtomicU32,
    pub(crate) output_tail_bytes: AtomicU32,
    /// Whether it speaks RESP3: in replies and in what is pushed to it.
    resp3: AtomicBool,
    /// What others had for it passed the output limit.
    pub(crate) overflowed: AtomicBool,
    /// Id of the last command; `u32::MAX`: none yet.
    pub(crate) last_command: AtomicU32,
    pub(crate) commands: AtomicU64,
}

/// What CLIENT LIST shows besides the atomics; the owner updates it when it changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientView {
    pub(crate) name: String,
    pub(crate) lib_name: String,
    pub(crate) lib_ver: String,
    pub(crate) user: String,
    pub(crate) db: usize,
    pub(crate) subscriptions: u32,
    pub(crate) pattern_subscriptions: u32,
    pub(crate) shard_subscriptions: u32,
    /// Commands that wait in its MULTI; None: it has none.
    pub(crate) multi: Option<u32>,
    pub(crate) multi_bytes: usize,
    pub(crate) watch: u32,
    /// A watched key has changed.
    pub(crate) watch_dirty: bool,
    /// Bytes of the arguments of the command that it is blocked in.
    pub(crate) argument_bytes: usize,
    pub(crate) monitor: bool,
    pub(crate) replica: bool,
    pub(crate) master: bool,
    pub(crate) no_evict: bool,
    pub(crate) no_touch: bool,
    pub(crate) closing: bool,
    pub(crate) unix_socket: bool,
    pub(crate) fd: i32,
    pub(crate) authenticated: bool,
}

impl Client {
    /// The address of clients without a socket.
    pub(crate) const IN_PROCESS: &str = "in-process:0";

    pub fn new(id: u64, addr: String, laddr: String, created_ms: i64) -> Arc<Client> {
        Arc::new(Client {
            id,
            addr,
            laddr,
            created_ms,
            outbox: locks::Mutex::default(),
            outbox_limit: AtomicUsize::new(0),
            killed: locks::AtomicBool::new(false),
            unblock: AtomicU32::new(0),
            view: Mutex::default(),
            last_seen_ms: AtomicI64::new(created_ms),
            blocked: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            input_bytes: AtomicUsize::new(0),
            input_free_bytes: AtomicUsize::new(0),
            output_bytes: AtomicUsize::new(0),
            output_pieces: AtomicU32::new(0),
            output_tail_bytes: AtomicU32::new(0),
            resp3: AtomicBool::new(false),
            overflowed: AtomicBool::new(false),
            last_command: AtomicU32::new(u32::MAX),
            commands: AtomicU64::new(0),
        })
    }

    /// Whether the peer is on this machine: a loopback address, a Unix socket, or this very process.
    pub(crate) fn is_local(&self) -> bool {
        match self.addr.parse::<std::net::SocketAddr>() {
            Ok(addr) => addr.ip().to_canonical().is_loopback(),
            Err(_) => true,
        }
    }

    /// The protocol version that it speaks.
    #[inline]
    pub(crate) fn resp(&self) -> Resp {
        if self.resp3.load(Ordering::Relaxed) {
            Resp::V3
        } else {
            Resp::V2
        }
    }

    /// From now on it is spoken to in this version.
    pub(crate) fn speak(&self, version: Resp) {
        self.resp3.store(version == Resp::V3, Ordering::Relaxed);
    }

    /// Appends a copy of the bytes and wakes the owner. Passing the limit kills the client instead.
    pub(crate) fn push(&self, bytes: &[u8]) {
        self.push_with(bytes.len(), |output| output.put(bytes));
    }

    /// As `push`, for a message that others get as well: a long one is shared, not copied.
    pub(crate) fn push_shared(&self, message: &Bytes) {
        self.push_with(message.len(), |output| output.share(message.clone()));
    }

    /// As `push`, for a whole reply.
    pub(crate) fn push_output(&self, reply: Output) {
        self.push_with(reply.len(), |output| output.append(reply));
    }

    fn push_with(&self, more: usize, add: impl FnOnce(&mut Output)) {
        if self.killed.load(Ordering::Acquire) {
            return self.wake();
        }
        let mut outbox = self.outbox.lock();
        let limit = self.outbox_limit.load(Ordering::Relaxed);
        let waiting = self.output_bytes.load(Ordering::Relaxed) + outbox.output.len();
        if limit > 0 && waiting + more > limit {
            self.overflowed.store(true, Ordering::Relaxed);
            self.killed.store(true, Ordering::Release);
            outbox.output = Output::default();
        } else {
            add(&mut outbox.output);
        }
        let waker = outbox.waker.take();
        drop(outbox);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wakes the owner so that it looks at `killed`, `unblock` and the outbox.
    pub(crate) fn wake(&self) {
        let waker = self.outbox.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Its session begins to wait. A request to end an earlier wait that came too late is forgotten, so that
    /// it doesn't end this one.
    pub(crate) fn begin_wait(&self) {
        self.unblock.store(0, Ordering::Release);
        self.blocked.store(true, Ordering::Release);
    }

    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether it shows as blocked: it waits in a command, or a pause holds it up.
    pub(crate) fn is_held(&self) -> bool {
        self.blocked.load(Ordering::Relaxed) || self.paused.load(Ordering::Relaxed)
    }

    /// The output that waits for it, here and in its owner's buffer.
    pub(crate) fn output_waiting(&self) -> OutputWaiting {
        let outbox = self.outbox.lock();
        let shown = |count: &AtomicU32| count.load(Ordering::Relaxed) as usize;
        let bytes = self.output_bytes.load(Ordering::Relaxed);
        // The owner may be between writing the one figure and the other.
        let in_pieces = bytes.saturating_sub(shown(&self.output_tail_bytes));
        OutputWaiting {
            bytes: bytes + outbox.output.len(),
            pieces: shown(&self.output_pieces) + outbox.output.pieces(),
            in_pieces: in_pieces + outbox.output.in_pieces(),
        }
    }

    /// Bytes held for it in buffers.
    pub(crate) fn buffers(&self) -> usize {
        self.input_bytes.load(Ordering::Relaxed)
            + self.input_free_bytes.load(Ordering::Relaxed)
            + self.output_waiting().bytes
    }

    /// Moves what is there to the end of `to`.
    pub(crate) fn take_pushed(&self, to: &mut Output) {
        to.take_from(&mut self.outbox.lock().output);
    }

    /// The owner takes what is there and leaves a waker for the next push.
    pub(crate) fn take_output(&self, waker: &Waker) -> Output {
        let mut output = Output::default();
        self.move_output(waker, &mut output);
        output
    }

    /// As `take_output`, to the end of `to`.
    #[inline]
    pub(crate) fn move_output(&self, waker: &Waker, to: &mut Output) {
        let mut outbox = self.outbox.lock();
        match &mut outbox.waker {
            Some(w) => w.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        if !outbox.output.is_empty() {
            to.append(std::mem::take(&mut outbox.output));
        }
    }
}

/// Output that a client has not taken. A message that is shared counts for each client that it waits for, since
/// that is what the limits are about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutputWaiting {
    pub(crate) bytes: usize,
    /// How many pieces beside the buffers that are being filled.
    pub(crate) pieces: usize,
    /// Of the bytes, those in pieces.
    pub(crate) in_pieces: usize,
}

impl OutputWaiting {
    /// Bytes that the pieces take with the list that they are in: Redis's "output list", and CLIENT LIST's omem.
    pub(crate) fn list_memory(&self) -> usize {
        self.in_pieces + self.pieces * size_of::<Bytes>()
    }
}

/// All clients of a node by id.
#[derive(Debug, Default)]
pub struct Clients {
    map: RwLock<hashbrown::HashMap<u64, Arc<Client>>>,
    next_id: AtomicU64,
}

impl Clients {
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn add(&self, client: Arc<Client>) {
        self.map.write().insert(client.id, client);
    }

    pub(crate) fn remove(&self, id: u64) {
        self.map.write().remove(&id);
    }

    pub(crate) fn get(&self, id: u64) -> Option<Arc<Client>> {
        self.map.read().get(&id).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.map.read().len()
    }

    /// Every client, by rising id.
    pub(crate) fn all(&self) -> Vec<Arc<Client>> {
        let mut all: Vec<_> = self.map.read().values().cloned().collect();
        all.sort_by_key(|c| c.id);
        all
    }
}
