//! Commands: what a handler works with ([`context`]), dispatch, one file per family. The table is in [`crate::table`].

pub(crate) mod active_expire;
mod admission;
pub(crate) mod arguments;
#[cfg(test)]
pub(crate) mod bench;
pub(crate) mod blocking;
pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod config;
pub(crate) mod connection;
pub(crate) mod context;
pub(crate) mod counter;
pub(crate) mod debug;
mod debug_show;
pub(crate) mod describe;
pub(crate) mod digest;
pub(crate) mod dispatch;
#[cfg(test)]
mod dispatch_tests;
pub(crate) mod dump;
pub(crate) mod effects;
pub(crate) mod events;
#[cfg(test)]
mod everyday_tests;
pub(crate) mod expire;
mod explain;
pub(crate) mod generic;
mod handlers;
pub(crate) mod hash;
pub(crate) mod hash_number;
pub(crate) mod hash_random;
mod help;
pub(crate) mod introspect;
mod latency_report;
pub(crate) mod lcs;
pub(crate) mod list;
mod lookup;
#[cfg(test)]
mod lookup_tests;
pub(crate) mod memory;
pub(crate) mod migrate;
pub(crate) mod module;
mod nested;
pub(crate) mod object;
mod pop_args;
pub(crate) mod prefetch;
pub(crate) mod pubsub;
pub(crate) mod replication;
mod sample;
pub(crate) mod saving;
pub(crate) mod scan;
pub(crate) mod scan_options;
pub(crate) mod script;
pub(crate) mod server;
#[cfg(test)]
mod server_tests;
pub(crate) mod set;
pub(crate) mod set_algebra;
#[cfg(test)]
mod set_hash_tests;
pub(crate) mod set_random;
pub(crate) mod sort;
pub(crate) mod string;
pub(crate) mod string_range;
pub(crate) mod transaction;
mod values;
pub(crate) mod waits;
pub(crate) mod zset;

use crate::table::{Args, CommandResult};

pub(crate) use context::Context;
pub(crate) use effects::Effects;

/// What runs a command. On `Err` the dispatcher writes the error; the handler must not have written
/// anything then.
pub(crate) type Handler = fn(&mut Context<'_>, &Args<'_>) -> CommandResult;

/// A family's handlers by full lowercase name; subcommands as "config|get".
pub(crate) type Handlers = &'static [(&'static str, Handler)];

/// Every family's handlers; `handlers` joins them with the rows of the command table.
pub(crate) const FAMILIES: &[Handlers] = &[
    client::HANDLERS,
    cluster::HANDLERS,
    connection::HANDLERS,
    config::HANDLERS,
    counter::HANDLERS,
    debug::HANDLERS,
    describe::HANDLERS,
    dump::HANDLERS,
    expire::HANDLERS,
    explain::HANDLERS,
    generic::HANDLERS,
    hash::HANDLERS,
    hash_number::HANDLERS,
    hash_random::HANDLERS,
    introspect::HANDLERS,
    lcs::HANDLERS,
    list::HANDLERS,
    memory::HANDLERS,
    migrate::HANDLERS,
    module::HANDLERS,
    object::HANDLERS,
    pubsub::HANDLERS,
    replication::HANDLERS,
    saving::HANDLERS,
    scan::HANDLERS,
    script::HANDLERS,
    script::functions::HANDLERS,
    server::HANDLERS,
    set::HANDLERS,
    set_algebra::HANDLERS,
    set_random::HANDLERS,
    sort::HANDLERS,
    string::HANDLERS,
    string_range::HANDLERS,
    transaction::HANDLERS,
    zset::HANDLERS,
];
