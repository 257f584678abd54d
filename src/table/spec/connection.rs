//! Connection commands and CLIENT: rows of the command table (see [`super`] for what a row says).

use crate::table::spec::bits::{
    ADMIN, ALLOW_BUSY, CAT_CONNECTION, ENDS_MULTI, FAST, LOADING, NO_AUTH, NO_SCRIPT,
    RUNS_IN_MULTI, SHOWS_DISK_ERRORS, STALE, WHILE_SUBSCRIBED,
};
use crate::table::spec::{Arg, Categories, CommandSpec, DocFlag, Flags, Group, Secrets};

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "auth",
        summary: "Logs the connection in.",
        since: "1.0.0",
        complexity: "O(N), N: passwords of the user",
        history: &[("6.0.0", "Takes a user name.")],
        arity: -2,
        flags: Flags(NO_SCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY),
        categories: Categories(CAT_CONNECTION),
        arguments: &[
            Arg::string("username").since("6.0.0").optional(),
            Arg::string("password"),
        ],
        secrets: Secrets::Auth,
        ..CommandSpec::of(Group::Connection)
    },
    CommandSpec {
        name: "client",
        summary: "Holds the commands about client connections.",
        since: "2.4.0",
        complexity: "That of the subcommand",
        arity: -2,
        subcommands: &[
            CommandSpec {
                name: "client|getname",
                summary: "Gives the connection's name.",
                since: "2.6.9",
                complexity: "O(1)",
                arity: 2,
                flags: Flags(NO_SCRIPT | LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                ..CommandSpec::of(Group::Connection)
            },
            CommandSpec {
                name: "client|getredir",
                summary: "Gives the client that gets this connection's invalidation messages.",
                since: "6.0.0",
                complexity: "O(1)",
                arity: 2,
                flags: Flags(NO_SCRIPT | LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                ..CommandSpec::of(Group::Connection)
            },
            CommandSpec {
                name: "client|help",
                summary: "Lists the subcommands.",
                since: "5.0.0",
                complexity: "O(1)",
                arity: 2,
                flags: Flags(LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                ..CommandSpec::of(Group::Connection)
            },
            CommandSpec {
                name: "client|id",
                summary: "Gives the connection's id.",
                since: "5.0.0",
                complexity: "O(1)",
                arity: 2,
                flags: Flags(NO_SCRIPT | LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                ..CommandSpec::of(Group::Connection)
            },
            CommandSpec {
                name: "client|info",
                summary: "Describes this connection.",
                since: "6.2.0",
                complexity: "O(1)",
                tips: &["nondeterministic_output"],
                arity: 2,
                flags: Flags(NO_SCRIPT | LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                ..CommandSpec::of(Group::Connection)
            },
            CommandSpec {
                name: "client|kill",
                summary: "Closes connections.",
                since: "2.4.0",
                complexity: "O(N), N: connections",
                history: &[
                    ("2.8.12", "The form with filters."),
                    ("2.8.12", "The filter `ID`."),
                    ("3.2.0", "`TYPE` knows `master`."),
                    ("5.0.0", "`TYPE` knows `replica`; `slave` means the same."),
                    ("6.2.0", "The filter `LADDR`."),
                ],
                arity: -3,
                flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                arguments: &[Arg::one_of(
                    "filter",
                    &[
                        Arg::string("old-format")
                            .shown_as("ip:port")
                            .deprecated("2.8.12"),
                        Arg::one_of(
                            "new-format",
                            &[
                                Arg::integer("client-id")
                                    .after("ID")
                                    .since("2.8.12")
                                    .optional(),
                                Arg::one_of(
                                    "client-type",
                                    &[
                                        Arg::word("normal", "NORMAL"),
                                        Arg::word("master", "MASTER").since("3.2.0"),
                                        Arg::word("slave", "SLAVE"),
                                        Arg::word("replica", "REPLICA").since("5.0.0"),
                                        Arg::word("pubsub", "PUBSUB"),
                                    ],
                                )
                                .after("TYPE")
                                .since("2.8.12")
                                .optional(),
                                Arg::string("username").after("USER").optional(),
                                Arg::string("addr")
                                    .after("ADDR")
                                    .shown_as("ip:port")
                                    .optional(),
                                Arg::string("laddr")
                                    .after("LADDR")
                                    .shown_as("ip:port")
                                    .since("6.2.0")
                                    .optional(),
                                Arg::one_of(
                                    "skipme",
                                    &[Arg::word("yes", "YES"), Arg::word("no", "NO")],
                                )
                                .after("SKIPME")
                                .optional(),
                            ],
                        )
                        .multiple(),
                    ],
                )],
                ..CommandSpec::of(Group::Connection)
            },
            CommandSpec {
                name: "client|list",
                summary: "Describes the open connections.",
                since: "2.4.0",
                complexity: "O(N), N: connections",
                history: &[
                    ("2.8.12", "The field `id`."),
                    ("5.0.0", "The filter `TYPE`."),
                    ("6.0.0", "The field `user`."),
                    (
                        "6.2.0",
                        "The fields `argv-mem`, `tot-mem`, `laddr`, `redir` and the filter `ID`.",
                    ),
                    ("7.0.0", "The fields `resp`, `multi-mem`, `rbs`, `rbp`."),
                    ("7.0.3", "The field `ssub`."),
                ],
                tips: &["nondeterministic_output"],
                arity: -2,
                flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                arguments: &[
                    Arg::one_of(
                        "client-type",
                        &[
                            Arg::word("normal", "NORMAL"),
                            Arg::word("master", "MASTER"),
                            Arg::word("replica", "REPLICA"),
                            Arg::word("pubsub", "PUBSUB"),
                        ],
                    )
                    .after("TYPE")
                    .since("5.0.0")
                    .optional(),
                    Arg::integer("client-id")
                        .after("ID")
                        .since("6.2.0")
                        .optional()
                        .multiple(),
                ],
                ..CommandSpec::of(Group::Connection)
            },
            CommandSpec {
                name: "client|no-evict",
                summary: "Keeps the connection from being closed for memory, or no longer.",
                since: "7.0.0",
                complexity: "O(1)",
                arity: 3,
                flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                arguments: &[Arg::one_of(
                    "enabled",
                    &[Arg::word("on", "ON"), Arg::word("off", "OFF")],
                )],
                ..CommandSpec::of(Group::Connection)
            },
            CommandSpec {
                name: "client|no-touch",
                summary: "Keeps the connection's commands from stamping keys as used, or no longer.",
                since: "7.2.0",
                complexity: "O(1)",
                arity: 3,
                flags: Flags(NO_SCRIPT | LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                arguments: &[Arg::one_of(
                    "enabled",
                    &[Arg::word("on", "ON"), Arg::word("off", "OFF")],
                )],
                ..CommandSpec::of(Group::Connection)
            },
            CommandSpec {
                name: "client|pause",
                summary: "Holds up clients' commands for some time.",
                since: "3.0.0",
                complexity: "O(1)",
                history: &[("6.2.0", "The mode, `WRITE` or `ALL`.")],
                arity: -3,
                flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                arguments: &[
                    Arg::integer("timeout"),
                    Arg::one_of(
                        "mode",
                        &[Arg::word("write", "WRITE"), Arg::word("all", "ALL")],
                    )
                    .since("6.2.0")
                    .optional(),
                ],
                ..CommandSpec::of(Group::Connection)
            },
            CommandSpec {
                name: "client|reply",
                summary: "Chooses which commands are answered.",
                since: "3.2.0",
                complexity: "O(1)",
                arity: 3,
                flags: Flags(NO_SCRIPT | LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                arguments: &[Arg::one_of(
                    "action",
                    &[
                        Arg::word("on", "ON"),
                        Arg::word("off", "OFF"),
                        Arg::word("skip", "SKIP"),
                    ],
                )],
                ..CommandSpec::of(Group::Connection)
            },
            CommandSpec {
                name: "client|setinfo",
                summary: "Notes facts about the client's library.",
                since: "7.2.0",
                complexity: "O(1)",
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                arity: 4,
                flags: Flags(NO_SCRIPT | LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                arguments: &[Arg::one_of(
                    "attr",
                    &[
                        Arg::string("libname").after("LIB-NAME"),
                        Arg::string("libver").after("LIB-VER"),
                    ],
                )],
                ..CommandSpec::of(Group::Connection)
            },
            CommandSpec {
                name: "client|setname",
                summary: "Names the connection.",
                since: "2.6.9",
                complexity: "O(1)",
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                arity: 3,
                flags: Flags(NO_SCRIPT | LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                arguments: &[Arg::string("connection-name")],
                ..CommandSpec::of(Group::Connection)
            },
            CommandSpec {
                name: "client|trackinginfo",
                summary: "Describes the connection's use of client-side caching.",
                since: "6.2.0",
                complexity: "O(1)",
                arity: 2,
                flags: Flags(NO_SCRIPT | LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                ..CommandSpec::of(Group::Connection)
            },
            CommandSpec {
                name: "client|unblock",
                summary: "Ends another client's wait in a blocking command.",
                since: "5.0.0",
                complexity: "O(log N), N: connections",
                arity: -3,
                flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                arguments: &[
                    Arg::integer("client-id"),
                    Arg::one_of(
                        "unblock-type",
                        &[Arg::word("timeout", "TIMEOUT"), Arg::word("error", "ERROR")],
                    )
                    .optional(),
                ],
                ..CommandSpec::of(Group::Connection)
            },
            CommandSpec {
                name: "client|unpause",
                summary: "Ends a pause.",
                since: "6.2.0",
                complexity: "O(N), N: paused clients",
                arity: 2,
                flags: Flags(ADMIN | NO_SCRIPT | LOADING | STALE),
                categories: Categories(CAT_CONNECTION),
                ..CommandSpec::of(Group::Connection)
            },
        ],
        ..CommandSpec::of(Group::Connection)
    },
    CommandSpec {
        name: "echo",
        summary: "Answers with the given text.",
        since: "1.0.0",
        complexity: "O(1)",
        arity: 2,
        flags: Flags(LOADING | STALE | FAST),
        categories: Categories(CAT_CONNECTION),
        arguments: &[Arg::string("message")],
        ..CommandSpec::of(Group::Connection)
    },
    CommandSpec {
        name: "hello",
        summary: "Agrees on the protocol version and describes the server.",
        since: "6.0.0",
        complexity: "O(1)",
        history: &[(
            "6.2.0",
            "The version may be left out; then nothing is changed.",
        )],
        arity: -1,
        flags: Flags(NO_SCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY),
        categories: Categories(CAT_CONNECTION),
        arguments: &[Arg::block(
            "arguments",
            &[
                Arg::integer("protover"),
                Arg::block("auth", &[Arg::string("username"), Arg::string("password")])
                    .after("AUTH")
                    .optional(),
                Arg::string("clientname").after("SETNAME").optional(),
            ],
        )
        .optional()],
        secrets: Secrets::Hello,
        ..CommandSpec::of(Group::Connection)
    },
    CommandSpec {
        name: "ping",
        summary: "Answers PONG or the given text.",
        since: "1.0.0",
        complexity: "O(1)",
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        arity: -1,
        flags: Flags(FAST | WHILE_SUBSCRIBED | SHOWS_DISK_ERRORS),
        categories: Categories(CAT_CONNECTION),
        arguments: &[Arg::string("message").optional()],
        ..CommandSpec::of(Group::Connection)
    },
    CommandSpec {
        name: "quit",
        summary: "Closes the connection.",
        since: "1.0.0",
        complexity: "O(1)",
        doc_flag: DocFlag::Deprecated,
        deprecated_since: "7.2.0",
        replaced_by: "closing the connection",
        arity: -1,
        flags: Flags(
            ALLOW_BUSY
                | NO_SCRIPT
                | LOADING
                | STALE
                | FAST
                | NO_AUTH
                | RUNS_IN_MULTI
                | ENDS_MULTI
                | WHILE_SUBSCRIBED,
        ),
        categories: Categories(CAT_CONNECTION),
        ..CommandSpec::of(Group::Connection)
    },
    CommandSpec {
        name: "reset",
        summary: "Sets the connection back to how it was when opened.",
        since: "6.2.0",
        complexity: "O(1)",
        arity: 1,
        flags: Flags(
            NO_SCRIPT
                | LOADING
                | STALE
                | FAST
                | NO_AUTH
                | ALLOW_BUSY
                | RUNS_IN_MULTI
                | ENDS_MULTI
                | WHILE_SUBSCRIBED,
        ),
        categories: Categories(CAT_CONNECTION),
        ..CommandSpec::of(Group::Connection)
    },
    CommandSpec {
        name: "select",
        summary: "Chooses the connection's database.",
        since: "1.0.0",
        complexity: "O(1)",
        arity: 2,
        flags: Flags(LOADING | STALE | FAST),
        categories: Categories(CAT_CONNECTION),
        arguments: &[Arg::integer("index")],
        ..CommandSpec::of(Group::Connection)
    },
];
