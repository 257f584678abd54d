//! Signals: SIGTERM and SIGINT shut the node down, SIGHUP is ignored.
//!
//! They are caught before the first client can arrive: from its first answer on, a SIGTERM must not cost the
//! data. One that comes before there is a node is kept until there is.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use actix::Recipient;
use tokio::signal::unix::{Signal, SignalKind, signal};
use understudy::Node;
use understudy::ShutdownFlags;
use understudy::internals::actors::node::shutdown::Shutdown;
use understudy::internals::actors::snapshots::snapshot_writer::temporary_path;
use understudy::internals::node_core::{NodeCore, ShutdownOptions};

/// SIGTERM and SIGINT, no longer deadly, but not yet acted on.
pub struct Signals {
    runtime: tokio::runtime::Runtime,
    terminate: Signal,
    interrupt: Signal,
}

/// Catches the signals from now on.
pub fn catch() -> io::Result<Signals> {
    // SAFETY: SIG_IGN runs no code of ours.
    unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let context = runtime.enter();
    let terminate = signal(SignalKind::terminate())?;
    let interrupt = signal(SignalKind::interrupt())?;
    drop(context);
    Ok(Signals {
        runtime,
        terminate,
        interrupt,
    })
}

impl Signals {
    /// Has them shut the node down by `shutdown-on-sigterm` and `shutdown-on-sigint`. A SIGINT while the
    /// shutdown of an earlier signal is under way ends the process at once.
    pub fn shut_down(self, node: &Node) -> io::Result<()> {
        let root = node.handle().recipient();
        let core = node.observe().clone();
        let Signals {
            runtime,
            mut terminate,
            mut interrupt,
        } = self;
        let listen = move || {
            let mut signalled = false;
            let mut listen = || {
                runtime.block_on(async {
                    loop {
                        let name = next(&mut terminate, &mut interrupt).await;
                        act_on(name, std::mem::replace(&mut signalled, true), &core, &root);
                    }
                })
            };
            // A panic was logged where it happened; the next signal must be heard.
            while catch_unwind(AssertUnwindSafe(&mut listen)).is_err() {
                tracing::error!("The thread of the signals has died, and starts anew");
            }
        };
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(listen)?;
        Ok(())
    }
}

/// The next signal's name.
async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    std::future::poll_fn(|cx| {
        if terminate.poll_recv(cx).is_ready() {
            Poll::Ready("SIGTERM")
        } else if interrupt.poll_recv(cx).is_ready() {
            Poll::Ready("SIGINT")
        } else {
            Poll::Pending
        }
    })
    .await
}

/// `again`: it is not the first.
fn act_on(name: &str, again: bool, core: &NodeCore, root: &Recipient<Shutdown>) {
    if name == "SIGINT" && again && is_shutting_down(core) {
        tracing::warn!("You insist... exiting now.");
        let _ = std::fs::remove_file(temporary_path(&core.settings.load().dump_path(), 0));
        crate::log::flush();
        std::process::exit(1);
    }
    match core.is_loading() {
        true => {
            tracing::warn!("Received shutdown signal during loading, scheduling shutdown.");
        }
        false => tracing::warn!("Received {name} scheduling shutdown..."),
    }
    let settings = core.settings.load();
    let flags = match name {
        "SIGTERM" => settings.shutdown_on_sigterm,
        _ => settings.shutdown_on_sigint,
    };
    root.do_send(Shutdown {
        ticket: None,
        options: options_of(flags),
    });
}

/// A shutdown that was called off (a save failed, SHUTDOWN ABORT) is over.
fn is_shutting_down(core: &NodeCore) -> bool {
    core.services
        .get()
        .is_some_and(|services| services.is_shutting_down())
}

fn options_of(flags: ShutdownFlags) -> ShutdownOptions {
    ShutdownOptions {
        save: flags.save,
        nosave: flags.nosave,
        now: flags.now,
        force: flags.force,
    }
}
