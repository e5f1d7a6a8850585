//! One request to the edge that is always open: jobs come in by it when there is room for them,
//! and control messages at any time.
//!
//! What a request says may get out of date while it waits: a slot becomes free, an image comes.
//! Then it is dropped, and another says what holds now. Nothing is lost by that: an edge ends an
//! executor's older request when a newer one comes, and jobs that it had handed out to the older
//! one come again, at once, because they were not acknowledged. The same holds for an answer that
//! is lost on its way.

use std::sync::Arc;
use std::time::Duration;

use codecrafter_shared::id::{ControlId, LeaseId};
use codecrafter_shared::job::{
    Acknowledge, Control, ControlAction, Lease, LeaseRequest, Leases, PROTOCOL_VERSION,
    PROTOCOL_VERSION_MIN,
};
use codecrafter_shared::language::AnnouncedLanguage;
use codecrafter_shared::limits;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Client;
use super::client::CallError;
use crate::host::{Offer, describe};
use crate::metrics::Metrics;
use crate::queue::{Queue, QueueError};
use crate::retry::Retry;

/// A host that is full for this long asks for control messages alone. One whose jobs are shorter
/// has a free slot by then, and does not spend a request on the time between.
const FULL_FOR: Duration = Duration::from_millis(100);
/// A request that asks for jobs is renewed for the sake of more of them no sooner than this: what
/// it asks for it gets meanwhile.
const RENEW_AFTER: Duration = Duration::from_secs(1);
/// The pause after the first answer that came at once and with nothing; doubled with each.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
/// So many of them in a row, although there was room for jobs, are worth a word to the operator.
const EARLY_TELL: u32 = 3;

/// Moves jobs from the edge into the queue, never more than the host can run at a time: what it
/// cannot run soon is better off with another host, or at the edge, where its owner can end it at
/// once.
pub struct Leasing {
    /// The edge.
    pub client: Arc<Client>,
    /// Where jobs and control messages go.
    pub queue: Arc<dyn Queue>,
    /// Jobs that may be in the queue at a time, running ones included: as many as there are slots
    /// to run them in.
    pub slots: watch::Receiver<u32>,
    /// What the host can run.
    pub offer: watch::Receiver<Offer>,
    /// The longest pause between requests to an edge that does not hold them open.
    pub announce_every: Duration,
    /// Where jobs are counted.
    pub metrics: Metrics,
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
    /// Leases until `stop` fires, and passes on control messages until `ended` fires, for the jobs
    /// that go on until then. What it has leased is in the queue.
    pub async fn run(self, stop: CancellationToken, ended: CancellationToken) {
        let mut retry = Retry::new("lease jobs");
        let mut polling = Polling {
            leasing: self,
            stop,
            taken: Vec::new(),
            early: 0,
        };
        loop {
            let Some(answer) = ended.run_until_cancelled(polling.poll()).await else {
                return;
            };
            // Not interrupted: what was leased is kept and acknowledged first.
            let done = match answer {
                Ok(answer) => polling.take_in(answer).await,
                Err(error) => Err(error),
            };
            match done {
                Ok(()) => retry.succeeded(),
                Err(error) => {
                    let delay = retry.failed(&error);
                    if ended.run_until_cancelled(sleep(delay)).await.is_none() {
                        return;
                    }
                }
            }
        }
    }
}

/// What of a request may get out of date.
#[derive(Debug)]
struct Ask {
    /// Jobs that there is room for.
    slots: u32,
    capacity: u32,
    languages: Vec<AnnouncedLanguage>,
}

impl Ask {
    /// The most slots that this could have asked for.
    fn slots_max(&self) -> u32 {
        if self.languages.is_empty() {
            return 0;
        }
        self.capacity.min(limits::LEASE_JOBS_MAX)
    }
}

/// Leasing under way.
struct Polling {
    leasing: Leasing,
    stop: CancellationToken,
    /// Control messages that were passed on, and that the edge may not know of.
    taken: Vec<ControlId>,
    /// Answers in a row that came at once and with nothing new: the edge does not hold requests
    /// open, or somebody else uses this host's credentials, and each ends the other's requests.
    early: u32,
}

impl Polling {
    /// Waits until the edge has something, or has had nothing for long enough.
    async fn poll(&mut self) -> Result<Leases, LeaseError> {
        let mut ask = self.ask().await?;
        if self.early > 0 {
            let pause = self.outdated(&ask, Instant::now());
            if let Ok(news) =
                timeout(pause_after(self.early, self.leasing.announce_every), pause).await
            {
                news?;
                ask = self.ask().await?;
            }
        }
        loop {
            let (request, sent) = (self.request(&ask), Instant::now());
            let answer = tokio::select! {
                answer = self.leasing.client.lease(&request) => answer?,
                news = self.outdated(&ask, sent) => {
                    news?;
                    ask = self.ask().await?;
                    continue;
                }
            };
            if !(PROTOCOL_VERSION_MIN..=PROTOCOL_VERSION).contains(&answer.protocol) {
                return Err(LeaseError::Protocol(answer.protocol));
            }
            self.learn_from(&answer, &request, sent.elapsed());
            return Ok(answer);
        }
    }

    /// What to ask for at the moment.
    async fn ask(&self) -> Result<Ask, QueueError> {
        let mut ask = Ask {
            slots: 0,
            capacity: *self.leasing.slots.borrow(),
            languages: languages(&self.leasing.offer.borrow()).to_vec(),
        };
        if self.stop.is_cancelled() {
            ask.languages.clear();
        }
        let most = ask.slots_max();
        if most > 0
            && let Ok(room) = timeout(FULL_FOR, self.leasing.queue.room(ask.capacity)).await
        {
            ask.slots = room?.min(most);
        }
        Ok(ask)
    }

    fn request(&self, ask: &Ask) -> LeaseRequest {
        LeaseRequest {
            protocol: PROTOCOL_VERSION,
            protocol_min: PROTOCOL_VERSION_MIN,
            slots: ask.slots,
            capacity: ask.capacity,
            version: env!("CARGO_PKG_VERSION").into(),
            controls_taken: self.taken.clone(),
            languages: ask.languages.clone(),
            interactive: true,
            // Whether an edge is there at all is worth an answer at once.
            wait_ms: match self.leasing.client.is_connected() {
                true => limits::LEASE_WAIT_MS_MAX,
                false => 0,
            },
        }
    }

    /// Waits until `ask`, which was sent at `sent`, says too little or too much.
    async fn outdated(&self, ask: &Ask, sent: Instant) -> Result<(), QueueError> {
        let goes_on = !self.stop.is_cancelled();
        let (offer, slots) = (self.leasing.offer.clone(), self.leasing.slots.clone());
        tokio::select! {
            () = self.stop.cancelled(), if goes_on => Ok(()),
            () = until(offer, |offer| languages(offer) != ask.languages), if goes_on => Ok(()),
            () = until(slots, |slots| *slots != ask.capacity), if goes_on => Ok(()),
            more = self.more_room(ask, sent) => more,
        }
    }

    /// Waits until there is room for more than `ask` asks for. A host that has asked for nothing
    /// has a slot idle from then on, so it asks anew at once.
    async fn more_room(&self, ask: &Ask, sent: Instant) -> Result<(), QueueError> {
        if ask.slots >= ask.slots_max() {
            return std::future::pending().await;
        }
        if ask.slots > 0 {
            sleep_until(sent + RENEW_AFTER).await;
        }
        let taken_most = ask.capacity - ask.slots;
        self.leasing.queue.room(taken_most).await.map(drop)
    }

    /// Draws from an answer, which came after `waited`, what matters for the next request.
    fn learn_from(&mut self, answer: &Leases, request: &LeaseRequest, waited: Duration) {
        let is_new = |control: &Control| !self.taken.contains(&control.id);
        let has_news = !answer.leases.is_empty() || answer.controls.iter().any(is_new);
        self.taken.retain(|id| !request.controls_taken.contains(id));
        let held_ms = u64::try_from(request.wait_ms).unwrap_or(0) / 2;
        if has_news || waited >= Duration::from_millis(held_ms) {
            self.early = 0;
            return;
        }
        self.early = self.early.saturating_add(1);
        if self.early == EARLY_TELL && request.slots > 0 {
            tracing::warn!(
                "the edge ends requests before their time; does another process use a copy of \
                 this host's credentials?"
            );
        }
    }

    /// Passes the control messages on and keeps the jobs. In this order: a job that its owner has
    /// ended need not begin.
    async fn take_in(&mut self, answer: Leases) -> Result<(), LeaseError> {
        let passed_on = self.pass_on(answer.controls).await;
        self.keep(answer.leases).await?;
        Ok(passed_on?)
    }

    /// What the queue does not pass on comes again.
    async fn pass_on(&mut self, controls: Vec<Control>) -> Result<(), QueueError> {
        for control in controls {
            if self.taken.contains(&control.id) {
                continue;
            }
            if control.action == ControlAction::Unknown {
                tracing::info!(execution.id = %control.execution_id, "passed over a newer edge's message");
            } else {
                self.leasing.queue.send_control(&control).await?;
            }
            self.taken.push(control.id);
        }
        Ok(())
    }

    /// Puts the jobs into the queue, then acknowledges those that are in it.
    async fn keep(&self, leases: Vec<Lease>) -> Result<(), LeaseError> {
        let mut kept = Vec::with_capacity(leases.len());
        let mut failed = None;
        for lease in leases {
            tracing::debug!(execution.id = %lease.job.execution_id, lease.id = %lease.id, "leased");
            match self.leasing.queue.publish(&lease.job).await {
                Ok(_) => kept.push(lease.id),
                // It comes again, and so does the rest. Trying each could take as long each time,
                // and the leases of those that are kept would run out meanwhile.
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if !kept.is_empty() {
            self.leasing.metrics.leased(kept.len());
            self.acknowledge(kept).await;
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Tries for as long as the leases hold, and at least once. It is done before the next request
    /// is sent, which would be answered with the same jobs again.
    async fn acknowledge(&self, leases: Vec<LeaseId>) {
        let request = Acknowledge { leases };
        let mut retry = Retry::new("acknowledge leases");
        let tries = async {
            loop {
                match self.leasing.client.acknowledge(&request).await {
                    Ok(answer) => return answer,
                    Err(error) => sleep(retry.failed(&error)).await,
                }
            }
        };
        let life = Duration::from_millis(u64::try_from(limits::LEASE_MS).unwrap_or(0));
        let patience = async {
            self.stop.cancelled().await;
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
    }
}

fn languages(offer: &Offer) -> &[AnnouncedLanguage] {
    offer.as_deref().unwrap_or_default()
}

/// Waits until `is_new` says so of what is watched; for ever once nobody changes it any more.
async fn until<T>(mut watched: watch::Receiver<T>, is_new: impl FnMut(&T) -> bool) {
    if watched.wait_for(is_new).await.is_err() {
        std::future::pending().await
    }
}

/// How long to pause after so many early answers, at least one.
fn pause_after(early: u32, most: Duration) -> Duration {
    let doubled = 2_u32.saturating_pow(early.saturating_sub(1));
    PAUSE_FIRST.saturating_mul(doubled).min(most)
}
