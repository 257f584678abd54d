//! Being a service: going to the background, the pid file, telling the supervisor.

use std::io::{self, PipeWriter, Read, Write};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use understudy::Supervised;

/// Where the pid goes when the process is in the background and no file was named.
pub const DEFAULT_PIDFILE: &str = "/var/run/redis.pid";

/// The process in the background, while the one that was started waits to hear how the start went.
pub struct Background {
    parent: PipeWriter,
}

/// Goes on in a child of its own session with no terminal. The parent ends when the child is
/// [`ready`](Background::ready), with 0, or when the child has ended before, with 1. Must come before any
/// thread is started.
pub fn daemonize() -> io::Result<Background> {
    let (mut child, parent) = io::pipe()?;
    // SAFETY: the process has one thread, so the child finds every lock free; setsid takes nothing.
    let forked = unsafe { libc::fork() };
    if forked == -1 {
        return Err(io::Error::last_os_error());
    }
    if forked != 0 {
        drop(parent);
        let ready = child.read_exact(&mut [0; 1]).is_ok();
        // SAFETY: ends the process; the child goes on with what the parent would have had to tidy up.
        unsafe { libc::_exit(i32::from(!ready)) };
    }
    // SAFETY: as above.
    unsafe { libc::setsid() };
    let background = Background { parent };
    background.redirect(&[0, 1]);
    Ok(background)
}

impl Background {
    /// The node serves: nothing is left to be said to whoever started it.
    pub fn ready(mut self) {
        self.redirect(&[2]);
        // A parent that was killed doesn't listen.
        let _ = self.parent.write_all(b"+");
    }

    /// Has file descriptors lead nowhere.
    fn redirect(&self, descriptors: &[i32]) {
        // SAFETY: open and dup2 take plain numbers and a constant string.
        unsafe {
            let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            if null < 0 {
                return;
            }
            for &descriptor in descriptors {
                libc::dup2(null, descriptor);
            }
            if null > 2 {
                libc::close(null);
            }
        }
    }
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
