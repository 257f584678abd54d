//! The thread that frees what was removed (`lazyfree`): large values, flushed and replaced datasets. It stands
//! back, and lets others in after each bounded piece (see [`pieces`]).

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{JoinHandle, Thread};

use crate::data::pieces;
use crate::node_core::NodeCore;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Ends the thread when dropped; what is queued then is freed with the node.
#[derive(Debug)]
pub struct Freeing {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Freeing {
    pub fn start(node: Arc<NodeCore>) -> std::io::Result<Freeing> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = stop.clone();
        let thread = std::thread::Builder::new()
            .name("understudy-free".into())
            .spawn(move || {
                super::priority::stand_back_to_a_tenth();
                pieces::pause_between(super::priority::let_others_in);
                let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
                let mut cx = Context::from_waker(&waker);
                while !stopping.load(Ordering::Acquire) {
                    let next = std::pin::pin!(poll_fn(|cx| node.lazyfree.poll_take(cx)));
                    match next.poll(&mut cx) {
                        Poll::Ready(garbage) => drop(garbage),
                        Poll::Pending => std::thread::park(),
                    }
                }
            })?;
        Ok(Freeing {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Freeing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It only frees memory: a panic there loses nothing.
            let _ = thread.join();
        }
    }
}
