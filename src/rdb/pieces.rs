//! A large collection, encoded in bounded steps from a frozen clone.
//!
//! A collection of millions must not hold up whoever encodes it, nor make a chunk of a gigabyte. The clone
//! shares its nodes with the live collection, copy on write, so it stays as it was while steps are taken at
//! leisure, and each step ends after a bounded number of bytes.

use super::stream::Steps;
use super::writer::{Encoder, KeyHeader, Usage, kind_of, length};
use crate::data::{Hash, List, Set, Stream, Value, ValueRef, Zset};

/// An entry being encoded.
#[derive(Debug)]
pub struct Pieces {
    key: Vec<u8>,
    expire_at: Option<i64>,
    usage: Usage,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing is written yet.
    Whole(Value),
    List {
        list: Box<List>,
        next_node: usize,
    },
    Set {
        set: Set,
        cursor: u64,
    },
    Hash {
        hash: Hash,
        cursor: u64,
        /// The earliest moment of a field, if any expires.
        earliest: Option<i64>,
    },
    /// From the highest rank down; `left` ranks are to come.
    Zset {
        zset: Zset,
        left: usize,
    },
    Stream {
        stream: Box<Stream>,
        steps: Steps,
    },
    Done,
}

/// How many elements are looked at between two looks at the budget.
const STRIDE: usize = 64;

impl Pieces {
    /// `value` is the frozen clone; nobody else may change it.
    pub fn new(header: KeyHeader<'_>, value: Value) -> Pieces {
        Pieces {
            key: header.key.to_vec(),
            expire_at: header.expire_at,
            usage: header.usage,
            state: State::Whole(value),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Appends encoded bytes until about `budget` more are there or the entry is complete; says whether it
    /// is. A step overshoots by some dozens of elements or one list node at most.
    pub fn step(&mut self, encoder: &mut Encoder, out: &mut Vec<u8>, budget: usize) -> bool {
        let end = out.len().saturating_add(budget.max(1));
        loop {
            self.state = match std::mem::replace(&mut self.state, State::Done) {
                State::Whole(value) => self.start(value, encoder, out),
                State::List { list, next_node } => list_step(list, next_node, encoder, out, end),
                State::Set { set, cursor } => {
                    let cursor = set.scan(cursor, STRIDE, &mut |member| encoder.item(out, member));
                    match cursor {
                        0 => State::Done,
                        _ => State::Set { set, cursor },
                    }
                }
                State::Hash {
                    hash,
                    cursor,
                    earliest,
                } => {
                    let cursor = hash.scan_held(cursor, STRIDE, &mut |field, value, moment| {
                        encoder.field(out, (field, value, moment), earliest);
                    });
                    match cursor {
                        0 => State::Done,
                        _ => State::Hash {
                            hash,
                            cursor,
                            earliest,
                        },
                    }
                }
                State::Zset { zset, left } => {
                    let from = left.saturating_sub(STRIDE);
                    for (member, score) in zset.range(from..left, true) {
                        encoder.scored(out, member, score);
                    }
                    match from {
                        0 => State::Done,
                        left => State::Zset { zset, left },
                    }
                }
                State::Stream { stream, mut steps } => {
                    match steps.run(encoder, out, &stream, end) {
                        true => State::Done,
                        false => State::Stream { stream, steps },
                    }
                }
                State::Done => return true,
            };
            if self.is_done() {
                return true;
            }
            if out.len() >= end {
                return false;
            }
        }
    }

    /// Writes what stands before the elements; compact values at once as a whole.
    fn start(&self, value: Value, encoder: &mut Encoder, out: &mut Vec<u8>) -> State {
        let view = value.as_ref();
        let header = KeyHeader {
            key: &self.key,
            expire_at: self.expire_at,
            usage: self.usage,
        };
        encoder.key_header(out, header, kind_of(view));
        let compact = match view {
            ValueRef::String(_) => true,
            ValueRef::List(list) => list.node_count() <= 1,
            ValueRef::Set(set) => set.as_intset().is_some(),
            ValueRef::Hash(hash) => hash.is_listpack(),
            ValueRef::Zset(zset) => zset.as_listpack().is_some(),
            ValueRef::Stream(_) => false,
        };
        if compact {
            encoder.value(out, view);
            return State::Done;
        }
        match value {
            Value::List(list) => {
                length(out, list.node_count() as u64);
                State::List { list, next_node: 0 }
            }
            Value::Set(set) => {
                length(out, set.len() as u64);
                State::Set { set, cursor: 0 }
            }
            Value::Hash(hash) => {
                let earliest = encoder.hash_header(out, &hash);
                State::Hash {
                    hash,
                    cursor: 0,
                    earliest,
                }
            }
            Value::Zset(zset) => {
                let left = zset.len();
                length(out, left as u64);
                State::Zset { zset, left }
            }
            Value::Stream(stream) => State::Stream {
                stream,
                steps: Steps::default(),
            },
            // Strings are compact.
            Value::String(_) => State::Done,
        }
    }
}

fn list_step(
    list: Box<List>,
    mut next_node: usize,
    encoder: &mut Encoder,
    out: &mut Vec<u8>,
    end: usize,
) -> State {
    for listpack in list.nodes_from(next_node) {
        encoder.list_node(out, listpack);
        next_node += 1;
        if out.len() >= end {
            break;
        }
    }
    if next_node >= list.node_count() {
        State::Done
    } else {
        State::List { list, next_node }
    }
}
