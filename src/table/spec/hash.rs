//! Hash commands: rows of the command table (see [`super`] for what a row says).

use crate::table::spec::bits::{
    ACCESS, CAT_HASH, DELETE, DENY_OOM, FAST, INSERT, READONLY, RO, RW, UPDATE, WRITE,
};
use crate::table::spec::{Arg, Categories, CommandSpec, DocFlag, Flags, Group, KeySpec};

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "hdel",
        summary: "Removes fields from a hash.",
        since: "2.0.0",
        complexity: "O(N), N: fields removed",
        history: &[("2.4.0", "Takes several fields.")],
        arity: -3,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RW | DELETE)],
        arguments: &[Arg::key("key", 0), Arg::string("field").multiple()],
        member_arg: Some(2),
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hexists",
        summary: "Tells whether a hash has a field.",
        since: "2.0.0",
        complexity: "O(1)",
        arity: 3,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RO)],
        arguments: &[Arg::key("key", 0), Arg::string("field")],
        member_arg: Some(2),
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hget",
        summary: "Gives the value of a hash field.",
        since: "2.0.0",
        complexity: "O(1)",
        arity: 3,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0), Arg::string("field")],
        member_arg: Some(2),
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hgetall",
        summary: "Gives all fields of a hash with their values.",
        since: "2.0.0",
        complexity: "O(N), N: fields of the hash",
        tips: &["nondeterministic_output_order"],
        arity: 2,
        flags: Flags(READONLY),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0)],
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hincrby",
        summary: "Adds an integer to the number in a hash field; an absent field counts as 0.",
        since: "2.0.0",
        complexity: "O(1)",
        arity: 4,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RW | ACCESS | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::string("field"),
            Arg::integer("increment"),
        ],
        member_arg: Some(2),
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hincrbyfloat",
        summary: "Adds a floating-point number to the number in a hash field; an absent field counts as 0.",
        since: "2.6.0",
        complexity: "O(1)",
        arity: 4,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RW | ACCESS | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::string("field"),
            Arg::double("increment"),
        ],
        member_arg: Some(2),
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hkeys",
        summary: "Gives all field names of a hash.",
        since: "2.0.0",
        complexity: "O(N), N: fields of the hash",
        tips: &["nondeterministic_output_order"],
        arity: 2,
        flags: Flags(READONLY),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0)],
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hlen",
        summary: "Gives the number of fields of a hash.",
        since: "2.0.0",
        complexity: "O(1)",
        arity: 2,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RO)],
        arguments: &[Arg::key("key", 0)],
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hmget",
        summary: "Gives the values of several hash fields.",
        since: "2.0.0",
        complexity: "O(N), N: fields asked for",
        arity: -3,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0), Arg::string("field").multiple()],
        member_arg: Some(2),
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hmset",
        summary: "Sets several hash fields.",
        since: "2.0.0",
        complexity: "O(N), N: fields set",
        doc_flag: DocFlag::Deprecated,
        deprecated_since: "4.0.0",
        replaced_by: "`HSET` with several fields",
        arity: -4,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RW | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::block("data", &[Arg::string("field"), Arg::string("value")]).multiple(),
        ],
        member_arg: Some(2),
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hrandfield",
        summary: "Gives random fields of a hash.",
        since: "6.2.0",
        complexity: "O(N), N: fields given",
        tips: &["nondeterministic_output"],
        arity: -2,
        flags: Flags(READONLY),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::block(
                "options",
                &[
                    Arg::integer("count"),
                    Arg::word("withvalues", "WITHVALUES").optional(),
                ],
            )
            .optional(),
        ],
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hscan",
        summary: "Walks a hash's fields and values in steps.",
        since: "2.8.0",
        complexity: "O(1) for a step, O(N) for a whole walk, N: elements walked",
        tips: &["nondeterministic_output"],
        arity: -3,
        flags: Flags(READONLY),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("cursor"),
            Arg::pattern("pattern").after("MATCH").optional(),
            Arg::integer("count").after("COUNT").optional(),
        ],
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hset",
        summary: "Sets hash fields, creating the hash if it is absent.",
        since: "2.0.0",
        complexity: "O(N), N: fields set",
        history: &[("4.0.0", "Takes several fields and values.")],
        arity: -4,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RW | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::block("data", &[Arg::string("field"), Arg::string("value")]).multiple(),
        ],
        member_arg: Some(2),
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hsetnx",
        summary: "Sets a hash field if it is absent.",
        since: "2.0.0",
        complexity: "O(1)",
        arity: 4,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RW | INSERT)],
        arguments: &[
            Arg::key("key", 0),
            Arg::string("field"),
            Arg::string("value"),
        ],
        member_arg: Some(2),
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hstrlen",
        summary: "Gives the length of a hash field's value.",
        since: "3.2.0",
        complexity: "O(1)",
        arity: 3,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RO)],
        arguments: &[Arg::key("key", 0), Arg::string("field")],
        member_arg: Some(2),
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hvals",
        summary: "Gives all values of a hash.",
        since: "2.0.0",
        complexity: "O(N), N: fields of the hash",
        tips: &["nondeterministic_output_order"],
        arity: 2,
        flags: Flags(READONLY),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0)],
        ..CommandSpec::of(Group::Hash)
    },
];
