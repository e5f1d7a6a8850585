//! What a service answers to whoever watches over it, while real jobs run.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::StatusCode;
use codecrafter_shared::id::ExecutionId;
use codecrafter_shared::job::{Control, Event, Job, RunSpec, Stage, Verdict};
use common::{Edge, Flaky, PATIENCE};
use executor_host::clock;
use executor_host::health::{Monitor, Server};
use executor_host::host::HostSettings;
use executor_host::metrics::Metrics;
use executor_host::queue::Depth;
use executor_host::queue::contract::{cancel, job};
use executor_host::serve::{open_queue, serve};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// A service that can be watched.
struct Watched {
    edge: Arc<Edge>,
    sandbox: Arc<Flaky>,
    base: String,
    stop: CancellationToken,
    service: JoinHandle<()>,
    _folder: TempDir,
}

impl Watched {
    async fn new() -> Self {
        let (edge, url) = Edge::start().await;
        let folder = TempDir::new().unwrap();
        let credentials = Edge::enrol(&url, folder.path()).await;
        let (monitor, stop) = (Monitor::default(), CancellationToken::new());
        let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let base = format!("http://{}", server.address().unwrap());
        tokio::spawn(server.run(monitor.clone()));

        let starting =
            json!(["it is starting, and waits for the container engine if there is none"]);
        let (status, unready) = get(&base, "/ready").await;
        assert_eq!((status, &unready["why"]), (503, &starting));

        let settings = HostSettings {
            slots: 3,
            grace: Duration::from_secs(10),
            retry_delay: Duration::from_millis(1),
        };
        let queue = Arc::new(open_queue(folder.path()).unwrap());
        let sandbox = Arc::<Flaky>::default();
        let shared = Arc::clone(&sandbox) as _;
        let service = serve(queue, credentials, settings, shared, monitor, stop.clone());
        Self {
            edge,
            sandbox,
            base,
            service: tokio::spawn(async move { service.await.unwrap() }),
            stop,
            _folder: folder,
        }
    }

    /// Waits until `/ready` says what is wanted.
    async fn until_ready_says(&self, wanted: (u16, Value)) {
        let said = async {
            while get(&self.base, "/ready").await != wanted {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let said = timeout(PATIENCE, said).await;
        if said.is_err() {
            panic!("{wanted:?}, but {:?}", get(&self.base, "/ready").await);
        }
    }

    /// Has the edge hand out a job, and returns its execution.
    fn offer(&self, code: &str) -> ExecutionId {
        let execution_id = clock::execution_id();
        self.edge.offer(Job {
            code: code.into(),
            execution_id,
            runs: vec![RunSpec::default()],
            ..job(1)
        });
        execution_id
    }

    /// Every series by its name and labels.
    async fn scrape(&self) -> BTreeMap<String, f64> {
        let answer = reqwest::get(format!("{}/metrics", self.base))
            .await
            .unwrap();
        let kind = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
        let text = answer.text().await.unwrap();
        assert!(text.ends_with("# EOF\n"), "{text}");
        let series = text.lines().filter(|line| !line.starts_with('#'));
        let series = series.map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let name = name
                .strip_prefix("codecrafter_executor_")
                .unwrap_or_else(|| panic!("{name} is not ours"));
            (name.to_owned(), value.parse().unwrap())
        });
        series.collect()
    }
}

async fn get(base: &str, path: &str) -> (u16, Value) {
    let answer = reqwest::get(format!("{base}{path}")).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn ready() -> (u16, Value) {
    (200, json!({ "status": "ready" }))
}

fn unready(why: &[&str]) -> (u16, Value) {
    (503, json!({ "status": "not_ready", "why": why }))
}

#[tokio::test]
async fn what_is_scraped_counts_every_job_and_report_exactly() {
    let watched = Watched::new().await;
    watched.until_ready_says(ready()).await;
    // Told before it happens: else nothing would seem to change when it does.
    let none = "jobs_total{language=\"python\",verdict=\"internal_error\"}";
    assert_eq!(watched.scrape().await.get(none), Some(&0.0));
    let programs = [
        "hello",
        "hello",
        "hello",
        "exit 3",
        "exit 4",
        "fault 2\nhello",
        "broken",
    ];
    let ended: Vec<_> = programs.iter().map(|code| watched.offer(code)).collect();
    watched.edge.until_finished(ended).await;
    // What the edge has was counted just after it was sent.
    let posted = watched.edge.state().reports().len() as f64;
    let settled = async {
        loop {
            let found = watched.scrape().await;
            if found["reports_posted_total"] == posted && found["slots_in_use"] == 0.0 {
                return found;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    let found = timeout(PATIENCE, settled).await.expect("it never settles");

    let of_jobs: Vec<_> = found
        .iter()
        .filter(|(name, _)| name.starts_with("jobs_total"))
        .collect();
    let job = |verdict: &str| format!("jobs_total{{language=\"python\",verdict=\"{verdict}\"}}");
    assert_eq!(
        of_jobs,
        [
            (&job("accepted"), &4.0),
            (&job("internal_error"), &1.0),
            (&job("runtime_error"), &2.0),
        ]
    );
    for (name, value) in [
        ("jobs_given_back_total", 2.0),
        ("host_faults_total{scope=\"language\"}", 3.0),
        ("host_faults_total{scope=\"engine\"}", 0.0),
        ("leases_total", 7.0),
        ("reports_duplicate_total", 0.0),
        ("reports_refused_total", 0.0),
        ("slots", 3.0),
        ("ready", 1.0),
        ("language_offered{language=\"python\"}", 1.0),
        ("queue_wait_seconds_count", 7.0),
        ("publish_seconds_count", 7.0),
        // The sandbox of this test begins a stage before it fails, and is timed when it does not.
        ("run_seconds_count{language=\"python\"}", 6.0),
    ] {
        assert_eq!(found.get(name), Some(&value), "{name} in {found:#?}");
    }
    let version = format!("build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(found[&version], 1.0);
    // A job that was tried again, or failed, had a container each time.
    assert_eq!(found["dispatch_seconds_count{language=\"python\"}"], 9.0);
    assert!(!found.contains_key("compile_seconds_count{language=\"python\"}"));
    let waited = found["queue_wait_seconds_sum"];
    assert!((0.0..60.0).contains(&waited), "{waited}");
}

#[tokio::test]
async fn slots_are_in_use_while_jobs_run() {
    let watched = Watched::new().await;
    let running = [watched.offer("wait"), watched.offer("wait")];
    let started = |edge: &mut common::EdgeState| {
        let reports = edge.reports();
        let started = reports.iter();
        let started = started.filter(|report| matches!(report.event, Event::Started));
        (started.count() == 2).then_some(())
    };
    watched.edge.until(started).await;
    assert_eq!(watched.scrape().await["slots_in_use"], 2.0);
    for (number, execution_id) in (1..).zip(running) {
        watched.edge.control(Control {
            execution_id,
            ..cancel(number)
        });
    }
    watched.edge.until_finished(running).await;
    let freed = async {
        while watched.scrape().await["slots_in_use"] != 0.0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, freed).await.expect("a slot stays in use");
}

#[tokio::test]
async fn durations_are_those_of_the_jobs() {
    let watched = Watched::new().await;
    let slept = watched.offer("sleep 300");
    watched.edge.until_finished([slept]).await;
    let found = watched.scrape().await;
    let ran = found["run_seconds_sum{language=\"python\"}"];
    assert!((0.3..10.0).contains(&ran), "{ran}");
    let quicker = "run_seconds_bucket{le=\"0.25\",language=\"python\"}";
    assert_eq!(found[quicker], 0.0);
}

#[tokio::test]
async fn ready_says_what_keeps_jobs_from_being_run_and_health_that_the_process_lives() {
    let watched = Watched::new().await;
    watched.until_ready_says(ready()).await;

    watched.sandbox.bare.store(true, Ordering::SeqCst);
    watched.sandbox.changed.notify_one();
    watched
        .until_ready_says(unready(&["there is no language that can be run"]))
        .await;
    watched.sandbox.away.store(true, Ordering::SeqCst);
    watched.sandbox.changed.notify_one();
    watched
        .until_ready_says(unready(&[
            "the container engine does not answer, or has just begun to",
        ]))
        .await;
    assert_eq!(watched.scrape().await["ready"], 0.0);
    watched.sandbox.bare.store(false, Ordering::SeqCst);
    watched.sandbox.away.store(false, Ordering::SeqCst);
    watched.until_ready_says(ready()).await;

    watched.edge.state().broken = Some(StatusCode::BAD_GATEWAY);
    // The request that is open ends when there is a job, and the next one is refused.
    watched.offer("hello");
    watched
        .until_ready_says(unready(&["the edge does not answer"]))
        .await;
    watched.edge.state().broken = None;
    watched.until_ready_says(ready()).await;

    let (status, health) = get(&watched.base, "/health").await;
    assert_eq!((status, &health["status"]), (200, &json!("ok")));
    watched.stop.cancel();
    timeout(PATIENCE, watched.service).await.unwrap().unwrap();
}

#[tokio::test]
async fn nothing_else_is_answered_and_nothing_can_be_ordered() {
    let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let base = format!("http://{}", server.address().unwrap());
    tokio::spawn(server.run(Monitor::default()));
    assert_eq!(get(&base, "/").await.0, 404);
    assert_eq!(get(&base, "/metrics/x").await.0, 404);
    let client = reqwest::Client::new();
    let posted = client.post(format!("{base}/ready")).send().await.unwrap();
    assert_eq!(posted.status(), 405);
    assert_eq!(posted.headers()["allow"], "GET, HEAD");
    let head = client.head(format!("{base}/health")).send().await.unwrap();
    assert_eq!(head.status(), 200);
}

/// So that the table is complete, and each name in it is one that there is.
#[test]
fn every_metric_is_in_the_document() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
    let document = std::fs::read_to_string(document).unwrap();
    let table = document.split("| metric |").nth(1).unwrap();
    let table = table.split("\n\n").next().unwrap();
    let names = table
        .lines()
        .skip(2)
        .map(|row| row.split('|').nth(1).unwrap());
    let mut told: Vec<_> = names
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect();
    told.sort();
    // What has labels is there once it has happened.
    let (metrics, job) = (Metrics::default(), job(1));
    metrics.ended(&job, Verdict::Accepted);
    metrics.offered([job.language.as_str()].into_iter());
    metrics.containers_ready(&[(job.language.clone(), 1)]);
    metrics.queue(Some(Depth::default()));
    let mut attempt = metrics.attempt(&job);
    attempt.stage(Stage::Compile);
    attempt.stage(Stage::Run);
    attempt.ended();
    let text = metrics.text();
    let types = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE codecrafter_executor_"));
    let mut there: Vec<_> = types
        .map(|line| match line.split_once(' ').unwrap() {
            (name, "counter") => format!("{name}_total"),
            (name, "info") => format!("{name}_info"),
            (name, _) => name.to_owned(),
        })
        .collect();
    there.sort();
    assert_eq!(told, there);
}
