//! Spans of jobs for OpenTelemetry ([`otlp`]), to a collector of the operator's choice; to nobody
//! unless one is named.
//!
//! A job's trace is begun by whoever asked for it and goes along in [`Job::traceparent`]. What
//! happens here are spans below that: `attempt`, and in it `queue`, `dispatch`, `compile`, `run`
//! and `publish`. They carry ids and languages, the container's among them, never code or output. They are sent when there is
//! time, and dropped when there is none: nothing waits for a collector.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use codecrafter_shared::job::Job;
use codecrafter_shared::otlp::{self, Span};
use codecrafter_shared::trace::TraceParent;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::clock;
use crate::retry::Retry;

/// Spans that wait to be sent; one more is dropped.
const WAITING_MAX: usize = 4_096;
/// Spans of one request at the most.
const BATCH_MAX: usize = 512;
/// How long the first span of a request waits for company.
const GATHER: Duration = Duration::from_secs(1);
/// A collector that does not answer within this time is away.
const ANSWER_MAX: Duration = Duration::from_secs(10);

const SERVICE: otlp::Service = otlp::Service {
    name: "codecrafter-executor-host",
    version: env!("CARGO_PKG_VERSION"),
};

/// The attribute that names what a job is in, as OpenTelemetry's conventions have it.
const CONTAINER: &str = "container.id";

/// Where spans go. Clones go to the same place.
#[derive(Debug, Clone, Default)]
pub struct Spans {
    sender: Option<mpsc::Sender<Span>>,
}

impl Spans {
    /// Sends spans to the collector at `endpoint`, such as `http://127.0.0.1:4318`, from now on.
    ///
    /// # Errors
    ///
    /// When there can be no client.
    pub fn to(endpoint: &str) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder().timeout(ANSWER_MAX).build()?;
        let url = format!("{}{}", endpoint.trim_end_matches('/'), otlp::PATH);
        let (sender, received) = mpsc::channel(WAITING_MAX);
        tokio::spawn(send(client, url, received));
        let sender = Some(sender);
        Ok(Self { sender })
    }

    /// Begins the spans of one attempt at a job; none if nobody wants them.
    #[must_use]
    pub fn attempt(&self, job: &Job, attempt: &str, count: u32) -> Option<Attempt> {
        let sender = self.sender.clone()?;
        let parent = job.traceparent.filter(TraceParent::is_sampled)?;
        let now = SystemTime::now();
        let of_attempt = Attempt {
            sender,
            whole: Span {
                attributes: vec![
                    ("execution.id", job.execution_id.to_string().into()),
                    ("attempt.id", attempt.into()),
                    ("language", job.language.as_str().into()),
                    ("delivery.count", count.into()),
                ],
                ..span(parent, "attempt", now, now)
            },
            part: None,
            container: None,
        };
        if let (1, Some(asked)) = (count, job.execution_id.made_at()) {
            let waited = clock::now().since(asked).max(0);
            let waited = Duration::from_millis(waited.unsigned_abs());
            of_attempt.send("queue", now.checked_sub(waited).unwrap_or(now), now);
        }
        Some(of_attempt)
    }
}

/// The spans of one attempt. Dropping it ends them.
pub struct Attempt {
    sender: mpsc::Sender<Span>,
    whole: Span,
    part: Option<(&'static str, SystemTime)>,
    /// The engine's id of what the job is in, while it is.
    container: Option<String>,
}

impl Attempt {
    /// What is below the whole attempt has this as its parent.
    #[must_use]
    pub const fn context(&self) -> TraceParent {
        self.whole.context
    }

    /// The job is in the container that the engine knows by `id`.
    pub fn in_container(&mut self, id: String) {
        self.whole.attributes.push((CONTAINER, id.as_str().into()));
        self.container = Some(id);
    }

    /// A part of the attempt begins, and with it the one before ends.
    pub fn part(&mut self, name: &'static str) {
        self.end_part();
        self.part = Some((name, SystemTime::now()));
    }

    /// What came of it.
    pub fn ended(&mut self, verdict: &'static str) {
        self.end_part();
        self.container = None;
        self.whole.attributes.push(("verdict", verdict.into()));
    }

    /// The host failed.
    pub fn failed(&mut self, why: impl Into<String>) {
        self.whole.error = Some(why.into());
    }

    fn end_part(&mut self) {
        if let Some((name, from)) = self.part.take() {
            self.send(name, from, SystemTime::now());
        }
    }

    fn send(&self, name: &'static str, from: SystemTime, to: SystemTime) {
        let container = self.container.iter();
        let attributes = container.map(|id| (CONTAINER, id.as_str().into()));
        // If there is no room, it is dropped.
        let _ = self.sender.try_send(Span {
            attributes: attributes.collect(),
            ..span(self.context(), name, from, to)
        });
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.end_part();
        self.whole.to_ns = nanoseconds(SystemTime::now());
        let _ = self.sender.try_send(self.whole.clone());
    }
}

/// A new span below `parent`.
fn span(parent: TraceParent, name: &'static str, from: SystemTime, to: SystemTime) -> Span {
    Span {
        context: parent.with_parent(span_id()),
        parent: Some(parent),
        name,
        server: false,
        from_ns: nanoseconds(from),
        to_ns: nanoseconds(to),
        attributes: Vec::new(),
        error: None,
    }
}

/// Eight random bytes, of a random id.
fn span_id() -> u64 {
    let id = clock::attempt_id().to_string();
    let digits: String = id.chars().filter(char::is_ascii_hexdigit).collect();
    // The last sixteen: no version and no variant are in them but the variant's two bits.
    u64::from_str_radix(&digits[digits.len() - 16..], 16).unwrap_or(1)
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(0)
}

/// Sends what comes, in batches, until nobody is left to send any. What a collector does not take
/// is lost.
async fn send(client: reqwest::Client, url: String, mut received: mpsc::Receiver<Span>) {
    let mut retry = Retry::new("send spans");
    let mut batch = Vec::new();
    while received.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let gather = async {
            while batch.len() < BATCH_MAX && received.recv_many(&mut batch, BATCH_MAX).await > 0 {}
        };
        let _ = timeout(GATHER, gather).await;
        let body = otlp::request(SERVICE, &batch);
        batch.clear();
        let answer = client.post(&url).json(&body).send().await;
        match answer.and_then(reqwest::Response::error_for_status) {
            Ok(_) => retry.succeeded(),
            Err(error) => sleep(retry.failed(&error.without_url())).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::contract::job;

    fn traced() -> Job {
        Job {
            traceparent: Some(TraceParent::new(7, 8)),
            ..job(1)
        }
    }

    #[test]
    fn spans_of_an_attempt_are_below_that_of_who_asked() {
        let (sender, mut received) = mpsc::channel(16);
        let spans = Spans {
            sender: Some(sender),
        };
        let mut attempt = spans.attempt(&traced(), "an attempt", 2).unwrap();
        attempt.part("dispatch");
        attempt.in_container("c0ffee".into());
        attempt.part("run");
        attempt.ended("accepted");
        attempt.part("publish");
        let context = attempt.context();
        drop(attempt);
        let mut sent = Vec::new();
        while let Ok(span) = received.try_recv() {
            sent.push(span);
        }
        let names: Vec<_> = sent.iter().map(|span| span.name).collect();
        assert_eq!(names, ["dispatch", "run", "publish", "attempt"]);
        let body = otlp::request(SERVICE, &sent);
        let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
        let whole = &spans[3];
        assert_eq!(whole["spanId"], context.span_id());
        assert_eq!(whole["traceId"], format!("{:032x}", 7));
        assert_eq!(whole["parentSpanId"], format!("{:016x}", 8));
        let container = |span: &serde_json::Value| {
            let attributes = span["attributes"].as_array().unwrap().iter();
            let mut of_container = attributes.filter(|attribute| attribute["key"] == CONTAINER);
            of_container
                .next()
                .map(|attribute| attribute["value"]["stringValue"].clone())
        };
        for (number, named) in [(0, true), (1, true), (2, false), (3, true)] {
            let id = container(&spans[number]);
            assert_eq!(id.is_some(), named, "{}", spans[number]);
            assert!(id.is_none_or(|id| id == "c0ffee"));
        }
        for part in [&spans[0], &spans[1], &spans[2]] {
            assert_eq!(part["traceId"], whole["traceId"]);
            assert_eq!(part["parentSpanId"], whole["spanId"]);
            let number = |name: &str| part[name].as_str().unwrap().parse::<u128>().unwrap();
            assert!(number("startTimeUnixNano") <= number("endTimeUnixNano"));
        }
        assert!(!body.to_string().contains("print("), "code is in no span");
    }

    #[test]
    fn nothing_is_made_where_nobody_wants_it() {
        assert!(Spans::default().attempt(&traced(), "a", 1).is_none());
        let (sender, _received) = mpsc::channel(16);
        let spans = Spans {
            sender: Some(sender),
        };
        assert!(spans.attempt(&job(1), "a", 1).is_none());
    }
}
