//! Arguments that must not be shown to MONITOR or kept in the slow log: passwords.

use std::borrow::Cow;

/// What stands in their place.
pub(crate) const REDACTED: &[u8] = b"(redacted)";

/// Which of a command's arguments are secret: a property of the command, by whatever name it is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Secrets {
    #[default]
    None,
    /// All arguments of AUTH.
    Auth,
    /// HELLO's after AUTH.
    Hello,
    /// MIGRATE's after AUTH and AUTH2.
    Migrate,
    /// The values that CONFIG SET gives to directives that hold passwords.
    ConfigSet,
}

/// The arguments with the secret ones replaced.
pub(crate) fn redact<'s, 'a>(secrets: Secrets, args: &'s [&'a [u8]]) -> Cow<'s, [&'a [u8]]> {
    let mut shown = Cow::Borrowed(args);
    secrets.for_each(args, |index| shown.to_mut()[index] = REDACTED);
    shown
}

impl Secrets {
    /// Calls `hide` with the index of each secret argument.
    fn for_each(self, args: &[&[u8]], hide: impl FnMut(usize)) {
        match self {
            Secrets::None => {}
            Secrets::Auth if args.len() > 3 => {}
            Secrets::Auth => (1..args.len()).for_each(hide),
            Secrets::Hello => in_hello(args, hide),
            Secrets::Migrate => in_migrate(args, hide),
            Secrets::ConfigSet => in_config_set(args, hide),
        }
    }
}

fn is(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}

fn in_hello(args: &[&[u8]], mut hide: impl FnMut(usize)) {
    let mut index = 2;
    while index < args.len() {
        if is(args[index], "auth") && index + 2 < args.len() {
            hide(index + 1);
            hide(index + 2);
            index += 3;
        } else if is(args[index], "setname") && index + 1 < args.len() {
            index += 2;
        } else {
            return;
        }
    }
}

fn in_migrate(args: &[&[u8]], mut hide: impl FnMut(usize)) {
    let mut index = 6;
    while index < args.len() && !is(args[index], "keys") {
        let secrets = match args[index] {
            word if is(word, "auth") => 1,
            word if is(word, "auth2") => 2,
            _ => 0,
        };
        (index + 1..args.len()).take(secrets).for_each(&mut hide);
        index += 1 + secrets;
    }
}

fn in_config_set(args: &[&[u8]], mut hide: impl FnMut(usize)) {
    let holds_password = |name: &[u8]| {
        ["requirepass", "masterauth", "masteruser"]
            .iter()
            .any(|directive| is(name, directive))
    };
    for index in (2..args.len().saturating_sub(1)).step_by(2) {
        if holds_password(args[index]) {
            hide(index + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(secrets: Secrets, line: &str) -> String {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let shown = redact(secrets, &args);
        let words: Vec<_> = shown.iter().map(|a| String::from_utf8_lossy(a)).collect();
        words.join(" ")
    }

    #[test]
    fn passwords_are_hidden() {
        assert_eq!(shown(Secrets::Auth, "AUTH secret"), "AUTH (redacted)");
        assert_eq!(
            shown(Secrets::Auth, "auth user secret"),
            "auth (redacted) (redacted)"
        );
        assert_eq!(
            shown(Secrets::Hello, "hello 3 setname x AUTH u p"),
            "hello 3 setname x AUTH (redacted) (redacted)"
        );
        assert_eq!(
            shown(
                Secrets::ConfigSet,
                "config set port 1 requirepass p masterauth q"
            ),
            "config set port 1 requirepass (redacted) masterauth (redacted)"
        );
        assert_eq!(
            shown(
                Secrets::Migrate,
                "migrate h 1 k 0 9 copy auth p replace auth2 u q keys auth auth"
            ),
            "migrate h 1 k 0 9 copy auth (redacted) replace auth2 (redacted) (redacted) keys auth auth"
        );
        assert_eq!(shown(Secrets::None, "set auth p"), "set auth p");
        assert_eq!(shown(Secrets::Hello, "hello 3 auth u"), "hello 3 auth u");
    }
}
