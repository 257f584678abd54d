//! The node as a whole: its start and end, what commands may ask of it, its periodic duties.

pub mod cron;
pub mod root;
pub mod services;
pub mod settings_change;
pub mod shutdown;
pub(crate) mod stale_files;
