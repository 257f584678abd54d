//! `understudy compare`: do two servers hold the same?

mod common;

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{LONG, Load, Make, Server, ServerOptions, seed, wait_for};

/// Exit code and what was printed.
fn compare(servers: [&Server; 2], more: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_understudy"))
        .arg("compare")
        .args(servers.map(|server| format!("127.0.0.1:{}", server.port)))
        .args([
            "--timeout",
            if more.contains(&"--timeout") {
                "5"
            } else {
                "60"
            },
        ])
        .args(more.iter().filter(|word| **word != "--timeout"))
        .output()
        .expect("the binary runs");
    let said = [output.stdout, output.stderr].concat();
    let code = output.status.code().expect("it ends by itself");
    (code, String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_redis_and_its_replica_before_and_after_a_write_to_the_replica() {
    let master = Server::redis();
    let mut client = master.client();
    seed::fill(&mut client, 1, "data", 500);
    client.call(&["SELECT", "3"]);
    seed::fill(&mut client, 2, "other", 100);
    let replica = ServerOptions::new(Make::Redis)
        .with("replica-read-only", "no")
        .replica_of(master.port)
        .start();
    replica.wait_synced(LONG);
    // Written to all the time, as fast as one client can that waits for each answer.
    let (stop, mut writer) = (AtomicBool::new(false), master.client());
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                writer.call(&["SET", &format!("new:{}", n % 500), &n.to_string()]);
                n += 1;
            }
        });
        let (code, said) = compare([&master, &replica], &[]);
        stop.store(true, Ordering::Relaxed);
        assert_eq!(code, 0, "{said}");
        let is_said = said.starts_with("equal: ") && said.contains("at offset");
        assert!(is_said, "{said}");
    });
    replica.call(&["SET", "strange", "1"]);
    let (code, said) = compare([&master, &replica], &[]);
    assert_eq!(code, 1, "{said}");
    let line = format!("db0 strange only at 127.0.0.1:{}\n", replica.port);
    assert_eq!(said, format!("{line}different: 1 keys\n"));
    let (code, said) = compare([&master, &replica], &["--prefix", "data"]);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn two_servers_that_share_no_history() {
    let redis = Server::redis();
    let ours = Server::understudy();
    for server in [&redis, &ours] {
        let mut client = server.client();
        let commands: Vec<Vec<String>> = (0..300)
            .map(|n| vec!["SET".into(), format!("key:{n}"), "value".into()])
            .collect();
        client.pipeline(&commands);
        client.call(&["SADD", "set", "1", "2", "3"]);
    }
    let (code, said) = compare([&redis, &ours], &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("equal: 301 keys"), "{said}");
    ours.call(&["SET", "key:7", "other"]);
    redis.call(&["DEL", "set"]);
    let (code, said) = compare([&redis, &ours], &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("db0 key:7 differs\n"), "{said}");
    assert!(
        said.contains(&format!("db0 set only at 127.0.0.1:{}\n", ours.port)),
        "{said}"
    );
    let _load = Load::start(ours.port, 1, 100);
    wait_for("writes", LONG, || {
        ours.info("total_commands_processed") > "500".into()
    });
    let (code, said) = compare([&redis, &ours], &["--timeout"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("writes go on"), "{said}");
}

#[test]
fn what_can_not_be_reached_can_not_be_told() {
    let one = Server::understudy();
    let output = Command::new(env!("CARGO_BIN_EXE_understudy"))
        .args([
            "compare",
            &format!("127.0.0.1:{}", one.port),
            "127.0.0.1:1",
            "--timeout",
            "1",
        ])
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("could not be followed"));
}
