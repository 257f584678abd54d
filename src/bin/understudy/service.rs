//! Being a service: going to the background, the pid file, telling the supervisor, signals.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::task::Poll;

use tokio::signal::unix::{SignalKind, signal};
use understudy::Node;
use understudy::actors::shutdown::Shutdown;
use understudy::actors::snapshot::dump_path;
use understudy::actors::snapshot_writer::temporary_path;
use understudy::config::{ShutdownFlags, Supervised};
use understudy::node_core::ShutdownOptions;

/// Where the pid goes when the process is in the background and no file was named.
pub const DEFAULT_PIDFILE: &str = "/var/run/redis.pid";

/// Goes on in a child of its own session with no terminal; the parent ends. Must come before any thread is
/// started.
pub fn daemonize() -> io::Result<()> {
    // SAFETY: the process has one thread, so the child finds every lock free; setsid, open and dup2 take
    // plain numbers and a constant string.
    unsafe {
        match libc::fork() {
            -1 => return Err(io::Error::last_os_error()),
            0 => {}
            _ => libc::_exit(0),
        }
        libc::setsid();
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        if null >= 0 {
            for fd in 0..3 {
                libc::dup2(null, fd);
            }
            if null > 2 {
                libc::close(null);
            }
        }
    }
    Ok(())
}

/// Writes the process id. A failure is not worth stopping for.
pub fn write_pidfile(path: &str) {
    if let Err(error) = std::fs::write(path, format!("{}\n", std::process::id())) {
        tracing::warn!("Failed to write PID file {path}: {error}");
    }
}

pub fn remove_pidfile(path: &str) {
    if std::fs::remove_file(Path::new(path)).is_ok() {
        tracing::info!("Removing the pid file.");
    }
}

/// Whether somebody supervises the process, by the directive and, for `auto`, the environment.
pub fn is_supervised(mode: Supervised) -> bool {
    let set = |name| std::env::var_os(name).is_some();
    match mode {
        Supervised::No => false,
        Supervised::Systemd => set("NOTIFY_SOCKET"),
        Supervised::Upstart => set("UPSTART_JOB"),
        Supervised::Auto => set("NOTIFY_SOCKET") || set("UPSTART_JOB"),
    }
}

/// Tells systemd how the service stands ("READY=1"). Without it there is nobody to tell.
pub fn notify(state: &str) {
    use std::os::linux::net::SocketAddrExt;
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let name = name.to_string_lossy().into_owned();
    let told = UnixDatagram::unbound().and_then(|socket| match name.strip_prefix('@') {
        Some(name) => {
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            socket.send_to_addr(state.as_bytes(), &address)
        }
        None => socket.send_to(state.as_bytes(), &name),
    });
    if let Err(error) = told {
        tracing::warn!("systemd supervision error: {error}");
    }
}

/// Has SIGTERM and SIGINT shut the node down by `shutdown-on-sigterm` and `shutdown-on-sigint`; a second
/// SIGINT ends the process at once. SIGHUP is ignored.
pub fn listen_to_signals(node: &Node) -> io::Result<()> {
    let root = node.handle();
    let core = node.observe().clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let listen = async move {
        let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
            signal(SignalKind::hangup()),
        ) else {
            tracing::error!("signals can't be listened to: SIGTERM will not save");
            return;
        };
        let mut interrupted = false;
        loop {
            let next = std::future::poll_fn(|cx| {
                while hangup.poll_recv(cx).is_ready() {}
                if terminate.poll_recv(cx).is_ready() {
                    Poll::Ready("SIGTERM")
                } else if interrupt.poll_recv(cx).is_ready() {
                    Poll::Ready("SIGINT")
                } else {
                    Poll::Pending
                }
            });
            let name = next.await;
            let settings = core.settings.load_full();
            let flags = match name {
                "SIGTERM" => settings.shutdown_on_sigterm,
                _ => settings.shutdown_on_sigint,
            };
            if name == "SIGINT" && std::mem::replace(&mut interrupted, true) {
                tracing::warn!("You insist... exiting now.");
                let _ = std::fs::remove_file(temporary_path(&dump_path(&core), 0));
                std::process::exit(1);
            }
            tracing::warn!("Received {name} scheduling shutdown...");
            root.do_send(Shutdown {
                ticket: None,
                options: options_of(flags),
            });
        }
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || runtime.block_on(listen))?;
    Ok(())
}

fn options_of(flags: ShutdownFlags) -> ShutdownOptions {
    ShutdownOptions {
        save: flags.save,
        nosave: flags.nosave,
        now: flags.now,
        force: flags.force,
    }
}
