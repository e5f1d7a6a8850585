//! Jobs on their way to those who wait for one. A consumer is there for as long as somebody waits,
//! and takes one message: what nobody here can run at once is left for other workers.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::sync::{Notify, oneshot};

use super::line::Kept;
use super::message::Message;
use super::trouble::Trouble;

/// How long a consumer, or a message that it got, is kept for the next to ask after somebody gave
/// up. Cancelling a consumer that is just being given a message counts as a delivery of it.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// The consumers of the queue of jobs.
pub(super) struct Jobs {
    channel: Kept,
    queue: String,
    tags: AtomicU64,
    idle: Mutex<Vec<oneshot::Sender<Asked>>>,
    spare: Mutex<VecDeque<Message>>,
    spared: Notify,
}

/// Somebody who waits for a message.
type Asked = oneshot::Sender<Result<Message, Trouble>>;
/// What a consumer yields.
type Next = Option<lapin::Result<lapin::message::Delivery>>;

/// Why a consumer that served somebody stopped to.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, looked at where it was made"
)]
enum Served {
    Arrived(Next),
    Spare(Message),
    GaveUp,
}

/// What became of a consumer that served nobody.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, looked at where it was made"
)]
enum Idled {
    Adopted(Asked),
    Arrived(Next, Option<Asked>),
    Over,
}

impl Jobs {
    /// `channel` gives each consumer one message at a time.
    pub(super) fn new(channel: Kept, queue: String) -> Arc<Self> {
        Arc::new(Self {
            channel,
            queue,
            tags: AtomicU64::new(0),
            idle: Mutex::default(),
            spare: Mutex::default(),
            spared: Notify::new(),
        })
    }

    /// Waits for a message.
    pub(super) async fn next(self: &Arc<Self>) -> Result<Message, Trouble> {
        let (asked, answer) = oneshot::channel();
        if let Some(asked) = self.ask_idle(asked) {
            // A task of its own: whoever waits may give up in the middle of a conversation with
            // the broker, which has to be brought to its end.
            tokio::spawn(Arc::clone(self).serve(asked));
        }
        answer.await.unwrap_or(Err(Trouble::Lost))
    }

    /// Ends the consumers. What was acknowledged is known to the broker then.
    pub(super) async fn close(&self) {
        self.channel.close().await;
    }

    /// Hands `asked` to an idle consumer; returns it if there is none.
    fn ask_idle(&self, mut asked: Asked) -> Option<Asked> {
        loop {
            let Some(idle) = lock(&self.idle).pop() else {
                return Some(asked);
            };
            asked = idle.send(asked).err()?;
        }
    }

    /// Serves whoever asks, with one consumer, until that has got its message or nobody asks.
    async fn serve(self: Arc<Self>, mut asked: Asked) {
        if let Some(message) = self.take_spare() {
            return self.answer(asked, Ok(message));
        }
        let (channel, mut consumer) = match self.open().await {
            Ok(opened) => opened,
            Err(trouble) => return self.answer(asked, Err(trouble)),
        };
        loop {
            match self.wait(&mut consumer, &mut asked).await {
                Served::Arrived(next) => {
                    let message = self.last(&channel, &consumer, next).await;
                    return self.answer(asked, message);
                }
                Served::Spare(message) => self.answer(asked, Ok(message)),
                Served::GaveUp => {}
            }
            asked = match self.idle(&mut consumer).await {
                Idled::Adopted(asked) => asked,
                Idled::Arrived(next, asked) => {
                    let message = self.last(&channel, &consumer, next).await;
                    return match (message, asked) {
                        (message, Some(asked)) => self.answer(asked, message),
                        (Ok(message), None) => self.keep_for_others(message),
                        (Err(_), None) => {} // Told to the next who asks.
                    };
                }
                Idled::Over => return self.retire(&channel, consumer).await,
            };
        }
    }

    async fn open(&self) -> Result<(Channel, Consumer), Trouble> {
        let channel = self.channel.get().await?;
        let tag = self.tags.fetch_add(1, Ordering::Relaxed);
        let (queue, tag) = ((&*self.queue).into(), format!("take-{tag}").into());
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel.basic_consume(queue, tag, options, none).await?;
        Ok((channel, consumer))
    }

    async fn wait(&self, consumer: &mut Consumer, asked: &mut Asked) -> Served {
        loop {
            // Armed before the look, so that what comes in between is not missed.
            let mut spared = pin!(self.spared.notified());
            spared.as_mut().enable();
            if let Some(message) = self.take_spare() {
                return Served::Spare(message);
            }
            tokio::select! {
                next = consumer.next() => return Served::Arrived(next),
                () = spared => {}
                () = asked.closed() => return Served::GaveUp,
            }
        }
    }

    async fn idle(&self, consumer: &mut Consumer) -> Idled {
        let (adopt, mut adopted) = oneshot::channel();
        {
            let mut idle = lock(&self.idle);
            idle.retain(|adopt| !adopt.is_closed());
            idle.push(adopt);
        }
        let arrived = tokio::select! {
            asked = &mut adopted => return asked.map_or(Idled::Over, Idled::Adopted),
            next = consumer.next() => Some(next),
            () = tokio::time::sleep(KEPT_FOR) => None,
        };
        adopted.close();
        // Somebody may have asked in the last moment.
        match (arrived, adopted.try_recv().ok()) {
            (Some(next), asked) => Idled::Arrived(next, asked),
            (None, Some(asked)) => Idled::Adopted(asked),
            (None, None) => Idled::Over,
        }
    }

    /// The one message of a consumer, which gets no second: until it is settled because of the
    /// prefetch, and afterwards because the consumer is cancelled first, on the same channel.
    async fn last(
        &self,
        channel: &Channel,
        consumer: &Consumer,
        next: Next,
    ) -> Result<Message, Trouble> {
        let message = match next {
            Some(Ok(delivery)) => Message::new(delivery),
            Some(Err(error)) => return Err(error.into()),
            // The broker has cancelled it. A new channel declares the queue again.
            None => {
                self.channel.reset().await;
                return Err(Trouble::NoQueue(self.queue.clone()));
            }
        };
        let nowait = BasicCancelOptions { nowait: true };
        channel.basic_cancel(consumer.tag(), nowait).await?;
        Ok(message)
    }

    /// Cancels a consumer that may get a message meanwhile.
    async fn retire(self: &Arc<Self>, channel: &Channel, mut consumer: Consumer) {
        let wait = BasicCancelOptions::default();
        if channel.basic_cancel(consumer.tag(), wait).await.is_err() {
            return; // The channel has ended, and all of its messages went back.
        }
        while let Some(Ok(delivery)) = consumer.next().await {
            self.keep_for_others(Message::new(delivery));
        }
    }

    fn answer(self: &Arc<Self>, asked: Asked, answer: Result<Message, Trouble>) {
        if let Err(Ok(message)) = asked.send(answer) {
            self.keep_for_others(message);
        }
    }

    fn keep_for_others(self: &Arc<Self>, message: Message) {
        lock(&self.spare).push_back(message);
        self.spared.notify_waiters();
        let jobs = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(KEPT_FOR).await;
            // The oldest: this one, unless somebody has taken it.
            if let Some(message) = jobs.take_spare() {
                message.unseen();
            }
        });
    }

    fn take_spare(&self) -> Option<Message> {
        let mut spares = lock(&self.spare);
        spares.retain(Message::is_ours);
        spares.pop_front()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
