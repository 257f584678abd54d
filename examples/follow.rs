//! An in-process replica of a running Redis (or Valkey, or understudy) that prints keys as they change. Reads
//! of the replica's data need no network.
//!
//!     redis-server --port 6379 &
//!     cargo run --example follow -- 127.0.0.1 6379

use std::time::Duration;

use understudy::{LocalClient, Node, RespValue, Settings};

/// A field of INFO replication.
fn replication_field(client: &mut LocalClient, name: &str) -> Option<String> {
    let info = client.call(&["INFO", "replication"]);
    let text = String::from_utf8_lossy(info.as_bytes()?).into_owned();
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    values.next().map(str::to_owned)
}

/// What a key holds, as one line.
fn show(client: &mut LocalClient, key: &[u8]) -> String {
    let kind = client.call(&[b"TYPE".as_slice(), key]);
    let kind = kind.as_bytes().unwrap_or_default();
    match kind {
        b"string" => {
            let value = client.call(&[b"GET".as_slice(), key]);
            value
                .as_bytes()
                .unwrap_or_default()
                .escape_ascii()
                .to_string()
        }
        b"none" => "(gone)".into(),
        _ => format!("({})", kind.escape_ascii()),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let host = arguments.next().unwrap_or_else(|| "127.0.0.1".into());
    let port = arguments.next().unwrap_or_else(|| "6379".into());

    // No socket of its own, no dump file.
    let node = Node::start(Settings::embedded())?;
    let mut events = node.client();
    events.call(&["CONFIG", "SET", "notify-keyspace-events", "EA"]);
    events.call(&["PSUBSCRIBE", "__keyevent@*"]);
    let mut data = node.client();
    if let RespValue::Error(error) = data.call(&["REPLICAOF", &host, &port]) {
        return Err(error.into());
    }
    while replication_field(&mut data, "master_link_status").as_deref() != Some("up") {
        std::thread::sleep(Duration::from_millis(20));
    }
    println!(
        "in sync with {host}:{port}, {} keys",
        data.call(&["DBSIZE"]).as_int().unwrap_or(0)
    );

    loop {
        // An error is the node's end.
        let Some(RespValue::Push(message)) = events.wait_push(Duration::from_secs(1))? else {
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
        println!(
            "{} {} -> {}",
            event.escape_ascii(),
            key.escape_ascii(),
            show(&mut data, key)
        );
    }
}
