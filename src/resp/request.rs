//! The request parser: every complete command in a read buffer, as slices of it. (being written)
