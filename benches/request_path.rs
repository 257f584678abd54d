//! The request path without a socket: parsing a pipeline, and parsing and running one, as a connection does
//! for every read; by one thread, and by two that share the shards as two serving arbiters do.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use understudy::Clock;
use understudy::Settings;
use understudy::internals::clients::client::Client;
use understudy::internals::clock::SystemClock;
use understudy::internals::command::dispatch::{self, Outcome};
use understudy::internals::command::{Context, Effects};
use understudy::internals::node_core::NodeCore;
use understudy::internals::repl::wire;
use understudy::internals::resp::request::{Batch, Limits, Parser};
use understudy::internals::resp::{Reply, Resp};
use understudy::internals::session::{Origin, Session};

// As in the binary.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Commands in one read, as redis-benchmark's -P 16 sends.
const PIPELINE: usize = 16;
const KEYS: usize = 1_000_000;
/// Different pipelines, so that keys are spread.
const READS: usize = 1 << 15;

fn read_of(
    numbers: impl Iterator<Item = usize>,
    command: impl Fn(usize) -> Vec<String>,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    numbers.for_each(|n| wire::command(&mut bytes, &command(n)));
    bytes
}

fn reads(command: impl Fn(usize) -> Vec<String>) -> Vec<Vec<u8>> {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut read = || read_of((0..PIPELINE).map(|_| rng.usize(..KEYS)), &command);
    (0..READS).map(|_| read()).collect()
}

/// Pipelines that say each number once, in another order: things shall not lie in memory in the order in
/// which they are asked for, or the processor guesses where the next one is.
fn filling(command: impl Fn(usize) -> Vec<String>) -> Vec<Vec<u8>> {
    let mut numbers: Vec<usize> = (0..KEYS).collect();
    fastrand::Rng::with_seed(2).shuffle(&mut numbers);
    let pipelines = numbers.chunks(PIPELINE);
    pipelines
        .map(|some| read_of(some.iter().copied(), &command))
        .collect()
}

fn parsing(c: &mut Criterion) {
    let reads = reads(|n| {
        vec![
            "SET".into(),
            format!("key:{n:012}"),
            "xxxxxxxxxxxxxxxx".into(),
        ]
    });
    let mut group = c.benchmark_group("parse");
    group.throughput(Throughput::Elements(PIPELINE as u64));
    let (mut parser, mut batch) = (Parser::default(), Batch::default());
    let mut next = reads.iter().cycle();
    group.bench_function("pipeline of 16 SET", |b| {
        b.iter(|| {
            let read = next.next().map_or(&[][..], Vec::as_slice);
            parser
                .parse(black_box(read), &Limits::default(), &mut batch)
                .expect("well-formed");
            batch.len()
        });
    });
    group.finish();
}

/// What the workloads do: each to or in a million keys or members. Some read what the one before wrote.
type Workload = (&'static str, fn(usize) -> Vec<String>);
const WORKLOADS: [Workload; 9] = [
    ("SET", |n| {
        words(&["SET", &format!("key:{n:012}"), "xxxxxxxxxxxxxxxx"])
    }),
    ("GET", |n| words(&["GET", &format!("key:{n:012}")])),
    ("INCR", |n| words(&["INCR", &format!("ctr:{n:012}")])),
    ("HSET", |n| {
        words(&["HSET", &format!("h:{n:012}"), "f", "v"])
    }),
    ("SADD", |n| words(&["SADD", "s", &format!("{n:012}")])),
    ("SISMEMBER", |n| {
        words(&["SISMEMBER", "s", &format!("{n:012}")])
    }),
    ("ZADD", |n| {
        words(&["ZADD", "z", &n.to_string(), &format!("{n:012}")])
    }),
    ("ZSCORE", |n| words(&["ZSCORE", "z", &format!("{n:012}")])),
    ("LPUSH", |_| words(&["LPUSH", "l", "v"])),
];

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| w.to_string()).collect()
}

/// A connection's part of the work: runs so many reads.
fn serve(node: &NodeCore, reads: &[Vec<u8>], from: usize, count: u64) {
    let client = Client::new(1, "bench:0".into(), String::new(), 0);
    let mut session = Session::new(client, Origin::Client);
    let (mut reply, mut effects) = (Reply::new(Resp::V2), Effects::default());
    let (mut parser, mut batch) = (Parser::default(), Batch::default());
    for turn in 0..count as usize {
        let read = &reads[(from + turn) % reads.len()];
        parser
            .parse(read, &Limits::default(), &mut batch)
            .expect("well-formed");
        let settings = node.settings.load();
        let mut args = Vec::new();
        let mut ctx = Context::new(node, &settings, &mut session, &mut reply, &mut effects);
        let mut index = 0;
        while index < batch.len() {
            ctx.prefetch_window(&batch, index, read);
            batch.args(index, read, &mut args);
            match dispatch::run(&mut ctx, &args) {
                // A connection would wait to be woken.
                Outcome::Busy(_) => std::thread::yield_now(),
                _ => index += 1,
            }
        }
        ctx.finish();
        reply.clear();
    }
}

fn dispatching(c: &mut Criterion) {
    for (threads, shards) in [(1, 1), (2, 8)] {
        let node = NodeCore::new(SystemClock::new(), Settings::default(), shards, None, None);
        let mut group = c.benchmark_group(format!("dispatch, {threads} at a time"));
        group.throughput(Throughput::Elements(PIPELINE as u64));
        group.sample_size(20);
        group.measurement_time(Duration::from_secs(2));
        for (name, command) in WORKLOADS {
            let fill = filling(command);
            serve(&node, &fill, 0, fill.len() as u64);
            drop(fill);
            let reads = &reads(command);
            let mut from = 0;
            group.bench_function(format!("pipeline of 16 {name}"), |b| {
                b.iter_custom(|count| {
                    let start = Instant::now();
                    std::thread::scope(|scope| {
                        for thread in 1..threads {
                            let (node, from) = (&node, from + thread * READS / threads);
                            scope.spawn(move || serve(node, reads, from, count));
                        }
                        serve(&node, reads, from, count);
                    });
                    from += count as usize;
                    start.elapsed()
                });
            });
        }
        group.finish();
    }
}

fn replying(c: &mut Criterion) {
    let mut reply = Reply::new(Resp::V2);
    let values: Vec<String> = (0..100).map(|n| format!("value:{n:010}")).collect();
    let mut group = c.benchmark_group("reply");
    group.throughput(Throughput::Elements(PIPELINE as u64));
    group.bench_function("16 bulk strings", |b| {
        b.iter(|| {
            reply.clear();
            for value in &values[..PIPELINE] {
                reply.bulk(black_box(value.as_bytes()));
            }
            reply.len()
        });
    });
    group.bench_function("16 integers", |b| {
        b.iter(|| {
            reply.clear();
            (0..PIPELINE as i64).for_each(|n| reply.int(black_box(n * 1001)));
            reply.len()
        });
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("an array of 100 bulk strings", |b| {
        b.iter(|| {
            reply.clear();
            reply.array(values.len());
            for value in &values {
                reply.bulk(black_box(value.as_bytes()));
            }
            reply.len()
        });
    });
    group.finish();
}

/// What is asked after every command.
fn clock(c: &mut Criterion) {
    let clock = SystemClock::new();
    c.bench_function("the time", |b| b.iter(|| clock.unix_us()));
}

criterion_group!(benches, parsing, dispatching, replying, clock);
criterion_main!(benches);
