//! Expiry commands: rows of the command table (see [`super`] for what a row says).

use crate::table::spec::bits::{ACCESS, CAT_KEYSPACE, FAST, READONLY, RO, RW, UPDATE, WRITE};
use crate::table::spec::{Arg, Categories, CommandSpec, Flags, Group, KeySpec};

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "expire",
        summary: "Lets a key expire after some seconds.",
        since: "1.0.0",
        complexity: "O(1)",
        history: &[("7.0.0", "`NX`, `XX`, `GT` and `LT`.")],
        arity: -3,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_KEYSPACE),
        keys: &[KeySpec::at(1, RW | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("seconds"),
            Arg::one_of(
                "condition",
                &[
                    Arg::word("nx", "NX"),
                    Arg::word("xx", "XX"),
                    Arg::word("gt", "GT"),
                    Arg::word("lt", "LT"),
                ],
            )
            .since("7.0.0")
            .optional(),
        ],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "expireat",
        summary: "Lets a key expire at a Unix time in seconds.",
        since: "1.2.0",
        complexity: "O(1)",
        history: &[("7.0.0", "`NX`, `XX`, `GT` and `LT`.")],
        arity: -3,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_KEYSPACE),
        keys: &[KeySpec::at(1, RW | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::unix_time("unix-time-seconds"),
            Arg::one_of(
                "condition",
                &[
                    Arg::word("nx", "NX"),
                    Arg::word("xx", "XX"),
                    Arg::word("gt", "GT"),
                    Arg::word("lt", "LT"),
                ],
            )
            .since("7.0.0")
            .optional(),
        ],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "expiretime",
        summary: "Gives the Unix time in seconds at which a key expires.",
        since: "7.0.0",
        complexity: "O(1)",
        arity: 2,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_KEYSPACE),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0)],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "persist",
        summary: "Takes a key's expiry away.",
        since: "2.2.0",
        complexity: "O(1)",
        arity: 2,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_KEYSPACE),
        keys: &[KeySpec::at(1, RW | UPDATE)],
        arguments: &[Arg::key("key", 0)],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "pexpire",
        summary: "Lets a key expire after some milliseconds.",
        since: "2.6.0",
        complexity: "O(1)",
        history: &[("7.0.0", "`NX`, `XX`, `GT` and `LT`.")],
        arity: -3,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_KEYSPACE),
        keys: &[KeySpec::at(1, RW | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("milliseconds"),
            Arg::one_of(
                "condition",
                &[
                    Arg::word("nx", "NX"),
                    Arg::word("xx", "XX"),
                    Arg::word("gt", "GT"),
                    Arg::word("lt", "LT"),
                ],
            )
            .since("7.0.0")
            .optional(),
        ],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "pexpireat",
        summary: "Lets a key expire at a Unix time in milliseconds.",
        since: "2.6.0",
        complexity: "O(1)",
        history: &[("7.0.0", "`NX`, `XX`, `GT` and `LT`.")],
        arity: -3,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_KEYSPACE),
        keys: &[KeySpec::at(1, RW | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::unix_time("unix-time-milliseconds"),
            Arg::one_of(
                "condition",
                &[
                    Arg::word("nx", "NX"),
                    Arg::word("xx", "XX"),
                    Arg::word("gt", "GT"),
                    Arg::word("lt", "LT"),
                ],
            )
            .since("7.0.0")
            .optional(),
        ],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "pexpiretime",
        summary: "Gives the Unix time in milliseconds at which a key expires.",
        since: "7.0.0",
        complexity: "O(1)",
        arity: 2,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_KEYSPACE),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0)],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "pttl",
        summary: "Gives the milliseconds until a key expires.",
        since: "2.6.0",
        complexity: "O(1)",
        history: &[("2.8.0", "Answers -2 for an absent key.")],
        tips: &["nondeterministic_output"],
        arity: 2,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_KEYSPACE),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0)],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "ttl",
        summary: "Gives the seconds until a key expires.",
        since: "1.0.0",
        complexity: "O(1)",
        history: &[("2.8.0", "Answers -2 for an absent key.")],
        tips: &["nondeterministic_output"],
        arity: 2,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_KEYSPACE),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0)],
        ..CommandSpec::of(Group::Generic)
    },
];
