//! Which handler runs a command: the families' handlers joined with the rows of the command table, by id.

use std::sync::LazyLock;

use crate::command::{Context, FAMILIES, Handler};
use crate::table::{self, Args, Command, CommandError, CommandResult};

/// By the commands' ids, which are the same in every table.
static HANDLERS: LazyLock<Vec<Handler>> = LazyLock::new(|| {
    table::rows()
        .map(|row| named(row.name).unwrap_or(refuse))
        .collect()
});

/// What runs the command.
pub(in crate::command) fn of(command: &Command) -> Handler {
    HANDLERS[command.id as usize]
}

fn named(name: &str) -> Option<Handler> {
    let mut all = FAMILIES.iter().copied().flatten();
    all.find(|(n, _)| *n == name).map(|(_, handler)| *handler)
}

/// What a container that does nothing itself answers; its arity refuses before.
fn refuse(_: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    Err(CommandError::arity(&crate::command::context::command_name(
        args,
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_handler_and_every_handler_a_row() {
        let rows: Vec<&str> = table::rows().map(|row| row.name).collect();
        let families = FAMILIES.iter().copied().flatten();
        let handlers: Vec<&str> = families.map(|(name, _)| *name).collect();
        for (index, name) in handlers.iter().enumerate() {
            assert!(rows.contains(name), "the handler {name} has no row");
            assert!(!handlers[..index].contains(name), "two handlers for {name}");
        }
        let containers: Vec<&str> = rows
            .iter()
            .filter_map(|r| Some(r.split_once('|')?.0))
            .collect();
        let missing: Vec<&&str> = rows
            .iter()
            .filter(|row| !handlers.contains(row) && !containers.contains(row))
            .collect();
        assert!(missing.is_empty(), "rows without a handler: {missing:?}");
    }
}
