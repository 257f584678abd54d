//! Runs the master's commands through dispatch, which logs each with the bytes that it came as before the
//! shards are left. A busy shard or a pause of clients is noted, and the rest of the stream waits for it.

use super::link_io::LinkSocket;
use crate::command::Context as CommandContext;
use crate::command::dispatch::{self, Outcome};
use crate::keyspace::ShardSet;
use crate::repl::stream_input::{Ran, StreamRunner};
use crate::resp::request::Batch;

/// Runs one batch.
struct Dispatched<'a> {
    ctx: CommandContext<'a>,
    batch: &'a Batch,
    bytes: &'a [u8],
    /// Why a command can't run now.
    busy: Option<ShardSet>,
    paused: bool,
}

impl StreamRunner for Dispatched<'_> {
    fn run(&mut self, index: usize, args: &[&[u8]], raw: &[u8]) -> Ran {
        let ctx = &mut self.ctx;
        ctx.look_ahead(self.batch, index, self.bytes);
        let outcome = dispatch::run_from_master(ctx, args, raw);
        if ctx.reply.buf.first() == Some(&b'-') {
            complain(args, &ctx.reply.buf);
            ctx.node.stats.unexpected_error_replies.inc();
        }
        ctx.reply.buf.clear();
        match outcome {
            Outcome::Busy(set) => {
                self.busy = Some(set);
                Ran::Later
            }
            Outcome::Paused => {
                self.busy = Some(ShardSet::NONE);
                self.paused = true;
                Ran::Later
            }
            _ => Ran::Done,
        }
    }
}

impl LinkSocket {
    /// See [`LinkIo::run_batch`](crate::repl::LinkIo::run_batch).
    pub(super) fn run_through_dispatch(
        &mut self,
        batch: &Batch,
        bytes: &[u8],
        work: &mut dyn FnMut(&mut dyn StreamRunner),
    ) {
        let settings = self.node.settings.load();
        let mut runner = Dispatched {
            ctx: CommandContext::new(
                &self.node,
                &settings,
                &mut self.session,
                &mut self.reply,
                &mut self.effects,
            ),
            batch,
            bytes,
            busy: None,
            paused: false,
        };
        work(&mut runner);
        self.busy = runner.busy;
        self.paused = runner.paused;
        runner.ctx.finish();
    }
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
