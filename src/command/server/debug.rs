//! DEBUG: for tests and for looking inside. `enable-debug-command` says who may.
//!
//! What Redis's own suite and redis-cli use is here; subcommands about things that this node doesn't have
//! (append-only files, clusters, sds strings) are unknown.

use std::sync::atomic::Ordering;

use crate::command::context::arguments::int_at_least;
use crate::command::context::int_arg;
use crate::command::dispatch;
use crate::command::server::debug_show;
use crate::command::server::digest::{ScoreForm, dataset_digest, hex, value_digest};
use crate::command::server::help::help;
use crate::command::server::saving;
use crate::command::{Context, Handlers};
use crate::keyspace::Expiry;
use crate::node_core::ReloadOptions;
use crate::repl::{ReplId, wire};
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;
use crate::text::printable::printable;

pub(crate) const HANDLERS: Handlers = &[("debug", debug)];

const OUT_OF_RANGE: &str = "ERR value is out of range, must be positive";

fn debug(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let subcommand = String::from_utf8_lossy(args[1]).to_ascii_lowercase();
    match (subcommand.as_str(), args.len()) {
        ("help", 2) => debug_help(ctx, args),
        ("sleep", 3) => sleep(ctx, args),
        ("digest", 2) => digest(ctx),
        ("digest-value", _) => digest_value(ctx, args),
        ("reload", _) => reload(ctx, args),
        ("populate", 3..=5) => populate(ctx, args),
        ("object", 3) => debug_show::object(ctx, args),
        ("listpack", 3) => debug_show::encoded(ctx, args, "listpack", "a listpack", "Listpack"),
        ("quicklist", 3 | 4) => {
            debug_show::encoded(ctx, args, "quicklist", "a quicklist", "Quicklist")
        }
        ("htstats", 3 | 4) => debug_show::table_of_db(ctx, args),
        ("htstats-key", 3 | 4) => debug_show::table_of_key(ctx, args),
        ("protocol", 3) => debug_show::protocol(ctx, args),
        ("set-active-expire", 3) => {
            let off = is_zero(args[2]);
            ctx.node.active_expire_off.store(off, Ordering::Relaxed);
            done(ctx)
        }
        ("set-disable-deny-scripts", 3) => {
            let allow_all = !is_zero(args[2]);
            ctx.node
                .scripts
                .allow_all
                .store(allow_all, Ordering::Relaxed);
            done(ctx)
        }
        ("pause-cron", 3) => {
            let paused = !is_zero(args[2]);
            ctx.node.cron_paused.store(paused, Ordering::Relaxed);
            done(ctx)
        }
        ("change-repl-id", 2) => change_repl_id(ctx),
        ("replicate", 3..) => replicate(ctx, args),
        ("error", 3) => {
            let text = String::from_utf8_lossy(args[2]).into_owned();
            Err(CommandError::text(text))
        }
        ("log", 3) => {
            tracing::warn!("DEBUG LOG: {}", printable(args[2]));
            done(ctx)
        }
        ("quicklist-packed-threshold", 3) => packed_threshold(ctx, args),
        ("stringmatch-test", 2) => {
            ctx.reply
                .simple("Apparently Redis did not crash: test passed");
            Ok(())
        }
        ("stringmatch-len", 4) => {
            let matched = crate::text::glob::matches(args[3], args[2], false);
            ctx.reply.int(i64::from(matched));
            Ok(())
        }
        ("set-skip-checksum-validation", 3) => {
            let unchecked = !is_zero(args[2]);
            let flag = &ctx.node.persistence.unchecked;
            flag.store(unchecked, Ordering::Relaxed);
            done(ctx)
        }
        ("aof-flush-sleep", 3) | ("replybuffer", 4) => Err(CommandError::err(format_args!(
            "DEBUG {} is not supported: there is nothing here that it could change",
            subcommand.to_ascii_uppercase()
        ))),
        ("config-rewrite-force-all", 2) => config_rewrite(ctx),
        #[cfg(debug_assertions)]
        ("fault", 4) => fault(ctx, args),
        ("segfault" | "panic" | "assert" | "oom" | "crash-and-recover" | "restart", _) => {
            crash(ctx, &subcommand)
        }
        _ => Err(CommandError::err(format_args!(
            "unknown subcommand or wrong number of arguments for '{}'. Try DEBUG HELP.",
            String::from_utf8_lossy(args[1])
        ))),
    }
}

fn change_repl_id(ctx: &mut Context<'_>) -> CommandResult {
    dispatch::flush_effects(ctx);
    tracing::info!("Changing replication IDs after receiving DEBUG change-repl-id");
    let mut stream = ctx.node.hub.stream();
    stream.history.restart(ReplId::random(&*ctx.node.clock));
    drop(stream);
    done(ctx)
}

/// Appends a command to the stream, whatever it is.
fn replicate(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let mut bytes = Vec::new();
    wire::command(&mut bytes, &args[2..]);
    dispatch::flush_effects(ctx);
    ctx.node.hub.append_raw(&bytes);
    ctx.node.hub.wake();
    done(ctx)
}

fn packed_threshold(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    // Lists here have no plain nodes; a large element is a node of its own in any case.
    let word = std::str::from_utf8(args[2]).unwrap_or_default();
    let bytes = crate::config::directive::parse_memory(word);
    match bytes {
        Some(0..=0xffff_ffff) => done(ctx),
        _ => Err(CommandError::fixed(
            "ERR argument must be a memory value bigger than 1 and smaller than 4gb",
        )),
    }
}

fn digest(ctx: &mut Context<'_>) -> CommandResult {
    let digest = dataset_digest(&ctx.keys, ScoreForm::default());
    ctx.reply.simple(&hex(&digest));
    Ok(())
}

fn done(ctx: &mut Context<'_>) -> CommandResult {
    ctx.reply.ok();
    Ok(())
}

/// As C's atoi would see it: what isn't a number is 0.
fn is_zero(arg: &[u8]) -> bool {
    int_arg(arg).unwrap_or(0) == 0
}

/// Sleeps with every shard held and the periodic duties at rest, as redis-server would stand still: replicas
/// hear nothing of us either.
fn sleep(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let text = std::str::from_utf8(args[2]).unwrap_or_default();
    let seconds = text.parse::<f64>().ok().filter(|s| s.is_finite());
    let us = (seconds.unwrap_or(0.0).clamp(0.0, 86_400.0) * 1e6) as u64;
    let paused = ctx.node.cron_paused.swap(true, Ordering::Relaxed);
    ctx.node.clock.sleep_us(us);
    ctx.node.cron_paused.store(paused, Ordering::Relaxed);
    done(ctx)
}

/// Works on keys that have expired but are still there, as in Redis.
fn digest_value(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    ctx.reply.array(args.len() - 2);
    for &key in &args[2..] {
        let hash = ctx.node.keyspace.hash(key);
        let entry = ctx.keys.shard(hash).dbs[ctx.session.db].get(key, hash);
        let digest = match entry {
            Some(entry) => {
                value_digest(entry.value, entry.expire_at.is_some(), ScoreForm::default())
            }
            None => [0; 20],
        };
        ctx.reply.simple(&hex(&digest));
    }
    Ok(())
}

fn reload(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let mut options = ReloadOptions {
        save: true,
        flush: true,
        merge: false,
    };
    for &option in &args[2..] {
        if is_word(option, "nosave") {
            options.save = false;
        } else if is_word(option, "noflush") {
            options.flush = false;
        } else if is_word(option, "merge") {
            options.merge = true;
        } else {
            return Err(CommandError::fixed(
                "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
            ));
        }
    }
    saving::with_ticket(ctx, |services, ticket| services.reload(ticket, options))
}

/// Keys that exist already stay. Nothing is logged: replicas don't get these keys.
fn populate(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let count = int_at_least(args[2], 0, OUT_OF_RANGE)?;
    let prefix = args.get(3).copied().unwrap_or(b"key");
    let size = args
        .get(4)
        .map_or(Ok(0), |arg| int_at_least(arg, 0, OUT_OF_RANGE))?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size as u64 > ctx.settings.proto_max_bulk_len {
        return Err(CommandError::fixed(
            "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
        ));
    }
    let mut key = Vec::with_capacity(prefix.len() + 21);
    let mut value = Vec::with_capacity(size.max(26));
    let mut digits = itoa::Buffer::new();
    for n in 0..count {
        let number = digits.format(n).as_bytes();
        key.clear();
        key.extend_from_slice(prefix);
        key.push(b':');
        key.extend_from_slice(number);
        if ctx.find_mut(&key).is_some() {
            continue;
        }
        value.clear();
        value.extend_from_slice(b"value:");
        value.extend_from_slice(number);
        if size > 0 {
            value.resize(size, 0);
        }
        ctx.set_string(&key, &value, Expiry::Clear);
        ctx.touch(&key);
    }
    done(ctx)
}

fn config_rewrite(ctx: &mut Context<'_>) -> CommandResult {
    saving::aside(ctx, |node, reply| {
        let outcome = match node.services.get() {
            Some(services) => services.rewrite_config(&node.settings.load()),
            None => Err("Operation not supported".into()),
        };
        if let Err(why) = outcome {
            return Err(CommandError::err(format_args!(
                "CONFIG-REWRITE-FORCE-ALL failed: {why}"
            )));
        }
        reply.ok();
        Ok(())
    })
}

/// DEBUG FAULT owner step: has an actor or thread panic when it next takes that step. For tests: builds without
/// debug assertions don't have it.
#[cfg(debug_assertions)]
fn fault(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (owner, step) = (
        printable(args[2]).to_string(),
        printable(args[3]).to_string(),
    );
    let owner = crate::supervision::Owner::named(&owner);
    let owner = owner.ok_or(CommandError::fixed("ERR no actor or thread of that name"))?;
    ctx.node.supervision.faults.arm(owner, step);
    done(ctx)
}

/// Ends the process on the spot, nothing saved. Needs DEBUG to be allowed, as all of this does.
fn crash(ctx: &mut Context<'_>, how: &str) -> CommandResult {
    tracing::error!(
        "DEBUG {} called by client {}: the process ends here",
        how.to_ascii_uppercase(),
        ctx.session.id()
    );
    std::process::abort();
}

fn debug_help(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    help(
        ctx,
        args,
        &[
            "ASSERT",
            "    Crash by assertion failed.",
            "CHANGE-REPL-ID",
            "    Change the replication IDs of the instance.",
            "    Dangerous: should be used only for testing the replication subsystem.",
            "CONFIG-REWRITE-FORCE-ALL",
            "    Like CONFIG REWRITE.",
            "DIGEST",
            "    Output a hex signature representing the current DB content.",
            "DIGEST-VALUE <key> [<key> ...]",
            "    Output a hex signature of the values of all the specified keys.",
            "ERROR <string>",
            "    Return a Redis protocol error with <string> as message. Useful for clients",
            "    unit tests to simulate Redis errors.",
            "HTSTATS <dbid>",
            "    Return hash table statistics of the specified database.",
            "HTSTATS-KEY <key>",
            "    Like HTSTATS but for the hash table stored at <key>'s value.",
            "LISTPACK <key>",
            "    Tell whether the value is encoded as a listpack.",
            "LOG <message>",
            "    Write <message> to the server log.",
            "OBJECT <key>",
            "    Show low level info about `key` and associated value.",
            "PANIC",
            "    Crash the server simulating a panic.",
            "PAUSE-CRON <0|1>",
            "    Stop periodic cron job processing.",
            "POPULATE <count> [<prefix>] [<size>]",
            "    Create <count> string keys named key:<num>. If <prefix> is specified then",
            "    it is used instead of the 'key' prefix. These are not propagated to",
            "    replicas.",
            "PROTOCOL <type>",
            "    Reply with a test value of the specified type. <type> can be: string,",
            "    integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
            "    true, false.",
            "QUICKLIST <key>",
            "    Tell whether the value is encoded as a quicklist.",
            "QUICKLIST-PACKED-THRESHOLD <size>",
            "    Accepted for Redis's test suite.",
            "RELOAD [option ...]",
            "    Save the RDB on disk and reload it back to memory. Valid <option> values:",
            "    * MERGE: conflicting keys will be loaded from RDB.",
            "    * NOFLUSH: the existing database will not be removed before load.",
            "    * NOSAVE: the database will be loaded from an existing RDB file.",
            "REPLICATE <string>",
            "    Replicates the provided string to replicas, allowing data divergence.",
            "SEGFAULT",
            "    Crash the server.",
            "SET-ACTIVE-EXPIRE <0|1>",
            "    Setting it to 0 disables expiring keys in background when they are not",
            "    accessed. Setting it to 1 reenables back the default.",
            "SET-DISABLE-DENY-SCRIPTS <0|1>",
            "    Setting it to 1 lets scripts call what is not for scripts.",
            "SLEEP <seconds>",
            "    Stop the server for <seconds>. Decimals allowed.",
            "STRINGMATCH-LEN <string> <pattern>",
            "    Tell whether the string matches the glob pattern.",
        ],
    )
}
