//! A TCP proxy between two servers whose links can be cut, frozen and slowed.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Debug, Default)]
struct State {
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
        if to.write_all(&chunk[..length]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
