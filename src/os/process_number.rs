//! Process numbers in the names of temporary files: whose file it is, so that those of ended processes can be removed.

/// A process's number in decimal digits, as it is written.
pub(crate) fn process_number(digits: &str) -> Option<u32> {
    let number: u32 = digits.parse().ok()?;
    let written_so = number.to_string() == digits;
    (written_so && number > 0 && i32::try_from(number).is_ok()).then_some(number)
}
