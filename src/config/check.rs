//! Settings that came from no file, but from a host's program: each value is taken as a line of a file would be.

use super::directive::{Directive, Kind};
use super::settings::HZ_RANGE;
use super::{Settings, table, words};

/// Says of the first value that can't be what it is, and why, as a file's line is judged.
///
/// # Errors
/// The directive's name and value, and what is wrong with it, in words.
pub(crate) fn check(settings: &Settings) -> Result<(), String> {
    for name in settings.stored.keys() {
        let kept = table::find(name).is_some_and(|d| matches!(d.kind, Kind::Kept(..)));
        if !kept {
            return Err(format!("stored: there is no directive '{name}' kept there"));
        }
    }
    // The settings in which the values are put.
    let mut taken = Settings::default();
    for directive in table::all() {
        check_one(directive, settings, &mut taken)
            .map_err(|reason| blame(directive, settings, &reason))?;
    }
    if !HZ_RANGE.contains(&settings.hz) {
        let (min, max) = (HZ_RANGE.start(), HZ_RANGE.end());
        let reason = format!("argument must be between {min} and {max} inclusive");
        return Err(format!("hz {}: {reason}", settings.hz));
    }
    settings
        .check()
        .map_err(|(name, reason)| format!("{name}: {reason}"))
}

/// An empty text where None stands for "none" is None.
pub(crate) fn tidy(settings: &mut Settings) {
    for directive in table::all() {
        if let Kind::OptionalText(field) = directive.kind {
            let text = (field.of_mut)(settings);
            if text.as_ref().is_some_and(String::is_empty) {
                *text = None;
            }
        }
    }
}

fn check_one(
    directive: &Directive,
    settings: &Settings,
    taken: &mut Settings,
) -> Result<(), String> {
    let mut all = Vec::new();
    for line in directive.lines(settings) {
        all.extend(words::split(&line).ok_or("unbalanced quotes")?);
    }
    if all.is_empty() {
        return Ok(());
    }
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    directive.set(taken, &all)
}

fn blame(directive: &Directive, settings: &Settings, reason: &str) -> String {
    match directive.sensitive {
        true => format!("{}: {reason}", directive.name),
        false => format!("{} {}: {reason}", directive.name, directive.get(settings)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MasterAddress, SavePoint};
    use super::*;

    fn refused(change: impl FnOnce(&mut Settings)) -> String {
        let mut settings = Settings::default();
        change(&mut settings);
        check(&settings).expect_err("a mistake")
    }

    #[test]
    fn what_is_possible_is_taken() {
        assert_eq!(check(&Settings::default()), Ok(()));
        assert_eq!(check(&Settings::embedded()), Ok(()));
        let mut settings = Settings {
            requirepass: Some("a \"b\" \\ c\n".into()),
            masterauth: Some(String::new()),
            rename_command: vec![("FLUSHALL".into(), String::new())],
            save: vec![SavePoint {
                seconds: 1,
                changes: 1,
            }],
            ..Settings::embedded()
        };
        tidy(&mut settings);
        assert_eq!(settings.masterauth, None);
        assert_eq!(check(&settings), Ok(()));
    }

    #[test]
    fn what_is_not_is_named() {
        let is = |text: String, begins: &str| assert!(text.starts_with(begins), "{text}");
        is(
            refused(|s| s.databases = 0),
            "databases 0: argument must be between 1 and ",
        );
        is(
            refused(|s| s.hz = 0),
            "hz 0: argument must be between 1 and 500",
        );
        is(refused(|s| s.hz = 501), "hz 501: ");
        is(
            refused(|s| s.shards = 1000),
            "shards 1000: argument must be between 0 and 64",
        );
        is(refused(|s| s.arbiters = 100_000), "arbiters 100000: ");
        is(
            refused(|s| s.active_expire_effort = 0),
            "active-expire-effort 0: ",
        );
        is(
            refused(|s| s.active_expire_effort = 0),
            "active-expire-effort 0: ",
        );
        is(
            refused(|s| s.dbfilename = "../x".into()),
            "dbfilename ../x: ",
        );
        is(
            refused(|s| s.latency_tracking_info_percentiles = vec![101.0]),
            "latency-tracking-info-percentiles ",
        );
        is(refused(|s| s.bind = vec!["*".into(); 17]), "bind ");
        let master = MasterAddress {
            host: "a b".into(),
            port: 1,
        };
        is(refused(|s| s.replicaof = Some(master)), "replicaof ");
        is(
            refused(|s| drop(s.stored.insert("appendonly", "yes".into()))),
            "appendonly yes: ",
        );
        is(
            refused(|s| drop(s.stored.insert("apendonly", "no".into()))),
            "stored: ",
        );
    }
}
