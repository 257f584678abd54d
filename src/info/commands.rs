//! INFO commandstats, errorstats and latencystats.

use super::{Observed, Text, safe};

pub(super) fn write_figures(text: &mut Text, observed: &Observed<'_>) {
    let node = observed.node;
    for command in node.table.all() {
        let figures = node.command_stats.figures(command.id);
        if figures.calls == 0 && figures.failed == 0 && figures.rejected == 0 {
            continue;
        }
        let per_call = match figures.calls {
            0 => 0.0,
            calls => figures.took_us as f64 / calls as f64,
        };
        text.field(
            format_args!("cmdstat_{}", safe(command.name)),
            format_args!(
                "calls={},usec={},usec_per_call={per_call:.2},rejected_calls={},failed_calls={}",
                figures.calls, figures.took_us, figures.rejected, figures.failed
            ),
        );
    }
}

pub(super) fn write_errors(text: &mut Text, observed: &Observed<'_>) {
    for (code, count) in observed.node.stats.errors() {
        text.field(
            format_args!("errorstat_{}", safe(&code)),
            format_args!("count={count}"),
        );
    }
}

pub(super) fn write_latencies(text: &mut Text, observed: &Observed<'_>) {
    let Observed { node, settings, .. } = observed;
    if !settings.latency_tracking {
        return;
    }
    for command in node.table.all() {
        let Some(histogram) = node.command_stats.latency(command.id) else {
            continue;
        };
        let shown: Vec<String> = settings
            .latency_tracking_info_percentiles
            .iter()
            .map(|&p| {
                let us = histogram.percentile_ns(p) as f64 / 1000.0;
                format!("p{p}={us:.3}")
            })
            .collect();
        text.field(
            format_args!("latency_percentiles_usec_{}", safe(command.name)),
            shown.join(","),
        );
    }
}
