//! A client's state that its own thread owns ([`Session`]), its subscriptions ([`pubsub`]) and the replies that it waits
//! for ([`Ticket`]).

pub(crate) mod pubsub;
mod ticket;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use crate::clients::client::{Client, OwnedArgs};
use crate::config::{OutputLimit, OutputLimits};
use crate::keyspace::{KeyId, KeyIdRef};
use crate::repl::DumpFilter;
use crate::resp::{Output, Resp};

pub(crate) use ticket::Ticket;

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
    /// Some queued command runs a script.
    pub runs_scripts: bool,
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
    pub capa_digest: bool,
    pub capa_delta: bool,
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

    /// Whether the command that runs is not answered (CLIENT REPLY), now or later.
    pub(crate) fn wants_no_reply(&self) -> bool {
        matches!(self.reply_mode, ReplyMode::Off | ReplyMode::Skipping)
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

    /// The limit of the client's class: of subscribers, or of normal clients.
    pub fn output_limit(&self, limits: &OutputLimits) -> OutputLimit {
        if self.monitor || self.subscriptions() > 0 {
            limits.pubsub
        } else {
            limits.normal
        }
    }

    /// Bounds what others may have waiting for the client by its class: a subscriber, or a normal client.
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

    /// Bytes of whole units, and of all.
    pub fn lengths(&self) -> (usize, usize) {
        let held = self.0.as_ref();
        held.map_or((0, 0), |held| (held.whole, held.bytes.len()))
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
