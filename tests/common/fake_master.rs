//! A master that sends what a test has it say: a stream that was recorded, or that no server would send.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::client::encode;

/// Where its stream begins.
const BASE: u64 = 1000;

#[derive(Debug, Default)]
struct State {
    /// Its replid.
    id: String,
    /// The keys of a full sync: strings.
    keys: Vec<(String, String)>,
    /// From [`BASE`] on.
    stream: Vec<u8>,
    acked: u64,
    full_syncs: usize,
    /// Offsets after which the stream was continued.
    continued: Vec<u64>,
}

/// Serves any number of replicas.
#[derive(Debug)]
pub struct FakeMaster {
    pub port: u16,
    state: Arc<Mutex<State>>,
}

impl FakeMaster {
    pub fn start() -> FakeMaster {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port at loopback");
        let port = listener.local_addr().expect("its address").port();
        let state = Arc::new(Mutex::new(State {
            id: format!("{port:040x}"),
            ..State::default()
        }));
        let shared = Arc::downgrade(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(state) = shared.upgrade() else {
                    return;
                };
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        FakeMaster { port, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("unpoisoned")
    }

    /// Adds a command to the stream; the offset before it.
    pub fn say<A: AsRef<[u8]>>(&self, args: &[A]) -> u64 {
        let state = &mut *self.state();
        let before = BASE + state.stream.len() as u64;
        encode(&mut state.stream, args);
        before
    }

    /// As `say`, of words; those in one go come together.
    pub fn lines(&self, lines: &[&str]) -> Vec<u64> {
        let state = &mut *self.state();
        let before = |line: &&str| {
            let before = BASE + state.stream.len() as u64;
            encode(&mut state.stream, &line.split(' ').collect::<Vec<_>>());
            before
        };
        lines.iter().map(before).collect()
    }

    /// What a full sync brings from now on.
    pub fn set_keys(&self, keys: &[(&str, &str)]) {
        let keys = keys.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        self.state().keys = keys.collect();
    }

    /// The end of the stream.
    pub fn offset(&self) -> u64 {
        BASE + self.state().stream.len() as u64
    }

    /// The highest offset that a replica has acknowledged.
    pub fn acked(&self) -> u64 {
        self.state().acked
    }

    pub fn full_syncs(&self) -> usize {
        self.state().full_syncs
    }

    /// The offsets after which the stream was continued, in their order.
    pub fn continued(&self) -> Vec<u64> {
        self.state().continued.clone()
    }
}

/// A dump of strings, without a checksum.
fn dump(keys: &[(String, String)]) -> Vec<u8> {
    let mut out = b"REDIS0010".to_vec();
    let text = |out: &mut Vec<u8>, text: &str| {
        out.push(u8::try_from(text.len()).expect("a short text"));
        out.extend_from_slice(text.as_bytes());
    };
    if !keys.is_empty() {
        out.extend_from_slice(&[0xfe, 0]);
    }
    for (key, value) in keys {
        out.push(0);
        text(&mut out, key);
        text(&mut out, value);
    }
    out.push(0xff);
    out.extend_from_slice(&[0; 8]);
    out
}

fn serve(mut socket: TcpStream, state: &Mutex<State>) {
    let _ = socket.set_read_timeout(Some(Duration::from_millis(5)));
    let mut input = Vec::new();
    // How much of the stream was sent; None: not yet in the stream.
    let mut sent: Option<usize> = None;
    let mut buffer = [0; 4096];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => input.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
        while let Some((words, used)) = take_command(&input) {
            input.drain(..used);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let state = &mut *state.lock().expect("unpoisoned");
            let reply = match words[..] {
                ["REPLCONF", "ACK", offset] => {
                    state.acked = state.acked.max(offset.parse().expect("an offset"));
                    continue;
                }
                ["PSYNC", id, next] => {
                    let next = next.parse::<u64>().ok();
                    let from = next.and_then(|next| (next - 1).checked_sub(BASE));
                    let from =
                        from.filter(|from| id == state.id && *from <= state.stream.len() as u64);
                    sent = Some(from.map_or(state.stream.len(), |from| from as usize));
                    match from {
                        Some(from) => {
                            state.continued.push(BASE + from);
                            b"+CONTINUE\r\n".to_vec()
                        }
                        None => {
                            state.full_syncs += 1;
                            let offset = BASE + state.stream.len() as u64;
                            let dump = dump(&state.keys);
                            let head =
                                format!("+FULLRESYNC {} {offset}\r\n${}\r\n", state.id, dump.len());
                            [head.into_bytes(), dump].concat()
                        }
                    }
                }
                ["PING"] => b"+PONG\r\n".to_vec(),
                _ => b"+OK\r\n".to_vec(),
            };
            if socket.write_all(&reply).is_err() {
                return;
            }
        }
        if let Some(sent) = &mut sent {
            let rest = state.lock().expect("unpoisoned").stream[*sent..].to_vec();
            if socket.write_all(&rest).is_err() {
                return;
            }
            *sent += rest.len();
        }
    }
}

/// A whole command off the front: its words, and its length. Bare line ends count as none.
fn take_command(input: &[u8]) -> Option<(Vec<String>, usize)> {
    let line = |from: usize| {
        let end = from + input.get(from..)?.windows(2).position(|w| w == b"\r\n")?;
        Some((std::str::from_utf8(&input[from..end]).ok()?, end + 2))
    };
    if input.first() == Some(&b'\n') {
        return take_command(&input[1..]).map(|(words, used)| (words, used + 1));
    }
    let (head, mut at) = line(0)?;
    let mut words = Vec::new();
    for _ in 0..head.strip_prefix('*')?.parse::<usize>().ok()? {
        let (size, begin) = line(at)?;
        let size: usize = size.strip_prefix('$')?.parse().ok()?;
        let word = input.get(begin..begin + size)?;
        words.push(String::from_utf8_lossy(word).into_owned());
        at = begin + size + 2;
        if input.len() < at {
            return None;
        }
    }
    Some((words, at))
}
