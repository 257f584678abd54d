//! Runs the master's commands through dispatch, which logs each with the bytes that it came as before the
//! shards are left, and judges those that fail. A busy shard or a pause of clients is noted, and the rest of the stream waits for it.
//!
//! A replica that is to save and can't (`Persistence`, `stop-writes-on-bgsave-error`) runs no write of its
//! master's unless `replica-ignore-disk-write-errors` says so: the link ends before the write, and comes back,
//! by a partial resync, when a save has succeeded. redis-server ends the process there.

use std::task::Context as TaskContext;

use crate::actors::replication::link_io::LinkSocket;
use crate::command::Context as CommandContext;
use crate::command::dispatch::from_master::{self, FromMaster};
use crate::node_core::NodeCore;
use crate::repl::stream_databases;
use crate::repl::stream_input::{Ran, StreamRunner};
use crate::resp::request::Batch;
use crate::table::spec::bits;

/// Runs one batch.
struct Dispatched<'a> {
    ctx: CommandContext<'a>,
    batch: &'a Batch,
    bytes: &'a [u8],
    /// The task that is to go on when the shards of a command that can't run now are free.
    task: TaskContext<'a>,
    busy: bool,
    paused: bool,
    disk_warning: &'a mut DiskWarning,
}

impl StreamRunner for Dispatched<'_> {
    fn run(&mut self, index: usize, args: &[&[u8]], raw: &[u8]) -> Ran {
        let ctx = &mut self.ctx;
        if ctx.node.disk_denies_writes(ctx.settings) && is_write(ctx.node, args) {
            if !ctx.settings.replica_ignore_disk_write_errors {
                return Ran::Refused;
            }
            self.disk_warning.give(ctx.node.clock.unix_ms());
        }
        if let Some(why) = stream_databases::refusal(args, ctx.node.keyspace.databases()) {
            return Ran::Impossible(why);
        }
        ctx.prefetch_window(self.batch, index, self.bytes);
        match from_master::run(ctx, args, raw, &self.task) {
            FromMaster::Busy => {
                self.busy = true;
                Ran::Later
            }
            FromMaster::Paused => {
                self.paused = true;
                Ran::Later
            }
            FromMaster::Over(ran) => ran,
        }
    }
}

impl LinkSocket {
    /// See [`LinkIo::run_batch`](crate::repl::LinkIo::run_batch).
    pub(crate) fn run_through_dispatch(
        &mut self,
        epoch: u64,
        batch: &Batch,
        bytes: &[u8],
        work: &mut dyn FnMut(&mut dyn StreamRunner),
    ) {
        let settings = self.node.settings.load();
        let waker = self.waker();
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
            task: TaskContext::from_waker(&waker),
            busy: false,
            paused: false,
            disk_warning: &mut self.disk_warning,
        };
        runner.ctx.role_epoch = epoch;
        work(&mut runner);
        self.busy = runner.busy;
        self.paused = runner.paused;
        runner.ctx.finish();
    }

    /// See [`LinkIo::refuses_writes`](crate::repl::LinkIo::refuses_writes).
    pub(crate) fn disk_refuses_writes(&self) -> Option<&'static str> {
        let settings = self.node.settings.load();
        let refuses = self.node.disk_denies_writes(&settings);
        (refuses && !settings.replica_ignore_disk_write_errors).then_some(DISK_REFUSES)
    }
}

/// Why a link was ended before a write.
const DISK_REFUSES: &str = "Replica was unable to write command to disk: the last background save failed, and \
    the master is not followed until one succeeds (replica-ignore-disk-write-errors)";

/// Says that writes are applied although the disk refuses, now and then.
#[derive(Debug, Default)]
pub(crate) struct DiskWarning {
    last_ms: i64,
}

impl DiskWarning {
    const PERIOD_MS: i64 = 10_000;

    fn give(&mut self, now_ms: i64) {
        if now_ms - self.last_ms > DiskWarning::PERIOD_MS {
            self.last_ms = now_ms;
            tracing::warn!(
                "Replica is applying a command even though it is unable to write to disk."
            );
        }
    }
}

fn is_write(node: &NodeCore, args: &[&[u8]]) -> bool {
    let command = node.table.find(args);
    command.is_some_and(|command| command.flags.has(bits::WRITE))
}
