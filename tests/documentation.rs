//! What README.md promises is so: its tour runs as it is pasted, its list of commands is the command table, and what
//! `examples/deploy` holds for production works.
//!
//! `UPDATE_README=1` writes the list of commands anew.

mod common;

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::server::find_on_path;
use common::{LONG, RespClient, free_port, wait_for};
use understudy::{Node, RespValue, Settings};

fn at_top(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn readme_path() -> PathBuf {
    at_top("README.md")
}

/// The first two fenced blocks of a section.
fn two_blocks(section: &str) -> [String; 2] {
    let readme = fs::read_to_string(readme_path()).unwrap();
    let (_, rest) = readme.split_once(&format!("\n## {section}\n")).unwrap();
    let mut fences = rest.split("\n```");
    let mut block = || {
        let text = fences.nth(1).unwrap();
        text.split_once('\n').unwrap().1.to_owned() + "\n"
    };
    [block(), block()]
}

/// A shell and all that it starts; killed when dropped.
struct Shell(Child);

impl Drop for Shell {
    fn drop(&mut self) {
        // SAFETY: a signal to a process group that this test made.
        unsafe { libc::kill(-(self.0.id() as i32), libc::SIGKILL) };
        let _ = self.0.wait();
    }
}

#[test]
fn the_tour_of_readme_runs_as_it_is_pasted() {
    let [mut script, mut expected] = two_blocks("Five minutes with redis-cli");
    for port in ["7001", "7002", "7003"] {
        let free = free_port().to_string();
        script = script.replace(port, &free);
        expected = expected.replace(port, &free);
    }
    assert!(script.starts_with("cargo build --release\n"), "{script}");
    let script = script.replace("cargo build --release\n", "").replace(
        "target/release/understudy",
        env!("CARGO_BIN_EXE_understudy"),
    );

    let dir = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let path = dir.path().join(name);
        fs::create_dir(&path).unwrap();
        path
    };
    let (work, temporary, programs) = (make("work"), make("temporary"), make("programs"));
    // Shows replies as it does on a terminal.
    let redis_cli = find_on_path("redis-cli").expect("redis-cli is installed");
    let wrapper = programs.join("redis-cli");
    let text = format!("#!/bin/sh\nexec {} --no-raw \"$@\"\n", redis_cli.display());
    fs::write(&wrapper, text).unwrap();
    fs::set_permissions(&wrapper, Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    // Taken by us or, as good, by somebody else.
    let _usual_port = TcpListener::bind(("127.0.0.1", 6379));

    let input = dir.path().join("script");
    let output = dir.path().join("output");
    fs::write(&input, script).unwrap();
    let out = fs::File::create(&output).unwrap();
    let shell = Command::new("sh")
        .current_dir(&work)
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("TMPDIR", &temporary)
        .stdin(fs::File::open(&input).unwrap())
        .stdout(Stdio::from(out.try_clone().unwrap()))
        .stderr(out)
        .process_group(0)
        .spawn()
        .unwrap();
    let mut shell = Shell(shell);
    wait_for("the tour ends", LONG, || {
        matches!(shell.0.try_wait(), Ok(Some(_)))
    });
    let shown = fs::read_to_string(&output).unwrap();
    // redis-cli tells of a reply that took half a second.
    let told_time = |line: &str| line.starts_with('(') && line.ends_with("s)\n");
    let shown: String = shown
        .split_inclusive('\n')
        .filter(|l| !told_time(l))
        .collect();
    assert_eq!(shown, expected);
    for place in [work, temporary] {
        let left: Vec<_> = fs::read_dir(place).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

const LIST_BEGIN: &str = "<!-- the command table, begin -->\n";
const LIST_END: &str = "<!-- the command table, end -->\n";

fn text(value: &RespValue) -> &str {
    std::str::from_utf8(value.as_bytes().expect("a text")).unwrap()
}

/// The value at a name in what COMMAND DOCS gives.
fn field<'v>(map: &'v RespValue, name: &str) -> Option<&'v RespValue> {
    let RespValue::Map(pairs) = map else {
        panic!("no map: {map:?}")
    };
    let found = pairs.iter().find(|(key, _)| text(key) == name);
    found.map(|(_, value)| value)
}

/// The list as README has it: a line for each group, subcommands in brackets.
fn command_list() -> String {
    let node = Node::start(Settings {
        port: 0,
        bind: Vec::new(),
        save: Vec::new(),
        ..Settings::default()
    })
    .unwrap();
    let mut client = node.client();
    client.call(&["HELLO", "3"]);
    let docs = client.call(&["COMMAND", "DOCS"]);
    node.shutdown();
    let RespValue::Map(commands) = docs else {
        panic!("no map: {docs:?}")
    };
    let mut groups = std::collections::BTreeMap::<String, Vec<String>>::new();
    for (name, doc) in &commands {
        let mut line = text(name).to_uppercase();
        if let Some(RespValue::Map(subs)) = field(doc, "subcommands") {
            let short = |(name, _): &(RespValue, RespValue)| {
                let (_, sub) = text(name).split_once('|').expect("container|name");
                sub.to_uppercase()
            };
            let mut subs: Vec<String> = subs.iter().map(short).collect();
            subs.sort();
            line += &format!(" ({})", subs.join(", "));
        }
        let group = text(field(doc, "group").expect("a group")).to_owned();
        groups.entry(group).or_default().push(line);
    }
    let mut list = String::from("| group | commands |\n|---|---|\n");
    for (group, mut names) in groups {
        names.sort();
        list += &format!("| {group} | {} |\n", names.join(", "));
    }
    list
}

#[test]
fn readme_lists_the_commands_that_there_are() {
    let readme = fs::read_to_string(readme_path()).unwrap();
    let (before, rest) = readme.split_once(LIST_BEGIN).expect("the list begins");
    let (shown, after) = rest.split_once(LIST_END).expect("the list ends");
    let list = command_list();
    if std::env::var_os("UPDATE_README").is_some() {
        let new = [before, LIST_BEGIN, &list, LIST_END, after].concat();
        return fs::write(readme_path(), new).unwrap();
    }
    assert_eq!(
        shown, list,
        "UPDATE_README=1 cargo test --test documentation"
    );
}

#[test]
fn the_starter_configuration_serves_and_saves_as_the_unit_starts_it() {
    let dir = tempfile::tempdir().unwrap();
    let told = dir.path().join("notify");
    let socket = UnixDatagram::bind(&told).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let port = free_port();
    let mut node = Command::new(env!("CARGO_BIN_EXE_understudy"))
        .arg(at_top("examples/deploy/understudy.toml"))
        .args(["--dir", dir.path().to_str().unwrap()])
        .args(["--port", &port.to_string()])
        .env("NOTIFY_SOCKET", &told)
        .env("UNDERSTUDY_REQUIREPASS", "secret")
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
        .map(Shell)
        .unwrap();
    let mut message = [0; 200];
    let length = socket.recv(&mut message).expect("the service is ready");
    let message = String::from_utf8_lossy(&message[..length]);
    assert!(message.contains("READY=1"), "{message}");
    let mut client = RespClient::connect(port).unwrap();
    assert!(client.call(&["SET", "a", "1"]).is_error());
    assert_eq!(client.call(&["AUTH", "secret"]).text(), "OK");
    assert_eq!(client.call(&["SET", "a", "1"]).text(), "OK");
    // SAFETY: a signal to a child of ours that has not been waited for.
    unsafe { libc::kill(node.0.id() as i32, libc::SIGTERM) };
    let status = node.0.wait().unwrap();
    assert!(status.success(), "{status}");
    assert!(dir.path().join("dump.rdb").exists());
}

/// The words of a file's lines that begin with `first`, without it.
fn lines_of(file: &str, first: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(at_top(file)).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix(first))
        .map(|rest| rest.split_whitespace().map(str::to_owned).collect())
        .collect()
}

#[test]
fn the_container_file_copies_what_there_is_and_all_that_a_build_needs() {
    let file = "examples/deploy/Containerfile";
    let mut copied: Vec<String> = lines_of(file, "COPY ")
        .into_iter()
        .filter(|words| !words[0].starts_with("--"))
        .flat_map(|words| words[..words.len() - 1].to_vec())
        .collect();
    for name in &copied {
        assert!(at_top(name).exists(), "{name}");
    }
    copied.retain(|name| !name.contains('/'));
    // Beside the sources cargo wants to see what the manifest names.
    let manifest = fs::read_to_string(at_top("Cargo.toml")).unwrap();
    assert!(manifest.contains("[[bench]]"));
    assert_eq!(copied, ["Cargo.toml", "Cargo.lock", "src", "benches"]);
    let rust = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .unwrap();
    let image = &lines_of(file, "FROM ")[0][0];
    let wanted = format!("rust:{}-", rust.trim_matches('"'));
    assert!(image.starts_with(&wanted), "{image} {rust}");
}
