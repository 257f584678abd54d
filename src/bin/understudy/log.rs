//! The log in redis-server's form: `pid:role day month year time level message`, a line per event.
//!
//! A line is in the file when the call returns that logs it, but for threads that may not wait for a disk or a pipe:
//! those that serve clients, and whoever is inside a shard or holds the replication stream
//! ([`may_block`](understudy::may_block)). Theirs go to a queue, which a thread of the log's writes, or whoever logs next
//! and may block; so the order is kept. What waits is bounded: lines that come while a disk hangs and the queue is full
//! are counted and dropped. As with redis-server the file may be moved away at any time: it is opened by its name
//! whenever something is written.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::{Condvar, Mutex};
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

/// Writes what waits: the process ends.
pub fn flush() {
    if let Some(log) = LOG.get() {
        log.write();
    }
}

/// Changes the level of the running log.
pub type LevelHandle = reload::Handle<LevelFilter, Registry>;

/// Starts the log. `logfile`: empty for standard output.
pub fn start(level: LogLevel, logfile: &str) -> LevelHandle {
    let (filter, handle) = reload::Layer::new(filter_of(level));
    let log = Arc::new(Log {
        path: (!logfile.is_empty()).then(|| logfile.to_owned()),
        ..Log::default()
    });
    let there = log.clone();
    // Without it, lines of those who may not block wait for the next of somebody who may.
    let _ = std::thread::Builder::new()
        .name("log".into())
        .spawn(move || there.write_for_others());
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
    more: Condvar,
    /// Held while what was taken from `waiting` is written.
    writing: Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    lines: String,
    /// Lines that had no room.
    dropped: u64,
}

impl Log {
    /// Adds a line; if `at_once`, the caller writes it.
    fn put(&self, line: &str, at_once: bool) {
        let mut waiting = self.waiting.lock();
        if waiting.lines.len() + line.len() > WAITING_MAX {
            waiting.dropped += 1;
        } else {
            waiting.lines.push_str(line);
        }
        drop(waiting);
        if at_once {
            self.write();
        } else {
            self.more.notify_one();
        }
    }

    /// Writes what waits.
    fn write(&self) {
        may_block_here();
        let _in_order = self.writing.lock();
        let Waiting { mut lines, dropped } = std::mem::take(&mut *self.waiting.lock());
        if dropped > 0 {
            let lost = format!(
                "{dropped} lines of the log were lost: they came faster than they could be written"
            );
            lines.push_str(&line(Level::WARN, &lost));
        }
        let bytes = lines.as_bytes();
        // There is nobody to tell if it fails.
        let _ = match &self.path {
            _ if bytes.is_empty() => Ok(()),
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

    /// The work of the log's own thread.
    fn write_for_others(&self) {
        loop {
            let mut waiting = self.waiting.lock();
            while waiting.lines.is_empty() {
                self.more.wait(&mut waiting);
            }
            drop(waiting);
            self.write();
        }
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
    use super::*;

    fn log_at(path: &std::path::Path) -> Log {
        Log {
            path: Some(path.display().to_string()),
            ..Log::default()
        }
    }

    #[test]
    fn lines_keep_their_order_and_find_the_file_by_its_name() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, moved) = (directory.path().join("log"), directory.path().join("log.1"));
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let log = log_at(&path);
        log.put("a\n", true);
        assert_eq!(read(&path), "a\n");
        // By a thread that serves, or under a lock.
        log.put("b\n", false);
        assert_eq!(read(&path), "a\n");
        log.put("c\n", true);
        assert_eq!(read(&path), "a\nb\nc\n");
        std::fs::rename(&path, &moved).expect("a move");
        log.put("d\n", true);
        assert_eq!(
            (read(&path), read(&moved)),
            ("d\n".into(), "a\nb\nc\n".into())
        );
    }

    #[test]
    fn what_a_hanging_disk_leaves_waiting_is_bounded() {
        let directory = tempfile::tempdir().expect("a directory");
        let log = log_at(&directory.path().join("log"));
        let line = format!("{}\n", "x".repeat(999));
        for _ in 0..2000 {
            log.put(&line, false);
        }
        assert!(log.waiting.lock().lines.len() <= WAITING_MAX);
        log.write();
        let text = std::fs::read_to_string(directory.path().join("log")).expect("a log");
        let last = text.lines().last().unwrap_or_default();
        assert_eq!(text.lines().count(), WAITING_MAX / 1000 + 1);
        assert!(last.contains(" # 952 lines of the log were lost"), "{last}");
    }
}
