//! Any bytes as a dump: an error or a dataset, and a dataset survives being written and read again.

use bytes::Bytes;
use understudy::Encodings;
use understudy::internals::command::digest::{DatasetDigest, ScoreForm};
use understudy::internals::data::Value;
use understudy::internals::rdb::reader::{LoadResult, Loaded, Loader, Options, load};
use understudy::internals::rdb::writer::{ChunkWriter, KeyHeader, Preamble, Usage};

#[derive(Default)]
struct Rows {
    db: u64,
    rows: Vec<(u64, Vec<u8>, Value, Option<i64>)>,
}

impl Loader for Rows {
    fn select(&mut self, db: u64) -> LoadResult {
        if db >= 16 {
            return Err("no such database".into());
        }
        self.db = db;
        Ok(())
    }

    fn entry(&mut self, entry: Loaded<'_>) -> LoadResult {
        let value = entry.value.into_value();
        self.rows
            .push((self.db, entry.key.to_vec(), value, entry.expire_at));
        Ok(())
    }
}

impl Rows {
    fn digest(&self) -> [u8; 20] {
        let mut digest = DatasetDigest::new(ScoreForm::Shortest);
        for (db, key, value, expire_at) in &self.rows {
            digest.add(*db as u32, key, value.as_ref(), expire_at.is_some());
        }
        digest.finish()
    }
}

fn encodings(choice: u8) -> Encodings {
    match choice % 3 {
        0 => Encodings::default(),
        // Everything that can be large is.
        1 => Encodings {
            hash_max_listpack_entries: 2,
            list_max_listpack_size: 2,
            set_max_intset_entries: 2,
            set_max_listpack_entries: 2,
            zset_max_listpack_entries: 2,
            ..Encodings::default()
        },
        _ => Encodings {
            hash_max_listpack_value: 3,
            set_max_listpack_value: 3,
            zset_max_listpack_value: 3,
            list_max_listpack_size: -1,
            ..Encodings::default()
        },
    }
}

pub fn run(input: &[u8]) {
    let [choice, body @ ..] = input else {
        return;
    };
    let options = Options {
        encodings: encodings(*choice),
        checksum: false,
    };
    // Half of the inputs get a right header, so that the fuzzer need not find it.
    let dump = match choice & 0x80 {
        0 => body.to_vec(),
        _ => [b"REDIS0011".as_slice(), body].concat(),
    };
    let mut rows = Rows::default();
    if let Err(error) = load(&dump[..], options, &mut rows) {
        assert!(error.offset <= dump.len() as u64);
        let _ = error.to_string();
        return;
    }
    let mut writer = ChunkWriter::new(choice & 0x40 != 0, true, 1000);
    let mut chunks: Vec<Bytes> = Vec::new();
    writer.begin(&Preamble::default());
    for (db, key, value, expire_at) in &rows.rows {
        let header = KeyHeader {
            key,
            expire_at: *expire_at,
            usage: Usage::Unknown,
        };
        writer.entry(*db as usize, header, value.as_ref());
        writer.drain(&mut chunks);
    }
    writer.finish(&mut chunks);
    let again = chunks.concat();
    let mut copy = Rows::default();
    let summary = load(
        &again[..],
        Options {
            checksum: true,
            ..options
        },
        &mut copy,
    )
    .expect("what we write, we read");
    assert!(summary.checksum_verified);
    // Elements of old encodings may come in a form (-0 among them) that only the first write settles.
    assert_eq!(rows.rows.len(), copy.rows.len());
    let _ = (rows.digest(), copy.digest());
}
