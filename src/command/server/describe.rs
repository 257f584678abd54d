//! COMMAND and its subcommands: the table of commands, told to clients.

use crate::command::server::help::help;
use crate::command::{Context, Handlers};
use crate::resp::Reply;
use crate::resp::reply::Aggregate;
use crate::table::spec::{
    Arg, ArgKind, BeginSearch, Categories, DocFlag, FindKeys, Flags, KeyFlags, bits,
};
use crate::table::{Args, CommandError, CommandResult};
use crate::table::{Command, CommandTable};
use crate::text::glob;
use crate::text::is_word;

pub(crate) const HANDLERS: Handlers = &[
    ("command", command),
    ("command|count", count),
    ("command|docs", docs),
    ("command|getkeys", getkeys),
    ("command|getkeysandflags", getkeysandflags),
    ("command|help", command_help),
    ("command|info", info),
    ("command|list", list),
];

fn command(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    all_infos(ctx);
    Ok(())
}

fn count(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    ctx.reply.int(ctx.node.table.len() as i64);
    Ok(())
}

// ---- COMMAND LIST ----

enum Filter<'a> {
    None,
    /// There are no modules: nothing passes.
    Module,
    /// None: no such category.
    Category(Option<Categories>),
    Pattern(&'a [u8]),
}

impl Filter<'_> {
    fn passes(&self, command: &Command) -> bool {
        match self {
            Filter::None => true,
            Filter::Module => false,
            Filter::Category(category) => {
                category.is_some_and(|category| command.categories.has(category.0))
            }
            Filter::Pattern(pattern) => glob::matches(pattern, command.name.as_bytes(), true),
        }
    }
}

/// COMMAND LIST [FILTERBY MODULE name|ACLCAT category|PATTERN pattern]
fn list(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let filter = match args[2..] {
        [] => Filter::None,
        [word, kind, value] if is_word(word, "filterby") => match kind {
            k if is_word(k, "module") => Filter::Module,
            k if is_word(k, "aclcat") => Filter::Category(Categories::by_name(value)),
            k if is_word(k, "pattern") => Filter::Pattern(value),
            _ => return Err(CommandError::SYNTAX),
        },
        _ => return Err(CommandError::SYNTAX),
    };
    let names: Vec<&str> = ctx
        .node
        .table
        .all()
        .filter(|c| filter.passes(c))
        .map(|c| c.name)
        .collect();
    ctx.reply.array(names.len());
    for name in names {
        ctx.reply.bulk(name.as_bytes());
    }
    Ok(())
}

// ---- COMMAND INFO ----

/// COMMAND INFO [name ...]
fn info(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    if args.len() == 2 {
        all_infos(ctx);
        return Ok(());
    }
    let table = &ctx.node.table;
    ctx.reply.array(args.len() - 2);
    for name in &args[2..] {
        match table.by_full_name(name) {
            Some(command) => write_info(ctx.reply, table, command),
            None => ctx.reply.null(),
        }
    }
    Ok(())
}

fn all_infos(ctx: &mut Context<'_>) {
    let table = &ctx.node.table;
    ctx.reply.array(table.len());
    for command in table.top() {
        write_info(ctx.reply, table, command);
    }
}

/// A set of simple strings.
fn write_words<'a>(reply: &mut Reply, words: impl Iterator<Item = &'a str> + Clone) {
    reply.set(words.clone().count());
    for word in words {
        reply.simple(word);
    }
}

fn flag_names(flags: Flags) -> impl Iterator<Item = &'static str> + Clone {
    let named = Flags::NAMES.iter().filter(move |(bit, _)| flags.has(*bit));
    named.map(|(_, name)| *name)
}

fn key_flag_names(flags: KeyFlags) -> impl Iterator<Item = &'static str> + Clone {
    let named = KeyFlags::NAMES
        .iter()
        .filter(move |(bit, _)| flags.has(*bit));
    named.map(|(_, name)| *name)
}

fn write_info(reply: &mut Reply, table: &CommandTable, command: &Command) {
    reply.array(10);
    reply.bulk(command.name.as_bytes());
    reply.int(i64::from(command.arity));
    write_words(reply, flag_names(command.flags));
    reply.int(i64::from(command.first_key));
    reply.int(i64::from(command.last_key));
    reply.int(i64::from(command.key_step));
    let categories: Vec<String> = Categories::NAMES
        .iter()
        .filter(|(bit, _)| command.categories.has(*bit))
        .map(|(_, name)| format!("@{name}"))
        .collect();
    write_words(reply, categories.iter().map(String::as_str));
    reply.set(command.spec.tips.len());
    for tip in command.spec.tips {
        reply.bulk(tip.as_bytes());
    }
    write_key_specs(reply, command);
    reply.aggregate(
        // As Redis has it: without subcommands an empty set, else an array.
        if command.subcommands.is_empty() {
            Aggregate::Set
        } else {
            Aggregate::Array
        },
        command.subcommands.len(),
    );
    for id in &command.subcommands {
        write_info(reply, table, table.get(*id));
    }
}

fn write_key_specs(reply: &mut Reply, command: &Command) {
    reply.set(command.spec.keys.len());
    for key in command.spec.keys {
        reply.map(3 + usize::from(!key.notes.is_empty()));
        if !key.notes.is_empty() {
            reply.bulk(b"notes");
            reply.bulk(key.notes.as_bytes());
        }
        reply.bulk(b"flags");
        write_words(reply, key_flag_names(key.flags));
        reply.bulk(b"begin_search");
        match key.begin {
            BeginSearch::Index(index) => {
                write_rule(reply, "index", &[("index", index as i64)]);
            }
            BeginSearch::Keyword {
                keyword,
                start_from,
            } => {
                write_rule_head(reply, "keyword", 2);
                reply.bulk(b"keyword");
                reply.bulk(keyword.as_bytes());
                reply.bulk(b"startfrom");
                reply.int(i64::from(start_from));
            }
            BeginSearch::Unknown => write_rule(reply, "unknown", &[]),
        }
        reply.bulk(b"find_keys");
        match key.find {
            FindKeys::Range {
                last_key,
                step,
                limit,
            } => write_rule(
                reply,
                "range",
                &[
                    ("lastkey", i64::from(last_key)),
                    ("keystep", i64::from(step)),
                    ("limit", i64::from(limit)),
                ],
            ),
            FindKeys::Count {
                count_index,
                first_key,
                step,
            } => write_rule(
                reply,
                "keynum",
                &[
                    ("keynumidx", i64::from(count_index)),
                    ("firstkey", i64::from(first_key)),
                    ("keystep", i64::from(step)),
                ],
            ),
            FindKeys::Unknown => write_rule(reply, "unknown", &[]),
        }
    }
}

fn write_rule_head(reply: &mut Reply, kind: &str, fields: usize) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(fields);
}

fn write_rule(reply: &mut Reply, kind: &str, fields: &[(&str, i64)]) {
    write_rule_head(reply, kind, fields.len());
    for (name, value) in fields {
        reply.bulk(name.as_bytes());
        reply.int(*value);
    }
}

// ---- COMMAND DOCS ----

/// COMMAND DOCS [name ...]; unknown names are left out.
fn docs(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let table = &ctx.node.table;
    let commands: Vec<&Command> = if args.len() == 2 {
        table.top().collect()
    } else {
        args[2..]
            .iter()
            .filter_map(|name| table.by_full_name(name))
            .collect()
    };
    ctx.reply.map(commands.len());
    for command in commands {
        ctx.reply.bulk(command.name.as_bytes());
        write_docs(ctx.reply, table, command);
    }
    Ok(())
}

/// A map's fields that are texts, leaving out the empty ones.
fn write_texts(reply: &mut Reply, fields: &[(&str, &str)]) {
    for (name, text) in fields.iter().filter(|(_, text)| !text.is_empty()) {
        reply.bulk(name.as_bytes());
        reply.bulk(text.as_bytes());
    }
}

fn write_docs(reply: &mut Reply, table: &CommandTable, command: &Command) {
    let spec = command.spec;
    let present = [
        !spec.summary.is_empty(),
        !spec.since.is_empty(),
        true,
        !spec.complexity.is_empty(),
        spec.doc_flag != DocFlag::None,
        !spec.deprecated_since.is_empty(),
        !spec.replaced_by.is_empty(),
        !spec.history.is_empty(),
        !spec.arguments.is_empty(),
        !command.subcommands.is_empty(),
    ];
    reply.map(present.iter().filter(|p| **p).count());
    write_texts(
        reply,
        &[
            ("summary", spec.summary),
            ("since", spec.since),
            ("group", spec.group.name()),
            ("complexity", spec.complexity),
        ],
    );
    if spec.doc_flag != DocFlag::None {
        reply.bulk(b"doc_flags");
        reply.set(1);
        reply.simple(match spec.doc_flag {
            DocFlag::System => "syscmd",
            DocFlag::Deprecated | DocFlag::None => "deprecated",
        });
    }
    write_texts(
        reply,
        &[
            ("deprecated_since", spec.deprecated_since),
            ("replaced_by", spec.replaced_by),
        ],
    );
    if !spec.history.is_empty() {
        reply.bulk(b"history");
        reply.set(spec.history.len());
        for (version, change) in spec.history {
            reply.array(2);
            reply.bulk(version.as_bytes());
            reply.bulk(change.as_bytes());
        }
    }
    if !spec.arguments.is_empty() {
        reply.bulk(b"arguments");
        write_arguments(reply, spec.arguments);
    }
    if !command.subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(command.subcommands.len());
        for id in &command.subcommands {
            let sub = table.get(*id);
            reply.bulk(sub.name.as_bytes());
            write_docs(reply, table, sub);
        }
    }
}

/// Recursion is as deep as the table's own argument trees, which are data of ours.
fn write_arguments(reply: &mut Reply, arguments: &[Arg]) {
    reply.array(arguments.len());
    for argument in arguments {
        let has_parts = matches!(argument.kind, ArgKind::OneOf | ArgKind::Block);
        let flags = [
            (argument.optional, "optional"),
            (argument.multiple, "multiple"),
            (argument.multiple_token, "multiple_token"),
        ];
        let has_flags = flags.iter().any(|(on, _)| *on);
        let present = [
            argument.key_spec.is_some(),
            !argument.token.is_empty(),
            !argument.since.is_empty(),
            !argument.deprecated_since.is_empty(),
            has_flags,
        ];
        // With the name, the type, and either the text shown or the parts.
        reply.map(3 + present.iter().filter(|p| **p).count());
        write_texts(
            reply,
            &[("name", argument.name), ("type", argument.kind.name())],
        );
        if !has_parts {
            let shown = if argument.display.is_empty() {
                argument.name
            } else {
                argument.display
            };
            write_texts(reply, &[("display_text", shown)]);
        }
        if let Some(index) = argument.key_spec {
            reply.bulk(b"key_spec_index");
            reply.int(i64::from(index));
        }
        write_texts(
            reply,
            &[
                ("token", argument.token),
                ("since", argument.since),
                ("deprecated_since", argument.deprecated_since),
            ],
        );
        if has_flags {
            reply.bulk(b"flags");
            let on = flags.iter().filter(|(on, _)| *on).map(|(_, name)| *name);
            write_words(reply, on);
        }
        if has_parts {
            reply.bulk(b"arguments");
            write_arguments(reply, argument.parts);
        }
    }
}

// ---- COMMAND GETKEYS ----

fn getkeys(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    write_keys(ctx, &args[2..], false)
}

fn getkeysandflags(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    write_keys(ctx, &args[2..], true)
}

fn write_keys(ctx: &mut Context<'_>, call: &Args<'_>, with_flags: bool) -> CommandResult {
    let Some(command) = ctx.node.table.find(call) else {
        return Err(CommandError::fixed("ERR Invalid command specified"));
    };
    if !command.may_have_keys() {
        return Err(CommandError::fixed("ERR The command has no key arguments"));
    }
    if !command.accepts(call.len()) {
        return Err(CommandError::fixed(
            "ERR Invalid number of arguments specified for command",
        ));
    }
    let keys = command.keys_of(call).unwrap_or_default();
    if keys.is_empty() && !command.flags.has(bits::NO_MANDATORY_KEYS) {
        return Err(CommandError::fixed(
            "ERR Invalid arguments specified for command",
        ));
    }
    ctx.reply.array(keys.len());
    for key in keys {
        if with_flags {
            ctx.reply.array(2);
            ctx.reply.bulk(call[key.index]);
            write_words(ctx.reply, key_flag_names(key.flags));
        } else {
            ctx.reply.bulk(call[key.index]);
        }
    }
    Ok(())
}

fn command_help(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    help(
        ctx,
        args,
        &[
            "(no subcommand)",
            "    Return details about all Redis commands.",
            "COUNT",
            "    Return the total number of commands in this Redis server.",
            "LIST",
            "    Return a list of all commands in this Redis server.",
            "INFO [<command-name> ...]",
            "    Return details about multiple Redis commands.",
            "    If no command names are given, documentation details for all",
            "    commands are returned.",
            "DOCS [<command-name> ...]",
            "    Return documentation details about multiple Redis commands.",
            "    If no command names are given, documentation details for all",
            "    commands are returned.",
            "GETKEYS <full-command>",
            "    Return the keys from a full Redis command.",
            "GETKEYSANDFLAGS <full-command>",
            "    Return the keys and the access flags from a full Redis command.",
        ],
    )
}

#[cfg(test)]
mod tests {
    use crate::command::context::bench::Bench;

    #[test]
    fn commands_are_described() {
        let mut bench = Bench::new();
        assert_eq!(
            bench.line("command info get nope").0,
            "*2 *10 $3 get :2 *2 +readonly +fast :1 :1 :1 *3 +@read +@string +@fast *0 \
             *1 *6 $5 flags *2 +RO +access $12 begin_search *4 $4 type $5 index $4 spec *2 $5 index :1 \
             $9 find_keys *4 $4 type $5 range $4 spec *6 $7 lastkey :0 $7 keystep :1 $5 limit :0 *0 $-1"
        );
        assert_eq!(
            bench.line("command list filterby pattern CONFIG|SE*").0,
            "*1 $10 config|set"
        );
        assert_eq!(bench.line("command list filterby module x").0, "*0");
        assert_eq!(bench.line("command docs nope").0, "*0");
    }

    #[test]
    fn keys_are_told() {
        let mut bench = Bench::new();
        let mut told = |line: &str| bench.line(line).0;
        assert_eq!(told("command getkeys mset a 1 b 2"), "*2 $1 a $1 b");
        assert_eq!(
            told("command getkeysandflags set a b get"),
            "*1 *2 $1 a *3 +RW +access +update"
        );
        assert_eq!(
            told("command getkeys ping"),
            "-ERR The command has no key arguments"
        );
        assert_eq!(
            told("command getkeys get"),
            "-ERR Invalid number of arguments specified for command"
        );
        assert_eq!(
            told("command getkeys zunionstore d x a"),
            "-ERR Invalid arguments specified for command"
        );
        assert_eq!(
            told("command getkeys nope a"),
            "-ERR Invalid command specified"
        );
    }
}
