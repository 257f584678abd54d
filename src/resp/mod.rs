//! RESP: bytes to commands and replies to bytes, both protocol versions. No IO, no actors.

pub mod reply;
pub mod request;
pub mod value;

pub use reply::{Reply, Resp};
