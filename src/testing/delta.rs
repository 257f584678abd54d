//! Delta resyncs of simulated nodes: the production machines of both sides over the model of the data, with answers that
//! are late or lost, walks that fail and nodes that change meanwhile.

use super::dataset::Dataset;
use super::node::SimNode;
use super::verification::{collect, walk};
use crate::data::{StrRef, ValueRef};
use crate::digest::{KeyDigest, KeyPlace, Ranges, Secret};
use crate::rdb::reader::{self, LoadResult, Loaded, Loader};
use crate::rdb::writer::{Preamble, ReplicationMark};
use crate::repl::delta::client::Step;
use crate::repl::delta::exchange::Drops;
use crate::repl::delta::server::{Order, WalkId};
use crate::repl::delta::touched::{self, Touch, Touched};
use crate::repl::delta::{Answer, Client, Fetched, PATCH_MAX, PatchOrder, Question, Walked};
use crate::repl::hub::StreamCut;
use crate::repl::link::io::DeltaReady;
use crate::repl::verify::WalkOrder;
use crate::snapshot::digesting::{Collector, DigestedKey};
use crate::snapshot::patching::Patching;

/// Of 256 questions, so many are lost; of 256 walks, so many fail.
const LOST: u8 = 2;
const WALK_FAILURES: u8 = 3;
/// In a patch, the key under which the model's fingerprint goes; no key of the model is called that.
const FINGERPRINT: &[u8] = b"fingerprint";

#[derive(Debug)]
enum Wait {
    No,
    Question(Question),
    Answer(Result<Answer, String>),
    Walk(WalkOrder),
}

/// One under way, at its replica.
#[derive(Debug)]
pub(super) struct SimDelta {
    master: usize,
    client: Client,
    wait: Wait,
    due_ms: i64,
    /// A walk of the master's, and when it ends.
    their_walk: Option<(i64, WalkId, Result<Walked, String>)>,
    /// The data when this began.
    fingerprint: u64,
    /// The master's data at its second cut: what ours is to become.
    expected: Option<Dataset>,
    outcome: Option<Result<Built, String>>,
}

/// What was fetched.
#[derive(Debug)]
pub(super) struct Built {
    drops: Vec<(usize, u8)>,
    puts: Vec<(usize, u8, u64)>,
    fingerprint: u64,
    pub(crate) ready: DeltaReady,
}

impl SimDelta {
    pub(super) fn begin(master: usize, data: &Dataset, secret: Secret, now_ms: i64) -> SimDelta {
        SimDelta {
            master,
            client: Client::new(secret, data.keys() as u64),
            wait: Wait::No,
            due_ms: now_ms,
            their_walk: None,
            fingerprint: data.fingerprint,
            expected: None,
            outcome: data.is_empty().then(|| Err("we hold no keys".to_owned())),
        }
    }

    /// How it went, if it is through.
    pub(super) fn outcome(&self) -> Option<Result<DeltaReady, String>> {
        let outcome = self.outcome.as_ref()?;
        Some(
            outcome
                .as_ref()
                .map(|built| built.ready.clone())
                .map_err(String::clone),
        )
    }

    /// Time passed.
    pub(super) fn step(
        &mut self,
        replica: usize,
        nodes: &mut [SimNode],
        now_ms: i64,
        rng: &mut fastrand::Rng,
    ) {
        self.end_their_walk(nodes, now_ms);
        while now_ms >= self.due_ms && self.outcome.is_none() {
            match std::mem::replace(&mut self.wait, Wait::No) {
                Wait::No => match self.client.next() {
                    Step::Ask(question) => {
                        self.wait = Wait::Question(question);
                        self.due_ms = now_ms + rng.i64(0..100);
                    }
                    Step::Walk(order) => {
                        self.wait = Wait::Walk(order);
                        self.due_ms = now_ms + rng.i64(0..300);
                    }
                    Step::Pause(ms) => self.due_ms = now_ms + ms,
                    Step::Done(fetched) => self.outcome = Some(build(fetched)),
                    Step::Failed(why) => self.outcome = Some(Err(why)),
                },
                Wait::Question(question) => {
                    let answer = self.put(question, replica, &nodes[self.master], now_ms, rng);
                    self.wait = Wait::Answer(answer);
                    self.due_ms = now_ms + rng.i64(0..100);
                }
                Wait::Answer(answer) => self.client.answered(answer),
                Wait::Walk(order) => {
                    let walked = walk(&nodes[replica].host.data, &order, rng);
                    self.client.walked(walked);
                }
            }
        }
    }

    /// The question has come to the master.
    fn put(
        &mut self,
        question: Question,
        replica: usize,
        master: &SimNode,
        now_ms: i64,
        rng: &mut fastrand::Rng,
    ) -> Result<Answer, String> {
        let host = &master.host;
        let stale = host.hub.is_replica() && !host.hub.link_up();
        if !host.up || stale || rng.u8(..) < LOST {
            return Err("the connection was lost".into());
        }
        let words = question.words();
        let words: Vec<&[u8]> = words.iter().map(|word| &word[..]).collect();
        let question = Question::parse(&words[2..]).ok_or("no question")?;
        let peer = format!("node{replica}");
        let order = host
            .hub
            .with_delta_server(|server| server.asked(question, &peer, now_ms))?;
        let (id, cut, walked) = match order {
            Order::Answer(answer) => return reread(&answer),
            Order::Ranges(id, secret, bits) => {
                let cut = host.hub.cut(true);
                let ranges = collect(&host.data, &secret, Ranges::new(bits));
                (id, cut, Ok(Walked::Ranges(ranges)))
            }
            Order::Patch(id, order) => {
                let cut = host.hub.cut(true);
                self.expected = Some(host.data.clone());
                let patch = make_patch(master, &order, &cut);
                (id, cut, patch.map(Walked::Patch))
            }
        };
        let failed = rng.u8(..) < WALK_FAILURES;
        let walked = if failed {
            Err("a snapshot is wanted".into())
        } else {
            walked
        };
        self.their_walk = Some((now_ms + rng.i64(0..600), id, walked));
        let answer = host.hub.with_delta_server(|server| server.cut(id, cut));
        reread(&answer?)
    }

    fn end_their_walk(&mut self, nodes: &[SimNode], now_ms: i64) {
        if let Some((at, id, walked)) = self.their_walk.take() {
            if now_ms < at {
                self.their_walk = Some((at, id, walked));
                return;
            }
            let hub = &nodes[self.master].host.hub;
            hub.with_delta_server(|server| server.walked(id, walked));
        }
    }

    /// Applies it, if the data is as it was when this began and `agree` agrees. An error: what it became is not what the
    /// master's was.
    pub(super) fn apply(
        self,
        data: &mut Dataset,
        agree: impl FnOnce() -> bool,
    ) -> Option<Result<(), String>> {
        let built = self.outcome?.ok()?;
        if data.fingerprint != self.fingerprint || !agree() {
            return None;
        }
        for (db, key) in built.drops {
            data.repair(db, key, None);
        }
        for (db, key, value) in built.puts {
            data.repair(db, key, Some(value));
        }
        data.fingerprint = built.fingerprint;
        let expected = self.expected?;
        Some(match *data == expected {
            true => Ok(()),
            false => Err(format!("a delta made {data:?} of what is {expected:?}")),
        })
    }
}

/// As it comes over a connection.
fn reread(answer: &Answer) -> Result<Answer, String> {
    Answer::parse(&answer.to_bytes()).ok_or("no answer".into())
}

fn make_patch(master: &SimNode, order: &PatchOrder, cut: &StreamCut) -> Result<Vec<u8>, String> {
    let host = &master.host;
    let (since, from, database) = order.since;
    if cut.diverged.is_some() {
        return Err("the master's own data has diverged".into());
    }
    if since != cut.id {
        return Err("the history has changed".into());
    }
    let mut gathered = Touched::new(database);
    let mut at = from;
    while at < cut.offset {
        let part = touched::part(&mut host.hub.stream().log, at, cut.offset);
        let part = part.ok_or("too much was written meanwhile")?;
        at += part.len() as u64;
        gathered.read(&order.secret, &part, &mut |args| touch(args))?;
    }
    let have = order.have.iter().map(|key| (key.place, key.digest));
    let preamble = Preamble {
        replication: cut.database.map(|database| ReplicationMark {
            replid: cut.id.to_string(),
            offset: cut.offset as i64,
            stream_db: database as i64,
            diverged: None,
        }),
        ..Preamble::default()
    };
    let mut patching = Patching::new(
        order.bits,
        &order.ranges,
        have.collect(),
        &preamble,
        PATCH_MAX,
    );
    patching.touched(gathered.into_keys());
    let mut patching = collect(&host.data, &order.secret, patching);
    let fingerprint = host.data.fingerprint.to_string();
    let place = KeyPlace::of(&order.secret, 0, FINGERPRINT);
    patching.add(DigestedKey {
        db: 0,
        key: FINGERPRINT,
        place,
        digest: KeyDigest(0),
        value: ValueRef::String(StrRef::Bytes(fingerprint.as_bytes())),
        expire_at: None,
    });
    let patch = patching.finish().ok_or("what differs is too large")?;
    let drops = Drops {
        places: patch.places,
        names: patch.names,
    };
    Ok([drops.to_bytes(), patch.dump.concat()].concat())
}

fn touch<'a>(args: &[&'a [u8]]) -> Touch<'a> {
    match args {
        [b"SELECT", db] => number(db).map_or(Touch::Everything, |db| Touch::Select(db as usize)),
        [b"SET" | b"VADD" | b"RESTORE" | b"DEL", key, ..] => Touch::Keys(vec![key]),
        [b"PING" | b"REPLCONF" | b"MULTI" | b"EXEC", ..] => Touch::Nothing,
        _ => Touch::Everything,
    }
}

fn number(bytes: &[u8]) -> Option<u64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

fn build(fetched: Fetched) -> Result<Built, String> {
    let mut builder = Builder::default();
    let options = reader::Options::default();
    reader::load(&fetched.dump[..], options, &mut builder).map_err(|error| error.to_string())?;
    let drops = fetched.drops.iter();
    let drops = drops.filter_map(|(db, key)| Some((*db, number(key)? as u8)));
    Ok(Built {
        drops: drops.collect(),
        puts: builder.puts,
        fingerprint: builder.fingerprint.ok_or("no fingerprint came")?,
        ready: DeltaReady {
            history: fetched.history,
            offset: fetched.offset,
            database: builder.database,
            told: fetched.told,
        },
    })
}

#[derive(Default)]
struct Builder {
    db: usize,
    puts: Vec<(usize, u8, u64)>,
    fingerprint: Option<u64>,
    database: Option<usize>,
}

impl Loader for Builder {
    fn aux(&mut self, name: &[u8], value: &[u8]) -> LoadResult {
        if name == b"repl-stream-db" {
            self.database = number(value).map(|db| db as usize);
        }
        Ok(())
    }

    fn select(&mut self, db: u64) -> LoadResult {
        self.db = db as usize;
        Ok(())
    }

    fn entry(&mut self, entry: Loaded<'_>) -> LoadResult {
        let (key, db) = (entry.key.to_vec(), self.db);
        let crate::data::Value::String(value) = entry.value.into_value() else {
            return Err("no string".into());
        };
        let value = number(&value).ok_or("no number")?;
        if key == FINGERPRINT {
            self.fingerprint = Some(value);
        } else {
            let key = number(&key).ok_or("no key")?;
            self.puts.push((db, key as u8, value));
        }
        Ok(())
    }
}
