//! Reports on their way out: in order, in batches, and final results until the edge has them.

use std::collections::VecDeque;
use std::sync::Arc;

use codecrafter_shared::job::Report;
use codecrafter_shared::limits;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Client;
use crate::host::describe;
use crate::metrics::Metrics;
use crate::queue::{LiveReports, Queue, QueueError, StoredResult};
use crate::retry::Retry;

/// A request grows no further beyond this; one larger report is a request by itself.
const BATCH_BYTES: usize = 1 << 20;

/// Moves reports to the edge.
pub struct Reporting {
    /// The edge.
    pub client: Arc<Client>,
    /// Where results come from.
    pub queue: Arc<dyn Queue>,
    /// Where everything else comes from.
    pub live: LiveReports,
    /// Where reports are counted.
    pub metrics: Metrics,
}

/// A report, and what to do once it is delivered.
enum Item {
    Live(Report),
    Final(StoredResult),
}

impl Item {
    const fn report(&self) -> &Report {
        match self {
            Self::Live(report) => report,
            Self::Final(stored) => &stored.report,
        }
    }
}

impl Reporting {
    /// Reports until `ended` fires, which says that nothing new comes, and then whatever is left.
    /// With the edge away that takes for ever; dropping the future loses no result.
    pub async fn run(self, ended: CancellationToken) {
        let mut retry = Retry::new("read results");
        loop {
            let results = tokio::select! {
                results = self.queue.take_results(limits::REPORTS_MAX) => results,
                () = self.live.due() => Ok(Vec::new()),
                () = ended.cancelled() => match self.results_left().await {
                    Ok(results) if results.is_empty() && self.live.is_empty() => return,
                    results => results,
                },
            };
            match results {
                Ok(results) => {
                    retry.succeeded();
                    self.deliver(results).await;
                }
                Err(error) => sleep(retry.failed(&describe(&error))).await,
            }
        }
    }

    async fn results_left(&self) -> Result<Vec<StoredResult>, QueueError> {
        match self.queue.depth().await?.results {
            0 => Ok(Vec::new()),
            _ => self.queue.take_results(limits::REPORTS_MAX).await,
        }
    }

    /// Delivers what is there of the live reports, then `results`. An attempt's live reports were
    /// there before its result was: none comes after it.
    async fn deliver(&self, results: Vec<StoredResult>) {
        let live = self.live.drain().reports.into_iter().map(Item::Live);
        let mut batches = batches(live.chain(results.into_iter().map(Item::Final)));
        let mut retry = Retry::new("deliver reports");
        while let Some(batch) = batches.pop_front() {
            let reports: Vec<&Report> = batch.iter().map(Item::report).collect();
            match self.client.report(&reports).await {
                Ok(taken) => {
                    retry.succeeded();
                    self.metrics.posted(reports.len(), &taken);
                    if taken.refused > 0 {
                        tracing::warn!(reports = taken.refused, "the edge refused reports");
                    }
                    if taken.duplicates > 0 {
                        tracing::info!(reports = taken.duplicates, "results came second");
                    }
                    confirm(batch).await;
                }
                Err(error) if error.is_final() => self.set_apart(batch, &error, &mut batches).await,
                Err(error) => {
                    let delay = retry.failed(&error);
                    batches.push_front(batch);
                    sleep(delay).await;
                }
            }
        }
    }

    /// Of a batch that was refused as a whole, finds the report that is to blame, and drops it.
    async fn set_apart(
        &self,
        mut batch: Vec<Item>,
        error: &super::client::CallError,
        batches: &mut VecDeque<Vec<Item>>,
    ) {
        if batch.len() > 1 {
            let later = batch.split_off(batch.len() / 2);
            batches.push_front(later);
            batches.push_front(batch);
            return;
        }
        if let Some(item) = batch.first() {
            let report = item.report();
            tracing::error!(
                execution.id = %report.execution_id,
                attempt.id = %report.attempt_id,
                seq = report.seq,
                reason = %error,
                "the edge refused a report for good"
            );
        }
        confirm(batch).await;
    }
}

async fn confirm(batch: Vec<Item>) {
    for item in batch {
        let Item::Final(stored) = item else {
            continue;
        };
        let (execution, attempt) = (stored.report.execution_id, stored.report.attempt_id);
        if let Err(error) = stored.confirm().await {
            tracing::warn!(
                execution.id = %execution,
                attempt.id = %attempt,
                error = describe(&error),
                "a delivered result will be sent again"
            );
        }
    }
}

/// Groups items, in order, so that each group fits into a request.
fn batches(items: impl Iterator<Item = Item>) -> VecDeque<Vec<Item>> {
    let mut batches: VecDeque<Vec<Item>> = VecDeque::new();
    let mut bytes = 0_usize;
    for item in items {
        let size = serde_json::to_vec(item.report()).map_or(0, |body| body.len());
        match batches.back_mut() {
            Some(batch) if batch.len() < limits::REPORTS_MAX && bytes + size <= BATCH_BYTES => {
                batch.push(item);
                bytes += size;
            }
            _ => {
                batches.push_back(vec![item]);
                bytes = size;
            }
        }
    }
    batches
}
