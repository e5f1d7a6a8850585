//! Reports that are worth something now and little later: what happens while an attempt runs.
//! They are kept in memory only, between the worker and the link of one process.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codecrafter_shared::job::{Event, Report};
use codecrafter_shared::limits;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Output beyond this is dropped while the edge does not take it. The outcome has it all.
const OUTPUT_BYTES_MAX: usize = 4 << 20;
/// How long a report waits for company.
const GATHER: Duration = Duration::from_millis(50);
/// With so many bytes of output, nothing waits for company any more.
const GATHER_BYTES: usize = 64 << 10;

/// Reports that go out together, in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveBatch {
    /// What there is to say.
    pub reports: Vec<Report>,
    /// Whether somebody waits for one of them at a keyboard: nobody gathers them any further.
    pub urgent: bool,
}

/// A bounded buffer from worker to link. Clones are the same buffer.
#[derive(Clone, Default)]
pub struct LiveReports {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    buffer: Mutex<Buffer>,
    pushed: Notify,
}

#[derive(Default)]
struct Buffer {
    reports: VecDeque<Report>,
    output_bytes: usize,
    dropped: u64,
    /// When the oldest report came.
    since: Option<Instant>,
    /// Whether somebody waits for one of them at a keyboard.
    urgent: bool,
}

impl LiveReports {
    /// Adds a report. Never waits: output that finds the buffer full is dropped, which shows as a
    /// gap in `seq`. Everything else is kept; there are only a few per attempt.
    pub fn push(&self, report: Report) {
        self.add(report, false);
    }

    /// The same for what somebody at a keyboard waits for: it is due at once.
    pub fn push_urgent(&self, report: Report) {
        self.add(report, true);
    }

    fn add(&self, report: Report, urgent: bool) {
        let mut buffer = self.buffer();
        if let Event::Output { text, .. } = &report.event {
            if buffer.output_bytes.saturating_add(text.len()) > OUTPUT_BYTES_MAX {
                buffer.dropped += 1;
                return;
            }
            buffer.output_bytes += text.len();
        }
        buffer.urgent |= urgent;
        buffer.reports.push_back(report);
        buffer.since.get_or_insert_with(Instant::now);
        drop(buffer);
        self.shared.pushed.notify_waiters();
    }

    /// Adds what another process has gathered, as urgent as it was there.
    pub fn push_all(&self, batch: LiveBatch) {
        for report in batch.reports {
            self.add(report, batch.urgent);
        }
    }

    /// Takes everything.
    #[must_use]
    pub fn drain(&self) -> LiveBatch {
        let mut buffer = self.buffer();
        if buffer.dropped > 0 {
            tracing::warn!(reports = buffer.dropped, "live output was dropped");
        }
        let taken = std::mem::take(&mut *buffer);
        LiveBatch {
            reports: taken.reports.into(),
            urgent: taken.urgent,
        }
    }

    /// Whether there is nothing to take.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffer().reports.is_empty()
    }

    /// Waits until there are reports and it is time to send them: the oldest has waited for 50 ms,
    /// or there is 64 KiB of output or as many reports as one request takes, or one is urgent.
    pub async fn due(&self) {
        loop {
            let mut pushed = pin!(self.shared.pushed.notified());
            pushed.as_mut().enable();
            let (since, at_once) = {
                let buffer = self.buffer();
                let many = buffer.reports.len() >= limits::REPORTS_MAX;
                let full = many || buffer.output_bytes >= GATHER_BYTES;
                (buffer.since, full || buffer.urgent)
            };
            match since {
                None => pushed.await,
                Some(_) if at_once => return,
                Some(since) => tokio::select! {
                    () = pushed => {}
                    () = tokio::time::sleep_until(since + GATHER) => return,
                },
            }
        }
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        // Nothing panics while it is held, and a report more or less would not matter.
        self.shared
            .buffer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
