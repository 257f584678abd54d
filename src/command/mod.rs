//! Commands: what a handler works with ([`context`]), what happens to a command around its handler ([`dispatch`]), and
//! a folder per family. The table is in [`crate::table`].

pub(crate) mod bitmap;
pub(crate) mod collections;
pub(crate) mod connection;
pub(crate) mod context;
pub(crate) mod dispatch;
pub(crate) mod geo;
pub(crate) mod hash;
pub(crate) mod hyperloglog;
pub(crate) mod keys;
pub(crate) mod list;
pub(crate) mod replication;
pub(crate) mod script;
pub(crate) mod server;
pub(crate) mod set;
pub(crate) mod stream;
pub(crate) mod string;
pub(crate) mod zset;

use crate::table::{Args, CommandResult};

pub(crate) use context::Context;
pub(crate) use context::effects::Effects;

/// What runs a command. On `Err` the dispatcher writes the error; the handler must not have written
/// anything then.
pub(crate) type Handler = fn(&mut Context<'_>, &Args<'_>) -> CommandResult;

/// A family's handlers by full lowercase name; subcommands as "config|get".
pub(crate) type Handlers = &'static [(&'static str, Handler)];

/// Every family's handlers; `handlers` joins them with the rows of the command table.
pub(crate) const FAMILIES: &[Handlers] = &[
    bitmap::HANDLERS,
    connection::client::HANDLERS,
    server::cluster::HANDLERS,
    connection::HANDLERS,
    server::config::HANDLERS,
    string::counter::HANDLERS,
    server::debug::HANDLERS,
    server::describe::HANDLERS,
    keys::dump::HANDLERS,
    keys::expire::HANDLERS,
    replication::explain::HANDLERS,
    replication::verify::HANDLERS,
    keys::HANDLERS,
    geo::HANDLERS,
    hash::HANDLERS,
    hash::expiry::HANDLERS,
    hash::get_set::HANDLERS,
    hash::number::HANDLERS,
    hash::random::HANDLERS,
    hyperloglog::HANDLERS,
    server::introspect::HANDLERS,
    string::lcs::HANDLERS,
    list::HANDLERS,
    server::memory::HANDLERS,
    keys::migrate::HANDLERS,
    server::module::HANDLERS,
    keys::object::HANDLERS,
    connection::pubsub::HANDLERS,
    replication::HANDLERS,
    server::saving::HANDLERS,
    keys::scan::HANDLERS,
    script::HANDLERS,
    script::functions::HANDLERS,
    server::HANDLERS,
    set::HANDLERS,
    set::algebra::HANDLERS,
    set::random::HANDLERS,
    keys::sort::HANDLERS,
    stream::HANDLERS,
    string::HANDLERS,
    string::range::HANDLERS,
    dispatch::transaction::HANDLERS,
    zset::HANDLERS,
];
