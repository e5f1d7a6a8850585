//! Which container a job gets, and what becomes of it afterwards; and those that are started ahead.

use std::sync::Arc;
use std::time::{Duration, Instant};

use codecrafter_shared::job::{Job, RunLimits};
use codecrafter_shared::language::LanguageRow;
use tokio::time::timeout;
use tracing::{Instrument as _, error, info, warn};

use super::attempt::run_budget;
use super::container::{Container, Request};
use super::pool::Loan;
use super::{Inner, lock, retryable};
use crate::sandbox::HostFault;

/// A container that is reset for longer is of no more use.
const RESET_MAX: Duration = Duration::from_secs(5);

impl Inner {
    /// A container for the job: one that is ready, or a new one.
    pub(super) async fn acquire(
        &self,
        row: &LanguageRow,
        job: &Job,
    ) -> Result<Container, HostFault> {
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
    pub(super) fn prepare(&self) {
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
    pub(super) async fn release(self: &Arc<Self>, mut container: Container, loan: Option<Loan>) {
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
    pub(super) fn reset(self: &Arc<Self>, mut container: Container, mut loan: Loan) {
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
    pub(super) async fn retire(self: &Arc<Self>, mut container: Container) {
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
}

/// What is started ahead for a language: it has the limits that most jobs have.
pub fn request_ahead(row: &LanguageRow, image: String) -> Request {
    let budget = run_budget(&RunLimits::default(), row);
    Request {
        image,
        language: row.id.clone(),
        runtime: row.runtime.clone(),
        job: None,
        budget,
    }
}
