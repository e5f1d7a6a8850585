//! What happens to a job on this host: admit it, run it, tell what happens, keep the result, and
//! only then let go of it (X6). It knows the queue and the sandbox as traits only.
//!
//! ```text
//! take ─▶ refuse? ─▶ Started ─▶ sandbox ─▶ Finished kept ─▶ acknowledged
//!            │                    │ cancelled by its owner: a result like every other
//!            │                    │ fault: given back with a delay, at most DELIVERIES_MAX times;
//!            │                    │        one of the engine also withdraws what the host offers
//!            │                    │ shutdown: given back
//!            └──── cancelled, expired, unknown language, …: Finished kept ─▶ acknowledged
//!
//! What ends as the host's fault is not acknowledged but put among the dead letters.
//! ```
//!
//! A fault of the host never becomes a verdict about the program.

mod attempt;
mod cancel;
mod decide;
mod forward;
mod keyboards;
mod offer;
mod reporter;

use std::sync::Arc;
use std::time::Duration;

use codecrafter_shared::job::{Control, ControlAction};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::cancel::Cancels;
use self::keyboards::Keyboards;
pub use self::offer::Offer;
use self::offer::offers_any;
pub(crate) use self::reporter::given_up;
use crate::metrics::Metrics;
use crate::queue::{Controls, LiveReports, Queue, QueueError};
use crate::retry::Retry;
use crate::sandbox::Sandbox;
use crate::shutdown::Stop;
use crate::spans::Spans;

/// A cancelled sandbox that has not returned after this long is given up.
const CANCEL_MAX: Duration = Duration::from_secs(10);

/// How a host works.
#[derive(Debug, Clone)]
pub struct HostSettings {
    /// Jobs that run at a time; at least 1.
    pub slots: u32,
    /// How long running jobs may go on once the host stops.
    pub grace: Duration,
    /// How long a job waits after its first host fault; doubled after the second.
    pub retry_delay: Duration,
}

/// The worker: moves jobs from the queue through the sandbox and results into the queue.
pub struct Host {
    queue: Arc<dyn Queue>,
    sandbox: Arc<dyn Sandbox>,
    live: LiveReports,
    settings: HostSettings,
    offer: watch::Sender<Offer>,
    faulted: Notify,
    cancels: Cancels,
    keyboards: Keyboards,
    listening: watch::Sender<bool>,
    metrics: Metrics,
    spans: Spans,
}

impl Host {
    /// A host that does nothing yet, and will count in `metrics`.
    #[must_use]
    pub fn new(
        queue: Arc<dyn Queue>,
        sandbox: Arc<dyn Sandbox>,
        live: LiveReports,
        settings: HostSettings,
        metrics: Metrics,
    ) -> Self {
        metrics.slots(settings.slots);
        Self {
            queue,
            sandbox,
            live,
            settings,
            offer: watch::Sender::new(None),
            faulted: Notify::new(),
            cancels: Cancels::default(),
            keyboards: Keyboards::default(),
            listening: watch::Sender::new(false),
            metrics,
            spans: Spans::default(),
        }
    }

    /// The same, sending spans of what it does.
    #[must_use]
    pub fn traced(self, spans: Spans) -> Self {
        Self { spans, ..self }
    }

    /// What it can run, as that changes.
    #[must_use]
    pub fn offer(&self) -> watch::Receiver<Offer> {
        self.offer.subscribe()
    }

    /// Whether it hears control messages. Until it does, whoever passes them on had better wait:
    /// the queue keeps none for later.
    #[must_use]
    pub fn listening(&self) -> watch::Receiver<bool> {
        self.listening.subscribe()
    }

    /// Works until it is told to stop and what runs by then has ended, was given back, or has used
    /// up the grace; told to drain, however long that takes. Hears control messages to the end.
    pub async fn run(self: Arc<Self>, stop: impl Into<Stop>) {
        let stop = stop.into();
        let end_now = CancellationToken::new();
        let mut attempts = JoinSet::new();
        let mut helpers = JoinSet::new();
        let host = Arc::clone(&self);
        helpers.spawn(async move { host.hear_controls().await });
        let host = Arc::clone(&self);
        let watch_sandbox = helpers.spawn(async move { host.watch_sandbox().await });
        tokio::select! {
            never = self.take_jobs(&mut attempts, &end_now) => match never {},
            () = stop.either() => {}
        }
        let all_ended = async { while attempts.join_next().await.is_some() {} };
        stop.now.run_until_cancelled(all_ended).await;
        watch_sandbox.abort();
        self.wind_up(attempts, end_now).await;
    }

    /// Starts an attempt for each job, as slots get free.
    async fn take_jobs(
        self: &Arc<Self>,
        attempts: &mut JoinSet<()>,
        end_now: &CancellationToken,
    ) -> std::convert::Infallible {
        let slots = Arc::new(Semaphore::new(self.settings.slots as usize));
        let (mut offer, mut listening) = (self.offer.subscribe(), self.listening());
        let (mut withdrawn, mut deafened) = (self.offer.subscribe(), self.listening());
        let mut retry = Retry::new("take jobs from the queue");
        loop {
            // The slot first: a job that is taken is not left waiting for one.
            let slot = Arc::clone(&slots).acquire_owned().await;
            let _ = listening.wait_for(|listening| *listening).await;
            let _ = offer.wait_for(offers_any).await;
            let taken = tokio::select! {
                biased;
                // What comes while the sandbox does not answer, or while nobody could end it, is
                // better left to others.
                _ = withdrawn.wait_for(|offer| !offers_any(offer)) => continue,
                _ = deafened.wait_for(|listening| !*listening) => continue,
                taken = self.queue.take() => taken,
            };
            let delivery = match taken {
                Ok(delivery) => delivery,
                Err(error) => {
                    tokio::time::sleep(retry.failed(&describe(&error))).await;
                    continue;
                }
            };
            retry.succeeded();
            let (host, end_now) = (Arc::clone(self), end_now.clone());
            let in_use = self.metrics.slot_in_use();
            attempts.spawn(async move {
                host.attempt(delivery, end_now).await;
                drop((slot, in_use));
            });
            while attempts.try_join_next().is_some() {}
        }
    }

    /// Does as control messages say, for ever.
    async fn hear_controls(&self) {
        let mut retry = Retry::new("hear control messages");
        loop {
            let heard = async {
                let mut controls = self.queue.controls().await?;
                retry.succeeded();
                self.listening.send_replace(true);
                self.obey(&mut *controls).await
            };
            let lost: Result<std::convert::Infallible, QueueError> = heard.await;
            let Err(error) = lost;
            self.listening.send_replace(false);
            tokio::time::sleep(retry.failed(&describe(&error))).await;
        }
    }

    async fn obey<T>(&self, controls: &mut dyn Controls) -> Result<T, QueueError> {
        loop {
            let Control {
                execution_id,
                action,
                ..
            } = controls.next().await?;
            match action {
                ControlAction::Cancel => self.cancels.cancel(execution_id),
                ControlAction::Input(inputs) => self.keyboards.give(execution_id, inputs),
                ControlAction::Unknown => {}
            }
        }
    }

    /// Lets what runs end by itself, then ends it, then gives it up.
    async fn wind_up(&self, mut attempts: JoinSet<()>, end_now: CancellationToken) {
        let all_ended = async { while attempts.join_next().await.is_some() {} };
        if timeout(self.settings.grace, all_ended).await.is_ok() {
            return;
        }
        tracing::info!(
            jobs = attempts.len(),
            "the grace is over; running jobs are given back"
        );
        end_now.cancel();
        let all_ended = async { while attempts.join_next().await.is_some() {} };
        if timeout(CANCEL_MAX, all_ended).await.is_err() {
            tracing::error!(jobs = attempts.len(), "running jobs did not end");
            attempts.shutdown().await;
        }
    }
}

/// An error with its causes.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
