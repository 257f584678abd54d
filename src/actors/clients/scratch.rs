//! What the connections of one arbiter share to work with: they run one at a time, so an idle connection
//! holds no buffers of its own.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::actors::clients::unsent::Bounds;
use crate::command::Effects;
use crate::node_core::NodeCore;
use crate::resp::Reply;
use crate::resp::request::Batch;

/// Bytes read from a socket in one go.
const READ_BYTES: usize = 64 * 1024;

/// One arbiter's scratch space.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) read: Box<[u8]>,
    pub(crate) batch: Batch,
    pub(crate) reply: Reply,
    pub(crate) effects: Effects,
    /// Of the client whose commands run, or ran last.
    pub(crate) bounds: Bounds,
    /// The turn of the connection that is polled.
    pub(crate) slice: TimeSlice,
    /// The log has grown since the MasterActor was last woken.
    log_grown: bool,
    /// Polls [`ForwardLog`].
    forwarder: Option<Waker>,
}

/// How long a connection may work before the others get their turn, microseconds. With many that always have work, a
/// client with a single request waits about this long for each of them.
const SLICE_US: u64 = 1000;

/// A connection's turn. What runs in it ends it at the first command that ends late.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TimeSlice {
    /// When it is to end, unix microseconds.
    pub(crate) ends_us: u64,
    pub(crate) is_over: bool,
}

impl TimeSlice {
    pub(crate) fn begin(now_us: u64) -> TimeSlice {
        TimeSlice {
            ends_us: now_us + SLICE_US,
            is_over: false,
        }
    }
}

/// Shared among the connections of one arbiter; borrowed only within one poll.
pub(crate) type SharedScratch = Rc<RefCell<Scratch>>;

impl Scratch {
    pub(crate) fn shared() -> SharedScratch {
        Rc::new(RefCell::new(Scratch::new()))
    }

    fn new() -> Scratch {
        Scratch {
            read: vec![0; READ_BYTES].into_boxed_slice(),
            batch: Batch::default(),
            reply: Reply::default(),
            effects: Effects::default(),
            bounds: Bounds::default(),
            slice: TimeSlice::default(),
            log_grown: false,
            forwarder: None,
        }
    }

    /// Has the log forwarded when the connections that are ready now have had their turn.
    pub(crate) fn forward_log(&mut self) {
        self.log_grown = true;
        if let Some(waker) = self.forwarder.take() {
            waker.wake();
        }
    }

    /// A connection panicked: nothing of what it was working with is kept.
    pub(crate) fn renew(&mut self) {
        let fresh = Scratch::new();
        let forwarder = self.forwarder.take();
        *self = Scratch { forwarder, ..fresh };
        // Its commands may have been logged.
        self.forward_log();
    }

    /// Called when a batch's replies have been taken.
    pub(crate) fn tidy(&mut self) {
        self.reply.clear();
        self.reply.output_mut().keep_chunk();
        self.effects.clear();
        self.batch.trim();
    }
}

/// Wakes the MasterActor once per turn of the arbiter's loop rather than once per connection: this task's turn
/// comes behind those of the connections that were ready when the first of them wrote. With 50 pipelining
/// clients a wake then stands for hundreds of writes, and so do the write to each replica and all that it does
/// with it.
pub(crate) struct ForwardLog {
    pub(crate) node: Arc<NodeCore>,
    pub(crate) scratch: SharedScratch,
}

impl Future for ForwardLog {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = self.scratch.borrow_mut();
        scratch.forwarder = Some(cx.waker().clone());
        if std::mem::take(&mut scratch.log_grown) {
            self.node.hub.wake();
        }
        Poll::Pending
    }
}
