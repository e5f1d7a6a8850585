//! The reports of one attempt, numbered.

use codecrafter_shared::id::AttemptId;
use codecrafter_shared::job::{Event, Job, Report};

use super::decide;
use crate::clock;
use crate::queue::LiveReports;

/// Numbers the reports of one attempt.
pub(super) struct Reporter<'a> {
    live: &'a LiveReports,
    job: &'a Job,
    attempt_id: AttemptId,
    seq: u32,
}

impl<'a> Reporter<'a> {
    /// Of an attempt that has told nothing yet.
    pub(super) fn of(job: &'a Job, attempt_id: AttemptId, live: &'a LiveReports) -> Self {
        Self {
            live,
            job,
            attempt_id,
            seq: 0,
        }
    }

    /// Reports something that is worth knowing while the attempt runs.
    pub(super) fn tell(&mut self, event: Event) {
        let report = self.report(event);
        match self.job.interactive {
            Some(_) => self.live.push_urgent(report),
            None => self.live.push(report),
        }
    }

    /// The attempt's next report.
    pub(super) fn report(&mut self, event: Event) -> Report {
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
        traceparent: None,
    }
}

/// The final result of a job that no host shall have any more, because none has ended it.
pub(crate) fn given_up(job: &Job) -> Report {
    let outcome = Box::new(decide::host_failed(None));
    Report {
        traceparent: job.traceparent,
        ..report(job, clock::attempt_id(), 0, Event::Finished { outcome })
    }
}
