//! The command table as data: the rows of [`spec`] with what follows from them, found by name on every request. It
//! knows nothing of what runs a command (`command::handlers`).
//!
//! Invariant: ids are dense, from 0, and the same in every table: they follow [`rows`].

pub(crate) mod error;
pub(crate) mod keys;
mod names;
pub(crate) mod spec;

use crate::clients::cross_protocol::is_http;
use crate::resp::reply::error_text;

use names::NameIndex;
use spec::bits;
use spec::{BeginSearch, Categories, CommandSpec, FindKeys, Flags, GROUPS};

pub(crate) use error::{CommandError, CommandResult};

/// A command's arguments, the name included at index 0.
pub(crate) type Args<'a> = [&'a [u8]];

/// A command's place in per-command statistics: dense from 0.
pub(crate) type CommandId = u32;

/// Where a command's keys are, in the simplest form that says it all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyPlan {
    None,
    /// Argument 1 only: by far the most common.
    First,
    /// From `first` up to `last` (negative: from the end, -1 being the last argument), each `step`th.
    Range {
        first: usize,
        last: i32,
        step: usize,
    },
    /// To be worked out from the key specs.
    Search,
}

/// A command as dispatch sees it.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) id: CommandId,
    pub(crate) spec: &'static CommandSpec,
    /// "get", or "config|get".
    pub(crate) name: &'static str,
    pub(crate) arity: i32,
    /// The row's, with `MOVABLE_KEYS` where it holds.
    pub(crate) flags: Flags,
    /// The row's, with those that follow from the flags.
    pub(crate) categories: Categories,
    /// The legacy key range that COMMAND INFO shows; 0, 0, 0: none.
    pub(crate) first_key: i32,
    pub(crate) last_key: i32,
    pub(crate) key_step: i32,
    pub(crate) key_plan: KeyPlan,
    /// Of those that can be found.
    pub(crate) subcommands: Vec<CommandId>,
}

impl Command {
    /// Whether `count` arguments (the name included) are as many as it takes.
    pub(crate) fn accepts(&self, count: usize) -> bool {
        if self.arity >= 0 {
            count == self.arity as usize
        } else {
            count >= self.arity.unsigned_abs() as usize
        }
    }

    /// As `accepts`, with Redis's error.
    #[inline]
    pub(crate) fn check_arity(&self, args: &Args<'_>) -> CommandResult {
        if self.accepts(args.len()) {
            Ok(())
        } else {
            Err(CommandError::arity(self.name))
        }
    }

    /// Whether some calls have keys.
    pub(crate) fn may_have_keys(&self) -> bool {
        self.key_plan != KeyPlan::None
    }
}

/// All commands of a node.
#[derive(Debug)]
pub struct CommandTable {
    /// By id.
    commands: Vec<Command>,
    /// Those that are no subcommands and can be found, in the order of the rows.
    top: Vec<CommandId>,
    names: NameIndex,
}

impl CommandTable {
    /// The table of every row.
    pub(crate) fn new() -> CommandTable {
        let mut commands = Vec::new();
        let mut top = Vec::new();
        for spec in GROUPS.iter().copied().flatten() {
            let id = add(&mut commands, spec);
            for sub in spec.subcommands {
                let sub_id = add(&mut commands, sub);
                commands[id as usize].subcommands.push(sub_id);
            }
            top.push(id);
        }
        let mut table = CommandTable {
            commands,
            top,
            names: NameIndex::default(),
        };
        let names = table.top().map(|c| (c.name.as_bytes().to_vec(), c.id));
        table.names = NameIndex::new(names.collect());
        table
    }

    /// Applies a `rename-command` directive; an empty new name takes the command away, and so does one that ends a
    /// connection. False: there is no
    /// such command, or the new name is taken.
    pub(crate) fn rename(&mut self, from: &[u8], to: &[u8]) -> bool {
        let Some(id) = self.lookup(from).map(|c| c.id) else {
            return false;
        };
        if !to.is_empty() && self.lookup(to).is_some() {
            return false;
        }
        // Renames happen at start, a handful at most: building the index anew keeps probing simple.
        let mut names = self.names.entries();
        names.retain(|(name, _)| !name.eq_ignore_ascii_case(from));
        if !to.is_empty() && !is_http(to) {
            names.push((to.to_vec(), id));
        } else if !names.iter().any(|(_, other)| *other == id) {
            self.top.retain(|other| *other != id);
        }
        self.names = NameIndex::new(names);
        true
    }

    /// The command (no subcommand) of that name, in any case.
    #[inline]
    pub(crate) fn lookup(&self, name: &[u8]) -> Option<&Command> {
        self.commands.get(self.names.find(name)? as usize)
    }

    /// A container's subcommand by its short name, in any case.
    pub(crate) fn lookup_sub(&self, container: &Command, name: &[u8]) -> Option<&Command> {
        container
            .subcommands
            .iter()
            .map(|id| self.get(*id))
            .find(|sub| sub.spec.short_name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// The command that these arguments call, subcommand included; None: unknown.
    #[inline]
    pub(crate) fn find(&self, args: &Args<'_>) -> Option<&Command> {
        let command = self.lookup(args.first()?)?;
        match args.get(1) {
            Some(sub) if !command.subcommands.is_empty() => self.lookup_sub(command, sub),
            _ => Some(command),
        }
    }

    /// As `find`, with Redis's error for unknown commands and subcommands.
    #[inline]
    pub(crate) fn resolve(&self, args: &Args<'_>) -> CommandResult<&Command> {
        self.find(args).ok_or_else(|| self.unknown(args))
    }

    /// The command of that full name, "get" or "config|get", in any case. As Redis, "get|x" is no command.
    pub(crate) fn by_full_name(&self, name: &[u8]) -> Option<&Command> {
        match memchr::memchr(b'|', name) {
            None => self.lookup(name),
            Some(bar) => self.lookup_sub(self.lookup(&name[..bar])?, &name[bar + 1..]),
        }
    }

    /// What Redis answers to arguments that call nothing.
    #[cold]
    pub(crate) fn unknown(&self, args: &Args<'_>) -> CommandError {
        const SHOWN: usize = 128;
        let shown = |arg: &[u8], limit: usize| {
            // C's %s ends at a zero byte.
            let end = memchr::memchr(0, arg).unwrap_or(arg.len()).min(limit);
            (error_text(&arg[..end]), end)
        };
        let Some(name) = args.first() else {
            return CommandError::err("unknown command ''");
        };
        let text = match (self.lookup(name), args.get(1)) {
            (Some(_), Some(sub)) => format!(
                "unknown subcommand '{}'. Try {} HELP.",
                shown(sub, SHOWN).0,
                shown(name, usize::MAX).0.to_ascii_uppercase()
            ),
            _ => {
                let mut rest = String::new();
                let mut taken = 0;
                for arg in &args[1..] {
                    if taken >= SHOWN {
                        break;
                    }
                    let (piece, length) = shown(arg, SHOWN - taken);
                    taken += length + 3;
                    rest.push('\'');
                    rest.push_str(&piece);
                    rest.push_str("' ");
                }
                format!(
                    "unknown command '{}', with args beginning with: {rest}",
                    shown(name, SHOWN).0
                )
            }
        };
        CommandError::err(text)
    }

    /// Panics on an id that is not of this table: ids only come from it.
    pub(crate) fn get(&self, id: CommandId) -> &Command {
        &self.commands[id as usize]
    }

    /// The command's name, if the number is one's.
    pub(crate) fn name_of(&self, id: CommandId) -> Option<&'static str> {
        self.commands.get(id as usize).map(|command| command.name)
    }

    /// How many ids there are, those of rows without a handler included.
    pub(crate) fn ids(&self) -> usize {
        self.commands.len()
    }

    /// The commands that are no subcommands.
    pub(crate) fn top(&self) -> impl Iterator<Item = &Command> {
        self.top.iter().map(|id| self.get(*id))
    }

    /// Commands and subcommands.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Command> {
        self.commands.iter()
    }

    /// How many commands there are, subcommands not counted.
    pub(crate) fn len(&self) -> usize {
        self.top.len()
    }
}

/// Every row, in the order of their ids: each command's subcommands behind it.
pub(crate) fn rows() -> impl Iterator<Item = &'static CommandSpec> {
    let all = GROUPS.iter().copied().flatten();
    all.flat_map(|spec| std::iter::once(spec).chain(spec.subcommands))
}

fn add(commands: &mut Vec<Command>, spec: &'static CommandSpec) -> CommandId {
    let id = commands.len() as CommandId;
    let mut flags = spec.flags;
    let (first_key, last_key, key_step) = legacy_range(spec, &mut flags);
    commands.push(Command {
        id,
        spec,
        name: spec.name,
        arity: spec.arity,
        flags,
        categories: implied_categories(spec),
        first_key,
        last_key,
        key_step,
        key_plan: key_plan(spec),
        subcommands: Vec::new(),
    });
    id
}

/// The categories that follow from flags: what writes is @write, what isn't @fast is @slow, and so on.
fn implied_categories(spec: &CommandSpec) -> Categories {
    let mut categories = spec.categories.0;
    let implied = [
        (bits::WRITE, bits::CAT_WRITE),
        (bits::ADMIN, bits::CAT_ADMIN | bits::CAT_DANGEROUS),
        (bits::PUBSUB, bits::CAT_PUBSUB),
        (bits::FAST, bits::CAT_FAST),
        (bits::BLOCKING, bits::CAT_BLOCKING),
    ];
    for (flag, category) in implied {
        if spec.flags.has(flag) {
            categories |= category;
        }
    }
    if spec.flags.has(bits::READONLY) && categories & bits::CAT_SCRIPTING == 0 {
        categories |= bits::CAT_READ;
    }
    if categories & bits::CAT_FAST == 0 {
        categories |= bits::CAT_SLOW;
    }
    Categories(categories)
}

/// First, last and step as COMMAND INFO shows them: the plain ranges that follow one another, joined. Sets
/// `MOVABLE_KEYS` if that doesn't say it all.
fn legacy_range(spec: &CommandSpec, flags: &mut Flags) -> (i32, i32, i32) {
    let absolute = |index: usize, last: i32| if last >= 0 { last + index as i32 } else { last };
    if let [only] = spec.keys
        && let (BeginSearch::Index(index), FindKeys::Range { last_key, step, .. }) =
            (only.begin, only.find)
    {
        if only.flags.has(bits::INCOMPLETE) {
            flags.0 |= bits::MOVABLE_KEYS;
        }
        return (index as i32, absolute(index, last_key), step);
    }
    let mut range: Option<(i32, i32)> = None;
    for key in spec.keys {
        let (
            BeginSearch::Index(index),
            FindKeys::Range {
                last_key, step: 1, ..
            },
        ) = (key.begin, key.find)
        else {
            flags.0 |= bits::MOVABLE_KEYS;
            continue;
        };
        if range.is_some_and(|(_, last)| last != index as i32 - 1) {
            flags.0 |= bits::MOVABLE_KEYS;
            continue;
        }
        if key.flags.has(bits::INCOMPLETE) {
            flags.0 |= bits::MOVABLE_KEYS;
        }
        let first = range.map_or(index as i32, |(first, _)| first);
        range = Some((first, absolute(index, last_key)));
    }
    range.map_or((0, 0, 0), |(first, last)| (first, last, 1))
}

fn key_plan(spec: &CommandSpec) -> KeyPlan {
    let mut real = spec.keys.iter().filter(|k| !k.flags.has(bits::NOT_KEY));
    match (real.next(), real.next()) {
        (None, _) => KeyPlan::None,
        (Some(only), None) => match (only.begin, only.find) {
            (BeginSearch::Index(1), FindKeys::Range { last_key: 0, .. }) => KeyPlan::First,
            (
                BeginSearch::Index(first),
                FindKeys::Range {
                    last_key,
                    step,
                    limit: 0 | 1,
                },
            ) => KeyPlan::Range {
                first,
                last: if last_key >= 0 {
                    last_key + first as i32
                } else {
                    last_key
                },
                step: step.unsigned_abs().max(1) as usize,
            },
            _ => KeyPlan::Search,
        },
        _ => KeyPlan::Search,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> CommandTable {
        CommandTable::new()
    }

    #[test]
    fn names_are_found_in_any_case() {
        let table = table();
        assert_eq!(table.lookup(b"GeT").map(|c| c.name), Some("get"));
        assert_eq!(table.lookup(b"gets").map(|c| c.name), None);
        assert_eq!(table.lookup(b"").map(|c| c.name), None);
        assert_eq!(table.lookup(&[b'a'; 500]).map(|c| c.name), None);
        let full = table.by_full_name(b"Config|GET").map(|c| c.name);
        assert_eq!(full, Some("config|get"));
        assert!(table.by_full_name(b"get|x").is_none());
        let args: &Args = &[b"COMMAND", b"GetKeysAndFlags"];
        assert_eq!(
            table.find(args).map(|c| c.name),
            Some("command|getkeysandflags")
        );
        assert_eq!(table.find(&args[..1]).map(|c| c.name), Some("command"));
        for command in table.top() {
            assert_eq!(
                table.lookup(command.name.as_bytes()).map(|c| c.id),
                Some(command.id)
            );
        }
    }

    #[test]
    fn unknown_commands_are_answered_in_redis_words() {
        let table = table();
        let text = |args: &Args| table.unknown(args).0.into_owned();
        assert_eq!(
            text(&[b"foo", b"a", b"b"]),
            "ERR unknown command 'foo', with args beginning with: 'a' 'b' "
        );
        assert_eq!(
            text(&[b"foo"]),
            "ERR unknown command 'foo', with args beginning with: "
        );
        assert_eq!(
            text(&[b"config", b"x"]),
            "ERR unknown subcommand 'x'. Try CONFIG HELP."
        );
        let long = [b'x'; 200];
        assert_eq!(
            text(&[b"foo", &long, b"b"]),
            format!(
                "ERR unknown command 'foo', with args beginning with: '{}' ",
                "x".repeat(128)
            )
        );
    }

    #[test]
    fn the_legacy_range_is_joined_from_the_key_specs() {
        let table = table();
        let range = |name: &[u8]| {
            let c = table.lookup(name).expect("in the table");
            let movable = c.flags.has(bits::MOVABLE_KEYS);
            (c.first_key, c.last_key, c.key_step, movable)
        };
        assert_eq!(range(b"get"), (1, 1, 1, false));
        assert_eq!(range(b"mset"), (1, -1, 2, false));
        assert_eq!(range(b"smove"), (1, 2, 1, false));
        assert_eq!(range(b"sort"), (1, 1, 1, true));
        assert_eq!(range(b"zunionstore"), (1, 1, 1, true));
        assert_eq!(range(b"config"), (0, 0, 0, false));
    }

    #[test]
    fn renaming_moves_and_removes() {
        let mut table = table();
        assert!(table.rename(b"GET", b"a-name-that-is-longer-than-the-index-takes"));
        assert!(table.lookup(b"get").is_none());
        assert_eq!(
            table
                .lookup(b"A-name-that-is-longer-than-the-index-takes")
                .map(|c| c.name),
            Some("get")
        );
        assert!(table.rename(b"mset", b""));
        assert!(table.lookup(b"mset").is_none());
        assert!(!table.rename(b"mset", b"x"));
        assert!(!table.rename(b"set", b"sort"));
        assert_eq!(table.lookup(b"set").map(|c| c.name), Some("set"));
    }

    #[test]
    fn rows_keep_their_rules() {
        let table = CommandTable::new();
        let mut names = std::collections::HashSet::new();
        for spec in GROUPS.iter().copied().flatten() {
            for row in std::iter::once(spec).chain(spec.subcommands) {
                assert!(names.insert(row.name), "{} twice", row.name);
                assert_eq!(row.name, row.name.to_ascii_lowercase());
                assert!(!row.summary.is_empty() && !row.since.is_empty());
                check_arguments(row, row.arguments);
            }
            for sub in spec.subcommands {
                assert_eq!(sub.name.split('|').next(), Some(spec.name));
            }
        }
        assert_eq!(names.len(), table.ids());
    }

    fn check_arguments(row: &CommandSpec, arguments: &[crate::table::spec::Arg]) {
        for argument in arguments {
            if let Some(index) = argument.key_spec {
                assert!((index as usize) < row.keys.len(), "{}", row.name);
            }
            check_arguments(row, argument.parts);
        }
    }
}
