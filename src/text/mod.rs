//! Numbers and patterns as text, and text from outside made printable: what protocol, configuration and values share.

pub mod double;
pub mod float;
pub mod glob;
pub mod int;
pub mod long_double;
pub mod printable;
pub mod word;

pub use double::DoubleText;
pub use float::parse_double;
pub use int::parse_int;
pub use long_double::LongDouble;
pub use word::is_word;
