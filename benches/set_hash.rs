//! Sets and hashes: the operations behind SADD, SISMEMBER, HSET and HGET, small and large, and what a
//! snapshot's clone costs.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use understudy::Encodings;
use understudy::internals::data::{Hash, Set};

// As in the binary.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const LARGE: usize = 1_000_000;

fn members(word: &str, count: usize) -> Vec<Vec<u8>> {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut members: Vec<_> = (0..count)
        .map(|n| format!("{word}:{n}").into_bytes())
        .collect();
    rng.shuffle(&mut members);
    members
}

fn set_of(members: &[Vec<u8>], enc: &Encodings) -> Set {
    let mut set = Set::new();
    for member in members {
        set.insert(member, enc);
    }
    set
}

fn hash_of(fields: &[Vec<u8>], enc: &Encodings) -> Hash {
    let mut hash = Hash::new();
    for field in fields {
        hash.insert(field, b"value:123456", enc);
    }
    hash
}

fn sets(c: &mut Criterion) {
    let enc = Encodings::default();
    let known = members("member", LARGE);
    let others = members("absent", LARGE);
    let mut group = c.benchmark_group("set");

    group.sample_size(10);
    group.bench_function("build a million", |b| {
        b.iter_with_large_drop(|| set_of(&known, &enc));
    });
    group.sample_size(50);

    let set = set_of(&known, &enc);
    let mut next = known.iter().cycle();
    group.bench_function("contains, of a million", |b| {
        b.iter(|| set.contains(black_box(next.next().map_or(&[][..], Vec::as_slice))));
    });
    let mut next = others.iter().cycle();
    group.bench_function("contains not, of a million", |b| {
        b.iter(|| set.contains(black_box(next.next().map_or(&[][..], Vec::as_slice))));
    });
    let mut changing = set.clone();
    let mut next = others.iter().cycle();
    group.bench_function("insert and remove, of a million", |b| {
        b.iter(|| {
            let member = next.next().map_or(&[][..], Vec::as_slice);
            changing.insert(black_box(member), &enc);
            changing.remove(member)
        });
    });
    let mut rng = fastrand::Rng::with_seed(2);
    group.bench_function("random, of a million", |b| {
        b.iter(|| set.random(&mut rng).is_some());
    });
    group.bench_function("clone a million", |b| {
        b.iter_with_large_drop(|| set.clone());
    });
    group.bench_function("first insert after a clone of a million", |b| {
        let mut next = others.iter().cycle();
        b.iter_batched(
            || set.clone(),
            |mut copy| {
                copy.insert(next.next().map_or(&[][..], Vec::as_slice), &enc);
                copy
            },
            BatchSize::PerIteration,
        );
    });

    let few = members("member", 20);
    let small = set_of(&few, &enc);
    let mut next = few.iter().cycle();
    group.bench_function("contains, of twenty", |b| {
        b.iter(|| small.contains(black_box(next.next().map_or(&[][..], Vec::as_slice))));
    });
    group.finish();
}

fn hashes(c: &mut Criterion) {
    let enc = Encodings::default();
    let known = members("field", LARGE);
    let mut group = c.benchmark_group("hash");

    group.sample_size(10);
    group.bench_function("build a million", |b| {
        b.iter_with_large_drop(|| hash_of(&known, &enc));
    });
    group.sample_size(50);

    let mut hash = hash_of(&known, &enc);
    let mut next = known.iter().cycle();
    group.bench_function("get, of a million", |b| {
        b.iter(|| {
            hash.get(black_box(next.next().map_or(&[][..], Vec::as_slice)))
                .is_some()
        });
    });
    let mut next = known.iter().cycle();
    group.bench_function("replace, of a million", |b| {
        b.iter(|| {
            let field = next.next().map_or(&[][..], Vec::as_slice);
            hash.insert(black_box(field), b"value:654321", &enc)
        });
    });

    let few = members("field", 10);
    let mut small = hash_of(&few, &enc);
    let mut next = few.iter().cycle();
    group.bench_function("get, of ten", |b| {
        b.iter(|| {
            small
                .get(black_box(next.next().map_or(&[][..], Vec::as_slice)))
                .is_some()
        });
    });
    let mut next = few.iter().cycle();
    group.bench_function("replace, of ten", |b| {
        b.iter(|| {
            let field = next.next().map_or(&[][..], Vec::as_slice);
            small.insert(black_box(field), b"value:654321", &enc)
        });
    });
    group.bench_function("build ten", |b| {
        b.iter(|| hash_of(black_box(&few), &enc));
    });
    group.finish();
}

criterion_group!(benches, sets, hashes);
criterion_main!(benches);
