//! Writer and reader against each other, and the reader against hand-made bytes of every encoding.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::crc64::crc64;
use super::error::RdbError;
use super::format::{kind, opcode};
use super::legacy::build;
use super::opaque::{ModuleAux, Opaque};
use super::pieces::Pieces;
use super::reader::{LoadResult, Loaded, Loader, Options, Summary, load};
use super::writer::{ChunkWriter, Encoder, KeyHeader, Preamble, ReplicationMark, Usage};
use crate::data::list::End;
use crate::data::listpack::Listpack;
use crate::data::{Encodings, Hash, Kind, List, Set, StrRef, Value, ValueRef, Zset};

/// A value as plain collections, for comparing.
#[derive(Clone, Debug, PartialEq)]
enum Model {
    String(Vec<u8>),
    List(Vec<Vec<u8>>),
    Set(BTreeSet<Vec<u8>>),
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
    Zset(Vec<(Vec<u8>, f64)>),
}

impl Model {
    fn of(value: &Value) -> Model {
        match value {
            Value::String(s) => Model::String(s.clone()),
            Value::List(l) => Model::List(l.iter().map(|i| i.to_vec()).collect()),
            Value::Set(s) => Model::Set(s.iter().map(|i| i.to_vec()).collect()),
            Value::Hash(h) => {
                Model::Hash(h.iter().map(|(f, v)| (f.to_vec(), v.to_vec())).collect())
            }
            Value::Stream(_) => unreachable!("streams have tests of their own"),
            Value::Zset(z) => Model::Zset(z.iter().map(|(m, s)| (m.to_vec(), s)).collect()),
        }
    }

    fn build(&self, enc: &Encodings) -> Value {
        match self {
            Model::String(s) => Value::String(s.clone()),
            Model::List(items) => {
                let mut list = List::new();
                for item in items {
                    list.push(End::Tail, item, enc);
                }
                Value::List(Box::new(list))
            }
            Model::Set(members) => {
                let mut set = Set::new();
                for member in members {
                    set.insert(member, enc);
                }
                Value::Set(set)
            }
            Model::Hash(pairs) => {
                let mut hash = Hash::new();
                for (field, value) in pairs {
                    hash.insert(field, value, enc);
                }
                Value::Hash(hash)
            }
            Model::Zset(pairs) => {
                let mut zset = Zset::new();
                for (member, score) in pairs {
                    zset.insert(member, *score, enc);
                }
                Value::Zset(zset)
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    db: u64,
    key: Vec<u8>,
    value: Model,
    encoding: String,
    expire_at: Option<i64>,
    idle_seconds: Option<u64>,
    frequency: Option<u8>,
}

/// Keeps everything.
#[derive(Default)]
pub(super) struct Rows {
    db: u64,
    rows: Vec<Row>,
    aux: Vec<(Vec<u8>, Vec<u8>)>,
    empty: Vec<Vec<u8>>,
    functions: Vec<Vec<u8>>,
    opaque: Opaque,
    modules: Vec<String>,
    hints: Vec<(u64, u64)>,
}

impl Loader for Rows {
    fn aux(&mut self, name: &[u8], value: &[u8]) -> LoadResult {
        self.aux.push((name.to_vec(), value.to_vec()));
        Ok(())
    }
    fn select(&mut self, db: u64) -> LoadResult {
        if db >= 16 {
            return Err(format!("there is no database {db}"));
        }
        self.db = db;
        Ok(())
    }
    fn resize(&mut self, keys: u64, expires: u64) -> LoadResult {
        self.hints.push((keys, expires));
        Ok(())
    }
    fn entry(&mut self, entry: Loaded<'_>) -> LoadResult {
        let value = entry.value.into_value();
        self.rows.push(Row {
            db: self.db,
            key: entry.key.to_vec(),
            encoding: value.as_ref().encoding().to_owned(),
            value: Model::of(&value),
            expire_at: entry.expire_at,
            idle_seconds: entry.idle_seconds,
            frequency: entry.frequency,
        });
        Ok(())
    }
    fn empty(&mut self, key: &[u8]) -> LoadResult {
        self.empty.push(key.to_vec());
        Ok(())
    }
    fn function(&mut self, library: &[u8]) -> LoadResult {
        self.functions.push(library.to_vec());
        self.opaque.add_library(library).unwrap();
        Ok(())
    }
    fn module_aux(&mut self, aux: ModuleAux) -> LoadResult {
        self.modules.push(aux.module.clone());
        self.opaque.add_aux(aux).unwrap();
        Ok(())
    }
}

pub(super) fn read(dump: &[u8]) -> Result<(Rows, Summary), RdbError> {
    let mut rows = Rows::default();
    let summary = load(dump, Options::default(), &mut rows)?;
    Ok((rows, summary))
}

/// A dump of some version around hand-made content, with a right checksum.
pub(super) fn dump_of(version: u32, content: &[u8]) -> Vec<u8> {
    let mut dump = format!("REDIS{version:04}").into_bytes();
    dump.extend_from_slice(content);
    dump.push(opcode::END);
    if version >= 5 {
        let crc = crc64(&dump);
        dump.extend_from_slice(&crc.to_le_bytes());
    }
    dump
}

/// Reads one key "k" with a value of hand-made bytes.
pub(super) fn read_value(kind: u8, body: &[u8]) -> Result<Row, RdbError> {
    let (rows, _) = read(&dump_of(11, &[&[kind, 1, b'k'][..], body].concat()))?;
    Ok(rows.rows.into_iter().next().expect("a row"))
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    super::writer::length(&mut out, bytes.len() as u64);
    out.extend_from_slice(bytes);
    out
}

fn strings(items: &[&[u8]]) -> Vec<u8> {
    items.iter().flat_map(|item| string(item)).collect()
}

fn owned(items: &[&[u8]]) -> Vec<Vec<u8>> {
    items.iter().map(|item| item.to_vec()).collect()
}

fn fault(result: Result<Row, RdbError>) -> String {
    result.expect_err("an error").fault.to_string()
}

fn listpack(items: &[&[u8]]) -> Vec<u8> {
    items
        .iter()
        .copied()
        .collect::<Listpack>()
        .as_bytes()
        .to_vec()
}

#[test]
fn an_empty_dump_with_all_aux_fields() {
    let mut writer = ChunkWriter::new(true, true, 1 << 16);
    let mut chunks = Vec::new();
    writer.begin(&Preamble {
        server_version: "7.2.4".into(),
        created_at: 1_700_000_000,
        used_memory_bytes: 123_456,
        replication: Some(ReplicationMark {
            replid: "a".repeat(40),
            offset: 987_654_321_000,
            stream_db: 3,
            diverged: Some(70),
        }),
        aof_base: false,
        ..Preamble::default()
    });
    writer.finish(&mut chunks);
    let dump = chunks.concat();
    assert_eq!(writer.written(), dump.len() as u64);
    let (rows, summary) = read(&dump).unwrap();
    assert!(rows.rows.is_empty() && summary.checksum_verified);
    assert_eq!((summary.version, summary.bytes), (10, dump.len() as u64));
    let aux: Vec<(String, String)> = rows
        .aux
        .into_iter()
        .map(|(n, v)| (String::from_utf8(n).unwrap(), String::from_utf8(v).unwrap()))
        .collect();
    let want = [
        ("redis-ver", "7.2.4"),
        ("redis-bits", "64"),
        ("ctime", "1700000000"),
        ("used-mem", "123456"),
        ("repl-stream-db", "3"),
        ("repl-diverged", "70"),
        ("repl-id", &"a".repeat(40)),
        ("repl-offset", "987654321000"),
        ("aof-base", "0"),
    ];
    assert_eq!(aux.len(), want.len());
    for ((name, value), want) in aux.iter().zip(want) {
        assert_eq!((name.as_str(), value.as_str()), want);
    }
}

#[test]
fn opcodes_before_and_between_keys() {
    let mut content = vec![opcode::SELECT_DB, 3, opcode::RESIZE_DB, 2, 1];
    content.push(opcode::EXPIRE_SECONDS);
    content.extend_from_slice(&1_700_000_000i32.to_le_bytes());
    content.extend_from_slice(&[kind::STRING, 1, b'a', 1, b'1']);
    content.push(opcode::EXPIRE_MS);
    content.extend_from_slice(&(-5i64).to_le_bytes());
    content.extend_from_slice(&[opcode::IDLE, 0x41, 0x00, kind::STRING, 1, b'b', 0xc0, 7]);
    content.extend_from_slice(&[opcode::FREQUENCY, 200, kind::STRING, 1, b'c', 0]);
    content.extend_from_slice(&[opcode::SLOT_INFO, 5, 1, 0]);
    content.push(opcode::FUNCTION2);
    content.extend_from_slice(&string(b"#!lua name=x"));
    // A module's aux data: every kind of part.
    content.extend_from_slice(&[opcode::MODULE_AUX, 0x44, 0x03, 2, 1]);
    content.extend_from_slice(&[
        1, 9, 3, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 5, 2, b'h', b'i', 0,
    ]);
    content.extend_from_slice(&[kind::STRING, 1, b'd', 1, b'z']);
    let (rows, summary) = read(&dump_of(12, &content)).unwrap();
    let text = |row: &Row| match &row.value {
        Model::String(s) => String::from_utf8(s.clone()).unwrap(),
        other => panic!("{other:?}"),
    };
    let got: Vec<_> = rows
        .rows
        .iter()
        .map(|r| {
            (
                r.db,
                r.key[0],
                text(r),
                r.expire_at,
                r.idle_seconds,
                r.frequency,
            )
        })
        .collect();
    assert_eq!(
        got,
        [
            (3, b'a', "1".into(), Some(1_700_000_000_000), None, None),
            (3, b'b', "7".into(), Some(-5), Some(256), None),
            (3, b'c', "".into(), None, None, Some(200)),
            (3, b'd', "z".into(), None, None, None),
        ]
    );
    assert_eq!(rows.hints, [(2, 1)]);
    assert_eq!(rows.functions, [b"#!lua name=x".to_vec()]);
    assert_eq!(rows.modules, ["AAAAAAAAB"]);
    assert_eq!((summary.keys, summary.functions), (4, 1));
}

#[test]
fn libraries_of_release_candidates_are_read_in_the_form_of_today() {
    for (described, description) in [(0, vec![]), (1, string(b"what it does"))] {
        let content = [
            &[opcode::FUNCTION_PRE_GA][..],
            &strings(&[b"x", b"LUA"]),
            &[described],
            &description,
            &string(b"return 1"),
        ];
        let (rows, summary) = read(&dump_of(10, &content.concat())).unwrap();
        assert_eq!(rows.functions, [b"#!lua name=x\nreturn 1".to_vec()]);
        assert_eq!(summary.functions, 1);
    }
}

#[test]
fn what_can_not_be_used_is_written_as_it_came() {
    // A module's data in front of the keys, with every kind of part, and behind them.
    let parts = [
        1, 9, 3, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 5, 2, b'h', b'i', 0,
    ];
    let before = [&[opcode::MODULE_AUX, 0x44, 0x03, 2, 1][..], &parts].concat();
    let behind = [opcode::MODULE_AUX, 0x44, 0x07, 2, 2, 0];
    let keys = [opcode::SELECT_DB, 0, kind::STRING, 1, b'd', 1, b'z'];
    let content = [&before[..], &keys, &behind].concat();
    let (rows, _) = read(&dump_of(10, &content)).unwrap();
    assert_eq!(
        rows.opaque.to_string(),
        "AUX data of module \"AAAAAAAAB\" and AUX data of module \"AAAAAAAAB\""
    );

    let mut writer = ChunkWriter::new(false, true, 1 << 16);
    let mut chunks = Vec::new();
    writer.begin(&Preamble {
        opaque: std::sync::Arc::new(rows.opaque),
        ..Preamble::default()
    });
    let header = KeyHeader {
        key: b"d",
        expire_at: None,
        usage: Usage::Unknown,
    };
    writer.entry(0, header, ValueRef::String(StrRef::Bytes(b"z")));
    writer.finish(&mut chunks);
    let dump = chunks.concat();
    let has = |part: &[u8]| memchr::memmem::find(&dump, part);
    let places = [&before[..], &keys, &behind].map(|part| has(part).unwrap());
    assert!(places.is_sorted(), "{places:?}");

    let cut = dump_of(10, &before[..before.len() - 2]);
    assert!(read(&cut).is_err());
}

#[test]
fn every_encoding_of_lists() {
    let items: [&[u8]; 5] = [b"a", b"7", b"-70000", b"", b"bb"];
    let want = Model::List(owned(&items));
    let plain = [&[5][..], &strings(&items)].concat();
    assert_eq!(read_value(kind::LIST, &plain).unwrap().value, want);
    let ziplist = string(&build::ziplist(&items));
    assert_eq!(
        read_value(kind::LIST_ZIPLIST, &ziplist).unwrap().value,
        want
    );
    let split = [
        &[2][..],
        &string(&build::ziplist(&items[..2])),
        &string(&build::ziplist(&items[2..])),
    ]
    .concat();
    let row = read_value(kind::LIST_QUICKLIST, &split).unwrap();
    assert_eq!(row.value, want);
    let packed = [
        &[3, 2][..],
        &string(&listpack(&items[..3])),
        // A single element as a node of its own, then a node with the rest; empty nodes are passed over.
        &[2],
        &string(&listpack(&[])),
        &[2],
        &string(&listpack(&items[3..])),
    ]
    .concat();
    assert_eq!(
        read_value(kind::LIST_QUICKLIST_2, &packed).unwrap().value,
        want
    );
    let plain_node = [
        &[2, 1][..],
        &string(b"alone"),
        &[2],
        &string(&listpack(&[b"x"])),
    ]
    .concat();
    assert_eq!(
        read_value(kind::LIST_QUICKLIST_2, &plain_node)
            .unwrap()
            .value,
        Model::List(owned(&[b"alone", b"x"]))
    );
    let small = [&[1, 2][..], &string(&listpack(&items))].concat();
    assert_eq!(
        read_value(kind::LIST_QUICKLIST_2, &small).unwrap().encoding,
        "listpack"
    );
    for bad in [
        &[1, 3, 1, b'x'][..],
        &[1, 1, 0],
        &[1, 2, 1, b'x'],
        &[1, 2, 0],
    ] {
        assert!(fault(read_value(kind::LIST_QUICKLIST_2, bad)).starts_with("corrupt"));
    }
}

#[test]
fn every_encoding_of_sets() {
    let members: [&[u8]; 3] = [b"a", b"7", b"bb"];
    let want = Model::Set(owned(&members).into_iter().collect());
    let plain = [&[3][..], &strings(&members)].concat();
    let row = read_value(kind::SET, &plain).unwrap();
    assert_eq!(
        (row.value, row.encoding.as_str()),
        (want.clone(), "listpack")
    );
    let row = read_value(kind::SET_LISTPACK, &string(&listpack(&members))).unwrap();
    assert_eq!((row.value, row.encoding.as_str()), (want, "listpack"));
    let numbers = [&[3][..], &strings(&[b"1", b"-9", b"70000"])].concat();
    assert_eq!(read_value(kind::SET, &numbers).unwrap().encoding, "intset");
    let mut intset = vec![2, 0, 0, 0, 2, 0, 0, 0];
    intset.extend_from_slice(&[0xf7, 0xff, 5, 0]);
    let row = read_value(kind::SET_INTSET, &string(&intset)).unwrap();
    assert_eq!(
        row.value,
        Model::Set(owned(&[b"-9", b"5"]).into_iter().collect())
    );
    assert_eq!(row.encoding, "intset");

    let twice = [&[3][..], &strings(&[b"a", b"b", b"a"])].concat();
    assert!(fault(read_value(kind::SET, &twice)).contains("twice"));
    let twice = string(&listpack(&[b"a", b"5", b"5"]));
    assert!(fault(read_value(kind::SET_LISTPACK, &twice)).contains("twice"));
    let many: Vec<Vec<u8>> = (0..40)
        .map(|i| format!("m{}", i % 39).into_bytes())
        .collect();
    let many: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
    let twice = string(&listpack(&many));
    assert!(fault(read_value(kind::SET_LISTPACK, &twice)).contains("twice"));
    intset[10] = 0xf7;
    intset[11] = 0xff;
    assert!(read_value(kind::SET_INTSET, &string(&intset)).is_err());
}

#[test]
fn every_encoding_of_hashes() {
    let flat: [&[u8]; 4] = [b"f", b"1", b"g", b"two"];
    let want = Model::Hash(BTreeMap::from([
        (b"f".to_vec(), b"1".to_vec()),
        (b"g".to_vec(), b"two".to_vec()),
    ]));
    let bodies = [
        (kind::HASH, [&[2][..], &strings(&flat)].concat()),
        (kind::HASH_ZIPLIST, string(&build::ziplist(&flat))),
        (kind::HASH_LISTPACK, string(&listpack(&flat))),
        (
            kind::HASH_ZIPMAP,
            string(&build::zipmap(&[(b"f", b"1"), (b"g", b"two")], 2)),
        ),
    ];
    for (kind, body) in bodies {
        let row = read_value(kind, &body).unwrap();
        assert_eq!(
            (row.value, row.encoding.as_str()),
            (want.clone(), "listpack"),
            "{kind}"
        );
    }
    let twice: [&[u8]; 4] = [b"f", b"1", b"f", b"2"];
    for (kind, body) in [
        (kind::HASH, [&[2][..], &strings(&twice)].concat()),
        (kind::HASH_ZIPLIST, string(&build::ziplist(&twice))),
        (kind::HASH_LISTPACK, string(&listpack(&twice))),
        (
            kind::HASH_ZIPMAP,
            string(&build::zipmap(&[(b"f", b"1"), (b"f", b"2")], 0)),
        ),
    ] {
        assert!(fault(read_value(kind, &body)).contains("twice"), "{kind}");
    }
    let odd = string(&listpack(&flat[..3]));
    assert!(fault(read_value(kind::HASH_LISTPACK, &odd)).contains("pair"));
}

#[test]
fn every_encoding_of_sorted_sets() {
    let want = Model::Zset(vec![
        (b"low".to_vec(), f64::NEG_INFINITY),
        (b"b".to_vec(), -1.5),
        (b"a".to_vec(), 2.0),
        (b"c".to_vec(), 2.0),
    ]);
    let flat: [&[u8]; 8] = [b"low", b"-inf", b"b", b"-1.5", b"a", b"2", b"c", b"2"];
    let mut text = vec![4];
    text.extend_from_slice(b"\x01a\x012\x01c\x012\x01b\x04-1.5\x03low\xff");
    let mut binary = vec![4];
    for (member, score) in [
        (&b"c"[..], 2.0),
        (b"a", 2.0),
        (b"b", -1.5),
        (b"low", f64::NEG_INFINITY),
    ] {
        binary.extend_from_slice(&string(member));
        binary.extend_from_slice(&f64::to_le_bytes(score));
    }
    // Out of order: nobody writes that, but it must come right.
    let shuffled: [&[u8]; 8] = [b"c", b"2", b"a", b"2", b"low", b"-inf", b"b", b"-1.5"];
    for (kind, body) in [
        (kind::ZSET, text),
        (kind::ZSET_2, binary),
        (kind::ZSET_ZIPLIST, string(&build::ziplist(&flat))),
        (kind::ZSET_LISTPACK, string(&listpack(&flat))),
        (kind::ZSET_LISTPACK, string(&listpack(&shuffled))),
    ] {
        let row = read_value(kind, &body).unwrap();
        assert_eq!(
            (row.value, row.encoding.as_str()),
            (want.clone(), "listpack"),
            "{kind}"
        );
    }
    for score in [&b"nan"[..], b"x", b""] {
        let body = string(&listpack(&[b"m", score]));
        assert!(fault(read_value(kind::ZSET_LISTPACK, &body)).contains("not a number"));
    }
    assert!(fault(read_value(kind::ZSET, b"\x01\x01a\xfd")).contains("not a number"));
    let nan = [&[1, 1, b'a'][..], &f64::NAN.to_le_bytes()].concat();
    assert!(fault(read_value(kind::ZSET_2, &nan)).contains("not a number"));
    let one = 1f64.to_le_bytes();
    let twice = [&[2, 1, b'a'][..], &one, &[1, b'a'], &one].concat();
    assert!(fault(read_value(kind::ZSET_2, &twice)).contains("twice"));
}

#[test]
fn thresholds_decide_the_encoding() {
    let pairs: Vec<Vec<u8>> = (0..1100).map(|i| format!("{i:04}").into_bytes()).collect();
    let flat: Vec<&[u8]> = pairs.iter().map(Vec::as_slice).collect();
    let encoding = |kind, count: usize| {
        let body = string(&listpack(&flat[..count]));
        read_value(kind, &body).unwrap().encoding
    };
    assert_eq!(encoding(kind::HASH_LISTPACK, 1024), "listpack");
    assert_eq!(encoding(kind::HASH_LISTPACK, 1026), "hashtable");
    assert_eq!(encoding(kind::SET_LISTPACK, 128), "listpack");
    assert_eq!(encoding(kind::SET_LISTPACK, 129), "hashtable");
    let scored: Vec<Vec<u8>> = (0..129)
        .flat_map(|i| [format!("m{i:03}").into_bytes(), i.to_string().into_bytes()])
        .collect();
    let scored: Vec<&[u8]> = scored.iter().map(Vec::as_slice).collect();
    let zset = |count: usize| {
        let body = string(&listpack(&scored[..2 * count]));
        read_value(kind::ZSET_LISTPACK, &body).unwrap().encoding
    };
    assert_eq!(
        (zset(128).as_str(), zset(129).as_str()),
        ("listpack", "skiplist")
    );
    let intset = |count: u32| {
        let mut body = vec![2, 0, 0, 0];
        body.extend_from_slice(&count.to_le_bytes());
        body.extend((0..count).flat_map(|n| (n as i16).to_le_bytes()));
        read_value(kind::SET_INTSET, &string(&body))
            .unwrap()
            .encoding
    };
    assert_eq!(
        (intset(512).as_str(), intset(513).as_str()),
        ("intset", "hashtable")
    );
}

#[test]
fn empty_collections_are_passed_over() {
    let mut content = Vec::new();
    for (kind, body) in [
        (kind::LIST, vec![0]),
        (kind::SET, vec![0]),
        (kind::HASH, vec![0]),
        (kind::ZSET, vec![0]),
        (kind::ZSET_2, vec![0]),
        (kind::LIST_QUICKLIST_2, vec![0]),
        (kind::HASH_LISTPACK, string(&listpack(&[]))),
        (kind::ZSET_ZIPLIST, string(&build::ziplist(&[]))),
        (kind::LIST_ZIPLIST, string(&build::ziplist(&[]))),
    ] {
        content.extend_from_slice(&[kind, 1, kind]);
        content.extend_from_slice(&body);
    }
    content.extend_from_slice(&[kind::STRING, 1, b'k', 1, b'v']);
    let (rows, summary) = read(&dump_of(9, &content)).unwrap();
    assert_eq!((summary.keys, summary.empty_keys), (1, 9));
    assert_eq!(rows.empty.len(), 9);
    assert_eq!(rows.rows[0].key, b"k");
}

#[test]
fn what_stands_behind_a_dump_is_left() {
    let mut bytes = dump_of(10, &[kind::STRING, 1, b'k', 1, b'v']);
    let length = bytes.len() as u64;
    bytes.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
    let mut reader = super::reader::Reader::new(&bytes[..], Options::default());
    assert_eq!(reader.load(&mut Rows::default()).unwrap().bytes, length);
    let (mut rest, mut input) = reader.into_rest();
    std::io::Read::read_to_end(&mut input, &mut rest).unwrap();
    assert_eq!(rest, b"*1\r\n$4\r\nPING\r\n");
}

/// Gives its bytes in small, uneven parts.
struct Trickle<'a>(&'a [u8], usize);

impl std::io::Read for Trickle<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.1 = self.1 * 7 % 13 + 1;
        let n = self.1.min(out.len()).min(self.0.len());
        out[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => proptest::collection::vec(any::<u8>(), 0..20),
        2 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        2 => (-300..300i64).prop_map(|n| n.to_string().into_bytes()),
        1 => ("[ab]{0,9}", 1..30usize).prop_map(|(s, n)| s.repeat(n).into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 100..300),
    ]
}

fn model() -> impl Strategy<Value = Model> {
    prop_oneof![
        text().prop_map(Model::String),
        proptest::collection::vec(text(), 1..300).prop_map(Model::List),
        proptest::collection::btree_set(text(), 1..200).prop_map(Model::Set),
        proptest::collection::btree_set(any::<i32>(), 1..700).prop_map(|set| {
            Model::Set(
                set.into_iter()
                    .map(|n| n.to_string().into_bytes())
                    .collect(),
            )
        }),
        proptest::collection::btree_map(text(), text(), 1..200).prop_map(Model::Hash),
        proptest::collection::btree_map(text(), score(), 1..200).prop_map(|map| {
            let mut pairs: Vec<(Vec<u8>, f64)> = map.into_iter().collect();
            pairs.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap().then_with(|| a.0.cmp(&b.0)));
            Model::Zset(pairs)
        }),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-100..100i32).prop_map(f64::from),
        any::<f64>().prop_filter("a number", |score| !score.is_nan()),
        Just(f64::INFINITY),
        Just(0.1),
    ]
}

fn usage() -> impl Strategy<Value = Usage> {
    prop_oneof![
        Just(Usage::Unknown),
        any::<u32>().prop_map(|s| Usage::Idle(s.into())),
        any::<u8>().prop_map(Usage::Frequency),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn round_trip(
        entries in proptest::collection::vec((0..3u64, text(), model(), proptest::option::of(0..i64::MAX), usage()), 0..8),
        compression: bool,
        in_pieces: bool,
        chunk_bytes in 1..5000usize,
    ) {
        let enc = Encodings { list_max_listpack_size: 16, ..Encodings::default() };
        let mut writer = ChunkWriter::new(compression, true, chunk_bytes);
        let mut chunks = Vec::new();
        writer.begin(&Preamble::default());
        let mut want = Vec::new();
        for (db, key, model, expire_at, usage) in &entries {
            let value = model.build(&enc);
            let header = KeyHeader { key, expire_at: *expire_at, usage: *usage };
            if in_pieces {
                let mut pieces = Pieces::new(header, value.clone());
                while !writer.raw(*db as usize, |encoder, out| pieces.step(encoder, out, 200)) {
                    writer.drain(&mut chunks);
                }
                prop_assert!(pieces.is_done());
            } else {
                writer.entry(*db as usize, header, value.as_ref());
            }
            writer.drain(&mut chunks);
            want.push(Row {
                db: *db,
                key: key.clone(),
                encoding: value.as_ref().encoding().to_owned(),
                value: model.clone(),
                expire_at: *expire_at,
                idle_seconds: match usage { Usage::Idle(s) => Some(*s), _ => None },
                frequency: match usage { Usage::Frequency(f) => Some(*f), _ => None },
            });
        }
        writer.finish(&mut chunks);
        let dump = chunks.concat();
        let mut rows = Rows::default();
        let options = Options { encodings: enc, checksum: true };
        let summary = load(Trickle(&dump, 3), options, &mut rows).unwrap();
        prop_assert!(summary.checksum_verified);
        prop_assert_eq!(rows.rows.len(), want.len());
        for (got, want) in rows.rows.iter().zip(&want) {
            prop_assert_eq!(got, want);
        }
        // Damage anywhere is an error or harmless, never a panic.
        for at in (9..dump.len()).step_by(dump.len() / 30 + 1) {
            let mut bad = dump.clone();
            bad[at] = bad[at].wrapping_add(1);
            let _ = load(&bad[..], Options { checksum: false, ..options }, &mut Rows::default());
        }
    }
}

#[test]
fn pieces_are_bounded() {
    let enc = Encodings::default();
    let items: Vec<Vec<u8>> = (0..30_000)
        .map(|i| format!("element-{i}").into_bytes())
        .collect();
    for kind in [Kind::List, Kind::Set, Kind::Hash, Kind::Zset] {
        let model = match kind {
            Kind::List => Model::List(items.clone()),
            Kind::Set => Model::Set(items.iter().cloned().collect()),
            Kind::Hash => Model::Hash(items.iter().map(|i| (i.clone(), i.clone())).collect()),
            _ => Model::Zset(
                (0..)
                    .zip(&items)
                    .map(|(i, m)| (m.clone(), f64::from(i)))
                    .collect(),
            ),
        };
        let header = KeyHeader {
            key: b"big",
            expire_at: Some(5),
            usage: Usage::Unknown,
        };
        let mut pieces = Pieces::new(header, model.build(&enc));
        let mut encoder = Encoder::new(false);
        let mut steps = 0;
        let mut out = Vec::new();
        let mut content = Vec::new();
        loop {
            out.clear();
            let done = pieces.step(&mut encoder, &mut out, 4096);
            assert!(out.len() < 4096 + 16_384, "{kind:?}: {}", out.len());
            content.extend_from_slice(&out);
            steps += 1;
            if done {
                break;
            }
        }
        assert!(steps > 20, "{kind:?}: {steps}");
        let (rows, _) = read(&dump_of(10, &content)).unwrap();
        assert_eq!(rows.rows[0].expire_at, Some(5));
        assert_eq!(rows.rows[0].value, model);
    }
}
