//! The queue on a RabbitMQ broker, which several hosts share: one link and any number of workers
//! (X4, X8). `docs/queue.md` describes what is on the broker and how to look at it.
//!
//! ```text
//! link ── publish ─▶ jobs ── take ─▶ worker ── store_result ─▶ results ── take_results ─▶ link
//!                     ▲ │ given back with a delay
//!                     │ ▼
//!                  jobs.delayed.*      came back too often ─▶ jobs.given_up ── link ─▶ results
//!                                      what cannot be read ─▶ dead ◀─┘
//! ```
//!
//! `line` opens connections and channels, `topology` declares what is on the broker, `publish`
//! and `message` are the two ends of a message, `jobs` and `results` hand out, `held` is what was,
//! `given_up` what nobody shall have any more, `letters` are the dead ones, `counts` what waits,
//! `listener` hears broadcasts, `memory` knows what AMQP does not tell. After a loss every call
//! fails until the broker is there again, and then works again: nothing has to be opened anew by
//! the caller.

mod address;
mod counts;
mod given_up;
mod held;
mod jobs;
pub(super) mod letters;
mod line;
mod listener;
mod memory;
mod message;
mod publish;
mod results;
mod topology;
mod trouble;

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use codecrafter_shared::id::{AttemptId, ExecutionId};
use codecrafter_shared::job::{Control, Job, Report};
use lapin::Channel;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use self::counts::ROOM_EVERY;
use self::held::{Held, HeldJob};
use self::jobs::Jobs;
use self::line::{Kept, Line, Setup};
use self::listener::Listener;
use self::memory::{Done, Known};
use self::publish::Outgoing;
use self::results::{Lent, Results};
use self::topology::Broadcast;
use self::trouble::Trouble;
use super::letter::Kind;
use super::{
    Controls, Delivery, Depth, Hold, LiveBatch, LiveReports, Published, Queue, QueueError,
    StoredResult, reading,
};
use crate::clock;

pub use address::{Address, AddressError};
pub use given_up::GivenUp;
pub use topology::{DELIVERY_LIMIT, Prefix, PrefixError};

/// A job that was handed out more often is not run again. A lost connection counts here like a dead
/// host, and several of them, while the worker goes on with the job, say nothing about it. Below
/// [`DELIVERY_LIMIT`], so that it is a worker that says so, if there is one.
pub const COUNT_MAX: u32 = 6;

/// A result does not wait longer for live reports to be sent.
const LIVE_MAX: Duration = Duration::from_secs(1);
/// A queue on a broker. Nothing is opened before it is needed.
pub struct RabbitMq {
    inner: Arc<Inner>,
    outgoing: Option<LiveReports>,
}

struct Inner {
    prefix: Prefix,
    sending: Arc<Line>,
    receiving: Arc<Line>,
    /// What must arrive.
    confirmed: Arc<Kept>,
    /// What need not, and must not wait either.
    loose: Kept,
    counting: Kept,
    jobs: Arc<Jobs>,
    results: Arc<Results>,
    /// Open for as long as this process is the link.
    place: tokio::sync::Mutex<Option<Channel>>,
    running: AtomicU32,
    job_settled: Notify,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    jobs: Known<ExecutionId>,
    results: Known<AttemptId>,
    done: Done,
    held: Held,
    /// The jobs that waited at the broker when it was last asked.
    counted: Option<(u32, Instant)>,
}

impl RabbitMq {
    /// The queue under `prefix` at `address`.
    #[must_use]
    pub fn new(address: Address, prefix: Prefix) -> Self {
        let sending = Line::new(address.clone(), "sending");
        let receiving = Line::new(address, "receiving");
        let kept = |line, setup| Kept::new(line, &prefix, setup);
        let jobs = kept(&receiving, Setup::Prefetch(1));
        let results = kept(&receiving, Setup::Prefetch(results::HELD_MAX));
        let inner = Inner {
            confirmed: Arc::new(kept(&sending, Setup::Confirms)),
            loose: kept(&sending, Setup::Plain),
            counting: kept(&receiving, Setup::Plain),
            jobs: Jobs::new(jobs, prefix.jobs()),
            results: Results::new(results, prefix.results()),
            place: tokio::sync::Mutex::new(None),
            running: AtomicU32::new(0),
            job_settled: Notify::new(),
            memory: Mutex::default(),
            sending,
            receiving,
            prefix,
        };
        Self {
            inner: Arc::new(inner),
            outgoing: None,
        }
    }

    /// The same, for a worker without a link: what is in `live` is sent before a result is kept,
    /// so that the link has it first.
    #[must_use]
    pub fn sending_first(self, live: LiveReports) -> Self {
        Self {
            outgoing: Some(live),
            ..self
        }
    }

    /// What waits under `prefix` at `address`. Nothing is made there; what does not exist is
    /// empty. What others have in their hands cannot be seen.
    ///
    /// # Errors
    ///
    /// When the broker is not there, or refuses.
    pub async fn inspect(address: Address, prefix: &Prefix) -> Result<Depth, QueueError> {
        let counted = counts::inspect(address, prefix).await;
        counted.map_err(failed("be read"))
    }

    /// Passes live reports on to the link, wherever it is. They may get lost. The link gathers
    /// them with those of others, but for urgent ones.
    ///
    /// # Errors
    ///
    /// When there is no connection; the reports are lost then.
    pub async fn send_live(&self, reports: &[Report], urgent: bool) -> Result<(), QueueError> {
        let sent = async {
            let exchange = self.inner.prefix.exchange(Broadcast::Live);
            let message = Outgoing::told(exchange, &reports)?.urgent(urgent);
            message.send(&self.inner.loose.get().await?).await
        };
        sent.await.map_err(failed("pass live reports on"))
    }

    /// The live reports that workers send from now on. Only the link may ask: with this it takes
    /// the one place that there is for a link.
    ///
    /// # Errors
    ///
    /// When there is no connection, and when another process is the link.
    pub async fn live(&self) -> Result<HeardLive, QueueError> {
        self.inner.be_the_link().await.map_err(failed("listen"))?;
        let heard = self.listen(Broadcast::Live).await?;
        Ok(HeardLive { heard })
    }

    /// The jobs that came back so often that the broker hands them to no worker any more. Only the
    /// link may ask, like for [`RabbitMq::live`]: it is who can tell the edge.
    ///
    /// # Errors
    ///
    /// When there is no connection, and when another process is the link.
    pub async fn given_up(&self) -> Result<GivenUp, QueueError> {
        GivenUp::open(&self.inner)
            .await
            .map_err(failed("give jobs up"))
    }

    /// Tells the link what this worker can do.
    ///
    /// # Errors
    ///
    /// When there is no connection.
    pub async fn announce(&self, content: &(impl Serialize + Sync)) -> Result<(), QueueError> {
        self.tell(Broadcast::Workers, content)
            .await
            .map_err(failed("announce this worker"))
    }

    /// What workers announce from now on.
    ///
    /// # Errors
    ///
    /// When there is no connection.
    pub async fn announcements<T>(&self) -> Result<Heard<T>, QueueError> {
        self.listen(Broadcast::Workers).await
    }

    /// Says goodbye to the broker, which then hands out again what this process has in hand.
    pub async fn close(&self) {
        // A connection's end may overtake what was said last on its channels.
        self.inner.jobs.close().await;
        self.inner.results.close().await;
        self.inner.receiving.close().await;
        self.inner.sending.close().await;
    }

    async fn tell(
        &self,
        broadcast: Broadcast,
        content: &(impl Serialize + Sync),
    ) -> Result<(), Trouble> {
        let message = Outgoing::told(self.inner.prefix.exchange(broadcast), content)?;
        message.send(&self.inner.loose.get().await?).await
    }

    async fn listen<T>(&self, broadcast: Broadcast) -> Result<Heard<T>, QueueError> {
        let (line, prefix) = (&self.inner.receiving, &self.inner.prefix);
        let listener = Listener::open(line, prefix, broadcast).await;
        Ok(Heard {
            listener: listener.map_err(failed("listen"))?,
            content: std::marker::PhantomData,
        })
    }
}

#[async_trait]
impl Queue for RabbitMq {
    async fn publish(&self, job: &Job) -> Result<Published, QueueError> {
        let (inner, execution) = (&self.inner, job.execution_id);
        if inner.memory().jobs.begin(execution, Instant::now()) {
            return Ok(Published::AlreadyQueued);
        }
        let kept = inner.keep(inner.prefix.jobs(), job).await;
        let mut memory = inner.memory();
        match kept {
            Ok(()) => memory.jobs.confirm(&execution),
            Err(_) => drop(memory.jobs.forget(&execution)),
        }
        drop(memory);
        kept.map_err(failed("keep a job"))?;
        Ok(Published::Queued)
    }

    async fn take(&self) -> Result<Delivery, QueueError> {
        loop {
            let message = self.inner.jobs.next().await;
            let message = message.map_err(failed("hand out a job"))?;
            match reading::job(&message.body) {
                Ok(job) => {
                    let (execution, count) = (job.execution_id, message.count);
                    if let Some(held) = HeldJob::take(&self.inner, execution, message).await {
                        let delivery = Delivery::new(job, count, Box::new(held));
                        return Ok(delivery.with_count_max(COUNT_MAX));
                    }
                }
                Err(unreadable) => self.inner.bury(message, Kind::Job, unreadable).await?,
            }
        }
    }

    async fn store_result(&self, report: &Report) -> Result<(), QueueError> {
        let (inner, attempt) = (&self.inner, report.attempt_id);
        if inner.memory().results.begin(attempt, Instant::now()) {
            return Ok(());
        }
        if let Some(live) = self.outgoing.as_ref().filter(|live| !live.is_empty()) {
            // It may get lost: the result has it all.
            let LiveBatch { reports, urgent } = live.drain();
            let _ = timeout(LIVE_MAX, self.send_live(&reports, urgent)).await;
        }
        let kept = inner.keep(inner.prefix.results(), report).await;
        let mut memory = inner.memory();
        match kept {
            Ok(()) => memory.results.confirm(&attempt),
            Err(_) => drop(memory.results.forget(&attempt)),
        }
        drop(memory);
        kept.map_err(failed("keep a result"))
    }

    async fn take_results(&self, max: usize) -> Result<Vec<StoredResult>, QueueError> {
        let inner = &self.inner;
        inner
            .be_the_link()
            .await
            .map_err(failed("hand out results"))?;
        loop {
            let lent = inner.results.next(max).await;
            let mut readable = Vec::new();
            for lent in lent.map_err(failed("hand out results"))? {
                match reading::result(lent.body()) {
                    Ok(report) => {
                        inner.settled(report.execution_id);
                        let attempt = report.attempt_id;
                        let inner = Arc::clone(inner);
                        let held = HeldResult {
                            inner,
                            attempt,
                            lent,
                        };
                        readable.push(StoredResult::new(report, Box::new(held)));
                    }
                    Err(unreadable) => inner.bury(lent, Kind::Result, unreadable).await?,
                }
            }
            if !readable.is_empty() {
                return Ok(readable);
            }
        }
    }

    async fn send_control(&self, control: &Control) -> Result<(), QueueError> {
        let exchange = self.inner.prefix.exchange(Broadcast::Control);
        let sent = async {
            Outgoing::told(exchange, control)?
                .confirmed(&self.inner.confirmed)
                .await
        };
        sent.await.map_err(failed("pass a control message on"))
    }

    async fn controls(&self) -> Result<Box<dyn Controls>, QueueError> {
        let heard: Heard<Control> = self.listen(Broadcast::Control).await?;
        Ok(Box::new(heard))
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        self.inner.depth().await.map_err(failed("be counted"))
    }

    async fn room(&self, capacity: u32) -> Result<u32, QueueError> {
        let inner = &self.inner;
        // Jobs that another link's results would come between are better not leased.
        inner.be_the_link().await.map_err(failed("make room"))?;
        loop {
            let mut settled = std::pin::pin!(inner.job_settled.notified());
            settled.as_mut().enable();
            // What was counted lately does as long as it leaves room: whoever asks may be in a
            // hurry, and what is added is added by us.
            let lately = inner.counted_lately();
            let mut free = lately.map_or(0, |ready| inner.room_beside(ready, capacity));
            if free == 0 {
                let ready = self.depth().await?.ready;
                free = inner.room_beside(ready, capacity);
            }
            if free > 0 {
                return Ok(free);
            }
            tokio::select! {
                () = settled => {}
                () = tokio::time::sleep(ROOM_EVERY) => {}
            }
        }
    }
}

impl Inner {
    async fn keep(&self, queue: String, content: &(impl Serialize + Sync)) -> Result<(), Trouble> {
        let body = publish::written(content)?;
        let message = Outgoing::kept(queue, &clock::attempt_id().to_string(), body);
        message.confirmed(&self.confirmed).await
    }

    /// Takes the place of the link, unless another process has it. It is lost with the connection.
    async fn be_the_link(&self) -> Result<(), Trouble> {
        let mut place = self.place.lock().await;
        if place.as_ref().is_some_and(|held| held.status().connected()) {
            return Ok(());
        }
        let channel = self.receiving.channel().await?;
        topology::declare(&channel, &self.prefix).await?;
        topology::declare_listener(&channel, &self.prefix, Broadcast::Live).await?;
        *place = Some(channel);
        Ok(())
    }

    async fn is_the_link(&self) -> bool {
        let place = self.place.lock().await;
        place.as_ref().is_some_and(|held| held.status().connected())
    }

    /// The execution is over, or at least not ours to wait for any more.
    fn settled(&self, execution: ExecutionId) {
        if self.memory().jobs.forget(&execution) {
            self.job_settled.notify_waiters();
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nothing panics while it is held.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A result in a reporter's hands.
struct HeldResult {
    inner: Arc<Inner>,
    attempt: AttemptId,
    lent: Lent,
}

#[async_trait]
impl Hold for HeldResult {
    async fn remove(self: Box<Self>) -> Result<(), QueueError> {
        self.lent.ack().await.map_err(failed("remove a result"))?;
        self.inner.memory().results.forget(&self.attempt);
        Ok(())
    }

    async fn park(self: Box<Self>, reason: &str) -> Result<(), QueueError> {
        let inner = Arc::clone(&self.inner);
        inner.put_aside(self.lent, Kind::Result, reason).await?;
        inner.memory().results.forget(&self.attempt);
        Ok(())
    }

    async fn give_back(self: Box<Self>, _delay: Duration) -> Result<(), QueueError> {
        Ok(()) // Dropped: the next reporter gets it.
    }
}

/// What is told to everybody, from some moment on, each once and in order.
pub struct Heard<T> {
    listener: Listener,
    content: std::marker::PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Heard<T> {
    /// Waits for the next.
    ///
    /// # Errors
    ///
    /// When the connection was lost. That ends it: ask for another.
    pub async fn next(&mut self) -> Result<T, QueueError> {
        let told = self.listener.next().await.map_err(failed("listen"))?;
        Ok(told.content)
    }
}

/// What workers have to say while they work, from some moment on.
pub struct HeardLive {
    heard: Heard<Vec<Report>>,
}

impl HeardLive {
    /// Waits for the next.
    ///
    /// # Errors
    ///
    /// Like [`Heard::next`].
    pub async fn next(&mut self) -> Result<LiveBatch, QueueError> {
        let told = self.heard.listener.next().await.map_err(failed("listen"))?;
        Ok(LiveBatch {
            reports: told.content,
            urgent: told.urgent,
        })
    }
}

#[async_trait]
impl Controls for Heard<Control> {
    async fn next(&mut self) -> Result<Control, QueueError> {
        Self::next(self).await
    }
}

fn failed(what: &'static str) -> impl Fn(Trouble) -> QueueError {
    move |trouble| QueueError::new(what, trouble)
}
