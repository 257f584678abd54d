//! The functions of the string library that match.

use std::ffi::c_int;

use memchr::memmem;
use mlua_sys as ffi;

use super::matcher::{Extent, Matcher, Stop};
use crate::lua::{Call, Kind, NativeResult, Raise};

/// What makes a pattern more than a plain text.
const SPECIAL: &[u8] = b"^$*+?.([%-";

pub(super) fn find(call: &mut Call<'_>) -> NativeResult {
    search(call, true)
}

pub(super) fn first_match(call: &mut Call<'_>) -> NativeResult {
    search(call, false)
}

/// Matches at a place: where the match ends.
fn match_at(
    call: &mut Call<'_>,
    matcher: &mut Matcher<'_>,
    at: usize,
    from: usize,
) -> Result<Option<usize>, Raise> {
    let found = matcher.run(at, from, &mut || call.poll());
    found.map_err(|stop| match stop {
        Stop::Malformed(problem) => call.error(problem),
        Stop::Raise(raise) => raise,
    })
}

fn search(call: &mut Call<'_>, positions: bool) -> NativeResult {
    // SAFETY: both stay where they are.
    let (text, pattern) = unsafe { (call.bytes_argument(1)?, call.bytes_argument(2)?) };
    let start = start_argument(call, text.len())?;
    if positions && (call.top() >= 4 && call.boolean(4) || is_plain(pattern)) {
        match memmem::find(&text[start..], pattern) {
            None => call.push_nil(),
            Some(at) => {
                call.push_number((start + at + 1) as f64);
                call.push_number((start + at + pattern.len()) as f64);
                return Ok(2);
            }
        }
        return Ok(1);
    }
    let anchored = pattern.first() == Some(&b'^');
    let mut matcher = Matcher::new(text, pattern);
    for at in start..=text.len() {
        if let Some(end) = match_at(call, &mut matcher, at, usize::from(anchored))? {
            if !positions {
                return push_captures(call, &matcher, Some((at, end)));
            }
            call.push_number((at + 1) as f64);
            call.push_number(end as f64);
            return Ok(push_captures(call, &matcher, None)? + 2);
        }
        if anchored {
            break;
        }
    }
    call.push_nil();
    Ok(1)
}

/// The place in the third argument, from the end if it is negative.
fn start_argument(call: &mut Call<'_>, length: usize) -> Result<usize, Raise> {
    let start = match call.kind(3) {
        Kind::None | Kind::Nil => 1,
        _ => call.integer_argument(3)?,
    };
    let start = match start {
        0.. => start.saturating_sub(1).max(0) as usize,
        _ => length.saturating_sub(start.unsigned_abs() as usize),
    };
    Ok(start.min(length))
}

fn is_plain(pattern: &[u8]) -> bool {
    pattern
        .iter()
        .take_while(|&&b| b != 0)
        .all(|b| !SPECIAL.contains(b))
}

/// Pushes all captures: the whole match if there are none and it is given.
fn push_captures(
    call: &mut Call<'_>,
    matcher: &Matcher<'_>,
    whole: Option<(usize, usize)>,
) -> NativeResult {
    let captures = matcher.captures().len();
    let count = captures.max(usize::from(whole.is_some()));
    call.reserve_or(count as c_int, "too many captures")?;
    for number in 0..count {
        push_capture(call, matcher, number, whole.unwrap_or_default())?;
    }
    Ok(count as c_int)
}

fn push_capture(
    call: &mut Call<'_>,
    matcher: &Matcher<'_>,
    number: usize,
    whole: (usize, usize),
) -> Result<(), Raise> {
    let text = matcher.text();
    match matcher.captures().get(number) {
        None if number == 0 => call.push_bytes(&text[whole.0..whole.1]),
        None => return Err(call.error("invalid capture index")),
        Some(capture) => match capture.extent {
            Extent::Open => return Err(call.error("unfinished capture")),
            Extent::Position => call.push_number((capture.start + 1) as f64),
            Extent::Bytes(length) => {
                call.push_bytes(&text[capture.start..capture.start + length]);
            }
        },
    }
    Ok(())
}

/// Returns an iterator, whose upvalues are text, pattern and the place to go on from.
pub(super) fn all_matches(call: &mut Call<'_>) -> NativeResult {
    // SAFETY: not used; it makes numbers strings.
    unsafe {
        call.bytes_argument(1)?;
        call.bytes_argument(2)?;
    }
    call.set_top(2);
    call.push_number(0.0);
    call.push_closure(next_match, 3);
    Ok(1)
}

fn next_match(call: &mut Call<'_>) -> NativeResult {
    let start = call.upvalue_number(3) as usize;
    call.set_top(0);
    call.push_value(ffi::lua_upvalueindex(1));
    call.push_value(ffi::lua_upvalueindex(2));
    // SAFETY: both stay where they are.
    let (text, pattern) = unsafe { (call.bytes_argument(1)?, call.bytes_argument(2)?) };
    let mut matcher = Matcher::new(text, pattern);
    for at in start..=text.len() {
        if let Some(end) = match_at(call, &mut matcher, at, 0)? {
            // An empty match goes on behind the next byte.
            call.push_number((end + usize::from(end == at)) as f64);
            call.replace(ffi::lua_upvalueindex(3));
            return push_captures(call, &matcher, Some((at, end)));
        }
    }
    Ok(0)
}

pub(super) fn substitute(call: &mut Call<'_>) -> NativeResult {
    // SAFETY: both stay where they are.
    let (text, pattern) = unsafe { (call.bytes_argument(1)?, call.bytes_argument(2)?) };
    let kind = call.kind(3);
    let most = match call.kind(4) {
        Kind::None | Kind::Nil => (text.len() + 1) as c_int,
        _ => call.int_argument(4)?,
    };
    let replaces = matches!(
        kind,
        Kind::Number | Kind::String | Kind::Function | Kind::Table
    );
    if !replaces {
        return Err(call.argument_error(3, "string/function/table expected"));
    }
    call.room(text.len())?;
    let anchored = pattern.first() == Some(&b'^');
    let mut matcher = Matcher::new(text, pattern);
    let mut built = Vec::with_capacity(text.len());
    let mut at = 0;
    let mut replaced: c_int = 0;
    while replaced < most {
        let end = match_at(call, &mut matcher, at, usize::from(anchored))?;
        if let Some(end) = end {
            replaced += 1;
            append_replacement(call, &matcher, (at, end), &mut built)?;
            call.room(built.len())?;
        }
        match end {
            Some(end) if end > at => at = end,
            _ if at < text.len() => {
                built.push(text[at]);
                at += 1;
            }
            _ => break,
        }
        if anchored {
            break;
        }
    }
    built.extend_from_slice(&text[at..]);
    call.room(built.len())?;
    call.push_bytes(&built);
    call.push_number(f64::from(replaced));
    Ok(2)
}

/// Appends what the third argument makes of a match.
fn append_replacement(
    call: &mut Call<'_>,
    matcher: &Matcher<'_>,
    whole: (usize, usize),
    built: &mut Vec<u8>,
) -> Result<(), Raise> {
    match call.kind(3) {
        Kind::Function => {
            call.reserve_or(1, "too many captures")?;
            call.push_value(3);
            let captures = push_captures(call, matcher, Some(whole))?;
            call.call(captures, 1, None).map_err(|_| Raise::Value)?;
        }
        Kind::Table => {
            call.push_raw(get);
            call.push_value(3);
            push_capture(call, matcher, 0, whole)?;
            call.call(2, 1, None).map_err(|_| Raise::Value)?;
        }
        _ => return append_template(call, matcher, whole, built),
    }
    if call.boolean(-1) {
        let kind = call.kind(-1);
        match call.coerced_bytes(-1) {
            Some(bytes) => built.extend_from_slice(bytes),
            None => {
                let problem = format!("invalid replacement value (a {})", kind.name());
                return Err(call.error(&problem));
            }
        }
    } else {
        built.extend_from_slice(&matcher.text()[whole.0..whole.1]);
    }
    call.pop(1);
    Ok(())
}

/// Reads a table, by its metatable if need be.
///
/// # Safety
///
/// Called by Lua alone, with a table and a key. An error jumps out of it.
unsafe extern "C-unwind" fn get(l: *mut ffi::lua_State) -> c_int {
    // SAFETY: the arguments are there.
    unsafe { ffi::lua_gettable_(l, 1) };
    1
}

/// Appends a text in which `%1` stands for a capture and `%0` for the match.
fn append_template(
    call: &mut Call<'_>,
    matcher: &Matcher<'_>,
    whole: (usize, usize),
    built: &mut Vec<u8>,
) -> Result<(), Raise> {
    // SAFETY: it stays where it is.
    let template = unsafe { call.bytes_argument(3) }?;
    let mut bytes = template.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'%' {
            built.push(byte);
            continue;
        }
        // Lua's texts end with a zero, which stands behind the last byte.
        match bytes.next().copied().unwrap_or(0) {
            b'0' => built.extend_from_slice(&matcher.text()[whole.0..whole.1]),
            digit @ b'1'..=b'9' => {
                push_capture(call, matcher, usize::from(digit - b'1'), whole)?;
                built.extend_from_slice(call.coerced_bytes(-1).unwrap_or_default());
                call.pop(1);
            }
            other => built.push(other),
        }
    }
    Ok(())
}
