//! The simulation's data: a few small databases and a fingerprint.
//!
//! The fingerprint is a running hash over every write in order, so two datasets have equal fingerprints only
//! if the same writes made them: stronger than equal contents, and cheap to compare.

use std::collections::BTreeMap;

/// Databases of a simulated node.
pub(super) const DATABASES: usize = 3;

/// What a dump holds: the data, the database that the stream has selected, and from which offset on the data is not
/// what the stream says.
pub(super) type Image = (Dataset, Option<usize>, Option<u64>);

/// A model of what a node holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Dataset {
    pub(crate) databases: [BTreeMap<u8, u64>; DATABASES],
    pub(crate) fingerprint: u64,
}

impl Dataset {
    pub(super) fn is_empty(&self) -> bool {
        self.databases.iter().all(BTreeMap::is_empty)
    }

    pub(super) fn keys(&self) -> usize {
        self.databases.iter().map(BTreeMap::len).sum()
    }

    /// Whether it fits into so many databases.
    pub(super) fn fits(&self, databases: usize) -> bool {
        self.databases
            .iter()
            .skip(databases)
            .all(BTreeMap::is_empty)
    }

    pub(super) fn set(&mut self, db: usize, key: u8, value: u64) {
        self.databases[db].insert(key, value);
        let mut mixed = self.fingerprint ^ 0x9e37_79b9_7f4a_7c15;
        for word in [db as u64, u64::from(key), value] {
            mixed = (mixed ^ word)
                .wrapping_mul(0xff51_afd7_ed55_8ccd)
                .rotate_left(29);
        }
        self.fingerprint = mixed;
    }

    /// Gives a key that state, or takes it away, as if it had always been so.
    pub(super) fn repair(&mut self, db: usize, key: u8, state: Option<u64>) {
        match state {
            Some(value) => self.databases[db].insert(key, value),
            None => self.databases[db].remove(&key),
        };
    }

    /// The dump, with what it says of the stream, see [`Image`].
    pub(super) fn dump(&self, selected: Option<usize>, diverged: Option<u64>) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.fingerprint.to_le_bytes());
        out.push(selected.map_or(255, |db| db as u8));
        out.extend_from_slice(&diverged.unwrap_or(u64::MAX).to_le_bytes());
        for database in &self.databases {
            out.push(database.len() as u8);
            for (key, value) in database {
                out.push(*key);
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
        out.push(0x5a);
        out
    }

    /// What a dump holds; None if it is broken.
    pub(super) fn load(mut dump: &[u8]) -> Option<Image> {
        let input = &mut dump;
        let mut data = Dataset {
            fingerprint: u64::from_le_bytes(take(input)?),
            ..Dataset::default()
        };
        let [selected] = take(input)?;
        let diverged = Some(u64::from_le_bytes(take(input)?)).filter(|at| *at != u64::MAX);
        for database in &mut data.databases {
            let [count] = take(input)?;
            for _ in 0..count {
                let [key] = take(input)?;
                database.insert(key, u64::from_le_bytes(take(input)?));
            }
        }
        let selected = (usize::from(selected) < DATABASES).then_some(usize::from(selected));
        (*input == [0x5a]).then_some((data, selected, diverged))
    }
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*head)
}

/// Cuts one command off the front: its arguments and its length, or None if it isn't complete. Bare line
/// ends are skipped as commands without arguments.
pub(super) fn parse_command(bytes: &[u8]) -> Option<(Vec<&[u8]>, usize)> {
    fn line(bytes: &[u8], from: usize) -> Option<(&[u8], usize)> {
        let at = memchr::memchr(b'\n', bytes.get(from..)?)? + from;
        let text = &bytes[from..at];
        Some((text.strip_suffix(b"\r").unwrap_or(text), at + 1))
    }
    fn number(text: &[u8]) -> Option<usize> {
        std::str::from_utf8(text.get(1..)?).ok()?.parse().ok()
    }
    let (head, mut at) = line(bytes, 0)?;
    if head.is_empty() {
        return Some((Vec::new(), at));
    }
    if head[0] != b'*' {
        return Some((head.split(|b| *b == b' ').collect(), at));
    }
    let mut args = Vec::new();
    for _ in 0..number(head)? {
        let (size, start) = line(bytes, at)?;
        let size = number(size)?;
        args.push(bytes.get(start..start + size)?);
        at = start + size + 2;
        if bytes.len() < at {
            return None;
        }
    }
    Some((args, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumps_round_trip_and_cut_ones_are_refused() {
        let mut data = Dataset::default();
        data.set(0, 1, 10);
        data.set(2, 3, 30);
        let dump = data.dump(Some(2), Some(7));
        assert_eq!(Dataset::load(&dump), Some((data, Some(2), Some(7))));
        for n in 0..dump.len() {
            assert_eq!(Dataset::load(&dump[..n]), None);
        }
    }

    #[test]
    fn order_matters_to_the_fingerprint() {
        let (mut a, mut b) = (Dataset::default(), Dataset::default());
        a.set(0, 1, 1);
        a.set(0, 2, 2);
        b.set(0, 2, 2);
        b.set(0, 1, 1);
        assert_eq!(a.databases, b.databases);
        assert_ne!(a.fingerprint, b.fingerprint);
    }

    #[test]
    fn commands_are_cut_at_their_ends() {
        let bytes = b"*2\r\n$3\r\nSET\r\n$1\r\nx\r\n\nSYNC\r\n";
        let (args, n) = parse_command(bytes).unwrap();
        assert_eq!((args, n), (vec![b"SET".as_slice(), b"x"], 20));
        assert!(parse_command(&bytes[..19]).is_none());
        assert_eq!(parse_command(&bytes[20..]).unwrap(), (vec![], 1));
        assert_eq!(
            parse_command(&bytes[21..]).unwrap(),
            (vec![b"SYNC".as_slice()], 6)
        );
    }
}
