//! What a dump holds beside keys and this node can't use: function libraries, and data that modules keep in no
//! key. It is kept as it came and written again, so that neither the node's own dumps nor its replicas lose it.
//!
//! Invariant: all of it together takes at most [`BYTES_MAX`]; a dump that holds more is refused.

use std::fmt;

use super::error::Fault;
use super::format::{VALKEY_VERSIONS, module, module_name, opcode};
use super::source::{BUFFER_BYTES, Source};
use super::writer::{Encoder, length};

/// Bytes that are kept at most.
pub const BYTES_MAX: usize = 64 << 20;

/// How Redis numbers the place of a module's data: before the keys, behind them.
const BEHIND_KEYS: u64 = 2;
/// Version and checksum of FUNCTION DUMP's payload, bytes.
const FOOTER_BYTES: usize = 10;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opaque {
    /// Source texts, in the dump's order.
    pub libraries: Vec<Box<[u8]>>,
    pub module_aux: Vec<ModuleAux>,
}

/// Data of one module that is in no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleAux {
    /// The module type's name.
    pub module: String,
    behind_keys: bool,
    /// Id and parts, as in a dump, without the opcode.
    bytes: Box<[u8]>,
}

impl ModuleAux {
    /// Reads it, behind the opcode. What it means is the module's secret; the end of each part is not.
    pub(super) fn read<R: std::io::Read>(source: &mut Source<R>) -> Result<ModuleAux, Fault> {
        let id = source.length()?;
        let module = module_name(id);
        let mut bytes = Vec::new();
        length(&mut bytes, id);
        let mut place = None;
        loop {
            let part = source.length()?;
            length(&mut bytes, part);
            match part {
                module::END => break,
                module::SIGNED | module::UNSIGNED => {
                    let value = source.length()?;
                    length(&mut bytes, value);
                    place.get_or_insert(value);
                }
                module::FLOAT => bytes.extend_from_slice(&source.array::<4>()?),
                module::DOUBLE => bytes.extend_from_slice(&source.array::<8>()?),
                module::STRING => source.text()?.with(|text| {
                    length(&mut bytes, text.len() as u64);
                    bytes.extend_from_slice(text);
                }),
                _ => return Err(Fault::Corrupt("module data")),
            }
            if bytes.len() > BYTES_MAX {
                return Err(Fault::Unsupported(format!(
                    "AUX data of module \"{module}\" over 64 MB"
                )));
            }
        }
        Ok(ModuleAux {
            module,
            behind_keys: place == Some(BEHIND_KEYS),
            bytes: bytes.into(),
        })
    }
}

impl Opaque {
    pub fn is_empty(&self) -> bool {
        self.libraries.is_empty() && self.module_aux.is_empty()
    }

    /// Only the libraries.
    pub fn functions_only(&self) -> Opaque {
        Opaque {
            libraries: self.libraries.clone(),
            module_aux: Vec::new(),
        }
    }

    fn bytes(&self) -> usize {
        let aux = self.module_aux.iter().map(|aux| aux.bytes.len());
        self.libraries.iter().map(|l| l.len()).chain(aux).sum()
    }

    /// Adds what a dump holds; the error says which is too much.
    pub fn add_library(&mut self, text: &[u8]) -> Result<(), String> {
        self.check(text.len(), "function libraries")?;
        self.libraries.push(text.into());
        Ok(())
    }

    /// As [`Opaque::add_library`].
    pub fn add_aux(&mut self, aux: ModuleAux) -> Result<(), String> {
        self.check(
            aux.bytes.len(),
            &format!("AUX data of module \"{}\"", aux.module),
        )?;
        self.module_aux.push(aux);
        Ok(())
    }

    fn check(&self, more: usize, what: &str) -> Result<(), String> {
        match self.bytes().saturating_add(more) > BYTES_MAX {
            true => Err(format!(
                "the dump holds {what} beyond the 64 MB that can be kept"
            )),
            false => Ok(()),
        }
    }

    /// Adds what isn't here yet: libraries by name, other data by module and place.
    pub fn add_missing(&mut self, other: &Opaque) {
        for library in &other.libraries {
            if self.place_of(library_name(library)).is_none() {
                self.libraries.push(library.clone());
            }
        }
        for aux in &other.module_aux {
            let is_same =
                |a: &ModuleAux| a.module == aux.module && a.behind_keys == aux.behind_keys;
            if !self.module_aux.iter().any(is_same) {
                self.module_aux.push(aux.clone());
            }
        }
    }

    fn place_of(&self, name: Option<&[u8]>) -> Option<usize> {
        let name = name?;
        let mut names = self.libraries.iter().map(|library| library_name(library));
        names.position(|other| other == Some(name))
    }

    /// What FUNCTION LOAD, DELETE, FLUSH or RESTORE of a master's stream makes of the libraries. The master has
    /// checked it, so a library of the same name is replaced. None: it is not understood.
    pub fn after_command(&self, args: &[&[u8]]) -> Option<Opaque> {
        let is = |arg: &[u8], word: &str| arg.eq_ignore_ascii_case(word.as_bytes());
        let mut new = self.clone();
        match args {
            [_, sub, options @ .., text] if is(sub, "load") => {
                if !matches!(options, [] | [_]) {
                    return None;
                }
                new.put(text)?;
            }
            [_, sub, name] if is(sub, "delete") => {
                if let Some(place) = new.place_of(Some(name)) {
                    new.libraries.remove(place);
                }
            }
            [_, sub] | [_, sub, _] if is(sub, "flush") => new.libraries.clear(),
            [_, sub, payload, policy @ ..] if is(sub, "restore") => {
                if policy.first().is_some_and(|policy| is(policy, "flush")) {
                    new.libraries.clear();
                }
                for library in libraries_of(payload)? {
                    new.put(&library)?;
                }
            }
            _ => return None,
        }
        (new.bytes() <= BYTES_MAX).then_some(new)
    }

    fn put(&mut self, library: &[u8]) -> Option<()> {
        match self.place_of(Some(library_name(library)?)) {
            Some(place) => self.libraries[place] = library.into(),
            None => self.libraries.push(library.into()),
        }
        Some(())
    }

    /// What stands before the keys of a dump.
    pub(super) fn write_before(&self, encoder: &mut Encoder, out: &mut Vec<u8>) {
        self.write_aux(false, out);
        for library in &self.libraries {
            out.push(opcode::FUNCTION2);
            encoder.string(out, library);
        }
    }

    /// What stands behind them.
    pub(super) fn write_behind(&self, out: &mut Vec<u8>) {
        self.write_aux(true, out);
    }

    fn write_aux(&self, behind_keys: bool, out: &mut Vec<u8>) {
        for aux in self
            .module_aux
            .iter()
            .filter(|aux| aux.behind_keys == behind_keys)
        {
            out.push(opcode::MODULE_AUX);
            out.extend_from_slice(&aux.bytes);
        }
    }
}

impl fmt::Display for Opaque {
    /// As in "2 function libraries and AUX data of module \"ft_index0\"".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.libraries.len();
        if count > 0 {
            let plural = if count == 1 { "library" } else { "libraries" };
            write!(f, "{count} function {plural}")?;
        }
        for (at, aux) in self.module_aux.iter().enumerate() {
            let joint = if at > 0 || count > 0 { " and " } else { "" };
            write!(f, "{joint}AUX data of module \"{}\"", aux.module)?;
        }
        Ok(())
    }
}

/// A library's name, which its first line tells: `#!lua name=mylib`.
pub fn library_name(text: &[u8]) -> Option<&[u8]> {
    let line = text
        .split(|byte| *byte == b'\n')
        .next()?
        .strip_prefix(b"#!")?;
    let mut words = line.split(u8::is_ascii_whitespace).skip(1);
    words.find_map(|word| {
        let (key, name) = word.split_at_checked(b"name=".len())?;
        (key.eq_ignore_ascii_case(b"name=") && !name.is_empty()).then_some(name)
    })
}

/// The libraries of FUNCTION DUMP's payload.
fn libraries_of(payload: &[u8]) -> Option<Vec<Vec<u8>>> {
    let body = payload.get(..payload.len().checked_sub(FOOTER_BYTES)?)?;
    let version = u16::from_le_bytes(payload[body.len()..][..2].try_into().ok()?);
    if u32::from(version) > super::format::NEWEST_VERSION
        && !VALKEY_VERSIONS.contains(&version.into())
    {
        return None;
    }
    let mut source = Source::with_buffer(body, false, body.len().min(BUFFER_BYTES));
    let mut libraries = Vec::new();
    while source.offset() < body.len() as u64 {
        if source.byte().ok()? != opcode::FUNCTION2 {
            return None;
        }
        let mut text = Vec::new();
        source.text_to(&mut text).ok()?;
        libraries.push(text);
    }
    Some(libraries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rdb::crc64::crc64;

    fn library(name: &str, body: &str) -> Vec<u8> {
        format!("#!lua name={name}\nredis.register_function('{body}', function() end)").into_bytes()
    }

    fn names(opaque: &Opaque) -> Vec<&str> {
        let names = opaque.libraries.iter().filter_map(|l| library_name(l));
        names.map(|name| str::from_utf8(name).unwrap()).collect()
    }

    #[test]
    fn names_of_libraries() {
        for (text, name) in [
            (&b"#!lua name=mylib\nx"[..], Some(&b"mylib"[..])),
            (b"#!js  NAME=a\r\nx", Some(b"a")),
            (b"#!lua name=a", Some(b"a")),
            (b"#!lua\nname=a", None),
            (b"#!lua name=\n", None),
            (b"lua name=a", None),
            (b"", None),
        ] {
            assert_eq!(library_name(text), name, "{:?}", text.escape_ascii());
        }
    }

    #[test]
    fn the_streams_commands_change_what_is_kept() {
        let (a, b, b2) = (library("a", "x"), library("b", "x"), library("b", "y"));
        let mut opaque = Opaque::default();
        let mut run = |args: &[&[u8]]| {
            opaque = opaque.after_command(args)?;
            Some(names(&opaque).join(" "))
        };
        assert_eq!(run(&[b"FUNCTION", b"LOAD", &a]).as_deref(), Some("a"));
        assert_eq!(
            run(&[b"function", b"load", b"REPLACE", &b]).as_deref(),
            Some("a b")
        );
        assert_eq!(
            run(&[b"FUNCTION", b"LOAD", b"REPLACE", &b2]).as_deref(),
            Some("a b")
        );
        assert_eq!(run(&[b"FUNCTION", b"DELETE", b"a"]).as_deref(), Some("b"));
        let mut payload = vec![opcode::FUNCTION2];
        Encoder::new(true).string(&mut payload, &a);
        payload.extend_from_slice(&10u16.to_le_bytes());
        payload.extend_from_slice(&crc64(&payload).to_le_bytes());
        let restored = run(&[b"FUNCTION", b"RESTORE", &payload, b"APPEND"]);
        assert_eq!(restored.as_deref(), Some("b a"));
        let restored = run(&[b"FUNCTION", b"RESTORE", &payload, b"FLUSH"]);
        assert_eq!(restored.as_deref(), Some("a"));
        assert_eq!(run(&[b"FUNCTION", b"RESTORE", b"rubbish"]), None);
        assert_eq!(run(&[b"FUNCTION", b"LOAD", b"no first line"]), None);
        assert_eq!(run(&[b"FUNCTION", b"STATS"]), None);
        assert_eq!(run(&[b"FUNCTION", b"FLUSH", b"ASYNC"]).as_deref(), Some(""));
        assert_eq!(run(&[b"FUNCTION", b"LOAD", &b]).as_deref(), Some("b"));
        assert_eq!(*opaque.libraries[0], *b);
    }

    #[test]
    fn it_is_bounded_and_named() {
        let mut opaque = Opaque::default();
        opaque.add_library(&vec![b'x'; BYTES_MAX - 1]).unwrap();
        let error = opaque.add_library(b"xx").unwrap_err();
        assert!(
            error.contains("function libraries beyond the 64 MB"),
            "{error}"
        );
        assert_eq!(opaque.to_string(), "1 function library");
    }
}
