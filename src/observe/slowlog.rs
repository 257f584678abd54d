//! The slow log: the last commands that took longer than `slowlog-log-slower-than`.
//!
//! Pure; bounded by `slowlog-max-len` entries of at most 32 arguments of 128 bytes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::clients::client::Client;

/// Most arguments kept; the last one then says how many are missing.
const ARGUMENTS_MAX: usize = 32;
/// Most bytes kept of an argument.
const ARGUMENT_BYTES_MAX: usize = 128;

/// A slow command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlowEntry {
    pub(crate) id: u64,
    /// Unix seconds at which it ended.
    pub(crate) time_s: u64,
    pub(crate) took_us: u64,
    /// Shortened and without passwords.
    pub(crate) args: Vec<Vec<u8>>,
    pub(crate) addr: String,
    pub(crate) name: String,
}

/// The slow log of a node.
#[derive(Debug, Default)]
pub struct Slowlog {
    /// Newest first.
    entries: Mutex<VecDeque<SlowEntry>>,
    next_id: AtomicU64,
}

impl Slowlog {
    /// Adds a command (`args`: without secrets) that took `took_us` until `now_us` (unix), keeping at most `max_len` entries.
    pub(crate) fn push(
        &self,
        max_len: usize,
        now_us: u64,
        took_us: u64,
        args: &[&[u8]],
        client: &Client,
    ) {
        let entry = SlowEntry {
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            time_s: now_us / 1_000_000,
            took_us,
            args: shorten(args),
            addr: client.addr.clone(),
            name: client.view.lock().name.clone(),
        };
        let mut entries = self.entries.lock();
        entries.push_front(entry);
        entries.truncate(max_len);
    }

    /// Drops what is over a lowered `slowlog-max-len`.
    #[cfg(test)]
    pub(crate) fn trim(&self, max_len: usize) {
        self.entries.lock().truncate(max_len);
    }

    /// The newest entries first, at most `count`.
    pub(crate) fn newest(&self, count: usize) -> Vec<SlowEntry> {
        self.entries.lock().iter().take(count).cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.lock().len()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn reset(&self) {
        self.entries.lock().clear();
    }
}

fn shorten(args: &[&[u8]]) -> Vec<Vec<u8>> {
    let shown = if args.len() > ARGUMENTS_MAX {
        ARGUMENTS_MAX - 1
    } else {
        args.len()
    };
    let mut kept: Vec<Vec<u8>> = args[..shown]
        .iter()
        .map(|arg| {
            let mut bytes = arg[..arg.len().min(ARGUMENT_BYTES_MAX)].to_vec();
            if arg.len() > ARGUMENT_BYTES_MAX {
                let more = arg.len() - ARGUMENT_BYTES_MAX;
                bytes.extend_from_slice(format!("... ({more} more bytes)").as_bytes());
            }
            bytes
        })
        .collect();
    if shown < args.len() {
        kept.push(format!("... ({} more arguments)", args.len() - shown).into_bytes());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> std::sync::Arc<Client> {
        Client::new(1, "1.2.3.4:5".into(), "".into(), 0)
    }

    #[test]
    fn entries_are_bounded_in_number_and_size() {
        let log = Slowlog::default();
        for _ in 0..5 {
            log.push(3, 7_000_001, 20, &[b"get", b"a"], &client());
        }
        assert_eq!(log.len(), 3);
        let newest = log.newest(10);
        assert_eq!(newest[0].id, 4);
        assert_eq!(newest[0].time_s, 7);
        assert_eq!(newest[0].addr, "1.2.3.4:5");
        log.trim(1);
        assert_eq!(log.newest(10).len(), 1);
        log.reset();
        assert!(log.is_empty());

        let long = [b'x'; 130];
        let mut args: Vec<&[u8]> = vec![b"sadd", &long];
        args.resize(33, b"m");
        log.push(3, 0, 0, &args, &client());
        let entry = &log.newest(1)[0];
        assert_eq!(entry.id, 5);
        assert_eq!(entry.args.len(), 32);
        assert_eq!(
            entry.args[1],
            format!("{}... (2 more bytes)", "x".repeat(128)).as_bytes()
        );
        assert_eq!(entry.args[31], b"... (2 more arguments)");
    }
}
