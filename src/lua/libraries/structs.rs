//! `struct`: numbers and strings as C has them in memory.
//!
//! A format is a text of options: `b B h H l L T i I` integers (a size may follow `i` and `I`), `f d` floating point,
//! `c` so many bytes (`c0`: as many as the number before says), `s` a string that ends with a zero, `x` a zero, `<` and
//! `>` the order of bytes, `!` the alignment, spaces.

use std::ffi::c_int;

use memchr::memchr;

use super::{Progress, natives, to_unsigned};
use crate::lua::{Call, NativeResult, Raise, Stack};

/// Largest integer, bytes.
const INTEGER_SIZE_MAX: usize = 32;

/// The alignment that a bare `!` asks for, bytes.
const ALIGNMENT_DEFAULT: i32 = 8;

pub(super) fn push(stack: &mut Stack) {
    stack.push_table(0, 3);
    natives!(stack,
        b"pack" => pack,
        b"unpack" => unpack,
        b"size" => size,
    );
}

/// A format being read.
struct Format<'a> {
    left: &'a [u8],
    big_endian: bool,
    alignment: usize,
}

/// One option of a format.
struct Item {
    option: u8,
    /// Bytes that it takes; 0 for those that don't say and for those that take none.
    size: usize,
}

impl<'a> Format<'a> {
    /// The format in the first argument, up to its first zero.
    fn of(call: &mut Call<'a>) -> Result<Format<'a>, Raise> {
        // SAFETY: no function here removes its first argument.
        let text = unsafe { call.bytes_argument(1) }?;
        let end = memchr(0, text).unwrap_or(text.len());
        Ok(Format {
            left: &text[..end],
            big_endian: false,
            alignment: 1,
        })
    }

    fn next(&mut self, call: &mut Call<'_>) -> Result<Option<Item>, Raise> {
        let Some((&option, left)) = self.left.split_first() else {
            return Ok(None);
        };
        self.left = left;
        let size = match option {
            b'b' | b'B' | b'x' => 1,
            b'h' | b'H' => 2,
            b'f' => 4,
            b'l' | b'L' | b'T' | b'd' => 8,
            b'c' => self.number(call, 1)? as usize,
            b'i' | b'I' => {
                let size = self.number(call, 4)? as usize;
                if size > INTEGER_SIZE_MAX {
                    let text =
                        format!("integral size {size} is larger than limit of {INTEGER_SIZE_MAX}");
                    return Err(call.error(&text));
                }
                size
            }
            _ => 0,
        };
        Ok(Some(Item { option, size }))
    }

    /// A number of the format, never negative.
    fn number(&mut self, call: &mut Call<'_>, default: i32) -> Result<i32, Raise> {
        let digits = self.left.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return Ok(default);
        }
        let (digits, left) = self.left.split_at(digits);
        self.left = left;
        digits
            .iter()
            .try_fold(0i32, |number, digit| {
                number.checked_mul(10)?.checked_add(i32::from(digit - b'0'))
            })
            .ok_or_else(|| call.error("integral size overflow"))
    }

    /// How many bytes an item needs before it, so that it is aligned.
    fn padding(&self, at: usize, item: &Item) -> usize {
        if item.size == 0 || item.option == b'c' {
            return 0;
        }
        let size = item.size.min(self.alignment);
        size.wrapping_sub(at & (size - 1)) & (size - 1)
    }

    /// An option that takes no bytes.
    fn control(&mut self, call: &mut Call<'_>, option: u8) -> Result<(), Raise> {
        match option {
            b' ' => (),
            b'>' => self.big_endian = true,
            b'<' => self.big_endian = false,
            b'!' => {
                let alignment = self.number(call, ALIGNMENT_DEFAULT)?;
                if !alignment.cast_unsigned().is_power_of_two() {
                    let text = format!("alignment {alignment} is not a power of 2");
                    return Err(call.error(&text));
                }
                self.alignment = alignment as usize;
            }
            option => {
                let problem = [b"invalid format option '", [option].as_slice(), b"'"].concat();
                return Err(call.argument_error_bytes(1, &problem));
            }
        }
        Ok(())
    }
}

fn pack(call: &mut Call<'_>) -> NativeResult {
    let mut format = Format::of(call)?;
    let mut packed = Vec::new();
    let mut argument: c_int = 2;
    // What errors say of the first argument that is missing.
    call.reserve_or(1, "too many arguments")?;
    call.push_nil();
    let mut progress = Progress::default();
    while let Some(item) = format.next(call)? {
        progress.value(call, packed.len())?;
        let padding = format.padding(packed.len(), &item);
        packed.resize(packed.len() + padding, 0);
        match item.option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let number = call.number_argument(argument)?;
                append_integer(&mut packed, number, item.size, format.big_endian);
                argument += 1;
            }
            b'x' => packed.push(0),
            b'f' => {
                let bytes = (call.number_argument(argument)? as f32).to_le_bytes();
                append_ordered(&mut packed, bytes, format.big_endian);
                argument += 1;
            }
            b'd' => {
                let bytes = call.number_argument(argument)?.to_le_bytes();
                append_ordered(&mut packed, bytes, format.big_endian);
                argument += 1;
            }
            b'c' | b's' => {
                // SAFETY: no argument is removed.
                let text = unsafe { call.bytes_argument(argument) }?;
                argument += 1;
                let size = if item.size == 0 {
                    text.len()
                } else {
                    item.size
                };
                if text.len() < size {
                    return Err(call.argument_error(argument, "string too short"));
                }
                call.room(packed.len() + size)?;
                packed.extend_from_slice(&text[..size]);
                if item.option == b's' {
                    packed.push(0);
                }
            }
            option => format.control(call, option)?,
        }
    }
    call.push_bytes(&packed);
    Ok(1)
}

/// The low bytes of a number; what is beyond 8 bytes is zero, whatever the sign.
fn append_integer(packed: &mut Vec<u8>, number: f64, size: usize, big_endian: bool) {
    let bits = if number < 0.0 {
        crate::lua::native::to_integer(number).cast_unsigned()
    } else {
        to_unsigned(number)
    };
    let mut bytes = [0; INTEGER_SIZE_MAX];
    bytes[..8].copy_from_slice(&bits.to_le_bytes());
    let bytes = &mut bytes[..size];
    if big_endian {
        bytes.reverse();
    }
    packed.extend_from_slice(bytes);
}

fn append_ordered<const N: usize>(packed: &mut Vec<u8>, mut bytes: [u8; N], big_endian: bool) {
    if big_endian {
        bytes.reverse();
    }
    packed.extend_from_slice(&bytes);
}

fn unpack(call: &mut Call<'_>) -> NativeResult {
    let mut format = Format::of(call)?;
    // SAFETY: no argument is removed.
    let data = unsafe { call.bytes_argument(2) }?;
    let offset = if call.top() >= 3 && call.kind(3) != crate::lua::Kind::Nil {
        call.integer_argument(3)?
    } else {
        1
    };
    if offset == 0 {
        return Err(call.argument_error(3, "offset must be 1 or greater"));
    }
    // A negative one is beyond the end of any data.
    let mut at = offset.cast_unsigned().wrapping_sub(1) as usize;
    let mut results: c_int = 0;
    let mut progress = Progress::default();
    while let Some(item) = format.next(call)? {
        progress.value(call, 0)?;
        at = at.wrapping_add(format.padding(at, &item));
        let mut bytes = taken(call, data, at, item.size)?;
        call.reserve_or(2, "too many results")?;
        let number = match item.option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let signed = item.option.is_ascii_lowercase();
                Some(read_integer(bytes, signed, format.big_endian))
            }
            b'f' => Some(f64::from(f32::from_bits(
                read_bits(bytes, format.big_endian) as u32,
            ))),
            b'd' => Some(f64::from_bits(read_bits(bytes, format.big_endian))),
            _ => None,
        };
        if let Some(number) = number {
            call.push_number(number);
            results += 1;
            at += item.size;
            continue;
        }
        match item.option {
            b'x' => (),
            b'c' => {
                if item.size == 0 {
                    let size = match call.number(-1) {
                        Some(size) if results > 0 => to_unsigned(size) as usize,
                        _ => return Err(call.error("format 'c0' needs a previous size")),
                    };
                    call.pop(1);
                    results -= 1;
                    bytes = taken(call, data, at, size)?;
                }
                call.push_bytes(bytes);
                results += 1;
            }
            b's' => {
                let rest = &data[at..];
                let Some(end) = memchr(0, rest) else {
                    return Err(call.error("unfinished string in data"));
                };
                call.push_bytes(&rest[..end]);
                results += 1;
                bytes = &rest[..=end];
            }
            option => format.control(call, option)?,
        }
        at += bytes.len();
    }
    call.reserve_or(1, "too many results")?;
    call.push_number((at as u64).wrapping_add(1).cast_signed() as f64);
    Ok(results + 1)
}

fn taken<'a>(
    call: &mut Call<'_>,
    data: &'a [u8],
    at: usize,
    size: usize,
) -> Result<&'a [u8], Raise> {
    at.checked_add(size)
        .and_then(|end| data.get(at..end))
        .ok_or_else(|| call.argument_error(2, "data string too short"))
}

/// Up to 8 bytes as one number.
fn read_bits(bytes: &[u8], big_endian: bool) -> u64 {
    let add = |bits: u64, &byte: &u8| bits << 8 | u64::from(byte);
    if big_endian {
        bytes.iter().fold(0, add)
    } else {
        bytes.iter().rev().fold(0, add)
    }
}

/// Of more than 8 bytes the low ones count.
fn read_integer(bytes: &[u8], signed: bool, big_endian: bool) -> f64 {
    let bits = read_bits(bytes, big_endian);
    if !signed {
        return bits as f64;
    }
    // The shift wraps for sizes above 8, as it does for C on this processor.
    let sign = u64::MAX.wrapping_shl((bytes.len() as u32).wrapping_mul(8).wrapping_sub(1));
    let bits = if bits & sign == 0 { bits } else { bits | sign };
    bits.cast_signed() as f64
}

fn size(call: &mut Call<'_>) -> NativeResult {
    let mut format = Format::of(call)?;
    let mut at = 0usize;
    let mut progress = Progress::default();
    while let Some(item) = format.next(call)? {
        progress.value(call, 0)?;
        at = at.wrapping_add(format.padding(at, &item));
        if item.option == b's' {
            return Err(call.argument_error(1, "option 's' has no fixed size"));
        }
        if item.option == b'c' && item.size == 0 {
            return Err(call.argument_error(1, "option 'c0' has no fixed size"));
        }
        if !item.option.is_ascii_alphanumeric() {
            format.control(call, item.option)?;
        }
        at = at.wrapping_add(item.size);
    }
    call.push_number((at as u64).cast_signed() as f64);
    Ok(1)
}
