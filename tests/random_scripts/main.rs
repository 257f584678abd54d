//! The same random scripts to redis-server and to us: the replies must be the same, and the dataset that they leave, also
//! on a replica of the other make, which gets what the scripts did.
//!
//! `RANDOM_SCRIPTS` (3,000) sets how many, `RANDOM_SCRIPTS_SEED` (1) the seed. `RANDOM_SCRIPTS_DIGEST=0` leaves the
//! digests of the two masters uncompared, for versions of Redis that compute them in another way.

#[path = "../common/mod.rs"]
mod common;
mod generator;
mod values;

use common::{LONG, Make, RawReply, RespClient, Server, ServerOptions, setting, wait_for};
use generator::{Command, Generator};

const BATCH: usize = 50;
const BATCHES_PER_DIGEST: usize = 10;
/// Differences shown before giving up.
const SHOWN: usize = 8;

/// A node of each make with a replica of the other, and clients that speak RESP2 and RESP3.
struct Side {
    master: Server,
    replicas: Vec<Server>,
    clients: [RespClient; 2],
}

impl Side {
    fn start(make: Make, replicas: &[Make]) -> Side {
        // Larger hashes have the order of a hash table.
        let options = |make| ServerOptions::new(make).with("hash-max-listpack-value", 10_000);
        let master = options(make).start();
        let replica = |make: &Make| {
            let replica = options(*make).replica_of(master.port).start();
            replica.wait_synced(LONG);
            replica
        };
        Side {
            replicas: replicas.iter().map(replica).collect(),
            clients: [master.client(), master.client3()],
            master,
        }
    }

    /// The master's digest; its replicas must have the same.
    fn digest(&self) -> String {
        let offset = self.master.info("master_repl_offset");
        let digest = self.master.digest();
        for replica in &self.replicas {
            wait_for("the replica has it all", LONG, || {
                replica.info("master_repl_offset") == offset
                    || self.master.info("master_repl_offset") == replica.info("master_repl_offset")
            });
            assert_eq!(
                replica.digest(),
                digest,
                "{:?} as a replica of {:?}",
                replica.options.make,
                self.master.options.make
            );
        }
        digest
    }
}

/// What a batch is made of: scripts, some in transactions, and what changes the dataset for all.
fn batch(generator: &mut Generator) -> Vec<Command> {
    let words = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect();
    let mut commands: Vec<Command> = Vec::new();
    if generator.rng.u8(0..8) == 0 {
        commands.push(words(&["FLUSHALL"]));
    }
    while commands.len() < BATCH {
        if generator.rng.u8(0..20) > 0 {
            let command = generator.command();
            if generator.rng.u8(0..20) == 0 {
                commands.extend(by_digest(&command));
            } else {
                commands.push(command);
            }
            continue;
        }
        commands.push(words(&["MULTI"]));
        for _ in 0..generator.rng.usize(1..4) {
            commands.push(generator.command());
        }
        commands.push(words(&["EXEC"]));
    }
    commands
}

/// The same script, loaded and then called by its digest.
fn by_digest(command: &Command) -> [Command; 2] {
    use sha1::{Digest as _, Sha1};
    let digest = Sha1::digest(&command[1]);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let load = [b"SCRIPT".to_vec(), b"LOAD".to_vec(), command[1].clone()];
    let mut call = command.clone();
    call[0] = match command[0] == b"EVAL" {
        true => b"EVALSHA".to_vec(),
        false => b"EVALSHA_RO".to_vec(),
    };
    call[1] = digest.into_bytes();
    [load.to_vec(), call]
}

fn both(theirs: &mut RespClient, ours: &mut RespClient, batch: &[Command]) -> [Vec<RawReply>; 2] {
    std::thread::scope(|scope| {
        let ours = scope.spawn(|| ours.pipeline(batch));
        let theirs = theirs.pipeline(batch);
        [theirs, ours.join().expect("we answer")]
    })
}

/// A command, with the script that it calls by its digest, or all of a transaction.
fn shown(commands: &[Command], at: usize) -> String {
    let mut first = at;
    if commands[at][0].starts_with(b"EVALSHA") {
        first -= 1;
    }
    if commands[at][0] == b"EXEC" {
        let is_start = |command: &Command| command[0] == b"MULTI";
        first = commands[..at].iter().rposition(is_start).unwrap_or(at);
    }
    let parts = commands[first..=at].iter().flatten().map(|part| {
        let text = String::from_utf8_lossy(part);
        text.replace(values::SHOW, "-- show\n")
    });
    parts.collect::<Vec<_>>().join("\n  | ")
}

#[test]
fn scripts_answer_and_leave_what_they_do_in_redis() {
    let count: usize = setting("RANDOM_SCRIPTS", 3000);
    let mut generator = Generator::new(setting("RANDOM_SCRIPTS_SEED", 1));
    let mut redis = Side::start(Make::Redis, &[Make::Understudy]);
    let mut ours = Side::start(Make::Understudy, &[Make::Redis, Make::Understudy]);
    let mut differences = Vec::new();
    let mut sent = 0;
    let compares_digests = setting("RANDOM_SCRIPTS_DIGEST", 1) == 1;
    for number in 1.. {
        let commands = batch(&mut generator);
        let which = generator.rng.usize(0..2);
        let replies = both(
            &mut redis.clients[which],
            &mut ours.clients[which],
            &commands,
        );
        let [theirs, mine] = replies;
        for (at, (theirs, mine)) in theirs.into_iter().zip(mine).enumerate() {
            if theirs == mine {
                continue;
            }
            differences.push(format!(
                "{}\n  theirs: {theirs:?}\n  ours:   {mine:?}\n",
                shown(&commands, at)
            ));
        }
        sent += commands.len();
        if differences.len() >= SHOWN {
            break;
        }
        if number % BATCHES_PER_DIGEST == 0 || sent >= count {
            let digests = [redis.digest(), ours.digest()];
            if compares_digests {
                assert_eq!(digests[0], digests[1], "after {sent} commands");
            }
        }
        if sent >= count {
            break;
        }
    }
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
    println!("{sent} commands, all replies agree");
}
