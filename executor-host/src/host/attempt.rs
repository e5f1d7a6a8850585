//! One attempt at a job: from a delivery to a result that is kept, or to a job that is given back.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use codecrafter_shared::id::AttemptId;
use codecrafter_shared::job::{Event, Job, Outcome, Report, Stage, Verdict};
use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::cancel::Begun;
use super::decide::{self, Next};
use super::forward::{self, Told};
use super::reporter::Reporter;
use super::{Host, describe};
use crate::clock;
use crate::metrics::Stopwatch;
use crate::queue::Delivery;
use crate::retry::Retry;
use crate::sandbox::{FaultScope, HostFault};
use crate::spans::Attempt;

/// Messages between a sandbox and the forwarder of its progress.
const PROGRESS_MESSAGES: usize = 64;

impl Host {
    pub(super) async fn attempt(&self, delivery: Delivery, end_now: CancellationToken) {
        let attempt_id = clock::attempt_id();
        let span = tracing::info_span!(
            "attempt",
            execution.id = %delivery.job.execution_id,
            attempt.id = %attempt_id,
            delivery.count = delivery.count,
            trace.id = delivery.job.traceparent.map(|parent| parent.trace_id()),
            container.id = Empty,
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
        let mut spans = self
            .spans
            .attempt(&delivery.job, &attempt_id.to_string(), delivery.count);
        let mut reporter = Reporter::of(&delivery.job, attempt_id, &self.live);
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
                let ended = self
                    .run_job(&delivery.job, &mut reporter, run, &mut spans)
                    .await;
                match self.decide(ended, &delivery, &begun, &end_now) {
                    Next::Keep(outcome) => outcome,
                    Next::GiveBack(delay) => return self.give_back(delivery, delay).await,
                }
            }
        };
        let outcome = decide::fit(outcome, decide::OUTCOME_BYTES_MAX);
        tracing::info!(verdict = outcome.verdict.as_str(), "finished");
        self.metrics.ended(&delivery.job, outcome.verdict);
        if let Some(spans) = &mut spans {
            spans.ended(outcome.verdict.as_str());
            spans.part("publish");
        }
        let finished = Report {
            traceparent: match &spans {
                Some(spans) => Some(spans.context()),
                None => delivery.job.traceparent,
            },
            ..reporter.report(Event::Finished {
                outcome: Box::new(outcome),
            })
        };
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
        spans: &mut Option<Attempt>,
    ) -> Result<Outcome, HostFault> {
        tracing::info!(language = job.language, "started");
        reporter.tell(Event::Started);
        let (progress, told) = mpsc::channel(PROGRESS_MESSAGES);
        let keyboard = job.interactive;
        let keyboard = keyboard.map(|how| self.keyboards.begin(job.execution_id, how));
        let (_plugged, interaction) = keyboard.unzip();
        let run = self.sandbox.run_with(job, interaction, progress, cancel);
        let run = AssertUnwindSafe(run);
        let run = run.catch_unwind();
        let mut stopwatch = self.metrics.attempt(job);
        if let Some(spans) = spans {
            spans.part("dispatch");
        }
        let tell = |told| tell(told, reporter, &mut stopwatch, spans);
        let ended = forward::until_ended(run, job.interactive.is_some(), told, tell).await;
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
            if let Some(spans) = spans {
                spans.failed(fault.to_string());
            }
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
        let settled = match given_up_for(&finished) {
            Some(reason) => delivery.park(&reason).await,
            None => delivery.ack().await,
        };
        if let Err(error) = settled {
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

/// Why nobody could run the job, if that is how it has ended: then an operator may want to see it.
fn given_up_for(finished: &Report) -> Option<String> {
    let Event::Finished { outcome } = &finished.event else {
        return None;
    };
    let reason = outcome.message.clone().unwrap_or_default();
    (outcome.verdict == Verdict::InternalError).then_some(reason)
}

/// Reports what happens in an attempt, times it, and writes down where it happens.
fn tell(
    told: Told,
    reporter: &mut Reporter<'_>,
    stopwatch: &mut Stopwatch,
    spans: &mut Option<Attempt>,
) {
    let event = match told {
        Told::Event(event) => event,
        Told::Container(id) => {
            tracing::Span::current().record("container.id", &*id);
            if let Some(spans) = spans {
                spans.in_container(id);
            }
            return;
        }
    };
    if let Event::Stage { stage } = event {
        stopwatch.stage(stage);
        if let Some(spans) = spans {
            spans.part(match stage {
                Stage::Compile => "compile",
                Stage::Run => "run",
            });
        }
    }
    reporter.tell(event);
}
