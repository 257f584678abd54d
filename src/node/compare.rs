//! Compares what two servers hold, by being a replica of both: `understudy compare`.
//!
//! Two nodes inside the process follow one server each, as any replica does, so any server that speaks PSYNC will do. Where both
//! follow one history they are stopped at one offset of it; else when nothing has been written to either for a
//! while. Then digests say which ranges of the key space differ, and the digests of the keys there which keys do.
//!
//! Memory: the two copies, 32 MB of ranges for each at most, and the keys of ranges that differ up to
//! [`KEYS_BYTES_MAX`] on each side.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::config::{MasterAddress, Settings};
use crate::digest::comparison::Comparison;
use crate::digest::{KeyPlace, Ranges, Secret, bits_for};
use crate::may_block::may_block_here;
use crate::node::{Node, StartError};
use crate::node_core::NodeCore;
use crate::repl::verify::KEYS_BYTES_MAX;
use crate::repl::verify::verifier::{Narrowing, narrow};
use crate::snapshot::Want;
use crate::snapshot::digesting::{Collector, DigestedKey, Digesting, HeldKey, Narrowed};
use crate::text::printable::printable;

/// Between two looks at the links.
const LOOK: Duration = Duration::from_millis(10);
/// Nothing may have been written for so long, where there is no common history.
const QUIET: Duration = Duration::from_secs(2);
/// How long the streams are held at a time, ms; renewed as long as is needed.
const HOLD_MS: i64 = 60_000;

/// What to compare.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Host and port of both servers.
    pub servers: [(String, u16); 2],
    pub user: Option<String>,
    pub password: Option<String>,
    /// Longest wait for both to be followed, and to come to one offset or to rest.
    pub timeout: Duration,
    /// Only keys that begin so.
    pub prefix: Vec<u8>,
    /// Only about one key of so many; 0 and 1: all.
    pub sample: u64,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compared {
    /// So many keys are equal; at which offset, if there is a common history.
    Equal { keys: u64, offset: Option<u64> },
    /// A line for each key that differs, as far as they are named, and how many there are; at least so many, if not
    /// all could be looked at.
    Different {
        lines: Vec<String>,
        count: u64,
        at_least: bool,
    },
    /// It can't be told, and why.
    Unknown(String),
}

/// Compares the servers.
pub fn compare(options: &Options) -> Compared {
    may_block_here();
    match try_compare(options) {
        Ok(compared) => compared,
        Err(why) => Compared::Unknown(why),
    }
}

fn try_compare(options: &Options) -> Result<Compared, String> {
    let deadline = Instant::now() + options.timeout;
    let start = |server: &(String, u16)| {
        follow(server, options).map_err(|error| format!("{}:{}: {error}", server.0, server.1))
    };
    let [left, right] = &options.servers;
    let nodes = [start(left)?, start(right)?];
    let cores = [nodes[0].observe().clone(), nodes[1].observe().clone()];
    for (core, (host, port)) in cores.iter().zip(&options.servers) {
        let followed = wait(deadline, || core.hub.link_up());
        if !followed {
            let why = core
                .hub
                .published()
                .link
                .as_ref()
                .and_then(|l| l.last_error.clone());
            let why = printable(why.unwrap_or_default().as_bytes());
            return Err(format!(
                "{host}:{port} could not be followed in time: {why}"
            ));
        }
    }
    let ids = || cores.each_ref().map(|core| core.hub.history().id);
    let [first, second] = ids();
    let offset = if first == second {
        Some(stop_at_one_offset(&cores, deadline)?)
    } else {
        stop_at_rest(&cores, deadline)?;
        None
    };
    let compared = compare_stopped(&cores, options, offset);
    for core in &cores {
        core.hub.stream_hold().release();
    }
    if ids() != [first, second] || cores.iter().any(|core| !core.hub.link_up()) {
        return Err("a link was lost while the data was compared".into());
    }
    Ok(compared)
}

/// A node that follows a server and does nothing else.
fn follow((host, port): &(String, u16), options: &Options) -> Result<Node, StartError> {
    Node::start(Settings {
        replicaof: Some(MasterAddress {
            host: host.clone(),
            port: *port,
        }),
        masteruser: options.user.clone(),
        masterauth: options.password.clone(),
        databases: 256,
        ..Settings::embedded()
    })
}

fn wait(deadline: Instant, mut is_so: impl FnMut() -> bool) -> bool {
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(LOOK);
    }
}

fn hold(core: &NodeCore, until: u64) {
    core.hub
        .stream_hold()
        .hold(until, core.clock.unix_ms() + HOLD_MS);
}

/// Both follow one history: the one that is behind catches up with the other, which waits.
fn stop_at_one_offset(cores: &[Arc<NodeCore>; 2], deadline: Instant) -> Result<u64, String> {
    for core in cores {
        hold(core, 0);
    }
    // What runs at this moment is through when the node's stream stands still.
    std::thread::sleep(LOOK);
    let until = cores
        .iter()
        .map(|core| core.hub.offset())
        .max()
        .unwrap_or(0);
    let is_there = || {
        for core in cores {
            hold(core, until);
        }
        cores.iter().all(|core| core.hub.offset() == until)
    };
    match wait(deadline, is_there) {
        true => Ok(until),
        false => Err(format!(
            "the servers share a history, and one did not come to offset {until} in time"
        )),
    }
}

/// There is no common history: nothing may be written for a while.
fn stop_at_rest(cores: &[Arc<NodeCore>; 2], deadline: Instant) -> Result<(), String> {
    let changes = || cores.each_ref().map(|core| core.keyspace.changes());
    let (mut last, mut since) = (changes(), Instant::now());
    let is_quiet = wait(deadline, || {
        let now = changes();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() >= QUIET
    });
    for core in cores {
        hold(core, 0);
    }
    match is_quiet {
        true => Ok(()),
        false => Err("the servers share no history, and writes go on".into()),
    }
}

/// Both stand still.
fn compare_stopped(cores: &[Arc<NodeCore>; 2], options: &Options, offset: Option<u64>) -> Compared {
    let secret = Secret::random(&*cores[0].clock as &dyn Clock);
    let keys = cores
        .each_ref()
        .map(|core| core.keyspace.enter(core.keyspace.all()).keys());
    let bits = bits_for(keys[0].max(keys[1]));
    let ranges = cores.each_ref().map(|core| {
        let ranges = Ranges::new(bits);
        walk(core, secret, options, ranges)
    });
    let [Some(ours), Some(theirs)] = ranges else {
        return Compared::Unknown("the data could not be walked over".into());
    };
    let mut comparison = Comparison::default();
    while let Some(question) = comparison.question(&ours) {
        let answer = question.answer(&theirs).unwrap_or_default();
        if !comparison.answered(&question, &ours, &answer) {
            return Compared::Unknown("the ranges could not be compared".into());
        }
    }
    let differing = comparison.into_differing();
    if differing.is_empty() {
        let keys = ours.root().keys;
        return Compared::Equal { keys, offset };
    }
    let Narrowing { ranges, left } = narrow(&differing);
    let [ours, theirs] = cores.each_ref().map(|core| {
        let narrowed = Narrowed::new(bits, &ranges, KEYS_BYTES_MAX);
        walk(core, secret, options, narrowed).and_then(Narrowed::into_keys)
    });
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        return Compared::Different {
            lines: Vec::new(),
            count: differing.len() as u64,
            at_least: true,
        };
    };
    let names = options
        .servers
        .each_ref()
        .map(|(host, port)| format!("{host}:{port}"));
    let lines = differences(&ours, &theirs, &names);
    Compared::Different {
        count: lines.len() as u64 + left,
        lines,
        at_least: left > 0,
    }
}

/// Side by side, in the order of their places.
fn differences(ours: &[HeldKey], theirs: &[HeldKey], names: &[String; 2]) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut ours, mut theirs) = (ours.iter().peekable(), theirs.iter().peekable());
    let mut tell = |key: &HeldKey, how: &str| {
        lines.push(format!("db{} {} {how}", key.db, printable(&key.key)));
    };
    loop {
        match (ours.peek(), theirs.peek()) {
            (None, None) => return lines,
            (Some(a), Some(b)) if a.place == b.place => {
                if a.digest != b.digest {
                    tell(a, "differs");
                }
                ours.next();
                theirs.next();
            }
            (Some(a), b) if b.is_none_or(|b| a.place < b.place) => {
                tell(a, &format!("only at {}", names[0]));
                ours.next();
            }
            (_, Some(b)) => {
                tell(b, &format!("only at {}", names[1]));
                theirs.next();
            }
            (Some(_), None) => return lines,
        }
    }
}

/// Only the keys that are to be compared.
struct Chosen<'o, C> {
    options: &'o Options,
    into: C,
}

impl<C: Collector> Collector for Chosen<'_, C> {
    fn wants(&self, place: KeyPlace) -> bool {
        let sample = u128::from(self.options.sample.max(1));
        place.0.is_multiple_of(sample) && self.into.wants(place)
    }

    fn add(&mut self, key: DigestedKey<'_>) {
        if key.key.starts_with(&self.options.prefix) {
            self.into.add(key);
        }
    }
}

/// Walks over data that stands still, holding it there.
fn walk<C: Collector>(core: &NodeCore, secret: Secret, options: &Options, into: C) -> Option<C> {
    let chosen = Chosen { options, into };
    let mut entered = core.keyspace.enter(core.keyspace.all());
    let begun = Digesting::begin(&mut entered, secret, chosen);
    drop(entered);
    // None if something else walks, which nothing does in a node that saves nothing and has no replicas.
    let mut walk = begun?;
    loop {
        match walk.next() {
            Want::Encode => walk.work(usize::MAX),
            Want::Enter(set) => {
                let mut entered = core.keyspace.enter(set);
                drop(walk.collect(&mut entered, &mut || false));
            }
            Want::Finish => return Some(walk.finish().into),
        }
    }
}
