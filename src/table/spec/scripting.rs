//! Scripting commands: rows of the command table (see [`super`] for what a row says).

use crate::table::spec::bits::{
    ACCESS, ALLOW_BUSY, CAT_SCRIPTING, DENY_OOM, LOADING, MAY_REPLICATE, NO_MANDATORY_KEYS,
    NO_SCRIPT, READONLY, RO, RW, SKIP_MONITOR, STALE, UPDATE, WAIT_ENDS_ITSELF, WRITE,
};
use crate::table::spec::{Arg, Categories, CommandSpec, Flags, Group, KeySpec, Reach};

const ON_ALL_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

const WORST_WRITE: &str =
    "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE";
const WORST_READ: &str =
    "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS";

const RUNS: Flags =
    Flags(NO_SCRIPT | SKIP_MONITOR | MAY_REPLICATE | NO_MANDATORY_KEYS | STALE | WAIT_ENDS_ITSELF);
const RUNS_READONLY: Flags =
    Flags(NO_SCRIPT | SKIP_MONITOR | NO_MANDATORY_KEYS | STALE | READONLY | WAIT_ENDS_ITSELF);

const KEYS_AND_ARGS: [Arg; 3] = [
    Arg::integer("numkeys"),
    Arg::key("key", 0).optional().multiple(),
    Arg::string("arg").optional().multiple(),
];

const fn runs(name: &'static str, summary: &'static str, since: &'static str) -> CommandSpec {
    CommandSpec {
        name,
        summary,
        since,
        complexity: "That of the script",
        arity: -3,
        flags: RUNS,
        categories: Categories(CAT_SCRIPTING),
        reach: Reach::Script,
        ..CommandSpec::of(Group::Scripting)
    }
}

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[
    CommandSpec {
        keys: &[KeySpec::counted(2, RW | ACCESS | UPDATE).notes(WORST_WRITE)],
        arguments: &[
            Arg::string("script"),
            KEYS_AND_ARGS[0],
            KEYS_AND_ARGS[1],
            KEYS_AND_ARGS[2],
        ],
        ..runs("eval", "Runs a Lua script on the server.", "2.6.0")
    },
    CommandSpec {
        flags: RUNS_READONLY,
        keys: &[KeySpec::counted(2, RO | ACCESS).notes(WORST_READ)],
        arguments: &[
            Arg::string("script"),
            KEYS_AND_ARGS[0],
            KEYS_AND_ARGS[1],
            KEYS_AND_ARGS[2],
        ],
        ..runs("eval_ro", "Runs a Lua script that may only read.", "7.0.0")
    },
    CommandSpec {
        keys: &[KeySpec::counted(2, RW | ACCESS | UPDATE)],
        arguments: &[
            Arg::string("sha1"),
            KEYS_AND_ARGS[0],
            KEYS_AND_ARGS[1],
            KEYS_AND_ARGS[2],
        ],
        ..runs(
            "evalsha",
            "Runs a cached Lua script, named by its digest.",
            "2.6.0",
        )
    },
    CommandSpec {
        flags: RUNS_READONLY,
        keys: &[KeySpec::counted(2, RO | ACCESS)],
        arguments: &[
            Arg::string("sha1"),
            KEYS_AND_ARGS[0],
            KEYS_AND_ARGS[1],
            KEYS_AND_ARGS[2],
        ],
        ..runs(
            "evalsha_ro",
            "Runs a cached Lua script that may only read, named by its digest.",
            "7.0.0",
        )
    },
    CommandSpec {
        keys: &[KeySpec::counted(2, RW | ACCESS | UPDATE).notes(WORST_WRITE)],
        arguments: FCALL_ARGUMENTS,
        ..runs("fcall", "Calls a function.", "7.0.0")
    },
    CommandSpec {
        flags: RUNS_READONLY,
        keys: &[KeySpec::counted(2, RO | ACCESS).notes(WORST_READ)],
        arguments: FCALL_ARGUMENTS,
        ..runs("fcall_ro", "Calls a function that may only read.", "7.0.0")
    },
    CommandSpec {
        name: "function",
        summary: "What is done with function libraries.",
        since: "7.0.0",
        complexity: "That of the subcommand",
        arity: -2,
        subcommands: FUNCTION,
        ..CommandSpec::of(Group::Scripting)
    },
    CommandSpec {
        name: "script",
        summary: "What is done with cached scripts.",
        since: "2.6.0",
        complexity: "That of the subcommand",
        arity: -2,
        subcommands: SCRIPT,
        ..CommandSpec::of(Group::Scripting)
    },
];

const FCALL_ARGUMENTS: &[Arg] = &[
    Arg::string("function"),
    KEYS_AND_ARGS[0],
    KEYS_AND_ARGS[1],
    KEYS_AND_ARGS[2],
];

const fn function(name: &'static str, summary: &'static str, flags: u32) -> CommandSpec {
    CommandSpec {
        since: "7.0.0",
        ..script(name, summary, flags)
    }
}

/// One that changes the libraries, or shows them as they stand in the dataset: with every shard entered.
const fn library(name: &'static str, summary: &'static str, flags: u32) -> CommandSpec {
    CommandSpec {
        reach: Reach::Every,
        ..function(name, summary, flags)
    }
}

const ON_ALL_SHARDS: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

const FUNCTION: &[CommandSpec] = &[
    CommandSpec {
        complexity: "O(1)",
        arity: 3,
        tips: ON_ALL_SHARDS,
        arguments: &[Arg::string("library-name")],
        ..library(
            "function|delete",
            "Deletes a library and its functions.",
            NO_SCRIPT | WRITE,
        )
    },
    CommandSpec {
        complexity: "O(N), N: functions",
        arity: 2,
        ..library(
            "function|dump",
            "Gives all libraries as one payload.",
            NO_SCRIPT,
        )
    },
    CommandSpec {
        complexity: "O(N), N: functions",
        arity: -2,
        tips: ON_ALL_SHARDS,
        arguments: &[Arg::one_of(
            "flush-type",
            &[Arg::word("async", "ASYNC"), Arg::word("sync", "SYNC")],
        )
        .optional()],
        ..library(
            "function|flush",
            "Deletes all libraries.",
            NO_SCRIPT | WRITE,
        )
    },
    CommandSpec {
        complexity: "O(1)",
        arity: 2,
        ..function("function|help", "Tells the subcommands.", LOADING | STALE)
    },
    CommandSpec {
        complexity: "O(1)",
        arity: 2,
        tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
        ..function(
            "function|kill",
            "Ends a running function that has not written.",
            NO_SCRIPT | ALLOW_BUSY,
        )
    },
    CommandSpec {
        complexity: "O(N), N: functions",
        arity: -2,
        tips: &["nondeterministic_output_order"],
        arguments: &[
            Arg::string("library-name-pattern")
                .after("LIBRARYNAME")
                .optional(),
            Arg::word("withcode", "WITHCODE").optional(),
        ],
        ..library(
            "function|list",
            "Tells the libraries and their functions.",
            NO_SCRIPT,
        )
    },
    CommandSpec {
        complexity: "O(1), without the time of the library's code",
        arity: -3,
        tips: ON_ALL_SHARDS,
        arguments: &[
            Arg::word("replace", "REPLACE").optional(),
            Arg::string("function-code"),
        ],
        ..library(
            "function|load",
            "Creates a library.",
            NO_SCRIPT | WRITE | DENY_OOM,
        )
    },
    CommandSpec {
        complexity: "O(N), N: functions of the payload",
        arity: -3,
        tips: ON_ALL_SHARDS,
        arguments: &[
            Arg::string("serialized-value"),
            Arg::one_of(
                "policy",
                &[
                    Arg::word("flush", "FLUSH"),
                    Arg::word("append", "APPEND"),
                    Arg::word("replace", "REPLACE"),
                ],
            )
            .optional(),
        ],
        ..library(
            "function|restore",
            "Creates the libraries of a payload.",
            NO_SCRIPT | WRITE | DENY_OOM,
        )
    },
    CommandSpec {
        complexity: "O(1)",
        arity: 2,
        tips: &[
            "nondeterministic_output",
            "request_policy:all_shards",
            "response_policy:special",
        ],
        ..function(
            "function|stats",
            "Tells which function is running, and the engines.",
            NO_SCRIPT | ALLOW_BUSY,
        )
    },
];

const fn script(name: &'static str, summary: &'static str, flags: u32) -> CommandSpec {
    CommandSpec {
        name,
        summary,
        since: "2.6.0",
        flags: Flags(flags),
        categories: Categories(CAT_SCRIPTING),
        ..CommandSpec::of(Group::Scripting)
    }
}

const SCRIPT: &[CommandSpec] = &[
    CommandSpec {
        since: "3.2.0",
        complexity: "O(1)",
        arity: 3,
        arguments: &[Arg::one_of(
            "mode",
            &[
                Arg::word("yes", "YES"),
                Arg::word("sync", "SYNC"),
                Arg::word("no", "NO"),
            ],
        )],
        ..script(
            "script|debug",
            "Would have scripts debugged: there is no debugger.",
            NO_SCRIPT,
        )
    },
    CommandSpec {
        complexity: "O(N), N: digests",
        arity: -3,
        tips: &[
            "request_policy:all_shards",
            "response_policy:agg_logical_and",
        ],
        arguments: &[Arg::string("sha1").multiple()],
        ..script(
            "script|exists",
            "Tells which of some scripts are in the cache.",
            NO_SCRIPT,
        )
    },
    CommandSpec {
        complexity: "O(N), N: cached scripts",
        arity: -2,
        history: &[(
            "6.2.0",
            "Added the `ASYNC` and `SYNC` flushing mode modifiers.",
        )],
        tips: ON_ALL_NODES,
        arguments: &[Arg::one_of(
            "flush-type",
            &[Arg::word("async", "ASYNC"), Arg::word("sync", "SYNC")],
        )
        .optional()
        .since("6.2.0")],
        ..script("script|flush", "Empties the cache of scripts.", NO_SCRIPT)
    },
    CommandSpec {
        since: "5.0.0",
        complexity: "O(1)",
        arity: 2,
        ..script("script|help", "Tells the subcommands.", LOADING | STALE)
    },
    CommandSpec {
        complexity: "O(1)",
        arity: 2,
        tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
        ..script(
            "script|kill",
            "Ends a running script that has not written.",
            NO_SCRIPT | ALLOW_BUSY,
        )
    },
    CommandSpec {
        complexity: "O(N), N: bytes of the script",
        arity: 3,
        tips: ON_ALL_NODES,
        arguments: &[Arg::string("script")],
        ..script(
            "script|load",
            "Puts a script into the cache.",
            NO_SCRIPT | STALE,
        )
    },
    // As in Valkey from 8.0 on.
    CommandSpec {
        complexity: "O(N), N: bytes of the script",
        arity: 3,
        arguments: &[Arg::string("sha1")],
        ..script(
            "script|show",
            "Returns a script of the cache.",
            NO_SCRIPT | STALE,
        )
    },
];
