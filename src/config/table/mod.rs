//! The table of directives, by subject. The order here is the order of `config.toml`.

mod dump;
mod general;
mod inert;
mod memory;
mod network;
mod replication;
mod scripts;
mod special;
mod watching;

use super::directive::Directive;

/// Chapters of the table: title and directives.
pub(crate) const SECTIONS: &[(&str, &[Directive])] = &[
    ("Network", network::DIRECTIVES),
    ("General", general::DIRECTIVES),
    ("Dump file", dump::DIRECTIVES),
    ("Replication", replication::DIRECTIVES),
    ("Memory", memory::DIRECTIVES),
    ("Scripts", scripts::DIRECTIVES),
    ("Watching", watching::DIRECTIVES),
    (
        "Accepted for compatibility, without effect so far",
        inert::DIRECTIVES,
    ),
];

/// Every directive in the table's order.
pub(crate) fn all() -> impl Iterator<Item = &'static Directive> {
    SECTIONS
        .iter()
        .flat_map(|(_, directives)| directives.iter())
}

/// A directive by its name or its alias, in any case, with '_' for '-' allowed.
pub fn find(name: &str) -> Option<&'static Directive> {
    all().find(|d| same(d.name, name) || d.alias.is_some_and(|alias| same(alias, name)))
}

/// Whether two names are one: letters in any case, '-' and '_' alike.
pub(crate) fn same(a: &str, b: &str) -> bool {
    let plain = |b: u8| match b {
        b'_' => b'-',
        _ => b.to_ascii_lowercase(),
    };
    a.len() == b.len() && a.bytes().map(plain).eq(b.bytes().map(plain))
}

/// What a directive is called elsewhere, and the name here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("host", "bind"),
    ("listen", "bind"),
    ("masterpass", "masterauth"),
    ("password", "requirepass"),
    ("primaryauth", "masterauth"),
    ("primaryuser", "masteruser"),
    ("thread", "arbiters"),
    ("threads", "arbiters"),
];

/// The name that was meant by one that no directive has, or one of `also`, if it can be told.
pub(crate) fn nearest(name: &str, also: &[&'static str]) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace('_', "-");
    let elsewhere = ELSEWHERE.iter().find(|(there, _)| *there == name);
    if let Some((_, here)) = elsewhere {
        return Some(here);
    }
    let names = || {
        let names = all().flat_map(|d| [Some(d.name), d.alias]).flatten();
        names.chain(also.iter().copied())
    };
    let mistyped = names()
        .filter_map(|known| Some((mistyped(&name, known)?, known)))
        .min();
    // A part of a name is enough if it is not too short to mean anything.
    let part = || {
        let whole = names().filter(|known| name.len() >= 4 && known.contains(&name));
        whole.min_by_key(|known| known.len())
    };
    mistyped.map(|(_, known)| known).or_else(part)
}

/// The one of `words` that a mistyped one is near to.
pub(crate) fn near<'w>(word: &str, words: &[&'w str]) -> Option<&'w str> {
    let word = word.to_ascii_lowercase();
    let near = words
        .iter()
        .filter_map(|known| Some((mistyped(&word, known)?, *known)));
    near.min().map(|(_, known)| known)
}

/// How many slips lead from one to the other, if they are few for its length.
fn mistyped(given: &str, known: &str) -> Option<usize> {
    let slips = distance(given.as_bytes(), known.as_bytes());
    (slips <= (given.len() / 3).clamp(1, 4)).then_some(slips)
}

/// How many letters are to be put in, taken out, exchanged for others or with their neighbours.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let row = |i: usize| -> Vec<usize> { (i..=i + b.len()).collect() };
    let (mut above, mut row_before) = (row(0), row(0));
    for (i, x) in a.iter().enumerate() {
        let mut current = row(i + 1);
        for (j, y) in b.iter().enumerate() {
            // Rows have one more element than `b`, so `j + 1` is inside them.
            let mut cost = (row_before[j] + usize::from(x != y))
                .min(row_before[j + 1] + 1)
                .min(current[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                cost = cost.min(above[j - 1] + 1);
            }
            current[j + 1] = cost;
        }
        above = std::mem::replace(&mut row_before, current);
    }
    row_before[b.len()]
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
        assert_eq!(nearest("tcp-backlogs", &[]), Some("tcp-backlog"));
        assert_eq!(nearest("repl_timout", &[]), Some("repl-timeout"));
        assert_eq!(nearest("prot", &[]), Some("port"));
        assert_eq!(nearest("frobnicate", &[]), None);
        assert_eq!(
            near("noevction", &["allkeys-lru", "noeviction"]),
            Some("noeviction")
        );
        assert_eq!(near("lru", &["noeviction"]), None);
    }

    #[test]
    fn slips_are_counted() {
        for (a, b, slips) in [
            ("", "", 0),
            ("", "ab", 2),
            ("abc", "", 3),
            ("prot", "port", 1),
            ("prto", "port", 2),
            ("ca", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), slips, "{a} {b}");
        }
    }
}
