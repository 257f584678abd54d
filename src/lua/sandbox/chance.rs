//! `math.random`, which comes out the same for the same seed everywhere: the generator of POSIX's `lrand48`, as in Redis.

use std::ffi::c_int;

use crate::lua::{Call, NativeResult, Stack};

const MULTIPLIER: u64 = 0x5_deec_e66d;
const INCREMENT: u64 = 0xb;
const STATE_MASK: u64 = (1 << 48) - 1;
/// The low bits of a state that was seeded.
const SEEDED: u64 = 0x330e;
/// One more than the largest number drawn.
const DRAWN_MAX: u64 = 0x7fff_ffff;

pub(super) fn replace(stack: &mut Stack, globals: c_int) {
    stack.raw_get_field(globals, b"math");
    stack.push_native(random);
    stack.raw_set_field(-2, b"random");
    stack.push_native(seed);
    stack.raw_set_field(-2, b"randomseed");
    stack.pop(1);
}

/// The numbers of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::lua) struct Random {
    /// Those that go on from script to script.
    common: u64,
    /// Those of a script that has set a seed.
    seeded: Option<u64>,
}

impl Default for Random {
    /// The first numbers are those of a Redis that was just started.
    fn default() -> Random {
        Random {
            common: 0x1234_abcd_330e,
            seeded: None,
        }
    }
}

/// Forgets a script's seed.
pub(super) fn reset(stack: &mut Stack) {
    let mut random = stack.shared().random.get();
    random.seeded = None;
    stack.shared().random.set(random);
}

fn draw(stack: &Stack) -> u64 {
    let mut random = stack.shared().random.get();
    let state = random.seeded.as_mut().unwrap_or(&mut random.common);
    *state = state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT) & STATE_MASK;
    let drawn = *state >> 17;
    stack.shared().random.set(random);
    drawn
}

fn random(call: &mut Call<'_>) -> NativeResult {
    let share = (draw(call) % DRAWN_MAX) as f64 / DRAWN_MAX as f64;
    let drawn = match call.top() {
        0 => share,
        1 => {
            let last = call.int_argument(1)?;
            if last < 1 {
                return Err(call.argument_error(1, "interval is empty"));
            }
            (share * f64::from(last)).floor() + 1.0
        }
        2 => {
            let (first, last) = (call.int_argument(1)?, call.int_argument(2)?);
            if first > last {
                return Err(call.argument_error(2, "interval is empty"));
            }
            let width = last.wrapping_sub(first).wrapping_add(1);
            (share * f64::from(width)).floor() + f64::from(first)
        }
        _ => return Err(call.error("wrong number of arguments")),
    };
    call.push_number(drawn);
    Ok(1)
}

fn seed(call: &mut Call<'_>) -> NativeResult {
    let seed = call.int_argument(1)?;
    let mut random = call.shared().random.get();
    random.seeded = Some(u64::from(seed.cast_unsigned()) << 16 | SEEDED);
    call.shared().random.set(random);
    Ok(0)
}
