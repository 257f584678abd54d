//! Who runs a script, as natives and the interrupt see it.

use std::ptr::NonNull;

use super::native::{Call, NativeResult, Raise};
use super::state::Shared;

/// What a script's runner lends it while it runs.
pub(crate) trait Host {
    /// A native of the host's own was called: the one pushed by [`push_host_native`](super::Stack::push_host_native)
    /// with this number.
    ///
    /// # Errors
    ///
    /// What the script is to get as an error.
    fn native(&mut self, number: u16, call: &mut Call<'_>) -> NativeResult;

    /// So many instructions have passed, or a long native polls. May wait, or suspend the stack it runs on.
    ///
    /// # Errors
    ///
    /// What ends the script. It comes again at once if the script catches it, so the host repeats it until the end.
    fn interrupt(&mut self, call: &mut Call<'_>) -> Result<(), Raise>;
}

/// The host, taken for one call: while it has it, nobody else can.
pub(super) struct Taken<'a> {
    shared: &'a Shared,
    host: NonNull<dyn Host>,
}

impl<'a> Taken<'a> {
    /// None outside of a run, and while the host is at work further down the stack.
    pub(super) fn take(shared: &'a Shared) -> Option<Taken<'a>> {
        let host = shared.host.take()?;
        Some(Taken { shared, host })
    }

    pub(super) fn host(&mut self) -> &mut dyn Host {
        // SAFETY: `State::with_host` borrows it as long as it is there to be taken, and only one can take it.
        unsafe { self.host.as_mut() }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.shared.host.set(Some(self.host));
    }
}
