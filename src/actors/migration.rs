//! The actor that carries keys to other nodes for MIGRATE: it has the sockets, and waits for the targets.
//!
//! What is sent, and what becomes of a key that has arrived, is decided in [`command::migrate`](crate::command::keys::migrate),
//! inside the shards; no shard is held while a target is waited for, and MIGRATEs of several clients go on beside each
//! other. AUTH and SELECT are answered before the first key leaves, so that no key ends up in a database that it was not
//! meant for.
//!
//! A connection is kept for the next MIGRATE to the same node as the same user, for `IDLE_SECONDS`, as redis-server
//! does; one that the target has closed meanwhile is replaced, once, if nothing was answered over it. Bounds: `IDLE_MAX`
//! connections that nobody uses, one in use and one dump of the keys for each waiting client, each wait by the command's
//! timeout, a line of the target by `LINE_MAX`. Death: it starts
//! anew; a MIGRATE that panics is answered with an error, and its keys stay where they are.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::*;
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::shard;
use crate::actors::supervisor;
use crate::clients::pause::PausePurpose;
use crate::command::keys::migrate::{self, Settled};
use crate::node_core::NodeCore;
use crate::node_core::migration::{Migration, PackedKey, Target, TargetCommand};
use crate::os::outgoing;
use crate::repl::wire;
use crate::resp::Reply;
use crate::session::Ticket;
use crate::supervision::Owner;

/// Connections kept for later, at most.
const IDLE_MAX: usize = 64;
/// How long each.
const IDLE_SECONDS: u64 = 10;
/// Bytes written at a time, each time within the command's timeout.
const CHUNK_BYTES: usize = 64 * 1024;
/// Longest line that a target may answer, bytes.
const LINE_MAX: usize = 64 * 1024;
/// What a MIGRATE is answered that panicked.
const INTERNAL_ERROR: &str = "ERR internal error, see the log";
/// Between two looks whether a pause of writes is over.
const PAUSE_LOOK: Duration = Duration::from_millis(10);

/// See the module.
pub(crate) struct MigrationActor {
    node: Arc<NodeCore>,
    idle: Rc<RefCell<Idle>>,
}

impl MigrationActor {
    pub(crate) fn new(node: Arc<NodeCore>) -> MigrationActor {
        MigrationActor {
            node,
            idle: Rc::default(),
        }
    }
}

impl Supervised for MigrationActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        *self = MigrationActor::new(self.node.clone());
    }
}

impl Actor for MigrationActor {
    type Context = Context<MigrationActor>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(Duration::from_secs(1), |actor, _| {
            actor.node.supervision.step(Owner::Migration, "tick");
            let now_us = actor.node.clock.monotonic_us();
            actor.idle.borrow_mut().close_old(&actor.node, now_us);
        });
    }
}

/// Carry keys, see [`Services::migrate`](crate::node_core::Services::migrate).
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Migrate {
    pub(crate) ticket: Arc<Ticket>,
    pub(crate) migration: Migration,
    pub(crate) commands: Vec<TargetCommand>,
}

impl Handler<Migrate> for MigrationActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, migrate: Migrate, _: &mut Self::Context) -> Self::Result {
        let (node, idle) = (self.node.clone(), self.idle.clone());
        Box::pin(async move {
            let Migrate {
                ticket,
                migration,
                commands,
            } = migrate;
            let mut reply = Reply::new(ticket.resp);
            let work = async {
                node.supervision.step(Owner::Migration, "migrate");
                run(&node, &idle, &ticket, &migration, commands).await
            };
            let ran = supervisor::caught(Owner::Migration, work).await;
            match ran.map(|ran| ran.map_err(|failure| failure.text())) {
                Ok(Ok(())) => reply.ok(),
                Err(panic) => {
                    tracing::error!("A MIGRATE ends by a panic: {panic}");
                    node.stats.count_error(INTERNAL_ERROR);
                    reply.error(INTERNAL_ERROR);
                }
                Ok(Err(error)) => {
                    node.stats.count_error(&error);
                    reply.error(&error);
                }
            }
            ticket.complete(&reply.take().into_bytes());
        })
    }
}

/// Why not all keys have moved.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    Connect,
    Write,
    Read,
    /// The target's error.
    Target(String),
    /// So many keys changed each time.
    Changed(usize),
    /// We became a replica.
    Replica,
}

impl Failure {
    fn text(&self) -> String {
        match self {
            Failure::Connect => "IOERR error or timeout connecting to the client".into(),
            Failure::Write => "IOERR error or timeout writing to target instance".into(),
            Failure::Read => "IOERR error or timeout reading to target instance".into(),
            Failure::Target(error) => format!("ERR Target instance replied with error: {error}"),
            Failure::Changed(keys) => format!(
                "ERR {keys} keys changed each time they were sent: they stay here, and the target has older copies of them"
            ),
            Failure::Replica => {
                "ERR this node became a replica: the keys stay here, and the target has copies of them"
                    .into()
            }
        }
    }
}

/// Ends the pause of writes that the last rounds are under.
struct Unpause<'n>(&'n NodeCore);

impl Drop for Unpause<'_> {
    fn drop(&mut self) {
        let pause = &self.0.pause;
        let now_ms = self.0.clock.unix_ms();
        if pause.until_of(PausePurpose::Migration, now_ms).is_some() {
            pause.unpause(PausePurpose::Migration);
        }
    }
}

async fn run(
    node: &NodeCore,
    idle: &RefCell<Idle>,
    ticket: &Ticket,
    migration: &Migration,
    mut commands: Vec<TargetCommand>,
) -> Result<(), Failure> {
    let _unpause = Unpause(node);
    let mut round = 0;
    loop {
        round += 1;
        let sent = send(node, idle, migration, &commands).await;
        if migration.copy {
            return sent.result;
        }
        let failed = sent.result.is_err();
        let done = commands
            .drain(..)
            .zip(&sent.done)
            .filter(|(_, done)| **done);
        let taken: Vec<PackedKey> = done
            .filter_map(|(command, _)| match command {
                TargetCommand::Restore { packed, .. } => Some(packed),
                TargetCommand::Delete(_) => None,
            })
            .collect();
        let settled = settle(node, migration, taken, round, failed).await;
        ticket.wrote_until(settled.write_offset.max(ticket.write_offset()));
        sent.result?;
        if settled.replica {
            return Err(Failure::Replica);
        }
        if settled.kept > 0 {
            return Err(Failure::Changed(settled.kept));
        }
        if settled.again.is_empty() {
            return Ok(());
        }
        commands = settled.again;
    }
}

/// Deletes here what the target has taken, or packs it again; not while writes are paused for somebody else's purpose
/// (a failover that waits for its replica).
async fn settle(
    node: &NodeCore,
    migration: &Migration,
    taken: Vec<PackedKey>,
    round: usize,
    failed: bool,
) -> Settled {
    if taken.is_empty() {
        return Settled::default();
    }
    let set = migrate::shards_of(node, &taken);
    let mut taken = Some(taken);
    loop {
        let settled = shard::enter(node, set, |entered| {
            let now_ms = node.clock.unix_ms();
            if node.pause.is_on_besides(PausePurpose::Migration, now_ms) {
                return None;
            }
            let taken = taken.take()?;
            Some(shard::in_context(node, entered, |ctx| {
                migrate::settle(ctx, migration, taken, round, failed)
            }))
        })
        .await;
        match settled {
            Some(settled) => return settled,
            None => sleep(PAUSE_LOOK).await,
        }
    }
}

/// What became of commands: which are done, and why the others are not.
struct Sent {
    done: Vec<bool>,
    result: Result<(), Failure>,
}

impl Sent {
    fn none(failure: Failure) -> Sent {
        Sent {
            done: Vec::new(),
            result: Err(failure),
        }
    }
}

async fn send(
    node: &NodeCore,
    idle: &RefCell<Idle>,
    migration: &Migration,
    commands: &[TargetCommand],
) -> Sent {
    let kept = idle.borrow_mut().take(node, &migration.target);
    let was_kept = kept.is_some();
    let mut peer = match kept {
        Some(peer) => peer,
        None => match connect(node, migration).await {
            Ok(peer) => peer,
            Err(failure) => return Sent::none(failure),
        },
    };
    let mut sent = exchange(node, &mut peer, migration, commands).await;
    // A kept connection that is found closed means nothing.
    if was_kept && peer.broken && !peer.timed_out && !peer.answered {
        peer = match connect(node, migration).await {
            Ok(peer) => peer,
            Err(failure) => return Sent::none(failure),
        };
        sent = exchange(node, &mut peer, migration, commands).await;
    }
    if !peer.broken {
        let now_us = node.clock.monotonic_us();
        idle.borrow_mut()
            .keep(node, migration.target.clone(), peer, now_us);
    }
    sent
}

/// A refused connection is one that can't be written to: redis-server connects without looking.
async fn connect(node: &NodeCore, migration: &Migration) -> Result<Peer, Failure> {
    let Target { host, port, .. } = &migration.target;
    let connecting = outgoing::connect(node, host.clone(), *port);
    let stream = match timeout(migration.timeout, connecting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            return Err(Failure::Write);
        }
        _ => return Err(Failure::Connect),
    };
    // Of no more than speed.
    let _ = stream.set_nodelay(true);
    Ok(Peer {
        stream,
        input: BytesMut::new(),
        selected: None,
        broken: false,
        timed_out: false,
        answered: false,
    })
}

/// One exchange with the target: AUTH and SELECT as needed, then the commands in a pipeline.
async fn exchange(
    node: &NodeCore,
    peer: &mut Peer,
    migration: &Migration,
    commands: &[TargetCommand],
) -> Sent {
    let wait = migration.timeout;
    peer.answered = false;
    if let Err(failure) = greet(peer, migration).await {
        return Sent::none(failure);
    }
    let mut buffer = Vec::new();
    for (index, command) in commands.iter().enumerate() {
        command.write(node.clock.unix_ms(), &mut buffer);
        if buffer.len() >= CHUNK_BYTES || index + 1 == commands.len() {
            if let Err(failure) = peer.write(&buffer, wait).await {
                return Sent::none(failure);
            }
            buffer.clear();
        }
    }
    let mut sent = Sent {
        done: Vec::with_capacity(commands.len()),
        result: Ok(()),
    };
    for _ in commands {
        match peer.answer(wait).await {
            Ok(()) => sent.done.push(true),
            Err(failure @ Failure::Target(_)) => {
                sent.done.push(false);
                sent.result = sent.result.and(Err(failure));
            }
            Err(failure) => {
                sent.result = sent.result.and(Err(failure));
                break;
            }
        }
    }
    sent
}

async fn greet(peer: &mut Peer, migration: &Migration) -> Result<(), Failure> {
    let mut greeting = Vec::new();
    let mut answers = 0;
    let Target { user, password, .. } = &migration.target;
    if let Some(password) = password {
        match user {
            Some(user) => wire::command(&mut greeting, &[b"AUTH".as_slice(), user, password]),
            None => wire::command(&mut greeting, &[b"AUTH".as_slice(), password]),
        }
        answers += 1;
    }
    if peer.selected != Some(migration.target_db) {
        let db = migration.target_db.to_string();
        wire::command(&mut greeting, &["SELECT", &db]);
        answers += 1;
        peer.selected = None;
    }
    if answers == 0 {
        return Ok(());
    }
    peer.write(&greeting, migration.timeout).await?;
    let mut result = Ok(());
    for _ in 0..answers {
        match peer.answer(migration.timeout).await {
            Ok(()) => {}
            Err(failure @ Failure::Target(_)) => result = result.and(Err(failure)),
            Err(failure) => return Err(failure),
        }
    }
    if result.is_ok() {
        peer.selected = Some(migration.target_db);
    }
    result
}

/// A connection to a target.
struct Peer {
    stream: TcpStream,
    /// What has come and was not read yet.
    input: BytesMut,
    /// The database that is selected there.
    selected: Option<i64>,
    /// Nothing more can be said over it.
    broken: bool,
    /// The target was too slow.
    timed_out: bool,
    /// It has answered something in this exchange.
    answered: bool,
}

impl Peer {
    async fn write(&mut self, bytes: &[u8], wait: Duration) -> Result<(), Failure> {
        for chunk in bytes.chunks(CHUNK_BYTES) {
            let written = timeout(wait, self.stream.write_all(chunk)).await;
            self.check(written).ok_or(Failure::Write)?;
        }
        Ok(())
    }

    /// The next reply: a line, and an error if it begins with `-`.
    async fn answer(&mut self, wait: Duration) -> Result<(), Failure> {
        let end = loop {
            if let Some(end) = memchr::memchr(b'\n', &self.input) {
                break end;
            }
            let room = self.input.len() < LINE_MAX;
            let read = timeout(wait, self.stream.read_buf(&mut self.input)).await;
            let count = self.check(read).filter(|count| *count > 0 && room);
            self.broken |= count.is_none();
            count.ok_or(Failure::Read)?;
        };
        self.answered = true;
        let line = self.input.split_to(end + 1);
        let line = line.trim_ascii_end();
        match line.first() {
            Some(b'+' | b':') => Ok(()),
            Some(b'-') => {
                let text = String::from_utf8_lossy(&line[1..]);
                Err(Failure::Target(text.into_owned()))
            }
            // Whoever speaks there, it is no answer to what was asked.
            _ => {
                self.broken = true;
                Err(Failure::Read)
            }
        }
    }

    /// Notes what is wrong with the connection, if something is.
    fn check<T>(
        &mut self,
        result: Result<io::Result<T>, tokio::time::error::Elapsed>,
    ) -> Option<T> {
        self.timed_out |= result.is_err();
        let result = result.ok().and_then(Result::ok);
        self.broken |= result.is_none();
        result
    }
}

/// Connections that are kept for the next MIGRATE.
#[derive(Default)]
struct Idle {
    /// With the moment since which each is unused, monotonic microseconds.
    peers: HashMap<Target, (Peer, u64)>,
}

impl Idle {
    fn take(&mut self, node: &NodeCore, target: &Target) -> Option<Peer> {
        let taken = self.peers.remove(target);
        self.tell(node);
        taken.map(|(peer, _)| peer)
    }

    /// Keeps it in place of the one that is kept for that target; when there are too many, the oldest goes.
    fn keep(&mut self, node: &NodeCore, target: Target, peer: Peer, now_us: u64) {
        if self.peers.len() >= IDLE_MAX {
            let oldest = self.peers.iter().min_by_key(|(_, (_, since_us))| *since_us);
            let oldest = oldest.map(|(target, _)| target.clone());
            oldest.and_then(|target| self.peers.remove(&target));
        }
        self.peers.insert(target, (peer, now_us));
        self.tell(node);
    }

    fn close_old(&mut self, node: &NodeCore, now_us: u64) {
        if self.peers.is_empty() {
            return;
        }
        let oldest_us = now_us.saturating_sub(IDLE_SECONDS * 1_000_000);
        self.peers.retain(|_, (_, since_us)| *since_us > oldest_us);
        self.tell(node);
    }

    fn tell(&self, node: &NodeCore) {
        node.migrate_sockets
            .store(self.peers.len(), Ordering::Relaxed);
    }
}
