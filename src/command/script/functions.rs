//! FCALL, FCALL_RO and FUNCTION.
//!
//! Libraries are a part of the dataset: their texts stand in the dump ([`Opaque`]), FUNCTION's writes are replicated as
//! they are, and a dump that is loaded or swapped in brings its own ([`load_all`]). They are changed and looked at with
//! every shard entered, so that a snapshot's cut finds them where it finds the log.
//!
//! The library's code runs once in each Lua state that calls its functions: what it keeps in its own local variables is
//! kept per state.

use std::sync::Arc;

use super::run::Name;
use super::runner::{Function, Runners};
use super::{Chosen, run_chosen};
use crate::command::server::help::help;
use crate::command::{Context, Handlers, dispatch};
use crate::keyspace::Entered;
use crate::node_core::NodeCore;
use crate::rdb::opaque::{Opaque, read_functions, write_functions};
use crate::resp::reply::error_text;
use crate::script::library::{Libraries, Library, Source};
use crate::script::running::Kind;
use crate::session::Origin;
use crate::table::{Args, Command, CommandError, CommandResult};
use crate::text::{glob, parse_int};

pub(crate) const HANDLERS: Handlers = &[
    ("fcall", fcall),
    ("fcall_ro", fcall),
    ("function|delete", delete),
    ("function|dump", dump),
    ("function|flush", flush),
    ("function|help", function_help),
    ("function|kill", kill),
    ("function|list", list),
    ("function|load", load),
    ("function|restore", restore),
    ("function|stats", stats),
];

impl Chosen {
    /// The function that an FCALL names.
    pub(super) fn function(
        ctx: &Context<'_>,
        command: &Command,
        args: &Args<'_>,
    ) -> Option<Chosen> {
        let libraries = ctx.node.functions.load();
        let (library, function) = libraries.function(args.get(1)?)?;
        Some(Chosen {
            command: command.id,
            function: Function::Library {
                library: library.clone(),
                function: function.clone(),
            },
            declared: super::declared(ctx, command, args),
        })
    }
}

fn fcall(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let node = ctx.node;
    let command = super::command_of(ctx, args)?;
    dispatch::show_script_to_monitors(ctx, args);
    // It may have been replaced while the command waited for its shards.
    let is_there = |chosen: &Chosen| matches!(&chosen.function, Function::Library { library, .. } if !library.is_gone());
    let chosen = ctx.script.take().filter(is_there);
    let Some(chosen) = chosen.or_else(|| Chosen::function(ctx, command, args)) else {
        return Err(CommandError::fixed("ERR Function not found"));
    };
    let count = parse_int(args[2]).ok_or(CommandError::fixed("ERR Bad number of keys provided"))?;
    let keys = super::check_keys(args, count)?;
    let Function::Library { library, function } = &chosen.function else {
        return Err(CommandError::fixed("ERR Function not found"));
    };
    let name = Name::Function(function.name.clone());
    let runners = Runners::of(node);
    let mut runner = runners.take(node, ctx.settings.script_memory_limit)?;
    if let Err(error) = runner.state.load_library(node, library, false) {
        Runners::of(node).put(runner);
        return Err(CommandError::err(error));
    }
    run_chosen(ctx, command, args, keys, chosen, name, runner)
}

/// Loads a library's text in a Lua state, which then has its functions.
fn load_text(node: &NodeCore, text: &[u8], is_timed: bool) -> Result<Arc<Library>, String> {
    let source = Source::read(text).map_err(|error| error.0)?;
    let limit = node.settings.load().script_memory_limit;
    let mut runner = Runners::of(node)
        .take(node, limit)
        .map_err(|error| error.0.into_owned())?;
    let loaded = runner.state.load_new_library(node, source, is_timed);
    Runners::of(node).put(runner);
    let library = loaded?;
    if library.functions.is_empty() {
        return Err("No functions registered".into());
    }
    Ok(Arc::new(library))
}

/// Puts a new set in the old one's place, and its texts where dumps find them.
fn replace_all(node: &NodeCore, new: Libraries, texts: Opaque) {
    node.functions.load().note_gone(&new);
    node.functions.store(Arc::new(new));
    node.opaque.store(Arc::new(texts));
}

/// Makes what a dump has brought callable: called with every shard entered, when the dump's texts are in their place. A
/// library that can't be loaded here is kept as a text, for dumps and replicas.
pub(crate) fn load_all(node: &NodeCore, entered: &Entered<'_>) {
    debug_assert!(entered.is_all());
    let mut new = Libraries::default();
    for text in &node.opaque.load().libraries {
        let loaded = load_text(node, text, false)
            .and_then(|library| new.add(library, false).map_err(|error| error.0));
        if let Err(error) = loaded {
            let name = Source::read(text).map_or_else(|_| "?".into(), |source| source.name);
            tracing::warn!(
                "Function library '{name}' of the dump can't be loaded, and is only kept: {error}"
            );
        }
    }
    node.functions.load().note_gone(&new);
    node.functions.store(Arc::new(new));
}

fn load(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (text, options) = args[2..].split_last().ok_or(CommandError::SYNTAX)?;
    let mut replaces = false;
    for option in options {
        if !option.eq_ignore_ascii_case(b"replace") {
            let option = error_text(option);
            return Err(CommandError::err(format_args!(
                "Unknown option given: {option}"
            )));
        }
        replaces = true;
    }
    let node = ctx.node;
    let source = Source::read(text).map_err(CommandError::err)?;
    let mut new = Libraries::clone(&node.functions.load());
    if new.get(&source.name).is_some() && !replaces {
        return Err(CommandError::err(format_args!(
            "Library '{}' already exists",
            source.name
        )));
    }
    let is_timed = ctx.session.origin == Origin::Client;
    let library = load_text(node, text, is_timed).map_err(CommandError::err)?;
    new.add(library, replaces).map_err(CommandError::err)?;
    let mut texts = Opaque::clone(&node.opaque.load());
    texts.put_library(text).map_err(CommandError::err)?;
    replace_all(node, new, texts);
    ctx.dirty += 1;
    ctx.reply.bulk(source.name.as_bytes());
    Ok(())
}

fn delete(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let node = ctx.node;
    let mut new = Libraries::clone(&node.functions.load());
    let mut texts = Opaque::clone(&node.opaque.load());
    let was_there = new.remove(args[2]);
    if !texts.remove_library(args[2]) && !was_there {
        return Err(CommandError::fixed("ERR Library not found"));
    }
    replace_all(node, new, texts);
    ctx.dirty += 1;
    ctx.reply.ok();
    Ok(())
}

fn flush(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let is_known =
        |word: &&[u8]| word.eq_ignore_ascii_case(b"async") || word.eq_ignore_ascii_case(b"sync");
    if args.len() > 3 {
        return Err(super::subcommand_syntax(args));
    }
    if !args.get(2).is_none_or(is_known) {
        return Err(CommandError::fixed(
            "ERR FUNCTION FLUSH only supports SYNC|ASYNC option",
        ));
    }
    let mut texts = Opaque::clone(&ctx.node.opaque.load());
    texts.libraries.clear();
    replace_all(ctx.node, Libraries::default(), texts);
    ctx.dirty += 1;
    ctx.reply.ok();
    Ok(())
}

fn dump(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    let texts = ctx.node.opaque.load();
    let payload = write_functions(&texts.libraries, ctx.settings.rdbcompression);
    ctx.reply.bulk(&payload);
    Ok(())
}

/// What FUNCTION RESTORE does with what is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    Flush,
    Append,
    Replace,
}

fn restore(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    if args.len() > 4 {
        return Err(super::subcommand_syntax(args));
    }
    let policy = match args.get(3).map(|word| word.to_ascii_lowercase()) {
        None => Policy::Append,
        Some(word) => match &word[..] {
            b"append" => Policy::Append,
            b"replace" => Policy::Replace,
            b"flush" => Policy::Flush,
            _ => {
                return Err(CommandError::fixed(
                    "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
                ));
            }
        },
    };
    let node = ctx.node;
    let texts = read_functions(args[2]).map_err(CommandError::err)?;
    let (mut new, mut kept) = match policy {
        Policy::Flush => {
            let mut kept = Opaque::clone(&node.opaque.load());
            kept.libraries.clear();
            (Libraries::default(), kept)
        }
        _ => (
            Libraries::clone(&node.functions.load()),
            Opaque::clone(&node.opaque.load()),
        ),
    };
    let mut restored = Libraries::default();
    for text in &texts {
        let library = load_text(node, text, false).map_err(CommandError::err)?;
        restored.add(library, false).map_err(CommandError::err)?;
    }
    for library in restored.iter() {
        if new.get(library.name()).is_some() {
            if policy == Policy::Append {
                return Err(CommandError::err(format_args!(
                    "Library {} already exists",
                    library.name()
                )));
            }
            new.remove(library.name().as_bytes());
        }
    }
    for library in restored.iter() {
        new.add(library.clone(), false).map_err(CommandError::err)?;
        kept.put_library(&library.source.text)
            .map_err(CommandError::err)?;
    }
    replace_all(node, new, kept);
    ctx.dirty += 1;
    ctx.reply.ok();
    Ok(())
}

fn list(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (mut with_code, mut pattern) = (false, None);
    let mut rest = args[2..].iter();
    while let Some(word) = rest.next() {
        if !with_code && word.eq_ignore_ascii_case(b"withcode") {
            with_code = true;
        } else if pattern.is_none() && word.eq_ignore_ascii_case(b"libraryname") {
            pattern = Some(*rest.next().ok_or(CommandError::fixed(
                "ERR library name argument was not given",
            ))?);
        } else {
            let word = error_text(word);
            return Err(CommandError::err(format_args!("Unknown argument {word}")));
        }
    }
    let libraries = ctx.node.functions.load_full();
    let is_meant = |library: &&Arc<Library>| {
        pattern.is_none_or(|pattern| glob::matches(pattern, library.name().as_bytes(), true))
    };
    ctx.reply.array(libraries.iter().filter(is_meant).count());
    for library in libraries.iter().filter(is_meant) {
        list_library(ctx, library, with_code);
    }
    Ok(())
}

fn list_library(ctx: &mut Context<'_>, library: &Library, with_code: bool) {
    let reply = &mut *ctx.reply;
    reply.map(if with_code { 4 } else { 3 });
    reply.bulk(b"library_name");
    reply.bulk(library.name().as_bytes());
    reply.bulk(b"engine");
    reply.bulk(b"LUA");
    reply.bulk(b"functions");
    reply.array(library.functions.len());
    for function in library.functions.values() {
        reply.map(3);
        reply.bulk(b"name");
        reply.bulk(function.name.as_bytes());
        reply.bulk(b"description");
        match &function.description {
            Some(text) => reply.bulk(text),
            None => reply.null(),
        }
        reply.bulk(b"flags");
        reply.set(function.flags.names().count());
        for flag in function.flags.names() {
            reply.simple(flag);
        }
    }
    if with_code {
        reply.bulk(b"library_code");
        reply.bulk(&library.source.text);
    }
}

fn kill(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    let killed = ctx.node.scripts.running.kill(Kind::Function);
    killed.map_err(CommandError::fixed)?;
    ctx.reply.ok();
    Ok(())
}

fn stats(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    let node = ctx.node;
    let running = node.scripts.running.oldest();
    if let Some(running) = &running
        && running.kind == Kind::Eval
    {
        return Err(CommandError::fixed(Kind::Eval.busy_error()));
    }
    let reply = &mut *ctx.reply;
    reply.map(2);
    reply.bulk(b"running_script");
    match running {
        None => reply.null(),
        Some(running) => {
            reply.map(3);
            reply.bulk(b"name");
            reply.bulk(running.name.as_bytes());
            reply.bulk(b"command");
            reply.array(running.command.len());
            for arg in &running.command {
                reply.bulk(arg);
            }
            reply.bulk(b"duration_ms");
            let ran_us = node.clock.monotonic_us().saturating_sub(running.began_us);
            reply.int((ran_us / 1000) as i64);
        }
    }
    let libraries = node.functions.load();
    reply.bulk(b"engines");
    reply.map(1);
    reply.bulk(b"LUA");
    reply.map(2);
    reply.bulk(b"libraries_count");
    reply.int(libraries.len() as i64);
    reply.bulk(b"functions_count");
    reply.int(libraries.functions() as i64);
    Ok(())
}

fn function_help(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    help(
        ctx,
        args,
        &[
            "LOAD [REPLACE] <FUNCTION CODE>",
            "    Create a library from its code, whose first line names it.",
            "DELETE <LIBRARY NAME>",
            "    Delete a library and its functions.",
            "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
            "    Tell the libraries and their functions.",
            "STATS",
            "    Tell which function is running, and the engines.",
            "KILL",
            "    End the running function, if it has not written.",
            "FLUSH [ASYNC|SYNC]",
            "    Delete all libraries.",
            "DUMP",
            "    Give all libraries as one payload.",
            "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
            "    Create the libraries of a payload: alone, beside those that are there, or in the place of those of their names.",
        ],
    )
}
