//! Values to JSON. Tables in tables are kept in a list, not in the processor's stack.

use std::ffi::c_int;

use super::{InvalidNumbers, Settings, settings};
use crate::lua::libraries::{Progress, number_text, to_int};
use crate::lua::{Call, Kind, NativeResult, Raise};

/// The largest buffer that is kept for the next time, bytes.
const BUFFER_KEPT_MAX: usize = 1 << 16;

/// Output after which memory is looked at, bytes.
const TEXT_PER_CHECK: usize = 1 << 16;

pub(super) fn encode(call: &mut Call<'_>) -> NativeResult {
    if call.top() != 1 {
        return Err(call.argument_error(1, "expected 1 argument"));
    }
    let settings = settings(call);
    let mut text = if settings.keep_buffer {
        call.shared().json_buffer.take()
    } else {
        Vec::new()
    };
    text.clear();
    let mut encoder = Encoder {
        text,
        settings,
        open: Vec::new(),
        progress: Progress::default(),
        checked: 0,
    };
    let outcome = encoder.all(call);
    let text = encoder.text;
    if outcome.is_ok() {
        call.push_bytes(&text);
    }
    if settings.keep_buffer && text.capacity() <= BUFFER_KEPT_MAX {
        call.shared().json_buffer.set(text);
    }
    outcome.map(|()| 1)
}

/// A table that is being written; it is on the stack, and above it the key if it is an object.
enum Open {
    List { next: c_int, length: c_int },
    Object { first: bool },
}

struct Encoder {
    text: Vec<u8>,
    settings: Settings,
    open: Vec<Open>,
    progress: Progress,
    /// The length of the text when memory was last looked at.
    checked: usize,
}

/// Bytes of strings that need an escape.
static ESCAPED: [bool; 256] = {
    let mut escaped = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        escaped[byte] = true;
        byte += 1;
    }
    escaped[b'"' as usize] = true;
    escaped[b'\\' as usize] = true;
    escaped[b'/' as usize] = true;
    escaped[0x7f] = true;
    escaped
};

impl Encoder {
    /// Writes the value on top, and pops it.
    fn all(&mut self, call: &mut Call<'_>) -> Result<(), Raise> {
        self.value(call)?;
        while let Some(open) = self.open.last_mut() {
            self.progress.value(call, self.text.len())?;
            match open {
                Open::List { next, length } if *next <= *length => {
                    if *next > 1 {
                        self.text.push(b',');
                    }
                    call.raw_get_index(-1, *next);
                    *next += 1;
                    self.value(call)?;
                }
                Open::List { .. } => {
                    self.text.push(b']');
                    self.open.pop();
                    call.pop(1);
                }
                Open::Object { first } => {
                    let was_first = std::mem::replace(first, false);
                    if call.next(-2) {
                        if !was_first {
                            self.text.push(b',');
                        }
                        self.key(call)?;
                        self.value(call)?;
                    } else {
                        self.text.push(b'}');
                        self.open.pop();
                        call.pop(1);
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes the value on top, and pops it; of a table only the beginning, and it stays.
    fn value(&mut self, call: &mut Call<'_>) -> Result<(), Raise> {
        match call.kind(-1) {
            Kind::String => self.string(call, -1)?,
            Kind::Number => self.number(call, -1)?,
            Kind::Boolean => {
                let text: &[u8] = if call.boolean(-1) { b"true" } else { b"false" };
                self.text.extend_from_slice(text);
            }
            Kind::Table => return self.table(call),
            Kind::Nil => self.text.extend_from_slice(b"null"),
            Kind::LightUserdata if call.userdata(-1).is_null() => {
                self.text.extend_from_slice(b"null");
            }
            _ => return Err(failure(call, -1, "type not supported")),
        }
        call.pop(1);
        Ok(())
    }

    /// Begins the table on top.
    fn table(&mut self, call: &mut Call<'_>) -> Result<(), Raise> {
        let depth = self.open.len() + 1;
        if depth > self.settings.encode_depth_max as usize || !call.reserve(3) {
            let text = format!("Cannot serialise, excessive nesting ({depth})");
            return Err(call.error(&text));
        }
        if call.push_behind(-1) {
            call.replace(-2);
        }
        let length = self.list_length(call)?;
        if length > 0 {
            self.text.push(b'[');
            self.open.push(Open::List { next: 1, length });
        } else {
            self.text.push(b'{');
            call.push_nil();
            self.open.push(Open::Object { first: true });
        }
        Ok(())
    }

    /// The length of the table on top as a list; not above 0 for what is to be an object.
    fn list_length(&mut self, call: &mut Call<'_>) -> Result<c_int, Raise> {
        let (mut largest, mut elements): (c_int, c_int) = (0, 0);
        call.push_nil();
        while call.next(-2) {
            let key = match call.kind(-2) {
                Kind::Number => call.number(-2).unwrap_or_default(),
                _ => 0.0,
            };
            if key < 1.0 || key.floor() != key {
                call.pop(2);
                return Ok(-1);
            }
            if key > f64::from(largest) {
                largest = to_int(key);
            }
            elements = elements.wrapping_add(1);
            call.pop(1);
            self.progress.value(call, self.text.len())?;
        }
        let settings = &self.settings;
        if settings.sparse_ratio > 0
            && largest > elements.wrapping_mul(settings.sparse_ratio)
            && largest > settings.sparse_safe
        {
            if settings.sparse_convert {
                return Ok(-1);
            }
            return Err(failure(call, -1, "excessively sparse array"));
        }
        Ok(largest)
    }

    /// Writes the key below the top, with its colon.
    fn key(&mut self, call: &mut Call<'_>) -> Result<(), Raise> {
        match call.kind(-2) {
            Kind::Number => {
                self.text.push(b'"');
                self.number(call, -2)?;
                self.text.extend_from_slice(b"\":");
            }
            Kind::String => {
                self.string(call, -2)?;
                self.text.push(b':');
            }
            _ => return Err(failure(call, -2, "table key must be a number or string")),
        }
        Ok(())
    }

    fn number(&mut self, call: &mut Call<'_>, index: c_int) -> Result<(), Raise> {
        let number = call.number(index).unwrap_or_default();
        if !number.is_finite() {
            match self.settings.encode_invalid_numbers {
                InvalidNumbers::Error => {
                    return Err(failure(call, index, "must not be NaN or Inf"));
                }
                InvalidNumbers::Name if number.is_nan() => {
                    self.text.extend_from_slice(b"nan");
                    return Ok(());
                }
                InvalidNumbers::Name => (),
                InvalidNumbers::Null => {
                    self.text.extend_from_slice(b"null");
                    return Ok(());
                }
            }
        }
        number_text::append(&mut self.text, number, self.settings.precision as usize);
        Ok(())
    }

    fn string(&mut self, call: &Call<'_>, index: c_int) -> Result<(), Raise> {
        let bytes = call.bytes(index).unwrap_or_default();
        let text = &mut self.text;
        // Each byte may need six.
        if text.len() + bytes.len() * 6 > self.checked + TEXT_PER_CHECK {
            self.checked = text.len();
            call.room(text.len() + bytes.len())?;
        }
        text.reserve(bytes.len() + 2);
        text.push(b'"');
        let mut written = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            if ESCAPED[usize::from(byte)] {
                text.extend_from_slice(&bytes[written..at]);
                append_escape(text, byte);
                written = at + 1;
            }
        }
        text.extend_from_slice(&bytes[written..]);
        text.push(b'"');
        Ok(())
    }
}

fn append_escape(text: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        b'"' | b'\\' | b'/' => byte,
        _ => {
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            text.extend_from_slice(b"\\u00");
            text.extend_from_slice(&digits);
            return;
        }
    };
    text.extend_from_slice(&[b'\\', short]);
}

fn failure(call: &mut Call<'_>, index: c_int, reason: &str) -> Raise {
    let kind = call.kind(index).name();
    call.error(&format!("Cannot serialise {kind}: {reason}"))
}
