//! What LMPOP, ZMPOP and the forms of them that wait share: their arguments, their effects, their waiting.

use std::ops::Range;

use crate::command::Context;
use crate::command::context::BlockRequest;
use crate::command::context::arguments::int_at_least;
use crate::data::Kind;
use crate::data::list::End;
use crate::table::{CommandError, CommandResult};
use crate::text::is_word;

/// What comes after the command's name, and after the timeout of a form that waits.
#[derive(Debug)]
pub(in crate::command) struct PopArgs<'a> {
    pub(crate) keys: &'a [&'a [u8]],
    pub(crate) end: End,
    /// At least 1.
    pub(crate) count: i64,
}

impl<'a> PopArgs<'a> {
    /// Parses from the number of keys on. `end_arg` reads the word for the end.
    pub(in crate::command) fn parse(
        args: &'a [&'a [u8]],
        end_arg: impl Fn(&[u8]) -> CommandResult<End>,
    ) -> CommandResult<PopArgs<'a>> {
        let count = int_at_least(args[0], 1, "ERR numkeys should be greater than 0")?;
        let keys = usize::try_from(count).ok();
        let (keys, rest) = keys
            .and_then(|keys| args[1..].split_at_checked(keys))
            .ok_or(CommandError::SYNTAX)?;
        let (end, options) = rest.split_first().ok_or(CommandError::SYNTAX)?;
        let end = end_arg(end)?;
        let count = match options {
            [] => 1,
            [word, count, rest @ ..] if is_word(word, "count") => {
                // A bad number is named before what comes behind it.
                let count = int_at_least(count, 1, "ERR count should be greater than 0")?;
                if !rest.is_empty() {
                    return Err(CommandError::SYNTAX);
                }
                count
            }
            _ => return Err(CommandError::SYNTAX),
        };
        Ok(PopArgs { keys, end, count })
    }
}

/// Logs that `gone` elements were taken from a key, as the plain command that takes them.
pub(in crate::command) fn log_pop(ctx: &mut Context<'_>, name: &[u8], key: &[u8], gone: usize) {
    let mut digits = itoa::Buffer::new();
    let gone = digits.format(gone).as_bytes();
    ctx.effects.replace(&[name, key, gone]);
}

/// Waits for the keys, which are these of the command's arguments, or answers at once where waiting is not possible: with a null array, or a null.
pub(in crate::command) fn wait_for_keys(
    ctx: &mut Context<'_>,
    key_args: Range<usize>,
    deadline_ms: Option<i64>,
    kind: Kind,
    null_array: bool,
) {
    if ctx.deny_blocking {
        match null_array {
            true => ctx.reply.null_array(),
            false => ctx.reply.null(),
        }
        return;
    }
    ctx.block_on(BlockRequest {
        key_args,
        deadline_ms,
        kind,
        on_deletion: false,
        // After a wait it is a null array, whatever the command gives without one.
        null_array: true,
        rewritten: Vec::new(),
    });
}
