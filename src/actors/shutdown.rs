//! How a node ends: SHUTDOWN, a signal, the embedder's wish.
//!
//! In order, as redis-server: writes are paused until the replicas have all that was written (at most
//! `shutdown-timeout`), the dump is saved if save points or SAVE ask for it, then everything stops. A save
//! that fails calls the shutdown off, unless FORCE was given. SHUTDOWN ABORT calls it off while it waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::prelude::*;

use super::root::Root;
use super::snapshot::SaveNow;
use crate::node_core::{NodeCore, ShutdownOptions};
use crate::pause::{Pause, PausePurpose};
use crate::repl::ReplicaState;
use crate::session::Ticket;

/// How often it is looked whether the replicas have caught up.
const LOOK: Duration = Duration::from_millis(20);

/// A shutdown under way.
#[derive(Debug, Default)]
pub struct ShutdownState {
    /// One is; seen by commands.
    pub in_progress: Arc<AtomicBool>,
    /// Clients that asked for it: answered only if it is called off.
    tickets: Vec<Arc<Ticket>>,
    /// Which one: an aborted one's future finds another number and ends.
    number: u64,
}

/// Stop at once (the embedder's wish), saving first if `save`.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop {
    pub save: bool,
}

impl Handler<Stop> for Root {
    type Result = ();

    fn handle(&mut self, stop: Stop, ctx: &mut Self::Context) {
        if stop.save {
            let options = ShutdownOptions {
                save: true,
                force: true,
                ..ShutdownOptions::default()
            };
            ctx.notify(Shutdown {
                ticket: None,
                options,
            });
        } else {
            self.stop(0);
        }
    }
}

/// SHUTDOWN, or a signal's.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Shutdown {
    pub ticket: Option<Arc<Ticket>>,
    pub options: ShutdownOptions,
}

/// Whether some replica has not acked all there is.
fn replicas_lag(node: &NodeCore) -> bool {
    let view = node.hub.observe();
    view.replicas
        .iter()
        .any(|replica| replica.ack_offset < view.offset)
}

/// Waits until the replicas have everything, `shutdown-timeout` is over, or the shutdown was called off.
async fn wait_for_replicas(node: &NodeCore, in_progress: &AtomicBool) {
    let timeout_s = node.settings.load().shutdown_timeout;
    if timeout_s == 0 || !replicas_lag(node) {
        return;
    }
    tracing::info!("Waiting for replicas before shutting down.");
    let now_ms = node.clock.unix_ms();
    let until_ms = now_ms + timeout_s as i64 * 1000;
    node.pause
        .pause(PausePurpose::Shutdown, Pause::Write, until_ms, now_ms);
    while in_progress.load(Ordering::Acquire) && node.clock.unix_ms() < until_ms {
        if !replicas_lag(node) {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Says in the log which replicas are left behind.
fn log_replicas(node: &NodeCore) {
    let view = node.hub.observe();
    if view.replicas.is_empty() {
        return;
    }
    let now_ms = node.clock.unix_ms();
    let mut in_sync = 0;
    for replica in &view.replicas {
        let behind = view.offset.saturating_sub(replica.ack_offset);
        if behind == 0 {
            in_sync += 1;
            continue;
        }
        let lag_s = match replica.state {
            ReplicaState::Online => (now_ms - replica.ack_ms).max(0) / 1000,
            _ => 0,
        };
        tracing::info!(
            "Lagging replica {}:{} reported offset {behind} behind master, lag={lag_s}, state={}.",
            replica.ip(),
            replica.listening_port,
            replica.state.name(),
        );
    }
    tracing::info!(
        "{in_sync} of {} replicas are in sync when shutting down.",
        view.replicas.len()
    );
}

impl Handler<Shutdown> for Root {
    type Result = ();

    fn handle(&mut self, shutdown: Shutdown, ctx: &mut Self::Context) {
        let Shutdown { ticket, options } = shutdown;
        let signalled = ticket.is_none();
        self.shutdown.tickets.extend(ticket);
        if self.shutdown.in_progress.swap(true, Ordering::AcqRel) && !options.now {
            // The one under way will do.
            return;
        }
        self.shutdown.number += 1;
        let number = self.shutdown.number;
        tracing::warn!("User requested shutdown...");
        let node = self.node.clone();
        let in_progress = self.shutdown.in_progress.clone();
        let snapshots = self.replication.as_ref().map(|r| r.snapshots.clone());
        let save = options.save || (!options.nosave && !node.settings.load().save.is_empty());
        let loading = node.is_loading();
        let work = async move {
            // As redis-server's, signals take effect in the periodic duties, and rest with them.
            while signalled
                && node.cron_paused.load(Ordering::Relaxed)
                && in_progress.load(Ordering::Acquire)
            {
                tokio::time::sleep(LOOK).await;
            }
            if !options.now {
                wait_for_replicas(&node, &in_progress).await;
            }
            if in_progress.load(Ordering::Acquire) {
                log_replicas(&node);
            }
            match snapshots {
                // A dataset that is half loaded is not worth the file that it comes from.
                Some(snapshots) if save && !loading && in_progress.load(Ordering::Acquire) => {
                    tracing::info!("Saving the final RDB snapshot before exiting.");
                    snapshots
                        .send(SaveNow)
                        .await
                        .unwrap_or_else(|error| Err(error.to_string()))
                }
                _ => Ok(()),
            }
        };
        ctx.spawn(work.into_actor(self).map(move |saved, root, _| {
            if root.shutdown.number != number || !root.shutdown.in_progress.load(Ordering::Acquire)
            {
                return;
            }
            match saved {
                Err(error) if !options.force => {
                    // First, since a signal that comes when this is in the log is a new one.
                    root.call_off(b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
                    tracing::warn!("Error trying to save the DB, can't exit: {error}");
                }
                _ => {
                    tracing::warn!("Redis is now ready to exit, bye bye...");
                    root.stop(0);
                }
            }
        }));
    }
}

impl Root {
    /// The shutdown does not take place: writes go on, and those who asked for it hear why.
    fn call_off(&mut self, reply: &[u8]) {
        self.shutdown.in_progress.store(false, Ordering::Release);
        self.shutdown.number += 1;
        self.node.pause.unpause(PausePurpose::Shutdown);
        for ticket in self.shutdown.tickets.drain(..) {
            ticket.complete(reply);
        }
    }
}

/// SHUTDOWN ABORT.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AbortShutdown;

impl Handler<AbortShutdown> for Root {
    type Result = ();

    fn handle(&mut self, _: AbortShutdown, _: &mut Self::Context) {
        tracing::warn!("Shutdown manually aborted.");
        self.call_off(b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
    }
}
