//! Server commands: data, configuration, replication: rows of the command table (see [`super`] for what a row says).

use crate::table::spec::bits::{
    ADMIN, ALLOW_BUSY, BESIDE_SCRIPTS, CAT_ADMIN, CAT_DANGEROUS, CAT_KEYSPACE, DEBUG_PROTECTED,
    ENDS_NODE, FAST, LOADING, NO_ASYNC_LOADING, NO_MULTI, NO_SCRIPT, READONLY, STALE,
    WAIT_ENDS_ITSELF, WRITE,
};
use crate::table::spec::{Arg, Categories, CommandSpec, DocFlag, Flags, Group, Reach, Secrets};

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "bgsave",
        summary: "Saves the data to disk in the background.",
        since: "1.0.0",
        complexity: "O(1)",
        history: &[("3.2.2", "`SCHEDULE`.")],
        arity: -1,
        flags: Flags(NO_ASYNC_LOADING | ADMIN | NO_SCRIPT | WAIT_ENDS_ITSELF),
        arguments: &[Arg::word("schedule", "SCHEDULE").since("3.2.2").optional()],
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "config",
        summary: "Holds the commands about directives.",
        since: "2.0.0",
        complexity: "That of the subcommand",
        arity: -2,
        subcommands: &[
            CommandSpec {
                name: "config|get",
                summary: "Gives the values of directives.",
                since: "2.0.0",
                complexity: "O(N), N: parameters given",
                history: &[("7.0.0", "Takes several patterns.")],
                arity: -3,
                flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE),
                arguments: &[Arg::string("parameter").multiple()],
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "config|help",
                summary: "Lists the subcommands.",
                since: "5.0.0",
                complexity: "O(1)",
                arity: 2,
                flags: Flags(LOADING | STALE),
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "config|resetstat",
                summary: "Sets the statistics back to zero.",
                since: "2.0.0",
                complexity: "O(1)",
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                arity: 2,
                flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE),
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "config|rewrite",
                summary: "Writes the directives in force back to the configuration file.",
                since: "2.8.0",
                complexity: "O(1)",
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                arity: 2,
                flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE | WAIT_ENDS_ITSELF),
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "config|set",
                summary: "Changes directives of the running server.",
                since: "2.0.0",
                complexity: "O(N), N: parameters given",
                history: &[("7.0.0", "Takes several directives.")],
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                arity: -4,
                flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE | WAIT_ENDS_ITSELF),
                arguments: &[
                    Arg::block("data", &[Arg::string("parameter"), Arg::string("value")])
                        .multiple(),
                ],
                secrets: Secrets::ConfigSet,
                ..CommandSpec::of(Group::Server)
            },
        ],
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "dbsize",
        summary: "Counts the keys of the database.",
        since: "1.0.0",
        complexity: "O(1)",
        tips: &["request_policy:all_shards", "response_policy:agg_sum"],
        arity: 1,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_KEYSPACE),
        reach: Reach::Every,
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "debug",
        summary: "Holds the commands for debugging.",
        since: "1.0.0",
        complexity: "That of the subcommand",
        doc_flag: DocFlag::System,
        arity: -2,
        flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE | DEBUG_PROTECTED | WAIT_ENDS_ITSELF),
        reach: Reach::Every,
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "failover",
        summary: "Hands the master's role to one of its replicas.",
        since: "6.2.0",
        complexity: "O(1)",
        arity: -1,
        flags: Flags(ADMIN | NO_SCRIPT | STALE),
        reach: Reach::Every,
        arguments: &[
            Arg::block(
                "target",
                &[
                    Arg::string("host"),
                    Arg::integer("port"),
                    Arg::word("force", "FORCE").optional(),
                ],
            )
            .after("TO")
            .optional(),
            Arg::word("abort", "ABORT").optional(),
            Arg::integer("milliseconds").after("TIMEOUT").optional(),
        ],
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "flushall",
        summary: "Deletes all keys of all databases.",
        since: "1.0.0",
        complexity: "O(N), N: keys in all databases",
        history: &[("4.0.0", "`ASYNC`."), ("6.2.0", "`SYNC`.")],
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        arity: -1,
        flags: Flags(WRITE | WAIT_ENDS_ITSELF),
        categories: Categories(CAT_KEYSPACE | CAT_DANGEROUS),
        reach: Reach::Every,
        arguments: &[Arg::one_of(
            "flush-type",
            &[
                Arg::word("async", "ASYNC").since("4.0.0"),
                Arg::word("sync", "SYNC").since("6.2.0"),
            ],
        )
        .optional()],
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "flushdb",
        summary: "Deletes all keys of the database.",
        since: "1.0.0",
        complexity: "O(N), N: keys in the database",
        history: &[("4.0.0", "`ASYNC`."), ("6.2.0", "`SYNC`.")],
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        arity: -1,
        flags: Flags(WRITE),
        categories: Categories(CAT_KEYSPACE | CAT_DANGEROUS),
        reach: Reach::Every,
        arguments: &[Arg::one_of(
            "flush-type",
            &[
                Arg::word("async", "ASYNC").since("4.0.0"),
                Arg::word("sync", "SYNC").since("6.2.0"),
            ],
        )
        .optional()],
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "info",
        summary: "Gives facts and statistics about the server.",
        since: "1.0.0",
        complexity: "O(1)",
        history: &[("7.0.0", "Takes several sections.")],
        tips: &[
            "nondeterministic_output",
            "request_policy:all_shards",
            "response_policy:special",
        ],
        arity: -1,
        flags: Flags(LOADING | STALE | BESIDE_SCRIPTS),
        categories: Categories(CAT_DANGEROUS),
        reach: Reach::Every,
        arguments: &[Arg::string("section").optional().multiple()],
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "lastsave",
        summary: "Gives the Unix time of the last successful save.",
        since: "1.0.0",
        complexity: "O(1)",
        tips: &["nondeterministic_output"],
        arity: 1,
        flags: Flags(LOADING | STALE | FAST),
        categories: Categories(CAT_ADMIN | CAT_DANGEROUS),
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "lolwut",
        summary: "Shows the version, with or without art.",
        since: "5.0.0",
        arity: -1,
        flags: Flags(READONLY | FAST),
        arguments: &[Arg::integer("version").after("VERSION").optional()],
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "monitor",
        summary: "Streams all commands that the server runs.",
        since: "1.0.0",
        arity: 1,
        flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE),
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "psync",
        summary: "Starts or resumes a replica's stream.",
        since: "2.8.0",
        arity: -3,
        flags: Flags(NO_ASYNC_LOADING | ADMIN | NO_MULTI | NO_SCRIPT),
        arguments: &[Arg::string("replicationid"), Arg::integer("offset")],
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "replconf",
        summary: "Tells the master about the replica, and the replica about its master.",
        since: "3.0.0",
        complexity: "O(1)",
        doc_flag: DocFlag::System,
        arity: -1,
        flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE | ALLOW_BUSY),
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "replicaof",
        summary: "Makes the server a replica of another, or a master.",
        since: "5.0.0",
        complexity: "O(1)",
        arity: -3,
        flags: Flags(NO_ASYNC_LOADING | ADMIN | NO_SCRIPT | STALE),
        reach: Reach::Every,
        arguments: &[Arg::one_of(
            "args",
            &[
                Arg::block(
                    "host-port",
                    &[
                        Arg::string("host"),
                        Arg::integer("port"),
                        Arg::word("force", "FORCE").optional(),
                    ],
                ),
                Arg::block("no-one", &[Arg::word("no", "NO"), Arg::word("one", "ONE")]),
            ],
        )],
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "replication",
        summary: "Holds the commands that explain replication. Not one of Redis's.",
        since: "7.2.0",
        complexity: "That of the subcommand",
        arity: -2,
        subcommands: &[
            CommandSpec {
                name: "replication|delta",
                summary: "What a replica asks its master in a delta resync.",
                since: "7.2.0",
                complexity: "O(N) in the background, N: keys in all databases",
                tips: &["nondeterministic_output"],
                arity: -4,
                flags: Flags(ADMIN | NO_SCRIPT | NO_MULTI | WAIT_ENDS_ITSELF),
                arguments: &[Arg::string("question").multiple()],
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "replication|digest",
                summary: "What a replica asks its master in a verification.",
                since: "7.2.0",
                complexity: "O(N) in the background, N: keys in all databases",
                tips: &["nondeterministic_output"],
                arity: -4,
                flags: Flags(ADMIN | NO_SCRIPT | STALE | NO_MULTI | WAIT_ENDS_ITSELF),
                arguments: &[Arg::string("question").multiple()],
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "replication|explain",
                summary: "Says why nodes resynced, and what a cut link would mean.",
                since: "7.2.0",
                complexity: "O(N), N: replicas",
                tips: &["nondeterministic_output"],
                arity: 2,
                flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE),
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "replication|help",
                summary: "Lists the subcommands.",
                since: "7.2.0",
                complexity: "O(1)",
                arity: 2,
                flags: Flags(LOADING | STALE),
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "replication|history",
                summary: "Gives the last full resyncs with their reasons.",
                since: "7.2.0",
                complexity: "O(N), N: resyncs kept",
                tips: &["nondeterministic_output"],
                arity: -2,
                flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE),
                arguments: &[Arg::integer("count").optional()],
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "replication|repair",
                summary: "Sends what a verification found to differ to the replicas.",
                since: "7.2.0",
                complexity: "O(N), N: bytes of the keys that differ",
                tips: &["nondeterministic_output"],
                arity: 3,
                flags: Flags(ADMIN | NO_SCRIPT | NO_MULTI | WAIT_ENDS_ITSELF),
                arguments: &[Arg::word("replica", "REPLICA")],
                ..CommandSpec::of(Group::Server)
            },
            CommandSpec {
                name: "replication|verify",
                summary: "Compares replicas with their master by digests at one offset.",
                since: "7.2.0",
                complexity: "O(N) in the background, N: keys in all databases",
                tips: &["nondeterministic_output"],
                arity: -2,
                flags: Flags(ADMIN | NO_SCRIPT | NO_MULTI | WAIT_ENDS_ITSELF),
                arguments: &[
                    Arg::one_of(
                        "with",
                        &[
                            Arg::word("replica", "REPLICA"),
                            Arg::word("master", "MASTER"),
                        ],
                    )
                    .optional(),
                    Arg::integer("seconds").after("PERIOD").optional(),
                ],
                ..CommandSpec::of(Group::Server)
            },
        ],
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "role",
        summary: "Gives the server's role in replication.",
        since: "2.8.12",
        complexity: "O(1)",
        arity: 1,
        flags: Flags(NO_SCRIPT | LOADING | STALE | FAST),
        categories: Categories(CAT_ADMIN | CAT_DANGEROUS),
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "save",
        summary: "Saves the data to disk and answers when it is done.",
        since: "1.0.0",
        complexity: "O(N), N: keys in all databases",
        arity: 1,
        flags: Flags(NO_ASYNC_LOADING | ADMIN | NO_SCRIPT | NO_MULTI | WAIT_ENDS_ITSELF),
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "shutdown",
        summary: "Saves the data if need be and ends the server.",
        since: "1.0.0",
        complexity: "O(N) if it saves, N: keys in all databases; else O(1)",
        history: &[("7.0.0", "`NOW`, `FORCE` and `ABORT`.")],
        arity: -1,
        flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY | ENDS_NODE),
        arguments: &[
            Arg::one_of(
                "save-selector",
                &[Arg::word("nosave", "NOSAVE"), Arg::word("save", "SAVE")],
            )
            .optional(),
            Arg::word("now", "NOW").since("7.0.0").optional(),
            Arg::word("force", "FORCE").since("7.0.0").optional(),
            Arg::word("abort", "ABORT").since("7.0.0").optional(),
        ],
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "slaveof",
        summary: "Makes the server a replica of another, or a master.",
        since: "1.0.0",
        complexity: "O(1)",
        doc_flag: DocFlag::Deprecated,
        deprecated_since: "5.0.0",
        replaced_by: "`REPLICAOF`",
        arity: -3,
        flags: Flags(NO_ASYNC_LOADING | ADMIN | NO_SCRIPT | STALE),
        reach: Reach::Every,
        arguments: &[Arg::one_of(
            "args",
            &[
                Arg::block(
                    "host-port",
                    &[
                        Arg::string("host"),
                        Arg::integer("port"),
                        Arg::word("force", "FORCE").optional(),
                    ],
                ),
                Arg::block("no-one", &[Arg::word("no", "NO"), Arg::word("one", "ONE")]),
            ],
        )],
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "swapdb",
        summary: "Swaps two databases.",
        since: "4.0.0",
        complexity: "O(N), N: clients that watch or wait for keys of the two databases",
        arity: 3,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_KEYSPACE | CAT_DANGEROUS),
        reach: Reach::Every,
        arguments: &[Arg::integer("index1"), Arg::integer("index2")],
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "sync",
        summary: "Starts a replica's stream by the old protocol.",
        since: "1.0.0",
        arity: 1,
        flags: Flags(NO_ASYNC_LOADING | ADMIN | NO_MULTI | NO_SCRIPT),
        ..CommandSpec::of(Group::Server)
    },
    CommandSpec {
        name: "time",
        summary: "Gives the server's time.",
        since: "2.6.0",
        complexity: "O(1)",
        tips: &["nondeterministic_output"],
        arity: 1,
        flags: Flags(LOADING | STALE | FAST),
        ..CommandSpec::of(Group::Server)
    },
];
