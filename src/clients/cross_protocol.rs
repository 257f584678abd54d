//! Cross-protocol scripting: a web page can make a browser POST to our port, and what it sends as the body would run
//! as commands. A browser's request has a line that begins with `POST` or `Host:`, which are no commands of ours: a
//! client that sends them is disconnected before anything that follows is run.

use std::sync::atomic::{AtomicI64, Ordering};

/// The log shows one such request in so many ms, so that it can't be flooded.
const NOTED_EVERY_MS: i64 = 60_000;

/// When such a request was last logged.
#[derive(Debug)]
pub struct CrossProtocol {
    noted_ms: AtomicI64,
}

impl Default for CrossProtocol {
    fn default() -> Self {
        CrossProtocol {
            noted_ms: AtomicI64::new(i64::MIN),
        }
    }
}

/// Whether a command's name is the beginning of a line of HTTP that browsers send.
#[cold]
pub(crate) fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

impl CrossProtocol {
    /// Logs such a request. `addr` is None for a Unix socket.
    pub(crate) fn note(&self, addr: Option<&str>, now_ms: i64) {
        if !self.is_due(now_ms) {
            return;
        }
        // An IPv6 address is in brackets in CLIENT LIST, but not here.
        let from = addr.map_or_else(String::new, |addr| {
            format!(" from {}", addr.replace(['[', ']'], ""))
        });
        tracing::warn!(
            "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. \
             This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your Redis \
             instance. Connection{from} aborted."
        );
    }

    fn is_due(&self, now_ms: i64) -> bool {
        let noted_ms = self.noted_ms.load(Ordering::Relaxed);
        let due = now_ms.saturating_sub(noted_ms).saturating_abs() > NOTED_EVERY_MS;
        due && self
            .noted_ms
            .compare_exchange(noted_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_logged_a_minute() {
        let seen = CrossProtocol::default();
        let due = [0, 1, 60_000, 60_001, 60_002, 120_001, 120_002].map(|ms| seen.is_due(ms));
        assert_eq!(due, [true, false, false, true, false, false, true]);
        assert!(is_http(b"pOsT") && is_http(b"HOST:") && !is_http(b"host") && !is_http(b"posts"));
    }
}
