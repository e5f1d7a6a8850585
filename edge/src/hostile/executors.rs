//! Executors that say more than they should, or stay for ever.

use codecrafter_shared::api::Executors;
use codecrafter_shared::id::AttemptId;
use codecrafter_shared::job::{Event, Job, Outcome, Report, Stream, Verdict};
use codecrafter_shared::{keys, limits};
use http::Request;
use serde_json::{Value, json};

use super::{Link, SECRET, Watched, World};
use crate::ports::Clock as _;

impl World {
    fn report(&self, job: &Job, attempt: u8, seq: u32, event: Event) -> Report {
        Report {
            execution_id: job.execution_id,
            session_id: job.session_id,
            report_token: job.report_token.clone(),
            attempt_id: AttemptId::random([attempt; 16]),
            seq,
            at: self.edge.clock.now(),
            event,
            traceparent: None,
        }
    }

    async fn reported(&self, link: &Link, reports: &[Report]) {
        let reports = json!({ "reports": reports });
        let (status, taken) = self.signed(link, "/internal/reports", &reports).await;
        assert_eq!(status, 200, "{taken}");
    }

    async fn executors(&self) -> Executors {
        let token = keys::operator_token(SECRET.as_bytes());
        let request = Request::get("/api/v1/executors")
            .header("authorization", format!("Bearer {token}"))
            .body(axum::body::Body::empty());
        let (_, _, body) = self.send(request.unwrap()).await;
        serde_json::from_slice(&body).unwrap()
    }
}

fn output(text: &str) -> Event {
    Event::Output {
        stream: Stream::Stdout,
        text: text.into(),
    }
}

/// Which events the room was told, with their attempts.
fn told(watched: &Watched) -> Vec<(Value, Value)> {
    let told = watched.take("/reports").into_iter();
    let reports = told.flat_map(|told| told["reports"].as_array().unwrap().clone());
    reports
        .map(|report| (report["attemptId"].clone(), report["event"]["type"].clone()))
        .collect()
}

#[tokio::test]
async fn an_executor_whose_lease_has_moved_on_shows_nothing_any_more() {
    let mut world = World::new().await;
    let watched = world.watch("");
    let session = world.session("1").await;
    let (slow, next) = (world.link().await, world.link().await);
    world.execution(&json!({ "sessionId": session.id })).await;
    let first = world.lease(&slow, 1).await.leases.remove(0).job;
    let attempt = |n: u8| json!(AttemptId::random([n; 16]));
    let live = |job: &Job, n, seq| {
        let started = world.report(job, n, seq, Event::Started);
        [started, world.report(job, n, seq + 1, output("x"))]
    };
    world.reported(&slow, &live(&first, 1, 0)).await;
    let seen = [
        (attempt(1), json!("started")),
        (attempt(1), json!("output")),
    ];
    assert_eq!(told(&watched), seen);

    // It does not acknowledge the lease, which returns.
    world.edge.clock.advance_ms(limits::LEASE_MS);
    world.edge.directory.tick().await.unwrap();
    world.reported(&slow, &live(&first, 1, 2)).await;
    assert_eq!(told(&watched), [], "nobody has it");
    let second = world.lease(&next, 1).await.leases.remove(0).job;
    world.reported(&next, &live(&second, 2, 0)).await;
    told(&watched);
    world.reported(&slow, &live(&first, 3, 0)).await;
    world
        .reported(&slow, &[world.report(&first, 1, 9, output("forged"))])
        .await;
    assert_eq!(told(&watched), [], "another has it");
    let rows = world.sql("SELECT attempt_id FROM execution").await;
    let shown: AttemptId = rows[0].get("attempt_id").unwrap();
    assert_eq!(json!(shown), attempt(2), "its start counts for nothing");

    // A result counts, whoever has it first; the room hears the end of what it shows.
    let end = || Event::Finished {
        outcome: Box::new(Outcome::without_run(Verdict::Accepted, "done")),
    };
    world
        .reported(&slow, &[world.report(&first, 1, 10, end())])
        .await;
    assert_eq!(told(&watched), [(attempt(2), json!("finished"))]);
    world
        .reported(&next, &[world.report(&second, 2, 5, output("late"))])
        .await;
    assert_eq!(told(&watched), []);
}

#[tokio::test]
async fn a_long_message_of_an_executor_is_clipped() {
    let world = World::new().await;
    let link = world.link().await;
    let execution = world
        .execution(&json!({ "language": "python", "code": "1" }))
        .await;
    let job = world.lease(&link, 1).await.leases.remove(0).job;
    let long = "ä".repeat(limits::MESSAGE_CHARS_MAX + 1);
    let end = Event::Finished {
        outcome: Box::new(Outcome::without_run(Verdict::Accepted, long)),
    };
    world
        .reported(&link, &[world.report(&job, 1, 0, end)])
        .await;
    let message = world.seen(&execution).await.message.unwrap();
    assert_eq!(message.chars().count(), limits::MESSAGE_CHARS_MAX + 1);
    assert!(message.ends_with("ä…"));
}

#[tokio::test]
async fn the_list_of_executors_is_bounded_and_forgets_those_that_were_revoked() {
    let world = World::new().await;
    let (gone, kept) = (world.link().await, world.link().await);
    world.lease(&kept, 0).await;
    let token = keys::operator_token(SECRET.as_bytes());
    let revoke = Request::delete(format!("/api/v1/executors/{}", gone.executor))
        .header("authorization", format!("Bearer {token}"))
        .body(axum::body::Body::empty());
    assert_eq!(world.send(revoke.unwrap()).await.0, 204);
    world
        .edge
        .clock
        .advance_ms(limits::EXECUTOR_REVOKED_MS - 1_000);
    world.edge.directory.tick().await.unwrap();
    assert_eq!(world.executors().await.items.len(), 2);
    world.edge.clock.advance_ms(1_000);
    world.edge.directory.tick().await.unwrap();
    let left = world.executors().await.items;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].id, kept.executor);

    let later = "UPDATE executor SET last_seen_at = enrolled_at + 1";
    world.sql(later).await;
    let n = limits::EXECUTORS_LISTED_MAX + 10;
    let columns = "name, public_key, languages, slots, enrolled_at";
    let copies = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n}) \
         INSERT INTO executor (tenant, id, {columns}) SELECT tenant, \
         substr(id, 1, 30) || printf('%06x', i), {columns} FROM executor, n WHERE true"
    );
    world.sql(&copies).await;
    let listed = world.executors().await.items;
    assert_eq!(
        listed.len(),
        usize::try_from(limits::EXECUTORS_LISTED_MAX).unwrap()
    );
    assert!(
        listed.iter().any(|executor| executor.id == kept.executor),
        "the one that was heard of is among them"
    );
}
