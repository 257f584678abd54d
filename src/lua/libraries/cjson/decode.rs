//! JSON to values. Containers in containers are kept in a list, not in the processor's stack.

use memchr::memchr3;

use super::{Settings, settings};
use crate::lua::libraries::{Progress, number_text};
use crate::lua::{Call, NativeResult, Raise};

pub(super) fn decode(call: &mut Call<'_>) -> NativeResult {
    if call.top() != 1 {
        return Err(call.argument_error(1, "expected 1 argument"));
    }
    // SAFETY: the argument stays where it is.
    let text = unsafe { call.bytes_argument(1) }?;
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        return Err(call.error("JSON parser does not support UTF-16 or UTF-32"));
    }
    // SAFETY: Lua ends every string with a zero, which isn't counted.
    let text = unsafe { std::slice::from_raw_parts(text.as_ptr(), text.len() + 1) };
    let mut decoder = Decoder {
        text,
        at: 0,
        settings: settings(call),
        open: Vec::new(),
        string: Vec::new(),
        progress: Progress::default(),
    };
    // For the outermost value; `descend` asks for those in it.
    call.reserve_or(1, "too many arguments")?;
    decoder.all(call)?;
    Ok(1)
}

/// A part of the text.
enum Token<'a> {
    ObjectBegin,
    ObjectEnd,
    ListBegin,
    ListEnd,
    /// One without escapes.
    String(&'a [u8]),
    /// One with escapes, which is in the decoder's buffer.
    EscapedString,
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    /// None, and why.
    Error(&'static str),
}

impl Token<'_> {
    /// What errors call it.
    fn name(&self) -> &'static str {
        match self {
            Token::ObjectBegin => "T_OBJ_BEGIN",
            Token::ObjectEnd => "T_OBJ_END",
            Token::ListBegin => "T_ARR_BEGIN",
            Token::ListEnd => "T_ARR_END",
            Token::String(_) | Token::EscapedString => "T_STRING",
            Token::Number(_) => "T_NUMBER",
            Token::Boolean(_) => "T_BOOLEAN",
            Token::Null => "T_NULL",
            Token::Colon => "T_COLON",
            Token::Comma => "T_COMMA",
            Token::End => "T_END",
            Token::Error(why) => why,
        }
    }
}

/// A container that is being filled; it is on the stack, and above it a key if it is an object.
enum Open {
    List { elements: i32 },
    Object,
}

struct Decoder<'a> {
    /// With a zero at its end.
    text: &'a [u8],
    at: usize,
    settings: Settings,
    open: Vec<Open>,
    string: Vec<u8>,
    progress: Progress,
}

impl<'a> Decoder<'a> {
    /// Pushes the value of the whole text.
    fn all(&mut self, call: &mut Call<'_>) -> Result<(), Raise> {
        let (mut token, mut start) = self.token();
        loop {
            self.progress.value(call, 0)?;
            let opened = match token {
                Token::ObjectBegin => self.begin_object(call)?,
                Token::ListBegin => match self.begin_list(call)? {
                    // Its first element.
                    Some(first) => {
                        (token, start) = first;
                        continue;
                    }
                    None => false,
                },
                Token::String(text) => {
                    // SAFETY: `descend` asked for room.
                    unsafe { call.push_bytes_in_room(text) };
                    false
                }
                Token::EscapedString => {
                    // SAFETY: as above.
                    unsafe { call.push_bytes_in_room(&self.string) };
                    false
                }
                Token::Number(number) => {
                    // SAFETY: as above.
                    unsafe { call.push_number_in_room(number) };
                    false
                }
                Token::Boolean(value) => {
                    call.push_boolean(value);
                    false
                }
                Token::Null => {
                    call.push_address(std::ptr::null_mut());
                    false
                }
                _ => return Err(unexpected(call, "value", &token, start)),
            };
            if !opened && self.close(call)? {
                break;
            }
            (token, start) = self.token();
        }
        let (token, start) = self.token();
        match token {
            Token::End => Ok(()),
            _ => Err(unexpected(call, "the end", &token, start)),
        }
    }

    fn descend(&mut self, call: &mut Call<'_>, slots: i32) -> Result<(), Raise> {
        let depth = self.open.len() + 1;
        if depth <= self.settings.decode_depth_max as usize && call.reserve(slots) {
            return Ok(());
        }
        let text = format!(
            "Found too many nested data structures ({depth}) at character {}",
            self.at
        );
        Err(call.error(&text))
    }

    /// Pushes an object and its first key; false if it is empty, and done.
    fn begin_object(&mut self, call: &mut Call<'_>) -> Result<bool, Raise> {
        self.descend(call, 3)?;
        call.push_table(0, 0);
        let (token, start) = self.token();
        if matches!(token, Token::ObjectEnd) {
            return Ok(false);
        }
        self.key(call, &token, start)?;
        self.open.push(Open::Object);
        Ok(true)
    }

    /// Pushes a list, and returns the token that its first element begins with; none if it is empty, and done.
    fn begin_list(&mut self, call: &mut Call<'_>) -> Result<Option<(Token<'a>, usize)>, Raise> {
        self.descend(call, 2)?;
        call.push_table(0, 0);
        let (token, start) = self.token();
        if matches!(token, Token::ListEnd) {
            return Ok(None);
        }
        self.open.push(Open::List { elements: 0 });
        Ok(Some((token, start)))
    }

    /// Pushes a key, and reads its colon.
    fn key(&mut self, call: &mut Call<'_>, token: &Token<'_>, start: usize) -> Result<(), Raise> {
        match token {
            // SAFETY: `descend` asked for room.
            Token::String(text) => unsafe { call.push_bytes_in_room(text) },
            // SAFETY: as above.
            Token::EscapedString => unsafe { call.push_bytes_in_room(&self.string) },
            _ => return Err(unexpected(call, "object key string", token, start)),
        }
        match self.token() {
            (Token::Colon, _) => Ok(()),
            (token, start) => Err(unexpected(call, "colon", &token, start)),
        }
    }

    /// Puts the value on top where it belongs, and what ends there with it; true at the end of the outermost value.
    fn close(&mut self, call: &mut Call<'_>) -> Result<bool, Raise> {
        while let Some(open) = self.open.last_mut() {
            match open {
                Open::List { elements } => {
                    *elements += 1;
                    // SAFETY: the list is below its element.
                    unsafe { call.raw_set_index_known(-2, *elements) };
                    match self.token() {
                        (Token::ListEnd, _) => (),
                        (Token::Comma, _) => return Ok(false),
                        (token, start) => {
                            return Err(unexpected(call, "comma or array end", &token, start));
                        }
                    }
                }
                Open::Object => {
                    // SAFETY: the object is below key and value, and keys are strings.
                    unsafe { call.raw_set_known(-3) };
                    match self.token() {
                        (Token::ObjectEnd, _) => (),
                        (Token::Comma, _) => {
                            let (token, start) = self.token();
                            self.key(call, &token, start)?;
                            return Ok(false);
                        }
                        (token, start) => {
                            return Err(unexpected(call, "comma or object end", &token, start));
                        }
                    }
                }
            }
            self.open.pop();
        }
        Ok(true)
    }

    /// The next token, and where it begins or the error is.
    fn token(&mut self) -> (Token<'a>, usize) {
        while matches!(self.text[self.at], b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        let start = self.at;
        let rest = &self.text[start..];
        let single = match rest[0] {
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ListBegin,
            b']' => Token::ListEnd,
            b',' => Token::Comma,
            b':' => Token::Colon,
            0 => return (Token::End, start),
            b'"' => return self.string_token(start),
            b'-' | b'0'..=b'9' => {
                if !self.settings.decode_invalid_numbers && is_invalid_number(rest) {
                    return (Token::Error("invalid number"), start);
                }
                return self.number_token(start);
            }
            b'f' | b'i' | b'I' | b'n' | b'N' | b't' | b'+' => return self.word_token(start),
            _ => return (Token::Error("invalid token"), start),
        };
        self.at += 1;
        (single, start)
    }

    fn word_token(&mut self, start: usize) -> (Token<'a>, usize) {
        let rest = &self.text[start..];
        let (token, length) = if rest.starts_with(b"true") {
            (Token::Boolean(true), 4)
        } else if rest.starts_with(b"false") {
            (Token::Boolean(false), 5)
        } else if rest.starts_with(b"null") {
            (Token::Null, 4)
        } else if self.settings.decode_invalid_numbers && is_invalid_number(rest) {
            return self.number_token(start);
        } else {
            return (Token::Error("invalid token"), start);
        };
        self.at += length;
        (token, start)
    }

    fn number_token(&mut self, start: usize) -> (Token<'a>, usize) {
        // The text ends with a zero; one before it ends the number as well.
        let (number, length) = number_text::parse(&self.text[start..]);
        if length == 0 {
            return (Token::Error("invalid number"), start);
        }
        self.at += length;
        (Token::Number(number), start)
    }

    fn string_token(&mut self, start: usize) -> (Token<'a>, usize) {
        self.at += 1;
        let text = self.text;
        let body = &text[self.at..];
        let plain = plain_length(body);
        if body[plain] == b'"' {
            self.at += plain + 1;
            return (Token::String(&body[..plain]), start);
        }
        self.string.clear();
        loop {
            let body = &text[self.at..];
            let plain = plain_length(body);
            self.string.extend_from_slice(&body[..plain]);
            self.at += plain;
            match body[plain] {
                b'"' => {
                    self.at += 1;
                    return (Token::EscapedString, start);
                }
                b'\\' => {
                    if let Err(why) = self.escape() {
                        return (Token::Error(why), self.at);
                    }
                }
                _ => return (Token::Error("unexpected end of string"), self.at),
            }
        }
    }

    /// Appends what an escape stands for, and skips it.
    fn escape(&mut self) -> Result<(), &'static str> {
        let byte = match self.text[self.at + 1] {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 0x08,
            b't' => b'\t',
            b'n' => b'\n',
            b'f' => 0x0c,
            b'r' => b'\r',
            b'u' => {
                let (code, length) =
                    unicode_escape(&self.text[self.at..]).ok_or("invalid unicode escape code")?;
                append_utf8(&mut self.string, code);
                self.at += length;
                return Ok(());
            }
            _ => return Err("invalid escape code"),
        };
        self.string.push(byte);
        self.at += 2;
        Ok(())
    }
}

/// How much of a string comes before a quote, an escape or the end, one of which there is.
fn plain_length(body: &[u8]) -> usize {
    /// Looked at one by one before the search that pays for long ones.
    const SHORT: usize = 16;
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0);
    let (short, rest) = body.split_at(body.len().min(SHORT));
    match short.iter().position(special) {
        Some(at) => at,
        // The zero at the end is always found.
        None => SHORT + memchr3(b'"', b'\\', 0, rest).unwrap_or_default(),
    }
}

/// Four hexadecimal digits.
fn code_unit(text: &[u8]) -> Option<u32> {
    text.get(..4)?.iter().try_fold(0, |code, &digit| {
        Some(code << 4 | char::from(digit).to_digit(16)?)
    })
}

/// The character of `\uXXXX`, or of two of them that are a surrogate pair, and their length.
fn unicode_escape(text: &[u8]) -> Option<(u32, usize)> {
    const LENGTH: usize = 6;
    let first = code_unit(text.get(2..)?)?;
    if first & 0xf800 != 0xd800 {
        return Some((first, LENGTH));
    }
    let second = text.get(LENGTH..)?.strip_prefix(b"\\u")?;
    let second = code_unit(second)?;
    if first & 0x400 != 0 || second & 0xfc00 != 0xdc00 {
        return None;
    }
    let code = (first & 0x3ff) << 10 | second & 0x3ff;
    Some((code + 0x1_0000, LENGTH * 2))
}

fn append_utf8(text: &mut Vec<u8>, code: u32) {
    // No surrogate gets here.
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Whether a number is one that `strtod` reads but JSON doesn't have.
fn is_invalid_number(text: &[u8]) -> bool {
    if text[0] == b'+' {
        return true;
    }
    let text = text.strip_prefix(b"-").unwrap_or(text);
    match text[0] {
        b'0' => matches!(text[1], b'x' | b'X' | b'0'..=b'9'),
        byte if byte <= b'9' => false,
        _ => text.get(..3).is_some_and(|name| {
            name.eq_ignore_ascii_case(b"inf") || name.eq_ignore_ascii_case(b"nan")
        }),
    }
}

fn unexpected(call: &mut Call<'_>, expected: &str, token: &Token<'_>, at: usize) -> Raise {
    let found = token.name();
    call.error(&format!(
        "Expected {expected} but found {found} at character {}",
        at + 1
    ))
}
