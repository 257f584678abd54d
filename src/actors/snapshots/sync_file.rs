//! `rdb-del-sync-files`: a node that saves nothing doesn't leave on disk the dump that its replicas were fed from.
//!
//! The one place where that is decided. The writer removes the file, on its own thread and in order with the dumps
//! that it puts there, so that it can't be a later one's.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use actix::prelude::*;

use crate::actors::snapshots::snapshot::SnapshotActor;
use crate::actors::snapshots::snapshot_writer::SnapshotWriterActor;
use crate::may_block::may_block_here;
use crate::repl::ReplicaState;
use crate::text::printable::printable_path;

impl SnapshotActor {
    /// Has a dump that was only made for replicas removed once none of them needs it, where nothing else is to be kept
    /// on disk.
    pub(super) fn remove_sync_file(&mut self) {
        let settings = self.node.settings.load();
        let made_for_sync = &self.node.persistence.made_for_sync;
        if !settings.rdb_del_sync_files {
            // Turned on later, it is about dumps made later.
            made_for_sync.store(false, Ordering::Relaxed);
            return;
        }
        if !made_for_sync.load(Ordering::Relaxed) || !settings.save.is_empty() || self.is_busy() {
            return;
        }
        let published = self.node.hub.published();
        let all_online = published
            .replicas
            .iter()
            .all(|r| r.state == ReplicaState::Online);
        drop(published);
        // The dump was made by this writer.
        if let (true, Some(writer)) = (all_online, &self.writer) {
            made_for_sync.store(false, Ordering::Relaxed);
            writer.do_send(Remove(settings.dump_path()));
        }
    }
}

/// Remove the dump that only fed replicas.
#[derive(Message)]
#[rtype(result = "()")]
struct Remove(PathBuf);

impl Handler<Remove> for SnapshotWriterActor {
    type Result = ();

    fn handle(&mut self, Remove(path): Remove, _: &mut Self::Context) {
        may_block_here();
        tracing::info!(
            "Removing the RDB file used to feed replicas in a persistence-less instance"
        );
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!("{} could not be removed: {error}", printable_path(&path));
        }
    }
}
