//! Directives, files, settings. Text in, values out: this room opens no file.

pub mod check;
pub mod choices;
pub mod directive;
pub mod events;
pub mod hints;
pub mod host;
pub mod layers;
pub mod lines;
pub mod redis_conf;
pub mod rewrite;
mod rewrite_redis_conf;
pub mod rewrite_toml;
pub mod settings;
pub mod table;
pub mod toml_form;
pub mod words;

/// The source of directives given as flags, in mistakes.
pub const COMMAND_LINE: &str = "command line";
/// The source of directives given as variables, in mistakes.
pub const ENVIRONMENT: &str = "environment";

pub use choices::{LoadFallback, LogLevel, MaxmemoryPolicy, Protected, ShutdownFlags, Supervised};
pub use directive::Directive;
pub use events::EventFlags;
pub use host::is_host;
pub use layers::{Form, Layers, Loaded, flags_to_lines, load};
pub use lines::InvalidConfig;
pub use rewrite::{StartSettings, rewrite};
pub use settings::{MasterAddress, OutputLimit, OutputLimits, SavePoint, Settings};

#[cfg(test)]
mod rewrite_tests;
