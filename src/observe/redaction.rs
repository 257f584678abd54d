//! Arguments that must not be shown to MONITOR or kept in the slow log: passwords.

use std::borrow::Cow;

/// What stands in their place.
pub const REDACTED: &[u8] = b"(redacted)";

/// The arguments with the secret ones replaced: AUTH's, HELLO's and MIGRATE's after AUTH, and values that CONFIG SET gives
/// to directives that hold passwords.
pub fn redact<'s, 'a>(args: &'s [&'a [u8]]) -> Cow<'s, [&'a [u8]]> {
    let is = |arg: &[u8], word: &str| arg.eq_ignore_ascii_case(word.as_bytes());
    let Some(name) = args.first() else {
        return Cow::Borrowed(args);
    };
    let mut shown = Cow::Borrowed(args);
    if is(name, "auth") && args.len() <= 3 {
        for index in 1..args.len() {
            shown.to_mut()[index] = REDACTED;
        }
    } else if is(name, "hello") {
        let mut index = 2;
        while index < args.len() {
            if is(args[index], "auth") && index + 2 < args.len() {
                shown.to_mut()[index + 1] = REDACTED;
                shown.to_mut()[index + 2] = REDACTED;
                index += 3;
            } else if is(args[index], "setname") && index + 1 < args.len() {
                index += 2;
            } else {
                break;
            }
        }
    } else if is(name, "migrate") {
        let mut index = 6;
        while index < args.len() && !is(args[index], "keys") {
            let secrets = match args[index] {
                word if is(word, "auth") => 1,
                word if is(word, "auth2") => 2,
                _ => 0,
            };
            for secret in (index + 1..args.len()).take(secrets) {
                shown.to_mut()[secret] = REDACTED;
            }
            index += 1 + secrets;
        }
    } else if is(name, "config") && args.get(1).is_some_and(|sub| is(sub, "set")) {
        for index in (2..args.len().saturating_sub(1)).step_by(2) {
            if ["requirepass", "masterauth", "masteruser"]
                .iter()
                .any(|secret| is(args[index], secret))
            {
                shown.to_mut()[index + 1] = REDACTED;
            }
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let shown = redact(&args);
        let words: Vec<_> = shown.iter().map(|a| String::from_utf8_lossy(a)).collect();
        words.join(" ")
    }

    #[test]
    fn passwords_are_hidden() {
        assert_eq!(shown("AUTH secret"), "AUTH (redacted)");
        assert_eq!(shown("auth user secret"), "auth (redacted) (redacted)");
        assert_eq!(
            shown("hello 3 setname x AUTH u p"),
            "hello 3 setname x AUTH (redacted) (redacted)"
        );
        assert_eq!(
            shown("config set port 1 requirepass p masterauth q"),
            "config set port 1 requirepass (redacted) masterauth (redacted)"
        );
        assert_eq!(
            shown("migrate h 1 k 0 9 copy auth p replace auth2 u q keys auth auth"),
            "migrate h 1 k 0 9 copy auth (redacted) replace auth2 (redacted) (redacted) keys auth auth"
        );
        assert_eq!(shown("set auth p"), "set auth p");
        assert_eq!(shown("hello 3 auth u"), "hello 3 auth u");
    }
}
