//! A Lua state: making, running, ending it.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::mem::transmute;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

use mlua_sys as ffi;

use super::host::Host;
use super::libraries::cjson::Settings as JsonSettings;
use super::memory::{Meter, allocate};
use super::native::hook;
use super::sandbox::Random;
use super::stack::Stack;

/// What a state's parts in C and in Rust share.
pub(super) struct Shared {
    pub(super) meter: Arc<Meter>,
    /// Whether Lua code runs, so that an allocation may fail.
    pub(super) in_lua: Cell<bool>,
    /// The runner of the script, unless it is at work.
    pub(super) host: Cell<Option<NonNull<dyn Host>>>,
    /// Whether the interrupt ends the script.
    pub(super) stopping: Cell<bool>,
    pub(super) random: Cell<Random>,
    /// The settings of the `cjson` that all scripts share; null before there is one.
    pub(super) json: Cell<*mut JsonSettings>,
    /// A buffer that cjson uses again.
    pub(super) json_buffer: Cell<Vec<u8>>,
}

impl Shared {
    /// # Safety
    ///
    /// `l` is a thread of a [`State`].
    pub(super) unsafe fn of(l: *mut ffi::lua_State) -> NonNull<Shared> {
        let mut shared = std::ptr::null_mut();
        // SAFETY: reads. `State::new` gave it to the allocator.
        unsafe {
            ffi::lua_getallocf(l, &mut shared);
            NonNull::new_unchecked(shared.cast())
        }
    }
}

/// A Lua state without any library.
pub(crate) struct State {
    stack: Stack,
    shared: NonNull<Shared>,
}

// SAFETY: Lua 5.1 keeps nothing per thread, nor does this room; all that the state points to is its own, and the host
// is there only while `with_host` borrows the state (a run that is suspended moves as a whole, with both).
unsafe impl Send for State {}

/// Memory for a state couldn't be had.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoMemory;

impl State {
    /// A state whose memory this meter counts.
    ///
    /// # Errors
    ///
    /// When the limit is below what an empty state needs (a few kilobytes).
    pub(crate) fn new(meter: Arc<Meter>) -> Result<State, NoMemory> {
        let shared = Box::new(Shared {
            meter,
            in_lua: Cell::new(true),
            host: Cell::new(None),
            stopping: Cell::new(false),
            random: Cell::default(),
            json: Cell::new(std::ptr::null_mut()),
            json_buffer: Cell::default(),
        });
        let shared = NonNull::from(Box::leak(shared));
        // SAFETY: the allocator gets what it expects, until `drop`.
        let l = unsafe { ffi::lua_newstate(allocate, shared.as_ptr().cast::<c_void>()) };
        if l.is_null() {
            // SAFETY: it was leaked above, and nothing has it.
            drop(unsafe { Box::from_raw(shared.as_ptr()) });
            return Err(NoMemory);
        }
        // SAFETY: the state is new, and was made with this.
        let stack = unsafe {
            shared.as_ref().in_lua.set(false);
            ffi::lua_atpanic(l, unprotected);
            Stack::new(l, shared)
        };
        Ok(State { stack, shared })
    }

    /// The memory of this state.
    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.stack.shared().meter
    }

    /// Calls the host's interrupt at every so many instructions, from now on and in threads made from now on.
    pub(crate) fn interrupt_every(&mut self, instructions: c_int) {
        // SAFETY: sets fields.
        unsafe {
            ffi::lua_sethook(
                self.stack.raw(),
                Some(hook),
                ffi::LUA_MASKCOUNT,
                instructions,
            )
        };
    }

    /// Lends the host to natives and the interrupt for as long as `run` runs.
    pub(crate) fn with_host<R>(
        &mut self,
        host: &mut dyn Host,
        run: impl FnOnce(&mut Stack) -> R,
    ) -> R {
        struct Lent<'a>(&'a Shared, Option<NonNull<dyn Host>>);
        impl Drop for Lent<'_> {
            fn drop(&mut self) {
                self.0.host.set(self.1);
            }
        }
        // SAFETY: the lifetime alone changes; `Lent` takes it back before it ends.
        let host = unsafe { transmute::<NonNull<dyn Host + '_>, NonNull<dyn Host>>(host.into()) };
        // SAFETY: it is freed in `drop`.
        let shared = unsafe { self.shared.as_ref() };
        shared.stopping.set(false);
        let _lent = Lent(shared, shared.host.replace(Some(host)));
        run(&mut self.stack)
    }
}

impl Deref for State {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        &self.stack
    }
}

impl DerefMut for State {
    fn deref_mut(&mut self) -> &mut Stack {
        &mut self.stack
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // SAFETY: nothing runs in it (it would be borrowed), and what it shares goes after it.
        unsafe {
            ffi::lua_close(self.stack.raw());
            drop(Box::from_raw(self.shared.as_ptr()));
        }
    }
}

/// An error outside of any protected call, which this room's invariants rule out.
unsafe extern "C-unwind" fn unprotected(_: *mut ffi::lua_State) -> c_int {
    panic!("a Lua error outside of a protected call");
}
