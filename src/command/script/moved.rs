//! A script that goes on off its arbiter, turn by turn, on the threads of
//! [`script_threads`](crate::background::script_threads).

use std::sync::Arc;

use bytes::Bytes;

use crate::clients::client::Client;
use crate::command::{Context, dispatch};
use crate::keyspace::ShardSet;
use crate::node_core::{LongScript, NodeCore};
use crate::script::running::{Kind, Running};
use crate::script::stack::Turned;
use crate::session::Ticket;
use crate::table::CommandId;

use super::host::{CallRules, Left, Resume};
use super::run::{self, Ended, Name, Stacked};
use super::runner::{Function, Runner, Runners};

/// How long a turn takes, microseconds.
const TURN_US: u64 = 2000;

/// Whether what takes turns has become slow, and how it stands.
pub(super) struct Turns {
    pub(super) left: Left,
    is_slow: bool,
}

impl Turns {
    pub(super) fn new(left: Left) -> Turns {
        Turns {
            left,
            is_slow: false,
        }
    }

    /// What it is resumed with.
    pub(super) fn next(&mut self, node: &NodeCore) -> Resume {
        self.look_if_slow(node);
        Resume {
            ends_us: node.clock.unix_us() + TURN_US,
            off_arbiter: true,
        }
    }

    /// It has paused again.
    pub(super) fn note(&mut self, node: &NodeCore, left: Left) {
        if !Arc::ptr_eq(&left.running, &self.left.running) {
            self.is_slow = false;
        } else if self.is_slow && left.shards != self.left.shards {
            node.scripts.running.note_slow(&left.running, left.shards);
        }
        self.left = left;
    }

    fn look_if_slow(&mut self, node: &NodeCore) {
        if !self.is_slow {
            let Left {
                running, shards, ..
            } = &self.left;
            self.is_slow = note_if_slow(node, running, *shards);
        }
    }
}

/// Makes known that a script is slow, if it has run for so long. True: it is.
pub(super) fn note_if_slow(node: &NodeCore, running: &Running, shards: ShardSet) -> bool {
    let threshold_ms = node.settings.load().busy_reply_threshold_ms;
    let elapsed_ms = node.clock.monotonic_us().saturating_sub(running.began_us) / 1000;
    if threshold_ms == 0 || elapsed_ms < threshold_ms {
        return false;
    }
    let killer = match running.kind {
        Kind::Eval => "SCRIPT KILL",
        Kind::Function => "FUNCTION KILL",
    };
    tracing::warn!(
        "Slow script detected: still in execution after {elapsed_ms} milliseconds. You can try killing the script using the {killer} command. Script name is: {}.",
        running.name
    );
    node.scripts.running.note_slow(running, shards);
    // Who waits for these shards hears BUSY.
    node.keyspace.wake_waiting(shards);
    true
}

/// See the module.
pub(super) struct MovedScript {
    runner: Box<Runner>,
    /// None only while it has its turn.
    stacked: Option<Stacked>,
    turns: Turns,
    origin: Origin,
    ticket: Arc<Ticket>,
    client: Arc<Client>,
    /// When the command began, unix microseconds.
    began_us: u64,
}

/// What the script was called by.
pub(super) struct Origin {
    pub(super) args: Vec<Bytes>,
    pub(super) command: CommandId,
    /// How many of the arguments behind the count are keys.
    pub(super) keys: usize,
    /// The shards of the keys.
    pub(super) declared: ShardSet,
    pub(super) function: Function,
    pub(super) name: Name,
    pub(super) rules: CallRules,
}

impl MovedScript {
    /// Takes a script off its arbiter: the session waits for its end from now on.
    pub(super) fn new(
        ctx: &mut Context<'_>,
        origin: Origin,
        runner: Box<Runner>,
        stacked: Stacked,
        left: Left,
    ) -> MovedScript {
        MovedScript {
            runner,
            stacked: Some(stacked),
            turns: Turns::new(left),
            origin,
            ticket: ctx.ticket(),
            client: ctx.session.client.clone(),
            began_us: ctx.now_us,
        }
    }

    /// A turn has ended.
    fn turned(
        mut self: Box<Self>,
        node: &NodeCore,
        turned: Turned<Resume, Left, Ended>,
    ) -> Option<Box<dyn LongScript>> {
        match turned {
            Turned::Paused(stacked, left) => {
                self.stacked = Some(stacked);
                self.turns.note(node, left);
                Some(self)
            }
            Turned::Done(ended, stack) => {
                self.runner.put_stack(stack);
                if ended.is_surprised() {
                    return self.begin_again(node);
                }
                if let Some(touched) = ended.touched() {
                    let only_declared = self.origin.declared.contains(touched);
                    self.origin.function.tell_reach(only_declared);
                }
                self.tell(node, &ended);
                None
            }
        }
    }

    /// It has touched what it didn't declare, and done nothing yet: once more, with all shards.
    fn begin_again(mut self: Box<Self>, node: &NodeCore) -> Option<Box<dyn LongScript>> {
        self.origin.function.tell_reach(false);
        let Some(entered) = node.keyspace.enter_unless_poisoned(node.keyspace.all()) else {
            let error = b"-ERR a part of the dataset is lost, the node ends\r\n";
            self.ticket.complete(error);
            return None;
        };
        // They live until the script has paused or ended.
        let owned = std::mem::take(&mut self.origin.args);
        let args: Vec<&[u8]> = owned.iter().map(|arg| &arg[..]).collect();
        let call = run::CallOf {
            function: self.origin.function.clone(),
            name: self.origin.name.clone(),
            args: &args,
            keys: self.origin.keys,
            rules: self.origin.rules,
        };
        let resume = Resume {
            ends_us: node.clock.unix_us() + TURN_US,
            off_arbiter: true,
        };
        let turned = run::begin_elsewhere(node, &mut self.runner, entered, call, resume);
        drop(args);
        self.origin.args = owned;
        self.turned(node, turned)
    }

    /// Answers the client, and counts the command.
    fn tell(self: Box<Self>, node: &NodeCore, ended: &Ended) {
        let MovedScript {
            mut runner,
            origin,
            ticket,
            client,
            began_us,
            ..
        } = *self;
        if ended.wake_log {
            node.hub.wake();
        }
        let reply = runner.reply.take().into_bytes();
        Runners::of(node).put(runner);
        let settings = node.settings.load();
        let now_us = node.clock.unix_us();
        let took_us = now_us.saturating_sub(began_us);
        let failed = reply.first() == Some(&b'-');
        let args: Vec<&[u8]> = origin.args.iter().map(|arg| &arg[..]).collect();
        let command = node.table.get(origin.command);
        let time = (now_us, took_us);
        dispatch::record_end(node, &settings, &client, command, &args, time, failed);
        ticket.wrote_until(ended.wrote_until);
        ticket.complete(&reply);
    }
}

impl LongScript for MovedScript {
    fn ticket(&self) -> Arc<Ticket> {
        self.ticket.clone()
    }

    fn waits(&self) -> bool {
        self.turns.left.waits
    }

    fn go_on(mut self: Box<Self>, node: &NodeCore) -> Option<Box<dyn LongScript>> {
        let stacked = self.stacked.take()?;
        let resume = self.turns.next(node);
        self.turned(node, stacked.resume(resume))
    }
}
