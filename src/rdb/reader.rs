//! Reads a dump of version 1 to 12 and hands what it holds to a [`Loader`], entry by entry.
//!
//! The input is any `Read`: a file, a socket, a spool, a decompressor. Memory is bounded by the read buffer
//! and the largest single value, and a value grows only as its bytes arrive. Strings are lent to the
//! loader from the read buffer, so that it copies them once, to where they stay.
//!
//! What is not data of the five types is passed over where that loses nothing (unknown aux fields, hints) and
//! is otherwise an error that names it. Function libraries and modules' data outside of keys are offered to the
//! loader, which keeps them (see [`super::opaque`]).

use std::io::Read;

use super::decode::{self, Decoded};
use super::error::{Fault, RdbError};
use super::format::{CHECKSUM_SINCE, NEWEST_VERSION, kind_name, opcode};
use super::opaque::ModuleAux;
use super::source::{Source, Text};
use crate::data::Encodings;

/// One key of a dump. Borrowed parts are valid during the call only.
#[derive(Debug)]
pub struct Loaded<'a> {
    pub key: &'a [u8],
    pub value: Decoded<'a>,
    /// Unix time, milliseconds.
    pub expire_at: Option<i64>,
    /// Seconds since last use, if the dump says.
    pub idle_seconds: Option<u64>,
    /// Logarithmic frequency of use, if the dump says.
    pub frequency: Option<u8>,
}

/// What a loader gives back: its reason to stop, in its own words.
pub type LoadResult = Result<(), String>;

/// Takes what a dump holds, in the dump's order.
#[allow(unused_variables)]
pub trait Loader {
    /// An aux field ("redis-ver", "repl-id", ...).
    fn aux(&mut self, name: &[u8], value: &[u8]) -> LoadResult {
        Ok(())
    }
    /// The entries that follow belong to this database (the first if never called). A loader refuses
    /// numbers that it has no database for.
    fn select(&mut self, db: u64) -> LoadResult;
    /// How many keys, and keys with an expiry, the selected database has: an unchecked hint.
    fn resize(&mut self, keys: u64, expires: u64) -> LoadResult {
        Ok(())
    }
    /// A key. That it may be there already, or be expired, is the loader's to judge.
    fn entry(&mut self, entry: Loaded<'_>) -> LoadResult;
    /// A key that holds an empty collection, as old bugs of Redis left some; it is passed over.
    fn empty(&mut self, key: &[u8]) -> LoadResult {
        Ok(())
    }
    /// A function library's source text.
    fn function(&mut self, library: &[u8]) -> LoadResult {
        Ok(())
    }
    /// Data of a module that is not in any key.
    fn module_aux(&mut self, aux: ModuleAux) -> LoadResult {
        Ok(())
    }
}

/// What is to be checked, and into which encodings values are to be loaded.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub encodings: Encodings,
    /// Whether to verify the checksum (`rdbchecksum`).
    pub checksum: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            encodings: Encodings::default(),
            checksum: true,
        }
    }
}

/// What a dump was found to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub version: u32,
    /// Keys handed to the loader.
    pub keys: u64,
    /// Keys passed over because their collection was empty.
    pub(crate) empty_keys: u64,
    pub(crate) functions: u64,
    /// Encoded collections and nodes of such that were checked.
    pub(crate) encoded: u64,
    /// Whether the dump carried a checksum, and it was verified.
    pub checksum_verified: bool,
    /// Length of the dump, bytes.
    pub bytes: u64,
}

/// Reads one dump.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    source: Source<R>,
    options: Options,
    summary: Summary,
    db: u64,
    key: Vec<u8>,
    /// `key` is that of the entry being read.
    in_key: bool,
}

/// Reads a whole dump from `input` into `loader`.
pub fn load<R: Read>(
    input: R,
    options: Options,
    loader: &mut impl Loader,
) -> Result<Summary, RdbError> {
    Reader::new(input, options).load(loader)
}

impl<R: Read> Reader<R> {
    pub(crate) fn new(input: R, options: Options) -> Reader<R> {
        Reader {
            source: Source::new(input, options.checksum),
            options,
            summary: Summary::default(),
            db: 0,
            key: Vec::new(),
            in_key: false,
        }
    }

    /// Reads the dump to its end. Bytes behind it are left to [`Reader::into_rest`].
    pub(crate) fn load(&mut self, loader: &mut impl Loader) -> Result<Summary, RdbError> {
        match self.run(loader) {
            Ok(()) => {
                self.summary.bytes = self.source.offset();
                self.summary.encoded = self.source.encoded_taken();
                Ok(self.summary)
            }
            Err(fault) => Err(RdbError {
                fault,
                offset: self.source.offset(),
                db: self.db,
                key: self.in_key.then(|| self.key.clone()),
            }),
        }
    }

    /// What was read ahead, and the input behind it.
    pub(crate) fn into_rest(self) -> (Vec<u8>, R) {
        self.source.into_rest()
    }

    fn run(&mut self, loader: &mut impl Loader) -> Result<(), Fault> {
        let version = self.header()?;
        self.summary.version = version;
        let mut expire_at = None;
        let mut idle_seconds = None;
        let mut frequency = None;
        loop {
            let kind = self.source.byte()?;
            match kind {
                opcode::EXPIRE_MS => {
                    expire_at = expiry(i64::from_le_bytes(self.source.array()?));
                }
                opcode::EXPIRE_SECONDS => {
                    let seconds = i32::from_le_bytes(self.source.array()?);
                    expire_at = expiry(i64::from(seconds) * 1000);
                }
                opcode::IDLE => idle_seconds = Some(self.source.length()?),
                opcode::FREQUENCY => frequency = Some(self.source.byte()?),
                opcode::END => break,
                opcode::SLOT_INFO..opcode::IDLE
                | opcode::AUX..opcode::EXPIRE_MS
                | opcode::SELECT_DB => self.special(kind, loader)?,
                _ => {
                    self.entry(kind, expire_at, idle_seconds, frequency, loader)?;
                    (expire_at, idle_seconds, frequency) = (None, None, None);
                }
            }
        }
        self.trailer(version)
    }

    fn header(&mut self) -> Result<u32, Fault> {
        let magic: [u8; 9] = self.source.array().map_err(|fault| match fault {
            // Nothing that short is a dump at all.
            Fault::Truncated => Fault::NotRdb,
            fault => fault,
        })?;
        if let Some(version) = magic.strip_prefix(b"VALKEY") {
            let version = version.escape_ascii();
            return Err(Fault::Unsupported(format!(
                "Valkey's RDB version {version}"
            )));
        }
        let digits = magic.strip_prefix(b"REDIS").ok_or(Fault::NotRdb)?;
        let version = digits
            .iter()
            .try_fold(0, |number, digit| {
                digit
                    .is_ascii_digit()
                    .then(|| number * 10 + u32::from(digit - b'0'))
            })
            .ok_or(Fault::NotRdb)?;
        if (1..=NEWEST_VERSION).contains(&version) {
            Ok(version)
        } else {
            Err(Fault::Version(version))
        }
    }

    fn entry(
        &mut self,
        kind: u8,
        expire_at: Option<i64>,
        idle_seconds: Option<u64>,
        frequency: Option<u8>,
        loader: &mut impl Loader,
    ) -> Result<(), Fault> {
        if kind_name(kind).is_none() {
            return Err(Fault::Unsupported(format!("value type or opcode {kind}")));
        }
        self.key.clear();
        self.source.text_to(&mut self.key)?;
        self.in_key = true;
        match decode::value(&mut self.source, kind, &self.options.encodings) {
            Ok(value) => {
                let entry = Loaded {
                    key: &self.key,
                    value,
                    expire_at,
                    idle_seconds,
                    frequency,
                };
                loader.entry(entry).map_err(Fault::Refused)?;
                self.summary.keys += 1;
            }
            Err(Fault::Empty) => {
                loader.empty(&self.key).map_err(Fault::Refused)?;
                self.summary.empty_keys += 1;
            }
            Err(fault) => return Err(fault),
        }
        self.in_key = false;
        Ok(())
    }

    fn special(&mut self, kind: u8, loader: &mut impl Loader) -> Result<(), Fault> {
        let source = &mut self.source;
        match kind {
            opcode::SELECT_DB => {
                let db = source.length()?;
                loader.select(db).map_err(Fault::Refused)?;
                self.db = db;
            }
            opcode::RESIZE_DB => {
                let keys = source.length()?;
                let expires = source.length()?;
                loader.resize(keys, expires).map_err(Fault::Refused)?;
            }
            opcode::AUX => {
                let mut name = Vec::new();
                source.text_to(&mut name)?;
                source
                    .text()?
                    .with(|value| loader.aux(&name, value))
                    .map_err(Fault::Refused)?;
            }
            opcode::SLOT_INFO => {
                // Slot, keys, keys with an expiry: hints.
                for _ in 0..3 {
                    source.length()?;
                }
            }
            opcode::FUNCTION2 => {
                let Text::Bytes(library) = source.text()? else {
                    return Err(Fault::Corrupt("function library"));
                };
                loader.function(library).map_err(Fault::Refused)?;
                self.summary.functions += 1;
            }
            opcode::FUNCTION_PRE_GA => {
                let library = function_of_candidate(source)?;
                loader.function(&library).map_err(Fault::Refused)?;
                self.summary.functions += 1;
            }
            opcode::MODULE_AUX => {
                let aux = ModuleAux::read(source)?;
                loader.module_aux(aux).map_err(Fault::Refused)?;
            }
            _ => return Err(Fault::Corrupt("opcode")),
        }
        Ok(())
    }

    fn trailer(&mut self, version: u32) -> Result<(), Fault> {
        if version < CHECKSUM_SINCE {
            return Ok(());
        }
        let computed = self.source.checksum();
        let stored = u64::from_le_bytes(self.source.array()?);
        // Zero: written with checksums switched off.
        if !self.options.checksum || stored == 0 {
            return Ok(());
        }
        if stored != computed {
            return Err(Fault::Checksum { stored, computed });
        }
        self.summary.checksum_verified = true;
        Ok(())
    }
}

/// Redis takes -1 for "none".
fn expiry(at_ms: i64) -> Option<i64> {
    (at_ms != -1).then_some(at_ms)
}

/// A library as the release candidates of Redis 7.0 wrote it: what its first line tells since then stands beside it.
fn function_of_candidate<R: std::io::Read>(source: &mut Source<R>) -> Result<Vec<u8>, Fault> {
    let (mut name, mut engine, mut code) = (Vec::new(), Vec::new(), Vec::new());
    source.text_to(&mut name)?;
    source.text_to(&mut engine)?;
    if source.length()? != 0 {
        // A description, which libraries have no more.
        source.text_to(&mut Vec::new())?;
    }
    source.text_to(&mut code)?;
    let head = [
        b"#!",
        &engine.to_ascii_lowercase()[..],
        b" name=",
        &name,
        b"\n",
    ]
    .concat();
    Ok([head, code].concat())
}
