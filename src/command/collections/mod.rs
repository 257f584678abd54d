//! What the collection types share: arguments of scans and pops, random samples.

pub(crate) mod pop_args;
pub(crate) mod sample;
pub(crate) mod scan_options;
#[cfg(test)]
mod set_hash_tests;
