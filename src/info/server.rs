//! INFO server and cpu.

use super::{Observed, Text};
use crate::clients::pause::PausePurpose;
use crate::config::Supervised;
use crate::observe::process::{REDIS_VERSION, UNDERSTUDY_VERSION};

pub(super) fn write(text: &mut Text, observed: &Observed<'_>) {
    let Observed { node, settings, .. } = observed;
    let process = &node.process;
    let uptime_s = process.uptime_s(&*node.clock);
    text.field("redis_version", REDIS_VERSION);
    text.field("redis_git_sha1", "00000000");
    text.field("redis_git_dirty", 0);
    text.field("redis_build_id", 0);
    text.field("redis_mode", "standalone");
    text.field("understudy_version", UNDERSTUDY_VERSION);
    text.field("os", node.memory.system());
    text.field("arch_bits", usize::BITS);
    text.field("monotonic_clock", "POSIX clock_gettime");
    text.field("multiplexing_api", "epoll");
    text.field("atomicvar_api", "rust-std");
    text.field("gcc_version", "0.0.0");
    text.field("process_id", process.pid);
    let supervised = match settings.supervised {
        Supervised::No => "no",
        Supervised::Systemd => "systemd",
        Supervised::Upstart => "upstart",
        Supervised::Auto => "unknown",
    };
    text.field("process_supervised", supervised);
    text.field("run_id", &process.run_id);
    text.field("tcp_port", settings.port);
    text.field("server_time_usec", node.clock.unix_us());
    text.field("uptime_in_seconds", uptime_s);
    text.field("uptime_in_days", uptime_s / 86_400);
    text.field("hz", settings.hz);
    text.field("configured_hz", settings.hz);
    text.field("lru_clock", (observed.now_ms / 1000) & 0xff_ffff);
    text.field("executable", &process.executable);
    let config_file = process.config_file.as_ref();
    text.field(
        "config_file",
        config_file.map_or_else(String::new, |p| p.display().to_string()),
    );
    text.field("io_threads_active", 0);
    // Shown only while a shutdown waits for its replicas.
    if let Some(until_ms) = node.pause.until_of(PausePurpose::Shutdown, observed.now_ms) {
        text.field("shutdown_in_milliseconds", until_ms - observed.now_ms);
    }
    text.field("keyspace_shards", node.keyspace.shards());
    let mut listener = 0;
    if settings.port > 0 && !settings.bind.is_empty() {
        let bound: String = (settings.bind.iter())
            .map(|address| format!(",bind={address}"))
            .collect();
        text.field(
            format_args!("listener{listener}"),
            format_args!("name=tcp{bound},port={}", settings.port),
        );
        listener += 1;
    }
    if let Some(path) = &settings.unixsocket {
        text.field(
            format_args!("listener{listener}"),
            format_args!("name=unix,bind={path}"),
        );
    }
}

pub(super) fn write_cpu(text: &mut Text, observed: &Observed<'_>) {
    let report = observed.node.memory.refresh();
    let mut seconds = |name: &str, us: u64| {
        text.field(
            name,
            format_args!("{}.{:06}", us / 1_000_000, us % 1_000_000),
        );
    };
    seconds("used_cpu_sys", report.cpu_system_us);
    seconds("used_cpu_user", report.cpu_user_us);
    seconds("used_cpu_sys_children", 0);
    seconds("used_cpu_user_children", 0);
    // The main thread of Redis is what runs commands: here that are the serving arbiters, together.
    let serving = observed.node.services.get();
    let (user_us, system_us) = serving.map_or((0, 0), |services| services.serving_cpu_us());
    seconds("used_cpu_sys_main_thread", system_us);
    seconds("used_cpu_user_main_thread", user_us);
}
