//! `rdb-del-sync-files`: a node that saves nothing doesn't leave on disk the dump that its replicas were fed
//! from, or that it was fed from.

use std::fs;

use crate::actors::replication::master::MasterActor;
use crate::printable::printable_path;
use crate::repl::ReplicaState;

impl MasterActor {
    /// Removes the dump file of a disk-based full sync once no replica waits for it any more.
    pub(crate) fn remove_sync_file(&mut self) {
        let settings = self.node.settings.load();
        if self.io.dump.is_none() || !settings.rdb_del_sync_files || !settings.save.is_empty() {
            return;
        }
        let board = self.node.hub.board();
        let online = |r: &crate::repl::Replica| r.state == ReplicaState::Online;
        if !board.replicas.iter().all(online) {
            return;
        }
        drop(board);
        let Some(path) = self.io.dump.take() else {
            return;
        };
        tracing::info!(
            "Removing the RDB file used to feed replicas in a persistence-less instance"
        );
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!("{} could not be removed: {error}", printable_path(&path));
        }
    }
}
