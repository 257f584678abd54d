//! The table of directives, by subject. The order here is the order of `config.toml`.

mod dump;
mod general;
mod later;
mod memory;
mod network;
mod replication;
mod special;
mod watching;

use super::directive::Directive;

/// Chapters of the table: title and directives.
pub const CHAPTERS: &[(&str, &[Directive])] = &[
    ("Network", network::DIRECTIVES),
    ("General", general::DIRECTIVES),
    ("Dump file", dump::DIRECTIVES),
    ("Replication", replication::DIRECTIVES),
    ("Memory", memory::DIRECTIVES),
    ("Watching", watching::DIRECTIVES),
    (
        "Accepted for compatibility, without effect so far",
        later::DIRECTIVES,
    ),
];

/// Every directive in the table's order.
pub fn all() -> impl Iterator<Item = &'static Directive> {
    CHAPTERS
        .iter()
        .flat_map(|(_, directives)| directives.iter())
}

/// A directive by its name or its alias, in any case, with '_' for '-' allowed.
pub fn find(name: &str) -> Option<&'static Directive> {
    all().find(|d| same(d.name, name) || d.alias.is_some_and(|alias| same(alias, name)))
}

/// Whether two names are one: letters in any case, '-' and '_' alike.
pub fn same(a: &str, b: &str) -> bool {
    let plain = |b: u8| match b {
        b'_' => b'-',
        _ => b.to_ascii_lowercase(),
    };
    a.len() == b.len() && a.bytes().map(plain).eq(b.bytes().map(plain))
}

/// The name nearest to a mistyped one, if one is near.
pub fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace('_', "-");
    let limit = (name.len() / 3).clamp(1, 4);
    all()
        .flat_map(|d| [Some(d.name), d.alias])
        .flatten()
        .map(|known| (distance(&name, known), known))
        .filter(|&(distance, _)| distance <= limit)
        .min()
        .map(|(_, known)| known)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            // `row` has one more element than `b`, so `j + 1` is inside it.
            let cost = (diagonal + usize::from(x != y))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::Settings;
    use super::super::directive::{Kind, Shape};
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        let mut seen = HashSet::new();
        for d in all() {
            for name in [Some(d.name), d.alias].into_iter().flatten() {
                assert!(seen.insert(name.to_owned()), "{name} twice");
                assert!(find(name).is_some_and(|found| found.name == d.name));
            }
            assert!(!d.doc.is_empty() && d.doc.ends_with('.'), "{}", d.name);
        }
        assert_eq!(
            find("SLAVE_priority").map(|d| d.name),
            Some("replica-priority")
        );
    }

    #[test]
    fn number_fields_hold_their_range() {
        for d in all() {
            if let Kind::Number(field, range) = d.kind {
                for value in [range.min, range.max] {
                    let mut settings = Settings::default();
                    (field.set)(&mut settings, value);
                    assert_eq!((field.get)(&settings), value, "{}", d.name);
                }
            }
        }
    }

    /// What a file says for a default is taken and means the default.
    #[test]
    fn defaults_round_trip_through_lines() {
        let defaults = Settings::default();
        for d in all() {
            let mut settings = Settings::default();
            let mut all_words = Vec::new();
            for line in d.lines(&defaults) {
                all_words.extend(super::super::words::split(&line).unwrap());
            }
            if !all_words.is_empty() {
                let words: Vec<&str> = all_words.iter().map(String::as_str).collect();
                d.set(&mut settings, &words)
                    .unwrap_or_else(|e| panic!("{} {words:?}: {e}", d.name));
            }
            assert!(d.is_default(&settings, &defaults), "{}", d.name);
            if let Kind::Kept(Shape::Number(range), default) = d.kind {
                assert_eq!(
                    range.show(range.parse(default).unwrap()),
                    default,
                    "{}",
                    d.name
                );
            }
        }
    }

    #[test]
    fn a_mistyped_name_finds_its_neighbour() {
        assert_eq!(nearest("tcp-backlogs"), Some("tcp-backlog"));
        assert_eq!(nearest("repl_timout"), Some("repl-timeout"));
        assert_eq!(nearest("frobnicate"), None);
    }
}
