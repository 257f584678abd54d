//! Dumps against a real redis-server: it reads ours, we read its, and the digests agree. Needs
//! `redis-server` and `redis-check-rdb` in the path.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use redis::{Commands, Connection, Value as Reply};
use tempfile::TempDir;

use understudy::Encodings;
use understudy::internals::command::digest::{DatasetDigest, ScoreForm, hex, value_digest};
use understudy::internals::data::Value;
use understudy::internals::rdb::payload;
use understudy::internals::rdb::reader::{LoadResult, Loaded, Loader, Options, load};
use understudy::internals::rdb::writer::{ChunkWriter, Encoder, KeyHeader, Preamble, Usage};

/// A redis-server of our own; gone with the value.
struct Server {
    child: Child,
    port: u16,
    dir: TempDir,
}

impl Server {
    /// Starts, on the dump if one is given.
    fn start(dump: Option<&[u8]>) -> Server {
        let dir = tempfile::tempdir().expect("a temporary directory");
        if let Some(dump) = dump {
            std::fs::write(dir.path().join("dump.rdb"), dump).expect("the dump can be written");
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", ""])
            .args(["--enable-debug-command", "yes", "--dir"])
            .arg(dir.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is needed (apt-get install redis-server)");
        Server { child, port, dir }
    }

    /// Connects, waiting until it has loaded its dump.
    fn connect(&self) -> Connection {
        let client = redis::Client::open(("127.0.0.1", self.port)).expect("an address");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Ok(mut connection) = client.get_connection()
                && redis::cmd("PING").query::<String>(&mut connection).is_ok()
            {
                return connection;
            }
            assert!(Instant::now() < deadline, "redis-server does not answer");
            std::thread::yield_now();
        }
    }

    /// Has it save and gives the dump's bytes.
    fn save(&self, connection: &mut Connection) -> Vec<u8> {
        redis::cmd("SAVE").exec(connection).expect("SAVE");
        std::fs::read(self.dir.path().join("dump.rdb")).expect("the dump is there")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn digest(connection: &mut Connection) -> String {
    redis::cmd("DEBUG")
        .arg("DIGEST")
        .query(connection)
        .expect("DEBUG DIGEST")
}

struct Row {
    db: usize,
    key: Vec<u8>,
    value: Value,
    expire_at: Option<i64>,
}

/// Keeps what a dump holds.
#[derive(Default)]
struct Dataset {
    db: usize,
    rows: Vec<Row>,
}

impl Loader for Dataset {
    fn select(&mut self, db: u64) -> LoadResult {
        self.db = db as usize;
        Ok(())
    }

    fn entry(&mut self, entry: Loaded<'_>) -> LoadResult {
        self.rows.push(Row {
            db: self.db,
            key: entry.key.to_vec(),
            expire_at: entry.expire_at,
            value: entry.value.into_value(),
        });
        Ok(())
    }
}

impl Dataset {
    fn read(dump: &[u8]) -> Dataset {
        let mut dataset = Dataset::default();
        let summary = load(dump, Options::default(), &mut dataset).expect("a dump");
        assert!(summary.checksum_verified);
        dataset
    }

    fn digest(&self) -> String {
        let mut digest = DatasetDigest::new(ScoreForm::Digits17);
        for row in &self.rows {
            let expires = row.expire_at.is_some();
            digest.add(row.db as u32, &row.key, row.value.as_ref(), expires);
        }
        hex(&digest.finish())
    }

    fn write(&self, compression: bool) -> Vec<u8> {
        let mut writer = ChunkWriter::new(compression, true, 64 * 1024);
        let mut chunks: Vec<Bytes> = Vec::new();
        writer.begin(&Preamble {
            server_version: "7.2.4".into(),
            created_at: 1_700_000_000,
            ..Preamble::default()
        });
        for row in &self.rows {
            let header = KeyHeader {
                key: &row.key,
                expire_at: row.expire_at,
                usage: Usage::Unknown,
            };
            writer.entry(row.db, header, row.value.as_ref());
            writer.drain(&mut chunks);
        }
        writer.finish(&mut chunks);
        chunks.concat()
    }
}

/// Keys of every type, small and large, in every encoding that commands lead to.
fn populate(connection: &mut Connection) {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut pipe = redis::pipe();
    for i in 0..2000i64 {
        pipe.set(format!("s:{i}"), "x".repeat(rng.usize(0..200)))
            .set(format!("n:{i}"), rng.i64(..) >> rng.u32(0..64))
            .set(i, i * i);
        let noise: Vec<u8> = (0..rng.usize(0..300)).map(|_| rng.u8(..)).collect();
        pipe.set(format!("b:{i}"), noise);
        if i % 3 == 0 {
            pipe.expire(format!("s:{i}"), 100_000 + i)
                .pexpire(format!("n:{i}"), 90_000_000 + i);
        }
    }
    for size in [1, 2, 10, 100, 127, 128, 129, 511, 513, 2000, 20_000] {
        for i in 0..size {
            let word = format!("member:{}", rng.u32(..));
            pipe.rpush(format!("l:{size}"), &word)
                .lpush(format!("ln:{size}"), i * 1000 - 7)
                .sadd(format!("s:w:{size}"), &word)
                .sadd(format!("s:n:{size}"), i * 777 - 5000)
                .hset(format!("h:{size}"), format!("f{i}"), &word)
                .hset(format!("hn:{size}"), i, (i as i64) << (i % 60))
                .zadd(format!("z:{size}"), &word, rng.f64() * 1e6 - 5e5)
                .zadd(format!("zn:{size}"), i, i % 50);
        }
        if size % 2 == 0 {
            pipe.expire(format!("l:{size}"), 5000)
                .expire(format!("h:{size}"), 5000);
        }
    }
    let huge = "0123456789".repeat(30_000);
    pipe.rpush("l:huge", "small")
        .rpush("l:huge", &huge)
        .rpush("l:huge", 5)
        .hset("h:huge", "f", &huge)
        .hset("h:huge", &huge, "v")
        .sadd("s:huge", &huge)
        .zadd("z:huge", &huge, "-inf")
        .zadd("z:huge", "m", "inf")
        .zadd("z:huge", "zero", "-0")
        .set("huge", &huge)
        .set("", "the empty key");
    for score in [
        "1e300",
        "-1.5",
        "3.0000000000000004",
        "1e-10",
        "17179869184.5",
    ] {
        pipe.zadd("z:odd", score, score);
    }
    pipe.cmd("SELECT").arg(9);
    for i in 0..100 {
        pipe.set(format!("other:{i}"), i).rpush("list", "v");
    }
    pipe.cmd("SELECT").arg(0);
    pipe.exec(connection).expect("the keys can be set");
}

fn check(dump: &[u8]) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("dump.rdb");
    std::fs::write(&path, dump).expect("the dump can be written");
    let output = Command::new("redis-check-rdb")
        .arg(&path)
        .output()
        .expect("redis-check-rdb is needed (apt-get install redis-server)");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("RDB looks OK"),
        "{text}"
    );
}

#[test]
fn dumps_go_both_ways() {
    let redis = Server::start(None);
    let mut connection = redis.connect();
    populate(&mut connection);
    let theirs = redis.save(&mut connection);
    let want = digest(&mut connection);

    let dataset = Dataset::read(&theirs);
    assert_eq!(dataset.digest(), want, "their dump, read by us");
    for compression in [true, false] {
        let ours = dataset.write(compression);
        check(&ours);
        assert_eq!(Dataset::read(&ours).digest(), want, "our dump, read by us");
        let other = Server::start(Some(&ours));
        let mut connection = other.connect();
        assert_eq!(digest(&mut connection), want, "our dump, read by them");
        if compression {
            let close = theirs.len() as f64 * 1.05;
            assert!(
                (ours.len() as f64) < close,
                "{} over {}",
                ours.len(),
                theirs.len()
            );
        }
        // And once around.
        let again = Dataset::read(&other.save(&mut connection));
        assert_eq!(again.digest(), want);
    }
}

#[test]
fn payloads_go_both_ways() {
    let redis = Server::start(None);
    let mut connection = redis.connect();
    populate(&mut connection);
    let encodings = Encodings::default();
    let mut encoder = Encoder::new(true);
    let keys: Vec<Vec<u8>> = connection.keys("*").expect("KEYS");
    assert!(keys.len() > 8000);
    // Some strings, and all the rest.
    let is_string = |key: &[u8]| key.iter().all(|b| b.is_ascii_digit()) || b"snb".contains(&key[0]);
    for (i, key) in keys.iter().enumerate() {
        if i % 40 != 0 && !key.is_empty() && is_string(key) {
            continue;
        }
        let theirs: Vec<u8> = redis::cmd("DUMP")
            .arg(key)
            .query(&mut connection)
            .expect("DUMP");
        let value = payload::read(&theirs, &encodings).expect("their payload");
        let ours = payload::write(&mut encoder, value.as_ref());
        let restored: Reply = redis::cmd("RESTORE")
            .arg("restored")
            .arg(0)
            .arg(ours)
            .arg("REPLACE")
            .query(&mut connection)
            .expect("RESTORE takes our payload");
        assert_eq!(restored, Reply::Okay);
        redis::cmd("PERSIST")
            .arg(key)
            .exec(&mut connection)
            .expect("PERSIST");
        let digests: Vec<String> = redis::cmd("DEBUG")
            .arg("DIGEST-VALUE")
            .arg(key)
            .arg("restored")
            .query(&mut connection)
            .expect("DEBUG DIGEST-VALUE");
        let own = hex(&value_digest(value.as_ref(), false, ScoreForm::Digits17));
        assert_eq!(digests, [own.as_str(), &own], "{}", key.escape_ascii());
    }
}

#[test]
fn encodings_no_longer_written() {
    // A dump of version 4 made by hand: ziplists, a zipmap, an intset, text scores.
    let mut dump = b"REDIS0004\xfe\x00".to_vec();
    let ziplist = b"\x0f\x00\x00\x00\x0c\x00\x00\x00\x02\x00\x00\xf3\x02\xf6\xff";
    for (kind, key) in [(10u8, b'l'), (12, b'z'), (13, b'h')] {
        dump.extend_from_slice(&[kind, 1, key, ziplist.len() as u8]);
        dump.extend_from_slice(ziplist);
    }
    dump.extend_from_slice(b"\x09\x01m\x18\x02\x03foo\x03\x00bar\x05hello\x05\x00world\xff");
    dump.extend_from_slice(b"\x0b\x01i\x0c\x02\x00\x00\x00\x02\x00\x00\x00\x01\x00\x02\x00");
    dump.extend_from_slice(b"\x03\x01t\x02\x01a\x031.5\x01b\xff");
    dump.push(0xff);
    let mut ours = Dataset::default();
    load(&dump[..], Options::default(), &mut ours).expect("a dump");
    assert_eq!(ours.rows.len(), 6);
    let redis = Server::start(Some(&dump));
    assert_eq!(digest(&mut redis.connect()), ours.digest());
}
