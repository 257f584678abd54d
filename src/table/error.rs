//! What a command can be refused for, in Redis's words.

use std::borrow::Cow;

/// The whole text after '-', code first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandError(pub(crate) Cow<'static, str>);

pub(crate) type CommandResult<T = ()> = Result<T, CommandError>;

impl CommandError {
    pub(crate) const WRONG_TYPE: CommandError = CommandError(Cow::Borrowed(
        "WRONGTYPE Operation against a key holding the wrong kind of value",
    ));
    pub(crate) const SYNTAX: CommandError = CommandError(Cow::Borrowed("ERR syntax error"));
    pub(crate) const NOT_INTEGER: CommandError =
        CommandError(Cow::Borrowed("ERR value is not an integer or out of range"));
    pub(crate) const NOT_FLOAT: CommandError =
        CommandError(Cow::Borrowed("ERR value is not a valid float"));
    pub(crate) const NO_SUCH_KEY: CommandError = CommandError(Cow::Borrowed("ERR no such key"));
    pub(crate) const OUT_OF_RANGE: CommandError =
        CommandError(Cow::Borrowed("ERR index out of range"));

    /// A fixed text with its code.
    pub(crate) const fn fixed(text: &'static str) -> CommandError {
        CommandError(Cow::Borrowed(text))
    }

    /// "ERR " and a text.
    pub(crate) fn err(text: impl std::fmt::Display) -> CommandError {
        CommandError(Cow::Owned(format!("ERR {text}")))
    }

    /// Any text with its code.
    pub(crate) fn text(text: impl Into<String>) -> CommandError {
        CommandError(Cow::Owned(text.into()))
    }

    /// "ERR wrong number of arguments for '...' command", the name as "set" or "config|get".
    pub(crate) fn arity(name: &str) -> CommandError {
        CommandError::err(format_args!(
            "wrong number of arguments for '{name}' command"
        ))
    }
}
