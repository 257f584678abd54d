//! What the request path and INFO see of replication: role, log, replicas. (being written)

/// Shared by dispatch, connections and the replication actors of one node.
#[derive(Debug, Default)]
pub struct Hub {}

#[allow(unused_variables)]
impl Hub {
    /// Whether writes must be logged at all (a replica, a backlog or a change stream exists). Lock-free.
    pub fn log_active(&self) -> bool {
        todo!()
    }
    /// Appends one execution unit's effects: `commands` RESP commands in `bytes`, run in database `db`; adds
    /// SELECT when the log's database differs and MULTI/EXEC when `transaction`. Called inside the shards.
    /// The log's end offset after it.
    pub fn append(&self, db: usize, bytes: &[u8], transaction: bool) -> u64 {
        todo!()
    }
    /// Appends our master's bytes as they came (chained replicas get the same offsets).
    pub fn append_from_master(&self, bytes: &[u8]) -> u64 {
        todo!()
    }
    /// Whether this node is a replica of another. Lock-free.
    pub fn is_replica(&self) -> bool {
        todo!()
    }
    /// As a replica: whether the link to the master is up. Lock-free.
    pub fn link_up(&self) -> bool {
        todo!()
    }
    /// Replicas that acked within `min-replicas-max-lag`. Lock-free.
    pub fn good_replicas(&self) -> usize {
        todo!()
    }
    /// Wakes the MasterActor to forward what was appended; at most once until it has run.
    pub fn wake(&self) {
        todo!()
    }
    /// The log's end offset (master_repl_offset).
    pub fn offset(&self) -> u64 {
        todo!()
    }
}
