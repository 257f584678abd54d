//! RESP: bytes to commands and replies to bytes, both protocol versions. No IO, no actors.

pub(crate) mod output;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod value;
mod words;

pub(crate) use output::Output;
pub(crate) use reply::{Reply, Resp};
