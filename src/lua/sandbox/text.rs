//! The functions of the string library that need a bound.

use std::ffi::c_int;

use crate::lua::{Call, NativeResult, Raise, Stack, patterns};

pub(super) fn replace(stack: &mut Stack, globals: c_int) {
    stack.raw_get_field(globals, b"string");
    stack.push_native(repeat);
    stack.raw_set_field(-2, b"rep");
    let library = stack.top();
    patterns::replace(stack, library);
    stack.pop(1);
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
