//! Directives, files, settings. (being written)

use crate::data::Encodings;

/// Every directive's value, typed; one field per directive, named after it with underscores.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub encodings: Encodings,
}
