//! Traces of deliveries by OpenTelemetry: from the change to each attempt, one trace for each delivery, whose id is that
//! of the message. Promises that tracing holds nothing up and fails nothing: spans that a collector does not take are
//! lost. Off unless the setting `otlp_endpoint` is set.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor};
use rand::RngExt;
use uuid::Uuid;

use super::answer::Answer;
use super::record::Verdict;
use crate::config::Tracing;
use crate::model::Lane;

/// What is collected is given so long when the daemon stops.
const FLUSH: Duration = Duration::from_secs(3);

/// Where spans go, if they go anywhere.
#[derive(Clone)]
pub struct Traces(Option<Arc<Collected>>);

struct Collected {
    processor: BatchSpanProcessor,
    share: f64,
}

/// A delivery as spans describe it.
pub struct Traced<'a> {
    /// Its lane.
    pub lane: Lane,
    /// The action's name.
    pub action: &'a str,
    /// When the event occurred, and when it was planned.
    pub occurred_at: SystemTime,
    /// By PostgreSQL's clock.
    pub planned_at: SystemTime,
    /// `lshookd.delivery.id`
    pub delivery: i64,
    /// The attempt, counted from 1.
    pub number: i32,
    /// The host of its webhook's URL.
    pub host: Option<String>,
}

/// An attempt that is traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptTrace {
    trace: TraceId,
    root: SpanId,
    span: SpanId,
}

impl AttemptTrace {
    /// The trace's id in hexadecimal digits.
    pub fn id(&self) -> String {
        self.trace.to_string()
    }

    /// As the header `traceparent` has it (W3C Trace Context, version 00).
    pub fn parent(&self) -> String {
        format!("00-{}-{}-01", self.trace, self.span)
    }
}

impl Traces {
    /// As the settings say.
    ///
    /// # Errors
    /// When the endpoint cannot be one.
    pub fn start(tracing: Option<&Tracing>) -> Result<Traces> {
        let Some(Tracing { endpoint, share }) = tracing else {
            return Ok(Traces(None));
        };
        let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint.as_str()).build();
        let mut processor = BatchSpanProcessor::builder(exporter.context("setting otlp_endpoint")?).build();
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        processor.set_resource(&Resource::builder().with_service_name("lshookd").with_attribute(version).build());
        Ok(Traces(Some(Arc::new(Collected { processor, share: *share }))))
    }

    /// An attempt to deliver a message, if it is traced: all attempts of one are, or none.
    pub fn attempt(&self, message: Uuid) -> Option<AttemptTrace> {
        let collected = self.0.as_ref()?;
        is_among(message, collected.share).then(|| AttemptTrace {
            trace: TraceId::from_bytes(message.into_bytes()),
            root: root(message),
            span: new_span(),
        })
    }

    /// An attempt ended.
    pub fn ended(&self, attempt: AttemptTrace, traced: &Traced<'_>, answer: &Answer, verdict: Verdict) {
        let Some(collected) = &self.0 else { return };
        let ended_at = answer.started_at + answer.duration;
        let common = attributes(traced);
        if traced.number == 1 {
            let span = new_span();
            let planned_at = traced.planned_at.max(traced.occurred_at);
            collected.processor.on_end(SpanData {
                start_time: traced.occurred_at,
                end_time: planned_at,
                ..span_data(attempt.trace, span, attempt.root, SpanKind::Internal, "plan", common.clone())
            });
        }
        let mut own = common.clone();
        own.push(KeyValue::new("http.request.method", "POST"));
        own.push(KeyValue::new("http.request.resend_count", i64::from(traced.number - 1)));
        own.extend(traced.host.clone().map(|host| KeyValue::new("server.address", host)));
        own.extend(answer.status.map(|status| KeyValue::new("http.response.status_code", i64::from(status.as_u16()))));
        let status = match &answer.error {
            Some(error) => Status::error(error.clone()),
            None => Status::Ok,
        };
        let name = format!("attempt {}", traced.number);
        collected.processor.on_end(SpanData {
            start_time: answer.started_at,
            end_time: ended_at,
            status: status.clone(),
            ..span_data(attempt.trace, attempt.span, attempt.root, SpanKind::Client, name, own)
        });
        if !matches!(verdict, Verdict::Retry(_)) {
            let name = format!("deliver {}", traced.action);
            collected.processor.on_end(SpanData {
                start_time: traced.occurred_at,
                end_time: ended_at,
                status,
                ..span_data(attempt.trace, attempt.root, SpanId::INVALID, SpanKind::Producer, name, common)
            });
        }
    }

    /// Sends what is collected, and ends.
    pub async fn end(self) {
        let Some(collected) = self.0 else { return };
        let ended = tokio::task::spawn_blocking(move || collected.processor.shutdown_with_timeout(FLUSH)).await;
        if let Ok(Err(error)) = ended {
            tracing::debug!(%error, "the last spans were not sent");
        }
    }
}

/// The id of a span, which is not zero.
fn new_span() -> SpanId {
    SpanId::from_bytes(rand::rng().random::<u64>().max(1).to_be_bytes())
}

/// Whether a message is among the share that is traced; the same in every daemon.
fn is_among(message: Uuid, share: f64) -> bool {
    // The end of a UUID of version 7 is random, whoever made it.
    let random = message.as_u128() as u32;
    f64::from(random) < share * 2_f64.powi(32)
}

/// The same for all attempts of a message, whichever daemon makes them.
fn root(message: Uuid) -> SpanId {
    SpanId::from_bytes((message.as_u128() as u64).max(1).to_be_bytes())
}

fn attributes(traced: &Traced<'_>) -> Vec<KeyValue> {
    vec![
        KeyValue::new("lshookd.action", traced.action.to_owned()),
        KeyValue::new("lshookd.webhook", traced.lane.webhook.0),
        KeyValue::new("lshookd.project", i64::from(traced.lane.scope)),
        KeyValue::new("lshookd.delivery", traced.delivery),
    ]
}

fn span_data(
    trace: TraceId,
    span: SpanId,
    parent: SpanId,
    kind: SpanKind,
    name: impl Into<std::borrow::Cow<'static, str>>,
    attributes: Vec<KeyValue>,
) -> SpanData {
    SpanData {
        span_context: SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE),
        parent_span_id: parent,
        parent_span_is_remote: false,
        span_kind: kind,
        name: name.into(),
        start_time: SystemTime::UNIX_EPOCH,
        end_time: SystemTime::UNIX_EPOCH,
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("lshookd").build(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_messages_is_traced_and_each_wholly_or_not() {
        let messages: Vec<Uuid> = (0..10_000).map(|_| Uuid::now_v7()).collect();
        let traced = |share| messages.iter().filter(|message| is_among(**message, share)).count();
        assert_eq!((traced(0.0), traced(1.0)), (0, 10_000));
        assert!((500..1500).contains(&traced(0.1)), "{}", traced(0.1));
        assert!(Traces(None).attempt(messages[0]).is_none());
    }

    #[test]
    fn a_parent_is_written_as_w3c_has_it() {
        let message: Uuid = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let attempt = AttemptTrace {
            trace: TraceId::from_bytes(message.into_bytes()),
            root: root(message),
            span: SpanId::from_bytes(7_u64.to_be_bytes()),
        };
        assert_eq!(attempt.parent(), "00-01890a5dac96774bbcceb302099a8057-0000000000000007-01");
        assert_eq!(attempt.root.to_string(), "bcceb302099a8057");
    }
}
