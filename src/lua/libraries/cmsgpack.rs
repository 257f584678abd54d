//! `cmsgpack`: values as MessagePack.

use std::ffi::c_int;

use super::{Progress, natives, set_text, to_int};
use crate::lua::native::to_integer;
use crate::lua::{Call, Kind, NativeResult, Raise, Stack};

/// Tables in tables that are packed; deeper ones become nil.
const NESTING_MAX: usize = 16;

pub(super) fn push(stack: &mut Stack) {
    stack.push_table(0, 8);
    natives!(stack,
        b"pack" => pack,
        b"unpack" => unpack,
        b"unpack_one" => unpack_one,
        b"unpack_limit" => unpack_limit,
    );
    set_text(stack, b"_NAME", b"cmsgpack");
    set_text(stack, b"_VERSION", b"lua-cmsgpack 0.4.0");
    let copyright = b"Copyright (C) 2012, Salvatore Sanfilippo";
    set_text(stack, b"_COPYRIGHT", copyright);
    let description = b"MessagePack C implementation for Lua";
    set_text(stack, b"_DESCRIPTION", description);
}

/// All arguments, one after the other.
fn pack(call: &mut Call<'_>) -> NativeResult {
    let arguments = call.top();
    if arguments == 0 {
        return Err(call.argument_error(0, "MessagePack pack needs input."));
    }
    if !call.reserve(arguments) {
        return Err(call.argument_error(0, "Too many arguments for MessagePack pack."));
    }
    let mut packer = Packer {
        packed: Vec::new(),
        progress: Progress::default(),
    };
    for argument in 1..=arguments {
        call.reserve_or(1, "in function mp_check")?;
        call.push_value(argument);
        packer.value(call, 0)?;
    }
    call.push_bytes(&packer.packed);
    Ok(1)
}

struct Packer {
    packed: Vec<u8>,
    progress: Progress,
}

impl Packer {
    /// Packs the value on top, and pops it.
    fn value(&mut self, call: &mut Call<'_>, level: usize) -> Result<(), Raise> {
        self.progress.value(call, self.packed.len())?;
        match call.kind(-1) {
            Kind::String => {
                let length = call.raw_len(-1);
                call.room(self.packed.len() + length)?;
                append_string(&mut self.packed, call.bytes(-1).unwrap_or_default());
            }
            Kind::Boolean => {
                let byte = if call.boolean(-1) { 0xc3 } else { 0xc2 };
                self.packed.push(byte);
            }
            Kind::Number => append_number(&mut self.packed, call.number(-1).unwrap_or_default()),
            Kind::Table if level < NESTING_MAX => self.table(call, level)?,
            _ => self.packed.push(0xc0),
        }
        call.pop(1);
        Ok(())
    }

    /// Packs the table on top.
    fn table(&mut self, call: &mut Call<'_>, level: usize) -> Result<(), Raise> {
        call.reserve_or(4, "in function table_is_an_array")?;
        if call.push_behind(-1) {
            call.replace(-2);
        }
        let (entries, is_list) = self.count(call)?;
        let table = call.top();
        if is_list {
            append_size(&mut self.packed, entries, 0x90, 0xdc);
            for element in 1..=entries {
                call.raw_get_index(table, element as c_int);
                self.value(call, level + 1)?;
            }
            return Ok(());
        }
        append_size(&mut self.packed, entries, 0x80, 0xde);
        call.push_nil();
        while call.next(table) {
            call.push_value(-2);
            self.value(call, level + 1)?;
            self.value(call, level + 1)?;
        }
        Ok(())
    }

    /// How many entries the table on top has, and whether their keys are the numbers from 1 to that.
    fn count(&mut self, call: &mut Call<'_>) -> Result<(usize, bool), Raise> {
        let table = call.top();
        let mut entries = 0usize;
        let mut largest = 0;
        let mut is_list = true;
        call.push_nil();
        while call.next(table) {
            call.pop(1);
            entries += 1;
            self.progress.value(call, self.packed.len())?;
            if !is_list {
                continue;
            }
            let key = (call.kind(-1) == Kind::Number).then(|| call.number(-1));
            match key.flatten() {
                Some(key) if key > 0.0 && f64::from(to_int(key)) == key => {
                    largest = largest.max(to_int(key));
                }
                _ => is_list = false,
            }
        }
        Ok((entries, is_list && largest as usize == entries))
    }
}

fn append_string(packed: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        length @ 0..32 => packed.push(0xa0 | length as u8),
        length @ 32..=0xff => packed.extend_from_slice(&[0xd9, length as u8]),
        length @ 0x100..=0xffff => {
            packed.push(0xda);
            packed.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            packed.push(0xdb);
            packed.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
    packed.extend_from_slice(text);
}

/// The head of a list or map: a short form, and one with 16 bits that the one with 32 bits follows.
fn append_size(packed: &mut Vec<u8>, entries: usize, short: u8, long: u8) {
    match entries {
        0..=15 => packed.push(short | entries as u8),
        16..=0xffff => {
            packed.push(long);
            packed.extend_from_slice(&(entries as u16).to_be_bytes());
        }
        _ => {
            packed.push(long + 1);
            packed.extend_from_slice(&(entries as u32).to_be_bytes());
        }
    }
}

/// An integer if it is one of 64 bits, or else the smallest float that holds it.
fn append_number(packed: &mut Vec<u8>, number: f64) {
    let integer = to_integer(number);
    if integer as f64 == number {
        append_integer(packed, integer);
    } else if f64::from(number as f32) == number {
        packed.push(0xca);
        packed.extend_from_slice(&(number as f32).to_be_bytes());
    } else {
        packed.push(0xcb);
        packed.extend_from_slice(&number.to_be_bytes());
    }
}

fn append_integer(packed: &mut Vec<u8>, number: i64) {
    // Its low bytes, in order.
    let bytes = number.to_be_bytes();
    let (head, size) = match number {
        -32..=0x7f => return packed.push(bytes[7]),
        0x80..=0xff => (0xcc, 1),
        0x100..=0xffff => (0xcd, 2),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        0x1_0000_0000.. => (0xcf, 8),
        -0x80..=-33 => (0xd0, 1),
        -0x8000..=-0x81 => (0xd1, 2),
        -0x8000_0000..=-0x8001 => (0xd2, 4),
        _ => (0xd3, 8),
    };
    packed.push(head);
    packed.extend_from_slice(&bytes[8 - size..]);
}

fn unpack(call: &mut Call<'_>) -> NativeResult {
    unpack_some(call, 0, 0)
}

fn unpack_one(call: &mut Call<'_>) -> NativeResult {
    let offset = optional_integer(call, 2)?;
    keep_first(call);
    unpack_some(call, 1, offset)
}

fn unpack_limit(call: &mut Call<'_>) -> NativeResult {
    let limit = call.integer_argument(2)?;
    let offset = optional_integer(call, 3)?;
    keep_first(call);
    unpack_some(call, limit, offset)
}

fn optional_integer(call: &mut Call<'_>, argument: c_int) -> Result<i64, Raise> {
    match call.kind(argument) {
        Kind::None | Kind::Nil => Ok(0),
        _ => call.integer_argument(argument),
    }
}

fn keep_first(call: &mut Call<'_>) {
    let others = call.top() - 1;
    call.pop(others.max(0));
}

/// Unpacks at most so many values from an offset on, with the offset of the rest before them; all of them, and nothing
/// before them, if both are 0.
fn unpack_some(call: &mut Call<'_>, limit: i64, offset: i64) -> NativeResult {
    // SAFETY: the first argument stays where it is.
    let input = unsafe { call.bytes_argument(1) }?;
    if offset < 0 || limit < 0 {
        let text = format!(
            "Invalid request to unpack with offset of {} and limit of {}.",
            offset as i32,
            input.len() as i32
        );
        return Err(call.error(&text));
    }
    if offset as usize > input.len() {
        let text = format!(
            "Start offset {} greater than input length {}.",
            offset as i32,
            input.len() as i32
        );
        return Err(call.error(&text));
    }
    let all = limit == 0 && offset == 0;
    let limit = if all { i64::from(i32::MAX) } else { limit };
    let mut unpacker = Unpacker {
        left: &input[offset as usize..],
        progress: Progress::default(),
        open: Vec::new(),
    };
    let mut results = 0;
    while !unpacker.left.is_empty() && i64::from(results) < limit {
        match unpacker.value(call)? {
            Ok(()) => results += 1,
            Err(Invalid::Short) => return Err(call.error("Missing bytes in input.")),
            Err(Invalid::Format) => return Err(call.error("Bad data format in input.")),
        }
    }
    if all {
        return Ok(results);
    }
    call.reserve_or(1, "in function mp_unpack_full")?;
    let next = input.len() - unpacker.left.len();
    call.push_number(if unpacker.left.is_empty() {
        -1.0
    } else {
        next as f64
    });
    call.insert(2);
    Ok(results + 1)
}

/// What is wrong with an input.
enum Invalid {
    Short,
    Format,
}

/// A table that is being filled: its parts that are missing.
struct Open {
    missing: usize,
    /// The number of the next element; none in a map, where keys and values take turns.
    element: Option<usize>,
}

struct Unpacker<'a> {
    left: &'a [u8],
    progress: Progress,
    open: Vec<Open>,
}

/// What comes next in the input.
enum Part<'a> {
    Nil,
    Boolean(bool),
    Number(f64),
    String(&'a [u8]),
    List(usize),
    Map(usize),
}

impl<'a> Unpacker<'a> {
    /// Pushes the next value, with all that is in it.
    fn value(&mut self, call: &mut Call<'_>) -> Result<Result<(), Invalid>, Raise> {
        loop {
            self.progress.value(call, 0)?;
            let part = match self.part_with_room(call)? {
                Ok(part) => part,
                Err(invalid) => return Ok(Err(invalid)),
            };
            let opened = match part {
                Part::Nil => {
                    call.push_nil();
                    false
                }
                Part::Boolean(value) => {
                    call.push_boolean(value);
                    false
                }
                Part::Number(number) => {
                    // SAFETY: `part_with_room` has asked for room.
                    unsafe { call.push_number_in_room(number) };
                    false
                }
                Part::String(text) => {
                    // SAFETY: as above.
                    unsafe { call.push_bytes_in_room(text) };
                    false
                }
                Part::List(length) => self.open(call, length, Some(1))?,
                Part::Map(length) => self.open(call, length * 2, None)?,
            };
            if !opened && self.close(call)? {
                return Ok(Ok(()));
            }
        }
    }

    fn part_with_room(&mut self, call: &mut Call<'_>) -> Result<Result<Part<'a>, Invalid>, Raise> {
        if self.left.is_empty() {
            return Ok(Err(Invalid::Short));
        }
        call.reserve_or(
            1,
            "too many return values at once; use unpack_one or unpack_limit instead.",
        )?;
        Ok(self.part())
    }

    /// Pushes an empty table; false if it stays so.
    fn open(
        &mut self,
        call: &mut Call<'_>,
        missing: usize,
        element: Option<usize>,
    ) -> Result<bool, Raise> {
        call.push_table(0, 0);
        if element.is_some() {
            call.reserve_or(1, "in function mp_decode_to_lua_array")?;
        }
        if missing == 0 {
            return Ok(false);
        }
        if element.is_some() {
            // The number of an element is on the stack before it, or what fits there would differ.
            call.push_number(1.0);
        }
        self.open.push(Open { missing, element });
        Ok(true)
    }

    /// Puts the value on top where it belongs; true if it belongs nowhere.
    fn close(&mut self, call: &mut Call<'_>) -> Result<bool, Raise> {
        while let Some(open) = self.open.last_mut() {
            open.missing -= 1;
            if let Some(element) = &mut open.element {
                call.raw_set(-3);
                *element += 1;
                if open.missing > 0 {
                    let number = *element as f64;
                    call.push_number(number);
                    return Ok(false);
                }
            } else {
                // An even number is missing: what is on top is a value.
                if open.missing % 2 == 0 {
                    check_key(call)?;
                    call.raw_set(-3);
                }
                if open.missing > 0 {
                    return Ok(false);
                }
            }
            self.open.pop();
        }
        Ok(true)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Invalid> {
        let (taken, left) = self.left.split_at_checked(length).ok_or(Invalid::Short)?;
        self.left = left;
        Ok(taken)
    }

    /// A number of so many bytes.
    fn unsigned(&mut self, size: usize) -> Result<u64, Invalid> {
        let bytes = self.take(size)?;
        Ok(bytes.iter().fold(0, |n, &b| n << 8 | u64::from(b)))
    }

    fn string(&mut self, length: usize) -> Result<Part<'a>, Invalid> {
        Ok(Part::String(self.take(length)?))
    }

    fn part(&mut self) -> Result<Part<'a>, Invalid> {
        let head = self.take(1)?[0];
        let number = |n: i64| Ok(Part::Number(n as f64));
        match head {
            0..=0x7f => number(i64::from(head)),
            0x80..=0x8f => Ok(Part::Map(usize::from(head & 0xf))),
            0x90..=0x9f => Ok(Part::List(usize::from(head & 0xf))),
            0xa0..=0xbf => self.string(usize::from(head & 0x1f)),
            0xc0 => Ok(Part::Nil),
            0xc2 => Ok(Part::Boolean(false)),
            0xc3 => Ok(Part::Boolean(true)),
            0xca => {
                let bits = self.unsigned(4)? as u32;
                Ok(Part::Number(f64::from(f32::from_bits(bits))))
            }
            0xcb => Ok(Part::Number(f64::from_bits(self.unsigned(8)?))),
            // Those of 64 bits are read as signed ones.
            0xcc..=0xcf => number(self.unsigned(1 << (head - 0xcc))?.cast_signed()),
            0xd0 => number(i64::from(self.unsigned(1)? as i8)),
            0xd1 => number(i64::from(self.unsigned(2)? as i16)),
            0xd2 => number(i64::from(self.unsigned(4)? as i32)),
            0xd3 => number(self.unsigned(8)?.cast_signed()),
            0xd9..=0xdb => {
                let length = self.unsigned(1 << (head - 0xd9))? as usize;
                self.string(length)
            }
            0xdc | 0xdd => Ok(Part::List(self.unsigned(2 << (head - 0xdc))? as usize)),
            0xde | 0xdf => Ok(Part::Map(self.unsigned(2 << (head - 0xde))? as usize)),
            0xe0..=0xff => number(i64::from(head.cast_signed())),
            _ => Err(Invalid::Format),
        }
    }
}

/// A key below the top that no table can have is an error, in Lua's words.
fn check_key(call: &mut Call<'_>) -> Result<(), Raise> {
    match call.kind(-2) {
        Kind::Nil => Err(Raise::text("table index is nil")),
        Kind::Number if call.number(-2).is_none_or(f64::is_nan) => {
            Err(Raise::text("table index is NaN"))
        }
        _ => Ok(()),
    }
}
