//! MODULE: rows of the command table (see [`super`] for what a row says).

use crate::table::spec::bits::{
    ADMIN, LOADING, MODULE_PROTECTED, NO_ASYNC_LOADING, NO_SCRIPT, STALE,
};
use crate::table::spec::{Arg, CommandSpec, Flags, Group};

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[CommandSpec {
    name: "module",
    summary: "Holds the commands about modules.",
    since: "4.0.0",
    complexity: "That of the subcommand",
    arity: -2,
    subcommands: &[
        CommandSpec {
            name: "module|help",
            summary: "Lists the subcommands.",
            since: "5.0.0",
            complexity: "O(1)",
            arity: 2,
            flags: Flags(LOADING | STALE),
            ..CommandSpec::of(Group::Server)
        },
        CommandSpec {
            name: "module|list",
            summary: "Lists the loaded modules.",
            since: "4.0.0",
            complexity: "O(N), N: loaded modules",
            tips: &["nondeterministic_output_order"],
            arity: 2,
            flags: Flags(ADMIN | NO_SCRIPT),
            ..CommandSpec::of(Group::Server)
        },
        CommandSpec {
            name: "module|load",
            summary: "Loads a module.",
            since: "4.0.0",
            complexity: "O(1)",
            arity: -3,
            flags: Flags(NO_ASYNC_LOADING | ADMIN | NO_SCRIPT | MODULE_PROTECTED),
            arguments: &[
                Arg::string("path"),
                Arg::string("arg").optional().multiple(),
            ],
            ..CommandSpec::of(Group::Server)
        },
        CommandSpec {
            name: "module|loadex",
            summary: "Loads a module with its configuration.",
            since: "7.0.0",
            complexity: "O(1)",
            arity: -3,
            flags: Flags(NO_ASYNC_LOADING | ADMIN | NO_SCRIPT | MODULE_PROTECTED),
            arguments: &[
                Arg::string("path"),
                Arg::block("configs", &[Arg::string("name"), Arg::string("value")])
                    .after("CONFIG")
                    .optional()
                    .multiple_token(),
                Arg::string("args").after("ARGS").optional().multiple(),
            ],
            ..CommandSpec::of(Group::Server)
        },
        CommandSpec {
            name: "module|unload",
            summary: "Unloads a module.",
            since: "4.0.0",
            complexity: "O(1)",
            arity: 3,
            flags: Flags(NO_ASYNC_LOADING | ADMIN | NO_SCRIPT | MODULE_PROTECTED),
            arguments: &[Arg::string("name")],
            ..CommandSpec::of(Group::Server)
        },
    ],
    ..CommandSpec::of(Group::Server)
}];
