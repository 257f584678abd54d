//! An in-process replica of a running Redis (or Valkey, or understudy) that prints keys as they change. Reads
//! of the replica's data need no network.
//!
//!     redis-server --port 6379 &
//!     cargo run --example follow -- 127.0.0.1 6379

use std::time::Duration;

use understudy::{Node, RespValue, Settings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let host = arguments.next().unwrap_or_else(|| "127.0.0.1".into());
    let port = arguments.next().unwrap_or_else(|| "6379".into());

    // No socket of its own: `bind` is empty.
    let node = Node::start(Settings {
        bind: Vec::new(),
        save: Vec::new(),
        ..Settings::default()
    })?;
    let mut events = node.client();
    events.call(&["CONFIG", "SET", "notify-keyspace-events", "EA"]);
    events.call(&["PSUBSCRIBE", "__keyevent@*"]);
    let mut data = node.client();
    println!("{:?}", data.call(&["REPLICAOF", &host, &port]));

    loop {
        let Some(RespValue::Push(message)) = events.wait_push(Duration::from_secs(1)) else {
            continue;
        };
        // pmessage, pattern, channel, key
        let [.., channel, key] = message.as_slice() else {
            continue;
        };
        let (Some(channel), Some(key)) = (channel.as_bytes(), key.as_bytes()) else {
            continue;
        };
        let event = channel.rsplit(|&b| b == b':').next().unwrap_or_default();
        let kind = data.call(&[b"TYPE".as_slice(), key]);
        let value = match kind.as_bytes() {
            Some(b"string") => data.call(&[b"GET".as_slice(), key]),
            _ => kind,
        };
        println!(
            "{} {} -> {}",
            event.escape_ascii(),
            key.escape_ascii(),
            value.as_bytes().unwrap_or_default().escape_ascii()
        );
    }
}
