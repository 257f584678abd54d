//! The dump that a replica gets which wants no keys (REPLCONF rdb-filter-only): it needs no snapshot.

use std::sync::Arc;

use bytes::Bytes;

use crate::actors::snapshots::maker::preamble;
use crate::node_core::NodeCore;
use crate::rdb::writer::{ChunkWriter, ReplicationMark};
use crate::repl::full_sync::FilteredDump;

/// Bytes of a chunk.
const CHUNK_BYTES: usize = 64 * 1024;

/// All of the dump.
pub(crate) fn write(node: &NodeCore, dump: &FilteredDump) -> Vec<Bytes> {
    let settings = node.settings.load();
    let mut writer = ChunkWriter::new(settings.rdbcompression, settings.rdbchecksum, CHUNK_BYTES);
    let mark = ReplicationMark {
        replid: dump.history.to_string(),
        offset: dump.offset as i64,
        stream_db: dump.database as i64,
        diverged: None,
    };
    let mut preamble = preamble(node, Some(mark));
    preamble.opaque = match dump.filter.functions {
        true => Arc::new(preamble.opaque.functions_only()),
        false => Arc::default(),
    };
    writer.begin(&preamble);
    let mut chunks = Vec::new();
    writer.finish(&mut chunks);
    chunks
}
