//! HyperLogLog commands: rows of the command table (see [`super`] for what a row says).

use crate::table::spec::bits::{
    ACCESS, ADMIN, CAT_HYPERLOGLOG, DENY_OOM, FAST, INSERT, MAY_REPLICATE, READONLY, RO, RW, WRITE,
};
use crate::table::spec::{Arg, Categories, CommandSpec, DocFlag, Flags, Group, KeySpec};

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "pfadd",
        summary: "Adds elements to a HyperLogLog, creating the key if it is absent.",
        since: "2.8.9",
        complexity: "O(1) for each element",
        arity: -2,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_HYPERLOGLOG),
        keys: &[KeySpec::at(1, RW | INSERT)],
        arguments: &[
            Arg::key("key", 0),
            Arg::string("element").optional().multiple(),
        ],
        ..CommandSpec::of(Group::HyperLogLog)
    },
    CommandSpec {
        name: "pfcount",
        summary: "Estimates how many different elements HyperLogLogs have seen together.",
        since: "2.8.9",
        complexity: "O(1), or O(N) and slower with N keys",
        arity: -2,
        flags: Flags(READONLY | MAY_REPLICATE),
        categories: Categories(CAT_HYPERLOGLOG),
        keys: &[KeySpec::range(1, -1, 1, RW | ACCESS)
            .notes("The result is kept in the value, which replicas are told of.")],
        arguments: &[Arg::key("key", 0).multiple()],
        ..CommandSpec::of(Group::HyperLogLog)
    },
    CommandSpec {
        name: "pfdebug",
        summary: "For tests: how a HyperLogLog is kept.",
        since: "2.8.9",
        complexity: "N/A",
        doc_flag: DocFlag::System,
        arity: 3,
        flags: Flags(WRITE | DENY_OOM | ADMIN),
        categories: Categories(CAT_HYPERLOGLOG),
        keys: &[KeySpec::at(2, RW | ACCESS)],
        arguments: &[Arg::string("subcommand"), Arg::key("key", 0)],
        ..CommandSpec::of(Group::HyperLogLog)
    },
    CommandSpec {
        name: "pfmerge",
        summary: "Merges HyperLogLogs into one.",
        since: "2.8.9",
        complexity: "O(N), N: keys",
        arity: -2,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_HYPERLOGLOG),
        keys: &[
            KeySpec::at(1, RW | ACCESS | INSERT),
            KeySpec::range(2, -1, 1, RO | ACCESS),
        ],
        arguments: &[
            Arg::key("destkey", 0),
            Arg::key("sourcekey", 1).optional().multiple(),
        ],
        ..CommandSpec::of(Group::HyperLogLog)
    },
    CommandSpec {
        name: "pfselftest",
        summary: "For tests: whether HyperLogLogs work on this machine.",
        since: "2.8.9",
        complexity: "N/A",
        doc_flag: DocFlag::System,
        arity: 1,
        flags: Flags(ADMIN),
        categories: Categories(CAT_HYPERLOGLOG),
        ..CommandSpec::of(Group::HyperLogLog)
    },
];
