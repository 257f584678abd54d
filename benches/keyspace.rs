//! The keyspace without commands: looking up, overwriting, adding with growth, scanning, and what a
//! snapshot's cut and turns cost.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use understudy::internals::keyspace::{Expiry, Keyspace};
use understudy::internals::rdb::writer::Preamble;
use understudy::internals::snapshot::{Options, Snapshot, Want};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const KEYS: usize = 1_000_000;
const BATCH: usize = 1000;

fn key(n: usize) -> Vec<u8> {
    format!("key:{n:012}").into_bytes()
}

fn set(keyspace: &Keyspace, key: &[u8], value: &[u8], expiry: Expiry) {
    let hash = keyspace.hash(key);
    let mut entered = keyspace.enter(understudy::internals::keyspace::ShardSet::one(
        keyspace.shard_of(hash),
    ));
    entered.shard_mut(hash).dbs[0].put_string(key, hash, value, expiry, 1);
}

fn filled(keys: usize, size: usize) -> Keyspace {
    let keyspace = Keyspace::new(1, 1, 1);
    let value = vec![b'x'; size];
    for n in 0..keys {
        set(&keyspace, &key(n), &value, Expiry::Clear);
    }
    keyspace
}

/// Random keys of those that are there.
fn picks(keys: usize) -> Vec<Vec<u8>> {
    let mut rng = fastrand::Rng::with_seed(3);
    (0..BATCH * 64).map(|_| key(rng.usize(..keys))).collect()
}

fn point(c: &mut Criterion) {
    let keyspace = filled(KEYS, 16);
    let picks = picks(KEYS);
    let mut at = 0;
    let mut group = c.benchmark_group("keyspace_1m");
    group.throughput(Throughput::Elements(BATCH as u64));
    let mut next = || {
        at = (at + BATCH) % picks.len();
        &picks[at..at + BATCH]
    };
    group.bench_function("enter_and_get", |b| {
        b.iter(|| {
            for key in next() {
                let hash = keyspace.hash(key);
                let entered = keyspace
                    .try_enter(keyspace.all())
                    .expect("nobody else is here");
                black_box(entered.shard(hash).dbs[0].get(key, hash));
            }
        })
    });
    let mut entered = keyspace.enter(keyspace.all());
    group.bench_function("get", |b| {
        b.iter(|| {
            for key in next() {
                let hash = keyspace.hash(key);
                black_box(entered.shard(hash).dbs[0].get(key, hash));
            }
        })
    });
    group.bench_function("overwrite", |b| {
        b.iter(|| {
            for key in next() {
                let hash = keyspace.hash(key);
                let db = &mut entered.shard_mut(hash).dbs[0];
                black_box(db.put_string(key, hash, b"yyyyyyyyyyyyyyyy", Expiry::Clear, 2));
            }
        })
    });
    group.bench_function("scan", |b| {
        let mut cursor = 0;
        b.iter(|| {
            let mut seen = 0;
            while seen < BATCH {
                cursor = entered.at(0).dbs[0].scan(cursor, 10, &mut |entry| {
                    seen += 1;
                    black_box(entry.key);
                });
            }
        })
    });
    group.bench_function("random", |b| {
        let mut rng = fastrand::Rng::with_seed(1);
        b.iter(|| {
            for _ in 0..BATCH {
                black_box(entered.at(0).dbs[0].random(&mut rng));
            }
        })
    });
    group.finish();
}

fn growth(c: &mut Criterion) {
    let mut group = c.benchmark_group("keyspace_growth");
    group.sample_size(10);
    group.throughput(Throughput::Elements(KEYS as u64));
    let keys: Vec<_> = (0..KEYS).map(key).collect();
    group.bench_function("insert_1m", |b| {
        b.iter_batched(
            || Keyspace::new(1, 1, 1),
            |keyspace| {
                let mut entered = keyspace.enter(keyspace.all());
                for key in &keys {
                    let hash = keyspace.hash(key);
                    let db = &mut entered.at_mut(0).dbs[0];
                    db.put_string(key, hash, b"xxxxxxxxxxxxxxxx", Expiry::Clear, 1);
                }
                drop(entered);
                keyspace
            },
            BatchSize::PerIteration,
        )
    });
    group.finish();
}

fn snapshot(c: &mut Criterion) {
    let keyspace = filled(KEYS, 100);
    let mut group = c.benchmark_group("snapshot_1m");
    group.sample_size(10);
    let begin = |options| {
        let mut entered = keyspace.enter(keyspace.all());
        Snapshot::begin(&mut entered, &Preamble::default(), options, 0)
            .expect("no other snapshot is in progress")
    };
    group.bench_function("cut", |b| b.iter(|| begin(Options::default()).abort()));
    group.bench_function("turn_in_the_shard", |b| {
        let mut snapshot = begin(Options::default());
        let mut chunks = Vec::new();
        b.iter_custom(|turns| {
            let mut inside = std::time::Duration::ZERO;
            for _ in 0..turns {
                while let Want::Encode = snapshot.next() {
                    snapshot.encode(&mut chunks, usize::MAX);
                    chunks.clear();
                }
                if let Want::Finish = snapshot.next() {
                    let through = std::mem::replace(&mut snapshot, begin(Options::default()));
                    through.finish(&mut chunks);
                    continue;
                }
                let start = std::time::Instant::now();
                let mut entered = keyspace.enter(keyspace.all());
                drop(snapshot.collect(&mut entered, &mut || false));
                drop(entered);
                inside += start.elapsed();
            }
            inside
        })
    });
    for compression in [false, true] {
        let options = Options {
            compression,
            ..Options::default()
        };
        group.throughput(Throughput::Elements(KEYS as u64));
        group.bench_function(format!("whole_compression_{compression}"), |b| {
            b.iter(|| {
                let mut chunks = Vec::new();
                begin(options).run(&keyspace, &mut chunks)
            })
        });
    }
    group.finish();
}

criterion_group!(benches, point, growth, snapshot);
criterion_main!(benches);
