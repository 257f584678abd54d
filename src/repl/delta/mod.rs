//! Delta resyncs: a replica that can't resume gets only the keys that differ, and then the stream.
//!
//! # Design
//!
//! A replica that holds data says so in the handshake (`REPLCONF capa delta`). A master that can't continue its stream
//! then answers PSYNC by `-DELTA` instead of beginning a full sync. The replica fetches what differs over a connection of
//! its own, as in a verification, and applies it in one step, by which its data becomes that of the master at an offset
//! Z of the master's history. Then it asks PSYNC for exactly that, and the master continues. So the stream, its bytes
//! and its offsets are as ever, and whatever goes wrong before the step leaves the old data, history and offset whole.
//!
//! ```text
//! REPLICA (Client)                                              MASTER (Server)
//! PSYNC ...                                                 ~>  can't continue: -DELTA
//! DELTA OPEN secret bits                                    ~>  cuts at Y, pins the log there, walks: digests of ranges
//! cuts, walks (its data stands still: the link is down)
//! DELTA RANGES ... from the root down                       <~> digest::comparison
//! too much differs, by a bound known now: full sync
//! walks again: the digests of its keys in ranges that differ
//! DELTA HAVE keys ...                                       ~>  keeps them
//! DELTA CUT ranges                                          ~>  cuts at Z, pins the log there; reads the log from Y to Z
//!                                                               for the keys touched since (touched), walks: encodes keys
//!                                                               touched, or in such ranges and not as the replica has them
//! DELTA PATCH from ...                                      <~> what is to go, and a dump of what is to come
//! builds the patch beside its data
//! every shard entered: applies it; history and offset Z
//! PSYNC history Z+1                                         ~>  +CONTINUE; the pin has held the log
//! ```
//!
//! What changed between Y and Z, whose ranges were equal at Y, is known from the log itself: its commands name their keys.
//! So writes pay nothing for a delta under way. What the log can't tell (FLUSHALL, SWAPDB, a command without known keys) ends the
//! delta, and a full sync follows.
//!
//! **Cost.** The number of ranges that differ tells about how many keys do. More than [`DIFFERING_MAX`], or more than a third of
//! the keys, become a full sync, before anything is sent: they could not be applied in one step without requests waiting
//! for it. A master without keys is the business of the full sync and its guard.
//!
//! # Invariants
//!
//! - Data, history and offset of the replica change in one step, with every shard entered, and only if its data has not been
//!   written to since its first cut, and its role and master are the same.
//! - The master's log is pinned from Z on until the replica has had time to ask for it.
//! - What a peer sends is bounded on either side ([`HAVE_MAX`], [`PATCH_MAX`]).

pub(crate) mod client;
pub(crate) mod exchange;
pub(crate) mod server;
pub(crate) mod touched;

pub(crate) use client::{Client, Fetched};
pub(crate) use exchange::{Answer, Question, ShortKey};
pub(crate) use server::{Server, Walked};

use std::sync::Arc;

use super::replid::ReplId;
use crate::digest::Secret;

/// Keys that may differ, about: so many are applied in one step.
pub(crate) const DIFFERING_MAX: u64 = 40_000;
/// Keys whose digests a replica may send.
pub(crate) const HAVE_MAX: usize = 2 << 20;
/// Bytes of a patch.
pub(crate) const PATCH_MAX: usize = 64 << 20;

/// What a master's second walk is to bring.
#[derive(Clone, Debug)]
pub struct PatchOrder {
    pub(crate) secret: Secret,
    pub(crate) bits: u32,
    /// Ranges of 2^`bits` that differed at Y.
    pub(crate) ranges: Arc<[u32]>,
    /// What the replica has there, sorted.
    pub(crate) have: Arc<[ShortKey]>,
    /// Y: history, offset, and the database that the stream had selected.
    pub(crate) since: (ReplId, u64, usize),
}
