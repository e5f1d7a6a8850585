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
}

impl LiveReports {
    /// Adds a report. Never waits: output that finds the buffer full is dropped, which shows as a
    /// gap in `seq`. Everything else is kept; there are only a few per attempt.
    pub fn push(&self, report: Report) {
        let mut buffer = self.buffer();
        if let Event::Output { text, .. } = &report.event {
            if buffer.output_bytes.saturating_add(text.len()) > OUTPUT_BYTES_MAX {
                buffer.dropped += 1;
                return;
            }
            buffer.output_bytes += text.len();
        }
        buffer.reports.push_back(report);
        buffer.since.get_or_insert_with(Instant::now);
        drop(buffer);
        self.shared.pushed.notify_waiters();
    }

    /// Takes everything, in the order in which it came.
    #[must_use]
    pub fn drain(&self) -> Vec<Report> {
        let mut buffer = self.buffer();
        if buffer.dropped > 0 {
            tracing::warn!(reports = buffer.dropped, "live output was dropped");
        }
        std::mem::take(&mut *buffer).reports.into()
    }

    /// Whether there is nothing to take.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffer().reports.is_empty()
    }

    /// Waits until there are reports and it is time to send them: the oldest has waited for 50 ms,
    /// or there is 64 KiB of output or as many reports as one request takes.
    pub async fn due(&self) {
        loop {
            let mut pushed = pin!(self.shared.pushed.notified());
            pushed.as_mut().enable();
            let (since, full) = {
                let buffer = self.buffer();
                let many = buffer.reports.len() >= limits::REPORTS_MAX;
                (buffer.since, many || buffer.output_bytes >= GATHER_BYTES)
            };
            match since {
                None => pushed.await,
                Some(_) if full => return,
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
