//! A simulated node's link to its master: the [`LinkIo`] of the simulated network, a loader that is late and at
//! times fails, and a session that runs the master's commands over the model of the data.

use bytes::Bytes;

use super::dataset::{Dataset, Image};
use super::delta::SimDelta;
use super::host::{Host, Io, Load, ToMaster};
use crate::clock::Clock;
use crate::config::OnStreamError;
use crate::digest::Secret;
use crate::repl::failover::Answered;
use crate::repl::guard::Offer;
use crate::repl::link::io::{DeltaReady, LinkSettings, LoadError, Swap};
use crate::repl::stream_databases;
use crate::repl::stream_errors;
use crate::repl::stream_input::{Ran, StreamRunner};
use crate::repl::{FailoverState, Hub, LinkConfig, LinkIo, StreamFailure};
use crate::resp::request::Batch;
use crate::session::Unlogged;

/// Of 256 loads, so many fail; of 256 commands, so many find a shard busy.
const LOAD_FAILURES: u8 = 8;
const BUSY: u8 = 4;

/// Of 256 transactions that fail, so many can't be taken back.
const NOT_TAKEN_BACK: u8 = 64;

/// What a transaction holds.
#[derive(Debug)]
enum Queued {
    Select(usize),
    Set(u8, u64),
    /// What REPAIR sends: no write, so the fingerprint stays.
    Repair(u8, Option<u64>),
    /// As `Set`, by a command that not every node knows.
    Foreign(u8, u64),
}

/// The session that speaks for the master.
#[derive(Debug, Default)]
pub(super) struct Session {
    database: usize,
    multi: Option<Vec<Queued>>,
    unlogged: Unlogged,
}

/// Runs a batch over the model.
struct Model<'a, 'b, 'w> {
    io: &'a mut Io<'b, 'w>,
}

impl Model<'_, '_, '_> {
    /// False: it fails.
    fn execute(&mut self, queued: &Queued) -> bool {
        let host = &mut *self.io.host;
        match queued {
            Queued::Select(database) if *database < host.databases => {
                host.session.database = *database;
            }
            // Fails, and what follows runs where it does not belong.
            Queued::Select(_) => {}
            Queued::Repair(key, state) => {
                host.data.repair(host.session.database, *key, *state);
            }
            Queued::Foreign(..) if !host.knows_all => return false,
            Queued::Set(key, value) | Queued::Foreign(key, value) => {
                host.data.set(host.session.database, *key, *value);
            }
        }
        true
    }

    /// Runs a transaction as one unit. False: a command of it failed, and what the others did is taken back, unless
    /// failures are passed over.
    fn execute_all(&mut self, queue: &[Queued], taken_back: bool) -> bool {
        let policy = self.io.host.link_settings.on_stream_error;
        let before = (self.io.host.data.clone(), self.io.host.session.database);
        let mut good = true;
        for queued in queue {
            good &= self.execute(queued);
            if !good && policy != OnStreamError::Ignore {
                if taken_back {
                    (self.io.host.data, self.io.host.session.database) = before;
                }
                break;
            }
        }
        good
    }

    /// A command failed, or the transaction that it ends did.
    fn failed(&mut self, args: &[&[u8]], raw: &[u8], half_applied: bool) -> Ran {
        let host = &mut *self.io.host;
        let (whole, _) = host.session.unlogged.lengths();
        let offset = host.hub.offset() + whole as u64;
        let mut failure = StreamFailure::new(offset, args, None, b"ERR unknown command");
        let policy = host.link_settings.on_stream_error;
        failure.half_applied = half_applied && policy != OnStreamError::Ignore;
        host.failed += 1;
        let ran = stream_errors::judge(policy, failure, &host.hub);
        if matches!(ran, Ran::PassedOver(_)) {
            let session = &mut host.session;
            session.unlogged.push(raw, session.multi.is_some());
        }
        host.diverged += u64::from(host.hub.diverged().is_some());
        ran
    }
}

impl StreamRunner for Model<'_, '_, '_> {
    fn run(&mut self, _: usize, args: &[&[u8]], raw: &[u8]) -> Ran {
        if let Some(why) = stream_databases::refusal(args, self.io.host.databases) {
            self.io.host.out_of_place += 1;
            return Ran::Impossible(why);
        }
        if self.io.sim.happens(BUSY) {
            self.io.host.busy = true;
            return Ran::Later;
        }
        let number = |bytes: &[u8]| {
            let text = std::str::from_utf8(bytes).ok()?;
            text.parse::<u64>().ok()
        };
        let queued = match args {
            [b"MULTI"] => {
                self.io.host.session.multi = Some(Vec::new());
                None
            }
            [b"EXEC"] => {
                let queue = self.io.host.session.multi.take().unwrap_or_default();
                let taken_back = !self.io.sim.happens(NOT_TAKEN_BACK);
                if !self.execute_all(&queue, taken_back) {
                    return self.failed(args, raw, !taken_back);
                }
                None
            }
            [b"SELECT", database] => number(database).map(|db| Queued::Select(db as usize)),
            [b"SET", key, value] => {
                let set = number(key).zip(number(value));
                set.map(|(key, value)| Queued::Set(key as u8, value))
            }
            [b"RESTORE", key, _, payload, ..] => {
                let key = number(key);
                key.map(|key| Queued::Repair(key as u8, number(payload)))
            }
            [b"DEL", key] => number(key).map(|key| Queued::Repair(key as u8, None)),
            [b"VADD", key, value] => {
                let set = number(key).zip(number(value));
                set.map(|(key, value)| Queued::Foreign(key as u8, value))
            }
            _ => None,
        };
        if let Some(queued) = queued {
            match &mut self.io.host.session.multi {
                Some(multi) => multi.push(queued),
                None => {
                    if !self.execute(&queued) {
                        return self.failed(args, raw, false);
                    }
                }
            }
        }
        let session = &mut self.io.host.session;
        session.unlogged.push(raw, session.multi.is_some());
        Ran::Done
    }
}

impl Host {
    /// Every shard is left: what has run is logged.
    fn log_stream(&mut self, epoch: u64) {
        let session = &mut self.session;
        if session.unlogged.is_due() {
            let whole = session.unlogged.whole();
            self.hub.append_from_master(epoch, whole, session.database);
            session.unlogged.logged();
        }
    }
}

impl LinkIo for Io<'_, '_> {
    fn hub(&self) -> &Hub {
        &self.host.hub
    }

    fn clock(&self) -> &dyn Clock {
        &*self.host.clock
    }

    fn settings(&self) -> LinkSettings {
        self.host.link_settings
    }

    fn config(&self, host: String, port: u16) -> LinkConfig {
        LinkConfig {
            host,
            port,
            announce_port: 7000,
            timeout_ms: 2500,
            failover: self.host.hub.failover().state() == FailoverState::InProgress,
            delta: self.host.offers_delta,
            ..LinkConfig::default()
        }
    }

    fn connect(&mut self, config: &LinkConfig) {
        let target = config.host.trim_start_matches("node").parse();
        let (from, sim) = (self.host.index, &mut *self.sim);
        self.host.link_connection = target
            .ok()
            .map(|to| sim.network.dial(from, to, sim.now_ms, sim.rng));
    }

    fn disconnect(&mut self) {
        if let Some(id) = self.host.link_connection.take() {
            self.sim.network.close(id, 0, self.sim.now_ms);
        }
        self.host.session.multi = None;
        self.host.session.unlogged.clear();
    }

    fn send(&mut self, bytes: Vec<u8>) {
        if let Some(id) = self.host.link_connection {
            let sim = &mut *self.sim;
            let (now_ms, rng) = (sim.now_ms, &mut *sim.rng);
            sim.network.send(id, 0, bytes.into(), now_ms, rng);
        }
    }

    fn link_is_up(&mut self, _: bool) {}

    fn begin_load(&mut self, unlimited: bool) {
        self.host.load = Some(Load {
            unlimited,
            ..Load::default()
        });
    }

    fn load(&mut self, bytes: Bytes) {
        if let Some(load) = &mut self.host.load {
            load.bytes.extend_from_slice(&bytes);
        }
    }

    fn finish_load(&mut self) {
        let ready_at_ms = self.sim.now_ms + self.sim.rng.i64(0..300);
        if let Some(load) = &mut self.host.load {
            load.ready_at_ms = Some(ready_at_ms);
        }
    }

    fn abort_load(&mut self) {
        self.host.load = None;
    }

    fn loaded(&mut self) -> Option<Result<(), LoadError>> {
        let too_large = self.host.too_large;
        let load = self.host.load.as_mut()?;
        if load.loaded.is_some() {
            return Some(Ok(()));
        }
        load.ready_at_ms.filter(|at| *at <= self.sim.now_ms)?;
        if !load.unlimited && self.sim.happens(too_large) {
            return Some(Err(LoadError {
                text: "too large".into(),
                too_large: true,
            }));
        }
        load.loaded = Dataset::load(&load.bytes).filter(|_| !self.sim.happens(LOAD_FAILURES));
        let databases = self.host.databases;
        let fits = |(data, resumes_in, _): &Image| {
            let resumes_in = resumes_in.unwrap_or(0);
            data.fits(databases)
                && stream_databases::refusal_to_resume(resumes_in, databases).is_none()
        };
        if load.loaded.as_ref().is_some_and(|loaded| !fits(loaded)) {
            load.loaded = None;
            self.host.out_of_place += 1;
            return Some(Err(LoadError {
                text: "a database too many".into(),
                too_large: false,
            }));
        }
        Some(load.loaded.as_ref().map(|_| ()).ok_or(LoadError {
            text: "broken dump".into(),
            too_large: false,
        }))
    }

    fn swap_in(&mut self, agree: &mut dyn FnMut(&Offer) -> bool) -> Swap {
        if self.is_busy() {
            self.host.busy = true;
            return Swap::Busy;
        }
        let loaded = self.host.load.take().and_then(|load| load.loaded);
        let Some((data, database, diverged)) = loaded else {
            return Swap::Refused;
        };
        let offer = Offer {
            hub: &self.host.hub,
            is_empty: data.is_empty(),
            replaces_data: !self.host.data.is_empty(),
            database,
            diverged,
        };
        let is_kept = self.host.hub.own_history().is_some();
        if !agree(&offer) {
            self.host.guarded += 1;
            return Swap::Refused;
        }
        let held = |data: &Dataset, (db, key): &(usize, u8), value: &u64| {
            data.databases[*db].get(key) == Some(value)
        };
        let host = &mut *self.host;
        let lost = |place: &(usize, u8), value: &u64| {
            held(&host.data, place, value) && !held(&data, place, value)
        };
        if host.own.iter().any(|(place, value)| lost(place, value)) {
            host.discards += 1;
            if !is_kept {
                let index = host.index;
                self.sim
                    .violate(index, "writes of its own are replaced and not kept");
            }
        }
        self.host.data = data;
        self.host.diverged += u64::from(diverged.is_some());
        self.host.claim(self.sim);
        Swap::Done
    }

    fn flush(&mut self, agree: &mut dyn FnMut(&Hub, &dyn Clock) -> bool) -> Swap {
        if self.is_busy() {
            self.host.busy = true;
            return Swap::Busy;
        }
        if !agree(&self.host.hub, &*self.host.clock) {
            return Swap::Refused;
        }
        if !self.host.own.is_empty() && self.host.hub.own_history().is_some() {
            let index = self.host.index;
            self.sim.violate(index, "writes of its own are flushed");
        }
        self.host.data = Dataset::default();
        Swap::Done
    }

    fn begin_delta(&mut self, host: String, _: u16) {
        let master = host
            .trim_start_matches("node")
            .parse()
            .unwrap_or(usize::MAX);
        let secret = Secret::random(&*self.host.clock);
        let now_ms = self.sim.now_ms;
        self.host.delta = Some(SimDelta::begin(master, &self.host.data, secret, now_ms));
    }

    fn delta(&mut self) -> Option<Result<DeltaReady, String>> {
        let Some(delta) = &self.host.delta else {
            return Some(Err("nothing is under way".into()));
        };
        let databases = self.host.databases;
        let fits = |ready: DeltaReady| {
            let resumes_in = ready.database.unwrap_or(0);
            match stream_databases::refusal_to_resume(resumes_in, databases) {
                Some(why) => Err(why),
                None => Ok(ready),
            }
        };
        delta.outcome().map(|outcome| outcome.and_then(fits))
    }

    fn abort_delta(&mut self) {
        self.host.delta = None;
    }

    fn patch_in(&mut self, agree: &mut dyn FnMut(&Hub) -> bool) -> Swap {
        if self.is_busy() {
            self.host.busy = true;
            return Swap::Busy;
        }
        let Some(delta) = self.host.delta.take() else {
            return Swap::Refused;
        };
        let host = &mut *self.host;
        match delta.apply(&mut host.data, || agree(&host.hub)) {
            None => return Swap::Refused,
            Some(Ok(())) => {}
            Some(Err(why)) => self.sim.violate(self.host.index, &why),
        }
        self.host.deltas += 1;
        // The data is the master's from here on.
        self.host.own.clear();
        self.host.claim(self.sim);
        Swap::Done
    }

    fn select(&mut self, database: usize) {
        // Continued by our master, or replaced.
        self.host.own.clear();
        self.host.session = Session {
            database,
            ..Session::default()
        };
    }

    fn run_batch(
        &mut self,
        epoch: u64,
        _: &Batch,
        _: &[u8],
        work: &mut dyn FnMut(&mut dyn StreamRunner),
    ) {
        work(&mut Model { io: self });
        self.host.log_stream(epoch);
        self.host.claim(self.sim);
    }

    fn stream_is_held(&mut self) {}

    fn refuses_writes(&self) -> Option<&'static str> {
        None
    }

    fn close_replicas(&mut self, promoted: Option<u64>) {
        let mail = ToMaster::CloseReplicas { promoted };
        self.host.mail.master.push_back(mail);
    }

    fn failover_answered(&mut self, answer: Answered) {
        self.host.failovers += u64::from(answer == Answered::Accepted);
        self.host.mail.failover = Some(answer);
    }

    fn wake(&mut self) {}
}
