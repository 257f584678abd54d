//! What BITCOUNT, BITOP, PFCOUNT and PFMERGE spend their time on.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use understudy::internals::data::bits::{Operation, combine, count};
use understudy::internals::data::hyperloglog::{Element, add, empty, estimate, merge, merge_back};

const MEGABYTES: usize = 16;

fn bitmap(seed: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; MEGABYTES << 20];
    rng.fill(&mut bytes);
    bytes
}

fn bits(c: &mut Criterion) {
    let (a, b) = (bitmap(1), bitmap(2));
    let mut group = c.benchmark_group("bits");
    group.throughput(Throughput::Bytes(a.len() as u64));
    group.bench_function("count", |bench| {
        bench.iter(|| count(black_box(&a), 0..8 * a.len() as u64))
    });
    for (name, operation) in [
        ("and", Operation::And),
        ("xor", Operation::Xor),
        ("diff", Operation::Diff),
        ("one", Operation::One),
    ] {
        group.bench_function(name, |bench| {
            bench.iter(|| combine(operation, black_box(&[&a, &b])))
        });
    }
    group.bench_function("not", |bench| {
        bench.iter(|| combine(Operation::Not, black_box(&[&a])))
    });
    group.finish();
}

fn sketch(elements: std::ops::Range<u64>) -> Vec<u8> {
    let mut sketch = empty();
    for n in elements {
        let _ = add(&mut sketch, &[Element::of(&n.to_le_bytes())], 3000);
    }
    sketch
}

fn hyperloglogs(c: &mut Criterion) {
    let mut group = c.benchmark_group("hyperloglog");
    for (name, elements) in [("sparse", 900), ("dense", 100_000)] {
        let mut one = sketch(0..elements);
        let mut next = 0;
        group.bench_function(format!("add to a {name} one"), |bench| {
            bench.iter(|| {
                next = (next + 1) % elements;
                let _ = add(&mut one, &[Element::of(&next.to_le_bytes())], 3000);
            })
        });
        group.bench_function(format!("count a {name} one"), |bench| {
            bench.iter(|| estimate(black_box(&one)))
        });
        let ten: Vec<Vec<u8>> = (0..10)
            .map(|n| sketch(n * elements / 2..(n + 1) * elements))
            .collect();
        group.bench_function(format!("merge ten {name} ones"), |bench| {
            bench.iter(|| {
                let mut all = [0; 1 << 14];
                for one in &ten {
                    let _ = merge(&mut all, black_box(one));
                }
                let mut into = empty();
                let _ = merge_back(&mut into, &all, name == "dense", 3000);
                into
            })
        });
    }
    group.finish();
}

criterion_group!(benches, bits, hyperloglogs);
criterion_main!(benches);
