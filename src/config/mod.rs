//! Directives, files, settings. Text in, values out: this room opens no file.

pub mod choices;
pub mod directive;
pub mod events;
pub mod host;
pub mod layers;
pub mod lines;
pub mod redis_conf;
pub mod rewrite;
pub mod rewrite_toml;
pub mod settings;
pub mod table;
pub mod toml_form;
pub mod words;

pub use choices::{
    DisklessLoad, LoadFallback, LogLevel, MaxmemoryPolicy, Protected, SanitizeDump, ShutdownFlags,
    Supervised,
};
pub use directive::Directive;
pub use events::EventFlags;
pub use host::is_host;
pub use layers::{Form, Layers, Loaded, flags_to_lines, load};
pub use lines::Mistake;
pub use rewrite::rewrite;
pub use settings::{MasterAddress, OutputLimit, OutputLimits, SavePoint, Settings};
