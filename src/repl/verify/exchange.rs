//! What a replica asks its master in a verification, and the answers, as they go over a connection.
//!
//! A question is a command, `REPLICATION DIGEST ...`; an answer is one bulk string, or an error. All numbers are little
//! endian. What doesn't parse is refused; the length of everything is bounded by what is asked for.

use super::report::take;
use crate::digest::comparison::RangeQuestion;
use crate::digest::{KeyDigest, KeyPlace, RangeDigest, Secret};
use crate::repl::replid::ReplId;
use crate::snapshot::digesting::HeldKey;

/// Keys of one answer, and bytes of their names, about.
const ANSWER_KEYS: usize = 4096;
const ANSWER_BYTES: usize = 256 << 10;

/// A question of the replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Cut, and take the digests of 2^`bits` ranges. Answered by [`Answer::Cut`].
    Open {
        /// The history that the replica follows.
        history: ReplId,
        secret: Secret,
        bits: u32,
        /// The replica as its master knows it: announced address (may be empty) and port.
        ip: String,
        port: u16,
    },
    /// Answered by [`Answer::Ranges`].
    Ranges {
        session: u64,
        question: RangeQuestion,
    },
    /// Cut again, and keep the digests of the keys of these ranges. Answered by [`Answer::Cut`].
    Narrow { session: u64, ranges: Vec<u32> },
    /// The keys from that one on. Answered by [`Answer::Keys`].
    Keys { session: u64, from: u64 },
    /// It is over; the report. Answered by [`Answer::Closed`].
    Close { session: u64, report: Vec<u8> },
}

/// An answer of the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is cut there.
    Cut {
        session: u64,
        offset: u64,
    },
    /// The walk is not through: ask again soon.
    Walking,
    Ranges(Vec<RangeDigest>),
    /// Some keys in the order of their places; none: there are no more.
    Keys(Vec<HeldKey>),
    /// There are more keys than can be held.
    TooMany,
    Closed,
}

impl Question {
    /// As a command.
    pub(crate) fn words(&self) -> Vec<Vec<u8>> {
        let number = |n: u64| n.to_string().into_bytes();
        let mut words = vec![b"REPLICATION".to_vec(), b"DIGEST".to_vec()];
        match self {
            Question::Open {
                history,
                secret,
                bits,
                ip,
                port,
            } => words.extend([
                b"OPEN".to_vec(),
                history.as_bytes().to_vec(),
                secret.to_bytes().to_vec(),
                number(u64::from(*bits)),
                ip.clone().into_bytes(),
                number(u64::from(*port)),
            ]),
            Question::Ranges { session, question } => words.extend(range_words(*session, question)),
            Question::Narrow { session, ranges } => {
                words.extend([b"NARROW".to_vec(), number(*session), pack(ranges)]);
            }
            Question::Keys { session, from } => {
                words.extend([b"KEYS".to_vec(), number(*session), number(*from)]);
            }
            Question::Close { session, report } => {
                words.extend([b"CLOSE".to_vec(), number(*session), report.clone()]);
            }
        }
        words
    }

    /// Reads what follows `REPLICATION DIGEST`. None: it is no question.
    pub(crate) fn parse(words: &[&[u8]]) -> Option<Question> {
        let (name, words) = words.split_first()?;
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        Some(match words {
            [history, secret, bits, ip, port] if is("OPEN") => Question::Open {
                history: ReplId::parse(history)?,
                secret: Secret::from_bytes(secret)?,
                bits: number(bits)?,
                ip: String::from_utf8(ip.to_vec()).ok()?,
                port: number(port)?,
            },
            [session, bits, to_bits, ranges] if is("RANGES") => Question::Ranges {
                session: number(session)?,
                question: range_question(bits, to_bits, ranges)?,
            },
            [session, ranges] if is("NARROW") => Question::Narrow {
                session: number(session)?,
                ranges: unpack(ranges)?,
            },
            [session, from] if is("KEYS") => Question::Keys {
                session: number(session)?,
                from: number(from)?,
            },
            [session, report] if is("CLOSE") => Question::Close {
                session: number(session)?,
                report: report.to_vec(),
            },
            _ => return None,
        })
    }
}

pub(crate) fn number<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// The words of a question about ranges, behind those of the command.
pub(crate) fn range_words(session: u64, question: &RangeQuestion) -> [Vec<u8>; 5] {
    let text = |n: u64| n.to_string().into_bytes();
    [
        b"RANGES".to_vec(),
        text(session),
        text(u64::from(question.bits)),
        text(u64::from(question.to_bits)),
        pack(&question.ranges),
    ]
}

pub(crate) fn range_question(bits: &[u8], to_bits: &[u8], ranges: &[u8]) -> Option<RangeQuestion> {
    Some(RangeQuestion {
        bits: number(bits)?,
        to_bits: number(to_bits)?,
        ranges: unpack(ranges)?,
    })
}

/// The answer to such a question.
pub(crate) fn pack_digests(digests: &[RangeDigest]) -> impl Iterator<Item = u8> + '_ {
    digests.iter().flat_map(|digest| digest.to_bytes())
}

pub(crate) fn unpack_digests(bytes: &[u8]) -> Option<Vec<RangeDigest>> {
    let (digests, []) = bytes.as_chunks::<{ RangeDigest::BYTES }>() else {
        return None;
    };
    Some(digests.iter().map(RangeDigest::from_bytes).collect())
}

pub(crate) fn pack(ranges: &[u32]) -> Vec<u8> {
    ranges
        .iter()
        .flat_map(|range| range.to_le_bytes())
        .collect()
}

pub(crate) fn unpack(bytes: &[u8]) -> Option<Vec<u32>> {
    let (numbers, []) = bytes.as_chunks::<4>() else {
        return None;
    };
    Some(numbers.iter().map(|n| u32::from_le_bytes(*n)).collect())
}

impl Answer {
    /// The keys of one answer: those from `from` on.
    pub(super) fn keys(all: &[HeldKey], from: u64) -> Answer {
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(all.len());
        let mut bytes = 0;
        let some = all[from..].iter().take(ANSWER_KEYS).take_while(|key| {
            let fits = bytes < ANSWER_BYTES;
            bytes += key.key.len();
            fits
        });
        Answer::Keys(some.cloned().collect())
    }

    /// As a bulk string's bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Answer::Cut { session, offset } => {
                out.push(b'C');
                out.extend_from_slice(&session.to_le_bytes());
                out.extend_from_slice(&offset.to_le_bytes());
            }
            Answer::Walking => out.push(b'W'),
            Answer::Ranges(digests) => {
                out.push(b'R');
                out.extend(pack_digests(digests));
            }
            Answer::Keys(keys) => {
                out.push(b'K');
                for key in keys {
                    out.extend_from_slice(&key.place.0.to_le_bytes());
                    out.extend_from_slice(&key.digest.0.to_le_bytes());
                    out.extend_from_slice(&(key.db as u32).to_le_bytes());
                    out.extend_from_slice(&(key.key.len() as u32).to_le_bytes());
                    out.extend_from_slice(&key.key);
                }
            }
            Answer::TooMany => out.push(b'M'),
            Answer::Closed => out.push(b'.'),
        }
        out
    }

    /// Reads an answer. None: it is none.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Answer> {
        let (kind, mut rest) = bytes.split_first()?;
        Some(match kind {
            b'C' => Answer::Cut {
                session: u64::from_le_bytes(take(&mut rest)?),
                offset: u64::from_le_bytes(take(&mut rest)?),
            },
            b'W' => Answer::Walking,
            b'R' => Answer::Ranges(unpack_digests(rest)?),
            b'K' => {
                let mut keys = Vec::new();
                while !rest.is_empty() {
                    let place = KeyPlace(u128::from_le_bytes(take(&mut rest)?));
                    let digest = KeyDigest(u128::from_le_bytes(take(&mut rest)?));
                    let db = u32::from_le_bytes(take(&mut rest)?) as usize;
                    let length = u32::from_le_bytes(take(&mut rest)?) as usize;
                    let (key, after) = rest.split_at_checked(length)?;
                    rest = after;
                    keys.push(HeldKey {
                        place,
                        digest,
                        db,
                        key: key.into(),
                    });
                }
                Answer::Keys(keys)
            }
            b'M' => Answer::TooMany,
            b'.' => Answer::Closed,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn held(n: u128) -> HeldKey {
        HeldKey {
            place: KeyPlace(n << 100),
            digest: KeyDigest(n),
            db: n as usize,
            key: format!("key:{n}").into_bytes().into(),
        }
    }

    #[test]
    fn questions_and_answers_are_read_as_they_were_written() {
        let clock = ManualClock::new(0, 1);
        let session = 7;
        let questions = [
            Question::Open {
                history: ReplId::random(&*clock),
                secret: Secret::random(&*clock),
                bits: 12,
                ip: "::1".into(),
                port: 6379,
            },
            Question::Ranges {
                session,
                question: RangeQuestion {
                    bits: 5,
                    to_bits: 10,
                    ranges: vec![0, 31, 7],
                },
            },
            Question::Narrow {
                session,
                ranges: vec![],
            },
            Question::Keys { session, from: 99 },
            Question::Close {
                session,
                report: vec![0, 255],
            },
        ];
        for question in questions {
            let words = question.words();
            let words: Vec<&[u8]> = words.iter().map(|w| &w[..]).collect();
            assert_eq!(Question::parse(&words[2..]), Some(question));
            assert_eq!(Question::parse(&words[2..words.len() - 1]), None);
        }
        let (sum, offset) = (5, 1 << 40);
        let answers = [
            Answer::Cut { session, offset },
            Answer::Walking,
            Answer::Ranges(vec![RangeDigest { sum, keys: 9 }; 3]),
            Answer::Keys((0..5).map(held).collect()),
            Answer::TooMany,
            Answer::Closed,
        ];
        for answer in answers {
            let bytes = answer.to_bytes();
            assert_eq!(Answer::parse(&bytes), Some(answer));
            if bytes.len() > 1 {
                assert_eq!(Answer::parse(&bytes[..bytes.len() - 1]), None);
            }
        }
        assert_eq!(Answer::parse(b""), None);
    }

    #[test]
    fn keys_come_in_portions() {
        let all: Vec<HeldKey> = (0..10_000).map(held).collect();
        let (mut from, mut portions) = (0, 0);
        loop {
            let Answer::Keys(some) = Answer::keys(&all, from) else {
                panic!("keys");
            };
            if some.is_empty() {
                break;
            }
            assert_eq!(some[..], all[from as usize..][..some.len()]);
            from += some.len() as u64;
            portions += 1;
        }
        assert_eq!((from, portions), (10_000, 3));
        assert_eq!(Answer::keys(&all, u64::MAX), Answer::Keys(vec![]));
    }
}
