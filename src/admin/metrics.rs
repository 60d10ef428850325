//! `/metrics`: this daemon's counters, and what the database knows, as OpenMetrics.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde_json::Value;
use std::sync::atomic::AtomicU64;

use super::{Admin, Failure};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Numbers of the whole installation, by their key in what `status` reads.
const GAUGES: &[(&str, &str, &str)] = &[
    ("changes_waiting", "changes_waiting", "Changes that wait to be planned"),
    ("oldest_change_seconds", "oldest_change_age_seconds", "For how long the oldest of them waits"),
    ("deliveries_pending", "deliveries_pending", "Deliveries that wait"),
    ("oldest_delivery_seconds", "oldest_delivery_age_seconds", "Since when the oldest of their events waits"),
    ("dead", "deliveries_dead", "Deliveries that were given up and are kept"),
    ("set_aside", "changes_set_aside", "Changes that could not be made into events"),
    ("capture_errors", "capture_errors", "Changes that could not be captured"),
    ("changes_bytes", "changes_bytes", "Size on disk of unplanned changes, with room that is kept for more"),
    ("kept_rows_bytes", "kept_rows_bytes", "Size on disk of rows kept for changes that need them"),
    (
        "notification_queue_usage",
        "notification_queue_usage",
        "Share of PostgreSQL's queue of notifications that is in use",
    ),
    ("lanes", "lanes", "Pairs of webhook and project that had deliveries"),
    ("lanes_failing", "lanes_failing", "Those whose next delivery has failed and is to be tried again"),
];

/// Shows them. While the database is away, the counters alone, with `lshookd_database_up` 0.
pub async fn show(State(admin): State<Arc<Admin>>) -> Result<impl IntoResponse, Failure> {
    let mut registry = admin.metrics.registry();
    let status = admin.status().await;
    let up: Gauge = Gauge::default();
    up.set(i64::from(status.is_ok()));
    registry.register("database_up", "Whether the database answers", up);
    if let Ok(status) = &status {
        register(&mut registry, status);
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(([(CONTENT_TYPE, OPEN_METRICS)], text))
}

fn register(registry: &mut Registry, status: &Value) {
    for (key, name, help) in GAUGES {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(status[*key].as_f64().unwrap_or_default());
        registry.register(*name, *help, gauge);
    }
    let roles = Family::<[(&'static str, &'static str); 1], Gauge>::default();
    for role in ["planner", "deliverer", "retention"] {
        let held = status["at_work"].as_array().into_iter().flatten().any(|daemon| daemon["role"] == role);
        roles.get_or_create(&[("role", role)]).set(i64::from(held));
    }
    registry.register("at_work", "Whether some daemon does this part of the work", roles);
}
