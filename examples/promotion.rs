//! A master and two replicas in one process; the master is shut down, a replica promoted, the other follows.
//!
//!     cargo run --example promotion

use std::time::{Duration, Instant};

use understudy::{LocalClient, Node, Settings};

/// Longest wait for a replica to catch up.
const PATIENCE: Duration = Duration::from_secs(10);

fn start() -> Result<Node, understudy::StartError> {
    // Nothing on disk, and any port that is free at loopback.
    Node::start(Settings {
        bind: vec!["127.0.0.1".into()],
        ..Settings::embedded()
    })
}

fn text(client: &mut LocalClient, command: &[&str]) -> String {
    match client.call(command) {
        understudy::RespValue::Int(n) => n.to_string(),
        understudy::RespValue::Error(error) => format!("error: {error}"),
        value => value
            .as_bytes()
            .map_or_else(String::new, |b| String::from_utf8_lossy(b).into_owned()),
    }
}

/// Asks until a key has the value.
fn wait_for(client: &mut LocalClient, key: &str, value: &str) {
    let start = Instant::now();
    while text(client, &["GET", key]) != value && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn follow(client: &mut LocalClient, node: &Node) {
    let port = node.port().unwrap_or_default().to_string();
    println!(
        "REPLICAOF 127.0.0.1 {port}: {}",
        text(client, &["REPLICAOF", "127.0.0.1", &port])
    );
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (master, first, second) = (start()?, start()?, start()?);
    let (mut on_master, mut on_first, mut on_second) =
        (master.client(), first.client(), second.client());
    on_master.call(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]);
    follow(&mut on_first, &master);
    follow(&mut on_second, &master);

    on_master.call(&["SET", "role", "lead"]);
    wait_for(&mut on_first, "role", "lead");
    wait_for(&mut on_second, "role", "lead");
    println!(
        "both replicas have it; acked by {}",
        text(&mut on_master, &["WAIT", "2", "2000"])
    );

    drop(on_master);
    master.shutdown();
    println!(
        "the master is gone; promotion: {}",
        text(&mut on_first, &["REPLICAOF", "NO", "ONE"])
    );
    on_first.call(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]);
    follow(&mut on_second, &first);
    on_first.call(&["SET", "role", "understudy"]);
    wait_for(&mut on_second, "role", "understudy");
    println!("role = {}", text(&mut on_second, &["GET", "role"]));

    // What the new master gave: a partial sync, for the stream went on under a new id.
    let stats = text(&mut on_first, &["INFO", "stats"]);
    for line in stats.lines().filter(|line| line.starts_with("sync_")) {
        println!("{line}");
    }
    Ok(())
}
