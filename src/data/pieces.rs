//! Freeing piece by piece: dropping a collection of millions, or a database, is one call, and the thread that makes
//! it would hold its core until the system's next tick, 4 ms on a usual machine, however low its priority. So
//! whatever is made of bounded pieces (segments, tree nodes, chunks) says here when one of them is gone, and a thread
//! that frees for others yields its core then. For all other threads it is one read of a thread-local variable.

use std::cell::OnceCell;

thread_local! {
    static PAUSE: OnceCell<Box<dyn Fn()>> = const { OnceCell::new() };
}

/// From now on `pause` is called in this thread after each piece it frees. Once for a thread.
pub(crate) fn pause_between(pause: impl Fn() + 'static) {
    let first = PAUSE.with(|own| own.set(Box::new(pause)).is_ok());
    debug_assert!(first);
}

/// A piece (some hundred elements at most) was freed.
pub(crate) fn freed() {
    // The thread's own variables may be what is freed, at its end.
    let _ = PAUSE.try_with(|own| {
        if let Some(pause) = own.get() {
            pause();
        }
    });
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

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
