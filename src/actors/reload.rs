//! DEBUG RELOAD: the dataset goes through a dump file and back, as at a restart.
//!
//! Clients are answered LOADING meanwhile, so nothing is written between the dump's cut and the swap.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::loading::{self, Expired};
use super::root::Root;
use super::shard::enter;
use super::snapshot::{SaveNow, dump_path};
use crate::node_core::NodeCore;
use crate::session::Ticket;

/// DEBUG RELOAD; see `Services::reload`.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reload {
    pub ticket: Arc<Ticket>,
    pub save: bool,
    pub flush: bool,
}

async fn load(node: &Arc<NodeCore>) -> Result<(), String> {
    let path = dump_path(node);
    let file =
        File::open(&path).map_err(|error| format!("can't open {}: {error}", path.display()))?;
    let keep = if node.hub.is_replica() {
        Expired::Keep
    } else {
        Expired::Drop
    };
    let (done, loaded) = oneshot::channel();
    let reading = node.clone();
    std::thread::Builder::new()
        .name("understudy-load".into())
        .spawn(move || {
            // Nobody waits any more if the node is stopping.
            let _ = done.send(loading::read(&reading, file, keep));
        })
        .map_err(|error| error.to_string())?;
    let dump = loaded
        .await
        .unwrap_or_else(|_| Err("the loading thread died".into()))?;
    let mut dataset = Some(dump.dataset);
    enter(node, node.keyspace.all(), |mut entered| {
        if let Some(dataset) = dataset.take() {
            loading::swap_in(node, &mut entered, dataset);
        }
    })
    .await;
    Ok(())
}

impl Handler<Reload> for Root {
    type Result = ();

    fn handle(&mut self, reload: Reload, ctx: &mut Self::Context) {
        let Reload {
            ticket,
            save,
            flush,
        } = reload;
        if !flush {
            ticket.complete(b"-ERR DEBUG RELOAD NOFLUSH is not supported\r\n");
            return;
        }
        let Some(snapshots) = self.replication.as_ref().map(|r| r.snapshots.clone()) else {
            return;
        };
        let node = self.node.clone();
        let work = async move {
            node.loading.store(true, Ordering::Release);
            let saved = match save {
                true => snapshots
                    .send(SaveNow)
                    .await
                    .unwrap_or_else(|error| Err(error.to_string())),
                false => Ok(()),
            };
            let result = match saved {
                Ok(()) => load(&node).await,
                Err(error) => Err(error),
            };
            node.loading.store(false, Ordering::Release);
            match result {
                Ok(()) => {
                    tracing::warn!("DB reloaded by DEBUG RELOAD");
                    ticket.complete(b"+OK\r\n");
                }
                Err(error) => {
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
