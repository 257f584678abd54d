//! The server: flags and files to settings, settings to a node, the node until it ends.

use understudy::{Node, Settings};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let port = std::env::args()
        .skip_while(|a| a != "--port")
        .nth(1)
        .and_then(|p| p.parse().ok())
        .unwrap_or(6379);
    let settings = Settings {
        port,
        ..Settings::default()
    };
    match Node::start(settings) {
        Ok(node) => std::process::exit(node.wait()),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}
