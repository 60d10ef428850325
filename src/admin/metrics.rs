//! `/metrics`: this daemon's counters, its process, and what the database knows; as OpenMetrics where that is asked
//! for, else in the text format of Prometheus.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::IntoResponse;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::Admin;
use super::console::Failure;
use crate::ops::status::Status;
use crate::pg::role::Role;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Numbers of the whole installation, each with its name and its help.
fn gauges(status: &Status) -> [(&'static str, &'static str, f64); 13] {
    [
        ("changes_unplanned", "Unplanned changes", status.changes_unplanned as f64),
        ("oldest_change_age_seconds", "Age of the oldest unplanned change", status.oldest_change_seconds),
        ("deliveries_pending", "Pending deliveries", status.deliveries_pending as f64),
        ("oldest_delivery_age_seconds", "Age of the oldest event that is pending", status.oldest_delivery_seconds),
        ("deliveries_dead", "Dead deliveries", status.deliveries_dead as f64),
        (
            "changes_set_aside",
            "Changes that are set aside, for they cannot be planned",
            status.changes_set_aside as f64,
        ),
        ("capture_errors", "Changes that could not be captured", status.capture_errors as f64),
        (
            "changes_bytes",
            "Size on disk of unplanned changes, with room that is kept for more",
            status.changes_bytes as f64,
        ),
        ("kept_rows_bytes", "Size on disk of rows kept for changes that need them", status.kept_rows_bytes as f64),
        (
            "notification_queue_usage",
            "Share of PostgreSQL's queue of notifications that is in use",
            status.notification_queue_usage,
        ),
        (
            "webhooks_delivered_twice",
            "Active webhooks that Label Studio delivers as well",
            status.webhooks_delivered_twice as f64,
        ),
        ("lanes", "Pairs of webhook and project that had deliveries", status.lanes as f64),
        ("lanes_failing", "Lanes whose next delivery has failed and is retried", status.lanes_failing as f64),
    ]
}

/// Shows them. While the database is away, the counters alone, with `lshookd_database_up` 0.
pub async fn show(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Result<impl IntoResponse, Failure> {
    let mut registry = admin.metrics.registry();
    registry.register("build", "The running version", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
    let status = admin.status().await;
    let up: Gauge = Gauge::default();
    up.set(i64::from(status.is_ok()));
    registry.register("database_up", "Whether the database answers", up);
    if let Ok(status) = &status {
        register(&mut registry, status);
    }
    let mut text = String::new();
    // The names of a process's metrics are the same for all programs.
    encode(&mut text, &process())?;
    let mut text = text.trim_end_matches("# EOF\n").to_owned();
    encode(&mut text, &registry)?;
    let accepts = |header: &str| header.contains("application/openmetrics-text");
    Ok(match headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(accepts) {
        true => ([(CONTENT_TYPE, OPEN_METRICS)], text),
        false => ([(CONTENT_TYPE, TEXT)], as_text_format(&text)),
    })
}

/// The process, as far as Linux shows it: what cannot be read is left out.
fn process() -> Registry {
    let mut registry = Registry::default();
    let Ok(process) = procfs::process::Process::myself() else {
        return registry;
    };
    let mut gauge = |name: &str, help: &str, value: f64| {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(value);
        registry.register(name, help, gauge);
    };
    let ticks = procfs::ticks_per_second() as f64;
    let page = procfs::page_size() as f64;
    let mut cpu = None;
    if let Ok(stat) = process.stat() {
        cpu = Some((stat.utime + stat.stime) as f64 / ticks);
        gauge("process_resident_memory_bytes", "Resident memory size in bytes", stat.rss as f64 * page);
        gauge("process_virtual_memory_bytes", "Virtual memory size in bytes", stat.vsize as f64);
        if let Ok(booted) = procfs::boot_time_secs() {
            let started = booted as f64 + stat.starttime as f64 / ticks;
            gauge("process_start_time_seconds", "Start time of the process since the Unix epoch in seconds", started);
        }
    }
    if let Ok(open) = process.fd_count() {
        gauge("process_open_fds", "Number of open file descriptors", open as f64);
    }
    if let Ok(limits) = process.limits()
        && let procfs::process::LimitValue::Value(most) = limits.max_open_files.soft_limit
    {
        gauge("process_max_fds", "Maximum number of open file descriptors", most as f64);
    }
    if let Some(seconds) = cpu {
        let counter = Counter::<f64, AtomicU64>::default();
        counter.inc_by(seconds);
        registry.register("process_cpu_seconds", "Total user and system CPU time spent in seconds", counter);
    }
    registry
}

/// OpenMetrics in the older text format: there a counter's help and type carry the name of its line, and there are
/// neither units nor an end.
fn as_text_format(open_metrics: &str) -> String {
    let types: HashMap<&str, &str> =
        open_metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        let described = line.strip_prefix("# ").and_then(|rest| {
            let (word, rest) = rest.split_once(' ')?;
            let (name, rest) = rest.split_once(' ')?;
            Some((word, name, rest))
        });
        match described {
            None if line == "# EOF" => continue,
            Some(("UNIT", ..)) => continue,
            Some((word, name, rest)) => {
                let (suffix, kind) = match types.get(name).copied() {
                    Some("counter") => ("_total", "counter"),
                    Some("info") => ("_info", "gauge"),
                    Some(kind) => ("", kind),
                    None => ("", rest),
                };
                let rest = if word == "TYPE" { kind } else { rest };
                text.push_str(&format!("# {word} {name}{suffix} {rest}"));
            }
            // Without examples, which that format does not know.
            None => text.push_str(line.split_once(" # {").map_or(line, |(value, _)| value)),
        }
        text.push('\n');
    }
    text
}

fn register(registry: &mut Registry, status: &Status) {
    for (name, help, value) in gauges(status) {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(value);
        registry.register(name, help, gauge);
    }
    let roles = Family::<[(&'static str, &'static str); 1], Gauge>::default();
    for role in Role::ALL {
        roles.get_or_create(&[("role", role.name())]).set(i64::from(status.active(role.name()).is_some()));
    }
    let failing = Family::<[(&'static str, String); 1], Gauge>::default();
    for webhook in &status.failing_webhooks {
        failing.get_or_create(&[("webhook", webhook.webhook_id.to_string())]).set(webhook.lanes);
    }
    registry.register(
        "webhook_lanes_failing",
        "Lanes of a webhook whose next delivery has failed and is retried",
        failing,
    );
    registry.register("role_active", "Whether a daemon is active in this role", roles);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_names_counters_as_their_lines() {
        let open_metrics = "# HELP a Things.\n# TYPE a counter\na_total 1\n# HELP b_seconds Time.\n\
            # TYPE b_seconds gauge\n# UNIT b_seconds seconds\nb_seconds 2\n# HELP c C.\n# TYPE c info\n\
            c_info{version=\"1\"} 1\n# EOF\n";
        let open_metrics = format!("b_bucket{{le=\"1\"}} 2 # {{trace_id=\"a\"}} 0.5\n{open_metrics}");
        let text = "b_bucket{le=\"1\"} 2\n# HELP a_total Things.\n# TYPE a_total counter\na_total 1\n# HELP b_seconds Time.\n\
            # TYPE b_seconds gauge\nb_seconds 2\n# HELP c_info C.\n# TYPE c_info gauge\nc_info{version=\"1\"} 1\n";
        assert_eq!(as_text_format(&open_metrics), text);
    }

    #[test]
    fn the_process_is_described() {
        let mut text = String::new();
        encode(&mut text, &process()).unwrap();
        for name in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"] {
            assert!(text.lines().any(|line| line.starts_with(name)), "{name}: {text}");
        }
    }
}
