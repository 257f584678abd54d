//! A directive: its name, what its value looks like, where it lives in [`Settings`], when it may change.
//!
//! The table in [`super::table`] is a list of these and the sole description of a directive: the parsers,
//! CONFIG GET/SET/REWRITE, the committed `config.toml` and the errors all follow from it. Values come and go
//! as words (the arguments of a redis.conf line); every parse error is the text that Redis 7.2 uses.

use super::Settings;

/// Where a value lives in the settings.
pub(crate) struct Field<T: 'static> {
    pub(crate) of: fn(&Settings) -> &T,
    pub(crate) of_mut: fn(&mut Settings) -> &mut T,
}

// Derives would ask `T` itself to be `Copy`.
impl<T> Clone for Field<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Field<T> {}

/// Where a number lives, whatever its type. The range of the directive fits that type.
#[derive(Clone, Copy)]
pub(crate) struct NumberField {
    pub(crate) get: fn(&Settings) -> i128,
    pub(crate) set: fn(&mut Settings, i128),
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Plain,
    /// Bytes, with the suffixes k, kb, m, mb, g, gb.
    Memory,
    /// As `Memory`, or a percentage, kept as a negative number.
    MemoryOrPercent,
    Octal,
}

/// A number's unit and inclusive range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) min: i128,
    pub(crate) max: i128,
    pub(crate) unit: Unit,
}

/// A directive with a shape of its own.
#[derive(Clone, Copy)]
pub(crate) struct Special {
    /// CONFIG GET's text.
    pub(crate) get: fn(&Settings) -> String,
    /// Takes the words of a line, or says what is wrong with them.
    pub(crate) set: fn(&mut Settings, &[&str]) -> Result<(), String>,
    /// The lines a file holds for the value, each without the directive's name. Empty: no line.
    pub(crate) lines: fn(&Settings) -> Vec<String>,
    /// Several lines of a file add up, instead of the last one winning.
    pub(crate) adds_up: bool,
}

/// A check of a single word: what is wrong with it, if anything.
pub(crate) type Check = fn(&str) -> Result<(), String>;

/// What a value looks like, and where it lives.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    YesNo(Field<bool>),
    Number(NumberField, Range),
    Text(Field<String>),
    /// The empty text stands for "none".
    OptionalText(Field<Option<String>>),
    Choice {
        words: &'static [&'static str],
        get: fn(&Settings) -> &'static str,
        /// False: not one of the words.
        set: fn(&mut Settings, &str) -> bool,
    },
    Special(Special),
    /// Accepted and kept as text, without effect.
    Kept(Shape, &'static str),
}

/// What the text of a kept directive must look like.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    YesNo,
    Number(Range),
    Text,
    Choice(&'static [&'static str]),
}

/// What the directive means to this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Support {
    /// It does what Redis's documentation says.
    Works,
    /// Accepted and reported, but without effect: why.
    Inert(&'static str),
    /// Only this value is accepted so far: why.
    Only(&'static str, &'static str),
}

/// A directive.
#[derive(Clone, Copy)]
pub struct Directive {
    pub(crate) name: &'static str,
    /// An older name of the same thing.
    pub(crate) alias: Option<&'static str>,
    pub(crate) kind: Kind,
    pub(crate) doc: &'static str,
    pub(crate) support: Support,
    /// CONFIG SET refuses it.
    pub(crate) immutable: bool,
    /// Its value must not be logged.
    pub sensitive: bool,
    /// CONFIG SET wants `enable-protected-configs`.
    pub(crate) protected: bool,
    /// CONFIG GET shows it by its exact name only.
    pub(crate) hidden: bool,
    /// CONFIG SET refuses it while a dump is being loaded.
    pub(crate) deny_loading: bool,
    /// A line may have several words.
    pub(crate) many_words: bool,
    /// Of files and flags only: CONFIG does not know it.
    pub(crate) file_only: bool,
    /// Not one of Redis's.
    pub(crate) ours: bool,
    /// A further check on a single word.
    pub(crate) check: Option<Check>,
}

impl Directive {
    const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Directive {
        Directive {
            name,
            alias: None,
            kind,
            doc,
            support: Support::Works,
            immutable: false,
            sensitive: false,
            protected: false,
            hidden: false,
            deny_loading: false,
            many_words: false,
            file_only: false,
            ours: false,
            check: None,
        }
    }

    pub(crate) const fn yes_no(
        name: &'static str,
        field: Field<bool>,
        doc: &'static str,
    ) -> Directive {
        Directive::new(name, Kind::YesNo(field), doc)
    }

    pub(crate) const fn number(
        name: &'static str,
        field: NumberField,
        min: i128,
        max: i128,
        doc: &'static str,
    ) -> Directive {
        let unit = Unit::Plain;
        Directive::new(name, Kind::Number(field, Range { min, max, unit }), doc)
    }

    pub(crate) const fn memory(
        name: &'static str,
        field: NumberField,
        min: i128,
        max: i128,
        doc: &'static str,
    ) -> Directive {
        let unit = Unit::Memory;
        Directive::new(name, Kind::Number(field, Range { min, max, unit }), doc)
    }

    pub(crate) const fn text(
        name: &'static str,
        field: Field<String>,
        doc: &'static str,
    ) -> Directive {
        Directive::new(name, Kind::Text(field), doc)
    }

    pub(crate) const fn optional(
        name: &'static str,
        field: Field<Option<String>>,
        doc: &'static str,
    ) -> Directive {
        Directive::new(name, Kind::OptionalText(field), doc)
    }

    pub(crate) const fn choice(
        name: &'static str,
        words: &'static [&'static str],
        get: fn(&Settings) -> &'static str,
        set: fn(&mut Settings, &str) -> bool,
        doc: &'static str,
    ) -> Directive {
        Directive::new(name, Kind::Choice { words, get, set }, doc)
    }

    pub(crate) const fn special(
        name: &'static str,
        special: Special,
        doc: &'static str,
    ) -> Directive {
        Directive::new(name, Kind::Special(special), doc)
    }

    /// One that has no field: its text is kept, and reported.
    pub(crate) const fn kept(
        name: &'static str,
        shape: Shape,
        default: &'static str,
        doc: &'static str,
    ) -> Directive {
        Directive::new(name, Kind::Kept(shape, default), doc)
    }

    pub(crate) const fn alias(mut self, alias: &'static str) -> Directive {
        self.alias = Some(alias);
        self
    }

    pub(crate) const fn immutable(mut self) -> Directive {
        self.immutable = true;
        self
    }

    pub(crate) const fn sensitive(mut self) -> Directive {
        self.sensitive = true;
        self
    }

    pub(crate) const fn protected(mut self) -> Directive {
        self.protected = true;
        self
    }

    pub(crate) const fn hidden(mut self) -> Directive {
        self.hidden = true;
        self
    }

    pub(crate) const fn deny_loading(mut self) -> Directive {
        self.deny_loading = true;
        self
    }

    pub(crate) const fn many_words(mut self) -> Directive {
        self.many_words = true;
        self
    }

    pub(crate) const fn ours(mut self) -> Directive {
        self.ours = true;
        self
    }

    pub(crate) const fn file_only(mut self) -> Directive {
        self.file_only = true;
        self
    }

    pub(crate) const fn check(mut self, check: Check) -> Directive {
        self.check = Some(check);
        self
    }

    pub(crate) const fn inert(mut self, why: &'static str) -> Directive {
        self.support = Support::Inert(why);
        self
    }

    pub(crate) const fn only(mut self, value: &'static str, why: &'static str) -> Directive {
        self.support = Support::Only(value, why);
        self
    }

    /// Whether several lines of a file add up.
    pub(crate) fn adds_up(&self) -> bool {
        matches!(self.kind, Kind::Special(s) if s.adds_up)
    }

    /// Sets the value from a line's words. The error is Redis's text for it; the settings are then as before
    /// (a special one may have taken nothing).
    pub(crate) fn set(&self, settings: &mut Settings, words: &[&str]) -> Result<(), String> {
        if !self.many_words && words.len() != 1 {
            return Err("wrong number of arguments".into());
        }
        if let (Some(check), [word]) = (self.check, words) {
            check(word)?;
        }
        if let Support::Only(value, why) = self.support {
            self.check_shape(words)?;
            if !words.join(" ").eq_ignore_ascii_case(value) {
                return Err(format!("only '{value}' is possible in this version: {why}"));
            }
        }
        let word = words.first().copied().unwrap_or_default();
        match self.kind {
            Kind::YesNo(field) => *(field.of_mut)(settings) = yes_no(word)?,
            Kind::Number(field, range) => (field.set)(settings, range.parse(word)?),
            Kind::Text(field) => *(field.of_mut)(settings) = word.to_owned(),
            Kind::OptionalText(field) => {
                *(field.of_mut)(settings) = (!word.is_empty()).then(|| word.to_owned());
            }
            Kind::Choice { words, set, .. } => {
                if !set(settings, word) {
                    return Err(not_one_of(words));
                }
            }
            Kind::Special(special) => (special.set)(settings, words)?,
            Kind::Kept(_, default) => {
                let text = self.check_shape(words)?;
                if text == default {
                    settings.stored.remove(self.name);
                } else {
                    settings.stored.insert(self.name, text);
                }
            }
        }
        Ok(())
    }

    /// The text of a kept directive in its canonical form; for others only the check.
    fn check_shape(&self, words: &[&str]) -> Result<String, String> {
        let Kind::Kept(shape, _) = self.kind else {
            return Ok(String::new());
        };
        let word = words.first().copied().unwrap_or_default();
        Ok(match shape {
            Shape::YesNo => yes_no_word(yes_no(word)?).to_owned(),
            Shape::Number(range) => range.show(range.parse(word)?),
            Shape::Text => words.join(" "),
            Shape::Choice(words) => words
                .iter()
                .find(|w| w.eq_ignore_ascii_case(word))
                .ok_or_else(|| not_one_of(words))?
                .to_string(),
        })
    }

    /// The value as CONFIG GET shows it.
    pub(crate) fn get(&self, settings: &Settings) -> String {
        match self.kind {
            Kind::YesNo(field) => yes_no_word(*(field.of)(settings)).into(),
            Kind::Number(field, range) => range.show((field.get)(settings)),
            Kind::Text(field) => (field.of)(settings).clone(),
            Kind::OptionalText(field) => (field.of)(settings).clone().unwrap_or_default(),
            Kind::Choice { get, .. } => get(settings).into(),
            Kind::Special(special) => (special.get)(settings),
            Kind::Kept(_, default) => settings
                .stored
                .get(self.name)
                .map_or(default, String::as_str)
                .into(),
        }
    }

    /// Whether the value is the default.
    pub(crate) fn is_default(&self, settings: &Settings, defaults: &Settings) -> bool {
        self.get(settings) == self.get(defaults)
    }

    /// The lines that a redis.conf holds for the value, each without the directive's name.
    pub(crate) fn lines(&self, settings: &Settings) -> Vec<String> {
        match self.kind {
            Kind::Special(special) => (special.lines)(settings),
            Kind::Number(field, range) => vec![range.show_short((field.get)(settings))],
            Kind::OptionalText(field) => (field.of)(settings)
                .iter()
                .map(|text| super::words::quote(text))
                .collect(),
            Kind::Text(_) | Kind::Kept(Shape::Text, _) => {
                vec![super::words::quote(&self.get(settings))]
            }
            _ => vec![self.get(settings)],
        }
    }

    /// A note for the log when a directive without effect was given a value of its own.
    pub(crate) fn note(&self, settings: &Settings, defaults: &Settings) -> Option<String> {
        match self.support {
            Support::Inert(why) if !self.is_default(settings, defaults) => Some(format!(
                "directive '{}' is accepted but has no effect: {why}",
                self.name
            )),
            _ => None,
        }
    }
}

impl Range {
    pub(crate) const fn plain(min: i128, max: i128) -> Range {
        Range {
            min,
            max,
            unit: Unit::Plain,
        }
    }

    pub(crate) const fn memory(min: i128, max: i128) -> Range {
        Range {
            min,
            max,
            unit: Unit::Memory,
        }
    }

    /// A number in this unit and range, or Redis's text of what is wrong.
    pub(crate) fn parse(&self, word: &str) -> Result<i128, String> {
        let value = match self.unit {
            Unit::Plain => crate::text::parse_int(word.as_bytes())
                .map(i128::from)
                .ok_or("argument couldn't be parsed into an integer")?,
            Unit::Memory => parse_memory(word).ok_or("argument must be a memory value")?,
            Unit::MemoryOrPercent => parse_memory(word)
                .or_else(|| parse_percent(word))
                .ok_or("argument must be a memory or percent value")?,
            Unit::Octal => i128::from_str_radix(word, 8)
                .map_err(|_| "argument couldn't be parsed as an octal number")?,
        };
        if self.unit == Unit::MemoryOrPercent && value < 0 {
            if value < self.min {
                return Err(format!(
                    "percentage argument must be less or equal to {}",
                    -self.min
                ));
            }
        } else if value < self.min || value > self.max {
            let (min, max) = (self.min, self.max);
            return Err(match self.unit {
                Unit::Octal => format!("argument must be between {min:o} and {max:o} inclusive"),
                _ => format!("argument must be between {min} and {max} inclusive"),
            });
        }
        Ok(value)
    }

    /// As CONFIG GET shows it.
    pub(crate) fn show(&self, value: i128) -> String {
        match self.unit {
            Unit::Octal => format!("{value:o}"),
            Unit::MemoryOrPercent if value < 0 => format!("{}%", -value),
            _ => value.to_string(),
        }
    }

    /// As a file shows it: bytes in the largest unit that divides them.
    pub(crate) fn show_short(&self, value: i128) -> String {
        match self.unit {
            Unit::Memory | Unit::MemoryOrPercent if value > 0 => show_memory(value),
            _ => self.show(value),
        }
    }
}

/// Bytes in the largest of gb, mb, kb that divides them.
pub(crate) fn show_memory(bytes: i128) -> String {
    for (suffix, unit) in [("gb", 1 << 30), ("mb", 1 << 20), ("kb", 1 << 10)] {
        if bytes != 0 && bytes % unit == 0 {
            return format!("{}{suffix}", bytes / unit);
        }
    }
    bytes.to_string()
}

/// A number of bytes, with or without a unit: b, k (1000), kb (1024), m, mb, g, gb.
pub(crate) fn parse_memory(word: &str) -> Option<i128> {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = word.split_at(digits);
    let unit: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    // No digits at all mean 0, as in Redis.
    let number = if number.is_empty() { "0" } else { number };
    let bytes = number.parse::<u64>().ok()?.checked_mul(unit)?;
    Some(i128::from(bytes))
}

fn parse_percent(word: &str) -> Option<i128> {
    let percent = crate::text::parse_int(word.strip_suffix('%')?.as_bytes())?;
    (percent >= 0).then_some(-i128::from(percent))
}

fn yes_no(word: &str) -> Result<bool, String> {
    if word.eq_ignore_ascii_case("yes") {
        Ok(true)
    } else if word.eq_ignore_ascii_case("no") {
        Ok(false)
    } else {
        Err("argument must be 'yes' or 'no'".into())
    }
}

fn yes_no_word(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// The text for a word that isn't among those possible.
pub(crate) fn not_one_of(words: &[&str]) -> String {
    format!(
        "argument(s) must be one of the following: {}",
        words.join(", ")
    )
}

/// The field of [`Settings`] at a path.
macro_rules! at {
    ($($path:tt).+) => {
        $crate::config::directive::Field {
            of: |settings| &settings.$($path).+,
            of_mut: |settings| &mut settings.$($path).+,
        }
    };
}

/// The number in [`Settings`] at a path. The cast is exact: the directive's range fits the field's type,
/// which a test over the whole table checks.
macro_rules! number_at {
    ($($path:tt).+) => {
        $crate::config::directive::NumberField {
            get: |settings| settings.$($path).+ as i128,
            set: |settings, value| settings.$($path).+ = value as _,
        }
    };
}

/// A choice's words, getter and setter.
macro_rules! choice_at {
    ($name:literal, $choice:ident, $field:ident, $doc:literal) => {
        $crate::config::directive::Directive::choice(
            $name,
            $crate::config::$choice::WORDS,
            |settings| settings.$field.word(),
            |settings, word| match $crate::config::$choice::from_word(word) {
                Some(value) => {
                    settings.$field = value;
                    true
                }
                None => false,
            },
            $doc,
        )
    };
}

pub(super) use {at, choice_at, number_at};
