//! The real sandbox: one hardened Docker container for each job, with the agent in it.
//!
//! A job meets the files of this folder in this order: [`files`] says what to write, [`pool`]
//! has a [`container`] ready or starts one with the settings of [`harden`] and [`seccomp`],
//! [`attempt`] runs the job in it through the agent and measures by [`cgroup`], [`verdict`]
//! judges, [`output`] is what was written. [`engine`] is the connection to Docker.
//!
//! What protects the host: a container has no network, no writable disk, no right that a program
//! could use, few system calls, and hard limits on memory, processes and CPU time. What does not:
//! programs share the machine's kernel. Against a hole in that, run containers by gVisor
//! ([`DockerSettings::runtime`]) or the whole host in a virtual machine.

mod attempt;
mod cgroup;
mod container;
mod engine;
mod files;
pub mod harden;
mod output;
mod pool;
mod seccomp;
#[cfg(test)]
mod testing;
mod verdict;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agent_protocol::{Event, Exec, Exit, Limits, Order, Stream};
use async_trait::async_trait;
use codecrafter_shared::job::{Job, Outcome, RunLimits, Verdict};
use codecrafter_shared::language::{AnnouncedLanguage, LanguageRow};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use self::attempt::{Attempt, run_budget};
use self::container::{Container, Request};
use self::engine::Engine;
use self::output::Relay;
use self::pool::Pool;
use crate::sandbox::{HostFault, Progress, Sandbox};

/// How this host uses Docker.
#[derive(Debug, Clone)]
pub struct DockerSettings {
    /// Names this executor-host among all that share the engine. Containers carry it, and at the
    /// start all that carry it are removed: two processes must never have the same.
    pub instance: String,
    /// The engine's socket; the usual one (or `DOCKER_HOST`) if absent.
    pub socket: Option<PathBuf>,
    /// The languages; [`crate::languages::load`].
    pub languages: Vec<LanguageRow>,
    /// Containers that are kept ready for each language; 0 for none.
    pub warm: usize,
    /// CPU time that a container may use at a time, in billionths of a core.
    pub nano_cpus: i64,
    /// The engine's runtime, such as `runsc`, if it is not to be the default.
    pub runtime: Option<String>,
    /// A cgroup above all containers of this host, to cap them together.
    pub cgroup_parent: Option<String>,
    /// Whether to look at containers through this machine's cgroups where they can be seen.
    /// Without them, counts come from the agent and ending a container takes the engine longer.
    pub host_cgroups: bool,
    /// How long a container may take from its creation until its agent is ready.
    pub start_timeout: Duration,
    /// How long the engine may take to answer.
    pub request_timeout: Duration,
}

impl DockerSettings {
    /// The usual: one warm container per language, one core per container.
    #[must_use]
    pub fn new(instance: impl Into<String>, languages: Vec<LanguageRow>) -> Self {
        Self {
            instance: instance.into(),
            socket: None,
            languages,
            warm: 1,
            nano_cpus: 1_000_000_000,
            runtime: None,
            cgroup_parent: None,
            host_cgroups: true,
            start_timeout: Duration::from_secs(20),
            request_timeout: Duration::from_secs(60),
        }
    }
}

/// An image that works.
#[derive(Debug, Clone)]
struct Image {
    id: String,
    /// What its runtime printed as its version.
    version: String,
}

/// Runs jobs in Docker.
pub struct DockerSandbox {
    engine: Arc<Engine>,
    pool: Arc<Pool>,
    /// The images that were found to work, by name, as of the last look.
    images: Mutex<HashMap<String, Image>>,
}

impl DockerSandbox {
    /// Connects to the engine and removes what an earlier process of this instance left there.
    ///
    /// # Errors
    /// The engine cannot be reached or refuses; worth another try.
    pub async fn connect(settings: DockerSettings) -> Result<Self, HostFault> {
        let engine = Arc::new(Engine::connect(settings).await?);
        let sandbox = Self {
            engine,
            pool: Arc::default(),
            images: Mutex::default(),
        };
        let left = sandbox.sweep().await?;
        if left > 0 {
            info!(containers = left, "removed what an earlier process left");
        }
        Ok(sandbox)
    }

    /// Removes every container of this instance, running or not, and gives their number.
    ///
    /// # Errors
    /// The engine cannot be reached.
    pub async fn sweep(&self) -> Result<usize, HostFault> {
        self.engine.sweep().await
    }

    /// Removes the containers that are kept ready, and waits for all that is under way in the
    /// background. For the end, when no job runs any more; nothing is started ahead after it.
    pub async fn close(&self) {
        self.engine.tasks.close();
        self.pool.keep_only(&[]).await;
        self.engine.tasks.wait().await;
        self.engine.remove_abandoned().await;
    }

    fn row(&self, id: &str) -> Option<&LanguageRow> {
        self.engine
            .settings
            .languages
            .iter()
            .find(|row| row.id == id)
    }

    /// A container for the job: one that is ready, or a new one.
    async fn acquire(&self, row: &LanguageRow, job: &Job) -> Result<Container, HostFault> {
        let known = self.images().get(&row.image).cloned();
        if let Some(container) = known.and_then(|image| self.pool.take(&image.id)) {
            return Ok(container);
        }
        let image = self.engine.image_id(&row.image).await?;
        let image =
            image.ok_or_else(|| retryable(format!("there is no image {} here", row.image)))?;
        let request = Request {
            image,
            language: row.id.clone(),
            job: Some(job.execution_id.to_string()),
            budget: run_budget(&job.limits, row),
        };
        Container::start(Arc::clone(&self.engine), request).await
    }

    /// What is started ahead for a language: it has the limits that most jobs have.
    fn request_ahead(row: &LanguageRow, image: String) -> Request {
        let budget = run_budget(&RunLimits::default(), row);
        Request {
            image,
            language: row.id.clone(),
            job: None,
            budget,
        }
    }

    /// Makes up for what is missing in the pool.
    fn refill(&self, row: &LanguageRow, image: &str) {
        let request = Self::request_ahead(row, image.to_owned());
        self.pool
            .refill(&self.engine, &request, self.engine.settings.warm);
    }

    /// Ends the container of a job that has ended, and makes up for it.
    async fn retire(&self, container: Container, row: &LanguageRow) {
        let request = Self::request_ahead(row, container.image().to_owned());
        let (pool, engine) = (Arc::clone(&self.pool), Arc::clone(&self.engine));
        let is_quiet = container.is_quiet();
        let removed = self.engine.tasks.spawn(async move {
            container.remove().await;
            // After the job and not beside it, because starting a container costs CPU time.
            pool.refill(&engine, &request, engine.settings.warm);
        });
        // Removing takes the engine ten times as long as a small program runs. Once the agent
        // has said that nothing is left to run, nobody need wait for it.
        if !is_quiet && let Err(error) = removed.await {
            error!(%error, "removing a container broke off");
        }
    }

    /// What the language's runtime prints as its version.
    async fn version(&self, row: &LanguageRow, image: &str) -> Result<String, HostFault> {
        if let Some(known) = self
            .images()
            .get(&row.image)
            .filter(|known| known.id == image)
        {
            return Ok(known.version.clone());
        }
        let request = Self::request_ahead(row, image.to_owned());
        let mut container = Container::start(Arc::clone(&self.engine), request).await?;
        let version = probe(&mut container, row).await;
        container.remove().await;
        let image = Image {
            id: image.to_owned(),
            version: version?,
        };
        self.images().insert(row.image.clone(), image.clone());
        Ok(image.version)
    }

    fn images(&self) -> MutexGuard<'_, HashMap<String, Image>> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Sandbox for DockerSandbox {
    /// A language whose image is missing, or does not work, is not there; the latter is logged.
    async fn languages(&self) -> Result<Vec<AnnouncedLanguage>, HostFault> {
        self.engine.remove_abandoned().await;
        let mut announced = Vec::new();
        let mut images = Vec::new();
        for row in &self.engine.settings.languages {
            let Some(image) = self.engine.image_id(&row.image).await? else {
                continue;
            };
            match self.version(row, &image).await {
                Ok(version) => {
                    self.refill(row, &image);
                    announced.push(AnnouncedLanguage {
                        id: row.id.clone(),
                        version,
                    });
                    images.push(image);
                }
                Err(fault) => {
                    error!(language = row.id, image = row.image, %fault, "an image does not work");
                }
            }
        }
        self.pool.keep_only(&images).await;
        Ok(announced)
    }

    async fn run(
        &self,
        job: &Job,
        progress: mpsc::Sender<Progress>,
        cancel: CancellationToken,
    ) -> Result<Outcome, HostFault> {
        let row = self
            .row(&job.language)
            .ok_or_else(|| retryable(format!("this host does not know {:?}", job.language)))?;
        let files = match files::orders(job, row) {
            Ok(files) => files,
            Err(message) => return Ok(Outcome::without_run(Verdict::CompileError, message)),
        };
        if cancel.is_cancelled() {
            return Ok(Outcome::without_run(
                Verdict::Cancelled,
                "The execution was cancelled.",
            ));
        }
        let mut container = self.acquire(row, job).await?;
        let mut relay = Relay::new(progress);
        let attempt = Attempt {
            container: &mut container,
            row,
            job,
            relay: &mut relay,
            cancel: &cancel,
        };
        let outcome = attempt.run(files).await;
        // First the program's end, then everything else: whatever the outcome, it is over.
        self.retire(container, row).await;
        relay.finish().await;
        outcome
    }
}

/// Runs the row's version command and gives the first line that it prints.
async fn probe(container: &mut Container, row: &LanguageRow) -> Result<String, HostFault> {
    const LIMITS: Limits = Limits {
        cpu_ms: 20_000,
        wall_ms: 30_000,
        output_bytes: 4096,
    };
    let exec = Exec {
        argv: row.version.clone(),
        env: row.env.clone().into_iter().collect(),
        stdin: Vec::new(),
        limits: LIMITS,
    };
    let events = async {
        container.send(&[Order::Exec(exec)]).await?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        loop {
            match container.next_event().await? {
                Some(Event::Output {
                    stream: Stream::Stdout,
                    bytes,
                }) => stdout.extend(bytes),
                Some(Event::Output {
                    stream: Stream::Stderr,
                    bytes,
                }) => stderr.extend(bytes),
                Some(Event::Ended(ended)) if ended.exit == Exit::Code(0) => break,
                other => return Err(retryable(format!("{:?} ended with {other:?}", row.version))),
            }
        }
        // Some runtimes print their version on standard error.
        let text = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let line = text
            .iter()
            .flat_map(|text| text.lines())
            .map(str::trim)
            .find(|l| !l.is_empty());
        let line = line.ok_or_else(|| retryable(format!("{:?} printed nothing", row.version)))?;
        Ok(line.chars().take(100).collect())
    };
    let limit = Duration::from_millis(u64::from(LIMITS.wall_ms) + 3000);
    tokio::time::timeout(limit, events)
        .await
        .unwrap_or_else(|_| Err(retryable(format!("{:?} did not end", row.version))))
}

/// A fault that may pass, or that another host may not have.
fn retryable(what: impl Into<String>) -> HostFault {
    HostFault {
        what: what.into(),
        retry: true,
    }
}

/// A fault that would come back.
fn permanent(what: impl Into<String>) -> HostFault {
    HostFault {
        what: what.into(),
        retry: false,
    }
}
