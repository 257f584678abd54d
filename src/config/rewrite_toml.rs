//! CONFIG REWRITE of the TOML form, value by value, and the committed `config.toml`.

use std::ops::Range;

use toml_edit::{Array, Document, Value};

#[cfg(test)]
use super::directive::Support;
use super::directive::{Directive, Kind, Shape, Unit};
use super::lines::Line;
use super::rewrite::{Target, append};
use super::{Settings, table, toml_form, words};

/// A directive in the text.
struct Place {
    name: &'static str,
    /// Where its key begins.
    start: usize,
    value: Range<usize>,
}

/// What the text says.
pub(super) fn read(target: &Target<'_>, text: &[u8]) -> Result<Vec<Line>, String> {
    let parsed = toml_form::decode(target.name, text)
        .and_then(|text| toml_form::parse(target.name, &text, target.includes));
    parsed.map_err(|mistake| mistake.to_string())
}

/// The text with the changed directives' values in place of the old ones, or appended.
pub(super) fn change(
    text: &[u8],
    changed: &[&'static Directive],
    now: &Settings,
) -> Result<Vec<u8>, String> {
    let (text, places) = places(text)?;
    let mut edits = Vec::new();
    let mut appended = Vec::new();
    for directive in changed {
        let mut own = places.iter().filter(|place| place.name == directive.name);
        match (own.next(), value_of(directive, now)) {
            (Some(place), Some(value)) => edits.push((place.value.clone(), shown(&value))),
            (Some(place), None) => edits.push((whole(text, place), String::new())),
            (None, Some(value)) => appended.push(line(directive, &value)),
            (None, None) => {}
        }
        // The same under its other name.
        edits.extend(own.map(|place| (whole(text, place), String::new())));
    }
    Ok(edited(text, edits, &appended))
}

/// The text with these directives at its end, where nothing comes after them.
pub(super) fn overrule(
    text: &[u8],
    directives: &[&'static Directive],
    now: &Settings,
) -> Result<Vec<u8>, String> {
    let (text, places) = places(text)?;
    let mut edits = Vec::new();
    let mut appended = Vec::new();
    for directive in directives {
        let own = places.iter().filter(|place| place.name == directive.name);
        edits.extend(own.map(|place| (whole(text, place), String::new())));
        // What is left out elsewhere must be written here.
        let value = value_of(directive, now).unwrap_or_else(|| directive.get(now).into());
        appended.push(line(directive, &value));
    }
    Ok(edited(text, edits, &appended))
}

/// The directives of a text, as they come.
fn places(text: &[u8]) -> Result<(&str, Vec<Place>), String> {
    let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
    let document = Document::parse(text).map_err(|error| format!("not TOML: {error}"))?;
    let table = document.as_table();
    let place = |(name, item): (&str, &toml_edit::Item)| {
        Some(Place {
            name: table::find(name)?.name,
            start: table.key(name)?.span()?.start,
            value: item.span()?,
        })
    };
    let mut places: Vec<Place> = table.iter().filter_map(place).collect();
    places.sort_by_key(|place| place.start);
    Ok((text, places))
}

/// A directive's lines, from the first one's beginning to the last one's end, a comment behind the value
/// included. Comments above are left where they are.
fn whole(text: &str, place: &Place) -> Range<usize> {
    let start = text[..place.start].rfind('\n').map_or(0, |at| at + 1);
    let behind = text[place.value.end..].find('\n');
    start..behind.map_or(text.len(), |at| place.value.end + at + 1)
}

fn edited(text: &str, mut edits: Vec<(Range<usize>, String)>, appended: &[String]) -> Vec<u8> {
    edits.sort_by_key(|(range, _)| range.start);
    let mut new = Vec::with_capacity(text.len());
    let mut at = 0;
    for (range, instead) in edits {
        new.extend_from_slice(&text.as_bytes()[at..range.start]);
        new.extend_from_slice(instead.as_bytes());
        at = range.end;
    }
    new.extend_from_slice(&text.as_bytes()[at..]);
    append(&mut new, appended);
    new
}

fn line(directive: &Directive, value: &Value) -> String {
    format!("{} = {}", directive.name, shown(value))
}

fn shown(value: &Value) -> String {
    value.to_string().trim().to_owned()
}

/// The value as TOML says it best: booleans and numbers bare, sizes with their unit, several lines as an
/// array. `None`: the directive must be absent.
fn value_of(directive: &Directive, settings: &Settings) -> Option<Value> {
    let shown = directive.get(settings);
    Some(match directive.kind {
        Kind::YesNo(_) | Kind::Kept(Shape::YesNo, _) => Value::from(shown == "yes"),
        Kind::Number(_, range) | Kind::Kept(Shape::Number(range), _) => {
            let number = range.parse(&shown).unwrap_or(range.min);
            let short = range.show_short(number);
            match (range.unit, short.parse::<i64>()) {
                (Unit::Plain | Unit::Memory, Ok(number)) => Value::from(number),
                _ => Value::from(short),
            }
        }
        Kind::OptionalText(field) => Value::from((field.of)(settings).clone()?),
        Kind::Special(special) => {
            let lines = (special.lines)(settings);
            match lines.as_slice() {
                [] => return None,
                [line] if !special.adds_up || line == "\"\"" => {
                    let words = words::split(line).unwrap_or_default();
                    Value::from(words.join(" "))
                }
                lines => Value::from(lines.iter().map(String::as_str).collect::<Array>()),
            }
        }
        _ => Value::from(shown),
    })
}

/// The text of `config.toml`: every directive with its default, its meaning above it.
#[cfg(test)]
pub(crate) fn default_toml() -> String {
    let settings = Settings::default();
    let mut text = String::from(
        "# Every directive of understudy with its default. redis.conf's names, with '-' or '_', and its\n\
         # values: sizes may have a unit (k, kb, m, mb, g, gb), yes and no may be true and false, several\n\
         # words are one string or an array. An empty string stands for \"none\".\n\
         #\n\
         # understudy config.toml [--directive value ...]\n",
    );
    for (title, directives) in table::SECTIONS {
        text.push_str(&format!("\n# ---- {title} ----\n"));
        for directive in *directives {
            text.push('\n');
            comment(&mut text, directive.doc);
            match directive.support {
                Support::Works => {}
                Support::Inert(why) => comment(&mut text, &format!("No effect: {why}.")),
                Support::Only(_, why) => comment(&mut text, &format!("No other value yet: {why}.")),
            }
            if let Some(alias) = directive.alias {
                comment(&mut text, &format!("Also: {alias}."));
            }
            let value = match (directive.name, value_of(directive, &settings)) {
                // Defaults that a rewritten file leaves out.
                ("bind", _) => "[\"*\", \"-::*\"]".to_owned(),
                ("dir", _) => "\"./\"".to_owned(),
                (_, Some(value)) => value.to_string(),
                (_, None) => "\"\"".to_owned(),
            };
            text.push_str(&format!("{} = {}\n", directive.name, value.trim()));
        }
    }
    text
}

/// A comment, broken into lines.
#[cfg(test)]
fn comment(text: &mut String, sentence: &str) {
    let mut column = 0;
    for word in sentence.split(' ') {
        if column == 0 || column + word.len() + 1 > 100 {
            if column > 0 {
                text.push('\n');
            }
            text.push('#');
            column = 1;
        }
        text.push(' ');
        text.push_str(word);
        column += word.len() + 1;
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::super::{Form, Layers, load};
    use super::*;

    /// The file in the repository is what the table says. To renew it: `UPDATE_CONFIG_TOML=1 cargo test`.
    #[test]
    fn the_committed_file_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml");
        if std::env::var_os("UPDATE_CONFIG_TOML").is_some() {
            std::fs::write(path, default_toml()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(
            committed == default_toml(),
            "config.toml differs from the table: UPDATE_CONFIG_TOML=1 cargo test renews it"
        );
        let loaded = load(Layers {
            file: Some((Form::Toml, "config.toml", &committed)),
            stdin: None,
            environment: Default::default(),
            flags: "",
            includes: &|_| Ok(Vec::new()),
        });
        let loaded = loaded.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(loaded.notes, Vec::<String>::new());
        let defaults = Settings::default();
        for directive in table::all() {
            assert!(
                directive.is_default(&loaded.settings, &defaults),
                "{}",
                directive.name
            );
            assert!(
                committed.contains(&format!("\n{} = ", directive.name)),
                "{} is missing",
                directive.name
            );
        }
    }
}
