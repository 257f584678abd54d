//! Consumer groups' commands, and XINFO: rows of the command table (see [`super`] for what a row says).

use crate::table::spec::bits::{
    ACCESS, BLOCKING, CAT_STREAM, DELETE, DENY_OOM, FAST, INSERT, LOADING, READONLY, RO, RW, STALE,
    UPDATE, WRITE,
};
use crate::table::spec::{
    Arg, BeginSearch, Categories, CommandSpec, FindKeys, Flags, Group, KeyFlags, KeySpec,
    SpecialKeys,
};

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "xack",
        summary: "Takes entries off the list of those pending in a group.",
        since: "5.0.0",
        complexity: "O(1) for each id",
        arity: -4,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_STREAM),
        keys: &[KeySpec::at(1, RW | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::string("group"),
            Arg::string("ID").multiple(),
        ],
        ..CommandSpec::of(Group::Stream)
    },
    CommandSpec {
        name: "xackdel",
        summary: "Takes entries off the list of those pending in a group, and deletes them from the stream.",
        since: "8.2.0",
        complexity: "O(1) for each id",
        arity: -6,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_STREAM),
        keys: &[KeySpec::at(1, RW | UPDATE | DELETE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::string("group"),
            Arg::one_of(
                "condition",
                &[
                    Arg::word("keepref", "KEEPREF"),
                    Arg::word("delref", "DELREF"),
                    Arg::word("acked", "ACKED"),
                ],
            )
            .optional(),
            Arg::block(
                "ids",
                &[Arg::integer("numids"), Arg::string("id").multiple()],
            )
            .after("IDS"),
        ],
        ..CommandSpec::of(Group::Stream)
    },
    CommandSpec {
        name: "xautoclaim",
        summary: "Gives a consumer entries that have been pending for long, found by going through the list.",
        since: "6.2.0",
        complexity: "O(1) if COUNT is small",
        history: &[("7.0.0", "Ids that are gone are returned, too.")],
        tips: &["nondeterministic_output"],
        arity: -6,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_STREAM),
        keys: &[KeySpec::at(1, RW | DELETE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::string("group"),
            Arg::string("consumer"),
            Arg::string("min-idle-time"),
            Arg::string("start"),
            Arg::integer("count").after("COUNT").optional(),
            Arg::word("justid", "JUSTID").optional(),
        ],
        ..CommandSpec::of(Group::Stream)
    },
    CommandSpec {
        name: "xclaim",
        summary: "Gives a consumer entries that are pending with another one.",
        since: "5.0.0",
        complexity: "O(log(N)) for each id, N: entries pending in the group",
        tips: &["nondeterministic_output"],
        arity: -6,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_STREAM),
        keys: &[KeySpec::at(1, RW | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::string("group"),
            Arg::string("consumer"),
            Arg::string("min-idle-time"),
            Arg::string("ID").multiple(),
            Arg::integer("ms").after("IDLE").optional(),
            Arg::unix_time("unix-time-milliseconds")
                .after("TIME")
                .optional(),
            Arg::integer("count").after("RETRYCOUNT").optional(),
            Arg::word("force", "FORCE").optional(),
            Arg::word("justid", "JUSTID").optional(),
            Arg::string("lastid").after("LASTID").optional(),
        ],
        ..CommandSpec::of(Group::Stream)
    },
    CommandSpec {
        name: "xgroup",
        summary: "Container of the commands about consumer groups.",
        since: "5.0.0",
        complexity: "Depends on subcommand.",
        arity: -2,
        subcommands: &[
            CommandSpec {
                name: "xgroup|create",
                summary: "Makes a consumer group.",
                since: "5.0.0",
                complexity: "O(1)",
                history: &[("7.0.0", "`ENTRIESREAD`.")],
                arity: -5,
                flags: Flags(WRITE | DENY_OOM),
                categories: Categories(CAT_STREAM),
                keys: &[KeySpec::at(2, RW | INSERT)],
                arguments: &[
                    Arg::key("key", 0),
                    Arg::string("group"),
                    Arg::one_of(
                        "id-selector",
                        &[Arg::string("id"), Arg::word("new-id", "$")],
                    ),
                    Arg::word("mkstream", "MKSTREAM").optional(),
                    Arg::integer("entries-read").after("ENTRIESREAD").optional(),
                ],
                ..CommandSpec::of(Group::Stream)
            },
            CommandSpec {
                name: "xgroup|createconsumer",
                summary: "Makes a consumer.",
                since: "6.2.0",
                complexity: "O(1)",
                arity: 5,
                flags: Flags(WRITE | DENY_OOM),
                categories: Categories(CAT_STREAM),
                keys: &[KeySpec::at(2, RW | INSERT)],
                arguments: &[
                    Arg::key("key", 0),
                    Arg::string("group"),
                    Arg::string("consumer"),
                ],
                ..CommandSpec::of(Group::Stream)
            },
            CommandSpec {
                name: "xgroup|delconsumer",
                summary: "Removes a consumer with all that is pending with it.",
                since: "5.0.0",
                complexity: "O(N), N: entries pending with it",
                arity: 5,
                flags: Flags(WRITE),
                categories: Categories(CAT_STREAM),
                keys: &[KeySpec::at(2, RW | DELETE)],
                arguments: &[
                    Arg::key("key", 0),
                    Arg::string("group"),
                    Arg::string("consumer"),
                ],
                ..CommandSpec::of(Group::Stream)
            },
            CommandSpec {
                name: "xgroup|destroy",
                summary: "Removes a consumer group.",
                since: "5.0.0",
                complexity: "O(N), N: entries pending in it",
                arity: 4,
                flags: Flags(WRITE),
                categories: Categories(CAT_STREAM),
                keys: &[KeySpec::at(2, RW | DELETE)],
                arguments: &[Arg::key("key", 0), Arg::string("group")],
                ..CommandSpec::of(Group::Stream)
            },
            CommandSpec {
                name: "xgroup|help",
                summary: "Lists the subcommands.",
                since: "5.0.0",
                complexity: "O(1)",
                arity: 2,
                flags: Flags(LOADING | STALE),
                categories: Categories(CAT_STREAM),
                ..CommandSpec::of(Group::Stream)
            },
            CommandSpec {
                name: "xgroup|setid",
                summary: "Sets up to where a group has read.",
                since: "5.0.0",
                complexity: "O(1)",
                history: &[("7.0.0", "`ENTRIESREAD`.")],
                arity: -5,
                flags: Flags(WRITE),
                categories: Categories(CAT_STREAM),
                keys: &[KeySpec::at(2, RW | UPDATE)],
                arguments: &[
                    Arg::key("key", 0),
                    Arg::string("group"),
                    Arg::one_of(
                        "id-selector",
                        &[Arg::string("id"), Arg::word("new-id", "$")],
                    ),
                    Arg::integer("entriesread").after("ENTRIESREAD").optional(),
                ],
                ..CommandSpec::of(Group::Stream)
            },
        ],
        ..CommandSpec::of(Group::Stream)
    },
    CommandSpec {
        name: "xinfo",
        summary: "Container of the commands that describe streams.",
        since: "5.0.0",
        complexity: "Depends on subcommand.",
        arity: -2,
        subcommands: &[
            CommandSpec {
                name: "xinfo|consumers",
                summary: "Lists the consumers of a group.",
                since: "5.0.0",
                complexity: "O(N), N: consumers",
                history: &[("7.2.0", "Added the `inactive` field.")],
                tips: &["nondeterministic_output"],
                arity: 4,
                flags: Flags(READONLY),
                categories: Categories(CAT_STREAM),
                keys: &[KeySpec::at(2, RO | ACCESS)],
                arguments: &[Arg::key("key", 0), Arg::string("group")],
                ..CommandSpec::of(Group::Stream)
            },
            CommandSpec {
                name: "xinfo|groups",
                summary: "Lists the groups of a stream.",
                since: "5.0.0",
                complexity: "O(N), N: groups",
                history: &[("7.0.0", "Added the `entries-read` and `lag` fields")],
                arity: 3,
                flags: Flags(READONLY),
                categories: Categories(CAT_STREAM),
                keys: &[KeySpec::at(2, RO | ACCESS)],
                arguments: &[Arg::key("key", 0)],
                ..CommandSpec::of(Group::Stream)
            },
            CommandSpec {
                name: "xinfo|help",
                summary: "Lists the subcommands.",
                since: "5.0.0",
                complexity: "O(1)",
                arity: 2,
                flags: Flags(LOADING | STALE),
                categories: Categories(CAT_STREAM),
                ..CommandSpec::of(Group::Stream)
            },
            CommandSpec {
                name: "xinfo|stream",
                summary: "Describes a stream.",
                since: "5.0.0",
                complexity: "O(1); O(N) with FULL, N: what is shown",
                history: &[
                    ("6.0.0", "Added the `FULL` modifier."),
                    (
                        "7.0.0",
                        "Added the `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and `lag` fields",
                    ),
                    (
                        "7.2.0",
                        "Added the `active-time` field, and changed the meaning of `seen-time`.",
                    ),
                ],
                arity: -3,
                flags: Flags(READONLY),
                categories: Categories(CAT_STREAM),
                keys: &[KeySpec::at(2, RO | ACCESS)],
                arguments: &[
                    Arg::key("key", 0),
                    Arg::block(
                        "full-block",
                        &[
                            Arg::word("full", "FULL"),
                            Arg::integer("count").after("COUNT").optional(),
                        ],
                    )
                    .optional(),
                ],
                ..CommandSpec::of(Group::Stream)
            },
        ],
        ..CommandSpec::of(Group::Stream)
    },
    CommandSpec {
        name: "xpending",
        summary: "Sums up or lists what is pending in a group.",
        since: "5.0.0",
        complexity: "O(N), N: entries returned; O(C) without a range, C: consumers",
        history: &[("6.2.0", "`IDLE`, and ranges that exclude their ends.")],
        tips: &["nondeterministic_output"],
        arity: -3,
        flags: Flags(READONLY),
        categories: Categories(CAT_STREAM),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::string("group"),
            Arg::block(
                "filters",
                &[
                    Arg::integer("min-idle-time")
                        .after("IDLE")
                        .since("6.2.0")
                        .optional(),
                    Arg::string("start"),
                    Arg::string("end"),
                    Arg::integer("count"),
                    Arg::string("consumer").optional(),
                ],
            )
            .optional(),
        ],
        ..CommandSpec::of(Group::Stream)
    },
    CommandSpec {
        name: "xreadgroup",
        summary: "Returns entries as a consumer of a group, waiting until there are new ones if asked to.",
        since: "5.0.0",
        complexity: "O(M), M: entries returned",
        arity: -7,
        flags: Flags(BLOCKING | WRITE),
        categories: Categories(CAT_STREAM),
        keys: &[KeySpec {
            notes: "",
            flags: KeyFlags(RO | ACCESS),
            begin: BeginSearch::Keyword {
                keyword: "STREAMS",
                start_from: 4,
            },
            find: FindKeys::Range {
                last_key: -1,
                step: 1,
                limit: 2,
            },
        }],
        special_keys: SpecialKeys::Streams,
        arguments: &[
            Arg::block(
                "group-block",
                &[Arg::string("group"), Arg::string("consumer")],
            )
            .after("GROUP"),
            Arg::integer("count").after("COUNT").optional(),
            Arg::integer("milliseconds").after("BLOCK").optional(),
            Arg::word("noack", "NOACK").optional(),
            Arg::block(
                "streams",
                &[Arg::key("key", 0).multiple(), Arg::string("ID").multiple()],
            )
            .after("STREAMS"),
        ],
        ..CommandSpec::of(Group::Stream)
    },
];
