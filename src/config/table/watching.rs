//! Slow log and latencies.

use super::super::directive::{Directive, at, number_at};
use super::special;

const I64: i128 = i64::MAX as i128;
type D = Directive;

#[rustfmt::skip]
pub(super) const DIRECTIVES: &[Directive] = &[
    D::number("slowlog-log-slower-than", number_at!(slowlog_log_slower_than), -1, I64,
        "Microseconds from which a command enters the slow log; 0: every command, -1: none."),
    D::number("slowlog-max-len", number_at!(slowlog_max_len), 0, I64,
        "Entries that the slow log keeps."),
    D::number("latency-monitor-threshold", number_at!(latency_monitor_threshold), 0, I64,
        "Milliseconds from which LATENCY notes an event; 0: off."),
    D::yes_no("latency-tracking", at!(latency_tracking),
        "Keep a histogram of each command's run times."),
    D::special("latency-tracking-info-percentiles", special::PERCENTILES,
        "Which percentiles INFO latencystats shows.").many_words(),
];
