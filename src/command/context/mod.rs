//! What a handler works with: the entered shards, the session, the reply, the effects, the time.
//!
//! Handlers look keys up through the methods here, never through `Db` directly, so that logical expiry,
//! statistics, watches, notifications and blocked clients are right everywhere. The rules:
//!
//! - `find*` for reads, `find_*_mut`/`*_or_create` for writes. Both treat an expired key as absent; on a
//!   master they also delete it, with a DEL effect and an "expired" notification, as Redis does.
//! - After a change: [`Context::changed`] (watchers, `dirty`, notification in one call).
//! - A collection that may have become empty: [`Context::remove_if_empty`].
//! - A key that became non-empty and may have clients blocked on it: [`Context::signal_ready`].

pub(crate) mod arguments;
#[cfg(test)]
pub(crate) mod bench;
pub(crate) mod effects;
pub(crate) mod events;
pub(crate) mod lookup;
#[cfg(test)]
mod lookup_tests;
pub(crate) mod values;

use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use bytes::Bytes;

use crate::command::Effects;
use crate::command::context::lookup::{Found, Look};
use crate::command::dispatch::prefetch::Upcoming;
use crate::command::replication::FollowOrder;
use crate::command::script::Chosen;
use crate::command::script::host::Outer;
use crate::config::Settings;
use crate::data::{
    Encodings, Hash, Kind, List, Set, StrRef, Stream, Value, ValueMut, ValueRef, Zset,
};
use crate::keyspace::{Entered, Entry, Expiry, ShardSet};
use crate::node_core::NodeCore;
use crate::observe::command_stats::BatchCounters;
use crate::repl::StreamFailure;
use crate::resp::Reply;
use crate::session::{Origin, Session, Ticket, Waiting};
use crate::table::Command;
use crate::table::{Args, CommandError, CommandResult};

/// Classes of keyspace events, as `notify-keyspace-events` letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventClass {
    Generic,
    String,
    List,
    Set,
    Hash,
    Zset,
    Stream,
    Expired,
    KeyMiss,
    New,
}

/// Why and until when a command wants to wait (BLPOP and its kin).
#[derive(Clone, Debug)]
pub(crate) struct BlockRequest {
    /// Which arguments are the keys, in the order in which they are to be tried; the client waits for any of them.
    pub(crate) key_args: Range<usize>,
    /// Unix ms; None: for ever.
    pub(crate) deadline_ms: Option<i64>,
    /// Which kind of key ends the wait; others are not looked at.
    pub(crate) kind: Kind,
    /// The command is to run, too, when a key is deleted, expires or gets another kind.
    pub(crate) on_deletion: bool,
    /// The reply at timeout: a null array (BLPOP) or a null (BLMOVE, BRPOPLPUSH).
    pub(crate) null_array: bool,
    /// Arguments that read otherwise when the command runs again: what `$` stood for when the wait began.
    pub(crate) rewritten: Vec<(usize, Bytes)>,
}

/// Everything a handler needs. Fields are public: a handler may use them as it likes within the rules above.
pub struct Context<'a> {
    pub(crate) node: &'a NodeCore,
    pub(crate) settings: &'a Settings,
    pub(crate) session: &'a mut Session,
    pub(crate) keys: Entered<'a>,
    pub(crate) reply: &'a mut Reply,
    pub(crate) effects: &'a mut Effects,
    /// Unix ms, fixed for the whole command (and the whole EXEC).
    pub(crate) now_ms: i64,
    /// Unix microseconds when the running command began.
    pub(crate) now_us: u64,
    /// When the transaction or script began that the command is a part of: in it TIME stands still.
    pub(crate) unit_began_us: Option<u64>,
    /// How many changes the command has made; 0: nothing to log.
    pub(crate) dirty: u64,
    /// Inside EXEC, or otherwise not allowed to block.
    pub(crate) deny_blocking: bool,
    /// A script runs it.
    pub(crate) in_script: bool,
    /// The master to follow when the transaction is through.
    pub(super) follow_after: Option<Box<FollowOrder>>,
    /// What the command that is being let in is to run, if that is a script.
    pub(super) script: Option<Chosen>,
    /// The command has done nothing yet, and is to run again inside these shards.
    pub(super) again: Option<ShardSet>,
    /// The stack of the EXEC that this runs in, if that has one of its own.
    pub(super) own_stack: Option<NonNull<Outer<'static>>>,
    /// What failed of the transaction of our master's that has just run.
    pub(super) failed_in_unit: Option<Box<StreamFailure>>,
    /// The command goes on elsewhere: who ends it counts it.
    pub(super) goes_on: bool,
    /// Set by a handler that wants to wait; it must not have replied, and its effects, if any, are its own.
    pub(crate) block: Option<BlockRequest>,
    /// This run serves a client that was blocked.
    pub(crate) unblocking: bool,
    /// Commands run since the shards were entered.
    pub(crate) inside: u32,
    /// The log has grown: the MasterActor is to be woken when the batch ends.
    pub(crate) wake_log: bool,
    /// `Hub::epoch` when the running command was let in (one of our master's: when that became our master): if it
    /// has changed once the shards are entered, the command is to be judged again.
    pub(crate) role_epoch: u64,
    /// The batch's counts that are not in the shared counters yet.
    pub(crate) counters: BatchCounters,
    /// Reads of the batch that found their key, likewise; and those that did not.
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    /// The command that a name in the batch stands for, the last that was looked up ahead.
    pub(super) known: Option<(&'a [u8], &'a Command)>,
    /// Keys of the commands to come, see [`Context::prefetch_window`].
    pub(crate) upcoming: Upcoming<'a>,
}

impl<'a> Context<'a> {
    /// A batch's context, with no shard entered.
    pub fn new(
        node: &'a NodeCore,
        settings: &'a Settings,
        session: &'a mut Session,
        reply: &'a mut Reply,
        effects: &'a mut Effects,
    ) -> Context<'a> {
        let now_us = node.clock.unix_us();
        effects.enabled = session.origin == Origin::Client && node.hub.log_active();
        Context {
            node,
            settings,
            session,
            keys: node.keyspace.enter_none(),
            reply,
            effects,
            now_ms: (now_us / 1000) as i64,
            now_us,
            unit_began_us: None,
            dirty: 0,
            deny_blocking: false,
            in_script: false,
            follow_after: None,
            script: None,
            again: None,
            own_stack: None,
            failed_in_unit: None,
            goes_on: false,
            block: None,
            unblocking: false,
            inside: 0,
            wake_log: false,
            role_epoch: node.hub.epoch(),
            counters: BatchCounters::default(),
            hits: 0,
            misses: 0,
            known: None,
            upcoming: Upcoming::new(),
        }
    }

    /// Works inside these shards from now on. Whether writes are logged is asked here, and not when the batch
    /// began: a snapshot's cut is made with every shard entered, and what comes after it must be in the log.
    pub(crate) fn set_keys(&mut self, keys: Entered<'a>) {
        self.keys = keys;
        self.ask_for_log();
    }

    /// Asks whether writes are logged from here on: also after the role changed inside a transaction.
    pub(super) fn ask_for_log(&mut self) {
        self.effects.enabled = self.session.origin == Origin::Client && self.node.hub.log_active();
    }

    /// Ends the batch: leaves the shards, and has what was logged forwarded.
    pub fn finish(self) {
        let node = self.node;
        if self.finish_quietly() {
            node.hub.wake();
        }
    }

    /// As `finish`, but leaves it to the caller to have the log forwarded (`Hub::wake`): true if it has grown.
    #[must_use]
    pub(crate) fn finish_quietly(self) -> bool {
        let wake_log = self.wake_log;
        drop(self);
        wake_log
    }

    /// As a replica: logs what has run of our master's stream. Before shards are left, always: a snapshot's
    /// cut must find the log where the data is.
    #[inline]
    pub(crate) fn log_stream(&mut self) {
        if self.session.unlogged.is_due() {
            let (hub, db) = (&self.node.hub, self.session.db);
            hub.append_from_master(self.role_epoch, self.session.unlogged.whole(), db);
            self.session.unlogged.logged();
        }
    }

    /// Adds what the batch has counted to the node's counters: when it ends, and before a command that may read them.
    pub(crate) fn flush_counters(&mut self) {
        self.counters.flush(&self.node.command_stats);
        if self.hits > 0 {
            self.node
                .stats
                .keyspace_hits
                .add(std::mem::take(&mut self.hits));
        }
        if self.misses > 0 {
            self.node
                .stats
                .keyspace_misses
                .add(std::mem::take(&mut self.misses));
        }
    }

    /// The promise of a reply by an actor: the session waits for it when the handler returns.
    pub(crate) fn ticket(&mut self) -> Arc<Ticket> {
        let silent = self.session.wants_no_reply();
        let ticket = Ticket::new(self.session.client.clone(), self.session.resp(), silent);
        self.session.waiting = Some(Waiting::Reply(ticket.clone()));
        ticket
    }
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        // A command that panicked is logged for no replica, and its shards are not served again.
        if std::thread::panicking() {
            return;
        }
        self.log_stream();
        self.flush_counters();
    }
}

impl<'a> Context<'a> {
    // ---- looking keys up ----

    /// For reading; counts a keyspace hit or miss and stamps LRU.
    pub(crate) fn find(&mut self, key: &[u8]) -> Option<ValueRef<'_>> {
        self.lookup(key, Look::READ).map(|entry| entry.value)
    }
    /// As `find`, and the reply beside it, so that a value can be written out without a copy.
    pub(crate) fn find_for_reply(&mut self, key: &[u8]) -> (Option<ValueRef<'_>>, &mut Reply) {
        let live = self.look(key, Look::READ);
        let db = self.session.db;
        let value = live.map(|found| self.keys.at(found.shard).dbs[db].at(found.place).value);
        (value, self.reply)
    }
    /// As `find`, with expiry and all.
    pub(crate) fn find_entry(&mut self, key: &[u8]) -> Option<Entry<'_>> {
        self.lookup(key, Look::READ)
    }
    /// For looking at how a value is kept (OBJECT): counts, but leaves the access time and tells of no miss.
    pub(crate) fn inspect_entry(&mut self, key: &[u8]) -> Option<Entry<'_>> {
        self.lookup(key, Look::INSPECT)
    }
    /// For reading, without touching LRU or counting (DEBUG, and commands that have looked already).
    pub(crate) fn peek_entry(&mut self, key: &[u8]) -> Option<Entry<'_>> {
        self.lookup(key, Look::PEEK)
    }
    /// For reading; counts as `find` does but leaves the access time (TTL, TYPE, EXISTS).
    pub(crate) fn glance_entry(&mut self, key: &[u8]) -> Option<Entry<'_>> {
        self.lookup(key, Look::GLANCE)
    }
    /// Whether the key is there, as `glance_entry` sees it.
    pub(crate) fn exists(&mut self, key: &[u8]) -> bool {
        self.look(key, Look::GLANCE).is_some()
    }
    /// Whether the key is there to be changed: as `find_mut`, which deletes an expired key, but a snapshot
    /// need not keep the value yet.
    pub(crate) fn present(&mut self, key: &[u8]) -> bool {
        self.look(key, Look::WRITE).is_some()
    }
    pub(crate) fn find_string(&mut self, key: &[u8]) -> CommandResult<Option<StrRef<'_>>> {
        match self.find(key) {
            None => Ok(None),
            Some(ValueRef::String(s)) => Ok(Some(s)),
            Some(_) => Err(CommandError::WRONG_TYPE),
        }
    }
    pub(crate) fn find_set(&mut self, key: &[u8]) -> CommandResult<Option<&Set>> {
        match self.find(key) {
            None => Ok(None),
            Some(ValueRef::Set(s)) => Ok(Some(s)),
            Some(_) => Err(CommandError::WRONG_TYPE),
        }
    }
    pub(crate) fn find_hash(&mut self, key: &[u8]) -> CommandResult<Option<&Hash>> {
        match self.find(key) {
            None => Ok(None),
            Some(ValueRef::Hash(h)) => Ok(Some(h)),
            Some(_) => Err(CommandError::WRONG_TYPE),
        }
    }
    pub(crate) fn find_zset(&mut self, key: &[u8]) -> CommandResult<Option<&Zset>> {
        match self.find(key) {
            None => Ok(None),
            Some(ValueRef::Zset(z)) => Ok(Some(z)),
            Some(_) => Err(CommandError::WRONG_TYPE),
        }
    }
    pub(crate) fn find_stream(&mut self, key: &[u8]) -> CommandResult<Option<&Stream>> {
        match self.find(key) {
            None => Ok(None),
            Some(ValueRef::Stream(s)) => Ok(Some(s)),
            Some(_) => Err(CommandError::WRONG_TYPE),
        }
    }
    /// Several keys at once, for commands that read many collections (SINTER, ZUNION): the values, in
    /// order, borrowed together. Expired ones are absent. Counts hits and misses.
    pub(crate) fn find_many(&mut self, keys: &[&[u8]]) -> Vec<Option<ValueRef<'_>>> {
        // Looking may delete an expired key, after which places are void: so look first, then find.
        let live: Vec<Option<(usize, u64)>> = keys
            .iter()
            .map(|key| self.look(key, Look::READ).map(|f| (f.shard, f.hash)))
            .collect();
        let db = self.session.db;
        let shards = &self.keys;
        live.iter()
            .zip(keys)
            .map(|(found, key)| {
                let (shard, hash) = (*found)?;
                Some(shards.at(shard).dbs[db].get(key, hash)?.value)
            })
            .collect()
    }

    // ---- changing ----

    /// A stream with what is said of it beside: its value, the reply, the effects.
    pub(crate) fn find_stream_apart(
        &mut self,
        key: &[u8],
    ) -> CommandResult<(Option<&mut Stream>, &mut Reply, &mut Effects)> {
        let live = self.look(key, Look::WRITE);
        let db = self.session.db;
        let value = live.map(|found| self.keys.at_mut(found.shard).dbs[db].at_mut(found.place));
        match value {
            None => Ok((None, self.reply, self.effects)),
            Some(ValueMut::Stream(stream)) => Ok((Some(stream), self.reply, self.effects)),
            Some(_) => Err(CommandError::WRONG_TYPE),
        }
    }
    /// For changing in place (a collection) or looking before overwriting (a string).
    pub(crate) fn find_mut(&mut self, key: &[u8]) -> Option<ValueMut<'_>> {
        let found = self.look(key, Look::WRITE)?;
        Some(self.keys.at_mut(found.shard).dbs[self.session.db].at_mut(found.place))
    }
    /// As `find_mut`, and the reply beside it, so that what is taken out can be written without a copy.
    pub(crate) fn find_mut_for_reply(&mut self, key: &[u8]) -> (Option<ValueMut<'_>>, &mut Reply) {
        let live = self.look(key, Look::WRITE);
        let db = self.session.db;
        let value = live.map(|found| self.keys.at_mut(found.shard).dbs[db].at_mut(found.place));
        (value, self.reply)
    }
    pub(crate) fn find_list_mut(&mut self, key: &[u8]) -> CommandResult<Option<&mut List>> {
        match self.find_mut(key) {
            None => Ok(None),
            Some(ValueMut::List(l)) => Ok(Some(l)),
            Some(_) => Err(CommandError::WRONG_TYPE),
        }
    }
    pub(crate) fn find_set_mut(&mut self, key: &[u8]) -> CommandResult<Option<&mut Set>> {
        match self.find_mut(key) {
            None => Ok(None),
            Some(ValueMut::Set(s)) => Ok(Some(s)),
            Some(_) => Err(CommandError::WRONG_TYPE),
        }
    }
    pub(crate) fn find_hash_mut(&mut self, key: &[u8]) -> CommandResult<Option<&mut Hash>> {
        match self.find_mut(key) {
            None => Ok(None),
            Some(ValueMut::Hash(h)) => Ok(Some(h)),
            Some(_) => Err(CommandError::WRONG_TYPE),
        }
    }
    pub(crate) fn find_zset_mut(&mut self, key: &[u8]) -> CommandResult<Option<&mut Zset>> {
        match self.find_mut(key) {
            None => Ok(None),
            Some(ValueMut::Zset(z)) => Ok(Some(z)),
            Some(_) => Err(CommandError::WRONG_TYPE),
        }
    }
    pub(crate) fn find_stream_mut(&mut self, key: &[u8]) -> CommandResult<Option<&mut Stream>> {
        Ok(self.find_stream_apart(key)?.0)
    }
    /// The list at `key`, made empty if absent (the caller must fill it or call `remove_if_empty`).
    pub(crate) fn list_or_create(&mut self, key: &[u8]) -> CommandResult<&mut List> {
        match self.make(key, || Value::List(Box::default())) {
            Some(ValueMut::List(found)) => Ok(found),
            _ => Err(CommandError::WRONG_TYPE),
        }
    }
    pub(crate) fn set_or_create(&mut self, key: &[u8]) -> CommandResult<&mut Set> {
        match self.make(key, || Value::Set(Set::default())) {
            Some(ValueMut::Set(found)) => Ok(found),
            _ => Err(CommandError::WRONG_TYPE),
        }
    }
    pub(crate) fn hash_or_create(&mut self, key: &[u8]) -> CommandResult<&mut Hash> {
        match self.make(key, || Value::Hash(Hash::default())) {
            Some(ValueMut::Hash(found)) => Ok(found),
            _ => Err(CommandError::WRONG_TYPE),
        }
    }
    pub(crate) fn zset_or_create(&mut self, key: &[u8]) -> CommandResult<&mut Zset> {
        match self.make(key, || Value::Zset(Zset::default())) {
            Some(ValueMut::Zset(found)) => Ok(found),
            _ => Err(CommandError::WRONG_TYPE),
        }
    }
    pub(crate) fn stream_or_create(&mut self, key: &[u8]) -> CommandResult<&mut Stream> {
        match self.make(key, || Value::Stream(Box::default())) {
            Some(ValueMut::Stream(found)) => Ok(found),
            _ => Err(CommandError::WRONG_TYPE),
        }
    }
    /// Adds or overwrites a string, whatever was there. What was there and expired goes first.
    pub(crate) fn set_string(&mut self, key: &[u8], value: &[u8], expiry: Expiry) {
        let hash = self.keys.keyspace().hash(key);
        let lru = self.first_stamp();
        let now_ms = self.now_ms;
        let db = self.db_mut(hash);
        let mut place = db.locate(key, hash);
        if place.is_some_and(|place| db.at(place).is_expired(now_ms)) {
            self.expire(key, hash, Look::WRITE);
            place = self.db_mut(hash).locate(key, hash);
        }
        let put = self
            .db_mut(hash)
            .put_string_at(place, key, hash, value, expiry, lru);
        self.settle(key, put);
        if let Expiry::At(at) = expiry {
            self.note_expiry(key, at);
        }
    }
    /// Sets the integer whose place a lookup has just found, or adds it; keeps the expiry.
    pub(super) fn set_integer(&mut self, key: &[u8], found: Option<Found>, value: i64) {
        let hash = found.map_or_else(|| self.keys.keyspace().hash(key), |found| found.hash);
        let lru = self.first_stamp();
        let place = found.map(|found| found.place);
        let put = self
            .db_mut(hash)
            .put_integer_at(place, key, hash, value, lru);
        self.settle(key, put);
    }
    /// Adds or overwrites any value, whatever was there.
    pub(crate) fn set_value(&mut self, key: &[u8], value: Value, expiry: Expiry) {
        let hash = self.keys.keyspace().hash(key);
        let lru = self.first_stamp();
        let db = self.session.db;
        let shard = self.keys.shard_mut(hash);
        if !matches!(value, Value::String(_)) {
            shard.signal_ready(db, key);
        }
        let put = shard.dbs[db].put(key, hash, value, expiry, lru);
        self.settle(key, put);
        if let Expiry::At(at) = expiry {
            self.note_expiry(key, at);
        }
    }
    /// Edits a string's bytes (see `Db::edit_string`); the key must hold a string or nothing.
    pub(crate) fn edit_string(&mut self, key: &[u8], f: &mut dyn FnMut(&mut Vec<u8>)) {
        let hash = self.keys.keyspace().hash(key);
        let lru = self.first_stamp();
        let put = self.db_mut(hash).edit_string(key, hash, lru, f);
        self.settle(key, put);
    }
    /// Removes a key; large values are freed in the background (`lazyfree`). True if it was there.
    /// Does not notify: the caller says `changed(key, Generic, "del")` or what fits.
    pub(crate) fn delete(&mut self, key: &[u8]) -> bool {
        let hash = self.keys.keyspace().hash(key);
        let Some(record) = self.db_mut(hash).unlink(key, hash) else {
            return false;
        };
        if let Some(record) = record {
            self.discard_record(record);
        }
        true
    }
    /// Takes a value out (RENAME, MOVE), with its expiry.
    pub(crate) fn take(&mut self, key: &[u8]) -> Option<(Value, Option<i64>)> {
        let hash = self.keys.keyspace().hash(key);
        let db = self.db_mut(hash);
        let expire_at = db.get(key, hash)?.expire_at;
        Some((db.remove(key, hash)?, expire_at))
    }
    /// Sets or clears the expiry (unix ms). False if the key is absent.
    pub(crate) fn set_expire(&mut self, key: &[u8], at: Option<i64>) -> bool {
        if let Some(at) = at {
            self.note_expiry(key, at);
        }
        let hash = self.keys.keyspace().hash(key);
        self.db_mut(hash).set_expire(key, hash, at)
    }
    /// Removes the key if it holds an empty collection, with the "del" notification. True if it did.
    pub(crate) fn remove_if_empty(&mut self, key: &[u8]) -> bool {
        let hash = self.keys.keyspace().hash(key);
        let db = self.db_mut(hash);
        let empty = match db.get(key, hash).map(|entry| entry.value) {
            Some(ValueRef::List(v)) => v.is_empty(),
            Some(ValueRef::Set(v)) => v.is_empty(),
            Some(ValueRef::Hash(v)) => v.is_empty(),
            Some(ValueRef::Zset(v)) => v.is_empty(),
            // A stream stays without entries: its last id and its groups are worth keeping.
            Some(ValueRef::String(_) | ValueRef::Stream(_)) | None => false,
        };
        if empty {
            db.delete(key, hash);
            self.notify(EventClass::Generic, "del", key);
        }
        empty
    }

    // ---- saying what happened ----

    /// The key changed: marks watchers, adds 1 to `dirty`, sends the keyspace event.
    pub(crate) fn changed(&mut self, key: &[u8], class: EventClass, event: &'static str) {
        self.dirty += 1;
        self.touch(key);
        self.notify(class, event, key);
    }
    /// Counts the running command's changes, for `save` and INFO.
    #[inline]
    pub(super) fn note_changes(&mut self) {
        if !self.keys.add_changes(self.dirty) {
            self.node.persistence.add_changes(self.dirty);
        }
    }
    /// Tells only those who watch the key, or wait for its end.
    pub(crate) fn touch(&mut self, key: &[u8]) {
        if !self.keys.iter().any(|shard| shard.is_observed()) {
            return;
        }
        let hash = self.keys.keyspace().hash(key);
        let db = self.session.db;
        self.keys.shard_mut(hash).touch(db, key, hash);
    }
    /// Sends a keyspace event, if `notify-keyspace-events` wants its class.
    pub(crate) fn notify(&mut self, class: EventClass, event: &'static str, key: &[u8]) {
        let wanted = self.settings.notify_keyspace_events;
        if !wanted.is_empty() {
            events::publish(self.node, wanted, class, event, self.session.db, key);
        }
    }
    /// The key got elements: clients blocked on it are served after this unit.
    pub(crate) fn signal_ready(&mut self, key: &[u8]) {
        let hash = self.keys.keyspace().hash(key);
        let db = self.session.db;
        self.keys.shard_mut(hash).signal_ready(db, key);
    }

    // ---- other things ----

    pub(crate) fn encodings(&self) -> Encodings {
        self.settings.encodings
    }
    /// Selects the database that `find*` and the others work in, for commands over two databases (MOVE, COPY).
    pub(crate) fn with_db<R>(&mut self, db: usize, f: impl FnOnce(&mut Self) -> R) -> R {
        let before = std::mem::replace(&mut self.session.db, db);
        self.effects.db = db;
        let result = f(self);
        self.session.db = before;
        self.effects.db = before;
        result
    }
    /// A random stream seeded from the node's clock.
    pub(crate) fn rng(&mut self) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.node.clock.random())
    }
    /// Whether this runs for our master (or a replay): then relative things stay as the master said.
    pub(crate) fn is_from_master(&self) -> bool {
        matches!(self.session.origin, Origin::Master | Origin::Replay)
    }
    /// Asks to wait. The handler returns Ok(()) right after, without a reply.
    pub(crate) fn block_on(&mut self, request: BlockRequest) {
        debug_assert!(!self.deny_blocking);
        self.block = Some(request);
    }
}

/// An argument as an integer, or Redis's error.
pub(crate) fn int_arg(arg: &[u8]) -> CommandResult<i64> {
    crate::text::parse_int(arg).ok_or(CommandError::NOT_INTEGER)
}

/// An argument as an integer within bounds, or Redis's errors.
pub(crate) fn int_arg_in(arg: &[u8], range: std::ops::RangeInclusive<i64>) -> CommandResult<i64> {
    let n = int_arg(arg)?;
    if range.contains(&n) {
        return Ok(n);
    }
    Err(CommandError::err(format_args!(
        "value is out of range, value must between {} and {}",
        range.start(),
        range.end()
    )))
}

/// A count that must not be negative; Redis has one error for all that it isn't.
pub(crate) fn count_arg(arg: &[u8]) -> CommandResult<usize> {
    let count = int_arg(arg).ok().and_then(|n| usize::try_from(n).ok());
    count.ok_or(CommandError::fixed(
        "ERR value is out of range, must be positive",
    ))
}

/// The name of the running command, lower case, for arity errors of options.
pub(crate) fn command_name(args: &Args<'_>) -> String {
    String::from_utf8_lossy(args[0]).to_ascii_lowercase()
}
