//! The whole service around a sandbox that follows orders: what an edge sees of it, also when the
//! process is killed.

mod common;

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use codecrafter_shared::id::AttemptId;
use codecrafter_shared::job::{Event, Job, Verdict};
use common::{Edge, PATIENCE};
use executor_host::drain::drain;
use executor_host::health::Monitor;
use executor_host::host::HostSettings;
use executor_host::link::Credentials;
use executor_host::queue::contract::{cancel, execution, job, typed, until_typed};
use executor_host::queue::{Embedded, Queue as _};
use executor_host::sandbox::echo::Echo;
use executor_host::serve::{QUEUE_FILE, open_queue, serve};
use executor_host::shutdown;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

fn settings() -> HostSettings {
    HostSettings {
        slots: 2,
        grace: Duration::from_secs(10),
        retry_delay: Duration::from_millis(10),
    }
}

fn code(number: u64, code: &str) -> Job {
    Job {
        code: code.into(),
        ..job(number)
    }
}

#[tokio::test]
async fn every_job_that_the_edge_has_is_run_and_reported_once() {
    let (edge, url) = Edge::start().await;
    let folder = TempDir::new().unwrap();
    const JOBS: u64 = 30;
    for number in 0..JOBS {
        edge.offer(code(number, &format!("hello {number}")));
    }
    let (stop, service) = served(&url, &folder).await;
    edge.until_finished((0..JOBS).map(execution)).await;
    stop.cancel();
    timeout(PATIENCE, service)
        .await
        .expect("it does not stop")
        .unwrap()
        .unwrap();
    assert_eq!(
        Embedded::inspect(&folder.path().join(QUEUE_FILE)).unwrap(),
        Default::default()
    );
    let state = edge.state();
    assert_eq!(state.acknowledged.len(), JOBS as usize);
    assert_eq!(state.counted.duplicates, 0);
    let mut attempts: HashMap<AttemptId, Vec<u32>> = HashMap::new();
    for report in state.reports() {
        attempts
            .entry(report.attempt_id)
            .or_default()
            .push(report.seq);
    }
    assert_eq!(attempts.len(), JOBS as usize);
    for seqs in attempts.values() {
        assert!(seqs.iter().copied().eq(0..seqs.len() as u32), "{seqs:?}");
    }
}

/// A service in this process, with the stop that ends it.
async fn served(
    url: &str,
    folder: &TempDir,
) -> (
    CancellationToken,
    tokio::task::JoinHandle<Result<(), executor_host::serve::ServeError>>,
) {
    let credentials = Edge::enrol(url, folder.path()).await;
    let stop = CancellationToken::new();
    let queue = Arc::new(open_queue(folder.path()).unwrap());
    let sandbox = Arc::new(Echo::default());
    let service = serve(
        queue,
        credentials,
        settings(),
        sandbox,
        Monitor::default(),
        stop.clone(),
    );
    (stop, tokio::spawn(service))
}

#[tokio::test]
async fn what_the_edge_has_not_taken_at_the_end_is_left_to_the_next_start() {
    let (edge, url) = Edge::start().await;
    let folder = TempDir::new().unwrap();
    let (stop, service) = served(&url, &folder).await;
    edge.offer(code(1, "sleep 500\nhello"));
    attempts_started(&edge, 1).await;
    edge.state().broken = Some(axum::http::StatusCode::BAD_GATEWAY);
    stop.cancel();
    let ended = timeout(PATIENCE, service).await.expect("it does not stop");
    ended.unwrap().unwrap();
    // Nobody has the queue open any more.
    let queue = open_queue(folder.path()).unwrap();
    assert_eq!(queue.depth().await.unwrap().results, 1);
}

#[tokio::test]
async fn a_program_is_ended_when_the_edge_says_so_also_on_a_full_host() {
    let (edge, url) = Edge::start().await;
    let folder = TempDir::new().unwrap();
    let (stop, service) = served(&url, &folder).await;
    for number in 1..=3 {
        edge.offer(code(number, "wait"));
    }
    attempts_started(&edge, 2).await;
    edge.control(cancel(1));
    edge.until_finished([execution(1)]).await;
    // The slot that it leaves is the third job's.
    attempts_started(&edge, 3).await;
    for number in 2..=3 {
        edge.control(cancel(number));
    }
    edge.until_finished([execution(2), execution(3)]).await;
    let verdicts: Vec<_> = edge.state().reports().into_iter().collect();
    let verdicts = verdicts.iter().filter_map(|report| match &report.event {
        Event::Finished { outcome } => Some(outcome.verdict),
        _ => None,
    });
    assert_eq!(verdicts.collect::<Vec<_>>(), [Verdict::Cancelled; 3]);
    edge.until(|edge| edge.controls.is_empty().then_some(()))
        .await;
    stop.cancel();
    let ended = timeout(PATIENCE, service).await.expect("it does not stop");
    ended.unwrap().unwrap();
}

#[tokio::test]
async fn a_host_that_was_revoked_keeps_what_it_has_and_still_stops_when_told_to() {
    let (edge, url) = Edge::start().await;
    let folder = TempDir::new().unwrap();
    let (stop, service) = served(&url, &folder).await;
    edge.offer(code(1, "sleep 300\nhello"));
    attempts_started(&edge, 1).await;
    edge.state().hosts.clear();
    edge.until(|edge| (edge.unknown_hosts >= 2).then_some(()))
        .await;
    assert!(!service.is_finished());
    stop.cancel();
    let ended = timeout(PATIENCE, service).await.expect("it does not stop");
    ended.unwrap().unwrap();
    let depth = Embedded::inspect(&folder.path().join(QUEUE_FILE)).unwrap();
    assert_eq!((depth.running, depth.results), (0, 1), "its result waits");
}

// ---- As a process ----

const CHILD_STATE: &str = "CODECRAFTER_TEST_CHILD_STATE";
const CHILD_GRACE_MS: &str = "CODECRAFTER_TEST_CHILD_GRACE_MS";

/// Not a test of its own: the process that the next tests end.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_serves() {
    let Ok(path) = std::env::var(CHILD_STATE) else {
        return;
    };
    let path = Path::new(&path);
    let credentials = Credentials::load(path).unwrap().unwrap();
    let stop = shutdown::on_signals().unwrap();
    let grace = std::env::var(CHILD_GRACE_MS).unwrap().parse().unwrap();
    let settings = HostSettings {
        grace: Duration::from_millis(grace),
        ..settings()
    };
    let queue = Arc::new(open_queue(path).unwrap());
    serve(
        queue,
        credentials,
        settings,
        Arc::new(Echo::default()),
        Monitor::default(),
        stop,
    )
    .await
    .unwrap();
}

/// Ends the child when it goes out of scope.
struct Service(Child);

impl Service {
    fn start(state_dir: &Path, grace_ms: u32) -> Self {
        // Who writes more than it may is told so, instead of being ended by a signal.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
        command.arg(std::env::current_exe().unwrap());
        command.args(["--exact", "child_that_serves", "--nocapture"]);
        command
            .env(CHILD_STATE, state_dir)
            .env(CHILD_GRACE_MS, grace_ms.to_string());
        Self(command.stdout(Stdio::null()).spawn().unwrap())
    }

    fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args([name, &self.0.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    /// Lets it write nothing to any file, as on a full disk, or anything again.
    fn fill_disk(&self, is_full: bool) {
        let limit = Rlimit {
            current: is_full.then_some(1),
            maximum: None,
        };
        prlimit(Some(Pid::from_child(&self.0)), Resource::Fsize, limit).unwrap();
    }

    async fn ended(mut self) -> std::process::ExitStatus {
        let waited = tokio::task::spawn_blocking(move || self.0.wait().unwrap());
        timeout(PATIENCE, waited)
            .await
            .expect("it does not end")
            .unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn attempts_started(edge: &Edge, count: usize) -> Vec<AttemptId> {
    edge.until(|edge| {
        let started = edge
            .reports()
            .into_iter()
            .filter(|report| report.event == Event::Started);
        let attempts: Vec<_> = started.map(|report| report.attempt_id).collect();
        (attempts.len() >= count).then_some(attempts)
    })
    .await
}

#[tokio::test]
async fn a_host_that_is_killed_in_the_middle_of_a_job_runs_it_again_and_finishes_it_once() {
    let (edge, url) = Edge::start().await;
    let folder = TempDir::new().unwrap();
    Edge::enrol(&url, folder.path()).await;
    let first = Service::start(folder.path(), 10_000);
    edge.offer(until_typed(1));
    attempts_started(&edge, 1).await;
    first.signal("-KILL");
    first.ended().await;
    let second = Service::start(folder.path(), 10_000);
    attempts_started(&edge, 2).await;
    edge.control(typed(1, 0, "ended"));
    edge.until_finished([execution(1)]).await;
    second.signal("-TERM");
    assert!(second.ended().await.success());
    let attempts = attempts_started(&edge, 2).await;
    assert_ne!(attempts[0], attempts[1]);
    let reports = edge.state().reports();
    let finals: Vec<_> = reports
        .iter()
        .filter_map(|report| match &report.event {
            Event::Finished { outcome } => Some((report.attempt_id, outcome.verdict)),
            _ => None,
        })
        .collect();
    assert_eq!(finals, [(attempts[1], Verdict::Accepted)]);
    assert_eq!(
        edge.state().leased.len(),
        1,
        "it came from the host's own queue"
    );
}

#[tokio::test]
async fn sigterm_gives_back_what_runs_too_long_and_exits_with_success() {
    let (edge, url) = Edge::start().await;
    let folder = TempDir::new().unwrap();
    Edge::enrol(&url, folder.path()).await;
    let service = Service::start(folder.path(), 100);
    edge.offer(code(1, "wait"));
    attempts_started(&edge, 1).await;
    service.signal("-TERM");
    assert!(service.ended().await.success());
    let depth = Embedded::inspect(&folder.path().join(QUEUE_FILE)).unwrap();
    assert_eq!((depth.ready, depth.running, depth.results), (1, 0, 0));
    assert!(
        edge.state().finished.is_empty(),
        "it was not called cancelled"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_drains_finishes_what_it_has_takes_nothing_more_and_ends() {
    let (edge, url) = Edge::start().await;
    let folder = TempDir::new().unwrap();
    Edge::enrol(&url, folder.path()).await;
    // No grace: only what is drained may take its time.
    let service = Service::start(folder.path(), 0);
    edge.offer(until_typed(1));
    attempts_started(&edge, 1).await;
    let state_dir = folder.path().to_owned();
    let drained = tokio::spawn(async move { drain(&state_dir, Some(PATIENCE)).await });
    // It says so by offering nothing any more.
    edge.until(|edge| {
        let asked = edge.lease_requests.last()?;
        asked.languages.is_empty().then_some(())
    })
    .await;
    edge.offer(code(2, "too late"));
    edge.control(typed(1, 0, "ended"));
    assert_eq!(
        drained.await.unwrap().unwrap().cast_unsigned(),
        service.0.id()
    );
    assert!(service.ended().await.success());
    let finished = edge.state().finished.clone();
    assert!(finished.contains(&execution(1)), "it was finished");
    assert!(!finished.contains(&execution(2)), "it was for others");
    let again = drain(folder.path(), None).await.unwrap_err();
    assert!(again.to_string().contains("no executor-host"), "{again}");
}

#[tokio::test]
async fn a_full_disk_delays_jobs_and_results_and_loses_none() {
    let (edge, url) = Edge::start().await;
    let folder = TempDir::new().unwrap();
    Edge::enrol(&url, folder.path()).await;
    let service = Service::start(folder.path(), 10_000);
    edge.offer(until_typed(1));
    attempts_started(&edge, 1).await;
    edge.until(|edge| (edge.acknowledged.len() == 1).then_some(()))
        .await;
    service.fill_disk(true);
    edge.control(typed(1, 0, "ended"));
    edge.until(|edge| edge.controls.is_empty().then_some(()))
        .await;
    edge.offer(code(2, "hello"));
    // It is handed out again because it was not acknowledged: it cannot be kept.
    let asked = edge.state().lease_requests.len();
    edge.until(|edge| (edge.lease_requests.len() >= asked + 3).then_some(()))
        .await;
    assert_eq!(edge.state().acknowledged.len(), 1);
    assert!(edge.state().finished.is_empty(), "a result was not kept");
    service.fill_disk(false);
    edge.until_finished([execution(1), execution(2)]).await;
    for report in edge.state().reports() {
        if let Event::Finished { outcome } = report.event {
            assert_eq!(outcome.verdict, Verdict::Accepted, "{outcome:?}");
        }
    }
    assert_eq!(attempts_started(&edge, 2).await.len(), 2, "one for each");
    service.signal("-TERM");
    assert!(service.ended().await.success());
}

#[tokio::test]
async fn a_second_signal_exits_at_once() {
    let (edge, url) = Edge::start().await;
    let folder = TempDir::new().unwrap();
    Edge::enrol(&url, folder.path()).await;
    let service = Service::start(folder.path(), 600_000);
    edge.offer(code(1, "sleep 600000"));
    attempts_started(&edge, 1).await;
    service.signal("-INT");
    service.signal("-TERM");
    let status = service.ended().await;
    assert_eq!(status.code(), Some(130), "{status}");
}
