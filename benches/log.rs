//! The replication log: appending a write's effect, and reading it back in the pieces a replica is sent.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use understudy::internals::repl::Log;

/// SET key:000000000000 with a value of 16 bytes.
const EFFECT: &[u8] = b"*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000000\r\n$16\r\nxxxxxxxxxxxxxxxx\r\n";
/// Effects between two readings: a burst of pipelined writes.
const BURST: usize = 256;

fn log(c: &mut Criterion) {
    let mut group = c.benchmark_group("log");
    group.throughput(Throughput::Bytes(EFFECT.len() as u64));
    let mut log = Log::new(0, 1 << 20);
    group.bench_function("append one effect", |b| {
        b.iter(|| log.append(black_box(EFFECT)))
    });

    group.throughput(Throughput::Bytes((EFFECT.len() * BURST) as u64));
    let mut log = Log::new(0, 1 << 20);
    let mut pieces = Vec::new();
    group.bench_function("append a burst of 256 and read it", |b| {
        b.iter(|| {
            let from = log.end();
            for _ in 0..BURST {
                log.append(EFFECT);
            }
            pieces.clear();
            log.read(from, usize::MAX, &mut pieces)
                .expect("just written");
            pieces.len()
        });
    });
    group.finish();
}

criterion_group!(benches, log);
criterion_main!(benches);
