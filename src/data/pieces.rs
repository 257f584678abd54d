//! Freeing piece by piece: dropping a collection of millions, or a database, is one call, and the thread that makes
//! it would hold its core until the system's next tick, 4 ms on a usual machine, however low its priority. So
//! whatever is made of bounded pieces (segments, tree nodes, chunks) says here when one of them is gone, and a thread
//! that frees for others yields its core then. For all other threads it is one read of a thread-local variable.

use std::cell::Cell;

thread_local! {
    static PAUSE: Cell<Option<fn()>> = const { Cell::new(None) };
}

/// From now on `pause` is called in this thread after each piece it frees.
pub(crate) fn pause_between(pause: fn()) {
    PAUSE.set(Some(pause));
}

/// A piece (some hundred elements at most) was freed.
pub(crate) fn freed() {
    if let Some(pause) = PAUSE.get() {
        pause();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Set;

    thread_local! {
        static PAUSES: Cell<usize> = const { Cell::new(0) };
    }

    #[test]
    fn a_huge_set_is_freed_in_pieces() {
        let mut set = Set::default();
        for n in 0..20_000 {
            set.insert(format!("member:{n}").as_bytes(), &Default::default());
        }
        pause_between(|| PAUSES.set(PAUSES.get() + 1));
        drop(set);
        // Some hundred members a piece.
        assert!(PAUSES.get() > 20, "{}", PAUSES.get());
    }
}
