//! A whole host: the embedded queue, the worker and Docker, with a clock at each step of a job.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptionsBuilder;
use codecrafter_shared::id::ExecutionId;
use codecrafter_shared::job::{Event, Job, Outcome, Stage, Verdict};
use codecrafter_shared::language::{AnnouncedLanguage, LanguageRow};
use executor_host::docker::demand::WAITING_BYTES;
use executor_host::docker::harden::{Isolation, LABEL_HOST};
use executor_host::docker::{DockerSandbox, DockerSettings};
use executor_host::host::{Host, HostSettings};
use executor_host::metrics::Metrics;
use executor_host::queue::{Embedded, LiveReports, Queue};
use executor_host::sandbox::{HostFault, Interaction, Progress, Sandbox};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Result;
use crate::docker::Engine;

/// How long nothing happens before a run that is measured by itself: nobody's runs come without a
/// break, and what makes up for the one before takes CPU time.
pub const PAUSE: Duration = Duration::from_millis(50);

/// Languages for which containers wait before anybody has used one.
const STARTERS: usize = 3;

/// A pool that is not ready after this long never will be.
const READY_MAX: Duration = Duration::from_secs(120);

/// What to start.
pub struct Setup {
    pub name: &'static str,
    pub rows: Vec<LanguageRow>,
    pub isolation: Isolation,
    /// Containers that wait, for each language.
    pub warm: usize,
    /// Jobs at a time.
    pub slots: usize,
}

impl Setup {
    /// As `executor-host serve` has it without a setting, but for the isolation.
    pub fn new(name: &'static str, rows: Vec<LanguageRow>, isolation: Isolation) -> Self {
        let slots = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            name,
            rows,
            isolation,
            warm: warm(isolation, slots),
            slots,
        }
    }

    /// The same with so many jobs at a time.
    pub fn with_slots(self, slots: usize) -> Self {
        let warm = warm(self.isolation, slots);
        Self {
            slots,
            warm,
            ..self
        }
    }
}

fn warm(isolation: Isolation, slots: usize) -> usize {
    match isolation {
        Isolation::Fresh => 1,
        Isolation::Reuse => slots,
    }
}

/// A running host.
pub struct Ours {
    pub sandbox: Arc<DockerSandbox>,
    queue: Arc<Embedded>,
    clocks: Arc<Clocks>,
    asked: Arc<Mutex<HashMap<ExecutionId, oneshot::Sender<Arrived>>>>,
    docker: bollard::Docker,
    instance: String,
    /// Containers that wait when there is nothing to do.
    idle: usize,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    _folder: TempDir,
}

struct Arrived {
    at: Instant,
    outcome: Outcome,
}

/// A job that has been through all of it, and where its time went.
#[derive(Debug)]
pub struct Run {
    /// From publishing it until the sandbox has it.
    pub queue: Duration,
    /// Until its first stage begins.
    pub dispatch: Duration,
    /// Until the program runs.
    pub compile: Option<Duration>,
    /// As the agent has measured it.
    pub inside: Duration,
    /// What is left until the sandbox returns the outcome.
    pub rest: Duration,
    /// Until the queue has handed the result out.
    pub publish: Duration,
    /// All of it.
    pub total: Duration,
}

impl Ours {
    /// Starts a host and waits until it offers every language.
    pub async fn start(engine: &Engine, setup: Setup) -> Result<Self> {
        let instance = format!("benchmark-{}-{}", setup.name, std::process::id());
        let defaults = DockerSettings::new(&instance, setup.rows);
        let settings = DockerSettings {
            isolation: setup.isolation,
            warm: setup.warm,
            warm_bytes: defaults
                .warm_bytes
                .max(3 * setup.warm as u64 * WAITING_BYTES),
            cgroup_parent: Some(engine.cgroup.clone()),
            ..defaults
        };
        let sandbox = Arc::new(DockerSandbox::connect(settings).await?);
        let offered = sandbox.all_languages().await?.len();
        if offered == 0 {
            return Err("no language image works here: cargo xtask images".into());
        }
        let folder = tempfile::tempdir()?;
        let queue = Arc::new(Embedded::open(&folder.path().join("queue.db"))?);
        let clocks = Arc::new(Clocks {
            sandbox: Arc::clone(&sandbox),
            times: Mutex::default(),
        });
        let live = LiveReports::default();
        let slots = u32::try_from(setup.slots)?;
        let host_settings = HostSettings {
            slots,
            grace: Duration::from_secs(1),
            retry_delay: Duration::from_secs(2),
        };
        let host = Arc::new(Host::new(
            Arc::clone(&queue) as Arc<dyn Queue>,
            Arc::clone(&clocks) as Arc<dyn Sandbox>,
            live.clone(),
            host_settings,
            Metrics::default(),
        ));
        let (mut offer, stop) = (host.offer(), CancellationToken::new());
        let asked = Arc::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(host.run(stop.clone()));
        tasks.spawn(take_live(live, stop.clone()));
        tasks.spawn(take_results(
            Arc::clone(&queue),
            Arc::clone(&asked),
            stop.clone(),
        ));
        offer.wait_for(Option::is_some).await?;
        Ok(Self {
            sandbox,
            queue,
            clocks,
            asked,
            docker: engine.docker.clone(),
            instance,
            idle: setup.warm * offered.min(STARTERS),
            stop,
            tasks,
            _folder: folder,
        })
    }

    /// Sees a job through, from the queue to the queue.
    pub async fn run(&self, job: &Job) -> Result<Run> {
        let (sender, receiver) = oneshot::channel();
        lock(&self.asked).insert(job.execution_id, sender);
        let published = Instant::now();
        self.queue.publish(job).await?;
        let Arrived { at, outcome } = receiver.await?;
        let times = lock(&self.clocks.times)
            .remove(&job.execution_id)
            .ok_or("the sandbox has never had the job")?;
        if outcome.verdict != Verdict::Accepted {
            return Err(format!("{}: {outcome:?}", job.language).into());
        }
        let runs = times.run.ok_or("no program was run")?;
        let inside = outcome.runs.iter().map(|run| run.usage.wall_ms).sum();
        let inside = Duration::from_millis(inside);
        Ok(Run {
            queue: times.entered - published,
            dispatch: times.compile.unwrap_or(runs) - times.entered,
            compile: times.compile.map(|compiles| runs - compiles),
            inside,
            rest: (times.returned - runs).saturating_sub(inside),
            publish: at - times.returned,
            total: at - published,
        })
    }

    /// Runs a job in the sandbox alone, without queue and host.
    pub async fn run_in_sandbox(&self, job: &Job) -> Result<()> {
        let (progress, mut told) = mpsc::channel(64);
        let run = self.sandbox.run(job, progress, CancellationToken::new());
        let (outcome, ()) = tokio::join!(run, async { while told.recv().await.is_some() {} });
        match outcome? {
            outcome if outcome.verdict == Verdict::Accepted => Ok(()),
            outcome => Err(format!("{}: {outcome:?}", job.language).into()),
        }
    }

    /// Waits until the pool is as full as it is to be and what was in use before is gone, then a
    /// moment longer.
    pub async fn ready(&self) -> Result<()> {
        let begun = Instant::now();
        while !self.is_ready().await? {
            if begun.elapsed() > READY_MAX {
                return Err("the pool is not ready".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }

    async fn is_ready(&self) -> Result<bool> {
        let waiting: usize = self.sandbox.ready().iter().map(|(_, count)| count).sum();
        Ok(waiting == self.idle && self.containers().await?.len() == self.idle)
    }

    /// Every container of this host, running or not.
    pub async fn containers(&self) -> Result<Vec<ContainerSummary>> {
        let label = format!("{LABEL_HOST}={}", self.instance);
        let filters = HashMap::from([("label".to_owned(), vec![label])]);
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        Ok(self.docker.list_containers(Some(options)).await?)
    }

    /// Stops the host and removes its containers.
    pub async fn close(mut self) -> Result<()> {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended?;
        }
        self.sandbox.close().await;
        Ok(())
    }
}

/// Takes live reports as the link would.
async fn take_live(live: LiveReports, stop: CancellationToken) {
    while stop.run_until_cancelled(live.due()).await.is_some() {
        drop(live.drain());
    }
}

/// Takes results as the link would, and hands each to whoever has asked for it.
async fn take_results(
    queue: Arc<Embedded>,
    asked: Arc<Mutex<HashMap<ExecutionId, oneshot::Sender<Arrived>>>>,
    stop: CancellationToken,
) {
    while let Some(Ok(results)) = stop.run_until_cancelled(queue.take_results(64)).await {
        let at = Instant::now();
        for result in results {
            let asking = lock(&asked).remove(&result.report.execution_id);
            if let (Some(asking), Event::Finished { outcome }) = (asking, &result.report.event) {
                let outcome = (**outcome).clone();
                // Whoever has given up does not want it.
                let _ = asking.send(Arrived { at, outcome });
            }
            // What is not confirmed comes again and is asked for by nobody.
            let _ = result.confirm().await;
        }
    }
}

/// The sandbox with a clock around it.
struct Clocks {
    sandbox: Arc<DockerSandbox>,
    times: Mutex<HashMap<ExecutionId, Times>>,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    entered: Instant,
    compile: Option<Instant>,
    run: Option<Instant>,
    returned: Instant,
}

#[async_trait]
impl Sandbox for Clocks {
    async fn languages(&self) -> std::result::Result<Vec<AnnouncedLanguage>, HostFault> {
        self.sandbox.languages().await
    }

    async fn changed(&self) {
        self.sandbox.changed().await;
    }

    async fn run_with(
        &self,
        job: &Job,
        interaction: Option<Interaction>,
        progress: mpsc::Sender<Progress>,
        cancel: CancellationToken,
    ) -> std::result::Result<Outcome, HostFault> {
        let entered = Instant::now();
        let (sender, mut receiver) = mpsc::channel(64);
        let mut times = Times {
            entered,
            compile: None,
            run: None,
            returned: entered,
        };
        let watch = async {
            while let Some(told) = receiver.recv().await {
                match &told {
                    Progress::Stage(Stage::Compile) => times.compile = Some(Instant::now()),
                    Progress::Stage(Stage::Run) => times.run = Some(Instant::now()),
                    Progress::Container(_) | Progress::Output(..) => {}
                }
                // A receiver that was dropped does not matter.
                let _ = progress.send(told).await;
            }
        };
        let run = self.sandbox.run_with(job, interaction, sender, cancel);
        let (outcome, ()) = tokio::join!(run, watch);
        times.returned = Instant::now();
        lock(&self.times).insert(job.execution_id, times);
        outcome
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
