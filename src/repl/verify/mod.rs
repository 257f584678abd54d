//! VERIFY: is a replica equal to its master? Asked at one offset, answered by digests, key by key where they differ.
//!
//! # Design
//!
//! The replica drives, over a connection of its own to its master: it asks, the master answers ([`exchange`]). So
//! the stream of the link, its bytes and its offsets stay as they are, and a master needs no way to its replicas; one that
//! is told to verify them asks each to do so.
//!
//! ```text
//! REPLICA (Verifier)                                            MASTER (Server)
//! holds its stream where it is (StreamHold)
//! DIGEST OPEN replid secret bits                           ~>   cuts, at X, and walks (snapshot::digesting)
//! lets the stream run to X, cuts, lets it go on            <~   X
//! walks
//! DIGEST RANGES ... from the root down (digest::comparison) <~>
//! equal: the report.   Else for the ranges that differ, again:
//! holds; DIGEST NARROW ranges                              ~>   cuts at X2, walks, keeps the digests of their keys
//! runs to X2, cuts, goes on, walks                         <~   X2
//! DIGEST KEYS ...                                          <~>
//! DIGEST CLOSE report                                      ~>   keeps it for INFO, EXPLAIN and REPAIR
//! ```
//!
//! Two rounds, so that neither side holds a digest for each key: the first keeps sums of ranges, the second only the
//! keys of the ranges that differ. What differed at X and is equal at X2 has been overwritten in between, and counts as
//! equal.
//!
//! The cuts are those of snapshots. A node makes one walk at a time, and a walk for digests gives way to every other: it
//! ends, and with it the verification, when a full sync or a save is due.
//!
//! # Invariants
//!
//! - Both cuts of a round are at one offset of one history; a cut elsewhere makes the verification fail, not lie.
//! - The stream is held for a round trip and a cut, and never past a deadline ([`StreamHold`]); requests are served.
//! - What a peer says is bounded, and at worst makes the verification fail or its report wrong; no data follows from it.
//! - Both machines know neither sockets nor threads nor time; their owner is told what to do ([`verifier::Step`],
//!   [`server::Order`]).

pub(crate) mod exchange;
mod hold;
pub(crate) mod repair;
pub(crate) mod report;
pub(crate) mod server;
pub(crate) mod verifier;

pub(crate) use exchange::{Answer, Question};
pub(crate) use hold::StreamHold;
pub(crate) use report::{Outcome, Report};
pub(crate) use server::Server;
pub(crate) use verifier::Verifier;

use crate::digest::Ranges;
use crate::digest::Secret;
use crate::snapshot::digesting::HeldKey;

/// Memory that the keys of ranges that differ may take on each side, bytes.
pub(crate) const KEYS_BYTES_MAX: usize = 32 << 20;

/// In the words that say why no walk is made, or none to its end: a snapshot comes first.
pub(crate) const SNAPSHOT_FIRST: &str = "a snapshot is";

/// What is to be made of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The digests of 2^`bits` ranges.
    Ranges { bits: u32 },
    /// The digests of the keys of these ranges.
    Keys { bits: u32, ranges: Vec<u32> },
}

/// A cut and a walk that are to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkOrder {
    pub(crate) secret: Secret,
    pub(crate) wanted: Wanted,
}

/// What a walk brought.
#[derive(Debug)]
pub(crate) enum Walked {
    Ranges(Ranges),
    /// Sorted by place; None: more than may be held.
    Keys(Option<Vec<HeldKey>>),
}
