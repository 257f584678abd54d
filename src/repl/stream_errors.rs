//! Commands of the master's stream that fail here, and what is told of them.
//!
//! A command that fails on a replica and did not on its master would leave the two with different data. So, as
//! `replica-on-stream-error` says:
//!
//! - `stop`: the link ends before the command, and before the MULTI that it stands in: nothing of it is logged,
//!   acked or forwarded. The old data serves on. The next PSYNC names the same offset, ever more rarely.
//! - `resync`: as `stop`, but the position is given up, so that the next sync is a full one: at once after the first
//!   failure, then ever more rarely.
//! - `ignore`: it is passed over, as redis-server does, and the dataset is called diverged (`Stream::diverged`) until
//!   a full sync replaces it. A dump says so too, so that neither a restart nor a replica of this one loses it.
//!
//! What had been changed of a transaction is taken back. Where that can't be (see `command`'s part), the dataset is
//! called diverged as well, and the next sync is a full one whatever the setting.

use std::fmt::{self, Write};

use super::hub::Hub;
use super::stream_input::Ran;
use crate::config::OnStreamError;
use crate::text::printable::printable;

/// Bytes shown of a name, a key or an argument.
const ARGUMENT_SHOWN: usize = 48;
/// Arguments shown behind the name.
const ARGUMENTS_SHOWN: usize = 4;
/// Bytes shown of an error.
const ERROR_SHOWN: usize = 160;

/// A command of the stream that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamFailure {
    /// Bytes of the stream before it.
    pub(crate) offset: u64,
    /// Bytes of the stream before the transaction that it stands in.
    pub(crate) transaction: Option<u64>,
    /// Changes made by it, or before it by its transaction, that could not be taken back.
    pub(crate) half_applied: bool,
    /// The command, one line.
    what: String,
}

impl StreamFailure {
    /// `key`: the command's first key, if it is known which argument that is; `error`: an error reply's text.
    pub(crate) fn new<A: AsRef<[u8]>>(
        offset: u64,
        args: &[A],
        key: Option<&[u8]>,
        error: &[u8],
    ) -> StreamFailure {
        let mut what = String::new();
        let name = args.first().map_or(&b""[..], AsRef::as_ref);
        what.push_str(&shown(&name.to_ascii_uppercase(), ARGUMENT_SHOWN));
        match key {
            Some(key) => {
                let _ = write!(what, " of key \"{}\"", shown(key, ARGUMENT_SHOWN));
            }
            None => {
                let arguments = args.iter().skip(1);
                for argument in arguments.take(ARGUMENTS_SHOWN) {
                    let _ = write!(what, " \"{}\"", shown(argument.as_ref(), ARGUMENT_SHOWN));
                }
                if args.len() > 1 + ARGUMENTS_SHOWN {
                    let _ = write!(what, " ({} arguments)", args.len() - 1);
                }
            }
        }
        let _ = write!(what, ": {}", shown(error, ERROR_SHOWN));
        StreamFailure {
            offset,
            transaction: None,
            half_applied: false,
            what,
        }
    }

    /// Of a transaction that begins after so many bytes of the stream.
    pub(crate) fn inside(mut self, transaction: u64) -> StreamFailure {
        self.transaction = Some(transaction);
        self
    }
}

impl fmt::Display for StreamFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at offset {}", self.offset)?;
        if let Some(begin) = self.transaction {
            write!(f, " (in the transaction at {begin})")?;
        }
        write!(f, " {}", self.what)?;
        if self.half_applied {
            f.write_str(
                "; what was changed before it failed could not be taken back, so only a full sync is asked for",
            )?;
        }
        Ok(())
    }
}

/// What is to become of a command that failed, as `replica-on-stream-error` says; called inside its shards. Data that
/// is not the master's from here on is marked so in the hub.
pub(crate) fn judge(policy: OnStreamError, failure: StreamFailure, hub: &Hub) -> Ran {
    if failure.half_applied {
        hub.diverge(failure.transaction.unwrap_or(failure.offset));
        return Ran::Failed(Box::new(failure));
    }
    match policy {
        OnStreamError::Ignore => {
            hub.diverge(failure.transaction.unwrap_or(failure.offset));
            Ran::PassedOver(Box::new(failure))
        }
        OnStreamError::Stop | OnStreamError::Resync => Ran::Failed(Box::new(failure)),
    }
}

fn shown(bytes: &[u8], most: usize) -> String {
    match bytes.len() > most {
        true => printable(&bytes[..most]) + "...",
        false => printable(bytes),
    }
}

/// What is remembered of them, for INFO and EXPLAIN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamErrors {
    /// How many there were since the start, those of retries included.
    pub(crate) total: u64,
    /// The last one, and when it was, Unix ms.
    pub(crate) last: Option<(String, i64)>,
    lines: LineLimit,
}

impl StreamErrors {
    /// Counts one. What a log is to say of it, if it is not to be flooded.
    pub(crate) fn record(&mut self, text: &str, now_ms: i64) -> Option<String> {
        self.total += 1;
        self.last = Some((text.to_owned(), now_ms));
        self.line(text, now_ms)
    }

    /// As [`StreamErrors::record`], of one that doesn't count.
    pub(crate) fn line(&mut self, text: &str, now_ms: i64) -> Option<String> {
        self.lines.next(now_ms).map(|unsaid| match unsaid {
            0 => text.to_owned(),
            unsaid => format!("{text} (and {unsaid} others)"),
        })
    }
}

/// Lets some lines pass, and then one a second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct LineLimit {
    second: i64,
    said: u32,
    unsaid: u64,
}

impl LineLimit {
    /// Lines in one second.
    const BURST: u32 = 10;

    /// Whether a line may be said now: how many were not since the last one.
    fn next(&mut self, now_ms: i64) -> Option<u64> {
        let second = now_ms.div_euclid(1000);
        if second != self.second {
            self.second = second;
            self.said = match self.unsaid {
                0 => 0,
                _ => Self::BURST - 1,
            };
        }
        if self.said == Self::BURST {
            self.unsaid += 1;
            return None;
        }
        self.said += 1;
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_command_key_and_offset_in_one_bounded_line() {
        let failure = StreamFailure::new(
            1234,
            &["lpush", "k\r\nrole:master", "x"],
            Some(b"k\r\nrole:master"),
            b"WRONGTYPE Operation",
        );
        assert_eq!(
            failure.to_string(),
            r#"at offset 1234 LPUSH of key "k\r\nrole:master": WRONGTYPE Operation"#
        );
        let unknown = ["VADD", "k", "VALUES", "2", "1", "0", "e"];
        let failure = StreamFailure::new(7, &unknown, None, b"ERR unknown command").inside(3);
        assert_eq!(
            failure.to_string(),
            r#"at offset 7 (in the transaction at 3) VADD "k" "VALUES" "2" "1" (6 arguments): ERR unknown command"#
        );
        let long = vec![b'\n'; 1 << 20];
        let args = vec![&long[..]; 100];
        let failure = StreamFailure::new(7, &args, None, &long);
        assert!(failure.to_string().len() < 1200);
        assert!(!failure.to_string().contains('\n'));
    }

    #[test]
    fn a_flood_of_failures_is_a_line_a_second() {
        let mut errors = StreamErrors::default();
        let lines = |errors: &mut StreamErrors, from_ms: i64| {
            let all = (0..500).map(|n| errors.record("x", from_ms + n));
            all.flatten().collect::<Vec<_>>()
        };
        assert_eq!(lines(&mut errors, 5_000), ["x"; 10]);
        assert_eq!(lines(&mut errors, 6_000), ["x (and 490 others)"]);
        assert_eq!(lines(&mut errors, 7_000), ["x (and 499 others)"]);
        assert_eq!(errors.total, 1500);
        assert_eq!(errors.last, Some(("x".into(), 7_499)));
    }
}
