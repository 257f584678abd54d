//! Bitmap commands: rows of the command table (see [`super`] for what a row says).

use crate::table::spec::bits::{
    ACCESS, CAT_BITMAP, DENY_OOM, FAST, OW, READONLY, RO, RW, UPDATE, VARIABLE_FLAGS, WRITE,
};
use crate::table::spec::{Arg, Categories, CommandSpec, Flags, Group, KeySpec, SpecialKeys};

const UNIT: Arg = Arg::one_of(
    "unit",
    &[Arg::word("byte", "BYTE"), Arg::word("bit", "BIT")],
)
.since("7.0.0")
.optional();

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "bitcount",
        summary: "Counts the bits of a string that are 1.",
        since: "2.6.0",
        complexity: "O(N), N: length of the part counted",
        history: &[("7.0.0", "`BYTE` and `BIT`.")],
        arity: -2,
        flags: Flags(READONLY),
        categories: Categories(CAT_BITMAP),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::block("range", &[Arg::integer("start"), Arg::integer("end"), UNIT]).optional(),
        ],
        ..CommandSpec::of(Group::Bitmap)
    },
    CommandSpec {
        name: "bitfield",
        summary: "Gets, sets and increments integers of any width at any bit of a string.",
        since: "3.2.0",
        complexity: "O(1) for each operation",
        arity: -2,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_BITMAP),
        keys: &[
            KeySpec::at(1, RW | UPDATE | ACCESS | VARIABLE_FLAGS).notes("Read only with `GET`s.")
        ],
        special_keys: SpecialKeys::Bitfield,
        arguments: &[
            Arg::key("key", 0),
            Arg::one_of(
                "operation",
                &[
                    Arg::block(
                        "get-block",
                        &[Arg::string("encoding"), Arg::integer("offset")],
                    )
                    .after("GET"),
                    Arg::block(
                        "write",
                        &[
                            Arg::one_of(
                                "overflow-block",
                                &[
                                    Arg::word("wrap", "WRAP"),
                                    Arg::word("sat", "SAT"),
                                    Arg::word("fail", "FAIL"),
                                ],
                            )
                            .after("OVERFLOW")
                            .optional(),
                            Arg::one_of(
                                "write-operation",
                                &[
                                    Arg::block(
                                        "set-block",
                                        &[
                                            Arg::string("encoding"),
                                            Arg::integer("offset"),
                                            Arg::integer("value"),
                                        ],
                                    )
                                    .after("SET"),
                                    Arg::block(
                                        "incrby-block",
                                        &[
                                            Arg::string("encoding"),
                                            Arg::integer("offset"),
                                            Arg::integer("increment"),
                                        ],
                                    )
                                    .after("INCRBY"),
                                ],
                            ),
                        ],
                    ),
                ],
            )
            .optional()
            .multiple(),
        ],
        ..CommandSpec::of(Group::Bitmap)
    },
    CommandSpec {
        name: "bitfield_ro",
        summary: "Gets integers of any width at any bit of a string.",
        since: "6.0.0",
        complexity: "O(1) for each operation",
        arity: -2,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_BITMAP),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::block(
                "get-block",
                &[Arg::string("encoding"), Arg::integer("offset")],
            )
            .after("GET")
            .optional()
            .multiple_token(),
        ],
        ..CommandSpec::of(Group::Bitmap)
    },
    CommandSpec {
        name: "bitop",
        summary: "Combines strings bit by bit and stores the result.",
        since: "2.6.0",
        complexity: "O(N), N: length of all strings",
        history: &[("8.2.0", "`DIFF`, `DIFF1`, `ANDOR` and `ONE`.")],
        arity: -4,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_BITMAP),
        keys: &[
            KeySpec::at(2, OW | UPDATE),
            KeySpec::range(3, -1, 1, RO | ACCESS),
        ],
        arguments: &[
            Arg::one_of(
                "operation",
                &[
                    Arg::word("and", "AND"),
                    Arg::word("or", "OR"),
                    Arg::word("xor", "XOR"),
                    Arg::word("not", "NOT"),
                    Arg::word("diff", "DIFF").since("8.2.0"),
                    Arg::word("diff1", "DIFF1").since("8.2.0"),
                    Arg::word("andor", "ANDOR").since("8.2.0"),
                    Arg::word("one", "ONE").since("8.2.0"),
                ],
            ),
            Arg::key("destkey", 0),
            Arg::key("key", 1).multiple(),
        ],
        ..CommandSpec::of(Group::Bitmap)
    },
    CommandSpec {
        name: "bitpos",
        summary: "Finds the first bit of a string that is 1, or 0.",
        since: "2.8.7",
        complexity: "O(N), N: length of the part searched",
        history: &[("7.0.0", "`BYTE` and `BIT`.")],
        arity: -3,
        flags: Flags(READONLY),
        categories: Categories(CAT_BITMAP),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("bit"),
            Arg::block(
                "range",
                &[
                    Arg::integer("start"),
                    Arg::block("end-unit-block", &[Arg::integer("end"), UNIT]).optional(),
                ],
            )
            .optional(),
        ],
        ..CommandSpec::of(Group::Bitmap)
    },
    CommandSpec {
        name: "getbit",
        summary: "Gives one bit of a string.",
        since: "2.2.0",
        complexity: "O(1)",
        arity: 3,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_BITMAP),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0), Arg::integer("offset")],
        ..CommandSpec::of(Group::Bitmap)
    },
    CommandSpec {
        name: "setbit",
        summary: "Sets one bit of a string to 0 or 1, padding with zero bytes, and gives what it was.",
        since: "2.2.0",
        complexity: "O(1)",
        arity: 4,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_BITMAP),
        keys: &[KeySpec::at(1, RW | ACCESS | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("offset"),
            Arg::integer("value"),
        ],
        ..CommandSpec::of(Group::Bitmap)
    },
];
