//! Lua's functions that reach past metatables, made to treat a proxy as the table behind it.
//!
//! These run in Lua's own way: an error jumps out of them. So nothing in this file may own anything: no value with a
//! destructor lives in these functions or in what they call.

use std::ffi::{CStr, c_char, c_int};

use mlua_sys as ffi;

use super::super::native::poll_or_raise;
use super::super::state::Shared;
use super::sorting;
use super::{BEHIND_AT, MARK, MARK_AT, READ_ONLY, SHOWN_AT};
use crate::lua::{Call, Kind, NativeResult, Raise, Stack};

/// Replaces the functions of the base and table libraries.
pub(super) fn replace(stack: &mut Stack, globals: c_int) {
    let base: [(&[u8], ffi::lua_CFunction); 10] = [
        (b"next", next),
        (b"getmetatable", get_metatable),
        (b"setmetatable", set_metatable),
        (b"rawget", raw_get),
        (b"rawset", raw_set),
        (b"unpack", unpack),
        (b"pcall", pcall),
        (b"xpcall", xpcall),
        (b"collectgarbage", collect_garbage),
        (b"__redis__err__handler", handle_error),
    ];
    for (name, function) in base {
        stack.push_raw(function);
        stack.raw_set_field(globals, name);
    }
    stack.raw_get_field(globals, b"next");
    stack.push_raw_closure(pairs, 1);
    stack.raw_set_field(globals, b"pairs");

    stack.raw_get_field(globals, b"table");
    stack.push_raw(insert);
    stack.raw_set_field(-2, b"insert");
    stack.push_raw(for_each);
    stack.raw_set_field(-2, b"foreach");
    sorting::replace(stack);
    stack.pop(1);
}

pub(super) fn push_read_only(stack: &mut Stack) {
    stack.push_native(read_only);
}

fn read_only(call: &mut Call<'_>) -> NativeResult {
    Err(call.error(READ_ONLY))
}

pub(super) fn push_missing_global(stack: &mut Stack) {
    stack.push_native(missing_global);
}

/// Reading a global that isn't there. Scripts can reach and call it, by the metatable of the globals.
fn missing_global(call: &mut Call<'_>) -> NativeResult {
    if call.top() != 2 {
        return Err(call.error("Wrong number of arguments to luaProtectedTableError"));
    }
    if !matches!(call.kind(2), Kind::String | Kind::Number) {
        let problem = "Second argument to luaProtectedTableError must be a string or number";
        return Err(call.error(problem));
    }
    Err(missing_global_error(call))
}

/// The error of reading what isn't there; its name is the second of two arguments, up to a zero byte.
pub(crate) fn missing_global_error(call: &mut Call<'_>) -> Raise {
    let name = match call.top() {
        2 => call.coerced_bytes(2).unwrap_or_default(),
        _ => &[],
    };
    let end = name.iter().position(|&b| b == 0).unwrap_or(name.len());
    let text = [
        b"Script attempted to access nonexistent global variable '",
        &name[..end],
        b"'",
    ]
    .concat();
    call.error_bytes(&text)
}

/// If the table there is a proxy, pushes its metatable.
unsafe fn push_proxy_metatable(l: *mut ffi::lua_State, table: c_int) -> bool {
    // SAFETY: a C function has room for these.
    unsafe {
        if ffi::lua_getmetatable(l, table) == 0 {
            return false;
        }
        ffi::lua_rawgeti_(l, -1, MARK_AT);
        let marked = ffi::lua_touserdata(l, -1) == (&raw const MARK).cast_mut().cast();
        ffi::lua_settop(l, if marked { -2 } else { -3 });
        marked
    }
}

/// Puts the table behind a proxy in the proxy's place on the stack.
unsafe fn replace_proxy(l: *mut ffi::lua_State, table: c_int) {
    // SAFETY: a C function has room for these.
    unsafe {
        if push_proxy_metatable(l, table) {
            ffi::lua_rawgeti_(l, -1, BEHIND_AT);
            ffi::lua_replace(l, table);
            ffi::lua_settop(l, -2);
        }
    }
}

/// Raises Redis's error, without a place as Lua's own functions in C do, if it is a proxy.
unsafe fn check_writable(l: *mut ffi::lua_State, table: c_int) {
    // SAFETY: a C function has room for these.
    unsafe {
        if push_proxy_metatable(l, table) {
            ffi::lua_pushlstring_(l, READ_ONLY.as_ptr().cast::<c_char>(), READ_ONLY.len());
            ffi::lua_error(l);
        }
    }
}

// SAFETY, of all below: called by Lua alone, with room for 20 values; arguments are checked before they are used.

unsafe extern "C-unwind" fn next(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: see above.
    unsafe {
        ffi::luaL_checktype(l, 1, ffi::LUA_TTABLE);
        ffi::lua_settop(l, 2);
        replace_proxy(l, 1);
        if ffi::lua_next(l, 1) != 0 {
            return 2;
        }
        ffi::lua_pushnil(l);
        1
    }
}

unsafe extern "C-unwind" fn pairs(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: see above.
    unsafe {
        ffi::luaL_checktype(l, 1, ffi::LUA_TTABLE);
        ffi::lua_pushvalue(l, ffi::lua_upvalueindex(1));
        ffi::lua_pushvalue(l, 1);
        ffi::lua_pushnil(l);
        3
    }
}

unsafe extern "C-unwind" fn get_metatable(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: see above.
    unsafe {
        ffi::luaL_checkany(l, 1);
        if push_proxy_metatable(l, 1) {
            ffi::lua_rawgeti_(l, -1, SHOWN_AT);
            return 1;
        }
        if ffi::lua_getmetatable(l, 1) == 0 {
            ffi::lua_pushnil(l);
            return 1;
        }
        ffi::luaL_getmetafield_(l, 1, c"__metatable".as_ptr());
        1
    }
}

unsafe extern "C-unwind" fn set_metatable(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: see above.
    unsafe {
        let kind = ffi::lua_type(l, 2);
        ffi::luaL_checktype(l, 1, ffi::LUA_TTABLE);
        if kind != ffi::LUA_TNIL && kind != ffi::LUA_TTABLE {
            ffi::luaL_argerror(l, 2, c"nil or table expected".as_ptr());
        }
        if ffi::luaL_getmetafield_(l, 1, c"__metatable".as_ptr()) != 0 {
            ffi::luaL_error(l, c"cannot change a protected metatable".as_ptr());
        }
        ffi::lua_settop(l, 2);
        check_writable(l, 1);
        ffi::lua_setmetatable(l, 1);
        1
    }
}

unsafe extern "C-unwind" fn raw_get(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: see above.
    unsafe {
        ffi::luaL_checktype(l, 1, ffi::LUA_TTABLE);
        ffi::luaL_checkany(l, 2);
        ffi::lua_settop(l, 2);
        replace_proxy(l, 1);
        ffi::lua_rawget_(l, 1);
        1
    }
}

unsafe extern "C-unwind" fn raw_set(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: see above.
    unsafe {
        ffi::luaL_checktype(l, 1, ffi::LUA_TTABLE);
        ffi::luaL_checkany(l, 2);
        ffi::luaL_checkany(l, 3);
        ffi::lua_settop(l, 3);
        check_writable(l, 1);
        ffi::lua_rawset(l, 1);
        1
    }
}

/// Lua's own counts its results in an `int` that can overflow, which writes past the stack (CVE-2025-46817).
unsafe extern "C-unwind" fn unpack(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: see above.
    unsafe {
        ffi::luaL_checktype(l, 1, ffi::LUA_TTABLE);
        let first = ffi::luaL_optinteger(l, 2, 1) as c_int;
        let last = if ffi::lua_type(l, 3) <= ffi::LUA_TNIL {
            ffi::lua_objlen(l, 1) as c_int
        } else {
            ffi::luaL_checkinteger(l, 3) as c_int
        };
        if first > last {
            return 0;
        }
        let count = i64::from(last) - i64::from(first) + 1;
        if count >= i64::from(c_int::MAX) || ffi::lua_checkstack(l, count as c_int) == 0 {
            return ffi::luaL_error(l, c"too many results to unpack".as_ptr());
        }
        for element in first..=last {
            ffi::lua_rawgeti_(l, 1, element);
        }
        count as c_int
    }
}

/// As Redis's: of an error that is a table with a text in `err`, the text.
unsafe extern "C-unwind" fn pcall(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: see above.
    unsafe {
        ffi::luaL_checkany(l, 1);
        let arguments = ffi::lua_gettop(l) - 1;
        ffi::lua_pushboolean(l, 1);
        ffi::lua_insert(l, 1);
        let status = ffi::lua_pcall(l, arguments, ffi::LUA_MULTRET, 0);
        if status == ffi::LUA_OK {
            return ffi::lua_gettop(l);
        }
        if status == ffi::LUA_ERRMEM {
            // Or allocations would go on failing before the collector gets a chance.
            ffi::lua_gc(l, ffi::LUA_GCCOLLECT, 0);
            // A script that goes on and on so runs few instructions, but takes long.
            poll_or_raise(l);
        }
        ffi::lua_remove(l, 1);
        if ffi::lua_type(l, -1) == ffi::LUA_TTABLE {
            ffi::lua_getfield_(l, -1, c"err".as_ptr());
            // What isn't a text stays, as one more result.
            if ffi::lua_isstring(l, -1) != 0 {
                ffi::lua_replace(l, -2);
            }
        }
        ffi::lua_pushboolean(l, 0);
        ffi::lua_insert(l, 1);
        ffi::lua_gettop(l)
    }
}

unsafe extern "C-unwind" fn xpcall(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: see above.
    unsafe {
        ffi::luaL_checkany(l, 2);
        ffi::lua_settop(l, 2);
        ffi::lua_pushcclosure(l, unless_stopping, 1);
        ffi::lua_insert(l, 1);
        let status = ffi::lua_pcall(l, 0, ffi::LUA_MULTRET, 1);
        if status == ffi::LUA_ERRMEM {
            ffi::lua_gc(l, ffi::LUA_GCCOLLECT, 0);
            poll_or_raise(l);
        }
        ffi::lua_pushboolean(l, c_int::from(status == ffi::LUA_OK));
        ffi::lua_replace(l, 1);
        ffi::lua_gettop(l)
    }
}

/// A script's error handler, its upvalue, but not for the error that ends the script: Lua would run it with hooks off,
/// out of sight of the interrupt.
unsafe extern "C-unwind" fn unless_stopping(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: see above.
    unsafe {
        ffi::lua_settop(l, 1);
        if !Shared::of(l).as_ref().stopping.get() {
            ffi::lua_pushvalue(l, ffi::lua_upvalueindex(1));
            ffi::lua_insert(l, 1);
            ffi::lua_call(l, 1, 1);
        }
        1
    }
}

/// As Lua's, but that no script can stop the collector or change its pace for others.
unsafe extern "C-unwind" fn collect_garbage(l: *mut ffi::lua_State) -> c_int {
    const OPTIONS: [(&CStr, c_int); 7] = [
        (c"stop", ffi::LUA_GCSTOP),
        (c"restart", ffi::LUA_GCRESTART),
        (c"collect", ffi::LUA_GCCOLLECT),
        (c"count", ffi::LUA_GCCOUNT),
        (c"step", ffi::LUA_GCSTEP),
        (c"setpause", ffi::LUA_GCSETPAUSE),
        (c"setstepmul", ffi::LUA_GCSETSTEPMUL),
    ];
    const NAMES: [*const c_char; 8] = {
        let mut names = [std::ptr::null(); 8];
        let mut at = 0;
        while at < OPTIONS.len() {
            names[at] = OPTIONS[at].0.as_ptr();
            at += 1;
        }
        names
    };
    /// What Lua begins with, percent.
    const PACE: f64 = 200.0;
    // SAFETY: see above; the list of names ends with null.
    unsafe {
        let option = ffi::luaL_checkoption(l, 1, c"collect".as_ptr(), NAMES.as_ptr());
        let value = ffi::luaL_optinteger(l, 2, 0) as c_int;
        match OPTIONS[option as usize].1 {
            ffi::LUA_GCCOUNT => {
                let bytes = ffi::lua_gc(l, ffi::LUA_GCCOUNTB, 0);
                let kilobytes = ffi::lua_gc(l, ffi::LUA_GCCOUNT, 0);
                ffi::lua_pushnumber(l, f64::from(kilobytes) + f64::from(bytes) / 1024.0);
            }
            ffi::LUA_GCSTEP => {
                let ended = ffi::lua_gc(l, ffi::LUA_GCSTEP, value.clamp(0, 1 << 20));
                ffi::lua_pushboolean(l, ended);
            }
            ffi::LUA_GCCOLLECT => {
                ffi::lua_gc(l, ffi::LUA_GCCOLLECT, 0);
                ffi::lua_pushnumber(l, 0.0);
            }
            ffi::LUA_GCSETPAUSE | ffi::LUA_GCSETSTEPMUL => ffi::lua_pushnumber(l, PACE),
            _ => ffi::lua_pushnumber(l, 0.0),
        }
        1
    }
}

unsafe extern "C-unwind" fn insert(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: see above.
    unsafe {
        ffi::luaL_checktype(l, 1, ffi::LUA_TTABLE);
        let end = (ffi::lua_objlen(l, 1) as c_int).wrapping_add(1);
        let at = match ffi::lua_gettop(l) {
            2 => end,
            3 => ffi::luaL_checkinteger(l, 2) as c_int,
            _ => return ffi::luaL_error(l, c"wrong number of arguments to 'insert'".as_ptr()),
        };
        check_writable(l, 1);
        let mut free = end.max(at);
        while free > at {
            ffi::lua_rawgeti_(l, 1, free - 1);
            ffi::lua_rawseti_(l, 1, free);
            free -= 1;
            // The way down to the least of numbers is long.
            if free & 0xffff == 0 {
                poll_or_raise(l);
            }
        }
        ffi::lua_rawseti_(l, 1, at);
        0
    }
}

unsafe extern "C-unwind" fn for_each(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: see above.
    unsafe {
        ffi::luaL_checktype(l, 1, ffi::LUA_TTABLE);
        ffi::luaL_checktype(l, 2, ffi::LUA_TFUNCTION);
        replace_proxy(l, 1);
        ffi::lua_pushnil(l);
        while ffi::lua_next(l, 1) != 0 {
            ffi::lua_pushvalue(l, 2);
            ffi::lua_pushvalue(l, -3);
            ffi::lua_pushvalue(l, -3);
            ffi::lua_call(l, 2, 1);
            if ffi::lua_type(l, -1) != ffi::LUA_TNIL {
                return 1;
            }
            ffi::lua_settop(l, -3);
        }
        0
    }
}

/// Pushes the handler that makes an error a table: `err` (with ERR before a text), and where: `source`, `line`.
pub(crate) fn error_handler(stack: &mut Stack) {
    stack.push_raw(handle_error);
}

unsafe extern "C-unwind" fn handle_error(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: see above; all of `lua_Debug` is numbers and pointers, which may be zero.
    unsafe {
        let mut info = std::mem::zeroed::<ffi::lua_Debug>();
        ffi::lua_settop(l, 1);
        // Of an error in a function in C the place of its caller is of use.
        let mut known = false;
        for level in [1, 2] {
            known = ffi::lua_getstack(l, level, &mut info) != 0;
            if known {
                ffi::lua_getinfo(l, c"nSl".as_ptr(), &mut info);
            }
            if !known || CStr::from_ptr(info.what) != c"C" {
                break;
            }
        }
        if ffi::lua_type(l, 1) != ffi::LUA_TTABLE {
            ffi::lua_createtable(l, 0, 3);
            ffi::lua_pushstring_(l, c"ERR ".as_ptr());
            ffi::luaL_tolstring(l, 1, std::ptr::null_mut());
            ffi::lua_concat(l, 2);
            ffi::lua_setfield(l, -2, c"err".as_ptr());
            ffi::lua_replace(l, 1);
        }
        if known {
            ffi::lua_pushstring_(l, info.source);
            ffi::lua_setfield(l, 1, c"source".as_ptr());
            ffi::lua_pushnumber(l, f64::from(info.currentline));
            ffi::lua_setfield(l, 1, c"line".as_ptr());
        }
        1
    }
}
