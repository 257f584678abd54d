//! The house rules that a machine can check: rooms import only what stands before them, the maps of README and `lib.rs`
//! name every room in that order, functions and files keep their length.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const FUNCTION_LINES_MAX: usize = 80;
const FILE_LINES_MAX: usize = 800;

/// Functions that may be longer: where, and why.
const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[(
    "config/settings.rs",
    "default",
    "one literal, with a line for each directive",
)];

/// Imports of a room that stands later: from, to, and why.
const LATER_IMPORTS: &[(&str, &str, &str)] = &[];

fn at_top(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A source file: its path below `src`, and its lines that are compiled into the library.
struct Source {
    path: String,
    lines: Vec<String>,
}

impl Source {
    fn room(&self) -> &str {
        let first = self
            .path
            .split('/')
            .next()
            .expect("a path has a first part");
        first.strip_suffix(".rs").unwrap_or(first)
    }
}

/// Every file of the library, without tests and their helpers.
fn sources() -> Vec<Source> {
    fn visit(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => visit(&path, found),
                false => found.push(path),
            }
        }
    }
    let src = at_top("src");
    let mut found = Vec::new();
    visit(&src, &mut found);
    found.sort();
    let below = |path: &Path| path.strip_prefix(&src).unwrap().display().to_string();
    let texts = found
        .iter()
        .map(|path| (below(path), fs::read_to_string(path).expect("UTF-8")));
    let texts = texts.filter(|(path, _)| path.ends_with(".rs") && !path.starts_with("bin"));
    let all: Vec<(String, String)> = texts.collect();
    // A file is a test's if its `mod` line stands under `#[cfg(test)]`.
    let mut tests = BTreeSet::new();
    for (path, text) in &all {
        let lines: Vec<&str> = text.lines().chain([""]).collect();
        for window in lines.windows(3) {
            let is_mod = |line: &str| line.trim_start().contains("mod ") && line.ends_with(';');
            let gated = window[0].trim().starts_with("#[cfg(test")
                || window[0].trim().starts_with("#[cfg(all(test");
            let declaration = match () {
                () if gated && is_mod(window[1]) => window[1],
                () if gated && is_mod(window[2]) => window[2],
                () => continue,
            };
            let name = declaration
                .trim()
                .trim_end_matches(';')
                .rsplit(' ')
                .next()
                .unwrap();
            let file = match window[1].split_once("path = \"") {
                Some((_, rest)) => rest.split('"').next().unwrap().to_owned(),
                None => format!("{name}.rs"),
            };
            let directory = Path::new(path).parent().unwrap_or(Path::new(""));
            let own = Path::new(path).with_extension("");
            tests.insert(directory.join(&file).display().to_string());
            tests.insert(own.join(&file).display().to_string());
        }
    }
    let library = all
        .into_iter()
        .filter(|(path, _)| path != "lib.rs" && !tests.contains(path));
    library
        .map(|(path, text)| Source {
            path,
            lines: without_tests(&text),
        })
        .collect()
}

/// The lines of a file without those of modules and items under `#[cfg(test)]`.
fn without_tests(text: &str) -> Vec<String> {
    let mut kept = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            kept.push(line.to_owned());
            continue;
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        for line in lines.by_ref() {
            let ends = line.starts_with(indent) && !line[indent.len()..].starts_with(' ');
            if ends && (line.ends_with(';') || line.ends_with('}')) {
                break;
            }
        }
    }
    kept
}

/// The names in backticks that begin the items of a list, up to the list's end.
fn named<'t>(list: &'t str, item: &str) -> Vec<&'t str> {
    let items = list.lines().filter_map(|line| line.strip_prefix(item));
    let names = items.filter_map(|rest| rest.trim_start_matches(['[', '`']).split('`').next());
    names.map(|name| name.trim_end_matches('/')).collect()
}

/// The rooms in their order, as the head of `lib.rs` has them.
fn rooms(lib: &str) -> Vec<&str> {
    named(lib, "//! - ")
}

#[test]
fn the_maps_name_every_room_in_the_order_of_imports() {
    let lib = fs::read_to_string(at_top("src/lib.rs")).unwrap();
    let listed = rooms(&lib);
    let there: BTreeSet<String> = sources().iter().map(|s| s.room().to_owned()).collect();
    let listed_set: BTreeSet<String> = listed.iter().map(|&room| room.to_owned()).collect();
    assert_eq!(
        listed_set, there,
        "the head of lib.rs names other rooms than there are"
    );
    assert_eq!(listed.len(), listed_set.len(), "a room is named twice");

    let readme = fs::read_to_string(at_top("README.md")).unwrap();
    let (_, map) = readme
        .split_once("| room | what is in it |\n")
        .expect("README's map");
    let (map, _) = map.split_once("\n\n").expect("the map's end");
    assert_eq!(
        named(map, "| "),
        [&["---|---|"][..], &listed].concat()[1..],
        "README's map"
    );
}

/// The rooms that a line names as `crate::room`, alone or in a group.
fn imports(source: &Source) -> BTreeSet<String> {
    let code = source
        .lines
        .iter()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code = code.map(String::as_str).collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        assert!(
            !rest.starts_with('{'),
            "{}: name rooms one by one",
            source.path
        );
        let name = rest
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
            .unwrap();
        found.insert(name.to_owned());
    }
    found
}

#[test]
fn a_room_imports_only_rooms_before_it() {
    let lib = fs::read_to_string(at_top("src/lib.rs")).unwrap();
    let order = rooms(&lib);
    let place = |room: &str| order.iter().position(|&r| r == room);
    let mut wrong = BTreeSet::new();
    let mut excused = BTreeSet::new();
    for source in sources() {
        let own = source.room();
        for import in imports(&source) {
            // What the crate's root re-exports stands in no room.
            let Some(at) = place(&import).filter(|_| import != own) else {
                continue;
            };
            if place(own).is_some_and(|own| at < own) {
                continue;
            }
            let excuse = LATER_IMPORTS
                .iter()
                .find(|(from, to, _)| *from == own && *to == import);
            match excuse {
                Some(excuse) => drop(excused.insert(excuse)),
                None => drop(wrong.insert(format!("{} imports {import}", source.path))),
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "imports against the order of lib.rs:\n{wrong:#?}"
    );
    assert_eq!(
        excused.len(),
        LATER_IMPORTS.len(),
        "an excuse is no longer needed"
    );
}

/// The functions of a file with their lengths in lines, as rustfmt lays them out.
fn functions(source: &Source) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (start, line) in source.lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let Some((qualifiers, rest)) = code.split_once("fn ") else {
            continue;
        };
        let is_qualifier = |word: &str| {
            ["const", "async", "unsafe", "extern", "\"C\""].contains(&word)
                || word.starts_with("pub")
        };
        if !qualifiers.split_whitespace().all(is_qualifier) {
            continue;
        }
        let name: String = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let closing = format!("{indent}}}");
        let end = source.lines[start..]
            .iter()
            .position(|line| *line == closing);
        let one_line = line.ends_with([';', '}']);
        found.push((
            name,
            if one_line {
                1
            } else {
                end.map_or(1, |end| end + 1)
            },
        ));
    }
    found
}

#[test]
fn functions_and_files_keep_their_length() {
    let mut long = Vec::new();
    let mut excused = BTreeSet::new();
    let mut count = 0;
    for source in sources() {
        let text = fs::read_to_string(at_top("src").join(&source.path)).unwrap();
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            long.push(format!("{}: {lines} lines", source.path));
        }
        for (name, lines) in functions(&source) {
            count += 1;
            if lines <= FUNCTION_LINES_MAX {
                continue;
            }
            let excuse = LONG_FUNCTIONS
                .iter()
                .find(|(p, f, _)| *p == source.path && *f == name);
            match excuse {
                Some(excuse) => drop(excused.insert(excuse)),
                None => long.push(format!("{}: fn {name}, {lines} lines", source.path)),
            }
        }
    }
    assert!(count > 1000, "functions are found: {count}");
    assert!(long.is_empty(), "{long:#?}");
    assert_eq!(
        excused.len(),
        LONG_FUNCTIONS.len(),
        "an excuse is no longer needed"
    );
}

/// What is outside the library and may use `internals`.
fn users() -> String {
    fn visit(path: &Path, text: &mut String) {
        if path.is_dir() {
            for entry in fs::read_dir(path).expect("a directory") {
                visit(&entry.expect("an entry").path(), text);
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            text.push_str(&fs::read_to_string(path).expect("UTF-8"));
        }
    }
    let mut text = String::new();
    for top in ["src/bin", "tests", "benches", "examples", "fuzz"] {
        visit(&at_top(top), &mut text);
    }
    text
}

#[test]
fn the_inside_is_opened_as_far_as_it_is_used() {
    let internals = fs::read_to_string(at_top("src/internals.rs")).unwrap();
    let code = internals.lines().filter(|line| !line.starts_with("//!"));
    let code = code.collect::<Vec<_>>().join(" ");
    let users = users();
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let words: BTreeSet<&str> = users.split(|c| !is_part(c)).collect();
    let uses: Vec<&str> = code.split("pub use ").skip(1).collect();
    assert!(uses.len() > 10, "{uses:?}");
    for path in uses {
        let path = path.split(';').next().unwrap();
        let (_, names) = path.rsplit_once("::").unwrap();
        let names = path.split_once('{').map_or(names, |(_, group)| group);
        for name in names.split(|c| !is_part(c)).filter(|name| !name.is_empty()) {
            assert!(words.contains(name), "nobody uses {name} of `internals`");
        }
    }
}
