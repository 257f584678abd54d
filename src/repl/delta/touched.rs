//! Which keys a stretch of the log touched, by the commands in it.

use std::collections::HashMap;

use crate::digest::{KeyPlace, Secret};
use crate::repl::delta::ShortKey;
use crate::repl::log::Log;
use crate::resp::request::{Batch, Limits, Parser};

/// Most keys that are gathered: more become a full sync.
const TOUCHED_MAX: usize = 200_000;
/// Bytes of log that are looked at in one go.
pub(crate) const PART_BYTES: usize = 256 << 10;

/// What a command may have changed.
pub(crate) enum Touch<'a> {
    /// These keys of the selected database.
    Keys(Vec<&'a [u8]>),
    /// The stream goes on in that database.
    Select(usize),
    Nothing,
    /// More than can be told.
    Everything,
}

/// Keys touched so far.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    keys: HashMap<u64, (usize, Box<[u8]>)>,
    parser: Parser,
    batch: Batch,
    rest: Vec<u8>,
    db: usize,
}

impl Touched {
    /// From a place in the stream on at which a SELECT comes before the next command, or `db` is selected.
    pub(crate) fn new(db: usize) -> Touched {
        Touched {
            db,
            ..Touched::default()
        }
    }

    /// The next bytes. `touch` says what a command changes. An error: it can't be told, why.
    pub(crate) fn read(
        &mut self,
        secret: &Secret,
        bytes: &[u8],
        touch: &mut dyn for<'a> FnMut(&[&'a [u8]]) -> Touch<'a>,
    ) -> Result<(), String> {
        let limits = Limits {
            bulk_bytes_max: usize::MAX / 2,
            ..Limits::default()
        };
        let mut input = std::mem::take(&mut self.rest);
        input.extend_from_slice(bytes);
        let mut used = 0;
        loop {
            let parsed = self.parser.parse(&input[used..], &limits, &mut self.batch);
            let mut args = Vec::new();
            for index in 0..self.batch.len() {
                self.batch.args(index, &input[used..], &mut args);
                let keys: Vec<&[u8]> = match touch(&args) {
                    Touch::Nothing => continue,
                    Touch::Select(db) => {
                        self.db = db;
                        continue;
                    }
                    Touch::Keys(keys) => keys,
                    Touch::Everything => {
                        return Err("a command of the stream may have changed everything".into());
                    }
                };
                for key in keys {
                    let db = self.db;
                    let place = ShortKey::place_of(KeyPlace::of(secret, db, key));
                    self.keys.entry(place).or_insert_with(|| (db, key.into()));
                }
            }
            parsed.map_err(|error| error.0)?;
            let consumed = self.batch.consumed();
            used += consumed;
            if self.keys.len() > TOUCHED_MAX {
                return Err("too much is written meanwhile".into());
            }
            if self.batch.wants_bytes() || consumed == 0 || used >= input.len() {
                break;
            }
        }
        input.drain(..used);
        self.rest = input;
        Ok(())
    }

    /// The keys, by the places.
    pub(crate) fn into_keys(self) -> HashMap<u64, (usize, Box<[u8]>)> {
        self.keys
    }
}

/// A part of the log from `from` on, up to `to`, at most; None: it is not in memory any more.
pub(crate) fn part(log: &mut Log, from: u64, to: u64) -> Option<Vec<u8>> {
    let most = usize::try_from(to.checked_sub(from)?).ok()?.min(PART_BYTES);
    let mut pieces = Vec::new();
    log.read(from, most, &mut pieces).ok()?;
    let bytes = pieces.concat();
    (!bytes.is_empty()).then_some(bytes)
}
