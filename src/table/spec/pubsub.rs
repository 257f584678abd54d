//! Pub/sub commands: rows of the command table (see [`super`] for what a row says).

use crate::table::spec::bits::{
    FAST, LOADING, MAY_REPLICATE, NO_SCRIPT, NOT_KEY, PUBSUB, STALE, WHILE_SUBSCRIBED,
};
use crate::table::spec::{Arg, CommandSpec, Flags, Group, KeySpec};

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "psubscribe",
        summary: "Subscribes to all channels that match patterns.",
        since: "2.0.0",
        complexity: "O(N), N: patterns given",
        arity: -2,
        flags: Flags(PUBSUB | NO_SCRIPT | LOADING | STALE | WHILE_SUBSCRIBED),
        arguments: &[Arg::pattern("pattern").multiple()],
        ..CommandSpec::of(Group::PubSub)
    },
    CommandSpec {
        name: "publish",
        summary: "Sends a message to a channel.",
        since: "2.0.0",
        complexity: "O(N+M), N: subscribers of the channel, M: patterns subscribed to",
        arity: 3,
        flags: Flags(PUBSUB | LOADING | STALE | FAST | MAY_REPLICATE),
        arguments: &[Arg::string("channel"), Arg::string("message")],
        ..CommandSpec::of(Group::PubSub)
    },
    CommandSpec {
        name: "pubsub",
        summary: "Holds the commands that look at subscriptions.",
        since: "2.8.0",
        complexity: "That of the subcommand",
        arity: -2,
        subcommands: &[
            CommandSpec {
                name: "pubsub|channels",
                summary: "Gives the channels that have subscribers.",
                since: "2.8.0",
                complexity: "O(N), N: channels with subscribers",
                arity: -2,
                flags: Flags(PUBSUB | LOADING | STALE),
                arguments: &[Arg::pattern("pattern").optional()],
                ..CommandSpec::of(Group::PubSub)
            },
            CommandSpec {
                name: "pubsub|help",
                summary: "Lists the subcommands.",
                since: "6.2.0",
                complexity: "O(1)",
                arity: 2,
                flags: Flags(LOADING | STALE),
                ..CommandSpec::of(Group::PubSub)
            },
            CommandSpec {
                name: "pubsub|numpat",
                summary: "Counts the distinct patterns that have subscribers.",
                since: "2.8.0",
                complexity: "O(1)",
                arity: 2,
                flags: Flags(PUBSUB | LOADING | STALE),
                ..CommandSpec::of(Group::PubSub)
            },
            CommandSpec {
                name: "pubsub|numsub",
                summary: "Counts the subscribers of channels.",
                since: "2.8.0",
                complexity: "O(N), N: channels given",
                arity: -2,
                flags: Flags(PUBSUB | LOADING | STALE),
                arguments: &[Arg::string("channel").optional().multiple()],
                ..CommandSpec::of(Group::PubSub)
            },
            CommandSpec {
                name: "pubsub|shardchannels",
                summary: "Gives the shard channels that have subscribers.",
                since: "7.0.0",
                complexity: "O(N), N: shard channels with subscribers",
                arity: -2,
                flags: Flags(PUBSUB | LOADING | STALE),
                arguments: &[Arg::pattern("pattern").optional()],
                ..CommandSpec::of(Group::PubSub)
            },
            CommandSpec {
                name: "pubsub|shardnumsub",
                summary: "Counts the subscribers of shard channels.",
                since: "7.0.0",
                complexity: "O(N), N: shard channels given",
                arity: -2,
                flags: Flags(PUBSUB | LOADING | STALE),
                arguments: &[Arg::string("shardchannel").optional().multiple()],
                ..CommandSpec::of(Group::PubSub)
            },
        ],
        ..CommandSpec::of(Group::PubSub)
    },
    CommandSpec {
        name: "punsubscribe",
        summary: "Ends subscriptions to patterns.",
        since: "2.0.0",
        complexity: "O(N), N: patterns given",
        arity: -1,
        flags: Flags(PUBSUB | NO_SCRIPT | LOADING | STALE | WHILE_SUBSCRIBED),
        arguments: &[Arg::pattern("pattern").optional().multiple()],
        ..CommandSpec::of(Group::PubSub)
    },
    CommandSpec {
        name: "spublish",
        summary: "Sends a message to a shard channel.",
        since: "7.0.0",
        complexity: "O(N), N: subscribers of the shard channel",
        arity: 3,
        flags: Flags(PUBSUB | LOADING | STALE | FAST | MAY_REPLICATE),
        keys: &[KeySpec::at(1, NOT_KEY)],
        arguments: &[Arg::string("shardchannel"), Arg::string("message")],
        ..CommandSpec::of(Group::PubSub)
    },
    CommandSpec {
        name: "ssubscribe",
        summary: "Subscribes to shard channels.",
        since: "7.0.0",
        complexity: "O(N), N: shard channels given",
        arity: -2,
        flags: Flags(PUBSUB | NO_SCRIPT | LOADING | STALE | WHILE_SUBSCRIBED),
        keys: &[KeySpec::range(1, -1, 1, NOT_KEY)],
        arguments: &[Arg::string("shardchannel").multiple()],
        ..CommandSpec::of(Group::PubSub)
    },
    CommandSpec {
        name: "subscribe",
        summary: "Subscribes to channels.",
        since: "2.0.0",
        complexity: "O(N), N: channels given",
        arity: -2,
        flags: Flags(PUBSUB | NO_SCRIPT | LOADING | STALE | WHILE_SUBSCRIBED),
        arguments: &[Arg::string("channel").multiple()],
        ..CommandSpec::of(Group::PubSub)
    },
    CommandSpec {
        name: "sunsubscribe",
        summary: "Ends subscriptions to shard channels.",
        since: "7.0.0",
        complexity: "O(N), N: shard channels given",
        arity: -1,
        flags: Flags(PUBSUB | NO_SCRIPT | LOADING | STALE | WHILE_SUBSCRIBED),
        keys: &[KeySpec::range(1, -1, 1, NOT_KEY)],
        arguments: &[Arg::string("shardchannel").optional().multiple()],
        ..CommandSpec::of(Group::PubSub)
    },
    CommandSpec {
        name: "unsubscribe",
        summary: "Ends subscriptions to channels.",
        since: "2.0.0",
        complexity: "O(N), N: channels given",
        arity: -1,
        flags: Flags(PUBSUB | NO_SCRIPT | LOADING | STALE | WHILE_SUBSCRIBED),
        arguments: &[Arg::string("channel").optional().multiple()],
        ..CommandSpec::of(Group::PubSub)
    },
];
