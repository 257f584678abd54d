//! List commands: rows of the command table (see [`super`] for what a row says).

use crate::table::spec::bits::{
    ACCESS, BLOCKING, CAT_LIST, DELETE, DENY_OOM, FAST, INSERT, READONLY, RO, RW, UPDATE, WRITE,
};
use crate::table::spec::{Arg, Categories, CommandSpec, DocFlag, Flags, Group, KeySpec};

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "blmove",
        summary: "Moves an element from one list to another, waiting until there is one.",
        since: "6.2.0",
        complexity: "O(1)",
        arity: 6,
        flags: Flags(WRITE | DENY_OOM | BLOCKING),
        categories: Categories(CAT_LIST),
        keys: &[
            KeySpec::at(1, RW | ACCESS | DELETE),
            KeySpec::at(2, RW | INSERT),
        ],
        arguments: &[
            Arg::key("source", 0),
            Arg::key("destination", 1),
            Arg::one_of(
                "wherefrom",
                &[Arg::word("left", "LEFT"), Arg::word("right", "RIGHT")],
            ),
            Arg::one_of(
                "whereto",
                &[Arg::word("left", "LEFT"), Arg::word("right", "RIGHT")],
            ),
            Arg::double("timeout"),
        ],
        ..CommandSpec::of(Group::List)
    },
    CommandSpec {
        name: "blmpop",
        summary: "Pops elements from the first list that has any, waiting until one has.",
        since: "7.0.0",
        complexity: "O(N+M), N: keys given, M: elements popped",
        arity: -5,
        flags: Flags(WRITE | BLOCKING),
        categories: Categories(CAT_LIST),
        keys: &[KeySpec::counted(2, RW | ACCESS | DELETE)],
        arguments: &[
            Arg::double("timeout"),
            Arg::integer("numkeys"),
            Arg::key("key", 0).multiple(),
            Arg::one_of(
                "where",
                &[Arg::word("left", "LEFT"), Arg::word("right", "RIGHT")],
            ),
            Arg::integer("count").after("COUNT").optional(),
        ],
        ..CommandSpec::of(Group::List)
    },
    CommandSpec {
        name: "blpop",
        summary: "Pops the first element of the first list that has one, waiting until one has.",
        since: "2.0.0",
        complexity: "O(N), N: keys given",
        history: &[("6.0.0", "The timeout may have a fraction.")],
        arity: -3,
        flags: Flags(WRITE | BLOCKING),
        categories: Categories(CAT_LIST),
        keys: &[KeySpec::range(1, -2, 1, RW | ACCESS | DELETE)],
        arguments: &[Arg::key("key", 0).multiple(), Arg::double("timeout")],
        ..CommandSpec::of(Group::List)
    },
    CommandSpec {
        name: "brpop",
        summary: "Pops the last element of the first list that has one, waiting until one has.",
        since: "2.0.0",
        complexity: "O(N), N: keys given",
        history: &[("6.0.0", "The timeout may have a fraction.")],
        arity: -3,
        flags: Flags(WRITE | BLOCKING),
        categories: Categories(CAT_LIST),
        keys: &[KeySpec::range(1, -2, 1, RW | ACCESS | DELETE)],
        arguments: &[Arg::key("key", 0).multiple(), Arg::double("timeout")],
        ..CommandSpec::of(Group::List)
    },
    CommandSpec {
        name: "brpoplpush",
        summary: "Moves the last element of a list to the head of another, waiting until there is one.",
        since: "2.2.0",
        complexity: "O(1)",
        doc_flag: DocFlag::Deprecated,
        deprecated_since: "6.2.0",
        replaced_by: "`BLMOVE` with `RIGHT` and `LEFT`",
        history: &[("6.0.0", "The timeout may have a fraction.")],
        arity: 4,
        flags: Flags(WRITE | DENY_OOM | BLOCKING),
        categories: Categories(CAT_LIST),
        keys: &[
            KeySpec::at(1, RW | ACCESS | DELETE),
            KeySpec::at(2, RW | INSERT),
        ],
        arguments: &[
            Arg::key("source", 0),
            Arg::key("destination", 1),
            Arg::double("timeout"),
        ],
        ..CommandSpec::of(Group::List)
    },
    CommandSpec {
        name: "lindex",
        summary: "Gives the element at an index of a list.",
        since: "1.0.0",
        complexity: "O(N), N: elements between the index and the nearer end",
        arity: 3,
        flags: Flags(READONLY),
        categories: Categories(CAT_LIST),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0), Arg::integer("index")],
        ..CommandSpec::of(Group::List)
    },
    CommandSpec {
        name: "linsert",
        summary: "Inserts an element before or after another one in a list.",
        since: "2.2.0",
        complexity: "O(N), N: elements before the pivot",
        arity: 5,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_LIST),
        keys: &[KeySpec::at(1, RW | INSERT)],
        arguments: &[
            Arg::key("key", 0),
            Arg::one_of(
                "where",
                &[Arg::word("before", "BEFORE"), Arg::word("after", "AFTER")],
            ),
            Arg::string("pivot"),
            Arg::string("element"),
        ],
        ..CommandSpec::of(Group::List)
    },
    CommandSpec {
        name: "llen",
        summary: "Gives the length of a list.",
        since: "1.0.0",
        complexity: "O(1)",
        arity: 2,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_LIST),
        keys: &[KeySpec::at(1, RO)],
        arguments: &[Arg::key("key", 0)],
        ..CommandSpec::of(Group::List)
    },
    CommandSpec {
        name: "lmove",
        summary: "Moves an element from one end of a list to an end of another.",
        since: "6.2.0",
        complexity: "O(1)",
        arity: 5,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_LIST),
        keys: &[
            KeySpec::at(1, RW | ACCESS | DELETE),
            KeySpec::at(2, RW | INSERT),
        ],
        arguments: &[
            Arg::key("source", 0),
            Arg::key("destination", 1),
            Arg::one_of(
                "wherefrom",
                &[Arg::word("left", "LEFT"), Arg::word("right", "RIGHT")],
            ),
            Arg::one_of(
                "whereto",
                &[Arg::word("left", "LEFT"), Arg::word("right", "RIGHT")],
            ),
        ],
        ..CommandSpec::of(Group::List)
    },
    CommandSpec {
        name: "lmpop",
        summary: "Pops elements from the first list that has any.",
        since: "7.0.0",
        complexity: "O(N+M), N: keys given, M: elements popped",
        arity: -4,
        flags: Flags(WRITE),
        categories: Categories(CAT_LIST),
        keys: &[KeySpec::counted(1, RW | ACCESS | DELETE)],
        arguments: &[
            Arg::integer("numkeys"),
            Arg::key("key", 0).multiple(),
            Arg::one_of(
                "where",
                &[Arg::word("left", "LEFT"), Arg::word("right", "RIGHT")],
            ),
            Arg::integer("count").after("COUNT").optional(),
        ],
        ..CommandSpec::of(Group::List)
    },
    CommandSpec {
        name: "lpop",
        summary: "Pops elements from the head of a list.",
        since: "1.0.0",
        complexity: "O(N), N: elements popped",
        history: &[("6.2.0", "Takes a count.")],
        arity: -2,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_LIST),
        keys: &[KeySpec::at(1, RW | ACCESS | DELETE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("count").since("6.2.0").optional(),
        ],
        ..CommandSpec::of(Group::List)
    },
    CommandSpec {
        name: "lpos",
        summary: "Finds the indexes of matching elements in a list.",
        since: "6.0.6",
        complexity: "O(N), N: elements looked at",
        arity: -3,
        flags: Flags(READONLY),
        categories: Categories(CAT_LIST),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::string("element"),
            Arg::integer("rank").after("RANK").optional(),
            Arg::integer("num-matches").after("COUNT").optional(),
            Arg::integer("len").after("MAXLEN").optional(),
        ],
        ..CommandSpec::of(Group::List)
    },
    CommandSpec {
        name: "lpush",
        summary: "Pushes elements to the head of a list, creating it if it is absent.",
        since: "1.0.0",
        complexity: "O(N), N: elements pushed",
        history: &[("2.4.0", "Takes several elements.")],
        arity: -3,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_LIST),
        keys: &[KeySpec::at(1, RW | INSERT)],
        arguments: &[Arg::key("key", 0), Arg::string("element").multiple()],
        ..CommandSpec::of(Group::List)
    },
    CommandSpec {
        name: "lpushx",
        summary: "Pushes elements to the head of a list, if it exists.",
        since: "2.2.0",
        complexity: "O(N), N: elements pushed",
        history: &[("4.0.0", "Takes several elements.")],
        arity: -3,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_LIST),
        keys: &[KeySpec::at(1, RW | INSERT)],
        arguments: &[Arg::key("key", 0), Arg::string("element").multiple()],
        ..CommandSpec::of(Group::List)
    },
    CommandSpec {
        name: "lrange",
        summary: "Gives a range of a list's elements.",
        since: "1.0.0",
        complexity: "O(S+N), S: distance of the start from the nearer end, N: elements given",
        arity: 4,
        flags: Flags(READONLY),
        categories: Categories(CAT_LIST),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("start"),
            Arg::integer("stop"),
        ],
        ..CommandSpec::of(Group::List)
    },
    CommandSpec {
        name: "lrem",
        summary: "Removes elements equal to a value from a list.",
        since: "1.0.0",
        complexity: "O(N+M), N: length of the list, M: elements removed",
        arity: 4,
        flags: Flags(WRITE),
        categories: Categories(CAT_LIST),
        keys: &[KeySpec::at(1, RW | DELETE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("count"),
            Arg::string("element"),
        ],
        ..CommandSpec::of(Group::List)
    },
    CommandSpec {
        name: "lset",
        summary: "Replaces the element at an index of a list.",
        since: "1.0.0",
        complexity: "O(N), N: distance of the index from the nearer end",
        arity: 4,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_LIST),
        keys: &[KeySpec::at(1, RW | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("index"),
            Arg::string("element"),
        ],
        ..CommandSpec::of(Group::List)
    },
    CommandSpec {
        name: "ltrim",
        summary: "Cuts a list down to a range of its elements.",
        since: "1.0.0",
        complexity: "O(N), N: elements removed",
        arity: 4,
        flags: Flags(WRITE),
        categories: Categories(CAT_LIST),
        keys: &[KeySpec::at(1, RW | DELETE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("start"),
            Arg::integer("stop"),
        ],
        ..CommandSpec::of(Group::List)
    },
    CommandSpec {
        name: "rpop",
        summary: "Pops elements from the tail of a list.",
        since: "1.0.0",
        complexity: "O(N), N: elements popped",
        history: &[("6.2.0", "Takes a count.")],
        arity: -2,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_LIST),
        keys: &[KeySpec::at(1, RW | ACCESS | DELETE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("count").since("6.2.0").optional(),
        ],
        ..CommandSpec::of(Group::List)
    },
    CommandSpec {
        name: "rpoplpush",
        summary: "Moves the last element of a list to the head of another.",
        since: "1.2.0",
        complexity: "O(1)",
        doc_flag: DocFlag::Deprecated,
        deprecated_since: "6.2.0",
        replaced_by: "`LMOVE` with `RIGHT` and `LEFT`",
        arity: 3,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_LIST),
        keys: &[
            KeySpec::at(1, RW | ACCESS | DELETE),
            KeySpec::at(2, RW | INSERT),
        ],
        arguments: &[Arg::key("source", 0), Arg::key("destination", 1)],
        ..CommandSpec::of(Group::List)
    },
    CommandSpec {
        name: "rpush",
        summary: "Pushes elements to the tail of a list, creating it if it is absent.",
        since: "1.0.0",
        complexity: "O(N), N: elements pushed",
        history: &[("2.4.0", "Takes several elements.")],
        arity: -3,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_LIST),
        keys: &[KeySpec::at(1, RW | INSERT)],
        arguments: &[Arg::key("key", 0), Arg::string("element").multiple()],
        ..CommandSpec::of(Group::List)
    },
    CommandSpec {
        name: "rpushx",
        summary: "Pushes elements to the tail of a list, if it exists.",
        since: "2.2.0",
        complexity: "O(N), N: elements pushed",
        history: &[("4.0.0", "Takes several elements.")],
        arity: -3,
        flags: Flags(WRITE | DENY_OOM | FAST),
        categories: Categories(CAT_LIST),
        keys: &[KeySpec::at(1, RW | INSERT)],
        arguments: &[Arg::key("key", 0), Arg::string("element").multiple()],
        ..CommandSpec::of(Group::List)
    },
];
