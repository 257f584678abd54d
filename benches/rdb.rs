//! Encoding and decoding dumps: bytes through the checksum, LZF, and entries of the kinds that dumps are
//! made of.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use understudy::Encodings;
use understudy::internals::data::list::End;
use understudy::internals::data::{Hash, List, Set, StrRef, Value, ValueRef, Zset};
use understudy::internals::rdb::crc64::crc64;
use understudy::internals::rdb::decode::Decoded;
use understudy::internals::rdb::lzf::{Compressor, decompress};
use understudy::internals::rdb::reader::{LoadResult, Loaded, Loader, Options, load};
use understudy::internals::rdb::source::Text;
use understudy::internals::rdb::writer::{ChunkSink, ChunkWriter, KeyHeader, Preamble, Usage};

const ENTRIES: usize = 20_000;

/// Counts chunks and forgets them.
struct Forget(usize);

impl ChunkSink for Forget {
    fn chunk(&mut self, chunk: Bytes) {
        self.0 += chunk.len();
    }
}

/// Looks at everything, keeps nothing: what is left is the reader's own cost.
struct Glance(usize);

impl Loader for Glance {
    fn select(&mut self, _db: u64) -> LoadResult {
        Ok(())
    }

    fn entry(&mut self, entry: Loaded<'_>) -> LoadResult {
        self.0 += entry.key.len();
        match black_box(entry.value) {
            Decoded::Text(Text::Bytes(bytes)) => self.0 += bytes.len(),
            Decoded::Text(Text::Int(n)) => self.0 += n as usize & 1,
            Decoded::Value(value) => drop(value),
        }
        Ok(())
    }
}

fn noise(rng: &mut fastrand::Rng, length: usize) -> Vec<u8> {
    (0..length).map(|_| rng.u8(..)).collect()
}

/// The datasets: name and values.
fn datasets() -> Vec<(&'static str, Vec<Value>)> {
    let enc = Encodings::default();
    let mut rng = fastrand::Rng::with_seed(1);
    let strings = |mut value: Box<dyn FnMut(usize) -> Vec<u8>>| {
        (0..ENTRIES).map(|i| Value::String(value(i))).collect()
    };
    let hash = |i: usize| {
        let mut hash = Hash::new();
        for field in 0..10 {
            let (field, value) = (format!("field{field}"), format!("value{i}"));
            hash.insert(field.as_bytes(), value.as_bytes(), &enc);
        }
        Value::Hash(hash)
    };
    let list = |_| {
        let mut list = List::new();
        for item in 0..10 {
            list.push(End::Tail, format!("v{item}").as_bytes(), &enc);
        }
        Value::List(Box::new(list))
    };
    let zset = |_| {
        let mut zset = Zset::new();
        for member in 0..10 {
            zset.insert(format!("m{member}").as_bytes(), f64::from(member), &enc);
        }
        Value::Zset(zset)
    };
    let mut set = Set::new();
    let mut large = Zset::new();
    for i in 0..ENTRIES {
        let member = format!("member:{i}");
        set.insert(member.as_bytes(), &enc);
        large.insert(member.as_bytes(), rng.f64(), &enc);
    }
    let mut other = rng.fork();
    vec![
        (
            "strings of 100 incompressible bytes",
            strings(Box::new(move |_| noise(&mut other, 100))),
        ),
        (
            "strings of 100 compressible bytes",
            strings(Box::new(|i| {
                format!("{{\"id\":{i},\"name\":\"user {i}\",\"mail\":\"user{i}@example.com\",\"tags\":[\"a\",\"b\",\"c\"],\"active\":true}}").into_bytes()
            })),
        ),
        ("hashes of 10 fields", (0..ENTRIES).map(hash).collect()),
        ("lists of 10", (0..ENTRIES).map(list).collect()),
        ("sorted sets of 10", (0..ENTRIES).map(zset).collect()),
        ("one large set", vec![Value::Set(set)]),
        ("one large sorted set", vec![Value::Zset(large)]),
    ]
}

fn view(value: &Value) -> ValueRef<'_> {
    match value {
        Value::String(bytes) => ValueRef::String(StrRef::Bytes(bytes)),
        other => other.as_ref(),
    }
}

fn write(values: &[Value], compression: bool, sink: &mut impl ChunkSink) {
    let mut writer = ChunkWriter::new(compression, true, 256 * 1024);
    writer.begin(&Preamble::default());
    let mut key = *b"key:000000000000";
    for (i, value) in values.iter().enumerate() {
        let mut rest = i;
        for digit in key[4..].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let header = KeyHeader {
            key: &key,
            expire_at: None,
            usage: Usage::Unknown,
        };
        writer.entry(0, header, view(value));
        writer.drain(sink);
    }
    writer.finish(sink);
}

fn dumps(c: &mut Criterion) {
    for (name, values) in datasets() {
        let mut chunks: Vec<Bytes> = Vec::new();
        write(&values, true, &mut chunks);
        let dump = chunks.concat();
        let elements = ENTRIES as u64;
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(elements));
        group.bench_function("encode", |b| {
            b.iter(|| {
                let mut sink = Forget(0);
                write(&values, true, &mut sink);
                sink.0
            });
        });
        group.bench_function("encode without compression", |b| {
            b.iter(|| {
                let mut sink = Forget(0);
                write(&values, false, &mut sink);
                sink.0
            });
        });
        group.bench_function("decode", |b| {
            b.iter(|| {
                let mut loader = Glance(0);
                load(&dump[..], Options::default(), &mut loader).expect("our own dump");
                loader.0
            });
        });
        group.finish();
    }
}

fn primitives(c: &mut Criterion) {
    let mut rng = fastrand::Rng::with_seed(2);
    for size in [64, 1024, 256 * 1024] {
        let bytes = noise(&mut rng, size);
        let mut group = c.benchmark_group("crc64");
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(size.to_string(), |b| b.iter(|| crc64(black_box(&bytes))));
        group.finish();
    }
    let text: Vec<u8> = (0..400)
        .flat_map(|i| format!("field{i} value{i} ").into_bytes())
        .collect();
    let mut group = c.benchmark_group("lzf");
    for (name, input) in [
        ("100 incompressible bytes", noise(&mut rng, 100)),
        ("170 bytes of text", text[..170].to_vec()),
        ("5 KB of text", text[..5000].to_vec()),
    ] {
        group.throughput(Throughput::Bytes(input.len() as u64));
        let mut compressor = Compressor::new();
        let mut out = Vec::new();
        group.bench_function(format!("compress {name}"), |b| {
            b.iter(|| {
                out.clear();
                compressor.compress(black_box(&input), &mut out, input.len() - 4)
            });
        });
        if out.is_empty() {
            continue;
        }
        let packed = out.clone();
        group.bench_function(format!("decompress {name}"), |b| {
            b.iter(|| {
                out.clear();
                decompress(black_box(&packed), input.len(), &mut out)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, primitives, dumps);
criterion_main!(benches);
