//! A load of writes from several connections, until it is stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use fastrand::Rng;

use super::RespClient;
use super::client::encode;

/// Commands sent at a time by each connection.
const PIPELINE: usize = 50;

/// Connections that SET values of 500 bytes at random keys; stopped when dropped.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    writes: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn start(port: u16, connections: usize, keys: usize) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let writes = Arc::new(AtomicU64::new(0));
        let threads = (0..connections)
            .map(|seed| {
                let (stop, writes) = (stop.clone(), writes.clone());
                std::thread::Builder::new()
                    .stack_size(256 * 1024)
                    .spawn(move || run(port, seed as u64, keys, &stop, &writes))
                    .expect("a thread")
            })
            .collect();
        Load {
            stop,
            writes,
            threads,
        }
    }

    /// Writes answered so far.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn run(port: u16, seed: u64, keys: usize, stop: &AtomicBool, writes: &AtomicU64) {
    let mut client = RespClient::connect(port).expect("a connection");
    let mut rng = Rng::with_seed(seed);
    let batches: Vec<Vec<u8>> = (0..20)
        .map(|_| {
            let mut batch = Vec::new();
            for _ in 0..PIPELINE {
                let key = format!("load:{}", rng.usize(0..keys));
                let value: Vec<u8> = (0..500).map(|_| rng.alphanumeric() as u8).collect();
                encode(&mut batch, &[b"SET".as_slice(), key.as_bytes(), &value]);
            }
            batch
        })
        .collect();
    while !stop.load(Ordering::Relaxed) {
        client.send_raw(&batches[rng.usize(0..batches.len())]);
        if client.try_flush().is_err() {
            return;
        }
        for _ in 0..PIPELINE {
            match client.try_read() {
                Ok(reply) => assert!(!reply.is_error(), "{reply:?}"),
                Err(_) => return,
            }
        }
        writes.fetch_add(PIPELINE as u64, Ordering::Relaxed);
    }
}
