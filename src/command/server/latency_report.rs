//! LATENCY GRAPH's drawing and LATENCY DOCTOR's report. Pure text from samples.

use std::fmt::Write;

use crate::config::Settings;
use crate::observe::latency::Series;

/// Samples in one row of the graph.
const COLUMNS: usize = 80;
/// Text rows of the graph; each tells three heights apart.
const ROWS: usize = 4;
/// What a column's top shows, from low to high within its row.
const TOPS: [char; 3] = ['_', 'o', '#'];

/// Bars over the samples' ages, oldest first, with the ages written downwards below.
pub(in crate::command) fn graph(event: &str, series: &Series, now_s: u64) -> String {
    let latencies = || series.samples.iter().map(|s| s.latency_ms);
    let low = latencies().min().unwrap_or(0);
    let high = latencies().max().unwrap_or(0);
    let mut text = format!(
        "{event} - high {high} ms, low {low} ms (all time high {} ms)\n{}\n",
        series.worst_ms,
        "-".repeat(COLUMNS)
    );
    let bars: Vec<(usize, String)> = series
        .samples
        .iter()
        .map(|s| {
            (
                height(s.latency_ms, low, high),
                age(now_s.saturating_sub(s.time_s)),
            )
        })
        .collect();
    for (index, part) in bars.chunks(COLUMNS).enumerate() {
        if index > 0 {
            text.push('\n');
        }
        draw(&mut text, part);
    }
    text
}

/// 0 to `ROWS * TOPS.len() - 1`.
fn height(latency: u64, low: u64, high: u64) -> usize {
    let steps = ROWS * TOPS.len();
    let range = (high - low).max(1);
    let step = (latency - low) as u128 * steps as u128 / u128::from(range);
    (step as usize).min(steps - 1)
}

fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn draw(text: &mut String, bars: &[(usize, String)]) {
    for row in (0..ROWS).rev() {
        let floor = row * TOPS.len();
        text.extend(
            bars.iter()
                .map(|(height, _)| match height.checked_sub(floor) {
                    None => ' ',
                    Some(rest) => *TOPS.get(rest).unwrap_or(&'|'),
                }),
        );
        text.push('\n');
    }
    text.push_str(&" ".repeat(bars.len()));
    text.push('\n');
    let longest = bars.iter().map(|(_, age)| age.len()).max().unwrap_or(0);
    for line in 0..longest {
        text.extend(bars.iter().map(|(_, age)| {
            let byte = age.as_bytes().get(line).copied();
            byte.map_or(' ', char::from)
        }));
        text.push('\n');
    }
}

/// What the events say about the server, and what could be done.
pub(in crate::command) fn doctor(
    events: &[(&'static str, Series)],
    settings: &Settings,
    now_s: u64,
) -> String {
    let threshold_ms = settings.latency_monitor_threshold;
    if events.is_empty() {
        return if threshold_ms == 0 {
            "Latency monitoring is off. Turn it on with CONFIG SET latency-monitor-threshold <milliseconds>.\n"
                .into()
        } else {
            format!(
                "Nothing has taken longer than {threshold_ms} ms since the samples were last reset.\n"
            )
        };
    }
    let mut text = String::from("What took longer than latency-monitor-threshold:\n\n");
    let mut advice: Vec<String> = Vec::new();
    for (index, (name, series)) in events.iter().enumerate() {
        let summary = series.summary(now_s);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}. {name}: {} spikes, mean {} ms, mean deviation {} ms, one in {:.2} s, worst ever {} ms.",
            index + 1,
            summary.samples,
            summary.mean_ms,
            summary.deviation_ms,
            summary.period_s as f64 / summary.samples.max(1) as f64,
            series.worst_ms,
        );
        advice.extend(advice_on(name, settings));
    }
    if !advice.is_empty() {
        text.push_str("\nWhat may help:\n\n");
        for line in advice {
            let _ = writeln!(text, "- {line}");
        }
    }
    text
}

fn advice_on(event: &str, settings: &Settings) -> Vec<String> {
    let threshold_us = settings.latency_monitor_threshold * 1000;
    let mut advice = Vec::new();
    match event {
        "command" => {
            if settings.slowlog_log_slower_than < 0 {
                advice.push(format!(
                    "The slow log is off: CONFIG SET slowlog-log-slower-than {threshold_us} shows which \
                     commands are slow."
                ));
            } else if settings.slowlog_log_slower_than as u64 > threshold_us {
                advice.push(format!(
                    "The slow log misses some of these: CONFIG SET slowlog-log-slower-than {threshold_us}."
                ));
            }
            advice.push("SLOWLOG GET names the commands that were slow.".into());
            advice.push(
                "Commands over whole collections take time in proportion to them: ask for parts (SCAN and \
                 its kin, ranges), and cut very large keys up."
                    .into(),
            );
        }
        "fast-command" => advice.push(
            "Commands that do little work were slow, so the process lacked CPU time: look at the machine's \
             load, at neighbours on the same host, and at `redis-cli --intrinsic-latency 100`."
                .into(),
        ),
        "expire-cycle" => advice.push(
            "Many keys expire at once: spread their times, or raise hz so that each cycle has less to do."
                .into(),
        ),
        "eviction-cycle" | "eviction-del" => advice.push(
            "Memory is reclaimed in large steps: raise maxmemory in small ones, and avoid commands that \
             create very large values at once."
                .into(),
        ),
        _ => {}
    }
    advice
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::latency::Sample;

    fn series(samples: &[(u64, u64)]) -> Series {
        Series {
            samples: samples
                .iter()
                .map(|&(time_s, latency_ms)| Sample { time_s, latency_ms })
                .collect(),
            worst_ms: samples.iter().map(|s| s.1).max().unwrap_or(0),
        }
    }

    #[test]
    fn a_graph_is_drawn_as_redis_does() {
        let series = series(&[(0, 10), (100, 40), (139, 100), (140, 15)]);
        let text = graph("command", &series, 140);
        let dashes = "-".repeat(80);
        let expected = format!(
            "command - high 100 ms, low 10 ms (all time high 100 ms)\n{dashes}\n\
             \x20 # \n\x20 | \n\x20o| \n_||_\n\x20   \n2410\nm0ss\n\x20s  \n"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn the_doctor_speaks_to_what_it_sees() {
        let mut settings = Settings::default();
        let text = doctor(&[], &settings, 0);
        assert!(text.contains("is off"));
        settings.latency_monitor_threshold = 5;
        assert!(doctor(&[], &settings, 0).contains("5 ms"));
        let events = [("command", series(&[(1, 10), (2, 20)]))];
        let text = doctor(&events, &settings, 5);
        assert!(text.contains("1. command: 2 spikes, mean 15 ms"));
        assert!(text.contains("slowlog-log-slower-than 5000"));
    }
}
