//! String commands: rows of the command table (see [`super`] for what a row says).

use crate::table::spec::bits::{
    ACCESS, CAT_STRING, DELETE, DENY_OOM, FAST, INSERT, OW, READONLY, RO, RW, UPDATE,
    VARIABLE_FLAGS, WRITE,
};
use crate::table::spec::{
    Arg, Categories, CommandSpec, DocFlag, Flags, Group, KeySpec, SpecialKeys,
};

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "append",
        summary: "Adds bytes at the end of a string, creating the key if it is absent.",
        since: "2.0.0",
        complexity: "O(1) amortised, for short additions",
        arity: 3,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_STRING),
        keys: &[KeySpec::at(1, RW | INSERT)],
        arguments: &[Arg::key("key", 0), Arg::string("value")],
        ..CommandSpec::of(Group::String)
    },
    CommandSpec {
        name: "decr",
        summary: "Subtracts one from the integer at a key; an absent key counts as 0.",
        since: "1.0.0",
        complexity: "O(1)",
        arity: 2,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_STRING),
        keys: &[KeySpec::at(1, RW | ACCESS | UPDATE)],
        arguments: &[Arg::key("key", 0)],
        ..CommandSpec::of(Group::String)
    },
    CommandSpec {
        name: "decrby",
        summary: "Subtracts a number from the integer at a key; an absent key counts as 0.",
        since: "1.0.0",
        complexity: "O(1)",
        arity: 3,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_STRING),
        keys: &[KeySpec::at(1, RW | ACCESS | UPDATE)],
        arguments: &[Arg::key("key", 0), Arg::integer("decrement")],
        ..CommandSpec::of(Group::String)
    },
    CommandSpec {
        name: "get",
        summary: "Gives the string at a key.",
        since: "1.0.0",
        complexity: "O(1)",
        arity: 2,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_STRING),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0)],
        ..CommandSpec::of(Group::String)
    },
    CommandSpec {
        name: "getdel",
        summary: "Gives the string at a key and deletes the key.",
        since: "6.2.0",
        complexity: "O(1)",
        arity: 2,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_STRING),
        keys: &[KeySpec::at(1, RW | ACCESS | DELETE)],
        arguments: &[Arg::key("key", 0)],
        ..CommandSpec::of(Group::String)
    },
    CommandSpec {
        name: "getex",
        summary: "Gives the string at a key and may change its expiry.",
        since: "6.2.0",
        complexity: "O(1)",
        arity: -2,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_STRING),
        keys: &[KeySpec::at(1, RW | ACCESS | UPDATE).notes("The expiry may change.")],
        arguments: &[
            Arg::key("key", 0),
            Arg::one_of(
                "expiration",
                &[
                    Arg::integer("seconds").after("EX"),
                    Arg::integer("milliseconds").after("PX"),
                    Arg::unix_time("unix-time-seconds").after("EXAT"),
                    Arg::unix_time("unix-time-milliseconds").after("PXAT"),
                    Arg::word("persist", "PERSIST"),
                ],
            )
            .optional(),
        ],
        ..CommandSpec::of(Group::String)
    },
    CommandSpec {
        name: "getrange",
        summary: "Gives a part of the string at a key.",
        since: "2.4.0",
        complexity: "O(N), N: length of the reply",
        arity: 4,
        flags: Flags(READONLY),
        categories: Categories(CAT_STRING),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("start"),
            Arg::integer("end"),
        ],
        ..CommandSpec::of(Group::String)
    },
    CommandSpec {
        name: "getset",
        summary: "Sets a key and gives the string that it held before.",
        since: "1.0.0",
        complexity: "O(1)",
        doc_flag: DocFlag::Deprecated,
        deprecated_since: "6.2.0",
        replaced_by: "`SET` with `GET`",
        arity: 3,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_STRING),
        keys: &[KeySpec::at(1, RW | ACCESS | UPDATE)],
        arguments: &[Arg::key("key", 0), Arg::string("value")],
        ..CommandSpec::of(Group::String)
    },
    CommandSpec {
        name: "incr",
        summary: "Adds one to the integer at a key; an absent key counts as 0.",
        since: "1.0.0",
        complexity: "O(1)",
        arity: 2,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_STRING),
        keys: &[KeySpec::at(1, RW | ACCESS | UPDATE)],
        arguments: &[Arg::key("key", 0)],
        ..CommandSpec::of(Group::String)
    },
    CommandSpec {
        name: "incrby",
        summary: "Adds a number to the integer at a key; an absent key counts as 0.",
        since: "1.0.0",
        complexity: "O(1)",
        arity: 3,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_STRING),
        keys: &[KeySpec::at(1, RW | ACCESS | UPDATE)],
        arguments: &[Arg::key("key", 0), Arg::integer("increment")],
        ..CommandSpec::of(Group::String)
    },
    CommandSpec {
        name: "incrbyfloat",
        summary: "Adds a floating-point number to the number at a key; an absent key counts as 0.",
        since: "2.6.0",
        complexity: "O(1)",
        arity: 3,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_STRING),
        keys: &[KeySpec::at(1, RW | ACCESS | UPDATE)],
        arguments: &[Arg::key("key", 0), Arg::double("increment")],
        ..CommandSpec::of(Group::String)
    },
    CommandSpec {
        name: "lcs",
        summary: "Finds the longest common subsequence of two strings.",
        since: "7.0.0",
        complexity: "O(N*M), N and M: the lengths of the strings",
        arity: -3,
        flags: Flags(READONLY),
        categories: Categories(CAT_STRING),
        keys: &[KeySpec::range(1, 1, 1, RO | ACCESS)],
        arguments: &[
            Arg::key("key1", 0),
            Arg::key("key2", 0),
            Arg::word("len", "LEN").optional(),
            Arg::word("idx", "IDX").optional(),
            Arg::integer("min-match-len")
                .after("MINMATCHLEN")
                .optional(),
            Arg::word("withmatchlen", "WITHMATCHLEN").optional(),
        ],
        ..CommandSpec::of(Group::String)
    },
    CommandSpec {
        name: "mget",
        summary: "Gives the strings at several keys.",
        since: "1.0.0",
        complexity: "O(N), N: keys",
        tips: &["request_policy:multi_shard"],
        arity: -2,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_STRING),
        keys: &[KeySpec::range(1, -1, 1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0).multiple()],
        ..CommandSpec::of(Group::String)
    },
    CommandSpec {
        name: "mset",
        summary: "Sets several keys at once.",
        since: "1.0.1",
        complexity: "O(N), N: keys",
        tips: &[
            "request_policy:multi_shard",
            "response_policy:all_succeeded",
        ],
        arity: -3,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_STRING),
        keys: &[KeySpec::range(1, -1, 2, OW | UPDATE)],
        arguments: &[Arg::block("data", &[Arg::key("key", 0), Arg::string("value")]).multiple()],
        ..CommandSpec::of(Group::String)
    },
    CommandSpec {
        name: "msetnx",
        summary: "Sets several keys at once, if none of them exists.",
        since: "1.0.1",
        complexity: "O(N), N: keys",
        arity: -3,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_STRING),
        keys: &[KeySpec::range(1, -1, 2, OW | INSERT)],
        arguments: &[Arg::block("data", &[Arg::key("key", 0), Arg::string("value")]).multiple()],
        ..CommandSpec::of(Group::String)
    },
    CommandSpec {
        name: "psetex",
        summary: "Sets a key with an expiry in milliseconds.",
        since: "2.6.0",
        complexity: "O(1)",
        doc_flag: DocFlag::Deprecated,
        deprecated_since: "2.6.12",
        replaced_by: "`SET` with `PX`",
        arity: 4,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_STRING),
        keys: &[KeySpec::at(1, OW | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("milliseconds"),
            Arg::string("value"),
        ],
        ..CommandSpec::of(Group::String)
    },
    CommandSpec {
        name: "set",
        summary: "Sets a key to a string, whatever it held before.",
        since: "1.0.0",
        complexity: "O(1)",
        history: &[
            ("2.6.12", "`EX`, `PX`, `NX` and `XX`."),
            ("6.0.0", "`KEEPTTL`."),
            ("6.2.0", "`GET`, `EXAT` and `PXAT`."),
            ("7.0.0", "`NX` and `GET` may be given together."),
        ],
        arity: -3,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_STRING),
        keys: &[
            KeySpec::at(1, RW | ACCESS | UPDATE | VARIABLE_FLAGS).notes("Read only with `GET`.")
        ],
        special_keys: SpecialKeys::Set,
        arguments: &[
            Arg::key("key", 0),
            Arg::string("value"),
            Arg::one_of("condition", &[Arg::word("nx", "NX"), Arg::word("xx", "XX")])
                .since("2.6.12")
                .optional(),
            Arg::word("get", "GET").since("6.2.0").optional(),
            Arg::one_of(
                "expiration",
                &[
                    Arg::integer("seconds").after("EX").since("2.6.12"),
                    Arg::integer("milliseconds").after("PX").since("2.6.12"),
                    Arg::unix_time("unix-time-seconds")
                        .after("EXAT")
                        .since("6.2.0"),
                    Arg::unix_time("unix-time-milliseconds")
                        .after("PXAT")
                        .since("6.2.0"),
                    Arg::word("keepttl", "KEEPTTL").since("6.0.0"),
                ],
            )
            .optional(),
        ],
        ..CommandSpec::of(Group::String)
    },
    CommandSpec {
        name: "setex",
        summary: "Sets a key with an expiry in seconds.",
        since: "2.0.0",
        complexity: "O(1)",
        doc_flag: DocFlag::Deprecated,
        deprecated_since: "2.6.12",
        replaced_by: "`SET` with `EX`",
        arity: 4,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_STRING),
        keys: &[KeySpec::at(1, OW | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("seconds"),
            Arg::string("value"),
        ],
        ..CommandSpec::of(Group::String)
    },
    CommandSpec {
        name: "setnx",
        summary: "Sets a key if it is absent.",
        since: "1.0.0",
        complexity: "O(1)",
        doc_flag: DocFlag::Deprecated,
        deprecated_since: "2.6.12",
        replaced_by: "`SET` with `NX`",
        arity: 3,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_STRING),
        keys: &[KeySpec::at(1, OW | INSERT)],
        arguments: &[Arg::key("key", 0), Arg::string("value")],
        ..CommandSpec::of(Group::String)
    },
    CommandSpec {
        name: "setrange",
        summary: "Overwrites a part of a string from an offset on, padding with zero bytes.",
        since: "2.2.0",
        complexity: "O(M), M: length of the new part",
        arity: 4,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_STRING),
        keys: &[KeySpec::at(1, RW | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("offset"),
            Arg::string("value"),
        ],
        ..CommandSpec::of(Group::String)
    },
    CommandSpec {
        name: "strlen",
        summary: "Gives the length of the string at a key.",
        since: "2.2.0",
        complexity: "O(1)",
        arity: 2,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_STRING),
        keys: &[KeySpec::at(1, RO)],
        arguments: &[Arg::key("key", 0)],
        ..CommandSpec::of(Group::String)
    },
    CommandSpec {
        name: "substr",
        summary: "Gives a part of the string at a key.",
        since: "1.0.0",
        complexity: "O(N), N: length of the reply",
        doc_flag: DocFlag::Deprecated,
        deprecated_since: "2.0.0",
        replaced_by: "`GETRANGE`",
        arity: 4,
        flags: Flags(READONLY),
        categories: Categories(CAT_STRING),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("start"),
            Arg::integer("end"),
        ],
        ..CommandSpec::of(Group::String)
    },
];
