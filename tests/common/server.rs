//! Servers under test: redis-server and understudy's binary, started alike.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::{LONG, RawReply, RespClient, free_port, wait_for};

/// How long a server may take to answer after its start (loading a dump included).
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long DEBUG DIGEST may take: redis-server needs minutes for a million keys of all types.
const DIGEST_TIMEOUT: Duration = Duration::from_secs(900);
/// Tries with another port when one was taken in between.
const START_TRIES: usize = 5;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    Redis,
    Understudy,
}

/// How to start a server. Both makes take the same command line.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    pub make: Make,
    /// Directives beside the usual ones: "--maxmemory", "1mb", ...
    pub args: Vec<String>,
}

impl ServerOptions {
    pub fn new(make: Make) -> ServerOptions {
        ServerOptions {
            make,
            args: Vec::new(),
        }
    }

    /// Adds a directive with its value.
    pub fn with(mut self, directive: &str, value: impl ToString) -> ServerOptions {
        self.args.push(format!("--{directive}"));
        self.args.push(value.to_string());
        self
    }

    pub fn replica_of(self, port: u16) -> ServerOptions {
        self.with("replicaof", format!("127.0.0.1 {port}"))
    }

    /// Starts it in a fresh directory and waits until it answers.
    pub fn start(self) -> Server {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Server::start_in(self, dir)
    }
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Server {
    pub options: ServerOptions,
    pub port: u16,
    child: Child,
    dir: TempDir,
}

impl Server {
    pub fn redis() -> Server {
        ServerOptions::new(Make::Redis).start()
    }

    pub fn understudy() -> Server {
        ServerOptions::new(Make::Understudy).start()
    }

    fn start_in(options: ServerOptions, dir: TempDir) -> Server {
        for left in (0..START_TRIES).rev() {
            let port = free_port();
            let mut child = spawn(&options, port, dir.path());
            if wait_ready(&mut child, port) {
                return Server {
                    options,
                    port,
                    child,
                    dir,
                };
            }
            let log = read_log(dir.path());
            assert!(
                left > 0 && log.contains("ddress already in use"),
                "{:?} did not start with {:?}; its log:\n{log}",
                options.make,
                options.args
            );
        }
        unreachable!("the last try fails above")
    }

    pub fn client(&self) -> RespClient {
        RespClient::connect(self.port).unwrap_or_else(|e| {
            panic!(
                "{:?} at {} takes no connection: {e}",
                self.options.make, self.port
            )
        })
    }

    /// A client that speaks RESP3.
    pub fn client3(&self) -> RespClient {
        let mut client = self.client();
        let hello = client.call(&["HELLO", "3"]);
        assert!(!hello.is_error(), "{hello:?}");
        client
    }

    /// One command over a connection of its own.
    pub fn call<A: AsRef<[u8]>>(&self, args: &[A]) -> RawReply {
        self.client().call(args)
    }

    /// One field of INFO; empty if it isn't there.
    pub fn info(&self, field: &str) -> String {
        let text = self.call(&["INFO", "everything"]).text();
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| *name == field)
            .map_or(String::new(), |(_, value)| value.trim_end().to_owned())
    }

    /// DEBUG DIGEST: equal data, equal digest, whichever make. Large data takes minutes.
    pub fn digest(&self) -> String {
        let mut client = self.client();
        client.set_read_timeout(DIGEST_TIMEOUT);
        let reply = client.call(&["DEBUG", "DIGEST"]);
        assert!(!reply.is_error(), "{reply:?}");
        reply.text()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Processor time that it has used, by all threads, those that have ended too.
    pub fn processor_time(&self) -> Duration {
        let pid = libc::pid_t::try_from(self.pid()).expect("a process id");
        let mut clock = 0;
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: both write to where they are pointed at only.
        let ok = unsafe {
            libc::clock_getcpuclockid(pid, &mut clock) == 0
                && libc::clock_gettime(clock, &mut time) == 0
        };
        assert!(ok, "the process runs");
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }

    /// Where it keeps its files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn log(&self) -> String {
        read_log(self.dir.path())
    }

    /// Waits until the log has a text, and gives the log: a line may come after the reply to what it is about.
    pub fn log_with(&self, text: &str) -> String {
        wait_for(&format!("the log says: {text}"), LONG, || {
            self.log().contains(text)
        });
        self.log()
    }

    /// Waits until it ends by itself; its exit code, None after a signal.
    pub fn wait_exit(&mut self) -> Option<i32> {
        let child = &mut self.child;
        let mut status = None;
        wait_for("the server ends", START_TIMEOUT, || {
            status = child.try_wait().ok().flatten();
            status.is_some()
        });
        status.and_then(|status| status.code())
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until the link to its master is up and the dump is loaded.
    pub fn wait_synced(&self, timeout: Duration) {
        wait_for("the replica is in sync", timeout, || {
            self.info("master_link_status") == "up"
        });
    }

    /// Kills it without a chance to save.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end and waits until it has. `save`: SAVE or NOSAVE.
    pub fn shut_down(&mut self, save: bool) {
        let how = if save { "SAVE" } else { "NOSAVE" };
        let reply = self.client().try_call(&["SHUTDOWN", how]);
        assert!(reply.is_err(), "SHUTDOWN answered {reply:?}");
        let child = &mut self.child;
        wait_for("the server ends", START_TIMEOUT, || {
            matches!(child.try_wait(), Ok(Some(_)))
        });
    }

    /// Starts it again, after `kill` or `shut_down`, in the same directory at the same port, with other
    /// directives if given.
    pub fn restart(&mut self, args: Option<Vec<String>>) {
        if let Some(args) = args {
            self.options.args = args;
        }
        self.child = spawn(&self.options, self.port, self.dir.path());
        assert!(
            wait_ready(&mut self.child, self.port),
            "did not start again; its log:\n{}",
            self.log()
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("---- log of {:?} at {}:", self.options.make, self.port);
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// A process whose command line is the test's own business; killed when dropped.
#[derive(Debug)]
pub struct Spawned {
    pub child: Child,
    pub port: u16,
}

impl Spawned {
    /// True when it answers PING; false when it ended before.
    pub fn wait_ready(&mut self) -> bool {
        wait_ready(&mut self.child, self.port)
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_log(dir: &Path) -> String {
    let bytes = fs::read(dir.join("server.log")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The program to run; `TEST_REDIS_SERVER` and `TEST_UNDERSTUDY` name others, to compare other versions.
fn program(make: Make) -> PathBuf {
    let name = match make {
        Make::Redis => "TEST_REDIS_SERVER",
        Make::Understudy => "TEST_UNDERSTUDY",
    };
    if let Some(path) = std::env::var_os(name) {
        return path.into();
    }
    match make {
        Make::Understudy => env!("CARGO_BIN_EXE_understudy").into(),
        Make::Redis => find_on_path("redis-server").unwrap_or_else(|| {
            panic!(
                "redis-server is not installed; these tests compare with it. Run tests/run.sh, which \
                 installs it, or: apt-get install redis-server redis-tools"
            )
        }),
    }
}

/// The program's place, if PATH has it.
pub fn find_on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(OsStr::new(name)))
        .find(|file| file.is_file())
}

fn spawn(options: &ServerOptions, port: u16, dir: &Path) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(dir.join("server.log"))
        .expect("a log file");
    Command::new(program(options.make))
        .args(["--port", &port.to_string()])
        .args(["--bind", "127.0.0.1"])
        .arg("--dir")
        .arg(dir)
        .args(["--save", ""])
        .args(["--enable-debug-command", "yes"])
        .args(["--repl-diskless-sync-delay", "0"])
        .args(&options.args)
        .args(arbiters(options.make))
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle of the log"))
        .stderr(log)
        .spawn()
        .unwrap_or_else(|e| panic!("{:?} can't be run: {e}", options.make))
}

/// `TEST_ARBITERS=3` has every understudy serve with so many threads.
fn arbiters(make: Make) -> Vec<String> {
    match std::env::var("TEST_ARBITERS") {
        Ok(number) if make == Make::Understudy => vec!["--arbiters".into(), number],
        _ => Vec::new(),
    }
}

/// True when it answers PING; false when it ended before.
fn wait_ready(child: &mut Child, port: u16) -> bool {
    let mut running = true;
    wait_for("the server answers", START_TIMEOUT, || {
        running = matches!(child.try_wait(), Ok(None));
        let answer = RespClient::connect(port).and_then(|mut client| client.try_call(&["PING"]));
        // A password or a replica's refusal shows that it is up as well; LOADING does not.
        let up = match answer {
            Ok(RawReply::Error(text)) => !text.starts_with(b"LOADING"),
            Ok(_) => true,
            Err(_) => false,
        };
        up || !running
    });
    running
}
