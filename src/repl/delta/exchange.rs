//! What a replica asks in a delta resync, and the answers, as they go over a connection. As `verify::exchange`.

use crate::digest::comparison::RangeQuestion;
use crate::digest::{KeyDigest, KeyPlace, RangeDigest, Secret};
use crate::repl::replid::ReplId;
use crate::repl::verify::exchange::{
    number, pack, pack_digests, range_question, range_words, unpack, unpack_digests,
};
use crate::repl::verify::report::take;

/// A key's place and digest, half of each: enough within one range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ShortKey {
    pub(crate) place: u64,
    pub(crate) digest: u64,
}

impl ShortKey {
    const BYTES: usize = 16;

    pub(crate) fn of(place: KeyPlace, digest: KeyDigest) -> ShortKey {
        ShortKey {
            place: ShortKey::place_of(place),
            digest: digest.0 as u64,
        }
    }

    /// The part of a place that orders keys and has the range.
    pub(crate) fn place_of(place: KeyPlace) -> u64 {
        (place.0 >> 64) as u64
    }

    fn to_bytes(self) -> [u8; ShortKey::BYTES] {
        (u128::from(self.place) << 64 | u128::from(self.digest)).to_le_bytes()
    }

    fn from_bytes(bytes: &[u8; ShortKey::BYTES]) -> ShortKey {
        let both = u128::from_le_bytes(*bytes);
        ShortKey {
            place: (both >> 64) as u64,
            digest: both as u64,
        }
    }
}

/// A question of the replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Cut, and take the digests of 2^`bits` ranges. Answered by [`Answer::Cut`].
    Open { secret: Secret, bits: u32 },
    /// Answered by [`Answer::Ranges`].
    Ranges {
        session: u64,
        question: RangeQuestion,
    },
    /// Keys of the replica. Answered by [`Answer::Taken`].
    Have { session: u64, keys: Vec<ShortKey> },
    /// Cut again, and make the patch. Answered by [`Answer::Cut`].
    Cut { session: u64, ranges: Vec<u32> },
    /// The patch from that byte on. Answered by [`Answer::Patch`].
    Patch { session: u64, from: u64 },
}

/// An answer of the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is cut there.
    Cut {
        session: u64,
        history: ReplId,
        offset: u64,
    },
    /// The walk is not through: ask again soon.
    Walking,
    Ranges(Vec<RangeDigest>),
    Taken,
    /// Some bytes; none: that was all.
    Patch(Vec<u8>),
}

/// Bytes of one answer.
pub(super) const ANSWER_BYTES: usize = 512 << 10;

impl Question {
    /// As a command.
    pub(crate) fn words(&self) -> Vec<Vec<u8>> {
        let text = |n: u64| n.to_string().into_bytes();
        let mut words = vec![b"REPLICATION".to_vec(), b"DELTA".to_vec()];
        match self {
            Question::Open { secret, bits } => words.extend([
                b"OPEN".to_vec(),
                secret.to_bytes().to_vec(),
                text(u64::from(*bits)),
            ]),
            Question::Ranges { session, question } => words.extend(range_words(*session, question)),
            Question::Have { session, keys } => {
                let keys = keys.iter().flat_map(|key| key.to_bytes()).collect();
                words.extend([b"HAVE".to_vec(), text(*session), keys]);
            }
            Question::Cut { session, ranges } => {
                words.extend([b"CUT".to_vec(), text(*session), pack(ranges)]);
            }
            Question::Patch { session, from } => {
                words.extend([b"PATCH".to_vec(), text(*session), text(*from)]);
            }
        }
        words
    }

    /// Reads what follows `REPLICATION DELTA`. None: it is no question.
    pub(crate) fn parse(words: &[&[u8]]) -> Option<Question> {
        let (name, words) = words.split_first()?;
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        Some(match words {
            [secret, bits] if is("OPEN") => Question::Open {
                secret: Secret::from_bytes(secret)?,
                bits: number(bits)?,
            },
            [session, bits, to_bits, ranges] if is("RANGES") => Question::Ranges {
                session: number(session)?,
                question: range_question(bits, to_bits, ranges)?,
            },
            [session, keys] if is("HAVE") => {
                let (keys, []) = keys.as_chunks::<{ ShortKey::BYTES }>() else {
                    return None;
                };
                Question::Have {
                    session: number(session)?,
                    keys: keys.iter().map(ShortKey::from_bytes).collect(),
                }
            }
            [session, ranges] if is("CUT") => Question::Cut {
                session: number(session)?,
                ranges: unpack(ranges)?,
            },
            [session, from] if is("PATCH") => Question::Patch {
                session: number(session)?,
                from: number(from)?,
            },
            _ => return None,
        })
    }
}

impl Answer {
    /// As a bulk string's bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Answer::Cut {
                session,
                history,
                offset,
            } => {
                out.push(b'C');
                out.extend_from_slice(&session.to_le_bytes());
                out.extend_from_slice(&offset.to_le_bytes());
                out.extend_from_slice(history.as_bytes());
            }
            Answer::Walking => out.push(b'W'),
            Answer::Ranges(digests) => {
                out.push(b'R');
                out.extend(pack_digests(digests));
            }
            Answer::Taken => out.push(b'.'),
            Answer::Patch(bytes) => {
                out.push(b'P');
                out.extend_from_slice(bytes);
            }
        }
        out
    }

    /// Reads an answer. None: it is none.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Answer> {
        let (kind, rest) = bytes.split_first()?;
        Some(match kind {
            b'C' => {
                let (session, rest) = rest.split_first_chunk()?;
                let (offset, history) = rest.split_first_chunk()?;
                Answer::Cut {
                    session: u64::from_le_bytes(*session),
                    offset: u64::from_le_bytes(*offset),
                    history: ReplId::parse(history)?,
                }
            }
            b'W' => Answer::Walking,
            b'R' => Answer::Ranges(unpack_digests(rest)?),
            b'.' => Answer::Taken,
            b'P' => Answer::Patch(rest.to_vec()),
            _ => return None,
        })
    }
}

/// What is to go from the replica's data; a dump of what is to come follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drops {
    /// Keys that the replica told, by their places.
    pub(crate) places: Vec<u64>,
    /// Keys that it may have, with their databases.
    pub(crate) names: Vec<(usize, Box<[u8]>)>,
}

impl Drops {
    /// In front of the dump.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&(self.places.len() as u32).to_le_bytes());
        for place in &self.places {
            out.extend_from_slice(&place.to_le_bytes());
        }
        out.extend_from_slice(&(self.names.len() as u32).to_le_bytes());
        for (db, key) in &self.names {
            out.extend_from_slice(&(*db as u32).to_le_bytes());
            out.extend_from_slice(&(key.len() as u32).to_le_bytes());
            out.extend_from_slice(key);
        }
        out
    }

    /// Reads them; the rest is the dump. None: they are cut off.
    pub(crate) fn parse(mut bytes: &[u8]) -> Option<(Drops, &[u8])> {
        let mut drops = Drops::default();
        for _ in 0..u32::from_le_bytes(take(&mut bytes)?) {
            drops.places.push(u64::from_le_bytes(take(&mut bytes)?));
        }
        for _ in 0..u32::from_le_bytes(take(&mut bytes)?) {
            let db = u32::from_le_bytes(take(&mut bytes)?) as usize;
            let length = u32::from_le_bytes(take(&mut bytes)?) as usize;
            let (key, rest) = bytes.split_at_checked(length)?;
            bytes = rest;
            drops.names.push((db, key.into()));
        }
        Some((drops, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn questions_answers_and_drops_are_read_as_they_were_written() {
        let clock = ManualClock::new(0, 1);
        let (session, history) = (7, ReplId::random(&*clock));
        let (secret, bits) = (Secret::random(&*clock), 9);
        let key = |place, digest| ShortKey { place, digest };
        let question = RangeQuestion {
            bits: 0,
            to_bits: 5,
            ranges: vec![0],
        };
        let keys = vec![key(1, u64::MAX), key(u64::MAX, 2)];
        for question in [
            Question::Open { secret, bits },
            Question::Ranges { session, question },
            Question::Have { session, keys },
            Question::Cut {
                session,
                ranges: vec![3, 9],
            },
            Question::Patch { session, from: 99 },
        ] {
            let words = question.words();
            let words: Vec<&[u8]> = words.iter().map(|w| &w[..]).collect();
            assert_eq!(Question::parse(&words[2..]), Some(question));
            assert_eq!(Question::parse(&words[2..words.len() - 1]), None);
        }
        let offset = 1 << 40;
        for answer in [
            Answer::Cut {
                session,
                history,
                offset,
            },
            Answer::Walking,
            Answer::Ranges(vec![RangeDigest { sum: 4, keys: 9 }; 3]),
            Answer::Taken,
            Answer::Patch(vec![0, 1, 2]),
        ] {
            assert_eq!(Answer::parse(&answer.to_bytes()), Some(answer));
        }
        let drops = Drops {
            places: vec![1, u64::MAX],
            names: vec![(3, b"key".as_slice().into()), (0, b"".as_slice().into())],
        };
        let bytes = [drops.to_bytes(), b"dump".to_vec()].concat();
        assert_eq!(Drops::parse(&bytes), Some((drops, &b"dump"[..])));
        for cut in 0..bytes.len() - 4 {
            assert_eq!(Drops::parse(&bytes[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn short_keys_are_in_the_order_of_places() {
        let (low, high) = (KeyPlace(1 << 100), KeyPlace(1 << 120));
        let short = |place| ShortKey::of(place, KeyDigest(5));
        assert!(low < high && short(low) < short(high));
    }
}
