//! MODULE: none is loaded and none can be. Clients list modules to learn which commands a server has.

use crate::command::server::help::help;
use crate::command::{Context, Handlers};
use crate::table::{Args, CommandError, CommandResult};

pub(crate) const HANDLERS: Handlers = &[
    ("module|help", module_help),
    ("module|list", list),
    ("module|load", load),
    ("module|loadex", load),
    ("module|unload", unload),
];

fn list(ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    ctx.reply.array(0);
    Ok(())
}

/// Redis's words for any failure; the log says which.
fn load(_ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    tracing::warn!(
        "Module {} failed to load: modules cannot be loaded into this server",
        args[2].escape_ascii()
    );
    Err(CommandError::fixed(
        "ERR Error loading the extension. Please check the server logs.",
    ))
}

fn unload(_ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    Err(CommandError::fixed(
        "ERR Error unloading module: no such module with that name",
    ))
}

fn module_help(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    help(
        ctx,
        args,
        &[
            "LIST",
            "    List the loaded modules: here there are none.",
            "LOAD <path> [<arg> ...]",
            "    Refused: no module can be loaded.",
            "LOADEX <path> [CONFIG <name> <value> ...] [ARGS <arg> ...]",
            "    Refused, as LOAD.",
            "UNLOAD <name>",
            "    Refused: no module is loaded.",
        ],
    )
}
