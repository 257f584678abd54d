//! Set commands: rows of the command table (see [`super`] for what a row says).

use crate::table::spec::bits::{
    ACCESS, CAT_SET, DELETE, DENY_OOM, FAST, INSERT, OW, READONLY, RO, RW, UPDATE, WRITE,
};
use crate::table::spec::{Arg, Categories, CommandSpec, Flags, Group, KeySpec};

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "sadd",
        summary: "Adds members to a set, creating it if it is absent.",
        since: "1.0.0",
        complexity: "O(N), N: members given",
        history: &[("2.4.0", "Takes several members.")],
        arity: -3,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_SET),
        keys: &[KeySpec::at(1, RW | INSERT)],
        arguments: &[Arg::key("key", 0), Arg::string("member").multiple()],
        member_arg: Some(2),
        ..CommandSpec::of(Group::Set)
    },
    CommandSpec {
        name: "scard",
        summary: "Gives the number of members of a set.",
        since: "1.0.0",
        complexity: "O(1)",
        arity: 2,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_SET),
        keys: &[KeySpec::at(1, RO)],
        arguments: &[Arg::key("key", 0)],
        ..CommandSpec::of(Group::Set)
    },
    CommandSpec {
        name: "sdiff",
        summary: "Gives the members of the first set that no other set has.",
        since: "1.0.0",
        complexity: "O(N), N: members of all sets",
        tips: &["nondeterministic_output_order"],
        arity: -2,
        flags: Flags(READONLY),
        categories: Categories(CAT_SET),
        keys: &[KeySpec::range(1, -1, 1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0).multiple()],
        ..CommandSpec::of(Group::Set)
    },
    CommandSpec {
        name: "sdiffstore",
        summary: "Stores the members of the first set that no other set has.",
        since: "1.0.0",
        complexity: "O(N), N: members of all sets",
        arity: -3,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_SET),
        keys: &[
            KeySpec::at(1, OW | UPDATE),
            KeySpec::range(2, -1, 1, RO | ACCESS),
        ],
        arguments: &[Arg::key("destination", 0), Arg::key("key", 1).multiple()],
        ..CommandSpec::of(Group::Set)
    },
    CommandSpec {
        name: "sinter",
        summary: "Gives the members that all sets have.",
        since: "1.0.0",
        complexity: "O(N*M) at worst, N: members of the smallest set, M: sets",
        tips: &["nondeterministic_output_order"],
        arity: -2,
        flags: Flags(READONLY),
        categories: Categories(CAT_SET),
        keys: &[KeySpec::range(1, -1, 1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0).multiple()],
        ..CommandSpec::of(Group::Set)
    },
    CommandSpec {
        name: "sintercard",
        summary: "Counts the members that all sets have.",
        since: "7.0.0",
        complexity: "O(N*M) at worst, N: members of the smallest set, M: sets",
        arity: -3,
        flags: Flags(READONLY),
        categories: Categories(CAT_SET),
        keys: &[KeySpec::counted(1, RO | ACCESS)],
        arguments: &[
            Arg::integer("numkeys"),
            Arg::key("key", 0).multiple(),
            Arg::integer("limit").after("LIMIT").optional(),
        ],
        ..CommandSpec::of(Group::Set)
    },
    CommandSpec {
        name: "sinterstore",
        summary: "Stores the members that all sets have.",
        since: "1.0.0",
        complexity: "O(N*M) at worst, N: members of the smallest set, M: sets",
        arity: -3,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_SET),
        keys: &[
            KeySpec::at(1, RW | UPDATE),
            KeySpec::range(2, -1, 1, RO | ACCESS),
        ],
        arguments: &[Arg::key("destination", 0), Arg::key("key", 1).multiple()],
        ..CommandSpec::of(Group::Set)
    },
    CommandSpec {
        name: "sismember",
        summary: "Tells whether a value is in a set.",
        since: "1.0.0",
        complexity: "O(1)",
        arity: 3,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_SET),
        keys: &[KeySpec::at(1, RO)],
        arguments: &[Arg::key("key", 0), Arg::string("member")],
        member_arg: Some(2),
        ..CommandSpec::of(Group::Set)
    },
    CommandSpec {
        name: "smembers",
        summary: "Gives all members of a set.",
        since: "1.0.0",
        complexity: "O(N), N: members of the set",
        tips: &["nondeterministic_output_order"],
        arity: 2,
        flags: Flags(READONLY),
        categories: Categories(CAT_SET),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0)],
        ..CommandSpec::of(Group::Set)
    },
    CommandSpec {
        name: "smismember",
        summary: "Tells for each of several values whether it is in a set.",
        since: "6.2.0",
        complexity: "O(N), N: members asked for",
        arity: -3,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_SET),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0), Arg::string("member").multiple()],
        member_arg: Some(2),
        ..CommandSpec::of(Group::Set)
    },
    CommandSpec {
        name: "smove",
        summary: "Moves a member from one set to another.",
        since: "1.0.0",
        complexity: "O(1)",
        arity: 4,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_SET),
        keys: &[
            KeySpec::at(1, RW | ACCESS | DELETE),
            KeySpec::at(2, RW | INSERT),
        ],
        arguments: &[
            Arg::key("source", 0),
            Arg::key("destination", 1),
            Arg::string("member"),
        ],
        member_arg: Some(3),
        ..CommandSpec::of(Group::Set)
    },
    CommandSpec {
        name: "spop",
        summary: "Removes random members from a set and gives them.",
        since: "1.0.0",
        complexity: "O(N), N: members asked for",
        history: &[("3.2.0", "Takes a count.")],
        tips: &["nondeterministic_output"],
        arity: -2,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_SET),
        keys: &[KeySpec::at(1, RW | ACCESS | DELETE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("count").since("3.2.0").optional(),
        ],
        ..CommandSpec::of(Group::Set)
    },
    CommandSpec {
        name: "srandmember",
        summary: "Gives random members of a set.",
        since: "1.0.0",
        complexity: "O(N), N: members asked for",
        history: &[("2.6.0", "Takes a count.")],
        tips: &["nondeterministic_output"],
        arity: -2,
        flags: Flags(READONLY),
        categories: Categories(CAT_SET),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("count").since("2.6.0").optional(),
        ],
        ..CommandSpec::of(Group::Set)
    },
    CommandSpec {
        name: "srem",
        summary: "Removes members from a set.",
        since: "1.0.0",
        complexity: "O(N), N: members given",
        history: &[("2.4.0", "Takes several members.")],
        arity: -3,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_SET),
        keys: &[KeySpec::at(1, RW | DELETE)],
        arguments: &[Arg::key("key", 0), Arg::string("member").multiple()],
        member_arg: Some(2),
        ..CommandSpec::of(Group::Set)
    },
    CommandSpec {
        name: "sscan",
        summary: "Walks a set's members in steps.",
        since: "2.8.0",
        complexity: "O(1) for a step, O(N) for a whole walk, N: elements walked",
        tips: &["nondeterministic_output"],
        arity: -3,
        flags: Flags(READONLY),
        categories: Categories(CAT_SET),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("cursor"),
            Arg::pattern("pattern").after("MATCH").optional(),
            Arg::integer("count").after("COUNT").optional(),
        ],
        ..CommandSpec::of(Group::Set)
    },
    CommandSpec {
        name: "sunion",
        summary: "Gives the members that any of the sets has.",
        since: "1.0.0",
        complexity: "O(N), N: members of all sets",
        tips: &["nondeterministic_output_order"],
        arity: -2,
        flags: Flags(READONLY),
        categories: Categories(CAT_SET),
        keys: &[KeySpec::range(1, -1, 1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0).multiple()],
        ..CommandSpec::of(Group::Set)
    },
    CommandSpec {
        name: "sunionstore",
        summary: "Stores the members that any of the sets has.",
        since: "1.0.0",
        complexity: "O(N), N: members of all sets",
        arity: -3,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_SET),
        keys: &[
            KeySpec::at(1, OW | UPDATE),
            KeySpec::range(2, -1, 1, RO | ACCESS),
        ],
        arguments: &[Arg::key("destination", 0), Arg::key("key", 1).multiple()],
        ..CommandSpec::of(Group::Set)
    },
];
