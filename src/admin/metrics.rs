//! `/metrics`: this daemon's counters, and what the database knows, as OpenMetrics.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

use super::{Admin, Failure};
use crate::ops::status::Status;
use crate::pg::role::Role;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Numbers of the whole installation, each with its name and its help.
fn gauges(status: &Status) -> [(&'static str, &'static str, f64); 12] {
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
        ("lanes", "Pairs of webhook and project that had deliveries", status.lanes as f64),
        ("lanes_failing", "Lanes whose next delivery has failed and is retried", status.lanes_failing as f64),
    ]
}

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
    registry.register("role_active", "Whether a daemon is active in this role", roles);
}
