//! Faults for tests: a panic at the next time that an owner takes a step.
//!
//! Only builds with debug assertions have them (the profiles `dev` and `quick`, never `release`), by DEBUG FAULT or
//! [`Faults::arm`]; in others [`Faults::pass`] is empty and neither exists.

use super::Owner;

/// A node's faults that wait.
#[derive(Debug, Default)]
pub struct Faults {
    #[cfg(debug_assertions)]
    armed: parking_lot::Mutex<Vec<(Owner, String)>>,
    #[cfg(debug_assertions)]
    any: std::sync::atomic::AtomicBool,
}

impl Faults {
    /// Has `owner` panic, once, when it next takes that step.
    #[cfg(debug_assertions)]
    pub fn arm(&self, owner: Owner, step: String) {
        self.armed.lock().push((owner, step));
        self.any.store(true, std::sync::atomic::Ordering::Release);
    }

    /// Whether any fault still waits.
    #[cfg(debug_assertions)]
    pub(crate) fn is_armed(&self) -> bool {
        self.any.load(std::sync::atomic::Ordering::Acquire)
    }

    /// `owner` takes that step.
    #[cfg(debug_assertions)]
    pub(crate) fn pass(&self, owner: Owner, step: &'static str) {
        if !self.is_armed() {
            return;
        }
        let mut armed = self.armed.lock();
        let Some(at) = armed.iter().position(|(o, s)| *o == owner && s == step) else {
            return;
        };
        armed.remove(at);
        let any = !armed.is_empty();
        self.any.store(any, std::sync::atomic::Ordering::Release);
        drop(armed);
        panic!("a fault of {owner} at {step}, as asked for");
    }

    /// `owner` takes that step: nothing happens in this build.
    #[cfg(not(debug_assertions))]
    #[inline(always)]
    pub fn pass(&self, _: Owner, _: &'static str) {}
}
