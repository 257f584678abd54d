//! Stacks on which scripts run, so that one that takes long can be taken off its thread and go on in another.
//!
//! Invariants: who makes a [`OwnStack`] resumes it until it has returned; one that is dropped before is a fault, and
//! stays in memory for ever, since its frames can't be taken down. All that the work borrows lives until then, and may
//! be used by whichever thread resumes it: thread-local state is not kept across [`Pause::pause`].

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

/// Bytes of a stack. Only what is used takes memory. Lua's own recursion in C is bounded at 200 levels, of which each can
/// have a buffer of 8 KB there (`string.gsub` whose function calls it again): less than 2 MB. The conversions of replies
/// bound theirs (`command::script`).
const STACK_BYTES: usize = 4 << 20;

/// A stack without work.
pub(crate) struct FreeStack(DefaultStack);

impl FreeStack {
    /// # Errors
    ///
    /// The system has no memory for it.
    pub(crate) fn new() -> std::io::Result<FreeStack> {
        DefaultStack::new(STACK_BYTES).map(FreeStack)
    }
}

/// What the work on a stack has to leave it for a while.
pub(crate) struct Pause<'a, In, Mid>(&'a Yielder<In, Mid>);

impl<In, Mid> Pause<'_, In, Mid> {
    /// Leaves the stack until somebody resumes it, maybe on another thread; gives what he resumes it with. `state`: what
    /// he is to know.
    #[inline(never)]
    pub(crate) fn pause(&self, state: Mid) -> In {
        self.0.suspend(state)
    }
}

/// How a turn of a stack ended.
pub(crate) enum Turned<In: 'static, Mid: 'static, Out: 'static> {
    /// The work has paused, and says how it stands.
    Paused(OwnStack<In, Mid, Out>, Mid),
    /// It is done; the stack is free again.
    Done(Out, FreeStack),
}

/// Work on a stack of its own. See the module.
pub(crate) struct OwnStack<In: 'static, Mid: 'static, Out: 'static>(
    Option<Coroutine<In, Mid, Out, DefaultStack>>,
);

// SAFETY: whoever makes one promises that all that the work uses may be used by any thread, see `OwnStack::new`.
unsafe impl<In, Mid, Out> Send for OwnStack<In, Mid, Out> {}

impl<In: 'static, Mid: 'static, Out: 'static> OwnStack<In, Mid, Out> {
    /// Work that begins when it is resumed.
    ///
    /// # Safety
    ///
    /// What `work` borrows by pointers lives until it has returned, and all that it uses across a pause may be used by
    /// another thread after it.
    pub(crate) unsafe fn new(
        stack: FreeStack,
        work: impl FnOnce(&Pause<'_, In, Mid>, In) -> Out + 'static,
    ) -> OwnStack<In, Mid, Out> {
        let run = |yielder: &Yielder<In, Mid>, first: In| work(&Pause(yielder), first);
        OwnStack(Some(Coroutine::with_stack(stack.0, run)))
    }

    /// Runs the work until it pauses or is done. A panic of the work goes on here.
    pub(crate) fn resume(mut self, with: In) -> Turned<In, Mid, Out> {
        let Some(mut work) = self.0.take() else {
            unreachable!("it is taken by `resume` alone, which takes all of it");
        };
        match work.resume(with) {
            CoroutineResult::Yield(state) => {
                self.0 = Some(work);
                Turned::Paused(self, state)
            }
            CoroutineResult::Return(out) => Turned::Done(out, FreeStack(work.into_stack())),
        }
    }
}

impl<In, Mid, Out> Drop for OwnStack<In, Mid, Out> {
    fn drop(&mut self) {
        if let Some(work) = self.0.take() {
            // To take its frames down would unwind through Lua's.
            std::mem::forget(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_goes_on_in_another_thread() {
        let work = |pause: &Pause<'_, u32, char>, first: u32| {
            let second = pause.pause('x');
            (first, second, std::thread::current().id())
        };
        // SAFETY: it borrows nothing.
        let stack = unsafe { OwnStack::new(FreeStack::new().unwrap(), work) };
        let Turned::Paused(stack, 'x') = stack.resume(1) else {
            panic!("it pauses");
        };
        let (ended, other) = std::thread::spawn(move || {
            let Turned::Done(ended, _) = stack.resume(2) else {
                panic!("it ends");
            };
            (ended, std::thread::current().id())
        })
        .join()
        .unwrap();
        assert_eq!(ended, (1, 2, other));
    }

    #[test]
    fn a_stack_is_used_again_and_panics_go_on() {
        let mut free = FreeStack::new().unwrap();
        for n in 0..3 {
            // SAFETY: it borrows nothing.
            let stack = unsafe { OwnStack::new(free, move |_: &Pause<'_, (), ()>, ()| n) };
            let Turned::Done(out, again) = stack.resume(()) else {
                panic!("it ends");
            };
            assert_eq!(out, n);
            free = again;
        }
        let caught = std::panic::catch_unwind(|| {
            let work = |_: &Pause<'_, (), ()>, ()| -> u32 { panic!("of the test") };
            // SAFETY: it borrows nothing.
            let stack = unsafe { OwnStack::new(FreeStack::new().unwrap(), work) };
            matches!(stack.resume(()), Turned::Done(..))
        });
        assert!(caught.is_err());
    }
}
