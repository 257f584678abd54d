//! The directives with a shape of their own, and the checks of single texts.

use super::super::choices::ShutdownFlags;
use super::super::directive::{Range, Special, not_one_of, parse_memory, show_memory};
use super::super::events::EventFlags;
use super::super::host::is_host;
use super::super::words::{quote, quote_if_needed};
use super::super::{MasterAddress, OutputLimit, SavePoint, Settings};

/// Addresses that `bind` takes at most.
const BIND_MAX: usize = 16;

pub(super) const BIND: Special = Special {
    get: |s| s.bind.join(" "),
    set: |s, words| {
        if words.len() > BIND_MAX {
            return Err("Too many bind addresses specified.".into());
        }
        if words.iter().any(|w| !w.is_empty() && !is_bind_address(w)) {
            return Err("Invalid bind address".into());
        }
        s.bind = match words {
            [""] => Vec::new(),
            words => words.iter().map(|w| (*w).to_owned()).collect(),
        };
        Ok(())
    },
    // The default is not written: its form is not one that older servers know.
    lines: |s| match s.bind.as_slice() {
        [] => vec!["\"\"".into()],
        bind if bind == Settings::default().bind => Vec::new(),
        bind => vec![bind.join(" ")],
    },
    adds_up: false,
};

/// Addresses, or "*", perhaps with a leading '-'.
fn is_bind_address(word: &str) -> bool {
    let address = word.strip_prefix('-').unwrap_or(word);
    address == "*" || address == "::*" || is_host(address)
}

/// The classes in the order in which they are shown, the second under the name that CONFIG GET gives it.
const CLASSES: [&str; 3] = ["normal", "slave", "pubsub"];

fn limits(s: &Settings) -> [OutputLimit; 3] {
    let limits = &s.client_output_buffer_limit;
    [limits.normal, limits.replica, limits.pubsub]
}

pub(super) const OUTPUT_LIMITS: Special = Special {
    get: |s| {
        let shown: Vec<String> = CLASSES
            .iter()
            .zip(limits(s))
            .map(|(class, l)| format!("{class} {} {} {}", l.hard, l.soft, l.soft_seconds))
            .collect();
        shown.join(" ")
    },
    set: |s, words| {
        if !words.len().is_multiple_of(4) {
            return Err("Wrong number of arguments in buffer limit configuration.".into());
        }
        let mut limits = s.client_output_buffer_limit;
        for group in words.chunks_exact(4) {
            // A group has four words.
            let limit = match group[0].to_ascii_lowercase().as_str() {
                "normal" => &mut limits.normal,
                "replica" | "slave" => &mut limits.replica,
                "pubsub" => &mut limits.pubsub,
                _ => {
                    return Err(
                        "Invalid client class specified in buffer limit configuration.".into(),
                    );
                }
            };
            let bytes = |word| parse_memory(word).and_then(|b| u64::try_from(b).ok());
            let (Some(hard), Some(soft), Ok(soft_seconds)) =
                (bytes(group[1]), bytes(group[2]), group[3].parse::<u32>())
            else {
                return Err(
                    "Error in hard, soft or soft_seconds setting in buffer limit configuration."
                        .into(),
                );
            };
            *limit = OutputLimit {
                hard,
                soft,
                soft_seconds: soft_seconds.into(),
            };
        }
        s.client_output_buffer_limit = limits;
        Ok(())
    },
    lines: |s| {
        ["normal", "replica", "pubsub"]
            .iter()
            .zip(limits(s))
            .map(|(class, l)| {
                let (hard, soft) = (show_memory(l.hard.into()), show_memory(l.soft.into()));
                format!("{class} {hard} {soft} {}", l.soft_seconds)
            })
            .collect()
    },
    adds_up: true,
};

pub(super) const DIR: Special = Special {
    get: |s| s.dir.clone().unwrap_or_else(|| "./".into()),
    set: |s, words| match words {
        [""] => Err("No such file or directory".into()),
        [dir] => {
            s.dir = (*dir != "./").then(|| (*dir).to_owned());
            Ok(())
        }
        _ => Err("wrong number of arguments".into()),
    },
    lines: |s| s.dir.iter().map(|dir| quote(dir)).collect(),
    adds_up: false,
};

pub(super) const EVENTS: Special = Special {
    get: |s| s.notify_keyspace_events.letters(),
    set: |s, words| {
        s.notify_keyspace_events = EventFlags::parse(words.first().copied().unwrap_or_default())
            .ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")?;
        Ok(())
    },
    lines: |s| vec![quote(&s.notify_keyspace_events.letters())],
    adds_up: false,
};

fn shutdown_flags(words: &[&str]) -> Result<ShutdownFlags, String> {
    let flags = match words {
        [] => None,
        words => ShutdownFlags::from_words(words.iter().copied()),
    };
    match flags {
        None => Err(not_one_of(ShutdownFlags::WORDS)),
        Some(flags) if flags.save && flags.nosave => {
            Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into())
        }
        Some(flags) => Ok(flags),
    }
}

pub(super) const SHUTDOWN_ON_SIGINT: Special = Special {
    get: |s| s.shutdown_on_sigint.words(),
    set: |s, words| {
        s.shutdown_on_sigint = shutdown_flags(words)?;
        Ok(())
    },
    lines: |s| vec![s.shutdown_on_sigint.words()],
    adds_up: false,
};

pub(super) const SHUTDOWN_ON_SIGTERM: Special = Special {
    get: |s| s.shutdown_on_sigterm.words(),
    set: |s, words| {
        s.shutdown_on_sigterm = shutdown_flags(words)?;
        Ok(())
    },
    lines: |s| vec![s.shutdown_on_sigterm.words()],
    adds_up: false,
};

pub(super) const SAVE: Special = Special {
    get: |s| {
        let points: Vec<String> = s
            .save
            .iter()
            .map(|p| format!("{} {}", p.seconds, p.changes))
            .collect();
        points.join(" ")
    },
    set: |s, words| {
        let words = if let [""] = words { &[] } else { words };
        let wrong = || "Invalid save parameters".to_owned();
        if !words.len().is_multiple_of(2) {
            return Err(wrong());
        }
        let mut save = Vec::with_capacity(words.len() / 2);
        for pair in words.chunks_exact(2) {
            // A pair has two words.
            let seconds = pair[0].parse::<i64>().ok().filter(|&n| n >= 1);
            let changes = pair[1].parse::<i32>().ok().filter(|&n| n >= 0);
            let (Some(seconds), Some(changes)) = (seconds, changes) else {
                return Err(wrong());
            };
            save.push(SavePoint {
                seconds: seconds as u64,
                changes: changes as u64,
            });
        }
        s.save = save;
        Ok(())
    },
    lines: |s| {
        if s.save.is_empty() {
            return vec!["\"\"".into()];
        }
        let line = |p: &SavePoint| format!("{} {}", p.seconds, p.changes);
        s.save.iter().map(line).collect()
    },
    adds_up: true,
};

pub(super) const BACKLOG_SIZE: Special = Special {
    get: |s| match s.repl_backlog_auto {
        true => "auto".into(),
        false => s.repl_backlog_size.to_string(),
    },
    set: |s, words| {
        let [word] = words else {
            return Err("wrong number of arguments".into());
        };
        s.repl_backlog_auto = word.eq_ignore_ascii_case("auto");
        s.repl_backlog_size = if s.repl_backlog_auto {
            // Where it begins, until the rate of writes is known.
            Settings::default().repl_backlog_size
        } else {
            Range::memory(1, i64::MAX as i128).parse(word)? as u64
        };
        Ok(())
    },
    lines: |s| match s.repl_backlog_auto {
        true => vec!["auto".into()],
        false => vec![show_memory(s.repl_backlog_size.into())],
    },
    adds_up: false,
};

pub(super) const REPLICAOF: Special = Special {
    get: |s| {
        let master = s.replicaof.as_ref();
        master.map_or_else(String::new, |m| format!("{} {}", m.host, m.port))
    },
    set: |s, words| {
        let master = match words {
            [""] => None,
            [no, one] if no.eq_ignore_ascii_case("no") && one.eq_ignore_ascii_case("one") => None,
            [host, _] if !is_host(host) => return Err("Invalid master host".into()),
            [host, port] => Some(MasterAddress {
                host: (*host).to_owned(),
                port: port.parse().map_err(|_| "Invalid master port")?,
            }),
            _ => return Err("wrong number of arguments".into()),
        };
        s.replicaof = master;
        Ok(())
    },
    lines: |s| {
        let master = s.replicaof.iter();
        master.map(|m| format!("{} {}", m.host, m.port)).collect()
    },
    adds_up: false,
};

/// At most six decimals, without trailing zeros.
fn show_percentile(percentile: f64) -> String {
    let text = format!("{percentile:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn percentiles(s: &Settings) -> String {
    let shown: Vec<String> = s
        .latency_tracking_info_percentiles
        .iter()
        .map(|&p| show_percentile(p))
        .collect();
    shown.join(" ")
}

pub(super) const PERCENTILES: Special = Special {
    get: percentiles,
    set: |s, words| {
        let words = if let [""] = words { &[] } else { words };
        let mut percentiles = Vec::with_capacity(words.len());
        for word in words {
            let percentile: f64 = word
                .parse()
                .map_err(|_| "Invalid latency-tracking-info-percentiles parameters")?;
            if !(0.0..=100.0).contains(&percentile) {
                return Err(
                    "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
                        .into(),
                );
            }
            percentiles.push(percentile);
        }
        s.latency_tracking_info_percentiles = percentiles;
        Ok(())
    },
    lines: |s| match percentiles(s) {
        none if none.is_empty() => vec!["\"\"".into()],
        some => vec![some],
    },
    adds_up: false,
};

pub(super) const RENAME_COMMAND: Special = Special {
    get: |s| {
        let pairs: Vec<String> = (s.rename_command.iter())
            .map(|(from, to)| format!("{} {}", quote_if_needed(from), quote(to)))
            .collect();
        pairs.join(" ")
    },
    set: |s, words| {
        let words = if let [""] = words { &[] } else { words };
        if !words.len().is_multiple_of(2) {
            return Err("wrong number of arguments".into());
        }
        // A pair has two words.
        let pairs = words.chunks_exact(2);
        s.rename_command = pairs.map(|p| (p[0].to_owned(), p[1].to_owned())).collect();
        Ok(())
    },
    lines: |s| {
        let pairs = s.rename_command.iter();
        pairs
            .map(|(from, to)| format!("{} {}", quote_if_needed(from), quote(to)))
            .collect()
    },
    adds_up: true,
};

/// `dbfilename` must be a plain name, or empty for none.
pub(super) fn check_dbfilename(name: &str) -> Result<(), String> {
    if name.contains(['/', '\\']) || matches!(name, "." | "..") {
        return Err("dbfilename can't be a path, just a filename".into());
    }
    Ok(())
}

/// `replica-announce-ip`: empty for none.
pub(super) fn check_announced_host(host: &str) -> Result<(), String> {
    match host.is_empty() || is_host(host) {
        true => Ok(()),
        false => Err("argument must be a host name or an address".into()),
    }
}

/// `bind-source-addr`: empty for none.
pub(super) fn check_source_address(address: &str) -> Result<(), String> {
    match address.is_empty() || address.parse::<std::net::IpAddr>().is_ok() {
        true => Ok(()),
        false => Err("argument must be an IP address".into()),
    }
}

/// Variables that `proc-title-template` knows.
const TITLE_VARIABLES: &[&str] = &[
    "title",
    "listen-addr",
    "server-mode",
    "port",
    "tls-port",
    "unixsocket",
    "config-file",
];

/// `proc-title-template` must have balanced braces around names that are known.
pub(super) fn check_title_template(template: &str) -> Result<(), String> {
    let wrong = || "template format is invalid or contains unknown variables".to_owned();
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        let (_, after) = rest.split_at(open + 1);
        let close = after.find('}').ok_or_else(wrong)?;
        let (name, after) = after.split_at(close);
        if !TITLE_VARIABLES.contains(&name) {
            return Err(wrong());
        }
        rest = after;
    }
    Ok(())
}
