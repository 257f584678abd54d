//! Functions that scripts call, written in Rust.
//!
//! A native is a plain function over a [`Call`]. Between it and Lua stands [`enter`], which makes memory unlimited,
//! catches panics and leaves an error on the stack; the frame around it, which has nothing to drop, raises it.

use std::borrow::Cow;
use std::ffi::{CStr, c_char, c_int};
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use mlua_sys as ffi;

use super::host::Taken;
use super::stack::{Kind, Stack};
use super::state::Shared;

/// How many results are on top of the stack, or what is raised.
pub(crate) type NativeResult = Result<c_int, Raise>;

/// An error that a native raises.
#[derive(Debug)]
pub(crate) enum Raise {
    /// This text, with nothing before it.
    Text(Cow<'static, [u8]>),
    /// The value on top of the stack.
    Value,
    /// Lua's error for memory that ran out.
    Memory,
}

impl Raise {
    /// This text, with nothing before it ([`Call::error`] says where as well).
    pub(crate) fn text(text: impl Into<String>) -> Raise {
        Raise::Text(text.into().into_bytes().into())
    }
}

/// A native: a function without state of its own.
pub(crate) trait Native: Fn(&mut Call<'_>) -> NativeResult + Copy + 'static {}

impl<F: Fn(&mut Call<'_>) -> NativeResult + Copy + 'static> Native for F {}

/// A call of a native: its arguments, from index 1 on, and the stack for its results.
pub(crate) struct Call<'a> {
    stack: Stack,
    shared: &'a Shared,
}

impl Deref for Call<'_> {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        &self.stack
    }
}

impl DerefMut for Call<'_> {
    fn deref_mut(&mut self) -> &mut Stack {
        &mut self.stack
    }
}

impl<'a> Call<'a> {
    /// # Safety
    ///
    /// `l` is a thread of a state whose [`Shared`] this is, and runs a C function or a hook.
    pub(super) unsafe fn new(l: *mut ffi::lua_State, shared: &'a Shared) -> Call<'a> {
        // SAFETY: the caller's promise.
        let stack = unsafe { Stack::new(l, NonNull::from(shared)) };
        Call { stack, shared }
    }

    /// An error with the place of the call before it, as `luaL_error` words it.
    pub(crate) fn error(&mut self, text: &str) -> Raise {
        self.error_bytes(text.as_bytes())
    }

    /// See [`error`](Call::error).
    pub(crate) fn error_bytes(&mut self, text: &[u8]) -> Raise {
        let mut whole = self.place(1).into_bytes();
        whole.extend_from_slice(text);
        Raise::Text(whole.into())
    }

    /// "chunk:line: " of the function so many levels up, empty where it isn't Lua code.
    pub(crate) fn place(&self, level: c_int) -> String {
        let Some(info) = self.stack.level_info(level, c"Sl") else {
            return String::new();
        };
        if info.currentline <= 0 {
            return String::new();
        }
        // SAFETY: `lua_getinfo` ended it.
        let source = unsafe { CStr::from_ptr(info.short_src.as_ptr()) };
        format!("{}:{}: ", source.to_string_lossy(), info.currentline)
    }

    /// An error about an argument, as `luaL_argerror` words it.
    pub(crate) fn argument_error(&mut self, argument: c_int, problem: &str) -> Raise {
        self.argument_error_bytes(argument, problem.as_bytes())
    }

    /// See [`argument_error`](Call::argument_error).
    pub(crate) fn argument_error_bytes(&mut self, argument: c_int, problem: &[u8]) -> Raise {
        let before = match self.stack.level_info(0, c"n") {
            None => format!("bad argument #{argument} (").into_bytes(),
            Some(info) => {
                let text = |p: *const c_char| {
                    // SAFETY: null, or a string that lives as long as the function it names.
                    (!p.is_null()).then(|| unsafe { CStr::from_ptr(p) }.to_bytes())
                };
                let name = text(info.name).unwrap_or(b"?");
                // Its object is not counted.
                let is_method = text(info.namewhat) == Some(b"method");
                match argument - c_int::from(is_method) {
                    0 if is_method => [b"calling '", name, b"' on bad self ("].concat(),
                    n => [format!("bad argument #{n} to '").as_bytes(), name, b"' ("].concat(),
                }
            }
        };
        self.error_bytes(&[&before, problem, b")"].concat())
    }

    /// An error about an argument's type, as `luaL_typerror` words it.
    pub(crate) fn type_error(&mut self, argument: c_int, expected: &str) -> Raise {
        let got = self.stack.kind(argument).name();
        self.argument_error(argument, &format!("{expected} expected, got {got}"))
    }

    /// The argument as a number: a number, or a text of one.
    ///
    /// # Errors
    ///
    /// That of `luaL_checknumber`.
    pub(crate) fn number_argument(&mut self, argument: c_int) -> Result<f64, Raise> {
        match self.stack.number(argument) {
            Some(number) => Ok(number),
            None => Err(self.type_error(argument, "number")),
        }
    }

    /// The argument as a C `int`: what is beyond its range wraps, as it does in Lua.
    ///
    /// # Errors
    ///
    /// That of `luaL_checkint`.
    pub(crate) fn int_argument(&mut self, argument: c_int) -> Result<c_int, Raise> {
        Ok(self.integer_argument(argument)? as c_int)
    }

    /// The argument as an integer, cut towards zero; the least of all for what is beyond its range.
    ///
    /// # Errors
    ///
    /// That of `luaL_checkinteger`.
    pub(crate) fn integer_argument(&mut self, argument: c_int) -> Result<i64, Raise> {
        Ok(to_integer(self.number_argument(argument)?))
    }

    /// The argument as a string; a number becomes one, in its place on the stack.
    ///
    /// # Errors
    ///
    /// That of `luaL_checklstring`.
    ///
    /// # Safety
    ///
    /// The argument stays on the stack as long as the bytes are used.
    pub(crate) unsafe fn bytes_argument(&mut self, argument: c_int) -> Result<&'a [u8], Raise> {
        if !matches!(self.stack.kind(argument), Kind::String | Kind::Number) {
            return Err(self.type_error(argument, "string"));
        }
        match self.stack.coerced_bytes(argument) {
            // SAFETY: the caller's promise; strings don't move.
            Some(bytes) => Ok(unsafe { std::slice::from_raw_parts(bytes.as_ptr(), bytes.len()) }),
            None => Err(self.type_error(argument, "string")),
        }
    }

    /// Whether so many bytes more are within the limit.
    ///
    /// # Errors
    ///
    /// That of memory that ran out.
    pub(crate) fn room(&self, bytes: usize) -> Result<(), Raise> {
        let meter = &self.shared.meter;
        if bytes > meter.limit().saturating_sub(meter.used()) {
            return Err(Raise::Memory);
        }
        Ok(())
    }

    /// What a native has built must be within the limit, once garbage is gone.
    fn within_limit(&mut self, results: c_int) -> NativeResult {
        let meter = &self.shared.meter;
        if meter.used() > meter.limit() {
            self.stack.collect_all();
            self.poll()?;
            if meter.used() > meter.limit() {
                return Err(Raise::Memory);
            }
        }
        Ok(results)
    }

    /// Room on the stack.
    ///
    /// # Errors
    ///
    /// As `luaL_checkstack` words it: what was being done has too many elements.
    pub(crate) fn reserve_or(&mut self, slots: c_int, problem: &str) -> Result<(), Raise> {
        if self.stack.reserve(slots) {
            return Ok(());
        }
        Err(self.error(&format!("stack overflow ({problem})")))
    }

    /// Calls the host's interrupt; for loops that Lua's own count doesn't see.
    ///
    /// # Errors
    ///
    /// What ends the script.
    pub(crate) fn poll(&mut self) -> Result<(), Raise> {
        match Taken::take(self.shared) {
            Some(mut taken) => {
                let outcome = taken.host().interrupt(self);
                self.shared.stopping.set(outcome.is_err());
                outcome
            }
            None => Ok(()),
        }
    }
}

/// A number as C makes it an integer on x86-64: cut towards zero, and the least of all for what is beyond its range.
pub(crate) fn to_integer(number: f64) -> i64 {
    let in_range = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number);
    if in_range { number as i64 } else { i64::MIN }
}

/// The `lua_CFunction` of a native.
pub(super) fn c_function<F: Native>(_native: F) -> ffi::lua_CFunction {
    const { assert!(size_of::<F>() == 0, "a native captures nothing") };
    trampoline::<F>
}

/// # Safety
///
/// Called by Lua alone.
unsafe extern "C-unwind" fn trampoline<F: Native>(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by Lua as a C function.
    let outcome = unsafe {
        enter(l, |call| {
            native_of::<F>(call).and_then(|n| call.within_limit(n))
        })
    };
    if outcome < 0 {
        // SAFETY: the error is on the stack, and this frame has nothing to drop.
        unsafe { ffi::lua_error(l) }
    }
    outcome
}

fn native_of<F: Native>(call: &mut Call<'_>) -> NativeResult {
    // SAFETY: it has no size (asserted in `c_function`, the only way here) and was given away as a copy.
    let native = unsafe { NonNull::<F>::dangling().read() };
    native(call)
}

/// Runs a native or the interrupt: the number of results, or -1 with the error on top of the stack.
///
/// # Safety
///
/// `l` runs a C function or a hook.
pub(super) unsafe fn enter(
    l: *mut ffi::lua_State,
    native: impl FnOnce(&mut Call<'_>) -> NativeResult,
) -> c_int {
    // SAFETY: every state is made by `State::new`, whose shared part outlives it.
    let shared = unsafe { Shared::of(l).as_ref() };
    let was_in_lua = shared.in_lua.replace(false);
    // SAFETY: the caller's promise.
    let mut call = unsafe { Call::new(l, shared) };
    let outcome = catch_unwind(AssertUnwindSafe(|| native(&mut call)))
        .unwrap_or(Err(Raise::Text(Cow::Borrowed(b"internal error"))));
    let results = match outcome {
        Ok(results) => results,
        Err(raise) => {
            call.stack.push_raise(raise);
            -1
        }
    };
    shared.in_lua.set(was_in_lua);
    results
}

/// The native behind every function of the host's: its number is the upvalue.
pub(super) fn host_native(call: &mut Call<'_>) -> NativeResult {
    let number = call.upvalue_number(1) as u16;
    match Taken::take(call.shared) {
        Some(mut taken) => taken.host().native(number, call),
        None => Err(Raise::text(
            "ERR a function of the host called while no script runs",
        )),
    }
}

/// The hook of a state: the host's interrupt, and from an error on at every line, so that no script survives it.
///
/// # Safety
///
/// Called by Lua alone.
pub(super) unsafe extern "C-unwind" fn hook(l: *mut ffi::lua_State, _: *mut ffi::lua_Debug) {
    // SAFETY: called by Lua as a hook, which has the stack that a C function has.
    let outcome = unsafe {
        enter(l, |call| {
            call.stack.pace_collection();
            call.poll().map(|()| 0)
        })
    };
    if outcome < 0 {
        // SAFETY: the error is on the stack, and this frame has nothing to drop.
        unsafe {
            ffi::lua_sethook(l, Some(hook), ffi::LUA_MASKLINE | ffi::LUA_MASKCOUNT, 1);
            ffi::lua_error(l)
        }
    }
}

/// Polls from a function that is written in Lua's own way, and raises what comes of it.
///
/// # Safety
///
/// `l` runs such a function; no frame up to Lua has anything to drop.
pub(super) unsafe fn poll_or_raise(l: *mut ffi::lua_State) {
    // SAFETY: the caller's promise.
    unsafe {
        if enter(l, |call| call.poll().map(|()| 0)) < 0 {
            ffi::lua_error(l);
        }
    }
}
