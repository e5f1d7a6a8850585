//! Jobs in this worker's hands.
//!
//! A lost connection takes the messages with it, but not the jobs that run: the broker hands each
//! out again, and if that is to this worker, the new message takes the dead one's place and the
//! job goes on. Whoever settles it settles the message that is there by then.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use codecrafter_shared::id::ExecutionId;

use super::message::Message;
use super::publish::{DELIVERIES, Outgoing};
use super::trouble::Trouble;
use super::{Inner, failed};
use crate::clock;
use crate::queue::letter::Kind;
use crate::queue::{Hold, QueueError};

/// What this process holds, by the id of its message. One that came again is there several times
/// until it is settled: which of them is dead is known for certain only to the broker.
#[derive(Debug, Default)]
pub(super) struct Held {
    messages: HashMap<String, Vec<Message>>,
}

impl Held {
    /// Holds `message` under `id`. Returns whether nothing was held under it: otherwise whoever
    /// has the job has this message too.
    fn add(&mut self, id: &str, message: Message) -> bool {
        let same = self.messages.entry(id.to_owned()).or_default();
        let is_new = same.is_empty();
        // A dead one says nothing to the broker when it is dropped.
        same.retain(Message::is_ours);
        same.push(message);
        is_new
    }

    /// What came last under `id`.
    fn newest(&self, id: &str) -> Option<&Message> {
        self.messages.get(id)?.last()
    }

    /// All that is held under `id`, the newest first, and no longer held then.
    fn let_go(&mut self, id: &str) -> impl Iterator<Item = Message> + use<> {
        let messages = self.messages.remove(id).unwrap_or_default();
        messages.into_iter().rev()
    }
}

/// A job in a worker's hands.
pub(super) struct HeldJob {
    inner: Arc<Inner>,
    execution: ExecutionId,
    id: String,
}

impl HeldJob {
    /// Takes the job's message into this worker's hands; none if the job is there already, or was
    /// done with here.
    pub(super) async fn take(
        inner: &Arc<Inner>,
        execution: ExecutionId,
        message: Message,
    ) -> Option<Self> {
        // What somebody else has sent without an id cannot be told from others.
        let id = match &*message.id {
            "" => clock::attempt_id().to_string(),
            id => id.to_owned(),
        };
        let unwanted = {
            let mut memory = inner.memory();
            if memory.done.contains(&id) {
                message
            } else if memory.held.add(&id, message) {
                inner.running.fetch_add(1, Ordering::Relaxed);
                let inner = Arc::clone(inner);
                return Some(Self {
                    inner,
                    execution,
                    id,
                });
            } else {
                tracing::info!(execution.id = %execution, "a job that runs here came again");
                return None;
            }
        };
        let _ = unwanted.ack().await;
        None
    }

    /// The job is done with here, and is not run again here should its message come again.
    fn done(&self) -> impl Iterator<Item = Message> + use<> {
        let mut memory = self.inner.memory();
        memory.done.remember(self.id.clone());
        memory.held.let_go(&self.id)
    }
}

#[async_trait]
impl Hold for HeldJob {
    async fn remove(self: Box<Self>) -> Result<(), QueueError> {
        acknowledge(self.done())
            .await
            .map_err(failed("remove a job"))?;
        self.inner.settled(self.execution);
        Ok(())
    }

    async fn park(self: Box<Self>, reason: &str) -> Result<(), QueueError> {
        let what = "put a job aside";
        let body = {
            let memory = self.inner.memory();
            let message = memory.held.newest(&self.id);
            message.map(|message| message.body.clone())
        };
        if let Some(body) = body {
            let kept = self.inner.keep_letter(body, Kind::Job, reason).await;
            kept.map_err(failed(what))?;
        }
        acknowledge(self.done()).await.map_err(failed(what))?;
        self.inner.settled(self.execution);
        Ok(())
    }

    async fn give_back(self: Box<Self>, delay: Duration) -> Result<(), QueueError> {
        let what = "take a job back";
        if delay.is_zero() {
            let mut messages = self.inner.memory().held.let_go(&self.id);
            let Some(message) = messages.next() else {
                return Ok(());
            };
            return message.give_back().await.map_err(failed(what));
        }
        let copy = {
            let memory = self.inner.memory();
            let Some(message) = memory.held.newest(&self.id) else {
                return Ok(());
            };
            // With an id of its own: the one that it replaces may come again, and must not run.
            let (id, body) = (clock::attempt_id().to_string(), message.body.clone());
            Outgoing::kept(self.inner.prefix.delayed(delay), &id, body)
                .with_headers([(DELIVERIES, i64::from(message.count).into())])
        };
        // Should this be dropped in between, there are two of them: more than none.
        let copied = copy.confirmed(&self.inner.confirmed).await;
        copied.map_err(failed(what))?;
        acknowledge(self.done()).await.map_err(failed(what))
    }
}

impl Drop for HeldJob {
    fn drop(&mut self) {
        // What is dropped unsettled goes back to the broker.
        let messages = self.inner.memory().held.let_go(&self.id);
        drop(messages);
        self.inner.running.fetch_sub(1, Ordering::Relaxed);
        self.inner.job_settled.notify_waiters();
    }
}

/// Removes a job from the broker, of whose messages all but one at most are dead.
async fn acknowledge(messages: impl Iterator<Item = Message> + Send) -> Result<(), Trouble> {
    let mut acknowledged = Err(Trouble::Lost);
    for message in messages {
        acknowledged = message.ack().await.or(acknowledged);
    }
    acknowledged
}
