//! A MIGRATE on its way from the command to the actor that has the sockets.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;

use crate::repl::wire;

/// Another node, and as whom to speak to it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) host: String,
    /// 0: the argument was no port.
    pub(crate) port: u16,
    pub(crate) user: Option<Bytes>,
    pub(crate) password: Option<Bytes>,
}

/// A MIGRATE under way.
pub struct Migration {
    pub(crate) target: Target,
    /// Where the keys are here.
    pub(crate) db: usize,
    /// Where they go there.
    pub(crate) target_db: i64,
    /// Longest wait for the target at a time.
    pub(crate) timeout: Duration,
    pub(crate) copy: bool,
}

/// A packed key.
pub struct PackedKey {
    pub(crate) key: Bytes,
    /// Unix ms.
    pub(crate) expire_at: Option<i64>,
    pub(crate) payload: Vec<u8>,
    /// Set when the key has changed since it was packed.
    pub(crate) changed: Arc<AtomicBool>,
    /// By which its shard knows that; None: it is not watched.
    pub(crate) watch: Option<u64>,
}

/// One thing that the target is to do.
pub enum TargetCommand {
    Restore {
        packed: PackedKey,
        /// Whatever it has at the key.
        replace: bool,
    },
    /// What an earlier round restored.
    Delete(Bytes),
}

impl TargetCommand {
    /// Appends the command for it.
    pub(crate) fn write(&self, now_ms: i64, out: &mut Vec<u8>) {
        match self {
            TargetCommand::Delete(key) => wire::command(out, &[b"DEL".as_slice(), key]),
            TargetCommand::Restore { packed, replace } => {
                let ttl_ms = packed.expire_at.map_or(0, |at| (at - now_ms).max(1));
                let ttl_ms = ttl_ms.to_string();
                let args = [
                    b"RESTORE".as_slice(),
                    &packed.key,
                    ttl_ms.as_bytes(),
                    &packed.payload,
                    b"REPLACE",
                ];
                wire::command(out, &args[..if *replace { 5 } else { 4 }]);
            }
        }
    }
}
