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
//! ```
//!
//! A fault of the host never becomes a verdict about the program.

mod cancel;
mod decide;
mod forward;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use codecrafter_shared::id::AttemptId;
use codecrafter_shared::job::{Control, ControlAction, Event, Job, Outcome, Report};
use codecrafter_shared::language::AnnouncedLanguage;
use futures_util::FutureExt as _;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::clock;
use crate::metrics::{Metrics, Stopwatch};
use crate::queue::{ControlFeed, DELIVERIES_MAX, Delivery, LiveReports, Queue, QueueError};
use crate::retry::Retry;
use crate::sandbox::{FaultScope, HostFault, Sandbox};

use self::cancel::{Begun, Cancels};
use self::decide::Next;

/// Messages between a sandbox and the forwarder of its progress.
const PROGRESS_MESSAGES: usize = 64;
/// How often a sandbox in order is asked what it can run.
const ASK_EVERY: Duration = Duration::from_secs(30);
/// A sandbox that takes longer to say what it can run is taken for one that runs nothing.
const ANSWER_MAX: Duration = Duration::from_secs(30);
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

/// What the host can run at the moment; `None` while its sandbox does not answer.
pub type Offer = Option<Arc<[AnnouncedLanguage]>>;

/// Whether there is a language that can be run. A host without one takes no jobs: it would refuse
/// each at once, and so draw those to itself that other workers could run.
fn offers_any(offer: &Offer) -> bool {
    offer
        .as_deref()
        .is_some_and(|languages| !languages.is_empty())
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
    listening: watch::Sender<bool>,
    metrics: Metrics,
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
            listening: watch::Sender::new(false),
            metrics,
        }
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

    /// Works until `stop` fires and what runs by then has ended, was given back, or
    /// has used up the grace. Hears control messages to the end.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let end_now = CancellationToken::new();
        let mut attempts = JoinSet::new();
        let mut helpers = JoinSet::new();
        let host = Arc::clone(&self);
        helpers.spawn(async move { host.hear_controls().await });
        let host = Arc::clone(&self);
        let watch_sandbox = helpers.spawn(async move { host.watch_sandbox().await });
        stop.run_until_cancelled(self.take_jobs(&mut attempts, &end_now))
            .await;
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
                let mut feed = self.queue.controls().await?;
                retry.succeeded();
                self.listening.send_replace(true);
                self.obey(&mut *feed).await
            };
            let lost: Result<std::convert::Infallible, QueueError> = heard.await;
            let Err(error) = lost;
            self.listening.send_replace(false);
            tokio::time::sleep(retry.failed(&describe(&error))).await;
        }
    }

    async fn obey<T>(&self, feed: &mut dyn ControlFeed) -> Result<T, QueueError> {
        loop {
            let Control {
                execution_id,
                action,
                ..
            } = feed.next().await?;
            match action {
                ControlAction::Cancel => self.cancels.cancel(execution_id),
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

    /// Keeps [`Host::offer`] true: asks the sandbox until it answers, again after a fault and when
    /// it says that something changed, and now and then, because images come and go.
    async fn watch_sandbox(&self) {
        let mut retry = Retry::new("use the sandbox");
        loop {
            match self.languages().await {
                Ok(languages) => {
                    retry.succeeded();
                    self.set_offer(Some(languages.into()));
                    tokio::select! {
                        () = self.faulted.notified() => {}
                        () = self.sandbox.changed() => {}
                        () = tokio::time::sleep(ASK_EVERY) => {}
                    }
                }
                Err(fault) => {
                    self.set_offer(None);
                    tokio::time::sleep(retry.failed(&fault)).await;
                }
            }
        }
    }

    /// What the sandbox says that it can run; nothing is offered while that takes too long.
    async fn languages(&self) -> Result<Vec<AnnouncedLanguage>, HostFault> {
        let mut answer = self.sandbox.languages();
        if let Ok(answer) = timeout(ANSWER_MAX, &mut answer).await {
            return answer;
        }
        tracing::warn!("the sandbox does not answer");
        self.set_offer(None);
        answer.await
    }

    fn set_offer(&self, offer: Offer) {
        let changed = self.offer.send_if_modified(|known| {
            let changed = *known != offer;
            if let Some(languages) = offer.as_deref().filter(|_| changed) {
                let ids: Vec<_> = languages.iter().map(|language| &*language.id).collect();
                if ids.is_empty() {
                    tracing::warn!("there is no language that this host can run");
                } else {
                    tracing::info!(languages = ids.join(" "), "ready");
                }
            }
            *known = offer;
            changed
        });
        if changed {
            let offer = self.offer.borrow();
            let languages = offer.as_deref().unwrap_or_default();
            let ids = languages.iter().map(|language| language.id.as_str());
            self.metrics.offered(ids);
        }
    }

    async fn attempt(&self, delivery: Delivery, end_now: CancellationToken) {
        let attempt_id = clock::attempt_id();
        let span = tracing::info_span!(
            "attempt",
            execution.id = %delivery.job.execution_id,
            attempt.id = %attempt_id,
            delivery.count = delivery.count,
        );
        self.see_through(delivery, attempt_id, end_now)
            .instrument(span)
            .await;
    }

    /// Takes one delivery to its end, whatever that is.
    async fn see_through(
        &self,
        delivery: Delivery,
        attempt_id: AttemptId,
        end_now: CancellationToken,
    ) {
        let mut reporter = Reporter {
            live: &self.live,
            job: &delivery.job,
            attempt_id,
            seq: 0,
        };
        if delivery.count == 1 {
            self.metrics.taken(&delivery.job);
        }
        let run = end_now.child_token();
        let begun = self.cancels.begin(delivery.job.execution_id, run.clone());
        let offer = self.offer.borrow().clone();
        let cancelled = begun.is_cancelled();
        let now = clock::now();
        let retry_delay = self.settings.retry_delay;
        let refused = decide::refuse(&delivery, offer.as_deref(), now, cancelled, retry_delay);
        let outcome = match refused {
            Some(Next::Keep(outcome)) => outcome,
            Some(Next::GiveBack(delay)) => {
                let language = &delivery.job.language;
                tracing::warn!(
                    language,
                    "the job is not for this host; another may have it"
                );
                return self.give_back(delivery, delay).await;
            }
            None => {
                let ended = self.run_job(&delivery.job, &mut reporter, run).await;
                match self.decide(ended, &delivery, &begun, &end_now) {
                    Next::Keep(outcome) => outcome,
                    Next::GiveBack(delay) => return self.give_back(delivery, delay).await,
                }
            }
        };
        let outcome = decide::fit(outcome, decide::OUTCOME_BYTES_MAX);
        tracing::info!(verdict = outcome.verdict.as_str(), "finished");
        self.metrics.ended(&delivery.job, outcome.verdict);
        let finished = reporter.report(Event::Finished {
            outcome: Box::new(outcome),
        });
        self.keep_result(delivery, finished, &end_now).await;
    }

    /// What follows from how a run has ended; tells the operator if it was the host that failed.
    fn decide(
        &self,
        ended: Result<Outcome, HostFault>,
        delivery: &Delivery,
        begun: &Begun<'_>,
        end_now: &CancellationToken,
    ) -> Next {
        let fault = ended.as_ref().err().map(ToString::to_string);
        let facts = decide::Facts {
            cancelled: begun.is_cancelled(),
            host_ends: end_now.is_cancelled(),
            count: delivery.count,
            retry_delay: self.settings.retry_delay,
        };
        let next = decide::after_run(ended, &facts);
        match (&fault, &next) {
            (Some(fault), Next::GiveBack(_)) => {
                tracing::warn!(fault, "the host failed; the job is tried again");
            }
            (Some(fault), Next::Keep(_)) => {
                tracing::error!(fault, "the host failed; the job is given up");
            }
            (None, _) => {}
        }
        next
    }

    /// Runs the job and reports what happens while it runs.
    async fn run_job(
        &self,
        job: &Job,
        reporter: &mut Reporter<'_>,
        cancel: CancellationToken,
    ) -> Result<Outcome, HostFault> {
        tracing::info!(language = job.language, "started");
        reporter.tell(Event::Started);
        let (progress, told) = mpsc::channel(PROGRESS_MESSAGES);
        let run = AssertUnwindSafe(self.sandbox.run(job, progress, cancel));
        let run = run.catch_unwind();
        let mut stopwatch = self.metrics.attempt(job);
        let tell = |event| tell(event, reporter, &mut stopwatch);
        let ended = forward::until_ended(run, told, tell).await;
        let outcome = ended.unwrap_or_else(|_| {
            Err(HostFault {
                what: "the sandbox panicked".into(),
                retry: true,
                scope: FaultScope::Language,
            })
        });
        if outcome.is_ok() {
            stopwatch.ended();
        }
        if let Err(fault) = &outcome {
            self.metrics.fault(fault.scope);
            if fault.scope == FaultScope::Engine {
                // Nothing is taken until the sandbox answers again.
                self.set_offer(None);
            }
            self.faulted.notify_one();
        }
        outcome
    }

    /// The result first, then the job: in between, a crash costs a second run and loses nothing.
    async fn keep_result(&self, delivery: Delivery, finished: Report, end_now: &CancellationToken) {
        let mut retry = Retry::new("keep a result");
        let ended = Instant::now();
        while let Err(error) = self.queue.store_result(&finished).await {
            let delay = retry.failed(&describe(&error));
            if end_now
                .run_until_cancelled(tokio::time::sleep(delay))
                .await
                .is_none()
            {
                return; // The job is given back, and will run again.
            }
        }
        retry.succeeded();
        self.metrics.published(ended.elapsed());
        if let Err(error) = delivery.ack().await {
            tracing::error!(error = describe(&error), "a finished job will run again");
        }
    }

    async fn give_back(&self, delivery: Delivery, delay: Duration) {
        self.metrics.given_back();
        if let Err(error) = delivery.give_back(delay).await {
            tracing::error!(
                error = describe(&error),
                "the job is given back by the next start"
            );
        }
    }
}

/// Reports what happens in an attempt, and times it.
fn tell(event: Event, reporter: &mut Reporter<'_>, stopwatch: &mut Stopwatch) {
    if let Event::Stage { stage } = event {
        stopwatch.stage(stage);
    }
    reporter.tell(event);
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

/// Numbers the reports of one attempt.
struct Reporter<'a> {
    live: &'a LiveReports,
    job: &'a Job,
    attempt_id: AttemptId,
    seq: u32,
}

impl Reporter<'_> {
    /// Reports something that is worth knowing while the attempt runs.
    fn tell(&mut self, event: Event) {
        let report = self.report(event);
        self.live.push(report);
    }

    /// The attempt's next report.
    fn report(&mut self, event: Event) -> Report {
        let seq = self.seq;
        self.seq += 1;
        report(self.job, self.attempt_id, seq, event)
    }
}

fn report(job: &Job, attempt_id: AttemptId, seq: u32, event: Event) -> Report {
    Report {
        execution_id: job.execution_id,
        session_id: job.session_id,
        report_token: job.report_token.clone(),
        attempt_id,
        seq,
        at: clock::now(),
        event,
    }
}

/// The final result of a job that no host shall have any more, because none has ended it.
pub(crate) fn given_up(job: &Job) -> Report {
    let outcome = Box::new(decide::host_failed(DELIVERIES_MAX));
    report(job, clock::attempt_id(), 0, Event::Finished { outcome })
}
