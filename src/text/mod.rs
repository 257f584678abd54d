//! Numbers and patterns as text, and text from outside made printable: what protocol, configuration and values share.

pub(crate) mod double;
pub(crate) mod fixed;
pub(crate) mod float;
pub(crate) mod glob;
pub(crate) mod int;
pub(crate) mod long_double;
pub(crate) mod printable;
pub(crate) mod word;

pub(crate) use double::DoubleText;
pub(crate) use float::parse_double;
pub(crate) use int::parse_int;
pub(crate) use long_double::LongDouble;
pub(crate) use word::is_word;
