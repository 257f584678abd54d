//! The hot operations of lists and sorted sets, on the containers themselves.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use understudy::Encodings;
use understudy::internals::data::list::End;
use understudy::internals::data::{List, Zset};

const VALUE: &[u8] = b"0123456789abcdef";

fn long_list(items: usize) -> List {
    let enc = Encodings::default();
    let mut list = List::new();
    for i in 0..items {
        list.push(End::Tail, format!("value:{i}").as_bytes(), &enc);
    }
    list
}

fn large_zset(members: u64) -> Zset {
    let enc = Encodings::default();
    let mut zset = Zset::new();
    for i in 0..members {
        let score = (i * 0x9E37_79B9 % 1_000_003) as f64;
        zset.insert(format!("member:{i}").as_bytes(), score, &enc);
    }
    zset
}

fn lists(c: &mut Criterion) {
    let enc = Encodings::default();
    let mut group = c.benchmark_group("list");
    for (name, end) in [("lpush", End::Head), ("rpush", End::Tail)] {
        let mut list = long_list(10_000);
        group.bench_function(name, |b| b.iter(|| list.push(end, VALUE, &enc)));
    }
    for (name, end) in [("lpop", End::Head), ("rpop", End::Tail)] {
        let mut list = List::new();
        group.bench_function(name, |b| {
            b.iter(|| {
                if list.is_empty() {
                    list = long_list(100_000);
                }
                list.pop_with(end, &enc, |item| black_box(item) == black_box(item))
            })
        });
    }
    let mut queue = long_list(50);
    group.bench_function("rpush and lpop on a short queue", |b| {
        b.iter(|| {
            queue.push(End::Tail, VALUE, &enc);
            queue.pop_with(End::Head, &enc, |item| black_box(item) == black_box(item))
        })
    });
    let list = long_list(1_000_000);
    group.bench_function("lindex in a million", |b| {
        let mut rng = fastrand::Rng::with_seed(1);
        b.iter(|| black_box(list.get(rng.i64(0..1_000_000))).is_some())
    });
    group.bench_function("clone a million, write once", |b| {
        b.iter_batched(
            || list.clone(),
            |mut clone| {
                clone.push(End::Tail, VALUE, &enc);
                clone
            },
            BatchSize::SmallInput,
        )
    });
    group.throughput(Throughput::Elements(100));
    group.bench_function("lrange of 100 from 0", |b| {
        b.iter(|| {
            list.range(0, 99)
                .fold(0, |n, item| n + black_box(item.with(<[u8]>::len)))
        })
    });
    group.bench_function("lrange of 100 from the middle", |b| {
        b.iter(|| {
            list.range(500_000, 500_099)
                .fold(0, |n, item| n + black_box(item.with(<[u8]>::len)))
        })
    });
    group.finish();
}

fn zsets(c: &mut Criterion) {
    let enc = Encodings::default();
    let mut group = c.benchmark_group("zset");
    let mut zset = large_zset(1_000_000);
    let names: Vec<String> = (0..1_000_000).map(|i| format!("member:{i}")).collect();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut pick = move || rng.usize(0..1_000_000);

    group.bench_function("zadd new, scores rising", |b| {
        let mut zset = Zset::new();
        let mut n = 0u64;
        b.iter(|| {
            n += 1;
            let mut digits = itoa::Buffer::new();
            zset.insert(digits.format(n).as_bytes(), n as f64, &enc)
        })
    });
    group.bench_function("zadd over a million, random", |b| {
        b.iter(|| zset.insert(names[pick()].as_bytes(), pick() as f64, &enc))
    });
    group.bench_function("zincrby 1 in a million", |b| {
        b.iter(|| {
            zset.update(names[pick()].as_bytes(), &enc, |old| {
                old.map(|score| score + 1.0)
            });
        })
    });
    group.bench_function("zadd in a listpack of 100", |b| {
        let mut zset = large_zset(100);
        b.iter(|| zset.insert(names[pick() % 100].as_bytes(), (pick() % 1000) as f64, &enc))
    });
    group.bench_function("zscore in a million", |b| {
        b.iter(|| zset.score(names[pick()].as_bytes()))
    });
    group.bench_function("zrank in a million", |b| {
        b.iter(|| zset.rank(names[pick()].as_bytes()))
    });
    group.bench_function("zpopmin and zadd", |b| {
        b.iter(|| {
            zset.pop_with(End::Head, |_, _| ());
            zset.insert(names[pick()].as_bytes(), pick() as f64, &enc)
        })
    });
    group.bench_function("clone a million", |b| b.iter(|| zset.clone()));
    group.bench_function("zadd, first after a clone", |b| {
        b.iter_batched_ref(
            || zset.clone(),
            |clone| clone.insert(names[pick()].as_bytes(), pick() as f64, &enc),
            BatchSize::SmallInput,
        )
    });
    group.throughput(Throughput::Elements(100));
    for (name, rev) in [("zrange of 100", false), ("zrevrange of 100", true)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                zset.range(500_000..500_100, rev)
                    .fold(0.0, |n, (member, score)| {
                        n + black_box(score) + black_box(member.with(<[u8]>::len)) as f64
                    })
            })
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20)
        .warm_up_time(std::time::Duration::from_millis(500))
        .measurement_time(std::time::Duration::from_secs(1));
    targets = lists, zsets
}
criterion_main!(benches);
