//! See the body, which `tests/fuzzing.rs` runs as well.

#![no_main]

#[path = "../bodies/script_replies.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|input: &[u8]| body::run(input));
