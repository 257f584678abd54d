//! The log in redis-server's form: `pid:role day month year time level message`, a line per event.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};
use understudy::config::LogLevel;
use understudy::node_core::NodeCore;
use understudy::printable::one_line;

/// Whose role the lines show, once there is a node.
static NODE: OnceLock<Arc<NodeCore>> = OnceLock::new();

/// Changes the level of the running log.
pub type LevelHandle = reload::Handle<LevelFilter, Registry>;

/// Starts the log. `logfile`: empty for standard output.
pub fn start(level: LogLevel, logfile: &str) -> LevelHandle {
    let (filter, handle) = reload::Layer::new(filter_of(level));
    let lines = Lines {
        path: (!logfile.is_empty()).then(|| logfile.to_owned()),
    };
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

/// Writes each event as one line with one system call, so that lines of several threads don't mix. The file
/// is opened for each line, so that it may be moved away at any time.
struct Lines {
    path: Option<String>,
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
        let _ = match &self.path {
            None => std::io::stdout().lock().write_all(line.as_bytes()),
            Some(path) => OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)
                .and_then(|mut file| file.write_all(line.as_bytes())),
        };
        if self.path.is_none() {
            let _ = std::io::stdout().lock().flush();
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
