//! Stream commands but those of consumer groups: rows of the command table (see [`super`] for what a row says).

use crate::table::spec::bits::{
    ACCESS, BLOCKING, CAT_STREAM, DELETE, DENY_OOM, FAST, READONLY, RO, RW, UPDATE, WRITE,
};
use crate::table::spec::{
    Arg, BeginSearch, Categories, CommandSpec, FindKeys, Flags, Group, KeyFlags, KeySpec,
    SpecialKeys,
};

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "xadd",
        summary: "Adds an entry to a stream, creating the stream if it is absent.",
        since: "5.0.0",
        complexity: "O(1); O(N) for trimming, N: entries that go",
        history: &[
            ("6.2.0", "`NOMKSTREAM`, `MINID` and `LIMIT`."),
            ("7.0.0", "Ids of the form `<ms>-*`."),
        ],
        tips: &["nondeterministic_output"],
        arity: -5,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_STREAM),
        keys: &[
            KeySpec::at(1, RW | UPDATE).notes("Updates rather than inserts, as it may trim, too.")
        ],
        arguments: &[
            Arg::key("key", 0),
            Arg::word("nomkstream", "NOMKSTREAM")
                .since("6.2.0")
                .optional(),
            Arg::block(
                "trim",
                &[
                    Arg::one_of(
                        "strategy",
                        &[
                            Arg::word("maxlen", "MAXLEN"),
                            Arg::word("minid", "MINID").since("6.2.0"),
                        ],
                    ),
                    Arg::one_of(
                        "operator",
                        &[Arg::word("equal", "="), Arg::word("approximately", "~")],
                    )
                    .optional(),
                    Arg::string("threshold"),
                    Arg::integer("count")
                        .after("LIMIT")
                        .since("6.2.0")
                        .optional(),
                ],
            )
            .optional(),
            Arg::one_of(
                "id-selector",
                &[Arg::word("auto-id", "*"), Arg::string("id")],
            ),
            Arg::block("data", &[Arg::string("field"), Arg::string("value")]).multiple(),
        ],
        ..CommandSpec::of(Group::Stream)
    },
    CommandSpec {
        name: "xdel",
        summary: "Deletes entries by their ids.",
        since: "5.0.0",
        complexity: "O(1) for each id",
        arity: -3,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_STREAM),
        keys: &[KeySpec::at(1, RW | DELETE)],
        arguments: &[Arg::key("key", 0), Arg::string("ID").multiple()],
        ..CommandSpec::of(Group::Stream)
    },
    CommandSpec {
        name: "xdelex",
        summary: "Deletes entries by their ids, and says what became of each.",
        since: "8.2.0",
        complexity: "O(1) for each id",
        arity: -5,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_STREAM),
        keys: &[KeySpec::at(1, RW | DELETE)],
        arguments: &[
            Arg::key("key", 0),
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
        name: "xlen",
        summary: "Counts the entries of a stream.",
        since: "5.0.0",
        complexity: "O(1)",
        arity: 2,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_STREAM),
        keys: &[KeySpec::at(1, RO)],
        arguments: &[Arg::key("key", 0)],
        ..CommandSpec::of(Group::Stream)
    },
    CommandSpec {
        name: "xrange",
        summary: "Returns the entries of a range of ids.",
        since: "5.0.0",
        complexity: "O(N), N: entries returned",
        history: &[("6.2.0", "Ranges that exclude their ends.")],
        arity: -4,
        flags: Flags(READONLY),
        categories: Categories(CAT_STREAM),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::string("start"),
            Arg::string("end"),
            Arg::integer("count").after("COUNT").optional(),
        ],
        ..CommandSpec::of(Group::Stream)
    },
    CommandSpec {
        name: "xread",
        summary: "Returns entries above given ids from several streams, waiting until there are some if asked to.",
        since: "5.0.0",
        arity: -4,
        flags: Flags(BLOCKING | READONLY),
        categories: Categories(CAT_STREAM),
        keys: &[KeySpec {
            notes: "",
            flags: KeyFlags(RO | ACCESS),
            begin: BeginSearch::Keyword {
                keyword: "STREAMS",
                start_from: 1,
            },
            find: FindKeys::Range {
                last_key: -1,
                step: 1,
                limit: 2,
            },
        }],
        special_keys: SpecialKeys::Streams,
        arguments: &[
            Arg::integer("count").after("COUNT").optional(),
            Arg::integer("milliseconds").after("BLOCK").optional(),
            Arg::block(
                "streams",
                &[Arg::key("key", 0).multiple(), Arg::string("ID").multiple()],
            )
            .after("STREAMS"),
        ],
        ..CommandSpec::of(Group::Stream)
    },
    CommandSpec {
        name: "xrevrange",
        summary: "Returns the entries of a range of ids, the highest first.",
        since: "5.0.0",
        complexity: "O(N), N: entries returned",
        history: &[("6.2.0", "Ranges that exclude their ends.")],
        arity: -4,
        flags: Flags(READONLY),
        categories: Categories(CAT_STREAM),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::string("end"),
            Arg::string("start"),
            Arg::integer("count").after("COUNT").optional(),
        ],
        ..CommandSpec::of(Group::Stream)
    },
    CommandSpec {
        name: "xsetid",
        summary: "Sets what a stream knows of entries that were. For replication.",
        since: "5.0.0",
        complexity: "O(1)",
        history: &[("7.0.0", "`ENTRIESADDED` and `MAXDELETEDID`.")],
        arity: -3,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_STREAM),
        keys: &[KeySpec::at(1, RW | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::string("last-id"),
            Arg::integer("entries-added")
                .after("ENTRIESADDED")
                .since("7.0.0")
                .optional(),
            Arg::string("max-deleted-id")
                .after("MAXDELETEDID")
                .since("7.0.0")
                .optional(),
        ],
        ..CommandSpec::of(Group::Stream)
    },
    CommandSpec {
        name: "xtrim",
        summary: "Deletes the oldest entries.",
        since: "5.0.0",
        complexity: "O(N), N: entries that go",
        history: &[("6.2.0", "`MINID` and `LIMIT`.")],
        tips: &["nondeterministic_output"],
        arity: -4,
        flags: Flags(WRITE),
        categories: Categories(CAT_STREAM),
        keys: &[KeySpec::at(1, RW | DELETE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::block(
                "trim",
                &[
                    Arg::one_of(
                        "strategy",
                        &[
                            Arg::word("maxlen", "MAXLEN"),
                            Arg::word("minid", "MINID").since("6.2.0"),
                        ],
                    ),
                    Arg::one_of(
                        "operator",
                        &[Arg::word("equal", "="), Arg::word("approximately", "~")],
                    )
                    .optional(),
                    Arg::string("threshold"),
                    Arg::integer("count")
                        .after("LIMIT")
                        .since("6.2.0")
                        .optional(),
                ],
            ),
        ],
        ..CommandSpec::of(Group::Stream)
    },
];
