//! CONFIG REWRITE of the TOML form, and the committed `config.toml`.

use toml_edit::{Array, DocumentMut, Item, Value};

use super::directive::{Directive, Kind, Shape, Standing, Unit};
use super::rewrite::{MARK, must_appear};
use super::{Settings, table, toml_form, words};

/// The new text: values replaced in place, with the comments around them kept.
pub(super) fn rewrite(text: &str, settings: &Settings) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|e| format!("not TOML: {e}"))?;
    let defaults = Settings::default();
    let mut appended = Vec::new();
    for directive in table::all().filter(|d| !d.file_only) {
        let keys: Vec<String> = document
            .iter()
            .map(|(key, _)| key.to_owned())
            .filter(|key| table::find(key).is_some_and(|d| d.name == directive.name))
            .collect();
        let value = value_of(directive, settings);
        match (keys.as_slice(), value) {
            ([], Some(value)) if must_appear(directive, settings, &defaults) => {
                appended.push((directive.name, value));
            }
            ([], _) => {}
            ([key, more @ ..], Some(value)) => {
                for key in more {
                    remove(&mut document, key);
                }
                if let Some(item) = document.get_mut(key)
                    && !says(directive, item, settings)
                {
                    replace(item, value);
                }
            }
            (keys, None) => {
                for key in keys {
                    // An empty value says "none" already.
                    if !document
                        .get(key)
                        .is_some_and(|item| says(directive, item, settings))
                    {
                        remove(&mut document, key);
                    }
                }
            }
        }
    }
    if appended.is_empty() {
        return Ok(document.to_string());
    }
    let mut text = document.to_string();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    if !text.lines().any(|line| line == MARK) {
        text.push_str(MARK);
        text.push('\n');
    }
    for (name, value) in appended {
        text.push_str(&format!("{name} = {}\n", value.to_string().trim()));
    }
    Ok(text)
}

/// Whether the item already means the directive's value.
fn says(directive: &Directive, item: &Item, settings: &Settings) -> bool {
    let Some(mut given) = item.as_value().and_then(toml_form::words_of) else {
        return false;
    };
    if let ([only], true) = (given.as_slice(), directive.many_words)
        && !only.is_empty()
    {
        given = words::split(only).unwrap_or_default();
    }
    let mut read = Settings::default();
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    directive.set(&mut read, &given).is_ok() && directive.get(&read) == directive.get(settings)
}

/// Puts the new value where the old one was, with the same space and comment around it.
fn replace(item: &mut Item, mut value: Value) {
    if let Some(old) = item.as_value() {
        *value.decor_mut() = old.decor().clone();
    }
    *item = Item::Value(value);
}

/// Takes a key out; comments above it go to the next key, or to the end of the file.
fn remove(document: &mut DocumentMut, key: &str) {
    let prefix = document
        .key(key)
        .and_then(|k| k.leaf_decor().prefix())
        .and_then(|p| p.as_str())
        .unwrap_or_default()
        .to_owned();
    let next = document
        .iter()
        .skip_while(|(k, _)| *k != key)
        .nth(1)
        .map(|(k, _)| k.to_owned());
    document.remove(key);
    let above = |text: &str| format!("{prefix}{text}");
    match next.and_then(|next| document.key_mut(&next)) {
        Some(mut next) => {
            let decor = next.leaf_decor_mut();
            let own = decor.prefix().and_then(|p| p.as_str()).unwrap_or_default();
            let joined = above(own);
            decor.set_prefix(joined);
        }
        None => {
            let own = document.trailing().as_str().unwrap_or_default();
            let joined = above(own);
            document.set_trailing(joined);
        }
    }
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
pub fn default_toml() -> String {
    let settings = Settings::default();
    let mut text = String::from(
        "# Every directive of understudy with its default. redis.conf's names, with '-' or '_', and its\n\
         # values: sizes may have a unit (k, kb, m, mb, g, gb), yes and no may be true and false, several\n\
         # words are one string or an array. An empty string stands for \"none\".\n\
         #\n\
         # understudy config.toml [--directive value ...]\n",
    );
    for (title, directives) in table::CHAPTERS {
        text.push_str(&format!("\n# ---- {title} ----\n"));
        for directive in *directives {
            text.push('\n');
            comment(&mut text, directive.doc);
            match directive.standing {
                Standing::Works => {}
                Standing::Inert(why) => comment(&mut text, &format!("No effect: {why}.")),
                Standing::Only(_, why) => {
                    comment(&mut text, &format!("No other value yet: {why}."))
                }
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
