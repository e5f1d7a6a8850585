//! What the tests of this folder share.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::ContainerSummary;
use bollard::query_parameters::{ListContainersOptionsBuilder, TopOptions};
use codecrafter_shared::job::{
    Job, Outcome, PROTOCOL_VERSION, RunLimits, RunOutcome, RunSpec, Verdict,
};
use codecrafter_shared::time::Timestamp;
use executor_host::docker::harden::LABEL_HOST;
use executor_host::docker::{DockerSandbox, DockerSettings};
use executor_host::sandbox::{HostFault, Progress, Sandbox};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Longest that a test waits for something that must happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A sandbox of this test alone.
pub struct World {
    pub sandbox: DockerSandbox,
    pub instance: String,
    pub docker: Docker,
}

impl World {
    /// A sandbox that knows Python, without warm containers, so that every container is a job's.
    pub async fn new(test: &str) -> Self {
        Self::with(test, |_| {}).await
    }

    pub async fn with(test: &str, change: impl FnOnce(&mut DockerSettings)) -> Self {
        let instance = format!("test-{test}-{}", std::process::id());
        let mut rows = executor_host::languages::load(None).unwrap();
        rows.retain(|row| row.id == "python");
        let mut settings = DockerSettings::new(&instance, rows);
        settings.warm = 0;
        change(&mut settings);
        let docker = Docker::connect_with_unix_defaults()
            .unwrap()
            .negotiate_version()
            .await
            .unwrap();
        let sandbox = DockerSandbox::connect(settings).await.unwrap();
        Self {
            sandbox,
            instance,
            docker,
        }
    }

    /// Runs a job to its end and waits until nothing of it is left.
    pub async fn run(&self, job: &Job) -> Outcome {
        let (sender, _receiver) = mpsc::channel(1);
        let outcome = self
            .sandbox
            .run(job, sender, CancellationToken::new())
            .await
            .unwrap();
        self.wait_for_containers(0).await;
        outcome
    }

    /// Runs a Python program with default limits and gives its one run.
    pub async fn python(&self, code: &str) -> RunOutcome {
        only_run(self.run(&job(code)).await)
    }

    /// Every container of this instance, running or not.
    pub async fn containers(&self) -> Vec<ContainerSummary> {
        let label = format!("{LABEL_HOST}={}", self.instance);
        let filters = HashMap::from([("label".to_owned(), vec![label])]);
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        self.docker.list_containers(Some(options)).await.unwrap()
    }

    /// Sees that no process runs in any container of this instance, and waits until they have gone.
    pub async fn nothing_is_left(&self) {
        for container in self.containers().await {
            let id = container.id.unwrap();
            let top = self.docker.top_processes(&id, None::<TopOptions>).await;
            // An engine that has not noticed the end yet lists nobody; one that has refuses.
            let processes = top.ok().and_then(|top| top.processes).unwrap_or_default();
            assert!(processes.is_empty(), "{processes:?}");
        }
        self.wait_for_containers(0).await;
    }

    /// Waits until there are so many containers of this instance.
    pub async fn wait_for_containers(&self, count: usize) -> Vec<ContainerSummary> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let containers = self.containers().await;
            if containers.len() == count {
                return containers;
            }
            assert!(
                Instant::now() < deadline,
                "{count} expected, there are {containers:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A Python job with one run and default limits.
pub fn job(code: &str) -> Job {
    Job {
        schema: PROTOCOL_VERSION,
        execution_id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        session_id: None,
        tenant: "main".into(),
        language: "python".into(),
        code: code.into(),
        files: Vec::new(),
        runs: vec![RunSpec::default()],
        limits: RunLimits::default(),
        interactive: None,
        report_token: String::new(),
        deadline: Timestamp::from_millis(i64::MAX),
        traceparent: None,
    }
}

/// The run of a job that has one.
pub fn only_run(outcome: Outcome) -> RunOutcome {
    assert_eq!(outcome.runs.len(), 1, "{outcome:?}");
    let run = outcome.runs.into_iter().next().unwrap();
    assert_eq!(run.verdict, outcome.verdict);
    run
}

/// What an accepted program printed.
pub fn printed(run: &RunOutcome) -> &str {
    assert_eq!(run.verdict, Verdict::Accepted, "{run:#?}");
    &run.stdout.data
}

/// A job with these limits on CPU and wall time.
pub fn timed(code: &str, cpu_ms: u32, wall_ms: u32) -> Job {
    let mut job = job(code);
    (job.limits.cpu_ms, job.limits.wall_ms) = (cpu_ms, wall_ms);
    job
}

/// Starts a job and gives its progress, its cancel switch and its end.
pub fn start(
    world: &Arc<World>,
    job: Job,
) -> (
    mpsc::Receiver<Progress>,
    CancellationToken,
    tokio::task::JoinHandle<Result<Outcome, HostFault>>,
) {
    let (sender, receiver) = mpsc::channel(16);
    let cancel = CancellationToken::new();
    let (world, token) = (Arc::clone(world), cancel.clone());
    let task = tokio::spawn(async move { world.sandbox.run(&job, sender, token).await });
    (receiver, cancel, task)
}

/// The next that happens, in whatever container.
pub async fn next(receiver: &mut mpsc::Receiver<Progress>) -> Progress {
    let happens = async {
        loop {
            match receiver.recv().await.unwrap() {
                Progress::Container(_) => {}
                happened => return happened,
            }
        }
    };
    tokio::time::timeout(PATIENCE, happens).await.unwrap()
}
