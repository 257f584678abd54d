//! Every example is run, and what it prints is read.

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Once;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use common::Server;

/// Longest wait for a line.
const PATIENCE: Duration = Duration::from_secs(60);

/// Those with a test here.
const TESTED: [&str; 3] = ["follow", "promotion", "rdb_inspect"];

/// An example's program. `cargo test --test examples` builds none of them, so the first call sees to that, with
/// the profile of this test.
fn example(name: &str) -> PathBuf {
    assert!(TESTED.contains(&name));
    let own = std::env::current_exe().expect("a path");
    // target/PROFILE/deps/examples-0123456789abcdef
    let directory = own.ancestors().nth(2).expect("two directories above");
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let profile = match directory.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(profile) => profile,
        };
        let built = Command::new(env!("CARGO"))
            .args([
                "build",
                "--locked",
                "--quiet",
                "--examples",
                "--profile",
                profile,
            ])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(built.is_ok_and(|status| status.success()), "no examples");
    });
    directory.join("examples").join(name)
}

fn run(name: &str, args: &[&str]) -> Output {
    let output = Command::new(example(name)).args(args).output();
    output.expect("it can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A program that prints until it is killed.
struct Printing {
    child: Child,
    lines: Receiver<String>,
}

impl Printing {
    fn start(name: &str, args: &[&str]) -> Printing {
        let mut child = Command::new(example(name))
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it can be started");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Printing { child, lines }
    }

    fn expect(&self, wanted: &str) {
        let line = self.lines.recv_timeout(PATIENCE);
        assert_eq!(line.as_deref(), Ok(wanted));
    }
}

impl Drop for Printing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn each_has_a_test() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = std::fs::read_dir(directory).expect("it is there");
    let names: BTreeSet<String> = files
        .flatten()
        .filter_map(|file| {
            let name = file.file_name().to_string_lossy().into_owned();
            name.strip_suffix(".rs").map(str::to_owned)
        })
        .collect();
    assert_eq!(names, TESTED.map(str::to_owned).into());
}

#[test]
fn follow_prints_what_changes() {
    let redis = Server::redis();
    redis.call(&["SET", "old", "value"]);
    let port = redis.port.to_string();
    let follow = Printing::start("follow", &["127.0.0.1", &port]);
    follow.expect(&format!("in sync with 127.0.0.1:{port}, 1 keys"));
    redis.call(&["SET", "greeting", "hello"]);
    follow.expect("set greeting -> hello");
    redis.call(&["APPEND", "greeting", ", world\n"]);
    follow.expect("append greeting -> hello, world\\n");
    redis.call(&["RPUSH", "list", "a", "b"]);
    follow.expect("rpush list -> (list)");
    redis.call(&["DEL", "greeting"]);
    follow.expect("del greeting -> (gone)");
}

#[test]
fn promotion_prints_how_it_went() {
    let output = run("promotion", &[]);
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{printed}{}", text(&output.stderr));
    for line in [
        "both replicas have it; acked by 2",
        "the master is gone; promotion: OK",
        "role = understudy",
        "sync_full:0",
        "sync_partial_ok:1",
    ] {
        assert!(
            printed.lines().any(|l| l == line),
            "no {line:?} in:\n{printed}"
        );
    }
}

#[test]
fn rdb_inspect_prints_what_a_dump_holds() {
    let redis = Server::redis();
    redis.call(&["SET", "greeting", "hello"]);
    redis.call(&["RPUSH", "list", "a", "b", "c"]);
    redis.call(&["SELECT", "0"]);
    redis.call(&["PEXPIREAT", "list", "4102444800000"]);
    redis.call(&["SAVE"]);
    let dump = redis.dir().join("dump.rdb").to_string_lossy().into_owned();
    let output = run("rdb_inspect", &[&dump, "--keys"]);
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{printed}{}", text(&output.stderr));
    for line in [
        "0 string greeting elements=1",
        "0 list list elements=3",
        "db 0: 1 keys of string",
        "db 0: 1 keys of list",
    ] {
        assert!(
            printed.lines().any(|l| l.starts_with(line)),
            "no {line:?} in:\n{printed}"
        );
    }
    assert!(printed.contains("expire_at_ms=4102444800000"), "{printed}");
    assert!(
        printed.contains(" 2 keys, ") && printed.contains("checksum verified"),
        "{printed}"
    );
    let digest = printed.lines().find_map(|l| l.strip_prefix("digest "));
    assert_eq!(digest, Some(redis.digest().as_str()));

    let output = run("rdb_inspect", &["/no/such/dump"]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).starts_with("/no/such/dump: "));
}
