//! What can be wrong with a dump, and where.

use std::fmt;

/// What is wrong, without saying where.
#[derive(Debug)]
pub enum Fault {
    /// The source failed.
    Io(std::io::Error),
    /// The input ended before the dump did.
    Truncated,
    /// It does not begin with "REDIS" and four digits.
    NotRdb,
    /// A version that this reader does not know.
    Version(u32),
    /// The bytes contradict the format; says what was being read.
    Corrupt(&'static str),
    /// Well-formed as far as can be told, but nothing this node can hold; names it.
    Unsupported(String),
    /// A collection without elements. Redis once wrote such keys; a load skips them, RESTORE refuses them.
    Empty,
    /// The checksum at the end is not that of the bytes before.
    Checksum { stored: u64, computed: u64 },
    /// The loader refused what was read; its own words.
    Refused(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Io(error) => write!(f, "read failed: {error}"),
            Fault::Truncated => f.write_str("the input ends in the middle of the dump"),
            Fault::NotRdb => f.write_str("not an RDB dump (no REDIS signature)"),
            Fault::Version(version) => {
                write!(f, "RDB version {version} is not supported (1 to 12 are)")
            }
            Fault::Corrupt(what) => write!(f, "corrupt {what}: integrity check failed"),
            Fault::Unsupported(what) => write!(f, "{what} is not supported"),
            Fault::Empty => f.write_str("collection without elements"),
            Fault::Checksum { stored, computed } => {
                write!(
                    f,
                    "CRC error: checksum is {stored:016x}, the bytes give {computed:016x}"
                )
            }
            Fault::Refused(why) => f.write_str(why),
        }
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Fault {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Fault::Truncated,
            _ => Fault::Io(error),
        }
    }
}

/// A fault with its place: how many bytes of the dump had been read, and which key was being read, if any.
#[derive(Debug)]
pub struct RdbError {
    pub(crate) fault: Fault,
    /// Bytes from the start of the dump; the fault lies at or shortly before it.
    pub offset: u64,
    pub(crate) db: u64,
    pub(crate) key: Option<Vec<u8>>,
}

impl fmt::Display for RdbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RDB: {} at offset {}", self.fault, self.offset)?;
        if let Some(key) = &self.key {
            // A hostile key may be huge or binary: show what a person can use.
            const SHOWN: usize = 128;
            let shown = &key[..key.len().min(SHOWN)];
            let more = if key.len() > SHOWN { "..." } else { "" };
            write!(
                f,
                ", key \"{}\"{more} of database {}",
                shown.escape_ascii(),
                self.db
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for RdbError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            Fault::Io(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_where_and_which_key() {
        let mut error = RdbError {
            fault: Fault::Corrupt("listpack"),
            offset: 77,
            db: 3,
            key: None,
        };
        assert_eq!(
            error.to_string(),
            "RDB: corrupt listpack: integrity check failed at offset 77"
        );
        error.key = Some(b"a\0b".to_vec());
        assert_eq!(
            error.to_string(),
            "RDB: corrupt listpack: integrity check failed at offset 77, key \"a\\x00b\" of database 3"
        );
        error.key = Some(vec![b'x'; 1000]);
        assert!(error.to_string().len() < 300);
    }
}
