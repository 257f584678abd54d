//! The bodies of the fuzz targets, driven for a moment by a seeded mutator over inputs that are valid: what changes
//! a parser and breaks it is found at once, without the fuzzer's own compiler flags. `fuzz/README.md` says how the
//! same bodies are run guided by coverage.
//!
//! `FUZZ_INPUTS=1000000` runs so many per target, `FUZZ_SEED=7` others than usual.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use understudy::internals::data::Value;
use understudy::internals::rdb::writer::{ChunkWriter, KeyHeader, Preamble, Usage};

#[path = "../fuzz/bodies/compact.rs"]
mod compact;
#[path = "../fuzz/bodies/config.rs"]
mod config;
#[path = "../fuzz/bodies/hyperloglog.rs"]
mod hyperloglog;
#[path = "../fuzz/bodies/link.rs"]
mod link;
#[path = "../fuzz/bodies/lua_libraries.rs"]
mod lua_libraries;
#[path = "../fuzz/bodies/rdb_reader.rs"]
mod rdb_reader;
#[path = "../fuzz/bodies/rdb_value.rs"]
mod rdb_value;
#[path = "../fuzz/bodies/resp_request.rs"]
mod resp_request;
#[path = "../fuzz/bodies/resp_value.rs"]
mod resp_value;
#[path = "../fuzz/bodies/script_replies.rs"]
mod script_replies;

/// Longest input, bytes.
const LENGTH_MAX: usize = 4096;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs a body over mutations of `valid`. The body's first bytes choose what it does, so they are drawn anew.
fn drive(valid: &[Vec<u8>], choices: usize, body: fn(&[u8])) {
    let inputs = setting("FUZZ_INPUTS").unwrap_or(3000);
    let mut rng = fastrand::Rng::with_seed(setting("FUZZ_SEED").unwrap_or(1));
    for _ in 0..inputs {
        let mut input: Vec<u8> = (0..choices).map(|_| rng.u8(..)).collect();
        input.extend_from_slice(&valid[rng.usize(0..valid.len())]);
        for _ in 0..rng.usize(0..6) {
            mutate(&mut input, choices, valid, &mut rng);
        }
        input.truncate(LENGTH_MAX);
        if catch_unwind(AssertUnwindSafe(|| body(&input))).is_err() {
            panic!("this input failed: b\"{}\"", input.escape_ascii());
        }
    }
}

fn mutate(input: &mut Vec<u8>, from: usize, valid: &[Vec<u8>], rng: &mut fastrand::Rng) {
    if input.len() <= from {
        input.push(rng.u8(..));
    }
    let at = rng.usize(from..input.len());
    let to = rng.usize(at..=input.len().min(at + 64));
    match rng.u8(0..8) {
        0 => input[at] ^= 1 << rng.u8(0..8),
        1 => input[at] = rng.u8(..),
        // Where lengths and counts change their form.
        2 => input[at] = [0, 1, 63, 64, 127, 128, 191, 192, 253, 254, 255][rng.usize(0..11)],
        3 => drop(input.drain(at..to)),
        4 => {
            let part = input[at..to].to_vec();
            input.splice(at..at, part);
        }
        5 => input.insert(at, rng.u8(..)),
        6 => input.truncate(at),
        _ => {
            let other = &valid[rng.usize(0..valid.len())];
            let from = rng.usize(0..=other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
    }
}

/// A dump of keys of every kind, small and large.
fn dump() -> Vec<u8> {
    let mut writer = ChunkWriter::new(true, true, 1000);
    let mut chunks: Vec<Bytes> = Vec::new();
    writer.begin(&Preamble::default());
    let texts = ["17", "text", &"long ".repeat(30)];
    for (db, text) in texts.into_iter().enumerate() {
        let value = Value::String(text.into());
        let header = KeyHeader {
            key: text.as_bytes(),
            expire_at: (db == 1).then_some(1_700_000_000_000),
            usage: Usage::Unknown,
        };
        writer.entry(db, header, value.as_ref());
        writer.drain(&mut chunks);
    }
    writer.finish(&mut chunks);
    chunks.concat()
}

/// Values as dumps hold them: listpacks, intsets, ziplists and plain counts, short enough to be changed anywhere.
fn values() -> Vec<Vec<u8>> {
    let bytes = |text: &[u8]| text.to_vec();
    vec![
        bytes(b"\x05hello"),
        bytes(b"\xc0\x11"),
        bytes(b"\x02\x01a\x01b"),
        bytes(b"\x01\x01a\x03\x31.5"),
        // A listpack of "a" and 1, as a string and bare.
        bytes(b"\x0c\x0c\0\0\0\x02\0\x81a\x02\x01\x01\xff"),
        bytes(b"\x0c\0\0\0\x02\0\x81a\x02\x01\x01\xff"),
        // An intset of 1 and 2.
        bytes(b"\x0c\x02\0\0\0\x02\0\0\0\x01\0\x02\0"),
        bytes(b"\x02\0\0\0\x02\0\0\0\x01\0\x02\0"),
        // A quicklist of one packed node.
        bytes(b"\x01\x02\x0c\x0c\0\0\0\x02\0\x81a\x02\x01\x01\xff"),
        // A ziplist of "a" and "b", and a zipmap.
        bytes(b"\x11\0\0\0\x0d\0\0\0\x02\0\0\x01a\x03\x01b\xff"),
        bytes(b"\x01\x01a\x01\0b\xff"),
    ]
}

#[test]
fn packed_forms() {
    drive(&values(), 1, compact::run);
}

#[test]
fn hyperloglogs() {
    // The runs behind a sparse sketch's header: empty, a few values among zeros, many neighbours.
    let mut runs = vec![
        b"\x7f\xff".to_vec(),
        b"\x41\x00\x88\x3f\x8b\x7e\xba".to_vec(),
    ];
    runs.push([&[0x89; 128][..], b"\x7e\xff"].concat());
    runs.push(b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80\x7f\xff".to_vec());
    drive(&runs, 1, hyperloglog::run);
}

#[test]
fn values_of_dumps() {
    drive(&values(), 2, rdb_value::run);
}

#[test]
fn dumps() {
    let whole = dump();
    // Half of the inputs get a header from the body.
    let valid = [whole[9..].to_vec(), whole];
    drive(&valid, 1, rdb_reader::run);
}

#[test]
fn requests() {
    let valid = [
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n*1\r\n$4\r\nPING\r\n".to_vec(),
        b"SET k \"a quoted\\x20one\"\r\nPING\r\n\r\n".to_vec(),
        b"*0\r\n*-1\r\n*2\r\n$0\r\n\r\n$-1\r\n".to_vec(),
    ];
    drive(&valid, 1, resp_request::run);
}

#[test]
fn replies() {
    let valid = [
        b"*3\r\n$1\r\na\r\n:17\r\n$-1\r\n".to_vec(),
        b"%1\r\n+k\r\n~2\r\n#t\r\n,1.5\r\n".to_vec(),
        b">2\r\n+message\r\n=7\r\ntxt:abc\r\n".to_vec(),
        b"-ERR no\r\n(123456789012345678901234567890\r\n_\r\n".to_vec(),
    ];
    drive(&valid, 0, resp_value::run);
}

#[test]
fn replies_to_scripts() {
    let valid = [
        b"*3\r\n$1\r\na\r\n:17\r\n$-1\r\n".to_vec(),
        b"%2\r\n+k\r\n~2\r\n#t\r\n,1.5\r\n$2\r\nok\r\n*-1\r\n".to_vec(),
        b"*2\r\n*1\r\n=7\r\ntxt:abc\r\n*1\r\n-ERR no\r\n".to_vec(),
        b"(123456789012345678901234567890\r\n".to_vec(),
        b"%1\r\n$3\r\nerr\r\n$1\r\nx\r\n".to_vec(),
        b"%1\r\n_\r\n,nan\r\n".to_vec(),
        b"|1\r\n+k\r\n+v\r\n*1\r\n|0\r\n:1\r\n".to_vec(),
        b"*1\r\n".repeat(300),
    ];
    drive(&valid, 1, script_replies::run);
}

#[test]
fn configurations() {
    let valid = [
        b"port 7000\nsave 900 1\nmaxmemory 2gb\nreplicaof 10.0.0.1 6379\n".to_vec(),
        b"port = 7000\nsave = [\"900 1\"]\nreplica-read-only = true\n".to_vec(),
        b"--port 7000 --save 900 1 --bind 127.0.0.1 ::1".to_vec(),
    ];
    drive(&valid, 1, config::run);
}

#[test]
fn what_a_master_says() {
    /// A step of the body's script: so many bytes come.
    fn says(script: &mut Vec<u8>, text: &[u8]) {
        script.push(text.len() as u8);
        script.extend_from_slice(text);
    }
    let id = b"0123456789012345678901234567890123456789";
    let mut valid = Vec::new();
    for full in [true, false] {
        let mut script = vec![0xff];
        says(&mut script, b"+PONG\r\n+OK\r\n+OK\r\n");
        if full {
            says(
                &mut script,
                &[b"+FULLRESYNC ".as_slice(), id, b" 10\r\n"].concat(),
            );
            says(&mut script, b"$4\r\ndump*1\r\n");
            script.push(0xfc);
        } else {
            says(
                &mut script,
                &[b"+CONTINUE ".as_slice(), id, b"\r\n"].concat(),
            );
        }
        says(&mut script, b"*1\r\n$4\r\nPING\r\n");
        script.extend_from_slice(&[0xff, 0xfe, 0xff]);
        valid.push(script);
    }
    drive(&valid, 1, link::run);
}

#[test]
fn what_scripts_give_lua_libraries() {
    let valid = [
        b"{\"a\":[1,2.5e3,-0,\"x\\u00e9\\n\"],\"b\":{\"c\":null,\"d\":true}}".to_vec(),
        b"[[[]],{\"\":{}},\"\\ud83d\\ude00\",1e999,0x1f]".to_vec(),
        b"\x82\xa1a\x93\x01\xcb\x3f\xf8\0\0\0\0\0\0\xc0\xa1b\xd9\x02xy".to_vec(),
        b"\xdd\0\0\0\x02\xde\0\x01\x05\xc3\xcf\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
        b"<i4>H!8dBc0sx|\x01\0\0\0\0\x02\0\0\0\0\0\0\xf0\x3f\x02abc\0\0".to_vec(),
        b"2147483648 -1 0x7f 1e300 8".to_vec(),
    ];
    drive(&valid, 1, lua_libraries::run);
}
