//! Keywords among arguments.

/// Whether an argument is this keyword (given in lower case), in any case.
pub(crate) fn is_word(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}
