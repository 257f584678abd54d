//! Commands: what a handler works with ([`context`]), dispatch, one file per family. The table is in [`crate::table`].

pub mod active_expire;
mod admission;
pub mod arguments;
#[cfg(test)]
pub(crate) mod bench;
pub mod blocking;
pub mod client;
pub mod cluster;
pub mod config;
pub mod connection;
pub mod context;
pub mod counter;
pub mod debug;
mod debug_show;
pub mod describe;
pub mod digest;
pub mod dispatch;
#[cfg(test)]
mod dispatch_tests;
pub mod dump;
pub mod effects;
pub mod events;
#[cfg(test)]
mod everyday_tests;
pub mod expire;
mod explain;
pub mod generic;
mod handlers;
pub mod hash;
pub mod hash_number;
pub mod hash_random;
mod help;
pub mod introspect;
mod latency_report;
pub mod lcs;
pub mod list;
mod lookup;
#[cfg(test)]
mod lookup_tests;
pub mod memory;
pub mod migrate;
pub mod module;
mod nested;
pub mod object;
mod pop_args;
pub mod prefetch;
pub mod pubsub;
pub mod replication;
mod sample;
pub mod saving;
pub mod scan;
pub mod scan_options;
pub(crate) mod script;
pub mod server;
#[cfg(test)]
mod server_tests;
pub mod set;
pub mod set_algebra;
#[cfg(test)]
mod set_hash_tests;
pub mod set_random;
pub mod sort;
pub mod string;
pub mod string_range;
pub mod transaction;
mod values;
pub mod waits;
pub mod zset;

use crate::table::{Args, CommandResult};

pub use context::Context;
pub use effects::Effects;

/// What runs a command. On `Err` the dispatcher writes the error; the handler must not have written
/// anything then.
pub type Handler = fn(&mut Context<'_>, &Args<'_>) -> CommandResult;

/// A family's handlers by full lowercase name; subcommands as "config|get".
pub type Handlers = &'static [(&'static str, Handler)];

/// Every family's handlers; `handlers` joins them with the rows of the command table.
pub const FAMILIES: &[Handlers] = &[
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
