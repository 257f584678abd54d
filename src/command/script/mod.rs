//! EVAL, EVALSHA, their read-only forms, and SCRIPT.
//!
//! - [`run`]: a script on a stack of its own, on the arbiter that got the command; one that takes long goes on elsewhere
//!   ([`moved`], `background::script_threads`).
//! - [`host`]: what a running script sees of the node, `redis.call` above all; [`nested`]: the checks and the run of what
//!   it calls.
//! - [`replies`]: the conversions between replies and Lua's values; [`api`]: the table `redis`.
//! - [`runner`]: Lua states and what else a run works with, kept from one run to the next; [`token`]: why scripts never
//!   wait for each other in a circle.
//!
//! # Shards
//!
//! A script is inside the shards that its declared keys need once a run has shown that it touches no others, and of all
//! shards until then ([`Learned`]). One that surprises begins anew with all of them, if it has had no effect yet; after
//! an effect it gets the others while it stays in its own, see [`token`]. So a script is a unit, like any command.
//!
//! # Effects
//!
//! What the called commands have to say to the log is one unit: a MULTI/EXEC where they are several, nothing where
//! nothing was written. The script itself is never replicated.

mod api;
pub(crate) mod conversion;
pub(super) mod exec;
pub(crate) mod functions;
pub(crate) mod host;
mod library_host;
pub(crate) mod moved;
mod nested;
mod replies;
mod run;
pub(crate) mod runner;
#[cfg(test)]
mod tests;
pub(crate) mod token;

use std::sync::Arc;

use crate::command::dispatch::admission;
use crate::command::server::help::help;
use crate::command::{Context, Handlers, dispatch};
use crate::keyspace::ShardSet;
use crate::script::cache::{Learned, Script};
use crate::script::flags::ScriptFlags;
use crate::script::running::Kind;
use crate::script::sha::Sha;
use crate::session::Origin;
use crate::table::spec::bits;
use crate::table::{Args, Command, CommandError, CommandId, CommandResult};
use crate::text::parse_int;

use host::CallRules;
use moved::MovedScript;
use run::{CallOf, Name, Outcome};
use runner::{Function, Runners};

pub(crate) const HANDLERS: Handlers = &[
    ("eval", eval),
    ("eval_ro", eval),
    ("evalsha", eval),
    ("evalsha_ro", eval),
    ("script|debug", debug),
    ("script|exists", exists),
    ("script|flush", flush),
    ("script|help", script_help),
    ("script|kill", kill),
    ("script|load", load),
    ("script|show", show),
];

const NO_SCRIPT: CommandError =
    CommandError::fixed("NOSCRIPT No matching script. Please use EVAL.");

/// What a command is about to run, looked up before it is admitted.
#[derive(Clone)]
pub(crate) struct Chosen {
    /// The command that is to run it.
    command: CommandId,
    function: Function,
    /// The shards of the declared keys.
    declared: ShardSet,
}

impl Chosen {
    /// The script that an EVAL or EVALSHA names. None: there is none; the handler says why.
    pub(super) fn of(ctx: &Context<'_>, command: &Command, args: &Args<'_>) -> Option<Chosen> {
        if command.name.starts_with("fcall") {
            return Chosen::function(ctx, command, args);
        }
        let text = *args.get(1)?;
        let cache = &ctx.node.scripts.cache;
        let script = if is_by_sha(command) {
            cache.get(&Sha::named(text)?)?
        } else {
            let sha = Sha::of(text);
            match cache.get(&sha) {
                Some(script) => script,
                None => Arc::new(Script::new(sha, text).ok()?),
            }
        };
        Some(Chosen {
            command: command.id,
            function: Function::Script(script),
            declared: declared(ctx, command, args),
        })
    }

    fn flags(&self) -> Option<ScriptFlags> {
        match &self.function {
            Function::Script(script) => script.flags(),
            Function::Library { function, .. } => Some(function.flags),
        }
    }

    /// The command's flags as the script's own make them.
    pub(super) fn command_flags(&self, flags: u32) -> u32 {
        let Some(own) = self.flags() else {
            return flags;
        };
        let mut flags = flags & !(bits::STALE | bits::DENY_OOM | bits::WRITE | bits::MAY_REPLICATE);
        if !own.has(ScriptFlags::ALLOW_OOM.with(ScriptFlags::NO_WRITES)) {
            flags |= bits::DENY_OOM;
        }
        if !own.has(ScriptFlags::NO_WRITES) {
            flags |= bits::WRITE;
        }
        if own.has(ScriptFlags::ALLOW_STALE) {
            flags |= bits::STALE;
        }
        flags
    }

    /// Whether it is known to need the shards of its keys only.
    fn needs_keys_only(&self) -> bool {
        let reach = match &self.function {
            Function::Script(script) => &script.reach,
            Function::Library { function, .. } => &function.reach,
        };
        reach.learned() == Learned::DeclaredOnly
    }
}

/// The command that runs.
fn command_of<'a>(ctx: &Context<'a>, args: &Args<'_>) -> CommandResult<&'a Command> {
    match &ctx.script {
        Some(chosen) => Ok(ctx.node.table.get(chosen.command)),
        // Inside EXEC nobody has looked it up.
        None => ctx.node.table.resolve(args),
    }
}

fn is_by_sha(command: &Command) -> bool {
    command.name.starts_with("evalsha")
}

/// The shards to enter for a script. Inside a transaction it is all, since there it can't begin anew.
pub(super) fn reach(ctx: &Context<'_>) -> ShardSet {
    let keyspace = &ctx.node.keyspace;
    if ctx.session.multi.is_some() || ctx.session.origin != Origin::Client {
        return keyspace.all();
    }
    match &ctx.script {
        // It will be refused.
        None => ShardSet::NONE,
        Some(chosen) if chosen.needs_keys_only() => chosen.declared,
        Some(_) => keyspace.all(),
    }
}

/// The shards of the declared keys.
fn declared(ctx: &Context<'_>, command: &Command, args: &Args<'_>) -> ShardSet {
    let keyspace = &ctx.node.keyspace;
    if keyspace.shards() == 1 {
        return keyspace.all();
    }
    let mut set = ShardSet::NONE;
    command.for_each_key(args, &mut |key| {
        set.add(keyspace.shard_of(keyspace.hash(key)));
    });
    set
}

/// How many of the arguments behind the count are keys.
fn count_keys(args: &Args<'_>) -> CommandResult<usize> {
    let count = parse_int(args[2]).ok_or(CommandError::NOT_INTEGER)?;
    check_keys(args, count)
}

/// So many of them, if they are there.
fn check_keys(args: &Args<'_>, count: i64) -> CommandResult<usize> {
    if count > (args.len() - 3) as i64 {
        return Err(CommandError::fixed(
            "ERR Number of keys can't be greater than number of args",
        ));
    }
    usize::try_from(count).map_err(|_| CommandError::fixed("ERR Number of keys can't be negative"))
}

fn eval(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let node = ctx.node;
    let command = command_of(ctx, args)?;
    dispatch::show_script_to_monitors(ctx, args);
    let by_sha = is_by_sha(command);
    let chosen = ctx.script.take().or_else(|| Chosen::of(ctx, command, args));
    let keys = count_keys(args)?;
    let Some(chosen) = chosen else {
        if by_sha {
            return Err(NO_SCRIPT);
        }
        let sha = Sha::of(args[1]);
        return match Script::new(sha, args[1]) {
            Err(error) => Err(CommandError::err(error)),
            Ok(_) => Err(NO_SCRIPT),
        };
    };
    let Chosen {
        function, declared, ..
    } = chosen;
    let Function::Script(script) = function else {
        return Err(NO_SCRIPT);
    };
    let runners = Runners::of(node);
    let mut runner = runners.take(node, ctx.settings.script_memory_limit)?;
    if let Err(error) = runner.state.compile(&script) {
        Runners::of(node).put(runner);
        return Err(error);
    }
    let script = match script.is_cached() {
        true => script,
        false => node.scripts.cache.add(script, false),
    };
    let name = Name::Script(script.sha);
    let chosen = Chosen {
        command: command.id,
        function: Function::Script(script),
        declared,
    };
    run_chosen(ctx, command, args, keys, chosen, name, runner)
}

/// Runs what was chosen, if it may run.
fn run_chosen(
    ctx: &mut Context<'_>,
    command: &Command,
    args: &Args<'_>,
    keys: usize,
    chosen: Chosen,
    name: Name,
    runner: Box<runner::Runner>,
) -> CommandResult {
    let node = ctx.node;
    let rules = match rules(ctx, command, &chosen) {
        Ok(rules) => rules,
        Err(error) => {
            Runners::of(node).put(runner);
            return Err(error);
        }
    };
    let call = CallOf {
        function: chosen.function.clone(),
        name: name.clone(),
        args,
        keys,
        rules,
    };
    match run::run(ctx, runner, call) {
        Outcome::Ran(touched) => {
            if let Some(touched) = touched {
                chosen
                    .function
                    .tell_reach(chosen.declared.contains(touched));
            }
        }
        Outcome::Surprised => {
            chosen.function.tell_reach(false);
            ctx.again = Some(node.keyspace.all());
        }
        Outcome::Moved(runner, stacked, left) => {
            let origin = moved::Origin {
                args: dispatch::own(args),
                command: command.id,
                keys,
                declared: declared(ctx, command, args),
                function: chosen.function,
                name,
                rules,
            };
            let script = MovedScript::new(ctx, origin, runner, stacked, left);
            ctx.goes_on = true;
            if let Some(services) = node.services.get() {
                services.run_script(Box::new(script));
            }
        }
    }
    Ok(())
}

/// Whether the script may run now, and by which rules: in redis-server's order.
fn rules(ctx: &Context<'_>, command: &Command, chosen: &Chosen) -> CommandResult<CallRules> {
    let (node, settings) = (ctx.node, ctx.settings);
    let from_master = ctx.session.origin != Origin::Client;
    let is_read_only = command.flags.has(bits::READONLY);
    let out_of_memory = !from_master && admission::is_out_of_memory(ctx);
    let is_stale =
        node.hub.is_replica() && !node.hub.link_up() && !settings.replica_serve_stale_data;
    let flags = chosen.flags();
    match flags {
        None if is_stale => return Err(admission::MASTER_DOWN),
        None => {}
        Some(flags) => {
            if is_stale && !flags.has(ScriptFlags::ALLOW_STALE) {
                return Err(CommandError::fixed(
                    "MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and 'allow-stale' flag is not set on the script.",
                ));
            }
            if !flags.has(ScriptFlags::NO_WRITES) {
                may_write(ctx, from_master, is_read_only)?;
            }
            if out_of_memory && !flags.has(ScriptFlags::ALLOW_OOM.with(ScriptFlags::NO_WRITES)) {
                return Err(CommandError::fixed(
                    "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'",
                ));
            }
        }
    }
    Ok(CallRules {
        kind: match chosen.function {
            Function::Script(_) => Kind::Eval,
            Function::Library { .. } => Kind::Function,
        },
        read_only: is_read_only || flags.is_some_and(|f| f.has(ScriptFlags::NO_WRITES)),
        allow_oom: flags.is_some_and(|f| f.has(ScriptFlags::ALLOW_OOM)),
        from_master,
        began_out_of_memory: out_of_memory,
        began_us: ctx.unit_began_us.unwrap_or(ctx.now_us),
        may_move: ctx.own_stack.is_some() || (!ctx.deny_blocking && may_go_on_elsewhere(ctx)),
    })
}

/// Whether what the session runs may be taken off its thread.
pub(super) fn may_go_on_elsewhere(ctx: &Context<'_>) -> bool {
    ctx.session.origin == Origin::Client && ctx.node.services.get().is_some()
}

/// Whether a script's error comes of what this node lacks, so that the script would go on elsewhere.
pub(super) fn is_ours_alone(error: &[u8]) -> bool {
    let has = |text: &str| memchr::memmem::find(error, text.as_bytes()).is_some();
    has(nested::UNKNOWN) || has(&nested::UNKNOWN[4..]) || has("not enough memory")
}

/// Whether a script that says it writes may run.
fn may_write(ctx: &Context<'_>, from_master: bool, is_read_only: bool) -> CommandResult {
    let (node, settings) = (ctx.node, ctx.settings);
    if node.hub.is_replica() && settings.replica_read_only && !from_master {
        return Err(CommandError::fixed(
            "READONLY Can not run script with write flag on readonly replica",
        ));
    }
    if node.disk_denies_writes(settings) && !from_master {
        return Err(CommandError::fixed(
            "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Writable scripts are blocked. Use 'no-writes' flag for read only scripts.",
        ));
    }
    if is_read_only {
        return Err(CommandError::fixed(
            "ERR Can not execute a script with write flag using *_ro command.",
        ));
    }
    if from_master {
        return Ok(());
    }
    admission::check_role(ctx)
}

/// What Redis says of a subcommand whose arguments are wrong.
fn subcommand_syntax(args: &Args<'_>) -> CommandError {
    let name = crate::command::context::command_name(args).to_ascii_uppercase();
    let sub = crate::resp::reply::error_text(args.get(1).copied().unwrap_or_default());
    CommandError::err(format_args!(
        "unknown subcommand or wrong number of arguments for '{sub}'. Try {name} HELP."
    ))
}

fn load(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let node = ctx.node;
    let sha = Sha::of(args[2]);
    let known = node.scripts.cache.get(&sha);
    let script = match known {
        Some(script) => script,
        None => {
            let script = Script::new(sha, args[2]).map_err(CommandError::err)?;
            let script = Arc::new(script);
            let runners = Runners::of(node);
            let mut runner = runners.take(node, ctx.settings.script_memory_limit)?;
            let compiled = runner.state.compile(&script);
            Runners::of(node).put(runner);
            compiled?;
            script
        }
    };
    node.scripts.cache.add(script, true);
    ctx.reply.bulk(sha.as_bytes());
    Ok(())
}

fn exists(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    ctx.reply.array(args.len() - 2);
    for name in &args[2..] {
        let sha = Sha::named(name);
        let known = sha.and_then(|sha| ctx.node.scripts.cache.get(&sha));
        ctx.reply.int(i64::from(known.is_some()));
    }
    Ok(())
}

/// The text of a script, as it was sent.
fn show(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let script = Sha::named(args[2]).and_then(|sha| ctx.node.scripts.cache.get(&sha));
    let script = script.ok_or(CommandError::fixed("NOSCRIPT No matching script."))?;
    ctx.reply.bulk(&script.body);
    Ok(())
}

fn flush(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let is_known =
        |word: &&[u8]| word.eq_ignore_ascii_case(b"async") || word.eq_ignore_ascii_case(b"sync");
    if args.len() > 3 || !args.get(2).is_none_or(is_known) {
        return Err(CommandError::fixed(
            "ERR SCRIPT FLUSH only support SYNC|ASYNC option",
        ));
    }
    ctx.node.scripts.cache.flush();
    Runners::of(ctx.node).flush();
    ctx.reply.ok();
    Ok(())
}

fn kill(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    let killed = ctx.node.scripts.running.kill(Kind::Eval);
    killed.map_err(CommandError::fixed)?;
    ctx.reply.ok();
    Ok(())
}

fn debug(_ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let is = |word: &[u8]| args[2].eq_ignore_ascii_case(word);
    if is(b"no") || is(b"yes") || is(b"sync") {
        return Err(CommandError::fixed(
            "ERR SCRIPT DEBUG is not supported: there is no debugger",
        ));
    }
    Err(CommandError::fixed("ERR Use SCRIPT DEBUG YES/SYNC/NO"))
}

fn script_help(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    help(
        ctx,
        args,
        &[
            "DEBUG (YES|SYNC|NO)",
            "    Refused: there is no debugger.",
            "EXISTS <sha1> [<sha1> ...]",
            "    Tell which of the scripts are in the cache.",
            "FLUSH [ASYNC|SYNC]",
            "    Empty the cache of scripts.",
            "KILL",
            "    End the running script, if it has not written.",
            "LOAD <script>",
            "    Put a script into the cache without running it.",
            "SHOW <sha1>",
            "    Return a script of the cache.",
        ],
    )
}
