//! What would be right: the words by which a mistake names its fix, in the way of writing of the place where
//! the mistake stands.

use super::directive::{Directive, Kind, Range, Shape, Support, Unit};
use super::layers::Form;
use super::lines::Origin;
use super::{Settings, table, words};

/// What the command line takes besides directives.
pub(crate) const OPTIONS: &[&str] = &["check-config", "help", "version"];

/// Flags that other programs have for what is the first argument here.
const FILE_FLAGS: &[&str] = &["c", "f", "conf", "config", "config-file"];

/// How directives are written at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    RedisConf,
    Toml,
    Flag,
    Variable,
}

impl Style {
    fn at(origin: &Origin) -> Style {
        match origin.source.as_str() {
            super::COMMAND_LINE => Style::Flag,
            super::ENVIRONMENT => Style::Variable,
            file => match Form::of(file) {
                Form::RedisConf => Style::RedisConf,
                Form::Toml => Style::Toml,
            },
        }
    }

    /// The name alone.
    fn name(self, name: &str) -> String {
        match self {
            Style::RedisConf | Style::Toml => name.to_owned(),
            Style::Flag => format!("--{name}"),
            Style::Variable => super::layers::variable(name),
        }
    }

    /// The name with a value in redis.conf form.
    fn write(self, name: &str, value: &str) -> String {
        match self {
            Style::RedisConf => format!("{name} {value}"),
            Style::Flag => format!("--{name} {value}"),
            Style::Toml => format!("{name} = {}", toml_value(value)),
            Style::Variable => format!("{}={value}", super::layers::variable(name)),
        }
    }
}

/// A value in redis.conf form as TOML writes it.
fn toml_value(value: &str) -> String {
    let plain = words::split(value).unwrap_or_default().join(" ");
    match plain.parse::<i64>() {
        Ok(number) => number.to_string(),
        Err(_) => toml_edit::Value::from(plain).to_string(),
    }
}

/// For a name that no directive has.
pub(crate) fn for_name(name: &str, given: &[String], origin: &Origin) -> String {
    let style = Style::at(origin);
    if let Some(line) = misplaced_mark(name, given, style) {
        return format!("write '{line}'");
    }
    let bare = name.trim_start_matches('-');
    if style == Style::Flag && FILE_FLAGS.contains(&bare) {
        return "the configuration file is the first argument, without a flag".into();
    }
    let also = if style == Style::Flag { OPTIONS } else { &[] };
    let near = match table::find(bare) {
        Some(directive) => Some(directive.name),
        None => table::nearest(bare, also),
    };
    match near {
        Some(near) => format!(
            "no directive '{name}'; did you mean '{}'?",
            style.name(near)
        ),
        None => format!("no directive '{name}'; config.toml lists those that exist"),
    }
}

/// `port=7000` and `port: 7000`, which are other programs' ways.
fn misplaced_mark(name: &str, given: &[String], style: Style) -> Option<String> {
    let (known, value) = name.split_once(['=', ':'])?;
    let directive = table::find(known)?;
    let value = match value.is_empty() {
        true => given.join(" "),
        false => value.to_owned(),
    };
    let shown = match directive.sensitive {
        true => "...",
        false => &value,
    };
    Some(style.write(directive.name, shown))
}

/// For a directive whose words are wrong.
pub(crate) fn for_words(directive: &Directive, given: &[&str], origin: &Origin) -> String {
    let style = Style::at(origin);
    let name = directive.name;
    if let Support::Only(value, _) = directive.support {
        let value = if value.is_empty() { "\"\"" } else { value };
        return format!("leave it out, or write '{}'", style.write(name, value));
    }
    if given.iter().skip(1).any(|word| word.starts_with('#')) {
        return "a comment has a line of its own".into();
    }
    if let (["=", value @ ..], false) = (given, directive.sensitive) {
        return format!("write '{}'", style.write(name, &value.join(" ")));
    }
    if let (true, [address]) = (name == "replicaof", given)
        && let Some((host, port)) = address.rsplit_once(':')
    {
        return format!("write '{}'", style.write(name, &format!("{host} {port}")));
    }
    let example = example(directive).map(|value| style.write(name, &value));
    let wanted = wanted(directive, given);
    match (wanted, example) {
        (wanted, None) => wanted,
        (question, _) if question.ends_with('?') => question,
        (wanted, Some(example)) if wanted.is_empty() => format!("e.g. '{example}'"),
        (wanted, Some(example)) => format!("{wanted}; e.g. '{example}'"),
    }
}

/// What kind of value it takes, where the mistake itself does not say.
fn wanted(directive: &Directive, given: &[&str]) -> String {
    match directive.kind {
        Kind::Number(_, range) | Kind::Kept(Shape::Number(range), _) => number(range),
        Kind::Choice { words, .. } | Kind::Kept(Shape::Choice(words), _) => {
            let near = given.first().and_then(|given| table::near(given, words));
            near.map_or_else(String::new, |near| format!("did you mean '{near}'?"))
        }
        Kind::Text(_) | Kind::OptionalText(_) | Kind::Kept(Shape::Text, _) => {
            "one word, or several in quotes".into()
        }
        Kind::YesNo(_) | Kind::Kept(Shape::YesNo, _) => String::new(),
        Kind::Special(_) => directive.doc.trim_end_matches('.').to_owned(),
    }
}

fn number(range: Range) -> String {
    let unit = match range.unit {
        Unit::Plain => "a whole number",
        Unit::Memory => "bytes, or with a unit (kb, mb, gb)",
        Unit::MemoryOrPercent => "bytes, with a unit (kb, mb, gb) or as a percentage",
        Unit::Octal => return "permissions in octal digits".into(),
    };
    let bounded = range.unit == Unit::Plain && range.max < i128::from(i32::MAX);
    match bounded {
        true => format!("{unit} from {} to {}", range.min, range.max),
        false => unit.to_owned(),
    }
}

/// A value that is right, in redis.conf form: the default, where that says something.
fn example(directive: &Directive) -> Option<String> {
    let special = match directive.name {
        "bind" => "127.0.0.1 ::1",
        "replicaof" => "10.0.0.5 6379",
        "notify-keyspace-events" => "KEA",
        "rename-command" => "FLUSHALL \"\"",
        "unixsocketperm" => "700",
        "dir" => "/var/lib/understudy",
        "save" => "3600 1",
        _ => "",
    };
    if !special.is_empty() {
        return Some(special.into());
    }
    let default = directive.lines(&Settings::default()).into_iter().next();
    match (directive.kind, default) {
        (Kind::Number(_, range), Some(zero)) if zero == "0" && range.unit == Unit::Memory => {
            Some("100mb".into())
        }
        (_, Some(empty)) if empty == "\"\"" => None,
        (_, default) => default,
    }
}

/// For a line of TOML that can't be read: the line as it would be right, where that can be told.
pub(crate) fn for_toml_line(line: &str) -> String {
    let because = "the file is read as TOML because of its name";
    let (name, value) = match line.split_once('=') {
        Some((name, value)) => (name.trim(), value.trim()),
        None => line.split_once([' ', '\t']).unwrap_or((line, "")),
    };
    let value = value.trim();
    match table::find(name) {
        Some(directive) if !directive.sensitive && !value.is_empty() => {
            let right = Style::Toml.write(directive.name, value);
            match right == line {
                true => because.to_owned(),
                false => format!("{because}: write '{right}'"),
            }
        }
        Some(directive) => format!("{because}: write '{} = \"...\"'", directive.name),
        None => because.to_owned(),
    }
}

/// For a file that can't be opened: it may have been meant as a directive.
pub(crate) fn for_file(name: &str) -> String {
    match table::find(name) {
        Some(directive) => format!("did you mean '--{}'?", directive.name),
        None => "give the path of a file that is there".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(source: &str) -> Origin {
        Origin {
            source: source.into(),
            ..Origin::default()
        }
    }

    #[test]
    fn names_that_are_wrong() {
        let hint = |name: &str, given: &[&str], source| {
            let given: Vec<String> = given.iter().map(|w| (*w).to_owned()).collect();
            for_name(name, &given, &at(source))
        };
        for (name, meant) in [
            ("prot", "'--port'"),
            ("-port", "'--port'"),
            ("por", "'--port'"),
            ("check-confg", "'--check-config'"),
            ("versoin", "'--version'"),
            ("diskless-sync", "'--repl-diskless-sync'"),
            ("thread", "'--arbiters'"),
            ("masterpass", "'--masterauth'"),
            ("slave-of", "'--slaveof'"),
        ] {
            let hint = hint(name, &["1"], "command line");
            assert!(hint.ends_with(&format!("did you mean {meant}?")), "{hint}");
        }
        assert!(hint("config", &["a.conf"], "command line").contains("first argument"));
        assert!(hint("prot", &[], "r.conf").ends_with("mean 'port'?"));
        assert!(hint("prot", &[], "environment").ends_with("mean 'UNDERSTUDY_PORT'?"));
        assert!(hint("versoin", &[], "r.conf").ends_with("lists those that exist"));
        assert!(hint("frobnicate", &[], "r.conf").ends_with("lists those that exist"));
        assert_eq!(hint("port=7", &[], "command line"), "write '--port 7'");
        assert_eq!(hint("port:", &["7"], "r.conf"), "write 'port 7'");
        assert_eq!(
            hint("requirepass=x", &[], "r.conf"),
            "write 'requirepass ...'"
        );
    }

    #[test]
    fn words_that_are_wrong() {
        let hint = |name: &str, given: &[&str], source| {
            for_words(table::find(name).unwrap(), given, &at(source))
        };
        for (name, given, right) in [
            (
                "port",
                &["x"][..],
                "a whole number from 0 to 65535; e.g. 'port 6379'",
            ),
            ("port", &["=", "7"], "write 'port 7'"),
            (
                "timeout",
                &["0", "#", "why"],
                "a comment has a line of its own",
            ),
            (
                "maxmemory",
                &["1gib"],
                "bytes, or with a unit (kb, mb, gb); e.g. 'maxmemory 100mb'",
            ),
            (
                "maxmemory-policy",
                &["allkeys-lur"],
                "did you mean 'allkeys-lru'?",
            ),
            ("loglevel", &["info"], "e.g. 'loglevel notice'"),
            ("replicaof", &["h:6379"], "write 'replicaof h 6379'"),
            ("save", &["1"], "Save after so many seconds"),
            (
                "appendonly",
                &["yes"],
                "leave it out, or write 'appendonly no'",
            ),
        ] {
            assert!(
                hint(name, given, "r.conf").starts_with(right),
                "{}",
                hint(name, given, "r.conf")
            );
        }
        assert!(hint("port", &["x"], "c.toml").ends_with("'port = 6379'"));
        assert!(hint("bind", &[], "c.toml").ends_with("'bind = \"127.0.0.1 ::1\"'"));
        assert!(hint("port", &["x"], "command line").ends_with("'--port 6379'"));
        assert!(hint("port", &["x"], "environment").ends_with("'UNDERSTUDY_PORT=6379'"));
        assert!(!hint("requirepass", &["=", "secret"], "r.conf").contains("secret"));
    }

    /// Every example is one that the directive takes.
    #[test]
    fn examples_are_right() {
        for directive in table::all() {
            let Some(value) = example(directive) else {
                continue;
            };
            let words = words::split(&value).unwrap();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let set = directive.set(&mut Settings::default(), &words);
            assert_eq!(set, Ok(()), "{} {value}", directive.name);
        }
    }

    #[test]
    fn lines_of_toml_that_are_wrong() {
        for (line, right) in [
            ("port 7000", "write 'port = 7000'"),
            ("bind = 127.0.0.1", "write 'bind = \"127.0.0.1\"'"),
            ("dir = /tmp", "write 'dir = \"/tmp\"'"),
            ("requirepass = secret", "write 'requirepass = \"...\"'"),
            ("port = 1", "because of its name"),
            ("what = ever", "because of its name"),
        ] {
            assert!(
                for_toml_line(line).ends_with(right),
                "{}",
                for_toml_line(line)
            );
        }
    }
}
