//! `load` and `loadstring`: text alone. Compiled code can do anything to the interpreter, so it is read as the text that
//! it isn't, and refused by the compiler.
//!
//! Lua's own way, as in `guarded`: nothing here may own anything.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use mlua_sys as ffi;

use crate::lua::Stack;
use crate::lua::native::poll_or_raise;
use crate::lua::stack::PIECE_BYTES;

/// The most that one chunk may have; the compiler counts in `int` (CVE-2025-46819).
const CHUNK_BYTES_MAX: usize = 1 << 30;

pub(super) fn replace(stack: &mut Stack, globals: c_int) {
    stack.push_raw(load);
    stack.raw_set_field(globals, b"load");
    stack.push_raw(load_string);
    stack.raw_set_field(globals, b"loadstring");
}

/// What a reader is reading.
struct Source {
    /// A text, or null: pieces come from the function at index 1.
    text: *const c_char,
    length: usize,
    /// Read so far.
    total: usize,
    /// A piece that waits at index 3 because a space had to come before it.
    waiting: bool,
}

/// # Safety
///
/// Called by Lua alone, with a text at index 1.
unsafe extern "C-unwind" fn load_string(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: room for 20 values, and what is checked before.
    unsafe {
        let mut length = 0;
        let text = ffi::luaL_checklstring(l, 1, &mut length);
        let name = ffi::luaL_optlstring(l, 2, text, ptr::null_mut());
        ffi::lua_settop(l, 3);
        let source = Source {
            text,
            length,
            total: 0,
            waiting: false,
        };
        compile(l, source, name)
    }
}

/// # Safety
///
/// Called by Lua alone.
unsafe extern "C-unwind" fn load(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: room for 20 values, and what is checked before.
    unsafe {
        let name = ffi::luaL_optlstring(l, 2, c"=(load)".as_ptr(), ptr::null_mut());
        ffi::luaL_checktype(l, 1, ffi::LUA_TFUNCTION);
        ffi::lua_settop(l, 3);
        let source = Source {
            text: ptr::null(),
            length: 0,
            total: 0,
            waiting: false,
        };
        compile(l, source, name)
    }
}

unsafe fn compile(l: *mut ffi::lua_State, mut source: Source, name: *const c_char) -> c_int {
    // SAFETY: the callers' three values are on the stack, and hold text and name.
    unsafe {
        // The compiler keeps the name as a string that the collector doesn't know of, unless it is here as well
        // (CVE-2025-49844).
        ffi::lua_pushstring_(l, name);
        let status = ffi::lua_load(l, read, (&raw mut source).cast(), name);
        if status == ffi::LUA_OK {
            return 1;
        }
        ffi::lua_pushnil(l);
        ffi::lua_insert(l, -2);
        2
    }
}

unsafe extern "C-unwind" fn read(
    l: *mut ffi::lua_State,
    source: *mut c_void,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: `compile` gave it, and waits.
    unsafe {
        let (source, size) = (&mut *source.cast::<Source>(), &mut *size);
        let first = source.total == 0;
        let piece = if source.waiting {
            source.waiting = false;
            return ffi::lua_tolstring(l, 3, size);
        } else if source.text.is_null() {
            next_piece(l, source, size)
        } else {
            if !first {
                poll_or_raise(l);
            }
            let start = source.total;
            *size = (source.length - start).min(PIECE_BYTES);
            source.total += *size;
            source.text.add(start)
        };
        if first && *size > 0 && *piece.cast::<u8>() == ffi::LUA_SIGNATURE[0] {
            // What begins with an escape is compiled code to Lua; behind a space it is text.
            ffi::lua_pushlstring_(l, piece, *size);
            ffi::lua_replace(l, 3);
            source.waiting = true;
            *size = 1;
            return c" ".as_ptr();
        }
        piece
    }
}

unsafe fn next_piece(
    l: *mut ffi::lua_State,
    source: &mut Source,
    size: &mut usize,
) -> *const c_char {
    // SAFETY: the function is at index 1.
    unsafe {
        ffi::luaL_checkstack(l, 2, c"too many nested functions".as_ptr());
        ffi::lua_pushvalue(l, 1);
        ffi::lua_call(l, 0, 1);
        if ffi::lua_type(l, -1) == ffi::LUA_TNIL {
            *size = 0;
            return ptr::null();
        }
        if ffi::lua_isstring(l, -1) == 0 {
            ffi::luaL_error(l, c"reader function must return a string".as_ptr());
        }
        ffi::lua_replace(l, 3);
        let piece = ffi::lua_tolstring(l, 3, size);
        source.total += *size;
        if source.total > CHUNK_BYTES_MAX {
            ffi::luaL_error(l, c"chunk is too large".as_ptr());
        }
        piece
    }
}
