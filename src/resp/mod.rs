//! RESP: bytes to commands and replies to bytes, both protocol versions. No IO, no actors.

pub mod output;
pub mod reply;
pub mod request;
pub mod value;
mod words;

pub use output::Output;
pub use reply::{Reply, Resp};
