//! Directives, files, settings. Text in, values out: this room opens no file.

pub mod choices;
pub mod events;
pub mod settings;

pub use choices::{
    DisklessLoad, LogLevel, MaxmemoryPolicy, Protected, SanitizeDump, ShutdownFlags, Supervised,
};
pub use events::EventFlags;
pub use settings::{MasterAddress, OutputLimit, OutputLimits, SavePoint, Settings};
