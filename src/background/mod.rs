//! Work on threads of its own, beside the arbiters: loading dumps, freeing what was removed, and what
//! commands want done that may block; and the pipe by which an arbiter hands bytes to such a thread.

pub mod aside;
pub mod freeing;
pub mod load_limit;
pub mod loading;
pub mod pipe;
pub(crate) mod script_threads;
