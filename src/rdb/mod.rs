//! Values to dump bytes and back: Redis's RDB format.
//!
//! - [`writer`] makes version 10, entry by entry, so that a snapshot's walk decides the pace; [`pieces`]
//!   cuts a huge collection into bounded steps.
//! - [`reader`] takes versions 1 to 12 from any `std::io::Read` and hands entries to a [`reader::Loader`].
//! - [`payload`] is the form of DUMP and RESTORE: one value with a version and a checksum.
//! - [`opaque`] is what a dump holds beside keys and nobody here can use: kept, and written again.
//! - `expiring_hash`: hashes some of whose fields expire, in both makes' layouts.
//! - [`decode`] turns one encoded value into a container; [`legacy`] knows ziplists and zipmaps;
//!   [`source`] is the buffered, counted, checksummed byte source beneath; [`lzf`] and [`crc64`] are what
//!   their names say.
//!
//! Nothing here trusts a length, a count or an offset that it read: allocation follows the bytes that
//! have really arrived, and every error says where in the input it was found.

pub(crate) mod crc64;
pub(crate) mod decode;
pub(crate) mod error;
mod expiring_hash;
pub(crate) mod format;
pub(crate) mod legacy;
pub(crate) mod lzf;
pub(crate) mod opaque;
pub(crate) mod payload;
pub(crate) mod pieces;
pub(crate) mod reader;
pub(crate) mod source;
mod stream;
pub(crate) mod usage;
pub(crate) mod writer;

#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod round_trip_tests;
