//! What scripts can reach: the globals of Redis, which no script can change.
//!
//! Lua 5.1 has no tables that can't be written. So each shared table has a **proxy** in front of it, an empty table that
//! scripts see in its place: its metatable reads from the table behind, and turns every write into Redis's error. What
//! reaches past metatables (`next`, `rawget`, `rawset`, `setmetatable`, `table.insert` ...) is replaced by functions
//! that know proxies (`guarded`), so that a proxy behaves as the table does. The metatable itself is never given to a
//! script, nor is a table behind a proxy.
//!
//! Missing on purpose, as in Redis's hardened releases: `print`, `dofile`, `loadfile`, `require`, `debug`, `io`, all of
//! `os` but `clock`, and `getfenv`, `setfenv` and `newproxy`, by which a script could change another's surroundings or
//! have a finalizer run out of sight of the interrupt.

mod chance;
mod guarded;
mod loading;
mod sorting;
mod text;

use std::ffi::c_int;

use mlua_sys as ffi;

use super::libraries;
use super::{Call, Failure, Kind, NativeResult, Reference, Stack, State};

pub(in crate::lua) use chance::Random;
pub(crate) use guarded::{error_handler, missing_global_error};

/// Where the registry keeps the table behind the proxy of the globals.
const GLOBALS: &[u8] = b"globals behind the proxy";

/// What marks the metatable of a proxy: at 1 the address of this, which no script can make.
static MARK: u8 = 0;
const MARK_AT: c_int = 1;
/// Where such a metatable has the table behind the proxy.
const BEHIND_AT: c_int = 2;
/// And what `getmetatable` answers for it.
const SHOWN_AT: c_int = 3;

/// What Redis says to whoever writes to a shared table.
const READ_ONLY: &str = "Attempt to modify a readonly table";

/// Lua's own libraries that scripts have, to be opened in this order.
const BUILT_IN: [(&[u8], ffi::lua_CFunction); 5] = [
    (b"", ffi::luaopen_base),
    (b"table", ffi::luaopen_table),
    (b"string", ffi::luaopen_string),
    (b"math", ffi::luaopen_math),
    (b"os", ffi::luaopen_os),
];

const REMOVED: [&[u8]; 6] = [
    b"print",
    b"dofile",
    b"loadfile",
    b"getfenv",
    b"setfenv",
    b"newproxy",
];

/// Gives a new state the globals of Redis but `redis` itself, which is the host's (see [`protect`] and [`set_global`]).
///
/// # Errors
///
/// When the memory limit is too low for it.
pub(crate) fn open(state: &mut State) -> Result<(), Failure> {
    state.push_native(open_libraries);
    state.call(0, 0, None)?;
    Ok(())
}

fn open_libraries(call: &mut Call<'_>) -> NativeResult {
    for (name, open) in BUILT_IN {
        call.push_raw(open);
        call.push_bytes(name);
        if call.call(1, 0, None).is_err() {
            return Err(super::Raise::Value);
        }
    }
    call.push_globals();
    let globals = call.top();
    for name in REMOVED {
        call.push_nil();
        call.raw_set_field(globals, name);
    }
    keep_clock_alone(call, globals);
    guarded::replace(call, globals);
    loading::replace(call, globals);
    text::replace(call, globals);
    chance::replace(call, globals);
    for (name, push) in libraries::ALL {
        push(call);
        call.raw_set_field(globals, name);
    }
    for name in [b"string".as_slice(), b"table", b"math", b"os", b"coroutine"]
        .into_iter()
        .chain(libraries::ALL.map(|(name, _)| name))
    {
        call.raw_get_field(globals, name);
        protect(call);
        call.raw_set_field(globals, name);
    }
    protect_strings(call, globals);
    protect_globals(call, globals);
    Ok(0)
}

fn keep_clock_alone(stack: &mut Stack, globals: c_int) {
    stack.push_table(0, 1);
    stack.raw_get_field(globals, b"os");
    stack.raw_get_field(-1, b"clock");
    stack.remove(-2);
    stack.raw_set_field(-2, b"clock");
    stack.raw_set_field(globals, b"os");
}

/// The metatable of all strings reads from the library directly; what scripts see of it is a proxy.
fn protect_strings(stack: &mut Stack, globals: c_int) {
    stack.push_table(0, 1);
    stack.raw_get_field(globals, b"string");
    stack.raw_set_field(-2, b"__index");
    protect(stack);
    stack.push_bytes(b"");
    let has = stack.get_metatable(-1);
    debug_assert!(has, "the string library sets it");
    stack.push_value(-3);
    mark(stack);
    stack.pop(3);
}

/// Puts the proxy in front of the globals: chunks loaded from now on see nothing else.
fn protect_globals(stack: &mut Stack, globals: c_int) {
    stack.push_value(globals);
    stack.raw_set_field(ffi::LUA_REGISTRYINDEX, GLOBALS);

    stack.push_table(0, 1);
    guarded::push_missing_global(stack);
    stack.raw_set_field(-2, b"__index");
    let shown = stack.top();
    stack.push_value(shown);
    stack.set_metatable(globals);

    stack.push_value(globals);
    protect(stack);
    stack.push_value(shown);
    protect(stack);
    let has = stack.get_metatable(-2);
    debug_assert!(has, "it is a proxy");
    stack.insert(-2);
    mark(stack);
    stack.pop(1);

    stack.push_value(-1);
    stack.raw_set_field(globals, b"_G");
    stack.set_globals();
    stack.pop(1);
}

/// Marks the metatable below the top, and lets `getmetatable` answer the value on top, which is popped.
fn mark(stack: &mut Stack) {
    stack.raw_set_index(-2, SHOWN_AT);
    stack.push_address((&raw const MARK).cast_mut().cast());
    stack.raw_set_index(-2, MARK_AT);
}

/// Replaces the table on top, which has no metatable or one that scripts needn't see, by a proxy that scripts can only
/// read through. The tables in it are not protected by this.
pub(crate) fn protect(stack: &mut Stack) {
    debug_assert_eq!(stack.kind(-1), Kind::Table);
    let behind = stack.top();
    stack.push_table(0, 0);
    stack.push_table(3, 2);
    stack.push_value(behind);
    stack.raw_set_index(-2, BEHIND_AT);
    stack.push_value(behind);
    stack.raw_set_field(-2, b"__index");
    guarded::push_read_only(stack);
    stack.raw_set_field(-2, b"__newindex");
    stack.push_nil();
    mark(stack);
    stack.set_metatable(-2);
    stack.remove(behind);
}

/// Brings back what scripts may set for themselves: the seed of `math.random`, the settings of `cjson`. To be called
/// before each script, so that none sees what another has set.
pub(crate) fn begin(stack: &mut Stack) {
    chance::reset(stack);
    libraries::cjson::reset(stack);
}

/// Globals that each script finds anew.
pub(crate) struct FreshGlobals {
    globals: Reference,
    names: [Reference; 2],
}

impl FreshGlobals {
    pub(crate) fn new(stack: &mut Stack, names: [&[u8]; 2]) -> FreshGlobals {
        let names = names.map(|name| {
            stack.push_bytes(name);
            stack.reference()
        });
        stack.raw_get_field(ffi::LUA_REGISTRYINDEX, GLOBALS);
        FreshGlobals {
            globals: stack.reference(),
            names,
        }
    }

    /// Sets them to the two values on top, which are popped.
    pub(crate) fn set(&self, stack: &mut Stack) {
        stack.push_reference(&self.globals);
        for name in self.names.iter().rev() {
            stack.push_reference(name);
            stack.push_value(-3);
            // SAFETY: the globals are a table, below a string and its value.
            unsafe { stack.raw_set_known(-3) };
            stack.remove(-2);
        }
        stack.pop(1);
    }
}

/// Sets a global to the value on top, and pops it: for the host alone.
pub(crate) fn set_global(stack: &mut Stack, name: &[u8]) {
    stack.raw_get_field(ffi::LUA_REGISTRYINDEX, GLOBALS);
    stack.insert(-2);
    stack.raw_set_field(-2, name);
    stack.pop(1);
}

impl Stack {
    /// If the table there is a proxy, pushes the table behind it. The host and libraries must not give it to a script.
    pub(crate) fn push_behind(&mut self, table: c_int) -> bool {
        if !self.get_metatable(table) {
            return false;
        }
        self.raw_get_index(-1, MARK_AT);
        let marked = self.userdata(-1) == (&raw const MARK).cast_mut().cast();
        self.pop(1);
        if marked {
            self.raw_get_index(-1, BEHIND_AT);
            self.remove(-2);
        } else {
            self.pop(1);
        }
        marked
    }
}

#[cfg(test)]
#[path = "sandbox_tests.rs"]
mod tests;
