//! BITOP.

use std::borrow::Cow;

use crate::command::Context;
use crate::command::context::EventClass;
use crate::data::bits::combine::{Operation, combine};
use crate::data::{StrRef, Value, ValueRef};
use crate::keyspace::Expiry;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

/// A string of so few bytes would be "embstr" or "int" to OBJECT ENCODING; a result of BITOP is "raw".
const SHORT: usize = 44;

fn operation_arg(arg: &[u8]) -> CommandResult<Operation> {
    const WORDS: [(&str, Operation); 8] = [
        ("and", Operation::And),
        ("or", Operation::Or),
        ("xor", Operation::Xor),
        ("not", Operation::Not),
        ("diff", Operation::Diff),
        ("diff1", Operation::Diff1),
        ("andor", Operation::AndOr),
        ("one", Operation::One),
    ];
    let found = WORDS.iter().find(|(word, _)| is_word(arg, word));
    found
        .map(|(_, operation)| *operation)
        .ok_or(CommandError::SYNTAX)
}

/// How many sources an operation takes.
fn check_sources(operation: Operation, count: usize) -> CommandResult {
    let error = match operation {
        Operation::Not if count != 1 => "ERR BITOP NOT must be called with a single source key.",
        Operation::Diff if count < 2 => {
            "ERR BITOP DIFF must be called with at least two source keys."
        }
        Operation::Diff1 if count < 2 => {
            "ERR BITOP DIFF1 must be called with at least two source keys."
        }
        Operation::AndOr if count < 2 => {
            "ERR BITOP ANDOR must be called with at least two source keys."
        }
        _ => return Ok(()),
    };
    Err(CommandError::fixed(error))
}

pub(super) fn bitop(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let operation = operation_arg(args[1])?;
    let (destination, sources) = (args[2], &args[3..]);
    check_sources(operation, sources.len())?;
    let mut strings = Vec::with_capacity(sources.len());
    for value in ctx.find_many(sources) {
        strings.push(match value {
            None => StrRef::Bytes(b""),
            Some(ValueRef::String(text)) => text,
            Some(_) => return Err(CommandError::WRONG_TYPE),
        });
    }
    let texts: Vec<Cow<'_, [u8]>> = strings.iter().map(bytes_of).collect();
    let parts: Vec<&[u8]> = texts.iter().map(|text| &**text).collect();
    let result = combine(operation, &parts);
    let len = result.len();
    if len > 0 {
        store(ctx, destination, result);
        ctx.changed(destination, EventClass::String, "set");
    } else if ctx.delete(destination) {
        ctx.changed(destination, EventClass::Generic, "del");
    }
    ctx.reply.int(len as i64);
    Ok(())
}

fn bytes_of<'a>(text: &'a StrRef<'_>) -> Cow<'a, [u8]> {
    match text {
        StrRef::Int(_) => Cow::Owned(text.to_vec()),
        StrRef::Bytes(bytes) => Cow::Borrowed(bytes),
        StrRef::Long(bytes) => Cow::Borrowed(bytes),
    }
}

fn store(ctx: &mut Context<'_>, key: &[u8], result: Vec<u8>) {
    if result.len() > SHORT {
        // One that has expired goes first, and its effect before ours.
        ctx.present(key);
        ctx.set_value(key, Value::String(result), Expiry::Clear);
    } else {
        ctx.set_string(key, b"", Expiry::Clear);
        ctx.edit_string(key, &mut |text| text.extend_from_slice(&result));
    }
}
