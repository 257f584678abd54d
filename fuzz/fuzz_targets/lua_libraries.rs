//! See the body, which `tests/fuzzing.rs` runs as well.

#![no_main]

#[path = "../bodies/lua_libraries.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|input: &[u8]| body::run(input));
