//! Function libraries: what a library's first line says, which functions it has registered, and the set of all.
//!
//! A set ([`Libraries`]) never changes: a command makes a new one, all or nothing, and puts it in the old one's place
//! with every shard entered. So it is part of the dataset as keys are: a snapshot's cut finds it where it finds the log.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::cache::Reach;
use super::flags::{ScriptFlags, words};
use crate::resp::reply::error_text;

/// Tells libraries apart in the Lua states that have loaded them.
static IDS: AtomicU64 = AtomicU64::new(1);

/// Why a library can't be had, in Redis's words without a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadLibrary(pub(crate) String);

impl fmt::Display for BadLibrary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for BadLibrary {
    fn from(text: &str) -> BadLibrary {
        BadLibrary(text.into())
    }
}

const BAD_NAME: &str = "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long";

/// A registered function.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: Arc<str>,
    pub(crate) description: Option<Vec<u8>>,
    pub(crate) flags: ScriptFlags,
    pub(crate) reach: Reach,
}

impl Function {
    /// # Errors
    ///
    /// If it can't be called so.
    pub(crate) fn new(
        name: &[u8],
        description: Option<Vec<u8>>,
        flags: ScriptFlags,
    ) -> Result<Function, BadLibrary> {
        Ok(Function {
            name: name_of(name)?.into(),
            description,
            flags,
            reach: Reach::default(),
        })
    }
}

fn name_of(text: &[u8]) -> Result<String, BadLibrary> {
    let is_fit = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    match std::str::from_utf8(text) {
        Ok(name) if !name.is_empty() && text.iter().all(is_fit) => Ok(name.to_owned()),
        _ => Err(BAD_NAME.into()),
    }
}

/// The first line of a library, and the text.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: Bytes,
    /// Where the code begins, with the first line's end.
    code: usize,
}

impl Source {
    /// Reads the first line: `#!lua name=mylib`.
    pub(crate) fn read(text: &[u8]) -> Result<Source, BadLibrary> {
        if !text.starts_with(b"#!") {
            return Err("Missing library metadata".into());
        }
        let Some(code) = memchr::memchr(b'\n', text) else {
            return Err("Invalid library metadata".into());
        };
        let words = words(&text[..code]).unwrap_or_default();
        let Some((engine, options)) = words.split_first() else {
            return Err("Invalid library metadata".into());
        };
        let mut name = None;
        for option in options {
            let (key, value) = option.split_at(option.len().min(5));
            if !key.eq_ignore_ascii_case(b"name=") {
                let option = error_text(option);
                return Err(BadLibrary(format!(
                    "Invalid metadata value given: {option}"
                )));
            }
            if name.replace(value).is_some() {
                let text = "Invalid metadata value, name argument was given multiple times";
                return Err(text.into());
            }
        }
        let Some(name) = name else {
            return Err("Library name was not given".into());
        };
        let name = name_of(name)?;
        let engine = engine.get(2..).unwrap_or_default();
        if !engine.eq_ignore_ascii_case(b"lua") {
            let engine = error_text(engine);
            return Err(BadLibrary(format!("Engine '{engine}' not found")));
        }
        Ok(Source {
            name,
            text: Bytes::copy_from_slice(text),
            code,
        })
    }

    pub(crate) fn code(&self) -> &[u8] {
        &self.text[self.code..]
    }
}

/// A library that has been loaded.
#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) id: u64,
    pub(crate) source: Source,
    /// By name.
    pub(crate) functions: BTreeMap<String, Arc<Function>>,
    /// It is no part of the set any more.
    gone: AtomicBool,
}

impl Library {
    pub(crate) fn new(source: Source, functions: BTreeMap<String, Arc<Function>>) -> Library {
        Library {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            source,
            functions,
            gone: AtomicBool::new(false),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.source.name
    }

    /// Whether Lua states may forget it.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    fn bytes(&self) -> usize {
        let functions = self.functions.values().map(|f| {
            let description = f.description.as_ref().map_or(0, Vec::len);
            f.name.len() + description + size_of::<Function>()
        });
        self.source.text.len() + self.name().len() + functions.sum::<usize>()
    }
}

/// Names up to so long are looked up without memory of their own.
const NAME_USUAL_BYTES: usize = 32;

/// A function's name in lower case.
type LowerCase = SmallVec<[u8; NAME_USUAL_BYTES]>;

fn lower_case(name: &[u8]) -> LowerCase {
    let mut name = LowerCase::from_slice(name);
    name.make_ascii_lowercase();
    name
}

/// The libraries of a node. See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Libraries {
    by_name: BTreeMap<String, Arc<Library>>,
    /// By the functions' names in lower case: FCALL takes them in any case.
    functions: HashMap<LowerCase, (Arc<Library>, Arc<Function>)>,
}

impl Libraries {
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Library>> {
        self.by_name.get(name)
    }

    /// A function and its library.
    pub(crate) fn function(&self, name: &[u8]) -> Option<(&Arc<Library>, &Arc<Function>)> {
        let (library, function) = self.functions.get(&lower_case(name))?;
        Some((library, function))
    }

    /// Adds a library, in the place of one of its name if `replace`.
    pub(crate) fn add(&mut self, library: Arc<Library>, replace: bool) -> Result<(), BadLibrary> {
        let name = library.name().to_owned();
        if let Some(old) = self.by_name.get(&name) {
            if !replace {
                return Err(BadLibrary(format!("Library '{name}' already exists")));
            }
            for function in old.functions.keys() {
                self.functions.remove(&lower_case(function.as_bytes()));
            }
        }
        for (name, function) in &library.functions {
            let found = (library.clone(), function.clone());
            let known = self.functions.insert(lower_case(name.as_bytes()), found);
            if known.is_some() {
                return Err(BadLibrary(format!("Function {name} already exists")));
            }
        }
        self.by_name.insert(name, library);
        Ok(())
    }

    /// Takes a library out. False: there is none.
    pub(crate) fn remove(&mut self, name: &[u8]) -> bool {
        let Some(old) = std::str::from_utf8(name)
            .ok()
            .and_then(|name| self.by_name.remove(name))
        else {
            return false;
        };
        for function in old.functions.keys() {
            self.functions.remove(&lower_case(function.as_bytes()));
        }
        true
    }

    /// Another set takes this one's place: what it doesn't hold is gone.
    pub(crate) fn note_gone(&self, new: &Libraries) {
        for library in self.by_name.values() {
            let kept = new.get(library.name());
            if !kept.is_some_and(|kept| Arc::ptr_eq(kept, library)) {
                library.gone.store(true, Ordering::Release);
            }
        }
    }

    /// By name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Library>> {
        self.by_name.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(crate) fn functions(&self) -> usize {
        self.functions.len()
    }

    /// About how many bytes they take, without Lua's.
    pub(crate) fn memory(&self) -> usize {
        self.iter().map(|library| library.bytes()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(name: &str, functions: &[&str]) -> Arc<Library> {
        let text = format!("#!lua name={name}\n");
        let named = functions.iter().map(|name| {
            let function = Function::new(name.as_bytes(), None, ScriptFlags::NONE).unwrap();
            ((*name).to_owned(), Arc::new(function))
        });
        let source = Source::read(text.as_bytes()).unwrap();
        Arc::new(Library::new(source, named.collect()))
    }

    #[test]
    fn first_lines() {
        for (text, error) in [
            ("return 1", "Missing library metadata"),
            ("#!lua name=a", "Invalid library metadata"),
            ("#!lua name='a\n", "Invalid library metadata"),
            ("#!lua\n", "Library name was not given"),
            ("#!lua name=a-b\n", BAD_NAME),
            ("#!lua name=\n", BAD_NAME),
            ("#!js name=a\n", "Engine 'js' not found"),
            ("#! name=a\n", "Engine '' not found"),
            ("#!lua name=a x=b\n", "Invalid metadata value given: x=b"),
            (
                "#!lua name=a name=b\n",
                "Invalid metadata value, name argument was given multiple times",
            ),
        ] {
            let got = Source::read(text.as_bytes()).map(|source| source.name);
            assert_eq!(got, Err(error.into()), "{text}");
        }
        let source = Source::read(b"#!LUA NAME=lib\nreturn 1").unwrap();
        assert_eq!(
            (source.name.as_str(), source.code()),
            ("lib", &b"\nreturn 1"[..])
        );
    }

    #[test]
    fn names_do_not_collide() {
        let mut libraries = Libraries::default();
        libraries.add(library("a", &["f", "g"]), false).unwrap();
        let error = |result: Result<(), BadLibrary>| result.unwrap_err().0;
        let mut trial = libraries.clone();
        assert_eq!(
            error(trial.add(library("a", &["f"]), false)),
            "Library 'a' already exists"
        );
        assert_eq!(
            error(trial.add(library("b", &["F"]), false)),
            "Function F already exists"
        );
        let old = libraries.clone();
        libraries.add(library("a", &["h"]), true).unwrap();
        old.note_gone(&libraries);
        assert!(old.get("a").unwrap().is_gone());
        assert!(libraries.function(b"f").is_none());
        assert_eq!(&*libraries.function(b"H").unwrap().1.name, "h");
        assert_eq!((libraries.len(), libraries.functions()), (1, 1));
        assert!(libraries.remove(b"a") && !libraries.remove(b"a"));
        assert_eq!((libraries.len(), libraries.functions()), (0, 0));
    }
}
