//! What a verification found, as INFO, EXPLAIN and the log tell it, and as a replica tells its master.

use std::fmt;

use tracing::{info, warn};

use crate::text::printable::printable;

/// Keys that differ whose names are kept, for REPAIR; more are counted.
pub(crate) const NAMES_MAX: usize = 10_000;
/// Keys that differ that are shown.
pub(crate) const SHOWN_MAX: usize = 100;
/// Most bytes of names that a replica tells its master.
const TOLD_BYTES_MAX: usize = 1 << 20;
/// Longest text of a peer that is kept, bytes.
const TEXT_MAX: usize = 200;

/// How a key differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Both have it, with other content or another expiry.
    Content,
    OnlyMaster,
    OnlyReplica,
}

impl How {
    const ALL: [How; 3] = [How::Content, How::OnlyMaster, How::OnlyReplica];

    fn words(self) -> &'static str {
        match self {
            How::Content => "differs",
            How::OnlyMaster => "missing at the replica",
            How::OnlyReplica => "only at the replica",
        }
    }
}

/// A key that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DifferentKey {
    pub(crate) how: How,
    pub(crate) db: usize,
    pub(crate) key: Box<[u8]>,
}

impl fmt::Display for DifferentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = printable(self.key.get(..TEXT_MAX).unwrap_or(&self.key));
        write!(f, "db{} {name} {}", self.db, self.how.words())
    }
}

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    pub(crate) count: u64,
    /// There may be more: not all could be looked at.
    pub(crate) at_least: bool,
    /// The first of them.
    pub(crate) keys: Vec<DifferentKey>,
}

impl Differences {
    /// One more.
    pub(crate) fn add(&mut self, how: How, db: usize, key: &[u8]) {
        self.count += 1;
        if self.keys.len() < NAMES_MAX {
            let key = key.into();
            self.keys.push(DifferentKey { how, db, key });
        }
    }
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Equal,
    Differs(Differences),
    /// Nothing is known; why.
    Failed(String),
}

/// A verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// Whom with: `host:port`.
    pub(crate) peer: String,
    /// When it ended, Unix ms.
    pub(crate) at_ms: i64,
    pub(crate) took_ms: u64,
    /// Where both were in the stream.
    pub(crate) offset: u64,
    /// Keys compared: the most that either side has.
    pub(crate) keys: u64,
    pub(crate) outcome: Outcome,
}

impl Report {
    /// The outcome in one word, for INFO.
    pub(crate) fn result(&self) -> &'static str {
        match self.outcome {
            Outcome::Equal => "equal",
            Outcome::Differs(_) => "different",
            Outcome::Failed(_) => "failed",
        }
    }

    /// How many keys differ.
    pub(crate) fn differing(&self) -> u64 {
        match &self.outcome {
            Outcome::Differs(differences) => differences.count,
            _ => 0,
        }
    }

    /// Keys that differ, as far as their names are known.
    pub(crate) fn different_keys(&self) -> &[DifferentKey] {
        match &self.outcome {
            Outcome::Differs(differences) => &differences.keys,
            _ => &[],
        }
    }

    /// In one line.
    pub(crate) fn summary(&self) -> String {
        let at = format!(
            "at offset {}, {} keys in {} ms",
            self.offset, self.keys, self.took_ms
        );
        match &self.outcome {
            Outcome::Equal => format!("equal {at}"),
            Outcome::Differs(found) => {
                let least = if found.at_least { "at least " } else { "" };
                format!("different: {least}{} keys {at}", found.count)
            }
            Outcome::Failed(why) => format!("not known: {why}"),
        }
    }

    /// All that is shown of it: the summary, and the first keys.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{}: {}", self.peer, self.summary())];
        let shown = self.different_keys().iter().take(SHOWN_MAX);
        lines.extend(shown.map(|key| format!("  {key}")));
        let named = lines.len() as u64 - 1;
        if self.differing() > named {
            lines.push(format!("  and {} more", self.differing() - named));
        }
        lines
    }

    /// Logs it.
    pub(crate) fn log(&self) {
        for line in self.lines() {
            match self.outcome {
                Outcome::Equal => info!("Verification with {line}"),
                _ => warn!("Verification with {line}"),
            }
        }
    }

    /// As the replica tells its master. The peer and the time are the master's to know.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for n in [self.took_ms, self.offset, self.keys] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        match &self.outcome {
            Outcome::Equal => out.push(0),
            Outcome::Failed(why) => {
                out.push(1);
                out.extend_from_slice(why.as_bytes());
            }
            Outcome::Differs(found) => {
                out.push(2);
                out.push(u8::from(found.at_least));
                out.extend_from_slice(&found.count.to_le_bytes());
                for key in &found.keys {
                    if out.len() + key.key.len() > TOLD_BYTES_MAX {
                        break;
                    }
                    out.push(key.how as u8);
                    out.extend_from_slice(&(key.db as u32).to_le_bytes());
                    out.extend_from_slice(&(key.key.len() as u32).to_le_bytes());
                    out.extend_from_slice(&key.key);
                }
            }
        }
        out
    }

    /// Reads what a replica told. None: it is no report.
    pub(super) fn parse(mut bytes: &[u8], peer: String, at_ms: i64) -> Option<Report> {
        let mut number = || take(&mut bytes).map(u64::from_le_bytes);
        let (took_ms, offset, keys) = (number()?, number()?, number()?);
        let [kind] = take(&mut bytes)?;
        let outcome = match kind {
            0 => Outcome::Equal,
            1 => Outcome::Failed(printable(bytes.get(..TEXT_MAX).unwrap_or(bytes))),
            2 => {
                let [at_least] = take(&mut bytes)?;
                let count = u64::from_le_bytes(take(&mut bytes)?);
                let mut found = Differences::default();
                while !bytes.is_empty() && found.keys.len() < NAMES_MAX {
                    let [how] = take(&mut bytes)?;
                    let db = u32::from_le_bytes(take(&mut bytes)?) as usize;
                    let length = u32::from_le_bytes(take(&mut bytes)?) as usize;
                    let (key, rest) = bytes.split_at_checked(length)?;
                    bytes = rest;
                    found.add(*How::ALL.get(usize::from(how))?, db, key);
                }
                found.count = count;
                found.at_least = at_least != 0;
                Outcome::Differs(found)
            }
            _ => return None,
        };
        Some(Report {
            peer,
            at_ms,
            took_ms,
            offset,
            keys,
            outcome,
        })
    }
}

/// The next bytes of a message.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

/// The last report on each peer, the newest first.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    reports: Vec<Report>,
    /// Verifications since the start, and how many of them found a difference.
    pub(crate) total: u64,
    pub(crate) different: u64,
}

/// Peers whose last report is kept.
const PEERS_MAX: usize = 100;

impl Reports {
    pub(crate) fn add(&mut self, report: Report) {
        self.total += 1;
        self.different += u64::from(matches!(report.outcome, Outcome::Differs(_)));
        self.reports.retain(|old| old.peer != report.peer);
        self.reports.truncate(PEERS_MAX - 1);
        self.reports.insert(0, report);
    }

    pub(crate) fn all(&self) -> &[Report] {
        &self.reports
    }

    pub(crate) fn of(&self, peer: &str) -> Option<&Report> {
        self.reports.iter().find(|report| report.peer == peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcome: Outcome) -> Report {
        Report {
            peer: "a:1".into(),
            at_ms: 5,
            took_ms: 7,
            offset: 1234,
            keys: 99,
            outcome,
        }
    }

    fn different(count: usize) -> Report {
        let mut found = Differences::default();
        for n in 0..count {
            found.add(How::ALL[n % 3], n % 16, format!("key:{n}").as_bytes());
        }
        report(Outcome::Differs(found))
    }

    #[test]
    fn reports_are_read_as_they_were_told() {
        let failed = report(Outcome::Failed("the link went down".into()));
        for told in [report(Outcome::Equal), failed, different(3), different(200)] {
            let read = Report::parse(&told.to_bytes(), "a:1".into(), 5);
            assert_eq!(read, Some(told));
        }
        let bytes = different(3).to_bytes();
        for cut in 0..bytes.len() {
            // What is cut between two keys is a shorter report; nothing is read past the end.
            let _ = Report::parse(&bytes[..cut], "a:1".into(), 5);
        }
        assert_eq!(Report::parse(&[0; 10], "a:1".into(), 5), None);
        let mut how = bytes;
        how[24 + 10] = 9;
        assert_eq!(Report::parse(&how, "a:1".into(), 5), None);
    }

    #[test]
    fn many_keys_are_counted_and_the_first_are_named() {
        let report = different(NAMES_MAX + 7);
        assert_eq!(report.different_keys().len(), NAMES_MAX);
        assert_eq!(report.differing(), NAMES_MAX as u64 + 7);
        let lines = report.lines();
        assert_eq!(lines.len(), 1 + SHOWN_MAX + 1);
        assert!(lines[0].contains("different: 10007 keys at offset 1234"));
        assert_eq!(lines[2], "  db1 key:1 missing at the replica");
        assert_eq!(lines[101], format!("  and {} more", NAMES_MAX + 7 - 100));
        let told = Report::parse(&report.to_bytes(), "a:1".into(), 5).expect("a report");
        assert_eq!(told.differing(), report.differing());
    }

    #[test]
    fn the_last_report_on_each_peer_is_kept() {
        let mut reports = Reports::default();
        for n in 0..300 {
            let mut next = report(Outcome::Equal);
            next.peer = format!("a:{}", n % 150);
            reports.add(next);
        }
        reports.add(different(1));
        assert_eq!((reports.total, reports.different), (301, 1));
        assert_eq!(reports.all().len(), PEERS_MAX);
        assert_eq!(reports.all()[0].result(), "different");
        assert!(reports.of("a:149").is_some() && reports.of("a:3").is_none());
    }
}
