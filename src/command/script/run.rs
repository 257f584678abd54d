//! Running a script: on a stack of its own, inside its shards, to its end or until it has had its time.
//!
//! # Steps
//!
//! 1. [`run`] takes a [`Runner`] (a Lua state with what a run works with), moves the caller's shards, effects and reply
//!    buffer into it, and begins the script on the runner's stack.
//! 2. A script that ends within a millisecond, as almost all do, gives everything back to its caller: to the rest of
//!    the node it was a command like any other, and inside EXEC its effects are the transaction's.
//! 3. One that takes longer leaves the stack (the interrupt looks at the clock), its shards still entered. The caller's
//!    session then waits as for an actor, and a script thread goes on with it
//!    ([`script_threads`](crate::background::script_threads)); at its end it logs its effects, leaves the shards,
//!    serves the clients that were blocked on what it filled, and answers.
//!
//! What may not be taken off its thread (a script of our master's stream, or of a node without actors) goes on where it
//! is; others are answered BUSY as for any slow one. One of the master's stream is neither ended nor bounded: what
//! follows in the stream builds on what it does, and masters from Redis 7 on, as ours, send effects and no scripts.

use std::fmt;
use std::sync::Arc;

use crate::command::Context;
use crate::command::dispatch;
use crate::config::Settings;
use crate::keyspace::{Entered, ShardSet};
use crate::node_core::NodeCore;
use crate::observe::command_stats::BatchCounters;
use crate::resp::Resp;
use crate::script::sha::Sha;
use crate::script::stack::{OwnStack, Pause, Turned};
use crate::table::Args;

use super::host::{CallRules, End, Left, Resume, Run};
use super::replies::Answer;
use super::runner::{Function, Runner, Runners};

/// How long a script may keep an arbiter, microseconds.
pub(super) const SLICE_US: u64 = 1000;

/// What errors and the log call a script.
#[derive(Clone)]
pub(super) enum Name {
    Script(Sha),
    Function(Arc<str>),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Script(sha) => sha.fmt(f),
            Name::Function(name) => f.write_str(name),
        }
    }
}

/// What a script is called with.
pub(super) struct CallOf<'a> {
    pub(super) function: Function,
    pub(super) name: Name,
    /// The command: its name, the script's, the number of keys, keys, arguments.
    pub(super) args: &'a Args<'a>,
    pub(super) keys: usize,
    pub(super) rules: CallRules,
}

/// What a run takes from its caller and gives back.
pub(super) struct Lent {
    keys: Entered<'static>,
    counters: BatchCounters,
    hits: u64,
    misses: u64,
    now_us: u64,
    now_ms: i64,
    role_epoch: u64,
    wake_log: bool,
}

/// What a run needs beside its runner. The pointers are valid until the run has returned: `node` since whoever resumes
/// it holds the node, `runner` since it is boxed and kept beside the stack, the arguments until the first pause, before
/// which they are copied into Lua.
struct Start {
    node: *const NodeCore,
    settings: Arc<Settings>,
    runner: *mut Runner,
    args: *const Args<'static>,
    keys: usize,
    name: Name,
    rules: CallRules,
    lent: Lent,
}

/// How a run ended.
pub(crate) struct Ended {
    end: Option<End>,
    touched: ShardSet,
    /// None: it ended off its arbiter, and has left its shards.
    lent: Option<Lent>,
    /// Log offset behind what it wrote, and whether the log has grown.
    pub(crate) wrote_until: u64,
    pub(crate) wake_log: bool,
}

impl Ended {
    /// It needs more shards than it has, and has done nothing.
    pub(super) fn is_surprised(&self) -> bool {
        self.end == Some(End::Surprised)
    }

    /// Which shards its commands needed. None: it came to no end.
    pub(super) fn touched(&self) -> Option<ShardSet> {
        self.end.is_none().then_some(self.touched)
    }
}

/// A script on its stack.
pub(crate) type Stacked = OwnStack<Resume, Left, Ended>;

/// How a script's run ended for its caller.
pub(super) enum Outcome {
    /// It is over, and its reply is written. Which shards its commands needed; None: it came to no end.
    Ran(Option<ShardSet>),
    /// It needs more shards than it has, and has done nothing.
    Surprised,
    /// It goes on elsewhere.
    Moved(Box<Runner>, Stacked, Left),
}

/// Runs a script. See the module.
pub(super) fn run(ctx: &mut Context<'_>, mut runner: Box<Runner>, call: CallOf<'_>) -> Outcome {
    runner.begin(ctx.session, &call.function);
    let begun_us = ctx.now_us;
    let lent = lend(ctx, &mut runner);
    let mut stacked = stack_up(ctx.node, &mut runner, lent, call);
    let mut resume = Resume {
        ends_us: begun_us + SLICE_US,
        off_arbiter: false,
    };
    loop {
        match stacked.resume(resume) {
            Turned::Done(ended, stack) => {
                runner.put_stack(stack);
                return give_back(ctx, runner, ended);
            }
            Turned::Paused(paused, left) => {
                let Some(outer) = ctx.own_stack else {
                    // What the batch has replied so far stays with it; the effects so far go with the script.
                    std::mem::swap(ctx.reply, &mut runner.reply);
                    runner.reply.resp = ctx.reply.resp;
                    ctx.effects.clear();
                    return Outcome::Moved(runner, paused, left);
                };
                // SAFETY: it lives on the stack that this runs on, below this frame.
                let resumed = unsafe { outer.as_ref() }.pause(left);
                stacked = paused;
                // What is inside an EXEC gives everything back to it.
                resume = Resume {
                    ends_us: resumed.ends_us,
                    off_arbiter: false,
                };
            }
        }
    }
}

/// As [`run`], on a script thread, for a script that begins anew. The runner has been prepared before.
pub(super) fn begin_elsewhere(
    node: &NodeCore,
    runner: &mut Box<Runner>,
    keys: Entered<'_>,
    call: CallOf<'_>,
    resume: Resume,
) -> Turned<Resume, Left, Ended> {
    runner.choose(&call.function);
    let now_us = node.clock.unix_us();
    let lent = Lent {
        keys: forever(keys),
        counters: BatchCounters::default(),
        hits: 0,
        misses: 0,
        now_us,
        now_ms: (now_us / 1000) as i64,
        role_epoch: node.hub.epoch(),
        wake_log: false,
    };
    stack_up(node, runner, lent, call).resume(resume)
}

/// The lifetime alone changes: the keyspace is the node's, see [`Start`].
fn forever(keys: Entered<'_>) -> Entered<'static> {
    // SAFETY: see above.
    unsafe { std::mem::transmute::<Entered<'_>, Entered<'static>>(keys) }
}

fn lend(ctx: &mut Context<'_>, runner: &mut Box<Runner>) -> Lent {
    std::mem::swap(ctx.reply, &mut runner.reply);
    std::mem::swap(ctx.effects, &mut runner.effects);
    Lent::take(ctx)
}

impl Lent {
    /// Takes it out of a context, whose shards have to be those of a node that lives as long, see [`Start`].
    pub(super) fn take(ctx: &mut Context<'_>) -> Lent {
        let none = ctx.node.keyspace.enter_none();
        Lent {
            keys: forever(std::mem::replace(&mut ctx.keys, none)),
            counters: std::mem::take(&mut ctx.counters),
            hits: std::mem::take(&mut ctx.hits),
            misses: std::mem::take(&mut ctx.misses),
            now_us: ctx.now_us,
            now_ms: ctx.now_ms,
            role_epoch: ctx.role_epoch,
            wake_log: std::mem::take(&mut ctx.wake_log),
        }
    }

    /// Puts it into another context, or back.
    pub(super) fn put(self, ctx: &mut Context<'_>) {
        (ctx.counters, ctx.hits, ctx.misses) = (self.counters, self.hits, self.misses);
        (ctx.now_us, ctx.now_ms) = (self.now_us, self.now_ms);
        ctx.role_epoch = self.role_epoch;
        ctx.wake_log |= self.wake_log;
        ctx.set_keys(self.keys);
    }
}

fn stack_up(node: &NodeCore, runner: &mut Box<Runner>, lent: Lent, call: CallOf<'_>) -> Stacked {
    let stack = runner.take_stack();
    // SAFETY: the lifetimes alone change, see `Start`.
    let forever = |args: &Args<'_>| unsafe {
        std::mem::transmute::<*const Args<'_>, *const Args<'static>>(std::ptr::from_ref(args))
    };
    let start = Start {
        node: std::ptr::from_ref(node),
        settings: node.settings.load_full(),
        runner: std::ptr::from_mut(&mut **runner),
        args: forever(call.args),
        keys: call.keys,
        name: call.name,
        rules: call.rules,
        lent,
    };
    // SAFETY: see `Start` for what is borrowed; `Entered` and Lua's state may move between threads as `depart` and
    // `arrive` and the state's own promise say; all else that is kept across a pause is `Send`.
    unsafe { OwnStack::new(stack, move |pause, first| work(pause, start, first)) }
}

fn give_back(ctx: &mut Context<'_>, mut runner: Box<Runner>, ended: Ended) -> Outcome {
    std::mem::swap(ctx.reply, &mut runner.reply);
    std::mem::swap(ctx.effects, &mut runner.effects);
    let (is_surprised, touched) = (ended.is_surprised(), ended.touched());
    if let Some(lent) = ended.lent {
        lent.put(ctx);
    }
    Runners::of(ctx.node).put(runner);
    if is_surprised {
        Outcome::Surprised
    } else {
        Outcome::Ran(touched)
    }
}

/// All that happens on the script's stack.
fn work(pause: &Pause<'_, Resume, Left>, start: Start, first: Resume) -> Ended {
    let Start {
        node,
        settings,
        runner,
        args: command,
        keys,
        name,
        rules,
        lent,
    } = start;
    // SAFETY: see `Start`; while the run is on its stack nobody else uses the runner.
    let (node, runner) = unsafe { (&*node, &mut *runner) };
    // SAFETY: see `Start`; they are used before the first pause only.
    let (keys, args) = unsafe { &*command }[3..].split_at(keys);
    let Runner {
        state,
        session,
        nested,
        reply,
        effects,
        ..
    } = runner;
    let mut ctx = Context::new(node, &settings, session, nested, effects);
    ctx.deny_blocking = true;
    ctx.in_script = true;
    ctx.unit_began_us = Some(rules.began_us);
    lent.put(&mut ctx);
    let mut run = Run {
        ctx: &mut ctx,
        pause,
        call: rules,
        name: name.clone(),
        command,
        resp: Resp::V2,
        replicates: true,
        has_written: false,
        had_effects: false,
        touched: ShardSet::NONE,
        token: None,
        running: None,
        is_slow: false,
        off_arbiter: first.off_arbiter,
        ends_us: first.ends_us,
        end: None,
        panic: None,
    };
    let called = state.call_script(&mut run, keys, args);
    let Run {
        end,
        touched,
        token,
        running,
        off_arbiter,
        panic,
        resp,
        ..
    } = run;
    if let Some(panic) = panic {
        // The context goes with it: the shards are lost.
        std::panic::resume_unwind(panic);
    }
    if end != Some(End::Surprised) {
        let mut answer = Answer {
            reply,
            stats: &node.stats,
            script_resp: resp,
            depth: 0,
        };
        state.answer(called, &mut answer, &name);
    }
    state.tidy();
    if let Some(running) = running {
        // Whoever finds the shards busy from here on waits for a moment.
        node.scripts.running.remove(&running);
    }
    let ended = finish(ctx, off_arbiter, end, touched);
    drop(token);
    ended
}

/// The end of a run on its stack: one that is still on its arbiter gives back what it was lent, another one ends its
/// unit and leaves its shards.
fn finish(mut ctx: Context<'_>, off_arbiter: bool, end: Option<End>, touched: ShardSet) -> Ended {
    if !off_arbiter {
        return Ended {
            end,
            touched,
            lent: Some(Lent::take(&mut ctx)),
            wrote_until: 0,
            wake_log: false,
        };
    }
    ctx.session.last_write_offset = 0;
    dispatch::flush_effects(&mut ctx);
    let wrote_until = ctx.session.last_write_offset;
    dispatch::finish_unit(&mut ctx);
    let wake_log = ctx.finish_quietly();
    Ended {
        end,
        touched,
        lent: None,
        wrote_until,
        wake_log,
    }
}
