//! What becomes of a job on a host, with a real queue and a sandbox that follows orders.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use codecrafter_shared::id::AttemptId;
use codecrafter_shared::job::{Event, Job, Outcome, Report, Stage, Stream, Verdict};
use codecrafter_shared::time::Timestamp;
use common::{Faulty, Flaky, PATIENCE};
use executor_host::host::{Host, HostSettings, Offer};
use executor_host::metrics::Metrics;
use executor_host::queue::contract::{cancel, execution, job};
use executor_host::queue::{DELIVERIES_MAX, Delivery, Embedded, LiveReports, Queue};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A host at work.
struct World {
    queue: Arc<Faulty>,
    sandbox: Arc<Flaky>,
    live: LiveReports,
    settings: HostSettings,
    _folder: TempDir,
}

struct Running {
    offer: watch::Receiver<Offer>,
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let queue = Embedded::open(&folder.path().join("queue.db")).unwrap();
        Self {
            queue: Faulty::new(Arc::new(queue)),
            sandbox: Arc::default(),
            live: LiveReports::default(),
            settings: HostSettings {
                slots: 2,
                grace: Duration::from_secs(20),
                retry_delay: Duration::from_millis(10),
            },
            _folder: folder,
        }
    }

    fn start(&self) -> Running {
        let (queue, sandbox) = (Arc::clone(&self.queue), Arc::clone(&self.sandbox));
        let host = Host::new(
            queue,
            sandbox,
            self.live.clone(),
            self.settings.clone(),
            Metrics::default(),
        );
        let (offer, stop) = (host.offer(), CancellationToken::new());
        let ended = tokio::spawn(Arc::new(host).run(stop.clone()));
        Running { offer, stop, ended }
    }

    /// Waits for a job, as another worker does.
    async fn taken(&self) -> Delivery {
        timeout(PATIENCE, self.queue.take())
            .await
            .expect("it is kept from others")
            .unwrap()
    }

    async fn publish(&self, number: u64, code: &str) {
        self.queue
            .publish(&Job {
                code: code.into(),
                ..job(number)
            })
            .await
            .unwrap();
    }

    /// Waits for the next final result and takes it out of the queue.
    async fn result(&self) -> Report {
        let mut taken = timeout(PATIENCE, self.queue.take_results(1))
            .await
            .unwrap()
            .unwrap();
        let stored = taken.remove(0);
        let report = stored.report.clone();
        stored.confirm().await.unwrap();
        report
    }

    async fn live_until(&self, mut seen: impl FnMut(&Report) -> bool) -> Vec<Report> {
        let mut all = Vec::new();
        while !all.iter().any(&mut seen) {
            timeout(PATIENCE, self.live.due())
                .await
                .expect("it is never reported");
            all.extend(self.live.drain());
        }
        all
    }
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.ended)
            .await
            .expect("it does not stop")
            .unwrap();
    }
}

fn outcome(report: &Report) -> &Outcome {
    match &report.event {
        Event::Finished { outcome } => outcome,
        other => panic!("not final: {other:?}"),
    }
}

fn message(report: &Report) -> &str {
    outcome(report).message.as_deref().unwrap()
}

#[tokio::test]
async fn an_attempt_is_reported_in_order_and_without_a_gap() {
    let world = World::new();
    let running = world.start();
    world.publish(1, "hello\nerr oh\nexit 3").await;
    let last = world.result().await;
    let mut reports = world.live.drain();
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
    let mut attempts: Vec<AttemptId> = world.live.drain().iter().filter_map(started).collect();
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
        assert_eq!(world.queue.depth().await.unwrap(), Default::default());
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
    let texts: Vec<_> = world.live.drain().into_iter().filter_map(text).collect();
    assert_eq!(texts, ["A", "\u{1f980}"]);
    running.stop().await;
}

#[tokio::test]
async fn no_more_jobs_run_at_a_time_than_there_are_slots() {
    let world = World::new();
    let running = world.start();
    for number in 1..=5 {
        world.publish(number, "wait").await;
    }
    let mut started = 0;
    world
        .live_until(|report| {
            started += u32::from(report.event == Event::Started);
            started == 2
        })
        .await;
    let depth = world.queue.depth().await.unwrap();
    assert_eq!((depth.running, depth.ready), (2, 3));
    running.stop.cancel();
    running.ended.abort();
}

#[tokio::test]
async fn a_running_job_may_end_within_the_grace() {
    let world = World::new();
    let running = world.start();
    world.publish(1, "sleep 300\nhello").await;
    world
        .live_until(|report| report.event == Event::Started)
        .await;
    running.stop.cancel();
    world.publish(2, "hello").await;
    running.stop().await;
    assert_eq!(outcome(&world.result().await).verdict, Verdict::Accepted);
    let depth = world.queue.depth().await.unwrap();
    assert_eq!(
        (depth.ready, depth.running),
        (1, 0),
        "nothing was taken after the stop"
    );
}

#[tokio::test]
async fn a_job_that_runs_longer_than_the_grace_is_given_back_and_not_called_cancelled() {
    let mut world = World::new();
    world.settings.grace = Duration::from_millis(50);
    let running = world.start();
    world.publish(1, "wait").await;
    world
        .live_until(|report| report.event == Event::Started)
        .await;
    running.stop().await;
    let depth = world.queue.depth().await.unwrap();
    assert_eq!((depth.ready, depth.running, depth.results), (1, 0, 0));
    assert_eq!(world.queue.take().await.unwrap().count, 2);
}

#[tokio::test]
async fn nothing_is_taken_while_the_sandbox_does_not_answer() {
    let world = World::new();
    world.sandbox.away.store(true, Ordering::SeqCst);
    world.publish(1, "hello").await;
    let running = world.start();
    // It has been asked twice: the first answer was understood.
    timeout(PATIENCE, world.sandbox.asked.notified())
        .await
        .unwrap();
    timeout(PATIENCE, world.sandbox.asked.notified())
        .await
        .unwrap();
    assert_eq!(world.queue.depth().await.unwrap().ready, 1);
    world.sandbox.away.store(false, Ordering::SeqCst);
    assert_eq!(outcome(&world.result().await).verdict, Verdict::Accepted);
    running.stop().await;
}

#[tokio::test]
async fn an_engine_that_goes_away_costs_jobs_time_and_nothing_else() {
    let world = World::new();
    let running = world.start();
    world.publish(1, "hello").await;
    world.result().await;
    world.sandbox.away.store(true, Ordering::SeqCst);
    for number in 2..=4 {
        world.publish(number, "hello").await;
    }
    // Only the jobs that were taken before it showed have lost a delivery.
    world
        .live_until(|report| report.execution_id != execution(1))
        .await;
    world.sandbox.away.store(false, Ordering::SeqCst);
    for _ in 2..=4 {
        assert_eq!(outcome(&world.result().await).verdict, Verdict::Accepted);
    }
    running.stop().await;
}

#[tokio::test]
async fn a_fault_that_is_not_the_engines_holds_no_other_job_back() {
    let mut world = World::new();
    world.settings.slots = 1;
    let running = world.start();
    world.publish(1, "hello").await;
    world.result().await;
    // Whoever is asked now what can be run, such as a broken image, takes for ever to say it.
    world.sandbox.silent.store(true, Ordering::SeqCst);
    world.publish(2, "fault 1\nhello").await;
    world.publish(3, "hello").await;
    for _ in 2..=3 {
        assert_eq!(outcome(&world.result().await).verdict, Verdict::Accepted);
    }
    running.stop().await;
}

#[tokio::test]
async fn what_the_sandbox_finds_out_later_is_offered_at_once() {
    let world = World::new();
    world.sandbox.bare.store(true, Ordering::SeqCst);
    let mut running = world.start();
    let mut offered = async |count| {
        let offers = |offer: &Offer| offer.as_deref().is_some_and(|all| all.len() == count);
        // Less than it takes a host to ask by itself.
        let known = timeout(PATIENCE / 2, running.offer.wait_for(offers)).await;
        assert!(known.expect("it is not offered").is_ok());
    };
    offered(0).await;
    world.sandbox.bare.store(false, Ordering::SeqCst);
    world.sandbox.changed.notify_one();
    offered(1).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_that_does_not_answer_any_more_is_offered_no_longer() {
    let world = World::new();
    let mut running = world.start();
    assert!(running.offer.wait_for(Option::is_some).await.is_ok());
    world.sandbox.silent.store(true, Ordering::SeqCst);
    world.sandbox.changed.notify_one();
    let withdrawn = running.offer.wait_for(Option::is_none);
    assert!(timeout(2 * PATIENCE, withdrawn).await.unwrap().is_ok());
    running.ended.abort();
}

// ---- Other workers of the same queue ----

#[tokio::test]
async fn a_host_whose_sandbox_fails_leaves_the_jobs_that_come_to_others() {
    let world = World::new();
    let running = world.start();
    world.publish(1, "hello").await;
    world.result().await;
    world.sandbox.away.store(true, Ordering::SeqCst);
    world.publish(2, "hello").await;
    // It was asked when the host began, when job 2 failed, and once more after that.
    for _ in 0..3 {
        timeout(PATIENCE, world.sandbox.asked.notified())
            .await
            .unwrap();
    }
    assert_eq!(world.taken().await.job.execution_id, execution(2));
    running.stop().await;
}

#[tokio::test]
async fn a_host_without_any_language_leaves_every_job_to_others() {
    let world = World::new();
    world.sandbox.bare.store(true, Ordering::SeqCst);
    let mut running = world.start();
    let known = running.offer.wait_for(Option::is_some);
    assert!(timeout(PATIENCE, known).await.unwrap().is_ok());
    world.publish(1, "hello").await;
    // The queue answers in turn: whoever waited for the job has it by now.
    for _ in 0..3 {
        world.queue.depth().await.unwrap();
    }
    assert_eq!(world.taken().await.count, 1);
    running.stop().await;
}

#[tokio::test]
async fn a_host_that_hears_no_control_messages_leaves_the_jobs_that_come_to_others() {
    let world = World::new();
    let running = world.start();
    world.publish(1, "hello").await;
    world.result().await;
    world.queue.controls_fail.store(true, Ordering::SeqCst);
    // More than wait for a listener, who is told then that it has missed some.
    for number in 0..2000 {
        world.queue.send_control(&cancel(number)).await.unwrap();
    }
    let failed = async || timeout(PATIENCE, world.queue.failed.notified()).await;
    failed().await.unwrap();
    world.publish(3000, "hello").await;
    // It listens again in vain, and has had the time to take the job.
    failed().await.unwrap();
    assert_eq!(world.taken().await.job.execution_id, execution(3000));
    running.stop().await;
}

// ---- Cancelled by the owner ----

/// Waits until so many executions have started, since the last look.
async fn started(world: &World, count: usize) {
    let mut started = 0;
    world
        .live_until(|report| {
            started += usize::from(report.event == Event::Started);
            started == count
        })
        .await;
}

#[tokio::test]
async fn a_cancelled_job_ends_as_cancelled_and_its_neighbour_goes_on() {
    let world = World::new();
    let running = world.start();
    world.publish(1, "begun\nwait").await;
    world.publish(2, "wait").await;
    started(&world, 2).await;
    world.queue.send_control(&cancel(1)).await.unwrap();
    let last = world.result().await;
    assert_eq!(last.execution_id, execution(1));
    assert_eq!(outcome(&last).verdict, Verdict::Cancelled);
    assert_eq!(outcome(&last).runs[0].stdout.data, "begun\n");
    let depth = world.queue.depth().await.unwrap();
    assert_eq!((depth.running, depth.ready, depth.results), (1, 0, 0));
    world.queue.send_control(&cancel(2)).await.unwrap();
    assert_eq!(world.result().await.execution_id, execution(2));
    running.stop().await;
    assert_eq!(world.queue.depth().await.unwrap(), Default::default());
}

#[tokio::test]
async fn a_job_that_was_cancelled_before_it_came_is_never_started() {
    let world = World::new();
    let running = world.start();
    // That one is heard shows that the host listens.
    world.publish(1, "wait").await;
    started(&world, 1).await;
    world.queue.send_control(&cancel(2)).await.unwrap();
    world.queue.send_control(&cancel(1)).await.unwrap();
    world.result().await;
    world.publish(2, "hello").await;
    let last = world.result().await;
    assert_eq!(last.execution_id, execution(2));
    assert_eq!((outcome(&last).verdict, last.seq), (Verdict::Cancelled, 0));
    assert_eq!(world.sandbox.echo.starts(execution(2)), 0);
    running.stop().await;
}

#[tokio::test]
async fn who_cancels_while_the_host_stops_is_obeyed_and_the_job_does_not_come_back() {
    let world = World::new();
    let running = world.start();
    world.publish(1, "wait").await;
    started(&world, 1).await;
    running.stop.cancel();
    world.queue.send_control(&cancel(1)).await.unwrap();
    assert_eq!(outcome(&world.result().await).verdict, Verdict::Cancelled);
    running.stop().await;
    assert_eq!(world.queue.depth().await.unwrap(), Default::default());
}

#[tokio::test]
async fn to_cancel_what_has_ended_changes_nothing() {
    let world = World::new();
    let running = world.start();
    world.publish(1, "hello").await;
    assert_eq!(outcome(&world.result().await).verdict, Verdict::Accepted);
    world.publish(2, "wait").await;
    started(&world, 2).await;
    world.queue.send_control(&cancel(1)).await.unwrap();
    world.queue.send_control(&cancel(2)).await.unwrap();
    let last = world.result().await;
    assert_eq!(last.execution_id, execution(2));
    running.stop().await;
    assert_eq!(world.queue.depth().await.unwrap(), Default::default());
}
