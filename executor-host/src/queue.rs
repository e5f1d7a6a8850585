//! Where jobs wait for a worker and final results wait for the link: the port, and what every
//! implementation of it promises ([`contract`] holds each promise as a test).
//!
//! Both directions work alike, and as a message broker does: what was put in is kept before the
//! call returns; what was handed out belongs to its holder alone until it is settled; what was
//! handed out and never settled, because its holder was dropped or the process died, is handed
//! out again. So a job runs at least once and a result is reported at least once (X4, X6).
//!
//! [`Embedded`] is the implementation for one machine, [`RabbitMq`] the one that hosts share; how
//! they differ within these promises is in `docs/queue.md`. [`LiveReports`] go beside them.

pub mod contract;
pub mod dead_letters;
pub(crate) mod embedded;
mod letter;
mod live;
pub mod rabbitmq;
mod reading;
mod store;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use codecrafter_shared::job::{Control, Job, Report};
use codecrafter_shared::limits;

pub use embedded::Embedded;
pub use live::{LiveBatch, LiveReports};
pub use rabbitmq::RabbitMq;

/// A job that was handed out more often than this is not run again: whatever it does to the host,
/// it has done it often enough. The queue still hands it out, so that somebody can say so.
pub const DELIVERIES_MAX: u32 = 3;

/// Results that are handed out at a time are no more bytes than this as JSON, unless it is one
/// alone: as many as the largest may have. So 256 of the largest are never in memory together.
pub const RESULTS_BYTES_MAX: usize = limits::LINK_BODY_BYTES_MAX;

/// Jobs on their way in, results on their way out. Every future may be dropped before it is done
/// without losing anything.
#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// Keeps the job; once this has returned, it survives a crash. Repeating this is harmless: a
    /// job whose execution is known to wait or run already is not kept twice. A queue that is
    /// shared may not know that of what another process has published, or this one before a
    /// restart; then the job runs twice, and the edge keeps the first final result.
    async fn publish(&self, job: &Job) -> Result<Published, QueueError>;

    /// Waits for a job and hands it out. Oldest first, except those that were given back with a
    /// delay that has not passed.
    async fn take(&self) -> Result<Delivery, QueueError>;

    /// Keeps a final result until it is confirmed; once this has returned, it survives a crash.
    /// Storing the result of an attempt again changes nothing, with the same reservation.
    async fn store_result(&self, report: &Report) -> Result<(), QueueError>;

    /// Waits until there are results that nobody holds, and hands out up to `max` of them, oldest
    /// first, within [`RESULTS_BYTES_MAX`]. `max` is at least 1.
    async fn take_results(&self, max: usize) -> Result<Vec<StoredResult>, QueueError>;

    /// Tells every worker of this queue about an execution. A worker that is not there misses it;
    /// one that gets the execution later remembers it.
    async fn send_control(&self, control: &Control) -> Result<(), QueueError>;

    /// The control messages that are sent from now on.
    async fn controls(&self) -> Result<Box<dyn Controls>, QueueError>;

    /// What is in the queue at the moment, as far as this process can know.
    async fn depth(&self) -> Result<Depth, QueueError>;

    /// Waits until fewer than `capacity` jobs wait or run, and tells how many more fit: at least 1.
    /// For the link, of which a queue has one.
    async fn room(&self, capacity: u32) -> Result<u32, QueueError>;
}

/// Control messages as they come, each once, in the order in which they were sent.
#[async_trait]
pub trait Controls: Send {
    /// Waits for the next. An error ends them: ask for another.
    async fn next(&mut self) -> Result<Control, QueueError>;
}

/// What became of a published job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// It is in the queue now.
    Queued,
    /// Its execution was in the queue already.
    AlreadyQueued,
}

/// A job in the hands of one worker. Dropping it without [`Delivery::ack`] or
/// [`Delivery::give_back`] gives it back at once.
#[must_use = "dropping a delivery gives the job back"]
pub struct Delivery {
    /// The job.
    pub job: Job,
    /// How often it was handed out, this time included: 1 at first. A process that dies with the
    /// job in its hands counts too.
    pub count: u32,
    /// Handed out more often than this, it is not run again: [`DELIVERIES_MAX`], unless less than
    /// the death of a process can cost a delivery.
    pub count_max: u32,
    hold: Box<dyn Hold>,
}

impl Delivery {
    /// For implementations: `job`, handed out for the `count`th time, settled by `hold`.
    pub fn new(job: Job, count: u32, hold: Box<dyn Hold>) -> Self {
        let count_max = DELIVERIES_MAX;
        Self {
            job,
            count,
            count_max,
            hold,
        }
    }

    /// The same, of a queue that counts other losses as well.
    pub fn with_count_max(self, count_max: u32) -> Self {
        Self { count_max, ..self }
    }

    /// The job is done with and leaves the queue. On an error it is handed out again, though not
    /// to this process if that can be helped.
    pub async fn ack(self) -> Result<(), QueueError> {
        self.hold.remove().await
    }

    /// The job leaves the queue and lies among the dead letters, with the reason: an operator may
    /// look at it, and put it back.
    pub async fn park(self, reason: &str) -> Result<(), QueueError> {
        self.hold.park(reason).await
    }

    /// The job shall be handed out again, no sooner than after `delay`. A restart may cut the delay
    /// short, and so may a queue that knows a longest one, of no less than ten minutes.
    pub async fn give_back(self, delay: Duration) -> Result<(), QueueError> {
        self.hold.give_back(delay).await
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Delivery");
        shown
            .field("execution", &self.job.execution_id)
            .field("count", &self.count)
            .finish()
    }
}

/// A final result in the hands of one reporter. Dropping it without [`StoredResult::confirm`]
/// lets others have it.
#[must_use = "a result that is not confirmed is handed out again"]
pub struct StoredResult {
    /// The result, as it was stored.
    pub report: Report,
    hold: Box<dyn Hold>,
}

impl StoredResult {
    /// For implementations: `report`, settled by `hold`.
    pub fn new(report: Report, hold: Box<dyn Hold>) -> Self {
        Self { report, hold }
    }

    /// The edge has the result, or has refused it for good: it leaves the queue.
    pub async fn confirm(self) -> Result<(), QueueError> {
        self.hold.remove().await
    }
}

impl fmt::Debug for StoredResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredResult")
            .field("execution", &self.report.execution_id)
            .finish()
    }
}

/// For implementations: what is handed out, until it is settled. Dropping it gives it back.
#[async_trait]
pub trait Hold: Send + Sync {
    /// Removes it from the queue.
    async fn remove(self: Box<Self>) -> Result<(), QueueError>;
    /// Removes it from the queue and keeps it among the dead letters.
    async fn park(self: Box<Self>, reason: &str) -> Result<(), QueueError>;
    /// Lets it be handed out again after `delay`.
    async fn give_back(self: Box<Self>, delay: Duration) -> Result<(), QueueError>;
}

/// How much is in a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Jobs that wait for a worker, delayed ones included.
    pub ready: u32,
    /// Jobs that were handed out and are not settled; from a queue that is shared, to this process.
    pub running: u32,
    /// Final results that are not confirmed.
    pub results: u32,
    /// Dead letters: what could not be read and jobs that were given up, with the reason.
    pub parked: u32,
}

/// The queue did not do what it was asked to do. Nothing was changed, and trying again later may
/// succeed.
#[derive(Debug, thiserror::Error)]
#[error("the queue cannot {what}")]
pub struct QueueError {
    what: &'static str,
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

impl QueueError {
    /// It cannot `what` (a verb and its object), because of `source`.
    pub fn new(what: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            what,
            source: source.into(),
        }
    }
}
