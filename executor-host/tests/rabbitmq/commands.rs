//! What operators do to hosts around a broker, by the command line and by signals, as processes.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use codecrafter_shared::job::{Event, Job};
use executor_host::health::Monitor;
use executor_host::host::HostSettings;
use executor_host::link::Credentials;
use executor_host::queue::contract::{execution, job, typed, until_typed};
use executor_host::queue::{Queue as _, RabbitMq};
use executor_host::sandbox::echo::Echo;
use executor_host::serve::{Worker, serve_shared, take_place};
use executor_host::shutdown;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::bench::{Bench, PATIENCE, soon, until};
use crate::common::Edge;

/// Beyond its grace, a host that is told to stop takes no longer (docs/operations.md, Drain).
const STOP_MAX: Duration = Duration::from_secs(15);
const GRACE: Duration = Duration::from_millis(200);

fn code(number: u64, code: &str) -> Job {
    Job {
        code: code.into(),
        ..job(number)
    }
}

/// Runs a command of the program on the test's queue.
async fn run(bench: &Bench, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_executor-host"));
    command.args(arguments).env_clear();
    command.env("AMQP_URL", &bench.url);
    command.env("CODECRAFTER_AMQP_PREFIX", bench.prefix.to_string());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    output.await.unwrap()
}

fn stdout(output: &Output) -> &str {
    assert!(output.status.success(), "{output:?}");
    std::str::from_utf8(&output.stdout).unwrap()
}

// ---- The hosts, as processes of this program ----

const ROLE: &str = "CODECRAFTER_TEST_CHILD_ROLE";
const STATE: &str = "CODECRAFTER_TEST_CHILD_STATE";
const PREFIX: &str = "CODECRAFTER_TEST_CHILD_PREFIX";

/// Not a test of its own: the host that the tests of this file tell what to do.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn child_that_serves() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let (folder, prefix) = (std::env::var(STATE).unwrap(), std::env::var(PREFIX));
    let folder = Path::new(&folder);
    let url = crate::bench::url();
    let queue = RabbitMq::new(url.parse().unwrap(), prefix.unwrap().parse().unwrap());
    let link = (role == "link").then(|| Credentials::load(folder).unwrap().unwrap());
    let place = (role == "worker").then(|| take_place(folder).unwrap());
    let worker = place.as_ref().map(|place| Worker {
        name: place.name.clone(),
        settings: HostSettings {
            slots: 2,
            grace: GRACE,
            retry_delay: Duration::from_millis(10),
        },
        sandbox: Arc::new(Echo::default()),
    });
    let stop = shutdown::on_signals().unwrap();
    let served = serve_shared(queue, link, worker, Monitor::default(), stop);
    served.await.unwrap();
}

/// A host with a folder of its own. Dropping it kills it.
struct Host {
    child: Child,
    folder: TempDir,
}

impl Host {
    fn start(bench: &Bench, role: &str, folder: TempDir) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "commands::child_that_serves", "--ignored"]);
        command.env(ROLE, role).env(STATE, folder.path());
        command.env(PREFIX, bench.prefix.to_string());
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        Self { child, folder }
    }

    async fn link(bench: &Bench, edge_url: &str) -> Self {
        let folder = TempDir::new().unwrap();
        Edge::enrol(edge_url, folder.path()).await;
        Self::start(bench, "link", folder)
    }

    fn worker(bench: &Bench) -> Self {
        Self::start(bench, "worker", TempDir::new().unwrap())
    }

    fn state_dir(&self) -> String {
        self.folder.path().display().to_string()
    }

    fn terminate(&self) {
        let kill = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        assert!(kill.unwrap().success());
    }

    /// Waits until it has ended by itself, and not for ever.
    async fn ended(&mut self, limit: Duration) -> ExitStatus {
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(limit, ended).await.expect("it does not end")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill(); // SIGKILL
        let _ = self.child.wait();
    }
}

async fn begun(edge: &Edge, count: usize) {
    edge.until(|edge| {
        let reports = edge.reports().into_iter();
        let begun = reports.filter(|report| report.event == Event::Started);
        (begun.count() >= count).then_some(())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn dead_letters_are_listed_shown_and_put_back_by_commands() {
    let bench = Bench::new().await;
    let listed = async || -> Value {
        let output = run(&bench, &["dead-letters", "--json"]).await;
        serde_json::from_str(stdout(&output)).unwrap()
    };
    assert_eq!(listed().await, json!([]));
    let queue = bench.queue();
    let lost = code(1, "print('killer')");
    queue.publish(&lost).await.unwrap();
    let taken = soon(queue.take()).await.unwrap();
    taken.park("it came back too often").await.unwrap();
    bench.put("results", b"no report").await;
    // Whoever reads it puts it aside, and is not disturbed: else it might be there twice.
    let both_listed = until(async || (listed().await.as_array().unwrap().len() == 2).then_some(()));
    tokio::select! {
        taken = queue.take_results(1) => panic!("{:?}", taken.map(|taken| taken.len())),
        () = both_listed => {}
    }
    let letters = listed().await;
    assert_eq!(letters[0]["kind"], "job");
    assert_eq!(letters[0]["reason"], "it came back too often");
    assert_eq!(letters[0]["executionId"], lost.execution_id.to_string());
    assert_eq!(letters[1]["kind"], "result");
    assert!(
        !letters.to_string().contains("killer"),
        "code is shown only to who asks for it: {letters}"
    );
    let id = letters[0]["id"].as_str().unwrap();
    let shown = run(&bench, &["dead-letters", "show", id]).await;
    assert_eq!(serde_json::from_str::<Job>(stdout(&shown)).unwrap(), lost);
    let text = run(&bench, &["dead-letters"]).await;
    let first = stdout(&text).lines().next().unwrap().to_owned();
    assert!(first.starts_with(id) && first.ends_with("it came back too often"));
    for action in ["show", "put-back"] {
        let none = run(&bench, &["dead-letters", action, "nobody"]).await;
        let said = String::from_utf8_lossy(&none.stderr);
        assert!(!none.status.success() && said.contains("no dead letter nobody"));
    }
    let put = run(&bench, &["dead-letters", "put-back", id]).await;
    assert!(stdout(&put).contains("in the queue again"), "{put:?}");
    let again = soon(queue.take()).await.unwrap();
    assert_eq!((&again.job, again.count), (&lost, 1));
    again.ack().await.unwrap();
    assert_eq!(listed().await.as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_worker_that_drains_finishes_what_it_runs_and_leaves_the_rest_to_others() {
    let bench = Bench::new().await;
    let (edge, url) = Edge::start().await;
    let _link = Host::link(&bench, &url).await;
    let mut worker = Host::worker(&bench);
    for number in 1..=2 {
        edge.offer(until_typed(number));
    }
    begun(&edge, 2).await;
    let state_dir = worker.state_dir();
    let drain = ["drain", "--timeout", "30", "--state-dir", &state_dir];
    let drained = run(&bench, &drain);
    let (drained, ()) = tokio::join!(drained, async {
        // It says so by offering nothing any more.
        edge.until(|edge| {
            let asked = edge.lease_requests.last()?;
            asked.languages.is_empty().then_some(())
        })
        .await;
        edge.offer(code(3, "for another"));
        (1..=2).for_each(|number| edge.control(typed(number, 0, "ended")));
    });
    let pid = worker.child.id().to_string();
    assert!(stdout(&drained).contains(&pid), "{drained:?}");
    assert!(worker.ended(PATIENCE).await.success());
    edge.until_finished([1, 2].map(execution)).await;
    let finished = edge.state().finished.clone();
    assert_eq!(finished, [1, 2].map(execution).into());
    let _other = Host::worker(&bench);
    edge.until_finished([execution(3)]).await;
    begun(&edge, 3).await;
    let counted = edge.state().counted.duplicates;
    assert_eq!(counted, 0, "each ran once");
    // A link has nothing to finish, and where nobody serves there is nobody to be asked.
    let nobody = run(&bench, &drain).await;
    let said = String::from_utf8_lossy(&nobody.stderr);
    assert!(!nobody.status.success() && said.contains("no executor-host"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn link_and_worker_stop_within_the_stated_time_and_give_back_what_they_held() {
    let bench = Bench::new().await;
    let (edge, url) = Edge::start().await;
    let mut link = Host::link(&bench, &url).await;
    let mut worker = Host::worker(&bench);
    edge.offer(code(1, "wait"));
    begun(&edge, 1).await;
    worker.terminate();
    assert!(worker.ended(GRACE + STOP_MAX).await.success());
    until(async || (bench.ready("jobs").await == Some(1)).then_some(())).await;
    link.terminate();
    assert!(link.ended(STOP_MAX).await.success());
    assert!(edge.state().finished.is_empty(), "it waits for the next");
}
