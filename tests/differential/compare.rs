//! Whether two replies to the same command say the same.
//!
//! Most must be equal to the byte. What is random or unordered by nature is compared by what can be
//! compared ([`Mode`]); where Redis 7.2, which we follow, answers otherwise than the 7.0 beside us, or we
//! answer otherwise on purpose, the difference stands in [`KNOWN`], with its reason.

use std::collections::BTreeMap;

use crate::common::RawReply;
use crate::generator::Command;

/// How the replies to a command are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Exact,
    /// Numbers that are equal may be spelled differently: 7.0 prints doubles with 17 digits, 7.2 with as few
    /// as tell them apart.
    Scores,
    /// The order is the hash table's.
    Unordered,
    /// The same, in pairs.
    UnorderedPairs,
    /// Random: of the same kind and length.
    Shape,
    /// A cursor, which must be 0 on both sides for the elements to be compared.
    Scan,
    /// An integer that depends on the clock.
    Near(i64),
    /// How long entries have been pending depends on it, too.
    Pending,
    /// What XINFO says of how a stream is indexed is each server's own.
    StreamInfo,
}

fn mode(command: &Command) -> Mode {
    let has = |word: &[u8]| command.iter().any(|arg| arg.eq_ignore_ascii_case(word));
    let name = command[0].to_ascii_uppercase();
    match &name[..] {
        b"SMEMBERS" | b"SINTER" | b"SUNION" | b"SDIFF" | b"KEYS" | b"HKEYS" | b"HVALS" => {
            Mode::Unordered
        }
        b"HGETALL" => Mode::UnorderedPairs,
        b"SRANDMEMBER" | b"HRANDFIELD" | b"ZRANDMEMBER" | b"RANDOMKEY" => Mode::Shape,
        b"SSCAN" | b"HSCAN" | b"ZSCAN" => match command.get(2..5) {
            Some([cursor, _, count]) if cursor == b"0" && count == b"100000" => Mode::Scan,
            _ => Mode::Shape,
        },
        b"SORT" | b"SORT_RO" if has(b"BY") && !has(b"STORE") => match has(b"LIMIT") {
            true => Mode::Shape,
            false => Mode::Unordered,
        },
        b"SORT" | b"SORT_RO" => Mode::Exact,
        b"XPENDING" => Mode::Pending,
        b"XINFO" => Mode::StreamInfo,
        b"TTL" | b"EXPIRETIME" => Mode::Near(3),
        b"PTTL" | b"PEXPIRETIME" => Mode::Near(3000),
        [b'Z', ..] | [b'B', b'Z', ..] => Mode::Scores,
        _ => Mode::Exact,
    }
}

/// A place where replies may differ.
pub struct Known {
    pub reason: &'static str,
    /// Of the command, what Redis 7.0 says and what we say.
    applies: fn(&Command, &RawReply, &RawReply) -> bool,
}

/// Every difference that the stream can meet: first between 7.0, which is beside us, and 7.2, which we
/// follow; then our own, which the README names too. (What only 7.2 has is not in the stream: ZRANK and
/// ZREVRANK WITHSCORE.)
pub const KNOWN: &[Known] = &[
    Known {
        reason: "7.2: small sets of texts are listpacks",
        applies: |command, theirs, ours| encodings(command, theirs, ours, "hashtable", "listpack"),
    },
    Known {
        reason: "7.2: lists of one small node are listpacks",
        applies: |command, theirs, ours| encodings(command, theirs, ours, "quicklist", "listpack"),
    },
    Known {
        reason: "7.2: ZRANGESTORE by score or member makes a skiplist",
        applies: |command, theirs, ours| encodings(command, theirs, ours, "listpack", "skiplist"),
    },
    Known {
        reason: "7.2: OBJECT HELP's last line is worded otherwise",
        applies: |command, theirs, _| {
            let last = theirs.strings().pop().unwrap_or_default();
            is_object(command) && last == b"    Prints this help."
        },
    },
    Known {
        reason: "7.2: LPOS refuses the least rank",
        applies: |command, _, ours| {
            let refusal = b"value is out of range, value must between -9223372036854775807";
            command[0].eq_ignore_ascii_case(b"LPOS")
                && matches!(ours, RawReply::Error(text) if memchr::memmem::find(text, refusal).is_some())
        },
    },
    Known {
        reason: "7.2: XREAD names the command whose list of streams is unbalanced",
        applies: |_, theirs, ours| {
            let (theirs, ours) = (format!("{theirs:?}"), format!("{ours:?}"));
            theirs.contains("Unbalanced XREAD list") && ours.contains("Unbalanced \\'xread")
        },
    },
    Known {
        reason: "ours: SORT leaves a sorted set's encoding as it is",
        applies: |command, theirs, ours| encodings(command, theirs, ours, "skiplist", "listpack"),
    },
    Known {
        reason: "ours: INCRBYFLOAT's whole results are integers to OBJECT ENCODING",
        applies: |command, theirs, ours| encodings(command, theirs, ours, "embstr", "int"),
    },
    Known {
        reason: "ours: a short string that was edited is embedded again by RENAME, COPY and MOVE",
        applies: |command, theirs, ours| {
            encodings(command, theirs, ours, "raw", "embstr")
                || encodings(command, theirs, ours, "raw", "int")
        },
    },
    Known {
        reason: "ours: every small integer counts as shared to OBJECT REFCOUNT",
        applies: |command, theirs, ours| {
            let shared = RawReply::Int(i64::from(i32::MAX));
            is_object(command) && *theirs == RawReply::Int(1) && *ours == shared
        },
    },
    Known {
        reason: "ours: SORT ALPHA compares whole texts, not only up to a zero byte",
        applies: |command, theirs, ours| sorts_texts(command) && equal_to_zero_byte(theirs, ours),
    },
];

fn is_object(command: &Command) -> bool {
    command.len() > 1 && command[0].eq_ignore_ascii_case(b"OBJECT")
}

/// Whether the reply is a key's elements, in the order of their texts.
fn sorts_texts(command: &Command) -> bool {
    let has = |word: &[u8]| command.iter().any(|arg| arg.eq_ignore_ascii_case(word));
    let name = command[0].to_ascii_uppercase();
    (name == b"SORT" || name == b"SORT_RO")
        && has(b"ALPHA")
        && [&b"BY"[..], b"GET", b"STORE"].iter().all(|word| !has(word))
}

/// Whether the texts are in the same order as far as Redis compares them. Those that it finds equal stand as
/// its hash table has them.
fn equal_to_zero_byte(theirs: &RawReply, ours: &RawReply) -> bool {
    let parts = |reply: &RawReply| -> Vec<Vec<u8>> {
        let texts = reply.strings().into_iter();
        texts
            .map(|text| {
                text.split(|&byte| byte == 0)
                    .next()
                    .unwrap_or_default()
                    .to_vec()
            })
            .collect()
    };
    let parts = (parts(theirs), parts(ours));
    !parts.0.is_empty() && parts.0 == parts.1
}

/// Whether the command asks for an encoding, and these are the answers.
fn encodings(
    command: &Command,
    theirs: &RawReply,
    ours: &RawReply,
    their_name: &str,
    our_name: &str,
) -> bool {
    is_object(command)
        && command[1].eq_ignore_ascii_case(b"ENCODING")
        && theirs.bytes() == Some(their_name.as_bytes())
        && ours.bytes() == Some(our_name.as_bytes())
}

/// Judges replies, and counts the known differences.
#[derive(Debug, Default)]
pub struct Judge {
    /// How often each was met, by reason.
    pub known: BTreeMap<&'static str, usize>,
}

impl Judge {
    /// Whether the replies agree, or differ in a known way.
    pub fn agree(&mut self, command: &Command, theirs: &RawReply, ours: &RawReply) -> bool {
        if theirs == ours || by_mode(mode(command), theirs, ours) {
            return true;
        }
        let known = KNOWN
            .iter()
            .find(|known| (known.applies)(command, theirs, ours));
        if let Some(known) = known {
            *self.known.entry(known.reason).or_default() += 1;
        }
        known.is_some()
    }
}

fn by_mode(mode: Mode, theirs: &RawReply, ours: &RawReply) -> bool {
    match mode {
        Mode::Exact => false,
        Mode::Scores => same_scores(theirs, ours),
        Mode::Unordered => sorted(theirs) == sorted(ours),
        Mode::UnorderedPairs => sorted_pairs(theirs) == sorted_pairs(ours),
        Mode::Shape => same_shape(theirs, ours),
        Mode::Scan => same_scan(theirs, ours),
        Mode::Pending => without_idle_times(theirs) == without_idle_times(ours),
        Mode::StreamInfo => without_index(theirs) == without_index(ours),
        Mode::Near(most) => match (theirs.int(), ours.int()) {
            (Some(a @ 1..), Some(b @ 1..)) => a.abs_diff(b) <= most.unsigned_abs(),
            _ => false,
        },
    }
}

/// XPENDING's entries without the third of their four parts.
fn without_idle_times(reply: &RawReply) -> RawReply {
    let RawReply::Array(entries) = reply else {
        return reply.clone();
    };
    let entries = entries.iter().map(|entry| match entry {
        RawReply::Array(parts) if parts.len() == 4 => {
            let mut parts = parts.clone();
            parts.remove(2);
            RawReply::Array(parts)
        }
        other => other.clone(),
    });
    RawReply::Array(entries.collect())
}

/// XINFO's reply without how many nodes an index has and how many consumers there are: in 7.0 a claim of nothing makes
/// none.
fn without_index(reply: &RawReply) -> RawReply {
    let is_name =
        |part: &RawReply| matches!(part.bytes(), Some(b"radix-tree-nodes" | b"consumers"));
    match reply {
        RawReply::Array(parts) => {
            let follows = |at: usize| at > 0 && is_name(&parts[at - 1]);
            let kept = parts.iter().enumerate().filter(|(at, _)| !follows(*at));
            RawReply::Array(kept.map(|(_, part)| without_index(part)).collect())
        }
        RawReply::Map(pairs) => {
            let mut pairs = pairs.clone();
            pairs.retain(|(name, _)| !is_name(name));
            RawReply::Map(pairs)
        }
        other => other.clone(),
    }
}

/// Equal, but for the spelling of numbers.
pub fn same_scores(a: &RawReply, b: &RawReply) -> bool {
    let same_number = |a: &[u8], b: &[u8]| {
        let number = |text| std::str::from_utf8(text).ok()?.parse::<f64>().ok();
        number(a).is_some() && number(a) == number(b)
    };
    match (a, b) {
        (RawReply::Bulk(x), RawReply::Bulk(y)) => x == y || same_number(x, y),
        (RawReply::Double(x), RawReply::Double(y)) => same_number(x.as_bytes(), y.as_bytes()),
        (RawReply::Array(x), RawReply::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same_scores(x, y))
        }
        _ => a == b,
    }
}

fn sorted(reply: &RawReply) -> RawReply {
    let sort = |items: &[RawReply]| {
        let mut items = items.to_vec();
        items.sort();
        items
    };
    match reply {
        RawReply::Array(items) => RawReply::Array(sort(items)),
        RawReply::Set(items) => RawReply::Set(sort(items)),
        RawReply::Map(pairs) => {
            let mut pairs = pairs.clone();
            pairs.sort();
            RawReply::Map(pairs)
        }
        other => other.clone(),
    }
}

/// A flat array of pairs becomes a map, to be sorted by pair.
fn sorted_pairs(reply: &RawReply) -> RawReply {
    match reply {
        RawReply::Array(items) if items.len() % 2 == 0 => {
            let mut pairs: Vec<RawReply> = items
                .chunks(2)
                .map(|pair| RawReply::Array(pair.to_vec()))
                .collect();
            pairs.sort();
            RawReply::Array(pairs)
        }
        other => sorted(other),
    }
}

fn same_shape(a: &RawReply, b: &RawReply) -> bool {
    match (a, b) {
        (RawReply::Array(x), RawReply::Array(y)) => x.len() == y.len(),
        (RawReply::Bulk(_), RawReply::Bulk(_)) => true,
        _ => a == b,
    }
}

fn same_scan(a: &RawReply, b: &RawReply) -> bool {
    let parts = |reply: &RawReply| match reply {
        RawReply::Array(parts) => match &parts[..] {
            [cursor, elements] => Some((cursor.clone(), elements.clone())),
            _ => None,
        },
        _ => None,
    };
    match (parts(a), parts(b)) {
        (Some((cursor_a, a)), Some((cursor_b, b))) => {
            cursor_a == cursor_b
                && (sorted(&a) == sorted(&b) || same_scores(&sorted_pairs(&a), &sorted_pairs(&b)))
        }
        _ => false,
    }
}

#[test]
fn texts_with_zero_bytes_may_stand_in_another_order() {
    let texts = |texts: &[&[u8]]| {
        RawReply::Array(
            texts
                .iter()
                .map(|text| RawReply::Bulk(text.to_vec()))
                .collect(),
        )
    };
    let command = |words: &str| -> Command {
        words
            .split(' ')
            .map(|word| word.as_bytes().to_vec())
            .collect()
    };
    let agree = |words: &str, theirs: &[&[u8]], ours: &[&[u8]]| {
        Judge::default().agree(&command(words), &texts(theirs), &texts(ours))
    };
    let (theirs, ours): ([&[u8]; 3], [&[u8]; 3]) = ([b"\0b", b"\0a", b"c"], [b"\0a", b"\0b", b"c"]);
    assert!(agree("SORT_RO key ALPHA", &theirs, &ours));
    assert!(!agree("SORT_RO key ALPHA GET #", &theirs, &ours));
    assert!(!agree("LRANGE key 0 -1", &theirs, &ours));
    assert!(!agree("SORT key ALPHA", &[b"a", b"b"], &[b"b", b"a"]));
}
