//! Shows what an RDB file holds: header fields, keys by database and encoding, the largest keys, and the
//! digest that DEBUG DIGEST would show of it.
//!
//! ```text
//! cargo run --release --example rdb_inspect -- dump.rdb          a summary
//! cargo run --release --example rdb_inspect -- dump.rdb --keys   one line for each key
//! ```
//!
//! The whole file is checked on the way, down to the last listpack, and the first thing that is wrong is
//! named with its offset and key. Memory stays small: one value at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::process::ExitCode;

use understudy::Encodings;
use understudy::internals::command::digest::{DatasetDigest, ScoreForm, hex};
use understudy::internals::data::{Value, ValueRef};
use understudy::internals::rdb::opaque::ModuleAux;
use understudy::internals::rdb::reader::{LoadResult, Loaded, Loader, Options, load};
use understudy::internals::rdb::writer::Encoder;

/// How many of the largest keys are shown.
const LARGEST: usize = 10;

#[derive(Default)]
struct Group {
    keys: u64,
    expiring: u64,
    elements: u64,
    /// Encoded, without compression.
    bytes: u64,
}

struct Largest {
    bytes: usize,
    db: u64,
    key: String,
    kind: &'static str,
    elements: usize,
}

struct Inspector {
    list_keys: bool,
    db: u64,
    groups: BTreeMap<(u64, &'static str, &'static str), Group>,
    largest: Vec<Largest>,
    digest: DatasetDigest,
    encoder: Encoder,
    scratch: Vec<u8>,
}

fn elements_of(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::String(_) => 1,
        ValueRef::List(list) => list.len(),
        ValueRef::Set(set) => set.len(),
        ValueRef::Hash(hash) => hash.len(),
        ValueRef::Zset(zset) => zset.len(),
        ValueRef::Stream(stream) => stream.len() as usize,
    }
}

impl Loader for Inspector {
    fn aux(&mut self, name: &[u8], value: &[u8]) -> LoadResult {
        say(format_args!(
            "{} = {}",
            name.escape_ascii(),
            value.escape_ascii()
        ));
        Ok(())
    }

    fn select(&mut self, db: u64) -> LoadResult {
        self.db = db;
        Ok(())
    }

    fn entry(&mut self, entry: Loaded<'_>) -> LoadResult {
        let value: Value = entry.value.into_value();
        let view = value.as_ref();
        self.scratch.clear();
        self.encoder.value(&mut self.scratch, view);
        let (kind, bytes, elements) = (view.kind().name(), self.scratch.len(), elements_of(view));
        let expires = entry.expire_at.is_some();
        let db = u32::try_from(self.db).map_err(|_| "a database number out of range")?;
        self.digest.add(db, entry.key, view, expires);

        // How a string is kept is a matter of the server, not of the dump.
        let encoding = match view {
            ValueRef::String(_) => "",
            _ => view.encoding(),
        };
        let group = self.groups.entry((self.db, kind, encoding)).or_default();
        group.keys += 1;
        group.expiring += u64::from(expires);
        group.elements += elements as u64;
        group.bytes += bytes as u64;

        let key = entry.key.escape_ascii();
        if self.list_keys {
            let mut line = format!("{db} {kind} {key} elements={elements} bytes={bytes}");
            if let Some(at) = entry.expire_at {
                line += &format!(" expire_at_ms={at}");
            }
            if let Some(idle) = entry.idle_seconds {
                line += &format!(" idle_s={idle}");
            }
            if let Some(frequency) = entry.frequency {
                line += &format!(" frequency={frequency}");
            }
            say(format_args!("{line}"));
        }
        let least = self.largest.last().map_or(0, |last| last.bytes);
        if self.largest.len() < LARGEST || bytes > least {
            let at = self.largest.partition_point(|other| other.bytes >= bytes);
            let row = Largest {
                bytes,
                db: self.db,
                key: key.to_string(),
                kind,
                elements,
            };
            self.largest.insert(at, row);
            self.largest.truncate(LARGEST);
        }
        Ok(())
    }

    fn empty(&mut self, key: &[u8]) -> LoadResult {
        say(format_args!(
            "empty collection, passed over: {}",
            key.escape_ascii()
        ));
        Ok(())
    }

    fn function(&mut self, library: &[u8]) -> LoadResult {
        let first_line = library.split(|b| *b == b'\n').next().unwrap_or_default();
        say(format_args!("function: {}", first_line.escape_ascii()));
        Ok(())
    }

    fn module_aux(&mut self, aux: ModuleAux) -> LoadResult {
        say(format_args!("data of module {}", aux.module));
        Ok(())
    }
}

/// Prints a line; a closed pipe (`| head`) ends the program quietly.
fn say(line: std::fmt::Arguments<'_>) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}

fn inspect(path: &str, list_keys: bool) -> Result<(), Box<dyn std::error::Error>> {
    let mut inspector = Inspector {
        list_keys,
        db: 0,
        groups: BTreeMap::new(),
        largest: Vec::new(),
        digest: DatasetDigest::new(ScoreForm::default()),
        encoder: Encoder::new(false),
        scratch: Vec::new(),
    };
    let options = Options {
        encodings: Encodings::default(),
        checksum: true,
    };
    let summary = load(File::open(path)?, options, &mut inspector)?;
    for ((db, kind, encoding), group) in &inspector.groups {
        let Group {
            keys,
            expiring,
            elements,
            bytes,
        } = group;
        say(format_args!(
            "db {db}: {keys} keys of {kind} {encoding}, {expiring} with an expiry, {elements} elements, {bytes} bytes"
        ));
    }
    say(format_args!("largest:"));
    for row in &inspector.largest {
        let Largest {
            bytes,
            db,
            key,
            kind,
            elements,
        } = row;
        say(format_args!(
            "  {bytes:>12} bytes  db {db}  {kind} of {elements}  {key}"
        ));
    }
    let checksum = match summary.checksum_verified {
        true => "verified",
        false => "absent",
    };
    say(format_args!(
        "version {}, {} keys, {} bytes, checksum {checksum}",
        summary.version, summary.keys, summary.bytes
    ));
    say(format_args!("digest {}", hex(&inspector.digest.finish())));
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let list_keys = arguments.iter().any(|argument| argument == "--keys");
    let Some(path) = arguments
        .iter()
        .find(|argument| !argument.starts_with("--"))
    else {
        eprintln!("usage: rdb_inspect FILE [--keys]");
        return ExitCode::from(2);
    };
    match inspect(path, list_keys) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}
