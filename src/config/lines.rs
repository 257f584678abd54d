//! Lines: what every form of configuration comes down to, and the mistakes that they may hold.

use std::fmt;

use super::directive::Directive;
use super::{Settings, hints, table, words};

/// Where a line stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// A file's name, "command line", or "environment".
    pub source: String,
    /// From 1; 0 where lines are not counted.
    pub line: usize,
    /// The line itself, without the values of sensitive directives.
    pub text: String,
}

impl Origin {
    /// As the place of that directive: what it says is hidden if it is nobody's business.
    pub(crate) fn of_directive(mut self, name: &str) -> Origin {
        // A secret is one behind a mistyped name as well.
        let bare = name.trim_start_matches('-');
        let meant = bare.split(['=', ':']).next().unwrap_or_default();
        let meant = table::find(meant).or_else(|| table::find(table::nearest(meant, &[])?));
        if meant.is_some_and(|d| d.sensitive) {
            let name = name.split(['=', ':']).next().unwrap_or_default();
            self.text = format!("{name} (hidden)");
        }
        self
    }

    /// As the place of the directive that the text begins with, as far as that can be read.
    pub(crate) fn guarded(self) -> Origin {
        let mut words = self.text.split([' ', '\t', '"', '\'']);
        let name = words.find(|word| !word.is_empty()).map(str::to_owned);
        self.of_directive(&name.unwrap_or_default())
    }
}

/// A directive with its words, known to be well-formed.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) directive: &'static Directive,
    pub(crate) words: Vec<String>,
    pub(crate) origin: Origin,
}

/// Something wrong in a configuration: where, what, and how to put it right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidConfig {
    pub origin: Origin,
    pub what: String,
    /// The fix; empty if `what` says it all.
    pub fix: String,
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { source, line, text } = &self.origin;
        match line {
            0 => write!(f, "{source}: ")?,
            line => write!(f, "{source}, line {line}: ")?,
        }
        if !text.is_empty() {
            write!(f, "'{text}': ")?;
        }
        write!(f, "{}", self.what)?;
        if !self.fix.is_empty() {
            write!(f, " ({})", self.fix)?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidConfig {}

impl InvalidConfig {
    pub fn new(origin: &Origin, what: impl Into<String>, fix: impl Into<String>) -> InvalidConfig {
        InvalidConfig {
            origin: origin.clone(),
            what: what.into(),
            fix: fix.into(),
        }
    }
}

/// Directives of redis.conf that no line may hold yet: why.
const REFUSED: &[(&str, &str)] = &[
    (
        "user",
        "ACL rules come with a later version; remove the line",
    ),
    ("loadmodule", "modules cannot be loaded; remove the line"),
    (
        "sentinel",
        "this is not a Sentinel: run redis-sentinel with this file",
    ),
];

/// Directives that Redis itself still takes and forgets.
const FORGOTTEN: &[&str] = &[
    "list-max-ziplist-entries",
    "list-max-ziplist-value",
    "lua-replicate-commands",
];

/// Checks a name with its words against the table. `None`: a line to forget.
pub(crate) fn line(
    name: &str,
    mut given: Vec<String>,
    origin: Origin,
) -> Result<Option<Line>, InvalidConfig> {
    let Some(directive) = table::find(name) else {
        if is_forgotten(name) {
            return Ok(None);
        }
        let refused = REFUSED
            .iter()
            .find(|(refused, _)| table::same(refused, name));
        let fix = match refused {
            Some((_, why)) => (*why).to_owned(),
            None => hints::for_name(name, &given, &origin),
        };
        return Err(InvalidConfig::new(
            &origin,
            "Bad directive or wrong number of arguments",
            fix,
        ));
    };
    // One word for a directive that takes several is several words in quotes.
    if let (true, [only]) = (directive.many_words, given.as_slice())
        && !only.is_empty()
    {
        given = words::split(only).unwrap_or_default();
    }
    let borrowed: Vec<&str> = given.iter().map(String::as_str).collect();
    directive
        .set(&mut Settings::default(), &borrowed)
        .map_err(|what| {
            let fix = hints::for_words(directive, &borrowed, &origin);
            InvalidConfig::new(&origin, what, fix)
        })?;
    Ok(Some(Line {
        directive,
        words: given,
        origin,
    }))
}

/// Whether Redis still takes a directive of this name, and forgets it.
pub(super) fn is_forgotten(name: &str) -> bool {
    FORGOTTEN.contains(&name.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(name: &str, words: &[&str]) -> String {
        let origin = Origin {
            source: "redis.conf".into(),
            line: 7,
            text: String::new(),
        };
        let words = words.iter().map(|w| (*w).to_owned()).collect();
        match line(name, words, origin) {
            Err(mistake) => mistake.to_string(),
            Ok(_) => "fine".into(),
        }
    }

    #[test]
    fn mistakes_name_place_and_fix() {
        assert_eq!(
            mistake("tcp-keepalives", &["1"]),
            "redis.conf, line 7: Bad directive or wrong number of arguments \
             (no directive 'tcp-keepalives'; did you mean 'tcp-keepalive'?)"
        );
        assert_eq!(
            mistake("port", &["x"]),
            "redis.conf, line 7: argument couldn't be parsed into an integer \
             (a whole number from 0 to 65535; e.g. 'port 6379')"
        );
        assert!(mistake("appendonly", &["yes"]).contains("later version"));
        assert!(mistake("appendonly", &["maybe"]).contains("argument must be 'yes' or 'no'"));
        assert!(mistake("user", &["x", "on"]).contains("later version"));
        assert_eq!(mistake("lua-replicate-commands", &["yes"]), "fine");
        assert_eq!(mistake("replicaof", &["10.0.0.1 6379"]), "fine");
        assert_eq!(mistake("slaveof", &["10.0.0.1", "6379"]), "fine");
        assert!(mistake("replicaof", &["10.0.0.1", "abc"]).contains("Invalid master port"));
    }

    #[test]
    fn secrets_behind_mistyped_names_are_hidden() {
        for text in [
            "requirepass secret",
            "requirepas \"secret",
            "\"-requirepass\" \"secret\"",
            "requirepass=secret",
            "master_auth: secret",
        ] {
            let origin = Origin {
                text: text.into(),
                ..Origin::default()
            };
            let shown = origin.guarded().text;
            assert!(
                !shown.contains("secret") && shown.ends_with("(hidden)"),
                "{shown}"
            );
        }
    }
}
