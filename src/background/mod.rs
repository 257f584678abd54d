//! Work on threads of its own, beside the arbiters: loading dumps, keeping what a full sync
//! throws away, freeing what was removed, and what
//! commands want done that may block; and the pipe by which an arbiter hands bytes to such a thread.

pub(crate) mod aside;
pub(crate) mod discarded;
pub(crate) mod freeing;
pub(crate) mod load_limit;
pub(crate) mod loading;
pub(crate) mod pipe;
pub(crate) mod script_threads;
