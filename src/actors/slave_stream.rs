//! The part of a [`SlaveLinkActor`] that applies the master's stream: whole commands, in order, through
//! dispatch, which logs each command's bytes as they came. A busy shard ends a round; what was not applied is
//! kept and run again.

use bytes::{Buf, BytesMut};

use super::slave_link::SlaveLinkActor;
use crate::command::Context as CommandContext;
use crate::command::dispatch::{self, Outcome};
use crate::keyspace::ShardSet;
use crate::resp::request::Limits;

impl SlaveLinkActor {
    /// Applies every whole command that has come, in order, until a shard is busy.
    pub(super) fn apply(&mut self) {
        if self.input.is_empty() || self.busy.is_some() || self.epoch != self.node.hub.epoch() {
            return;
        }
        let node = self.node.clone();
        let settings = node.settings.load();
        let limits = Limits {
            bulk_bytes_max: usize::MAX / 2,
            ..Limits::default()
        };
        let input = std::mem::take(&mut self.input);
        let mut used = 0;
        let mut asked = false;
        let mut broken = None;
        while used < input.len() && self.busy.is_none() && broken.is_none() {
            let rest = &input[used..];
            let parsed = self.parser.parse(rest, &limits, &mut self.batch);
            let count = self.batch.len();
            let mut args = Vec::new();
            let mut ctx = CommandContext::new(
                &node,
                &settings,
                &mut self.session,
                &mut self.reply,
                &mut self.effects,
            );
            let mut done = 0;
            for index in 0..count {
                ctx.look_ahead(&self.batch, index, rest);
                let end = self.batch.end_of(index);
                let mut raw = &rest[done..end];
                // Bare line ends between commands are signs of life, not part of the stream.
                while let [b'\r' | b'\n', tail @ ..] = raw {
                    raw = tail;
                }
                if raw.first() != Some(&b'*') {
                    broken = Some("inline command in the stream".to_owned());
                    break;
                }
                self.batch.args(index, rest, &mut args);
                asked |= is_getack(&args);
                let outcome = dispatch::run_from_master(&mut ctx, &args, raw);
                if ctx.reply.buf.first() == Some(&b'-') {
                    complain(&args, &ctx.reply.buf);
                    node.stats.unexpected_error_replies.inc();
                }
                ctx.reply.buf.clear();
                match outcome {
                    Outcome::Busy(set) => {
                        self.busy = Some(set);
                        break;
                    }
                    Outcome::Paused => {
                        self.busy = Some(ShardSet::NONE);
                        self.paused = true;
                        break;
                    }
                    _ => done = end,
                }
            }
            ctx.finish();
            drop(args);
            if self.busy.is_some() || broken.is_some() {
                used += done;
                self.parser.reset();
                break;
            }
            used += self.batch.consumed();
            if let Err(error) = parsed {
                broken = Some(error.0);
                break;
            }
            if count == 0 || count < limits.commands_max {
                break;
            }
        }
        self.input = input;
        self.input.advance(used);
        if used > 0 {
            node.hub.wake();
        }
        if asked {
            // The asking itself is acknowledged too: a failover waits for an ack of every last byte.
            ack(&mut self.output, node.hub.offset());
        }
        if let Some(error) = broken {
            self.with_link(|l, e, o| l.broken(e, &error, o));
        }
    }
}

fn is_getack(args: &[&[u8]]) -> bool {
    args.len() == 3
        && args[0].eq_ignore_ascii_case(b"replconf")
        && args[1].eq_ignore_ascii_case(b"getack")
}

fn ack(output: &mut BytesMut, offset: u64) {
    let mut bytes = Vec::new();
    let text = offset.to_string();
    crate::repl::wire::command(&mut bytes, &["REPLCONF", "ACK", &text]);
    output.extend_from_slice(&bytes);
}

/// A command of our master failed here: something is wrong with one of us.
fn complain(args: &[&[u8]], reply: &[u8]) {
    let line = reply.split(|b| *b == b'\r').next().unwrap_or_default();
    tracing::warn!(
        "== CRITICAL == This replica is sending an error to its master: '{}' after processing the command '{}'",
        String::from_utf8_lossy(line.get(1..).unwrap_or_default()),
        String::from_utf8_lossy(args.first().copied().unwrap_or_default())
    );
}
