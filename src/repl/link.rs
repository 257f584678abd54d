//! The replica's side of a link, without sockets: a state machine that is told what happened (connected,
//! bytes, time, loaded) and says what to do (connect, send, load, apply).
//!
//! ```text
//! Idle -> Connecting -> ExpectPong -> ExpectAuth? -> ExpectPort -> ExpectIp? -> ExpectCapa -> ExpectPsync
//!   ^                                                                              |            |
//!   |                                                        +FULLRESYNC / -ERR (SYNC)      +CONTINUE
//!   |                                                                              v            |
//!   +----------- any failure, timeout, loss ----  ExpectPayload -> Transfer -> Loading -> Streaming
//! ```
//!
//! What is resumed is the node's own stream: its replid and offset, which only ever move when a whole
//! command has been applied and logged. So a lost link, a broken transfer, or a change of master leaves
//! nothing to repair: the next PSYNC names what the node has. `resumable` says whether that names anything
//! a master could know (not on a fresh node, nor after the old SYNC, which tells no offsets).
//!
//! The dump of a full sync goes elsewhere to be loaded beside the old data; only when the owner says that
//! it was swapped in does the link go on to the stream, whose first bytes may have come in the meantime and
//! are kept (the owner stops reading while [`Link::wants_read`] is false, which bounds them).
//!
//! The owner may refuse a dump that was loaded ([`Link::refused`]: a master that has nothing must not empty
//! us), and a dump may be one that we can't read. What fails in the same way again is said once and tried
//! ever more rarely, up to once a minute; the old data serves on.
//!
//! The lines before the stream are in `handshake`.
//!
//! In a failover of ours the master to be is asked by PSYNC FAILOVER to take over. A refusal ends the
//! failover. An answer that was lost does not, since the other may have taken over: it is asked again, and
//! if it then says that it is a master, that was the answer.

use bytes::Bytes;
use tracing::{info, warn};

use super::replid::ReplId;
use super::transfer::Transfer;
use super::wire;

pub(crate) mod driver;
mod handshake;
pub(crate) mod io;

/// Longest line accepted from a master in the handshake, bytes.
const LINE_MAX: usize = 64 * 1024;
/// Between two acks, and between two newlines while loading, ms.
const ACK_PERIOD_MS: i64 = 1000;
/// The first and the longest pause between attempts, ms; each pause is drawn from its upper half.
const RETRY_FIRST_MS: i64 = 1000;
const RETRY_MAX_MS: i64 = 5000;
/// The longest pause after a failure that came twice or more in the same words, ms.
const RETRY_SAME_MAX_MS: i64 = 60_000;
/// After the stream ran for so long without a failure, the next one counts as the first, ms.
const CALM_MS: i64 = 120_000;
/// Delta resyncs in a row after which the stream did not go on.
const DELTAS_MAX: u32 = 3;
/// The pause while writes are held up by a failover, ms.
const RETRY_FAILOVER_MS: i64 = 200;
/// Whom to follow and how to present ourselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkConfig {
    pub host: String,
    pub port: u16,
    /// masteruser and masterauth.
    pub user: Option<String>,
    pub password: Option<String>,
    /// The port and address our master shows in INFO.
    pub announce_port: u16,
    pub announce_ip: Option<String>,
    /// repl-timeout, ms.
    pub timeout_ms: i64,
    /// Ask our future master to take over (FAILOVER).
    pub failover: bool,
    /// repl-delta-resync.
    pub delta: bool,
}

/// What the node is at the moment of an event.
#[derive(Clone, Copy, Debug)]
pub struct Env {
    /// Any clock that doesn't go back, ms.
    pub now_ms: i64,
    /// The history and the end of our stream: what PSYNC names, what ACK tells.
    pub id: ReplId,
    pub offset: u64,
    /// Fresh randomness, for jitter.
    pub random: u64,
}

/// What the owner must do, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum LinkAction {
    /// Open a connection to the configured master; then call `connected` or `closed`.
    Connect,
    /// Drop the connection (or the attempt).
    Close,
    Send(Vec<u8>),
    /// A dump begins: it is the history `id` after `offset` bytes. `size`: bytes, if known.
    BeginLoad {
        id: ReplId,
        offset: u64,
        size: Option<u64>,
    },
    /// The dump's next bytes.
    Load(Bytes),
    /// The dump is complete: when it is loaded and swapped in, with the stream set to the id and offset of
    /// `BeginLoad`, call `loaded`.
    FinishLoad,
    /// The dump won't be completed: forget it, keep the old data.
    AbortLoad,
    /// The master continues from our offset. A new id means: our present id becomes the second one, valid up to our
    /// offset, the new one ours, and our own replicas are disconnected to learn it.
    Continue {
        new_id: Option<ReplId>,
    },
    /// Bytes of the stream to apply and log, in order, cut anywhere.
    Apply(Bytes),
    /// The master wants a full sync; why, in words.
    Resync {
        reason: String,
    },
    /// The master would rather have us fetch what differs (`repl::delta`): then call `delta_ended`.
    Delta,
    /// Our failover's target took over.
    FailoverAccepted,
    /// It did not: we must be the master again. The reason as Redis words it.
    FailoverRefused(&'static str),
}

#[derive(Debug)]
enum State {
    /// Not connected; tries again at the given time.
    Idle {
        retry_at_ms: i64,
    },
    Connecting,
    ExpectPong,
    ExpectAuth,
    ExpectPort,
    ExpectIp,
    ExpectCapa,
    ExpectPsync,
    ExpectPayload,
    Transfer(Transfer),
    Loading {
        kept: Vec<Bytes>,
    },
    Streaming,
}

/// The state as ROLE and INFO name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkState {
    #[default]
    Connect,
    Connecting,
    Handshake,
    Sync,
    Connected,
}

impl LinkState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            LinkState::Connect => "connect",
            LinkState::Connecting => "connecting",
            LinkState::Handshake => "handshake",
            LinkState::Sync => "sync",
            LinkState::Connected => "connected",
        }
    }
}

/// How the stream is to be asked for again after a failure in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// From where it failed.
    Same,
    /// By a full sync.
    InFull,
}

/// The link to one master.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    state: State,
    resumable: bool,
    /// History and offset of the dump that is coming; None after the old SYNC.
    incoming: Option<(ReplId, u64)>,
    line: Vec<u8>,
    last_io_ms: i64,
    /// When the present transfer began.
    transfer_since_ms: i64,
    next_ack_ms: i64,
    /// Failed attempts since the link last streamed.
    failures: u32,
    /// The master came by SYNC: it wants no acks.
    legacy: bool,
    /// The place in the master's queue for a transfer, as it last told; 0: in none.
    queue_place: usize,
    /// Why the link is down, in words.
    last_error: Option<String>,
    /// The dump that could not be taken: why, and how often in a row.
    refusal: Option<(String, u32)>,
    /// Where the stream continues with what can't be applied here.
    stuck_at: Option<u64>,
    /// How often in a row that was so, and since when the stream runs.
    stream_failures: u32,
    streaming_since_ms: i64,
    /// This very attempt failed as the one before: for the same refusal.
    same_again: bool,
    /// The owner can't take the stream for now: no attempts until it can.
    held: bool,
    /// Why the history we had can't be resumed, if it was given up.
    forgotten: Option<String>,
    /// PSYNC FAILOVER was sent, and the answer never came.
    failover_unanswered: bool,
    /// What differs is being fetched: no attempts until it has been.
    fetching: bool,
    /// A delta resync has failed: the next sync is a full one.
    no_delta: bool,
    /// Delta resyncs since the link was last up.
    deltas: u32,
}

impl Link {
    /// A link that connects at its first tick. `resumable`: whether the node's own replid and offset may be
    /// offered to a master (it was a master, or took them up from a dump).
    pub fn new(config: LinkConfig, resumable: bool) -> Link {
        Link {
            config,
            state: State::Idle { retry_at_ms: 0 },
            resumable,
            incoming: None,
            line: Vec::new(),
            last_io_ms: 0,
            transfer_since_ms: 0,
            next_ack_ms: 0,
            failures: 0,
            legacy: false,
            queue_place: 0,
            last_error: None,
            refusal: None,
            stuck_at: None,
            stream_failures: 0,
            streaming_since_ms: 0,
            same_again: false,
            held: false,
            forgotten: None,
            failover_unanswered: false,
            fetching: false,
            no_delta: false,
            deltas: 0,
        }
    }

    pub(crate) fn config(&self) -> &LinkConfig {
        &self.config
    }

    pub(crate) fn set_config(&mut self, config: LinkConfig) {
        self.config = config;
    }

    pub(crate) fn resumable(&self) -> bool {
        self.resumable
    }

    /// The place in the master's queue for a transfer, from 1 on, if it told one; 0: it waits in none.
    pub(crate) fn queue_place(&self) -> usize {
        self.queue_place
    }

    /// What the last attempt, or the link, failed of; None once the link is up.
    pub(crate) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// The stream broke in a way that leaves our data in doubt: the next sync must be a full one.
    pub(crate) fn forget(&mut self) {
        if std::mem::take(&mut self.resumable) {
            info!("Discarding previously cached master state.");
        }
    }

    /// Nothing that we have can be resumed any more; `why`, in words.
    pub(crate) fn discard(&mut self, why: &str) {
        self.forget();
        self.forgotten = Some(why.to_owned());
    }

    pub fn state(&self) -> LinkState {
        match self.state {
            State::Idle { .. } => LinkState::Connect,
            State::Connecting => LinkState::Connecting,
            State::ExpectPong
            | State::ExpectAuth
            | State::ExpectPort
            | State::ExpectIp
            | State::ExpectCapa
            | State::ExpectPsync => LinkState::Handshake,
            State::ExpectPayload | State::Transfer(_) | State::Loading { .. } => LinkState::Sync,
            State::Streaming => LinkState::Connected,
        }
    }

    /// Bytes of the dump read so far, and its size if known.
    pub(crate) fn progress(&self) -> Option<(u64, Option<u64>)> {
        match &self.state {
            State::Transfer(t) => Some((t.read(), t.total())),
            _ => None,
        }
    }

    /// How long the transfer under way will take yet at the rate it had so far, ms; None: nobody knows.
    pub(crate) fn eta_ms(&self, now_ms: i64) -> Option<u64> {
        let (read, total) = self.progress()?;
        let passed_ms = u64::try_from(now_ms - self.transfer_since_ms).ok()?;
        let left = total?.saturating_sub(read);
        u64::try_from(u128::from(left) * u128::from(passed_ms) / u128::from(read.max(1))).ok()
    }

    /// When the master was last heard of.
    pub(crate) fn last_io_ms(&self) -> i64 {
        self.last_io_ms
    }

    /// Whether the owner should read from the socket.
    pub fn wants_read(&self) -> bool {
        !matches!(
            self.state,
            State::Loading { .. } | State::Idle { .. } | State::Connecting
        )
    }

    /// The owner is still busy with what it was given, so silence isn't the master's fault.
    pub(crate) fn touch(&mut self, env: &Env) {
        self.last_io_ms = env.now_ms;
    }

    /// Time passed. To be called about ten times a second.
    pub fn tick(&mut self, env: &Env, out: &mut Vec<LinkAction>) {
        match &self.state {
            State::Idle { retry_at_ms }
                if env.now_ms >= *retry_at_ms && !self.held && !self.fetching =>
            {
                info!(
                    "Connecting to MASTER {}:{}",
                    self.config.host, self.config.port
                );
                info!("MASTER <-> REPLICA sync started");
                self.state = State::Connecting;
                self.last_io_ms = env.now_ms;
                out.push(LinkAction::Connect);
                return;
            }
            State::Idle { .. } => return,
            State::Loading { .. } if env.now_ms >= self.next_ack_ms => {
                // Tells the master that we live, without meaning anything.
                self.next_ack_ms = env.now_ms + ACK_PERIOD_MS;
                out.push(LinkAction::Send(b"\n".to_vec()));
            }
            State::Streaming if env.now_ms >= self.next_ack_ms => self.ack(env, out),
            _ => {}
        }
        if matches!(self.state, State::Loading { .. })
            || env.now_ms - self.last_io_ms <= self.config.timeout_ms
        {
            return;
        }
        match self.state {
            State::ExpectPayload | State::Transfer(_) => warn!(
                "Timeout receiving bulk data from MASTER... If the problem persists try to set the \
                 'repl-timeout' parameter in redis.conf to a larger value."
            ),
            State::Streaming => warn!("MASTER timeout: no data nor PING received..."),
            _ => warn!("Timeout connecting to the MASTER..."),
        }
        let silence = format!("nothing was heard for {} ms", self.config.timeout_ms);
        let why = self.interrupted(&silence);
        self.drop_link(env, why, out);
    }

    /// The connection stands.
    pub fn connected(&mut self, env: &Env, out: &mut Vec<LinkAction>) {
        if !matches!(self.state, State::Connecting) {
            return;
        }
        info!("Non blocking connect for SYNC fired the event.");
        self.last_io_ms = env.now_ms;
        self.line.clear();
        self.legacy = false;
        self.incoming = None;
        self.state = State::ExpectPong;
        send(out, &["PING"]);
    }

    /// The connection was lost, or could not be made.
    pub fn closed(&mut self, env: &Env, error: &str, out: &mut Vec<LinkAction>) {
        match self.state {
            State::Idle { .. } => return,
            State::Connecting => warn!("Error condition on socket for SYNC: {error}"),
            // Said of each way in which such a link ends.
            State::Streaming => {}
            State::ExpectPayload | State::Transfer(_) | State::Loading { .. } => {
                warn!("I/O error trying to sync with MASTER: {error}");
            }
            _ => warn!("Master did not respond to command during SYNC handshake"),
        }
        if matches!(self.state, State::ExpectPsync) && self.config.failover {
            self.failover_unanswered = true;
        }
        let why = self.interrupted(error);
        self.drop_link(env, why, out);
    }

    /// What was going on when the link ended, and of what it ended.
    fn interrupted(&self, error: &str) -> String {
        match &self.state {
            State::Idle { .. } | State::Connecting => format!("could not connect: {error}"),
            State::ExpectPayload => {
                format!("the master ended the full sync before its dump: {error}")
            }
            State::Transfer(transfer) => {
                let of = transfer.total().map(|n| format!(" of {n}"));
                format!(
                    "the full sync ended after {}{} bytes of the dump: {error}",
                    transfer.read(),
                    of.unwrap_or_default()
                )
            }
            State::Loading { .. } => format!("the link ended while the dump was loaded: {error}"),
            State::Streaming => format!("the link ended: {error}"),
            _ => format!("the link ended in the handshake: {error}"),
        }
    }

    /// Sends our offset now, unless the master wants no acks.
    fn ack(&mut self, env: &Env, out: &mut Vec<LinkAction>) {
        self.next_ack_ms = env.now_ms + ACK_PERIOD_MS;
        if self.stuck_at.is_some() && self.is_past_obstacle(env) {
            self.came_up();
            self.stream_failures = 0;
        }
        if !self.legacy {
            self.answer_getack(env, out);
        }
    }

    /// The master asked how far we are.
    pub(crate) fn answer_getack(&mut self, env: &Env, out: &mut Vec<LinkAction>) {
        if matches!(self.state, State::Streaming) {
            send(out, &["REPLCONF", "ACK", &env.offset.to_string()]);
        }
    }

    /// The dump given by `BeginLoad` to `FinishLoad` is in place. The stream continues from there.
    pub fn loaded(&mut self, env: &Env, out: &mut Vec<LinkAction>) {
        if !matches!(self.state, State::Loading { .. }) {
            return;
        }
        info!("MASTER <-> REPLICA sync: Finished with success");
        let State::Loading { kept } = std::mem::replace(&mut self.state, State::Streaming) else {
            return;
        };
        self.streaming_since_ms = env.now_ms;
        self.resumable = !self.legacy;
        self.failures = 0;
        self.came_up();
        self.forgotten = None;
        self.last_io_ms = env.now_ms;
        self.ack(env, out);
        out.extend(kept.into_iter().map(LinkAction::Apply));
    }

    /// The dump could not be loaded; the old data is still there.
    pub fn load_failed(&mut self, env: &Env, error: &str, out: &mut Vec<LinkAction>) {
        if matches!(self.state, State::Transfer(_) | State::Loading { .. }) {
            if self.is_new_refusal(error) {
                warn!("Failed trying to load the MASTER synchronization DB: {error}");
            }
            self.drop_link(env, error, out);
        }
    }

    /// If it isn't connected: tries again after so many ms, not earlier.
    pub(crate) fn put_off(&mut self, env: &Env, pause_ms: i64) {
        if let State::Idle { retry_at_ms } = &mut self.state {
            *retry_at_ms = env.now_ms + pause_ms;
        }
    }

    /// The dump is loaded, and the owner won't take it. The old data is still there.
    pub(crate) fn refused(&mut self, env: &Env, why: &str, out: &mut Vec<LinkAction>) {
        if matches!(self.state, State::Loading { .. }) {
            if self.is_new_refusal(why) {
                warn!("Refusing the MASTER's dataset: {why}");
            }
            self.drop_link(env, why, out);
        }
    }

    /// Counts a dump that could not be taken; false if the last one failed of the same.
    fn is_new_refusal(&mut self, why: &str) -> bool {
        match &mut self.refusal {
            Some((before, times)) if before == why => {
                *times = times.saturating_add(1);
                self.same_again = true;
                false
            }
            refusal => {
                *refusal = Some((why.to_owned(), 1));
                true
            }
        }
    }

    /// The stream continues with what this node, as it is set up, can't apply. What was applied stands and will be
    /// resumed from, or replaced by a full sync, as `retry` says. The master can only send the same again, so it is
    /// asked ever more rarely, but for the first full sync.
    pub(crate) fn cannot_apply(
        &mut self,
        env: &Env,
        why: &str,
        retry: Retry,
        out: &mut Vec<LinkAction>,
    ) {
        if self.is_new_refusal(why) {
            warn!("The MASTER's stream can't be applied: {why}");
        }
        self.stuck_at = Some(env.offset);
        if env.now_ms - self.streaming_since_ms > CALM_MS {
            self.stream_failures = 0;
        }
        self.stream_failures = self.stream_failures.saturating_add(1);
        let times = self.stream_failures;
        let full = (RETRY_FIRST_MS << (times - 1).min(8)).min(RETRY_SAME_MAX_MS);
        let mut pause_ms = jittered(full, env.random);
        if retry == Retry::InFull {
            self.discard(why);
            if times == 1 {
                pause_ms = 0;
            }
        }
        self.drop_link(env, why, out);
        self.put_off(env, pause_ms);
    }

    /// What we have is to be replaced by a full sync, now.
    pub(crate) fn resync(&mut self, env: &Env, why: &str, out: &mut Vec<LinkAction>) {
        self.discard(why);
        let is_coming = matches!(
            self.state,
            State::ExpectPayload | State::Transfer(_) | State::Loading { .. }
        );
        if !is_coming {
            self.drop_link(env, why, out);
            self.try_now(env);
        }
    }

    /// If it isn't connected: tries again at the next tick.
    pub(crate) fn try_now(&mut self, env: &Env) {
        self.stream_failures = 0;
        self.put_off(env, 0);
    }

    /// Whether the stream, which has come to `offset`, goes on with what can't be applied.
    pub(crate) fn is_stuck(&self, offset: u64) -> bool {
        self.stuck_at == Some(offset)
    }

    fn came_up(&mut self) {
        self.no_delta = false;
        self.deltas = 0;
        self.last_error = None;
        self.refusal = None;
        self.stuck_at = None;
    }

    /// The stream that the link ended of last is past its obstacle.
    fn is_past_obstacle(&self, env: &Env) -> bool {
        !self.is_stuck(env.offset)
    }

    /// The owner can't take the stream for now: the link ends, and no attempt is made until [`Link::release`].
    /// What was not applied will be asked for again.
    pub(crate) fn hold(&mut self, env: &Env, why: &str, out: &mut Vec<LinkAction>) {
        warn!("{why}");
        self.drop_link(env, why, out);
        self.held = true;
    }

    /// What differs has been fetched and applied: history and offset are the master's, who continues from there. Or it
    /// could not be, and a full sync has to do it.
    pub(crate) fn delta_ended(&mut self, env: &Env, result: Result<(), &str>) {
        self.fetching = false;
        self.put_off(env, 0);
        match result {
            Ok(()) => {
                self.resumable = true;
                self.forgotten = None;
                self.failures = 0;
                self.deltas += 1;
                // The master can't continue from what it sent: once may be bad luck.
                self.no_delta = self.deltas >= DELTAS_MAX;
            }
            Err(why) => {
                self.no_delta = true;
                self.last_error = Some(format!("no delta resync: {why}"));
            }
        }
    }

    /// The owner can take the stream again.
    pub(crate) fn release(&mut self) {
        self.held = false;
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// The stream can't be understood. What was applied stands, but nothing more can be resumed.
    pub(crate) fn broken(&mut self, env: &Env, error: &str, out: &mut Vec<LinkAction>) {
        warn!("Protocol error from master: {error}");
        let why = format!("its stream could not be understood ({error})");
        self.discard(&why);
        self.drop_link(env, why, out);
    }

    /// Ends whatever is going on, for good: the link is about to be dropped or pointed elsewhere.
    pub(crate) fn stop(&mut self, out: &mut Vec<LinkAction>) {
        self.end_connection(out);
        self.state = State::Idle { retry_at_ms: 0 };
        self.failures = 0;
    }

    fn end_connection(&mut self, out: &mut Vec<LinkAction>) {
        self.queue_place = 0;
        match self.state {
            State::Streaming => {
                info!("Connection with master lost.");
                info!("Caching the disconnected master state.");
                out.push(LinkAction::Close);
            }
            State::Transfer(_) | State::Loading { .. } => {
                out.push(LinkAction::AbortLoad);
                out.push(LinkAction::Close);
            }
            State::Idle { .. } => {}
            _ => out.push(LinkAction::Close),
        }
    }

    /// Ends the connection; `why` is what INFO says of it.
    fn drop_link(&mut self, env: &Env, why: impl Into<String>, out: &mut Vec<LinkAction>) {
        self.last_error = Some(why.into());
        self.end_connection(out);
        let was_up = matches!(self.state, State::Streaming);
        let pause_ms = if was_up && self.is_past_obstacle(env) {
            // A link that worked is worth an immediate try: the backlog is moving on meanwhile.
            info!(
                "Reconnecting to MASTER {}:{}",
                self.config.host, self.config.port
            );
            0
        } else if self.config.failover {
            RETRY_FAILOVER_MS / 2 + (env.random % (RETRY_FAILOVER_MS as u64 / 2)) as i64
        } else {
            // Only what failed in the same way again is put off for long: a master that is away may be back.
            let full = match &self.refusal {
                Some((_, times @ 2..)) if self.same_again => {
                    (RETRY_FIRST_MS << (times - 1).min(8)).min(RETRY_SAME_MAX_MS)
                }
                _ => (RETRY_FIRST_MS << self.failures.min(8)).min(RETRY_MAX_MS),
            };
            jittered(full, env.random)
        };
        self.same_again = false;
        self.failures = if was_up { 0 } else { self.failures + 1 };
        self.state = State::Idle {
            retry_at_ms: env.now_ms + pause_ms,
        };
    }

    fn endless_line(&mut self, env: &Env, out: &mut Vec<LinkAction>) {
        warn!("Master sent an endless line in the handshake");
        self.drop_link(env, "the master sent an endless line", out);
    }

    /// Bytes came.
    pub fn received(&mut self, env: &Env, mut input: Bytes, out: &mut Vec<LinkAction>) {
        self.last_io_ms = env.now_ms;
        loop {
            match &mut self.state {
                State::Idle { .. } | State::Connecting => return,
                State::Streaming => {
                    if !input.is_empty() {
                        out.push(LinkAction::Apply(input));
                    }
                    return;
                }
                State::Loading { kept } => {
                    if !input.is_empty() {
                        kept.push(input);
                    }
                    return;
                }
                State::Transfer(transfer) => {
                    let (payload, rest) = transfer.feed(input);
                    if !payload.is_empty() {
                        out.push(LinkAction::Load(payload));
                    }
                    let Some(rest) = rest else { return };
                    out.push(LinkAction::FinishLoad);
                    self.next_ack_ms = env.now_ms;
                    self.state = State::Loading { kept: Vec::new() };
                    input = rest;
                }
                _ => {
                    let Some(at) = memchr::memchr(b'\n', &input) else {
                        self.line.extend_from_slice(&input);
                        if self.line.len() > LINE_MAX {
                            self.endless_line(env, out);
                        }
                        return;
                    };
                    let part = input.split_to(at + 1);
                    self.line.extend_from_slice(&part[..at]);
                    if self.line.len() > LINE_MAX {
                        return self.endless_line(env, out);
                    }
                    let mut line = std::mem::take(&mut self.line);
                    if line.last() == Some(&b'\r') {
                        line.pop();
                    }
                    // An empty line only says that the master lives.
                    if !line.is_empty() {
                        self.line_received(env, &line, out);
                    }
                }
            }
        }
    }
}

/// A pause from the upper half of the full one, ms.
fn jittered(full_ms: i64, random: u64) -> i64 {
    full_ms / 2 + (random % (full_ms as u64 / 2)) as i64
}

fn send(out: &mut Vec<LinkAction>, args: &[&str]) {
    let mut bytes = Vec::new();
    wire::command(&mut bytes, args);
    out.push(LinkAction::Send(bytes));
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
