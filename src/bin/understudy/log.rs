//! The log in redis-server's form: `pid:role day month year time level message`, a line per event.
//!
//! All lines are written by a thread of the log's, so that neither a full disk, nor a disk that hangs, nor a pipe that
//! nobody reads stops anybody. A line is in the file when the call returns that logs it, but for threads that may not
//! wait for a disk or a pipe: those that serve clients, and whoever is inside a shard or holds the replication stream
//! ([`may_block`](understudy::may_block)). The others wait for at most [`WRITE_MAX`], and not at all once that was in vain, until
//! all lines are written again. What waits is bounded: lines that find the queue full are counted and dropped. As with
//! redis-server the file may be moved away at any time: it is opened by its name whenever something is written.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};
use understudy::LogLevel;
use understudy::internals::may_block::{may_block, may_block_here};
use understudy::internals::node_core::NodeCore;
use understudy::internals::text::printable::one_line;

/// Whose role the lines show, once there is a node.
static NODE: OnceLock<Arc<NodeCore>> = OnceLock::new();

/// The log, once it is started.
static LOG: OnceLock<Arc<Log>> = OnceLock::new();

/// The process ends: gives what waits a moment to be written.
pub fn flush() {
    if let Some(log) = LOG.get() {
        log.flush(FLUSH_MAX);
    }
}

/// Changes the level of the running log.
pub type LevelHandle = reload::Handle<LevelFilter, Registry>;

/// Starts the log. `logfile`: empty for standard output.
pub fn start(level: LogLevel, logfile: &str) -> LevelHandle {
    let (filter, handle) = reload::Layer::new(filter_of(level));
    let log = Log::start((!logfile.is_empty()).then(|| logfile.to_owned()));
    let _ = LOG.set(log.clone());
    let lines = Lines { log };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .init();
    handle
}

/// From now on lines show this node's role, and follow its `loglevel`.
pub fn follow(node: &Arc<NodeCore>, handle: LevelHandle) {
    let _ = NODE.set(node.clone());
    node.watch_settings(Box::new(move |settings, names| {
        if names.contains(&"loglevel") {
            let _ = handle.modify(|filter| *filter = filter_of(settings.loglevel));
        }
    }));
}

fn filter_of(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::TRACE,
        LogLevel::Verbose => LevelFilter::DEBUG,
        LogLevel::Notice => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Nothing => LevelFilter::OFF,
    }
}

/// Bytes of lines that may wait to be written.
const WAITING_MAX: usize = 1 << 20;
/// How long a thread that may block waits for its line to be written.
const WRITE_MAX: Duration = Duration::from_millis(200);
/// How long the process's end waits for the last lines.
const FLUSH_MAX: Duration = Duration::from_secs(2);

/// Writes each event as one line, and what waits with one system call, so that lines of several threads don't mix.
struct Lines {
    log: Arc<Log>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        // Libraries below us are of interest only when something is wrong.
        if !metadata.target().starts_with("understudy") && *metadata.level() > Level::WARN {
            return;
        }
        let mut message = Message::default();
        event.record(&mut message);
        let line = line(*metadata.level(), &one_line(&message.0));
        self.log.put(&line, may_block());
    }
}

/// Lines on their way to the file or the standard output.
#[derive(Default)]
struct Log {
    path: Option<String>,
    waiting: Mutex<Waiting>,
    /// For the log's thread: there are more lines.
    more: Condvar,
    /// For those who wait: there are fewer.
    fewer: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: String,
    /// Lines that had no room.
    dropped: u64,
    /// How many times lines were taken out to be written.
    taken: u64,
    /// How many of those have been written, or could not be.
    done: u64,
    /// Somebody has waited for the disk or the pipe in vain: nobody does until all is written.
    is_stuck: bool,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.dropped == 0
    }
}

impl Log {
    /// With a thread that writes.
    fn start(path: Option<String>) -> Arc<Log> {
        let log = Arc::new(Log {
            path,
            ..Log::default()
        });
        let there = log.clone();
        let thread = std::thread::Builder::new().name("log".into());
        if let Err(error) = thread.spawn(move || there.write_for_ever()) {
            eprintln!("No thread for the log, lines may be lost: {error}");
        }
        log
    }

    /// Adds a line; if `waits`, until it is written.
    fn put(&self, line: &str, waits: bool) {
        let mut waiting = self.waiting.lock();
        if waiting.lines.len() + line.len() > WAITING_MAX {
            waiting.dropped += 1;
            return;
        }
        waiting.lines.push_str(line);
        self.more.notify_one();
        if waits && !waiting.is_stuck {
            // It goes with the next that are taken out.
            let turn = waiting.taken + 1;
            self.wait_until(&mut waiting, WRITE_MAX, |waiting| waiting.done >= turn);
        }
    }

    /// Waits until all is written, for that long at most.
    fn flush(&self, most: Duration) {
        let mut waiting = self.waiting.lock();
        self.wait_until(&mut waiting, most, |waiting| {
            waiting.is_empty() && waiting.done == waiting.taken
        });
    }

    fn wait_until(
        &self,
        waiting: &mut MutexGuard<'_, Waiting>,
        most: Duration,
        is_over: impl Fn(&Waiting) -> bool,
    ) {
        may_block_here();
        let until = Instant::now() + most;
        while !is_over(waiting) {
            if self.fewer.wait_until(waiting, until).timed_out() {
                waiting.is_stuck = !is_over(waiting);
                return;
            }
        }
    }

    /// A panic costs the lines that were being written: the thread goes on with the next.
    fn write_for_ever(&self) {
        while catch_unwind(AssertUnwindSafe(|| self.write_all())).is_err() {
            let mut waiting = self.waiting.lock();
            waiting.done = waiting.taken;
            drop(waiting);
            self.fewer.notify_all();
        }
    }

    /// The work of the log's thread.
    fn write_all(&self) {
        loop {
            let mut waiting = self.waiting.lock();
            while waiting.is_empty() {
                waiting.is_stuck = false;
                self.more.wait(&mut waiting);
            }
            waiting.taken += 1;
            let mut lines = std::mem::take(&mut waiting.lines);
            let dropped = std::mem::take(&mut waiting.dropped);
            drop(waiting);
            if dropped > 0 {
                let lost = format!(
                    "{dropped} lines of the log were lost: they came faster than they could be written"
                );
                lines.push_str(&line(Level::WARN, &lost));
            }
            self.write(lines.as_bytes());
            let mut waiting = self.waiting.lock();
            waiting.done += 1;
            drop(waiting);
            self.fewer.notify_all();
        }
    }

    fn write(&self, bytes: &[u8]) {
        may_block_here();
        // There is nobody to tell if it fails.
        let _ = match &self.path {
            None => {
                let mut output = std::io::stdout().lock();
                output.write_all(bytes).and_then(|()| output.flush())
            }
            Some(path) => OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)
                .and_then(|mut file| file.write_all(bytes)),
        };
    }
}

fn line(level: Level, message: &str) -> String {
    let mark = match level {
        Level::ERROR | Level::WARN => '#',
        Level::INFO => '*',
        Level::DEBUG => '-',
        Level::TRACE => '.',
    };
    let role = match NODE.get() {
        Some(node) if node.hub.is_replica() => 'S',
        _ => 'M',
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!(
        "{}:{role} {} {mark} {message}\n",
        std::process::id(),
        local_time(now.as_secs() as i64, now.subsec_millis())
    )
}

/// "22 Nov 2026 08:31:05.042" in the machine's time zone.
fn local_time(unix_s: i64, ms: u32) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    // SAFETY: `tm` is plain data for which zeros are a value, and localtime_r only writes to it.
    let tm = unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        libc::localtime_r(&unix_s, &mut tm);
        tm
    };
    let month = usize::try_from(tm.tm_mon).ok().and_then(|m| MONTHS.get(m));
    format!(
        "{:02} {} {} {:02}:{:02}:{:02}.{ms:03}",
        tm.tm_mday,
        month.copied().unwrap_or("???"),
        tm.tm_year + 1900,
        tm.tm_hour,
        tm.tm_min,
        tm.tm_sec
    )
}

/// An event's text: its message, then its other fields.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        } else {
            let _ = write!(self.0, " {}={value:?}", field.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::path::Path;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap_or_default()
    }

    fn log_at(path: &Path) -> Arc<Log> {
        Log::start(Some(path.display().to_string()))
    }

    #[test]
    fn lines_keep_their_order_and_find_the_file_by_its_name() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, moved) = (directory.path().join("log"), directory.path().join("log.1"));
        let log = log_at(&path);
        // By a thread that serves, or under a lock.
        log.put("a\n", false);
        log.put("b\n", true);
        log.flush(PATIENCE);
        assert_eq!(read(&path), "a\nb\n");
        std::fs::rename(&path, &moved).expect("a move");
        log.put("c\n", true);
        log.flush(PATIENCE);
        assert_eq!((read(&path), read(&moved)), ("c\n".into(), "a\nb\n".into()));
    }

    #[test]
    fn a_pipe_that_nobody_reads_stops_nobody_and_what_waits_is_bounded() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("pipe");
        let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).expect("a name");
        // SAFETY: mkfifo reads the string, which ends with a zero.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        // Opening it to write waits for a reader.
        let log = log_at(&path);
        let line = format!("{}\n", "x".repeat(999));
        log.put("first\n", true);
        assert!(log.waiting.lock().is_stuck);
        for _ in 0..2000 {
            log.put(&line, true);
        }
        assert!(log.waiting.lock().lines.len() <= WAITING_MAX);
        log.flush(Duration::ZERO);
        // Open for writing as well, the pipe does not end when the log closes it.
        let both = OpenOptions::new().read(true).write(true).open(&path);
        let mut lines = BufReader::new(both.expect("a pipe")).lines();
        let mut next = || lines.next().expect("a line").expect("text");
        assert_eq!(next(), "first");
        let (mut kept, mut lost) = (0, next());
        while lost.starts_with('x') {
            (kept, lost) = (kept + 1, next());
        }
        let words = format!(" # {} lines of the log were lost", 2000 - kept);
        assert!(lost.contains(&words), "{kept} {lost}");
    }
}
