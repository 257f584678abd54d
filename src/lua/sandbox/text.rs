//! The functions of the string library that need a bound.

use std::ffi::c_int;
use std::mem::transmute;

use mlua_sys as ffi;

use crate::lua::{Call, NativeResult, Raise, Stack};

/// Parts of a pattern that Lua's matcher recurses for; each takes some 200 bytes of the processor's stack.
const PATTERN_PARTS_MAX: usize = 200;

pub(super) fn replace(stack: &mut Stack, globals: c_int) {
    stack.raw_get_field(globals, b"string");
    stack.push_native(repeat);
    stack.raw_set_field(-2, b"rep");
    for name in [b"find".as_slice(), b"match", b"gmatch", b"gfind", b"gsub"] {
        stack.raw_get_field(-1, name);
        let original = stack.c_function(-1);
        stack.pop(1);
        let original = original.expect("the string library has it");
        stack.push_address(original as *mut std::ffi::c_void);
        stack.push_raw_closure(unless_too_complex, 1);
        stack.raw_set_field(-2, name);
    }
    stack.pop(1);
}

/// One of Lua's functions that match, its upvalue, but for patterns that would need too much of the processor's stack.
///
/// # Safety
///
/// Called by Lua alone. An error jumps out of it, so nothing here owns anything.
unsafe extern "C-unwind" fn unless_too_complex(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: a string stays where it is while it is an argument; the upvalue is such a function (see `replace`).
    unsafe {
        if ffi::lua_type(l, 2) == ffi::LUA_TSTRING {
            let mut length = 0;
            let pattern = ffi::lua_tolstring(l, 2, &mut length);
            let pattern = std::slice::from_raw_parts(pattern.cast::<u8>(), length);
            if length > PATTERN_PARTS_MAX && parts(pattern) > PATTERN_PARTS_MAX {
                return ffi::luaL_error(l, c"pattern too complex".as_ptr());
            }
        }
        let original = ffi::lua_touserdata(l, ffi::lua_upvalueindex(1));
        transmute::<*mut std::ffi::c_void, ffi::lua_CFunction>(original)(l)
    }
}

fn parts(pattern: &[u8]) -> usize {
    let recurses = |b: &&u8| matches!(b, b'*' | b'+' | b'-' | b'?' | b'(' | b')');
    pattern.iter().filter(recurses).count()
}

/// Lua's own finds out that memory doesn't suffice when it is full, and repeats an empty text as often as it is told.
fn repeat(call: &mut Call<'_>) -> NativeResult {
    // SAFETY: it stays where it is.
    let text = unsafe { call.bytes_argument(1) }?;
    let times = call.int_argument(2)?.max(0) as usize;
    let length = text.len().checked_mul(times).ok_or(Raise::Memory)?;
    call.room(length)?;
    call.push_bytes(&text.repeat(if text.is_empty() { 0 } else { times }));
    Ok(1)
}
