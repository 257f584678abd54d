//! Replies of commands as Lua values, and Lua values as replies, by Redis's rules of conversion.
//!
//! Both recurse as deep as the value is nested, up to [`DEPTH_MAX`]: a script's value nested deeper becomes an error in
//! its place, as in Redis where Lua's stack ends.

use std::ffi::c_int;

use crate::lua::{Call, Kind, Stack};
use crate::observe::stats::Stats;
use crate::resp::reply::{Aggregate, error_text};
use crate::resp::{Reply, Resp};
use crate::text::DoubleText;

/// How deep a value may be nested.
const DEPTH_MAX: u32 = 1000;

/// What an error's table says beside its text: that the error has been counted.
const IS_COUNTED: &[u8] = b"ignore_error_stats_update";

/// Pushes an error as scripts see it, a table with the field `err`. `text`: with its code, without the '-'.
pub(super) fn push_error(stack: &mut Stack, text: &[u8], is_counted: bool) {
    // Texts of Redis end at a zero byte; ours begin with a code, or get one.
    let text = trim_line_ends(text);
    stack.push_table(0, 2);
    if memchr::memchr(b' ', text).is_some() {
        stack.push_bytes(text);
    } else {
        stack.push_bytes(&[b"ERR ", text].concat());
    }
    stack.raw_set_field(-2, b"err");
    if is_counted {
        stack.push_boolean(true);
        stack.raw_set_field(-2, IS_COUNTED);
    }
}

fn trim_line_ends(text: &[u8]) -> &[u8] {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let start = text.iter().take_while(|byte| is_end(byte)).count();
    let end = text.iter().rev().take_while(|byte| is_end(byte)).count();
    text.get(start..text.len() - end.min(text.len() - start))
        .unwrap_or_default()
}

/// Bytes of a reply that was written here are well formed; this is what is wrong where they aren't.
#[derive(Debug)]
pub(super) struct Malformed;

/// A reply's bytes, read value by value.
struct Replied<'a>(&'a [u8]);

impl<'a> Replied<'a> {
    /// The tag and the rest of the line.
    fn line(&mut self) -> Result<(u8, &'a [u8]), Malformed> {
        let end = memchr::memchr(b'\r', self.0).ok_or(Malformed)?;
        let (line, rest) = self.0.split_at(end);
        self.0 = rest.get(2..).ok_or(Malformed)?;
        let (tag, text) = line.split_first().ok_or(Malformed)?;
        Ok((*tag, text))
    }

    fn bulk(&mut self, length: &[u8]) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(number(length)?).map_err(|_| Malformed)?;
        let bytes = self.0.get(..length).ok_or(Malformed)?;
        self.0 = self.0.get(length + 2..).ok_or(Malformed)?;
        Ok(bytes)
    }
}

#[inline]
fn number(text: &[u8]) -> Result<i64, Malformed> {
    // Almost all are lengths of one digit.
    match text {
        [digit @ b'0'..=b'9'] => Ok(i64::from(digit - b'0')),
        text => crate::text::parse_int(text).ok_or(Malformed),
    }
}

/// Pushes the value of a reply. An error's table says that it has been counted. True: it is an error.
pub(super) fn push_reply(stack: &mut Stack, bytes: &[u8]) -> Result<bool, Malformed> {
    let mut replied = Replied(bytes);
    push_value(stack, &mut replied)?;
    Ok(bytes.first() == Some(&b'-'))
}

fn push_value(stack: &mut Stack, replied: &mut Replied<'_>) -> Result<(), Malformed> {
    if !stack.reserve(5) {
        return Err(Malformed);
    }
    let (tag, text) = replied.line()?;
    match tag {
        // SAFETY: there is room.
        b':' => unsafe { stack.push_number_in_room(number(text)? as f64) },
        b'$' if text == b"-1" => stack.push_boolean(false),
        // SAFETY: there is room.
        b'$' => unsafe { stack.push_bytes_in_room(replied.bulk(text)?) },
        b'+' => push_field(stack, b"ok", text),
        b'-' => push_error(stack, text, true),
        b'*' if text == b"-1" => stack.push_boolean(false),
        b'*' | b'>' => push_array(stack, replied, number(text)?)?,
        b'%' => {
            stack.push_table(0, 1);
            push_map(stack, replied, number(text)?)?;
            stack.raw_set_field(-2, b"map");
        }
        b'~' => {
            stack.push_table(0, 1);
            push_set(stack, replied, number(text)?)?;
            stack.raw_set_field(-2, b"set");
        }
        b'_' => stack.push_nil(),
        b'#' => stack.push_boolean(text == b"t"),
        b',' => {
            stack.push_table(0, 1);
            stack.push_number(double(text)?);
            stack.raw_set_field(-2, b"double");
        }
        b'(' => push_field(stack, b"big_number", text),
        b'|' => {
            // Attributes are for clients; what they are about follows.
            for _ in 0..number(text)?.checked_mul(2).ok_or(Malformed)? {
                push_value(stack, replied)?;
                stack.pop(1);
            }
            push_value(stack, replied)?;
        }
        b'=' => {
            let bytes = replied.bulk(text)?;
            let (format, text) = bytes.split_at_checked(4).ok_or(Malformed)?;
            stack.push_table(0, 1);
            stack.push_table(0, 2);
            stack.push_bytes(text);
            stack.raw_set_field(-2, b"string");
            stack.push_bytes(&format[..3]);
            stack.raw_set_field(-2, b"format");
            stack.raw_set_field(-2, b"verbatim_string");
        }
        _ => return Err(Malformed),
    }
    Ok(())
}

/// Pushes a table of one field, for which there is room.
fn push_field(stack: &mut Stack, name: &[u8], text: &[u8]) {
    // SAFETY: `push_value` has asked for room; the table is there, and the key is a string.
    unsafe {
        stack.push_table_in_room(0, 1);
        stack.push_bytes_in_room(name);
        stack.push_bytes_in_room(text);
        stack.raw_set_known(-3);
    }
}

fn double(text: &[u8]) -> Result<f64, Malformed> {
    let text = std::str::from_utf8(text).map_err(|_| Malformed)?;
    text.parse().map_err(|_| Malformed)
}

fn push_array(stack: &mut Stack, replied: &mut Replied<'_>, count: i64) -> Result<(), Malformed> {
    let count = usize::try_from(count).map_err(|_| Malformed)?;
    // Each takes a few bytes, whatever the head says.
    stack.push_table(count.min(replied.0.len()), 0);
    let mut has_nil = false;
    for element in 1..=count {
        has_nil |= replied.0.first() == Some(&b'_');
        push_value(stack, replied)?;
        let element = c_int::try_from(element).map_err(|_| Malformed)?;
        // SAFETY: the table is below the value.
        unsafe { stack.raw_set_index_known(-2, element) };
    }
    if has_nil {
        grow_again(stack, count);
    }
    Ok(())
}

/// Replaces the list on top by one that has grown as it was filled, as in Redis: the length of one with nils in it
/// depends on that.
#[cold]
fn grow_again(stack: &mut Stack, count: usize) {
    stack.push_table(0, 0);
    for element in (1..).take(count) {
        stack.raw_get_index(-2, element);
        stack.raw_set_index(-2, element);
    }
    stack.remove(-2);
}

fn push_map(stack: &mut Stack, replied: &mut Replied<'_>, count: i64) -> Result<(), Malformed> {
    let count = usize::try_from(count).map_err(|_| Malformed)?;
    // It grows as it is filled, as in Redis: the order that `pairs` gives depends on it.
    stack.push_table(0, 0);
    for _ in 0..count {
        push_value(stack, replied)?;
        push_value(stack, replied)?;
        set_if_key(stack);
    }
    Ok(())
}

fn push_set(stack: &mut Stack, replied: &mut Replied<'_>, count: i64) -> Result<(), Malformed> {
    let count = usize::try_from(count).map_err(|_| Malformed)?;
    stack.push_table(0, 0);
    for _ in 0..count {
        push_value(stack, replied)?;
        stack.push_boolean(true);
        set_if_key(stack);
    }
    Ok(())
}

/// Sets the pair on top, unless Lua has no such key (a null).
fn set_if_key(stack: &mut Stack) {
    if stack.kind(-2) == Kind::Nil {
        stack.pop(2);
    } else {
        stack.raw_set(-3);
    }
}

/// An error value that a script ended with, or gives back.
#[derive(Debug, Default)]
pub(super) struct ErrorValue {
    pub(super) text: Vec<u8>,
    pub(super) source: Option<Vec<u8>>,
    pub(super) line: Option<i64>,
    pub(super) is_counted: bool,
}

impl ErrorValue {
    /// Reads the value on top, which stays: an error's table.
    pub(super) fn read(stack: &mut Stack) -> ErrorValue {
        let mut error = ErrorValue::default();
        if !stack.reserve(3) {
            return error;
        }
        error.text = field(stack, b"err").unwrap_or_else(|| b"ERR unknown error".to_vec());
        error.source = field(stack, b"source");
        stack.raw_get_field(-1, b"line");
        error.line = stack.number(-1).map(|line| line as i64);
        stack.pop(1);
        stack.raw_get_field(-1, IS_COUNTED);
        error.is_counted = stack.boolean(-1);
        stack.pop(1);
        error
    }
}

/// A field of the table on top: a string's bytes, or a number's.
fn field(stack: &mut Stack, name: &[u8]) -> Option<Vec<u8>> {
    stack.raw_get_field(-1, name);
    let bytes = stack.coerced_bytes(-1).map(<[u8]>::to_vec);
    stack.pop(1);
    bytes
}

/// Where a script's value goes.
pub(super) struct Answer<'a> {
    pub(super) reply: &'a mut Reply,
    pub(super) stats: &'a Stats,
    /// What the script speaks: booleans are themselves in RESP3 only.
    pub(super) script_resp: Resp,
    /// How deep what is written is nested.
    pub(super) depth: u32,
}

impl Answer<'_> {
    /// Writes an error with its code, and counts it if nobody has.
    pub(super) fn error(&mut self, text: &[u8], is_counted: bool) {
        let end = memchr::memchr(0, text).unwrap_or(text.len());
        let text = error_text(trim_line_ends(&text[..end]));
        if !is_counted {
            self.stats.count_error(&text);
        }
        self.reply.error(&text);
    }

    /// Writes the value on top, and pops it.
    pub(super) fn value(&mut self, stack: &mut Stack) {
        if self.depth == DEPTH_MAX || !stack.reserve(6) {
            self.error(b"ERR reached lua stack limit", false);
            stack.pop(1);
            return;
        }
        match stack.kind(-1) {
            Kind::String => {
                let bytes = stack.bytes(-1).unwrap_or_default();
                self.reply.bulk(bytes);
            }
            Kind::Boolean => match (self.script_resp, stack.boolean(-1)) {
                (Resp::V2, true) => self.reply.int(1),
                (Resp::V2, false) => self.reply.null(),
                (Resp::V3, value) => self.reply.boolean(value),
            },
            Kind::Number => self.reply.int(whole(stack.number(-1).unwrap_or_default())),
            Kind::Table => {
                self.depth += 1;
                self.table(stack);
                self.depth -= 1;
            }
            _ => self.reply.null(),
        }
        stack.pop(1);
    }

    /// Writes the table on top: what it stands for, or a list.
    fn table(&mut self, stack: &mut Stack) {
        let is_text = |kind| kind == Kind::String;
        if has_field(stack, b"err", is_text) {
            stack.pop(1);
            let error = ErrorValue::read(stack);
            self.error(&error.text, error.is_counted);
        } else if has_field(stack, b"ok", is_text) {
            self.line(b'+', stack.bytes(-1).unwrap_or_default());
            stack.pop(1);
        } else if has_field(stack, b"double", |kind| kind == Kind::Number) {
            self.reply.double(stack.number(-1).unwrap_or_default());
            stack.pop(1);
        } else if has_field(stack, b"big_number", is_text) {
            let text = stack.bytes(-1).unwrap_or_default();
            match self.reply.resp {
                Resp::V2 => self.reply.bulk(&one_line(text)),
                Resp::V3 => self.line(b'(', text),
            }
            stack.pop(1);
        } else if has_field(stack, b"verbatim_string", |kind| kind == Kind::Table) {
            if !self.verbatim(stack) {
                stack.pop(1);
                self.list(stack);
                return;
            }
            stack.pop(1);
        } else if has_field(stack, b"map", |kind| kind == Kind::Table) {
            self.pairs(stack, Aggregate::Map);
            stack.pop(1);
        } else if has_field(stack, b"set", |kind| kind == Kind::Table) {
            self.pairs(stack, Aggregate::Set);
            stack.pop(1);
        } else {
            self.list(stack);
        }
    }

    /// A line of text, whose line ends become spaces.
    fn line(&mut self, tag: u8, text: &[u8]) {
        self.reply.raw(&[tag]);
        self.reply.raw(&one_line(text));
        self.reply.raw(b"\r\n");
    }

    /// Writes the verbatim string whose table is on top. False: it isn't one.
    fn verbatim(&mut self, stack: &mut Stack) -> bool {
        let (Some(format), Some(text)) =
            (text_field(stack, b"format"), text_field(stack, b"string"))
        else {
            return false;
        };
        match self.reply.resp {
            Resp::V2 => self.reply.bulk(&text),
            Resp::V3 => {
                // Three bytes, whatever the script gave.
                let mut three = [b' '; 3];
                for (to, from) in three.iter_mut().zip(one_line(&format)) {
                    *to = from;
                }
                let head = format!("={}\r\n", text.len() + 4);
                self.reply.raw(head.as_bytes());
                self.reply.raw(&three);
                self.reply.raw(b":");
                self.reply.raw(&text);
                self.reply.raw(b"\r\n");
            }
        }
        true
    }

    /// Writes the keys of the table on top, with their values if it is a map.
    fn pairs(&mut self, stack: &mut Stack, kind: Aggregate) {
        let mark = self.reply.begin();
        let mut count = 0;
        stack.push_nil();
        while stack.next(-2) {
            // Table, key, value: the key is copied, since writing takes what it writes.
            if kind == Aggregate::Map {
                stack.push_value(-2);
                self.value(stack);
                self.value(stack);
            } else {
                stack.pop(1);
                stack.push_value(-1);
                self.value(stack);
            }
            count += 1;
        }
        self.reply.end(mark, kind, count);
    }

    /// Writes the elements of the table on top, up to the first nil.
    fn list(&mut self, stack: &mut Stack) {
        let mut count = 0;
        let mark = self.reply.begin();
        for element in 1..c_int::MAX {
            stack.raw_get_index(-1, element);
            if stack.kind(-1) == Kind::Nil {
                stack.pop(1);
                break;
            }
            self.value(stack);
            count += 1;
            if self.reply.is_over_limit() {
                break;
            }
        }
        self.reply.end(mark, Aggregate::Array, count);
    }
}

/// Pushes a field of the table on top if it is of such a kind.
fn has_field(stack: &mut Stack, name: &[u8], is_it: impl Fn(Kind) -> bool) -> bool {
    stack.raw_get_field(-1, name);
    if is_it(stack.kind(-1)) {
        return true;
    }
    stack.pop(1);
    false
}

/// A field of the table on top that is a string.
fn text_field(stack: &mut Stack, name: &[u8]) -> Option<Vec<u8>> {
    let is_text = has_field(stack, name, |kind| kind == Kind::String);
    is_text.then(|| {
        let text = stack.bytes(-1).unwrap_or_default().to_vec();
        stack.pop(1);
        text
    })
}

fn one_line(text: &[u8]) -> Vec<u8> {
    let one = |byte: &u8| match byte {
        b'\r' | b'\n' => b' ',
        byte => *byte,
    };
    text.iter().map(one).collect()
}

/// A number as the integer that Redis replies: cut off, and what has none is the smallest.
fn whole(number: f64) -> i64 {
    // As the conversion of x86 processors.
    if number >= -(2f64.powi(63)) && number < 2f64.powi(63) {
        number as i64
    } else {
        i64::MIN
    }
}

/// The arguments of a call as texts, numbers in Redis's form; they live as long as they are on the stack.
#[derive(Default)]
pub(super) struct Arguments<'a> {
    /// Empty in the places of numbers.
    strings: Texts<'a>,
    /// Not made strings on the stack, which may be full.
    numbers: smallvec::SmallVec<[(usize, DoubleText); 2]>,
}

/// What most commands' arguments fit into.
pub(super) type Texts<'a> = smallvec::SmallVec<[&'a [u8]; 8]>;

impl<'a> Arguments<'a> {
    /// False: one is neither a string nor a number.
    ///
    /// # Safety
    ///
    /// The arguments stay on the stack as long as this is used.
    #[must_use]
    pub(super) unsafe fn read(&mut self, call: &Call<'_>) -> bool {
        for index in 1..=call.top() {
            match call.kind(index) {
                // SAFETY: the caller's promise.
                Kind::String => self.strings.push(unsafe { call.known_bytes(index) }),
                Kind::Number => {
                    let number = call.number(index).unwrap_or_default();
                    let place = (self.strings.len(), DoubleText::new(number));
                    self.numbers.push(place);
                    self.strings.push(b"");
                }
                _ => return false,
            }
        }
        true
    }

    /// All of them. `room`: where they are put together if there are numbers.
    #[inline]
    pub(super) fn texts<'t: 'r, 'r>(&'t self, room: &'r mut Texts<'t>) -> &'r [&'t [u8]] {
        if self.numbers.is_empty() {
            return &self.strings;
        }
        room.extend_from_slice(&self.strings);
        for (place, number) in &self.numbers {
            room[*place] = number.as_bytes();
        }
        room
    }
}
