//! Server commands that look inside: COMMAND, LATENCY, MEMORY, SLOWLOG: rows of the command table (see [`super`] for what a row says).

use crate::table::spec::bits::{
    ADMIN, CAT_CONNECTION, LOADING, NO_SCRIPT, READONLY, RO, STALE, WAIT_ENDS_ITSELF,
};
use crate::table::spec::{Arg, Categories, CommandSpec, Flags, Group, KeySpec, Reach};

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "command",
        summary: "Describes all commands.",
        since: "2.8.13",
        complexity: "O(N), N: commands",
        tips: &["nondeterministic_output_order"],
        arity: -1,
        flags: Flags(LOADING | STALE),
        categories: Categories(CAT_CONNECTION),
        subcommands: &[
            CommandSpec {
                name: "command|count",
                summary: "Counts the commands.",
                since: "2.8.13",
                complexity: "O(1)",
                arity: 2,
                flags: Flags(LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "command|docs",
                summary: "Gives the documentation of commands.",
                since: "7.0.0",
                complexity: "O(N), N: commands asked for",
                tips: &["nondeterministic_output_order"],
                arity: -2,
                flags: Flags(LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                arguments: &[Arg::string("command-name").optional().multiple()],
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "command|getkeys",
                summary: "Gives the keys among a command's arguments.",
                since: "2.8.13",
                complexity: "O(N), N: arguments",
                arity: -3,
                flags: Flags(LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                arguments: &[
                    Arg::string("command"),
                    Arg::string("arg").optional().multiple(),
                ],
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "command|getkeysandflags",
                summary: "Gives the keys among a command's arguments and how they are used.",
                since: "7.0.0",
                complexity: "O(N), N: arguments",
                arity: -3,
                flags: Flags(LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                arguments: &[
                    Arg::string("command"),
                    Arg::string("arg").optional().multiple(),
                ],
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "command|help",
                summary: "Lists the subcommands.",
                since: "5.0.0",
                complexity: "O(1)",
                arity: 2,
                flags: Flags(LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "command|info",
                summary: "Describes some or all commands.",
                since: "2.8.13",
                complexity: "O(N), N: commands asked for",
                history: &[("7.0.0", "Without names it describes all commands.")],
                tips: &["nondeterministic_output_order"],
                arity: -2,
                flags: Flags(LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                arguments: &[Arg::string("command-name").optional().multiple()],
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "command|list",
                summary: "Gives the names of commands.",
                since: "7.0.0",
                complexity: "O(N), N: commands",
                tips: &["nondeterministic_output_order"],
                arity: -2,
                flags: Flags(LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                arguments: &[Arg::one_of(
                    "filterby",
                    &[
                        Arg::string("module-name").after("MODULE"),
                        Arg::string("category").after("ACLCAT"),
                        Arg::pattern("pattern").after("PATTERN"),
                    ],
                )
                .after("FILTERBY")
                .optional()],
                ..CommandSpec::of(Group::Server)
            },
        ],
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "latency",
        summary: "Holds the commands about latency.",
        since: "2.8.13",
        complexity: "That of the subcommand",
        arity: -2,
        subcommands: &[
            CommandSpec {
                name: "latency|doctor",
                summary: "Gives a report on latency in plain words.",
                since: "2.8.13",
                complexity: "O(1)",
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_nodes",
                    "response_policy:special",
                ],
                arity: 2,
                flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE),
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "latency|graph",
                summary: "Draws the samples of a latency event.",
                since: "2.8.13",
                complexity: "O(1)",
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_nodes",
                    "response_policy:special",
                ],
                arity: 3,
                flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE),
                arguments: &[Arg::string("event")],
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "latency|help",
                summary: "Lists the subcommands.",
                since: "2.8.13",
                complexity: "O(1)",
                arity: 2,
                flags: Flags(LOADING | STALE),
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "latency|histogram",
                summary: "Gives the latency distribution of commands.",
                since: "7.0.0",
                complexity: "O(N), N: commands asked for",
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_nodes",
                    "response_policy:special",
                ],
                arity: -2,
                flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE),
                arguments: &[Arg::string("command").optional().multiple()],
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "latency|history",
                summary: "Gives the samples of a latency event.",
                since: "2.8.13",
                complexity: "O(1)",
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_nodes",
                    "response_policy:special",
                ],
                arity: 3,
                flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE),
                arguments: &[Arg::string("event")],
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "latency|latest",
                summary: "Gives the last sample of each latency event.",
                since: "2.8.13",
                complexity: "O(1)",
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_nodes",
                    "response_policy:special",
                ],
                arity: 2,
                flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE),
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "latency|reset",
                summary: "Forgets the samples of latency events.",
                since: "2.8.13",
                complexity: "O(1)",
                tips: &["request_policy:all_nodes", "response_policy:agg_sum"],
                arity: -2,
                flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE),
                arguments: &[Arg::string("event").optional().multiple()],
                ..CommandSpec::of(Group::Server)
            },
        ],
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "memory",
        summary: "Holds the commands about memory.",
        since: "4.0.0",
        complexity: "That of the subcommand",
        arity: -2,
        subcommands: &[
            CommandSpec {
                name: "memory|doctor",
                summary: "Gives a report on memory in plain words.",
                since: "4.0.0",
                complexity: "O(1)",
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_shards",
                    "response_policy:special",
                ],
                arity: 2,
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "memory|help",
                summary: "Lists the subcommands.",
                since: "4.0.0",
                complexity: "O(1)",
                arity: 2,
                flags: Flags(LOADING | STALE),
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "memory|malloc-stats",
                summary: "Gives the allocator's own statistics.",
                since: "4.0.0",
                complexity: "That of the allocator's report",
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_shards",
                    "response_policy:special",
                ],
                arity: 2,
                flags: Flags(WAIT_ENDS_ITSELF),
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "memory|purge",
                summary: "Asks the allocator to give unused memory back.",
                since: "4.0.0",
                complexity: "That of the allocator's work",
                tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
                arity: 2,
                flags: Flags(WAIT_ENDS_ITSELF),
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "memory|stats",
                summary: "Gives statistics on memory.",
                since: "4.0.0",
                complexity: "O(1)",
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_shards",
                    "response_policy:special",
                ],
                arity: 2,
                reach: Reach::Every,
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "memory|usage",
                summary: "Estimates the bytes that a key takes.",
                since: "4.0.0",
                complexity: "O(N), N: samples",
                arity: -3,
                flags: Flags(READONLY),
                keys: &[KeySpec::at(2, RO)],
                arguments: &[
                    Arg::key("key", 0),
                    Arg::integer("count").after("SAMPLES").optional(),
                ],
                ..CommandSpec::of(Group::Server)
            },
        ],
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "slowlog",
        summary: "Holds the commands about the slow log.",
        since: "2.2.12",
        complexity: "That of the subcommand",
        arity: -2,
        subcommands: &[
            CommandSpec {
                name: "slowlog|get",
                summary: "Gives entries of the slow log.",
                since: "2.2.12",
                complexity: "O(N), N: entries given",
                history: &[("4.0.0", "Gives the client's address and name.")],
                tips: &["request_policy:all_nodes", "nondeterministic_output"],
                arity: -2,
                flags: Flags(ADMIN | LOADING | STALE),
                arguments: &[Arg::integer("count").optional()],
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "slowlog|help",
                summary: "Lists the subcommands.",
                since: "6.2.0",
                complexity: "O(1)",
                arity: 2,
                flags: Flags(LOADING | STALE),
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "slowlog|len",
                summary: "Counts the entries of the slow log.",
                since: "2.2.12",
                complexity: "O(1)",
                tips: &[
                    "request_policy:all_nodes",
                    "response_policy:agg_sum",
                    "nondeterministic_output",
                ],
                arity: 2,
                flags: Flags(ADMIN | LOADING | STALE),
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "slowlog|reset",
                summary: "Empties the slow log.",
                since: "2.2.12",
                complexity: "O(N), N: entries held",
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                arity: 2,
                flags: Flags(ADMIN | LOADING | STALE),
                ..CommandSpec::of(Group::Server)
            },
        ],
        ..CommandSpec::of(Group::Server)
    },
];
