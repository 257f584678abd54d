//! Which of a command's arguments are keys: for entering shards, for COMMAND GETKEYS, for checks.
//!
//! Invariant for dispatch: a well-formed call's keys are all found. A malformed one may yield none; its
//! handler then refuses it before it looks at any key.

use smallvec::SmallVec;

use crate::table::Args;
use crate::table::spec::bits;
use crate::table::spec::{
    BeginSearch, CommandSpec, FindKeys, KeyFlags, KeySpec, Reach, SpecialKeys,
};
use crate::table::{Command, KeyPlan};
use crate::text::is_word;

/// A key among the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyPosition {
    /// Index into the arguments.
    pub(crate) index: usize,
    pub(crate) flags: KeyFlags,
}

/// Few commands have more than four keys.
pub(crate) type KeyPositions = SmallVec<[KeyPosition; 4]>;

/// The malformed call that key search gave up on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Command {
    /// Calls `f` with each key, in the order of the key specs.
    #[inline]
    pub(crate) fn for_each_key<'a>(&self, args: &Args<'a>, f: &mut impl FnMut(&'a [u8])) {
        self.for_each_key_index(args, |index| {
            if let Some(key) = args.get(index) {
                f(key);
            }
        });
    }

    /// Calls `f` with the index of each key, in the order of the key specs. Nothing is allocated for the
    /// common forms.
    #[inline]
    pub(crate) fn for_each_key_index(&self, args: &Args<'_>, mut f: impl FnMut(usize)) {
        match self.key_plan {
            KeyPlan::None => {}
            KeyPlan::First => {
                if args.len() > 1 {
                    f(1);
                }
            }
            KeyPlan::Range { first, last, step } => {
                let last = if last >= 0 {
                    last as usize
                } else {
                    match args.len().checked_sub(last.unsigned_abs() as usize) {
                        Some(last) => last,
                        None => return,
                    }
                };
                let mut index = first;
                while index <= last && index < args.len() {
                    f(index);
                    index += step;
                }
            }
            KeyPlan::Search => {
                for key in self.keys_of(args).unwrap_or_default() {
                    f(key.index);
                }
            }
        }
    }

    /// The keys with how each is used, as COMMAND GETKEYSANDFLAGS shows them.
    pub(crate) fn keys_of(&self, args: &Args<'_>) -> Result<KeyPositions, Malformed> {
        match self.spec.special_keys {
            SpecialKeys::Set => return Ok(set_keys(args)),
            SpecialKeys::Sort => return Ok(sort_keys(args)),
            SpecialKeys::Migrate => return Ok(migrate_keys(args)),
            SpecialKeys::Bitfield => return Ok(bitfield_keys(args)),
            SpecialKeys::GeoStore => return Ok(geo_store_keys(args)),
            SpecialKeys::Streams => return streams_keys(args, self.spec.keys),
            SpecialKeys::SortReadonly | SpecialKeys::None => {}
        }
        let mut found = KeyPositions::new();
        for key in self.spec.keys {
            if key.flags.has(bits::NOT_KEY) {
                continue;
            }
            match search(self.spec, key, args, &mut found) {
                Ok(()) => {}
                // SORT_RO's BY and GET patterns, which no rule tells.
                Err(Malformed) if self.spec.special_keys == SpecialKeys::SortReadonly => {}
                Err(Malformed) => return Err(Malformed),
            }
        }
        Ok(found)
    }

    /// Whether this call must enter every shard, not only those of its keys. Only SORT's answer depends on
    /// the arguments.
    #[inline]
    pub(crate) fn whole_keyspace(&self, args: &Args<'_>) -> bool {
        match self.spec.special_keys {
            SpecialKeys::Sort | SpecialKeys::SortReadonly => sort_reaches_out(args),
            _ => self.spec.reach != Reach::Keys,
        }
    }
}

/// Adds the keys that one rule finds.
fn search(
    spec: &CommandSpec,
    key: &KeySpec,
    args: &Args<'_>,
    found: &mut KeyPositions,
) -> Result<(), Malformed> {
    let count = args.len() as i64;
    let mut first = match key.begin {
        BeginSearch::Index(index) => index as i64,
        BeginSearch::Keyword {
            keyword,
            start_from,
        } => match keyword_position(args, keyword, start_from) {
            Some(index) => index as i64 + 1,
            None => return Ok(()),
        },
        BeginSearch::Unknown => return Err(Malformed),
    };
    let (last, step) = match key.find {
        FindKeys::Range {
            last_key,
            step,
            limit,
        } => {
            let last_key = i64::from(last_key);
            let last = if last_key >= 0 {
                first + last_key
            } else if limit == 0 {
                count + last_key
            } else {
                first + (count - first) / i64::from(limit) + last_key
            };
            (last, step)
        }
        FindKeys::Count {
            count_index,
            first_key,
            step,
        } => {
            let number = usize::try_from(first + i64::from(count_index))
                .ok()
                .and_then(|index| args.get(index))
                .and_then(|arg| crate::text::parse_int(arg))
                .filter(|n| (0..=count).contains(n))
                .ok_or(Malformed)?;
            first += i64::from(first_key);
            (first + number - 1, step)
        }
        FindKeys::Unknown => return Err(Malformed),
    };
    if last >= count || last < first || first >= count {
        return Err(Malformed);
    }
    debug_assert!(first > 0 && step > 0, "{}", spec.name);
    let mut index = first;
    while index <= last {
        found.push(KeyPosition {
            index: index as usize,
            flags: key.flags,
        });
        index += i64::from(step.max(1));
    }
    if key.flags.has(bits::INCOMPLETE) {
        return Err(Malformed);
    }
    Ok(())
}

/// Where a keyword stands: searched forwards from `start_from`, or backwards if that is negative.
fn keyword_position(args: &Args<'_>, keyword: &str, start_from: i32) -> Option<usize> {
    let is_it = |arg: &&[u8]| arg.eq_ignore_ascii_case(keyword.as_bytes());
    let offset = start_from.unsigned_abs() as usize;
    if start_from > 0 {
        let found = args.iter().skip(offset).position(is_it)?;
        Some(found + offset)
    } else {
        let end = (args.len() + 1).checked_sub(offset)?;
        args.get(..end)?
            .iter()
            .rposition(is_it)
            .filter(|index| *index >= 1)
    }
}

/// SET's key is also read if GET is given.
fn set_keys(args: &Args<'_>) -> KeyPositions {
    let mut found = KeyPositions::new();
    if args.len() > 1 {
        let reads = args.iter().skip(3).any(|arg| is_word(arg, "get"));
        let flags = if reads {
            bits::RW | bits::ACCESS | bits::UPDATE
        } else {
            bits::OW | bits::UPDATE
        };
        found.push(KeyPosition {
            index: 1,
            flags: KeyFlags(flags),
        });
    }
    found
}

/// BITFIELD's key, which is only read if there are nothing but GETs.
fn bitfield_keys(args: &Args<'_>) -> KeyPositions {
    let mut only_gets = true;
    let mut index = 2;
    while let Some(word) = args.get(index) {
        let takes = match word {
            w if is_word(w, "get") => 3,
            w if is_word(w, "overflow") => 2,
            _ => args.len(),
        };
        index += takes;
        only_gets &= index <= args.len();
    }
    let flags = match only_gets {
        true => bits::RO | bits::ACCESS,
        false => bits::RW | bits::ACCESS | bits::UPDATE,
    };
    let keys = (1..args.len().min(2)).map(|index| KeyPosition {
        index,
        flags: KeyFlags(flags),
    });
    keys.collect()
}

/// The source, and the destination of the last STORE or STOREDIST.
fn geo_store_keys(args: &Args<'_>) -> KeyPositions {
    let mut store = None;
    let mut index = 5;
    while let Some(word) = args.get(index) {
        if is_word(word, "store") || is_word(word, "storedist") {
            index += 1;
            store = Some(index).filter(|index| *index < args.len()).or(store);
        }
        index += 1;
    }
    let mut found = KeyPositions::new();
    if args.len() > 1 {
        found.push(KeyPosition {
            index: 1,
            flags: KeyFlags(bits::RO | bits::ACCESS),
        });
    }
    found.extend(store.map(|index| KeyPosition {
        index,
        flags: KeyFlags(bits::OW | bits::UPDATE),
    }));
    found
}

/// SORT's source, and the destination of the last STORE.
fn sort_keys(args: &Args<'_>) -> KeyPositions {
    let mut found = KeyPositions::new();
    if args.len() < 2 {
        return found;
    }
    found.push(KeyPosition {
        index: 1,
        flags: KeyFlags(bits::RO | bits::ACCESS),
    });
    let mut store = None;
    each_sort_option(args, |option, index| {
        if is_word(option, "store") {
            store = Some(index + 1);
        }
    });
    if let Some(index) = store.filter(|index| *index < args.len()) {
        found.push(KeyPosition {
            index,
            flags: KeyFlags(bits::OW | bits::UPDATE),
        });
    }
    found
}

/// MIGRATE's key, or those after KEYS; none where both are given, which is refused.
fn migrate_keys(args: &Args<'_>) -> KeyPositions {
    let mut keys = 3..args.len().min(4);
    let mut index = 6;
    while let Some(word) = args.get(index) {
        if is_word(word, "keys") {
            let alone = args[3].is_empty();
            keys = if alone { index + 1..args.len() } else { 0..0 };
            break;
        }
        index += match word {
            w if is_word(w, "auth") => 2,
            w if is_word(w, "auth2") => 3,
            _ => 1,
        };
    }
    keys.map(|index| KeyPosition {
        index,
        flags: KeyFlags(bits::RW | bits::ACCESS | bits::DELETE),
    })
    .collect()
}

/// The first half of what follows STREAMS, options before it stepped over with their values.
fn streams_keys(args: &Args<'_>, specs: &[KeySpec]) -> Result<KeyPositions, Malformed> {
    let mut index = 1;
    while let Some(word) = args.get(index) {
        index += match word {
            w if is_word(w, "streams") => break,
            w if is_word(w, "block") || is_word(w, "count") => 2,
            w if is_word(w, "group") => 3,
            w if is_word(w, "noack") => 1,
            _ => return Err(Malformed),
        };
    }
    let rest = args.len().saturating_sub(index + 1);
    if rest == 0 || rest % 2 == 1 {
        return Err(Malformed);
    }
    let flags = specs.first().map_or(KeyFlags(0), |spec| spec.flags);
    let keys = index + 1..index + 1 + rest / 2;
    Ok(keys.map(|index| KeyPosition { index, flags }).collect())
}

/// Whether SORT looks at keys named by what it sorts.
fn sort_reaches_out(args: &Args<'_>) -> bool {
    let mut out = false;
    each_sort_option(args, |option, index| {
        if let Some(pattern) = args.get(index + 1) {
            out |= (is_word(option, "by") || is_word(option, "get"))
                && memchr::memchr(b'*', pattern).is_some();
        }
    });
    out
}

/// Calls `f` with each option word of a SORT and its index, stepping over the options' values.
fn each_sort_option(args: &Args<'_>, mut f: impl FnMut(&[u8], usize)) {
    let mut index = 2;
    while let Some(arg) = args.get(index) {
        f(arg, index);
        index += match arg {
            a if is_word(a, "limit") => 3,
            a if is_word(a, "by") || is_word(a, "get") || is_word(a, "store") => 2,
            _ => 1,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::CommandTable;

    fn keys(line: &str) -> Result<Vec<usize>, Malformed> {
        let table = CommandTable::new();
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let command = table.find(&args).expect("in the table");
        let mut quick = Vec::new();
        command.for_each_key_index(&args, |index| quick.push(index));
        let slow = command.keys_of(&args);
        if let Ok(slow) = &slow {
            let slow: Vec<usize> = slow.iter().map(|k| k.index).collect();
            assert_eq!(quick, slow, "{line}");
        }
        slow.map(|_| quick)
    }

    #[test]
    fn keys_are_where_the_specs_say() {
        assert_eq!(keys("get a"), Ok(vec![1]));
        assert_eq!(keys("mset a 1 b 2"), Ok(vec![1, 3]));
        assert_eq!(keys("blpop a b c 0"), Ok(vec![1, 2, 3]));
        assert_eq!(keys("rename a b"), Ok(vec![1, 2]));
        assert_eq!(keys("migrate h 1 k 0 9"), Ok(vec![3]));
        assert_eq!(keys("migrate h 1  0 9 copy keys a b"), Ok(vec![8, 9]));
        assert_eq!(keys("migrate h 1  0 9 auth keys keys a"), Ok(vec![9]));
        // Both a key and KEYS: refused.
        assert_eq!(keys("migrate h 1 k 0 9 keys a"), Ok(vec![]));
        assert_eq!(keys("blmpop 0 2 a b left"), Ok(vec![3, 4]));
        assert_eq!(keys("zunionstore d 2 a b weights 1 2"), Ok(vec![1, 3, 4]));
        assert_eq!(keys("zunionstore d 5 a b"), Err(Malformed));
        assert_eq!(keys("zunionstore d x a b"), Err(Malformed));
        assert_eq!(keys("zunionstore d -1 a b"), Err(Malformed));
        assert_eq!(
            keys("zunionstore d 9223372036854775807 a b"),
            Err(Malformed)
        );
        assert_eq!(keys("object encoding a"), Ok(vec![2]));
        assert_eq!(keys("ssubscribe a"), Ok(vec![]));
        assert_eq!(keys("set a b get"), Ok(vec![1]));
        assert_eq!(keys("xread count 1 streams a b 0 0"), Ok(vec![4, 5]));
        assert_eq!(
            keys("xreadgroup count 1 group streams streams noack streams a >"),
            Ok(vec![8])
        );
        assert_eq!(keys("xread streams a b 0"), Err(Malformed));
        assert_eq!(keys("xread count streams a 0"), Err(Malformed));
        assert_eq!(keys("xgroup create a g 0"), Ok(vec![2]));
    }

    #[test]
    fn the_last_store_of_georadius_counts() {
        assert_eq!(keys("georadius k 1 2 3 m"), Ok(vec![1]));
        assert_eq!(keys("georadius k 1 2 3 m store"), Ok(vec![1]));
        assert_eq!(keys("georadius k 1 2 3 m store a"), Ok(vec![1, 7]));
        let twice = "georadiusbymember k store 3 m STORE store storedist b store c";
        assert_eq!(keys(twice), Ok(vec![1, 10]));
        assert_eq!(keys("georadius_ro k 1 2 3 m store a"), Ok(vec![1]));
    }

    #[test]
    fn bitfield_may_only_read() {
        let table = CommandTable::new();
        for (line, reads) in [
            ("bitfield k", true),
            ("bitfield k get u8 0 OVERFLOW fail GET i4 2", true),
            ("bitfield k get u8", false),
            ("bitfield k get u8 0 set u8 0 1", false),
            ("bitfield k x", false),
        ] {
            let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let command = table.find(&args).expect("in the table");
            let found = command.keys_of(&args).expect("well-formed");
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].flags.has(bits::RO), reads, "{line}");
        }
    }

    #[test]
    fn the_last_store_of_sort_counts() {
        assert_eq!(keys("sort a"), Ok(vec![1]));
        assert_eq!(
            keys("sort a by store limit 0 1 store x store y"),
            Ok(vec![1, 10])
        );
        assert_eq!(keys("sort a store"), Ok(vec![1]));
        assert_eq!(keys("sort_ro a by w_* get #"), Ok(vec![1]));
    }

    #[test]
    fn sort_by_pattern_reaches_every_shard() {
        let reaches = |line: &str| {
            let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            sort_reaches_out(&args)
        };
        assert!(reaches("sort a by w_*"));
        assert!(reaches("sort a get # get x_*->f"));
        assert!(!reaches("sort a by nosort get #"));
        assert!(!reaches("sort a limit by w_* store d"));
    }
}
