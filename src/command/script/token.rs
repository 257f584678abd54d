//! The one token of a node's scripts, which gives leave to enter more shards from inside some.
//!
//! Why scripts never wait for each other in a circle: whoever waits for a shard holds none, with one exception. That is
//! the script that has had an effect while it was inside a part of the shards, and surprises everybody by needing more;
//! it had to take this token before the effect, there is one token, and a script that finds it taken has had no effect
//! and begins anew with all shards. So at most one waits while it holds shards, and all others let theirs go in the
//! end: a command when it has run, a script likewise, since it needs nothing but time (which it gets in turn with the
//! one that waits, see `background::script_threads`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How often a taken token is looked at again: a script that has it is mostly through in a few microseconds.
const SPINS: u32 = 200;

/// The token while somebody has it.
#[derive(Debug)]
pub(crate) struct Token(Arc<AtomicBool>);

impl Token {
    /// None: somebody else has it.
    pub(super) fn take(place: &Arc<AtomicBool>) -> Option<Token> {
        for _ in 0..SPINS {
            let taken = place.load(Ordering::Relaxed);
            if !taken && !place.swap(true, Ordering::Acquire) {
                return Some(Token(place.clone()));
            }
            std::hint::spin_loop();
        }
        None
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_at_a_time() {
        let place = Arc::default();
        let token = Token::take(&place).expect("free");
        assert!(Token::take(&place).is_none());
        drop(token);
        assert!(Token::take(&place).is_some());
    }
}
