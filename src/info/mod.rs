//! INFO: what the node says about itself, in Redis's sections and field names.
//!
//! A section is a function from the [`Observed`] node to lines; the fields that tools look for are all
//! there, those of features that this version doesn't have at the value that says so. Numbers are read when
//! asked, from counters that nobody has to lock for; only the keyspace's shards are entered.

mod clients;
mod commands;
mod human;
mod keyspace;
mod memory;
mod persistence;
mod replication;
mod server;
mod stats;
mod transfers;

use std::fmt::Write;

pub(crate) use human::human_bytes;
pub(crate) use memory::Overhead;

use crate::config::Settings;
use crate::keyspace::Entered;
use crate::node_core::NodeCore;
use crate::text::printable::OneLine;

/// What sections look at.
pub(crate) struct Observed<'a> {
    pub(crate) node: &'a NodeCore,
    pub(crate) settings: &'a Settings,
    /// Every shard, but for those that slow scripts are inside of.
    pub(crate) keys: &'a Entered<'a>,
    pub(crate) now_ms: i64,
}

/// The sections in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Server,
    Clients,
    Memory,
    Persistence,
    Stats,
    Replication,
    Cpu,
    Modules,
    Commandstats,
    Errorstats,
    Latencystats,
    Cluster,
    Keyspace,
}

impl Section {
    const ALL: [Section; 13] = [
        Section::Server,
        Section::Clients,
        Section::Memory,
        Section::Persistence,
        Section::Stats,
        Section::Replication,
        Section::Cpu,
        Section::Modules,
        Section::Commandstats,
        Section::Errorstats,
        Section::Latencystats,
        Section::Cluster,
        Section::Keyspace,
    ];

    /// The section's heading.
    fn title(self) -> &'static str {
        match self {
            Section::Server => "Server",
            Section::Clients => "Clients",
            Section::Memory => "Memory",
            Section::Persistence => "Persistence",
            Section::Stats => "Stats",
            Section::Replication => "Replication",
            Section::Cpu => "CPU",
            Section::Modules => "Modules",
            Section::Commandstats => "Commandstats",
            Section::Errorstats => "Errorstats",
            Section::Latencystats => "Latencystats",
            Section::Cluster => "Cluster",
            Section::Keyspace => "Keyspace",
        }
    }

    /// Whether plain INFO shows it.
    fn is_default(self) -> bool {
        !matches!(self, Section::Commandstats | Section::Latencystats)
    }

    fn is_called(self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(self.title().as_bytes())
            || (self == Section::Modules && name.eq_ignore_ascii_case(b"module_list"))
    }
}

/// The sections that the arguments ask for: names, "default", "all", "everything". Unknown names ask for
/// nothing.
pub(crate) fn wanted(names: &[&[u8]]) -> Vec<Section> {
    let one = |section: Section, name: &[u8]| {
        name.eq_ignore_ascii_case(b"all")
            || name.eq_ignore_ascii_case(b"everything")
            || (name.eq_ignore_ascii_case(b"default") && section.is_default())
            || section.is_called(name)
    };
    Section::ALL
        .into_iter()
        .filter(|&section| match names {
            [] => section.is_default(),
            names => names.iter().any(|name| one(section, name)),
        })
        .collect()
}

/// The text of INFO.
pub(crate) fn render(observed: &Observed<'_>, sections: &[Section]) -> String {
    let mut text = Text::default();
    for (index, section) in sections.iter().enumerate() {
        if index > 0 {
            text.0.push_str("\r\n");
        }
        let _ = write!(text.0, "# {}\r\n", section.title());
        match section {
            Section::Server => server::write(&mut text, observed),
            Section::Clients => clients::write(&mut text, observed),
            Section::Memory => memory::write(&mut text, observed),
            Section::Persistence => persistence::write(&mut text, observed),
            Section::Stats => stats::write(&mut text, observed),
            Section::Replication => replication::write(&mut text, observed),
            Section::Cpu => server::write_cpu(&mut text, observed),
            Section::Modules => {}
            Section::Commandstats => commands::write_figures(&mut text, observed),
            Section::Errorstats => commands::write_errors(&mut text, observed),
            Section::Latencystats => commands::write_latencies(&mut text, observed),
            Section::Cluster => text.field("cluster_enabled", 0),
            Section::Keyspace => keyspace::write(&mut text, observed),
        }
    }
    text.0
}

/// Lines of "field:value".
#[derive(Default)]
struct Text(String);

impl Text {
    fn field(&mut self, name: impl std::fmt::Display, value: impl std::fmt::Display) {
        // Whatever is in it, it is one line.
        let _ = write!(OneLine(&mut self.0), "{name}:{value}");
        self.0.push_str("\r\n");
    }

    /// Two decimals.
    fn ratio(&mut self, name: &str, value: f64) {
        let _ = write!(self.0, "{name}:{value:.2}\r\n");
    }

    /// Bytes, and the same for people under the name with "_human".
    fn bytes(&mut self, name: &str, bytes: u64) {
        self.field(name, bytes);
        self.field(format_args!("{name}_human"), human_bytes(bytes));
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.field(name, u8::from(value));
    }
}

/// A name without the characters that would break a line of INFO.
fn safe(name: &str) -> String {
    name.replace(['#', ':', '\n', '\r'], "_")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn sections_are_chosen_by_name_in_any_case() {
        assert_eq!(
            wanted(&[b"CPU", b"server"]),
            [Section::Server, Section::Cpu]
        );
        assert_eq!(wanted(&[b"nothing"]), []);
        assert_eq!(wanted(&[]).len(), 11);
        assert_eq!(wanted(&[b"default", b"commandstats"]).len(), 12);
        assert_eq!(wanted(&[b"ALL"]), Section::ALL);
    }

    fn info(node: &NodeCore, names: &[&[u8]]) -> HashMap<String, String> {
        let keys = node.keyspace.enter(node.keyspace.all());
        let text = render(
            &Observed {
                node,
                settings: &node.settings.load(),
                keys: &keys,
                now_ms: node.clock.unix_ms(),
            },
            &wanted(names),
        );
        let fields = text.split("\r\n").filter_map(|line| line.split_once(':'));
        fields.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    }

    #[test]
    fn the_fields_that_tools_read_are_there() {
        let clock = ManualClock::new(1_700_000_000_000, 1);
        let node = NodeCore::new(clock.clone(), Settings::default(), 8, None, None);
        node.stats.count_error("ERR x");
        let get = node.table.lookup(b"get").map_or(0, |command| command.id);
        node.command_stats.record(get, 12, true);
        clock.advance_ms(90_000);
        let info = info(&node, &[b"everything"]);
        for (field, value) in [
            ("redis_version", "7.2.4"),
            ("redis_mode", "standalone"),
            ("uptime_in_seconds", "90"),
            ("tcp_port", "6379"),
            ("connected_clients", "0"),
            ("maxmemory_policy", "noeviction"),
            ("loading", "0"),
            ("rdb_last_save_time", "1700000000"),
            ("rdb_last_bgsave_status", "ok"),
            ("aof_enabled", "0"),
            ("total_error_replies", "1"),
            ("errorstat_ERR", "count=1"),
            ("role", "master"),
            ("connected_slaves", "0"),
            ("master_repl_offset", "0"),
            ("second_repl_offset", "-1"),
            ("master_replid2", "0000000000000000000000000000000000000000"),
            ("repl_backlog_active", "0"),
            ("cluster_enabled", "0"),
            ("used_memory", "0"),
            ("mem_fragmentation_ratio", "0.00"),
        ] {
            assert_eq!(info.get(field).map(String::as_str), Some(value), "{field}");
        }
        let calls = info.iter().find(|(name, _)| name.starts_with("cmdstat_"));
        assert_eq!(
            calls.map(|(_, value)| value.as_str()),
            Some("calls=1,usec=12,usec_per_call=12.00,rejected_calls=0,failed_calls=0")
        );
        assert!(
            info.keys()
                .any(|name| name.starts_with("latency_percentiles_usec_"))
        );
    }
}
