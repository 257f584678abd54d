//! Lua's patterns: `string.find`, `match`, `gmatch`, `gsub`.
//!
//! They match as Lua 5.1's own, but within bounds: those recurse on the processor's stack as deep as a pattern is long,
//! and a pattern with a few repetitions can take them years, out of sight of the interrupt.

mod functions;
mod matcher;

use std::ffi::c_int;

use super::Stack;

/// Replaces the functions of the string library, which is on the stack there.
pub(super) fn replace(stack: &mut Stack, library: c_int) {
    stack.push_native(functions::find);
    stack.raw_set_field(library, b"find");
    stack.push_native(functions::first_match);
    stack.raw_set_field(library, b"match");
    stack.push_native(functions::substitute);
    stack.raw_set_field(library, b"gsub");
    stack.push_native(functions::all_matches);
    stack.push_value(-1);
    stack.raw_set_field(library, b"gmatch");
    stack.raw_set_field(library, b"gfind");
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
