//! Layers: defaults, file, environment, command line, each over the one before.
//!
//! Each layer is a source of the `config` crate, which lays them over each other; the redis.conf and the
//! TOML form are formats of that crate too, so an embedding application may add either to a builder of its
//! own. A value in the crate's map is an array of words, its origin the place where it stands. Directives
//! whose lines add up (`save`) go on adding up from layer to layer, as redis-server does with flags.

use std::collections::HashMap;
use std::error::Error;

use config::{Config, ConfigError, Environment, FileStoredFormat, Format, Map, Source, Value};

use super::lines::{InvalidConfig, Line, Origin, line};
use super::{COMMAND_LINE, ENVIRONMENT, Settings, hints, redis_conf, table, toml_form, words};

/// The two forms of a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    RedisConf,
    Toml,
}

impl Form {
    /// By the file's name: `.toml` is TOML, all else redis.conf.
    pub fn of(path: &str) -> Form {
        match path.to_ascii_lowercase().ends_with(".toml") {
            true => Form::Toml,
            false => Form::RedisConf,
        }
    }

    /// A file's bytes as text.
    pub fn decode(self, source: &str, bytes: &[u8]) -> Result<String, InvalidConfig> {
        match self {
            Form::RedisConf => redis_conf::decode(source, bytes),
            Form::Toml => toml_form::decode(source, bytes),
        }
    }

    /// The lines of a text in this form.
    pub(crate) fn parse(
        self,
        source: &str,
        text: &str,
        includes: &redis_conf::Includes<'_>,
    ) -> Result<Vec<Line>, InvalidConfig> {
        match self {
            Form::RedisConf => redis_conf::parse(source, text, includes),
            Form::Toml => toml_form::parse(source, text, includes),
        }
    }
}

impl Format for Form {
    /// Without includes: they need a reader, which [`load`] takes.
    fn parse(
        &self,
        uri: Option<&String>,
        text: &str,
    ) -> Result<Map<String, Value>, Box<dyn Error + Send + Sync>> {
        let source = uri.map_or("configuration", String::as_str);
        let no_includes = |_: &str| Err("include is not possible here".to_owned());
        let lines = Form::parse(*self, source, text, &no_includes)?;
        Ok(Layer::of(&lines, None).0)
    }
}

impl FileStoredFormat for Form {
    fn file_extensions(&self) -> &'static [&'static str] {
        match self {
            Form::RedisConf => &["conf"],
            Form::Toml => &["toml"],
        }
    }
}

/// The directives of one layer, by name with underscores.
#[derive(Clone, Debug, Default)]
struct Layer(Map<String, Value>);

impl Layer {
    /// The last line of a directive wins, but where lines add up, also those of the layer below.
    fn of(lines: &[Line], below: Option<&Layer>) -> Layer {
        let mut map = Map::new();
        for line in lines {
            let key = key(line.directive.name);
            let origin = encode_origin(&line.origin);
            let mut all = Vec::new();
            if line.directive.adds_up() && line.words != [""] {
                let before = map.get(&key).or_else(|| below?.0.get(&key)).cloned();
                let before = before.map(words_of).filter(|words| *words != [""]);
                all.extend(before.into_iter().flatten());
            }
            all.extend(line.words.iter().cloned());
            let words = all
                .into_iter()
                .map(|word| Value::new(Some(&origin), word))
                .collect::<Vec<_>>();
            map.insert(key, Value::new(Some(&origin), words));
        }
        Layer(map)
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

fn key(name: &str) -> String {
    name.replace('-', "_")
}

fn words_of(value: Value) -> Vec<String> {
    let words = value.into_array().unwrap_or_default();
    words
        .into_iter()
        .filter_map(|word| word.into_string().ok())
        .collect()
}

/// The crate keeps an origin as one text.
fn encode_origin(origin: &Origin) -> String {
    format!("{}\n{}\n{}", origin.source, origin.line, origin.text)
}

fn decode_origin(text: &str) -> Origin {
    let mut parts = text.splitn(3, '\n');
    Origin {
        source: parts.next().unwrap_or_default().to_owned(),
        line: parts.next().and_then(|n| n.parse().ok()).unwrap_or(0),
        text: parts.next().unwrap_or_default().to_owned(),
    }
}

/// What a configuration is made of. Nothing here is read from the machine: the caller gives the texts.
pub struct Layers<'a> {
    /// The file's form, name and text.
    pub file: Option<(Form, &'a str, &'a str)>,
    /// What came on standard input, in redis.conf form.
    pub stdin: Option<&'a str>,
    /// The process's environment; only `UNDERSTUDY_*` counts.
    pub environment: HashMap<String, String>,
    /// The command line's directives, a line each in redis.conf form.
    pub flags: &'a str,
    /// Reads included files.
    pub includes: &'a redis_conf::Includes<'a>,
}

/// A configuration that was understood.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub settings: Settings,
    /// What the log should say about it: directives without effect, variables not understood.
    pub notes: Vec<String>,
}

/// Lays the layers over the defaults. The mistake names the place.
pub fn load(layers: Layers<'_>) -> Result<Loaded, InvalidConfig> {
    let mut notes = Vec::new();
    let mut file = match layers.file {
        Some((form, name, text)) => form.parse(name, text, layers.includes)?,
        None => Vec::new(),
    };
    if let Some(text) = layers.stdin {
        file.extend(redis_conf::parse("standard input", text, layers.includes)?);
    }
    let environment = environment(layers.environment, &mut notes)?;
    let flags = redis_conf::parse(COMMAND_LINE, layers.flags, layers.includes)?;

    let file = Layer::of(&file, None);
    let environment = Layer::of(&environment, Some(&file));
    let mut below = file.clone();
    below.0.extend(environment.0.clone());
    let flags = Layer::of(&flags, Some(&below));

    let merged = Config::builder()
        .add_source(file)
        .add_source(environment)
        .add_source(flags)
        .build()
        .and_then(|merged| merged.cache.into_table());
    let mut merged = merged.map_err(|e| {
        let origin = Origin::default();
        InvalidConfig::new(&origin, format!("layers don't merge: {e}"), "")
    })?;

    let mut settings = Settings::default();
    let mut origins = HashMap::new();
    for directive in table::all() {
        let Some(value) = merged.remove(&key(directive.name)) else {
            continue;
        };
        let origin = decode_origin(value.origin().unwrap_or_default());
        let words = words_of(value);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        directive.set(&mut settings, &words).map_err(|what| {
            let fix = hints::for_words(directive, &words, &origin);
            InvalidConfig::new(&origin, what, fix)
        })?;
        origins.insert(directive.name, origin);
    }
    settings.clamp();
    settings.check().map_err(|(name, what)| {
        let origin = origins.get(name).cloned().unwrap_or_default();
        InvalidConfig::new(&origin, what, "")
    })?;
    let defaults = Settings::default();
    notes.extend(table::all().filter_map(|d| d.note(&settings, &defaults)));
    Ok(Loaded { settings, notes })
}

/// The settings that lines make of the defaults. A directive whose lines don't go together has its default.
pub(super) fn settings_of(lines: &[Line]) -> Settings {
    let mut settings = Settings::default();
    let mut layer = Layer::of(lines, None);
    for directive in table::all() {
        if let Some(value) = layer.0.remove(&key(directive.name)) {
            let words = words_of(value);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let _ = directive.set(&mut settings, &words);
        }
    }
    settings.clamp();
    settings
}

/// The prefix of environment variables that name directives.
const PREFIX: &str = "UNDERSTUDY";

/// Whether an environment variable of this name is meant for us.
pub fn is_variable(name: &str) -> bool {
    let prefix = name.split_once('_').map(|(prefix, _)| prefix);
    prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(PREFIX))
}

/// The environment variable that gives a directive its value.
pub(crate) fn variable(name: &str) -> String {
    format!("{PREFIX}_{}", key(name).to_ascii_uppercase())
}

/// The lines of the environment. Unknown names only earn a note: container systems define variables after
/// the names of services, `UNDERSTUDY_PORT=tcp://10.0.0.1:6379` among them.
fn environment(
    variables: HashMap<String, String>,
    notes: &mut Vec<String>,
) -> Result<Vec<Line>, InvalidConfig> {
    let source = Environment::with_prefix(PREFIX).source(Some(variables));
    let mut values: Vec<(String, Value)> =
        source.collect().unwrap_or_default().into_iter().collect();
    values.sort_by(|a, b| a.0.cmp(&b.0));
    let mut lines = Vec::new();
    for (name, value) in values {
        let variable = variable(&name);
        let text = value.into_string().unwrap_or_default();
        let Some(directive) = table::find(&name) else {
            let near = table::nearest(&name, &[]);
            let hint = near.map(|near| format!("; did you mean {}?", self::variable(near)));
            notes.push(format!(
                "environment variable {variable} names no directive{}",
                hint.unwrap_or_default()
            ));
            continue;
        };
        if text.starts_with("tcp://") {
            notes.push(format!(
                "environment variable {variable} is a service's address, not a value"
            ));
            continue;
        }
        let origin = Origin {
            source: ENVIRONMENT.into(),
            line: 0,
            text: match directive.sensitive {
                true => format!("{variable} (hidden)"),
                false => format!("{variable}={text}"),
            },
        };
        lines.extend(line(&name, vec![text], origin)?);
    }
    Ok(lines)
}

/// The command line's arguments (without the program and the file) as lines in redis.conf form, by
/// redis-server's rules: an argument that begins with "--" names a directive if the one before has had a
/// value; all others are values; `--save` needs none.
pub fn flags_to_lines(arguments: &[String]) -> String {
    let mut text = String::new();
    let mut had_value = true;
    for (index, argument) in arguments.iter().enumerate() {
        let Some(name) = argument.strip_prefix("--").filter(|_| had_value) else {
            text.push_str(&words::quote(argument));
            text.push(' ');
            had_value = true;
            continue;
        };
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(name);
        text.push(' ');
        let name_alone = words::split(argument).is_some_and(|words| words.len() == 1);
        had_value = !name_alone;
        let next = arguments.get(index + 1);
        let nothing_follows = next.is_none_or(|next| next.starts_with("--"));
        if name_alone && nothing_follows && argument.eq_ignore_ascii_case("--save") {
            text.push_str("\"\"");
            had_value = true;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(arguments: &[&str]) -> String {
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        flags_to_lines(&arguments)
    }

    fn load_from(
        file: &str,
        env: &[(&str, &str)],
        arguments: &[&str],
    ) -> Result<Loaded, InvalidConfig> {
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        load(Layers {
            file: Some((Form::RedisConf, "r.conf", file)),
            stdin: None,
            environment: env.collect(),
            flags: &flags(arguments),
            includes: &|_| Err("no files here".into()),
        })
    }

    fn get(loaded: &Result<Loaded, InvalidConfig>, name: &str) -> String {
        match (loaded, table::find(name)) {
            (Ok(loaded), Some(d)) => d.get(&loaded.settings),
            (Err(mistake), _) => mistake.to_string(),
            _ => String::new(),
        }
    }

    #[test]
    fn flags_follow_redis_server() {
        for (arguments, lines) in [
            (
                &["--port", "7000", "--save"][..],
                "port \"7000\" \nsave \"\"",
            ),
            (&["--save", "--port", "1"], "save \"\"\nport \"1\" "),
            (&["--port 6380"], "port 6380 "),
            (&["--port", "--bla"], "port \"--bla\" "),
            (
                &["--replicaof", "127.0.0.1 6379"],
                "replicaof \"127.0.0.1 6379\" ",
            ),
            (
                &["loglevel", "verbose", "--port", "1"],
                "\"loglevel\" \"verbose\" \nport \"1\" ",
            ),
            (&["--save", ""], "save \"\" "),
        ] {
            assert_eq!(flags(arguments), lines, "{arguments:?}");
        }
    }

    #[test]
    fn later_layers_win_and_save_adds_up() {
        let loaded = load_from(
            "port 1\ntimeout 5\nsave 900 1\nsave 300 10",
            &[
                ("UNDERSTUDY_PORT", "2"),
                ("UNDERSTUDY_REPL_TIMEOUT", "9"),
                ("OTHER_PORT", "8"),
            ],
            &["--port", "3", "--save", "100 100"],
        );
        assert_eq!(get(&loaded, "port"), "3");
        assert_eq!(get(&loaded, "timeout"), "5");
        assert_eq!(get(&loaded, "repl-timeout"), "9");
        assert_eq!(get(&loaded, "save"), "900 1 300 10 100 100");
        let loaded = load_from("save 900 1", &[], &["--save", ""]);
        assert_eq!(get(&loaded, "save"), "");
        let loaded = load_from("save 900 1\nsave ''\nsave 5 6", &[], &[]);
        assert_eq!(get(&loaded, "save"), "5 6");
        assert_eq!(
            get(&load_from("", &[], &[]), "save"),
            "3600 1 300 100 60 10000"
        );
        let limit =
            "client-output-buffer-limit replica 0 0 0\nclient-output-buffer-limit normal 1 1 1";
        assert_eq!(
            get(&load_from(limit, &[], &[]), "client-output-buffer-limit"),
            "normal 1 1 1 slave 0 0 0 pubsub 33554432 8388608 60"
        );
    }

    #[test]
    fn the_environment_is_forgiving_about_names_only() {
        let env = [
            ("UNDERSTUDY_PORT", "tcp://10.0.0.1:6379"),
            ("UNDERSTUDY_SERVICE_HOST", "x"),
        ];
        let loaded = load_from("", &env, &[]);
        assert_eq!(get(&loaded, "port"), "6379");
        assert_eq!(
            loaded.map(|l| l.notes.len()),
            Ok(2).map_err(|(): ()| unreachable!())
        );
        let wrong = load_from("", &[("UNDERSTUDY_HZ", "often")], &[]);
        assert!(
            get(&wrong, "hz").starts_with("environment: 'UNDERSTUDY_HZ=often': argument couldn't")
        );
    }

    #[test]
    fn a_limit_with_eviction_is_refused_with_its_place() {
        let wrong = load_from("maxmemory 1gb\nmaxmemory-policy allkeys-lru", &[], &[]);
        let text = get(&wrong, "maxmemory");
        assert!(text.starts_with("r.conf, line 2: "), "{text}");
        assert!(text.contains("noeviction"), "{text}");
        assert!(load_from("maxmemory 1gb", &[], &[]).is_ok());
        assert!(load_from("maxmemory-policy allkeys-lru", &[], &[]).is_ok());
    }

    #[test]
    fn directives_without_effect_earn_a_note() {
        let loaded = load_from("io-threads 4\nappendfsync everysec", &[], &[]);
        let notes = loaded.map(|l| l.notes).unwrap_or_default();
        assert_eq!(notes.len(), 1);
        assert!(notes[0].contains("'io-threads' is accepted but has no effect"));
    }

    #[test]
    fn the_forms_serve_the_crate_too() {
        let built = Config::builder()
            .add_source(config::File::from_str("repl-timeout 7", Form::RedisConf))
            .build();
        let words = built.and_then(|c| c.get_array("repl_timeout"));
        assert_eq!(words.map(|w| w.len()).unwrap_or_default(), 1);
    }
}
