//! The request path without a socket: parsing a pipeline, and parsing and running one inside a shard, as a
//! connection does for every read.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use understudy::Settings;
use understudy::clock::SystemClock;
use understudy::command::{Context, Effects, dispatch};
use understudy::node_core::NodeCore;
use understudy::repl::wire;
use understudy::resp::request::{Batch, Limits, Parser};
use understudy::resp::{Reply, Resp};
use understudy::session::{Client, Origin, Session};

/// Commands in one read, as redis-benchmark's -P 16 sends.
const PIPELINE: usize = 16;
/// Different pipelines, so that keys are spread.
const READS: usize = 4096;

fn reads(command: impl Fn(usize) -> Vec<String>) -> Vec<Vec<u8>> {
    let mut rng = fastrand::Rng::with_seed(1);
    (0..READS)
        .map(|_| {
            let mut bytes = Vec::new();
            for _ in 0..PIPELINE {
                wire::command(&mut bytes, &command(rng.usize(..1_000_000)));
            }
            bytes
        })
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

fn dispatching(c: &mut Criterion) {
    let workloads: [(&str, Vec<Vec<u8>>); 7] = [
        (
            "SET",
            reads(|n| {
                vec![
                    "SET".into(),
                    format!("key:{n:012}"),
                    "xxxxxxxxxxxxxxxx".into(),
                ]
            }),
        ),
        ("GET", reads(|n| vec!["GET".into(), format!("key:{n:012}")])),
        (
            "INCR",
            reads(|n| vec!["INCR".into(), format!("ctr:{n:012}")]),
        ),
        (
            "HSET",
            reads(|n| vec!["HSET".into(), format!("h:{n:012}"), "f".into(), "v".into()]),
        ),
        (
            "SADD",
            reads(|n| vec!["SADD".into(), "s".into(), n.to_string()]),
        ),
        (
            "ZADD",
            reads(|n| vec!["ZADD".into(), "z".into(), n.to_string(), n.to_string()]),
        ),
        (
            "LPUSH",
            reads(|_| vec!["LPUSH".into(), "l".into(), "v".into()]),
        ),
    ];
    let settings = Settings {
        shards: 1,
        ..Settings::default()
    };
    let node = Arc::new(NodeCore::new(SystemClock::new(), settings, None, None));
    let client = Client::new(1, "bench:0".into(), String::new(), 0);
    let mut session = Session::new(client, Origin::Client);
    let (mut reply, mut effects) = (Reply::new(Resp::V2), Effects::default());
    let (mut parser, mut batch) = (Parser::default(), Batch::default());

    let mut group = c.benchmark_group("dispatch");
    group.throughput(Throughput::Elements(PIPELINE as u64));
    for (name, reads) in &workloads {
        let mut next = reads.iter().cycle();
        group.bench_function(format!("pipeline of 16 {name}"), |b| {
            b.iter(|| {
                let read = next.next().map_or(&[][..], Vec::as_slice);
                parser
                    .parse(read, &Limits::default(), &mut batch)
                    .expect("well-formed");
                let settings = node.settings.load();
                let mut args = Vec::new();
                let mut ctx =
                    Context::new(&node, &settings, &mut session, &mut reply, &mut effects);
                for index in 0..batch.len() {
                    batch.args(index, read, &mut args);
                    dispatch::run(&mut ctx, &args);
                }
                ctx.finish();
                let written = reply.buf.len();
                reply.buf.clear();
                written
            });
        });
    }
    group.finish();
}

criterion_group!(benches, parsing, dispatching);
criterion_main!(benches);
