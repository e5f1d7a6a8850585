//! What the edge tells a collector of spans, where the collector is a list.

use codecrafter_shared::api::{CreateExecution, Execution};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::AttemptId;
use codecrafter_shared::job::Event;
use codecrafter_tests::client::Client;
use codecrafter_tests::collector::attribute;
use codecrafter_tests::link::{Link, printed, report};
use codecrafter_tests::native::deployment;
use reqwest::Method;

const TOLD: (&str, &str) = ("CODECRAFTER_OTLP", "http://127.0.0.1:4318");
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
/// Of a program and of what it reads; in no span.
const PRIVATE: &str = "a secret of its author";

fn request() -> CreateExecution {
    CreateExecution {
        language: Some("python".into()),
        code: Some(PRIVATE.into()),
        stdin: Some(PRIVATE.into()),
        ..Default::default()
    }
}

/// Asks for an execution with a trace whose flags are `flags`.
async fn ask(user: &Client, flags: &str) -> codecrafter_tests::client::Answer {
    let wanted = user.request(Method::POST, "/api/v1/executions");
    let wanted = wanted.header("traceparent", format!("00-{TRACE}-{SPAN}-{flags}"));
    user.send(wanted.json(&request())).await.unwrap()
}

#[tokio::test]
async fn who_is_refused_is_told_in_a_span_too_as_an_error_only_if_it_is_the_edges() {
    let settings = [TOLD, ("CODECRAFTER_WAITING_MAX", "1")];
    let (edge, world) = deployment(&settings).await;
    let user = world.user().await.unwrap();
    let accepted: Execution = ask(&user, "01").await.expect(202).unwrap();
    let refused = ask(&user, "01").await;
    refused.refused(ErrorCode::QueueFull).unwrap();
    let stranger = ask(&world.stranger(), "01").await;
    stranger.refused(ErrorCode::TokenMissing).unwrap();

    let spans = edge.collected.spans();
    assert_eq!(spans.len(), 3, "{spans:?}");
    for span in &spans {
        assert_eq!(span["name"], "accept");
        assert_eq!(span["kind"], 2, "a server's");
        assert_eq!(span["traceId"], TRACE);
        assert_eq!(span["parentSpanId"], SPAN);
        assert_eq!(attribute(span, "http.route"), Some("/api/v1/executions"));
        let nanoseconds = |name: &str| span[name].as_str().unwrap().parse::<u64>().unwrap();
        assert!(nanoseconds("startTimeUnixNano") <= nanoseconds("endTimeUnixNano"));
        assert!(!span.to_string().contains(PRIVATE), "{span}");
    }
    assert_ne!(spans[0]["spanId"], spans[1]["spanId"]);
    let id = accepted.id.to_string();
    assert_eq!(attribute(&spans[0], "execution.id"), Some(&*id));
    assert_eq!(attribute(&spans[1], "execution.id"), None);
    assert_eq!(attribute(&spans[1], "error.type"), Some("queue_full"));
    assert_eq!(attribute(&spans[2], "error.type"), Some("token_missing"));
    let status = |number: usize| spans[number]["status"]["code"].as_u64();
    assert_eq!([status(0), status(1), status(2)], [None, Some(2), None]);
}

#[tokio::test]
async fn a_result_that_is_taken_in_is_told_and_nothing_else_of_an_attempt() {
    let (edge, world) = deployment(&[TOLD]).await;
    let user = world.user().await.unwrap();
    let execution: Execution = ask(&user, "01").await.expect(202).unwrap();
    let link = Link::enrol(&world, "python").await.unwrap();
    let leases = link.lease(1, 20_000).await.unwrap();
    link.acknowledge(&leases).await.unwrap();
    let (job, attempt) = (&leases[0].job, AttemptId::random([1; 16]));
    let parent = job.traceparent.unwrap();
    assert_eq!(parent.trace_id(), TRACE);
    assert_ne!(parent.span_id(), SPAN, "the edge's own span lies between");
    let started = report(job, attempt, 0, Event::Started);
    let end = report(job, attempt, 1, printed(PRIVATE));
    link.report(vec![started, end]).await.unwrap();

    let spans = edge.collected.spans();
    assert_eq!(spans.len(), 2, "{spans:?}");
    assert_eq!(spans[0]["spanId"], parent.span_id());
    let result = &spans[1];
    assert_eq!(result["name"], "result");
    assert_eq!(result["traceId"], TRACE);
    assert_eq!(result["parentSpanId"], parent.span_id());
    for (key, value) in [
        ("execution.id", execution.id.to_string()),
        ("attempt.id", attempt.to_string()),
    ] {
        assert_eq!(attribute(result, key), Some(&*value));
    }
    assert!(!result.to_string().contains(PRIVATE), "{result}");
}

#[tokio::test]
async fn spans_are_told_only_where_the_operator_and_the_caller_want_it() {
    let (edge, world) = deployment(&[]).await;
    let user = world.user().await.unwrap();
    ask(&user, "01").await.expect::<Execution>(202).unwrap();
    assert!(
        edge.collected.spans().is_empty(),
        "nobody named a collector"
    );

    let (edge, world) = deployment(&[TOLD]).await;
    let user = world.user().await.unwrap();
    ask(&user, "00").await.expect::<Execution>(202).unwrap();
    assert!(edge.collected.spans().is_empty(), "it is not sampled");
    let link = Link::enrol(&world, "python").await.unwrap();
    let leases = link.lease(1, 20_000).await.unwrap();
    let parent = leases[0].job.traceparent.unwrap();
    assert_eq!(
        parent.span_id(),
        SPAN,
        "no span that nobody sees lies between"
    );
    link.acknowledge(&leases).await.unwrap();
    let end = report(&leases[0].job, AttemptId::random([1; 16]), 0, printed("1"));
    link.report(vec![end]).await.unwrap();
    assert!(edge.collected.spans().is_empty(), "nor is its result");
}

#[tokio::test]
async fn a_collector_that_is_away_fails_nothing() {
    let (edge, world) = deployment(&[TOLD]).await;
    let user = world.user().await.unwrap();
    edge.collected.set_away(true);
    ask(&user, "01").await.expect::<Execution>(202).unwrap();
    edge.collected.set_away(false);
    ask(&user, "01").await.expect::<Execution>(202).unwrap();
    assert_eq!(edge.collected.spans().len(), 1);
}
