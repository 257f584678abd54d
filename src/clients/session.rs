//! A client's state: the part its own thread owns ([`Session`]) and the part others may see or reach
//! ([`Client`]), with the registry of all clients.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use crate::config::{OutputLimit, OutputLimits};
use crate::keyspace::{KeyId, KeyIdRef};
use crate::locks;
use crate::repl::DumpFilter;
use crate::resp::{Output, Resp};

/// What kind of peer a session speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client over a socket, or in-process.
    Client,
    /// Our master, over the link: its commands bypass checks and keep logical expiry to the master.
    Master,
    /// A connection that has become a replica of ours.
    Replica,
    /// Replay of a file.
    Replay,
}

/// CLIENT REPLY's mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyMode {
    #[default]
    On,
    Off,
    /// SKIP was given: the next command's reply is dropped.
    SkipNext,
    /// The command whose reply is dropped is running.
    Skipping,
}

/// A command as owned arguments (MULTI's queue, blocked commands).
pub type OwnedArgs = Vec<Bytes>;

/// The MULTI in progress.
#[derive(Debug, Default)]
pub struct MultiState {
    pub queue: Vec<OwnedArgs>,
    /// The flags of all queued commands, joined.
    pub flags: u32,
    /// The flags that some queued command lacks.
    pub lacking: u32,
    /// The shards that the queued commands need.
    pub shards: crate::keyspace::ShardSet,
    /// A queued command was refused: EXEC answers EXECABORT.
    pub broken: bool,
    /// Bytes of the queued arguments.
    bytes: usize,
    /// How many arguments are queued.
    arguments: usize,
}

impl MultiState {
    /// Puts a command at the end of the queue.
    pub fn push(&mut self, args: OwnedArgs) {
        self.bytes += args.iter().map(Bytes::len).sum::<usize>();
        self.arguments += args.len();
        self.queue.push(args);
    }

    /// About how many bytes the queue holds. Asked after every batch.
    pub fn memory(&self) -> usize {
        self.bytes + self.arguments * size_of::<Bytes>() + self.queue.len() * size_of::<OwnedArgs>()
    }
}

/// The keys under WATCH, each with the number by which its shard knows the watch. The shard that owns a key sets
/// `Session::watch_dirty` of every watcher when it changes.
#[derive(Debug, Default)]
pub struct WatchedKeys {
    keys: hashbrown::HashMap<KeyId, u64>,
    /// Bytes of the keys.
    bytes: usize,
}

impl WatchedKeys {
    pub fn contains(&self, id: &KeyIdRef<'_>) -> bool {
        self.keys.contains_key(id)
    }

    pub fn add(&mut self, id: &KeyIdRef<'_>, number: u64) {
        self.bytes += id.key.len();
        self.keys.insert(id.into(), number);
    }

    pub fn iter(&self) -> impl Iterator<Item = (&KeyId, u64)> {
        self.keys.iter().map(|(id, number)| (id, *number))
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// About how many bytes they hold. Asked after every batch.
    pub fn memory(&self) -> usize {
        self.bytes + self.len() * size_of::<(KeyId, u64)>()
    }
}

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

/// What a suspended session waits for.
#[derive(Clone, Debug)]
pub enum Waiting {
    /// Any of some keys (BLPOP).
    Keys(Arc<crate::keyspace::Waiter>),
    /// An actor's reply.
    Reply(Arc<Ticket>),
}

/// The state that the client's own thread owns.
#[derive(Debug)]
pub struct Session {
    pub client: Arc<Client>,
    pub origin: Origin,
    pub db: usize,
    pub authenticated: bool,
    pub user: String,
    pub multi: Option<MultiState>,
    /// None until the first: most sessions watch nothing.
    pub watched: Option<Box<WatchedKeys>>,
    /// Set by shards when a watched key changes; shared with them.
    pub watch_dirty: Arc<AtomicBool>,
    /// Most sessions subscribe to nothing, and an idle connection shall be small: none until the first.
    pub subscribed: Option<Box<Subscriptions>>,
    pub reply_mode: ReplyMode,
    /// Bytes of the read buffer that holds the running command (CLIENT LIST shows them).
    pub input_bytes: usize,
    /// The session runs nothing until this has come.
    pub waiting: Option<Waiting>,
    /// As our master: bytes of its stream that have run or been queued and are not in the log yet.
    pub unlogged: Unlogged,
    /// PSYNC or SYNC was accepted as a request: the socket is to be handed to the MasterActor.
    pub handover: Option<OwnedArgs>,
    pub monitor: bool,
    pub no_evict: bool,
    pub no_touch: bool,
    /// Close after the replies written so far (QUIT, protocol error).
    pub closing: bool,
    /// Log offset after this session's last write: what WAIT waits for.
    pub last_write_offset: u64,
    /// What REPLCONF told so far, before PSYNC.
    pub replconf: Option<Box<ReplConf>>,
}

/// What a session listens to, by name.
#[derive(Debug, Default)]
pub struct Subscriptions {
    pub channels: HashSet<Bytes>,
    pub patterns: HashSet<Bytes>,
    pub shard_channels: HashSet<Bytes>,
}

/// What a connecting replica said about itself by REPLCONF.
#[derive(Clone, Debug, Default)]
pub struct ReplConf {
    pub listening_port: u16,
    pub ip_address: Option<String>,
    pub capa_eof: bool,
    pub capa_psync2: bool,
    pub capa_queue_place: bool,
    /// Its make's version; empty: it didn't say.
    pub version: String,
    pub rdb_only: bool,
    pub filter: Option<DumpFilter>,
}

impl Session {
    pub fn new(client: Arc<Client>, origin: Origin) -> Session {
        Session {
            client,
            origin,
            db: 0,
            authenticated: false,
            user: "default".into(),
            multi: None,
            watched: None,
            watch_dirty: Arc::default(),
            subscribed: None,
            reply_mode: ReplyMode::On,
            input_bytes: 0,
            waiting: None,
            unlogged: Unlogged::default(),
            handover: None,
            monitor: false,
            no_evict: false,
            no_touch: false,
            closing: false,
            last_write_offset: 0,
            replconf: None,
        }
    }

    pub fn subscriptions(&self) -> usize {
        self.subscribed.as_ref().map_or(0, |subscribed| {
            subscribed.channels.len() + subscribed.patterns.len() + subscribed.shard_channels.len()
        })
    }

    pub fn id(&self) -> u64 {
        self.client.id
    }

    /// The protocol version that it speaks.
    #[inline]
    pub fn resp(&self) -> Resp {
        self.client.resp()
    }

    /// Shows others how the session stands (CLIENT LIST): after each batch, and after a command that changed
    /// what is shown.
    pub fn publish_view(&self) {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let view = &mut *self.client.view.lock();
        if view.user != self.user {
            view.user.clone_from(&self.user);
        }
        view.db = self.db;
        let counts = self.subscribed.as_ref().map_or((0, 0, 0), |subscribed| {
            (
                count(subscribed.channels.len()),
                count(subscribed.patterns.len()),
                count(subscribed.shard_channels.len()),
            )
        });
        (
            view.subscriptions,
            view.pattern_subscriptions,
            view.shard_subscriptions,
        ) = counts;
        view.multi = self.multi.as_ref().map(|m| count(m.queue.len()));
        view.multi_bytes = self.multi.as_ref().map_or(0, MultiState::memory)
            + self.watched.as_ref().map_or(0, |watched| watched.memory());
        view.argument_bytes = match &self.waiting {
            Some(Waiting::Keys(waiter)) => waiter.args.iter().map(Bytes::len).sum(),
            _ => 0,
        };
        view.watch = self
            .watched
            .as_ref()
            .map_or(0, |watched| count(watched.len()));
        view.watch_dirty = view.watch > 0 && self.watch_dirty.load(Ordering::Relaxed);
        view.monitor = self.monitor;
        view.replica = self.origin == Origin::Replica;
        view.master = self.origin == Origin::Master;
        view.no_evict = self.no_evict;
        view.no_touch = self.no_touch;
        view.closing = self.closing;
        view.authenticated = self.authenticated;
    }

    /// The limit of the client's class: of those who get pushes, or of normal clients.
    pub fn output_limit(&self, limits: &OutputLimits) -> OutputLimit {
        if self.monitor || self.subscriptions() > 0 {
            limits.pubsub
        } else {
            limits.normal
        }
    }

    /// Bounds what others may have waiting for the client by its class: who gets pushes, or a normal client.
    pub fn limit_outbox(&self, limits: &OutputLimits) {
        let hard = usize::try_from(self.output_limit(limits).hard).unwrap_or(usize::MAX);
        self.client.outbox_limit.store(hard, Ordering::Relaxed);
    }

    /// Appends to `reply` what was pushed to this client while its unit ran: a message that it published to
    /// itself follows that command's reply, and precedes the next one's. Called after each unit, once what
    /// CLIENT REPLY hides has been cut away; costs nothing for sessions that nobody pushes to.
    #[inline]
    pub fn append_pushes(&self, reply: &mut Output) {
        if self.monitor || self.subscriptions() > 0 {
            self.client.take_pushed(reply);
        }
    }
}

/// Output that others have for a client: pub/sub messages, monitor lines, replies to blocked commands.
#[derive(Debug, Default)]
pub struct Outbox {
    pub output: Output,
    waker: Option<Waker>,
}

/// The part of a client that other threads see (CLIENT LIST) and reach (push, kill, unblock).
///
/// Whoever has something for the client appends to the outbox and wakes the owner, once per wake;
/// the bound is the client's output buffer limit, checked by `push`.
#[derive(Debug)]
pub struct Client {
    pub id: u64,
    pub addr: String,
    pub laddr: String,
    pub created_ms: i64,
    pub outbox: locks::Mutex<Outbox>,
    /// Hard limit for the outbox, bytes; 0: none. Follows the client's class.
    pub outbox_limit: AtomicUsize,
    /// Someone wants it closed (CLIENT KILL, limit passed).
    pub killed: locks::AtomicBool,
    /// Asked to leave a blocking command: 0 no, 1 timeout-like, 2 with an error, 3 because the node became a
    /// replica (`command::waits`).
    pub unblock: AtomicU32,
    pub view: Mutex<ClientView>,
    /// Unix ms of the last command.
    pub last_seen_ms: AtomicI64,
    pub blocked: AtomicBool,
    /// A pause holds its next command up.
    pub paused: AtomicBool,
    /// Of its buffers, bytes: input that has not run, room for more, output that the socket has not taken.
    pub input_bytes: AtomicUsize,
    pub input_free_bytes: AtomicUsize,
    pub output_bytes: AtomicUsize,
    /// Of the output that the socket has not taken: how many pieces it is in, and the bytes behind them.
    pub output_pieces: AtomicU32,
    pub output_tail_bytes: AtomicU32,
    /// Whether it speaks RESP3: in replies and in what is pushed to it.
    resp3: AtomicBool,
    /// What others had for it passed the output limit.
    pub overflowed: AtomicBool,
    /// Id of the last command; `u32::MAX`: none yet.
    pub last_command: AtomicU32,
    pub commands: AtomicU64,
}

/// Bytes of our master's stream whose commands have run and which our own log hasn't got yet. They go there in
/// one piece, before the shards are left in which they ran: a lock per command would cost a replica a tenth of
/// its time.
#[derive(Debug, Default)]
pub struct Unlogged(Option<Box<UnloggedBytes>>);

#[derive(Debug, Default)]
struct UnloggedBytes {
    bytes: Vec<u8>,
    /// How many of them are whole units; behind them is the beginning of a transaction.
    whole: usize,
}

impl Unlogged {
    /// Adds a command that has run, or was queued by an open MULTI.
    pub fn push(&mut self, raw: &[u8], in_multi: bool) {
        let held = self.0.get_or_insert_default();
        held.bytes.extend_from_slice(raw);
        if !in_multi {
            held.whole = held.bytes.len();
        }
    }

    /// Whether there are whole units.
    #[inline]
    pub fn is_due(&self) -> bool {
        self.0.as_ref().is_some_and(|held| held.whole > 0)
    }

    /// The whole units.
    pub fn whole(&self) -> &[u8] {
        let held = self.0.as_ref();
        held.map_or(&[], |held| &held.bytes[..held.whole])
    }

    /// The whole units are in the log.
    pub fn logged(&mut self) {
        if let Some(held) = &mut self.0 {
            held.bytes.drain(..held.whole);
            held.whole = 0;
        }
    }

    /// The link is over: what was not logged comes again.
    pub fn clear(&mut self) {
        self.0 = None;
    }
}

/// What CLIENT LIST shows besides the atomics; the owner updates it when it changes.
#[derive(Clone, Debug, Default)]
pub struct ClientView {
    pub name: String,
    pub lib_name: String,
    pub lib_ver: String,
    pub user: String,
    pub db: usize,
    pub subscriptions: u32,
    pub pattern_subscriptions: u32,
    pub shard_subscriptions: u32,
    /// Commands that wait in its MULTI; None: it has none.
    pub multi: Option<u32>,
    pub multi_bytes: usize,
    pub watch: u32,
    /// A watched key has changed.
    pub watch_dirty: bool,
    /// Bytes of the arguments of the command that it is blocked in.
    pub argument_bytes: usize,
    pub monitor: bool,
    pub replica: bool,
    pub master: bool,
    pub no_evict: bool,
    pub no_touch: bool,
    pub closing: bool,
    pub unix_socket: bool,
    pub fd: i32,
    pub authenticated: bool,
}

impl Client {
    /// The address of clients without a socket.
    pub const IN_PROCESS: &str = "in-process:0";

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
    pub fn is_local(&self) -> bool {
        match self.addr.parse::<std::net::SocketAddr>() {
            Ok(addr) => addr.ip().to_canonical().is_loopback(),
            Err(_) => true,
        }
    }

    /// The protocol version that it speaks.
    #[inline]
    pub fn resp(&self) -> Resp {
        if self.resp3.load(Ordering::Relaxed) {
            Resp::V3
        } else {
            Resp::V2
        }
    }

    /// From now on it is spoken to in this version.
    pub fn speak(&self, version: Resp) {
        self.resp3.store(version == Resp::V3, Ordering::Relaxed);
    }

    /// Appends a copy of the bytes and wakes the owner. Passing the limit kills the client instead.
    pub fn push(&self, bytes: &[u8]) {
        self.push_with(bytes.len(), |output| output.put(bytes));
    }

    /// As `push`, for a message that others get as well: a long one is shared, not copied.
    pub fn push_shared(&self, message: &Bytes) {
        self.push_with(message.len(), |output| output.share(message.clone()));
    }

    /// As `push`, for a whole reply.
    pub fn push_output(&self, reply: Output) {
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
    pub fn wake(&self) {
        let waker = self.outbox.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Its session begins to wait. A request to end an earlier wait that came too late is forgotten, so that
    /// it doesn't end this one.
    pub fn begin_wait(&self) {
        self.unblock.store(0, Ordering::Release);
        self.blocked.store(true, Ordering::Release);
    }

    pub fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether it shows as blocked: it waits in a command, or a pause holds it up.
    pub fn is_held(&self) -> bool {
        self.blocked.load(Ordering::Relaxed) || self.paused.load(Ordering::Relaxed)
    }

    /// The output that waits for it, here and in its owner's buffer.
    pub fn output_waiting(&self) -> OutputWaiting {
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
    pub fn buffers(&self) -> usize {
        self.input_bytes.load(Ordering::Relaxed)
            + self.input_free_bytes.load(Ordering::Relaxed)
            + self.output_waiting().bytes
    }

    /// Moves what is there to the end of `to`.
    pub fn take_pushed(&self, to: &mut Output) {
        to.take_from(&mut self.outbox.lock().output);
    }

    /// The owner takes what is there and leaves a waker for the next push.
    pub fn take_output(&self, waker: &Waker) -> Output {
        let mut output = Output::default();
        self.move_output(waker, &mut output);
        output
    }

    /// As `take_output`, to the end of `to`.
    #[inline]
    pub fn move_output(&self, waker: &Waker, to: &mut Output) {
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
pub struct OutputWaiting {
    pub bytes: usize,
    /// How many pieces beside the buffers that are being filled.
    pub pieces: usize,
    /// Of the bytes, those in pieces.
    pub in_pieces: usize,
}

impl OutputWaiting {
    /// Bytes that the pieces take with the list that they are in: Redis's "output list", and CLIENT LIST's omem.
    pub fn list_memory(&self) -> usize {
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
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub fn add(&self, client: Arc<Client>) {
        self.map.write().insert(client.id, client);
    }

    pub fn remove(&self, id: u64) {
        self.map.write().remove(&id);
    }

    pub fn get(&self, id: u64) -> Option<Arc<Client>> {
        self.map.read().get(&id).cloned()
    }

    pub fn len(&self) -> usize {
        self.map.read().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every client, by rising id.
    pub fn all(&self) -> Vec<Arc<Client>> {
        let mut all: Vec<_> = self.map.read().values().cloned().collect();
        all.sort_by_key(|c| c.id);
        all
    }
}
