//! What CONFIG SET must do outside before new settings are in force: listen at other addresses, look for a
//! directory, see whether so many files may be open. Looking for directories and listening may block: the thread that
//! calls then is not one that serves ([`SLOW_TO_SET`](crate::node_core::SLOW_TO_SET)).

use std::io;
use std::sync::mpsc::channel;
use std::time::Duration;

use actix::prelude::*;

use crate::actors::node::root::{ListenAt, Root};
use crate::config::Settings;
use crate::may_block::may_block_here;
use crate::os::config_file::{absolute_directory, spool_directory};
use crate::os::file_limit;
use crate::os::listener::{self, BindError, Listener};

/// Does all of it, or says which directive is to blame and leaves everything as it was.
pub(crate) fn prepare(
    root: &Addr<Root>,
    old: &Settings,
    new: &mut Settings,
    names: &[&'static str],
) -> Result<(), (&'static str, String)> {
    if names.contains(&"dir")
        && let Some(dir) = &new.dir
    {
        let absolute = absolute_directory(old.dir.as_deref(), dir).map_err(|why| ("dir", why))?;
        new.dir = Some(absolute);
    }
    if names.contains(&"repl-spool-dir") {
        new.repl_spool_dir = spool_directory(new).map_err(|why| ("repl-spool-dir", why))?;
    }
    if names.contains(&"maxclients") {
        let possible = file_limit::raise_for(new.maxclients);
        if possible < new.maxclients {
            let why = format!(
                "The operating system is not able to handle the specified number of clients, try with {possible}"
            );
            return Err(("maxclients", why));
        }
    }
    let port = names.contains(&"port");
    if port || names.contains(&"bind") {
        listen_anew(root, old, new).map_err(|error| {
            tracing::warn!("{error}");
            match port {
                true => (
                    "port",
                    "Unable to listen on this port. Check server logs.".to_owned(),
                ),
                false => ("bind", "Failed to bind to specified addresses.".to_owned()),
            }
        })?;
    }
    Ok(())
}

/// How long the old sockets may take to close.
const CLOSING: Duration = Duration::from_secs(1);

/// Moves the TCP listeners to the new addresses. When this returns the old ones are free, for the next who wants them.
fn listen_anew(root: &Addr<Root>, old: &Settings, new: &Settings) -> Result<(), BindError> {
    let error = match bind_tcp(new) {
        Ok(listeners) => {
            listen_at(root, listeners);
            return Ok(());
        }
        Err(error) => error,
    };
    // With the same port, the old sockets may be what is in the way.
    if old.port != new.port || !is_taken(&error) {
        return Err(error);
    }
    listen_at(root, Vec::new());
    let (listeners, result) = match bind_tcp(new) {
        Ok(listeners) => (Ok(listeners), Ok(())),
        Err(error) => (bind_tcp(old), Err(error)),
    };
    match listeners {
        Ok(listeners) => listen_at(root, listeners),
        Err(error) => tracing::error!("the old addresses can't be had again: {error}"),
    }
    result
}

/// Listens there, and waits until the sockets of before are closed.
fn listen_at(root: &Addr<Root>, listeners: Vec<Listener>) {
    may_block_here();
    let (closed, wait) = channel();
    root.do_send(ListenAt { listeners, closed });
    // Nothing is sent: the last listener has gone when the channel ends.
    let _ = wait.recv_timeout(CLOSING);
}

fn bind_tcp(settings: &Settings) -> Result<Vec<Listener>, BindError> {
    if settings.port == 0 {
        return Ok(Vec::new());
    }
    let tcp_only = Settings {
        unixsocket: None,
        ..settings.clone()
    };
    listener::bind(&tcp_only, true)
}

fn is_taken(error: &BindError) -> bool {
    matches!(error, BindError { error, .. } if error.kind() == io::ErrorKind::AddrInUse)
}
