//! MONITOR: who listens to all commands, and the line that each command becomes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use hashbrown::HashMap;
use parking_lot::RwLock;

use crate::clients::client::Client;

/// The clients in MONITOR.
#[derive(Debug, Default)]
pub struct Monitors {
    /// By id.
    clients: RwLock<HashMap<u64, Arc<Client>>>,
    count: AtomicUsize,
}

impl Monitors {
    /// Whether anybody listens. Lock-free.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn add(&self, client: Arc<Client>) {
        let mut clients = self.clients.write();
        clients.insert(client.id, client);
        self.count.store(clients.len(), Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, id: u64) {
        let mut clients = self.clients.write();
        clients.remove(&id);
        if clients.is_empty() {
            *clients = HashMap::default();
        }
        self.count.store(clients.len(), Ordering::Relaxed);
    }

    /// Shows a command that `client` ran in database `db` at `now_us` (unix). `args`: without secrets.
    pub(crate) fn feed(&self, now_us: u64, db: usize, client: &Client, args: &[&[u8]]) {
        let line = Bytes::from(line(now_us, db, client, args));
        for monitor in self.clients.read().values() {
            monitor.push_shared(&line);
        }
    }
}

/// `+1339518083.107412 [0 127.0.0.1:60866] "keys" "*"`
fn line(now_us: u64, db: usize, client: &Client, args: &[&[u8]]) -> Vec<u8> {
    let unix = if client.view.lock().unix_socket {
        "unix:"
    } else {
        ""
    };
    // A Unix client's address is the socket's path and a zero port; the line shows the path.
    let addr = if unix.is_empty() {
        client.addr.as_str()
    } else {
        client.addr.trim_end_matches(":0")
    };
    let mut line = format!(
        "+{}.{:06} [{db} {unix}{addr}] ",
        now_us / 1_000_000,
        now_us % 1_000_000
    )
    .into_bytes();
    for (index, arg) in args.iter().enumerate() {
        if index > 0 {
            line.push(b' ');
        }
        quote(&mut line, arg);
    }
    line.extend_from_slice(b"\r\n");
    line
}

/// Appends bytes in quotes, with what isn't printable as escapes.
pub(crate) fn quote(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x07 => out.extend_from_slice(b"\\a"),
            0x08 => out.extend_from_slice(b"\\b"),
            b' '..=b'~' => out.push(byte),
            _ => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_redis() {
        let client = Client::new(1, "127.0.0.1:60866".into(), String::new(), 0);
        let monitors = Monitors::default();
        let listener = Client::new(2, String::new(), String::new(), 0);
        assert!(!monitors.any());
        monitors.add(listener.clone());
        monitors.add(listener.clone());
        assert!(monitors.any());
        let now_us = 1_339_518_083_007_412;
        monitors.feed(now_us, 9, &client, &[b"set", b"a\"\\\n\x01", b""]);
        monitors.feed(now_us, 0, &client, &[b"ping"]);
        monitors.remove(2);
        assert!(!monitors.any());
        let output = listener.outbox.lock().output.clone().into_bytes();
        let first =
            b"+1339518083.007412 [9 127.0.0.1:60866] \"set\" \"a\\\"\\\\\\n\\x01\" \"\"\r\n";
        let second = b"+1339518083.007412 [0 127.0.0.1:60866] \"ping\"\r\n";
        assert_eq!(output, [&first[..], &second[..]].concat());
    }
}
