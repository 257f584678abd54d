//! What may stand where a host is named.

/// Bytes of the longest name of a host.
const HOST_MAX: usize = 255;

/// Whether a text could be a host's name or address. It stands in INFO, the log, configuration files and other
/// nodes' INFO, so nothing may be in it that means something there: line ends, blanks, commas, quotes.
pub(crate) fn is_host(text: &str) -> bool {
    let fits =
        |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%' | '[' | ']');
    (1..=HOST_MAX).contains(&text.len()) && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses() {
        for host in [
            "10.0.0.5",
            "db-1.example_net.",
            "::1",
            "fe80::1%eth0",
            "büro",
        ] {
            assert!(is_host(host), "{host}");
        }
        let long = "a".repeat(HOST_MAX + 1);
        for text in [
            "",
            " ",
            "a b",
            "a\r\nrole:slave",
            "1.2.3.4,port=1",
            "\"a\"",
            "a\0",
            "a#b",
            &long,
        ] {
            assert!(!is_host(text), "{text:?}");
        }
    }
}
