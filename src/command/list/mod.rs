//! (being written)

use super::Handlers;

pub const HANDLERS: Handlers = &[];
