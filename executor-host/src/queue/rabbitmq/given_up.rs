//! Jobs that came back more often than the broker hands one out: no worker said a word about them,
//! so the link has to. Until it has, they wait in a queue of their own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};

use super::message::Message;
use super::trouble::Trouble;
use super::{Inner, failed, topology};
use crate::queue::letter::Kind;
use crate::queue::{Delivery, Hold, QueueError, reading};

/// What is written on the dead letter.
const CAME_BACK: &str = "it came back too often";

/// A listener to what is given up, for the link.
pub struct GivenUp {
    inner: Arc<Inner>,
    consumer: Consumer,
    // Closed when this is dropped.
    _channel: Channel,
}

impl GivenUp {
    pub(super) async fn open(inner: &Arc<Inner>) -> Result<Self, Trouble> {
        inner.be_the_link().await?;
        let channel = inner.receiving.channel().await?;
        topology::declare(&channel, &inner.prefix).await?;
        channel.basic_qos(1, BasicQosOptions::default()).await?;
        let queue = inner.prefix.given_up();
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel
            .basic_consume((&*queue).into(), "given-up".into(), options, none)
            .await?;
        Ok(Self {
            inner: Arc::clone(inner),
            consumer,
            _channel: channel,
        })
    }

    /// Waits for the next. Acknowledged, it lies among the dead letters; nothing else is to be
    /// done with it but to tell.
    ///
    /// # Errors
    ///
    /// When the connection was lost. That ends it: ask for another.
    pub async fn next(&mut self) -> Result<Delivery, QueueError> {
        loop {
            let message = match self.consumer.next().await {
                Some(Ok(delivery)) => Message::new(delivery),
                Some(Err(error)) => return Err(failed("give jobs up")(error.into())),
                None => return Err(failed("give jobs up")(Trouble::Lost)),
            };
            match reading::job(&message.body) {
                Ok(job) => {
                    let (inner, count) = (Arc::clone(&self.inner), message.count);
                    let held = Box::new(HeldLetter { inner, message });
                    return Ok(Delivery::new(job, count, held));
                }
                Err(unreadable) => self.inner.bury(message, Kind::Job, unreadable).await?,
            }
        }
    }
}

/// A job that is about to be a dead letter.
struct HeldLetter {
    inner: Arc<Inner>,
    message: Message,
}

#[async_trait]
impl Hold for HeldLetter {
    async fn remove(self: Box<Self>) -> Result<(), QueueError> {
        self.park(CAME_BACK).await
    }

    async fn park(self: Box<Self>, reason: &str) -> Result<(), QueueError> {
        self.inner.put_aside(self.message, Kind::Job, reason).await
    }

    async fn give_back(self: Box<Self>, _delay: Duration) -> Result<(), QueueError> {
        Ok(()) // Dropped: it comes again.
    }
}
