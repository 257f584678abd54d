//! What a script says of itself in its first line (`#!lua flags=no-writes,allow-stale`), and functions when they are
//! registered.

use std::fmt;

/// A script's flags, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScriptFlags(u8);

impl ScriptFlags {
    pub(crate) const NONE: ScriptFlags = ScriptFlags(0);
    /// It calls no command that writes.
    pub(crate) const NO_WRITES: ScriptFlags = ScriptFlags(1);
    /// It may run when memory is used up.
    pub(crate) const ALLOW_OOM: ScriptFlags = ScriptFlags(1 << 1);
    /// It may run on a replica whose master is away and that must not serve stale data.
    pub(crate) const ALLOW_STALE: ScriptFlags = ScriptFlags(1 << 2);
    /// It doesn't run in a cluster.
    pub(crate) const NO_CLUSTER: ScriptFlags = ScriptFlags(1 << 3);
    /// In a cluster, its keys may be of several slots.
    pub(crate) const ALLOW_CROSS_SLOT_KEYS: ScriptFlags = ScriptFlags(1 << 4);

    /// The names with their flags, in the order in which FUNCTION LIST shows them.
    pub(crate) const NAMES: &'static [(&'static str, ScriptFlags)] = &[
        ("no-writes", ScriptFlags::NO_WRITES),
        ("allow-oom", ScriptFlags::ALLOW_OOM),
        ("allow-stale", ScriptFlags::ALLOW_STALE),
        ("no-cluster", ScriptFlags::NO_CLUSTER),
        ("allow-cross-slot-keys", ScriptFlags::ALLOW_CROSS_SLOT_KEYS),
    ];

    pub(crate) fn has(self, other: ScriptFlags) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn with(self, other: ScriptFlags) -> ScriptFlags {
        ScriptFlags(self.0 | other.0)
    }

    /// The flag of that name.
    pub(crate) fn by_name(name: &[u8]) -> Option<ScriptFlags> {
        let mut names = ScriptFlags::NAMES.iter();
        names.find(|(n, _)| n.as_bytes() == name).map(|(_, f)| *f)
    }

    /// The names of those that are set.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        let names = ScriptFlags::NAMES.iter();
        names
            .filter(move |(_, flag)| self.has(*flag))
            .map(|(name, _)| *name)
    }
}

/// What is wrong with a first line, in Redis's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadShebang(pub(crate) String);

impl fmt::Display for BadShebang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A script's first line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shebang {
    /// None: a script without such a line, which runs as scripts did before there were flags.
    pub(crate) flags: Option<ScriptFlags>,
    /// Its bytes, without the line's end: that stays, so that lines keep their numbers.
    pub(crate) length: usize,
}

impl Shebang {
    /// Reads the line of EVAL's scripts.
    pub(crate) fn read(body: &[u8]) -> Result<Shebang, BadShebang> {
        if !body.starts_with(b"#!") {
            return Ok(Shebang::default());
        }
        let Some(length) = memchr::memchr(b'\n', body) else {
            return Err(BadShebang("Invalid script shebang".into()));
        };
        let Some(words) = words(&body[..length]) else {
            return Err(BadShebang("Invalid engine in script shebang".into()));
        };
        let shown = |word: &[u8]| crate::resp::reply::error_text(word);
        let (engine, options) = match words.split_first() {
            Some((engine, options)) => (engine, options),
            None => return Err(BadShebang("Invalid engine in script shebang".into())),
        };
        if engine != b"#!lua" {
            let engine = shown(engine);
            return Err(BadShebang(format!(
                "Unexpected engine in script shebang: {engine}"
            )));
        }
        let mut flags = ScriptFlags::NONE;
        for option in options {
            let Some(names) = option.strip_prefix(b"flags=") else {
                let option = shown(option);
                return Err(BadShebang(format!("Unknown lua shebang option: {option}")));
            };
            if names.is_empty() {
                continue;
            }
            for name in names.split(|byte| *byte == b',') {
                let Some(flag) = ScriptFlags::by_name(name) else {
                    let name = shown(name);
                    return Err(BadShebang(format!(
                        "Unexpected flag in script shebang: {name}"
                    )));
                };
                flags = flags.with(flag);
            }
        }
        Ok(Shebang {
            flags: Some(flags),
            length,
        })
    }
}

/// The words of a line, which may stand in quotes. None: a quote without its end.
pub(crate) fn words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Some(words);
        }
        let mut word = Vec::new();
        let mut quote = None;
        let mut at = 0;
        loop {
            match (rest.get(at).copied(), quote) {
                (None, Some(_)) => return None,
                (None, None) => break,
                (Some(byte), None) if byte.is_ascii_whitespace() || byte == 0 => break,
                (Some(byte @ (b'"' | b'\'')), None) => quote = Some(byte),
                (Some(byte), Some(mark)) if byte == mark => {
                    let next = rest.get(at + 1);
                    if next.is_some_and(|next| !next.is_ascii_whitespace()) {
                        return None;
                    }
                    quote = None;
                }
                (Some(byte), _) => word.push(byte),
            }
            at += 1;
        }
        words.push(word);
        rest = &rest[at..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_tells_flags() {
        let read = |text: &str| Shebang::read(text.as_bytes()).map_err(|error| error.0);
        assert_eq!(read("return 1"), Ok(Shebang::default()));
        let plain = read("#!lua\nreturn 1").unwrap();
        assert_eq!((plain.flags, plain.length), (Some(ScriptFlags::NONE), 5));
        let both = read("#!lua flags=no-writes,allow-stale\nreturn 1").unwrap();
        let names: Vec<&str> = both.flags.unwrap().names().collect();
        assert_eq!(names, ["no-writes", "allow-stale"]);
        assert!(read("#!lua flags=\nreturn 1").is_ok());
        for (text, error) in [
            ("#!lua", "Invalid script shebang"),
            ("#!lua 'a\nx", "Invalid engine in script shebang"),
            ("#!js\nx", "Unexpected engine in script shebang: #!js"),
            ("#!lua name=x\nx", "Unknown lua shebang option: name=x"),
            (
                "#!lua flags=no-writes,x\nx",
                "Unexpected flag in script shebang: x",
            ),
        ] {
            assert_eq!(read(text), Err(error.into()), "{text}");
        }
    }
}
