//! Starts and ends of the process: signals in its first milliseconds, starts that fail while clients
//! connect, going to the background, what killed processes leave behind.

mod common;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use understudy::{Node, Settings, StartError};

use common::{
    LONG, Make, RespClient, Server, ServerOptions, SetAtEnd, free_port, setting, wait_for,
};

/// The binary with a port and a directory; killed when dropped.
struct Process {
    child: Child,
    port: u16,
}

impl Process {
    fn start(dir: &Path, arguments: &[&str]) -> Process {
        let port = free_port();
        let output = File::create(dir.join("output")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_understudy"))
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(arguments)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Process { child, port }
    }

    /// A client as soon as the port takes one: no pause between two tries.
    fn first_client(&mut self) -> RespClient {
        let until = Instant::now() + LONG;
        loop {
            if let Ok(client) = RespClient::connect(self.port) {
                return client;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "it ended");
            assert!(Instant::now() < until, "nobody answers");
            std::thread::yield_now();
        }
    }

    fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    fn wait(&mut self) -> ExitStatus {
        let mut ended = None;
        wait_for("the process ends", LONG, || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status();
    assert!(status.is_ok_and(|status| status.success()));
}

fn output(dir: &Path) -> String {
    String::from_utf8_lossy(&fs::read(dir.join("output")).unwrap()).into_owned()
}

fn contains(file: &Path, words: &[u8]) -> bool {
    let bytes = fs::read(file).unwrap_or_default();
    bytes.windows(words.len()).any(|window| window == words)
}

/// A signal that comes as soon as a SET is answered ends the node with the dump, or, SIGHUP, does nothing.
/// `STARTS=100` tries it so many times with each.
#[test]
fn a_signal_right_after_the_first_answer_costs_nothing() {
    for turn in 0..setting("STARTS", 12) {
        for name in ["TERM", "INT", "HUP"] {
            let dir = tempfile::tempdir().unwrap();
            let mut process = Process::start(dir.path(), &["--save", "3600 1"]);
            let mut client = process.first_client();
            assert_eq!(client.call(&["SET", "key", "the lead"]).text(), "OK");
            process.signal(name);
            if name == "HUP" {
                assert_eq!(client.call(&["PING"]).text(), "PONG");
                process.signal("TERM");
            }
            let status = process.wait();
            let log = output(dir.path());
            assert_eq!(status.code(), Some(0), "{name}, start {turn}: {log}");
            let dump = dir.path().join("dump.rdb");
            assert!(contains(&dump, b"the lead"), "{name}, start {turn}: {log}");
        }
    }
}

/// A second SIGINT insists only while the shutdown of the first is under way.
#[test]
fn an_interrupt_after_a_failed_save_does_not_insist() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = Process::start(dir.path(), &["--save", "3600 1"]);
    let mut client = process.first_client();
    client.call(&["SET", "key", "the lead"]);
    // Nothing can be renamed to the name of a directory.
    fs::create_dir(dir.path().join("dump.rdb")).unwrap();
    for tries in 1..=2 {
        process.signal("INT");
        wait_for("the save fails", LONG, || {
            let failures = output(dir.path());
            failures.matches("Error trying to save the DB").count() == tries
        });
    }
    fs::remove_dir(dir.path().join("dump.rdb")).unwrap();
    process.signal("INT");
    assert_eq!(process.wait().code(), Some(0), "{}", output(dir.path()));
    assert!(contains(&dir.path().join("dump.rdb"), b"the lead"));
}

/// A dump that can't be opened, or read, ends the start with a word and no panic, though clients knock all the
/// while.
#[test]
fn a_start_that_fails_while_clients_connect_says_why() {
    let long = "n".repeat(300);
    for turn in 0..setting("STARTS", 12) {
        let (name, words) = match turn % 2 {
            0 => (long.as_str(), "can't open"),
            _ => ("dump.rdb", "RDB: "),
        };
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("dump.rdb"), "no dump").unwrap();
        let mut process = Process::start(dir.path(), &["--dbfilename", name]);
        let (port, ended) = (process.port, AtomicBool::new(false));
        let status = std::thread::scope(|scope| {
            let _stop = SetAtEnd(&ended);
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let _ = RespClient::connect(port);
                }
            });
            let status = process.wait();
            ended.store(true, Ordering::Relaxed);
            status
        });
        let log = output(dir.path());
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains("Fatal error loading the DB: "), "{log}");
        assert!(log.contains(words), "{log}");
        assert!(!log.contains("panicked"), "{log}");
    }
}

/// In a process of somebody else's the error is a value.
#[test]
fn a_dump_that_cannot_be_opened_is_an_error_of_the_start() {
    let settings = Settings {
        port: 0,
        bind: vec!["127.0.0.1".into()],
        dbfilename: "n".repeat(300),
        ..Settings::default()
    };
    match Node::start(settings) {
        Err(StartError::Dump(why)) => assert!(why.contains("File name too long"), "{why}"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it started"),
    }
}

#[test]
fn a_unix_socket_that_cannot_be_bound_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = Process::start(dir.path(), &["--unixsocket", "none/x.sock"]);
    assert_eq!(process.wait().code(), Some(1));
    let log = output(dir.path());
    let words = "Failed opening Unix socket none/x.sock: bind: No such file or directory";
    assert!(log.contains(words), "{log}");
    assert!(
        log.contains("Failed listening on port 0 (unix), aborting."),
        "{log}"
    );
}

#[test]
fn too_few_open_files_are_refused_with_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let binary = env!("CARGO_BIN_EXE_understudy");
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 12; exec \"$0\" \"$@\"", binary])
        .args(["--port", &port.to_string(), "--save", ""])
        .current_dir(dir.path())
        .stdout(File::create(dir.path().join("output")).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut code = None;
    wait_for("it serves or ends", LONG, || {
        code = child.try_wait().unwrap().map(|status| status.code());
        code.is_some() || RespClient::connect(port).is_ok()
    });
    let _ = child.kill();
    let _ = child.wait();
    // Where root may raise the hard limit, it serves.
    if let Some(code) = code {
        let log = output(dir.path());
        assert!(
            log.contains("Your current 'ulimit -n' of 12 is not enough"),
            "{log}"
        );
        assert_eq!(code, Some(1), "{log}");
    }
}

/// The process that was started ends with 0 when the one in the background serves.
#[test]
fn going_to_the_background_tells_how_it_went() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port().to_string();
    let start = || {
        Command::new(env!("CARGO_BIN_EXE_understudy"))
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
            .args(["--daemonize", "yes", "--pidfile"])
            .arg(dir.path().join("pid"))
            .current_dir(dir.path())
            .output()
            .unwrap()
    };
    let started = start();
    let told = String::from_utf8_lossy(&started.stderr).into_owned();
    assert!(started.status.success() && told.is_empty(), "{told}");
    let mut client = RespClient::connect(port.parse().unwrap()).unwrap();
    assert_eq!(client.call(&["PING"]).text(), "PONG");
    let pid = fs::read_to_string(dir.path().join("pid")).unwrap();

    let refused = start();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{told}");
    let words = format!(
        "Could not create server TCP listening socket 127.0.0.1:{port}: bind: Address already in use"
    );
    assert!(told.contains(&words), "{told}");
    assert!(told.contains("Failed listening on port"), "{told}");
    // The first one's file is not the second one's to write or to remove.
    assert_eq!(fs::read_to_string(dir.path().join("pid")).unwrap(), pid);

    assert!(client.try_call(&["SHUTDOWN", "NOSAVE"]).is_err());
    wait_for("its pid file is removed", LONG, || {
        !dir.path().join("pid").exists()
    });
}

#[test]
fn the_pid_file_is_there_when_the_port_answers() {
    for _ in 0..setting("STARTS", 12) {
        let dir = tempfile::tempdir().unwrap();
        let mut process = Process::start(dir.path(), &["--save", "", "--pidfile", "pid"]);
        assert_eq!(process.first_client().call(&["PING"]).text(), "PONG");
        let pid = fs::read_to_string(dir.path().join("pid")).unwrap();
        assert_eq!(pid.trim(), process.child.id().to_string());
    }
}

/// What a killed process was writing goes at the next start; what a living one writes stays.
#[test]
fn unfinished_dumps_of_killed_processes_are_removed() {
    let slow = ServerOptions::new(Make::Understudy).with("rdb-key-save-delay", 100_000);
    let mut server = slow.start();
    let temporary = |server: &Server, dir: &Path| dir.join(format!("temp-{}.rdb", server.pid()));
    let save = |server: &Server, dir: &Path| {
        let mut client = server.client();
        client.call(&["DEBUG", "POPULATE", "100000"]);
        assert!(!client.call(&["BGSAVE"]).is_error());
        let file = temporary(server, dir);
        wait_for("the save begins", LONG, || file.exists());
        file
    };
    let dir = server.dir().to_owned();
    let left = save(&server, &dir);
    server.kill();
    assert!(left.exists());
    let foreign = dir.join("temp-1700000000.99.rdb");
    fs::write(&foreign, "").unwrap();

    let other = ServerOptions::new(Make::Understudy)
        .with("rdb-key-save-delay", 100_000)
        .with("dir", dir.display())
        .with("dbfilename", "other.rdb")
        .start();
    assert!(!left.exists(), "{}", other.log());
    assert!(
        other.log().contains("Removed what a killed process left"),
        "{}",
        other.log()
    );
    let living = save(&other, &dir);
    server.restart(None);
    assert!(living.exists() && foreign.exists());
    assert_eq!(other.info("rdb_bgsave_in_progress"), "1");
}
