//! `bit`: operations on 32 bits, as Lua BitOp does them.

use std::ffi::c_int;

use super::natives;
use crate::lua::{Call, NativeResult, Raise, Stack};

/// Added to a number, it leaves the number's low 32 bits as those of the sum's mantissa, whatever its sign.
const SHIFT_INTO_MANTISSA: f64 = 6_755_399_441_055_744.0;

/// Bits of a shift's distance that count.
const DISTANCE_MASK: u32 = 31;

/// Digits of 32 bits.
const HEX_DIGITS: i32 = 8;

pub(super) fn push(stack: &mut Stack) {
    stack.push_table(0, 12);
    natives!(stack,
        b"tobit" => to_bit,
        b"bnot" => not,
        b"band" => and,
        b"bor" => or,
        b"bxor" => exclusive_or,
        b"lshift" => shift_left,
        b"rshift" => shift_right,
        b"arshift" => shift_right_signed,
        b"rol" => rotate_left,
        b"ror" => rotate_right,
        b"bswap" => swap_bytes,
        b"tohex" => to_hex,
    );
}

fn bits(call: &mut Call<'_>, argument: c_int) -> Result<u32, Raise> {
    match call.number(argument) {
        Some(number) => Ok((number + SHIFT_INTO_MANTISSA).to_bits() as u32),
        None => Err(call.type_error(argument, "number")),
    }
}

fn result(call: &mut Call<'_>, bits: u32) -> NativeResult {
    call.push_number(f64::from(bits.cast_signed()));
    Ok(1)
}

fn to_bit(call: &mut Call<'_>) -> NativeResult {
    let bits = bits(call, 1)?;
    result(call, bits)
}

fn not(call: &mut Call<'_>) -> NativeResult {
    let bits = bits(call, 1)?;
    result(call, !bits)
}

fn fold(call: &mut Call<'_>, operation: fn(u32, u32) -> u32) -> NativeResult {
    let mut all = bits(call, 1)?;
    for argument in (2..=call.top()).rev() {
        all = operation(all, bits(call, argument)?);
    }
    result(call, all)
}

fn and(call: &mut Call<'_>) -> NativeResult {
    fold(call, |a, b| a & b)
}

fn or(call: &mut Call<'_>) -> NativeResult {
    fold(call, |a, b| a | b)
}

fn exclusive_or(call: &mut Call<'_>) -> NativeResult {
    fold(call, |a, b| a ^ b)
}

fn shift(call: &mut Call<'_>, operation: fn(u32, u32) -> u32) -> NativeResult {
    let value = bits(call, 1)?;
    let distance = bits(call, 2)? & DISTANCE_MASK;
    result(call, operation(value, distance))
}

fn shift_left(call: &mut Call<'_>) -> NativeResult {
    shift(call, |value, distance| value << distance)
}

fn shift_right(call: &mut Call<'_>) -> NativeResult {
    shift(call, |value, distance| value >> distance)
}

fn shift_right_signed(call: &mut Call<'_>) -> NativeResult {
    shift(call, |value, distance| {
        (value.cast_signed() >> distance).cast_unsigned()
    })
}

fn rotate_left(call: &mut Call<'_>) -> NativeResult {
    shift(call, u32::rotate_left)
}

fn rotate_right(call: &mut Call<'_>) -> NativeResult {
    shift(call, u32::rotate_right)
}

fn swap_bytes(call: &mut Call<'_>) -> NativeResult {
    let bits = bits(call, 1)?;
    result(call, bits.swap_bytes())
}

/// The low digits, as many as the second argument says; upper case if it is negative.
fn to_hex(call: &mut Call<'_>) -> NativeResult {
    let value = bits(call, 1)?;
    let wanted = if call.top() < 2 {
        HEX_DIGITS
    } else {
        bits(call, 2)?.cast_signed()
    };
    let digits = wanted.saturating_abs().min(HEX_DIGITS) as usize;
    let text = if wanted < 0 {
        format!("{value:08X}")
    } else {
        format!("{value:08x}")
    };
    call.push_bytes(&text.as_bytes()[text.len() - digits..]);
    Ok(1)
}
