//! Sorted set commands but those over ranges: rows of the command table (see [`super`] for what a row says).

use crate::table::spec::bits::{
    ACCESS, BLOCKING, CAT_SORTED_SET, DELETE, DENY_OOM, FAST, OW, READONLY, RO, RW, UPDATE, WRITE,
};
use crate::table::spec::{Arg, Categories, CommandSpec, Flags, Group, KeySpec};

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "bzmpop",
        summary: "Pops the lowest or highest members of the first sorted set that has any, waiting until one has.",
        since: "7.0.0",
        complexity: "O(K)+O(M*log(N)), K: keys given, N: members of the set, M: members popped",
        arity: -5,
        flags: Flags(WRITE | BLOCKING),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::counted(2, RW | ACCESS | DELETE)],
        arguments: &[
            Arg::double("timeout"),
            Arg::integer("numkeys"),
            Arg::key("key", 0).multiple(),
            Arg::one_of("where", &[Arg::word("min", "MIN"), Arg::word("max", "MAX")]),
            Arg::integer("count").after("COUNT").optional(),
        ],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "bzpopmax",
        summary: "Pops the highest member of the first sorted set that has one, waiting until one has.",
        since: "5.0.0",
        complexity: "O(log(N)), N: members of the set",
        history: &[("6.0.0", "The timeout may have a fraction.")],
        arity: -3,
        flags: Flags(WRITE | FAST | BLOCKING),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::range(1, -2, 1, RW | ACCESS | DELETE)],
        arguments: &[Arg::key("key", 0).multiple(), Arg::double("timeout")],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "bzpopmin",
        summary: "Pops the lowest member of the first sorted set that has one, waiting until one has.",
        since: "5.0.0",
        complexity: "O(log(N)), N: members of the set",
        history: &[("6.0.0", "The timeout may have a fraction.")],
        arity: -3,
        flags: Flags(WRITE | FAST | BLOCKING),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::range(1, -2, 1, RW | ACCESS | DELETE)],
        arguments: &[Arg::key("key", 0).multiple(), Arg::double("timeout")],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zadd",
        summary: "Adds members with scores to a sorted set or changes their scores, creating it if it is absent.",
        since: "1.2.0",
        complexity: "O(M*log(N)), M: members given, N: members of the set",
        history: &[
            ("2.4.0", "Takes several members."),
            ("3.0.2", "`XX`, `NX`, `CH` and `INCR`."),
            ("6.2.0", "`GT` and `LT`."),
        ],
        arity: -4,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RW | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::one_of("condition", &[Arg::word("nx", "NX"), Arg::word("xx", "XX")])
                .since("3.0.2")
                .optional(),
            Arg::one_of(
                "comparison",
                &[Arg::word("gt", "GT"), Arg::word("lt", "LT")],
            )
            .since("6.2.0")
            .optional(),
            Arg::word("change", "CH").since("3.0.2").optional(),
            Arg::word("increment", "INCR").since("3.0.2").optional(),
            Arg::block("data", &[Arg::double("score"), Arg::string("member")]).multiple(),
        ],
        member_arg: Some(3),
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zcard",
        summary: "Gives the number of members of a sorted set.",
        since: "1.2.0",
        complexity: "O(1)",
        arity: 2,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RO)],
        arguments: &[Arg::key("key", 0)],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zdiff",
        summary: "Gives the members of the first sorted set that no other has.",
        since: "6.2.0",
        complexity: "O(L+(N-K)*log(N)), L: members of all sets, N: of the first set, K: of the result",
        arity: -3,
        flags: Flags(READONLY),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::counted(1, RO | ACCESS)],
        arguments: &[
            Arg::integer("numkeys"),
            Arg::key("key", 0).multiple(),
            Arg::word("withscores", "WITHSCORES").optional(),
        ],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zdiffstore",
        summary: "Stores the members of the first sorted set that no other has.",
        since: "6.2.0",
        complexity: "O(L+(N-K)*log(N)), L: members of all sets, N: of the first set, K: of the result",
        arity: -4,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_SORTED_SET),
        keys: &[
            KeySpec::at(1, OW | UPDATE),
            KeySpec::counted(2, RO | ACCESS),
        ],
        arguments: &[
            Arg::key("destination", 0),
            Arg::integer("numkeys"),
            Arg::key("key", 1).multiple(),
        ],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zincrby",
        summary: "Adds to a member's score; an absent member counts as 0.",
        since: "1.2.0",
        complexity: "O(log(N)), N: members of the set",
        arity: 4,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RW | ACCESS | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("increment"),
            Arg::string("member"),
        ],
        member_arg: Some(3),
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zinter",
        summary: "Gives the members that all sorted sets have.",
        since: "6.2.0",
        complexity: "O(N*K)+O(M*log(M)) at worst, N: members of the smallest set, K: sets, M: members of the result",
        arity: -3,
        flags: Flags(READONLY),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::counted(1, RO | ACCESS)],
        arguments: &[
            Arg::integer("numkeys"),
            Arg::key("key", 0).multiple(),
            Arg::integer("weight")
                .after("WEIGHTS")
                .optional()
                .multiple(),
            Arg::one_of(
                "aggregate",
                &[
                    Arg::word("sum", "SUM"),
                    Arg::word("min", "MIN"),
                    Arg::word("max", "MAX"),
                ],
            )
            .after("AGGREGATE")
            .optional(),
            Arg::word("withscores", "WITHSCORES").optional(),
        ],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zintercard",
        summary: "Counts the members that all sorted sets have.",
        since: "7.0.0",
        complexity: "O(N*K), N: members of the smallest set, K: sets",
        arity: -3,
        flags: Flags(READONLY),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::counted(1, RO | ACCESS)],
        arguments: &[
            Arg::integer("numkeys"),
            Arg::key("key", 0).multiple(),
            Arg::integer("limit").after("LIMIT").optional(),
        ],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zinterstore",
        summary: "Stores the members that all sorted sets have.",
        since: "2.0.0",
        complexity: "O(N*K)+O(M*log(M)) at worst, N: members of the smallest set, K: sets, M: members of the result",
        arity: -4,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_SORTED_SET),
        keys: &[
            KeySpec::at(1, OW | UPDATE),
            KeySpec::counted(2, RO | ACCESS),
        ],
        arguments: &[
            Arg::key("destination", 0),
            Arg::integer("numkeys"),
            Arg::key("key", 1).multiple(),
            Arg::integer("weight")
                .after("WEIGHTS")
                .optional()
                .multiple(),
            Arg::one_of(
                "aggregate",
                &[
                    Arg::word("sum", "SUM"),
                    Arg::word("min", "MIN"),
                    Arg::word("max", "MAX"),
                ],
            )
            .after("AGGREGATE")
            .optional(),
        ],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zmpop",
        summary: "Pops the lowest or highest members of the first sorted set that has any.",
        since: "7.0.0",
        complexity: "O(K)+O(M*log(N)), K: keys given, N: members of the set, M: members popped",
        arity: -4,
        flags: Flags(WRITE),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::counted(1, RW | ACCESS | DELETE)],
        arguments: &[
            Arg::integer("numkeys"),
            Arg::key("key", 0).multiple(),
            Arg::one_of("where", &[Arg::word("min", "MIN"), Arg::word("max", "MAX")]),
            Arg::integer("count").after("COUNT").optional(),
        ],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zmscore",
        summary: "Gives the scores of several members.",
        since: "6.2.0",
        complexity: "O(N), N: members asked for",
        arity: -3,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0), Arg::string("member").multiple()],
        member_arg: Some(2),
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zpopmax",
        summary: "Pops the members with the highest scores.",
        since: "5.0.0",
        complexity: "O(M*log(N)), N: members of the set, M: members popped",
        arity: -2,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RW | ACCESS | DELETE)],
        arguments: &[Arg::key("key", 0), Arg::integer("count").optional()],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zpopmin",
        summary: "Pops the members with the lowest scores.",
        since: "5.0.0",
        complexity: "O(M*log(N)), N: members of the set, M: members popped",
        arity: -2,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RW | ACCESS | DELETE)],
        arguments: &[Arg::key("key", 0), Arg::integer("count").optional()],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zrandmember",
        summary: "Gives random members of a sorted set.",
        since: "6.2.0",
        complexity: "O(N), N: members given",
        tips: &["nondeterministic_output"],
        arity: -2,
        flags: Flags(READONLY),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::block(
                "options",
                &[
                    Arg::integer("count"),
                    Arg::word("withscores", "WITHSCORES").optional(),
                ],
            )
            .optional(),
        ],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zrem",
        summary: "Removes members from a sorted set.",
        since: "1.2.0",
        complexity: "O(M*log(N)), N: members of the set, M: members removed",
        history: &[("2.4.0", "Takes several members.")],
        arity: -3,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RW | DELETE)],
        arguments: &[Arg::key("key", 0), Arg::string("member").multiple()],
        member_arg: Some(2),
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zscan",
        summary: "Walks a sorted set's members and scores in steps.",
        since: "2.8.0",
        complexity: "O(1) for a step, O(N) for a whole walk, N: elements walked",
        tips: &["nondeterministic_output"],
        arity: -3,
        flags: Flags(READONLY),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("cursor"),
            Arg::pattern("pattern").after("MATCH").optional(),
            Arg::integer("count").after("COUNT").optional(),
        ],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zscore",
        summary: "Gives the score of a member.",
        since: "1.2.0",
        complexity: "O(1)",
        arity: 3,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0), Arg::string("member")],
        member_arg: Some(2),
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zunion",
        summary: "Gives the members that any of the sorted sets has.",
        since: "6.2.0",
        complexity: "O(N)+O(M*log(M)), N: members of all sets, M: of the result",
        arity: -3,
        flags: Flags(READONLY),
        categories: Categories(CAT_SORTED_SET),
        keys: &[KeySpec::counted(1, RO | ACCESS)],
        arguments: &[
            Arg::integer("numkeys"),
            Arg::key("key", 0).multiple(),
            Arg::integer("weight")
                .after("WEIGHTS")
                .optional()
                .multiple(),
            Arg::one_of(
                "aggregate",
                &[
                    Arg::word("sum", "SUM"),
                    Arg::word("min", "MIN"),
                    Arg::word("max", "MAX"),
                ],
            )
            .after("AGGREGATE")
            .optional(),
            Arg::word("withscores", "WITHSCORES").optional(),
        ],
        ..CommandSpec::of(Group::SortedSet)
    },
    CommandSpec {
        name: "zunionstore",
        summary: "Stores the members that any of the sorted sets has.",
        since: "2.0.0",
        complexity: "O(N)+O(M*log(M)), N: members of all sets, M: of the result",
        arity: -4,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_SORTED_SET),
        keys: &[
            KeySpec::at(1, OW | UPDATE),
            KeySpec::counted(2, RO | ACCESS),
        ],
        arguments: &[
            Arg::key("destination", 0),
            Arg::integer("numkeys"),
            Arg::key("key", 1).multiple(),
            Arg::integer("weight")
                .after("WEIGHTS")
                .optional()
                .multiple(),
            Arg::one_of(
                "aggregate",
                &[
                    Arg::word("sum", "SUM"),
                    Arg::word("min", "MIN"),
                    Arg::word("max", "MAX"),
                ],
            )
            .after("AGGREGATE")
            .optional(),
        ],
        ..CommandSpec::of(Group::SortedSet)
    },
];
