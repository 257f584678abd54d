//! What goes through the dump file and back, or replaces it: DEBUG RELOAD, and the empty dump after FLUSHALL.
//!
//! During a reload clients are answered LOADING, so nothing is written between the dump's cut and the swap.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::prelude::*;

use crate::actors::node::root::Root;
use crate::actors::shard::enter;
use crate::actors::snapshots::snapshot::{AbortSave, SaveNow, SnapshotActor};
use crate::background::loading::{self, Expired};
use crate::command::script::functions;
use crate::node_core::{NodeCore, ReloadOptions};
use crate::rdb::opaque::Opaque;
use crate::session::Ticket;

/// DEBUG RELOAD; see `Services::reload`.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Reload {
    pub(crate) ticket: Arc<Ticket>,
    pub(crate) options: ReloadOptions,
}

/// Loads the dump in the place of the dataset, or beside it.
async fn load(node: &Arc<NodeCore>, options: ReloadOptions) -> Result<(), String> {
    let keep = if node.hub.is_replica() {
        Expired::Keep
    } else {
        Expired::Drop
    };
    // Without a file an empty dataset is loaded, as at a start.
    let (dataset, opaque) = match loading::open(node)? {
        Some(file) => {
            let dump = loading::read_aside(node.clone(), file, keep).await?;
            (dump.dataset, dump.opaque)
        }
        None => (node.keyspace.builder().finish(), Opaque::default()),
    };
    let mut loaded = Some((dataset, opaque));
    enter(node, node.keyspace.all(), |mut entered| {
        let Some((dataset, mut opaque)) = loaded.take() else {
            return Ok(());
        };
        if options.flush {
            loading::swap_in(node, &mut entered, dataset, opaque);
            return Ok(());
        }
        let known = opaque.first_of_both(&node.opaque.load());
        if let Some(name) = known.filter(|_| !options.merge) {
            return Err(format!("Library '{}' already exists", name.escape_ascii()));
        }
        let old = entered
            .merge(dataset, options.merge)
            .map_err(|key| format!("RDB has duplicated key '{}'", key.escape_ascii()))?;
        node.lazyfree.push(Box::new(old));
        opaque.add_missing(&node.opaque.load());
        node.opaque.store(Arc::new(opaque));
        functions::load_all(node, &entered);
        Ok(())
    })
    .await
}

async fn save_now(snapshots: Addr<SnapshotActor>) -> Result<(), String> {
    snapshots
        .send(SaveNow)
        .await
        .unwrap_or_else(|error| Err(error.to_string()))
}

impl Handler<Reload> for Root {
    type Result = ();

    fn handle(&mut self, reload: Reload, ctx: &mut Self::Context) {
        let Reload { ticket, options } = reload;
        let Some(snapshots) = self.replication.as_ref().map(|r| r.snapshots.clone()) else {
            return;
        };
        let node = self.node.clone();
        let work = async move {
            node.loading.store(true, Ordering::Release);
            let saved = match options.save {
                true => save_now(snapshots).await,
                false => Ok(()),
            };
            let loaded = match &saved {
                Ok(()) => load(&node, options).await,
                Err(_) => Ok(()),
            };
            node.loading.store(false, Ordering::Release);
            match (saved, loaded) {
                (Ok(()), Ok(())) => {
                    tracing::warn!("DB reloaded by DEBUG RELOAD");
                    ticket.complete(b"+OK\r\n");
                }
                (Err(error), _) => {
                    tracing::warn!("DEBUG RELOAD: {error}");
                    ticket.complete(b"-ERR\r\n");
                }
                (_, Err(error)) => {
                    tracing::warn!("DEBUG RELOAD: {error}");
                    ticket.complete(
                        b"-ERR Error trying to load the RDB dump, check server logs.\r\n",
                    );
                }
            }
        };
        ctx.spawn(work.into_actor(self));
    }
}

/// FLUSHALL emptied the dataset; see `Services::flushed_all`.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct FlushedAll {
    pub(crate) ticket: Option<Arc<Ticket>>,
}

impl Handler<FlushedAll> for Root {
    type Result = ();

    fn handle(&mut self, flushed: FlushedAll, ctx: &mut Self::Context) {
        let Some(snapshots) = self.replication.as_ref().map(|r| r.snapshots.clone()) else {
            return;
        };
        snapshots.do_send(AbortSave);
        let settings = self.node.settings.load();
        let save = !settings.save.is_empty() && settings.has_dump();
        let work = async move {
            if save && let Err(error) = save_now(snapshots).await {
                tracing::warn!("The dump could not be replaced after FLUSHALL: {error}");
            }
            // The data is gone whatever became of the dump.
            if let Some(ticket) = flushed.ticket {
                ticket.complete(b"+OK\r\n");
            }
        };
        ctx.spawn(work.into_actor(self));
    }
}
