//! Passwords given as flags or in the environment, taken out of what the system shows of the process.
//!
//! `ps` and /proc/PID/cmdline show the arguments as they are in the process's memory, /proc/PID/environ the
//! environment it was started with. There values of sensitive directives are overwritten with '*', as many as they
//! had bytes, once they have been read. Before that, for the milliseconds of reading the configuration, they can be
//! seen; to avoid that, give them in a file or on standard input. On Linux only.

use understudy::internals::config::layers::is_variable;
use understudy::internals::config::table;

/// Overwrites the secrets. Must come before any thread is started.
pub fn hide() {
    #[cfg(target_os = "linux")]
    if let Some([arguments, environment]) = linux::regions() {
        linux::overwrite(arguments, mask_arguments);
        linux::overwrite(environment, mask_environment);
    }
}

/// Whether a word names a directive whose value must not be shown.
fn is_sensitive(word: &[u8]) -> bool {
    let directive = str::from_utf8(word).ok().and_then(table::find);
    directive.is_some_and(|directive| directive.sensitive)
}

/// `memory`: the arguments, each ended by a zero byte. What follows a sensitive name is its value: the rest of
/// the same argument, and the arguments up to the next flag, but at least one.
fn mask_arguments(memory: &mut [u8]) {
    let mut had_value = true;
    let mut is_secret = false;
    for argument in memory.split_mut(|byte| *byte == 0) {
        let is_flag = had_value && argument.starts_with(b"--");
        if !is_flag {
            if is_secret {
                argument.fill(b'*');
            }
            had_value = true;
            continue;
        }
        let mut words = argument[2..].splitn_mut(2, |byte| byte.is_ascii_whitespace());
        let name = words.next().unwrap_or_default();
        let rest = words.next().unwrap_or_default();
        is_secret = is_sensitive(name);
        had_value = !rest.trim_ascii().is_empty();
        // Lines within an argument are directives of their own.
        let mut follows = is_secret;
        for word in rest.split_mut(|byte| byte.is_ascii_whitespace()) {
            if follows {
                word.fill(b'*');
            } else if is_sensitive(word) {
                follows = true;
                is_secret = true;
            }
        }
    }
}

/// `memory`: the variables, each ended by a zero byte.
fn mask_environment(memory: &mut [u8]) {
    for variable in memory.split_mut(|byte| *byte == 0) {
        let mut parts = variable.splitn_mut(2, |byte| *byte == b'=');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
            continue;
        };
        let name = str::from_utf8(name).ok().filter(|name| is_variable(name));
        let directive = name.and_then(|name| name.split_once('_'));
        if directive.is_some_and(|(_, directive)| is_sensitive(directive.as_bytes())) {
            value.fill(b'*');
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ops::Range;

    /// More than the system lets arguments and environment be: a larger region is none.
    const REGION_MAX: usize = 64 << 20;
    /// In /proc/self/stat, counted behind the name of the program.
    const ARGUMENTS_START: usize = 45;

    /// Where arguments and environment are, as the system tells; None if it doesn't.
    pub fn regions() -> Option<[Range<usize>; 2]> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The program's name may hold anything, blanks and brackets as well.
        let (_, behind_name) = stat.rsplit_once(')')?;
        let places: Vec<usize> = behind_name
            .split_ascii_whitespace()
            .skip(ARGUMENTS_START)
            .take(4)
            .map_while(|field| field.parse().ok())
            .collect();
        let [arguments, arguments_end, environment, environment_end] = places[..] else {
            return None;
        };
        Some([arguments..arguments_end, environment..environment_end])
    }

    /// Lets `mask` change the bytes of a region that [`regions`] gave.
    pub fn overwrite(region: Range<usize>, mask: impl FnOnce(&mut [u8])) {
        if region.start == 0 || region.is_empty() || region.len() > REGION_MAX {
            return;
        }
        let start = std::ptr::with_exposed_provenance_mut::<u8>(region.start);
        // SAFETY: the system says that these bytes hold the arguments (or the environment). They are on the main
        // thread's stack, mapped and writable for as long as the process lives, and nobody moves them. There is
        // no other thread yet, the standard library holds only pointers to them, and `mask` leaves the zero
        // bytes that end the strings where they are.
        mask(unsafe { std::slice::from_raw_parts_mut(start, region.len()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(arguments: &[&str], mask: impl FnOnce(&mut [u8])) -> Vec<String> {
        let mut memory = arguments.join("\0").into_bytes();
        memory.push(0);
        mask(&mut memory);
        let text = String::from_utf8(memory).unwrap();
        let text = text.strip_suffix('\0').unwrap();
        text.split('\0').map(str::to_owned).collect()
    }

    #[test]
    fn secrets_are_starred_in_every_form_of_a_flag() {
        for (arguments, shown) in [
            (
                &[
                    "understudy",
                    "a.conf",
                    "--requirepass",
                    "pass",
                    "--port",
                    "1",
                ][..],
                &[
                    "understudy",
                    "a.conf",
                    "--requirepass",
                    "****",
                    "--port",
                    "1",
                ][..],
            ),
            (&["u", "--MasterAuth pass"], &["u", "--MasterAuth ****"]),
            (
                &["u", "--master_auth", "pass"],
                &["u", "--master_auth", "pass"],
            ),
            (
                &["u", "--masterauth", "--pass"],
                &["u", "--masterauth", "******"],
            ),
            (
                &["u", "--requirepass", "a b", "c"],
                &["u", "--requirepass", "***", "*"],
            ),
            (
                &["u", "--port 1\nrequirepass pass", "--hz", "1"],
                &["u", "--port 1\nrequirepass ****", "--hz", "1"],
            ),
            (&["u", "--requirepass"], &["u", "--requirepass"]),
            (
                &["u", "--port", "--requirepass"],
                &["u", "--port", "--requirepass"],
            ),
            (&["u", "requirepass"], &["u", "requirepass"]),
            (
                &["u", "--tls-key-file-pass", "pass", "--save", ""],
                &["u", "--tls-key-file-pass", "****", "--save", ""],
            ),
        ] {
            assert_eq!(masked(arguments, mask_arguments), shown);
        }
    }

    #[test]
    fn secrets_are_starred_in_the_environment() {
        let variables = [
            "PATH=/bin",
            "UNDERSTUDY_REQUIREPASS=a=b",
            "UNDERSTUDY_masterauth=pass",
            "UNDERSTUDY_PORT=1",
            "REQUIREPASS=other",
            "UNDERSTUDY_REQUIREPASS",
        ];
        let shown = [
            "PATH=/bin",
            "UNDERSTUDY_REQUIREPASS=***",
            "UNDERSTUDY_masterauth=****",
            "UNDERSTUDY_PORT=1",
            "REQUIREPASS=other",
            "UNDERSTUDY_REQUIREPASS",
        ];
        assert_eq!(masked(&variables, mask_environment), shown);
    }
}
