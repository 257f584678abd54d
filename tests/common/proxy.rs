//! A TCP proxy between two servers whose links can be cut, frozen, slowed, and made to spoil a full sync.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is done to a full sync's payload, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends.
    Cut,
    /// One byte is changed.
    Corrupt,
    /// From here on bytes come one by one, for a while.
    Drip,
    /// Nothing comes for half a second.
    Stall,
}

#[derive(Debug, Default)]
struct State {
    /// The next fault, and after how many bytes of payload.
    fault: Mutex<Option<(Fault, usize)>>,
    faults: AtomicUsize,
    /// Bytes of payload and stream of the last full sync.
    payload: AtomicUsize,
    streams: Mutex<Vec<TcpStream>>,
    accepted: AtomicUsize,
    refusing: AtomicBool,
    frozen: AtomicBool,
    stopped: AtomicBool,
    /// Bytes a second to the client's side; 0: as fast as it goes.
    bytes_per_second: AtomicU64,
}

/// Listens at `port` and forwards every connection to the target.
#[derive(Debug)]
pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

impl Proxy {
    pub fn new(target_port: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port at loopback");
        let port = listener.local_addr().expect("its address").port();
        let state = Arc::new(State::default());
        let shared = state.clone();
        std::thread::spawn(move || accept(&listener, target_port, &shared));
        Proxy { port, state }
    }

    /// Closes all connections; new ones are taken.
    pub fn cut(&self) {
        for stream in self.state.streams.lock().expect("unpoisoned").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Whether new connections are closed at once.
    pub fn refuse(&self, refuse: bool) {
        self.state.refusing.store(refuse, Ordering::SeqCst);
        if refuse {
            self.cut();
        }
    }

    /// Whether bytes are held back, with the connections open.
    pub fn freeze(&self, freeze: bool) {
        self.state.frozen.store(freeze, Ordering::SeqCst);
    }

    /// Bounds how fast the target's bytes come through; 0: no bound.
    pub fn throttle(&self, bytes_per_second: u64) {
        self.state
            .bytes_per_second
            .store(bytes_per_second, Ordering::SeqCst);
    }

    /// Spoils the next full sync after so many bytes behind its +FULLRESYNC line.
    pub fn spoil(&self, fault: Fault, after: usize) {
        *self.state.fault.lock().expect("unpoisoned") = Some((fault, after));
    }

    /// How many full syncs have been spoilt so far.
    pub fn faults(&self) -> usize {
        self.state.faults.load(Ordering::SeqCst)
    }

    /// Bytes that have come behind the last +FULLRESYNC line.
    pub fn payload(&self) -> usize {
        self.state.payload.load(Ordering::SeqCst)
    }

    /// How many connections have come so far.
    pub fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the listener, so that its thread sees that it's over.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn accept(listener: &TcpListener, target_port: u16, state: &Arc<State>) {
    for client in listener.incoming().flatten() {
        if state.stopped.load(Ordering::SeqCst) {
            return;
        }
        if state.refusing.load(Ordering::SeqCst) {
            continue;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", target_port)) else {
            continue;
        };
        state.accepted.fetch_add(1, Ordering::SeqCst);
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let clone = |stream: &TcpStream| stream.try_clone().expect("a socket can be shared");
        state
            .streams
            .lock()
            .expect("unpoisoned")
            .extend([clone(&client), clone(&server)]);
        let (from_client, to_server) = (clone(&client), clone(&server));
        let shared = state.clone();
        std::thread::spawn(move || forward(from_client, to_server, &shared, false));
        let shared = state.clone();
        std::thread::spawn(move || forward(server, client, &shared, true));
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, state: &State, throttled: bool) {
    let mut chunk = [0; 16 * 1024];
    // What came before a full sync's payload; then where in the chunk it goes on, and its bytes so far.
    let mut head = Vec::new();
    let mut begun: Option<(usize, usize)> = None;
    loop {
        let rate = state.bytes_per_second.load(Ordering::SeqCst);
        // With a bound: a twentieth of a second's worth at a time.
        let most = match rate {
            0 => chunk.len(),
            rate if throttled => (rate as usize / 20).clamp(1, chunk.len()),
            _ => chunk.len(),
        };
        let Ok(length @ 1..) = from.read(&mut chunk[..most]) else {
            break;
        };
        if throttled && rate > 0 {
            std::thread::sleep(Duration::from_secs_f64(length as f64 / rate as f64));
        }
        while state.frozen.load(Ordering::SeqCst) && !state.stopped.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if throttled && begun.is_none() {
            begun = end_of_line(&mut head, &chunk[..length]).map(|at| (at, 0));
        } else if let Some((from, _)) = &mut begun {
            *from = 0;
        }
        let mut sent = 0;
        if let Some((from, payload)) = &mut begun {
            let bytes = length - *from;
            let due = {
                let mut fault = state.fault.lock().expect("unpoisoned");
                fault.take_if(|(_, after)| *after < *payload + bytes)
            };
            if let Some((fault, after)) = due {
                let at = *from + after.saturating_sub(*payload);
                state.faults.fetch_add(1, Ordering::SeqCst);
                if fault == Fault::Corrupt {
                    chunk[at] ^= 0x55;
                } else {
                    let _ = to.write_all(&chunk[..at]);
                    sent = at;
                }
                match fault {
                    Fault::Cut => break,
                    Fault::Stall => std::thread::sleep(Duration::from_millis(500)),
                    Fault::Drip => {
                        while sent < length.min(at + 200) {
                            let _ = to.write_all(&chunk[sent..=sent]);
                            std::thread::sleep(Duration::from_millis(1));
                            sent += 1;
                        }
                    }
                    Fault::Corrupt => {}
                }
            }
            *payload += bytes;
            state.payload.store(*payload, Ordering::SeqCst);
        }
        if to.write_all(&chunk[sent..length]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// Where behind the +FULLRESYNC line the chunk goes on, once that line is whole.
fn end_of_line(head: &mut Vec<u8>, chunk: &[u8]) -> Option<usize> {
    let before = head.len();
    head.extend_from_slice(chunk);
    let at = head.windows(11).position(|w| w == b"+FULLRESYNC")?;
    let end = at + head[at..].iter().position(|b| *b == b'\n')? + 1;
    Some(end.saturating_sub(before))
}
