//! Redis Cluster's commands: rows of the command table (see [`super`] for what a row says). They are known and
//! refused, since this node is never part of a cluster.

use crate::table::spec::bits::{
    ADMIN, CAT_CONNECTION, FAST, LOADING, NO_ASYNC_LOADING, NO_SCRIPT, STALE,
};
use crate::table::spec::{Arg, Categories, CommandSpec, DocFlag, Flags, Group};

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "asking",
        summary: "Lets the next command pass that a redirection sent here.",
        since: "3.0.0",
        complexity: "O(1)",
        arity: 1,
        flags: Flags(FAST),
        categories: Categories(CAT_CONNECTION),
        ..CommandSpec::of(Group::Cluster)
    },
    CommandSpec {
        name: "cluster",
        summary: "Holds the commands of Redis Cluster.",
        since: "3.0.0",
        complexity: "That of the subcommand",
        arity: -2,
        subcommands: &[
            CommandSpec {
                name: "cluster|addslots",
                summary: "Assigns hash slots to this node.",
                since: "3.0.0",
                complexity: "O(N), N: slots",
                arity: -3,
                flags: Flags(ADMIN | STALE | NO_ASYNC_LOADING),
                arguments: &[Arg::integer("slot").multiple()],
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|addslotsrange",
                summary: "Assigns ranges of hash slots to this node.",
                since: "7.0.0",
                complexity: "O(N), N: slots in the ranges",
                arity: -4,
                flags: Flags(ADMIN | STALE | NO_ASYNC_LOADING),
                arguments: &[Arg::block(
                    "range",
                    &[Arg::integer("start-slot"), Arg::integer("end-slot")],
                )
                .multiple()],
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|bumpepoch",
                summary: "Moves the configuration epoch on.",
                since: "3.0.0",
                complexity: "O(1)",
                tips: &["nondeterministic_output"],
                arity: 2,
                flags: Flags(ADMIN | STALE | NO_ASYNC_LOADING),
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|count-failure-reports",
                summary: "Counts the reports that a node has failed.",
                since: "3.0.0",
                complexity: "O(N), N: reports",
                tips: &["nondeterministic_output"],
                arity: 3,
                flags: Flags(ADMIN | STALE),
                arguments: &[Arg::string("node-id")],
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|countkeysinslot",
                summary: "Counts the keys in a hash slot.",
                since: "3.0.0",
                complexity: "O(1)",
                arity: 3,
                flags: Flags(STALE),
                arguments: &[Arg::integer("slot")],
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|delslots",
                summary: "Takes hash slots from this node.",
                since: "3.0.0",
                complexity: "O(N), N: slots",
                arity: -3,
                flags: Flags(ADMIN | STALE | NO_ASYNC_LOADING),
                arguments: &[Arg::integer("slot").multiple()],
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|delslotsrange",
                summary: "Takes ranges of hash slots from this node.",
                since: "7.0.0",
                complexity: "O(N), N: slots in the ranges",
                arity: -4,
                flags: Flags(ADMIN | STALE | NO_ASYNC_LOADING),
                arguments: &[Arg::block(
                    "range",
                    &[Arg::integer("start-slot"), Arg::integer("end-slot")],
                )
                .multiple()],
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|failover",
                summary: "Has a replica take over from its master.",
                since: "3.0.0",
                complexity: "O(1)",
                arity: -2,
                flags: Flags(ADMIN | STALE | NO_ASYNC_LOADING),
                arguments: &[Arg::one_of(
                    "options",
                    &[
                        Arg::word("force", "FORCE"),
                        Arg::word("takeover", "TAKEOVER"),
                    ],
                )
                .optional()],
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|flushslots",
                summary: "Takes all hash slots from this node.",
                since: "3.0.0",
                complexity: "O(1)",
                arity: 2,
                flags: Flags(ADMIN | STALE | NO_ASYNC_LOADING),
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|forget",
                summary: "Drops a node from the table of nodes.",
                since: "3.0.0",
                complexity: "O(1)",
                arity: 3,
                flags: Flags(ADMIN | STALE | NO_ASYNC_LOADING),
                arguments: &[Arg::string("node-id")],
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|getkeysinslot",
                summary: "Gives keys of a hash slot.",
                since: "3.0.0",
                complexity: "O(N), N: keys asked for",
                tips: &["nondeterministic_output"],
                arity: 4,
                flags: Flags(STALE),
                arguments: &[Arg::integer("slot"), Arg::integer("count")],
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|help",
                summary: "Lists the subcommands.",
                since: "5.0.0",
                complexity: "O(1)",
                arity: 2,
                flags: Flags(LOADING | STALE),
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|info",
                summary: "Tells how the cluster stands, as this node sees it.",
                since: "3.0.0",
                complexity: "O(1)",
                tips: &["nondeterministic_output"],
                arity: 2,
                flags: Flags(STALE),
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|keyslot",
                summary: "Gives the hash slot that a key belongs to.",
                since: "3.0.0",
                complexity: "O(N), N: bytes of the key",
                arity: 3,
                flags: Flags(STALE),
                arguments: &[Arg::string("key")],
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|links",
                summary: "Lists the links to and from other nodes.",
                since: "7.0.0",
                complexity: "O(N), N: nodes",
                tips: &["nondeterministic_output"],
                arity: 2,
                flags: Flags(STALE),
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|meet",
                summary: "Joins this node and another.",
                since: "3.0.0",
                complexity: "O(1)",
                history: &[("4.0.0", "`cluster-bus-port` added.")],
                arity: -4,
                flags: Flags(ADMIN | STALE | NO_ASYNC_LOADING),
                arguments: &[
                    Arg::string("ip"),
                    Arg::integer("port"),
                    Arg::integer("cluster-bus-port").since("4.0.0").optional(),
                ],
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|myid",
                summary: "Gives the id of this node.",
                since: "3.0.0",
                complexity: "O(1)",
                arity: 2,
                flags: Flags(STALE),
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|myshardid",
                summary: "Gives the id of the shard that this node is in.",
                since: "7.2.0",
                complexity: "O(1)",
                tips: &["nondeterministic_output"],
                arity: 2,
                flags: Flags(STALE),
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|nodes",
                summary: "Lists the nodes that this one knows.",
                since: "3.0.0",
                complexity: "O(N), N: nodes",
                tips: &["nondeterministic_output"],
                arity: 2,
                flags: Flags(STALE),
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|replicas",
                summary: "Lists a master's replicas.",
                since: "5.0.0",
                complexity: "O(N), N: replicas",
                tips: &["nondeterministic_output"],
                arity: 3,
                flags: Flags(ADMIN | STALE),
                arguments: &[Arg::string("node-id")],
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|replicate",
                summary: "Makes this node the replica of another.",
                since: "3.0.0",
                complexity: "O(1)",
                arity: 3,
                flags: Flags(ADMIN | STALE | NO_ASYNC_LOADING),
                arguments: &[Arg::string("node-id")],
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|reset",
                summary: "Has this node forget the cluster.",
                since: "3.0.0",
                complexity: "O(N), N: known nodes",
                arity: -2,
                flags: Flags(ADMIN | NO_SCRIPT | STALE),
                arguments: &[Arg::one_of(
                    "reset-type",
                    &[Arg::word("hard", "HARD"), Arg::word("soft", "SOFT")],
                )
                .optional()],
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|saveconfig",
                summary: "Writes the cluster's configuration to disk.",
                since: "3.0.0",
                complexity: "O(1)",
                arity: 2,
                flags: Flags(ADMIN | STALE | NO_ASYNC_LOADING),
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|set-config-epoch",
                summary: "Sets the configuration epoch of a new node.",
                since: "3.0.0",
                complexity: "O(1)",
                arity: 3,
                flags: Flags(ADMIN | STALE | NO_ASYNC_LOADING),
                arguments: &[Arg::integer("config-epoch")],
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|setslot",
                summary: "Binds a hash slot to a node.",
                since: "3.0.0",
                complexity: "O(1)",
                arity: -4,
                flags: Flags(ADMIN | STALE | NO_ASYNC_LOADING),
                arguments: &[
                    Arg::integer("slot"),
                    Arg::one_of(
                        "subcommand",
                        &[
                            Arg::string("importing")
                                .after("IMPORTING")
                                .shown_as("node-id"),
                            Arg::string("migrating")
                                .after("MIGRATING")
                                .shown_as("node-id"),
                            Arg::string("node").after("NODE").shown_as("node-id"),
                            Arg::word("stable", "STABLE"),
                        ],
                    ),
                ],
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|shards",
                summary: "Lists the shards with their slots and nodes.",
                since: "7.0.0",
                complexity: "O(N), N: nodes",
                tips: &["nondeterministic_output"],
                arity: 2,
                flags: Flags(LOADING | STALE),
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|slaves",
                summary: "Lists a master's replicas.",
                since: "3.0.0",
                complexity: "O(N), N: replicas",
                doc_flag: DocFlag::Deprecated,
                deprecated_since: "5.0.0",
                replaced_by: "`CLUSTER REPLICAS`",
                tips: &["nondeterministic_output"],
                arity: 3,
                flags: Flags(ADMIN | STALE),
                arguments: &[Arg::string("node-id")],
                ..CommandSpec::of(Group::Cluster)
            },
            CommandSpec {
                name: "cluster|slots",
                summary: "Lists the hash slots with their nodes.",
                since: "3.0.0",
                complexity: "O(N), N: nodes",
                doc_flag: DocFlag::Deprecated,
                deprecated_since: "7.0.0",
                replaced_by: "`CLUSTER SHARDS`",
                history: &[
                    ("4.0.0", "Node ids added."),
                    ("7.0.0", "Further network data added."),
                ],
                tips: &["nondeterministic_output"],
                arity: 2,
                flags: Flags(LOADING | STALE),
                ..CommandSpec::of(Group::Cluster)
            },
        ],
        ..CommandSpec::of(Group::Cluster)
    },
    CommandSpec {
        name: "readonly",
        summary: "Lets this connection read a replica's slots.",
        since: "3.0.0",
        complexity: "O(1)",
        arity: 1,
        flags: Flags(LOADING | STALE | FAST),
        categories: Categories(CAT_CONNECTION),
        ..CommandSpec::of(Group::Cluster)
    },
    CommandSpec {
        name: "readwrite",
        summary: "Ends what READONLY began.",
        since: "3.0.0",
        complexity: "O(1)",
        arity: 1,
        flags: Flags(LOADING | STALE | FAST),
        categories: Categories(CAT_CONNECTION),
        ..CommandSpec::of(Group::Cluster)
    },
];
