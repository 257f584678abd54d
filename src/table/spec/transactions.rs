//! Transaction commands: rows of the command table (see [`super`] for what a row says).

use crate::table::spec::bits::{
    ALLOW_BUSY, CAT_TRANSACTION, ENDS_MULTI, FAST, LOADING, NO_SCRIPT, RO, RUNS_IN_MULTI,
    RUNS_QUEUE, SKIP_SLOWLOG, STALE,
};
use crate::table::spec::{Arg, Categories, CommandSpec, Flags, Group, KeySpec};

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "discard",
        summary: "Drops the commands queued since MULTI.",
        since: "2.0.0",
        complexity: "O(N), N: queued commands",
        arity: 1,
        flags: Flags(NO_SCRIPT | LOADING | STALE | FAST | ALLOW_BUSY | RUNS_IN_MULTI | ENDS_MULTI),
        categories: Categories(CAT_TRANSACTION),
        ..CommandSpec::of(Group::Transactions)
    },
    CommandSpec {
        name: "exec",
        summary: "Runs the commands queued since MULTI as one unit.",
        since: "1.2.0",
        complexity: "That of the queued commands",
        arity: 1,
        flags: Flags(
            NO_SCRIPT | LOADING | STALE | SKIP_SLOWLOG | RUNS_QUEUE | RUNS_IN_MULTI | ENDS_MULTI,
        ),
        categories: Categories(CAT_TRANSACTION),
        ..CommandSpec::of(Group::Transactions)
    },
    CommandSpec {
        name: "multi",
        summary: "Starts queueing commands for EXEC.",
        since: "1.2.0",
        complexity: "O(1)",
        arity: 1,
        flags: Flags(NO_SCRIPT | LOADING | STALE | FAST | ALLOW_BUSY | RUNS_IN_MULTI),
        categories: Categories(CAT_TRANSACTION),
        ..CommandSpec::of(Group::Transactions)
    },
    CommandSpec {
        name: "unwatch",
        summary: "Forgets all watched keys.",
        since: "2.2.0",
        complexity: "O(1)",
        arity: 1,
        flags: Flags(NO_SCRIPT | LOADING | STALE | FAST | ALLOW_BUSY),
        categories: Categories(CAT_TRANSACTION),
        ..CommandSpec::of(Group::Transactions)
    },
    CommandSpec {
        name: "watch",
        summary: "Watches keys: EXEC runs nothing if one of them has changed.",
        since: "2.2.0",
        complexity: "O(N), N: keys",
        arity: -2,
        flags: Flags(NO_SCRIPT | LOADING | STALE | FAST | ALLOW_BUSY | RUNS_IN_MULTI),
        categories: Categories(CAT_TRANSACTION),
        keys: &[KeySpec::range(1, -1, 1, RO)],
        arguments: &[Arg::key("key", 0).multiple()],
        ..CommandSpec::of(Group::Transactions)
    },
];
