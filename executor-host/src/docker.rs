//! The real sandbox: one hardened Docker container for each job, with the agent in it.
//!
//! A job meets the files of this folder in this order: [`files`] says what to write and
//! [`command`] what to start, [`pool`]
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
mod command;
mod container;
mod demand;
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
use std::time::{Duration, Instant};

use agent_protocol::{Event, Exec, Exit, Limits, Order, Stream};
use async_trait::async_trait;
use codecrafter_shared::job::{Job, Outcome, RunLimits, Verdict};
use codecrafter_shared::language::{AnnouncedLanguage, LanguageRow};
use futures_util::{StreamExt, TryStreamExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use self::attempt::{Attempt, run_budget};
use self::container::{Container, Request};
use self::demand::Demand;
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
    /// Containers that are kept ready for each language that is in demand; 0 for none.
    pub warm: usize,
    /// Memory for containers that are kept ready, in bytes, at about 16 MiB each.
    pub warm_bytes: u64,
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
    /// The usual: one warm container per language in demand, one core per container.
    #[must_use]
    pub fn new(instance: impl Into<String>, languages: Vec<LanguageRow>) -> Self {
        Self {
            instance: instance.into(),
            socket: None,
            languages,
            warm: 1,
            warm_bytes: 128 << 20,
            nano_cpus: 1_000_000_000,
            runtime: None,
            cgroup_parent: None,
            host_cgroups: true,
            start_timeout: Duration::from_secs(20),
            request_timeout: Duration::from_secs(60),
        }
    }
}

/// What was found out about an image.
#[derive(Debug, Clone)]
struct Image {
    id: String,
    /// What its runtime printed as its version; if it does not work, when that was.
    version: Result<String, Instant>,
}

impl Image {
    /// Whether the image needs no other look as long as its id stays the same.
    fn is_settled(&self) -> bool {
        match &self.version {
            Ok(_) => true,
            Err(at) => at.elapsed() < BROKEN_FOR,
        }
    }
}

/// How long an image that did not work is left alone: that may have been the machine's fault.
const BROKEN_FOR: Duration = Duration::from_secs(5 * 60);

/// Images that are tried out at a time.
const PROBES: usize = 2;

/// Runs jobs in Docker.
pub struct DockerSandbox {
    engine: Arc<Engine>,
    pool: Arc<Pool>,
    /// The images that were tried out, by name, as of the last look.
    images: Mutex<HashMap<String, Image>>,
    demand: Mutex<Demand>,
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
            demand: Mutex::default(),
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
        lock(&self.demand).used(&row.id, Instant::now());
        let known = lock(&self.images).get(&row.image).cloned();
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

    /// Starts what is missing of the languages in demand, of these that work, and removes what
    /// is not wanted any more.
    async fn prepare(&self, working: &[(&LanguageRow, Image)]) {
        let settings = &self.engine.settings;
        let ids: Vec<_> = working.iter().map(|(row, _)| row.id.as_str()).collect();
        let now = Instant::now();
        let wanted = lock(&self.demand).wanted(&ids, now, settings.warm, settings.warm_bytes);
        let wanted: Vec<_> = working
            .iter()
            .filter(|(row, _)| wanted.contains(&row.id.as_str()))
            .map(|(row, image)| Self::request_ahead(row, image.id.clone()))
            .collect();
        for request in &wanted {
            self.pool.refill(&self.engine, request, settings.warm);
        }
        let images: Vec<_> = wanted.into_iter().map(|request| request.image).collect();
        self.pool.keep_only(&images).await;
    }

    /// Ends the container of a job that has ended, and makes up for it.
    async fn retire(&self, container: Container, row: &LanguageRow) {
        let request = Self::request_ahead(row, container.image().to_owned());
        let (pool, engine) = (Arc::clone(&self.pool), Arc::clone(&self.engine));
        let is_quiet = container.is_quiet();
        let removed = self.engine.tasks.spawn(async move {
            container.remove().await;
            // After the job and not beside it, because starting a container costs CPU time. The
            // language was just used, so it is in demand.
            pool.refill(&engine, &request, engine.settings.warm);
        });
        // Removing takes the engine ten times as long as a small program runs. Once the agent
        // has said that nothing is left to run, nobody need wait for it.
        if !is_quiet && let Err(error) = removed.await {
            error!(%error, "removing a container broke off");
        }
    }

    /// What is known of a row's image, which is tried out if it is new; none if there is none.
    async fn look_at(&self, row: &LanguageRow) -> Result<Option<Image>, HostFault> {
        let Some(id) = self.engine.image_id(&row.image).await? else {
            return Ok(None);
        };
        let known = lock(&self.images).get(&row.image).cloned();
        if let Some(known) = known.filter(|known| known.id == id && known.is_settled()) {
            return Ok(Some(known));
        }
        let version = self.version(row, &id).await.map_err(|fault| {
            error!(language = row.id, image = row.image, %fault, "an image does not work");
            Instant::now()
        });
        let image = Image { id, version };
        lock(&self.images).insert(row.image.clone(), image.clone());
        Ok(Some(image))
    }

    /// What the language's runtime prints as its version.
    async fn version(&self, row: &LanguageRow, image: &str) -> Result<String, HostFault> {
        let request = Self::request_ahead(row, image.to_owned());
        let mut container = Container::start(Arc::clone(&self.engine), request).await?;
        let version = probe(&mut container, row).await;
        container.remove().await;
        version
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Sandbox for DockerSandbox {
    /// A language whose image is missing, or does not work, is not there; the latter is logged.
    ///
    /// Cheap where nothing changed: an image that is known by its id is not tried out again.
    async fn languages(&self) -> Result<Vec<AnnouncedLanguage>, HostFault> {
        self.engine.remove_abandoned().await;
        let rows = &self.engine.settings.languages;
        let looks: Vec<_> = rows.iter().map(|row| self.look_at(row)).collect();
        let looks = futures_util::stream::iter(looks).buffered(PROBES);
        let images: Vec<_> = looks.try_collect().await?;

        let mut announced = Vec::new();
        let mut working = Vec::new();
        for (row, image) in rows.iter().zip(images) {
            let Some(image) = image else { continue };
            let Ok(version) = image.version.clone() else {
                continue;
            };
            announced.push(AnnouncedLanguage {
                id: row.id.clone(),
                version,
            });
            working.push((row, image));
        }
        self.prepare(&working).await;
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
        // The row's is for compiling and running, and means something in a job only.
        env: Vec::new(),
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
