//! Seeders: data of all types in many shapes, and a stream of random writes, both from a seed.

use fastrand::Rng;

use super::RespClient;

/// Unix ms far beyond any test: expiries there never come due.
pub const FAR_MS: u64 = 4_102_444_800_000;
/// Sizes around the thresholds of the compact encodings, and one that is large.
const SIZES: &[usize] = &[1, 2, 7, 100, 127, 128, 129, 130, 511, 512, 513, 600];
const COMMANDS_PER_BATCH: usize = 1000;

type Command = Vec<Vec<u8>>;

fn command(parts: &[&[u8]]) -> Command {
    parts.iter().map(|part| part.to_vec()).collect()
}

/// A string value of some shape: integers, floats, empty, short, at the embedding limit, long, binary.
pub fn value(rng: &mut Rng) -> Vec<u8> {
    match rng.u8(..12) {
        0 => Vec::new(),
        1 => rng.i64(..).to_string().into_bytes(),
        2 => rng.i64(-200..20_000).to_string().into_bytes(),
        3 => format!("{:.3}", rng.f64() * 1000.0 - 500.0).into_bytes(),
        4 => bytes(rng, 43..46),
        5 => bytes(rng, 62..67),
        6 => bytes(rng, 100..300),
        7 => vec![b'x'; rng.usize(..5000)],
        8 => b"007".to_vec(),
        _ => format!("value:{}", rng.u32(..1_000_000)).into_bytes(),
    }
}

fn bytes(rng: &mut Rng, length: std::ops::Range<usize>) -> Vec<u8> {
    let length = rng.usize(length);
    (0..length).map(|_| rng.u8(..)).collect()
}

/// An element of a collection: mostly text with its number, some integers, some odd values.
fn element(rng: &mut Rng, number: usize) -> Vec<u8> {
    match rng.u8(..10) {
        0 => value(rng),
        1..4 => number.to_string().into_bytes(),
        _ => format!("element:{number}").into_bytes(),
    }
}

/// A score: integers, fractions, large, tiny, infinite.
fn score(rng: &mut Rng) -> Vec<u8> {
    match rng.u8(..8) {
        0 => b"inf".to_vec(),
        1 => b"-inf".to_vec(),
        2 => format!("{:e}", rng.f64() * 1e18).into_bytes(),
        3 => format!("{}", rng.f64()).into_bytes(),
        _ => rng.i32(-1000..1000).to_string().into_bytes(),
    }
}

/// Commands that make `keys` keys of all types under `prefix`, one or a few commands each.
pub fn dataset(rng: &mut Rng, prefix: &str, keys: usize) -> Vec<Command> {
    let mut commands = Vec::new();
    for number in 0..keys {
        let mut key = format!("{prefix}{number}").into_bytes();
        if number % 50 == 49 {
            key.extend_from_slice(b"\x00\r\n\xff");
        }
        let size = match rng.u8(..10) {
            0 => SIZES[rng.usize(..SIZES.len())],
            _ => rng.usize(1..12),
        };
        let kind = rng.u8(..7);
        if kind == 6 {
            commands.extend(stream(rng, &key, size));
            continue;
        }
        let name: &[u8] = match kind {
            0 | 1 => b"SET",
            2 => b"RPUSH",
            3 => b"SADD",
            4 => b"HSET",
            _ => b"ZADD",
        };
        let mut parts = command(&[name, &key]);
        let integers_only = rng.u8(..3) == 0;
        match kind {
            0 | 1 => parts.push(value(rng)),
            2 => parts.extend((0..size).map(|i| element(rng, i))),
            3 if integers_only => {
                parts.extend((0..size).map(|_| rng.i32(-70_000..70_000).to_string().into_bytes()));
            }
            3 => parts.extend((0..size).map(|i| element(rng, i))),
            4 => parts.extend((0..size).flat_map(|i| [element(rng, i), value(rng)])),
            _ => parts.extend((0..size).flat_map(|i| [score(rng), element(rng, i)])),
        }
        commands.push(parts);
        if rng.u8(..5) == 0 {
            let at = (FAR_MS + rng.u64(..1_000_000_000)).to_string();
            commands.push(command(&[b"PEXPIREAT", &key, at.as_bytes()]));
        }
    }
    commands
}

/// Commands that make a stream with a group that has read a part of it.
fn stream(rng: &mut Rng, key: &[u8], size: usize) -> Vec<Command> {
    let mut commands = Vec::new();
    for n in 1..=size {
        let id = format!("{}-{n}", 1_700_000_000_000 + rng.u64(..9) + 10 * n as u64);
        let mut parts = command(&[b"XADD", key, id.as_bytes(), b"field"]);
        parts.push(value(rng));
        if rng.u8(..10) == 0 {
            parts.extend([b"other".to_vec(), value(rng)]);
        }
        commands.push(parts);
        if rng.u8(..10) == 0 {
            commands.push(command(&[b"XDEL", key, id.as_bytes()]));
        }
    }
    commands.push(command(&[b"XGROUP", b"CREATE", key, b"g", b"0"]));
    for consumer in [b"a", b"b"] {
        let count = rng.usize(1..=size).to_string();
        let group: [&[u8]; 6] = [
            b"XREADGROUP",
            b"GROUP",
            b"g",
            consumer,
            b"COUNT",
            count.as_bytes(),
        ];
        commands.push(command(&[&group[..], &[b"STREAMS", key, b">"]].concat()));
    }
    commands
}

/// Sends commands in batches; every reply must be no error.
pub fn send_all(client: &mut RespClient, commands: &[Command]) {
    for batch in commands.chunks(COMMANDS_PER_BATCH) {
        for (command, reply) in batch.iter().zip(client.pipeline(batch)) {
            let name = command[0].escape_ascii();
            assert!(!reply.is_error(), "{name}: {reply:?}");
        }
    }
}

/// Makes `keys` keys of all types in the client's database; the same for the same seed.
pub fn fill(client: &mut RespClient, seed: u64, prefix: &str, keys: usize) {
    let mut rng = Rng::with_seed(seed);
    let mut left = keys;
    let mut part = 0;
    while left > 0 {
        let count = left.min(10_000);
        let commands = dataset(&mut rng, &format!("{prefix}{part}:"), count);
        send_all(client, &commands);
        left -= count;
        part += 1;
    }
}

/// Makes `keys` texts of so many bytes, which no dump makes much shorter.
pub fn incompressible(client: &mut RespClient, prefix: &str, keys: usize, bytes: usize) {
    for n in 0..keys {
        let value: String = (0..bytes).map(|_| fastrand::alphanumeric()).collect();
        client.call(&["SET", &format!("{prefix}{n}"), &value]);
    }
}

/// One random write that never fails, over `keys` keys each of which keeps its type: what runs while links
/// are cut and dumps are taken.
pub fn write(rng: &mut Rng, keys: usize) -> Command {
    let number = rng.usize(..keys);
    let text = |text: String| text.into_bytes();
    let member = text(format!("m:{}", rng.u32(..500)));
    let small = text(rng.i32(-100..100).to_string());
    match rng.u8(..19) {
        0 => vec![b"SET".to_vec(), text(format!("s:{number}")), value(rng)],
        1 => vec![b"INCRBY".to_vec(), text(format!("n:{number}")), small],
        2 => vec![
            b"INCRBYFLOAT".to_vec(),
            text(format!("f:{number}")),
            b"0.1".to_vec(),
        ],
        3 => vec![
            b"APPEND".to_vec(),
            text(format!("a:{}", number % 50)),
            b"xy".to_vec(),
        ],
        4 => vec![b"DEL".to_vec(), text(format!("a:{}", number % 50))],
        5 => vec![
            b"SET".to_vec(),
            text(format!("e:{number}")),
            member,
            b"EX".to_vec(),
            b"9000".to_vec(),
        ],
        6 => vec![b"RPUSH".to_vec(), text(format!("l:{number}")), member],
        7 => vec![b"LPOP".to_vec(), text(format!("l:{number}"))],
        8 => vec![
            b"LTRIM".to_vec(),
            text(format!("l:{number}")),
            b"-200".to_vec(),
            b"-1".to_vec(),
        ],
        9 => vec![b"SADD".to_vec(), text(format!("t:{number}")), member],
        10 => vec![b"SPOP".to_vec(), text(format!("t:{number}"))],
        11 => vec![
            b"HSET".to_vec(),
            text(format!("h:{number}")),
            member,
            value(rng),
        ],
        12 => vec![b"HDEL".to_vec(), text(format!("h:{number}")), member],
        13 => vec![b"ZADD".to_vec(), text(format!("z:{number}")), small, member],
        16 | 17 => {
            let (key, about) = (format!("x:{number}"), ["=", "~"][rng.usize(..2)]);
            let words = ["XADD", &key, "MAXLEN", about, "150", "*", "field"];
            let words = words.map(|word| word.as_bytes().to_vec());
            words.into_iter().chain([value(rng)]).collect()
        }
        18 => vec![
            b"XTRIM".to_vec(),
            text(format!("x:{number}")),
            b"MAXLEN".to_vec(),
            b"~".to_vec(),
            b"50".to_vec(),
        ],
        14 => vec![b"ZPOPMIN".to_vec(), text(format!("z:{number}"))],
        _ => vec![
            b"EXPIRE".to_vec(),
            text(format!("s:{number}")),
            b"9000".to_vec(),
        ],
    }
}
