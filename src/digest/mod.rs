//! Digests: whether two datasets are equal, and where they differ, without sending either.
//!
//! # Design
//!
//! **A key's digest** ([`KeyDigest`]) is a keyed 128-bit hash of database, key, type, logical value and absolute expiry. It is the same
//! whatever the encoding (listpack or table, integer or text), the order in which members came, the number of shards or
//! the node; LRU and LFU fields are no part of it. How a value is hashed is in [`value`], one function for each type:
//! lists are hashed element by element in order (`hash::Ordered`), unordered types by the sum of their elements' hashes and
//! their number (`hash::Unordered`). A new type says its elements there and is done.
//!
//! **A key's place** is a keyed 128-bit hash of database and key alone. Its upper bits cut the key space into 2^k ranges of
//! about equal size ([`Ranges`]), and these are the leaves of a binary tree whose inner digests are sums. So two nodes find
//! what differs by comparing the root, then only what lies below nodes that differ; [`comparison`] does that.
//!
//! **Sums modulo 2^128, never exclusive or**: equal elements must not cancel out. The hash is SipHash-1-3 with 128 bits, which is
//! fast on short input, specified (so that two versions of this node agree), and keyed: the [`Secret`] is drawn anew for
//! each session of two nodes, so that nobody can prepare data whose digests collide. A sum of values of a keyed
//! pseudo-random function is such a one again for multisets.
//!
//! **At an offset.** Nothing here knows of time or of other threads: digests are taken of records as a snapshot's
//! walk brings them out of the shards (`snapshot::digesting`), so they are those of the dataset at a cut, which is at
//! one offset of the stream. Keys past their expiry that are still there count: a replica holds them until its master
//! deletes them, so at one offset both have them.
//!
//! # Invariants
//!
//! - Equal logical content gives equal digests; different content gives different ones but for chances of 2^-64 or less.
//! - Every variable part is hashed behind its length and every use of the hash begins with a byte of its own, so that
//!   no two contents are hashed as the same bytes.
//! - Large collections are hashed in steps of bounded length ([`Steps`]), from a frozen clone.

pub(crate) mod comparison;
mod hash;
mod key;
mod ranges;
mod value;

pub(crate) use hash::Secret;
pub(crate) use key::{KeyDigest, KeyPlace};
pub(crate) use ranges::{RangeDigest, Ranges, bits_for, bits_within};
pub(crate) use value::{Steps, value_digest};
