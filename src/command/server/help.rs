//! The form that every `X HELP` has.

use crate::command::Context;
use crate::table::{Args, CommandResult};

/// Answers with a header, the subcommands' lines and the line about HELP itself.
pub(in crate::command) fn help(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    lines: &[&'static str],
) -> CommandResult {
    let name = crate::command::context::command_name(args).to_ascii_uppercase();
    ctx.reply.array(lines.len() + 3);
    ctx.reply.simple(&format!(
        "{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    ));
    for line in lines {
        ctx.reply.simple(line);
    }
    ctx.reply.simple("HELP");
    ctx.reply.simple("    Print this help.");
    Ok(())
}
