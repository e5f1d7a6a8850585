//! Jobs on their way in: leased when there is room for them, acknowledged once they are kept.

use std::sync::Arc;
use std::time::Duration;

use codecrafter_shared::id::LeaseId;
use codecrafter_shared::job::{
    Acknowledge, Lease, LeaseRequest, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN,
};
use codecrafter_shared::limits;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Client;
use super::client::CallError;
use crate::host::{Offer, describe};
use crate::queue::{Queue, QueueError};
use crate::retry::Retry;

/// Moves jobs from the edge into the queue, never more than the host can run at a time: what it
/// cannot run soon is better off with another host.
pub struct Leasing {
    /// The edge.
    pub client: Arc<Client>,
    /// Where jobs go.
    pub queue: Arc<dyn Queue>,
    /// Jobs that may be in the queue at a time, running ones included: as many as there are slots
    /// to run them in.
    pub slots: watch::Receiver<u32>,
    /// What the host can run.
    pub offer: watch::Receiver<Offer>,
    /// How often a host without room for jobs still tells the edge that it is there.
    pub announce_every: Duration,
}

/// Why a round of leasing did not work.
#[derive(Debug, thiserror::Error)]
enum LeaseError {
    #[error(transparent)]
    Edge(#[from] CallError),
    #[error("{}", describe(.0))]
    Queue(#[from] QueueError),
    #[error("the edge chose protocol version {0}, which was not offered")]
    Protocol(u16),
}

impl Leasing {
    /// Leases until `stop` fires. What it has leased by then is in the queue.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut retry = Retry::new("lease jobs");
        loop {
            let Some(leased) = stop.run_until_cancelled(self.lease()).await else {
                return;
            };
            // Not interrupted: what was leased is kept and acknowledged first.
            let done = match leased {
                Ok(leases) => self.keep(leases, &stop).await,
                Err(error) => Err(error),
            };
            match done {
                Ok(()) => retry.succeeded(),
                Err(error) => {
                    let delay = retry.failed(&error);
                    if stop.run_until_cancelled(sleep(delay)).await.is_none() {
                        return;
                    }
                }
            }
        }
    }

    /// Waits for room and then for jobs; announces the host meanwhile.
    async fn lease(&mut self) -> Result<Vec<Lease>, LeaseError> {
        let room = timeout(self.announce_every, self.room()).await;
        let (slots, wait_ms) = match room {
            Ok(free) => (free?.min(limits::LEASE_JOBS_MAX), limits::LEASE_WAIT_MS_MAX),
            Err(_) => (0, 0),
        };
        let languages = self.offer.borrow().as_deref().unwrap_or_default().to_vec();
        let request = LeaseRequest {
            protocol: PROTOCOL_VERSION,
            protocol_min: PROTOCOL_VERSION_MIN,
            slots,
            capacity: *self.slots.borrow(),
            version: env!("CARGO_PKG_VERSION").into(),
            controls_taken: Vec::new(),
            languages,
            wait_ms,
        };
        let answer = self.client.lease(&request).await?;
        if !(PROTOCOL_VERSION_MIN..=PROTOCOL_VERSION).contains(&answer.protocol) {
            return Err(LeaseError::Protocol(answer.protocol));
        }
        Ok(answer.leases)
    }

    async fn room(&mut self) -> Result<u32, QueueError> {
        // The sender lives as long as the host; without it there is nothing to run jobs.
        let _ = self.offer.wait_for(Option::is_some).await;
        let slots = *self.slots.borrow();
        self.queue.room(slots).await
    }

    /// Puts the jobs into the queue, then acknowledges those that are in it.
    async fn keep(&self, leases: Vec<Lease>, stop: &CancellationToken) -> Result<(), LeaseError> {
        let mut kept = Vec::with_capacity(leases.len());
        let mut failed = None;
        for lease in leases {
            tracing::debug!(execution.id = %lease.job.execution_id, lease.id = %lease.id, "leased");
            match self.queue.publish(&lease.job).await {
                Ok(_) => kept.push(lease.id),
                // Its lease runs out, and somebody else gets it.
                Err(error) => failed = Some(error),
            }
        }
        if !kept.is_empty() {
            self.acknowledge(kept, stop).await?;
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Tries for as long as the leases hold, and at least once.
    async fn acknowledge(
        &self,
        leases: Vec<LeaseId>,
        stop: &CancellationToken,
    ) -> Result<(), LeaseError> {
        let request = Acknowledge { leases };
        let mut retry = Retry::new("acknowledge leases");
        let tries = async {
            loop {
                match self.client.acknowledge(&request).await {
                    Ok(answer) => return answer,
                    Err(error) => sleep(retry.failed(&error)).await,
                }
            }
        };
        let life = Duration::from_millis(u64::try_from(limits::LEASE_MS).unwrap_or(0));
        let patience = async {
            stop.cancelled().await;
            sleep(Duration::from_secs(2)).await;
        };
        tokio::select! {
            answer = timeout(life, tries) => {
                let held = answer.map_or(0, |answer| answer.leases.len());
                if held < request.leases.len() {
                    // They may run twice; the edge keeps the first result.
                    let late = request.leases.len() - held;
                    tracing::warn!(leases = late, "leases ran out before they were acknowledged");
                }
            }
            () = patience => {}
        }
        Ok(())
    }
}
