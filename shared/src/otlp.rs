//! Spans as collectors of OpenTelemetry take them: OTLP over HTTP in its JSON form
//! (opentelemetry-proto 1.x). What is sent when, and by whom, is the edge's and the
//! executor-host's business.

use serde_json::{Value as Json, json};

use crate::trace::TraceParent;

/// Where a collector takes spans, after its address.
pub const PATH: &str = "/v1/traces";

/// Whose spans they are.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// `service.name`.
    pub name: &'static str,
    /// `service.version`.
    pub version: &'static str,
}

/// One thing that took time.
#[derive(Debug, Clone)]
pub struct Span {
    /// Its trace and its own id: what those get whom it brings about.
    pub context: TraceParent,
    /// What has brought it about; none begins a trace.
    pub parent: Option<TraceParent>,
    /// What it was: one of few names.
    pub name: &'static str,
    /// Whether it answers somebody else's request.
    pub server: bool,
    /// When it began, in nanoseconds since 1970.
    pub from_ns: u64,
    /// When it ended, likewise.
    pub to_ns: u64,
    /// What else is known of it: ids and names, never code or output.
    pub attributes: Vec<(&'static str, Value)>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// What is known under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

/// An `ExportTraceServiceRequest`: ids in hexadecimal, 64-bit numbers as text.
#[must_use]
pub fn request(service: Service, spans: &[Span]) -> Json {
    let of_service = [
        ("service.name", service.name.into()),
        ("service.version", service.version.into()),
    ];
    json!({ "resourceSpans": [{
        "resource": { "attributes": attributes(&of_service) },
        "scopeSpans": [{
            "scope": { "name": service.name },
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
        }],
    }] })
}

fn span(span: &Span) -> Json {
    let status = match &span.error {
        Some(why) => json!({ "code": 2, "message": why }),
        None => json!({}),
    };
    json!({
        "traceId": span.context.trace_id(),
        "spanId": span.context.span_id(),
        "parentSpanId": span.parent.map(|parent| parent.span_id()).unwrap_or_default(),
        "name": span.name,
        "kind": if span.server { 2 } else { 1 },
        "startTimeUnixNano": span.from_ns.to_string(),
        "endTimeUnixNano": span.to_ns.to_string(),
        "attributes": attributes(&span.attributes),
        "status": status,
    })
}

fn attributes(all: &[(&'static str, Value)]) -> Vec<Json> {
    let value = |value: &Value| match value {
        Value::Text(text) => json!({ "stringValue": text }),
        Value::Number(number) => json!({ "intValue": number.to_string() }),
    };
    all.iter()
        .map(|(key, of_key)| json!({ "key": key, "value": value(of_key) }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_collectors_read_them() {
        let asked = TraceParent::new(7, 8);
        let answered = Span {
            context: asked.with_parent(9),
            parent: Some(asked),
            name: "POST /things",
            server: true,
            from_ns: 1_790_000_000_123_000_000,
            to_ns: 1_790_000_000_124_000_000,
            attributes: vec![("status", 503_u16.into()), ("thing", "a".into())],
            error: Some("unavailable".into()),
        };
        let first = Span {
            parent: None,
            server: false,
            error: None,
            ..answered.clone()
        };
        let service = Service {
            name: "things",
            version: "1.2",
        };
        let body = request(service, &[answered, first]);
        let of = &body["resourceSpans"][0];
        let name = &of["resource"]["attributes"][0];
        assert_eq!(
            *name,
            json!({ "key": "service.name", "value": { "stringValue": "things" } })
        );
        let spans = &of["scopeSpans"][0]["spans"];
        let expected = json!({
            "traceId": "00000000000000000000000000000007",
            "spanId": "0000000000000009",
            "parentSpanId": "0000000000000008",
            "name": "POST /things",
            "kind": 2,
            "startTimeUnixNano": "1790000000123000000",
            "endTimeUnixNano": "1790000000124000000",
            "attributes": [
                { "key": "status", "value": { "intValue": "503" } },
                { "key": "thing", "value": { "stringValue": "a" } },
            ],
            "status": { "code": 2, "message": "unavailable" },
        });
        assert_eq!(spans[0], expected);
        assert_eq!(spans[1]["parentSpanId"], "");
        assert_eq!(spans[1]["kind"], 1);
        assert_eq!(spans[1]["status"], json!({}));
    }
}
