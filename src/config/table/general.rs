//! The process, the databases, who may do what.

use super::super::directive::{Directive, at, choice_at, number_at};
use super::special;

const I32: i128 = i32::MAX as i128;
type D = Directive;

#[rustfmt::skip]
pub(super) const DIRECTIVES: &[Directive] = &[
    D::number("databases", number_at!(databases), 1, I32,
        "Number of databases, chosen by SELECT.").immutable(),
    D::number("arbiters", number_at!(arbiters), 0, 256,
        "Threads that serve connections; 0: one less than the cores, at least one.").immutable().ours(),
    D::number("shards", number_at!(shards), 0, 64,
        "Parts that the keyspace is cut into, each run by one thread at a time; 0: chosen by the number of arbiters.").immutable().ours(),
    D::number("arbiter-watchdog-ms", number_at!(arbiter_watchdog_ms), 0, I32,
        "Milliseconds that an arbiter may spend on one client or actor before the log says where; 0: never.").ours(),
    D::special("dir", special::DIR,
        "Working directory: where the dump file is.").protected().deny_loading(),
    D::yes_no("daemonize", at!(daemonize),
        "Run in the background.").immutable(),
    choice_at!("supervised", Supervised, supervised,
        "Tell systemd or upstart when the node is ready.").immutable(),
    D::optional("pidfile", at!(pidfile),
        "File to write the process id to.").immutable(),
    choice_at!("loglevel", LogLevel, loglevel,
        "How much is logged."),
    D::text("logfile", at!(logfile),
        "File to log to; empty: standard output.").immutable(),
    D::yes_no("always-show-logo", at!(always_show_logo),
        "Kept for tools: there is no logo.").immutable(),
    D::optional("requirepass", at!(requirepass),
        "Password of the default user; empty: none is asked.").sensitive(),
    choice_at!("enable-debug-command", Protected, enable_debug_command,
        "Who may use DEBUG: no one, all, or connections from this machine (local).").immutable(),
    choice_at!("enable-module-command", Protected, enable_module_command,
        "Who may use MODULE: no one, all, or connections from this machine (local). No module can be loaded.").immutable(),
    choice_at!("enable-protected-configs", Protected, enable_protected_configs,
        "Who may change protected directives (dir, dbfilename, repl-spool-dir) at run time.").immutable(),
    D::number("hz", number_at!(hz), 0, I32,
        "How often a second background work runs, 1 to 500."),
    D::special("rename-command", special::RENAME_COMMAND,
        "Commands and their new names, in pairs; an empty name takes the command away.").many_words().file_only(),
    D::number("active-expire-effort", number_at!(active_expire_effort), 1, 10,
        "How hard expired keys are looked for, 1 to 10."),
    D::special("notify-keyspace-events", special::EVENTS,
        "Which keyspace events are published: letters of 'KEg$lshzxetdmnA'; empty: none."),
    D::number("shutdown-timeout", number_at!(shutdown_timeout), 0, I32,
        "Seconds that a shutdown waits for replicas that lag."),
    D::special("shutdown-on-sigint", special::SHUTDOWN_ON_SIGINT,
        "How SIGINT shuts down: default, or any of save, nosave, now, force.").many_words(),
    D::special("shutdown-on-sigterm", special::SHUTDOWN_ON_SIGTERM,
        "How SIGTERM shuts down: default, or any of save, nosave, now, force.").many_words(),
];
