//! The command table as data. (being written)
