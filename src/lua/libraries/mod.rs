//! The libraries that Redis adds to Lua's own, answering byte for byte as Redis's do.

mod bit;
pub(super) mod cjson;
mod cmsgpack;
mod number_text;
mod structs;

use super::{Call, Stack};

/// A library's name, and what pushes its table.
pub(super) type Library = (&'static [u8], fn(&mut Stack));

pub(super) const ALL: [Library; 4] = [
    (b"cjson", cjson::push_shared),
    (b"cmsgpack", cmsgpack::push),
    (b"struct", structs::push),
    (b"bit", bit::push),
];

/// Sets fields of the table on top to natives.
macro_rules! natives {
    ($stack:expr, $($name:literal => $native:expr),+ $(,)?) => {
        $(
            $stack.push_native($native);
            $stack.raw_set_field(-2, $name);
        )+
    };
}
use natives;

/// Sets a field of the table on top to a text.
fn set_text(stack: &mut Stack, name: &[u8], text: &[u8]) {
    stack.push_bytes(text);
    stack.raw_set_field(-2, name);
}

/// A number as C makes it an `int` on x86-64: cut towards zero, and the least of all for what is beyond its range.
fn to_int(number: f64) -> i32 {
    let in_range = number > -2_147_483_649.0 && number < 2_147_483_648.0;
    if in_range { number as i32 } else { i32::MIN }
}

/// A number as C makes it an unsigned long on x86-64 by gcc: the same bits as a signed one below 2^63, less than that
/// above.
fn to_unsigned(number: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    if number >= HALF {
        super::native::to_integer(number - HALF).cast_unsigned() ^ (1 << 63)
    } else {
        super::native::to_integer(number).cast_unsigned()
    }
}

/// How many values a library handles between two looks at memory and at the interrupt.
const VALUES_PER_CHECK: u32 = 4096;

/// Counts what a native does, and looks at the limits from time to time.
#[derive(Default)]
struct Progress {
    values: u32,
}

impl Progress {
    /// One more value, with so many bytes built outside of Lua's memory so far.
    #[inline]
    fn value(&mut self, call: &mut Call<'_>, built: usize) -> Result<(), super::Raise> {
        self.values += 1;
        if self.values < VALUES_PER_CHECK {
            return Ok(());
        }
        self.values = 0;
        call.room(built + 1)?;
        call.poll()
    }
}

#[cfg(test)]
#[path = "library_tests.rs"]
mod tests;
