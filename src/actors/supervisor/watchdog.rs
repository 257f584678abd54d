//! The thread that notices an arbiter that does not turn: `arbiter-watchdog-ms`.
//!
//! An arbiter whose actor's turn lasts that long serves nobody else meanwhile. The log then says which arbiter, which
//! actor, which client's command, and for how long; once at that time, and again when the turn has ended or has lasted
//! ten times as long. Nothing is interrupted: no signals are sent.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;

use crate::node_core::NodeCore;
use crate::node_core::lifecycle::Stage;
use crate::supervision::arbiters::UnderWay;

/// Looks in the time that a turn may last.
const LOOKS: u64 = 4;
/// The longest between two looks at the arbiters, ms.
const LOOK_MAX_MS: u64 = 500;

/// A turn that is watched.
struct Watched {
    turn: UnderWay,
    since_us: u64,
    /// It is told when it has lasted this long, microseconds.
    tell_us: u64,
    told: bool,
}

/// Has the arbiters watched while the directive says so: by a thread that is there only then, and ends with the node.
pub(crate) fn start(node: &Arc<NodeCore>) {
    let watches = Arc::new(Mutex::new(false));
    watch_aside(node, &watches);
    let there = Arc::downgrade(node);
    node.watch_settings(Box::new(move |_, names| {
        if names.contains(&"arbiter-watchdog-ms")
            && let Some(node) = there.upgrade()
        {
            watch_aside(&node, &watches);
        }
    }));
}

/// Starts the thread if it is wanted and not there. `watches`: whether it is.
fn watch_aside(node: &Arc<NodeCore>, watches: &Arc<Mutex<bool>>) {
    let mut guard = watches.lock();
    if *guard || node.settings.load().arbiter_watchdog_ms == 0 {
        return;
    }
    let (there, ends) = (node.clone(), watches.clone());
    match node.threads.spawn("watchdog", move || watch(&there, &ends)) {
        Ok(()) => *guard = true,
        Err(error) => tracing::warn!("No thread for watching the arbiters: {error}"),
    }
}

fn watch(node: &NodeCore, watches: &Mutex<bool>) {
    let mut watched: HashMap<String, Watched> = HashMap::new();
    loop {
        let mut guard = watches.lock();
        let period_ms = node.settings.load().arbiter_watchdog_ms;
        if period_ms == 0 {
            *guard = false;
            return;
        }
        drop(guard);
        let look_ms = (period_ms / LOOKS).clamp(1, LOOK_MAX_MS);
        let look = Some(Duration::from_millis(look_ms));
        if node.lifecycle.wait_for(Stage::Closed, look) >= Stage::Closed {
            return;
        }
        look_at(node, &mut watched, period_ms * 1000);
    }
}

fn look_at(node: &NodeCore, watched: &mut HashMap<String, Watched>, period_us: u64) {
    let now_us = node.clock.monotonic_us();
    let under_way = node.supervision.arbiters.under_way();
    watched.retain(|_, old| {
        let goes_on = under_way.contains(&old.turn);
        if !goes_on && old.told {
            let ms = (now_us - old.since_us) / 1000;
            tracing::warn!(
                "The {} arbiter turns again, after {ms} ms",
                old.turn.arbiter
            );
        }
        goes_on
    });
    for turn in under_way {
        let old = watched.entry(turn.arbiter.clone()).or_insert(Watched {
            turn,
            since_us: now_us,
            tell_us: period_us,
            told: false,
        });
        let lasted_us = now_us - old.since_us;
        if lasted_us >= old.tell_us {
            old.tell_us = old.tell_us.saturating_mul(10);
            old.told = true;
            tell(node, &old.turn, lasted_us / 1000);
        }
    }
}

fn tell(node: &NodeCore, turn: &UnderWay, lasted_ms: u64) {
    let mut what = format!("in {}", turn.owner);
    if let Some(client) = node.clients.get(turn.client) {
        let id = client.last_command.load(Ordering::Relaxed);
        let command = node.table.name_of(id).unwrap_or("no command yet");
        what += &format!(" id={} addr={} cmd={command}", client.id, client.addr);
    }
    tracing::warn!(
        "WATCHDOG: the {} arbiter has not turned for {lasted_ms} ms: {what}",
        turn.arbiter
    );
}
