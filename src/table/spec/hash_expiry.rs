//! Expiry of hash fields: rows of the command table (see [`super`] for what a row says).

use crate::table::spec::bits::{
    ACCESS, CAT_HASH, DELETE, DENY_OOM, FAST, READONLY, RO, RW, UPDATE, WRITE,
};
use crate::table::spec::{Arg, Categories, CommandSpec, Flags, Group, KeySpec};

const CONDITION: Arg = Arg::one_of(
    "condition",
    &[
        Arg::word("nx", "NX"),
        Arg::word("xx", "XX"),
        Arg::word("gt", "GT"),
        Arg::word("lt", "LT"),
    ],
)
.optional();
const FIELDS: Arg = Arg::block(
    "fields",
    &[Arg::integer("numfields"), Arg::string("field").multiple()],
)
.after("FIELDS");

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "hexpire",
        summary: "Sets the time to live of fields, in seconds.",
        since: "7.4.0",
        complexity: "O(N), N: fields given",
        arity: -6,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RW | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("seconds"),
            CONDITION,
            FIELDS,
        ],
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hexpireat",
        summary: "Sets when fields expire, in seconds of unix time.",
        since: "7.4.0",
        complexity: "O(N), N: fields given",
        arity: -6,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RW | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::unix_time("unix-time-seconds"),
            CONDITION,
            FIELDS,
        ],
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hexpiretime",
        summary: "Gives when fields expire, in seconds of unix time.",
        since: "7.4.0",
        complexity: "O(N), N: fields given",
        arity: -5,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0), FIELDS],
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hgetdel",
        summary: "Gives the values of fields and deletes them.",
        since: "8.0.0",
        complexity: "O(N), N: fields given",
        arity: -5,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RW | ACCESS | DELETE)],
        arguments: &[Arg::key("key", 0), FIELDS],
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hgetex",
        summary: "Gives the values of fields and may change when they expire.",
        since: "8.0.0",
        complexity: "O(N), N: fields given",
        arity: -5,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RW | ACCESS | UPDATE).notes("Expiries may change.")],
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
            FIELDS,
        ],
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hpersist",
        summary: "Takes the expiry of fields away.",
        since: "7.4.0",
        complexity: "O(N), N: fields given",
        arity: -5,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RW | UPDATE)],
        arguments: &[Arg::key("key", 0), FIELDS],
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hpexpire",
        summary: "Sets the time to live of fields, in milliseconds.",
        since: "7.4.0",
        complexity: "O(N), N: fields given",
        arity: -6,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RW | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("milliseconds"),
            CONDITION,
            FIELDS,
        ],
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hpexpireat",
        summary: "Sets when fields expire, in milliseconds of unix time.",
        since: "7.4.0",
        complexity: "O(N), N: fields given",
        arity: -6,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RW | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::unix_time("unix-time-milliseconds"),
            CONDITION,
            FIELDS,
        ],
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hpexpiretime",
        summary: "Gives when fields expire, in milliseconds of unix time.",
        since: "7.4.0",
        complexity: "O(N), N: fields given",
        arity: -5,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0), FIELDS],
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hpttl",
        summary: "Gives the time to live of fields, in milliseconds.",
        since: "7.4.0",
        complexity: "O(N), N: fields given",
        tips: &["nondeterministic_output"],
        arity: -5,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0), FIELDS],
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "hsetex",
        summary: "Sets fields and when they expire.",
        since: "8.0.0",
        complexity: "O(N), N: fields given",
        arity: -6,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RW | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::one_of(
                "condition",
                &[Arg::word("fnx", "FNX"), Arg::word("fxx", "FXX")],
            )
            .optional(),
            Arg::one_of(
                "expiration",
                &[
                    Arg::integer("seconds").after("EX"),
                    Arg::integer("milliseconds").after("PX"),
                    Arg::unix_time("unix-time-seconds").after("EXAT"),
                    Arg::unix_time("unix-time-milliseconds").after("PXAT"),
                    Arg::word("keepttl", "KEEPTTL"),
                ],
            )
            .optional(),
            Arg::block(
                "fields",
                &[
                    Arg::integer("numfields"),
                    Arg::block("data", &[Arg::string("field"), Arg::string("value")]).multiple(),
                ],
            )
            .after("FIELDS"),
        ],
        ..CommandSpec::of(Group::Hash)
    },
    CommandSpec {
        name: "httl",
        summary: "Gives the time to live of fields, in seconds.",
        since: "7.4.0",
        complexity: "O(N), N: fields given",
        tips: &["nondeterministic_output"],
        arity: -5,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_HASH),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0), FIELDS],
        ..CommandSpec::of(Group::Hash)
    },
];
