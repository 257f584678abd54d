//! Waiting until something is so, and finding a free port.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long to wait for what will surely come, on a machine as busy as may be.
pub const LONG: Duration = Duration::from_secs(300);

/// Sets a flag when it goes, also when a test fails: threads of a scope that run until it is set would keep the
/// test from ending.
pub struct SetAtEnd<'a>(pub &'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Asks until the condition holds; panics with `what` when `timeout` is over. The pauses are short and grow,
/// so that waiting costs neither time nor a core.
pub fn wait_for(what: &str, timeout: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + timeout;
    let mut pause = Duration::from_millis(1);
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "waited {timeout:?} in vain until {what}"
        );
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// A port at loopback that nobody listens at now. Somebody else may take it before its user does, so
/// users try again with another.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port at loopback")
        .port()
}
