//! CONFIG: the directives of the running node.
//!
//! SET takes several directives and is all or nothing: the new values are made in a copy of the settings,
//! the actors may refuse what cannot be done (a port that is taken), and only then does the copy become the
//! settings. Commands that run meanwhile see either all old or all new values.

use crate::command::server::help::help;
use crate::command::server::saving;
use crate::command::{Context, Handlers};
use crate::config::directive::Directive;
use crate::config::{Protected, Settings, table};
use crate::node_core::{NodeCore, SLOW_TO_SET};
use crate::table::{Args, CommandError, CommandResult};
use crate::text::glob;

pub(crate) const HANDLERS: Handlers = &[
    ("config|get", get),
    ("config|set", set),
    ("config|resetstat", reset_stat),
    ("config|rewrite", rewrite),
    ("config|help", config_help),
];

/// The least fixed backlog that CONFIG SET makes, bytes. Smaller values are taken for it, as in Redis.
const BACKLOG_MIN_BYTES: u64 = 16 << 10;

/// Every name that CONFIG knows, aliases included.
fn names() -> impl Iterator<Item = (&'static str, &'static Directive)> {
    table::all().filter(|d| !d.file_only).flat_map(|d| {
        [Some(d.name), d.alias]
            .into_iter()
            .flatten()
            .map(move |name| (name, d))
    })
}

/// A directive by the name that a client gave, with the spelling of the table.
fn find(name: &[u8]) -> Option<(&'static str, &'static Directive)> {
    names().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()))
}

fn get(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let settings = ctx.node.settings.load();
    let mut found: Vec<(&[u8], &Directive)> = Vec::new();
    for &pattern in &args[2..] {
        if !pattern.iter().any(|b| b"[*?".contains(b)) {
            let known = found
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case(pattern));
            if let (Some((_, directive)), false) = (find(pattern), known) {
                found.push((pattern, directive));
            }
            continue;
        }
        for (name, directive) in names().filter(|(_, d)| !d.hidden) {
            let name = name.as_bytes();
            if glob::matches(pattern, name, true)
                && !found.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
            {
                found.push((name, directive));
            }
        }
    }
    ctx.reply.map(found.len());
    for (name, directive) in found {
        ctx.reply.bulk(name);
        ctx.reply.bulk(directive.get(&settings).as_bytes());
    }
    Ok(())
}

/// Most directives are in force when the reply is written. What needs files, name servers or sockets is done aside.
fn set(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::SYNTAX);
    }
    let changes = requested(ctx, &args[2..])?;
    let node = ctx.node;
    let is_slow = changes
        .iter()
        .any(|c| SLOW_TO_SET.contains(&c.directive.name));
    if is_slow {
        return saving::aside(ctx, move |node, reply| {
            apply_slowly(node, &changes)?;
            reply.ok();
            Ok(())
        });
    }
    let _one_at_a_time = node.settings_lock.lock();
    let old = node.settings.load_full();
    let mut new = with_changes(&old, &changes)?;
    let changed = changed_names(&old, &new);
    prepare(node, &old, &mut new, &changed)?;
    put_into_force(node, new, &changed);
    ctx.reply.ok();
    Ok(())
}

/// Puts the changes into force, or none of them, by the one thread that does work aside. What may block is done before the
/// lock is taken, since clients' other changes wait for that.
fn apply_slowly(node: &NodeCore, changes: &[Change]) -> CommandResult {
    let old = node.settings.load_full();
    let mut new = with_changes(&old, changes)?;
    let prepared = changed_names(&old, &new);
    prepare(node, &old, &mut new, &prepared)?;
    let one_at_a_time = node.settings_lock.lock();
    // What was set meanwhile stays.
    let latest = node.settings.load_full();
    let mut merged = match with_changes(&latest, changes) {
        Ok(merged) => merged,
        Err(error) => {
            drop(one_at_a_time);
            // The two don't go together: back to the old addresses.
            let _ = prepare(node, &new, &mut Settings::clone(&old), &prepared);
            return Err(error);
        }
    };
    if prepared.contains(&"dir") {
        merged.dir = new.dir;
    }
    if prepared.contains(&"repl-spool-dir") {
        merged.repl_spool_dir = new.repl_spool_dir;
    }
    let changed = changed_names(&latest, &merged);
    put_into_force(node, merged, &changed);
    Ok(())
}

/// The settings with the changes in them, if they go together.
fn with_changes(old: &Settings, changes: &[Change]) -> CommandResult<Settings> {
    let mut new = old.clone();
    for change in changes {
        let words: Vec<&str> = change.words.iter().map(String::as_str).collect();
        let set = change.directive.set(&mut new, &words);
        set.map_err(|reason| failed(change.name, &reason))?;
    }
    new.clamp();
    if old.repl_backlog_size != new.repl_backlog_size {
        // As in Redis, not so when the process starts.
        new.repl_backlog_size = new.repl_backlog_size.max(BACKLOG_MIN_BYTES);
    }
    new.check()
        .map_err(|(name, reason)| failed(name, &reason))?;
    Ok(new)
}

fn changed_names(old: &Settings, new: &Settings) -> Vec<&'static str> {
    table::all()
        .filter(|d| d.get(old) != d.get(new))
        .map(|d| d.name)
        .collect()
}

/// Has done outside what must be before the new settings are in force.
fn prepare(
    node: &NodeCore,
    old: &Settings,
    new: &mut Settings,
    changed: &[&'static str],
) -> CommandResult {
    match node.services.get() {
        Some(services) if !changed.is_empty() => services
            .prepare_settings(old, new, changed)
            .map_err(|(name, reason)| failed(name, &reason)),
        _ => Ok(()),
    }
}

fn put_into_force(node: &NodeCore, new: Settings, changed: &[&'static str]) {
    if changed.is_empty() {
        return;
    }
    if changed.contains(&"repl-backlog-size") && !new.repl_backlog_auto {
        node.hub.set_backlog_size(new.repl_backlog_size);
    }
    if changed.contains(&"min-replicas-max-lag") {
        let lag_s = new.min_replicas_max_lag as i64;
        node.hub.count_good_replicas(lag_s, node.clock.unix_ms());
    }
    node.replace_settings(new);
    node.settings_changed(changed);
}

/// A directive to set.
struct Change {
    /// Its name as the client means it, in the table's spelling.
    name: &'static str,
    directive: &'static Directive,
    /// Of the value.
    words: Vec<String>,
}

/// Reads the pairs of name and value, and refuses those that may not be set.
fn requested(ctx: &Context<'_>, pairs: &[&[u8]]) -> CommandResult<Vec<Change>> {
    let mut changes: Vec<Change> = Vec::with_capacity(pairs.len() / 2);
    // The first refusal counts, but an unknown name beats all others before it.
    let mut refusal = None;
    for pair in pairs.chunks_exact(2) {
        let (name, value) = (pair[0], pair[1]);
        let Some((known, directive)) = find(name) else {
            let unknown = CommandError::err(format_args!(
                "Unknown option or number of arguments for CONFIG SET - '{}'",
                String::from_utf8_lossy(name)
            ));
            return Err(refusal.unwrap_or(unknown));
        };
        if refusal.is_some() {
            continue;
        }
        let given = String::from_utf8_lossy(name);
        // Tools that know Redis's immutable and protected directives set all others to what they read before.
        let same = directive.ours && value == directive.get(ctx.settings).as_bytes();
        let why = if directive.immutable && !same {
            Some("can't set immutable config")
        } else if directive.protected && !same && !may_set_protected(ctx) {
            Some("can't set protected config")
        } else if directive.deny_loading && ctx.node.is_loading() {
            refusal = Some(CommandError::fixed(
                "LOADING Redis is loading the dataset in memory",
            ));
            None
        } else if changes.iter().any(|c| c.directive.name == directive.name) {
            Some("duplicate parameter")
        } else {
            None
        };
        if let Some(why) = why {
            refusal = Some(failed(&given, why));
        }
        let Ok(value) = std::str::from_utf8(value) else {
            return Err(failed(&given, "argument must be valid UTF-8"));
        };
        let words = match (directive.many_words, value) {
            (true, "") => Vec::new(),
            (true, value) => value.split(' ').map(str::to_owned).collect(),
            (false, value) => vec![value.to_owned()],
        };
        changes.push(Change {
            name: known,
            directive,
            words,
        });
    }
    match refusal {
        Some(refusal) => Err(refusal),
        None => Ok(changes),
    }
}

fn may_set_protected(ctx: &Context<'_>) -> bool {
    match ctx.settings.enable_protected_configs {
        Protected::Yes => true,
        Protected::No => false,
        Protected::Local => ctx.session.client.is_local(),
    }
}

fn failed(name: &str, reason: &str) -> CommandError {
    CommandError::err(format_args!(
        "CONFIG SET failed (possibly related to argument '{name}') - {reason}"
    ))
}

fn reset_stat(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    let node = ctx.node;
    node.stats.reset();
    node.command_stats.reset();
    node.lazyfree.reset_freed();
    ctx.reply.ok();
    Ok(())
}

fn rewrite(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    if ctx.node.process.config_file.is_none() {
        return Err(CommandError::fixed(
            "ERR The server is running without a config file",
        ));
    }
    saving::aside(ctx, |node, reply| {
        let outcome = match node.services.get() {
            Some(services) => services.rewrite_config(&node.settings.load()),
            None => Err("Operation not supported".into()),
        };
        if let Err(why) = outcome {
            tracing::warn!("CONFIG REWRITE failed: {why}");
            return Err(CommandError::err(format_args!(
                "Rewriting config file: {why}"
            )));
        }
        tracing::info!("CONFIG REWRITE executed with success.");
        reply.ok();
        Ok(())
    })
}

fn config_help(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    help(
        ctx,
        args,
        &[
            "GET <pattern>",
            "    Return parameters matching the glob-like <pattern> and their values.",
            "SET <directive> <value>",
            "    Set the configuration <directive> to <value>.",
            "RESETSTAT",
            "    Reset statistics reported by the INFO command.",
            "REWRITE",
            "    Rewrite the configuration file.",
        ],
    )
}
