//! The same random commands to redis-server and to us: the replies must be the same.
//!
//! A seeded stream over all five types, valid and invalid, in RESP2 and RESP3, with MULTI blocks and
//! blocking commands, is pipelined to both; replies are compared one by one, the data by DEBUG DIGEST every
//! so often. What is random by nature is done by one side and repeated on the other by name.
//!
//! `DIFF_COMMANDS` (60,000) sets how many commands, `DIFF_SEED` (1) the seed, `DIFF_FAILURES` (1) how many
//! differing replies are shown before giving up. `DIFF_DIGEST=0` leaves the digests out, for versions of
//! Redis that compute them in another way.

#[path = "../common/mod.rs"]
mod common;
mod compare;
mod generator;

use std::collections::{BTreeSet, VecDeque};

use common::{Make, RawReply, RespClient, Server, ServerOptions};
use compare::Judge;
use generator::{Command, Generator, Pool};

const BATCH_COMMANDS: usize = 300;
const BATCHES_PER_DIGEST: usize = 40;
/// Commands remembered for the report of a difference.
const HISTORY_COMMANDS: usize = 100_000;
const HISTORY_SHOWN: usize = 20;

fn from_env(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text}")),
        Err(_) => default,
    }
}

/// Two connections in step: one to redis-server, one to us.
struct Pair {
    theirs: RespClient,
    ours: RespClient,
    /// What is queued in the MULTI in progress.
    queue: Vec<Command>,
}

struct Differential {
    servers: [Server; 2],
    pairs: [Pair; 2],
    generator: Generator,
    judge: Judge,
    history: VecDeque<Command>,
    sent: usize,
    failures_left: u64,
}

#[test]
fn replies_are_those_of_redis() {
    let commands = from_env("DIFF_COMMANDS", 60_000) as usize;
    let seed = from_env("DIFF_SEED", 1);
    println!("DIFF_COMMANDS={commands} DIFF_SEED={seed}");
    let mut run = Differential::start(seed);
    let mut batches = 0;
    while run.sent < commands {
        let which = run.generator.rng.usize(..run.pairs.len());
        run.batch(which);
        batches += 1;
        if batches % 4 == 0 {
            run.pop(which);
            run.walk(which);
            run.draw(which);
        }
        if batches % BATCHES_PER_DIGEST == 0 {
            run.compare_data();
        }
    }
    run.compare_data();
    let failures = from_env("DIFF_FAILURES", 1) - run.failures_left;
    assert_eq!(failures, 0, "replies differ");
    println!("{} commands, all replies agree, but for:", run.sent);
    for (reason, count) in &run.judge.known {
        println!("{count:>8} times: {reason}");
    }
}

impl Differential {
    fn start(seed: u64) -> Differential {
        let servers = [Make::Redis, Make::Understudy].map(|make| {
            // A short tick: timeouts of blocking commands are soon seen.
            ServerOptions::new(make).with("hz", 500).start()
        });
        let pair = |resp3: bool| {
            let connect = |server: &Server| match resp3 {
                true => server.client3(),
                false => server.client(),
            };
            Pair {
                theirs: connect(&servers[0]),
                ours: connect(&servers[1]),
                queue: Vec::new(),
            }
        };
        let pairs = [pair(false), pair(true)];
        Differential {
            servers,
            pairs,
            generator: Generator::new(seed),
            judge: Judge::default(),
            history: VecDeque::new(),
            sent: 0,
            failures_left: from_env("DIFF_FAILURES", 1),
        }
    }

    /// One pipeline of commands to both.
    fn batch(&mut self, which: usize) {
        let mut batch = Vec::new();
        while batch.len() < BATCH_COMMANDS {
            match self.generator.rng.u8(..30) {
                0 => self.generator.transaction(&mut batch),
                _ => self.generator.step(&mut batch),
            }
        }
        let pair = &mut self.pairs[which];
        let (theirs, ours) = std::thread::scope(|scope| {
            let ours = scope.spawn(|| pair.ours.pipeline(&batch));
            let theirs = pair.theirs.pipeline(&batch);
            (theirs, ours.join())
        });
        let Ok(ours) = ours else {
            self.history.extend(batch);
            self.fail_with("we stopped answering", &[]);
        };
        for ((command, theirs), ours) in batch.into_iter().zip(theirs).zip(ours) {
            self.check(which, command, &theirs, &ours);
        }
    }

    fn check(&mut self, which: usize, command: Command, theirs: &RawReply, ours: &RawReply) {
        let pair = &mut self.pairs[which];
        let agree = match theirs {
            // EXEC: each queued command's reply in its own way.
            RawReply::Array(items)
                if command[0].eq_ignore_ascii_case(b"EXEC") && items.len() == pair.queue.len() =>
            {
                let ours = ours.elements().unwrap_or_default();
                let judge = &mut self.judge;
                ours.len() == items.len()
                    && std::mem::take(&mut pair.queue)
                        .iter()
                        .zip(items.iter().zip(ours))
                        .all(|(command, (theirs, ours))| judge.agree(command, theirs, ours))
            }
            _ => self.judge.agree(&command, theirs, ours),
        };
        if command[0].eq_ignore_ascii_case(b"MULTI") {
            pair.queue.clear();
        } else if *theirs == RawReply::Simple(b"QUEUED".to_vec()) {
            pair.queue.push(command.clone());
        }
        self.remember(command.clone());
        if !agree {
            self.report(&command, theirs, ours);
        }
    }

    fn remember(&mut self, command: Command) {
        self.sent += 1;
        if self.history.len() == HISTORY_COMMANDS {
            self.history.pop_front();
        }
        self.history.push_back(command);
    }

    /// SPOP on one side, and the same members removed on the other.
    fn pop(&mut self, which: usize) {
        let pool = [Pool::Set, Pool::IntSet][self.generator.rng.usize(..2)];
        let mut command: Command = vec![b"SPOP".to_vec(), self.generator.own_key(pool)];
        let pair = &mut self.pairs[which];
        if self.generator.rng.bool() {
            // A pop of nearly all makes Redis build a new set, maybe in another encoding, and a removal of
            // the same members does not: so a fraction, or all.
            let size = pair.theirs.call(&["SCARD".as_bytes(), &command[1]]);
            let size = size.int().unwrap_or(3);
            let count = match self.generator.rng.u8(..4) {
                0 => size + 1,
                _ => self.generator.rng.i64(..size * 4 / 5 + 1),
            };
            command.push(count.to_string().into_bytes());
        }
        let (first, second) = match self.generator.rng.bool() {
            true => (&mut pair.theirs, &mut pair.ours),
            false => (&mut pair.ours, &mut pair.theirs),
        };
        let popped = first.call(&command);
        let members = match &popped {
            RawReply::Bulk(member) => vec![member.clone()],
            other => other.strings(),
        };
        let agree = if members.is_empty() {
            second.call(&command) == popped
        } else {
            let mut removal = vec![b"SREM".to_vec(), command[1].clone()];
            removal.extend(members.iter().cloned());
            second.call(&removal) == RawReply::Int(members.len() as i64)
        };
        self.remember(command.clone());
        if !agree {
            self.report(&command, &popped, &RawReply::Null);
        }
    }

    /// SCAN and its kin from start to end on both sides: each element at least once, and nothing else.
    fn walk(&mut self, which: usize) {
        let (name, pool): (&str, _) = match self.generator.rng.u8(..6) {
            0 => ("SSCAN", Some(Pool::Set)),
            1 => ("SSCAN", Some(Pool::IntSet)),
            2 => ("HSCAN", Some(Pool::Hash)),
            3 => ("ZSCAN", Some(Pool::Zset)),
            _ => ("SCAN", None),
        };
        let mut before: Command = vec![name.into()];
        before.extend(pool.map(|pool| self.generator.own_key(pool)));
        let count = self.generator.rng.u32(1..100).to_string();
        let mut after: Command = vec![b"COUNT".to_vec(), count.into_bytes()];
        if name == "SCAN" && self.generator.rng.bool() {
            let kind = ["string", "list", "set", "hash", "zset", "nokind"];
            let kind = kind[self.generator.rng.usize(..kind.len())];
            after.extend([b"TYPE".to_vec(), kind.into()]);
        }
        let pair = &mut self.pairs[which];
        let theirs = walk_all(&mut pair.theirs, &before, &after, name);
        let ours = walk_all(&mut pair.ours, &before, &after, name);
        self.remember(before.clone());
        if theirs != ours {
            let show = |found: Result<BTreeSet<Vec<RawReply>>, RawReply>| match found {
                Ok(found) => RawReply::Array(found.into_iter().map(RawReply::Array).collect()),
                Err(error) => error,
            };
            self.report(&before, &show(theirs), &show(ours));
        }
    }

    /// What we draw at random must be there.
    fn draw(&mut self, which: usize) {
        let (name, pool, look) = [
            ("SRANDMEMBER", Pool::Set, "SISMEMBER"),
            ("SRANDMEMBER", Pool::IntSet, "SISMEMBER"),
            ("HRANDFIELD", Pool::Hash, "HEXISTS"),
            ("ZRANDMEMBER", Pool::Zset, "ZSCORE"),
        ][self.generator.rng.usize(..4)];
        let key = self.generator.own_key(pool);
        let count = self.generator.rng.i32(-50..50).to_string().into_bytes();
        let command: Command = vec![name.into(), key.clone(), count.clone()];
        let pair = &mut self.pairs[which];
        let drawn = pair.ours.call(&command);
        let members = drawn.strings();
        let distinct: BTreeSet<_> = members.iter().collect();
        let mut agree = count.starts_with(b"-") || distinct.len() == members.len();
        for member in distinct {
            let found = pair.theirs.call(&[look.as_bytes(), &key, member]);
            agree &= !found.is_null() && found != RawReply::Int(0);
        }
        self.remember(command.clone());
        if !agree {
            self.report(&command, &drawn, &drawn);
        }
    }

    /// DEBUG DIGEST on both; if they differ, says which keys do.
    fn compare_data(&mut self) {
        if from_env("DIFF_DIGEST", 1) == 0 {
            return;
        }
        let [theirs, ours] = self.servers.each_ref().map(Server::digest);
        if theirs == ours {
            return;
        }
        let mut differing = Vec::new();
        for db in 0..16 {
            let mut clients = self.servers.each_ref().map(Server::client);
            let select = vec![b"SELECT".to_vec(), db.to_string().into_bytes()];
            let keys: BTreeSet<Vec<u8>> = clients
                .iter_mut()
                .flat_map(|client| {
                    client.call(&select);
                    client.call(&["KEYS", "*"]).strings()
                })
                .collect();
            for key in keys {
                let command = [b"DEBUG".as_slice(), b"DIGEST-VALUE", &key];
                let [a, b] = clients.each_mut().map(|client| client.call(&command));
                let expiry = [b"PEXPIRETIME".as_slice(), &key];
                let [at_a, at_b] = clients.each_mut().map(|client| client.call(&expiry));
                // The digest knows that there is an expiry, not when: that may depend on the clock.
                let lasting = RawReply::Int(-1);
                if a != b || (at_a == lasting) != (at_b == lasting) {
                    println!("db {db}: {} differs", key.escape_ascii());
                    for (client, at) in clients.iter_mut().zip([at_a, at_b]) {
                        println!("  expiry {at:?}, {}", content(client, &key));
                    }
                    differing.push(key);
                }
            }
        }
        self.fail_with("the data differ", &differing);
    }

    fn report(&mut self, command: &Command, theirs: &RawReply, ours: &RawReply) {
        println!("---- reply {} differs: {}", self.sent, show(command));
        println!("  theirs: {theirs:?}");
        println!("  ours:   {ours:?}");
        let keys: Vec<Vec<u8>> = command[1..]
            .iter()
            .filter(|arg| arg.contains(&b':'))
            .cloned()
            .collect();
        self.failures_left -= 1;
        if self.failures_left == 0 {
            self.fail_with("replies differ", &keys);
        }
    }

    /// Shows the last commands on these keys and panics.
    fn fail_with(&self, what: &str, keys: &[Vec<u8>]) -> ! {
        let touches =
            |command: &&Command| keys.is_empty() || command.iter().any(|arg| keys.contains(arg));
        let last: Vec<&Command> = self
            .history
            .iter()
            .rev()
            .filter(touches)
            .take(HISTORY_SHOWN)
            .collect();
        println!("the last commands there, oldest first:");
        last.iter()
            .rev()
            .for_each(|command| println!("  {}", show(command)));
        panic!("{what} after {} commands", self.sent);
    }
}

/// What a key holds, for the report.
fn content(client: &mut RespClient, key: &[u8]) -> String {
    let kind = client.call(&[b"TYPE", key]).text();
    let look: &[&[u8]] = match &kind[..] {
        "string" => &[b"GET", key],
        "list" => &[b"LRANGE", key, b"0", b"-1"],
        "set" => &[b"SORT", key, b"ALPHA"],
        "hash" => &[b"HGETALL", key],
        "zset" => &[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"],
        _ => return kind,
    };
    format!("{kind} {:?}", client.call(look))
}

fn show(command: &Command) -> String {
    let parts: Vec<String> = command
        .iter()
        .map(|arg| format!("\"{}\"", arg.escape_ascii()))
        .collect();
    let text = parts.join(" ");
    match text.char_indices().nth(600) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

/// All elements of a SCAN from 0 to 0, pairs where the command gives pairs; or its error.
fn walk_all(
    client: &mut RespClient,
    before: &Command,
    after: &Command,
    name: &str,
) -> Result<BTreeSet<Vec<RawReply>>, RawReply> {
    let width = if name == "HSCAN" || name == "ZSCAN" {
        2
    } else {
        1
    };
    let mut found = BTreeSet::new();
    let mut cursor = b"0".to_vec();
    loop {
        let command = [before.as_slice(), &[cursor], after].concat();
        let reply = client.call(&command);
        let Some([next, elements]) = reply.elements() else {
            return Err(reply);
        };
        cursor = next.bytes().expect("a cursor").to_vec();
        for element in elements.elements().expect("elements").chunks(width) {
            let mut element = element.to_vec();
            if name == "ZSCAN" {
                // Equal numbers, one spelling; the sum with 0 has no negative zero.
                let score: f64 = element[1].text().parse().expect("a score");
                element[1] = RawReply::Double((score + 0.0).to_string());
            }
            found.insert(element);
        }
        if cursor == b"0" {
            return Ok(found);
        }
    }
}
