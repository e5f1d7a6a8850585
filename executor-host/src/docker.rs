//! The real sandbox: a hardened Docker container for each job, or for one job after another, with
//! the agent in it.
//!
//! A job meets the files of this folder in this order: [`files`] says what to write and
//! [`command`] what to start, [`pool`] has a [`container`] ready or starts one with the settings of
//! [`harden`] and [`seccomp`], [`attempt`] runs the job in it through the agent and measures by
//! [`cgroup`], [`compiled`] knows what was compiled before, [`output`] is what was written and
//! [`output_files`] what was left, [`answer`] compares it with what was expected, [`verdict`]
//! judges. [`engine`] is the connection to Docker. Before any job, [`trials`] have [`probe`] try
//! out what [`images`] does not know yet, and [`demand`] says for which languages containers wait
//! on the pool's [`shelves`]; [`lending`] moves them to jobs and back.
//!
//! What protects the host: a container has no network, no writable disk, no right that a program
//! could use, few system calls, and hard limits on memory, processes and CPU time. What does not:
//! programs share the machine's kernel. Against a hole in that, run containers by gVisor
//! ([`DockerSettings::runtime`]) or the whole host in a virtual machine.

mod answer;
mod attempt;
mod cgroup;
mod command;
mod compiled;
mod container;
pub mod demand;
mod engine;
mod files;
pub mod harden;
mod images;
mod lending;
mod output;
mod output_files;
mod pool;
mod probe;
mod seccomp;
mod settings;
mod shelves;
#[cfg(test)]
mod testing;
mod trials;
mod verdict;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agent_protocol::Order;
use async_trait::async_trait;
use codecrafter_shared::job::{Job, Outcome, Verdict};
use codecrafter_shared::language::{AnnouncedLanguage, LanguageRow};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use self::attempt::Attempt;
use self::compiled::Compilations;
use self::demand::Demand;
use self::engine::Engine;
use self::harden::Isolation;
use self::images::{Images, Working};
use self::output::Relay;
use self::pool::Pool;
pub use self::settings::DockerSettings;
use crate::sandbox::{FaultScope, HostFault, Interaction, Progress, Sandbox};

/// What is offered waits this long for the next image that is tried out for the first time, so
/// that a host does not start with one language and tell of each other one by itself.
const NEXT_MAX: Duration = Duration::from_secs(10);
/// And this long for all of them: less than a sandbox may take to answer.
const ALL_MAX: Duration = Duration::from_secs(25);

/// Runs jobs in Docker.
pub struct DockerSandbox {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Arc<Engine>,
    pool: Arc<Pool>,
    compilations: Compilations,
    images: Mutex<Images>,
    demand: Mutex<Demand>,
    /// Whoever tries out an image holds one, as long as that is quick.
    probes: Semaphore,
    /// An image was tried out: for whoever waits for it just now.
    tried: Notify,
    /// The same: for whoever asks next.
    changed: Notify,
    closing: CancellationToken,
}

impl DockerSandbox {
    /// Connects to the engine and removes what an earlier process of this instance left there.
    ///
    /// # Errors
    /// The engine cannot be reached or refuses; worth another try.
    pub async fn connect(settings: DockerSettings) -> Result<Self, HostFault> {
        let inner = Inner {
            compilations: Compilations::new(settings.compiled_bytes),
            engine: Arc::new(Engine::connect(settings).await?),
            pool: Arc::default(),
            images: Mutex::default(),
            demand: Mutex::default(),
            probes: Semaphore::new(trials::PROBES),
            tried: Notify::new(),
            changed: Notify::new(),
            closing: CancellationToken::new(),
        };
        let inner = Arc::new(inner);
        let sandbox = Self { inner };
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
        self.inner.engine.sweep().await
    }

    /// [`Sandbox::languages`], once every image was tried out, however long one of them takes.
    ///
    /// # Errors
    /// The engine cannot be reached.
    pub async fn all_languages(&self) -> Result<Vec<AnnouncedLanguage>, HostFault> {
        self.inner.look().await?;
        self.inner.images_tried(Duration::MAX, Duration::MAX).await;
        self.languages().await
    }

    /// Removes the containers that are kept ready, and waits for all that is under way in the
    /// background. For the end, when no job runs any more; nothing is started ahead after it.
    pub async fn close(&self) {
        let inner = &self.inner;
        inner.closing.cancel();
        inner.engine.tasks.close();
        inner.pool.stock(&inner.engine, &[], 0);
        inner.engine.tasks.wait().await;
        inner.engine.remove_abandoned().await;
    }
}

impl Inner {
    fn rows(&self) -> &[LanguageRow] {
        &self.engine.settings.languages
    }

    fn row(&self, id: &str) -> Option<&LanguageRow> {
        self.rows().iter().find(|row| row.id == id)
    }

    /// Runs a job in a container.
    async fn run_in_container(
        self: &Arc<Self>,
        (job, row): (&Job, &LanguageRow),
        files: Vec<Order>,
        interaction: Option<Interaction>,
        progress: mpsc::Sender<Progress>,
        cancel: &CancellationToken,
    ) -> Result<Outcome, HostFault> {
        let mut container = self.acquire(row, job).await?;
        let reuses = self.engine.settings.isolation == Isolation::Reuse;
        let loan = reuses.then(|| self.pool.lend(&container));
        let image = container.image().to_owned();
        let mut relay = Relay::new(progress);
        relay.container(container.id());
        let attempt = Attempt {
            container: &mut container,
            row,
            job,
            relay: &mut relay,
            cancel,
            compilations: &self.compilations,
            interaction,
        };
        let outcome = attempt.run(files).await;
        match outcome {
            Ok(_) => lock(&self.images).ran(&row.id, &image),
            Err(_) => container.suspect(),
        }
        // First the program's end, then everything else: whatever the outcome, it is over.
        self.release(container, loan).await;
        relay.finish().await;
        outcome
    }
}

/// Whether it is known which system calls a container may make on an engine of this architecture,
/// by Go's name for it. There is no container without.
#[must_use]
pub fn has_system_call_profile(architecture: &str) -> bool {
    seccomp::profile(architecture).is_some()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Sandbox for DockerSandbox {
    /// A language whose image is missing, or does not work, is not there; the latter is logged.
    ///
    /// Images are tried out in the background. The answer waits for those of which nothing is
    /// known yet as long as they come quickly, and for no others.
    async fn languages(&self) -> Result<Vec<AnnouncedLanguage>, HostFault> {
        let inner = &self.inner;
        inner.engine.remove_abandoned().await;
        inner.look().await?;
        inner.images_tried(NEXT_MAX, ALL_MAX).await;
        inner.prepare();
        let announced = |(row, working): (&LanguageRow, Working)| AnnouncedLanguage {
            id: row.id.clone(),
            version: working.version,
            end_of_life: row.end_of_life.clone(),
        };
        Ok(inner.working().into_iter().map(announced).collect())
    }

    async fn changed(&self) {
        self.inner.changed.notified().await;
    }

    fn ready(&self) -> Vec<(String, usize)> {
        let inner = &self.inner;
        let ready = |(row, working): (&LanguageRow, Working)| {
            (row.id.clone(), inner.pool.ready(&working.image))
        };
        inner.working().into_iter().map(ready).collect()
    }

    async fn run_with(
        &self,
        job: &Job,
        interaction: Option<Interaction>,
        progress: mpsc::Sender<Progress>,
        cancel: CancellationToken,
    ) -> Result<Outcome, HostFault> {
        let inner = &self.inner;
        let row = inner
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
        let ended = inner
            .run_in_container((job, row), files, interaction, progress, &cancel)
            .await;
        if let Err(fault) = &ended
            && fault.scope == FaultScope::Language
            && lock(&inner.images).failed(&row.id)
        {
            error!(
                language = row.id,
                image = row.image,
                %fault,
                "jobs keep failing; the language is withdrawn until its image works"
            );
        }
        ended
    }
}

/// A fault that may pass, or that another host may not have, of a job or its image.
fn retryable(what: impl Into<String>) -> HostFault {
    HostFault {
        what: what.into(),
        retry: true,
        scope: FaultScope::Language,
    }
}

/// A fault that may pass, of the engine.
fn engine_fault(what: impl Into<String>) -> HostFault {
    HostFault {
        scope: FaultScope::Engine,
        ..retryable(what)
    }
}

/// A fault of a job or its image that would come back.
fn permanent(what: impl Into<String>) -> HostFault {
    HostFault {
        retry: false,
        ..retryable(what)
    }
}
