//! Sorted set commands over ranges and ranks: rows of the command table (see [`super`] for what a row says).

use crate::table::spec::bits::{
    ACCESS, CAT_SORTED_SET, DELETE, DENY_OOM, FAST, OW, READONLY, RO, RW, UPDATE, WRITE,
};
use crate::table::spec::{Arg, Categories, CommandSpec, DocFlag, Flags, Group, KeySpec};

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "zcount",
        summary: "Counts the members within a range of scores.",
        since: "2.0.0",
        complexity: "O(log(N)), N: members of the set",
        arity: 4,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0), Arg::double("min"), Arg::double("max")],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zlexcount",
        summary: "Counts the members within a lexicographic range.",
        since: "2.8.9",
        complexity: "O(log(N)), N: members of the set",
        arity: 4,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0), Arg::string("min"), Arg::string("max")],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zrange",
        summary: "Gives the members within a range of ranks, scores or names.",
        since: "1.2.0",
        complexity: "O(log(N)+M), N: members of the set, M: members given",
        history: &[("6.2.0", "`REV`, `BYSCORE`, `BYLEX` and `LIMIT`.")],
        arity: -4,
        flags: Flags(READONLY),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::string("start"),
            Arg::string("stop"),
            Arg::one_of(
                "sortby",
                &[Arg::word("byscore", "BYSCORE"), Arg::word("bylex", "BYLEX")],
            )
            .since("6.2.0")
            .optional(),
            Arg::word("rev", "REV").since("6.2.0").optional(),
            Arg::block("limit", &[Arg::integer("offset"), Arg::integer("count")])
                .after("LIMIT")
                .since("6.2.0")
                .optional(),
            Arg::word("withscores", "WITHSCORES").optional(),
        ],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zrangebylex",
        summary: "Gives the members within a lexicographic range.",
        since: "2.8.9",
        complexity: "O(log(N)+M), N: members of the set, M: members given",
        doc_flag: DocFlag::Deprecated,
        deprecated_since: "6.2.0",
        replaced_by: "`ZRANGE` with `BYLEX`",
        arity: -4,
        flags: Flags(READONLY),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::string("min"),
            Arg::string("max"),
            Arg::block("limit", &[Arg::integer("offset"), Arg::integer("count")])
                .after("LIMIT")
                .optional(),
        ],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zrangebyscore",
        summary: "Gives the members within a range of scores.",
        since: "1.0.5",
        complexity: "O(log(N)+M), N: members of the set, M: members given",
        doc_flag: DocFlag::Deprecated,
        deprecated_since: "6.2.0",
        replaced_by: "`ZRANGE` with `BYSCORE`",
        history: &[("2.0.0", "`WITHSCORES`.")],
        arity: -4,
        flags: Flags(READONLY),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::double("min"),
            Arg::double("max"),
            Arg::word("withscores", "WITHSCORES")
                .since("2.0.0")
                .optional(),
            Arg::block("limit", &[Arg::integer("offset"), Arg::integer("count")])
                .after("LIMIT")
                .optional(),
        ],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zrangestore",
        summary: "Stores the members within a range of ranks, scores or names.",
        since: "6.2.0",
        complexity: "O(log(N)+M), N: members of the set, M: members stored",
        arity: -5,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, OW | UPDATE), KeySpec::at(2, RO | ACCESS)],
        arguments: &[
            Arg::key("dst", 0),
            Arg::key("src", 1),
            Arg::string("min"),
            Arg::string("max"),
            Arg::one_of(
                "sortby",
                &[Arg::word("byscore", "BYSCORE"), Arg::word("bylex", "BYLEX")],
            )
            .optional(),
            Arg::word("rev", "REV").optional(),
            Arg::block("limit", &[Arg::integer("offset"), Arg::integer("count")])
                .after("LIMIT")
                .optional(),
        ],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zrank",
        summary: "Gives a member's rank, counted from the lowest score.",
        since: "2.0.0",
        complexity: "O(log(N)), N: members of the set",
        history: &[("7.2.0", "`WITHSCORE`.")],
        arity: -3,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::string("member"),
            Arg::word("withscore", "WITHSCORE").optional(),
        ],
        member_arg: Some(2),
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zremrangebylex",
        summary: "Removes the members within a lexicographic range.",
        since: "2.8.9",
        complexity: "O(log(N)+M), N: members of the set, M: members removed",
        arity: 4,
        flags: Flags(WRITE),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RW | DELETE)],
        arguments: &[Arg::key("key", 0), Arg::string("min"), Arg::string("max")],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zremrangebyrank",
        summary: "Removes the members within a range of ranks.",
        since: "2.0.0",
        complexity: "O(log(N)+M), N: members of the set, M: members removed",
        arity: 4,
        flags: Flags(WRITE),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RW | DELETE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("start"),
            Arg::integer("stop"),
        ],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zremrangebyscore",
        summary: "Removes the members within a range of scores.",
        since: "1.2.0",
        complexity: "O(log(N)+M), N: members of the set, M: members removed",
        arity: 4,
        flags: Flags(WRITE),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RW | DELETE)],
        arguments: &[Arg::key("key", 0), Arg::double("min"), Arg::double("max")],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zrevrange",
        summary: "Gives the members within a range of ranks, highest score first.",
        since: "1.2.0",
        complexity: "O(log(N)+M), N: members of the set, M: members given",
        doc_flag: DocFlag::Deprecated,
        deprecated_since: "6.2.0",
        replaced_by: "`ZRANGE` with `REV`",
        arity: -4,
        flags: Flags(READONLY),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("start"),
            Arg::integer("stop"),
            Arg::word("withscores", "WITHSCORES").optional(),
        ],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zrevrangebylex",
        summary: "Gives the members within a lexicographic range, last first.",
        since: "2.8.9",
        complexity: "O(log(N)+M), N: members of the set, M: members given",
        doc_flag: DocFlag::Deprecated,
        deprecated_since: "6.2.0",
        replaced_by: "`ZRANGE` with `REV` and `BYLEX`",
        arity: -4,
        flags: Flags(READONLY),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::string("max"),
            Arg::string("min"),
            Arg::block("limit", &[Arg::integer("offset"), Arg::integer("count")])
                .after("LIMIT")
                .optional(),
        ],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zrevrangebyscore",
        summary: "Gives the members within a range of scores, highest first.",
        since: "2.2.0",
        complexity: "O(log(N)+M), N: members of the set, M: members given",
        doc_flag: DocFlag::Deprecated,
        deprecated_since: "6.2.0",
        replaced_by: "`ZRANGE` with `REV` and `BYSCORE`",
        history: &[("2.1.6", "The bounds may be exclusive.")],
        arity: -4,
        flags: Flags(READONLY),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::double("max"),
            Arg::double("min"),
            Arg::word("withscores", "WITHSCORES").optional(),
            Arg::block("limit", &[Arg::integer("offset"), Arg::integer("count")])
                .after("LIMIT")
                .optional(),
        ],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zrevrank",
        summary: "Gives a member's rank, counted from the highest score.",
        since: "2.0.0",
        complexity: "O(log(N)), N: members of the set",
        history: &[("7.2.0", "`WITHSCORE`.")],
        arity: -3,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::string("member"),
            Arg::word("withscore", "WITHSCORE").optional(),
        ],
        member_arg: Some(2),
        ..CommandSpec::of(Group::SortedSet)
    },
];
