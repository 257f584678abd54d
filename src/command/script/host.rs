//! What a running script sees of the node: the functions of `redis` that need the run, and the interrupt that looks
//! at the clock and at who wants it ended.

use std::any::Any;
use std::cell::Cell;
use std::sync::Arc;

use crate::command::{Context, dispatch};
use crate::keyspace::ShardSet;
use crate::lua::{Call, Host, Kind, NativeResult, Raise};
use crate::resp::Resp;
use crate::script::running::{Kind as CallKind, Running};
use crate::script::stack::Pause;
use crate::table::Args;

use super::moved::note_if_slow;
use super::nested::Refused;
use super::replies::{Arguments, Texts, push_error, push_reply};
use super::run::Name;
use super::token::Token;

/// The functions of the host's, by their numbers.
pub(super) const CALL: u16 = 1;
pub(super) const PCALL: u16 = 2;
pub(super) const LOG: u16 = 3;
pub(super) const SETRESP: u16 = 4;
pub(super) const SET_REPL: u16 = 5;
pub(super) const ACL_CHECK_CMD: u16 = 6;
pub(super) const REGISTER_FUNCTION: u16 = 7;

/// What `redis.set_repl` takes: REPL_AOF, REPL_SLAVE; and what is to reach replicas.
const REPL_FLAGS: i64 = 3;
const REPL_REPLICAS: i64 = 2;

/// Why a script ends before its last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By SCRIPT KILL or FUNCTION KILL.
    Killed,
    /// The node ends.
    Closed,
    /// It needs shards that it is not inside of: it begins anew with all.
    Surprised,
    /// A command panicked.
    Panicked,
}

/// How a script was called.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallRules {
    pub(super) kind: CallKind,
    /// It may call no command that writes.
    pub(super) read_only: bool,
    pub(super) allow_oom: bool,
    pub(super) from_master: bool,
    /// Memory was used up when it began.
    pub(super) began_out_of_memory: bool,
    /// When it began, or the transaction that it is in: what TIME tells it, unix microseconds.
    pub(super) began_us: u64,
    /// It may be taken off its thread.
    pub(super) may_move: bool,
}

/// What a paused script is resumed with.
pub(crate) struct Resume {
    /// When it is to pause again, unix microseconds.
    pub(crate) ends_us: u64,
    /// It goes on elsewhere than on the arbiter on which it began, and ends its unit itself.
    pub(crate) off_arbiter: bool,
}

/// How a script stands that leaves its thread.
pub(crate) struct Left {
    /// What it is inside of.
    pub(crate) shards: ShardSet,
    /// Itself as others see it.
    pub(crate) running: Arc<Running>,
    /// It waits for shards that others are inside of.
    pub(crate) waits: bool,
}

/// The stack of an EXEC, for the scripts in it: they have none that could leave its thread without it.
pub(in crate::command) struct Outer<'p> {
    pause: &'p Pause<'p, Resume, Left>,
    off_arbiter: Cell<bool>,
}

impl<'p> Outer<'p> {
    pub(super) fn new(pause: &'p Pause<'p, Resume, Left>) -> Outer<'p> {
        Outer {
            pause,
            off_arbiter: Cell::new(false),
        }
    }

    /// Leaves the thread with all that runs on the stack.
    pub(super) fn pause(&self, left: Left) -> Resume {
        let resumed = self.pause.pause(left);
        self.off_arbiter
            .set(self.off_arbiter.get() || resumed.off_arbiter);
        resumed
    }

    pub(super) fn is_off_arbiter(&self) -> bool {
        self.off_arbiter.get()
    }
}

/// A running script. Lives on the script's own stack.
pub(super) struct Run<'a, 'r> {
    pub(super) ctx: &'r mut Context<'a>,
    pub(super) pause: &'r Pause<'r, Resume, Left>,
    pub(super) call: CallRules,
    pub(super) name: Name,
    /// What called it; valid until it first leaves its thread.
    pub(super) command: *const Args<'static>,
    /// What it speaks with the commands that it calls.
    pub(super) resp: Resp,
    /// Its effects go to replicas (`redis.set_repl`).
    pub(super) replicates: bool,
    /// It has called a command that writes.
    pub(super) has_written: bool,
    /// It has called a command that can't be called again without a trace.
    pub(super) had_effects: bool,
    /// The shards that its commands needed.
    pub(super) touched: ShardSet,
    pub(super) token: Option<Token>,
    /// From when it had its time.
    pub(super) running: Option<Arc<Running>>,
    /// It stays on its thread, and others know that it is slow.
    pub(super) is_slow: bool,
    pub(super) off_arbiter: bool,
    pub(super) ends_us: u64,
    pub(super) end: Option<End>,
    pub(super) panic: Option<Box<dyn Any + Send>>,
}

impl Host for Run<'_, '_> {
    fn native(&mut self, number: u16, call: &mut Call<'_>) -> NativeResult {
        match number {
            CALL => self.redis_call(call, true),
            PCALL => self.redis_call(call, false),
            LOG => log(call),
            SETRESP => self.set_resp(call),
            SET_REPL => self.set_repl(call),
            ACL_CHECK_CMD => self.acl_check_cmd(call),
            REGISTER_FUNCTION => Err(raise(
                call,
                "redis.register_function can only be called on FUNCTION LOAD command",
            )),
            _ => Err(raise(call, "unknown function of the host")),
        }
    }

    fn interrupt(&mut self, call: &mut Call<'_>) -> Result<(), Raise> {
        if self.end.is_none() {
            self.look_around();
        }
        match self.end {
            None => Ok(()),
            Some(end) => Err(raise_end(call, end)),
        }
    }
}

impl Run<'_, '_> {
    /// Whether it has had its time, and whether somebody wants it ended.
    fn look_around(&mut self) {
        if self
            .running
            .as_ref()
            .is_some_and(|running| running.is_killed())
        {
            tracing::info!("Lua script killed by user with SCRIPT KILL.");
            self.end = Some(End::Killed);
        } else if self.ctx.node.lifecycle.is_closed() {
            self.end = Some(End::Closed);
        } else if self.ctx.node.clock.unix_us() >= self.ends_us {
            if self.call.may_move {
                self.leave_thread(false);
            } else {
                self.stay();
            }
        }
    }

    /// It has had its time, and goes on where it is to its end: others hear of it as of one that has left its thread.
    fn stay(&mut self) {
        let running = self.make_known();
        if !self.is_slow {
            self.is_slow = note_if_slow(self.ctx.node, &running, self.ctx.keys.set());
        }
    }

    /// Leaves the thread to others until it is this script's turn again. The shards stay entered.
    fn leave_thread(&mut self, waits: bool) {
        let left = Left {
            shards: self.ctx.keys.set(),
            running: self.make_known(),
            waits,
        };
        self.ctx.keys.depart();
        let resumed = self.pause.pause(left);
        self.ctx.keys.arrive();
        self.off_arbiter |= resumed.off_arbiter;
        self.ends_us = resumed.ends_us;
    }

    /// From now on others see that it runs.
    fn make_known(&mut self) -> Arc<Running> {
        if let Some(running) = &self.running {
            return running.clone();
        }
        // SAFETY: it has not left its thread yet.
        let command = unsafe { &*self.command };
        let node = self.ctx.node;
        let running = Arc::new(Running::new(
            self.call.kind,
            self.name.to_string(),
            dispatch::own(command),
            self.call.from_master,
            node.clock.monotonic_us(),
            self.has_written,
        ));
        node.scripts.running.add(running.clone());
        self.running = Some(running.clone());
        running
    }

    /// Lets others do what this script waits for.
    pub(super) fn wait_a_while(&mut self) {
        if self.call.may_move {
            self.leave_thread(true);
        } else {
            std::thread::yield_now();
        }
        if self.ctx.node.lifecycle.is_closed() {
            self.end = Some(End::Closed);
        }
    }

    /// `redis.call`, which raises errors, and `redis.pcall`, which gives them.
    fn redis_call(&mut self, call: &mut Call<'_>, raises: bool) -> NativeResult {
        if let Some(end) = self.end {
            return Err(raise_end(call, end));
        }
        if call.top() == 0 {
            let text = b"ERR Please specify at least one argument for this redis lib call";
            push_error(call, text, false);
            return given(raises);
        }
        let mut arguments = Arguments::default();
        let mut room = Texts::default();
        // SAFETY: the arguments stay where they are until the command has run.
        if !unsafe { arguments.read(call) } {
            call.set_top(0);
            let text = b"ERR Lua redis lib command arguments must be strings or integers";
            push_error(call, text, false);
            return given(raises);
        }
        self.ctx.reply.clear();
        self.ctx.reply.resp = self.resp;
        let ran = self.run_nested(arguments.texts(&mut room));
        call.set_top(0);
        match ran {
            Ok(()) => {}
            Err(Refused::Ended) => {
                let end = self.end.unwrap_or(End::Closed);
                return Err(raise_end(call, end));
            }
            Err(Refused::Error(error)) => {
                self.ctx.node.stats.count_error(&error.0);
                push_error(call, error.0.as_bytes(), true);
                return given(raises);
            }
        }
        let is_error = self.push_replied(call)?;
        if self.call.may_move && self.ctx.now_us >= self.ends_us {
            self.look_around();
            if let Some(end) = self.end {
                return Err(raise_end(call, end));
            }
        }
        given(raises && is_error)
    }

    /// Pushes what the command has replied. True: an error.
    fn push_replied(&mut self, call: &mut Call<'_>) -> Result<bool, Raise> {
        call.room(self.ctx.reply.len())?;
        let pushed = match self.ctx.reply.output().as_one() {
            Some(bytes) => push_reply(call, bytes),
            None => {
                let bytes = self.ctx.reply.take().into_bytes();
                push_reply(call, &bytes)
            }
        };
        pushed.map_err(|_| raise(call, "the reply is nested too deep for a script"))
    }

    fn set_resp(&mut self, call: &mut Call<'_>) -> NativeResult {
        if call.top() != 1 {
            return Err(raise(call, "redis.setresp() requires one argument."));
        }
        self.resp = match call.number(1).unwrap_or_default() as i64 {
            2 => Resp::V2,
            3 => Resp::V3,
            _ => return Err(raise(call, "RESP version must be 2 or 3.")),
        };
        self.ctx.session.client.speak(self.resp);
        Ok(0)
    }

    fn set_repl(&mut self, call: &mut Call<'_>) -> NativeResult {
        if call.top() != 1 {
            return Err(raise(call, "redis.set_repl() requires one argument."));
        }
        let flags = call.number(1).unwrap_or_default() as i64;
        if flags & !REPL_FLAGS != 0 {
            return Err(raise(
                call,
                "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
            ));
        }
        self.replicates = flags & REPL_REPLICAS != 0;
        Ok(0)
    }

    /// There are no users yet who may not do something.
    fn acl_check_cmd(&mut self, call: &mut Call<'_>) -> NativeResult {
        if call.top() == 0 {
            return Err(raise(
                call,
                "Please specify at least one argument for this redis lib call",
            ));
        }
        let mut arguments = Arguments::default();
        let mut room = Texts::default();
        // SAFETY: the arguments stay where they are until they have been looked at.
        if !unsafe { arguments.read(call) } {
            return Err(raise(
                call,
                "Lua redis lib command arguments must be strings or integers",
            ));
        }
        let args = arguments.texts(&mut room);
        let is_known = self.ctx.node.table.find(args).is_some();
        call.set_top(0);
        if !is_known {
            return Err(raise(
                call,
                "Invalid command passed to redis.acl_check_cmd()",
            ));
        }
        call.push_boolean(true);
        Ok(1)
    }
}

/// The value on top is what the call gives, or (`raises`) what it raises.
fn given(raises: bool) -> NativeResult {
    if raises { Err(Raise::Value) } else { Ok(1) }
}

/// Raises an error as a table, as Redis's own functions do.
pub(super) fn raise(call: &mut Call<'_>, text: &str) -> Raise {
    // There is always room for what a function gives.
    call.set_top(0);
    push_error(call, format!("ERR {text}").as_bytes(), false);
    Raise::Value
}

fn raise_end(call: &mut Call<'_>, end: End) -> Raise {
    let text = match end {
        End::Killed => "Script killed by user with SCRIPT KILL...",
        End::Closed => "The server is shutting down",
        End::Surprised => "The script begins anew",
        End::Panicked => "The command failed inside the server, see its log",
    };
    if !call.reserve(4) {
        return Raise::text(text);
    }
    push_error(call, format!("ERR {text}").as_bytes(), false);
    Raise::Value
}

/// `redis.log(level, text ...)`.
pub(super) fn log(call: &mut Call<'_>) -> NativeResult {
    let count = call.top();
    if count < 2 {
        return Err(raise(call, "redis.log() requires two arguments or more."));
    }
    let Some(level) = call.number(1) else {
        return Err(raise(call, "First argument must be a number (log level)."));
    };
    let mut texts = Vec::new();
    for index in 2..=count {
        if let (Kind::String | Kind::Number, Some(text)) =
            (call.kind(index), call.coerced_bytes(index))
        {
            texts.push(String::from_utf8_lossy(text).into_owned());
        }
    }
    let text = texts.join(" ");
    let text = crate::text::printable::one_line(&text);
    match level as i64 {
        0 => tracing::trace!("{text}"),
        1 => tracing::debug!("{text}"),
        2 => tracing::info!("{text}"),
        3 => tracing::warn!("{text}"),
        _ => return Err(raise(call, "Invalid debug level.")),
    }
    Ok(0)
}
