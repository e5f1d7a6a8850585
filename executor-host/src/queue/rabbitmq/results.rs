//! Results on their way to the link: one consumer for as long as the process is the link. What a
//! reporter drops goes to the next reporter here, not back to the broker, and keeps its place.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};

use futures_util::{FutureExt as _, StreamExt as _};
use lapin::Consumer;
use lapin::options::BasicConsumeOptions;
use lapin::types::FieldTable;
use tokio::sync::{Mutex, Notify};

use super::line::Kept;
use super::message::Message;
use super::trouble::Trouble;
use crate::queue::RESULTS_BYTES_MAX;

/// Results that this process holds at a time, of up to 8 MiB each; more wait at the broker.
pub(super) const HELD_MAX: u16 = 16;

/// The consumer of the queue of results.
pub(super) struct Results {
    channel: Kept,
    queue: String,
    consumer: Mutex<Option<Consumer>>,
    /// By the order in which they came.
    here: StdMutex<BTreeMap<u64, Message>>,
    came: AtomicU64,
    returned: Notify,
    lent: AtomicU32,
}

impl Results {
    /// `channel` gives its consumer at most [`HELD_MAX`] messages at a time.
    pub(super) fn new(channel: Kept, queue: String) -> Arc<Self> {
        Arc::new(Self {
            channel,
            queue,
            consumer: Mutex::new(None),
            here: StdMutex::default(),
            came: AtomicU64::new(0),
            returned: Notify::new(),
            lent: AtomicU32::new(0),
        })
    }

    /// Waits for messages, and lends up to `max` of them, oldest first, within
    /// [`RESULTS_BYTES_MAX`].
    pub(super) async fn next(self: &Arc<Self>, max: usize) -> Result<Vec<Lent>, Trouble> {
        let mut current = self.consumer.lock().await;
        loop {
            let mut returned = pin!(self.returned.notified());
            returned.as_mut().enable();
            let consumer = match &mut *current {
                Some(consumer) => consumer,
                none => {
                    let opened = self.open().await?;
                    none.insert(opened)
                }
            };
            let mut arrived = self.fetch_arrived(consumer);
            if arrived.is_ok() {
                let lent = self.lend(max);
                if !lent.is_empty() {
                    return Ok(lent);
                }
                arrived = tokio::select! {
                    next = consumer.next() => self.arrived(next),
                    () = returned => Ok(()),
                };
            }
            if let Err(trouble) = arrived {
                *current = None;
                self.channel.reset().await;
                return Err(trouble);
            }
        }
    }

    /// Ends the consumer. What was acknowledged is known to the broker then.
    pub(super) async fn close(&self) {
        self.channel.close().await;
    }

    /// Results that this process has from the broker and that are not settled.
    pub(super) fn held(&self) -> u32 {
        // If somebody waits for messages right now, they are fetched there.
        if let Ok(mut current) = self.consumer.try_lock()
            && let Some(consumer) = &mut *current
        {
            // Trouble is told to the next who waits: the consumer goes on telling it.
            let _ = self.fetch_arrived(consumer);
        }
        let here = u32::try_from(self.here().len()).unwrap_or(u32::MAX);
        here.saturating_add(self.lent.load(Ordering::Relaxed))
    }

    async fn open(&self) -> Result<Consumer, Trouble> {
        self.here().clear(); // They went back with the channel on which they came.
        let channel = self.channel.get().await?;
        let (queue, options) = ((&*self.queue).into(), BasicConsumeOptions::default());
        let tag = "results".into();
        let none = FieldTable::default();
        Ok(channel.basic_consume(queue, tag, options, none).await?)
    }

    /// Takes in what the connection has received, without waiting.
    fn fetch_arrived(&self, consumer: &mut Consumer) -> Result<(), Trouble> {
        while let Some(next) = consumer.next().now_or_never() {
            self.arrived(next)?;
        }
        Ok(())
    }

    fn arrived(
        &self,
        next: Option<lapin::Result<lapin::message::Delivery>>,
    ) -> Result<(), Trouble> {
        match next {
            Some(Ok(delivery)) => {
                let place = self.came.fetch_add(1, Ordering::Relaxed);
                self.here().insert(place, Message::new(delivery));
                Ok(())
            }
            Some(Err(error)) => Err(error.into()),
            None => Err(Trouble::NoQueue(self.queue.clone())),
        }
    }

    fn lend(self: &Arc<Self>, max: usize) -> Vec<Lent> {
        let mut here = self.here();
        let (mut lent, mut bytes) = (Vec::new(), 0);
        while lent.len() < max
            && let Some(next) = here.first_entry()
        {
            bytes += next.get().body.len();
            if bytes > RESULTS_BYTES_MAX && !lent.is_empty() {
                break;
            }
            let (place, message) = next.remove_entry();
            self.lent.fetch_add(1, Ordering::Relaxed);
            lent.push(Lent {
                place,
                message: Some(message),
                results: Arc::clone(self),
            });
        }
        lent
    }

    fn here(&self) -> MutexGuard<'_, BTreeMap<u64, Message>> {
        // Nothing panics while it is held.
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message in the hands of one reporter. Dropping it lets the next one have it.
pub(super) struct Lent {
    place: u64,
    message: Option<Message>,
    results: Arc<Results>,
}

impl Lent {
    pub(super) fn body(&self) -> &[u8] {
        self.message.as_ref().map_or(&[], |message| &message.body)
    }

    /// Removes it from the broker.
    pub(super) async fn ack(mut self) -> Result<(), Trouble> {
        match self.message.take() {
            Some(message) => {
                // Counted until the acknowledgement is under way.
                let acknowledged = message.ack().await;
                self.results.lent.fetch_sub(1, Ordering::Relaxed);
                acknowledged
            }
            None => Ok(()),
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(message) = self.message.take() else {
            return;
        };
        self.results.lent.fetch_sub(1, Ordering::Relaxed);
        if message.is_ours() {
            self.results.here().insert(self.place, message);
            self.results.returned.notify_waiters();
        }
    }
}
