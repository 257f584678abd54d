//! Work on threads of its own, beside the arbiters: loading dumps and freeing what was removed; and the pipe by which an
//! arbiter hands bytes to such a thread.

pub mod freeing;
pub mod load_limit;
pub mod loading;
pub mod pipe;
