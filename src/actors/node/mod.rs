//! The node as a whole: its start and end, what commands may ask of it, its periodic duties.

pub(crate) mod cron;
pub(crate) mod root;
pub(crate) mod services;
pub(crate) mod settings_change;
pub(crate) mod shutdown;
pub(crate) mod stale_files;
