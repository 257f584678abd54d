//! The table `redis` (and `server`), and what every script finds beside the libraries.

use crate::lua::{Call, Kind, NativeResult, Stack, sandbox};
use crate::script::sha::Sha;
use crate::table::Args;

use super::host::{self, raise};
use super::replies::push_error;

/// The version that scripts are told: the one that this node is compatible with.
const VERSION: &str = "7.2.4";
const VERSION_NUMBER: f64 = 0x0007_0204 as f64;

/// Puts the API into the globals.
pub(super) fn register(stack: &mut Stack) {
    push_api(stack);
    sandbox::protect(stack);
    stack.push_value(-1);
    sandbox::set_global(stack, b"redis");
    sandbox::set_global(stack, b"server");
}

fn push_api(stack: &mut Stack) {
    stack.push_table(0, 32);
    let of_host = [
        ("call", host::CALL),
        ("pcall", host::PCALL),
        ("log", host::LOG),
        ("setresp", host::SETRESP),
        ("set_repl", host::SET_REPL),
        ("acl_check_cmd", host::ACL_CHECK_CMD),
    ];
    for (name, number) in of_host {
        stack.push_host_native(number);
        stack.raw_set_field(-2, name.as_bytes());
    }
    stack.push_native(sha1hex);
    stack.raw_set_field(-2, b"sha1hex");
    stack.push_native(error_reply);
    stack.raw_set_field(-2, b"error_reply");
    stack.push_native(status_reply);
    stack.raw_set_field(-2, b"status_reply");
    stack.push_native(replicate_commands);
    stack.raw_set_field(-2, b"replicate_commands");
    stack.push_native(breakpoint);
    stack.raw_set_field(-2, b"breakpoint");
    stack.push_native(debug);
    stack.raw_set_field(-2, b"debug");
    push_constants(stack);
    let numbers = [
        ("REPL_AOF", 1.0),
        ("REPL_SLAVE", 2.0),
        ("REPL_REPLICA", 2.0),
        ("REPL_ALL", 3.0),
        ("REPL_NONE", 0.0),
    ];
    set_numbers(stack, &numbers);
}

/// Sets numbers in the table on top.
fn set_numbers(stack: &mut Stack, numbers: &[(&str, f64)]) {
    for (name, number) in numbers {
        stack.push_number(*number);
        stack.raw_set_field(-2, name.as_bytes());
    }
}

/// Pushes the table `redis` as it is while a library is loaded.
pub(super) fn push_load_api(stack: &mut Stack) {
    stack.push_table(0, 8);
    stack.push_host_native(host::REGISTER_FUNCTION);
    stack.raw_set_field(-2, b"register_function");
    stack.push_host_native(host::LOG);
    stack.raw_set_field(-2, b"log");
    push_constants(stack);
    make_missing_an_error(stack);
}

/// Sets the levels of `log` and the version in the table on top.
fn push_constants(stack: &mut Stack) {
    let numbers = [
        ("LOG_DEBUG", 0.0),
        ("LOG_VERBOSE", 1.0),
        ("LOG_NOTICE", 2.0),
        ("LOG_WARNING", 3.0),
        ("REDIS_VERSION_NUM", VERSION_NUMBER),
    ];
    set_numbers(stack, &numbers);
    stack.push_bytes(VERSION.as_bytes());
    stack.raw_set_field(-2, b"REDIS_VERSION");
}

/// Makes what the table on top doesn't hold an error, in Redis's words.
pub(super) fn make_missing_an_error(stack: &mut Stack) {
    stack.push_table(0, 1);
    stack.push_native(|call| Err(sandbox::missing_global_error(call)));
    stack.raw_set_field(-2, b"__index");
    stack.set_metatable(-2);
}

/// Pushes a list of texts.
pub(super) fn push_texts(stack: &mut Stack, texts: &Args<'_>) {
    stack.push_table(texts.len(), 0);
    assert!(stack.reserve(1), "a script begins with an empty stack");
    for (element, text) in (1..).zip(texts) {
        // SAFETY: there is room, and the table is below the text.
        unsafe {
            stack.push_bytes_in_room(text);
            stack.raw_set_index_known(-2, element);
        }
    }
}

/// Pushes the function that makes of an error what a script's caller is told: a table with text, source and line.
pub(super) fn push_error_handler(stack: &mut Stack) {
    stack.push_native(handle_error);
}

fn handle_error(call: &mut Call<'_>) -> NativeResult {
    if !call.reserve(4) {
        return Ok(1);
    }
    // Of an error in a function that isn't Lua, its caller's place.
    let mut place = call.place(1);
    if place.is_empty() {
        place = call.place(2);
    }
    if call.kind(1) != Kind::Table {
        let text = match call.kind(1) {
            Kind::Nil | Kind::None => b"nil".to_vec(),
            Kind::Boolean => call.boolean(1).to_string().into_bytes(),
            Kind::String | Kind::Number => call.coerced_bytes(1).unwrap_or_default().to_vec(),
            kind => format!("{}: {:p}", kind.name(), call.identity(1)).into_bytes(),
        };
        call.set_top(0);
        call.push_table(0, 3);
        call.push_bytes(&[b"ERR ", &text[..]].concat());
        call.raw_set_field(-2, b"err");
    }
    call.set_top(1);
    if call.push_behind(1) {
        // A shared table, into which no script's error is written.
        call.set_top(1);
        return Ok(1);
    }
    if let Some((source, line)) = place.strip_suffix(": ").and_then(|p| p.rsplit_once(':'))
        && let Ok(line) = line.parse::<f64>()
    {
        call.push_bytes(format!("@{source}").as_bytes());
        call.raw_set_field(1, b"source");
        call.push_number(line);
        call.raw_set_field(1, b"line");
    }
    Ok(1)
}

fn sha1hex(call: &mut Call<'_>) -> NativeResult {
    if call.top() != 1 {
        return Err(raise(call, "wrong number of arguments"));
    }
    let sha = Sha::of(call.coerced_bytes(1).unwrap_or_default());
    call.push_bytes(sha.as_bytes());
    Ok(1)
}

/// The one argument of what makes a reply. Where it isn't a string, an error's table is given, not raised.
fn reply_text(call: &mut Call<'_>) -> Option<Vec<u8>> {
    if call.top() == 1 && call.kind(1) == Kind::String {
        return Some(call.bytes(1).unwrap_or_default().to_vec());
    }
    call.set_top(0);
    push_error(call, b"ERR wrong number or type of arguments", false);
    None
}

fn error_reply(call: &mut Call<'_>) -> NativeResult {
    if let Some(text) = reply_text(call) {
        // C's texts end at a zero byte.
        let end = memchr::memchr(0, &text).unwrap_or(text.len());
        let text = text[..end].strip_prefix(b"-").unwrap_or(&text[..end]);
        push_error(call, text, false);
    }
    Ok(1)
}

fn status_reply(call: &mut Call<'_>) -> NativeResult {
    if let Some(text) = reply_text(call) {
        call.push_table(0, 1);
        call.push_bytes(&text);
        call.raw_set_field(-2, b"ok");
    }
    Ok(1)
}

/// Scripts are always replicated by their effects.
fn replicate_commands(call: &mut Call<'_>) -> NativeResult {
    call.push_boolean(true);
    Ok(1)
}

/// There is no debugger.
fn breakpoint(call: &mut Call<'_>) -> NativeResult {
    call.push_boolean(false);
    Ok(1)
}

fn debug(_: &mut Call<'_>) -> NativeResult {
    Ok(0)
}
