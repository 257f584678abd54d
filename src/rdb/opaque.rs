//! What a dump holds beside keys: the texts of function libraries, and data that modules keep in no key, which this
//! node can't use. It is written as it came, so that neither the node's own dumps nor its replicas lose it.
//!
//! Invariant: all of it together takes at most [`BYTES_MAX`]; a dump that holds more is refused.

use std::fmt;

use super::error::Fault;
use super::format::{module, module_name, opcode};
use super::source::{BUFFER_BYTES, Source};
use super::writer::{Encoder, length};

/// Bytes that are kept at most.
pub(crate) const BYTES_MAX: usize = 64 << 20;

/// How Redis numbers the place of a module's data: before the keys, behind them.
const BEHIND_KEYS: u64 = 2;

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

    /// The name of the first library that is also in `other`.
    pub fn first_of_both(&self, other: &Opaque) -> Option<Vec<u8>> {
        let names = self.libraries.iter().map(|text| library_name(text));
        let known = |name: &Option<&[u8]>| other.place_of(*name).is_some();
        names.filter(known).flatten().next().map(<[u8]>::to_vec)
    }

    fn place_of(&self, name: Option<&[u8]>) -> Option<usize> {
        let name = name?;
        let mut names = self.libraries.iter().map(|library| library_name(library));
        names.position(|other| other == Some(name))
    }

    /// Puts a library in the place of the one of its name, or behind the others.
    pub fn put_library(&mut self, text: &[u8]) -> Result<(), String> {
        match self.place_of(library_name(text)) {
            Some(place) => {
                let old = std::mem::take(&mut self.libraries[place]);
                if let Err(error) = self.check(text.len(), "function libraries") {
                    self.libraries[place] = old;
                    return Err(error);
                }
                self.libraries[place] = text.into();
                Ok(())
            }
            None => self.add_library(text),
        }
    }

    /// False: there is none of that name.
    pub fn remove_library(&mut self, name: &[u8]) -> bool {
        let place = self.place_of(Some(name));
        if let Some(place) = place {
            self.libraries.remove(place);
        }
        place.is_some()
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
    /// What can't be used, as in "AUX data of module \"ft_index0\"".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, aux) in self.module_aux.iter().enumerate() {
            let joint = if at > 0 { " and " } else { "" };
            write!(f, "{joint}AUX data of module \"{}\"", aux.module)?;
        }
        Ok(())
    }
}

/// A library's name, which its first line tells: `#!lua name=mylib`.
pub(crate) fn library_name(text: &[u8]) -> Option<&[u8]> {
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

/// FUNCTION DUMP's payload.
pub(crate) fn write_functions(libraries: &[Box<[u8]>], compression: bool) -> Vec<u8> {
    let mut encoder = Encoder::new(compression);
    let mut out = Vec::new();
    for library in libraries {
        out.push(opcode::FUNCTION2);
        encoder.string(&mut out, library);
    }
    super::payload::finish(&mut out);
    out
}

/// The libraries of FUNCTION DUMP's payload; the error is worded as Redis words it.
pub(crate) fn read_functions(payload: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let body = super::payload::body(payload).ok_or("DUMP payload version or checksum are wrong")?;
    let mut source = Source::with_buffer(body, false, body.len().min(BUFFER_BYTES));
    let mut libraries = Vec::new();
    while source.offset() < body.len() as u64 {
        match source.byte() {
            Ok(opcode::FUNCTION2) => {}
            Ok(opcode::FUNCTION_PRE_GA) => return Err("Pre-GA function format not supported"),
            Ok(_) => return Err("given type is not a function"),
            Err(_) => return Err("can not read data type"),
        }
        let mut text = Vec::new();
        source
            .text_to(&mut text)
            .map_err(|_| "Failed loading library code")?;
        libraries.push(text);
    }
    Ok(libraries)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn libraries_are_put_by_name_and_exchanged() {
        let (a, b, b2) = (library("a", "x"), library("b", "x"), library("b", "y"));
        let mut opaque = Opaque::default();
        for text in [&a, &b, &b2] {
            opaque.put_library(text).unwrap();
        }
        assert_eq!(names(&opaque), ["a", "b"]);
        assert_eq!(*opaque.libraries[1], *b2);
        let mut payload = write_functions(&opaque.libraries, true);
        assert_eq!(read_functions(&payload), Ok(vec![a, b2]));
        assert!(opaque.remove_library(b"a") && !opaque.remove_library(b"a"));
        assert_eq!(names(&opaque), ["b"]);
        payload[3] ^= 1;
        let wrong = "DUMP payload version or checksum are wrong";
        assert_eq!(read_functions(&payload), Err(wrong));
        assert_eq!(read_functions(b"x"), Err(wrong));
        assert_eq!(read_functions(&write_functions(&[], true)), Ok(vec![]));
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
    }
}
