//! What is logged while jobs run, as a machine reads it.

mod common;

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use codecrafter_shared::id::ExecutionId;
use codecrafter_shared::job::Job;
use codecrafter_shared::trace::TraceParent;
use common::Edge;
use executor_host::config::{Log, LogFormat};
use executor_host::health::Monitor;
use executor_host::host::HostSettings;
use executor_host::logs;
use executor_host::queue::contract::{execution, job};
use executor_host::sandbox::echo::{CONTAINER, Echo};
use executor_host::serve::{open_queue, serve};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// What is written, for a test to read.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        let text = self.text();
        let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        text.lines().map(line).collect()
    }
}

/// What a service says of itself, and of no job.
const OF_NO_JOB: [&str; 4] = ["serving", "working", "ready", "stopped"];

#[tokio::test]
async fn every_line_about_a_job_carries_its_execution_and_its_attempt() {
    let written = Written::default();
    let writer = written.clone();
    let log = Log {
        log_format: LogFormat::Json,
        log_filter: "executor_host=info".into(),
    };
    let subscriber = logs::subscriber(&log, move || writer.clone()).unwrap();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let (edge, url) = Edge::start().await;
    let folder = TempDir::new().unwrap();
    let credentials = Edge::enrol(&url, folder.path()).await;
    // One that ends well, one with an exit code, one that the host fails at first, one that it
    // fails for good, and one that panics.
    let programs = ["hello", "exit 3", "fault 1\nhello", "broken", "panic"];
    for (number, code) in (1..).zip(programs) {
        let code = code.to_owned();
        edge.offer(Job {
            code,
            traceparent: Some(TraceParent::new(7, 8)),
            ..job(number)
        });
    }
    let settings = HostSettings {
        slots: 2,
        grace: Duration::from_secs(10),
        retry_delay: Duration::from_millis(1),
    };
    let (queue, stop) = (open_queue(folder.path()).unwrap(), CancellationToken::new());
    let (queue, sandbox) = (Arc::new(queue), Arc::new(Echo::default()));
    let service = tokio::spawn(serve(
        queue,
        credentials,
        settings,
        sandbox,
        Monitor::default(),
        stop.clone(),
    ));
    edge.until_finished((1..=5).map(execution)).await;
    stop.cancel();
    service.await.unwrap().unwrap();

    // Neither code nor what a program wrote, nor what reports are signed by.
    let text = written.text();
    let token = job(1).report_token;
    for secret in ["hello", "exit 3", "fault 1", &*token] {
        assert!(
            !token.is_empty() && !text.contains(secret),
            "{secret} in {text}"
        );
    }

    // From the request that asked for it to what it ran in, by each line about its end.
    let ends: Vec<_> = written
        .lines()
        .into_iter()
        .filter(|line| line["message"] == "finished")
        .collect();
    assert_eq!(ends.len(), programs.len());
    for end in ends {
        assert_eq!(end["trace_id"], format!("{:032x}", 7), "{end}");
        assert_eq!(end["container_id"], CONTAINER, "{end}");
    }

    let mut told: HashMap<ExecutionId, Vec<(String, String)>> = HashMap::new();
    for line in written.lines() {
        let text = |name: &str| {
            let value = line[name].as_str();
            value
                .unwrap_or_else(|| panic!("no {name} in {line}"))
                .to_owned()
        };
        for name in ["timestamp", "level", "target"] {
            assert!(!text(name).is_empty(), "{line}");
        }
        let message = text("message");
        if OF_NO_JOB.contains(&message.as_str()) {
            continue;
        }
        let execution = text("execution_id").parse().unwrap();
        told.entry(execution)
            .or_default()
            .push((message, text("attempt_id")));
    }
    let messages = |number: u64| {
        let told = &told[&execution(number)];
        told.iter()
            .map(|(message, _)| message.as_str())
            .collect::<Vec<_>>()
    };
    let (again, failed) = (
        "the host failed; the job is tried again",
        "the host failed; the job is given up",
    );
    assert_eq!(messages(1), ["started", "finished"]);
    assert_eq!(messages(2), ["started", "finished"]);
    assert_eq!(messages(3), ["started", again, "started", "finished"]);
    assert_eq!(messages(4), ["started", failed, "finished"]);
    assert_eq!(messages(5)[messages(5).len() - 2..], [failed, "finished"]);
    // Each attempt has an id of its own, which its lines share.
    let attempts = told[&execution(3)].iter().map(|(_, attempt)| attempt);
    assert_eq!(attempts.collect::<HashSet<_>>().len(), 2);
}
