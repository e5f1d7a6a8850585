//! The whole service around a broker, in one process and in parts.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use codecrafter_shared::id::AttemptId;
use codecrafter_shared::job::{Event, Job, Report, Verdict};
use codecrafter_shared::language::AnnouncedLanguage;
use executor_host::crew;
use executor_host::health::Monitor;
use executor_host::host::HostSettings;
use executor_host::link::credentials::Credentials;
use executor_host::queue::contract::{execution, job, typed, until_typed};
use executor_host::queue::rabbitmq::{COUNT_MAX, DELIVERY_LIMIT};
use executor_host::queue::{Queue as _, RabbitMq};
use executor_host::sandbox::echo::Echo;
use executor_host::serve::{ServeError, Worker, serve_shared, take_place};
use executor_host::shutdown;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, soon, until};
use crate::common::Edge;

fn worker(name: &str) -> Worker {
    Worker {
        name: name.into(),
        settings: HostSettings {
            slots: 2,
            grace: Duration::from_secs(10),
            retry_delay: Duration::from_millis(10),
        },
        sandbox: Arc::new(Echo::default()),
    }
}

fn python() -> AnnouncedLanguage {
    AnnouncedLanguage {
        id: "python".into(),
        version: "1".into(),
        end_of_life: None,
    }
}

fn code(number: u64, code: &str) -> Job {
    Job {
        code: code.into(),
        ..job(number)
    }
}

/// An edge, and the credentials of a link that it knows.
async fn enrolled() -> (Arc<Edge>, Credentials) {
    let (edge, url) = Edge::start().await;
    let folder = TempDir::new().unwrap();
    let credentials = Edge::enrol(&url, folder.path()).await;
    (edge, credentials)
}

type Service = JoinHandle<Result<(), ServeError>>;

/// A link, and nobody who works.
fn linked(bench: &Bench, credentials: Credentials, stop: &CancellationToken) -> Service {
    linked_by(bench, credentials, Monitor::default(), stop)
}

/// The same, watched.
fn linked_by(
    bench: &Bench,
    credentials: Credentials,
    monitor: Monitor,
    stop: &CancellationToken,
) -> Service {
    let stop = stop.clone();
    tokio::spawn(serve_shared(
        bench.queue(),
        Some(credentials),
        None,
        monitor,
        stop,
    ))
}

async fn ended(services: impl IntoIterator<Item = Service>, stop: &CancellationToken) {
    stop.cancel();
    for service in services {
        soon(service).await.unwrap().unwrap();
    }
}

/// Each attempt's numbers of reports, in the order in which the edge got them.
fn seqs(edge: &Edge) -> HashMap<AttemptId, Vec<u32>> {
    let mut attempts: HashMap<AttemptId, Vec<u32>> = HashMap::new();
    for report in edge.state().reports() {
        attempts
            .entry(report.attempt_id)
            .or_default()
            .push(report.seq);
    }
    attempts
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn link_and_worker_in_one_process_run_every_job_once() {
    const JOBS: u64 = 20;
    let bench = Bench::new().await;
    let (edge, credentials) = enrolled().await;
    for number in 0..JOBS {
        edge.offer(code(number, &format!("hello {number}")));
    }
    let stop = CancellationToken::new();
    let parts = (Some(credentials), Some(worker("both")));
    let service = serve_shared(
        bench.queue(),
        parts.0,
        parts.1,
        Monitor::default(),
        stop.clone(),
    );
    let service = tokio::spawn(service);
    edge.until_finished((0..JOBS).map(execution)).await;
    ended([service], &stop).await;
    let attempts = seqs(&edge);
    assert_eq!(attempts.len() as u64, JOBS);
    for seqs in attempts.values() {
        assert!(seqs.iter().copied().eq(0..seqs.len() as u32), "{seqs:?}");
    }
    let left = RabbitMq::inspect(bench.url.parse().unwrap(), &bench.prefix).await;
    assert_eq!(left.unwrap(), Default::default());
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_job_that_no_worker_survives_is_reported_and_its_slot_is_free_again() {
    let bench = Bench::new().await;
    let (edge, credentials) = enrolled().await;
    let stop = CancellationToken::new();
    let monitor = Monitor::default();
    let given_up = async |times: u32| {
        let line = "jobs_total{language=\"python\",verdict=\"internal_error\"}";
        let told = format!("{line} {times}\n");
        // A result may be with the edge before it is counted.
        until(async || monitor.metrics.text().contains(&told).then_some(())).await;
    };
    let link = linked_by(&bench, credentials, monitor.clone(), &stop);
    let queue = Arc::new(bench.queue());
    let announced = Arc::clone(&queue);
    let (_offer, offered) = watch::channel(Some(vec![python()].into()));
    let until = stop.clone();
    tokio::spawn(async move { crew::announce(&announced, "frail", 1, offered, until).await });
    // What is not told before it happens is no change to Prometheus.
    edge.until(|edge| edge.lease_requests.last().map(drop))
        .await;
    given_up(0).await;
    for number in 1..=2 {
        edge.offer(job(number));
    }
    for _ in 0..=DELIVERY_LIMIT {
        let delivery = soon(queue.take()).await.unwrap();
        assert_eq!(delivery.job.execution_id, execution(1));
    }
    edge.until_finished([execution(1)]).await;
    given_up(1).await;
    let last = edge.state().reports().pop().unwrap();
    match last.event {
        Event::Finished { outcome } => assert_eq!(outcome.verdict, Verdict::InternalError),
        other => panic!("{other:?}"),
    }
    let next = soon(queue.take()).await.unwrap();
    assert_eq!(next.job.execution_id, execution(2));
    next.ack().await.unwrap();
    ended([link], &stop).await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn some_lost_connections_end_no_job_and_too_many_do() {
    let bench = Bench::new().await;
    let (edge, credentials) = enrolled().await;
    let queue = bench.queue();
    for (number, losses) in [(1, COUNT_MAX - 1), (2, COUNT_MAX)] {
        queue.publish(&job(number)).await.unwrap();
        for _ in 0..losses {
            drop(soon(queue.take()).await.unwrap());
        }
        let stop = CancellationToken::new();
        let service = serve_shared(
            bench.queue(),
            Some(credentials.clone()),
            Some(worker("late")),
            Monitor::default(),
            stop.clone(),
        );
        let service = tokio::spawn(service);
        edge.until_finished([execution(number)]).await;
        ended([service], &stop).await;
    }
    let ends = edge.state().reports().into_iter();
    let ends = ends.filter_map(|report| match report.event {
        Event::Finished { outcome } => Some((report.execution_id, outcome.verdict)),
        _ => None,
    });
    assert_eq!(
        ends.collect::<Vec<_>>(),
        [
            (execution(1), Verdict::Accepted),
            (execution(2), Verdict::InternalError)
        ]
    );
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_link_and_two_workers_run_every_job_once_and_their_output_is_live() {
    const JOBS: u64 = 12;
    let bench = Bench::new().await;
    let (edge, credentials) = enrolled().await;
    let stop = CancellationToken::new();
    let link = linked(&bench, credentials, &stop);
    let mut services = vec![link];
    for name in ["one", "two"] {
        let service = serve_shared(
            bench.queue(),
            None,
            Some(worker(name)),
            Monitor::default(),
            stop.clone(),
        );
        services.push(tokio::spawn(service));
    }
    // Their slots add up.
    edge.until(|edge| {
        let request = edge.lease_requests.last()?;
        (request.capacity == 4 && request.languages.len() == 1).then_some(())
    })
    .await;
    for number in 0..JOBS {
        edge.offer(until_typed(number));
    }
    // Each goes on when somebody has seen what it wrote first, and only then.
    let mut seen = HashSet::new();
    while (seen.len() as u64) < JOBS {
        let next = edge.until(|edge| {
            let wrote = |report: &Report| matches!(report.event, Event::Output { .. });
            let mut reports = edge.reports().into_iter();
            let next = reports.find(|one| wrote(one) && !seen.contains(&one.execution_id));
            next.map(|report| report.execution_id)
        });
        let next = next.await;
        let number = (0..JOBS).find(|number| execution(*number) == next);
        edge.control(typed(number.unwrap(), 0, "bye"));
        seen.insert(next);
    }
    edge.until_finished((0..JOBS).map(execution)).await;
    // What a job wrote first was seen before it had ended.
    let batches = edge.state().batches.clone();
    let early: HashSet<_> = (0..JOBS)
        .map(execution)
        .filter(|execution| {
            let of = |kind: fn(&Event) -> bool| {
                batches.iter().position(|batch| {
                    batch
                        .iter()
                        .any(|report| report.execution_id == *execution && kind(&report.event))
                })
            };
            let wrote = of(|event| matches!(event, Event::Output { .. }));
            let ended = of(|event| matches!(event, Event::Finished { .. }));
            wrote < ended && wrote.is_some()
        })
        .collect();
    assert_eq!(early.len() as u64, JOBS);
    ended(services, &stop).await;
    assert_eq!(edge.state().counted.duplicates, 0);
    assert_eq!(seqs(&edge).len() as u64, JOBS);
    for (_, mut seqs) in seqs(&edge) {
        // A result may overtake the last live reports: the edge passes over those.
        seqs.sort_unstable();
        assert!(seqs.iter().copied().eq(0..seqs.len() as u32), "{seqs:?}");
    }
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_link_knows_of_a_worker_until_it_leaves() {
    let bench = Bench::new().await;
    let (link, there) = (bench.queue(), bench.queue());
    let (offer, slots) = (watch::Sender::new(None), watch::Sender::new(0));
    let mut seen = (offer.subscribe(), slots.subscribe());
    let following = tokio::spawn(async move { crew::follow(&link, &offer, &slots).await });
    let offered = Some(vec![python()].into());
    let (can, leave) = (watch::Sender::new(offered), CancellationToken::new());
    let announced = can.subscribe();
    let announcing = {
        let leave = leave.clone();
        async move { crew::announce(&there, "one", 3, announced, leave).await }
    };
    let announcing = tokio::spawn(announcing);
    soon(seen.1.wait_for(|slots| *slots == 3)).await.unwrap();
    soon(seen.0.wait_for(Option::is_some)).await.unwrap();
    can.send_replace(None); // Its sandbox does not answer.
    soon(seen.0.wait_for(Option::is_none)).await.unwrap();
    can.send_replace(Some(vec![python()].into()));
    soon(seen.0.wait_for(Option::is_some)).await.unwrap();
    leave.cancel();
    soon(seen.0.wait_for(Option::is_none)).await.unwrap();
    assert_eq!(*seen.1.borrow(), 0);
    soon(announcing).await.unwrap();
    following.abort();
}

// ---- As a process ----

const CHILD_PREFIX: &str = "CODECRAFTER_TEST_CHILD_PREFIX";

/// Not a test of its own: the worker that the next test kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn child_that_works() {
    let Ok(prefix) = std::env::var(CHILD_PREFIX) else {
        return;
    };
    let url = crate::bench::url();
    let queue = RabbitMq::new(url.parse().unwrap(), prefix.parse().unwrap());
    let stop = shutdown::on_signals().unwrap();
    serve_shared(queue, None, Some(worker("child")), Monitor::default(), stop)
        .await
        .unwrap();
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill(); // SIGKILL
        let _ = self.0.wait();
    }
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn the_job_of_a_worker_that_is_killed_is_finished_by_another() {
    let bench = Bench::new().await;
    let (edge, credentials) = enrolled().await;
    let stop = CancellationToken::new();
    let link = linked(&bench, credentials, &stop);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "service::child_that_works", "--ignored"]);
    command.env(CHILD_PREFIX, bench.prefix.to_string());
    let child = Killed(command.stdout(Stdio::null()).spawn().unwrap());
    edge.offer(until_typed(1));
    let started = async |count: usize| {
        edge.until(|edge| {
            let reports = edge.reports().into_iter();
            let started = reports.filter(|report| report.event == Event::Started);
            let attempts: HashSet<_> = started.map(|report| report.attempt_id).collect();
            (attempts.len() >= count).then_some(attempts)
        })
        .await
    };
    let first = started(1).await;
    drop(child);
    let other = serve_shared(
        bench.queue(),
        None,
        Some(worker("other")),
        Monitor::default(),
        stop.clone(),
    );
    let other = tokio::spawn(other);
    started(2).await;
    edge.control(typed(1, 0, "ended"));
    edge.until_finished([execution(1)]).await;
    ended([link, other], &stop).await;
    let reports = edge.state().reports();
    let finals: Vec<_> = reports
        .iter()
        .filter_map(|report| match &report.event {
            Event::Finished { outcome } => Some((report.attempt_id, outcome.verdict)),
            _ => None,
        })
        .collect();
    assert_eq!(finals.len(), 1);
    assert_eq!(finals[0].1, Verdict::Accepted);
    assert!(!first.contains(&finals[0].0));
    assert_eq!(edge.state().leased.len(), 1, "it came from the queue");
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn queue_tells_how_much_waits_on_the_broker() {
    let bench = Bench::new().await;
    let shown = async || {
        let prefix = bench.prefix.to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_executor-host"));
        command.args(["queue", "--json", "--amqp-prefix", &prefix]);
        command.env_clear().env("AMQP_URL", &bench.url);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = output.await.unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let expected = |ready: u32, results: u32| {
        serde_json::json!({
            "queue": "rabbitmq", "ready": ready, "running": null, "results": results, "parked": 0,
        })
    };
    assert_eq!(shown().await, expected(0, 0));
    let queue = bench.queue();
    queue.publish(&job(1)).await.unwrap();
    let result = executor_host::queue::contract::result(1);
    queue.store_result(&result).await.unwrap();
    assert_eq!(shown().await, expected(1, 1));
}

#[test]
fn a_workers_place_belongs_to_one_process_at_a_time_and_keeps_its_name() {
    let folder = TempDir::new().unwrap();
    let first = take_place(folder.path()).unwrap();
    let taken = take_place(Path::new(folder.path())).err();
    assert!(matches!(taken, Some(ServeError::Taken(_))), "{taken:?}");
    let name = first.name.clone();
    drop(first);
    assert_eq!(take_place(folder.path()).unwrap().name, name);
}
