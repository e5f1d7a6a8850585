//! What becomes of one job: verdicts, results that are kept, faults that are tried again.

use std::sync::atomic::Ordering;

use codecrafter_shared::id::AttemptId;
use codecrafter_shared::job::{Event, Job, Report, Stage, Stream, Verdict};
use codecrafter_shared::time::Timestamp;
use executor_host::queue::contract::{execution, job};
use executor_host::queue::{DELIVERIES_MAX, Depth, Queue as _};
use tokio::time::timeout;

use crate::common::PATIENCE;
use crate::world::{World, message, outcome};

#[tokio::test]
async fn an_attempt_is_reported_in_order_and_without_a_gap() {
    let world = World::new();
    let running = world.start();
    world.publish(1, "hello\nerr oh\nexit 3").await;
    let last = world.result().await;
    let mut reports = world.live.drain().reports;
    assert_eq!(outcome(&last).verdict, Verdict::RuntimeError);
    assert_eq!(outcome(&last).runs[0].exit_code, Some(3));
    reports.push(last);
    let output = |stream, text: &str| Event::Output {
        stream,
        text: text.into(),
    };
    let events: Vec<_> = reports.iter().map(|report| report.event.clone()).collect();
    let expected = [
        Event::Started,
        Event::Stage { stage: Stage::Run },
        output(Stream::Stdout, "hello\n"),
        output(Stream::Stderr, "oh\n"),
    ];
    assert_eq!(events[..4], expected);
    for (seq, report) in reports.iter().enumerate() {
        assert_eq!(report.seq as usize, seq);
        assert_eq!(report.attempt_id, reports[0].attempt_id);
        assert_eq!(report.execution_id, execution(1));
        assert_eq!(report.report_token, job(1).report_token);
    }
    running.stop().await;
    assert_eq!(world.queue.depth().await.unwrap(), Default::default());
}

#[tokio::test]
async fn a_job_is_acknowledged_only_after_its_result_is_kept() {
    let world = World::new();
    world.queue.store_result_fails.store(true, Ordering::SeqCst);
    let running = world.start();
    world.publish(1, "hello").await;
    timeout(PATIENCE, world.queue.failed.notified())
        .await
        .unwrap();
    timeout(PATIENCE, world.queue.failed.notified())
        .await
        .unwrap();
    let depth = world.queue.depth().await.unwrap();
    assert_eq!((depth.running, depth.results), (1, 0), "still held");
    world
        .queue
        .store_result_fails
        .store(false, Ordering::SeqCst);
    assert_eq!(outcome(&world.result().await).verdict, Verdict::Accepted);
    running.stop().await;
    assert_eq!(world.queue.depth().await.unwrap(), Default::default());
    assert_eq!(
        world.sandbox.echo.starts(execution(1)),
        1,
        "the result was not made again"
    );
}

#[tokio::test]
async fn a_fault_of_the_host_is_tried_again_and_never_blamed_on_the_program() {
    let world = World::new();
    let running = world.start();
    world
        .publish(1, &format!("fault {}\nhello", DELIVERIES_MAX - 1))
        .await;
    let last = world.result().await;
    assert_eq!(outcome(&last).verdict, Verdict::Accepted);
    let started = |report: &Report| (report.event == Event::Started).then_some(report.attempt_id);
    let mut attempts: Vec<AttemptId> = world
        .live
        .drain()
        .reports
        .iter()
        .filter_map(started)
        .collect();
    assert_eq!(attempts.last(), Some(&last.attempt_id));
    attempts.sort_unstable();
    attempts.dedup();
    assert_eq!(
        attempts.len(),
        DELIVERIES_MAX as usize,
        "each attempt has an id of its own"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_job_that_the_host_keeps_failing_on_ends_as_an_internal_error() {
    for (code, starts) in [
        ("fault 99", DELIVERIES_MAX),
        ("panic", DELIVERIES_MAX),
        ("broken", 1),
    ] {
        let world = World::new();
        let running = world.start();
        world.publish(1, code).await;
        let last = world.result().await;
        assert_eq!(outcome(&last).verdict, Verdict::InternalError, "{code}");
        assert!(
            message(&last).contains("not the program"),
            "{}",
            message(&last)
        );
        assert!(
            !message(&last).contains("told to"),
            "the cause is for the log"
        );
        assert_eq!(world.sandbox.echo.starts(execution(1)), starts, "{code}");
        running.stop().await;
        let left = Depth {
            parked: 1,
            ..Depth::default()
        };
        assert_eq!(world.queue.depth().await.unwrap(), left, "for an operator");
    }
}

#[tokio::test]
async fn a_job_that_was_in_the_hands_of_too_many_dead_workers_is_not_run_again() {
    let world = World::new();
    world.publish(1, "hello").await;
    for _ in 0..DELIVERIES_MAX {
        drop(world.queue.take().await.unwrap());
    }
    let running = world.start();
    let last = world.result().await;
    assert_eq!(
        (outcome(&last).verdict, last.seq),
        (Verdict::InternalError, 0)
    );
    assert_eq!(world.sandbox.echo.starts(execution(1)), 0);
    running.stop().await;
    assert_eq!(world.queue.depth().await.unwrap().parked, 1);
}

#[tokio::test]
async fn a_job_that_cannot_be_run_here_ends_with_the_reason_and_without_a_run() {
    let past = Timestamp::from_millis(1);
    for (refused, verdict, reason) in [
        (
            Job {
                deadline: past,
                ..job(1)
            },
            Verdict::Expired,
            "deadline",
        ),
        (
            Job {
                language: "cobol".into(),
                ..job(1)
            },
            Verdict::InternalError,
            "`cobol`",
        ),
        (
            Job {
                schema: 99,
                ..job(1)
            },
            Verdict::InternalError,
            "version 99",
        ),
    ] {
        let world = World::new();
        world.queue.publish(&refused).await.unwrap();
        let running = world.start();
        let last = world.result().await;
        assert_eq!((outcome(&last).verdict, last.seq), (verdict, 0));
        assert!(message(&last).contains(reason), "{}", message(&last));
        assert_eq!(world.sandbox.echo.starts(execution(1)), 0);
        assert!(world.live.is_empty());
        running.stop().await;
    }
}

#[tokio::test]
async fn a_character_that_arrives_in_two_pieces_is_shown_whole() {
    let world = World::new();
    let running = world.start();
    // U+1F980, cut in its middle, long enough apart to be reported in between.
    world
        .publish(1, "bytes 41f09f\nsleep 200\nbytes a680")
        .await;
    world.result().await;
    let text = |report: Report| match report.event {
        Event::Output { text, .. } => Some(text),
        _ => None,
    };
    let texts: Vec<_> = world
        .live
        .drain()
        .reports
        .into_iter()
        .filter_map(text)
        .collect();
    assert_eq!(texts, ["A", "\u{1f980}"]);
    running.stop().await;
}
