//! How a node ends: SHUTDOWN, a signal, the embedder's request.
//!
//! In order, as redis-server: writes are paused until the replicas have all that was written (at most
//! `shutdown-timeout`), the dump is saved if save points or SAVE ask for it, then everything stops. A save
//! that fails calls the shutdown off, unless FORCE was given. SHUTDOWN ABORT calls it off while it waits.
//! While the dump is saved writes wait: none is answered that the dump does not hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use actix::prelude::*;

use crate::actors::node::root::Root;
use crate::actors::snapshots::snapshot::{SaveNow, SnapshotActor};
use crate::clients::pause::{Pause, PausePurpose};
use crate::node_core::{NodeCore, ShutdownOptions};
use crate::repl::ReplicaState;
use crate::session::Ticket;
use crate::supervision::Owner;

/// How often it is looked whether the replicas have caught up.
const LOOK: Duration = Duration::from_millis(20);
/// Longer than any save takes: its end is what ends the pause.
const SAVE_MAX_MS: i64 = 24 * 60 * 60 * 1000;

/// A shutdown under way.
#[derive(Debug, Default)]
pub(crate) struct ShutdownState {
    /// One is; seen by commands.
    pub(crate) in_progress: Arc<AtomicBool>,
    /// It saves the dump.
    saves: bool,
    /// Clients that asked for it: answered only if it is called off.
    tickets: Vec<Arc<Ticket>>,
    /// The embedder, likewise.
    embedder: Option<Sender<String>>,
    /// Which one: an aborted one's future finds another number and ends.
    number: u64,
}

/// The embedder's request: stop at once, or, with `save`, when the replicas have everything and the dump is saved. If
/// that fails the node goes on, and `save` is told why; else it is dropped when the node is closed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Stop {
    pub(crate) save: Option<Sender<String>>,
}

impl Handler<Stop> for Root {
    type Result = ();

    fn handle(&mut self, stop: Stop, ctx: &mut Self::Context) {
        let Some(refused) = stop.save else {
            self.stop(0, None);
            return;
        };
        if self.shutdown.in_progress.load(Ordering::Acquire) && !self.shutdown.saves {
            let _ = refused.send("a shutdown without saving is under way".into());
            return;
        }
        self.shutdown.embedder = Some(refused);
        let options = ShutdownOptions {
            save: true,
            ..ShutdownOptions::default()
        };
        self.begin_shutdown(options, false, ctx);
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

/// Saves the dump, writes waiting.
async fn save(node: &NodeCore, snapshots: Addr<SnapshotActor>) -> Result<(), String> {
    tracing::info!("Saving the final RDB snapshot before exiting.");
    let now_ms = node.clock.unix_ms();
    let until_ms = now_ms.saturating_add(SAVE_MAX_MS);
    node.pause
        .pause(PausePurpose::FinalSave, Pause::Write, until_ms, now_ms);
    snapshots
        .send(SaveNow)
        .await
        .unwrap_or_else(|error| Err(error.to_string()))
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
        self.node.supervision.step(Owner::Root, "shutdown");
        let Shutdown { ticket, options } = shutdown;
        let signalled = ticket.is_none();
        self.shutdown.tickets.extend(ticket);
        self.begin_shutdown(options, signalled, ctx);
    }
}

impl Root {
    /// Begins a shutdown, unless one is under way. `signalled`: it rests while periodic duties do.
    fn begin_shutdown(
        &mut self,
        options: ShutdownOptions,
        signalled: bool,
        ctx: &mut Context<Root>,
    ) {
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
        let settings = node.settings.load();
        let by_itself = !settings.save.is_empty() && settings.has_dump();
        drop(settings);
        let wanted = options.save || (!options.nosave && by_itself);
        self.shutdown.saves = wanted;
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
                Some(snapshots) if wanted && !loading && in_progress.load(Ordering::Acquire) => {
                    save(&node, snapshots).await
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
                    root.call_off(&error);
                    tracing::warn!("Error trying to save the DB, can't exit: {error}");
                }
                _ => {
                    tracing::warn!("Redis is now ready to exit, bye bye...");
                    root.stop(0, None);
                }
            }
        }));
    }

    /// The shutdown does not take place: writes go on, and those who asked for it hear of it.
    fn call_off(&mut self, why: &str) {
        self.shutdown.in_progress.store(false, Ordering::Release);
        self.shutdown.number += 1;
        self.node.pause.unpause(PausePurpose::Shutdown);
        self.node.pause.unpause(PausePurpose::FinalSave);
        for ticket in self.shutdown.tickets.drain(..) {
            ticket.complete(b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
        }
        if let Some(embedder) = self.shutdown.embedder.take() {
            let _ = embedder.send(why.into());
        }
    }
}

/// SHUTDOWN ABORT.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct AbortShutdown;

impl Handler<AbortShutdown> for Root {
    type Result = ();

    fn handle(&mut self, _: AbortShutdown, _: &mut Self::Context) {
        tracing::warn!("Shutdown manually aborted.");
        self.call_off("the shutdown was aborted");
    }
}
