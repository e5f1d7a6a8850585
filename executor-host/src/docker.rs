//! The real sandbox: a hardened Docker container for each job, or for one job after another, with
//! the agent in it.
//!
//! A job meets the files of this folder in this order: [`files`] says what to write and
//! [`command`] what to start, [`pool`] has a [`container`] ready or starts one with the settings of
//! [`harden`] and [`seccomp`], [`attempt`] runs the job in it through the agent and measures by
//! [`cgroup`], [`compiled`] knows what was compiled before, [`output`] is what was written,
//! [`answer`] compares it with what was expected, [`verdict`] judges. [`engine`] is the connection
//! to Docker. Before any job,
//! [`probe`] tries out what [`images`] does not know yet, and [`demand`] says for which languages
//! containers wait on the pool's [`shelves`].
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
mod output;
mod pool;
mod probe;
mod seccomp;
mod settings;
mod shelves;
#[cfg(test)]
mod testing;
mod verdict;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use agent_protocol::Order;
use async_trait::async_trait;
use codecrafter_shared::job::{Job, Outcome, RunLimits, Verdict};
use codecrafter_shared::language::{AnnouncedLanguage, LanguageRow};
use futures_util::future::try_join_all;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error, info, warn};

use self::attempt::{Attempt, run_budget};
use self::compiled::Compilations;
use self::container::{Container, Request};
use self::demand::Demand;
use self::engine::Engine;
use self::harden::Isolation;
use self::images::{Images, Working};
use self::output::Relay;
use self::pool::{Loan, Pool};
pub use self::settings::DockerSettings;
use crate::sandbox::{FaultScope, HostFault, Interaction, Progress, Sandbox};

/// Images that are tried out at a time, of those that answer quickly.
const PROBES: usize = 2;
/// An image that takes longer keeps no other from being tried out.
const PROBE_QUICK: Duration = Duration::from_secs(5);
/// What is offered waits this long for the next image that is tried out for the first time, so
/// that a host does not start with one language and tell of each other one by itself.
const NEXT_MAX: Duration = Duration::from_secs(10);
/// And this long for all of them: less than a sandbox may take to answer.
const ALL_MAX: Duration = Duration::from_secs(25);

/// A container that is reset for longer is of no more use.
const RESET_MAX: Duration = Duration::from_secs(5);

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
            probes: Semaphore::new(PROBES),
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

    /// Finds out which images there are, and has those tried out that need it.
    async fn look(self: &Arc<Self>) -> Result<(), HostFault> {
        let ids = self
            .rows()
            .iter()
            .map(|row| self.engine.image_id(&row.image));
        let ids = try_join_all(ids).await?;
        for (row, image) in self.rows().iter().zip(ids) {
            if lock(&self.images).seen(&row.id, image.as_deref(), Instant::now())
                && let Some(image) = image
            {
                self.try_out(row.clone(), image);
            }
        }
        Ok(())
    }

    /// Tries out an image in the background. Other languages neither wait for it nor stop.
    fn try_out(self: &Arc<Self>, row: LanguageRow, image: String) {
        let inner = Arc::clone(self);
        let tried = async move {
            let request = request_ahead(&row, image.clone());
            let version = inner
                .in_turn(probe::version(&inner.engine, request, &row))
                .await;
            let fault = version.as_ref().err().map(ToString::to_string);
            let now = Instant::now();
            let again = lock(&inner.images).tried(&row.id, &image, version.ok(), now);
            if let (Some(fault), Some(again)) = (fault, again) {
                let seconds = (again - now).as_secs();
                error!(
                    language = row.id,
                    image = row.image,
                    fault,
                    "an image does not work; it is tried again after {seconds} s"
                );
            }
            inner.tried.notify_waiters();
            inner.changed.notify_one();
        };
        let closing = self.closing.clone();
        let tried = async move { closing.run_until_cancelled(tried).await };
        self.engine.tasks.spawn(tried);
    }

    /// Does `work` in its turn; the next one's comes soon, even if this one takes long.
    async fn in_turn<T>(&self, work: impl Future<Output = T>) -> T {
        let turn = self.probes.acquire().await;
        let mut work = std::pin::pin!(work);
        match timeout(PROBE_QUICK, &mut work).await {
            Ok(done) => done,
            Err(_) => {
                drop(turn);
                work.await
            }
        }
    }

    /// Waits until no image is being tried out for the first time, as long as one after the other
    /// comes to its end within `each`, and for no longer than `all`.
    async fn images_tried(&self, each: Duration, all: Duration) {
        let waited = async {
            loop {
                let mut tried = std::pin::pin!(self.tried.notified());
                tried.as_mut().enable();
                if !lock(&self.images).has_new() || timeout(each, tried).await.is_err() {
                    return;
                }
            }
        };
        let _ = timeout(all, waited).await;
    }

    /// The languages whose images work, in the table's order.
    fn working(&self) -> Vec<(&LanguageRow, Working)> {
        let images = lock(&self.images);
        let rows = self.rows().iter();
        rows.filter_map(|row| Some((row, images.working(&row.id)?)))
            .collect()
    }

    /// A container for the job: one that is ready, or a new one.
    async fn acquire(&self, row: &LanguageRow, job: &Job) -> Result<Container, HostFault> {
        lock(&self.demand).used(&row.id, Instant::now());
        let working = lock(&self.images).working(&row.id);
        if let Some(working) = working
            && let Some(container) = self.pool.take_or_wait(&working.image).await
        {
            return Ok(container);
        }
        let image = self.engine.image_id(&row.image).await?;
        let image =
            image.ok_or_else(|| retryable(format!("there is no image {} here", row.image)))?;
        let request = Request {
            image,
            language: row.id.clone(),
            runtime: row.runtime.clone(),
            job: Some(job.execution_id.to_string()),
            budget: run_budget(&job.limits, row),
        };
        Container::start(Arc::clone(&self.engine), request).await
    }

    /// Starts what is missing of the languages in demand, of those that work, and removes what is
    /// not wanted any more; all in the background.
    fn prepare(&self) {
        let settings = &self.engine.settings;
        let working = self.working();
        let ids: Vec<_> = working.iter().map(|(row, _)| row.id.as_str()).collect();
        // Held until the pool knows: what was wanted later must not be overruled.
        let demand = lock(&self.demand);
        let wanted = demand.wanted(&ids, Instant::now(), settings.warm, settings.warm_bytes);
        let wanted: Vec<_> = working
            .iter()
            .filter(|(row, _)| wanted.contains(&row.id.as_str()))
            .map(|(row, working)| request_ahead(row, working.image.clone()))
            .collect();
        self.pool.stock(&self.engine, &wanted, settings.warm);
    }

    /// Makes the container of a job that has ended ready for another, or ends it.
    async fn release(self: &Arc<Self>, mut container: Container, loan: Option<Loan>) {
        match loan {
            Some(loan) if container.serves_another() => self.reset(container, loan),
            over => {
                // Before what makes up for it is counted.
                drop(over);
                self.retire(container).await;
            }
        }
    }

    /// In the background, because nobody need wait for it but the next job.
    fn reset(self: &Arc<Self>, mut container: Container, mut loan: Loan) {
        loan.announce_return();
        let inner = Arc::clone(self);
        let reset = async move {
            let reset = timeout(RESET_MAX, container.reset()).await;
            let unwanted = match reset {
                Ok(Ok(())) => loan.give_back(container),
                Ok(Err(fault)) => {
                    drop(loan);
                    info!(%fault, "a container is not used again");
                    Some(container)
                }
                Err(_) => {
                    drop(loan);
                    warn!("a container was not reset within {RESET_MAX:?}");
                    Some(container)
                }
            };
            if let Some(container) = unwanted {
                container.remove().await;
                inner.prepare();
            }
        };
        self.engine.tasks.spawn(reset.in_current_span());
    }

    /// Ends the container of a job that has ended, and makes up for it.
    async fn retire(self: &Arc<Self>, mut container: Container) {
        let inner = Arc::clone(self);
        // Once nothing is left to run, nobody need wait for the engine, which takes ten times as long
        // to remove a container as a small program runs.
        let is_over = container.is_quiet() || container.kill().await;
        let remove = async move {
            container.remove().await;
            // After the job and not beside it, because starting a container costs CPU time.
            inner.prepare();
        };
        let removed = self.engine.tasks.spawn(remove.in_current_span());
        if !is_over && let Err(error) = removed.await {
            error!(%error, "removing a container broke off");
        }
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

/// What is started ahead for a language: it has the limits that most jobs have.
fn request_ahead(row: &LanguageRow, image: String) -> Request {
    let budget = run_budget(&RunLimits::default(), row);
    Request {
        image,
        language: row.id.clone(),
        runtime: row.runtime.clone(),
        job: None,
        budget,
    }
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
