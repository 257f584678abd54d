//! The server: flags and files to settings, settings to a node, the node until it ends.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use understudy::Settings;
use understudy::internals::config::{InvalidConfig, Loaded};
use understudy::internals::observe::process::{REDIS_VERSION, UNDERSTUDY_VERSION};
use understudy::internals::os::{config_file, file_limit, priority};
use understudy::{Node, StartError};

#[path = "understudy/cli.rs"]
mod cli;
#[path = "understudy/compare.rs"]
mod compare;
#[path = "understudy/jemalloc.rs"]
mod jemalloc;
#[path = "understudy/log.rs"]
mod log;
#[path = "understudy/secrets.rs"]
mod secrets;
#[path = "understudy/service.rs"]
mod service;
#[path = "understudy/signals.rs"]
mod signals;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How jemalloc is set up; see [`jemalloc::OPTIONS`].
// SAFETY: jemalloc reads this symbol as a pointer to a C string, which this is, and never writes it.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static MALLOC_CONF: &std::ffi::c_char = jemalloc::OPTIONS;

fn main() -> ExitCode {
    let started = std::env::current_dir().unwrap_or_default();
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if compare::is_asked(&arguments) {
        return compare::run(arguments);
    }
    let request = match cli::parse(arguments) {
        Ok(request) => request,
        Err(mistake) => return refuse(&mistake),
    };
    let file = request.config_file.as_deref().map(absolute);
    let loaded = config_file::read(file.as_deref(), request.stdin, &request.flags);
    secrets::hide();
    let mut loaded = match loaded {
        Ok(loaded) => loaded,
        Err(mistake) => return refuse(&mistake),
    };
    let configured = loaded.settings.clone();
    let entered = enter_directory(&mut loaded.settings)
        .and_then(|()| try_log_file(&loaded.settings.logfile, request.check));
    if let Err(why) = entered {
        eprintln!("\n*** FATAL CONFIG FILE ERROR (understudy {UNDERSTUDY_VERSION}) ***\n{why}");
        return ExitCode::FAILURE;
    }
    if request.check {
        for note in &loaded.notes {
            println!("{note}");
        }
        println!("The configuration is right.");
        return ExitCode::SUCCESS;
    }
    let origin = ConfigOrigin {
        file,
        configured,
        directory: started,
    };
    let code = run(loaded, origin);
    log::flush();
    code
}

/// Where the settings come from.
struct ConfigOrigin {
    file: Option<PathBuf>,
    /// As all layers gave them.
    configured: Settings,
    /// The working directory at that time.
    directory: PathBuf,
}

/// Runs a node until it ends.
fn run(loaded: Loaded, origin: ConfigOrigin) -> ExitCode {
    let settings = &loaded.settings;
    let supervised = service::is_supervised(settings.supervised);
    let mut background = None;
    if settings.daemonize && !supervised {
        match service::daemonize() {
            Ok(parent) => background = Some(parent),
            Err(error) => {
                eprintln!("can't go to the background: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    let pidfile = match &settings.pidfile {
        Some(path) => Some(path.clone()),
        None => background
            .is_some()
            .then(|| service::DEFAULT_PIDFILE.to_owned()),
    };
    let node = match start(loaded, origin, pidfile.as_deref()) {
        Ok(node) => node,
        Err(why) => {
            for line in why.lines() {
                tracing::warn!("{line}");
            }
            if background.is_some() {
                eprintln!("{why}");
            }
            return ExitCode::FAILURE;
        }
    };
    if let Some(background) = background {
        background.ready();
    }
    if supervised {
        service::notify("STATUS=Ready to accept connections\nREADY=1\n");
    }
    let code = node.wait();
    // The process's end frees the data faster than we could.
    std::mem::forget(node);
    if supervised {
        service::notify("STOPPING=1\n");
    }
    if let Some(path) = &pidfile {
        service::remove_pidfile(path);
    }
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// Starts the log and the node. When the first client can arrive, signals are caught and the pid file is
/// written. The error is what the log should say, in lines.
fn start(loaded: Loaded, origin: ConfigOrigin, pidfile: Option<&str>) -> Result<Node, String> {
    let Loaded {
        mut settings,
        notes,
    } = loaded;
    let level = log::start(settings.loglevel, &settings.logfile);
    understudy::internals::supervision::log_panics(priority::raise_to_log);
    announce(&notes, origin.file.as_deref());
    announce_place(settings.port, settings.always_show_logo);
    allow_clients(&mut settings)?;
    let signals = signals::catch().map_err(|error| format!("Can't catch signals: {error}"))?;
    let (port, unix) = (settings.port, settings.unixsocket.clone());
    let mut builder = Node::builder(settings)
        .memory(Box::new(jemalloc::Jemalloc))
        .no_tcp_at_port_zero()
        .configured(origin.configured, origin.directory);
    if let Some(path) = origin.file {
        builder = builder.config_file(path);
    }
    let builder = builder.bind().map_err(|error| match error {
        StartError::Bind { ref address, .. } => {
            let (port, kind) = match unix.as_ref() == Some(address) {
                true => (0, "unix"),
                false => (port, "tcp"),
            };
            format!("Warning: {error}\nFailed listening on port {port} ({kind}), aborting.")
        }
        other => other.to_string(),
    })?;
    if let Some(path) = pidfile {
        service::write_pidfile(path);
    }
    let started = builder.start().map_err(|error| error.to_string());
    let started = started.and_then(|node| match signals.shut_down(&node) {
        Ok(()) => Ok(node),
        Err(error) => Err(format!("Can't listen to signals: {error}")),
    });
    match started {
        Ok(node) => {
            log::follow(node.observe(), level);
            Ok(node)
        }
        Err(why) => {
            if let Some(path) = pidfile {
                service::remove_pidfile(path);
            }
            Err(why)
        }
    }
}

/// Has the system allow files for `maxclients`, or lowers that to what it allows.
fn allow_clients(settings: &mut Settings) -> Result<(), String> {
    let clients = file_limit::raise_for(settings.maxclients);
    if clients == 0 {
        return Err(format!(
            "Your current 'ulimit -n' of {} is not enough for the server to start. Please increase your open file limit to at least {}. Exiting.",
            file_limit::current(),
            file_limit::needed(settings.maxclients)
        ));
    }
    if clients < settings.maxclients {
        tracing::warn!(
            "The system allows too few open files for {} clients: maxclients has been reduced to {clients}",
            settings.maxclients
        );
        settings.maxclients = clients;
    }
    Ok(())
}

fn announce(notes: &[String], config_file: Option<&Path>) {
    tracing::info!("oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo");
    tracing::info!(
        "Redis version={REDIS_VERSION}, bits=64, understudy={UNDERSTUDY_VERSION}, pid={}, just started",
        std::process::id()
    );
    match config_file {
        Some(_) => tracing::info!("Configuration loaded"),
        None => tracing::warn!(
            "Warning: no config file specified, using the default config. In order to specify a config file use understudy /path/to/config.toml"
        ),
    }
    for note in notes {
        tracing::info!("{note}");
    }
}

/// Where this process is to be found: with `always-show-logo` in the lines that go with redis-server's logo
/// (its test suite waits for them).
fn announce_place(port: u16, with_logo: bool) {
    if with_logo {
        tracing::info!("Port: {port}");
        tracing::info!(" PID: {}", std::process::id());
    } else {
        tracing::info!("Running mode=standalone, port={port}.");
    }
}

/// Prints what is wrong with the configuration, where, and what to do about it.
fn refuse(mistake: &InvalidConfig) -> ExitCode {
    let origin = &mistake.origin;
    eprintln!("\n*** FATAL CONFIG FILE ERROR (understudy {UNDERSTUDY_VERSION}) ***");
    match origin.line {
        0 => eprintln!("Reading the configuration: {}", origin.source),
        line => eprintln!(
            "Reading the configuration file, at line {line} of {}",
            origin.source
        ),
    }
    if !origin.text.is_empty() {
        eprintln!(">>> '{}'", origin.text);
    }
    eprintln!("{}", mistake.what);
    if !mistake.fix.is_empty() {
        eprintln!("{}", mistake.fix);
    }
    ExitCode::FAILURE
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Makes `dir` the working directory, and it and `repl-spool-dir` absolute in the settings.
fn enter_directory(settings: &mut Settings) -> Result<(), String> {
    let dir = settings.dir.as_deref().unwrap_or(".");
    let at = |why: String| {
        format!(
            "Can't chdir to '{dir}': {why}\ngive 'dir' a directory that is there and may be read"
        )
    };
    let absolute = config_file::absolute_directory(None, dir).map_err(at)?;
    std::env::set_current_dir(&absolute).map_err(|error| at(config_file::system_text(&error)))?;
    settings.dir = Some(absolute);
    let spool = config_file::spool_directory(settings);
    settings.repl_spool_dir = spool.map_err(|why| format!("Can't use repl-spool-dir: {why}"))?;
    Ok(())
}

/// Looks whether the log file can be written, and makes it if it is not there; to `check`, nothing is made.
fn try_log_file(name: &str, check: bool) -> Result<(), String> {
    if name.is_empty() {
        return Ok(());
    }
    let path = Path::new(name);
    let opened = match check && !path.exists() {
        true => can_create(path),
        false => std::fs::OpenOptions::new()
            .append(true)
            .create(!check)
            .open(path)
            .map(drop),
    };
    opened.map_err(|error| {
        format!(
            "Can't open the log file '{name}': {}\ngive 'logfile' a name in a directory that is there and may be written",
            config_file::system_text(&error)
        )
    })
}

/// Whether a file of this name could be made.
fn can_create(path: &Path) -> std::io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !std::fs::metadata(directory)?.is_dir() {
        return Err(std::io::ErrorKind::NotADirectory.into());
    }
    let directory = std::ffi::CString::new(directory.as_os_str().as_encoded_bytes())?;
    // SAFETY: access reads the string, which ends with a zero.
    match unsafe { libc::access(directory.as_ptr(), libc::W_OK | libc::X_OK) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}
