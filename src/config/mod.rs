//! Directives, files, settings. Text in, values out: this room opens no file.

pub(crate) mod check;
pub(crate) mod choices;
pub(crate) mod directive;
pub(crate) mod events;
pub(crate) mod hints;
pub(crate) mod host;
pub(crate) mod layers;
pub(crate) mod lines;
pub(crate) mod redis_conf;
pub(crate) mod rewrite;
mod rewrite_redis_conf;
pub(crate) mod rewrite_toml;
pub(crate) mod settings;
pub(crate) mod table;
pub(crate) mod toml_form;
pub(crate) mod words;

/// The source of directives given as flags, in mistakes.
pub const COMMAND_LINE: &str = "command line";
/// The source of directives given as variables, in mistakes.
pub(crate) const ENVIRONMENT: &str = "environment";

pub use choices::{
    LoadFallback, LogLevel, MaxmemoryPolicy, OnStreamError, Protected, ShutdownFlags, Supervised,
};
pub use events::EventFlags;
pub(crate) use host::is_host;
pub(crate) use layers::{Form, Layers, Loaded, load};
pub(crate) use lines::InvalidConfig;
pub(crate) use rewrite::{StartSettings, rewrite};
pub use settings::{MasterAddress, OutputLimit, OutputLimits, SavePoint, Settings};

#[cfg(test)]
mod rewrite_tests;
