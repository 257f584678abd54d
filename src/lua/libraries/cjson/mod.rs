//! `cjson`: values as JSON and back.
//!
//! The settings of the library that all scripts share are brought back before each script (in Redis they stay as the
//! last script left them); those of one made by `cjson.new` live with it.

mod decode;
mod encode;

use std::ffi::c_int;

use super::{natives, set_text};
use crate::lua::{Call, Kind, NativeResult, Raise, Stack};

/// What scripts may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::lua) struct Settings {
    /// Lists with many holes become objects, instead of an error.
    sparse_convert: bool,
    /// So many times more places than elements are many holes; 0: none are.
    sparse_ratio: c_int,
    /// Lists up to so many places have never many holes.
    sparse_safe: c_int,
    encode_depth_max: c_int,
    decode_depth_max: c_int,
    encode_invalid_numbers: InvalidNumbers,
    /// Whether infinity, not-a-number and hexadecimal numbers are read.
    decode_invalid_numbers: bool,
    /// Digits.
    precision: c_int,
    keep_buffer: bool,
}

/// How infinity and not-a-number are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InvalidNumbers {
    Error,
    Name,
    Null,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            sparse_convert: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth_max: 1000,
            decode_depth_max: 1000,
            encode_invalid_numbers: InvalidNumbers::Error,
            decode_invalid_numbers: true,
            precision: 14,
            keep_buffer: true,
        }
    }
}

/// The library that all scripts share.
pub(super) fn push_shared(stack: &mut Stack) {
    let settings = push(stack);
    stack.shared().json.set(settings);
}

/// Brings the shared library's settings back.
pub(in crate::lua) fn reset(stack: &mut Stack) {
    let settings = stack.shared().json.get();
    if !settings.is_null() {
        // SAFETY: the shared library lives as long as the state, and nothing holds a reference to its settings.
        unsafe { settings.write(Settings::default()) };
    }
}

/// Pushes a library with settings of its own, which live as long as one of its functions.
fn push(stack: &mut Stack) -> *mut Settings {
    stack.push_table(0, 16);
    let memory = stack.push_memory(size_of::<Settings>()).cast::<Settings>();
    // SAFETY: it is large enough, and aligned to 8.
    unsafe { memory.write(Settings::default()) };
    let settings = stack.top();
    macro_rules! closures {
        ($($name:literal => $native:expr),+ $(,)?) => {
            $(
                stack.push_value(settings);
                stack.push_closure($native, 1);
                stack.raw_set_field(settings - 1, $name);
            )+
        };
    }
    closures!(
        b"encode" => encode::encode,
        b"decode" => decode::decode,
        b"encode_sparse_array" => encode_sparse_array,
        b"encode_max_depth" => encode_max_depth,
        b"decode_max_depth" => decode_max_depth,
        b"encode_number_precision" => encode_number_precision,
        b"encode_keep_buffer" => encode_keep_buffer,
        b"encode_invalid_numbers" => encode_invalid_numbers,
        b"decode_invalid_numbers" => decode_invalid_numbers,
    );
    stack.pop(1);
    natives!(stack, b"new" => new);
    stack.push_address(std::ptr::null_mut());
    stack.raw_set_field(-2, b"null");
    set_text(stack, b"_NAME", b"cjson");
    set_text(stack, b"_VERSION", b"2.1.0");
    memory
}

fn new(call: &mut Call<'_>) -> NativeResult {
    call.reserve_or(8, "too many arguments")?;
    push(call);
    Ok(1)
}

/// The settings of the library that the running function belongs to.
fn settings(call: &Call<'_>) -> Settings {
    // SAFETY: `push` put them there, and no script can.
    unsafe { *settings_place(call) }
}

fn settings_place(call: &Call<'_>) -> *mut Settings {
    call.upvalue_userdata(1).cast()
}

/// Runs an option's function over the settings: at most so many arguments.
fn change(
    call: &mut Call<'_>,
    arguments: c_int,
    change: impl FnOnce(&mut Call<'_>, &mut Settings) -> Result<(), Raise>,
) -> NativeResult {
    if call.top() > arguments {
        return Err(call.argument_error(arguments + 1, "found too many arguments"));
    }
    call.set_top(arguments);
    let place = settings_place(call);
    let mut changed = settings(call);
    let outcome = change(call, &mut changed);
    // SAFETY: as in `settings`. What was set before an error stays.
    unsafe { place.write(changed) };
    outcome.map(|()| arguments)
}

/// Sets to an integer argument, if there is one, and pushes what it is now.
fn integer_option(
    call: &mut Call<'_>,
    argument: c_int,
    setting: &mut c_int,
    least: c_int,
    most: c_int,
) -> Result<(), Raise> {
    if call.kind(argument) != Kind::Nil {
        let value = call.int_argument(argument)?;
        if !(least..=most).contains(&value) {
            let problem = format!("expected integer between {least} and {most}");
            return Err(call.argument_error(1, &problem));
        }
        *setting = value;
    }
    call.push_number(f64::from(*setting));
    Ok(())
}

/// The option's number in the list that the argument names; a boolean is 0 or 1; none if there is no argument.
fn named_option(
    call: &mut Call<'_>,
    argument: c_int,
    names: &[&str],
) -> Result<Option<usize>, Raise> {
    match call.kind(argument) {
        Kind::Nil => return Ok(None),
        Kind::Boolean => return Ok(Some(usize::from(call.boolean(argument)))),
        _ => (),
    }
    // SAFETY: the argument stays where it is.
    let name = unsafe { call.bytes_argument(argument) }?;
    let name = name.split(|&b| b == 0).next().unwrap_or_default();
    match names.iter().position(|known| known.as_bytes() == name) {
        Some(at) => Ok(Some(at)),
        None => {
            let problem = [b"invalid option '", name, b"'"].concat();
            Err(call.argument_error_bytes(argument, &problem))
        }
    }
}

fn boolean_option(call: &mut Call<'_>, argument: c_int, setting: &mut bool) -> Result<(), Raise> {
    if let Some(value) = named_option(call, argument, &["off", "on"])? {
        *setting = value == 1;
    }
    call.push_boolean(*setting);
    Ok(())
}

fn encode_sparse_array(call: &mut Call<'_>) -> NativeResult {
    change(call, 3, |call, settings| {
        boolean_option(call, 1, &mut settings.sparse_convert)?;
        integer_option(call, 2, &mut settings.sparse_ratio, 0, c_int::MAX)?;
        integer_option(call, 3, &mut settings.sparse_safe, 0, c_int::MAX)
    })
}

fn encode_max_depth(call: &mut Call<'_>) -> NativeResult {
    change(call, 1, |call, settings| {
        integer_option(call, 1, &mut settings.encode_depth_max, 1, c_int::MAX)
    })
}

fn decode_max_depth(call: &mut Call<'_>) -> NativeResult {
    change(call, 1, |call, settings| {
        integer_option(call, 1, &mut settings.decode_depth_max, 1, c_int::MAX)
    })
}

fn encode_number_precision(call: &mut Call<'_>) -> NativeResult {
    change(call, 1, |call, settings| {
        integer_option(call, 1, &mut settings.precision, 1, 14)
    })
}

fn encode_keep_buffer(call: &mut Call<'_>) -> NativeResult {
    change(call, 1, |call, settings| {
        boolean_option(call, 1, &mut settings.keep_buffer)
    })
}

fn encode_invalid_numbers(call: &mut Call<'_>) -> NativeResult {
    change(call, 1, |call, settings| {
        match named_option(call, 1, &["off", "on", "null"])? {
            Some(0) => settings.encode_invalid_numbers = InvalidNumbers::Error,
            Some(1) => settings.encode_invalid_numbers = InvalidNumbers::Name,
            Some(_) => settings.encode_invalid_numbers = InvalidNumbers::Null,
            None => (),
        }
        match settings.encode_invalid_numbers {
            InvalidNumbers::Error => call.push_boolean(false),
            InvalidNumbers::Name => call.push_boolean(true),
            InvalidNumbers::Null => call.push_bytes(b"null"),
        }
        Ok(())
    })
}

fn decode_invalid_numbers(call: &mut Call<'_>) -> NativeResult {
    change(call, 1, |call, settings| {
        boolean_option(call, 1, &mut settings.decode_invalid_numbers)
    })
}
