//! Joining an edge and reporting to it, against one that checks every signature.

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use axum::http::StatusCode;
use codecrafter_shared::job::{Event, Report, Stream};
use codecrafter_shared::limits;
use common::{Edge, JOIN_TOKEN, PATIENCE};
use executor_host::link::enrol::{self, Join, JoinError, Joined};
use executor_host::link::{Credentials, Reporting};
use executor_host::metrics::Metrics;
use executor_host::queue::contract::{execution, result};
use executor_host::queue::{Embedded, LiveReports, Queue};
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

// ---- Joining ----

fn join<'a>(url: &str, token: &'a str, again: bool) -> Join<'a> {
    Join {
        edge: url.parse().unwrap(),
        token,
        name: "lab 3".into(),
        again,
    }
}

#[tokio::test]
async fn joining_keeps_credentials_that_only_their_owner_can_read() {
    let (edge, url) = Edge::start().await;
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("made/for/it");
    let joined = enrol::join(join(&url, JOIN_TOKEN, false), &state)
        .await
        .unwrap();
    let Joined::Now(host) = joined else {
        panic!("{joined:?}")
    };
    let path = Credentials::path(&state);
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        std::fs::metadata(&state).unwrap().permissions().mode() & 0o777,
        0o700
    );
    assert_eq!(edge.state().hosts[&host.executor_id.to_string()].0, "lab 3");
    let stored = std::fs::read_to_string(&path).unwrap();
    assert!(!stored.contains(JOIN_TOKEN));
    let key = serde_json::from_str::<serde_json::Value>(&stored).unwrap()["key"].clone();
    assert!(!format!("{host:?}").contains(key.as_str().unwrap()));
    let loaded = Credentials::load(&state).unwrap().unwrap();
    assert_eq!(
        (loaded.edge, loaded.executor_id),
        (host.edge, host.executor_id)
    );
}

#[tokio::test]
async fn joining_the_same_edge_again_changes_nothing_unless_it_is_asked_to() {
    let (edge, url) = Edge::start().await;
    let folder = TempDir::new().unwrap();
    let first = Edge::enrol(&url, folder.path()).await;
    let again = enrol::join(join(&url, "not looked at", false), folder.path())
        .await
        .unwrap();
    assert!(matches!(again, Joined::Before(host) if host.executor_id == first.executor_id));
    assert_eq!(edge.state().hosts.len(), 1);
    let anew = enrol::join(join(&url, JOIN_TOKEN, true), folder.path())
        .await
        .unwrap();
    assert!(matches!(anew, Joined::Now(host) if host.executor_id != first.executor_id));
}

#[tokio::test]
async fn a_state_folder_belongs_to_one_edge() {
    let (_edge, url) = Edge::start().await;
    let (_other, other) = Edge::start().await;
    let folder = TempDir::new().unwrap();
    let first = Edge::enrol(&url, folder.path()).await;
    let refused = enrol::join(join(&other, JOIN_TOKEN, false), folder.path()).await;
    assert!(matches!(refused, Err(JoinError::OtherEdge(edge)) if edge == first.edge));
}

#[tokio::test]
async fn a_wrong_join_token_leaves_no_credentials() {
    let (_edge, url) = Edge::start().await;
    let folder = TempDir::new().unwrap();
    let refused = enrol::join(join(&url, "wrong", false), folder.path())
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("token_invalid"), "{refused}");
    assert!(Credentials::load(folder.path()).unwrap().is_none());
}

// ---- Reporting ----

struct Reporter {
    edge: Arc<Edge>,
    queue: Arc<dyn Queue>,
    live: LiveReports,
    metrics: Metrics,
    ended: CancellationToken,
    task: Option<tokio::task::JoinHandle<()>>,
    url: String,
    _folder: TempDir,
}

impl Reporter {
    async fn new() -> Self {
        let (edge, url) = Edge::start().await;
        let folder = TempDir::new().unwrap();
        let queue = Embedded::open(&folder.path().join("queue.db")).unwrap();
        Self {
            edge,
            queue: Arc::new(queue),
            live: LiveReports::default(),
            metrics: Metrics::default(),
            ended: CancellationToken::new(),
            task: None,
            url,
            _folder: folder,
        }
    }

    async fn start(&mut self) {
        let client = Edge::client(&self.url).await;
        let (queue, live) = (Arc::clone(&self.queue), self.live.clone());
        let reporting = Reporting {
            client,
            queue,
            live,
            metrics: self.metrics.clone(),
        };
        self.task = Some(tokio::spawn(reporting.run(self.ended.clone())));
    }

    /// Waits until everything is delivered.
    async fn end(mut self) -> (Vec<Vec<Report>>, Arc<dyn Queue>) {
        self.ended.cancel();
        timeout(PATIENCE, self.task.take().unwrap())
            .await
            .expect("it does not end")
            .unwrap();
        (std::mem::take(&mut self.edge.state().batches), self.queue)
    }
}

fn output(number: u64, seq: u32, text: &str) -> Report {
    let event = Event::Output {
        stream: Stream::Stdout,
        text: text.into(),
    };
    Report {
        seq,
        event,
        ..result(number)
    }
}

#[tokio::test]
async fn reports_arrive_in_order_and_in_batches_and_the_result_comes_last() {
    let mut reporter = Reporter::new().await;
    const MANY: u32 = 600;
    let mut sent = Vec::new();
    for seq in 0..MANY {
        let report = output(1, seq, "line\n");
        reporter.live.push(report.clone());
        sent.push(report);
    }
    let last = Report {
        seq: MANY,
        ..result(1)
    };
    reporter.queue.store_result(&last).await.unwrap();
    sent.push(last);
    reporter.start().await;
    reporter.edge.until_finished([execution(1)]).await;
    let (batches, queue) = reporter.end().await;
    assert!(
        batches
            .iter()
            .all(|batch| batch.len() <= limits::REPORTS_MAX)
    );
    assert!(batches.len() <= 4, "{} requests", batches.len());
    assert_eq!(batches.concat(), sent);
    assert_eq!(queue.depth().await.unwrap().results, 0);
}

#[tokio::test]
async fn live_output_does_not_wait_for_the_end_of_the_attempt() {
    let mut reporter = Reporter::new().await;
    reporter.start().await;
    reporter.live.push(output(1, 0, "a"));
    reporter.live.push(output(1, 1, "b"));
    reporter
        .edge
        .until(|edge| (edge.reports().len() == 2).then_some(()))
        .await;
    reporter.live.push(output(1, 2, "c"));
    reporter
        .edge
        .until(|edge| (edge.reports().len() == 3).then_some(()))
        .await;
}

#[tokio::test]
async fn a_result_leaves_the_queue_only_after_the_edge_took_it() {
    let mut reporter = Reporter::new().await;
    reporter.start().await;
    reporter.edge.state().broken = Some(StatusCode::SERVICE_UNAVAILABLE);
    reporter.queue.store_result(&result(1)).await.unwrap();
    reporter
        .edge
        .until(|edge| (edge.broken_answers >= 2).then_some(()))
        .await;
    assert_eq!(reporter.queue.depth().await.unwrap().results, 1);
    reporter.edge.state().broken = None;
    reporter.edge.until_finished([execution(1)]).await;
    let (batches, queue) = reporter.end().await;
    assert_eq!(batches.concat(), [result(1)]);
    assert_eq!(queue.depth().await.unwrap().results, 0);
}

#[tokio::test]
async fn a_report_that_is_refused_for_good_holds_up_no_other() {
    let mut reporter = Reporter::new().await;
    reporter.edge.state().poison = Some(execution(3));
    for number in 0..7 {
        reporter.queue.store_result(&result(number)).await.unwrap();
    }
    reporter.start().await;
    let others: Vec<_> = (0..7).filter(|number| *number != 3).collect();
    reporter
        .edge
        .until_finished(others.iter().map(|number| execution(*number)))
        .await;
    let (batches, queue) = reporter.end().await;
    let expected: Vec<_> = others.into_iter().map(result).collect();
    assert_eq!(batches.concat(), expected, "still in order");
    assert_eq!(
        queue.depth().await.unwrap().results,
        0,
        "the refused one is dropped"
    );
}

#[tokio::test]
async fn reports_that_the_edge_counts_as_refused_or_second_are_not_sent_again() {
    let mut reporter = Reporter::new().await;
    reporter.edge.state().refused = Some(execution(1));
    reporter.edge.state().finished.insert(execution(2));
    for number in 1..=3 {
        reporter.queue.store_result(&result(number)).await.unwrap();
    }
    reporter.start().await;
    reporter.edge.until_finished([execution(3)]).await;
    let edge = Arc::clone(&reporter.edge);
    let metrics = reporter.metrics.clone();
    let (batches, queue) = reporter.end().await;
    assert_eq!(batches.concat().len(), 3);
    for (name, value) in [("posted", 3), ("duplicate", 1), ("refused", 1)] {
        let line = format!("codecrafter_executor_reports_{name}_total {value}\n");
        assert!(metrics.text().contains(&line), "{line}: {}", metrics.text());
    }
    let counted = edge.state().counted.clone();
    assert_eq!((counted.refused, counted.duplicates), (1, 1));
    assert_eq!(queue.depth().await.unwrap().results, 0);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_waits_for_at_a_keyboard_waits_for_no_company_here_nor_at_the_link() {
    let (worker, link) = (LiveReports::default(), LiveReports::default());
    let waited = async |live: &LiveReports| {
        let begun = tokio::time::Instant::now();
        live.due().await;
        begun.elapsed().as_millis()
    };
    worker.push(output(1, 0, "a"));
    assert_eq!(waited(&worker).await, 50);
    link.push_all(worker.drain());
    assert_eq!(waited(&link).await, 50);
    assert_eq!(link.drain().reports, [output(1, 0, "a")]);

    worker.push_urgent(output(1, 1, "b"));
    assert_eq!(waited(&worker).await, 0);
    link.push_all(worker.drain());
    assert_eq!(waited(&link).await, 0);
    assert_eq!(link.drain().reports, [output(1, 1, "b")]);
}

#[tokio::test]
async fn live_output_is_dropped_under_pressure_and_nothing_else() {
    let live = LiveReports::default();
    let mebibyte = "x".repeat(1 << 20);
    live.push(Report {
        seq: 0,
        event: Event::Started,
        ..result(1)
    });
    for seq in 1..20 {
        live.push(output(1, seq, &mebibyte));
    }
    live.push(Report {
        seq: 20,
        event: Event::Started,
        ..result(2)
    });
    let kept: Vec<_> = live
        .drain()
        .reports
        .iter()
        .map(|report| report.seq)
        .collect();
    assert_eq!(kept, [0, 1, 2, 3, 4, 20]);
    live.push(output(1, 21, &mebibyte));
    assert_eq!(live.drain().reports.len(), 1, "there is room again");
}
