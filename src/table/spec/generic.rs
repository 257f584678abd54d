//! Commands on keys of any type: rows of the command table (see [`super`] for what a row says).

use crate::table::spec::bits::{
    ACCESS, CAT_CONNECTION, CAT_DANGEROUS, CAT_KEYSPACE, CAT_LIST, CAT_SET, CAT_SORTED_SET, DELETE,
    DENY_OOM, FAST, INCOMPLETE, INSERT, LOADING, NO_SCRIPT, OW, READONLY, RM, RO, RW, STALE,
    TOUCHES_ARBITRARY_KEYS, UPDATE, WAIT_ENDS_ITSELF, WRITE,
};
use crate::table::spec::{
    Arg, BeginSearch, Categories, CommandSpec, FindKeys, Flags, Group, KeyFlags, KeySpec, Reach,
    Secrets, SpecialKeys,
};

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "copy",
        summary: "Copies what a key holds to another key.",
        since: "6.2.0",
        complexity: "O(N), N: elements of a collection; O(1) for a string",
        arity: -3,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_KEYSPACE),
        keys: &[KeySpec::at(1, RO | ACCESS), KeySpec::at(2, OW | UPDATE)],
        arguments: &[
            Arg::key("source", 0),
            Arg::key("destination", 1),
            Arg::integer("destination-db").after("DB").optional(),
            Arg::word("replace", "REPLACE").optional(),
        ],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "del",
        summary: "Deletes keys.",
        since: "1.0.0",
        complexity: "O(N), N: keys; for each that holds a collection also O(M), M: its elements",
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        arity: -2,
        flags: Flags(WRITE),
        categories: Categories(CAT_KEYSPACE),
        keys: &[KeySpec::range(1, -1, 1, RM | DELETE)],
        arguments: &[Arg::key("key", 0).multiple()],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "dump",
        summary: "Gives what a key holds in serialised form.",
        since: "2.6.0",
        complexity: "O(1) to find the key, O(N*M) to serialise, N: parts of the value, M: their mean size",
        tips: &["nondeterministic_output"],
        arity: 2,
        flags: Flags(READONLY),
        categories: Categories(CAT_KEYSPACE),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[Arg::key("key", 0)],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "exists",
        summary: "Counts which of the keys exist.",
        since: "1.0.0",
        complexity: "O(N), N: keys",
        history: &[("3.0.3", "Takes several keys.")],
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        arity: -2,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_KEYSPACE),
        keys: &[KeySpec::range(1, -1, 1, RO)],
        arguments: &[Arg::key("key", 0).multiple()],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "keys",
        summary: "Gives all key names that match a pattern.",
        since: "1.0.0",
        complexity: "O(N), N: keys in the database",
        tips: &["request_policy:all_shards", "nondeterministic_output_order"],
        arity: 2,
        flags: Flags(READONLY),
        categories: Categories(CAT_KEYSPACE | CAT_DANGEROUS),
        reach: Reach::Every,
        arguments: &[Arg::pattern("pattern")],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "migrate",
        summary: "Moves keys to another node.",
        since: "2.6.0",
        complexity: "As DUMP and DEL of each key here and RESTORE there, and O(N) to send them",
        history: &[
            ("3.0.0", "Takes COPY and REPLACE."),
            ("3.0.6", "Takes KEYS."),
            ("4.0.7", "Takes AUTH."),
            ("6.0.0", "Takes AUTH2."),
        ],
        tips: &["nondeterministic_output"],
        arity: -6,
        flags: Flags(WRITE | WAIT_ENDS_ITSELF),
        categories: Categories(CAT_KEYSPACE | CAT_DANGEROUS),
        keys: &[
            KeySpec::at(3, RW | ACCESS | DELETE),
            KeySpec {
                notes: "",
                flags: KeyFlags(RW | ACCESS | DELETE | INCOMPLETE),
                begin: BeginSearch::Keyword {
                    keyword: "KEYS",
                    start_from: -2,
                },
                find: FindKeys::Range {
                    last_key: -1,
                    step: 1,
                    limit: 0,
                },
            },
        ],
        special_keys: SpecialKeys::Migrate,
        arguments: &[
            Arg::string("host"),
            Arg::integer("port"),
            Arg::one_of(
                "key-selector",
                &[Arg::key("key", 0), Arg::word("empty-string", "\"\"")],
            ),
            Arg::integer("destination-db"),
            Arg::integer("timeout"),
            Arg::word("copy", "COPY").since("3.0.0").optional(),
            Arg::word("replace", "REPLACE").since("3.0.0").optional(),
            Arg::one_of(
                "authentication",
                &[
                    Arg::string("auth")
                        .after("AUTH")
                        .shown_as("password")
                        .since("4.0.7"),
                    Arg::block("auth2", &[Arg::string("username"), Arg::string("password")])
                        .after("AUTH2")
                        .since("6.0.0"),
                ],
            )
            .optional(),
            Arg::key("keys", 1)
                .after("KEYS")
                .shown_as("key")
                .since("3.0.6")
                .optional()
                .multiple(),
        ],
        secrets: Secrets::Migrate,
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "move",
        summary: "Moves a key to another database.",
        since: "1.0.0",
        complexity: "O(1)",
        arity: 3,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_KEYSPACE),
        keys: &[KeySpec::at(1, RW | ACCESS | UPDATE)],
        arguments: &[Arg::key("key", 0), Arg::integer("db")],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "object",
        summary: "Holds the commands that look inside a key's record.",
        since: "2.2.3",
        complexity: "That of the subcommand",
        arity: -2,
        subcommands: &[
            CommandSpec {
                name: "object|encoding",
                summary: "Gives the internal encoding of what a key holds.",
                since: "2.2.3",
                complexity: "O(1)",
                tips: &["nondeterministic_output"],
                arity: 3,
                flags: Flags(READONLY),
                categories: Categories(CAT_KEYSPACE),
                keys: &[KeySpec::at(2, RO)],
                arguments: &[Arg::key("key", 0)],
                ..CommandSpec::of(Group::Generic)
            },
            CommandSpec {
                name: "object|freq",
                summary: "Gives a key's access frequency counter.",
                since: "4.0.0",
                complexity: "O(1)",
                tips: &["nondeterministic_output"],
                arity: 3,
                flags: Flags(READONLY),
                categories: Categories(CAT_KEYSPACE),
                keys: &[KeySpec::at(2, RO)],
                arguments: &[Arg::key("key", 0)],
                ..CommandSpec::of(Group::Generic)
            },
            CommandSpec {
                name: "object|help",
                summary: "Lists the subcommands.",
                since: "6.2.0",
                complexity: "O(1)",
                arity: 2,
                flags: Flags(LOADING | STALE),
                categories: Categories(CAT_KEYSPACE),
                ..CommandSpec::of(Group::Generic)
            },
            CommandSpec {
                name: "object|idletime",
                summary: "Gives the seconds since a key was last used.",
                since: "2.2.3",
                complexity: "O(1)",
                tips: &["nondeterministic_output"],
                arity: 3,
                flags: Flags(READONLY),
                categories: Categories(CAT_KEYSPACE),
                keys: &[KeySpec::at(2, RO)],
                arguments: &[Arg::key("key", 0)],
                ..CommandSpec::of(Group::Generic)
            },
            CommandSpec {
                name: "object|refcount",
                summary: "Gives the reference count of what a key holds.",
                since: "2.2.3",
                complexity: "O(1)",
                tips: &["nondeterministic_output"],
                arity: 3,
                flags: Flags(READONLY),
                categories: Categories(CAT_KEYSPACE),
                keys: &[KeySpec::at(2, RO)],
                arguments: &[Arg::key("key", 0)],
                ..CommandSpec::of(Group::Generic)
            },
        ],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "randomkey",
        summary: "Gives the name of a random key.",
        since: "1.0.0",
        complexity: "O(1)",
        tips: &[
            "request_policy:all_shards",
            "response_policy:special",
            "nondeterministic_output",
        ],
        arity: 1,
        flags: Flags(READONLY | TOUCHES_ARBITRARY_KEYS),
        categories: Categories(CAT_KEYSPACE),
        reach: Reach::Every,
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "rename",
        summary: "Renames a key; a key that has the new name is overwritten.",
        since: "1.0.0",
        complexity: "O(1)",
        arity: 3,
        flags: Flags(WRITE),
        categories: Categories(CAT_KEYSPACE),
        keys: &[
            KeySpec::at(1, RW | ACCESS | DELETE),
            KeySpec::at(2, OW | UPDATE),
        ],
        arguments: &[Arg::key("key", 0), Arg::key("newkey", 1)],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "renamenx",
        summary: "Renames a key, if no key has the new name.",
        since: "1.0.0",
        complexity: "O(1)",
        history: &[("3.2.0", "Equal names are no longer an error.")],
        arity: 3,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_KEYSPACE),
        keys: &[
            KeySpec::at(1, RW | ACCESS | DELETE),
            KeySpec::at(2, OW | INSERT),
        ],
        arguments: &[Arg::key("key", 0), Arg::key("newkey", 1)],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "restore",
        summary: "Creates a key from its serialised form.",
        since: "2.6.0",
        complexity: "O(1) to create the key, O(N*M) to rebuild the value, N: its parts, M: their mean size; a sorted set O(N*M*log(N))",
        history: &[
            ("3.0.0", "`REPLACE`."),
            ("5.0.0", "`ABSTTL`."),
            ("5.0.0", "`IDLETIME` and `FREQ`."),
        ],
        arity: -4,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_KEYSPACE | CAT_DANGEROUS),
        keys: &[KeySpec::at(1, OW | UPDATE)],
        arguments: &[
            Arg::key("key", 0),
            Arg::integer("ttl"),
            Arg::string("serialized-value"),
            Arg::word("replace", "REPLACE").since("3.0.0").optional(),
            Arg::word("absttl", "ABSTTL").since("5.0.0").optional(),
            Arg::integer("seconds")
                .after("IDLETIME")
                .since("5.0.0")
                .optional(),
            Arg::integer("frequency")
                .after("FREQ")
                .since("5.0.0")
                .optional(),
        ],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "scan",
        summary: "Walks the key names of the database in steps.",
        since: "2.8.0",
        complexity: "O(1) for a step, O(N) for a whole walk, N: elements walked",
        history: &[("6.0.0", "`TYPE`.")],
        tips: &[
            "nondeterministic_output",
            "request_policy:special",
            "response_policy:special",
        ],
        arity: -2,
        flags: Flags(READONLY | TOUCHES_ARBITRARY_KEYS),
        categories: Categories(CAT_KEYSPACE),
        reach: Reach::Stepwise,
        arguments: &[
            Arg::integer("cursor"),
            Arg::pattern("pattern").after("MATCH").optional(),
            Arg::integer("count").after("COUNT").optional(),
            Arg::string("type").after("TYPE").since("6.0.0").optional(),
        ],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "sort",
        summary: "Sorts a list, set or sorted set and gives or stores the result.",
        since: "1.0.0",
        complexity: "O(N+M*log(M)), N: elements of the collection, M: elements given",
        arity: -2,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_SET | CAT_SORTED_SET | CAT_LIST | CAT_DANGEROUS),
        keys: &[
            KeySpec::at(1, RO | ACCESS),
            KeySpec::unknown(RO | ACCESS).notes("Named by what is sorted (`BY`, `GET`)."),
            KeySpec::unknown(OW | UPDATE).notes("`STORE` may stand anywhere."),
        ],
        special_keys: SpecialKeys::Sort,
        arguments: &[
            Arg::key("key", 0),
            Arg::pattern("by-pattern")
                .found_by(1)
                .after("BY")
                .shown_as("pattern")
                .optional(),
            Arg::block("limit", &[Arg::integer("offset"), Arg::integer("count")])
                .after("LIMIT")
                .optional(),
            Arg::pattern("get-pattern")
                .found_by(1)
                .after("GET")
                .shown_as("pattern")
                .optional()
                .multiple_token(),
            Arg::one_of(
                "order",
                &[Arg::word("asc", "ASC"), Arg::word("desc", "DESC")],
            )
            .optional(),
            Arg::word("sorting", "ALPHA").optional(),
            Arg::key("destination", 2).after("STORE").optional(),
        ],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "sort_ro",
        summary: "Sorts a list, set or sorted set and gives the result.",
        since: "7.0.0",
        complexity: "O(N+M*log(M)), N: elements of the collection, M: elements given",
        arity: -2,
        flags: Flags(READONLY),
        categories: Categories(CAT_SET | CAT_SORTED_SET | CAT_LIST | CAT_DANGEROUS),
        keys: &[
            KeySpec::at(1, RO | ACCESS),
            KeySpec::unknown(RO | ACCESS).notes("Named by what is sorted (`BY`, `GET`)."),
        ],
        special_keys: SpecialKeys::SortReadonly,
        arguments: &[
            Arg::key("key", 0),
            Arg::pattern("by-pattern")
                .found_by(1)
                .after("BY")
                .shown_as("pattern")
                .optional(),
            Arg::block("limit", &[Arg::integer("offset"), Arg::integer("count")])
                .after("LIMIT")
                .optional(),
            Arg::pattern("get-pattern")
                .found_by(1)
                .after("GET")
                .shown_as("pattern")
                .optional()
                .multiple_token(),
            Arg::one_of(
                "order",
                &[Arg::word("asc", "ASC"), Arg::word("desc", "DESC")],
            )
            .optional(),
            Arg::word("sorting", "ALPHA").optional(),
        ],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "touch",
        summary: "Stamps keys as used now and counts those that exist.",
        since: "3.2.1",
        complexity: "O(N), N: keys",
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        arity: -2,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_KEYSPACE),
        keys: &[KeySpec::range(1, -1, 1, RO)],
        arguments: &[Arg::key("key", 0).multiple()],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "type",
        summary: "Gives the type of what a key holds.",
        since: "1.0.0",
        complexity: "O(1)",
        arity: 2,
        flags: Flags(READONLY | FAST),
        categories: Categories(CAT_KEYSPACE),
        keys: &[KeySpec::at(1, RO)],
        arguments: &[Arg::key("key", 0)],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "unlink",
        summary: "Deletes keys and frees what they held in the background.",
        since: "4.0.0",
        complexity: "O(N), N: keys; freeing them is done in the background",
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        arity: -2,
        flags: Flags(WRITE | FAST),
        categories: Categories(CAT_KEYSPACE),
        keys: &[KeySpec::range(1, -1, 1, RM | DELETE)],
        arguments: &[Arg::key("key", 0).multiple()],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "wait",
        summary: "Waits until replicas have acknowledged this connection's writes.",
        since: "3.0.0",
        complexity: "O(1)",
        tips: &["request_policy:all_shards", "response_policy:agg_min"],
        arity: 3,
        categories: Categories(CAT_CONNECTION),
        arguments: &[Arg::integer("numreplicas"), Arg::integer("timeout")],
        ..CommandSpec::of(Group::Generic)
    },
    CommandSpec {
        name: "waitaof",
        summary: "Waits until writes are on disk, here and at replicas.",
        since: "7.2.0",
        complexity: "O(1)",
        tips: &["request_policy:all_shards", "response_policy:agg_min"],
        arity: 4,
        flags: Flags(NO_SCRIPT),
        categories: Categories(CAT_CONNECTION),
        arguments: &[
            Arg::integer("numlocal"),
            Arg::integer("numreplicas"),
            Arg::integer("timeout"),
        ],
        ..CommandSpec::of(Group::Generic)
    },
];
