//! The master's stream on its way in: cut into whole commands, which are run in order and logged as they came.
//!
//! What can't run now (a shard is busy, clients are paused) stays here with all that follows it, and is cut
//! and run again. Bytes of a command that is not whole yet wait as well. Bare line ends between commands are
//! signs of life and no part of the stream; anything else that isn't an array of bulk strings breaks it.

use bytes::{Buf, BytesMut};

use super::stream_errors::StreamFailure;
use crate::resp::request::{Batch, Limits, Parser};

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    Done,
    /// It can't run now; the owner knows why, and comes again.
    Later,
    /// It must not run as things are: the link has to end before it.
    Refused,
    /// It can't run on this node as it is set up; why. The link has to end before it.
    Impossible(String),
    /// It failed. The link has to end before it, and before the transaction that it stands in.
    Failed(Box<StreamFailure>),
    /// It failed, and is passed over (replica-on-stream-error ignore).
    PassedOver(Box<StreamFailure>),
}

/// Runs the commands of one batch.
pub(crate) trait StreamRunner {
    /// Runs the batch's command `index`. `raw`: the bytes to be logged with what it did, which may be later
    /// (at the end of a transaction), but before the shards are left.
    fn run(&mut self, index: usize, args: &[&[u8]], raw: &[u8]) -> Ran;
}

/// How a round of running went.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// Bytes that are done with.
    pub(crate) used: usize,
    /// Of these, bytes of the stream: without bare line ends.
    pub(crate) logged: u64,
    /// The next command would pass the allowance.
    pub(crate) held: bool,
    /// The master wants to know how far we are (GETACK).
    pub(crate) ack_wanted: bool,
    /// The stream can't be understood from here on; why.
    pub(crate) broken: Option<String>,
    /// A command could not run now.
    pub(crate) later: bool,
    /// A command must not run.
    pub(crate) refused: bool,
    /// A command can't run on this node; why.
    pub(crate) impossible: Option<String>,
    /// The command that failed.
    pub(crate) failed: Option<Box<StreamFailure>>,
    /// How many that failed were passed over, and the last of them.
    pub(crate) passed_over: u64,
    pub(crate) last_passed_over: Option<Box<StreamFailure>>,
}

impl Round {
    /// Whether nothing more may run.
    fn is_over(&self) -> bool {
        let is_down = self.broken.is_some() || self.impossible.is_some() || self.failed.is_some();
        self.later || self.refused || self.held || is_down
    }
}

/// Bytes received and not run yet.
#[derive(Debug, Default)]
pub(crate) struct StreamInput {
    bytes: BytesMut,
    parser: Parser,
    batch: Batch,
}

impl StreamInput {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes received and not run.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The connection is over: what did not run comes again.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.parser.reset();
    }

    /// Runs every whole command that has come, until one can't run, or would pass the allowance, in bytes of the
    /// stream. `with_batch` is given each batch, its bytes, and the work to be done with a runner for it.
    pub(crate) fn run(
        &mut self,
        allowance: u64,
        mut with_batch: impl FnMut(&Batch, &[u8], &mut dyn FnMut(&mut dyn StreamRunner)),
    ) -> Round {
        let limits = Limits {
            bulk_bytes_max: usize::MAX / 2,
            ..Limits::default()
        };
        let mut round = Round::default();
        while round.used < self.bytes.len() {
            let rest = &self.bytes[round.used..];
            let parsed = self.parser.parse(rest, &limits, &mut self.batch);
            let batch = &self.batch;
            let mut done = 0;
            with_batch(batch, rest, &mut |runner| {
                done = run_batch(batch, rest, allowance, runner, &mut round);
            });
            if round.is_over() {
                round.used += done;
                break;
            }
            round.used += batch.consumed();
            if let Err(error) = parsed {
                round.broken = Some(error.0);
                break;
            }
            if batch.wants_bytes() {
                break;
            }
        }
        self.bytes.advance(round.used);
        round
    }
}

/// The bytes up to the end of the last command that ran.
fn run_batch(
    batch: &Batch,
    bytes: &[u8],
    allowance: u64,
    runner: &mut dyn StreamRunner,
    round: &mut Round,
) -> usize {
    let mut done = 0;
    let mut args = Vec::new();
    for index in 0..batch.len() {
        let end = batch.end_of(index);
        let mut raw = &bytes[done..end];
        while let [b'\r' | b'\n', tail @ ..] = raw {
            raw = tail;
        }
        if raw.first() != Some(&b'*') {
            round.broken = Some("inline command in the stream".to_owned());
            break;
        }
        if round.logged + raw.len() as u64 > allowance {
            round.held = true;
            break;
        }
        batch.args(index, bytes, &mut args);
        round.ack_wanted |= is_getack(&args);
        match runner.run(index, &args, raw) {
            Ran::Done => {
                done = end;
                round.logged += raw.len() as u64;
            }
            Ran::Later => {
                round.later = true;
                break;
            }
            Ran::Refused => {
                round.refused = true;
                break;
            }
            Ran::Impossible(why) => {
                round.impossible = Some(why);
                break;
            }
            Ran::Failed(failure) => {
                round.failed = Some(failure);
                break;
            }
            Ran::PassedOver(failure) => {
                round.passed_over += 1;
                round.last_passed_over = Some(failure);
                done = end;
                round.logged += raw.len() as u64;
            }
        }
    }
    done
}

fn is_getack(args: &[&[u8]]) -> bool {
    args.len() == 3
        && args[0].eq_ignore_ascii_case(b"replconf")
        && args[1].eq_ignore_ascii_case(b"getack")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repl::wire;

    /// Keeps what ran; a command named LATER can't run while `busy`.
    #[derive(Default)]
    struct Kept {
        ran: Vec<String>,
        busy: bool,
    }

    impl StreamRunner for Kept {
        fn run(&mut self, _: usize, args: &[&[u8]], raw: &[u8]) -> Ran {
            if self.busy && args[0] == b"LATER" {
                return Ran::Later;
            }
            if args[0] == b"NEVER" {
                return Ran::Refused;
            }
            if args[0] == b"FAILS" {
                return Ran::Failed(Box::default());
            }
            if args[0] == b"PASSED" {
                return Ran::PassedOver(Box::default());
            }
            assert_eq!(raw[0], b'*');
            let name = String::from_utf8_lossy(args[0]);
            self.ran.push(format!("{name} {}", raw.len()));
            Ran::Done
        }
    }

    fn run(input: &mut StreamInput, kept: &mut Kept) -> Round {
        input.run(u64::MAX, |_, _, work| work(kept))
    }

    #[test]
    fn commands_run_when_whole_and_their_bytes_are_their_own() {
        let (mut input, mut kept) = (StreamInput::default(), Kept::default());
        input.push(b"\n\r\n*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPI");
        assert_eq!(run(&mut input, &mut kept).used, 17);
        assert_eq!(
            (input.len(), kept.ran.as_slice()),
            (10, &["PING 14".into()][..])
        );
        input.push(b"NG\r\n");
        input.push(wire::GETACK);
        let round = run(&mut input, &mut kept);
        assert!(round.ack_wanted && input.is_empty());
        assert_eq!(kept.ran[1..], ["PING 14", "REPLCONF 37"]);
    }

    #[test]
    fn what_can_not_run_now_is_kept_with_what_follows() {
        let (mut input, mut kept) = (StreamInput::default(), Kept::default());
        kept.busy = true;
        input.push(b"*1\r\n$4\r\nPING\r\n*1\r\n$5\r\nLATER\r\n*1\r\n$4\r\nPING\r\n");
        let round = run(&mut input, &mut kept);
        assert!(round.later && round.broken.is_none());
        assert_eq!((round.used, kept.ran.len()), (14, 1));
        kept.busy = false;
        assert!(!run(&mut input, &mut kept).later);
        assert_eq!(kept.ran, ["PING 14", "LATER 15", "PING 14"]);
    }

    #[test]
    fn no_command_passes_the_allowance_and_line_ends_do_not_count() {
        let (mut input, mut kept) = (StreamInput::default(), Kept::default());
        let ping = b"*1\r\n$4\r\nPING\r\n";
        input.push(&[ping, &b"\n\n"[..], ping, ping].concat());
        for (allowance, logged, left) in [(13, 0, 44), (0, 0, 44), (28, 28, 14), (13, 0, 14)] {
            let round = input.run(allowance, |_, _, work| work(&mut kept));
            assert!(round.held && !round.later, "{allowance}");
            assert_eq!((round.logged, input.len()), (logged, left), "{allowance}");
        }
        let round = input.run(14, |_, _, work| work(&mut kept));
        assert!(!round.held && input.is_empty());
        assert_eq!(kept.ran.len(), 3);
    }

    #[test]
    fn what_must_not_run_ends_the_round_before_it() {
        let (mut input, mut kept) = (StreamInput::default(), Kept::default());
        input.push(b"*1\r\n$4\r\nPING\r\n*1\r\n$5\r\nNEVER\r\n*1\r\n$4\r\nPING\r\n");
        let round = run(&mut input, &mut kept);
        assert!(round.refused && !round.later && round.broken.is_none());
        assert_eq!((round.used, kept.ran.len()), (14, 1));
    }

    #[test]
    fn what_fails_ends_the_round_before_it_or_is_passed_over() {
        let (mut input, mut kept) = (StreamInput::default(), Kept::default());
        input.push(
            b"*1\r\n$6\r\nPASSED\r\n*1\r\n$4\r\nPING\r\n*1\r\n$5\r\nFAILS\r\n*1\r\n$4\r\nPING\r\n",
        );
        let round = run(&mut input, &mut kept);
        assert!(round.failed.is_some() && round.passed_over == 1);
        assert!(round.last_passed_over.is_some() && !round.later);
        assert_eq!((round.used, kept.ran.len()), (30, 1));
    }

    #[test]
    fn what_is_no_command_breaks_the_stream_behind_what_ran() {
        for (bad, why) in [("SET a b\r\n", "inline"), ("*1\r\n+x\r\n", "expected '$'")] {
            let (mut input, mut kept) = (StreamInput::default(), Kept::default());
            input.push(b"*1\r\n$4\r\nPING\r\n");
            input.push(bad.as_bytes());
            let broken = run(&mut input, &mut kept).broken.unwrap();
            assert!(broken.contains(why), "{broken}");
            assert_eq!(kept.ran.len(), 1);
        }
    }
}
