//! What the connections of one arbiter share to work with: they run one at a time, so an idle connection
//! holds no buffers of its own.

use std::cell::RefCell;
use std::rc::Rc;

use crate::command::Effects;
use crate::resp::Reply;
use crate::resp::request::Batch;

/// Bytes read from a socket in one go.
const READ_BYTES: usize = 64 * 1024;
/// A reply buffer that a huge reply has made larger than this is given back, bytes.
const REPLY_KEPT_BYTES: usize = 1024 * 1024;

/// One arbiter's scratch space.
#[derive(Debug)]
pub struct Workbench {
    pub read: Box<[u8]>,
    pub batch: Batch,
    pub reply: Reply,
    pub effects: Effects,
}

/// Shared among the connections of one arbiter; borrowed only within one poll.
pub type SharedWorkbench = Rc<RefCell<Workbench>>;

impl Workbench {
    pub fn shared() -> SharedWorkbench {
        Rc::new(RefCell::new(Workbench {
            read: vec![0; READ_BYTES].into_boxed_slice(),
            batch: Batch::default(),
            reply: Reply::default(),
            effects: Effects::default(),
        }))
    }

    /// Called when a batch's replies have been taken.
    pub fn tidy(&mut self) {
        self.reply.buf.clear();
        if self.reply.buf.capacity() > REPLY_KEPT_BYTES {
            self.reply.buf = Default::default();
        }
        self.effects.clear();
    }
}
