//! Actors under supervision: each runs within a `Supervisor`, which catches its panics and draws the
//! consequence that [`Owner::consequence`] states.
//!
//! ```text
//! panic in a handler, timer or future of an actor --> Supervisor --Restart--> rests, then `Supervised::restarting`
//!                                                         |------Alone-----> the actor is dropped (`stopped` runs)
//!                                                         \------Node------> rescue::end_node
//! panic inside a shard, wherever --> Entered's drop --> Keyspace::on_poison --> rescue::end_node
//! ```
//!
//! A restart keeps the mailbox: addresses stay valid, and what was sent meanwhile is dealt with after it. The message
//! that was being handled is gone; what waits for its answer is told by `restarting`, or by what the message held
//! when it is dropped.

pub(crate) mod rescue;
pub(crate) mod watchdog;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use actix::dev::{ContextFut, channel};
use actix::prelude::*;
use tokio::time::Sleep;

use crate::node_core::NodeCore;
use crate::supervision::{Consequence, Owner, catch, pause_ms, turn};

/// An actor that lives this long is as new, microseconds: its earlier deaths don't count.
const HEALTHY_US: u64 = 60_000_000;
/// Messages of `send` and `try_send` that may wait; `do_send` knows no bound.
const MAILBOX_DEFAULT: usize = 16;

/// Starts an actor on this arbiter.
pub(crate) fn start<A>(node: &Arc<NodeCore>, owner: Owner, actor: A) -> Addr<A>
where
    A: Actor<Context = Context<A>> + Supervised + Unpin,
{
    let context = Context::new();
    let address = context.address();
    spawn(
        node.clone(),
        owner,
        address.clone(),
        context.into_future(actor),
    );
    address
}

/// Starts an actor on that arbiter, where `make` is called.
pub(crate) fn start_in_arbiter<A>(
    node: &Arc<NodeCore>,
    owner: Owner,
    arbiter: &ArbiterHandle,
    make: impl FnOnce() -> A + Send + 'static,
) -> Addr<A>
where
    A: Actor<Context = Context<A>> + Supervised + Unpin,
{
    let (sender, receiver) = channel::channel(MAILBOX_DEFAULT);
    let address = Addr::new(sender);
    let (node, own_address) = (node.clone(), address.clone());
    arbiter.spawn_fn(move || {
        let context = Context::with_receiver(receiver);
        spawn(node, owner, own_address, context.into_future(make()));
    });
    address
}

fn spawn<A>(node: Arc<NodeCore>, owner: Owner, address: Addr<A>, actor: ContextFut<A, Context<A>>)
where
    A: Actor<Context = Context<A>> + Supervised + Unpin,
{
    actix_rt::spawn(Supervisor {
        node,
        owner,
        _address: (owner.consequence() == Consequence::Restart).then_some(address),
        actor: Some(actor),
        deaths: 0,
        started_us: 0,
        rest: None,
    });
}

/// See the module.
struct Supervisor<A: Actor<Context = Context<A>>> {
    node: Arc<NodeCore>,
    owner: Owner,
    /// Of one that starts anew, for which its mailbox must be connected, though nobody writes to it.
    _address: Option<Addr<A>>,
    /// None: it is gone.
    actor: Option<ContextFut<A, Context<A>>>,
    /// How often it has died in a row.
    deaths: u32,
    /// When it last started anew, monotonic microseconds.
    started_us: u64,
    /// Until it starts anew.
    rest: Option<Pin<Box<Sleep>>>,
}

impl<A> Future for Supervisor<A>
where
    A: Actor<Context = Context<A>> + Supervised + Unpin,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            if let Some(rest) = &mut this.rest {
                ready!(rest.as_mut().poll(cx));
                this.rest = None;
                this.started_us = this.node.clock.monotonic_us();
                let Some(actor) = &mut this.actor else {
                    return Poll::Ready(());
                };
                match turn(this.owner, 0, || actor.restart()) {
                    Ok(true) => tracing::warn!("The {} actor has started anew", this.owner),
                    Ok(false) => return Poll::Ready(()),
                    Err(message) => this.died(&message),
                }
                continue;
            }
            let Some(actor) = &mut this.actor else {
                return Poll::Ready(());
            };
            match turn(this.owner, 0, || Pin::new(actor).poll(cx)) {
                Ok(polled) => return polled,
                Err(message) => this.died(&message),
            }
        }
    }
}

impl<A: Actor<Context = Context<A>>> Supervisor<A> {
    fn died(&mut self, message: &str) {
        let owner = self.owner;
        match owner.consequence() {
            Consequence::Node => {
                rescue::end_node(
                    &self.node,
                    &format!("its {owner} actor panicked: {message}"),
                );
                self.drop_actor();
            }
            Consequence::Alone => {
                tracing::error!("A {owner} actor ends by a panic: {message}");
                self.drop_actor();
            }
            // What it did inside a shard can't be continued.
            Consequence::Restart if self.node.supervision.is_ending() => self.drop_actor(),
            Consequence::Restart => {
                let now_us = self.node.clock.monotonic_us();
                if now_us - self.started_us > HEALTHY_US {
                    self.deaths = 0;
                }
                self.deaths = self.deaths.saturating_add(1);
                let pause_ms = pause_ms(self.deaths);
                tracing::error!(
                    "The {owner} actor has died of a panic and starts anew in {pause_ms} ms: {message}"
                );
                let rest = tokio::time::sleep(Duration::from_millis(pause_ms));
                self.rest = Some(Box::pin(rest));
            }
        }
    }

    /// The actor's `stopped` runs, on what its panic left.
    fn drop_actor(&mut self) {
        let actor = self.actor.take();
        if let Err(message) = catch(|| drop(actor)) {
            tracing::error!(
                "The {} actor panicked again as it ended: {message}",
                self.owner
            );
        }
    }
}

impl<A: Actor<Context = Context<A>>> Drop for Supervisor<A> {
    fn drop(&mut self) {
        self.drop_actor();
    }
}

/// Runs a future that is no actor's own (an answer that takes long), with its panics caught as the owner's.
pub(crate) async fn caught<T>(owner: Owner, future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| match turn(owner, 0, || future.as_mut().poll(cx)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(message) => Poll::Ready(Err(message)),
    })
    .await
}
