//! What REPAIR puts into the stream: the master's state of the keys that differ, as RESTORE, or DEL where the master has
//! no such key.
//!
//! So every replica applies it at the same offset, chained ones as well, and those that were right already stay so;
//! nothing but the stream has to be kept in order. The master's own data is not touched.

use super::report::Reports;
use crate::repl::wire;

/// A key, and its database.
pub(crate) type NamedKey = (usize, Box<[u8]>);

/// The keys that the last verifications found to differ, and how many more there are whose names aren't known.
pub(crate) fn keys(reports: &Reports) -> (Vec<NamedKey>, u64) {
    let (mut keys, mut unnamed) = (Vec::new(), 0);
    for report in reports.all() {
        let named = report.different_keys();
        unnamed += report.differing().saturating_sub(named.len() as u64);
        keys.extend(named.iter().map(|key| (key.db, key.key.clone())));
    }
    keys.sort_unstable();
    keys.dedup();
    (keys, unnamed)
}

/// Appends the command. `state`: expiry (Unix ms) and payload as DUMP gives it; None: there is no such key.
pub(crate) fn effect(out: &mut Vec<u8>, key: &[u8], state: Option<(Option<i64>, &[u8])>) {
    match state {
        Some((expire_at, payload)) => {
            let at = expire_at.unwrap_or(0).to_string();
            let at = at.as_bytes();
            wire::command(out, &[b"RESTORE", key, at, payload, b"REPLACE", b"ABSTTL"]);
        }
        None => wire::command(out, &[b"DEL", key]),
    }
}
