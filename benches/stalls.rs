//! Does a request ever wait because of the size of something? A server is filled, and while each of the things
//! that must not be felt goes on (growth, a snapshot, a million expiries, a flush, the end of a huge
//! collection), a client asks and writes, and keeps how long each request took.
//!
//!     cargo build --release && cargo bench --bench stalls -- [keys in millions] [path of a server]
//!
//! Shows for each the requests, their 99.9th percentile and worst in milliseconds, and the server's own slow
//! log, which tells a stall inside the server (over 1 ms) from one of a machine that had no core free.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

static PORT: OnceLock<u16> = OnceLock::new();
/// Members of the collections that are written to during a snapshot, and of the one that is deleted.
const HUGE: usize = 5_000_000;
/// Commands in one pipeline of those who fill: small, so that they are no stall themselves.
const BATCH: usize = 100;

struct Client(BufReader<TcpStream>);

impl Client {
    fn connect() -> Client {
        let begun = Instant::now();
        let port = *PORT.get().expect("set by main");
        loop {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
                stream.set_nodelay(true).expect("a TCP socket");
                return Client(BufReader::with_capacity(1 << 16, stream));
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "no server");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).expect("the server lives");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("the server lives");
        line.trim_end().to_owned()
    }

    /// One reply, its elements flat.
    fn reply(&mut self, out: &mut Vec<String>) {
        let line = self.line();
        match line.as_bytes().first() {
            Some(b'$') => {
                let Ok(length) = line[1..].parse::<usize>() else {
                    return out.push(String::new());
                };
                let mut bytes = vec![0; length + 2];
                self.0.read_exact(&mut bytes).expect("the server lives");
                out.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
            }
            Some(b'*') => {
                for _ in 0..line[1..].parse::<usize>().unwrap_or(0) {
                    self.reply(out);
                }
            }
            _ => {
                assert!(!line.starts_with('-'), "{line}");
                out.push(line);
            }
        }
    }

    fn call(&mut self, words: &[&str]) -> Vec<String> {
        let mut bytes = Vec::new();
        encode(&mut bytes, words);
        self.send(&bytes);
        let mut out = Vec::new();
        self.reply(&mut out);
        out
    }

    /// Runs many commands in small pipelines.
    fn fill(&mut self, count: usize, command: impl Fn(usize, &mut Vec<u8>)) {
        let (mut bytes, mut out) = (Vec::new(), Vec::new());
        for first in (0..count).step_by(BATCH) {
            bytes.clear();
            let last = (first + BATCH).min(count);
            (first..last).for_each(|i| command(i, &mut bytes));
            self.send(&bytes);
            out.clear();
            (first..last).for_each(|_| self.reply(&mut out));
        }
    }
}

fn encode(out: &mut Vec<u8>, words: &[&str]) {
    let _ = write!(out, "*{}\r\n", words.len());
    for word in words {
        let _ = write!(out, "${}\r\n{word}\r\n", word.len());
    }
}

/// Asks and writes until told to stop; milliseconds of each request.
struct Probe {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Vec<f64>>,
}

impl Probe {
    fn start(commands: &'static [&'static [&'static str]]) -> Probe {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = stop.clone();
        let thread = thread::spawn(move || {
            let mut client = Client::connect();
            let (mut took, mut out) = (Vec::new(), Vec::new());
            let mut bytes = Vec::new();
            for turn in 0usize.. {
                if stopping.load(Ordering::Relaxed) {
                    break;
                }
                let number = (turn * 7919 % 1_000_000).to_string();
                let words: Vec<&str> = commands[turn % commands.len()]
                    .iter()
                    .map(|word| if *word == "#" { &number[..] } else { *word })
                    .collect();
                bytes.clear();
                encode(&mut bytes, &words);
                let begun = Instant::now();
                client.send(&bytes);
                out.clear();
                client.reply(&mut out);
                took.push(begun.elapsed().as_secs_f64() * 1e3);
                thread::sleep(Duration::from_micros(100));
            }
            took
        });
        Probe { stop, thread }
    }

    fn end(self, what: &str, watcher: &mut Client) {
        self.stop.store(true, Ordering::Relaxed);
        let mut took = self.thread.join().expect("no panic");
        took.sort_by(f64::total_cmp);
        let at = |share: f64| took[((took.len() as f64 * share) as usize).min(took.len() - 1)];
        let over = took.iter().filter(|ms| **ms > 2.0).count();
        println!(
            "{what:56} {:8} requests  p99.9 {:6.2}  worst {:6.2}  over 2 ms {over:4}",
            took.len(),
            at(0.999),
            at(1.0)
        );
        let slow = watcher.call(&["SLOWLOG", "GET", "5"]);
        watcher.call(&["SLOWLOG", "RESET"]);
        if !slow.is_empty() {
            let text: Vec<_> = slow
                .iter()
                .map(|s| s.chars().take(24).collect::<String>())
                .collect();
            println!("    slow in the server: {}", text.join(" "));
        }
    }
}

const PLAIN: &[&[&str]] = &[
    &["GET", "probe:#"],
    &["SET", "probe:#", "some value"],
    &["INCR", "probe:counter"],
];
/// Writes into each of the huge collections.
const INTO_HUGE: &[&[&str]] = &[
    &["SADD", "huge:set", "member:#"],
    &["SREM", "huge:set", "member:#"],
    &["HSET", "huge:hash", "field:#", "other"],
    &["ZADD", "huge:zset", "#", "member:#"],
    &["LPUSH", "huge:list", "#"],
    &["RPOP", "huge:list"],
    &["LSET", "huge:list", "#", "other"],
];

fn unix_ms() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |t| t.as_millis())
}

fn save(client: &mut Client) {
    client.call(&["BGSAVE"]);
    loop {
        thread::sleep(Duration::from_millis(20));
        let info = client.call(&["INFO", "persistence"]);
        if info[0].contains("rdb_bgsave_in_progress:0") {
            assert!(
                info[0].contains("rdb_last_bgsave_status:ok"),
                "the save failed"
            );
            return;
        }
    }
}

/// Waits until what was removed is freed.
fn freed(client: &mut Client) {
    while !client.call(&["INFO", "memory"])[0].contains("lazyfree_pending_objects:0") {
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether SCAN gives every key that stays while others come and go. How many it missed.
fn scan_misses(stop: Arc<AtomicBool>) -> thread::JoinHandle<(usize, usize)> {
    thread::spawn(move || {
        let mut client = Client::connect();
        client.fill(1000, |i, out| {
            encode(out, &["SET", &format!("stays:{i}"), "x"])
        });
        let (mut rounds, mut missed) = (0, 0);
        while !stop.load(Ordering::Relaxed) {
            let (mut cursor, mut seen) = ("0".to_owned(), std::collections::HashSet::new());
            loop {
                // The machine's cores are for the others.
                thread::sleep(Duration::from_micros(300));
                let mut found = client.call(&["SCAN", &cursor, "COUNT", "200", "MATCH", "stays:*"]);
                cursor = found.remove(0);
                seen.extend(found);
                if cursor == "0" {
                    break;
                }
            }
            rounds += 1;
            missed += 1000 - seen.len();
        }
        (rounds, missed)
    })
}

fn run(millions: usize) {
    let keys = millions * 1_000_000;
    let mut client = Client::connect();
    let mut watcher = Client::connect();
    watcher.call(&["CONFIG", "SET", "slowlog-log-slower-than", "1000"]);

    let probe = Probe::start(PLAIN);
    thread::sleep(Duration::from_secs(2));
    probe.end("nothing else", &mut watcher);

    let stop = Arc::new(AtomicBool::new(false));
    let scanning = scan_misses(stop.clone());
    let probe = Probe::start(PLAIN);
    client.fill(keys, |i, out| {
        encode(out, &["SET", &format!("key:{i}"), "value"])
    });
    probe.end(
        &format!("growing to {millions} million keys, and SCAN"),
        &mut watcher,
    );

    let probe = Probe::start(PLAIN);
    let at = (unix_ms() + 6000).to_string();
    let many = keys.min(1_000_000);
    client.fill(many, |i, out| {
        encode(out, &["PEXPIREAT", &format!("key:{i}"), &at])
    });
    while client.call(&["INFO", "keyspace"])[0].contains("expires=")
        && !client.call(&["INFO", "keyspace"])[0].contains("expires=0")
    {
        thread::sleep(Duration::from_millis(100));
    }
    probe.end(&format!("{many} keys expire at once"), &mut watcher);

    let probe = Probe::start(PLAIN);
    client.fill(keys - many, |i, out| {
        encode(out, &["DEL", &format!("key:{}", i + many)])
    });
    stop.store(true, Ordering::Relaxed);
    let (rounds, missed) = scanning.join().expect("no panic");
    probe.end("deleting the others one by one, and SCAN", &mut watcher);
    println!("    {rounds} times through with SCAN while it grew and shrank: {missed} keys missed");

    client.fill(keys, |i, out| {
        encode(out, &["SET", &format!("key:{i}"), "value"])
    });
    let probe = Probe::start(PLAIN);
    save(&mut client);
    probe.end("a snapshot of them", &mut watcher);

    let probe = Probe::start(PLAIN);
    client.call(&["FLUSHALL", "ASYNC"]);
    freed(&mut client);
    probe.end("FLUSHALL ASYNC", &mut watcher);

    client.fill(2 * HUGE, |i, out| {
        encode(out, &["SADD", "doomed", &format!("member:{i}")])
    });
    let probe = Probe::start(PLAIN);
    thread::sleep(Duration::from_millis(200));
    client.call(&["UNLINK", "doomed"]);
    freed(&mut client);
    probe.end("freeing a set of 10 million", &mut watcher);

    client.fill(HUGE, |i, out| {
        encode(out, &["SADD", "huge:set", &format!("member:{i}")])
    });
    client.fill(HUGE, |i, out| {
        encode(out, &["HSET", "huge:hash", &format!("field:{i}"), "value"])
    });
    client.fill(HUGE, |i, out| {
        encode(
            out,
            &["ZADD", "huge:zset", &i.to_string(), &format!("member:{i}")],
        )
    });
    client.fill(HUGE, |i, out| {
        encode(out, &["RPUSH", "huge:list", &format!("value:{i}")])
    });
    watcher.call(&["SLOWLOG", "RESET"]);
    let probe = Probe::start(INTO_HUGE);
    thread::sleep(Duration::from_secs(1));
    probe.end("writes into collections of 5 million", &mut watcher);
    let probe = Probe::start(INTO_HUGE);
    save(&mut client);
    probe.end("the same during a snapshot", &mut watcher);
    let probe = Probe::start(PLAIN);
    for name in ["set", "hash", "zset", "list"] {
        client.call(&["DEL", &format!("huge:{name}")]);
    }
    freed(&mut client);
    probe.end("freeing them", &mut watcher);
}

/// The server's process, gone with this.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // `cargo bench` says so; `cargo test` builds this and runs it for nothing.
    let asked = !args.is_empty();
    let args: Vec<&String> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let millions = args.first().and_then(|arg| arg.parse().ok()).unwrap_or(5);
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/target/release/understudy");
    let binary = args.get(1).map_or(default, |path| path.as_str());
    if !asked || !std::path::Path::new(binary).exists() {
        println!("stalls: wants a server at {binary} (cargo build --release)");
        return;
    }
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    drop(listener);
    PORT.get_or_init(|| port);
    let directory = std::env::temp_dir().join(format!("stalls-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory for the dump");
    let server = Command::new(binary)
        .args(["--port", &port.to_string(), "--save", "", "--dir"])
        .arg(&directory)
        .stdout(Stdio::null())
        .spawn()
        .map(Server)
        .expect("the server starts");
    run(millions);
    drop(server);
    let _ = std::fs::remove_dir_all(&directory);
}
