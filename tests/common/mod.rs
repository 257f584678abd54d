//! What tests share: servers of either make in directories of their own, a small client that shows replies
//! as they are, a proxy that cuts links, seeders, and waiting for conditions instead of sleeping.
//!
//! Every server listens at loopback on a port that was free, keeps its files in a temporary directory and
//! dies with the value that stands for it.

// Each test binary uses another part of this.
#![allow(dead_code, unused_imports)]

pub mod client;
pub mod contents;
pub mod fake_master;
pub mod load;
pub mod proxy;
pub mod reply;
pub mod seed;
pub mod server;
pub mod stall;
pub mod wait;

pub use client::RespClient;
pub use load::Load;
pub use proxy::{Fault, Proxy};
pub use reply::RawReply;
pub use server::{Make, Server, ServerOptions};
pub use stall::StallProbe;
pub use wait::{LONG, SetAtEnd, free_port, wait_for};

/// A number from the environment, by which a test is run at another size.
pub fn setting<N: std::str::FromStr>(name: &str, default: N) -> N {
    let text = std::env::var(name).ok();
    text.and_then(|n| n.parse().ok()).unwrap_or(default)
}
